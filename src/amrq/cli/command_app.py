# SPDX-License-Identifier: GPL-3.0-or-later
"""How the command's help is shown, the same for every command."""

from collections.abc import Callable
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

__all__ = ["CommandApp"]


def _flags_without_type(params: Any) -> Any:
    """Let options that take no value be shown without a type: `--json`, not `--json <bool>`."""
    for param in params:
        if getattr(param, "is_flag", False) and param.metavar is None:
            param.metavar = ""
    return params


class _Command(TyperCommand):
    def get_params(self, ctx: Any) -> Any:
        return _flags_without_type(super().get_params(ctx))


class _Group(TyperGroup):
    def get_params(self, ctx: Any) -> Any:
        return _flags_without_type(super().get_params(ctx))


class CommandApp(typer.Typer):
    """A Typer application whose help names a type only where an option takes a value."""

    def __init__(self, **options: Any) -> None:
        super().__init__(cls=_Group, **options)

    def command(self, name: str | None = None, **options: Any) -> Callable[[Any], Any]:
        """As Typer's, for a command whose help is shown so."""
        return super().command(name, cls=_Command, **options)
