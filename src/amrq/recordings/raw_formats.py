# SPDX-License-Identifier: GPL-3.0-or-later
"""How receivers write samples: I and Q in turn, or real samples alone, in a few number formats."""

import re
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["RAW_FORMATS", "RawFormat", "number_format"]


class RawFormat(NamedTuple):
    """One of the formats.

    Attributes:
        dtype: of a number.
        middle: the number that stands for 0.
        scale: what a step of 1 stands for.
        real: a sample is one number, not two.
        packed: bytes of a number where it is an integer that no `dtype` has, 3 for instance; `dtype` is then that of
            a number widened at its lower end. 0 otherwise.
    """

    dtype: np.dtype[np.generic]
    middle: float
    scale: float
    real: bool = False
    packed: int = 0

    @property
    def sample_size(self) -> int:
        """Bytes of a sample."""
        return (self.packed or self.dtype.itemsize) * (1 if self.real else 2)

    def decode(self, values: NDArray[Any]) -> NDArray[np.complex64]:
        """Return complex64 [N], full scale 1 for integers, of 2 N interleaved numbers of the format."""
        return self._numbers(values).view(np.complex64)

    def decode_bytes(self, data: bytes) -> NDArray[np.complex64] | NDArray[np.float32]:
        """Return complex64 [N], or float32 [N] of a real format, full scale 1 for integers.

        Args:
            data: whole samples as they stand in the file.
        """
        if self.packed:
            width = self.dtype.itemsize
            wide = np.zeros((len(data) // self.packed, width), np.uint8)
            wide[:, width - self.packed :] = np.frombuffer(data, np.uint8).reshape(-1, self.packed)
            values: NDArray[Any] = wide.reshape(-1).view(self.dtype)
        else:
            values = np.frombuffer(data, self.dtype)
        return self._numbers(values) if self.real else self.decode(values)

    def _numbers(self, values: NDArray[Any]) -> NDArray[np.float32]:
        with np.errstate(
            over="ignore"
        ):  # a double beyond float32 becomes infinite, and is counted as not finite
            numbers: NDArray[np.float32] = values.astype(np.float32)
        if self.middle:
            numbers -= np.float32(self.middle)
        if self.scale != 1:
            numbers *= np.float32(self.scale)
        return numbers


def _integers(bits: int, signed: bool, order: str, real: bool) -> RawFormat:
    dtype = np.dtype(f"{order}{'i' if signed else 'u'}{bits // 8}")
    half = float(1 << (bits - 1))
    # The zero of unsigned samples lies between two numbers: 127 and 128 for an RTL-SDR's.
    return (
        RawFormat(dtype, 0.0, 1 / half, real)
        if signed
        else RawFormat(dtype, half - 0.5, 1 / (half - 0.5), real)
    )


def number_format(name: str) -> RawFormat | None:
    """Return the format that SigMF gives a name such as `ci16_le`, `cu8` or `rf32_be`; None where there is none.

    >>> number_format("cu8").middle
    127.5
    """
    found = re.fullmatch(r"([cr])(?:(f)(32|64)|([iu])(8|16|32))(_le|_be)?", name)
    if found is None or (found[6] is None and found[5] != "8"):
        return None
    order, real = ">" if found[6] == "_be" else "<", found[1] == "r"
    if found[2]:
        return RawFormat(np.dtype(f"{order}f{int(found[3]) // 8}"), 0.0, 1.0, real)
    return _integers(int(found[5]), found[4] == "i", order, real)


RAW_FORMATS = {
    "cf32": RawFormat(np.dtype("<f4"), 0.0, 1.0),
    "ci16": _integers(16, True, "<", False),
    "ci8": _integers(8, True, "<", False),
    "cu8": _integers(8, False, "<", False),
}
"""The formats of raw files and streams by name."""
