# SPDX-License-Identifier: GPL-3.0-or-later
"""The results of a sweep, as its folder holds them."""

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from amrq.errors import AmrqError
from amrq.parsing import parsing
from amrq.plain_text import printable
from amrq.training.sweep.cell_figures import CellFigures
from amrq.training.sweep.measure_speed import SpeedFigures
from amrq.training.sweep.results_file import ResultsFile
from amrq.training.sweep.sweep_folder import read_about

__all__ = ["SweepResults", "read_sweep_results"]


@dataclass(frozen=True)
class SweepResults:
    """A finished sweep.

    Attributes:
        about: what `sweep.json` says.
        cells: figures by architecture, bits and pruned share.
        speeds: figures by name of the cell and batch; empty where nothing was timed.
    """

    about: dict[str, Any]
    cells: dict[tuple[str, int, float], CellFigures]
    speeds: dict[tuple[str, int], SpeedFigures]

    @property
    def title(self) -> str:
        """Of the setting."""
        return str(self.about["title"] or self.about["name"])

    @property
    def architectures(self) -> list[str]:
        """Names, in the order of the recipe."""
        return [a["name"] for a in self.about["settings"]["architectures"]]

    @property
    def bits(self) -> list[int]:
        """Bits of a weight, floating point first."""
        return sorted(self.about["settings"]["grid"]["weight_bits"], reverse=True)

    @property
    def pruned(self) -> list[float]:
        """Shares removed, rising."""
        return sorted(self.about["settings"]["grid"]["pruned"])

    @property
    def es_n0_db(self) -> float:
        """Ratio of a power of 1 to the noise trained on, dB."""
        return -10 * math.log10(self.about["settings"]["signal"]["noise_power"])


def read_sweep_results(folder: str | os.PathLike[str]) -> SweepResults:
    """Read `sweep.json`, `cells.csv` and, where it is there, `speed.csv`.

    Raises:
        AmrqError: it is no folder of a sweep, or holds no finished cell.
    """
    folder = Path(folder)
    about = read_about(folder)
    with parsing(folder / "cells.csv", "move it away"):
        figures = [CellFigures.from_row(row) for row in ResultsFile(folder / "cells.csv").rows()]
    if not figures:
        raise AmrqError(f"{printable(folder)} holds no finished cell: run 'amrq sweep' first.")
    known = {a["name"] for a in about["settings"]["architectures"]}
    strange = next((f.name for f in figures if f.architecture not in known), None)
    if strange is not None:
        raise AmrqError(
            f"{printable(folder)}/cells.csv has a row {printable(strange, 60)!r} that does not belong to the sweep: "
            "move it away."
        )
    with parsing(folder / "speed.csv", "move it away"):
        speeds = [
            SpeedFigures.from_row(row) for row in ResultsFile(folder / "speed.csv", ("name", "batch")).rows()
        ]
    return SweepResults(
        about,
        {(f.architecture, f.bits, f.pruned): f for f in figures},
        {(s.name, s.batch): s for s in speeds},
    )
