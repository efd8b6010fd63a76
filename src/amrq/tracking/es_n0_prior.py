# SPDX-License-Identifier: GPL-3.0-or-later
"""What a model's hypotheses expect when Es/N0 is known, more or less."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amrq.model import Hypothesis

__all__ = ["EsN0Prior"]


class EsN0Prior:
    """Turn weights of Es/N0 levels into prior probabilities of hypotheses.

    A class keeps its probability; weights only say how it is spread over its levels. Hypotheses without a level
    keep theirs.

    Args:
        hypotheses: what a model weighs, grouped by class.
        log_prior: float64 [H], natural logarithm of each hypothesis's probability, where no Es/N0 is known.
    """

    def __init__(self, hypotheses: Sequence[Hypothesis], log_prior: NDArray[np.float64]) -> None:
        self.levels = tuple(sorted({h.es_n0_db for h in hypotheses if h.es_n0_db is not None}))
        """Es/N0 in dB that the weights stand for, rising; empty where the model weighs none."""
        self.columns = np.array(
            [n for n, h in enumerate(hypotheses) if h.es_n0_db is not None], dtype=np.int64
        )
        """Hypotheses with a level."""
        self.level_of = np.array(
            [self.levels.index(h.es_n0_db) for h in hypotheses if h.es_n0_db is not None], dtype=np.int64
        )
        """Number of the level of each of these."""
        self._log_prior = log_prior
        classes = tuple(dict.fromkeys(h.label for h in hypotheses))
        owner = np.array([classes.index(hypotheses[n].label) for n in self.columns], dtype=np.int64)
        prior = np.exp(log_prior[self.columns])
        # Of several hypotheses of one class at one level, each has its share of the level's weight.
        same = (owner[:, None] == owner) & (self.level_of[:, None] == self.level_of)
        self._share = prior / (same @ prior)
        self._same_class = (owner[:, None] == owner).astype(np.float64)
        self._mass = self._same_class @ prior  # of the class's hypotheses with a level

    def log_prior(self, log_weights: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """Return the logarithm of each hypothesis's probability: float64 [N, H].

        Args:
            log_weights: [N, levels], natural logarithms of the levels' weights.
        """
        result = np.tile(self._log_prior, (len(log_weights), 1))
        if self.levels:
            weights = np.exp(log_weights.astype(np.float64))[:, self.level_of] * self._share
            total = np.maximum(weights @ self._same_class, math.ulp(0.0))
            result[:, self.columns] = np.log(np.maximum(weights / total * self._mass, 1e-300))
        return result
