# SPDX-License-Identifier: GPL-3.0-or-later
"""What a classifier says of a batch of chunks."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Evidence"]


class Evidence(NamedTuple):
    """What a batch of N chunks says about C classes and H hypotheses.

    Attributes:
        log_probabilities: float32 [N, C], of each class given this chunk alone; natural logarithms, each row sums
            to 1 after `exp`.
        log_likelihoods: float32 [N, H], of this chunk given each hypothesis, up to a constant a row: what is summed
            when chunks are fused.
        power: float32 [N], mean |z|^2 of each chunk; NaN where its samples are not finite.
        usable: bool [N]; False for silence and for chunks with samples that are not finite, whose rows are zero
            and say nothing.
        lost: bool [N]; True for chunks that nobody classified (a board that is gone), which are not usable either but
            are no silence: nothing is known of them. None: there are none.
    """

    log_probabilities: NDArray[np.float32]
    log_likelihoods: NDArray[np.float32]
    power: NDArray[np.float32]
    usable: NDArray[np.bool_]
    lost: NDArray[np.bool_] | None = None

    def part(self, start: int, stop: int) -> "Evidence":
        """Return the evidence of chunks `start` up to `stop`."""
        return self.select(slice(start, stop))

    def select(self, chunks: slice | NDArray[np.bool_] | NDArray[np.int64]) -> "Evidence":
        """Return the evidence of some chunks."""
        return Evidence(*(None if column is None else column[chunks] for column in self))  # type: ignore[arg-type]
