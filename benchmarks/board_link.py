#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the link to a board costs: a board on this machine, and the same engine called directly.

Taken in turn in one process, several rounds, so that a machine whose speed drifts does not favour one:

* direct: the engine on chunks that are normalised already, in batches of a message's size;
* board: a `BoardEngine` with default window and batch, the board a process of its own, from chunks to evidence;
* latency: one message of one chunk at a time, from chunk to evidence.

Both processes keep the memory that they free: otherwise the direct engine, in a process's main thread, gives large
arrays back to the system at every call and takes twice as long for it; the board's, in another thread, does not.

Example: python3 benchmarks/board_link.py --chunks 50000 --rounds 7 --engine onnx
"""

import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import time
from datetime import date

import numpy as np
import zmq

from amrq.chunks import level_features, normalise
from amrq.classifier import ChunkClassifier, make_engine
from amrq.link import BoardEngine, LinkSettings
from amrq.machine import processor_name
from amrq.signals import ModulatedSignal, Schedule

_KEPT = {"MALLOC_TRIM_THRESHOLD_": str(2**30), "MALLOC_MMAP_THRESHOLD_": str(2**25)}
"""What glibc reads when a process starts."""


def main() -> None:
    """Measure and print."""
    if not _KEPT.items() <= os.environ.items():
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **_KEPT})
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--chunks", type=int, default=50_000, help="chunks a measurement")
    parser.add_argument("--rounds", type=int, default=7, help="measurements of each")
    parser.add_argument("--engine", default="onnx", help="integer or onnx")
    parser.add_argument("--model", default="default", help="ONNX file or name of a shipped model")
    parser.add_argument(
        "--at-once", type=int, default=1024, help="chunks a call of the classifier, as the worker has it"
    )
    given = parser.parse_args()

    engine = make_engine(given.engine, given.model)
    length = engine.contract.chunk_length
    samples, _ = ModulatedSignal(Schedule(["QPSK", "16QAM"], 1024), 15.0).generate(2048 * length)
    chunks = np.resize(samples.reshape(-1, length), (given.chunks, length))
    normalised = normalise(chunks)
    level = level_features(normalised.power, None) if engine.contract.level_input else None
    settings = LinkSettings()
    command = [sys.executable, "-m", "amrq", "board", "--model", given.model, "--engine", given.engine]
    rates: dict[str, list[float]] = {"direct": [], "board": []}
    latency: list[float] = []
    with subprocess.Popen(
        [*command, "--listen", "tcp://127.0.0.1:*"], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            found = re.search(r"at (tcp://\S+)", process.stdout.readline())
            assert found is not None, "the board does not start"
            board_engine = BoardEngine(given.model, found[1], settings=settings)
            board = ChunkClassifier(board_engine)
            board.open()
            board_engine.require()
            board.classify(chunks[: given.at_once])
            for _ in range(given.rounds):
                begin = time.perf_counter()
                for start in range(0, given.chunks, settings.batch):
                    part = slice(start, start + settings.batch)
                    engine.run(normalised.iq[part], None if level is None else level[part])
                rates["direct"].append(given.chunks / (time.perf_counter() - begin))
                begin = time.perf_counter()
                for start in range(0, given.chunks, given.at_once):
                    board.classify(chunks[start : start + given.at_once])
                rates["board"].append(given.chunks / (time.perf_counter() - begin))
                for chunk in chunks[:200]:
                    begin = time.perf_counter()
                    board.classify(chunk[None])
                    latency.append(1e3 * (time.perf_counter() - begin))
            counted = board.counters()
            assert counted["lost"] == counted["locally"] == 0, counted
            board.close()
        finally:
            process.terminate()
    ratio = [b / d for b, d in zip(rates["board"], rates["direct"], strict=True)]
    result = {
        "model": engine.contract.name,
        "engine": given.engine,
        "date": date.today().isoformat(),
        "chunks": given.chunks,
        "batch": settings.batch,
        "window": settings.window,
        "at_once": given.at_once,
        "chunks_per_second": {name: statistics.median(values) for name, values in rates.items()},
        "board_over_direct": {"median": statistics.median(ratio), "min": min(ratio), "max": max(ratio)},
        "latency_of_one_chunk_ms": {
            "median": statistics.median(latency),
            "p99": float(np.percentile(latency, 99)),
        },
        "versions": {
            "python": platform.python_version(),
            "numpy": np.__version__,
            "zmq": zmq.zmq_version(),
            "pyzmq": zmq.__version__,
        },
        "machine": {"processor": processor_name(), "cores": os.cpu_count()},
    }
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
