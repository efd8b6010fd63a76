# SPDX-License-Identifier: GPL-3.0-or-later
"""How much a board lets itself be asked."""

from dataclasses import dataclass

from amrq.errors import AmrqError

__all__ = ["Limits"]


@dataclass(frozen=True)
class Limits:
    """Bounds of a board's memory and work.

    Attributes:
        largest_batch: chunks a message.
        clients: sessions at a time; one that was not heard of for `idle` seconds makes room when another wants it.
        requests_per_second: of one client, on average over a second; 0: any number.
        waiting_per_client: requests of one client that may wait for the engine.
        waiting_bytes: of all requests that wait, 64 MiB unless told otherwise. Half of it is divided equally among
            `clients`; the other half is for those that ask for more.
        waiting_bytes_per_client: of the requests of one client; a single larger one may wait alone.
        idle: seconds after which a silent client may be forgotten.

    Raises:
        AmrqError: one is out of its range.
    """

    largest_batch: int = 4096
    clients: int = 64
    requests_per_second: int = 5000
    waiting_per_client: int = 64
    waiting_bytes: int = 1 << 26
    waiting_bytes_per_client: int = 1 << 23
    idle: float = 5.0

    def __post_init__(self) -> None:
        """Refuse what bounds nothing, or leaves nothing."""
        for name in (
            "largest_batch",
            "clients",
            "waiting_per_client",
            "waiting_bytes",
            "waiting_bytes_per_client",
        ):
            if getattr(self, name) < 1:
                raise AmrqError(f"{name} of a board must be at least 1, not {getattr(self, name)}.")
        if self.largest_batch > 1 << 20:
            raise AmrqError(f"a message of {self.largest_batch} chunks is too large: take 2^20 at most.")
        if self.requests_per_second < 0 or not self.idle > 0:
            raise AmrqError("requests_per_second of a board must not be negative, and idle must be above 0.")
