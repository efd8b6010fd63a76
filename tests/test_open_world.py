# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of the open world, in evaluations and as a benchmark, and decisions in one pass beside the flowgraph's."""

import csv
import importlib
import json
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

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


@pytest.fixture(scope="module")
def benchmark() -> SimpleNamespace:
    """Modules of the benchmark."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "benchmarks")
        names = ("resumable", "open_world", "open_world_tables")
        return SimpleNamespace(**{name: importlib.import_module(name) for name in names})


def test_a_benchmark_goes_on_where_it_stopped(
    benchmark: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In turn: nothing but the first round, a part that is lost, all of it, and more signals later."""
    resumable = benchmark.resumable
    monkeypatch.setattr(resumable, "ProcessPoolExecutor", ThreadPoolExecutor)
    measured: list[tuple[str, int]] = []

    def measure(case: Any, numbers: list[int]) -> dict[str, Any]:
        measured.extend((case.kind, number) for number in numbers)
        right, n = sum(number % 2 for number in numbers), len(numbers)
        answers = f"BPSK:{right} no_answer:{n - right}" if right else f"no_answer:{n}"
        return {
            **case._asdict(),
            **{"decisions": n, "right": right, "answers": answers},
            **{"confidence": " ".join(f"{number / 100}" for number in numbers)},
            **{"least_low": min(numbers), "most_high": max(numbers)},
        }

    case = namedtuple("case", ("kind", "value"))
    table = resumable.Table(
        tmp_path / "found.csv",
        case._fields,
        ("decisions", "right"),
        limits=("least_low", "most_high"),
    )
    wanted = [(case("echo", 1.0), 50), (case("line", ""), 5)]
    assert not table.run(wanted, measure, minutes=0) and not measured
    assert table.run(wanted, measure)
    assert sorted(measured) == [*(("echo", n) for n in range(50)), *(("line", n) for n in range(5))]
    echo, line = resumable.read(table.path)
    assert echo == {
        **{"kind": "echo", "value": "1.0", "signals": "0-49", "decisions": "50", "right": "25"},
        **{"answers": "BPSK:25 no_answer:25", "least_low": "0.0", "most_high": "49.0"},
        **{"confidence": " ".join(f"{number / 100}" for number in range(50))},
    }
    assert line["signals"] == "0-4"
    measured.clear()
    assert table.run([(case("line", ""), 8)], measure) and measured == [("line", n) for n in (5, 6, 7)]
    assert [row["decisions"] for row in resumable.read(table.path)] == ["8", "50"]


def test_what_is_promised_gets_more_signals(benchmark: SimpleNamespace) -> None:
    world = benchmark.open_world
    usual = dict(world.cases())
    counts = dict(world.wanted(0.5, 0.1, []))
    assert set(counts) == set(usual)
    for case, count in counts.items():
        assert count == max(1, round((0.5 if world.must_hold(case) else 0.1) * usual[case]))
    assert world.must_hold(world.Case("echo late", "-6", 20.0, "QPSK", world.GIVEN))
    assert not world.must_hold(world.Case("echo late", "-3", 20.0, "QPSK", world.GIVEN))
    assert not world.must_hold(world.Case("drift", "2e-05", 20.0, "QPSK", world.GIVEN))
    # Each promise of the page is about such cases.
    rows = [{name: str(value) for name, value in case._asdict().items()} for case in usual]
    sure = {tuple(map(str, case)) for case in usual if world.must_hold(case)}
    for goal in benchmark.open_world_tables.goals():
        if goal.right is not None:
            assert all(tuple(row.values()) in sure for row in goal.rows(rows)), goal.what


def test_the_benchmark_measures_and_draws(tmp_path: Path) -> None:
    script, output = ROOT / "benchmarks" / "open_world.py", tmp_path / "open.csv"
    arguments = ("-o", output, "--draws", "0.002", "--only", "phase noise", "--pictures", tmp_path)
    found = python(script, *arguments)
    assert found.returncode == 0, found.stderr
    assert len(output.read_text().splitlines()) == 1 + 3 * 9
    assert "| 0.02 | 20 | symbol rate | 9 |" in found.stdout
    assert (tmp_path / "open_world.png").stat().st_size > 10_000
    about = json.loads(output.with_suffix(".json").read_text())
    assert about["whole"] and about["date"] and about["commit"] and about["numpy"] == np.__version__


def test_the_page_has_what_was_measured(benchmark: SimpleNamespace) -> None:
    tables, world = benchmark.open_world_tables, benchmark.open_world
    page = tables.PAGE.read_text(encoding="utf-8")
    rows, unchecked = (benchmark.resumable.read(path) for path in (world.RESULTS, tables.UNCHECKED))
    assert page == tables.filled(page, rows, unchecked), "run benchmarks/open_world.py --pages"
    assert all(name in page for name in ("open world: in short", "open world: all", "open world: unchecked"))
    measured = {(row["kind"], row["value"], row["given"]) for row in rows}
    missing = {case.kind for case, _ in world.cases() if (case.kind, case.value, case.given) not in measured}
    assert not missing
