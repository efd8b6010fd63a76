# SPDX-License-Identifier: GPL-3.0-or-later
"""Fusion of the evidence of chunks into decisions."""

import itertools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from amrq.chunks import SILENCE_POWER
from amrq.classifier import Evidence
from amrq.decision.decision import Decision, EsN0Bound, Reason
from amrq.decision.decision_options import DecisionOptions
from amrq.errors import AmrqError
from amrq.model import NO_SIGNAL, UNKNOWN, Hypothesis
from amrq.native import kernels
from amrq.tracking import EsN0Prior, kept_of_model, new_share

__all__ = ["DecisionMaker"]

_AT_ONCE = 2048
"""Chunks looked at at a time: bounds memory."""

_MOST_SINGLE = 1024
"""Chunks up to which single precision is enough for sums of their bounded evidence; it takes half the time."""

_EARLY_CHUNKS = 4
"""Chunks that an early decision needs at least, however sure it is: one odd chunk is no news."""

_MOST_CARRIED = math.log(1000.0)
"""What earlier decisions can say against a hypothesis at most: were the class the same for ever, no bound would be
needed; this is the caution of one who expects another class at one decision in a thousand."""


_DEFAULTS = DecisionOptions()


class _Chunks(NamedTuple):
    """Chunks that are all usable or all silent.

    Attributes:
        rows: log-likelihoods [n, H].
        power: [n].
        indices: index of each one's first sample [n].
        weights: log-weights of the Es/N0 levels before each chunk [n, levels], if they are tracked.
        es_n0_db: measured Es/N0 [n], NaN where it is not known; None: nowhere.
    """

    rows: NDArray[np.float32]
    power: NDArray[np.float32]
    indices: NDArray[np.int64]
    weights: NDArray[np.float32] | None
    es_n0_db: NDArray[np.float32] | None

    def part(self, start: int, stop: int) -> "_Chunks":
        return _Chunks(*(None if column is None else column[start:stop] for column in self))  # type: ignore[arg-type]

    @staticmethod
    def join(pieces: "list[_Chunks]") -> "_Chunks":
        """Return pieces as one; a column that one of them lacks is left out."""
        columns = ([c for c in column if c is not None] for column in zip(*pieces, strict=True))
        return _Chunks(*(np.concatenate(c) if len(c) == len(pieces) else None for c in columns))  # type: ignore[arg-type]


class _Constants(NamedTuple):
    """What `DecisionMaker` knows of a model's hypotheses.

    Attributes:
        classes: in the order of the hypotheses.
        start: number of each class's first one, [classes].
        log_prior: of each, all classes being equally probable, [H].
        prior_of: priors by weights of Es/N0 levels.
        es_n0_db: of each, NaN where it has none, [H].
        limits: of each class, see `_es_n0_limits`.
    """

    classes: tuple[str, ...]
    start: NDArray[np.int64]
    log_prior: NDArray[np.float64]
    prior_of: EsN0Prior
    es_n0_db: NDArray[np.float64]
    limits: list[tuple[float, float]]


@kept_of_model
def _constants(hypotheses: Sequence[Hypothesis]) -> _Constants:
    labels = [hypothesis.label for hypothesis in hypotheses]
    classes = tuple(dict.fromkeys(labels))
    start = np.array([labels.index(name) for name in classes])
    log_prior: NDArray[np.float64] = np.log([hypothesis.prior for hypothesis in hypotheses])
    # All classes are equally probable, whatever their shares in training.
    totals = np.logaddexp.reduceat(log_prior, start)
    log_prior -= np.repeat(totals, np.diff([*start, len(labels)]))
    levels = [hypothesis.es_n0_db for hypothesis in hypotheses]
    return _Constants(
        classes,
        start,
        log_prior,
        EsN0Prior(hypotheses, log_prior),
        np.array([math.nan if level is None else level for level in levels]),
        [_es_n0_limits([h for h in hypotheses if h.label == name]) for name in classes],
    )


class DecisionMaker:
    """Sum the log-likelihoods of consecutive chunks and decide.

    Given class and Es/N0, chunks are independent, and their log-likelihoods add up. Es/N0 is not known but nearly the
    same for successive chunks: it is averaged over after the sum, not before. (The sum of each chunk's log-likelihoods
    of the class alone can become certain of a wrong class: at 5 dB, each chunk of 8PSK looks a little more like 16PSK,
    which looks like a ring at more noise levels.) A decision is made

    * after `chunks_per_decision` chunks;
    * earlier, if `early_confidence` is set, its answer differs from the one before, and its confidence reaches
      `early_confidence`: this follows the sequential probability ratio test (Wald 1945; Baum and Veeravalli 1994 for
      several hypotheses);
    * at the begin and end of silence, so that no decision mixes a transmission with the pause before it;
    * at a change of class: if two successive classes explain the chunks better than one class by `change_evidence`
      (the generalised likelihood ratio, Lorden 1971), the chunks give two decisions.

    With a `memory`, a decision also uses the evidence of earlier decisions, which fades as exp(-n / memory) over n
    chunks. The memory is cleared when silence begins or ends, at `flush`, at a change of class inside a decision, and
    when a decision's own chunks refute the class so far by `change_evidence`. A smaller change is not hidden for long:
    the carried evidence against any hypothesis is at most odds of a thousand to one.

    If Es/N0 is tracked, a decision starts from the probabilities of Es/N0 before its first chunk; otherwise all levels
    are equally probable. With a memory, which holds the same knowledge, they are not used. If Es/N0 is measured by the
    noise beside the signal, levels that it contradicts are improbable (see `EsN0Prior.measured`).

    A model's errors on a signal repeat from chunk to chunk, so its evidence grows more slowly than with independent
    errors. With `fusion_chunks` n0, the sum over n chunks is multiplied by 1 / (1 + (n - 1) / n0).

    The best class, `unknown` and `no signal` included, is the answer if its probability is at least
    `DecisionOptions.threshold`, so that the expected cost of the name is below that of none;
    otherwise the decision is `unsure`, with the label `unknown`. If the best class is `no signal`, the label is `no
    signal` only if `name_noise` is set, otherwise `unknown`: a transmission of many carriers (OFDM), sampled once a
    symbol, looks like noise, and only the user knows that there is none. `Decision.reason` gives the kind of answer.

    Es/N0 is estimated within the model's levels. Above the last level the model cannot estimate it, nor among highest
    levels with a lower prior, on which it was trained less. There, and below the second-lowest level, the decision
    gives the border between these levels and their neighbour, and `es_n0_bound` is `above` or `below`.

    Args:
        hypotheses: the columns of the evidence's log-likelihoods, grouped by class; the class `unknown` means a signal
            outside the other classes, `no signal` noise alone.
        chunk_length: samples a chunk.
        options: how chunks are fused. The attribute `options` may be replaced at any time, also from another thread.
            New options apply from the next chunk on; a decision in progress that then has enough chunks is made with
            that chunk. (`early_confidence` does not change; `track` is used by the worker.)
        fusion_chunks: n0 above, from the model's contract; 0: sums count in full.

    Raises:
        AmrqError: `fusion_chunks` is out of its range.

    >>> import numpy as np
    >>> from amrq.classifier import make_classifier
    >>> from amrq.evaluation import fresh_chunks
    >>> classifier = make_classifier("default")
    >>> contract = classifier.contract
    >>> maker = DecisionMaker(contract.hypotheses, contract.chunk_length, fusion_chunks=contract.fusion_chunks)
    >>> chunks = fresh_chunks("16QAM", 32, 32, 18.0, np.random.default_rng(1))
    >>> decisions = maker.update(classifier.classify(chunks), 32 * np.arange(32))
    >>> [(decision.label, decision.chunks) for decision in [*decisions, *maker.flush()]]
    [('16QAM', 32)]
    """

    def __init__(
        self,
        hypotheses: Sequence[Hypothesis],
        chunk_length: int,
        options: DecisionOptions | None = None,
        fusion_chunks: float = 0.0,
    ) -> None:
        known = _constants(hypotheses)
        self.classes, self._start, self._log_prior = known.classes, known.start, known.log_prior
        self._prior_of, self._es_n0_db, self._es_n0_limits = known.prior_of, known.es_n0_db, known.limits
        self.chunk_length = chunk_length
        self.options = options or _DEFAULTS
        if not 0 <= fusion_chunks < math.inf:
            raise AmrqError(f"fusion_chunks must be 0 or a number of chunks, not {fusion_chunks}.")
        self._excess = 1 / fusion_chunks if fusion_chunks else 0.0
        self._said = ""  # the label of the last decision
        self._silent = False  # the chunks being taken in are silent
        self._last: int | None = None  # first sample of the last chunk
        self._carried: NDArray[np.float64] | None = None  # evidence of earlier decisions on each hypothesis
        self._carried_chunks = 0.0  # number of chunks of that evidence
        self._clear()

    def _clear(self) -> None:
        self._count = 0
        self._sum: NDArray[np.float64] = np.zeros(
            len(self._log_prior)
        )  # kept only if early decisions are allowed
        self._pieces: list[_Chunks] = []  # what has been taken in since the last decision

    def update(
        self,
        evidence: Evidence,
        sample_indices: NDArray[np.int64],
        es_n0_log_weights: NDArray[np.float32] | None = None,
        es_n0_db: NDArray[np.float32] | None = None,
    ) -> list[Decision]:
        """Take in N chunks and return the decisions that are now due.

        Args:
            evidence: of the N chunks, in order.
            sample_indices: int64 [N], the stream's index of each chunk's first sample.
            es_n0_log_weights: float32 [N, levels], log-probability of each Es/N0 level given the chunks before each
                one (see `NoiseTracker`); None in every call if Es/N0 is not tracked.
            es_n0_db: float32 [N], Es/N0 by the noise beside the signal, dB, NaN where it is not known; None: nowhere.
        """
        decisions: list[Decision] = []
        weights = es_n0_log_weights if self._prior_of.levels else None
        finite = ~np.isnan(evidence.power)
        if not finite.all():
            # A chunk with samples that are not finite is neither a signal nor silence: it is skipped.
            evidence = evidence.select(finite)
            sample_indices = sample_indices[finite]
            weights = None if weights is None else weights[finite]
            es_n0_db = None if es_n0_db is None else es_n0_db[finite]
        if not len(sample_indices):
            return []
        rows = self._new_samples_only(evidence.log_likelihoods, sample_indices)
        measured = es_n0_db if self._prior_of.levels else None
        chunks = _Chunks(rows, evidence.power, sample_indices, weights, measured)
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
            decisions += self._take(chunks.part(start, stop))
        return decisions

    def _new_samples_only(
        self, rows: NDArray[np.float32], sample_indices: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Weight overlapping chunks by their share of new samples, so that no symbol counts twice."""
        share = new_share(sample_indices, self._last, self.chunk_length)
        self._last = int(sample_indices[-1])
        return rows if (share >= 1).all() else rows * share.astype(np.float32)[:, None]

    def flush(self) -> list[Decision]:
        """Decide on the chunks since the last decision, if there are any, and clear the memory."""
        decisions: list[Decision] = []
        while self._count:
            decisions += self._decide()
        self._carried = None
        return decisions

    def _take(self, chunks: _Chunks) -> list[Decision]:
        """Take in chunks that are all usable or all silent."""
        decisions: list[Decision] = []
        start, count = 0, len(chunks.indices)
        while start < count:
            options = self.options  # another thread may replace the options
            if 0 < self._count < options.chunks_per_decision <= self._count + count - start:
                joined = self._joined(chunks.part(start, count))
                if joined is not None:
                    self._clear()
                    chunks, start, count = joined, 0, len(joined.indices)
            if not (self._count or self._silent or options.early_confidence < 1 or options.memory):
                # The common case, many whole decisions at once.
                whole = self._decide_whole(chunks.part(start, count))
                if whole:
                    decisions += whole
                    start += sum(decision.chunks for decision in whole)
                    continue
            piece = chunks.part(start, min(count, start + max(1, options.chunks_per_decision - self._count)))
            early = None
            if not self._silent and options.early_confidence < 1:
                sums: NDArray[np.float64] = self._sum + np.cumsum(piece.rows, axis=0, dtype=np.float64)
                first = self._pieces[0] if self._pieces else piece
                early = self._early(sums, first)
                if early is not None:
                    piece = piece.part(0, early + 1)
                self._sum = sums[len(piece.indices) - 1]
            self._pieces.append(piece)
            self._count += len(piece.indices)
            start += len(piece.indices)
            if early is not None or self._count >= options.chunks_per_decision:
                decisions += self._decide()
        return decisions

    def _joined(self, chunks: _Chunks) -> _Chunks | None:
        """Return the chunks that wait for their decision and these, to decide on many at once; None if they may not."""
        if self._silent or self.options.early_confidence < 1 or self.options.memory:
            return None
        pieces = [*self._pieces, chunks]
        columns = {tuple(column is None for column in piece) for piece in pieces}
        return _Chunks.join(pieces) if len(columns) == 1 else None

    def _decide_whole(self, chunks: _Chunks) -> list[Decision]:
        """Decide on all full sets of chunks before the first change of class."""
        length = self.options.chunks_per_decision
        count = min(len(chunks.indices) // length, max(1, _AT_ONCE // length))
        if count == 0:
            return []
        shape = (count, length)
        chunks = chunks.part(0, count * length)
        changes, sums = self._changes(chunks.rows.reshape(*shape, -1))
        steady = count if not changes.any() else int(np.argmax(changes > 0))
        weights = None if chunks.weights is None else chunks.weights[::length][:steady]
        es_n0_db = None if chunks.es_n0_db is None else chunks.es_n0_db.reshape(shape)[:steady]
        decisions = self._fuse(
            sums[:steady],
            chunks.power.reshape(shape)[:steady],
            chunks.indices.reshape(shape)[:steady],
            self._prior(weights, es_n0_db),
            length,
        )
        if decisions:
            self._said = decisions[-1].label
        return decisions

    def _prior(
        self, weights: NDArray[np.float32] | None, es_n0_db: NDArray[np.float32] | None
    ) -> NDArray[np.float64]:
        """Return the log-prior of decisions, [H] or [D, H].

        Args:
            weights: of Es/N0 by tracking [D, levels], or None.
            es_n0_db: measured, [D, n] for the decision's chunks, or None.
        """
        if es_n0_db is not None and not np.isnan(es_n0_db).all():
            seen = self._prior_of.measured(_median(es_n0_db))
            return self._prior_of.log_prior(seen if weights is None else seen + weights)
        return self._log_prior if weights is None else self._prior_of.log_prior(weights)

    def _before(self, first: _Chunks) -> NDArray[np.float64]:
        """Return the log-prior [H] of a decision that begins with these chunks, without the memory."""
        weights = None if self._carried is not None or first.weights is None else first.weights[:1]
        prior = self._prior(weights, None if first.es_n0_db is None else first.es_n0_db[None])
        return prior.reshape(-1)

    def _weight_of(self, chunks: Any) -> Any:
        """Return the factor on a sum of log-likelihoods, for a number of chunks or an array of numbers."""
        return 1 / (1 + np.maximum(chunks - 1, 0) * self._excess)

    def _early(self, sums: NDArray[np.float64], first: _Chunks) -> int | None:
        """Return the first row of the running sums with enough confidence in a new answer."""
        joint = sums.copy()
        options = self.options
        counts = self._count + 1 + np.arange(len(sums))
        chunks: NDArray[np.float64] = counts.astype(np.float64)
        if self._carried is not None and options.memory:
            fade = np.exp(-counts / options.memory)
            joint += fade[:, None] * self._carried
            chunks = counts + fade * self._carried_chunks
        joint *= self._weight_of(chunks)[:, None]
        joint += self._before(first)
        by_class = np.logaddexp.reduceat(joint, self._start, axis=1)
        sure = by_class.max(axis=1) - np.logaddexp.reduce(by_class, axis=1) >= math.log(
            options.early_confidence
        )
        sure[: max(0, _EARLY_CHUNKS - 1 - self._count)] = False
        if not sure.any():
            return None
        new = np.array([name != self._said for name in self.classes])
        rows = np.flatnonzero(sure & new[by_class.argmax(axis=1)])
        return int(rows[0]) if len(rows) else None

    def _decide(self) -> list[Decision]:
        """Decide on the chunks so far; after a change of class, on the part before it, and keep the rest."""
        pieces = self._pieces
        chunks = pieces[0]
        if len(pieces) > 1:
            chunks = _Chunks.join(pieces)
        indices = chunks.indices
        if self._silent:
            self._clear()
            self._carried = None
            self._said = NO_SIGNAL
            span = int(indices[-1] - indices[0]) + self.chunk_length
            return [
                Decision(NO_SIGNAL, 1.0, "", {}, len(indices), int(indices[0]), span, None, None, "silent")
            ]
        changes, sums = self._changes(chunks.rows[None])
        change = int(changes[0])
        count = change or len(indices)
        if change:
            sums = chunks.rows[None, :count].sum(axis=1, dtype=np.float64)
        sums = sums.astype(np.float64)
        if self._carried is not None:
            self._forget(count, sums[0])
        prior = self._before(chunks)
        fused = float(count)
        if self._carried is not None:
            sums += self._carried
            fused += self._carried_chunks
        (decision,) = self._fuse(sums, chunks.power[None, :count], indices[None, :count], prior, fused)
        self._clear()
        self._said = decision.label
        # After a change, the new class begins without the memory of the old one.
        self._carried = (
            np.maximum(sums[0] - sums.max(), -_MOST_CARRIED) if self.options.memory and not change else None
        )
        self._carried_chunks = fused
        return [decision, *self._take(chunks.part(count, len(indices)))] if change else [decision]

    def _forget(self, count: int, fresh: NDArray[np.float64]) -> None:
        """Fade the memory by `count` chunks, and clear it if these chunks' sum [H] refutes its class."""
        assert self._carried is not None
        memory = self.options.memory
        if not memory:  # switched off while running
            self._carried = None
            return
        best = np.maximum.reduceat(fresh, self._start)
        so_far = int(np.maximum.reduceat(self._carried, self._start).argmax())
        if best.max() - best[so_far] > self.options.change_evidence:
            self._carried = None
        else:
            self._carried = math.exp(-count / memory) * self._carried
            self._carried_chunks *= math.exp(-count / memory)

    def _changes(self, rows: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[Any]]:
        """Look for changes in sets of rows [D, n, H].

        Returns:
            for each set the row at which another class begins, 0 if there is no change: int64 [D]; and the set's sum
            [D, H].
        """
        sets, count, _ = rows.shape
        changes = np.zeros(sets, dtype=np.int64)
        if count < 2 or math.isinf(self.options.change_evidence):
            return changes, rows.sum(axis=1, dtype=np.float64)
        native = kernels() if count <= _MOST_SINGLE else None
        splits = None if native is None else native.decision_splits(rows)
        if splits is not None:
            for number in np.flatnonzero(splits.gains > self.options.change_evidence):
                place = int(splits.places[number])
                first = np.cumsum(rows[number, :place], axis=0, dtype=np.float32)[-1]
                if self._is_change(splits.sums[number] - first, first):
                    changes[number] = place
            return changes, splits.sums
        before = np.cumsum(rows, axis=1, dtype=np.float32 if count <= _MOST_SINGLE else np.float64)
        whole = before[:, -1:].copy()
        before = before[:, :-1]
        split = before.max(axis=2)
        np.subtract(whole, before, out=before)
        split += before.max(axis=2)
        best = split.argmax(axis=1)
        found = np.take_along_axis(split, best[:, None], axis=1)[:, 0] - whole.max(axis=2)[:, 0]
        for number in np.flatnonzero(found > self.options.change_evidence):
            last = before[number, best[number]]
            if self._is_change(whole[number, 0] - last, last):
                changes[number] = best[number] + 1
        return changes, whole[:, 0]

    def _is_change(self, *sums: NDArray[np.floating[Any]]) -> bool:
        """Return whether sums [H] of two parts have another class; another Es/N0 of the same (fading) is no change."""
        winners = [int(part.argmax()) for part in sums]
        first, second = np.searchsorted(self._start, winners, side="right").tolist()
        return bool(first != second)

    def _fuse(
        self,
        sums: NDArray[np.floating[Any]],
        power: NDArray[np.float32],
        indices: NDArray[np.int64],
        log_prior: NDArray[np.float64],
        fused: float,
    ) -> list[Decision]:
        """Decide on sums of log-likelihoods [D, H].

        Args:
            sums: log-likelihoods summed over each decision's chunks.
            power: [D, n], of its chunks.
            indices: [D, n], of each chunk's first sample.
            log_prior: [H] or [D, H], of the hypotheses before these chunks.
            fused: number of chunks in each sum.
        """
        joint = log_prior + self._weight_of(fused) * sums
        joint -= joint.max(axis=1, keepdims=True)
        weights = np.exp(joint)
        by_class = np.add.reduceat(weights, self._start, axis=1)
        total = by_class.sum(axis=1, keepdims=True)
        # If a class has no weight left, its best hypothesis represents it.
        log_probabilities = np.where(
            by_class > 0,
            np.log(np.maximum(by_class, 1e-300)),
            np.maximum.reduceat(joint, self._start, axis=1),
        ) - np.log(total)
        winners = log_probabilities.argmax(axis=1)
        confidence = by_class[np.arange(len(sums)), winners] / total[:, 0]
        levels = np.add.reduceat(weights * self._es_n0_db, self._start, axis=1)
        mean_power = np.maximum(power.mean(axis=1, dtype=np.float64), SILENCE_POWER)
        power_db = (10 * np.log10(mean_power)).tolist()
        first, last = indices[:, 0].tolist(), indices[:, -1].tolist()
        decisions = []
        for number, winner in enumerate(winners.tolist()):
            best, sure = self.classes[winner], min(1.0, float(confidence[number]))
            label, reason = self._answer(best, sure)
            es_n0_db, bound = self._es_n0(winner, float(levels[number, winner] / by_class[number, winner]))
            decisions.append(
                Decision(
                    label=label,
                    confidence=sure,
                    best=best,
                    log_probabilities=dict(
                        zip(self.classes, log_probabilities[number].tolist(), strict=True)
                    ),
                    chunks=indices.shape[1],
                    sample_index=first[number],
                    sample_count=last[number] - first[number] + self.chunk_length,
                    es_n0_db=es_n0_db,
                    power_db=power_db[number],
                    reason=reason,
                    es_n0_bound=bound,
                )
            )
        return decisions

    def _answer(self, best: str, sure: float) -> tuple[str, Reason]:
        """Return label and reason of a decision, given its best class and that class's probability."""
        if sure < self.options.threshold:
            return UNKNOWN, "unsure"
        if best == NO_SIGNAL:
            return NO_SIGNAL if self.options.name_noise else UNKNOWN, "noise"
        return best, "foreign" if best == UNKNOWN else "named"

    def _es_n0(self, winner: int, found: float) -> tuple[float | None, EsN0Bound | None]:
        """Return a class's estimate of Es/N0, limited to its levels' range, and the side of the limit if it applies."""
        if math.isnan(found):
            return None, None
        low, high = self._es_n0_limits[winner]
        if found > high:
            return high, "above"
        return (low, "below") if found < low else (found, None)


def _median(es_n0_db: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the median of each row [D, n] without NaN; NaN where all are."""
    count = np.count_nonzero(~np.isnan(es_n0_db), axis=1)
    place = np.maximum(count - 1, 0) // 2
    ordered = np.sort(es_n0_db, axis=1)  # NaN comes last
    return np.asarray(np.take_along_axis(ordered, place[:, None], axis=1)[:, 0], dtype=np.float64)


def _es_n0_limits(hypotheses: Sequence[Hypothesis]) -> tuple[float, float]:
    """Return the range of Es/N0 in dB that the levels of one class can resolve."""
    prior: dict[float, float] = {}
    for hypothesis in hypotheses:
        if hypothesis.es_n0_db is not None:
            prior[hypothesis.es_n0_db] = prior.get(hypothesis.es_n0_db, 0.0) + hypothesis.prior
    levels = sorted(prior)
    if len(levels) < 2:
        return -math.inf, math.inf
    top = len(levels) - 1  # the lowest of the highest levels that cannot be told apart
    most = max(prior.values())
    while top > 1 and prior[levels[top - 1]] < (1 - 1e-6) * most:
        top -= 1
    return (levels[0] + levels[1]) / 2, (levels[top - 1] + levels[top]) / 2
