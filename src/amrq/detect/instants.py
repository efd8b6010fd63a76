# SPDX-License-Identifier: GPL-3.0-or-later
"""Bursts of a few frames: put together from what stands out of their spectrum, and timed by the samples themselves.

A pulse of .1 ms fills one frame of the coarse grid. One frame's spectrum of it has lines and holes, so several parts of
it are found, whose times are good to a frame. `joined_bursts` puts together what rises at once, with all that rises in
between. `timed` filters the samples about a burst to its band and finds where their power crosses half of its level.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import scipy.fft
import scipy.ndimage
from numpy.typing import NDArray

from amrq.detect.cells import Cells, Segment, overlap, stands_out
from amrq.detect.edges import crossing, on_time
from amrq.detect.segments import summed

__all__ = ["RecentSamples", "joined_bursts", "timed", "without_bursts"]

_FEW = 4
"""Frames that a burst has at most which is put together."""
_BESIDE = (2, 8)
"""Frames before and after a burst, from the nearest to the farthest, that it is compared with."""
_RISE = 5.0
"""Standard deviations by which what lies between two parts must rise with them."""
_LEAST_RISE = 0.002
"""Of the level of the parts: what rises by less is their spill."""
_STEP = 8
"""Bins that are added to a burst at a time, at least."""
_WIDER = 4
"""So often these are doubled before a burst's edge is where nothing more rises."""
_LONGEST = 24
"""Frames that a burst has at most whose times are found in the samples."""


class RecentSamples:
    """The last samples of a stream.

    Args:
        keep: how many.

    >>> recent = RecentSamples(100)
    >>> for at in range(0, 300, 50):
    ...     recent.add(at, np.arange(at, at + 50, dtype=np.complex64))
    >>> recent.get(210, 213).real.tolist(), recent.get(0, 20)
    ([210.0, 211.0, 212.0], None)
    """

    def __init__(self, keep: int) -> None:
        # A ring: sample n lies at n modulo its length.
        self._room: NDArray[np.complex64] = np.empty(max(keep, 1), np.complex64)
        self._start = self._stop = 0

    def add(self, first: int, samples: NDArray[np.complex64]) -> None:
        """Keep samples, of which the first has this number."""
        keep = len(self._room)
        if first != self._stop:
            self._start = first
        self._stop = first + len(samples)
        self._start = max(self._start, self._stop - keep)
        new = samples[-keep:]
        at = (self._stop - len(new)) % keep
        before_end = min(len(new), keep - at)
        self._room[at : at + before_end] = new[:before_end]
        self._room[: len(new) - before_end] = new[before_end:]

    def get(self, start: int, stop: int) -> NDArray[np.complex64] | None:
        """Return the samples from `start` to before `stop`; None where not all are kept."""
        if start < self._start or stop > self._stop:
            return None
        keep = len(self._room)
        at, end = start % keep, start % keep + max(stop - start, 0)
        if end <= keep:
            return self._room[at:end]
        return np.concatenate([self._room[at:], self._room[: end - keep]])


def joined_bursts(segments: list[Segment], cells: Cells, is_new: Callable[[Segment], bool]) -> list[Segment]:
    """Put together the parts of bursts of a few frames.

    Args:
        segments: of these cells.
        cells: of the grid with the shorter frames.
        is_new: whether a segment is no part of an emission that is known already.
    """
    found = [one for one in segments if one.rows.stop - one.rows.start > _FEW]
    groups: list[list[Segment]] = []
    few = [one for one in segments if one.rows.stop - one.rows.start <= _FEW]
    for one in sorted(few, key=lambda one: (one.rows.start, one.core[0])):
        group = groups[-1] if groups else None
        if group and one.rows.start <= group[0].rows.start + 1 and one.rows.stop <= group[0].rows.stop + 2:
            group.append(one)
        else:
            groups.append([one])
    for group in groups:
        new = [one for one in group if is_new(one)]
        found += (
            _grown(new, [one for one in group if all(one is not other for other in new)], cells)
            if new
            else group
        )
    return found


def _grown(new: list[Segment], known: list[Segment], cells: Cells) -> list[Segment]:
    """Return the bursts that parts make which begin at once: new ones, and what they hold of known ones."""
    group = new + known
    rows = slice(min(one.rows.start for one in group), max(one.rows.stop for one in group))
    beside = _beside(cells, rows)
    if beside is None:
        return group
    parts = sorted(group, key=lambda one: -one.snr)
    cores: list[tuple[int, int]] = []
    for one in sorted(new, key=lambda one: -one.snr):
        if any(core[0] < one.core[1] and core[1] > one.core[0] for core in cores):
            continue
        own = one.rows
        grown = _edge(cells, own, beside, one, -1), _edge(cells, own, beside, one, 1)
        cores.append(grown)
    merged: list[tuple[int, int]] = []
    for core in sorted(cores):
        if merged and core[0] <= merged[-1][1] + 1:
            merged[-1] = merged[-1][0], max(core[1], merged[-1][1])
        else:
            merged.append(core)
    found = [
        one for one in known if not any(core[0] < one.core[1] and core[1] > one.core[0] for core in merged)
    ]
    for core in merged:
        inside = [one for one in parts if one.core[0] >= core[0] and one.core[1] <= core[1]]
        if len(inside) == 1 and inside[0].core == core:
            found.append(inside[0])
            continue
        strongest = max(inside, key=lambda one: one.power) if inside else parts[0]
        whole = summed(cells, strongest.rows, core, (strongest.start, strongest.stop))
        found += [whole] if whole is not None else inside
    return found


def _beside(cells: Cells, rows: slice) -> NDArray[np.float64] | None:
    """Return the mean of the frames beside some frames for each bin; None where there are none."""
    near, far = _BESIDE
    before = cells.values[max(rows.start - far, 0) : max(rows.start - near, 0)]
    after = cells.values[rows.stop + near : rows.stop + far]
    if len(before) + len(after) < 2:
        return None
    sides = [part.mean(axis=0, dtype=np.float64) for part in (before, after) if len(part)]
    # What ends or begins beside a burst is no rise.
    return np.maximum(np.max(sides, axis=0), 0.5)


def _edge(cells: Cells, rows: slice, beside: NDArray[np.float64], one: Segment, side: int) -> int:
    """Return the bin up to which power rises along with a part of a burst, without a hole, on one side."""
    level = float(cells.values[rows, one.core[0] : one.core[1]].mean()) - 1
    edge = first = one.core[1] if side > 0 else one.core[0]
    bins = cells.grid.bins
    wider = 0
    # A spectrum of a single frame has holes, and what is weak shows over many bins only.
    while wider < _WIDER and 0 < edge < bins:
        step = max(_STEP, (one.core[1] - one.core[0]) // 4, abs(edge - first) // 4) << wider
        a, b = (edge, min(edge + step, bins)) if side > 0 else (max(edge - step, 0), edge)
        around = float(beside[a:b].mean())
        rise = float(cells.values[rows, a:b].mean()) - around
        count = max((rows.stop - rows.start) * cells.worth * (b - a) / 1.5, 1.0)
        if rise > max(_RISE * max(around, 1.0) / np.sqrt(count), _LEAST_RISE * level):
            edge, wider = (b if side > 0 else a), 0
        else:
            wider += 1
    return edge


def without_bursts(segments: list[Segment], bursts: list[Segment], cells: Cells) -> list[Segment]:
    """Return the segments that stand out in frames without bursts, too.

    A wide pulse fills all bins of one long frame, and what little of it a narrow rectangle holds may look like more.

    Args:
        segments: of these cells.
        bursts: of the grid with the shorter frames.
        cells: of the grid with the longer frames.
    """
    grid = cells.grid
    short = [one for one in bursts if one.stop - one.start < grid.bins]
    kept = []
    for one in segments:
        width = one.upper - one.lower
        within = [
            burst
            for burst in short
            if burst.stop > one.start - grid.bins
            and burst.start < one.stop + grid.bins
            and overlap(*_about(burst), one.lower, one.upper) > 0.7 * width
            and burst.upper - burst.lower > 2 * width
        ]
        if not within or one.grid.averaged > 1:
            kept.append(one)
            continue
        free = np.ones(one.rows.stop - one.rows.start, bool)
        for burst in within:
            first = int(np.floor(cells.frame(burst.start - grid.bins / 2))) - one.rows.start
            last = int(np.ceil(cells.frame(burst.stop + grid.bins / 2))) + 1 - one.rows.start
            free[max(first, 0) : max(last, 0)] = False
        values = cells.values[one.rows, one.core[0] : one.core[1]][free]
        if values.size and stands_out(float(values.mean(dtype=np.float64)) - 1, values.size, cells.worth):
            kept.append(one)
    return kept


def _about(burst: Segment) -> tuple[float, float]:
    """Return the band of a burst and a quarter more on both sides: its edges are known badly."""
    more = (burst.upper - burst.lower) / 4
    return burst.lower - more, burst.upper + more


def timed(one: Segment, recent: RecentSamples, sample_rate: float) -> Segment:
    """Return a segment with the times at which the power of the samples in its band crosses half of its level.

    Args:
        one: a segment of the grid with the shorter frames.
        recent: samples about it.
        sample_rate: of these, in Hz.
    """
    grid, length = one.grid, one.stop - one.start
    if length > _LONGEST * grid.step:
        return one
    margin = 1.5 * grid.bins
    start = int(one.start - margin)
    samples = recent.get(start, int(one.stop + margin))
    if samples is None:
        return one
    count = scipy.fft.next_fast_len(len(samples))
    lower, upper = (round(edge * count / sample_rate) for edge in (one.lower, one.upper))
    spread = max((upper - lower) // 16, 2)
    places = np.arange(lower - spread, upper + spread + 1)
    spectrum = scipy.fft.fft(samples, count)
    envelope = scipy.fft.ifft(spectrum[places % count])
    scale = (len(places) / count) ** 2
    # Noise of this density in this band has mean 1.
    noise = one.density * sample_rate * len(places) / count
    power = scale * (envelope.real**2 + envelope.imag**2).astype(np.float64) / noise
    ratio = count / len(places)
    power = power[: int(len(samples) / ratio)]
    # So many samples are averaged that noise does not cross the level, and single pulses are no bursts.
    width = int(np.ceil(max(3.0, 16 / max(one.snr, 1e-3) ** 2)))
    if width * ratio > length / 6 or len(power) < 4 * width:
        return one
    smooth = scipy.ndimage.uniform_filter1d(power, width, mode="nearest") - 1
    first, last = on_time(smooth)
    if last - first < 2 or first == 0 or last == len(smooth):
        return one
    begin, end = crossing(smooth, first, last)
    return replace(one, start=start + (begin + 0.5) * ratio, stop=start + (end + 0.5) * ratio)
