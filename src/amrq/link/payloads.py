# SPDX-License-Identifier: GPL-3.0-or-later
"""Payloads of frames: a board's capabilities, chunks, scores."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from amrq.chunks import LEVEL_FEATURES
from amrq.classifier import Engine, EngineScores, IntegerScores, logits_of
from amrq.errors import AmrqError
from amrq.files import parsing
from amrq.link.protocol import LEVEL_FLAG, Frame, FrameError, MessageType, Status, is_scale
from amrq.model import Contract
from amrq.text import printable

__all__ = [
    "LARGEST_CAPABILITIES",
    "MOST_SCORES",
    "Capabilities",
    "ChunkPayload",
    "SampleFormat",
    "ScoreFormat",
    "joined_scores",
    "read_logits",
    "scores_reply",
]


class SampleFormat(IntEnum):
    """I and Q in turn, little-endian: an array [N, L, 2]."""

    CI8 = 1
    CI16 = 2
    CF32 = 3

    @property
    def dtype(self) -> np.dtype[np.int8] | np.dtype[np.int16] | np.dtype[np.float32]:
        """Of I and of Q."""
        return np.dtype({1: "<i1", 2: "<i2", 3: "<f4"}[self.value])

    @property
    def bit(self) -> int:
        """Its bit in a mask of formats."""
        return 1 << self.value

    def quantise(self, iq: NDArray[np.float32], scale: float = 1.0) -> NDArray[np.generic]:
        """Write samples: to integers by rounding x / scale, half to even, then saturating.

        x / scale is exact, since scale is a power of two; so the result does not depend on who computes it.

        Args:
            iq: float32 [N, 2, L], finite, row 0 I and row 1 Q.
            scale: what one step stands for, a power of two; 1 for cf32.

        Returns:
            [N, L, 2], contiguous, of `dtype`.

        Raises:
            AmrqError: the scale is no power of two.
        """
        if not is_scale(scale) or (self is SampleFormat.CF32 and scale != 1):
            raise AmrqError(
                f"the scale of {self.name.lower()} must be {'1' if self is SampleFormat.CF32 else 'a power of two'}, "
                f"not {scale}."
            )
        interleaved = iq.transpose(0, 2, 1)
        if self is SampleFormat.CF32:
            return np.ascontiguousarray(interleaved, self.dtype)
        lowest, highest = (-128, 127) if self is SampleFormat.CI8 else (-32768, 32767)
        # A quotient beyond float32 becomes infinite, which saturates as it should.
        with np.errstate(over="ignore"):
            steps = np.divide(interleaved, np.float32(scale), order="C")
        np.rint(steps, out=steps)
        np.clip(steps, lowest, highest, out=steps)
        return steps.astype(self.dtype)

    def restore(self, samples: NDArray[np.generic], scale: float = 1.0) -> NDArray[np.float32]:
        """Return what samples stand for, exactly; what is beyond float32 comes out infinite.

        Args:
            samples: [N, L, 2], of `dtype`.
            scale: what one step stands for, a power of two; 1 for cf32.

        Returns:
            float32 [N, 2, L].
        """
        iq = np.ascontiguousarray(samples.transpose(0, 2, 1), dtype=np.float32)
        with np.errstate(over="ignore"):  # beyond float32 it becomes infinite
            return iq if self is SampleFormat.CF32 else iq * np.float32(scale)


class ScoreFormat(IntEnum):
    """An array [N, H], little-endian; a score times the message's scale is a logit."""

    INT32 = 1
    """Accumulators of the last layer."""
    FLOAT32 = 2
    """Logits; the scale is 1."""

    @property
    def dtype(self) -> np.dtype[np.int32] | np.dtype[np.float32]:
        """Of a score."""
        return np.dtype({1: "<i4", 2: "<f4"}[self.value])

    @property
    def bit(self) -> int:
        """Its bit in a mask of formats."""
        return 1 << self.value


LARGEST_CAPABILITIES = 1 << 20
"""Bytes of a payload that is read: a contract has some thousands."""
_COARSE_SCALE = 2.0**-6
"""Of ci8 where it is not exact: chunks of unit RMS then reach to twice the RMS."""
MOST_SCORES = 1024
"""Scores a chunk that a client takes: a model has some tens of hypotheses."""

_FIXED = struct.Struct("<32sIIIIHHf")
_NAMES = (
    "model_sha256",
    "sample_formats",
    "exact_formats",
    "score_formats",
    "largest_batch",
    "chunk_length",
    "scores",
    "input_scale",
)
"""Of the fixed part, in its order."""


@dataclass(frozen=True, kw_only=True)
class Capabilities:
    """The payload of a capabilities message.

    Attributes:
        model_sha256: of the ONNX file's bytes, 32 bytes.
        sample_formats: mask of the formats it takes.
        exact_formats: mask of those whose answer is the same to the bit as that of cf32, integers at `input_scale`.
        score_formats: mask of the formats it may answer in.
        largest_batch: chunks a message at most.
        chunk_length: samples a chunk (L).
        scores: scores a chunk (H).
        input_scale: the scale at which integers are to be sent.
        contract: of the model.
    """

    model_sha256: bytes
    sample_formats: int
    exact_formats: int
    score_formats: int
    largest_batch: int
    chunk_length: int
    scores: int
    input_scale: float
    contract: Contract

    @classmethod
    def of(cls, engine: Engine, largest_batch: int) -> "Capabilities":
        """Return what a board with this engine reports about itself."""
        exact = [SampleFormat.CF32]
        if engine.exact_bits is not None:
            exact += [
                f for f in (SampleFormat.CI8, SampleFormat.CI16) if 8 * f.dtype.itemsize >= engine.exact_bits
            ]
        scores = [ScoreFormat.FLOAT32, *([ScoreFormat.INT32] if engine.integer_scores else [])]
        return cls(
            model_sha256=engine.model_sha256,
            sample_formats=sum(format.bit for format in SampleFormat),
            exact_formats=sum(format.bit for format in exact),
            score_formats=sum(format.bit for format in scores),
            largest_batch=largest_batch,
            chunk_length=engine.contract.chunk_length,
            scores=len(engine.contract.weighed()),
            input_scale=engine.input_scale,
            contract=engine.contract,
        )

    def scale_of(self, format: SampleFormat) -> float:
        """Return the scale at which samples are to be sent in a format.

        It is the input scale, at which exact formats are exact. In ci8, where that is not exact, fine steps would cut
        a chunk off at a part of its RMS: steps are then at least 2^-6.
        """
        if format is SampleFormat.CF32:
            return 1.0
        if format is SampleFormat.CI8 and not self.exact_formats & format.bit:
            return max(self.input_scale, _COARSE_SCALE)
        return self.input_scale

    def to_bytes(self) -> bytes:
        """Return the payload: 56 bytes, followed by the contract as JSON in UTF-8."""
        fixed = _FIXED.pack(*(getattr(self, name) for name in _NAMES))
        return fixed + self.contract.to_json(oldest=True).encode()

    @classmethod
    def from_bytes(cls, payload: bytes | memoryview) -> "Capabilities":
        """Read a payload.

        Raises:
            FrameError: it is not a payload of capabilities, or contradicts itself.
        """
        if len(payload) < _FIXED.size:
            raise FrameError(
                Status.MALFORMED, f"capabilities have at least {_FIXED.size} bytes, not {len(payload)}."
            )
        fixed = _FIXED.unpack_from(payload)
        if len(payload) > LARGEST_CAPABILITIES:
            raise FrameError(
                Status.MALFORMED,
                f"capabilities have at most {LARGEST_CAPABILITIES} bytes, not {len(payload)}.",
            )
        try:
            with parsing("the contract of the board's model"):
                contract = Contract.from_json(bytes(payload[_FIXED.size :]).decode())
        except AmrqError as error:
            raise FrameError(Status.MALFORMED, printable(error)) from None
        found = cls(**dict(zip(_NAMES, fixed, strict=True)), contract=contract)
        if (found.chunk_length, found.scores) != (contract.chunk_length, len(contract.weighed())):
            raise FrameError(
                Status.MALFORMED, "the board's capabilities and its contract contradict each other."
            )
        if not (
            found.largest_batch
            and found.scores <= MOST_SCORES
            and is_scale(found.input_scale)
            and found.sample_formats & sum(f.bit for f in SampleFormat)
            and found.score_formats & sum(f.bit for f in ScoreFormat)
        ):
            raise FrameError(Status.MALFORMED, "the board's capabilities leave no way to ask it anything.")
        return found


class ChunkPayload(NamedTuple):
    """What a board is given.

    Attributes:
        iq: float32 [N, 2, L], row 0 I and row 1 Q, finite.
        level: float32 [N, 3], finite, for a model with level input; None for any other.
    """

    iq: NDArray[np.float32]
    level: NDArray[np.float32] | None

    def to_bytes(self, format: SampleFormat, scale: float) -> bytes:
        """Return samples [N, L, 2], followed by level features [N, 3] if there are any."""
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


_INT32 = np.iinfo(np.int32)


def joined_scores(parts: Sequence[EngineScores]) -> EngineScores:
    """Return the scores of a message that the engine computed in parts, in order."""
    if len(parts) == 1:
        return parts[0]
    whole = [part for part in parts if isinstance(part, IntegerScores)]
    if len(whole) == len(parts) and len({part.exponent for part in whole}) == 1:
        return IntegerScores(np.concatenate([part.integers for part in whole]), whole[0].exponent)
    return np.concatenate([logits_of(part) for part in parts])


def scores_reply(request: Frame, scores: EngineScores) -> Frame:
    """Answer a classify message.

    Args:
        request: that message.
        scores: of its chunks; integers of which one does not fit int32 are sent as floating point.
    """
    format, scale = ScoreFormat.FLOAT32, 1.0
    if isinstance(scores, IntegerScores):
        values: NDArray[np.generic] = scores.integers
        fits = scores.integers.size == 0 or (
            scores.integers.min() >= _INT32.min and scores.integers.max() <= _INT32.max
        )
        if fits and is_scale(2.0**scores.exponent):
            format, scale = ScoreFormat.INT32, 2.0**scores.exponent
        else:
            values = scores.logits
    else:
        values = scores
    return Frame(
        type=MessageType.SCORES,
        session=request.session,
        sequence=request.sequence,
        payload=values.astype(format.dtype, copy=False).tobytes(),
        format=format,
        flags=0,
        sample_index=request.sample_index,
        chunks=request.chunks,
        chunk_length=request.chunk_length,
        scores=values.shape[1],
        scale=scale,
    )
