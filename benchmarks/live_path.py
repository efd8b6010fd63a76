#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The load and the latency of the whole live path at a radio's rate.

A SoapySDR device of the tests' own (tests/radio/file_radio.cpp; needs SoapySDR's headers) hands out samples by the
clock, and overflows where its reader is half a second late: Radio Source -> symbol front end -> chunker -> classifier,
default model, as `amrq live` connects them. Reported: overflows, chunks dropped, the processor's share, and the latency
from the moment a decision's last sample is received to the moment the decision is handed out.

Example: python3 benchmarks/live_path.py --seconds 300 --rate 2.4e6 --symbol-rate 100e3
"""

import argparse
import json
import os
import platform
import resource
import sys
import tempfile
import threading
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from gnuradio import gr
from gnuradio.amrq.classifier_sink import classifier_sink
from gnuradio.amrq.decision_flowgraph import decision_flowgraph
from gnuradio.amrq.radio_source import radio_source

from amrq.decision import Decision, DecisionOptions
from amrq.machine import processor_name
from amrq.measure import StreamInfo
from amrq.outputs import Origin
from amrq.signals import ModulatedSignal, Schedule

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from file_radio import build_file_radio
from thread_time import ThreadTimes

_MODULATION = "16QAM"
_LOOKED_AT = 8  # every so many decisions, how late one is


def measure(arguments: argparse.Namespace, device: str) -> dict[str, Any]:
    """Run the path for so long and return what was seen."""
    decided: list[Decision] = []
    latency: list[float] = []
    origin = Origin("", arguments.symbol_rate, "", "")

    def take(decision: Decision, truth: object) -> None:
        """Note a decision; of some, how long ago their last sample came."""
        decided.append(decision)
        if len(decided) % _LOOKED_AT:
            return
        # By where its symbols are in the samples, by what is known now: counted symbols run off from the source's time.
        now, told = time.time(), sink.timeline.place(origin, decision.sample_index)
        lasts = told.seconds(decision.sample_index) + decision.sample_count / arguments.symbol_rate
        latency.append(now - told.begun.timestamp() - lasts)

    source = radio_source(device, arguments.rate, 100e6)
    sink = classifier_sink(
        arguments.model,
        DecisionOptions(arguments.chunks),
        StreamInfo(arguments.rate, arguments.symbol_rate),
        live=True,
        on_decision=take,
    )
    flowgraph = decision_flowgraph(source, sink)
    before, begun = resource.getrusage(resource.RUSAGE_SELF), time.monotonic()
    with ThreadTimes() as times:
        flowgraph.start()
        threading.Event().wait(arguments.seconds)
        after, elapsed = resource.getrusage(resource.RUSAGE_SELF), time.monotonic() - begun
    samples = flowgraph.front_end.samples_read()
    flowgraph.stop()
    flowgraph.wait()
    flowgraph.raise_error()
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    counted = flowgraph.sink.statistics()
    right = sum(decision.label == _MODULATION for decision in decided)
    return {
        "seconds": round(elapsed, 1),
        "samples": samples,
        "overflows": source.overflows(),
        "chunks": counted.received,
        "chunks_dropped": counted.dropped,
        "decisions": len(decided),
        "decisions_right": right,
        "processor_share_of_one_core": round(used / elapsed, 3),
        "share_by_thread": {
            name: round(seconds / elapsed, 3)
            for name, seconds in sorted(times.seconds.items(), key=lambda one: -one[1])
            if seconds >= 5e-4 * elapsed
        },
        "latency_ms": {
            "median": round(1e3 * float(np.median(latency)), 1),
            "99th percentile": round(1e3 * float(np.quantile(latency, 0.99)), 1),
        },
        "decision_lasts_ms": round(1e3 * 32 * arguments.chunks / arguments.symbol_rate, 2),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=300.0, help="how long (default 300)")
    parser.add_argument(
        "--rate", type=float, default=2.4e6, help="samples a second (default an RTL-SDR's 2.4e6)"
    )
    parser.add_argument(
        "--symbol-rate", type=float, default=100e3, help="symbols a second, of a whole number of samples each"
    )
    parser.add_argument("--chunks", type=int, default=32, help="chunks a decision (default 32)")
    parser.add_argument("--model", default="default", help="ONNX file or name of a shipped model")
    arguments = parser.parse_args()
    samples_per_symbol = round(arguments.rate / arguments.symbol_rate)
    arguments.symbol_rate = arguments.rate / samples_per_symbol  # what is sent, and told
    signal = ModulatedSignal(Schedule([_MODULATION], 10**9), 25.0, 0.0, 0.7, samples_per_symbol, 0.35, seed=1)
    with tempfile.TemporaryDirectory() as folder:
        samples = Path(folder) / "samples.cf32"
        signal.generate(int(arguments.rate))[0].tofile(samples)
        os.environ |= build_file_radio(Path(folder))
        result = measure(arguments, f"driver=amrqfile,clock=utc,fastest={arguments.rate:.0f},path={samples}")
    about = {
        "processor": processor_name(),
        "processors": os.cpu_count(),
        "python": platform.python_version(),
        "gnuradio": gr.version(),
        "onnxruntime": version("onnxruntime"),
        "numpy": np.__version__,
        "date": time.strftime("%Y-%m-%d"),
        "rate": arguments.rate,
        "symbol_rate": arguments.symbol_rate,
        "model": arguments.model,
        "chunks_a_decision": arguments.chunks,
    }
    sys.stdout.write(json.dumps({**about, **result}, indent=1) + "\n")


if __name__ == "__main__":
    main()
