# SPDX-License-Identifier: GPL-3.0-or-later
"""What a board tells about itself."""

import struct
from dataclasses import dataclass

from amrq.errors import AmrqError
from amrq.link.frame_error import FrameError
from amrq.link.is_scale import is_scale
from amrq.link.sample_format import SampleFormat
from amrq.link.score_format import ScoreFormat
from amrq.link.status import Status
from amrq.model import Contract
from amrq.parsing import parsing
from amrq.plain_text import printable

__all__ = ["LARGEST_CAPABILITIES", "MOST_SCORES", "Capabilities"]

LARGEST_CAPABILITIES = 1 << 20
"""Bytes of a payload that is read: a contract has some thousands."""
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

    def to_bytes(self) -> bytes:
        """Return the payload: 56 bytes, and behind them the contract as JSON in UTF-8."""
        fixed = _FIXED.pack(*(getattr(self, name) for name in _NAMES))
        return fixed + self.contract.to_json().encode()

    @classmethod
    def from_bytes(cls, payload: bytes | memoryview) -> "Capabilities":
        """Read a payload.

        Raises:
            FrameError: it is none, or contradicts itself.
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
