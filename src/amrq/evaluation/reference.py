# SPDX-License-Identifier: GPL-3.0-or-later
"""Likelihood receivers, with which a model is compared; each knows at least as much as the model."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from amrq.classes import LinearSet
from amrq.evaluation.chunk_sets import ChunkSet
from amrq.model import Contract

__all__ = ["EsN0Axis", "Knowledge", "ReferenceReceivers"]


@dataclass(frozen=True)
class EsN0Axis:
    """The hypotheses of T classes, by Es/N0.

    Attributes:
        columns: for each class, the Es/N0 in dB of its hypotheses, rising and at least two, and their columns.
    """

    columns: tuple[tuple[tuple[float, int], ...], ...]

    @classmethod
    def of(cls, contract: Contract, names: tuple[str, ...]) -> "EsN0Axis | None":
        """Return the axis of some classes; None if one of them does not have hypotheses at two or more Es/N0."""
        columns = []
        for name in names:
            weighed = sorted(
                (hypothesis.es_n0_db, column)
                for column, hypothesis in enumerate(contract.weighed())
                if hypothesis.label == name and hypothesis.es_n0_db is not None
            )
            if len(weighed) < 2 or len({level for level, _ in weighed}) < len(weighed):
                return None
            columns.append(tuple(weighed))
        return cls(tuple(columns))

    def at(self, log_likelihoods: NDArray[np.float32], es_n0_db: float) -> NDArray[np.float64]:
        """Return each class's log-likelihood at one Es/N0, interpolated between the two nearest hypotheses.

        The interpolation is linear in dB. Beyond the outermost hypotheses their value holds: extrapolation is worse,
        since log-likelihoods bend down on both sides of their peak.

        Args:
            log_likelihoods: float32 [N, hypotheses], as in `Evidence`.
            es_n0_db: Es/N0, dB.

        Returns:
            float64 [N, T].
        """
        found = []
        for weighed in self.columns:
            levels = np.array([level for level, _ in weighed])
            below = int(np.clip(np.searchsorted(levels, es_n0_db, "right") - 1, 0, len(levels) - 2))
            share = (es_n0_db - levels[below]) / (levels[below + 1] - levels[below])
            share = float(np.clip(share, 0, 1))
            low, high = (log_likelihoods[:, weighed[below + i][1]].astype(np.float64) for i in (0, 1))
            found.append(low + share * (high - low))
        return np.stack(found, axis=1)


class Knowledge(NamedTuple):
    """What a receiver knows besides the chunk.

    Attributes:
        level: whether it knows the stream's level; otherwise only the chunk scaled to unit RMS.
        es_n0: whether it knows Es/N0; otherwise only its range.
    """

    level: bool = False
    es_n0: bool = False

    @staticmethod
    def of(contract: Contract) -> "tuple[Knowledge, ...]":
        """Return the states of knowledge in which a model is evaluated: without any, and with each that it can use.

        A model with level input can use the level; a model that weighs its modulations by Es/N0 can use Es/N0.
        """
        names = contract.linear_classes.names
        states = [Knowledge()]
        if contract.level_input:
            states.append(Knowledge(level=True))
        if EsN0Axis.of(contract, names) is not None:
            states.append(Knowledge(level=contract.level_input, es_n0=True))
        return tuple(states)


_LogPosteriors = Callable[[NDArray[np.complex64]], NDArray[np.float64]]


class _MakeReceiver(Protocol):
    """Makes a receiver, which maps chunks complex64 [N, L] to ln of each class's probability, float64 [N, classes]."""

    def __call__(
        self,
        *,
        classes: LinearSet,
        any_phase: bool,
        phase_noise: float,
        level_known: bool,
        es_n0_db: float | tuple[float, float],
    ) -> _LogPosteriors: ...


class ReferenceReceivers:
    """Likelihood receivers with which models are compared; their results on a chunk set are stored.

    The caller passes in `make`, because `amrq.likelihood` imports this package and not the reverse.

    Args:
        make: makes a receiver for given classes, with or without knowledge of the level, and with Es/N0 known (a
            number, dB) or only its range (low, high).
        es_n0_db: range of Es/N0 for receivers that do not know it, dB.
    """

    def __init__(self, make: _MakeReceiver, es_n0_db: tuple[float, float] = (0.0, 20.0)) -> None:
        self.es_n0_db = es_n0_db
        self._make = make
        self._receivers: dict[tuple[LinearSet, bool, float, bool], _LogPosteriors] = {}
        self._latest: tuple[tuple[LinearSet, bool, float, bool, float], _LogPosteriors] | None = None
        self._found: dict[tuple[ChunkSet, str, float, Knowledge], NDArray[np.float32]] = {}

    def remembers(self, chunk_set: ChunkSet, name: str, es_n0_db: float, knowledge: Knowledge) -> bool:
        """Return whether the result of `log_posteriors` for these arguments is stored."""
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
            float32 [N, classes], in the order of the chunk set's classes.
        """
        key = (chunk_set, name, es_n0_db, knowledge)
        if key not in self._found:
            receiver = self._receiver(chunk_set, es_n0_db, knowledge)
            self._found[key] = receiver(chunk_set.chunks(name, es_n0_db)).astype(np.float32)
        return self._found[key]

    def _receiver(self, chunk_set: ChunkSet, es_n0_db: float, knowledge: Knowledge) -> _LogPosteriors:
        about = (chunk_set.classes, chunk_set.any_phase, chunk_set.phase_noise, knowledge.level)
        if knowledge.es_n0:
            # Needed for the other classes at the same Es/N0 only: just the latest receiver is kept.
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
            classes=chunk_set.classes,
            any_phase=chunk_set.any_phase,
            phase_noise=chunk_set.phase_noise,
            level_known=level_known,
            es_n0_db=es_n0_db,
        )
