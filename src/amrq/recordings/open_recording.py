# SPDX-License-Identifier: GPL-3.0-or-later
"""One door for all recordings."""

import os
from pathlib import Path

from amrq.errors import AmrqError
from amrq.recordings.raw_formats import RAW_FORMATS
from amrq.recordings.raw_recording import RawRecording
from amrq.recordings.recording import Recording

__all__ = ["FORMATS", "open_recording"]

FORMATS = ("auto", "sigmf", "wav", *RAW_FORMATS)
"""Names of the formats; `auto` goes by the file's suffix."""

_SUFFIXES = {
    ".sigmf-meta": "sigmf",
    ".sigmf-data": "sigmf",
    ".sigmf": "sigmf",
    ".wav": "wav",
    ".rf64": "wav",
    ".w64": "wav",
    ".cf32": "cf32",
    ".cfile": "cf32",
    ".fc32": "cf32",
    ".complex": "cf32",
    ".ci16": "ci16",
    ".cs16": "ci16",
    ".sc16": "ci16",
    ".complex16s": "ci8",
    ".ci8": "ci8",
    ".cs8": "ci8",
    ".sc8": "ci8",
    ".cu8": "cu8",
    ".uc8": "cu8",
    ".complex16u": "cu8",
}


def open_recording(
    path: str | os.PathLike[str], format: str = "auto", sample_rate: float | None = None
) -> Recording:
    """Open a recording.

    Args:
        path: the file; of a SigMF pair, either.
        format: one of `FORMATS`.
        sample_rate: samples a second; needed for raw files, elsewhere it overrules what the file says.

    Raises:
        AmrqError: the file cannot be used; the message says why and what to change.
    """
    path = Path(path)
    if format not in FORMATS:
        raise AmrqError(f"there is no format {format!r}: choose from {', '.join(FORMATS)}.")
    base = path.with_name(path.name + ".sigmf-meta")
    if not path.is_file() and base.is_file() and format in ("auto", "sigmf"):
        path = base  # SigMF's own way to name a recording: without either suffix
    if path.is_dir():
        raise AmrqError(f"{path} is a folder: give a recording in it.")
    if not path.is_file():
        raise AmrqError(f"there is no file {path}.")
    if format == "auto":
        if path.suffix.lower() not in _SUFFIXES:
            raise AmrqError(
                f"the suffix of {path.name} does not tell what is in it: give its format (--format), one of "
                f"{', '.join(FORMATS[1:])}."
            )
        format = _SUFFIXES[path.suffix.lower()]
    # Each reader's package is loaded when it is needed: raw files need none.
    if format == "sigmf":
        from amrq.recordings.sigmf_recording import SigMFRecording

        return SigMFRecording(path, sample_rate)
    if format == "wav":
        from amrq.recordings.wav_recording import WavRecording

        return WavRecording(path, sample_rate)
    if sample_rate is None:
        raise AmrqError(f"{path} is raw and does not tell its sample rate: give it (--rate).")
    return RawRecording(path, format, sample_rate)
