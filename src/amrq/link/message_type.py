# SPDX-License-Identifier: GPL-3.0-or-later
"""What a message is."""

from enum import IntEnum

__all__ = ["MessageType"]


class MessageType(IntEnum):
    """The kinds of message; docs/board-protocol.md says what each carries."""

    HELLO = 1
    CAPABILITIES = 2
    CLASSIFY = 3
    SCORES = 4
    PING = 5
    PONG = 6
    ERROR = 7
