# SPDX-License-Identifier: GPL-3.0-or-later
"""The frames of the protocol between gr-amrq and a board."""

import math
import struct
import zlib
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from amrq.errors import LinkError

__all__ = [
    "HEADER_BYTES",
    "LEVEL_FLAG",
    "MAGIC",
    "VERSION",
    "Frame",
    "FrameError",
    "MessageType",
    "Status",
    "is_scale",
    "read_frame",
]


class Status(IntEnum):
    """Status of a message; anything but OK stands in error messages alone."""

    OK = 0
    MALFORMED = 1
    """No message of this protocol: too short, wrong magic, a field that contradicts another or is not allowed."""
    VERSION = 2
    """Of another version of the protocol."""
    CHECKSUM = 3
    """The CRC-32 is wrong: damaged on its way."""
    TYPE = 4
    """A type that is not known, or that a board does not take."""
    FORMAT = 5
    """A sample format that this board does not take."""
    LENGTH = 6
    """Not the model's chunk length, or level features where it takes none or the other way round."""
    TOO_LARGE = 7
    """More chunks than the largest batch."""
    NO_SESSION = 8
    """No hello of this session came before on this connection: say hello."""
    FULL = 9
    """As many clients as the board takes are there: come again later."""
    TOO_FAST = 10
    """More requests a second than a client may send: come again later."""
    BUSY = 11
    """As many requests wait as the board holds: come again later."""
    FAILED = 12
    """The engine failed on this request."""
    STOPPING = 13
    """The board is being shut down."""


class FrameError(LinkError):
    """A message cannot be read, or asks for what cannot be done.

    Args:
        status: the reason.
        text: one sentence.
        session: of the message, 0 where it cannot be read.
        sequence: of the message, 0 where it cannot be read.
    """

    def __init__(self, status: Status, text: str, session: int = 0, sequence: int = 0) -> None:
        super().__init__(text)
        self.status = status
        self.session = session
        self.sequence = sequence


class MessageType(IntEnum):
    """The kinds of message; docs/board-protocol.md says what each carries."""

    HELLO = 1
    CAPABILITIES = 2
    CLASSIFY = 3
    SCORES = 4
    PING = 5
    PONG = 6
    ERROR = 7


def is_scale(scale: float) -> bool:
    """Return whether `scale` is a power of two that float32 holds as a normal number."""
    mantissa, exponent = np.frexp(np.float64(scale))
    return bool(mantissa == 0.5 and -125 <= exponent <= 128)


MAGIC = b"AMRQ"
VERSION = 1
LEVEL_FLAG = 1
"""Flag of classify: level features follow the samples; of capabilities: the model takes them."""

_HEADER = struct.Struct("<4sBBBBQQQIHHfHHII")
_CRC_AT = 52
HEADER_BYTES = _HEADER.size
"""56: a multiple of 8, so that the payload lies where its numbers are aligned."""


@dataclass(frozen=True, kw_only=True)
class Frame:
    """A message; fields that its type has no use for are 0.

    Attributes:
        type: what it is.
        session: chosen by the client at random, 64 bits, for each hello; replies carry it back.
        sequence: number of the request in its session, 64 bits; replies carry it back.
        payload: what follows the header.
        format: sample format of classify, score format of scores.
        flags: `LEVEL_FLAG` or 0.
        sample_index: index of the first chunk's first sample in the client's stream, 64 bits; scores carry it back.
        chunks: number of chunks (N).
        chunk_length: samples a chunk (L).
        scores: scores a chunk (H).
        scale: what one integer step of samples or scores stands for, a power of two; 1 for floating point.
        status: why an error; OK in all others.
    """

    type: MessageType
    session: int
    sequence: int
    payload: bytes | memoryview = b""
    format: int = 0
    flags: int = 0
    sample_index: int = 0
    chunks: int = 0
    chunk_length: int = 0
    scores: int = 0
    scale: float = 0.0
    status: Status = Status.OK

    def to_bytes(self) -> bytes:
        """Return the message as it is sent."""
        header = bytearray(
            _HEADER.pack(
                MAGIC,
                VERSION,
                self.type,
                self.format,
                self.flags,
                self.session,
                self.sequence,
                self.sample_index,
                self.chunks,
                self.chunk_length,
                self.scores,
                self.scale,
                self.status,
                0,
                len(self.payload),
                0,
            )
        )
        header[_CRC_AT:] = zlib.crc32(self.payload, zlib.crc32(header)).to_bytes(4, "little")
        return bytes(header) + self.payload


def read_frame(data: bytes | memoryview) -> Frame:
    """Read a message; nothing is allocated for what it claims to hold, its payload is a view of `data`.

    Args:
        data: one ZMQ frame.

    Raises:
        FrameError: it is no whole, undamaged message of this version.

    >>> frame = Frame(type=MessageType.PING, session=7, sequence=1)
    >>> read_frame(frame.to_bytes()).session
    7
    """
    view = memoryview(data)
    if len(view) < HEADER_BYTES:
        raise FrameError(
            Status.MALFORMED,
            f"a message has a header of {HEADER_BYTES} bytes, but this one has {len(view)} in all.",
        )
    (
        magic,
        version,
        kind,
        format_,
        flags,
        session,
        sequence,
        sample_index,
        chunks,
        chunk_length,
        scores,
        scale,
        status,
        reserved,
        payload_bytes,
        crc,
    ) = _HEADER.unpack_from(view)
    if magic != MAGIC:
        raise FrameError(Status.MALFORMED, f"a message begins with {MAGIC.decode()}, not {magic!r}.")

    def refuse(status: Status, text: str) -> FrameError:
        return FrameError(status, text, session, sequence)

    if version != VERSION:
        raise FrameError(  # where session and sequence stand in another version is not known
            Status.VERSION, f"this side speaks version {VERSION} of the protocol, not {version}."
        )
    payload = view[HEADER_BYTES:]
    if payload_bytes != len(payload):
        raise refuse(
            Status.MALFORMED,
            f"the header gives {payload_bytes} bytes of payload, but {len(payload)} came.",
        )
    header = bytes(view[:_CRC_AT]) + bytes(4)
    if zlib.crc32(payload, zlib.crc32(header)) != crc:
        raise refuse(Status.CHECKSUM, "the message's CRC-32 is wrong: it was damaged on its way.")
    try:
        known_kind, known_status = MessageType(kind), Status(status)
    except ValueError:
        raise refuse(Status.TYPE, f"there is no message of type {kind} with status {status}.") from None
    if flags & ~LEVEL_FLAG or reserved:
        raise refuse(Status.MALFORMED, "a flag or field is set that has no meaning.")
    if not math.isfinite(scale):
        raise refuse(Status.MALFORMED, f"the scale is {scale}, which is not a number.")
    return Frame(
        type=known_kind,
        session=session,
        sequence=sequence,
        payload=payload,
        format=format_,
        flags=flags,
        sample_index=sample_index,
        chunks=chunks,
        chunk_length=chunk_length,
        scores=scores,
        scale=scale,
        status=known_status,
    )
