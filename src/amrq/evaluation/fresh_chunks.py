# SPDX-License-Identifier: GPL-3.0-or-later
"""Ideal chunks of one modulation."""

import numpy as np
from numpy.typing import NDArray

from amrq.modulations import MODULATIONS
from amrq.signals import add_noise, add_phase_noise, noise_power_from_es_n0_db, rotate

__all__ = ["fresh_chunks"]


def fresh_chunks(
    name: str,
    count: int,
    length: int,
    es_n0_db: float,
    rng: np.random.Generator,
    phase_noise: float = 0.0,
    any_phase: bool = True,
    peak_scaled: bool = False,
) -> NDArray[np.complex64]:
    """Return ideal chunks of one modulation: random symbols, one random rotation a chunk, noise.

    Args:
        name: the modulation.
        count: number of chunks (N).
        length: symbols a chunk (L).
        es_n0_db: Es/N0, dB.
        rng: source of randomness.
        phase_noise: standard deviation of an independent phase a symbol, radians.
        any_phase: turn each chunk by an angle of its own.
        peak_scaled: bring the constellation's largest level in I or Q to 1, as the thesis does, in place of its mean
            power; Es then is 1 all the same.

    Returns:
        complex64 [N, L].
    """
    m = MODULATIONS[name].scaled_to_peak() if peak_scaled else MODULATIONS[name]
    chunks = m.points[rng.integers(m.order, size=(count, length))]
    if any_phase:
        chunks = rotate(chunks, rng.uniform(0, 2 * np.pi, count))
    if phase_noise:
        chunks = add_phase_noise(chunks, phase_noise, rng)
    return add_noise(chunks, noise_power_from_es_n0_db(es_n0_db), rng)
