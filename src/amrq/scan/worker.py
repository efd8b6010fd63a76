# SPDX-License-Identifier: GPL-3.0-or-later
"""A scanner that works beside its source: whoever has the samples never waits.

Samples go into the scanner's ring, and that is the queue. A thread hands the detector one piece after the other, by its
numbers: to a process of its own where that is possible, otherwise it computes itself. Pieces are cut at the same places
whatever the timing, so both find the same. Another thread looks at emissions.
"""

import logging
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amrq.errors import AmrqError
from amrq.finder import FinderProcess, Found, Job, finder_process
from amrq.machine import end_at_exit
from amrq.scan.records import ScanEvent, ScanSnapshot
from amrq.scan.scanner import BandScanner

__all__ = ["ScanWorker"]

_LOG = logging.getLogger(__name__)
_PIECE = 0.04
"""Seconds of samples that are searched at a time: few calls, and a burst's end is soon seen."""
_RESERVE = 6
"""Pieces of the ring that are not searched any more: they may be overwritten while they are read."""
_LOOKS = 0.05  # seconds between two looks at whose turn it is, at most
_AT_ONCE = 0.5
"""Seconds of looks in a row; what is left has its turn again at once."""
_PATIENCE = 5.0
"""Seconds at the end without progress after which what waits is thrown away; threads then get as long to end."""
_LONGEST_END = 60.0
"""Seconds at the end for what waits, with progress."""
_LAST_LOOKS = 0.5  # seconds of looks after the end

_Samples = NDArray[np.complexfloating[Any, Any]]


@dataclass
class _Mark:
    """Something that happens before a sample."""

    place: int
    centre: tuple[float | None, ...] = ()
    """What the middle of the band stands for from here on, where that is new; otherwise samples are missing."""


class _ThisThread:
    """Does jobs in the thread that asks what came of them."""

    AT_ONCE = 1

    def __init__(self, scanner: BandScanner) -> None:
        self._scanner = scanner
        self._jobs: deque[Job] = deque()

    def send(self, job: Job) -> None:
        self._jobs.append(job)

    def receive(self) -> Found:
        return self._scanner.finder.do(self._jobs.popleft(), self._scanner.ring)

    def close(self) -> None:
        """Nothing is left."""

    def kill(self) -> None:
        """A thread cannot be ended from outside."""


class ScanWorker:
    """Runs a scanner beside its source: the detector in a process of its own, looks in a thread.

    Samples that were not searched in time are counted, and the scanner learns how many they were: its time stays that
    of the source. Where no process can be started, or with `AMRQ_DETECTOR_PROCESS=0` in the environment, the detector
    runs in a thread.

    Args:
        scanner: it belongs to the worker until `close`; `snapshot`, `picture` and `samples` may be called as before.
        queue_seconds: seconds of samples that may wait, above 0; less where the ring holds less, and two pieces, of
            40 ms each, at least.

    Raises:
        AmrqError: a value is out of its range.

    >>> worker = ScanWorker(BandScanner(1e6))
    >>> worker.start()
    >>> worker.put(np.zeros(1000, np.complex64))
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
        """What ended the work early; None if nothing did."""
        rate, capacity = scanner.sample_rate, scanner.ring.capacity
        self._piece = max(1, min(round(_PIECE * rate), capacity // 32))
        self._longest = max(1, capacity - _RESERVE * self._piece)
        # The detector waits for a whole piece: fewer samples would never be searched.
        self._most = max(2 * self._piece, min(round(queue_seconds * rate), self._longest))
        self._starting = True  # the queue has not been short yet
        self._marks: deque[_Mark] = deque()
        self._place = scanner.ring.end  # what is searched next
        self._end = scanner.ring.end
        self._changed = threading.Condition()
        self._looking = threading.Event()
        self._ready = threading.Event()  # the detector has started
        self._steps = 0  # jobs done
        self._done = self._place  # the sample before which all is searched or counted
        self._closing = self._ended = False
        self._finder: FinderProcess | _ThisThread = _ThisThread(scanner)
        self._threads = [
            threading.Thread(target=self._guard, args=(work,), name=name, daemon=True)
            for work, name in ((self._detect, "amrq scan"), (self._look, "amrq looks"))
        ]

    def start(self) -> None:
        """Start the threads, and the detector's process."""
        scanner = self.scanner
        apart, scanner.finder_apart = scanner.finder_apart, None  # it serves one worker
        if not self._place:
            self._finder = apart or finder_process(scanner.ring, scanner.finding) or self._finder
        elif apart is not None:  # what was found here goes on here
            apart.close()
        for thread in self._threads:
            thread.start()
            end_at_exit(thread, lambda: self.fail(AmrqError("the program has ended.")))

    @property
    def process_id(self) -> int | None:
        """Number of the detector's process; None where it runs in a thread."""
        return self._finder.pid if isinstance(self._finder, FinderProcess) else None

    def put(self, samples: _Samples, wait: bool = False) -> None:
        """Hand over samples, complex [n]; they are copied. From one thread.

        Args:
            samples: the next ones of the stream.
            wait: wait until they can be searched. Otherwise those for which there is no time are left out and counted.
        """
        place = 0
        while place < len(samples):
            count = min(len(samples) - place, self._longest)
            if wait:
                with self._changed:
                    self._changed.wait_for(lambda: self._waiting < self._most or self._over)
                    if self._over:
                        return
                    count = min(count, self._most - self._waiting)
            self.scanner.append(samples[place : place + count])
            place += count
            with self._changed:
                self._end += count
                self._changed.notify_all()

    def add_break(self) -> None:
        """Note that samples were lost before those that come next, nobody knows how many."""
        with self._changed:
            self.scanner.ring.add_break()
            self._marks.append(_Mark(self._end))

    def retune(self, centre_hz: float | None) -> None:
        """Note that the samples that come next are of another band; see `BandScanner.retune`."""
        with self._changed:
            self.scanner.ring.add_break()
            self._marks.append(_Mark(self._end, (centre_hz,)))
            self._changed.notify_all()

    def take_events(self) -> list[ScanEvent]:
        """Return what has happened since the last call."""
        return self.scanner.take_events()

    def snapshot(self) -> ScanSnapshot:
        """Return the scanner's table and counters."""
        return self.scanner.snapshot()

    def close(self, finish: bool = True) -> None:
        """Scan what waits, end all emissions, the threads and the process; the last events can then be taken.

        Args:
            finish: otherwise what waits is thrown away, and no emission is looked at any more. What was lost before
                that, for want of time, is counted all the same.
        """
        with self._changed:
            if self._closing:
                return
            self._closing = True
            unwanted = 0 if finish else self._throw_away()
            self._changed.notify_all()
        self._looking.set()
        if finish and self._threads[0].is_alive():
            self._ready.wait()  # what came meanwhile is searched then
        elif not self._ready.is_set():
            self._finder.kill()  # nobody wants what it would find
        ended = self._have_ended()
        if not ended or self.error is not None:
            with self._changed:
                self._throw_away()
                lost = max(0, self._end - self._done - unwanted)  # on their way, too
            self.scanner.count_dropped(lost)
        if not (ended or self._have_ended()):
            self.error = self.error or AmrqError(
                "the scan did not end in time; what it found last may be missing"
            )
            self._finder.kill()
        self._finder.close()
        if self.error is None:
            self.scanner.end_waiting(_LAST_LOOKS if finish else 0.0)
        else:
            self.scanner.abandon()

    def fail(self, error: Exception) -> None:
        """End the work early, since something around it went wrong; whoever waits for room stops waiting."""
        with self._changed:
            self.error = self.error or error
            self._changed.notify_all()
        self._looking.set()

    @property
    def _waiting(self) -> int:
        return self._end - self._place

    @property
    def _over(self) -> bool:
        return self._closing or self.error is not None

    def _throw_away(self) -> int:
        """Search nothing of what waits; return how many samples it was. The lock is held."""
        lost, self._place = self._waiting, self._end
        self._marks.clear()
        return lost

    def _have_ended(self) -> bool:
        """Wait for the threads to end, as long as they get on; return whether they have."""
        begun = moved = time.monotonic()
        steps = self._steps
        while alive := [thread for thread in self._threads if thread.is_alive()]:
            alive[0].join(min(0.1, _PATIENCE))
            now = time.monotonic()
            if steps != self._steps:
                steps, moved = self._steps, now
            if now - moved > _PATIENCE or now - begun > _LONGEST_END:
                return False
        return True

    def _guard(self, work: Any) -> None:
        try:
            work()
        except Exception as error:  # whoever puts samples in must learn of it
            self.fail(error)

    # The detector

    def _detect(self) -> None:
        try:
            if isinstance(self._finder, FinderProcess) and not self._finder.started():
                if not self._closing:
                    _LOG.warning("the detector runs in a thread, since its process did not start.")
                self._finder.close()
                self._finder = _ThisThread(self.scanner)
        finally:
            self._ready.set()  # `close` waits for it, whatever went wrong
        sent: deque[tuple[Job, tuple[float | None, ...]]] = deque()
        while True:
            while len(sent) < self._finder.AT_ONCE and (following := self._next_job(wait=not sent)):
                self._finder.send(following[0])
                sent.append(following)
            if not sent or self.error is not None:
                return
            found = self._finder.receive()
            job, centre = sent.popleft()
            self.scanner.take(job, found, *centre)
            self._done = job.stop
            self._steps += 1
            self._looking.set()

    def _next_job(self, wait: bool) -> tuple[Job, tuple[float | None, ...]] | None:
        """Return what the detector does next, and the middle of a new band; None for nothing yet, or at the end."""
        with self._changed:
            while (found := self._due()) is None and wait and not self._ended and self.error is None:
                self._changed.wait()
            if found is not None:
                self._place = found[0].stop
                self._changed.notify_all()
            return found

    def _due(self) -> tuple[Job, tuple[float | None, ...]] | None:
        """Return the next job, if there is one; the lock is held."""
        place, edge = self._place, self._marks[0].place if self._marks else None
        if place == edge:
            mark = self._marks.popleft()
            return Job("band" if mark.centre else "break", place, place), mark.centre
        until = self._end if edge is None else edge
        if (late := self._too_late()) > place:
            stop = min(late, until)
            return Job("lost", place, stop), ()
        if until - place >= self._piece:
            return Job("samples", place, place + self._piece), ()
        if place < until and (edge is not None or self._closing):
            return Job("samples", place, until), ()
        if self._closing and not self._ended:
            self._ended = True
            return Job("end", place, place), ()
        return None

    def _too_late(self) -> int:
        """Return the sample before which nothing is searched any more, for want of time; the lock is held."""
        if self._waiting <= (self._longest if self._starting else self._most):
            self._starting = self._starting and self._waiting > self._most // 2
            return 0
        # Few long gaps cost the detector less than many short ones.
        return self._end - self._most // 2

    # Looks

    def _look(self) -> None:
        while not self._over:
            self._looking.wait(_LOOKS)
            self._looking.clear()
            self.scanner.look(seconds=_AT_ONCE)
