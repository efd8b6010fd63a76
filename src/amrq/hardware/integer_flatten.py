# SPDX-License-Identifier: GPL-3.0-or-later
"""All symbols' channels as one vector."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from amrq.hardware.fixed_point import FixedPoint

__all__ = ["IntegerFlatten"]


@dataclass(frozen=True)
class IntegerFlatten:
    """Put a chunk's symbols into one vector, channel by channel, as ONNX's Flatten does; nothing is computed.

    Attributes:
        channels: of the layer before it.
        symbols: that it gets of a chunk: fewer than the chunk has, where there are max pools.
        output: what it gets and gives.
    """

    channels: int
    symbols: int
    output: FixedPoint

    name = "flatten"

    @property
    def outputs(self) -> int:
        """Numbers out."""
        return self.channels * self.symbols

    def run(self, x: NDArray[np.int64]) -> NDArray[np.int64]:
        """int64 [N, symbols, channels] -> int64 [N, channels * symbols]."""
        return np.ascontiguousarray(x.transpose(0, 2, 1)).reshape(len(x), self.outputs)
