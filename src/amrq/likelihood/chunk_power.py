# SPDX-License-Identifier: GPL-3.0-or-later
"""The mean power of a noisy chunk as a random variable."""

import math

import numpy as np

from amrq.modulations import Modulation

__all__ = ["chunk_power"]


def chunk_power(modulation: Modulation, noise_power: float, length: int) -> tuple[float, float]:
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
