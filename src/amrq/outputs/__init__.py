# SPDX-License-Identifier: GPL-3.0-or-later
"""Outputs of decisions (JSON lines, rotating files, ZMQ, SigMF annotations), and counters for monitoring."""

from amrq.outputs.annotations import AnnotationFile
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
    "RECORD_VERSION",
    "AnnotationFile",
    "CountersFile",
    "DecisionOutputs",
    "JsonLinesFile",
    "JsonLinesStdout",
    "MetricsFile",
    "Origin",
    "OutputOptions",
    "RecordThinner",
    "RecorderState",
    "SigmfRecorder",
    "StreamState",
    "Thinning",
    "Timeline",
    "ZmqPublisher",
    "decision_record",
    "decision_schema",
    "metrics_text",
    "own_stdout",
    "require_stdout",
    "standard_streams",
]
