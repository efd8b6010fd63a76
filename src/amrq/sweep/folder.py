# SPDX-License-Identifier: GPL-3.0-or-later
"""The folder of a sweep: finished models and their measurements."""

import contextlib
import csv
import datetime
import fcntl
import io
import json
import math
import os
import platform
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np

from amrq._version import __version__
from amrq.errors import AmrqError
from amrq.files import parsing, whole_file, write_whole
from amrq.machine import memory_limit
from amrq.plain_values import from_plain
from amrq.sweep.cell import Cell, CellFigures, SpeedFigures, SweepBound
from amrq.sweep.recipe import SweepRecipe
from amrq.text import name_fault, printable

__all__ = ["ResultsFile", "SweepDescription", "SweepFolder", "SweepResults", "read_sweep_results"]


class ResultsFile:
    """Rows of text in a CSV file.

    A row is added by writing the whole table beside the file and putting it in the file's place, so that whatever
    interrupts it, the file holds all rows before or all rows after.

    Args:
        path: the file; it need not be there.
        key: columns by which rows differ; a row added again takes the place of the former one.
    """

    def __init__(self, path: Path, key: tuple[str, ...] = ("name",)) -> None:
        self.path = path
        self.key = key

    def rows(self) -> list[dict[str, str]]:
        """Return all rows, none where there is no file.

        Raises:
            AmrqError: the file is no such table.
        """
        if not os.path.isfile(self.path):
            return []
        with parsing(self.path, "move it away"), self.path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file, strict=True))
        if any(None in row or None in row.values() or not all(k in row for k in self.key) for row in rows):
            raise AmrqError(f"{self.path} is not a table of results of a sweep: move it away.")
        return rows

    def add(self, *new: Mapping[str, str]) -> None:
        """Add rows of the same columns.

        Raises:
            AmrqError: the file cannot be written.
        """
        replaced = {tuple(row[k] for k in self.key) for row in new}
        rows = [row for row in self.rows() if tuple(row[k] for k in self.key) not in replaced]
        table = io.StringIO(newline="")
        writer = csv.DictWriter(table, list(new[0]), lineterminator="\n")
        writer.writeheader()
        try:
            writer.writerows([*rows, *new])
        except ValueError as error:
            raise AmrqError(
                f"{self.path} has other columns than the new results ({error}): move it away."
            ) from None
        write_whole(self.path, table.getvalue())


_LARGEST = 1 << 22
"""Bytes of sweep.json: that of the thesis's 84 models has 3,000."""


class SweepFolder:
    """The folder of one sweep: `sweep.json`, `cells.csv`, `speed.csv`, `bound.npz`, `models/` and `weights/`.

    A cell counts as finished once its row stands in `cells.csv`; its model and weights are written before.

    Args:
        path: the folder; made if need be.
        recipe: of the sweep.
        fresh: forget what the folder holds, of whichever recipe.
        make: make the folder and say in it whose it is; otherwise only look at what is there.

    Raises:
        AmrqError: the folder cannot be made, holds a sweep of another recipe, or is to be forgotten while a sweep is at
            work in it.
    """

    def __init__(self, path: Path, recipe: SweepRecipe, fresh: bool = False, make: bool = True) -> None:
        self.path = path
        self.recipe = recipe
        self.results = ResultsFile(path / "cells.csv")
        self.speed = ResultsFile(path / "speed.csv", ("name", "batch"))
        try:
            for part in (path, path / "models", path / "weights") if make else ():
                part.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise AmrqError(f"the folder {path} cannot be used: {error.strerror}.") from None
        if fresh:
            with self.locked():
                self._clear()
        if os.path.isfile(path / "sweep.json"):
            found = SweepDescription.read(path).identity
            if found != recipe.identity:
                raise AmrqError(
                    f"{path} holds a sweep of another recipe ({found}, not {recipe.identity}): choose another folder, "
                    "or start again with --fresh."
                )
        elif make:
            SweepDescription.of(recipe).write(path)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other sweeps out of the folder.

        Raises:
            AmrqError: another one is at work in it.
        """
        lock = self.path / ".lock"
        try:
            descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        except OSError as error:  # a symbolic link too, which is not followed
            raise AmrqError(f"{lock} cannot be opened: {error.strerror}.") from None
        with os.fdopen(descriptor, "wb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise AmrqError(
                    f"another sweep is at work in {self.path}: wait for it, or use another folder."
                ) from None
            yield

    def _clear(self) -> None:
        for pattern in ("sweep.json", "cells.csv", "speed.csv", "bound.npz", "models/*.onnx", "weights/*.pt"):
            for file in self.path.glob(pattern):
                file.unlink()

    def finished(self) -> dict[str, CellFigures]:
        """Return the figures of all finished cells by name."""
        figures = (CellFigures.from_row(row) for row in self.results.rows())
        return {found.name: found for found in figures}

    def model(self, cell: Cell) -> Path:
        """Return the path of a cell's ONNX file."""
        return self.path / "models" / f"{cell.name}.onnx"

    def weights(self, cell: Cell) -> Path:
        """Return the path of what a cell's children start from."""
        return self.path / "weights" / f"{cell.name}.pt"

    def usable(self, cell: Cell, finished: dict[str, CellFigures]) -> bool:
        """Return whether a cell need not be made: its row is there, and its weights and its model are."""
        files = [self.model(cell), *([self.weights(cell)] if cell.bits == 32 else [])]
        return cell.name in finished and all(os.path.isfile(file) for file in files)

    def keep(self, figures: CellFigures, cell: Cell, weights: bytes, model: bytes) -> None:
        """Write a finished cell."""
        write_whole(self.model(cell), model)
        if weights:
            write_whole(self.weights(cell), weights)
        self.results.add(figures.as_row())

    def bound(self) -> SweepBound | None:
        """Return the bound, None where it has not been measured."""
        path = self.path / "bound.npz"
        recipe = self.recipe.evaluation
        shapes = ((recipe.chunks,), (len(recipe.es_n0_db), recipe.level_chunks))
        try:
            # A few bytes may claim to become many.
            with (
                parsing(path),
                memory_limit((1 << 28) + 8 * sum(map(math.prod, shapes))),
                np.load(path, allow_pickle=False) as file,
            ):
                found = SweepBound(file["trained"], file["levels"])
                same = all(
                    a.dtype == np.bool_ and a.shape == shape for a, shape in zip(found, shapes, strict=True)
                )
        except AmrqError:
            return None
        return found if same else None

    def keep_bound(self, bound: SweepBound) -> None:
        """Write the bound."""
        with whole_file(self.path / "bound.npz") as file:
            np.savez_compressed(file, trained=bound.trained, levels=bound.levels)


@dataclass(frozen=True)
class SweepDescription:
    """What `sweep.json` says of a sweep.

    Attributes:
        name: of the sweep.
        title: of the setting, for pages; may be empty.
        identity: of the recipe, see `SweepRecipe.identity`.
        date: when it was begun.
        versions: of the packages that it was begun with, by name.
        settings: the recipe.

    Raises:
        AmrqError: a text cannot be shown.
    """

    name: str
    title: str
    identity: str
    date: str
    versions: dict[str, str]
    settings: SweepRecipe

    def __post_init__(self) -> None:
        """Refuse what cannot be shown."""
        texts = {"name": self.name, "identity": self.identity, "date": self.date}
        texts |= {"title": self.title} if self.title else {}
        texts |= {f"versions.{name}": f"{name} {number}" for name, number in self.versions.items()}
        for entry, text in texts.items():
            fault = name_fault(text, 200)
            if fault:
                raise AmrqError(f"{printable(entry, 60)} {fault}.")

    @classmethod
    def of(cls, recipe: SweepRecipe) -> "SweepDescription":
        """Return that of a sweep which is begun here and now."""
        packages = ("torch", "onnx", "onnxruntime", "numpy", "distributed")
        versions = {name: version(name) for name in packages}
        versions = {"gr-amrq": __version__, "python": platform.python_version(), **versions}
        today = datetime.date.today().isoformat()
        return cls(recipe.name, recipe.title, recipe.identity, today, versions, recipe)

    @classmethod
    def read(cls, folder: Path) -> "SweepDescription":
        """Read the description in a sweep's folder.

        Raises:
            AmrqError: it is no such folder.
        """
        file = folder / "sweep.json"
        if not os.path.isfile(file):
            raise AmrqError(f"{printable(folder)} is not a sweep's folder: it has no sweep.json.")
        with parsing(file, "a sweep writes it into its folder"):
            if file.stat().st_size > _LARGEST:
                raise AmrqError(f"{printable(file)} has more than {_LARGEST:,} bytes.")
            found = json.loads(file.read_text(encoding="utf-8"))
        try:
            if not isinstance(found, dict):
                raise AmrqError("it is not a table.")
            return from_plain(found, cls, "entry of the description of a sweep")
        except AmrqError as error:
            raise AmrqError(f"{printable(file)} is not what a sweep writes: {error}") from None

    def write(self, folder: Path) -> None:
        """Write it into a sweep's folder."""
        write_whole(folder / "sweep.json", (json.dumps(asdict(self), indent=1) + "\n").encode())


@dataclass(frozen=True)
class SweepResults:
    """A finished sweep.

    Attributes:
        about: what `sweep.json` says of it.
        cells: figures by architecture, bits and pruned share.
        speeds: figures by name of the cell and batch; empty where nothing was timed.
    """

    about: SweepDescription
    cells: dict[tuple[str, int, float], CellFigures]
    speeds: dict[tuple[str, int], SpeedFigures]

    @property
    def title(self) -> str:
        """Of the setting."""
        return self.about.title or self.about.name

    @property
    def architectures(self) -> list[str]:
        """Names, in the order of the recipe."""
        return [a.name for a in self.about.settings.architectures]

    @property
    def bits(self) -> list[int]:
        """Bits of a weight, floating point first."""
        return sorted(self.about.settings.grid.weight_bits, reverse=True)

    @property
    def pruned(self) -> list[float]:
        """Shares removed, rising."""
        return sorted(self.about.settings.grid.pruned)

    @property
    def es_n0_db(self) -> float:
        """Ratio of a power of 1 to the noise trained on, dB."""
        return -10 * math.log10(self.about.settings.signal.noise_power)


def read_sweep_results(folder: str | os.PathLike[str]) -> SweepResults:
    """Read `sweep.json`, `cells.csv` and, where it is there, `speed.csv`.

    Raises:
        AmrqError: it is no folder of a sweep, or holds no finished cell.
    """
    folder = Path(folder)
    about = SweepDescription.read(folder)
    with parsing(folder / "cells.csv", "move it away"):
        figures = [CellFigures.from_row(row) for row in ResultsFile(folder / "cells.csv").rows()]
    if not figures:
        raise AmrqError(f"{printable(folder)} holds no finished cell: run 'amrq sweep' first.")
    known = {a.name for a in about.settings.architectures}
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
