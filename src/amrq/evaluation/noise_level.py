# SPDX-License-Identifier: GPL-3.0-or-later
"""What an evaluation found at one Es/N0."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amrq.evaluation.named_decisions import NamedDecisions
from amrq.evaluation.reliability import Reliability
from amrq.evaluation.share import Share
from amrq.model import AccuracyRow

__all__ = ["NoiseLevel"]


@dataclass(frozen=True, eq=False)
class NoiseLevel:
    """Results at one Es/N0 for T modulations and a model of O outputs, the modulations first.

    Attributes:
        es_n0_db: Es/N0 in dB.
        named: decisions among the modulations alone: what compares with the bound.
        confusion: int64 [T, O], chunks by true modulation and most probable output, `unknown` and the like included.
        reliability: of the probabilities of all outputs.
        fused: int64 [T, O], decisions on 1,024 symbols of one Es/N0 each; all zero where there were fewer chunks.
        fused_named: int64 [T, T], the same among the modulations alone.
        fused_reliability: of the confidences of the decisions in `fused`.
        level_known: `named` with the stream's level given beside each chunk; None where the model takes no level.
        es_n0_known: `named` with the true Es/N0 given, decided by the hypotheses there; None where the model takes the
            level or does not weigh its modulations by Es/N0.
        all_known: with level and true Es/N0 given; None where the model does not take or weigh both.
    """

    es_n0_db: float
    named: NamedDecisions
    confusion: NDArray[np.int64]
    reliability: Reliability
    fused: NDArray[np.int64]
    fused_named: NDArray[np.int64]
    fused_reliability: Reliability
    level_known: NamedDecisions | None = None
    es_n0_known: NamedDecisions | None = None
    all_known: NamedDecisions | None = None

    @property
    def by_knowledge(self) -> dict[str, NamedDecisions]:
        """Decisions among the named modulations by what the receiver knows beside the chunk, where it was asked."""
        known = {
            "chunk alone": self.named,
            "level known": self.level_known,
            "Es/N0 known": self.es_n0_known,
            "level and Es/N0 known": self.all_known,
        }
        return {name: decisions for name, decisions in known.items() if decisions is not None}

    @property
    def tracked(self) -> NamedDecisions | None:
        """`named` with Es/N0 given, and the level where the model takes it; None if it does not weigh Es/N0."""
        return self.all_known or self.es_n0_known

    @property
    def calibration_error(self) -> float:
        """Expected calibration error among the named modulations, 0 to 1."""
        return self.named.reliability.error

    @property
    def all_share(self) -> Share:
        """Right decisions among all outputs."""
        return Share(int(np.trace(self.confusion)), int(self.confusion.sum()))

    @property
    def fused_share(self) -> Share | None:
        """Right decisions on 1,024 symbols, among the named modulations; None if there were none."""
        decisions = int(self.fused_named.sum())
        return Share(int(np.trace(self.fused_named)), decisions) if decisions else None

    def row(self) -> AccuracyRow:
        """Return the accuracy among the named modulations, over all of them."""
        return self._row(self.named.share)

    def all_row(self) -> AccuracyRow:
        """Return the accuracy among all outputs: `unknown` counts as wrong."""
        return self._row(self.all_share)

    def class_rows(self) -> list[AccuracyRow]:
        """Return the accuracy of each true modulation, among the named modulations."""
        return [self._row(share) for share in self.named.class_shares()]

    def fused_row(self) -> AccuracyRow | None:
        """Return the accuracy of fused decisions among the named modulations; None if there were none."""
        return None if self.fused_share is None else self._row(self.fused_share)

    def _row(self, share: Share) -> AccuracyRow:
        return AccuracyRow(self.es_n0_db, share.value, *share.exact, share.of)

    def as_dict(self, truths: tuple[str, ...]) -> dict[str, Any]:
        """Return plain values, ready for JSON; `truths` are the T modulations."""
        row = self.row()
        values: dict[str, Any] = {
            "es_n0_db": self.es_n0_db,
            "accuracy": row.accuracy,
            "low": row.low,
            "high": row.high,
            "chunks": row.chunks,
            "named": self.named.as_dict(truths),
            "all_outputs": {
                "accuracy": self.all_share.as_dict(),
                "confusion": self.confusion.tolist(),
                "calibration": self.reliability.as_dict(),
            },
            "fused": {
                "accuracy": self.fused_share.as_dict() if self.fused_share else None,
                "confusion": self.fused.tolist(),
                "named_confusion": self.fused_named.tolist(),
                "calibration": self.fused_reliability.as_dict(),
            },
        }
        for name in ("level_known", "es_n0_known", "all_known"):
            decisions: NamedDecisions | None = getattr(self, name)
            if decisions is not None:
                values[name] = decisions.as_dict(truths)
        return values
