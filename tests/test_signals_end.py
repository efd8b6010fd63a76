# SPDX-License-Identifier: GPL-3.0-or-later
"""A signal ends every command in time, whatever a thread is at; what was recorded is there."""

from __future__ import annotations

import contextlib
import json
import select
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from patience import PATIENCE
from run_amrq import python, start_amrq
from small_models import slow_model

from amrq.errors import AmrqError, all_closed
from amrq.live import deferred_interrupt
from amrq.recordings import open_recording

pytest.importorskip("gnuradio.amrq", reason="GNU Radio or the module's blocks are not installed")

RECORDING = Path(__file__).resolve().parents[1] / "examples" / "recordings" / "generic_qpsk.sigmf-meta"


@contextlib.contextmanager
def started(*arguments: object, ready: Path | None = None) -> Iterator[subprocess.Popen[str]]:
    """Start a command, and wait until it is at work: its counters, or another file, are there."""
    # The tests may run where it is ignored, as under nohup.
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    process = start_amrq(*arguments, cold=True)  # as a user starts it, to the last of its threads
    signal.signal(signal.SIGHUP, before)
    try:
        if ready is not None:
            until(process, ready.exists)
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def until(process: subprocess.Popen[str], reached: Callable[[], bool]) -> None:
    """Wait until something is so, while the process runs."""
    pause = threading.Event()
    while not reached():
        assert process.poll() is None, process.communicate()
        pause.wait(0.02)


def said(process: subprocess.Popen[str]) -> str:
    """Wait for the end; return what was said, of what a pipe that nobody reads still holds."""
    process.wait(PATIENCE)
    assert process.stderr is not None
    return process.stderr.read()


@pytest.fixture(scope="module")
def endless(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # A call of it for the chunks of a moment takes many seconds.
    return slow_model(tmp_path_factory.mktemp("endless") / "endless.onnx", 60, copies=16)


@pytest.mark.parametrize(
    "number",
    [signal.SIGINT, *(pytest.param(one, marks=pytest.mark.long) for one in (signal.SIGTERM, signal.SIGHUP))],
)
def test_a_signal_ends_a_session_whose_model_does_not_return(
    number: signal.Signals, endless: Path, tmp_path: Path
) -> None:
    take = tmp_path / "take.sigmf-meta"
    arguments = ("live", "--simulate", "--model", endless, "--record", tmp_path / "take")
    with started(*arguments, ready=take) as process:
        until(process, lambda: "core:datetime" in take.read_text())
        # By then the model has chunks to work on.
        until(process, lambda: take.with_suffix(".sigmf-data").stat().st_size > 2_000_000)
        process.send_signal(number)
        err = said(process)
    # The call is given up; on a busy machine the whole program is.
    assert process.returncode in (0, 2, 128 + number), err
    assert "Traceback" not in err and "Fatal" not in err
    document = json.loads(take.read_text())
    assert document["captures"][0]["core:datetime"].endswith("Z")
    assert open_recording(take).length > 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["take.sigmf-data", "take.sigmf-meta"]


def test_hanging_up_leaves_a_recording_with_its_decisions(tmp_path: Path) -> None:
    take, log = tmp_path / "take.sigmf-meta", tmp_path / "log"
    with started("live", "--simulate", "--record", tmp_path / "take", "--log", log, ready=take) as process:
        until(process, lambda: log.stat().st_size > 0)
        process.send_signal(signal.SIGHUP)
        assert said(process) == ""
    assert process.returncode == 0
    document = json.loads(take.read_text())
    assert document["annotations"] and document["captures"][0]["core:datetime"]


def test_a_killed_process_leaves_a_recording_with_its_time(tmp_path: Path) -> None:
    take = tmp_path / "take.sigmf-meta"
    with started("live", "--simulate", "--record", tmp_path / "take", ready=take) as process:
        until(process, lambda: "core:datetime" in take.read_text())
        process.kill()
        process.wait(PATIENCE)
    recording = open_recording(take)
    assert recording.begun is not None and recording.sample_rate == 400e3 and recording.length > 0


def test_output_that_nobody_reads(tmp_path: Path) -> None:
    counters = tmp_path / "counters.prom"
    arguments = ("live", "--simulate", "--rate", "2M", "--chunks", "1", "--json", "--counters", counters)
    with started(*arguments, ready=counters) as process:
        # A pipe of one page is full after a few records.
        assert process.stdout is not None and select.select([process.stdout], [], [], PATIENCE)[0]
        process.send_signal(signal.SIGINT)
        err = said(process)
    assert process.returncode in (0, 2, 130), err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    "arguments",
    [("live", "--simulate", "--rate", "0.001"), ("live", "--file", RECORDING, "--rate", "0.0001")],
    ids=["simulated", "a file"],
)
def test_an_absurdly_low_rate(arguments: tuple[object, ...], tmp_path: Path) -> None:
    counters = tmp_path / "counters.prom"
    with started(*arguments, "--symbol-rate", "0.00002", "--counters", counters, ready=counters) as process:
        process.send_signal(signal.SIGINT)
        err = said(process)
    assert process.returncode in (0, 2, 3, 130), err
    assert "Traceback" not in err


def test_the_second_signal_ends_it_at_once(endless: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with started(
        "classify", RECORDING, "--symbol-rate", "25k", "--model", endless, "--log", log, ready=log
    ) as process:
        process.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.3)
        process.send_signal(signal.SIGINT)
        process.wait(PATIENCE)
    assert process.returncode == 130


def test_a_recording_whose_classification_does_not_end(endless: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with started(
        "classify", RECORDING, "--symbol-rate", "25k", "--model", endless, "--log", log, ready=log
    ) as process:
        process.send_signal(signal.SIGTERM)
        err = said(process)
    assert process.returncode in (2, 130, 143), err
    assert "Traceback" not in err


def test_hanging_up_is_ignored_where_it_was_before() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with deferred_interrupt(signal.SIGHUP) as interrupted:
            signal.raise_signal(signal.SIGHUP)
            assert not interrupted.is_set()
            signal.raise_signal(signal.SIGINT)
            assert interrupted.wait(PATIENCE)
            # A shell passes on what its terminal got: the same signal at once is no second one.
            signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_everything_is_closed_and_all_of_it_told() -> None:
    closed: list[str] = []

    def fail(name: str) -> None:
        closed.append(name)
        raise AmrqError(f"{name} is full.")

    with (
        pytest.raises(AmrqError, match=r"^The block\. the log is full\. the recording is full\.$"),
        all_closed() as at_the_end,
    ):
        at_the_end(lambda: fail("the recording"))
        at_the_end(lambda: closed.append("the counters"))
        at_the_end(lambda: fail("the log"))
        raise AmrqError("The block.")
    assert closed == ["the log", "the counters", "the recording"]
    with pytest.raises(KeyboardInterrupt), all_closed() as at_the_end:
        at_the_end(lambda: fail("the log"))
        raise KeyboardInterrupt


def test_an_interrupt_while_the_command_is_loaded_ends_it_without_a_word() -> None:
    code = """
import os, signal, sys

class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == "amrq.cli":
            os.kill(os.getpid(), signal.SIGINT)

signal.signal(signal.SIGINT, signal.default_int_handler)
sys.meta_path.insert(0, Interrupting())
from amrq.__main__ import main
main()
"""
    done = python("-c", code, "models")
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "")
