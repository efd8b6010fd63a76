# SPDX-License-Identifier: GPL-3.0-or-later
"""The likelihood classifier on the very chunks that a sweep's models are evaluated on."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from amrq.likelihood import LikelihoodClassifier, Receiver
from amrq.modulations import MODULATIONS
from amrq.training.sweep.sweep_chunks import LabelledChunks, SweepChunks
from amrq.training.sweep.sweep_recipe import SweepRecipe

__all__ = ["SweepBound", "measure_sweep_bound"]


class SweepBound(NamedTuple):
    """On which chunks the best possible classifier is right.

    Attributes:
        trained: bool [chunks], at the noise trained on.
        levels: bool [levels, level_chunks], at each Es/N0 of the recipe.
    """

    trained: NDArray[np.bool_]
    levels: NDArray[np.bool_]


def measure_sweep_bound(recipe: SweepRecipe) -> SweepBound:
    """Let the likelihood classifier decide.

    It knows Es/N0 and the phase noise, and the level where the chunks are not normalised: more than the models are
    told, so that none can surpass it but by chance.
    """
    signal, evaluation = recipe.signal, recipe.evaluation
    classes = [m.scaled_to_peak() if signal.scaling == "peak" else m for m in MODULATIONS.values()]
    chunks = SweepChunks(recipe)

    def right(data: LabelledChunks, es_n0_db: float) -> NDArray[np.bool_]:
        receiver = Receiver(
            phase="known",
            es_n0_db=es_n0_db,
            level="known" if signal.normalisation == "none" else "hidden",
            phase_noise=signal.phase_noise,
        )
        decided = LikelihoodClassifier(receiver, classes).log_likelihoods(data.chunks).argmax(axis=1)
        return np.asarray(decided == data.labels)

    levels = [right(chunks.level(level), level) for level in evaluation.es_n0_db]
    return SweepBound(
        right(chunks.evaluation(), -10 * math.log10(signal.noise_power)),
        np.array(levels, dtype=np.bool_).reshape(len(levels), evaluation.level_chunks),
    )
