# SPDX-License-Identifier: GPL-3.0-or-later
"""The symbol clock of slow tones, by how much of the power is in one tone at a time.

A discriminator's clock needs many symbols, and a frequency that stands well out of the noise. Tones that are sent for
long, each for at least as many samples as there are tones, are told without one: in a window a little shorter than a
symbol nearly all of the power is in one bin of a transform, where the window lies within a symbol, and in two where it
lies over a change. So the largest bin's share of the power swings with the symbols, which shows in noise as strong as
the signal, and in eight symbols.

A line of that swing gives the symbol rate roughly. Then the moment of each change is found, where the power that one
tone explains before it and the next one explains after it is most (a change of two known tones, whose likelihood this
is); the symbol rate is the slope of a straight line through these moments.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from amrq import transforms as fft
from amrq.measure.looks import hann, largest_squares, line_place, median, row_tops, squares, straight_line
from amrq.native import kernels

__all__ = ["tone_clock_rates"]

_SHORTEST, _LONGER, _HOPS = 14, 1.5, 7
"""Samples of the shortest window; the next one over it; places of a window in its length."""
_FEWEST = 5.5
"""Windows in the samples, at least."""
_MOST_TRANSFORMED = 40_000
"""Samples in all windows of a length, about: of longer signals a part is enough."""
_PER_WINDOW = 0.62, 1.1
"""Symbols in a window: symbol rates that its swing is looked at for."""
_IN_TONE = 0.45
"""Of the power of the shortest windows, that is in one bin, at least: noise and linear modulations have less."""
_STILL_IN_TONE = 0.35
"""Of what is in one bin of the shortest windows, the least in windows no longer than a symbol: where that is 1.1 of
their length, about the half is in the tone that most of a window has."""
_FINER = 4
_AROUND = 0.4, 2.5
"""Of the rates that are looked at: lines around whose median is the floor."""
_CLEAR, _OF_NOISE = 8.0, 7.0
"""Times the floor, that a line is at least; and the highest of noise, which has 5 to 7."""
_CANDIDATES, _SAME = 2, 0.03
_INSIDE, _STARTS = 0.6, 12
"""Of a symbol, about its middle, whose tone is found; phases of the clock that are compared."""
_NEAR = (0.15, 0.1, 0.06)
"""Of a symbol, from the straight line, round by round: changes further away do not count."""
_FEWEST_CHANGES = 4
_APART = 0.5
"""Of one over a symbol: tones that are less apart change nothing."""

_Samples = NDArray[np.complex64]
_Reals = NDArray[np.float64]


class _Swing(NamedTuple):
    """A line of a window's swing."""

    clear: float  # times the floor
    step: float  # samples a symbol


def tone_clock_rates(samples: _Samples, rate: float) -> list[tuple[float, float]]:
    """Return symbol rates of slow tones, the clearest first, and the evidence for each.

    That is minus the logarithm of the probability that a line of noise is as far above the floor, less that of the
    highest one of all that are looked at.

    Args:
        samples: complex64 [n], a signal in its band.
        rate: samples a second.

    >>> rng = np.random.default_rng(1)
    >>> tones = np.repeat(rng.permutation(16), 100) * 20.0 - 150
    >>> noise = rng.normal(size=(1600, 2)) @ [0.5, 0.5j]
    >>> iq = (np.exp(2j * np.pi * np.cumsum(tones) / 1000) + noise).astype(np.complex64)
    >>> [(round(found, 1), clear > 10) for found, clear in tone_clock_rates(iq, 1000.0)][:1]
    [(10.0, True)]
    """
    found: list[_Swing] = []
    window = _SHORTEST
    if len(samples) < _FEWEST * window or _share_of_tone(samples, window) < _IN_TONE:
        return []
    most = 0.0
    while len(samples) / window >= _FEWEST:
        swing, in_tone = _swing(samples, window)
        most = max(most, in_tone)
        if in_tone < _STILL_IN_TONE * most:
            break  # longer than any symbol
        if swing is not None and swing.clear > _CLEAR:
            found.append(swing)
        window = round(window * _LONGER)
    chosen: list[tuple[float, float]] = []
    for one in sorted(found, reverse=True):
        step = _refined(samples, one.step) if _is_new(one.step, rate, chosen) else None
        if step is not None and _is_new(step, rate, chosen):
            chosen.append((rate / step, math.log(2) * (one.clear**2 - _OF_NOISE**2)))
        if len(chosen) == _CANDIDATES:
            break
    if len(chosen) == _CANDIDATES and _is_multiple(chosen[0][0], chosen[1][0]):
        chosen.reverse()  # the swing of few symbols has harmonics as clear as itself
    return chosen


def _is_multiple(rate: float, other: float) -> bool:
    """Return whether a rate is twice another one, three times, and so on."""
    times = round(rate / other)
    return times > 1 and abs(rate / other / times - 1) < _SAME / 2


def _is_new(step: float, rate: float, chosen: list[tuple[float, float]]) -> bool:
    """Return whether a symbol rate is none of those that were chosen."""
    return all(abs(step * other / rate - 1) > _SAME for other, _ in chosen)


def _share_of_tone(samples: _Samples, window: int) -> float:
    """Return the share of the power of windows, one after the other, that is in the largest bin of their transforms."""
    count = min(len(samples) // window, _MOST_TRANSFORMED // window)
    pieces = samples[: count * window].reshape(count, window)
    tops = largest_squares(fft.fft(pieces, 2 * window, axis=1)).astype(np.float64)
    power = float(squares(pieces).sum(dtype=np.float64))
    return float(tops.sum()) / (window * power) if power > 0 else 0.0


def _swing(samples: _Samples, window: int) -> tuple[_Swing | None, float]:
    """Return the clearest line of the largest bin's swing in windows of a length, and the power's share in that bin."""
    hop = max(1, window // _HOPS)
    most = max(round(_FEWEST * 2 * _HOPS), _MOST_TRANSFORMED // window)
    pieces = np.lib.stride_tricks.sliding_window_view(samples, window)[::hop][:most]
    size = int(fft.next_fast_len(round(1.6 * window)))
    largest = largest_squares(fft.fft(pieces, size, axis=1)).astype(np.float64)
    looked_at = samples[: (len(pieces) - 1) * hop + window]
    power = float(squares(looked_at).sum(dtype=np.float64)) / len(looked_at)
    in_tone = float(largest.mean()) / (window * window * power) if power > 0 else 0.0
    tops = np.sqrt(largest)
    tops -= tops.mean()
    length = int(fft.next_fast_len(_FINER * len(tops), True))
    lines = np.abs(fft.rfft((tops * hann(len(tops))).astype(np.float32), length))
    unit = 1 / (hop * length)  # of a line's place: symbols a sample
    low, high = (edge / window / unit for edge in _PER_WINDOW)
    first, last = max(2, int(low)), min(int(high) + 1, len(lines) - 2)
    around = lines[max(1, int(_AROUND[0] * low)) : int(_AROUND[1] * high)]
    if last - first < 3 or not len(around):
        return None, in_tone
    top = first + int(np.argmax(lines[first:last]))
    clear = float(lines[top]) / max(median(around), 1e-30)
    return _Swing(clear, 1 / (line_place(lines, top) * unit)), in_tone


def _refined(samples: _Samples, step: float) -> float | None:
    """Return the samples a symbol, by the moments of the changes; None where there are too few of them."""
    start = _start(samples, step)
    for most in _NEAR:
        count = int((len(samples) - start) / step)
        if count < _FEWEST_CHANGES + 1:
            return None
        numbers, moments = _changes(samples, start, step, count)
        near = np.abs(moments - start - numbers * step) < most * step
        if near.sum() < min(_FEWEST_CHANGES, 0.6 * len(numbers)):
            near = np.ones(len(numbers), np.bool_)
        if near.sum() < _FEWEST_CHANGES:
            return None
        step, start = straight_line(numbers[near], moments[near])
        if not step > 2 * _STARTS / 3:
            return None
        start -= math.floor(start / step) * step
    return step


def _start(samples: _Samples, step: float) -> float:
    """Return where the first whole symbol begins: there windows within symbols have most of their power in a bin."""
    window = max(8, round(_INSIDE * step))
    lead = (step - window) / 2
    count = int(len(samples) / step) - 1
    phases = np.arange(_STARTS) / _STARTS * step
    middles = phases[:, None] + lead + np.arange(count) * step
    tops = _tones(samples, middles.ravel(), window)[1].reshape(_STARTS, count)
    return float(phases[int(np.argmax(tops.sum(axis=1)))])


def _tones(samples: _Samples, starts: _Reals, window: int) -> tuple[_Reals, _Reals]:
    """Return the strongest tone of windows, turns a sample, and its magnitude."""
    first = np.clip(np.rint(starts).astype(np.int64), 0, len(samples) - window)
    size = int(fft.next_fast_len(3 * window))
    place, power = row_tops(fft.fft(samples[first[:, None] + np.arange(window)], size, axis=1))
    return (place / size + 0.5) % 1 - 0.5, np.sqrt(power)


def _changes(samples: _Samples, start: float, step: float, count: int) -> tuple[_Reals, _Reals]:
    """Return numbers of symbols and the moments at which each one's tone becomes another one, in samples."""
    window = max(8, round(_INSIDE * step))
    first = np.asarray(start + (step - window) / 2 + np.arange(count) * step, dtype=np.float64)
    tones, _ = _tones(samples, first, window)
    numbers = np.flatnonzero(np.abs(np.diff(tones)) > _APART / step) + 1
    reach = max(4, round(step / 2))
    middle = np.rint(start + numbers * step).astype(np.int64)
    inside = (middle - reach >= 0) & (middle + reach <= len(samples))
    numbers, middle = numbers[inside], middle[inside]
    moment = _moments(samples, middle, (tones[numbers - 1], tones[numbers]), reach)
    return numbers.astype(np.float64), (middle + moment).astype(np.float64)


def _moments(
    samples: _Samples, middle: NDArray[np.int64], tones: tuple[_Reals, _Reals], reach: int
) -> NDArray[np.int64]:
    """Return the moments at which one tone becomes another, as `LevelKernels.tone_changes`."""
    native = kernels()
    if native is not None and native.has_row_tops:
        return native.tone_changes(samples, middle, tones, reach)
    at = np.arange(-reach, reach, dtype=np.float32)
    pieces = samples[middle[:, None] + np.arange(-reach, reach)]
    sums = []
    for tone in tones:
        phase = (-2 * np.pi * tone).astype(np.float32)[:, None] * at
        turns = np.empty(pieces.shape, np.complex64)
        np.cos(phase, out=turns.real)
        np.sin(phase, out=turns.imag)
        added = np.zeros((len(pieces), 2 * reach + 1), np.complex64)
        np.cumsum(pieces * turns, axis=1, out=added[:, 1:])
        sums.append(added)
    before, after = squares(sums[0]), squares(sums[1][:, -1:] - sums[1])
    length = np.arange(2 * reach + 1, dtype=np.float32)
    explained = before / np.maximum(length, 1) + after / np.maximum(2 * reach - length, 1)
    return np.asarray(np.argmax(explained[:, 2:-2], axis=1) + 2 - reach)
