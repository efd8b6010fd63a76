# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the likelihood of one class is evaluated: noise powers and gains, with weights."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from amrq.likelihood.chunk_power import chunk_power
from amrq.likelihood.resolution import Resolution
from amrq.modulations import Modulation

__all__ = ["Nodes"]

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
        modulation: Modulation,
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
    modulation: Modulation, power: float, length: int, resolution: Resolution
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
