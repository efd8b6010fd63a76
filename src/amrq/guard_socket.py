# SPDX-License-Identifier: GPL-3.0-or-later
"""What every ZMQ socket that faces a network is told."""

from typing import Any

from amrq.optional_package import optional_package

__all__ = ["guard_socket"]

_HANDSHAKE_MS = 5_000
"""A connection that has not said who it is by then is closed."""
_SILENT_S, _ASKED_AGAIN_S, _ASKED = 30, 10, 3
"""TCP asks a peer that is silent for so long whether it is there, and closes the connection after three questions."""


def guard_socket(socket: Any, largest: int, linger_ms: int = 0) -> None:
    """Bound what the other side of a ZMQ socket can do; before it is bound or connected.

    A frame beyond the limit never gets into memory: its sender is cut off. A connection that does not finish its
    handshake in 5 s is closed, and so is one whose computer has gone without a word, after a minute.

    Args:
        socket: a socket of PyZMQ.
        largest: bytes of the largest frame that is taken in.
        linger_ms: how long closing it waits for what is still to be sent.
    """
    zmq = optional_package("zmq", "a ZMQ socket")
    for option, value in (
        (zmq.MAXMSGSIZE, largest),
        (zmq.LINGER, linger_ms),
        (zmq.HANDSHAKE_IVL, _HANDSHAKE_MS),
        (zmq.TCP_KEEPALIVE, 1),
        (zmq.TCP_KEEPALIVE_IDLE, _SILENT_S),
        (zmq.TCP_KEEPALIVE_INTVL, _ASKED_AGAIN_S),
        (zmq.TCP_KEEPALIVE_CNT, _ASKED),
    ):
        socket.setsockopt(option, value)
