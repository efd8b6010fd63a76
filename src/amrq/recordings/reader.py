# SPDX-License-Identifier: GPL-3.0-or-later
"""What a format of recordings declares of itself, and what its reader is given."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path

from amrq.errors import AmrqError
from amrq.recordings.recording import NamedFacts, Recording, RecordingInfo
from amrq.recordings.sample_file import RawFormat
from amrq.text import engineering, printable

__all__ = ["Reader", "Request", "add_named_facts", "shown_time"]


@dataclass(frozen=True)
class Request:
    """What is asked for.

    Attributes:
        path: the file; it is there and is an ordinary file.
        sample_rate: samples a second; overrules what the file says; None where only the file knows.
        name: which recording of an archive or collection; None for the first.
        facts: what the file's name tells; None where it tells nothing.
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
        """The sample rate that is given, else that of the file's name; None where neither says it."""
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
    """A format of recordings, and what reads it. A module `*_recording` of this room lists its own in `READERS`.

    No other file names them: `amrq.recordings` finds these modules, and the formats that can be given, the suffixes,
    help texts, menus and error messages follow from what they declare.

    Attributes:
        format: its name, as `--format` takes it.
        about: what it is, in a few words for help and menus.
        suffixes: of such files, in lower case, with their dot.
        open: opens a file, or raises `AmrqError`.
        states_rate: whether a file states its sample rate; else it is the user's to give, unless the file's name does.
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
