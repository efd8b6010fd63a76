# SPDX-License-Identifier: GPL-3.0-or-later
"""What a threshold on the confidence lets through."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["OpenSet"]

_CONFIDENCES = (
    *(0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.999),
    *(1 - 10.0**-digits for digits in range(4, 13)),
)
"""Thresholds in the JSON file."""


@dataclass(frozen=True, eq=False)
class OpenSet:
    """Fused decisions on named modulations and on other signals, by how sure they are.

    A decision's score is ln(p / (1 - p)) for the probability p of the most probable named modulation. From a
    threshold of one half up, p above the threshold is what `DecisionMaker` takes to name it; below, the curve goes on
    to where everything is named.

    Attributes:
        min_confidence: the threshold of a `DecisionMaker` that is told nothing else, 0 to 1.
        es_n0_db: the lowest Es/N0 of the named modulations here, dB.
        known: float64 [K], scores of decisions on named modulations.
        right: bool [K], whether the most probable named modulation is the true one.
        others: scores by kind of other signal, float64 [D] each.
    """

    min_confidence: float
    es_n0_db: float
    known: NDArray[np.float64]
    right: NDArray[np.bool_]
    others: dict[str, NDArray[np.float64]]

    @staticmethod
    def log_odds(confidence: float) -> float:
        """Return the score of a probability above 0 and below 1."""
        return float(np.log(confidence) - np.log1p(-confidence))

    @staticmethod
    def passed(scores: NDArray[np.float64], thresholds: Sequence[float]) -> NDArray[np.int64]:
        """Return how many scores reach each threshold: int64 [thresholds]."""
        return np.asarray(len(scores) - np.searchsorted(np.sort(scores), thresholds, side="left"))

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        thresholds = [self.log_odds(confidence) for confidence in _CONFIDENCES]
        return {
            "default_min_confidence": self.min_confidence,
            "lowest_es_n0_db": self.es_n0_db,
            "min_confidence": [round(confidence, 12) for confidence in _CONFIDENCES],
            "known": {
                "decisions": len(self.known),
                "named": self.passed(self.known, thresholds).tolist(),
                "named_right": self.passed(self.known[self.right], thresholds).tolist(),
            },
            "others": {
                kind: {"decisions": len(scores), "named": self.passed(scores, thresholds).tolist()}
                for kind, scores in self.others.items()
            },
        }
