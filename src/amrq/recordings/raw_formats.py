# SPDX-License-Identifier: GPL-3.0-or-later
"""How receivers write samples: interleaved I and Q in a few number formats."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["RAW_FORMATS", "RawFormat"]


class RawFormat(NamedTuple):
    """One of the formats.

    Attributes:
        dtype: of a number, little-endian.
        middle: the number that stands for 0.
        scale: what a step of 1 stands for.
    """

    dtype: np.dtype[np.generic]
    middle: float
    scale: float

    @property
    def sample_size(self) -> int:
        """Bytes of a complex sample."""
        return 2 * self.dtype.itemsize

    def decode(self, values: NDArray[Any]) -> NDArray[np.complex64]:
        """Return complex64 [N], full scale 1 for integers, of 2 N interleaved numbers of the format."""
        numbers = values.astype(np.float32)
        if self.middle:
            numbers -= np.float32(self.middle)
        if self.scale != 1:
            numbers *= np.float32(self.scale)
        return numbers.view(np.complex64)


RAW_FORMATS = {
    "cf32": RawFormat(np.dtype("<f4"), 0.0, 1.0),
    "ci16": RawFormat(np.dtype("<i2"), 0.0, 1 / 32768),
    "ci8": RawFormat(np.dtype("i1"), 0.0, 1 / 128),
    # An RTL-SDR's zero lies between 127 and 128.
    "cu8": RawFormat(np.dtype("u1"), 127.5, 1 / 127.5),
}
"""The formats by name."""
