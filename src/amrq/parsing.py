# SPDX-License-Identifier: GPL-3.0-or-later
"""One door for what is read from outside: whatever a parser raises becomes one sentence."""

from collections.abc import Iterator
from contextlib import contextmanager

from amrq.errors import AmrqError
from amrq.plain_text import printable

__all__ = ["parsing"]

_LONGEST = 1000
"""Characters of a sentence."""


@contextmanager
def parsing(what: object, advice: str = "") -> Iterator[None]:
    """Turn any exception raised inside into an `AmrqError` that names what was being read.

    Parsers, ours and those of libraries, raise what they please on a file that is broken or hostile: OverflowError,
    RecursionError, UnicodeDecodeError, zlib.error and more. Whoever reads a file of one kind does so inside this, and
    callers know one kind of error. An `AmrqError`, which says already what is wrong, passes, its text on one printable
    line and cut where it is very long.

    Args:
        what: what is read, a path for instance; the subject of the sentence.
        advice: what to do about it, a part of a sentence.

    Raises:
        AmrqError: something inside raised another exception.

    >>> with parsing("recipe.toml"):
    ...     int("many")
    Traceback (most recent call last):
    amrq.errors.AmrqError: recipe.toml cannot be read: invalid literal for int() with base 10: 'many'.
    """
    try:
        yield
    except AmrqError as error:
        # What it quotes of the file may be anything, and of any length.
        error.args = (printable(error, _LONGEST),)
        raise
    except Exception as error:
        reason = printable(error, 200).strip().rstrip(".") or type(error).__name__
        ending = f"; {advice}" if advice else ""
        raise AmrqError(f"{printable(what)} cannot be read: {reason}{ending}.") from error
