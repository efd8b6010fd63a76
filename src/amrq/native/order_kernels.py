# SPDX-License-Identifier: GPL-3.0-or-later
"""The compiled kernels for quantiles and medians. What they compute, `amrq.measure.looks` says with NumPy."""

import ctypes
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amrq.native.pointers import address

__all__ = ["OrderKernels"]

_KEYS, _MOST_WIDE = 1 << 15, (1 << 16) - 1
"""Counters of values by their first bits, and what one of them counts to."""


class OrderKernels:
    """Functions of the library for the order of values.

    Args:
        library: the loaded library.
    """

    def __init__(self, library: ctypes.CDLL) -> None:
        pointer, number = ctypes.c_void_p, ctypes.c_int64
        # Not in a library that was built before.
        self.has_orders = hasattr(library, "amrq_orders")
        self.has_sliding_orders, self.most_wide = False, _MOST_WIDE
        if not self.has_orders:
            return
        self._ordered: dict[Any, Any] = {
            np.dtype(np.float64): library.amrq_orders,
            np.dtype(np.float32): library.amrq_orders_single,
        }
        for one in self._ordered.values():
            one.argtypes = [pointer, number, number, number, number, pointer, pointer]
            one.restype = None
        self.has_sliding_orders = hasattr(library, "amrq_sliding_orders")
        if self.has_sliding_orders:
            self._sliding_orders: Any = library.amrq_sliding_orders
            self._sliding_orders.argtypes = [pointer, *[number] * 4, *[pointer] * 5]
            self._sliding_orders.restype = None

    def ordered(self, rows: NDArray[Any], place: int) -> NDArray[Any]:
        """Return the value at a place of each row's order, and the next one, or the last one twice: [rows, 2].

        Args:
            rows: float64 or float32 [rows, n], finite; rows may overlap, as in a sliding window. It takes less time
                where rows that follow each other are alike.
            place: 0 to n - 1.

        >>> from amrq.native import kernels
        >>> native = kernels()
        >>> native is None or native.ordered(np.array([[3.0, 1.0, 2.0]]), 1).tolist() == [[2.0, 3.0]]
        True
        """
        function = self._ordered.get(rows.dtype)
        if function is None or rows.ndim != 2 or not 0 <= place < rows.shape[1]:
            raise ValueError(
                f"[rows, n > {place}] of floats are needed, not {rows.dtype} {list(rows.shape)}."
            )
        between, size = rows.strides[0], rows.itemsize
        as_is = rows.strides[1] == size and between % size == 0 and rows.flags.aligned
        held = rows if as_is else np.ascontiguousarray(rows)
        count = held.shape[1]
        found, room = np.empty((len(held), 2), held.dtype), np.empty(2 * count + 9, held.dtype)
        stride = held.strides[0] // size
        function(address(held), len(held), stride, count, place, address(room), address(found))
        return found

    def sliding_ordered(
        self, values: NDArray[np.float64], width: int, step: int, place: int
    ) -> NDArray[np.float64]:
        """Return what `ordered` does of windows over values, the first ones at 0, `step` and twice that: [rows, 2].

        Args:
            values: float64 [n], finite and not negative.
            width: values of a window, 1 to n and at most 65,535.
            step: values from one window to the next, at least 1.
            place: 0 to width - 1.

        >>> from amrq.native import kernels
        >>> native = kernels()
        >>> native is None or native.sliding_ordered(np.array([3.0, 1.0, 2.0, 5.0]), 3, 1, 1).tolist()
        [[2.0, 3.0], [2.0, 5.0]]
        """
        if values.dtype != np.float64 or values.ndim != 1 or not 1 <= width <= min(len(values), _MOST_WIDE):
            raise ValueError(f"float64 [n >= {width}] is needed, not {values.dtype} {list(values.shape)}.")
        if step < 1 or not 0 <= place < width:
            raise ValueError(
                f"a step of at least 1 and a place below {width} are needed, not {step}, {place}."
            )
        held = np.ascontiguousarray(values)
        found = np.empty(((len(held) - width) // step + 1, 2))
        counts, keys = np.zeros(_KEYS, np.uint16), np.empty(len(held), np.uint16)
        flags, room = np.zeros(width + 8, np.uint8), np.empty(3 * width + 9)
        self._sliding_orders(
            *(address(held), len(found), step, width, place),
            *(address(one) for one in (counts, keys, flags, room, found)),
        )
        return found
