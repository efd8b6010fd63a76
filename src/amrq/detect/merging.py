# SPDX-License-Identifier: GPL-3.0-or-later
"""Parts of one emission, merged to one segment.

Their envelopes vary together (sidebands of AM) or against each other (tones of FSK), they start and stop together, or
they lie closer than two emissions do.
"""

from collections.abc import Sequence

import numpy as np

from amrq.detect.cells import Cells, Segment, overlap
from amrq.detect.segments import summed

__all__ = ["merge_segments"]

_CLOSE_LINES_HZ = 3500.0
"""Lines closer than this are one emission: tones of narrow FM, sidebands of AM."""
_SKIRT = 30.0
"""What is weaker than this (15 dB) says nothing about the times of the stronger part."""
_SURE_LIKENESS = 5.0
"""Standard deviations by which two envelopes are more alike than chance makes them."""


def merge_segments(segments: list[Segment], cells: Cells, short: Cells | None = None) -> list[Segment]:
    """Merge the segments of a stretch that are parts of one emission.

    Args:
        segments: of one grid.
        cells: of that grid.
        short: of the grid with shorter frames, for envelopes of wide segments.
    """
    found = sorted(segments, key=lambda one: one.lower)
    at = 0
    while at < len(found):
        one = found[at]
        reach = one.upper + 3 * (one.upper - one.lower)
        for other in range(at + 1, min(at + 6, len(found))):
            # Most are too far apart for anything.
            if found[other].lower - 3 * (found[other].upper - found[other].lower) > reach:
                continue
            if _belong_together(found[at], found[other], cells, short, found[at + 1 : other]):
                merged = _union(found[at], found[other], cells)
                if merged is not None:
                    found[at] = merged
                    del found[other]
                    # What was too far from the part may be near enough to the whole.
                    at = max(0, at - 5)
                    break
        else:
            at += 1
    return found


def _belong_together(
    a: Segment, b: Segment, cells: Cells, short: Cells | None, between: Sequence[Segment]
) -> bool:
    """Return whether two segments are parts of one emission; others may lie between their lower edges."""
    shared = overlap(a.start, a.stop, b.start, b.stop)
    times = a.stop - a.start, b.stop - b.start
    widths = a.upper - a.lower, b.upper - b.lower
    gap = max(b.lower - a.upper, a.lower - b.upper)
    if gap < 0 and -gap > 0.5 * min(widths):
        # One is a part of what the other covers, or goes on with it; but what is narrow and goes on is no part.
        narrow, wide = (0, 1) if widths[0] < widths[1] else (1, 0)
        if times[narrow] > 2.5 * times[wide] and widths[wide] > 3 * widths[narrow]:
            return False
        return shared > 0.5 * min(times)
    if shared < 0.5 * min(times) or gap > 3 * sum(widths):
        return False
    edge = 1.6 * cells.grid.step
    seen = (cells.time(1),)
    # Speech begins and ends all the time: only the beginning of a new emission means anything.
    begins = abs(a.start - b.start) < edge and min(a.start, b.start) > seen[0]
    if begins and a.fresh and b.fresh and gap < sum(widths):
        # What is strong and lies between them, but begins at another time and varies in its own way, would be taken
        # for a part as well.
        weak, strong = (a, b) if a.power < b.power else (b, a)
        return not any(
            abs(one.start - a.start) > 2 * edge
            and overlap(one.start, one.stop, a.start, min(a.stop, b.stop)) > 0
            and one.power > weak.power
            and a.upper < one.lower < b.lower
            and not _likeness_of(one, strong, cells, short)
            for one in between
        )
    middle = _apart(a, b)
    if middle < _CLOSE_LINES_HZ and shared > 0.5 * max(times):
        return True
    partly = shared < 0.5 * max(times)
    likeness = _likeness_of(a, b, cells, short)
    # Sidebands begin and end together; of two tones, one may be on for longer.
    return likeness < 0 if partly else likeness != 0


def _apart(a: Segment, b: Segment) -> float:
    """Return how far the middles of two segments are apart, in Hz."""
    return abs((a.lower + a.upper) - (b.lower + b.upper)) / 2


def _likeness_of(a: Segment, b: Segment, cells: Cells, short: Cells | None) -> float:
    """Return the likeness of two segments by the shorter frames, where these can tell them apart."""
    wide = short is not None and _apart(a, b) > 4 * short.grid.bin_width
    return _likeness(a, b, short if wide and short is not None else cells)


def _likeness(a: Segment, b: Segment, cells: Cells) -> float:
    """Return the correlation coefficient of the envelopes of two segments, 0 for one that may be chance."""
    first = max(0, int(np.ceil(cells.frame(max(a.start, b.start)))) + 1)
    last = min(len(cells.values), int(cells.frame(min(a.stop, b.stop))))
    count = (last - first) * min(cells.worth, 1.0)
    if count < 16 or last - first < 12:
        return 0.0
    rows = []
    for one in (a, b):
        low = min(max(0, round(cells.grid.position(one.lower))), cells.grid.bins - 1)
        high = min(max(low + 1, round(cells.grid.position(one.upper)) + 1), cells.grid.bins)
        rows.append(cells.over_bins(slice(first, last), low, high) / (high - low))
    best = 0.0
    # Slow changes, of which a block has few, say nothing. A preamble may repeat itself after one lag, not after both.
    for lag in (1, 2):
        first_steps, other_steps = (values[lag:] - values[:-lag] for values in rows)
        spread = float(np.sqrt(np.mean(first_steps**2) * np.mean(other_steps**2)))
        likeness = float(np.mean(first_steps * other_steps)) / spread if spread > 0 else 0.0
        if abs(likeness) > abs(best):
            best = likeness
    # Fisher's z: close to normal, with variance 1 / (number - 3).
    sure = np.arctanh(min(abs(best), 0.9999)) * np.sqrt(count / 2 - 3) > _SURE_LIKENESS
    return best if abs(best) > 0.4 and sure else 0.0


def _union(a: Segment, b: Segment, cells: Cells) -> Segment | None:
    """Return the segment that two parts make."""
    core = min(a.core[0], b.core[0]), max(a.core[1], b.core[1])
    rows = slice(min(a.rows.start, b.rows.start), max(a.rows.stop, b.rows.stop))
    times = min(a.start, b.start), max(a.stop, b.stop)
    weak, strong = (a, b) if a.power < b.power else (b, a)
    if weak.power * _SKIRT < strong.power and strong.stop - strong.start > 0.3 * (weak.stop - weak.start):
        # The skirts of two bursts may look like one.
        rows, times = strong.rows, (strong.start, strong.stop)
    whole = summed(cells, rows, core, times)
    if whole is not None:
        whole.fresh = a.fresh and b.fresh
    return whole
