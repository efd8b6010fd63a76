# SPDX-License-Identifier: GPL-3.0-or-later
"""`amrq evaluate`: one model or several, with the bound and without."""

import json

import pytest
from small_models import linear_model
from typer.testing import CliRunner

from amrq.cli.main import app
from amrq.errors import AmrqError

pytest.importorskip("onnx", reason="the package onnx is not installed")

QUICK = ("--chunks", "4", "--es-n0", "5,15")


def run(*arguments):
    return CliRunner().invoke(app, ["evaluate", *map(str, arguments)])


def models(folder, *names):
    return [linear_model(folder / f"{name}.onnx", name=name, phase="coherent") for name in names]


def test_several_models_share_one_run(tmp_path):
    pytest.importorskip("matplotlib", reason="the package matplotlib is not installed")
    paths = models(tmp_path, "one", "two")
    result = run(*paths, *QUICK, "--sweeps", "none", "--json", "-o", tmp_path / "out")
    assert result.exit_code == 0, result.output
    for name in ("one", "two"):
        folder = tmp_path / "out" / name
        found = json.loads((folder / "evaluation.json").read_text())
        assert found["model"] == name
        assert found["bound_es_n0_db"] == [0, 20]
        assert found["levels"][0]["named"]["bound"]["accuracy"]["of"] == 8
        assert found["sweeps"] == []
        assert set(found["levels"][1]["named"]["accuracy"]) == {
            "count",
            "of",
            "share",
            "clopper_pearson",
            "wald",
        }
        page = (folder / "evaluation.md").read_text()
        assert page.startswith(f"# Evaluation of {name}\n")
        assert str(tmp_path) not in page  # a page that is committed names no folder of its maker
    said = [json.loads(line) for line in result.stdout.splitlines() if line.startswith("{")]
    assert [found["model"] for found in said] == ["one", "two"]


def test_one_model_writes_into_the_folder_itself_and_its_page_can_be_made_anew(tmp_path):
    pytest.importorskip("matplotlib", reason="the package matplotlib is not installed")
    result = run(*models(tmp_path, "one"), *QUICK, "--sweeps", "15", "--no-bound", "-o", tmp_path / "out")
    assert result.exit_code == 0, result.output
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"evaluation.md", "evaluation.json", "accuracy.png", "robustness.png"} <= written
    assert json.loads((tmp_path / "out" / "evaluation.json").read_text())["bound_es_n0_db"] is None
    assert "timing error" in result.output and "OFDM" in result.output

    # Page and tables can be made anew from the counts.
    folder = tmp_path / "out"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    (folder / "evaluation.md").unlink()
    (folder / "classes.csv").write_text("old")
    result = CliRunner().invoke(app, ["evaluate-report", str(folder)])
    assert result.exit_code == 0, result.output
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    refused = CliRunner().invoke(app, ["evaluate-report", str(folder), str(tmp_path)])
    assert isinstance(refused.exception, AmrqError) and "there is no file" in str(refused.exception)


def test_without_a_folder_there_is_no_bound(tmp_path):
    result = run(*models(tmp_path, "one"), *QUICK, "--json")
    assert result.exit_code == 0, result.output
    (found,) = [json.loads(line) for line in result.stdout.splitlines() if line.startswith("{")]
    assert found["bound_es_n0_db"] is None
    assert len(found["sweeps"]) == 10


def test_refused(tmp_path):
    (path,) = models(tmp_path, "one")
    (tmp_path / "other").mkdir()
    (again,) = models(tmp_path / "other", "one")
    for arguments, words in (
        ((path, "--es-n0", "loud"), "--es-n0 takes numbers"),
        ((path, "--sweeps", "loud"), "--sweeps takes numbers"),
        ((path, again, "-o", tmp_path / "out"), "same folder"),
        ((path, "nothing"), "there is no model 'nothing'"),
    ):
        error = run(*arguments).exception
        assert isinstance(error, AmrqError) and words in str(error)
    assert not (tmp_path / "out").exists()
