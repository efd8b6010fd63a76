# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames on the serial line of an FPGA board (docs/serial-protocol.md): the same for both ends."""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from amrq.errors import LinkError

__all__ = ["FrameSeeker", "SerialFrame", "SerialIdentity", "SerialType"]

_SYNC = 0xA5
_AROUND = 7
"""Bytes of a frame beside what its type carries: a5, type, number, CRC-32."""
_BEST = 2
"""Bytes behind the scores: best hypothesis and its class."""


class SerialType(IntEnum):
    """What a frame carries."""

    IDENTIFY = 0x01
    """Nothing: a computer asks who is there."""
    CLASSIFY = 0x02
    """A chunk."""
    IDENTITY = 0x81
    """`SerialIdentity`: the answer to IDENTIFY."""
    SCORES = 0x82
    """The answer to CLASSIFY."""


class SerialFrame(NamedTuple):
    """A frame.

    Attributes:
        type: what it carries.
        number: of the request, 0 to 255; an answer has its request's.
        body: what it carries.

    >>> SerialFrame(SerialType.IDENTIFY, 7).to_bytes().hex()
    'a501071db6a6c6'
    """

    type: SerialType
    number: int
    body: bytes = b""

    def to_bytes(self) -> bytes:
        """Return it as it is sent: a5, type, number, body, CRC-32 of all behind the a5, lowest byte first."""
        checked = bytes((self.type, self.number)) + self.body
        return bytes((_SYNC,)) + checked + zlib.crc32(checked).to_bytes(4, "little")


_FIXED = struct.Struct("<BBHBBHBBbbb")


@dataclass(frozen=True)
class SerialIdentity:
    """What a board says of itself.

    Attributes:
        model_sha256: SHA-256 of the ONNX file that the hardware was made of, 32 bytes.
        input_bits: width of I and of Q, 8 to 16; they are sent in whole bytes.
        chunk_length: symbols a chunk (L).
        sides: numbers of 8 bits beside a chunk (S).
        sides_signed: whether these have a sign.
        scores: scores a chunk (H).
        score_bytes: of a score, in two's complement, 1 to 4.
        window: chunks that may be on their way at a time.
        input_exponent: I and Q of n stand for n times 2^input_exponent, where a chunk is normalised.
        side_exponent: the same of the numbers beside a chunk.
        score_exponent: the same of scores, as logits.

    Raises:
        LinkError: a value is out of range.
    """

    model_sha256: bytes
    input_bits: int
    chunk_length: int
    sides: int
    sides_signed: bool
    scores: int
    score_bytes: int
    window: int
    input_exponent: int
    side_exponent: int
    score_exponent: int

    version = 1
    """Of these frames."""

    def __post_init__(self) -> None:
        """Refuse what no hardware of `amrq rtl` can say of itself."""
        sound = (
            8 <= self.input_bits <= 16
            and 1 <= self.chunk_length <= 1 << 12
            and 1 <= self.scores <= 256
            and 1 <= self.score_bytes <= 4
            and 1 <= self.window <= 128
            and len(self.model_sha256) == 32
        )
        if not sound:
            raise LinkError("a board said of itself what cannot be: its model's sizes are out of range.")

    @property
    def component_bytes(self) -> int:
        """Bytes of I, and as many of Q."""
        return -(-self.input_bits // 8)

    @property
    def chunk_bytes(self) -> int:
        """Bytes that a chunk takes in a frame."""
        return self.sides + 2 * self.component_bytes * self.chunk_length

    @property
    def score_body(self) -> int:
        """Bytes that an answer carries."""
        return self.scores * self.score_bytes + _BEST

    @classmethod
    def size(cls) -> int:
        """Return the bytes of `to_bytes`."""
        return _FIXED.size + 32

    def to_bytes(self) -> bytes:
        """Return it as a frame carries it."""
        fixed = _FIXED.pack(
            self.version,
            self.input_bits,
            self.chunk_length,
            self.sides,
            self.score_bytes,
            self.scores,
            self.window,
            self.sides_signed,
            self.input_exponent,
            self.side_exponent,
            self.score_exponent,
        )
        return fixed + self.model_sha256

    @classmethod
    def from_bytes(cls, body: bytes) -> "SerialIdentity":
        """Read what a frame carried.

        Raises:
            LinkError: it is of another version, or a value is out of range.
        """
        if len(body) != cls.size() or body[0] != cls.version:
            raise LinkError(
                f"a board speaks version {body[:1].hex() or 'none'}, not {cls.version}, of the frames."
            )
        _, bits, length, sides, score_bytes, scores, window, signed, *exponents = _FIXED.unpack_from(body)
        return cls(
            body[_FIXED.size :], bits, length, sides, bool(signed), scores, score_bytes, window, *exponents
        )

    def chunk(self, symbols: NDArray[np.int64], side: NDArray[np.int64]) -> bytes:
        """Return a chunk as a frame carries it.

        Args:
            symbols: int64 [L, 2], I and Q within the width of the input.
            side: int64 [S].
        """
        coordinates = symbols.astype("<i1" if self.component_bytes == 1 else "<i2")
        return (side % 256).astype(np.uint8).tobytes() + coordinates.tobytes()

    def read_chunk(self, body: bytes) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the symbols int64 [L, 2] and the side inputs int64 [S] that `chunk` packed."""
        side = np.frombuffer(body[: self.sides], np.int8 if self.sides_signed else np.uint8)
        kind = "<i1" if self.component_bytes == 1 else "<i2"
        return np.frombuffer(body[self.sides :], kind).reshape(-1, 2).astype(np.int64), side.astype(np.int64)

    def scored(self, scores: NDArray[np.int64], hypothesis: int, label: int) -> bytes:
        """Return scores as a frame carries them: int64 [H], the best hypothesis, its class."""
        words = scores.astype("<i4").view(np.uint8).reshape(-1, 4)[:, : self.score_bytes]
        return words.tobytes() + bytes((hypothesis, label))

    def read_scores(self, body: bytes) -> tuple[NDArray[np.int64], int, int]:
        """Return the scores int64 [H], the best hypothesis and its class that `scored` packed."""
        raw = np.zeros((self.scores, 4), np.uint8)
        raw[:, 4 - self.score_bytes :] = np.frombuffer(body[:-_BEST], np.uint8).reshape(self.scores, -1)
        values = raw.view("<i4")[:, 0].astype(np.int64) >> 8 * (4 - self.score_bytes)
        return values, body[-2], body[-1]


class FrameSeeker:
    """Finds frames in what comes by a line, whatever lies between them.

    Args:
        sizes: bytes that a frame carries, by its type; frames of other types are passed over.

    Attributes:
        damaged: bytes at which a frame could have begun and none did.

    >>> seeker = FrameSeeker({SerialType.IDENTIFY: 0})
    >>> sent = SerialFrame(SerialType.IDENTIFY, 9).to_bytes()
    >>> [frame.number for frame in seeker.feed(b"noise" + sent)]
    [9]
    """

    def __init__(self, sizes: dict[SerialType, int]) -> None:
        self.sizes = sizes
        self.damaged = 0
        self._left = bytearray()

    def clear(self) -> None:
        """Forget what came of a frame."""
        self._left.clear()

    def feed(self, data: bytes) -> Iterator[SerialFrame]:
        """Yield the frames that end in these bytes; what is left is kept for the next call."""
        self._left += data
        while (start := self._left.find(_SYNC)) >= 0:
            del self._left[:start]
            if len(self._left) < 2:
                return
            size = self._size(self._left[1])
            if size is not None:
                if len(self._left) < size + _AROUND:
                    return
                checked = bytes(self._left[1 : size + 3])
                if zlib.crc32(checked).to_bytes(4, "little") == self._left[size + 3 : size + _AROUND]:
                    del self._left[: size + _AROUND]
                    yield SerialFrame(SerialType(checked[0]), checked[1], checked[2:])
                    continue
            self.damaged += 1
            del self._left[0]  # a frame may begin within what was taken for one
        self._left.clear()

    def _size(self, kind: int) -> int | None:
        return next((size for known, size in self.sizes.items() if known == kind), None)
