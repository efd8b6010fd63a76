# SPDX-License-Identifier: GPL-3.0-or-later
"""Samples in a file: number formats, and reading any part of it."""

import bisect
import os
import re
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from amrq.errors import RecordingError
from amrq.text import printable

__all__ = ["RawFormat", "SampleFile", "file_size", "number_format"]


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


def file_size(path: Path) -> int:
    """Return the bytes of an ordinary file.

    Raises:
        RecordingError: it cannot be read, or is no ordinary file.
    """
    try:
        found = path.stat()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "its name is not valid"
        raise RecordingError(f"{printable(path)} cannot be read: {reason}.") from None
    if not stat.S_ISREG(found.st_mode):
        raise RecordingError(f"{printable(path)} is not an ordinary file.")
    return found.st_size


class SampleFile:
    """Samples of one format in a file, in one stretch or in several with other bytes between them.

    The file is read with plain reads, not mapped into memory: a mapped file that becomes shorter ends the process.

    Args:
        path: the file.
        format: of the samples.
        length: number of samples.
        pieces: (first sample, place of that in the file in bytes) of each stretch, in order, the first from sample 0.

    Attributes:
        length: number of samples.
        real: whether `read` returns float32 instead of complex64.

    Raises:
        RecordingError: the file cannot be opened.
    """

    _descriptor = -1

    def __init__(self, path: Path, format: RawFormat, length: int, pieces: Sequence[tuple[int, int]]) -> None:
        self.path, self.length, self.real = path, length, format.real
        self._format = format
        self._firsts = [first for first, _ in pieces]
        self._places = [place for _, place in pieces]
        try:
            self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise RecordingError(f"{printable(path)} cannot be read: {error.strerror}.") from None

    def __del__(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)

    def read(self, start: int, count: int) -> NDArray[Any]:
        """Return samples `start` to `start + count`, which are inside, full scale 1 for integers.

        Raises:
            RecordingError: the file has become shorter, or cannot be read.
        """
        parts: list[NDArray[Any]] = []
        position, stop = start, start + count
        piece = bisect.bisect_right(self._firsts, start) - 1
        while position < stop:
            following = self._firsts[piece + 1] if piece + 1 < len(self._firsts) else self.length
            end = min(stop, following)
            if end > position:
                parts.append(self._read_piece(piece, position, end - position))
            position, piece = max(position, end), piece + 1
        if len(parts) == 1:
            return parts[0]
        empty = np.empty(0, np.float32 if self.real else np.complex64)
        return np.concatenate([empty, *parts])

    def _read_piece(self, piece: int, start: int, count: int) -> NDArray[Any]:
        size = self._format.sample_size
        place = self._places[piece] + (start - self._firsts[piece]) * size
        data = bytearray()
        while len(data) < count * size:
            try:
                more = os.pread(self._descriptor, count * size - len(data), place + len(data))
            except OSError as error:
                raise RecordingError(f"{printable(self.path)} cannot be read: {error.strerror}.") from None
            if not more:
                raise RecordingError(
                    f"{printable(self.path)} ends at sample {start + len(data) // size} of {self.length}: it became "
                    "shorter while it was read."
                )
            data += more
        return self._format.decode_bytes(bytes(data))
