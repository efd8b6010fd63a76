# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors in a block's own code end the flowgraph instead of hanging it or ending the process."""

import functools
from collections.abc import Callable
from typing import Any

from amrq.errors import AmrqError, OutputClosedError
from amrq.text import printable

__all__ = ["guarded", "guarded_handler", "guarded_run", "keep_errors", "note_error"]

_END_OF_STREAM = -1
_Handler = Callable[[Any, Any], None]
_kept = False  # whether errors are not logged, since whoever runs the flowgraph raises them


def keep_errors() -> None:
    """Let blocks keep what ends a flowgraph, without a line in the log: whoever runs it raises it (`raise_errors`)."""
    global _kept
    _kept = True


def note_error(block: Any, error: Exception, ending: str = "") -> None:
    """Keep a block's errors as its `error`, and log them, where they are not raised later.

    Args:
        block: whose error it is.
        error: what went wrong.
        ending: what follows from it, a sentence.
    """
    former = getattr(block, "error", None)
    if former is None:
        block.error = error
    elif isinstance(former, AmrqError) and str(error) not in str(former):
        former.args = (f"{former} {error}",)
    if _kept or isinstance(error, OutputClosedError):  # nobody reads any more: nothing to say
        return
    kind = "" if isinstance(error, AmrqError) else f"{type(error).__name__}: "
    block.logger.error(printable(f"{kind}{error} {ending}".rstrip(), 2000))


def guarded(work: Callable[..., int]) -> Callable[..., int]:
    """Make `work` log any exception, keep it as `self.error`, and end the stream.

    An exception that leaves `work` kills the block's thread and leaves the other blocks waiting for ever;
    the return value -1 tells the scheduler that this block is done, and so ends them all.
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
    """Make `start` or `stop` keep any exception as `self.error`, which would end the process.

    After an error in `start` the block ends the flowgraph as soon as that runs.
    """

    @functools.wraps(step)
    def run(self: Any) -> bool:
        starting = step.__name__ == "start"
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


def guarded_handler(complaint: str) -> Callable[[_Handler], _Handler]:
    """Make a message handler log any exception, the same one once in a row: it would end the handler's thread.

    A message is from elsewhere: what cannot be used of it is no reason to end the flowgraph.

    Args:
        complaint: what is said before the reason.
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
