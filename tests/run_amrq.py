# SPDX-License-Identifier: GPL-3.0-or-later
"""The command as a user types it, and other programs in processes of their own: the one place that starts them."""

import atexit
import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import pytest
import typer.main
import walk_commands
import warm_python
from patience import PATIENCE

from amrq import cli as amrq_cli
from amrq.cli.main import app, main

__all__ = [
    "ENVIRONMENT",
    "amrq",
    "amrq_here",
    "every_command",
    "forked",
    "python",
    "refused",
    "run",
    "start",
    "start_amrq",
    "the_rest",
    "warm",
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
    settings = {"capture_output": "stdout" not in more, "text": True, "timeout": PATIENCE} | more
    if "input" not in more:
        settings.setdefault("stdin", subprocess.DEVNULL)
    return subprocess.run(
        [str(word) for word in command], env=os.environ | ENVIRONMENT | (environment or {}), **settings
    )


def python(*arguments: object, **more: Any) -> subprocess.CompletedProcess[str]:
    """Run Python: a script, or `-c` and code."""
    return run([sys.executable, *arguments], **more)


def amrq(*arguments: object, **more: Any) -> subprocess.CompletedProcess[str]:
    """Run the command to its end.

    Its process is forked from one that has loaded all packages but GNU Radio: loading is most of a short run. With
    settings other than `cwd` and `environment` a process is started, as by a user.
    """
    if set(more) - {"cwd", "environment"}:
        return python("-m", "amrq", *arguments, **more)
    words = ["amrq", *map(str, arguments)]
    case = {
        "arguments": words[1:],
        "folder": str(more.get("cwd") or Path.cwd()),
        "environment": os.environ | ENVIRONMENT | (more.get("environment") or {}),
        **{"own_environment": True, "whole": True},
    }
    (found,) = forked([case])
    assert not found["late"], (words, found)
    return subprocess.CompletedProcess(words, found["status"], found["out"], found["err"])


def forked(cases: Iterable[dict[str, Any]], *commands: str) -> Iterator[dict[str, Any]]:
    """Run cases of `walk_commands`, and yield each with what came of it.

    Args:
        cases: see `walk_commands`.
        commands: what only these import is loaded before.
    """
    loaded = _loaded(commands)
    assert loaded.stdin is not None and loaded.stdout is not None
    for case in cases:
        loaded.stdin.write(f"{json.dumps(case)}\n")
        loaded.stdin.flush()
        yield json.loads(loaded.stdout.readline())


@cache
def _loaded(commands: tuple[str, ...]) -> subprocess.Popen[str]:
    """Start the process that forks; it ends when its standard input is closed, at the end of this one at the latest."""
    words = [sys.executable, walk_commands.__file__, *commands]
    process = start(words, stdin=subprocess.PIPE, stderr=None)
    atexit.register(_end, process)
    return process


def _end(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.close()
    process.wait(PATIENCE)


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


_COMMANDS = tuple(f"amrq.cli.{path.stem}" for path in Path(amrq_cli.__path__[0]).glob("[a-z]*.py"))
"""All but `sweep` and `train` load what most programs here need; PyTorch is loaded by those that use it."""


def warm(*words: object, more: tuple[str, ...] = ()) -> list[object]:
    """Return the command for Python whose packages, GNU Radio apart, are loaded: see `warm_python`.

    Args:
        words: what Python is given: a script, `-m` and a module or `-c` and code, and arguments.
        more: modules that only some of the programs need.
    """
    return [sys.executable, "-I", "-S", warm_python.__file__, _warmed(more), *words]


@cache
def _warmed(more: tuple[str, ...]) -> str:
    """Start what forks, and return its socket; it ends as `_loaded` does."""
    folder = tempfile.TemporaryDirectory()
    atexit.register(folder.cleanup)
    path = os.path.join(folder.name, "socket")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen(64)
        number = listening.fileno()
        words = [
            sys.executable,
            warm_python.__file__,
            "serve",
            number,
            *walk_commands.AHEAD,
            *_COMMANDS,
            *more,
        ]
        settings = {"stdin": subprocess.PIPE, "stdout": subprocess.DEVNULL, "stderr": None}
        atexit.register(_end, start(words, pass_fds=[number], **settings))
    return path


_PATIENT = f"""
from amrq.cli import main
from amrq.live import interrupt

interrupt._JOINED = interrupt._IN_TIME = {PATIENCE}
main()
"""


def start_amrq(
    *arguments: object, patient: bool = False, cold: bool = False, **more: Any
) -> subprocess.Popen[str]:
    """Start the command, and return at once: whoever calls this ends it.

    Args:
        arguments: of the command.
        cold: its packages are not loaded yet, as where a user starts it.
        patient: after a signal it may take its time. By itself it ends within two seconds, whatever is still at work,
            which may be anything on a busy machine.
        more: for `start`.
    """
    words = (*(("-c", _PATIENT) if patient else ("-m", "amrq")), *arguments)
    return start([sys.executable, *words] if cold else warm(*words), **more)


def the_rest(process: subprocess.Popen[str]) -> tuple[str, str]:
    """Wait for a process's end, and return what it wrote that nobody has read, on standard output and error.

    `communicate` would miss what a `readline` has taken in beyond its line.
    """
    assert process.stdout is not None and process.stderr is not None
    out, err = process.stdout.read(), process.stderr.read()
    process.wait(PATIENCE)
    return out, err


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
