# SPDX-License-Identifier: GPL-3.0-or-later
"""What the best possible receiver says of the chunks of an evaluation."""

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from amrq.evaluation.chunk_set import ChunkSet
from amrq.evaluation.knowledge import Knowledge

__all__ = ["Bound"]

_LogPosteriors = Callable[[NDArray[np.complex64]], NDArray[np.float64]]


class _MakeReceiver(Protocol):
    """Make a receiver: chunks complex64 [N, L] to ln of each class's probability, float64 [N, 9], registry's order."""

    def __call__(
        self, *, any_phase: bool, phase_noise: float, level_known: bool, es_n0_db: float | tuple[float, float]
    ) -> _LogPosteriors: ...


class Bound:
    """The likelihood classifier's posteriors on chunk sets, worked out once and remembered for the next model.

    It is handed in: `likelihood` builds on this room and not the other way round.

    Args:
        make: makes a receiver that knows the level or not and Es/N0 (a number, dB) or only its range (low, high).
        es_n0_db: the range that receivers expect which do not know Es/N0, dB.
    """

    def __init__(self, make: _MakeReceiver, es_n0_db: tuple[float, float] = (0.0, 20.0)) -> None:
        self.es_n0_db = es_n0_db
        self._make = make
        self._receivers: dict[tuple[bool, float, bool], _LogPosteriors] = {}
        self._latest: tuple[tuple[bool, float, bool, float], _LogPosteriors] | None = None
        self._found: dict[tuple[ChunkSet, str, float, Knowledge], NDArray[np.float32]] = {}

    def remembers(self, chunk_set: ChunkSet, name: str, es_n0_db: float, knowledge: Knowledge) -> bool:
        """Return whether `log_posteriors` has been asked for this before."""
        return (chunk_set, name, es_n0_db, knowledge) in self._found

    def log_posteriors(
        self, chunk_set: ChunkSet, name: str, es_n0_db: float, knowledge: Knowledge
    ) -> NDArray[np.float32]:
        """Return ln of each class's probability given each chunk of one modulation.

        Args:
            chunk_set: the chunks.
            name: the modulation.
            es_n0_db: their Es/N0, dB.
            knowledge: what the receiver knows.

        Returns:
            float32 [N, 9], in the order of the registry.
        """
        key = (chunk_set, name, es_n0_db, knowledge)
        if key not in self._found:
            receiver = self._receiver(chunk_set, es_n0_db, knowledge)
            self._found[key] = receiver(chunk_set.chunks(name, es_n0_db)).astype(np.float32)
        return self._found[key]

    def _receiver(self, chunk_set: ChunkSet, es_n0_db: float, knowledge: Knowledge) -> _LogPosteriors:
        about = (chunk_set.any_phase, chunk_set.phase_noise, knowledge.level)
        if knowledge.es_n0:
            # Of use for the other classes at that Es/N0, and then no more: only the latest is kept.
            key = (*about, float(es_n0_db))
            if self._latest is None or self._latest[0] != key:
                self._latest = (key, self._make_one(chunk_set, knowledge.level, float(es_n0_db)))
            return self._latest[1]
        if about not in self._receivers:
            self._receivers[about] = self._make_one(chunk_set, knowledge.level, self.es_n0_db)
        return self._receivers[about]

    def _make_one(
        self, chunk_set: ChunkSet, level_known: bool, es_n0_db: float | tuple[float, float]
    ) -> _LogPosteriors:
        return self._make(
            any_phase=chunk_set.any_phase,
            phase_noise=chunk_set.phase_noise,
            level_known=level_known,
            es_n0_db=es_n0_db,
        )
