# SPDX-License-Identifier: GPL-3.0-or-later
"""The gain of a receiver, as people write it."""

import math
import numbers
from collections.abc import Mapping

from amrq.errors import AmrqError
from amrq.plain_text import printable

__all__ = ["Gain", "read_gain"]

Gain = float | Mapping[str, float] | None
"""dB over all; or dB by the name of an element, `LNA` for instance; or None: automatic."""


def read_gain(given: float | str | Mapping[str, float] | None) -> Gain:
    """Return the gain that is meant.

    Args:
        given: a number of dB; elements with theirs, `LNA=20,VGA=16` or a mapping; `auto`, empty or None: automatic.

    Raises:
        AmrqError: it is none of these.

    >>> read_gain("30"), read_gain("LNA=20, VGA=16"), read_gain("auto")
    (30.0, {'LNA': 20.0, 'VGA': 16.0}, None)
    """
    if given is None:
        return None
    if isinstance(given, Mapping):
        elements = {str(name): _number(value, given) for name, value in given.items()}
        if not elements:
            raise _unreadable(given)
        return elements
    if not isinstance(given, str):
        return _number(given, given)
    text = given.strip()
    if text.lower() in ("", "auto", "none"):
        return None
    if "=" not in text:
        return _number(text, given)
    found: dict[str, float] = {}
    for part in text.split(","):
        name, equals, value = (word.strip() for word in part.partition("="))
        if not (name and equals) or name in found:
            raise _unreadable(given)
        found[name] = _number(value, given)
    return found


def _number(value: object, given: object) -> float:
    if isinstance(value, str):
        words = value.split()
        value = words[0] if len(words) == 2 and words[1].lower() == "db" else value
    try:
        number = float(value) if isinstance(value, (str, numbers.Real)) else math.nan
    except (ValueError, OverflowError):
        raise _unreadable(given) from None
    if isinstance(value, bool) or not math.isfinite(number):
        raise _unreadable(given)
    return number


def _unreadable(given: object) -> AmrqError:
    return AmrqError(
        f"the gain '{printable(given)}' is not understood: give a number of dB, or elements with theirs as in "
        "LNA=20,VGA=16; without a gain it is automatic."
    )
