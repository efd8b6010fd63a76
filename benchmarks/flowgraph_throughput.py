#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many chunks a second a whole flowgraph classifies, beside engines alone and beside PyTorch in a block.

The same chunks for all, in turn, several rounds in one process, so that a machine whose speed drifts favours none:

* the engines native and onnx alone, on chunks that are normalised already;
* vector source -> chunker -> classifier sink, to the last decision: fusing and tracking; the same with the check of
  names; and live, with a queue that never fills;
* vector source -> GNU Radio's stream_to_vector, or our chunker, whose buffer is larger -> a sync block that calls a
  network in PyTorch on what has come and takes the largest output, with the smallest and the largest network of the
  thesis (without tags, decisions or evidence).

PyTorch may use as many threads as there are cores; its rate is that of the better of one thread and that many.

Example: python3 benchmarks/flowgraph_throughput.py -o benchmarks/results/flowgraph_throughput.json
"""

import argparse
import itertools
import json
import os
import statistics
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from gnuradio import amrq, blocks, gr
from resumable import machine

from amrq.chunks import normalise
from amrq.classifier import Engine, make_engine
from amrq.files import write_whole
from amrq.signals import ModulatedSignal, Schedule
from amrq.sweep import read_sweep_recipe

LENGTH = 32
BATCH = 1024
RECIPE = Path(__file__).resolve().parents[1] / "recipes" / "thesis.toml"
PEERS = ("vgglike_2f_1c_1re_1mp", "vgglike_5f_5c_4re_4mp")
BLOCKS = {"stream_to_vector": False, "our chunker": True}
FEWER = 8
"""Of the slow ones so many times fewer chunks are classified a round."""


def torch_sink(name: str, threads: int) -> Any:
    """Return what somebody writes in an afternoon: a block that calls a network in PyTorch on what has come."""
    import torch

    from amrq.training.architectures import VggLikeNet

    shape = read_sweep_recipe(RECIPE).architecture(name)
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    network = VggLikeNet(9, shape.channels, shape.pools, shape.hidden).eval()

    class TorchSink(gr.sync_block):
        """The block."""

        def __init__(self) -> None:
            gr.sync_block.__init__(self, name="torch_sink", in_sig=[(np.complex64, LENGTH)], out_sig=None)
            self.classified = 0

        def work(self, input_items: Any, output_items: Any) -> int:
            """Classify what has come."""
            chunks = input_items[0]
            with torch.inference_mode():
                iq = torch.from_numpy(np.ascontiguousarray(chunks).view(np.float32).reshape(-1, LENGTH, 2))
                iq = iq / iq.square().sum(2, keepdim=True).mean(1, keepdim=True).sqrt()
                network(iq.permute(0, 2, 1)).argmax(1)
            self.classified += len(chunks)
            return len(chunks)

    return TorchSink()


def alone(engine: Engine, iq: np.ndarray) -> float:
    """Return an engine's chunks a second, `BATCH` chunks a call."""
    begin = time.perf_counter()
    for start in range(0, len(iq), BATCH):
        engine.run(iq[start : start + BATCH], None)
    return len(iq) / (time.perf_counter() - begin)


def run(samples: np.ndarray, sink: Any, chunker: Any) -> float:
    """Return the seconds that a flowgraph with this sink takes."""
    tb = gr.top_block()
    source = blocks.vector_source_c(samples, False)
    tb.connect(source, chunker, sink)
    begin = time.perf_counter()
    tb.start()
    tb.wait()
    return time.perf_counter() - begin


def classified(samples: np.ndarray, model: str, check: bool, live: bool = False) -> float:
    """Return the chunks a second of the whole flowgraph, and check that none was lost."""
    count = len(samples) // LENGTH
    sink = amrq.classifier_sink(
        model, amrq.DecisionOptions(check=check), live=live, queue_chunks=count + 1 if live else 8192
    )
    elapsed = run(samples, sink, amrq.chunker(LENGTH))
    counted = sink.statistics()
    # Live, what still waits at the end is dropped: the rate counts what was classified.
    assert counted.received == count and (live or counted.classified == count), counted
    return counted.classified / elapsed


def by_torch(samples: np.ndarray, name: str, threads: int, ours: bool) -> float:
    """Return the chunks a second of the flowgraph with PyTorch, behind our chunker or GNU Radio's own block."""
    sink = torch_sink(name, threads)
    chunker = amrq.chunker(LENGTH) if ours else blocks.stream_to_vector(gr.sizeof_gr_complex, LENGTH)
    elapsed = run(samples, sink, chunker)
    assert sink.classified == len(samples) // LENGTH
    return sink.classified / elapsed


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--chunks", type=int, default=400_000, help="chunks a measurement")
    parser.add_argument("--rounds", type=int, default=5, help="measurements of each")
    parser.add_argument("--model", default="default", help="ONNX file or name of a shipped model")
    parser.add_argument("--without-torch", action="store_true", help="leave PyTorch out")
    parser.add_argument("-o", "--output", type=Path, help="write the JSON here as well")
    arguments = parser.parse_args()

    samples, _ = ModulatedSignal(Schedule(["QPSK", "16QAM"], 1024), 15.0).generate(2048 * LENGTH)
    repeats = -(-arguments.chunks * LENGTH // len(samples))
    samples = np.tile(samples, repeats)[: arguments.chunks * LENGTH]
    fewer = samples[: len(samples) // FEWER // LENGTH * LENGTH]
    iq = normalise(fewer.reshape(-1, LENGTH)).iq
    native, onnx = (make_engine(name, arguments.model) for name in ("auto", "onnx"))
    cores = sorted({1, os.cpu_count() or 1})
    rates: dict[str, list[float]] = {}
    for _ in range(arguments.rounds):
        found = {
            f"{native.name} alone": alone(native, iq),
            "onnx alone": alone(onnx, iq),
            "flowgraph": classified(samples, arguments.model, check=False),
            "flowgraph, names checked": classified(fewer, arguments.model, check=True),
            "flowgraph, live": classified(samples, arguments.model, check=False, live=True),
        }
        peers = () if arguments.without_torch else PEERS
        for peer, (block, ours) in itertools.product(peers, BLOCKS.items()):
            found[f"PyTorch, {peer}, {block}"] = max(by_torch(fewer, peer, n, ours) for n in cores)
        for name, rate in found.items():
            rates.setdefault(name, []).append(rate)
    ratios = {
        f"flowgraph over {name}": [a / b for a, b in zip(rates["flowgraph"], rates[name], strict=True)]
        for name in rates
        if name.startswith("PyTorch")
    }
    result = machine(
        model=native.contract.name,
        chunks=arguments.chunks,
        rounds=arguments.rounds,
        gnuradio=gr.version(),
        torch=None if arguments.without_torch else version("torch"),
        chunks_per_second={
            name: {"median": round(statistics.median(r)), "min": round(min(r)), "max": round(max(r))}
            for name, r in rates.items()
        },
        ratios={
            name: {
                "median": round(statistics.median(r), 2),
                "min": round(min(r), 2),
                "max": round(max(r), 2),
            }
            for name, r in ratios.items()
        },
    )
    text = json.dumps(result, indent=1) + "\n"
    print(text, end="")
    if arguments.output:
        write_whole(arguments.output, text)


if __name__ == "__main__":
    main()
