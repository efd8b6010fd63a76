# SPDX-License-Identifier: GPL-3.0-or-later
"""The compiled kernels for measures of an emission.

What they compute, `amrq.measure.emission`, `amrq.measure.occupied` and `amrq.measure.band` say with NumPy.
"""

import ctypes

import numpy as np
from numpy.typing import NDArray

from amrq.native.pointers import address

__all__ = ["EmissionKernels"]

_Reals = NDArray[np.float64]


class EmissionKernels:
    """Functions of the library for measures of an emission.

    Args:
        library: the loaded library.
    """

    def __init__(self, library: ctypes.CDLL) -> None:
        pointer, number = ctypes.c_void_p, ctypes.c_int64
        # Not in a library that was built before.
        self.has_emissions = hasattr(library, "amrq_squares")
        if not self.has_emissions:
            return
        self._two_states = library.amrq_two_states
        self._two_states.argtypes = [pointer, number, ctypes.c_double, pointer, pointer]
        self._two_states.restype = None
        self._falling = library.amrq_falling
        self._falling.argtypes = [pointer, number, pointer, pointer]
        self._falling.restype = number
        self._windowed = library.amrq_windowed
        self._windowed.argtypes = [pointer, pointer, number, pointer, number, pointer]
        self._windowed.restype = None
        self._moved = library.amrq_moved
        self._moved.argtypes = [pointer, number, ctypes.c_double, pointer]
        self._moved.restype = None
        self._largest_squares = library.amrq_largest_squares
        self._largest_squares.argtypes = [pointer, number, number, pointer]
        self._largest_squares.restype = None
        self._squares = library.amrq_squares
        self._squares.argtypes = [pointer, number, pointer]
        self._squares.restype = None
        self._add_powers = library.amrq_add_powers
        self._add_powers.argtypes = [pointer, number, number, pointer]
        self._add_powers.restype = None

    def two_states(self, evidence: _Reals, price: float) -> NDArray[np.bool_]:
        """Return where something is on, bool [n]: the path of most evidence, less a price for each change.

        Args:
            evidence: log-likelihood ratios of on to off, float64 [n], finite.
            price: of a change, above 0.

        >>> from amrq.native import kernels
        >>> native = kernels()
        >>> on = None if native is None else native.two_states(np.array([-9.0, 1.0, -9.0, 30.0, -1.0, 9.0]), 5.0)
        >>> on is None or on.tolist() == [False, False, False, True, True, True]
        True
        """
        held = _row(evidence)
        on, room = np.empty(len(held), np.bool_), np.empty(2 * len(held))
        self._two_states(address(held), len(held), price, address(on), address(room))
        return on

    def falling(self, values: _Reals) -> tuple[_Reals, NDArray[np.int64]]:
        """Return the nearest values that never rise: those of runs float64 [m], and how long each is, int64 [m].

        Args:
            values: float64 [n], finite.
        """
        held = _row(values)
        means, counts = np.empty(len(held)), np.empty(len(held), np.int64)
        pools = self._falling(address(held), len(held), address(means), address(counts))
        return means[:pools], counts[:pools]

    def windowed(
        self, samples: NDArray[np.complex64], starts: NDArray[np.int64], window: NDArray[np.float32]
    ) -> NDArray[np.complex64]:
        """Return stretches of samples, each times a window, complex64 [rows, length].

        Args:
            samples: complex64 [n]; what is not finite counts as zero.
            starts: first samples of the stretches, int64 [rows].
            window: float32 [length].

        Raises:
            ValueError: a stretch does not lie within the samples.
        """
        if (
            samples.dtype != np.complex64
            or samples.ndim != 1
            or window.dtype != np.float32
            or window.ndim != 1
        ):
            raise ValueError(f"complex64 [n] and a window of float32 are needed, not {samples.dtype}.")
        held, places = np.ascontiguousarray(samples), np.ascontiguousarray(starts, np.int64)
        length = len(window)
        if len(places) and not (places.min() >= 0 and places.max() + length <= len(held)):
            raise ValueError(f"stretches of {length} must lie within the {len(held)} samples.")
        weights, out = np.ascontiguousarray(window), np.empty((len(places), length), np.complex64)
        self._windowed(
            *(address(held), address(places), len(places), address(weights), length),
            address(out),
        )
        return out

    def moved(self, samples: NDArray[np.complex64], cycles: float) -> NDArray[np.complex64]:
        """Return samples complex64 [n] moved in frequency, by cycles a sample."""
        if samples.dtype != np.complex64 or samples.ndim != 1:
            raise ValueError(f"complex64 [n] is needed, not {samples.dtype} {list(samples.shape)}.")
        held = np.ascontiguousarray(samples)
        out = np.empty(len(held), np.complex64)
        self._moved(address(held), len(held), float(cycles), address(out))
        return out

    def largest_squares(self, rows: NDArray[np.complex64]) -> NDArray[np.float32]:
        """Return the largest squared magnitude of each of complex64 [rows, length], length at least 1."""
        if rows.dtype != np.complex64 or rows.ndim != 2 or not rows.shape[1]:
            raise ValueError(f"complex64 [rows, length] is needed, not {rows.dtype} {list(rows.shape)}.")
        held, out = np.ascontiguousarray(rows), np.empty(len(rows), np.float32)
        self._largest_squares(address(held), *held.shape, address(out))
        return out

    def squares(self, values: NDArray[np.complex64]) -> NDArray[np.float32]:
        """Return squared magnitudes of complex64 of any shape, float32 of the same shape."""
        if values.dtype != np.complex64:
            raise ValueError(f"complex64 is needed, not {values.dtype}.")
        held = np.ascontiguousarray(values)
        out = np.empty(held.shape, np.float32)
        self._squares(address(held), held.size, address(out))
        return out

    def summed_powers(self, spectra: NDArray[np.complex64]) -> _Reals:
        """Return the sums of squared magnitudes over the rows of complex64 [rows, length]: float64 [length]."""
        if spectra.dtype != np.complex64 or spectra.ndim != 2:
            raise ValueError(f"complex64 [rows, length] is needed, not {spectra.dtype}.")
        held, sums = np.ascontiguousarray(spectra), np.zeros(spectra.shape[1])
        self._add_powers(address(held), *held.shape, address(sums))
        return sums


def _row(values: _Reals) -> _Reals:
    held = np.ascontiguousarray(values, np.float64)
    if held.ndim != 1:
        raise ValueError(f"one axis is needed, not {list(held.shape)}.")
    return held
