# SPDX-License-Identifier: GPL-3.0-or-later
"""The counters of a stream in a file, for monitoring."""

import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from amrq._version import __version__
from amrq.decision import REASONS
from amrq.model import NO_SIGNAL, UNKNOWN
from amrq.outputs.metric import Metric
from amrq.outputs.metrics_file import MetricsFile
from amrq.outputs.stream_state import StreamState

__all__ = ["CountersFile"]

_CHUNKS = {
    "received": "Chunks taken from the stream: classified, silent, not finite, dropped or queued.",
    "classified": "Chunks that the model gave evidence on.",
    "silent": "Chunks without power.",
    "not_finite": "Chunks with a NaN or an infinity in them.",
    "dropped": "Chunks thrown away because the classifier was too slow for a live stream.",
}

_SOURCE = {
    "reconnections": "How often the connection to the source was lost and made again.",
    "refused": "Messages or packets left out since they are no samples.",
    "silences": "How often no sample came for three seconds.",
}


class CountersFile:
    """A file of `amrq_` metrics in Prometheus's text format, written anew every few seconds and at the end.

    Args:
        path: the file; for node_exporter's textfile collector its name ends in `.prom`.
        classes: that the model knows.
        observe: tells how the stream stands; called in a thread of the file's own.
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
        self._started, self._started_utc = time.monotonic(), time.time()
        self._running = True
        self._file = MetricsFile(path, self._collect, period)

    def write(self, record: Mapping[str, Any]) -> None:
        """Count a record of `decision_record`."""
        with self._lock:
            self._decisions[record["label"]] += 1
            self._reasons[record["reason"]] += 1
            self._es_n0_db = record["es_n0_db"]

    def close(self) -> None:
        """Write the file for the last time.

        Raises:
            AmrqError: it cannot be written.
        """
        self._running = False
        self._file.close()

    def _collect(self) -> list[Metric]:
        with self._lock:
            decisions, reasons, es_n0_db = dict(self._decisions), dict(self._reasons), self._es_n0_db
        state = self._observe()
        counted = state.counted.as_dict()
        info = {
            "source": state.source,
            "model": state.model,
            "model_sha256": state.model_sha256,
            "version": __version__,
        }
        lasted = round(time.monotonic() - self._started, 3)
        labels = [({"label": label}, count) for label, count in sorted(decisions.items())]
        kinds = [({"reason": reason}, count) for reason, count in reasons.items()]
        found = [
            Metric("amrq_session_info", "gauge", "What is received and what decides; always 1.", [(info, 1)]),
            _gauge("amrq_session_running", "1, and 0 once the session has ended.", int(self._running)),
            _gauge("amrq_session_start_time_seconds", "When it began, since 1970.", self._started_utc),
            _counter("amrq_session_seconds_total", "How long the session has lasted.", lasted),
            _counter("amrq_samples_received_total", "Samples taken from the source.", state.samples),
            _counter(
                "amrq_source_overflows_total",
                "How often samples were lost on the way or not fetched in time.",
                state.overflows,
            ),
            *(
                _counter(f"amrq_source_{name}_total", text, getattr(state, name))
                for name, text in _SOURCE.items()
            ),
            _gauge("amrq_source_silent_seconds", "Since the last sample came.", state.silent_seconds),
            *(_counter(f"amrq_chunks_{name}_total", text, counted[name]) for name, text in _CHUNKS.items()),
            _gauge("amrq_chunks_queued", "Chunks waiting or being worked on.", counted["queued"]),
            Metric("amrq_decisions_total", "counter", "Decisions by label.", labels),
            Metric("amrq_decisions_by_reason_total", "counter", "Decisions by kind of answer.", kinds),
            _gauge("amrq_symbol_rate_baud", "Symbols a second.", state.symbol_rate),
            _gauge("amrq_es_n0_decibels", "Es/N0 of the last decision, if its label is right.", es_n0_db),
            _gauge("amrq_level_decibels", "Power in the channel, of full scale.", state.level_db),
        ]
        return [metric for metric in found if metric is not None]


def _counter(name: str, description: str, value: float | None) -> Metric | None:
    return None if value is None else Metric(name, "counter", description, [({}, value)])


def _gauge(name: str, description: str, value: float | None) -> Metric | None:
    return None if value is None else Metric(name, "gauge", description, [({}, value)])
