# SPDX-License-Identifier: GPL-3.0-or-later
"""The numbers that I and Q enter the hardware as."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from amrq.errors import AmrqError
from amrq.hardware.fixed_point import FixedPoint

__all__ = ["InputPort"]


@dataclass(frozen=True)
class InputPort:
    """I and Q in two's complement, and how hardware makes the first layer's inputs of them; the golden model of both.

    A first layer without sign reads 0 to 255. As signed numbers these need 9 bits, so a port of 8 bits counts in steps
    twice as large and covers the same range: it gives up the last bit. From 9 bits on the port counts in the layer's
    own steps and nothing is lost: what saturates there saturates in the layer too.

    Attributes:
        bits: width of I and of Q, 8 to 16.
        fold: whether the layer is given magnitudes.
        layer: what the first layer's inputs are.

    Raises:
        AmrqError: the width is another one.
    """

    bits: int
    fold: bool
    layer: FixedPoint

    def __post_init__(self) -> None:
        """Refuse other widths."""
        if not 8 <= self.bits <= 16:
            raise AmrqError(f"I and Q can have 8 to 16 bits each, not {self.bits}.")

    @property
    def left(self) -> int:
        """Places that hardware shifts to the left, from the port's steps to the layer's."""
        return max(self.layer.bits + (not self.layer.signed) - self.bits, 0)

    @property
    def exponent(self) -> int:
        """Integer n on the port stands for n times 2^exponent."""
        return self.layer.exponent + self.left

    @property
    def lowest(self) -> int:
        """The smallest integer."""
        return -(1 << (self.bits - 1))

    @property
    def highest(self) -> int:
        """The largest integer."""
        return (1 << (self.bits - 1)) - 1

    @property
    def component(self) -> int:
        """Bits of the stream that I takes, and Q: whole bytes."""
        return 8 * -(-self.bits // 8)

    @property
    def declaration(self) -> list[str]:
        """The stream's port in Verilog, I in its lower half."""
        port = f"    input  wire [{2 * self.component - 1}:0] s_axis_tdata,"
        if self.component == self.bits:
            return [port]
        return [
            "    /* verilator lint_off UNUSEDSIGNAL */  // I and Q fill no whole bytes",
            port,
            "    /* verilator lint_on UNUSEDSIGNAL */",
        ]

    def integers(self, iq: NDArray[np.float32]) -> NDArray[np.int64]:
        """Round normalised I and Q, half to even, and saturate.

        Args:
            iq: float32 [N, 2, L].

        Returns:
            int64 [N, L, 2].

        Raises:
            AmrqError: a value is no number.
        """
        if np.isnan(iq).any():
            raise AmrqError("the chunks hold values that are no numbers (NaN): nothing can be said of them.")
        steps = np.rint(np.ldexp(iq, -self.exponent)).clip(self.lowest, self.highest)
        return steps.astype(np.int64).transpose(0, 2, 1)

    def symbols(self, integers: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return what hardware hands to the first layer: int64 [N, L, 2] to the same.

        The magnitude of -128 is 128, since it has a bit more than the port.
        """
        values = np.abs(integers) if self.fold else integers
        return (values << self.left).clip(self.layer.lowest, self.layer.highest)
