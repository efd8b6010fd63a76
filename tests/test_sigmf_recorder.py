# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes of a stream as SigMF recordings."""

import errno
import json
import threading
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sigmf
from patience import PATIENCE

from amrq.errors import AmrqError
from amrq.outputs import SigmfRecorder
from amrq.recordings import open_recording

RATE = 1000.0
NOW = 1_800_000_000.0


def ramp(first: int, count: int) -> np.ndarray:
    """Sample n of the stream is n."""
    return np.arange(first, first + count).astype(np.complex64)


def decision(begin: float, seconds: float, label: str = "QPSK") -> dict[str, Any]:
    return {
        "time": begin,
        "duration": seconds,
        "symbol_index": round(begin * RATE),
        "symbol_count": round(seconds * RATE),
        "reason": "named",
        "best": label,
        "label": label,
        "confidence": 0.9,
        "chunks": 32,
        "frequency_hz": 100e6,
        "model": "m",
    }


def metadata(folder: Path, take: str = "r-001") -> dict[str, Any]:
    document = json.loads((folder / f"{take}.sigmf-meta").read_text())
    sigmf.SigMFFile(metadata=document).validate()
    return document


def samples(folder: Path, take: str = "r-001") -> np.ndarray:
    recording = open_recording(folder / f"{take}.sigmf-meta")
    return recording.read(0, recording.length)


def spans(document: dict[str, Any]) -> list[tuple[int, int, str]]:
    return [
        (a["core:sample_start"], a["core:sample_count"], a["core:label"]) for a in document["annotations"]
    ]


def moment(capture: dict[str, Any]) -> float:
    return datetime.fromisoformat(capture["core:datetime"].replace("Z", "+00:00")).timestamp()


def test_a_take_holds_what_came_while_it_was_on_and_what_was_decided_of_it(tmp_path: Path) -> None:
    recorder = SigmfRecorder(tmp_path / "r", RATE, frequency=1e9, bandwidth=100.0)
    recorder.add_time(0, NOW, NOW)
    recorder.write(0, ramp(0, 500))
    assert recorder.begin() == "r-001"
    for first in range(500, 1500, 100):
        recorder.write(first, ramp(first, 100))
    recorder.annotate(decision(0.4, 0.3))  # began before the take
    recorder.annotate(decision(0.7, 0.2))
    recorder.annotate(decision(0.9, 0.1, "BPSK"))
    recorder.end()
    recorder.write(1500, ramp(1500, 500))
    recorder.annotate(decision(1.3, 0.4, "8PSK"))  # falls when the take is over
    recorder.annotate(decision(1.7, 0.1))
    recorder.close()

    np.testing.assert_array_equal(samples(tmp_path), ramp(500, 1000))
    document = metadata(tmp_path)
    assert spans(document) == [(0, 400, "QPSK"), (400, 100, "BPSK"), (800, 200, "8PSK")]
    (capture,) = document["captures"]
    assert capture["core:frequency"] == 1e9 and capture["core:global_index"] == 500
    assert moment(capture) == pytest.approx(NOW + 0.5, abs=1e-5)
    first = document["annotations"][0]
    assert (first["core:freq_lower_edge"], first["core:freq_upper_edge"]) == (100e6 - 50, 100e6 + 50)
    assert not list(tmp_path.glob("*.part"))


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "r-001.sigmf-data").write_bytes(b"precious")
    (tmp_path / "r-002.sigmf-meta").write_text("precious")
    recorder = SigmfRecorder(tmp_path / "r", RATE)
    takes = []
    for number in range(2):
        takes.append(recorder.begin())
        recorder.write(100 * number, ramp(100 * number, 100))
    recorder.close()
    assert takes == ["r-003", "r-004"]
    assert (tmp_path / "r-001.sigmf-data").read_bytes() == b"precious"
    assert (tmp_path / "r-002.sigmf-meta").read_text() == "precious"
    np.testing.assert_array_equal(samples(tmp_path, "r-004"), ramp(100, 100))


def test_a_take_without_a_number_is_the_only_one(tmp_path: Path) -> None:
    recorder = SigmfRecorder(tmp_path / "r", RATE, numbered=False, description="of a test")
    assert recorder.begin() == "r"
    recorder.write(0, ramp(0, 100))
    recorder.close()
    np.testing.assert_array_equal(samples(tmp_path, "r"), ramp(0, 100))
    assert metadata(tmp_path, "r")["global"]["core:description"] == "of a test"
    with pytest.raises(AmrqError, match=r"r\.sigmf-data already exists"):
        recorder.begin()


def test_decisions_that_come_before_their_samples_wait_for_them(tmp_path: Path) -> None:
    recorder = SigmfRecorder(tmp_path / "r", RATE, bandwidth=100.0)
    recorder.begin()
    recorder.annotate(decision(0.0, 0.2))
    recorder.write(0, ramp(0, 100))
    recorder.write(100, ramp(100, 100))
    recorder.set_bandwidth(200.0)
    recorder.annotate(decision(0.2, 0.2, "BPSK"))
    recorder.write(200, ramp(200, 150))
    recorder.close()
    document = metadata(tmp_path)
    assert spans(document) == [(0, 200, "QPSK"), (200, 150, "BPSK")]
    edges = [a["core:freq_upper_edge"] - a["core:freq_lower_edge"] for a in document["annotations"]]
    assert edges == [100.0, 200.0]


def test_a_take_of_nothing_leaves_nothing(tmp_path: Path) -> None:
    recorder = SigmfRecorder(tmp_path / "r", RATE)
    recorder.begin()
    recorder.close()
    assert list(tmp_path.iterdir()) == []


def test_the_stream_does_not_wait_for_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = threading.Event()
    write = SigmfRecorder._write

    def slow(*arguments: Any) -> None:
        assert written.wait(PATIENCE)
        write(*arguments)

    monkeypatch.setattr(SigmfRecorder, "_write", slow)
    recorder = SigmfRecorder(tmp_path / "r", RATE, queue_seconds=0.5)
    recorder.add_time(0, NOW, NOW)
    recorder.begin()
    for first in range(0, 3000, 100):
        recorder.write(first, ramp(first, 100))
    assert recorder.state().dropped == 2500
    written.set()
    while recorder.state().samples == 500:  # it takes samples again once half of the queue is written
        recorder.write(first := first + 100, ramp(first, 100))
    recorder.annotate(decision(0.0, (first + 100) / RATE))
    recorder.close()
    state = recorder.state()
    assert state.samples + state.dropped == first + 100
    got, document = samples(tmp_path), metadata(tmp_path)
    before, behind = document["captures"]
    assert (before["core:sample_start"], behind["core:sample_start"]) == (0, 500)
    assert behind["core:global_index"] == first
    assert moment(behind) - moment(before) == pytest.approx(first / RATE, abs=1e-5)
    np.testing.assert_array_equal(got, [*ramp(0, 500), *ramp(first, 100)])
    assert spans(document) == [(0, 600, "QPSK")]


def test_breaks_of_the_stream_begin_captures_of_their_own(tmp_path: Path) -> None:
    recorder = SigmfRecorder(tmp_path / "r", RATE)
    recorder.add_frequency(0, 1e9)
    recorder.add_arrival(100, NOW)
    recorder.begin()
    recorder.write(0, ramp(0, 100))
    recorder.add_frequency(130, 2e9)
    recorder.add_break(160)
    recorder.add_arrival(200, NOW + 5)
    recorder.write(100, ramp(100, 100))
    recorder.close()
    np.testing.assert_array_equal(samples(tmp_path), ramp(0, 200))
    captures = metadata(tmp_path)["captures"]
    assert [capture["core:sample_start"] for capture in captures] == [0, 130, 160]
    assert [capture["core:frequency"] for capture in captures] == [1e9, 2e9, 2e9]
    times = [NOW - 0.1, NOW - 0.1 + 0.13, NOW + 5 - 0.04]
    assert [moment(capture) for capture in captures] == pytest.approx(times, abs=1e-5)
    assert open_recording(tmp_path / "r-001.sigmf-meta").tunings == ((0, 1e9), (130, 2e9), (160, 2e9))


class FullDisk:
    """A file that takes so many bytes."""

    def __init__(self, file: Any, room: int) -> None:
        self._file, self._room = file, room

    def write(self, data: memoryview) -> int:
        if not self._room:
            raise OSError(errno.ENOSPC, "No space left on device")
        taken = self._file.write(data[: self._room])
        self._room -= taken
        return taken

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def test_a_full_disk_ends_the_take_and_keeps_what_is_there(tmp_path: Path) -> None:
    recorder = SigmfRecorder(tmp_path / "r", RATE)
    recorder.begin()
    take = recorder._take
    assert take is not None
    take.file = FullDisk(take.file, 150 * 8 + 3)  # type: ignore[assignment]
    for first in range(0, 500, 100):
        recorder.write(first, ramp(first, 100))
        recorder.annotate(decision(first / RATE, 0.1, f"class {first}"))
    recorder.close()
    assert "No space left" in recorder.state().failure
    np.testing.assert_array_equal(samples(tmp_path), ramp(0, 150))
    assert spans(metadata(tmp_path)) == [(0, 100, "class 0"), (100, 50, "class 100")]


def test_what_cannot_be_is_refused(tmp_path: Path) -> None:
    for arguments, words in (
        ((tmp_path / "none" / "r", RATE), "nothing can be recorded"),
        ((tmp_path / "", 0.0), "above 0 Hz"),
        ((tmp_path / "r", RATE, None, None, 0.0), "up to an hour"),
        (("", RATE), "nothing can be recorded"),
    ):
        with pytest.raises(AmrqError, match=words):
            SigmfRecorder(*arguments)
