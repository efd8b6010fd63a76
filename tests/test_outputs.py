# SPDX-License-Identifier: GPL-3.0-or-later
"""Decisions on their way out."""

import json
import os
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
import sigmf
import zmq
from hypothesis import given
from hypothesis import strategies as st

from amrq.classes import THESIS_9
from amrq.decision import REASONS, Decision, Reason, answer_text, es_n0_text
from amrq.errors import AmrqError
from amrq.measure import InputReport
from amrq.outputs import (
    AnnotationFile,
    JsonLinesFile,
    Origin,
    Timeline,
    ZmqPublisher,
    decision_record,
    decision_schema,
)
from amrq.recordings import open_recording

ROOT = Path(__file__).resolve().parents[1]
BEGUN = datetime(2026, 2, 28, 23, 59, 59, 500_000, timezone.utc)
ORIGIN = Origin("radio", 1000.0, "m", "0" * 64, 0.25, BEGUN, ((0.0, 100e6), (2.0, 101e6)))


def decision(label: str = "QPSK", index: int = 0, count: int = 1024, confidence: float = 0.9) -> Decision:
    silent = label == "no signal"
    odds = {} if silent else {"QPSK": -0.1, "BPSK": -2.4}
    reason: Reason = "silent" if silent else "unsure" if label == "unknown" else "named"
    return Decision(label, confidence, "" if silent else "QPSK", odds, 32, index, count, 12.0, -3.0, reason)


def valid(record: object, version: int = 2) -> None:
    jsonschema.validate(record, decision_schema(version), jsonschema.Draft202012Validator)


decisions = st.builds(
    Decision,
    label=st.sampled_from([*THESIS_9, "unknown", "no signal"]),
    confidence=st.floats(0, 1),
    best=st.sampled_from([*THESIS_9, ""]),
    log_probabilities=st.dictionaries(st.sampled_from(list(THESIS_9)), st.floats(-1e4, 0)),
    chunks=st.integers(1, 10**6),
    sample_index=st.integers(0, 2**50),
    sample_count=st.integers(1, 10**6),
    es_n0_db=st.none() | st.floats(-20, 60),
    power_db=st.none() | st.floats(-300, 100),
    reason=st.sampled_from(REASONS),
    es_n0_bound=st.sampled_from([None, "above", "below"]),
)
places = st.builds(
    Origin,
    source=st.text(),
    symbol_rate=st.floats(5e5, 1e6),
    model=st.just("m"),
    model_sha256=st.just("a" * 64),
    start=st.floats(0, 1e9),
    begun=st.none()
    | st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.just(timezone.utc)),
    sample_rate=st.none() | st.floats(1e-3, 1e9),
    missing=st.integers(-(2**50), 2**50),
    offset=st.none() | st.floats(-1e9, 1e9),
    snr_db=st.none() | st.floats(-50, 150),
)


@pytest.mark.parametrize("version", [1, 2])
def test_the_schemas_are_some(version: int) -> None:
    schema = decision_schema(version)
    jsonschema.Draft202012Validator.check_schema(schema)
    later = LATER if version == 2 else set()
    assert set(schema["required"]) == set(schema["properties"]) - later


LATER = {"symbol_rate_confidence", "equaliser", "burst_begins", "burst_ends"}
LATER |= {"input_dc_db", "input_image_db", "input_clipped_share"}
LATER |= {"measured_es_n0_db", "misfit", "refuted", "alike"}
"""Fields that records of version 2 have had since 0.3; those of 0.2 stay valid."""


def test_records_without_the_fields_that_came_later_stay_valid() -> None:
    record = decision_record(decision(), None, ORIGIN)
    assert set(record) == set(decision_schema()["properties"])
    valid({name: value for name, value in record.items() if name not in LATER})


def test_a_record_has_what_was_seen_of_the_input_and_where_bursts_end() -> None:
    timeline = Timeline(1e3)
    timeline.add_equaliser(0, "")
    timeline.add_border(1_000)
    timeline.add_equaliser(2_000, "prediction")
    report = InputReport(-12.34, None, 0.12)
    origin = Origin("s", 1e3, "m", "0" * 64, symbol_rate_confidence=0.99996, report=report)

    def found(index: int, count: int) -> dict[str, Any]:
        record = decision_record(
            decision(index=index, count=count), None, timeline.locate(origin, index, count)
        )
        valid(record)
        return record

    fields = ("burst_begins", "burst_ends", "equaliser")
    assert [found(0, 1_000)[name] for name in fields] == [False, True, ""]
    assert [found(1_000, 1_024)[name] for name in fields] == [True, False, "prediction"]
    record = found(2_024, 32)
    assert [record[name] for name in fields] == [False, False, "prediction"]
    assert record["symbol_rate_confidence"] == 1.0
    inputs = ("input_dc_db", "input_image_db", "input_clipped_share")
    assert [record[name] for name in inputs] == [-12.3, None, 0.12]


def test_there_is_no_other_schema() -> None:
    for version in (0, 3):
        with pytest.raises(AmrqError, match=f"schema 1 to 2, not {version}"):
            decision_schema(version)


# As `amrq classify --log` and `amrq live --log` wrote them before records had a schema number.
OLD_RECORDS = [
    '{"source": "evening.sigmf-data", "time": 0.020485, "duration": 0.04096, "utc": "2026-02-28T23:59:59.520485Z", '
    '"frequency_hz": 433920000.0, "label": "QPSK", "confidence": 0.999998, "best": "QPSK", "log_probabilities": '
    '{"4ASK": -29.6, "BPSK": -50.2, "QPSK": 0.0, "unknown": -13.1, "no signal": -62.0}, "chunks": 32, '
    '"sample_index": 512, "sample_count": 1024, "es_n0_db": 17.3, "power_db": 0.04, "truth": "QPSK", "dropped": 0, '
    f'"model": "blind-full-int8", "model_sha256": "{"5" * 64}"}}',
    '{"source": "tcp://127.0.0.1:5557", "time": 3.0, "duration": 0.00032, "utc": null, "frequency_hz": null, '
    '"label": "no signal", "confidence": 1.0, "best": "", "log_probabilities": {}, "chunks": 1, "sample_index": 0, '
    '"sample_count": 32, "es_n0_db": null, "power_db": null, "truth": null, "dropped": 7, "model": "m", '
    f'"model_sha256": "{"0" * 64}"}}',
]


@pytest.mark.parametrize("line", OLD_RECORDS)
def test_old_records_keep_the_old_schema_and_only_that(line: str) -> None:
    record = json.loads(line)
    valid(record, 1)
    with pytest.raises(jsonschema.ValidationError):
        valid(record, 2)


def test_new_records_say_what_the_old_ones_said() -> None:
    record = decision_record(decision(), None, ORIGIN)
    new = ("schema", "reason", "es_n0_bound", "source_sample_index", "source_sample_count")
    new += ("symbol_rate_hz", "offset_hz", "snr_db")
    old = {name: value for name, value in record.items() if name not in (*new, *LATER)}
    old["sample_index"], old["sample_count"] = old.pop("symbol_index"), old.pop("symbol_count")
    valid(old, 1)
    with pytest.raises(jsonschema.ValidationError):
        valid(record, 1)


@given(decision=decisions, truth=st.none() | st.text(), origin=places)
def test_every_record_keeps_the_schema(decision: Decision, truth: str | None, origin: Origin) -> None:
    valid(json.loads(json.dumps(decision_record(decision, truth, origin))))


@given(
    start=st.floats(0, 1e6),
    missing=st.integers(-(2**45), 0),
    rates=st.tuples(st.floats(2, 100), st.floats(1, 1e6)),
    index=st.integers(0, 10**9),
    count=st.integers(1, 10**6),
)
def test_samples_of_the_source_follow_each_other_as_symbols_do(
    start: float, missing: int, rates: tuple[float, float], index: int, count: int
) -> None:
    per_symbol, symbol_rate = rates
    rate = per_symbol * symbol_rate
    origin = Origin("s", symbol_rate, "m", "a" * 64, start, sample_rate=rate, missing=missing)
    one = decision_record(decision(index=index, count=count), None, origin)
    two = decision_record(decision(index=index + count), None, origin)
    expected = start * rate + per_symbol * index - missing
    assert one["source_sample_index"] == pytest.approx(expected, rel=1e-12, abs=1)
    end = one["source_sample_index"] + one["source_sample_count"]
    assert abs(end - two["source_sample_index"]) <= 1
    assert (one["symbol_index"], one["symbol_count"], one["symbol_rate_hz"]) == (index, count, symbol_rate)


def test_an_offset_is_told_of_a_signal_alone() -> None:
    origin = Origin("s", 1e3, "m", "0" * 64, sample_rate=4e3, offset=12.3456, snr_db=3.14)
    found = decision_record(decision(), None, origin)
    assert (found["offset_hz"], found["snr_db"], found["schema"], found["reason"]) == (
        12.346,
        3.1,
        2,
        "named",
    )
    assert decision_record(decision("no signal"), None, origin)["offset_hz"] is None
    bare = decision_record(decision(), None, ORIGIN)
    assert [bare[f"source_sample_{what}"] for what in ("index", "count")] == [None, None]
    assert (bare["offset_hz"], bare["snr_db"]) == (None, None)


@pytest.mark.parametrize(
    ("reason", "best", "text"),
    [
        ("named", "QPSK", "QPSK"),
        ("unsure", "8PSK", "unsure, perhaps 8PSK"),
        ("unsure", "no signal", "unsure, perhaps noise"),
        ("unsure", "unknown", "unsure, perhaps outside the classes"),
        ("foreign", "unknown", "unknown, outside the classes"),
        ("noise", "no signal", "noise"),
        ("silent", "", "no signal"),
    ],
)
def test_an_answer_in_words(reason: str, best: str, text: str) -> None:
    assert answer_text(reason, best) == text


def test_a_refuted_name_is_given_in_words() -> None:
    assert answer_text("foreign", "unknown", refuted="16QAM") == "unknown, 16QAM does not fit"


def test_modulations_that_look_alike_are_given_in_words() -> None:
    assert answer_text("named", "8ASK", alike=("16ASK", "12ASK")) == "8ASK, or 16ASK or 12ASK"
    assert answer_text("unsure", "8ASK", alike=("16ASK",)) == "unsure, perhaps 8ASK"


def test_es_n0_is_shown_to_the_accuracy_it_has() -> None:
    found = [es_n0_text(None), es_n0_text(12.4), es_n0_text(20.0, "above"), es_n0_text(-2.0, "below")]
    assert found == ["–", "12 dB", "above 20 dB", "below −2 dB"]


def test_time_and_frequency_are_those_of_the_first_symbol() -> None:
    record = decision_record(decision(index=250), "BPSK", ORIGIN)
    # 0.25 s into the source, and 250 symbols of 1 ms: over the end of a month.
    assert (record["time"], record["duration"], record["utc"]) == (0.5, 1.024, "2026-03-01T00:00:00.000000Z")
    assert (record["frequency_hz"], record["truth"]) == (100e6, "BPSK")
    assert decision_record(decision(index=1750), None, ORIGIN)["frequency_hz"] == 101e6
    bare = decision_record(decision(), None, Origin("file", 1.0, "m", "0" * 64))
    assert (bare["utc"], bare["frequency_hz"], bare["truth"]) == (None, None, None)


def test_another_time_zone_is_the_same_moment() -> None:
    east = Origin("r", 1.0, "m", "0" * 64, 0.0, BEGUN.astimezone(timezone(timedelta(hours=9))))
    assert decision_record(decision(), None, east)["utc"] == "2026-02-28T23:59:59.500000Z"


@given(sizes=st.lists(st.integers(0, 1500), max_size=40), kept=st.integers(1, 4))
def test_a_log_rotates_and_splits_no_line(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], kept: int
) -> None:
    path = tmp_path_factory.mktemp("log") / "log.jsonl"
    path.write_text('{"n": -1}\n')  # what already exists stays
    log = JsonLinesFile(path, 1_000, kept)
    for number, size in enumerate(sizes):
        log.write({"n": number, "x": "y" * size})
    log.close()
    files = [path, *(Path(f"{path}.{n}") for n in range(1, kept + 1))]
    assert {p.name for p in path.parent.iterdir()} <= {f.name for f in files}
    found = [
        json.loads(line)["n"]
        for file in reversed(files)
        if file.exists()
        for line in file.read_text().splitlines()
    ]
    # The newest ones, in order, without a gap.
    assert found == list(range(-1, len(sizes)))[-len(found) :]
    assert all(
        file.stat().st_size <= 1_000 or file.read_text().count("\n") == 1 for file in files if file.exists()
    )


def test_a_log_that_cannot_be_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AmrqError, match="cannot be opened"):
        JsonLinesFile(tmp_path / "none" / "log")
    with pytest.raises(AmrqError, match="at least 1000 bytes"):
        JsonLinesFile(tmp_path / "log", 10)
    if os.path.exists("/dev/full"):
        log = JsonLinesFile("/dev/full")
        with pytest.raises(AmrqError, match="cannot be written: No space left"):
            log.write({"a": 1})
        log.close()  # says nothing more


def test_a_rotation_that_fails_is_reported_and_loses_no_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    log = JsonLinesFile("log.jsonl", 1_000, 1)
    monkeypatch.chdir("/")  # the former files stay beside it wherever the process goes
    line = {"x": "y" * 600}
    log.write(line)
    in_the_way = tmp_path / "log.jsonl.1"
    in_the_way.mkdir()
    for _ in range(2):
        with pytest.raises(AmrqError, match=r"the log log\.jsonl cannot be written: "):
            log.write(line)
    assert (tmp_path / "log.jsonl").read_text() == json.dumps(line) + "\n"
    in_the_way.rmdir()
    log.write(line)
    log.close()
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["log.jsonl", "log.jsonl.1"]


def test_a_log_may_be_a_pipe(tmp_path: Path) -> None:
    path = tmp_path / "log.fifo"
    os.mkfifo(path)
    with pytest.raises(AmrqError, match="cannot be opened: no program reads from this pipe"):
        JsonLinesFile(path)  # and does not wait for one
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    log = JsonLinesFile(path, 1_000)
    for number in range(200):  # more than the largest file
        log.write({"a": number})
    assert os.read(reader, 65_536) == b"".join(b'{"a": %d}\n' % number for number in range(200))
    os.close(reader)
    with pytest.raises(AmrqError, match="cannot be written: Broken pipe"):
        log.write({"a": 1})
    log.close()
    assert [entry.name for entry in tmp_path.iterdir()] == ["log.fifo"]


def test_a_subscriber_reads_json_and_needs_nothing_else() -> None:
    publisher = ZmqPublisher("tcp://127.0.0.1:*")
    with zmq.Context() as context, context.socket(zmq.SUB) as subscriber:
        subscriber.connect(publisher.endpoint)
        subscriber.subscribe(b"")
        record = decision_record(decision(), None, ORIGIN)
        # A subscription takes a moment to arrive; until then records go nowhere, as they should.
        for _ in range(200):
            publisher.write(record)
            if subscriber.poll(50):
                break
        (frame,) = subscriber.recv_multipart(zmq.NOBLOCK)
        assert json.loads(frame) == record
        valid(json.loads(frame))
    publisher.close()


def test_an_endpoint_that_cannot_be_is_refused() -> None:
    publisher = ZmqPublisher("tcp://127.0.0.1:0")
    for endpoint in (publisher.endpoint, "nonsense", "tcp://192.0.2.1:5556"):
        with pytest.raises(AmrqError, match="cannot be published at"):
            ZmqPublisher(endpoint)
    publisher.close()


def recording(folder: Path, annotations: list[dict[str, object]]) -> Path:
    np.zeros(30_000, np.complex64).tofile(folder / "r.sigmf-data")
    meta = {
        "global": {"core:datatype": "cf32_le", "core:sample_rate": 4000.0, "core:version": "1.0.0"},
        "captures": [
            {
                "core:sample_start": 400,
                "core:frequency": 1e8,
                "core:datetime": "2026-03-01T00:00:00.123456789Z",
            }
        ],
        "annotations": annotations,
    }
    path = folder / "r.sigmf-meta"
    path.write_text(json.dumps(meta))
    return path


def test_decisions_become_annotations(tmp_path: Path) -> None:
    theirs = {"core:sample_start": 5000, "core:sample_count": 10, "core:label": "beacon"}
    old = {
        "core:sample_start": 0,
        "core:sample_count": 5,
        "core:label": "BPSK",
        "core:generator": "gr-amrq 0.0.1",
    }
    path = recording(tmp_path, [theirs, old])
    out = AnnotationFile(tmp_path / "r.sigmf-data", path, bandwidth=1350.0)
    for label, index, confidence in (
        ("QPSK", 0, 0.9),
        ("QPSK", 1024, 0.95),
        ("no signal", 2048, 1.0),
        ("QPSK", 3072, 0.8),
        ("unknown", 4096, 0.5),
    ):
        out.write(decision_record(decision(label, index, confidence=confidence), None, ORIGIN))
    out.close()
    found = sigmf.fromfile(str(path))
    found.validate()
    mine = [a for a in found.get_annotations() if a.get("core:generator", "").startswith("gr-amrq")]
    # Symbols of 1 ms, 4 samples each, from 0.25 s on.
    assert [(a["core:sample_start"], a["core:sample_count"], a["core:label"]) for a in mine] == [
        (1000, 8192, "QPSK"),
        (13288, 4096, "QPSK"),
        (17384, 4096, "unknown"),
    ]
    comments = [a["core:comment"] for a in mine]
    assert comments[0] == "QPSK: confidence 0.900 to 0.950, 64 chunks, model m"
    assert comments[2] == "unsure, perhaps QPSK: confidence 0.500, 32 chunks, model m"
    assert mine[0]["core:freq_upper_edge"] - mine[0]["core:freq_lower_edge"] == 1350
    labels = [a["core:label"] for a in found.get_annotations()]
    assert "beacon" in labels and "BPSK" not in labels
    starts = [a["core:sample_start"] for a in found.get_annotations()]
    assert starts == sorted(starts)


def test_what_cannot_be_annotated_is_refused(tmp_path: Path) -> None:
    path = recording(tmp_path, [])
    with pytest.raises(AmrqError, match="annotations go into a file"):
        AnnotationFile(path, tmp_path / "a.json")
    with pytest.raises(AmrqError, match="cannot be annotated"):
        AnnotationFile(tmp_path / "none", tmp_path / "a.sigmf-meta")
    out = AnnotationFile(path, tmp_path / "none" / "a.sigmf-meta")
    with pytest.raises(AmrqError, match="there is no folder"):
        out.check()
    out.write(decision_record(decision("QPSK", 0), None, ORIGIN))
    with pytest.raises(AmrqError, match="cannot be written"):
        out.close()
    meta = json.loads(path.read_text())
    path.write_text(json.dumps(meta | {"captures": [{"core:sample_start": 0, "core:frequency": None}]}))
    with pytest.raises(AmrqError, match="its metadata are not valid SigMF"):
        AnnotationFile(path, path).check()
    for broken in ({"annotations": [{}]}, {"annotations": {"a": 1}}, {"global": []}):
        path.write_text(json.dumps(meta | broken))
        with pytest.raises(AmrqError, match="cannot be annotated"):
            AnnotationFile(path, path)
    with pytest.raises(AmrqError, match="of an archive unpacked"):
        AnnotationFile(tmp_path / "a.sigmf", path)


def test_a_recording_of_which_nothing_was_said_keeps_its_annotations(tmp_path: Path) -> None:
    path = recording(
        tmp_path, [{"core:sample_start": 0, "core:label": "BPSK", "core:generator": "gr-amrq 0.0.1"}]
    )
    before = path.read_bytes()
    AnnotationFile(path, path).close()
    assert path.read_bytes() == before


def test_a_recording_knows_when_it_began(tmp_path: Path) -> None:
    # The capture begins 400 samples, a tenth of a second, into the recording.
    begun = open_recording(recording(tmp_path, [])).begun
    assert begun == datetime(2026, 3, 1, 0, 0, 0, 23_456, timezone.utc)
