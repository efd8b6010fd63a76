# SPDX-License-Identifier: GPL-3.0-or-later
"""What is searched for power: rectangles on both grids, and stripes of rows that last for seconds.

Rectangles are compared as sums of tiles: two frames of the fine grid, two frames and two bins of the coarse one. Small
ones go first. What they hold is replaced by noise before large ones are compared, so that a strong signal does not fill
all rectangles that touch it. What is left goes into rows of 32 fine frames, whose sums are compared over stripes.
"""

import math

import numpy as np
from numpy.typing import NDArray

from amrq.detect.energy import (
    Rectangles,
    Size,
    Stripes,
    paint_best,
    stripes_per_row,
    tests_per_second,
)
from amrq.detect.spectra import Grid
from amrq.native import kernels

__all__ = ["LONGEST", "SLOW", "TILES", "Searches", "SlowRows", "search_tiles", "widened"]

SLOW = 32
"""Fine frames whose sum is one cell of the slow grid."""
TILES = ((1, 1), (0, 1))
"""Exponents of the tiles of both grids whose sums are compared, in place of cells."""
LONGEST = (5, 5)
"""Rectangles on both grids have at most 2^5 frames."""
_SPANS = (2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
"""So many slow rows make up what lasts."""
_SMALL = 3
"""Sizes up to 2^3 cells are compared first."""
_WIDE = 256
"""Bins over which a burst that only the coarse grid looks for is averaged."""
_CAP = 6.0
"""What a sum of two cells counts at most there: narrow signals, however strong, fill few bins."""
_ALIKE = 0.8
"""A stripe counts beside an overlapping one that stands out more, if it does so by this share of it."""
_LASTING = 0.35
"""Of its mean power, at least, what lasts has in the middle one of its rows."""


class Searches:
    """The rectangles of all sizes, with thresholds for an uncertainty of the floor.

    Args:
        coarse: grid of short frames.
        fine: grid of long ones.
        false_alarms_per_hour: boxes per hour that may be nothing but noise.
        uncertainty: relative standard deviation of the floor.
    """

    def __init__(self, coarse: Grid, fine: Grid, false_alarms_per_hour: float, uncertainty: float) -> None:
        coarse_sizes = [
            (i, j)
            for j in range(1, LONGEST[0] + 1)
            for i in range(1, int(math.log2(coarse.bins)))
            if i + j >= 3 and not (i == 1 and j > 4)
        ]
        fine_sizes = [
            (i, j)
            for j in range(1, LONGEST[1] + 1)
            for i in range(int(math.log2(fine.bins)))
            if i + j >= 2 and (j >= 3 or i <= 5 - (j < 2))
        ]
        rate = tests_per_second(coarse, coarse_sizes, TILES[0])
        rate += tests_per_second(fine, fine_sizes, TILES[1])
        rows = fine.sample_rate / fine.step / SLOW
        rate += stripes_per_row(fine.bins) * rows * sum(1 / max(1, span // 8) for span in _SPANS)
        self.tests_per_second = rate
        self.log_probability = math.log(false_alarms_per_hour / 3600 / rate)

        def made(grid: Grid, sizes: list[Size], tile: Size = (0, 0)) -> Rectangles:
            return Rectangles(grid, sizes, self.log_probability, uncertainty, tile)

        both = ((coarse, coarse_sizes, TILES[0]), (fine, fine_sizes, TILES[1]))
        self.small = [
            made(grid, [one for one in sizes if sum(one) <= _SMALL], tile) for grid, sizes, tile in both
        ]
        self.large = [
            made(grid, [one for one in sizes if sum(one) > _SMALL], tile) for grid, sizes, tile in both
        ]
        spans = [span * SLOW for span in _SPANS]
        self.slow = Stripes(fine, spans, self.log_probability, uncertainty)

    @property
    def largest(self) -> float:
        """Largest statistic without a hit."""
        return max([one.largest for one in (*self.small, *self.large)] + [self.slow.largest])


class SlowRows:
    """The last rows of 32 fine frames each: what they hold together lasts for up to some seconds.

    Args:
        bins: of a row.
    """

    def __init__(self, bins: int) -> None:
        self._bins = bins
        # Rows are appended, and moved to the front when the room is full.
        self._room: NDArray[np.float32] = np.zeros((0, bins), np.float32)
        self._stop = self._count = self._seen = 0

    @property
    def values(self) -> NDArray[np.float32]:
        """The rows, divided by their number of frames: mean 1 in noise. Changes in them last."""
        return self._room[self._stop - self._count : self._stop]

    def find(self, residual: NDArray[np.float32], stripes: Stripes) -> NDArray[np.bool_] | None:
        """Take the next sums of two fine frames each; return which cells of the rows lie in stripes that last.

        Args:
            residual: `[sums, bins]`, with noise where something was found before.
            stripes: their thresholds.

        Returns:
            A mask of `values`; None where there are no such stripes.
        """
        whole = len(residual) // (SLOW // 2) * (SLOW // 2)
        rows = residual[:whole].reshape(-1, SLOW // 2, self._bins).sum(axis=1)
        self._make_room(len(rows))
        oldest = self._stop - self._count
        hits = []
        for row in rows:
            np.multiply(row, np.float32(1 / SLOW), out=self._room[self._stop])
            self._stop += 1
            self._seen += 1
            self._count = min(self._count + 1, _SPANS[-1])
            hits += [(self._stop, *hit) for hit in self._over(stripes)]
        if not hits:
            return None
        # Which excess is painted where, in the columns that matter.
        used = np.zeros(self._bins, bool)
        for _, _, first, width, _ in hits:
            used[first : first + width] = True
        rows = self._room[oldest : self._stop]
        places = [(stop - back - oldest, back, first, width) for stop, back, first, width, _ in hits]
        tops = _painted(rows, np.array(places, np.int32), np.array([hit[-1] for hit in hits]), used)
        if not tops.any():
            return None
        mask = np.zeros((self._count, self._bins), bool)
        mask[:, used] = tops[-self._count :] > 0
        return mask if mask.any() else None

    def _make_room(self, more: int) -> None:
        if self._stop + more <= len(self._room):
            return
        kept = self.values
        if self._count + more > len(self._room):
            self._room = np.zeros((max(2 * _SPANS[-1], self._count + more), self._bins), np.float32)
        self._room[: self._count] = kept
        self._stop = self._count

    def _over(self, stripes: Stripes) -> list[tuple[int, int, int, float]]:
        """Return rows back, first bin, width and excess of the stripes over their thresholds that end now."""
        found = []
        held = np.zeros(self._bins, np.float32)
        due = [back for back in _SPANS if back <= self._count and not self._seen % max(1, back // 8)]
        for back in range(1, max(due, default=0) + 1):
            held += self._room[self._stop - back]
            if back in due:
                hits = stripes.search(held * np.float32(SLOW), back * SLOW)
                found += [(back, first, width, excess) for first, width, excess in hits]
        return found


def _painted(
    rows: NDArray[np.float32],
    stripes: NDArray[np.int32],
    excess: NDArray[np.float64],
    used: NDArray[np.bool_],
) -> NDArray[np.float32]:
    """Return the largest excess of the stripes that last and overlap none that stands out much more.

    A stripe lasts that holds power in most of its rows: no burst, of which something was left.

    Args:
        rows: `[rows, bins]`.
        stripes: `[count, 4]`: first row, number of rows, first bin, width.
        excess: `[count]`, above 0.
        used: `[bins]`, those in stripes.

    Returns:
        `[rows, bins that are used]`, 0 where nothing lasts.
    """
    native = kernels()
    if native is not None:
        return native.paint_lasting(rows, stripes, excess, (_ALIKE, _LASTING), used)
    places = np.cumsum(used) - 1
    tops = np.zeros((len(rows), int(places[-1]) + 1), np.float32)
    for (row, back, first, width), value in zip(stripes.tolist(), excess.tolist(), strict=True):
        left = int(places[first])
        part = tops[row : row + back, left : left + width]
        if float(part.max()) * _ALIKE > value:
            continue
        means = rows[row : row + back, first : first + width].mean(axis=1, dtype=np.float64) - 1
        middle = float(np.median(means) if back > 3 else means.min())
        if middle > _LASTING * float(means.mean()):
            np.maximum(part, np.float32(value), out=part)
    return tops


def search_tiles(
    sums: NDArray[np.float32], small: Rectangles, large: Rectangles, brief: bool
) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
    """Return the tiles in rectangles over their thresholds, and the sums without those in small ones.

    Args:
        sums: of tiles; they may be changed.
        small: rectangles that are compared first.
        large: rectangles that are compared then.
        brief: otherwise wide bursts of few frames are taken off, too, and are not looked for in large rectangles.
    """
    if not brief:
        sums = _without_brief(sums)
    mask = small.mark(sums)
    if mask is None:
        mask = np.zeros(sums.shape, bool)
    else:
        np.copyto(sums, np.float32(1 << sum(small.tile)), where=mask)
    hits = large.search(sums)
    if len(hits.excess):
        paint_best(hits, mask)
    return mask, sums


def _without_brief(sums: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return sums of tiles of two frames with noise in place of single wide bursts of a few frames.

    The coarse grid finds these. On the fine one they would fill all rectangles that touch them.
    """
    rows, bins = sums.shape
    wide = min(_WIDE, bins)
    native = kernels()
    if native is not None:
        means = native.capped_means(sums, wide, _CAP)
    else:
        means = np.minimum(sums, np.float32(_CAP)).reshape(rows, -1, wide).mean(axis=2)
    excess = means / 2 - 0.95
    if rows < 8 or excess.max() < 0.4:
        return sums
    padded = np.pad(excess, ((8, 8), (0, 0)))
    before = np.max([padded[k : k + rows] for k in range(6)], axis=0)
    after = np.max([padded[16 - k : 16 - k + rows] for k in range(6)], axis=0)
    single = (excess > 0.4) & (np.maximum(before, after) < 0.3 * excess)
    if not single.any():
        return sums
    beside = single.copy()
    beside[1:] |= single[:-1]
    beside[:-1] |= single[1:]
    return np.where(np.repeat(beside, wide, axis=1), np.float32(2), sums)


def widened(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return a mask with two more cells on all sides."""
    wide = mask.copy()
    for shift in (1, 2):
        wide[shift:] |= mask[:-shift]
        wide[:-shift] |= mask[shift:]
    tall = wide.copy()
    for shift in (1, 2):
        wide[:, shift:] |= tall[:, :-shift]
        wide[:, :-shift] |= tall[:, shift:]
    return wide
