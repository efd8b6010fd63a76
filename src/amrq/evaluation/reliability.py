# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a confidence of 80 % is right in 80 % of cases."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Reliability"]

_BINS = 15


@dataclass(frozen=True, eq=False)
class Reliability:
    """Decisions by confidence, in 15 bins of equal width (Guo et al. 2017, "On calibration of modern neural networks").

    Attributes:
        count: int64 [15], decisions.
        confidence: float64 [15], sum of their confidences.
        right: int64 [15], how many were right.
        variance: float64 [15], sum of c (1 - c) over their confidences c.
    """

    count: NDArray[np.int64]
    confidence: NDArray[np.float64]
    right: NDArray[np.int64]
    variance: NDArray[np.float64]

    @classmethod
    def measure(cls, confidence: NDArray[np.floating[Any]], right: NDArray[np.bool_]) -> "Reliability":
        """Sort decisions into bins.

        Args:
            confidence: float [N], 0 to 1.
            right: bool [N].
        """
        sure = np.clip(confidence.astype(np.float64), 0, 1)
        bins = np.minimum((sure * _BINS).astype(np.int64), _BINS - 1)
        return cls(
            np.bincount(bins, minlength=_BINS),
            np.bincount(bins, sure, _BINS).astype(np.float64),
            np.bincount(bins[right], minlength=_BINS),
            np.bincount(bins, sure * (1 - sure), _BINS).astype(np.float64),
        )

    @classmethod
    def total(cls, parts: "list[Reliability]") -> "Reliability":
        """Return all decisions of some tables together; of none, an empty table."""
        if not parts:
            return cls.measure(np.empty(0), np.empty(0, dtype=np.bool_))
        return cls(
            np.sum([part.count for part in parts], axis=0),
            np.sum([part.confidence for part in parts], axis=0),
            np.sum([part.right for part in parts], axis=0),
            np.sum([part.variance for part in parts], axis=0),
        )

    @property
    def decisions(self) -> int:
        """Number of decisions."""
        return int(self.count.sum())

    @property
    def error(self) -> float:
        """Expected calibration error, 0 to 1 (Guo et al. 2017, eq. 3); 0 for an empty table.

        The mean over decisions of how far their bin's mean confidence is from its share of right decisions.
        """
        return float(np.abs(self.confidence - self.right).sum() / max(1, self.decisions))

    @property
    def error_by_chance(self) -> float:
        """What a perfectly calibrated decider would show on so few decisions with these confidences.

        In each bin the number right then deviates from its expectation nearly normally, by sqrt(2 v / pi) in the mean
        for a variance v.
        """
        return float(np.sqrt(2 * self.variance / np.pi).sum() / max(1, self.decisions))

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return {
            "expected_calibration_error": round(self.error, 6),
            "error_by_chance": round(self.error_by_chance, 6),
            "decisions": self.count.tolist(),
            "confidence_sum": [round(value, 4) for value in self.confidence.tolist()],
            "right": self.right.tolist(),
        }
