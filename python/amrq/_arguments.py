# SPDX-License-Identifier: GPL-3.0-or-later
"""Arguments of blocks, which flowgraphs fill in from text and variables, checked for their kind."""

import functools
import inspect
import math
import numbers
import operator
import os
from collections.abc import Callable
from typing import Any, TypeVar, get_args

import numpy as np

from amrq.errors import AmrqError
from amrq.plain_text import printable

__all__ = ["checked_arguments"]

_LARGEST = 2**63 - 1
"""Of integers: what GNU Radio's own hold."""

_Made = TypeVar("_Made", bound=Callable[..., Any])


def checked_arguments(make: _Made) -> _Made:
    """Let a block's `__init__` or setter take numbers where it says numbers, and text where it says text.

    Arguments annotated as float, int, bool or str (or one of these or None) are converted, whole floats to integers and
    NumPy's numbers to Python's; anything else that is given for them is refused with one sentence. Ranges are the
    block's own business.

    Raises:
        AmrqError: by what is returned: an argument is of another kind.
    """
    signature = inspect.signature(make)
    kinds = {name: _kind(parameter.annotation) for name, parameter in signature.parameters.items()}

    @functools.wraps(make)
    def checked(*arguments: Any, **named: Any) -> Any:
        bound = signature.bind(*arguments, **named)
        for name, value in bound.arguments.items():
            kind, optional = kinds[name]
            if kind is not None and not (optional and value is None):
                bound.arguments[name] = kind(name, value)
        return make(*bound.args, **bound.kwargs)

    return checked  # type: ignore[return-value]


def _kind(annotation: Any) -> tuple[Callable[[str, Any], Any] | None, bool]:
    """Return what converts an argument of this annotation, if anything, and whether None is allowed."""
    members = [str(annotation)]
    if isinstance(annotation, str):
        members = [member.strip() for member in annotation.split("|")]
    elif isinstance(annotation, type):
        members = [annotation.__name__]
    elif get_args(annotation):
        members = [getattr(member, "__name__", str(member)) for member in get_args(annotation)]
    named = [member for member in members if member not in ("None", "NoneType")]
    return (_KINDS.get(named[0]) if len(named) == 1 else None), len(named) < len(members)


def _number(name: str, value: Any) -> float:
    if not isinstance(value, numbers.Real):
        raise AmrqError(f"{name} must be a number, not {_shown(value)}.")
    try:
        return float(value)
    except OverflowError:
        return math.inf if operator.gt(value, 0) else -math.inf


def _integer(name: str, value: Any) -> int:
    try:
        whole = operator.index(value)
    except TypeError:
        if not (isinstance(value, numbers.Real) and float(value).is_integer()):
            raise AmrqError(f"{name} must be a whole number, not {_shown(value)}.") from None
        whole = int(float(value))
    if abs(whole) > _LARGEST:
        raise AmrqError(f"{name} must be a whole number of at most 64 bits, not {_shown(whole)}.")
    return whole


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, (numbers.Real, np.bool_)):
        raise AmrqError(f"{name} must be True or False, not {_shown(value)}.")
    return bool(value)


def _text(name: str, value: Any) -> str:
    if not isinstance(value, (str, os.PathLike)):
        raise AmrqError(f"{name} must be text, not {_shown(value)}.")
    text = os.fspath(value)
    if not isinstance(text, str) or "\0" in text:
        raise AmrqError(f"{name} must be text without zero characters, not {_shown(value)}.")
    return text


def _shown(value: Any) -> str:
    try:
        return printable(repr(value), 60)
    except Exception:  # an int of more digits than Python writes, or whatever else has no text
        return f"a value of type {type(value).__name__}"


_KINDS: dict[str, Callable[[str, Any], Any]] = {
    "float": _number,
    "int": _integer,
    "bool": _flag,
    "str": _text,
}
