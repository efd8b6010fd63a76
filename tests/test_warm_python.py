# SPDX-License-Identifier: GPL-3.0-or-later
"""A program that is forked from a Python that has its packages loaded is like one that is started."""

import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from patience import PATIENCE
from run_amrq import run, start, warm

SCRIPT = """
import json, os, sys
print(json.dumps([sys.argv[1:], os.getcwd(), os.environ["GIVEN"], __name__, sys.path[0], sys.stdin.read()]))
sys.exit(int(sys.argv[1]))
"""


def both(*words: object) -> Sequence[list[object]]:
    return [sys.executable, *words], warm(*words)


@pytest.mark.parametrize("way", ["script", "-c"])
def test_arguments_folder_environment_input_output_and_status_are_its_own(way: str, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    words = (script, "3", "x y") if way == "script" else ("-c", SCRIPT, "3", "x y")
    cold, hot = (run(command, {"GIVEN": "é"}, input="in", cwd=tmp_path) for command in both(*words))
    assert (hot.returncode, hot.stdout, hot.stderr) == (3, cold.stdout, "")


@pytest.mark.parametrize(
    "code",
    [
        "1 / 0",
        "raise KeyboardInterrupt",
        "import os; os.kill(os.getpid(), 9)",
        "import atexit; atexit.register(print, 'end')",
    ],
)
def test_its_end_is_its_own(code: str) -> None:
    cold, hot = (run(command) for command in both("-c", code))
    assert (hot.returncode, hot.stdout) == (cold.returncode, cold.stdout)
    assert hot.stderr.splitlines()[-1:] == cold.stderr.splitlines()[-1:]


@pytest.mark.parametrize("closed", [0, 1, 2])
def test_what_is_closed_is_closed(closed: int) -> None:
    code = """
import os, sys
os.write(2 if sys.stdout is None else 1, repr([sys.stdin is None, sys.stderr is None]).encode())
"""
    cold, hot = (run(["sh", "-c", f'exec "$@" {closed}>&-', "sh", *command]) for command in both("-c", code))
    assert (hot.returncode, hot.stdout, hot.stderr) == (cold.returncode, cold.stdout, cold.stderr)


def test_signals_reach_it_and_it_is_killed_with_what_stands_for_it() -> None:
    # Not print, whose lock the first one may still hold when the signal comes.
    code = """
import os, signal
signal.signal(signal.SIGTERM, lambda *which: os.write(1, b"told\\n"))
os.write(1, b"ready\\n")
while True:
    signal.pause()
"""
    with start(warm("-c", code)) as process:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        assert process.stdout.readline() == "told\n"
        process.kill()
        assert process.stdout.read() == ""  # its end of the pipe is closed
        assert process.wait(PATIENCE) == -signal.SIGKILL
