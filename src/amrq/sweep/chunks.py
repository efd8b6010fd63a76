# SPDX-License-Identifier: GPL-3.0-or-later
"""The chunks that all models of a sweep are measured on, and their bound."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from amrq.chunks import normalise
from amrq.evaluation import make_dataset
from amrq.likelihood import LikelihoodClassifier, Receiver
from amrq.sweep.recipe import SweepRecipe

__all__ = ["PreparedChunks", "SweepBound", "SweepChunks", "measure_sweep_bound"]

_EPOCHS, _GATE, _EVALUATION, _CALIBRATION, _VALIDATION = range(5)


class PreparedChunks(NamedTuple):
    """Chunks ready for a network, and what they are.

    Attributes:
        iq: float32 [N, 2, L].
        labels: int64 [N], indices into the recipe's class set.
        chunks: complex64 [N, L], before any normalisation.
    """

    iq: NDArray[np.float32]
    labels: NDArray[np.int64]
    chunks: NDArray[np.complex64]


class SweepChunks:
    """Chunks of the recipe's classes by Algorithm I, each set of them drawn from a stream of its own.

    Args:
        recipe: of the sweep.
    """

    def __init__(self, recipe: SweepRecipe) -> None:
        self._recipe = recipe

    def epoch(self, stream: int, number: int) -> PreparedChunks:
        """Return what a cell trains on in one epoch."""
        return self._make(self._recipe.fit.epoch_chunks, (stream, _EPOCHS, number))

    def gate(self, stream: int, trial: int) -> PreparedChunks:
        """Return what a cell must classify without a mistake."""
        return self._make(self._recipe.fit.gate_chunks, (stream, _GATE, trial))

    def validation(self, stream: int) -> PreparedChunks:
        """Return what states of a cell's network are compared on."""
        return self._make(self._recipe.fit.validation_chunks, (stream, _VALIDATION))

    def calibration(self, stream: int) -> PreparedChunks:
        """Return what the scales of a cell's activations are set by."""
        return self._make(self._recipe.fit.epoch_chunks, (stream, _CALIBRATION))

    def evaluation(self) -> PreparedChunks:
        """Return the chunks at the noise trained on that all cells are evaluated on."""
        return self._make(self._recipe.evaluation.chunks, (_EVALUATION,))

    def level(self, es_n0_db: float) -> PreparedChunks:
        """Return the chunks at a noise power of 10^(-x/10) that all cells are evaluated on."""
        # In whole millidecibels, so that a level's chunks do not depend on which others there are.
        path = (_EVALUATION, round(1000 * es_n0_db) % 2**32)
        return self._make(self._recipe.evaluation.level_chunks, path, 10 ** (-es_n0_db / 10))

    def _make(self, count: int, path: tuple[int, ...], noise_power: float | None = None) -> PreparedChunks:
        signal, length = self._recipe.signal, self._recipe.chunk_length
        each = -(-count // len(self._recipe.class_set))
        data = make_dataset(
            signal.noise_power if noise_power is None else noise_power,
            signal.phase_noise,
            length,
            each * length,
            np.random.default_rng([self._recipe.seed, *path]),
            self._recipe.class_set,
            peak_scaled=signal.scaling == "peak",
        )
        # Where the count is no multiple of the classes, the last of the shuffled chunks are left out.
        chunks = data.chunks[:count]
        iq = normalise(chunks, unit_rms=signal.normalisation == "unit-rms").iq
        return PreparedChunks(iq, data.labels[:count], chunks)


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
    given, so that none can surpass it but by chance.
    """
    signal, evaluation = recipe.signal, recipe.evaluation
    classes = [m.scaled_to_peak() if signal.scaling == "peak" else m for m in recipe.class_set.members]
    chunks = SweepChunks(recipe)

    def right(data: PreparedChunks, es_n0_db: float) -> NDArray[np.bool_]:
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
