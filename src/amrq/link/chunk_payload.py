# SPDX-License-Identifier: GPL-3.0-or-later
"""Chunks in a message."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from amrq.chunks import LEVEL_FEATURES
from amrq.link.capabilities import Capabilities
from amrq.link.frame import LEVEL_FLAG, Frame
from amrq.link.frame_error import FrameError
from amrq.link.is_scale import is_scale
from amrq.link.sample_format import SampleFormat
from amrq.link.status import Status

__all__ = ["ChunkPayload"]


class ChunkPayload(NamedTuple):
    """What a board is given.

    Attributes:
        iq: float32 [N, 2, L], row 0 I and row 1 Q, finite.
        level: float32 [N, 3], finite, for a model with level input; None for any other.
    """

    iq: NDArray[np.float32]
    level: NDArray[np.float32] | None

    def to_bytes(self, format: SampleFormat, scale: float) -> bytes:
        """Return samples [N, L, 2], and behind them level features [N, 3] where there are any."""
        samples = format.quantise(self.iq, scale).tobytes()
        return samples if self.level is None else samples + self.level.astype("<f4", copy=False).tobytes()

    @staticmethod
    def check(frame: Frame, board: Capabilities) -> None:
        """Refuse what this board cannot classify, by the header alone.

        Raises:
            FrameError: the sizes contradict each other, or are not what the board takes.
        """

        def require(holds: bool, status: Status, text: str) -> None:
            if not holds:
                raise FrameError(status, text, frame.session, frame.sequence)

        known = frame.format in list(SampleFormat) and board.sample_formats & SampleFormat(frame.format).bit
        require(bool(known), Status.FORMAT, f"this board does not take sample format {frame.format}.")
        format = SampleFormat(frame.format)
        require(
            frame.chunk_length == board.chunk_length,
            Status.LENGTH,
            f"the model takes chunks of {board.chunk_length} samples, not {frame.chunk_length}.",
        )
        level = board.contract.level_input
        require(
            frame.flags == (LEVEL_FLAG if level else 0),
            Status.LENGTH,
            f"the model takes {'' if level else 'no '}level features behind the samples.",
        )
        require(frame.chunks > 0, Status.MALFORMED, "there are no chunks in the message.")
        require(
            frame.chunks <= board.largest_batch,
            Status.TOO_LARGE,
            f"the board takes {board.largest_batch} chunks a message at most, not {frame.chunks}.",
        )
        size = 2 * board.chunk_length * format.dtype.itemsize + (4 * LEVEL_FEATURES if level else 0)
        require(
            len(frame.payload) == frame.chunks * size,
            Status.MALFORMED,
            f"{frame.chunks} chunks need {frame.chunks * size} bytes of payload, not {len(frame.payload)}.",
        )
        scale = frame.scale == 1 if format is SampleFormat.CF32 else is_scale(frame.scale)
        require(scale, Status.MALFORMED, "the scale must be a power of two, and 1 for cf32.")
        require(not frame.scores, Status.MALFORMED, "a question has no scores.")

    @classmethod
    def from_frame(
        cls, frame: Frame, board: Capabilities, first: int = 0, count: int | None = None
    ) -> "ChunkPayload":
        """Read a classify message, or a part of it.

        Args:
            frame: the message.
            board: what it must fit.
            first: the first chunk to read.
            count: how many; None: up to the last.

        Raises:
            FrameError: see `check`; or a number is not finite.
        """
        cls.check(frame, board)
        format = SampleFormat(frame.format)
        border = 2 * frame.chunks * frame.chunk_length * format.dtype.itemsize
        part = slice(first, None if count is None else first + count)
        samples = np.frombuffer(frame.payload[:border], format.dtype)
        iq = format.restore(samples.reshape(frame.chunks, frame.chunk_length, 2)[part], frame.scale)
        level = None
        if frame.flags & LEVEL_FLAG:
            level = np.frombuffer(frame.payload[border:], "<f4").reshape(frame.chunks, LEVEL_FEATURES)[part]
        if not (np.isfinite(iq).all() and (level is None or np.isfinite(level).all())):
            raise FrameError(
                Status.MALFORMED,
                "the message holds numbers that are not finite.",
                frame.session,
                frame.sequence,
            )
        return cls(iq, level)
