# SPDX-License-Identifier: GPL-3.0-or-later
"""A testbench with its vectors."""

import numpy as np
from numpy.typing import NDArray

from amrq.hardware.integer_inputs import IntegerInputs
from amrq.hardware.rtl.design import Design
from amrq.hardware.rtl.templates import rendered

__all__ = ["testbench"]


def testbench(
    design: Design, symbols: NDArray[np.int64], side: NDArray[np.int64], seed: int = 1
) -> dict[str, str]:
    """Return the testbench and its vectors by file name.

    Args:
        design: what is tested.
        symbols: int64 [N, L, 2], I and Q as the port takes them.
        side: int64 [N, S], what joins the mean.
        seed: of the stalls.
    """
    network, port = design.network, design.port
    expected = network.run(IntegerInputs(port.symbols(symbols), side)).integers
    best = expected.argmax(axis=1)
    classes = network.class_of_hypothesis[best]
    component = design.symbol_bits // 2
    unit = 1 << component
    words = (symbols[..., 0] % unit) + (symbols[..., 1] % unit) * unit
    beats = np.zeros((len(expected), design.beats * design.per_beat), np.int64)
    beats[:, : expected.shape[1]] = expected
    parts = (beats % (1 << 32)).reshape(-1, design.per_beat)
    sides = [sum(int(v) % 256 << 8 * k for k, v in enumerate(row)) for row in side]
    # Until all places are taken and the next chunk waits with its last symbol; stalls make that take longer.
    long_stall = 2 * (design.places + 2) * design.clocks_a_chunk + 2 * design.latency

    def lines(numbers: list[int], bits: int) -> str:
        return "".join(f"{n:0{-(-bits // 4)}x}\n" for n in numbers)

    return {
        "testbench.v": rendered(
            "testbench.v.in",
            design=design,
            chunks=len(symbols),
            length=network.contract.chunk_length,
            long_stall=long_stall,
            patience=10_000 + 2 * long_stall,
            seed=seed,
        ),
        "vectors/symbols.hex": lines([int(w) for w in words.ravel()], design.symbol_bits),
        "vectors/sides.hex": lines(sides, max(design.side_bits, 8)),
        "vectors/scores.hex": lines(
            [sum(int(v) << 32 * k for k, v in enumerate(row)) for row in parts], 32 * design.per_beat
        ),
        "vectors/answers.hex": lines([int(h) << 8 | int(c) for h, c in zip(best, classes, strict=True)], 16),
    }
