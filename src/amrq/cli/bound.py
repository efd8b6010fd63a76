# SPDX-License-Identifier: GPL-3.0-or-later
"""`amrq bound`: how accurate the best possible classifier is."""

import csv
import io
import json
import math
import platform
import shlex
import time
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, cast, get_args

import numpy as np
import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

import amrq
from amrq.classes import THESIS_9, LinearSet, class_set
from amrq.cli.app import Fields, expanded
from amrq.errors import AmrqError, raise_together
from amrq.files import made_folder, write_whole
from amrq.likelihood import BoundCurve, Level, Phase, Receiver, bound_page, draw_bound, measure_bound
from amrq.model import find_model, read_contract
from amrq.options import at_least, described, option
from amrq.text import printable

__all__ = ["bound"]

_MOST_POINTS = 1000
_OPERATING_POINTS = ((20.0, 0.01), (23.0, 0.005))
"""Es/N0 in dB and phase noise in radians at which the thesis and its follow-up (CISS 2025) work."""
_LONG = 256
"""Symbols from which on --all takes fewer chunks."""


@dataclass(frozen=True)
class _Run:
    receiver: Receiver
    es_n0_known: bool
    symbols: int
    es_n0_db: tuple[float, ...]
    chunks: int


def _numbers(option: str, text: str) -> list[float]:
    """Read numbers with commas between them, or first:last:step, or first:last."""
    try:
        if ":" not in text:
            return [float(part) for part in text.split(",")]
        first, last, *rest = (float(part) for part in text.split(":"))
        (step,) = rest or [1.0]
        count = (last - first) / step
        if not 0 <= count < _MOST_POINTS:  # also refuses NaN
            raise ValueError
    except (ValueError, ZeroDivisionError):
        raise AmrqError(
            f"{option} takes numbers with commas between them, or first:last:step, not {text!r}."
        ) from None
    return [first + step * i for i in range(int(count + 1e-9) + 1)]


def _class_set(text: str) -> LinearSet:
    """Return the classes that are named, or those of a model."""
    if text.endswith(".onnx"):
        contract = read_contract(find_model(text))
        if not contract.linear_classes:
            raise AmrqError(
                f"--classes: the contract of {printable(text)} describes no class by its constellation."
            )
        return contract.linear_classes
    return class_set([name.strip() for name in text.split(",") if name.strip()])


def _range(text: str | None) -> tuple[float, float] | None:
    if text is None:
        return None
    try:
        low, high = (float(part) for part in text.split(":"))
        if not low <= high:
            raise ValueError
    except ValueError:
        raise AmrqError(
            f"--es-n0-range takes low:high in dB, the lower first, for example 0:20, not {text!r}."
        ) from None
    return low, high


def _all_runs(levels: tuple[float, ...], lengths: list[int], chunks: int) -> list[_Run]:
    """List the receivers of the project's page: what it costs not to know."""
    low, high = min(levels), max(levels)
    runs = []
    knowledge: tuple[tuple[Level, bool], ...] = (("known", True), ("known", False), ("hidden", False))
    for phase in get_args(Phase):
        for level, known in knowledge:
            all_known = (phase, level, known) == ("known", "known", True)
            for symbols in lengths if all_known else lengths[:1]:
                # Long chunks take long, and are seldom mistaken.
                fewer = chunks if symbols <= _LONG else max(1, chunks * _LONG // symbols)
                runs.append(_Run(Receiver(phase, (low, high), level), known, symbols, levels, fewer))
            if known or level == "hidden":
                for es_n0_db, phase_noise in _OPERATING_POINTS:
                    span = (low, max(high, 5.0 * math.ceil(es_n0_db / 5)))
                    receiver = Receiver(phase, span, level, phase_noise)
                    runs.append(_Run(receiver, known, lengths[0], (es_n0_db,), chunks))
    return runs


def _tables(curve: BoundCurve) -> list[Table]:
    table = Table(title=f"{curve.symbols} symbols, {curve.name}: share of right decisions")
    for heading in ("Es/N0 dB", "accuracy", "95 % interval", "chunks"):
        table.add_column(heading, justify="right")
    classes = Table(title="by class", padding=(0, 0))
    classes.add_column("dB", justify="right")
    for name in curve.classes:
        classes.add_column(escape(name), justify="right", no_wrap=True)
    for point in curve.points:
        _, chunks, accuracy, low, high = point.share()
        table.add_row(f"{point.es_n0_db:g}", f"{accuracy:.4f}", f"{low:.4f}-{high:.4f}", str(chunks))
        classes.add_row(f"{point.es_n0_db:g}", *(f"{point.share(name)[2]:.3f}" for name in curve.classes))
    return [table, classes]


def _document(curves: list[BoundCurve], seed: int) -> dict[str, object]:
    return {
        "classes": list(curves[0].classes),
        "seed": seed,
        "curves": [
            {
                "receiver": curve.name,
                "symbols": curve.symbols,
                "points": [
                    {
                        "es_n0_db": point.es_n0_db,
                        "phase_noise_rad": point.receiver.phase_noise,
                        "es_n0_expected_db": point.receiver.es_n0_range,
                        "accuracy": point.share()[2],
                        "interval": point.share()[3:],
                        "confusion": point.confusion.tolist(),
                    }
                    for point in curve.points
                ],
            }
            for curve in curves
        ],
    }


def _write(folder: Path, curves: list[BoundCurve], seed: int, seconds: float, command: str) -> None:
    beside = folder / "bound"
    made_folder(beside)
    draw_bound(curves, beside / "bound.png")
    rows = [row for curve in curves for row in curve.rows()]
    table = io.StringIO(newline="")
    writer = csv.DictWriter(table, rows[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_whole(beside / "bound.csv", table.getvalue())
    write_whole(beside / "bound.json", json.dumps(_document(curves, seed)) + "\n")
    minutes = max(1, round(seconds / 60))
    made = (
        f"Made with `{command}` on {date.today().isoformat()} in {minutes} min: amrq {amrq.__version__}, "
        f"NumPy {np.__version__}, Python {platform.python_version()}; seed {seed}."
    )
    page = bound_page(curves, made, "bound/bound.png", "bound/bound.csv")
    write_whole(folder / "bound.md", page)


@described
@dataclass(frozen=True)
class _Knowledge:
    """What the receiver knows."""

    classes: str = option(
        THESIS_9.name,
        "Classes that it expects: a class set, names with commas between, or an ONNX file for those of a model.",
        flag="--classes CLASSES",
    )
    phase: str = option(
        "known",
        "Carrier phase: known, or uniform: any phase, one per chunk.",
        choices=dict.fromkeys(get_args(Phase), ""),
    )
    level: str = option(
        "known",
        "Level: known, or hidden: each chunk divided by its own root mean square.",
        choices=dict.fromkeys(get_args(Level), ""),
    )
    es_n0_range: str | None = option(
        None,
        "Es/N0 is not known: any value from low to high, in dB, is equally probable.",
        flag="--es-n0-range DB:DB",
    )
    phase_noise: float = option(
        0.0, "Standard deviation of each symbol's phase.", unit="rad", within=at_least(0)
    )


@expanded
def bound(
    knowledge: Annotated[_Knowledge, Fields("Receiver")],
    symbols: Annotated[str, typer.Option(help="Symbols per chunk, with commas between.")] = "32,64,128,1024",
    es_n0: Annotated[
        str, typer.Option("--es-n0", help="Es/N0 in dB: first:last:step, or numbers with commas between.")
    ] = "0:20:2.5",
    chunks: Annotated[
        int, typer.Option("--chunks", min=1, help="Chunks of each class at each Es/N0.")
    ] = 1_000,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the chunks.")] = 0,
    all_receivers: Annotated[
        bool,
        typer.Option(
            "--all",
            help="Measure six receivers, from one that knows everything to one that knows least, in place of the one "
            "that the options under Receiver describe. Each is measured at the first length; the first one at all "
            "lengths, with a quarter of the chunks at 1024 symbols. Two points where the thesis works are added: "
            "20 dB with 0.01 rad, and 23 dB with 0.005 rad.",
        ),
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Folder for bound.md and, in bound/, a picture, CSV and JSON."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Measure the likelihood bound: how accurate the best possible classifier is, depending on what it knows.

    The likelihoods are averaged over what the receiver does not know. No model is more accurate on such chunks.

    Example: **amrq bound --symbols 32,128 --phase uniform --level hidden --es-n0-range 0:20 -o results**
    """
    lengths = [
        int(length) for length in _numbers("--symbols", symbols) if length == int(length) and length >= 1
    ]
    if len(lengths) != len(_numbers("--symbols", symbols)):
        raise AmrqError(f"--symbols takes whole numbers of at least 1, not {symbols!r}.")
    levels = tuple(_numbers("--es-n0", es_n0))
    known = _class_set(knowledge.classes)
    expected = _range(knowledge.es_n0_range)
    if all_receivers:
        runs = _all_runs(levels, lengths, chunks)
    else:
        span = expected or (min(levels), max(levels))
        phase, level = cast(Phase, knowledge.phase), cast(Level, knowledge.level)
        receiver = Receiver(phase, span, level, knowledge.phase_noise)
        runs = [_Run(receiver, expected is None, length, levels, chunks) for length in lengths]
    if output is not None:
        made_folder(output / "bound")  # refused now rather than when all is measured
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    curves: list[BoundCurve] = []
    begin = time.monotonic()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        # Work goes with the symbols; blind and hidden points cost more, so the time left is a rough figure.
        total = sum(run.chunks * run.symbols * len(run.es_n0_db) for run in runs) * len(known)
        task = bar.add_task("bound", total=total)
        for run in runs:
            bar.update(
                task,
                description=f"{run.symbols} symbols, {run.receiver.phase} phase, {run.receiver.level} level",
            )
            curve = measure_bound(
                run.receiver,
                run.es_n0_known,
                run.symbols,
                run.es_n0_db,
                run.chunks,
                seed,
                lambda done, run=run: bar.advance(task, done * run.symbols),  # type: ignore[misc]
                known,
            )
            curves.append(curve)
    failed: list[AmrqError] = []  # reported once what was measured is shown
    if output is not None:
        settings: dict[str, object] = {"--classes": knowledge.classes} if known != THESIS_9 else {}
        settings |= {"--symbols": symbols, "--es-n0": es_n0, "--chunks": chunks, "--seed": seed}
        if not all_receivers:
            settings |= {"--phase": knowledge.phase, "--level": knowledge.level}
            settings |= {"--phase-noise": knowledge.phase_noise}
            settings |= {"--es-n0-range": knowledge.es_n0_range} if knowledge.es_n0_range else {}
        words = [str(word) for pair in settings.items() for word in pair]
        command = shlex.join(
            ["amrq", "bound", *(["--all"] if all_receivers else []), *words, "-o", str(output)]
        )
        try:
            _write(output, curves, seed, time.monotonic() - begin, command)
        except AmrqError as error:
            failed.append(error)
    if as_json:
        typer.echo(json.dumps(_document(curves, seed)))
        raise_together(failed)
        return
    console = Console()
    for curve in curves:
        for table in _tables(curve):
            console.print(table)
    raise_together(failed)
    if output is not None:
        console.print(
            f"Written to {printable(output)}: bound.md and, in bound/, bound.png, bound.csv, bound.json",
            markup=False,
        )
