# SPDX-License-Identifier: GPL-3.0-or-later
"""What a classifier says of a batch of chunks."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Evidence"]


class Evidence(NamedTuple):
    """Log-probabilities of a batch of N chunks over C classes.

    Attributes:
        log_probabilities: float32 [N, C], natural logarithms, each row sums to 1 after `exp`; a row of zeros
            where the chunk is not usable, which adds nothing when chunks are fused.
        power: float32 [N], mean |z|^2 of each chunk; NaN where its samples are not finite.
        usable: bool [N]; False for silence and for chunks with samples that are not finite.
    """

    log_probabilities: NDArray[np.float32]
    power: NDArray[np.float32]
    usable: NDArray[np.bool_]

    def part(self, start: int, stop: int) -> "Evidence":
        """Return the evidence of chunks `start` up to `stop`."""
        chunks = slice(start, stop)
        return Evidence(self.log_probabilities[chunks], self.power[chunks], self.usable[chunks])
