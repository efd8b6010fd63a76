# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a frequency is that of a picture: analogue video, sent as FM by cameras, drones and amateur television.

A picture is sent line by line: 15,625 lines a second with 625 lines, 15,734 with 525 (ITU-R BT.470). Lines resemble
their neighbours, so that the frequency is like itself one line later, and not sooner. Each line begins with a pulse for
the receiver's synchronisation, which takes 4.7 us at one end of the frequency's range, where no part of the picture is
(30 % of the range is kept for it). Keys that repeat themselves have a shorter period, sweeps stay at no end, and audio
is slower.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from amrq import transforms as fft
from amrq.measure.frequency_keying import instantaneous_frequency
from amrq.measure.looks import checked_look

__all__ = ["VideoLines", "measure_video_lines"]

_LEAST_WIDTH = 1.5e6
"""Hz: FM with a picture is wider."""
_SLOWEST, _FASTEST = 15.5e3, 15.85e3
"""Lines a second."""
_LEAST_LINES = 2.2
"""Of a look."""
_MOST_SAMPLES = 16_384
_TOP = 0.6e6
"""Hz: what is above says little of sync pulses, and a discriminator's noise is there."""
_SOONEST = 0.1
"""Of a line: neighbouring parts of a picture are alike."""
_ALIKE, _APART = (0.35, 0.6), (0.02, 0.12)
"""Correlation of lines; and by how much they are more alike than parts of a line."""
_CELLS = 128
"""Of a line, over which its mean is taken."""
_AT_END, _PULSE = 0.22, (0.035, 0.125)
"""Of the range, from its end, that a sync pulse keeps to; and parts of a line that are there: it is 0.073."""
_PERIOD_ALONE = 0.6
"""Confidence where the period is that of lines, and no pulse is seen: a dark picture hides it, and an echo."""

_Reals = NDArray[np.float64]


@dataclass(frozen=True)
class VideoLines:
    """What was measured of a picture's lines.

    Attributes:
        line_rate: lines a second; None where there are none.
        alike: correlation of the frequency with itself a line later, -1 to 1.
        sooner: the highest correlation with a part of the same line.
        pulse: share of a line that the frequency is at one end of its range.
        confidence: how clearly these are lines of a picture, 0 to 1.
    """

    line_rate: float | None = None
    alike: float = 0.0
    sooner: float = 0.0
    pulse: float = 0.0
    confidence: float = 0.0


def measure_video_lines(
    iq: NDArray[np.complex64], sample_rate: float, bandwidth: float | None = None
) -> VideoLines:
    """Measure the lines of a picture that modulates the frequency of an emission about 0 Hz.

    Args:
        iq: complex [N], the emission about 0 Hz.
        sample_rate: samples a second, above 0.
        bandwidth: of the emission (99 %), right to some 20 %, Hz; None: 0.8 of the sample rate.

    Raises:
        AmrqError: the sample rate is not above 0.

    >>> rng = np.random.default_rng(1)
    >>> place = np.arange(8000) / 10e6 * 15625 % 1
    >>> picture = np.interp(place, np.linspace(0, 1, 30), rng.uniform(-0.1, 1, 30))
    >>> level = np.where(place < 0.073, -1, np.where(place < 0.19, -0.4, picture))
    >>> found = measure_video_lines(np.exp(2j * np.pi * np.cumsum(1.5e6 * level) / 10e6), 10e6, 6e6)
    >>> round(found.line_rate, -1), found.confidence > 0.9
    (15620.0, True)
    """
    iq, width = checked_look(iq, sample_rate, bandwidth)
    if width < _LEAST_WIDTH or len(iq) * _SLOWEST < _LEAST_LINES * sample_rate or not np.any(iq):
        return VideoLines()
    frequency, rate, _ = instantaneous_frequency(iq, sample_rate, width, _MOST_SAMPLES)
    count = len(frequency)
    if count * _SLOWEST < _LEAST_LINES * rate:
        return VideoLines()
    smooth = _slow(frequency - float(frequency.mean()), rate)
    alike = _correlation(smooth, math.ceil(rate / _SLOWEST) + 1)
    first, last = math.floor(rate / _FASTEST), math.ceil(rate / _SLOWEST)
    lag = first + int(np.argmax(alike[first : last + 1]))
    sooner = float(np.max(alike[round(_SOONEST * lag) : first - round(_SOONEST * lag)], initial=-1.0))
    line_rate = rate / _between(alike, lag)
    pulse = _at_one_end(smooth, rate, line_rate)
    found = float(alike[lag])
    sure = _ramp(found, *_ALIKE) * _ramp(found - sooner, *_APART)
    if not _PULSE[0] < pulse < _PULSE[1]:
        sure = min(sure, _PERIOD_ALONE)
    return VideoLines(line_rate, found, sooner, pulse, sure)


def _slow(values: _Reals, rate: float) -> _Reals:
    """Return values without what is faster than a sync pulse."""
    spectrum = fft.rfft(values)
    at = fft.rfftfreq(len(values), 1 / rate)
    return np.asarray(fft.irfft(spectrum * np.exp(-0.5 * np.square(at / (0.5 * _TOP))), len(values)))


def _correlation(values: _Reals, lags: int) -> _Reals:
    """Return the correlation of values with themselves after each of so many lags, -1 to 1."""
    count = len(values)
    size = int(fft.next_fast_len(count + lags))
    power = np.square(np.abs(fft.rfft(values, size)))
    products = fft.irfft(power, size)[:lags]
    sums = np.concatenate([[0.0], np.cumsum(np.square(values))])
    at = np.arange(lags)
    both = np.sqrt(sums[count - at] * (sums[count] - sums[at]))
    return np.asarray(products / np.maximum(both, 1e-30))


def _between(values: _Reals, top: int) -> float:
    """Return the place of a peak between samples, by a parabola."""
    if not 0 < top < len(values) - 1:
        return float(top)
    before, peak, after = values[top - 1 : top + 2]
    curve = before - 2 * peak + after
    return top + (float(0.5 * (before - after) / curve) if curve < 0 else 0.0)


def _at_one_end(values: _Reals, rate: float, line_rate: float) -> float:
    """Return the share of a line that its mean is near that end of its range where it is longest without a break."""
    cell = (np.arange(len(values)) * line_rate / rate % 1 * _CELLS).astype(np.int64)
    held = np.bincount(cell, minlength=_CELLS)
    if not held.all():
        return 0.0
    line = np.bincount(cell, values, _CELLS) / held
    low, high = float(line.min()), float(line.max())
    shares = []
    for off in (line - low, high - line):
        near = off < _AT_END * (high - low)
        # One pulse a line: near the other end of the range a picture comes and goes.
        if int(np.count_nonzero(near & ~np.roll(near, 1))) == 1:
            shares.append(float(near.mean()))
    return min(shares, default=0.0)


def _ramp(value: float, low: float, high: float) -> float:
    return min(max((value - low) / (high - low), 0.0), 1.0)
