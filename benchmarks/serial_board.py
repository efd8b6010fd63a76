#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A ULX3S that is simulated whole, asked over a pseudo-terminal by the engine `serial`; and what its bitstream takes.

The top level runs in Verilator at its real ratio of clock and serial line (25 clocks a bit). Chunks are of all classes
at 0 to 25 dB Es/N0, for models of any phase turned and at any level, every 16th an extreme one. Every score must equal
the integer reference's, at the width of the board's port. With `--bitstream FOLDER` the figures of `make bitstream` in
a folder that `amrq rtl MODEL --board ulx3s` wrote are taken from its logs. Results are kept by model.

Example: python3 benchmarks/serial_board.py blind-small-int4 --chunks 256
Example: python3 benchmarks/serial_board.py coherent-small-int4 --serve
Example: python3 benchmarks/serial_board.py blind-small-int4 --bitstream FOLDER --seconds 600
"""

import argparse
import contextlib
import hashlib
import json
import re
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from resumable import machine

from amrq.files import write_whole
from amrq.hardware import IntegerNetwork
from amrq.hardware.rtl import BoardOptions, SerialBoard, SerialSimulation, make_design, make_stimuli
from amrq.link import SerialEngine
from amrq.model import find_model

RESULTS = Path(__file__).resolve().parent / "results" / "serial_board.json"


def board_of(model: str) -> SerialBoard:
    """Return a shipped model's board."""
    path = find_model(model)
    design = make_design(IntegerNetwork.from_onnx(path))
    return SerialBoard(design, hashlib.sha256(path.read_bytes()).digest(), BoardOptions("ulx3s"))


def simulated(model: str, chunks: int, seed: int) -> dict[str, Any]:
    """Return what a simulated board answered."""
    board = board_of(model)
    design = board.design
    stimuli = make_stimuli(design, chunks, seed)
    expected = design.network.run(design.given(stimuli.symbols, stimuli.side)).integers
    iq = np.ldexp(stimuli.symbols.transpose(0, 2, 1).astype(np.float32), board.identity.input_exponent)
    level = np.ldexp(stimuli.side.astype(np.float32), board.identity.side_exponent)
    start = time.monotonic()
    with SerialSimulation(board, "verilator") as simulation:
        built = time.monotonic() - start
        with closing(SerialEngine(model, simulation.serve(), timeout=120)) as engine:
            start = time.monotonic()
            found = engine.run(iq, level if board.identity.sides else None).integers
            seconds = time.monotonic() - start
            counters = engine.counters()
    labels = design.network.class_of_hypothesis[found.argmax(axis=1)]
    labelled = stimuli.labels >= 0
    return {
        "chunks": chunks,
        "scores_that_differ": int((found != expected).sum()),
        "right_of_labelled": [int((labels == stimuli.labels)[labelled].sum()), int(labelled.sum())],
        "clocks_a_bit": board.clocks_a_bit,
        "bytes_of_request_and_answer": [board.identity.chunk_bytes + 7, board.identity.score_body + 7],
        "built_in_s": round(built),
        "simulated_in_s": round(seconds),
        **counters,
        **machine(seed=seed),
    }


def offered(model: str) -> None:
    """Simulate a board at a pseudo-terminal until Ctrl-C."""
    with SerialSimulation(board_of(model), "verilator") as simulation, contextlib.suppress(KeyboardInterrupt):
        print(f"amrq board --model {model} --engine serial --port {simulation.serve()}", flush=True)
        threading.Event().wait()


def bitstream(folder: Path, seconds: float, tools: str) -> dict[str, Any]:
    """Return the figures of a bitstream."""
    said = (folder / "board.log").read_text()
    used = {name: [int(n), int(of)] for name, n, of in re.findall(r"(\w+):\s+(\d+)/\s*(\d+)\s+\d+%", said)}
    reached = float(re.findall(r"Max frequency for clock[^:]*: ([\d.]+) MHz", said)[-1])
    wanted = float(re.findall(r"Max frequency for clock.*at ([\d.]+) MHz", said)[-1])
    clocks = int(re.findall(r"a chunk every (\d+) clocks", (folder / "README.md").read_text())[0])
    return {
        "cells": {
            name: used[name]
            for name in ("TRELLIS_COMB", "TRELLIS_FF", "MULT18X18D", "DP16KD")
            if name in used
        },
        "reached_mhz": reached,
        "wanted_mhz": wanted,
        "classifications_a_second": round(wanted * 1e6 / clocks),
        "bitstream_bytes": (folder / "amrq_ulx3s.bit").stat().st_size,
        "processor_seconds": round(seconds),
        "tools": tools,
        **machine(),
    }


def main() -> None:
    """Measure, and write the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="+", metavar="MODEL", help="names of shipped models, or files")
    parser.add_argument("--chunks", type=int, default=256)
    parser.add_argument("--seed", type=int, default=20261130)
    parser.add_argument("--serve", action="store_true", help="simulate it until Ctrl-C, for amrq board")
    parser.add_argument("--bitstream", type=Path, metavar="FOLDER", help="where make bitstream has run")
    parser.add_argument("--seconds", type=float, default=0.0, help="processor time that it took")
    parser.add_argument("--tools", default="", help="their versions")
    parser.add_argument("--key", default="bitstream", help="under which these figures are kept")
    parser.add_argument("--results", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    if arguments.serve:
        offered(arguments.models[0])
        return
    kept = json.loads(arguments.results.read_text()) if arguments.results.exists() else {}
    for model in arguments.models:
        if arguments.bitstream:
            kept.setdefault(model, {})[arguments.key] = bitstream(
                arguments.bitstream, arguments.seconds, arguments.tools
            )
        else:
            kept.setdefault(model, {})["simulated"] = simulated(model, arguments.chunks, arguments.seed)
        print(json.dumps({model: kept[model]}, indent=1))
        write_whole(arguments.results, json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    main()
