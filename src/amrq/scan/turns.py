# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks at a band's emissions, by turns: what is taken out of the band together, and what a look has changed."""

import math
import time
from dataclasses import replace

from amrq.channel import ChannelSamples
from amrq.identify import EmissionIdentity, Glance
from amrq.model import UNKNOWN
from amrq.scan.carrier_sides import CarrierSides
from amrq.scan.combs import CombJoiner
from amrq.scan.findings import Findings
from amrq.scan.looks import Looker, symbols_of
from amrq.scan.records import EmissionRecord, KnownEmission, numbers_of, with_findings
from amrq.scan.schedule import LookKind, Scheduler, Turn
from amrq.scan.skirts import SkirtJoiner
from amrq.scan.table import EmissionTable
from amrq.scan.tones import ToneJoiner

__all__ = ["TurnTaker"]

_MOST_RESTLESS = 5
_ITS_GLANCES = 8
"""Different glances that are remembered of an emission."""
_EFFORTS = 1
"""How often a look gets longer; once more in a recording."""
_FULL_TOGETHER = 8
"""Identifications from one stretch, where the budget is limited; glances cost next to nothing."""
_CARRIER, _SURE_CARRIER, _SURE = "carrier", 0.85, 0.95
"""What has a name with less confidence than the latter, and a carrier in any case, is looked at until a long look is
whole; a carrier that then has more than the former needs no further one."""
_WHOLE = 0.9
"""Of a look, that makes it whole."""
_TOGETHER = 64
"""Channels that are taken out of a stretch at once."""


class TurnTaker:
    """Looks at the emissions whose turn it is, and writes what it finds into the table.

    Args:
        table: of the emissions.
        scheduler: says whose turn it is, and whether the budget allows it.
        looker: takes the samples out of the band, and says what they are.
        joiner: finds the other tone of what the detector took for two emissions.
    """

    def __init__(
        self, table: EmissionTable, scheduler: Scheduler, looker: Looker, joiner: ToneJoiner
    ) -> None:
        self._table, self._scheduler, self._looker = table, scheduler, looker
        self._joiner = joiner
        self._sides = CarrierSides(table, looker)
        self._skirts, self._combs = SkirtJoiner(table, looker), CombJoiner(table, looker)

    def look(self, last: bool = False, seconds: float = math.inf) -> None:
        """Look at the emissions whose turn it is, as far as the budget allows.

        Args:
            last: the stream has ended, and what waits is looked at now.
            seconds: after which no further look begins.
        """
        until = time.monotonic() + seconds
        began = time.thread_time()
        with self._table.lock:
            records = [one.record for one in self._table.entries()]
        self._looker.slow.follow(records)
        self._looker.slow.feed(last)
        self._table.count(seconds=time.thread_time() - began)
        now = math.inf if last else self._table.seconds
        with self._table.lock:
            turns = self._scheduler.due(now)
        if last:  # steady ones have been looked at
            turns = [turn for turn in turns if turn.kind is not LookKind.STEADY]
        for stretch, together in self._together(turns).items():
            if time.monotonic() > until:
                break
            with self._table.lock:  # glances cost next to nothing, and are not put off
                allowed = last or self._scheduler.allowed(self._table.seconds)
            if not allowed:
                steady = [(replace(turn, full=False), record) for turn, record in together if turn.glanced]
                together = steady
            if not together:
                continue
            began = time.thread_time()
            self._look_at(stretch, together, last)
            self._table.count(seconds=time.thread_time() - began)

    def _together(self, turns: list[Turn]) -> dict[tuple[int, int, int], list[tuple[Turn, EmissionRecord]]]:
        """Return turns by the stretch of the band that they look at, in their order, and a number for large groups."""
        groups: dict[tuple[int, int, int], list[tuple[Turn, EmissionRecord]]] = {}
        end = self._table.now
        for turn in turns:
            with self._table.lock:
                known = self._table.get(turn.id)
                if known is None:
                    self._scheduler.forget(turn.id)
                    continue
            start, stop = self._looker.stretch(known.record, end, symbols_of(known) if turn.full else None)
            number = 0
            while len(groups.get((start, stop, number), ())) >= _TOGETHER:
                number += 1
            groups.setdefault((start, stop, number), []).append((turn, known.record))
        return groups

    def _look_at(
        self, stretch: tuple[int, int, int], turns: list[tuple[Turn, EmissionRecord]], last: bool
    ) -> None:
        start, stop, _ = stretch
        began = time.thread_time()
        if (
            self._scheduler.limited and not last
        ):  # what there is no time for need not be taken out of the band
            whole = [one for one in turns if one[0].full][:_FULL_TOGETHER]
            turns = whole + [one for one in turns if not one[0].full]
        channels = self._looker.channels([record for _, record in turns], start, stop)
        spent = time.thread_time() - began  # counts with the first turn that is taken
        for number, (turn, record) in enumerate(turns):
            with self._table.lock:
                if number and turn.full and not (last or self._scheduler.allowed(self._table.seconds)):
                    continue  # its turn comes again
            began, spent = time.thread_time() - spent, 0.0
            if channels is None:
                with self._table.lock:
                    self._scheduler.done(turn, self._table.seconds, time.thread_time() - began)
                    known = self._table.get(turn.id)
                    if known is not None and known.ending is not None:
                        self._table.end(known)
                continue
            if not self._is_part(turn, began):
                self._take(turn, record, channels[number], stop - start, began)

    def _is_part(self, turn: Turn, began: float) -> bool:
        """Return whether an emission is a part of another one, as a skirt or a line: nothing more is to be said of it.

        It may have become one by an earlier turn of the same stretch.
        """
        with self._table.lock:
            known = self._table.get(turn.id)
        if known is None or not (known.part_of or self._combs.takes(known) or self._skirts.joins(known)):
            return False
        with self._table.lock:
            self._scheduler.done(turn, self._table.seconds, time.thread_time() - began)
        return True

    def _take(
        self, turn: Turn, record: EmissionRecord, channel: ChannelSamples, used: int, began: float
    ) -> None:
        with self._table.lock:
            known = self._table.get(turn.id)
        if known is None or known.record.bursts != record.bursts:
            return  # it has gone, or has begun again and this was of the time before
        seen = self._looker.glance(channel, record)
        changed = all(seen.differs(one) for one in known.glances)
        identity = None
        if turn.full or (changed and known.ending is not None):
            if not turn.full:  # it is over, and another one than before
                channel, used = self._looker.whole(record) or (channel, used)
            # What is new gets a name soon; echoes are seen to when it has turned out to last.
            thorough = not self._scheduler.limited or turn.kind is LookKind.STEADY
            identity = self._looker.identity(channel, record, thorough)
        joined = None if identity is None else self._joiner.join(known) or self._combs.join(known)
        if joined is not None:
            known, record = joined, joined.record
            channel, used = self._looker.whole(record) or (channel, used)
            seen, changed = self._looker.glance(channel, record), True
            identity = self._looker.identity(channel, record, True)
        sides = self._sides.look(known, identity, patient=not self._scheduler.limited)
        if sides is not None:
            record, identity = sides
            channel, used = self._looker.whole(record) or (channel, used)
            seen, changed = self._looker.glance(channel, record), True
        elif identity is not None:
            identity = self._sides.remembered(known, identity)
        others: list[tuple[EmissionIdentity, ChannelSamples]] = []
        if identity is not None and identity.label == UNKNOWN and known.ending is not None:
            others = self._elsewhere(record, used, known)
        now = self._table.seconds
        with self._table.lock:
            if self._table.get(known.key) is not known:
                return  # its band, or itself, has gone meanwhile
            if sides is not None:
                self._sides.take(known, record)
            known.looked = max(known.looked, used)
            known.record = replace(known.record, looks=known.record.looks + 1)
            if identity is not None:
                self._recognise(known, seen, changed, identity.label == record.label)
                known.named_at = now
                self._learn(known, identity, channel, changed)
                for other, there in others:
                    self._learn(known, other, there, False)
            known.record = replace(known.record, looks=known.record.looks + len(others))
            self._table.count(looks=1 + len(others))
            whole = self._looker.window(record, symbols_of(known))
            sure = identity is None or identity.label != UNKNOWN
            if not sure and used >= _WHOLE * whole:
                sure = (
                    known.effort >= _EFFORTS + (not self._scheduler.limited) or whole >= self._looker.longest
                )
                known.effort += not sure
            same = identity is not None and identity.label == record.label
            cost = time.thread_time() - began
            soon = identity is not None and self._needs_time(known, used)
            self._scheduler.done(turn, now, cost, used / self._table.sample_rate, sure, same, soon)
            calm = self._table.options.look_every * 2**known.restless
            if changed and identity is None and now >= known.named_at + calm:
                self._scheduler.change(turn.id, now)
            if known.ending is not None:
                self._table.end(known)

    def _needs_time(self, known: KnownEmission, used: int) -> bool:
        """Return whether what a look of so many samples has found may change with a longer one; the lock is held."""
        record, long = known.record, self._looker.slow.longest(known.record)
        if not long:
            return known.findings.needs_time
        if record.label == _CARRIER:
            if used < _WHOLE * long:
                return True
            if record.confidence >= _SURE_CARRIER:
                self._looker.slow.rest(record.id)
            return known.findings.needs_time
        return used < _WHOLE * long and record.confidence < _SURE

    def _elsewhere(
        self, record: EmissionRecord, window: int, known: KnownEmission
    ) -> list[tuple[EmissionIdentity, ChannelSamples]]:
        """Look at other stretches of an emission that is over and has no name, where there is all the time for it."""
        found: list[tuple[EmissionIdentity, ChannelSamples]] = []
        if self._scheduler.limited or known.findings:
            return found
        for start, stop in self._looker.places(record, window):
            channels = self._looker.channels([record], start, stop)
            if channels is not None:
                identity = self._looker.identity(channels[0], record, True)
                found.append((identity, channels[0]))
        return found

    @staticmethod
    def _recognise(known: KnownEmission, seen: Glance, changed: bool, same: bool) -> None:
        """Take in how an emission looked when it was identified; the lock is held."""
        if not same or not known.glances:
            known.glances, known.restless = (seen,), 0
        elif changed:  # it may look like this, too: voice and keying do
            known.glances = (*known.glances, seen)[-_ITS_GLANCES:]
            known.restless = min(known.restless + 1, _MOST_RESTLESS)

    def _learn(
        self, known: KnownEmission, identity: EmissionIdentity, channel: ChannelSamples, changed: bool
    ) -> None:
        """Take in what an identification has found; the lock is held."""
        before, measures = known.record, numbers_of(identity.measures)
        if measures.get("centre") is not None:  # from the middle of the band, as all places are
            measures["centre"] = float(measures["centre"] or 0.0) + channel.centre
        first, rate = not known.findings, self._table.sample_rate
        start, stop = channel.start, channel.place(len(channel.iq))
        began = start / rate
        if self._looker.is_long(start, stop) and known.findings.lie_within(began):
            known.findings, known.found_before = Findings(), 0  # of the same samples this one says more
        if changed and identity.label != before.label:  # it has become another one
            if len(known.findings) > known.found_before:
                known.findings.forget_recent()
            else:
                known.findings = Findings()
        until = min(stop / rate, before.stop / rate, self._table.seconds)
        known.findings.add(identity, measures, until, began)
        now_known = known.findings.fields()
        since = before.since
        if now_known["label"] != before.label:
            since = before.start if first else self._table.now
        found = {**now_known, "since": since}
        table = self._table
        known.record = with_findings(before, found, table.sample_rate, table.now, table.centre_hz)
        if known.record.label != before.label:
            self._table.put("change", known)
