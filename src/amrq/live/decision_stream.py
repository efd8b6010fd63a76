# SPDX-License-Identifier: GPL-3.0-or-later
"""Decisions of running flowgraphs: of one flowgraph, and of a source whose symbol rate is followed."""

import contextlib
import dataclasses
import logging
import math
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from amrq.decision import Decision
from amrq.errors import AmrqError
from amrq.identify import FoundSignal, SignalSearch, find_signal, unclear_text
from amrq.live.interrupt import joined, too_late
from amrq.live.symbol_rate import LOOKED_AT, RateEstimate, SignalFollower
from amrq.options import OptionError
from amrq.outputs import Origin, RecorderState, SigmfRecorder, StreamState, decision_record
from amrq.sources import LiveSource, SilenceWatch, SourceCounts, SourceOptions
from amrq.worker import Statistics

__all__ = ["Decided", "DecisionStream", "LiveStream"]

_LOG = logging.getLogger(__name__)

_AHEAD = 1000  # decisions that may wait to be shown
_LOOK_AGAIN = 5.0  # seconds
_NOTHING_DB = -200.0  # level in dB reported when nothing is received

Decided = tuple[Decision, str | None, dict[str, Any]]
"""A decision, the truth where it is known, and the record of both."""
_Told = tuple[Decision, str | None]


class DecisionStream:
    """Runs a flowgraph and yields its decisions, each with the true class if it is known.

    A slow reader slows the classifier down: a stream from a file then waits; of a live stream, chunks are dropped and
    counted.

    Args:
        interrupted: once set, iterating raises `KeyboardInterrupt` between two decisions.
        ending: once set, the flowgraph is stopped; its remaining decisions are still yielded.
    """

    def __init__(
        self, interrupted: threading.Event | None = None, ending: threading.Event | None = None
    ) -> None:
        self._interrupted = interrupted or threading.Event()
        self._ending = ending or threading.Event()
        self._queue: queue.Queue[_Told | None] = queue.Queue(_AHEAD)
        self._finishing = False
        self._abandoned = False
        self._flowgraph: Any = None
        self._thread: threading.Thread | None = None

    def put(self, decision: Decision, truth: str | None) -> None:
        """Take in a decision; the flowgraph calls this as its `on_decision`."""
        self._put((decision, truth))

    def _put(self, result: _Told | None) -> None:
        while not self._abandoned:
            with contextlib.suppress(queue.Full):
                self._queue.put(result, timeout=0.1)
                return

    def finish(self) -> None:
        """Stop the flowgraph soon; its remaining decisions are still yielded. Callable from any thread."""
        self._finishing = True

    def run(self, flowgraph: Any) -> Iterator[_Told]:
        """Run the flowgraph to its end and yield each decision as it is made.

        Raises:
            AmrqError: the flowgraph failed, or does not end.
            KeyboardInterrupt: `interrupted` was set.
        """
        failure: list[BaseException] = []

        def wait() -> None:
            try:
                flowgraph.wait()
            except BaseException as error:  # raised later, in the reader's thread
                failure.append(error)
            finally:
                self._put(None)

        flowgraph.keep_errors()
        try:
            flowgraph.start()
        except RuntimeError as error:  # for example, a port is in use
            flowgraph.raise_error()
            raise AmrqError(f"the flowgraph does not start: {str(error).rstrip('.')}.") from error
        self._flowgraph = flowgraph
        self._thread = threading.Thread(target=wait, name="amrq flowgraph", daemon=True)
        self._thread.start()
        stopped: float | None = None
        try:
            while True:
                if self._interrupted.is_set():
                    raise KeyboardInterrupt  # between two results, so that no result is shown in part
                if (self._finishing or self._ending.is_set()) and stopped is None:
                    stopped = time.monotonic()
                    if hasattr(flowgraph, "drain"):
                        flowgraph.drain()
                    flowgraph.stop()
                try:
                    result = self._queue.get(timeout=0.1)
                except queue.Empty:
                    if stopped is not None and too_late(stopped):
                        break
                    continue
                if result is None:
                    break
                yield result
        except GeneratorExit:
            # The reader has gone, mostly by an error, which it tells: another one would be printed beside it.
            try:
                self.end()
            except AmrqError as error:
                _LOG.info("%s", error)
            raise
        finally:
            self.end()
        flowgraph.raise_error()
        if failure:
            raise AmrqError(f"the flowgraph failed: {failure[0]}") from failure[0]

    def end(self) -> None:
        """End the flowgraph if it still runs; a reader that fails must call this.

        Raises:
            AmrqError: the flowgraph does not end and is left running.
        """
        self._abandoned = True
        flowgraph, self._flowgraph = self._flowgraph, None
        if flowgraph is None or self._thread is None:
            return
        flowgraph.stop()
        if not joined(self._thread):
            raise AmrqError(
                "the flowgraph did not end when it was stopped, and was abandoned: its last samples are missing from "
                "the decisions."
            )


class LiveStream:
    """Runs a flowgraph on a source, a new one after each change of the signal, and yields the decisions.

    If no symbol rate is given, signal and symbol rate are found first. They are looked for again every five seconds.
    When two successive looks are sure of another symbol rate or place, the flowgraph is started again with it. A signal
    whose symbol rate and offset are both given is not looked for.

    Args:
        source: of the samples.
        search: what is known of the signal, its offset and symbol rate.
        origin: of the decisions, as far as it is known before the start.
        ending: set to end the session.
        make: makes a flowgraph: a function of (symbol rate, offset in Hz, `on_decision`).
        recorder: records the source's samples; None for no recording.
        silence: watches for a source that sends nothing; None for no watch.
        found: the signal as it was found before; None if it was not looked for. It is then not followed.
    """

    def __init__(
        self,
        source: LiveSource,
        search: SignalSearch,
        origin: Origin,
        ending: threading.Event,
        make: Callable[[float, float, Callable[[Decision, str | None], None]], Any],
        recorder: SigmfRecorder | None = None,
        silence: SilenceWatch | None = None,
        found: FoundSignal | None = None,
    ) -> None:
        self.symbol_rate = search.symbol_rate
        self.confidence = 1.0
        """Of the symbol rate: 1 where it was given."""
        self.offset = search.offset or 0.0
        """Where the signal is received, Hz from the middle of the band."""
        self.found = found
        """The signal as it was found at first, and what else is in the band; None before."""
        self._search = search
        self._followed = found is None and (search.symbol_rate is None or search.offset is None)
        if found is not None:
            self._take(found)
        self._source, self._origin = source, origin
        self._ending, self._make, self._recorder, self._silence = ending, make, recorder, silence
        # Counters and samples of former flowgraphs and of their board; the present flowgraph.
        self._running: tuple[Statistics, int, Counter[str], Any] = (Statistics(), 0, Counter(), None)
        self._started = time.monotonic()
        self._over = threading.Event()
        self._watching: threading.Thread | None = None
        self._stream: DecisionStream | None = None

    def close(self) -> None:
        """End the running flowgraph, if `run` was not read to its end.

        Raises:
            AmrqError: the flowgraph does not end.
        """
        if self._stream is not None:
            self._stream.end()

    def statistics(self) -> Statistics:
        """Return the counters of all flowgraphs so far."""
        former, _, _, flowgraph = self._running  # read once: another thread calls this
        now = Statistics() if flowgraph is None else flowgraph.sink.statistics()
        before = former.as_dict()
        return Statistics(**{name: before[name] + count for name, count in now.as_dict().items()})

    def board_statistics(self) -> dict[str, int]:
        """Return the counters of the board's clients so far; empty without a board."""
        _, _, former, flowgraph = self._running
        now = {} if flowgraph is None else flowgraph.sink.board_statistics()
        return {name: former[name] + now.get(name, 0) for name in {**former, **now}}

    def level_db(self) -> float:
        """Return the power in the channel, dB relative to full scale."""
        *_, flowgraph = self._running
        return _NOTHING_DB if flowgraph is None else float(flowgraph.front_end.level_db())

    def source_counts(self) -> SourceCounts:
        """Return the source's counts of losses and faults."""
        block = self._source.block
        counts: SourceCounts = block.counts() if hasattr(block, "counts") else SourceCounts()
        return counts

    def overflows(self) -> int | None:
        """Return how often the radio lost samples; None if the source is not a radio."""
        return self.source_counts().overflows

    def silent_seconds(self) -> float | None:
        """Return the seconds since the source sent its last sample; None without a watch."""
        return None if self._silence is None else self._silence.silent_seconds()

    def raise_silence(self) -> None:
        """Raise an error if the source never sent a sample or was given up.

        Raises:
            StalledError: the source never sent a sample or was given up.
        """
        if self._silence is not None:
            self._silence.look(self._arrived())
            self._silence.raise_error()

    def recording(self) -> RecorderState | None:
        """Return the state of the recording; None without a recording."""
        return None if self._recorder is None else self._recorder.state()

    def state(self) -> StreamState:
        """Return the state of the session, for monitoring."""
        level_db = self.level_db()
        counts = self.source_counts()
        return StreamState(
            self.statistics(),
            self._origin.source,
            self._origin.model,
            self._origin.model_sha256,
            samples=self._samples(),
            overflows=counts.lost if counts.overflows is None else counts.overflows,
            symbol_rate=self.symbol_rate,
            level_db=level_db if level_db > _NOTHING_DB else None,
            reconnections=counts.reconnections,
            refused=counts.refused,
            silences=None if self._silence is None else self._silence.silences,
            silent_seconds=self.silent_seconds(),
            confidence=None if self.symbol_rate is None else self.confidence,
            offset=None if self.symbol_rate is None else self.offset,
            report=None if self.found is None else self.found.report,
        )

    def _samples(self) -> int:
        _, former, _, flowgraph = self._running
        return former if flowgraph is None else former + int(flowgraph.front_end.samples_read())

    def _arrived(self) -> int:
        """Return a number that changes with every sample received; 0 before the first one."""
        block = self._source.block
        return int(getattr(block, "parts", (block,))[-1].nitems_written(0))  # since the flowgraph started

    def run(self) -> Iterator[Decided]:
        """Yield decisions, the truth if it is known, and their records, until the stream or the session ends.

        It also ends when the source is given up: see `raise_silence`.

        Raises:
            AmrqError: a flowgraph failed.
        """
        try:
            yield from self._run()
        finally:
            self._over.set()
            if self._watching is not None:
                joined(self._watching)

    def _watch_for_silence(self) -> None:
        """Begin to watch the source when the first flowgraph starts: making a flowgraph takes time."""
        if self._silence is None or self._watching is not None:
            return
        self._silence.begin()
        self._watching = threading.Thread(
            target=self._silence.follow,
            args=(self._arrived, self._over, self._ending.set),
            name="amrq silence",
            daemon=True,
        )
        self._watching.start()

    def _run(self) -> Iterator[Decided]:
        if self.symbol_rate is None:
            self._take(self._first_signal())
        while self.symbol_rate is not None:
            follower = SignalFollower(self.symbol_rate, self.offset)
            yield from self._run_once(self.symbol_rate, follower)
            if follower.found is None or self._ending.is_set():
                return
            self.symbol_rate, self.confidence = follower.found.symbol_rate, follower.found.confidence
            self.offset = follower.found.offset

    def _take(self, found: FoundSignal | None) -> None:
        if found is None or found.symbol_rate is None:
            self.symbol_rate, self.confidence = None, 0.0
            return
        self.found, self.offset = found, found.offset
        self.symbol_rate, self.confidence = found.symbol_rate[:2]

    def _run_once(self, symbol_rate: float, follower: SignalFollower) -> Iterator[Decided]:
        stream = self._stream = DecisionStream(ending=self._ending)
        flowgraph = self._make(symbol_rate, self.offset, stream.put)
        start, rate = self._position(), self._source.sample_rate
        received = self._recorder.position if self._recorder is not None else self._samples()
        origin = dataclasses.replace(
            self._origin,
            symbol_rate=symbol_rate,
            symbol_rate_confidence=self.confidence,
            report=None if self.found is None else self.found.report,
            start=start,
            sample_rate=rate,
            missing=round(start * rate) - received,
            tunings=tuple((since, frequency + self.offset) for since, frequency in self._origin.tunings),
        )
        self._running = (*self._running[:3], flowgraph)
        probe: Any = None  # without a reference the block would be deleted
        if self._followed:
            probe = self._probe(lambda found: follower.take(found, stream.finish))
            flowgraph.connect(flowgraph.source, probe)
        self._watch_for_silence()
        for decision, truth in stream.run(flowgraph):
            timeline = flowgraph.sink.timeline
            # A recording's own time replaces the clock.
            tell = timeline.place if self._source.recording is None else timeline.locate
            placed = tell(origin, decision.sample_index, decision.sample_count)
            dropped = self.statistics().dropped
            yield decision, truth, decision_record(decision, truth, placed, dropped)
        if probe is not None and probe.error is not None:  # which ended the flowgraph
            raise AmrqError(f"the signal cannot be followed: {probe.error}") from probe.error
        self._running = (self.statistics(), self._samples(), Counter(self.board_statistics()), None)
        flowgraph.disconnect_all()  # the next one takes the source over

    def _probe(self, on_estimate: Callable[[RateEstimate], None]) -> Any:
        """Return a block that looks for the signal repeatedly."""
        from gnuradio.amrq.symbol_rate_probe import symbol_rate_probe

        lowest, highest = self._search.range()
        probe = symbol_rate_probe(
            self._source.sample_rate,
            self._search.offset,
            _LOOK_AGAIN,
            lowest,
            0.0 if math.isinf(highest) else highest,
            min_confidence=0.0,
            on_estimate=on_estimate,
        )
        if self.found is not None:
            probe.prefer(self.offset)
        return probe

    def _position(self) -> float:
        """Return the seconds of the stream so far."""
        if self._recorder is not None:  # annotations count in samples of the recorder
            return self._recorder.position / self._source.sample_rate
        if self._running[0].received == 0:
            return 0.0
        return time.monotonic() - self._started

    def _first_signal(self) -> FoundSignal | None:
        """Return the first signal of the stream whose symbol rate is clear; None if the stream ends before."""
        from gnuradio import gr
        from gnuradio.amrq.sample_probe import sample_probe

        probe = sample_probe(LOOKED_AT)
        flowgraph = gr.top_block("amrq symbol rate")
        flowgraph.connect(self._source.block, probe)
        self._watch_for_silence()
        flowgraph.start()
        finished = threading.Event()

        def wait() -> None:
            flowgraph.wait()
            finished.set()

        waiting = threading.Thread(target=wait, name="amrq symbol rate", daemon=True)
        waiting.start()
        seen, found = 0, FoundSignal()
        try:
            while not self._ending.is_set():
                over = finished.wait(0.1)
                if probe.taken() - seen >= LOOKED_AT // 2 or over:
                    seen = probe.taken()
                    found = find_signal(probe.stretch(), self._source.sample_rate, self._search)
                    if found.sure:
                        return found
                if over:
                    self.raise_silence()
                    raise OptionError(
                        SourceOptions,
                        "the stream ended, and {unclear}: give it ({symbol_rate}).",
                        unclear=unclear_text(found),
                    )
            return None
        finally:
            flowgraph.stop()
            if not joined(waiting):
                raise AmrqError("the source did not end when it was stopped, and was abandoned.")
            flowgraph.disconnect_all()
            if hasattr(self._source.block, "put_back"):
                self._source.block.put_back(probe.since_break())
