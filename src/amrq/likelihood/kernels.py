# SPDX-License-Identifier: GPL-3.0-or-later
"""The likelihood of a chunk, integrated over what the receiver does not know."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from amrq.classes import LinearClass

__all__ = ["AxisKernel", "Nodes", "PolarKernel", "Resolution", "chunk_power", "cubic", "log_sum_exp"]


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


def cubic(position: NDArray[np.float64], count: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the nodes and weights that interpolate at `position`.

    Lagrange's formula for four points; exact for polynomials up to the third degree.

    Args:
        position: float [...], in steps from node 0, not negative; what lies beyond the last cell is taken at its end.
        count: number of nodes (4 or more).

    Returns:
        int64 [...], the first of the four nodes, -1 to count - 4; node -1 is for the caller to supply, for example by
        symmetry. And float64 [4, ...], the weights of the four.

    >>> import numpy as np
    >>> places, weights = cubic(np.array([2.5]), 8)
    >>> places.tolist(), weights.round(4).tolist()
    ([1], [[-0.0625], [0.5625], [0.5625], [-0.0625]])
    """
    clipped = np.minimum(position, count - 2).astype(np.float64)
    cell = np.minimum(clipped.astype(np.int64), count - 3)
    t = clipped - cell
    a, b, c = t + 1, t - 1, t - 2
    bc, at = b * c, a * t
    weights = np.stack([t * bc * (-1 / 6), a * bc * 0.5, at * c * -0.5, at * b * (1 / 6)])
    return cell - 1, weights


def chunk_power(modulation: LinearClass, noise_power: float, length: int) -> tuple[float, float]:
    """Return expectation and standard deviation of a chunk's mean power.

    For one sample, E|s + n|^2 = 1 + sigma^2 and var |s + n|^2 = E|s|^4 - 1 + 2 sigma^2 + sigma^4.

    Args:
        modulation: the class of its symbols s.
        noise_power: sigma^2.
        length: symbols a chunk.
    """
    powers = np.abs(modulation.points.astype(np.complex128)) ** 2
    mean, fourth_moment = float(powers.mean()), float((powers**2).mean())
    variance = fourth_moment - mean**2 + 2 * mean * noise_power + noise_power**2
    return mean + noise_power, math.sqrt(variance / length)


@dataclass(frozen=True)
class Resolution:
    """Grid steps, each in units of the width of what is integrated or sampled.

    The trapezoidal rule integrates a Gaussian of deviation w sampled every h with a relative error of
    2 exp(-2 (pi w / h)^2) (Poisson's summation formula; Trefethen and Weideman 2014): 0.8 % for h = 1.9 w. The tests
    refine all of them and find nothing changed.

    Attributes:
        phase: step of the phase in deviations of its estimate, sigma / sqrt(2 L).
        gain: step of the logarithm of the gain, in deviations of its estimate.
        es_n0: mean distance of the nodes in Es/N0 in deviations of its estimate, 10 / (ln 10 sqrt(L)) dB.
        strong: the steps of phase and gain are for chunks whose power is this many deviations above the mean, which
            tell both more sharply.
        tail: deviations of the chunk's power to either side that the gain's grid covers.
        radius: step of the tables over the amplitude, in sigma.
        harmonics: highest angular frequency of the tables, cycles a turn times sigma.
    """

    phase: float = 1.9
    gain: float = 1.8
    es_n0: float = 1.2
    strong: float = 2.0
    tail: float = 4.5
    radius: float = 0.25
    harmonics: float = 14.0

    @classmethod
    def coarse(cls) -> "Resolution":
        """Return grids for soft targets of a training: twice as fast, probabilities wrong by at most about 0.01."""
        return cls(phase=2.8, gain=2.6, tail=4.0, radius=0.35, harmonics=11.0)

    def refined(self, factor: float = 2.0) -> "Resolution":
        """Return grids `factor` times as fine, with tails a quarter longer."""
        return replace(
            self,
            phase=self.phase / factor,
            gain=self.gain / factor,
            es_n0=self.es_n0 / factor,
            tail=self.tail * 1.25,
            radius=self.radius / factor,
            harmonics=self.harmonics * factor,
        )


_Reals = NDArray[np.float64]


@dataclass(frozen=True)
class Nodes:
    """Quadrature nodes over noise power and gain.

    Attributes:
        noise_power: float64 [P], sigma^2.
        gain: float64 [P], g: the received chunk is g times the chunk at hand.
        log_weight: float64 [P], logarithm of the quadrature's weight, the Jacobian and the density's own factor
            sigma^(-2 L) included (pi^(-L) is common to all classes and left out).
    """

    noise_power: _Reals
    gain: _Reals
    log_weight: _Reals

    @classmethod
    def make(
        cls,
        modulation: LinearClass,
        es_n0_db: _Reals,
        weights: _Reals,
        length: int,
        level_hidden: bool,
        resolution: Resolution,
    ) -> "Nodes":
        """Put gains to each Es/N0.

        With the level hidden, only the direction y = r / rms(r) of the vector r in C^L is seen. In polar coordinates
        r = g y, dr = g^(2L-1) dg dA(y) with A the area on the sphere |y|^2 = L, so that the density of y is
        p(y) = integral over g from 0 of g^(2L-1) p_r(g y), p_r the density of r; with t = ln g it is the integral of
        e^(2Lt) p_r(e^t y) dt. The area is common to all classes. (That is the general argument for the maximal
        invariant under a change of scale: Lehmann and Romano, Testing Statistical Hypotheses, 3rd ed., sec. 6.3.) Where
        Es/N0 is unknown, its law stands outside, as it does with the level known.

        The grid in t is uniform (trapezoidal rule: the integrand vanishes at both ends) and covers the gains rms(r)
        that the class can have: the omitted part has, as a density of y, the probability of all other rms(r) as its
        mass, which bounds the error made in any decision.

        Args:
            modulation: the class.
            es_n0_db: float64 [X], the nodes in Es/N0.
            weights: float64 [X], their weights, with sum 1 over the receiver's whole range.
            length: L.
            level_hidden: integrate over the gain; otherwise it is 1.
            resolution: steps.
        """
        powers, gains, logs = [], [], []
        for x, weight in zip(es_n0_db, weights, strict=True):
            power = 10 ** (-x / 10)
            log = math.log(weight) - length * math.log(power)
            if level_hidden:
                t, step = _log_gains(modulation, power, length, resolution)
                powers.append(np.full(len(t), power))
                gains.append(np.exp(t))
                logs.append(log + math.log(step) + 2 * length * t)
            else:
                powers.append(np.array([power]))
                gains.append(np.ones(1))
                logs.append(np.array([log]))
        return cls(np.concatenate(powers), np.concatenate(gains), np.concatenate(logs))


def _log_gains(
    modulation: LinearClass, power: float, length: int, resolution: Resolution
) -> tuple[_Reals, float]:
    mean, deviation = chunk_power(modulation, power, length)
    # Information on ln g: 2 L / sigma^2 from symbols that stand still, 4 L from the noise's own power; and more of it
    # where a chunk has more than mean power.
    information = (2 * length / power + 4 * length) * (mean + resolution.strong * deviation) / mean
    step = resolution.gain / math.sqrt(information)
    # Wilson and Hilferty 1931: the cube root of a gamma variable is all but normal. Not near zero, which few symbols
    # may reach: there P(X < q mean) is close to (shape q)^shape / Gamma(shape + 1).
    shape = (mean / deviation) ** 2
    centre, spread = 1 - 1 / (9 * shape), resolution.tail / (3 * math.sqrt(shape))
    near_zero = math.exp((math.lgamma(shape + 1) - resolution.tail**2 / 2) / shape) / shape
    lowest = max(max(0.0, centre - spread) ** 3, near_zero)
    low, high = (0.5 * math.log(mean * share) for share in (lowest, (centre + spread) ** 3))
    count = max(1, math.ceil((high - low) / step)) + 1
    return low + step * np.arange(count, dtype=np.float64), step


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

    def __init__(self, modulation: LinearClass, nodes: Nodes, step: float, bins: int) -> None:
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
    def separable(modulation: LinearClass) -> bool:
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
    """Log-likelihoods of a constellation that turns into itself by 2 pi / symmetry.

    With r = a e^(j theta) and s the symmetry, ln p(r) = sum over n of f_n(a) cos(n s theta) + g_n(a) sin(n s theta); of
    a constellation that is its own mirror image in the real axis all g_n are 0. Summed over the symbols y_k of a chunk
    received with gain g and phase phi, it is the sum over n and b of
    f_n(g a_b) [C_nb cos(n s phi) + S_nb sin(n s phi)] + g_n(g a_b) [S_nb cos(n s phi) - C_nb sin(n s phi)], where
    C_nb + j S_nb = sum over k of w_b(|y_k|) e^(j n s theta_k) and w_b interpolates over the amplitudes a_b (`cubic`).
    All is matrix products then: over b for the gains and noise powers, over n for the phases. Phase noise is in the f_n
    and g_n and costs nothing more.

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
        modulation: LinearClass,
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
        parts = 1 if modulation.mirrored else 2
        tables = np.empty((parts, self.terms, bins, len(nodes.gain)), dtype=np.float32)
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
            for table, part in zip(tables, series, strict=True):
                table[:, :, here] = np.einsum("tgb,tgbn->nbg", weights, part[taps])
        self._table = tables[0]
        self._sine_table = tables[1] if parts == 2 else None
        angle = 2 * np.pi * np.arange(phases) / max(1, phases)  # n times this is n symmetry phi
        turns = np.arange(self.terms) * angle[:, None]
        self._turns = np.concatenate([np.cos(turns), np.sin(turns)], axis=1).astype(np.float32)

    @property
    def needs_sines(self) -> bool:
        """Whether the S_nb count at a known phase too: for a constellation that is not its own mirror image."""
        return self._sine_table is not None

    def _series(
        self, modulation: LinearClass, noise_power: float, phase_noise: float, step: float, count: int
    ) -> list[NDArray[np.float64]]:
        """Return f_n and, where they are not 0, g_n at amplitudes 0, step, ...: float64 [count, terms] each."""
        points = modulation.points.astype(np.complex128)
        peak = float(np.abs(points).max())
        angles, log_weights = _phase_noise_nodes(phase_noise, noise_power, peak)
        points = (points[:, None] * np.exp(1j * angles)).ravel()
        log_weights = np.tile(log_weights, modulation.order) - math.log(modulation.order)
        # Twice the terms in samples keeps aliases out of those in use.
        samples = 2 * self.terms
        n = np.arange(self.terms)
        turns = np.pi * np.outer(np.arange(samples + 1), n) / samples
        cosines, sines = np.cos(turns) * (2 / samples), np.sin(turns) * (2 / samples)
        cosines[[0, -1]] *= 0.5
        cosines[:, 0] *= 0.5
        # Half a sector is enough: the other half is that of the mirror image.
        values = self._half_sector(points, log_weights, noise_power, step, count)
        if modulation.mirrored:
            return [values @ cosines]
        mirror = self._half_sector(points.conj(), log_weights, noise_power, step, count)
        return [0.5 * (values + mirror) @ cosines, 0.5 * (values - mirror) @ sines]

    def _half_sector(
        self,
        points: NDArray[np.complex128],
        log_weights: NDArray[np.float64],
        noise_power: float,
        step: float,
        count: int,
    ) -> NDArray[np.float64]:
        """Return ln p over half a sector of angles, at amplitudes 0, step, ...: float64 [count, 2 terms + 1]."""
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
        return values

    @staticmethod
    def features(
        chunks: NDArray[np.complex128], step: float, bins: int, symmetry: int, terms: int, with_sines: bool
    ) -> NDArray[np.float32]:
        """Return C_nb and, where wanted, S_nb: float32 [N, terms or 2 terms, bins], of chunks complex [N, L]."""
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
        parts = [np.cos(turns), np.sin(turns)] if with_sines else [np.cos(turns)]
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
            known = flat @ self._table.reshape(self.terms * bins, -1)
            if self._sine_table is not None:
                flat = np.ascontiguousarray(features[:, terms::stride][:, : self.terms]).reshape(count, -1)
                known += flat @ self._sine_table.reshape(self.terms * bins, -1)
            return log_sum_exp((known + self._log_weight)[None])
        sines = features[:, terms::stride][:, : self.terms]
        nodes = self._table.shape[2]
        summed = np.empty((2 * self.terms, count, nodes), dtype=np.float32)
        np.matmul(cosines.transpose(1, 0, 2), self._table, out=summed[: self.terms])
        np.matmul(sines.transpose(1, 0, 2), self._table, out=summed[self.terms :])
        if self._sine_table is not None:
            summed[: self.terms] += np.matmul(sines.transpose(1, 0, 2), self._sine_table)
            summed[self.terms :] -= np.matmul(cosines.transpose(1, 0, 2), self._sine_table)
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
