# SPDX-License-Identifier: GPL-3.0-or-later
"""The errors that a user can act on."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

__all__ = [
    "AmrqError",
    "DeviceError",
    "LinkError",
    "ModelError",
    "OutputClosedError",
    "OutputError",
    "RecordingError",
    "StalledError",
    "all_closed",
    "raise_together",
]


class AmrqError(ValueError):
    """Something the user gave cannot be used; the message is one sentence that says what to change.

    The command line prints the message and exits with `exit_status`. It is a `ValueError`, so that code
    which knows nothing of this package handles it as what it is: a bad value.

    The kinds below it say what cannot be used: a recording, a model, a device, the link to a board, an output. What is
    none of them, such as an argument out of range, is an `AmrqError` itself.

    Attributes:
        exit_status: with which the command exits; 2 unless a kind of error has a status of its own.
    """

    exit_status: int = 2


class OutputError(AmrqError):
    """What was to be written cannot be, since the disk is full for instance, or nobody reads it."""


class OutputClosedError(OutputError):
    """Whoever read what is written has gone, as `head` does when it has enough.

    There is nothing to mend, and nothing is printed. The exit status is what a shell gives for a program ended by
    SIGPIPE, as others are.
    """

    exit_status = 128 + 13


class RecordingError(AmrqError):
    """A recording is missing, broken, cut or of a kind that is not read."""


class ModelError(AmrqError):
    """A model is missing, broken or not a model of chunks, or cannot run where it should, on hardware for instance."""


class DeviceError(AmrqError):
    """A radio or another live source is missing, does not answer, or cannot do what was asked for."""


class LinkError(AmrqError):
    """The link to a board fails: no answer, no address to listen at, a wrong key, or a breach of the protocol."""


class StalledError(DeviceError):
    """A source sent nothing, or fell silent for longer than it may; the command exits with 3."""

    exit_status = 3


def raise_together(errors: Iterable[AmrqError]) -> None:
    """Raise the first of the errors, if there is one, with the sentences of all of them.

    >>> raise_together([AmrqError("The log is full."), AmrqError("So is the recording.")])
    Traceback (most recent call last):
    amrq.errors.AmrqError: The log is full. So is the recording.
    """
    errors = list(errors)
    said = {str(error): error for error in errors if not isinstance(error, OutputClosedError)}
    different = list(said.values()) or errors[:1]
    if len(different) > 1:
        different[0].args = (" ".join(map(str, different)),)
    if different:
        raise different[0]


@contextmanager
def all_closed() -> Iterator[Callable[[Callable[[], None]], None]]:
    """Call all that was left to be called at the end, the last one first, whatever goes wrong in the block or in one.

    Raises:
        AmrqError: one of them, or the block, raised it; with the sentences of all that did.

    >>> with all_closed() as at_the_end:
    ...     at_the_end(lambda: print("closed"))
    closed
    """
    closings: list[Callable[[], None]] = []
    errors: list[AmrqError] = []
    try:
        yield closings.append
    except AmrqError as error:
        errors.append(error)
    finally:
        for close in reversed(closings):
            try:
                close()
            except AmrqError as error:
                errors.append(error)
    raise_together(errors)
