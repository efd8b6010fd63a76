# SPDX-License-Identifier: GPL-3.0-or-later
"""The symbol clock of a keyed frequency: rates at which it changes."""

import math

import numpy as np
from numpy.typing import NDArray

from amrq import transforms as fft
from amrq.measure.looks import hann_single, line_place
from amrq.native import kernels

__all__ = ["clock_rates", "half_rate_beats"]

_FASTEST, _MOST_RATE = 1.3, 0.48
"""Symbol rates that are looked for: times the bandwidth, and times the discriminator's rate, at most."""
_BAND, _BANDS, _FEWEST_PERIODS = 0.6, 14, 7.0
"""Lowest over highest rate of a band of rates, how many there are, and periods of the lowest in the look."""
_PASSED, _SAMPLES_A_PERIOD, _PADDED, _LOCAL = 0.75, 2.6, 1.5, 25
"""Of the highest rate: what a low-pass passes; samples a period of it; how much finer its line is looked at; bins to
either side, which are its floor."""
_EVERYWHERE = 0.1
"""Of the mean floor, that counts as floor everywhere: where there is nothing, nothing stands out."""
_MANY_TONES, _SUDDEN = 0.2, 6.0
"""Of the bandwidth: slower symbols may have many tones. Times the mean squared change, what counts of it at most."""
_OUTSIDE = 0.75
"""Of the bandwidth, from its middle: a frequency beyond is noise."""
_CANDIDATES = 6
_FASTEST_BEAT, _MOST_BEAT, _BEATS, _FEWEST_BEATS = 1.8, 0.9, 8, 60.0
"""Symbol rates that beats are looked for at: times the bandwidth, and times the discriminator's rate, at most; bands of
rates; and periods of the lowest in the look."""
_AROUND_HALF = 0.35, 0.65
"""Of symbol rates: frequencies about half of them that beat with each other."""

_Reals = NDArray[np.float64]
_Singles = NDArray[np.float32]


def clock_rates(frequency: _Reals, rate: float, width: float) -> list[tuple[float, float]]:
    """Return symbol rates that a clock's line speaks for, the clearest first, and how much it does.

    That is minus the logarithm of the probability that a bin of the line's floor is as high.

    In each band of rates the frequency goes through a low-pass that passes half the symbol rate and what shaping adds
    to it, and no more noise; its magnitude about the middle has the line, for two levels as for many.
    """
    held = np.clip(frequency, -_OUTSIDE * width, _OUTSIDE * width)
    some = np.sort(held[:: max(1, len(held) // 1000)])
    middle = float(some[len(some) // 20] + some[-1 - len(some) // 20]) / 2
    size = int(fft.next_fast_len(len(held), True))
    spectrum = fft.rfft(((held - middle) / width).astype(np.float32), size)
    bins = size / rate  # a Hz
    fastest = min(_FASTEST * width, _MOST_RATE * rate)
    found: list[tuple[float, float]] = []
    for _ in range(_BANDS):
        slowest = _BAND * fastest
        if slowest * len(held) / rate < _FEWEST_PERIODS:
            break
        found += _clearest(spectrum, bins, slowest, fastest, fastest < _MANY_TONES * width)
        fastest = slowest
    chosen: list[tuple[float, float]] = []
    for clear, one in sorted(found, reverse=True):
        if all(abs(one / other - 1) > 0.01 for other, _ in chosen):
            chosen.append((one, math.pi / 4 * clear * clear))
    return chosen[:_CANDIDATES]


def half_rate_beats(frequency: _Reals, rate: float, width: float) -> list[tuple[float, float]]:
    """Return symbol rates of a frequency whose eye is closed, as `clock_rates`.

    What a filter has left above half the symbol rate beats with what is as far below it, at the symbol rate. All else,
    which is far stronger and beats at random, is taken off before (Franks and Bubrouski 1974).
    """
    held = np.clip(frequency, -_OUTSIDE * width, _OUTSIDE * width)
    size = int(fft.next_fast_len(len(held), True))
    spectrum = fft.rfft((held / width).astype(np.float32), size)
    bins = size / rate
    fastest = min(_FASTEST_BEAT * width, _MOST_BEAT * rate)
    found: list[tuple[float, float]] = []
    for _ in range(_BEATS):
        slowest = _BAND * fastest
        low, high = int(_AROUND_HALF[0] * slowest * bins), int(_AROUND_HALF[1] * fastest * bins)
        if slowest * len(held) / rate < _FEWEST_BEATS:
            break
        count = int(fft.next_fast_len(max(4 * high + 8, int(_SAMPLES_A_PERIOD * fastest * bins)), True))
        part = np.zeros(count // 2 + 1, dtype=np.complex64)
        part[low : min(high, len(spectrum))] = spectrum[low:high]
        found.append(_clearest_line(np.square(fft.irfft(part, count)), bins, slowest, fastest))
        fastest = slowest
    return [(one, math.pi / 4 * clear * clear) for clear, one in sorted(found, reverse=True)]


def _clearest(
    spectrum: NDArray[np.complex64], bins: float, slowest: float, fastest: float, with_changes: bool
) -> list[tuple[float, float]]:
    """Return how far the clearest line of a clock stands out between two rates, and its rate; for each way to look.

    Args:
        spectrum: of the frequency, from 0 Hz on.
        bins: of the spectrum, a Hz.
        slowest: symbol rate, Hz.
        fastest: symbol rate, Hz.
        with_changes: the squared change of the frequency is looked at, too: many tones change at each symbol.
    """
    passed = min(int(_PASSED * fastest * bins), len(spectrum))
    count = int(fft.next_fast_len(max(int(_SAMPLES_A_PERIOD * fastest * bins), 2 * passed + 2), True))
    low = np.zeros(count // 2 + 1, dtype=np.complex64)
    low[:passed] = spectrum[:passed]
    smooth = fft.irfft(low, count)
    found = [_clearest_line(np.abs(smooth), bins, slowest, fastest)]
    if with_changes:
        change = np.zeros_like(smooth)
        np.square(smooth[1:] - smooth[:-1], out=change[1:])
        found.append(_clearest_line(np.minimum(change, _SUDDEN * change.mean()), bins, slowest, fastest))
    return found


def _clearest_line(values: _Singles, bins: float, slowest: float, fastest: float) -> tuple[float, float]:
    """Return how far the clearest line of values stands out of those around it between two rates, and its rate."""
    count = len(values)
    length = int(fft.next_fast_len(int(_PADDED * count), True))
    finer = length / count * bins  # bins a Hz
    spectrum = fft.rfft(_faded(values, hann_single(count), length))
    first, last = int(slowest * finer), min(int(fastest * finer) + 1, len(spectrum) - 2)
    clear, place = _standing_out(spectrum, first, last)
    return clear, place / finer


def _faded(values: _Singles, window: _Singles, length: int) -> _Singles:
    """Return values less their mean, times a window, with zeros behind them, float32 [length]."""
    native = kernels()
    if native is not None and native.has_lines_of_clocks:
        return native.faded(values, window, length)
    faded = np.zeros(length, np.float32)
    faded[: len(values)] = (values - values.mean(dtype=np.float64).astype(np.float32)) * window
    return faded


def _standing_out(spectrum: NDArray[np.complex64], first: int, last: int) -> tuple[float, float]:
    """Return how far the clearest line of a spectrum stands out of those around it, and its place, between bins.

    Args:
        spectrum: complex64 [n].
        first: bin that is looked at, at least 1.
        last: the bin after those that are looked at, below n.
    """
    native = kernels()
    if native is not None and native.has_lines_of_clocks:
        clear, top, around_it = native.clearest_line(spectrum, (first, last), _LOCAL, _EVERYWHERE)
        return clear, top - 1 + line_place(around_it, 1)
    lines = np.abs(spectrum).astype(np.float64)
    around = max(0, first - _LOCAL)
    part = lines[around : last + _LOCAL]
    sums = np.concatenate([[0.0], np.cumsum(part)])
    wide = min(2 * _LOCAL + 1, len(part))
    begin = np.clip(np.arange(first, last) - around - _LOCAL, 0, len(part) - wide)
    floor = (sums[begin + wide] - sums[begin]) / wide
    clearest = lines[first:last] / (floor + _EVERYWHERE * float(floor.mean()) + 1e-300)
    top = int(clearest.argmax())
    return float(clearest[top]), line_place(lines, first + top)
