# SPDX-License-Identifier: GPL-3.0-or-later
"""Every example flowgraph: whole, valid, generated, and run without a screen."""

import os
import re
import subprocess
import sys
from collections import Counter

import pytest
from file_radio import file_radio
from flowgraphs import EXAMPLES, ROOT, generate, load, run

from amrq.errors import AmrqError
from amrq.model import find_model
from amrq.modulations import MODULATIONS

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
    assert {"loopback", "file_replay", "sdr", "board"} <= {path.stem for path in EXAMPLES}


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


def assert_clean(result):
    assert result.status == 0, result.output
    assert "Traceback" not in result.output
    assert ":error:" not in result.output
    assert result.statistics["received"] > 0
    assert result.statistics["dropped"] == 0


@pytest.fixture(scope="module")
def loopback(tmp_path_factory):
    """One run through all nine classes at 23 dB, quicker than for the eye."""
    script = generate(example("loopback"), tmp_path_factory.mktemp("loopback"))
    return run(script, 9 * 12, "--set", "symbol_rate=100e3")


def test_loopback_runs(loopback):
    assert_clean(loopback)
    assert loopback.received >= 9 * 12
    assert {truth for _, truth in loopback.history} == set(MODULATIONS)


def test_loopback_recognises_all_nine_at_23_db(loopback):
    wrong = [(label, truth) for label, truth in loopback.history if label != truth]
    assert len(wrong) <= 0.05 * len(loopback.history), wrong


def test_loopback_obeys_its_controls(tmp_path):
    script = generate(example("loopback"), tmp_path)
    controls = ["sent=8PSK", "es_n0_db=30", "phase_noise=0.01", "rotation=1", "chunks_per_decision=4"]
    result = run(script, 200, "--set", "symbol_rate=50e3", *(word for c in controls for word in ("--set", c)))
    assert_clean(result)
    assert set(result.history[-20:]) == {("8PSK", "8PSK")}


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


def test_sdr_runs_on_a_radio(tmp_path, monkeypatch):
    recording = ROOT / "examples" / "recordings" / "generic_16qam.sigmf-meta"
    device, environment = file_radio(tmp_path, recording)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    script = generate(example("sdr"), tmp_path)
    parameters = [f"device={device}", "samp_rate=100e3", "symbol_rate=25e3"]
    result = run(script, 30, *(word for value in parameters for word in ("--parameter", value)))
    assert_clean(result)
    ((most, _),) = Counter(decided for decided, _ in result.history).most_common(1)
    assert most == "16QAM"


def test_sdr_without_a_radio_says_so(tmp_path):
    result = run(generate(example("sdr"), tmp_path), 1)
    assert result.status != 0
    assert "no radio answers to 'driver=rtlsdr'" in result.output


def test_board_runs_beside_a_board(tmp_path):
    script = generate(example("board"), tmp_path)
    command = [sys.executable, "-m", "amrq", "board", "--engine", "onnx", "--listen", "tcp://127.0.0.1:*"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as board:
        try:
            endpoint = re.search(r"at (tcp://\S+)", board.stdout.readline())[1]
            result = run(script, 100, "--parameter", f"endpoint={endpoint}", "--set", "symbol_rate=100e3")
        finally:
            board.terminate()
    assert_clean(result)
    assert result.statistics["by_board"] == result.statistics["classified"] > 0
    wrong = [(label, truth) for label, truth in result.history if label != truth]
    assert len(wrong) <= 0.05 * len(result.history), wrong
