# SPDX-License-Identifier: GPL-3.0-or-later
"""What an evaluation found."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amrq.evaluation.clopper_pearson import clopper_pearson
from amrq.model import AccuracyRow

__all__ = ["Evaluation", "NoiseLevel", "OtherSignal"]


@dataclass(frozen=True, eq=False)
class NoiseLevel:
    """Results at one Es/N0.

    Attributes:
        es_n0_db: Es/N0 in dB.
        confusion: int64 [true modulations, model outputs], number of chunks.
        fused: int64 [true modulations, model outputs], number of decisions on 32 chunks of one Es/N0 each; all zero
            where there were fewer chunks.
        calibration_error: expected calibration error (Guo et al. 2017, eq. 3), 15 bins.
    """

    es_n0_db: float
    confusion: NDArray[np.int64]
    fused: NDArray[np.int64]
    calibration_error: float

    def class_rows(self) -> list[AccuracyRow]:
        """Return the accuracy of each true modulation, with its 95 % interval."""
        return [self._row(int(row[number]), int(row.sum())) for number, row in enumerate(self.confusion)]

    def row(self) -> AccuracyRow:
        """Return the accuracy over all of them."""
        return self._row(int(np.trace(self.confusion)), int(self.confusion.sum()))

    def fused_row(self) -> AccuracyRow | None:
        """Return the accuracy of fused decisions over all modulations; None if there were none."""
        decisions = int(self.fused.sum())
        return self._row(int(np.trace(self.fused)), decisions) if decisions else None

    def _row(self, right: int, chunks: int) -> AccuracyRow:
        low, high = clopper_pearson(right, chunks)
        return AccuracyRow(self.es_n0_db, right / chunks, low, high, chunks)


@dataclass(frozen=True)
class OtherSignal:
    """What a model says of a signal that is none of the nine.

    Attributes:
        kind: see `amrq.signals.other_signals`.
        chunks: number of chunks.
        unknown: share of single chunks called `unknown`.
        decisions: number of decisions on `fused` chunks each.
        fused: chunks whose evidence a decision fuses.
        unknown_fused: share of these decisions called `unknown`.
        mistaken_for: the modulation most of the other decisions name, empty if there are none.
    """

    kind: str
    chunks: int
    unknown: float
    decisions: int
    fused: int
    unknown_fused: float
    mistaken_for: str


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Accuracy of a model on fresh chunks.

    Attributes:
        model: its name.
        truths: the modulations sent.
        outputs: the model's labels.
        phase_noise: standard deviation of the phase noise, radians.
        seed: of the chunks.
        levels: results by Es/N0, rising.
        others: what it says of other signals; empty if it has no output `unknown`.
    """

    model: str
    truths: tuple[str, ...]
    outputs: tuple[str, ...]
    phase_noise: float
    seed: int
    levels: tuple[NoiseLevel, ...]
    others: tuple[OtherSignal, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return {
            "model": self.model,
            "classes": list(self.truths),
            "outputs": list(self.outputs),
            "phase_noise": self.phase_noise,
            "seed": self.seed,
            "levels": [
                {
                    "es_n0_db": level.es_n0_db,
                    "accuracy": level.row().accuracy,
                    "low": level.row().low,
                    "high": level.row().high,
                    "chunks": level.row().chunks,
                    "calibration_error": level.calibration_error,
                    "per_class": {
                        name: {
                            "accuracy": row.accuracy,
                            "low": row.low,
                            "high": row.high,
                            "chunks": row.chunks,
                        }
                        for name, row in zip(self.truths, level.class_rows(), strict=True)
                    },
                    "confusion": level.confusion.tolist(),
                    "fused": level.fused.tolist(),
                }
                for level in self.levels
            ],
            "other_signals": [vars(other) for other in self.others],
        }
