# SPDX-License-Identifier: GPL-3.0-or-later
"""Interpolation on a uniform grid by the cubic through the four nearest nodes."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["cubic"]


def cubic(position: NDArray[np.float64], count: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the nodes and weights that interpolate at `position`.

    Lagrange's formula for four points; exact for polynomials up to the third degree.

    Args:
        position: float [...], in steps from node 0, not negative; what lies beyond the last cell is taken at its end.
        count: number of nodes (4 or more).

    Returns:
        int64 [...], the first of the four nodes, -1 to count - 4; node -1 is for the caller to supply, for example by
        symmetry. And float64 [4, ...], the weights of the four.
    """
    clipped = np.minimum(position, count - 2).astype(np.float64)
    cell = np.minimum(clipped.astype(np.int64), count - 3)
    t = clipped - cell
    a, b, c = t + 1, t - 1, t - 2
    bc, at = b * c, a * t
    weights = np.stack([t * bc * (-1 / 6), a * bc * 0.5, at * c * -0.5, at * b * (1 / 6)])
    return cell - 1, weights
