# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask a model about signals that it should not name."""

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from amrq.classifier import Classifier, Evidence
from amrq.evaluation.fuse import fuse
from amrq.evaluation.goals import claim_goal
from amrq.evaluation.named_score import named_score
from amrq.evaluation.other_signal import OtherSignal
from amrq.signals import HELD_OUT_SIGNALS, OTHER_SIGNALS, add_noise, noise_power_from_es_n0_db, other_signal

__all__ = ["OTHER_KINDS", "measure_other"]

_MOMENTARY = ("burst edge",)
"""Kinds that last for one chunk only, so that there is nothing to fuse."""

OTHER_KINDS = tuple(kind for kind in (*OTHER_SIGNALS, *HELD_OUT_SIGNALS) if kind not in _MOMENTARY)

_NOISE_DB = (10.0, 25.0)
"""The receiver's noise lies this far below the signal."""
_AT_ONCE = 64
"""Transmissions held at a time: bounds memory."""
_SINGLE = 4
"""Chunks of each transmission that are also decided alone: more would hardly tell more of the kind."""


def measure_other(classifier: Classifier, kind: str, decisions: int, fused: int, seed: int) -> OtherSignal:
    """Decide on transmissions of one kind, each with settings of its own that stay the same throughout.

    Args:
        classifier: the model.
        kind: see `amrq.signals.other_signals`.
        decisions: transmissions, each for one fused decision.
        fused: chunks of each.
        seed: of all randomness.
    """
    contract = classifier.contract
    rng = np.random.default_rng([seed, 1, *kind.encode()])
    labels: Counter[str] = Counter()
    chunk_labels: Counter[str] = Counter()
    scores: list[float] = []
    for start in range(0, decisions, _AT_ONCE):
        count = min(_AT_ONCE, decisions - start)
        samples = np.concatenate(
            [_transmission(kind, fused, contract.chunk_length, rng) for _ in range(count)]
        )
        evidence = _classify(classifier, samples, fused)
        for decision in fuse(contract, evidence, fused):
            labels[decision.label] += 1
            scores.append(named_score(decision)[1])
        alone = np.flatnonzero(np.arange(len(samples)) % fused < _SINGLE)
        few = evidence.select(alone)
        chunk_labels.update(decision.label for decision in fuse(contract, few, 1))
    return OtherSignal(kind, fused, chunk_labels, labels, np.array(scores), claim_goal(kind, contract))


def _classify(classifier: Classifier, samples: NDArray[np.complex64], fused: int) -> Evidence:
    """Classify transmissions of `fused` chunks each; a model that takes the stream's level gets each one's."""
    if not classifier.contract.level_input:
        return classifier.classify(samples)
    power = (np.abs(samples) ** 2).mean(axis=1).reshape(-1, fused).mean(axis=1)
    return classifier.classify(samples, np.repeat(power, fused).astype(np.float32))


def _transmission(kind: str, chunks: int, length: int, rng: np.random.Generator) -> NDArray[np.complex64]:
    """Return complex64 [chunks, length] that follow each other, in noise."""
    noise = noise_power_from_es_n0_db(float(rng.uniform(*_NOISE_DB)))
    samples = other_signal(kind, 1, chunks * length, rng).reshape(chunks, length)
    return add_noise(samples, noise, rng)
