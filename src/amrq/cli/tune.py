# SPDX-License-Identifier: GPL-3.0-or-later
"""`amrq train --add DIR --from MODEL`: a finished model trained on, with labelled chunks."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from amrq.cli.deferred_interrupt import deferred_interrupt
from amrq.cli.models import file_size
from amrq.cli.say import say
from amrq.cli.training_bars import TrainingBars
from amrq.evaluation import clopper_pearson
from amrq.model import find_model

if TYPE_CHECKING:
    from amrq.training.tune_settings import TuneSettings

__all__ = ["tune"]

_WORSE = 1
"""Exit status of a training whose result is worse on synthetic chunks than what it began with."""


def tune(folder: Path, model: str, output: Path | None, settings: "TuneSettings", fresh: bool) -> None:
    """Train on, and show what it did: on the held-out labelled chunks, and on synthetic ones.

    Args:
        folder: of labelled chunks.
        model: file or name of the model to begin with.
        output: the file to write; by default the model's name, `-tuned` and .onnx, here.
        settings: how.
        fresh: begin anew even if there is a checkpoint.

    Raises:
        AmrqError: something given cannot be used.
        KeyboardInterrupt: interrupted; the state is kept.
        typer.Exit: the result is worse on synthetic chunks than the tolerance allows.
    """
    from amrq.training.tune_model import tune_model

    target = output if output is not None else Path(f"{find_model(model).stem}-tuned.onnx")
    checkpoint = target.with_name(target.name + ".checkpoint")
    # A step that has begun is finished first: half of one would not be what is written down.
    with TrainingBars() as bars, deferred_interrupt(patient=True) as interrupted:

        def taught(done: int, of: int) -> None:
            bars.taught(done, of)
            if interrupted.is_set():
                raise KeyboardInterrupt

        def evaluated(done: int, of: int) -> None:
            bars.evaluated(done, of)
            if interrupted.is_set():
                raise KeyboardInterrupt

        try:
            added = tune_model(
                model,
                folder,
                target,
                settings,
                checkpoint,
                fresh,
                bars.trained,
                taught,
                evaluated,
                interrupted.is_set,
            )
        except KeyboardInterrupt:
            if os.path.isfile(checkpoint):
                say(f"stopped; the same command goes on from {checkpoint}.")
            raise
    console = Console()
    console.print(_labelled(added))
    console.print(_synthetic(added))
    console.print(_others(added))
    console.print(escape(f"Written: {target} ({file_size(target)})"))
    for sentence in added["worse"]:
        console.print(escape(f"WORSE THAN BEFORE: {sentence}."), style="bold red")
    if added["worse"]:
        raise typer.Exit(_WORSE)


def _share(count: int, of: int) -> str:
    low, high = clopper_pearson(count, of)
    return f"{count / of:.3f} ({low:.3f} to {high:.3f})"


def _labelled(added: Mapping[str, Any]) -> Table | str:
    rows = added["labelled"]
    if not rows:
        return "No labelled chunk is held out: of each label in a recording 16 are needed for that."
    held = added["held_out"] if isinstance(added["held_out"], str) else ", ".join(added["held_out"])
    table = Table(
        title="Labelled chunks held out, each alone: share right among all outputs (95 % interval)",
        caption=escape(
            f"Held out: {held}. The intervals take chunks for independent; of one recording they are not."
        ),
    )
    for column in ("label", "before", "after", "chunks"):
        table.add_column(column, justify="left" if column == "label" else "right")
    every = {key: sum(row[key] for row in rows) for key in ("before", "after", "chunks")}
    for row in [*rows, *([{"label": "all", **every}] if len(rows) > 1 else [])]:
        shares = (_share(row[when], row["chunks"]) for when in ("before", "after"))
        table.add_row(escape(row["label"]), *shares, str(row["chunks"]))
    return table


def _synthetic(added: Mapping[str, Any]) -> Table:
    table = Table(title="Synthetic chunks, each alone: share right among the modulations")
    for column in ("Es/N0 dB", "before", "after", "change", "chunks"):
        table.add_column(column, justify="right")
    for row in added["synthetic"]:
        change = row["after"] - row["before"]
        colour = "[red]" if -change > added["tolerance"] else ""
        table.add_row(
            f"{row['es_n0_db']:g}",
            f"{row['before']:.4f}",
            f"{row['after']:.4f}",
            f"{colour}{change:+.4f}",
            str(row["chunks"]),
        )
    return table


def _others(added: Mapping[str, Any]) -> Table:
    table = Table(title="Other signals, fused decisions: share that claims one of the modulations")
    for column in ("signal", "before", "after", "decisions"):
        table.add_column(column, justify="left" if column == "signal" else "right")
    for row in added["others"]:
        shares = (f"{row[when] / row['decisions']:.3f}" for when in ("before", "after"))
        table.add_row(row["kind"], *shares, str(row["decisions"]))
    return table
