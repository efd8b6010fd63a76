# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of the open world, in evaluations and as a benchmark, and decisions in one pass beside the flowgraph's."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from gnuradio.amrq.classifier_sink import classifier_sink
from gnuradio.amrq.decision_flowgraph import decision_flowgraph
from gnuradio.amrq.recording_source import recording_source
from run_amrq import python
from seeds import rng

from amrq.classes import THESIS_9
from amrq.classifier import make_classifier
from amrq.decision import Decision
from amrq.evaluation import (
    Mishap,
    OpenWorldRow,
    Tally,
    evaluation_tables,
    measure_open_world,
    read_evaluation,
    report,
)
from amrq.identify import identify_linear
from amrq.measure import StreamInfo
from amrq.recordings import open_recording
from amrq.signals import Conditions, received_under

ROOT = Path(__file__).resolve().parents[1]


def test_one_pass_decides_as_the_flowgraph_does(tmp_path: Path) -> None:
    """Two modulations one after the other, noise before and after them, and a few samples that are not finite."""
    draw = rng("one pass")
    parts = [
        np.zeros(1500),
        draw.choice(THESIS_9["16QAM"].points, 2500),
        draw.choice(THESIS_9["BPSK"].points, 2500),
    ]
    sent = np.concatenate([*parts, np.zeros(1500)]).astype(np.complex64)
    samples = received_under(sent, Conditions(samples_per_symbol=5.0, offset=0.015), 16.0, draw)
    samples[15_000:15_010] = np.nan
    path = tmp_path / "signal.cf32"
    samples.tofile(path)
    found = identify_linear(samples, 50e3, 10e3)
    decisions: list[Decision] = []
    source = recording_source(open_recording(path, "cf32", 50e3))
    sink = classifier_sink(
        stream=StreamInfo(50e3, found.symbol_rate, found.found.offset),
        on_decision=lambda decision, truth: decisions.append(decision),
    )
    flowgraph = decision_flowgraph(source, sink)
    flowgraph.run()
    flowgraph.raise_error()
    assert [(one.sample_index, one.sample_count, one.label) for one in found.decisions] == [
        (one.sample_index, one.sample_count, one.label) for one in decisions
    ]
    for one, other in zip(found.decisions, decisions, strict=True):
        assert one.confidence == pytest.approx(other.confidence, abs=1e-4)
    assert {"16QAM", "BPSK"} <= {one.label for one in decisions}


def test_where_no_symbol_rate_is_clear_it_says_why() -> None:
    draw = rng("noise alone")
    noise = draw.standard_normal((40_000, 2)).astype(np.float32).view(np.complex64)[:, 0]
    found = identify_linear(noise, 100e3)
    assert not found.decisions and not found.symbol_rate
    assert "no signal" in found.reason or "not clear" in found.reason


def test_a_row_counts_right_wrong_and_undecided() -> None:
    classifier = make_classifier("default")
    rows = measure_open_world(classifier, 9, mishaps=[Mishap("nothing wrong"), Mishap("bursts", burst=500)])
    assert [row.tally.total for row in rows] == [9, 10]
    assert rows[0].tally.right >= 8 and not any(row.tally.misnamed for row in rows)
    assert [OpenWorldRow.from_dict(json.loads(json.dumps(row.as_dict()))) for row in rows] == list(rows)
    # A coherent model needs the carrier's phase, which the receiver does not recover.
    assert measure_open_world(make_classifier("coherent-small-int8"), 9) == ()
    assert measure_open_world(classifier, 0) == ()


def test_the_page_has_the_table(tmp_path: Path) -> None:
    from dataclasses import replace

    from amrq.evaluation import evaluate

    found = replace(
        evaluate(make_classifier("default"), 4, [20.0]),
        open_world=(OpenWorldRow("echo", "-9 dB", 20.0, Tally(right=7, misnamed=1, undecided=2)),),
    )
    assert "| echo, -9 dB | 20 | 10 | 70 % | 10 % | 20 % |" in report(found)
    table = list(csv.DictReader(evaluation_tables(found)["open_world.csv"].splitlines()))
    assert table[0]["right"] == "7" and table[0]["undecided"] == "2"
    path = tmp_path / "evaluation.json"
    path.write_text(json.dumps(found.as_dict()))
    assert read_evaluation(path)[0].open_world == found.open_world


def test_the_benchmark_goes_on_where_it_stopped(tmp_path: Path) -> None:
    script = ROOT / "benchmarks" / "open_world.py"
    output = tmp_path / "open.csv"
    arguments = (script, "-o", output, "--draws", "0.002", "--only", "bursts")
    first = python(*map(str, arguments))
    assert first.returncode == 0, first.stderr
    lines = output.read_text().splitlines(keepends=True)
    assert len(lines) == 1 + 4 * 9
    output.write_text("".join(lines[:-2]))
    again = python(*map(str, arguments), "--pictures", str(tmp_path))
    assert again.returncode == 0, again.stderr
    assert sorted(output.read_text().splitlines()) == sorted("".join(lines).splitlines())
    assert "| 500 | 15 | symbol rate | 90 |" in again.stdout
    assert (tmp_path / "open_world.png").stat().st_size > 10_000


def test_the_page_has_what_was_measured() -> None:
    results = ROOT / "benchmarks" / "results" / "open_world.csv"
    if not results.is_file():
        pytest.skip("benchmarks/results/open_world.csv is not measured yet")
    code = (
        "import sys; sys.path.insert(0, 'benchmarks'); import open_world as o; "
        "page = o.PAGE.read_text(encoding='utf-8'); sys.exit(page != o.filled(page, o.read(o.RESULTS)))"
    )
    assert python("-c", code, cwd=ROOT).returncode == 0, "run benchmarks/open_world.py --pages"
