# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors of a generated program as one sentence."""

import sys
from types import TracebackType
from typing import Any

from amrq.errors import AmrqError

__all__ = ["plain_errors", "raise_error"]


def plain_errors() -> None:
    """Let what the user can mend end the program with one sentence and exit status 2, not with a traceback.

    For programs that GNU Radio Companion writes: in a snippet of the section "Init - Before Blocks".
    """
    former = sys.excepthook

    def say(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if not issubclass(kind, AmrqError):
            former(kind, error, trace)
            return
        sys.stdout.flush()
        sys.stderr.write(f"{error}\n")
        sys.exit(2)

    sys.excepthook = say


def raise_error(flowgraph: Any) -> None:
    """Raise what ended a flowgraph before its time, if anything did: in a snippet of the section "Main - After Stop".

    Args:
        flowgraph: whose blocks are its attributes, as the Companion writes it.

    Raises:
        AmrqError: a block's reason.
    """
    for name, block in vars(flowgraph).items():
        error = getattr(block, "error", None)
        if isinstance(error, AmrqError):
            raise error
        if isinstance(error, Exception):
            raise AmrqError(f"{name} failed: {error}") from error
