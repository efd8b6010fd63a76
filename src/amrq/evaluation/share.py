# SPDX-License-Identifier: GPL-3.0-or-later
"""A count out of a count."""

from dataclasses import dataclass
from typing import Any

from amrq.evaluation.clopper_pearson import clopper_pearson
from amrq.evaluation.wald import wald

__all__ = ["Share"]


@dataclass(frozen=True)
class Share:
    """An observed share and how far it can be trusted.

    Attributes:
        count: 0 to `of`.
        of: trials, at least 1.
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
