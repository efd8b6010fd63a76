#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the flowgraph costs on top of onnxruntime.

Three rates, taken in turn in one process, several rounds, so that a machine whose speed drifts does not favour one:

* onnxruntime alone: the same model, threads and chunks a call, on chunks that are normalised already;
* the flowgraph: vector source -> chunker -> classifier sink, to the last decision;
* the same flowgraph live, with a queue that never fills: what the stream sustains while the worker keeps up.

Example: python3 benchmarks/flowgraph_throughput.py --chunks 200000 --rounds 7
"""

import argparse
import json
import os
import platform
import statistics
import time
from importlib.metadata import version
from typing import Any

import numpy as np
from gnuradio import amrq, blocks, gr

from amrq.chunks import normalise
from amrq.machine import processor_name
from amrq.model import find_model, open_session, read_contract
from amrq.signals import ModulatedSignal, Schedule


def alone(session: Any, iq: np.ndarray, batch: int) -> float:
    """Return onnxruntime's chunks a second at `batch` chunks a call."""
    name = session.get_inputs()[0].name
    begin = time.perf_counter()
    for start in range(0, len(iq), batch):
        session.run(None, {name: iq[start : start + batch]})
    return len(iq) / (time.perf_counter() - begin)


def flowgraph(samples: np.ndarray, chunks: int, model: str, live: bool) -> float:
    """Return the chunks a second of the whole flowgraph, and check that none was lost."""
    tb = gr.top_block()
    source = blocks.vector_source_c(samples, False)
    sink = amrq.classifier_sink(model, live=live, queue_chunks=chunks + 1)
    length = sink.contract.chunk_length
    chunker = amrq.chunker(length)
    tb.connect(source, chunker, sink)
    begin = time.perf_counter()
    tb.start()
    tb.wait()
    elapsed = time.perf_counter() - begin
    counted = sink.statistics()
    # Live, what still waits at the end is dropped: the rate counts what was classified.
    assert counted.received == chunks and (live or counted.classified == chunks), counted
    return counted.classified / elapsed


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--chunks", type=int, default=100_000, help="chunks a measurement")
    parser.add_argument("--rounds", type=int, default=5, help="measurements of each")
    parser.add_argument("--batch", type=int, default=512, help="chunks a call of onnxruntime alone")
    parser.add_argument("--model", default="default", help="ONNX file or name of a shipped model")
    arguments = parser.parse_args()

    path = find_model(arguments.model)
    contract = read_contract(path)
    length = contract.chunk_length
    samples, _ = ModulatedSignal(Schedule(["QPSK", "16QAM"], 1024), 15.0).generate(2048 * length)
    iq = normalise(samples.reshape(-1, length)).iq
    repeats = -(-arguments.chunks // len(iq))
    iq = np.tile(iq, (repeats, 1, 1))[: arguments.chunks]
    samples = np.tile(samples, repeats)[: arguments.chunks * length]
    session = open_session(path)

    rates: dict[str, list[float]] = {"onnxruntime": [], "flowgraph": [], "live": []}
    for _ in range(arguments.rounds):
        rates["onnxruntime"].append(alone(session, iq, arguments.batch))
        rates["flowgraph"].append(flowgraph(samples, arguments.chunks, arguments.model, live=False))
        rates["live"].append(flowgraph(samples, arguments.chunks, arguments.model, live=True))
    ratio = [f / a for f, a in zip(rates["flowgraph"], rates["onnxruntime"], strict=True)]
    result = {
        "model": contract.name,
        "batch": arguments.batch,
        "chunks": arguments.chunks,
        "chunks_per_second": {name: statistics.median(values) for name, values in rates.items()},
        "flowgraph_over_onnxruntime": {
            "median": statistics.median(ratio),
            "min": min(ratio),
            "max": max(ratio),
        },
        "versions": {
            "python": platform.python_version(),
            "gnuradio": gr.version(),
            "onnxruntime": version("onnxruntime"),
            "numpy": np.__version__,
        },
        "machine": {"processor": processor_name(), "cores": os.cpu_count()},
    }
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
