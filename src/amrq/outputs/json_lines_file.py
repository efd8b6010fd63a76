# SPDX-License-Identifier: GPL-3.0-or-later
"""Records in a file that does not grow for ever."""

import contextlib
import json
import os
import typing
from collections.abc import Mapping
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any, BinaryIO

from amrq.errors import AmrqError, OutputError
from amrq.plain_text import printable
from amrq.whole_file import opened_to_write

__all__ = ["JsonLinesFile"]


class JsonLinesFile:
    """A file of one JSON object a line; what is there already stays.

    A line that would make the file larger than it may be begins a new one: `log.jsonl` becomes `log.jsonl.1`, that
    `log.jsonl.2`, and the oldest goes. No line is ever split, and each is handed to the system at once. A pipe takes
    its lines as they come.

    Args:
        path: the file.
        largest: bytes, at least 1,000.
        kept: former files kept beside it, at least 1.

    Raises:
        AmrqError: the file cannot be opened, or a number is too small.
    """

    def __init__(self, path: str | os.PathLike[str], largest: int = 50_000_000, kept: int = 5) -> None:
        if largest < 1_000 or kept < 1:
            raise AmrqError(
                f"a log must be allowed at least 1000 bytes and 1 former file, not {largest} and {kept}."
            )
        self.path = Path(path)
        self._largest = largest
        try:
            self._files = _RotatingFiles(os.fspath(path), largest, kept)
        except (OSError, ValueError) as error:
            raise OutputError(f"the log {printable(self.path)} cannot be opened: {_reason(error)}.") from None

    def write(self, record: Mapping[str, Any]) -> None:
        """Append a record; a line that is not taken whole is taken back.

        Raises:
            OutputError: it cannot be written, since the disk is full for instance.
        """
        line = memoryview((json.dumps(record) + "\n").encode())
        try:
            file = self._files.current()
            size = file.tell() if file.seekable() else 0
            if size and size + len(line) > self._largest:
                self._files.doRollover()
                file, size = self._files.current(), 0
            rest = line
            try:
                while rest:
                    rest = rest[file.write(rest) or 0 :]
            except OSError:
                if len(rest) < len(line):
                    with contextlib.suppress(OSError):
                        file.truncate(size)
                raise
        except OSError as error:
            raise OutputError(
                f"the log {printable(self.path)} cannot be written: {_reason(error)}."
            ) from None

    def close(self) -> None:
        """Close the file."""
        # Each line was handed on when it was written, and what went wrong reported.
        with contextlib.suppress(OSError):
            self._files.close()


class _RotatingFiles(RotatingFileHandler):
    """The standard library's rotating files, of which lines of bytes are written to the current one."""

    def __init__(self, path: str, largest: int, kept: int) -> None:
        super().__init__(path, "ab", largest, kept)

    def _open(self) -> Any:
        # Without a buffer: what a full disk did not take must not come again when the file is closed.
        return open(self.baseFilename, "ab", buffering=0, opener=opened_to_write)

    def current(self) -> BinaryIO:
        """Return the file to write to, opened anew where a rotation failed."""
        stream: Any = self.stream
        if stream is None:
            self.stream = stream = self._open()
        return typing.cast(BinaryIO, stream)


def _reason(error: Exception) -> str:
    return (getattr(error, "strerror", None) or printable(error)).rstrip(".")
