# SPDX-License-Identifier: GPL-3.0-or-later
"""The error of whoever reads a message."""

from amrq.errors import AmrqError
from amrq.link.status import Status

__all__ = ["FrameError"]


class FrameError(AmrqError):
    """A message cannot be read, or asks for what cannot be done.

    Args:
        status: the reason.
        text: one sentence.
        session: of the message, 0 where it cannot be told.
        sequence: of the message, 0 where it cannot be told.
    """

    def __init__(self, status: Status, text: str, session: int = 0, sequence: int = 0) -> None:
        super().__init__(text)
        self.status = status
        self.session = session
        self.sequence = sequence
