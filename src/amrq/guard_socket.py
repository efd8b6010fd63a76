# SPDX-License-Identifier: GPL-3.0-or-later
"""Bounds of ZMQ sockets that face a network."""

import contextlib
import os
import socket as sockets
import struct
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from amrq.machine import optional_package
from amrq.text import printable

__all__ = ["Connections", "endpoint_fault", "guard_socket"]

_RECEIVED = slice(128, 136)
"""Where `struct tcp_info` of Linux tells how many bytes have come, from 4.1 on (tcpi_bytes_received)."""
_KEPT_ALIVE = 1 << 10
"""Bytes a second."""
_SOURCE_DESCRIPTOR = 2
"""ZMQ_SRCFD, which ZMQ calls deprecated since 4.2 and has all the same."""
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


@dataclass
class _Connection:
    """What is known of a connection.

    Attributes:
        counted: how often something was counted of it.
        read: bytes that had come by it when its last message was read.
        since: when that was, seconds.
    """

    counted: int = 0
    read: int = 0
    since: float = field(default_factory=time.monotonic)


class Connections:
    """The connections of a ZMQ socket; those that are too many, or send too much, are ended.

    ZMQ itself takes in as many connections as the process may have files: where there are more than so many, the one
    that has been there longest without anything counted of it goes. And it takes in any number of parts of a message
    before it hands over the first of them: a connection by which more has come since its last message than may wait to
    be read is ended as well (on Linux, which tells how much has come).

    Args:
        socket: a socket of PyZMQ that is about to be bound or connected; in the thread that uses it.
        most: connections at a time.
        unread: bytes that may have come by a connection since its last message was read.
        in_all: such bytes of all connections together; beyond, those with most go.

    Attributes:
        monitor: a socket that has something to read when connections have come or gone.
        ended: connections that were ended.
    """

    def __init__(self, socket: Any, most: int, unread: int, in_all: int = 1 << 29) -> None:
        self._zmq = zmq = optional_package("zmq", "a ZMQ socket")
        self._parse = optional_package("zmq.utils.monitor", "a ZMQ socket").parse_monitor_message
        self._socket, self._most = socket, most
        self._unread, self._in_all = unread, max(in_all, unread)
        self._known: dict[int, _Connection] = {}  # by file descriptor, in the order of their coming
        self.ended = 0
        self.monitor = socket.get_monitor_socket(
            zmq.EVENT_ACCEPTED | zmq.EVENT_CONNECTED | zmq.EVENT_DISCONNECTED
        )

    def __len__(self) -> int:
        """Return the number of connections."""
        return len(self._known)

    def look(self) -> None:
        """Take in which connections have come and gone, and end those by which too much has come; now and then."""
        self._take_events()
        now = time.monotonic()
        # What keeps a connection alive comes too, and is no message: so much a second is nothing unusual.
        unread = {
            descriptor: _received(descriptor) - known.read - _KEPT_ALIVE * (now - known.since)
            for descriptor, known in self._known.items()
        }
        total = sum(max(0.0, count) for count in unread.values())
        for descriptor in sorted(unread, key=lambda one: -unread[one]):
            if unread[descriptor] <= self._unread and total <= self._in_all:
                break
            total -= unread[descriptor]
            self.end(descriptor)

    def _take_events(self) -> None:
        while True:
            try:
                event = self._parse(self.monitor.recv_multipart(self._zmq.NOBLOCK))
            except self._zmq.ZMQError:
                return
            descriptor = int(event["value"])
            self._known.pop(descriptor, None)
            if event["event"] == self._zmq.EVENT_DISCONNECTED:
                continue
            self._known[descriptor] = _Connection()
            if len(self._known) > self._most:
                self.end(next(fd for fd, known in self._known.items() if not known.counted))

    def heard(self, frame: Any, count: bool = False) -> int:
        """Take in that a message was read.

        Args:
            frame: its last part, as PyZMQ's `recv(copy=False)` returns it.
            count: count something of its connection.

        Returns:
            how often something was counted of the connection.
        """
        descriptor = self.descriptor(frame)
        if descriptor not in self._known:
            self._take_events()
        known = self._known.get(descriptor)
        if known is None:
            return 0
        known.read, known.since = _received(descriptor), time.monotonic()
        known.counted += count
        return known.counted

    def descriptor(self, frame: Any) -> int:
        """Return the file descriptor of the connection that a frame came by; -1 where it is not known."""
        try:
            return int(frame.get(_SOURCE_DESCRIPTOR))
        except (self._zmq.ZMQError, ValueError, TypeError):
            return -1

    def end(self, descriptor: int) -> None:
        """End a connection: ZMQ finds it closed, and forgets all about it."""
        if self._known.pop(descriptor, None) is None:
            return
        self.ended += 1
        with contextlib.suppress(OSError), sockets.socket(fileno=os.dup(descriptor)) as connection:
            # Closed by ZMQ it is gone at once, whatever is still on its way.
            connection.setsockopt(sockets.SOL_SOCKET, sockets.SO_LINGER, struct.pack("ii", 1, 0))
            connection.shutdown(sockets.SHUT_RDWR)

    def close(self) -> None:
        """Watch no longer; before the socket is closed."""
        self._socket.disable_monitor()
        self.monitor.close(linger=0)


def _received(descriptor: int) -> int:
    """Return how many bytes have come by a TCP connection; 0 where the system does not tell."""
    if not hasattr(sockets, "TCP_INFO"):
        return 0
    try:
        connection = sockets.socket(sockets.AF_INET, sockets.SOCK_STREAM, 0, fileno=descriptor)
    except OSError:
        return 0
    try:
        told = connection.getsockopt(sockets.IPPROTO_TCP, sockets.TCP_INFO, _RECEIVED.stop)
        return int.from_bytes(told[_RECEIVED], sys.byteorder)
    except OSError:
        return 0
    finally:
        connection.detach()  # it is ZMQ's
