# SPDX-License-Identifier: GPL-3.0-or-later
"""How the command's help is shown, the same for every command."""

from collections.abc import Callable, Sequence
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from amrq.errors import AmrqError
from amrq.plain_text import printable

__all__ = ["CommandApp"]


def _flags_without_type(params: Any) -> Any:
    """Let options that take no value be shown without a type: `--json`, not `--json <bool>`."""
    for param in params:
        if getattr(param, "is_flag", False) and param.metavar is None:
            param.metavar = ""
    return params


def _refuse_empty(arguments: Sequence[str]) -> None:
    """Refuse an empty text, which a shell makes of a variable that is not set: as a path it would mean this folder.

    Raises:
        AmrqError: there is one.
    """
    for number, argument in enumerate(arguments):
        before = arguments[number - 1] if number else ""
        if not argument:
            named = before if before.startswith("-") else "an argument"
        elif argument.startswith("--") and argument.endswith("="):
            named = argument[:-1]
        else:
            continue
        raise AmrqError(f"{printable(named)} is empty: give a name or a value, or leave it out.")


class _Command(TyperCommand):
    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        _refuse_empty(args)
        return super().parse_args(ctx, args)

    def get_params(self, ctx: Any) -> Any:
        return _flags_without_type(super().get_params(ctx))


class _Group(TyperGroup):
    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        _refuse_empty(args)
        return super().parse_args(ctx, args)

    def get_params(self, ctx: Any) -> Any:
        return _flags_without_type(super().get_params(ctx))


class CommandApp(typer.Typer):
    """A Typer application whose help names a type only where an option takes a value."""

    def __init__(self, **options: Any) -> None:
        super().__init__(cls=_Group, **options)

    def command(self, name: str | None = None, **options: Any) -> Callable[[Any], Any]:
        """As Typer's, for a command whose help is shown so."""
        return super().command(name, cls=_Command, **options)
