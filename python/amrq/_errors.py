# SPDX-License-Identifier: GPL-3.0-or-later
"""Handling of errors in a block's own code: they end the flowgraph and neither hang it nor end the process.

A block's thread keeps its Python state from `start` to `stop` too: see `guarded_run`.
"""

import ctypes
import functools
import threading
from collections.abc import Callable
from typing import Any

from amrq.errors import AmrqError, OutputClosedError
from amrq.text import printable

__all__ = ["guarded", "guarded_handler", "guarded_run", "keep_errors", "note_error"]

_END_OF_STREAM = -1
_LOCKED = 0  # what PyGILState_Ensure returns to a thread that has Python's lock
_Handler = Callable[[Any, Any], None]
_kept = False  # True: errors are not logged, since the program that runs the flowgraph raises them


def keep_errors() -> None:
    """Keep errors in the blocks without logging them; the program that runs the flowgraph calls `raise_errors`."""
    global _kept
    _kept = True


def note_error(block: Any, error: Exception, ending: str = "") -> None:
    """Store an error as the block's `error`, and log it unless it is raised later.

    Args:
        block: the block in which the error occurred.
        error: the exception.
        ending: the consequence, a sentence for the log.
    """
    former = getattr(block, "error", None)
    if former is None:
        block.error = error
    elif isinstance(former, AmrqError) and str(error) not in str(former):
        former.args = (f"{former} {error}",)
    if _kept or isinstance(error, OutputClosedError):  # the reader of the output has gone: no message
        return
    kind = "" if isinstance(error, AmrqError) else f"{type(error).__name__}: "
    block.logger.error(printable(f"{kind}{error} {ending}".rstrip(), 2000))


def guarded(work: Callable[..., int]) -> Callable[..., int]:
    """Make `work` log any exception, store it as `self.error`, and end the stream.

    An exception that leaves `work` ends the block's thread, and the other blocks wait forever. The return value -1
    reports to the scheduler that this block is done, which ends all blocks.
    """

    @functools.wraps(work)
    def run(self: Any, *arguments: Any) -> int:
        if getattr(self, "_not_started", False):
            return _END_OF_STREAM
        try:
            return work(self, *arguments)
        except Exception as error:
            note_error(self, error, "The flowgraph ends here.")
            return _END_OF_STREAM

    run._guarded = True  # type: ignore[attr-defined]
    return run


def guarded_run(step: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """Make `start` or `stop` store any exception as `self.error`: if it left the method, it would end the process.

    After an error in `start` the block ends the flowgraph as soon as the flowgraph runs.

    GNU Radio calls both in the block's own thread, which is not one of Python's: Python would make its state of that
    thread, and map and unmap memory for it, at each of some hundred calls a second, which takes longer than the calls
    of a small block. From `start` to `stop` the state is held.
    """

    @functools.wraps(step)
    def run(self: Any) -> bool:
        starting = step.__name__ == "start"
        _hold_thread(self, starting)
        if starting:
            self._not_started = False
        try:
            return step(self)
        except Exception as error:
            note_error(self, error)
            if starting:
                self._not_started = True
            return True

    run._guarded = True  # type: ignore[attr-defined]
    return run


def _hold_thread(block: Any, starting: bool) -> None:
    """Have Python keep its state of a block's thread from `start` on; let it go in `stop`, if that is the same thread.

    A block without a guarded `stop` would never let it go.
    """
    if not getattr(getattr(type(block), "stop", None), "_guarded", False):
        return
    held, here = getattr(block, "_thread_held", None), threading.get_ident()
    if starting and held != here:
        ctypes.pythonapi.PyGILState_Ensure()
        block._thread_held = here
    elif not starting and held == here:
        ctypes.pythonapi.PyGILState_Release(_LOCKED)
        block._thread_held = None


def guarded_handler(complaint: str) -> Callable[[_Handler], _Handler]:
    """Make a message handler log any exception, which would otherwise end the handler's thread.

    A message comes from another block: one that cannot be used does not end the flowgraph. An error that repeats is
    logged once.

    Args:
        complaint: text of the log line, before the reason.
    """

    def decorate(handle: _Handler) -> _Handler:
        @functools.wraps(handle)
        def run(self: Any, message: Any) -> None:
            try:
                handle(self, message)
            except Exception as error:
                kind = "" if isinstance(error, AmrqError) else f"{type(error).__name__}: "
                text = printable(f"{complaint}: {kind}{error}", 2000)
                if text != getattr(self, "_last_complaint", ""):  # there may be thousands a second
                    self._last_complaint = text
                    self.logger.error(text)

        run._guarded = True  # type: ignore[attr-defined]
        return run

    return decorate
