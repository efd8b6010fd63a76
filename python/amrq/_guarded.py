# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors in a block's own code end the flowgraph instead of hanging it."""

import functools
from collections.abc import Callable
from typing import Any

__all__ = ["guarded"]

_END_OF_STREAM = -1


def guarded(work: Callable[..., int]) -> Callable[..., int]:
    """Make `work` log any exception, keep it as `self.error`, and end the stream.

    An exception that leaves `work` kills the block's thread and leaves the other blocks waiting for ever;
    the return value -1 tells the scheduler that this block is done, and so ends them all.
    """

    @functools.wraps(work)
    def run(self: Any, *arguments: Any) -> int:
        try:
            return work(self, *arguments)
        except Exception as error:
            self.error = error
            self.logger.error(f"{type(error).__name__}: {error} The flowgraph ends here.")
            return _END_OF_STREAM

    return run
