# SPDX-License-Identifier: GPL-3.0-or-later
"""`amrq models`."""

from pathlib import Path

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from amrq.errors import AmrqError
from amrq.hardware import weights_of
from amrq.model import Contract, list_models, read_contract
from amrq.plain_text import printable

__all__ = ["file_size", "models"]

_LEVELS = (10.0, 20.0)
"""Es/N0 in dB at which the accuracy is shown."""


def models() -> None:
    """List the models at hand: those shipped, and those in the folder $AMRQ_MODELS.

    Weights are those that are not zero, without biases, as **amrq estimate** counts them; accuracy is that on one chunk
    at 10 and at 20 dB Es/N0.

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
    for line in unreadable:
        console.print(f"[red]{escape(printable(line))}", soft_wrap=True, highlight=False)


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
