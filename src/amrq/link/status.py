# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a board did not do what it was asked."""

from enum import IntEnum

__all__ = ["Status"]


class Status(IntEnum):
    """Status of a message; anything but OK stands in error messages alone."""

    OK = 0
    MALFORMED = 1
    """No message of this protocol: too short, wrong magic, a field that contradicts another or is not allowed."""
    VERSION = 2
    """Of another version of the protocol."""
    CHECKSUM = 3
    """The CRC-32 is wrong: damaged on its way."""
    TYPE = 4
    """A type that is not known, or that a board does not take."""
    FORMAT = 5
    """A sample format that this board does not take."""
    LENGTH = 6
    """Not the model's chunk length, or level features where it takes none or the other way round."""
    TOO_LARGE = 7
    """More chunks than the largest batch."""
    NO_SESSION = 8
    """No hello of this session came before on this connection: say hello."""
    FULL = 9
    """As many clients as the board takes are there: come again later."""
    TOO_FAST = 10
    """More requests a second than a client may send: come again later."""
    BUSY = 11
    """As many requests wait as the board holds: come again later."""
    FAILED = 12
    """The engine failed on this request."""
    STOPPING = 13
    """The board is being shut down."""
