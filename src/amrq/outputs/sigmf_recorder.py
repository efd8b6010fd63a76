# SPDX-License-Identifier: GPL-3.0-or-later
"""Recording of a live stream as SigMF, with annotations for the decisions on it."""

import contextlib
import itertools
import os
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from amrq.errors import AmrqError
from amrq.outputs.annotations import AnnotationFile
from amrq.outputs.record import Origin, Timeline
from amrq.recordings import write_sigmf

__all__ = ["RecorderState", "SigmfRecorder"]

_MOST_TAKES = 10_000
_NOTED_AFTER = 10.0
"""Seconds into a take after which its metadata is written again while it goes on, and after twice as many each time."""
_SAMPLE = np.dtype(np.complex64).itemsize


@dataclass(frozen=True)
class RecorderState:
    """The state of a recorder.

    Attributes:
        take: name of the take in progress, or of the last one; empty where there was none.
        recording: a take is in progress.
        samples: recorded in it.
        dropped: samples that were left out of it because the disk was too slow.
        failure: why it ended before its time; empty where it did not.
    """

    take: str = ""
    recording: bool = False
    samples: int = 0
    dropped: int = 0
    failure: str = ""


@dataclass
class _Segment:
    """Samples that followed each other in the stream and do so in the file."""

    position: int  # in the stream
    start: int  # in the file
    count: int = 0


class _Take:
    """One recording: what of the stream is in it; its file and annotations, which are the writing thread's alone."""

    def __init__(self, data: Path, file: BinaryIO, annotations: AnnotationFile) -> None:
        self.data, self.file, self.annotations = data, file, annotations
        self.segments: list[_Segment] = []
        self.samples = 0
        self.dropped = 0
        self.failure = ""
        self.end: int | None = None  # in the stream, once it is over
        self.noted_next = 0.0  # samples from which on its metadata is to be written again

    def place(self, position: int) -> int:
        """Return the place in the file of the first recorded sample at or after a position of the stream."""
        for segment in self.segments:
            if position < segment.position + segment.count:
                return segment.start + max(0, position - segment.position)
        return self.samples


class SigmfRecorder:
    """Records pieces of a stream as SigMF pairs, in a thread of its own: the stream never waits for the disk.

    A take is `NAME-001`, `NAME-002`, ...: the next that is not there yet; or `NAME` itself, of which there is but one.
    Nothing is ever overwritten. Where the disk is too slow for longer than the queue lasts, samples are left out and
    counted. Behind such a gap, an overflow or a retune a new SigMF capture begins, with its own time, frequency and
    index in the stream, so that time stays right. Decisions become annotations; those that come before their samples
    wait for them, and those that come when their take is over are still added. The metadata is written when the first
    samples are, with their time, and now and then on the way, so that a process that is killed leaves a recording.

    All but `annotate`, `set_bandwidth`, `close`, `state`, `position`, `begin` and `end` are for one thread, the
    stream's.

    Args:
        name: path of the takes without number and suffix.
        sample_rate: samples a second.
        frequency: what 0 Hz stands for until the stream gives it, Hz; None where it is not known.
        bandwidth: of the signal that is decided on, Hz; None where it is not known.
        queue_seconds: seconds of samples that may wait for the disk.
        numbered: takes have numbers; otherwise there is one, called `name` as it is.
        description: what is recorded, for people.

    Raises:
        AmrqError: nothing can be written there, or a number is out of its range.
    """

    def __init__(
        self,
        name: str | os.PathLike[str],
        sample_rate: float,
        frequency: float | None = None,
        bandwidth: float | None = None,
        queue_seconds: float = 2.0,
        numbered: bool = True,
        description: str = "Recorded by gr-amrq while it was classified.",
    ) -> None:
        if not 0 < sample_rate < 1e12:
            raise AmrqError(f"the sample rate must be above 0 Hz and below 1 THz, not {sample_rate:g}.")
        if not 0 < queue_seconds <= 3600:
            raise AmrqError(f"the recorder's queue must hold up to an hour, not {queue_seconds:g} seconds.")
        self._name = Path(name)
        folder = self._name.parent
        if not self._name.name or not os.path.isdir(folder) or not os.access(folder, os.W_OK):
            raise AmrqError(
                f"nothing can be recorded as {name}: its folder is not there or cannot be written."
            )
        self._sample_rate, self._frequency, self._bandwidth = float(sample_rate), frequency, bandwidth
        self._capacity = max(1, round(queue_seconds * sample_rate))
        self._numbered, self._description = numbered, description
        self._timeline = Timeline(self._sample_rate)
        self._changed = threading.Condition()
        self._jobs: deque[tuple[Callable[..., None], tuple[Any, ...]]] = deque()
        self._waiting = 0  # samples in the queue
        self._full = False
        self._breaks: set[int] = set()  # positions before which the stream broke
        self._position = 0  # of the sample that comes next
        self._ahead: list[dict[str, Any]] = []  # decisions on samples that have not come here yet
        self._take: _Take | None = None
        self._last: _Take | None = None
        self._over: list[_Take] = []  # takes that decisions may still come for
        self._closing = False
        self._thread: threading.Thread | None = None

    def state(self) -> RecorderState:
        """Return the state of the recorder."""
        with self._changed:
            last = self._last
            if last is None:
                return RecorderState()
            recording = last is self._take
            return RecorderState(last.data.stem, recording, last.samples, last.dropped, last.failure)

    @property
    def position(self) -> int:
        """Position in the stream after the last sample received, recorded or not."""
        with self._changed:
            return self._position

    def begin(self) -> str:
        """Begin a take with the next samples; return its name.

        Raises:
            AmrqError: it cannot be written.
        """
        self.end()
        data, file = self._open_next()
        meta = data.with_suffix(".sigmf-meta")
        try:
            write_sigmf(meta, self._sample_rate, self._frequency, self._description)
            annotations = AnnotationFile(meta, meta, self._bandwidth)
        except AmrqError:
            file.close()
            data.unlink()
            raise
        with self._changed:
            self._take = self._last = _Take(data, file, annotations)
            self._full = False
        if self._thread is None:
            self._closing = False
            self._thread = threading.Thread(target=self._work, name="amrq recorder", daemon=True)
            self._thread.start()
        return data.stem

    def _open_next(self) -> tuple[Path, BinaryIO]:
        numbers = [f"-{number:03}" for number in range(1, _MOST_TAKES)] if self._numbered else [""]
        for number in numbers:
            data = self._name.with_name(f"{self._name.name}{number}.sigmf-data")
            if data.with_suffix(".sigmf-meta").exists():
                continue
            try:
                return data, data.open("xb", buffering=0)
            except FileExistsError:
                continue
            except OSError as error:
                raise AmrqError(f"{data} cannot be written: {error.strerror}.") from None
        if not self._numbered:
            raise AmrqError(f"{data} already exists: give another name, so that no recording is lost.")
        raise AmrqError(f"{self._name} has {_MOST_TAKES - 1} takes: give another name.")

    def add_break(self, position: int) -> None:
        """Note that samples were lost before a sample of the stream."""
        self._timeline.add_break(position)
        self._breaks.add(position)

    def add_time(self, position: int, seconds: float, now: float) -> None:
        """Add the radio's time at a sample of the stream; see `Timeline`."""
        self._timeline.add_time(position, seconds, now)
        self._breaks.add(position)

    def add_frequency(self, position: int, frequency: float) -> None:
        """Add the centre frequency, Hz, from a sample of the stream on."""
        self._timeline.add_frequency(position, frequency)
        self._breaks.add(position)

    def set_bandwidth(self, bandwidth: float) -> None:
        """Set the bandwidth, Hz, of the signal in decisions from now on."""
        with self._changed:
            self._bandwidth = bandwidth
            for take in [*self._over, *([self._take] if self._take else [])]:
                self._jobs.append((setattr, (take.annotations, "bandwidth", bandwidth)))
            self._changed.notify_all()

    def add_arrival(self, samples: int, now: float) -> None:
        """Add the time, seconds since 1970, by which this many samples of the stream have arrived."""
        self._timeline.add_arrival(samples, now)

    def write(self, position: int, samples: NDArray[np.complex64]) -> None:
        """Record samples of the stream where a take is in progress; they are copied. Never waits.

        Args:
            position: of the first of them in the stream; never falls from call to call.
            samples: complex64.
        """
        end = position + len(samples)
        inside = sorted(place for place in self._breaks if position < place < end)
        edges = [position, *inside, end]
        for first, last in itertools.pairwise(edges):
            self._write_piece(first, samples[first - position : last - position], first in self._breaks)
        self._breaks = {place for place in self._breaks if place >= end}
        with self._changed:
            self._position = end
            self._annotate_what_has_come()

    def _write_piece(self, position: int, samples: NDArray[np.complex64], broken: bool) -> None:
        with self._changed:
            take = self._take
            if take is None or not len(samples):
                return
            # Once full, it takes nothing until half is written: few long gaps, not many short ones.
            self._full = self._waiting + len(samples) > (
                self._capacity // 2 if self._full else self._capacity
            )
            if self._full and self._waiting:
                take.dropped += len(samples)
                return
            last = take.segments[-1] if take.segments else None
            if last is None or broken or last.position + last.count != position:
                take.segments.append(last := _Segment(position, take.samples))
            last.count += len(samples)
            take.samples += len(samples)
            self._waiting += len(samples)
            self._jobs.append((self._write, (take, samples.astype("<c8"))))
            if take.samples > take.noted_next:
                take.noted_next = max(_NOTED_AFTER * self._sample_rate, 2 * take.samples)
                captures = [self._capture(segment) for segment in take.segments]
                self._jobs.append((self._note, (take, captures)))
            self._changed.notify_all()

    def annotate(self, record: Mapping[str, Any]) -> None:
        """Take in a decision on the stream.

        Args:
            record: as `decision_record` makes it; its `time` counts from the stream's first sample.
        """
        with self._changed:
            self._ahead.append(dict(record))
            self._annotate_what_has_come()

    def _annotate_what_has_come(self) -> None:
        """Annotate with the decisions whose samples are here; a take that is over gets no more. The lock is held."""
        waiting: list[dict[str, Any]] = []
        for record in self._ahead:
            begin = round(record["time"] * self._sample_rate)
            end = round((record["time"] + record["duration"]) * self._sample_rate)
            if end > self._position and self._take is not None:
                waiting.append(record)
                continue
            for take in [*self._over, *([self._take] if self._take else [])]:
                first, last = take.place(begin), take.place(end)
                if last > first:
                    span = {"time": first / self._sample_rate, "duration": (last - first) / self._sample_rate}
                    self._jobs.append((take.annotations.write, ({**record, **span},)))
                if take.end is not None and begin >= take.end:
                    self._over.remove(take)
                    self._jobs.append((self._finish, (take,)))
        self._ahead = waiting
        self._changed.notify_all()

    def end(self) -> None:
        """End the take in progress, if there is one."""
        with self._changed:
            take, self._take = self._take, None
            if take is None:
                return
            last = take.segments[-1] if take.segments else None
            take.end = last.position + last.count if last else 0
            self._over.append(take)
            self._annotate_what_has_come()
            self._jobs.append((self._finish, (take,)))
            self._changed.notify_all()

    def close(self) -> None:
        """End the take in progress, and write what waits."""
        self.end()
        with self._changed:
            self._jobs.extend((self._finish, (take,)) for take in self._over)
            self._closing = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self._over = []

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._jobs or self._closing)
                if not self._jobs:
                    return
                job, arguments = self._jobs.popleft()
            try:
                job(*arguments)
            except Exception as error:  # whatever it is, the rest is to be written
                with self._changed:
                    if self._last is not None:
                        self._last.failure = self._last.failure or f"{type(error).__name__}: {error}"

    def _write(self, take: _Take, samples: NDArray[np.complex64]) -> None:
        try:
            if not take.failure:
                data = samples.view(np.uint8).data
                while len(data):  # a disk that fills up takes a part
                    data = data[take.file.write(data) :]
        except OSError as error:
            self._fail(take, f"{take.data} cannot be written: {error.strerror}.")
        finally:
            with self._changed:
                self._waiting -= len(samples)

    def _note(self, take: _Take, captures: list[dict[str, Any]]) -> None:
        """Write down what is known by now: whatever ends this process, the recording has its time, and can be used."""
        if not take.file.closed and not take.failure:
            take.annotations.set_captures(captures)
            with contextlib.suppress(AmrqError):  # the end tells
                take.annotations.close()

    def _fail(self, take: _Take, reason: str) -> None:
        with self._changed:
            take.failure = take.failure or reason
            if self._take is take:
                self._take = None
                take.end = 0
                self._over.append(take)
                self._jobs.append((self._finish, (take,)))

    def _finish(self, take: _Take) -> None:
        """Write the metadata of a take; leave nothing where nothing was recorded."""
        try:
            if not take.file.closed:
                # A disk that filled up may have taken half a sample.
                whole = take.file.tell() // _SAMPLE
                take.file.truncate(whole * _SAMPLE)
                take.file.close()
                with self._changed:
                    take.samples = whole
            if not take.samples:
                take.data.unlink(missing_ok=True)
                take.annotations.path.unlink(missing_ok=True)
                return
            recorded = [segment for segment in take.segments if segment.start < take.samples]
            take.annotations.set_captures([self._capture(segment) for segment in recorded])
            take.annotations.set_length(take.samples)
            take.annotations.close()
        except (AmrqError, OSError) as error:
            self._fail(take, str(error))

    def _capture(self, segment: _Segment) -> dict[str, Any]:
        capture: dict[str, Any] = {
            "core:sample_start": segment.start,
            "core:global_index": segment.position,
        }
        placed = self._timeline.place(Origin("", self._sample_rate, "", ""), segment.position)
        frequency = placed.frequency(0.0) if placed.tunings else self._frequency
        if frequency is not None:
            capture["core:frequency"] = frequency
        if placed.begun is not None:
            moment: datetime = placed.begun + timedelta(seconds=segment.position / self._sample_rate)
            utc = moment.astimezone(timezone.utc).isoformat(timespec="microseconds")
            capture["core:datetime"] = utc.replace("+00:00", "Z")
        return capture
