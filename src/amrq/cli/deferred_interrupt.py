# SPDX-License-Identifier: GPL-3.0-or-later
"""Ctrl-C at a moment of the program's own choosing."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

__all__ = ["deferred_interrupt"]


@contextlib.contextmanager
def deferred_interrupt(*others: int) -> Iterator[threading.Event]:
    """Let the first Ctrl-C set an event, to be looked at where nothing is half done; the second one interrupts.

    Must be entered in the main thread.

    Args:
        others: further signals that are to do the same as Ctrl-C's.
    """
    interrupted = threading.Event()

    def handle(number: int, frame: FrameType | None) -> None:
        if interrupted.is_set():
            raise KeyboardInterrupt
        interrupted.set()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, *others)}
    try:
        yield interrupted
    finally:
        for number, former in before.items():
            signal.signal(number, former)
