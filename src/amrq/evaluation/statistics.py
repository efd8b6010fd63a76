# SPDX-License-Identifier: GPL-3.0-or-later
"""Observed shares and their differences, with confidence intervals."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist
from typing import Any

import numpy as np

from amrq.errors import AmrqError

__all__ = ["PairedDifference", "Share", "clopper_pearson", "wald"]

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

    It is solved by bisection on the binomial tail, without SciPy.

    Args:
        successes: k, 0 to `trials`.
        trials: n, at least 1.
        confidence: probability that the interval holds the true share, above 0 and below 1.

    Returns:
        lower and upper end: the p at which k or more successes, and k or fewer, have probability (1 - confidence) / 2.

    Raises:
        AmrqError: a value is out of its range.

    >>> [round(end, 4) for end in clopper_pearson(2304, 2304)]
    [0.9984, 1.0]
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


def wald(successes: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return the Wald interval of a binomial share: p -+ z sqrt(p (1 - p) / n), cut to [0, 1].

    p = k / n, and z is the standard normal quantile of (1 + confidence) / 2, 1.96 at 95 % (Agresti 2013, "Categorical
    Data Analysis", section 1.3.3). The thesis gives its upper end beside the lower end of Clopper and Pearson. It is
    an approximation: too narrow near 0 and 1, and of width 0 at 0 and 1 themselves. `clopper_pearson` is valid there.

    Args:
        successes: k, 0 to `trials`.
        trials: n, at least 1.
        confidence: nominal probability that the interval holds the true share, above 0 and below 1.

    Raises:
        AmrqError: a value is out of its range.

    >>> [round(end, 3) for end in wald(95, 100)]
    [0.907, 0.993]
    """
    if not (0 <= successes <= trials and trials >= 1 and 0 < confidence < 1):
        raise AmrqError(f"{successes} of {trials} at confidence {confidence} is not a share.")
    share = successes / trials
    reach = NormalDist().inv_cdf((1 + confidence) / 2) * math.sqrt(share * (1 - share) / trials)
    return max(0.0, share - reach), min(1.0, share + reach)


@dataclass(frozen=True)
class Share:
    """An observed share, with its confidence intervals.

    Attributes:
        count: successes, 0 to `of`.
        of: trials, at least 1.

    >>> share = Share(95, 100)
    >>> share.value, [round(end, 3) for end in share.exact]
    (0.95, [0.887, 0.984])
    """

    count: int
    of: int

    @property
    def value(self) -> float:
        """The share, 0 to 1."""
        return self.count / self.of

    @property
    def exact(self) -> tuple[float, float]:
        """Clopper-Pearson interval at 95 %."""
        return clopper_pearson(self.count, self.of)

    @property
    def wald(self) -> tuple[float, float]:
        """Wald interval at 95 %."""
        return wald(self.count, self.of)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return {
            "count": self.count,
            "of": self.of,
            "share": round(self.value, 6),
            "clopper_pearson": [round(end, 6) for end in self.exact],
            "wald": [round(end, 6) for end in self.wald],
        }


_Z = NormalDist().inv_cdf(0.975)


@dataclass(frozen=True)
class PairedDifference:
    """Difference of two shares of right decisions on the same trials.

    Trials on which both are right, or both wrong, do not affect the difference. With b trials on which only the first
    is right and c on which only the second is, the difference is (b - c) / n. Its interval is far narrower than that
    of two separate runs.

    Attributes:
        first_only: b.
        second_only: c.
        of: n, trials, at least 1.

    Raises:
        AmrqError: the counts do not fit together.

    >>> found = PairedDifference(first_only=30, second_only=10, of=1000)
    >>> found.difference, [round(end, 3) for end in found.interval]
    (0.02, [0.007, 0.032])
    """

    first_only: int
    second_only: int
    of: int

    def __post_init__(self) -> None:
        if not (self.first_only >= 0 and self.second_only >= 0 and self.of >= 1):
            raise AmrqError(f"{self} is not a comparison of paired decisions.")
        if self.first_only + self.second_only > self.of:
            raise AmrqError(f"{self} has more trials with one right answer than trials.")

    @property
    def difference(self) -> float:
        """Share right of the first minus that of the second, -1 to 1."""
        return (self.first_only - self.second_only) / self.of

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the difference.

        Wald's for paired shares, d -+ z sqrt(b + c - (b - c)^2 / n) / n, with half a trial added to each of the four
        cells of the table (Agresti and Min 2005, "Simple improved confidence intervals for comparing matched
        proportions", Statist. Med. 24), so that its width is not 0 if the two never differed.
        """
        b, c, n = self.first_only + 0.5, self.second_only + 0.5, self.of + 2
        middle = (b - c) / n
        reach = _Z * math.sqrt(b + c - (b - c) ** 2 / n) / n
        # The observed difference always lies inside, also where the added halves moved the middle.
        return min(self.difference, middle - reach), max(self.difference, middle + reach)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return {
            "first_only": self.first_only,
            "second_only": self.second_only,
            "of": self.of,
            "difference": round(self.difference, 6),
            "interval": [round(end, 6) for end in self.interval],
        }
