# SPDX-License-Identifier: GPL-3.0-or-later
"""What the looks at one emission have found, all together."""

import math
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from amrq.identify import EmissionIdentity
from amrq.model import UNKNOWN
from amrq.protocols import FAMILIES, Measure

__all__ = ["Findings"]

_RECENT = 5
"""Identifications that count for what an emission is said to be while it is on."""
_LITTLE = 0.25
"""Weight of a look in which nothing was clear: what is keyed, speaks or fades has many of them."""
_ASTRAY = 0.1
"""Share of the looks that say anything whatever: no single one can decide against many others."""
_PLAIN = 6.0
"""Log-odds of a look that compared no families, where it was sure."""
_REPEATED = 2.0
"""Looks whose evidence is independent: further ones of the same emission err alike."""
_CLOSE = 0.05
"""Of the surest measured value: others that are as close are taken for the same, with another error."""
_GENERAL = frozenset(
    {"AM", "SSB", "USB", "LSB", "NBFM", "WFM", "MFSK", "carrier", "OOK", "Pulses", "DSSS", "chirp"}
)
_SIDES = ("USB", "LSB")
"""Labels of what shows no more than its family, or its side: a voice in its pauses, a modem between its frames."""
_PROVEN = 0.125
"""Of the looks of a family: a more specific label that as many gave stands, whatever the others say."""
_SEVERAL, _OF_LOOKS = 3.0, 0.6
"""Looks of which so many at least name one family, and the others none, so that it is that."""
_RATE = "symbol rate"
_CARRIER = "carrier"
_SHORT_TIME, _LONG_ENOUGH = 1.5, 3.0
"""Seconds: in the former the slowest usual keys, WSPR's of 0.68 s, may well show one tone alone; in the latter they
need four symbols alike, as one in 64 is."""
_SHORT_CARRIER, _MOVING_CARRIER = 0.85, 0.7
"""How sure a carrier is that stayed in one place for as short; and one that did so for less time than it did not."""
_BEGINS = 0.1
"""Seconds: of looks that begin within so much of each other, the longer one has nearly all that the other has."""
_NAMES = (*FAMILIES, UNKNOWN)


@dataclass
class _Sum:
    """Sums over the identifications that gave one label."""

    last: EmissionIdentity
    alike: tuple[str, ...] = ()
    most: float = 0.0  # confidence that these leave the label, at the look that told most
    looks: int = 0
    numbers: dict[str, tuple[float, int]] = field(default_factory=dict)
    probabilities: dict[str, float] = field(default_factory=dict)
    details: dict[str, list[Measure]] = field(default_factory=dict)

    def add(self, identity: EmissionIdentity, measures: Mapping[str, float | None]) -> None:
        self.last = identity if identity.symbols is not None or self.last.symbols is None else self.last
        self.looks += 1
        if identity.label_most > self.most:
            self.alike, self.most = identity.alike, identity.label_most
        for name, value in {**measures, _RATE: identity.symbol_rate}.items():
            total, count = self.numbers.get(name, (0.0, 0))
            self.numbers[name] = (total, count) if value is None else (total + value, count + 1)
        for name, value in identity.probabilities.items():
            self.probabilities[name] = self.probabilities.get(name, 0.0) + value
        for name, measure in identity.details.items():
            self.details.setdefault(name, []).append(measure)

    def means(self) -> dict[str, float | None]:
        return {name: total / count if count else None for name, (total, count) in self.numbers.items()}


@dataclass(frozen=True)
class _Look:
    """What one identification says."""

    family: str
    label: str
    weight: float
    evidence: Mapping[str, float]  # log-probabilities of the families
    most: float  # confidence that its family's proof allows

    @classmethod
    def of(cls, identity: EmissionIdentity) -> "_Look":
        shares = identity.families
        if shares:
            even = _ASTRAY / len(_NAMES)
            evidence = {
                name: math.log((1 - _ASTRAY) * shares.get(name, 0.0) + even) for name in {*_NAMES, *shares}
            }
        else:  # told by its spectrum, or by nothing
            named = identity.confidence if identity.family != UNKNOWN else 1.0
            evidence = dict.fromkeys(_NAMES, -_PLAIN * named) | {identity.family: 0.0}
        weight = _LITTLE if identity.says_little else 1.0
        return cls(identity.family, identity.label, weight, evidence, identity.most)


class Findings:
    """What the identifications of an emission have found, all together.

    The evidence of looks is summed: of the last five while it is on, of all when it is over. A look in which nothing
    was clear counts a quarter, and a tenth of the looks may be of something else. Where a family and `unknown` are as
    likely, the family counts. It is no surer than what the best proof in these looks allows: what is not proven, and
    what is like something else, is so in all of them; the rest goes to `unknown`. What was not seen for some seconds to
    be a line in one place is no sure carrier: it may be one tone of several. The label is that which most looks of the
    family gave, the newest of those as frequent; where it says no more than the family, the most specific one that one
    look in eight gave: a voice pauses, and is a voice. Measures, probabilities and symbol rate are means over all that
    gave the label.

    >>> found = Findings()
    >>> for label, family in (("QPSK", "linear"), ("unknown", "unknown"), ("QPSK", "linear")):
    ...     found.add(EmissionIdentity(label, family, confidence=0.9), {"level_dbfs": -20.0})
    >>> [(one["label"], round(one["confidence"], 2)) for one in (found.fields(), found.fields(all=True))]
    [('QPSK', 0.98), ('QPSK', 0.98)]
    """

    def __init__(self) -> None:
        self._sums: dict[str, _Sum] = {}
        self._recent: deque[_Look] = deque(maxlen=_RECENT)
        self._evidence = dict.fromkeys(_NAMES, 0.0)
        self._weight = 0.0
        self._labels: dict[tuple[str, str], float] = {}
        self._since: dict[tuple[str, str], float] = {}  # it became what it is
        self._most: dict[str, float] = {}
        self._steady = 0.0  # seconds that a line stayed in one place, less those in which it did not
        self._first = math.inf  # the time of the source at which the first look began
        self._until = -math.inf  # the time of the source up to which there were looks

    def __len__(self) -> int:
        """How many there were."""
        return sum(one.looks for one in self._sums.values())

    def lie_within(self, since: float) -> bool:
        """Return whether a look from this time of the source on has the samples that the looks so far had."""
        return since <= self._first + _BEGINS

    def add(
        self,
        identity: EmissionIdentity,
        measures: Mapping[str, float | None],
        until: float | None = None,
        since: float = -math.inf,
    ) -> None:
        """Take in an identification, and the numbers that were measured.

        Args:
            identity: what one look has found.
            measures: numbers that were measured, by name.
            until: time of the source at which the look ends, seconds; None: it shares no samples with others.
            since: time at which it begins.
        """
        self._first = min(self._first, since)
        look = _Look.of(identity)
        self._recent.append(look)
        self._weight += look.weight
        self._most[look.family] = max(self._most.get(look.family, 0.0), look.most)
        if identity.steady.moves:
            self._steady -= identity.steady.seconds
        else:  # looks may overlap
            new = math.inf if until is None else max(0.0, until - self._until)
            self._steady += min(identity.steady.seconds, new)
        self._until = self._until if until is None else max(until, self._until)
        for name, value in look.evidence.items():
            self._evidence[name] = self._evidence.get(name, 0.0) + look.weight * value
        named = look.family, look.label
        for labels in (self._labels, self._since):
            labels[named] = labels.get(named, 0.0) + look.weight
        self._sums.setdefault(look.label, _Sum(identity)).add(identity, measures)

    @property
    def needs_time(self) -> bool:
        """Whether what seems a carrier, and has stayed in one place, was not seen for long enough to be a sure one."""
        latest = self._recent[-1].label if self._recent else UNKNOWN
        return latest == _CARRIER and 0 <= self._steady < _LONG_ENOUGH

    def _most_of_carrier(self) -> float:
        """Return how sure a carrier is at most, by the time that it was seen to stay in one place."""
        if self._steady < 0:
            return _MOVING_CARRIER
        longer = (self._steady - _SHORT_TIME) / (_LONG_ENOUGH - _SHORT_TIME)
        return _SHORT_CARRIER + (1 - _SHORT_CARRIER) * min(max(longer, 0.0), 1.0)

    def forget_recent(self) -> None:
        """Begin anew what is said while it is on, since the emission has become another one."""
        self._recent.clear()
        self._since.clear()
        self._steady = 0.0

    def fields(self, all: bool = False) -> dict[str, Any]:
        """Return what the emission is, as fields of its record; nothing before it was identified.

        Args:
            all: by all identifications; otherwise by the last ones.
        """
        evidence, weight, labels = (self._evidence, self._weight, self._labels) if all else self._lately()
        if not labels:
            return {}
        told = {family for family, _ in labels}
        family = max(told, key=lambda name: (round(evidence[name], 9), name != UNKNOWN))
        share = 0.0
        if family == UNKNOWN:
            family, share = _of_most(labels)
        looks = [] if all else [one.most for one in self._recent if one.family == family]
        most = self._most[family] if all else max(looks)
        latest = {(one.family, one.label): place for place, one in enumerate(self._recent)}
        key = max(
            (one for one in labels if one[0] == family), key=lambda one: (labels[one], latest.get(one, -1))
        )
        key = _most_specific(key, self._labels if all else self._since)
        if key[1] == _CARRIER:
            most = min(most, self._most_of_carrier())
        families = _no_surer(_probabilities(evidence, weight), family, most)
        if share > 0:
            families = {name: 0.0 for name in families} | {family: min(most, share)}
            families[UNKNOWN] = 1 - families[family]
        chosen = self._sums[key[1]]
        measures = chosen.means()
        symbol_rate = measures.pop(_RATE, None)
        details = {name: _mean(some) for name, some in chosen.details.items()}
        measures |= {name: one.value for name, one in details.items()}
        if symbol_rate is not None and "symbol_rate" in details:
            symbol_rate = details["symbol_rate"].value
        return {
            "label": key[1],
            "family": family,
            "reason": chosen.last.reason,
            "confidence": min(families[family], chosen.most) if family != UNKNOWN else 0.0,
            "alike": chosen.alike,
            "symbol_rate": symbol_rate,
            "measures": measures,
            "probabilities": {name: value / chosen.looks for name, value in chosen.probabilities.items()},
            "symbols": chosen.last.symbols,
            "families": families,
            "details": details,
        }

    def _lately(self) -> tuple[dict[str, float], float, dict[tuple[str, str], float]]:
        """Return the sums over the last looks."""
        labels: dict[tuple[str, str], float] = {}
        for one in self._recent:
            labels[one.family, one.label] = labels.get((one.family, one.label), 0.0) + one.weight
        names = {name for one in self._recent for name in one.evidence}
        evidence = {
            name: sum(one.weight * one.evidence.get(name, 0.0) for one in self._recent) for name in names
        }
        return evidence, sum(one.weight for one in self._recent), labels


def _of_most(labels: Mapping[tuple[str, str], float]) -> tuple[str, float]:
    """Return the one family that looks name, and their share of all, where most do; else `unknown` and 0.

    That a look shows nothing says little against what the others show: levels in a closed eye open in some of them.
    """
    total = sum(labels.values())
    named = {family for family, _ in labels} - {UNKNOWN}
    if len(named) != 1 or total < _SEVERAL:
        return UNKNOWN, 0.0
    family = named.pop()
    share = sum(weight for one, weight in labels.items() if one[0] == family) / total
    return (family, share) if share >= _OF_LOOKS else (UNKNOWN, 0.0)


def _most_specific(key: tuple[str, str], labels: Mapping[tuple[str, str], float]) -> tuple[str, str]:
    """Return a family and label, or a label of the family that says more, where enough looks gave one."""
    family, label = key
    if label not in _GENERAL:
        return key
    own = {one: weight for one, weight in labels.items() if one[0] == family}
    least = _PROVEN * sum(own.values())
    more = [one for one in own if one[1] not in _GENERAL and own[one] >= least]
    sides = [one for one in own if one[1] in _SIDES and own[one] >= least]
    return max(more or sides or [key], key=lambda one: own[one])


def _probabilities(evidence: Mapping[str, float], weight: float) -> dict[str, float]:
    """Return probabilities of families by evidence that so many looks give, which err alike."""
    scale = 1 / (1 + max(0.0, weight - 1) / _REPEATED)
    best = max(evidence.values())
    shares = {name: math.exp(scale * (value - best)) for name, value in evidence.items()}
    total = sum(shares.values())
    return {name: value / total for name, value in shares.items()}


def _no_surer(families: dict[str, float], family: str, most: float) -> dict[str, float]:
    """Return probabilities with one of at most so much; the rest of it is of `unknown`."""
    if family == UNKNOWN or families[family] <= most:
        return families
    rest = families[family] - most
    return families | {family: most, UNKNOWN: families.get(UNKNOWN, 0.0) + rest}


def _mean(measures: Iterable[Measure]) -> Measure:
    """Return the mean by confidence of the surest measured value and those close to it, and the largest confidence.

    What is far from it is another value, a multiple of a rate or another number of tones, and no mean is any of them.
    """
    measures = list(measures)
    best = max(measures, key=lambda one: one.confidence)
    if not best.confidence > 0:
        return measures[-1]
    measures = [one for one in measures if abs(one.value - best.value) <= _CLOSE * abs(best.value)]
    total = sum(one.confidence for one in measures)
    return Measure(sum(one.value * one.confidence for one in measures) / total, best.confidence, best.error)
