# SPDX-License-Identifier: GPL-3.0-or-later
"""One door for all recordings, and the formats that it knows."""

import importlib
import os
import pkgutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from amrq.errors import AmrqError, RecordingError
from amrq.files import parsing
from amrq.recordings.reader import Reader, Request
from amrq.recordings.recording import Recording, facts_of_name
from amrq.recordings.sample_file import RawFormat
from amrq.text import printable

__all__ = ["FORMATS", "RAW_FORMATS", "SUFFIXES", "find_readers", "format_of", "open_recording"]

_ROOM, _, _MYSELF = __name__.rpartition(".")


def find_readers() -> dict[str, Reader]:
    """Return the readers by format: all that modules `*_recording` of this room list as `READERS`.

    Formats that state their sample rate come first, then raw ones; each kind in the order of its names.

    Raises:
        ValueError: two readers have the same format or suffix.
    """
    found: dict[str, Reader] = {}
    owners: dict[str, str] = {}
    for module in pkgutil.iter_modules(importlib.import_module(_ROOM).__path__):
        if not module.name.endswith("_recording") or module.name == _MYSELF:
            continue
        for reader in importlib.import_module(f"{_ROOM}.{module.name}").READERS:
            for name in (reader.format, *reader.suffixes, *reader.real_suffixes):
                if name in owners:
                    raise ValueError(f"{name} is read by {owners[name]} and by {module.name}: only one may.")
                owners[name] = module.name
            found[reader.format] = reader
    return dict(sorted(found.items(), key=lambda item: (not item[1].states_rate, item[0])))


_READERS = find_readers()

FORMATS: Mapping[str, str] = MappingProxyType(
    {"auto": "by the file's name"} | {name: reader.about for name, reader in _READERS.items()}
)
"""The formats, and what each is; `auto` goes by the file's suffix, or by its name where a program's names tell it."""

SUFFIXES: Mapping[str, str] = MappingProxyType(
    {suffix: reader.format for reader in _READERS.values() for suffix in reader.suffixes}
)
"""The format that each known suffix stands for."""

RAW_FORMATS: Mapping[str, RawFormat] = MappingProxyType(
    {name: reader.samples for name, reader in _READERS.items() if reader.samples is not None}
)
"""The formats whose samples can come through a pipe or a network, and how their bytes become samples."""

_REAL = {suffix: reader.format for reader in _READERS.values() for suffix in reader.real_suffixes}


def format_of(path: Path) -> str:
    """Return the format that a file's name tells.

    Raises:
        RecordingError: it tells none; the sentence says what to give.

    >>> from pathlib import Path
    >>> format_of(Path("my.cu8")), format_of(Path("take.sigmf-meta"))
    ('cu8', 'sigmf')
    """
    suffix = path.suffix.lower()
    facts = facts_of_name(path.name)
    if facts is not None and facts.format is not None and SUFFIXES.get(suffix) in (None, facts.format):
        return facts.format
    if suffix in SUFFIXES:
        return SUFFIXES[suffix]
    if suffix in _REAL:
        raise RecordingError(
            f"the suffix of {printable(path.name)} mostly stands for real samples, which are read from a "
            f"wav file of one channel: if it holds alternating I and Q, give its format (--format {_REAL[suffix]}) and "
            "sample rate (--rate)."
        )
    what = f"the suffix of {printable(path.name)}" if suffix else f"the name of {printable(path.name)}"
    raise RecordingError(
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
        sample_rate: samples a second; needed where neither the file nor its name states it, else it overrules them.
        name: which recording of a SigMF archive or collection; None takes the first and says so in `notes`.

    Raises:
        RecordingError: the file cannot be used; the message says why and what to change.
        AmrqError: there is no such format.

    >>> import tempfile, numpy as np
    >>> path = tempfile.mkdtemp() + "/noise.cf32"
    >>> np.zeros(1000, dtype=np.complex64).tofile(path)
    >>> recording = open_recording(path, sample_rate=48e3)
    >>> recording.length, recording.sample_rate, recording.read(0, 3).tolist()
    (1000, 48000.0, [0j, 0j, 0j])
    """
    if not os.fspath(path):
        raise AmrqError("a recording's name is empty: give a file.")
    path = Path(path)
    if format not in FORMATS:
        raise AmrqError(f"there is no format {printable(format)!r}: choose from {', '.join(FORMATS)}.")
    with parsing(path, kind=RecordingError):
        try:
            return _open(path, format, sample_rate, name)
        except OSError as error:
            raise RecordingError(
                f"{printable(path)} cannot be read: {error.strerror or printable(error)}."
            ) from None


def _open(path: Path, format: str, sample_rate: float | None, name: str | None) -> Recording:
    base = path.with_name(path.name + ".sigmf-meta") if path.name else path
    if not path.is_file() and base.is_file() and format in ("auto", "sigmf"):
        path = base  # SigMF's own way to name a recording: without either suffix
    shown = printable(path)
    if path.is_dir():
        raise RecordingError(
            f"{shown} is a folder{'' if path.name else ', or the name is empty'}: give a recording's file."
        )
    if path.is_fifo() or path.is_char_device() or path.is_socket():
        raise RecordingError(
            f"{shown} is a pipe or a device, which cannot be read here: amrq classify reads pipes, and amrq live "
            "standard input (--stdin)."
        )
    if not path.is_file():
        raise RecordingError(f"there is no file {shown}.")
    facts = facts_of_name(path.name)
    if format != "auto":
        facts = facts and replace(facts, format=None)  # what is said goes before the name
    else:
        format = format_of(path)
        if facts is not None and facts.format != format:
            facts = replace(facts, format=None)
    reader, request = _READERS[format], Request(path, sample_rate, name, facts)
    if not reader.states_rate and request.known_rate is None:
        raise RecordingError(
            f"{shown} is read as {format}, which does not state its sample rate: give it (--rate)."
        )
    return reader.open(request)
