# SPDX-License-Identifier: GPL-3.0-or-later
"""A scanner behind a bounded queue, in threads of its own: whoever has the samples never waits."""

import threading
import time
from collections import deque
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
_PATIENCE = 5.0  # seconds to wait for a thread at the end

_Samples = NDArray[np.complexfloating[Any, Any]]


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
        self._queue: deque[tuple[_Samples, int, bool]] = (
            deque()
        )  # samples; lost before them; a break before them
        self._waiting = 0  # samples
        self._lost, self._broken = 0, False  # before the samples that come next
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
            if self._waiting and self._waiting + len(samples) > self._most and not wait:
                self._lost += len(samples)
                return False
            self._queue.append((np.array(samples, np.complex64), self._lost, self._broken))
            self._waiting += len(samples)
            self._lost, self._broken = 0, False
            self._changed.notify_all()
        return True

    def add_break(self) -> None:
        """Note that samples were lost before those that come next, nobody knows how many."""
        with self._changed:
            self._broken = True

    def take_events(self) -> list[ScanEvent]:
        """Return what has happened since the last call."""
        return self.scanner.take_events()

    def snapshot(self) -> ScanSnapshot:
        """Return the scanner's table and counters."""
        return self.scanner.snapshot()

    def close(self) -> None:
        """Scan what waits, end all emissions and the threads; the last events can then be taken."""
        with self._changed:
            if self._closing:
                return
            self._closing = True
            self._changed.notify_all()
        self._looking.set()
        until = time.monotonic() + _PATIENCE
        for thread in self._threads:
            if thread.is_alive():
                thread.join(max(0.1, until - time.monotonic()))
        if self.error is None and not any(thread.is_alive() for thread in self._threads):
            self.scanner.end_all()

    def _guard(self, work: Any) -> None:
        try:
            work()
        except Exception as error:  # whoever puts samples in must learn of it
            with self._changed:
                self.error = self.error or error
                self._changed.notify_all()
            self._looking.set()

    def _detect(self) -> None:
        most = max(1, round(_AT_ONCE * self.scanner.sample_rate))
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queue or self._closing or self.error is not None)
                if self.error is not None or not self._queue:
                    return
                parts: list[_Samples] = []
                lost, broken = self._queue[0][1], self._queue[0][2]
                taken = 0
                while (
                    self._queue and taken < most and not (parts and (self._queue[0][1] or self._queue[0][2]))
                ):
                    samples = self._queue.popleft()[0]
                    parts.append(samples)
                    taken += len(samples)
                self._waiting -= taken
                self._changed.notify_all()
            if lost or broken:
                self.scanner.add_break(lost, dropped=bool(lost))
            self.scanner.detect(parts[0] if len(parts) == 1 else np.concatenate(parts))
            self._looking.set()

    def _look(self) -> None:
        while not self._closing and self.error is None:
            self._looking.wait(_LOOKS)
            self._looking.clear()
            self.scanner.look()
