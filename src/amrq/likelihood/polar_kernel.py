# SPDX-License-Identifier: GPL-3.0-or-later
"""Likelihoods of any constellation at any phase, as a series in the angle."""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from amrq.likelihood.cubic import cubic
from amrq.likelihood.log_sum_exp import log_sum_exp
from amrq.likelihood.nodes import Nodes
from amrq.modulations import Modulation

__all__ = ["PolarKernel"]

# NumPy declares no types for it.
_HERMITE: Callable[[int], tuple[NDArray[np.float64], NDArray[np.float64]]] = np.polynomial.hermite.hermgauss

_HERMITE_ERROR = 1e-7
_MOST_HERMITE = 60
_CACHED_BYTES = 1_000_000


def _phase_noise_nodes(
    phase_noise: float, noise_power: float, peak: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Angles and log-weights that average over Gaussian phase noise (Gauss and Hermite's rule)."""
    if phase_noise == 0:
        return np.zeros(1), np.zeros(1)
    # The average is over exp(-c x^2) with weight exp(-x^2), c as below; the rule's error falls like (c / (1 + c))^n.
    c = 2 * phase_noise**2 * peak**2 / noise_power
    count = min(_MOST_HERMITE, max(5, math.ceil(math.log(_HERMITE_ERROR) / math.log(c / (1 + c)))))
    x, weight = _HERMITE(count)
    return math.sqrt(2) * phase_noise * x, np.log(weight / math.sqrt(math.pi))


class PolarKernel:
    """Log-likelihoods of a constellation that is its own mirror image and turns into itself by 2 pi / symmetry.

    With r = a e^(j theta) and s the symmetry, ln p(r) = sum over n of f_n(a) cos(n s theta). Summed over the symbols
    y_k of a chunk received with gain g and phase phi, it is the sum over n and b of
    f_n(g a_b) [C_nb cos(n s phi) + S_nb sin(n s phi)], where
    C_nb + j S_nb = sum over k of w_b(|y_k|) e^(j n s theta_k) and w_b interpolates over the amplitudes a_b (`cubic`).
    All is matrix products then: over b for the gains and noise powers, over n for the phases. Phase noise is in the f_n
    and costs nothing more.

    Args:
        modulation: the class.
        nodes: where to evaluate; float64 [P] each.
        phase_noise: N_p, radians.
        step: distance of the amplitudes a_b.
        bins: number of amplitudes, the first 0.
        harmonics: highest angular frequency wanted, cycles a turn.
        phases: number of phases over the sector 2 pi / symmetry; 0 is the phase known to be 0.
    """

    def __init__(
        self,
        modulation: Modulation,
        nodes: Nodes,
        phase_noise: float,
        step: float,
        bins: int,
        harmonics: float,
        phases: int,
    ) -> None:
        self._log_weight = nodes.log_weight.astype(np.float32)
        if phases:
            self._log_weight -= np.float32(math.log(phases))
        self.symmetry = modulation.symmetry
        self.terms = math.ceil(harmonics / self.symmetry) + 1
        table = np.empty((self.terms, bins, len(nodes.gain)), dtype=np.float32)
        amplitudes = step * np.arange(bins)
        for noise_power in np.unique(nodes.noise_power):
            here = np.flatnonzero(nodes.noise_power == noise_power)
            # Sampled twice as finely as in use, so that interpolating here adds next to nothing to the error there.
            count = 2 * math.ceil(amplitudes[-1] * nodes.gain[here].max() / step) + 8
            series = self._series(modulation, noise_power, phase_noise, 0.5 * step, count)
            first, weights = cubic(2 / step * amplitudes * nodes.gain[here, None], count)
            taps = np.abs(
                first[None] + np.arange(4)[:, None, None]
            )  # node -1 is node 1: even in the amplitude
            table[:, :, here] = np.einsum("tgb,tgbn->nbg", weights, series[taps])
        self._table = table
        angle = 2 * np.pi * np.arange(phases) / max(1, phases)  # n times this is n symmetry phi
        turns = np.arange(self.terms) * angle[:, None]
        self._turns = np.concatenate([np.cos(turns), np.sin(turns)], axis=1).astype(np.float32)

    def _series(
        self, modulation: Modulation, noise_power: float, phase_noise: float, step: float, count: int
    ) -> NDArray[np.float64]:
        """Return f_n at amplitudes 0, step, ...: float64 [count, terms]."""
        points = modulation.points.astype(np.complex128)
        peak = float(np.abs(points).max())
        angles, log_weights = _phase_noise_nodes(phase_noise, noise_power, peak)
        points = (points[:, None] * np.exp(1j * angles)).ravel()
        log_weights = np.tile(log_weights, modulation.order) - math.log(modulation.order)
        # A half sector is enough: the function is even. Twice the terms in samples keeps aliases out of those in use.
        samples = 2 * self.terms
        theta = np.pi * np.arange(samples + 1) / (self.symmetry * samples)
        values = np.empty((count, samples + 1))
        rows = max(1, 2_000_000 // (len(theta) * len(points)))
        for start in range(0, count, rows):
            amplitude = step * np.arange(start, min(start + rows, count))
            r = amplitude[:, None] * np.exp(1j * theta)
            exponent = -(np.abs(r[..., None] - points) ** 2) / noise_power + log_weights
            top = exponent.max(axis=-1)
            values[start : start + rows] = top + np.log(np.exp(exponent - top[..., None]).sum(axis=-1))
        n = np.arange(self.terms)
        basis = np.cos(np.pi * np.outer(np.arange(samples + 1), n) / samples) * (2 / samples)
        basis[[0, -1]] *= 0.5
        basis[:, 0] *= 0.5
        return values @ basis

    @staticmethod
    def features(
        chunks: NDArray[np.complex128], step: float, bins: int, symmetry: int, terms: int, any_phase: bool
    ) -> NDArray[np.float32]:
        """Return C_nb and, for any phase, S_nb: float32 [N, terms or 2 terms, bins], of chunks complex [N, L]."""
        count, length = chunks.shape
        first, weights = cubic(np.abs(chunks) / step, bins)
        histogram = np.zeros((count * length, bins + 1), dtype=np.float32)
        rows = np.arange(count * length)
        column = first.ravel() + 1
        for tap in range(4):
            histogram[rows, column + tap] = weights[tap].ravel()
        histogram[:, 2] += histogram[:, 0]
        turns = (np.arange(terms) * symmetry).astype(np.float32)[:, None] * np.angle(chunks).astype(
            np.float32
        )[:, None, :]
        parts = [np.cos(turns), np.sin(turns)] if any_phase else [np.cos(turns)]
        return np.concatenate(parts, axis=1) @ histogram.reshape(count, length, bins + 1)[:, :, 1:]

    def log_likelihoods(self, features: NDArray[np.float32], stride: int, terms: int) -> NDArray[np.float64]:
        """Return the logarithm of the likelihoods' weighted sum over nodes and phases.

        Args:
            features: as from `features`, float32 [N, ..., bins].
            stride: every how many of the features' terms is one of this kernel's.
            terms: of the features.

        Returns:
            float64 [N].
        """
        count, _, bins = features.shape
        cosines = features[:, :terms:stride][:, : self.terms]
        if not len(self._turns):
            flat = np.ascontiguousarray(cosines).reshape(count, -1)
            return log_sum_exp((flat @ self._table.reshape(self.terms * bins, -1) + self._log_weight)[None])
        sines = features[:, terms::stride][:, : self.terms]
        nodes = self._table.shape[2]
        summed = np.empty((2 * self.terms, count, nodes), dtype=np.float32)
        np.matmul(cosines.transpose(1, 0, 2), self._table, out=summed[: self.terms])
        np.matmul(sines.transpose(1, 0, 2), self._table, out=summed[self.terms :])
        summed[0] += self._log_weight  # the term that no phase changes
        flat_sums = summed.reshape(2 * self.terms, count * nodes)
        result = np.empty(count)
        # A few chunks at a time, so that what is exponentiated stays in the processor's cache.
        size = max(1, _CACHED_BYTES // (4 * len(self._turns) * nodes))
        for start in range(0, count, size):
            stop = min(start + size, count)
            turned = self._turns @ flat_sums[:, start * nodes : stop * nodes]
            # Four steps in phase from the peak at most two deviations of it are missed: a few units of the logarithm.
            result[start:stop] = log_sum_exp(turned.reshape(-1, stop - start, nodes), stride=4)
        return result
