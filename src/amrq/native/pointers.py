# SPDX-License-Identifier: GPL-3.0-or-later
"""Where an array's values lie in memory: what the compiled kernels are given.

`array.ctypes.data` makes two Python objects each time and takes a few microseconds; a look at an emission asks some
hundreds of times. NumPy keeps the same address in the array's own structure, right after Python's head of an object
(`PyArrayObject_fields`, NumPy's C interface), where it is read at once. Whether it lies there is tried when this is
imported; if not, NumPy is asked.
"""

import ctypes
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["address"]

_HEAD = object.__basicsize__
_read = ctypes.c_size_t.from_address


def address(array: NDArray[Any]) -> int:
    """Return the address of an array's first value, as `array.ctypes.data`; the array is to be kept while it is used.

    >>> values = np.arange(6.0)
    >>> address(values) == values.ctypes.data, address(values[2:]) - address(values)
    (True, 16)
    """
    if _IS_THERE and type(array) is np.ndarray:
        return _read(id(array) + _HEAD).value
    return int(array.ctypes.data)


def _is_there() -> bool:
    """Return whether arrays keep their addresses where they are read."""
    whole = np.arange(8.0)
    return all(_read(id(one) + _HEAD).value == one.ctypes.data for one in (whole, whole[3:], whole[:0]))


_IS_THERE = _is_there()
