# SPDX-License-Identifier: GPL-3.0-or-later
"""Decisions on their way out: JSON lines, files that rotate, ZMQ, SigMF annotations; and counters for monitoring."""

from amrq.outputs.annotation_file import AnnotationFile
from amrq.outputs.counters_file import CountersFile
from amrq.outputs.decision_outputs import DecisionOutputs, OutputOptions
from amrq.outputs.decision_record import decision_record
from amrq.outputs.decision_schema import RECORD_VERSION, decision_schema
from amrq.outputs.json_lines_file import JsonLinesFile
from amrq.outputs.json_lines_stdout import JsonLinesStdout
from amrq.outputs.metrics_file import MetricsFile, metrics_text
from amrq.outputs.origin import Origin
from amrq.outputs.record_thinner import RecordThinner, Thinning
from amrq.outputs.sigmf_recorder import RecorderState, SigmfRecorder
from amrq.outputs.stream_state import StreamState
from amrq.outputs.timeline import Timeline
from amrq.outputs.zmq_publisher import ZmqPublisher

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
]
