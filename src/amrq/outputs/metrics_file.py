# SPDX-License-Identifier: GPL-3.0-or-later
"""Metrics in a file that a monitoring program reads."""

import contextlib
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from amrq.errors import AmrqError
from amrq.outputs.metric import Metric
from amrq.whole_file import write_whole

__all__ = ["MetricsFile"]


class MetricsFile:
    """A file in Prometheus's text format, as node_exporter's textfile collector takes it, kept up to date.

    A thread writes it anew every few seconds, each time whole: who reads it never sees half of it. What is there
    already is replaced.

    Args:
        path: the file; for node_exporter its name ends in `.prom`.
        collect: returns what is to be written; called in that thread.
        period: seconds from one writing to the next.

    Raises:
        AmrqError: the file cannot be written.
    """

    def __init__(
        self, path: str | os.PathLike[str], collect: Callable[[], Sequence[Metric]], period: float = 5.0
    ) -> None:
        self.path = Path(path).absolute()  # wherever the process goes meanwhile
        self._collect, self._period = collect, period
        self._closing = threading.Event()
        self._write()
        self._thread = threading.Thread(target=self._write_on, name="amrq counters", daemon=True)
        self._thread.start()

    def _write(self) -> None:
        text = "".join(metric.text() for metric in self._collect())
        write_whole(self.path, text, durable=False)

    def _write_on(self) -> None:
        while not self._closing.wait(self._period):
            # The disk may have room again before the end, which tells if not; the stream is worth more.
            with contextlib.suppress(AmrqError):
                self._write()

    def close(self) -> None:
        """Write the file for the last time.

        Raises:
            AmrqError: it cannot be written.
        """
        self._closing.set()
        self._thread.join()
        self._write()
