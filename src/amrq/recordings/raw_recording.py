# SPDX-License-Identifier: GPL-3.0-or-later
"""Interleaved raw I/Q samples."""

from functools import partial

import numpy as np

from amrq.errors import AmrqError
from amrq.recordings.reader import Reader, Request, add_named_facts
from amrq.recordings.recording import Recording, RecordingInfo
from amrq.recordings.sample_file import RAW_FORMATS, SampleFile, file_size
from amrq.text import counted

__all__ = ["READERS"]

# A float recording outside these magnitudes is far more likely integers read as floats.
_PLAUSIBLE_FLOAT = (1e-15, 1e9)
_LOOKED_AT = 32_768


def _open(format: str, request: Request) -> Recording:
    """Open a file of interleaved I and Q values and nothing else.

    Raises:
        AmrqError: it cannot be read, is empty, has no sample rate, or its values do not fit the format.
    """
    request.single()
    known, size = RAW_FORMATS[format], file_size(request.path)
    facts = request.facts
    sample_rate = request.sample_rate
    if sample_rate is None and facts is not None:
        sample_rate = facts.sample_rate
    if sample_rate is None:
        raise AmrqError(f"{request.shown} is raw and does not state its sample rate: give it (--rate).")
    length, rest = divmod(size, known.sample_size)
    notes: tuple[str, ...] = ()
    if rest and not length:
        raise AmrqError(
            f"{request.shown} has {counted(rest, 'byte')}, less than one {format} sample: it was cut, or its format is "
            "another one."
        )
    if rest:
        notes += (
            f"{request.shown} ends with {counted(rest, 'byte')} of a {format} sample, left out: it was cut, or its "
            "format is another one (--format).",
        )
    samples = SampleFile(request.path, known, length, [(0, 0)])
    info = add_named_facts(RecordingInfo(request.path, sample_rate, notes=notes), request)
    recording = Recording(info, samples)
    if format == "cf32":
        _check_plausible(recording, request.shown)
    return recording


def _check_plausible(recording: Recording, name: str) -> None:
    first = np.abs(recording.read(0, _LOOKED_AT).view(np.float32))
    first = first[np.isfinite(first) & (first > 0)]
    lowest, highest = _PLAUSIBLE_FLOAT
    if len(first) and not lowest < float(np.median(first)) < highest:
        raise AmrqError(
            f"the values of {name} have a median magnitude of {float(np.median(first)):.1e}, which no "
            "receiver writes as cf32: give the right format (--format)."
        )


_KINDS = (
    ("cf32", (".cf32", ".cfile", ".fc32", ".c64", ".complex64", ".complex"), "raw, pairs of 32-bit floats"),
    ("ci16", (".ci16", ".cs16", ".sc16", ".complex32s"), "raw, pairs of 16-bit integers"),
    ("ci8", (".ci8", ".cs8", ".sc8", ".complex16s"), "raw, pairs of signed bytes"),
    ("cu8", (".cu8", ".uc8", ".complex16u"), "raw, pairs of unsigned bytes, an RTL-SDR's"),
)

READERS = tuple(Reader(format, suffixes, about, partial(_open, format)) for format, suffixes, about in _KINDS)
"""One for each raw format."""
