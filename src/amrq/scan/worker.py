# SPDX-License-Identifier: GPL-3.0-or-later
"""A scanner behind a bounded queue, in threads of its own: whoever has the samples never waits."""

import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amrq.errors import AmrqError
from amrq.scan.records import ScanEvent, ScanSnapshot
from amrq.scan.scanner import BandScanner

__all__ = ["ScanWorker"]

_AT_ONCE = 0.04
"""Seconds of samples that are taken from the queue at a time: few calls, and a burst's end is soon seen."""
_LOOKS = 0.05  # seconds between two looks at whose turn it is, at most
_PATIENCE = 5.0
"""Seconds at the end for what waits in the queue; then it is thrown away, and threads get as long to end."""
_LAST_LOOKS = 0.5  # seconds of looks after the end

_Samples = NDArray[np.complexfloating[Any, Any]]


@dataclass
class _Piece:
    """Samples in the queue."""

    samples: _Samples = field(default_factory=lambda: np.zeros(0, np.complex64))
    lost: int = 0
    """Samples that were dropped before these."""
    broken: bool = False
    """Samples were lost before these, nobody knows how many."""
    centre: tuple[float | None, ...] = ()
    """What the middle of the band stands for from here on, where that is new."""

    @property
    def apart(self) -> bool:
        return bool(self.lost or self.broken or self.centre)


class ScanWorker:
    """Runs a scanner in two threads: one finds emissions, the other one looks at them.

    Samples for which the queue has no room are dropped and counted, and the scanner learns how many they were: its time
    stays that of the source.

    Args:
        scanner: it belongs to the worker until `close`; `snapshot`, `picture` and `samples` may be called as before.
        queue_seconds: seconds of samples that may wait, above 0.

    Raises:
        AmrqError: a value is out of its range.

    >>> worker = ScanWorker(BandScanner(1e6))
    >>> worker.start()
    >>> worker.put(np.zeros(1000, np.complex64))
    True
    >>> worker.close()
    >>> worker.scanner.snapshot().now
    1000
    """

    def __init__(self, scanner: BandScanner, queue_seconds: float = 1.0) -> None:
        if not 0 < queue_seconds <= 60:
            raise AmrqError(
                f"the queue must hold above 0 and at most 60 s of samples, not {queue_seconds:g}."
            )
        self.scanner = scanner
        self.error: Exception | None = None
        """What ended a thread early; None if nothing did."""
        self._most = max(1, round(queue_seconds * scanner.sample_rate))
        self._queue: deque[_Piece] = deque()
        self._waiting = 0  # samples
        self._full = False
        self._next = _Piece()  # what is known before its samples come
        self._changed = threading.Condition()
        self._looking = threading.Event()
        self._closing = False
        self._threads = [
            threading.Thread(target=self._guard, args=(work,), name=name, daemon=True)
            for work, name in ((self._detect, "amrq scan"), (self._look, "amrq looks"))
        ]

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    def put(self, samples: _Samples, wait: bool = False) -> bool:
        """Hand over samples, complex [n]; they are copied.

        Args:
            samples: the next ones of the stream.
            wait: wait for room in the queue rather than drop them.

        Returns:
            Whether they were taken; otherwise they are dropped and counted.
        """
        with self._changed:
            if wait:
                self._changed.wait_for(
                    lambda: self._waiting < self._most or self._closing or self.error is not None
                )
            # Once it is full it is emptied by half: few long gaps cost the detector less than many short ones.
            most = self._most // 2 if self._full else self._most
            self._full = bool(self._waiting) and self._waiting + len(samples) > most and not wait
            if self._full:
                self._next.lost += len(samples)
                return False
            self._next.samples = np.array(samples, np.complex64)
            self._queue.append(self._next)
            self._waiting += len(samples)
            self._next = _Piece()
            self._changed.notify_all()
        return True

    def add_break(self) -> None:
        """Note that samples were lost before those that come next, nobody knows how many."""
        with self._changed:
            self._next.broken = True

    def retune(self, centre_hz: float | None) -> None:
        """Note that the samples that come next are of another band; see `BandScanner.retune`."""
        with self._changed:
            self._next.centre = (centre_hz,)

    def take_events(self) -> list[ScanEvent]:
        """Return what has happened since the last call."""
        return self.scanner.take_events()

    def snapshot(self) -> ScanSnapshot:
        """Return the scanner's table and counters."""
        return self.scanner.snapshot()

    def close(self, finish: bool = True) -> None:
        """Scan what waits, end all emissions and the threads; the last events can then be taken.

        Args:
            finish: otherwise what waits is thrown away, and no emission is looked at any more. Samples dropped before
                that, for want of time, are counted all the same.
        """
        lost = 0
        with self._changed:
            if self._closing:
                return
            self._closing = True
            if not finish:
                lost = sum(piece.lost for piece in self._queue)
                self._queue.clear()
                self._waiting = 0
            self._changed.notify_all()
        self._looking.set()
        if finish and not self._ended(_PATIENCE):
            self._give_up_waiting()
        elif lost := lost + self._next.lost:
            self.scanner.count_dropped(lost)
        if not self._ended(_PATIENCE):
            self.error = self.error or AmrqError(
                f"the scan did not end within {2 * _PATIENCE:g} s; what it found last may be missing"
            )
        if self.error is None:
            self.scanner.end_all(_LAST_LOOKS if finish else 0.0)
        else:
            self.scanner.abandon()

    def _ended(self, patience: float) -> bool:
        """Wait for the threads to end; return whether they have."""
        until = time.monotonic() + patience
        for thread in self._threads:
            if thread.is_alive():
                thread.join(max(0.1, until - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _give_up_waiting(self) -> None:
        """Throw away samples that wait, and count them: there is no more time for them."""
        with self._changed:
            lost = self._waiting + self._next.lost + sum(piece.lost for piece in self._queue)
            self._queue.clear()
            self._waiting = 0
            self._changed.notify_all()
        self.scanner.count_dropped(lost)

    def fail(self, error: Exception) -> None:
        """End the work early, since something around it went wrong; whoever waits for room stops waiting."""
        with self._changed:
            self.error = self.error or error
            self._changed.notify_all()
        self._looking.set()

    def _guard(self, work: Any) -> None:
        try:
            work()
        except Exception as error:  # whoever puts samples in must learn of it
            self.fail(error)

    def _detect(self) -> None:
        most = max(1, round(_AT_ONCE * self.scanner.sample_rate))
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queue or self._closing or self.error is not None)
                if self.error is not None or not self._queue:
                    return
                first = self._queue.popleft()
                parts, taken = [first.samples], len(first.samples)
                while self._queue and taken < most and not self._queue[0].apart:
                    parts.append(self._queue.popleft().samples)
                    taken += len(parts[-1])
                self._waiting -= taken
                self._changed.notify_all()
            if first.lost or first.broken:
                self.scanner.add_break(first.lost, dropped=bool(first.lost))
            if first.centre:
                self.scanner.begin_band(*first.centre)
            self.scanner.detect(parts[0] if len(parts) == 1 else np.concatenate(parts))
            self._looking.set()

    def _look(self) -> None:
        while not self._closing and self.error is None:
            self._looking.wait(_LOOKS)
            self._looking.clear()
            self.scanner.look()
