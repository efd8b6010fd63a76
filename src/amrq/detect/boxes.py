# SPDX-License-Identifier: GPL-3.0-or-later
"""From cells that exceed their thresholds to boxes with edges in time and frequency.

Connected cells make a *segment*, at most a block long. Its spectrum, noise taken off, is split where it falls to the
noise or far below both sides, and cut to 99 % of the power; its envelope gives start and stop. Parts that belong
together are merged again: their envelopes vary together (sidebands of an AM signal) or against each other (tones of an
FSK signal), or they start and stop together. A `BoxBook` joins the segments of successive blocks to boxes, over gaps
that are short for the bandwidth, and keeps those that may go on open.
"""

from dataclasses import dataclass, field

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from amrq.detect.spectra import Grid

__all__ = ["Box", "BoxBook", "Cells", "Segment", "merge_segments", "segments_of"]

_POWER_SHARE = 0.99
_VALLEY = 6.0
"""Ratio (8 dB) of both sides' peaks to a valley that splits them."""
_STEADY_CELLS = 60.0
"""Cells that are averaged before a spectrum's valleys are looked for."""
_CLOSE_LINES_HZ = 3500.0
"""Lines closer than this are one emission: tones of narrow FM, sidebands of AM."""
_GAP_SYMBOLS = 500.0
"""A gap of an emission may last this over its bandwidth ..."""
_GAP_RANGE = (0.0015, 0.3)
"""... within these limits (s)."""


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
        kind: empty for an emission; "dc" for the line at 0 Hz, "image" for the mirror image of a stronger one, "edge"
            for what is cut off by the band's edge.
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
class Cells:
    """A stretch of cells of one grid, divided by the floor.

    Attributes:
        grid: of the cells.
        values: `[frames, bins]`, mean 1 in noise.
        first: number of the first frame in the stream.
        density: of the noise at each bin.
        worth: independent cells in a long row of frames of one bin, for each frame.
        origin: sample of the stream at which its first frame begins.
    """

    grid: Grid
    values: NDArray[np.float32]
    first: int
    density: NDArray[np.float32]
    worth: float
    origin: int = 0

    def time(self, frame: float) -> float:
        """Return the sample in the middle of a frame of the stretch."""
        return self.origin + self.grid.middle(self.first + frame)

    def frame(self, time: float) -> float:
        """Return the frame of the stretch, with its fraction, whose middle is at a sample."""
        return (time - self.time(0)) / self.grid.step


@dataclass
class Segment:
    """A part of an emission within a block: edges in samples and Hz, and its mean spectrum over the noise."""

    start: float
    stop: float
    lower: float
    upper: float
    snr: float
    density: float
    grid: Grid
    first_bin: int
    spectrum: NDArray[np.float64]
    """Sum over the frames of the excess over the noise, from `first_bin` on."""
    frames: float
    kind: str = ""
    envelope: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    first_frame: int = 0

    @property
    def power(self) -> float:
        """Mean power over the noise."""
        return self.snr * self.density * (self.upper - self.lower)


def _smoothed(values: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    if width <= 1:
        return values
    smooth: NDArray[np.float64] = scipy.ndimage.uniform_filter1d(values, width, mode="nearest")
    return smooth


def lobes(spectrum: NDArray[np.float64], sigma: float) -> list[tuple[int, int]]:
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


def occupied(spectrum: NDArray[np.float64], resolution: float = 1.0) -> tuple[float, float, float]:
    """Return lower and upper edge of 99 % of the power, in bins with fractions, and the power.

    Args:
        spectrum: excess over the noise of the bins of one emission.
        resolution: width in bins to which the window spreads a line; it is taken off.
    """
    power = np.maximum(np.cumsum(spectrum), 0.0)
    total = float(power[-1])
    if total <= 0:
        return 0.0, float(len(spectrum)), 0.0
    power = np.maximum.accumulate(power)
    edges = np.concatenate([[0.0], power]) / power[-1]
    tail = (1 - _POWER_SHARE) / 2
    # np.interp needs rising abscissas; ties take the first.
    low = float(np.interp(tail, edges, np.arange(len(edges))))
    high = float(np.interp(1 - tail, edges, np.arange(len(edges))))
    spread = min(resolution, 0.6 * (high - low)) / 2
    return low + spread, high - spread, total


def on_time(envelope: NDArray[np.float64]) -> tuple[int, int]:
    """Return the frames [first, last) that an emission lasts: the stretch with the greatest sum over half its mean.

    Args:
        envelope: excess over the noise of each frame.
    """
    level = float(np.max(envelope, initial=0.0)) / 2
    first, last = 0, len(envelope)
    for _ in range(6):
        shifted = envelope - level / 2
        sums = np.concatenate([[0.0], np.cumsum(shifted)])
        lowest = np.minimum.accumulate(sums)
        stop = int(np.argmax(sums - lowest))
        start = int(np.argmin(sums[: stop + 1]))
        if (start, stop) == (first, last) or stop <= start:
            break
        first, last = start, stop
        level = float(np.mean(envelope[first:last]))
    return first, last


def _crossing(envelope: NDArray[np.float64], first: int, last: int) -> tuple[float, float]:
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


def segments_of(cells: Cells, mask: NDArray[np.bool_], margin: int) -> list[Segment]:
    """Return the segments of connected cells.

    Args:
        cells: divided by the floor.
        mask: cells inside rectangles over their thresholds.
        margin: frames before and after a component in which its edges are searched.
    """
    labels, count = scipy.ndimage.label(mask, np.ones((3, 3), bool))
    if not count:
        return []
    found = []
    for place in scipy.ndimage.find_objects(labels):
        found += _component(cells, place[0], place[1], margin)
    return found


def _component(cells: Cells, rows: slice, columns: slice, margin: int) -> list[Segment]:
    bins = cells.values.shape[1]
    width = columns.stop - columns.start
    pad = min(max(6, width // 2), 200)
    a, b = max(0, columns.start - pad), min(bins, columns.stop + pad)
    spectrum = cells.values[rows, a:b].mean(axis=0, dtype=np.float64) - 1
    worth = max((rows.stop - rows.start) * cells.worth, 1.0)
    found = []
    for low, high in lobes(spectrum, 1 / np.sqrt(worth)):
        if a + high <= columns.start or a + low >= columns.stop:
            continue
        segment = segment_at(cells, rows, slice(a + low, a + high), margin)
        if segment is not None:
            found.append(segment)
    return found


def segment_at(cells: Cells, rows: slice, columns: slice, margin: int) -> Segment | None:
    """Return the segment about these frames in these bins, its edges refined; None if there is no power.

    Args:
        cells: divided by the floor.
        rows: frames it takes about.
        columns: bins that are its own.
        margin: frames before and after in which its edges are searched.
    """
    grid = cells.grid
    first, last = max(0, rows.start - margin), min(len(cells.values), rows.stop + margin)
    envelope = cells.values[first:last, columns].mean(axis=1, dtype=np.float64) - 1
    start, stop = on_time(envelope)
    if stop <= start:
        return None
    spectrum = cells.values[first + start : first + stop, columns].sum(axis=0, dtype=np.float64) - (
        stop - start
    )
    low, high, total = occupied(spectrum, 1.0)
    if total <= 0:
        return None
    begin, end = _crossing(envelope, start, stop)
    half = grid.step / 2 if start == 0 and first == 0 else 0.0
    after = grid.step / 2 if stop == len(envelope) and last == len(cells.values) else 0.0
    snr = total / (stop - start) / max(high - low, 0.5)
    density = float(cells.density[columns].mean())
    return Segment(
        cells.time(first + begin) - half,
        cells.time(first + end) + after,
        grid.frequency(columns.start + low - 0.5),
        grid.frequency(columns.start + high - 0.5),
        snr,
        density,
        grid,
        columns.start,
        spectrum,
        float(stop - start),
        envelope=envelope,
        first_frame=first,
    )


def _overlap(a0: float, a1: float, b0: float, b1: float) -> float:
    return max(0.0, min(a1, b1) - max(a0, b0))


def merge_segments(segments: list[Segment], cells: Cells) -> list[Segment]:
    """Merge the segments of a stretch that are parts of one emission."""
    found = sorted(segments, key=lambda one: one.lower)
    merged = True
    while merged:
        merged = False
        for one in range(len(found)):
            for other in range(one + 1, min(one + 5, len(found))):
                if _belong_together(found[one], found[other], cells):
                    found[one] = _union(found[one], found[other], cells)
                    del found[other]
                    merged = True
                    break
            if merged:
                break
    return found


def _belong_together(a: Segment, b: Segment, cells: Cells) -> bool:
    shared = _overlap(a.start, a.stop, b.start, b.stop)
    longest = max(a.stop - a.start, b.stop - b.start)
    widths = (a.upper - a.lower) + (b.upper - b.lower)
    gap = max(b.lower - a.upper, a.lower - b.upper)
    if shared < 0.5 * longest:
        # A part of what the other one covers, wholly inside it.
        inside = _overlap(a.lower, a.upper, b.lower, b.upper) > 0.8 * min(
            a.upper - a.lower, b.upper - b.lower
        )
        return inside and shared > 0.8 * min(a.stop - a.start, b.stop - b.start)
    if gap < 0:
        return -gap > 0.5 * min(a.upper - a.lower, b.upper - b.lower)
    middle = abs((a.lower + a.upper) - (b.lower + b.upper)) / 2
    if middle < _CLOSE_LINES_HZ:
        return True
    if gap > 3 * widths:
        return False
    step = cells.grid.step
    edge = 1.5 * step
    end_of_view = cells.time(len(cells.values) - 1)
    begins = abs(a.start - b.start) < edge and min(a.start, b.start) > cells.time(1)
    ends = abs(a.stop - b.stop) < edge and max(a.stop, b.stop) < end_of_view - step
    alike = abs(np.log10(max(a.snr, 1e-9) / max(b.snr, 1e-9))) < 1.2
    if begins and ends and alike:
        return True
    first = max(a.first_frame, b.first_frame)
    last = min(a.first_frame + len(a.envelope), b.first_frame + len(b.envelope))
    if last - first < 12:
        return False
    x = a.envelope[first - a.first_frame : last - a.first_frame]
    y = b.envelope[first - b.first_frame : last - b.first_frame]
    spread = float(np.std(x) * np.std(y))
    if spread <= 0:
        return False
    rho = float(np.mean((x - x.mean()) * (y - y.mean()))) / spread
    return abs(rho) > max(0.35, 5 / np.sqrt((last - first) * cells.worth))


def _union(a: Segment, b: Segment, cells: Cells) -> Segment:
    """Return the segment that two parts make."""
    first = min(a.first_bin, b.first_bin)
    last = max(a.first_bin + len(a.spectrum), b.first_bin + len(b.spectrum))
    start = min(a.start, b.start)
    stop = max(a.stop, b.stop)
    spectrum = np.zeros(last - first)
    spectrum[a.first_bin - first :][: len(a.spectrum)] = a.spectrum
    # Where both have a bin, the longer one knows more.
    own = spectrum[b.first_bin - first :][: len(b.spectrum)]
    np.maximum(own, b.spectrum, out=own)
    low, high, total = occupied(spectrum, 1.0)
    frames = max(a.frames, b.frames, 1.0)
    begin, end = (
        min(a.first_frame, b.first_frame),
        max(a.first_frame + len(a.envelope), b.first_frame + len(b.envelope)),
    )
    envelope = cells.values[begin:end, first:last].mean(axis=1, dtype=np.float64) - 1
    return Segment(
        start,
        stop,
        cells.grid.frequency(first + low - 0.5),
        cells.grid.frequency(first + high - 0.5),
        total / frames / max(high - low, 0.5),
        (a.density + b.density) / 2,
        cells.grid,
        first,
        spectrum,
        frames,
        envelope=envelope,
        first_frame=begin,
    )


@dataclass
class _Open:
    """A box that may go on."""

    id: int
    start: float
    stop: float
    density: float
    spectra: dict[int, tuple[int, NDArray[np.float64]]] = field(default_factory=dict)
    """For each size of transform: first bin, sum of the excess."""
    frames: dict[int, float] = field(default_factory=dict)
    grids: dict[int, Grid] = field(default_factory=dict)
    lower: float = 0.0
    upper: float = 0.0
    snr: float = 0.0
    kind: str = ""
    changed: bool = True

    def add(self, segment: Segment) -> None:
        """Take a segment."""
        self.start = min(self.start, segment.start)
        self.stop = max(self.stop, segment.stop)
        bins = segment.grid.bins
        self.grids[bins] = segment.grid
        self.frames[bins] = self.frames.get(bins, 0.0) + segment.frames
        self._accumulate(bins, segment.first_bin, segment.spectrum)
        self.changed = True
        self._measure()

    def join(self, other: "_Open") -> None:
        """Take over all of another box."""
        self.start, self.stop = min(self.start, other.start), max(self.stop, other.stop)
        for bins, (first, spectrum) in other.spectra.items():
            if bins in self.spectra:
                self._accumulate(bins, first, spectrum)
            else:
                self.spectra[bins] = (first, spectrum)
            self.frames[bins] = max(self.frames.get(bins, 0.0), other.frames[bins])
            self.grids[bins] = other.grids[bins]
        self.changed = True
        self._measure()

    def _accumulate(self, bins: int, first: int, spectrum: NDArray[np.float64]) -> None:
        start, held = self.spectra.get(bins, (first, np.zeros(0)))
        low = min(start, first)
        high = max(start + len(held), first + len(spectrum))
        if low != start or high != start + len(held):
            wider = np.zeros(high - low)
            wider[start - low :][: len(held)] = held
            held = wider
        held[first - low :][: len(spectrum)] += spectrum
        self.spectra[bins] = (low, held)

    def _measure(self) -> None:
        bins = max(self.spectra)
        if self.frames[bins] < 4 and len(self.spectra) > 1:
            bins = min(self.spectra)
        grid = self.grids[bins]
        first, held = self.spectra[bins]
        low, high, total = occupied(held, 1.0)
        self.lower, self.upper = grid.frequency(first + low - 0.5), grid.frequency(first + high - 0.5)
        self.snr = max(total, 1e-12) / max(self.frames[bins], 1.0) / max(high - low, 0.5)

    @property
    def gap(self) -> float:
        """Longest gap it may have, in seconds."""
        return float(np.clip(_GAP_SYMBOLS / max(self.upper - self.lower, 1.0), *_GAP_RANGE))

    def box(self, is_open: bool) -> Box:
        """Return it as it stands."""
        power = self.snr * self.density * (self.upper - self.lower)
        return Box(
            self.id,
            round(self.start),
            round(self.stop),
            self.lower,
            self.upper,
            10 * float(np.log10(max(self.snr, 1e-12))),
            10 * float(np.log10(max(power, 1e-30))),
            is_open,
            self.kind,
        )


class BoxBook:
    """Joins segments of successive blocks to boxes.

    Args:
        sample_rate: of the band.
        most: boxes that may be open at once.
    """

    def __init__(self, sample_rate: float, most: int = 2000) -> None:
        self.sample_rate = sample_rate
        self.most = most
        self.refused = 0
        """Segments that were not taken, since too many boxes were open."""
        self._open: list[_Open] = []
        self._merged: list[int] = []
        self._next = 1

    def add(self, segments: list[Segment], seen_to: float) -> list[Box]:
        """Take the segments of a block; return the boxes that changed or ended.

        Args:
            segments: of the block.
            seen_to: sample up to which all segments are known.
        """
        for segment in sorted(segments, key=lambda one: one.start):
            self._take(segment)
        boxes, still = [], []
        for one in self._open:
            ended = seen_to - one.stop > one.gap * self.sample_rate
            if one.changed or ended:
                boxes.append(one.box(not ended))
            one.changed = False
            if not ended:
                still.append(one)
        self._open = still
        return boxes

    def _take(self, segment: Segment) -> None:
        fits = [one for one in self._open if self._fits(one, segment)]
        if not fits:
            if len(self._open) >= self.most:
                self.refused += 1
                return
            fits = [_Open(self._next, segment.start, segment.stop, segment.density, kind=segment.kind)]
            self._next += 1
            self._open += fits
        fits.sort(key=lambda one: one.id)
        fits[0].add(segment)
        # A segment that covers several boxes makes them one.
        for other in fits[1:]:
            fits[0].join(other)
            self._open.remove(other)
            self._merged.append(other.id)

    def _fits(self, one: _Open, segment: Segment) -> bool:
        if one.kind != segment.kind:
            return False
        gap = (segment.start - one.stop) / self.sample_rate
        if gap > one.gap:
            return False
        width, own = one.upper - one.lower, segment.upper - segment.lower
        least = 2 * segment.grid.bin_width
        shared = _overlap(
            one.lower - least / 2, one.upper + least / 2, segment.lower - least / 2, segment.upper + least / 2
        )
        union = max(width, own) + least
        if shared > 0.5 * union:
            return True
        # Straight on, as a part of the other one: a pause in speech leaves a carrier.
        straight = gap < 4 * segment.grid.step / self.sample_rate
        return straight and shared > 0.9 * (min(width, own) + least) and segment.start > one.start - 1

    def flush(self) -> list[Box]:
        """End all boxes; return them."""
        boxes = [one.box(False) for one in self._open]
        self._open = []
        return boxes
