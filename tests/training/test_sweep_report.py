# SPDX-License-Identifier: GPL-3.0-or-later
"""The page made of finished sweeps."""

import csv
import json
import re
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
from run_amrq import python
from thesis import RECIPE, ROOT, published
from typer.testing import CliRunner

from amrq.classifier import make_classifier
from amrq.cli.main import app
from amrq.errors import AmrqError
from amrq.hardware import estimate, read_layer_sizes
from amrq.model import read_contract
from amrq.sweep import (
    CellFigures,
    LevelFigures,
    ResultsFile,
    SpeedFigures,
    SweepChunks,
    SweepFolder,
    SweepRecipe,
    cells_of,
    read_published,
    read_sweep_recipe,
    read_sweep_results,
    thesis_page,
    thesis_tables,
)

PUBLISHED = ROOT / "docs" / "thesis" / "published.csv"


def made_up(path: Path, recipe: SweepRecipe, timed: bool = True) -> Path:
    """Write a sweep's folder with figures that can be found again on the page."""
    folder = SweepFolder(path, recipe)
    cells = cells_of(recipe)
    figures = []
    for number, cell in enumerate(cells):
        levels = tuple(
            LevelFigures(x, 1000 + number, 1500, 550, 50 + number) for x in recipe.evaluation.es_n0_db
        )
        figures.append(
            CellFigures(
                *(cell.name, cell.architecture, cell.bits, cell.pruned, 7, 1 + number % 3, int(number == 5)),
                *(2304, 0.01, 16384 - number, 16384, 16384, 16380, 1000 + number, 9, 10**6, 5000),
                *(
                    0 if cell.bits == 32 else 3,
                    3 if cell.bits == 32 else 0,
                    10,
                    20,
                    30,
                    1,
                    60.0,
                    2304,
                    levels,
                ),
            )
        )
    folder.results.add(*(f.as_row() for f in figures))
    if timed:
        speeds = [
            SpeedFigures(
                c.name, b, 2.0, b * 500, 1.5, 1.4, 1.6, 1.25, 1.2, 1.3, 9, "a chip", "1.0", "2026-01-01"
            )
            for c, b in product(cells, (1, 1024))
        ]
        folder.speed.add(*(s.as_row() for s in speeds))
    return path


def report(*words: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["sweep-report", *(str(word) for word in words)])
    if isinstance(result.exception, AmrqError):
        return 2, str(result.exception)
    assert result.exception is None, result.exception
    return result.exit_code, result.output


def table(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / "docs" / "thesis" / f"{name}.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def report_alone(*words: object) -> str:
    """Make a page where PyTorch, Dask and ONNX cannot be imported at all."""
    code = (
        "import sys; sys.modules.update(dict.fromkeys(('torch', 'distributed', 'dask', 'onnx', 'onnxruntime'))); "
        "from amrq.cli import main; main()"
    )
    found = python("-c", code, "sweep-report", *words)
    assert found.returncode == 0, found.stderr
    return found.stdout


def test_the_page_holds_every_cell_beside_the_thesis_and_needs_no_torch(tmp_path: Path) -> None:
    corrected = read_sweep_recipe(ROOT / "recipes" / "thesis-corrected.toml")
    folders = [made_up(tmp_path / "a", RECIPE), made_up(tmp_path / "b", corrected, timed=False)]
    assert "thesis.md" in report_alone(*folders, "--published", PUBLISHED, "-o", tmp_path / "docs")
    page = (tmp_path / "docs" / "thesis.md").read_text(encoding="utf-8")
    assert "| gate passed: no mistake on 2,304 fresh chunks | 83 of 84 | 83 of 84 |" in page
    assert "| 99.9 % or more of 16,384 other chunks right | 17 of 84 | 17 of 84 |" in page
    assert "1.50 to 1.50 times as fast as" in page.replace("\u00a0", " ") and "a chip" in page
    assert len(page) < 20_000 and page.count("\n|") < 60  # the long tables stand beside it

    cost = {row["architecture"] + row["weight_bits"] + row["pruned"]: row for row in table(tmp_path, "cost")}
    assert len(cost) == 84
    rows = {row["model"]: row for row in published()}
    for row in rows.values():
        # DSP, FF, LUT and throughput of each row of the thesis, as the slides have them.
        (found,) = (
            one
            for one in cost.values()
            if one["thesis_dsp"] == row["dsp"]
            and one["thesis_ff"] == row["ff"]
            and one["thesis_lut"] == row["lut"]
            and one["thesis_bram"] == row["bram"]
            and float(one["thesis_chunks_per_s"]) == round(float(row["throughput_samples_per_s"]))
        )
        assert found["weight_bits"] == row["bits"]
    accuracy, levels, speed = (table(tmp_path, name) for name in ("accuracy", "levels", "speed"))
    assert len(accuracy) == 2 * 84 and {row["setting"] for row in accuracy} == {
        "As in the thesis",
        "Corrected",
    }
    assert [row["right"] for row in accuracy if row["right"] == str(16384 - 83)] == [str(16384 - 83)] * 2
    assert len(levels) == 2 * 84 * len(RECIPE.evaluation.es_n0_db) and levels[0]["bound_right"] == "1500"
    assert len(speed) == 2 * 84 and {
        (row["over_float32_least"], row["over_float32_most"]) for row in speed
    } == {("1.4", "1.6")}
    assert {path.suffix for path in (tmp_path / "docs" / "thesis").iterdir()} == {".csv", ".png"}
    for picture in ("mistakes", "es_n0", "utilisation", "latency", "inference_time"):
        assert (tmp_path / "docs" / "thesis" / f"{picture}.png").read_bytes()[:4] == b"\x89PNG"
        assert f"(thesis/{picture}.png)" in page
    assert str(tmp_path) not in page.replace(str(tmp_path / "a"), "").replace(
        str(tmp_path / "b"), ""
    ).replace(str(tmp_path / "docs"), "")


def test_a_page_of_an_unfinished_sweep_says_what_is_missing(tmp_path: Path) -> None:
    folder = made_up(tmp_path / "a", RECIPE, timed=False)
    file = ResultsFile(folder / "cells.csv")
    rows = file.rows()[:10]
    file.path.unlink()
    file.add(*rows)
    assert report(folder, "-o", tmp_path)[0] == 0
    page = (tmp_path / "thesis.md").read_text(encoding="utf-8")
    assert "| cells made | 10 of 84 |" in page and "not timed" in page and "Not timed." in page
    assert not (tmp_path / "thesis" / "latency.png").exists()


def test_what_is_no_sweep_is_refused_in_one_sentence(tmp_path: Path) -> None:
    a = made_up(tmp_path / "a", RECIPE)
    other = made_up(tmp_path / "b", replace(RECIPE, architectures=RECIPE.architectures[1:]))
    empty = SweepFolder(tmp_path / "c", RECIPE).path
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "sweep.json").write_text(json.dumps([1]))
    for words, expected in (
        ((a, other), "different grids"),
        ((empty,), "holds no finished cell"),
        ((tmp_path / "d",), "is not what a sweep writes"),
        ((tmp_path / "nothing",), "has no sweep.json"),
        ((a, "--published", tmp_path / "none.csv"), "there is no file"),
        ((a, "--published", a / "cells.csv"), "should hold the thesis's tables"),
    ):
        status, said = report(*words, "-o", tmp_path / "out")
        assert status == 2 and expected in said, said


def test_published_weights_follow_from_the_resources() -> None:
    rows = read_published(PUBLISHED)
    assert rows["vgglike_2f_1c_1re_1mp"].weights == 266_944
    assert rows["vgglike_5f_5c_4re_4mp_8bit"].weights == 2_260_288
    assert len(rows) == 81


def test_the_committed_page_is_made_of_the_committed_results(tmp_path: Path) -> None:
    docs = ROOT / "docs"
    sweeps = [read_sweep_results(docs / "thesis" / name) for name in ("as-in-thesis", "corrected")]
    rows = read_published(PUBLISHED)
    for name, text in thesis_tables(sweeps, rows).items():
        assert (docs / "thesis" / name).read_text(encoding="utf-8") == text
    committed = (docs / "thesis.md").read_text(encoding="utf-8")
    pictures = re.findall(r"\]\((thesis/\w+\.png)\)", committed)
    (command,) = re.findall(r"^- This page: `(.*)`\.$", committed, re.MULTILINE)
    assert thesis_page(sweeps, rows, pictures, command) == committed


COMMITTED = sorted(path.parent for path in (ROOT / "docs" / "thesis").glob("*/sweep.json"))


@pytest.mark.parametrize("folder", COMMITTED, ids=lambda folder: folder.name)
def test_committed_results_are_those_of_the_recipes(folder: Path) -> None:
    """Every row of the committed results: of the shipped recipe, and what the project promises of it."""
    sweep = read_sweep_results(folder)
    recipe = read_sweep_recipe(ROOT / "recipes" / f"{sweep.about.name}.toml")
    assert sweep.about.identity == recipe.identity
    assert len(sweep.speeds) in (0, 2 * len(sweep.cells))
    assert (folder / "cells.csv").stat().st_size < 1_000_000
    for cell in sweep.cells.values():
        assert cell.agree >= 0.999 * cell.chunks
        assert cell.bits == 32 or cell.float_layers == 0
        whole = sweep.cells[cell.architecture, cell.bits, 0.0]
        left = (1 - cell.pruned) ** 2
        # Between two pruned layers the share that is left counts twice; the first and the last are pruned once.
        assert cell.pruned == 0 or cell.weights < (left + 0.06) * whole.weights
        assert cell.pruned == 0 or cell.bytes < (left + 0.08) * whole.bytes


@pytest.mark.parametrize("setting", ["as-in-thesis", "corrected"])
def test_both_settings_are_committed_whole_and_fast(setting: str) -> None:
    sweep = read_sweep_results(ROOT / "docs" / "thesis" / setting)
    assert len(sweep.cells) == 84 and len(sweep.speeds) == 168
    for speed in sweep.speeds.values():
        assert speed.over_float >= 1 and speed.over_whole >= 1


@pytest.mark.parametrize(
    "path", sorted((ROOT / "docs" / "thesis" / "models").glob("*.onnx")), ids=lambda p: p.stem
)
def test_an_example_of_each_precision_does_what_its_row_says(path: Path) -> None:
    sweep = read_sweep_results(ROOT / "docs" / "thesis" / "as-in-thesis")
    (cell,) = [cell for cell in sweep.cells.values() if cell.name == path.stem]
    assert path.stat().st_size == cell.bytes
    contract = read_contract(path)
    assert contract.weight_bits == cell.bits and contract.recipe["sweep"] == RECIPE.identity
    data = SweepChunks(RECIPE).evaluation()
    decided = make_classifier(path).classify(data.chunks).log_probabilities.argmax(axis=1)
    # Other processors add in another order: a decision in a thousand may differ.
    assert abs(int((decided == data.labels).sum()) - cell.right) <= 0.001 * cell.chunks
    sizes = read_layer_sizes(path)
    assert (sum(s.weights for s in sizes), estimate(sizes).dsp) == (cell.weights, cell.dsp)
