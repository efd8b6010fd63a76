# SPDX-License-Identifier: GPL-3.0-or-later
"""Emissions that last: boxes joined to one identity through gaps, fades and drift.

A box ends when its emission is silent for longer than its own symbols explain: the end of a packet or of a slot. An
*emission* keeps its identity: the next packet on the same frequency, as wide, within a hold time, is the same emission.
Its edges follow slowly, so drift does not break it. Each stretch that it is on begins and ends with an event.

Where asked, emissions that look like the hops of one transmitter get a common number: stretches as wide, as strong and
as long, which follow each other on different frequencies, at least three of them.
"""

import math
from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from amrq.detect.boxes import Box
from amrq.detect.spectra import fine_grid
from amrq.options import above, at_least, check, described, option

__all__ = ["Emission", "EmissionEvent", "EmissionOptions", "EmissionTracker"]


@described
@dataclass(frozen=True)
class EmissionOptions:
    """How long an emission keeps its identity, and how many there may be."""

    hold: float = option(3.0, "Silence after which an emission has ended.", unit="s", within=above(0))
    most_emissions: int = option(1000, "Emissions that are followed at once.", within=at_least(1))
    begins_per_second: float = option(
        100.0, "New emissions a second that are reported, on average. More are counted only.", within=above(0)
    )

    group_hops: bool = option(
        False,
        "Whether stretches that follow each other on different frequencies, alike, get a common number.",
    )

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True)
class Emission:
    """An emission, followed over time.

    Attributes:
        id: its own, as long as it is followed.
        start: first sample of its latest stretch.
        stop: sample after the last of it.
        lower: edge of 99 % of the power, in Hz from the middle of the band.
        upper: likewise.
        snr_db: power in the box over noise power in the box, of the latest stretch.
        level_dbfs: mean power of the latest stretch.
        bursts: stretches so far, the latest included.
        first_seen: first sample of the first one.
        last_seen: sample after the last one in which it was seen.
        on: its latest stretch goes on.
        kind: as of its boxes.
        hop_group: number that it shares with the other hops of what seems one transmitter; 0 for none.
    """

    id: int
    start: int
    stop: int
    lower: float
    upper: float
    snr_db: float
    level_dbfs: float
    bursts: int
    first_seen: int
    last_seen: int
    on: bool
    kind: str = ""
    hop_group: int = 0

    @property
    def centre(self) -> float:
        """Middle of the band in Hz."""
        return (self.lower + self.upper) / 2

    @property
    def bandwidth(self) -> float:
        """Of 99 % of the power, in Hz."""
        return self.upper - self.lower

    def moved(self, hertz: float, samples: int) -> "Emission":
        """Return it as a wider band has it: `hertz` higher, each of its samples so many of that one's."""
        times = ("start", "stop", "first_seen", "last_seen")
        changes: dict[str, Any] = {name: samples * getattr(self, name) for name in times}
        return replace(self, lower=self.lower + hertz, upper=self.upper + hertz, **changes)


@dataclass(frozen=True)
class EmissionEvent:
    """What happened to an emission: a stretch begins, is seen further, ends."""

    event: Literal["begin", "change", "end"]
    emission: Emission


@dataclass
class _Track:
    emission: Emission
    box: int = 0


@dataclass
class _Hop:
    """A stretch that has ended, and the one that it follows."""

    emission: Emission
    before: "_Hop | None" = None
    length: int = 1
    group: int = 0


_HOPS = 3
"""So many stretches in a row make hops: two that follow each other are often chance."""
_RECENT = 64
"""Stretches that are kept to be followed."""
_MOVES = 2.0
"""Fine bins by which an edge moves from one stretch to the next: keys, noise and a line between two bins do that."""
_REFUSED = 10_000
"""Boxes that are remembered as counted."""


def _follows(one: Emission, before: Emission) -> bool:
    """Return whether a stretch may be the hop after another one."""
    length = before.stop - before.start
    gap = one.start - before.stop
    return (
        -0.1 * length < gap < 2 * length
        and abs(one.stop - one.start - length) < 0.3 * length
        and abs(one.bandwidth - before.bandwidth) < 0.3 * max(one.bandwidth, before.bandwidth)
        and abs(one.level_dbfs - before.level_dbfs) < 6
        and abs(one.centre - before.centre) > 0.5 * (one.bandwidth + before.bandwidth)
    )


class EmissionTracker:
    """Follows emissions.

    Args:
        sample_rate: of the band, in Hz.
        options: how long an emission keeps its identity.

    >>> tracker = EmissionTracker(1e6, EmissionOptions(hold=1.0))
    >>> packet = Box(1, 0, 20_000, -5e3, 5e3, 10.0, -40.0, False)
    >>> [(event.event, event.emission.id) for event in tracker.update([packet], 100_000)]
    [('begin', 1), ('end', 1)]
    >>> again = Box(2, 500_000, 520_000, -5e3, 5.1e3, 10.0, -40.0, False)
    >>> [(event.event, event.emission.id, event.emission.bursts) for event in tracker.update([again], 600_000)]
    [('begin', 1, 2), ('end', 1, 2)]
    >>> tracker.update([], 2_000_000), tracker.emissions  # silent for longer than the hold time
    ([], [])
    """

    def __init__(self, sample_rate: float, options: EmissionOptions | None = None) -> None:
        self.options = options or EmissionOptions()
        self.sample_rate = float(sample_rate)
        self._moves = _MOVES * fine_grid(self.sample_rate).bin_width
        self.suppressed = 0
        """Boxes that began no emission at first, since there were too many."""
        self._refused: OrderedDict[int, None] = OrderedDict()
        self._hops: deque[_Hop] = deque(maxlen=_RECENT)
        self._groups = 0
        self._tracks: dict[int, _Track] = {}
        self._of_box: OrderedDict[int, int] = OrderedDict()
        self._next = 1
        self._allowance = self.options.begins_per_second
        self._now = 0

    @property
    def emissions(self) -> list[Emission]:
        """Those that are followed now, lowest frequency first."""
        return sorted((track.emission for track in self._tracks.values()), key=lambda one: one.lower)

    def update(self, boxes: Sequence[Box], now: int) -> list[EmissionEvent]:
        """Take boxes that began, changed or ended; return what happened to emissions.

        Args:
            boxes: of the detector.
            now: sample up to which the band was looked at.
        """
        rate = self.options.begins_per_second
        self._allowance += max(now - self._now, 0) / self.sample_rate * rate
        self._allowance = min(self._allowance, max(rate, 1.0))
        self._now = max(now, self._now)
        events = []
        for box in sorted(boxes, key=lambda one: one.start):
            events += self._take(box)
        hold = self.options.hold * self.sample_rate
        for id, track in list(self._tracks.items()):
            if not track.emission.on and now - track.emission.last_seen > hold:
                del self._tracks[id]
        return events

    def finish(self, now: int) -> list[EmissionEvent]:
        """End all emissions that are on."""
        self._now = max(now, self._now)
        events = []
        for track in self._tracks.values():
            if track.emission.on:
                track.emission = replace(track.emission, on=False)
                self._group(track)
                events.append(EmissionEvent("end", track.emission))
        self._tracks.clear()
        self._of_box.clear()
        return events

    def _take(self, box: Box) -> list[EmissionEvent]:
        known = self._of_box.get(box.id)
        track = None if known is None else self._tracks.get(known)
        if track is None:
            track = self._match(box) or self._new(box)
            if track is None:
                return []
            self._of_box[box.id] = track.emission.id
        one = track.emission
        begins = box.id != track.box
        if begins and track.box:
            # Short bursts measure the edges badly: they move them little.
            old, new = max(one.stop - one.start, 1), max(box.stop - box.start, 1)
            share = min(0.5, new / (old + new))
        else:
            share = 1.0
        track.box = box.id
        track.emission = replace(
            one,
            start=box.start,
            stop=box.stop,
            lower=one.lower + share * (box.lower - one.lower),
            upper=one.upper + share * (box.upper - one.upper),
            snr_db=box.snr_db,
            level_dbfs=box.level_dbfs,
            bursts=one.bursts + begins,
            first_seen=min(one.first_seen, box.start),
            last_seen=max(one.last_seen, box.stop),
            on=box.is_open,
        )
        events = [EmissionEvent("begin" if begins else "change", replace(track.emission, on=True))]
        if not box.is_open:
            self._group(track)
            self._of_box.pop(box.id, None)
            if begins:
                events.append(EmissionEvent("end", track.emission))
            else:
                events = [EmissionEvent("end", track.emission)]
        return events

    def _group(self, track: _Track) -> None:
        """Look whether the stretch that has ended is a hop after others."""
        if not self.options.group_hops or track.emission.kind:
            return
        hop = _Hop(track.emission)
        for before in reversed(self._hops):
            if before.length + 1 > hop.length and _follows(hop.emission, before.emission):
                hop.before, hop.length, hop.group = before, before.length + 1, before.group
        if hop.length >= _HOPS and not hop.group:
            self._groups += 1
            one: _Hop | None = hop
            while one is not None and not one.group:
                one.group = self._groups
                self._give(one.emission.id, one.group)
                one = one.before
        elif hop.group:
            self._give(track.emission.id, hop.group)
        if hop.before is not None and hop.before.before is not None and hop.group:
            # What is in a group needs no longer past.
            hop.before.before = None
        self._hops.append(hop)

    def _give(self, id: int, group: int) -> None:
        track = self._tracks.get(id)
        if track is not None:
            track.emission = replace(track.emission, hop_group=group)

    def _new(self, box: Box) -> _Track | None:
        if len(self._tracks) >= self.options.most_emissions or self._allowance < 1:
            if box.id not in self._refused:
                self.suppressed += 1
                self._refused[box.id] = None
                if len(self._refused) > _REFUSED:
                    self._refused.popitem(last=False)
            return None
        self._allowance -= 1
        track = _Track(
            Emission(
                self._next,
                box.start,
                box.stop,
                box.lower,
                box.upper,
                box.snr_db,
                box.level_dbfs,
                0,
                box.start,
                box.stop,
                box.is_open,
                box.kind,
            )
        )
        self._tracks[self._next] = track
        self._next += 1
        return track

    def _match(self, box: Box) -> _Track | None:
        """Return the emission that a new box continues; None for none."""
        best, fit = None, 0.5
        for track in self._tracks.values():
            one = track.emission
            # Two boxes at once are two emissions.
            if one.on or one.kind != box.kind or box.start < one.stop - 0.1 * (one.stop - one.start):
                continue
            # Both count as wider by what an edge moves: a line's box is hardly wider than that.
            shared = min(one.upper, box.upper) - max(one.lower, box.lower) + 2 * self._moves
            union = max(one.upper, box.upper) - min(one.lower, box.lower) + 2 * self._moves
            if shared > fit * union and math.isfinite(union):
                best, fit = track, shared / union
        return best
