# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables of the integer phase aligner: a few hundred small integers, computed alike on every machine."""

import functools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "ANGLE_BITS",
    "COORDINATE_BITS",
    "GRIDS",
    "POWERS",
    "AlignerTables",
    "Grid",
    "aligner_tables",
    "magnitude_rows",
]

POWERS = (2, 4, 4, 4, 8, 16)
"""For each copy of a chunk: the power M of its symbols whose sum gives its phase."""

COORDINATE_BITS = 9
"""Fractional bits of I and Q after the level control: the RMS of a chunk is 2^9."""

ANGLE_BITS = 16
"""Bits of a whole turn, so that angles wrap as integers do."""


@dataclass(frozen=True)
class Grid:
    """The square grid that a copy is fitted to, with points at odd multiples of a step.

    Attributes:
        copy: which of `POWERS`.
        points_power: mean power of the grid's points, in squared steps: 10 for 16QAM, 20 for the cross of 32QAM.
        thresholds: of |I| or |Q|, in units of 2^-9: the odd multiple is 1, and 2 more for each threshold reached.
        gain: numerator of the gain that brings the copy to unit power (`IntegerAligner`).
    """

    copy: int
    points_power: int
    thresholds: tuple[int, ...]
    gain: int


_CORDIC_STEPS = 12
_CORDIC_GAIN = math.prod(math.sqrt(1 + 4.0**-i) for i in range(_CORDIC_STEPS))


def _grid(copy: int, points_power: int, thresholds: int) -> Grid:
    step = 2**COORDINATE_BITS / math.sqrt(points_power)
    return Grid(
        copy,
        points_power,
        tuple(math.ceil(2 * number * step) for number in range(1, thresholds + 1)),
        round(step * _CORDIC_GAIN * 2**17),
    )


GRIDS = (_grid(2, 10, 1), _grid(3, 20, 2))
"""Of 16QAM and of the cross of 32QAM."""

_WEIGHTS = (
    (-1.392238, -0.05237765, 0.8411844, -1.0417355, 1.8499267, 1.2862239, -1.7940193, 0.42988542, 1.3141286),
    (
        0.052735936,
        0.39007998,
        -0.19432509,
        0.082984455,
        -0.24493593,
        -0.8235322,
        1.124491,
        0.01497211,
        -1.1651495,
    ),
    (0.8798662, -1.1048105, 1.15712, 1.0145992, 0.8181417, 1.3381895, -3.858047, -2.5169396, -0.14275785),
    (
        -0.07185015,
        -0.029296404,
        -6.211947,
        10.681547,
        8.931225,
        -9.010743,
        -5.8512516,
        -0.0072135176,
        0.24145442,
    ),
    (0.316667, -1.0678877, 0.91150147, -0.6152015, 0.85613066, 2.3064725, -2.5064738, -0.6930314, 1.1158352),
    (
        0.4925748,
        -0.40959078,
        0.67702687,
        -0.08238197,
        -0.108294755,
        3.2414331,
        -4.1160274,
        -1.5741683,
        0.9522423,
    ),
)
"""For each copy the polynomial in x = 2 min(|z|^2, 2.5) / 2.5 - 1, highest power first, that weighs a symbol.

It minimises the variance of the phase estimate over the constellations that the copy is meant for
(`amrq.training.architectures.PhaseAligner`, which fits it)."""
_LARGEST = 2.5
_SOFTENING = 0.05
"""Added to |z|^2 before its reciprocal: symbols so weak that their phase says nothing count less."""


@dataclass(frozen=True, eq=False)
class AlignerTables:
    """What `IntegerAligner` looks up.

    Attributes:
        level: int64 [256], 2^10 sqrt(2) 2^9 / sqrt(1024 (k + 1/2)) for k from 64 up: 12 bits.
        shrink: int64 [512], 2^10 / (|z|^2 + 0.05) in each bin of |z|^2: 15 bits.
        weights: int64 [512, 6], the weight of a symbol in each copy's sum, in units of 2^-4: 8 bits with sign.
        magnitude: int64 [512], |z| in units of 2^-5: 8 bits.
        cosine: int64 [1024], 2047 cos(2 pi k / 1024): 12 bits with sign; the sine is 256 places before it.
        arctangents: int64 [12], atan(2^-i) in units of 2^-16 turns.
    """

    level: NDArray[np.int64]
    shrink: NDArray[np.int64]
    weights: NDArray[np.int64]
    magnitude: NDArray[np.int64]
    cosine: NDArray[np.int64]
    arctangents: NDArray[np.int64]

    @property
    def sine(self) -> NDArray[np.int64]:
        """int64 [1024], 2047 sin(2 pi k / 1024)."""
        return np.roll(self.cosine, 256)


def magnitude_rows(squared: NDArray[Any]) -> NDArray[np.int64]:
    """Return the row of the tables for squared magnitudes.

    The rows are finest where the magnitude is small: below 2^14 (|z|^2 = 1/16) a row has 2^7 values, below 2^20
    (|z|^2 = 4) it has 2^12, above 2^17. The row's number consists of bits of the squared magnitude, after a prefix.

    Args:
        squared: |z|^2 in units of 2^-18, whole numbers from 0 to 2^24 - 1, any shape.

    >>> magnitude_rows(np.array([0, 300, 1 << 18, 1 << 20])).tolist()
    [0, 2, 192, 392]
    """
    given = np.asarray(squared, np.int64)
    fine, middle, coarse = given >> 7, 128 + (given >> 12), 384 + (given >> 17)
    return np.where(given < 1 << 14, fine, np.where(given < 1 << 20, middle, coarse))


def _bin_centres() -> NDArray[np.float64]:
    """Return |z|^2 in the middle of each row's bin; rows that no |z|^2 reaches get one like their neighbours'."""
    row = np.arange(512)
    fine, middle, coarse = (row + 0.5) * 2**7, (row - 128 + 0.5) * 2**12, (row - 384 + 0.5) * 2**17
    centres = np.where(row < 128, fine, np.where(row < 384, middle, coarse))
    return np.asarray(centres / 2 ** (2 * COORDINATE_BITS), np.float64)


@functools.cache
def aligner_tables() -> AlignerTables:
    """Return the tables.

    Every entry is a rounded real number. None of these lies so close to the middle between two integers that a last
    bit of another machine's square root or cosine could round it otherwise; a test holds that.
    """
    found = {name: np.rint(values).astype(np.int64) for name, values in _unrounded_tables().items()}
    for values in found.values():
        values.flags.writeable = False
    return AlignerTables(**found)


def _unrounded_tables() -> dict[str, NDArray[np.float64]]:
    """Return the tables before their rounding, by name."""
    z2 = _bin_centres()
    x = np.minimum(z2, _LARGEST) * (2 / _LARGEST) - 1
    weights = np.stack([np.polyval(np.array(one), x) for one in _WEIGHTS], axis=1)
    level = np.maximum(np.arange(256), 64)
    return {
        "level": 2**10 * math.sqrt(2) * 2**COORDINATE_BITS / np.sqrt(2**10 * (level + 0.5)),
        "shrink": 2**10 / (z2 + _SOFTENING),
        "weights": 2**4 * weights,
        "magnitude": np.minimum(2**5 * np.sqrt(z2), 127),
        "cosine": 2047 * np.cos(2 * np.pi * np.arange(1024) / 1024),
        "arctangents": np.arctan(2.0 ** -np.arange(_CORDIC_STEPS)) * 2**ANGLE_BITS / (2 * np.pi),
    }
