# SPDX-License-Identifier: GPL-3.0-or-later
"""Likelihoods of rectangular constellations at known phase, I and Q each on its own."""

import numpy as np
from numpy.typing import NDArray

from amrq.likelihood.cubic import cubic
from amrq.likelihood.log_sum_exp import log_sum_exp
from amrq.likelihood.nodes import Nodes
from amrq.modulations import Modulation

__all__ = ["AxisKernel"]


def _levels(coordinates: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.unique(coordinates.round(6))


class AxisKernel:
    """Log-likelihoods at known phase of a constellation whose points are all pairs of an I and a Q level.

    ln p(r_k) is then a function of I plus one of Q. Summed over the symbols of a chunk, each is the chunk's histogram
    of |I| (or |Q|) times a table over the histogram's bins, a matrix product for all chunks and nodes. The bins
    interpolate: a symbol counts in four of them with the weights of `cubic`.

    Args:
        modulation: the class, `separable`.
        nodes: where to evaluate; float64 [P] each.
        step: width of a bin.
        bins: number of bins, the first at 0.
    """

    def __init__(self, modulation: Modulation, nodes: Nodes, step: float, bins: int) -> None:
        self._log_weight = nodes.log_weight.astype(np.float32)
        points = modulation.points.astype(np.complex128)
        amplitude = np.arange(bins)[:, None] * step * nodes.gain
        tables = [
            np.logaddexp.reduce([-((amplitude - level) ** 2) / nodes.noise_power for level in levels])
            - np.log(len(levels))
            for levels in (_levels(points.real), _levels(points.imag))
        ]
        self._table = np.concatenate(tables).astype(np.float32)

    @staticmethod
    def separable(modulation: Modulation) -> bool:
        """Whether this kernel can serve the modulation."""
        points = modulation.points.astype(np.complex128)
        levels = [_levels(part) for part in (points.real, points.imag)]
        even = all(np.allclose(axis, -axis[::-1], atol=1e-5) for axis in levels)
        return even and len(levels[0]) * len(levels[1]) == modulation.order

    @staticmethod
    def features(chunks: NDArray[np.complex128], step: float, bins: int) -> NDArray[np.float32]:
        """Return the histograms of |I| and |Q|, side by side: float32 [N, 2 bins], of chunks complex [N, L]."""
        count = len(chunks)
        both = np.abs(np.stack([chunks.real, chunks.imag], axis=1))
        first, weights = cubic(both / step, bins)
        # A bin more in front, for the node at -step: both functions are even, so that it is the one at +step.
        flat = first + 1 + (np.arange(2 * count) * (bins + 1)).reshape(count, 2, 1)
        sums = np.zeros(2 * count * (bins + 1))
        for tap in range(4):
            sums += np.bincount((flat + tap).ravel(), weights[tap].ravel(), len(sums))
        histogram = sums.reshape(count, 2, bins + 1)
        histogram[:, :, 2] += histogram[:, :, 0]
        return histogram[:, :, 1:].reshape(count, 2 * bins).astype(np.float32)

    def log_likelihoods(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the logarithm of the likelihoods' weighted sum over the nodes, float64 [N]."""
        return log_sum_exp((features @ self._table + self._log_weight)[None])
