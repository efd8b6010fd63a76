# SPDX-License-Identifier: GPL-3.0-or-later
"""`amrq sweep-report`: finished sweeps as a page."""

import shlex
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from amrq.errors import AmrqError
from amrq.training.sweep_report.published_row import read_published
from amrq.training.sweep_report.sweep_results import read_sweep_results
from amrq.training.sweep_report.thesis_page import thesis_page
from amrq.training.sweep_report.thesis_pictures import draw_thesis_pictures
from amrq.whole_file import made_folder, write_whole

__all__ = ["sweep_report"]


def sweep_report(
    sweeps: Annotated[
        list[Path], typer.Argument(metavar="FOLDER...", help="Folders of finished sweeps of the same grid.")
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Folder for thesis.md and, in thesis/, its pictures.")
    ] = Path(),
    published: Annotated[
        Path | None,
        typer.Option(
            "--published",
            help="The thesis's tables in CSV, docs/thesis/published.csv, to set beside.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Make a page with tables and pictures from the results of sweeps. Needs no PyTorch.

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
    page = thesis_page(results, rows, pictures, shlex.join(words))
    write_whole(output / "thesis.md", page)
    Console().print(f"Written to {output}: thesis.md, {', '.join(pictures)}", markup=False)
