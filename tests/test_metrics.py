# SPDX-License-Identifier: GPL-3.0-or-later
"""Counters for monitoring."""

import math
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from patience import PATIENCE
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.core import Metric as Family
from prometheus_text import read_metrics

from amrq.errors import AmrqError
from amrq.outputs import CountersFile, MetricsFile, StreamState, metrics_text
from amrq.worker import Statistics

labels = st.dictionaries(st.sampled_from(["label", "source", "model"]), st.text(st.characters(codec="utf-8")))


@given(text=st.text(), sets=st.lists(st.tuples(labels, st.floats(allow_nan=False)), max_size=5))
def test_any_text_survives(text: str, sets: list[tuple[dict[str, str], float]]) -> None:
    unique = {tuple(sorted(names.items())): value for names, value in sets}
    metric = GaugeMetricFamily("amrq_thing", text)
    for names, value in unique.items():
        metric.add_sample("amrq_thing", dict(names), value)
    (family,) = read_metrics(metrics_text([metric]).decode()).values()
    assert family.description == text
    assert family.values == unique


def test_what_is_not_finite_is_spelled_as_prometheus_reads_it() -> None:
    values = {"a": math.inf, "b": -math.inf, "c": math.nan}
    metric = GaugeMetricFamily("amrq_thing", "x", labels=["label"])
    for name, value in values.items():
        metric.add_metric([name], value)
    (family,) = read_metrics(metrics_text([metric]).decode()).values()
    assert family.value(label="a") == math.inf and family.value(label="b") == -math.inf
    assert math.isnan(family.value(label="c"))


def test_a_stream_tells_where_every_chunk_went(tmp_path: Path) -> None:
    counted = Statistics(received=15, classified=1, silent=2, not_finite=3, dropped=4, queued=5, decisions=6)
    state = StreamState(counted, 'a "radio"\\\n', "m", "0" * 64, 10**12, 7, 25e3, -20.25, 3, 4, 5, 6.5)
    path = tmp_path / "amrq.prom"
    file = CountersFile(path, ["QPSK", "BPSK"], lambda: state)
    families = read_metrics(path.read_text())
    assert families["amrq_session_running"].value() == 1
    assert "amrq_es_n0_decibels" not in families
    assert set(families["amrq_decisions_total"].values.values()) == {0}
    for label, reason in (("QPSK", "named"), ("QPSK", "named"), ("no signal", "silent")):
        file.write({"label": label, "reason": reason, "es_n0_db": -3.5})
    file.close()
    families = read_metrics(path.read_text())
    for name, value in counted.as_dict().items():
        if name not in ("queued", "decisions"):
            assert families[f"amrq_chunks_{name}_total"].value() == value
    assert families["amrq_chunks_queued"].value() == 5
    found = families["amrq_decisions_total"]
    assert [found.value(label=label) for label in ("QPSK", "BPSK", "no signal", "unknown")] == [2, 0, 1, 0]
    kinds = families["amrq_decisions_by_reason_total"]
    found_kinds = [kinds.value(reason=name) for name in ("named", "unsure", "foreign", "noise", "silent")]
    assert found_kinds == [2, 0, 0, 0, 1]
    (info,) = families["amrq_session_info"].values
    assert dict(info)["source"] == 'a "radio"\\\n' and dict(info)["model_sha256"] == "0" * 64
    assert families["amrq_samples_received_total"].value() == 10**12
    assert families["amrq_source_overflows_total"].value() == 7
    for name, value in {"reconnections": 3, "refused": 4, "silences": 5}.items():
        assert families[f"amrq_source_{name}_total"].value() == value
    assert families["amrq_source_silent_seconds"].value() == 6.5
    assert families["amrq_es_n0_decibels"].value() == -3.5
    assert families["amrq_level_decibels"].value() == -20.25
    assert families["amrq_session_running"].value() == 0
    assert families["amrq_session_seconds_total"].value() >= 0


def test_what_is_not_known_is_left_out(tmp_path: Path) -> None:
    state = StreamState(Statistics(), "file", "m", "0" * 64)
    CountersFile(tmp_path / "amrq.prom", [], lambda: state).close()
    families = read_metrics((tmp_path / "amrq.prom").read_text())
    assert not {"amrq_source_overflows_total", "amrq_level_decibels", "amrq_symbol_rate_baud"} & set(families)


def test_a_file_is_always_whole_and_says_the_last_word_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "amrq.prom"
    path.write_text("something else")
    calls = 0

    def collect() -> list[Family]:
        nonlocal calls
        calls += 1
        return [CounterMetricFamily("amrq_calls_total", "x", value=calls)]

    file = MetricsFile(path, collect, period=1e-4)
    seen = set()
    while len(seen) < 20:
        seen.add(read_metrics(path.read_text())["amrq_calls_total"].value())
    file.close()
    assert read_metrics(path.read_text())["amrq_calls_total"].value() == calls
    assert [entry.name for entry in tmp_path.iterdir()] == ["amrq.prom"]


def test_a_file_that_cannot_be_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AmrqError, match="cannot be written"):
        MetricsFile(tmp_path / "none" / "amrq.prom", list)
    (tmp_path / "folder").mkdir()
    with pytest.raises(AmrqError, match="cannot be written"):
        MetricsFile(tmp_path / "folder", list)


def test_a_file_that_cannot_be_written_for_a_while_ends_nothing(tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "metrics", tmp_path / "elsewhere"
    folder.mkdir()
    tries = threading.Semaphore(0)

    def collect() -> list[Family]:
        tries.release()
        return [GaugeMetricFamily("amrq_x", "x", value=1)]

    file = MetricsFile(folder / "amrq.prom", collect, period=1e-4)
    folder.rename(elsewhere)
    for _ in range(5):
        assert tries.acquire(timeout=PATIENCE)
    elsewhere.rename(folder)
    (folder / "amrq.prom").unlink(missing_ok=True)
    file.close()
    assert (folder / "amrq.prom").exists()

    file = MetricsFile(folder / "amrq.prom", collect, period=1e-4)
    folder.rename(elsewhere)
    with pytest.raises(AmrqError, match="cannot be written"):
        file.close()
