# SPDX-License-Identifier: GPL-3.0-or-later
"""What a channel and a receiver add to a signal: noise of a stated Es/N0, phase noise, a turn of the carrier."""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from amrq.errors import AmrqError

__all__ = ["add_noise", "add_phase_noise", "es_n0_db_from_noise_power", "noise_power_from_es_n0_db", "rotate"]


def noise_power_from_es_n0_db(es_n0_db: float) -> float:
    """Return the complex noise power N_a per symbol of unit power: 10^(-x/10).

    Args:
        es_n0_db: energy per symbol over noise density, dB; `inf` means no noise.

    Raises:
        AmrqError: it is not a number, or minus infinity.

    >>> noise_power_from_es_n0_db(20.0)
    0.01
    """
    if not es_n0_db >= -300:
        raise AmrqError(f"Es/N0 must be a number in dB from -300 up (or inf for no noise), not {es_n0_db}.")
    return float(10.0 ** (-es_n0_db / 10.0))


def es_n0_db_from_noise_power(noise_power: float) -> float:
    """Return Es/N0 in dB of unit-power symbols in complex noise of power `noise_power` (N_a).

    N_a = 0.005, the thesis's operating point, is 23.01 dB; 0 is `inf`.

    Raises:
        AmrqError: the power is negative or not finite.

    >>> round(es_n0_db_from_noise_power(0.005), 2)
    23.01
    """
    if not math.isfinite(noise_power) or noise_power < 0:
        raise AmrqError(f"noise power N_a must be finite and not negative, not {noise_power}.")
    return math.inf if noise_power == 0 else -10.0 * math.log10(noise_power)


def _per_sample(value: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Let a scalar serve all samples and an array [N] serve the rows of [N, L]."""
    array = np.asarray(value, dtype=np.float64)
    return array.reshape(array.shape + (1,) * (len(shape) - array.ndim)) if array.ndim else array


def add_noise(
    samples: NDArray[np.complex64], noise_power: ArrayLike, rng: np.random.Generator
) -> NDArray[np.complex64]:
    """Add circular white Gaussian noise.

    Args:
        samples: complex64 [..., L].
        noise_power: total complex power (N_a), a scalar or one a row.
        rng: source of randomness.

    Returns:
        complex64, the shape of `samples`.

    >>> import numpy as np
    >>> noisy = add_noise(np.ones(10_000, dtype=np.complex64), 0.01, np.random.default_rng(1))
    >>> round(float(np.mean(np.abs(noisy - 1) ** 2)), 3)
    0.01
    """
    noise = rng.standard_normal((*samples.shape, 2), dtype=np.float32).view(np.complex64)[..., 0]
    scale = np.sqrt(_per_sample(noise_power, samples.shape) / 2).astype(np.float32)
    return np.asarray(samples + scale * noise, dtype=np.complex64)


def add_phase_noise(
    samples: NDArray[np.complex64], phase_noise: ArrayLike, rng: np.random.Generator
) -> NDArray[np.complex64]:
    """Turn every sample by an independent Gaussian angle, as in the thesis.

    Args:
        samples: complex64 [..., L].
        phase_noise: standard deviation (N_p), radians, a scalar or one a row.
        rng: source of randomness.
    """
    deviation = _per_sample(phase_noise, samples.shape).astype(np.float32)
    angle = deviation * rng.standard_normal(samples.shape, dtype=np.float32)
    return np.asarray(samples * np.exp(1j * angle), dtype=np.complex64)


def rotate(samples: NDArray[np.complex64], angle: ArrayLike) -> NDArray[np.complex64]:
    """Turn all samples by `angle` radians, a scalar or one a row.

    >>> import numpy as np
    >>> rotate(np.ones(2, dtype=np.complex64), np.pi / 2).round(3).tolist()
    [1j, 1j]
    """
    turn = np.exp(1j * _per_sample(angle, samples.shape)).astype(np.complex64)
    return np.asarray(samples * turn, dtype=np.complex64)
