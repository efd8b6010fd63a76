# SPDX-License-Identifier: GPL-3.0-or-later
"""Readers of recordings: their interface, and the search for the one that fits a file."""

import importlib
import os
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from types import MappingProxyType

from amrq.errors import AmrqError, RecordingError
from amrq.files import parsing
from amrq.recordings.recording import NamedFacts, Recording, RecordingInfo, facts_of_name
from amrq.recordings.sample_file import RawFormat
from amrq.text import engineering, printable

__all__ = [
    "FORMATS",
    "RAW_FORMATS",
    "SUFFIXES",
    "Reader",
    "Request",
    "add_named_facts",
    "find_readers",
    "format_of",
    "open_recording",
    "shown_time",
]


@dataclass(frozen=True)
class Request:
    """A request to open a recording.

    Attributes:
        path: the file, an existing ordinary file.
        sample_rate: samples a second; overrules what the file says; None where only the file knows.
        name: which recording of an archive or collection; None for the first.
        facts: values stated in the file's name; None if there are none.
    """

    path: Path
    sample_rate: float | None = None
    name: str | None = None
    facts: NamedFacts | None = None

    @property
    def shown(self) -> str:
        """The path, safe to show."""
        return printable(self.path)

    @property
    def known_rate(self) -> float | None:
        """The given sample rate, or else that of the file's name; None without either."""
        named = None if self.facts is None else self.facts.sample_rate
        return named if self.sample_rate is None else self.sample_rate

    def single(self) -> None:
        """Refuse a name: the file holds one recording.

        Raises:
            AmrqError: a name is given.
        """
        if self.name is not None:
            raise AmrqError(f"{self.shown} holds one recording, not several: leave --recording out.")


@dataclass(frozen=True)
class Reader:
    """A format of recordings, and its reader. Each module `*_recording` of this package lists its readers in `READERS`.

    No other file lists them: `amrq.recordings` finds these modules, and takes formats, suffixes, help texts, menus and
    error messages from their readers.

    Attributes:
        format: its name, as `--format` takes it.
        about: description in a few words, for help and menus.
        suffixes: of such files, in lower case, with the dot.
        open: opens a file, or raises `AmrqError`.
        states_rate: whether a file states its sample rate; otherwise the user gives it, unless the file's name does.
        samples: how bytes become samples where they come without a file, from a pipe or a network; None: only files are
            read.
        real_suffixes: further suffixes of such numbers, which mostly stand for real samples, so that a file is read as
            I and Q only where its format is given.

    Raises:
        ValueError: a suffix is not a suffix in lower case.

    >>> toy = Reader("toy", "a toy's own file", (".toy",), lambda request: Recording(...))
    >>> toy.samples is None
    True
    """

    format: str
    about: str
    suffixes: tuple[str, ...]
    open: Callable[[Request], Recording]
    states_rate: bool = True
    samples: RawFormat | None = None
    real_suffixes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for suffix in (*self.suffixes, *self.real_suffixes):
            if not suffix.startswith(".") or suffix != suffix.lower():
                raise ValueError(
                    f"{suffix!r} of the format {self.format} is not a suffix in lower case: '.sigmf'."
                )


def add_named_facts(info: RecordingInfo, request: Request) -> RecordingInfo:
    """Return what is said of a recording with time and frequency from its file's name where the file has none.

    What is taken is said in a note; so is the sample rate, where it is the name's.
    """
    facts = request.facts
    if facts is None:
        return info
    taken: list[str] = []
    if not info.tunings and facts.frequency:  # SDR programs write 0 Hz where they do not know it
        info = replace(info, tunings=((0, facts.frequency),))
        taken.append(f"frequency {engineering(facts.frequency, 'Hz')}")
    if info.begun is None and facts.begun is not None:
        info = replace(info, begun=facts.begun)
        taken.append(shown_time(facts.begun) + (", read as this machine's local time" if facts.local else ""))
    if (
        facts.sample_rate is not None
        and request.sample_rate is None
        and info.sample_rate == facts.sample_rate
    ):
        taken.append(f"sample rate {engineering(facts.sample_rate, 'S/s')}")
    if facts.format is not None:
        taken.append(f"format {facts.format}")
    if not taken:
        return info
    note = f"from the name of {request.shown}, as {facts.program} gives it: {', '.join(taken)}."
    return replace(info, notes=(*info.notes, note))


def shown_time(moment: datetime) -> str:
    """Return a time for people, in UTC.

    >>> shown_time(datetime(2024, 5, 17, 12, 34, 56, tzinfo=timezone.utc))
    'time 2024-05-17 12:34:56 UTC'
    """
    return f"time {moment.astimezone(timezone.utc).strftime('%Y-%m-%d %H:%M:%S')} UTC"


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
    """Return the format of a file by its name.

    Raises:
        RecordingError: the name has no known format; the sentence says what to give.

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
        name: which recording of a SigMF archive or collection; None takes the first and says so in
            `SampleStream.notes`.

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
