# SPDX-License-Identifier: GPL-3.0-or-later
"""The compiled kernels for single emissions: spectra and envelopes out of cells, and their edges.

They are called some thousand times a second, so arguments are checked once for each stretch of cells.
"""

import ctypes
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["CellKernels", "SegmentKernels"]

_MOST_LOBES = 256


class CellKernels:
    """The kernels for cells of one stretch.

    Args:
        kernels: of the library.
        values: `[rows, columns]`, float32 without gaps; they are kept.
    """

    def __init__(self, kernels: "SegmentKernels", values: NDArray[np.float32]) -> None:
        if values.dtype != np.float32 or values.ndim != 2 or not values.flags.c_contiguous:
            raise ValueError(f"cells must be float32 [rows, columns] without gaps, not {values.dtype}.")
        self._kernels, self._values = kernels, values
        self._cells = _address(values)
        self._rows, self._columns = values.shape

    def _part(self, rows: slice, left: int, right: int) -> tuple[int, int, int, int, int, int]:
        """Return what names a rectangle to the library, whose sides must lie inside."""
        first, last = rows.start, rows.stop
        if not (0 <= first <= last <= self._rows and 0 <= left <= right <= self._columns):
            raise ValueError(
                f"rows {first} to {last} and columns {left} to {right} are not inside "
                f"{[self._rows, self._columns]}."
            )
        return self._cells, self._columns, first, last, left, right

    def sums(self, rows: slice, left: int, right: int, over_rows: bool) -> NDArray[np.float64]:
        """Return the sums of a rectangle over its rows for each column, or over its columns for each row."""
        part = self._part(rows, left, right)
        out = np.empty(right - left if over_rows else rows.stop - rows.start)
        self._kernels._box_sums(*part, over_rows, _address(out))
        return out

    def cores(
        self, rows: slice, left: int, right: int, sigma: float, steady_cells: float, valley: float
    ) -> list[tuple[int, int]]:
        """Return the intervals of columns in which the mean of some rows, at least one, is significant.

        Args:
            rows: first and last (exclusive).
            left: first column.
            right: column after the last.
            sigma: standard deviation of the mean of a column in noise.
            steady_cells: independent cells that are averaged before valleys are looked for.
            valley: ratio of both sides' peaks to a valley that splits them.
        """
        part = self._part(rows, left, right)
        most = _MOST_LOBES
        while True:
            places = (ctypes.c_int32 * (2 * most))()
            count = _remembered(self._kernels._cores(*part, sigma, steady_cells, valley, places, most))
            if count <= most:
                edges = places[: 2 * count]
                return list(zip(edges[::2], edges[1::2], strict=True))
            most = count

    def when_on(
        self, rows: slice, left: int, right: int, length: int, error: float
    ) -> tuple[int, int, float, float, float] | None:
        """Return when the power in some columns is on; None where there is none.

        Args:
            rows: first and last (exclusive).
            left: first column.
            right: column after the last.
            length: rows of silence that end an emission.
            error: standard deviation of the mean of so many rows in noise.

        Returns:
            First and last (exclusive) row, relative to the first one; where half of the level is crossed, likewise,
            with fractions; the mean excess.
        """
        part = self._part(rows, left, right)
        when, edges = (ctypes.c_int64 * 2)(), (ctypes.c_double * 3)()
        if not _remembered(self._kernels._when_on(*part, length, error, when, edges)):
            return None
        return when[0], when[1], edges[0], edges[1], edges[2]

    def exceed(self, places: NDArray[np.int64], limits: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return whether the excess over some columns, in the row with most, is more than a limit.

        Args:
            places: `[count, 4]`, first and last (exclusive) row and column, inside.
            limits: `[count]`, below 0 where it is in any case.
        """
        places, limits = np.ascontiguousarray(places, np.int64), np.ascontiguousarray(limits, np.float64)
        if places.ndim != 2 or places.shape[1] != 4 or limits.shape != places.shape[:1]:
            raise ValueError(f"places must be [count, 4], with a limit for each, not {list(places.shape)}.")
        first, last, left, right = places.T
        inside = (first >= 0) & (first <= last) & (last <= self._rows) & (left >= 0) & (left <= right)
        if not np.all(inside & (right <= self._columns)):
            raise ValueError(f"places must be inside {[self._rows, self._columns]}.")
        over = np.empty(len(places), bool)
        self._kernels._exceed(
            *(self._cells, self._columns, _address(places), _address(limits), len(places), _address(over))
        )
        return over

    def mirrored(
        self, rows: slice, left: int, right: int, opposite: int, share: float
    ) -> tuple[float, float, float]:
        """Return the mean excess in some columns, that in as many up to `opposite`, and what that explains.

        Args:
            rows: first and last (exclusive).
            left: first column.
            right: column after the last.
            opposite: column after the one that is opposite to the first.
            share: of the power opposite to a column that explains power in it.
        """
        part = self._part(rows, left, right)
        self._part(rows, opposite - (right - left), opposite)
        sums = (ctypes.c_double * 3)()
        _remembered(self._kernels._mirrored(*part, opposite, share, sums))
        return sums[0], sums[1], sums[2]


class SegmentKernels:
    """Functions of the library for spectra and envelopes of emissions.

    Args:
        library: the loaded library.
    """

    Cells: TypeAlias = CellKernels

    def __init__(self, library: ctypes.CDLL) -> None:
        pointer, number, real, integer = ctypes.c_void_p, ctypes.c_int64, ctypes.c_double, ctypes.c_int
        part = (pointer, number, number, number, number, number)
        self._box_sums = _bound(library, "box_sums", None, *part, integer, pointer)
        self._cores = _bound(library, "cores", number, *part, real, real, real, pointer, number)
        self._when_on = _bound(library, "when_on", number, *part, number, real, pointer, pointer)
        self._exceed = _bound(library, "exceed", None, pointer, number, pointer, pointer, number, pointer)
        self._label = _bound(library, "label", number, pointer, number, number, pointer, pointer, pointer)
        self._mirrored = _bound(library, "mirrored", number, *part, number, real, pointer)
        self._occupied = _bound(library, "occupied", number, pointer, number, real, real, real, pointer)
        self._reach = _bound(library, "reach", number, pointer, number, number, real, real, real)

    def cells(self, values: NDArray[np.float32]) -> CellKernels:
        """Return the kernels for these cells `[rows, columns]`."""
        return CellKernels(self, values)

    def label(self, mask: NDArray[np.bool_]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Return the number of the connected part, from 1 on, that each cell of a mask is in, and where parts are.

        Args:
            mask: `[rows, columns]`; cells touch diagonally, too.

        Returns:
            Numbers `[rows, columns]`, 0 outside; first and last (exclusive) row and column of each part `[parts, 4]`.
        """
        held = np.ascontiguousarray(mask, np.bool_)
        if held.ndim != 2 or held.size >= 1 << 31:
            raise ValueError(f"a mask has two axes and less than 2^31 cells, not {list(held.shape)}.")
        rows, columns = held.shape
        most = (rows + 1) // 2 * ((columns + 1) // 2) + 1
        labels, joined, boxes = (
            np.empty(held.shape, np.int32),
            np.empty(most, np.int32),
            np.empty((most, 4), np.int32),
        )
        count = self._label(_address(held), rows, columns, *map(_address, (labels, joined, boxes)))
        return labels, boxes[:count].copy()

    def occupied(
        self, spectrum: NDArray[np.float64], share: float, sharp: tuple[float, float]
    ) -> tuple[float, float, float]:
        """Return lower and upper edge of a share of the power, in bins with fractions, and the power.

        Args:
            spectrum: excess over the noise of the bins, at least one.
            share: of the power.
            sharp: share of the width, and bins, that sharp edges have at most.
        """
        line = np.ascontiguousarray(spectrum, np.float64)
        if line.ndim != 1 or not len(line):
            raise ValueError("a spectrum of at least one bin is needed.")
        edges = (ctypes.c_double * 3)()
        _remembered(self._occupied(_address(line), len(line), share, *sharp, edges))
        return edges[0], edges[1], edges[2]

    def reach(
        self, excess: NDArray[np.float64], outward: int, sigma: float, doubt: float, small: float
    ) -> int:
        """Return how many bins outward still hold power.

        Args:
            excess: of these bins, float64 without gaps.
            outward: 1 where the last one is the farthest, -1 where the first one is.
            sigma: standard deviation of a bin in noise.
            doubt: by which each may be wrong, all alike.
            small: error of the sum that does not matter.
        """
        if excess.dtype != np.float64 or excess.ndim != 1 or excess.strides != (8,):
            raise ValueError("bins must be float64 without gaps.")
        first = _address(excess) + (0 if outward > 0 else 8 * (len(excess) - 1))
        return int(self._reach(first, outward, len(excess), sigma, doubt, small))


def _bound(library: ctypes.CDLL, name: str, result: Any, *arguments: Any) -> Any:
    function = library[f"amrq_{name}"]
    function.argtypes, function.restype = arguments, result
    return function


def _address(array: NDArray[Any]) -> int:
    address: int = array.__array_interface__["data"][0]
    return address


def _remembered(result: int) -> int:
    """Return a result; -1 is no memory."""
    if result < 0:
        raise MemoryError("no memory for a spectrum.")
    return result
