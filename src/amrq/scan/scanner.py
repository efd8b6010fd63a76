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

from amrq.channel import Channel, ChannelSamples, SampleRing, extract, extract_all
from amrq.classifier import Classifier, make_classifier
from amrq.detect import Detector, DetectorOptions, Emission, EmissionEvent, EmissionTracker
from amrq.errors import AmrqError
from amrq.identify import EmissionIdentity, Glance, identify_emission
from amrq.model import UNKNOWN
from amrq.scan.records import (
    BandPicture,
    EmissionRecord,
    Event,
    KnownEmission,
    ScanCounters,
    ScanEvent,
    ScanSnapshot,
    numbers_of,
    places_of,
)
from amrq.scan.schedule import LookKind, ScanOptions, Scheduler, Turn

__all__ = ["BandScanner"]

_RING_BYTES = 256 << 20
"""Of samples kept at most: 1.6 s at 20 MS/s, 13 s at 2.4 MS/s."""
_LOOK_SYMBOLS = 1500.0
"""Bandwidths times seconds of a full look: about 1,200 symbols, a decision of 32 chunks and some more."""
_MOST_RESTLESS = 5
_LONGER = 4
"""Times as long is the next look at an emission that has no name."""
_EFFORTS = 1
"""How often a look gets longer; once more in a recording."""
_FIRST_SYMBOLS = 400.0
"""Of a first look: enough to name a strong signal."""
_GLANCE = 512.0
"""Of a look at whether an emission has changed."""
_LONGEST = 1 << 22
"""Samples of the band that a look takes at most."""
_FIRST_SECONDS = 0.1
"""A first look waits no longer than this for more samples."""
_RATE = 4.0
"""Bandwidths of the channel that is looked at: the noise beside the signal is seen."""
_LEAST_BANDWIDTH = 500.0
"""Hz of the narrowest channel."""
_FULL_TOGETHER = 4
"""Identifications from one stretch, where the budget is limited; glances cost next to nothing."""
_TOGETHER = 32
"""Channels that are taken out of a stretch at once."""
_PATIENCE = 0.3
"""Seconds that the record of an emission waits after its end for a look."""
_DOUBTS = 3
"""Looks without a name after which a name is given up."""
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
        self.ring = SampleRing(self.sample_rate, min(max(self.options.memory, 0.1), most))
        self._scheduler = Scheduler(self.options, limited)
        self._lock = threading.RLock()
        self._known: OrderedDict[int, KnownEmission] = OrderedDict()
        self._out: deque[ScanEvent] = deque(maxlen=_MOST_EVENTS)
        self._counts = ScanCounters()
        self._allowance = _BURST * self.options.most_records
        self._allowed_at = 0.0
        self._waiting_keys = 0  # the last one given
        self._base = 0  # added to the tracker's ids, which begin anew with each retune
        detecting = DetectorOptions(false_alarms_per_hour=self.options.false_alarms)
        self._detector = Detector(self.sample_rate, detecting)
        self._tracker = EmissionTracker(self.sample_rate)

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
        samples = self._clean(np.asarray(samples, np.complex64))
        self.ring.append(samples)
        boxes = self._detector.process(samples)
        self._follow(self._tracker.update(boxes, self.now))
        self._count(samples=len(samples), seconds=time.thread_time() - began)

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

        Args:
            lost: how many samples, as far as it is known: time goes on by them.
            dropped: they were lost here, for want of time.
        """
        self._follow(self._tracker.update(self._detector.add_break(self.now + lost), self.now))
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
        self.ring.add_break()
        with self._lock:
            for known in list(self._known.values()):
                if known.ending is not None:
                    self._end(known)
            self._base = max([self._base, *self._known])
            self._known.clear()
            self._tracker = EmissionTracker(self.sample_rate)
            self.centre_hz = centre_hz

    def _clean(self, samples: NDArray[np.complex64]) -> NDArray[np.complex64]:
        """Return samples with zeros in place of those that are not finite."""
        flat = samples.view(np.float32) if samples.flags.c_contiguous else samples.copy().view(np.float32)
        with np.errstate(over="ignore", invalid="ignore"):
            if math.isfinite(float(np.dot(flat, flat))):
                return samples
        power = np.abs(samples.real) + np.abs(samples.imag)
        bad = ~(power < 1e12)
        self._count(not_finite=int(bad.sum()))
        return np.where(bad, np.complex64(0), samples)

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
                emission = replace(event.emission, id=event.emission.id + self._base)
                {"begin": self._on_begin, "change": self._on_change, "end": self._on_end}[event.event](
                    emission, now
                )
            late = [
                known for known in self._known.values() if known.ending is not None and now > known.ending
            ]
            for known in late:
                self._end(known)
            self._forget_old()

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
            kept = (
                "label",
                "family",
                "reason",
                "confidence",
                "symbol_rate",
                "measures",
                "probabilities",
                "since",
            )
            had = {name: getattr(former.record, name) for name in kept}
            known.record = replace(record, **had, looks=former.record.looks)
            known.glance, known.effort, known.restless = former.glance, former.effort, former.restless
        self._known[emission.id] = known
        have = (self.now - emission.start) / self.sample_rate
        enough = min(self._window(known.record, _FIRST_SYMBOLS) / self.sample_rate, _FIRST_SECONDS)
        self._scheduler.begin(emission.id, now, max(0.0, enough - have), known.familiar)
        self._put("begin", known)

    def _on_change(self, emission: Emission, now: float) -> None:
        known = self._known.get(emission.id)
        if known is None:
            return
        before = known.record
        known.record = replace(before, **places_of(emission))
        moved = abs(known.record.centre - before.centre) > _MOVED * before.bandwidth
        if moved or not 0.5 < known.record.bandwidth / max(before.bandwidth, 1e-9) < 2:
            self._scheduler.change(emission.id, now)

    def _on_end(self, emission: Emission, now: float) -> None:
        known = self._known.get(emission.id)
        if known is None:
            return
        known.record = replace(known.record, **(places_of(emission) | {"on": False}))
        record = known.record
        # Each stretch gets a look; where it may be the emission known from before, a glance says whether it is.
        there = min(record.stop - record.start, self._window(record, _symbols(known)))
        wanted = not known.looked or (record.label == UNKNOWN and known.looked < 0.9 * there)
        self._scheduler.end(emission.id, now, wanted, full=not known.familiar)
        if wanted:
            known.ending = now + _PATIENCE if self._scheduler.limited else math.inf
        else:
            self._end(known)

    def _end(self, known: KnownEmission) -> None:
        """Report an end; the lock is held."""
        known.ending = None
        if not known.record.looks:
            known.record = replace(known.record, reason="not looked at in time")
        self._scheduler.forget(known.key, missed=not known.record.looks)
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
        gone = [
            id
            for id, known in self._known.items()
            if not known.record.on and known.ending is None and known.record.last_seen < oldest
        ]
        over = len(self._known) - len(gone) - _MOST_EMISSIONS
        if over > 0:
            left = set(gone)
            ended = [id for id, one in self._known.items() if not one.record.on and one.ending is None]
            gone += [id for id in ended if id not in left][:over]
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
            with self._lock:
                allowed = last or self._scheduler.allowed(self._seconds())
            if not allowed or time.monotonic() > until:
                break
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
            start, stop = self._stretch(known.record, end, _symbols(known) if turn.full else _GLANCE)
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
        try:
            wanted = [self._wanted(record) for _, record in turns]
            channels: list[ChannelSamples] | None = extract_all(
                self.ring, self.sample_rate, wanted, start, stop
            )
        except AmrqError:  # its samples have gone
            channels = None
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
        seen = Glance.at(channel.iq, channel.sample_rate, max(record.bandwidth, _LEAST_BANDWIDTH))
        changed = known.glance is None or seen.differs(known.glance)
        identity = None
        if turn.full or (changed and known.ending is not None):
            if not turn.full:  # it is over, and another one than before
                channel, used = self._whole(record) or (channel, used)
            identity = self._identify(channel, record, turn.kind)
        now = self._seconds()
        with self._lock:
            if self._known.get(known.key) is not known:
                return  # its band, or itself, has gone meanwhile
            known.looked = max(known.looked, used)
            if identity is not None:
                same = changed and known.glance is not None and identity.label == known.record.label
                known.restless = min(known.restless + 1, _MOST_RESTLESS) if same else 0
                known.glance, known.named_at = seen, now
                self._learn(known, identity, changed)
            self._count(looks=1)
            whole = self._window(record, _symbols(known))
            sure = identity is None or identity.label != UNKNOWN
            if not sure and used >= 0.9 * whole:
                sure = known.effort >= _EFFORTS + (not self._scheduler.limited) or whole >= self._longest()
                known.effort += not sure
            self._scheduler.done(turn, now, time.thread_time() - began, used / self.sample_rate, sure)
            calm = self.options.look_every * 2**known.restless
            if changed and identity is None and now >= known.named_at + calm:
                self._scheduler.change(turn.id, now)
            if known.ending is not None:
                self._end(known)

    def _whole(self, record: EmissionRecord) -> tuple[ChannelSamples, int] | None:
        """Return the samples of a full look at one emission; None where they have gone."""
        start, stop = self._stretch(record, self.now, _LOOK_SYMBOLS)
        try:
            [channel] = extract_all(self.ring, self.sample_rate, [self._wanted(record)], start, stop)
        except AmrqError:
            return None
        return channel, stop - start

    def _identify(self, channel: ChannelSamples, record: EmissionRecord, kind: LookKind) -> EmissionIdentity:
        floor = self._floor(record)
        edges = (record.lower - channel.centre, record.upper - channel.centre)
        # What is new gets a name soon; echoes are seen to when it has turned out to last.
        thorough = not self._scheduler.limited or kind is LookKind.STEADY
        return identify_emission(
            channel.iq, channel.sample_rate, floor, edges, record.snr_db, self._classifier, thorough
        )

    def _learn(self, known: KnownEmission, identity: EmissionIdentity, changed: bool) -> None:
        """Take in what a look has found; the lock is held.

        A name stays through some looks that give none, unless the emission looks like another one now.
        """
        before = known.record
        keeps = not changed and before.label != UNKNOWN and identity.label == UNKNOWN
        if keeps:
            known.doubts += 1
            keeps = known.doubts < _DOUBTS
        if keeps:
            known.record = replace(before, looks=before.looks + 1)
            return
        known.doubts = 0
        another = identity.label != before.label
        known.record = replace(
            before,
            label=identity.label,
            family=identity.family,
            reason=identity.reason,
            confidence=identity.confidence,
            symbol_rate=identity.symbol_rate,
            measures=numbers_of(identity.measures),
            probabilities=dict(identity.probabilities),
            symbols=identity.symbols,
            since=(before.start if not before.looks else self.now) if another else before.since,
            looks=before.looks + 1,
        )
        if another:
            self._put("change", known)

    def _window(self, record: EmissionRecord, symbols: float) -> int:
        """Return the samples of the band that a look of so many bandwidths times seconds takes: a power of 2."""
        bandwidth = min(max(record.bandwidth, _LEAST_BANDWIDTH), self.sample_rate)
        wanted = symbols * self.sample_rate / bandwidth
        most = self._longest() if symbols > _GLANCE else min(_LONGEST // 4, self._longest())
        return min(1 << round(math.log2(max(wanted, 256))), most)

    def _longest(self) -> int:
        """Return the samples of the band that a look takes at most: a power of 2."""
        return 1 << (min(_LONGEST, self.ring.capacity).bit_length() - 1)

    def _stretch(self, record: EmissionRecord, end: int, symbols: float) -> tuple[int, int]:
        """Return the samples that a look takes: the latest in which the emission was seen."""
        start, stop, window = record.start, min(end, record.stop), self._window(record, symbols)
        # On a grid, so that emissions share stretches.
        grid = window // 16
        if stop - start > 4 * grid:
            start, stop = -(-start // grid) * grid, stop // grid * grid
        start = max([start, stop - window, self.ring.first, *self.ring.breaks(start, stop)])
        return min(start, stop), stop

    def _wanted(self, record: EmissionRecord) -> Channel:
        """Return the channel of an emission, with the noise beside it."""
        bandwidth = max(record.bandwidth, _LEAST_BANDWIDTH)
        # A channel's rate is 1.25 times what passes, or little more.
        return Channel(record.centre, min(_RATE / 1.25 * bandwidth, self.sample_rate))

    def _floor(self, record: EmissionRecord) -> float | None:
        """Return the noise floor where an emission is, dB of full scale a Hz."""
        floor = self._detector.floor_dbfs_per_hz
        place = (record.centre / self.sample_rate + 0.5) * len(floor)
        value = float(floor[min(max(int(place), 0), len(floor) - 1)])
        return value if math.isfinite(value) else None

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
            )
        return ScanSnapshot(self.sample_rate, self.centre_hz, now, tuple(records), counters)

    def picture(self) -> BandPicture:
        """Return spectrum, noise floor and threshold for drawing; spectra come one after the other, each once."""
        taken = self._detector.take_spectra()
        stop, mean, peak = taken or (None, None, None)
        floor = np.asarray(self._detector.floor_dbfs_per_hz, np.float32)
        threshold = np.asarray(self._detector.threshold_dbfs_per_hz, np.float32)
        return BandPicture(_decibels(mean), _decibels(peak), floor, threshold, stop)

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
        wanted = self._wanted(record)
        try:
            return extract(self.ring, self.sample_rate, wanted.centre, wanted.bandwidth, start, stop)
        except AmrqError:
            return None


def _symbols(known: KnownEmission) -> float:
    """Return the bandwidths times seconds of an identification."""
    # There will be no more of what is over.
    last = not known.record.on and known.record.label == UNKNOWN
    return _LOOK_SYMBOLS * float(_LONGER ** (known.effort + last))


def _decibels(density: NDArray[Any] | None) -> NDArray[np.float32] | None:
    return None if density is None else np.asarray(10 * np.log10(np.maximum(density, 1e-30)), np.float32)
