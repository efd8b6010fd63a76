# SPDX-License-Identifier: GPL-3.0-or-later
"""Designs for boards with a serial line: frames, the Verilog that reads and writes them, pins and clocks."""

import dataclasses
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from seeds import rng

onnx = pytest.importorskip("onnx", reason="the package onnx is not installed")

from quantised_onnx import quantised_onnx, random_layer, random_spec  # noqa: E402
from serial_boards import board_of  # noqa: E402

from amrq.errors import AmrqError, LinkError  # noqa: E402
from amrq.hardware import FrameSeeker, IntegerEngine, SerialFrame, SerialIdentity, SerialType  # noqa: E402
from amrq.hardware.rtl import (  # noqa: E402
    BoardOptions,
    SerialBoard,
    SerialSimulation,
    make_design,
    make_stimuli,
    write_rtl,
)
from amrq.hardware.rtl.serial_board import _pll  # noqa: E402

needs_iverilog = pytest.mark.skipif(shutil.which("iverilog") is None, reason="iverilog is not installed")

frames = st.builds(
    SerialFrame,
    st.just(SerialType.CLASSIFY),
    st.integers(0, 255),
    st.binary(min_size=5, max_size=5),
)


@settings(max_examples=40)
@given(st.lists(st.one_of(frames, st.binary(max_size=9)), max_size=12), st.data())
def test_frames_are_found_whatever_lies_between_and_however_they_come(
    parts: list[SerialFrame | bytes], data: st.DataObject
) -> None:
    sent = b"".join(part if isinstance(part, bytes) else part.to_bytes() for part in parts)
    seeker, found, place = FrameSeeker({SerialType.CLASSIFY: 5}), [], 0
    while place < len(sent):
        step = data.draw(st.integers(1, 20))
        found += list(seeker.feed(sent[place : place + step]))
        place += step
    # Noise that ends as a frame begins keeps the next one waiting: what comes after it brings it out.
    found += list(seeker.feed(bytes(12)))
    assert found == [part for part in parts if isinstance(part, SerialFrame)]


@settings(max_examples=40)
@given(st.integers(1, 4), st.data())
def test_scores_and_chunks_come_out_as_they_went_in(score_bytes: int, data: st.DataObject) -> None:
    bits = data.draw(st.integers(8, 16))
    signed = data.draw(st.booleans())
    identity = SerialIdentity(bytes(32), bits, 4, 3, signed, 3, score_bytes, 8, -5, -6, -7)
    assert SerialIdentity.from_bytes(identity.to_bytes()) == identity
    most = 1 << 8 * score_bytes - 1
    scores = np.array(data.draw(st.lists(st.integers(-most, most - 1), min_size=3, max_size=3)))
    found, best, label = identity.read_scores(identity.scored(scores, 2, 9))
    assert found.tolist() == scores.tolist() and (best, label) == (2, 9)
    most = 1 << bits - 1
    symbols = np.array(data.draw(st.lists(st.integers(-most, most - 1), min_size=8, max_size=8)))
    side = np.array(data.draw(st.lists(st.integers(0, 127), min_size=3, max_size=3))) - 100 * signed
    again, beside = identity.read_chunk(identity.chunk(symbols.reshape(4, 2), side))
    assert again.ravel().tolist() == symbols.tolist() and beside.tolist() == side.tolist()


def _model(folder: Path, level: bool, outputs: int) -> Path:
    generator = rng("serial board", str(level))
    spec = random_spec(generator, 4, level=level)
    spec.symbol = [random_layer(generator, 2, 3, spec.symbol[0].exponent, 4)]
    spec.head = [random_layer(generator, 3 + 3 * level, outputs, -7, 4)]
    return quantised_onnx(folder / "m.onnx", dataclasses.replace(spec, length=8))


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> SerialBoard:
    # More scores than a chunk has clocks: two a beat, and one in the last.
    return board_of(_model(tmp_path_factory.mktemp("board"), False, 11), 8, pause_bits=8)


@pytest.fixture(scope="module")
def simulation(board: SerialBoard) -> Iterator[SerialSimulation]:
    with SerialSimulation(board, "iverilog") as running:
        yield running


class Line:
    """The computer's end of the line.

    Args:
        board: what is at the other end.
        simulation: of that.
    """

    def __init__(self, board: SerialBoard, simulation: SerialSimulation) -> None:
        self.board, self.simulation = board, simulation
        sizes = {SerialType.IDENTITY: SerialIdentity.size(), SerialType.SCORES: board.identity.score_body}
        self.seeker = FrameSeeker(sizes)
        stimuli = make_stimuli(board.design, 16, 1)
        self.chunks = [board.identity.chunk(*one) for one in zip(stimuli.symbols, stimuli.side, strict=True)]
        run = board.design.network.run(board.design.given(stimuli.symbols, stimuli.side))
        self.scores = run.integers.tolist()

    def question(self, number: int) -> bytes:
        """Return the request of a chunk, numbered as it is."""
        return SerialFrame(SerialType.CLASSIFY, number, self.chunks[number]).to_bytes()

    def say(self, data: bytes, steps: int = 1) -> list[SerialFrame]:
        """Return the frames that come while bytes are sent and some time afterwards."""
        return list(self.seeker.feed(self.simulation.exchange(data, steps)))

    def right(self, frame: SerialFrame) -> bool:
        """Return whether scores and class are those of the chunk with the frame's number."""
        scores, best, label = self.board.identity.read_scores(frame.body)
        expected = self.scores[frame.number]
        hypothesis = int(np.argmax(expected))
        classes = self.board.design.network.class_of_hypothesis
        return scores.tolist() == expected and (best, label) == (hypothesis, classes[hypothesis])


@pytest.fixture
def line(board: SerialBoard, simulation: SerialSimulation) -> Line:
    return Line(board, simulation)


LONG_ENOUGH = 12
"""Steps of 20 bits: an answer of this board has 31 bytes of 10."""


@needs_iverilog
def test_the_board_says_what_it_is_and_answers_in_order(line: Line) -> None:
    assert line.board.design.per_beat == 2
    asked = SerialFrame(SerialType.IDENTIFY, 250).to_bytes()
    found = line.say(asked + line.question(0) + line.question(1) + line.question(2), 2 * LONG_ENOUGH + 30)
    assert [frame.number for frame in found] == [250, 0, 1, 2]
    assert SerialIdentity.from_bytes(found[0].body) == line.board.identity
    assert all(line.right(frame) for frame in found[1:])
    assert line.seeker.damaged == 0


@needs_iverilog
def test_what_is_damaged_is_not_answered_and_hurts_nothing(line: Line) -> None:
    whole = line.question(3)
    wrong = bytearray(whole)
    wrong[7] ^= 0x10
    assert line.say(bytes(wrong) + b"\x00\xff\xa5\xa5\x07", LONG_ENOUGH) == []  # an unknown type as well
    # Half a frame, and after a pause of 2^8 clocks a whole one.
    assert line.say(whole[:9], LONG_ENOUGH) == []
    found = line.say(line.question(4), 2 * LONG_ENOUGH)
    assert [frame.number for frame in found] == [4] and line.right(found[0])


@needs_iverilog
def test_a_wrong_bit_in_the_hardware_is_seen(board: SerialBoard) -> None:
    spoilt = dict(board.files)
    # The lowest bit of each score's first byte turned over on its way out.
    name = "amrq_serial_answers.v"
    spoilt[name] = spoilt[name].replace("score[8*byte_of +: 8];", "score[8*byte_of +: 8] ^ 8'h01;")
    assert spoilt[name] != board.files[name]
    other = object.__new__(SerialBoard)
    other.__dict__.update(board.__dict__, files=spoilt)
    with SerialSimulation(other, "iverilog") as simulation:
        line = Line(other, simulation)
        (frame,) = line.say(line.question(0), 2 * LONG_ENOUGH)
    assert not line.right(frame)


@pytest.mark.skipif(shutil.which("verilator") is None, reason="verilator is not installed")
def test_verilator_has_no_warning(board: SerialBoard, tmp_path: Path) -> None:
    write_rtl(board.design, tmp_path, make_stimuli(board.design, 16, 1), board=board)
    result = subprocess.run(
        ["make", "-s", "-C", str(tmp_path), "board-lint"], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_each_pin_of_the_top_level_has_its_place(board: SerialBoard) -> None:
    top = board.files["amrq_ulx3s.v"]
    header = top[top.index("module amrq_ulx3s") : top.index(");")]
    ports = set()
    for width, name in re.findall(r"(?:input|output) +wire (?:\[(\d+):0\] )?(\w+)", header):
        ports |= {f"{name}[{n}]" for n in range(int(width) + 1)} if width else {name}
    pins = board.files["ulx3s.lpf"]
    assert set(re.findall(r'LOCATE COMP "([^"]+)"', pins)) == ports
    assert set(re.findall(r'IOBUF PORT "([^"]+)"', pins)) == ports
    sites = re.findall(r'SITE "(\w+)"', pins)
    assert len(set(sites)) == len(sites) == len(ports)


@given(st.floats(1, 400))
def test_a_clock_is_made_exactly_or_refused(clock_mhz: float) -> None:
    for wanted in (clock_mhz, round(clock_mhz)):
        try:
            made = _pll(wanted)
        except AmrqError:
            continue
        assert 25 / made.reference * made.feedback == pytest.approx(wanted, rel=1e-12)
        assert 400 <= wanted * made.output <= 800 and 25 / made.reference >= 3.125
        assert 1 <= made.feedback <= 80 and 1 <= made.output <= 128


def test_clocks_and_rates_that_do_not_fit(board: SerialBoard) -> None:
    def made(**options: float) -> SerialBoard:
        return SerialBoard(board.design, bytes(32), BoardOptions("ulx3s", **options))  # type: ignore[arg-type]

    assert made().clocks_a_bit == 25
    assert made(clock_mhz=65.0).clocks_a_bit == 22  # 1.5 % from 3,000,000
    with pytest.raises(AmrqError, match=r"cannot make a clock of 64 MHz: choose 25 MHz times a fraction"):
        made(clock_mhz=64.0)
    with pytest.raises(AmrqError, match=r"cannot make 3,000,000 bits/s to 2 %"):
        made(clock_mhz=25.0)
    assert made(fpga=12).size_flag == "--12k"
    aligned = make_design(IntegerEngine("blind-small-int4").network)
    large = SerialBoard(make_design(IntegerEngine("blind-full-int4").network), bytes(32))
    assert (large.clock_mhz, large.clocks_a_bit) == (65.0, 22)
    with pytest.raises(AmrqError, match="has 28 multipliers and the integer aligner takes 34"):
        SerialBoard(aligned, bytes(32), BoardOptions("ulx3s", fpga=25))
    with pytest.raises(AmrqError, match="ulx3s"):
        BoardOptions("icestick")
    with pytest.raises(LinkError, match="out of range"):
        dataclasses.replace(board.identity, input_bits=17)
