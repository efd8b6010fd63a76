# SPDX-License-Identifier: GPL-3.0-or-later
"""Parts of signals: what a detector takes for one emission; what goes together; parts that are made one."""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from amrq.chunks import finite_samples
from amrq.model import UNKNOWN
from amrq.scan.records import EmissionRecord

__all__ = [
    "ALIKE",
    "FAINT",
    "LINES",
    "MOST_WHOLE",
    "OPPOSITE",
    "SPLATTER",
    "TOGETHER",
    "Part",
    "bridged",
    "capped",
    "common_time",
    "crowd",
    "energy",
    "fine_spectrum",
    "halves",
    "joined",
    "keyed_alike",
    "largest",
    "likeness_of",
    "spread",
    "union",
    "unsaid",
]

FAINT, SPLATTER = 1e-4, 3e-3
"""Of the strongest one's energy: what has less is counted, and not listed; and of a signal's: what is weaker and near
belongs to it."""
TOGETHER = 0.5
"""Of the shorter one's time, two parts of one signal are on together; and confidence that makes parts one signal."""
LINES = (UNKNOWN, "carrier")
"""What a line is called."""
_SAME_RATE = 0.01
"""Of a symbol rate, by which two are one."""
_TAILS = 5e-4
"""Of the power of parts that are made one, beyond either edge of the whole."""

OPPOSITE, ALIKE = -0.4, 0.4
"""Correlation of two powers: of the tones of a frequency keying at most, where one leaves as the other begins; of two
parts of the spectrum of pulses at least."""
_FINEST, _SMOOTH, _FLOORS, _OUT = 20, 5, (0.3, 0.6, 0.8), 4.0
"""Values of the spectrum in a crowd over those that are averaged; quantiles of them that may be its floor, and how many
times that an emission in it has at least."""
_FILLED, _HELD, _HALF_FILLED = 0.15, 0.7, 0.5
"""Of its band, that a crowd's emissions take at most, and of its power that they have at least: voices take 0.2 and
more; and of a full band."""
_MOST, _FEWEST = 1 << 17, 16
"""Samples that are looked at, at most, and moments, at least."""
_FINE, _FINE_SPECTRA, _FINEST_BINS = 1000, 8, 1 << 18
"""Values of a spectrum in the part of the band that is looked at, spectra that it is a mean of, and values at most."""
_MOMENT = 4.0
"""Over the narrower bandwidth: a moment."""

_HOLE, _SAME_WIDTH, _SAME_DENSITY, _SAME_TIME = 0.045, 1.15, 1.5, 0.9
"""Of a half of OFDM: the hole at its middle by the detector's edges, where a carrier is left out (.036 of 36 on each
side; two channels of DVB-T leave .05); ratios of the widths and of the power densities of both, at most; of the longer
one's time, that both are on."""

MOST_WHOLE = 0.85
"""Confidence of a family of what is not measured against noise beside it, at most."""

_LIKE_NOISE = {"ofdm", UNKNOWN}

_Reals = NDArray[np.float64]


@dataclass(frozen=True)
class Part:
    """What the detector takes for one emission, with all of its stretches."""

    record: EmissionRecord
    stretches: tuple[tuple[int, int], ...]
    energy: float = 0.0
    pieces: int = 1
    tones: tuple[EmissionRecord, ...] = ()
    """Two keyed carriers of which one leaves where the other begins, that it was made of."""

    @property
    def width(self) -> float:
        """Its bandwidth, Hz."""
        return self.record.bandwidth

    @property
    def time(self) -> int:
        """Samples that it is on."""
        return sum(stop - start for start, stop in self.stretches)


def energy(record: EmissionRecord, at: _Reals, above: _Reals) -> float:
    """Return the share of the power above the noise that is within an emission's edges; at least that of a bin."""
    step = float(at[1] - at[0])
    return float(above[(at >= record.lower - step) & (at <= record.upper + step)].sum())


def union(one: Part, other: Part, at: _Reals, above: _Reals) -> Part:
    """Return two parts of a signal as one: with the times of both, and the edges that hold 99.9 % of its power."""
    a, b = one.record, other.record
    lower, upper = min(a.lower, b.lower), max(a.upper, b.upper)
    near = (at >= lower) & (at <= upper)
    sums = np.cumsum(above[near])
    if len(sums) > 8 and sums[-1] > 0:
        first, last = np.searchsorted(sums, [_TAILS * sums[-1], (1 - _TAILS) * sums[-1]])
        places = at[near]
        lower, upper = float(places[first]), float(places[min(last, len(places) - 1)])
    record = replace(
        a,
        start=min(a.start, b.start),
        stop=max(a.stop, b.stop),
        first_seen=min(a.first_seen, b.first_seen),
        last_seen=max(a.last_seen, b.last_seen),
        lower=lower,
        upper=max(upper, lower + float(at[1] - at[0])),
    )
    times = joined([*one.stretches, *other.stretches])
    record = replace(record, bursts=len(times))
    both = min(one.energy + other.energy, energy(record, at, above))
    return Part(record, times, both, one.pieces + other.pieces)


def halves(one: Part, other: Part) -> bool:
    """Return whether two parts may be the halves of OFDM with no carrier at its middle.

    They are as wide, as strong and at the same time, and the hole between them is one that two channels seldom leave.
    """
    a, b = one.record, other.record
    if not {a.family, b.family} <= _LIKE_NOISE:
        return False
    narrow, wide = sorted((one.width, other.width))
    gap = max(a.lower, b.lower) - min(a.upper, b.upper)
    densities = one.energy * other.width, other.energy * one.width
    if gap > _HOLE * narrow or wide > _SAME_WIDTH * narrow or max(densities) > _SAME_DENSITY * min(densities):
        return False
    return common_time(one.stretches, other.stretches) > _SAME_TIME * max(one.time, other.time)


def spread(some: Sequence[tuple[int, int]], most: int) -> list[tuple[int, int]]:
    """Return so many of a sequence at most, spread over it."""
    step = max(1.0, len(some) / most)
    return [some[int(number * step)] for number in range(min(most, len(some)))]


def joined(times: Sequence[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Return times without overlap, in order."""
    kept: list[tuple[int, int]] = []
    for start, stop in sorted(times):
        if kept and start <= kept[-1][1]:
            kept[-1] = (kept[-1][0], max(kept[-1][1], stop))
        else:
            kept.append((start, stop))
    return tuple(kept)


def common_time(one: Sequence[tuple[int, int]], other: Sequence[tuple[int, int]]) -> int:
    """Return the samples in which both are on."""
    return sum(max(0, min(b, d) - max(a, c)) for a, b in joined(one) for c, d in joined(other))


def bridged(strong: NDArray[np.bool_], most: int) -> NDArray[np.bool_]:
    """Return a mask with holes of up to `most` places filled.

    >>> bridged(np.array([1, 0, 1, 0, 0, 1], bool), 1).astype(int).tolist()
    [1, 1, 1, 0, 0, 1]
    """
    places = np.flatnonzero(strong)
    filled = strong.copy()
    for a, b in itertools.pairwise(places.tolist()):
        if b - a - 1 <= most:
            filled[a:b] = True
    return filled


def largest(at: _Reals, strong: NDArray[np.bool_], spectrum: _Reals) -> tuple[float, float]:
    """Return the edges of the run of places that holds the most power; two equal ones where there is none."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], strong, [False]]).astype(np.int8)))
    runs = edges.reshape(-1, 2)
    if not len(runs):
        return 0.0, 0.0
    first, last = max(runs.tolist(), key=lambda run: float(spectrum[run[0] : run[1]].sum()))
    step = float(at[1] - at[0])
    return float(at[first]) - step / 2, float(at[last - 1]) + step / 2


def crowd(part: Part, at: _Reals, spectrum: _Reals, full: bool = False) -> list[Part]:
    """Return the narrow emissions that a wide one seems to be: a few, with wide holes between them, have its power.

    Args:
        part: the wide one.
        at: float64 [n], Hz of each value of the spectrum.
        spectrum: float64 [n], mean power.
        full: they may take up to half of its band, and their feet, which overlap, much of its power. A voice may look
            like this: who asks must be sure of what they are by other means.

    Returns:
        The strongest first; empty where its spectrum is another one.
    """
    inside = np.flatnonzero((at >= part.record.lower) & (at <= part.record.upper))
    if len(inside) < _FINEST * _SMOOTH:
        return []
    smooth = np.convolve(spectrum, np.full(_SMOOTH, 1 / _SMOOTH), "same")[inside]
    filled, held = (_HALF_FILLED, 0.0) if full else (_FILLED, _HELD)
    for quantile in _FLOORS if full else _FLOORS[:1]:
        floor = float(np.quantile(smooth, quantile))
        strong = bridged(smooth > _OUT * floor, _SMOOTH)
        ends = np.flatnonzero(np.diff(np.concatenate([[False], strong, [False]]).astype(np.int8)))
        edges = ends.reshape(-1, 2)
        edges = edges[edges[:, 1] - edges[:, 0] > 2 * _SMOOTH]
        excess = np.maximum(smooth - floor, 0.0)
        powers = np.array([excess[first:stop].sum() for first, stop in edges.tolist()]) / max(
            excess.sum(), 1e-300
        )
        if len(edges) > 1 and strong.mean() <= filled and powers.sum() >= held:
            break
    else:
        return []
    step = float(at[1] - at[0])
    found = []
    for (first, stop), power in zip(edges.tolist(), powers.tolist(), strict=True):
        lower, upper = float(at[inside[first]]) - step / 2, float(at[inside[stop - 1]]) + step / 2
        record = replace(part.record, lower=lower, upper=upper, label=UNKNOWN, family=UNKNOWN, confidence=0.0)
        level = part.record.level_dbfs + 10 * math.log10(max(power, 1e-30))
        snr = part.record.snr_db + 10 * math.log10(max(power, 1e-30) * part.width / (upper - lower))
        record = replace(
            record, level_dbfs=level, snr_db=snr, summary="", protocols=(), reason="not looked at"
        )
        found.append(Part(record, part.stretches, part.energy * power))
    return sorted(found, key=lambda one: -one.energy)


def fine_spectrum(
    read: Callable[[int, int], NDArray[Any]], length: int, sample_rate: float, width: float
) -> tuple[_Reals, _Reals]:
    """Return a mean spectrum that is fine enough to show what lies side by side within a part of the band.

    Args:
        read: returns samples from a first one on, so many of them.
        length: samples that there are.
        sample_rate: samples a second.
        width: of the part, Hz.

    Returns:
        at: float64 [n], Hz of each value.
        spectrum: float64 [n], mean power: zeros where there is too little for so fine a spectrum.
    """
    bins = 1 << math.ceil(math.log2(max(_FINE * sample_rate / max(width, 1e-9), _FEWEST)))
    bins = min(bins, 1 << max(4, int(math.log2(max(1, length // _FINE_SPECTRA)))), _FINEST_BINS)
    at = (np.arange(bins) - bins // 2) * sample_rate / bins
    window, sums = np.hanning(bins + 1)[:-1].astype(np.float32), np.zeros(bins)
    count = min(length // bins, max(_FINE_SPECTRA, _MOST // bins))
    for place in np.linspace(0, length - bins, count).round().astype(int).tolist():
        iq = finite_samples(np.asarray(read(place, bins), np.complex64))
        if len(iq) == bins:
            sums += np.square(np.abs(fft.fft(iq * window)).astype(np.float64))
    return at, fft.fftshift(sums)


def likeness_of(
    read: Callable[[int, int], NDArray[Any]],
    start: int,
    stop: int,
    sample_rate: float,
    one: EmissionRecord,
    other: EmissionRecord,
) -> float:
    """Return the correlation coefficient of the powers of two emissions, -1 to 1; 0 where there is too little.

    Args:
        read: returns samples from a first one on, so many of them.
        start: first sample of the stretch in which both are on.
        stop: the sample after its last one.
        sample_rate: samples a second.
        one: an emission, by its edges.
        other: the other one.
    """
    width = max(min(one.bandwidth, other.bandwidth), _MOMENT * sample_rate / _MOST)
    length = max(_FEWEST, 1 << math.ceil(math.log2(_MOMENT * sample_rate / width)))
    pieces = min(stop - start, _MOST) // length
    if pieces < _FEWEST:
        return 0.0
    iq = finite_samples(np.asarray(read(start, pieces * length), np.complex64))
    if len(iq) < pieces * length:
        return 0.0
    window = np.hanning(length).astype(np.float32)
    power = np.square(np.abs(fft.fft(iq.reshape(pieces, length) * window, axis=1)))
    at = fft.fftfreq(length, 1 / sample_rate)
    first, second = (power[:, (at >= part.lower) & (at <= part.upper)].sum(axis=1) for part in (one, other))
    if not (first.std() > 0 and second.std() > 0):
        return 0.0
    return float(np.corrcoef(first, second)[0, 1])


def capped(record: EmissionRecord, most: float = MOST_WHOLE) -> EmissionRecord:
    """Return a record with no more confidence than what was not measured against noise deserves; the rest is unknown.

    Args:
        record: with a family.
        most: confidence that it has at most, 0 to 1.

    >>> shares = {"am": 0.99, "ssb": 0.01}
    >>> capped = capped(EmissionRecord(1, 0, 9, 0, 9, 0, 1, 0, 0, family="am", confidence=0.99, families=shares))
    >>> capped.confidence, {name: round(share, 3) for name, share in capped.families.items()}
    (0.85, {'am': 0.85, 'ssb': 0.009, 'unknown': 0.141})
    """
    if record.family == UNKNOWN or not record.confidence > most:
        return record
    part = most / record.confidence
    families = {name: part * share for name, share in record.families.items()}
    families[UNKNOWN] = families.get(UNKNOWN, 0.0) + 1 - part
    return replace(record, confidence=most, families=families)


def keyed_alike(one: EmissionRecord, other: EmissionRecord) -> bool:
    """Return whether one of two emissions is keyed on and off, and the other one may be so with its symbol rate."""
    families = {one.family, other.family}
    if "ook" not in families or not families <= {"ook", *LINES}:
        return False
    rates = one.symbol_rate, other.symbol_rate
    return rates[0] is None or rates[1] is None or abs(rates[0] / rates[1] - 1) < _SAME_RATE


def unsaid(whole: EmissionRecord) -> str:
    """Return why what has no sure name is not named."""
    return whole.reason if whole.label == UNKNOWN else f"perhaps {whole.label}"
