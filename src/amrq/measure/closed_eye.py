# SPDX-License-Identifier: GPL-3.0-or-later
"""How many levels a keyed frequency has where a Gaussian filter has closed its eye.

With a product of bandwidth and symbol time of 0.15 to 0.35 a symbol's frequency is hardly more than the sum of its
neighbours', and levels cannot be read off it. But the line of the symbol clock is there, and with the clock the average
frequency over each symbol is a sum of levels whose factors follow from one number, the product: the response of a
rectangular pulse through a Gaussian filter. A filter that undoes it (with a little kept for the noise, as Wiener's)
opens the eye, and of a few products and numbers of levels the one that leaves least is the right one: a wrong one
leaves what evenly spread values would, 0.58 of half the distance of the levels.

Audio has clocks of a kind, its tones. What they key repeats itself: levels must follow each other at random.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from amrq import transforms as fft
from amrq.measure.keyed_samples import KeyedSamples
from amrq.native import kernels

__all__ = ["CLEAR_CLOCK", "OpenedEye", "open_eye"]

CLEAR_CLOCK = 15.0
"""Evidence of a clock's line that is worth it: the highest of noise and voices have some 10."""
_ORDERS = (2, 4, 8, 16)
_PRODUCTS = (0.16, 0.2, 0.25, 0.3, 0.36, 0.45)
_KEPT = 0.008
"""Of the squared response, kept for noise: where the response is less, it is not undone."""
_PHASES = 16
_LEAST, _MOST = 120, 1_200
"""Symbols that are looked at: of fewer a wrong number of levels fits by chance."""
_REACH, _POINTS = 6, 256
"""Symbols on either side to which a response reaches; points of its transform."""
_LEFT, _BETTER = (0.44, 0.32), (1.12, 1.35)
"""RMS error over half the distance: of no levels and of clear ones; that of the next number of levels over it."""
_ROUNDS = 3
_SHARPENED, _TAPS, _RIDGE, _LEAST_NOISE = 5, 4, 2e-3, 0.02
"""Rounds in which a response is learnt, symbols on either side to which it reaches, what keeps it small, and of the
mean noise what there is at any frequency."""
_CLOSEST = 2
"""Numbers of levels whose response is learnt."""
_HOPELESS, _STILL = 0.54, 1.02
"""Error from which on nothing is learnt (there are no levels), and of the least one that is no longer worth it."""
_LAGS, _REPEATS = 8, (0.45, 0.3)
"""Symbols apart whose levels are compared; correlation of a pattern, and of random levels, at most."""
_RAREST = 0.2
"""Of what an even share would be, that each of the outermost levels has at least."""

_Reals = NDArray[np.float64]
_Ints = NDArray[np.int64]


@dataclass(frozen=True)
class OpenedEye:
    """Levels of a keyed frequency whose eye was opened.

    Attributes:
        levels: 2, 4, 8 or 16.
        half: half the distance of neighbouring levels, Hz.
        centre: middle of the levels, Hz from the samples' middle.
        bt: product of bandwidth and symbol time of the filter that was undone.
        error: RMS of what is left, over `half`.
        next_error: the same of the next best number of levels.
        numbers: int64 [n], level of each symbol, from 0 on.
        confidence: how clearly there are so many levels, 0 to 1.
    """

    levels: int
    half: float
    centre: float
    bt: float
    error: float
    next_error: float
    numbers: _Ints
    confidence: float

    @property
    def changes(self) -> float:
        """Share of the symbols whose level is not that of the one before, over that of random symbols, at most 1."""
        return min(1.0, float(np.mean(np.diff(self.numbers) != 0)) / (1 - 1 / self.levels))


def open_eye(keyed: KeyedSamples, symbol_rate: float) -> OpenedEye | None:
    """Return the levels at a symbol rate; None where there are too few symbols, or nothing opens.

    Args:
        keyed: the samples.
        symbol_rate: symbols a second, right to a part in ten thousand.

    >>> from amrq.measure.keyed_samples import keyed_samples
    >>> rng = np.random.default_rng(1)
    >>> pulse = np.convolve(np.ones(8), np.exp(-0.5 * (np.arange(-24, 25) / 4.24) ** 2) / 10.63)  # BT 0.25
    >>> sent = np.zeros(8 * 600)
    >>> sent[::8] = rng.choice([-1.0, 1.0], 600)
    >>> iq = np.exp(2j * np.pi * np.cumsum(np.convolve(sent, pulse)) * 0.25 / 8).astype(np.complex64)
    >>> found = open_eye(keyed_samples(iq, 8.0, 1.5), 1.0)
    >>> found.levels, round(2 * found.half, 1), found.confidence > 0.9
    (2, 0.5, True)
    """
    step = keyed.rate / symbol_rate
    count = min(int((len(keyed) - 2) / step) - 1, _MOST)
    if count < _LEAST:
        return None
    whole = keyed.symbol_means(step, 0.0, count, _PHASES)
    means = whole[int(np.argmax(whole.var(axis=1)))]
    middle = float(means.mean())
    spectrum = fft.rfft(means - middle)
    at = np.arange(len(spectrum)) / count
    opened = [(bt, fft.irfft(spectrum * _at_places(bt, count), count)) for bt in _PRODUCTS]
    found = sorted((_opened(opened, order) for order in _ORDERS), key=lambda one: one.error)
    # What is far from the best one by a Gaussian filter is no better by another one.
    found[:_CLOSEST] = [_sharpened(one, spectrum, at, count) for one in found[:_CLOSEST]]
    found.sort(key=lambda one: one.error)
    best, following = found[0], found[1].error
    if not best.error < _LEFT[0]:
        return None
    sure = _ramp(-best.error, -_LEFT[0], -_LEFT[1]) * _ramp(following / best.error, *_BETTER)
    sure *= _ramp(-_repetition(best.numbers), -_REPEATS[0], -_REPEATS[1])
    sure *= float(_are_all_sent(best.numbers, best.levels))
    centre = middle + best.centre
    return OpenedEye(best.levels, best.half, centre, best.bt, best.error, following, best.numbers, sure)


class _Opened(NamedTuple):
    """Levels of averages that a filter has opened."""

    levels: int
    error: float  # over half the distance
    half: float  # of the distance
    centre: float
    numbers: _Ints
    values: _Reals
    bt: float


@lru_cache(maxsize=8 * len(_PRODUCTS))
def _at_places(bt: float, count: int) -> _Reals:
    """Return what undoes a Gaussian filter in the transform of so many symbols, float64 [count // 2 + 1]."""
    at = np.arange(count // 2 + 1) / count
    return np.interp(at * _POINTS, np.arange(_POINTS // 2 + 1), _undoing(bt))


def _opened(opened: list[tuple[float, _Reals]], levels: int) -> _Opened:
    """Return so many levels by the Gaussian filter whose undoing leaves least.

    Args:
        opened: products of filters, and values that each one's undoing has opened.
        levels: how many there are.
    """
    return min((_read(values, levels, bt) for bt, values in opened), key=lambda one: one.error)


def _read(values: _Reals, levels: int, bt: float) -> _Opened:
    """Return so many levels of opened values, of which the outermost have no neighbours."""
    error, half, centre, numbers = _decided(values[_REACH:-_REACH], levels)
    return _Opened(levels, error, half, centre, numbers, values, bt)


def _sharpened(found: _Opened, spectrum: NDArray[np.complex128], at: _Reals, count: int) -> _Opened:
    """Return levels by the response that the ones decided on show, and by the noise that it leaves, round by round.

    A receiver's filter, or a clock that is read a little early, is no Gaussian one. The noise of an average frequency
    is that of the phase at its end less that at its begin: it grows with the frequency, as Wiener's filter must know.
    """
    best, means = found, fft.irfft(spectrum, count)
    delays = np.arange(-_TAPS, _TAPS + 1)
    turns = np.exp(-2j * np.pi * np.outer(at, delays))
    rising = 1 - np.cos(2 * np.pi * at)
    top = found.levels - 1
    for _ in range(_SHARPENED):
        if not (found.half > 0 and found.error < _HOPELESS):
            break
        points = 2 * np.clip(np.rint(((found.values - found.centre) / found.half + top) / 2), 0, top) - top
        matrix = np.stack([points[_TAPS - one : count - _TAPS - one] for one in delays], axis=1)
        inner, power = means[_TAPS : count - _TAPS], float(points @ points) / count
        gram = matrix.T @ matrix + np.eye(len(delays)) * (_RIDGE * count * power)
        response = np.linalg.solve(gram, matrix.T @ inner)
        left = inner - matrix @ response
        seen = turns @ response
        noise = float(left @ left) / len(left) / power * np.maximum(rising, _LEAST_NOISE)
        undoing = np.conj(seen) / (np.square(np.abs(seen)) + noise)
        kept, whole = float(np.mean((undoing * seen).real)), float(response.sum())
        if not (kept > 0 and whole > 0):
            break
        found = _read(fft.irfft(spectrum * undoing, count) * (whole / kept), found.levels, found.bt)
        if found.error > best.error * _STILL:
            break
        best = min(best, found, key=lambda one: one.error)
    return best


@lru_cache(maxsize=16)
def _undoing(bt: float) -> _Reals:
    """Return a filter that undoes a Gaussian one, from 0 to half the symbol rate, float64 [_POINTS // 2 + 1]."""
    deviation = math.sqrt(math.log(2)) / (2 * math.pi * bt)
    scale = deviation * math.sqrt(2)
    within = np.linspace(-0.5, 0.5, 51)
    away = np.arange(-_REACH, _REACH + 1)
    response = [
        np.mean([0.5 * (math.erf((t + 0.5) / scale) - math.erf((t - 0.5) / scale)) for t in within + one])
        for one in away
    ]
    turns = np.cos(2 * np.pi * np.outer(np.arange(_POINTS // 2 + 1) / _POINTS, away))
    seen = turns @ np.asarray(response, dtype=np.float64)
    return np.asarray(seen * (1 + _KEPT) / (np.square(seen) + _KEPT))


def _decided(values: _Reals, levels: int) -> tuple[float, float, float, _Ints]:
    """Return the RMS error over half the distance of so many levels, that half, their middle, and the decisions."""
    centre, top = 0.0, levels - 1
    half = float(values.std()) / math.sqrt((levels * levels - 1) / 3)
    native = kernels()
    if native is not None and native.has_levels:
        error, half, centre, numbers = native.even_levels(values, levels, half, _ROUNDS)
        return error, half, centre, numbers
    numbers = np.zeros(len(values), np.int64)
    for _ in range(_ROUNDS):
        if not half > 0:
            return math.inf, 0.0, 0.0, numbers
        numbers = np.clip(np.rint(((values - centre) / half + top) / 2), 0, top).astype(np.int64)
        points = 2.0 * numbers - top
        mean = float(points.mean())
        away = points - mean
        spread = float(away @ away)
        # Of values that are all the same level, there is no distance; of others the squares are 2 at least.
        half = 0.0 if spread < 1 else float(away @ values) / spread
        centre = float(values.mean()) - half * mean
    if not half > 0:
        return math.inf, 0.0, 0.0, numbers
    left = values - centre - half * points
    return math.sqrt(float(left @ left) / len(left)) / half, half, centre, numbers


def _repetition(numbers: _Ints) -> float:
    """Return the largest correlation of levels, or of their steps, with those a few symbols on, of whatever sign."""
    steps = np.diff(numbers)
    # Steps that follow each other share a level.
    return max(_correlation(numbers, 1), _correlation(steps, 2))


def _correlation(numbers: _Ints, first: int) -> float:
    """Return the largest correlation of numbers with those a few places on, of whatever sign."""
    away = numbers - numbers.mean()
    power = max(float(away @ away), 1e-300)
    return max(abs(float(away[lag:] @ away[:-lag])) / power for lag in range(first, _LAGS + 1))


def _are_all_sent(numbers: _Ints, levels: int) -> bool:
    """Return whether each of the outermost levels is sent about as often as it should be."""
    shares = np.bincount(numbers, minlength=levels) / len(numbers)
    return bool(min(shares[0], shares[-1]) > _RAREST / levels)


def _ramp(value: float, low: float, high: float) -> float:
    return min(max((value - low) / (high - low), 0.0), 1.0)
