# SPDX-License-Identifier: GPL-3.0-or-later
"""From cells that exceed their thresholds to segments: what one emission does within one block.

Connected cells make a component. Its envelope gives start and stop, its spectrum the bins that are its own: it is split
where the spectrum falls far below both sides. Parts of one emission are merged again: their envelopes vary together
(sidebands of AM) or against each other (tones of FSK), they start and stop together, or they lie closer than two
emissions do. `amrq.detect.boxes` joins the segments of successive blocks.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from amrq.detect.spectra import Grid
from amrq.native import kernels

__all__ = [
    "Cells",
    "Segment",
    "crossing",
    "find_segments",
    "longest_gap",
    "merge_segments",
    "occupied",
    "on_time",
    "overlap",
    "sharpened",
    "stands_out",
    "summed",
]

_POWER_SHARE = 0.99
_VALLEY = 6.0
"""Ratio (8 dB) of both sides' peaks to a valley that splits them."""
_STEADY_CELLS = 60.0
"""Cells that are averaged before a spectrum's valleys are looked for."""
_SHARP_BINS = (0.4, 2.5)
"""Between 90 and 99 % of the power sharp edges have at most this share of the width, and so many bins."""
_CLOSE_LINES_HZ = 3500.0
"""Lines closer than this are one emission: tones of narrow FM, sidebands of AM."""
_SURE = 4.5
"""Standard deviations that a segment must stand out by, besides being part of a rectangle over its threshold."""
_SKIRT = 30.0
"""What is weaker than this (15 dB) says nothing about the times of the stronger part."""
_GAP_SYMBOLS = 260.0
"""A gap may last this over the bandwidth. Measured: pulses inside telegrams up to 220, packets from 310."""
_GAP_RANGE = (0.0004, 0.5)
"""Limits of that in s."""
_VOICE_HZ = 5000.0
"""What is narrower may pause for longer: speech."""
_SURE_LIKENESS = 5.0
"""Standard deviations by which two envelopes are more alike than chance makes them."""
_PAD = (12, 512)
"""Bins beside a segment whose spectrum is kept: as many as it is wide, within these limits."""


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

    def over_frames(self, rows: slice, first: int, last: int) -> NDArray[np.float64]:
        """Return the sum of some frames for each of the bins from `first` to before `last`."""
        rows, columns = self._inside(rows, first, last)
        native = kernels()
        if native is not None:
            return native.box_sums(self.values, rows, columns, over_rows=True)
        return self.values[rows, columns].sum(axis=0, dtype=np.float64)

    def over_bins(self, rows: slice, first: int, last: int) -> NDArray[np.float64]:
        """Return the sum of these bins for each of some frames."""
        rows, columns = self._inside(rows, first, last)
        native = kernels()
        if native is not None:
            return native.box_sums(self.values, rows, columns, over_rows=False)
        return self.values[rows, columns].sum(axis=1, dtype=np.float64)

    def _inside(self, rows: slice, first: int, last: int) -> tuple[slice, slice]:
        """Return rows and columns without what lies beyond the cells."""
        frames, bins = self.values.shape
        top, left = min(max(rows.start, 0), frames), min(max(first, 0), bins)
        return slice(top, min(max(rows.stop, top), frames)), slice(left, min(max(last, left), bins))

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


def _smoothed(values: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    if width <= 1:
        return values
    smooth: NDArray[np.float64] = scipy.ndimage.uniform_filter1d(values, width, mode="nearest")
    return smooth


def _lobes(spectrum: NDArray[np.float64], sigma: float) -> list[tuple[int, int]]:
    """Return the intervals of bins [first, last) in which a mean spectrum, 0 in noise, is significant.

    Args:
        spectrum: mean excess over the noise, in units of the noise.
        sigma: its standard deviation in noise: one over the root of the independent frames.
    """
    count = len(spectrum)
    width = 1
    while True:
        smooth = _smoothed(spectrum, width)
        error = sigma / np.sqrt(max(1.0, width / 1.5))
        if smooth.max(initial=0.0) > 7 * error or width * 4 > count:
            break
        width = 2 * width + 1
    # A signal's own spectrum fluctuates as noise does. So many bins are averaged that a valley is none by chance.
    steady = min(int(np.ceil(_STEADY_CELLS * sigma**2)) | 1, max(1, count // 3))
    if steady > width:
        width = steady
        smooth, error = _smoothed(spectrum, width), sigma / np.sqrt(width / 1.5)
    on = smooth > 3 * error
    edges = np.flatnonzero(np.diff(np.concatenate([[False], on, [False]]).astype(np.int8)))
    joined: list[tuple[int, int]] = []
    for a, b in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        if joined and a - joined[-1][1] <= max(1, width // 2):
            joined[-1] = (joined[-1][0], b)
        else:
            joined.append((a, b))
    if width < 3:
        smooth, error = _smoothed(spectrum, 3), sigma / np.sqrt(2)
    found = []
    for a, b in joined:
        if smooth[a:b].max() > 4.5 * error:
            found += _split(smooth, error, a, b, width)
    return found


def _split(smooth: NDArray[np.float64], error: float, a: int, b: int, width: int) -> list[tuple[int, int]]:
    """Split an interval at its valleys."""
    if b - a < 2 * width + 3:
        return [(a, b)]
    part = smooth[a:b]
    left = np.maximum.accumulate(part)
    right = np.maximum.accumulate(part[::-1])[::-1]
    lower = np.minimum(left, right)
    depth = lower / np.maximum(part, error)
    at = int(np.argmax(depth))
    if depth[at] < _VALLEY or lower[at] < 8 * error:
        return [(a, b)]
    return _split(smooth, error, a, a + at, width) + _split(smooth, error, a + at, b, width)


def occupied(spectrum: NDArray[np.float64]) -> tuple[float, float, float]:
    """Return lower and upper edge of 99 % of the power, in bins with fractions, and the power.

    Args:
        spectrum: excess over the noise of the bins of one emission.
    """
    power = np.maximum.accumulate(np.maximum(np.cumsum(spectrum), 0.0))
    total = float(power[-1])
    if total <= 0:
        return 0.0, float(len(spectrum)), 0.0
    edges = np.concatenate([[0.0], power]) / total
    tail = (1 - _POWER_SHARE) / 2
    low, high, inner_low, inner_high = np.interp([tail, 1 - tail, 0.05, 0.95], edges, np.arange(len(edges)))
    width = float(high - low)
    spread = 0.0
    if width - (inner_high - inner_low) < min(_SHARP_BINS[0] * width, _SHARP_BINS[1]):
        # The window widens sharp edges by up to a bin each: a line to three bins, and hardly what is wide itself.
        spread = min(float(np.clip(1.45 - width / 20, 0, 1)), 0.34 * width)
    return float(low) + spread, float(high) - spread, total


def on_time(envelope: NDArray[np.float64]) -> tuple[int, int]:
    """Return the frames [first, last) that an emission lasts: the stretch with the greatest sum over half its mean.

    Args:
        envelope: excess over the noise of each frame.
    """
    level = float(np.max(envelope, initial=0.0)) / 2
    first, last = 0, len(envelope)
    for _ in range(6):
        sums = np.concatenate([[0.0], np.cumsum(envelope - level / 2)])
        lowest = np.minimum.accumulate(sums)
        stop = int(np.argmax(sums - lowest))
        start = int(np.argmin(sums[: stop + 1]))
        if (start, stop) == (first, last) or stop <= start:
            break
        first, last = start, stop
        level = float(np.mean(envelope[first:last]))
    return first, last


def _unbroken(
    envelope: NDArray[np.float64], start: int, stop: int, cells: Cells, core: tuple[int, int]
) -> tuple[int, int]:
    """Return the part of a stretch with most power, where it is silent in between for longer than an emission is."""
    width = (core[1] - core[0]) * cells.grid.bin_width
    length = int(np.ceil(longest_gap(width) * cells.grid.sample_rate / cells.grid.step)) + 2
    if stop - start < length + 4 or length < 3:
        return start, stop
    part = envelope[start:stop]
    silent = _smoothed(part, length)[length // 2 : len(part) - (length - length // 2) + 1]
    error = 1 / np.sqrt(max(length * cells.worth * (core[1] - core[0]) / 1.5, 1.0))
    level = float(part.mean())
    if level < 10 * error or float(silent.min()) > 0.1 * level:
        return start, stop
    middle = int(np.argmin(silent)) + length // 2
    quiet = part < 0.5 * level
    first, last = middle, middle + 1
    while first > 0 and quiet[first - 1]:
        first -= 1
    while last < len(part) and quiet[last]:
        last += 1
    if part[:first].sum() > part[last:].sum():
        return start, start + first
    return start + last, stop


def longest_gap(width: float) -> float:
    """Return the longest gap in s that a signal of this bandwidth in Hz may have."""
    width = max(width, 1.0)
    longest = _GAP_SYMBOLS / width * max(1.0, (_VOICE_HZ / width) ** 3)
    return min(max(longest, _GAP_RANGE[0]), _GAP_RANGE[1])


def crossing(envelope: NDArray[np.float64], first: int, last: int) -> tuple[float, float]:
    """Return start and stop in frames with fractions, where the envelope crosses half of its level."""
    level = float(np.mean(envelope[first:last])) / 2
    start, stop = float(first), float(last - 1)
    if first > 0 and envelope[first] > level > envelope[first - 1]:
        start = first - (envelope[first] - level) / (envelope[first] - envelope[first - 1])
    elif first > 0:
        start = first - 0.5
    if last < len(envelope) and envelope[last - 1] > level > envelope[last]:
        stop = last - 1 + (envelope[last - 1] - level) / (envelope[last - 1] - envelope[last])
    elif last < len(envelope):
        stop = last - 0.5
    return start, stop


def find_segments(
    cells: Cells,
    mask: NDArray[np.bool_],
    margin: int,
    tile: tuple[int, int] = (0, 0),
    wanted: Callable[[slice, slice], bool] = lambda rows, columns: True,
) -> list[Segment]:
    """Return the segments of connected cells, but for those that were found before or are better found later.

    Args:
        cells: divided by the floor.
        mask: tiles inside rectangles over their thresholds.
        margin: frames before and after a component in which its edges are searched.
        tile: exponents of a tile's bins and frames.
        wanted: whether a component of these frames and bins is looked at.
    """
    i, j = tile
    used = np.flatnonzero(mask.any(axis=0))
    if not len(used):
        return []
    frames = len(cells.values)
    found = []
    # Only columns in which there is something, with an empty one between runs.
    places = np.union1d(used, np.minimum(used + 1, mask.shape[1] - 1))
    labels, _ = scipy.ndimage.label(mask[:, places], np.ones((3, 3), bool))
    for number, (high, part) in enumerate(scipy.ndimage.find_objects(labels), 1):
        rows = slice(high.start << j, min(high.stop << j, frames))
        first_column, last_column = int(places[part.start]), int(places[part.stop - 1]) + 1
        if rows.stop < cells.known - (1 << j):
            continue
        if not cells.final and rows.stop >= frames - (1 << j) and rows.start >= frames - cells.known > 0:
            continue
        columns = slice(first_column << i, last_column << i)
        if not wanted(rows, columns):
            continue
        own = labels[high, part] == number
        cores = _cores(cells, rows, columns)
        if i and high.stop - high.start <= 4 and len(cores) > 1:
            # What is as brief as this, and connected, is one.
            cores = [(cores[0][0], cores[-1][1])]
        for core in cores:
            # What a component joins need not begin and end together.
            inside = slice(max((core[0] >> i) - first_column, 0), ((core[1] - 1) >> i) + 1 - first_column)
            when = np.flatnonzero(own[:, inside].any(axis=1))
            if not len(when):
                continue
            first, last = int(when[0]), int(when[-1]) + 1
            rows_of_core = slice((high.start + first) << j, min((high.start + last) << j, frames))
            if wanted(rows_of_core, slice(*core)):
                found += _lobe(cells, rows_of_core, core, margin)
    return found


def _cores(cells: Cells, rows: slice, columns: slice) -> list[tuple[int, int]]:
    """Return the intervals of bins in which the spectrum of these frames stands out."""
    pad = min(max(6, (columns.stop - columns.start) // 2), 200)
    a, b = max(0, columns.start - pad), min(cells.values.shape[1], columns.stop + pad)
    spectrum = cells.over_frames(rows, a, b) / (rows.stop - rows.start) - 1
    worth = max((rows.stop - rows.start) * cells.worth, 1.0)
    cores = [(a + low, a + high) for low, high in _lobes(spectrum, 1 / np.sqrt(worth))]
    return [core for core in cores if core[1] > columns.start and core[0] < columns.stop]


def _lobe(cells: Cells, rows: slice, core: tuple[int, int], margin: int, depth: int = 0) -> list[Segment]:
    """Return what is in these bins during these frames: mostly one segment."""
    segment = _segment_at(cells, rows, core, margin)
    if segment is None:
        return []
    found = [segment]
    # Before and after it there may be others, which are not as strong or have another spectrum.
    for rest in (slice(rows.start, segment.rows.start - 2), slice(segment.rows.stop + 2, rows.stop)):
        if depth < 4 and rest.stop - rest.start >= 3 and _anything(cells, rest, core):
            for one in _cores(cells, rest, slice(*core)):
                found += _lobe(cells, rest, one, 1, depth + 1)
    return found


def _anything(cells: Cells, rows: slice, core: tuple[int, int]) -> bool:
    """Return whether frames hold power in these bins, beyond doubt."""
    part = cells.values[rows, core[0] : core[1]]
    worth = max(part.size * min(cells.worth, 1.0) / 2, 1.0)
    return bool(part.mean(dtype=np.float64) - 1 > 8 / np.sqrt(worth) + 0.5 / len(part))


def _segment_at(cells: Cells, rows: slice, core: tuple[int, int], margin: int) -> Segment | None:
    """Return the segment about these frames in these bins, its edges refined; None if there is no power."""
    grid, values = cells.grid, cells.values
    first, last = max(0, rows.start - margin), min(len(values), rows.stop + margin)
    envelope = cells.over_bins(slice(first, last), *core) / (core[1] - core[0]) - 1
    start, stop = on_time(envelope)
    if stop <= start:
        return None
    start, stop = _unbroken(envelope, start, stop, cells, core)
    begin, end = crossing(envelope, start, stop)
    # At the edges of what is known, the outer frames' other halves belong to it.
    before = grid.step / 2 if start == 0 and first == 0 else 0.0
    after = grid.step / 2 if stop == len(envelope) and last == len(values) else 0.0
    rows = slice(first + start, first + stop)
    if not stands_out(float(envelope[start:stop].mean()), (stop - start) * (core[1] - core[0]), cells.worth):
        return None
    return summed(cells, rows, core, (cells.time(first + begin) - before, cells.time(first + end) + after))


def stands_out(excess: float, count: int, worth: float) -> bool:
    """Return whether the mean excess over so many cells is more than noise gives.

    A rectangle over its threshold is sure, but a part of it may hold nothing. The sum of cells in noise follows a gamma
    law; its cube root is close to normal (Wilson and Hilferty, 1931).
    """
    shape = max(count * worth / 1.5, 1.0)
    cube = max(1 + excess, 0.0) ** (1 / 3)
    return bool(3 * np.sqrt(shape) * (cube - 1 + 1 / (9 * shape)) > _SURE)


def summed(cells: Cells, rows: slice, core: tuple[int, int], times: tuple[float, float]) -> Segment | None:
    """Return the segment with the spectrum of these frames."""
    width = core[1] - core[0]
    pad = min(max(width, _PAD[0]), _PAD[1])
    a, b = max(0, core[0] - pad), min(cells.values.shape[1], core[1] + pad)
    frames = rows.stop - rows.start
    spectrum = cells.over_frames(rows, a, b) - frames
    low, high, total = occupied(spectrum[core[0] - a : core[1] - a])
    if total <= 0:
        return None
    return Segment(
        *times,
        cells.grid.frequency(core[0] + low - 0.5),
        cells.grid.frequency(core[0] + high - 0.5),
        total / frames / max(high - low, 0.5),
        float(cells.density[core[0] : core[1]].mean()),
        cells.grid,
        core,
        a,
        spectrum,
        float(frames),
        cells.worth,
        rows=rows,
    )


def sharpened(one: Segment, cells: Cells, reach: int) -> Segment:
    """Return a segment with start and stop found again on a grid of shorter frames.

    Args:
        one: of a grid with longer frames.
        cells: with the shorter ones.
        reach: frames about each edge.
    """
    c = max(int(np.ceil(cells.grid.position(one.lower))), 0)
    d = min(int(np.floor(cells.grid.position(one.upper))) + 1, cells.grid.bins)
    if d - c < 2:
        return one
    times = {"start": one.start, "stop": one.stop}
    for edge, time in times.items():
        at = cells.frame(time)
        if at < reach or at > len(cells.values) - 1 - reach:
            continue
        first = int(at) - reach
        envelope = cells.over_bins(slice(first, first + 2 * reach), c, d) / (d - c) - 1
        if edge == "stop":
            envelope = envelope[::-1]
        start, _ = on_time(envelope)
        level = float(envelope[start:].mean()) / 2
        if start == 0 or level <= 0:
            continue
        before, after = envelope[start - 1], envelope[start]
        place = start - (after - level) / (after - before) if after > level > before else start - 0.5
        times[edge] = cells.time(first + place if edge == "start" else first + 2 * reach - 1 - place)
    if times["stop"] <= times["start"]:
        return one
    return replace(one, start=times["start"], stop=times["stop"])


def overlap(a0: float, a1: float, b0: float, b1: float) -> float:
    """Return how long two intervals overlap."""
    return max(0.0, min(a1, b1) - max(a0, b0))


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
        for other in range(at + 1, min(at + 6, len(found))):
            if _belong_together(found[at], found[other], cells, short):
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


def _belong_together(a: Segment, b: Segment, cells: Cells, short: Cells | None) -> bool:
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
        return True
    middle = abs((a.lower + a.upper) - (b.lower + b.upper)) / 2
    if middle < _CLOSE_LINES_HZ and shared > 0.5 * max(times):
        return True
    partly = shared < 0.5 * max(times)
    envelopes = cells
    if short is not None and middle > 4 * short.grid.bin_width:
        envelopes = short
    likeness = _likeness(a, b, envelopes)
    # Sidebands begin and end together; of two tones, one may be on for longer.
    return likeness < 0 if partly else likeness != 0


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
