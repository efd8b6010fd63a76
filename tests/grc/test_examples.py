# SPDX-License-Identifier: GPL-3.0-or-later
"""Every example flowgraph: whole, valid, generated, and run without a screen."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections import Counter
from datetime import datetime, timezone
from pathlib import Path

import jsonschema
import numpy as np
import pytest
import run_amrq
import yaml
import zmq
from file_radio import file_radio
from flowgraphs import EXAMPLES, ROOT, RUN_LIMIT, beside, environment, generate, load, loaded, run
from patience import PATIENCE
from prometheus_text import read_metrics

from amrq.classes import THESIS_9
from amrq.errors import AmrqError
from amrq.model import find_model
from amrq.outputs import decision_schema
from amrq.recordings import open_recording

RECORDING = ROOT / "examples" / "recordings" / "generic_16qam.sigmf-meta"

WRITTEN_BY_HAND = {"headless", "make_recordings", "scan_scene", "two_class_model"}

every_example = pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)


def example(name):
    return ROOT / "examples" / f"{name}.grc"


@pytest.fixture(scope="module", autouse=True)
def _default_model():
    try:
        find_model("default")
    except AmrqError as error:
        pytest.skip(f"the default model is not there: {error}")


def test_the_examples_are_there():
    assert {path.stem for path in EXAMPLES} == {
        *(
            "band",
            "band_scanner",
            "what_is_it",
            "loopback",
            "confusion",
            "file_replay",
            "sdr",
            "sdr_record",
            "network",
            "network_sender",
            "headless_json",
            "find_symbol_rate",
            "blind",
            "board",
        ),
    }


def test_no_program_takes_the_place_of_a_script():
    # The Companion writes it beside the flowgraph, under the flowgraph's name.
    assert not {path.stem for path in EXAMPLES} & WRITTEN_BY_HAND


def test_what_the_companion_writes_is_nobody_elses_business(tmp_path):
    """Neither git, ruff nor the installation takes a generated program for one of ours, in a clone or without git."""
    clone = tmp_path / "clone"
    (clone / "examples").mkdir(parents=True)
    for name in (".gitignore", "pyproject.toml"):
        shutil.copy(ROOT / name, clone)
    generated = {path.stem for path in EXAMPLES}
    for name in generated | WRITTEN_BY_HAND | {"my_own_flowgraph"}:
        (clone / "examples" / f"{name}.py").write_text("import os\n")

    def said(*words):
        result = subprocess.run(words, cwd=clone, capture_output=True, text=True, timeout=PATIENCE)
        return {Path(line).stem for line in result.stdout.splitlines() if line.endswith(".py")}

    ruff = (sys.executable, "-m", "ruff", "check", "--show-files", "examples")
    assert said(*ruff) == WRITTEN_BY_HAND | {"my_own_flowgraph"}  # an unpacked archive
    subprocess.run(["git", "init", "-q"], cwd=clone, check=True, timeout=PATIENCE)
    assert said("git", "ls-files", "--others", "--exclude-standard") == WRITTEN_BY_HAND
    assert said(*ruff) == WRITTEN_BY_HAND


def test_the_programs_written_by_hand_are_installed():
    patterns = re.findall(r'PATTERN "(\w+)\.py"', (ROOT / "examples" / "CMakeLists.txt").read_text())
    assert set(patterns) == WRITTEN_BY_HAND
    assert all((ROOT / "examples" / f"{name}.py").is_file() for name in WRITTEN_BY_HAND)


@every_example
def test_is_whole(path):
    graph, data = load(path)
    assert [block.name for block in graph.blocks if block.is_dummy_block] == []
    assert len(list(graph.connections)) == len(data["connections"])
    assert graph.is_valid(), [str(message) for _, message in graph.iter_error_messages()]


@every_example
def test_is_for_other_people(path):
    _, data = load(path)
    assert data["options"]["parameters"]["author"] == "gr-amrq"
    assert data["options"]["parameters"]["title"]
    assert data["options"]["parameters"]["id"] == path.stem
    for block in data["blocks"]:
        for value in block["parameters"].values():
            assert not value.strip("'\"").startswith(("/", "~", "C:")), (
                f"{block['name']} has a path of one machine"
            )


@every_example
def test_generates_python(path, tmp_path):
    script = generate(path, tmp_path)
    compile(script.read_text(encoding="utf-8"), script, "exec")


@every_example
def test_says_in_one_sentence_what_is_wrong(path, tmp_path):
    data = load(path)[1]
    code = [block["parameters"]["code"] for block in data["blocks"] if block["id"] == "snippet"]
    assert any("plain_errors.plain_errors(" in text for text in code)


@pytest.mark.parametrize("name, words", [("sdr", "no radio answers"), ("board", "no board answers")])
def test_without_the_other_end(tmp_path, name, words):
    status, out, err = program(generate(example(name), tmp_path))
    assert status == 2, err
    (line,) = [line for line in err.splitlines() if not line.startswith(("QStandardPaths", ">>>"))]
    assert words in line and not out


def assert_clean(result):
    assert result.status == 0, result.output
    assert "Traceback" not in result.output
    assert ":error:" not in result.output
    assert result.hidden == [], "the display does not fit its window"
    assert result.statistics["received"] > 0
    assert result.statistics["dropped"] == 0


def program(script, *options):
    """Run a generated script that has no window; return status, standard output and standard error."""
    result = run_amrq.run(loaded(script, *options), environment(script), cwd=script.parent, timeout=RUN_LIMIT)
    return result.returncode, result.stdout, result.stderr


def records(text):
    found = [json.loads(line) for line in text.splitlines()]
    for record in found:
        jsonschema.validate(record, decision_schema(), jsonschema.Draft202012Validator)
    return found


@pytest.fixture(scope="module")
def loopback(tmp_path_factory):
    """One run through all nine classes at 23 dB, quicker than for the eye."""
    script = generate(example("loopback"), tmp_path_factory.mktemp("loopback"))
    return run(script, 9 * 12, "--set", "symbol_rate=100e3")


def test_loopback_runs(loopback):
    assert_clean(loopback)
    assert loopback.received >= 9 * 12
    assert {truth for _, truth in loopback.history} == set(THESIS_9)


def test_loopback_recognises_all_nine_at_23_db(loopback):
    wrong = [(label, truth) for label, truth in loopback.history if label != truth]
    assert len(wrong) <= 0.05 * len(loopback.history), wrong


def test_loopback_obeys_its_controls(tmp_path):
    script = generate(example("loopback"), tmp_path)
    controls = ["sent=8PSK", "es_n0_db=30", "phase_noise=0.01", "rotation=1", "chunks_per_decision=4"]
    result = run(script, 200, "--set", "symbol_rate=50e3", *(word for c in controls for word in ("--set", c)))
    assert_clean(result)
    assert set(result.history[-20:]) == {("8PSK", "8PSK")}


def test_band_finds_and_names_what_is_on_the_air(tmp_path):
    result = run(generate(example("band"), tmp_path), 6)
    assert result.status == 0, result.output
    assert "Traceback" not in result.output and ":error:" not in result.output
    assert result.hidden == []
    assert {label for label, _ in result.history} & set(THESIS_9)


def test_what_is_it_says_what_is_at_the_place_that_is_chosen(tmp_path):
    result = run(generate(example("what_is_it"), tmp_path), 2)
    assert result.status == 0, result.output
    assert "Traceback" not in result.output and ":error:" not in result.output
    assert result.hidden == [], "the display does not fit its window"
    assert result.history[-1][0] == "QPSK"
    assert result.statistics["received"] > 0


def test_confusion_counts_every_class_that_is_sent(tmp_path):
    script = generate(example("confusion"), tmp_path)
    result = run(script, 9 * 384 // 16, "--set", "chunks_per_decision=16", "--set", "es_n0_db=30")
    assert result.status == 0, result.output
    assert "Traceback" not in result.output and ":error:" not in result.output
    assert result.hidden == []
    assert {truth for _, truth in result.history} == set(THESIS_9)
    assert sum(label == truth for label, truth in result.history) > 0.9 * len(result.history)


@pytest.mark.parametrize(
    "name, label", [("dvbs2_qpsk", "QPSK"), ("dvbs2_8psk", "8PSK"), ("generic_bpsk", "BPSK")]
)
def test_file_replay_recognises_recordings(name, label, tmp_path):
    recording = ROOT / "examples" / "recordings" / f"{name}.sigmf-meta"
    if not recording.exists():
        pytest.skip(f"{recording.name} is not there: examples/make_recordings.py makes it")
    script = generate(example("file_replay"), tmp_path)
    result = run(script, 30, "--parameter", f"file={recording}", "--parameter", "speed=1")
    assert_clean(result)
    ((most, count),) = Counter(decided for decided, _ in result.history).most_common(1)
    assert most == label
    assert count >= 0.8 * len(result.history), result.history
    assert {truth for _, truth in result.history} <= {label, None}


def test_file_replay_finds_its_own_recording(tmp_path):
    script = generate(example("file_replay"), tmp_path)
    assert_clean(run(script, 5))


def test_file_replay_says_what_is_wrong(tmp_path):
    script = generate(example("file_replay"), tmp_path)
    result = run(script, 1, "--parameter", f"file={tmp_path / 'none.sigmf-meta'}")
    assert result.status != 0
    assert f"there is no file {tmp_path / 'none.sigmf-meta'}" in result.output


@pytest.fixture
def device(tmp_path, monkeypatch):
    """The tests' own radio, which receives 16QAM."""
    recording = ROOT / "examples" / "recordings" / "generic_16qam.sigmf-meta"
    name, variables = file_radio(tmp_path, recording)
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    return name


def on_radio(device, *more):
    parameters = [f"device={device}", "samp_rate=100e3", "symbol_rate=25e3", *more]
    return [word for value in parameters for word in ("--parameter", value)]


def test_sdr_runs_on_a_radio(tmp_path, device):
    script = generate(example("sdr"), tmp_path)
    result = run(script, 30, *on_radio(device))
    assert_clean(result)
    ((most, _),) = Counter(decided for decided, _ in result.history).most_common(1)
    assert most == "16QAM"


def test_sdr_without_a_radio_says_so(tmp_path):
    result = run(generate(example("sdr"), tmp_path), 1)
    assert result.status != 0
    assert "no radio answers to 'driver=rtlsdr'" in result.output


def test_sdr_record_records_what_is_received_and_decided(tmp_path, device):
    script = generate(example("sdr_record"), tmp_path)
    options = on_radio(f"{device},clock=utc", "frequency=433.92e6")
    assert_clean(run(script, 5, *options))
    assert not list(tmp_path.glob("take-*"))  # recording begins when it is switched on
    before = datetime.now(timezone.utc)
    for number in (1, 2):  # the second time nothing is overwritten
        assert_clean(run(script, 60, *options, "--set", "recording=1"))
        recording = open_recording(tmp_path / f"take-{number:03}.sigmf-meta")
        sent = np.fromfile(tmp_path / "samples.cf32", np.complex64)
        got = recording.read(0, recording.length)
        capture = json.loads(recording.path.read_text())["captures"][0]
        first = capture["core:global_index"]
        np.testing.assert_array_equal(got, sent[(first + np.arange(len(got))) % len(sent)])
        assert recording.tunings[0] == (0, 433.92e6)
        assert before < recording.begun < datetime.now(timezone.utc)
        named = [a for a in recording.annotations if a.label == "16QAM"]
        assert sum(annotation.count for annotation in named) > 0.5 * len(got)
        assert max(annotation.start + annotation.count for annotation in named) <= len(got)


def test_sdr_record_says_what_is_wrong(tmp_path, device):
    script = generate(example("sdr_record"), tmp_path)
    result = run(script, 1, *on_radio(device, "take=nowhere/take"))
    assert result.status != 0
    assert "nothing can be recorded as nowhere/take" in result.output


def test_network_receives_recognises_and_tells(tmp_path, new_socket):
    sender = generate(example("network_sender"), tmp_path)
    script = generate(example("network"), tmp_path)
    addresses = {"address": "ipc://samples", "publish": f"ipc://{tmp_path}/decisions"}
    subscriber = new_socket(zmq.SUB)
    subscriber.subscribe(b"")
    subscriber.connect(addresses["publish"])
    options = [word for pair in addresses.items() for word in ("--parameter", "=".join(pair))]
    with beside(
        sender, "--address", addresses["address"], "--dwell", "0.1", "--symbol-rate", "50e3"
    ) as process:
        result = run(
            script, 150, *options, "--parameter", "symbol_rate=50e3", "--parameter", "samp_rate=200e3"
        )
    assert process.returncode == 0  # Ctrl-C ends the sender
    assert result.status == 0, result.output
    assert "Traceback" not in result.output
    with_truth = [(label, truth) for label, truth in result.history if truth is not None]
    assert len({truth for _, truth in with_truth}) >= 3
    assert sum(label == truth for label, truth in with_truth) >= 0.9 * len(with_truth)
    logged = records((tmp_path / "decisions.jsonl").read_text())
    assert len(logged) >= 150
    assert {record["source"] for record in logged} == {addresses["address"]}
    published = []
    while subscriber.poll(0):
        published.append(json.loads(subscriber.recv()))
    # Who subscribes while it starts may miss the first ones.
    assert len(published) >= 100 and published == logged[-len(published) :]


def test_network_over_udp(tmp_path):
    # The packet source of the flowgraph, which is off there: on, and the other off.
    data = yaml.safe_load(example("network").read_text())
    for block in data["blocks"]:
        if block["name"] in ("samples", "packets"):
            block["states"]["state"] = "enabled" if block["name"] == "packets" else "disabled"
        if block["name"] == "packets":
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
                probe.bind(("127.0.0.1", 0))
                port = probe.getsockname()[1]
            block["parameters"]["port"] = str(port)
    flowgraph = tmp_path / "network.grc"
    flowgraph.write_text(yaml.safe_dump(data))
    script = generate(flowgraph, tmp_path)
    sent = np.fromfile(RECORDING.with_suffix(".sigmf-data"), "<i2").astype(np.float32) / 2**15
    over = threading.Event()

    def send():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            place = 0
            while not over.wait(0.005):
                sender.sendto(sent[place : place + 1000].tobytes(), ("127.0.0.1", port))
                place = (place + 1000) % (len(sent) - 1000)

    thread = threading.Thread(target=send)
    thread.start()
    try:
        parameters = ["samp_rate=100e3", "symbol_rate=25e3", "publish=ipc://decisions"]
        result = run(script, 20, *(word for value in parameters for word in ("--parameter", value)))
    finally:
        over.set()
        thread.join()
    assert_clean(result)
    ((most, _),) = Counter(decided for decided, _ in result.history).most_common(1)
    assert most == "16QAM"


@pytest.fixture(scope="module")
def headless(tmp_path_factory):
    return generate(example("headless_json"), tmp_path_factory.mktemp("headless"))


def test_headless_help_tells_every_option(headless):
    status, out, _ = program(headless, "--help")
    assert status == 0
    for option in (
        "file",
        "rate",
        "symbol-rate",
        "offset",
        "rolloff",
        "gate-db",
        "model",
        "chunks",
        "min-confidence",
    ):
        assert f"--{option}" in out
    for option in ("log", "publish", "counters"):
        assert f"--{option}" in out


def test_headless_prints_json_lines_and_nothing_else(headless, tmp_path):
    log, counters = tmp_path / "log.jsonl", tmp_path / "amrq.prom"
    status, out, err = program(headless, "--file", RECORDING, "--symbol-rate", "25k", "--counters", counters)
    assert status == 0, err
    found = records(out)
    assert [record["chunks"] for record in found[:2]] == [32, 32]
    assert {record["label"] for record in found[1:]} == {"16QAM"}
    assert {record["truth"] for record in found[:-1]} == {"16QAM"}
    families = read_metrics(counters.read_text())
    assert families["amrq_decisions_total"].value(label="16QAM") >= len(found) - 1
    assert program(headless, "--file", RECORDING, "--symbol-rate", "25k", "--log", log)[1] == ""
    # Sums over a batch are rounded as the batch falls: the last digit of a logarithm may differ.
    for logged, printed in zip(records(log.read_text()), found, strict=True):
        assert logged.pop("log_probabilities") == pytest.approx(printed.pop("log_probabilities"), abs=0.01)
        assert logged == printed


@pytest.mark.parametrize(
    "options, words",
    [
        (["--file", "none.sigmf-meta"], "there is no file none.sigmf-meta"),
        (["--symbol-rate", "60k"], "below twice the symbol_rate"),
        (["--model", "none"], "there is no model 'none'"),
        (["--chunks", "0"], "chunks_per_decision must be from 1 to 65536, not 0"),
        (["--log", "none/log"], "cannot be opened"),
        (["--publish", "nowhere"], "cannot be published"),
    ],
)
def test_headless_says_what_is_wrong_in_one_sentence(headless, options, words):
    status, out, err = program(headless, *options)
    assert (status, out) == (2, "")
    (line,) = err.splitlines()
    assert words in line


def test_headless_counts_what_is_no_number_and_goes_on(headless, tmp_path):
    samples = np.zeros(200_000, np.complex64)
    samples[150_000] = np.nan
    samples.tofile(tmp_path / "r.cf32")
    counters = tmp_path / "amrq.prom"
    options = ("--file", tmp_path / "r.cf32", "--rate", "100k", "--counters", counters)
    status, out, err = program(headless, *options)
    assert status == 0, err
    assert sum(record["chunks"] for record in records(out)) > 160_000 / 4 / 32
    assert read_metrics(counters.read_text())["amrq_chunks_not_finite_total"].value() >= 1


def test_headless_tells_of_a_file_that_breaks_off(headless, tmp_path):
    file = tmp_path / "long.cf32"
    np.tile(open_recording(RECORDING).read(0, 9_000), 600).tofile(file)
    command = loaded(headless, "--file", file, "--rate", "100k")
    process = run_amrq.start(command, environment(headless))
    first = process.stdout.readline()
    os.truncate(file, 8 * 20_000)
    out, err = run_amrq.the_rest(process)
    assert process.returncode == 2, err
    assert records(first + out)
    assert "became shorter while it was read" in err.splitlines()[-1] and "Traceback" not in err


@pytest.mark.parametrize("kind", ["full", "closed", "broken", "a full log"])
def test_headless_says_in_one_sentence_that_it_cannot_write(headless, kind):
    command = loaded(headless, "--file", RECORDING)
    if kind == "closed":
        command = ["sh", "-c", 'exec "$@" >&-', "sh", *command]
    if kind == "a full log":
        command += ["--log", "/dev/full"]
    read, write = os.pipe()
    os.close(read)
    with open("/dev/full", "wb") as full, os.fdopen(write, "wb") as broken:
        out = {"full": full, "broken": broken}.get(kind, subprocess.DEVNULL)
        pipes = {"stdout": out, "stderr": subprocess.PIPE}
        result = run_amrq.run(command, environment(headless), timeout=RUN_LIMIT, **pipes)
    lines = [line for line in result.stderr.splitlines() if not line.startswith(("QStandardPaths", ">>>"))]
    if kind == "broken":  # as other programs do
        assert (result.returncode, lines) == (141, [])
    else:
        assert result.returncode == 2
        (line,) = lines
        assert line.startswith("the log" if kind == "a full log" else "standard output")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_headless_ends_when_it_is_told_to(headless, tmp_path, number):
    samples = open_recording(RECORDING).read(0, 9_000)
    np.tile(samples, 600).tofile(tmp_path / "long.cf32")
    command = loaded(headless, "--file", tmp_path / "long.cf32", "--rate", "100k")
    process = run_amrq.start(command, environment(headless))
    first = process.stdout.readline()
    process.send_signal(number)
    out, err = run_amrq.the_rest(process)
    assert process.returncode == 0, err
    assert "Traceback" not in err
    found = records(first + out)
    assert sum(record["chunks"] for record in found) < 600 * 9_000 / 4 / 32


def test_find_symbol_rate_prints_what_it_finds(tmp_path):
    script = generate(example("find_symbol_rate"), tmp_path)
    status, out, err = program(script, "--file", RECORDING)
    assert status == 0, err
    assert float(re.search(r"\(symbol_rate \. ([\d.e+]+)\)", out)[1]) == pytest.approx(25e3, rel=1e-3)
    status, out, err = program(script, "--file", "none.sigmf-meta")
    assert (status, err.splitlines()) == (2, ["there is no file none.sigmf-meta."])


def test_blind_names_what_it_finds(tmp_path):
    script = generate(example("blind"), tmp_path)
    status, out, err = program(script, "--file", RECORDING)
    assert status == 0, err
    found = [float(rate) for rate in re.findall(r"\(symbol_rate \. ([\d.e+]+)\)", out)]
    assert found and found == [pytest.approx(25e3, rel=1e-3)] * len(found)
    assert re.findall(r"\(label \. (\w+)\)", out) and set(re.findall(r"\(label \. (\w+)\)", out)) == {"16QAM"}
    status, out, err = program(script, "--file", "none.sigmf-meta")
    assert (status, err.splitlines()) == (2, ["there is no file none.sigmf-meta."])


def test_band_scanner_prints_what_begins_and_ends(tmp_path):
    status, out, err = program(generate(example("band_scanner"), tmp_path), "--seconds", "0.3")
    assert status == 0, err
    begun, over = (re.findall(rf"\(event \. {event}\)", out) for event in ("begin", "end"))
    assert len(begun) == len(over) > 5
    assert "(family . " in out and "(frequency_hz . " in out


def test_board_runs_beside_a_board(tmp_path):
    script = generate(example("board"), tmp_path)
    arguments = ("board", "--engine", "onnx", "--listen", "tcp://127.0.0.1:*")
    with run_amrq.start_amrq(*arguments, stderr=None) as board:
        try:
            endpoint = re.search(r"at (tcp://\S+)", board.stdout.readline())[1]
            result = run(script, 100, "--parameter", f"endpoint={endpoint}", "--set", "symbol_rate=100e3")
        finally:
            board.terminate()
    assert_clean(result)
    counted = result.statistics
    # What the board has answered while the counters were read is not classified yet.
    assert counted["by_board"] >= counted["classified"] > 0
    assert counted["locally"] == counted["lost"] == 0
    wrong = [(label, truth) for label, truth in result.history if label != truth]
    assert len(wrong) <= 0.05 * len(result.history), wrong
