# SPDX-License-Identifier: GPL-3.0-or-later
"""Which protocols an emission may be: by its family, its measures, its frequency and the length of its bursts."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

from amrq.errors import AmrqError
from amrq.protocols.protocol import FAMILIES, PARAMETERS, Band, ParameterRange, Protocol
from amrq.protocols.reading import list_protocols
from amrq.text import engineering

__all__ = ["Evidence", "LikelyProtocol", "LikelyProtocols", "Measure", "likely_protocols"]

_PRIOR_OF_NONE = 0.5
_LIKE_OTHERS = 0.5
"""Share of the systems outside the list that use the same round numbers as those in it."""
_FEWEST = 10
"""Protocols, that the mean over the list is taken of at least: a list of one would claim too much."""
_ELSEWHERE = 0.02
"""Share of a protocol's stations that are outside its bands."""
_WIDTH = 0.02
"""Of its frequency: as wide a protocol's bands count at least. A list of single channels claims no more than that."""
_CLOCK = 2e-5
"""Of the frequency: standard deviation of a receiver's reference."""
_DECADES = math.log(300e9 / 3e3)
_BURST_CONFIDENCE = 0.7
"""That bursts are seen from their begin to their end, each by itself."""
_FADES = 0.2
"""What is continuous fades, passes, or is lost for a moment: bursts count so much against it at most."""
_CONTRADICTED = 4.0
"""Standard deviations outside of a range, from which on a measure contradicts a protocol."""
_SURE_ENOUGH = 0.5
"""Confidence of a measure that can exclude a protocol."""
_FOLLOWS = {"bandwidth": ("symbol_rate", "deviation", "spacing"), "index": ("deviation",)}
"""What follows from other measures counts only against a protocol where one of these was compared."""
_GENERAL = frozenset(
    {*FAMILIES, "fm", "nbfm", "wfm", "ask", "fsk", "2fsk", "4fsk", "mfsk", "psk", "qam", "ppm", "pulses"}
)
"""Labels that say no more than the family."""
_WIDE_KEYED = ("fsk2", "fsk4", "fskm")
_WIDE_LINEAR = ("linear", "pi4dqpsk", "oqpsk")
_MODULATED = "fm_narrow"
_AUDIO = 8e3
"""Hz: of what narrow FM has inside, at most."""
_FILTERED, _ROLLED = 0.5, 2.2
"""Symbol rates that a keyed signal is wide, at least, and a linear one at most."""
_SPOKEN, _LESS, _QUIETER = ("am", "ssb", "fm_narrow", "fm_wide"), ("deviation", "bandwidth"), 10.0
"""Families that a message modulates; what a quiet moment of it has less of than is stated; and how many times less."""
_BEYOND = 2.0
"""Times the width that follows from a protocol's other parameters, or one over it: what is beyond is another one. A box
may be off by some tenth, and so many of a signal's sidebands may be in it or not."""
_LEAST = 0.01
"""Of a score: protocols below are not listed."""
_SURE = 0.9
_TIED = 3.0
"""Protocols whose score is less than so many times below the best one's are named with it."""
_MOST_NAMED = 4
"""Protocols: where more are about as likely, none is named."""


@dataclass(frozen=True)
class Measure:
    """A measured value.

    Attributes:
        value: in the unit of its parameter, above 0.
        confidence: probability that it was measured on what it is called, 0 to 1.
        error: standard deviation, a share of the value; None: what is usual for the parameter.

    Raises:
        AmrqError: a value is out of range.
    """

    value: float
    confidence: float = 0.9
    error: float | None = None

    def __post_init__(self) -> None:
        """Check the values."""
        if not 0 <= self.confidence <= 1:
            raise AmrqError(f"the confidence of a measure must be from 0 to 1, not {self.confidence:g}.")
        if self.error is not None and not 0 < self.error < math.inf:
            raise AmrqError(f"the error of a measure must be above 0, not {self.error:g}.")

    @property
    def usable(self) -> bool:
        """Whether it says anything: not for NaN, for 0, or without confidence."""
        return 0 < self.value < math.inf and self.confidence > 0


@dataclass(frozen=True)
class Evidence:
    """What is known of an emission.

    Attributes:
        family: of `FAMILIES`; `unknown`: no protocol is likely.
        label: name of its modulation, for example `GMSK`; empty, a general one such as `2FSK` or `NBFM`, or one that no
            protocol of the family knows: it says no more than the family.
        label_confidence: probability that the label is right, 0 to 1.
        measures: by name of `PARAMETERS`; a plain number is a `Measure` of the usual confidence. NaN, and what is
            missing, counts for nothing.
        centre: middle of its spectrum, Hz on the air; None: not known, bands count neither for nor against.
        bursts: lengths in seconds of bursts that were seen from begin to end; empty where none was.

    Raises:
        AmrqError: a family or a measure is not known, or a number is out of range.
    """

    family: str
    label: str = ""
    label_confidence: float = 0.9
    measures: Mapping[str, Measure | float] = field(default_factory=dict)
    centre: float | None = None
    bursts: Sequence[float] = ()

    def __post_init__(self) -> None:
        """Check the values."""
        if self.family not in (*FAMILIES, "unknown"):
            raise AmrqError(
                f"the family must be one of {', '.join(FAMILIES)} or unknown, not {self.family!r}."
            )
        strange = next((name for name in self.measures if name not in PARAMETERS), None)
        if not 0 <= self.label_confidence <= 1:
            raise AmrqError(f"the confidence of a label must be from 0 to 1, not {self.label_confidence:g}.")
        if self.centre is not None and not math.isfinite(self.centre):
            raise AmrqError(f"the frequency must be a finite number, not {self.centre:g}.")
        if strange is not None:
            raise AmrqError(f"no measure is called {strange!r}: there are {', '.join(PARAMETERS)}.")

    def usable(self) -> dict[str, Measure]:
        """Return the measures that say anything, the median length of bursts with them."""
        given = {
            name: one if isinstance(one, Measure) else Measure(float(one))
            for name, one in self.measures.items()
        }
        lengths = [length for length in self.bursts if 0 < length < math.inf]
        if lengths and "burst" not in given:
            given["burst"] = Measure(median(lengths), _BURST_CONFIDENCE)
        return {name: one for name, one in given.items() if one.usable}


@dataclass(frozen=True)
class LikelyProtocol:
    """A protocol that an emission may be.

    Attributes:
        protocol: the protocol.
        score: probability by the law of `likely_protocols`, 0 to 1.
        reason: what speaks for it and against it, in words.
        placed: the frequency is known, and was compared with the protocol's bands.
    """

    protocol: Protocol
    score: float
    reason: str
    placed: bool = False

    @property
    def guess(self) -> bool:
        """Whether it is no more than a guess: a score below 0.9, or a frequency that is not known."""
        return self.score < _SURE or not self.placed


@dataclass(frozen=True)
class LikelyProtocols:
    """The protocols that an emission may be.

    Attributes:
        found: the likely ones, best first; those with a score below 0.01 are left out.
        none_of_these: probability that it is none of the protocols that are known.
    """

    found: tuple[LikelyProtocol, ...] = ()
    none_of_these: float = 1.0

    @property
    def named(self) -> tuple[LikelyProtocol, ...]:
        """The best one, and those that are about as likely.

        Nothing where these are more than four, or where `none of these` is likelier than all of them.
        """
        best = self.found[0].score if self.found else 0.0
        tied = tuple(one for one in self.found if one.score * _TIED >= best)
        clear = len(tied) <= _MOST_NAMED and sum(one.score for one in tied) > self.none_of_these
        return tied if clear else ()

    @property
    def text(self) -> str:
        """In words: `AIS`, `perhaps AIS or G3RUH`, empty where none is named. Without `perhaps` it is no guess."""
        named = self.named
        if not named:
            return ""
        names = " or ".join(one.protocol.name for one in named)
        return f"perhaps {names}" if named[0].guess else names


def likely_protocols(evidence: Evidence, protocols: Iterable[Protocol] | None = None) -> LikelyProtocols:
    """Return the protocols that an emission may be, with their probabilities.

    The score is a posterior probability over the protocols of the family and `none of these`:

        P(p | evidence) ~ P(p) * product over k of r_k(p),    r_k(p) = L_k(p) / L_k(none)

    Prior: 1/2 for `none of these`; the other half is shared equally by the protocols that may be received as the
    family. Other families are impossible.

    A measure m of parameter k, in logarithms x = ln m, with relative standard deviation s and confidence c:

        L_k(p)    = c * d_p(x) + (1 - c) * u
        L_k(none) = c * (u + mean of d_q(x)) / 2 + (1 - c) * u
        d_p(x)    = (Phi((ln high - x) / s) - Phi((ln low - x) / s)) / ln(high / low)

    d_p is the density of a value that is uniform in logarithm over the range, measured with a Gaussian error; u the
    uniform density over all values that the parameter may have. So a narrow range that fits counts more than a wide
    one. The mean is over the protocols q of the family that state the parameter, and over ten at least: half of the
    systems that are not listed use the same round numbers as those that are, so that one such number proves little.
    With several ranges d_p is the mean over them. Of what a message modulates, the deviation and the bandwidth are less
    in its quiet moments: there d_p is the mean of that over the range and over a tenth of its low end to that end.

    A measure that is missing, or that a protocol does not state, has r = 1: it speaks neither for nor against. A
    measure of a confidence of 0.5 or more that is four standard deviations outside the range excludes the protocol.
    Bandwidth and index follow from other measures: where these were compared, they only count against.

    Frequency: as a measure; d_p is uniform in logarithm over the protocol's bands, which count as 2 % wide at least,
    and 2 % of the stations are elsewhere. Not known, or no bands stated: r = 1, and the protocol is no more than a
    guess.

    Width: a protocol that states none has one by Carson's rule, or by its symbol rate. A bandwidth twice as large, or
    half as small, excludes it.

    Label: L(p) is c + (1 - c) / 2 for a protocol that has it among its labels, (1 - c) / 2 for others, and 1/2 for
    `none of these`, c being its confidence.

    Bursts: their median length is a measure of confidence 0.7 and error 10 %; a protocol that is continuous has none,
    d_p = 0. It may have faded, though: there r is 0.2 at least, and bursts never exclude it.

    Args:
        evidence: what is known of the emission.
        protocols: those that are considered; None: those that are shipped.

    >>> measures = {"symbol_rate": 1200.1, "deviation": 4450}
    >>> found = likely_protocols(Evidence("fsk2", measures=measures, centre=466.075e6))
    >>> found.text, found.found[0].guess
    ('POCSAG 1200', False)
    >>> likely_protocols(Evidence("unknown")).none_of_these
    1.0
    """
    known = list_protocols() if protocols is None else protocols
    candidates = [one for one in known if evidence.family in one.families]
    if not candidates:
        return LikelyProtocols()
    comparisons = [_Comparison(one) for one in candidates]
    measures = evidence.usable()
    for name, measure in measures.items():
        _compare_measure(comparisons, name, measure, evidence.family)
    if "bandwidth" in measures:
        _compare_width(comparisons, evidence.family, measures["bandwidth"])
    _compare_label(comparisons, evidence)
    if evidence.centre is not None and evidence.centre > 0:
        _compare_frequency(comparisons, evidence.centre)
    share = (1 - _PRIOR_OF_NONE) / len(comparisons)
    weights = [0.0 if one.excluded else share * one.ratio() for one in comparisons]
    total = _PRIOR_OF_NONE + sum(weights)
    found = [
        LikelyProtocol(one.protocol, weight / total, one.reason(evidence), "frequency" in one.ratios)
        for one, weight in zip(comparisons, weights, strict=True)
        if weight / total >= _LEAST
    ]
    found.sort(key=lambda one: (-one.score, one.protocol.name))
    return LikelyProtocols(tuple(found), _PRIOR_OF_NONE / total)


class _Comparison:
    """A protocol against the evidence, part by part."""

    def __init__(self, protocol: Protocol) -> None:
        self.protocol = protocol
        self.excluded = False
        self.ratios: dict[str, float] = {}
        self.words: list[str] = []

    def ratio(self) -> float:
        """Return how many times likelier the evidence is under the protocol than under none of these."""
        product = 1.0
        for name, ratio in self.ratios.items():
            follows = any(other in self.ratios for other in _FOLLOWS.get(name, ()))
            product *= min(1.0, ratio) if follows else ratio
        return product

    def reason(self, evidence: Evidence) -> str:
        """Return what was compared, in words."""
        missing = [PARAMETERS[name].words for name in self.protocol.parameters if name not in self.ratios]
        words = [*self.words]
        if evidence.centre is None:
            words.append("frequency not known")
        if missing:
            words.append(f"not measured: {', '.join(missing)}")
        return "; ".join(words) or "by its family alone"


def _compare_measure(comparisons: Sequence[_Comparison], name: str, measure: Measure, family: str) -> None:
    parameter = PARAMETERS[name]
    quiet = family in _SPOKEN and name in _LESS
    error, value = measure.error or parameter.error, math.log(measure.value)
    uniform = 1 / math.log(parameter.high / parameter.low)
    shown = f"{parameter.words} {parameter.shown(measure.value)}"
    stating = [one for one in comparisons if _ranges(one.protocol, name) is not None]
    densities = [_density(_ranges(one.protocol, name) or (), value, error, quiet) for one in stating]
    mean = sum(densities) / max(len(densities), _FEWEST)
    rest = (1 - measure.confidence) * uniform
    none = measure.confidence * ((1 - _LIKE_OTHERS) * uniform + _LIKE_OTHERS * mean) + rest
    for one, density in zip(stating, densities, strict=True):
        ranges = _ranges(one.protocol, name) or ()
        ratio = (measure.confidence * density + rest) / none
        one.ratios[name] = ratio if ranges else max(ratio, _FADES)
        away = min((_deviations(r, value, error, quiet) for r in ranges), default=math.inf)
        if ranges and away > _CONTRADICTED and measure.confidence >= _SURE_ENOUGH:
            one.excluded = True
        stated = " or ".join(r.shown(parameter) for r in ranges) or "continuous"
        less = quiet and bool(ranges) and value < min(math.log(r.low) for r in ranges)
        one.words.append(
            f"{shown} {'fits' if away < 2 else 'is beside'} {stated}{' when quiet' if less else ''}"
        )


def _compare_width(comparisons: Sequence[_Comparison], family: str, measure: Measure) -> None:
    """Exclude protocols that state no bandwidth, and whose other parameters make another one."""
    if measure.confidence < _SURE_ENOUGH:
        return
    parameter = PARAMETERS["bandwidth"]
    for one in comparisons:
        if "bandwidth" in one.protocol.parameters:
            continue
        low, high = _implied_width(one.protocol, family)
        if not low / _BEYOND <= measure.value <= high * _BEYOND:
            one.excluded = True
            one.words.append(f"{parameter.words} {parameter.shown(measure.value)} is not possible")


def _implied_width(protocol: Protocol, family: str) -> tuple[float, float]:
    """Return the least and the largest bandwidth that the other parameters of a protocol make, Hz."""
    rate, deviation = (_hull(protocol, name) for name in ("symbol_rate", "deviation"))
    if family in _WIDE_KEYED and deviation is not None:
        return 2 * deviation[0], 2 * (deviation[1] + (rate[1] if rate is not None else deviation[1]))
    if family == _MODULATED and deviation is not None:
        return 0.0, 2 * (deviation[1] + _AUDIO)
    if family in _WIDE_LINEAR and rate is not None:
        return _FILTERED * rate[0], _ROLLED * rate[1]
    return 0.0, math.inf


def _hull(protocol: Protocol, name: str) -> tuple[float, float] | None:
    """Return the least and the largest value that a parameter may have; None where it is not stated."""
    ranges = _ranges(protocol, name)
    return (min(one.low for one in ranges), max(one.high for one in ranges)) if ranges else None


def _ranges(protocol: Protocol, name: str) -> tuple[ParameterRange, ...] | None:
    """Return a parameter's ranges; none of them for the bursts of what is continuous; None where it is not stated."""
    return () if name == "burst" and protocol.continuous else protocol.parameters.get(name)


def _density(ranges: Sequence[ParameterRange], value: float, error: float, quiet: bool = False) -> float:
    spans = [(math.log(one.low), math.log(one.high)) for one in ranges]
    stated = sum(_blurred(low, high, value, error) for low, high in spans) / max(1, len(spans))
    if not quiet or not spans:
        return stated
    lowest = min(low for low, _ in spans)
    return (stated + _blurred(lowest - math.log(_QUIETER), lowest, value, error)) / 2


def _blurred(low: float, high: float, value: float, error: float) -> float:
    """Return the density of a value that is uniform from low to high and has a Gaussian error."""
    if high - low < 1e-3 * error:
        return math.exp(-(((value - (low + high) / 2) / error) ** 2) / 2) / (error * math.sqrt(2 * math.pi))
    scale = error * math.sqrt(2)
    return (math.erf((high - value) / scale) - math.erf((low - value) / scale)) / (2 * (high - low))


def _deviations(one: ParameterRange, value: float, error: float, quiet: bool = False) -> float:
    """Return how many standard deviations a value is outside a range, or below what is quiet; 0 inside."""
    low = math.log(one.low / _QUIETER if quiet else one.low)
    return max(0.0, low - value, value - math.log(one.high)) / error


def _compare_label(comparisons: Sequence[_Comparison], evidence: Evidence) -> None:
    label, confidence = evidence.label.casefold(), evidence.label_confidence
    has = [label in (known.casefold() for known in one.protocol.labels) for one in comparisons]
    if label in _GENERAL or not any(has):
        return
    for one, inside in zip(comparisons, has, strict=True):
        one.ratios["label"] = (confidence * inside + (1 - confidence) / 2) / 0.5
        one.words.insert(0, evidence.label if inside else f"{one.protocol.labels[0]}, not {evidence.label}")


def _compare_frequency(comparisons: Sequence[_Comparison], centre: float) -> None:
    stating = [one for one in comparisons if one.protocol.bands]
    value = math.log(centre)
    densities = [_density_of_bands(one.protocol.bands, value) for one in stating]
    mean = sum(densities) / max(len(densities), _FEWEST)
    none = (1 - _LIKE_OTHERS) / _DECADES + _LIKE_OTHERS * mean
    for one, density in zip(stating, densities, strict=True):
        one.ratios["frequency"] = ((1 - _ELSEWHERE) * density + _ELSEWHERE / _DECADES) / none
        band = one.protocol.at(centre)
        shown = engineering(centre, "Hz", 7)
        one.words.append(f"{shown} {'is within ' + band.shown() if band else 'is outside its bands'}")


def _density_of_bands(bands: Sequence[Band], value: float) -> float:
    spans = list(_united(bands))
    width = sum(high - low for low, high in spans)
    inside = sum((high - low) * _blurred(low, high, value, _CLOCK) for low, high in spans)
    return inside / max(width, _WIDTH)


def _united(bands: Sequence[Band]) -> Iterator[tuple[float, float]]:
    """Yield the bands in logarithms, those that overlap as one: several regions may state the same band."""
    spans = sorted((math.log(band.low), math.log(band.high)) for band in bands)
    low, high = spans[0]
    for start, stop in spans[1:]:
        if start > high:
            yield low, high
            low, high = start, stop
        else:
            high = max(high, stop)
    yield low, high
