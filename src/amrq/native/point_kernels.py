# SPDX-License-Identifier: GPL-3.0-or-later
"""The compiled kernels for the test of a constellation's points.

What they compute, `amrq.decision.point_fit` and `point_scores` say with NumPy.
"""

import ctypes
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["MOST_CHUNKS", "Averaging", "PointKernels", "PointScores"]

MOST_CHUNKS = 64
_SCORES, _WIDTHS = 16, 3
_Complex = NDArray[np.complex64]
_Float = NDArray[np.float32]


class Averaging(NamedTuple):
    """Averages over `count` chunks, float32 [3, count, count] each."""

    whole: _Float
    others: _Float  # without the chunk itself
    foretold: float  # share of sums' sizes along what others foretell, below which a phase jumps


class PointScores(NamedTuple):
    """What a table says of symbols that were turned upright by its points."""

    z: _Complex  # the symbols, turned
    expected: _Complex  # the point that each probably is
    mean: NDArray[np.float64]  # of the table's 16 derivatives and of the density's logarithm, [17]
    products: NDArray[np.float64]  # means of products of two derivatives, [16, 16]


class PointKernels:
    """Functions of the library for symbols and the points of a constellation.

    Args:
        library: the loaded library.
    """

    def __init__(self, library: ctypes.CDLL) -> None:
        pointer, number, real = ctypes.c_void_p, ctypes.c_int64, ctypes.c_double
        single = ctypes.c_float
        declared: dict[str, tuple[Any, list[Any]]] = {
            "powers": (real, [pointer, number, pointer, number, pointer]),
            "peaks": (None, [pointer, number, number, pointer, pointer]),
            "line": (real, [pointer, number, number, pointer, number, single, pointer]),
            "align": (real, [pointer, pointer, number, number, *[pointer] * 4]),
            "scores": (
                None,
                [*(pointer, number, number), *[pointer] * 3, number, number, *[pointer] * 6],
            ),
            "misfit": (number, [pointer, pointer, real, pointer, pointer, pointer]),
        }
        for name, (result, arguments) in declared.items():
            function = getattr(library, f"amrq_point_{name}")
            function.argtypes, function.restype = arguments, result
            setattr(self, f"_point_{name}", function)

    _point_powers: Any
    _point_peaks: Any
    _point_line: Any
    _point_align: Any
    _point_scores: Any
    _point_misfit: Any

    def point_powers(self, z: _Complex, orders: NDArray[np.int32]) -> tuple[_Complex, float]:
        """Return powers of symbols' phases, weighted by their squares up to 1.5, and the sum of the weights' squares.

        Args:
            z: symbols, of any shape.
            orders: at least 1, [k].

        Returns:
            complex64 [k, symbols].
        """
        held = np.ascontiguousarray(z, np.complex64)
        out = np.empty((len(orders), held.size), np.complex64)
        held_orders = np.ascontiguousarray(orders, np.int32)
        if held_orders.ndim != 1 or (len(held_orders) and held_orders.min() < 1):
            raise ValueError("orders of powers are numbers from 1 on.")
        energy = self._point_powers(
            held.ctypes.data, held.size, held_orders.ctypes.data, len(held_orders), out.ctypes.data
        )
        return out, float(energy)

    def point_peaks(self, rows: _Complex) -> tuple[_Float, NDArray[np.int64]]:
        """Return the largest power of each row, complex64 [rows, n], and where it is."""
        held = np.ascontiguousarray(rows, np.complex64)
        tops, places = np.empty(len(held), np.float32), np.empty(len(held), np.int64)
        self._point_peaks(held.ctypes.data, *held.shape, tops.ctypes.data, places.ctypes.data)
        return tops, places

    def point_line(self, z: _Complex, order: int, weights: _Complex, scale: float) -> tuple[_Complex, float]:
        """Return the power of symbols in which a class has a line, weighted by radius, and the weights' energy.

        Args:
            z: symbols, of any shape.
            order: of the power, at least 1.
            weights: by radius, [radii].
            scale: radii a unit.
        """
        held, weights = np.ascontiguousarray(z, np.complex64), np.ascontiguousarray(weights, np.complex64)
        if order < 1 or not len(weights):
            raise ValueError("a power from 1 on and weights are needed.")
        line = np.empty(held.shape, np.complex64)
        noise = self._point_line(
            held.ctypes.data, held.size, order, weights.ctypes.data, len(weights), scale, line.ctypes.data
        )
        return line, float(noise)

    def point_align(
        self, line: _Complex, z: _Complex, numbers: NDArray[np.float64], averaging: Averaging
    ) -> tuple[_Complex, float]:
        """Return chunks turned upright by a line of theirs, and the line's coherent sum.

        Args:
            line: [count, length], of up to 64 chunks.
            z: the symbols, likewise.
            numbers: [6]: the line's frequency in cycles a symbol, the sum of its power, its order, the coherent sum
                below which a line at 0 is tried, the step of a phase that is a jump, and power over noise from which a
                chunk shows its phase.
            averaging: of phases.
        """
        held, line = np.ascontiguousarray(z, np.complex64), np.ascontiguousarray(line, np.complex64)
        count, length = _chunks(held)
        if line.shape != held.shape or numbers.shape != (6,):
            raise ValueError(f"a line for {count} chunks of {length} symbols and six numbers are needed.")
        given = np.append(np.asarray(numbers, np.float64), averaging.foretold)
        _check(averaging, count)
        out = np.empty_like(held)
        coherent = self._point_align(
            line.ctypes.data,
            held.ctypes.data,
            count,
            length,
            given.ctypes.data,
            averaging.whole.ctypes.data,
            averaging.others.ctypes.data,
            out.ctypes.data,
        )
        return out, float(coherent)

    def point_scores(
        self,
        z: _Complex,
        table: tuple[_Float, _Float],
        place: tuple[float, float, int],
        averaging: Averaging,
        smooth: bool,
    ) -> PointScores:
        """Turn chunks upright by the points of a table, and read what it says of them.

        Args:
            z: symbols, [count, length], of up to 64 chunks.
            table: of `side` x `side` cells, expected points [cells, 2], and derivatives and density [cells, 17].
            place: reach of the table in each direction, cells a unit, and side.
            averaging: of phases.
            smooth: whether they are averaged.
        """
        held = np.ascontiguousarray(z, np.complex64)
        count, length = _chunks(held)
        _check(averaging, count)
        points, scores = table
        reach, per_unit, side = place
        for one, width in ((points, 2), (scores, _SCORES + 1)):
            if one.dtype != np.float32 or one.shape != (side * side, width) or not one.flags.c_contiguous:
                raise ValueError(f"tables of float32 for {side} x {side} cells are needed.")
        out, expected = np.empty_like(held), np.empty_like(held)
        mean, products = np.empty(_SCORES + 1), np.empty((_SCORES, _SCORES))
        numbers = np.array([reach, per_unit, averaging.foretold])
        self._point_scores(
            held.ctypes.data,
            count,
            length,
            points.ctypes.data,
            scores.ctypes.data,
            numbers.ctypes.data,
            side,
            smooth,
            averaging.whole.ctypes.data,
            averaging.others.ctypes.data,
            out.ctypes.data,
            expected.ctypes.data,
            mean.ctypes.data,
            products.ctypes.data,
        )
        return PointScores(out, expected, mean, products)

    def point_misfit(
        self,
        mean: NDArray[np.float64],
        information: NDArray[np.float64],
        symbols: int,
        left_out: NDArray[np.bool_],
        limits: NDArray[np.float64],
    ) -> tuple[float, int] | None:
        """Return the score test's statistic and its degrees of freedom; None where equations have no solution.

        Args:
            mean: of the derivatives, [16].
            information: their covariance, [16, 16].
            symbols: how many there are.
            left_out: [16], derivatives that are no sign of a misfit.
            limits: [2], share of a derivative's variance that must be left, and what is added to correlations of 1.
        """
        mean, information = (np.ascontiguousarray(one, np.float64) for one in (mean, information))
        flags, limits = np.ascontiguousarray(left_out, np.uint8), np.ascontiguousarray(limits, np.float64)
        shapes = (mean.shape, information.shape, flags.shape, limits.shape)
        if shapes != ((_SCORES,), (_SCORES, _SCORES), (_SCORES,), (2,)):
            raise ValueError(f"16 derivatives and their covariance are needed, not {shapes}.")
        statistic = ctypes.c_double()
        freedom = self._point_misfit(
            mean.ctypes.data,
            information.ctypes.data,
            symbols,
            flags.ctypes.data,
            limits.ctypes.data,
            ctypes.addressof(statistic),
        )
        return None if freedom < 0 else (statistic.value, int(freedom))


def _chunks(z: _Complex) -> tuple[int, int]:
    """Return the number and the length of chunks."""
    if z.ndim != 2 or not 0 < len(z) <= MOST_CHUNKS or not z.shape[1]:
        raise ValueError(f"1 to {MOST_CHUNKS} chunks of symbols are needed, not {z.shape}.")
    return len(z), z.shape[1]


def _check(averaging: Averaging, count: int) -> None:
    for one in averaging[:2]:
        if one.dtype != np.float32 or one.shape != (_WIDTHS, count, count) or not one.flags.c_contiguous:
            raise ValueError(f"averages over {count} chunks, float32 without gaps, are needed.")
