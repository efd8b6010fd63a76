# SPDX-License-Identifier: GPL-3.0-or-later
"""Handling of signals that end the program: it ends between two steps of work, within a time limit."""

import contextlib
import os
import select
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType

__all__ = [
    "ENDING_SIGNALS",
    "deferred_interrupt",
    "ended_in_time",
    "joined",
    "leave_behind",
    "something_left_behind",
    "too_late",
]

ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_IN_TIME = 1.7
"""Seconds from the first signal to the end, whatever a thread is at."""
_JOINED = 1.0
"""Seconds from the first signal on that threads get to end; the rest is for closing files."""
_TWICE = 0.1  # seconds in which a repeated signal is the same one: shells pass on signals


class _Watch:
    """Handles signals in a thread, since Python's own handlers wait for the main thread, which may be busy."""

    def __init__(self) -> None:
        self.events: list[threading.Event] = []
        """Set at the first signal."""
        self.first = float("inf")
        """When the first signal came."""
        self.patient = 0
        """How many of those who are at work want to end when they are ready, however long that takes."""
        self._read, self._write = os.pipe()
        os.set_blocking(self._write, False)
        self._before = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        self._thread = threading.Thread(target=self._look, name="amrq signals", daemon=True)
        self._thread.start()

    def close(self) -> None:
        signal.set_wakeup_fd(self._before)
        os.close(self._write)
        self._thread.join()
        os.close(self._read)

    def _look(self) -> None:
        until, number = float("inf"), 0
        while True:
            patience = until - time.monotonic()
            ready = select.select(
                [self._read], [], [], None if patience == float("inf") else max(0, patience)
            )[0]
            if not ready:
                if self.patient:
                    until = float("inf")
                    continue
                _end_at_once(number, "something was still at work and is given up")
            came = os.read(self._read, 64)
            if not came:
                return
            for number in set(came) & set(ENDING_SIGNALS):
                now = time.monotonic()
                if now > self.first + _TWICE and number != signal.SIGHUP:
                    _end_at_once(number, "")
                if self.first == float("inf"):
                    self.first, until = now, now + _IN_TIME
                for event in self.events:
                    event.set()


_watch: _Watch | None = None
_left_behind = False


def _end_at_once(number: int, why: str) -> None:
    if why and select.select([], [2], [], 0)[1]:
        with contextlib.suppress(OSError):
            os.write(2, f"amrq: {why}.\n".encode())
    os._exit(128 + number)


@contextlib.contextmanager
def ended_in_time() -> Iterator[None]:
    """End the program within 2 seconds of the first SIGINT, SIGTERM or SIGHUP, and at once on the second.

    This holds even if a thread is in a call that does not return or writes to a pipe that nobody reads; the exit
    status is then 128 plus the signal's number. Work inside a patient `deferred_interrupt` may take longer. Call it
    once, in the main thread.
    """
    global _watch
    if _watch is not None or threading.current_thread() is not threading.main_thread():
        yield
        return
    _watch = _Watch()
    try:
        yield
    finally:
        _watch.close()
        _watch = None


@contextlib.contextmanager
def deferred_interrupt(*others: int, patient: bool = False) -> Iterator[threading.Event]:
    """Make the first Ctrl-C set an event, which the work checks between two steps; the second one interrupts.

    Must be entered in the main thread. A SIGHUP that is ignored, as under nohup, stays ignored.

    Args:
        others: further signals with the same effect as Ctrl-C.
        patient: the work may take longer than 2 seconds to end (see `ended_in_time`).
    """
    interrupted = threading.Event()
    began = 0.0

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal began
        if _watch is None and began and time.monotonic() > began + _TWICE:
            raise KeyboardInterrupt
        began = began or time.monotonic()
        interrupted.set()

    numbers = [
        number
        for number in (signal.SIGINT, *others)
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN
    ]
    before = {number: signal.signal(number, handle) for number in numbers}
    if _watch is not None:
        _watch.events.append(interrupted)
        _watch.patient += patient
    try:
        yield interrupted
    finally:
        for number, former in before.items():
            signal.signal(number, former)
        if _watch is not None:
            _watch.events.remove(interrupted)
            _watch.patient -= patient


def joined(thread: threading.Thread, seconds: float = 10.0) -> bool:
    """Wait for a thread to end; return whether it ended.

    If it did not end, it is registered as left behind: Python's own exit would wait for it or fail because of it.

    Args:
        thread: the thread.
        seconds: how long to wait; less after a signal that ends the program.
    """
    began = time.monotonic()
    while thread.is_alive():
        if too_late(began, seconds):
            leave_behind()
            return False
        thread.join(0.05)
    return True


def too_late(began: float, seconds: float = 10.0) -> bool:
    """Return whether the time to wait for something to end is over; a signal shortens it.

    Args:
        began: when the waiting began, by `time.monotonic`.
        seconds: how long to wait.
    """
    first = float("inf") if _watch is None else _watch.first
    return time.monotonic() > min(began + seconds, first + _JOINED)


def leave_behind() -> None:
    """Note that a thread did not end: Python's own exit would wait for it or fail because of it."""
    global _left_behind
    _left_behind = True


def something_left_behind() -> bool:
    """Return whether a thread did not end; the program must then end without Python's own clean-up."""
    return _left_behind
