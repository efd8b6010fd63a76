# SPDX-License-Identifier: GPL-3.0-or-later
"""I/Q recordings as people have them: SigMF, IQ wav, raw samples."""

from amrq.recordings.open_recording import FORMATS, open_recording
from amrq.recordings.recording import Annotation, Recording

__all__ = ["FORMATS", "Annotation", "Recording", "open_recording"]
