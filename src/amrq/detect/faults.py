# SPDX-License-Identifier: GPL-3.0-or-later
"""What is no emission but the radio's own: gaps in its samples, the line at 0 Hz, mirror images, the band's edges.

A gap is a stretch in which a radio gave nothing new: zeros, one value again and again, or samples that are no usable
numbers. A transform that holds a part of a gap is no longer noise of the same law: it is weaker, its bins are
correlated over more than the window's width, and a strong signal in it is cut off, which spreads it over the band. So
frames that touch a gap count neither for the noise floor nor as signal.

The line at 0 Hz (the leakage of the oscillator, the offset of the converters) is steady; a modulated signal is not.
From mean m and variance v of the power in a bin over the frames of a block, a steady part of power sqrt(m^2 - v) beside
a noise-like rest follows (exact for a constant plus complex Gaussian noise). What is left is a signal, or noise.
"""

import math

import numpy as np
from numpy.typing import NDArray

from amrq.chunks import finite_samples
from amrq.detect.cells import Cells, Segment
from amrq.detect.spectra import Grid
from amrq.native import kernels

__all__ = ["Gaps", "mark_kind", "steady_line"]

_STRIDE = 8
"""A run of equal samples is looked for at every eighth sample first: one a cache line."""
_MODERATE = 5e11
"""Samples whose parts are all below this can be computed with."""
_SHORTEST = 4 * _STRIDE
"""Samples of the shortest gap."""
_CHANCE = math.log(1e-12)
"""Logarithm of the probability that noise which is often the same value by chance, at a low gain, makes a gap."""
_OFTEN = 0.99
"""Share of samples like the one before above which the length of a gap does not grow any more."""
_OUTER = 32
"""A gap in the first or last of so many parts of a frame does not matter: the window is below .01 there."""
LINE_BINS = 2
"""Bins beside 0 Hz to which the window spreads the line there."""
_IMAGE_RATIO = 100.0
"""A mirror image is weaker than what it mirrors by at least this."""
_EDGE_BINS = 3.5
"""What reaches as near to the edge of the band as so many bins of its grid is cut off by it: two are not looked at."""
_LINE_WIDTH = 1.6
"""Width of a line at 0 Hz in bins of the grid that it is seen on, at most."""
_FRAMES = 32
"""Frames in which a signal about 0 Hz is told from the line there."""
_MORE = 3.5
"""What is not steady at 0 Hz is more than noise from this on: 10 standard deviations for so many frames."""
_UNSTEADY = 0.03
"""Share of a line's power that may look unsteady, since it moves by a quarter of its power meanwhile."""
_BRIEF = 1.5
"""Ratio of variance and squared mean from which on a signal comes or goes: 1 for one that is as steady as noise."""


class Gaps:
    """Notes the gaps of a stream, and which frames they spoil.

    >>> gaps = Gaps()
    >>> samples = np.exp(2j * np.pi * 0.1 * np.arange(4096)).astype(np.complex64)
    >>> samples[1000:2000] = 0
    >>> gaps.take(samples, 0) is samples
    True
    >>> gaps.spoiled(Grid(1.0, 512, 512), 0, 8).tolist()
    [False, True, True, True, False, False, False, False]
    """

    def __init__(self) -> None:
        self.bad_samples = 0
        """Samples that could not be computed with."""
        self._gaps: list[tuple[int, int]] = []

    def clear(self) -> None:
        """Forget where gaps are."""
        self._gaps.clear()

    def take(self, samples: NDArray[np.complex64], first: int) -> NDArray[np.complex64]:
        """Note the gaps of the next samples; return the samples, with zeros for those that are not usable.

        Args:
            samples: complex64 [N].
            first: number of the first one.
        """
        native = kernels()
        if native is not None and native.usable(samples, _STRIDE, _MODERATE):
            return samples
        good = finite_samples(samples)
        if good is not samples:
            bad = good != samples
            self.bad_samples += int(np.count_nonzero(bad))
            self._note(*_runs(bad, 1), first)
        self._note(*_same(good), first)
        return good

    def _note(self, starts: NDArray[np.intp], stops: NDArray[np.intp], first: int) -> None:
        for start, stop in zip((starts + first).tolist(), (stops + first).tolist(), strict=True):
            if self._gaps and start <= self._gaps[-1][1] + _SHORTEST and start >= self._gaps[-1][0]:
                self._gaps[-1] = (self._gaps[-1][0], max(stop, self._gaps[-1][1]))
            else:
                self._gaps.append((start, stop))

    def spoiled(self, grid: Grid, origin: int, frames: int) -> NDArray[np.bool_]:
        """Return which of these frames touch a gap.

        Args:
            grid: of the frames.
            origin: number of the first frame's first sample.
            frames: how many.
        """
        spoiled = np.zeros(frames, bool)
        reach = grid.bins + (grid.averaged - 1) * grid.hop
        outer = grid.bins // _OUTER
        for start, stop in self._gaps:
            # Frame k holds samples k step to k step + reach.
            low = math.floor((start - origin - reach + outer) / grid.step) + 1
            high = math.ceil((stop - origin - outer) / grid.step)
            spoiled[max(low, 0) : max(high, 0)] = True
        return spoiled

    def forget(self, before: int) -> None:
        """Forget the gaps that end before a sample."""
        self._gaps = [gap for gap in self._gaps if gap[1] >= before]


def _runs(on: NDArray[np.bool_], least: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return start and stop of the runs of True that are at least so long."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], on.view(np.int8), [0]])))
    starts, stops = edges[::2], edges[1::2]
    long = stops - starts >= least
    return starts[long], stops[long]


def _same(samples: NDArray[np.complex64]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return start and stop of the stretches in which all samples are the same."""
    none = np.zeros(0, np.intp), np.zeros(0, np.intp)
    seldom = samples[::_STRIDE]
    alike = seldom[1:] == seldom[:-1]
    if len(alike) < 3 or not np.any(alike[2:] & alike[1:-1] & alike[:-2]):
        return none
    same = samples[1:] == samples[:-1]
    share = np.count_nonzero(same) / len(same)
    if share == 0:
        return none  # a tone that comes back to a value after some samples
    if share == 1:
        return np.array([0]), np.array([len(samples)])
    least = max(_SHORTEST, math.ceil(_CHANCE / math.log(min(share, _OFTEN))))
    starts, stops = _runs(same, least)
    return starts, stops + 1


def steady_line(cells: NDArray[np.float32], noise: NDArray[np.bool_], steady: bool) -> NDArray[np.float32]:
    """Return the cells about 0 Hz without the line there.

    Args:
        cells: `[frames, 9]`, divided by the noise floor, 0 Hz in the middle, with two bins on each side which the
            window does not spread the line to.
        noise: frames that hold no signal, since they were left out: they do not count.
        steady: whether the gain was; else it moves the line, and what is there cannot be told from it.
    """
    middle = cells.shape[1] // 2
    low, high = middle - LINE_BINS, middle + LINE_BINS + 1
    # What fills both sides goes on in between.
    beside = np.minimum(cells[:, :low].mean(axis=1), cells[:, high:].mean(axis=1))
    other = np.where(beside > 2.5, beside, np.float32(1))[:, None]
    found = np.broadcast_to(other, (len(cells), high - low)).copy()
    groups = [
        rows
        for rows in np.array_split(np.arange(len(cells)), max(1, len(cells) // _FRAMES))
        if len(rows) >= _FRAMES
    ]
    if not steady or not groups or min(np.count_nonzero(~noise[rows]) for rows in groups) < _FRAMES // 2:
        return found
    if noise.any() or len(cells) != _FRAMES * len(groups):
        parts = [cells[rows, low:high][~noise[rows]].astype(np.float64) for rows in groups]
        means = np.array([part.mean(axis=0) for part in parts])
        variances = np.array([part.var(axis=0, ddof=1) for part in parts])
    else:
        all_parts = cells[:, low:high].astype(np.float64).reshape(len(groups), _FRAMES, -1)
        means, variances = all_parts.mean(axis=1), all_parts.var(axis=1, ddof=1)
    means = np.maximum(means, 1e-9)
    lines = np.sqrt(np.maximum(means**2 - variances, 0))
    # The line is the same in all groups, whatever else comes and goes.
    line = np.median(lines, axis=0)
    most = line + 4 * np.sqrt(2 * line + 1) + 2
    # A signal is in two bins at least, since the window is as wide as that; a line may be a little unsteady.
    more = means - lines > np.maximum(_MORE, _UNSTEADY * means)
    for k in np.flatnonzero(np.any(more[:, 1:] & more[:, :-1], axis=1)).tolist():
        rows, mean, variance, rest = groups[k], means[k], variances[k], means[k] - lines[k]
        values = cells[rows, low:high]
        if np.any(variance > _BRIEF * mean**2):
            # It begins or ends here: in the other frames there is the line alone.
            on = values > most
            on = np.any(on[:, 1:] & on[:, :-1], axis=1)
            found[rows[on]] = np.maximum(values[on] - line, 1)
        else:
            found[rows] = values * (rest / mean)
    return found


def mark_kind(one: Segment, cells: Cells, images: bool, line: bool) -> None:
    """Mark a mirror image, a line at 0 Hz and what the band's edges cut off.

    Args:
        one: segment.
        cells: of the fine grid, in which the original of an image would be.
        images: whether images are looked for.
        line: likewise the line at 0 Hz.
    """
    grid = one.grid
    edge = grid.sample_rate / 2 - _EDGE_BINS * grid.bin_width
    width = one.upper - one.lower
    if images and _is_image(one, cells):
        one.kind = "image"
    elif (
        line
        and one.lower < grid.bin_width
        and one.upper > -grid.bin_width
        and width < _LINE_WIDTH * grid.bin_width
    ):
        one.kind = "dc"
    elif one.lower < -edge or one.upper > edge:
        one.kind = "edge"


def _is_image(one: Segment, cells: Cells) -> bool:
    """Return whether most of a segment's power lies where something far stronger is at the opposite frequency."""
    grid = cells.grid
    a, b = max(0, round(cells.frame(one.start))), max(0, round(cells.frame(one.stop)) + 1)
    c, d = max(0, round(grid.position(one.lower))), max(0, round(grid.position(one.upper)) + 1)
    b = min(b, len(cells.values))
    # Bin k is opposite to bin N - k; the lowest one has none.
    if not (a < b and 1 <= c < d <= grid.bins):
        return False
    opposite, share = grid.bins - c + 1, 2 / _IMAGE_RATIO
    if cells.native is not None:
        excess, stronger, explained = cells.native.mirrored(slice(a, b), c, d, opposite, share)
    else:
        own = np.maximum(cells.values[a:b, c:d].mean(axis=0, dtype=np.float64) - 1, 0)
        there = cells.values[a:b, opposite - (d - c) : opposite][:, ::-1]
        other = np.maximum(there.mean(axis=0, dtype=np.float64) - 1, 0)
        # The two are not seen with the same noise: twice as much as the largest image explains may be there.
        explained = float(np.sum(np.minimum(own, share * other)))
        excess, stronger = float(np.sum(own)), float(np.sum(other))
    return explained >= 0.5 * excess and stronger >= _IMAGE_RATIO * excess
