# SPDX-License-Identifier: GPL-3.0-or-later
"""From cells that exceed their thresholds to segments: what one emission does within one block.

Connected cells make a component. Its envelope gives start and stop, its spectrum the bins that are its own: it is split
where the spectrum falls far below both sides. `amrq.detect.merging` merges parts of one emission, and
`amrq.detect.boxes` joins the segments of successive blocks.
"""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from amrq.detect.cells import Cells, Segment, stands_out
from amrq.detect.edges import (
    STEADY_CELLS,
    VALLEY,
    crossing,
    find_lobes,
    longest_gap,
    occupied,
    on_time,
    unbroken,
)
from amrq.native import kernels

__all__ = ["find_segments", "sharpened", "summed"]

_PAD = (12, 512)
"""Bins beside a segment whose spectrum is kept: as many as it is wide, within these limits."""


def find_segments(
    cells: Cells,
    mask: NDArray[np.bool_],
    margin: int,
    tile: tuple[int, int] = (0, 0),
    wanted: Callable[[NDArray[np.int64]], NDArray[np.bool_]] | None = None,
) -> list[Segment]:
    """Return the segments of connected cells, but for those that were found before or are better found later.

    Args:
        cells: divided by the floor.
        mask: tiles inside rectangles over their thresholds.
        margin: frames before and after a component in which its edges are searched.
        tile: exponents of a tile's bins and frames.
        wanted: of first and last (exclusive) frame and bin of components `[count, 4]`, whether they are looked at.
    """
    i, j = tile
    used = np.flatnonzero(mask.any(axis=0))
    if not len(used):
        return []
    frames = len(cells.values)
    # Only columns in which there is something, with an empty one between runs.
    columns = np.union1d(used, np.minimum(used + 1, mask.shape[1] - 1))
    labels, parts = _labelled(mask[:, columns])
    # First and last (exclusive) row and column of each component, in tiles.
    tiles = parts.astype(np.int64)
    tiles[:, 2], tiles[:, 3] = columns[parts[:, 2]], columns[parts[:, 3] - 1] + 1
    places = tiles << np.array([j, j, i, i])
    places[:, 1] = np.minimum(places[:, 1], frames)
    kept = places[:, 1] >= cells.known - (1 << j)
    if not cells.final and frames > cells.known:
        kept &= (places[:, 1] < frames - (1 << j)) | (places[:, 0] < frames - cells.known)
    kept = np.flatnonzero(kept)
    if wanted is not None:
        kept = kept[wanted(places[kept])]
    found = []
    for number in kept.tolist():
        top, _, left, _ = tiles[number].tolist()
        first, last, low, high = places[number].tolist()
        t, u, f, g = parts[number].tolist()
        own = labels[t:u, f:g] == number + 1
        cores = _cores(cells, slice(first, last), slice(low, high))
        if i and len(own) <= 4 and len(cores) > 1:
            # What is as brief as this, and connected, is one.
            cores = [(cores[0][0], cores[-1][1])]
        for core in cores:
            # What a component joins need not begin and end together.
            when = own[:, max((core[0] >> i) - left, 0) : ((core[1] - 1) >> i) + 1 - left].any(axis=1)
            if when.any():
                start = int(when.argmax())
                stop = len(when) - int(when[::-1].argmax())
                found.append(((top + start) << j, min((top + stop) << j, frames), *core))
    if found and wanted is not None:
        kept = wanted(np.array(found))
        found = [place for place, keep in zip(found, kept.tolist(), strict=True) if keep]
    segments = []
    for first, last, low, high in found:
        segments += _lobe(cells, slice(first, last), (low, high), margin)
    return segments


def _labelled(mask: NDArray[np.bool_]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return the number of the component of each cell, and first and last (exclusive) row and column of each."""
    native = kernels()
    if native is not None:
        return native.label(mask)
    labels, _ = scipy.ndimage.label(mask, np.ones((3, 3), bool))
    parts = [(t.start, t.stop, f.start, f.stop) for t, f in scipy.ndimage.find_objects(labels)]
    return labels, np.array(parts, np.int32).reshape(-1, 4)


def _cores(cells: Cells, rows: slice, columns: slice) -> list[tuple[int, int]]:
    """Return the intervals of bins in which the spectrum of these frames stands out."""
    pad = min(max(6, (columns.stop - columns.start) // 2), 200)
    a, b = max(0, columns.start - pad), min(cells.values.shape[1], columns.stop + pad)
    sigma = 1 / math.sqrt(max((rows.stop - rows.start) * cells.worth, 1.0))
    if cells.native is not None:
        cores = cells.native.cores(rows, a, b, sigma, STEADY_CELLS, VALLEY)
    else:
        spectrum = cells.over_frames(rows, a, b) / (rows.stop - rows.start) - 1
        cores = [(a + low, a + high) for low, high in find_lobes(spectrum, sigma)]
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
    frames, size = rows.stop - rows.start, (rows.stop - rows.start) * (core[1] - core[0])
    worth = max(size * min(cells.worth, 1.0) / 2, 1.0)
    excess = float(cells.over_bins(rows, *core).sum()) / size - 1
    return excess > 8 / math.sqrt(worth) + 0.5 / frames


def _segment_at(cells: Cells, rows: slice, core: tuple[int, int], margin: int) -> Segment | None:
    """Return the segment about these frames in these bins, its edges refined; None if there is no power."""
    grid, values = cells.grid, cells.values
    first, last = max(0, rows.start - margin), min(len(values), rows.stop + margin)
    when = _when_on(cells, slice(first, last), core)
    if when is None:
        return None
    start, stop, begin, end, excess = when
    # At the edges of what is known, the outer frames' other halves belong to it.
    before = grid.step / 2 if start == 0 and first == 0 else 0.0
    after = grid.step / 2 if stop == last - first and last == len(values) else 0.0
    rows = slice(first + start, first + stop)
    if not stands_out(excess, (stop - start) * (core[1] - core[0]), cells.worth):
        return None
    return summed(cells, rows, core, (cells.time(first + begin) - before, cells.time(first + end) + after))


def _when_on(cells: Cells, rows: slice, core: tuple[int, int]) -> tuple[int, int, float, float, float] | None:
    """Return first and last frame of what is on in these bins, edges with fractions, and its mean excess."""
    width = core[1] - core[0]
    gap = longest_gap(width * cells.grid.bin_width) * cells.grid.sample_rate / cells.grid.step
    length = math.ceil(gap) + 2
    error = 1 / math.sqrt(max(length * cells.worth * width / 1.5, 1.0))
    if cells.native is not None:
        return cells.native.when_on(rows, *core, length, error)
    envelope = cells.over_bins(rows, *core) / width - 1
    start, stop = on_time(envelope)
    if stop <= start:
        return None
    start, stop = unbroken(envelope, start, stop, length, error)
    return start, stop, *crossing(envelope, start, stop), float(envelope[start:stop].mean())


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
        cells.mean_density(*core),
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
