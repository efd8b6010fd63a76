# SPDX-License-Identifier: GPL-3.0-or-later
"""Logarithm of a sum of exponentials, where time goes."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["log_sum_exp"]


def log_sum_exp(values: NDArray[np.float32], stride: int = 1) -> NDArray[np.float64]:
    """Return ln of the sum of e^values over the first and the last axis.

    Args:
        values: float32 [A, N, P]; overwritten.
        stride: look for the largest in every how many of the first axis alone. Where neighbours differ by little,
            that is as good: what it misses must stay below e^88, single precision's largest.

    Returns:
        float64 [N].
    """
    top = values[::stride].max(axis=(0, 2))
    values -= top[:, None]
    np.exp(values, out=values)
    # Along the rows first, where NumPy's sum is pairwise and fast.
    return np.asarray(top + np.log(values.sum(axis=2).sum(axis=0, dtype=np.float64)))
