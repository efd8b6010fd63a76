# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine of an FPGA board at a serial port: scores to the bit, whatever happens on the line."""

import dataclasses
import os
import shutil
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from boards import QUICK, client
from boards import board as serving
from patience import PATIENCE
from run_amrq import amrq_here, refused
from seeds import rng

onnx = pytest.importorskip("onnx", reason="the package onnx is not installed")

from quantised_onnx import quantised_onnx, random_layer, random_spec  # noqa: E402
from serial_boards import PythonBoard, board_of, level_of  # noqa: E402

from amrq.chunks import normalise  # noqa: E402
from amrq.classifier import make_classifier, make_engine  # noqa: E402
from amrq.errors import AmrqError, LinkError  # noqa: E402
from amrq.hardware import IntegerEngine, SerialFrame, SerialType  # noqa: E402
from amrq.hardware.rtl import SerialBoard, SerialSimulation  # noqa: E402
from amrq.link import SerialEngine  # noqa: E402


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A network of a few neurons that takes the level as well."""
    generator = rng("serial engine")
    spec = random_spec(generator, 4, level=True)
    spec.symbol = [random_layer(generator, 2, 3, spec.symbol[0].exponent, 4)]
    spec.head = [random_layer(generator, 6, 5, -7, 4)]
    spec = dataclasses.replace(spec, length=8)
    return str(quantised_onnx(tmp_path_factory.mktemp("serial") / "few.onnx", spec))


@pytest.fixture(scope="module")
def board(model: str) -> SerialBoard:
    return board_of(model)


def given(count: int, name: str) -> tuple[np.ndarray, np.ndarray]:
    generator = rng("serial engine", name)
    chunks = generator.standard_normal((count, 16)).astype(np.float32).view(np.complex64)
    return normalise(chunks).iq, level_of(count)


def expected(model: str, iq: np.ndarray, level: np.ndarray) -> np.ndarray:
    return IntegerEngine(model).run(iq, level).integers


@pytest.mark.skipif(shutil.which("iverilog") is None, reason="iverilog is not installed")
def test_through_the_simulated_board_scores_are_the_reference_s(model: str, board: SerialBoard) -> None:
    """The whole: top level, clock, serial line bit by bit, pseudo-terminal, engine."""
    iq, level = given(6, "simulated")
    with (
        SerialSimulation(board, "iverilog") as simulation,
        closing(SerialEngine(model, simulation.serve(), timeout=PATIENCE)) as engine,
    ):
        found = engine.run(iq, level)
        assert engine.counters() == {"serial_resent": 0, "serial_damaged": 0}
    np.testing.assert_array_equal(found.integers, expected(model, iq, level))
    assert found.exponent == board.design.network.score_exponent


@pytest.mark.parametrize("bits", [8, 9, 16])
def test_many_chunks_with_a_few_under_way_at_a_time(model: str, bits: int) -> None:
    iq, level = given(100, "many")
    said: list[str] = []
    with PythonBoard(board_of(model, bits)) as there:
        engine = make_engine("serial", model, port=there.port, say=said.append)
        with closing(engine):
            found = engine.run(iq, level)
            nothing = engine.run(iq[:0], level[:0])
        assert there.asked == 100 and len(nothing.integers) == 0  # type: ignore[union-attr]
    assert said[0].endswith(f"I and Q of {bits} bits")
    if bits > 8:  # with 8 the port gives up the last bit
        np.testing.assert_array_equal(found.integers, expected(model, iq, level))  # type: ignore[union-attr]
    assert engine.exact_bits == (8 if bits == 8 else 16)


def _every(share: int, change: Callable[[bytes], bytes]) -> Callable[[SerialFrame, bytes], bytes]:
    """Change each answer with scores whose turn it is."""
    seen = [0]

    def fault(frame: SerialFrame, data: bytes) -> bytes:
        seen[0] += frame.type is SerialType.SCORES
        return change(data) if frame.type is SerialType.SCORES and seen[0] % share == 0 else data

    return fault


FAULTS = {
    "lost": lambda data: b"",
    "a bit wrong": lambda data: data[:9] + bytes((data[9] ^ 4,)) + data[10:],
    "cut": lambda data: data[:-3],
    "twice": lambda data: data + data,
    "noise before it": lambda data: b"\xa5\x82\xa5" + data,
}


@pytest.mark.parametrize("kind", FAULTS)
def test_faults_on_the_line_change_no_score(model: str, board: SerialBoard, kind: str) -> None:
    iq, level = given(40, kind)
    with (
        PythonBoard(board, _every(5, FAULTS[kind])) as there,
        closing(SerialEngine(model, there.port, timeout=0.5)) as engine,
    ):
        found = engine.run(iq, level)
        assert (engine.counters()["serial_resent"] > 0) == (kind in ("lost", "a bit wrong", "cut"))
    np.testing.assert_array_equal(found.integers, expected(model, iq, level))


def test_questions_that_do_not_arrive_are_asked_again(model: str, board: SerialBoard) -> None:
    iq, level = given(20, "deaf")
    # One in the middle of others, and all that are under way at the end.
    with (
        PythonBoard(board, deaf=frozenset({3, *range(18, 22)})) as there,
        closing(SerialEngine(model, there.port, timeout=0.5)) as engine,
    ):
        np.testing.assert_array_equal(engine.run(iq, level).integers, expected(model, iq, level))


def test_a_board_that_falls_silent_is_an_error_and_may_come_back(model: str, board: SerialBoard) -> None:
    iq, level = given(4, "silent")
    silent = [False]
    with (
        PythonBoard(board, lambda _, data: b"" if silent[0] else data) as there,
        closing(SerialEngine(model, there.port, timeout=0.06)) as engine,
    ):
        silent[0] = True
        for _ in range(2):  # among answers, and when it is looked for again
            with pytest.raises(LinkError, match=rf"no board answers at {there.port} at 3000000 bits/s: load"):
                engine.run(iq, level)
        silent[0] = False
        np.testing.assert_array_equal(engine.run(iq, level).integers, expected(model, iq, level))


def test_another_model_on_the_board_is_refused(model: str, board: SerialBoard) -> None:
    with (
        PythonBoard(board) as there,
        pytest.raises(
            LinkError, match=r"has another model \(\w{12}\), not coherent-small-int4 \(\w{12}\): load"
        ),
    ):
        SerialEngine("coherent-small-int4", there.port)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"scores": 7}, "says of its model what is not true of it"),
        ({"window": 0}, "out of range"),
        ({"version": 9}, r"speaks version 09, not 1, of the frames"),
    ],
)
def test_a_board_that_says_what_cannot_be(
    model: str, board: SerialBoard, change: dict[str, int], words: str
) -> None:
    def fault(frame: SerialFrame, data: bytes) -> bytes:
        body = bytearray(frame.body)
        for name, value in change.items():
            body[{"version": 0, "scores": 6, "window": 8}[name]] = value
        return SerialFrame(frame.type, frame.number, bytes(body)).to_bytes()

    with PythonBoard(board, fault) as there, pytest.raises(LinkError, match=words):
        SerialEngine(model, there.port)


def test_a_port_where_nobody_answers(model: str) -> None:
    with PythonBoard(None) as there, pytest.raises(LinkError, match="no board answers at"):
        SerialEngine(model, there.port, timeout=0.01)


def test_a_port_that_is_never_quiet(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("amrq.link.serial_engine._LONGEST_CLEARING", 0.1)
    with PythonBoard(None) as there:
        ended = threading.Event()

        def chatter() -> None:
            while not ended.is_set():
                os.write(there.ours, b"\xa5\x81 says something else ")

        os.set_blocking(there.ours, True)
        thread = threading.Thread(target=chatter)
        thread.start()
        try:
            with pytest.raises(LinkError, match=r"sends without end: no board of 'amrq rtl' is there"):
                SerialEngine(model, there.port)
        finally:
            ended.set()
            with open(there.port, "rb", buffering=0) as port:  # so that the writer ends
                os.set_blocking(port.fileno(), False)
                while thread.is_alive():
                    port.read(1 << 16)
            thread.join()


def test_what_is_no_serial_port_is_said_in_a_sentence(model: str, tmp_path: Path) -> None:
    with pytest.raises(
        LinkError, match=r"none cannot be opened \(No such file or directory\): give the board's"
    ):
        SerialEngine(model, str(tmp_path / "none"))
    (tmp_path / "file").touch()
    with pytest.raises(LinkError, match="file cannot be set up as a serial port"):
        SerialEngine(model, str(tmp_path / "file"))
    with pytest.raises(LinkError, match=r"cannot run at 3000001 bits/s here: choose from 9600, .*3000000"):
        SerialEngine(model, "/dev/ttyUSB0", baud=3_000_001)
    with pytest.raises(AmrqError, match="above 0 s"):
        SerialEngine(model, timeout=0)


def test_closing_ends_a_run_that_waits(model: str, board: SerialBoard) -> None:
    iq, level = given(2, "closed")
    with PythonBoard(board, lambda frame, data: b"" if frame.type is SerialType.SCORES else data) as there:
        engine = SerialEngine(model, there.port, timeout=3600)
        failed: list[Exception] = []

        def run() -> None:
            try:
                engine.run(iq, level)
            except LinkError as error:
                failed.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        engine.close()
        thread.join(PATIENCE)
        assert "has been closed" in str(failed[0])
        engine.open()
        engine.hurry(0)
        with pytest.raises(LinkError, match="no board answers"):
            engine.run(iq, level)
        engine.close()


def test_amrq_board_passes_chunks_on(model: str, board: SerialBoard) -> None:
    chunks = rng("serial engine", "served").standard_normal((40, 16)).astype(np.float32).view(np.complex64)
    power = np.linspace(0.5, 2, len(chunks)).astype(np.float32)
    with PythonBoard(board) as there:
        program = ("-m", "amrq", "board", "--engine", "serial", "--port", there.port, "--model")
        with serving(model, program=program) as started:
            with client(started.endpoint, settings=QUICK, model=model) as asked:
                found = asked.classify(chunks, power)
            assert "the board at" in started.said[0] and "I and Q of 9 bits" in started.said[0]
    expected = make_classifier(model, "integer").classify(chunks, power)
    np.testing.assert_array_equal(found.log_likelihoods, expected.log_likelihoods)


def test_the_command_says_what_is_wrong(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    port = str(tmp_path / "ttyUSB7")
    result = amrq_here(capfd, "board", "--model", "coherent-small-int4", "--engine", "serial", "--port", port)
    refused(result, "ttyUSB7 cannot be opened (No such file or directory)")
