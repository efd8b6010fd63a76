# SPDX-License-Identifier: GPL-3.0-or-later
"""Bounds of ZMQ sockets that face a network."""

import contextlib
import os
import socket as sockets
from collections.abc import Callable
from typing import Any

from amrq.optional_package import optional_package
from amrq.plain_text import printable

__all__ = ["Connections", "endpoint_fault", "guard_socket"]

_LARGEST_PORT = 65_535
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


def endpoint_fault(act: Callable[[str], Any], endpoint: str) -> str:
    """Bind or connect a ZMQ socket; return why that cannot be, a part of a sentence, or nothing where it was done.

    Args:
        act: the socket's `bind` or `connect`.
        endpoint: its argument.
    """
    zmq = optional_package("zmq", "a ZMQ socket")
    port = endpoint.rpartition(":")[2]
    if endpoint.startswith("tcp://") and port != "*":
        number = int(port) if port.isascii() and port.isdecimal() and len(port) < 10 else -1
        if not 0 <= number <= _LARGEST_PORT:  # ZMQ takes the rest of a division by 65536
            return f"a port is a number up to {_LARGEST_PORT}"
    try:
        act(endpoint)
    except zmq.ZMQError as error:
        return printable(error.strerror)
    except (UnicodeError, ValueError, TypeError) as error:
        return printable(error, 200)
    return ""


class Connections:
    """How many connections a bound ZMQ socket has, and what was counted of each; those too many are ended.

    ZMQ itself takes in as many as the process may have files. Where there are too many, the one that has been there
    longest without anything counted of it goes.

    Args:
        socket: a socket of PyZMQ that is about to be bound; in the thread that uses it.
        most: connections at a time.

    Attributes:
        monitor: a socket that has something to read when `look` has something to do.
        ended: connections that were ended.
    """

    def __init__(self, socket: Any, most: int) -> None:
        self._zmq = optional_package("zmq", "a ZMQ socket")
        self._parse = optional_package("zmq.utils.monitor", "a ZMQ socket").parse_monitor_message
        self._socket, self._most = socket, most
        self._counted: dict[int, int] = {}  # by file descriptor, in the order of their coming
        self.ended = 0
        self.monitor = socket.get_monitor_socket(self._zmq.EVENT_ACCEPTED | self._zmq.EVENT_DISCONNECTED)

    def __len__(self) -> int:
        """Return the number of connections."""
        return len(self._counted)

    def look(self) -> None:
        """Take in which connections have come and gone."""
        while True:
            try:
                event = self._parse(self.monitor.recv_multipart(self._zmq.NOBLOCK))
            except self._zmq.ZMQError:
                return
            descriptor = int(event["value"])
            self._counted.pop(descriptor, None)
            if event["event"] == self._zmq.EVENT_ACCEPTED:
                self._counted[descriptor] = 0
                if len(self._counted) > self._most:
                    self.end(next(fd for fd, counted in self._counted.items() if not counted))

    def count(self, frame: Any) -> int:
        """Count something of the connection that a frame came by; return how often that was done.

        Args:
            frame: of PyZMQ, as `recv(copy=False)` returns it.
        """
        self.look()
        descriptor = self.descriptor(frame)
        if descriptor not in self._counted:
            return 0
        self._counted[descriptor] += 1
        return self._counted[descriptor]

    def descriptor(self, frame: Any) -> int:
        """Return the file descriptor of the connection that a frame came by; -1 where it is not known."""
        try:
            return int(frame.get(self._zmq.SRCFD))
        except (self._zmq.ZMQError, ValueError, TypeError):
            return -1

    def end(self, descriptor: int) -> None:
        """End a connection that has come by `look` and not gone: ZMQ finds it closed, and forgets all about it."""
        if self._counted.pop(descriptor, None) is None:
            return
        self.ended += 1
        with contextlib.suppress(OSError), sockets.socket(fileno=os.dup(descriptor)) as connection:
            connection.shutdown(sockets.SHUT_RDWR)

    def close(self) -> None:
        """Watch no longer; before the socket is closed."""
        self._socket.disable_monitor()
        self.monitor.close(linger=0)
