# SPDX-License-Identifier: GPL-3.0-or-later
"""Energy in rectangles of cells of many sizes, against thresholds at a stated rate of false alarms.

Cells are divided by the noise floor first, so noise has mean 1 everywhere. The sum over a rectangle of 2^i bins and 2^j
frames is then compared with a threshold that depends on the size only. Rectangles of a size lie half their sides apart.
Sums of a size come from two sums of half the size, so a test costs one addition and one comparison, and no precision is
lost as it is in differences of a long running sum of float32.

In noise, the sum is a quadratic form of correlated complex Gaussian amplitudes. With the eigenvalues of their
covariance, its tail follows exactly (here by the saddle point of Lugannani and Rice, 1980, good to some per cent at
1e-12). For many cells a gamma law of the same mean and variance is as good, and its shape comes from the squared
correlations of the cells.
"""

import functools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.optimize
import scipy.special
from numpy.typing import NDArray

from amrq.detect.spectra import Grid, _amplitude_correlation
from amrq.native import NEVER, Kernels, kernels

__all__ = ["Rectangles", "Size", "equivalent_cells", "sum_threshold", "tests_per_second", "tiles", "whiten"]

Size = tuple[int, int]
"""Exponents (i, j): a rectangle of 2^i bins by 2^j frames."""

_ALIKE = 0.8
"""A rectangle counts beside an overlapping one that stands out more, if it does so by this share of it."""
_EXACT_UP_TO = 256
"""Cells up to which the tail comes from eigenvalues."""


def equivalent_cells(grid: Grid, bins: int, frames: int) -> float:
    """Return how many independent cells a rectangle is worth: (mean of the sum)^2 / (its variance) in noise.

    >>> round(equivalent_cells(Grid(1.0, 64, 32), 1, 1), 6)
    1.0
    >>> equivalent_cells(Grid(1.0, 64, 32), 8, 64) < 8 * 32 * 1.1  # half of the overlapped frames' cells are new
    True
    """
    frames *= grid.averaged
    total = 0.0
    reach = math.ceil(grid.bins / grid.hop)
    for dt in range(-min(reach, frames - 1), min(reach, frames - 1) + 1):
        for df in range(-min(3, bins - 1), min(3, bins - 1) + 1):
            total += (frames - abs(dt)) * (bins - abs(df)) * grid.correlation(dt, df)
    return (bins * frames) ** 2 / total


def sum_threshold(
    grid: Grid, bins: int, frames: int, log_probability: float, floor_uncertainty: float = 0.0
) -> float:
    """Return what the sum over a rectangle of noise exceeds with a given probability.

    Args:
        grid: of the cells.
        bins: sides of the rectangle.
        frames: likewise.
        log_probability: natural logarithm of the probability.
        floor_uncertainty: relative standard deviation of the floor that the cells were divided by.
    """
    excess = _threshold_excess(grid.hop / grid.bins, bins, frames * grid.averaged, log_probability)
    normal = -scipy.special.ndtri_exp(log_probability)
    return bins * frames * (1 + math.hypot(excess, normal * floor_uncertainty))


@functools.lru_cache(maxsize=4096)
def _threshold_excess(hop: float, bins: int, transforms: int, log_probability: float) -> float:
    """Return what the mean over a rectangle exceeds with the probability, less 1."""
    size = 1 << 10
    grid = Grid(1.0, size, round(hop * size))
    shape = equivalent_cells(grid, bins, transforms)
    excess = _gamma_quantile(shape, log_probability) / shape - 1
    part = (bins, transforms)
    while part[0] * part[1] > _EXACT_UP_TO:
        part = (part[0] // 2, part[1]) if part[0] >= part[1] else (part[0], part[1] // 2)
    smaller = part[0] * part[1]
    # How far the exact tail lies beyond the gamma law; that falls as the skewness does, with the root of the cells.
    exact = _exact_quantile(_eigenvalues(hop, *part), log_probability) / smaller - 1
    shape = equivalent_cells(grid, *part)
    ratio = exact / (_gamma_quantile(shape, log_probability) / shape - 1)
    return excess * (1 + (ratio - 1) * math.sqrt(smaller / (bins * transforms)))


@functools.lru_cache(maxsize=256)
def _eigenvalues(hop: float, bins: int, frames: int) -> tuple[float, ...]:
    """Return the eigenvalues of the covariance of a rectangle's amplitudes in noise of power 1."""
    t, f = (axis.ravel() for axis in np.meshgrid(np.arange(frames), np.arange(bins), indexing="ij"))
    dt, df = t[:, None] - t, f[:, None] - f
    reach = math.ceil(1 / hop)
    table = np.array(
        [
            [_amplitude_correlation(hop, d, k) for k in range(-bins + 1, bins)]
            for d in range(min(reach, frames))
        ]
    )
    # The later transform's phase runs over the samples by which the other one begins earlier.
    later = np.where((dt >= 0) & (dt < len(table)), 1.0, 0.0)
    covariance = later * table[np.clip(dt, 0, len(table) - 1), df + bins - 1]
    covariance = covariance * np.exp(2j * np.pi * f[:, None] * hop * dt)
    covariance = np.where(dt >= 0, covariance, covariance.conj().T)
    values = np.linalg.eigvalsh((covariance + covariance.conj().T) / 2)
    return tuple(float(value) for value in values if value > 1e-9)


@functools.lru_cache(maxsize=1024)
def _exact_quantile(eigenvalues: tuple[float, ...], log_probability: float) -> float:
    """Return x such that a sum of exponentials with these means exceeds x with the probability."""
    lam = np.array(eigenvalues)

    def log_tail(s: float) -> float:
        x = float(np.sum(lam / (1 - s * lam)))
        k = float(-np.sum(np.log1p(-s * lam)))
        r = math.sqrt(2 * (s * x - k))
        u = s * math.sqrt(float(np.sum((lam / (1 - s * lam)) ** 2)))
        # Lugannani and Rice: Q(r) + phi(r) (1/u - 1/r), with its logarithm kept finite.
        log_phi = -0.5 * r * r - 0.5 * math.log(2 * math.pi)
        mills = math.exp(scipy.special.log_ndtr(-r) - log_phi)
        return log_phi + math.log(max(mills + 1 / u - 1 / r, 1e-300)) - log_probability

    top = 1 / lam.max()
    s = scipy.optimize.brentq(log_tail, 1e-3 * top, (1 - 1e-9) * top, xtol=1e-12 * top)
    return float(np.sum(lam / (1 - s * lam)))


def _gamma_quantile(shape: float, log_probability: float) -> float:
    """Return what a gamma variate of this shape and scale 1 exceeds with the probability."""
    return float(scipy.special.gammainccinv(shape, math.exp(log_probability)))


def tests_per_second(grid: Grid, sizes: Sequence[Size], tile: Size = (0, 0)) -> float:
    """Return how many rectangles of these sizes are compared in a second of the band."""
    rate = 0.0
    for i, j in sizes:
        cells = _stride(i - tile[0]) * _stride(j - tile[1]) << (tile[0] + tile[1])
        rate += grid.bins * grid.sample_rate / grid.step / cells
    return rate


def tiles(cells: NDArray[np.float32], tile: Size) -> NDArray[np.float32]:
    """Return the sums of cells over tiles of 2^i bins by 2^j frames, side by side, with i and j 0 or 1."""
    frames = len(cells) >> tile[1] << tile[1]
    sums = cells[0:frames:2] + cells[1:frames:2] if tile[1] else cells[:frames]
    return sums[:, 0::2] + sums[:, 1::2] if tile[0] else sums


def whiten(
    frames: NDArray[np.float32],
    density: NDArray[np.float32],
    gains: NDArray[np.float32] | None,
    left_out: NDArray[np.bool_],
    cells: NDArray[np.float32],
    sums: NDArray[np.float32],
) -> None:
    """Write cells divided by the noise floor, and their sums over tiles of two frames, and of two bins where sums are.

    Args:
        frames: power densities `[frames, bins]`.
        density: of the noise, `[bins]`.
        gains: of each frame, relative to that.
        left_out: frames that hold no signal: noise of 1 takes their place.
        cells: `[frames, bins]`. Those at the band's edges hold power of both ends of the band, and are 1.
        sums: `[frames // 2, bins]` or `[frames // 2, bins // 2]`.
    """
    native = kernels()
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        inverse = np.reciprocal(density)
        if native is not None:
            native.whiten(frames, inverse, gains, left_out, cells, sums)
            return
        np.multiply(frames, inverse, out=cells)
        if gains is not None:
            cells /= gains[:, None]
    cells[:, :2] = 1
    cells[:, -1:] = 1
    cells[left_out] = 1
    sums[:] = tiles(cells, (int(sums.shape[1] < cells.shape[1]), 1))


def _stride(exponent: int) -> int:
    """Return the distance of rectangles of 2^exponent tiles, in tiles."""
    return max(1, 1 << (exponent - 1)) if exponent else 1


@dataclass(frozen=True)
class Hits:
    """Rectangles over their thresholds."""

    places: NDArray[np.int32]
    """`[hits, 4]`: exponents of the sides in time and frequency, first row and column; all in tiles."""
    excess: NDArray[np.float32]
    """`[hits]`, of each sum over its mean, relative to the threshold's."""


class Rectangles:
    """Compares all rectangles of some sizes with their thresholds.

    Args:
        grid: of the cells.
        sizes: exponents (i, j).
        log_probability: natural logarithm of the false-alarm probability of one test.
        floor_uncertainty: relative standard deviation of the floor.
        tile: exponents of the tiles whose sums are given in place of cells.
    """

    def __init__(
        self,
        grid: Grid,
        sizes: Sequence[Size],
        log_probability: float,
        floor_uncertainty: float = 0.0,
        tile: Size = (0, 0),
    ) -> None:
        self.grid = grid
        self.tile = tile
        self.sizes = tuple(sorted(sizes))
        self.thresholds = {
            (i, j): np.float32(sum_threshold(grid, 1 << i, 1 << j, log_probability, floor_uncertainty))
            for i, j in self.sizes
        }
        self.largest = 0.0
        """Largest excess of a sum over its mean, relative to the threshold's, that was no hit."""
        # As the compiled kernel takes them: [times, widths] in tiles, never where nothing is compared.
        times, widths = (1 + max(size[k] for size in self.sizes) - self.tile[k] for k in (1, 0))
        self._table = np.full((times, widths), NEVER)
        for (i, j), threshold in self.thresholds.items():
            self._table[j - self.tile[1], i - self.tile[0]] = threshold
        sides = np.arange(times)[:, None] + np.arange(widths) + sum(self.tile)
        self._means = (2.0**sides).astype(np.float32)

    def search(self, cells: NDArray[np.float32]) -> Hits:
        """Return the hits in cells, or sums of tiles, `[frames, bins]`, that were divided by the floor."""
        native = kernels()
        if native is not None:
            tops, places, values = native.rectangles(cells, self._table)
        else:
            tops, places, values = self._found(cells)
        self._noted(tops)
        j, i = places[:, 0], places[:, 1]
        return Hits(places, (values - self._means[j, i]) / (self._table - self._means)[j, i])

    def mark(self, cells: NDArray[np.float32]) -> NDArray[np.bool_] | None:
        """Return which cells lie in rectangles over their thresholds; None for no such rectangle.

        For small rectangles, of which strong signals fill many.
        """
        native = kernels()
        if native is not None:
            mask = np.zeros(cells.shape, bool)
            tops, _, _ = native.rectangles(cells, self._table, mask)
            return mask if self._noted(tops) else None
        return self._marked(cells)

    def _found(
        self, cells: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.int32], NDArray[np.float32]]:
        """Return the largest sum of each size, and places and sums of the hits, as the compiled kernel does."""
        tops = np.full_like(self._table, -NEVER)
        places, values = [np.zeros((0, 4), np.int32)], [np.zeros(0, np.float32)]
        for (i, j), sums in self._sums(cells):
            if sums.size == 0:
                continue
            tops[j, i] = sums.max()
            if not tops[j, i] > self._table[j, i]:
                continue
            # One index is found faster than two.
            where = np.divmod(np.flatnonzero(np.ravel(sums > self._table[j, i])), sums.shape[1])
            sides = np.full(len(where[0]), j), np.full(len(where[0]), i)
            found = np.column_stack([*sides, where[0] * _stride(j), where[1] * _stride(i)])
            places.append(found.astype(np.int32))
            values.append(sums[where])
        return tops, np.concatenate(places), np.concatenate(values)

    def _marked(self, cells: NDArray[np.float32]) -> NDArray[np.bool_] | None:
        mask: NDArray[np.bool_] | None = None
        tops = np.full_like(self._table, -NEVER)
        for (i, j), sums in self._sums(cells):
            if sums.size == 0:
                continue
            tops[j, i] = sums.max()
            if not tops[j, i] > self._table[j, i]:
                continue
            mask = np.zeros(cells.shape, bool) if mask is None else mask
            over = sums > self._table[j, i]
            rows, columns = _stride(j), _stride(i)
            for t in range(1 << j):
                for f in range(1 << i):
                    place = mask[t : t + rows * len(over) : rows, f : f + columns * over.shape[1] : columns]
                    place |= over
        self._noted(tops)
        return mask

    def _noted(self, tops: NDArray[np.float32]) -> bool:
        """Note the largest sum of each size `[times, widths]`; return whether there were hits."""
        hit = tops > self._table
        seen = ~hit & (tops > -NEVER) & (self._table < NEVER)
        if seen.any():
            means = self._means[seen].astype(np.float64)
            ratios = (tops[seen] - means) / (self._table[seen] - means)
            self.largest = max(self.largest, float(ratios.max()))
        return bool(hit.any())

    def _sums(self, cells: NDArray[np.float32]) -> Iterator[tuple[Size, NDArray[np.float32]]]:
        """Yield the exponents of each size, in tiles, with the sums of all rectangles of that size."""
        by_time = cells
        for j, row in enumerate(self._table):
            if j:
                by_time = by_time[:-1] + by_time[1:] if j == 1 else by_time[:-2:2] + by_time[2::2]
            if by_time.shape[0] == 0:
                return
            wanted = np.flatnonzero(row < NEVER).tolist()
            sums = by_time
            for i in range(max(wanted, default=-1) + 1):
                if i:
                    sums = sums[:, :-1] + sums[:, 1:] if i == 1 else sums[:, :-2:2] + sums[:, 2::2]
                if i in wanted:
                    yield (i, j), sums


class Stripes:
    """Compares sums of rows of cells over stripes of many widths with their thresholds, for what lasts.

    Rows are few, so their stripes can lie closer than other rectangles: a quarter of their width apart, and widths grow
    by a half. Each sum is one of two half as wide.

    Args:
        grid: of the cells.
        spans: numbers of frames in a row.
        log_probability: natural logarithm of the false-alarm probability of one test.
        floor_uncertainty: relative standard deviation of the floor.
    """

    def __init__(
        self, grid: Grid, spans: Sequence[int], log_probability: float, floor_uncertainty: float = 0.0
    ) -> None:
        self.widths = stripe_widths(grid.bins)
        self.thresholds = {
            span: [
                sum_threshold(grid, width, span, log_probability, floor_uncertainty) for width in self.widths
            ]
            for span in spans
        }
        self._widths = np.array(self.widths, np.int32)
        self._thresholds = {span: np.array(one, np.float64) for span, one in self.thresholds.items()}
        self.largest = 0.0
        """As of `Rectangles`."""

    def search(self, row: NDArray[np.float32], span: int) -> list[tuple[int, int, float]]:
        """Return first bin, width and excess, relative to the threshold's, of stripes over it.

        Args:
            row: sums of `span` frames of cells that were divided by the floor.
            span: as above.
        """
        native = kernels()
        if native is not None:
            return self._searched(native, row, span)
        found = []
        known = {1: row}
        for width, threshold in zip(self.widths, self.thresholds[span], strict=True):
            step = max(1, width // 4)
            if width > 1:
                half = known[2 if width == 3 else width // 2]
                number, every = (len(row) - width) // step + 1, step // max(1, width // 8)
                apart = width // 2 // max(1, width // 8) if width != 3 else 0
                other = row[2:] if width == 3 else half[apart:]
                known[width] = half[::every][:number] + other[::every][:number]
            sums = known[width]
            top, mean = float(sums.max()), float(width * span)
            limit = np.float32(threshold)
            if top <= limit:
                self.largest = max(self.largest, (top - mean) / (threshold - mean))
                continue
            for at in np.flatnonzero(sums > limit).tolist():
                found.append((at * step, width, (float(sums[at]) - mean) / (threshold - mean)))
        return found

    def _searched(self, native: Kernels, row: NDArray[np.float32], span: int) -> list[tuple[int, int, float]]:
        thresholds = self._thresholds[span]
        tops, places, sums = native.stripes(row, self._widths, thresholds)
        means = self._widths * float(span)
        ratios = (tops - means) / (thresholds - means)
        self.largest = max(
            self.largest, float(np.max(ratios[tops <= thresholds.astype(np.float32)], initial=0.0))
        )
        number = places[:, 0]
        excess = (sums - means[number]) / (thresholds[number] - means[number])
        return list(zip(places[:, 1].tolist(), self._widths[number].tolist(), excess.tolist(), strict=True))


def stripe_widths(bins: int) -> list[int]:
    """Return the widths of stripes: 1, 2, 3, 4, 6, 8, 12 ... up to half the band.

    >>> stripe_widths(16)
    [1, 2, 3, 4, 6, 8]
    """
    widths = {1 << k for k in range(bins.bit_length() - 1)} | {3 << k for k in range(bins.bit_length() - 3)}
    return sorted(width for width in widths if width <= bins // 2)


def stripes_per_row(bins: int) -> float:
    """Return how many stripes of a row are compared."""
    return sum(bins / max(1, width // 4) for width in stripe_widths(bins))


def paint_best(hits: Hits, mask: NDArray[np.bool_], most: int = 1500) -> None:
    """Set the cells of rectangles that overlap no rectangle that stands out much more.

    Args:
        hits: rectangles.
        mask: `[frames, bins]`.
        most: rectangles that are looked at; the strongest first.
    """
    excess, places = hits.excess, hits.places
    if len(excess) > most:
        strongest = np.argpartition(-excess, most)[:most]
        excess, places = excess[strongest], places[strongest]
    order = np.argsort(-excess, kind="stable")
    excess, places = excess[order], places[order]
    native = kernels()
    if native is not None:
        native.paint(places, excess, _ALIKE, mask)
        return
    tops = np.zeros(mask.shape, np.float32)
    for value, (j, i, t, f) in zip(excess, places.tolist(), strict=True):
        part = tops[t : t + (1 << j), f : f + (1 << i)]
        if part.max() * np.float32(_ALIKE) <= value:
            np.maximum(part, value, out=part)
    mask |= tops > 0
