# SPDX-License-Identifier: GPL-3.0-or-later
"""Chunks over ZMQ to a board, and what it says of them back: docs/board-protocol.md."""

from amrq.link.board_classifier import POLICIES, BoardBackend, BoardClassifier
from amrq.link.board_image import read_image, write_image
from amrq.link.board_server import LOOPBACK, BoardServer, serve
from amrq.link.engines import ENGINES, Engine, IntegerEngine, OnnxEngine, RtlEngine, make_engine
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
from amrq.link.settings import Limits, LinkSettings, make_keys, read_secret_key

__all__ = [
    "ENGINES",
    "HEADER_BYTES",
    "LOOPBACK",
    "POLICIES",
    "BoardBackend",
    "BoardClassifier",
    "BoardServer",
    "Capabilities",
    "ChunkPayload",
    "ClientTable",
    "Engine",
    "Frame",
    "FrameError",
    "IntegerEngine",
    "Limits",
    "LinkSettings",
    "MessageType",
    "OnnxEngine",
    "Request",
    "RequestQueue",
    "RtlEngine",
    "SampleFormat",
    "ScoreFormat",
    "Status",
    "make_engine",
    "make_keys",
    "read_frame",
    "read_image",
    "read_logits",
    "read_secret_key",
    "scores_reply",
    "serve",
    "write_image",
]
