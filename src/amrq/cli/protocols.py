# SPDX-License-Identifier: GPL-3.0-or-later
"""`amrq protocols` and `amrq protocols show`."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from amrq.cli.app import CommandApp, one_of, quantity, say
from amrq.errors import AmrqError
from amrq.protocols import FAMILIES, PARAMETERS, ParameterRange, Protocol, find_protocol, list_protocols
from amrq.text import counted, engineering

__all__ = ["protocols_app"]

protocols_app = CommandApp()

_FOLDER_HELP = (
    "A folder with more protocols, one YAML file each. A file that is called as a shipped one replaces it."
)
_BANDS = 2
"""That the table shows of a protocol; `show` shows all."""

_Folder = Annotated[Path | None, typer.Option("--protocols", metavar="DIR", help=_FOLDER_HELP)]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON: frequencies in Hz, times in seconds.")]


def _names(incomplete: str) -> list[str]:
    """Return the keys of shipped protocols that begin so."""
    return [one.key for one in list_protocols() if one.key.startswith(incomplete.casefold())]


@protocols_app.callback(invoke_without_command=True)
def protocols(
    context: typer.Context,
    family: Annotated[
        str | None,
        typer.Option(
            metavar="FAMILY",
            help="List only protocols of this family, such as fsk2, ook or ofdm.",
            autocompletion=one_of(FAMILIES),
        ),
    ] = None,
    frequency: Annotated[
        float | None,
        typer.Option(
            "--freq",
            metavar="FREQUENCY",
            parser=quantity,
            help="List only protocols that are on the air at this frequency.",
        ),
    ] = None,
    folder: _Folder = None,
    as_json: _Json = False,
) -> None:
    """List the protocols that are known: family, parameters, bands.

    Each is a small YAML file. From these, the likely protocol of an emission is told by its family, its measured
    parameters and its frequency.

    Example: **amrq protocols --freq 433.92M**
    """
    if context.invoked_subcommand is not None:
        return
    if family is not None and family not in FAMILIES:
        raise AmrqError(f"--family must be one of {', '.join(FAMILIES)}, not {family!r}.")
    listed = [
        one
        for one in list_protocols(folder)
        if (family is None or family in one.families) and (frequency is None or one.at(frequency))
    ]
    if as_json:
        typer.echo(json.dumps([one.as_dict() for one in listed], indent=2))
    elif listed:
        Console().print(_table(listed, family, frequency))
    else:
        say(f"no protocol is known{_asked(family, frequency)}.")


def _asked(family: str | None, frequency: float | None) -> str:
    kind = "" if family is None else f" of the family {family}"
    return kind + ("" if frequency is None else f" at {engineering(frequency, 'Hz')}")


def _table(listed: Sequence[Protocol], family: str | None, frequency: float | None) -> Table:
    title = counted(len(listed), "protocol") + _asked(family, frequency)
    table = Table(title=title, box=box.SIMPLE_HEAD, padding=(0, 2, 0, 0), show_edge=False)
    for column in ("name", "family", "parameters", "bands" if frequency is None else "band"):
        table.add_column(column)
    for one in listed:
        at = None if frequency is None else one.at(frequency)
        bands = one.bands_shown(_BANDS) if at is None else at.shown()
        families = " ".join(one.families)
        table.add_row(escape(one.name), families, escape(one.parameters_shown()), escape(bands))
    return table


@protocols_app.command()
def show(
    name: Annotated[
        str,
        typer.Argument(
            help="A protocol's name or the name of its file, in either case.", autocompletion=_names
        ),
    ],
    folder: _Folder = None,
    as_json: _Json = False,
) -> None:
    """Show all that is known of one protocol, and where that is from.

    Example: **amrq protocols show ais**
    """
    one = find_protocol(name, folder)
    if as_json:
        typer.echo(json.dumps(one.as_dict(), indent=2))
        return
    table = Table(title=escape(f"{one.name} ({one.key})"), show_header=False)
    table.add_row("what", escape(one.what))
    table.add_row("inside", escape(one.inside))
    table.add_row("family", ", ".join(one.families))
    table.add_row("labels", escape(", ".join(one.labels)))
    for parameter, ranges in one.parameters.items():
        known = PARAMETERS[parameter]
        values = [
            f"{r.shown(known)} ({ParameterRange(r.low, r.high).shown(known)})"
            if r.nominal
            else r.shown(known)
            for r in ranges
        ]
        table.add_row(known.words, escape("\n".join(values)))
    table.add_row("on the air", "without a gap" if one.continuous else "in bursts, or not known")
    table.add_row("bands", escape("\n".join(band.shown() for band in one.bands) or "anywhere"))
    table.add_row("sources", escape("\n".join(one.sources)))
    Console().print(table)
