# SPDX-License-Identifier: GPL-3.0-or-later
"""Records for whoever subscribes."""

import contextlib
import json
import logging
import threading
import time
from collections import deque
from collections.abc import Mapping
from typing import Any

from amrq.errors import AmrqError
from amrq.guard_socket import Connections, endpoint_fault, guard_socket
from amrq.optional_package import optional_package
from amrq.plain_text import printable

__all__ = ["ZmqPublisher"]

_WAITING = 1_000
"""Records kept for a slow subscriber; it loses what comes on top of that, and nobody else does."""
_LINGER_MS = 500
_LARGEST_TOPIC = 512
"""Bytes of a subscription; who sends more at a time is cut off. Nearly all subscribe to everything: 0 bytes."""
_MOST_TOPICS = 64
"""Subscriptions of one connection, former ones included. Each takes memory here, and ZMQ itself has no limit."""
_READ_AHEAD = 64
_UNREAD = 1 << 20
_LOOK_MS = 200
_PATIENCE = 5.0


class ZmqPublisher:
    """A ZMQ publisher: each message is one frame, a record as JSON text in UTF-8. No PMT is needed to read it.

    It never waits: without subscribers records go nowhere. It has a thread of its own, which alone uses the socket, so
    that nothing that subscribers do holds up whoever publishes. What they can make it hold is bounded: 64
    subscriptions of at most 512 bytes each, and so many connections; a connection that wants more is ended.

    Args:
        endpoint: where to listen, `tcp://127.0.0.1:5556` for instance; port 0 or `*` takes a free one.
        most_subscribers: connections at a time.

    Attributes:
        endpoint: where it listens.

    Raises:
        AmrqError: PyZMQ is missing, or the endpoint cannot be listened at.
    """

    def __init__(self, endpoint: str, most_subscribers: int = 256) -> None:
        self._zmq = optional_package("zmq", "publishing decisions")
        zmq, context = self._zmq, self._zmq.Context.instance()
        self._socket = context.socket(zmq.XPUB)
        guard_socket(self._socket, _LARGEST_TOPIC, _LINGER_MS)
        self._socket.setsockopt(zmq.SNDHWM, _WAITING)
        self._socket.setsockopt(zmq.RCVHWM, _READ_AHEAD)
        self._socket.setsockopt(
            zmq.XPUB_VERBOSE, 1
        )  # each subscription is heard of, not only the first of its kind
        self._socket.setsockopt(zmq.IPV6, int("[" in endpoint))
        self._connections = Connections(self._socket, most_subscribers, _UNREAD)
        if fault := endpoint_fault(self._socket.bind, endpoint):
            self._connections.close()
            self._socket.close(linger=0)
            raise AmrqError(
                f"decisions cannot be published at {endpoint!r} ({fault}): give an address of this machine and a free "
                "port, tcp://127.0.0.1:5556 for instance."
            )
        self.endpoint = self._socket.getsockopt(zmq.LAST_ENDPOINT).decode()
        # Whoever publishes wakes the thread with these.
        self._bell, self._ear = context.socket(zmq.PAIR), context.socket(zmq.PAIR)
        for pair in (self._bell, self._ear):
            pair.setsockopt(zmq.LINGER, 0)
        self._ear.bind(f"inproc://amrq-publisher-{id(self)}")
        self._bell.connect(f"inproc://amrq-publisher-{id(self)}")
        self._waiting: deque[bytes] = deque(maxlen=_WAITING)
        self._ringing = threading.Lock()
        self._closing = False
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._publish, name="amrq publisher", daemon=True)
        self._thread.start()

    @property
    def ended(self) -> int:
        """Connections that were ended because they were too many, or asked for too much."""
        return self._connections.ended

    def write(self, record: Mapping[str, Any]) -> None:
        """Publish a record.

        Raises:
            AmrqError: the publisher has failed.
        """
        if self._error is not None:
            raise AmrqError(
                f"decisions can no longer be published at {self.endpoint}: {printable(self._error)}."
            )
        self._waiting.append(json.dumps(record).encode())
        self._ring()

    def _ring(self) -> None:
        with self._ringing, contextlib.suppress(self._zmq.ZMQError):  # full: it is awake
            self._bell.send(b"", self._zmq.NOBLOCK)

    def close(self) -> None:
        """Send what still waits, half a second at most, and close the socket."""
        self._closing = True
        self._ring()
        self._thread.join(_PATIENCE)
        self._bell.close()

    def _publish(self) -> None:
        zmq = self._zmq
        poller = zmq.Poller()
        for socket in (self._socket, self._connections.monitor, self._ear):
            poller.register(socket, zmq.POLLIN)
        looked = time.monotonic()
        try:
            while not self._closing:
                # Without a connection there is nothing to look after.
                ready = dict(poller.poll(_LOOK_MS if len(self._connections) else None))
                if self._ear in ready:
                    self._send()
                if self._connections.monitor in ready or time.monotonic() - looked > _LOOK_MS / 1000:
                    self._connections.look()
                    looked = time.monotonic()
                if self._socket in ready:
                    self._hear()
            self._send()
        except Exception as error:  # whoever writes must learn of it
            self._error = error
        finally:
            with contextlib.suppress(zmq.ZMQError):
                self._connections.close()
            self._socket.close()
            self._ear.close()

    def _send(self) -> None:
        with contextlib.suppress(self._zmq.Again):
            while True:
                self._ear.recv(self._zmq.NOBLOCK)
        while self._waiting:
            self._socket.send(self._waiting.popleft())

    def _hear(self) -> None:
        """Take in what subscribers ask for; but not so much that records have to wait."""
        for _ in range(_READ_AHEAD):
            try:
                frame = self._socket.recv(self._zmq.NOBLOCK, copy=False)
            except self._zmq.Again:
                return
            # Whatever it says: a subscription, the end of one, or a message, for which there is no use.
            if self._connections.heard(frame, count=True) > _MOST_TOPICS:
                self._connections.end(self._connections.descriptor(frame))
                logging.getLogger("amrq.outputs").warning(
                    "a subscriber at %s asked for more than %d topics and was cut off",
                    self.endpoint,
                    _MOST_TOPICS,
                )
