# SPDX-License-Identifier: GPL-3.0-or-later
"""Fusing chunks into decisions."""

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amrq.chunks import SILENCE_POWER
from amrq.classifier import Evidence
from amrq.decision.decision import Decision
from amrq.errors import AmrqError
from amrq.model import NO_SIGNAL, UNKNOWN, Hypothesis

__all__ = ["DecisionMaker"]

_MOST_CHUNKS = 65_536
"""Chunks a decision at most: their evidence is kept until it falls."""

_AT_ONCE = 2048
"""Chunks looked at at a time: bounds memory."""

_EARLY_CHUNKS = 4
"""Chunks that an early decision needs at least, however sure it is: one odd chunk is no news."""


class DecisionMaker:
    """Sum the log-likelihoods of consecutive chunks and decide.

    Given class and Es/N0, chunks are independent, so that their log-likelihoods add up. Es/N0 is not known but much
    the same for chunks that follow each other: it is averaged over after the sum, not before. (Summing what single
    chunks say of the class alone can end in the wrong class with certainty: at 5 dB, a ring that is 8PSK looks
    each time a little more like 16PSK, which is a ring at more noise levels.) A decision falls

    * after `chunks` chunks;
    * earlier, if `early_confidence` allows it: in the manner of a sequential probability ratio test (Wald 1945; Baum
      and Veeravalli 1994 for several hypotheses), when it says something else than the one before and is that
      sure of it;
    * where silence begins or ends, so that no decision mixes a transmission with the pause before it;
    * where the class changes: if two classes in turn explain the chunks better than one class does, by
      `change_evidence` (the generalised likelihood ratio, Lorden 1971), they become two decisions.

    Args:
        hypotheses: what the columns of the evidence's log-likelihoods stand for, grouped by class; the class
            `unknown` stands for none of the others.
        chunk_length: samples a chunk.
        chunks: chunks a decision, 1 or more.
        min_confidence: below this probability of the best class the label is `unknown`, 0 to 1.
        early_confidence: probability that an early decision needs; 1 or more: none falls early.
        change_evidence: log-likelihood ratio, natural logarithm, that a change of class needs, above 0; infinity: none
            is looked for.

    Raises:
        AmrqError: a value is out of its range.
    """

    def __init__(
        self,
        hypotheses: Sequence[Hypothesis],
        chunk_length: int,
        chunks: int = 32,
        min_confidence: float = 0.8,
        early_confidence: float = 1.0,
        change_evidence: float = 15.0,
    ) -> None:
        labels = [hypothesis.label for hypothesis in hypotheses]
        self.classes = tuple(dict.fromkeys(labels))
        self._start = np.array([labels.index(name) for name in self.classes])
        self._log_prior: NDArray[np.float64] = np.log([hypothesis.prior for hypothesis in hypotheses])
        # Every class as probable as any other, whatever their shares were in training.
        totals = np.logaddexp.reduceat(self._log_prior, self._start)
        self._log_prior -= np.repeat(totals, np.diff([*self._start, len(labels)]))
        levels = [hypothesis.es_n0_db for hypothesis in hypotheses]
        self._es_n0_db = np.array([math.nan if level is None else level for level in levels])
        self.chunk_length = chunk_length
        self.set_chunks(chunks)
        self.set_min_confidence(min_confidence)
        if not early_confidence > 0:
            raise AmrqError(f"the confidence of an early decision must be above 0, not {early_confidence}.")
        if not change_evidence > 0:
            raise AmrqError(f"the evidence of a change must be above 0, not {change_evidence}.")
        self.early_confidence = float(early_confidence)
        self.change_evidence = float(change_evidence)
        self._said = ""  # the label of the last decision
        self._silent = False  # what is being taken in is silence
        self._last: int | None = None  # first sample of the last chunk
        self._clear()

    def set_chunks(self, chunks: int) -> None:
        """Fuse this many chunks; a decision in progress that has as many or more falls with the next chunk."""
        if not 1 <= chunks <= _MOST_CHUNKS:
            raise AmrqError(f"a decision needs at least 1 chunk and at most {_MOST_CHUNKS}, not {chunks}.")
        self.chunks = int(chunks)

    def set_min_confidence(self, min_confidence: float) -> None:
        """Name a class only from this probability on, 0 to 1."""
        if not 0 <= min_confidence <= 1:
            raise AmrqError(f"the lowest confidence must lie between 0 and 1, not {min_confidence}.")
        self.min_confidence = float(min_confidence)

    def _clear(self) -> None:
        self._count = 0
        self._sum: NDArray[np.float64] = self._log_prior
        # What has been taken in since the last decision, piece by piece: log-likelihoods, power, sample indices.
        self._rows: list[NDArray[np.float32]] = []
        self._power: list[NDArray[np.float32]] = []
        self._indices: list[NDArray[np.int64]] = []

    def update(self, evidence: Evidence, sample_indices: NDArray[np.int64]) -> list[Decision]:
        """Take in N chunks and return the decisions that became due.

        Args:
            evidence: of the N chunks, in order.
            sample_indices: int64 [N], the stream's index of each chunk's first sample.
        """
        decisions: list[Decision] = []
        finite = ~np.isnan(evidence.power)
        if not finite.all():
            # A chunk with broken samples is neither a signal nor silence: it says nothing.
            evidence = Evidence(*(column[finite] for column in evidence))  # type: ignore[arg-type]
            sample_indices = sample_indices[finite]
        if not len(sample_indices):
            return []
        evidence = self._new_samples_only(evidence, sample_indices)
        usable = evidence.usable
        # Runs of chunks that are all usable or all silent.
        edges = [0, *(np.flatnonzero(usable[1:] != usable[:-1]) + 1).tolist(), len(usable)]
        for start, stop in itertools.pairwise(edges):
            if start == stop:
                continue
            silent = not usable[start]
            if self._count and silent != self._silent:
                decisions += self.flush()
            self._silent = silent
            decisions += self._take(evidence.part(start, stop), sample_indices[start:stop])
        return decisions

    def _new_samples_only(self, evidence: Evidence, sample_indices: NDArray[np.int64]) -> Evidence:
        """Weigh overlapping chunks by the share of them that is new: no symbol may count twice."""
        before = sample_indices[0] - self.chunk_length if self._last is None else self._last
        self._last = int(sample_indices[-1])
        step = np.diff(sample_indices, prepend=before)
        share = np.where(step < 0, 1.0, step / self.chunk_length)  # back means another stream
        if (share >= 1).all():
            return evidence
        weighed = evidence.log_likelihoods * np.clip(share, 0, 1).astype(np.float32)[:, None]
        return evidence._replace(log_likelihoods=weighed)

    def flush(self) -> list[Decision]:
        """Decide on what has been taken in since the last decision: no decision if nothing was."""
        decisions: list[Decision] = []
        while self._count:
            decisions += self._decide()
        return decisions

    def _take(self, evidence: Evidence, indices: NDArray[np.int64]) -> list[Decision]:
        """Take in chunks that are all usable or all silent."""
        decisions: list[Decision] = []
        start = 0
        while start < len(indices):
            if not self._count and not self._silent and self.early_confidence >= 1:
                # The common case, many whole decisions at once.
                whole = self._decide_whole(evidence.part(start, len(indices)), indices[start:])
                if whole:
                    decisions += whole
                    start += sum(decision.chunks for decision in whole)
                    continue
            stop = min(len(indices), start + max(1, self.chunks - self._count))
            early = None
            if not self._silent:
                rows = evidence.log_likelihoods[start:stop]
                if self.early_confidence < 1:
                    sums: NDArray[np.float64] = self._sum + np.cumsum(rows, axis=0, dtype=np.float64)
                    early = self._early(sums)
                    stop = stop if early is None else start + early + 1
                    self._sum = sums[stop - start - 1]
                self._rows.append(rows[: stop - start])
                self._power.append(evidence.power[start:stop])
            self._indices.append(indices[start:stop])
            self._count += stop - start
            start = stop
            if early is not None or self._count >= self.chunks:
                decisions += self._decide()
        return decisions

    def _decide_whole(self, evidence: Evidence, indices: NDArray[np.int64]) -> list[Decision]:
        """Decide on as many full sets of chunks as lie before the first change of class in them."""
        count = min(len(indices) // self.chunks, max(1, _AT_ONCE // self.chunks))
        if count == 0:
            return []
        shape = (count, self.chunks)
        rows = evidence.log_likelihoods[: count * self.chunks].reshape(*shape, -1)
        changes, sums = self._changes(rows)
        steady = count if not changes.any() else int(np.argmax(changes > 0))
        decisions = self._fuse(
            sums[:steady],
            evidence.power[: count * self.chunks].reshape(shape)[:steady],
            indices[: count * self.chunks].reshape(shape)[:steady],
        )
        if decisions:
            self._said = decisions[-1].label
        return decisions

    def _early(self, sums: NDArray[np.float64]) -> int | None:
        """Return the first row of the running sums that is sure enough of something new."""
        by_class = np.logaddexp.reduceat(sums, self._start, axis=1)
        sure = by_class.max(axis=1) - np.logaddexp.reduce(by_class, axis=1) >= math.log(self.early_confidence)
        sure[: max(0, _EARLY_CHUNKS - 1 - self._count)] = False
        if not sure.any():
            return None
        new = np.array([name != self._said for name in self.classes])
        rows = np.flatnonzero(sure & new[by_class.argmax(axis=1)])
        return int(rows[0]) if len(rows) else None

    def _decide(self) -> list[Decision]:
        """Decide on what there is; where the class changed, on the part before it, and keep the rest."""
        indices = np.concatenate(self._indices)
        if self._silent:
            self._clear()
            self._said = NO_SIGNAL
            span = int(indices[-1] - indices[0]) + self.chunk_length
            return [Decision(NO_SIGNAL, 1.0, "", {}, len(indices), int(indices[0]), span, None, None)]
        rows, power = np.concatenate(self._rows), np.concatenate(self._power)
        changes, sums = self._changes(rows[None])
        change = int(changes[0])
        count = change or len(rows)
        if change:
            sums = rows[None, :count].sum(axis=1, dtype=np.float64)
        (decision,) = self._fuse(sums, power[None, :count], indices[None, :count])
        self._clear()
        self._said = decision.label
        if not change:
            return [decision]
        rest = Evidence(
            rows[count:, :0], rows[count:], power[count:], np.ones(len(rows) - count, dtype=np.bool_)
        )
        return [decision, *self._take(rest, indices[count:])]

    def _changes(self, rows: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[Any]]:
        """Look for changes in sets of rows [D, n, H].

        Returns:
            for each set the row at which another class begins, 0 if none does: int64 [D]; and its sum [D, H].
        """
        sets, count, _ = rows.shape
        changes = np.zeros(sets, dtype=np.int64)
        if count < 2 or math.isinf(self.change_evidence):
            return changes, rows.sum(axis=1, dtype=np.float64)
        # Bounded evidence of some chunks adds up well enough in single precision, in half the time.
        before = np.cumsum(rows, axis=1, dtype=np.float32 if count <= 1024 else np.float64)
        whole = before[:, -1:].copy()
        before = before[:, :-1]
        split = before.max(axis=2)
        np.subtract(whole, before, out=before)
        split += before.max(axis=2)
        best = split.argmax(axis=1)
        found = np.take_along_axis(split, best[:, None], axis=1)[:, 0] - whole.max(axis=2)[:, 0]
        for number in np.flatnonzero(found > self.change_evidence):
            # Another Es/N0 of the same class (fading) is no change of class.
            after = before[number, best[number]]
            winners = [int(part.argmax()) for part in (whole[number, 0] - after, after)]
            classes = np.searchsorted(self._start, winners, side="right")
            if classes[0] != classes[1]:
                changes[number] = best[number] + 1
        return changes, whole[:, 0]

    def _fuse(
        self, sums: NDArray[np.floating[Any]], power: NDArray[np.float32], indices: NDArray[np.int64]
    ) -> list[Decision]:
        """Decide on sums of log-likelihoods [D, H] of chunks whose power and sample indices are [D, n]."""
        joint = self._log_prior + sums
        joint -= joint.max(axis=1, keepdims=True)
        weights = np.exp(joint)
        by_class = np.add.reduceat(weights, self._start, axis=1)
        total = by_class.sum(axis=1, keepdims=True)
        # Where a class has no weight left, its best hypothesis stands for it.
        fused = np.where(
            by_class > 0,
            np.log(np.maximum(by_class, 1e-300)),
            np.maximum.reduceat(joint, self._start, axis=1),
        ) - np.log(total)
        winners = fused.argmax(axis=1)
        confidence = by_class[np.arange(len(sums)), winners] / total[:, 0]
        levels = np.add.reduceat(weights * self._es_n0_db, self._start, axis=1)
        mean_power = np.maximum(power.mean(axis=1, dtype=np.float64), SILENCE_POWER)
        power_db = (10 * np.log10(mean_power)).tolist()
        first, last = indices[:, 0].tolist(), indices[:, -1].tolist()
        decisions = []
        for number, winner in enumerate(winners.tolist()):
            best, sure = self.classes[winner], min(1.0, float(confidence[number]))
            es_n0_db = float(levels[number, winner] / by_class[number, winner])
            decisions.append(
                Decision(
                    label=best if sure >= self.min_confidence else UNKNOWN,
                    confidence=sure,
                    best=best,
                    log_probabilities=dict(zip(self.classes, fused[number].tolist(), strict=True)),
                    chunks=indices.shape[1],
                    sample_index=first[number],
                    sample_count=last[number] - first[number] + self.chunk_length,
                    es_n0_db=None if math.isnan(es_n0_db) else es_n0_db,
                    power_db=power_db[number],
                )
            )
        return decisions
