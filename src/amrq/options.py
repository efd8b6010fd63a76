# SPDX-License-Identifier: GPL-3.0-or-later
"""Options as records: each is written down once, and every front takes it from there.

A record is a frozen dataclass whose fields are made by `option`, with default, help, unit and range. `check` in its
`__post_init__` converts and checks the values; `described` appends the fields to its docstring:

    >>> @described
    ... @dataclass(frozen=True)
    ... class HearingOptions:
    ...     '''How much is listened to.'''
    ...
    ...     patience: float = option(2.0, "Time without a signal after which it is over.", unit="s", within=above(0))
    ...     ears: int = option(2, "Ears that listen.", within=between(1, 2), flag="--ears COUNT")
    ...
    ...     def __post_init__(self) -> None:
    ...         check(self)
    >>> HearingOptions(patience=0.5).ears
    2
    >>> HearingOptions(ears=3)
    Traceback (most recent call last):
    amrq.errors.AmrqError: ears must be from 1 to 2, not 3.

`options_of` lists the fields, each as an `Option`. From that list come

* the options of a command: a parameter `Annotated[HearingOptions, Fields("Hearing")]` of a function that
  `amrq.cli.app.expanded` decorates;
* the parameters, assertions and texts of the Companion's block files: `scripts/make_options.py`;
* the attributes in the record's docstring, and so the reference.

An option's name is the same everywhere: the field, the block's parameter in the Companion and, with dashes, the
command's option, unless `flag` gives another one. A new option is a new field.
"""

import dataclasses
import functools
import inspect
import math
import numbers
import operator
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import numpy as np

from amrq.errors import AmrqError
from amrq.text import engineering, printable

__all__ = [
    "InputFile",
    "Kind",
    "Option",
    "OptionError",
    "OutputFile",
    "Range",
    "above",
    "at_least",
    "between",
    "check",
    "converted",
    "described",
    "kind_of",
    "option",
    "options_of",
]

Kind = Literal["number", "integer", "flag", "text", "path", "any"]
"""What values an option takes; `any`: what its record makes of them."""

InputFile = Annotated[str, "file that is read"]
"""Text that names a file to read; empty for none."""

OutputFile = Annotated[str, "file that is written"]
"""Text that names a file to write; empty for none."""

_KEY = "amrq.option"
_LARGEST = 2**63 - 1
"""Of integers: what GNU Radio's own hold."""
_SMALL_WORDS = ("a", "after", "at", "before", "between", "for", "from", "of", "on", "per", "to", "while")
_UNITS_OF_QUANTITIES = ("Hz", "Bd", "S/s")

_Record = TypeVar("_Record")


@dataclass(frozen=True)
class Range:
    """What a number may be.

    Attributes:
        low: the least.
        high: the greatest; infinity: any, but not infinity itself unless `endless`.
        low_open: `low` itself is outside.
        high_open: `high` itself is outside.
        endless: infinity is allowed, where `high` (or minus infinity, where `low`) is that.
    """

    low: float = -math.inf
    high: float = math.inf
    low_open: bool = False
    high_open: bool = False
    endless: bool = False

    def __contains__(self, value: float) -> bool:
        """Return whether a number is inside; NaN never is."""
        if math.isinf(value):
            return self.endless and value in (self.low, self.high)
        above = value > self.low if self.low_open else value >= self.low
        below = value < self.high if self.high_open else value <= self.high
        return above and below

    def __str__(self) -> str:
        """Return it in words: `1 to 64`, `at least 0`, `above 0, at most 1`; empty where any number will do."""
        return self.words()

    def words(self, unit: str = "") -> str:
        """Return it in words with a unit: `at least 0 s`, `above 0, below 1 TS/s`."""
        has_low, has_high = math.isfinite(self.low), math.isfinite(self.high)
        high = _written(self.high, unit)
        if has_low and has_high and not (self.low_open or self.high_open):
            return f"{_written(self.low)} to {high}"
        low = f"{'above' if self.low_open else 'at least'} {_written(self.low, '' if has_high else unit)}"
        high = f"{'below' if self.high_open else 'at most'} {high}"
        return ", ".join([low] * has_low + [high] * has_high)

    def condition(self, name: str) -> str:
        """Return it as a Python expression about a name: `0 < rolloff <= 1`; empty where any number will do."""
        has_low, has_high = math.isfinite(self.low), math.isfinite(self.high)
        low, high = _written(self.low), _written(self.high)
        if has_low and not has_high:
            return f"{name} {'>' if self.low_open else '>='} {low}"
        before = f"{low} {'<' if self.low_open else '<='} " if has_low else ""
        after = f" {'<' if self.high_open else '<='} {high}" if has_high else ""
        return f"{before}{name}{after}" if before or after else ""


def _written(number: float, unit: str = "") -> str:
    """Return a number as people write it, exactly, with its unit."""
    if unit and math.isfinite(number) and abs(number) >= 1e6:
        return engineering(number, unit)
    short = f"{number:g}"
    return f"{short if float(short) == number else f'{number:.17g}'} {unit}".rstrip()


def at_least(low: float) -> Range:
    """Return the range of finite numbers from `low` on.

    >>> 5 in at_least(1), 0 in at_least(1)
    (True, False)
    """
    return Range(low)


def above(low: float, at_most: float = math.inf, *, endless: bool = False) -> Range:
    """Return the range of numbers greater than `low` up to `at_most`; `endless` lets infinity be one of them.

    >>> 0.0 in above(0), 0.1 in above(0, at_most=1)
    (False, True)
    """
    return Range(low, at_most, low_open=True, endless=endless)


def between(low: float, high: float) -> Range:
    """Return the range from `low` to `high`, both inside.

    >>> 3.0 in between(0, 1)
    False
    """
    return Range(low, high)


@dataclass(frozen=True)
class Option:
    """One option, as its record has it.

    Attributes:
        name: of the field.
        default: its value where none is given.
        help: one line for people, which ends in a full stop.
        unit: of its values, `Hz` for instance; empty for none.
        within: its range; None where it has none.
        choices: the values it may take, and what each means; empty where these are not listed.
        label: its name in the Companion, without the unit.
        flag: names of the command's option and the word for its value: `--board ENDPOINT`.
        advanced: most users never need it.
        kind: of its values.
        optional: it may be None.
        file: `file that is read`, `file that is written`, or empty.
    """

    name: str
    default: Any
    help: str
    unit: str = ""
    within: Range | None = None
    choices: Mapping[Any, str] = dataclasses.field(default_factory=dict)
    label: str = ""
    flag: str = ""
    advanced: bool = False
    kind: Kind = "any"
    optional: bool = False
    file: str = ""

    @property
    def flags(self) -> list[str]:
        """Names of the command's option, `--` included."""
        named = [word for word in self.flag.split() if word.startswith("-")]
        return named or [f"--{self.name.replace('_', '-')}"]

    @property
    def metavar(self) -> str | None:
        """The word that stands for its value in the command's help; None where its kind says enough."""
        words = [word for word in self.flag.split() if not word.startswith("-")]
        return (
            words[0] if words else "NUMBER" if self.is_quantity else "SECONDS" if self.unit == "s" else None
        )

    @property
    def is_quantity(self) -> bool:
        """Whether people write its values with prefixes: `433.92M`."""
        return self.kind == "number" and self.unit in _UNITS_OF_QUANTITIES

    @property
    def title(self) -> str:
        """Its name in the Companion, with the unit."""
        words = self.name.split("_")
        label = self.label or " ".join(word if word in _SMALL_WORDS else word.capitalize() for word in words)
        return f"{label} ({self.unit})" if self.unit else label

    @property
    def allowed(self) -> str:
        """What its values may be, in words; empty where anything of its kind will do."""
        if self.choices and self.kind != "flag":
            values = [str(value) for value in self.choices]
            return " or ".join([", ".join(values[:-1]), values[-1]] if len(values) > 1 else values)
        return "" if self.within is None else self.within.words(self.unit)

    @property
    def sentence(self) -> str:
        """The help with unit and range: in brackets after one plain sentence, otherwise as a sentence of their own."""
        more = self.allowed or (self.unit if self.kind in ("number", "integer") else "")
        if not more or not self.help.endswith("."):
            return self.help
        if not any(mark in self.help for mark in (". ", ": ", "; ")):
            return f"{self.help[:-1]} ({more})."
        if self.choices:
            return f"{self.help} One of {more}."
        if not self.allowed:
            return f"{self.help} In {more}."
        return (
            f"{self.help} {more[0].upper()}{more[1:]}." if more[0].isalpha() else f"{self.help} From {more}."
        )

    def checked(self, value: Any, called: str | None = None) -> Any:
        """Return a value as the option's kind of value, if it is an allowed one.

        Args:
            value: to check.
            called: what the error calls the option; None: its name.

        Raises:
            AmrqError: it is not allowed.
        """
        called = called or self.name
        if self.optional and value is None:
            return None
        value = converted(self.kind, called, value)
        if self.choices and value not in self.choices:
            raise AmrqError(f"{called} must be {self.allowed}, not {_shown(value)}.")
        if self.within is not None and value not in self.within:
            between = math.isfinite(self.within.low) and " to " in str(self.within)
            raise AmrqError(f"{called} must be {'from ' * between}{self.allowed or 'a number'}, not {value}.")
        if self.kind == "number" and math.isnan(value):
            raise AmrqError(f"{called} must be a number, not {value}.")
        return value


class OptionError(AmrqError):
    """Options do not go together, or one of them is missing.

    In a script the sentence names fields or arguments; the command names its own options (`for_command`).

    Args:
        named: the record's class; or, where there is none, what the command calls each argument, by name.
        text: the sentence, with the names of fields or arguments in braces.
        values: what stands for the other names in braces.

    >>> error = OptionError({"rate": "--rate"}, "{file} needs the sample rate ({rate}).", file="a.cf32")
    >>> str(error), error.for_command()
    ('a.cf32 needs the sample rate (rate).', 'a.cf32 needs the sample rate (--rate).')
    """

    def __init__(self, named: type | Mapping[str, str], text: str, **values: object) -> None:
        flags = named if isinstance(named, Mapping) else {one.name: one.flags[0] for one in options_of(named)}
        self._in_script = text.format(**{name: name for name in flags}, **values)
        self._in_command = text.format(**flags, **values)
        super().__init__(self._in_script)

    def for_command(self) -> str:
        """Return the sentence with the names that the options have in a command."""
        # Other errors' sentences may have been added to it.
        return str(self).replace(self._in_script, self._in_command)


def option(
    default: Any,
    help: str,
    *,
    unit: str = "",
    within: Range | None = None,
    choices: Mapping[Any, str] | None = None,
    label: str = "",
    flag: str = "",
    advanced: bool = False,
) -> Any:
    """Return a dataclass's field that is an option: see `Option` for what is given.

    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True)
    ... class Gate:
    ...     "When there is a signal."
    ...     level: float = option(-60.0, "Power below which there is none.", unit="dB", within=between(-200, 0))
    >>> [(one.name, one.unit, one.default) for one in options_of(Gate)]
    [('level', 'dB', -60.0)]
    """
    about: dict[str, Any] = {"help": help, "unit": unit, "within": within, "choices": dict(choices or {})}
    about |= {"label": label, "flag": flag, "advanced": advanced}
    return dataclasses.field(default=default, metadata={_KEY: about})


def options_of(record: type) -> tuple[Option, ...]:
    """Return a record's options, in the order of its fields."""
    return _options_of(record)


@functools.cache
def _options_of(record: Any) -> tuple[Option, ...]:
    hints = get_type_hints(record, include_extras=True)
    found = []
    for field in dataclasses.fields(record):
        if _KEY in field.metadata:
            kind, optional, file = kind_of(hints[field.name])
            about = dict(field.metadata[_KEY])
            found.append(Option(field.name, field.default, kind=kind, optional=optional, file=file, **about))
    return tuple(found)


def check(record: Any) -> None:
    """Convert and check a record's values, for its `__post_init__`.

    Raises:
        AmrqError: one of them is not allowed.
    """
    kind: Any = type(record)
    for one, default in _defaults_of(kind):
        value = getattr(record, one.name)
        if value is not default:
            object.__setattr__(record, one.name, one.checked(value))


@functools.cache
def _defaults_of(record: Any) -> tuple[tuple[Option, object], ...]:
    """Return the options with their defaults; where one is not allowed or converted, an object that no value is."""
    found = []
    for one in options_of(record):
        try:
            stays = one.checked(one.default) is one.default
        except AmrqError:
            stays = False
        found.append((one, one.default if stays else object()))
    return tuple(found)


def described(record: type[_Record]) -> type[_Record]:
    """Append what a record's options are to its docstring, under `Attributes`."""
    lines = ["Attributes:", *(f"    {one.name}: {one.sentence}" for one in options_of(record))]
    record.__doc__ = "\n".join([inspect.cleandoc(record.__doc__ or ""), "", *lines, ""])
    return record


def kind_of(annotation: Any) -> tuple[Kind, bool, str]:
    """Return the kind of values that an annotation means, whether None is one of them, and what file they name."""
    file = ""
    if get_origin(annotation) is Annotated:
        annotation, file = get_args(annotation)[:2]
    members = [annotation]
    if isinstance(annotation, str):
        members = [member.strip() for member in annotation.split("|")]
    elif get_args(annotation):
        members = list(get_args(annotation))
    names = [member if isinstance(member, str) else getattr(member, "__name__", "") for member in members]
    named = [name for name in names if name not in ("None", "NoneType")]
    return (_KINDS.get(named[0], "any") if len(named) == 1 else "any"), len(named) < len(members), file


def converted(kind: Kind, name: str, value: Any) -> Any:
    """Return a value as one of a kind: whole floats as integers, NumPy's numbers as Python's.

    Args:
        kind: what it is to be.
        name: what an error calls it.
        value: from a flowgraph, a command or a script.

    Raises:
        AmrqError: it is of another kind.
    """
    return _CONVERTERS[kind](name, value)


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


_KINDS: dict[str, Kind] = {
    "float": "number",
    "int": "integer",
    "bool": "flag",
    "str": "text",
    "Path": "path",
}

_CONVERTERS: dict[Kind, Any] = {
    "number": _number,
    "integer": _integer,
    "flag": _flag,
    "text": _text,
    "path": lambda name, value: Path(_text(name, value)),
    "any": lambda name, value: value,
}
