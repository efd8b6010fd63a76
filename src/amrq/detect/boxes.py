# SPDX-License-Identifier: GPL-3.0-or-later
"""Boxes in time and frequency: as they are reported, and as they grow while they may go on.

The spectrum of a box is summed over all its segments, so its edges become better the longer it lasts.
"""

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from amrq.detect.cells import Segment, overlap
from amrq.detect.edges import longest_gap, occupied
from amrq.detect.spectra import Grid
from amrq.native import kernels

__all__ = ["GAP_LONGEST", "Box", "OpenBox"]

GAP_LONGEST = 0.5
"""Longest gap in s that a box may have."""
_CLEAR = 4.0
"""What stands less (6 dB) over the noise has no valley beside it that could be seen."""
_VALLEY = 0.2
"""Of its density is left beside a box that is apart from a stronger one."""
_SMALL_ERROR = 0.0025
"""Of a box's power: so uncertain the power beside it may be that counts in any case; the edges leave .005 outside."""
_FLOOR_DOUBT = 0.05
"""Of the floor: what a bin holds beyond it counts as power of a signal from here on, however long it lasts."""


@dataclass(frozen=True)
class Box:
    """Where in time and frequency something was seen.

    Attributes:
        id: the same as long as the box is updated.
        start: first sample, counted from the stream's first.
        stop: sample after the last.
        lower: edge of 99 % of the power, in Hz from the middle of the band.
        upper: likewise.
        snr_db: power in the box over noise power in the box.
        level_dbfs: mean power while it lasted, dB relative to full scale.
        is_open: it may go on.
        kind: empty for an emission; "image" for the mirror image of a stronger one, "edge"
            for what is cut off by the band's edge, "part" for what has turned out to belong to another box.
    """

    id: int
    start: int
    stop: int
    lower: float
    upper: float
    snr_db: float
    level_dbfs: float
    is_open: bool
    kind: str = ""

    @property
    def centre(self) -> float:
        """Middle of the band in Hz."""
        return (self.lower + self.upper) / 2

    @property
    def bandwidth(self) -> float:
        """Of 99 % of the power, in Hz."""
        return self.upper - self.lower


@dataclass
class _Sum:
    """The spectrum of a box on one grid."""

    grid: Grid
    worth: float
    first: int
    excess: NDArray[np.float64]
    frames: float = 0.0
    core: tuple[int, int] = (0, 0)

    def add(self, first: int, excess: NDArray[np.float64], frames: float, core: tuple[int, int]) -> None:
        """Add the excess over the noise of further frames."""
        low = min(self.first, first)
        high = max(self.first + len(self.excess), first + len(excess))
        if low != self.first or high != self.first + len(self.excess):
            wider = np.zeros(high - low)
            wider[self.first - low :][: len(self.excess)] = self.excess
            self.first, self.excess = low, wider
        self.excess[first - low :][: len(excess)] += excess
        self.core = (min(self.core[0], core[0]), max(self.core[1], core[1])) if self.frames else core
        self.frames += frames


@dataclass
class OpenBox:
    """A box that may go on."""

    id: int
    start: float
    stop: float
    density: float
    kind: str = ""
    sums: dict[int, _Sum] = field(default_factory=dict)
    lower: float = 0.0
    upper: float = 0.0
    snr: float = 0.0
    changed: bool = True
    reported: bool = False
    unsure: float = np.inf
    """Samples by which its times may be wrong."""
    waits: bool = False
    """Whether it is an emission is not known yet."""
    blocks: int = 0
    doubts: int = 0
    """Segments since its last own one that covered it together with others."""
    row: int = -1
    """Its place in the book."""

    def add(self, segment: Segment) -> None:
        """Take a segment."""
        self.doubts = 0
        if segment.kind == "edge" or self.kind == "dc":
            # What has reached the edge is cut off; what is wider than a line at 0 Hz is none.
            self.kind = segment.kind
        self.start = min(self.start, segment.start)
        self.stop = max(self.stop, segment.stop)
        self.unsure = min(self.unsure, 2.0 * segment.grid.step)
        bins = segment.grid.bins
        if bins not in self.sums:
            self.sums[bins] = _Sum(segment.grid, segment.worth, segment.first_bin, np.zeros(0))
        # A frame of the slow grid stands for many.
        weight = segment.grid.averaged
        self.sums[bins].add(
            segment.first_bin, segment.spectrum * weight, segment.frames * weight, segment.core
        )
        self.changed = True

    def join(self, other: "OpenBox") -> None:
        """Take over all of another box."""
        self.start, self.stop = min(self.start, other.start), max(self.stop, other.stop)
        for bins, one in other.sums.items():
            if bins in self.sums:
                own = self.sums[bins]
                shared = overlap(*own.core, *one.core)
                if shared > 0.5 * min(own.core[1] - own.core[0], one.core[1] - one.core[0]):
                    # The same bins at another time. A few frames that count as many would be noise beyond the core.
                    own.add(one.first, one.excess, one.frames, one.core)
                else:
                    # Both were seen at the same time: the bins of the one complete those of the other.
                    own.add(one.first, one.excess * (own.frames / max(one.frames, 1.0)), 0.0, one.core)
            else:
                self.sums[bins] = one
        self.changed = True

    def measure(self) -> None:
        """Find the edges and the level."""
        bins = max(self.sums)
        least = min(self.sums)
        if least < bins and (self.sums[bins].frames < 6 or self._wider(self.sums[least], self.sums[bins])):
            bins = least
        one = self.sums[bins]
        a, b = one.core[0] - one.first, one.core[1] - one.first
        sigma = math.sqrt(max(one.frames, 1.0) / min(one.worth, 1.0))
        doubt = _FLOOR_DOUBT * one.frames
        small = _SMALL_ERROR * float(one.excess[a:b].sum())
        a -= _reach(one.excess[:a], -1, sigma, doubt, small)
        b += _reach(one.excess[b:], 1, sigma, doubt, small)
        low, high, total = occupied(one.excess[a:b])
        self.lower = one.grid.frequency(one.first + a + low - 0.5)
        self.upper = one.grid.frequency(one.first + a + high - 0.5)
        self.snr = max(total, 1e-12) / max(one.frames, 1.0) / max(high - low, 0.5)

    def is_apart(self, lower_side: bool, edge: float) -> bool:
        """Return whether the spectrum falls to little beside the box: a skirt of what lies farther would rise.

        Args:
            lower_side: look below the box, not above it.
            edge: frequency up to which it is looked.
        """
        one = self.sums[max(self.sums)]
        low, high = (round(one.grid.position(place)) - one.first for place in (self.lower, self.upper))
        middle = round(one.grid.position(edge)) - one.first
        beside = one.excess[max(middle, 0) : low] if lower_side else one.excess[high + 1 : max(middle, 0)]
        inside = one.excess[max(low, 0) : high + 1]
        if len(beside) < 2 or self.snr < _CLEAR:
            return False
        return float(beside[:-1].mean() if lower_side else beside[1:].mean()) < _VALLEY * float(inside.mean())

    @staticmethod
    def _wider(coarse: _Sum, fine: _Sum) -> bool:
        """Return whether the fine grid saw only a part of what the coarse one did: a tone that was on for longer."""
        widths = [(one.core[1] - one.core[0]) * one.grid.bin_width for one in (coarse, fine)]
        spans = [one.frames * one.grid.hop for one in (coarse, fine)]
        return widths[0] > 1.7 * widths[1] + 4 * coarse.grid.bin_width and spans[0] > 0.5 * spans[1]

    @property
    def coarsest(self) -> float:
        """Width in Hz of the widest bins it was seen with."""
        return max(one.grid.bin_width for one in self.sums.values())

    @property
    def power(self) -> float:
        """Mean power while it lasted."""
        return self.snr * self.density * (self.upper - self.lower)

    @property
    def gap(self) -> float:
        """Longest gap it may have, in seconds."""
        return longest_gap(self.upper - self.lower)

    def box(self, is_open: bool, kind: str | None = None) -> Box:
        """Return it as it stands."""
        return Box(
            self.id,
            round(self.start),
            round(self.stop),
            self.lower,
            self.upper,
            10 * float(np.log10(max(self.snr, 1e-12))),
            10 * float(np.log10(max(self.power, 1e-30))),
            is_open,
            self.kind if kind is None else kind,
        )


def _reach(excess: NDArray[np.float64], outward: int, sigma: float, doubt: float, small: float) -> int:
    """Return how many bins outward from the core still hold power: where the sum stands out most from its error.

    Args:
        excess: of each bin beside the core.
        outward: 1 for bins above the core, -1 for bins below it.
        sigma: its standard deviation in noise.
        doubt: by which each bin may be wrong, all alike.
        small: error of the sum that does not matter.
    """
    if not len(excess):
        return 0
    native = kernels()
    if native is not None:
        return native.reach(excess, outward, sigma, doubt, small)
    excess, count = excess[::outward], np.arange(1, len(excess) + 1)
    # Neighbouring bins are correlated: the variance of a sum is 1.9 times as large as that of independent ones.
    spread = sigma * np.sqrt(1.9 * count)
    gain = np.cumsum(excess) - 2.5 * spread - doubt * count
    best = int(np.argmax(gain))
    safe = int(np.searchsorted(2 * spread + doubt * count, small))
    return max(best + 1 if gain[best] > 0 else 0, safe)
