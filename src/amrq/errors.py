# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors that a user can act on."""

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
    """A user's input cannot be used; the message is one sentence that names the cause and what to change.

    The command line prints the message and exits with `exit_status`. The class is a `ValueError`, so that other code
    can handle it as a bad value.

    Its subclasses are for recordings, models, devices, the link to a board, and outputs. Any other error, such as an
    argument out of range, is an `AmrqError` itself.

    Attributes:
        exit_status: exit status of the command; 2 unless a subclass has its own.
    """

    exit_status: int = 2


class OutputError(AmrqError):
    """An output cannot be written, for example because the disk is full or the reader has gone."""


class OutputClosedError(OutputError):
    """The reader of the output has gone, as `head` does after its last line.

    Nothing is printed, since there is nothing to correct. The exit status is that of a program ended by SIGPIPE.
    """

    exit_status = 128 + 13


class RecordingError(AmrqError):
    """A recording is missing, broken, truncated or of an unsupported kind."""


class ModelError(AmrqError):
    """A model is missing, broken, not a model of chunks, or cannot run there, for example on hardware."""


class DeviceError(AmrqError):
    """A radio or another live source is missing, does not answer, or does not support a setting."""


class LinkError(AmrqError):
    """The link to a board fails: no answer, an unusable address, a wrong key, or a breach of the protocol."""


class StalledError(DeviceError):
    """A source sent nothing, or was silent for longer than allowed; the command exits with 3."""

    exit_status = 3


def raise_together(errors: Iterable[AmrqError]) -> None:
    """Raise the first error, if there is one, with the sentences of all errors.

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
    """Call all registered functions at the block's end, the last one first, even if the block or one of them fails.

    Raises:
        AmrqError: the block or some of the functions raised it; with the sentences of all.

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
