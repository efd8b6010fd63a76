# SPDX-License-Identifier: GPL-3.0-or-later
"""The one place that all randomness of the tests comes from."""

import zlib

import numpy as np

__all__ = ["SEED", "rng", "seed"]

SEED = 20261122


def rng(*path: str | int) -> np.random.Generator:
    """Return a generator of its own for each path, for example the name of a test and a case's number."""
    # crc32, since Python's own hash of a text differs from run to run.
    return np.random.default_rng([SEED, *(zlib.crc32(str(part).encode()) for part in path)])


def seed(*path: str | int) -> int:
    """Return the seed of such a path, for generators that are not NumPy's: 0 to 2^31 - 1."""
    return int(rng(*path).integers(1 << 31))
