# SPDX-License-Identifier: GPL-3.0-or-later
"""Level and Es/N0 of a stream, beside its classification."""

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from amrq.classifier import Evidence
from amrq.model import Hypothesis
from amrq.tracking.level_tracker import LevelTracker, TrackedLevel
from amrq.tracking.noise_tracker import NoiseTracker

__all__ = ["Tracker"]


class Tracker:
    """Track the level before chunks are classified, and Es/N0 behind it.

    Where the level changes, or the stream breaks, both begin anew. The two halves share no state, so that two threads
    may call one each.

    Args:
        hypotheses: what the model weighs, grouped by class.
        chunk_length: samples a chunk.
    """

    def __init__(self, hypotheses: Sequence[Hypothesis], chunk_length: int) -> None:
        self._level = LevelTracker(chunk_length)
        self._noise = NoiseTracker(hypotheses, chunk_length)
        self.levels = self._noise.levels
        """Es/N0 in dB that weights stand for, rising; empty where the model weighs none."""

    def level(
        self,
        chunks: NDArray[np.complex64],
        sample_indices: NDArray[np.int64],
        breaks: Sequence[int] = (),
    ) -> TrackedLevel:
        """Take in complex64 [N, L] chunks and return the level before each of them.

        Args:
            chunks: complex64 [N, L].
            sample_indices: int64 [N], the stream's index of each chunk's first sample.
            breaks: chunk numbers (0 to N-1) before which the stream broke.

        Returns:
            The power to hand to the classifier; `began` also tells the breaks, for `noise`.
        """
        samples = np.ascontiguousarray(chunks, dtype=np.complex64).view(np.float32)
        with np.errstate(over="ignore", invalid="ignore"):
            power = np.einsum("nl,nl->n", samples, samples) / np.float32(max(chunks.shape[1], 1))
        parts = []
        edges = sorted({0, *breaks, len(chunks)})
        for start, stop in itertools.pairwise(edges):
            if start in breaks:
                self._level.reset()
            part = self._level.update(power[start:stop], sample_indices[start:stop])
            part.began[0] |= start in breaks
            parts.append(part)
        if len(parts) == 1:
            return parts[0]
        return TrackedLevel(
            np.concatenate([np.empty(0, np.float32), *(part.power for part in parts)]),
            np.concatenate([np.empty(0, np.bool_), *(part.began for part in parts)]),
        )

    def noise(
        self, evidence: Evidence, sample_indices: NDArray[np.int64], level: TrackedLevel
    ) -> NDArray[np.float32]:
        """Take in the evidence of N chunks and return the weights of Es/N0 levels before each of them.

        Args:
            evidence: of the N chunks, in order.
            sample_indices: int64 [N], the stream's index of each chunk's first sample.
            level: what `level` returned for them.

        Returns:
            float32 [N, levels], natural logarithms; a row's `exp` sums to 1.
        """
        return self._noise.update(evidence, sample_indices, level.began)

    def refine(self, evidence: Evidence, log_weights: NDArray[np.float32]) -> Evidence:
        """Return evidence whose class probabilities know what was tracked (see `NoiseTracker.refine`)."""
        return self._noise.refine(evidence, log_weights)
