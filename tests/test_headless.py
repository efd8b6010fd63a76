# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo, and the recordings it is judged by."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from amrq.modulations import MODULATIONS

ROOT = Path(__file__).resolve().parents[1]
OURS = ROOT / "examples" / "recordings"
REAL = ROOT.parent / "shared" / "iq"


def run_demo(output: Path, *options: object) -> dict[str, Any]:
    result = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "headless.py"), "--output", str(output), *map(str, options)],
        capture_output=True,
        text=True,
        timeout=240,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return json.loads((output / "summary.json").read_text())


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    output = tmp_path_factory.mktemp("demo")
    recordings = ["--recordings", OURS] + (["--recordings", REAL] if REAL.is_dir() else [])
    return output, run_demo(output, "--chunks", 100, *recordings)


def test_pictures_and_figures(demo: tuple[Path, dict[str, Any]]) -> None:
    output, summary = demo
    for name in ("confusion.png", "accuracy.png"):
        assert (output / name).read_bytes()[:4] == b"\x89PNG"
    assert set(summary["accuracy"]) == set(MODULATIONS)
    operating_point = summary["operating_point"]
    # 900 chunks; the model's own table says .98 to .99 there, whose 95 % interval for 900 reaches down to .97.
    assert operating_point["chunks"] == 900 and operating_point["right"] > 0.96 * 900
    # At 20 dB and above the default model promises .95 over the classes.
    for level in (20.0, 25.0):
        column = summary["es_n0_db"].index(level)
        assert sum(values[column] for values in summary["accuracy"].values()) / 9 > 0.95


def judge(summary: dict[str, Any], folder: Path) -> None:
    names = {entry["name"] for entry in json.loads((folder / "truth.json").read_text())}
    results = [result for result in summary["recordings"] if result["name"] in names]
    assert len(results) == len(names)
    wrong = {result["name"]: result["label"] for result in results if not result["right"]}
    assert not wrong, f"not among the accepted answers: {wrong}"
    assert all(result["symbols"] <= 1024 for result in results)


def test_our_recordings_are_recognised(demo: tuple[Path, dict[str, Any]]) -> None:
    judge(demo[1], OURS)


@pytest.mark.skipif(not REAL.is_dir(), reason="the real recordings (../shared/iq) are not on this machine")
def test_real_recordings_are_recognised(demo: tuple[Path, dict[str, Any]]) -> None:
    judge(demo[1], REAL)


def test_recordings_are_remade_as_shipped(tmp_path: Path) -> None:
    script = ROOT / "examples" / "make_recordings.py"
    subprocess.run([sys.executable, str(script), "--output", str(tmp_path)], check=True, timeout=120)
    assert {p.name for p in tmp_path.iterdir()} == {p.name for p in OURS.iterdir()}
    for made in tmp_path.glob("*.sigmf-meta"):
        assert (
            json.loads(made.read_text())["annotations"]
            == json.loads((OURS / made.name).read_text())["annotations"]
        )
    for made in tmp_path.glob("*.sigmf-data"):
        # Another processor's vector units may round the last bit differently.
        new, old = (np.fromfile(folder / made.name, "<i2").astype(int) for folder in (tmp_path, OURS))
        assert len(new) == len(old) and np.abs(new - old).max() <= 2
    assert (tmp_path / "truth.json").read_text() == (OURS / "truth.json").read_text()


def test_a_missing_model_is_one_sentence(tmp_path: Path) -> None:
    result = subprocess.run(
        [
            sys.executable,
            str(ROOT / "examples" / "headless.py"),
            "--output",
            str(tmp_path),
            "--model",
            "nothing",
        ],
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert result.returncode == 2
    assert "there is no model 'nothing'" in " ".join(result.stdout.split())
    assert "Traceback" not in result.stdout + result.stderr
