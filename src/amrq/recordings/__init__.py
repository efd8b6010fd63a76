# SPDX-License-Identifier: GPL-3.0-or-later
"""I/Q recordings: SigMF, wav and raw samples."""

from amrq.recordings.open_recording import (
    FORMATS,
    RAW_FORMATS,
    SUFFIXES,
    find_readers,
    format_of,
    open_recording,
)
from amrq.recordings.recording import (
    AnalyticSignal,
    Annotation,
    Recording,
    RecordingInfo,
    UpperHalf,
    facts_of_name,
    upper_half,
)
from amrq.recordings.sample_stream import SampleStream, is_stream
from amrq.recordings.sigmf_metadata import read_sigmf_json
from amrq.recordings.sigmf_recording import write_sigmf

__all__ = [
    "FORMATS",
    "RAW_FORMATS",
    "SUFFIXES",
    "AnalyticSignal",
    "Annotation",
    "Recording",
    "RecordingInfo",
    "SampleStream",
    "UpperHalf",
    "facts_of_name",
    "find_readers",
    "format_of",
    "is_stream",
    "open_recording",
    "read_sigmf_json",
    "upper_half",
    "write_sigmf",
]
