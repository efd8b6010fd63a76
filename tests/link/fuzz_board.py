#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Coverage-guided fuzzing of what a board and a client read: `make fuzz`.

Each input is read as it is, and once more with length and checksum made right, so that what stands behind them is
reached; then by a board that answers in this process. Anything but an answer or a `FrameError` is a find.
"""

import contextlib
import sys
import zlib
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["amrq"]):
    from amrq.classifier import Engine
    from amrq.link import (
        BoardServer,
        Capabilities,
        ChunkPayload,
        Frame,
        FrameError,
        MessageType,
        Status,
        read_frame,
        read_logits,
    )
    from amrq.model import Contract

import threading

import numpy as np
import zmq

CONTRACT = Contract("fuzzed", ("a", "b", "c"), 4, level_input=True)
BOARD = Capabilities(
    model_sha256=bytes(32),
    sample_formats=0b1110,
    exact_formats=8,
    score_formats=6,
    largest_batch=64,
    chunk_length=4,
    scores=3,
    input_scale=2.0**-7,
    contract=CONTRACT,
)


class Nothing(Engine):
    """Says nothing of anything."""

    name = "none"
    model_sha256 = bytes(32)
    contract = CONTRACT
    input_scale = 2.0**-7

    def run(self, iq, level):
        return np.zeros((len(iq), 3), np.float32)


def sealed(data: bytes) -> bytes:
    message = bytearray(b"AMRQ\x01" + data)
    message.extend(bytes(max(0, 56 - len(message))))
    message[46:48] = bytes(2)
    message[48:52] = (len(message) - 56).to_bytes(4, "little")
    message[52:56] = bytes(4)
    message[52:56] = zlib.crc32(message).to_bytes(4, "little")
    return bytes(message)


server = BoardServer(Nothing(), "tcp://127.0.0.1:*")
threading.Thread(target=server.run, daemon=True).start()
socket = zmq.Context().socket(zmq.DEALER)
socket.setsockopt(zmq.RCVTIMEO, 30_000)
socket.connect(server.endpoint)


def ask(message: bytes) -> Frame:
    while True:
        socket.send(message)
        answer = read_frame(socket.recv())  # zmq.Again, after 30 s, is a find: no answer
        if answer.status is not Status.TOO_FAST:
            return answer


def read_chunks(frame: Frame) -> None:
    ChunkPayload.from_frame(frame, BOARD)


def read_scores(frame: Frame) -> None:
    read_logits(frame, BOARD, 2)


def read_capabilities(frame: Frame) -> None:
    Capabilities.from_bytes(frame.payload)


def one(data: bytes) -> None:
    for message in (data, sealed(data)):
        try:
            frame = read_frame(message)
        except FrameError:
            frame = None
        if frame is not None:
            for read in (read_chunks, read_scores, read_capabilities):
                with contextlib.suppress(FrameError):
                    read(frame)
        answer = ask(message)
        assert answer.type in (
            MessageType.ERROR,
            MessageType.SCORES,
            MessageType.PONG,
            MessageType.CAPABILITIES,
        ), answer


# To begin with what is right, in the folder that it runs in.
corpus = Path("corpus")
corpus.mkdir(exist_ok=True)
payload = np.zeros((2, 4, 2), np.float32).tobytes() + np.zeros((2, 3), np.float32).tobytes()
for number, frame in enumerate(
    (
        Frame(type=MessageType.HELLO, session=1, sequence=1),
        Frame(type=MessageType.PING, session=1, sequence=2),
        Frame(
            type=MessageType.CLASSIFY,
            session=1,
            sequence=3,
            payload=payload,
            format=3,
            flags=1,
            sample_index=0,
            chunks=2,
            chunk_length=4,
            scores=0,
            scale=1.0,
        ),
        Frame(
            type=MessageType.SCORES,
            session=1,
            sequence=3,
            payload=bytes(24),
            format=1,
            flags=0,
            sample_index=0,
            chunks=2,
            chunk_length=4,
            scores=3,
            scale=0.5,
        ),
        Frame(type=MessageType.CAPABILITIES, session=1, sequence=3, payload=BOARD.to_bytes()),
    )
):
    (corpus / str(number)).write_bytes(frame.to_bytes()[5:])
atheris.Setup([*sys.argv, str(corpus), "-max_len=1024"], one)
atheris.Fuzz()
