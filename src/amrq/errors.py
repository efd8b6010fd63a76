# SPDX-License-Identifier: GPL-3.0-or-later
"""The error that a user can act on."""

__all__ = ["AmrqError", "OutputClosedError", "StalledError"]


class AmrqError(ValueError):
    """Something the user gave cannot be used; the message is one sentence that says what to change.

    The command line prints the message and exits with `exit_status`. It is a `ValueError`, so that code
    which knows nothing of this package handles it as what it is: a bad value.

    Attributes:
        exit_status: with which the command exits; 2 unless a kind of error has a status of its own.
    """

    exit_status: int = 2


class OutputClosedError(AmrqError):
    """Whoever read what is written has gone, as `head` does when it has enough.

    There is nothing to mend, and nothing is printed. The exit status is what a shell gives for a program ended by
    SIGPIPE, as others are.
    """

    exit_status = 128 + 13


class StalledError(AmrqError):
    """A source sent nothing, or fell silent for longer than it may; the command exits with 3."""

    exit_status = 3
