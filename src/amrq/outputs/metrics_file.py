# SPDX-License-Identifier: GPL-3.0-or-later
"""Metrics in a file that a monitoring program reads."""

import contextlib
import os
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from amrq.errors import AmrqError
from amrq.optional_package import optional_package
from amrq.whole_file import write_whole

if TYPE_CHECKING:
    from prometheus_client import Metric

__all__ = ["MetricsFile", "metrics_text"]


def metrics_text(metrics: Iterable["Metric"]) -> bytes:
    """Return metrics in Prometheus's text exposition format, version 0.0.4, in UTF-8.

    Args:
        metrics: families of prometheus_client, `GaugeMetricFamily` for instance.

    Raises:
        AmrqError: the package prometheus_client is missing.

    >>> from prometheus_client.core import CounterMetricFamily
    >>> print(metrics_text([CounterMetricFamily("amrq_calls", "Calls.", value=3)]).decode(), end="")
    # HELP amrq_calls_total Calls.
    # TYPE amrq_calls_total counter
    amrq_calls_total 3.0
    """
    client = optional_package("prometheus_client", "counters for monitoring")

    class Collected:
        def collect(self) -> Iterable["Metric"]:
            return metrics

    registry = client.CollectorRegistry()
    registry.register(Collected())
    text: bytes = client.generate_latest(registry)
    return text


class MetricsFile:
    """A file in Prometheus's text format, as node_exporter's textfile collector takes it, kept up to date.

    A thread writes it anew every few seconds, each time whole: who reads it never sees half of it. What is there
    already is replaced.

    Args:
        path: the file; for node_exporter its name ends in `.prom`.
        collect: returns what is to be written, families of prometheus_client; called in that thread.
        period: seconds from one writing to the next.

    Raises:
        AmrqError: the file cannot be written, or the package prometheus_client is missing.
    """

    def __init__(
        self, path: str | os.PathLike[str], collect: Callable[[], Iterable["Metric"]], period: float = 5.0
    ) -> None:
        self.path = Path(path).absolute()  # wherever the process goes meanwhile
        self._collect, self._period = collect, period
        self._closing = threading.Event()
        self._write()
        self._thread = threading.Thread(target=self._write_on, name="amrq counters", daemon=True)
        self._thread.start()

    def _write(self) -> None:
        write_whole(self.path, metrics_text(self._collect()), durable=False)

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
