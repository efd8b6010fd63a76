# SPDX-License-Identifier: GPL-3.0-or-later
"""How much of a chunk was not in the one before it."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["new_share"]


def new_share(sample_indices: NDArray[np.int64], last: int | None, chunk_length: int) -> NDArray[np.float64]:
    """Return the share of each chunk's samples that the chunk before it has not got.

    Args:
        sample_indices: int64 [N], index of each chunk's first sample.
        last: that of the chunk before these; None if there is none.
        chunk_length: samples a chunk.

    Returns:
        float64 [N], 0 to 1; 1 where the index goes back, which means another stream.
    """
    if not len(sample_indices):
        return np.empty(0)
    before = sample_indices[0] - chunk_length if last is None else last
    step = np.diff(sample_indices, prepend=before)
    return np.where(step < 0, 1.0, np.minimum(step / chunk_length, 1.0))
