# SPDX-License-Identifier: GPL-3.0-or-later
"""The command's entry: errors become one sentence and an exit status."""

import sys

import typer

import amrq
from amrq.cli.board import board_app
from amrq.cli.bound import bound
from amrq.cli.classify import classify
from amrq.cli.command_app import CommandApp
from amrq.cli.estimate import estimate
from amrq.cli.evaluate import evaluate
from amrq.cli.label import label
from amrq.cli.live import live
from amrq.cli.model import model_app
from amrq.cli.models import models
from amrq.cli.rtl import rtl
from amrq.cli.sweep import sweep
from amrq.cli.sweep_report import sweep_report
from amrq.cli.train import train
from amrq.errors import AmrqError
from amrq.plain_text import printable

__all__ = ["app", "main"]

app = CommandApp(
    name="amrq",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help="Recognise the modulation of a radio signal.",
    epilog="Example: **amrq classify recording.sigmf-meta --symbol-rate 9600**",
)
app.command()(classify)
app.command()(live)
app.command()(models)
app.add_typer(model_app, name="model")
app.add_typer(board_app, name="board")
app.command()(label)
app.command()(train)
app.command()(evaluate)
app.command()(estimate)
app.command()(rtl)
app.command()(sweep)
app.command()(sweep_report)
app.command()(bound)


def _version(show: bool) -> None:
    if show:
        typer.echo(f"amrq {amrq.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Show the version and exit."
    ),
) -> None:
    pass


def main() -> None:
    """Run the command; exit 2, or an error's own status, for what the user can mend, 130 when interrupted."""
    try:
        app()
    except AmrqError as error:
        sys.stdout.flush()
        typer.echo(f"amrq: {printable(error, 2000)}", err=True)
        sys.exit(error.exit_status)
    except KeyboardInterrupt:
        sys.exit(130)
