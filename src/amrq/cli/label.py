# SPDX-License-Identifier: GPL-3.0-or-later
"""`amrq label`: from annotated recordings to labelled chunks."""

import signal
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from amrq.classes import LINEAR_CLASSES
from amrq.cli.app import Fields, expanded, say
from amrq.cli.views import progress_bar
from amrq.errors import AmrqError
from amrq.labels import LABELS, FamilyFolder, LabelledSpans, LabelsFolder, SelectedChunks
from amrq.live import (
    CuttingOptions,
    FamilyLabeller,
    LabelledRecording,
    Labeller,
    Naming,
    RecordingOptions,
    deferred_interrupt,
)
from amrq.measure import FrontEndOptions
from amrq.outputs import own_stdout
from amrq.text import engineering, printable

__all__ = ["label"]

_LABELS = "Labels and chunks"


@expanded
def label(
    files: Annotated[list[Path], typer.Argument(help="Recordings: SigMF, wav, or raw samples.")],
    output: Annotated[
        Path,
        typer.Option(
            "-o",
            "--output",
            metavar="DIR",
            help="The folder to write to. It is created if it does not exist.",
        ),
    ],
    recording: Annotated[
        RecordingOptions,
        Fields(
            "Recording", without=("start", "duration"), panels={"symbol_rate": "Signal", "offset": "Signal"}
        ),
    ],
    front_end: Annotated[FrontEndOptions, Fields("Front end")],
    cutting: Annotated[CuttingOptions, Fields(_LABELS)],
    family: Annotated[
        bool,
        typer.Option(
            "--family",
            help="Labels are families of signals: cut the signals' samples, for a family model, instead of symbols.",
            rich_help_panel=_LABELS,
        ),
    ] = False,
    whole: Annotated[
        str | None,
        typer.Option(
            "--label",
            metavar="NAME",
            help="The label of a recording without annotations, from beginning to end.",
            rich_help_panel=_LABELS,
        ),
    ] = None,
    alias: Annotated[
        list[str] | None,
        typer.Option(
            "--alias",
            metavar="NAME=LABEL",
            help="Take annotations NAME for LABEL. With nothing after the =, leave them out. May be repeated.",
            rich_help_panel=_LABELS,
        ),
    ] = None,
) -> None:
    """Turn annotated recordings into chunks to train on, or into cuts of a family of signals.

    Each recording passes the symbol front end, as in **amrq classify**. Chunks wholly within an annotation are written
    to DIR with its label, two files for each recording. A label is a modulation, **unknown** (any other signal),
    **no signal** (noise alone), or whatever you call it. Running it again writes the same. **amrq train --add DIR
    --from MODEL** trains on them.

    With **--family** labels are families, and need no symbols: the signal is cut out between the edges of its
    annotation, or where it stands out of the noise. **amrq train --add DIR --from family** adds them to the family
    model.

    Example: **amrq label examples/recordings/dvbs2_8psk.sigmf-meta --symbol-rate 25k -o labelled**

    A family: **amrq label mine.sigmf-meta --family --label 'my remote' -o cuts**
    """
    naming = Naming(whole, _aliases(alias or []))
    if family:
        _label_families(files, output, recording, naming)
        return
    folder = LabelsFolder(output)
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for column in ("recording", "label, or why not", "chunks", "dropped"):
        table.add_column(column, justify="left" if column[0] in "rl" else "right", overflow="fold")
    notes: list[str] = []
    failures: list[AmrqError] = []
    with deferred_interrupt(signal.SIGTERM, signal.SIGHUP) as interrupted, own_stdout(interrupted) as out:
        labeller = Labeller(folder, recording, naming, cutting, front_end, say, interrupted)
        for path in files:
            try:
                with progress_bar(path.name) as progress:
                    found = labeller.label(path, progress)
                _add_rows(table, _title(path, found), found.selected)
                notes += _notes(path.name, found.spans, found.selected)
                if not len(found.selected.rows):
                    reasons = ", ".join(
                        f"{count} {why}" for why, count in found.selected.dropped.most_common()
                    )
                    raise AmrqError(
                        f"{path}: none of its chunks can be used ({reasons or 'it is too short'})."
                    )
            except AmrqError as error:
                # One bad recording does not cost the others their turn.
                failures.append(error)
                if len(files) > 1:
                    say(error)
        console = Console(file=out)
        if table.row_count:
            console.print(table)
        for note in notes:
            console.print(escape(printable(note, 2000)))
        if len(failures) < len(files):
            console.print(escape(f"Written to {printable(output)}."))
    if failures:
        raise (
            failures[0]
            if len(files) == 1
            else AmrqError(f"{len(failures)} of {len(files)} recordings failed.")
        )


def _label_families(files: list[Path], output: Path, recording: RecordingOptions, naming: Naming) -> None:
    """Cut recordings of families, and show how many cuts each gave."""
    if recording.symbol_rate is not None or recording.offset is not None:
        raise AmrqError(
            "--symbol-rate and --offset are of symbols, and cuts of a family have none: leave them out."
        )
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for column in ("recording", "family", "cuts"):
        table.add_column(column, justify="right" if column == "cuts" else "left", overflow="fold")
    failures: list[AmrqError] = []
    notes: list[str] = []
    with deferred_interrupt(signal.SIGTERM, signal.SIGHUP) as interrupted, own_stdout(interrupted) as out:
        labeller = FamilyLabeller(FamilyFolder(output), recording, naming, say=say, interrupted=interrupted)
        for path in files:
            try:
                with progress_bar(path.name) as progress:
                    found = labeller.label(path, progress)
            except AmrqError as error:
                # One bad recording does not cost the others their turn.
                failures.append(error)
                if len(files) > 1:
                    say(error)
                continue
            for number, (name, count) in enumerate(found.cuts.items()):
                table.add_row("" if number else escape(printable(path.name)), escape(name), str(count))
            if found.short or found.unseen:
                left = f"{found.short} bursts too short, {found.unseen} parts with nothing above the noise"
                notes.append(f"{path.name}: left out: {left}.")
        console = Console(file=out)
        if table.row_count:
            console.print(table)
        for note in notes:
            console.print(escape(printable(note, 2000)))
        if len(failures) < len(files):
            console.print(escape(f"Written to {printable(output)}."))
    if failures:
        several = AmrqError(f"{len(failures)} of {len(files)} recordings failed.")
        raise failures[0] if len(files) == 1 else several


def _aliases(given: list[str]) -> dict[str, str]:
    aliases = {}
    for text in given:
        name, separator, meant = text.rpartition("=")
        if not separator or not name:
            raise AmrqError(f"--alias takes NAME=LABEL, not {text!r}.")
        aliases[name.strip()] = meant.strip()
    return aliases


def _title(path: Path, found: LabelledRecording) -> str:
    title = printable(path.name)
    if found.estimated:
        rate, sure = found.symbol_rate[:2]
        title += f", {engineering(rate, 'Bd', 6)} (estimated, confidence {sure:.4f})"
    return title


def _add_rows(table: Table, title: str, selected: SelectedChunks) -> None:
    counts = Counter(selected.labels)
    kept = [(f"[green]{escape(name)}", str(counts[name]), "") for name in counts]
    left = [(f"[dim]{escape(why)}", "", str(count)) for why, count in selected.dropped.items()]
    for number, row in enumerate([*kept, *left]):
        table.add_row("" if number else escape(title), *row)


def _notes(name: str, spans: LabelledSpans, selected: SelectedChunks) -> list[str]:
    strange = [label for label in dict.fromkeys(selected.labels) if label not in (*LABELS, *LINEAR_CLASSES)]
    notes = [
        f"{name}: the library has no class {label}. The label is kept; a model trained on it must have this class."
        for label in strange
    ]
    if spans.own:
        notes.append(
            f"{name}: {spans.own} annotations are this program's own decisions: check them before training."
        )
    if spans.undecided:
        notes.append(
            f"{name}: {spans.undecided} of its own decisions, unknown, mean that it could not tell; left out."
        )
    if spans.elsewhere:
        notes.append(f"{name}: {spans.elsewhere} annotations are of other places in the band, and left out.")
    return notes
