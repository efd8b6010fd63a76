# SPDX-License-Identifier: GPL-3.0-or-later
"""Where OFDM's prefix may be: at which lag a signal repeats itself, for a part of each period, and not in the rest.

For each lag the product of the signal with itself that much later is folded with the period that a prefix of a given
ratio makes. In the prefix it has the same sign again and again; elsewhere, where symbols are not alike, it has none. A
window that stands out of its fold is compared with what noise has (van de Beek, Sandell and Borjesson 1997: the
likelihood of a prefix at a known lag; here lag, ratio and place are all looked for). What repeats itself all the time,
as pilots, lines and codes do, has no such window, since the rest of the fold is taken off.

The band is made flat first, and what is loud is made less loud: lines, neighbours and training symbols would be at all
lags.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from amrq import transforms as fft
from amrq.measure.looks import median, quantile, row_medians, squares
from amrq.measure.prefix_folds import folded_products

__all__ = ["FlatBand", "PrefixPlace", "find_prefixes", "flat_band", "middle_half"]

_STEPS, _LEAST_STEP = 96, 8
"""Of a spectrum, in which its floor is seen; and values of each, at least."""
_LOWEST = 0.1
"""Of the median floor: what is lower is beside the signal, and is not raised further."""
_LINE, _LOUD = 6.0, 1.6
"""Times the floor, of a value of the spectrum, and times the median, of a magnitude: more counts as so much."""
_QUIET, _PARTS = 0.25, 64
"""Of the power of the loud half of so many parts of the look: what is quieter at its beginning and end is left out."""
_RATIOS: NDArray[np.float64] = np.asarray(0.0244 * 1.23 ** np.arange(16), dtype=np.float64)
"""Prefix over useful time, from 1/41 to .54, as far apart as a fold of eight symbols tells them."""
_ROWS = 8
"""Symbols that are added up; with more, ratios in between would be lost."""
_PIECES = 64
"""Blocks in a useful time."""
_ENOUGH = 2304.0
"""Over the bandwidth: no more is looked at for lags that are looked for in all of the band."""
_HALF = 256.0
"""Over the bandwidth: longer lags are looked for in the middle half of the band."""
_LEAST, _MOST = 8.0, 2.2
"""Over the bandwidth, and parts of the look: lags that are looked for."""
_CANDIDATES, _FINE_ROWS, _LEAST_OF_BEST, _CERTAIN = 10, 24, 0.2, 40.0
"""Places that are looked at again, with how many symbols at first; and how clear they are at least, of the
clearest one, which counts as so much at most: a loud moment may be as clear as that."""
_MOST_LAGS = 256
"""Lags that are looked at, of some 500; of 44 signals at 10 and 20 dB 40 had the right spacing with them and with all,
37 with half as many."""
_SHORT = 160.0
"""Over the bandwidth: of shorter periods all lags are tried, for their correlation has wide side lobes."""
_LAGS = (1.015, 1.7)
_ROUNDS, _TRIED = 2, 7
"""Of a search for the period, and periods that are tried to either side in each."""
_SOFT = 0.5
"""Samples: by so much a prefix is seen longer than it is."""
_CLEAR_ENOUGH, _SAME_PERIOD = 0.15, 0.01
"""Of the clearest lag, and of its period: others that may be the right one."""
_BESIDE, _NEAR = 0.24, 4
"""Of the ratio: how far beside those of `_RATIOS` it is looked for; parts of a prefix that a fold is off at most."""

_Samples = NDArray[np.complex64]
_Floats = NDArray[np.float32]


class FlatBand(NamedTuple):
    """A signal's band alone, made flat, from where it begins to where it ends in the look.

    Attributes:
        iq: complex64 [n], of unit mean power.
        rate: samples a second.
        scale: samples in one over the bandwidth.
        first: sample of the look that is the first of these, at this rate.
    """

    iq: _Samples
    rate: float
    scale: float
    first: int = 0


class PrefixPlace(NamedTuple):
    """Where a prefix may be.

    Attributes:
        lag: samples, the useful time.
        period: samples, of a symbol with its prefix.
        clear: minus the logarithm of how likely noise has the same at that lag and period.
        alike: about how alike samples of the prefix are to those a lag later, 1 where they are the same.
    """

    lag: int
    period: float
    clear: float
    alike: float = 0.0


def flat_band(iq: _Samples, sample_rate: float, width: float, wider: float = 1.1) -> FlatBand:
    """Return the middle of a band, flat.

    Args:
        iq: complex [N], finite, not all zeros.
        sample_rate: samples a second.
        width: of the emission, Hz.
        wider: what is kept, over the width.

    >>> rng = np.random.default_rng(1)
    >>> noise = (rng.normal(size=(4096, 2)) @ [1, 1j]).astype(np.complex64)
    >>> band = flat_band(noise, 1000.0, 500.0)
    >>> len(band.iq), round(band.rate), round(band.scale, 2)
    (2268, 554, 1.11)
    """
    count = len(iq)
    spectrum = fft.fft(iq)
    half = min(count, 2 * math.ceil(wider * width / sample_rate * count / 2)) // 2
    inside = np.concatenate([spectrum[count - half :], spectrum[:half]])
    power = squares(inside)
    steps = max(3, len(power) // max(_LEAST_STEP, len(power) // _STEPS))
    long = len(power) // steps
    medians = row_medians(power[: steps * long].reshape(steps, long)) / math.log(2)
    floor = np.interp(np.arange(len(power)), (np.arange(steps) + 0.5) * long, medians)
    floor = np.maximum(floor, max(_LOWEST * median(medians), 1e-30))
    inside = inside * np.sqrt(np.minimum(1 / floor, _LINE / np.maximum(power, 1e-30)))
    size = int(fft.next_fast_len(2 * half))
    flat = np.zeros(size, dtype=np.complex64)
    flat[:half], flat[size - half :] = inside[half:], inside[:half]
    rate = sample_rate * size / count
    whole = fft.ifft(flat)
    first, stop = _loud(whole)
    return FlatBand(_even(whole[first:stop]), rate, rate / width, first)


def _loud(iq: _Samples) -> tuple[int, int]:
    """Return the first sample that is not of a quiet beginning, and the first of a quiet end."""
    part = max(1, len(iq) // _PARTS)
    power = squares(iq[: len(iq) // part * part]).reshape(-1, part).mean(axis=1)
    loud = np.flatnonzero(power > _QUIET * quantile(power, 0.75))
    if not len(loud):
        return 0, len(iq)
    return int(loud[0]) * part, len(iq) if loud[-1] == len(power) - 1 else (int(loud[-1]) + 1) * part


def _even(iq: _Samples) -> _Samples:
    """Return samples of which none is far louder than the others, of unit mean power."""
    size = np.abs(iq)
    iq = iq * np.minimum(1, _LOUD * median(size) / np.maximum(size, 1e-30))
    return np.asarray(iq / max(math.sqrt(float(np.mean(squares(iq)))), 1e-30), dtype=np.complex64)


def find_prefixes(band: FlatBand) -> list[PrefixPlace]:
    """Return where prefixes may be, the clearest first; a few, none where the look is too short.

    >>> rng = np.random.default_rng(1)
    >>> bodies = (rng.normal(size=(30, 64, 2)) @ [1, 1j]).astype(np.complex64)
    >>> iq = np.concatenate([bodies[:, -2:], bodies], axis=1).ravel()
    >>> best = find_prefixes(FlatBand(iq, 1.0, 1.1))[0]
    >>> best.lag, round(best.period)
    (64, 66)
    """
    iq, scale, spread = band.iq, band.scale, _spread(band.iq)
    low, high = max(6, int(_LEAST * scale)), int(len(iq) / _MOST)
    if high - low < 8:
        return []
    middle = min(high, max(low, int(_HALF * scale)))
    lags = _promising(iq, np.arange(low, middle))
    lengths = np.minimum(len(iq) - lags, round(_ENOUGH * scale))
    scores = folded_products(iq, lags, lengths, np.maximum(1, lags // _PIECES), _RATIOS, _ROWS, spread)
    found = [(score, lag, ratio, 0) for score, lag, ratio in _highest(scores, lags, _RATIOS)]
    lags = np.arange(middle // 2, high // 2)
    if len(lags) > 4:
        narrow = _even(middle_half(iq))
        lags = _promising(narrow, lags)
        lengths, steps = len(narrow) - lags, np.maximum(1, lags // _PIECES)
        scores = folded_products(narrow, lags, lengths, steps, _RATIOS, _ROWS, spread)
        found += [(score, 2 * lag, ratio, 1) for score, lag, ratio in _highest(scores, lags, _RATIOS)]
    found = sorted(found, reverse=True)[:_CANDIDATES]
    found = [one for one in found if one[0] > _LEAST_OF_BEST * min(found[0][0], _CERTAIN)]
    places = [_refined(iq, spread, lag, ratio, near) for _, lag, ratio, near in found]
    places = [one for one in places if one.clear > 0]
    if not places:
        return []
    best = max(places, key=lambda one: one.clear)
    first, *others = sorted(_in_period(band, spread, best, places), key=lambda one: -one.alike)
    return [first._replace(period=_exact_period(iq, first)), *others]


def _promising(iq: _Samples, lags: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the lags that are looked at: those at which the look is most alike.

    One transform tells how alike, but not in which part of a period: of few lags short prefixes are missed more often.
    """
    if len(lags) <= _MOST_LAGS:
        return lags
    alike = np.abs(fft.ifft(squares(fft.fft(iq, int(fft.next_fast_len(2 * len(iq)))))))[lags]
    alike /= np.sqrt(len(iq) - lags)  # as much as noise has
    return np.sort(lags[np.argsort(-alike)[:_MOST_LAGS]])


def _exact_period(iq: _Samples, place: PrefixPlace) -> float:
    """Return the period with which windows as long as the prefix hold most of the correlation."""
    lag, period = place.lag, place.period
    products = iq[lag:] * np.conj(iq[: len(iq) - lag])
    running = np.concatenate([[0], np.cumsum(products)])
    symbols = len(products) / period
    reach = min(0.35, 0.5 / max(symbols, 1e-9)) * (period - lag) + 1
    for _ in range(_ROUNDS):
        tried = period + np.linspace(-reach, reach, 2 * _TRIED + 1)
        values = [_held(running, one, max(1.0, one - lag)) if one > lag else 0.0 for one in tried]
        period = float(tried[int(np.argmax(values))])
        reach /= _TRIED / 2
    return period


def _held(running: NDArray[np.complex128], period: float, wide: float) -> float:
    """Return the greatest power in windows of a width, a period apart, over the number of their samples."""
    last, size = len(running) - 1, round(wide)
    starts = np.arange(0, math.ceil(period), max(1, size // 8))
    rows = np.rint(np.arange(max(1, math.ceil(last / period))) * period).astype(np.int64)
    first = np.minimum(starts[None, :] + rows[:, None], last)
    stop = np.minimum(first + size, last)
    inside = (running[stop] - running[first]).sum(axis=0)
    return float((squares(inside) / np.maximum((stop - first).sum(axis=0), size)).max())


def _in_period(
    band: FlatBand, spread: float, best: PrefixPlace, places: list[PrefixPlace]
) -> list[PrefixPlace]:
    """Return lags that go with the period of the clearest one.

    Within a symbol, samples are alike at lags of pilots and of the spectrum's side lobes, too, until the symbol ends:
    that comes and goes with the same period. They are not as alike as in the prefix.
    """
    iq, least = band.iq, _CLEAR_ENOUGH * best.clear
    same = [one for one in places if abs(one.period / best.period - 1) < _SAME_PERIOD and one.clear > least]
    if best.period > _SHORT * band.scale:
        return same
    for lag in range(math.ceil(best.period / _LAGS[1]), int(best.period / _LAGS[0]) + 1):
        length, prefix = len(iq) - lag, best.period - lag
        step = max(1, round(prefix / _NEAR))
        one = np.array([lag]), np.array([length]), np.array([step])
        clear = float(folded_products(iq, *one, np.array([prefix / lag]), len(iq), spread)[0, 0])
        if clear > least:
            same.append(_place(len(iq), lag, best.period, clear))
    return same


def _place(count: int, lag: int, period: float, clear: float) -> PrefixPlace:
    free = (count - lag) * min(1.0, (period - lag + _SOFT) / period)
    return PrefixPlace(lag, period, clear, math.sqrt(clear / free))


def _refined(iq: _Samples, spread: float, lag: int, ratio: float, near: int) -> PrefixPlace:
    """Return the lag and the ratio about these two that are clearest in all of the look."""
    lags = np.arange(lag - near, lag + near + 1)
    lengths = len(iq) - lags
    steps = np.maximum(1, np.full(len(lags), round(ratio * lag / _NEAR)))
    clear = 0.0
    beside, least = _BESIDE, _FINE_ROWS
    for rows in (_FINE_ROWS, len(iq)):
        symbols = min(rows, max(1.0, float(lengths[0]) / (lag * (1 + ratio))))
        if rows > _FINE_ROWS and symbols <= least:
            break
        each = min(beside, 1 / (_NEAR * symbols))
        ratios = ratio * (1 + np.arange(-beside, beside + each / 2, each))
        scores = folded_products(iq, lags, lengths, steps, ratios, rows, spread)
        top, which = np.unravel_index(int(np.argmax(scores)), scores.shape)
        ratio, clear = float(ratios[which]), float(scores[top, which])
        lags, lengths, steps = lags[top : top + 1], lengths[top : top + 1], steps[top : top + 1]
        beside = 2 * each
    return _place(len(iq), int(lags[0]), int(lags[0]) * (1 + ratio), clear)


def _spread(iq: _Samples) -> float:
    """Return the mean square of the spectrum over its squared mean: sums of neighbours have so much more power."""
    power = squares(fft.fft(iq))
    step = max(1, len(power) // _STEPS)
    smooth = power[: len(power) // step * step].reshape(-1, step).mean(axis=1)
    return float(np.mean(smooth * smooth) / max(float(smooth.mean()) ** 2, 1e-30))


def middle_half(iq: _Samples) -> _Samples:
    """Return the middle half of a band, complex64 [n], at half its rate.

    >>> tones = np.exp(2j * np.pi * np.arange(8) * np.array([[0.125], [0.375]])).astype(np.complex64)
    >>> np.abs(middle_half(tones[0])).round(3).tolist(), float(np.abs(middle_half(tones[1])).round(3).max())
    ([1.0, 1.0, 1.0, 1.0], 0.0)
    """
    quarter = len(iq) // 4
    spectrum = fft.fft(iq[: 4 * quarter])
    half = fft.ifft(np.concatenate([spectrum[:quarter], spectrum[3 * quarter :]]))
    return np.asarray(half / 2, dtype=np.complex64)


def _highest(
    scores: _Floats, lags: NDArray[np.int64], ratios: NDArray[np.float64]
) -> list[tuple[float, int, float]]:
    """Return the highest scores, with their lags and ratios, no two next to each other."""
    which = scores.argmax(axis=1)
    best = scores.max(axis=1)
    padded = np.concatenate([[-1.0], best, [-1.0]])
    tops = np.flatnonzero((best >= padded[:-2]) & (best > padded[2:]))
    tops = tops[np.argsort(-best[tops])[:_CANDIDATES]]
    return [(float(best[top]), int(lags[top]), float(ratios[which[top]])) for top in tops]
