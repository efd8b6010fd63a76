# SPDX-License-Identifier: GPL-3.0-or-later
"""`amrq classify`."""

import json
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer
from rich.console import Console
from rich.markup import escape

from amrq.cli.app import OUTPUT_HELPS, Fields, ModelOptions, expanded, model_names, no_stdout_log, say
from amrq.cli.views import DecisionTable, count_answers, refuted_text
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
    load_flowgraph,
    open_signal,
)
from amrq.measure import USUAL_ROLLOFF, FrontEndOptions
from amrq.model import find_model, read_contract
from amrq.outputs import AnnotationFile, DecisionOutputs, own_stdout
from amrq.recordings import is_stream
from amrq.text import counted, engineering

__all__ = ["classify"]

_RECORDING = "Recording"
_SIGNAL = "Signal"
_OUTPUT = "Output"


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
    model: Annotated[ModelOptions, Fields("Decision", completions={"model": model_names})],
    decision: Annotated[DecisionOptions, Fields("Decision")],
    board: Annotated[BoardBackend | None, Fields("Board", needs="endpoint")],
    outputs: Annotated[RecordingOutputs, Fields(_OUTPUT, helps=OUTPUT_HELPS)],
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print each decision as a line of JSON.", rich_help_panel=_OUTPUT),
    ] = False,
) -> None:
    """Name the modulation of recorded signals.

    Shows a decision for every 32 chunks of 32 symbols as soon as it is made, and at the end how often each answer was
    given. **unsure** means that the evidence is not enough; the most probable answer is shown under "perhaps".
    **unknown** means that the signal is outside the classes; "not 16QAM" beside it means that 16QAM is the most
    probable class and does not fit. **noise** means that it looks like noise alone, **no signal** that there is no
    power. The probability is that of the answer, for signals of the kind the model was
    trained on. Where the recording has SigMF annotations, they are shown as truth.

    Example: **amrq classify recording.cu8 --rate 250e3 --symbol-rate 9600 --offset 12.5e3**
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
        if outputs.annotate:
            run.annotate(files[0], Path(outputs.annotate))
        for path in files:
            try:
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
        self._annotations: AnnotationFile | None = None
        self._equalised = 0  # decisions of the present recording
        self._refuted: Counter[str] = Counter()  # names, in the present recording

    def annotate(self, recording: Path, path: Path) -> None:
        """Write the decisions on a recording into metadata as well."""
        self._annotations = AnnotationFile(recording, path)
        self._annotations.check()
        self._at_the_end(self._annotations.close)

    def classify(self, found: RecordedSignal) -> None:
        """Classify one recording and show it."""
        title, rate = found.name, engineering(found.symbol_rate, "Bd", 6)
        if found.estimated:
            title += f", symbol rate {rate} (estimated, confidence {found.confidence:.4f})"
        elif found.found.corrected:
            title += f", symbol rate {rate} (found, confidence {found.confidence:.4f})"
        if self._annotations is not None:
            rolloff = self._recognition.front_end.rolloff or USUAL_ROLLOFF
            self._annotations.bandwidth = (1 + rolloff) * found.symbol_rate
            self._annotations.set_samples(found.recording.sample_rate, found.first_index)
        session = RecordingSession(found, self._recognition, self._interrupted, say)
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
