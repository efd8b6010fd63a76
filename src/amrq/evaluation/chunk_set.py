# SPDX-License-Identifier: GPL-3.0-or-later
"""The chunks that a model and the bound are both asked about."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from amrq.evaluation.fresh_chunks import fresh_chunks
from amrq.modulations import MODULATIONS

__all__ = ["ChunkSet"]


@dataclass(frozen=True)
class ChunkSet:
    """Fresh ideal chunks by modulation and Es/N0, the same whenever they are asked for.

    A class's chunks at one Es/N0 depend on neither the other levels nor the other classes; they are those that
    `amrq bound` draws with the same seed.

    Attributes:
        length: symbols a chunk.
        chunks_per_class: chunks of each modulation at each Es/N0.
        seed: of all randomness.
        phase_noise: standard deviation, radians.
        any_phase: each chunk is turned by an angle of its own.
    """

    length: int
    chunks_per_class: int
    seed: int
    phase_noise: float
    any_phase: bool

    def chunks(self, name: str, es_n0_db: float) -> NDArray[np.complex64]:
        """Return complex64 [chunks_per_class, length] of one modulation at one Es/N0 in dB."""
        # In whole millidecibels, so that a point's chunks do not depend on how its level was written.
        level = round(1000 * es_n0_db) % 2**32
        rng = np.random.default_rng([self.seed, self.length, level, list(MODULATIONS).index(name)])
        return fresh_chunks(
            name, self.chunks_per_class, self.length, es_n0_db, rng, self.phase_noise, self.any_phase
        )
