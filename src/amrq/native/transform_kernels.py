# SPDX-License-Identifier: GPL-3.0-or-later
"""The compiled discrete Fourier transforms. Which lengths they are of, and what SciPy does, `amrq.transforms` says."""

import ctypes
import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amrq.native.pointers import address

__all__ = ["TransformKernels", "TransformPlan"]

_RADICES = (2, 3, 4, 5, 7, 8, 11)
_LANES, _FINE = 8, 64
_APART = 256
"""Numbers of room that lie between its parts."""
_MOST_KEPT = 1 << 20
"""Numbers of room that is kept."""
_Complex = NDArray[np.complex64]


@dataclass(frozen=True)
class TransformPlan:
    """How a length is transformed.

    Attributes:
        length: of the transform.
        steps: int64 [n, 5]: radix, stride, columns, where the turns begin and the places.
        turns: float32, by which what comes of a step is turned.
        places: int32, where what comes of the columns of a step with a small stride goes.
    """

    length: int
    steps: NDArray[np.int64]
    turns: NDArray[np.float32]
    places: NDArray[np.int32]

    @cached_property
    def addresses(self) -> tuple[int, int, int, int]:
        """Where steps begin, how many there are, where turns and places begin: asked for once."""
        return (
            address(self.steps),
            len(self.steps),
            address(self.turns),
            address(self.places),
        )


class TransformKernels:
    """Functions of the library for transforms.

    Args:
        library: the loaded library.
    """

    def __init__(self, library: ctypes.CDLL) -> None:
        pointer, number = ctypes.c_void_p, ctypes.c_int64
        # Not in a library that was built before.
        self.has_transforms = hasattr(library, "amrq_transforms")
        self.has_inverses = False
        if not self.has_transforms:
            return
        self._transforms: Any = library.amrq_transforms
        self._transforms.argtypes = [
            *(pointer, number, number, number, ctypes.c_int32, ctypes.c_float),
            *(pointer, number, pointer, pointer, pointer, pointer),
        ]
        self._transforms.restype = None
        self._transform_plan: Any = library.amrq_transform_plan
        self._transform_plan.argtypes = [number, pointer, number, *[pointer] * 3]
        self._transform_plan.restype = None
        self._real_transforms: Any = library.amrq_real_transforms
        self._real_transforms.argtypes = [pointer, *[number] * 3, pointer, number, *[pointer] * 5]
        self._real_transforms.restype = None
        self.has_inverses = hasattr(library, "amrq_real_inverses")
        if self.has_inverses:
            self._real_inverses: Any = library.amrq_real_inverses
            self._real_inverses.argtypes = [pointer, *[number] * 2, pointer, number, *[pointer] * 5]
            self._real_inverses.restype = None
        # Kept from call to call, so that it stays in a core's cache; as many as there are threads at a time.
        self._transform_rooms: list[NDArray[np.float32]] = []

    def transform_plan(self, radices: list[int]) -> TransformPlan:
        """Return how a length is transformed.

        Args:
            radices: 2, 3, 4, 5, 7, 8 or 11, two at least, whose product the length is; it is at least 11 times 8.

        >>> from amrq.native import kernels
        >>> native = kernels()
        >>> native is None or native.transform_plan([8, 4, 4]).length == 128
        True
        """
        length = math.prod(radices)
        if len(radices) < 2 or not set(radices) <= set(_RADICES) or length < max(_RADICES) * _LANES:
            raise ValueError(f"radices of {_RADICES} are needed, and a length of 88 at least, not {radices}.")
        steps, stride, turned, placed = [], 1, 0, 0
        for radix in radices[:-1]:
            columns = length // (stride * radix)
            steps.append((radix, stride, columns, turned, placed))
            small = stride < _LANES
            turned += 2 * (radix - 1) * (length // radix if small else columns)
            placed += small * length // radix
            stride *= radix
        steps.append((radices[-1], stride, 1, 0, 0))
        plan = TransformPlan(
            length, np.array(steps, np.int64), np.empty(turned, np.float32), np.empty(placed, np.int32)
        )
        room = np.empty(4 * _FINE + 2 * length // _FINE + 2)
        starts, count, turns, places = plan.addresses
        self._transform_plan(length, starts, count, turns, places, address(room))
        return plan

    def transforms(self, rows: _Complex, plan: TransformPlan, inverse: bool = False) -> _Complex:
        """Return the transforms of rows, or the inverse ones, complex64 [rows, length].

        Args:
            rows: complex64 [rows, n]; zeros follow where n is less than the length, and what is more does not count.
            plan: of the length, as `amrq.transforms` makes it.
            inverse: divided by the length, as NumPy has it.
        """
        if rows.dtype != np.complex64 or rows.ndim != 2 or rows.shape[1] < 1:
            raise ValueError(f"complex64 [rows, n] is needed, not {rows.dtype} {list(rows.shape)}.")
        length = plan.length
        held = np.ascontiguousarray(rows[:, :length] if rows.shape[1] > length else rows)
        out, room = np.empty((len(held), length), np.complex64), self._transform_room(6 * length + _APART)
        self._transforms(
            *(address(held), *held.shape, length, inverse, 1 / length if inverse else 1.0),
            *(*plan.addresses, address(room), address(out)),
        )
        self._keep_room(room)
        return out

    def real_transforms(self, pairs: _Complex, plan: TransformPlan, turns: _Complex) -> _Complex:
        """Return the transforms of rows of real numbers, complex64 [rows, h + 1].

        Args:
            pairs: x[2 n] + i x[2 n + 1], complex64 [rows, n]; zeros follow where n is less than h.
            plan: of h, half the length.
            turns: exp(-i pi k / h), complex64 [h].
        """
        half = plan.length
        if pairs.dtype != np.complex64 or pairs.ndim != 2 or not 1 <= pairs.shape[1] <= half:
            raise ValueError(
                f"complex64 [rows, n <= {half}] is needed, not {pairs.dtype} {list(pairs.shape)}."
            )
        if turns.dtype != np.complex64 or turns.shape != (half,) or not turns.flags.c_contiguous:
            raise ValueError(f"{half} turns are needed, not {turns.dtype} {list(turns.shape)}.")
        held = np.ascontiguousarray(pairs)
        out, room = np.empty((len(held), half + 1), np.complex64), self._transform_room(8 * half + _APART)
        self._real_transforms(
            *(address(held), *held.shape, half, *plan.addresses),
            *(address(turns), address(room), address(out)),
        )
        self._keep_room(room)
        return out

    def real_inverses(self, spectra: _Complex, plan: TransformPlan, turns: _Complex) -> NDArray[np.float32]:
        """Return the rows of real numbers whose transforms are given, float32 [rows, 2 h].

        Args:
            spectra: complex64 [rows, h + 1].
            plan: of h.
            turns: exp(-i pi k / h), complex64 [h].
        """
        half = plan.length
        if spectra.dtype != np.complex64 or spectra.ndim != 2 or spectra.shape[1] != half + 1:
            raise ValueError(
                f"complex64 [rows, {half + 1}] is needed, not {spectra.dtype} {list(spectra.shape)}."
            )
        if turns.dtype != np.complex64 or turns.shape != (half,) or not turns.flags.c_contiguous:
            raise ValueError(f"{half} turns are needed, not {turns.dtype} {list(turns.shape)}.")
        held = np.ascontiguousarray(spectra)
        out, room = np.empty((len(held), 2 * half), np.float32), self._transform_room(8 * half + _APART)
        self._real_inverses(
            *(address(held), len(held), half, *plan.addresses),
            *(address(turns), address(room), address(out)),
        )
        self._keep_room(room)
        return out

    def _keep_room(self, room: NDArray[np.float32]) -> None:
        if len(room) <= _MOST_KEPT:
            self._transform_rooms.append(room)

    def _transform_room(self, needed: int) -> NDArray[np.float32]:
        """Return room for so many numbers, which nobody else uses meanwhile."""
        try:
            found = self._transform_rooms.pop()
        except IndexError:
            return np.empty(needed, np.float32)
        return found if len(found) >= needed else np.empty(needed, np.float32)
