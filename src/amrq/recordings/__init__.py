# SPDX-License-Identifier: GPL-3.0-or-later
"""I/Q recordings as people have them: SigMF, IQ wav, raw samples."""

from amrq.recordings.open_recording import FORMATS, open_recording
from amrq.recordings.raw_formats import RAW_FORMATS
from amrq.recordings.recording import Annotation, Recording
from amrq.recordings.write_sigmf import write_sigmf

__all__ = ["FORMATS", "RAW_FORMATS", "Annotation", "Recording", "open_recording", "write_sigmf"]
