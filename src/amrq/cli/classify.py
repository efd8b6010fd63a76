# SPDX-License-Identifier: GPL-3.0-or-later
"""`amrq classify`."""

import json
import math
import signal
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer
from rich.console import Console
from rich.markup import escape

from amrq.cli.app import Writer, model_names, one_of, quantity, say
from amrq.cli.views import DecisionTable, count_answers
from amrq.decision import Decision, DecisionOptions
from amrq.errors import AmrqError, OutputError, all_closed
from amrq.live import (
    DecisionStream,
    deferred_interrupt,
    recording_offset,
    recording_origin,
    recording_symbol_rate,
)
from amrq.measure import FrontEndOptions, StreamInfo
from amrq.outputs import (
    AnnotationFile,
    JsonLinesFile,
    Origin,
    RecordThinner,
    Thinning,
    ZmqPublisher,
    decision_record,
    own_stdout,
)
from amrq.recordings import FORMATS, Recording, SampleStream, is_stream, open_recording
from amrq.text import counted, engineering, printable

__all__ = ["classify"]

_Located = tuple[Decision, str | None, Origin]
"""A decision, the truth where it is known, and where it comes from."""


def _load_flowgraph() -> tuple[Any, Any]:
    try:
        from gnuradio.amrq import classifier_sink
        from gnuradio.amrq.recording_flowgraph import recording_flowgraph
    except ImportError as error:
        raise AmrqError(
            f"classifying a recording needs GNU Radio 3.10 with this module installed ({error}): see the README."
        ) from None
    return classifier_sink, recording_flowgraph


def _at_least_one(stream: DecisionStream, flowgraph: Any, name: str) -> Iterator[tuple[Decision, str | None]]:
    decided = False
    for result in stream.run(flowgraph):
        decided = True
        yield result
    if not decided and (counted := flowgraph.sink.statistics()).not_finite:
        raise AmrqError(f"{name}: all of its {counted.received} chunks hold samples that are not finite.")
    if not decided:
        raise AmrqError(
            f"{name} is too short for a decision: one needs at least "
            f"{flowgraph.sink.contract.chunk_length} symbols behind the front end."
        )


def classify(
    files: Annotated[
        list[Path],
        typer.Argument(
            help="Recordings: SigMF, wav, or raw samples; - or a pipe for raw samples of another program."
        ),
    ],
    symbol_rate: Annotated[
        float | None,
        typer.Option(
            parser=quantity, metavar="NUMBER", help="Symbols a second; 9600, say. Without it, estimated."
        ),
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(
            parser=quantity,
            metavar="NUMBER",
            help="Samples a second; 250k, say. Needed for raw samples, else the file's own.",
        ),
    ] = None,
    offset: Annotated[
        float | None,
        typer.Option(
            parser=quantity,
            metavar="NUMBER",
            help="Where in the recording's band the signal lies, Hz from the middle of I/Q, which is the default. In "
            "real samples, Hz from 0; without it, the strongest signal is taken there.",
        ),
    ] = None,
    format: Annotated[
        str,
        typer.Option(
            help=f"One of {', '.join(FORMATS)}; auto goes by the file's name.", autocompletion=one_of(FORMATS)
        ),
    ] = "auto",
    recording_name: Annotated[
        str | None,
        typer.Option(
            "--recording",
            metavar="NAME",
            help="Which recording of a SigMF archive or collection; without it, the first.",
        ),
    ] = None,
    start: Annotated[float, typer.Option(help="Begin this many seconds into the recording.")] = 0.0,
    duration: Annotated[
        float | None, typer.Option(help="Stop after this many seconds; without it, at the end.")
    ] = None,
    rolloff: Annotated[
        float, typer.Option(help="Roll-off of the matched filter, above 0, at most 1.")
    ] = 0.35,
    gate: Annotated[
        float, typer.Option(help="Power in dB of full scale below which the answer is 'no signal'.")
    ] = -200.0,
    model: Annotated[
        str,
        typer.Option(help="An ONNX file, a shipped model's name, or 'default'.", autocompletion=model_names),
    ] = "default",
    chunks: Annotated[int, typer.Option(help="Chunks fused into a decision.")] = 32,
    min_confidence: Annotated[
        float, typer.Option(help="Below this probability a decision gives no name but 'unsure'.")
    ] = 0.8,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a JSON line a decision in place of the table.")
    ] = False,
    log: Annotated[
        Path | None,
        typer.Option(
            "--log", help="Append a JSON line a decision to this file; at 50 MB it begins a new one."
        ),
    ] = None,
    publish: Annotated[
        str | None,
        typer.Option(
            "--publish",
            metavar="ENDPOINT",
            help="Publish the same records on a ZMQ PUB socket at tcp://127.0.0.1:5556, say.",
        ),
    ] = None,
    changes: Annotated[
        bool,
        typer.Option(
            "--changes",
            help="Show and write a decision only when the answer changes, and one a minute meanwhile.",
        ),
    ] = False,
    every: Annotated[
        float,
        typer.Option(
            metavar="SECONDS",
            help="Show and write one decision in so many seconds of the recording; with --changes, in place of the "
            "minute; 0: all.",
        ),
    ] = 0.0,
    annotate: Annotated[
        Path | None,
        typer.Option(
            "--annotate",
            metavar="FILE.sigmf-meta",
            help="Write the metadata of the SigMF recording with the decisions as annotations.",
        ),
    ] = None,
) -> None:
    """Name the modulation of recorded signals.

    Shows a decision every 32 chunks of 32 symbols as soon as it is made, and at the end how often each was made.
    **unsure** means that the evidence is short, and under "perhaps" stands the most probable answer; **unknown** that
    none of the classes explains the signal; **noise** that it looks like noise alone; **no signal** that there is no
    power. The probability is that of the answer, for signals of the kind the model was trained on. Where the recording
    has SigMF annotations, they are shown as truth.

    Example: **amrq classify recording.cu8 --rate 250e3 --symbol-rate 9600 --offset 12.5e3**
    """
    classifier_sink, recording_flowgraph = _load_flowgraph()
    if not 0 <= start < math.inf:
        raise AmrqError(f"--start must be a number of seconds from 0 up, not {start}.")
    if duration is not None and not 0 < duration < math.inf:
        raise AmrqError(f"--duration must be a number of seconds above 0, not {duration}.")
    if annotate is not None and len(files) > 1:
        raise AmrqError("--annotate takes one recording at a time.")
    if annotate is not None and is_stream(files[0]):
        raise AmrqError("--annotate needs a SigMF recording, and a pipe is not one: leave it out.")
    thinner = RecordThinner(Thinning(changes, every))
    failures: list[AmrqError] = []
    with (
        deferred_interrupt(signal.SIGTERM, signal.SIGHUP) as interrupted,
        own_stdout(interrupted) as out,
        all_closed() as at_the_end,
    ):
        console = Console(file=out)
        writers: list[Writer] = []
        annotations: AnnotationFile | None = None
        if log is not None:
            writers.append(logged := JsonLinesFile(log))
            at_the_end(logged.close)
        if publish is not None:
            writers.append(published := ZmqPublisher(publish))
            at_the_end(published.close)
        if annotate is not None:
            annotations = AnnotationFile(files[0], annotate)
            annotations.check()
            at_the_end(annotations.close)
        stream = DecisionStream(interrupted)
        for path in files:
            try:
                recording = _opened(path, format, rate, recording_name)
                first = round(start * recording.sample_rate)
                if isinstance(recording, SampleStream):
                    at_the_end(recording.close)
                    recording.begin(first, interrupted.is_set)
                    first = 0
                place = recording_offset(recording, offset, first)
                if offset is None and place:
                    at = engineering(place, "Hz", 6)
                    say(f"{path.name}: no --offset is given, and the strongest signal, at {at}, is taken.")
                title = _name(recording)
                found_rate = symbol_rate
                if found_rate is None:
                    found_rate, sure = recording_symbol_rate(recording, place, first, interrupted)
                    rate_text = engineering(found_rate, "Bd", 6)
                    title += f", symbol rate {rate_text} (estimated, confidence {sure:.4f})"
                if annotations is not None and isinstance(recording, Recording):
                    annotations.bandwidth = (1 + rolloff) * found_rate
                    annotations.tell_samples(recording.sample_rate, recording.first_index)
                stream = DecisionStream(interrupted)
                sink = classifier_sink(
                    model,
                    DecisionOptions(chunks, min_confidence),
                    StreamInfo(symbol_rate=found_rate, offset=place),
                    on_decision=stream.put,
                )
                flowgraph = recording_flowgraph(
                    recording,
                    sink,
                    FrontEndOptions(rolloff=rolloff, gate_db=gate),
                    start=first,
                    count=0 if duration is None else max(1, round(duration * recording.sample_rate)),
                )
                flowgraph.sink.logger.set_level(
                    "error"
                )  # what it warns of is said below, in the command's words
                origin = recording_origin(recording, model, found_rate, start, place)
                decided = _located(_at_least_one(stream, flowgraph, origin.source), flowgraph, origin)
                votes: Counter[tuple[str, str]] = Counter()
                shown = _thinned(_recorded(decided, annotations, votes), thinner, writers)
                if as_json:
                    _print_json(out, shown)
                else:
                    names = flowgraph.sink.contract.classes
                    table = DecisionTable(console, title, names, found_rate)
                    for record in shown:
                        table.add(record)
                    _print_sum(console, _name(recording), votes, gate > -200)
                if isinstance(recording, SampleStream):
                    for note in recording.notes:
                        say(note)
                if left_out := flowgraph.sink.statistics().not_finite:
                    some = f"{counted(left_out, 'chunk')} with samples that are not finite"
                    say(f"{_name(recording)}: {some}, counted as not finite and left out.")
            except OutputError:
                raise  # for the other files as well
            except AmrqError as error:
                # One bad file does not cost the others their turn.
                failures.append(error)
                if len(files) > 1:
                    say(error)
            finally:
                stream.end()
        out.check()
    if failures:
        raise failures[0] if len(files) == 1 else AmrqError(f"{len(failures)} of {len(files)} files failed.")


def _opened(path: Path, format: str, rate: float | None, name: str | None) -> Recording | SampleStream:
    """Open a recording or a pipe, and say what is to be said of it."""
    if is_stream(path):
        if name is not None:
            raise AmrqError(
                "--recording belongs to a SigMF archive or collection, and a pipe is neither: leave it out."
            )
        return SampleStream(path, format, rate)
    recording = open_recording(path, format, rate, name)
    for note in recording.notes:
        say(note)
    return recording


def _name(recording: Recording | SampleStream) -> str:
    return printable(recording.name if isinstance(recording, SampleStream) else recording.path.name)


def _located(
    decisions: Iterator[tuple[Decision, str | None]], flowgraph: Any, origin: Origin
) -> Iterator[_Located]:
    """Add where each decision comes from, in seconds that do not trust the symbol rate for long."""
    for decision, truth in decisions:
        located = flowgraph.sink.timeline.locate(origin, decision.sample_index, decision.sample_count)
        yield decision, truth, located


def _recorded(
    decisions: Iterator[_Located], annotations: AnnotationFile | None, votes: Counter[tuple[str, str]]
) -> Iterator[dict[str, Any]]:
    """Make records of decisions, count them, and annotate with all of them on the way."""
    for decision, truth, origin in decisions:
        votes[decision.reason, decision.best] += 1
        record = decision_record(decision, truth, origin)
        if annotations is not None:
            annotations.write(record)
        yield record


def _thinned(
    records: Iterator[dict[str, Any]], thinner: RecordThinner, writers: Sequence[Writer]
) -> Iterator[dict[str, Any]]:
    """Hand on the records that are wanted, and write them on the way."""
    for record in records:
        if thinner.takes(record):
            for writer in writers:
                writer.write(record)
            yield record


def _print_json(out: TextIO, records: Iterator[dict[str, Any]]) -> None:
    for record in records:
        print(json.dumps(record), file=out, flush=True)


def _print_sum(console: Console, name: str, votes: Counter[tuple[str, str]], gated: bool) -> None:
    """Sum up how often which answer was given."""
    console.print(
        escape(f"{name}: of {votes.total()} decisions: {count_answers(votes)}"),
        highlight=False,
        soft_wrap=True,
    )
    noise = sum(count for (reason, _), count in votes.items() if reason == "noise")
    if not gated and 0 < noise < votes.total():
        console.print("If there is nothing but noise in between: --gate makes it 'no signal'.")
    console.print()
