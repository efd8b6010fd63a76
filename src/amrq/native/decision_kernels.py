# SPDX-License-Identifier: GPL-3.0-or-later
"""The compiled kernel for changes of class among the chunks of decisions.

What it computes, `amrq.decision.DecisionMaker` says with NumPy.
"""

import ctypes
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from amrq.native.pointers import address

__all__ = ["DecisionKernels", "Splits"]

_MOST = 1024


class Splits(NamedTuple):
    """Where sets of rows are split best.

    Attributes:
        places: int64 [sets], rows before the split, from 1 on.
        gains: float32 [sets], by how much two columns explain the rows better than one.
        sums: float32 [sets, columns], of all rows.
    """

    places: NDArray[np.int64]
    gains: NDArray[np.float32]
    sums: NDArray[np.float32]


class DecisionKernels:
    """Functions of the library for decisions.

    Args:
        library: the loaded library.
    """

    def __init__(self, library: ctypes.CDLL) -> None:
        pointer, number = ctypes.c_void_p, ctypes.c_int64
        self._splits = library.amrq_decision_splits
        self._splits.argtypes = [pointer, number, number, number, pointer, pointer, pointer]
        self._splits.restype = None

    def decision_splits(self, rows: NDArray[np.float32]) -> Splits | None:
        """Split each set of rows in two, so that the sums of the parts' best columns are largest.

        Args:
            rows: [sets, count, columns], finite, at least 2 rows.

        Returns:
            the splits; None if there are more columns than the kernel takes.

        Raises:
            ValueError: there are fewer than 2 rows.
        """
        sets, count, columns = rows.shape
        if count < 2:
            raise ValueError(f"2 rows at least are needed, not {count}.")
        if not 0 < columns <= _MOST:
            return None
        held = np.ascontiguousarray(rows, np.float32)
        found = Splits(
            np.empty(sets, np.int64), np.empty(sets, np.float32), np.empty((sets, columns), np.float32)
        )
        self._splits(address(held), sets, count, columns, *(address(one) for one in found))
        return found
