# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure a model: its decisions at each Es/N0, under impairments, and on signals outside its classes."""

import functools
import math
from collections import Counter
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from amrq.classes import ClassSet, LinearSet
from amrq.classifier import Classifier, Evidence
from amrq.decision import Decision, DecisionMaker, DecisionOptions
from amrq.errors import AmrqError
from amrq.evaluation.chunk_sets import IMPAIRMENTS, ChunkSet, ImpairedChunks, fresh_chunks
from amrq.evaluation.open_set import OpenSet, OtherSignal, Tally, answer_of
from amrq.evaluation.reference import EsN0Axis, Knowledge, ReferenceReceivers
from amrq.evaluation.results import Evaluation, ImpairmentCurve, NamedDecisions, NoiseLevel, Reliability
from amrq.evaluation.statistics import Share
from amrq.evaluation.verdict import claim_goal
from amrq.model import Contract
from amrq.signals import (
    HELD_OUT_CONSTELLATIONS,
    HELD_OUT_SIGNALS,
    OTHER_SIGNALS,
    add_noise,
    noise_power_from_es_n0_db,
    other_signal,
)
from amrq.text import markdown

__all__ = [
    "DEFAULT_ES_N0_DB",
    "FOREIGN_ES_N0_DB",
    "FUSED_SYMBOLS",
    "OTHER_KINDS",
    "ForeignConstellation",
    "MeasuredLevel",
    "evaluate",
    "foreign_table",
    "fuse",
    "measure_foreign",
    "measure_impairments",
    "measure_level",
    "measure_other",
    "named_score",
]


def fuse(contract: Contract, evidence: Evidence, chunks: int) -> list[Decision]:
    """Return the decisions of a `DecisionMaker` with default options on evidence, one for every `chunks` chunks.

    The search for changes of class is off, since there are none. Chunks left over at the end are left out.
    """
    whole = len(evidence.power) // chunks * chunks
    if not whole:
        return []
    maker = DecisionMaker(
        contract.weighed(),
        contract.chunk_length,
        _plain(chunks),
        contract.fusion_chunks,
    )
    return maker.update(evidence.part(0, whole), contract.chunk_length * np.arange(whole, dtype=np.int64))


@functools.cache
def _plain(chunks: int) -> DecisionOptions:
    """Return the options of decisions on so many chunks: made once, since calibration fuses thousands of times."""
    return DecisionOptions(chunks_per_decision=chunks, change_evidence=math.inf)


_MOST = 700.0
"""Log-odds that stand for certainty: beyond, probabilities leave the range of a double."""


def named_score(decision: Decision, truths: Container[str]) -> tuple[str, float]:
    """Return the most probable named modulation, and ln(p / (1 - p)) of its probability p, limited to -700 to 700.

    For a decision without a modulation among its hypotheses the name is empty and the score -700.

    Args:
        decision: a decision.
        truths: the named modulations, on which the model is measured.
    """
    named = {name: value for name, value in decision.log_probabilities.items() if name in truths}
    if not named:
        return "", -_MOST
    best = max(named, key=lambda name: named[name])
    rest = [value for name, value in decision.log_probabilities.items() if name != best]
    against = float(np.logaddexp.reduce(rest)) if rest else -_MOST
    return best, float(np.clip(named[best] - against, -_MOST, _MOST))


class MeasuredLevel(NamedTuple):
    """Results at one Es/N0.

    Attributes:
        level: the results that are stored.
        scores: float64 [D], scores of the fused decisions, for the open-set curve.
        right: bool [D], whether their most probable named modulation is the true one.
    """

    level: NoiseLevel
    scores: NDArray[np.float64]
    right: NDArray[np.bool_]


def measure_level(
    classifier: Classifier,
    chunk_set: ChunkSet,
    truths: LinearSet,
    outputs: tuple[str, ...],
    es_n0_db: float,
    fused: int,
    bound: ReferenceReceivers | None,
    step: Callable[[], None],
) -> MeasuredLevel:
    """Measure a model and the bound at one Es/N0.

    Args:
        classifier: the model.
        chunk_set: the source of the chunks.
        truths: T modulations.
        outputs: the model's labels, the modulations first.
        es_n0_db: Es/N0, dB.
        fused: number of chunks in a fused decision.
        bound: the best possible receiver, or None.
        step: called after the model's measurement, and after each class that the bound measures for the first time.
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
            best, score = named_score(decision, truths)
            named_votes[row, truths.names.index(best)] += 1
            confidences.append(decision.confidence)
            rights.append(decision.best == name)
            scores.append(score)
            named_rights.append(best == name)
    step()

    def posteriors(knowledge: Knowledge) -> NDArray[np.float32] | None:
        if bound is None:
            return None
        columns = [chunk_set.classes.index(name) for name in truths]
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
    axis = EsN0Axis.of(contract, truths.names)
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
    """Make decisions on transmissions of one kind of other signal; each has random settings of its own, held constant.

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
            [
                _transmission(kind, fused, contract.chunk_length, rng, contract.linear_classes)
                for _ in range(count)
            ]
        )
        evidence = _classify(classifier, samples, fused)
        for decision in fuse(contract, evidence, fused):
            labels[decision.label] += 1
            scores.append(named_score(decision, contract.linear_classes)[1])
        alone = np.flatnonzero(np.arange(len(samples)) % fused < _SINGLE)
        few = evidence.select(alone)
        chunk_labels.update(decision.label for decision in fuse(contract, few, 1))
    return OtherSignal(kind, fused, chunk_labels, labels, np.array(scores), claim_goal(kind, contract))


def _classify(classifier: Classifier, samples: NDArray[np.complex64], fused: int) -> Evidence:
    """Classify transmissions of `fused` chunks each; a model with level input gets each transmission's level."""
    if not classifier.contract.level_input:
        return classifier.classify(samples)
    power = (np.abs(samples) ** 2).mean(axis=1).reshape(-1, fused).mean(axis=1)
    return classifier.classify(samples, np.repeat(power, fused).astype(np.float32))


def _transmission(
    kind: str, chunks: int, length: int, rng: np.random.Generator, classes: LinearSet
) -> NDArray[np.complex64]:
    """Return successive chunks of a transmission in noise, complex64 [chunks, length]."""
    noise = noise_power_from_es_n0_db(float(rng.uniform(*_NOISE_DB)))
    samples = other_signal(kind, 1, chunks * length, rng, classes).reshape(chunks, length)
    return add_noise(samples, noise, rng)


def measure_impairments(
    classifier: Classifier,
    truths: LinearSet,
    es_n0_db: float,
    chunks: int,
    seed: int,
    phase_noise: float,
    step: Callable[[], None],
) -> list[ImpairmentCurve]:
    """Measure accuracy against every impairment at one Es/N0.

    Args:
        classifier: the model.
        truths: T modulations.
        es_n0_db: Es/N0, dB.
        chunks: chunks of each modulation at each value.
        seed: of all randomness.
        phase_noise: standard deviation, radians, for the other impairments.
        step: called after each impairment.
    """
    contract = classifier.contract
    material = ImpairedChunks(
        truths, chunks, contract.chunk_length, es_n0_db, seed, contract.phase == "any", phase_noise
    )
    columns = [contract.classes.index(name) for name in truths]
    truth = np.arange(len(truths))[:, None]
    curves = []
    for impairment in IMPAIRMENTS:
        right = np.empty((len(impairment.values), len(truths)), dtype=np.int64)
        for row, value in zip(right, impairment.values, strict=True):
            log_probabilities = classifier.classify(material.chunks(impairment, value)).log_probabilities
            decided = log_probabilities[:, columns].argmax(axis=1).reshape(len(truths), chunks)
            row[:] = (decided == truth).sum(axis=1)
        curves.append(
            ImpairmentCurve(
                impairment.name, impairment.unit, float(es_n0_db), impairment.values, right, chunks
            )
        )
        step()
    return curves


DEFAULT_ES_N0_DB = tuple(2.5 * step for step in range(11))
"""0 to 25 dB in steps of 2.5 dB."""

FUSED_SYMBOLS = 1024
"""Symbols under a fused decision."""

_OPEN_SET_DB = 10.0
"""From this Es/N0 on, fused decisions are expected to name a modulation."""


def evaluate(
    classifier: Classifier,
    chunks_per_class: int = 1_000,
    es_n0_db: Sequence[float] = DEFAULT_ES_N0_DB,
    phase_noise: float = 0.0,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, of: None,
    bound: ReferenceReceivers | None = None,
    sweep_es_n0_db: Sequence[float] = (),
) -> Evaluation:
    """Measure a model on fresh ideal chunks of its linear classes and on signals outside its classes.

    Decisions are counted twice: among the named modulations, as the bound decides, and among all outputs. For a model
    of unknown phase each chunk has a random rotation. Other signals have noise 10 to 25 dB below them.

    Args:
        classifier: the model.
        chunks_per_class: chunks of each modulation at each Es/N0; half as many fused decisions on each other signal,
            and a quarter as many chunks at each value of an impairment.
        es_n0_db: levels, dB.
        phase_noise: standard deviation, radians.
        seed: of all randomness.
        progress: called with (steps done, steps in all).
        bound: the best possible receiver, measured on the same chunks; it stores its results, so one can serve many
            models.
        sweep_es_n0_db: levels at which impairments are measured, dB: rotation, frequency, timing, level, phase noise.

    Raises:
        AmrqError: the model has no linear class, or takes samples or several of them a symbol; or a number is out of
            range.

    >>> from amrq.classifier import make_classifier
    >>> found = evaluate(make_classifier("coherent-small-int8"), chunks_per_class=20, es_n0_db=[20.0])
    >>> found.levels[0].named.share.of, found.levels[0].named.share.value > 0.95
    (180, True)
    """
    contract = classifier.contract
    truths = _truths(contract)
    if chunks_per_class < 1 or not es_n0_db:
        raise AmrqError("an evaluation needs at least 1 chunk a class and at least one Es/N0.")
    if not all(math.isfinite(level) for level in (*es_n0_db, *sweep_es_n0_db)):
        given = ", ".join(f"{level:g}" for level in (*es_n0_db, *sweep_es_n0_db))
        raise AmrqError(f"Es/N0 must be finite numbers in dB, not {given}.")
    outputs = (*truths, *(name for name in contract.classes if name not in truths))
    chunk_set = ChunkSet(
        # In a fixed order, so that models with another order of classes share the bound.
        ClassSet(truths.name, tuple(sorted(truths.members, key=lambda member: member.stream))),
        contract.chunk_length,
        chunks_per_class,
        seed,
        float(phase_noise),
        contract.phase == "any",
    )
    levels = sorted({float(level) for level in es_n0_db})
    fused = max(1, FUSED_SYMBOLS // contract.chunk_length)
    steps = len(levels) + len(OTHER_KINDS) + len(sweep_es_n0_db) * len(IMPAIRMENTS)
    if bound is not None:
        steps += sum(
            not bound.remembers(chunk_set, name, level, knowledge)
            for name in truths
            for level in levels
            for knowledge in Knowledge.of(contract)
        )
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        progress(min(done, steps), steps)

    measured = [
        measure_level(classifier, chunk_set, truths, outputs, level, fused, bound, step) for level in levels
    ]
    others = []
    for kind in OTHER_KINDS:
        others.append(measure_other(classifier, kind, max(1, chunks_per_class // 2), fused, seed))
        step()
    curves = [
        curve
        for level in sweep_es_n0_db
        for curve in measure_impairments(
            classifier, truths, level, max(1, chunks_per_class // 4), seed, phase_noise, step
        )
    ]
    progress(steps, steps)
    return Evaluation(
        model=contract.name,
        phase=contract.phase,
        chunk_length=contract.chunk_length,
        level_input=contract.level_input,
        trained_es_n0_db=contract.es_n0_db,
        truths=truths.names,
        outputs=outputs,
        phase_noise=float(phase_noise),
        seed=seed,
        bound_es_n0_db=None if bound is None else bound.es_n0_db,
        levels=tuple(found.level for found in measured),
        others=tuple(others),
        open_set=_open_set(contract, measured, others),
        impairments=tuple(curves),
    )


def _truths(contract: Contract) -> LinearSet:
    truths = contract.linear_classes
    if not truths:
        raise AmrqError(
            f"model {contract.name!r} names no class whose constellation is known: give its contract a class_set."
        )
    contract.require_symbols()
    if contract.samples_per_symbol != 1:
        raise AmrqError(
            f"model {contract.name!r} takes {contract.samples_per_symbol} samples a symbol, not 1."
        )
    return truths


def _open_set(contract: Contract, measured: list[MeasuredLevel], others: list[OtherSignal]) -> OpenSet | None:
    good = [found for found in measured if found.level.es_n0_db >= _OPEN_SET_DB and len(found.scores)]
    if not good:
        return None
    return OpenSet(
        min_confidence=DecisionOptions().threshold,
        es_n0_db=good[0].level.es_n0_db,
        known=np.concatenate([found.scores for found in good]),
        right=np.concatenate([found.right for found in good]),
        others={other.kind: other.scores for other in others},
    )


FOREIGN_ES_N0_DB = (10.0, 12.5, 15.0, 20.0, 25.0)
_FOREIGN_AT_ONCE = 2_048
"""Chunks held at a time: bounds memory."""


@dataclass(frozen=True)
class ForeignConstellation:
    """Counts of fused decisions on one constellation at one Es/N0.

    Attributes:
        name: of the constellation.
        es_n0_db: Es/N0, dB.
        answers: number of decisions, by answer; see `amrq.evaluation.answer_of`.
        tally: of the outcomes. Every name is wrong, `unknown` is right.
    """

    name: str
    es_n0_db: float
    answers: Counter[str]
    tally: Tally

    @property
    def named(self) -> Share:
        """Number and share of decisions that name one of the model's classes."""
        return Share(self.tally.misnamed, self.tally.total)

    @property
    def mistaken_for(self) -> str:
        """The name given most often; empty if none was."""
        wrong = Counter(
            {name: n for name, n in self.answers.items() if Tally.of_answers({name: n}, "").misnamed}
        )
        return wrong.most_common(1)[0][0] if wrong else ""


def measure_foreign(
    classifier: Classifier,
    decisions: int = 200,
    es_n0_db: Sequence[float] = FOREIGN_ES_N0_DB,
    chunks: int = 32,
    seed: int = 0,
    constellations: LinearSet = HELD_OUT_CONSTELLATIONS,
) -> list[ForeignConstellation]:
    """Make decisions on ideal chunks of linear constellations, each chunk at a random rotation.

    Classes of the model are left out.

    Args:
        classifier: the model.
        decisions: number of decisions on each constellation at each Es/N0.
        es_n0_db: levels, dB.
        chunks: chunks in a decision.
        seed: of all randomness.
        constellations: what is sent; by default what no model is trained on.

    Returns:
        one for each constellation and Es/N0, in this order.
    """
    contract = classifier.contract
    known = contract.linear_classes
    found = []
    for member in constellations.members:
        if member in known.members:
            continue
        for level in es_n0_db:
            rng = np.random.default_rng([seed, round(1000 * level) % 2**32, *member.name.encode()])
            made: list[Decision] = []
            while len(made) < decisions:
                count = min(decisions - len(made), max(1, _FOREIGN_AT_ONCE // chunks)) * chunks
                sent = fresh_chunks(
                    member, count, contract.chunk_length, level, rng, any_phase=contract.phase == "any"
                )
                made += fuse(contract, classifier.classify(sent), chunks)
            answers = Counter(answer_of(decision) for decision in made)
            found.append(
                ForeignConstellation(member.name, float(level), answers, Tally.of_answers(answers, "", known))
            )
    return found


def foreign_table(rows: Sequence[ForeignConstellation]) -> str:
    """Return a table in Markdown: the share of decisions that name a class, and for what it is mistaken most often."""
    levels = sorted({row.es_n0_db for row in rows})
    by_place = {(row.name, row.es_n0_db): row for row in rows}
    lines = [
        "| constellation | " + " | ".join(f"{level:g} dB" for level in levels) + " |",
        "|---|" + "---:|" * len(levels),
    ]
    for name in dict.fromkeys(row.name for row in rows):
        cells = []
        for level in levels:
            row = by_place.get((name, level))
            mistaken = f" ({markdown(row.mistaken_for)})" if row and row.mistaken_for else ""
            cells.append(f"{row.named.value:.3f}{mistaken}" if row else "")
        lines.append(f"| {markdown(name)} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, ""])
