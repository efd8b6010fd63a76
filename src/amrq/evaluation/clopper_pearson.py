# SPDX-License-Identifier: GPL-3.0-or-later
"""How far an observed share can be trusted."""

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np

from amrq.errors import AmrqError

__all__ = ["clopper_pearson"]

_HALVINGS = 60
"""Bisections: the interval [0, 1] is down to 2^-60 then, below a double's resolution of most shares."""


def _solve(grows: Callable[[float], float], target: float) -> float:
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if grows(middle) < target:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def clopper_pearson(successes: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return the exact interval of a binomial share (Clopper and Pearson 1934).

    Solved by bisection on the binomial tail, so that the live environment needs no SciPy.

    Args:
        successes: k, 0 to `trials`.
        trials: n, at least 1.
        confidence: probability that the interval holds the true share, above 0 and below 1.

    Returns:
        lower and upper end: the p at which k or more, and k or fewer, have probability (1 - confidence) / 2.

    Raises:
        AmrqError: a value is out of its range.
    """
    if not (0 <= successes <= trials and trials >= 1 and 0 < confidence < 1):
        raise AmrqError(f"{successes} of {trials} at confidence {confidence} is not a share.")
    return _interval(successes, trials, confidence)


@lru_cache(maxsize=4096)  # pages and JSON files ask for the same intervals again and again
def _interval(successes: int, trials: int, confidence: float) -> tuple[float, float]:
    tail = (1 - confidence) / 2
    log_factorial = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1.0, trials + 1)))])

    def probability(first: int, last: int, p: float) -> float:
        """Probability of `first` to `last` successes."""
        k = np.arange(first, last + 1)
        ways = log_factorial[trials] - log_factorial[k] - log_factorial[trials - k]
        return float(np.exp(ways + k * math.log(p) + (trials - k) * math.log1p(-p)).sum())

    low = 0.0 if successes == 0 else _solve(lambda p: probability(successes, trials, p), tail)
    high = 1.0 if successes == trials else _solve(lambda p: 1 - probability(0, successes, p), 1 - tail)
    return low, high
