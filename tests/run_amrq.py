# SPDX-License-Identifier: GPL-3.0-or-later
"""The command as a user types it, in a process of its own."""

import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import typer.main

from amrq.cli.main import app

__all__ = ["ENVIRONMENT", "amrq", "every_command", "refused"]

ENVIRONMENT = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "COLUMNS": "200", "NO_COLOR": "1"}


def amrq(
    *arguments: object, stdin: Any = subprocess.DEVNULL, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "amrq", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        stdin=stdin,
        env=ENVIRONMENT | environment,
    )


def refused(result: subprocess.CompletedProcess[str], words: str) -> None:
    """One clear sentence on standard error, nothing that looks like a crash, exit status 2."""
    assert result.returncode == 2, result.stdout + result.stderr
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("amrq: ")]
    assert words in line
    assert "Traceback" not in result.stdout + result.stderr


def every_command() -> list[tuple[str, ...]]:
    """Return the words of every command, the program itself first."""
    return list(_walk(typer.main.get_command(app)))


def _walk(command: Any, *words: str) -> Iterator[tuple[str, ...]]:
    yield words
    for name, below in getattr(command, "commands", {}).items():
        yield from _walk(below, *words, name)
