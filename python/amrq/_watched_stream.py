# SPDX-License-Identifier: GPL-3.0-or-later
"""The end of a stream whose samples go to a worker in threads of its own, and what that finds out as messages."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta, timezone
from typing import Any, Protocol, cast

import numpy as np
import pmt
from gnuradio import blocks, gr
from gnuradio.amrq._errors import guarded, guarded_run, note_error
from gnuradio.amrq._tags import Breaks, read_number, read_time

from amrq.live import joined
from amrq.machine import end_at_exit

__all__ = ["StreamWorker", "WatchedStream", "as_message"]

_PERIOD = 0.05
"""Seconds from one look at what was found to the next."""
_STATISTICS_PERIOD = 0.5
_LAST = 0.5e-3
"""Seconds between two looks whether the worker has ended, at the stream's end."""
_PATIENCE, _IMPATIENCE = 12.0, 0.5
"""Seconds for the worker's end: when the stream has ended, and when the flowgraph was stopped before."""
_EPOCH_BEGINS = 1e8
"""Seconds: a time below this is not counted from 1970, but from when a radio was switched on."""
_STATISTICS = "statistics"
_SLOWEST, _FASTEST = 1e3, 1e9
"""Samples a second that a tag can give."""


class StreamWorker(Protocol):
    """What samples are handed to: `amrq.scan.ScanWorker` or `amrq.scan.SignalWatch`."""

    error: Exception | None

    def start(self) -> None:
        """Begin."""

    def put(self, samples: Any, wait: bool = False) -> Any:
        """Hand over samples."""

    def add_break(self) -> None:
        """Note that samples were lost."""

    def retune(self, centre_hz: float | None) -> None:
        """Note that another band follows."""

    def close(self, finish: bool = True) -> None:
        """End."""


def as_message(values: Mapping[str, Any]) -> Any:
    """Return plain values as a PMT dictionary; what is null, and empty dictionaries, are left out."""
    return pmt.to_pmt(_plain(values))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        pairs = ((str(name), _plain(one)) for name, one in value.items())
        return {name: one for name, one in pairs if one is not None and one != {}}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    return value


class Times:
    """When samples of a stream were received, by its tags `rx_time`."""

    def __init__(self, sample_rate: float) -> None:
        self._rate = sample_rate
        self._marks: deque[tuple[int, float]] = deque(maxlen=1000)

    def add(self, place: int, seconds: float) -> None:
        """Take in the time of a sample, seconds since 1970; others are left out."""
        if seconds > _EPOCH_BEGINS:
            self._marks.append((place, seconds))

    def moment(self, sample: int) -> datetime | None:
        """Return when a sample was received; None where that is not known."""
        mark = next((mark for mark in reversed(tuple(self._marks)) if mark[0] <= sample), None)
        if mark is None:
            return None
        since = timedelta(seconds=mark[1] + (sample - mark[0]) / self._rate)
        try:
            return datetime.fromtimestamp(0, timezone.utc) + since
        except OverflowError:
            return None


class WatchedStream(gr.basic_block):
    """Hands a stream to a worker; publishes its messages, and its counters twice a second.

    The stream never waits for the messages. One sample stays at the input until the worker has ended after the stream's
    last sample, and all messages are out: those that come after the end of a flowgraph reach nobody.

    Args:
        name: of the block.
        before: the block before this one. It is asked whether the stream is over, which GNU Radio does not say.
        port: for what is found.
        live: samples for which there is no time are dropped; otherwise the stream waits.
        sample_rate: samples a second.
        frequency: what the middle of the band stands for, Hz; None where it is not known.
    """

    def __init__(
        self,
        name: str,
        before: blocks.copy,
        port: str,
        live: bool,
        sample_rate: float,
        frequency: float | None,
    ) -> None:
        gr.basic_block.__init__(self, name=name, in_sig=[np.complex64], out_sig=None)
        self.error: Exception | None = None
        self._before, self.live = before, live
        self.sample_rate, self.frequency = sample_rate, frequency or None
        self.make_worker: Callable[[], StreamWorker]
        """Returns the worker of a run."""
        self.take: Callable[[StreamWorker, Times], Iterable[Mapping[str, Any]]]
        """Returns what it has found since the last call."""
        self.count: Callable[[StreamWorker], Mapping[str, int | float]]
        """Returns its counters."""
        self.finish: Callable[[StreamWorker], None] = lambda worker: None
        """Is called with the worker after its end."""
        self.follows_rate = False
        """Whether a tag `rx_rate` changes the sample rate: there is a new worker then."""
        self.worker: StreamWorker | None = None
        """Of the present run, or of the last one."""
        self.times = Times(sample_rate)
        self._port, self._statistics = pmt.intern(port), pmt.intern(_STATISTICS)
        self._lock = threading.Lock()
        self._begin()
        self.message_port_register_out(self._port)
        self.message_port_register_out(self._statistics)

    def _begin(self) -> None:
        self._breaks, self._upstream = Breaks(), cast(Any, None)
        self._held = self._base = 0
        self._closing: list[threading.Thread] = []  # former workers
        self._ended = threading.Event()  # the worker has ended, and its last messages are out
        self._ending: threading.Thread | None = None
        self._over = threading.Event()  # nothing is published any more
        self.times = Times(self.sample_rate)

    @guarded_run
    def start(self) -> bool:
        """Begin a run."""
        self.error = None
        self._begin()
        self.worker = self.make_worker()
        self.worker.start()
        publisher = threading.Thread(
            target=self._publish_now_and_then, args=(self._over,), name="amrq messages", daemon=True
        )
        publisher.start()
        end_at_exit(publisher, self._over.set)
        return True

    @guarded_run
    def stop(self) -> bool:
        """End the run."""
        worker = self.worker
        if worker is None:
            return True
        if self._ending is None:  # the flowgraph was stopped before the stream's end
            self._end(worker, finish=False)
        if self._ending is not None:
            joined(self._ending, _PATIENCE if self._ended.is_set() else _IMPATIENCE)
        for thread in self._closing:
            joined(thread, _IMPATIENCE)
        self._over.set()
        if worker.error is not None and self.error is None:
            raise worker.error
        return True

    def retune(self, frequency: float | None) -> None:
        """Note what the middle of the band stands for from the next sample on, Hz; None where it is not known."""
        self.frequency = frequency or None
        if self.worker is not None:
            self.worker.retune(self.frequency)

    def _is_over(self) -> bool:
        """Return whether no sample comes any more."""
        if self._upstream is None:
            self._upstream = self._before.detail()
        return bool(self._upstream.done())

    def forecast(self, noutput_items: int, ninputs: int) -> list[int]:
        """Ask for new samples; for none at the end of the stream."""
        return [1 if self._is_over() else self._held + 1] * ninputs

    @guarded
    def general_work(self, input_items: Any, output_items: Any) -> int:
        """Hand over the samples that have arrived; at the end of the stream wait for the worker, not for long."""
        worker = self.worker
        if worker is None:
            return -1
        if worker.error is not None:
            raise worker.error
        samples, read = input_items[0], self.nitems_read(0)
        if len(samples) > self._held:
            worker = self._take_in(worker, samples[self._held :], read + self._held)
        self._held = len(samples)
        # GNU Radio counted the input before the stream ended: more samples may have come since.
        if self._is_over() and self._before.nitems_written(0) == read + self._held:
            if self._ending is None:
                self._end(worker, finish=True)
            if not self._ended.is_set():
                time.sleep(_LAST)
                return self._consume(self._held - 1)
            if worker.error is not None:
                raise worker.error
            return self._consume(self._held)
        return self._consume(max(0, self._held - 1))

    def _consume(self, count: int) -> int:
        self._held -= count
        self.consume(0, count)
        return 0

    def _take_in(self, worker: StreamWorker, new: Any, first: int) -> StreamWorker:
        """Hand over samples and what their tags say; the first one is number `first` of the stream.

        Returns:
            The worker, which may be a new one.
        """
        place = 0
        if not self.live:  # what is found in a file is handed on before the next samples come
            self._publish(worker, self.times, counters=False)
        for offset, values in self._breaks.changes(self.get_tags_in_range(0, first, first + len(new))):
            worker.put(new[place : offset - first], wait=not self.live)
            place = offset - first
            rate = read_number(values["rx_rate"]) if "rx_rate" in values else None
            resampled = (
                self.follows_rate
                and rate is not None
                and _SLOWEST <= rate < _FASTEST
                and rate != self.sample_rate
            )
            if rate is not None and resampled:
                worker = self._resample(worker, rate, offset)
            seconds = read_time(values["rx_time"]) if "rx_time" in values else None
            if seconds is not None:
                self.times.add(offset - self._base, seconds)
            frequency = read_number(values["rx_freq"]) if "rx_freq" in values else None
            if frequency is not None and (frequency or None) != self.frequency:
                self.retune(frequency)
            elif offset and not resampled:  # before the first sample nothing is missing
                worker.add_break()
        if place < len(new):
            worker.put(new[place:], wait=not self.live)
        return worker

    def _resample(self, former: StreamWorker, rate: float, place: int) -> StreamWorker:
        """Begin anew with a worker for another sample rate; samples are counted from here on."""
        with self._lock:
            times, self.times = self.times, Times(rate)
            self.sample_rate, self._base = rate, place
            self.worker = worker = self.make_worker()
        worker.start()

        def close() -> None:
            try:
                former.close(False)
                self._publish(former, times, counters=False)
            except Exception as error:  # it is over all the same
                note_error(self, error)

        self._closing = [one for one in self._closing if one.is_alive()]
        self._closing.append(threading.Thread(target=close, name="amrq former rate", daemon=True))
        self._closing[-1].start()
        end_at_exit(self._closing[-1], lambda: None)
        return worker

    def _end(self, worker: StreamWorker, finish: bool) -> None:
        """Close the worker in a thread, publish the last messages, and note that all is over."""
        ended, times = self._ended, self.times

        def close() -> None:
            try:
                worker.close(finish)
                self._publish(worker, times)
                self.finish(worker)
            except Exception as error:  # it would end the thread, and the stream would never end
                note_error(self, error)
            ended.set()

        self._ending = threading.Thread(target=close, name="amrq end", daemon=True)
        self._ending.start()
        end_at_exit(self._ending, lambda: None)

    def _publish_now_and_then(self, over: threading.Event) -> None:
        due, worker = 0.0, self.worker
        try:
            while not over.wait(_PERIOD) and not self._ended.is_set():
                counters = time.monotonic() >= due
                with self._lock:
                    worker, times = self.worker, self.times
                if worker is not None:
                    self._publish(worker, times, counters)
                due = time.monotonic() + _STATISTICS_PERIOD if counters else due
        except Exception as error:  # the flowgraph must learn of it
            if worker is not None:
                worker.error = worker.error or error

    def _publish(self, worker: StreamWorker, times: Times, counters: bool = True) -> None:
        with self._lock:
            for values in self.take(worker, times):
                self.message_port_pub(self._port, as_message(values))
            if counters:
                self.message_port_pub(self._statistics, as_message(self.count(worker)))
