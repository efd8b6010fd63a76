# SPDX-License-Identifier: GPL-3.0-or-later
"""Sessions, which receive a signal from a source or a recording and decide on its modulation.

They serve scripts, commands and programs of GNU Radio Companion. GNU Radio is loaded when a session is made.
"""

import contextlib
import dataclasses
import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from amrq.classes import THESIS_9
from amrq.classifier import Backend, EngineBackend
from amrq.decision import Decision, DecisionOptions
from amrq.errors import AmrqError, all_closed
from amrq.identify import FoundSignal, SignalSearch, found_text, input_texts
from amrq.link import BoardBackend
from amrq.live.decision_stream import Decided, DecisionStream, LiveStream
from amrq.live.recording import (
    RecordedSignal,
    RecordingOptions,
    find_in_recording,
    recording_origin,
    say_found,
    say_notes,
)
from amrq.machine import gnuradio_object, optional_package
from amrq.measure import (
    USUAL_ROLLOFF,
    FrontEndOptions,
    StreamInfo,
    SymbolRate,
    check_offset,
    check_rates,
)
from amrq.model import find_model, read_contract
from amrq.options import OutputFile, Range, above, at_least, check, described, option
from amrq.outputs import DecisionOutputs, Origin, OutputOptions, SigmfRecorder, StreamState, decision_record
from amrq.sources import LiveSource, SilenceWatch, SourceOptions
from amrq.worker import Statistics

__all__ = [
    "LiveDecision",
    "LiveSession",
    "Recognition",
    "RecordingOutputs",
    "RecordingSession",
    "RecordingTotals",
    "SessionOptions",
    "load_flowgraph",
]

_LOG = logging.getLogger(__name__)
_PHASE_KEYED = ("BPSK", "QPSK", "8PSK")
"""Modulations whose symbols other families have as well."""


def load_flowgraph(name: str, use: str) -> Any:
    """Return a flowgraph, block or function of `gnuradio.amrq`.

    Args:
        name: of the module and of the object in it.
        use: purpose, as the subject of a sentence.

    Raises:
        AmrqError: GNU Radio or this module of it is not installed.
    """
    return gnuradio_object(name, name, use)


@dataclass(frozen=True)
class Recognition:
    """Settings for recognising signals: model, front end, decisions, backend.

    Attributes:
        model: path of an ONNX file, name of a shipped model, or `default`.
        front_end: settings of the symbol front end.
        decision: settings for decisions.
        backend: where chunks are classified.
    """

    model: str = "default"
    front_end: FrontEndOptions = field(default_factory=FrontEndOptions)
    decision: DecisionOptions = field(default_factory=DecisionOptions)
    backend: Backend = field(default_factory=EngineBackend)

    def require_board(self, live: bool) -> None:
        """Refuse to begin without the board, unless the policy allows its absence.

        Args:
            live: the stream must not be held up.

        Raises:
            AmrqError: the board does not answer, or does not run the model.
        """
        if not isinstance(self.backend, BoardBackend):
            return
        # The stream's own client reports events.
        board = self.backend.engine(self.model, live, lambda text: None)
        board.open()
        try:
            if self.backend.board_policy != "local":
                board.require()
        finally:
            board.close()

    def sink(
        self,
        stream: StreamInfo,
        on_decision: Callable[[Decision, str | None], None],
        say: Callable[[str], None],
        queue_chunks: int | None = None,
    ) -> Any:
        """Return a `classifier_sink` for a stream.

        Args:
            stream: description of the stream.
            on_decision: called with each decision and the truth, in another thread.
            say: called with each sentence of the board's client.
            queue_chunks: chunks that may wait, for a stream that must not wait; None if the stream may wait.
        """
        live = queue_chunks is not None
        return load_flowgraph("classifier_sink", "classifying")(
            self.model,
            self.decision,
            stream,
            backend=lambda model: self.backend.classifier(model, live, say),
            live=live,
            **({} if queue_chunks is None else {"queue_chunks": queue_chunks}),
            on_decision=on_decision,
        )


@described
@dataclass(frozen=True)
class SessionOptions:
    """Options of a live session: offset in the band, duration, recording.

    Raises:
        AmrqError: a value is out of its range.
    """

    offset: float | None = option(
        None,
        "About where the signal is, relative to the middle of the band, in real samples to 0 Hz: the signal nearest to "
        "this place is received and followed. Without it, the strongest one.",
        unit="Hz",
        within=Range(),
    )
    queue_chunks: int = option(
        8192,
        "Chunks that may wait for the classifier. When more arrive, the oldest are dropped and counted.",
        within=at_least(1),
        flag="--queue",
        advanced=True,
    )
    duration: float | None = option(
        None,
        "End after this many seconds. Without it, the session ends with the source or with Ctrl-C.",
        unit="s",
        within=above(0),
    )
    stall: float | None = option(
        None,
        "End with exit status 3 when no sample has come for this many seconds.",
        unit="s",
        within=above(0),
    )
    record: Path | None = option(
        None,
        "Record the samples as NAME.sigmf-data and NAME.sigmf-meta, annotated with the decisions.",
        flag="--record NAME",
    )

    def __post_init__(self) -> None:
        """Check the values."""
        check(self)


@described
@dataclass(frozen=True)
class RecordingOutputs(OutputOptions):
    """Outputs of decisions on a recording, whose metadata can take annotations.

    Raises:
        AmrqError: a value is out of its range.
    """

    annotate: OutputFile = option(
        "",
        "Write the metadata of the SigMF recording to this file, with the decisions as annotations.",
        flag="--annotate FILE.sigmf-meta",
    )


class LiveDecision(NamedTuple):
    """A decision of a live session.

    Attributes:
        decision: the decision.
        truth: the class that was sent; None if it is not known.
        record: both, with time and frequency: see `decision_record`.
        wanted: whether the outputs' `changes` and `every` select the record.
    """

    decision: Decision
    truth: str | None
    record: dict[str, Any]
    wanted: bool


class LiveSession:
    """Receives a source and decides on its signal. A context manager: everything is open inside the context.

    If no symbol rate is given, the signal and its symbol rate are found first. They are looked for again every five
    seconds, and followed. The source is never held up: chunks for which the classifier is too slow are dropped and
    counted.

    Args:
        source: the source of samples.
        recognition: settings for recognising the signal.
        outputs: where records and counters are written.
        options: offset in the band, duration, recording.
        ending: set to end the session from another thread.
        say: called with each sentence for the user, for example `looking for the symbol rate`; None: the log.

    Raises:
        AmrqError: GNU Radio is missing. On entering the context: a file or device cannot be opened. On leaving it: an
            output could not be written, or the source sent nothing (`StalledError`).

    Example:
        with LiveSession(SourceOptions(simulate=True), options=SessionOptions(duration=5)) as session:
            for found in session.run():
                print(found.record["time"], found.decision.label)
    """

    def __init__(
        self,
        source: SourceOptions,
        recognition: Recognition | None = None,
        outputs: OutputOptions | None = None,
        options: SessionOptions | None = None,
        ending: threading.Event | None = None,
        say: Callable[[str], None] | None = None,
    ) -> None:
        self._wanted, self._options = source, options or SessionOptions()
        self._recognition, self._outputs_wanted = recognition or Recognition(), outputs or OutputOptions()
        self._ending, self._say = ending or threading.Event(), say or _LOG.info
        self._open_source = load_flowgraph("open_source", "live classification")
        self._flowgraph = load_flowgraph("decision_flowgraph", "live classification")
        self._closing = all_closed()
        self._recorder: SigmfRecorder | None = None
        self._set_bandwidth: float | None = None
        self._reported: FoundSignal | None = None
        self._failure_reported = False

    def __enter__(self) -> "LiveSession":
        at_the_end = self._closing.__enter__()
        try:
            self._open(at_the_end)
        except BaseException as error:
            self._closing.__exit__(type(error), error, error.__traceback__)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closing.__exit__(kind, error, trace)
        if error is None:
            self.stream.raise_silence()

    def _open(self, at_the_end: Callable[[Callable[[], None]], None]) -> None:
        file = find_model(self._recognition.model)
        contract = read_contract(file)
        contract.require_symbols()
        self.source: LiveSource = self._open_source(
            self._wanted, self._say, contract.linear_classes or THESIS_9
        )
        """The source."""
        self._recognition.require_board(live=True)
        self.classes = contract.classes
        """What the model can answer, in its order."""
        if self._options.record is not None:
            self._recorder = self._new_recorder(self._options.record)
        silence = None
        if self.source.watched:
            silence = SilenceWatch(self.source.name, self._say, self._options.stall)
        self.stream = LiveStream(
            self.source,
            self._search(),
            self._origin(file),
            self._ending,
            self._make,
            self._recorder,
            silence,
            self._find(),
        )
        """What runs, and its counters."""
        self._outputs = DecisionOutputs(self._outputs_wanted, self.classes, self.stream.state)
        at_the_end(self._outputs.close)
        if self._recorder is not None:
            self._recorder.begin()
            at_the_end(partial(_finish, self._recorder))
        if self._options.duration is not None:
            timer = threading.Timer(self._options.duration, self._ending.set)
            timer.daemon = True
            timer.start()
            at_the_end(timer.cancel)
        at_the_end(self.stream.close)

    def run(self) -> Iterator[LiveDecision]:
        """Yield decisions until the source or the session ends.

        Raises:
            AmrqError: the flowgraph failed, or an output cannot take a record.
        """
        if self._wanted.symbol_rate is None and self.source.recording is None:
            self._say("looking for the signal and its symbol rate, since none is given.")
        for decision, truth, record in self.stream.run():
            self._annotate(record)
            yield LiveDecision(decision, truth, record, self._outputs.write(record))

    def losses(self) -> list[str]:
        """Return a sentence for each kind of loss: samples, chunks, messages."""
        said = []
        state, counts = self.stream.recording(), self.stream.source_counts()
        if state is not None and state.dropped:
            total = state.samples + state.dropped
            said.append(f"{state.dropped} of {total} samples were not recorded: the disk was too slow.")
        return said + counts.texts()

    def _find(self) -> FoundSignal | None:
        """Find the signal of a recording, and report it; None for a source whose samples are still to come."""
        recording, wanted = self.source.recording, self._wanted
        if wanted.chosen == "simulate":
            return FoundSignal(self._options.offset or 0.0, SymbolRate(wanted.symbol_rate or 0.0, 1.0))
        if recording is None:
            return None
        options = RecordingOptions(symbol_rate=wanted.symbol_rate, offset=self._options.offset)
        say_notes(recording, self._say)
        found = find_in_recording(recording, options)
        say_found(recording, found, options, self._say)
        return found

    def _search(self) -> SignalSearch:
        """Return what is known of the signal; refuse what the band cannot hold."""
        offset, symbol_rate, rate = self._options.offset, self._wanted.symbol_rate, self.source.sample_rate
        if offset is not None:
            check_offset(offset, rate)
        if symbol_rate is not None:
            check_rates(rate, symbol_rate)
        return SignalSearch(offset, symbol_rate, highest=rate / 2)

    def _make(
        self, symbol_rate: float, offset: float, on_decision: Callable[[Decision, str | None], None]
    ) -> Any:
        found = self.stream.found
        if found is not None and found is not self._reported and self.source.recording is None:
            self._reported = found
            for sentence in (found_text(found, self._search()), *input_texts(found.report)):
                if sentence:
                    self._say(f"{sentence}.")
        stream = StreamInfo(self.source.sample_rate, symbol_rate, offset)
        sink = self._recognition.sink(stream, on_decision, self._say, self._options.queue_chunks)
        clock = self.source.recording is None
        return self._flowgraph(self.source.block, sink, self._recognition.front_end, self._recorder, clock)

    def _origin(self, file: Path) -> Origin:
        """Return the origin of decisions, but for what is found: symbol rate and offset."""
        source, model = self.source, self._recognition.model
        if source.recording is not None:
            return recording_origin(source.recording, model)
        tunings = () if source.frequency is None else ((0.0, source.frequency),)
        return Origin(source.name, 1.0, file.stem, Origin.hash_of(file), tunings=tunings)

    def _new_recorder(self, record: Path) -> SigmfRecorder:
        """Return a recorder, whose file must not exist yet; it writes nothing before its `begin`."""
        optional_package("sigmf", "recording SigMF")
        about = f"Received from {self.source.name} by amrq live."
        rate, frequency = self.source.sample_rate, self.source.frequency
        return SigmfRecorder(record, rate, frequency, numbered=False, description=about)

    def _annotate(self, record: dict[str, Any]) -> None:
        recorder = self._recorder
        if recorder is None:
            return
        symbol_rate = self.stream.symbol_rate
        if symbol_rate is not None and symbol_rate != self._set_bandwidth:
            self._set_bandwidth = symbol_rate
            recorder.set_bandwidth((1 + (self._recognition.front_end.rolloff or USUAL_ROLLOFF)) * symbol_rate)
        recorder.annotate(record)
        if not self._failure_reported and (failure := recorder.state().failure):
            self._say(f"the recording has ended, and the rest goes on: {failure}")
            self._failure_reported = True


def _finish(recorder: SigmfRecorder) -> None:
    """Write waiting samples and the metadata; if nothing was recorded, leave no file."""
    recorder.close()
    failure = recorder.state().failure
    if failure:
        raise AmrqError(failure)


class RecordingSession:
    """Decides on the signal in a recording or a pipe, as fast as possible.

    Args:
        signal: the recording and the signal in it.
        recognition: settings for recognising the signal.
        interrupted: once set, `run` raises `KeyboardInterrupt` between two decisions.
        say: called with each sentence of the board's client; None: the log.
        beside: what signals of other families leave the name of a phase keying, 0 to 1, and which these are.

    Raises:
        AmrqError: GNU Radio is missing, or an argument cannot be used.

    Example:
        with open_signal(Path("recording.sigmf-meta")) as signal:
            for decision, truth, record in RecordingSession(signal).run():
                print(record["time"], decision.label)
    """

    def __init__(
        self,
        signal: RecordedSignal,
        recognition: Recognition | None = None,
        interrupted: threading.Event | None = None,
        say: Callable[[str], None] | None = None,
        beside: tuple[float, tuple[str, ...]] = (1.0, ()),
    ) -> None:
        self.signal, self._recognition, self._beside = signal, recognition or Recognition(), beside
        self._stream = DecisionStream(interrupted)
        flowgraph = load_flowgraph("recording_flowgraph", "classifying a recording")
        self._recognition.require_board(live=False)
        stream = StreamInfo(symbol_rate=signal.symbol_rate, offset=signal.offset)
        sink = self._recognition.sink(stream, self._stream.put, say or _LOG.info)
        self._flowgraph = flowgraph(
            signal.recording, sink, self._recognition.front_end, start=signal.start, count=signal.count
        )
        sink.logger.set_level("error")  # `statistics` reports these losses
        self.classes: tuple[str, ...] = sink.contract.classes
        """What the model can answer, in its order."""
        self.origin = signal.origin(self._recognition.model)
        """Where the decisions come from."""

    def statistics(self) -> Statistics:
        """Return the counters as they stand now."""
        counted: Statistics = self._flowgraph.sink.statistics()
        return counted

    def late_input_texts(self) -> list[str]:
        """Return sentences on what is wrong with the input and was not seen before the session began."""
        kinds = ("dc_db", "image_db", "clipped_share")
        before, after = self.signal.found.report, self._flowgraph.front_end.report().input
        seen = {name: None for name in kinds if before is not None and getattr(before, name) is not None}
        return input_texts(None if after is None else dataclasses.replace(after, **seen))

    def state(self) -> StreamState:
        """Return the state of the session, for monitoring."""
        origin, samples = self.origin, int(self._flowgraph.front_end.samples_read())
        return StreamState(
            self.statistics(),
            origin.source,
            origin.model,
            origin.model_sha256,
            samples=samples,
            symbol_rate=self.signal.symbol_rate,
            confidence=self.signal.confidence,
            offset=self.signal.offset,
            report=self.signal.found.report,
        )

    def run(self) -> Iterator[Decided]:
        """Yield decisions, the truth if it is annotated, and their records, to the end of the recording.

        Raises:
            AmrqError: the flowgraph failed, or the recording is too short for a decision.
            KeyboardInterrupt: `interrupted` was set.
        """
        decided, sink = False, self._flowgraph.sink
        for decision, truth in self._stream.run(self._flowgraph):
            decided = True
            if decision.best in _PHASE_KEYED:
                decision = decision.limited(*self._beside, self._recognition.decision.threshold)
            # In seconds measured from the samples: an error of the symbol rate must not add up.
            origin = sink.timeline.locate(self.origin, decision.sample_index, decision.sample_count)
            yield decision, truth, decision_record(decision, truth, origin)
        if decided:
            return
        name, counted = self.origin.source, self.statistics()
        if counted.not_finite:
            raise AmrqError(f"{name}: all of its {counted.received} chunks hold samples that are not finite.")
        raise AmrqError(
            f"{name} is too short for a decision: one needs at least {sink.contract.chunk_length} symbols after the "
            "front end."
        )

    def end(self) -> None:
        """End the running flowgraph, if `run` was not read to its end.

        Raises:
            AmrqError: the flowgraph does not end.
        """
        self._stream.end()


class RecordingTotals:
    """The sum of the counters of several recording sessions.

    Args:
        model: path of an ONNX file, name of a shipped model, or `default`.
    """

    def __init__(self, model: str) -> None:
        file = find_model(model)
        self._former = StreamState(Statistics(), "", file.stem, Origin.hash_of(file), samples=0)
        self._running: RecordingSession | None = None

    @contextlib.contextmanager
    def counting(self, session: RecordingSession) -> Iterator[None]:
        """Add a session's counters while the context is open; they stay in the sum after it."""
        self._running = session
        try:
            yield
        finally:
            self._former, self._running = self.state(), None

    def state(self) -> StreamState:
        """Return the state of the present or last session, with the counters of all sessions so far."""
        former, running = self._former, self._running  # read once: another thread calls this
        if running is None:
            return former
        now, before = running.state(), former.counted.as_dict()
        counts = {name: before[name] + count for name, count in now.counted.as_dict().items()}
        samples = (former.samples or 0) + (now.samples or 0)
        return dataclasses.replace(now, counted=Statistics(**counts), samples=samples)
