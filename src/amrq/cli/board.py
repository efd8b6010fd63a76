# SPDX-License-Identifier: GPL-3.0-or-later
"""`amrq board`, `amrq board keygen` and `amrq board export`."""

import contextlib
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from amrq.classifier import ENGINES, engine_choices, engine_help, engines_here, make_engine
from amrq.cli.app import CommandApp, Fields, expanded, model_names, one_of
from amrq.errors import AmrqError
from amrq.hardware import write_image
from amrq.link import LOOPBACK, Limits, make_keys, serve
from amrq.model import find_model
from amrq.options import at_least, between, described, option
from amrq.text import printable

__all__ = ["board_app"]

board_app = CommandApp()


@described
@dataclass(frozen=True)
class _EngineOptions:
    """What computes."""

    engine: str = option("integer", engine_help(attached=True), flag="--engine NAME")
    input_bits: int | None = option(
        None,
        "Bits of I and of Q, for --engine rtl. From 9 bits on, scores equal the ONNX model's, with the aligner "
        "from 16 on. Without it, 9, or 16 with the aligner.",
        within=between(8, 16),
    )
    simulator: str | None = option(
        None,
        "verilator or iverilog, for --engine rtl. Without it, the first of them that is installed.",
    )
    port: str | None = option(
        None,
        "Serial port of the FPGA board, for --engine serial. Without it, /dev/ttyUSB0.",
        flag="--port DEVICE",
    )
    baud: int | None = option(
        None,
        "Speed of that port, as the board's design was made for, for --engine serial. Without it, 3,000,000.",
        unit="bits/s",
        within=at_least(1),
        flag="--baud BITS",
    )


@described
@dataclass(frozen=True)
class _LimitOptions:
    """Bounds of what clients may ask for."""

    largest_batch: int = option(Limits.largest_batch, "Most chunks in a message.", within=between(1, 1 << 20))
    clients: int = option(Limits.clients, "Most clients at a time.", within=at_least(1))
    rate: int = option(
        Limits.requests_per_second, "Most requests of one client per second. 0: no limit.", within=at_least(0)
    )


@board_app.callback(invoke_without_command=True)
@expanded
def board(
    context: typer.Context,
    computing: Annotated[
        _EngineOptions,
        Fields(
            "Engine",
            completions={
                "engine": one_of(engine_choices(attached=True)),
                "simulator": one_of(("verilator", "iverilog")),
            },
        ),
    ],
    bounds: Annotated[_LimitOptions, Fields("Clients")],
    model: Annotated[
        str,
        typer.Option(
            help="An ONNX file, a shipped model's name, 'default', or an image that 'amrq board export' wrote.",
            autocompletion=model_names,
        ),
    ] = "default",
    listen: Annotated[
        str,
        typer.Option(
            metavar="ENDPOINT", help="Address to listen at. tcp://0.0.0.0:5555 lets other machines connect."
        ),
    ] = LOOPBACK,
    key: Annotated[
        Path | None,
        typer.Option(
            metavar="NAME.secret",
            help="This board's key; clients must know NAME.public.",
            rich_help_panel="Clients",
        ),
    ] = None,
    client: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="NAME.public",
            help="Key of a client that may connect. May be repeated.",
            rich_help_panel="Clients",
        ),
    ] = None,
) -> None:
    """Serve a model as a board does: receive chunks over ZMQ, and send scores back.

    Ctrl-C or SIGTERM ends it. This is a program on a computer. No FPGA board has run any of it yet. **--engine rtl**
    simulates the hardware of a model, in Verilog. **--engine serial** passes chunks on to an FPGA board at a serial
    port, for which **amrq rtl MODEL --board ulx3s** writes the design.

    Example: **amrq board --model default --engine integer**, and in another terminal **amrq live --simulate --board
    tcp://127.0.0.1:5555**

    Example: **amrq board --model blind-small-int4 --engine serial --port /dev/ttyUSB0**
    """
    if context.invoked_subcommand is not None:
        return
    engine = computing.engine
    given = {
        "input_bits": computing.input_bits,
        "simulator": computing.simulator,
        "port": computing.port,
        "baud": computing.baud,
    }
    options: dict[str, object] = {name: value for name, value in given.items() if value is not None}
    if engine in engines_here():
        options |= engines_here()[engine].taken(say=lambda line: typer.echo(f"amrq board: {line}"))
    elif engine in ENGINES:
        raise AmrqError(
            f"a board cannot pass on to another board ({engine}): choose from {', '.join(engines_here())}."
        )
    # Building takes a while, and what it started is to end with it.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        made = make_engine(engine, model, **options)
    finally:
        signal.signal(signal.SIGTERM, before)
    with contextlib.closing(made):
        serve(
            made,
            listen,
            Limits(
                largest_batch=bounds.largest_batch,
                clients=bounds.clients,
                requests_per_second=bounds.rate,
            ),
            None if key is None else str(key),
            [str(file) for file in client or ()],
            typer.echo,
        )


@board_app.command()
def keygen(
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="NAME", help="NAME.public and NAME.secret are written.")
    ],
) -> None:
    """Make a pair of CURVE keys: one for the board, one for each client.

    Example: **amrq board keygen -o board**
    """
    public, secret = make_keys(output)
    typer.echo(
        f"{printable(public)}: for the other side. {printable(secret)}: stays here; nobody else can read it."
    )


@board_app.command()
def export(
    model: Annotated[
        str,
        typer.Argument(
            help="An ONNX file, a shipped model's name, or 'default'.", autocompletion=model_names
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE.npz", help="The image to write.")],
) -> None:
    """Write a quantised model as an image that a board without ONNX can serve.

    Example: **amrq board export default -o image.npz**, and on the board **python3 -m amrq.link image.npz --listen
    tcp://0.0.0.0:5555**
    """
    write_image(model, output)
    typer.echo(f"{printable(output)}: {printable(find_model(model).stem)}, {output.stat().st_size:,} bytes.")
