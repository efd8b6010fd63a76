# SPDX-License-Identifier: GPL-3.0-or-later
"""The Es/N0 of a stream from what a model says of its chunks."""

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from amrq.classifier import Evidence
from amrq.model import Hypothesis
from amrq.tracking.es_n0_prior import EsN0Prior
from amrq.tracking.new_share import new_share

__all__ = ["NoiseTracker"]

_BLOCK = 8
"""Chunks between two moments at which class or Es/N0 may change: the fewer, the more a chunk costs."""
_CLASS_CHANGES = 0.01
"""Probability of another class, at the same Es/N0, behind a block."""
_ANEW = 0.01
"""Probability of anything anew, Es/N0 included, behind a block: what is forgotten."""
_FLOOR = 0.01
"""Weight, of a whole of 1, that goes to all levels as the model expects them, whatever has been tracked."""


class NoiseTracker:
    """Track how probable each of a model's levels of Es/N0 is, given the chunks before.

    The forward filter of a hidden Markov model (Rabiner 1989, "A tutorial on hidden Markov models", Proc. IEEE 77(2))
    whose states are the model's hypotheses: class and Es/N0 stay, or behind every eighth chunk with small
    probability the class changes at the same Es/N0, or everything is drawn anew. Class and Es/N0 are followed together,
    because the chunks of a run share both: averaged over the classes chunk by chunk, Es/N0 would be biased. What is
    handed on is Es/N0 alone; which class came before does not speak on which comes next.

    Args:
        hypotheses: what a model weighs, grouped by class. Where none has an Es/N0, nothing is tracked.
        chunk_length: samples a chunk.
    """

    def __init__(self, hypotheses: Sequence[Hypothesis], chunk_length: int) -> None:
        log_prior: NDArray[np.float64] = np.log([hypothesis.prior for hypothesis in hypotheses])
        log_prior -= np.logaddexp.reduce(log_prior)
        self._prior_of = EsN0Prior(hypotheses, log_prior)
        self.levels = self._prior_of.levels
        """Es/N0 in dB that the weights stand for, rising; empty where the model weighs none."""
        self.chunk_length = chunk_length
        self._prior = np.exp(log_prior)
        labels = [hypothesis.label for hypothesis in hypotheses]
        self._class_start = [labels.index(name) for name in dict.fromkeys(labels)]
        columns, level_of = self._prior_of.columns, self._prior_of.level_of
        self._at_level = np.zeros((len(hypotheses), len(self.levels)))  # hypothesis -> its level
        self._at_level[columns, level_of] = 1
        expected = self._prior @ self._at_level
        self._expected = expected / max(expected.sum(), 1e-300)
        among_level = self._at_level * self._prior[:, None] / np.maximum(expected, 1e-300)
        self._transition = (
            (1 - _CLASS_CHANGES - _ANEW) * np.eye(len(hypotheses))
            + _CLASS_CHANGES * self._at_level @ among_level.T
            + _ANEW * self._prior
        )
        self.reset()

    def reset(self) -> None:
        """Forget: the stream broke."""
        self._last: int | None = None
        self._begin()

    def _begin(self) -> None:
        self._state = self._prior  # before the first chunk of the block in progress
        self._block = np.empty((0, len(self._prior)), dtype=np.float32)  # the chunks in it

    def update(
        self, evidence: Evidence, sample_indices: NDArray[np.int64], began: NDArray[np.bool_] | None = None
    ) -> NDArray[np.float32]:
        """Take in N chunks and return the weights of the levels before each of them.

        How chunks are parted into calls makes no difference.

        Args:
            evidence: of the N chunks, in order.
            sample_indices: int64 [N], the stream's index of each chunk's first sample.
            began: bool [N]; True where tracking begins anew with a chunk (see `LevelTracker`); None: nowhere.

        Returns:
            float32 [N, levels], natural logarithms; a row's `exp` sums to 1.
        """
        count = len(evidence.log_likelihoods)
        weights = np.empty((count, len(self.levels)), dtype=np.float32)
        if not self.levels or not count:
            return weights
        share = new_share(sample_indices, self._last, self.chunk_length)
        self._last = int(sample_indices[-1])
        rows = evidence.log_likelihoods
        if not (share >= 1).all():
            rows = rows * share.astype(np.float32)[:, None]
        edges = [0, *([] if began is None else np.flatnonzero(began).tolist()), count]
        for number, (start, stop) in enumerate(itertools.pairwise(edges)):
            if number:
                self._begin()
            if stop > start:
                weights[start:stop] = self._follow(rows[start:stop])
        return weights

    def _follow(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Take in chunks among which nothing begins anew."""
        held = len(self._block)
        rows = np.concatenate([self._block, rows])
        blocks = len(rows) // _BLOCK
        whole = np.zeros(((blocks + 1) * _BLOCK, rows.shape[1]), dtype=np.float32)
        whole[: len(rows)] = rows
        sums = np.cumsum(whole.reshape(blocks + 1, _BLOCK, -1), axis=1)
        total = sums[:, -1]
        likelihood = np.exp(total - total.max(axis=1, keepdims=True))
        states = np.empty((blocks + 1, rows.shape[1]), dtype=np.float32)
        state = self._state
        for number in range(blocks):
            states[number] = state
            state = (state * likelihood[number]) @ self._transition
            state /= state.sum()
        states[blocks] = state
        self._state, self._block = state, rows[blocks * _BLOCK :]
        # Within a block nothing changes, and each chunk follows from those before it in one go.
        before = np.zeros_like(sums)
        before[:, 1:] = sums[:, :-1]
        before -= before.max(axis=2, keepdims=True)
        joint = np.exp(before, out=before)
        joint *= states[:, None]
        flat = joint.reshape(len(whole), -1)[held : len(rows)]
        # Where the stream so far was none of the classes, nothing is known of their Es/N0.
        weights = flat @ self._at_level.astype(np.float32) / flat.sum(axis=1, keepdims=True)
        weights = np.float32(1 - _FLOOR) * weights + np.float32(_FLOOR) * self._expected.astype(np.float32)
        return np.asarray(np.log(weights / weights.sum(axis=1, keepdims=True)))

    def refine(self, evidence: Evidence, log_weights: NDArray[np.float32]) -> Evidence:
        """Return evidence whose class probabilities know the Es/N0 that was tracked.

        The likelihoods stay as they are: they are given each hypothesis, whatever its probability.

        Args:
            evidence: of N chunks.
            log_weights: float32 [N, levels], what `update` returned for them.
        """
        if not self.levels:
            return evidence
        joint = evidence.log_likelihoods + self._prior_of.log_prior(log_weights)
        joint -= joint.max(axis=1, keepdims=True)
        by_class = np.add.reduceat(np.exp(joint), self._class_start, axis=1)
        by_class /= by_class.sum(axis=1, keepdims=True)
        refined = np.log(np.maximum(by_class, 1e-30)).astype(np.float32)
        refined[~evidence.usable] = 0.0
        return evidence._replace(log_probabilities=refined)
