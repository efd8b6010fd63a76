# SPDX-License-Identifier: GPL-3.0-or-later
"""Standard output reserved for results, with time limits for a reader that does not read."""

import codecs
import contextlib
import errno
import io
import os
import select
import stat
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

from amrq.errors import AmrqError, OutputClosedError, OutputError

__all__ = ["ResultStream", "own_stdout", "require_stdout", "standard_streams"]

_LOOK = 0.1  # seconds between two looks whether the reader has made room
_GRACE = 0.5  # seconds that a reader gets once the program is to end
_AT_ONCE = min(4096, select.PIPE_BUF)
"""Bytes that a pipe takes without waiting, where it says that it takes any."""

_ASCII = {
    character: ascii_one
    for ascii_one, characters in {
        "#": "█▓▒■▪▉▊▋",
        ":": "▌▍▐",
        ".": "░▁▂·…▏▎",
        "-": "─━┄╌╴╶╸╺–—‐−▃▄",
        "=": "═▅▆",
        "|": "│┃║",
        "*": "●◆▇",
        "+": "┼┌┐└┘├┤┬┴╭╮╰╯±✓✔",
        "o": "•□○",
        "x": "×✗✘",
        "^": "▲↑▀",
        "v": "▼↓",
        ">": "→↳≥",
        "<": "←≤",
        "~": "≈",
        "u": "µμ",
        "'": "’‘°",
        '"': "“”",
        "2": "²",
        "3": "³",
    }.items()
    for character in characters
}
"""What stands for a character of bars, tables and texts that cannot be written: one for one, for columns to stay."""


def _replace(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(_ASCII.get(c, "?") for c in error.object[error.start : error.end]), error.end


codecs.register_error("amrq_ascii", _replace)


class _Descriptor(io.RawIOBase):
    """Writes to a file descriptor, for as long as somebody reads and there is room.

    In the main thread what cannot be written is an error; in others it is left out, and `failure` says why: nobody
    could catch the error there.
    """

    def __init__(self, descriptor: int, giving_up: threading.Event | None, silent: bool) -> None:
        super().__init__()
        self.failure: OutputError | None = None
        self._descriptor, self._giving_up, self._silent = descriptor, giving_up, silent
        # A file takes everything at once; a pipe and a terminal may have to be waited for.
        self._waits = not stat.S_ISREG(os.fstat(descriptor).st_mode)
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLOUT)

    def fileno(self) -> int:
        return self._descriptor

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        if self.failure is None:
            try:
                return self._write(view)
            except OSError as error:
                self.failure = _failure(error)
            except OutputError as error:
                self.failure = error
            if self._giving_up is not None:
                self._giving_up.set()
        if self._silent or threading.current_thread() is not threading.main_thread():
            return len(view)
        raise self.failure

    def _write(self, view: memoryview) -> int:
        if not self._waits:
            return os.write(self._descriptor, view)
        while True:
            self._wait()
            with contextlib.suppress(
                BlockingIOError
            ):  # room, but not for so much, of a pipe that never waits
                return os.write(self._descriptor, view[:_AT_ONCE])

    def _wait(self) -> None:
        """Wait until there is room.

        Raises:
            OutputError: the program is to end, and there is none.
        """
        until: float | None = time.monotonic() + _GRACE if self._silent else None
        while not self._poll.poll(1000 * _LOOK):
            if until is None and self._giving_up is not None and self._giving_up.is_set():
                until = time.monotonic() + _GRACE
            if until is not None and time.monotonic() > until:
                raise OutputError("standard output is not read: what was to be written last is not there.")


def _failure(error: OSError) -> OutputError:
    if error.errno in (errno.EPIPE, errno.ECONNRESET):
        return OutputClosedError("standard output is no longer read.")
    return OutputError(f"standard output cannot be written: {error.strerror}.")


class ResultStream(io.TextIOWrapper):
    """Text to a file descriptor: line by line, in ASCII where its encoding lacks a character, and never for ever.

    A reader that does not read holds up the writer, but for half a second at most once the program is to end.

    Args:
        descriptor: which; it stays open.
        giving_up: set where the program is to end; also from here, where something cannot be written.
        silent: what cannot be written is left out without an error, as of standard error, where it could not be said.

    Raises:
        OutputError: by what writes, in the main thread: the disk is full, or nobody reads.
    """

    def __init__(
        self, descriptor: int, giving_up: threading.Event | None = None, silent: bool = False
    ) -> None:
        self._descriptor = _Descriptor(descriptor, giving_up, silent)
        encoding = getattr(sys.__stdout__, "encoding", None) or "utf-8"
        # Line by line even into a file: a process that is killed has then written whole lines.
        super().__init__(io.BufferedWriter(self._descriptor), encoding, "amrq_ascii", line_buffering=True)

    @property
    def failure(self) -> OutputError | None:
        """Why something was not written, which another thread's write does not raise; None while all was."""
        return self._descriptor.failure

    def check(self) -> None:
        """Raise what kept any thread from writing.

        Raises:
            OutputError: the reason.
        """
        if self.failure is not None:
            raise self.failure

    def close(self) -> None:
        """Write what waits, where that goes without an error; the descriptor stays open."""
        with contextlib.suppress(AmrqError, OSError, ValueError):
            super().close()


def require_stdout() -> None:
    """Refuse a standard output that is closed.

    Raises:
        OutputError: it is.
    """
    if sys.stdout is None:
        raise OutputError(
            "standard output is closed: give it a place to write to, /dev/null where nothing is wanted."
        )


@contextlib.contextmanager
def own_stdout(giving_up: threading.Event | None = None) -> Iterator[ResultStream]:
    """Keep standard output for results: what GNU Radio's C++ side writes there goes to standard error.

    Args:
        giving_up: set where the program is to end, and a reader that does not read is not waited for any longer; also
            from here, where something cannot be written.

    Raises:
        OutputError: standard output is closed.
    """
    require_stdout()
    sys.stdout.flush()
    own = os.dup(1)
    os.dup2(2, 1)
    stream = ResultStream(own, giving_up)
    try:
        yield stream
    finally:
        stream.close()
        os.dup2(own, 1)
        os.close(own)


@contextlib.contextmanager
def standard_streams() -> Iterator[None]:
    """Let standard output say in one sentence, and standard error not at all, that it cannot be written.

    Where a stream is closed altogether, /dev/null takes its place, lest the next file that is opened gets its number.

    Raises:
        OutputError: at the end: something could not be written.
    """
    for number, stream in enumerate((sys.stdin, sys.stdout, sys.stderr)):
        if stream is None:
            _fill(number)
    out, err = sys.stdout, sys.stderr
    replaced: ResultStream | None = None
    # Streams that somebody else has put there, a test for instance, are left alone.
    if out is not None and out is sys.__stdout__:
        out.flush()  # type: ignore[union-attr, unused-ignore]
        replaced = sys.stdout = ResultStream(1)
    if err is not None and err is sys.__stderr__:
        sys.stderr = ResultStream(2, silent=True)
    try:
        yield
        if replaced is not None:
            replaced.flush()
            replaced.check()
    finally:
        if replaced is not None:
            replaced.close()
        sys.stdout, sys.stderr = out, err


def _fill(number: int) -> None:
    try:
        os.fstat(number)
    except OSError:
        null = os.open(os.devnull, os.O_RDWR)
        if null != number:
            os.dup2(null, number)
            os.close(null)
