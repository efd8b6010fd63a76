# SPDX-License-Identifier: GPL-3.0-or-later
"""`amrq devices`."""

import json
from collections.abc import Iterable
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from amrq.cli.app import say
from amrq.outputs import own_stdout
from amrq.sources import RadioDevice, find_devices
from amrq.text import engineering

__all__ = ["devices"]


def devices(
    wanted: Annotated[
        str,
        typer.Argument(
            metavar="[DEVICE]",
            help="List only radios that match these SoapySDR arguments, driver=rtlsdr for instance.",
        ),
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print them as one JSON list.")] = False,
) -> None:
    """List the radios that SoapySDR finds, with the values that **amrq live** can set.

    Each radio is opened for a moment. One that another program has open is listed with the reason. Without any radio,
    one sentence says so and the exit status is 0; with --json the list is empty.

    Example: **amrq devices**
    """
    with own_stdout() as out:  # drivers talk
        found = find_devices(wanted)
        if as_json:
            print(json.dumps([device.as_dict() for device in found], indent=2), file=out)
            return
        if not found:
            fit = f" for {wanted!r}" if wanted else ""
            say(
                f"SoapySDR finds no radio{fit}: plug one in, and check that its driver is installed, "
                "soapysdr-module-rtlsdr on Debian for instance."
            )
        console = Console(file=out)
        for device in found:
            _show(console, device)


def _show(console: Console, device: RadioDevice) -> None:
    console.print(
        f"[bold]{escape(device.device)}[/]  {escape(device.label)}", highlight=False, soft_wrap=True
    )
    if device.error is not None:
        console.print(f"    cannot be opened: {escape(device.error)}", highlight=False, soft_wrap=True)
        return
    gain = []
    if device.gain_elements:
        parts = [f"{element.name} {_span(element.range_db, 'dB')}" for element in device.gain_elements]
        gain.append(f"{_span(device.gain_db or (0.0, 0.0), 'dB')}; by element {', '.join(parts)}")
    gain.append("automatic without --gain" if device.automatic_gain else "no automatic gain")
    rows = (
        ("--freq", _spans(device.frequency_hz, "Hz")),
        ("--rate", _spans(device.sample_rate, "S/s")),
        ("--gain", "; ".join(gain)),
        ("--antenna", ", ".join(device.antennas)),
        ("--bandwidth", _spans(device.bandwidth_hz, "Hz")),
        ("time", "its own clock" if device.tells_time else "the computer's, by arrival"),
    )
    for name, value in rows:
        if value:
            console.print(escape(f"    {name:<11s} {value}"), highlight=False, soft_wrap=True)


def _spans(ranges: Iterable[tuple[float, float]], unit: str) -> str:
    return ", ".join(_span(span, unit) for span in ranges)


def _span(span: tuple[float, float], unit: str) -> str:
    low, high = span
    if unit == "dB":
        return f"{low:g} dB" if low == high else f"{low:g} to {high:g} dB"
    return engineering(low, unit) if low == high else f"{engineering(low, unit)} to {engineering(high, unit)}"
