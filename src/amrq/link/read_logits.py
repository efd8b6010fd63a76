# SPDX-License-Identifier: GPL-3.0-or-later
"""Scores out of a message."""

import numpy as np
from numpy.typing import NDArray

from amrq.link.capabilities import Capabilities
from amrq.link.frame import Frame
from amrq.link.frame_error import FrameError
from amrq.link.is_scale import is_scale
from amrq.link.score_format import ScoreFormat
from amrq.link.status import Status

__all__ = ["read_logits"]


def read_logits(frame: Frame, board: Capabilities, chunks: int) -> NDArray[np.float32]:
    """Read a scores message.

    Args:
        frame: the message.
        board: what the board said of itself.
        chunks: that were asked about.

    Returns:
        float32 [N, H], finite.

    Raises:
        FrameError: it does not answer the question; with the status FAILED where it does, but with numbers that are
            not finite.
    """

    def require(holds: bool, text: str) -> None:
        if not holds:
            raise FrameError(Status.MALFORMED, text, frame.session, frame.sequence)

    require(frame.format in list(ScoreFormat), f"there is no score format {frame.format}.")
    format = ScoreFormat(frame.format)
    shape = (frame.chunks, frame.chunk_length, frame.scores)
    require(
        shape == (chunks, board.chunk_length, board.scores),
        f"the scores are of {shape[0]} chunks of {shape[1]} samples, {shape[2]} each, which was not asked for.",
    )
    require(
        len(frame.payload) == chunks * board.scores * format.dtype.itemsize,
        f"{chunks} chunks have {chunks * board.scores} scores, not {len(frame.payload)} bytes of them.",
    )
    require(
        is_scale(frame.scale) and (format is ScoreFormat.INT32 or frame.scale == 1),
        "the scale must be a power of two, and 1 for floating point.",
    )
    values = np.frombuffer(frame.payload, format.dtype).reshape(chunks, board.scores)
    with np.errstate(over="ignore"):  # what becomes infinite is refused
        logits = values.astype(np.float32) * np.float32(frame.scale)
    if not np.isfinite(logits).all():
        raise FrameError(Status.FAILED, "its scores are not finite.", frame.session, frame.sequence)
    return logits
