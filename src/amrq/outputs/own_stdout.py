# SPDX-License-Identifier: GPL-3.0-or-later
"""Standard output for results alone."""

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import TextIO

__all__ = ["own_stdout"]


@contextlib.contextmanager
def own_stdout() -> Iterator[TextIO]:
    """Keep standard output for results: what GNU Radio's C++ side writes there goes to standard error."""
    sys.stdout.flush()
    own = os.dup(1)
    os.dup2(2, 1)
    try:
        with os.fdopen(os.dup(own), "w") as stream:
            yield stream
    finally:
        os.dup2(own, 1)
        os.close(own)
