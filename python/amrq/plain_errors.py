# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors of a generated program as one sentence."""

import contextlib
import os
import sys
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Any

from gnuradio.amrq._errors import keep_errors

from amrq.errors import AmrqError, OutputClosedError, raise_together

__all__ = ["block_errors", "plain_errors", "raise_error", "raise_errors"]


def plain_errors(raised: bool = False) -> None:
    """Let what the user can mend end the program with one sentence and exit status 2, not with a traceback.

    An error with an exit status of its own ends it with that; where whoever read the output has gone, nothing is said.
    A window stays: what a control of it cannot set is said, and the program goes on.

    For programs that GNU Radio Companion writes: in a snippet of the section "Init - Before Blocks".

    Args:
        raised: the program calls `raise_error` after the flowgraph, so that blocks do not log what that says.
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


def _window_is_open() -> bool:
    """Return whether a Qt program's events are being handled."""
    core = sys.modules.get("PyQt5.QtCore")
    return core is not None and core.QThread.currentThread().loopLevel() > 0


def _without_output() -> None:
    """Let nothing more be written to standard output where nobody takes it: Python would complain as it ends."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError, AttributeError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.close(null)


def block_errors(named: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, Exception]]:
    """Yield (name, reason) of each block whose stream ended before its time.

    Args:
        named: names and blocks; what is not a block of GNU Radio is passed over, whatever attributes it has.
    """
    for name, block in named:
        error = None
        with contextlib.suppress(Exception):  # an attribute of something foreign may do as it likes
            error = block.error if hasattr(block, "to_basic_block") else None
        if isinstance(error, Exception):
            yield name, error


def raise_errors(named: Iterable[tuple[str, Any]]) -> None:
    """Raise what ended a flowgraph before its time, if anything did.

    Args:
        named: names and blocks.

    Raises:
        AmrqError: a block's reason; where several blocks have one, all of them, a sentence each.
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
    """Raise what ended a flowgraph before its time, if anything did: in a snippet of the section "Main - After Stop".

    Args:
        flowgraph: whose blocks are its attributes, as the Companion writes it.

    Raises:
        AmrqError: a block's reason.
    """
    raise_errors(vars(flowgraph).items())
