# SPDX-License-Identifier: GPL-3.0-or-later
"""Decisions on their way out: JSON lines, files that rotate, ZMQ, SigMF annotations."""

from amrq.outputs.annotation_file import AnnotationFile
from amrq.outputs.decision_record import decision_record
from amrq.outputs.decision_schema import decision_schema
from amrq.outputs.json_lines_file import JsonLinesFile
from amrq.outputs.origin import Origin
from amrq.outputs.timeline import Timeline
from amrq.outputs.zmq_publisher import ZmqPublisher

__all__ = [
    "AnnotationFile",
    "JsonLinesFile",
    "Origin",
    "Timeline",
    "ZmqPublisher",
    "decision_record",
    "decision_schema",
]
