# SPDX-License-Identifier: GPL-3.0-or-later
"""The detector of a band: spectra in, boxes in time and frequency out.

Work goes on in blocks of about .1 s. Each block's cells are divided by the noise floor, and rectangles of many sizes
are compared with their thresholds: on the coarse grid those up to some ms, on the fine grid longer and narrower ones,
and on sums of 32 fine frames those up to some seconds. Small rectangles go first. What they found is replaced by noise
before larger ones are compared, so that a strong signal does not fill all rectangles that touch it.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from amrq.detect.box_book import BoxBook, covered
from amrq.detect.boxes import Box
from amrq.detect.cells import Cells, Segment
from amrq.detect.energy import equivalent_cells, tiles, whiten
from amrq.detect.faults import LINE_BINS, Gaps, mark_kind, steady_line
from amrq.detect.instants import RecentSamples, joined_bursts, timed, without_bursts
from amrq.detect.merging import merge_segments
from amrq.detect.noise_floor import NoiseFloor
from amrq.detect.search import LONGEST, SLOW, TILES, Searches, SlowRows, search_tiles, widened
from amrq.detect.segments import find_segments, sharpened
from amrq.detect.spectra import (
    FINE_PER_COARSE,
    FrameQueue,
    Grid,
    SpectrumStream,
    coarse_grid,
    fine_grid,
)
from amrq.errors import AmrqError
from amrq.options import above, check, described, option
from amrq.text import engineering

__all__ = ["Detector", "DetectorOptions"]

_LOWEST_RATE, _HIGHEST_RATE = 0.1, 1e10
"""Samples a second of a band: at fewer, less is compared in an hour than there may be false alarms."""
_BLOCK_S = 0.1
_TAIL = 32
"""Fine frames of the last block that are looked at again, so that its end is no edge."""
_SHORT = 6
"""Fine frames below which the coarse grid knows more."""
_LONG = 12
"""Fine frames from which on the fine grid alone counts."""
_FEWEST = 2
"""Fine frames with which a block says anything."""
_LEAST_FREE = 0.1
"""Share of the band that must be free for a floor that can be trusted."""
_LEAST_BINS = 16
"""Of the coarse grid, for short recordings."""


@described
@dataclass(frozen=True)
class DetectorOptions:
    """What counts as an emission."""

    false_alarms_per_hour: float = option(
        1.0, "Boxes per hour that may be nothing but noise.", within=above(0, at_most=3600)
    )
    dc_line: bool = option(True, "Whether the line at 0 Hz is the radio's own, and no emission.")
    images: bool = option(
        True, "Whether the mirror image of a stronger emission is a box of kind image, not an emission."
    )

    def __post_init__(self) -> None:
        check(self)


class Detector:
    """Finds what is on the air in a band.

    Args:
        sample_rate: of the band, in Hz.
        options: what counts as an emission.
        coarse: grid of the spectra given to `process_spectra`; None: the usual one.
        fine: likewise.

    Raises:
        AmrqError: the sample rate is out of range, or the grids do not fit together.

    >>> import numpy as np
    >>> random = np.random.default_rng(1)
    >>> noise = random.standard_normal((480_000, 2)) @ [0.01, 0.01j]
    >>> noise[100_000:300_000] += 0.01 * np.exp(2j * np.pi * 0.1 * np.arange(200_000))
    >>> detector = Detector(2.4e6)
    >>> boxes = detector.process(noise) + detector.finish()
    >>> [(round(box.centre, -3), box.is_open, abs(box.start - 100_000) < 2048) for box in boxes[-1:]]
    [(240000.0, False, True)]
    """

    def __init__(
        self,
        sample_rate: float,
        options: DetectorOptions | None = None,
        coarse: Grid | None = None,
        fine: Grid | None = None,
    ) -> None:
        if not _LOWEST_RATE <= sample_rate <= _HIGHEST_RATE:
            raise AmrqError(
                f"emissions are looked for in bands of {_LOWEST_RATE:g} to {_HIGHEST_RATE:g} samples a second, not of "
                f"{sample_rate:g}: give the right sample rate."
            )
        self.options = options or DetectorOptions()
        self.sample_rate = float(sample_rate)
        self.coarse = coarse or coarse_grid(self.sample_rate)
        self.fine = fine or fine_grid(self.sample_rate)
        if self.fine.bins != FINE_PER_COARSE * self.coarse.bins:
            raise AmrqError(f"The fine grid must have {FINE_PER_COARSE} bins for each of the coarse one.")
        self._per_fine = max(1, round(self.fine.step / self.coarse.step))
        frames = _BLOCK_S * self.sample_rate / self.fine.step
        self._block = max(SLOW, round(frames / SLOW) * SLOW)
        self._streams = SpectrumStream(self.coarse), SpectrumStream(self.fine)
        self._recent = RecentSamples(3 * self._block * self.fine.step)
        self._floor = NoiseFloor(self.fine)
        self._book = BoxBook(self.sample_rate, self.fine.step)
        self._long = _LONG * self.fine.step
        self._slow_grid = replace(self.fine, averaged=SLOW * self.fine.averaged)
        self._worth = tuple(
            equivalent_cells(grid, 1, 32) / 32 for grid in (self.coarse, self.fine, self._slow_grid)
        )
        self._searches: dict[float, Searches] = {}
        self._waiting = FrameQueue(self.coarse.bins), FrameQueue(self.fine.bins)
        self._views = [np.empty((0, grid.bins), np.float32) for grid in (self.coarse, self.fine)]
        self._sums = [
            np.empty((0, view.shape[1] >> i), np.float32)
            for view, (i, _) in zip(self._views, TILES, strict=True)
        ]
        self._origin = 0
        self.n_samples = 0
        """Samples seen."""
        self.blocks = 0
        """Blocks searched: levels and remarks change with them."""
        self._of_this_band = 0  # samples since the radio was last tuned
        self._gaps = Gaps()
        self._beginning: list[NDArray[np.complex64]] | None = []
        """Samples before the first block, in case that nothing follows."""
        self._restart(0)

    @property
    def floor_dbfs_per_hz(self) -> NDArray[np.float64]:
        """Noise floor at each bin of the coarse grid, in dB relative to full scale, per Hz."""
        floor: NDArray[np.float64] = np.log10(self._coarse_density().astype(np.float64)) * 10.0
        return floor

    @property
    def threshold_dbfs_per_hz(self) -> NDArray[np.float64]:
        """Power density from which an emission four bins of the coarse grid wide and 30 ms long is found."""
        frames = max(1, round(0.03 * self.sample_rate / self.coarse.step))
        search = self._search()
        cells = max(equivalent_cells(self.coarse, 4, min(frames, 512)), 4)
        excess = -search.log_probability / math.sqrt(cells)
        return self.floor_dbfs_per_hz + 10 * math.log10(1 + excess)

    @property
    def remarks(self) -> tuple[str, ...]:
        """Sentences about what hinders the detector in this band."""
        if not self._floor.known and self._of_this_band > 2 * self._block * self.fine.step:
            return (
                "Nothing but zeros, or one value again and again, has come: there is neither signal nor noise in it. "
                "See whether the source delivers, and whether format and gain are right.",
            )
        notes = []
        low, high = self._floor.passed
        if low > -self.sample_rate / 2:
            notes.append(
                f"Only {engineering(low, 'Hz')} to {engineering(high, 'Hz')} from the middle of the band is looked at: "
                "beyond, the power is lower by more than 30 dB, as a receiver's filter makes it. One signal that fills "
                "the band may look like that, too; then tune beside it, or take a higher sample rate."
            )
        if self._floor.free_share < _LEAST_FREE:
            notes.append(
                "The band is full: hardly a place is free from which to know the noise, so weak emissions are missed "
                "and levels over the noise are too low. Take a higher sample rate, or tune beside it."
            )
        return tuple(notes)

    @property
    def bad_samples(self) -> int:
        """Samples that were no numbers to compute with: not finite, or 1e12 and more. They count as a gap."""
        return self._gaps.bad_samples

    @property
    def refused(self) -> int:
        """Parts of emissions that were not taken, since too many boxes were open."""
        return self._book.refused

    @property
    def largest_statistic(self) -> float:
        """Of all rectangles without a hit: the largest excess over its mean, relative to the threshold's."""
        return max((search.largest for search in self._searches.values()), default=0.0)

    def process(self, samples: ArrayLike) -> list[Box]:
        """Take the next samples; return the boxes that began, changed or ended, in the order in which they began."""
        with np.errstate(over="ignore", invalid="ignore"):
            new = np.asarray(samples, dtype=np.complex64).ravel()
        boxes = []
        # In pieces of at most a block, so that memory stays bounded.
        piece = self._block * self.fine.step
        for at in range(0, len(new), piece):
            part = self._gaps.take(new[at : at + piece], self.n_samples)
            if self._beginning is not None:
                self._beginning.append(part)
            self._recent.add(self.n_samples, part)
            for stream, waiting in zip(self._streams, self._waiting, strict=True):
                stream.process(part, waiting)
            boxes += self._blocks()
            self.n_samples += len(part)
            self._of_this_band += len(part)
        return boxes

    def process_spectra(self, coarse: NDArray[np.float32], fine: NDArray[np.float32]) -> list[Box]:
        """Take the next frames of both grids, `[frames, bins]`, lowest frequency first; return as `process` does.

        Args:
            coarse: power densities: squared magnitudes times `Grid.scale`.
            fine: likewise. Both start at the same sample; they may come in any pieces.
        """
        for waiting, frames in zip(self._waiting, (coarse, fine), strict=True):
            waiting.add(frames)
        return self._blocks()

    def _blocks(self) -> list[Box]:
        """Run the blocks that are whole."""
        boxes: list[Box] = []
        needed = (self._block * self._per_fine, self._block)
        while all(len(held) >= least for held, least in zip(self._waiting, needed, strict=True)):
            boxes += self._run(self._waiting[0].take(needed[0]), self._waiting[1].take(needed[1]))
        return boxes

    def add_break(self, now: int) -> list[Box]:
        """Take note that samples were lost and that the next one has this number; return as `process` does."""
        boxes = self._rest()
        self.n_samples = int(now)
        self._restart(self.n_samples)
        return boxes

    def reset(self) -> list[Box]:
        """Start anew, since the radio was tuned or set otherwise; return all open boxes, ended."""
        boxes = self.finish()
        self._floor.reset()
        self._of_this_band = 0
        self._restart(self.n_samples)
        return boxes

    def finish(self) -> list[Box]:
        """End the stream: return the boxes that the last samples make, and end all open ones."""
        boxes = self._rest()
        last = {box.id: box for box in boxes}
        for box in self._book.flush():
            last[box.id] = box
        self._restart(self.n_samples)
        return list(last.values())

    def _rest(self) -> list[Box]:
        """Run what waits for a whole block."""
        coarse, fine = (held.take(len(held)) for held in self._waiting)
        if self._beginning is not None and len(fine) < SLOW:
            return self._short()
        if len(fine) < 2 or len(coarse) < 16:
            return []
        return self._run(coarse, fine, final=True)

    def _short(self) -> list[Box]:
        """Run a recording as a whole that is too short for the usual grids: with shorter transforms."""
        samples = np.concatenate(self._beginning or [np.zeros(0, np.complex64)])
        bins = self.fine.bins
        while bins > FINE_PER_COARSE * _LEAST_BINS and len(samples) < (SLOW + 1) * bins:
            bins //= 2
        if len(samples) < 4 * bins:
            return []
        grids = [Grid(self.sample_rate, one, one // 2) for one in (bins // FINE_PER_COARSE, bins)]
        whole = Detector(self.sample_rate, self.options, *grids)
        whole._book.next_id = self._book.next_id
        # Everything is one block.
        whole._block = len(samples)
        whole._recent = RecentSamples(len(samples))
        all_of = len(samples)
        boxes = whole.process(samples) + whole._run(
            whole._waiting[0].take(all_of), whole._waiting[1].take(all_of), True
        )
        boxes = list({box.id: box for box in [*boxes, *whole._book.flush()]}.values())
        self._book.next_id = whole._book.next_id
        return [replace(box, start=box.start + self._origin, stop=box.stop + self._origin) for box in boxes]

    def _restart(self, origin: int) -> None:
        self._origin = origin
        if self._beginning is not None:
            self._beginning = []
        self._book.begin(origin)
        self._gaps.clear()
        for stream in self._streams:
            stream.reset()
        for held in self._waiting:
            held.take(len(held))
        self._first: list[int] = [0, 0]
        """Of the next block: first frame of each grid since the origin."""
        self._masks = [
            np.zeros((0, self.coarse.bins >> 1), bool),
            np.zeros((0, self.fine.bins), bool),
        ]
        self._known = [0, 0]
        """Frames of each grid that were looked at before, and are again: the first of `_views`."""
        self._slow = SlowRows(self.fine.bins)

    def _coarse_density(self) -> NDArray[np.float32]:
        fine = self._floor.density
        half = FINE_PER_COARSE // 2
        # A coarse bin's middle is the first of its eight fine bins.
        shifted = np.concatenate([fine[:1].repeat(half), fine[:-half]])
        density: NDArray[np.float32] = shifted.reshape(-1, FINE_PER_COARSE).mean(axis=1)
        return density

    def _search(self) -> Searches:
        """Return the thresholds for the present uncertainty of the floor, in steps of a quarter."""
        step = 2 ** (round(4 * math.log2(self._floor.uncertainty)) / 4)
        if step not in self._searches:
            rate = self.options.false_alarms_per_hour
            self._searches[step] = Searches(self.coarse, self.fine, rate, step)
        return self._searches[step]

    def _run(self, coarse: NDArray[np.float32], fine: NDArray[np.float32], final: bool = False) -> list[Box]:
        self._beginning = None
        self.blocks += 1
        left_out = self._left_out(0, coarse), self._left_out(1, fine)
        rooms = [self._room(k, len(frames)) for k, frames in enumerate((coarse, fine))]
        blocks = [room[self._known[k] :] for k, room in enumerate(rooms)]
        sums = [self._sums_room(k, len(block)) for k, block in enumerate(blocks)]
        self._whitened((coarse, fine), left_out, blocks, sums)
        firsts = []
        for k, block in enumerate(blocks):
            firsts.append(self._first[k] - self._known[k])
            self._first[k] += len(block)
        segments = self._segments(rooms, firsts, final)
        self._gaps.forget(self._origin + self._first[1] * self.fine.step)
        for k, room in enumerate(rooms):
            self._known[k] = min(len(room), (_TAIL * self._per_fine, _TAIL)[k])
            self._views[k][: self._known[k]] = room[len(room) - self._known[k] :]
        seen_to = self._origin + self.fine.middle(self._first[1] - 1)
        return self._boxes(segments, seen_to)

    def _room(self, k: int, more: int) -> NDArray[np.float32]:
        """Return the cells of the last block that are looked at again, with room for more frames after them."""
        known, view = self._known[k], self._views[k]
        if len(view) < known + more:
            self._views[k] = np.empty((known + more, view.shape[1]), np.float32)
            self._views[k][:known] = view[:known]
        return self._views[k][: known + more]

    def _sums_room(self, k: int, more: int) -> NDArray[np.float32]:
        """Return room for the sums of the tiles of a block, after those of cells that are looked at again."""
        # As much as the longest rectangles reach back.
        known = min(self._known[k], 1 << LONGEST[k]) // 2
        count = known + more // 2
        if len(self._sums[k]) != count:
            self._sums[k] = np.empty((count, self._sums[k].shape[1]), np.float32)
        again = self._views[k][self._known[k] - 2 * known : self._known[k]]
        self._sums[k][:known] = tiles(again, TILES[k])
        return self._sums[k][known:]

    def _left_out(self, k: int, frames: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Return which frames of a block hold neither signal nor noise that can be computed with."""
        grid = (self.coarse, self.fine)[k]
        total = frames @ np.ones(grid.bins, np.float32)
        held = total[np.isfinite(total) & (total > 0)]
        level = float(np.median(held)) if len(held) else math.inf
        # Below that, single precision has no digits left.
        used = (total > max(1e-6 * level, 1e-30)) & (total < 1e20 * level)
        return ~used | self._gaps.spoiled(grid, self._origin + self._first[k] * grid.step, len(frames))

    def _boxes(self, segments: list[Segment], seen_to: float) -> list[Box]:
        # What is still inside the tail may be found again with the next block.
        return self._book.add(segments, seen_to)

    def _whitened(
        self,
        grids: tuple[NDArray[np.float32], NDArray[np.float32]],
        left_out: tuple[NDArray[np.bool_], NDArray[np.bool_]],
        blocks: list[NDArray[np.float32]],
        sums: list[NDArray[np.float32]],
    ) -> None:
        """Write the cells of both grids divided by the noise floor, without what is the receiver's own.

        Args:
            grids: frames of both.
            left_out: frames that hold no signal.
            blocks: for the cells.
            sums: for sums over tiles of them.
        """
        fine, good = grids[1], ~left_out[1]
        if np.count_nonzero(good) < _FEWEST:
            for block, sum_of, tile in zip(blocks, sums, TILES, strict=True):
                block[:] = 1
                sum_of[:] = 1 << sum(tile)
            return
        gains = np.ones(len(fine), np.float32)
        gains[good] = self._floor.update(fine if good.all() else fine[good])
        stepped = self._floor.stepped
        drifting = bool(np.any(gains != 1))
        densities = self._coarse_density(), self._floor.density
        for k, (frames, density, block) in enumerate(zip(grids, densities, blocks, strict=True)):
            own: NDArray[np.float32] | None = None
            if stepped:
                own = self._floor.frame_gains(frames, density)
            elif drifting:
                every = (self._per_fine, 1)[k]
                own = gains[np.minimum(np.arange(len(block)) // every, len(gains) - 1)]
            whiten(frames, density, own, left_out[k], block, sums[k])
            if self.options.dc_line:
                middle = block.shape[1] // 2
                around = block[:, middle - LINE_BINS - 2 : middle + LINE_BINS + 3]
                around[:, 2:-2] = steady_line(around, left_out[k], not stepped)
                # The sums of the tiles there, again.
                i = TILES[k][0]
                first, last = (middle - LINE_BINS) >> i, ((middle + LINE_BINS) >> i) + 1
                sums[k][:, first:last] = tiles(block[:, first << i : last << i], TILES[k])

    def _segments(self, views: list[NDArray[np.float32]], firsts: list[int], final: bool) -> list[Segment]:
        search = self._search()
        densities = (self._coarse_density(), self._floor.density)
        cells: list[Cells] = []
        masks: list[NDArray[np.bool_]] = []
        sums = self._sums[1]
        for k, view in enumerate(views):
            grid = (self.coarse, self.fine)[k]
            known = self._known[k]
            cells.append(
                Cells(grid, view, firsts[k], densities[k], self._worth[k], self._origin, known, final)
            )
            again = len(view) // 2 - len(self._sums[k])
            mask, sums = search_tiles(self._sums[k], search.small[k], search.large[k], brief=k == 0)
            masks.append(np.concatenate([self._masks[k][:again], mask]))
            self._masks[k] = masks[k][-(_TAIL * (self._per_fine, 1)[k] >> 1) :]
        found = self._fine_segments(cells, masks)
        residual = sums[len(sums) - (len(views[1]) - cells[1].known) // 2 :]
        np.copyto(residual, np.float32(2), where=widened(masks[1][-len(residual) :]))
        found += self._slow_segments(residual, search)
        if masks[0].any():
            beside = 2 * self.coarse.bin_width

            def is_new(one: Segment) -> bool:
                return not (covered(one, found, beside, self._long) or self._book.covers(one, beside))

            short = find_segments(cells[0], masks[0], 16, TILES[0], self._unknown_to(found, cells[0], beside))
            brief = [
                timed(one, self._recent, self.sample_rate)
                for one in joined_bursts(short, cells[0], is_new)
                if not covered(one, found, beside, self._long) and not self._book.continues(one, beside)
            ]
            found = without_bursts(found, brief, cells[1]) + merge_segments(brief, cells[0])
        for one in found:
            mark_kind(one, cells[1], self.options.images, self.options.dc_line)
        return found

    def _unknown_to(
        self, found: list[Segment], cells: Cells, beside: float
    ) -> Callable[[NDArray[np.int64]], NDArray[np.bool_]]:
        """Return what says whether cells of the coarse grid may hold more than long segments found on the fine one.

        What lies inside one of these, and is nowhere much stronger, would be found again only to be left out.
        """
        known = [one for one in found if one.stop - one.start > self._long]
        places = np.array([(one.start, one.stop, one.lower, one.upper) for one in known]).reshape(-1, 4)
        places += np.array([-1.0, 1.0, 0.0, 0.0]) * self.fine.step + np.array([0.0, 0.0, -beside, beside])
        levels = np.array([one.power / cells.grid.bin_width for one in known])

        grid, density = cells.grid, np.concatenate([[0.0], np.cumsum(cells.density, dtype=np.float64)])

        def wanted(where: NDArray[np.int64]) -> NDArray[np.bool_]:
            first, last, left, right = where.T
            start, stop = cells.time(0) + first * grid.step, cells.time(-1) + last * grid.step
            lower, upper = ((edge - grid.bins / 2) * grid.bin_width for edge in (left, right - 1))
            inside = (places[:, 0] <= start[:, None]) & (places[:, 1] >= stop[:, None])
            inside &= (places[:, 2] <= lower[:, None]) & (places[:, 3] >= upper[:, None])
            level = np.where(inside, levels, -np.inf).max(axis=1, initial=-np.inf)
            mean = (density[right] - density[left]) / (right - left)
            # What lies in no long segment is wanted whatever it holds.
            return cells.exceed(where, 4 * level / mean)

        return wanted

    def _fine_segments(self, cells: list[Cells], masks: list[NDArray[np.bool_]]) -> list[Segment]:
        short = masks[0]
        per, bins = self._per_fine, FINE_PER_COARSE

        def seen(first: int, last: int, left: int, right: int) -> bool:
            """Return whether the coarse grid has seen anything about there."""
            beside = max(right - left, 20 * bins)
            part = short[
                max(first - 1, 0) * per >> 1 : (last + 1) * per >> 1,
                max(left - beside, 0) // bins >> 1 : ((right + beside) // bins >> 1) + 1,
            ]
            return bool(part.any())

        def wanted(where: NDArray[np.int64]) -> NDArray[np.bool_]:
            """Leave what is brief to the coarse grid, if that has seen it."""
            keep = where[:, 1] - where[:, 0] > _SHORT
            for k in np.flatnonzero(~keep).tolist():
                keep[k] = not seen(*where[k].tolist())
            return keep

        found = []
        for one in find_segments(cells[1], masks[1], _SHORT, TILES[1], wanted):
            brief = one.stop - one.start < 2.5 * self.fine.bins
            if brief and seen(one.rows.start, one.rows.start + 1, *one.core):
                continue
            one.fresh = self._book.is_fresh(one)
            found.append(sharpened(one, cells[0], 2 * self._per_fine))
        return merge_segments(found, cells[1], cells[0])

    def _slow_segments(self, residual: NDArray[np.float32], search: Searches) -> list[Segment]:
        mask = self._slow.find(residual, search.slow)
        if mask is None:
            return []
        values = self._slow.values
        first = self._first[1] // SLOW - len(values)
        cells = Cells(self._slow_grid, values, first, self._floor.density, self._worth[2], self._origin)
        # What is short was no emission of its own, but the rest of a burst that was found.
        lasting = [one for one in find_segments(cells, mask, 8) if one.frames >= 3]
        found_segments = merge_segments(lasting, cells)
        # Found once: the sums shall not find it again. What was too short may last with the next rows.
        known = np.zeros(mask.shape[1], bool)
        for one in lasting:
            known[one.core[0] : one.core[1]] = True
        np.putmask(values, mask & known, 1)
        return found_segments
