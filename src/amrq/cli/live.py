# SPDX-License-Identifier: GPL-3.0-or-later
"""`amrq live`."""

import contextlib
import json
import math
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.live import Live
from rich.markup import escape

from amrq.cli.app import Writer, model_names, one_of, quantity, say
from amrq.cli.views import LiveView, count_answers
from amrq.decision import Decision, DecisionOptions, answer_text
from amrq.errors import AmrqError, all_closed
from amrq.link import BoardClassifier
from amrq.live import Decided, LiveSession, deferred_interrupt, recording_offset, recording_origin
from amrq.machine import optional_package
from amrq.measure import FrontEndOptions, StreamInfo
from amrq.model import find_model, read_contract
from amrq.outputs import (
    CountersFile,
    JsonLinesFile,
    Origin,
    RecordThinner,
    SigmfRecorder,
    Thinning,
    ZmqPublisher,
    own_stdout,
)
from amrq.recordings import FORMATS
from amrq.sources import LiveSource, SilenceWatch, SourceOptions
from amrq.text import engineering, printable

__all__ = ["live"]

_SIMULATED_RATE = 400e3
_SIMULATED_SAMPLES_PER_SYMBOL = 4
_REFRESH = 8  # pictures a second

_SOURCE = "Source (one of them)"
_SIGNAL = "Signal"
_DECISION = "Decision"
_BOARD = "Board"
_OUTPUT = "Output"


def live(
    soapy: Annotated[
        str | None,
        typer.Option(
            metavar="DEVICE",
            help="A radio that SoapySDR knows, driver=rtlsdr for instance; amrq devices lists them.",
            rich_help_panel=_SOURCE,
        ),
    ] = None,
    rtl_tcp: Annotated[
        str | None,
        typer.Option(
            "--rtl-tcp",
            metavar="HOST[:PORT]",
            help="An RTL-SDR that rtl_tcp shares over the network; port 1234 without PORT.",
            rich_help_panel=_SOURCE,
        ),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            "--file", "--sigmf", help="A recording, played as fast as it was made.", rich_help_panel=_SOURCE
        ),
    ] = None,
    recording_name: Annotated[
        str | None,
        typer.Option(
            "--recording",
            metavar="NAME",
            help="Which recording of a SigMF archive or collection; without it, the first.",
            rich_help_panel=_SOURCE,
        ),
    ] = None,
    stdin: Annotated[
        bool, typer.Option("--stdin", help="Raw samples on standard input.", rich_help_panel=_SOURCE)
    ] = False,
    zmq: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="A ZMQ PUB sink of GNU Radio at tcp://host:port; a PUSH sink at pull+tcp://host:port.",
            rich_help_panel=_SOURCE,
        ),
    ] = None,
    udp: Annotated[
        str | None,
        typer.Option(
            metavar="[HOST:]PORT",
            help="Raw samples in UDP packets to this port of this machine, whole samples in each.",
            rich_help_panel=_SOURCE,
        ),
    ] = None,
    simulate: Annotated[
        bool,
        typer.Option("--simulate", help="The nine classes in turn, in noise.", rich_help_panel=_SOURCE),
    ] = False,
    freq: Annotated[
        float | None,
        typer.Option(
            parser=quantity,
            metavar="NUMBER",
            help="Frequency that the radio is tuned to, Hz.",
            rich_help_panel=_SIGNAL,
        ),
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(
            parser=quantity,
            metavar="NUMBER",
            help="Samples a second; 2.4M, say. A recording's own where it has one.",
            rich_help_panel=_SIGNAL,
        ),
    ] = None,
    symbol_rate: Annotated[
        float | None,
        typer.Option(
            parser=quantity,
            metavar="NUMBER",
            help="Symbols a second; 100k, say. Without it, estimated and followed.",
            rich_help_panel=_SIGNAL,
        ),
    ] = None,
    offset: Annotated[
        float | None,
        typer.Option(
            parser=quantity,
            metavar="NUMBER",
            help="Where the signal lies, Hz from the middle of the band; in real samples, from 0 Hz.",
            rich_help_panel=_SIGNAL,
        ),
    ] = None,
    format: Annotated[
        str,
        typer.Option(
            help=f"Format of the samples, one of {', '.join(FORMATS)}; auto: a file's own, cu8 on standard input, cf32 "
            "from the network.",
            autocompletion=one_of(FORMATS),
            rich_help_panel=_SIGNAL,
        ),
    ] = "auto",
    gain: Annotated[
        str | None,
        typer.Option(
            metavar="GAIN",
            help="Gain of the radio in dB, or of its elements: LNA=20,VGA=16. Without it, automatic.",
            rich_help_panel=_SIGNAL,
        ),
    ] = None,
    antenna: Annotated[
        str, typer.Option(help="Antenna of a SoapySDR radio, by name.", rich_help_panel=_SIGNAL)
    ] = "",
    bandwidth: Annotated[
        float,
        typer.Option(
            parser=quantity,
            metavar="NUMBER",
            help="Bandwidth of a SoapySDR radio's analogue filter, Hz; 0: the driver's choice.",
            rich_help_panel=_SIGNAL,
        ),
    ] = 0.0,
    ppm: Annotated[
        float,
        typer.Option(
            help="Correction of the radio's oscillator, parts per million.", rich_help_panel=_SIGNAL
        ),
    ] = 0.0,
    rolloff: Annotated[
        float,
        typer.Option(help="Roll-off of the matched filter, above 0, at most 1.", rich_help_panel=_SIGNAL),
    ] = 0.35,
    gate: Annotated[
        float,
        typer.Option(
            help="Power in dB of full scale below which the answer is 'no signal'.", rich_help_panel=_SIGNAL
        ),
    ] = -200.0,
    es_n0: Annotated[
        float, typer.Option(help="Es/N0 of the simulation, dB.", rich_help_panel=_SIGNAL)
    ] = 20.0,
    model: Annotated[
        str,
        typer.Option(
            help="An ONNX file, a shipped model's name, or 'default'.",
            autocompletion=model_names,
            rich_help_panel=_DECISION,
        ),
    ] = "default",
    chunks: Annotated[
        int, typer.Option(help="Chunks fused into a decision.", rich_help_panel=_DECISION)
    ] = 32,
    min_confidence: Annotated[
        float,
        typer.Option(
            help="Below this probability a decision gives no name but 'unsure'.", rich_help_panel=_DECISION
        ),
    ] = 0.8,
    queue: Annotated[
        int,
        typer.Option(
            help="Chunks that may wait for the classifier; beyond, the oldest are dropped.",
            rich_help_panel=_DECISION,
        ),
    ] = 8192,
    board: Annotated[
        str | None,
        typer.Option(
            metavar="ENDPOINT",
            help="Classify on a board ('amrq board') at tcp://127.0.0.1:5555, say, that runs the same model.",
            rich_help_panel=_BOARD,
        ),
    ] = None,
    board_policy: Annotated[
        str,
        typer.Option(
            help="While the board is gone: drop chunks, or local, the model on this machine.",
            autocompletion=one_of(("drop", "local")),
            rich_help_panel=_BOARD,
        ),
    ] = "drop",
    key: Annotated[
        Path | None,
        typer.Option(
            metavar="NAME.secret", help="Your key, where the board has keys.", rich_help_panel=_BOARD
        ),
    ] = None,
    board_key: Annotated[
        Path | None,
        typer.Option(metavar="NAME.public", help="The board's key.", rich_help_panel=_BOARD),
    ] = None,
    duration: Annotated[
        float | None,
        typer.Option(
            help="End after this many seconds; without it, with the source or Ctrl-C.",
            rich_help_panel=_OUTPUT,
        ),
    ] = None,
    stall: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            help="End with exit status 3 when no sample has come for so many seconds.",
            rich_help_panel=_OUTPUT,
        ),
    ] = None,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json", help="Print a JSON line a decision in place of the picture.", rich_help_panel=_OUTPUT
        ),
    ] = False,
    log: Annotated[
        Path | None,
        typer.Option(
            "--log",
            help="Append a JSON line a decision to this file; at 50 MB it begins a new one.",
            rich_help_panel=_OUTPUT,
        ),
    ] = None,
    publish: Annotated[
        str | None,
        typer.Option(
            "--publish",
            metavar="ENDPOINT",
            help="Publish the same records on a ZMQ PUB socket at tcp://127.0.0.1:5556, say.",
            rich_help_panel=_OUTPUT,
        ),
    ] = None,
    changes: Annotated[
        bool,
        typer.Option(
            "--changes",
            help="Write a record only when the answer changes, and one a minute meanwhile.",
            rich_help_panel=_OUTPUT,
        ),
    ] = False,
    every: Annotated[
        float,
        typer.Option(
            metavar="SECONDS",
            help="Write one record in so many seconds of the stream; with --changes, in place of the minute; 0: all.",
            rich_help_panel=_OUTPUT,
        ),
    ] = 0.0,
    counters: Annotated[
        Path | None,
        typer.Option(
            "--counters",
            metavar="FILE.prom",
            help="Keep the session's counters in this file, for Prometheus's node_exporter.",
            rich_help_panel=_OUTPUT,
        ),
    ] = None,
    record: Annotated[
        Path | None,
        typer.Option(
            "--record",
            metavar="NAME",
            help="Record the samples as NAME.sigmf-data and NAME.sigmf-meta, annotated with the decisions.",
            rich_help_panel=_OUTPUT,
        ),
    ] = None,
) -> None:
    """Name the modulation of a signal while it is received.

    Ctrl-C ends it, with a summary and exit status 0. The source is never held up: what the classifier has no time for
    is dropped, counted and shown.

    Example: **amrq live --simulate**

    A radio, and a recording of it: **amrq live --soapy driver=rtlsdr --freq 433.92M --rate 2.4M --record evening**

    A board that classifies: **amrq live --simulate --board tcp://127.0.0.1:5555**

    An RTL-SDR on another machine: **amrq live --rtl-tcp raspberrypi.local --freq 433.92M --rate 2.4M**

    Another program: **rtl_sdr -f 433.92M -s 2.4M - | amrq live --stdin --rate 2.4M --symbol-rate 100k --json**
    """
    if duration is not None and not 0 < duration < math.inf:
        raise AmrqError(f"--duration must be a number of seconds above 0, not {duration}.")
    if stall is not None and not 0 < stall < math.inf:
        raise AmrqError(f"--stall must be a number of seconds above 0, not {stall}.")
    for name, value in (
        ("--offset", offset),
        ("--rate", rate),
        ("--symbol-rate", symbol_rate),
        ("--freq", freq),
    ):
        if value is not None and not math.isfinite(value):
            raise AmrqError(f"{name} must be a number, not {value}.")
    if board_policy not in ("drop", "local"):
        raise AmrqError(f"--board-policy must be drop or local, not {board_policy!r}: a radio does not wait.")
    if simulate:
        rate = rate or _SIMULATED_RATE
        symbol_rate = symbol_rate or rate / _SIMULATED_SAMPLES_PER_SYMBOL
    classifier_sink, decision_flowgraph, open_source = _load_flowgraph()
    with (
        deferred_interrupt(signal.SIGTERM, signal.SIGHUP) as ending,
        own_stdout(ending) as out,
        all_closed() as at_the_end,
    ):
        options = SourceOptions(
            soapy=soapy,
            rtl_tcp=rtl_tcp,
            file=file,
            stdin=stdin,
            zmq=zmq,
            udp=udp,
            simulate=simulate,
            sample_rate=rate,
            frequency=freq,
            format=format,
            gain=gain,
            antenna=antenna,
            bandwidth=bandwidth,
            ppm=ppm,
            symbol_rate=symbol_rate,
            es_n0_db=es_n0,
            recording_name=recording_name,
        )
        source = open_source(options, say)
        place = _place(source, offset)
        thinner = RecordThinner(Thinning(changes, every))
        writers: list[Writer] = []
        if log is not None:
            writers.append(logged := JsonLinesFile(log))
            at_the_end(logged.close)
        if publish is not None:
            writers.append(published := ZmqPublisher(publish))
            at_the_end(published.close)

        classify = _board(board, board_policy, key, board_key)
        if classify is not None:
            _require(classify(model), board_policy)

        recorder = None if record is None else _recorder(record, source)

        def make(found_rate: float, on_decision: Callable[[Decision, str | None], None]) -> Any:
            sink = classifier_sink(
                model,
                DecisionOptions(chunks, min_confidence),
                StreamInfo(source.sample_rate, found_rate, place),
                backend=classify,
                live=True,
                queue_chunks=queue,
                on_decision=on_decision,
            )
            front_end = FrontEndOptions(rolloff=rolloff, gate_db=gate)
            clock = source.recording is None
            return decision_flowgraph(source.block, sink, front_end, recorder, clock)

        origin = _origin(source, model, place)
        silence = None
        if source.watched:
            silence = SilenceWatch(source.name, say, stall)
        session = LiveSession(source, symbol_rate, place, origin, ending, make, recorder, silence)
        classes = read_contract(find_model(model)).classes
        counting: CountersFile | None = None
        if counters is not None:
            counting = CountersFile(counters, classes, session.state)
            at_the_end(counting.close)
        if recorder is not None:
            recorder.begin()
            at_the_end(partial(_finish, recorder))
        if duration is not None:
            timer = threading.Timer(duration, ending.set)
            timer.daemon = True
            timer.start()
            at_the_end(timer.cancel)
        if symbol_rate is None and source.recording is None:
            say("looking for the symbol rate, since no --symbol-rate is given.")
        at_the_end(session.close)
        decisions = _written(_recorded(session, rolloff, recorder, counting), thinner, writers)
        if as_json:
            for _, _, found, wanted in decisions:
                if not wanted:
                    continue
                print(json.dumps(found), file=out, flush=True)
            for sentence in _went_wrong(session):
                say(sentence)
        else:
            _show(Console(file=out), session, source, classes, decisions, changes or every > 0)
        out.check()
        session.raise_silence()


def _board(
    endpoint: str | None, policy: str, key: Path | None, board_key: Path | None
) -> Callable[[str], BoardClassifier] | None:
    """Return what makes a client of the board; None where there is none."""
    files = [None if file is None else str(file) for file in (key, board_key)]
    if endpoint is None:
        if files != [None, None]:
            raise AmrqError("--key and --board-key belong to a board: give its address as well (--board).")
        return None

    return lambda model: BoardClassifier(model, endpoint, policy, None, files[0], files[1], say)


def _require(board: BoardClassifier, policy: str) -> None:
    """Refuse to begin with a board that is not there, unless there is something in its place."""
    board.say = lambda text: None  # the stream's own client tells
    board.open()
    try:
        if policy != "local":
            board.require()
    finally:
        board.close()


def _load_flowgraph() -> tuple[Any, Any, Any]:
    try:
        from gnuradio.amrq import classifier_sink
        from gnuradio.amrq.decision_flowgraph import decision_flowgraph
        from gnuradio.amrq.open_source import open_source
    except ImportError as error:
        raise AmrqError(
            f"live classification needs GNU Radio 3.10 with this module installed ({error}): see the README."
        ) from None
    return classifier_sink, decision_flowgraph, open_source


def _place(source: LiveSource, offset: float | None) -> float:
    """Return where in the band the signal is taken to lie, Hz; say what is to be said of a recording."""
    if source.recording is None:
        return offset or 0.0
    place = recording_offset(source.recording, offset)
    for note in source.recording.notes:
        say(note)
    if offset is None and place:
        at = engineering(place, "Hz", 6)
        name = printable(source.recording.path.name)
        say(f"{name}: no --offset is given, and the strongest signal, at {at}, is taken.")
    return place


def _origin(source: LiveSource, model: str, offset: float) -> Origin:
    if source.recording is not None:
        return recording_origin(source.recording, model, 1.0, offset=offset)
    file = find_model(model)
    tunings = () if source.frequency is None else ((0.0, source.frequency + offset),)
    return Origin(source.name, 1.0, file.stem, Origin.hash_of(file), tunings=tunings)


def _recorder(record: Path, source: LiveSource) -> SigmfRecorder:
    """Return what records, under a name that must not be there yet; nothing is written before its `begin`."""
    optional_package("sigmf", "recording SigMF")
    about = f"Received from {source.name} by amrq live."
    return SigmfRecorder(record, source.sample_rate, source.frequency, numbered=False, description=about)


def _finish(recorder: SigmfRecorder) -> None:
    """Write what waits, and the metadata; nothing stays where nothing was recorded."""
    recorder.close()
    failure = recorder.state().failure
    if failure:
        raise AmrqError(failure)


def _went_wrong(session: LiveSession) -> list[str]:
    """Return a sentence for each kind of thing that was lost on the way."""
    said = []
    state, counts = session.recording(), session.source_counts()
    if state is not None and state.dropped:
        total = state.samples + state.dropped
        said.append(f"{state.dropped} of {total} samples were not recorded: the disk was too slow.")
    if counts.overflows:
        said.append(f"The radio lost samples {counts.overflows} times: they were not fetched in time.")
    if counts.lost:
        said.append(f"Samples were lost on the way from the sender {counts.lost} times.")
    if counts.reconnections:
        said.append(f"The connection to the source was lost and made again {counts.reconnections} times.")
    if counts.refused:
        said.append(f"{counts.refused} messages or packets were left out: they are no samples.")
    return said


def _recorded(
    session: LiveSession, rolloff: float, recorder: SigmfRecorder | None, counting: CountersFile | None
) -> Iterator[Decided]:
    """Yield what the session decides, and count and annotate with all of it on the way."""
    symbol_rate, told = None, False
    for decision, truth, found in session.run():
        if recorder is not None:
            if session.symbol_rate is not None and session.symbol_rate != symbol_rate:
                symbol_rate = session.symbol_rate
                recorder.tell_bandwidth((1 + rolloff) * symbol_rate)
            recorder.annotate(found)
            if not told and (failure := recorder.state().failure):
                say(f"the recording has ended, and the rest goes on: {failure}")
                told = True
        if counting is not None:
            counting.write(found)
        yield decision, truth, found


def _written(
    decisions: Iterator[Decided], thinner: RecordThinner, writers: list[Writer]
) -> Iterator[tuple[Decision, str | None, dict[str, Any], bool]]:
    """Write the records that are wanted, and yield all, with whether each is."""
    for decision, truth, found in decisions:
        wanted = thinner.takes(found)
        if wanted:
            for writer in writers:
                writer.write(found)
        yield decision, truth, found, wanted


def _show(
    console: Console,
    session: LiveSession,
    source: LiveSource,
    classes: tuple[str, ...],
    decisions: Iterator[tuple[Decision, str | None, dict[str, Any], bool]],
    thinned: bool,
) -> None:
    """Show the stream on a terminal; elsewhere a line a change, or what is left of it `thinned`; then sum up."""
    view = LiveView(source.name, classes, session)
    votes: Counter[tuple[str, str]] = Counter()
    # The picture is drawn anew even when no decision falls: what is waited for, queue and drops are news too.
    picture = Live(get_renderable=lambda: view, console=console, refresh_per_second=_REFRESH, transient=True)
    said: tuple[str, str, float | None] = ("", "", None)
    with picture if console.is_terminal else contextlib.nullcontext():
        for decision, _, found, wanted in decisions:
            votes[decision.reason, decision.best] += 1
            view.show(decision, found)
            if console.is_terminal:
                continue
            now = (decision.reason, decision.label, session.symbol_rate)
            if wanted if thinned else now != said:
                fresh = now[2] if now[2] != said[2] else None
                rate = "" if fresh is None else f"  {engineering(fresh, 'Bd', 6)}"
                answer = printable(answer_text(decision.reason, decision.best))
                print(
                    f"{found['time']:12.3f} s  {answer:28s}  {decision.confidence:.3f}{rate}",
                    file=console.file,
                    flush=True,
                )
                said = now
    counted = session.statistics()
    console.print(
        escape(f"{printable(source.name)}: of {votes.total()} decisions: {count_answers(votes)}"),
        soft_wrap=True,
    )
    console.print(
        f"{counted.received} chunks: {counted.classified} classified, {counted.silent} silent, {counted.dropped} "
        f"dropped, {counted.not_finite} not finite",
        highlight=False,
    )
    for sentence in _went_wrong(session):
        console.print(sentence, highlight=False)
    board = session.board_statistics()
    if board:
        console.print(
            f"{board['by_board']} by the board, {board['locally']} on this machine, {board['lost']} lost; "
            f"{board['board_resent']} messages sent again"
            + (f"; {board['board_not_finite']} answers not finite" if board["board_not_finite"] else ""),
            highlight=False,
        )
