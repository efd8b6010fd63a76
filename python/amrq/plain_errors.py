# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors of a generated program, printed as one sentence."""

import contextlib
import os
import sys
import threading
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Any

from gnuradio.amrq._errors import keep_errors

from amrq.errors import AmrqError, OutputClosedError, raise_together

__all__ = ["block_errors", "plain_errors", "raise_error", "raise_errors"]

_OF_QT, _DELETED = "wrapped C/C++ object", "has been deleted"
"""How PyQt's message begins and ends, where an object of Qt's is used that is no longer there."""


def plain_errors(raised: bool = False) -> None:
    """End the program on a user's error with one sentence and exit status 2, not with a traceback.

    An error with an exit status of its own ends the program with that status. If the reader of the output has gone,
    nothing is printed. A program with a window goes on: if one of its controls sets a wrong value, the sentence is
    printed. What a thread could not show any more, as the window was closed, is no error.

    For programs that GNU Radio Companion writes: call it in a snippet of the section "Init - Before Blocks".

    Args:
        raised: True if the program calls `raise_error` after the flowgraph; blocks then do not log their errors.
    """
    if raised:
        keep_errors()
    former = sys.excepthook

    def say(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if not isinstance(error, AmrqError):
            former(kind, error, trace)
            return
        with contextlib.suppress(OSError, ValueError, AttributeError):
            sys.stdout.flush()
        if not isinstance(error, OutputClosedError):
            with contextlib.suppress(OSError, ValueError):
                sys.stderr.write(f"{error}\n")
                sys.stderr.flush()
        if not _window_is_open():
            _without_output()
            sys.exit(error.exit_status)

    sys.excepthook = say
    of_threads = threading.excepthook

    def say_of_thread(raised: threading.ExceptHookArgs) -> None:
        if not _is_of_closed_window(raised.exc_value):
            of_threads(raised)

    threading.excepthook = say_of_thread


def _is_of_closed_window(error: BaseException | None) -> bool:
    """Return whether a thread had something to show while its window was being closed.

    The Companion polls with threads that nothing ends: one may come between the window's end and the program's.
    """
    return isinstance(error, RuntimeError) and str(error).startswith(_OF_QT) and str(error).endswith(_DELETED)


def _window_is_open() -> bool:
    """Return whether a Qt program's events are being handled."""
    core = sys.modules.get("PyQt5.QtCore")
    return core is not None and core.QThread.currentThread().loopLevel() > 0


def _without_output() -> None:
    """Discard further output if nobody reads standard output: Python would otherwise print an error at its end."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError, AttributeError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.close(null)


def block_errors(named: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, Exception]]:
    """Yield (name, reason) of each block whose stream ended early.

    Args:
        named: names and blocks; objects that are not GNU Radio blocks are skipped.
    """
    for name, block in named:
        error = None
        with contextlib.suppress(Exception):  # an attribute of a foreign object may raise anything
            error = block.error if hasattr(block, "to_basic_block") else None
        if isinstance(error, Exception):
            yield name, error


def raise_errors(named: Iterable[tuple[str, Any]]) -> None:
    """Raise the error that ended a flowgraph early, if there was one.

    Args:
        named: names and blocks.

    Raises:
        AmrqError: the errors of all blocks that have one, a sentence each.
    """
    errors: list[AmrqError] = []
    for name, error in block_errors(named):
        if not isinstance(error, AmrqError):
            cause = error
            error = AmrqError(f"{name} failed: {str(cause).rstrip('.') or type(cause).__name__}.")
            error.__cause__ = cause
        errors.append(error)
    raise_together(errors)


def raise_error(flowgraph: Any) -> None:
    """Raise the error that ended a flowgraph early; call it in a snippet of the section "Main - After Stop".

    Args:
        flowgraph: a flowgraph as the Companion writes it: its blocks are attributes.

    Raises:
        AmrqError: the errors of the blocks.
    """
    raise_errors(vars(flowgraph).items())
