# SPDX-License-Identifier: GPL-3.0-or-later
"""`amrq live` as a user types it, on every source, without hardware."""

import contextlib
import json
import os
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
import sigmf
import typer
import zmq
from file_radio import file_radio
from patience import PATIENCE
from prometheus_text import read_metrics
from rtl_tcp_server import RtlTcpServer
from run_amrq import amrq, amrq_here, run, start_amrq, the_rest
from small_models import slow_model

from amrq.classes import THESIS_9
from amrq.cli.app import quantity
from amrq.errors import AmrqError
from amrq.identify import SignalSearch
from amrq.live import LiveStream, decision_stream, symbol_rate
from amrq.measure import StreamInfo
from amrq.outputs import Origin, decision_schema
from amrq.recordings import open_recording
from amrq.signals import ModulatedSignal, Schedule
from amrq.sources import LiveSource

pytest.importorskip("gnuradio.amrq", reason="GNU Radio or the module's blocks are not installed")

ROOT = Path(__file__).resolve().parents[1]
RECORDING = ROOT / "examples" / "recordings" / "generic_16qam.sigmf-meta"
RAW = RECORDING.with_suffix(".sigmf-data")
RATES = ("--rate", "100k", "--symbol-rate", "25k")


running: list[subprocess.Popen[str]] = []


@pytest.fixture(autouse=True)
def no_process_stays() -> Iterator[None]:
    yield
    while running:
        process = running.pop()
        if process.poll() is None:
            process.kill()
            process.wait()


def start(*arguments: object, **more: Any) -> subprocess.Popen[str]:
    process = start_amrq("live", *arguments, patient=True, **more)
    running.append(process)
    return process


def live(*arguments: object, **more: Any) -> tuple[int, str, str]:
    done = amrq("live", *arguments, **more)
    return done.returncode, done.stdout, done.stderr


def records(out: str) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in out.splitlines()]
    for record in found:
        jsonschema.validate(record, decision_schema(), jsonschema.Draft202012Validator)
    return found


def refused(result: tuple[int, str, str], words: str) -> None:
    code, out, err = result
    assert code == 2, out + err
    (line,) = [line for line in err.splitlines() if line.startswith("amrq: ") and "looking for" not in line]
    assert words in line
    assert "Traceback" not in out + err


def settled(found: list[dict[str, Any]]) -> set[str]:
    """What is said once the front end has settled, and before the stream's torn end."""
    return {record["label"] for record in found[1:-1]}


def moment(record: dict[str, Any]) -> float:
    """The record's UTC in seconds since 1970."""
    return datetime.fromisoformat(record["utc"].replace("Z", "+00:00")).timestamp()


def next_record(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    record: dict[str, Any] = json.loads(process.stdout.readline())
    return record


def finish(process: subprocess.Popen[str], number: int) -> tuple[str, str]:
    process.send_signal(number)
    out, err = the_rest(process)
    assert process.returncode == 0, out + err
    assert "Traceback" not in out + err
    return out, err


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("433.92M", 433.92e6),
        ("100k", 1e5),
        ("1e6", 1e6),
        ("-12.5k", -12.5e3),
        ("2.4 MHz", 2.4e6),
        ("2.4MS", 2.4e6),
        ("2.4Msps", 2.4e6),
        ("9.6 kbaud", 9600),
        ("9600", 9600),
    ],
)
def test_quantities_as_radio_people_write_them(text: str, number: float) -> None:
    assert quantity(text) == pytest.approx(number)


@pytest.mark.parametrize("text", ["", "M", "12 apples", "1.2.3", "k100", "433,92M", "2.4m"])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="is not a number such as"):
        quantity(text)


def test_a_simulation_says_what_is_sent() -> None:
    process = start("--simulate", "--json", "--rate", "1M", "--symbol-rate", "250k", "--chunks", "512")
    seen: dict[str, list[str]] = {}
    while len(seen) < 2:
        record = next_record(process)
        if record["truth"]:
            seen.setdefault(record["truth"], []).append(record["label"])
    finish(process, signal.SIGINT)
    assert list(seen) == list(THESIS_9)[:2]
    (name, first), *_ = seen.items()
    assert set(first[1:]) == {name}  # the very first decision has the front end's settling in it


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_with_a_summary(number: int) -> None:
    process = start("--simulate")
    assert process.stdout is not None
    assert "4ASK" in process.stdout.readline()
    out, _ = finish(process, number)
    assert "simulation: of" in out
    assert "0 dropped" in out


def test_a_recording_is_played_and_tells_its_own_time(tmp_path: Path) -> None:
    meta = json.loads(RECORDING.read_text())
    meta["captures"][0] |= {"core:frequency": 2.4e9, "core:datetime": "2020-02-29T12:00:00Z"}
    meta["global"].pop("core:sha512", None)
    (tmp_path / "r.sigmf-meta").write_text(json.dumps(meta))
    shutil.copy(RAW, tmp_path / "r.sigmf-data")
    log = tmp_path / "log.jsonl"
    code, out, err = live(
        "--sigmf",
        tmp_path / "r.sigmf-meta",
        "--symbol-rate",
        "25k",
        "--json",
        "--log",
        log,
        "--offset",
        "100",
    )
    assert code == 0, err
    found = records(out)
    assert settled(found) == {"16QAM"}
    assert {record["truth"] for record in found[:-1]} == {"16QAM"}
    assert all(record["utc"].startswith("2020-02-29T12:00:00.") for record in found)
    assert {record["frequency_hz"] for record in found} == {2.4e9 + 100}
    assert log.read_text() == out


def test_standard_input(tmp_path: Path) -> None:
    with RAW.open("rb") as stream:
        code, out, err = live(
            "--stdin", "--format", "ci16", *RATES, "--freq", "433.92M", "--json", stdin=stream
        )
    assert code == 0, err
    found = records(out)
    assert settled(found) == {"16QAM"}
    assert {record["frequency_hz"] for record in found} == {433.92e6}
    assert all(record["utc"] is not None for record in found)
    # What ends before a decision can fall is no error of a live stream.
    (tmp_path / "short").write_bytes(RAW.read_bytes()[:401])
    with (tmp_path / "short").open("rb") as stream:
        code, out, err = live("--stdin", "--format", "ci16", *RATES, stdin=stream)
    assert (code, "of 0 decisions" in out) == (0, True), out + err


def given_up(result: tuple[int, str, str], words: str) -> None:
    """Silence has an exit status of its own."""
    code, out, err = result
    assert code == 3, out + err
    assert words in err.splitlines()[-1]
    assert "Traceback" not in out + err


@pytest.mark.parametrize("arguments", [RATES[:2], (*RATES, "--json")])
def test_a_run_that_received_nothing_says_so(arguments: tuple[str, ...]) -> None:
    given_up(live("--stdin", *arguments), "nothing was received from standard input")


def test_what_is_too_short_for_a_symbol_rate() -> None:
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb") as end:
        os.write(writer, bytes(100))
        os.close(writer)
        refused(live("--stdin", "--rate", "1M", stdin=end), "no symbol rate is to be seen")


@pytest.mark.parametrize(("source", "arguments"), [("--udp", RATES[:2]), ("--zmq", RATES)])
def test_a_source_that_never_sends_is_given_up(source: str, arguments: tuple[str, ...]) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = str(port) if source == "--udp" else f"tcp://127.0.0.1:{port}"
    given_up(live(source, address, *arguments, "--stall", "0.2"), "nothing was received from")


def test_a_source_that_falls_silent_is_given_up_and_nothing_is_lost(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    counters = tmp_path / "amrq.prom"
    with os.fdopen(writer, "wb", buffering=0) as pipe, os.fdopen(reader, "rb") as end:
        process = start(
            *("--stdin", "--format", "ci16", *RATES, "--json", "--stall", "0.5", "--counters", counters),
            stdin=end,
        )
        pipe.write(RAW.read_bytes())
        out, err = process.communicate(timeout=PATIENCE)  # the other end stays open
    given_up((process.returncode, out, err), "no samples came from standard input for 0.5 s: the run ends.")
    assert settled(records(out)) == {"16QAM"}
    families = read_metrics(counters.read_text())
    assert families["amrq_source_silent_seconds"].value() >= 0.5
    assert families["amrq_source_silences_total"].value() == 0


def test_udp_packets() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.bind(("127.0.0.1", 0))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        process = start("--udp", port, "--format", "ci16", *RATES, "--json", "--chunks", "16")
        data = RAW.read_bytes()
        place = 0
        assert process.stdout is not None
        # Sent until something is decided on, with strays in between that are no samples.
        while not select.select([process.stdout], [], [], 0.002)[0]:
            sender.sendto(data[place : place + 1000], ("127.0.0.1", port))
            sender.sendto(b"x", ("127.0.0.1", port))
            place = (place + 1000) % (len(data) - 1000)
        record = next_record(process)
        _, err = finish(process, signal.SIGTERM)
        assert f"udp://127.0.0.1:{port}: a packet of 1 byte from 127.0.0.1:" in err
        assert "packets were left out: they are not samples." in err
        assert record["source"] == f"udp://127.0.0.1:{port}"
        refused(live("--udp", f"127.0.0.1:{sender.getsockname()[1]}", *RATES), "packets cannot be received")
    refused(live("--udp", "many", *RATES), "not a UDP port")


def tagged(offset: int, samples: bytes) -> bytes:
    """A message of a ZMQ sink that passes tags: here the truth."""
    key, value = (b"\x02" + len(text).to_bytes(2, "big") + text for text in (b"modulation", b"8ASK"))
    tag = struct.pack("<Q", offset) + key + value + b"\x01"
    return struct.pack("<HBQQ", 0x5FF0, 1, offset, 1) + tag + samples


@pytest.mark.parametrize("tags", [False, True])
@pytest.mark.parametrize("kind", ["PUB", "PUSH"])
def test_a_zmq_sink(kind: str, tags: bool, new_socket: Callable[[int], Any]) -> None:
    sink = new_socket(getattr(zmq, kind))
    sink.setsockopt(zmq.SNDTIMEO, 100)
    port = sink.bind_to_random_port("tcp://127.0.0.1")
    address = ("pull+" if kind == "PUSH" else "") + f"tcp://127.0.0.1:{port}"
    process = start("--zmq", address, "--format", "ci16", *RATES, "--json")
    assert process.stdout is not None
    data = RAW.read_bytes()
    size = len(data) // 10 // 4 * 4
    place = sent = 0
    while not select.select([process.stdout], [], [], 0.02)[0]:
        try:
            samples = data[place : place + size]
            sink.send(tagged(sent, samples) if tags else samples)
            sink.send(b"[]")  # of somebody who takes it for another socket
        except zmq.Again:
            continue
        sent += size // 4
        place = (place + size) % (10 * size)
    record = next_record(process)
    finish(process, signal.SIGINT)
    assert record["source"] == address
    refused(live("--zmq", "http://somewhere", *RATES), "not an address that samples can come from")


def test_an_rtl_tcp_server_that_goes_away_and_comes_back(tmp_path: Path) -> None:
    numbers = np.fromfile(RAW, "<i2") / 32768
    data = np.round(127.5 + 127.5 * numbers).astype(np.uint8).tobytes()
    counters = tmp_path / "amrq.prom"
    with RtlTcpServer(lambda: iter([data, None] if server.clients == 3 else [data])) as server:
        process = start(
            *("--rtl-tcp", server.address, "--freq", "433.92M", *RATES, "--gain", "30", "--ppm=-3"),
            *("--json", "--chunks", "16", "--counters", counters),
        )
        found = [next_record(process) for _ in range(3 * 4)]
        _, err = finish(process, signal.SIGTERM)
    assert server.commands[:6] == [(2, 100_000), (5, 2**32 - 3), (1, 433_920_000), (8, 0), (3, 1), (4, 300)]
    assert server.clients == 3
    for record in found:
        jsonschema.validate(record, decision_schema(), jsonschema.Draft202012Validator)
    assert {record["label"] for record in found if record["chunks"] == 16} == {"16QAM"}
    assert {record["frequency_hz"] for record in found} == {433.92e6}
    assert {record["source"] for record in found} == {f"rtl_tcp://{server.address}"}
    assert "is lost (the server closed it); it is tried again." in err
    assert "The connection to the source was lost and made again 2 times." in err
    families = read_metrics(counters.read_text())
    assert families["amrq_source_reconnections_total"].value() == 2
    assert families["amrq_source_overflows_total"].value() == 0


def test_what_is_no_rtl_tcp_server_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
    arguments = ("--freq", "433.92M", *RATES)
    refused(live("--rtl-tcp", address, *arguments), f"no server answers at rtl_tcp://{address}")
    with RtlTcpServer(lambda: iter(()), b"SSH-2.0-OpenSSH\r\n") as server:
        refused(
            live("--rtl-tcp", server.address, *arguments), "is not rtl_tcp: it begins with 'SSH-2.0-Open'"
        )


def test_what_is_recorded_can_be_classified_again(tmp_path: Path) -> None:
    name = tmp_path / "evening"
    process = start("--simulate", "--json", "--record", name, "--chunks", "128", "--freq", "1e9")
    for _ in range(4):
        next_record(process)
    finish(process, signal.SIGINT)
    document = json.loads((tmp_path / "evening.sigmf-meta").read_text())
    sigmf.SigMFFile(metadata=document).validate()
    (capture,) = document["captures"]
    assert capture["core:datetime"].endswith("Z")
    assert document["global"]["core:description"].startswith("Received from ")
    labels = [annotation["core:label"] for annotation in document["annotations"]]
    assert labels[0] == "4ASK"
    recording = open_recording(tmp_path / "evening.sigmf-meta")
    assert recording.sample_rate == 400e3
    assert recording.length >= document["annotations"][-1]["core:sample_count"]
    refused(live("--simulate", "--record", name), "already exists")
    nothing = tmp_path / "nothing"
    given_up(live("--stdin", *RATES[:2], "--record", nothing), "nothing was received")
    assert list(tmp_path.glob("nothing*")) == []


def test_a_recording_that_is_recorded_again_keeps_its_time(tmp_path: Path) -> None:
    first = json.loads(RECORDING.read_text())["captures"][0]
    assert "core:datetime" not in first
    for begun in (None, "2020-02-29T12:00:00Z"):
        document = json.loads(RECORDING.read_text())
        document["captures"][0] = first if begun is None else {**first, "core:datetime": begun}
        document["global"].pop("core:sha512", None)
        (tmp_path / "played.sigmf-meta").write_text(json.dumps(document))
        shutil.copy(RAW, tmp_path / "played.sigmf-data")
        again = tmp_path / f"again-{begun is None}"
        command = ("--sigmf", tmp_path / "played.sigmf-meta", "--symbol-rate", "25k", "--record", again)
        assert live(*command)[0] == 0
        (capture,) = json.loads(again.with_suffix(".sigmf-meta").read_text())["captures"]
        assert capture.get("core:datetime", "None")[:19] == str(begun)[:19]
        played, recorded = (open_recording(file) for file in (RECORDING, again.with_suffix(".sigmf-meta")))
        np.testing.assert_array_equal(played.read(0, played.length), recorded.read(0, recorded.length))


_SLOW_DISK = """
import threading
from amrq.cli import main
from amrq.outputs import SigmfRecorder

write, close, ended = SigmfRecorder._write, SigmfRecorder.close, threading.Event()
SigmfRecorder._write = lambda self, *job: ended.wait() and write(self, *job)
SigmfRecorder.close = lambda self: ended.set() or close(self)
main()
"""


@pytest.mark.parametrize("as_json", [False, True])
def test_what_a_slow_disk_loses_is_told(tmp_path: Path, as_json: bool) -> None:
    # Nothing is written until the stream has ended: what the recorder's queue of 2 s cannot hold is left out.
    recording = open_recording(RECORDING)
    samples = np.resize(recording.read(0, recording.length), 250_000)
    name = tmp_path / "r"
    command = [
        sys.executable,
        "-c",
        _SLOW_DISK,
        "live",
        "--stdin",
        "--format",
        "cf32",
        *RATES,
        "--freq",
        "1G",
    ]
    command += ["--record", str(name)]
    result = run([*command, *(["--json"] if as_json else [])], input=samples.tobytes(), text=False)
    said = (result.stderr if as_json else result.stdout).decode()
    assert result.returncode == 0, result.stderr
    found = re.search(r"(\d+) of 250000 samples were not recorded: the disk was too slow\.", said)
    assert found is not None, said
    got = np.fromfile(name.with_suffix(".sigmf-data"), np.complex64)
    assert len(got) == 250_000 - int(found[1]) <= 200_000
    np.testing.assert_array_equal(got, samples[: len(got)])
    document = json.loads(name.with_suffix(".sigmf-meta").read_text())
    (capture,) = document["captures"]
    assert capture["core:frequency"] == 1e9
    for annotation in document["annotations"]:
        assert annotation["core:freq_upper_edge"] - 1e9 == 1.35 * 25e3 / 2
        assert annotation["core:sample_start"] + annotation["core:sample_count"] <= len(got)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "give one source, not none"),
        (["--simulate", "--stdin"], "give one source, not --stdin and --simulate"),
        (["--simulate", "--stall", "0"], "--stall must be above 0 s, not 0.0"),
        (["--file", RECORDING.with_name("noise.sigmf-meta")], "symbol rate is not clear"),
        (["--stdin", "--symbol-rate", "1k"], "needs the sample rate"),
        (["--soapy", "driver=null", *RATES], "needs the frequency"),
        (
            ["--rtl-tcp", "localhost:x", *RATES, "--freq", "1M"],
            "'localhost:x' is not the address of a server",
        ),
        (["--soapy", "driver=null", *RATES, "--freq", "1M"], "no radio answers to 'driver=null'"),
        (["--soapy", "driver=nobody", *RATES, "--freq", "1M"], "no radio answers to 'driver=nobody'"),
        (["--stdin", *RATES, "--format", "mp3"], "--format must be auto, sigmf"),
        (["--file", "nowhere.sigmf-meta", "--symbol-rate", "1k"], "there is no file"),
        (["--simulate", "--rate", "1M", "--symbol-rate", "400k"], "whole number of samples a symbol"),
        (["--simulate", "--duration", "-1"], "--duration"),
        (["--simulate", "--symbol-rate", "nan"], "--symbol-rate must be above 0 Bd, not nan"),
        (["--stdin", *RATES[:2], "--offset", "inf"], "--offset must be a number, not inf"),
        (["--simulate", "--model", "coherent-full-int8"], "needs the carrier's phase"),
        (["--simulate", "--model", "nothing"], "nothing"),
        (["--simulate", "--record", "/nowhere/r"], "cannot be written"),
    ],
)
def test_bad_requests_get_one_sentence(
    arguments: list[object], words: str, capfd: pytest.CaptureFixture[str]
) -> None:
    done = amrq_here(capfd, "live", *arguments)
    refused((done.returncode, done.stdout, done.stderr), words)


def test_a_symbol_rate_that_is_not_given_is_estimated() -> None:
    """Nothing of the stream is lost for it, where it comes through a pipe."""
    with RAW.open("rb") as stream:
        code, out, err = live("--stdin", "--format", "ci16", "--rate", "100k", "--json", stdin=stream)
    assert code == 0, err
    found = records(out)
    assert settled(found) == {"16QAM"}
    assert found[0]["symbol_count"] / found[0]["duration"] == pytest.approx(25e3, rel=1e-3)
    assert sum(record["chunks"] for record in found) >= 9600 / 4 / 32 - 3
    code, out, err = live("--file", RECORDING)
    assert code == 0, err
    assert "25.0004 kBd" in out and "16QAM 3" in out


def test_another_symbol_rate_is_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    from gnuradio.amrq.classifier_sink import classifier_sink
    from gnuradio.amrq.decision_flowgraph import decision_flowgraph
    from gnuradio.amrq.pipe_source import pipe_source

    monkeypatch.setattr(decision_stream, "_LOOK_AGAIN", 0.3)
    first, second = (
        ModulatedSignal(Schedule([name], 10**7), 20.0, 0.0, 0.3, sps, 0.35, number)
        .generate(1 << 16)[0]
        .tobytes()
        for number, (name, sps) in enumerate((("QPSK", 4), ("8PSK", 8)))
    )
    reader, writer = os.pipe()
    changed, ending = threading.Event(), threading.Event()

    def feed() -> None:
        with contextlib.suppress(BrokenPipeError), os.fdopen(writer, "wb") as pipe:
            while not ending.is_set():
                pipe.write(second if changed.is_set() else first)

    def make(symbol_rate: float, offset: float, on_decision: Any) -> Any:
        sink = classifier_sink(stream=StreamInfo(100e3, symbol_rate), live=True, on_decision=on_decision)
        return decision_flowgraph(source.block, sink)

    source = LiveSource(pipe_source("cf32", reader), "pipe", 100e3)
    session = LiveStream(source, SignalSearch(), Origin("pipe", 1.0, "m", "0" * 64), ending, make)
    feeding = threading.Thread(target=feed, daemon=True)
    feeding.start()
    rates: list[float] = []
    last: list[str] = []
    for decision, _, record in session.run():
        assert session.symbol_rate is not None
        if not rates or session.symbol_rate != rates[-1]:
            rates.append(session.symbol_rate)
            last = []
        last.append(decision.label)
        assert record["duration"] == pytest.approx(decision.sample_count / session.symbol_rate, abs=1e-6)
        # Also of the second flowgraph, whose stream begins later than its source.
        assert moment(record) <= time.time()
        if len(last) > 20:
            if changed.is_set() and len(rates) > 1:
                ending.set()
            changed.set()
    os.close(reader)
    feeding.join(PATIENCE)
    assert rates == [pytest.approx(25e3, rel=1e-3), pytest.approx(12.5e3, rel=1e-3)]
    # The signal jumps where it is repeated, every 8 decisions: these are of no class.
    assert Counter(last).most_common(1)[0][0] == "8PSK" and set(last) <= {"8PSK", "unknown"}


def test_a_session_ends_with_what_ends_the_looks_at_its_symbol_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    from gnuradio.amrq.classifier_sink import classifier_sink
    from gnuradio.amrq.decision_flowgraph import decision_flowgraph
    from gnuradio.amrq.pipe_source import pipe_source

    def fail(*arguments: Any) -> None:
        raise ValueError("no memory")

    monkeypatch.setattr(symbol_rate, "find_signal", fail)
    samples = ModulatedSignal(Schedule(["QPSK"], 10**7), 20.0, 0.0, 0.3, 4, 0.35, 1).generate(1 << 16)[0]
    reader, writer = os.pipe()

    def feed() -> None:
        with contextlib.suppress(BrokenPipeError), os.fdopen(writer, "wb") as pipe:
            while True:
                pipe.write(samples.tobytes())

    def make(symbol_rate: float, offset: float, on_decision: Any) -> Any:
        sink = classifier_sink(stream=StreamInfo(100e3, symbol_rate), live=True, on_decision=on_decision)
        return decision_flowgraph(source.block, sink)

    source = LiveSource(pipe_source("cf32", reader), "pipe", 100e3)
    session = LiveStream(source, SignalSearch(), Origin("pipe", 1.0, "m", "0" * 64), threading.Event(), make)
    feeding = threading.Thread(target=feed, daemon=True)
    feeding.start()
    with pytest.raises(AmrqError, match="the signal cannot be followed: no memory"):
        for _ in session.run():
            pass
    os.close(reader)
    feeding.join(PATIENCE)


@pytest.fixture(scope="module")
def radio(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, str]]:
    return file_radio(tmp_path_factory.mktemp("radio"), RECORDING)


def test_a_radio(radio: tuple[str, dict[str, str]]) -> None:
    device, environment = radio
    process = start(
        *(
            "--soapy",
            f"{device},clock=utc",
            "--freq",
            "433.92M",
            "--gain",
            "LNA=20,VGA=5",
            "--antenna",
            "LNA",
            "--offset",
            "0",
        ),
        *(*RATES, "--json", "--chunks", "16"),
        environment=environment,
    )
    found = [next_record(process) for _ in range(6)]
    finish(process, signal.SIGINT)
    for record in found:
        jsonschema.validate(record, decision_schema(), jsonschema.Draft202012Validator)
    assert "16QAM" in {record["label"] for record in found[1:]}
    assert {record["frequency_hz"] for record in found} == {433.92e6}
    assert all(record["utc"] is not None for record in found)


def test_a_model_that_is_too_slow_is_told_everywhere(
    radio: tuple[str, dict[str, str]], tmp_path: Path, new_socket: Callable[[int], Any]
) -> None:
    device, environment = radio
    counters = tmp_path / "amrq.prom"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        endpoint = f"tcp://127.0.0.1:{probe.getsockname()[1]}"
    subscriber = new_socket(zmq.SUB)
    subscriber.setsockopt(zmq.RCVTIMEO, 60_000)
    subscriber.subscribe(b"")
    subscriber.connect(endpoint)
    # A radio that can wait for long: were it held up, samples would be missing below.
    process = start(
        *("--soapy", f"{device},queue=60", "--freq", "433.92M", "--rate", "1M", "--symbol-rate", "250k"),
        *("--model", slow_model(tmp_path / "slow.onnx", copies=2), "--queue", "64"),
        *("--publish", endpoint, "--counters", counters),
        environment=environment,
    )
    told = [0]
    while len(set(told)) < 6:
        record = json.loads(subscriber.recv())
        jsonschema.validate(record, decision_schema(), jsonschema.Draft202012Validator)
        assert record["dropped"] >= told[-1]
        told.append(record["dropped"])
    assert read_metrics(counters.read_text())["amrq_session_running"].value() == 1
    out, _ = finish(process, signal.SIGINT)
    *_, last = out.splitlines()
    received, classified, dropped = (
        int(last.split(f" {word}")[0].split()[-1]) for word in ("chunks", "classified", "dropped")
    )
    assert dropped >= told[-1] > 0
    assert dropped > 5 * classified
    families = read_metrics(counters.read_text())
    assert families["amrq_session_running"].value() == 0
    assert families["amrq_source_overflows_total"].value() == 0
    assert families["amrq_chunks_received_total"].value() == received == classified + dropped
    assert families["amrq_chunks_dropped_total"].value() == dropped
    # What came in went on to be cut into chunks, but for what lay in the buffers between blocks. On a busy machine they
    # are full: three of 2^17 samples in the source and one of 2^18 in the front end, at 128 samples a chunk; after it
    # one of 8,192 symbols (256 chunks) and one of 2^19 bytes (2,048 chunks).
    samples = families["amrq_samples_received_total"].value()
    assert -32 <= samples / (4 * 32) - received <= (3 * 2**17 + 2**18) / 128 + 256 + 2048
    assert sum(families["amrq_decisions_total"].values.values()) > 5


def test_overflows_are_told(radio: tuple[str, dict[str, str]], tmp_path: Path) -> None:
    device, environment = radio
    counters = tmp_path / "amrq.prom"
    process = start(
        *("--soapy", f"{device},overflow=20000,lost=5000", "--freq", "433.92M", *RATES, "--chunks", "8"),
        *("--counters", counters, "--log", tmp_path / "log.jsonl"),
        environment=environment,
    )
    while (
        not (tmp_path / "log.jsonl").exists() or len((tmp_path / "log.jsonl").read_text().splitlines()) < 60
    ):
        assert process.poll() is None
    out, _ = finish(process, signal.SIGINT)
    *_, last = out.splitlines()
    overflows = int(read_metrics(counters.read_text())["amrq_source_overflows_total"].value())
    assert overflows >= 2
    assert last == f"The radio lost samples {overflows} times: they were not fetched in time."


def test_a_symbol_rate_is_found_between_overflows_and_nothing_is_said_of_buffers(
    radio: tuple[str, dict[str, str]],
) -> None:
    device, environment = radio
    process = start(
        *("--soapy", f"{device},overflow=20000,lost=5000", "--freq", "433.92M", *RATES[:2], "--json"),
        environment=environment,
    )
    for _ in range(3):
        record = next_record(process)
        assert record["symbol_count"] / record["duration"] == pytest.approx(25e3, rel=2e-3)
    _, err = finish(process, signal.SIGINT)
    assert "buffer" not in err


def test_counters_that_cannot_be_kept_are_refused(tmp_path: Path) -> None:
    refused(live("--simulate", "--counters", tmp_path / "none" / "amrq.prom"), "cannot be written")


def test_a_radio_that_falls_silent_is_given_up(radio: tuple[str, dict[str, str]]) -> None:
    device, environment = radio
    result = live(
        *("--soapy", f"{device},stops=50000", "--freq", "433.92M", *RATES, "--json", "--stall", "0.5"),
        environment=environment,
    )
    given_up(result, f"no samples came from {device},stops=50000 for 0.5 s: the run ends.")
    assert settled(records(result[1])) == {"16QAM"}


def test_an_rtl_tcp_server_that_stays_away_is_given_up() -> None:
    data = np.round(127.5 + 127.5 * np.fromfile(RAW, "<i2") / 32768).astype(np.uint8).tobytes()
    server = RtlTcpServer(lambda: iter([data]))
    with server:
        process = start(
            *("--rtl-tcp", server.address, "--freq", "433.92M", *RATES, "--json", "--stall", "0.5"),
        )
        next_record(process)
    out, err = process.communicate(timeout=PATIENCE)
    given_up((process.returncode, out, err), f"no samples came from rtl_tcp://{server.address} for 0.5 s")
    with RtlTcpServer(lambda: iter([None])) as server:  # a header, and nothing else
        result = live("--rtl-tcp", server.address, "--freq", "433.92M", *RATES[:2], "--stall", "0.5")
        given_up(result, f"nothing was received from rtl_tcp://{server.address} for 0.5 s")


def test_a_radio_that_cannot_do_what_is_asked(radio: tuple[str, dict[str, str]]) -> None:
    device, environment = radio
    base = ("--soapy", device, "--freq", "433.92M", "--symbol-rate", "25k")
    refused(live(*base, "--rate", "5M", environment=environment), "cannot do 5 MS/s")
    refused(
        live(*base, "--rate", "100k", "--antenna", "TX", environment=environment),
        "antenna 'TX': it has RX, LNA",
    )
    refused(live(*base, "--rate", "100k", "--gain", "90", environment=environment), "it has 0 to 50 dB")
    refused(
        live(*base, "--rate", "100k", "--gain", "LNA=10,IF=3", environment=environment),
        "has no gain element 'IF': its elements are LNA (0 to 30 dB), VGA (0 to 20 dB)",
    )
    refused(live(*base, "--rate", "100k", "--freq", "5G", environment=environment), "cannot do 5 GHz")


def test_samples_that_are_no_numbers_do_not_end_it() -> None:
    samples = open_recording(RECORDING).read(0, 9600).copy()
    samples[3000:3010] = np.nan
    reader, writer = os.pipe()
    with os.fdopen(writer, "wb") as pipe, os.fdopen(reader, "rb") as end:
        process = start("--stdin", "--format", "cf32", *RATES, "--json", stdin=end)
        pipe.write(samples.tobytes())
        pipe.close()
        out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, err
    assert "16QAM" in settled(records(out))
