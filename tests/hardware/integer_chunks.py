# SPDX-License-Identifier: GPL-3.0-or-later
"""Chunks of integers at the ends of what can come."""

import numpy as np

__all__ = ["extremes"]


def extremes(generator: np.random.Generator, count: int) -> dict[str, np.ndarray]:
    """Chunks of 16 bits at the ends of what can come: each int64 [count, 2, 32]."""
    shape = (count, 2, 32)
    impulse = np.zeros(shape, np.int64)
    impulse[:, :, 5] = generator.integers(-(1 << 15), 1 << 15, (count, 2))
    noise = generator.standard_normal(shape) * generator.uniform(0, 9000, (count, 1, 1))
    strong = generator.random((count, 1, 32)) < generator.random((count, 1, 1))
    return {
        "silence": np.zeros(shape, np.int64),
        "impulse": impulse,
        "impulse in noise": np.rint(impulse + noise / 4).clip(-(1 << 15), (1 << 15) - 1).astype(np.int64),
        "noise": np.rint(noise).clip(-(1 << 15), (1 << 15) - 1).astype(np.int64),
        "full scale": np.where(generator.random(shape) < 0.5, -(1 << 15), (1 << 15) - 1),
        "the last bit": generator.integers(-1, 2, shape),
        "two levels": np.where(
            strong, generator.choice([-32768, 32767], shape), generator.integers(-90, 90, shape)
        ),
    }
