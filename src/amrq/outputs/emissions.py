# SPDX-License-Identifier: GPL-3.0-or-later
"""Records of emissions to files, ZMQ, SigMF annotations and counters; their schema."""

import contextlib
import json
import os
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from amrq._version import __version__
from amrq.errors import AmrqError, all_closed
from amrq.outputs.annotations import AnnotationFile
from amrq.outputs.history import ScanHistory
from amrq.outputs.metrics import MetricsFile, _Families
from amrq.outputs.writers import JsonLinesFile, JsonLinesStdout, OutputOptions, ZmqPublisher
from amrq.text import printable

if TYPE_CHECKING:
    from prometheus_client import Metric

__all__ = [
    "EMISSION_RECORD_VERSION",
    "EmissionAnnotations",
    "EmissionCounters",
    "EmissionOutputs",
    "ScanState",
    "emission_fields",
    "emission_schema",
    "signal_detail",
]

EMISSION_RECORD_VERSION = 2
"""Version of the records of emissions, in their field `schema`."""


_SIGNAL_EXTENSION = {"name": "signal", "version": "1.0.0", "optional": True}
_DIGITAL, _ANALOG = {"type": "digital"}, {"type": "analog"}
_DETAILS: dict[str, dict[str, Any]] = {
    "am": _ANALOG | {"mod_class": "am", "carrier_variant": "with_carrier"},
    "ssb": _ANALOG | {"mod_class": "ssb", "carrier_variant": "suppressed_carrier"},
    "fm_narrow": _ANALOG | {"mod_class": "fm"},
    "fm_wide": _ANALOG | {"mod_class": "fm"},
    "ook": _DIGITAL | {"mod_class": "ook"},
    "fsk2": _DIGITAL | {"mod_class": "fsk", "order": 2},
    "fsk4": _DIGITAL | {"mod_class": "fsk", "order": 4},
    "fskm": _DIGITAL | {"mod_class": "fsk"},
    "linear": _DIGITAL,
    "pi4dqpsk": _DIGITAL | {"mod_class": "psk", "order": 4, "symbol_variant": "differential"},
    "oqpsk": _DIGITAL | {"mod_class": "psk", "order": 4, "symbol_variant": "offset"},
    "ofdm": _DIGITAL | {"carrier_variant": "multi_carrier", "multiplexing": "ofdm"},
    "chirp": _DIGITAL | {"spreading": "csss"},
    "dsss": _DIGITAL | {"spreading": "dsss"},
}
"""What the `signal` extension says of each family."""
_LINEAR = {
    "BPSK": {"mod_class": "psk", "order": 2},
    "QPSK": {"mod_class": "psk", "order": 4},
    "pi/2-BPSK": {"mod_class": "psk", "order": 2, "symbol_variant": "differential"},
}


def emission_schema() -> dict[str, Any]:
    """Return the schema (draft 2020-12) that every record of an emission keeps.

    >>> emission_schema()["title"]
    'gr-amrq emission, version 2'
    """
    path = Path(__file__).with_name(f"emission-{EMISSION_RECORD_VERSION}.schema.json")
    schema: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return schema


def emission_fields() -> frozenset[str]:
    """Return the names of the fields of a record that hold one value.

    >>> {"label", "snr_db"} <= emission_fields(), "measures" in emission_fields()
    (True, False)
    """
    about = emission_schema()["properties"]
    return frozenset(name for name, one in about.items() if one.get("type") not in ("object", "array"))


class EmissionAnnotations(AnnotationFile):
    """Writes emissions in a SigMF recording into its metadata, each with its frequency edges.

    See `AnnotationFile`: annotations of others stay, and the file is written when it is closed.

    Args:
        recording: the recording's `.sigmf-meta`, `.sigmf-data` or name without suffix.
        path: the `.sigmf-meta` to write; that of the recording itself is allowed.

    Raises:
        AmrqError: the recording's metadata cannot be read.
    """

    def __init__(self, recording: str | os.PathLike[str], path: str | os.PathLike[str]) -> None:
        super().__init__(recording, path)
        self._emissions: list[dict[str, Any]] = []
        self._changed = True  # that there is none is news, too

    def write(self, record: Mapping[str, Any]) -> None:
        """Take in the record of an emission that is over."""
        if record["event"] != "end" or record.get("part_of"):
            return
        named = (
            f"{printable(record['summary'] or record['label'], 300)}, confidence {record['confidence']:.3f}"
        )
        answer = (
            named
            if record["confidence"] > 0
            else f"{printable(record['label'])}: {printable(record['reason'])}"
        )
        snr = "" if record["snr_db"] is None else f", {record['snr_db']:.1f} dB"
        annotation = {
            "core:sample_start": self._first + record["sample_start"],
            "core:sample_count": record["sample_count"],
            "core:freq_lower_edge": record["freq_lower_edge"],
            "core:freq_upper_edge": record["freq_upper_edge"],
            "core:label": printable(record["label"]),
            "core:comment": f"{answer}{snr}",
            "core:generator": self.generator,
        }
        if detail := signal_detail(record):
            self.use_extension(_SIGNAL_EXTENSION)
            annotation["signal:detail"] = detail
        self._emissions.append(annotation)

    def _own(self) -> list[dict[str, Any]]:
        return self._emissions


def signal_detail(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the `signal:detail` of an emission, of SigMF's extension `signal`; empty where that has no words for it.

    The standard is only there where the protocol is no guess.

    >>> signal_detail({"family": "linear", "label": "8PSK", "protocols": []})
    {'type': 'digital', 'mod_class': 'psk', 'order': 8}
    """
    detail = dict(_DETAILS.get(record["family"], {}))
    if not detail:
        return {}
    if found := re.fullmatch(r"([0-9]+)(PSK|QAM|ASK|FSK)", record["label"]):
        detail |= {"mod_class": found[2].lower(), "order": int(found[1])}
    elif record["family"] == "linear":
        named = _LINEAR.get(record["label"])
        detail = {**detail, **named} if named else {"type": "digital"}
    sure = next((one["name"] for one in record["protocols"] if one["named"] and not one["guess"]), None)
    return detail if sure is None else {**detail, "standard": sure}


@dataclass(frozen=True)
class ScanState:
    """The state of a scan, for monitoring.

    Attributes:
        source: a file, device or address.
        samples: taken in.
        dropped: samples lost because the scanner was too slow.
        overflows: how often the source lost samples; None where it is not known.
        on_air: emissions on the air, by family and label.
        waiting: emissions that wait for a look.
        missed: emissions that ended without a look, for want of time.
        suppressed: emissions that were not reported, because there were too many at a time.
        looks: taken.
        seconds: of processor time.
        load: processor time over the time of the stream, cores.
    """

    source: str
    samples: int = 0
    dropped: int = 0
    overflows: int | None = None
    on_air: Mapping[tuple[str, str], int] = field(default_factory=dict)
    waiting: int = 0
    missed: int = 0
    suppressed: int = 0
    looks: int = 0
    seconds: float = 0.0
    load: float = 0.0


_COUNTED = {
    "samples": ("amrq_samples_received_total", "Samples taken from the source."),
    "dropped": ("amrq_scan_samples_dropped_total", "Samples lost because the scanner was too slow."),
    "overflows": (
        "amrq_source_overflows_total",
        "How often samples were lost on the way or not fetched in time.",
    ),
    "missed": ("amrq_scan_missed_total", "Emissions that ended without a look, for want of time."),
    "suppressed": (
        "amrq_scan_suppressed_total",
        "Emissions not reported because there were too many at a time.",
    ),
    "looks": ("amrq_scan_looks_total", "Looks at emissions."),
    "seconds": ("amrq_scan_processor_seconds_total", "Processor time used."),
}


class EmissionCounters:
    """A file of `amrq_` metrics of a scan in Prometheus's text format, kept up to date.

    Args:
        path: the file; for node_exporter's textfile collector its name ends in `.prom`.
        observe: returns the state of the scan; called in a thread of the file's own.

    Raises:
        AmrqError: the file cannot be written.
    """

    def __init__(self, path: str | os.PathLike[str], observe: Callable[[], ScanState]) -> None:
        self._observe = observe
        self._lock = threading.Lock()
        self._ended: Counter[tuple[str, str]] = Counter()
        self._started, self._started_utc = time.monotonic(), time.time()
        self._running = True
        self._file = MetricsFile(path, self._collect)

    def write(self, record: Mapping[str, Any]) -> None:
        """Count a record of an emission; a part of another one is none of its own."""
        if record["event"] == "end" and not record.get("part_of"):
            with self._lock:
                self._ended[record["family"], record["label"]] += 1

    def close(self) -> None:
        """Write the file for the last time.

        Raises:
            AmrqError: it cannot be written.
        """
        self._running = False
        self._file.close()

    def _collect(self) -> "list[Metric]":
        state = self._observe()
        with self._lock:
            ended = dict(self._ended)
        found = _Families()
        info = {"source": state.source, "version": __version__}
        found.gauge("amrq_session_info", "What is received; always 1.", [(info, 1)])
        found.gauge("amrq_session_running", "1, and 0 once the session has ended.", int(self._running))
        found.gauge("amrq_session_start_time_seconds", "When it began, since 1970.", self._started_utc)
        lasted = round(time.monotonic() - self._started, 3)
        found.counter("amrq_session_seconds_total", "How long the session has lasted.", lasted)
        for name, (metric, text) in _COUNTED.items():
            found.counter(metric, text, getattr(state, name))
        found.gauge("amrq_scan_waiting", "Emissions that wait for a look.", state.waiting)
        found.gauge("amrq_scan_load_cores", "Processor time over the time of the stream.", state.load)
        found.gauge("amrq_scan_on_air", "Emissions on the air by family and label.", _counted(state.on_air))
        found.counter(
            "amrq_scan_emissions_total", "Emissions that ended, by family and label.", _counted(ended)
        )
        return found.metrics


def _counted(counts: Mapping[tuple[str, str], int]) -> list[tuple[dict[str, str], float]]:
    """Return counts with their labels; of none, a zero."""
    found = dict(counts) or {("unknown", "unknown"): 0}
    return [({"family": family, "label": label}, count) for (family, label), count in sorted(found.items())]


class EmissionOutputs:
    """Records of emissions to every output that has a name; an empty name is no output.

    Args:
        options: where records go; `changes` and `every` do not count.
        observe: returns the state of the scan, for the counters.
        history: SQLite file that keeps the emissions that are over; empty for none.
        say: called with a sentence where an output has to wait; None: nobody is told.

    Raises:
        AmrqError: one of them cannot be opened; none is then.
    """

    def __init__(
        self,
        options: OutputOptions,
        observe: Callable[[], ScanState],
        history: str = "",
        say: Callable[[str], None] | None = None,
    ) -> None:
        self._writers: list[
            JsonLinesFile
            | JsonLinesStdout
            | ZmqPublisher
            | EmissionCounters
            | ScanHistory
            | EmissionAnnotations
        ] = []
        try:
            if options.log:
                self._writers.append(JsonLinesStdout() if options.log == "-" else JsonLinesFile(options.log))
            if options.publish:
                self._writers.append(ZmqPublisher(options.publish))
            if options.counters:
                self._writers.append(EmissionCounters(options.counters, observe))
            if history:
                self._writers.append(ScanHistory(history, say))
        except AmrqError:
            with contextlib.suppress(AmrqError):
                self.close()
            raise

    def annotate(self, annotations: EmissionAnnotations) -> None:
        """Write records into a recording's metadata as well."""
        self._writers.append(annotations)

    def write(self, record: Mapping[str, Any]) -> None:
        """Hand on a record to each output, whatever another one says.

        Raises:
            AmrqError: outputs cannot take it; what each of them says.
        """
        with all_closed() as to_do:
            for writer in reversed(self._writers):
                to_do(partial(writer.write, record))

    def close(self) -> None:
        """Close them all.

        Raises:
            AmrqError: outputs cannot write their last; what each of them says.
        """
        writers, self._writers = self._writers, []
        with all_closed() as to_do:
            for writer in writers:
                to_do(writer.close)
