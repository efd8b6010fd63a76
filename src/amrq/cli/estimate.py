# SPDX-License-Identifier: GPL-3.0-or-later
"""`amrq estimate`: FPGA resources by Algorithm II."""

import json
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from amrq.cli.app import model_names
from amrq.hardware import count_weights, read_layer_sizes
from amrq.hardware import estimate as resources
from amrq.model import find_model
from amrq.text import printable

__all__ = ["estimate"]

_COLUMNS = ("DSP", "FF", "LUT", "BRAM")


def estimate(
    model: Annotated[
        str,
        typer.Argument(
            help="An ONNX file, with or without a contract, or a shipped model's name.",
            autocompletion=model_names,
        ),
    ],
    bits: Annotated[
        int | None,
        typer.Option(
            "--bits",
            min=1,
            max=32,
            help="Bits of a weight, instead of the model's own.",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Estimate FPGA resources as the thesis does (Algorithm II), from the weights and biases that are not zero.

    Parameters are counted as if each had hardware of its own, to compare with the thesis's tables. This is not a
    synthesis: a design that reuses its multipliers needs far less. Nothing has run on an FPGA.

    Example: **amrq estimate coherent-small-int4**
    """
    layers = read_layer_sizes(find_model(model), bits)
    total = resources(layers)
    if as_json:
        parts = [{**asdict(layer), **asdict(resources([layer]))} for layer in layers]
        typer.echo(json.dumps({"model": model, **asdict(total), "layers": parts}))
        return
    table = Table(title=escape(f"{printable(model)}: Algorithm II"))
    for heading in ("layer", "kind", "weights", "biases", "bits", *_COLUMNS):
        table.add_column(heading, justify="left" if heading in ("layer", "kind") else "right")
    for layer in layers:
        found = resources([layer])
        table.add_row(
            *(layer.name, layer.kind, str(layer.weights), str(layer.biases), str(layer.bits)),
            *(str(value) for value in asdict(found).values()),
        )
    table.add_section()
    counts = count_weights(layers)
    table.add_row(
        "all", "", *(str(count) for count in counts), "", *(str(value) for value in asdict(total).values())
    )
    console = Console()
    console.print(table)
    console.print("A scaled count of parameters, to compare with the thesis's tables; not a synthesis.")
