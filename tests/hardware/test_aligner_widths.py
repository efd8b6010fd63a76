# SPDX-License-Identifier: GPL-3.0-or-later
"""The integer aligner's widths hold for every chunk there is: each bound follows from the one before and the tables.

What `docs/integer-network.md` calls bits, and the Verilog takes as bits, is held against bounds, not against chunks.
Everything rests on one number: the largest root of a chunk's power that the level control lets through.
"""

import math

import numpy as np

from amrq.hardware import GRIDS, POWERS, aligner_tables, magnitude_rows
from amrq.hardware.aligner_tables import _CORDIC_GAIN

LENGTH = 32
ROUNDED = 0.5 * math.sqrt(2 * LENGTH)
"""Root of the power that rounding half up can add to a chunk."""
FLOORED = math.sqrt(2)
"""Length that rounding down can add to a complex number."""
LARGEST_GAIN = 4095 / 2048


def levelled() -> float:
    """Return a bound of the root of a chunk's power after the level control.

    With p = sum of (x_I^2 + x_Q^2) >> 4 and k = p >> (10 + 2 e), 64 to 255, the power of the block is below
    16 (p + 32) and p below (k + 1) 2^(10 + 2 e).
    """
    k, e = np.meshgrid(np.arange(64, 256), np.arange(5))
    power = 16 * ((k + 1) * 2.0 ** (10 + 2 * e) + LENGTH)
    return float((aligner_tables().level[k] / 2.0 ** (10 + e) * np.sqrt(power)).max() + ROUNDED)


def fits(value: float, bits: int) -> bool:
    """Return whether a magnitude fits a number of so many bits, its sign among them."""
    return value < 2.0 ** (bits - 1) - 1


def cordic(length: float) -> float:
    """Return a bound of what CORDIC makes of a vector: each of 12 steps rounds down twice."""
    return _CORDIC_GAIN * (length + 12 * FLOORED)


def test_coordinates_and_rows():
    root = levelled()
    assert fits(root, 13) and root - ROUNDED + 0.5 < 2910  # one coordinate, as the page says
    assert root**2 < 2**24 and magnitude_rows(np.array([int(root**2)]))[0] < 512
    # (re^2 - im^2) >> 8 and (2 re im) >> 8; the product with the symbol before, of which two share the chunk's power
    assert fits(root**2 / 2**8 + 1, 17)
    assert fits(root**2 / 2 / 2**13 + 1, 14)


def test_powers_and_their_sums():
    root, tables = levelled(), aligner_tables()
    squared = np.arange(1 << 24, step=1 << 7)  # no row is finer
    rows = magnitude_rows(squared)
    lowest = squared.astype(float)
    power = (lowest + 2**7) / 2**8 + FLOORED  # at most, in these 2^7 values
    length = {2: power * tables.shrink[rows] / 2**9 + FLOORED}
    for m in (2, 4, 8):
        length[2 * m] = length[m] ** 2 / 2**11 + FLOORED
    there = lowest < root**2
    for values in length.values():
        assert fits(values[there].max(), 13)
    assert np.abs(tables.weights).max() < 128 and tables.shrink.max() < 1 << 15
    for copy, m in enumerate(POWERS):
        weighed = np.abs(tables.weights[rows, copy]) * length[m]
        # 32 symbols share the power: sum f(q) <= 32 max(f(q) - price q) + price root^2, whatever the price.
        prices = np.linspace(0, 1, 60) * weighed.max() / 2**18
        bound = min(LENGTH * (weighed - price * lowest)[there].max() + price * root**2 for price in prices)
        assert fits(bound, 24), (copy, bound)
        assert cordic(math.sqrt(2) * (bound / 2**7 + 1)) < 2**18


def test_both_fits_to_the_grids():
    root = levelled() + ROUNDED  # turned by at most 2047 / 2048
    assert fits(root, 13)
    steps = {grid: 2 * len(grid.thresholds) + 1 for grid in GRIDS}
    for _ in range(2):
        assert root**2 < 2**26
        for grid, most in steps.items():
            norm = LENGTH * 2 * most**2
            assert norm < 2**11 and fits(
                math.sqrt(norm) * root, 19
            )  # |sum q conj(z)|^2 <= sum |q|^2 sum |z|^2
            magnitude = cordic(math.sqrt(norm) * root)
            assert magnitude < 2**20
            # magnitude / norm is largest where the grid's power is least, 64; then the power left over
            assert 2**6 * cordic(root / math.sqrt(2 * LENGTH)) < 2**17
            explained = 2**6 * _CORDIC_GAIN**2 * (root + 12) ** 2 / 2**8
            assert explained < 2**29 and explained * 3021 / 2**11 < 2**26
            assert root**2 * grid.points_power < 2**31
        root = (LARGEST_GAIN + FLOORED / 2**11) * root + ROUNDED
        assert fits(root, 15)
