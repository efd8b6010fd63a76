# SPDX-License-Identifier: GPL-3.0-or-later
"""What a network in integers is given."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["IntegerInputs"]


class IntegerInputs(NamedTuple):
    """What goes into the hardware for N chunks.

    Attributes:
        symbols: int64 [N, L, C], symbol by symbol, within the range of the first layer's `input`.
        side: int64 [N, S], what joins the mean or the flattened symbols, within the range of the first head layer's
            `input`; S may be 0.
    """

    symbols: NDArray[np.int64]
    side: NDArray[np.int64]

    def part(self, start: int, stop: int) -> "IntegerInputs":
        """Return those of chunks `start` up to `stop`."""
        return IntegerInputs(self.symbols[start:stop], self.side[start:stop])
