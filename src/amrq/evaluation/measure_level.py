# SPDX-License-Identifier: GPL-3.0-or-later
"""Classify fresh chunks of every modulation at one Es/N0."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from amrq.classifier import Classifier
from amrq.evaluation.bound import Bound
from amrq.evaluation.chunk_set import ChunkSet
from amrq.evaluation.es_n0_axis import EsN0Axis
from amrq.evaluation.fuse import fuse
from amrq.evaluation.knowledge import Knowledge
from amrq.evaluation.named_decisions import NamedDecisions
from amrq.evaluation.named_score import named_score
from amrq.evaluation.noise_level import NoiseLevel
from amrq.evaluation.reliability import Reliability
from amrq.modulations import MODULATIONS
from amrq.signals import noise_power_from_es_n0_db

__all__ = ["MeasuredLevel", "measure_level"]


class MeasuredLevel(NamedTuple):
    """Results at one Es/N0.

    Attributes:
        level: what is kept.
        scores: float64 [D], of the fused decisions, for the open-set curve.
        right: bool [D], whether their most probable named modulation is the true one.
    """

    level: NoiseLevel
    scores: NDArray[np.float64]
    right: NDArray[np.bool_]


def measure_level(
    classifier: Classifier,
    chunk_set: ChunkSet,
    truths: tuple[str, ...],
    outputs: tuple[str, ...],
    es_n0_db: float,
    fused: int,
    bound: Bound | None,
    step: Callable[[], None],
) -> MeasuredLevel:
    """Classify, fuse and compare.

    Args:
        classifier: the model.
        chunk_set: where the chunks come from.
        truths: T modulations.
        outputs: the model's labels, the modulations first.
        es_n0_db: Es/N0, dB.
        fused: chunks under a fused decision.
        bound: the best possible receiver, or None.
        step: called after the model is done, and after each class that the bound had not met before.
    """
    contract = classifier.contract
    size = len(truths)
    chunks = np.concatenate([chunk_set.chunks(name, es_n0_db) for name in truths])
    truth = np.repeat(np.arange(size), chunk_set.chunks_per_class)
    evidence = classifier.classify(chunks)
    tracked = None
    if contract.level_input:
        power = np.full(len(chunks), 1 + noise_power_from_es_n0_db(es_n0_db), dtype=np.float32)
        tracked = classifier.classify(chunks, power)
    order = [contract.classes.index(name) for name in outputs]
    log_probabilities = evidence.log_probabilities[:, order]
    decided = log_probabilities.argmax(axis=1)
    confusion = np.bincount(truth * len(outputs) + decided, minlength=size * len(outputs))
    reliability = Reliability.measure(np.exp(log_probabilities.max(axis=1)), decided == truth)

    votes, named_votes = np.zeros((size, len(outputs)), np.int64), np.zeros((size, size), np.int64)
    confidences, rights, scores, named_rights = [], [], [], []
    for row, name in enumerate(truths):
        first = row * chunk_set.chunks_per_class
        part = (evidence if tracked is None else tracked).part(first, first + chunk_set.chunks_per_class)
        for decision in fuse(contract, part, fused):
            votes[row, outputs.index(decision.best)] += 1
            best, score = named_score(decision)
            named_votes[row, truths.index(best)] += 1
            confidences.append(decision.confidence)
            rights.append(decision.best == name)
            scores.append(score)
            named_rights.append(best == name)
    step()

    def posteriors(knowledge: Knowledge) -> NDArray[np.float32] | None:
        if bound is None:
            return None
        columns = [list(MODULATIONS).index(name) for name in truths]
        parts = []
        for name in truths:
            known = bound.remembers(chunk_set, name, es_n0_db, knowledge)
            parts.append(bound.log_posteriors(chunk_set, name, es_n0_db, knowledge)[:, columns])
            if not known:
                step()
        return np.concatenate(parts)

    named = NamedDecisions.measure(log_probabilities[:, :size], truth, posteriors(Knowledge()))
    level_known = es_n0_known = all_known = None
    if tracked is not None:
        values = tracked.log_probabilities[:, order[:size]]
        level_known = NamedDecisions.measure(values, truth, posteriors(Knowledge(level=True)))
    axis = EsN0Axis.of(contract, truths)
    if axis is not None:
        at_level = axis.at((evidence if tracked is None else tracked).log_likelihoods, es_n0_db)
        all_that_helps = Knowledge(level=tracked is not None, es_n0=True)
        decisions = NamedDecisions.measure(at_level, truth, posteriors(all_that_helps))
        if tracked is None:
            es_n0_known = decisions
        else:
            all_known = decisions
    level = NoiseLevel(
        es_n0_db=float(es_n0_db),
        named=named,
        confusion=confusion.reshape(size, len(outputs)),
        reliability=reliability,
        fused=votes,
        fused_named=named_votes,
        fused_reliability=Reliability.measure(np.array(confidences), np.array(rights, dtype=np.bool_)),
        level_known=level_known,
        es_n0_known=es_n0_known,
        all_known=all_known,
    )
    return MeasuredLevel(level, np.array(scores), np.array(named_rights, dtype=np.bool_))
