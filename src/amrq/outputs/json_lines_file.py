# SPDX-License-Identifier: GPL-3.0-or-later
"""Records in a file that does not grow for ever."""

import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from amrq.errors import AmrqError

__all__ = ["JsonLinesFile"]


class JsonLinesFile:
    """A file of one JSON object a line; what is there already stays.

    A line that would make the file larger than it may be begins a new one: `log.jsonl` becomes `log.jsonl.1`, that
    `log.jsonl.2`, and the oldest goes. No line is ever split, and each is handed to the system at once.

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
        self._largest, self._kept = largest, kept
        self._file = self._open()

    def _open(self) -> Any:
        try:
            return self.path.open("a", encoding="utf-8")
        except OSError as error:
            raise AmrqError(f"the log {self.path} cannot be opened: {error.strerror}.") from None

    def write(self, record: Mapping[str, Any]) -> None:
        """Append a record.

        Raises:
            AmrqError: it cannot be written, since the disk is full for instance.
        """
        line = json.dumps(record) + "\n"
        try:
            size = self._file.tell()
            if size and size + len(line) > self._largest:  # json.dumps gives ASCII: a character is a byte
                self._rotate()
            self._file.write(line)
            self._file.flush()
        except OSError as error:
            raise AmrqError(f"the log {self.path} cannot be written: {error.strerror}.") from None

    def _rotate(self) -> None:
        self._file.close()
        names = [self.path, *(Path(f"{self.path}.{n}") for n in range(1, self._kept + 1))]
        for older, newer in zip(reversed(names[1:]), reversed(names[:-1]), strict=True):
            if newer.exists():
                newer.replace(older)
        self._file = self._open()

    def close(self) -> None:
        """Close the file."""
        # Each line was handed on when it was written, and what went wrong told.
        with contextlib.suppress(OSError):
            self._file.close()
