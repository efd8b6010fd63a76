# SPDX-License-Identifier: GPL-3.0-or-later
"""What happens to symbols between transmitter and classifier."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["add_noise", "add_phase_noise", "rotate"]


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
    """Turn all samples by `angle` radians, a scalar or one a row."""
    turn = np.exp(1j * _per_sample(angle, samples.shape)).astype(np.complex64)
    return np.asarray(samples * turn, dtype=np.complex64)
