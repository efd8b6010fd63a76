# SPDX-License-Identifier: GPL-3.0-or-later
"""Interleaved raw I/Q samples."""

from functools import partial

import numpy as np

from amrq.errors import RecordingError
from amrq.recordings.open_recording import Reader, Request, add_named_facts
from amrq.recordings.recording import Recording, RecordingInfo
from amrq.recordings.sample_file import RawFormat, SampleFile, file_size, number_format
from amrq.text import counted

__all__ = ["READERS"]

# A float recording outside these magnitudes is far more likely integers read as floats.
_PLAUSIBLE_FLOAT = (1e-15, 1e9)
_LOOKED_AT = 32_768


def _open(format: str, known: RawFormat, request: Request) -> Recording:
    """Open a file of interleaved I and Q values and nothing else.

    Raises:
        RecordingError: it cannot be read, is empty, or its values do not fit the format.
    """
    request.single()
    length, rest = divmod(file_size(request.path), known.sample_size)
    notes: tuple[str, ...] = ()
    if rest and not length:
        raise RecordingError(
            f"{request.shown} has {counted(rest, 'byte')}, less than one {format} sample: it was cut, or its format is "
            "another one."
        )
    if rest:
        notes += (
            f"{request.shown} ends with {counted(rest, 'byte')} of a {format} sample, left out: it was cut, or its "
            "format is another one (--format).",
        )
    samples = SampleFile(request.path, known, length, [(0, 0)])
    info = add_named_facts(RecordingInfo(request.path, request.known_rate or 0.0, notes=notes), request)
    recording = Recording(info, samples)
    if known.dtype.kind == "f":
        _check_plausible(recording, format, request.shown)
    return recording


def _check_plausible(recording: Recording, format: str, shown: str) -> None:
    first = np.abs(recording.read(0, _LOOKED_AT).view(np.float32))
    first = first[np.isfinite(first) & (first > 0)]
    lowest, highest = _PLAUSIBLE_FLOAT
    if len(first) and not lowest < float(np.median(first)) < highest:
        raise RecordingError(
            f"the values of {shown} have a median magnitude of {float(np.median(first)):.1e}, which no "
            f"receiver writes as {format}: give the right format (--format)."
        )


def _reader(
    format: str, number: str, about: str, suffixes: tuple[str, ...], real_suffixes: tuple[str, ...]
) -> Reader:
    """Return the reader of one format; `number` is SigMF's name for its numbers."""
    samples = number_format(number)
    assert samples is not None, number
    open_file = partial(_open, format, samples)
    return Reader(format, about, suffixes, open_file, False, samples, real_suffixes)


_FLOATS = (".cf32", ".cfile", ".fc32", ".c64", ".complex64", ".complex")

READERS = (
    _reader("cf32", "cf32_le", "raw, pairs of 32-bit floats", _FLOATS, (".f32",)),
    _reader(
        "ci16",
        "ci16_le",
        "raw, pairs of 16-bit integers",
        (".ci16", ".cs16", ".sc16", ".complex32s"),
        (".s16",),
    ),
    _reader("ci8", "ci8", "raw, pairs of signed bytes", (".ci8", ".cs8", ".sc8", ".complex16s"), (".s8",)),
    _reader(
        "cu8", "cu8", "raw, pairs of unsigned bytes, an RTL-SDR's", (".cu8", ".uc8", ".complex16u"), (".u8",)
    ),
)
"""One for each format of raw samples, in files and in streams."""
