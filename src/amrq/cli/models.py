# SPDX-License-Identifier: GPL-3.0-or-later
"""`amrq models`."""

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from amrq.errors import AmrqError
from amrq.model import list_models, read_contract

__all__ = ["models"]


def models() -> None:
    """List the models at hand: those shipped, and those in the folder $AMRQ_MODELS.

    Example: **amrq models**
    """
    table = Table(title="Models")
    for column in (
        "name",
        "classes",
        "chunk",
        "phase",
        "Es/N0 dB",
        "bits",
        "weights",
        "accuracy at 10 / 20 dB",
    ):
        table.add_column(column)
    for path in list_models():
        try:
            contract = read_contract(path)
        except AmrqError as error:
            table.add_row(escape(path.stem), f"[red]{escape(str(error))}")
            continue
        rows = {row.es_n0_db: row.accuracy for row in contract.accuracy}
        accuracy = " / ".join(f"{rows[x]:.3f}" if x in rows else "-" for x in (10.0, 20.0))
        low, high = contract.es_n0_db
        table.add_row(
            escape(path.stem),
            str(len(contract.classes)),
            str(contract.chunk_length),
            contract.phase,
            f"{low:g} to {high:g}",
            f"{contract.weight_bits}/{contract.activation_bits}",
            f"{contract.weights:,}",
            accuracy,
        )
    Console().print(table)
