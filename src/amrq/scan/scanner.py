# SPDX-License-Identifier: GPL-3.0-or-later
"""A band from its samples to a list of emissions with their names."""

import math
import time
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amrq.channel import ChannelSamples, SampleRing, extract
from amrq.chunks import finite_samples
from amrq.classifier import AUTO, Classifier, make_classifier
from amrq.detect import DetectorOptions, DrawnLine, EmissionOptions
from amrq.errors import AmrqError
from amrq.finder import Finder, FinderOptions, Found, Job, finder_process
from amrq.identify import IdentifyModels, family_model
from amrq.scan.looks import Looker
from amrq.scan.records import BandPicture, ScanEvent, ScanSnapshot, picture_of
from amrq.scan.schedule import ScanOptions, Scheduler
from amrq.scan.table import EmissionTable
from amrq.scan.tones import ToneJoiner
from amrq.scan.turns import TurnTaker

__all__ = ["BandScanner"]

_RING_BYTES = 256 << 20
"""Of samples kept at most: 1.6 s at 20 MS/s, 13 s at 2.4 MS/s."""
_LEAST_KEPT, _LONGEST_KEPT, _FEWEST_KEPT = 1 << 20, 60.0, 1 << 18
"""Samples that are kept at least, up to so many seconds: narrow bands cost little; and however long they take."""


class BandScanner:
    """Find the emissions in a band, follow them, and say what they are.

    Samples go in as they come, in blocks of any length; events come out. `process` does all of it in the calling
    thread. `append`, `take` and `look` are its parts, for several threads and a process: `ScanWorker` uses them.
    `snapshot`, `picture` and `samples` may be called from any thread.

    Args:
        sample_rate: samples a second.
        centre_hz: what the middle of the band stands for, Hz; None where it is not known.
        options: how it is scanned; None: the defaults.
        limited: the budget of processor time counts. Otherwise every emission is looked at, as in a recording, and the
            same samples give the same events.
        classifier: for linear modulations; None: that of the options' model.
        apart: a process for the detector starts at once, where that is possible; a `ScanWorker` will use it. Otherwise
            the worker starts one.
        real: the samples were real, and hold nothing below 0 Hz, as `amrq.recordings.Recording` has them.

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
        apart: bool = False,
        real: bool = False,
    ) -> None:
        self.sample_rate = float(sample_rate)
        self.options = options or ScanOptions()
        most = _RING_BYTES / (np.dtype(np.complex64).itemsize * self.sample_rate)
        kept = min(_LEAST_KEPT / self.sample_rate, max(_LONGEST_KEPT, _FEWEST_KEPT / self.sample_rate))
        kept = max(self.options.memory, kept)
        self.ring = SampleRing(self.sample_rate, min(kept, most))
        self.finding = FinderOptions(
            DetectorOptions(false_alarms_per_hour=self.options.false_alarms),
            EmissionOptions(group_hops=self.options.group_hops),
            real,
        )
        """What is looked for."""
        self.finder_apart = finder_process(self.ring, self.finding) if apart else None
        """What a worker has it looked for by."""
        self.finder = Finder(self.sample_rate, self.finding)
        """What looks for it, where that is done in this process."""
        self._levels = self.finder.levels
        self._scheduler = Scheduler(self.options, limited)
        self._looker = Looker(
            self.ring,
            lambda: self._levels.floor,
            IdentifyModels(
                classifier or make_classifier(self.options.model, AUTO),
                family_model(self.options.family_model),
            ),
        )
        self._table = EmissionTable(
            self.sample_rate,
            centre_hz,
            self.options,
            self._scheduler,
            self._looker,
            self.finder.step,
        )
        self._appending = 0.0  # seconds of processor time, not counted yet
        joiner = ToneJoiner(self._table, self.ring.read)
        self._turns = TurnTaker(self._table, self._scheduler, self._looker, joiner)

    @property
    def centre_hz(self) -> float | None:
        """What the middle of the band stands for, Hz; None where it is not known."""
        return self._table.centre_hz

    @property
    def now(self) -> int:
        """Samples that were searched so far."""
        return self._table.now

    @property
    def dropped(self) -> int:
        """Samples lost so far, because there was no time for them."""
        return self._table.counts.dropped

    # In and out

    def process(self, samples: NDArray[np.complexfloating[Any, Any]]) -> list[ScanEvent]:
        """Take in samples, complex [n]; return what has happened."""
        self.detect(samples)
        self.look()
        return self.take_events()

    def detect(self, samples: NDArray[np.complexfloating[Any, Any]]) -> None:
        """Take in samples and find emissions; looks at them are left to `look`."""
        start, good = self.ring.end, self.append(samples)
        self.take(Job("samples", start, self.ring.end), self.finder.process(good))

    def append(self, samples: NDArray[np.complexfloating[Any, Any]]) -> NDArray[np.complex64]:
        """Put samples into the ring, to be searched later; return them as they are there."""
        began = time.thread_time()
        given = np.asarray(samples, np.complex64)
        samples = finite_samples(given)
        self.ring.append(samples)
        if samples is not given:
            self._table.count(not_finite=int(np.count_nonzero(samples != given)))
        self._appending += time.thread_time() - began
        return samples

    def take(self, job: Job, found: Found, centre_hz: float | None = None) -> None:
        """Take in what came of a job; from one thread.

        Args:
            job: the job.
            found: what came of it.
            centre_hz: what the middle of another band stands for, where the job was to begin one.
        """
        began, table = time.thread_time(), self._table
        if found.levels is not None:
            self._levels = found.levels
        searched = job.kind == "samples" and not found.gone
        if searched:
            table.now = found.now
        for events in found.events:
            table.follow(events)
        if job.kind in ("band", "end"):
            table.end_paused()
            if job.kind == "band":
                table.begin_band(centre_hz)
        elif not searched:
            table.add_gap(table.now, found.now)
            table.now = found.now
            table.count(breaks=1)
        spent, self._appending = self._appending, 0.0
        spent += found.seconds + time.thread_time() - began
        dropped = job.count if job.kind == "lost" or found.gone else 0
        table.count(samples=job.count if searched else 0, dropped=dropped, seconds=spent)

    def look(self, last: bool = False, seconds: float = math.inf) -> None:
        """Look at the emissions whose turn it is, as far as the budget allows.

        Args:
            last: the stream has ended, and what waits is looked at now.
            seconds: after which no further look begins.
        """
        self._turns.look(last, seconds)

    def finish(self) -> list[ScanEvent]:
        """Return what is left when the stream has ended: every emission ends."""
        self.end_all()
        return self.take_events()

    def end_all(self, seconds: float = math.inf) -> None:
        """End every emission, since the stream has ended; the events can then be taken.

        Args:
            seconds: time for looks that are still to come; what is left is not looked at.
        """
        self.take(Job("end", self.now, self.now), self.finder.finish())
        self.end_waiting(seconds)

    def end_waiting(self, seconds: float = math.inf) -> None:
        """End what waits for a last look, when all emissions have ended.

        Args:
            seconds: time for looks that are still to come; what is left is not looked at.
        """
        if seconds > 0:
            self.look(last=True, seconds=seconds)
        self._table.end_waiting()

    def abandon(self) -> None:
        """End every emission as it is known, since the detector has failed; the events can then be taken."""
        self._table.abandon()

    def count_dropped(self, lost: int) -> None:
        """Count samples for which there was no time, and after which no more come."""
        self._table.count(dropped=lost)

    def add_break(self, lost: int = 0, dropped: bool = False) -> None:
        """Note that samples were lost before the next ones. Emissions that are there after it are the same.

        Where a second was lost at most, and an emission is there again within half a second, it goes on: its record
        counts the gap. Otherwise the stretch ends before the gap, and another one of the same emission may begin.

        Args:
            lost: how many samples, as far as it is known: time goes on by them.
            dropped: they were lost here, for want of time.
        """
        self.take(Job("lost" if dropped else "break", self.now, self.now + lost), self.finder.add_break(lost))
        if lost:
            self.ring.skip(lost)
        else:
            self.ring.add_break()

    def retune(self, centre_hz: float | None) -> list[ScanEvent]:
        """Note that the middle of the band is another one from the next sample on: all emissions end.

        Returns:
            What has happened: the ends of all emissions.
        """
        self.begin_band(centre_hz)
        return self.take_events()

    def begin_band(self, centre_hz: float | None) -> None:
        """Do as `retune`; the events can then be taken."""
        self.take(Job("band", self.now, self.now), self.finder.begin_band(), centre_hz)
        self.ring.add_break()

    def take_events(self) -> list[ScanEvent]:
        """Return what has happened since the last call."""
        return self._table.take_events()

    # For displays

    def snapshot(self) -> ScanSnapshot:
        """Return the table and the counters as they are now."""
        table = self._table
        with table.lock:
            records, now, seconds = table.records(), self.now, table.seconds
            counters = replace(
                table.counts,
                waiting=self._scheduler.waiting(seconds),
                missed=self._scheduler.missed,
                unkept=self._looker.slow.missed,
                load=table.counts.seconds / seconds if seconds else 0.0,
                notes=self._levels.remarks,
            )
        return ScanSnapshot(self.sample_rate, self.centre_hz, now, tuple(records), counters)

    def picture(self, line: DrawnLine | None = None) -> BandPicture:
        """Return noise floor and threshold for drawing, and the spectra of a line (`amrq.detect.DrawnSpectra`)."""
        return picture_of(self._levels.floor, self._levels.threshold, line)

    def samples(self, id: int, seconds: float = 0.1) -> ChannelSamples | None:
        """Return the latest I/Q of an emission; None where it is not known, or its samples have gone.

        Args:
            id: of the emission.
            seconds: how much of it, at most.
        """
        with self._table.lock:
            known = self._table.get(id)
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
