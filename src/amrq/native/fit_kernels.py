# SPDX-License-Identifier: GPL-3.0-or-later
"""The compiled kernel that fits a constellation to symbols: what `amrq.receive.equaliser` says with NumPy."""

import ctypes
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from amrq.native.pointers import address

__all__ = ["FitKernels", "FitRounds", "PointFit"]

_STRETCH, _MOST_POINTS, _MOST_PHASES = 64, 1024, 16
_Complex = NDArray[np.complex64]


class FitRounds(NamedTuple):
    """How a constellation is fitted.

    Attributes:
        symmetry: turns of a circle over this leave the points as they are.
        phases: tried in such a sector, 1 to 16.
        rounds: of fitting phase, level and noise to the decisions, at least 1.
        least_noise: power, above 0: more certainty decides nothing.
    """

    symmetry: int
    phases: int
    rounds: int
    least_noise: float


class PointFit(NamedTuple):
    """A constellation fitted to symbols.

    Attributes:
        log_likelihood: mean over the symbols, nats.
        noise: power of what the points do not explain.
        decisions: what the symbols most probably stand for, complex64 [n].
    """

    log_likelihood: float
    noise: float
    decisions: _Complex


class FitKernels:
    """Functions of the library for fits of constellations.

    Args:
        library: the loaded library.
    """

    def __init__(self, library: ctypes.CDLL) -> None:
        pointer, number = ctypes.c_void_p, ctypes.c_int64
        # Not in a library that was built before.
        self.has_fits = hasattr(library, "amrq_fit_points")
        if self.has_fits:
            self._fit_points = library.amrq_fit_points
            counts = [number] * 4
            self._fit_points.argtypes = [pointer, number, pointer, *counts, ctypes.c_double, pointer, pointer]
            self._fit_points.restype = None

    def fit_points(self, symbols: _Complex, points: _Complex, how: FitRounds) -> PointFit:
        """Fit a constellation to symbols of unit power, whose phase is steady within 64 of them.

        Args:
            symbols: complex64 [64 m], m at least 1.
            points: of the constellation, complex64 [n], n at most 1,024.
            how: it is fitted.

        Raises:
            ValueError: a number or a shape is not within its range.

        >>> from amrq.native import kernels
        >>> native = kernels()
        >>> how = FitRounds(symmetry=2, phases=8, rounds=3, least_noise=1e-3)
        >>> sent = np.tile(np.array([1, -1], np.complex64), 32)
        >>> fit = None if native is None else native.fit_points(sent, sent[:2], how)
        >>> fit is None or bool(np.abs(fit.decisions - sent).max() < 1e-5)
        True
        """
        if symbols.dtype != np.complex64 or symbols.ndim != 1 or not len(symbols) or len(symbols) % _STRETCH:
            raise ValueError(f"symbols must be complex64 [64 m], not {symbols.dtype} {list(symbols.shape)}.")
        if points.dtype != np.complex64 or points.ndim != 1 or not 1 <= len(points) <= _MOST_POINTS:
            raise ValueError(f"points must be complex64 [1 to {_MOST_POINTS}], not {points.dtype}.")
        if how.symmetry < 1 or not 1 <= how.phases <= _MOST_PHASES or how.rounds < 1 or how.least_noise <= 0:
            raise ValueError(f"{how} is not a way to fit points.")
        held, given = np.ascontiguousarray(symbols), np.ascontiguousarray(points)
        decisions, found = np.empty(len(held), np.complex64), np.empty(2)
        self._fit_points(
            *(address(held), len(held), address(given), len(given), how.symmetry, how.phases),
            *(how.rounds, how.least_noise, address(decisions), address(found)),
        )
        return PointFit(float(found[0]), float(found[1]), decisions)
