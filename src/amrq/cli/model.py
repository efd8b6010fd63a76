# SPDX-License-Identifier: GPL-3.0-or-later
"""`amrq model show` and `amrq model annotate`."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from amrq.cli.command_app import CommandApp
from amrq.cli.completion import model_names
from amrq.hardware import weights_of
from amrq.model import Contract, find_model, read_contract, write_contract
from amrq.parsing import parsing
from amrq.plain_text import printable

__all__ = ["model_app"]

model_app = CommandApp(no_args_is_help=True, help="Look at a model's contract, or give a model one.")


@model_app.command()
def show(
    model: Annotated[
        str,
        typer.Argument(
            help="An ONNX file, a shipped model's name, or 'default'.", autocompletion=model_names
        ),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print the contract as JSON.")] = False,
) -> None:
    """Show what a model promises: classes, input, training range, accuracy, recipe.

    Example: **amrq model show default**
    """
    path = find_model(model)
    contract = read_contract(path)
    if as_json:
        typer.echo(json.dumps(json.loads(contract.to_json()), indent=2))
        return
    console = Console()
    title = escape(f"{contract.name} ({printable(path.name)}, {path.stat().st_size:,} bytes)")
    table = Table(title=title, show_header=False)
    low, high = contract.es_n0_db
    table.add_row("classes", escape(", ".join(contract.classes)))
    table.add_row("chunk", f"{contract.chunk_length} samples, {contract.samples_per_symbol} a symbol")
    table.add_row("normalisation", contract.normalisation)
    table.add_row("phase", contract.phase)
    table.add_row("trained on", f"{low:g} to {high:g} dB Es/N0")
    table.add_row(
        "precision", f"{contract.weight_bits}-bit weights, {contract.activation_bits}-bit activations"
    )
    weights = weights_of(path)
    counted = (
        "not counted" if weights is None else f"{weights[0]:,}, and {weights[1]:,} biases, that are not 0"
    )
    table.add_row("weights", counted)
    table.add_row("pruned", f"{contract.pruned:.0%} of the weights")
    table.add_row("temperature", f"{contract.temperature:g}")
    for key, value in contract.recipe.items():
        text = json.dumps(value) if isinstance(value, dict | list) else str(value)
        table.add_row(escape(f"recipe: {printable(key)}"), escape(printable(text, 2000)))
    console.print(table)
    if contract.accuracy:
        accuracy = Table(
            title=f"Accuracy on one chunk, phase {contract.phase}, phase noise {contract.phase_noise:g} rad"
        )
        for column in ("Es/N0 dB", "accuracy", "95 % interval", "chunks"):
            accuracy.add_column(column, justify="right")
        for row in contract.accuracy:
            interval = f"{row.low:.4f} to {row.high:.4f}"
            accuracy.add_row(f"{row.es_n0_db:g}", f"{row.accuracy:.4f}", interval, f"{row.chunks:,}")
        console.print(accuracy)


@model_app.command()
def annotate(
    model: Annotated[Path, typer.Argument(help="The ONNX file; it is changed in place.")],
    contract: Annotated[
        Path, typer.Option(help="A JSON file with the contract, as 'amrq model show --json' prints one.")
    ],
) -> None:
    """Write a contract into an ONNX file, so that the blocks can use it. The graph is left as it is.

    Example: **amrq model annotate mine.onnx --contract mine.json**
    """
    with parsing(contract, "give a text file in UTF-8"):
        text = contract.read_text(encoding="utf-8")
    write_contract(model, Contract.from_json(text))
    typer.echo(f"{printable(model)}: contract written.")
