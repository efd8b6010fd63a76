# SPDX-License-Identifier: GPL-3.0-or-later
"""How much more often one decider is right than another, on the same trials."""

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

from amrq.errors import AmrqError

__all__ = ["PairedDifference"]

_Z = NormalDist().inv_cdf(0.975)


@dataclass(frozen=True)
class PairedDifference:
    """Difference of two shares of right decisions on the same trials.

    Trials on which both are right, or both wrong, say nothing about the difference: with b trials on which only the
    first is right and c on which only the second is, it is (b - c) / n, with a far narrower interval than two
    separate runs would give.

    Attributes:
        first_only: b.
        second_only: c.
        of: n, trials, at least 1.

    Raises:
        AmrqError: the counts do not fit together.
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
        proportions", Statist. Med. 24), so that it keeps a width where the two never differed.
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
