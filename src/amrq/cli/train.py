# SPDX-License-Identifier: GPL-3.0-or-later
"""`amrq train`: from a recipe to a model file, or from a model to a better one."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from amrq.cli.completion import model_names
from amrq.cli.deferred_interrupt import deferred_interrupt
from amrq.cli.models import file_size
from amrq.cli.say import say
from amrq.cli.training_bars import TrainingBars
from amrq.cli.tune import tune
from amrq.errors import AmrqError
from amrq.model import read_contract
from amrq.plain_text import printable

__all__ = ["train"]

_TUNING = "Labelled recordings"
_TUNING_STEPS = 1_000


def train(
    recipe: Annotated[
        Path | None,
        typer.Argument(help="A recipe in TOML; left out with --add and --from.", show_default=False),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            help="The model file to write; by default the recipe's or the model's name and .onnx, here.",
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume/--fresh", help="Go on from the checkpoint beside the output, or begin anew."),
    ] = True,
    steps: Annotated[
        int | None,
        typer.Option(
            "--steps",
            min=1,
            help=f"Float training steps in place of the recipe's; with --add steps in all, {_TUNING_STEPS:,} without.",
        ),
    ] = None,
    threads: Annotated[
        int, typer.Option("--threads", min=1, help="Threads; on small shared machines 1 is fastest.")
    ] = 1,
    add: Annotated[
        Path | None,
        typer.Option(
            "--add",
            metavar="DIR",
            help="Train the model of --from on, with the labelled chunks that **amrq label** wrote to DIR.",
            rich_help_panel=_TUNING,
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="MODEL",
            autocompletion=model_names,
            help="The model to begin with, one that **amrq train** made: file, name or 'default'.",
            rich_help_panel=_TUNING,
        ),
    ] = None,
    share: Annotated[
        float,
        typer.Option(
            "--share",
            help="Largest share of labelled chunks in the weight of a class at a level of Es/N0, 0 to 1.",
            rich_help_panel=_TUNING,
        ),
    ] = 0.5,
    hold_out: Annotated[
        list[str] | None,
        typer.Option(
            "--hold-out",
            metavar="NAME",
            help="Test on this recording of DIR in place of the last fifth of each. May be repeated.",
            rich_help_panel=_TUNING,
        ),
    ] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option(
            "--learning-rate",
            help="Highest learning rate; by default a quarter of the recipe's.",
            rich_help_panel=_TUNING,
        ),
    ] = None,
    tolerance: Annotated[
        float,
        typer.Option(
            "--tolerance",
            metavar="POINTS",
            help="Percentage points that synthetic chunks may lose before the result is called worse (exit status 1).",
            rich_help_panel=_TUNING,
        ),
    ] = 1.0,
) -> None:
    """Train a model by a recipe, quantise, calibrate and evaluate it, and write it with its contract.

    A recipe may ask for several precisions: then each has a file of its own, its name that of the output with -float32,
    -int8 or -int4 added. Beside a model lies a page of the same name with its accuracy tables. An interrupted training
    goes on where it stopped: its state is kept beside the output, in a file whose name ends in .checkpoint.

    With --add and --from a finished model is trained on, on its recipe's own signals and on labelled chunks, and held
    against itself on both.

    Example: **amrq train recipes/coherent-small.toml -o models/coherent-small.onnx**

    Example: **amrq train --add labelled --from default -o mine.onnx**
    """
    _check_way(recipe, add, model)
    try:
        import torch
    except ImportError as error:
        raise AmrqError(
            f"training needs PyTorch, which cannot be imported ({error}): install it, in a clone of gr-amrq with "
            "'make train-setup', or with 'pip install .[train]' in an environment without GNU Radio."
        ) from None
    torch.set_num_threads(threads)
    if recipe is None:
        from amrq.training.tune_settings import TuneSettings

        assert add is not None and model is not None
        if not math.isfinite(tolerance):
            raise AmrqError(f"--tolerance must be a number of percentage points, not {tolerance}.")
        settings = TuneSettings(
            steps or _TUNING_STEPS, share, learning_rate, tuple(hold_out or ()), tolerance / 100
        )
        tune(add, model, output, settings, not resume)
        return
    _by_recipe(recipe, output, resume, steps)


def _check_way(recipe: Path | None, add: Path | None, model: str | None) -> None:
    """Refuse what is neither a training by a recipe nor one of a model with labelled chunks."""
    if recipe is None and add is None and model is None:
        raise AmrqError(
            "give a recipe, or labelled chunks and a model to train on with them (--add, --from)."
        )
    if recipe is not None and (add is not None or model is not None):
        raise AmrqError(
            f"a recipe ({recipe}) makes a model anew: leave it out to train a finished one on (--add and --from)."
        )
    if recipe is None and add is None:
        raise AmrqError("--from needs a folder of labelled chunks (--add); 'amrq label' writes one.")
    if recipe is None and model is None:
        raise AmrqError(
            "--add needs a model to begin with (--from): a file, a shipped model's name, or 'default'."
        )


def _by_recipe(recipe: Path, output: Path | None, resume: bool, steps: int | None) -> None:
    from amrq.training.make_model import make_model
    from amrq.training.recipe import read_recipe

    settings = read_recipe(recipe)
    if steps is not None:
        settings = replace(settings, fit=replace(settings.fit, steps=steps))
    target = output if output is not None else Path(f"{settings.name}.onnx")
    checkpoint = target.with_name(target.name + ".checkpoint")
    # A step that has begun is finished first: half of one would not be what the recipe makes.
    with TrainingBars() as bars, deferred_interrupt(patient=True) as interrupted:
        try:
            files = make_model(
                settings,
                target,
                checkpoint,
                not resume,
                bars.trained,
                bars.taught,
                bars.evaluated,
                interrupted.is_set,
            )
        except KeyboardInterrupt:
            say(f"stopped; the same command goes on from {checkpoint}.")
            raise
    contracts = [read_contract(file) for file in files]
    table = Table(title=escape(f"{settings.name}: share of right decisions on one chunk"))
    for heading in ("Es/N0 dB", *(escape(contract.name) for contract in contracts), "chunks each"):
        table.add_column(heading, justify="right")
    for rows in zip(*(contract.accuracy for contract in contracts), strict=True):
        table.add_row(f"{rows[0].es_n0_db:g}", *(f"{row.accuracy:.4f}" for row in rows), str(rows[0].chunks))
    console = Console()
    console.print(table)
    for file in files:
        console.print(f"Written: {printable(file)} ({file_size(file)})", markup=False)
