# SPDX-License-Identifier: GPL-3.0-or-later
"""`amrq train`: from a recipe to a model file."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from amrq.cli.deferred_interrupt import deferred_interrupt
from amrq.errors import AmrqError
from amrq.model import read_contract

if TYPE_CHECKING:
    from amrq.training.fit import Progress as FitProgress

__all__ = ["train"]


def train(
    recipe: Annotated[Path, typer.Argument(help="A recipe in TOML.")],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", help="The model file to write; by default the recipe's name and .onnx, here."
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume/--fresh", help="Go on from the checkpoint beside the output, or begin anew."),
    ] = True,
    steps: Annotated[
        int | None, typer.Option("--steps", min=1, help="Float training steps in place of the recipe's.")
    ] = None,
    threads: Annotated[
        int, typer.Option("--threads", min=1, help="Threads; on small shared machines 1 is fastest.")
    ] = 1,
) -> None:
    """Train a model by a recipe, quantise, calibrate and evaluate it, and write it with its contract.

    A recipe may ask for several precisions: then each has a file of its own, its name that of the output with -float32,
    -int8 or -int4 added. Beside a model lies a page of the same name with its accuracy tables. An interrupted training
    goes on where
    it stopped: its state is kept beside the output, in a file whose name ends in .checkpoint.

    Example: **amrq train recipes/coherent-small.toml -o models/coherent-small.onnx**
    """
    try:
        import torch
    except ImportError as error:
        raise AmrqError(
            f"training needs PyTorch, which cannot be imported ({error}): install it, for example with "
            "'pip install torch', or in a clone with 'make train-setup'."
        ) from None
    from amrq.training.make_model import make_model
    from amrq.training.recipe import read_recipe

    settings = read_recipe(recipe)
    if steps is not None:
        settings = replace(settings, fit=replace(settings.fit, steps=steps))
    target = output if output is not None else Path(f"{settings.name}.onnx")
    torch.set_num_threads(threads)
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[figures]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as bar:
        training = bar.add_task("training", total=None, figures="")
        teaching = bar.add_task("likelihoods", total=None, figures="", visible=False)
        evaluating = bar.add_task("evaluating", total=None, figures="", visible=False)

        def trained(at: "FitProgress") -> None:
            figures = f"{at.phase}  loss {at.loss:.3f}  accuracy {at.accuracy:.3f}"
            bar.update(training, completed=at.step, total=at.steps, figures=figures)

        def taught(done: int, of: int) -> None:
            bar.update(teaching, completed=done, total=of, visible=True)

        def evaluated(done: int, of: int) -> None:
            bar.update(evaluating, completed=done, total=of, visible=True)

        checkpoint = target.with_name(target.name + ".checkpoint")
        # A step that has begun is finished first: half of one would not be what the recipe makes.
        with deferred_interrupt() as interrupted:
            try:
                files = make_model(
                    settings, target, checkpoint, not resume, trained, taught, evaluated, interrupted.is_set
                )
            except KeyboardInterrupt:
                typer.echo(f"amrq: stopped; the same command goes on from {checkpoint}.", err=True)
                raise
    contracts = [read_contract(file) for file in files]
    table = Table(title=f"{settings.name}: share of right decisions on one chunk")
    for heading in ("Es/N0 dB", *(contract.name for contract in contracts), "chunks each"):
        table.add_column(heading, justify="right")
    for rows in zip(*(contract.accuracy for contract in contracts), strict=True):
        table.add_row(f"{rows[0].es_n0_db:g}", *(f"{row.accuracy:.4f}" for row in rows), str(rows[0].chunks))
    console = Console()
    console.print(table)
    for file, contract in zip(files, contracts, strict=True):
        console.print(f"Written: {file} ({file.stat().st_size / 1000:.0f} kB, {contract.weights} weights)")
