# SPDX-License-Identifier: GPL-3.0-or-later
"""The compiled kernels for the test of a constellation's points.

What they compute, `amrq.decision.point_fit` and `point_scores` say with NumPy.
"""

import ctypes
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from amrq.native.pointers import address

__all__ = [
    "LONGEST_CHUNK",
    "MOST_CHUNKS",
    "Averaging",
    "Fitted",
    "Lines",
    "PointAnswer",
    "PointAsked",
    "PointFound",
    "PointKernels",
    "PointKind",
    "PointLevel",
    "PointPlaces",
    "PointRules",
]

MOST_CHUNKS, LONGEST_CHUNK = 64, 4096
_SCORES, _WIDTHS = 16, 3
_LEVELS, _LOWEST = 21, -2
_LARGEST_PRIME = 61
_ROOM = 17
_NEVER_DB = 1e6
_Complex = NDArray[np.complex64]
_Float = NDArray[np.float32]
_POINTER, _NUMBER, _REAL = ctypes.c_void_p, ctypes.c_int64, ctypes.c_double


class Averaging(NamedTuple):
    """Averages over `count` chunks, float32 [3, count, count] each, symmetric."""

    whole: _Float
    others: _Float  # without the chunk itself
    foretold: float  # share of sums' sizes along what others foretell, below which a phase jumps


class PointLevel(NamedTuple):
    """A class at one level of noise: a table of `side` x `side` cells, and its line."""

    points: _Float  # expected points [cells, 2]
    scores: _Float  # derivatives and density [cells, 17]
    harmonic: _Complex  # what a symbol says of the phase, by radius [radii]
    information: NDArray[np.float64]  # [16, 16]
    reach: float  # in each direction
    per_unit: float  # cells a unit
    amplitude: float
    side: int


class PointRules(NamedTuple):
    """The constants of `amrq.decision.point_fit` and `point_scores`."""

    lost: float
    visible: float
    jump: float
    clear: float
    foretold: float
    apart: float
    per_radius: float
    radii: float
    turns: float
    largest_step: float
    most_gain: float
    least_kept: float
    ridge: float


class Fitted(NamedTuple):
    """What a fit found, as `amrq.decision.PointFit` has it."""

    es_n0_db: float
    es_n0_error_db: float
    misfit: float
    freedom: int
    log_likelihood: float  # NaN where noise was added


class Lines(NamedTuple):
    """Lines of symbols, as `amrq.decision.Aligned` has them."""

    strange: float
    own: float
    due: float


class PointFound(NamedTuple):
    """What was found at the noise level that fits."""

    es_n0_db: float
    es_n0_error_db: float
    log_likelihood: float  # NaN where noise was added
    level: int  # of the table, dB
    mean: NDArray[np.float64]  # of the table's 16 derivatives and of the density's logarithm, [17]
    products: NDArray[np.float64]  # means of products of two derivatives, [16, 16]


class _Level(ctypes.Structure):
    _fields_ = (
        *((name, _POINTER) for name in ("firsts", "scores", "harmonic", "information")),
        *((name, _REAL) for name in ("reach", "per_unit", "amplitude")),
        ("side", _NUMBER),
    )


class _Kind(ctypes.Structure):
    _fields_ = (
        *((name, _NUMBER) for name in ("symmetry", "on_a_line", "count")),
        ("orders", _POINTER),
        ("nearest", _REAL),
        ("levels", _Level * _LEVELS),
    )


_ARRAYS = "roots", "twists", "whole", "others", "turns", "steps", "eighths", "noise"


class _Places(ctypes.Structure):
    _fields_ = (
        *((name, _NUMBER) for name in ("count", "length", "rows", "columns")),
        *((name, _POINTER) for name in _ARRAYS),
    )


class _Rules(ctypes.Structure):
    _fields_ = tuple((name, _REAL) for name in PointRules._fields)


class _Asked(ctypes.Structure):
    _fields_ = (
        *((name, _POINTER) for name in ("z", "kind", "places", "rules", "out", "numbers", "last")),
        *((name, _REAL) for name in ("es_n0_db", "rough")),
    )


_NUMBERS = 10
"""Of what is found, before the derivatives."""
_LEVEL = 6
"""Place of the level among them."""


class PointKind:
    """A class as the kernels take it, with those of its tables that were needed so far.

    Args:
        symmetry: of the points, at least 1.
        on_a_line: whether all points lie on one line.
        nearest: smallest distance between two points.
        orders: of lines that the class does not have, at least 1.
        rules: constants.
    """

    def __init__(
        self, symmetry: int, on_a_line: bool, nearest: float, orders: Sequence[int], rules: PointRules
    ) -> None:
        if min((symmetry, *orders)) < 1:
            raise ValueError("orders of powers are numbers from 1 on.")
        self._orders = np.array(orders, np.int32)
        self._kept: dict[int, tuple[PointLevel, _Float]] = {}
        self._kind = _Kind(symmetry, on_a_line, len(orders), address(self._orders), nearest)
        self._rules, self._radii = _Rules(*rules), int(rules.radii)
        self.kind, self.rules = ctypes.addressof(self._kind), ctypes.addressof(self._rules)

    def add(self, level_db: int, level: PointLevel) -> None:
        """Keep what is needed at a level, -2 to 18 dB."""
        cells = level.side * level.side
        wanted = (
            (level.points, np.float32, (cells, 2)),
            (level.scores, np.float32, (cells, _SCORES + 1)),
            (level.harmonic, np.complex64, (self._radii,)),
            (level.information, np.float64, (_SCORES, _SCORES)),
        )
        for array, kind, shape in wanted:
            if array.dtype != kind or array.shape != shape or not array.flags.c_contiguous:
                raise ValueError(f"tables for {level.side} x {level.side} cells are needed, without gaps.")
        firsts = np.concatenate([level.points, level.scores[:, :2]], axis=1)
        number = level_db - _LOWEST
        if not 0 <= number < _LEVELS or not level.side:
            raise ValueError(f"there is no level of {level_db} dB.")
        self._kept[level_db] = level, firsts
        arrays = firsts, level.scores, level.harmonic, level.information
        sizes = level.reach, level.per_unit, level.amplitude, level.side
        self._kind.levels[number] = _Level(*(address(array) for array in arrays), *sizes)


class PointPlaces:
    """What depends on how many chunks there are, and how long.

    Args:
        count: of chunks, up to 64.
        length: symbols a chunk, up to 4096.
        averaging: of phases over chunks.
        noise: complex64 [count, length], that is added where there is little.

    Raises:
        ValueError: a size is out of its range, or an array is of another.
    """

    def __init__(self, count: int, length: int, averaging: Averaging, noise: _Complex) -> None:
        if not (0 < count <= MOST_CHUNKS and 0 < length <= LONGEST_CHUNK):
            raise ValueError(f"1 to {MOST_CHUNKS} chunks of symbols are needed, not {count} of {length}.")
        for one in averaging[:2]:
            if one.dtype != np.float32 or one.shape != (_WIDTHS, count, count) or not one.flags.c_contiguous:
                raise ValueError(f"averages over {count} chunks, float32 without gaps, are needed.")
        if noise.shape != (count, length):
            raise ValueError(f"noise for {count} chunks of {length} symbols is needed.")
        self.shape = count, length
        bins = 2 * count * length
        rows = max(n for n in range(1, math.isqrt(bins) + 1) if bins % n == 0)
        steps, turns = (np.exp(-2j * np.pi / n * np.arange(n)) for n in (bins, 8 * count))
        self._kept = (
            _apart(steps).astype(np.float32),
            _apart(steps[np.outer(np.arange(rows), np.arange(bins // rows))]).astype(np.float32),
            *(np.pad(one, ((0, 0), (0, 0), (0, -count % 8))) for one in averaging[:2]),
            _apart(turns),
            _apart(turns).astype(np.float32),
            _apart(turns[np.outer(np.arange(count), np.arange(8))]).astype(np.float32),
            _apart(noise).astype(np.float32),
        )
        self._places = _Places(count, length, rows, bins // rows, *(address(one) for one in self._kept))
        self.places = ctypes.addressof(self._places)

    @staticmethod
    def possible(count: int, length: int) -> bool:
        """Return whether the kernels take so many chunks of so many symbols: up to 64 of 4096, no large primes."""
        left, prime = length, 2
        while left > 1 and prime <= _LARGEST_PRIME:
            left, prime = (left // prime, prime) if left % prime == 0 else (left, prime + 1)
        return 0 < count <= MOST_CHUNKS and 0 < length <= LONGEST_CHUNK and left == 1


class PointAsked(NamedTuple):
    """A fit that is asked for.

    Attributes:
        chunks: complex64 [count, length], finite, without gaps.
        kind: the class.
        places: for as many chunks.
        es_n0_db: to begin with, dB, finite.
        rough_db: by how many dB the fit may be off that: if it is by more, it is made again from there.
        last: Es/N0 in dB at which the class fitted last, where the fit may begin; it is changed. None: it begins where
            it is told to.
    """

    chunks: _Complex
    kind: PointKind
    places: PointPlaces
    es_n0_db: float
    rough_db: float
    last: ctypes.c_double | None


class PointAnswer(NamedTuple):
    """A fit.

    Attributes:
        symbols: complex64 [3, count, length], of unit power: as received, without their carrier's phase, and as they
            were tested.
        fitted: what was found; the freedom is below 0 where equations have no solution.
        lines: of the symbols.
    """

    symbols: _Complex
    fitted: Fitted
    lines: Lines


class PointKernels:
    """Functions of the library for symbols and the points of a constellation.

    Args:
        library: the loaded library.
    """

    def __init__(self, library: ctypes.CDLL) -> None:
        integer = ctypes.c_int
        declared: dict[str, tuple[Any, list[Any]]] = {
            "fits": (_NUMBER, [_POINTER, _NUMBER, _REAL]),
            "level": (integer, [*[_POINTER] * 4, _REAL, integer, *[_POINTER] * 3]),
            "misfit": (_NUMBER, [_POINTER, _POINTER, _REAL, _POINTER, _POINTER, _POINTER]),
        }
        for name, (result, arguments) in declared.items():
            function = getattr(library, f"amrq_point_{name}")
            function.argtypes, function.restype = arguments, result
            setattr(self, f"_point_{name}", function)

    _point_fits: Any
    _point_level: Any
    _point_misfit: Any

    def point_fits(self, asked: Sequence[PointAsked], same_db: float) -> list[PointAnswer | int]:
        """Fit classes to chunks of decisions, in order.

        Args:
            asked: for each fit the chunks and the class.
            same_db: where `PointAsked.last` is nearer to the Es/N0 that is given than this, a fit begins there.

        Returns:
            the answers. The last one may be a level in dB, which the class of this fit lacks: neither it nor those
            after it were made then.

        Raises:
            ValueError: chunks are of another shape than their places.
            MemoryError: there is no room.
        """
        sizes = [one.chunks.size for one in asked]
        out = np.empty(3 * sum(sizes), np.complex64)
        numbers = np.zeros((len(asked), _NUMBERS))
        symbols, at, row = [], address(out), address(numbers)
        start = 0
        items = (_Asked * len(asked))()
        for number, one in enumerate(asked):
            chunks, places = one.chunks, one.places
            if chunks.shape != places.shape or chunks.dtype != np.complex64 or not chunks.flags.c_contiguous:
                raise ValueError(
                    f"chunks {places.shape} are needed, complex64 without gaps, not {chunks.shape}."
                )
            symbols.append(out[start : start + 3 * sizes[number]].reshape(3, *places.shape))
            items[number] = _Asked(
                *(address(chunks), one.kind.kind, places.places, one.kind.rules),
                *(at + 8 * start, row + 8 * _NUMBERS * number),
                None if one.last is None else ctypes.addressof(one.last),
                *(one.es_n0_db, min(one.rough_db, _NEVER_DB)),
            )
            start += 3 * sizes[number]
        done = self._point_fits(ctypes.addressof(items), len(asked), same_db)
        if done < 0:
            raise MemoryError("there is no room for symbols.")
        answers: list[PointAnswer | int] = []
        for held, row_of in zip(symbols, numbers[: done + 1].tolist(), strict=False):
            es_n0_db, error_db, likelihood, misfit, freedom, noisy, level, *lines = row_of
            if len(answers) == done:
                answers.append(int(level))
                break
            fitted = Fitted(es_n0_db, error_db, misfit, int(freedom), math.nan if noisy else likelihood)
            answers.append(PointAnswer(held, fitted, Lines(*lines)))
        return answers

    def point_level(
        self, z: _Complex, kind: PointKind, places: PointPlaces, es_n0_db: float, add_noise: bool
    ) -> tuple[_Complex, _Complex, PointFound] | int:
        """Find the noise level of symbols.

        Args:
            z: aligned symbols of unit power [count, length].
            kind: the class.
            places: for as many chunks.
            es_n0_db: to begin with, dB.
            add_noise: to symbols with less noise than the highest level.

        Returns:
            the symbols, turned, the point that each of them probably is, and what was found; or the level in dB that
            the class lacks.
        """
        turned = np.array(z, np.complex64, order="C")
        if turned.shape != places.shape:
            raise ValueError(f"chunks {places.shape} are needed, not {turned.shape}.")
        expected = np.empty_like(turned)
        room, found = np.empty(_ROOM * turned.size, np.float32), _room_for_found()
        state = self._point_level(
            address(turned),
            kind.kind,
            places.places,
            kind.rules,
            es_n0_db,
            add_noise,
            address(expected),
            address(room),
            address(found),
        )
        return int(found[_LEVEL]) if state else (turned, expected, _found(found))

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
            address(mean),
            address(information),
            symbols,
            address(flags),
            address(limits),
            ctypes.addressof(statistic),
        )
        return None if freedom < 0 else (statistic.value, int(freedom))


def _apart(values: NDArray[np.complexfloating[Any, Any]]) -> NDArray[np.floating[Any]]:
    """Return real parts and after them imaginary ones."""
    return np.stack([values.real, values.imag])


def _room_for_found() -> NDArray[np.float64]:
    return np.zeros(_NUMBERS + _SCORES + 1 + _SCORES**2)  # not every call fills all


def _found(fitted: NDArray[np.float64]) -> PointFound:
    es_n0_db, error_db, likelihood, _, _, noisy, level = fitted[: _LEVEL + 1].tolist()
    return PointFound(
        es_n0_db,
        error_db,
        math.nan if noisy else likelihood,
        int(level),
        fitted[_NUMBERS : _NUMBERS + _SCORES + 1],
        fitted[_NUMBERS + _SCORES + 1 :].reshape(_SCORES, _SCORES),
    )
