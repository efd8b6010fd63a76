# SPDX-License-Identifier: GPL-3.0-or-later
"""`amrq evaluate`: how good a model is."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from amrq.classifier import OnnxClassifier
from amrq.errors import AmrqError
from amrq.evaluation import DEFAULT_ES_N0_DB, Evaluation, draw_pictures, report
from amrq.evaluation import evaluate as evaluate_model

__all__ = ["evaluate"]

_DEFAULT_LEVELS = ",".join(f"{level:g}" for level in DEFAULT_ES_N0_DB)


def _levels(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise AmrqError(f"--es-n0 takes numbers in dB with commas between them, not {text!r}.") from None


def _table(evaluation: Evaluation) -> Table:
    table = Table(title=f"{evaluation.model}: share of right decisions")
    for heading in ("Es/N0 dB", "one chunk", "95 % interval", "chunks", "calibration", "32 fused"):
        table.add_column(heading, justify="right")
    for level in evaluation.levels:
        row, fused = level.row(), level.fused_row()
        table.add_row(
            f"{row.es_n0_db:g}",
            f"{row.accuracy:.4f}",
            f"{row.low:.4f}-{row.high:.4f}",
            str(row.chunks),
            f"{level.calibration_error:.3f}",
            f"{fused.accuracy:.4f}" if fused else "-",
        )
    return table


def _class_table(evaluation: Evaluation) -> Table:
    table = Table(title="by class", padding=(0, 0))
    table.add_column("dB", justify="right")
    for name in evaluation.truths:
        table.add_column(name, justify="right", no_wrap=True)
    for level in evaluation.levels:
        table.add_row(f"{level.es_n0_db:g}", *(f"{row.accuracy:.3f}" for row in level.class_rows()))
    return table


def _other_table(evaluation: Evaluation) -> Table:
    fused = evaluation.others[0].fused
    table = Table(title="signals that are none of these: share called unknown")
    table.add_column("signal")
    table.add_column("of chunks", justify="right")
    table.add_column(f"of {fused} chunks fused", justify="right")
    table.add_column("otherwise mostly")
    for other in evaluation.others:
        table.add_row(other.kind, f"{other.unknown:.3f}", f"{other.unknown_fused:.3f}", other.mistaken_for)
    return table


def evaluate(
    model: Annotated[str, typer.Argument(help="An ONNX file, or the name of a shipped model.")] = "default",
    chunks: Annotated[
        int, typer.Option("--chunks", min=1, help="Chunks of each class at each Es/N0.")
    ] = 1_000,
    es_n0: Annotated[
        str, typer.Option("--es-n0", help="Es/N0 in dB, with commas between.")
    ] = _DEFAULT_LEVELS,
    phase_noise: Annotated[
        float, typer.Option("--phase-noise", min=0, help="Standard deviation of the phase noise, radians.")
    ] = 0.0,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the chunks.")] = 0,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Folder for evaluation.md, evaluation.json and pictures."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON in place of tables.")] = False,
) -> None:
    """Measure a model's accuracy on fresh chunks, and what it says of signals that are none of its classes.

    Example: **amrq evaluate blind-int8 --chunks 2000 --es-n0 0,5,10,15,20 -o evaluation**
    """
    levels = _levels(es_n0)
    classifier = OnnxClassifier(model)
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("evaluating")
        found = evaluate_model(
            classifier,
            chunks,
            levels,
            phase_noise,
            seed,
            lambda done, of: bar.update(task, completed=done, total=of),
        )
    if output is not None:
        try:
            output.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise AmrqError(f"the folder {output} cannot be made: {error.strerror}.") from None
        pictures = draw_pictures(found, output)
        (output / "evaluation.json").write_text(
            json.dumps(found.as_dict(), indent=1) + "\n", encoding="utf-8"
        )
        page = report(found, tuple(picture.name for picture in pictures))
        (output / "evaluation.md").write_text(page, encoding="utf-8")
    if as_json:
        typer.echo(json.dumps(found.as_dict()))
        return
    console = Console()
    console.print(_table(found))
    console.print(_class_table(found))
    if found.others:
        console.print(_other_table(found))
    if output is not None:
        console.print(f"Written to {output}: evaluation.md, evaluation.json, accuracy.png, confusion.png")
