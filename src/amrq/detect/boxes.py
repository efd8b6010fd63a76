# SPDX-License-Identifier: GPL-3.0-or-later
"""Boxes in time and frequency: the segments of successive blocks, joined.

A `BoxBook` keeps the boxes that may go on. A segment continues a box that is as wide, over gaps that are short for the
bandwidth: pulses of a telegram are one box, packets are several. The spectrum of a box is summed over all its segments,
so its edges become better the longer it lasts. What only spills from a stronger box beside it, or lies inside another
one, is no box of its own.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from amrq.detect.segments import Segment, occupied, overlap
from amrq.detect.spectra import Grid

__all__ = ["Box", "BoxBook"]

_GAP_SYMBOLS = 260.0
"""A gap may last this over the bandwidth. Measured: pulses inside telegrams up to 220, packets from 310."""
_GAP_RANGE = (0.0004, 0.5)
"""Limits of that in s."""
_VOICE_HZ = 5000.0
"""What is narrower may pause for longer: speech."""
_SPILL = 30.0
"""What is weaker than its neighbour by this (15 dB) and there only while that is, is its spill."""
_SPILL_BINS = 12
"""Bins to which the window spreads a strong signal."""
_SETTLED = 6.0
"""A box has settled when it has been on for so many times the length of a segment, and for longer than any gap."""
_DOUBTS = 8
"""So many segments in a row must say that boxes which have settled are one."""


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
class _Open:
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
    blocks: int = 0
    doubts: int = 0
    """Segments since its last own one that covered it together with others."""

    def add(self, segment: Segment) -> None:
        """Take a segment."""
        self.doubts = 0
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

    def join(self, other: "_Open") -> None:
        """Take over all of another box."""
        self.start, self.stop = min(self.start, other.start), max(self.stop, other.stop)
        for bins, one in other.sums.items():
            if bins in self.sums:
                # Both were seen at the same time: the bins of the one complete those of the other.
                own = self.sums[bins]
                own.add(one.first, one.excess * (own.frames / max(one.frames, 1.0)), 0.0, one.core)
            else:
                self.sums[bins] = one
        self.changed = True

    def measure(self) -> None:
        """Find the edges and the level."""
        bins = max(self.sums)
        if len(self.sums) > 1 and self.sums[bins].frames < 6:
            bins = min(self.sums)
        one = self.sums[bins]
        a, b = one.core[0] - one.first, one.core[1] - one.first
        sigma = np.sqrt(max(one.frames, 1.0) / min(one.worth, 1.0))
        a -= _reach(one.excess[:a][::-1], sigma)
        b += _reach(one.excess[b:], sigma)
        low, high, total = occupied(one.excess[a:b])
        self.lower = one.grid.frequency(one.first + a + low - 0.5)
        self.upper = one.grid.frequency(one.first + a + high - 0.5)
        self.snr = max(total, 1e-12) / max(one.frames, 1.0) / max(high - low, 0.5)

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
        width = max(self.upper - self.lower, 1.0)
        longest = _GAP_SYMBOLS / width * max(1.0, (_VOICE_HZ / width) ** 3)
        return min(max(longest, _GAP_RANGE[0]), _GAP_RANGE[1])

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


def _clip(segments: list[Segment], boxes: list[_Open]) -> None:
    """Take what belongs to neighbours off the segments' spectra."""
    places = np.array(
        [(one.start, one.stop, one.lower, one.upper) for one in segments]
        + [(one.start, one.stop, one.lower, one.upper) for one in boxes]
    ).reshape(-1, 4)
    for one in segments:
        low, high = one.core[0] - one.first_bin, one.core[1] - one.first_bin
        reach = one.grid.frequency(one.first_bin), one.grid.frequency(one.first_bin + len(one.spectrum))
        # Half of the way to one that lies outside may lie inside.
        more = reach[1] - reach[0]
        near = (places[:, 3] > reach[0] - more) & (places[:, 2] < reach[1] + more)
        near &= (places[:, 0] < one.stop) & (places[:, 1] > one.start)
        for _, _, lower, upper in places[near].tolist():
            if upper <= one.lower:
                middle = int(np.ceil(one.grid.position((upper + one.lower) / 2))) - one.first_bin
                one.spectrum[: max(0, min(middle, low))] = 0
            elif lower >= one.upper:
                middle = int(one.grid.position((lower + one.upper) / 2)) - one.first_bin
                one.spectrum[max(middle, high) :] = 0


def _reach(excess: NDArray[np.float64], sigma: float) -> int:
    """Return how many bins outward from the core still hold power: where the sum stands out most from its error."""
    if not len(excess):
        return 0
    gain = np.cumsum(excess) - 4 * sigma * np.sqrt(1.5 * np.arange(1, len(excess) + 1))
    best = int(np.argmax(gain))
    return best + 1 if gain[best] > 0 else 0


class BoxBook:
    """Joins segments of successive blocks to boxes.

    Args:
        sample_rate: of the band.
        resolution: samples by which times may be wrong.
        most: boxes that may be open at once.
    """

    def __init__(self, sample_rate: float, resolution: float, most: int = 2000) -> None:
        self.sample_rate = sample_rate
        self.resolution = resolution
        self.most = most
        self.refused = 0
        """Segments that were not taken, since too many boxes were open."""
        self._open: list[_Open] = []
        self._next = 1
        self._began = 0.0
        self._seen_to = 0.0

    def add(self, segments: list[Segment], seen_to: float) -> list[Box]:
        """Take the segments of a block; return the boxes that changed or ended.

        Args:
            segments: of the block.
            seen_to: sample up to which all segments are known.
        """
        boxes: list[Box] = []
        self._seen_to = seen_to
        _clip(segments, self._open)
        for segment in sorted(segments, key=lambda one: one.start):
            boxes += self._take(segment)
        boxes += self._absorb()
        still = []
        for one in self._open:
            # A block later, so that what belongs to it is known.
            ended = seen_to - one.stop > one.gap * self.sample_rate + 3 * self.resolution
            over = ended and not one.changed
            one.blocks += 1
            if over or (one.changed and one.blocks > 1):
                boxes.append(one.box(not over))
                one.reported = True
            one.changed = False
            if not over:
                still.append(one)
        self._open = still
        return boxes

    def is_fresh(self, segment: Segment) -> bool:
        """Return whether no box was open where a segment begins."""
        return not any(
            one.start < segment.start - 2 * self.resolution
            and overlap(one.lower, one.upper, segment.lower, segment.upper) > 0
            and segment.start < one.stop + one.gap * self.sample_rate
            for one in self._open
        )

    def covers(self, segment: Segment, beside: float) -> bool:
        """Return whether a segment lies in the band of a box that is on, or not farther from it than that."""
        return any(
            segment.start < one.stop + one.gap * self.sample_rate
            and segment.power < 4 * one.power
            and overlap(one.lower - beside, one.upper + beside, segment.lower, segment.upper)
            > 0.9 * (segment.upper - segment.lower)
            for one in self._open
            if segment.grid.bins < max(one.sums)
        )

    def begin(self, start: float) -> None:
        """Take note that nothing before this sample was seen."""
        self._began = start

    def flush(self) -> list[Box]:
        """End all boxes; return them."""
        boxes = self._absorb() + [one.box(False) for one in self._open]
        self._open = []
        return boxes

    def _take(self, segment: Segment) -> list[Box]:
        fits = [one for one in self._open if self._fits(one, segment)]
        if not fits:
            if len(self._open) >= self.most:
                self.refused += 1
                return []
            new = _Open(self._next, segment.start, segment.stop, segment.density, segment.kind)
            self._next += 1
            self._open.append(new)
            new.lower, new.upper, new.snr = segment.lower, segment.upper, segment.snr
            fits = [new]
        fits.sort(key=lambda one: one.id)
        known = [one for one in fits if max(one.sums, default=0) > segment.grid.bins]
        if len(known) > 1:
            # On the coarse grid neighbours look like one.
            return []
        if self._doubted(fits, segment):
            return []
        fits[0].add(segment)
        fits[0].measure()
        # A segment that covers several boxes makes them one.
        return [box for other in fits[1:] for box in self._joined(fits[0], other)]

    def _doubted(self, fits: list[_Open], segment: Segment) -> bool:
        """Return whether a segment covers boxes that stood apart for long: one block does not make them one."""
        width = segment.upper - segment.lower
        length, longest = segment.stop - segment.start, _GAP_RANGE[1] * self.sample_rate
        settled = [
            one
            for one in fits
            if segment.start - one.start > max(_SETTLED * length, longest)
            and one.upper - one.lower < 0.9 * width
        ]
        if len(settled) < 2:
            return False
        for one in settled:
            one.doubts += 1
            if one.doubts <= _DOUBTS:
                # What it held may have gone on.
                one.stop, one.changed = max(one.stop, segment.stop), True
        return min(one.doubts for one in settled) <= _DOUBTS

    def _joined(self, one: _Open, other: _Open) -> list[Box]:
        one.join(other)
        one.measure()
        self._open.remove(other)
        return [other.box(False, "part")] if other.reported else []

    def _fits(self, one: _Open, segment: Segment) -> bool:
        if (one.kind == "image") != (segment.kind == "image"):
            return False
        least = 2 * segment.grid.bin_width
        if segment.lower > one.upper + least or segment.upper < one.lower - least:
            return False
        gap = (segment.start - one.stop) / self.sample_rate
        if gap > one.gap + self.resolution / self.sample_rate:
            return False
        width, own = one.upper - one.lower, segment.upper - segment.lower
        shared = overlap(
            one.lower - least / 2, one.upper + least / 2, segment.lower - least / 2, segment.upper + least / 2
        )
        if shared > 0.5 * (max(width, own) + least):
            return True
        if shared < 0.9 * (min(width, own) + least):
            return False
        # A part of the other one: speech pauses and leaves a carrier.
        straight = gap * self.sample_rate < 2 * self.resolution
        if own > width:
            return straight and segment.start > one.start - 2 * self.resolution
        unsure = 0.3 * width + 2 * one.coarsest
        return straight or abs((one.lower + one.upper) - (segment.lower + segment.upper)) < unsure

    def _absorb(self) -> list[Box]:
        """Join what spills from a stronger box, or lies inside one, with that."""
        boxes: list[Box] = []
        for one in sorted(self._open, key=lambda one: -one.power * (one.stop - one.start)):
            if one not in self._open:
                continue
            for other in list(self._open):
                if other is not one and self._belongs(other, one):
                    if self._with(other, one):
                        one.join(other)
                        one.measure()
                    self._open.remove(other)
                    if other.reported:
                        boxes.append(other.box(False, "part"))
        return boxes

    def _with(self, small: _Open, large: _Open) -> bool:
        """Return whether one began and ended with the other: a lobe of its spectrum, not an accident beside it."""
        slack = min(2 * self.resolution, 0.25 * (large.stop - large.start))
        begins = abs(small.start - large.start) < slack < large.start - self._began
        return begins and abs(small.stop - large.stop) < slack < self._seen_to - large.stop

    def _belongs(self, small: _Open, large: _Open) -> bool:
        # A signal of constant envelope is as strong in any part of its band for a moment.
        brief = small.stop - small.start < 0.5 * (large.stop - large.start)
        if small.power > (3 if brief else 1) * large.power:
            return False
        if large.kind == "image" and small.kind != "image" and not brief:
            return False
        slack = max(3 * self.resolution, small.unsure)
        if small.start < large.start - slack or small.stop > large.stop + slack:
            return False
        width = large.upper - large.lower
        wide = small.coarsest
        # The window widens what was seen on the coarse grid.
        narrow = min(1.2 * wide, 0.35 * (small.upper - small.lower))
        lower, upper = small.lower + narrow, small.upper - narrow
        if overlap(lower, upper, large.lower, large.upper) > 0.6 * (upper - lower):
            return True
        gap = max(small.lower - large.upper, large.lower - small.upper, 0.0)
        if gap < 0.3 * width and self._with(small, large):
            return True
        if gap > 0.75 * width:
            # Beyond that only what the window itself spreads: -28 dB at two bins, 18 dB less for each octave.
            leak = 1.6e-3 * (max(gap / wide, 2) / 2) ** -6
            return gap < _SPILL_BINS * wide and small.power < leak * large.power
        if small.power * _SPILL > large.power:
            return False
        # Where all begins or goes on, that says nothing.
        begins = abs(small.start - large.start) < slack < large.start - self._began
        ends = abs(small.stop - large.stop) < slack < self._seen_to - large.stop
        return begins or ends or brief or gap < 0.3 * width
