# SPDX-License-Identifier: GPL-3.0-or-later
"""Nothing leaves the machine that nobody asked for, and nothing is written about its user."""

import os
import re
import shutil
import subprocess
import sys
import types
from pathlib import Path

import pytest
from patience import PATIENCE

from amrq.machine import onnx_runtime, switch_off_telemetry

pytest.importorskip("onnxruntime", reason="the package onnxruntime is not installed")
ROOT = Path(__file__).resolve().parents[1]
QPSK = str(ROOT / "examples" / "recordings" / "generic_qpsk.sigmf-meta")
CLASSIFY = ["classify", QPSK, "--symbol-rate", "25000"]
LIVE = ["live", "--file", QPSK, "--json", "--symbol-rate", "25000"]
GNURADIO_S_OWN = {"vmcircbuf_default_factory"}
"""Which kind of buffer GNU Radio found to work here; every program of GNU Radio's keeps it under HOME."""
HUSHED = (
    "ORT_DISABLE_TELEMETRY",
    "ORT_TELEMETRY_DISABLED",
    "ORT_RUNNING_UNIT_TESTS",
    "CI",
    "GITHUB_ACTIONS",
    "TF_BUILD",
)
"""Variables under which ONNX Runtime is silent by itself: with them these tests would prove nothing."""


def environment(home: Path) -> dict[str, str]:
    kept = {n: v for n, v in os.environ.items() if n not in HUSHED and not n.startswith(("XDG_", "GITHUB_"))}
    return kept | {"HOME": str(home), "PYTHONPATH": os.pathsep.join(sys.path), "TMPDIR": str(home.parent)}


def run(words: list[str], home: Path) -> subprocess.CompletedProcess[str]:
    home.mkdir()
    return subprocess.run(
        words,
        env=environment(home),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        stdin=subprocess.DEVNULL,
        cwd=home.parent,
    )


def written(home: Path) -> list[str]:
    return [path.name for path in home.rglob("*") if path.is_file() and path.name not in GNURADIO_S_OWN]


ALL = [CLASSIFY, LIVE, ["models"], ["model", "show", "default"]]


@pytest.mark.parametrize("words", ALL, ids=lambda words: words[0])
def test_home_stays_empty(words: list[str], tmp_path: Path) -> None:
    if words in (CLASSIFY, LIVE):
        pytest.importorskip("gnuradio", reason="GNU Radio is not installed")
    done = run([sys.executable, "-m", "amrq", *words], tmp_path / "home")
    assert done.returncode == 0, done.stderr
    assert written(tmp_path / "home") == []


@pytest.mark.parametrize(
    "code",
    [
        "import amrq, onnxruntime",
        "from amrq.machine import onnx_runtime; onnx_runtime()",
        "from amrq.model import find_model, read_contract; read_contract(find_model())",
        # In a process that a worker starts.
        "import amrq, subprocess, sys; subprocess.run([sys.executable, '-c', 'import onnxruntime'], check=True)",
    ],
)
def test_home_stays_empty_however_onnxruntime_is_imported(code: str, tmp_path: Path) -> None:
    done = run([sys.executable, "-c", code], tmp_path / "home")
    assert done.returncode == 0, done.stderr
    assert written(tmp_path / "home") == []


@pytest.mark.parametrize("words", [CLASSIFY, LIVE], ids=lambda words: words[0])
def test_no_connection_is_tried(words: list[str], tmp_path: Path) -> None:
    pytest.importorskip("gnuradio", reason="GNU Radio is not installed")
    strace = shutil.which("strace")
    if strace is None or subprocess.run([strace, "-o", os.devnull, "true"], capture_output=True).returncode:
        pytest.skip("there is no strace, or it may trace nothing here")
    calls = tmp_path / "calls"
    tracing = [strace, "-f", "-e", "trace=network", "-o", str(calls)]
    done = run([*tracing, sys.executable, "-m", "amrq", *words], tmp_path / "home")
    assert done.returncode == 0, done.stderr
    found = [line for line in calls.read_text().splitlines() if re.search(r"\bAF_INET6?\b", line)]
    assert found == []


def test_onnxruntime_imported_before_is_asked_to_be_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []
    loaded = types.ModuleType("onnxruntime")
    loaded.disable_telemetry_events = lambda: asked.append(True)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "onnxruntime", loaded)
    switch_off_telemetry()
    assert asked == [True]
    monkeypatch.setitem(
        sys.modules, "onnxruntime", types.ModuleType("onnxruntime")
    )  # of a release without any
    assert onnx_runtime() is sys.modules["onnxruntime"]


def test_there_is_one_door() -> None:
    """What ruff cannot see: a module imported by its name in a string."""
    by_name = re.compile(r"""(optional_package|import_module|__import__)\(\s*["']onnxruntime""")
    files = [
        path
        for folder in ("src", "python", "benchmarks", "docs", "examples", "scripts")
        for path in (ROOT / folder).rglob("*.py")
    ]
    assert len(files) > 100
    found = [path.name for path in files if by_name.search(path.read_text(encoding="utf-8"))]
    assert found == ["machine.py"]
