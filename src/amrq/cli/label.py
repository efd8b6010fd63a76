# SPDX-License-Identifier: GPL-3.0-or-later
"""`amrq label`: from annotated recordings to labelled chunks."""

import hashlib
import math
import signal
import tempfile
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import numpy as np
import typer
from numpy.typing import NDArray
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from amrq.chunks import SILENCE_POWER
from amrq.classes import LINEAR_CLASSES
from amrq.cli.app import one_of, quantity, say
from amrq.errors import AmrqError
from amrq.labels import (
    LABELS,
    LabelledChunks,
    LabelledSpans,
    LabelsFolder,
    Reason,
    SelectedChunks,
    labelled_spans,
    select_chunks,
)
from amrq.live import deferred_interrupt, joined, recording_offset, recording_symbol_rate
from amrq.measure import FrontEndOptions, StreamInfo
from amrq.outputs import own_stdout
from amrq.recordings import FORMATS, Recording, open_recording
from amrq.text import engineering, printable

__all__ = ["label"]

_MARGIN = 2
"""Symbols by which the place of a chunk may be wrong."""
_OWN_MARGIN = 2
"""Chunks at either end of this program's own decisions that are left out."""
_SLACK = 2
"""Samples between annotations of one label that touch: their edges have been rounded."""
_LEAD = 1_000
"""Symbols before the first annotation that the front end is given: it is running when the signal begins."""
_TRAIL = 64
"""Symbols behind the last one: what the front end holds back."""
_HASHED = 1 << 20


def _load_flowgraph() -> Any:
    try:
        from gnuradio.amrq.chunk_flowgraph import chunk_flowgraph
    except ImportError as error:
        raise AmrqError(
            f"labelling a recording needs GNU Radio 3.10 with this module installed ({error}): see the README."
        ) from None
    return chunk_flowgraph


def label(
    files: Annotated[list[Path], typer.Argument(help="Recordings: SigMF, wav, or raw samples.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="DIR", help="The folder to write to; made if need be.")
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
            help="Where in the recording's band the signal lies, Hz from its middle; in real samples, from 0 Hz.",
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
    whole: Annotated[
        str | None,
        typer.Option(
            "--label",
            metavar="NAME",
            help="The label of a recording without annotations, from beginning to end.",
        ),
    ] = None,
    alias: Annotated[
        list[str] | None,
        typer.Option(
            "--alias",
            metavar="NAME=LABEL",
            help="Take annotations NAME for LABEL; with nothing behind the = leave them out. May be repeated.",
        ),
    ] = None,
    rolloff: Annotated[
        float, typer.Option(help="Roll-off of the matched filter, above 0, at most 1.")
    ] = 0.35,
    gate: Annotated[
        float, typer.Option(help="Power in dB of full scale below which there is no signal.")
    ] = -200.0,
    settling: Annotated[
        int,
        typer.Option(
            "--settling",
            min=0,
            help="Symbols left out after the start of a signal, while the front end settles.",
        ),
    ] = 300,
    chunk_length: Annotated[int, typer.Option("--chunk-length", min=2, help="Symbols a chunk.")] = 32,
    most: Annotated[
        int,
        typer.Option(
            "--most",
            min=1,
            help="Chunks of one label in one recording at most; of more, evenly spread ones are kept.",
        ),
    ] = 20_000,
) -> None:
    """Turn annotated recordings into chunks to train on.

    Each recording passes the symbol front end, as in **amrq classify**; chunks wholly within an annotation are
    written to DIR with its label, two files a recording: a modulation, **unknown** (any other signal), **no signal**
    (noise alone), or whatever you call it. Running it
    again writes the same. **amrq train --add DIR --from MODEL** trains on them.

    Example: **amrq label examples/recordings/dvbs2_8psk.sigmf-meta --symbol-rate 25k -o labelled**
    """
    chunk_flowgraph = _load_flowgraph()
    if symbol_rate is not None and not 0 < symbol_rate < math.inf:
        raise AmrqError(f"--symbol-rate must be a number above 0, not {symbol_rate}.")
    if offset is not None and not math.isfinite(offset):
        raise AmrqError(f"--offset must be a number, not {offset}.")
    aliases = _aliases(alias or [])
    folder = LabelsFolder(output)
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for column in ("recording", "label, or why not", "chunks", "dropped"):
        table.add_column(column, justify="left" if column[0] in "rl" else "right", overflow="fold")
    notes: list[str] = []
    failures: list[AmrqError] = []
    with deferred_interrupt(signal.SIGTERM, signal.SIGHUP) as interrupted, own_stdout(interrupted) as out:
        for path in files:
            try:
                recording = open_recording(path, format, rate, recording_name)
                for note in recording.notes:
                    say(note)
                place = recording_offset(recording, offset)
                name = _name(recording, place, recording_name)
                identity = _sha256(recording, interrupted)
                folder.make()
                folder.check_free(name, identity)
                spans = labelled_spans(recording, place, whole, aliases, _SLACK)
                _require_some(recording, spans, place)
                found_rate, title = symbol_rate, printable(path.name)
                if found_rate is None:
                    first = next(span.start for span in spans.spans if span.known)
                    found_rate, sure = recording_symbol_rate(recording, place, first)
                    title += f", {engineering(found_rate, 'Bd', 6)} (estimated, confidence {sure:.4f})"
                own_margin = _OWN_MARGIN * chunk_length * recording.sample_rate / found_rate
                spans = labelled_spans(recording, place, whole, aliases, _SLACK, own_margin)
                _require_some(recording, spans, place)

                def make(
                    spool: BinaryIO,
                    start: int,
                    count: int,
                    recording: Recording = recording,
                    found_rate: float = found_rate,
                    place: float = place,
                ) -> Any:
                    stream = StreamInfo(symbol_rate=found_rate, offset=place, chunk_length=chunk_length)
                    front_end = FrontEndOptions(rolloff=rolloff, gate_db=gate)
                    return chunk_flowgraph(recording, spool, stream, front_end, start, count)

                selected, chunks, places = _cut(
                    make, recording, spans, found_rate, chunk_length, settling, most, output, interrupted
                )
                _add_rows(table, title, selected)
                notes += _notes(path.name, spans, selected)
                if not len(chunks):
                    reasons = ", ".join(f"{count} {why}" for why, count in selected.dropped.most_common())
                    raise AmrqError(
                        f"{path}: none of its chunks can be used ({reasons or 'it is too short'})."
                    )
                names = (*LABELS, *dict.fromkeys(one for one in selected.labels if one not in LABELS))
                folder.write(
                    LabelledChunks(
                        name=name,
                        source=recording.path.name,
                        recording_sha256=identity,
                        sample_rate=recording.sample_rate,
                        symbol_rate=float(found_rate),
                        offset=float(place),
                        chunks=chunks,
                        labels=np.array([names.index(found) for found in selected.labels], np.uint8),
                        sample_index=places,
                        dropped=dict(selected.dropped),
                        names=names,
                    )
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


def _aliases(given: list[str]) -> dict[str, str]:
    aliases = {}
    for text in given:
        name, separator, meant = text.rpartition("=")
        if not separator or not name:
            raise AmrqError(f"--alias takes NAME=LABEL, not {text!r}.")
        aliases[name.strip()] = meant.strip()
    return aliases


def _name(recording: Recording, offset: float, one_of: str | None) -> str:
    """Return what the files of a recording's chunks are called; those of two signals in one band are not the same."""
    stem = recording.path.name.removesuffix(recording.path.suffix)
    if one_of is not None:
        stem += f".{Path(one_of).name}"
    return f"{stem}@{offset:.15g}" if offset else stem


def _sha256(recording: Recording, interrupted: threading.Event) -> str:
    hashed = hashlib.sha256()
    for start in range(0, recording.length, _HASHED):
        if interrupted.is_set():
            raise KeyboardInterrupt
        hashed.update(recording.read(start, _HASHED).tobytes())
    return hashed.hexdigest()


def _require_some(recording: Recording, spans: LabelledSpans, offset: float) -> None:
    if any(span.known for span in spans.spans):
        return
    if spans.unknown_names:
        names = ", ".join(repr(name) for name in spans.unknown_names)
        raise AmrqError(
            f"{recording.path}: its annotations are labelled {names}, which cannot be labels: say what to take them "
            "for (--alias NAME=LABEL)."
        )
    if spans.elsewhere:
        raise AmrqError(
            f"{recording.path}: its {spans.elsewhere} annotations are of other places in the band than "
            f"{engineering(offset, 'Hz')}: give that of the signal (--offset)."
        )
    raise AmrqError(
        f"{recording.path} has no annotations with a label: annotate it, or say what it is (--label)."
    )


def _cut(
    make: Callable[[BinaryIO, int, int], Any],
    recording: Recording,
    spans: LabelledSpans,
    symbol_rate: float,
    chunk_length: int,
    settling: int,
    most: int,
    folder: Path,
    interrupted: threading.Event,
) -> tuple[SelectedChunks, NDArray[np.complex64], NDArray[np.int64]]:
    """Run the part of a recording that is annotated through a flowgraph; return which chunks, these, and their places.

    Args:
        make: makes the flowgraph for a file to put chunks into, a first sample and a number of samples.
        recording: what is read.
        spans: what is said of it.
        symbol_rate: symbols a second.
        chunk_length: symbols a chunk.
        settling: symbols left out behind the start of a stretch.
        most: chunks of each label.
        folder: where there is room for all chunks of the recording.
        interrupted: stops it.
    """
    known = [span for span in spans.spans if span.known]
    samples_per_symbol = recording.sample_rate / symbol_rate
    start = max(0, round(known[0].start - _LEAD * samples_per_symbol))
    last = max(span.stop for span in known) + _TRAIL * samples_per_symbol
    count = max(1, min(recording.length, round(last)) - start)
    with tempfile.TemporaryFile(dir=folder) as spool:
        flowgraph = make(spool, start, count)
        _run(flowgraph, recording.path.name, count, interrupted)
        spool.flush()
        starts, stops = flowgraph.places()
        shape = (len(starts), chunk_length)
        chunks: Any = np.memmap(spool, np.complex64, "r", shape=shape) if len(starts) else np.empty(shape)
        selected = select_chunks(
            starts,
            stops,
            _audible(chunks),
            spans.spans,
            settling * samples_per_symbol,
            _MARGIN * samples_per_symbol,
            most,
        )
        kept = np.array(chunks[selected.rows], dtype=np.complex64)
    # What the front end was not given is outside all annotations too.
    length = chunk_length * samples_per_symbol
    skipped = int(start / length) + int((recording.length - start - count) / length)
    selected.dropped.update({Reason.OUTSIDE: skipped} if skipped else {})
    places = np.maximum(0, np.round(starts[selected.rows])).astype(np.int64)
    return selected, kept, places


def _run(flowgraph: Any, name: str, count: int, interrupted: threading.Event) -> None:
    """Run the flowgraph to its end.

    Raises:
        AmrqError: it failed.
        KeyboardInterrupt: `interrupted` was set.
    """
    finished = threading.Event()

    def wait() -> None:
        flowgraph.wait()
        finished.set()

    flowgraph.keep_errors()
    flowgraph.start()
    thread = threading.Thread(target=wait, name="amrq flowgraph", daemon=True)
    thread.start()
    try:
        console = Console(stderr=True)
        with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
            task = bar.add_task(escape(name), total=count)
            while not finished.wait(0.1):
                bar.update(task, completed=flowgraph.done())
                if interrupted.is_set():
                    raise KeyboardInterrupt
    finally:
        flowgraph.stop()
        if not joined(thread):
            raise AmrqError("the flowgraph did not end when it was stopped, and is given up.")
    flowgraph.raise_error()


def _audible(chunks: Any) -> Any:
    """Return bool [N]: whether the gate was open throughout a chunk."""
    audible = np.empty(len(chunks), dtype=np.bool_)
    for start in range(0, len(chunks), _HASHED):
        part = np.abs(chunks[start : start + _HASHED]) ** 2
        audible[start : start + _HASHED] = part.min(axis=1) > SILENCE_POWER
    return audible


def _add_rows(table: Table, title: str, selected: SelectedChunks) -> None:
    counts = Counter(selected.labels)
    kept = [(f"[green]{escape(name)}", str(counts[name]), "") for name in counts]
    left = [(f"[dim]{escape(why)}", "", str(count)) for why, count in selected.dropped.items()]
    for number, row in enumerate([*kept, *left]):
        table.add_row("" if number else escape(title), *row)


def _notes(name: str, spans: LabelledSpans, selected: SelectedChunks) -> list[str]:
    strange = [label for label in dict.fromkeys(selected.labels) if label not in (*LABELS, *LINEAR_CLASSES)]
    notes = [
        f"{name}: {label} is no class that this program knows, and is kept as a label of its own."
        for label in strange
    ]
    if spans.own:
        notes.append(
            f"{name}: {spans.own} annotations are this program's own decisions: look them through before training."
        )
    if spans.undecided:
        notes.append(
            f"{name}: {spans.undecided} of its own decisions, unknown, mean that it could not tell; left out."
        )
    if spans.elsewhere:
        notes.append(f"{name}: {spans.elsewhere} annotations are of other places in the band, and left out.")
    return notes
