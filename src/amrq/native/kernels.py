# SPDX-License-Identifier: GPL-3.0-or-later
"""The compiled kernels: a small C library that is built by CMake where the module is installed, loaded by ctypes.

Whoever has a hot loop keeps its NumPy form beside the call, uses that where `kernels()` returns None, and has a test
that holds one against the other. Nothing is compiled when this is imported or used. `AMRQ_NATIVE=0` in the environment
leaves the library alone.

A wheel has no library: it holds for every machine. There detection and reception take more processor time.
"""

import ctypes
import functools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amrq.native.block_kernels import BlockKernels
from amrq.native.channel_kernels import ChannelKernels
from amrq.native.chunk_kernels import ChunkKernels
from amrq.native.clock_kernels import ClockKernels
from amrq.native.decision_kernels import DecisionKernels
from amrq.native.emission_kernels import EmissionKernels
from amrq.native.family_kernels import FamilyKernels
from amrq.native.fit_kernels import FitKernels
from amrq.native.level_kernels import LevelKernels
from amrq.native.line_kernels import LineKernels
from amrq.native.network_kernels import NetworkKernels
from amrq.native.order_kernels import OrderKernels
from amrq.native.point_kernels import PointKernels
from amrq.native.pointers import address
from amrq.native.pulse_kernels import PulseKernels
from amrq.native.receive_kernels import ReceiveKernels
from amrq.native.segment_kernels import SegmentKernels
from amrq.native.spectrum_kernels import SpectrumKernels
from amrq.native.transform_kernels import TransformKernels

__all__ = ["MOST_ROWS", "NEVER", "Kernels", "kernels", "missing"]

_VERSION = 14
_NAME = "libamrq_kernels.so"
_OFF = "AMRQ_NATIVE"
_MOST_HITS = 1 << 16
_MOST_STRIPES = 1 << 12
_WIDTHS = np.sort([1, *(2 << k for k in range(29)), *(3 << k for k in range(29))])
NEVER = np.finfo(np.float32).max
"""Threshold that no sum exceeds."""
MOST_ROWS = 64
"""Of `Kernels.lower_means`."""

_Float32 = NDArray[np.float32]


def _taken(kept: list[_Float32], needed: int) -> _Float32:
    """Take an array out of those that are kept, one for each thread that asks at a time; a new one where none fits."""
    try:
        found = kept.pop()
    except IndexError:
        return np.zeros(needed, np.float32)
    return found if len(found) >= needed else np.zeros(needed, np.float32)


class Kernels(
    BlockKernels,
    ChannelKernels,
    ChunkKernels,
    ClockKernels,
    DecisionKernels,
    EmissionKernels,
    FamilyKernels,
    FitKernels,
    LevelKernels,
    LineKernels,
    OrderKernels,
    PointKernels,
    PulseKernels,
    ReceiveKernels,
    SegmentKernels,
    SpectrumKernels,
    TransformKernels,
    NetworkKernels,
):
    """Functions of the library, with their arguments checked: a wrong shape must not become a crash.

    Args:
        library: the loaded library.
    """

    def __init__(self, library: ctypes.CDLL) -> None:
        BlockKernels.__init__(self, library)
        ChannelKernels.__init__(self, library)
        ChunkKernels.__init__(self, library)
        ClockKernels.__init__(self, library)
        DecisionKernels.__init__(self, library)
        EmissionKernels.__init__(self, library)
        FamilyKernels.__init__(self, library)
        FitKernels.__init__(self, library)
        LevelKernels.__init__(self, library)
        LineKernels.__init__(self, library)
        OrderKernels.__init__(self, library)
        PointKernels.__init__(self, library)
        PulseKernels.__init__(self, library)
        ReceiveKernels.__init__(self, library)
        SegmentKernels.__init__(self, library)
        SpectrumKernels.__init__(self, library)
        TransformKernels.__init__(self, library)
        NetworkKernels.__init__(self, library)
        pointer, number, integer = ctypes.c_void_p, ctypes.c_int64, ctypes.c_int
        self._rectangles = library.amrq_rectangles
        self._rectangles.argtypes = [
            *(pointer, number, number, integer, integer),
            *(pointer, pointer, pointer, pointer, pointer, pointer, pointer, number),
        ]
        self._rectangles.restype = number
        self._paint = library.amrq_paint
        self._paint.argtypes = [
            *(pointer, pointer, number, ctypes.c_float),
            *(pointer, pointer, number, number, pointer),
        ]
        self._paint.restype = None
        self._paint_lasting = library.amrq_paint_lasting
        self._paint_lasting.argtypes = [
            *(pointer, number, pointer, pointer, number),
            *(ctypes.c_double, ctypes.c_double, pointer, pointer, number),
        ]
        self._paint_lasting.restype = None
        self._whiten = library.amrq_whiten
        self._whiten.argtypes = [
            *(pointer, number, number, pointer, pointer, pointer),
            *(pointer, integer, pointer),
        ]
        self._whiten.restype = None
        self._local_mean = library.amrq_local_mean
        self._local_mean.argtypes = [pointer, pointer, number, number, number, pointer, pointer, pointer]
        self._local_mean.restype = None
        self._lower_means = library.amrq_lower_means
        self._lower_means.argtypes = [pointer, number, number, pointer]
        self._lower_means.restype = None
        self._stripes = library.amrq_stripes
        self._stripes.argtypes = [
            *(pointer, number, pointer, pointer, number),
            *(pointer, pointer, pointer, pointer, number),
        ]
        self._stripes.restype = number
        self._capped_means = library.amrq_capped_means
        self._capped_means.argtypes = [pointer, number, number, number, ctypes.c_float, pointer]
        self._capped_means.restype = None
        self._folds = library.amrq_folds
        self._folds.argtypes = [
            *(pointer, pointer, number, pointer, pointer, pointer, number),
            *(pointer, number, number, ctypes.c_float, pointer, pointer),
        ]
        self._folds.restype = None
        self._repetitions = library.amrq_repetitions
        self._repetitions.argtypes = [*[pointer] * 2, number, *[pointer] * 2, number, *[pointer] * 2]
        self._repetitions.restype = None
        # The library runs without Python's lock. What is kept for a thread by `threading.local` would be freed with the
        # thread's Python state, and an array that is freed then ends the process in blocks' threads (Python 3.13).
        self._rooms: list[_Float32] = []
        self._tops: list[_Float32] = []

    def rectangles(
        self, cells: _Float32, thresholds: _Float32, mask: NDArray[np.bool_] | None = None
    ) -> tuple[_Float32, NDArray[np.int32], _Float32]:
        """Compare the sums of rectangles of 2^j rows and 2^i columns, half their sides apart, with thresholds.

        Args:
            cells: `[rows, columns]`.
            thresholds: `[times, widths]`, for each j and i; `NEVER` where nothing is compared.
            mask: `[rows, columns]`; cells of rectangles over their thresholds are set in it, and no hits are returned.

        Returns:
            The largest sum of each size `[times, widths]`, -NEVER where there is none; of each hit j, i, first row and
            first column `[hits, 4]`; its sum `[hits]`.
        """
        _check(cells, np.float32, 2)
        _check(thresholds, np.float32, 2)
        if mask is not None:
            _check(mask, np.bool_, 2, cells.shape)
        rows, columns = cells.shape
        room = _taken(self._rooms, (4 * len(thresholds) + 2) * columns)
        widest = np.array([_last(row < NEVER) for row in thresholds], np.int32)
        tops = np.empty_like(thresholds)
        most = 0 if mask is not None else _MOST_HITS
        while True:
            places, sums = np.empty((most, 4), np.int32), np.empty(most, np.float32)
            count = self._rectangles(
                address(cells),
                rows,
                columns,
                *thresholds.shape,
                address(thresholds),
                address(widest),
                address(room),
                address(tops),
                None if mask is None else address(mask),
                address(places),
                address(sums),
                most,
            )
            if mask is not None or count <= most:
                self._rooms.append(room)
                return tops, places[: min(count, most)], sums[: min(count, most)]
            most = count

    def paint(
        self, places: NDArray[np.int32], values: _Float32, alike: float, mask: NDArray[np.bool_]
    ) -> None:
        """Set the cells of rectangles that overlap none that stands out much more.

        Args:
            places: as `rectangles` returns them, the strongest first.
            values: `[count]`, how much each stands out, above 0.
            alike: share of what it overlaps at which a rectangle still counts.
            mask: `[rows, columns]`.
        """
        _check(places, np.int32, 2, (len(values), 4))
        _check(values, np.float32, 1)
        _check(mask, np.bool_, 2)
        inside = len(places) == 0 or (
            places.min() >= 0 and bool(np.all(places[:, 2:].max(axis=0) < mask.shape))
        )
        if not inside:
            raise ValueError("a rectangle begins outside.")
        tops = _taken(self._tops, mask.size)
        painted = np.empty(len(values), np.uint8)
        self._paint(
            address(places),
            address(values),
            len(values),
            alike,
            address(painted),
            address(tops),
            *mask.shape,
            address(mask),
        )
        self._tops.append(tops)

    def paint_lasting(
        self,
        rows: _Float32,
        stripes: NDArray[np.int32],
        excess: NDArray[np.float64],
        shares: tuple[float, float],
        used: NDArray[np.bool_],
    ) -> _Float32:
        """Return the largest excess of the stripes of rows that last and overlap none that stands out much more.

        Args:
            rows: `[rows, columns]`.
            stripes: `[count, 4]`: first row, number of rows, at most 64, first column, width.
            excess: `[count]`, by which each stands out, above 0.
            shares: of what it overlaps at which a stripe counts, and of its mean that its middle row must have.
            used: `[columns]`, those in stripes.

        Returns:
            `[rows, columns that are used]`, 0 where nothing lasts.
        """
        _check(rows, np.float32, 2)
        _check(stripes, np.int32, 2, (len(excess), 4))
        _check(excess, np.float64, 1)
        _check(used, np.bool_, 1, rows.shape[1:])
        places = np.cumsum(used) - 1
        tops = np.zeros((len(rows), int(places[-1]) + 1), np.float32)
        for first, count, most in ((0, 1, len(rows)), (2, 3, rows.shape[1])):
            begin, number = stripes[:, first], stripes[:, count]
            if len(stripes) and (begin.min() < 0 or number.min() < 1 or np.max(begin + number) > most):
                raise ValueError("a stripe lies outside.")
        if len(stripes) and stripes[:, 1].max() > MOST_ROWS:
            raise ValueError(f"a stripe has at most {MOST_ROWS} rows.")
        ends = np.concatenate([stripes[:, 2], stripes[:, 2] + stripes[:, 3] - 1])
        if not np.all(used[ends]) or np.any(
            np.diff(places[ends].reshape(2, -1), axis=0)[0] != stripes[:, 3] - 1
        ):
            raise ValueError("columns of stripes must be used.")
        self._paint_lasting(
            address(rows),
            rows.shape[1],
            address(stripes),
            address(excess),
            len(excess),
            *shares,
            address(places),
            address(tops),
            tops.shape[1],
        )
        return tops

    def whiten(
        self,
        frames: _Float32,
        inverse: _Float32,
        gains: _Float32 | None,
        left_out: NDArray[np.bool_],
        cells: _Float32,
        sums: _Float32,
    ) -> None:
        """Write cells divided by the noise floor, and their sums over tiles of two rows.

        Args:
            frames: `[rows, columns]`.
            inverse: `[columns]`, of the floor.
            gains: `[rows]`, by which cells are divided, too.
            left_out: `[rows]`, those that count as noise, of 1.
            cells: `[rows, columns]`; the first two and the last column are 1.
            sums: `[rows // 2, columns]`, or half as many columns: tiles of two columns.
        """
        _check(frames, np.float32, 2)
        rows, columns = frames.shape
        _check(cells, np.float32, 2, frames.shape)
        _check(inverse, np.float32, 1, (columns,))
        _check(left_out, np.bool_, 1, (rows,))
        if gains is not None:
            _check(gains, np.float32, 1, (rows,))
        wide = sums.shape[1:] == (columns // 2,)
        _check(sums, np.float32, 2, (rows // 2, columns // 2 if wide else columns))
        if columns < 4:
            raise ValueError(f"there must be 4 columns at least, not {columns}.")
        self._whiten(
            address(frames),
            rows,
            columns,
            address(inverse),
            None if gains is None else address(gains),
            address(left_out),
            address(cells),
            wide,
            address(sums),
        )

    def local_mean(
        self,
        values: NDArray[np.float64],
        free: NDArray[np.bool_],
        width: int,
        fewest: int,
        otherwise: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """Return the line through the free values within a window, at its middle, averaged again.

        Args:
            values: `[bins]`.
            free: `[bins]`, those that count.
            width: of the window, in bins; it grows where few are free.
            fewest: free values that are enough.
            otherwise: `[bins]`, what is expected.
        """
        _check(values, np.float64, 1)
        _check(free, np.bool_, 1, values.shape)
        _check(otherwise, np.float64, 1, values.shape)
        bins = len(values)
        room, out = np.empty(7 * bins + 8), np.empty(bins)
        self._local_mean(
            address(values),
            address(free),
            bins,
            width,
            fewest,
            address(otherwise),
            address(room),
            address(out),
        )
        return out

    def stripes(
        self, row: _Float32, widths: NDArray[np.int32], thresholds: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.int32], NDArray[np.float64]]:
        """Compare the sums of a row over stripes of some widths, a quarter of their width apart, with thresholds.

        Args:
            row: `[columns]`.
            widths: `[count]`, 1, 2, 3, 4, 6, 8, 12 ... without a gap, each at most the number of columns.
            thresholds: `[count]`.

        Returns:
            The largest sum of each width `[count]`; of each hit the width's number and the first column `[hits, 2]`;
            its sum `[hits]`.
        """
        _check(row, np.float32, 1)
        _check(widths, np.int32, 1)
        _check(thresholds, np.float64, 1, widths.shape)
        if not np.array_equal(widths, _WIDTHS[: len(widths)]) or (len(widths) and widths[-1] > len(row)):
            raise ValueError(f"widths must be 1, 2, 3, 4, 6, 8 and so on, up to {len(row)}.")
        running, tops, most = np.empty(4 * len(row), np.float32), np.empty(len(widths)), _MOST_STRIPES
        while True:
            places, sums = np.empty((most, 2), np.int32), np.empty(most)
            count = self._stripes(
                address(row),
                len(row),
                address(widths),
                address(thresholds),
                len(widths),
                address(running),
                address(tops),
                address(places),
                address(sums),
                most,
            )
            if count <= most:
                return tops, places[:count], sums[:count]
            most = count

    def capped_means(self, values: _Float32, wide: int, cap: float) -> _Float32:
        """Return the means of `wide` columns of each row, in which no value counts for more than `cap`."""
        _check(values, np.float32, 2)
        rows, columns = values.shape
        if wide < 1 or columns % wide:
            raise ValueError(f"{columns} columns are no multiple of {wide}.")
        out = np.empty((rows, columns // wide), np.float32)
        self._capped_means(address(values), rows, columns, wide, cap, address(out))
        return out

    def lower_means(self, values: _Float32) -> _Float32:
        """Return the mean of the lower half of each column of `[count, columns]`, count at most 64."""
        _check(values, np.float32, 2)
        if not 0 < len(values) <= MOST_ROWS:
            raise ValueError(f"there must be 1 to {MOST_ROWS} rows, not {len(values)}.")
        out = np.empty(values.shape[1], np.float32)
        self._lower_means(address(values), *values.shape, address(out))
        return out

    def folds(
        self,
        iq: NDArray[np.complex64],
        lags: NDArray[np.int64],
        lengths: NDArray[np.int64],
        steps: NDArray[np.int64],
        ratios: NDArray[np.float64],
        rows: int,
        spread: float,
    ) -> NDArray[np.float32]:
        """Do what `amrq.measure.prefix_search.folded_products` says.

        Raises:
            ValueError: a lag, a length, a step, a ratio or `rows` is not within its range.
        """
        if iq.dtype != np.complex64 or iq.ndim != 1 or not len(lags) == len(lengths) == len(steps):
            raise ValueError(
                f"complex64 [n] and as many lags as lengths and steps are needed, not {iq.dtype}."
            )
        if len(lags) and (
            lags.min() < 1 or lengths.min() < 1 or steps.min() < 1 or (lags + lengths).max() > len(iq)
        ):
            raise ValueError(f"lags, lengths and steps must be at least 1, and within {len(iq)} samples.")
        if rows < 1 or not np.all((ratios > 0) & (ratios < 1)):
            raise ValueError("ratios must lie between 0 and 1, and rows be at least 1.")
        real, imaginary = np.ascontiguousarray(iq.real), np.ascontiguousarray(iq.imag)
        whole = [np.ascontiguousarray(values, np.int32) for values in (lags, lengths, steps)]
        parts = np.ascontiguousarray(ratios, np.float64)
        room = np.empty(12 * len(iq) + 64, np.float32)
        out = np.empty((len(lags), len(parts)), np.float32)
        self._folds(
            address(real),
            address(imaginary),
            len(iq),
            *(address(values) for values in whole),
            len(lags),
            address(parts),
            len(parts),
            rows,
            spread,
            address(room),
            address(out),
        )
        return out

    def repetitions(
        self, iq: NDArray[np.complex64], lags: NDArray[np.int64], steps: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Do what `amrq.measure.spreading.repetitions` says.

        Raises:
            ValueError: a lag or a step is not within its range.
        """
        if iq.dtype != np.complex64 or iq.ndim != 1 or len(lags) != len(steps):
            raise ValueError(f"complex64 [n] and as many lags as steps are needed, not {iq.dtype}.")
        if len(lags) and (lags.min() < 1 or steps.min() < 1 or (lags + steps).max() > len(iq)):
            raise ValueError(f"lags and steps must be at least 1, and within {len(iq)} samples.")
        real, imaginary = np.ascontiguousarray(iq.real), np.ascontiguousarray(iq.imag)
        whole = [np.ascontiguousarray(values, np.int32) for values in (lags, steps)]
        room, out = np.empty(2 * len(iq), np.float32), np.empty(len(lags), np.float32)
        self._repetitions(
            address(real),
            address(imaginary),
            len(iq),
            *(address(values) for values in whole),
            len(lags),
            address(room),
            address(out),
        )
        return out


def _check(array: NDArray[Any], kind: Any, dimensions: int, shape: Sequence[int] | None = None) -> None:
    if array.dtype != kind or array.ndim != dimensions or not array.flags.c_contiguous:
        raise ValueError(
            f"an array without gaps of {np.dtype(kind).name} with {dimensions} axes is needed, not {array.dtype} "
            f"{list(array.shape)}."
        )
    if shape is not None and tuple(array.shape) != tuple(shape):
        raise ValueError(f"the shape must be {list(shape)}, not {list(array.shape)}.")


def _last(flags: NDArray[np.bool_]) -> int:
    """Return the index of the last one that is set, -1 for none."""
    places = np.flatnonzero(flags)
    return int(places[-1]) if len(places) else -1


@functools.lru_cache(maxsize=1)
def kernels() -> Kernels | None:
    """Return the kernels; None where they were not built, do not load, or are switched off."""
    if os.environ.get(_OFF, "1") == "0":
        return None
    here = Path(__file__).resolve()
    # Beside this file where it is installed; in the source tree, where make builds.
    for folder in (here.parent, here.parents[3] / ".build" / "src"):
        try:
            library = ctypes.CDLL(str(folder / _NAME))
            if library.amrq_native_version() == _VERSION:
                return Kernels(library)
        except (OSError, AttributeError):  # not there, of another machine, or something else by that name
            continue
    return None


def missing() -> str | None:
    """Return a sentence for users where the kernels are not there; None where they are.

    >>> missing() is None or missing().endswith(".")
    True
    """
    if kernels() is not None:
        return None
    why = "which make and CMake build"
    if os.environ.get(_OFF, "1") == "0":
        why = f"since {_OFF} is 0"
    return (
        f"Detection and reception run without their compiled kernels, {why}: they take more processor time."
    )
