#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare the integer aligner's Verilog with its definition on many chunks, in Verilator.

Chunks are of all classes at 0 to 30 dB Es/N0, any phase, at levels from the last bits to full scale, every eighth an
extreme one: silence, one symbol, both ends at random, the last bit. All 15 numbers of each symbol and all 8 of each
chunk must be equal to the bit, with symbols as fast as they may come and again at random times, after a reset in the
middle of a chunk.

Example: python3 benchmarks/aligner_check.py --input-bits 8 --chunks 10000
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np

from amrq.classes import THESIS_9
from amrq.evaluation import fresh_chunks
from amrq.hardware.rtl import AlignerDesign, cosimulate


def received(bits: int, count: int, generator: np.random.Generator) -> np.ndarray:
    """Return int64 [count, 32, 2]."""
    lowest, highest = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    chunks = np.zeros((count, 32, 2))
    for number, sent in enumerate(THESIS_9.members):
        places = np.arange(number, count, len(THESIS_9.members))
        for place in places:
            (made,) = fresh_chunks(sent, 1, 32, float(generator.uniform(0, 30)), generator)
            level = 10 ** generator.uniform(0, np.log10(highest / 2))
            chunks[place] = np.rint(level * np.stack([made.real, made.imag], axis=1))
    for kind, place in enumerate(range(7, count, 8)):
        chunks[place] = 0
        if kind % 4 == 1:
            chunks[place, generator.integers(32)] = generator.integers(lowest, highest + 1, 2)
        elif kind % 4 == 2:
            chunks[place] = generator.choice([lowest, highest], (32, 2))
        elif kind % 4 == 3:
            chunks[place] = generator.integers(-1, 2, (32, 2))
    return chunks.clip(lowest, highest).astype(np.int64)


def main() -> None:
    """Check one width and one fold."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--input-bits", type=int, default=8)
    parser.add_argument("--fold", type=int, default=4, help="clocks a symbol, 4 or 8")
    parser.add_argument("--chunks", type=int, default=1600)
    parser.add_argument("--seed", type=int, default=20261130)
    arguments = parser.parse_args()
    chunks = received(arguments.input_bits, arguments.chunks, np.random.default_rng(arguments.seed))
    with tempfile.TemporaryDirectory() as folder:
        AlignerDesign(arguments.input_bits, arguments.fold).write(Path(folder), chunks)
        print(cosimulate(Path(folder), "verilator"))


if __name__ == "__main__":
    main()
