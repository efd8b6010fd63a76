#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare generated hardware with the integer reference on many chunks, and its decisions with ONNX Runtime's.

Each model's Verilog is simulated on chunks of all classes at 0 to 25 dB Es/N0 with extreme ones between them: once
back to back, once with random stalls on both sides, after a reset in the middle of a chunk. Every score must be equal
to the bit. Right decisions on the same chunks are counted three ways: by the hardware's own class, by its scores
weighed by a host, and by the ONNX model. A model's row in the results is replaced. The row of a model
file has the file's name, followed by the number of lanes if it is given.

Example: python3 benchmarks/rtl_check.py coherent-small-int4 --chunks 10000
Example: python3 benchmarks/rtl_check.py docs/thesis/models/vgglike_2f_2c_2re_2mp_8bit_pr_20.onnx
"""

import argparse
import csv
import datetime
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np

from amrq.classifier import Weigher, make_classifier
from amrq.hardware import IntegerNetwork
from amrq.hardware.rtl import DesignOptions, cosimulate, make_design, make_stimuli, write_rtl

RESULTS = Path(__file__).resolve().parents[1] / "docs" / "hardware" / "cosimulation.csv"
COLUMNS = (
    *(
        "model",
        "input_bits",
        "fold",
        "chunks",
        "seed",
        "result",
        "latency_clocks",
        "labelled",
        "right_by_class",
    ),
    *("right_by_scores", "right_by_onnx", "equal_logits", "simulator", "seconds", "date"),
)

KEY = ("model", "input_bits", "fold")


def check(
    model: str,
    input_bits: int,
    fold: int | None,
    lanes: int | None,
    chunks: int,
    seed: int,
    simulator: str,
    folder: Path,
) -> dict[str, object]:
    """Return a row of the results."""
    network = IntegerNetwork.from_onnx(model)
    design = make_design(network, DesignOptions(input_bits, fold, lanes))
    name = network.contract.name + (f" ({lanes} lanes)" if lanes else "")
    stimuli = make_stimuli(design, chunks, seed)
    began = time.monotonic()
    write_rtl(design, folder, stimuli, seed + 1)
    result = cosimulate(folder, simulator)
    seconds = time.monotonic() - began
    scores = network.run(design.given(stimuli.symbols, stimuli.side))
    probabilities, _ = Weigher(network.contract).weigh(scores.logits)
    classifier = make_classifier(model)
    classifier.open()
    onnx = classifier.classify(stimuli.chunks, stimuli.tracked_power).log_probabilities
    classifier.close()
    real = stimuli.labels >= 0
    exact = network.scores(stimuli.chunks, stimuli.tracked_power).integers

    def right(found: np.ndarray) -> int:
        return int((found == stimuli.labels)[real].sum())

    version = subprocess.run(
        [simulator, "-V"], capture_output=True, text=True, check=False
    ).stdout.splitlines()[0]
    values = (
        *(name, input_bits, design.fold, chunks, seed, result, design.latency, int(real.sum())),
        *(right(network.decide(scores)), right(probabilities.argmax(axis=1)), right(onnx.argmax(axis=1))),
        int((exact == scores.integers).all(axis=1)[real].sum()),
        *(version, round(seconds), datetime.date.today().isoformat()),
    )
    return dict(zip(COLUMNS, values, strict=True))


def main() -> None:
    """Check models and write the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="+", metavar="MODEL", help="names of shipped models, or files")
    parser.add_argument("--lanes", type=int, help="multipliers of an array")
    parser.add_argument("--input-bits", type=int, default=8)
    parser.add_argument("--fold", type=int)
    parser.add_argument("--chunks", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=20261124)
    parser.add_argument("--simulator", choices=("verilator", "iverilog"), default="verilator")
    parser.add_argument("--results", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    for model in arguments.models:
        with tempfile.TemporaryDirectory() as folder:
            row = check(
                *(
                    model,
                    arguments.input_bits,
                    arguments.fold,
                    arguments.lanes,
                    arguments.chunks,
                    arguments.seed,
                ),
                arguments.simulator,
                Path(folder),
            )
        rows = {tuple(str(row[name]) for name in KEY): row}
        if arguments.results.is_file():
            with arguments.results.open(newline="") as file:
                for old in csv.DictReader(file):
                    rows.setdefault(tuple(old[name] for name in KEY), dict(old))
        arguments.results.parent.mkdir(parents=True, exist_ok=True)
        with arguments.results.open("w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows[key] for key in sorted(rows))
        print(", ".join(f"{name} {value}" for name, value in row.items()), flush=True)


if __name__ == "__main__":
    main()
