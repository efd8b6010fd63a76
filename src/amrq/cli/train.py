# SPDX-License-Identifier: GPL-3.0-or-later
"""The command `amrq train`, from scratch or from a model."""

import functools
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from amrq.cli.app import Fields, expanded, model_names, say
from amrq.cli.model import file_size
from amrq.cli.views import progress_bar
from amrq.errors import AmrqError
from amrq.evaluation import clopper_pearson
from amrq.live import deferred_interrupt
from amrq.model import find_model, read_contract
from amrq.options import at_least, between, described, option, options_of
from amrq.text import printable
from amrq.training import FamilyRun, RunControl, TuneSettings, takes_samples

if TYPE_CHECKING:
    from amrq.training import Progress as FitProgress

__all__ = ["TrainingBars", "train", "tune"]


class TrainingBars:
    """Bars for training, teacher and evaluation; each appears when it has something to show."""

    def __init__(self) -> None:
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[figures]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self._training = self._bar.add_task("training", total=None, figures="", visible=False)
        self._teaching = self._bar.add_task("likelihoods", total=None, figures="", visible=False)
        self._evaluating = self._bar.add_task("evaluating", total=None, figures="", visible=False)

    def __enter__(self) -> "TrainingBars":
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._bar.stop()

    def trained(self, at: "FitProgress") -> None:
        """Show how a training stands."""
        figures = f"{at.phase}  loss {at.loss:.3f}  accuracy {at.accuracy:.3f}"
        self._bar.update(self._training, completed=at.step, total=at.steps, figures=figures, visible=True)

    def taught(self, done: int, of: int) -> None:
        """Show how many chunks the teacher has judged."""
        self._bar.update(self._teaching, completed=done, total=of, visible=True)

    def evaluated(self, done: int, of: int) -> None:
        """Show how far the evaluation is."""
        self._bar.update(self._evaluating, completed=done, total=of, visible=True)


_WORSE = 1
"""Exit status of a training whose result is worse on synthetic chunks than what it began with."""


def tune(folder: Path, model: str, output: Path | None, settings: TuneSettings, run: RunControl) -> None:
    """Train on, and show what it did: on the held-out labelled chunks, and on synthetic ones.

    Args:
        folder: of labelled chunks.
        model: file or name of the model to begin with.
        output: the file to write; by default the model's name, `-tuned` and .onnx, here.
        settings: how.
        run: how it runs; a checkpoint is kept in any case, beside the output unless it names another file.

    Raises:
        AmrqError: something given cannot be used.
        KeyboardInterrupt: interrupted; the state is kept.
        typer.Exit: the result is worse on synthetic chunks than the tolerance allows.
    """
    from amrq.training import tune_model

    target = output if output is not None else Path(f"{find_model(model).stem}-tuned.onnx")
    checkpoint = run.checkpoint or target.with_name(target.name + ".checkpoint")
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
            control = replace(
                run,
                checkpoint=checkpoint,
                stopped=interrupted.is_set,
                progress=bars.trained,
                taught=taught,
                evaluated=evaluated,
            )
            added = tune_model(model, folder, target, settings, control)
        except KeyboardInterrupt:
            if os.path.isfile(checkpoint):
                say(f"stopped; run the same command to continue from {checkpoint}.")
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


_TUNING = "Labelled recordings"
_TUNING_STEPS = 1_000


@dataclass(frozen=True)
class _From:
    add: Path | None = option(
        None,
        "Train the --from model further with the labelled chunks in DIR, which **amrq label** wrote.",
        flag="--add DIR",
    )
    model: str | None = option(
        None,
        "The model to start from, made by **amrq train**: a file, a name or 'default'.",
        flag="--from MODEL",
    )


@described
@dataclass(frozen=True)
class _Tuning(TuneSettings, _From):
    """Training a finished model on with labelled chunks."""

    tolerance: float = option(
        1.0,
        "Largest loss of accuracy on synthetic chunks. With a larger loss, the result counts as worse (exit status 1).",
        unit="percentage points",
        within=between(0, 100),
        flag="--tolerance POINTS",
    )


@described
@dataclass(frozen=True)
class _Run(RunControl):
    """A training run of the command."""

    steps: int | None = option(
        None,
        "Training steps in floating point, in place of the recipe's. With --add, all training steps: "
        f"{_TUNING_STEPS:,} unless given.",
        within=at_least(1),
    )
    threads: int = option(1, "Threads; on small shared machines 1 is fastest.", within=at_least(1))


_FAMILIES = "Family models"


@expanded
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
            help="The model file to write. Without it, the name of the recipe or model with .onnx, in this folder.",
        ),
    ] = None,
    *,
    resume: Annotated[
        bool,
        typer.Option("--resume/--fresh", help="Continue from the checkpoint, or start again."),
    ] = True,
    run: Annotated[
        _Run,
        Fields(
            without=("fresh", "stop_at"),
            helps={
                "checkpoint": "File with the state of the training, to continue from later. Without it, the output's "
                "name with .checkpoint."
            },
        ),
    ],
    tuning: Annotated[_Tuning, Fields(_TUNING, without=("steps",), completions={"model": model_names})],
    hold_out: Annotated[
        list[str] | None,
        typer.Option(
            "--hold-out",
            metavar="NAME",
            help="Test on this recording of DIR, instead of the last fifth of each. May be repeated.",
            rich_help_panel=_TUNING,
        ),
    ] = None,
    family: Annotated[FamilyRun, Fields(_FAMILIES)],
    leave_out: Annotated[
        list[str] | None,
        typer.Option(
            "--leave-out",
            metavar="FAMILY",
            help="Do not learn this family: a test of whether its signals are then called unknown. May be repeated.",
            rich_help_panel=_FAMILIES,
        ),
    ] = None,
) -> None:
    """Train a model from a recipe, and write it with its contract.

    The model is quantised, calibrated and evaluated. If the recipe has several precisions, each is written to its own
    file: -float32, -int8 or -int4 is added to the output's name. A page with accuracy tables is written beside each
    model. An interrupted training continues where it stopped: its state is kept beside the output, in a file that ends
    in .checkpoint.

    A recipe with `input = "samples"` makes a family model: examples of its families are made first, by --workers
    processes, and kept in the folder --examples. Delete it when you have the model.

    With --add and --from, a finished model is trained further, on the signals of its recipe and on labelled chunks. It
    is then compared with the model before, on both. A family model is given outputs for the families in a folder of
    **amrq label --family**, which takes less than a minute.

    Example: **amrq train recipes/coherent-small.toml -o models/coherent-small.onnx**

    Example: **amrq train recipes/family.toml -o family.onnx --workers 4**

    Example: **amrq train --add labelled --from default -o mine.onnx**

    A family of signals: **amrq train --add cuts --from family -o mine.onnx**
    """
    _check_way(recipe, tuning.add, tuning.model)
    if recipe is not None:
        _refuse_tuning(recipe, tuning, hold_out)
    elif tuning.model is not None and read_contract(find_model(tuning.model)).input == "samples":
        assert tuning.add is not None
        _refuse_tuning(f"--from {printable(tuning.model)}", replace(tuning, add=None, model=None), hold_out)
        _add_own_families(tuning.add, tuning.model, output, run.steps)
        return
    try:
        import torch
    except ImportError as error:
        raise AmrqError(
            f"training needs PyTorch, which cannot be imported ({error}): install it, in a clone of gr-amrq with "
            "'make train-setup', or with 'pip install .[train]' in an environment without GNU Radio."
        ) from None
    torch.set_num_threads(run.threads)
    steps, control = run.steps, replace(run, fresh=not resume)
    if recipe is None:
        assert tuning.add is not None and tuning.model is not None
        rate, held_out = tuning.learning_rate, tuple(hold_out or ())
        settings = TuneSettings(steps or _TUNING_STEPS, tuning.share, rate, held_out, tuning.tolerance / 100)
        tune(tuning.add, tuning.model, output, settings, control)
        return
    if takes_samples(recipe):
        _families_by_recipe(recipe, output, control, family, tuple(leave_out or ()))
        return
    _refuse_families(recipe, family, leave_out)
    _by_recipe(recipe, output, control, steps)


def _check_way(recipe: Path | None, add: Path | None, model: str | None) -> None:
    """Refuse what is neither a training by a recipe nor one of a model with labelled chunks."""
    if recipe is None and add is None and model is None:
        raise AmrqError(
            "give a recipe, or labelled chunks (--add) and a model to train further with them (--from)."
        )
    if recipe is not None and (add is not None or model is not None):
        raise AmrqError(
            f"a recipe ({recipe}) is for a new model: leave it out to train a finished one further (--add and --from)."
        )
    if recipe is None and add is None:
        raise AmrqError("--from needs a folder of labelled chunks (--add); 'amrq label' writes one.")
    if recipe is None and model is None:
        raise AmrqError(
            "--add needs a model to start from (--from): a file, a shipped model's name, or 'default'."
        )


def _refuse_tuning(recipe: Path | str, tuning: _Tuning, hold_out: list[str] | None) -> None:
    """Refuse options that a training by a recipe would not use."""
    unused = [one.flags[0] for one in options_of(_Tuning) if getattr(tuning, one.name) != one.default]
    unused += ["--hold-out"] if hold_out else []
    if unused and isinstance(recipe, str):
        raise AmrqError(f"{' and '.join(unused)} cannot be given with {recipe}, which is a family model.")
    if unused:
        raise AmrqError(
            f"{' and '.join(unused)} can be given only with --add and --from: a new model is trained as its recipe "
            f"({printable(recipe)}) says."
        )


def _add_own_families(folder: Path, model: str, output: Path | None, steps: int | None) -> None:
    """Add the families of a folder of cuts to a family model, and show what that brings and costs."""
    from amrq.training import OwnFamilySettings, add_families

    settings = OwnFamilySettings() if steps is None else OwnFamilySettings(steps=steps)
    target = output if output is not None else Path(f"{find_model(model).stem}-own.onnx")
    with progress_bar("own families") as progress, deferred_interrupt() as interrupted:

        def done(count: int, of: int) -> None:
            progress(count, of)
            if interrupted.is_set():
                raise KeyboardInterrupt

        added = add_families(model, folder, target, settings, done)
    console = Console()
    table = Table(title="Families added: share of held-out cuts called so, at 5 to 25 dB (95 % interval)")
    for column in ("family", "found", "cuts learnt", "held out"):
        table.add_column(column, justify="left" if column == "family" else "right")
    for name, (learnt, tested) in added.families.items():
        share, views = added.found[name], added.tested[name]
        found = "none held out" if share is None else _share(round(share * views), views)
        table.add_row(escape(name), found, str(learnt), str(tested))
    console.print(table)
    table = Table(title="Generated signals of the known families, 5 to 25 dB: share right, one chunk")
    for column in ("family", "before", "after", "claimed by an own one", "signals"):
        table.add_column(column, justify="left" if column == "family" else "right")
    for name in added.before:
        row = (added.before[name], added.after[name], added.claimed[name])
        table.add_row(escape(name), *(f"{share:.3f}" for share in row), str(added.tested[name]))
    console.print(table)
    console.print(escape(f"Written: {target} ({file_size(target)})"))


def _refuse_families(recipe: Path, family: FamilyRun, leave_out: list[str] | None) -> None:
    """Refuse options that a training of a model of symbols would not use."""
    unused = [one.flags[0] for one in options_of(FamilyRun) if getattr(family, one.name) != one.default]
    unused += ["--leave-out"] if leave_out else []
    if unused:
        raise AmrqError(
            f'{" and ".join(unused)} can be given only with the recipe of a family model (input = "samples"): '
            f"{printable(recipe)} is of a model of symbols."
        )


def _families_by_recipe(
    recipe: Path, output: Path | None, run: _Run, family: FamilyRun, leave_out: tuple[str, ...]
) -> None:
    from amrq.training import make_family_model, read_family_recipe

    settings = read_family_recipe(recipe)
    if leave_out:
        settings = replace(settings, leave_out=leave_out)
    # Weights that are given are trained already.
    steps = run.steps if run.steps is not None else 0 if family.start is not None else settings.fit.steps
    settings = replace(settings, fit=replace(settings.fit, steps=steps))
    target = output if output is not None else Path(f"{settings.name}.onnx")

    def make(control: RunControl) -> list[Path]:
        return make_family_model(settings, target, control, family)

    files = _made(make, target, run)
    _show(settings.name, files, "in-band SNR dB")


def _by_recipe(recipe: Path, output: Path | None, run: RunControl, steps: int | None) -> None:
    from amrq.training import make_model, read_recipe

    settings = read_recipe(recipe)
    if steps is not None:
        settings = replace(settings, fit=replace(settings.fit, steps=steps))
    target = output if output is not None else Path(f"{settings.name}.onnx")
    files = _made(functools.partial(make_model, settings, target), target, run)
    _show(settings.name, files, "Es/N0 dB")


def _made(make: Callable[[RunControl], list[Path]], target: Path, run: RunControl) -> list[Path]:
    """Make a model with bars; Ctrl-C keeps the state."""
    checkpoint = run.checkpoint or target.with_name(target.name + ".checkpoint")
    # A step that has begun is finished first: half of one would not be what the recipe makes.
    with TrainingBars() as bars, deferred_interrupt(patient=True) as interrupted:
        try:
            return make(
                replace(
                    run,
                    checkpoint=checkpoint,
                    stopped=interrupted.is_set,
                    progress=bars.trained,
                    taught=bars.taught,
                    evaluated=bars.evaluated,
                )
            )
        except KeyboardInterrupt:
            say(f"stopped; run the same command to continue from {checkpoint}.")
            raise


def _show(name: str, files: list[Path], axis: str) -> None:
    contracts = [read_contract(file) for file in files]
    table = Table(title=escape(f"{name}: share of right decisions on one chunk"))
    for heading in (axis, *(escape(contract.name) for contract in contracts), "chunks each"):
        table.add_column(heading, justify="right")
    for rows in zip(*(contract.accuracy for contract in contracts), strict=True):
        table.add_row(f"{rows[0].es_n0_db:g}", *(f"{row.accuracy:.4f}" for row in rows), str(rows[0].chunks))
    console = Console()
    console.print(table)
    for file in files:
        console.print(f"Written: {printable(file)} ({file_size(file)})", markup=False)
