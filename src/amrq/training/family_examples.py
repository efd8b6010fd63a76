# SPDX-License-Identifier: GPL-3.0-or-later
"""Examples of families: signals that are made, and what is done to them so that no two are alike.

A source of examples is a function: (generator, family) -> a signal. `GeneratedExamples` is the one of the recipe;
one of recordings can stand in its place. `learnable` makes signals of several families into what is learnt: some are
cut to bursts, some get noise, some become signals that belong to no family.

This module needs no PyTorch.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from amrq.signals import family_example
from amrq.training.family_recipe import FamilyExampleSettings

__all__ = ["Examples", "FamilyPiece", "GeneratedExamples", "Learnable", "learnable", "scrambled"]

_Iq = NDArray[np.complex64]

_NO_NOISE = 30.0
"""dB: as noisy counts a signal of which that is not known."""
_MIXED_DB = 6.0
_MIXED_PLACE = 0.12
_BAND = 0.42
"""Cycles a sample beyond which there is nothing in a signal that was put together of others."""
_SEGMENTS = (16, 512)
"""Samples of the pieces that a signal out of order is cut into."""


class FamilyPiece(NamedTuple):
    """A signal: complex64 [length] of any level, and its in-band SNR in dB (infinite where it is not known)."""

    iq: _Iq
    snr_db: float = np.inf


Examples = Callable[[np.random.Generator, str], FamilyPiece]
"""A source of examples: (generator, family) -> a signal of it."""


@dataclass(frozen=True)
class GeneratedExamples:
    """Makes examples with `amrq.signals.family_example`: a source for `learnable`.

    Attributes:
        settings: of the recipe.
        length: samples of an example.

    >>> make = GeneratedExamples(FamilyExampleSettings(), 512)
    >>> piece = make(np.random.default_rng(1), "ofdm")
    >>> len(piece.iq), 0 <= piece.snr_db <= 40
    (512, True)
    """

    settings: FamilyExampleSettings
    length: int

    def __call__(self, rng: np.random.Generator, family: str) -> FamilyPiece:
        """Return an example of a generator's family."""
        often = rng.random() < self.settings.often_share
        snr_db = self.settings.often_snr_db if often else self.settings.snr_db
        made = family_example(rng, family, self.length, snr_db)
        return FamilyPiece(made.iq, made.reception.snr_db)


class Learnable(NamedTuple):
    """Signals to learn.

    Attributes:
        iq: float32 [N, 2, length] of unit RMS outside their padding.
        unknown: bool [N], which of them belong to no family now.
    """

    iq: NDArray[np.float32]
    unknown: NDArray[np.bool_]


def learnable(
    rng: np.random.Generator,
    pieces: Sequence[FamilyPiece],
    settings: FamilyExampleSettings,
    unmirrored: NDArray[np.bool_] | None = None,
) -> Learnable:
    """Return signals as they are learnt.

    Args:
        rng: source of randomness.
        pieces: of one length, of several families.
        settings: how many are cut, get noise, or are put together to belong to no family.
        unmirrored: bool [N], which must not be mirrored in frequency; none.
    """
    iq = np.array([piece.iq for piece in pieces], dtype=np.complex64)
    iq /= np.sqrt(np.maximum(np.mean(np.abs(iq) ** 2, axis=1, keepdims=True), 1e-12))
    snr_db = np.array([piece.snr_db for piece in pieces])
    inside = np.ones(iq.shape, np.bool_)
    _cut(rng, iq, inside, settings)
    _more_noise(rng, iq, inside, snr_db, settings)
    others = rng.permutation(len(iq))[: int(rng.binomial(len(iq), settings.unknown_share))]
    unknown = np.zeros(len(iq), np.bool_)
    if len(others) > 1:
        iq[others] = scrambled(rng, iq[others])
        unknown[others] = inside[others] = True
    power = (iq.real**2 + iq.imag**2).sum(axis=1) / np.maximum(inside.sum(axis=1), 1)
    turn = np.exp(2j * np.pi * rng.random(len(iq))) / np.sqrt(np.maximum(power, 1e-12))
    iq *= turn[:, None].astype(np.complex64)
    mirrored = rng.random(len(iq)) < 0.5
    if unmirrored is not None:
        mirrored &= ~unmirrored
    iq[mirrored] = iq[mirrored].conj()
    return Learnable(np.stack([iq.real, iq.imag], axis=1), unknown)


def _cut(
    rng: np.random.Generator, iq: _Iq, inside: NDArray[np.bool_], settings: FamilyExampleSettings
) -> None:
    """Leave a part of some signals, in the middle or anywhere, and zeros around it."""
    length = iq.shape[1]
    for row in np.flatnonzero(rng.random(len(iq)) < settings.cut_share):
        part = int(np.exp(rng.uniform(np.log(settings.shortest), np.log(length))))
        start = int(rng.integers(length - part + 1))
        to = (length - part) // 2 if rng.random() < 0.7 else int(rng.integers(length - part + 1))
        kept = iq[row, start : start + part].copy()
        iq[row], inside[row] = 0, False
        iq[row, to : to + part], inside[row, to : to + part] = kept, True


def _more_noise(
    rng: np.random.Generator,
    iq: _Iq,
    inside: NDArray[np.bool_],
    snr_db: NDArray[np.float64],
    settings: FamilyExampleSettings,
) -> None:
    """Add noise to some of the signals that have little."""
    least = settings.least_snr_db
    rows = np.flatnonzero((rng.random(len(iq)) < settings.noise_share) & (snr_db > 2 * least))
    if not len(rows):
        return
    power = (iq[rows].real ** 2 + iq[rows].imag ** 2).sum(axis=1) / inside[rows].sum(axis=1)
    target = rng.uniform(least, np.minimum(snr_db[rows], _NO_NOISE))
    # Of four bandwidths, one holds the signal.
    size = np.sqrt(0.5 * power * 4 * 10 ** (-target / 10)).astype(np.float32)
    noise = rng.standard_normal((len(rows), iq.shape[1], 2), dtype=np.float32).view(np.complex64)[..., 0]
    iq[rows] += noise * size[:, None] * inside[rows]


def scrambled(rng: np.random.Generator, iq: _Iq) -> _Iq:
    """Return signals that belong to no family, made of at least two that do: complex64 [n, length] of each.

    Two at once; one times the conjugate of another; the envelope of one with the phase of another; one whose phase
    swings; one times the envelope of another; pieces of one in another order and pitch.

    >>> signals = np.exp(2j * np.pi * np.outer([0.01, 0.02], np.arange(256))).astype(np.complex64)
    >>> scrambled(np.random.default_rng(1), signals).shape
    (2, 256)
    """
    count, length = iq.shape
    time, made = np.arange(length), np.empty_like(iq)
    for row in range(count):
        one, other = iq[row], iq[(row + 1) % count]
        shift = np.exp(2j * np.pi * rng.uniform(-_MIXED_PLACE, _MIXED_PLACE) * time)
        kind = int(rng.integers(6))
        if kind == 0:
            found = one + other * shift * 10 ** (rng.uniform(-_MIXED_DB, _MIXED_DB) / 20)
        elif kind == 1:
            found = one * other.conj() * shift
        elif kind == 2:
            found = np.abs(one) * np.exp(1j * np.angle(other))
        elif kind == 3:
            rate = np.exp(rng.uniform(np.log(2 / length), np.log(0.1)))
            swing = np.sin(2 * np.pi * (time * rate + rng.random()))
            found = one * np.exp(1j * rng.uniform(1, 8) * swing)
        elif kind == 4:
            found = one * np.abs(other)
        else:
            found = _out_of_order(rng, one)
        if not found.any():  # two bursts that do not meet
            found = one + other * shift
        spectrum = fft.fft(found)
        spectrum[int(length * _BAND) : length - int(length * _BAND)] = 0
        found = fft.ifft(spectrum)
        power = float(np.mean(np.abs(found) ** 2))
        noise = rng.standard_normal(2 * length).view(np.complex128)
        made[row] = found + noise * np.sqrt(2 * power * 10 ** (-rng.uniform(0, 30) / 10))
    return made


def _out_of_order(rng: np.random.Generator, iq: _Iq) -> NDArray[np.complex128]:
    """Return a signal whose pieces stand in another order, each shifted in frequency by an amount of its own."""
    low, high = _SEGMENTS
    size = int(np.exp(rng.uniform(np.log(low), np.log(min(high, len(iq) // 2)))))
    count = len(iq) // size
    pieces = iq[: count * size].reshape(count, size)[rng.permutation(count)]
    shift = rng.uniform(-_MIXED_PLACE, _MIXED_PLACE, (count, 1))
    found = np.zeros(len(iq), np.complex128)
    found[: count * size] = (pieces * np.exp(2j * np.pi * shift * np.arange(size))).ravel()
    return found
