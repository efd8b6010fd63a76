# SPDX-License-Identifier: GPL-3.0-or-later
"""How a client talks to a board."""

from dataclasses import dataclass

from amrq.errors import AmrqError

__all__ = ["LinkSettings"]


@dataclass(frozen=True)
class LinkSettings:
    """What a client may choose; all times in seconds.

    Attributes:
        batch: chunks a message, at most; the board's largest batch bounds it too.
        window: requests on their way at a time.
        timeout: without an answer for so long, and without one to what was asked before, a request is sent again.
        resends: how often a request is sent again before the board counts as gone.
        heartbeat: a board that has said nothing for so long is sent a ping; after four times as long it is gone.
        connect_timeout: how long a run's beginning waits for the board.
        backoff: first pause between two attempts to reach the board; it doubles up to `longest_backoff`, and half of it
            is drawn at random, so that many clients do not come at once.
        longest_backoff: the longest such pause.
        sample_format: `ci8`, `ci16`, `cf32`, or `auto`: the smallest that the board says loses nothing.

    Raises:
        AmrqError: one is out of its range.
    """

    batch: int = 256
    window: int = 8
    timeout: float = 2.0
    resends: int = 2
    heartbeat: float = 0.5
    connect_timeout: float = 2.0
    backoff: float = 0.1
    longest_backoff: float = 2.0
    sample_format: str = "auto"

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        for name in ("batch", "window"):
            if getattr(self, name) < 1:
                raise AmrqError(
                    f"the {name} of a board's client must be at least 1, not {getattr(self, name)}."
                )
        for name in ("timeout", "heartbeat", "backoff", "longest_backoff"):
            if not 0 < getattr(self, name) < 3600:
                raise AmrqError(
                    f"the {name} of a board's client must be a number of seconds above 0, not {getattr(self, name)}."
                )
        if not 0 <= self.connect_timeout < 3600 or self.resends < 0:
            raise AmrqError("connect_timeout and resends of a board's client must not be negative.")
        if self.sample_format not in ("auto", "ci8", "ci16", "cf32"):
            raise AmrqError(
                f"there is no sample format {self.sample_format!r} for a board: take auto, ci8, ci16 or cf32."
            )
