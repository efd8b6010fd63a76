# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose turn it is: which emission is looked at next, for how much processor time, and what came too late."""

import math
from dataclasses import dataclass, field
from enum import IntEnum

from amrq.options import above, at_least, between, check, described, option

__all__ = ["LookKind", "ScanOptions", "Scheduler", "Turn"]

_BANKED = 0.5
"""Seconds of the budget that may be saved up: a burst of new emissions is looked at at once."""
_OVERDUE = 4.0
"""Periods after which a steady emission is as urgent as one that has changed."""
_CALMEST = 3
"""How often the time to the next identification doubles, while what is found stays the same."""
_GROWN = 2.0
"""A doubtful emission is looked at again once so many times the samples are there."""


@described
@dataclass(frozen=True)
class ScanOptions:
    """How a band is scanned.

    Raises:
        AmrqError: a value is out of its range.

    >>> ScanOptions(look_every=1.0).budget
    0.5
    """

    model: str = option("default", "An ONNX file, a shipped model's name, or 'default'.")
    family_model: str = option(
        "family",
        "The model of families: an ONNX file, a shipped model's name, or 'family'.",
        flag="--family-model",
    )
    false_alarms: float = option(
        1.0,
        "False emissions an hour that are allowed. Fewer need stronger signals.",
        within=above(0, at_most=1e6),
        flag="--false-alarms",
    )
    look_every: float = option(
        0.5,
        "Time between two looks at an emission that lasts.",
        unit="s",
        within=above(0, at_most=3600),
    )
    name_every: float = option(
        10.0,
        "Time between two full identifications of an emission that lasts and does not change; up to eight times as "
        "long when it stays the same.",
        unit="s",
        within=above(0, at_most=86400),
        advanced=True,
    )
    budget: float = option(
        0.5,
        "Processor time for looks, in cores, while a source is received. A recording has all the time that it needs.",
        within=above(0, at_most=64),
    )
    memory: float = option(
        4.0,
        "Time of the band that is kept, so that the beginning of an emission is not lost; less at high sample rates.",
        unit="s",
        within=between(0.1, 600),
        label="Band Kept",
        advanced=True,
    )
    most_records: float = option(
        50.0,
        "Emissions a second that are reported at most; further ones are counted.",
        within=above(0, at_most=1e6),
        label="Most Emissions a Second",
        advanced=True,
    )
    group_hops: bool = option(
        False,
        "Give emissions alike that follow each other on other frequencies a common number: hops of one transmitter.",
        flag="--group-hops",
    )
    shown: float = option(
        60.0,
        "Time that an emission stays in the table after its end.",
        unit="s",
        within=at_least(0),
        advanced=True,
    )

    def __post_init__(self) -> None:
        """Check the values."""
        check(self)


class LookKind(IntEnum):
    """Why an emission is looked at, the most urgent first."""

    ENDED = 0  # it is over, and nobody has looked at it
    NEW = 1
    CHANGED = 2  # or there are more samples of a doubtful one
    STEADY = 3


@dataclass(frozen=True)
class Turn:
    """An emission whose turn it is.

    Attributes:
        id: of the emission.
        kind: why.
        full: whether it is to be identified; otherwise only whether it has changed is looked at.
    """

    id: int
    kind: LookKind
    full: bool

    @property
    def glanced(self) -> bool:
        """Whether a glance does where there is no time for more: it has a name, and has not changed."""
        return not self.full or self.kind is LookKind.STEADY


@dataclass
class _Entry:
    """What the scheduler knows of an emission. Times are seconds of the stream."""

    kind: LookKind = LookKind.NEW
    ready: float = 0.0  # from when on its turn may come
    named: float | None = None  # when it was last identified
    calm: int = 0  # how often an identification has found what was known before
    full: bool = True  # the look at an emission that is over is an identification


@dataclass
class Scheduler:
    """Choose which emissions are looked at, within a budget of processor time.

    New emissions come first, then those that have changed, then steady ones now and then. Times are seconds of the
    stream, so that a recording gives the same turns each time.

    Args:
        options: periods and budget.
        limited: the budget counts; otherwise everything is looked at.

    Attributes:
        missed: emissions that ended and could not be looked at in time.
        looks: turns taken.
        spent: seconds of processor time in looks.

    >>> scheduler = Scheduler(ScanOptions())
    >>> scheduler.begin(1, now=0.0, enough=0.1)
    >>> scheduler.due(0.05), [turn.id for turn in scheduler.due(0.2)]
    ([], [1])
    """

    options: ScanOptions
    limited: bool = False
    missed: int = 0
    looks: int = 0
    spent: float = 0.0
    _entries: dict[int, _Entry] = field(default_factory=dict)
    _credit: float = _BANKED
    _last: float = 0.0

    def begin(self, id: int, now: float, enough: float, known: bool = False) -> None:
        """Take in an emission that has begun, or has begun again.

        Args:
            id: of the emission.
            now: time.
            enough: seconds of it that a first look needs.
            known: it has a name from earlier on.
        """
        kind = LookKind.STEADY if known else LookKind.NEW
        self._entries[id] = _Entry(kind, now + enough, now if known else None)

    def change(self, id: int, now: float) -> None:
        """Take in that an emission has changed."""
        entry = self._entries.get(id)
        if entry is not None and entry.kind is LookKind.STEADY:
            entry.kind, entry.ready = LookKind.CHANGED, now

    def end(self, id: int, now: float, wanted: bool, full: bool = True) -> None:
        """Take in that an emission has ended.

        Args:
            id: of the emission.
            now: time.
            wanted: it must still be looked at.
            full: it must be identified; otherwise only whether it has changed is looked at.
        """
        if not wanted:
            self._entries.pop(id, None)
            return
        entry = self._entries.setdefault(id, _Entry())
        entry.kind, entry.ready, entry.full = LookKind.ENDED, now, full

    def rename(self, id: int, other: int) -> None:
        """Know an emission by another number from now on."""
        if id in self._entries:
            self._entries[other] = self._entries.pop(id)

    def forget(self, id: int, missed: bool = False) -> None:
        """Drop an emission; `missed` counts it as one that could not be looked at in time."""
        self._entries.pop(id, None)
        self.missed += missed

    def waiting(self, now: float) -> int:
        """Return how many emissions wait for their turn."""
        return sum(entry.ready <= now for entry in self._entries.values())

    def due(self, now: float) -> list[Turn]:
        """Return whose turn it is now, the most urgent first."""
        found = []
        for id, entry in self._entries.items():
            if entry.ready > now:
                continue
            kind = entry.kind
            if kind is LookKind.STEADY and now - entry.ready > _OVERDUE * self.options.look_every:
                kind = LookKind.CHANGED
            full = entry.kind is not LookKind.STEADY or entry.named is None
            full = full or now - (entry.named or 0.0) >= self.options.name_every * 2**entry.calm
            if entry.kind is LookKind.ENDED:
                full = entry.full
            found.append((kind, entry.ready, Turn(id, entry.kind, full)))
        return [turn for _, _, turn in sorted(found, key=lambda item: item[:2])]

    def allowed(self, now: float) -> bool:
        """Return whether the budget has something left."""
        if not self.limited:
            return True
        self._credit = min(_BANKED, self._credit + self.options.budget * max(0.0, now - self._last))
        self._last = max(now, self._last)
        return self._credit > 0

    def done(
        self,
        turn: Turn,
        now: float,
        cost: float,
        used: float = 0.0,
        sure: bool = True,
        same: bool = False,
        soon: bool = False,
    ) -> None:
        """Take in that a turn has been taken.

        Args:
            turn: the turn.
            now: time.
            cost: seconds of processor time.
            used: seconds of the emission that it rested on.
            sure: the answer will not get better with more of it.
            same: an identification found what was known before: the next one may wait for longer.
            soon: it must be seen for longer: the next identification follows when as much of it is new.
        """
        self.looks += 1
        self.spent += cost
        self._credit -= cost
        entry = self._entries.get(turn.id)
        if entry is None:
            return
        if turn.kind is LookKind.ENDED:
            del self._entries[turn.id]
            return
        period = self.options.look_every
        if turn.full:
            entry.named = now
            entry.calm = min(entry.calm + 1, _CALMEST) if same and not soon else 0
            if soon:
                entry.named = now - self.options.name_every + max(period / 2, used)
        if not sure and used > 0 and turn.full:
            entry.kind, entry.ready = LookKind.CHANGED, now + max(period / 2, (_GROWN - 1) * used)
            return
        # All steady ones at the same moments, at least half a period away: they share the work.
        entry.kind, entry.ready = LookKind.STEADY, period * math.floor(now / period + 1.5)
