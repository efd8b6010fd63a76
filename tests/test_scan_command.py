# SPDX-License-Identifier: GPL-3.0-or-later
"""`amrq scan` and `amrq history`, as a user types them."""

import importlib.util
import json
import math
import re
import shutil
import signal
import sqlite3
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from file_radio import HEADER, build_file_radio
from run_amrq import amrq_here, refused, run, start_amrq, the_rest, warm
from seeds import rng

from amrq.classes import linear_class
from amrq.errors import AmrqError
from amrq.outputs import HistoryQuery, ScanHistory, emission_schema, read_history
from amrq.recordings import write_sigmf
from amrq.signals import received_signal

ROOT = Path(__file__).resolve().parents[1]
RATE = 400e3
SCHEMA = jsonschema.Draft202012Validator(emission_schema())


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """QPSK of 10 kBd and a carrier in noise, at 433.92 MHz."""
    generator, count = rng("a band for the command"), 240_000
    at = np.arange(count)
    symbols = generator.choice(linear_class("QPSK").points, 6_100)
    made = 0.1 * received_signal(symbols, 40.0, 0.35, math.inf, generator)[:count]
    made = made * np.exp(2j * np.pi * -0.2 * at) + 0.02 * np.exp(2j * np.pi * 0.25 * at)
    made = made + 0.05 * (generator.normal(size=count) + 1j * generator.normal(size=count))
    path = tmp_path_factory.mktemp("command") / "band.sigmf-meta"
    made.astype("<c8").tofile(path.with_suffix(".sigmf-data"))
    write_sigmf(path, RATE, 433.92e6, "QPSK and a carrier.")
    return path


def test_a_recording_as_json_and_its_history(
    recording: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    database = tmp_path / "scan.sqlite"
    result = amrq_here(capfd, "scan", recording, "--json", "--events", "--database", database)
    assert result.returncode == 0, result.stderr
    records = [json.loads(line) for line in result.stdout.splitlines()]
    for record in records:
        SCHEMA.validate(record)
    ended = {record["label"]: record for record in records if record["event"] == "end"}
    assert {"QPSK", "carrier"} <= set(ended)
    assert ended["QPSK"]["frequency_hz"] == pytest.approx(433.84e6, abs=300)
    assert ended["carrier"]["frequency_hz"] == pytest.approx(434.02e6, abs=300)
    assert {record["event"] for record in records} == {"begin", "change", "end"}
    listed = amrq_here(capfd, "history", database, "--json", "--label", "qpsk", "--since", "1h")
    assert [json.loads(line) for line in listed.stdout.splitlines()] == [ended["QPSK"]]
    table = amrq_here(capfd, "history", database, "--freq", "434M:435M")
    assert "carrier" in table.stdout and "QPSK" not in table.stdout
    assert "434.02" in table.stdout and "symbol rate" in table.stdout  # whole, though there is no terminal
    assert amrq_here(capfd, "history", database, "--until", "2001-01-01").stdout.strip() == "0 emissions"


def test_a_recording_as_a_table(recording: Path, capfd: pytest.CaptureFixture[str]) -> None:
    result = amrq_here(capfd, "scan", recording, "--sort", "label")
    assert result.returncode == 0, result.stderr
    heading, *rows, summary = result.stdout.splitlines()
    assert heading.split()[:3] == ["from", "for", "frequency"] and "symbol rate" in heading
    [qpsk] = [row for row in rows if " QPSK " in row]
    assert "433.84" in qpsk and re.search(r" (10|10\.00.|9\.99..) kBd", qpsk)
    assert "emissions in 0.6 s" in summary and "QPSK 1" in summary


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "there is nothing to scan: give a recording, or one of --soapy"),
        (["--simulate", "BAND"], "give a recording or --simulate, not both"),
        (["nowhere.sigmf-meta"], "nowhere.sigmf-meta"),
        (["BAND", "--sort", "colour"], "--sort must be one of frequency, time"),
        (["BAND", "--events"], "--events belongs to --json"),
        (["BAND", "--sweep", "430M:440M"], "--sweep steps a radio"),
        (["BAND", "--record-on", "snr_db>"], "a value is missing at its end"),
        (["BAND", "--record-on", "label=QPSK", "--record-to", "/nowhere"], "there is no such folder"),
        (["BAND", "--record-to", "."], "--record-to belongs to --record-on"),
        (["BAND", "--budget", "0"], "--budget must be above 0"),
        (["BAND", "--annotate", "out.json"], "ends in .sigmf-meta"),
        (["BAND", "--database", "/nowhere/scan.sqlite"], "cannot be opened"),
        (["BAND", "--log", "-"], "use --json"),
        (["--stdin"], "--stdin needs the sample rate (--rate)"),
        (["-"], "--stdin reads standard input"),
    ],
)
def test_bad_input_is_refused_in_a_sentence(
    recording: Path, arguments: list[str], words: str, capfd: pytest.CaptureFixture[str]
) -> None:
    given = [str(recording) if word == "BAND" else word for word in arguments]
    refused(amrq_here(capfd, "scan", *given), words)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere.sqlite"], "there is no history nowhere.sqlite"),
        (["FILE", "--since", "yesterday"], "--since takes a time ago"),
        (["FILE", "--freq", "435M:433M"], "--freq takes a frequency or a range"),
        (["OTHER"], "is not a history of amrq scan"),
        (["DATABASE"], "not a history of amrq scan"),
    ],
)
def test_a_history_that_is_none_is_refused(
    tmp_path: Path, arguments: list[str], words: str, capfd: pytest.CaptureFixture[str]
) -> None:
    history, other, database = (tmp_path / name for name in ("scan.sqlite", "other.txt", "other.sqlite"))
    ScanHistory(history).close()
    other.write_text("no database at all\n" * 100)
    with sqlite3.connect(database) as file:
        file.execute("CREATE TABLE emissions (a TEXT)")
    named = {"FILE": str(history), "OTHER": str(other), "DATABASE": str(database)}
    refused(amrq_here(capfd, "history", *(named.get(word, word) for word in arguments)), words)
    with pytest.raises(AmrqError, match="a database, but not a history"):
        ScanHistory(database)


def test_a_history_is_asked_by_time_frequency_and_number(tmp_path: Path) -> None:
    path = tmp_path / "scan.sqlite"
    history = ScanHistory(path)
    for number in range(5):
        utc = f"2026-11-29T12:00:0{number}.000000Z"
        record = {
            "event": "end",
            "utc": utc,
            "source": "radio",
            "id": number,
            "label": "QPSK" if number % 2 else "AM",
        }
        history.write({**record, "freq_lower_edge": 1e6 * number, "freq_upper_edge": 1e6 * number + 5e5})
        history.write({**record, "event": "begin", "freq_lower_edge": 0.0, "freq_upper_edge": 1.0})
    history.close()
    noon = 1795953600.0

    def ids(query: HistoryQuery) -> list[int]:
        return [record["id"] for record in read_history(path, query)]

    assert ids(HistoryQuery()) == [0, 1, 2, 3, 4]
    assert ids(HistoryQuery(since=noon + 2, until=noon + 4)) == [2, 3]
    assert ids(HistoryQuery(lower=1.2e6, upper=2.1e6)) == [1, 2]
    assert ids(HistoryQuery(label="qpsk")) == [1, 3]
    assert ids(HistoryQuery(most=2)) == [3, 4]


def test_interrupted_it_writes_its_records(tmp_path: Path) -> None:
    """Ctrl-C ends it with exit status 0, and every emission that began has ended."""
    log = tmp_path / "log.jsonl"
    process = start_amrq(
        "scan", "--simulate", "--rate", "100k", "--json", "--events", "--log", log, patient=True
    )
    assert process.stdout is not None
    first = json.loads(process.stdout.readline())
    assert first["event"] == "begin"
    process.send_signal(signal.SIGINT)
    _, err = the_rest(process)
    assert process.returncode == 0, err
    records = [json.loads(line) for line in log.read_text().splitlines()]
    assert records[0] == first
    begun = {record["id"] for record in records if record["event"] == "begin"}
    assert begun == {record["id"] for record in records if record["event"] == "end"}


def test_the_demo_finds_every_emission(tmp_path: Path) -> None:
    result = run(warm(ROOT / "examples" / "scan_scene.py", "--output", tmp_path))
    assert result.returncode == 0, result.stdout + result.stderr
    assert "12 of 12 emissions found" in " ".join(result.stdout.split())
    assert result.stdout.count("✗") <= 1
    assert (tmp_path / "band.png").read_bytes()[:4] == b"\x89PNG"


@pytest.mark.skipif(
    not (HEADER.exists() and shutil.which("c++") and importlib.util.find_spec("gnuradio")),
    reason="SoapySDR's headers, a compiler or GNU Radio are not installed",
)
def test_a_radio_is_scanned(recording: Path, tmp_path: Path) -> None:
    radio = f"driver=amrqfile,path={recording.with_suffix('.sigmf-data')}"
    options = ("--freq", "433.92M", "--rate", "400k", "--once", "1.2", "--json")
    result = run(warm("-m", "amrq", "scan", "--soapy", radio, *options), build_file_radio(tmp_path))
    assert result.returncode == 0, result.stderr
    records = [json.loads(line) for line in result.stdout.splitlines()]
    for record in records:
        SCHEMA.validate(record)
        assert record["utc"] and record["source"] == radio
    assert {"QPSK", "carrier"} & {record["label"] for record in records}
