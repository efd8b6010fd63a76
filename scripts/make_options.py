#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring the Companion's block files, and docs/options.md, up to date with the records of options.

    scripts/make_options.py            # rewrite what is out of date
    scripts/make_options.py --check    # exit 1 and name the files where there is any

In a file `grc/*.block.yml` four things come from a record's fields:

* `parameters` and `asserts` between `# made from RECORD` and `# end of RECORD`;
* in `make`, the arguments of each call `amrq.RECORD(...)`: all fields that are parameters of the block;
* in `documentation`, the lines below `RECORD's title:` up to the next empty line.

The first marker may say more: `without FIELD, ...` leaves fields out, `with FIELD as PARAMETER` takes a field from a
parameter that is written by hand, `in CATEGORY` names a tab of the block's dialogue, and `where CONDITION` shows the
parameters only then. In no category, advanced options are under "Advanced".

In docs/options.md the table between `<!-- made from RECORD -->` and `<!-- end of RECORD -->` lists a record's fields.

In a parameter, the two lines below `# choices are FORMATS` (or another list in `LISTS`) come from that list.
"""

import argparse
import functools
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer
import yaml

from amrq.classifier import ENGINES, EngineBackend, engine_choices
from amrq.cli.main import app
from amrq.decision import DecisionOptions
from amrq.hardware.rtl import BoardOptions, DesignOptions
from amrq.link import BoardBackend
from amrq.live import CuttingOptions, RecordingOptions, RecordingOutputs, SessionOptions
from amrq.measure import FrontEndOptions, StreamInfo
from amrq.options import Option, options_of
from amrq.outputs import OutputOptions
from amrq.recordings import FORMATS, RAW_FORMATS
from amrq.scan import ScanOptions, SignalOptions
from amrq.signals import PulseOptions
from amrq.sources import SourceOptions
from amrq.training import RunControl, TuneSettings

__all__ = ["GRC", "LISTS", "OTHERS", "PAGE", "RECORDS", "page_up_to_date", "up_to_date"]

ROOT = Path(__file__).resolve().parents[1]
GRC = ROOT / "grc"
PAGE = ROOT / "docs" / "options.md"

RECORDS: dict[str, tuple[type, str]] = {
    "BoardBackend": (BoardBackend, "Board"),
    "DecisionOptions": (DecisionOptions, "Decision"),
    "FrontEndOptions": (FrontEndOptions, "Reception"),
    "EngineBackend": (EngineBackend, "This CPU"),
    "OutputOptions": (OutputOptions, "Outputs"),
    "PulseOptions": (PulseOptions, "Pulse"),
    "ScanOptions": (ScanOptions, "Scan"),
    "SignalOptions": (SignalOptions, "Looks"),
    "StreamInfo": (StreamInfo, "Stream"),
}
"""Records by name, and the titles under which a block's documentation has their options."""

OTHERS: dict[str, type] = {
    "BoardOptions": BoardOptions,
    "CuttingOptions": CuttingOptions,
    "DesignOptions": DesignOptions,
    "RecordingOptions": RecordingOptions,
    "RecordingOutputs": RecordingOutputs,
    "RunControl": RunControl,
    "SessionOptions": SessionOptions,
    "SourceOptions": SourceOptions,
    "TuneSettings": TuneSettings,
}
"""Records that no block takes, by name: docs/options.md has them too."""

LISTS: dict[str, Mapping[str, str]] = {
    "ENGINES": engine_choices()
    | {name: kind.computes for name, kind in ENGINES.items() if not kind.attached},
    "FORMATS": FORMATS,
    "RAW_FORMATS": {name: FORMATS[name] for name in RAW_FORMATS},
}
"""Lists of choices by name: what may be chosen, and what each choice is."""

_MARKED = re.compile(
    r"(?m)^# made from (?P<record>\w+)(?P<more>[^\n]*)\n(?P<made>(?s:.*?))^# end of (?P=record)\n"
)
_SAID = re.compile(
    r"(?: without (?P<out>[\w, ]+?))?(?: with (?P<field>\w+) as (?P<parameter>\w+))?"
    r"(?: in (?P<category>\w+))?(?: where (?P<where>.+))?"
)
_DTYPES = {
    "number": "real",
    "integer": "int",
    "flag": "bool",
    "text": "string",
    "path": "file_open",
    "any": "raw",
}


@dataclass(frozen=True)
class _Marker:
    """What a marker says besides its record."""

    without: frozenset[str] = frozenset()
    category: str = ""
    condition: str = ""
    by_hand: tuple[str, str] = ("", "")

    @classmethod
    def read(cls, more: str) -> "_Marker":
        found = _SAID.fullmatch(more)
        if found is None:
            raise SystemExit(f"make_options: a marker's 'made from RECORD{more}' is not understood.")
        by_hand = (found["field"] or "", found["parameter"] or "")
        names = frozenset(name.strip() for name in (found["out"] or "").split(",")) - {""}
        return cls(names | {by_hand[0]} - {""}, found["category"] or "", found["where"] or "", by_hand)


def up_to_date(
    text: str,
    records: Mapping[str, tuple[type, str]] = RECORDS,
    lists: Mapping[str, Mapping[str, str]] = LISTS,
) -> str:
    """Return the text of a block file as it should be.

    Args:
        text: of the file.
        records: record and title by the record's name in the file.
        lists: choices by the name of their list in the file.
    """
    head, parameters, rest = _split(text, "parameters:", "\ninputs:" if "\ninputs:" in text else "\noutputs:")
    before, asserts, after = _split(rest, "\nasserts:", "\ntemplates:")
    parameters = _MARKED.sub(lambda found: _section(found, records, _parameter), parameters)
    asserts = _MARKED.sub(lambda found: _section(found, records, _assert), asserts)
    for name, choices in lists.items():
        marker = f"    # choices are {name}\n"
        parameters = _put(
            rf"{marker}    options: .*\n    option_labels: .*\n", marker + _chosen(choices), parameters
        )
    known = set(re.findall(r"(?m)^-   id: (\w+)$", parameters))
    markers = {found["record"]: _Marker.read(found["more"]) for found in _MARKED.finditer(parameters)}
    for name, (record, title) in records.items():
        called = dict([markers.get(name, _Marker()).by_hand])
        options = [option for option in options_of(record) if called.get(option.name, option.name) in known]
        lines = "".join(f"    {_label(option)}: {option.sentence}\n" for option in options)
        after = _put(rf"(?<=amrq\.{name}\()\n?[^()]*(?=\))", _arguments(options, called), after)
        after = _put(rf"(?m)^    {title}:\n(?:    .*\n)+", f"    {title}:\n{lines}", after)
    return head + parameters + before + asserts + after


def _put(pattern: str, made: str, text: str) -> str:
    """Return a text with what a pattern finds replaced, whatever backslashes there are."""
    return re.sub(pattern, lambda _: made, text)


def _split(text: str, start: str, stop: str) -> tuple[str, str, str]:
    """Return a text in three parts: up to `start`, from there to `stop`, and the rest."""
    begin = text.index(start)
    end = text.index(stop, begin)
    return text[:begin], text[begin:end], text[end:]


def _section(found: re.Match[str], records: Mapping[str, tuple[type, str]], made: Any) -> str:
    name, marker = found["record"], _Marker.read(found["more"])
    options = [option for option in options_of(records[name][0]) if option.name not in marker.without]
    lines = "".join(made(option, marker) for option in options)
    return f"# made from {name}{found['more']}\n{lines}# end of {name}\n"


def _chosen(choices: Mapping[str, str]) -> str:
    """Return the lines of a menu; an entry names its choice, unless what the choice is does so already."""
    labels = [
        words if name == "auto" or name in words.lower() else f"{name}: {words}"
        for name, words in choices.items()
    ]
    return (
        f"    options: [{', '.join(map(_quoted, choices))}]\n"
        f"    option_labels: [{', '.join(map(_quoted, labels))}]\n"
    )


def _parameter(option: Option, marker: _Marker) -> str:
    choices = {_code(value): words for value, words in option.choices.items()}
    lines = [f"-   id: {option.name}", f"    label: {_scalar(option.title)}", f"    dtype: {_dtype(option)}"]
    lines.append(f"    default: {_quoted(_code(option.default))}")
    if choices:
        lines.append(f"    options: [{', '.join(map(_quoted, choices))}]")
        if all(choices.values()):
            lines.append(f"    option_labels: [{', '.join(map(_quoted, choices.values()))}]")
    category = marker.category or ("Advanced" if option.advanced else "")
    if category:
        lines.append(f"    category: {category}")
    if marker.condition:
        lines.append(f"    hide: ${{ 'part' if {marker.condition} else 'all' }}")
    elif category:
        lines.append(f"    hide: ${{ 'part' if {option.name} == {option.default!r} else 'none' }}")
    return "\n".join(lines) + "\n"


def _assert(option: Option, marker: _Marker) -> str:
    condition = "" if option.within is None or option.optional else option.within.condition(option.name)
    return f"- ${{ {condition} }}\n" if condition else ""


def _dtype(option: Option) -> str:
    if option.file:
        return "file_save" if "written" in option.file else "file_open"
    if option.choices and option.kind == "text":
        return "enum"
    return "raw" if option.optional else _DTYPES[option.kind]


def _arguments(options: list[Option], called: Mapping[str, str]) -> str:
    """Return the arguments of a record's call; `called` names parameters that are not called as their fields."""
    lines = []
    for option in options:
        parameter = called.get(option.name, option.name)
        value = f"'${{{parameter}}}'" if _dtype(option) == "enum" else f"${{{parameter}}}"
        lines.append(f"                {option.name}={value}")
    return "\n" + ",\n".join(lines)


def _label(option: Option) -> str:
    return option.title.removesuffix(f" ({option.unit})") if option.unit else option.title


def _code(value: Any) -> str:
    """Return a default as the Companion has it: text as it is, anything else as Python writes it."""
    return value if isinstance(value, str) else repr(value)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _scalar(text: str) -> str:
    """Return a text as YAML, in quotes only where they are needed."""
    return str(yaml.safe_dump(text, width=1000, allow_unicode=True)).splitlines()[0]


def page_up_to_date(text: str, records: Mapping[str, tuple[type, str]] = RECORDS) -> str:
    """Return the text of docs/options.md as it should be; the arguments are those of `up_to_date`."""
    for name, record in ({name: record for name, (record, _) in records.items()} | OTHERS).items():
        rows = "".join(map(_row, options_of(record)))
        table = f"| field | command | default | allowed | what it is |\n|---|---|---|---|---|\n{rows}"
        begin, end = f"<!-- made from {name} -->\n", f"<!-- end of {name} -->\n"
        text = _put(rf"(?s){re.escape(begin)}.*?{re.escape(end)}", f"{begin}\n{table}\n{end}", text)
    return text


@functools.cache
def _offered() -> frozenset[str]:
    """Return the options of all commands."""
    command: Any = typer.main.get_command(app)
    commands, options = [command], set()
    while commands:
        one = commands.pop()
        commands += getattr(one, "commands", {}).values()
        options |= {flag for parameter in one.params for flag in parameter.opts}
    return frozenset(options)


def _row(option: Option) -> str:
    default = "" if option.default in (None, "") else f"`{option.default}`"
    said = str(option.help).replace("|", "\\|")
    command = f"`{option.flags[0]}`" if option.flags[0] in _offered() else ""
    return f"| `{option.name}` | {command} | {default} | {_allowed(option)} | {said} |\n"


def _allowed(option: Option) -> str:
    if option.kind == "flag":
        return "yes or no"
    more = option.unit if option.kind in ("number", "integer") else ""
    return option.allowed or more


def main() -> None:
    """Bring the files up to date, or check that they are."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--check", action="store_true", help="change nothing; exit 1 where something is out of date"
    )
    check = parser.parse_args().check
    stale = []
    for path in [*sorted(GRC.glob("*.block.yml")), PAGE]:
        text = path.read_text(encoding="utf-8")
        if (made := page_up_to_date(text) if path == PAGE else up_to_date(text)) != text:
            stale.append(path.name)
            if not check:
                path.write_text(made, encoding="utf-8")
    for name in stale:
        print(f"{name} {'is out of date: run scripts/make_options.py' if check else 'is rewritten'}")
    sys.exit(bool(stale and check))


if __name__ == "__main__":
    main()
