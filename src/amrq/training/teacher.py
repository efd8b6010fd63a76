# SPDX-License-Identifier: GPL-3.0-or-later
"""Ideal chunks with the exact probabilities of their classes."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from amrq.likelihood import LikelihoodClassifier, Receiver, Resolution
from amrq.modulations import MODULATIONS
from amrq.signals import add_noise
from amrq.training.recipe import SignalSettings, TeacherSettings

__all__ = ["Taught", "Teacher"]

_BLOCK = 10_000
"""Chunks judged between two reports."""


class Taught(NamedTuple):
    """Chunks as the teacher judged them.

    Attributes:
        chunks: complex64 [N, L], of unit power before the noise.
        labels: int64 [N], the class sent.
        es_n0_db: float32 [N].
        posteriors: float32 [N, classes], of the classes given the chunk, its level and Es/N0 unknown.
    """

    chunks: NDArray[np.complex64]
    labels: NDArray[np.int64]
    es_n0_db: NDArray[np.float32]
    posteriors: NDArray[np.float32]


class Teacher:
    """A pool of ideal chunks whose probabilities are known, computed when it is first drawn from.

    Args:
        settings: how many, and for what range of Es/N0.
        signal: the phase regime, and what range of Es/N0 the chunks are drawn from.
        chunk_length: symbols a chunk.
        seed: of the chunks.
        progress: called with (chunks judged, chunks in all).
    """

    def __init__(
        self,
        settings: TeacherSettings,
        signal: SignalSettings,
        chunk_length: int,
        seed: int,
        progress: Callable[[int, int], None] = lambda done, of: None,
    ) -> None:
        self._settings = settings
        self._signal = signal
        self._chunk_length = chunk_length
        self._seed = seed
        self._progress = progress
        self._pool: Taught | None = None

    def _judged(self) -> Taught:
        settings, signal = self._settings, self._signal
        rng = np.random.default_rng([self._seed, 0x7EAC])
        count, classes = settings.chunks, tuple(MODULATIONS.values())
        labels = rng.permutation(np.arange(count) % len(classes))
        es_n0_db = rng.uniform(*signal.ideal_range, count)
        chunks = np.empty((count, self._chunk_length), dtype=np.complex64)
        for number, m in enumerate(classes):
            rows = labels == number
            chunks[rows] = m.points[rng.integers(m.order, size=(int(rows.sum()), self._chunk_length))]
        receiver = Receiver(
            phase="known" if signal.phase == "coherent" else "uniform",
            es_n0_db=settings.es_n0_db,
            level="hidden",
        )
        judge = LikelihoodClassifier(receiver, resolution=Resolution.coarse())
        posteriors = np.empty((count, len(classes)), dtype=np.float32)
        for start in range(0, count, _BLOCK):
            part = slice(start, start + _BLOCK)
            chunks[part] = add_noise(chunks[part], 10 ** (-es_n0_db[part] / 10), rng)
            posteriors[part] = np.exp(judge.log_posteriors(chunks[part]))
            self._progress(min(start + _BLOCK, count), count)
        # With less noise than the teacher can imagine, every class is plain to see.
        clear = es_n0_db > settings.es_n0_db[1]
        posteriors[clear] = np.eye(len(classes), dtype=np.float32)[labels[clear]]
        return Taught(chunks, labels.astype(np.int64), es_n0_db.astype(np.float32), posteriors)

    def draw(self, count: int, rng: np.random.Generator) -> Taught:
        """Return chunks of the pool, changed at random in ways that leave the probabilities as they are.

        The symbols' order carries nothing; every constellation of the registry is its own mirror image in both axes;
        and where the phase is any, so is any rotation.
        """
        if self._pool is None:
            self._pool = self._judged()
        pool = self._pool
        rows = rng.integers(len(pool.labels), size=count)
        chunks = pool.chunks[rows][:, rng.permutation(pool.chunks.shape[1])]
        mirrored = rng.random(count) < 0.5
        chunks[mirrored] = chunks[mirrored].conj()
        any_phase = self._signal.phase == "any"
        turn = np.exp(2j * np.pi * rng.random(count)) if any_phase else rng.choice([-1.0, 1.0], count)
        chunks *= turn.astype(np.complex64)[:, None]
        return Taught(chunks, pool.labels[rows], pool.es_n0_db[rows], pool.posteriors[rows])
