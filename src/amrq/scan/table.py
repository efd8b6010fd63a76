# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of a band's emissions: what the detector says of them, what looks have found, and the events of both."""

import math
import threading
from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import replace

from amrq.detect import Emission, EmissionEvent
from amrq.model import UNKNOWN
from amrq.scan.findings import Findings
from amrq.scan.looks import FIRST_SYMBOLS, Looker, symbols_of
from amrq.scan.records import (
    KEPT,
    EmissionRecord,
    Event,
    Gaps,
    KnownEmission,
    ScanCounters,
    ScanEvent,
    places_of,
    with_findings,
)
from amrq.scan.schedule import ScanOptions, Scheduler

__all__ = ["EmissionTable"]

_FIRST_SECONDS = 0.1
"""A first look waits no longer than this for more samples."""
_PATIENCE = 0.3
"""Seconds that the record of an emission waits after its end for a look."""
_MOVED = 0.25
"""Of its bandwidth: an emission whose edges move by more has changed."""
_MOST_EMISSIONS = 2000
"""In the table."""
_NOT_ON_AIR = ("dc", "image")
"""Kinds of boxes that the receiver makes itself."""
_MOST_EVENTS = 100_000
"""That wait for somebody to take them."""
_BURST = 4.0
"""Seconds of the allowed rate of records that may come at once."""


class EmissionTable:
    """Keeps what is known of each emission: what the tracker says of it, and what looks have found.

    Whoever changes an entry holds `lock`.

    Args:
        sample_rate: samples a second.
        centre_hz: what the middle of the band stands for, Hz; None where it is not known.
        options: how the band is scanned.
        scheduler: is told what is to be looked at.
        looker: knows how long a look takes.
        step: samples by which the detector knows an end at best.

    Attributes:
        now: samples that were searched so far.
        counts: what was done so far.
    """

    def __init__(
        self,
        sample_rate: float,
        centre_hz: float | None,
        options: ScanOptions,
        scheduler: Scheduler,
        looker: Looker,
        step: int,
    ) -> None:
        self.sample_rate, self.centre_hz, self.options = sample_rate, centre_hz, options
        self.now = 0
        self.counts = ScanCounters()
        self.lock = threading.RLock()
        self._scheduler, self._looker = scheduler, looker
        self._known: OrderedDict[int, KnownEmission] = OrderedDict()
        self._out: deque[ScanEvent] = deque(maxlen=_MOST_EVENTS)
        self._allowance = _BURST * options.most_records
        self._allowed_at = 0.0
        self._waiting_keys = 0  # the last one given
        self._base = 0  # added to the tracker's ids, which begin anew with each retune
        self._first_group = self._last_group = 0  # of hops: likewise, and the largest so far
        self._gaps = Gaps(sample_rate, step)

    @property
    def seconds(self) -> float:
        """Time of the band that was searched so far."""
        return self.now / self.sample_rate

    def get(self, key: int) -> KnownEmission | None:
        """Return an entry by the number that its turns have; None where it has gone."""
        return self._known.get(key)

    def entries(self) -> list[KnownEmission]:
        """Return the entries that are emissions of their own; the lock is held."""
        return [one for one in self._known.values() if not one.part_of]

    def records(self) -> list[EmissionRecord]:
        """Return the emissions that are on the air or ended lately, by frequency; the lock is held."""
        records = [one.record for key, one in self._known.items() if key > 0 and not one.part_of]
        return sorted(records, key=lambda one: one.lower)

    def count(self, **more: float) -> None:
        """Add to counters."""
        with self.lock:
            self.counts = replace(
                self.counts, **{name: getattr(self.counts, name) + value for name, value in more.items()}
            )

    def take_events(self) -> list[ScanEvent]:
        """Return what has happened since the last call."""
        with self.lock:
            events = list(self._out)
            self._out.clear()
        return events

    # Ends of what is not the emission's own

    def add_gap(self, start: int, stop: int) -> None:
        """Note that samples were lost; the ends are the same where it is not known how many."""
        with self.lock:
            self._gaps.add(start, stop)

    def end_waiting(self) -> None:
        """Report the ends that wait for a look: there will be none."""
        with self.lock:
            for known in list(self._known.values()):
                if known.ending is not None:
                    self.end(known)

    def abandon(self) -> None:
        """End every emission as it is known."""
        with self.lock:
            for known in list(self._known.values()):
                if known.record.on:
                    known.record = replace(known.record, on=False)
                    self.end(known)
                elif known.ending is not None:
                    self.end(known)

    def begin_band(self, centre_hz: float | None) -> None:
        """Forget all emissions, which have ended: from here on it is another band, and the tracker a new one."""
        with self.lock:
            self.end_waiting()
            self._base = max([self._base, *self._known])
            self._known.clear()
            self._first_group = self._last_group
            self.centre_hz = centre_hz

    # What the tracker says

    def follow(self, events: list[EmissionEvent]) -> None:
        """Take in what happened to emissions up to `now`."""
        now = self.seconds
        with self.lock:
            for event in events:
                emission = self._numbered(event.emission)
                known = self._known.get(emission.id)
                if event.event == "begin" and known is not None and known.paused is not None:
                    self._resume(known, emission)
                elif event.event == "begin":
                    self._on_begin(emission, now)
                elif known is None:
                    continue
                elif known.part_of:
                    known.record = replace(known.at(emission), on=event.event != "end")
                elif event.event == "change":
                    self._on_change(known, emission, now)
                elif (until := self._gaps.until(emission)) > now:
                    known.record = replace(known.at(emission), on=True)
                    known.paused = (until, emission)
                else:
                    self._on_end(known, emission, now)
            self.end_paused(now)
            late = [
                known for known in self._known.values() if known.ending is not None and now > known.ending
            ]
            for known in late:
                self.end(known)
            self._forget_old()

    def _numbered(self, emission: Emission) -> Emission:
        """Return an emission with numbers that differ from those before the last retune."""
        group = emission.hop_group + self._first_group if emission.hop_group else 0
        self._last_group = max(self._last_group, group)
        return replace(emission, id=emission.id + self._base, hop_group=group)

    @staticmethod
    def _resume(known: KnownEmission, emission: Emission) -> None:
        """Go on with an emission after a gap of lost samples; the lock is held."""
        known.paused = None
        known.joined += 1
        known.resumed = known.record.start
        known.record = replace(known.at(emission), on=True)  # if it is over, its end follows

    def end_paused(self, now: float = math.inf) -> None:
        """End what has not come again after a gap."""
        with self.lock:
            for known in list(self._known.values()):
                if known.paused is not None and now > known.paused[0]:
                    _, emission = known.paused
                    known.paused = None
                    self._on_end(known, emission, min(now, self.seconds))

    def _on_begin(self, emission: Emission, now: float) -> None:
        if emission.kind in _NOT_ON_AIR:
            return
        former = self._known.get(emission.id)
        if former is not None and former.part_of and self._is_on(former.part_of):
            former.record = replace(former.at(emission), on=True)
            return
        former = self._known.pop(emission.id, None)
        if former is not None and former.part_of:
            former = None  # what it was a part of has gone
        if former is not None and former.ending is not None:
            self._waiting_keys -= 1
            former.key = self._waiting_keys
            self._known[former.key] = former
            self._scheduler.rename(emission.id, former.key)
        self.count(emissions=1)
        record = EmissionRecord(**places_of(emission), since=emission.start)
        known = KnownEmission(record, emission.id, suppressed=not self._reported(now))
        if former is not None:  # the next stretch of the same emission: it keeps its name
            had = {name: getattr(former.record, name) for name in KEPT}
            known.joined, known.findings = former.joined, former.findings
            known.found_before = len(former.findings)
            known.record = replace(record, **had, bursts=emission.bursts - known.joined)
            known.glances, known.effort, known.restless = former.glances, former.effort, former.restless
            known.reach, known.grid = former.reach, former.grid
        self._known[emission.id] = known
        have = (self.now - emission.start) / self.sample_rate
        enough = min(self._looker.window(known.record, FIRST_SYMBOLS) / self.sample_rate, _FIRST_SECONDS)
        self._scheduler.begin(emission.id, now, max(0.0, enough - have), known.familiar)
        self.put("begin", known)

    def _is_on(self, id: int) -> bool:
        known = self._known.get(id)
        return known is not None and known.record.on

    def _on_change(self, known: KnownEmission, emission: Emission, now: float) -> None:
        before = known.record
        known.record = known.at(emission)
        known.record = replace(known.record, gaps=self._gaps.within(known.record))
        moved = abs(known.record.centre - before.centre) > _MOVED * before.bandwidth
        if moved or not 0.5 < known.record.bandwidth / max(before.bandwidth, 1e-9) < 2:
            self._scheduler.change(emission.id, now)

    def _on_end(self, known: KnownEmission, emission: Emission, now: float) -> None:
        record = replace(known.at(emission), on=False)
        record = known.record = replace(record, gaps=self._gaps.within(record))
        # Each stretch gets a look; where it may be the emission known from before, a glance says whether it is.
        there = min(record.stop - record.start, self._looker.window(record, symbols_of(known)))
        wanted = not known.looked or (record.label == UNKNOWN and known.looked < 0.9 * there)
        self._scheduler.end(emission.id, now, wanted, full=not known.familiar)
        if wanted:
            known.ending = now + _PATIENCE if self._scheduler.limited else math.inf
        else:
            self.end(known)

    def end(self, known: KnownEmission) -> None:
        """Report an end; the lock is held."""
        known.ending = None
        if known.findings:
            found = known.findings.fields(all=True)
            known.record = with_findings(known.record, found, self.sample_rate, self.now, self.centre_hz)
        else:
            known.record = replace(known.record, reason="not looked at in time")
        self._scheduler.forget(known.key, missed=not known.findings)
        if known.key < 0:
            del self._known[known.key]
        self.put("end", known)

    def end_as_part(self, part: KnownEmission, whole: KnownEmission, what: str) -> None:
        """Report an end, since what was an emission is a part of another one; the lock is held."""
        part.ending = None
        part.record = replace(
            part.record,
            on=False,
            label=UNKNOWN,
            family=UNKNOWN,
            confidence=0.0,
            summary="",
            protocols=(),
            reason=f"{what} of emission {whole.record.id}",
            part_of=whole.record.id,
        )
        self._scheduler.forget(part.key)
        self.put("end", part)
        part.suppressed = True

    def make_one(self, whole: KnownEmission, parts: Sequence[KnownEmission], what: str) -> None:
        """Give an entry the place of itself and of others, which end as parts; the lock is held.

        What it is must be found anew.

        Args:
            whole: the entry that stays.
            parts: the others.
            what: a part is, in words.
        """
        all_of = [whole.record, *(one.record for one in parts)]
        whole.reach = min(one.lower for one in all_of), max(one.upper for one in all_of)
        whole.record = replace(
            whole.record,
            start=min(one.start for one in all_of),
            first_seen=min(one.first_seen for one in all_of),
            lower=whole.reach[0],
            upper=whole.reach[1],
            level_dbfs=10 * math.log10(sum(10 ** (one.level_dbfs / 10) for one in all_of)),
            symbol_rate=None,
        )
        whole.findings, whole.found_before, whole.glances = Findings(), 0, ()
        whole.looked = whole.effort = 0
        for one in parts:
            self.end_as_part(one, whole, what)

    def put(self, event: Event, known: KnownEmission) -> None:
        """Report what has happened to an emission; the lock is held."""
        if not known.suppressed:
            self._out.append(ScanEvent(event, known.record, self.centre_hz))

    def _reported(self, now: float) -> bool:
        """Return whether another emission may be reported, and count it."""
        rate = self.options.most_records
        self._allowance = min(_BURST * rate, self._allowance + rate * max(0.0, now - self._allowed_at))
        self._allowed_at = now
        if self._allowance < 1:
            self.count(suppressed=1)
            return False
        self._allowance -= 1
        return True

    def _forget_old(self) -> None:
        oldest = self.now - self.options.shown * self.sample_rate
        ended = [(id, one) for id, one in self._known.items() if not one.record.on and one.ending is None]
        gone = {id for id, one in ended if one.record.last_seen < oldest}
        over = len(self._known) - len(gone) - _MOST_EMISSIONS
        gone |= set([id for id, _ in ended if id not in gone][: max(0, over)])
        for id in gone:
            del self._known[id]
