# SPDX-License-Identifier: GPL-3.0-or-later
"""The mean over the symbols in integers."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from amrq.errors import AmrqError
from amrq.hardware.fixed_point import FixedPoint
from amrq.hardware.requantise import requantise

__all__ = ["IntegerMean"]


@dataclass(frozen=True)
class IntegerMean:
    """Sum a channel over the symbols of a chunk, shift, round half to even, saturate.

    Attributes:
        channels: of the layer before it.
        symbols: of a chunk (L), a power of two.
        input: what it adds.
        output: what it gives.

    Raises:
        AmrqError: dividing by the number of symbols is no shift.
    """

    channels: int
    symbols: int
    input: FixedPoint
    output: FixedPoint

    name = "mean"

    def __post_init__(self) -> None:
        """Refuse what hardware cannot shift."""
        if self.symbols < 1 or self.symbols & (self.symbols - 1):
            raise AmrqError(
                f"the mean over {self.symbols} symbols is no shift: hardware needs a chunk length that is a power "
                "of two."
            )

    @property
    def outputs(self) -> int:
        """Numbers out."""
        return self.channels

    @property
    def shift(self) -> int:
        """Places that a sum is shifted to the right; below zero to the left."""
        return self.output.exponent - self.input.exponent + self.symbols.bit_length() - 1

    @property
    def accumulator_bits(self) -> int:
        """Bits that no sum overflows, sign included where the input has one."""
        return self.input.bits + self.symbols.bit_length() - 1

    def run(self, x: NDArray[np.int64]) -> NDArray[np.int64]:
        """int64 [N, L, channels] -> int64 [N, channels]."""
        return requantise(x.sum(axis=1), self.shift, self.output.lowest, self.output.highest)
