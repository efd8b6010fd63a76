# SPDX-License-Identifier: GPL-3.0-or-later
"""What is kept of a scan: the history, recordings of emissions; when others hold the file, or the disk is full."""

import contextlib
import json
import os
import resource
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from prometheus_text import read_metrics
from run_amrq import amrq_here, refused
from seeds import rng

from amrq.channel import Channel, SampleRing
from amrq.errors import AmrqError, OutputError
from amrq.outputs import EmissionCounters, HistoryQuery, ScanHistory, ScanState, read_history
from amrq.recordings import open_recording
from amrq.scan import EmissionRecorder

RATE = 100e3


def over(id: int, **more: Any) -> dict[str, Any]:
    """The record of an emission that is over, as far as a history and a recorder need it."""
    return {
        "event": "end",
        "utc": None,
        "source": "radio",
        "id": id,
        "label": "QPSK",
        "reason": "named",
        "confidence": 1.0,
        "freq_lower_edge": 1e6,
        "freq_upper_edge": 2e6,
        "frequency_hz": None,
        "offset_hz": 0.0,
        "sample_start": 0,
        "sample_count": 1,
        "bandwidth_hz": 1e6,
        "snr_db": 20.0,
        "symbol_rate_hz": None,
        "time": 0.0,
        "duration": 1.0,
    } | more


def ids(path: Path, query: HistoryQuery | None = None) -> list[int]:
    return [record["id"] for record in read_history(path, query)]


# The history


def test_a_record_is_in_the_history_at_once_and_scans_write_side_by_side(tmp_path: Path) -> None:
    path = tmp_path / "scan.sqlite"
    first, second = ScanHistory(path), ScanHistory(path)
    for number in range(3):
        first.write(over(2 * number))
        second.write(over(2 * number + 1))
        assert ids(path) == list(range(2 * number + 2))
    second.close()
    first.write(over(6))
    assert ids(path) == list(range(7))
    first.close()
    assert sorted(one.name for one in tmp_path.iterdir()) == ["scan.sqlite"]  # nothing is left beside it


def test_a_part_of_an_emission_is_none_of_its_own(tmp_path: Path) -> None:
    path, metrics = tmp_path / "scan.sqlite", tmp_path / "scan.prom"
    history, counters = ScanHistory(path), EmissionCounters(metrics, lambda: ScanState("radio"))
    for record in (over(1), over(2, part_of=1, label="unknown"), over(3, part_of=None)):
        history.write(record)
        counters.write({"family": "linear", **record})
    history.close()
    counters.close()
    assert ids(path) == [1, 3]
    ended = read_metrics(metrics.read_text())["amrq_scan_emissions_total"]
    assert ended.values == {(("family", "linear"), ("label", "QPSK")): 2}


def test_a_reader_that_takes_its_time_holds_up_nobody(tmp_path: Path) -> None:
    path = tmp_path / "scan.sqlite"
    history = ScanHistory(path)
    for number in range(300):
        history.write(over(number))
    reader = read_history(path)
    assert next(reader)["id"] == 0
    slow = sqlite3.connect(path)
    cursor = slow.execute("SELECT * FROM emissions")
    cursor.fetchone()
    history.write(over(300))
    assert ids(path)[-1] == 300
    slow.close()
    assert len(list(reader)) == 299
    history.close()


def test_a_locked_history_stops_no_scan_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("amrq.outputs.history._HELD_UP", 0.0)
    monkeypatch.setattr("amrq.outputs.history._AGAIN", 0.0)
    path, said = tmp_path / "scan.sqlite", list[str]()
    history = ScanHistory(path, said.append)
    history.write(over(0))
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    for number in range(1, 4):
        history.write(over(number))
    assert len(said) == 1 and "cannot be written now" in said[0] and ids(path) == [0]
    other.execute("COMMIT")
    history.write(over(4))
    assert ids(path) == [0, 1, 2, 3, 4]
    history.close()


def test_what_a_locked_history_never_took_is_counted_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("_HELD_UP", 0.0), ("_AGAIN", 0.0), ("_PATIENCE", 0.05), ("_MOST_WAITING", 3)):
        monkeypatch.setattr(f"amrq.outputs.history.{name}", value)
    path = tmp_path / "scan.sqlite"
    ScanHistory(path).close()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    history = ScanHistory(path)  # locked from the beginning
    for number in range(5):
        history.write(over(number))
    with pytest.raises(OutputError, match=r"5 emissions not kept: .*locked\.$"):
        history.close()
    with pytest.raises(AmrqError, match="another program holds it"):
        ids(path)
    other.execute("COMMIT")
    other.close()
    assert ids(path) == []


def test_numbers_and_names_that_sqlite_cannot_hold(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "scan.sqlite"
    history = ScanHistory(path)
    history.write(over(1, source=os.fsdecode(b"caf\xe9.sigmf-meta"), label="\udce9"))
    history.close()
    assert ids(path, HistoryQuery(most=10**20)) == [1]
    listed = amrq_here(capfd, "history", path, "--most", str(10**20))
    assert listed.returncode == 0 and "1 emission" in listed.stdout
    assert json.loads(amrq_here(capfd, "history", path, "--json").stdout)["id"] == 1


def test_a_history_is_asked_for_a_label_that_is_no_text(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "scan.sqlite"
    history = ScanHistory(path)
    history.write(over(1))
    history.write(over(2, label="\udcff"))
    history.close()
    assert ids(path, HistoryQuery(label="\udcff")) == [2]
    listed = amrq_here(capfd, "history", path, "--label", "\udcff")
    assert listed.returncode == 0 and "1 emission" in listed.stdout


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_history_in_a_folder_that_cannot_be_written_is_read(tmp_path: Path) -> None:
    """As from a scan that was killed: SQLite's other files are gone, or cannot be made."""
    folder = tmp_path / "kept"
    folder.mkdir()
    path = folder / "scan.sqlite"
    with contextlib.closing(sqlite3.connect(path)) as file:
        file.execute("PRAGMA journal_mode = WAL")
    history = ScanHistory(path)
    history.write(over(7))
    history.close()
    folder.chmod(0o555)
    try:
        assert ids(path) == [7]
    finally:
        folder.chmod(0o755)


def opened() -> list[str]:
    """Return the files that this process has open."""
    found = []
    for one in Path("/proc/self/fd").glob("*"):
        with contextlib.suppress(OSError):
            found.append(os.readlink(one))
    return found


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="open files are not to be seen here")
def test_a_file_that_is_refused_is_closed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "other.sqlite"
    with contextlib.closing(sqlite3.connect(path)) as file:
        file.execute("CREATE TABLE letters (a TEXT)")
    with pytest.raises(OutputError, match="not a history") as caught:
        ScanHistory(path)
    # The traceback still holds the object, whose connection would close itself otherwise.
    assert caught.traceback and str(path) not in opened()
    refused(amrq_here(capfd, "history", path), "not a history")


# Recordings of emissions


CHANNEL = Channel(10e3, 20e3)


@pytest.fixture
def ring() -> SampleRing:
    """2 s of a band: a carrier at 10 kHz in little noise."""
    ring = SampleRing(RATE, 2.0)
    ring.append(carrier(200_000))
    return ring


def carrier(count: int, first: int = 0) -> NDArray[np.complex64]:
    noise = rng("a band to record").normal(size=(count, 2)) @ [0.001, 0.001j]
    return (np.exp(2j * np.pi * 0.1 * np.arange(first, first + count)) + noise).astype(np.complex64)


def test_each_time_that_an_emission_is_on_is_a_recording_of_its_own(ring: SampleRing, tmp_path: Path) -> None:
    """The second one begins before what comes after the first one has been written."""
    recorder = EmissionRecorder(tmp_path, ring, margin=0.3)
    first, second = (over(1, sample_start=start, sample_count=20_000) for start in (50_000, 90_000))
    recorder.begin((1, 1), 50_000, CHANNEL, "QPSK", first)
    recorder.end((1, 1), 70_000, first)
    recorder.begin((1, 2), 90_000, CHANNEL, "QPSK", second)
    recorder.advance()
    recorder.end((1, 2), 110_000, second)
    recorder.close()
    assert len(recorder.written) == 2
    for path, start in zip(recorder.written, (50_000, 90_000), strict=True):
        one = open_recording(path)
        [annotation] = one.annotations
        [capture] = json.loads(path.read_text())["captures"]
        assert capture["core:global_index"] == start - 30_000
        assert one.length / one.sample_rate == pytest.approx(0.8, abs=1e-3)
        assert annotation.start / one.sample_rate == pytest.approx(0.3, abs=1e-3)


def test_what_is_around_an_emission_never_reaches_over_a_break(ring: SampleRing, tmp_path: Path) -> None:
    """Into another band, after a retune; a break may come when the end is known already."""
    ring.add_break()
    ring.append(carrier(50_000, 200_000))
    recorder = EmissionRecorder(tmp_path, ring, margin=0.3)
    before, after = over(1, sample_start=190_000, sample_count=8_000), over(2, sample_start=210_000)
    recorder.begin((1, 1), 190_000, CHANNEL, "before", before)
    recorder.end((1, 1), 198_000, before)
    recorder.begin((2, 1), 210_000, CHANNEL, "after", after)
    recorder.end((2, 1), 240_000, after)
    recorder.advance()
    ring.add_break()
    ring.append(carrier(50_000, 250_000))
    recorder.close()
    places = []
    for path in recorder.written:
        one = open_recording(path)
        [capture] = json.loads(path.read_text())["captures"]
        places += [capture["core:global_index"], round(one.length / one.sample_rate * RATE)]
    assert places == pytest.approx([160_000, 40_000, 200_000, 50_000], abs=100)


def test_what_is_over_makes_room_and_what_found_none_counts_once(ring: SampleRing, tmp_path: Path) -> None:
    recorder = EmissionRecorder(tmp_path, ring, most=2)
    for id in (1, 2, 3):  # before anything is written
        recorder.begin((id, 1), 50_000, CHANNEL, "QPSK", over(id))
        if id < 3:
            recorder.end((id, 1), 60_000, over(id))
    assert len(recorder.written) == 2 and recorder.left_out == 0
    for id in (4, 5, 6):
        recorder.begin((id, 1), 50_000, CHANNEL, "QPSK", over(id))
    assert recorder.left_out == 2
    recorder.end((3, 1), 60_000, over(3))
    for id in (5, 6, 5):  # they change: the first finds room now
        recorder.begin((id, 1), 50_000, CHANNEL, "QPSK", over(id))
    assert recorder.left_out == 1
    recorder.end((6, 1), 60_000, over(6))
    assert recorder.left_out == 1
    recorder.close()
    assert len(recorder.written) == 5


def test_what_has_gone_is_zeros_and_times_stay_right(ring: SampleRing, tmp_path: Path) -> None:
    recorder = EmissionRecorder(tmp_path, ring, margin=0.0)
    record = over(1, sample_start=100_000, sample_count=350_000)
    recorder.begin((1, 1), 100_000, CHANNEL, "QPSK", record)
    recorder.advance()  # up to sample 140,000: what is on is written later
    ring.append(carrier(300_000, 200_000))  # the ring holds 300,000 to 500,000 now
    recorder.end((1, 1), 450_000, record)
    recorder.close()
    [path] = recorder.written
    one = open_recording(path)
    assert one.length / one.sample_rate == pytest.approx(3.5, abs=1e-3)
    power = np.abs(one.read(0, one.length)) ** 2
    at = 1.0 + np.arange(one.length) / one.sample_rate
    for low, high, level in ((1.01, 1.39, 1.0), (1.41, 2.99, 0.0), (3.01, 4.49, 1.0)):
        assert np.abs(power[(at > low) & (at < high)] - level).max() < 0.05
    assert "160000 samples of the band had gone and are zeros" in path.read_text()


def test_samples_that_go_while_they_are_read_are_zeros(
    ring: SampleRing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = EmissionRecorder(tmp_path, ring, margin=0.0)
    recorder.begin((1, 1), 0, CHANNEL, "QPSK", over(1))
    read, late = ring.read, iter([50_000])

    def overtaken(start: int, stop: int) -> NDArray[np.complex64]:
        for count in late:  # the writer is faster, once
            ring.append(carrier(count, 200_000))
        return read(start, stop)

    monkeypatch.setattr(ring, "read", overtaken)
    recorder.close()
    [path] = recorder.written
    assert open_recording(path).length > 0 and "50000 samples of the band had gone" in path.read_text()


def test_an_error_leaves_whole_recordings(ring: SampleRing, tmp_path: Path) -> None:
    recorder = EmissionRecorder(tmp_path, ring)
    recorder.begin((1, 1), 150_000, CHANNEL, "16QAM/8\udce9", over(1, sample_start=150_000, frequency_hz=1e8))
    recorder.close()  # as a session that fails does
    [path] = recorder.written
    one = open_recording(path)
    assert path.name == "16QAM-8-.sigmf-meta" and one.length / one.sample_rate == pytest.approx(
        0.52, abs=0.01
    )
    assert one.tunings[0][1] == pytest.approx(100.01e6)


@contextlib.contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Let the system refuse to write beyond a size, as it does when a disk is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_ends_a_recording_and_is_said_once(ring: SampleRing, tmp_path: Path) -> None:
    said: list[str] = []
    recorder = EmissionRecorder(tmp_path, ring, margin=0.0, say=said.append)
    for id in (1, 2):
        recorder.begin((id, 1), 0, CHANNEL, "QPSK", over(id))
    with files_of_at_most(50_001):
        recorder.advance()
    assert len(said) == 1 and "the recording ends there, and the scan goes on" in said[0]
    assert recorder.failed == 2
    recorder.begin((3, 1), 150_000, CHANNEL, "BPSK", over(3))
    with pytest.raises(OutputError, match="2 recordings not complete"):
        recorder.close()
    assert len(recorder.written) == 3  # of the first two what could be written
    for path in recorder.written:
        assert open_recording(path).length * 8 > 0 and path.with_suffix(".sigmf-data").stat().st_size % 8 == 0


def test_a_folder_that_went_away_stops_no_scan(ring: SampleRing, tmp_path: Path) -> None:
    said: list[str] = []
    folder = tmp_path / "catches"
    folder.mkdir()
    recorder = EmissionRecorder(folder, ring, say=said.append)
    folder.rmdir()
    recorder.begin((1, 1), 0, CHANNEL, "QPSK", over(1))
    recorder.advance()
    assert recorder.failed == 1 and len(said) == 1 and "cannot be written" in said[0]
