# SPDX-License-Identifier: GPL-3.0-or-later
"""Fusing chunks into decisions."""

import itertools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from amrq.classifier import Evidence
from amrq.decision.decision import NO_SIGNAL, Decision
from amrq.errors import AmrqError
from amrq.model import UNKNOWN

__all__ = ["DecisionMaker"]


class DecisionMaker:
    """Sum the log-probabilities of consecutive chunks and decide.

    Chunks are independent given the class, so that with equal priors their log-probabilities add up to the optimal
    fused decision. A decision falls after `chunks` chunks, and earlier where silence begins or ends, so
    that no decision mixes a transmission with the pause before it.

    Args:
        classes: labels of the evidence's columns; a column called `unknown` stands for none of the others.
        chunk_length: samples a chunk.
        chunks: chunks a decision, 1 or more.
        min_confidence: below this probability of the best class the label is `unknown`, 0 to 1.

    Raises:
        AmrqError: a value is out of its range.
    """

    def __init__(
        self,
        classes: Sequence[str],
        chunk_length: int,
        chunks: int = 32,
        min_confidence: float = 0.8,
    ) -> None:
        self.classes = tuple(classes)
        self.chunk_length = chunk_length
        self.set_chunks(chunks)
        self.set_min_confidence(min_confidence)
        self._clear()

    def set_chunks(self, chunks: int) -> None:
        """Fuse this many chunks; a decision in progress that has as many or more falls with the next chunk."""
        if chunks < 1:
            raise AmrqError(f"a decision needs at least 1 chunk, not {chunks}.")
        self.chunks = int(chunks)

    def set_min_confidence(self, min_confidence: float) -> None:
        """Name a class only from this probability on, 0 to 1."""
        if not 0 <= min_confidence <= 1:
            raise AmrqError(f"the lowest confidence must lie between 0 and 1, not {min_confidence}.")
        self.min_confidence = float(min_confidence)

    def _clear(self) -> None:
        self._sum = np.zeros(len(self.classes))
        self._count = 0
        self._silent = False
        self._power = 0.0
        self._first = 0
        self._end = 0

    def update(self, evidence: Evidence, sample_indices: NDArray[np.int64]) -> list[Decision]:
        """Take in N chunks and return the decisions that became due.

        Args:
            evidence: of the N chunks, in order.
            sample_indices: int64 [N], the stream's index of each chunk's first sample.
        """
        decisions: list[Decision] = []
        usable = evidence.usable
        # Runs of chunks that are all usable or all silent.
        edges = [0, *(np.flatnonzero(usable[1:] != usable[:-1]) + 1).tolist(), len(usable)]
        for start, end in itertools.pairwise(edges):
            if start == end:
                continue
            silent = not usable[start]
            if self._count and silent != self._silent:
                decisions += self.flush()
            while start < end:
                stop = min(end, start + max(1, self.chunks - self._count))
                if self._count == 0:
                    self._first = int(sample_indices[start])
                    self._silent = silent
                self._count += stop - start
                self._end = int(sample_indices[stop - 1]) + self.chunk_length
                if not silent:
                    self._sum += evidence.log_probabilities[start:stop].sum(axis=0, dtype=np.float64)
                    self._power += float(evidence.power[start:stop].sum(dtype=np.float64))
                if self._count >= self.chunks:
                    decisions += self.flush()
                start = stop
        return decisions

    def flush(self) -> list[Decision]:
        """Decide on what has been taken in since the last decision: one decision, or none."""
        if not self._count:
            return []
        count, first, span = self._count, self._first, self._end - self._first
        if self._silent:
            decision = Decision(NO_SIGNAL, 1.0, "", {}, count, first, span, None)
        else:
            fused = self._sum - self._sum.max()
            fused -= math.log(float(np.exp(fused).sum()))
            winner = int(fused.argmax())
            best, confidence = self.classes[winner], math.exp(float(fused[winner]))
            decision = Decision(
                label=best if confidence >= self.min_confidence else UNKNOWN,
                confidence=confidence,
                best=best,
                log_probabilities=dict(zip(self.classes, fused.tolist(), strict=True)),
                chunks=count,
                sample_index=first,
                sample_count=span,
                power_db=10 * math.log10(self._power / count),
            )
        self._clear()
        return [decision]
