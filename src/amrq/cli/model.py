# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands `amrq models` and `amrq model`."""

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from amrq.cli.app import CommandApp, model_names
from amrq.errors import AmrqError, ModelError
from amrq.files import parsing
from amrq.hardware import weights_of
from amrq.model import Contract, find_model, list_models, read_contract, write_contract
from amrq.text import printable

__all__ = ["file_size", "model_app", "models"]

_LEVELS = (10.0, 20.0)
"""Es/N0 in dB at which the accuracy is shown."""


def models() -> None:
    """List the available models: those shipped, and those in the folder $AMRQ_MODELS.

    Weights are counted without zeros and biases, as **amrq estimate** counts them. Accuracy is that on one chunk at 10
    and at 20 dB Es/N0; for models that take samples of a signal, in-band SNR.

    Example: **amrq models**
    """
    # Within 80 columns with the names of the shipped models; a longer name goes on in the next line.
    title = f"Models, and their accuracy at {' and '.join(f'{level:g}' for level in _LEVELS)} dB"
    table = Table(title=title, box=box.SIMPLE_HEAD, padding=0, show_edge=False)
    table.add_column("name", overflow="fold")
    for column in ("classes", "chunk", "phase", "Es/N0\ndB", "bits", "weights"):
        table.add_column(column, no_wrap=True, justify="right" if column == "weights" else "left")
    for level in _LEVELS:
        table.add_column(f"{level:g} dB", no_wrap=True)
    unreadable = []
    for path in list_models():
        try:
            contract = read_contract(path)
        except AmrqError as error:
            unreadable.append(str(error) if path.name in str(error) else f"{path.name}: {error}")
            continue
        table.add_row(*_row(path, contract))
    console = Console()
    console.print(table)
    if find_spec("onnx") is None:
        console.print("Weights are not counted: that needs the Python package onnx.")
    for line in unreadable:
        console.print(f"[red]{escape(printable(line))}", soft_wrap=True, highlight=False)


def _input(contract: Contract) -> str:
    if contract.input == "symbols":
        return "symbols"
    return f"samples, {contract.samples_per_bandwidth:g} in the reciprocal of the occupied bandwidth"


def _noise_axis(contract: Contract) -> str:
    """Return what the numbers in dB of a contract are."""
    return "Es/N0" if contract.input == "symbols" else "in-band SNR"


def _chunk(contract: Contract) -> str:
    if contract.input == "samples":
        return f"{contract.chunk_length} samples"
    return f"{contract.chunk_length} samples, {contract.samples_per_symbol} a symbol"


def _row(path: Path, contract: Contract) -> list[str]:
    rows = {row.es_n0_db: row.accuracy for row in contract.accuracy}
    low, high = contract.es_n0_db
    weights = weights_of(path)
    return [
        escape(printable(path.stem)),
        str(len(contract.classes)),
        str(contract.chunk_length),
        contract.phase,
        f"{low:g} to {high:g}",
        f"{contract.weight_bits}/{contract.activation_bits}",
        f"{weights[0]:,}" if weights else "-",
        *(f"{rows[level]:.3f}" if level in rows else "-" for level in _LEVELS),
    ]


def file_size(path: Path) -> str:
    """Return a model's size in words: kilobytes, and weights as the table counts them."""
    weights = weights_of(path)
    return f"{path.stat().st_size / 1000:.0f} kB" + (f", {weights[0]:,} weights" if weights else "")


model_app = CommandApp(no_args_is_help=True, help="Show a model's contract, or write one into a model.")


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
    """Show a model's contract: classes, input, training range, accuracy, recipe.

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
    known = ", ".join(contract.linear_classes) or "none"
    table.add_row("class set", escape(f"{contract.class_set.name}; known by their constellation: {known}"))
    table.add_row("input", _input(contract))
    table.add_row("chunk", _chunk(contract))
    table.add_row("normalisation", contract.normalisation)
    table.add_row("phase", contract.phase)
    table.add_row("trained on", f"{low:g} to {high:g} dB {_noise_axis(contract)}")
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
        for column in (f"{_noise_axis(contract)} dB", "accuracy", "95 % interval", "chunks"):
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
    with parsing(contract, "give a text file in UTF-8", ModelError):
        text = contract.read_text(encoding="utf-8")
    write_contract(model, Contract.from_json(text))
    typer.echo(f"{printable(model)}: contract written.")
