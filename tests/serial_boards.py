# SPDX-License-Identifier: GPL-3.0-or-later
"""A board at a serial port, in Python: what docs/serial-protocol.md says of one, and faults on its line."""

import contextlib
import os
import pty
import select
import threading
import tty
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType

import numpy as np
from patience import PATIENCE

from amrq.hardware import FrameSeeker, IntegerEngine, SerialFrame, SerialIdentity, SerialType
from amrq.hardware.rtl import BoardOptions, DesignOptions, SerialBoard, make_design

Fault = Callable[[SerialFrame, bytes], bytes]
"""What becomes of an answer on its way: the frame and its bytes; to the bytes that arrive."""


def board_of(model: str | Path, input_bits: int = 9, pause_bits: int = 20) -> SerialBoard:
    """Return a model's board at 4 clocks a bit, so that simulating it is quick."""
    engine = IntegerEngine(str(model))
    design = make_design(engine.network, DesignOptions(input_bits))
    options = BoardOptions("ulx3s", clock_mhz=25.0, baud=6_250_000)
    return SerialBoard(design, engine.model_sha256, options, pause_bits)


class PythonBoard:
    """Answers at a pseudo-terminal with the integer reference's scores.

    Args:
        board: whose design's scores; None: nobody answers.
        fault: on the line to the computer.
        deaf: numbers, counted from 0, of the chunks that do not arrive.

    Attributes:
        port: path of the pseudo-terminal.
        asked: chunks that arrived.
    """

    def __init__(
        self, board: SerialBoard | None, fault: Fault | None = None, deaf: frozenset[int] = frozenset()
    ) -> None:
        self.board, self.fault, self.deaf = board, fault, deaf
        self.asked = 0
        self._ends = pty.openpty()
        self.ours = self._ends[0]
        tty.setraw(self._ends[1])
        self.port = os.ttyname(self._ends[1])
        self._wake = os.pipe()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def __enter__(self) -> "PythonBoard":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.write(self._wake[1], b"x")
        self._thread.join(PATIENCE)
        for end in (*self._ends, *self._wake):
            os.close(end)

    @property
    def identity(self) -> SerialIdentity:
        assert self.board is not None
        return self.board.identity

    def _serve(self) -> None:
        sizes = {SerialType.IDENTIFY: 0}
        if self.board is not None:
            sizes[SerialType.CLASSIFY] = self.identity.chunk_bytes
        seeker = FrameSeeker(sizes)
        with contextlib.suppress(OSError):
            while True:
                ready, _, _ = select.select([self.ours, self._wake[0]], [], [])
                if self._wake[0] in ready:
                    return
                for frame in seeker.feed(os.read(self.ours, 1 << 16)):
                    for answer in self._answers(frame):
                        data = answer.to_bytes()
                        if self.fault is not None:
                            data = self.fault(answer, data)
                        while data:
                            data = data[os.write(self.ours, data) :]

    def _answers(self, frame: SerialFrame) -> Iterator[SerialFrame]:
        if self.board is None:
            return
        if frame.type is SerialType.IDENTIFY:
            yield SerialFrame(SerialType.IDENTITY, frame.number, self.identity.to_bytes())
            return
        self.asked += 1
        if self.asked - 1 in self.deaf:
            return
        symbols, side = self.identity.read_chunk(frame.body)
        design = self.board.design
        scores = design.network.run(design.given(symbols[None], side[None])).integers[0]
        best = int(scores.argmax())
        label = int(design.network.class_of_hypothesis[best])
        yield SerialFrame(SerialType.SCORES, frame.number, self.identity.scored(scores, best, label))


def level_of(count: int) -> np.ndarray:
    """Return level features as a stream would give them: float32 [N, 3]."""
    return np.linspace(0, 2, 3 * count).reshape(count, 3).astype(np.float32)
