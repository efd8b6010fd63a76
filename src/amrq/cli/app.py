# SPDX-License-Identifier: GPL-3.0-or-later
"""What all commands share: how they are set up, read numbers, complete names and speak."""

import re
from collections.abc import Callable, Sequence
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from amrq.errors import AmrqError
from amrq.model import list_models
from amrq.options import OptionError
from amrq.text import prefix_factor, printable

__all__ = ["CommandApp", "model_names", "one_of", "quantity", "say"]


_LONGEST = 2000
"""Characters of a sentence."""


def say(sentence: object) -> None:
    """Write a sentence, or the text of an error, on standard error, safe for a terminal, as `amrq: ...`."""
    if isinstance(sentence, OptionError):
        sentence = sentence.for_command()
    typer.echo(f"amrq: {printable(sentence, _LONGEST)}", err=True)


_UNITS = "Hz|Bd|Baud|S|S/s|SPS|samples/s|Sym/s|symbols/s"


def quantity(text: str | float) -> float:
    """Return the number that `433.92M`, `100k`, `2.4MS/s` or `1e6` means.

    Raises:
        typer.BadParameter: it means none.
    """
    if isinstance(text, (int, float)):
        return float(text)
    found = re.fullmatch(rf"(.+?)\s*([kKMGT]?)(?i:{_UNITS})?", text.strip())
    try:
        return float(found[1]) * prefix_factor(found[2]) if found else float(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a number such as 250e3, 100k or 433.92M.") from None


def model_names(incomplete: str) -> list[str]:
    """Return the names of models at hand that begin so; where none does, the shell offers files."""
    try:
        names = ["default", *(path.stem for path in list_models())]
    except OSError:  # a folder that cannot be read: a shell wants no error while somebody types
        names = ["default"]
    return [name for name in names if name.startswith(incomplete)]


def one_of(choices: Sequence[str]) -> Callable[[str], list[str]]:
    """Return what completes an option that takes one of these words."""

    def complete(incomplete: str) -> list[str]:
        return [choice for choice in choices if choice.startswith(incomplete)]

    return complete


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
