# SPDX-License-Identifier: GPL-3.0-or-later
"""What an evaluation found."""

from dataclasses import dataclass
from typing import Any

from amrq.evaluation.noise_level import NoiseLevel
from amrq.evaluation.open_set import OpenSet
from amrq.evaluation.other_signal import OtherSignal
from amrq.evaluation.reliability import Reliability
from amrq.evaluation.sweep import Sweep
from amrq.model import NO_SIGNAL, UNKNOWN

__all__ = ["Evaluation"]


@dataclass(frozen=True, eq=False)
class Evaluation:
    """How good a model is on fresh chunks.

    Attributes:
        model: its name.
        phase: its phase regime, `coherent` or `any`.
        chunk_length: symbols a chunk.
        level_input: whether the model takes the stream's level; fused decisions and other signals then have it given.
        trained_es_n0_db: lowest and highest Es/N0 that it was trained on, dB.
        truths: the modulations sent.
        outputs: the model's labels, the modulations first.
        phase_noise: standard deviation of the phase noise, radians.
        seed: of the chunks.
        bound_es_n0_db: the range of Es/N0 that the bound expects, dB; None if there is no bound.
        levels: results by Es/N0, rising.
        others: what it says of other signals.
        open_set: what a threshold lets through; None without a level of 10 dB or more or with too few chunks for a
            fused decision.
        sweeps: accuracy against impairments; empty if they were not asked for.
    """

    model: str
    phase: str
    chunk_length: int
    level_input: bool
    trained_es_n0_db: tuple[float, float]
    truths: tuple[str, ...]
    outputs: tuple[str, ...]
    phase_noise: float
    seed: int
    bound_es_n0_db: tuple[float, float] | None
    levels: tuple[NoiseLevel, ...]
    others: tuple[OtherSignal, ...]
    open_set: OpenSet | None
    sweeps: tuple[Sweep, ...]

    @property
    def knows_others(self) -> bool:
        """Whether the model has an output for what is none of its modulations: `unknown`, or `no signal`."""
        return UNKNOWN in self.outputs or NO_SIGNAL in self.outputs

    @property
    def reliability(self) -> Reliability:
        """Probabilities among the named modulations, all levels together."""
        return Reliability.total([level.named.reliability for level in self.levels])

    @property
    def all_reliability(self) -> Reliability:
        """Probabilities of all outputs, all levels together."""
        return Reliability.total([level.reliability for level in self.levels])

    @property
    def fused_reliability(self) -> Reliability:
        """Confidences of fused decisions, all levels together."""
        return Reliability.total([level.fused_reliability for level in self.levels])

    @property
    def tracked_reliability(self) -> Reliability | None:
        """Probabilities with all known that can be tracked, all levels together; None if Es/N0 is not weighed."""
        tracked = [level.tracked.reliability for level in self.levels if level.tracked is not None]
        return Reliability.total(tracked) if tracked else None

    @property
    def bound_reliability(self) -> Reliability | None:
        """Probabilities of the bound, all levels together; None if it was not asked."""
        bounds = [level.named.bound.reliability for level in self.levels if level.named.bound is not None]
        return Reliability.total(bounds) if bounds else None

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON, with all counts."""
        bound, tracked = self.bound_reliability, self.tracked_reliability
        return {
            "model": self.model,
            "phase": self.phase,
            "chunk_length": self.chunk_length,
            "level_input": self.level_input,
            "trained_es_n0_db": list(self.trained_es_n0_db),
            "classes": list(self.truths),
            "outputs": list(self.outputs),
            "phase_noise": self.phase_noise,
            "seed": self.seed,
            "bound_es_n0_db": None if self.bound_es_n0_db is None else list(self.bound_es_n0_db),
            "levels": [level.as_dict(self.truths) for level in self.levels],
            "all_levels": {
                "calibration": self.reliability.as_dict(),
                "calibration_all_outputs": self.all_reliability.as_dict(),
                "calibration_fused": self.fused_reliability.as_dict(),
                "calibration_tracked": None if tracked is None else tracked.as_dict(),
                "calibration_bound": None if bound is None else bound.as_dict(),
            },
            "other_signals": [other.as_dict() for other in self.others],
            "open_set": None if self.open_set is None else self.open_set.as_dict(),
            "sweeps": [sweep.as_dict() for sweep in self.sweeps],
        }
