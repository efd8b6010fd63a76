# SPDX-License-Identifier: GPL-3.0-or-later
"""Who talks to a board."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from amrq.link.limits import Limits

__all__ = ["Client", "ClientTable"]

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
