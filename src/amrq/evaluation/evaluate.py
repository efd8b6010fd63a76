# SPDX-License-Identifier: GPL-3.0-or-later
"""Hold a model against fresh chunks."""

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from amrq.classifier import Classifier, Evidence
from amrq.decision import DecisionMaker
from amrq.errors import AmrqError
from amrq.evaluation.evaluation import Evaluation, NoiseLevel, OtherSignal
from amrq.model import UNKNOWN, Contract
from amrq.modulations import MODULATIONS
from amrq.signals import (
    HELD_OUT_SIGNALS,
    OTHER_SIGNALS,
    add_noise,
    add_phase_noise,
    noise_power_from_es_n0_db,
    other_signal,
    rotate,
)

__all__ = ["DEFAULT_ES_N0_DB", "FUSED_CHUNKS", "evaluate", "fresh_chunks"]

DEFAULT_ES_N0_DB = tuple(2.5 * step for step in range(11))
"""0 to 25 dB in steps of 2.5 dB."""

FUSED_CHUNKS = 32
"""Chunks under a fused decision."""

_BINS = 15
_MOMENTARY = ("burst edge",)
"""Kinds that last for one chunk only, so that there is nothing to fuse."""


def fresh_chunks(
    name: str,
    count: int,
    length: int,
    es_n0_db: float,
    rng: np.random.Generator,
    phase_noise: float = 0.0,
    any_phase: bool = True,
) -> NDArray[np.complex64]:
    """Return ideal chunks of one modulation: random symbols, one random rotation a chunk, noise.

    Args:
        name: the modulation.
        count: number of chunks (N).
        length: symbols a chunk (L).
        es_n0_db: Es/N0, dB.
        rng: source of randomness.
        phase_noise: standard deviation of an independent phase a symbol, radians.
        any_phase: turn each chunk by an angle of its own.

    Returns:
        complex64 [N, L].
    """
    m = MODULATIONS[name]
    chunks = m.points[rng.integers(m.order, size=(count, length))]
    if any_phase:
        chunks = rotate(chunks, rng.uniform(0, 2 * np.pi, count))
    if phase_noise:
        chunks = add_phase_noise(chunks, phase_noise, rng)
    return add_noise(chunks, noise_power_from_es_n0_db(es_n0_db), rng)


def _calibration_error(probability: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    bins = np.minimum((probability * _BINS).astype(int), _BINS - 1)
    count = np.bincount(bins, minlength=_BINS)
    gap = np.abs(np.bincount(bins, probability, _BINS) - np.bincount(bins, right, _BINS))
    return float(gap.sum() / count.sum())


def _fuse(contract: Contract, evidence: Evidence) -> str:
    """Return the class that all the chunks of some evidence decide on together."""
    count = len(evidence.power)
    maker = DecisionMaker(contract.weighed(), contract.chunk_length, count, change_evidence=math.inf)
    return maker.update(evidence, contract.chunk_length * np.arange(count, dtype=np.int64))[0].best


def evaluate(
    classifier: Classifier,
    chunks_per_class: int = 1_000,
    es_n0_db: Sequence[float] = DEFAULT_ES_N0_DB,
    phase_noise: float = 0.0,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> Evaluation:
    """Classify fresh ideal chunks of every modulation the model knows, and some that it should not.

    The decision is the most probable of all the model's outputs, `unknown` included. A model for any phase gets each
    chunk at a random rotation. Other signals come with noise 10 to 25 dB below them.

    Args:
        classifier: the model.
        chunks_per_class: chunks of each modulation at each Es/N0; a quarter as many decisions, on 32 chunks each, of
            each other signal.
        es_n0_db: levels, dB.
        phase_noise: standard deviation, radians.
        seed: of all randomness.
        progress: called with (steps done, steps in all).

    Raises:
        AmrqError: the model knows none of the nine modulations, or takes more than one sample a symbol, or a number
            is out of range.
    """
    contract = classifier.contract
    truths = tuple(name for name in contract.classes if name in MODULATIONS)
    if not truths:
        raise AmrqError(f"model {contract.name!r} knows none of {', '.join(MODULATIONS)}.")
    if contract.samples_per_symbol != 1:
        raise AmrqError(
            f"model {contract.name!r} takes {contract.samples_per_symbol} samples a symbol, not 1."
        )
    if chunks_per_class < 1 or not es_n0_db:
        raise AmrqError("an evaluation needs at least 1 chunk a class and at least one Es/N0.")
    if not all(math.isfinite(level) for level in es_n0_db):
        raise AmrqError(
            f"Es/N0 must be finite numbers in dB, not {', '.join(f'{level:g}' for level in es_n0_db)}."
        )
    outputs = contract.classes
    length = contract.chunk_length
    kinds = [k for k in (*OTHER_SIGNALS, *HELD_OUT_SIGNALS) if UNKNOWN in outputs and k not in _MOMENTARY]
    steps, done = len(es_n0_db) + len(kinds), 0
    levels = []
    for number, level in enumerate(sorted(es_n0_db)):
        confusion = np.zeros((len(truths), len(outputs)), dtype=np.int64)
        fused = np.zeros_like(confusion)
        confidences, rights = [], []
        for row, name in enumerate(truths):
            rng = np.random.default_rng([seed, 0, number, row])
            chunks = fresh_chunks(
                name, chunks_per_class, length, level, rng, phase_noise, contract.phase == "any"
            )
            evidence = classifier.classify(chunks)
            log_probabilities = evidence.log_probabilities
            decided = log_probabilities.argmax(axis=1)
            for start in range(0, chunks_per_class - FUSED_CHUNKS + 1, FUSED_CHUNKS):
                best = _fuse(contract, evidence.part(start, start + FUSED_CHUNKS))
                fused[row, outputs.index(best)] += 1
            confusion[row] = np.bincount(decided, minlength=len(outputs))
            confidences.append(np.exp(log_probabilities.max(axis=1).astype(np.float64)))
            rights.append(decided == outputs.index(name))
        error = _calibration_error(np.concatenate(confidences), np.concatenate(rights))
        # Columns in the order of the truths first, so that the diagonal holds what is right.
        order = [outputs.index(name) for name in truths]
        order += [i for i in range(len(outputs)) if i not in order]
        levels.append(NoiseLevel(float(level), confusion[:, order], fused[:, order], error))
        done += 1
        progress(done, steps)
    ordered = tuple(outputs[i] for i in order)

    others = []
    decisions = max(1, chunks_per_class // 4)
    for number, kind in enumerate(kinds):
        rng = np.random.default_rng([seed, 1, number])
        votes = np.empty((decisions, len(outputs)), dtype=np.int64)
        single = np.empty((decisions, FUSED_CHUNKS), dtype=np.int64)
        for trial in range(decisions):
            # One transmission in one go, its settings the same throughout, as a receiver meets it.
            noise = noise_power_from_es_n0_db(float(rng.uniform(10, 25)))
            samples = other_signal(kind, 1, FUSED_CHUNKS * length, rng).reshape(FUSED_CHUNKS, length)
            samples = add_noise(samples, noise, rng)
            evidence = classifier.classify(samples)
            single[trial] = evidence.log_probabilities.argmax(axis=1)
            votes[trial] = 0
            votes[trial, outputs.index(_fuse(contract, evidence))] = 1
        unknown = outputs.index(UNKNOWN)
        total = votes.sum(axis=0)
        wrong = total.copy()
        wrong[unknown] = 0
        others.append(
            OtherSignal(
                kind=kind,
                chunks=single.size,
                unknown=float((single == unknown).mean()),
                decisions=decisions,
                fused=FUSED_CHUNKS,
                unknown_fused=float(total[unknown] / decisions),
                mistaken_for=outputs[int(wrong.argmax())] if wrong.any() else "",
            )
        )
        done += 1
        progress(done, steps)
    return Evaluation(contract.name, truths, ordered, phase_noise, seed, tuple(levels), tuple(others))
