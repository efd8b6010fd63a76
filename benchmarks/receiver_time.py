#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processor time of the symbol front end for a symbol, and of the check of names for a decision.

The front end runs as a block in a flowgraph, on 16QAM at 15 dB that is stored in memory. The check is what
`identify_linear` takes longer with it than without it, on the same signals. Time is the processor's, of all threads;
each figure is the least of several rounds, in which the cases take turns, so that other work on the machine matters
little.

--against compares with another checkout of this repository, for instance a `git worktree` of an older commit: both are
measured in turn, each in a process of its own.

Examples:
  python3 benchmarks/receiver_time.py --against ../older -o benchmarks/results/receiver_time.json
  python3 benchmarks/receiver_time.py --pages
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
PAGE = Path(__file__).parent / "README.md"
RESULTS = Path(__file__).parent / "results" / "receiver_time.json"
SPACINGS = (2.5, 4.0, 10.0, 24.0)  # samples a symbol
SYMBOLS = 40_000
CHECKED = ("BPSK", "8PSK", "16QAM", "32QAM", "8ASK")
DECISIONS = 40


def front_end_time(spacing: float) -> float:
    """Return microseconds a symbol."""
    from gnuradio import blocks, gr
    from gnuradio.amrq.symbol_front_end import symbol_front_end

    from amrq.classes import THESIS_9
    from amrq.signals import received_signal

    rng = np.random.default_rng(1)
    sent = rng.choice(THESIS_9["16QAM"].points, SYMBOLS // 4)
    samples = np.tile(received_signal(sent, spacing * 1.0003, 0.3, 15.0, rng, offset=0.02), 4)
    flowgraph = gr.top_block()
    source, front_end, sink = (
        blocks.vector_source_c(samples),
        symbol_front_end(spacing, 1.0),
        blocks.vector_sink_c(),
    )
    flowgraph.connect(source, front_end, sink)
    started = time.process_time()
    flowgraph.run()
    return 1e6 * (time.process_time() - started) / len(sink.data())


def identify_time(name: str, checked: bool) -> float:
    """Return milliseconds a decision of all that `identify_linear` does, the signal given."""
    from amrq.classes import THESIS_9
    from amrq.decision import DecisionOptions
    from amrq.identify import IdentifyOptions, identify_linear
    from amrq.signals import received_signal

    rng = np.random.default_rng(1)
    sent = rng.choice(THESIS_9[name].points, 1024 * DECISIONS)
    samples = received_signal(sent, 4.0, 0.3, 20.0, rng, offset=0.02)
    options = IdentifyOptions(decision=DecisionOptions(check=checked))
    identify_linear(samples[:20_000], 4.0, 1.0, options=options)  # loads the model
    started = time.process_time()
    found = identify_linear(samples, 4.0, 1.0, options=options)
    return 1e3 * (time.process_time() - started) / len(found.decisions)


def elsewhere(folder: Path) -> dict[str, float]:
    """Run this script with the code of a checkout and return the front end's times by samples a symbol."""
    with tempfile.TemporaryDirectory() as modules:
        (Path(modules) / "gnuradio").mkdir()
        (Path(modules) / "gnuradio" / "amrq").symlink_to(folder.resolve() / "python" / "amrq")
        path = os.pathsep.join([modules, str(folder.resolve() / "src")])
        words = [sys.executable, str(Path(__file__)), "--one-round"]
        done = subprocess.run(
            words, env=os.environ | {"PYTHONPATH": path}, stdout=subprocess.PIPE, text=True, check=True
        )
    return dict(json.loads(done.stdout))


def one_round() -> dict[str, float]:
    """Measure each number of samples a symbol twice, since the first run of a process is slow, and keep the second."""
    return {f"{spacing:g}": min(front_end_time(spacing) for _ in range(2)) for spacing in SPACINGS}


def least(rounds: list[dict[str, float]]) -> dict[str, float]:
    """Return the least of each figure."""
    return {key: round(min(one[key] for one in rounds), 2) for key in rounds[0]}


def table(found: dict[str, Any]) -> str:
    """Return what benchmarks/README.md says of a result, in Markdown."""
    times = found["front_end_us_a_symbol_by_samples_a_symbol"]
    lines = [f"Measured on {found['date']}, {found['processor']}.", ""]
    lines += [
        "| samples a symbol | front end, µs a symbol | the older one | ratio |",
        "|---:|---:|---:|---:|",
    ]
    for key, value in times["here"].items():
        older, ratio = (f"{times[name][key]:.2f}" if name in times else "-" for name in ("there", "ratio"))
        lines.append(f"| {key} | {value:.2f} | {older} | {ratio} |")
    lines += ["", "| 20 dB, 4 samples a symbol | one decision, ms | of that the check |", "|---|---:|---:|"]
    for name, value in found["all_ms_a_decision"].items():
        lines.append(f"| {name} | {value:.1f} | {found['check_ms_a_decision'][name]:.1f} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--against", type=Path, help="another checkout of this repository")
    parser.add_argument("--rounds", type=int, default=5, help="rounds (default 5)")
    parser.add_argument("-o", "--output", type=Path, help="also write the result to this file")
    parser.add_argument("--one-round", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--pages", action="store_true", help="write the page's table, and measure nothing")
    arguments = parser.parse_args()
    if arguments.pages:
        from resumable import between

        found = json.loads(RESULTS.read_text(encoding="utf-8"))
        page = between(PAGE.read_text(encoding="utf-8"), "receiver time", table(found))
        PAGE.write_text(page, encoding="utf-8")
        return
    if arguments.one_round:
        print(json.dumps(one_round()))
        return
    from resumable import machine

    here: list[dict[str, float]] = []
    there: list[dict[str, float]] = []
    checks: list[dict[str, float]] = []
    for _ in range(arguments.rounds):
        here.append(elsewhere(ROOT))
        if arguments.against is not None:
            there.append(elsewhere(arguments.against))
        checks.append({f"{name} {on}": identify_time(name, on) for name in CHECKED for on in (True, False)})
    front_end: dict[str, Any] = {"here": least(here)}
    if there:
        front_end |= {"there": least(there)}
        front_end["ratio"] = {key: round(least(here)[key] / value, 2) for key, value in least(there).items()}
    spent = least(checks)
    result = machine(
        rounds=arguments.rounds,
        front_end_us_a_symbol_by_samples_a_symbol=front_end,
        check_ms_a_decision={
            name: round(spent[f"{name} True"] - spent[f"{name} False"], 2) for name in CHECKED
        },
        all_ms_a_decision={name: spent[f"{name} True"] for name in CHECKED},
    )
    text = json.dumps(result, indent=1) + "\n"
    if arguments.output is not None:
        arguments.output.write_text(text, encoding="utf-8")
    print(text, end="")


if __name__ == "__main__":
    main()
