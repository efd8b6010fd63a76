# SPDX-License-Identifier: GPL-3.0-or-later
"""Cells of a block, divided by the noise floor, and segments: what an emission does within a block."""

import functools
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from amrq.detect.spectra import Grid
from amrq.native import Kernels, kernels

__all__ = ["Cells", "Segment", "overlap", "stands_out"]

_SURE = 4.5
"""Standard deviations that a segment must stand out by, besides being part of a rectangle over its threshold."""


@dataclass
class Cells:
    """A stretch of cells of one grid, divided by the floor.

    Attributes:
        grid: of the cells.
        values: `[frames, bins]`, mean 1 in noise.
        first: number of the first frame, counted from `origin`.
        density: of the noise at each bin.
        worth: independent cells in a long row of frames of one bin, for each frame.
        origin: sample of the stream at which frame 0 begins.
        known: frames at the beginning that were looked at before.
        final: nothing follows.
    """

    grid: Grid
    values: NDArray[np.float32]
    first: int
    density: NDArray[np.float32]
    worth: float
    origin: int = 0
    known: int = 0
    final: bool = False

    @functools.cached_property
    def native(self) -> Kernels.Cells | None:
        """The compiled kernels for these cells; None without them."""
        native = kernels()
        return None if native is None else native.cells(self.values)

    def over_frames(self, rows: slice, first: int, last: int) -> NDArray[np.float64]:
        """Return the sum of some frames for each of the bins from `first` to before `last`."""
        rows, first, last = self._inside(rows, first, last)
        if self.native is not None:
            return self.native.sums(rows, first, last, over_rows=True)
        return self.values[rows, first:last].sum(axis=0, dtype=np.float64)

    def over_bins(self, rows: slice, first: int, last: int) -> NDArray[np.float64]:
        """Return the sum of these bins for each of some frames."""
        rows, first, last = self._inside(rows, first, last)
        if self.native is not None:
            return self.native.sums(rows, first, last, over_rows=False)
        return self.values[rows, first:last].sum(axis=1, dtype=np.float64)

    @functools.cached_property
    def _density_up_to(self) -> NDArray[np.float64]:
        return np.concatenate([[0.0], np.cumsum(self.density, dtype=np.float64)])

    def mean_density(self, first: int, last: int) -> float:
        """Return the mean density of the noise in the bins from `first` to before `last`."""
        return float((self._density_up_to[last] - self._density_up_to[first]) / (last - first))

    def exceed(self, places: NDArray[np.int64], limits: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return whether the excess over some bins, in the frame with most, is more than a limit.

        Args:
            places: `[count, 4]`, first and last (exclusive) frame and bin, inside, none empty.
            limits: `[count]`, below 0 where it is in any case.
        """
        if self.native is not None:
            return self.native.exceed(places, limits)
        over = limits < 0
        for k in np.flatnonzero(~over).tolist():
            first, last, left, right = places[k].tolist()
            most = float(self.over_bins(slice(first, last), left, right).max()) - (right - left)
            over[k] = most > limits[k]
        return over

    def _inside(self, rows: slice, first: int, last: int) -> tuple[slice, int, int]:
        """Return rows and bins without what lies beyond the cells."""
        frames, bins = self.values.shape
        top, left = min(max(rows.start, 0), frames), min(max(first, 0), bins)
        return slice(top, min(max(rows.stop, top), frames)), left, min(max(last, left), bins)

    def time(self, frame: float) -> float:
        """Return the sample in the middle of a frame of the stretch."""
        return self.origin + self.grid.middle(self.first + frame)

    def frame(self, time: float) -> float:
        """Return the frame of the stretch, with its fraction, whose middle is at a sample."""
        return (time - self.time(0)) / self.grid.step


@dataclass
class Segment:
    """What an emission does within a block.

    Attributes:
        start: sample at which it begins.
        stop: sample after its last.
        lower: edge of 99 % of its power, in Hz from the middle of the band.
        upper: likewise.
        snr: power in the box over noise power in the box, as a ratio.
        density: of the noise, full scale squared per Hz.
        grid: of the spectrum.
        core: first and last (exclusive) bin that are its own.
        first_bin: of the spectrum.
        spectrum: sum over the frames of the excess over the noise, with bins on both sides that may be others'.
        frames: that were summed.
        worth: independent cells for each frame.
        kind: as of a `Box`.
        fresh: nothing was there before.
        rows: frames of the stretch it was found in.
    """

    start: float
    stop: float
    lower: float
    upper: float
    snr: float
    density: float
    grid: Grid
    core: tuple[int, int]
    first_bin: int
    spectrum: NDArray[np.float64]
    frames: float
    worth: float
    kind: str = ""
    fresh: bool = True
    rows: slice = field(default_factory=lambda: slice(0, 0))

    @property
    def power(self) -> float:
        """Mean power over the noise."""
        return self.snr * self.density * (self.upper - self.lower)

    def lies_within(
        self, lower: NDArray[np.float64], upper: NDArray[np.float64], beside: float, most: float
    ) -> bool:
        """Return whether so much of the power lies in some bands, or what lies outside may be noise.

        Args:
            lower: edges of the bands, in Hz.
            upper: likewise.
            beside: Hz that the bands reach farther.
            most: share of the power.
        """
        bins = np.arange(*self.core)
        place = (bins - self.grid.bins / 2) * self.grid.bin_width
        excess = self.spectrum[bins - self.first_bin]
        inside = ((place[:, None] > lower - beside) & (place[:, None] < upper + beside)).any(axis=1)
        within, rest = float(excess[inside].sum()), float(excess[~inside].sum())
        count = np.count_nonzero(~inside) * self.frames
        return within > most * (within + rest) or not stands_out(
            rest / max(count, 1.0), int(count), self.worth
        )


def stands_out(excess: float, count: int, worth: float) -> bool:
    """Return whether the mean excess over so many cells is more than noise gives.

    A rectangle over its threshold is sure, but a part of it may hold nothing. The sum of cells in noise follows a gamma
    law; its cube root is close to normal (Wilson and Hilferty, 1931).
    """
    shape = max(count * worth / 1.5, 1.0)
    cube = max(1 + excess, 0.0) ** (1 / 3)
    return bool(3 * np.sqrt(shape) * (cube - 1 + 1 / (9 * shape)) > _SURE)


def overlap(a0: float, a1: float, b0: float, b1: float) -> float:
    """Return how long two intervals overlap."""
    return max(0.0, min(a1, b1) - max(a0, b0))
