# SPDX-License-Identifier: GPL-3.0-or-later
"""Plain values, as TOML, JSON and CSV have them, made into dataclasses that check themselves.

pydantic holds the values against the types that the dataclass's fields are annotated with; what it finds becomes one
sentence that names the setting, what was given and what is allowed. Ranges are the dataclass's own business: its
`__post_init__` refuses what lies outside, also where it is made in Python.
"""

import datetime
import functools
import json
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from amrq.errors import AmrqError
from amrq.files import parsing
from amrq.machine import optional_package
from amrq.text import printable

if TYPE_CHECKING:
    from pydantic import TypeAdapter

__all__ = ["from_plain", "from_row"]

_Record = TypeVar("_Record")
_LARGEST = 2**53
"""Of a whole number, so that it is one in floating point as well."""
_CALLED = {int: "a whole number", float: "a number", str: "a text", bool: "true or false", type(None): "null"}


def from_plain(values: Mapping[str, Any], kind: type[_Record], what: str = "setting of a recipe") -> _Record:
    """Make a dataclass of the values of a TOML or JSON file.

    Tables become the dataclasses that the fields are annotated with, lists become tuples; a whole number may stand for
    a number, and nothing else for anything else.

    Args:
        values: by name; a missing one keeps its default.
        kind: a dataclass whose fields are numbers, texts, tuples, dicts, unions of these, or such dataclasses.
        what: what a name in the values stands for, to say that an unknown one is none.

    Raises:
        AmrqError: a name is unknown or missing, or a value mistyped or out of range.

    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True)
    ... class Fit:
    ...     steps: int = 100
    >>> from_plain({"steps": 7}, Fit)
    Fit(steps=7)
    >>> from_plain({"steps": "many"}, Fit)
    Traceback (most recent call last):
    amrq.errors.AmrqError: steps must be a whole number, not 'many'.
    """
    with parsing("its settings"):
        _check_values(values)
        # As JSON, in which strict rules take lists for tuples.
        text = json.dumps([dict(values)])
        made: _Record = _validated(kind, what, lambda adapter: adapter.validate_json(text, strict=True))
        return made


def from_row(row: Mapping[str, Any], kind: type[_Record]) -> _Record:
    """Make a dataclass of a row of texts, as CSV has them; columns that it has no field for are left out.

    Args:
        row: texts by column; a value may be a list of such rows, for a field that is a tuple of dataclasses.
        kind: see `from_plain`.

    Raises:
        AmrqError: a column is missing, mistyped or out of range.
    """
    values = {f.name: row[f.name] for f in fields(kind) if f.name in row}  # type: ignore[arg-type]
    with parsing("its columns"):
        made: _Record = _validated(
            kind, "column", lambda adapter: adapter.validate_python([values], strict=False)
        )
        return made


def _validated(kind: Any, what: str, validate: Callable[["TypeAdapter[Any]"], Any]) -> Any:
    pydantic = optional_package("pydantic", "reading settings from files")
    try:
        (made,) = validate(_adapter(kind))
    except pydantic.ValidationError as error:
        raise AmrqError(_sentence(kind, what, error.errors(include_url=False))) from None
    return made


@functools.cache
def _adapter(kind: Any) -> "TypeAdapter[Any]":
    from pydantic import ConfigDict, TypeAdapter

    # Inside a tuple, since a dataclass itself takes no settings from outside, but hands on those around it.
    return TypeAdapter(tuple[kind], config=ConfigDict(extra="forbid", allow_inf_nan=False))


def _check_values(values: Any, where: str = "") -> None:
    """Refuse whole numbers that floating point does not hold, before any is computed with, and what JSON has not."""
    if isinstance(values, Mapping):
        for key, value in values.items():
            _check_values(value, f"{where}.{printable(key, 60)}" if where else printable(key, 60))
    elif isinstance(values, list):
        for value in values:
            _check_values(value, where)
    elif isinstance(values, int) and abs(values) > _LARGEST:
        raise AmrqError(f"{where} must be a whole number within {_LARGEST:,}.")
    elif isinstance(values, (datetime.date, datetime.time)):
        raise AmrqError(f"{where} must not be a date or a time: put it in quotes if it is a text.")


# --- what pydantic found, as a sentence -------------------------------------------------------------------------------


class _Place(NamedTuple):
    """Where in the dataclasses an error is.

    Attributes:
        where: names from the outermost table on, `fit.steps`.
        kind: what the value there must be; None where there is no such field.
        around: the place of the table or list that it is in; None for the outermost.
        union: how many of the error's steps lead to the first union on the way; None where there is none.
    """

    where: str
    kind: Any
    around: "_Place | None" = None
    union: int | None = None


def _sentence(kind: type, what: str, errors: Sequence[Any]) -> str:
    """Return the sentence on the first thing that is wrong."""
    error, place = errors[0], _place(kind, errors[0]["loc"][1:])
    if place.union is not None:
        # Each kind of value that is allowed there has a complaint of its own: the one that got farthest is meant.
        before = errors[0]["loc"][: 1 + place.union]
        same = [e for e in errors if e["loc"][: len(before)] == before]
        error = max(same, key=lambda e: (len(e["loc"]), e["type"] == "value_error"))
        outer = _place(kind, error["loc"][1:-1])
        choice = error["type"] != "value_error" and _members(outer.kind)
        place = outer if choice else _place(kind, error["loc"][1:])
    if error["type"] == "value_error":
        return str(error["ctx"]["error"])
    if error["type"] in ("unexpected_keyword_argument", "dataclass_args_type"):
        known = ", ".join(f.name for f in fields(place.around.kind)) if place.around else ""
        return f"{place.where} is no {what}: there are {known}."
    if error["type"] == "missing" and place.around is not None:
        if is_dataclass(place.around.kind):
            return f"{place.where} is missing."
        place = place.around  # a list that is too short
    allowed = _called(place.kind)
    if error["msg"].startswith("Input should be ") and not error["type"].endswith(
        ("_type", "_parsing", "_float")
    ):
        allowed = error["msg"].removeprefix("Input should be ")
    return f"{place.where or 'all'} must be {allowed}, not {printable(repr(error['input']), 100)}."


def _place(kind: Any, steps: Sequence[str | int]) -> _Place:
    place = _Place("", kind)
    for count, step in enumerate(steps):
        members = _members(place.kind)
        if members:  # the step is pydantic's name of one of them
            chosen = next((m for m in members if _tag(m) == str(step).partition("[")[0]), None)
            place = place._replace(kind=chosen, union=count if place.union is None else place.union)
            continue
        name = f"[{step}]" if isinstance(step, int) else f".{printable(step, 60)}"
        where = (place.where + name).removeprefix(".")
        place = _Place(where, _inner(place.kind, step), place, place.union)
    return place


def _inner(kind: Any, step: str | int) -> Any:
    """Return what a part of a value must be: a field of a dataclass, an element of a tuple, a value of a dict."""
    if is_dataclass(kind):
        return typing.get_type_hints(kind).get(str(step))
    arguments = typing.get_args(kind)
    return arguments[0 if isinstance(step, int) else -1] if arguments else None


def _members(kind: Any) -> tuple[Any, ...]:
    """Return the kinds of value between which there is a choice; none where there is one, or one and null."""
    if typing.get_origin(kind) not in (typing.Union, types.UnionType):
        return ()
    members = tuple(m for m in typing.get_args(kind) if m is not type(None))
    return members if len(members) > 1 else ()


def _tag(kind: Any) -> str:
    return str(getattr(typing.get_origin(kind) or kind, "__name__", ""))


def _called(kind: Any) -> str:
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        return " or ".join(_called(member) for member in typing.get_args(kind))
    arguments = typing.get_args(kind)
    if typing.get_origin(kind) is tuple:
        return "a list" if arguments[-1] is Ellipsis else f"a list of {len(arguments)}"
    return _CALLED.get(kind, "a table")
