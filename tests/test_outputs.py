# SPDX-License-Identifier: GPL-3.0-or-later
"""Decisions on their way out."""

import json
import os
from datetime import datetime, timedelta, timezone
from pathlib import Path

import jsonschema
import numpy as np
import pytest
import sigmf
import zmq
from hypothesis import given
from hypothesis import strategies as st

from amrq.decision import Decision
from amrq.errors import AmrqError
from amrq.modulations import MODULATIONS
from amrq.outputs import (
    AnnotationFile,
    JsonLinesFile,
    Origin,
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
    return Decision(label, confidence, "" if silent else "QPSK", odds, 32, index, count, 12.0, -3.0)


def valid(record: object) -> None:
    jsonschema.validate(record, decision_schema(), jsonschema.Draft202012Validator)


decisions = st.builds(
    Decision,
    label=st.sampled_from([*MODULATIONS, "unknown", "no signal"]),
    confidence=st.floats(0, 1),
    best=st.sampled_from([*MODULATIONS, ""]),
    log_probabilities=st.dictionaries(st.sampled_from(list(MODULATIONS)), st.floats(-1e4, 0)),
    chunks=st.integers(1, 10**6),
    sample_index=st.integers(0, 2**50),
    sample_count=st.integers(1, 10**6),
    es_n0_db=st.none() | st.floats(-20, 60),
    power_db=st.none() | st.floats(-300, 100),
)


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(decision_schema())
    assert set(decision_schema()["required"]) == set(decision_schema()["properties"])


@given(
    decision=decisions,
    truth=st.none() | st.text(),
    begun=st.none() | st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1)),
)
def test_every_record_keeps_the_schema(decision: Decision, truth: str | None, begun: datetime | None) -> None:
    at = None if begun is None else begun.replace(tzinfo=timezone.utc)
    record = decision_record(decision, truth, Origin("s", 1e6, "m", "a" * 64, 0.0, at))
    valid(json.loads(json.dumps(record)))


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
    path.write_text('{"n": -1}\n')  # what is there already stays
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
    assert mine[0]["core:comment"] == "confidence 0.900 to 0.950, 64 chunks, model m"
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
    with pytest.raises(AmrqError, match="cannot be written"):
        out.close()


def test_a_recording_knows_when_it_began(tmp_path: Path) -> None:
    # The capture begins 400 samples, a tenth of a second, into the recording.
    begun = open_recording(recording(tmp_path, [])).begun
    assert begun == datetime(2026, 3, 1, 0, 0, 0, 23_456, timezone.utc)
