# SPDX-License-Identifier: GPL-3.0-or-later
"""Counters of a stream, for monitoring programs."""

import contextlib
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from amrq._version import __version__
from amrq.decision import REASONS
from amrq.errors import AmrqError
from amrq.files import write_whole
from amrq.machine import optional_package
from amrq.measure import InputReport
from amrq.model import NO_SIGNAL, UNKNOWN
from amrq.worker import Statistics

if TYPE_CHECKING:
    from prometheus_client import Metric

__all__ = ["CountersFile", "MetricsFile", "StreamState", "metrics_text"]


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

    A thread writes it again every few seconds, each time whole: who reads it never sees half of it. What is there
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
            # The disk may have room again before the end, which reports it if not; the stream matters more.
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


@dataclass(frozen=True)
class StreamState:
    """The state of a stream, for monitoring; None for unknown values.

    Attributes:
        counted: counters of chunks.
        source: a file, device or address.
        model: name of the model.
        model_sha256: of its file, in hexadecimal digits.
        samples: taken from the source.
        overflows: how often the radio lost samples.
        symbol_rate: symbols a second.
        level_db: power in the channel, dB of full scale.
        reconnections: how often the connection to the source was lost and made again.
        refused: messages or packets left out because they are not samples.
        silences: how often no sample came for three seconds.
        silent_seconds: since the last sample.
        confidence: of the symbol rate, 0 to 1.
        offset: of the signal from the middle of the band, Hz.
        report: what was seen of the input.
    """

    counted: Statistics
    source: str
    model: str
    model_sha256: str
    samples: int | None = None
    overflows: int | None = None
    symbol_rate: float | None = None
    level_db: float | None = None
    reconnections: int | None = None
    refused: int | None = None
    silences: int | None = None
    silent_seconds: float | None = None
    confidence: float | None = None
    offset: float | None = None
    report: InputReport | None = None


_CHUNKS = {
    "received": "Chunks taken from the stream: classified, silent, not finite, dropped or queued.",
    "classified": "Chunks that the model gave evidence on.",
    "silent": "Chunks without power.",
    "not_finite": "Chunks with a NaN or an infinity in them.",
    "dropped": "Chunks thrown away because the classifier was too slow for a live stream.",
}

_SOURCE = {
    "reconnections": "How often the connection to the source was lost and made again.",
    "refused": "Messages or packets left out since they are not samples.",
    "silences": "How often no sample came for three seconds.",
}


_INPUT = {
    "dc_decibels": "A line at 0 Hz, over the power of the signals.",
    "image_decibels": "The image that unbalanced I and Q make, over the power of the signals.",
    "clipped_ratio": "Share of samples at which the input was at its limit.",
}
_REPORTED = {"dc_decibels": "dc_db", "image_decibels": "image_db", "clipped_ratio": "clipped_share"}


class CountersFile:
    """A file of `amrq_` metrics in Prometheus's text format, written again every few seconds and at the end.

    Args:
        path: the file; for node_exporter's textfile collector its name ends in `.prom`.
        classes: that the model knows.
        observe: returns the state of the stream; called in a thread of the file's own.
        period: seconds from one writing to the next.

    Raises:
        AmrqError: the file cannot be written.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        classes: Iterable[str],
        observe: Callable[[], StreamState],
        period: float = 5.0,
    ) -> None:
        self._observe = observe
        self._lock = threading.Lock()
        # From the beginning every label and reason is there, so that its first decision shows as a step.
        self._decisions = Counter(dict.fromkeys([*classes, UNKNOWN, NO_SIGNAL], 0))
        self._reasons: Counter[str] = Counter(dict.fromkeys(REASONS, 0))
        self._es_n0_db: float | None = None
        self._snr_db: float | None = None
        self._started, self._started_utc = time.monotonic(), time.time()
        self._running = True
        self._file = MetricsFile(path, self._collect, period)

    def write(self, record: Mapping[str, Any]) -> None:
        """Count a record of `decision_record`."""
        with self._lock:
            self._decisions[record["label"]] += 1
            self._reasons[record["reason"]] += 1
            self._es_n0_db, self._snr_db = record["es_n0_db"], record.get("snr_db")

    def close(self) -> None:
        """Write the file for the last time.

        Raises:
            AmrqError: it cannot be written.
        """
        self._running = False
        self._file.close()

    def _collect(self) -> list["Metric"]:
        with self._lock:
            decisions, reasons = dict(self._decisions), dict(self._reasons)
            es_n0_db, snr_db = self._es_n0_db, self._snr_db
        state = self._observe()
        counted = state.counted.as_dict()
        info = {
            "source": state.source,
            "model": state.model,
            "model_sha256": state.model_sha256,
            "version": __version__,
        }
        lasted = round(time.monotonic() - self._started, 3)
        found = _Families()
        found.gauge("amrq_session_info", "What is received and what decides; always 1.", [(info, 1)])
        found.gauge("amrq_session_running", "1, and 0 once the session has ended.", int(self._running))
        found.gauge("amrq_session_start_time_seconds", "When it began, since 1970.", self._started_utc)
        found.counter("amrq_session_seconds_total", "How long the session has lasted.", lasted)
        found.counter("amrq_samples_received_total", "Samples taken from the source.", state.samples)
        found.counter(
            "amrq_source_overflows_total",
            "How often samples were lost on the way or not fetched in time.",
            state.overflows,
        )
        for name, text in _SOURCE.items():
            found.counter(f"amrq_source_{name}_total", text, getattr(state, name))
        found.gauge("amrq_source_silent_seconds", "Since the last sample came.", state.silent_seconds)
        for name, text in _CHUNKS.items():
            found.counter(f"amrq_chunks_{name}_total", text, counted[name])
        found.gauge("amrq_chunks_queued", "Chunks waiting or being worked on.", counted["queued"])
        labels = [({"label": label}, count) for label, count in sorted(decisions.items())]
        found.counter("amrq_decisions_total", "Decisions by label.", labels)
        kinds = [({"reason": reason}, count) for reason, count in reasons.items()]
        found.counter("amrq_decisions_by_reason_total", "Decisions by kind of answer.", kinds)
        found.gauge("amrq_symbol_rate_baud", "Symbols a second.", state.symbol_rate)
        found.gauge("amrq_symbol_rate_confidence", "Of the symbol rate; 1 if given.", state.confidence)
        found.gauge("amrq_offset_hertz", "Of the signal from the middle of the band.", state.offset)
        found.gauge("amrq_es_n0_decibels", "Es/N0 of the last decision, if its label is right.", es_n0_db)
        found.gauge("amrq_snr_decibels", "Of the signal in its band, at the last decision.", snr_db)
        found.gauge("amrq_level_decibels", "Power in the channel, of full scale.", state.level_db)
        if state.report is not None:
            for name, text in _INPUT.items():
                found.gauge(f"amrq_input_{name}", text, getattr(state.report, _REPORTED[name]))
        return found.metrics


_Value = float | Sequence[tuple[Mapping[str, str], float]] | None
"""A number, or one for each set of labels; None where nothing is known, which is left out."""


class _Families:
    """Metrics that are known, in order."""

    def __init__(self) -> None:
        self._client: Any = optional_package("prometheus_client.core", "counters for monitoring")
        self.metrics: list[Metric] = []

    def counter(self, name: str, description: str, value: _Value) -> None:
        self._add(self._client.CounterMetricFamily, name, description, value)

    def gauge(self, name: str, description: str, value: _Value) -> None:
        self._add(self._client.GaugeMetricFamily, name, description, value)

    def _add(self, family: Any, name: str, description: str, value: _Value) -> None:
        if value is None:
            return
        samples = [({}, value)] if isinstance(value, int | float) else value
        metric = family(name, description, labels=list(samples[0][0]))
        for labels, number in samples:
            metric.add_metric(list(labels.values()), number)
        self.metrics.append(metric)
