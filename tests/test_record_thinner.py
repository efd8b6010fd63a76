# SPDX-License-Identifier: GPL-3.0-or-later
"""Fewer records: when the answer changes, and now and then."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_text import read_metrics

from amrq.decision import Decision
from amrq.errors import AmrqError
from amrq.outputs import (
    DecisionOutputs,
    Origin,
    OutputOptions,
    RecordThinner,
    StreamState,
    Thinning,
    decision_record,
)
from amrq.worker import Statistics


def record(time: float, label: str = "QPSK", **more: Any) -> dict[str, Any]:
    fields = {"source": "radio", "model": "m", "symbol_rate_hz": 1e5, "frequency_hz": 1e8, "reason": "named"}
    return {**fields, "time": time, "label": label, **more}


def taken(thinning: Thinning, records: list[dict[str, Any]]) -> list[float]:
    thinner = RecordThinner(thinning)
    return [one["time"] for one in records if thinner.takes(one)]


@given(times=st.lists(st.floats(0, 1e6), max_size=50))
def test_without_a_wish_all_are_written(times: list[float]) -> None:
    assert taken(Thinning(), [record(time) for time in times]) == times


def test_a_change_at_once_and_a_record_a_minute_meanwhile() -> None:
    answers = ["QPSK"] * 150 + ["8PSK"] * 100
    records = [record(float(second), label) for second, label in enumerate(answers)]
    assert taken(Thinning(changes=True), records) == [0, 60, 120, 150, 210]
    assert taken(Thinning(changes=True, every=40), records) == [0, 40, 80, 120, 150, 190, 230]
    assert taken(Thinning(every=100), records) == [0, 100, 200]


@pytest.mark.parametrize(
    "other",
    [
        {"label": "8PSK"},
        {"label": "unknown", "reason": "foreign"},
        {"source": "another"},
        {"model": "another"},
        {"symbol_rate_hz": 2e5},
        {"frequency_hz": None},
    ],
)
def test_what_makes_another_answer(other: dict[str, Any]) -> None:
    records = [record(0.0), record(1.0), record(2.0, **other), record(3.0, **other), record(4.0)]
    assert taken(Thinning(changes=True), records) == [0, 2, 4]


def test_what_an_unsure_answer_perhaps_is_makes_no_other() -> None:
    records = [record(float(n), "unknown", reason="unsure", best=str(n)) for n in range(50)]
    assert taken(Thinning(changes=True), records) == [0]


def test_another_recording_begins_anew() -> None:
    records = [record(50.0), record(55.0), record(0.0), record(1.0), record(0.5)]
    assert taken(Thinning(every=100), records) == [50, 0]
    assert taken(Thinning(every=100), [record(50.0), record(50.0, source="b")]) == [50, 50]


@given(
    steps=st.lists(st.floats(0.001, 5), min_size=2, max_size=200),
    every=st.floats(0.01, 20),
    changes=st.booleans(),
)
def test_no_more_than_wanted_and_never_late(steps: list[float], every: float, changes: bool) -> None:
    times = [sum(steps[: n + 1]) for n in range(len(steps))]
    found = taken(Thinning(changes, every), [record(time) for time in times])
    assert found[0] == times[0]
    assert len(found) <= 1 + (times[-1] - times[0]) / every * (1 + 1e-9)
    # In each whole period something is written, if anything was decided in it.
    for one, two in zip(found, [*found[1:], math.inf], strict=True):
        between = [time for time in times if one < time < two]
        assert all(time - one < every for time in between) or not between


@pytest.mark.parametrize("every", [-1.0, math.inf, math.nan])
def test_no_number_of_seconds_is_refused(every: float) -> None:
    with pytest.raises(AmrqError, match="every must be at least 0 s"):
        Thinning(every=every)


def test_outputs_get_fewer_and_the_counters_count_all(tmp_path: Path) -> None:
    state = StreamState(Statistics(), "radio", "m", "0" * 64)
    log, counters = tmp_path / "log.jsonl", tmp_path / "amrq.prom"
    outputs = DecisionOutputs(
        OutputOptions(changes=True, log=str(log), counters=str(counters)), ["QPSK"], lambda: state
    )
    origin = Origin("radio", 1e3, "m", "0" * 64)
    for number in range(100):
        reason, label = ("named", "QPSK") if number != 70 else ("unsure", "unknown")
        made = Decision(label, 0.9, "QPSK", {}, 1, 1000 * number, 1000, None, None, reason)  # type: ignore[arg-type]
        outputs.write(decision_record(made, None, origin))
    outputs.close()
    assert [json.loads(line)["time"] for line in log.read_text().splitlines()] == [0, 60, 70, 71]
    reasons = read_metrics(counters.read_text())["amrq_decisions_by_reason_total"]
    assert reasons.value(reason="named") == 99 and reasons.value(reason="unsure") == 1
