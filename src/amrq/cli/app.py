# SPDX-License-Identifier: GPL-3.0-or-later
"""What all commands share: their options made from records, how they read numbers, complete names and speak."""

import functools
import inspect
import keyword
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, ClassVar, NamedTuple, get_args

import typer
import typer.main
from typer.core import TyperCommand, TyperGroup

from amrq.classifier import Backend, EngineBackend
from amrq.errors import AmrqError
from amrq.link import BoardBackend
from amrq.model import list_models
from amrq.options import Option, OptionError, described, option, options_of
from amrq.outputs import OutputOptions
from amrq.text import prefix_factor, printable

__all__ = [
    "OUTPUT_HELPS",
    "CommandApp",
    "Fields",
    "ModelOptions",
    "expanded",
    "model_names",
    "no_stdout_log",
    "one_of",
    "quantity",
    "say",
]

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


class _LateCommands(Mapping[str, Any]):
    """Commands by their names, each imported when it is asked for: a start of the program needs one of them.

    Args:
        places: where they are, by name: `room.module:function`, or the `CommandApp` of a command that has more below.
    """

    def __init__(self, places: Mapping[str, str]) -> None:
        self._places = places
        self._loaded: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._loaded:
            module, _, within = self._places[name].partition(":")
            found = getattr(import_module(module), within)
            alone = CommandApp(rich_markup_mode="markdown")
            if isinstance(found, CommandApp):
                alone.add_typer(found, name=name)
            else:
                alone.command(name)(found)
            self._loaded[name] = typer.main.get_group(alone).commands[name]
        return self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


class _Group(TyperGroup):
    places: ClassVar[Mapping[str, str]] = {}

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        if self.places:
            self.commands: Any = _LateCommands(self.places)

    def list_commands(self, ctx: Any) -> list[str]:
        return list(self.commands)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        _refuse_empty(args)
        return super().parse_args(ctx, args)

    def get_params(self, ctx: Any) -> Any:
        return _flags_without_type(super().get_params(ctx))


class CommandApp(typer.Typer):
    """A Typer application whose help names a type only where an option takes a value.

    Args:
        places: of commands that are imported when they are asked for, `room.module:function` by name.
        options: as Typer takes them.
    """

    def __init__(self, places: Mapping[str, str] | None = None, **options: Any) -> None:
        super().__init__(cls=type("_Group", (_Group,), {"places": places or {}}), **options)

    def command(self, name: str | None = None, **options: Any) -> Callable[[Any], Any]:
        """As Typer's, for a command whose help is shown so."""
        return super().command(name, cls=_Command, **options)


OUTPUT_HELPS = {
    "log": "Append each decision to this file, as a line of JSON. At 50 MB the file is renamed to FILE.1 and a new "
    "one is started.",
    "changes": "Show and write a decision only when the answer changes, and once a minute in between.",
    "every": "Show and write one decision in this many seconds of the signal; with --changes, this replaces the "
    "minute. 0: all.",
}
"""What a command does with options of the outputs: it shows decisions, and has --json for standard output."""

_TYPES: dict[str, type] = {"number": float, "integer": int, "flag": bool, "text": str, "path": Path}


@dataclass(frozen=True)
class Fields:
    """Which fields of a record are options of a command.

    Attributes:
        panel: the heading in the help that they stand under; empty for the general one.
        without: fields that are not offered: they keep their defaults, unless `defaults` has others.
        panels: headings of single fields.
        defaults: defaults of this command's own, by field.
        helps: help texts of this command's own, by field, for what it does with an option that others do not.
        completions: what completes an option's value in a shell, by field.
        needs: the field without which the record is None: its other options belong to it then. The parameter's
            annotation is `Annotated[Record | None, Fields(needs="field")]`.
    """

    panel: str = ""
    without: Collection[str] = ()
    panels: Mapping[str, str] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    helps: Mapping[str, str] = field(default_factory=dict)
    completions: Mapping[str, Callable[[str], Any]] = field(default_factory=dict)
    needs: str = ""


@dataclass(frozen=True)
class _Model:
    model: str = option("default", "An ONNX file, a shipped model's name, or 'default'.")


@described
@dataclass(frozen=True)
class ModelOptions(EngineBackend, _Model):
    """Which model decides, and how it is computed on this CPU."""

    def backend(self, board: BoardBackend | None) -> Backend:
        """Return what computes: the board, where there is one.

        Raises:
            AmrqError: an engine of this machine is chosen as well.
        """
        if board is not None and self.engine != EngineBackend.engine:
            raise AmrqError(
                f"--engine {self.engine} computes on this machine: leave out either that or --board."
            )
        return self if board is None else board


def expanded(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command an option for each field of the records that it takes.

    A parameter annotated `Annotated[Record, Fields(...)]` becomes the options of that record, in its place; the command
    is called with the record made of what was given. All other parameters stay as they are.

    Args:
        command: a function as Typer takes it.

    Raises:
        ValueError: two options have one name.
        AmrqError: by what is returned: a value is not allowed; the sentence names the command's option.
    """
    shown: list[inspect.Parameter] = []
    records: dict[str, _Wanted] = {}
    for parameter in inspect.signature(command, eval_str=True).parameters.values():
        record, *marks = get_args(parameter.annotation) or (None,)
        fields = next((mark for mark in marks if isinstance(mark, Fields)), None)
        if fields is None:
            shown.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))
            continue
        kind = next((member for member in get_args(record) if member is not type(None)), record)
        options = [option for option in options_of(kind) if option.name not in fields.without]
        shown += [_parameter(option, fields) for option in options]
        records[parameter.name] = _Wanted(kind, fields, options)

    @functools.wraps(command)
    def called(**given: Any) -> None:
        for name, wanted in records.items():
            given[name] = wanted.made({option.name: given.pop(_name(option)) for option in wanted.options})
        command(**given)

    signature = inspect.Signature(shown)  # an error here: two options of one name
    called.__signature__ = signature  # type: ignore[attr-defined]
    called.__annotations__ = {parameter.name: parameter.annotation for parameter in shown}
    return called


class _Wanted(NamedTuple):
    """A record that a command takes, and how it is asked for."""

    record: Any
    fields: Fields
    options: list[Option]

    def made(self, given: Mapping[str, Any]) -> Any:
        """Return the record of what was given, by field; None where that is not asked for."""
        fields = self.fields
        if fields.needs and given[fields.needs] is None:
            needed = next(option.flags[0] for option in self.options if option.name == fields.needs)
            for option in self.options:
                if given[option.name] not in (None, fields.defaults.get(option.name, option.default)):
                    raise AmrqError(f"{option.flags[0]} belongs to {needed}: give that as well.")
            return None
        values = dict(fields.defaults)
        for option in self.options:
            value = given[option.name]
            if value is not None or option.optional:
                values[option.name] = option.checked(value, called=option.flags[0])
        return self.record(**values)


def _name(option: Option) -> str:
    """Return what Typer calls a parameter for an option."""
    name = option.flags[0].lstrip("-").replace("-", "_")
    return f"{name}_" if keyword.iskeyword(name) else name


def _parameter(option: Option, fields: Fields) -> inspect.Parameter:
    """Return an option as Typer reads it from a function's signature."""
    default = fields.defaults.get(option.name, option.default)
    kind: Any = _TYPES.get(option.kind, str)
    if option.file:
        kind = Path
    if option.name == fields.needs:
        default = None
    if option.optional or option.file or default in (None, ""):
        kind, default = kind | None, default or None
    about: dict[str, Any] = {
        "help": fields.helps.get(option.name, option.sentence),
        "rich_help_panel": fields.panels.get(option.name, fields.panel) or None,
        "metavar": option.metavar,
    }
    if option.is_quantity:
        about["parser"] = quantity
    if option.name in fields.completions:
        about["autocompletion"] = fields.completions[option.name]
    elif option.choices and option.kind == "text":
        about["autocompletion"] = one_of(tuple(map(str, option.choices)))
    names = option.flags
    if option.kind == "flag":
        about["show_default"] = "on" if default else False
    if option.kind == "flag" and default:
        names = [f"{name}/--no-{name.removeprefix('--')}" for name in names]
    annotation: Any = Annotated[kind, typer.Option(*names, **about)]
    return inspect.Parameter(
        _name(option), inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation
    )


def no_stdout_log(outputs: OutputOptions) -> None:
    """Refuse a log on standard output, which a command has other uses for.

    Raises:
        AmrqError: that was asked for.
    """
    if outputs.log == "-":
        raise AmrqError(
            "--log - would be standard output: use --json for records there, or --log ./- for a file."
        )
