# SPDX-License-Identifier: GPL-3.0-or-later
"""What the looks at one emission have found, all together."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from amrq.identify import EmissionIdentity
from amrq.model import UNKNOWN
from amrq.protocols import Measure

__all__ = ["Findings"]

_RECENT = 5
"""Identifications whose majority is what an emission is said to be while it is on."""
_LITTLE = 0.25
"""Weight of a look in which nothing was clear: what is keyed, speaks or fades has many of them."""


@dataclass
class _Sum:
    """Sums over the identifications that gave one label."""

    last: EmissionIdentity
    looks: int = 0
    weight: float = 0.0
    confidence: float = 0.0
    numbers: dict[str, tuple[float, int]] = field(default_factory=dict)
    probabilities: dict[str, float] = field(default_factory=dict)
    families: dict[str, float] = field(default_factory=dict)
    details: dict[str, list[Measure]] = field(default_factory=dict)

    def add(self, identity: EmissionIdentity, measures: Mapping[str, float | None]) -> None:
        self.last = identity if identity.symbols is not None or self.last.symbols is None else self.last
        self.looks += 1
        self.weight += _weight(identity)
        self.confidence += identity.confidence
        for name, value in {**measures, _RATE: identity.symbol_rate}.items():
            total, count = self.numbers.get(name, (0.0, 0))
            self.numbers[name] = (total, count) if value is None else (total + value, count + 1)
        for name, value in identity.probabilities.items():
            self.probabilities[name] = self.probabilities.get(name, 0.0) + value
        for name, value in identity.families.items():
            self.families[name] = self.families.get(name, 0.0) + value
        for name, measure in identity.details.items():
            self.details.setdefault(name, []).append(measure)

    def means(self) -> dict[str, float | None]:
        return {name: total / count if count else None for name, (total, count) in self.numbers.items()}


_RATE = "symbol rate"


def _weight(identity: EmissionIdentity) -> float:
    return _LITTLE if identity.says_little else 1.0


class Findings:
    """What the identifications of an emission have found, all together.

    While it is on, it has the label of most of the last five; when it is over, that of most of all. A look in which
    nothing was clear counts a quarter. Where there are as many with a name and without one, the name counts. Measures,
    probabilities and symbol rate are means over all that gave the label.

    >>> found = Findings()
    >>> for label in ("QPSK", "unknown", "QPSK"):
    ...     found.add(EmissionIdentity(label, "linear", confidence=0.9), {"level_dbfs": -20.0})
    >>> [(one["label"], round(one["confidence"], 2)) for one in (found.fields(), found.fields(all=True))]
    [('QPSK', 0.8), ('QPSK', 0.8)]
    """

    def __init__(self) -> None:
        self._sums: dict[str, _Sum] = {}
        self._recent: deque[tuple[str, float]] = deque(maxlen=_RECENT)

    def __len__(self) -> int:
        """How many there were."""
        return sum(one.looks for one in self._sums.values())

    def add(self, identity: EmissionIdentity, measures: Mapping[str, float | None]) -> None:
        """Take in an identification, and the numbers that were measured."""
        self._recent.append((identity.label, _weight(identity)))
        self._sums.setdefault(identity.label, _Sum(identity)).add(identity, measures)

    def forget_recent(self) -> None:
        """Begin the majority anew, since the emission has become another one."""
        self._recent.clear()

    def fields(self, all: bool = False) -> dict[str, Any]:
        """Return what the emission is, as fields of its record; nothing before it was identified.

        Args:
            all: by all identifications; otherwise by the last ones.
        """
        if all:
            votes = {label: one.weight for label, one in self._sums.items()}
        else:
            votes = {}
            for label, weight in self._recent:
                votes[label] = votes.get(label, 0.0) + weight
        if not votes:
            return {}
        latest = {label: place for place, (label, _) in enumerate(self._recent)}
        label = max(votes, key=lambda one: (votes[one], one != UNKNOWN, latest.get(one, -1)))
        chosen = self._sums[label]
        measures = chosen.means()
        symbol_rate = measures.pop(_RATE, None)
        details = {name: _mean(some) for name, some in chosen.details.items()}
        measures |= {name: one.value for name, one in details.items()}
        return {
            "label": label,
            "family": chosen.last.family,
            "reason": chosen.last.reason,
            "confidence": chosen.confidence / chosen.looks * votes[label] / sum(votes.values()),
            "symbol_rate": symbol_rate,
            "measures": measures,
            "probabilities": {name: value / chosen.looks for name, value in chosen.probabilities.items()},
            "symbols": chosen.last.symbols,
            "families": {name: value / chosen.looks for name, value in chosen.families.items()},
            "details": details,
        }


def _mean(measures: list[Measure]) -> Measure:
    """Return the mean of measured values by their confidence, and the largest one of these."""
    best = max(one.confidence for one in measures)
    total = sum(one.confidence for one in measures)
    if not total > 0:
        return measures[-1]
    return Measure(sum(one.value * one.confidence for one in measures) / total, best, measures[-1].error)
