# SPDX-License-Identifier: GPL-3.0-or-later
"""Carriers side by side, each keyed for itself with the same clock: OFDM without a prefix, in a wider sense.

Multi-carrier PSK and other modems with a few carriers leave gaps between them, and key all of them at once. So the
power of their sum has a line at the symbol rate, which is a small part of the bandwidth, and the spectrum comes again
from carrier to carrier, some 1.2 to 3 symbol rates apart. One carrier with symbols has neither: its clock is half the
bandwidth or more, and its spectrum, where it comes again (side lobes, a pattern), does so at multiples of the clock or
at parts of it. The line is that of Gardner's cyclostationary signals (1986).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from amrq import transforms as fft
from amrq.measure.looks import band_alone, checked_look, hann, powers

__all__ = ["KeyedCarriers", "measure_keyed_carriers"]

_LEAST_PRODUCT = 200.0
"""Bandwidths times seconds, at least."""
_WIDER = 1.2
"""Of the bandwidth: what is looked at."""
_SLOWEST, _FASTEST, _FEWEST = 1 / 40, 0.45, 24
"""Symbol rates over the bandwidth, and symbols in a look at least."""
_OWN, _AROUND, _PART = 3, (12, 200), 0.25
"""Bins on either side that belong to a line; and those around it whose mean is its floor: at least, at most, and over
its place, since audio's power is higher at low frequencies."""
_FINE = 0.12
"""Of a symbol rate: what the spectrum is smoothed by."""
_BASE = 4.0
"""Symbol rates: the spectrum is compared with its mean over so much."""
_SHOULDER, _STRONG = 0.5, 0.9
"""Of this quantile of the spectrum's magnitude: what it is compared with is no less. Carriers are about as strong as
each other; the side lobes of a cut filter, which stand out of their surroundings as well, are weak."""
_AS_STRONG = 0.35
"""Magnitude of one of the neighbours over that of the strongest carrier, at least."""
_APART = 1.15, 3.1
"""Distances of carriers over the symbol rate."""
_FALLEN, _FIRST = 0.1, 0.4
"""Likeness of a spectrum to itself by which a carrier is left; and part of the largest one from which on a distance is
that to the next, or the beginning of its top. Lines of a pattern come again earlier."""
_NEAR, _WIDE = 0.2, (0.3, 0.45)
"""Symbol rates: so little further a spectrum is like itself, since a carrier is as wide as its clock says; the lines of
voices, chords and patterns are not: of such less than the former, of carriers more than the latter."""
_OVERLAP = 0.7
"""Of the bandwidth: a distance is not larger, so that there is something to compare."""
_LINE, _ALIKE = (14.0, 28.0), (0.32, 0.5)
"""Line over its floor, and likeness a carrier further, of carriers perhaps and surely."""

_Samples = NDArray[np.complex64]


@dataclass(frozen=True)
class KeyedCarriers:
    """What was measured of carriers side by side; None where none are seen.

    Attributes:
        symbol_rate: of each, symbols a second.
        spacing: from one to the next, Hz, to an eighth.
        line: power of the clock's line over what is around it.
        alike: how alike the spectrum is to itself one carrier further, -1 to 1 and little more.
        confidence: probability that it is such carriers, 0 to 1.
    """

    symbol_rate: float | None = None
    spacing: float | None = None
    line: float = 0.0
    alike: float = 0.0
    confidence: float = 0.0


def measure_keyed_carriers(iq: _Samples, sample_rate: float, bandwidth: float | None = None) -> KeyedCarriers:
    """Look for carriers side by side that are keyed with one clock.

    Args:
        iq: complex [N], the emission about 0 Hz.
        sample_rate: samples a second, above 0.
        bandwidth: of the emission (99 %), right to some 20 %, Hz; None: 0.8 of the sample rate.

    Raises:
        AmrqError: the sample rate is not above 0.

    >>> rng = np.random.default_rng(1)
    >>> symbols = np.zeros((4, 64 * 150), complex)
    >>> symbols[:, ::64] = rng.choice([1, -1, 1j, -1j], (4, 150))
    >>> turns = np.exp(2j * np.pi * np.outer([-3, -1, 1, 3], np.arange(64 * 150) / 64))
    >>> iq = sum(np.convolve(row, np.hanning(129), "same") * turn for row, turn in zip(symbols, turns))
    >>> found = measure_keyed_carriers(iq, sample_rate=64e3, bandwidth=7e3)
    >>> round(found.symbol_rate, -1), abs(found.spacing / 2000 - 1) < 0.1, found.confidence > 0.9
    (1000.0, True, True)
    """
    iq, width = checked_look(iq, sample_rate, bandwidth)
    if len(iq) * width / sample_rate < _LEAST_PRODUCT or not np.any(iq):
        return KeyedCarriers()
    band = band_alone(iq, sample_rate, width, _WIDER, 2.0)
    count = len(band.iq)
    step = band.rate / count
    clock, line = _clock(band.iq, step, width)
    if clock < _FEWEST:
        return KeyedCarriers(line=line)
    half = int(width / 2 / step)
    spectrum = np.concatenate([band.spectrum[-half:], band.spectrum[:half]]).astype(np.float64)
    spacing, alike, near = _distance(spectrum, clock)
    sure = _ramp(line, *_LINE) * _ramp(alike, *_ALIKE) * _ramp(near, *_WIDE)
    return KeyedCarriers(clock * step, spacing * step if spacing else None, line, alike, sure)


def _clock(iq: _Samples, step: float, width: float) -> tuple[int, float]:
    """Return the place of the power's strongest line, in steps of its spectrum, and its power over its floor."""
    power = powers(iq)
    spectrum = powers(fft.rfft((power - power.mean()) * hann(len(iq))))
    first, last = max(_FEWEST, int(_SLOWEST * width / step)), int(_FASTEST * width / step)
    last = min(last, len(spectrum) - _AROUND[0] - 1)
    if last <= first:
        return 0, 0.0
    at = np.arange(first, last)
    around = np.clip((_PART * at).astype(np.int64), *_AROUND)
    sums = np.concatenate([[0.0], np.cumsum(spectrum)])
    low, high = np.maximum(at - around, _OWN + 1), np.minimum(at + around + 1, len(spectrum))
    own = sums[at + _OWN + 1] - sums[at - _OWN]
    floor = (sums[high] - sums[low] - own) / (high - low - 2 * _OWN - 1)
    over = spectrum[at] / np.maximum(floor, 1e-30)
    best = int(np.argmax(over))
    return int(at[best]), float(over[best])


def _distance(spectrum: NDArray[np.float64], clock: int) -> tuple[float, float, float]:
    """Return after how many bins a spectrum is like itself as carriers are, how alike, and how alike near by; or 0."""
    size = max(1, int(_FINE * clock))
    stride = max(1, size // 3)
    smooth = np.sqrt(np.convolve(spectrum, np.full(size, 1 / size), "same")[::stride])
    base = min(int(_BASE * clock / stride), len(smooth) - 1) | 1
    if base > len(smooth) or len(smooth) < 8:
        return 0.0, 0.0, 0.0
    magnitude = smooth
    least = max(_SHOULDER * float(np.quantile(smooth, _STRONG)), 1e-12)
    smooth = smooth / np.maximum(np.convolve(smooth, np.full(base, 1 / base), "same"), least)
    smooth -= smooth.mean()
    alike = np.correlate(smooth, smooth, "full")[len(smooth) - 1 :]
    alike = alike / max(float(alike[0]), 1e-30) * (len(smooth) / np.arange(len(smooth), 0, -1))
    first = int(np.argmax(alike < _FALLEN))
    high = min(round(_APART[1] * clock / stride) + 1, int(_OVERLAP * len(smooth)))
    if first == 0 or high <= first:
        return 0.0, 0.0, 0.0
    # Two and three carriers further it is as like itself, or more: the first top is looked for.
    best = first + int(np.argmax(alike[first:high] > _FIRST * alike[first:high].max()))
    while best < high - 1 and alike[best + 1] > alike[best]:
        best += 1
    if best == high - 1 or best * stride < _APART[0] * clock:
        return 0.0, 0.0, 0.0
    top = int(np.argmax(magnitude))
    beside = [
        magnitude[max(0, at - best // 5) : at + best // 5 + 1] for at in (top - best, top + best) if at >= 0
    ]
    if max((float(one.max(initial=0.0)) for one in beside), default=0.0) < _AS_STRONG * float(magnitude[top]):
        return 0.0, 0.0, 0.0
    near = min(len(alike) - 1, round(_NEAR * clock / stride))
    return best * stride, float(alike[best]), float(alike[near])


def _ramp(value: float, low: float, high: float) -> float:
    return min(max((value - low) / (high - low), 0.0), 1.0)
