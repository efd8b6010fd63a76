# SPDX-License-Identifier: GPL-3.0-or-later
"""Raw samples that arrive through a pipe; they are read once, without loss."""

import os
import select
import stat
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from amrq.errors import AmrqError, RecordingError
from amrq.recordings.open_recording import FORMATS, RAW_FORMATS, format_of
from amrq.text import counted, printable

__all__ = ["SampleStream", "is_stream"]

_READ = 1 << 20
_PATIENCE = 0.1


def is_stream(path: str | os.PathLike[str]) -> bool:
    """Return whether a name stands for a pipe: `-` for standard input, or a FIFO, as a shell's `<(...)` is one.

    >>> is_stream("-"), is_stream("recording.wav")
    (True, False)
    """
    if os.fspath(path) == "-":
        return True
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode)


class SampleStream:
    """Samples from standard input or a FIFO, in order.

    Args:
        path: `-` for standard input, or the FIFO.
        format: a raw format; `auto` goes by the name, where that has a suffix.
        sample_rate: samples a second.

    Attributes:
        name: for people.
        sample_rate: samples a second.

    Raises:
        RecordingError: the format or the rate is missing, or it cannot be opened.
        AmrqError: there is no such format, or the rate is out of range.
    """

    _descriptor = -1
    _own = False

    def __init__(self, path: str | os.PathLike[str], format: str, sample_rate: float | None) -> None:
        path = Path(path)
        self.name = "standard input" if str(path) == "-" else str(path)
        shown = printable(self.name)
        if format == "auto" and str(path) != "-" and path.suffix:
            format = format_of(path)
        if format not in FORMATS:
            raise AmrqError(
                f"there is no format {printable(format)!r}: choose from {', '.join(RAW_FORMATS)}."
            )
        if format not in RAW_FORMATS:
            what = (
                "does not state its format"
                if format == "auto"
                else f"cannot be read as {format}, which needs a file"
            )
            raise RecordingError(
                f"{shown} {what}: give that of raw samples (--format), one of {', '.join(RAW_FORMATS)}."
            )
        if sample_rate is None:
            raise RecordingError(f"{shown} does not state its sample rate: give it (--rate).")
        if not 0 < sample_rate < 1e12:
            raise AmrqError(f"the sample rate must be above 0 Hz and below 1 THz, not {sample_rate:g}.")
        self.sample_rate = float(sample_rate)
        self._skipped = 0
        self._format = RAW_FORMATS[format]
        self._format_name = format
        self._waiting = bytearray()
        self._ended = False
        self._own = str(path) != "-"
        try:
            # Opening a FIFO waits for its writer; reading it can be given up.
            flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
            descriptor = os.open(path, flags) if self._own else 0
            os.fstat(descriptor)
        except OSError as error:
            raise RecordingError(f"{shown} cannot be read: {error.strerror}.") from None
        self._descriptor = descriptor

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Close the FIFO; standard input stays open."""
        if self._own and self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor, self._ended = -1, True

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences for the user on what has been read so far."""
        if not self._ended or not self._waiting:
            return ()
        return (
            f"{printable(self.name)} ended with {counted(len(self._waiting), 'byte')} of a {self._format_name} sample, "
            "left out: it was cut, or its format is another one (--format).",
        )

    def begin(self, start: int, given_up: Callable[[], bool]) -> None:
        """Leave out the first samples, and wait for the next one; less where waiting is given up.

        Args:
            start: samples to leave out.
            given_up: whether to wait no longer.

        Raises:
            RecordingError: the stream holds no more than that.
        """
        while self._skipped < start and not given_up():
            gone = self.read(min(start - self._skipped, _READ))
            if gone is None:
                break
            self._skipped += len(gone)
        if not len(self.head(1, given_up)) and self._ended:
            held = (
                f"{self._skipped} samples, and --start leaves out {start}" if self._skipped else "no samples"
            )
            if self._waiting and not self._skipped:
                held = f"{counted(len(self._waiting), 'byte')}, less than one {self._format_name} sample"
            raise RecordingError(f"{printable(self.name)} holds {held}.")

    def head(self, count: int, given_up: Callable[[], bool]) -> NDArray[np.complex64]:
        """Return the next samples without taking them; fewer where the stream ends or waiting is given up."""
        size = count * self._format.sample_size
        while len(self._waiting) < size and not self._ended and not given_up():
            self._fill(size)
        return self._decode(min(count, len(self._waiting) // self._format.sample_size))

    def read(self, count: int) -> NDArray[np.complex64] | None:
        """Return up to `count` next samples; none after a moment in which nothing came, None at the end.

        Raises:
            RecordingError: it cannot be read.
        """
        size = self._format.sample_size
        if len(self._waiting) < size and not self._ended:
            self._fill(count * size)
        whole = min(count, len(self._waiting) // size)
        if whole == 0 and self._ended:
            return None
        samples = self._decode(whole)
        del self._waiting[: whole * size]
        return samples

    def _decode(self, count: int) -> NDArray[np.complex64]:
        data = bytes(self._waiting[: count * self._format.sample_size])
        return np.asarray(self._format.decode_bytes(data), dtype=np.complex64)

    def _fill(self, wanted: int) -> None:
        """Read what is there; wait a moment for it."""
        try:
            if select.select([self._descriptor], [], [], _PATIENCE)[0]:
                more = os.read(self._descriptor, max(1, min(_READ, wanted - len(self._waiting))))
                self._ended = not more
                self._waiting += more
        except BlockingIOError:
            time.sleep(_PATIENCE / 10)
        except OSError as error:
            raise RecordingError(f"{printable(self.name)} cannot be read: {error.strerror}.") from None
