# SPDX-License-Identifier: GPL-3.0-or-later
"""Protocols' files: those shipped, and a folder of one's own. One small YAML file for each.

    name: POCSAG 1200
    what: Radiopaging, messages of digits or text from a network to pagers.
    families: [fsk2]
    labels: [2FSK, GFSK]
    inside: ...
    parameters:
      symbol_rate: {nominal: 1200, low: 1197, high: 1203}
      deviation: {nominal: 4.5k, low: 3.8k, high: 5.2k}
    bands:
      - {low: 439.9M, high: 440M, where: amateur}
    sources:
      - ITU-R M.584

Numbers may have the prefix k, M or G, as in options of the command. A parameter with several ranges has a list of them.
"""

import functools
import re
from collections.abc import Iterable, Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from amrq.errors import AmrqError
from amrq.files import parsing
from amrq.machine import optional_package
from amrq.plain_values import from_plain
from amrq.protocols.protocol import Band, ParameterRange, Protocol
from amrq.text import prefix_factor, printable

__all__ = ["SHIPPED", "find_protocol", "list_protocols", "read_protocol"]

SHIPPED = Path(__file__).parent / "data"
"""The folder of the files that are shipped."""

_SUFFIX = ".yml"
_LONGEST = 64_000  # bytes of a file
_MOST = 5_000  # files of a folder
_NUMBERS = frozenset({"low", "high", "nominal"})
_BAND, _RANGE = re.compile(r"bands\[\d+\]"), re.compile(r"parameters\.[^.\[\]]+(\[\d+\])?")


def read_protocol(path: Path) -> Protocol:
    """Read a protocol's file.

    Args:
        path: a YAML file, see the module's text; its name without the suffix becomes the key.

    Raises:
        AmrqError: the file cannot be read, has a key that is unknown or given twice, or a value that is mistyped or not
            sane; with the line.

    >>> read_protocol(SHIPPED / "pocsag-1200.yml").families
    ('fsk2',)
    """
    shown = printable(path.name)
    with parsing(path, "give a YAML file in UTF-8"):
        with path.open("rb") as file:
            content = file.read(_LONGEST + 1)
        if len(content) > _LONGEST:
            raise AmrqError(f"{shown} is longer than {_LONGEST:,} bytes: a protocol's file is short.")
        values, lines = _parsed(content.decode("utf-8"), shown)
        if not isinstance(values, dict):
            raise AmrqError(
                f"{shown} must have settings such as 'name: POCSAG', not {type(values).__name__}."
            )
        try:
            _check_names(lines)
            made = from_plain(_as_record(values), Protocol, "field of a protocol's file")
            return replace(made, key=path.stem)
        except AmrqError as error:
            raise AmrqError(f"{shown}{_at_line(str(error), lines)}: {error}") from None


def list_protocols(folder: Path | None = None) -> tuple[Protocol, ...]:
    """Return all protocols, by name: those shipped, and those of a folder of one's own.

    Args:
        folder: with more files `*.yml`; one that is called as a shipped file takes its place.

    Raises:
        AmrqError: the folder cannot be read or has no such file, a file cannot be read, or two have the same name.

    >>> len(list_protocols()) >= 60
    True
    """
    return _shipped() if folder is None else _with_own(folder)


@functools.cache
def _shipped() -> tuple[Protocol, ...]:
    return _by_name(read_protocol(path) for path in sorted(SHIPPED.glob(f"*{_SUFFIX}")))


def _with_own(folder: Path) -> tuple[Protocol, ...]:
    with parsing(folder, "give a folder of protocols' files"):
        paths = sorted(path for path in folder.iterdir() if path.suffix == _SUFFIX)
    if not paths:
        raise AmrqError(f"{printable(folder)} has no file *{_SUFFIX}: give a folder of protocols' files.")
    if len(paths) > _MOST:
        raise AmrqError(f"{printable(folder)} has {len(paths):,} files *{_SUFFIX}, more than {_MOST:,}.")
    known = {one.key: one for one in _shipped()} | {path.stem: read_protocol(path) for path in paths}
    return _by_name(known.values())


def _by_name(protocols: Any) -> tuple[Protocol, ...]:
    found: dict[str, Protocol] = {}
    for one in protocols:
        other = found.setdefault(one.name.casefold(), one)
        if other is not one:
            raise AmrqError(f"{other.key}{_SUFFIX} and {one.key}{_SUFFIX} have the same name {one.name!r}.")
    return tuple(found[name] for name in sorted(found, key=_natural))


def _natural(name: str) -> list[tuple[int, str]]:
    """Return what sorts names with numbers in them: PSK31 before PSK125."""
    parts = re.split(r"(\d+)", name)
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]


def find_protocol(name: str, folder: Path | None = None) -> Protocol:
    """Return the protocol of a name or key, in either case.

    Raises:
        AmrqError: there is none; near names are in the sentence.

    >>> find_protocol("pocsag 1200").name, find_protocol("pocsag-1200").name
    ('POCSAG 1200', 'POCSAG 1200')
    """
    protocols, wanted = list_protocols(folder), name.casefold()
    for one in protocols:
        if wanted in (one.name.casefold(), one.key.casefold()):
            return one
    near = [one.key for one in protocols if wanted and wanted in f"{one.name} {one.key}".casefold()]
    advice = f"there are {', '.join(near[:8])}" if near else "'amrq protocols' lists them"
    raise AmrqError(f"no protocol is called {printable(name, 60)!r}: {advice}.")


# --- YAML -----------------------------------------------------------------------------------------------------------


def _parsed(text: str, shown: str) -> tuple[Any, dict[str, int]]:
    """Return the values of a YAML text, and the line of each by its place: `bands[0].low`."""
    yaml = optional_package("yaml", "reading protocols' files")
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None, {}
        lines: dict[str, int] = {}
        for place, line in _places(yaml, node, "", set(), shown):
            if place in lines:
                raise AmrqError(f"{shown}, line {line}: {place} is given twice.")
            lines[place] = line
        return loader.construct_document(node), lines
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = f", line {mark.line + 1}" if mark else ""
        raise AmrqError(f"{shown}{at}: no YAML: {printable(error.problem or error, 200)}.") from None
    finally:
        loader.dispose()


def _places(yaml: Any, node: Any, place: str, seen: set[int], shown: str) -> Iterator[tuple[str, int]]:
    line = node.start_mark.line + 1
    if id(node) in seen:
        raise AmrqError(f"{shown}, line {line}: references (& and *) are not allowed in a protocol's file.")
    seen.add(id(node))
    yield place, line
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                at = key.start_mark.line + 1
                raise AmrqError(f"{shown}, line {at}: a name must be a word.")
            inner = f"{place}.{key.value}".removeprefix(".")
            yield from _places(yaml, value, inner, seen, shown)
    elif isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            yield from _places(yaml, value, f"{place}[{number}]", seen, shown)


def _check_names(places: Iterable[str]) -> None:
    """Refuse an unknown name before a missing one is asked for: the one may be a slip of the other."""
    for place in places:
        outer, _, name = place.rpartition(".")
        band, one_range = _BAND.fullmatch(outer), _RANGE.fullmatch(outer)
        kind = Band if band else ParameterRange if one_range else None if outer else Protocol
        known = [field.name for field in fields(kind) if field.name != "key"] if kind else [name]
        if place and not name.endswith("]") and name not in known:
            raise AmrqError(f"{place} is no field of a protocol's file: there are {', '.join(known)}.")


def _at_line(sentence: str, lines: dict[str, int]) -> str:
    """Return `, line 7` for the place that a sentence begins with; nothing where it begins with none."""
    place = sentence.split(" ", 1)[0]
    while place:
        # A range that stands by itself is made a list of one.
        for name in (place, place.replace("[0]", "", 1) if place.startswith("parameters.") else place):
            if name in lines:
                return f", line {lines[name]}"
        place = re.sub(r"(^|\.?)[^.\[]+$|\[\d+\]$", "", place)
    return ""


def _as_record(values: dict[Any, Any]) -> dict[str, Any]:
    """Return the values with numbers for `12.5k`, and with a list where a range stands by itself."""
    made: dict[str, Any] = {str(name): _numbers(value) for name, value in values.items()}
    parameters = made.get("parameters")
    if isinstance(parameters, dict):
        made["parameters"] = {
            str(name): [value] if isinstance(value, dict) else value for name, value in parameters.items()
        }
    return made


def _numbers(value: Any, name: str = "") -> Any:
    if isinstance(value, dict):
        return {str(key): _numbers(inner, str(key)) for key, inner in value.items()}
    if isinstance(value, list):
        return [_numbers(inner) for inner in value]
    if isinstance(value, str) and name in _NUMBERS:
        found = re.fullmatch(r"([\d.]+(?:[eE][+-]?\d+)?)\s*([kMG]?)", value)
        try:
            # Rounded as it was written: 161.975M is 161,975,000 and nothing beside.
            return float(f"{float(found[1]) * prefix_factor(found[2]):.12g}") if found else value
        except ValueError:
            return value
    return value
