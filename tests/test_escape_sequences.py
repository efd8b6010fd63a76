# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of files, labels and texts inside files do not steer the terminal, whatever a command says of them."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from run_amrq import amrq, amrq_here

ROOT = Path(__file__).resolve().parents[1]
STEERING = "a\x1b]0;title\x07\x1b[2J[red]\u202e"
"""Sets a window's title, clears the screen, colours by Rich's marks, turns the direction of writing."""


def run(folder: Path, *words: object, status: int = 0) -> str:
    return checked(amrq(*words, cwd=folder, environment={"COLUMNS": "300"}), status)


def checked(done: subprocess.CompletedProcess[str], status: int) -> str:
    said = done.stdout + done.stderr
    assert done.returncode == status, said
    assert "Traceback" not in said
    for character in ("\x1b", "\x07", "\u202e"):
        assert character not in said, said
    return said


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for end in ("meta", "data"):
        shutil.copy(
            ROOT / "examples" / "recordings" / f"generic_qpsk.sigmf-{end}",
            tmp_path / f"{STEERING}.sigmf-{end}",
        )
    meta = tmp_path / f"{STEERING}.sigmf-meta"
    document = json.loads(meta.read_text())
    document["annotations"] = [
        {
            "core:sample_start": 0,
            "core:sample_count": 10_000,
            "core:label": f"{STEERING}x",
            "core:generator": STEERING,
        }
    ]
    document["global"]["core:description"] = document["global"]["core:author"] = STEERING
    meta.write_text(json.dumps(document))
    shutil.copy(ROOT / "models" / "blind-small-int4.onnx", tmp_path / f"{STEERING}.onnx")
    return tmp_path


def test_commands_that_run_a_flowgraph(folder: Path) -> None:
    pytest.importorskip("gnuradio", reason="GNU Radio is not installed")
    meta, model = f"{STEERING}.sigmf-meta", f"{STEERING}.onnx"
    known = ("--symbol-rate", "25000")
    assert "[red]" in run(folder, "classify", meta, *known, "--model", model)
    run(folder, "classify", meta, *known, "--json")
    run(folder, "live", "--file", meta, *known, "--model", model)
    run(folder, "label", meta, *known, "-o", f"{STEERING}labels", status=2)


def test_commands_that_read_a_model(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMRQ_MODELS", str(folder))
    model = f"{STEERING}.onnx"
    assert "[red]" in run(folder, "models")
    run(folder, "model", "show", model)
    run(folder, "estimate", model)
    run(folder, "board", "export", model, "-o", f"{STEERING}.npz")
    run(folder, "board", "keygen", "-o", f"{STEERING}key")


@pytest.mark.parametrize(
    "words",
    [
        ("classify", f"{STEERING}.cf32", "--rate", "1e6"),
        ("live", "--file", f"{STEERING}.wav"),
        ("model", "show", STEERING),
        ("model", "show", f"{STEERING}none.onnx"),
        ("model", "annotate", f"{STEERING}.onnx", "--contract", f"{STEERING}.json"),
        ("sweep", f"{STEERING}.toml"),
        ("sweep-report", STEERING, "-o", "."),
        ("evaluate-report", STEERING),
        ("evaluate", f"{STEERING}none.onnx"),
        ("rtl", f"{STEERING}none.onnx", "-o", STEERING),
        ("label", f"{STEERING}none.sigmf-meta", "-o", STEERING),
        ("board", f"{STEERING}none.onnx"),
    ],
    ids=lambda words: " ".join(words[:2]).partition("a\x1b")[0],
)
def test_refusals(
    words: tuple[str, ...], folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    checked(amrq_here(capfd, *words, COLUMNS="300"), 2)
