# SPDX-License-Identifier: GPL-3.0-or-later
"""A band from its samples to a list of emissions with their names."""

import math
import threading
import time
from collections import OrderedDict, deque
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amrq.channel import ChannelSamples, SampleRing, extract
from amrq.chunks import finite_samples
from amrq.classifier import Classifier, make_classifier
from amrq.detect import (
    Detector,
    DetectorOptions,
    DrawnLine,
    Emission,
    EmissionEvent,
    EmissionOptions,
    EmissionTracker,
)
from amrq.errors import AmrqError
from amrq.identify import EmissionIdentity, Glance
from amrq.model import UNKNOWN
from amrq.scan.findings import Findings
from amrq.scan.looks import FIRST_SYMBOLS, Looker, symbols_of
from amrq.scan.records import (
    KEPT,
    BandPicture,
    EmissionRecord,
    Event,
    Gaps,
    KnownEmission,
    ScanCounters,
    ScanEvent,
    ScanSnapshot,
    numbers_of,
    picture_of,
    places_of,
    with_findings,
)
from amrq.scan.schedule import LookKind, ScanOptions, Scheduler, Turn

__all__ = ["BandScanner"]

_RING_BYTES = 256 << 20
"""Of samples kept at most: 1.6 s at 20 MS/s, 13 s at 2.4 MS/s."""
_LEAST_KEPT, _LONGEST_KEPT = 1 << 20, 60.0
"""Samples that are kept at least, up to so many seconds: narrow bands cost little."""
_MOST_RESTLESS = 5
_ITS_GLANCES = 8
"""Different glances that are remembered of an emission."""
_EFFORTS = 1
"""How often a look gets longer; once more in a recording."""
_FIRST_SECONDS = 0.1
"""A first look waits no longer than this for more samples."""
_FULL_TOGETHER = 8
"""Identifications from one stretch, where the budget is limited; glances cost next to nothing."""
_TOGETHER = 64
"""Channels that are taken out of a stretch at once."""
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


class BandScanner:
    """Find the emissions in a band, follow them, and say what they are.

    Samples go in as they come, in blocks of any length; events come out. `process` does all of it in the calling
    thread. `detect` and `look` are its two halves, for two threads: `ScanWorker` uses them. `snapshot`, `picture` and
    `samples` may be called from any thread.

    Args:
        sample_rate: samples a second.
        centre_hz: what the middle of the band stands for, Hz; None where it is not known.
        options: how it is scanned; None: the defaults.
        limited: the budget of processor time counts. Otherwise every emission is looked at, as in a recording, and the
            same samples give the same events.
        classifier: for linear modulations; None: that of the options' model.

    Raises:
        AmrqError: the model cannot be used, or the sample rate is out of its range.
    """

    def __init__(
        self,
        sample_rate: float,
        centre_hz: float | None = None,
        options: ScanOptions | None = None,
        limited: bool = False,
        classifier: Classifier | None = None,
    ) -> None:
        self.sample_rate, self.centre_hz = float(sample_rate), centre_hz
        self.options = options or ScanOptions()
        self._classifier = classifier or make_classifier(self.options.model)
        most = _RING_BYTES / (np.dtype(np.complex64).itemsize * self.sample_rate)
        kept = max(self.options.memory, min(_LEAST_KEPT / self.sample_rate, _LONGEST_KEPT))
        self.ring = SampleRing(self.sample_rate, min(kept, most))
        self._scheduler = Scheduler(self.options, limited)
        self._lock = threading.RLock()
        self._known: OrderedDict[int, KnownEmission] = OrderedDict()
        self._out: deque[ScanEvent] = deque(maxlen=_MOST_EVENTS)
        self._counts = ScanCounters()
        self._allowance = _BURST * self.options.most_records
        self._allowed_at = 0.0
        self._waiting_keys = 0  # the last one given
        self._base = 0  # added to the tracker's ids, which begin anew with each retune
        self._first_group = self._last_group = 0  # of hops: likewise, and the largest so far
        detecting = DetectorOptions(false_alarms_per_hour=self.options.false_alarms)
        self._detector = Detector(self.sample_rate, detecting)
        self._following = EmissionOptions(group_hops=self.options.group_hops)
        self._tracker = EmissionTracker(self.sample_rate, self._following)
        self._gaps = Gaps(self.sample_rate, self._detector.fine.step)
        self._looker = Looker(self.ring, lambda: self._detector.floor_dbfs_per_hz, self._classifier)

    @property
    def now(self) -> int:
        """Samples so far."""
        return self.ring.end

    @property
    def dropped(self) -> int:
        """Samples lost so far, because there was no time for them."""
        return self._counts.dropped

    def _seconds(self) -> float:
        return self.ring.end / self.sample_rate

    # In and out

    def process(self, samples: NDArray[np.complexfloating[Any, Any]]) -> list[ScanEvent]:
        """Take in samples, complex [n]; return what has happened."""
        self.detect(samples)
        self.look()
        return self.take_events()

    def detect(self, samples: NDArray[np.complexfloating[Any, Any]]) -> None:
        """Take in samples and find emissions; looks at them are left to `look`."""
        began = time.thread_time()
        given = np.asarray(samples, np.complex64)
        samples = finite_samples(given)
        bad = 0 if samples is given else int(np.count_nonzero(samples != given))
        self.ring.append(samples)
        boxes = self._detector.process(samples)
        self._follow(self._tracker.update(boxes, self.now))
        self._count(samples=len(samples), not_finite=bad, seconds=time.thread_time() - began)

    def finish(self) -> list[ScanEvent]:
        """Return what is left when the stream has ended: every emission ends."""
        self.end_all()
        return self.take_events()

    def end_all(self, seconds: float = math.inf) -> None:
        """End every emission, since the stream has ended; the events can then be taken.

        Args:
            seconds: time for looks that are still to come; what is left is not looked at.
        """
        self._follow(self._tracker.update(self._detector.finish(), self.now))
        self._follow(self._tracker.finish(self.now))
        self._end_paused()
        if seconds > 0:
            self.look(last=True, seconds=seconds)
        with self._lock:
            for known in list(self._known.values()):
                if known.ending is not None:
                    self._end(known)

    def abandon(self) -> None:
        """End every emission as it is known, since the detector has failed; the events can then be taken."""
        with self._lock:
            for known in list(self._known.values()):
                if known.record.on:
                    known.record = replace(known.record, on=False)
                    self._end(known)
                elif known.ending is not None:
                    self._end(known)

    def count_dropped(self, lost: int) -> None:
        """Count samples for which there was no time, and after which no more come."""
        self._count(dropped=lost)

    def add_break(self, lost: int = 0, dropped: bool = False) -> None:
        """Note that samples were lost before the next ones. Emissions that are there after it are the same.

        Where a second was lost at most, and an emission is there again within half a second, it goes on: its record
        counts the gap. Otherwise the stretch ends before the gap, and another one of the same emission may begin.

        Args:
            lost: how many samples, as far as it is known: time goes on by them.
            dropped: they were lost here, for want of time.
        """
        self._follow(self._tracker.update(self._detector.add_break(self.now + lost), self.now))
        with self._lock:
            self._gaps.add(self.now, self.now + lost)
        if lost:
            self.ring.skip(lost)
        else:
            self.ring.add_break()
        self._count(breaks=1, dropped=lost if dropped else 0)

    def retune(self, centre_hz: float | None) -> list[ScanEvent]:
        """Note that the middle of the band is another one from the next sample on: all emissions end.

        Returns:
            What has happened: the ends of all emissions.
        """
        self.begin_band(centre_hz)
        return self.take_events()

    def begin_band(self, centre_hz: float | None) -> None:
        """Do as `retune`; the events can then be taken."""
        self._follow(self._tracker.update(self._detector.reset(), self.now))
        self._follow(self._tracker.finish(self.now))
        self._end_paused()
        self.ring.add_break()
        with self._lock:
            for known in list(self._known.values()):
                if known.ending is not None:
                    self._end(known)
            self._base = max([self._base, *self._known])
            self._known.clear()
            self._tracker = EmissionTracker(self.sample_rate, self._following)
            self._first_group = self._last_group
            self.centre_hz = centre_hz

    def _count(self, **more: float) -> None:
        with self._lock:
            self._counts = replace(
                self._counts, **{name: getattr(self._counts, name) + value for name, value in more.items()}
            )

    def take_events(self) -> list[ScanEvent]:
        """Return what has happened since the last call."""
        with self._lock:
            events = list(self._out)
            self._out.clear()
        return events

    # What the detector says

    def _follow(self, events: list[EmissionEvent]) -> None:
        now = self._seconds()
        with self._lock:
            for event in events:
                emission = self._numbered(event.emission)
                known = self._known.get(emission.id)
                if event.event == "begin" and known is not None and known.paused is not None:
                    self._resume(known, emission)
                elif event.event == "begin":
                    self._on_begin(emission, now)
                elif known is None:
                    continue
                elif event.event == "change":
                    self._on_change(known, emission, now)
                elif (until := self._gaps.until(emission)) > now:
                    known.record = replace(known.at(emission), on=True)
                    known.paused = (until, emission)
                else:
                    self._on_end(known, emission, now)
            self._end_paused(now)
            late = [
                known for known in self._known.values() if known.ending is not None and now > known.ending
            ]
            for known in late:
                self._end(known)
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

    def _end_paused(self, now: float = math.inf) -> None:
        """End what has not come again after a gap."""
        with self._lock:
            for known in list(self._known.values()):
                if known.paused is not None and now > known.paused[0]:
                    _, emission = known.paused
                    known.paused = None
                    self._on_end(known, emission, min(now, self._seconds()))

    def _on_begin(self, emission: Emission, now: float) -> None:
        if emission.kind in _NOT_ON_AIR:
            return
        former = self._known.pop(emission.id, None)
        if former is not None and former.ending is not None:
            self._waiting_keys -= 1
            former.key = self._waiting_keys
            self._known[former.key] = former
            self._scheduler.rename(emission.id, former.key)
        self._count(emissions=1)
        record = EmissionRecord(**places_of(emission), since=emission.start)
        known = KnownEmission(record, emission.id, suppressed=not self._reported(now))
        if former is not None:  # the next stretch of the same emission: it keeps its name
            had = {name: getattr(former.record, name) for name in KEPT}
            known.joined, known.findings = former.joined, former.findings
            known.found_before = len(former.findings)
            known.record = replace(record, **had, bursts=emission.bursts - known.joined)
            known.glances, known.effort, known.restless = former.glances, former.effort, former.restless
        self._known[emission.id] = known
        have = (self.now - emission.start) / self.sample_rate
        enough = min(self._looker.window(known.record, FIRST_SYMBOLS) / self.sample_rate, _FIRST_SECONDS)
        self._scheduler.begin(emission.id, now, max(0.0, enough - have), known.familiar)
        self._put("begin", known)

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
            self._end(known)

    def _end(self, known: KnownEmission) -> None:
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
        self._put("end", known)

    def _put(self, event: Event, known: KnownEmission) -> None:
        if not known.suppressed:
            self._out.append(ScanEvent(event, known.record, self.centre_hz))

    def _reported(self, now: float) -> bool:
        """Return whether another emission may be reported, and count it."""
        rate = self.options.most_records
        self._allowance = min(_BURST * rate, self._allowance + rate * max(0.0, now - self._allowed_at))
        self._allowed_at = now
        if self._allowance < 1:
            self._count(suppressed=1)
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

    # Looks

    def look(self, last: bool = False, seconds: float = math.inf) -> None:
        """Look at the emissions whose turn it is, as far as the budget allows.

        Args:
            last: the stream has ended, and what waits is looked at now.
            seconds: after which no further look begins.
        """
        until = time.monotonic() + seconds
        now = math.inf if last else self._seconds()
        with self._lock:
            turns = self._scheduler.due(now)
        if last:  # steady ones have been looked at
            turns = [turn for turn in turns if turn.kind is not LookKind.STEADY]
        for stretch, together in self._together(turns).items():
            if time.monotonic() > until:
                break
            with self._lock:  # glances cost next to nothing, and are not put off
                allowed = last or self._scheduler.allowed(self._seconds())
            if not allowed:
                together = [one for one in together if not one[0].full]
            if not together:
                continue
            began = time.thread_time()
            self._look_at(stretch, together, last)
            self._count(seconds=time.thread_time() - began)

    def _together(self, turns: list[Turn]) -> dict[tuple[int, int, int], list[tuple[Turn, EmissionRecord]]]:
        """Return turns by the stretch of the band that they look at, in their order, and a number for large groups."""
        groups: dict[tuple[int, int, int], list[tuple[Turn, EmissionRecord]]] = {}
        end = self.now
        for turn in turns:
            with self._lock:
                known = self._known.get(turn.id)
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
            with self._lock:
                if number and turn.full and not (last or self._scheduler.allowed(self._seconds())):
                    continue  # its turn comes again
            began, spent = time.thread_time() - spent, 0.0
            if channels is None:
                with self._lock:
                    self._scheduler.done(turn, self._seconds(), time.thread_time() - began)
                    known = self._known.get(turn.id)
                    if known is not None and known.ending is not None:
                        self._end(known)
                continue
            self._take(turn, record, channels[number], stop - start, began)

    def _take(
        self, turn: Turn, record: EmissionRecord, channel: ChannelSamples, used: int, began: float
    ) -> None:
        with self._lock:
            known = self._known.get(turn.id)
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
        others: list[tuple[EmissionIdentity, float]] = []
        if identity is not None and identity.label == UNKNOWN and known.ending is not None:
            others = self._elsewhere(record, used, known)
        now = self._seconds()
        with self._lock:
            if self._known.get(known.key) is not known:
                return  # its band, or itself, has gone meanwhile
            known.looked = max(known.looked, used)
            known.record = replace(known.record, looks=known.record.looks + 1)
            if identity is not None:
                self._recognise(known, seen, changed, identity.label == record.label)
                known.named_at = now
                self._learn(known, identity, channel.centre, changed)
                for other, centre in others:
                    self._learn(known, other, centre, False)
            known.record = replace(known.record, looks=known.record.looks + len(others))
            self._count(looks=1 + len(others))
            whole = self._looker.window(record, symbols_of(known))
            sure = identity is None or identity.label != UNKNOWN
            if not sure and used >= 0.9 * whole:
                sure = (
                    known.effort >= _EFFORTS + (not self._scheduler.limited) or whole >= self._looker.longest
                )
                known.effort += not sure
            same = identity is not None and identity.label == record.label
            cost = time.thread_time() - began
            self._scheduler.done(turn, now, cost, used / self.sample_rate, sure, same)
            calm = self.options.look_every * 2**known.restless
            if changed and identity is None and now >= known.named_at + calm:
                self._scheduler.change(turn.id, now)
            if known.ending is not None:
                self._end(known)

    def _elsewhere(
        self, record: EmissionRecord, window: int, known: KnownEmission
    ) -> list[tuple[EmissionIdentity, float]]:
        """Look at other stretches of an emission that is over and has no name, where there is all the time for it."""
        found: list[tuple[EmissionIdentity, float]] = []
        if self._scheduler.limited or known.findings:
            return found
        for start, stop in self._looker.places(record, window):
            channels = self._looker.channels([record], start, stop)
            if channels is not None:
                identity = self._looker.identity(channels[0], record, True)
                found.append((identity, channels[0].centre))
        return found

    @staticmethod
    def _recognise(known: KnownEmission, seen: Glance, changed: bool, same: bool) -> None:
        """Take in how an emission looked when it was identified; the lock is held."""
        if not same or not known.glances:
            known.glances, known.restless = (seen,), 0
        elif changed:  # it may look like this, too: voice and keying do
            known.glances = (*known.glances, seen)[-_ITS_GLANCES:]
            known.restless = min(known.restless + 1, _MOST_RESTLESS)

    def _learn(self, known: KnownEmission, identity: EmissionIdentity, centre: float, changed: bool) -> None:
        """Take in what an identification has found; the lock is held."""
        before, measures = known.record, numbers_of(identity.measures)
        if measures.get("centre") is not None:  # from the middle of the band, as all places are
            measures["centre"] = float(measures["centre"] or 0.0) + centre
        first = not known.findings
        if changed and identity.label != before.label:  # it has become another one
            if len(known.findings) > known.found_before:
                known.findings.forget_recent()
            else:
                known.findings = Findings()
        known.findings.add(identity, measures)
        now_known = known.findings.fields()
        since = before.since
        if now_known["label"] != before.label:
            since = before.start if first else self.now
        found = {**now_known, "since": since}
        known.record = with_findings(before, found, self.sample_rate, self.now, self.centre_hz)
        if known.record.label != before.label:
            self._put("change", known)

    # For displays

    def snapshot(self) -> ScanSnapshot:
        """Return the table and the counters as they are now."""
        with self._lock:
            records = [known.record for key, known in self._known.items() if key > 0]
            records.sort(key=lambda one: one.lower)
            now, seconds = self.now, self._seconds()
            counters = replace(
                self._counts,
                waiting=self._scheduler.waiting(seconds),
                missed=self._scheduler.missed,
                load=self._counts.seconds / seconds if seconds else 0.0,
                notes=self._detector.remarks,
            )
        return ScanSnapshot(self.sample_rate, self.centre_hz, now, tuple(records), counters)

    def picture(self, line: DrawnLine | None = None) -> BandPicture:
        """Return noise floor and threshold for drawing, and the spectra of a line (`amrq.detect.DrawnSpectra`)."""
        return picture_of(self._detector.floor_dbfs_per_hz, self._detector.threshold_dbfs_per_hz, line)

    def samples(self, id: int, seconds: float = 0.1) -> ChannelSamples | None:
        """Return the latest I/Q of an emission; None where it is not known, or its samples have gone.

        Args:
            id: of the emission.
            seconds: how much of it, at most.
        """
        with self._lock:
            known = self._known.get(id)
        if known is None:
            return None
        record = known.record
        stop = min(self.now, record.stop)
        start = max(self.ring.first, record.start, stop - round(seconds * self.sample_rate))
        wanted = self._looker.channel(record)
        try:
            return extract(self.ring, self.sample_rate, wanted.centre, wanted.bandwidth, start, stop)
        except AmrqError:
            return None
