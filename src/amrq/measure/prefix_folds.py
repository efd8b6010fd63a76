# SPDX-License-Identifier: GPL-3.0-or-later
"""How clearly a signal repeats itself in a part of each period: products with itself later, folded.

Many lags are folded with the periods of many prefixes. Compiled code does one after the other; NumPy does many at a
time: the products of each lag are added up to blocks, and folds of about the same length are gathered and added up
together.
"""

from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from amrq.measure.looks import squares
from amrq.native import kernels

__all__ = ["folded_products"]

_OVERLAP = 0.9
"""How much higher the highest of overlapping windows is than that of windows side by side, in noise."""
_MOST_POWER, _MOST_HELD = 6.0, 3.0
"""Times the mean power of blocks, and times that of noise: of louder blocks so much counts."""
_COARSE, _LEAST_WIDE = 3, 6
"""Blocks in one that is coarse; a prefix of so many is looked at in coarse ones."""
_AT_ONCE = 1 << 18
"""Values that are gathered at a time: they stay in a processor's cache."""

_Samples = NDArray[np.complex64]
_Floats = NDArray[np.float32]
_Numbers = NDArray[np.float64]
_Whole = NDArray[np.int64]


class _Blocks(NamedTuple):
    """Sums of products, for each of some lags.

    Attributes:
        sums: complex64 [lags, most], 0 after the last.
        counts: [lags], how many there are.
        power: [lags], their mean power beside a prefix.
    """

    sums: _Samples
    counts: _Whole
    power: _Numbers


class _Folds(NamedTuple):
    """Folds of blocks that lie one after the other in one array.

    Attributes:
        at: [folds], the first block's place in the array.
        period: [folds], blocks.
        wide: [folds], whole blocks of a period.
        around: [folds], blocks of a prefix.
        rows: [folds], whole periods that there are.
        power: [folds], mean power of a block beside a prefix.
    """

    at: _Whole
    period: _Numbers
    wide: _Whole
    around: _Whole
    rows: _Whole
    power: _Numbers

    def some(self, which: NDArray[np.int64] | slice) -> "_Folds":
        """Return some of them."""
        return _Folds(
            self.at[which],
            self.period[which],
            self.wide[which],
            self.around[which],
            self.rows[which],
            self.power[which],
        )


def folded_products(
    iq: _Samples,
    lags: _Whole,
    lengths: _Whole,
    steps: _Whole,
    ratios: _Numbers,
    rows: int,
    spread: float = 1.0,
) -> _Floats:
    """Return how clear a window of a prefix's length is in folds of products of a signal with itself later.

    Args:
        iq: complex64 [n].
        lags: [lags], samples, at least 1.
        lengths: [lags], how many products of each lag are looked at, at most n less the lag.
        steps: [lags], products that are one block, at least 1.
        ratios: [ratios], prefix over lag: a fold has the period of a lag and its prefix.
        rows: periods that are added up, at most; of several such sums the clearest windows' powers are added.
        spread: mean square of the signal's spectrum over its squared mean, 1 where it is flat.

    Returns:
        Minus the logarithm of how likely noise has the same (Chernoff's bound), float32 [lags, ratios].

    >>> rng = np.random.default_rng(1)
    >>> bodies = (rng.normal(size=(30, 64, 2)) @ [1, 1j]).astype(np.complex64)
    >>> iq = np.concatenate([bodies[:, -8:], bodies], axis=1).ravel()
    >>> lags, ratios = np.array([63, 64, 65]), np.array([0.0625, 0.125, 0.25])
    >>> clear = folded_products(iq, lags, len(iq) - lags, np.ones(3, int), ratios, 30)
    >>> [int(which) for which in np.unravel_index(np.argmax(clear), clear.shape)]
    [1, 1]
    """
    native = kernels()
    if native is not None:
        return native.folds(iq, lags, lengths, steps, ratios, rows, spread)
    if not len(lags) or not len(ratios):
        return np.zeros((len(lags), len(ratios)), np.float32)
    levels = _blocks(iq, lags, lengths, steps, spread)
    # In this order, for places that lie between two blocks are rounded.
    prefix, period = ((times * lags[:, None] / steps[:, None]).ravel() for times in (ratios, 1 + ratios))
    coarse = np.where(prefix < _LEAST_WIDE, 0, 1)
    period = period / np.where(coarse, _COARSE, 1)
    around = np.maximum(1, (prefix / np.where(coarse, _COARSE, 1) + 0.5).astype(np.int64))
    wide = period.astype(np.int64)
    starts = np.stack(
        [
            first + np.arange(len(lags)) * level.sums.shape[1]
            for first, level in zip((0, levels[0].sums.size), levels, strict=True)
        ]
    )
    which = np.repeat(np.arange(len(lags)), len(ratios))
    counts = np.stack([level.counts for level in levels])[coarse, which]
    powers = np.stack([level.power for level in levels])[coarse, which]
    whole = np.ceil((counts - wide + 0.5) / np.maximum(period, 1e-9)).astype(np.int64)
    folds = _Folds(starts[coarse, which], period, wide, around, np.maximum(whole, 0), powers)
    some = np.flatnonzero((wide >= 3) & (around < wide) & (powers > 0) & (whole > 0))
    flat = np.concatenate(
        [*(level.sums.ravel() for level in levels), np.zeros(int(wide.max()) + 1, np.complex64)]
    )
    out = np.zeros(len(which), np.float32)
    out[some] = _clear(flat, folds.some(some), rows)
    return out.reshape(len(lags), len(ratios))


def _blocks(
    iq: _Samples, lags: _Whole, lengths: _Whole, steps: _Whole, spread: float
) -> tuple[_Blocks, _Blocks]:
    """Return the blocks of the products of each lag, and those of `_COARSE` of them."""
    counts = lengths // steps
    most = int(counts.max()) // _COARSE * _COARSE + _COARSE
    sums, noise = np.zeros((len(lags), most), np.complex64), np.zeros(len(lags))
    other = np.conj(iq)
    for one, (lag, length, step, count) in enumerate(zip(lags, lengths, steps, counts, strict=True)):
        products = iq[lag : lag + length] * other[:length]
        noise[one] = step * spread * np.vdot(products, products).real / length
        together = products[: count * step].reshape(count, step)
        sums[one, :count] = together[:, 0] if step == 1 else together @ np.ones(step, np.complex64)
    fine = _limited(sums, counts, noise)
    parts = fine.sums.reshape(len(lags), -1, _COARSE)
    sums = parts[:, :, 0] + parts[:, :, 1] + parts[:, :, 2]
    sums[np.arange(sums.shape[1]) >= counts[:, None] // _COARSE] = 0
    return fine, _limited(sums, counts // _COARSE, _COARSE * noise)


def _limited(sums: _Samples, counts: _Whole, noise: _Numbers) -> _Blocks:
    """Return blocks of which none has more than `_MOST_POWER` times their mean power.

    Where there is more than in noise, as of what repeats itself all the time, that counts, of each up to `_MOST_HELD`
    times as much: those in a prefix are few.
    """
    power, some = squares(sums), np.maximum(counts, 1)
    most = _MOST_POWER * power.sum(axis=1) / some
    held = np.minimum(power, (_MOST_HELD * noise)[:, None]).sum(axis=1) / some
    loud = np.flatnonzero(power.max(axis=1) > most)
    if len(loud):
        sums[loud] *= np.sqrt(np.minimum(1, most[loud, None] / np.maximum(power[loud], 1e-30))).astype(
            np.float32
        )
    return _Blocks(sums, counts, np.maximum(held, noise))


def _clear(blocks: _Samples, folds: _Folds, rows: int) -> _Numbers:
    """Return how clear a window is in each of some folds; `blocks` end with as many zeros as a fold is wide."""
    out = np.zeros(len(folds.wide))
    if not len(out):
        return out
    order = np.argsort(folds.wide, kind="stable")  # what is folded together has about the same length
    size = np.cumsum((folds.rows * folds.wide)[order])
    for part in np.split(order, np.flatnonzero(np.diff(size // _AT_ONCE)) + 1):
        out[part] = _clear_together(blocks, folds.some(part), rows)
    return out


def _clear_together(blocks: _Samples, folds: _Folds, rows: int) -> _Numbers:
    rows = min(rows, int(folds.rows.max()))
    left = folds.rows % rows
    # A few rows at the end say little by themselves.
    sums = folds.rows // rows + ((left > 0) & ((folds.rows < rows) | (2 * left >= rows)))
    of = np.repeat(np.arange(len(sums)), sums)
    first = rows * (np.arange(len(of)) - np.repeat(np.cumsum(sums) - sums, sums))
    row = first[:, None] + np.arange(rows)
    there = row < folds.rows[of, None]
    wide, around, most = folds.wide[of], folds.around[of], int(folds.wide.max())
    starts = folds.at[of, None] + (row * folds.period[of, None] + 0.5).astype(np.int64)
    starts[~there] = len(blocks) - most
    every = as_strided(blocks, (len(blocks) - most + 1, most), 2 * blocks.strides, writeable=False)
    fold = every[starts].sum(axis=1)
    tops = _largest(fold, wide, around)
    # Noise has the variance of a window, less that of its share of the whole.
    tops /= there.sum(axis=1) * around * (1 - around / wide) * folds.power[of]
    together = np.bincount(of, tops, len(sums))
    mean = np.log(folds.wide / folds.around) + _OVERLAP
    over = np.maximum(together - sums * (mean - 1), sums)
    return np.asarray(over - sums - sums * np.log(over / sums))


def _largest(fold: _Samples, wide: _Whole, around: _Whole) -> _Numbers:
    """Return the largest square of a window's sum in each fold of a width, less its share of the whole."""
    count, most = fold.shape
    at = np.arange(most)
    fold[at >= wide[:, None]] = 0
    running = np.zeros((count, most + 1), np.complex64)
    np.cumsum(fold, axis=1, out=running[:, 1:])
    whole = running[:, -1]
    stop = at + around[:, None]
    over = stop >= wide[:, None]
    stop -= np.where(over, wide[:, None], 0)
    stop[at >= wide[:, None]] = 0
    apart = np.take_along_axis(running, stop, axis=1) - running[:, :-1]
    apart += over * whole[:, None]
    apart -= (whole * (around / wide).astype(np.float32))[:, None]
    apart[at >= wide[:, None]] = 0
    return np.asarray(squares(apart).max(axis=1), np.float64)
