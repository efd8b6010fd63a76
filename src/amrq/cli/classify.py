# SPDX-License-Identifier: GPL-3.0-or-later
"""`amrq classify`."""

import json
import shlex
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TextIO

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.markup import escape

from amrq.cli.app import OUTPUT_HELPS, Fields, ModelOptions, expanded, model_names, no_stdout_log, say
from amrq.cli.report import survey_lines
from amrq.cli.views import DecisionTable, count_answers, progress_bar, refuted_text
from amrq.decision import DecisionOptions
from amrq.errors import AmrqError, OutputError, all_closed
from amrq.link import BoardBackend
from amrq.live import (
    Recognition,
    RecordedSignal,
    RecordingOptions,
    RecordingOutputs,
    RecordingSession,
    RecordingTotals,
    deferred_interrupt,
    find_opened,
    load_flowgraph,
    open_part,
    open_signal,
)
from amrq.measure import USUAL_ROLLOFF, FrontEndOptions
from amrq.model import UNKNOWN, find_model, read_contract
from amrq.options import described, option
from amrq.outputs import AnnotationFile, DecisionOutputs, EmissionAnnotations, own_stdout
from amrq.recordings import Recording, SampleStream, is_stream
from amrq.scan import ScanOptions, Survey, emission_record, survey_recording
from amrq.text import counted, engineering

__all__ = ["classify"]

_RECORDING = "Recording"
_SIGNAL = "Signal"
_OUTPUT = "Output"
_HEAD = 1 << 20
"""Samples of a pipe that are looked at first."""
_MOST_OF_STREAM = 1 << 24
"""Samples of a pipe that are looked at, where they are not those of a linear signal."""
_DECIDED = ("linear", UNKNOWN)
"""Families on whose symbols decisions are made: what is unknown may yet have a clear symbol rate."""


@described
@dataclass(frozen=True)
class _Models(ModelOptions):
    """Which models decide."""

    family_model: str = option(
        "family",
        "The model of families, for a recording of which nothing is told: an ONNX file, a shipped model's name, or "
        "'family'.",
        flag="--family-model",
    )


@expanded
def classify(
    files: Annotated[
        list[Path],
        typer.Argument(
            help="Recordings: SigMF, wav, or raw samples; - or a pipe for raw samples of another program."
        ),
    ],
    recording: Annotated[
        RecordingOptions, Fields(_RECORDING, panels={"symbol_rate": _SIGNAL, "offset": _SIGNAL})
    ],
    front_end: Annotated[FrontEndOptions, Fields("Front end")],
    model: Annotated[
        _Models, Fields("Decision", completions={"model": model_names, "family_model": model_names})
    ],
    decision: Annotated[DecisionOptions, Fields("Decision")],
    board: Annotated[BoardBackend | None, Fields("Board", needs="endpoint")],
    outputs: Annotated[RecordingOutputs, Fields(_OUTPUT, helps=OUTPUT_HELPS)],
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print each decision as a line of JSON.", rich_help_panel=_OUTPUT),
    ] = False,
) -> None:
    """Say what a recording holds: family, modulation, parameters, likely protocols.

    Of a recording it need be told nothing. The report names the one signal in it, or lists the emissions; what is not
    certain is said. Decisions follow where the signal is linear, or where its symbol rate is clear and its family is
    not. With **--symbol-rate** or **--offset** there are decisions alone.

    Shows a decision for every 32 chunks of 32 symbols as soon as it is made, and at the end how often each answer was
    given. **unsure** means that the evidence is not enough; the most probable answer is shown under "perhaps".
    **unknown** means that the signal is outside the classes; "not 16QAM" beside it means that 16QAM is the most
    probable class and does not fit. **noise** means that it looks like noise alone, **no signal** that there is no
    power. The probability is that of the answer, for signals of the kind the model was
    trained on. Where the recording has SigMF annotations, they are shown as truth.

    Example: **amrq classify recording.cu8 --rate 250e3**

    Told more: **amrq classify recording.cu8 --rate 250e3 --symbol-rate 9600 --offset 12.5e3**
    """
    load_flowgraph("recording_flowgraph", "classifying a recording")
    no_stdout_log(outputs)
    _check_annotate(files, outputs)
    recognition = Recognition(model.model, front_end, decision, model.backend(board))
    failures: list[AmrqError] = []
    with (
        deferred_interrupt(signal.SIGTERM, signal.SIGHUP) as interrupted,
        own_stdout(interrupted) as out,
        all_closed() as at_the_end,
    ):
        run = _Run(recognition, outputs, out, as_json, interrupted, at_the_end)
        run.family_model = model.family_model
        if outputs.annotate:
            run.annotate(files[0], Path(outputs.annotate))
        for path in files:
            try:
                if recording.symbol_rate is None and recording.offset is None:
                    run.name(path, recording)
                    continue
                with open_signal(path, recording, say, interrupted) as found:
                    run.classify(found)
            except OutputError:
                raise  # for the other files as well
            except AmrqError as error:
                # One bad file does not cost the others their turn.
                failures.append(error)
                if len(files) > 1:
                    say(error)
        out.check()
    if failures:
        raise failures[0] if len(files) == 1 else AmrqError(f"{len(failures)} of {len(files)} files failed.")


def _check_annotate(files: list[Path], outputs: RecordingOutputs) -> None:
    if outputs.annotate and len(files) > 1:
        raise AmrqError("--annotate takes one recording at a time.")
    if outputs.annotate and is_stream(files[0]):
        raise AmrqError("--annotate needs a SigMF recording, and a pipe is not one: leave it out.")


class _Run:
    """One recording after another, and what all of them have in common: outputs and counters."""

    def __init__(
        self,
        recognition: Recognition,
        outputs: RecordingOutputs,
        out: TextIO,
        as_json: bool,
        interrupted: threading.Event,
        at_the_end: Callable[[Callable[[], None]], None],
    ) -> None:
        self._recognition, self._out, self._as_json = recognition, out, as_json
        self._interrupted, self._at_the_end = interrupted, at_the_end
        self._totals = RecordingTotals(recognition.model)
        classes = read_contract(find_model(recognition.model)).classes
        self._outputs = DecisionOutputs(outputs, classes, self._totals.state)
        at_the_end(self._outputs.close)
        self.family_model = "family"
        self._annotated: tuple[Path, Path] | None = None  # the recording and the file to write
        self._annotations: AnnotationFile | None = None
        self._equalised = 0  # decisions of the present recording
        self._refuted: Counter[str] = Counter()  # names, in the present recording

    def annotate(self, recording: Path, path: Path) -> None:
        """Write the decisions on a recording, or its emissions, into metadata as well."""
        AnnotationFile(recording, path).check()
        self._annotated = recording, path

    def name(self, path: Path, options: RecordingOptions) -> None:
        """Say what a recording holds of which nothing was told; make decisions where its signal is linear."""
        with open_part(path, options, say, self._interrupted) as opened:
            stream = opened.recording if isinstance(opened.recording, SampleStream) else None
            most = min(opened.count or _HEAD, _HEAD)
            found = self._survey(opened, None if stream is None else self._head(stream, most))
            if not found.noise and (found.main is None or found.main.family in _DECIDED):
                told: list[str] = []
                try:
                    linear = find_opened(opened, options, told.append, self._interrupted)
                except AmrqError:
                    if stream is not None:  # it was closed
                        self._report(opened, found, None)
                        return
                else:
                    self._report(opened, found, None)
                    for sentence in told:
                        say(sentence)
                    self.classify(linear, found.beside_linear())
                    return
            if stream is not None:
                rest = self._rest(stream, min(opened.count or _MOST_OF_STREAM, _MOST_OF_STREAM))
                if len(rest.iq) > found.samples:
                    found = self._survey(opened, rest)
            self._report(opened, found, self._emission_annotations(opened.recording))
            for note in opened.late_notes:
                say(note)

    def _head(self, stream: SampleStream, count: int) -> "_InMemory":
        """Return the next samples of a pipe, without taking them."""
        head = stream.head(count, self._interrupted.is_set)
        if self._interrupted.is_set():
            raise KeyboardInterrupt
        return _InMemory(head)

    def _rest(self, stream: SampleStream, most: int) -> "_InMemory":
        """Return the samples of a pipe to its end, as many as fit."""
        pieces, count = [np.zeros(0, np.complex64)], 0
        while count < most and (piece := stream.read(min(_HEAD, most - count))) is not None:
            if self._interrupted.is_set():
                raise KeyboardInterrupt
            pieces.append(piece)
            count += len(piece)
        if count >= most:
            seconds = engineering(count / stream.sample_rate, "s", 3)
            say(f"{stream.name}: the first {seconds} were looked at.")
        return _InMemory(np.concatenate(pieces))

    def _survey(self, opened: RecordedSignal, head: "_InMemory | None") -> Survey:
        """Say what samples hold, and show how far that is."""
        recording, options = opened.recording, ScanOptions(self._recognition.model, self.family_model)
        with progress_bar(opened.name) as bar:

            def progress(done: int, of: int) -> None:
                if self._interrupted.is_set():
                    raise KeyboardInterrupt
                bar(done, of)

            if head is not None:
                return survey_recording(head, recording.sample_rate, None, options, progress=progress)
            assert isinstance(recording, Recording)
            part = _PartOf(recording, opened.start, opened.count)
            breaks = part.breaks()
            centre = breaks.pop(0, None)
            return survey_recording(part, recording.sample_rate, centre, options, breaks, progress)

    def _emission_annotations(self, recording: Recording | SampleStream) -> EmissionAnnotations | None:
        """Return what writes emissions into metadata; None where nothing is to be written."""
        if self._annotated is None or not isinstance(recording, Recording):
            return None
        annotations = EmissionAnnotations(*self._annotated)
        annotations.set_samples(recording.sample_rate, recording.first_index)
        self._at_the_end(annotations.close)
        return annotations

    def _report(self, opened: RecordedSignal, found: Survey, annotations: EmissionAnnotations | None) -> None:
        """Show what a recording holds, and hand it to the outputs."""
        recording, first = opened.recording, opened.start
        if not self._as_json:
            self._show_survey(opened, found)
        elif found.main is None:  # there is no line of JSON that could say so
            said = found.doubts or ("there is nothing but noise.",)
            say(f"{opened.name}: {' '.join(said)}")
        for event in found.events():
            moment = (
                recording.received(first + event.record.start) if isinstance(recording, Recording) else None
            )
            name = str(recording.path) if isinstance(recording, Recording) else recording.name
            record = emission_record(event, name, recording.sample_rate, event.centre_hz, moment)
            # The survey counts from the part that was chosen.
            record["sample_start"] += first
            for field in ("time", "first_seen"):
                record[field] = round(record[field] + first / recording.sample_rate, 6)
            self._outputs.write_emission(record)
            if annotations is not None:
                annotations.write(record)
            if self._as_json:
                print(json.dumps(record), file=self._out, flush=True)

    def _show_survey(self, opened: RecordedSignal, found: Survey) -> None:
        """Print the report."""
        scanned = ""
        if isinstance(opened.recording, Recording):
            scanned = f"amrq scan {shlex.quote(str(opened.recording.path))}"
        for line in survey_lines(opened.name, found, scanned):
            print(line.rstrip(), file=self._out)
        print(file=self._out, flush=True)

    def classify(self, found: RecordedSignal, beside: tuple[float, tuple[str, ...]] = (1.0, ())) -> None:
        """Classify one recording and show it; see `RecordingSession` for what may be beside."""
        if self._annotated is not None:
            self._annotations = AnnotationFile(*self._annotated)
            self._at_the_end(self._annotations.close)
        title, rate = found.name, engineering(found.symbol_rate, "Bd", 6)
        if found.estimated:
            title += f", symbol rate {rate} (estimated, confidence {found.confidence:.4f})"
        elif found.found.corrected:
            title += f", symbol rate {rate} (found, confidence {found.confidence:.4f})"
        if self._annotations is not None:
            rolloff = self._recognition.front_end.rolloff or USUAL_ROLLOFF
            self._annotations.bandwidth = (1 + rolloff) * found.symbol_rate
            self._annotations.set_samples(found.recording.sample_rate, found.first_index)
        session = RecordingSession(found, self._recognition, self._interrupted, say, beside)
        votes: Counter[tuple[str, str]] = Counter()
        self._equalised, self._refuted = 0, Counter()
        try:
            with self._totals.counting(session):
                shown = self._shown(session, votes)
                if self._as_json:
                    for record in shown:
                        print(json.dumps(record), file=self._out, flush=True)
                else:
                    self._show(title, session, shown, votes)
        finally:
            session.end()
        for note in found.late_notes:
            say(note)
        for sentence in session.late_input_texts():
            say(f"{found.name}: {sentence}.")
        if left_out := session.statistics().not_finite:
            some = f"{counted(left_out, 'chunk')} with samples that are not finite"
            say(f"{found.name}: {some}, counted as not finite and left out.")

    def _shown(self, session: RecordingSession, votes: Counter[tuple[str, str]]) -> Iterator[dict[str, Any]]:
        """Yield the records that are wanted; count all, and hand all to the outputs on the way."""
        for decision, _, record in session.run():
            votes[decision.reason, decision.best] += 1
            self._equalised += bool(record["equaliser"])
            if decision.refuted:
                self._refuted[decision.refuted] += 1
            if self._annotations is not None:
                self._annotations.write(record)
            if self._outputs.write(record):
                yield record

    def _show(
        self,
        title: str,
        session: RecordingSession,
        shown: Iterator[dict[str, Any]],
        votes: Counter[tuple[str, str]],
    ) -> None:
        console = Console(file=self._out)
        table = DecisionTable(console, title, session.classes, session.signal.symbol_rate)
        for record in shown:
            table.add(record)
        console.print(
            escape(f"{session.signal.name}: of {votes.total()} decisions: {count_answers(votes)}"),
            highlight=False,
            soft_wrap=True,
        )
        if sentence := refuted_text(self._refuted):
            console.print(escape(sentence), highlight=False, soft_wrap=True)
        if self._equalised:
            some = f"{self._equalised} of {votes.total()} decisions"
            console.print(f"Equalised: {some}, since an echo or a filter is in the way.", highlight=False)
        noise = sum(count for (reason, _), count in votes.items() if reason == "noise")
        if self._recognition.front_end.gate_db <= -200 and 0 < noise < votes.total():
            console.print("If there is nothing but noise in between: --gate makes it 'no signal'.")
        console.print()


class _InMemory:
    """Samples that are in memory, as a recording."""

    def __init__(self, iq: NDArray[np.complex64]) -> None:
        self.iq, self.length = iq, len(iq)

    def read(self, start: int, count: int, /) -> NDArray[np.complex64]:
        """Return samples `start` to `start + count`."""
        return self.iq[start : start + count]


class _PartOf:
    """A part of a recording, as a recording.

    Args:
        recording: the recording.
        start: first sample.
        count: samples; 0 for all that follow.
    """

    def __init__(self, recording: Recording, start: int, count: int) -> None:
        self._recording, self._start = recording, start
        left = recording.length - start
        self.length = min(count, left) if count else left
        self.real = recording.real

    def read(self, start: int, count: int, /) -> NDArray[np.complex64]:
        """Return samples `start` to `start + count`."""
        return self._recording.read(self._start + start, count)

    def breaks(self) -> dict[int, float | None]:
        """Return where samples are missing or the radio was tuned, and what 0 Hz stands for from there on."""
        tunings = self._recording.tunings
        places = sorted({*self._recording.gaps(), *(sample for sample, _ in tunings), self._start})
        found: dict[int, float | None] = {}
        for place in places:
            hertz = [hz for sample, hz in tunings if sample <= place]
            found[max(0, place - self._start)] = hertz[-1] if hertz else None
        return {place: hz for place, hz in found.items() if place < self.length}
