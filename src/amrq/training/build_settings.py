# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings from plain values, as TOML and JSON have them, into dataclasses that check themselves."""

import math
import typing
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, TypeVar

from amrq.errors import AmrqError
from amrq.parsing import parsing
from amrq.plain_text import printable

__all__ = ["build_settings"]

_Settings = TypeVar("_Settings")
_LARGEST = 2**53
"""Of a whole number, so that it is one in floating point as well."""


def _convert(value: Any, kind: Any, where: str) -> Any:
    if is_dataclass(kind):
        if not isinstance(value, dict):
            raise AmrqError(f"{where} must be a table.")
        return _build(kind, value, where + ".")
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is tuple:
        open_ended = len(arguments) == 2 and arguments[1] is Ellipsis
        if not isinstance(value, list) or not (open_ended or len(value) == len(arguments)):
            length = "" if open_ended else f" of {len(arguments)}"
            raise AmrqError(f"{where} must be a list{length}, not {printable(repr(value), 100)}.")
        return tuple(_convert(v, arguments[0], where) for v in value)
    if origin is dict:
        if not isinstance(value, dict):
            raise AmrqError(f"{where} must be a table.")
        return {str(k): _convert(v, arguments[1], f"{where}.{k}") for k, v in value.items()}
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, kind) or isinstance(value, bool) != (kind is bool):
        names = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}
        raise AmrqError(f"{where} must be {names[kind]}, not {printable(repr(value), 100)}.")
    if kind is int and abs(value) > _LARGEST:
        raise AmrqError(f"{where} must be a whole number within {_LARGEST:,}.")
    if kind is float and not math.isfinite(value):
        raise AmrqError(f"{where} must be a finite number, not {value}.")
    return value


def _build(kind: Any, values: dict[str, Any], where: str = "") -> Any:
    types_of = typing.get_type_hints(kind)
    known = [f.name for f in fields(kind)]
    for key in values:
        if key not in known:
            raise AmrqError(
                f"{where}{printable(key, 60)} is no setting of a recipe: there are {', '.join(known)}."
            )
    missing = [
        f.name
        for f in fields(kind)
        if f.default is MISSING and f.default_factory is MISSING and f.name not in values
    ]
    if missing:
        raise AmrqError(f"{where}{missing[0]} is missing.")
    return kind(**{key: _convert(value, types_of[key], where + key) for key, value in values.items()})


def build_settings(values: Mapping[str, Any], kind: type[_Settings]) -> _Settings:
    """Make a dataclass of plain values: tables become the dataclasses that its fields are annotated with, lists tuples.

    Args:
        values: by name; what is missing keeps its default.
        kind: a frozen dataclass whose fields are numbers, texts, tuples, dicts or such dataclasses.

    Raises:
        AmrqError: a setting is unknown, missing, mistyped or out of range.
    """
    with parsing("its settings"):
        return typing.cast(_Settings, _build(kind, dict(values)))
