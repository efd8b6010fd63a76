# SPDX-License-Identifier: GPL-3.0-or-later
"""The interface of feeds, which receive samples from outside, and the checks and counters that all share."""

import abc
import logging
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from amrq.errors import AmrqError, StalledError
from amrq.recordings import RAW_FORMATS
from amrq.text import printable

__all__ = [
    "SILENCE_IS_NEWS",
    "Feed",
    "Piece",
    "SampleCheck",
    "SilenceWatch",
    "SourceCounts",
    "StreamTag",
    "is_json",
]


@dataclass(frozen=True)
class SourceCounts:
    """Counters of a source since it was made; None where it cannot happen or is not known.

    Attributes:
        overflows: how often samples were lost because they were not fetched in time.
        reconnections: how often a lost connection was restored.
        refused: messages or packets left out because they are not samples.
        lost: how often samples were lost on the way, if the sender numbers them.
    """

    overflows: int | None = None
    reconnections: int | None = None
    refused: int | None = None
    lost: int | None = None

    def texts(self) -> list[str]:
        """Return a sentence for each kind of loss.

        >>> SourceCounts(overflows=2).texts()
        ['The radio lost samples 2 times: they were not fetched in time.']
        """
        said = []
        if self.overflows:
            said.append(f"The radio lost samples {self.overflows} times: they were not fetched in time.")
        if self.lost:
            said.append(f"Samples were lost on the way from the sender {self.lost} times.")
        if self.reconnections:
            said.append(f"The connection to the source was lost and made again {self.reconnections} times.")
        if self.refused:
            said.append(f"{self.refused} messages or packets were left out: they are not samples.")
        return said


_ENOUGH = 1 << 14  # bytes that are looked at
_LARGEST, _SMALLEST = 1e9, 1e-20
"""Samples of a receiver lie between, in any unit that is in use. Of other numbers read as float32 many do not."""
_MANY = 1 / 8
"""Share of values outside that no stream of float32 has. 64-bit floats read as 32-bit ones have a quarter or more."""
_FLOAT_LARGEST, _FLOAT_SMALLEST = 1e4, 1e-6
_ALL_BUT_FEW = 0.98
"""Share of values within, from which bytes are likely to be float32; of integers read so, few lie there."""
_FEW = 64  # values that are not 0, below which nothing is said


class SampleCheck:
    """Looks at the beginning of a stream, and says once where its format is not likely to be the one given.

    It is a likelihood, not a proof: silence, and samples of another format of the same width, look well.

    Args:
        format: a name in `amrq.recordings.RAW_FORMATS`.

    >>> check = SampleCheck("ci16")
    >>> check.look(np.linspace(-1, 1, 8192, dtype="<f4").tobytes())
    'the samples are likely to be cf32, not ci16: see --format.'
    """

    def __init__(self, format: str) -> None:
        self._format = format
        self._seen = bytearray()
        self._done = False

    def look(self, data: bytes) -> str | None:
        """Take in bytes of the stream, whole samples; return a sentence where they are not likely to be samples."""
        if self._done:
            return None
        self._seen += data[: _ENOUGH - len(self._seen)]
        if len(self._seen) < _ENOUGH:
            return None
        self._done = True
        seen, self._seen = bytes(self._seen), bytearray()
        if self._format == "cf32":
            share = _outside(np.frombuffer(seen, "<f4"), _LARGEST, _SMALLEST)
            if share <= _MANY:
                return None
            others = ", ".join(name for name in RAW_FORMATS if name != "cf32")
            return (
                f"the samples are not likely to be cf32: {100 * share:.0f} % of the numbers are not finite, above "
                f"{_LARGEST:g} or below {_SMALLEST:g}; give the format that is sent (--format {others})."
            )
        if _outside(np.frombuffer(seen, "<f4"), _FLOAT_LARGEST, _FLOAT_SMALLEST) < 1 - _ALL_BUT_FEW:
            return f"the samples are likely to be cf32, not {self._format}: see --format."
        return None


def _outside(values: NDArray[np.float32], largest: float, smallest: float) -> float:
    """Return the share of numbers that are not 0 outside the range; half where there are too few to say."""
    with np.errstate(invalid="ignore"):
        size = np.abs(values.astype(np.float64))
        some = size[size != 0]  # NaN is not 0
        if len(some) < _FEW:
            return 0.0 if smallest == _SMALLEST else 1.0
        return float(1 - np.mean((some <= largest) & (some >= smallest)))


def is_json(data: bytes) -> bool:
    """Return whether bytes are likely to be a JSON object, as many programs send them.

    >>> is_json(b'{"label": "QPSK"}'), is_json(b"@@@@@@@@@@@@@@@@")
    (True, False)
    """
    return data.startswith(b'{"') and data.rstrip().endswith(b"}") and data.isascii()


_NOTHING = np.empty(0, dtype=np.complex64)


@dataclass(frozen=True)
class StreamTag:
    """Something known of a sample.

    Attributes:
        index: of the sample, within its piece.
        key: as GNU Radio names it, `rx_freq` for instance.
        value: a number, or a PMT as GNU Radio serialises it.
    """

    index: int
    key: str
    value: float | bytes


@dataclass(frozen=True)
class Piece:
    """Samples that came together.

    Attributes:
        samples: complex64 [N]; N may be 0.
        broken: samples were lost before the first of these.
        tags: what is known of them, in the order of their indices.
    """

    samples: NDArray[np.complex64] = field(default_factory=lambda: _NOTHING)
    broken: bool = False
    tags: tuple[StreamTag, ...] = ()


class Feed(abc.ABC):
    """Samples as they come from outside, piece by piece.

    Args:
        name: of where they come from, for people.
        format: a name in `amrq.recordings.RAW_FORMATS`.

    Attributes:
        report: called with a sentence where something is to be known; in any thread. A warning in the log at first.

    Raises:
        AmrqError: there is no such format.
    """

    def __init__(self, name: str, format: str) -> None:
        if format not in RAW_FORMATS:
            raise AmrqError(f"there is no sample format {format!r}: choose from {', '.join(RAW_FORMATS)}.")
        self.name = name
        self.format = format
        self.report: Callable[[str], None] = logging.getLogger("amrq").warning
        self._raw = RAW_FORMATS[format]
        self._check = SampleCheck(format)
        self._refused = 0

    @abc.abstractmethod
    def read(self, patience: float) -> Piece | None:
        """Return the next samples; an empty piece if none arrived in time; None at the end of the feed.

        Args:
            patience: seconds to wait for it; 0 takes only what is there.

        Raises:
            DeviceError: the source failed.
        """

    def counts(self) -> SourceCounts:
        """Return what went wrong on the way so far."""
        return SourceCounts(refused=self._refused)

    def close(self) -> None:  # noqa: B027  some have nothing to close
        """Release all resources."""

    def _decoded(self, data: bytes) -> NDArray[np.complex64]:
        """Return bytes, whole samples, as complex64."""
        if data and (sentence := self._check.look(data)):
            self.report(f"{printable(self.name)}: {sentence}")
        return self._raw.decode(np.frombuffer(data, self._raw.dtype))

    def _refuse(self, reason: str) -> None:
        """Count something that is no samples; report the first, the tenth, the hundredth and so on."""
        self._refused += 1
        if str(self._refused).strip("0") == "1":
            others = "" if self._refused == 1 else f" ({self._refused} so far)"
            self.report(f"{printable(self.name)}: {reason}; it is left out{others}.")


SILENCE_IS_NEWS = 3.0
"""Seconds without a sample that are reported."""
_AGAIN = 60.0
"""Seconds after which a silence that lasts is reported again."""
_LOOKS = 0.1  # seconds between two looks


class SilenceWatch:
    """Reports when a source falls silent and when it comes back, and says when to give it up.

    Safe to use from several threads.

    Args:
        source: its name, for the sentences.
        report: called with each sentence.
        stall: seconds without a sample until the source is given up, above 0; None: never.
        clock: seconds that only grow.

    Raises:
        AmrqError: `stall` is no such number.

    >>> told, seconds = [], 0.0
    >>> watch = SilenceWatch("a radio", told.append, clock=lambda: seconds)
    >>> watch.look(100)
    >>> seconds = 3.5
    >>> watch.look(100)
    >>> told
    ['no samples from a radio for 3 s.']
    """

    def __init__(
        self,
        source: str,
        report: Callable[[str], None],
        stall: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if stall is not None and not 0 < stall < math.inf:
            raise AmrqError(f"stall must be a number of seconds above 0, not {stall}.")
        self.silences = 0
        """How often no sample came for three seconds."""
        self.stalled = False
        """Whether the source has been given up."""
        self._source, self._report, self._stall, self._clock = printable(source), report, stall, clock
        self.received = False
        """Whether any sample has come."""
        self._samples = 0
        self._last = clock()  # when the count was last seen to grow
        self._next_report = SILENCE_IS_NEWS
        self._lock = threading.Lock()

    def begin(self) -> None:
        """Count from now on: the source has only been started."""
        with self._lock:
            self._last = self._clock()

    def silent_seconds(self) -> float:
        """Return the seconds since the last sample came, or since the beginning."""
        return max(0.0, self._clock() - self._last)

    def look(self, samples: int) -> None:
        """Take in how many samples have come so far; a count that falls starts again, and is no news."""
        with self._lock:
            now = self._clock()
            lasted = now - self._last
            self.received |= samples > 0
            if samples > self._samples:
                if self._next_report > SILENCE_IS_NEWS:
                    self._report(f"samples from {self._source} come again, after {int(lasted)} s.")
                self._samples, self._last, self._next_report = samples, now, SILENCE_IS_NEWS
                return
            self._samples = samples  # fewer: the next flowgraph counts from 0
            if self._stall is not None and lasted >= self._stall:
                self.stalled = True
            if lasted < self._next_report:
                return
            if self._next_report == SILENCE_IS_NEWS:
                self.silences += 1
            never = "" if self.received else " yet"
            self._report(f"no samples from {self._source}{never} for {int(lasted)} s.")
            self._next_report = (math.floor(lasted / _AGAIN) + 1) * _AGAIN

    def follow(self, count: Callable[[], int], over: threading.Event, stalled: Callable[[], None]) -> None:
        """Look again and again until `over` is set or the source is given up; call `stalled` then.

        Args:
            count: returns how many samples have come so far, as `look` takes it.
            over: ends it.
            stalled: called once where the source is given up.
        """
        while not over.wait(_LOOKS):
            self.look(count())
            if self.stalled:
                stalled()
                return

    def raise_error(self) -> None:
        """Raise what a run with this source ends with, if it is silence.

        Raises:
            StalledError: the source was given up, or never sent a sample.
        """
        if not self.received:
            lasted = f" for {self._stall:g} s" if self.stalled else ""
            raise StalledError(
                f"nothing was received from {self._source}{lasted}: check that it sends to this machine."
            )
        if self.stalled:
            raise StalledError(f"no samples came from {self._source} for {self._stall:g} s: the run ends.")
