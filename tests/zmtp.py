# SPDX-License-Identifier: GPL-3.0-or-later
"""ZeroMQ's protocol by hand, to say what no library would."""

import contextlib
import socket

import pytest

__all__ = ["endless", "greet_as"]

_MOST = 2 << 30  # bytes


def greet_as(kind: bytes, connection: socket.socket) -> None:
    """Begin a connection as ZMTP 3.0 has it, without encryption."""
    connection.sendall(b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32))
    ready = b"\x05READY\x0bSocket-Type" + len(kind).to_bytes(4, "big") + kind
    connection.sendall(b"\x04" + bytes([len(ready)]) + ready)


def endless(kind: bytes, connection: socket.socket, part: int = 1 << 19) -> None:
    """Send parts of one message, so many bytes each, until the other side ends the connection."""
    frames = (b"\x03" + part.to_bytes(8, "big") + bytes(part)) * max(1, (1 << 16) // part)
    with contextlib.suppress(OSError):
        greet_as(kind, connection)
        for _ in range(_MOST // len(frames)):
            connection.sendall(frames)
        pytest.fail("2 GB of one message were taken in")
