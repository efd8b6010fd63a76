# SPDX-License-Identifier: GPL-3.0-or-later
"""What an emission is: its family and label, from its I/Q.

`FAMILIES` is the list of what can be told, in the order in which it is tried. A family is a function that looks at an
emission and returns what it is, or None where it is not of this family. A further family is a further line.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from amrq.classifier import Classifier
from amrq.decision import Decision, DecisionOptions, answer_text
from amrq.identify.linear import IdentifyOptions, identify_linear
from amrq.measure import EmissionMeasures, FrontEndOptions, measure_emission
from amrq.model import NO_SIGNAL, UNKNOWN
from amrq.protocols import Measure

__all__ = ["FAMILIES", "EmissionIdentity", "EmissionLook", "Family", "Glance", "identify_emission"]

_NOISE = "noise"
_NO_RATE, _WEAK, _SHORT = "no clear symbol rate", "too weak for a look", "too short"
_NOTHING_CLEAR = frozenset({"", _NO_RATE, _WEAK, _SHORT})
"""Reasons that say nothing against a name."""
_PAUSES = ("noise", "silent")
"""Reasons of decisions on chunks without a signal."""
_LEAST = 64
"""Samples below which nothing is said."""
_LINE_HZ = 50.0
"""A carrier keeps within so much of its frequency during a look; a line is at least four bins of its transform wide."""
_LINE_SHARE = 0.99
"""Of an emission's power that is in its line, where it is a carrier."""
_WITH_CARRIER, _AT_MIDDLE = 0.62, 0.1
"""Of an emission's power in a line, and of its bandwidth that the line is away from its middle. AM modulated by a full
tone has 2/3 there, by voice more. BPSK that repeats symbols while it is idle was seen to have 0.57."""
_LINE_TIMES = 25.0
"""Times the mean noise in a bin that a line's peak is at least: noise exceeds it once in 7e10 bins."""
_DEVIATIONS = 4.0
"""Standard deviations of the noise's power that an emission must exceed it by."""
_FLOOR_UNCERTAINTY = 0.025
"""Of the noise density: what is not known of it, 0.1 dB."""
_SAME_DB, _SAME_PLACE, _SAME_WIDTH, _SAME_ENVELOPE = 6.0, 0.2, 0.12, 0.3
"""Of two glances at one emission: the most that level, place (in bandwidths), width and envelope may differ."""
_MOST_SYMBOLS = 1024
"""Kept of a look, for pictures."""


@dataclass(frozen=True)
class EmissionIdentity:
    """What an emission is.

    Attributes:
        label: the most specific name that the evidence carries, for example `QPSK`, `GMSK`, `NBFM voice`; `unknown`
            where the family is not known.
        family: of `amrq.protocols.FAMILIES`: `linear`, `fsk2`, `fm_narrow` ...; `unknown` where it fits none.
        reason: in a few words, why the label is no better; `named` where there is nothing to add.
        confidence: probability that the family is right, 0 to 1; 0 where nothing is claimed.
        measures: what was measured of it; None where there were too few samples.
        probabilities: of each of the model's answers; empty where no model was asked.
        symbols: received symbols of unit mean power, complex64 [n], n at most 1,024; None where it is not linear.
        symbol_rate: symbols a second; None where it is not clear.
        families: probability of each family, `unknown` among them; empty where they were not compared.
        details: what was measured of its family, by name: those of `amrq.protocols.PARAMETERS` in their units
            (`symbol_rate`, `deviation`, `spacing` ...), and others of the family (`depth`, `levels` ...).
    """

    label: str = UNKNOWN
    family: str = UNKNOWN
    reason: str = ""
    confidence: float = 0.0
    measures: EmissionMeasures | None = None
    probabilities: Mapping[str, float] = field(default_factory=dict)
    symbols: NDArray[np.complex64] | None = field(default=None, compare=False)
    symbol_rate: float | None = None
    families: Mapping[str, float] = field(default_factory=dict)
    details: Mapping[str, Measure] = field(default_factory=dict)

    @property
    def says_little(self) -> bool:
        """Whether another look may well say otherwise: nothing was clear, as in the pauses of what is keyed."""
        return self.label == _NOISE or (self.label == UNKNOWN and self.reason in _NOTHING_CLEAR)


class _Line(NamedTuple):
    """The strongest line of an emission's spectrum: powers, less the noise."""

    power: float  # of the line; 0 where none stands out of the noise
    beside: float  # of the rest
    doubt: float  # standard deviation of the rest
    place: float = 0.0  # Hz


@dataclass(frozen=True)
class EmissionLook:
    """An emission's samples, as families look at them.

    Attributes:
        iq: complex64 [n], the emission about 0 Hz, with some noise beside it.
        sample_rate: samples a second.
        noise_density: of the noise, power per Hz, by the noise floor of the band; None where it is not known.
        edges: lower and upper edge of the emission's box, Hz from 0 Hz of `iq`; None: all of the band.
        snr_db: in its box, as its detector found it, dB; None where it is not known.
        measures: what was measured of it.
        model: classifier, or model's name, for linear modulations.
        thorough: as `identify_emission` takes it.
        symbol_rate: likewise.
    """

    iq: NDArray[np.complex64]
    sample_rate: float
    noise_density: float | None
    edges: tuple[float, float] | None
    snr_db: float | None
    measures: EmissionMeasures
    model: str | Classifier = "default"
    thorough: bool = True
    symbol_rate: float | None = None

    def inside(self) -> tuple[float, float]:
        """Return the edges, within the band of the samples."""
        half = self.sample_rate / 2
        lower, upper = self.edges or (-half, half)
        return max(lower, -half), min(upper, half)

    @cached_property
    def line(self) -> _Line:
        """The strongest line within the edges."""
        return _strongest_line(self)


class Glance(NamedTuple):
    """What is quickly seen of an emission, to tell whether it is still the same: a hundredth of an identification.

    Attributes:
        level_db: mean power, dB.
        place: middle of the spectrum, in bandwidths.
        width: of the spectrum, RMS, in bandwidths.
        envelope: mean fourth power of the magnitude over the squared mean power.
    """

    level_db: float
    place: float
    width: float
    envelope: float

    @classmethod
    def at(cls, iq: NDArray[np.complex64], sample_rate: float, bandwidth: float) -> "Glance":
        """Return what is seen of samples, complex64 [n].

        >>> tone = np.exp(0.3j * np.arange(1000)).astype(np.complex64)
        >>> [round(value, 2) + 0.0 for value in Glance.at(tone, 10e3, 2e3)]
        [0.0, 0.24, 0.0, 1.0]
        """
        power = iq.real.astype(np.float64) ** 2 + iq.imag.astype(np.float64) ** 2
        mean = float(power.mean()) if len(power) else 0.0
        if len(iq) < 2 or not mean > 0:
            return cls(-300.0, 0.0, 0.0, 0.0)
        # The correlation with the next sample turns by the middle of the spectrum, and falls with its width.
        turn = complex(np.vdot(iq[:-1], iq[1:])) / (mean * (len(iq) - 1))
        scale = sample_rate / (2 * math.pi * bandwidth)
        width = math.sqrt(max(0.0, 2 * (1 - abs(turn))))
        spread = float(np.mean(power**2)) / mean**2
        return cls(10 * math.log10(mean), math.atan2(turn.imag, turn.real) * scale, width * scale, spread)

    def differs(self, other: "Glance") -> bool:
        """Return whether the two are hardly of the same emission."""
        return (
            abs(self.level_db - other.level_db) > _SAME_DB
            or abs(self.place - other.place) > _SAME_PLACE
            or abs(self.width - other.width) > _SAME_WIDTH * max(self.width, other.width)
            or abs(self.envelope - other.envelope) > _SAME_ENVELOPE
        )


Family = Callable[[EmissionLook], EmissionIdentity | None]


def identify_emission(
    iq: NDArray[np.complex64],
    sample_rate: float,
    noise_dbfs_per_hz: float | None = None,
    edges: tuple[float, float] | None = None,
    snr_db: float | None = None,
    model: str | Classifier = "default",
    thorough: bool = True,
    symbol_rate: float | None = None,
) -> EmissionIdentity:
    """Say what an emission is.

    Args:
        iq: complex [n], the emission about 0 Hz, best with some noise beside it (a rate of four bandwidths).
        sample_rate: samples a second, above 0.
        noise_dbfs_per_hz: of the noise, dB relative to a magnitude of 1, a Hz; None where it is not known.
        edges: lower and upper edge of the emission, Hz from 0 Hz of `iq`; None: all of the band.
        snr_db: in its box, as its detector found it, dB; None where it is not known.
        model: an ONNX file, a shipped model's name or `default`; or a classifier, which is used as it is.
        thorough: a linear signal is equalised where it needs that, which may take several times as long.
        symbol_rate: that it had before, symbols a second: if it can be named with this, none is looked for, which takes
            half as long; None where it is not known.

    Raises:
        AmrqError: the model cannot be used.

    >>> from amrq.classes import linear_class
    >>> from amrq.signals import received_signal
    >>> rng = np.random.default_rng(1)
    >>> symbols = rng.choice(linear_class("QPSK").points, 1200)
    >>> iq = received_signal(symbols, samples_per_symbol=4.0, rolloff=0.35, es_n0_db=20.0, rng=rng)
    >>> found = identify_emission(iq, sample_rate=40e3)
    >>> found.label, found.family, round(found.symbol_rate)
    ('QPSK', 'linear', 10000)
    """
    iq = np.ascontiguousarray(iq, dtype=np.complex64)
    good = np.isfinite(iq)
    if not good.all():
        iq = np.where(good, iq, np.complex64(0))
    if len(iq) < _LEAST:
        return EmissionIdentity(reason=_SHORT)
    bandwidth = None if edges is None else edges[1] - edges[0]
    measures = measure_emission(iq, sample_rate, noise_dbfs_per_hz, bandwidth, with_symbol_rate=False)
    noise_density = None if noise_dbfs_per_hz is None else 10 ** (noise_dbfs_per_hz / 10)
    look = EmissionLook(iq, sample_rate, noise_density, edges, snr_db, measures, model, thorough, symbol_rate)
    doubt: EmissionIdentity | None = None
    for family in FAMILIES.values():
        found = family(look)
        if found is not None and found.label != UNKNOWN:
            return found if found.measures is not None else replace(found, measures=measures)
        doubt = doubt or found
    doubt = doubt or EmissionIdentity(reason="of no known family")
    return doubt if doubt.measures is not None else replace(doubt, measures=measures)


def _noise(look: EmissionLook) -> EmissionIdentity | None:
    """Say that there is noise alone, where a signal as strong as the detector's would show and none does.

    Where such a signal would not show in so short a look, nothing can be said of it: it is unknown.
    """
    if look.noise_density is None or not look.noise_density > 0:
        return None
    lower, upper = look.inside()
    spectrum = np.abs(fft.fft(look.iq)) ** 2 / (len(look.iq) * look.sample_rate)
    at = fft.fftfreq(len(look.iq), 1 / look.sample_rate)
    inside = spectrum[(at >= lower) & (at <= upper)]
    if not len(inside):
        return None
    excess = float(inside.mean()) / look.noise_density - 1
    least = _DEVIATIONS * (1 / math.sqrt(len(inside)) + _FLOOR_UNCERTAINTY)
    if excess > least or float(inside.max()) / look.noise_density > _LINE_TIMES:
        return None
    expected = 10 ** (look.snr_db / 10) if look.snr_db is not None else 2 * least
    if expected < 2 * least:
        return EmissionIdentity(reason=_WEAK)
    return EmissionIdentity(_NOISE, _NOISE, "not above the noise floor", 1 - max(0.0, excess) / expected)


def _carrier(look: EmissionLook) -> EmissionIdentity | None:
    """Say that it is a carrier, where nearly all of its power is in one line."""
    line = look.line
    if line.power <= 0:
        return None
    beside = max(line.beside, 0.0)
    if line.beside - line.doubt > (1 / _LINE_SHARE - 1) * (line.power + beside) or line.doubt > line.power:
        return None
    return EmissionIdentity("carrier", "carrier", "named", line.power / (line.power + beside + line.doubt))


def _strongest_line(look: EmissionLook) -> _Line:
    count = len(look.iq)
    window = np.hanning(count + 1)[:-1].astype(np.float32)
    power = np.abs(fft.fft(look.iq * window)).astype(np.float64) ** 2
    step = look.sample_rate / count
    at = fft.fftfreq(count, 1 / look.sample_rate)
    lower, upper = look.inside()
    # A box's edges may lie in a line's foot: what the window spreads belongs to the line.
    margin = 4 * step
    inside = (at >= lower - margin) & (at <= upper + margin)
    peak = int(np.argmax(np.where(inside, power, -1.0)))
    half = max(_LINE_HZ / 2, 4 * step)
    away = np.abs((at - at[peak] + look.sample_rate / 2) % look.sample_rate - look.sample_rate / 2)
    line, beside = inside & (away <= half), inside & (away > half)
    noise = _noise_of_bins(power, inside, away > half, look, window)
    rest = float(power[beside].sum()) - noise * int(beside.sum())
    if noise > 0 and power[peak] < _LINE_TIMES * noise:
        return _Line(0.0, rest, 0.0)
    in_line = float(power[line].sum()) - noise * int(line.sum())
    # Bins of a windowed transform are correlated: the deviation of their sum is some 1.4 that of as many free ones.
    return _Line(in_line, rest, 1.4 * noise * math.sqrt(max(1, int(beside.sum()))), float(at[peak]))


def _noise_of_bins(
    power: NDArray[np.float64],
    inside: NDArray[np.bool_],
    away: NDArray[np.bool_],
    look: EmissionLook,
    window: NDArray[np.float32],
) -> float:
    """Return the mean power of the noise in a bin."""
    if look.noise_density is not None:
        return look.noise_density * look.sample_rate * float(np.sum(window.astype(np.float64) ** 2))
    # The lower half of the bins beside the emission, or of all but the line: the median of a squared magnitude is ln 2.
    free = power[~inside] if int((~inside).sum()) > 32 else power[away]
    return float(np.median(free)) / math.log(2) if len(free) else 0.0


def _linear(look: EmissionLook) -> EmissionIdentity | None:
    """Receive it as a linear modulation, and let the model decide on its symbols."""
    line, (lower, upper) = look.line, look.inside()
    middle = abs(line.place - (lower + upper) / 2) < _AT_MIDDLE * (upper - lower)
    if middle and line.power > _WITH_CARRIER * (line.power + max(line.beside, 0.0)):
        return EmissionIdentity(reason="modulated beside a carrier")
    if look.symbol_rate is not None:
        found = _received(look, look.symbol_rate)
        if found.label != UNKNOWN:
            return found
    return _received(look)


def _received(look: EmissionLook, symbol_rate: float | None = None) -> EmissionIdentity:
    """Receive it with a symbol rate, or with the one that is found, and let the model decide."""
    front_end = FrontEndOptions(equaliser=look.thorough)
    options = IdentifyOptions(look.model, front_end, DecisionOptions(), search=symbol_rate is None)
    found = identify_linear(look.iq, look.sample_rate, symbol_rate, _finite(look.measures.centre), options)
    rate = found.found.symbol_rate
    measures = look.measures if rate is None else replace(look.measures, symbol_rate=rate)
    if not found.symbol_rate:
        return EmissionIdentity(reason=_NO_RATE, measures=measures)
    known = EmissionIdentity(measures=measures, symbol_rate=found.symbol_rate)
    if not found.decisions:
        return replace(known, reason=found.reason)
    reason, label, best, confidence = _vote(found.decisions)
    known = replace(known, probabilities=_probabilities(found.decisions))
    if reason == "named":
        symbols = found.symbols[-_MOST_SYMBOLS:]
        named = replace(known, label=label, family="linear", reason="named", symbols=symbols)
        return replace(named, confidence=confidence)
    refuted = next((decision.refuted for decision in found.decisions if decision.refuted), "")
    return replace(known, reason=answer_text(reason, best, refuted=refuted))


def _finite(value: float) -> float:
    return value if math.isfinite(value) else 0.0


def _vote(decisions: tuple[Decision, ...]) -> tuple[str, str, str, float]:
    """Return reason, label, best answer and confidence of what most chunks say.

    A class is named where no other answer has as many chunks; its confidence is that of its decisions times their share
    of the chunks. Where there is a signal at times, the times without one do not count: they are pauses.
    """
    decisions = tuple(one for one in decisions if one.reason not in _PAUSES) or decisions
    votes: dict[tuple[str, str], int] = {}
    for one in decisions:
        votes[one.reason, one.best] = votes.get((one.reason, one.best), 0) + one.chunks
    reason, best = max(votes, key=lambda key: votes[key])
    chosen = [one for one in decisions if (one.reason, one.best) == (reason, best)]
    total = sum(one.chunks for one in decisions)
    share = votes[reason, best] / max(1, total)
    mean = sum(one.confidence * one.chunks for one in chosen) / max(1, votes[reason, best])
    return reason, chosen[-1].label, best, mean * share


def _probabilities(decisions: tuple[Decision, ...]) -> dict[str, float]:
    """Return the mean probability of each answer over the chunks."""
    total = sum(one.chunks for one in decisions if one.log_probabilities)
    sums: dict[str, float] = {}
    for one in decisions:
        for name, value in one.log_probabilities.items():
            sums[name] = sums.get(name, 0.0) + math.exp(value) * one.chunks / max(1, total)
    names = {NO_SIGNAL: "noise"}
    return {names.get(name, name): value for name, value in sums.items()}


FAMILIES: dict[str, Family] = {
    "noise": _noise,
    "carrier": _carrier,
    "linear": _linear,
}
"""What is tried, in this order; the first that gives a label is right."""
