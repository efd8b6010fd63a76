#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processor time of the path from samples to decisions, by thread.

Vector source -> symbol front end -> chunker -> classifier sink (fusing 32 chunks a decision, tracking, check of names),
16QAM at 15 dB, as fast as it goes. Time is the processor's, of all threads, so that other work on the machine matters
little; each figure is the least of several rounds.

--against compares with another checkout of this repository, for instance a `git worktree` of an older commit: both are
measured in turn, each in a process of its own.

Example: python3 benchmarks/path_time.py --rounds 3 --against ../older -o benchmarks/results/path_time.json
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from thread_time import ThreadTimes

ROOT = Path(__file__).resolve().parents[1]
SPACINGS = (4.0, 24.0)  # samples a symbol
_PIECE = 20_000  # symbols that are repeated


def measure(spacing: float, symbols: int, model: str) -> dict[str, Any]:
    """Run the path over so many symbols and return microseconds a symbol, in all and by thread."""
    from gnuradio import blocks, gr
    from gnuradio.amrq.chunker import chunker
    from gnuradio.amrq.classifier_sink import classifier_sink
    from gnuradio.amrq.symbol_front_end import symbol_front_end

    from amrq.classes import THESIS_9
    from amrq.decision import DecisionOptions
    from amrq.measure import StreamInfo
    from amrq.signals import received_signal

    rng = np.random.default_rng(1)
    sent = rng.choice(THESIS_9["16QAM"].points, _PIECE)
    piece = received_signal(sent, spacing * 1.0003, 0.3, 15.0, rng, offset=0.02)
    source = blocks.vector_source_c(np.tile(piece, max(1, symbols // _PIECE)))
    front_end = symbol_front_end(spacing, 1.0)
    labels: list[str] = []
    sink = classifier_sink(
        model,
        DecisionOptions(32),
        StreamInfo(spacing, 1.0),
        on_decision=lambda decision, truth: labels.append(decision.label),
    )
    to_chunks = chunker(sink.contract.chunk_length)
    flowgraph = gr.top_block()
    flowgraph.connect(source, front_end, to_chunks, sink)
    with ThreadTimes() as times:
        flowgraph.start()
        flowgraph.wait()
    count = sink.statistics().received * sink.contract.chunk_length
    used = {name: 1e6 * seconds / count for name, seconds in times.seconds.items()}
    return {
        "us_a_symbol": sum(used.values()),
        "by_thread": dict(sorted(used.items(), key=lambda one: -one[1])),
        "decisions": len(labels),
        "right": labels.count("16QAM"),
    }


def elsewhere(folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Run one round with the code of a checkout."""
    with tempfile.TemporaryDirectory() as modules:
        (Path(modules) / "gnuradio").mkdir()
        (Path(modules) / "gnuradio" / "amrq").symlink_to(folder.resolve() / "python" / "amrq")
        path = os.pathsep.join([modules, str(folder.resolve() / "src")])
        words = [sys.executable, str(Path(__file__)), "--one-round", "--symbols", str(arguments.symbols)]
        words += ["--model", arguments.model]
        done = subprocess.run(
            words, env=os.environ | {"PYTHONPATH": path}, stdout=subprocess.PIPE, text=True, check=True
        )
    return dict(json.loads(done.stdout.splitlines()[-1]))


def least(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the round with the least time of each number of samples a symbol, rounded."""
    best = {
        key: min((one[key] for one in rounds), key=lambda one: float(one["us_a_symbol"])) for key in rounds[0]
    }
    for key, one in best.items():
        one["us_a_symbol"] = round(one["us_a_symbol"], 2)
        one["megasamples_a_second_and_core"] = round(float(key) / one["us_a_symbol"], 2)
        one["by_thread"] = {name: round(used, 2) for name, used in one["by_thread"].items() if used >= 0.005}
    return best


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--symbols", type=int, default=400_000, help="symbols a measurement")
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each")
    parser.add_argument("--model", default="default", help="ONNX file or name of a shipped model")
    parser.add_argument("--against", type=Path, metavar="FOLDER", help="another checkout")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="the result as JSON")
    parser.add_argument("--one-round", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one_round:
        found = {f"{one:g}": measure(one, arguments.symbols, arguments.model) for one in SPACINGS}
        print(json.dumps(found))
        return
    from amrq.machine import processor_name

    folders = {"here": ROOT} | ({"there": arguments.against} if arguments.against else {})
    rounds: dict[str, list[dict[str, Any]]] = {name: [] for name in folders}
    for _ in range(arguments.rounds):
        for name, folder in folders.items():
            rounds[name].append(elsewhere(folder, arguments))
    result = {
        "date": time.strftime("%Y-%m-%d"),
        "processor": processor_name(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "onnxruntime": version("onnxruntime"),
        "model": arguments.model,
        "symbols": arguments.symbols,
        "rounds": arguments.rounds,
        "path_by_samples_a_symbol": {name: least(found) for name, found in rounds.items()},
    }
    text = json.dumps(result, indent=1) + "\n"
    if arguments.output:
        arguments.output.write_text(text)
    print(text, end="")


if __name__ == "__main__":
    main()
