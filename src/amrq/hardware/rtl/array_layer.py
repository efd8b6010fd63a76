# SPDX-License-Identifier: GPL-3.0-or-later
"""A layer as the multiplier array goes through it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from amrq.hardware.integer_layer import IntegerLayer

__all__ = ["ArrayLayer"]

_LEAST_SHIFT = -9
"""What is shifted further to the left saturates to 8 bits all the same."""


@dataclass(frozen=True, eq=False)
class ArrayLayer:
    """Groups of outputs, positions, terms.

    Attributes:
        layer: what is computed.
        taps: int64 [out, terms], weights in the order of the numbers that they meet: symbol by symbol.
        positions: at which an output is computed.
        step: numbers from one position's first to the next one's.
        reach: numbers that the first position's stretch begins before the chunk.
        limit: numbers that the layer is given.
        lanes: outputs made at a time.
    """

    layer: IntegerLayer
    taps: NDArray[np.int64]
    positions: int
    step: int
    reach: int
    limit: int
    lanes: int

    @classmethod
    def convolution(cls, layer: IntegerLayer, symbols: int, lanes: int) -> "ArrayLayer":
        """Return a layer that runs at every one of `symbols` symbols."""
        taps = layer.weights.transpose(0, 2, 1).reshape(layer.outputs, -1).astype(np.int64)
        reach = layer.kernel // 2 * layer.inputs
        return cls(layer, taps, symbols, layer.inputs, reach, symbols * layer.inputs, lanes)

    @classmethod
    def dense(cls, layer: IntegerLayer, symbols: int, lanes: int) -> "ArrayLayer":
        """Return a layer that runs once, on `symbols` symbols whose channels the weights take one after the other."""
        by_channel = layer.weights.reshape(layer.outputs, -1, symbols).astype(np.int64)
        taps = by_channel.transpose(0, 2, 1).reshape(layer.outputs, -1)
        return cls(layer, taps, 1, 0, 0, layer.inputs, lanes)

    @property
    def terms(self) -> int:
        """Products of a sum."""
        return self.taps.shape[1]

    @property
    def groups(self) -> int:
        """Rounds in which all outputs are made."""
        return -(-self.layer.outputs // self.lanes)

    @property
    def last_lanes(self) -> int:
        """Lanes that the last round has use for."""
        return self.layer.outputs - (self.groups - 1) * self.lanes

    @property
    def span(self) -> int:
        """Clocks of a sum; one more sum may not be complete before the one before has left the lanes."""
        return max(self.terms, self.lanes)

    @property
    def clocks(self) -> int:
        """Clocks of the loops, without what a layer takes to begin and to end."""
        return self.groups * self.positions * self.span

    @property
    def shifts(self) -> NDArray[np.int64]:
        """int64 [out], to the right, of a layer that rounds: those that make a difference."""
        return self.layer.shifts.clip(_LEAST_SHIFT, self.layer.accumulator_bits + 1)

    def words(self, weight_bits: int) -> list[int]:
        """Return the weights in the order of their use, a word a clock, the first lane in the lowest bits."""
        placed = np.zeros((self.groups * self.lanes, self.terms), np.int64)
        placed[: self.layer.outputs] = self.taps
        rows = placed.reshape(self.groups, self.lanes, self.terms).transpose(0, 2, 1).reshape(-1, self.lanes)
        rows = rows % (1 << weight_bits)
        return [sum(w << weight_bits * k for k, w in enumerate(row)) for row in rows.tolist()]
