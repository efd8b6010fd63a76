# SPDX-License-Identifier: GPL-3.0-or-later
"""A recording, whatever file it is in."""

import bisect
import heapq
import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from amrq.engineering import engineering
from amrq.errors import AmrqError
from amrq.plain_text import printable
from amrq.recordings.analytic_signal import AnalyticSignal

__all__ = ["Annotation", "Recording", "RecordingInfo", "Samples"]

_GAP = 1e-3
"""Seconds that times written with three digits are apart without any gap."""


class Samples(Protocol):
    """What a recording reads its samples from: complex64, or float32 where `real`."""

    length: int
    real: bool

    def read(self, start: int, count: int) -> NDArray[Any]:
        """Return samples `start` to `start + count`, which are inside."""
        ...


@dataclass(frozen=True)
class Annotation:
    """What somebody says of a stretch of a recording: `count` samples from sample `start` on are `label`.

    Attributes:
        start: first sample.
        count: samples.
        label: what they are, without characters that could steer a terminal; empty where only something else is said.
        band: lower and upper edge, Hz from the middle of the recording's band; None where it says none.
        generator: which program says so; empty where it does not tell.
    """

    start: int
    count: int
    label: str
    band: tuple[float, float] | None = None
    generator: str = ""


@dataclass(frozen=True)
class RecordingInfo:
    """What a recording's file says of it.

    Attributes:
        path: the file.
        sample_rate: samples a second.
        tunings: (first sample, what 0 Hz stands for from there on, in Hz), in order; empty where the file does not say.
        annotations: truth or opinion about stretches of it, in order.
        begun: when the first sample was received, with its time zone; None where the file does not say.
        notes: sentences for the user: what is wrong with the file and was put up with, and what was taken from where.
        first_index: what its metadata calls its first sample (SigMF's `core:offset`).
        times: (sample, when it was received) where the file says so again: behind a gap time goes on from there.
    """

    path: Path
    sample_rate: float
    tunings: tuple[tuple[int, float], ...] = ()
    annotations: tuple[Annotation, ...] = ()
    begun: datetime | None = None
    notes: tuple[str, ...] = ()
    first_index: int = 0
    times: tuple[tuple[int, datetime], ...] = ()


class Recording:
    """Complex samples in a file, read piece by piece.

    Real samples (one channel, as SSB receivers record) become the complex signal of their positive frequencies at the
    same sample rate; 0 Hz stays 0 Hz.

    Args:
        info: what the file says of itself.
        samples: what is in it.

    Attributes:
        path, sample_rate, tunings, annotations, begun, notes, first_index, times: see `RecordingInfo`.
        length: number of samples.
        real: whether the samples in the file are real.

    Raises:
        AmrqError: the sample rate is not a rate, or there are no samples.
    """

    def __init__(self, info: RecordingInfo, samples: Samples) -> None:
        name = printable(info.path)
        if not (math.isfinite(info.sample_rate) and info.sample_rate > 0):
            raise AmrqError(
                f"the sample rate of {name} must be a number above 0 Hz, not {info.sample_rate:g}: give the right "
                "one (--rate)."
            )
        if samples.length < 1:
            raise AmrqError(f"{name} holds no samples.")
        self.path = info.path
        self.sample_rate = float(info.sample_rate)
        self.tunings = info.tunings
        self.annotations = info.annotations
        self.begun = info.begun
        self.first_index = info.first_index
        self.times = info.times
        self.length = int(samples.length)
        self.real = samples.real
        self.notes = info.notes
        self._samples: Samples = samples
        if samples.real:
            self._samples = AnalyticSignal(samples)
            widest = engineering(self.sample_rate / 2, "Hz")
            self.notes += (
                f"{name} is read as one channel of real samples, a signal of 0 to {widest}; the offset "
                "counts from its 0 Hz.",
            )

    def received(self, sample: int) -> datetime | None:
        """Return when a sample was received; None where the file does not say."""
        place = bisect.bisect_right(self.times, sample, key=lambda time: time[0]) - 1
        since, moment = self.times[place] if place >= 0 else (0, self.begun)
        return None if moment is None else moment + timedelta(seconds=(sample - since) / self.sample_rate)

    def gaps(self) -> tuple[int, ...]:
        """Return the samples before which others are missing, as the times tell it: by more than a millisecond."""
        found = []
        for sample, moment in self.times:
            before = self.received(sample - 1) if sample else None
            if before is not None:
                missing = (moment - before).total_seconds() - 1 / self.sample_rate
                found += [sample] if abs(missing) > max(_GAP, 1 / self.sample_rate) else []
        return tuple(found)

    def truths(self) -> list[tuple[int, str | None]]:
        """Return where what is annotated changes: (sample, label), or (sample, None) where nothing is annotated.

        Where annotations overlap, the one that began last counts.
        """
        spans = sorted(
            (a.start, a.start + a.count, a.label) for a in self.annotations if a.label and a.count > 0
        )
        changes: list[tuple[int, str | None]] = []
        inside: list[
            int
        ] = []  # a heap of the spans begun, by place from the last on; those over leave at the top
        begun = 0
        for edge in sorted({edge for start, end, _ in spans for edge in (start, end)}):
            while begun < len(spans) and spans[begun][0] <= edge:
                heapq.heappush(inside, -begun)
                begun += 1
            while inside and spans[-inside[0]][1] <= edge:
                heapq.heappop(inside)
            label = spans[-inside[0]][2] if inside else None
            if not changes or changes[-1][1] != label:
                changes.append((edge, label))
        return changes

    def read(self, start: int, count: int) -> NDArray[np.complex64]:
        """Return up to `count` samples from sample `start` on: complex64, full scale 1 for integer formats.

        Samples that are not finite are returned as they are: the classifier counts their chunks and leaves them out.

        Raises:
            AmrqError: the file ends before its own length, or cannot be read.
        """
        count = max(0, min(count, self.length - start))
        if count == 0:
            return np.empty(0, dtype=np.complex64)
        return np.asarray(self._samples.read(start, count), dtype=np.complex64)
