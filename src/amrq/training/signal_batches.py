# SPDX-License-Identifier: GPL-3.0-or-later
"""Batches of training signals, drawn at random, with a likelihood receiver's probabilities as targets."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from amrq.chunks import level_features, normalise
from amrq.classes import THESIS_9, LinearSet
from amrq.likelihood import LikelihoodClassifier, Receiver, Resolution
from amrq.model import NO_SIGNAL, UNKNOWN, Hypothesis
from amrq.signals import FOREIGN_KINDS, OTHER_SIGNALS, ForeignPool, add_noise, other_signal, rotate
from amrq.training.recipe import SignalSettings, TeacherSettings

__all__ = ["JudgedChunks", "SignalBatch", "SignalBatches", "Teacher"]

_BLOCK = 10_000
"""Chunks judged between two reports."""


class JudgedChunks(NamedTuple):
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
        known: the class set; by default that of the thesis.
    """

    def __init__(
        self,
        settings: TeacherSettings,
        signal: SignalSettings,
        chunk_length: int,
        seed: int,
        progress: Callable[[int, int], None] = lambda done, of: None,
        known: LinearSet = THESIS_9,
    ) -> None:
        self._mirrored = all(m.mirrored for m in known.members)
        self._even = all(m.symmetry % 2 == 0 for m in known.members)
        self._known = known
        self._settings = settings
        self._signal = signal
        self._chunk_length = chunk_length
        self._seed = seed
        self._progress = progress
        self._pool: JudgedChunks | None = None

    def _judged(self) -> JudgedChunks:
        settings, signal = self._settings, self._signal
        rng = np.random.default_rng([self._seed, 0x7EAC])
        count, classes = settings.chunks, self._known.members
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
        judge = LikelihoodClassifier(receiver, self._known, Resolution.coarse())
        posteriors = np.empty((count, len(classes)), dtype=np.float32)
        for start in range(0, count, _BLOCK):
            part = slice(start, start + _BLOCK)
            chunks[part] = add_noise(chunks[part], 10 ** (-es_n0_db[part] / 10), rng)
            posteriors[part] = np.exp(judge.log_posteriors(chunks[part]))
            self._progress(min(start + _BLOCK, count), count)
        # With less noise than the teacher can imagine, every class is plain to see.
        clear = es_n0_db > settings.es_n0_db[1]
        posteriors[clear] = np.eye(len(classes), dtype=np.float32)[labels[clear]]
        return JudgedChunks(chunks, labels.astype(np.int64), es_n0_db.astype(np.float32), posteriors)

    def draw(self, count: int, rng: np.random.Generator) -> JudgedChunks:
        """Return chunks of the pool, changed at random in ways that leave the probabilities as they are.

        The symbols' order carries nothing. A mirror image is as probable where every constellation of the set is its
        own, so is half a turn where each has it in its symmetry, and any turn where the phase is any.
        """
        if self._pool is None:
            self._pool = self._judged()
        pool = self._pool
        rows = rng.integers(len(pool.labels), size=count)
        chunks = pool.chunks[rows][:, rng.permutation(pool.chunks.shape[1])]
        mirrored = (rng.random(count) < 0.5) & self._mirrored
        chunks[mirrored] = chunks[mirrored].conj()
        any_phase = self._signal.phase == "any"
        turn = np.exp(2j * np.pi * rng.random(count)) if any_phase else rng.choice([-1.0, 1.0], count)
        if not any_phase and not self._even:
            turn = np.ones(count)
        chunks *= turn.astype(np.complex64)[:, None]
        return JudgedChunks(chunks, pool.labels[rows], pool.es_n0_db[rows], pool.posteriors[rows])


_REACH = 2
"""Symbols to either side that leak into a symbol."""
_NOISE = "noise"
_LEVEL_ERROR = 0.02
"""Standard deviation of a tracked power, relative."""
_LEAST_PRIOR = 1e-6
"""Of a hypothesis that no chunk stands for, so that it can be divided by."""


class SignalBatch(NamedTuple):
    """Labelled chunks.

    Attributes:
        iq: float32 [N, 2, L], each chunk of unit RMS.
        level: float32 [N, 3], what `level_features` says of the chunk.
        labels: int64 [N]; the index in `SignalBatches.classes`.
        targets: float32 [N, classes], the probabilities to learn: the teacher's, or all on the label.
        hypotheses: int64 [N]; the index in `SignalBatches.hypotheses`.
        es_n0_db: float [N].
    """

    iq: NDArray[np.float32]
    level: NDArray[np.float32]
    labels: NDArray[np.int64]
    targets: NDArray[np.float32]
    hypotheses: NDArray[np.int64]
    es_n0_db: NDArray[np.floating[Any]]


class _Part(NamedTuple):
    """Chunks of one origin."""

    samples: NDArray[np.complex64]
    labels: NDArray[np.int64]
    es_n0_db: NDArray[np.floating[Any]]
    targets: NDArray[np.float32]
    hypotheses: NDArray[np.int64]


class SignalBatches:
    """Chunks as a symbol front end delivers them, drawn again each time.

    Symbols of a random class pass, in this order: a short channel (sampling-time error, echoes), residual carrier
    frequency and phase jitter, a random rotation, drift of the gain, the receiver's imbalance and offset, and
    noise. A share of the chunks gets rotation and noise alone, so that a model loses nothing on ideal symbols; a
    teacher can say of these how probable each class is.

    Args:
        settings: ranges of all of it.
        chunk_length: samples a chunk (L).
        seed: of all randomness. Batch `i` depends on the seed and `i` alone, so that a training resumes exactly.
        teacher: judges the ideal chunks, of the same classes; None leaves them with their labels.
        known: the class set; by default that of the thesis.
    """

    def __init__(
        self,
        settings: SignalSettings,
        chunk_length: int,
        seed: int,
        teacher: Teacher | None = None,
        known: LinearSet = THESIS_9,
    ) -> None:
        self.settings = settings
        self.chunk_length = chunk_length
        self.seed = seed
        self._teacher = teacher
        self._known = known
        self._orders = np.array([m.order for m in known.members])
        self._points = np.zeros((len(known), int(self._orders.max())), dtype=np.complex64)
        for row, m in zip(self._points, known.members, strict=True):
            row[: m.order] = m.points
        # Noise alone comes last: it has a class of its own.
        self._kinds = tuple(sorted(OTHER_SIGNALS, key=lambda kind: kind == _NOISE))
        weights = np.array([settings.unknown_kinds.get(kind, 1.0) for kind in self._kinds])
        self._kind_shares = weights / weights.sum()
        self._edges = np.linspace(*settings.es_n0_db, settings.es_n0_levels + 1)
        # Constellations outside the set, at the levels of Es/N0 that the modulations have.
        foreign = np.array([settings.foreign_kinds.get(kind, 1.0) for kind in FOREIGN_KINDS])
        self._foreign_shares = foreign / foreign.sum()
        self._foreign_levels = np.unique(self._level(np.array(settings.foreign_es_n0_db) - (0.0, 1e-6)))
        self._foreign_levels = np.arange(self._foreign_levels[0], self._foreign_levels[-1] + 1)
        self._pools = [ForeignPool(kind, known) for kind in FOREIGN_KINDS] if settings.foreign_share else []
        self.hypotheses = self._make_hypotheses()
        """What a chunk can be: each modulation at each level of Es/N0, and each kind of other signal."""
        self.classes = tuple(dict.fromkeys(hypothesis.label for hypothesis in self.hypotheses))
        """What the hypotheses make up: the modulations, and where wanted `unknown` and `no signal`."""
        self._class_of_kind = np.array(
            [len(known) + (kind == _NOISE) for kind in self._kinds], dtype=np.int64
        )
        self._unknown_hypotheses = len(known) * settings.es_n0_levels + np.arange(len(self._kinds))
        self._unknown_hypotheses[-1] = len(self.hypotheses) - 1

    def _make_hypotheses(self) -> tuple[Hypothesis, ...]:
        s = self.settings
        width = np.diff(self._edges)
        share = (1 - s.ideal_share) * width / width.sum() if width.sum() else np.array([1 - s.ideal_share])
        low, high = s.ideal_range
        if high > low:
            inside = np.clip(np.minimum(self._edges[1:], high) - np.maximum(self._edges[:-1], low), 0, None)
            share = share + s.ideal_share * inside / (high - low)
        else:
            share = share + s.ideal_share * (self._level(np.array([low]))[0] == np.arange(len(share)))
        middles = (self._edges[:-1] + self._edges[1:]) / 2
        each = (1 - s.unknown_share - s.foreign_share) / len(self._known)
        known = [
            Hypothesis(name, float(middle), max(float(each * part), _LEAST_PRIOR))
            for name in self._known
            for middle, part in zip(middles, share, strict=True)
        ]
        if not s.unknown_share:
            return tuple(known)
        others = [
            Hypothesis(NO_SIGNAL if kind == _NOISE else UNKNOWN, None, float(s.unknown_share * part))
            for kind, part in zip(self._kinds, self._kind_shares, strict=True)
        ]
        return (*known, *others[:-1], *self._foreign_hypotheses(middles), others[-1])

    def _foreign_hypotheses(self, middles: NDArray[np.float64]) -> list[Hypothesis]:
        s = self.settings
        if not s.foreign_share:
            return []
        low, high = s.foreign_es_n0_db
        inside = np.minimum(self._edges[1:], high) - np.maximum(self._edges[:-1], low)
        inside = np.clip(inside[self._foreign_levels], 0, None) / max(high - low, 1e-9)
        return [
            Hypothesis(
                UNKNOWN, float(middles[level]), max(float(s.foreign_share * share * part), _LEAST_PRIOR)
            )
            for share in self._foreign_shares
            for level, part in zip(self._foreign_levels, inside, strict=True)
        ]

    def _level(self, es_n0_db: NDArray[np.floating[Any]]) -> NDArray[np.int64]:
        """Return which part of the range of Es/N0 each value lies in."""
        parts = np.searchsorted(self._edges[1:-1], es_n0_db, side="right")
        return np.asarray(parts, dtype=np.int64)

    def batch(self, index: int, size: int) -> SignalBatch:
        """Return batch number `index`, of `size` chunks, in random order of the classes."""
        rng = np.random.default_rng([self.seed, index])
        s = self.settings
        others, foreign = round(size * s.unknown_share), round(size * s.foreign_share)
        known = size - others - foreign
        ideal = round(known * s.ideal_share)
        parts = [self._ideal(ideal, rng), self._impaired(known - ideal, rng), self._others(others, rng)]
        if foreign:
            parts.append(self._foreign(foreign, rng))
        joined = _Part(*(np.concatenate(column) for column in zip(*parts, strict=True)))
        samples, labels, es_n0_db, targets, hypotheses = joined
        normalised = normalise(samples)
        stream = (1 + 10 ** (-es_n0_db / 10)) * (1 + _LEVEL_ERROR * rng.standard_normal(size))
        stream[rng.random(size) >= s.level_known_share] = np.nan
        level = level_features(normalised.power, stream.astype(np.float32))
        return SignalBatch(normalised.iq, level, labels, targets, hypotheses, es_n0_db)

    def _modulated(
        self,
        samples: NDArray[np.complex64],
        labels: NDArray[np.int64],
        es_n0_db: NDArray[np.floating[Any]],
    ) -> _Part:
        targets = np.eye(len(self.classes), dtype=np.float32)[labels]
        hypotheses = labels * self.settings.es_n0_levels + self._level(es_n0_db)
        return _Part(samples, labels, es_n0_db, targets, hypotheses)

    def _labels(self, count: int, rng: np.random.Generator) -> NDArray[np.int64]:
        return rng.permutation(np.arange(count) % len(self._orders)).astype(np.int64)

    def _ideal(self, count: int, rng: np.random.Generator) -> _Part:
        if self._teacher is not None:
            taught = self._teacher.draw(count, rng)
            part = self._modulated(taught.chunks, taught.labels, taught.es_n0_db)
            part.targets[:, : len(self._known)] = taught.posteriors
            return part
        labels = self._labels(count, rng)
        draw = rng.random((count, self.chunk_length), dtype=np.float32)
        samples = self._points[labels[:, None], (draw * self._orders[labels, None]).astype(np.int64)]
        if self.settings.phase == "any":
            samples = rotate(samples, rng.uniform(0, 2 * np.pi, count))
        noisy, es_n0_db = self._noisy(samples, self.settings.ideal_range, rng)
        return self._modulated(noisy, labels, es_n0_db)

    def _impaired(self, count: int, rng: np.random.Generator) -> _Part:
        labels = self._labels(count, rng)
        draw = rng.random((count, self.chunk_length + 2 * _REACH), dtype=np.float32)
        symbols = self._points[labels[:, None], (draw * self._orders[labels, None]).astype(np.int64)]
        noisy, es_n0_db = self._noisy(self._passed_on(symbols, rng), self.settings.es_n0_db, rng)
        return self._modulated(noisy, labels, es_n0_db)

    def _passed_on(self, symbols: NDArray[np.complex64], rng: np.random.Generator) -> NDArray[np.complex64]:
        """Return what is left of symbols [N, L + 2 reach] on the way, noise apart: complex64 [N, L]."""
        s, count, length = self.settings, len(symbols), self.chunk_length

        def amount(most: float) -> NDArray[np.float32]:
            """A strength from 0 to `most`, small ones commoner (median a quarter), nothing in the ideal share."""
            return np.asarray(most * rng.random((count, 1)) ** 2, dtype=np.float32)

        # Timing error: the samples of a raised-cosine pulse beside its peak (Proakis and Salehi 2008, eq. 9.2-27).
        offset = amount(s.timing_error) * rng.choice([-1, 1], (count, 1))
        rolloff = rng.uniform(0.2, 0.6, (count, 1))
        t = np.arange(-_REACH, _REACH + 1) + offset
        denominator = 1 - (2 * rolloff * t) ** 2
        denominator = np.where(np.abs(denominator) < 1e-3, 1e-3, denominator)
        taps = (np.sinc(t) * np.cos(np.pi * rolloff * t) / denominator).astype(np.complex64)
        # Echoes: taps of random phase whose power lies isi_db under the symbol's.
        level = 10 ** (-rng.uniform(s.isi_db[0], s.isi_db[1], (count, 1)) / 20)
        echo = rng.standard_normal((count, 2 * _REACH + 1)) + 1j * rng.standard_normal(
            (count, 2 * _REACH + 1)
        )
        echo *= np.array([0.5, 1.0, 0.0, 1.0, 0.5])
        echo *= level / np.sqrt((np.abs(echo) ** 2).sum(axis=1, keepdims=True))
        taps = (taps + echo).astype(np.complex64)
        samples = np.zeros((count, length), dtype=np.complex64)
        for k in range(2 * _REACH + 1):
            samples += taps[:, k : k + 1] * symbols[:, k : k + length]

        n = np.arange(length, dtype=np.float32) - (length - 1) / 2
        frequency = amount(s.frequency_offset) * rng.choice([-1, 1], (count, 1))
        walk = rng.standard_normal((count, length), dtype=np.float32).cumsum(axis=1) * amount(s.phase_walk)
        jitter = rng.standard_normal((count, length), dtype=np.float32)
        jitter *= rng.uniform(0, s.phase_noise, (count, 1)).astype(np.float32)
        turn = rng.random((count, 1)) if s.phase == "any" else 0.0
        angle = 2 * np.pi * (frequency * n + turn) + walk + jitter
        samples *= np.exp(1j * angle.astype(np.float32))
        samples *= 1 + amount(s.gain_drift) * rng.choice([-1, 1], (count, 1)).astype(np.float32) * n / length
        # z + a conj(z): the image that unequal gain and phase of the two branches leave.
        image = amount(s.imbalance) * np.exp(2j * np.pi * rng.random((count, 1)))
        samples = samples + image.astype(np.complex64) * samples.conj()
        dc = amount(s.dc_offset) * np.exp(2j * np.pi * rng.random((count, 1)))
        return np.asarray(samples + dc, dtype=np.complex64)

    def _foreign(self, count: int, rng: np.random.Generator) -> _Part:
        """Constellations outside the set; like the modulations, an ideal share gets rotation and noise alone."""
        s, length = self.settings, self.chunk_length
        shares = rng.multinomial(count, self._foreign_shares)
        symbols = np.concatenate(
            [
                pool.symbols(int(n), length + 2 * _REACH, rng)
                for pool, n in zip(self._pools, shares, strict=True)
            ]
        )
        ideal = rng.random((count, 1)) < s.ideal_share
        turn = np.exp(2j * np.pi * rng.random((count, 1))) if s.phase == "any" else np.ones((count, 1))
        plain = (symbols[:, _REACH:-_REACH] * turn).astype(np.complex64)
        samples = np.where(ideal, plain, self._passed_on(symbols, rng))
        noisy, es_n0_db = self._noisy(samples, s.foreign_es_n0_db, rng)
        level = self._level(es_n0_db) - self._foreign_levels[0]
        kinds = np.repeat(np.arange(len(shares)), shares)
        first = len(self._known) * s.es_n0_levels + len(self._kinds) - 1
        labels = np.full(count, len(self._known), dtype=np.int64)
        targets = np.eye(len(self._known) + 2, len(self.classes), dtype=np.float32)[labels]
        return _Part(noisy, labels, es_n0_db, targets, first + kinds * len(self._foreign_levels) + level)

    def _others(self, count: int, rng: np.random.Generator) -> _Part:
        shares = rng.multinomial(count, self._kind_shares)
        samples = np.concatenate(
            [np.empty((0, self.chunk_length), np.complex64)]
            + [
                other_signal(kind, int(n), self.chunk_length, rng, self._known)
                for kind, n in zip(self._kinds, shares, strict=True)
                if n
            ]
        )
        noisy, es_n0_db = self._noisy(samples, self.settings.es_n0_db, rng)
        kinds = np.repeat(np.arange(len(shares)), shares)
        labels = self._class_of_kind[kinds]
        targets = np.eye(len(self._known) + 2, len(self.classes), dtype=np.float32)[labels]
        return _Part(noisy, labels, es_n0_db, targets, self._unknown_hypotheses[kinds])

    @staticmethod
    def _noisy(
        samples: NDArray[np.complex64], es_n0_db: tuple[float, float], rng: np.random.Generator
    ) -> tuple[NDArray[np.complex64], NDArray[np.float64]]:
        drawn = rng.uniform(*es_n0_db, len(samples))
        deviation = np.sqrt(0.5 * 10 ** (-drawn[:, None] / 10)).astype(np.float32)
        noise = rng.standard_normal((*samples.shape, 2), dtype=np.float32).view(np.complex64)[..., 0]
        return np.asarray(samples + deviation * noise, dtype=np.complex64), drawn
