# SPDX-License-Identifier: GPL-3.0-or-later
"""Fresh labelled chunks for every step of a training."""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from amrq.chunks import normalise
from amrq.model import UNKNOWN, Hypothesis
from amrq.modulations import MODULATIONS
from amrq.signals import OTHER_SIGNALS, other_signal
from amrq.training.recipe import SignalSettings

__all__ = ["Batch", "SignalBatches"]

_REACH = 2
"""Symbols to either side that leak into a symbol."""


class Batch(NamedTuple):
    """Labelled chunks.

    Attributes:
        iq: float32 [N, 2, L], each chunk of unit RMS.
        labels: int64 [N]; the index in the registry, or the number of modulations for `unknown`.
        hypotheses: int64 [N]; the index in `SignalBatches.hypotheses`.
    """

    iq: NDArray[np.float32]
    labels: NDArray[np.int64]
    hypotheses: NDArray[np.int64]


class SignalBatches:
    """Chunks as a symbol front end delivers them, drawn anew each time.

    Symbols of a random class pass, in this order: a short channel (sampling-time error, echoes), residual carrier
    frequency and phase jitter, a random rotation, drift of the gain, the receiver's imbalance and offset, and
    noise. A share of the chunks gets rotation, phase noise and noise alone, so that a model loses nothing on ideal
    symbols.

    Args:
        settings: ranges of all of it.
        chunk_length: samples a chunk (L).
        seed: of all randomness. Batch `i` depends on the seed and `i` alone, so that a training resumes exactly.
    """

    def __init__(self, settings: SignalSettings, chunk_length: int, seed: int) -> None:
        self.settings = settings
        self.chunk_length = chunk_length
        self.seed = seed
        self._orders = np.array([m.order for m in MODULATIONS.values()])
        self._points = np.zeros((len(MODULATIONS), int(self._orders.max())), dtype=np.complex64)
        for row, m in zip(self._points, MODULATIONS.values(), strict=True):
            row[: m.order] = m.points
        weights = np.array([settings.unknown_kinds.get(kind, 1.0) for kind in OTHER_SIGNALS])
        self._kind_shares = weights / weights.sum()
        self.hypotheses = self._make_hypotheses()
        """What a chunk can be: each modulation at each level of Es/N0, and each kind of other signal."""

    def _make_hypotheses(self) -> tuple[Hypothesis, ...]:
        s = self.settings
        edges = np.linspace(*s.es_n0_db, s.es_n0_levels + 1)
        prior = (1 - s.unknown_share) / len(MODULATIONS) / s.es_n0_levels
        known = [
            Hypothesis(name, float((low + high) / 2), prior)
            for name in MODULATIONS
            for low, high in pairwise(edges)
        ]
        others = [Hypothesis(UNKNOWN, None, float(s.unknown_share * share)) for share in self._kind_shares]
        return (*known, *others)

    def batch(self, index: int, size: int) -> Batch:
        """Return batch number `index`, of `size` chunks, in random order of the classes."""
        rng = np.random.default_rng([self.seed, index])
        s = self.settings
        others = round(size * s.unknown_share)
        known = size - others
        labels = rng.permutation(np.arange(known) % len(self._orders))
        other_samples, kinds = self._others(others, rng)
        samples = np.concatenate([self._impaired(labels, rng), other_samples])
        samples, es_n0_db = self._noisy(samples, rng)
        low, high = s.es_n0_db
        share = (es_n0_db[:known] - low) / max(high - low, 1e-9)
        level = np.minimum((share * s.es_n0_levels).astype(np.int64), s.es_n0_levels - 1)
        hypotheses = np.concatenate(
            [labels * s.es_n0_levels + level, len(self._orders) * s.es_n0_levels + kinds]
        )
        labels = np.concatenate([labels, np.full(others, len(self._orders))])
        return Batch(normalise(samples).iq, labels.astype(np.int64), hypotheses.astype(np.int64))

    def _impaired(self, labels: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.complex64]:
        s, length = self.settings, self.chunk_length
        count = len(labels)
        draw = rng.random((count, length + 2 * _REACH), dtype=np.float32)
        symbols = self._points[labels[:, None], (draw * self._orders[labels, None]).astype(np.int64)]

        def amount(most: float) -> NDArray[np.float32]:
            """A strength from 0 to `most`, small ones commoner (median a quarter), nothing in the ideal share."""
            return np.asarray(impaired * most * rng.random((count, 1)) ** 2, dtype=np.float32)

        impaired = rng.random((count, 1)) >= s.ideal_share
        # Timing error: the samples of a raised-cosine pulse beside its peak (Proakis and Salehi 2008, eq. 9.2-27).
        offset = amount(s.timing_error) * rng.choice([-1, 1], (count, 1))
        rolloff = rng.uniform(0.2, 0.6, (count, 1))
        t = np.arange(-_REACH, _REACH + 1) + offset
        denominator = 1 - (2 * rolloff * t) ** 2
        denominator = np.where(np.abs(denominator) < 1e-3, 1e-3, denominator)
        taps = (np.sinc(t) * np.cos(np.pi * rolloff * t) / denominator).astype(np.complex64)
        # Echoes: taps of random phase whose power lies isi_db under the symbol's.
        level = 10 ** (-rng.uniform(s.isi_db[0], s.isi_db[1], (count, 1)) / 20) * impaired
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
        angle = 2 * np.pi * (frequency * n + rng.random((count, 1))) + walk + jitter
        samples *= np.exp(1j * angle.astype(np.float32))
        samples *= 1 + amount(s.gain_drift) * rng.choice([-1, 1], (count, 1)).astype(np.float32) * n / length
        # z + a conj(z): the image that unequal gain and phase of the two branches leave.
        image = amount(s.imbalance) * np.exp(2j * np.pi * rng.random((count, 1)))
        samples = samples + image.astype(np.complex64) * samples.conj()
        dc = amount(s.dc_offset) * np.exp(2j * np.pi * rng.random((count, 1)))
        return np.asarray(samples + dc, dtype=np.complex64)

    def _others(
        self, count: int, rng: np.random.Generator
    ) -> tuple[NDArray[np.complex64], NDArray[np.int64]]:
        shares = rng.multinomial(count, self._kind_shares)
        samples = np.concatenate(
            [np.empty((0, self.chunk_length), np.complex64)]
            + [
                other_signal(kind, int(n), self.chunk_length, rng)
                for kind, n in zip(OTHER_SIGNALS, shares, strict=True)
                if n
            ]
        )
        return samples, np.repeat(np.arange(len(shares)), shares)

    def _noisy(
        self, samples: NDArray[np.complex64], rng: np.random.Generator
    ) -> tuple[NDArray[np.complex64], NDArray[np.float64]]:
        low, high = self.settings.es_n0_db
        es_n0_db = rng.uniform(low, high, len(samples))
        deviation = np.sqrt(0.5 * 10 ** (-es_n0_db[:, None] / 10)).astype(np.float32)
        noise = rng.standard_normal((*samples.shape, 2), dtype=np.float32).view(np.complex64)[..., 0]
        return np.asarray(samples + deviation * noise, dtype=np.complex64), es_n0_db
