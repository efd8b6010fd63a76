# SPDX-License-Identifier: GPL-3.0-or-later
"""What the band display remembers of each emission: when it was on, how strong, and what it was called."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

__all__ = ["BandHistory", "EmissionHistory", "NameChange", "Stretch"]

_STRETCHES = 200
_NAMES = 50
_POINTS = 600
_POINT_SECONDS = 0.25
_EMISSIONS = 400
"""As many emissions are remembered, those seen last."""


@dataclass
class Stretch:
    """A time in which an emission was on, in samples of the source.

    Attributes:
        start: first sample.
        stop: last sample so far.
        lower, upper: its edges, Hz from the middle of the band.
    """

    start: int
    stop: int
    lower: float
    upper: float


@dataclass(frozen=True)
class NameChange:
    """From when on an emission had which name.

    Attributes:
        sample: of the source.
        label: the name.
        confidence: of the name at first, 0 to 1.
    """

    sample: int
    label: str
    confidence: float


@dataclass
class EmissionHistory:
    """The past of one emission.

    Attributes:
        stretches: when it was on, the oldest first.
        names: what it was called, the oldest first.
        strengths: (sample, SNR in dB), some four a second while it is on.
        record: the last that was reported of it.
    """

    stretches: deque[Stretch] = field(default_factory=lambda: deque(maxlen=_STRETCHES))
    names: deque[NameChange] = field(default_factory=lambda: deque(maxlen=_NAMES))
    strengths: deque[tuple[int, float]] = field(default_factory=lambda: deque(maxlen=_POINTS))
    record: Any = None


class BandHistory:
    """The past of all emissions, made of successive snapshots of a scanner."""

    def __init__(self) -> None:
        self.emissions: dict[int, EmissionHistory] = {}
        """By the emissions' identities, those seen last at the end."""

    def update(self, snapshot: Any) -> None:
        """Take in a snapshot (`amrq.scan.ScanSnapshot`).

        Args:
            snapshot: of the scanner; its emissions are those on the air and those that ended lately.
        """
        for record in snapshot.emissions:
            past = self.emissions.pop(record.id, None) or EmissionHistory()
            self.emissions[record.id] = past
            past.record = record
            _add_stretch(past.stretches, record, snapshot.now)
            if record.looks and (not past.names or past.names[-1].label != record.label):
                past.names.append(NameChange(record.last_seen, record.label, record.confidence))
            step = _POINT_SECONDS * snapshot.sample_rate
            if record.on and (not past.strengths or snapshot.now - past.strengths[-1][0] >= step):
                past.strengths.append((snapshot.now, record.snr_db))
        present = {record.id for record in snapshot.emissions}
        for number, past in self.emissions.items():
            if (
                past.record.on and number not in present
            ):  # forgotten, or too weak by now: it is not on the air
                past.record = replace(past.record, on=False)
        while len(self.emissions) > _EMISSIONS:
            del self.emissions[next(iter(self.emissions))]

    def keep(self, wanted: Callable[[Any], bool]) -> None:
        """Forget the emissions whose last record is not wanted."""
        self.emissions = {number: past for number, past in self.emissions.items() if wanted(past.record)}

    def clear(self) -> None:
        """Forget everything: another source, another frequency."""
        self.emissions.clear()


def _add_stretch(stretches: deque[Stretch], record: Any, now: int) -> None:
    """Prolong the present stretch, or begin the next one."""
    stop = max(record.stop, now) if record.on else record.stop
    last = stretches[-1] if stretches else None
    if last is not None and record.start <= max(last.start, last.stop):  # its beginning may have been refined
        last.start = min(last.start, record.start)
        last.stop, last.lower, last.upper = stop, record.lower, record.upper
    else:
        stretches.append(Stretch(record.start, stop, record.lower, record.upper))
