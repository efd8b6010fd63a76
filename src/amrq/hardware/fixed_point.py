# SPDX-License-Identifier: GPL-3.0-or-later
"""What the 8 bits of an activation stand for."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from amrq.errors import AmrqError

__all__ = ["FixedPoint"]


@dataclass(frozen=True)
class FixedPoint:
    """Integers of 8 bits; integer n stands for n times 2^exponent.

    Attributes:
        exponent: of the last bit's weight.
        signed: -128 to 127; otherwise 0 to 255, as behind a ReLU.
    """

    exponent: int
    signed: bool

    bits = 8

    @property
    def lowest(self) -> int:
        """The smallest integer."""
        return -128 if self.signed else 0

    @property
    def highest(self) -> int:
        """The largest integer."""
        return 127 if self.signed else 255

    def integers(self, values: NDArray[np.float32]) -> NDArray[np.int64]:
        """Round real numbers, half to even, and saturate: what a converter before the hardware does.

        Args:
            values: float32, any shape.

        Returns:
            int64 of the same shape.

        Raises:
            AmrqError: a value is no number.
        """
        if np.isnan(values).any():
            raise AmrqError(
                "the network's input holds values that are no numbers (NaN): nothing can be said of them."
            )
        with np.errstate(over="ignore"):  # infinity saturates as any large value does
            steps = np.ldexp(values, -self.exponent)
        return np.rint(steps).clip(self.lowest, self.highest).astype(np.int64)
