# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be measured of chirps: how fast and how far they sweep, LoRa's spreading factor and symbol rate.

The product of a sweep with itself a little later is a tone, at the sweep's rate times that lag (Peleg and Porat 1991).
This gives the rate roughly, whatever it is. Then the signal is swept back, and the same is done again with a longer
lag. LoRa's symbols are sweeps of 2^factor chips (Vangelista 2017): where the rate is known to some percent, factors are
as far apart as a factor of 1.4 in bandwidth.
"""

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from amrq import transforms as fft
from amrq.measure.looks import Band, band_alone, checked_look, line_place, logistic, occupied_width, squares

__all__ = ["Chirp", "measure_chirp"]

_LEAST_SAMPLES = 512
_MOST_TIME = 4096.0
"""Over the bandwidth: no more is looked at."""
_WIDER = 1.3
_SCALES, _SMALLEST = 9, 24.0
"""Sweeps times bandwidth that are looked for: the smallest, and twice as much at each further scale."""
_LAG, _WINDOW = 8, 2
"""Parts of a sweep: the lag of the product, and the time that a line is looked for in."""
_FROM, _TO, _STILL = 0.08, 0.21, 0.045
"""Of the bandwidth: where the product's tone is at the scale that fits; and where it is of what does not sweep."""
_LONGER = (4, 3)
"""Parts of a sweep: lags by which the rate is made better, one after the other."""
_BOTH = 0.5
"""Of the stronger tone: the tone of sweeps back, in a triangle."""
_CERTAIN = 0.15
"""Of the power: the tone of a triangle has more; those of noise are as strong as one another, and have less."""
_AGAIN, _SURE = 0.35, 0.6
"""Of a signal's power: what repeats itself is correlated so far after a period, and what certainly does."""
_FIRST = 0.8
"""Of the greatest likeness: the first that is so great."""
_ONE = 0.8
"""Of the power that is gathered: where one line holds more, the signal sweeps once, as a carrier that drifts."""
_DOUBTFUL = -0.4
"""Of the odds' logarithm, at most, for a single sweep."""
_LORA = (
    *(7812.5, 10416.7, 15625.0, 20833.3, 31250.0, 41666.7, 62500.0),
    *(125e3, 203125.0, 250e3, 406250.0, 500e3, 812.5e3, 1625e3),
)
"""Hz: bandwidths of LoRa (Semtech SX1276 and SX1280, data sheets)."""
_FACTORS, _DOUBT = range(5, 13), 0.3
"""Spreading factors; and by so much a width may be off, of which few symbols show a part, to either side."""
_USUAL, _USUAL_SHORT = 0.002, 0.2
"""Of a bandwidth: a usual one is so near; and less so by the second over a symbol's chips: their rate is known less."""
_HELD, _BETWEEN, _SAME = 0.6, 0.8, 0.004
"""Of the power: symbols of LoRa are tones of so much at least, and windows half-way between hold less by this factor;
and by so much a preamble's period may be off. Of 60 simulated signals at 10 to 20 dB they held 0.73 at least."""

_BEGINNINGS, _PHASES = 16, 4
"""Parts of a symbol, and of a chip, at which symbols are taken to begin."""

_Samples = NDArray[np.complex64]


@dataclass(frozen=True)
class Chirp:
    """What was measured of chirps; None where the samples do not carry it.

    Attributes:
        kind: `lora`, `sweeps` (the same again and again), or None where the look is too short to tell.
        shape: `up`, `down` or `triangle`.
        rate: of the sweep, Hz a second, above 0.
        bandwidth: that is swept, Hz.
        sweep_time: of one sweep, s.
        period: from one sweep to the next, s; of a triangle from one rise to the next. None where none is seen.
        spreading_factor: of LoRa.
        symbol_rate: of LoRa, symbols a second.
        gathered: share of the signal's power that sweeping back gathers in single lines.
        confidence: probability that it is a chirp and its rate is right to 3 %, 0 to 1.
    """

    kind: str | None = None
    shape: str | None = None
    rate: float | None = None
    bandwidth: float | None = None
    sweep_time: float | None = None
    period: float | None = None
    spreading_factor: int | None = None
    symbol_rate: float | None = None
    gathered: float = 0.0
    confidence: float = 0.0


class _Tone(NamedTuple):
    """The tone of a product: how much of the power is in it, in the tone of the other sign, and beside 0 Hz."""

    share: float
    back: float
    still: float
    rate: float  # of the sweep, Hz a second


def measure_chirp(iq: _Samples, sample_rate: float, bandwidth: float | None = None) -> Chirp:
    """Measure chirps about 0 Hz: LoRa's, or sweeps as of a radar.

    Args:
        iq: complex [N], the emission about 0 Hz; what exceeds 4,096 over the bandwidth is not looked at.
        sample_rate: samples a second, above 0.
        bandwidth: of the emission (99 %), right to some 20 %, Hz; None: 0.8 of the sample rate.

    Raises:
        AmrqError: the sample rate is not above 0.

    >>> rng = np.random.default_rng(1)
    >>> time = np.arange(512) / 512  # four samples a chip: spreading factor 7 at 125 kHz
    >>> sweeps = (time + rng.integers(128, size=(16, 1)) / 128) % 1 - 0.5
    >>> iq = np.exp(2j * np.pi * np.cumsum(sweeps.ravel()) / 4)
    >>> found = measure_chirp(iq, 500e3, 125e3)
    >>> found.kind, found.shape, found.spreading_factor, round(found.bandwidth), round(found.symbol_rate, 1)
    ('lora', 'up', 7, 125000, 976.6)
    """
    iq, width = checked_look(iq, sample_rate, bandwidth)
    iq = iq[: math.ceil(_MOST_TIME * sample_rate / width)]
    if len(iq) < _LEAST_SAMPLES or not np.any(iq):
        return Chirp()
    band = band_alone(iq, sample_rate, width, _WIDER)
    tone = _sweep(band)
    if tone is None or not tone.rate:
        return Chirp()
    time = np.arange(len(band.iq)) / band.rate
    rate = tone.rate
    for parts in _LONGER:
        rate = _better(band, time, rate, parts) or rate
    window = min(len(band.iq), max(12, round(max(width / abs(rate) / _WINDOW, 8 / width) * band.rate)))
    gathered, one = _gathered(band.iq * _turned(rate, time), window)
    still, _ = _gathered(band.iq, window)
    signal = max(0.5, 1 - band.share)
    both = tone.back > _BOTH * tone.share and tone.share > _CERTAIN
    if both:  # what sweeps up half of the time sweeps down in the other half
        gathered += max(0.0, _gathered(band.iq * _turned(-rate, time), window)[0] - still)
    # What noise has in single lines by chance, at rest as well, does not count.
    gathered = min(1.0, max(0.0, gathered - (1 - signal) * still) / signal)
    still = min(1.0, still / signal)
    single = one > _ONE
    found = _described(band, rate, both, signal, single)
    worth = _worth(gathered, still, single)
    return replace(found, gathered=gathered, confidence=logistic(worth))


def _turned(rate: float, time: NDArray[np.float64]) -> _Samples:
    """Return what sweeps back as fast."""
    cycles = 0.5 * rate * time * time
    angle = (-2 * math.pi * (cycles - np.floor(cycles))).astype(np.float32)
    out = np.empty(len(angle), dtype=np.complex64)
    np.cos(angle, out=out.real)
    np.sin(angle, out=out.imag)
    return out


@lru_cache(maxsize=64)
def _taper(size: int) -> tuple[NDArray[np.float32], float]:
    """Return a window, and by what a line is more than its power in it."""
    taper = np.hanning(size + 2)[1:-1].astype(np.float32)
    return taper, float(taper.sum()) ** 2 / float((taper**2).sum())


def _windows(iq: _Samples, window: int) -> tuple[_Samples, float]:
    """Return windows [n, window], each half over the next, and by what a line is more than its power in it."""
    half = min(window, len(iq)) // 2
    halves = iq[: len(iq) // half * half].reshape(-1, half)
    taper, times = _taper(2 * half)
    return np.asarray(np.concatenate([halves[:-1], halves[1:]], axis=1) * taper, dtype=np.complex64), times


def _line(iq: _Samples, lag: int, window: int) -> tuple[NDArray[np.float32], int]:
    """Return the spectrum of a product with itself later, over what a tone of its power has; and its size."""
    product = iq[lag:] * np.conj(iq[:-lag])
    pieces, times = _windows(product, window)
    size = int(fft.next_fast_len(round(1.6 * pieces.shape[1])))
    lines = squares(fft.fft(pieces, size, axis=1)).sum(axis=0)
    return lines / max(float(squares(pieces).sum()) * times, 1e-30), size


def _sweep(band: Band) -> _Tone | None:
    """Return the tone that stands out most at any scale."""
    best: tuple[float, _Tone] | None = None
    for scale in range(_SCALES):
        long = _SMALLEST * 2**scale * band.scale  # samples of a sweep
        lag, window = max(2, round(long / _LAG)), max(8, round(long / _WINDOW))
        if lag + 0.6 * window > len(band.iq):
            break
        lines, size = _line(band.iq, lag, window)
        place = np.abs(fft.fftfreq(size)) * band.scale
        top = int(np.argmax(np.where((place > _FROM) & (place < _TO), lines, 0)))
        still = float(lines[place < _STILL].max())
        if best is not None and float(lines[top]) - still <= best[0]:
            continue
        at = line_place(lines, top)
        at -= size if at > size / 2 else 0
        rate = at / size * band.rate / (lag / band.rate)
        best = float(lines[top]) - still, _Tone(float(lines[top]), float(lines[-top % size]), still, rate)
    return None if best is None else best[1]


def _better(band: Band, time: NDArray[np.float64], rate: float, parts: int) -> float:
    """Return the rate of a sweep by how much is left when it is swept back."""
    long = band.width / abs(rate) * band.rate
    lag = round(long / parts)
    window = round(long / _WINDOW)
    if lag < 2 or lag + 0.6 * window > len(band.iq):
        lag = min(lag, len(band.iq) // 3)
        window = len(band.iq) - lag
    lines, size = _line(band.iq * _turned(rate, time), lag, window)
    near = max(2, round(0.12 / parts * band.width / band.rate * size))  # the first is right to 10 %
    at = np.arange(-near, near + 1)
    top = int(at[int(np.argmax(lines[at]))])
    return rate + (line_place(lines, top % size) - top % size + top) / size * band.rate**2 / lag


def _gathered(iq: _Samples, window: int) -> tuple[float, float]:
    """Return the share of the power in the strongest line of each window, and how much of that is in one line."""
    pieces, times = _windows(iq, window)
    size = int(fft.next_fast_len(round(1.5 * pieces.shape[1])))
    lines = squares(fft.fft(pieces, size, axis=1))
    tops = lines.argmax(axis=1)
    strongest = np.take_along_axis(lines, tops[:, None], axis=1)[:, 0]
    gathered = float(strongest.sum())
    held = np.bincount(tops, strongest, size)
    held = held + np.roll(held, 1) + np.roll(held, -1)
    return gathered / max(float(squares(pieces).sum()) * times, 1e-30), float(held.max()) / max(
        gathered, 1e-30
    )


def _described(band: Band, rate: float, both: bool, signal: float, single: bool) -> Chirp:
    """Return what sweeps: how far, how long, and whether they come again."""
    low, high = occupied_width(band)
    steep = abs(rate)
    seen = len(band.iq) / band.rate  # s
    whole = seen * steep > 1.5 * band.width
    width = min(max(high - low, 0.6 * band.width), 1.6 * band.width) if whole else band.width
    time = width / steep
    shape = "triangle" if both else "up" if rate > 0 else "down"
    period, again = _period(
        band, (0.85 if not both else 1.7) * time, (2.3 if not both else 3.5) * time, signal
    )
    factor, swept = (0, width) if both else _factor(steep, width, _DOUBT)
    if factor and _is_lora(band, rate, swept, factor, signal, period if again > _SURE else None):
        symbols = swept / 2**factor  # a usual bandwidth is the better known of the two
        return Chirp("lora", shape, steep, swept, 1 / symbols, None, factor, symbols)
    if single:
        return Chirp(None, shape, steep, width, time)
    if period is None:
        return Chirp(None, shape, steep, width, time)
    whole_time = period / 2 if both else period
    if abs(whole_time / time - 1) < 0.06:  # no pause: the period says best how long it is
        time, width = whole_time, whole_time * steep
    return Chirp("sweeps", shape, steep, width, time, period)


def _factor(rate: float, width: float, doubt: float) -> tuple[int, float]:
    """Return the spreading factor and the bandwidth of LoRa that a rate, and a width right to a part, go with; or 0."""
    best = (doubt, 0, width)
    for factor in _FACTORS:
        made = math.sqrt(rate * 2**factor)
        usual = min(_LORA, key=lambda one: abs(math.log(one / made)))
        off = abs(usual / width - 1)
        if abs(usual / made - 1) < _USUAL + _USUAL_SHORT / 2**factor and off < best[0]:
            best = off, factor, usual
    return best[1:]


def _is_lora(band: Band, rate: float, swept: float, factor: int, signal: float, period: float | None) -> bool:
    """Return whether what sweeps as LoRa does has its symbols as well, or comes again as its preamble does."""
    if period is not None and abs(period * swept / 2**factor - 1) < _SAME:
        return True
    held, between = _symbols(band, rate, swept, factor, signal)
    return held > _HELD and between < _BETWEEN * held


def _symbols(band: Band, rate: float, swept: float, factor: int, signal: float) -> tuple[float, float]:
    """Return how much of a signal is tones that each last for a symbol of LoRa, 0 to 1; and how much half-way between.

    Swept back, and sampled at the bandwidth, a symbol is one tone, its wrap from one edge to the other included
    (Vangelista 2017). Where symbols begin is tried out. Sweeps that are all alike are as much at any place.

    Args:
        band: the signal's.
        rate: of the sweep, Hz a second, of either sign.
        swept: bandwidth, Hz.
        factor: spreading factor.
        signal: share of the band's power that is signal.
    """
    chips = 2**factor
    count = round(len(band.iq) / band.rate * swept)
    spectrum = fft.fft(band.iq)
    fine = np.zeros(_PHASES * count, np.complex64)
    half = min(len(spectrum), len(fine)) // 2
    fine[:half], fine[len(fine) - half :] = spectrum[:half], spectrum[len(spectrum) - half :]
    exact = math.copysign(swept * swept / chips, rate)
    fine = fft.ifft(fine) * _turned(exact, np.arange(len(fine)) / (_PHASES * swept))
    total = signal * max(float(squares(fine).sum()) / _PHASES, 1e-30)
    half = _BEGINNINGS // 2
    held = [_tones(fine[::_PHASES], chips, one) / total for one in range(_BEGINNINGS)]
    best = int(np.argmax(held))
    # A wrap is none where samples are where a symbol begins: parts of a chip are tried out.
    sums = [
        [_tones(fine[phase::_PHASES], chips, one) for one in (best, (best + half) % _BEGINNINGS)]
        for phase in range(_PHASES)
    ]
    return tuple(min(max(column) / total, 1.0) for column in zip(*sums, strict=True))


def _tones(tones: _Samples, chips: int, beginning: int) -> float:
    """Return the power in the strongest tone of each symbol, where symbols begin at a sixteenth of one."""
    before = round(beginning * chips / _BEGINNINGS)
    rows = -(-(len(tones) + before) // chips)
    pieces = np.zeros(rows * chips, np.complex64)
    pieces[before : before + len(tones)] = tones
    long = np.full(rows, float(chips))
    long[0] -= before
    long[-1] -= rows * chips - len(tones) - before
    lines = squares(fft.fft(pieces.reshape(rows, chips), 2 * chips, axis=1)).max(axis=1)
    return float((lines / np.maximum(long, 1.0)).sum())


def _period(band: Band, least: float, most: float, signal: float) -> tuple[float | None, float]:
    """Return after what time, s, a signal is most like itself, and how much; None where it is not."""
    count = len(band.iq)
    first, last = max(2, int(least * band.rate)), min(math.ceil(most * band.rate), int(0.6 * count))
    if last - first < 3:
        return None, 0.0
    # Where a carrier drifts, only parts of the time are alike: a few periods each.
    long = min(count, 3 * last)
    pieces = band.iq[: count // long * long].reshape(-1, long)
    size = int(fft.next_fast_len(long + last + 2))
    alike = np.abs(fft.ifft(squares(fft.fft(pieces, size, axis=1)).astype(np.complex64), axis=1)).sum(axis=0)
    part = alike[first : last + 1] / (long - np.arange(first, last + 1))
    top = int(np.argmax(part > _FIRST * float(part.max())))  # not a multiple of it
    while top + 1 < len(part) and part[top + 1] > part[top]:
        top += 1
    again = float(part[top]) * long / (signal * max(float(alike[0]), 1e-30))
    if again < _AGAIN:
        return None, again
    return (first + (line_place(part, top) if 0 < top < len(part) - 1 else top)) / band.rate, again


def _worth(gathered: float, still: float, single: bool) -> float:
    """Return the logarithm of the odds that it is right: a logistic curve fitted to simulation (docs/families.md)."""
    times = math.log((gathered + 0.02) / (still + 0.02))
    worth = -9.2 + 1.7 * times + 12.7 * gathered + 2.5 * min(gathered, 0.4)
    return min(worth, _DOUBTFUL) if single else worth
