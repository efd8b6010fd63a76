# SPDX-License-Identifier: GPL-3.0-or-later
"""The compiled kernels for quantiles and medians. What they compute, `amrq.measure.looks` says with NumPy."""

import ctypes
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amrq.native.pointers import address

__all__ = ["OrderKernels"]


class OrderKernels:
    """Functions of the library for the order of values.

    Args:
        library: the loaded library.
    """

    def __init__(self, library: ctypes.CDLL) -> None:
        pointer, number = ctypes.c_void_p, ctypes.c_int64
        # Not in a library that was built before.
        self.has_orders = hasattr(library, "amrq_orders")
        if not self.has_orders:
            return
        self._ordered: dict[Any, Any] = {
            np.dtype(np.float64): library.amrq_orders,
            np.dtype(np.float32): library.amrq_orders_single,
        }
        for one in self._ordered.values():
            one.argtypes = [pointer, number, number, number, number, pointer, pointer]
            one.restype = None

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
