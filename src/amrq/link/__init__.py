# SPDX-License-Identifier: GPL-3.0-or-later
"""Chunks over ZMQ to a board, and what it says of them back: docs/board-protocol.md."""

from amrq.link.board_classifier import POLICIES, BoardBackend, BoardClassifier
from amrq.link.board_image import read_image, write_image
from amrq.link.board_server import BoardServer
from amrq.link.capabilities import Capabilities
from amrq.link.engine import Engine
from amrq.link.frame import Frame, read_frame
from amrq.link.frame_error import FrameError
from amrq.link.integer_engine import IntegerEngine
from amrq.link.keys import make_keys
from amrq.link.limits import Limits
from amrq.link.link_settings import LinkSettings
from amrq.link.make_engine import make_engine
from amrq.link.message_type import MessageType
from amrq.link.onnx_engine import OnnxEngine
from amrq.link.sample_format import SampleFormat
from amrq.link.score_format import ScoreFormat
from amrq.link.serve import serve
from amrq.link.status import Status

__all__ = [
    "POLICIES",
    "BoardBackend",
    "BoardClassifier",
    "BoardServer",
    "Capabilities",
    "Engine",
    "Frame",
    "FrameError",
    "IntegerEngine",
    "Limits",
    "LinkSettings",
    "MessageType",
    "OnnxEngine",
    "SampleFormat",
    "ScoreFormat",
    "Status",
    "make_engine",
    "make_keys",
    "read_frame",
    "read_image",
    "serve",
    "write_image",
]
