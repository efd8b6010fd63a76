# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands `amrq sweep` and `amrq sweep-report`."""

import fnmatch
import os
import shlex
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from amrq.cli.app import say
from amrq.errors import AmrqError
from amrq.files import made_folder, write_whole
from amrq.live import deferred_interrupt
from amrq.sweep import draw_thesis_pictures, read_published, read_sweep_results, thesis_page, thesis_tables
from amrq.text import printable

if TYPE_CHECKING:
    from amrq.sweep import Cell, SweepFolder

__all__ = ["sweep", "sweep_report"]


def sweep_report(
    sweeps: Annotated[
        list[Path], typer.Argument(metavar="FOLDER...", help="Folders of finished sweeps of the same grid.")
    ],
    output: Annotated[
        Path,
        typer.Option("-o", "--output", help="Folder for thesis.md, with its pictures and tables in thesis/."),
    ] = Path(),
    published: Annotated[
        Path | None,
        typer.Option(
            "--published",
            help="The thesis's own tables as CSV, to compare with: docs/thesis/published.csv.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Make a page with pictures, and tables as CSV, from the results of sweeps. Needs no PyTorch.

    Example: **amrq sweep-report docs/thesis/as-in-thesis docs/thesis/corrected --published docs/thesis/published.csv
    -o docs**
    """
    results = [read_sweep_results(folder) for folder in sweeps]
    grids = [(result.architectures, result.bits, result.pruned) for result in results]
    if any(grid != grids[0] for grid in grids):
        raise AmrqError(f"{sweeps[0]} and the others are sweeps of different grids: make a page for each.")
    rows = read_published(published) if published else {}
    beside = output / "thesis"
    made_folder(beside)
    pictures = [f"thesis/{path.name}" for path in draw_thesis_pictures(results, beside)]
    words = ["amrq", "sweep-report", *(str(folder) for folder in sweeps)]
    words += [*(("--published", str(published)) if published else ()), "-o", str(output)]
    tables = thesis_tables(results, rows)
    for name, text in tables.items():
        write_whole(beside / name, text)
    write_whole(output / "thesis.md", thesis_page(results, rows, pictures, shlex.join(words)))
    written = ["thesis.md", *pictures, *(f"thesis/{name}" for name in tables)]
    Console().print(f"Written to {output}: {', '.join(written)}", markup=False)


_BATCHES = (1, 1_024)
"""Chunks a call that models are timed at."""
_LINE_SECONDS = 60
"""Between two lines about cells at work, where no bars can be drawn."""


def _chosen(cells: "Sequence[Cell]", only: Sequence[str]) -> "list[Cell]":
    """Return the cells whose names match a pattern, and those that they start from."""
    if not only:
        return list(cells)
    wanted = {cell for cell in cells for pattern in only if fnmatch.fnmatchcase(cell.name, pattern)}
    for pattern in only:
        if not any(fnmatch.fnmatchcase(cell.name, pattern) for cell in cells):
            raise AmrqError(
                f"no cell is called {pattern!r}: names are like {cells[0].name} and {cells[-1].name}, * stands for "
                "anything, and --dry-run lists them."
            )
    while parents := {cell.parent for cell in wanted if cell.parent and cell.parent not in wanted}:
        wanted |= parents
    return [cell for cell in cells if cell in wanted]


def _show_plan(cells: "Sequence[Cell]", folder: "SweepFolder", console: Console) -> None:
    done = folder.finished()
    table = Table(title=escape(f"{folder.recipe.name}: {len(cells)} cells in {printable(folder.path)}"))
    for heading in ("cell", "starts from", "state"):
        table.add_column(heading)
    for cell in cells:
        state = "done" if folder.usable(cell, done) else "to do"
        table.add_row(cell.name, cell.parent.name if cell.parent else "nothing", state)
    console.print(table)


def sweep(
    recipe: Annotated[
        Path, typer.Argument(help="A sweep's recipe in TOML, recipes/thesis.toml for instance.")
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", help="Folder for results and models; by default sweeps/ and the recipe's name."
        ),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only",
            metavar="PATTERN",
            help="Only cells with these names, and the cells that they start from. May be repeated.",
        ),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="List the cells and which of them are finished. Nothing is trained."),
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume/--fresh", help="Keep the finished cells in the folder, or start again.")
    ] = True,
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers", min=1, help="Processes on this machine. Default: one per core.", show_default=False
        ),
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(
            "--scheduler",
            metavar="ADDRESS",
            help="Address of a Dask scheduler, tcp://host:8786, instead of this machine.",
        ),
    ] = None,
    speed: Annotated[
        bool,
        typer.Option(
            "--speed/--no-speed", help="Time the finished models side by side at the end, on this machine."
        ),
    ] = True,
) -> None:
    """Train, prune, quantise, export and measure every cell of a grid of models.

    Finished cells are kept: after an interruption, the same command continues. Results are written to cells.csv and
    speed.csv in the folder, models to ONNX files beside them. `amrq sweep-report` makes a page of the results.

    Example: **amrq sweep recipes/thesis.toml -o sweeps/thesis --only 'vgglike_2f_1c*'**
    """
    try:
        import distributed  # noqa: F401
        import torch  # noqa: F401
    except ImportError as error:
        raise AmrqError(
            f"a sweep needs PyTorch and Dask ({error}): install them, in a clone of gr-amrq with 'make train-setup', "
            "or with 'pip install .[train]' in an environment without GNU Radio."
        ) from None
    from amrq.sweep import SweepFolder, cells_of, connect, read_sweep_recipe

    settings = read_sweep_recipe(recipe)
    target = output if output is not None else Path("sweeps") / settings.name
    cells = _chosen(cells_of(settings), only or [])
    console = Console()
    if dry_run:
        _show_plan(cells, SweepFolder(target, settings, make=False), console)
        return
    if scheduler is not None:  # before --fresh forgets anything
        connect(scheduler, 0).close()
    folder = SweepFolder(target, settings, fresh=not resume)
    with folder.locked(), deferred_interrupt(patient=True) as interrupted:
        try:
            lost = _make(folder, cells, scheduler, workers or os.cpu_count() or 1, interrupted.is_set)
            if speed:
                _time(folder, cells, interrupted.is_set)
        except KeyboardInterrupt:
            say(f"stopped; run the same command to continue from {target}.")
            raise
    _show_results(folder, cells, console)
    if lost:
        raise AmrqError(f"{len(lost)} of {len(cells)} cells could not be made: {', '.join(lost)}.")


_COLUMNS = (
    TextColumn("{task.description}"),
    BarColumn(),
    MofNCompleteColumn(),
    TextColumn("{task.fields[figures]}"),
    TimeElapsedColumn(),
    TimeRemainingColumn(elapsed_when_finished=True),
)


def _make(
    folder: "SweepFolder",
    cells: "Sequence[Cell]",
    scheduler: str | None,
    workers: int,
    stopped: Callable[[], bool],
) -> list[str]:
    """Make what is not finished; return the names of the cells that could not be made."""
    from amrq.sweep import CellFigures, CellProgress, SweepWatcher, connect, run_sweep

    done = folder.finished()
    left = [cell for cell in cells if not folder.usable(cell, done)]
    if not left:
        return []
    console = Console(stderr=True)

    class Watcher(SweepWatcher):
        def __init__(self, bar: Progress) -> None:
            self.bar = bar
            self.all = bar.add_task("cells", total=len(cells), completed=len(cells) - len(left), figures="")
            self.tasks: dict[str, TaskID] = {}
            self.last_line = time.monotonic()

        def training(self, progress: CellProgress) -> None:
            if progress.name not in self.tasks:
                self.tasks[progress.name] = self.bar.add_task(progress.name, total=None, figures="")
            figures = f"loss {progress.loss:.4f}"
            self.bar.update(self.tasks[progress.name], completed=progress.epoch, figures=figures)
            # Where no bars can be drawn, in a log for instance, a line tells the same from time to time.
            if not console.is_terminal and time.monotonic() - self.last_line > _LINE_SECONDS:
                self.last_line = time.monotonic()
                console.print(
                    f"{progress.name}: epoch {progress.epoch}, {figures}", highlight=False, soft_wrap=True
                )

        def _end(self, cell: "Cell") -> None:
            self.bar.advance(self.all)
            task = self.tasks.pop(cell.name, None)
            if task is not None:
                self.bar.remove_task(task)

        def finished(self, cell: "Cell", figures: CellFigures) -> None:
            self._end(cell)
            gate = "passed" if not figures.gate_wrong else f"{figures.gate_wrong} wrong"
            self.bar.console.print(
                f"{cell.name}: gate {gate} at try {figures.gate_tries} after {figures.epochs} epochs; "
                f"{figures.right} of {figures.chunks} right, {figures.seconds:.0f} s",
                highlight=False,
                soft_wrap=True,
            )

        def failed(self, cell: "Cell", reason: str) -> None:
            self._end(cell)
            self.bar.console.print(f"{cell.name}: {printable(reason)}", style="red", markup=False)

    with connect(scheduler, workers) as client, Progress(*_COLUMNS, console=console) as bar:
        return run_sweep(folder, cells, client, Watcher(bar), stopped)


def _time(folder: "SweepFolder", cells: "Sequence[Cell]", stopped: Callable[[], bool]) -> None:
    """Time the models of each architecture side by side where that has not been done for all of them."""
    from amrq.sweep import measure_speed

    done = folder.finished()
    ready = [cell for cell in cells if folder.usable(cell, done)]
    timed = {row["name"] for row in folder.speed.rows()}
    groups = {
        cell.architecture: [other for other in ready if other.architecture == cell.architecture]
        for cell in ready
    }
    left = {name: group for name, group in groups.items() if any(cell.name not in timed for cell in group)}
    with Progress(*_COLUMNS, console=Console(stderr=True)) as bar:
        task = bar.add_task("timing", total=len(left) * len(_BATCHES), figures="")
        for name, group in left.items():
            bar.update(task, figures=name)
            found = []
            for batch in _BATCHES:
                models = {cell: folder.model(cell) for cell in group}
                found += measure_speed(models, batch, folder.recipe.chunk_length, stopped=stopped)
                bar.advance(task)
            folder.speed.add(*(figures.as_row() for figures in found))


def _show_results(folder: "SweepFolder", cells: "Sequence[Cell]", console: Console) -> None:
    done = folder.finished()
    rows = [done[cell.name] for cell in cells if cell.name in done]
    table = Table(title=escape(f"{folder.recipe.name}: {len(rows)} of {len(cells)} cells"))
    for heading in ("cell", "gate", "right", "of", "weights", "kB"):
        table.add_column(heading, justify="left" if heading == "cell" else "right", no_wrap=heading == "cell")
    for figures in rows:
        gate = "passed" if not figures.gate_wrong else f"{figures.gate_wrong} wrong"
        table.add_row(
            *(figures.name, gate, str(figures.right), str(figures.chunks)),
            *(str(figures.weights), f"{figures.bytes / 1000:.0f}"),
        )
    console.print(table)
    console.print(f"Written: {printable(folder.results.path)}", markup=False)
