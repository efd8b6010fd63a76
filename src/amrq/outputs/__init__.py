# SPDX-License-Identifier: GPL-3.0-or-later
"""Outputs of decisions (JSON lines, rotating files, ZMQ, SigMF annotations), and counters for monitoring."""

from amrq.outputs.annotations import AnnotationFile
from amrq.outputs.emissions import (
    EMISSION_RECORD_VERSION,
    EmissionAnnotations,
    EmissionCounters,
    EmissionOutputs,
    ScanState,
    emission_fields,
    emission_schema,
    signal_detail,
)
from amrq.outputs.history import HistoryQuery, ScanHistory, read_history
from amrq.outputs.metrics import CountersFile, MetricsFile, StreamState, metrics_text
from amrq.outputs.own_stdout import own_stdout, require_stdout, standard_streams
from amrq.outputs.record import RECORD_VERSION, Origin, Timeline, decision_record, decision_schema
from amrq.outputs.sigmf_recorder import RecorderState, SigmfRecorder
from amrq.outputs.writers import (
    DecisionOutputs,
    JsonLinesFile,
    JsonLinesStdout,
    OutputOptions,
    RecordThinner,
    Thinning,
    ZmqPublisher,
)

__all__ = [
    "EMISSION_RECORD_VERSION",
    "RECORD_VERSION",
    "AnnotationFile",
    "CountersFile",
    "DecisionOutputs",
    "EmissionAnnotations",
    "EmissionCounters",
    "EmissionOutputs",
    "HistoryQuery",
    "JsonLinesFile",
    "JsonLinesStdout",
    "MetricsFile",
    "Origin",
    "OutputOptions",
    "RecordThinner",
    "RecorderState",
    "ScanHistory",
    "ScanState",
    "SigmfRecorder",
    "StreamState",
    "Thinning",
    "Timeline",
    "ZmqPublisher",
    "decision_record",
    "decision_schema",
    "emission_fields",
    "emission_schema",
    "metrics_text",
    "own_stdout",
    "read_history",
    "require_stdout",
    "signal_detail",
    "standard_streams",
]
