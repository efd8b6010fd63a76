# SPDX-License-Identifier: GPL-3.0-or-later
"""The link to a board: chunks go to it over ZMQ, and scores come back (docs/board-protocol.md)."""

from amrq.link.board_engine import POLICIES, BoardBackend, BoardEngine
from amrq.link.board_server import LOOPBACK, BoardServer, serve
from amrq.link.dialogue import Dialogue
from amrq.link.payloads import (
    Capabilities,
    ChunkPayload,
    SampleFormat,
    ScoreFormat,
    read_logits,
    scores_reply,
)
from amrq.link.protocol import HEADER_BYTES, Frame, FrameError, MessageType, Status, read_frame
from amrq.link.request_queue import ClientTable, Request, RequestQueue
from amrq.link.serial_engine import SerialEngine
from amrq.link.settings import Limits, LinkSettings, make_keys, read_secret_key

__all__ = [
    "HEADER_BYTES",
    "LOOPBACK",
    "POLICIES",
    "BoardBackend",
    "BoardEngine",
    "BoardServer",
    "Capabilities",
    "ChunkPayload",
    "ClientTable",
    "Dialogue",
    "Frame",
    "FrameError",
    "Limits",
    "LinkSettings",
    "MessageType",
    "Request",
    "RequestQueue",
    "SampleFormat",
    "ScoreFormat",
    "SerialEngine",
    "Status",
    "make_keys",
    "read_frame",
    "read_logits",
    "read_secret_key",
    "scores_reply",
    "serve",
]
