# SPDX-License-Identifier: GPL-3.0-or-later
"""How many tones there are, where noise made some and not all were sent; and how far apart systems have them."""

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from amrq import transforms as fft
from amrq.measure.looks import median, straight_line
from amrq.native import Lattice, kernels

__all__ = [
    "FEW",
    "LEAST_MANY",
    "NEARLY",
    "even_spacing",
    "evenness",
    "nearest_lattice",
    "number_of_tones",
    "stray_share",
    "usual_spacing",
    "without_stray_ends",
]

LEAST_MANY = 5
"""Tones that are many, at least."""
_FAR = 0.3
"""Of a spacing, from its level: a frequency as far away is none of the tones."""
_STRAY_ENDS, _RARE_END, _ERRS = 2, 0.12, 0.12
"""Levels at each end that errors may have made, at most; symbols that such a one has, over those of a usual one; and
standard deviation, in spacings, from which on a few symbols are decided wrongly."""
_QUARTILE = 0.6745
"""Of a standard deviation, within which half of normal errors are."""
_USUAL_TONES = {8: 4.0, 16: 4.0, 32: 3.0, 64: 2.0, 18: 1.0, 9: 0.5, 12: 0.5, 6: 0.5, 5: 0.5, 33: 0.5}
"""How often systems have so many tones, beside all other numbers, which have 0.03 each (docs/families.md)."""
_JT65, _JT65_RATES, _JT65_WITHIN = {65: 4.0, 18: 1.0}, (11025 / 4096, 11025 / 2048), 0.01
"""The same at the symbol rates of JT65, which only DominoEX shares; and how far a measured rate may be off."""
_OTHER_TONES, _MOST_TONES = 0.03, 128
FEW, _INDICES, _EVEN_FEW, _EVEN_MANY = 24, (4.0, 3.0, 2.0, 1.0), 0.8, 2.7
"""Symbols, below which only the usual spacings over the symbol rate are tried where one fits; those spacings; how even
levels are then, at least; and of more symbols, times one over the root of their number, which random ones have."""
NEARLY, _STEPS = 4e-3, 17
"""Of these spacings, by how much they may be off, and how many between are tried."""
_TRIED = (np.array(_INDICES)[:, None] * (1 + np.linspace(-NEARLY, NEARLY, _STEPS))).ravel()
"""All spacings that are tried, over the symbol rate."""

_MOST_LEVELS = 72
"""That are looked for in one transform."""
_EVEN = 0.3
"""Of the characteristic function: levels that are evenly spaced have more."""
_BINS, _SIZE, _FIRST = 1024, 4096, 8
"""Of the histogram of frequencies and its transform; the first spacing that is looked at: half of their reach."""

_Reals = NDArray[np.float64]
_Ints = NDArray[np.int64]


def without_stray_ends(numbers: _Ints, error: float) -> tuple[int, int]:
    """Return the lowest and the highest level, without one at an end that errors of its neighbour explain.

    Such a one has far fewer symbols than the others have on average.

    Args:
        numbers: int64 [n], levels in ascending order.
        error: standard deviation of frequencies from their level, in spacings.
    """
    counts = np.bincount(numbers - numbers[0])
    first, last = 0, len(counts) - 1
    for _ in range(_STRAY_ENDS if error > _ERRS else 0):
        if last - first < LEAST_MANY:
            break
        rare = _RARE_END * counts[first : last + 1].sum() / (last - first + 1)
        first, last = first + int(counts[first] < rare), last - int(counts[last] < rare)
    return int(numbers[0]) + first, int(numbers[0]) + last


def stray_share(away: _Reals) -> float:
    """Return the share of frequencies that are none of the tones, where noise took the place of one.

    Those are anywhere between two levels, evenly. Of normal errors, whose deviation the median tells, some are far from
    a level as well; and a share that is counted is right to a standard deviation, by which it is taken less.

    Args:
        away: float64 [n], distance from the nearest level, in spacings, 0 to 0.5.
    """
    usual = math.erfc(_FAR * _QUARTILE / max(median(away), 1e-9) / math.sqrt(2))
    evenly, far = 1 - 2 * _FAR, float(np.mean(away >= _FAR))
    if far <= usual or usual >= evenly:
        return 0.0
    return max(0.0, far - usual - math.sqrt(far * (1 - far) / len(away))) / (evenly - usual)


def number_of_tones(seen: int, count: int, symbol_rate: float = math.nan) -> tuple[int, float]:
    """Return how many tones there likely are where so many were seen from the lowest to the highest, and how likely.

    Of m tones sent alike, n symbols reach over exactly k with the probability (m - k + 1)
    ((k/m)^n - 2 ((k-1)/m)^n + ((k-2)/m)^n).
    """
    is_jt65 = any(abs(symbol_rate / one - 1) < _JT65_WITHIN for one in _JT65_RATES)
    return _likeliest_number(seen, count, is_jt65)


@lru_cache(maxsize=256)
def _likeliest_number(seen: int, count: int, is_jt65: bool) -> tuple[int, float]:
    """Return what `number_of_tones` does: looks of one length have the same few numbers again and again."""
    tones = np.arange(seen, max(_MOST_TONES, seen) + 1)
    logs = [count * np.log(np.maximum(seen - less, 1e-9) / tones) for less in (0, 1, 2)]
    inside = 1 - 2 * np.exp(logs[1] - logs[0]) + np.exp(logs[2] - logs[0])
    prior = _prior(is_jt65)[seen : seen + len(tones)] if seen <= _MOST_TONES else np.array([_OTHER_TONES])
    worth = np.log(prior) + np.log(tones - seen + 1) + logs[0] + np.log(np.maximum(inside, 1e-12))
    shares = np.exp(worth - worth.max())
    best = int(np.argmax(shares))
    return int(tones[best]), float(shares[best] / shares.sum())


@lru_cache(maxsize=2)
def _prior(is_jt65: bool) -> _Reals:
    """Return how often systems have so many tones, for 0 to the most."""
    prior = np.full(_MOST_TONES + 1, _OTHER_TONES)
    for tones, often in (_JT65 if is_jt65 else _USUAL_TONES).items():
        prior[tones] += often
    return prior


def usual_spacing(inside: _Reals, symbol_rate: float) -> tuple[float, int]:
    """Return the spacing of tones, Hz, and how many were tried: one that systems have; 0 where none of them shows.

    Tones that are told apart without their phase are a symbol rate apart, or a multiple of it. Of few symbols any
    narrow spacing would fit.
    """
    least = _EVEN_FEW if len(inside) < FEW else _EVEN_MANY / math.sqrt(len(inside))
    spacings = _TRIED * symbol_rate
    even = evenness(inside, spacings)
    if len(inside) < FEW:  # the widest one that is even
        clear = np.flatnonzero(even > least)
        top = int(clear[0]) if len(clear) else 0
        top = top // _STEPS * _STEPS
        best = top + int(np.argmax(even[top : top + _STEPS]))
    else:
        best = int(np.argmax(even))
    return (float(spacings[best]), len(spacings)) if even[best] > least else (0.0, 0)


def evenness(values: _Reals, spacings: _Reals) -> _Reals:
    """Return how even values are at spacings, 0 to 1, float64 [k]: 1 where they are multiples apart.

    Args:
        values: float64 [n], n at least 1.
        spacings: float64 [k], above 0.

    >>> evenness(np.array([1.0, 3.0, 7.0]), np.array([2.0, 4.0])).round(3).tolist()
    [1.0, 0.333]
    """
    native = kernels()
    if native is not None and native.has_lattices:
        return native.evenness(values, spacings)
    turns = values / spacings[:, None]
    # Single precision takes a tenth of the time.
    angles = (2 * math.pi * (turns - np.rint(turns))).astype(np.float32)
    return np.hypot(np.cos(angles).mean(axis=1), np.sin(angles).mean(axis=1)).astype(np.float64)


def nearest_lattice(inside: _Reals, spacing: float) -> Lattice | None:
    """Return the evenly spaced levels that are nearest to frequencies, decided and fitted in turns; None without two.

    Args:
        inside: float64 [n], n at least 1, Hz.
        spacing: of the levels, roughly, Hz, above 0.

    >>> found = nearest_lattice(np.array([1.0, 3.0, 7.0]), 2.1)
    >>> round(found.spacing, 3), found.numbers.tolist()
    (2.0, [0, 1, 3])
    """
    native = kernels()
    if native is not None and native.has_lattices:
        return native.lattice(inside, spacing)
    offset = float(np.angle(np.exp(2j * np.pi * inside / spacing).mean())) / (2 * math.pi) * spacing
    for _ in range(2):
        numbers = np.rint((inside - offset) / spacing)
        if not float(np.ptp(numbers)) > 0:
            return None
        spacing, offset = straight_line(numbers, inside)
        if not spacing > 0:
            return None
    away = inside - numbers * spacing - offset
    lowest = int(numbers.min())
    placed, sizes = (numbers - lowest).astype(np.int64), np.abs(away) / spacing
    return Lattice(spacing, offset, lowest, placed, sizes, float(away @ away), float(away.std()))


def even_spacing(inside: _Reals, low: float, reach: float) -> tuple[float, int]:
    """Return the spacing of levels, Hz, and how many were tried; 0 where they are not evenly spaced.

    Args:
        inside: float64 [n], n at least 1, frequencies, Hz.
        low: nearly the lowest one.
        reach: from there to nearly the highest one, above 0.

    >>> even_spacing(np.arange(40.0) % 4 * 50.0, 0.0, 150.0)
    (50.0, 576)
    """
    # Spacings per reach, in steps of an eighth: a histogram's transform.
    place = np.floor((inside - (low - reach / 2)) * (_BINS / (2 * reach))).astype(np.int64)
    shares = np.bincount(place[(place >= 0) & (place < _BINS)], minlength=_BINS)
    spectrum = fft.rfft(shares.astype(np.float32), _SIZE)[: _FIRST * _MOST_LEVELS]
    sums = np.abs(spectrum) / len(inside)
    top = _FIRST + int(np.argmax(sums[_FIRST:]))
    if sums[top] < _EVEN:
        return 0.0, 0
    best = _FIRST + int(np.flatnonzero(sums[_FIRST:] > max(0.8 * sums[top], _EVEN))[0])
    while best + 1 < len(sums) and sums[best + 1] > sums[best]:
        best += 1
    return reach * _FIRST / best, len(sums)
