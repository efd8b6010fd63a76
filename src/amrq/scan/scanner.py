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
from amrq.classifier import Classifier, make_classifier
from amrq.detect import Box, Detector, DetectorOptions, DrawnLine, EmissionOptions, EmissionTracker
from amrq.errors import AmrqError
from amrq.scan.looks import Looker
from amrq.scan.records import BandPicture, ScanEvent, ScanSnapshot, picture_of
from amrq.scan.schedule import ScanOptions, Scheduler
from amrq.scan.table import EmissionTable
from amrq.scan.turns import TurnTaker

__all__ = ["BandScanner"]

_RING_BYTES = 256 << 20
"""Of samples kept at most: 1.6 s at 20 MS/s, 13 s at 2.4 MS/s."""
_LEAST_KEPT, _LONGEST_KEPT = 1 << 20, 60.0
"""Samples that are kept at least, up to so many seconds: narrow bands cost little."""


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
        self.sample_rate = float(sample_rate)
        self.options = options or ScanOptions()
        most = _RING_BYTES / (np.dtype(np.complex64).itemsize * self.sample_rate)
        kept = max(self.options.memory, min(_LEAST_KEPT / self.sample_rate, _LONGEST_KEPT))
        self.ring = SampleRing(self.sample_rate, min(kept, most))
        detecting = DetectorOptions(false_alarms_per_hour=self.options.false_alarms)
        self._detector = Detector(self.sample_rate, detecting)
        self._following = EmissionOptions(group_hops=self.options.group_hops)
        self._tracker = EmissionTracker(self.sample_rate, self._following)
        self._scheduler = Scheduler(self.options, limited)
        self._looker = Looker(
            self.ring,
            lambda: self._detector.floor_dbfs_per_hz,
            classifier or make_classifier(self.options.model),
        )
        self._table = EmissionTable(
            self.sample_rate,
            centre_hz,
            self.options,
            self._scheduler,
            self._looker,
            self._detector.fine.step,
        )
        self._turns = TurnTaker(self._table, self._scheduler, self._looker)

    @property
    def centre_hz(self) -> float | None:
        """What the middle of the band stands for, Hz; None where it is not known."""
        return self._table.centre_hz

    @property
    def now(self) -> int:
        """Samples so far."""
        return self.ring.end

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
        began = time.thread_time()
        given = np.asarray(samples, np.complex64)
        samples = finite_samples(given)
        bad = 0 if samples is given else int(np.count_nonzero(samples != given))
        self.ring.append(samples)
        self._table.now = self.ring.end
        boxes = self._detector.process(samples)
        self._table.follow(self._tracker.update(boxes, self.now))
        self._table.count(samples=len(samples), not_finite=bad, seconds=time.thread_time() - began)

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
        self._end_stretches(self._detector.finish())
        if seconds > 0:
            self.look(last=True, seconds=seconds)
        self._table.end_waiting()

    def _end_stretches(self, boxes: list[Box]) -> None:
        """Take in the last boxes of a band: each emission ends with them."""
        self._table.follow(self._tracker.update(boxes, self.now))
        self._table.follow(self._tracker.finish(self.now))
        self._table.end_paused()

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
        self._table.follow(self._tracker.update(self._detector.add_break(self.now + lost), self.now))
        self._table.add_gap(self.now, self.now + lost)
        if lost:
            self.ring.skip(lost)
        else:
            self.ring.add_break()
        self._table.now = self.ring.end
        self._table.count(breaks=1, dropped=lost if dropped else 0)

    def retune(self, centre_hz: float | None) -> list[ScanEvent]:
        """Note that the middle of the band is another one from the next sample on: all emissions end.

        Returns:
            What has happened: the ends of all emissions.
        """
        self.begin_band(centre_hz)
        return self.take_events()

    def begin_band(self, centre_hz: float | None) -> None:
        """Do as `retune`; the events can then be taken."""
        self._end_stretches(self._detector.reset())
        self.ring.add_break()
        self._table.begin_band(centre_hz)
        self._tracker = EmissionTracker(self.sample_rate, self._following)

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
                load=table.counts.seconds / seconds if seconds else 0.0,
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
