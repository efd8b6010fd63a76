# SPDX-License-Identifier: GPL-3.0-or-later
"""Tracking of a signal's noise level and power from chunk to chunk."""

import itertools
import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from amrq.chunks import SILENCE_POWER
from amrq.classifier import Evidence
from amrq.errors import AmrqError
from amrq.model import Hypothesis

__all__ = [
    "EsN0Prior",
    "LevelTracker",
    "NoiseTracker",
    "TrackedLevel",
    "Tracker",
    "kept_of_model",
    "new_share",
]


def new_share(sample_indices: NDArray[np.int64], last: int | None, chunk_length: int) -> NDArray[np.float64]:
    """Return the share of each chunk's samples that are not in the chunk before it.

    Args:
        sample_indices: int64 [N], index of each chunk's first sample.
        last: that of the chunk before these; None if there is none.
        chunk_length: samples a chunk.

    Returns:
        float64 [N], 0 to 1; 1 where the index goes back, which means another stream.
    """
    if not len(sample_indices):
        return np.empty(0)
    before = sample_indices[0] - chunk_length if last is None else last
    step = np.diff(sample_indices, prepend=before)
    return np.where(step < 0, 1.0, np.minimum(step / chunk_length, 1.0))


_TINY = 1e-300
_ABOVE_DB, _BELOW_DB = 0.6, 1.5
"""Standard deviations of Es/N0 in the symbols around the value by the noise beside the signal: a receiver adds to the
noise, and never takes any away."""
_MISTAKEN = 0.02
"""Probability that this value says nothing."""


_Made = TypeVar("_Made")


class _Listed:
    """A tuple that is the same as itself only: comparing all that is in it would take longer than what is kept."""

    def __init__(self, hypotheses: tuple[Hypothesis, ...]) -> None:
        self.hypotheses = hypotheses

    def __hash__(self) -> int:
        return id(self.hypotheses)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Listed) and self.hypotheses is other.hypotheses


def kept_of_model(
    make: Callable[[Sequence[Hypothesis]], _Made],
) -> Callable[[Sequence[Hypothesis]], _Made]:
    """Return a function that makes what depends on a model's hypotheses alone; once, where they are the same tuple.

    Each look at an emission makes a decision maker and a tracker, of the same few models.

    >>> given = (Hypothesis("QPSK", 10.0, 1.0),)
    >>> labels = kept_of_model(lambda hypotheses: [one.label for one in hypotheses])
    >>> labels(given), labels(given) is labels(given), labels(list(given)) is labels(given)
    (['QPSK'], True, False)
    """
    known = lru_cache(maxsize=8)(lambda listed: make(listed.hypotheses))

    def made(hypotheses: Sequence[Hypothesis]) -> _Made:
        return known(_Listed(hypotheses)) if isinstance(hypotheses, tuple) else make(hypotheses)

    return made


class EsN0Prior:
    """Turn weights of Es/N0 levels into prior probabilities of hypotheses.

    A class keeps its probability; weights only say how it is spread over its levels. Hypotheses without a level
    keep theirs.

    Args:
        hypotheses: what a model weighs, grouped by class.
        log_prior: float64 [H], natural logarithm of each hypothesis's probability, where no Es/N0 is known.
    """

    def __init__(self, hypotheses: Sequence[Hypothesis], log_prior: NDArray[np.float64]) -> None:
        self.levels = tuple(sorted({h.es_n0_db for h in hypotheses if h.es_n0_db is not None}))
        """Es/N0 in dB that the weights stand for, rising; empty where the model weighs none."""
        levels = np.array(self.levels)
        self._borders = (levels[1:] + levels[:-1]) / 2
        self.columns = np.array(
            [n for n, h in enumerate(hypotheses) if h.es_n0_db is not None], dtype=np.int64
        )
        """Hypotheses with a level."""
        self.level_of = np.array(
            [self.levels.index(h.es_n0_db) for h in hypotheses if h.es_n0_db is not None], dtype=np.int64
        )
        """Number of the level of each of these."""
        self._log_prior = log_prior
        classes = tuple(dict.fromkeys(h.label for h in hypotheses))
        owner = np.array([classes.index(hypotheses[n].label) for n in self.columns], dtype=np.int64)
        prior = np.exp(log_prior[self.columns])
        # Of several hypotheses of one class at one level, each has its share of the level's weight.
        same = (owner[:, None] == owner) & (self.level_of[:, None] == self.level_of)
        self._share = prior / (same @ prior)
        self._same_class = (owner[:, None] == owner).astype(np.float64)
        self._mass = self._same_class @ prior  # of the class's hypotheses with a level
        at_level = np.array([prior[self.level_of == n].sum() for n in range(len(self.levels))])
        self._expected = np.log(np.maximum(at_level / max(at_level.sum(), _TINY), _TINY))

    def measured(self, es_n0_db: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """Return log-weights [N, levels] of the levels, given Es/N0 by the noise beside the signal.

        Each level stands for what is nearer to it than to others.

        Args:
            es_n0_db: [N], dB; NaN where it is not known: all levels are then weighed by their prior.
        """
        known = ~np.isnan(es_n0_db)
        away = self._borders - np.where(known, es_n0_db, 0.0)[:, None]
        # Two halves of normal distributions that meet at the measured value.
        below = 2 * _BELOW_DB / (_ABOVE_DB + _BELOW_DB)
        up_to = np.where(
            away < 0, below * ndtr(away / _BELOW_DB), below - 1 + (2 - below) * ndtr(away / _ABOVE_DB)
        )
        edges = np.zeros((len(away), len(self.levels) + 1))
        edges[:, 1:-1], edges[:, -1] = up_to, 1.0
        result = np.log((1 - _MISTAKEN) * (edges[:, 1:] - edges[:, :-1]) + _MISTAKEN / len(self.levels))
        result[~known] = self._expected
        return np.asarray(result)

    def log_prior(self, log_weights: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """Return the logarithm of each hypothesis's probability: float64 [N, H].

        Args:
            log_weights: [N, levels], natural logarithms of the levels' weights.
        """
        result = np.tile(self._log_prior, (len(log_weights), 1))
        if self.levels:
            weights = np.exp(log_weights.astype(np.float64))[:, self.level_of] * self._share
            total = np.maximum(weights @ self._same_class, math.ulp(0.0))
            result[:, self.columns] = np.log(np.maximum(weights / total * self._mass, 1e-300))
        return result


_BLOCK = 8
"""Chunks between two moments at which class or Es/N0 may change: the fewer, the more a chunk costs."""
_CLASS_CHANGES = 0.01
"""Probability of another class, at the same Es/N0, after a block."""
_ANEW = 0.01
"""Probability of anything anew, Es/N0 included, after a block: what is forgotten."""
_FLOOR = 0.01
"""Weight, of a whole of 1, that goes to all levels as the model expects them, whatever has been tracked."""


class _Followed(NamedTuple):
    """What `NoiseTracker` knows of a model's hypotheses.

    Attributes:
        prior_of: priors by weights of levels.
        prior: of each, [H].
        class_start: first one of each class.
        at_level: 1 at its level, [H, levels].
        expected: of each level, [levels].
        transition: from one to another after a block, [H, H].
    """

    prior_of: EsN0Prior
    prior: NDArray[np.float64]
    class_start: list[int]
    at_level: NDArray[np.float64]
    expected: NDArray[np.float64]
    transition: NDArray[np.float64]


@kept_of_model
def _constants(hypotheses: Sequence[Hypothesis]) -> _Followed:
    log_prior: NDArray[np.float64] = np.log([hypothesis.prior for hypothesis in hypotheses])
    log_prior -= np.logaddexp.reduce(log_prior)
    prior_of, prior = EsN0Prior(hypotheses, log_prior), np.exp(log_prior)
    labels = [hypothesis.label for hypothesis in hypotheses]
    at_level = np.zeros((len(hypotheses), len(prior_of.levels)))
    at_level[prior_of.columns, prior_of.level_of] = 1
    expected = prior @ at_level
    among_level = at_level * prior[:, None] / np.maximum(expected, 1e-300)
    transition = (
        (1 - _CLASS_CHANGES - _ANEW) * np.eye(len(hypotheses))
        + _CLASS_CHANGES * at_level @ among_level.T
        + _ANEW * prior
    )
    return _Followed(
        prior_of,
        prior,
        [labels.index(name) for name in dict.fromkeys(labels)],
        at_level,
        expected / max(expected.sum(), 1e-300),
        np.asarray(transition),
    )


class NoiseTracker:
    """Track the probability of each of a model's Es/N0 levels, given the chunks before.

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
        known = _constants(hypotheses)
        self._prior_of, self._prior, self._class_start = known.prior_of, known.prior, known.class_start
        self._at_level, self._expected, self._transition = known.at_level, known.expected, known.transition
        self.levels = self._prior_of.levels
        """Es/N0 in dB that the weights stand for, rising; empty where the model weighs none."""
        self.chunk_length = chunk_length
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

        How chunks are split into calls makes no difference.

        Args:
            evidence: of the N chunks, in order.
            sample_indices: int64 [N], the stream's index of each chunk's first sample.
            began: bool [N]; True where tracking starts again with a chunk (see `LevelTracker`); None: nowhere.

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
        """Take in chunks among which nothing starts again."""
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
        # Where the stream so far was outside the classes, nothing is known of their Es/N0.
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


_MEMORY = 128
"""Chunks averaged at most: the mean is then right to 0.07 dB at the roughest, finer than any decision needs."""
_KNOWN = 16
"""Chunks that make a level known: right to 0.2 dB at the roughest."""
_PAUSE = 16
"""Chunks without power or meaning in a row behind which a stream starts again."""
_WINDOWS = (1, 2, 4, 8, 16, 32)
"""Numbers of newest chunks that are held against those before them."""
_DEVIATIONS = 4.5
"""Standard deviations that a step takes: on a steady stream one false alarm in some tens of thousands of chunks."""
_STRETCHES = (64, 1024)
"""Chunks looked at in one go, just after a step and at most: bounds the work that a step throws away."""


class TrackedLevel(NamedTuple):
    """The level around N chunks.

    Attributes:
        power: float32 [N], mean |z|^2 of the stream before each chunk, noise included; NaN where it is not known.
        began: bool [N]; True where a chunk showed that the level is another than before.
    """

    power: NDArray[np.float32]
    began: NDArray[np.bool_]


class LevelTracker:
    """Average the powers of the chunks since the level last changed.

    The level at a chunk is the mean power of up to 128 chunks before it. A step is looked for at every chunk, causally:
    the mean of the newest 1, 2, 4, ... 32 chunks against the mean of those before them, in standard deviations of the
    logarithm of their ratio; the newest chunks then become the new beginning. No linear modulation in noise has a
    rougher power than noise alone, the kurtosis of whose samples is 2: the power of L symbols deviates by at most
    1 / sqrt(L) of its mean. So a step of 20 dB is seen in its first chunk, one of 3 dB in about 2, one of 1 dB in about
    15; until then the old level stands.

    A level is known from 16 chunks on. All constellations have the same mean power, so that a change of modulation
    is no step. Chunks without power or with samples that are not finite are left out; behind 16 of them in a row
    the level starts again. Of chunks that overlap each counts for its new part, and an average over 128 of them holds
    fewer than 16 chunks' worth of symbols when the hop is below an eighth of a chunk: then no level is ever known.

    Args:
        chunk_length: samples a chunk.

    Raises:
        AmrqError: it is below 1.

    >>> import numpy as np
    >>> tracker = LevelTracker(chunk_length=32)
    >>> found = tracker.update(np.full(40, 4.0, dtype=np.float32), 32 * np.arange(40))
    >>> bool(np.isnan(found.power[0])), round(float(found.power[-1]), 3)
    (True, 4.0)
    """

    def __init__(self, chunk_length: int) -> None:
        if chunk_length < 1:
            raise AmrqError(f"a chunk needs at least 1 sample, not {chunk_length}.")
        self.chunk_length = chunk_length
        self._deviation = _DEVIATIONS / math.sqrt(chunk_length)
        self.reset()

    def reset(self) -> None:
        """Forget the level: the stream broke."""
        self._last: int | None = None  # first sample of the last chunk
        self._missing = 0  # chunks left out since the last one that was not
        self._begin()

    def _begin(self) -> None:
        # Running sums over the chunks since the last step: of their shares, and of their powers by share.
        self._sums: NDArray[np.float64] = np.zeros((2, 1))

    def update(self, power: NDArray[np.float32], sample_indices: NDArray[np.int64]) -> TrackedLevel:
        """Take in N chunks and return the level before each of them.

        How chunks are split into calls makes no difference.

        Args:
            power: float32 [N], mean |z|^2 of each chunk; NaN where it means nothing.
            sample_indices: int64 [N], the stream's index of each chunk's first sample.
        """
        count = len(power)
        tracked = TrackedLevel(np.full(count, np.nan, dtype=np.float32), np.zeros(count, dtype=np.bool_))
        if not count:
            return tracked
        share = new_share(sample_indices, self._last, self.chunk_length)
        self._last = int(sample_indices[-1])
        usable = np.isfinite(power) & (power >= SILENCE_POWER)
        if usable.all() and not self._missing:
            self._follow(power.astype(np.float64), share, tracked)
            return tracked
        numbers = np.flatnonzero(usable)
        gaps = np.diff(numbers, prepend=-1 - self._missing) - 1
        self._missing = count - 1 - int(numbers[-1]) if len(numbers) else self._missing + count
        for part in np.split(np.arange(len(numbers)), np.flatnonzero(gaps >= _PAUSE)):
            if not len(part):
                continue
            new = gaps[part[0]] >= _PAUSE
            if new:
                self._begin()
            some = numbers[part]
            found = TrackedLevel(tracked.power[some], tracked.began[some])
            self._follow(power[some].astype(np.float64), share[some], found)
            found.began[0] |= new
            tracked.power[some], tracked.began[some] = found
        return tracked

    def _follow(self, power: NDArray[np.float64], share: NDArray[np.float64], tracked: TrackedLevel) -> None:
        """Take in chunks that all have power, and fill in the level before each."""
        new = np.stack([share, share * power])
        start, size = 0, _STRETCHES[0]
        while start < len(power):
            stop = min(start + size, len(power))
            # Summed one by one from the beginning on, so that the sums are the same however chunks arrive.
            grown = np.cumsum(np.concatenate([self._sums[:, -1:], new[:, start:stop]], axis=1), axis=1)
            sums = np.concatenate([self._sums, grown[:, 1:]], axis=1)
            end = np.arange(self._sums.shape[1], sums.shape[1])  # sums up to and with each new chunk
            step = self._first_step(sums, end)
            if step is None:
                tracked.power[start:stop] = self._mean(sums, end - 1)
                self._sums = sums[:, -_MEMORY - 1 :]
                start, size = stop, min(2 * size, _STRETCHES[1])
                continue
            at, window = step
            tracked.power[start : start + at] = self._mean(sums, end[:at] - 1)
            tracked.began[start + at] = True
            self._sums = sums[:, end[at] - window : end[at] + 1] - sums[:, end[at] - window, None]
            tracked.power[start + at] = self._mean(self._sums, np.array([window - 1]))[0]
            start, size = start + at + 1, _STRETCHES[0]

    def _mean(self, sums: NDArray[np.float64], end: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the mean of the chunks before `end`, NaN where they are too few."""
        share, power = sums[:, end] - sums[:, np.maximum(end - _MEMORY, 0)]
        return np.where(share >= _KNOWN, np.maximum(power, _TINY) / np.maximum(share, 1), np.nan)

    def _first_step(self, sums: NDArray[np.float64], end: NDArray[np.int64]) -> tuple[int, int] | None:
        """Return the first of the new chunks at which a step shows, and of how many chunks it shows best."""
        found = np.zeros((len(_WINDOWS), len(end)))
        whole = sums[:, end]
        oldest = sums[:, np.maximum(end - _MEMORY, 0)]
        for number, window in enumerate(_WINDOWS):
            first = max(0, window + 1 - int(end[0]))  # there must be something before the window
            if first >= len(end):
                break
            border = sums[:, int(end[first]) - window : int(end[-1]) - window + 1]
            after_share, after = whole[:, first:] - border
            before_share, before = border - oldest[:, first:]
            ratio = np.log(
                np.maximum(after, _TINY) * before_share / (np.maximum(before, _TINY) * after_share + _TINY)
                + _TINY
            )
            # Chunks of which little is new vary together: no number of them is less rough than one.
            scale = np.sqrt(1 / np.maximum(after_share, 1) + 1 / np.maximum(before_share, 1))
            found[number, first:] = np.abs(ratio) / (self._deviation * scale)
        steps = np.flatnonzero((found > 1).any(axis=0))
        if not len(steps):
            return None
        at = int(steps[0])
        return at, _WINDOWS[int(found[:, at].argmax())]


class Tracker:
    """Track the level before chunks are classified, and Es/N0 afterwards.

    Where the level changes, or the stream breaks, both start again. The two halves share no state, so that two threads
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
