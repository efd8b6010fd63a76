#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What hardware's decisions lose if a shift sets the level instead of a division by the chunk's RMS.

A shift brings a chunk's RMS to within a factor of the square root of 2 of its place (3 dB); what is left is drawn
uniformly in dB. Printed is the share of right decisions, the class that of the best hypothesis, 9 bits of I and Q.

Example: python3 benchmarks/rtl_level.py coherent-small-int4
"""

import argparse

import numpy as np

from amrq.chunks import normalise
from amrq.evaluation import fresh_chunks
from amrq.hardware import IntegerInputs, IntegerNetwork
from amrq.hardware.rtl import PipelineDesign


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", metavar="MODEL")
    parser.add_argument("--chunks", type=int, default=1000, help="of a class at a level of Es/N0")
    parser.add_argument("--seed", type=int, default=20261124)
    arguments = parser.parse_args()
    network = IntegerNetwork.from_onnx(arguments.model)
    port = PipelineDesign(network, 9).port
    names, length = network.contract.classes, network.mean.symbols
    rng = np.random.default_rng(arguments.seed)
    labels = np.repeat(np.arange(len(names)), arguments.chunks)
    side = np.zeros((len(labels), network.side_inputs), np.int64)
    for es_n0_db in (5.0, 10.0, 15.0, 20.0):
        chunks = [
            fresh_chunks(name, arguments.chunks, length, es_n0_db, rng, any_phase=False) for name in names
        ]
        iq = normalise(np.concatenate(chunks)).iq
        left = 2 ** rng.uniform(-0.5, 0.5, (len(iq), 1, 1))
        right = []
        for level in (1.0, left):
            symbols = port.symbols(port.integers((iq * level).astype(np.float32)))
            found = network.decide(network.run(IntegerInputs(symbols, side)))
            right.append(100 * float((found == labels).mean()))
        print(f"{es_n0_db:g} dB: {right[0]:.1f} % normalised, {right[1]:.1f} % shifted", flush=True)


if __name__ == "__main__":
    main()
