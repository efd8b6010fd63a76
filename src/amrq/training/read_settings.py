# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings from a TOML file into dataclasses that check themselves."""

import os
import sys
from dataclasses import fields
from pathlib import Path
from typing import TypeVar

from amrq.errors import AmrqError
from amrq.parsing import parsing
from amrq.plain_text import printable
from amrq.plain_values import from_plain

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["read_settings"]

_LARGEST = 1 << 20
"""Bytes of a recipe: those here have some 2,000."""

_Settings = TypeVar("_Settings")


def read_settings(path: str | os.PathLike[str], kind: type[_Settings]) -> _Settings:
    """Read a recipe from a TOML file into a dataclass with a `name`, which is by default that of the file.

    Tables become the dataclasses that the fields are annotated with, arrays tuples.

    Args:
        path: the file.
        kind: a frozen dataclass whose fields are numbers, texts, tuples, dicts or such dataclasses.

    Raises:
        AmrqError: the file is missing or no TOML, a setting is unknown, missing, mistyped or out of range.
    """
    path = Path(path)
    shown = printable(path)
    if not os.path.isfile(path):
        raise AmrqError(f"there is no recipe file {shown}.")
    with parsing(f"the recipe {shown}"):
        if path.stat().st_size > _LARGEST:
            raise AmrqError(f"the recipe {shown} has more than {_LARGEST:,} bytes.")
        try:
            values = tomllib.loads(path.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise AmrqError(f"the recipe {shown} is not valid TOML: {printable(error, 200)}.") from None
    values.setdefault("name", path.stem)
    if "architectures" in values and "architectures" not in {f.name for f in fields(kind)}:  # type: ignore[arg-type]
        raise AmrqError(f"{shown} is the recipe of a sweep: use 'amrq sweep'.")
    try:
        return from_plain(values, kind)
    except AmrqError as error:
        raise AmrqError(f"the recipe {shown}: {error}") from None
