# SPDX-License-Identifier: GPL-3.0-or-later
"""The command's entry: errors become one sentence and an exit status."""

import os
import sys

import typer

import amrq
from amrq.cli.app import CommandApp, say
from amrq.errors import AmrqError, OutputClosedError, OutputError
from amrq.live import ended_in_time, something_left_behind
from amrq.outputs import require_stdout, standard_streams
from amrq.text import printable

__all__ = ["app", "main"]

_PLACES = {
    "classify": "amrq.cli.classify:classify",
    "live": "amrq.cli.live:live",
    "scan": "amrq.cli.scan:scan",
    "gui": "amrq.cli.gui:gui",
    "history": "amrq.cli.scan:history",
    "devices": "amrq.cli.devices:devices",
    "protocols": "amrq.cli.protocols:protocols_app",
    "models": "amrq.cli.model:models",
    "label": "amrq.cli.label:label",
    "train": "amrq.cli.train:train",
    "evaluate": "amrq.cli.evaluate:evaluate",
    "evaluate-report": "amrq.cli.evaluate:evaluate_report",
    "estimate": "amrq.cli.hardware:estimate",
    "rtl": "amrq.cli.hardware:rtl",
    "compile": "amrq.cli.hardware:compile_model",
    "sweep": "amrq.cli.sweep:sweep",
    "sweep-report": "amrq.cli.sweep:sweep_report",
    "bound": "amrq.cli.bound:bound",
    "model": "amrq.cli.model:model_app",
    "board": "amrq.cli.board:board_app",
}
"""Every command in the order of the help, and where it is."""

app = CommandApp(
    places=_PLACES,
    name="amrq",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help="Recognise the modulation of a radio signal.",
    epilog="Example: **amrq classify recording.sigmf-meta --symbol-rate 9600**",
)


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
    status = 1  # of an error of the program's own, which Python shows
    try:
        with ended_in_time():
            status = _run()
    finally:
        if something_left_behind():
            os._exit(status)
    sys.exit(status)


def _run() -> int:
    """Run the command to its end; return the exit status."""
    said: AmrqError | None = None
    try:
        with standard_streams():
            try:
                require_stdout()
                app()
            except SystemExit as end:  # how typer ends
                status = end.code if isinstance(end.code, int) else int(bool(end.code))
            except KeyboardInterrupt:
                status = 130
            except AmrqError as error:
                said, status = error, _say(error)
            except (
                OSError
            ) as error:  # of a path that no room looked at before: too long, behind a closed folder
                if error.filename is None or error.strerror is None:
                    raise
                reason = f"{printable(error.filename)} cannot be used: {error.strerror}."
                status = _say(AmrqError(reason))
            else:
                status = 0
    except OutputError as error:  # what was printed last has no place
        status = error.exit_status if said is error else _say(error)
    return status


def _say(error: AmrqError) -> int:
    """Print an error; return the exit status."""
    if not isinstance(error, OutputClosedError):
        say(error)
    return error.exit_status
