# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a source still sends."""

import math
import threading
import time
from collections.abc import Callable

from amrq.errors import AmrqError, StalledError
from amrq.plain_text import printable

__all__ = ["SILENCE_IS_NEWS", "SilenceWatch"]

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
        stall: seconds without a sample after which the source is given up, above 0; None for never.
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

    def silent_seconds(self) -> float:
        """Return the seconds since the last sample came, or since the beginning."""
        return max(0.0, self._clock() - self._last)

    def look(self, samples: int) -> None:
        """Take in how many samples have come so far; a count that falls begins anew, and is no news."""
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
                f"nothing was received from {self._source}{lasted}: check that it sends, and to this machine."
            )
        if self.stalled:
            raise StalledError(f"no samples came from {self._source} for {self._stall:g} s: the run ends.")
