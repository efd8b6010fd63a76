# SPDX-License-Identifier: GPL-3.0-or-later
"""One door for all recordings."""

import os
from dataclasses import replace
from pathlib import Path

from amrq.errors import AmrqError
from amrq.files import parsing
from amrq.recordings import raw_recording, sigmf_recording, wav_recording
from amrq.recordings.reader import Reader, Request
from amrq.recordings.recording import Recording, facts_of_name
from amrq.text import printable

__all__ = ["FORMATS", "SUFFIXES", "format_of", "open_recording"]

# A further kind of file is a module with READERS, and one word here.
_READERS: dict[str, Reader] = {
    reader.format: reader
    for kind in (sigmf_recording, wav_recording, raw_recording)
    for reader in kind.READERS
}

FORMATS = ("auto", *_READERS)
"""Names of the formats; `auto` goes by the file's suffix, or by its name where a program's names tell the format."""

SUFFIXES = {suffix: reader.format for reader in _READERS.values() for suffix in reader.suffixes}
"""The format that each known suffix stands for."""

# Suffixes that say that the samples are real, and what they are if they are I and Q after all.
_REAL = {".s8": "ci8", ".u8": "cu8", ".s16": "ci16", ".f32": "cf32"}


def format_of(path: Path) -> str:
    """Return the format that a file's name tells.

    Raises:
        AmrqError: it tells none; the sentence says what to give.
    """
    suffix = path.suffix.lower()
    facts = facts_of_name(path.name)
    if facts is not None and facts.format is not None and SUFFIXES.get(suffix) in (None, facts.format):
        return facts.format
    if suffix in SUFFIXES:
        return SUFFIXES[suffix]
    if suffix in _REAL:
        raise AmrqError(
            f"the suffix of {printable(path.name)} mostly stands for real samples, which are read from a "
            f"wav file of one channel: if it holds I and Q in turn, give its format (--format {_REAL[suffix]}) and "
            "sample rate (--rate)."
        )
    what = f"the suffix of {printable(path.name)}" if suffix else f"the name of {printable(path.name)}"
    raise AmrqError(
        f"{what} does not say what is in it: give its format (--format), one of "
        f"{', '.join(_READERS)}, and of a raw one the sample rate (--rate)."
    )


def open_recording(
    path: str | os.PathLike[str],
    format: str = "auto",
    sample_rate: float | None = None,
    name: str | None = None,
) -> Recording:
    """Open a recording.

    Args:
        path: the file; of a SigMF pair, either.
        format: one of `FORMATS`.
        sample_rate: samples a second; needed for raw files, elsewhere it overrules what the file says.
        name: which recording of a SigMF archive or collection; None takes the first and says so in `notes`.

    Raises:
        AmrqError: the file cannot be used; the message says why and what to change.
    """
    if not os.fspath(path):
        raise AmrqError("a recording's name is empty: give a file.")
    path = Path(path)
    if format not in FORMATS:
        raise AmrqError(f"there is no format {printable(format)!r}: choose from {', '.join(FORMATS)}.")
    with parsing(path):
        try:
            return _open(path, format, sample_rate, name)
        except OSError as error:
            raise AmrqError(
                f"{printable(path)} cannot be read: {error.strerror or printable(error)}."
            ) from None


def _open(path: Path, format: str, sample_rate: float | None, name: str | None) -> Recording:
    base = path.with_name(path.name + ".sigmf-meta") if path.name else path
    if not path.is_file() and base.is_file() and format in ("auto", "sigmf"):
        path = base  # SigMF's own way to name a recording: without either suffix
    shown = printable(path)
    if path.is_dir():
        raise AmrqError(
            f"{shown} is a folder{'' if path.name else ', or the name is empty'}: give a recording's file."
        )
    if path.is_fifo() or path.is_char_device() or path.is_socket():
        raise AmrqError(
            f"{shown} is a pipe or a device, which cannot be read here: amrq classify reads pipes, and amrq live "
            "standard input (--stdin)."
        )
    if not path.is_file():
        raise AmrqError(f"there is no file {shown}.")
    facts = facts_of_name(path.name)
    if format != "auto":
        facts = facts and replace(facts, format=None)  # what is said goes before the name
    else:
        format = format_of(path)
        if facts is not None and facts.format != format:
            facts = replace(facts, format=None)
    return _READERS[format].open(Request(path, sample_rate, name, facts))
