# SPDX-License-Identifier: GPL-3.0-or-later
"""The book of boxes that may go on: the segments of successive blocks, joined.

A segment continues a box that is as wide, over gaps that are short for the bandwidth: pulses of a telegram are one box,
packets are several. What only spills from a stronger box beside it, or lies inside another one, is no box of its own.
"""

import numpy as np
from numpy.typing import NDArray

from amrq.detect.boxes import GAP_LONGEST, Box, OpenBox
from amrq.detect.cells import Segment, overlap

__all__ = ["BoxBook", "covered"]

_SPILL = 30.0
"""What is weaker than its neighbour by this (15 dB) and there only while that is, is its spill."""
_FAINT = 16.0
"""So much (12 dB) below the density of its neighbour is its spill."""
_SPILL_BINS = 12
"""Bins to which the window spreads a strong signal."""
_MOST = 0.7
"""A segment is a part of emissions in whose bands so much of its power lies."""
_PASSING, _HARDLY = 0.03, 2.0
"""Seconds, and power over the noise: what is shorter and weaker beside a strong signal is a part of it."""
_LOUD = 30.0
"""Of their power, at most, since speech has peaks."""
_SETTLED = 6.0
"""A box has settled when it has been on for so many times the length of a segment, and for longer than any gap."""
_DOUBTS = 8
"""So many segments in a row must say that boxes which have settled are one."""


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
        self._open: list[OpenBox] = []
        self._places = np.zeros((64, 5))
        """Of each open box: start, stop, sample up to which it may go on, lower and upper edge."""
        self.next_id = 1
        self._began = 0.0
        self._seen_to = 0.0
        self._widest = 0.0
        """Widest bin seen, in Hz."""

    def add(self, segments: list[Segment], seen_to: float) -> list[Box]:
        """Take the segments of a block; return the boxes that changed or ended.

        Args:
            segments: of the block.
            seen_to: sample up to which all segments are known.
        """
        boxes: list[Box] = []
        self._seen_to = seen_to
        _clip(segments, self._open)
        self._widest = max([self._widest, *(one.grid.bin_width for one in segments)])
        # Sums of many frames last: they know what is there, but neither when nor what else.
        for segment in sorted(segments, key=lambda one: (one.grid.averaged > 1, one.start)):
            boxes += self._take(segment)
        boxes += self._absorb()
        for one in list(self._open):
            # A block later, so that what belongs to it is known.
            ended = seen_to - one.stop > one.gap * self.sample_rate + 3 * self.resolution
            over = ended and not one.changed
            one.blocks += 1
            if one.waits:
                continue
            if over or (one.changed and one.blocks > 1):
                boxes.append(one.box(not over))
                one.reported = True
            one.changed = False
            if over:
                self._drop(one)
        return boxes

    def is_fresh(self, segment: Segment) -> bool:
        """Return whether no box was open where a segment begins."""
        start, _, until, lower, upper = self._columns()
        return not np.any(
            (start < segment.start - 2 * self.resolution)
            & (np.minimum(upper, segment.upper) > np.maximum(lower, segment.lower))
            & (segment.start < until)
        )

    def covers(self, segment: Segment, beside: float) -> list[OpenBox]:
        """Return the boxes that are on and were seen on a finer grid, if most of a segment's power lies in their bands.

        Args:
            segment: of the coarse grid.
            beside: Hz beside the bands that belong to them, since the window widens what is narrow.
        """
        start, _, until, lower, upper = self._columns()
        near = (segment.start < until) & (start < segment.stop)
        near &= (lower - beside < segment.upper) & (upper + beside > segment.lower)
        boxes = [self._open[row] for row in np.flatnonzero(near).tolist()]
        boxes = [one for one in boxes if segment.grid.bins < max(one.sums)]
        if not boxes or segment.power > _LOUD * sum(one.power for one in boxes):
            return []
        edges = np.array([(one.lower, one.upper) for one in boxes]).T
        return boxes if segment.lies_within(edges[0], edges[1], beside, _MOST) else []

    def continues(self, segment: Segment, beside: float) -> bool:
        """Return whether boxes `cover` a segment. If it is one, that goes on as long as the segment does."""
        boxes = self.covers(segment, beside)
        if len(boxes) == 1 and segment.stop > boxes[0].stop:
            boxes[0].stop, boxes[0].changed = segment.stop, True
            self._note(boxes[0])
        return bool(boxes)

    def _columns(self) -> NDArray[np.float64]:
        columns: NDArray[np.float64] = self._places[: len(self._open)].T
        return columns

    def _note(self, one: OpenBox) -> None:
        """Take note of where an open box is."""
        until = one.stop + one.gap * self.sample_rate
        self._places[one.row] = one.start, one.stop, until, one.lower, one.upper

    def _open_new(self, one: OpenBox) -> None:
        one.row = len(self._open)
        if one.row == len(self._places):
            self._places = np.concatenate([self._places, np.zeros_like(self._places)])
        self._open.append(one)
        self._note(one)

    def _drop(self, one: OpenBox) -> None:
        """Close a box: the last one takes its row."""
        last = self._open.pop()
        if last is not one:
            last.row = one.row
            self._open[one.row] = last
            self._note(last)
        one.row = -1

    def begin(self, start: float) -> None:
        """Take note that nothing before this sample was seen."""
        self._began = start

    def flush(self) -> list[Box]:
        """End all boxes; return them."""
        self._seen_to = np.inf
        boxes = self._absorb() + [one.box(False) for one in self._open]
        self._open = []
        return boxes

    def _take(self, segment: Segment) -> list[Box]:
        least = 2 * segment.grid.bin_width
        _, _, until, lower, upper = self._columns()
        near = (until + self.resolution >= segment.start) & (lower - least <= segment.upper)
        near &= upper + least >= segment.lower
        fits = [self._open[row] for row in np.flatnonzero(near).tolist()]
        fits = [one for one in fits if self._fits(one, segment)]
        if not fits:
            if len(self._open) >= self.most:
                self.refused += 1
                return []
            new = OpenBox(self.next_id, segment.start, segment.stop, segment.density, segment.kind)
            self.next_id += 1
            new.lower, new.upper, new.snr = segment.lower, segment.upper, segment.snr
            self._open_new(new)
            fits = [new]
        fits.sort(key=lambda one: one.id)
        alike = [one for one in fits if self._likeness(one, segment) > 0.5]
        if alike:
            # What goes on as it was is no part of a wider one beside.
            width = segment.upper - segment.lower
            fits = [one for one in fits if one in alike or one.upper - one.lower < width]
        known = [one for one in fits if max(one.sums, default=0) > segment.grid.bins]
        if len(known) > 1:
            # On the coarse grid neighbours look like one.
            for one in alike[:1]:
                one.stop, one.changed = max(one.stop, segment.stop), True
                self._note(one)
            return []
        if self._doubted(fits, segment):
            return []
        fits[0].add(segment)
        fits[0].measure()
        self._note(fits[0])
        # A segment that covers several boxes makes them one.
        return [box for other in fits[1:] for box in self._joined(fits[0], other)]

    def _doubted(self, fits: list[OpenBox], segment: Segment) -> bool:
        """Return whether a segment covers boxes that stood apart for long: one block does not make them one."""
        width = segment.upper - segment.lower
        length, longest = segment.stop - segment.start, GAP_LONGEST * self.sample_rate
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
                self._note(one)
        return min(one.doubts for one in settled) <= _DOUBTS

    def _joined(self, one: OpenBox, other: OpenBox) -> list[Box]:
        one.join(other)
        one.measure()
        self._note(one)
        self._drop(other)
        return [other.box(False, "part")] if other.reported else []

    def _fits(self, one: OpenBox, segment: Segment) -> bool:
        if (one.kind == "image") != (segment.kind == "image"):
            return False
        least = 2 * segment.grid.bin_width
        if segment.lower > one.upper + least or segment.upper < one.lower - least:
            return False
        gap = (segment.start - one.stop) / self.sample_rate
        if gap > one.gap + self.resolution / self.sample_rate:
            return False
        width, own = one.upper - one.lower, segment.upper - segment.lower
        if self._likeness(one, segment) > 0.5:
            return True
        if self._shared(one, segment) < 0.9 * (min(width, own) + least):
            return False
        if segment.grid.bins < max(one.sums, default=0) and own > 2 * width + 4 * segment.grid.bin_width:
            # It only happens to lie in the band of what another grid has found.
            return False
        # A part of the other one: speech pauses and leaves a carrier.
        straight = gap * self.sample_rate < 2 * self.resolution
        middle = (one.lower + one.upper) / 2 - (segment.lower + segment.upper) / 2
        if own > width:
            # What is wide for a moment only, and has another middle, is another one.
            brief = segment.stop - segment.start < 0.3 * (one.stop - one.start)
            if brief and own > 3 * width + 2 * least and abs(middle) > 0.2 * own:
                return False
            return straight and segment.start > one.start - 2 * self.resolution
        unsure = 0.3 * width + 2 * one.coarsest
        return straight or 2 * abs(middle) < unsure

    @staticmethod
    def _shared(one: OpenBox, segment: Segment) -> float:
        """Return how many Hz a box and a segment share, each a bin wider than it is."""
        more = segment.grid.bin_width
        return overlap(one.lower - more, one.upper + more, segment.lower - more, segment.upper + more)

    def _likeness(self, one: OpenBox, segment: Segment) -> float:
        """Return the share of the wider one that both share."""
        widest = max(one.upper - one.lower, segment.upper - segment.lower)
        return self._shared(one, segment) / (widest + 2 * segment.grid.bin_width)

    def _absorb(self) -> list[Box]:
        """Join what spills from a stronger box, or lies inside one, with that."""
        boxes: list[Box] = []
        for one in self._open:
            one.waits = False
        for one in sorted(self._open, key=lambda one: -one.power * (one.stop - one.start)):
            if one.row < 0:
                continue
            reach = max(0.75 * (one.upper - one.lower), _SPILL_BINS * self._widest)
            start, stop, _, lower, upper = self._columns()
            near = (start < one.stop) & (stop > one.start)
            near &= (lower < one.upper + reach) & (upper > one.lower - reach)
            for other in [self._open[row] for row in np.flatnonzero(near).tolist()]:
                if other is not one and self._belongs(other, one):
                    if self._with(other, one):
                        one.join(other)
                        one.measure()
                        self._note(one)
                    self._drop(other)
                    if other.reported:
                        boxes.append(other.box(False, "part"))
        return boxes

    def _with(self, small: OpenBox, large: OpenBox) -> bool:
        """Return whether one began and ended with the other: a lobe of its spectrum, not an accident beside it."""
        slack = min(max(small.unsure, large.unsure), 2 * self.resolution, 0.25 * (large.stop - large.start))
        begins = abs(small.start - large.start) < slack < large.start - self._began
        return begins and abs(small.stop - large.stop) < slack < self._seen_to - large.stop

    def _belongs(self, small: OpenBox, large: OpenBox) -> bool:
        length = small.stop - small.start
        # A signal of constant envelope is as strong in any part of its band for a moment.
        brief = length < 0.5 * (large.stop - large.start)
        if small.power > (3 if brief else 1) * large.power:
            return False
        if large.kind == "image" and small.kind != "image" and not brief:
            return False
        unsure = max(small.unsure, large.unsure)
        slack = max(min(3 * self.resolution, 1.5 * unsure), small.unsure)
        faint = small.snr * _FAINT < large.snr and small.power * _SPILL < large.power
        together = overlap(small.start, small.stop, large.start, large.stop)
        # The times of what is faint are not known as well.
        more = slack + min(0.15 * length, 32 * self.resolution) if faint else slack
        inside = small.start > large.start - more and small.stop < large.stop + more
        if not inside or together < 0.7 * length:
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
        # What was there from the beginning has been on for nobody knows how long.
        settled = large.stop - large.start > GAP_LONGEST / 2 * self.sample_rate
        settled = settled or large.start - self._began < 3 * self.resolution
        apart = gap > 0 and small.is_apart(large.upper <= small.lower, _between(small, large))
        if apart and (settled or self._seen_to - large.stop < 3 * self.resolution):
            # Bursts have lobes that look like neighbours. Whether it is one, what lasts will tell.
            small.waits = not settled
            return False
        # Where all begins or goes on, that says nothing.
        begins = abs(small.start - large.start) < slack < large.start - self._began
        ends = abs(small.stop - large.stop) < slack < self._seen_to - large.stop
        # What begins beside one that has been on for long is not its beginning.
        brief = brief and small.start - large.start < GAP_LONGEST / 2 * self.sample_rate
        if begins or ends or brief:
            return True
        # Peaks of speech and of data reach beyond a signal's band for some ms.
        passing = length < _PASSING * self.sample_rate and small.snr < _HARDLY
        # Beside what is always on, a neighbour is as likely as a skirt, unless it is thin.
        return (faint and (passing or not settled)) or (
            gap < 0.3 * width and 2 * small.snr * _FAINT < large.snr
        )


def _between(small: OpenBox, large: OpenBox) -> float:
    """Return the frequency in the middle between two boxes that lie beside each other."""
    if large.upper <= small.lower:
        return (large.upper + small.lower) / 2
    return (large.lower + small.upper) / 2


def _clip(segments: list[Segment], boxes: list[OpenBox]) -> None:
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


def covered(one: Segment, others: list[Segment], beside: float, long: float) -> bool:
    """Return whether most of a segment lies on others, or beside them as near as that, and is not far stronger.

    What is long should have been seen on the fine grid. If little of it was, it moves, as a chirp does.
    """
    length = one.stop - one.start
    near = [
        other
        for other in others
        if min(one.stop, other.stop) - max(one.start, other.start)
        > 0.5 * min(length, other.stop - other.start)
        and other.lower - beside < one.upper
        and other.upper + beside > one.lower
    ]
    if not near:
        return False
    if length > long:
        times = [min(one.stop, other.stop) - max(one.start, other.start) for other in near]
        widths = [
            min(one.upper, other.upper + beside) - max(one.lower, other.lower - beside) for other in near
        ]
        return float(np.dot(times, widths)) > 0.2 * length * (one.upper - one.lower)
    near = [other for other in near if min(one.stop, other.stop) - max(one.start, other.start) > 0.5 * length]
    if not near or one.power > 4 * sum(other.power for other in near):
        return False
    lower, upper = np.array([(other.lower, other.upper) for other in near]).T
    return one.lies_within(lower, upper, beside, 0.6)
