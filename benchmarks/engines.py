#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Do all engines give the same scores, and how fast? Quantised models with the integer aligner, on the same chunks.

100,000 chunks of 16-bit integers: the nine classes at 0 to 30 dB in every phase, at levels over 60 dB; noise of every
level, silence, impulses, the last bit, full scale, two levels in one chunk. Every engine is given the same integers:
the reference in NumPy, ONNX Runtime, and the compiled network with each kind of instructions that the processor has.
Times are of processor time (one thread), the least of some rounds that take turns.

Example: OMP_NUM_THREADS=1 python3 benchmarks/engines.py -o benchmarks/results/engines.json
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from resumable import machine

from amrq.classes import THESIS_9
from amrq.classifier import Engine, OnnxEngine, logits_of
from amrq.evaluation import fresh_chunks
from amrq.files import write_whole
from amrq.hardware import IntegerEngine, NativeEngine
from amrq.native import kernels

MODELS = ("blind-full-int8", "blind-full-int4", "blind-small-int8", "blind-small-int4")
SEED = 20261130
HIGHEST = (1 << 15) - 1
BATCH = 1024


def chunks(count: int) -> NDArray[np.int16]:
    """Return what every engine is given: int16 [count, 2, 32], nine tenths of it signals."""
    generator = np.random.default_rng(SEED)
    parts = []
    each = count // 500
    for name in THESIS_9:
        for _ in range(50):
            z = fresh_chunks(name, each, 32, float(generator.uniform(0, 30)), generator)
            z = z * 10 ** generator.uniform(0.4, 3.6, (each, 1))
            parts.append(np.stack([z.real, z.imag], axis=1))
    rest = (count - sum(map(len, parts))) // 6
    shape = (rest, 2, 32)
    noise = generator.standard_normal(shape) * 10 ** generator.uniform(-0.5, 4, (rest, 1, 1))
    impulse = np.zeros(shape)
    impulse[np.arange(rest), :, generator.integers(32, size=rest)] = generator.integers(
        -HIGHEST, HIGHEST, (rest, 2)
    )
    weak = generator.integers(-90, 91, shape)
    strong = np.where(generator.random(shape) < 0.5, -HIGHEST - 1, HIGHEST)
    often = generator.random((rest, 1, 32)) < generator.random((rest, 1, 1))
    parts += [noise, impulse, impulse + noise / 4, strong, np.where(often, strong, weak)]
    parts.append(generator.integers(-1, 2, (count - sum(map(len, parts)), 2, 32)))
    parts[-1][:10] = 0
    found = np.rint(np.concatenate(parts)).clip(-HIGHEST - 1, HIGHEST).astype(np.int16)
    generator.shuffle(found)
    return found


def scores(engine: Engine, iq: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the logits of all chunks."""
    parts = [logits_of(engine.run(iq[start : start + BATCH], None)) for start in range(0, len(iq), BATCH)]
    return np.concatenate(parts)


def seconds(engine: Engine, iq: NDArray[np.float32]) -> float:
    """Return the processor time of one pass over some chunks."""
    begun = time.process_time()
    for start in range(0, len(iq), BATCH):
        engine.run(iq[start : start + BATCH], None)
    return time.process_time() - begun


def measure(model: str, given: NDArray[np.int16], rounds: int) -> dict[str, Any]:
    """Return what is found of one model."""
    library = kernels()
    kinds = () if library is None else library.network_instructions()
    engines: dict[str, Engine] = {"integer": IntegerEngine(model), "onnx": OnnxEngine(model)}
    engines |= {f"native, {kind}": NativeEngine(model, kind) for kind in kinds}
    # Engines take floating point, of which they make these very integers.
    iq = given.astype(np.float32) * np.float32(2.0**-12)
    expected = scores(engines["integer"], iq)
    rows = {name: {"chunks": len(iq), "differ": 0} for name in engines}
    for name, engine in engines.items():
        if name != "integer":
            rows[name]["differ"] = int((scores(engine, iq) != expected).any(axis=1).sum())
    timed = {name: iq[: BATCH if name == "integer" else 20 * BATCH] for name in engines}
    least = dict.fromkeys(engines, np.inf)
    for _ in range(rounds):
        for name, engine in engines.items():
            least[name] = min(least[name], seconds(engine, timed[name]) / len(timed[name]))
    for name, row in rows.items():
        row["microseconds_a_chunk"] = round(1e6 * least[name], 2)
        row["chunks_a_second"] = round(1 / least[name])
    return {"model": model, "classes_found": len(np.unique(expected.argmax(axis=1))), "engines": rows}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="*", default=MODELS)
    parser.add_argument("--chunks", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("-o", "--output", type=Path, help="write the JSON here as well")
    arguments = parser.parse_args()
    given = chunks(arguments.chunks)
    found = machine(seed=SEED, models=[measure(model, given, arguments.rounds) for model in arguments.models])
    text = json.dumps(found, indent=2) + "\n"
    print(text, end="")
    if arguments.output:
        write_whole(arguments.output, text)


if __name__ == "__main__":
    main()
