#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What printing decisions costs: the table of `amrq classify` against JSON lines, on the same recording.

A recording of a QPSK signal, 25,000 symbols a second at four samples a symbol, is classified with a decision a chunk,
into a pipe that somebody reads. Both run in turn, several times; reported are the seconds of each and the ratio.

Example: python3 benchmarks/classify_output.py --decisions 225000 --rounds 3
"""

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np

from amrq.machine import processor_name
from amrq.signals import ModulatedSignal, Schedule

_LENGTH, _PER_SYMBOL, _RATE = 32, 4, 25e3
_PIECE = 1_000_000  # samples


def write_recording(path: Path, decisions: int) -> None:
    """Write a recording that so many decisions on one chunk are made of."""
    signal = ModulatedSignal(Schedule(["QPSK"], 4096), 20.0, 0.0, 0.3, _PER_SYMBOL, 0.35, 1)
    samples, _ = signal.generate(_PIECE)
    piece = np.round(samples.view(np.float32) * 8192).astype("<i2")
    left = 2 * (decisions + 2) * _LENGTH * _PER_SYMBOL
    with path.open("wb") as file:
        while left > 0:
            file.write(piece[:left].tobytes())
            left -= len(piece)


def seconds(path: Path, *options: str) -> tuple[float, int]:
    """Return how long the command took, and how many decisions came."""
    command = [sys.executable, "-m", "amrq", "classify", str(path), "--rate", str(_PER_SYMBOL * _RATE)]
    command += ["--symbol-rate", str(_RATE), "--chunks", "1", *options]
    begun = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        lines = sum(line.startswith(b"{") or b" s " in line for line in process.stdout)
    if process.returncode:
        raise SystemExit(process.returncode)
    return time.monotonic() - begun, lines


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--decisions", type=int, default=225_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    took: dict[str, list[float]] = {"table": [], "json": []}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "qpsk.ci16"
        write_recording(path, arguments.decisions)
        for _ in range(arguments.rounds):
            for name, options in (("table", ()), ("json", ("--json",))):
                spent, count = seconds(path, *options)
                took[name].append(spent)
    print(
        json.dumps(
            {
                "decisions": count,
                "table_s": [round(value, 2) for value in took["table"]],
                "json_s": [round(value, 2) for value in took["json"]],
                "table_over_json": round(
                    statistics.median(took["table"]) / statistics.median(took["json"]), 3
                ),
                "processor": processor_name(),
                "machine": platform.platform(),
                "python": platform.python_version(),
                "numpy": version("numpy"),
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    main()
