# SPDX-License-Identifier: GPL-3.0-or-later
"""Decisions among the modulations that a model names."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amrq.evaluation.paired_difference import PairedDifference
from amrq.evaluation.reliability import Reliability
from amrq.evaluation.share import Share

__all__ = ["NamedDecisions"]


@dataclass(frozen=True, eq=False)
class NamedDecisions:
    """Decisions on single chunks for the most probable of the named modulations, as if there were nothing else.

    Attributes:
        confusion: int64 [T, T], chunks by true modulation (rows) and decision (columns).
        reliability: of the probabilities among these modulations.
        bound: the best possible receiver's decisions on the same chunks; None if it was not asked.
        gap: how much more often the bound is right, chunk by chunk; None without a bound.
    """

    confusion: NDArray[np.int64]
    reliability: Reliability
    bound: "NamedDecisions | None" = None
    gap: PairedDifference | None = None

    @classmethod
    def measure(
        cls,
        log_probabilities: NDArray[np.floating[Any]],
        truths: NDArray[np.int64],
        bound: NDArray[np.floating[Any]] | None = None,
    ) -> "NamedDecisions":
        """Decide.

        Args:
            log_probabilities: float [N, T], natural logarithms, up to a constant a row.
            truths: int64 [N], the true column.
            bound: float [N, T], the same of the bound.
        """
        values = log_probabilities.astype(np.float64)
        values -= np.logaddexp.reduce(values, axis=1, keepdims=True)
        decided = values.argmax(axis=1)
        right = decided == truths
        size = values.shape[1]
        confusion = np.bincount(truths * size + decided, minlength=size * size).reshape(size, size)
        reliability = Reliability.measure(np.exp(values.max(axis=1)), right)
        if bound is None:
            return cls(confusion, reliability)
        bound_right = bound.argmax(axis=1) == truths
        gap = PairedDifference(
            int((bound_right & ~right).sum()), int((right & ~bound_right).sum()), len(truths)
        )
        return cls(confusion, reliability, cls.measure(bound, truths), gap)

    @property
    def share(self) -> Share:
        """Right decisions over all modulations."""
        return Share(int(np.trace(self.confusion)), int(self.confusion.sum()))

    def class_shares(self) -> list[Share]:
        """Right decisions of each true modulation."""
        return [Share(int(row[number]), int(row.sum())) for number, row in enumerate(self.confusion)]

    def as_dict(self, names: tuple[str, ...]) -> dict[str, Any]:
        """Return plain values, ready for JSON; `names` are the T modulations."""
        values: dict[str, Any] = {
            "accuracy": self.share.as_dict(),
            "per_class": {
                name: share.as_dict() for name, share in zip(names, self.class_shares(), strict=True)
            },
            "confusion": self.confusion.tolist(),
            "calibration": self.reliability.as_dict(),
        }
        if self.bound is not None and self.gap is not None:
            values["bound"] = self.bound.as_dict(names)
            values["bound_minus_model"] = self.gap.as_dict()
        return values
