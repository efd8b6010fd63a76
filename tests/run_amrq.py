# SPDX-License-Identifier: GPL-3.0-or-later
"""The command as a user types it, and other programs in processes of their own: the one place that starts them."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import Any
from unittest import mock

import pytest
import typer.main

from amrq.cli.main import app, main

__all__ = [
    "ENVIRONMENT",
    "amrq",
    "amrq_here",
    "every_command",
    "python",
    "refused",
    "run",
    "start",
    "start_amrq",
]

ENVIRONMENT = {
    "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    "COLUMNS": "200",
    "NO_COLOR": "1",
}
"""What a process has besides the environment of this one: it finds the code under test and writes plain, wide lines."""


def run(
    command: Sequence[object], environment: dict[str, str] | None = None, **more: Any
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end, without anything on its standard input, and return what it wrote, as text.

    Args:
        command: the program and its arguments.
        environment: added to `ENVIRONMENT`.
        more: for `subprocess.run`.
    """
    settings = {"capture_output": "stdout" not in more, "text": True, "timeout": 120} | more
    if "input" not in more:
        settings.setdefault("stdin", subprocess.DEVNULL)
    return subprocess.run(
        [str(word) for word in command], env=os.environ | ENVIRONMENT | (environment or {}), **settings
    )


def python(*arguments: object, **more: Any) -> subprocess.CompletedProcess[str]:
    """Run Python: a script, or `-c` and code."""
    return run([sys.executable, *arguments], **more)


def amrq(*arguments: object, **more: Any) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return python("-m", "amrq", *arguments, **more)


def amrq_here(
    capfd: pytest.CaptureFixture[str], *arguments: object, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run the command in this process, where its packages are loaded: their loading is most of a short run."""
    words = ["amrq", *map(str, arguments)]
    capfd.readouterr()
    with (
        mock.patch.object(sys, "argv", words),
        _another_main_module(),
        mock.patch.dict(os.environ, ENVIRONMENT | environment),
        pytest.raises(SystemExit) as end,
    ):
        main()
    status = end.value.code
    assert isinstance(status, int)
    return subprocess.CompletedProcess(words, status, *capfd.readouterr())


@contextlib.contextmanager
def _another_main_module() -> Iterator[None]:
    """Put another module in the place of pytest's, by which the command would call itself `python -m pytest`.

    `mock.patch.dict` would take every module out again that was imported meanwhile, and a second import of ONNX's or
    NumPy's extensions ends the process.
    """
    before = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = before


def start(
    command: Sequence[object], environment: dict[str, str] | None = None, **more: Any
) -> subprocess.Popen[str]:
    """Start a program, as `run` does, and return at once: whoever calls this ends it."""
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(
        [str(word) for word in command],
        env=os.environ | ENVIRONMENT | (environment or {}),
        **(pipes | {"text": True} | more),
    )


def start_amrq(*arguments: object, **more: Any) -> subprocess.Popen[str]:
    """Start the command, and return at once: whoever calls this ends it."""
    return start([sys.executable, "-m", "amrq", *arguments], **more)


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
