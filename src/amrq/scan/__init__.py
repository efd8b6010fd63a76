# SPDX-License-Identifier: GPL-3.0-or-later
"""A band: which emissions are on the air, where, since when, how strong, and what they are."""

from amrq.scan.bands import open_band, sweep_steps
from amrq.scan.findings import Findings
from amrq.scan.looks import Looker
from amrq.scan.recorded_looks import RecordedSamples
from amrq.scan.recorder import Condition, EmissionRecorder
from amrq.scan.records import (
    BandPicture,
    EmissionRecord,
    ScanCounters,
    ScanEvent,
    ScanSnapshot,
    emission_record,
    measured_fields,
)
from amrq.scan.scanner import BandScanner
from amrq.scan.schedule import LookKind, ScanOptions, Scheduler, Turn
from amrq.scan.session import ScanOutputOptions, ScanSession
from amrq.scan.signal_watch import SignalCounts, SignalOptions, SignalWatch
from amrq.scan.survey import Survey, survey_recording
from amrq.scan.worker import ScanWorker

__all__ = [
    "BandPicture",
    "BandScanner",
    "Condition",
    "EmissionRecord",
    "EmissionRecorder",
    "Findings",
    "LookKind",
    "Looker",
    "RecordedSamples",
    "ScanCounters",
    "ScanEvent",
    "ScanOptions",
    "ScanOutputOptions",
    "ScanSession",
    "ScanSnapshot",
    "ScanWorker",
    "Scheduler",
    "SignalCounts",
    "SignalOptions",
    "SignalWatch",
    "Survey",
    "Turn",
    "emission_record",
    "measured_fields",
    "open_band",
    "survey_recording",
    "sweep_steps",
]
