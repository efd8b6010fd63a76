#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the integer aligner costs in accuracy: the shipped models against the same with the aligner in floating point.

Both models decide the same fresh chunks (the nine, any phase, no phase noise), so the interval is that of the
difference. Models with the aligner in floating point are those of commit caa813c, whose weights are the same:

    for model in full-int8 full-int4 small-int8 small-int4; do
        git show caa813c:models/blind-$model.onnx > OLD/blind-$model.onnx; done

Example: python3 benchmarks/aligner_cost.py OLD --chunks 20000
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from resumable import machine

from amrq.classes import THESIS_9
from amrq.classifier import ChunkClassifier, make_classifier
from amrq.evaluation import PairedDifference, fresh_chunks
from amrq.files import write_whole

RESULTS = Path(__file__).resolve().parent / "results" / "aligner_cost.json"
MODELS = ("blind-full-int8", "blind-full-int4", "blind-small-int8", "blind-small-int4")
LEVELS = (0.0, 2.5, 5.0, 7.5, 10.0, 12.5, 15.0, 17.5, 20.0, 22.5, 25.0)
_AT_ONCE = 5_000


def right(classifier: ChunkClassifier, chunks: np.ndarray, name: str) -> np.ndarray:
    """Return bool [N]: which chunks a model names rightly, among the nine."""
    classes = classifier.contract.classes
    columns = [classes.index(member.name) for member in THESIS_9.members]
    named = classifier.classify(chunks).log_probabilities[:, columns]
    return np.asarray(named.argmax(axis=1) == [m.name for m in THESIS_9.members].index(name))


def measure(
    pairs: dict[str, tuple[ChunkClassifier, ChunkClassifier]], level: float, count: int, seed: int
) -> Any:
    """Return for each model: shares right with either aligner, and the difference, integer minus floating point."""
    counts = {
        model: np.zeros(4, np.int64) for model in pairs
    }  # both float, integer, only integer, only float
    for stream, member in enumerate(THESIS_9.members):
        rng = np.random.default_rng([seed, round(1000 * level), stream])
        for start in range(0, count, _AT_ONCE):
            chunks = fresh_chunks(member, min(_AT_ONCE, count - start), 32, level, rng)
            for model, (old, new) in pairs.items():
                a, b = right(old, chunks, member.name), right(new, chunks, member.name)
                counts[model] += [a.sum(), b.sum(), (b & ~a).sum(), (a & ~b).sum()]
    total = count * len(THESIS_9.members)
    return {
        model: {
            "floating_point": round(float(old / total), 6),
            "integer": round(float(new / total), 6),
            **PairedDifference(int(first), int(second), total).as_dict(),
        }
        for model, (old, new, first, second) in counts.items()
    }


def main() -> None:
    """Measure all models at all levels."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("old", type=Path, help="folder with the models whose aligner is in floating point")
    parser.add_argument("models", nargs="*", default=MODELS, help="without: the four quantised ones")
    parser.add_argument(
        "--chunks", type=int, default=20_000, help="of each class at each Es/N0 (default 20,000)"
    )
    parser.add_argument("--levels", type=float, nargs="+", default=LEVELS, metavar="DB", help="Es/N0")
    parser.add_argument("--seed", type=int, default=20261201)
    parser.add_argument("-o", "--output", type=Path, default=RESULTS)
    given = parser.parse_args()
    pairs = {
        model: (make_classifier(given.old / f"{model}.onnx", "onnx"), make_classifier(model, "auto"))
        for model in given.models
    }
    began = time.process_time()
    found = {}
    for level in given.levels:
        found[f"{level:g}"] = measure(pairs, level, given.chunks, given.seed)
        for model, row in found[f"{level:g}"].items():
            print(f"{level:5g} dB {model}: {row}", flush=True)
    about = machine(seed=given.seed, processor_seconds=round(time.process_time() - began))
    write_whole(given.output, json.dumps(about | {"levels": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
