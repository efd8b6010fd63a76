# SPDX-License-Identifier: GPL-3.0-or-later
"""Check and convert the arguments of blocks, which flowgraphs fill in from text and variables."""

import functools
import inspect
from collections.abc import Callable
from dataclasses import is_dataclass
from typing import Any, TypeVar, get_args

from amrq.errors import AmrqError
from amrq.options import converted, kind_of, options_of

__all__ = ["checked_arguments"]

_Made = TypeVar("_Made", bound=Callable[..., Any])


def checked_arguments(make: _Made) -> _Made:
    """Make a block's `__init__` or setter check its arguments against their annotations.

    Arguments annotated as float, int, bool or str (or one of these or None) are converted: whole floats to integers,
    NumPy's numbers to Python's. An argument annotated as a record of options must be such a record. Any other value is
    refused with one sentence. The block itself checks ranges. If a record's field is given as an argument of the
    block, the error names the record that it belongs to.

    Raises:
        AmrqError: raised by the decorated function: an argument has the wrong type.
        TypeError: raised by the decorated function: it has no such argument.
    """
    signature = inspect.signature(make)
    kinds = {name: kind_of(parameter.annotation) for name, parameter in signature.parameters.items()}
    records = {name: _record(parameter.annotation) for name, parameter in signature.parameters.items()}

    @functools.wraps(make)
    def checked(*arguments: Any, **named: Any) -> Any:
        try:
            bound = signature.bind(*arguments, **named)
        except TypeError as error:
            for name in named.keys() - kinds.keys():
                for argument, record in records.items():
                    if record is not None and name in {option.name for option in options_of(record)}:
                        wanted = f"{argument}={record.__name__}({name}=...)"
                        raise TypeError(f"{name} is a field of a record: give {wanted}.") from error
            raise
        for name, value in bound.arguments.items():
            kind, optional, _ = kinds[name]
            if not (optional and value is None):
                bound.arguments[name] = converted(kind, name, value)
                record = records[name]
                if record is not None and not isinstance(value, record):
                    raise AmrqError(f"{name} must be {record.__name__}(...), not a {type(value).__name__}.")
        return make(*bound.args, **bound.kwargs)

    return checked  # type: ignore[return-value]


def _record(annotation: Any) -> type | None:
    """Return the class of option records that an annotation names; None if it names no such class."""
    members = get_args(annotation) or (annotation,)
    if len([member for member in members if member is not type(None)]) > 1:
        return None
    return next((member for member in members if is_dataclass(member) and options_of(member)), None)  # type: ignore[arg-type, return-value]
