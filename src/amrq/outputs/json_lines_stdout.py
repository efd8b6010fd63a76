# SPDX-License-Identifier: GPL-3.0-or-later
"""Records on standard output."""

import contextlib
import json
from collections.abc import Mapping
from typing import Any

from amrq.outputs.own_stdout import own_stdout

__all__ = ["JsonLinesStdout"]


class JsonLinesStdout:
    """One JSON object a line on standard output, each handed on at once.

    Until it is closed standard output is for records alone: what else the process writes there, GNU Radio's log for
    instance, goes to standard error.

    Raises:
        OutputError: standard output is closed.
    """

    def __init__(self) -> None:
        self._opened = contextlib.ExitStack()
        self._out = self._opened.enter_context(own_stdout())

    def write(self, record: Mapping[str, Any]) -> None:
        """Print a record.

        Raises:
            OutputError: nobody reads any more, or the disk is full.
        """
        self._out.write(json.dumps(record) + "\n")
        self._out.flush()
        self._out.check()

    def close(self) -> None:
        """Give standard output back."""
        self._opened.close()
