# SPDX-License-Identifier: GPL-3.0-or-later
"""The samples in a file, read piece by piece."""

import bisect
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amrq.errors import AmrqError
from amrq.plain_text import printable
from amrq.recordings.raw_formats import RawFormat

__all__ = ["SampleFile", "file_size"]


def file_size(path: Path) -> int:
    """Return the bytes of an ordinary file.

    Raises:
        AmrqError: it cannot be read, or is no ordinary file.
    """
    try:
        found = path.stat()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "its name is not valid"
        raise AmrqError(f"{printable(path)} cannot be read: {reason}.") from None
    if not stat.S_ISREG(found.st_mode):
        raise AmrqError(f"{printable(path)} is not an ordinary file.")
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
        AmrqError: the file cannot be opened.
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
            raise AmrqError(f"{printable(path)} cannot be read: {error.strerror}.") from None

    def __del__(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)

    def read(self, start: int, count: int) -> NDArray[Any]:
        """Return samples `start` to `start + count`, which are inside, full scale 1 for integers.

        Raises:
            AmrqError: the file has become shorter, or cannot be read.
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
                raise AmrqError(f"{printable(self.path)} cannot be read: {error.strerror}.") from None
            if not more:
                raise AmrqError(
                    f"{printable(self.path)} ends at sample {start + len(data) // size} of {self.length}: it became "
                    "shorter while it was read."
                )
            data += more
        return self._format.decode_bytes(bytes(data))
