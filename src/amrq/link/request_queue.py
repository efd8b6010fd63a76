# SPDX-License-Identifier: GPL-3.0-or-later
"""Clients of a board and their waiting requests, bounded."""

import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from amrq.classifier import EngineScores
from amrq.link.protocol import Frame
from amrq.link.settings import Limits

__all__ = ["Client", "ClientTable", "Request", "RequestQueue"]

_STRANGERS = 256
"""Connections without a session that are remembered, for the rate of what they send."""


@dataclass
class Client:
    """A connection.

    Attributes:
        session: of its last hello; None before one.
        heard: when it last sent something, seconds.
        allowance: requests it may send at once.
    """

    heard: float
    allowance: float
    session: int | None = None


class ClientTable:
    """The connections that a board knows, bounded.

    Args:
        limits: how many, and how much each may send.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._clients: OrderedDict[bytes, Client] = OrderedDict()  # with a session, longest silent first
        self._strangers: OrderedDict[bytes, Client] = OrderedDict()  # without one, likewise

    def __len__(self) -> int:
        """Return the number of clients with a session."""
        return len(self._clients)

    def heard(self, identity: bytes, now: float) -> tuple[Client, bool]:
        """Note that a connection sent a message; return it, and whether it may send one more now."""
        table = self._clients if identity in self._clients else self._strangers
        rate = float(self._limits.requests_per_second)
        client = table.get(identity)
        if client is None:
            client = table[identity] = Client(now, rate)
            while len(self._strangers) > _STRANGERS:
                self._strangers.popitem(last=False)
        table.move_to_end(identity)
        client.allowance = min(rate, client.allowance + rate * (now - client.heard))
        client.heard = now
        if not rate:
            return client, True
        if client.allowance < 1:
            return client, False
        client.allowance -= 1
        return client, True

    def greet(self, identity: bytes, session: int, now: float, busy: Callable[[bytes], bool]) -> bool:
        """Give a connection a session; return whether there is room for it.

        Where there is none, the one that was silent longest of those that are not `busy` makes room, if it was silent
        for long enough.
        """
        if identity not in self._clients:
            if len(self._clients) >= self._limits.clients:
                idle = self._longest_idle(now, busy)
                if idle is None:
                    return False
                del self._clients[idle]
            stranger = self._strangers.pop(identity) if identity in self._strangers else Client(now, 0.0)
            self._clients[identity] = stranger
        self._clients[identity].session = session
        return True

    def _longest_idle(self, now: float, busy: Callable[[bytes], bool]) -> bytes | None:
        for identity, client in self._clients.items():
            if now - client.heard < self._limits.idle:
                return None  # those after it were heard later
            if not busy(identity):
                return identity
        return None

    def forget(self, identity: bytes) -> None:
        """Forget a connection that is no longer there."""
        self._clients.pop(identity, None)
        self._strangers.pop(identity, None)


_TURN = 256
"""Chunks of one client that the engine computes before the next client has its turn; a longer request takes several."""


@dataclass(eq=False)
class Request:
    """A classify message that was let in.

    Attributes:
        identity: the connection that it came by.
        frame: the message.
        done: chunks that the engine has computed, from the first on.
        parts: their scores.
    """

    identity: bytes
    frame: Frame
    done: int = 0
    parts: list[EngineScores] = field(default_factory=list)

    @property
    def key(self) -> tuple[int, int]:
        """Session and sequence."""
        return self.frame.session, self.frame.sequence


@dataclass(eq=False)
class _Line:
    """What waits of one client.

    Attributes:
        requests: in the order of their coming.
        bytes: of their payloads.
        credit: chunks that are left of its turn.
    """

    requests: deque[Request] = field(default_factory=deque)
    bytes: int = 0
    credit: int = _TURN


class RequestQueue:
    """Bounded and fair: clients take turns of 256 chunks, and one that asks much delays the others by that at most.

    One thread puts requests in and drops them, another one takes them out. Half of the room is divided equally among as
    many clients as the board serves, and is theirs whatever the others do; the other half is for those with more to
    ask, equally among those that wait.

    Args:
        limits: of requests and bytes that wait.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._common = limits.waiting_bytes // 2
        self._share = self._common // limits.clients
        self._lines: OrderedDict[bytes, _Line] = OrderedDict()  # the first has its turn
        self._changed = threading.Condition()
        self._closed = False

    def waiting(self, identity: bytes) -> bool:
        """Return whether anything of a client waits, or is being computed."""
        with self._changed:
            return identity in self._lines

    def holds(self, identity: bytes, frame: Frame) -> bool:
        """Return whether a request of the same session and sequence waits."""
        with self._changed:
            line = self._lines.get(identity)
            return line is not None and any(
                request.key == (frame.session, frame.sequence) for request in line.requests
            )

    def put(self, identity: bytes, frame: Frame) -> bool:
        """Let a request wait; return whether there is room for it."""
        size = len(frame.payload)
        with self._changed:
            line = self._lines.get(identity)
            if not self._has_room(line, size):
                return False
            if line is None:
                line = self._lines[identity] = _Line()
            line.requests.append(Request(identity, frame))
            line.bytes += size
            self._changed.notify_all()
            return True

    def _has_room(self, line: _Line | None, size: int) -> bool:
        limits = self._limits
        if not self._lines:
            return True  # one request fits, however large
        count, before = (0, 0) if line is None else (len(line.requests), line.bytes)
        if count >= limits.waiting_per_client:
            return False
        after = before + size
        if after <= self._share:
            return True
        taken = sum(max(0, other.bytes - self._share) for other in self._lines.values() if other is not line)
        active = len(self._lines) + (line is None)
        most = min(limits.waiting_bytes_per_client, self._share + self._common // active)
        return taken + after - self._share <= self._common and (after <= most or not count)

    def take(self) -> tuple[Request, int] | None:
        """Wait for a request whose turn it is.

        Returns:
            the request, which stays first of its client's until `advance`, and how many of its chunks to compute now;
            None once the queue is closed.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._lines or self._closed)
            if self._closed:
                return None
            line = next(iter(self._lines.values()))
            request = line.requests[0]
            return request, min(line.credit, request.frame.chunks - request.done)

    def advance(self, request: Request, chunks: int, over: bool) -> bool:
        """Take in that chunks of a request were computed, and pass the turn on where it is used up.

        Args:
            request: what `take` returned.
            chunks: how many.
            over: it is answered, and waits no longer.

        Returns:
            False where its client has left meanwhile, so that nobody waits for it.
        """
        with self._changed:
            line = self._lines.get(request.identity)
            if line is None or not line.requests or line.requests[0] is not request:
                return False
            request.done += chunks
            line.credit -= chunks
            if over:
                line.requests.popleft()
                line.bytes -= len(request.frame.payload)
            if not line.requests:
                del self._lines[request.identity]
            elif line.credit <= 0:
                line.credit = _TURN
                self._lines.move_to_end(request.identity)
            return True

    def drop(self, identity: bytes) -> list[Request]:
        """Forget what waits of a client; return it."""
        with self._changed:
            line = self._lines.pop(identity, None)
            return [] if line is None else list(line.requests)

    def close(self) -> list[Request]:
        """Let `take` return None from now on; return all that waits."""
        with self._changed:
            self._closed = True
            left = [request for line in self._lines.values() for request in line.requests]
            self._lines.clear()
            self._changed.notify_all()
            return left
