# SPDX-License-Identifier: GPL-3.0-or-later
"""Sweeps: made whole, interrupted in every way, and asked for what cannot be."""

import json
import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import psutil
import pytest
import sweeps
import torch
from hypothesis import given
from hypothesis import strategies as st
from patience import PATIENCE
from run_amrq import start
from seeds import rng, seed
from thesis import RECIPE as THESIS
from typer.testing import CliRunner

from amrq.classes import THESIS_9
from amrq.classifier import make_classifier
from amrq.cli.main import app
from amrq.errors import AmrqError
from amrq.model import read_contract
from amrq.sweep import (
    Cell,
    CellFigures,
    FitResult,
    LevelFigures,
    ResultsFile,
    RoundSettings,
    SpeedFigures,
    SweepChunks,
    SweepFolder,
    SweepRecipe,
    cells_of,
    connect,
    decide,
    fit_to_gate,
    make_cell,
    measure_speed,
    measure_sweep_bound,
    read_sweep_recipe,
    run_sweep,
)
from amrq.training.architectures import VggLikeNet

SMOKE = read_sweep_recipe(sweeps.RECIPE)
SWEEP = Path(sweeps.__file__)


def run(folder: Path, how: str, count: int) -> int:
    """Run a sweep of the smoke recipe that ends as `sweeps` says; return its exit status."""
    command = [sys.executable, SWEEP, folder, how, count]
    said = folder.with_name(f"{folder.name}.log")
    with said.open("w") as log:
        process = start(command, start_new_session=True, stdout=None, stderr=log)
    try:
        process.wait(timeout=PATIENCE)
    finally:
        # Whatever became of it, its workers end too.
        group = [p for p in psutil.process_iter() if os.getpgid(p.pid) == process.pid]
        _, alive = psutil.wait_procs(group, timeout=PATIENCE)
        for left in alive:
            left.kill()
    assert not alive, alive
    if how == "interrupt":
        assert said.read_text() == ""  # Ctrl-C is an ordinary end, for the workers too
    return process.returncode


def rows(folder: Path) -> dict[str, dict[str, str]]:
    """Return all rows of a sweep without how long they took."""
    found = ResultsFile(folder / "cells.csv").rows()
    return {row["name"]: {k: v for k, v in row.items() if k != "seconds"} for row in found}


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """The address of a cluster's scheduler; starting one takes longer than the sweep."""
    with connect(None, 2) as client:
        yield client.scheduler_info()["address"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, cluster: str) -> Path:
    """A sweep that nothing disturbed."""
    folder = SweepFolder(tmp_path_factory.mktemp("sweep") / "whole", SMOKE)
    with connect(cluster, 0) as client, folder.locked():
        assert not run_sweep(folder, cells_of(SMOKE), client)
    return folder.path


def test_a_sweep_makes_every_cell(whole: Path) -> None:
    made = rows(whole)
    assert list(made) != [] and set(made) == {cell.name for cell in cells_of(SMOKE)} and len(made) == 8
    for row in made.values():
        figures = CellFigures.from_row(row | {"seconds": "1"})
        layers = (0, figures.integer_layers + figures.float_layers)
        assert (figures.integer_layers, figures.float_layers) == (
            layers if figures.bits == 32 else layers[::-1]
        )
        assert figures.agree >= 0.999 * figures.chunks
        assert figures.bytes == (whole / "models" / f"{figures.name}.onnx").stat().st_size
        for level in figures.levels:
            # Both counts of who was right must tell the same story.
            assert level.right - level.model_only == level.bound_right - level.bound_only >= 0
            assert level.right <= figures.level_chunks


def test_a_model_of_a_sweep_classifies_as_its_contract_says(whole: Path) -> None:
    path = whole / "models" / "tiny_2f_1c_4bit_pr_30.onnx"
    contract = read_contract(path)
    assert (contract.weight_bits, contract.pruned, contract.normalisation) == (4, 0.3, "none")
    assert contract.classes == tuple(THESIS_9) and not contract.hypotheses
    data = SweepChunks(SMOKE).evaluation()
    decided = make_classifier(path).classify(data.chunks).log_probabilities.argmax(axis=1)
    row = CellFigures.from_row(rows(whole)[path.stem] | {"seconds": "1"})
    assert int((decided == data.labels).sum()) == row.right


@pytest.mark.long
@pytest.mark.parametrize("how", ["driver", "worker", "interrupt"])
def test_whatever_interrupts_it_the_results_are_the_same(
    whole: Path, how: str, tmp_path: Path, cluster: str
) -> None:
    count = int(rng("interrupt", how).integers(1, 6))
    status = run(tmp_path / "sweep", how, count)
    if how == "worker":
        assert status == 0
    else:
        assert status == (-signal.SIGKILL if how == "driver" else sweeps.STOPPED)
        before = rows(tmp_path / "sweep")
        assert count <= len(before) < 8
        stamps = {
            p: p.stat().st_mtime_ns
            for p in (tmp_path / "sweep" / "models").glob("*.onnx")
            if p.stem in before
        }
        with connect(cluster, 2) as client:
            assert not run_sweep(SweepFolder(tmp_path / "sweep", SMOKE), cells_of(SMOKE), client)
        # What was finished has not been made again.
        assert all(path.stat().st_mtime_ns == stamp for path, stamp in stamps.items())
    assert rows(tmp_path / "sweep") == rows(whole)


def test_a_cluster_that_runs_already_makes_the_same(whole: Path, tmp_path: Path, cluster: str) -> None:
    words = ("sweep", sweeps.RECIPE, "-o", tmp_path, "--scheduler", cluster)
    status, said = command(*words, "--no-speed", "--only", "tiny_2f_1c*")
    assert status == 0, said
    made = rows(tmp_path)
    assert len(made) == 4 and all(rows(whole)[name] == row for name, row in made.items())


def test_a_cell_that_cannot_be_made_takes_only_its_children_with_it(
    whole: Path, tmp_path: Path, cluster: str
) -> None:
    # A rate at which the training breaks down, in one of two networks.
    broken = replace(SMOKE.architectures[0], learning_rate=1.0)
    recipe = replace(SMOKE, architectures=(broken, SMOKE.architectures[1]))
    folder = SweepFolder(tmp_path, recipe)
    folder.weights(Cell("tiny_2f_1c", 32, 0.0)).write_bytes(b"no network")
    # The parent counts as finished and its weights are rubbish.
    folder.keep_bound(measure_sweep_bound(recipe))
    figures = CellFigures.from_row(ResultsFile(whole / "cells.csv").rows()[0])
    folder.keep(replace(figures, name="tiny_2f_1c"), Cell("tiny_2f_1c", 32, 0.0), b"no network", b"no model")
    with connect(cluster, 2) as client:
        lost = run_sweep(folder, cells_of(recipe), client)
    assert sorted(lost) == ["tiny_2f_1c_4bit", "tiny_2f_1c_4bit_pr_30", "tiny_2f_1c_pr_30"]
    assert {name for name in rows(tmp_path) if name.startswith("tiny_3f")} == {
        cell.name for cell in cells_of(recipe) if cell.architecture == "tiny_3f_2c"
    }


def command(*words: object) -> tuple[int, str]:
    """Run the command; return its exit status and what it said."""
    result = CliRunner().invoke(app, [str(word) for word in words], env={"COLUMNS": "200"})
    if isinstance(result.exception, AmrqError):
        return 2, str(result.exception)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


def test_the_command_lists_what_it_would_make(whole: Path, tmp_path: Path) -> None:
    new = tmp_path / "new"
    status, said = command("sweep", sweeps.RECIPE, "-o", new, "--dry-run", "--only", "tiny_2f*4bit_pr_30")
    assert status == 0 and said.count("to do") == 3 and "tiny_3f_2c" not in said
    assert not new.exists()
    status, said = command("sweep", sweeps.RECIPE, "-o", whole, "--dry-run")
    assert status == 0 and "to do" not in said and said.count("done") == 8


def test_the_command_times_and_shows_a_finished_sweep(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Short measurements: there is no figure of them here.
    monkeypatch.setattr("amrq.sweep.measure_speed", partial(measure_speed, rounds=3, seconds=1e-4))
    status, said = command("sweep", sweeps.RECIPE, "-o", whole, "--only", "tiny_2f_1c*")
    assert status == 0 and "tiny_2f_1c_4bit_pr_30" in said
    found = [SpeedFigures.from_row(row) for row in ResultsFile(whole / "speed.csv").rows()]
    assert {(f.name, f.batch) for f in found} == {
        (cell.name, batch) for cell in cells_of(SMOKE)[:4] for batch in (1, 1024)
    }


def test_what_the_command_cannot_do_is_one_sentence(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("amrq.sweep.run._ANSWER_SECONDS", 0.5)
    for words, expected in (
        (("sweep", sweeps.RECIPE, "-o", tmp_path, "--only", "nothing*"), "no cell is called 'nothing*'"),
        (("sweep", tmp_path / "none.toml"), "there is no recipe file"),
        (("sweep", THESIS_RECIPE, "-o", whole, "--dry-run"), "a sweep of another recipe"),
        (
            ("sweep", sweeps.RECIPE, "-o", tmp_path / "s", "--scheduler", "tcp://127.0.0.1:9"),
            "there is no Dask scheduler at tcp://127.0.0.1:9",
        ),
        (("sweep", sweeps.RECIPE, "-o", sweeps.RECIPE), "cannot be used"),
    ):
        status, said = command(*words)
        assert status == 2 and expected in said, said
    folder = SweepFolder(tmp_path / "busy", SMOKE)
    with folder.locked():
        status, said = command("sweep", sweeps.RECIPE, "-o", tmp_path / "busy")
        assert status == 2 and "another sweep is at work" in said
        # Nor may what another one is making be forgotten under its hands.
        status, said = command("sweep", sweeps.RECIPE, "-o", tmp_path / "busy", "--fresh")
        assert status == 2 and "another sweep is at work" in said
        assert (tmp_path / "busy" / "sweep.json").is_file()
    kept = rows(whole)
    status, said = command("sweep", sweeps.RECIPE, "-o", whole, "--fresh", "--only", "nothing*")
    assert status == 2 and rows(whole) == kept
    status, said = command("sweep", sweeps.RECIPE, "-o", whole, "--fresh", "--scheduler", "tcp://127.0.0.1:9")
    assert status == 2 and "there is no Dask scheduler" in said and rows(whole) == kept


THESIS_RECIPE = Path(__file__).resolve().parents[2] / "recipes" / "thesis.toml"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("[signal]\nscaling = 'rms'", "signal.scaling must be peak or power"),
        ("[signal]\nnoise_power = 0", "noise_power must be 0.0001 to 10"),
        ("[grid]\nweight_bits = [8]", "with 32 among them"),
        ("[grid]\nweight_bits = [32, 9]", "2 to 8, or 32"),
        ("[grid]\npruned = [0.0, 1.0]", "from 0 to below 1"),
        ("[fit.whole]\nepochs = 0\nhold = 1\nanneal = 1\nretry = 1", "epochs of a round must be at least 1"),
        ("[fit.whole]\nepochs = 5", "fit.whole.hold is missing"),
        ("[fit]\nloss_threshold = 0", "fit.loss_threshold must be above 0"),
        ("[evaluation]\nes_n0_db = [3, 1]", "es_n0_db must rise"),
        ("[evaluation]\nchunks = 0", "chunks must be at least 1"),
        ("chunk_length = 33", "cannot pass the 1 max pools"),
        ("seed = -1", "seed must not be negative"),
        ("colour = 1", "colour is no setting"),
    ],
)
def test_a_recipe_that_cannot_be_made_is_refused(change: str, expected: str, tmp_path: Path) -> None:
    network = "[[architectures]]\nname = 'a'\nchannels = [4]\npools = 1\nhidden = [4]\n"
    path = tmp_path / "recipe.toml"
    path.write_text(f"{change}\n{network}", encoding="utf-8")
    with pytest.raises(AmrqError, match=expected):
        read_sweep_recipe(path)
    for wrong, words in (
        ("", "architectures is missing"),
        (network + network, "different names"),
        (network.replace("pools = 1", "pools = 2"), "cannot have 2 max pools"),
        (network.replace("[4]", "[0]"), "widths of a must be from 1"),
    ):
        path.write_text(wrong, encoding="utf-8")
        with pytest.raises(AmrqError, match=words):
            read_sweep_recipe(path)


def test_what_results_depend_on_changes_the_identity() -> None:
    assert replace(THESIS, name="other", title="other").identity == THESIS.identity
    for changed in (
        replace(THESIS, seed=2),
        replace(THESIS, fit=replace(THESIS.fit, batch_size=65)),
        replace(THESIS, fit=replace(THESIS.fit, late_batch_size=65)),
        replace(THESIS, fit=replace(THESIS.fit, validation_chunks=65)),
        replace(THESIS, architectures=THESIS.architectures[1:]),
    ):
        assert changed.identity != THESIS.identity


@pytest.mark.parametrize("kept", [True, False])
def test_a_retry_for_the_worse_is_undone(kept: bool) -> None:
    """Retries at a rate that tears a network apart: with chunks to judge it by it comes out as it went in."""
    stream = 7
    recipe = replace(SMOKE, fit=replace(SMOKE.fit, validation_chunks=1152, retry_rate=1.0))
    chunks = SweepChunks(recipe)
    judged = chunks.validation(stream)

    def mistakes(epochs: int) -> tuple[int, FitResult]:
        fit = recipe.fit if kept else replace(recipe.fit, validation_chunks=0)
        torch.manual_seed(seed(0))
        net = VggLikeNet(len(THESIS_9), [16], 1, [32])
        fitted = fit_to_gate(net, chunks, stream, fit, RoundSettings(epochs, 6, 8, 1), 0.02)
        return int((decide(net, judged).numpy() != judged.labels).sum()), fitted

    before, first = mistakes(14)
    after, last = mistakes(20)
    assert (first.tries, last.epochs) == (1, 20)
    assert (after <= before) == kept
    assert last.tries == 7


def test_names_and_parents_of_the_thesis_grid() -> None:
    cells = cells_of(THESIS)
    assert len({cell.name for cell in cells}) == 84
    assert "vgglike_2f_1c_1re_1mp_4bit_pr_30" in {cell.name for cell in cells}
    for number, cell in enumerate(cells):
        assert cell.parent is None or cell.parent in cells[:number]
    assert sum(cell.parent is None for cell in cells) == 7


def test_peak_scaled_chunks_have_peaks_of_one_and_normalised_ones_no_level() -> None:
    def levels(scaling: str, normalisation: str) -> np.ndarray:
        signal = replace(SMOKE.signal, scaling=scaling, normalisation=normalisation, noise_power=1e-4)
        data = SweepChunks(replace(SMOKE, signal=signal)).evaluation()
        power = (data.iq.astype(np.float64) ** 2).sum(axis=1).mean(axis=1)
        return np.array([power[data.labels == label].mean() for label in range(9)])

    # Mean powers over the squared peak, by hand: (1 + 1/9) / 2 for 4ASK, 2 for QPSK, 10/9 for 16QAM and so on.
    expected = [5 / 9, 21 / 49, 1, 2, 1, 1, 6 / 9, 10 / 9, 20 / 25]
    np.testing.assert_allclose(levels("peak", "none"), expected, rtol=0.03)
    np.testing.assert_allclose(levels("power", "none"), 1, rtol=0.03)
    np.testing.assert_allclose(levels("peak", "unit-rms"), 1, rtol=1e-5)


def test_a_cell_is_the_same_wherever_it_is_made(whole: Path) -> None:
    bound = measure_sweep_bound(SMOKE)
    parent = Cell("tiny_3f_2c", 32, 0.0)
    first = make_cell(SMOKE, parent, None, bound)
    row = {k: v for k, v in first.figures.as_row().items() if k != "seconds"}
    assert row == rows(whole)[parent.name]
    with pytest.raises(AmrqError, match="starts from tiny_3f_2c"):
        make_cell(SMOKE, Cell("tiny_3f_2c", 4, 0.0), None, bound)


def test_speeds_are_ratios_of_the_same_rounds(whole: Path) -> None:
    cells = [Cell("tiny_2f_1c", 32, 0.0), Cell("tiny_2f_1c", 4, 0.0)]
    models = {cell: whole / "models" / f"{cell.name}.onnx" for cell in cells}
    float32, int4 = measure_speed(models, 4, 32, rounds=3, seconds=1e-4)
    assert (float32.over_float, float32.over_whole, int4.over_whole) == (1, 1, 1)
    assert int4.over_float_low <= int4.over_float <= int4.over_float_high
    assert float32.chunks_per_s == pytest.approx(4000 / float32.ms)
    with pytest.raises(KeyboardInterrupt):
        measure_speed(models, 4, 32, rounds=3, seconds=1e-4, stopped=lambda: True)


FIGURES = CellFigures(
    *("a", "b", 8, 0.2, 10, 1, 0, 288, 0.01, 500, 576, 576, 576, 9, 3, 100, 1000, 2, 0, 1, 2, 3, 4, 1.5, 288),
    (LevelFigures(2.5, 100, 200, 120, 20), LevelFigures(20.0, 288, 288, 0, 0)),
)


def test_figures_survive_the_table() -> None:
    assert CellFigures.from_row(FIGURES.as_row()) == FIGURES
    with pytest.raises(AmrqError, match="lacks or mistypes a column"):
        CellFigures.from_row(FIGURES.as_row() | {"right": "many"})
    with pytest.raises(AmrqError, match="lacks or mistypes a column"):
        SpeedFigures.from_row({"name": "a"})


@given(kept=st.lists(st.text(st.characters(exclude_categories=("Cs", "Cc"))), max_size=5, unique=True))
def test_a_table_is_whole_whatever_happens(tmp_path_factory: pytest.TempPathFactory, kept: list[str]) -> None:
    file = ResultsFile(tmp_path_factory.mktemp("table") / "t.csv")
    for name in kept:
        file.add({"name": name, "value": "1"})
    assert [row["name"] for row in file.rows()] == kept
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        with pytest.raises(AmrqError, match="cannot be written: No space left"):
            file.add({"name": "new", "value": "1"})
    assert [row["name"] for row in file.rows()] == kept
    if kept:
        file.add({"name": kept[0], "value": "2"})
        assert sorted((row["name"], row["value"]) for row in file.rows()) == sorted(
            (name, "2" if name == kept[0] else "1") for name in kept
        )
        with pytest.raises(AmrqError, match="other columns"):
            file.add({"name": "new", "size": "1"})


def test_a_table_of_something_else_is_refused(tmp_path: Path) -> None:
    for content in ("a,b\n1,2\n", "name,b\n1\n", "name,b\n1,2,3\n"):
        (tmp_path / "t.csv").write_text(content)
        with pytest.raises(AmrqError, match="not a table of results"):
            ResultsFile(tmp_path / "t.csv").rows()


def test_about_a_sweep_stands_in_its_folder(whole: Path) -> None:
    about = json.loads((whole / "sweep.json").read_text())
    assert about["identity"] == SMOKE.identity and about["settings"]["grid"]["weight_bits"] == [32, 4]
    assert {"torch", "onnxruntime", "distributed", "numpy"} <= set(about["versions"])


def test_a_sweep_from_before_there_was_a_setting_keeps_its_identity() -> None:
    """What docs/thesis/corrected was made with, before `late_batch_size` and `validation_chunks`."""
    recipe = read_sweep_recipe(THESIS_RECIPE.with_name("thesis-corrected.toml"))
    assert recipe.identity == "b73476af4756"


def test_a_recipe_of_defaults_is_that_of_the_corrected_setting() -> None:
    recipe = SweepRecipe("a", THESIS.architectures)
    assert (recipe.signal.scaling, recipe.signal.normalisation) == ("power", "unit-rms")


@pytest.mark.parametrize(
    "name", ["../../outside", "/tmp/outside", "a/b", "..", ".hidden", "-o", "", "a\nb", "x" * 101, "[red]"]
)
def test_an_architecture_s_name_leads_to_no_other_folder(name: str, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.toml"
    text = sweeps.RECIPE.read_text()
    recipe.write_text(text.replace('"tiny_2f_1c"', json.dumps(name)))
    with pytest.raises(AmrqError, match="name of an architecture") as refused:
        read_sweep_recipe(recipe)
    assert str(refused.value).isprintable()


@pytest.mark.parametrize("name", ["../../outside", "/tmp/outside", "a/b", "..", ""])
def test_a_sweep_s_name_leads_to_no_other_folder(name: str, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(f"name = {json.dumps(name)}\n" + sweeps.RECIPE.read_text())
    with pytest.raises(AmrqError, match="name must be that of a folder"):
        read_sweep_recipe(recipe)
