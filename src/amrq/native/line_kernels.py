# SPDX-License-Identifier: GPL-3.0-or-later
"""The compiled kernels for carrier recovery: the lines that powers of symbols show, step by step.

What they compute, `amrq.measure` says with NumPy: `carrier_lines` and `carrier_search`. A step is 32 symbols.
"""

import ctypes
import functools
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from amrq.native.pointers import address

__all__ = ["CHIRPS", "LineChirps", "LineGrid", "LineKernels"]

CHIRPS = 16
"""Drifts of `LineKernels.line_chirps` for each function."""

_STEP, _SEGMENT, _BINS, _BLOCKS = 32, 64, 128, 16
_FUNCTIONS = 6
_LONG = 32  # spectra in the long average
_RINGS = 129
_MOST_DRIFTS, _LONGEST, _LONGEST_CHIRP = 15, 1024, 256

_Complex = NDArray[np.complex64]
_Float = NDArray[np.float32]
_Flags = NDArray[np.bool_]


class _Grid(ctypes.Structure):
    """`struct grid` of carrier.c."""

    _fields_ = [
        ("window", ctypes.c_int64),
        ("drifts", ctypes.c_int64),
        ("rate_step", ctypes.c_double),
        ("drift_step", ctypes.c_double),
        ("clear", ctypes.c_double),
        ("clearer", ctypes.c_double),
        ("less_broad", ctypes.c_double),
        ("broad", ctypes.c_double),
        ("straighten", ctypes.c_void_p),
        ("roots", ctypes.c_void_p),
    ]


class LineGrid:
    """What windows are fitted with.

    Args:
        window: symbols, a multiple of 256, at most 1,024.
        straighten: complex64 [2 d + 1, 16], by what blocks are turned for each drift; d at most 15.
        steps: of the grid, cycles/symbol and cycles/symbol^2.
        broad: limits of a line's share in the energy: from where on its phase may be followed, the same for lines that
            stand out, and which part of it shows in the whole window, for those and for others, if it is not broad.
    """

    def __init__(
        self,
        window: int,
        straighten: _Complex,
        steps: tuple[float, float],
        broad: tuple[float, float, float, float],
    ) -> None:
        columns = len(straighten)
        if window % 256 or not 0 < window <= _LONGEST:
            raise ValueError(f"a window has 256, 512, 768 or {_LONGEST} symbols, not {window}.")
        if straighten.shape[1:] != (_BLOCKS,) or not columns % 2 or columns > 2 * _MOST_DRIFTS + 1:
            raise ValueError(
                f"turns must be [1 to {2 * _MOST_DRIFTS + 1}, {_BLOCKS}], not {straighten.shape}."
            )
        self.window, self.drifts = window, columns // 2
        self._given = (window, straighten, steps, broad)
        table = np.zeros((2, _BLOCKS, 2 * _MOST_DRIFTS + 2), np.float32)
        table[0, :, :columns], table[1, :, :columns] = straighten.T.real, straighten.T.imag
        self._kept = (table, roots(2 * _BLOCKS))
        self.pointer = ctypes.pointer(
            _Grid(window, self.drifts, *steps, *broad, *(address(one) for one in self._kept))
        )

    def __reduce__(self) -> tuple[Any, ...]:
        """Return how it is made again: a pointer means nothing elsewhere."""
        return LineGrid, self._given


class _Chirps(ctypes.Structure):
    """`struct chirps` of carrier.c."""

    _fields_ = [
        *((name, ctypes.c_int64) for name in ("length", "bins", "every", "fit")),
        ("least", ctypes.c_double),
        *(
            (name, ctypes.c_void_p)
            for name in ("table", "roots", "allowed", "frequencies", "drifts", "orders")
        ),
    ]


class LineChirps:
    """What chirps are searched with.

    Args:
        table: by what windows are dechirped, float32 [6, 2, length, 16], real and imaginary parts for each drift.
        allowed: [6, bins], where a line is looked for; bins a power of two up to 256, at least length.
        numbers: frequencies of bins, cycles/symbol, [bins]; drifts, cycles/symbol^2, [6, 16]; M of each, int64 [6].
        least: power over the floor that a line must have.
        steps: from one search to the next, where a line moves; and symbols of a fit that chirps are handed to.
    """

    def __init__(
        self,
        table: _Float,
        allowed: _Flags,
        numbers: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]],
        least: float,
        steps: tuple[int, int],
    ) -> None:
        length, bins = table.shape[2], allowed.shape[1]
        _check(table, np.float32, (_FUNCTIONS, 2, length, CHIRPS))
        _check(allowed, np.bool_, (_FUNCTIONS, bins))
        kinds = ((np.float64, (bins,)), (np.float64, (_FUNCTIONS, CHIRPS)), (np.int64, (_FUNCTIONS,)))
        for array, (kind, shape) in zip(numbers, kinds, strict=True):
            _check(array, kind, shape)
        if bins & (bins - 1) or not length <= bins <= _LONGEST_CHIRP or length % 8 or steps[0] < 1:
            raise ValueError(f"windows of {length} symbols cannot be transformed to {bins} bins.")
        self.length = length
        self._given = (table, allowed, numbers, least, steps)
        held = (table, roots(bins), allowed, *numbers)
        self.pointer = ctypes.pointer(_Chirps(length, bins, *steps, least, *(address(one) for one in held)))

    def __reduce__(self) -> tuple[Any, ...]:
        """Return how it is made again: a pointer means nothing elsewhere."""
        return LineChirps, self._given


class Averages(NamedTuple):
    """The strongest lines of a short and of a long average of spectra, each array [2, 6, steps] unless said."""

    bins: NDArray[np.int64]
    lines: _Float  # in units of the floor
    places: NDArray[np.float64]  # cycles/symbol
    binary: NDArray[
        np.float64
    ]  # [2, steps], bin and power of the first function's where no carrier is looked for


class LineKernels:
    """Functions of the library for lines.

    Args:
        library: the loaded library.
    """

    def __init__(self, library: ctypes.CDLL) -> None:
        pointer, number, real = ctypes.c_void_p, ctypes.c_int64, ctypes.c_double
        declared: dict[str, list[Any]] = {
            "turned": [pointer, number, pointer],
            "line_functions": [pointer, pointer, number, pointer, ctypes.c_float, pointer, number, number],
            "line_spectra": [pointer, number, number, number, pointer, pointer, pointer, number],
            "line_averages": [pointer, pointer, number, number, *[pointer] * 5],
            "line_fits": [pointer, number, number, number, *[pointer] * 4, real, real, pointer, pointer],
            "line_chirps": [pointer, number, number, number, pointer, number, *[pointer] * 4],
        }
        for name, arguments in declared.items():
            function = getattr(library, f"amrq_{name}")
            function.argtypes, function.restype = arguments, None
            setattr(self, f"_{name}", function)
        self._line_searches = library.amrq_line_searches
        self._line_searches.argtypes = [pointer, number, number, number, *[pointer] * 6]
        self._line_searches.restype = number

    _turned: Any
    _line_functions: Any
    _line_spectra: Any
    _line_averages: Any
    _line_fits: Any
    _line_chirps: Any
    _line_searches: Any

    def turned(self, cycles: NDArray[np.float64]) -> _Complex:
        """Return exp(-2j pi cycles), complex64 of the same shape; for finite cycles."""
        held = np.ascontiguousarray(cycles, np.float64)
        out = np.empty(held.shape, np.complex64)
        self._turned(address(held), held.size, address(out))
        return out

    def line_functions(
        self, symbols: _Complex, powers: _Float, rings: _Float, largest: float, shaped: _Complex
    ) -> None:
        """Write functions of whole steps to the end of each row.

        Args:
            symbols: finite ones, complex64 [32 n].
            powers: mean |z|^2 around each step, [n].
            rings: weights of two functions by amplitude, [2, 129].
            largest: amplitude over RMS beyond which none counts more.
            shaped: complex64 [6, at least 32 n].
        """
        _check(symbols, np.complex64, (len(powers) * _STEP,))
        _check(powers, np.float32, (len(powers),))
        _check(rings, np.float32, (2, _RINGS))
        stride = _rows(shaped)
        if stride < len(symbols):
            raise ValueError(f"{len(symbols)} symbols do not fit into {stride}.")
        begin = stride - len(symbols)
        self._line_functions(
            address(symbols),
            address(powers),
            len(powers),
            address(rings),
            largest,
            address(shaped),
            stride,
            begin,
        )

    def line_spectra(self, shaped: _Complex, steps: int, powers: _Float, energies: _Float) -> None:
        """Write the power spectra of the last steps, and the energies of what they are of, to the ends of arrays.

        Args:
            shaped: complex64 [6, at least 32 (steps + 1)].
            steps: as many are written.
            powers: [6, at least steps, 128].
            energies: [6, the same].
        """
        stride = _rows(shaped)
        _check(powers, np.float32, (_FUNCTIONS, energies.shape[1], _BINS))
        _check(energies, np.float32, (_FUNCTIONS, energies.shape[1]))
        if stride < (steps - 1) * _STEP + _SEGMENT or energies.shape[1] < steps:
            raise ValueError(
                f"{steps} steps need more than {stride} symbols and {energies.shape[1]} spectra."
            )
        self._line_spectra(
            address(shaped),
            stride,
            stride,
            steps,
            address(roots(_BINS)),
            address(powers),
            address(energies),
            energies.shape[1],
        )

    def line_averages(self, powers: _Float, energies: _Float, barred: _Flags) -> Averages:
        """Return the strongest lines of averages over 8 and 32 spectra.

        Args:
            powers: [6, 31 + steps, 128].
            energies: [6, 31 + steps].
            barred: [6, 128], bins in which no carrier is looked for.
        """
        rows = energies.shape[1]
        steps = rows - (_LONG - 1)
        _check(powers, np.float32, (_FUNCTIONS, rows, _BINS))
        _check(energies, np.float32, (_FUNCTIONS, rows))
        _check(barred, np.bool_, (_FUNCTIONS, _BINS))
        if steps < 0:
            raise ValueError(f"an average needs {_LONG} spectra, not {rows}.")
        shape = (2, _FUNCTIONS, steps)
        found = Averages(
            np.empty(shape, np.int64),
            np.empty(shape, np.float32),
            np.empty(shape),
            np.empty((2, steps)),
        )
        self._line_averages(
            address(powers),
            address(energies),
            rows,
            steps,
            address(barred),
            *(address(one) for one in found),
        )
        return found

    def line_fits(
        self,
        shaped: _Complex,
        orders: NDArray[np.int64],
        seen: _Flags,
        near: NDArray[np.float64],
        grid: LineGrid,
        limits: tuple[float, float],
    ) -> tuple[NDArray[np.float64], _Flags]:
        """Fit windows that end with each of the last steps, for the least order with a line.

        Args:
            shaped: complex64 [6, at least window + 32 (steps - 1)].
            orders: M of each function, rising, int64 [6].
            seen: where a line is looked for, bool [6, steps].
            near: its rate and drift nearly, float64 [2, 6, steps].
            grid: what is fitted.
            limits: qualities from which on other functions of the order are not tried, and other orders are not.

        Returns:
            rates, drifts and qualities, float64 [3, 6, steps], and where the line is broad, bool [6, steps].
        """
        stride, steps = _rows(shaped), seen.shape[1]
        _check(orders, np.int64, (_FUNCTIONS,))
        _check(seen, np.bool_, (_FUNCTIONS, steps))
        _check(near, np.float64, (2, _FUNCTIONS, steps))
        if steps and stride < grid.window + (steps - 1) * _STEP:
            raise ValueError(f"{steps} windows of {grid.window} symbols need more than {stride}.")
        found, broad = np.zeros((3, _FUNCTIONS, steps)), np.zeros((_FUNCTIONS, steps), np.bool_)
        self._line_fits(
            address(shaped),
            stride,
            stride,
            steps,
            address(orders),
            address(seen),
            address(near),
            grid.pointer,
            *limits,
            address(found),
            address(broad),
        )
        return found, broad

    def line_chirps(
        self, shaped: _Complex, first: int, table: _Float, allowed: _Flags
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], _Float]:
        """Return the highest power in the spectra of each function's window: its drift, its bin, and the power.

        Args:
            shaped: complex64 [6, at least first + length].
            first: first symbol of the window.
            table: by what it is dechirped, float32 [6, 2, length, 16], real and imaginary parts for each drift.
            allowed: [6, bins], where a line is looked for; bins a power of two up to 256, at least length.

        Returns:
            int64 [6], int64 [6], float32 [6].
        """
        stride, length, bins = _rows(shaped), table.shape[2], allowed.shape[1]
        _check(table, np.float32, (_FUNCTIONS, 2, length, CHIRPS))
        _check(allowed, np.bool_, (_FUNCTIONS, bins))
        if bins & (bins - 1) or not length <= bins <= _LONGEST_CHIRP or bins < 4:
            raise ValueError(f"a transform of {length} has a power of two of bins, not {bins}.")
        if not 0 <= first <= stride - length:
            raise ValueError(f"there is no window of {length} symbols at {first}.")
        peaks, tops = np.empty((2, _FUNCTIONS), np.int64), np.empty(_FUNCTIONS, np.float32)
        self._line_chirps(
            address(shaped),
            stride,
            first,
            length,
            address(table),
            bins,
            address(roots(bins)),
            address(allowed),
            address(peaks),
            address(tops),
        )
        return peaks[0], peaks[1], tops

    def line_searches(
        self,
        shaped: _Complex,
        first: int,
        settled: _Flags,
        lined: _Flags,
        chirps: LineChirps,
        last: NDArray[np.float64],
    ) -> tuple[NDArray[np.float64], _Flags] | None:
        """Search the windows that end with steps for chirps, where no line stands still.

        Args:
            shaped: complex64 [6, n], at the end of which the last step ends.
            first: number of the first step.
            settled: whether a fit shows a line in each, [steps].
            lined: whether an average shows one, [steps].
            chirps: what is searched for.
            last: what the last search found: frequencies, drifts and powers, [3, 6]; changed.

        Returns:
            rates and drifts of lines in the middle of a fit's window, [2, 6, steps], and where there is one, [6,
            steps]; None where there is none in any step.
        """
        stride, steps = _rows(shaped), len(settled)
        _check(settled, np.bool_, (steps,))
        _check(lined, np.bool_, (steps,))
        _check(last, np.float64, (3, _FUNCTIONS))
        if steps and stride < chirps.length + (steps - 1) * _STEP:
            raise ValueError(f"{steps} windows of {chirps.length} symbols need more than {stride}.")
        found = np.zeros((2, _FUNCTIONS, steps))
        seen = np.zeros((_FUNCTIONS, steps), np.bool_)
        any_seen = self._line_searches(
            *(address(shaped), stride, steps, first, address(settled), address(lined)),
            *(chirps.pointer, address(last), address(found), address(seen)),
        )
        return (found, seen) if any_seen else None


@functools.lru_cache(maxsize=8)
def roots(size: int) -> _Float:
    """Return exp(-2j pi k / size), real parts and after them imaginary ones, float32 [2 size]."""
    turns = np.exp(-2j * np.pi * np.arange(size) / size)
    return np.concatenate((turns.real, turns.imag)).astype(np.float32)


def _rows(shaped: _Complex) -> int:
    """Return the length of each of six rows."""
    if shaped.ndim != 2:
        raise ValueError(f"an array with two axes is needed, not {list(shaped.shape)}.")
    _check(shaped, np.complex64, (_FUNCTIONS, shaped.shape[1]))
    return int(shaped.shape[1])


def _check(array: NDArray[Any], kind: Any, shape: tuple[int, ...]) -> None:
    if array.dtype != kind or array.shape != shape or not array.flags.c_contiguous:
        raise ValueError(
            f"an array without gaps of {np.dtype(kind).name} {list(shape)} is needed, not {array.dtype} "
            f"{list(array.shape)}."
        )
