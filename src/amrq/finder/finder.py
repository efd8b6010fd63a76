# SPDX-License-Identifier: GPL-3.0-or-later
"""Detector and tracker of a band as one: samples, breaks and retunes in, what happened to emissions out."""

import time
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from amrq.channel import SampleRing
from amrq.detect import (
    Box,
    Detector,
    DetectorOptions,
    EmissionEvent,
    EmissionOptions,
    EmissionTracker,
)
from amrq.errors import AmrqError
from amrq.recordings import upper_half

__all__ = ["Finder", "FinderOptions", "Found", "Job", "Levels"]


@dataclass(frozen=True)
class FinderOptions:
    """What a finder looks for.

    Attributes:
        detector: what counts as an emission.
        emissions: how emissions are followed.
        real: the samples were real: negative frequencies hold nothing. Only the upper half is searched then,
            since a noise floor must not be taken from the empty one.
    """

    detector: DetectorOptions = field(default_factory=DetectorOptions)
    emissions: EmissionOptions = field(default_factory=EmissionOptions)
    real: bool = False


@dataclass(frozen=True)
class Job:
    """What a finder is to do next.

    Attributes:
        kind: `samples`: search samples of the ring. `break`: go on after a break. `band`: begin anew, since what comes
            is another band. `lost`: leave samples out, for want of time. `end`: the stream has ended.
        start: number of the first sample in the stream.
        stop: number of the sample after the last one: searched, or left out.
    """

    kind: Literal["samples", "break", "lost", "band", "end"]
    start: int
    stop: int

    @property
    def count(self) -> int:
        """How many samples it is about."""
        return self.stop - self.start


@dataclass(frozen=True)
class Levels:
    """What a finder takes for noise, and what hinders it.

    Attributes:
        floor: noise floor, dB of full scale a Hz, float64 [bins] at equal steps over the band.
        threshold: level from which a short emission is found, likewise.
        remarks: sentences about what hinders finding emissions in this band.
    """

    floor: NDArray[np.float64]
    threshold: NDArray[np.float64]
    remarks: tuple[str, ...]


@dataclass(frozen=True)
class Found:
    """What came of a job.

    Attributes:
        events: what happened to emissions, one list after the other.
        now: number of the sample that was searched last, and one.
        levels: as they are now; None where they have not changed.
        seconds: processor time that it took.
        gone: samples that were to be searched, and were overwritten before that. They count as a break.
    """

    events: tuple[list[EmissionEvent], ...]
    now: int
    levels: Levels | None = None
    seconds: float = 0.0
    gone: int = 0


class Finder:
    """Finds the emissions of a band and follows them.

    Args:
        sample_rate: of the band, in Hz.
        options: what it looks for.

    >>> finder = Finder(1e6, FinderOptions())
    >>> noise = np.random.default_rng(2).standard_normal((400_000, 2)) @ [0.01, 0.01j]
    >>> noise[50_000:] += 0.02 * np.exp(2j * np.pi * 0.2 * np.arange(350_000))
    >>> found = finder.process(noise.astype(np.complex64))
    >>> [(event.event, round(event.emission.centre, -3)) for event in found.events[0]][:1], found.now
    ([('begin', 200000.0)], 400000)
    """

    def __init__(self, sample_rate: float, options: FinderOptions) -> None:
        self._options = options
        # Its own samples are every second one of the band's where only half of that is searched.
        self._every, self._up = (2, float(sample_rate) / 4) if options.real else (1, 0.0)
        self._rate = float(sample_rate) / self._every
        self._detector = Detector(self._rate, options.detector)
        self._tracker = EmissionTracker(self._rate, options.emissions)
        self._blocks = 0  # as the levels were given last
        self.now = 0
        """Number of the sample that comes next."""

    @property
    def step(self) -> int:
        """Samples by which an end is known at best."""
        return self._every * self._detector.fine.step

    @property
    def levels(self) -> Levels:
        """Noise floor, threshold, and what hinders."""
        detector = self._detector
        floor, threshold = detector.floor_dbfs_per_hz, detector.threshold_dbfs_per_hz
        if self._options.real:
            floor, threshold = (np.pad(one, (len(one), 0), "edge") for one in (floor, threshold))
        return Levels(floor, threshold, detector.remarks)

    def process(self, samples: NDArray[np.complex64]) -> Found:
        """Search the next samples, complex64 [n]."""
        began = time.thread_time()
        searched = upper_half(samples, self.now) if self._options.real else samples
        self.now += len(samples)
        return self._found(self._detector.process(searched), began)

    def add_break(self, lost: int = 0) -> Found:
        """Go on after a break, with so many samples lost."""
        began, seen = time.thread_time(), self._searched
        self.now += lost
        events = self._tracker.update(self._detector.add_break(self._searched), seen)
        return Found((self._moved(events),), self.now, self._changed(), time.thread_time() - began)

    def begin_band(self) -> Found:
        """End all emissions and begin anew with another band."""
        began = time.thread_time()
        found = self._ended(self._detector.reset(), began)
        self._tracker = EmissionTracker(self._rate, self._options.emissions)
        return found

    def finish(self) -> Found:
        """End all emissions, since the stream has ended."""
        began = time.thread_time()
        return self._ended(self._detector.finish(), began)

    def do(self, job: Job, ring: SampleRing) -> Found:
        """Do a job; samples come from a ring. Those that have gone are a break."""
        if job.kind == "band":
            return self.begin_band()
        if job.kind == "end":
            return self.finish()
        if job.kind in ("break", "lost"):
            return self.add_break(job.count)
        try:
            samples = ring.read(job.start, job.stop)
        except AmrqError:
            found = self.add_break(job.count)
            return Found(found.events, found.now, found.levels, found.seconds, job.count)
        return self.process(samples)

    def _ended(self, boxes: list[Box], began: float) -> Found:
        now = self._searched
        events = self._tracker.update(boxes, now), self._tracker.finish(now)
        moved = self._moved(events[0]), self._moved(events[1])
        return Found(moved, self.now, self.levels, time.thread_time() - began)

    def _found(self, boxes: list[Box], began: float) -> Found:
        events = self._moved(self._tracker.update(boxes, self._searched))
        return Found((events,), self.now, self._changed(), time.thread_time() - began)

    @property
    def _searched(self) -> int:
        """Samples of the detector's own so far."""
        return -(-self.now // self._every)

    def _moved(self, events: list[EmissionEvent]) -> list[EmissionEvent]:
        """Return events with the times and places of the band."""
        if not self._options.real:
            return events
        return [EmissionEvent(one.event, one.emission.moved(self._up, self._every)) for one in events]

    def _changed(self) -> Levels | None:
        """Return the levels, where another block was searched since they were given last."""
        if self._detector.blocks == self._blocks:
            return None
        self._blocks = self._detector.blocks
        return self.levels
