# SPDX-License-Identifier: GPL-3.0-or-later
"""Hold a model against fresh chunks."""

import math
from collections.abc import Callable, Sequence

import numpy as np

from amrq.classifier import Classifier
from amrq.decision import DecisionOptions
from amrq.errors import AmrqError
from amrq.evaluation.bound import Bound
from amrq.evaluation.chunk_set import ChunkSet
from amrq.evaluation.evaluation import Evaluation
from amrq.evaluation.impairment import IMPAIRMENTS
from amrq.evaluation.knowledge import Knowledge
from amrq.evaluation.measure_level import MeasuredLevel, measure_level
from amrq.evaluation.measure_other import OTHER_KINDS, measure_other
from amrq.evaluation.measure_sweeps import measure_sweeps
from amrq.evaluation.open_set import OpenSet
from amrq.evaluation.other_signal import OtherSignal
from amrq.model import Contract
from amrq.modulations import MODULATIONS

__all__ = ["DEFAULT_ES_N0_DB", "FUSED_SYMBOLS", "evaluate"]

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
    bound: Bound | None = None,
    sweep_es_n0_db: Sequence[float] = (),
) -> Evaluation:
    """Classify fresh ideal chunks of every modulation the model knows, and signals that it should not name.

    Decisions are counted twice: among the named modulations, as the bound decides, and among all outputs. A model for
    any phase gets each chunk at a random rotation. Other signals come with noise 10 to 25 dB below them.

    Args:
        classifier: the model.
        chunks_per_class: chunks of each modulation at each Es/N0; half as many fused decisions on each other signal,
            and a quarter as many chunks at each value of a sweep.
        es_n0_db: levels, dB.
        phase_noise: standard deviation, radians.
        seed: of all randomness.
        progress: called with (steps done, steps in all).
        bound: the best possible receiver, to be asked about the same chunks; it remembers, so that one serves many
            models.
        sweep_es_n0_db: levels at which to sweep rotation, frequency, timing, level and phase noise, dB.

    Raises:
        AmrqError: the model knows none of the nine modulations, or takes more than one sample a symbol, or a number
            is out of range.
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
        contract.chunk_length, chunks_per_class, seed, float(phase_noise), contract.phase == "any"
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
    sweeps = [
        sweep
        for level in sweep_es_n0_db
        for sweep in measure_sweeps(
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
        truths=truths,
        outputs=outputs,
        phase_noise=float(phase_noise),
        seed=seed,
        bound_es_n0_db=None if bound is None else bound.es_n0_db,
        levels=tuple(found.level for found in measured),
        others=tuple(others),
        open_set=_open_set(contract, measured, others),
        sweeps=tuple(sweeps),
    )


def _truths(contract: Contract) -> tuple[str, ...]:
    truths = tuple(name for name in contract.classes if name in MODULATIONS)
    if not truths:
        raise AmrqError(f"model {contract.name!r} knows none of {', '.join(MODULATIONS)}.")
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
        min_confidence=DecisionOptions().min_confidence,
        es_n0_db=good[0].level.es_n0_db,
        known=np.concatenate([found.scores for found in good]),
        right=np.concatenate([found.right for found in good]),
        others={other.kind: other.scores for other in others},
    )
