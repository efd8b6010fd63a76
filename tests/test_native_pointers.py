# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses of arrays are NumPy's own, whether they are read in place or asked of NumPy."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from amrq.native import pointers

_ARRAYS: list[NDArray[Any]] = [
    np.arange(12.0),
    np.arange(12.0)[5:],
    np.arange(12, dtype=np.int16).reshape(3, 4)[1:, 2:],
    np.zeros(0, np.complex64),
    np.frombuffer(b"12345678", np.uint8),  # which is not to be written to
    np.arange(4.0).view(np.recarray),
]


@pytest.mark.parametrize("array", _ARRAYS)
def test_an_address_is_numpys(array: NDArray[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    assert pointers.address(array) == array.ctypes.data
    monkeypatch.setattr(pointers, "_IS_THERE", False)
    assert pointers.address(array) == array.ctypes.data


def test_what_is_no_array_has_no_address() -> None:
    with pytest.raises(AttributeError):
        pointers.address([1.0, 2.0])  # type: ignore[arg-type]
