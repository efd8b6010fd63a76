# SPDX-License-Identifier: GPL-3.0-or-later
"""The benchmarks run; what they say is for a quiet machine and is not asserted here."""

import json
import os
from pathlib import Path

import pytest
from run_amrq import ENVIRONMENT, python, run, warm

ROOT = Path(__file__).resolve().parents[1]


def test_flowgraph_throughput() -> None:
    script = ROOT / "benchmarks" / "flowgraph_throughput.py"
    result = run(warm(script, "--chunks", "3000", "--rounds", "1", "--without-torch"))
    assert result.returncode == 0, result.stderr
    figures = json.loads(result.stdout[result.stdout.index("{") :])
    assert figures["chunks"] == 3000
    rates = figures["chunks_per_second"]
    assert {"onnx alone", "flowgraph", "flowgraph, names checked", "flowgraph, live"} < set(rates)
    assert all(rate["median"] > 0 for rate in rates.values()) and not figures["ratios"]


def test_the_search_draws_its_results(tmp_path: Path) -> None:
    results = tmp_path / "found.csv"
    results.write_bytes((ROOT / "benchmarks" / "results" / "architecture_search.csv").read_bytes())
    script = ROOT / "benchmarks" / "architecture_search.py"
    done = run(warm(script, "--draw", "--results", str(results)))
    assert done.returncode == 0, done.stderr
    assert results.with_suffix(".png").stat().st_size > 10_000


@pytest.mark.long
def test_the_front_end_is_measured_and_drawn(tmp_path: Path) -> None:
    script = ROOT / "benchmarks" / "front_end.py"
    environment = {"PYTHONPATH": os.pathsep.join([str(script.parent), ENVIRONMENT["PYTHONPATH"]])}
    one = "import front_end; print(front_end.measure(front_end.Point('at random', 0.0, 20.0, 'BPSK'), 1, 'default'))"
    found = python("-c", one, environment=environment)
    assert found.returncode == 0, found.stderr
    assert "'right': 64," in found.stdout and "'right_decisions': 2," in found.stdout
    results = ROOT / "benchmarks" / "results" / "front_end.csv"
    drawn = python(script, "-o", results, "--pictures", tmp_path, environment=environment)
    assert drawn.returncode == 0, drawn.stderr
    assert drawn.stdout.count("lost at 12.5 dB") == 4
    assert (tmp_path / "front_end.png").stat().st_size > 10_000


def test_board_link() -> None:
    script = ROOT / "benchmarks" / "board_link.py"
    result = run(warm(script, "--chunks", "600", "--rounds", "1", "--model", "coherent-small-int4"))
    assert result.returncode == 0, result.stderr
    figures = json.loads(result.stdout)
    assert figures["chunks"] == 600
    assert figures["board_over_direct"]["median"] > 0
    assert figures["latency_of_one_chunk_ms"]["median"] > 0


@pytest.mark.long
def test_board_check(tmp_path: Path) -> None:
    script = ROOT / "benchmarks" / "board_check.py"
    output = tmp_path / "found.json"
    result = python(str(script), "--chunks", "1000", "--connects", "20", "-o", str(output))
    assert result.returncode == 0, result.stdout + result.stderr
    assert [case["chunks"] for case in json.loads(output.read_text())["cases"]] == [1000] * 5
