# SPDX-License-Identifier: GPL-3.0-or-later
"""How well symbols of unknown modulation fit the constellations of a class set, and which points they stand for."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amrq.classes import THESIS_9, LinearClass, LinearSet
from amrq.measure import CarrierRecovery

__all__ = ["ConstellationFitter", "Fit"]

Complex = NDArray[np.complexfloating[Any, Any]]
_Real = NDArray[np.float32]

_STRETCH = 64
"""Symbols over which the phase is held to stay the same once the carrier's offset is removed."""
_PHASES = 8  # tried in a sector of the constellation's symmetry
_ROUNDS = 3  # of fitting phase, level and noise to the decisions
_LEAST_NOISE = 1e-3  # noise power of unit-power symbols, 30 dB: more certainty decides nothing


@dataclass(frozen=True)
class Fit:
    """A constellation fitted to symbols.

    Attributes:
        name: of the class.
        log_likelihood: mean over the symbols, nats: of symbols scaled to unit power, under independent points of the
            class in white noise whose phase (a stretch of 64 symbols), level and power are fitted.
        noise: power of what the points do not explain, over the symbols' power.
        decisions: complex64 [n], the points that the symbols most probably stand for (their mean, where it is not clear
            which), turned as the symbols are.
    """

    name: str
    log_likelihood: float
    noise: float
    decisions: NDArray[np.complex64]


class ConstellationFitter:
    """Fits constellations to symbols of any level, phase and carrier offset (see `CarrierRecovery`).

    Args:
        classes: what the symbols may be.

    >>> rng = np.random.default_rng(1)
    >>> sent = rng.choice(np.exp(0.5j * np.pi * np.arange(4)), 512) * np.exp(0.2j * np.arange(512))
    >>> noise = rng.standard_normal((512, 2)).view(np.complex128)[:, 0]
    >>> fit = ConstellationFitter().best(sent + 0.1 * noise)
    >>> fit.name, len(fit.decisions), round(fit.noise, 2)
    ('QPSK', 512, 0.02)
    """

    def __init__(self, classes: LinearSet = THESIS_9) -> None:
        self._classes = classes
        self._recovery = CarrierRecovery(hold=64)

    def best(self, symbols: Complex) -> Fit:
        """Return the class that fits best: the first of `ranked`."""
        return self.ranked(symbols)[0]

    def ranked(self, symbols: Complex) -> list[Fit]:
        """Return the fits of all classes, the best first.

        Args:
            symbols: complex [n], n at least 64; what is left of a stretch of 64 is not looked at, nor decided.
        """
        still, turn = self._still(symbols)
        fits = [_turned_back(_fit(still, self._classes[name]), turn) for name in self._classes]
        return sorted(fits, key=lambda fit: -fit.log_likelihood)

    def of(self, name: str, symbols: Complex) -> Fit:
        """Return the fit of one class to symbols, complex [n], as `ranked` does of all."""
        still, turn = self._still(symbols)
        return _turned_back(_fit(still, self._classes[name]), turn)

    def _still(self, symbols: Complex) -> tuple[NDArray[np.complex64], NDArray[np.complex64]]:
        """Return symbols at unit power without their carrier offset, and what turned them, complex64 [64 m]."""
        whole = np.asarray(symbols[: len(symbols) // _STRETCH * _STRETCH], dtype=np.complex64)
        whole = whole * np.float32(1 / np.sqrt(max(float(np.mean(np.abs(whole) ** 2)), 1e-30)))
        self._recovery.reset()
        still = self._recovery.finish(whole)
        turn = still * whole.conj()
        return still, np.asarray(turn / np.maximum(np.abs(turn), 1e-20), dtype=np.complex64)


def _turned_back(fit: Fit, turn: NDArray[np.complex64]) -> Fit:
    return Fit(fit.name, fit.log_likelihood, fit.noise, np.asarray(fit.decisions * turn.conj()))


def _fit(symbols: NDArray[np.complex64], fitted: LinearClass) -> Fit:
    """Fit one class to symbols of unit power and steady phase, complex64 [64 m]."""
    points, order, count = fitted.points, fitted.order, len(symbols)
    square = (np.abs(points) ** 2)[:, None]
    stretches = symbols.reshape(-1, _STRETCH)
    # The phase of each stretch: of some in a sector the one whose points lie nearest.
    angles = np.arange(_PHASES) * (2 * np.pi / (fitted.symmetry * _PHASES))
    turned = (np.exp(1j * angles)[:, None] * points).astype(np.complex64).ravel()
    nearness = 2 * _product(turned, symbols).reshape(_PHASES, order, count) - square
    match = nearness.max(axis=1).reshape(_PHASES, -1, _STRETCH).sum(axis=2)
    phase = angles[match.argmax(axis=0)]
    level, noise = 1.0, max(1 - float(match.max(axis=0).sum()) / count, _LEAST_NOISE)
    answer = Fit(fitted.name, 0.0, noise, symbols)
    for _ in range(_ROUNDS):
        turn = np.exp(1j * phase).astype(np.complex64)[:, None]
        upright = (stretches * turn.conj()).ravel()
        # The part of -|r - level * s|^2 / noise that depends on the point.
        exponent = (_product(points, upright) * (2 * level) - level**2 * square) * (1 / noise)
        largest = exponent.max(axis=0)
        weight = np.exp(exponent - largest)
        total = weight.sum(axis=0)
        log_likelihood = float(np.mean(np.log(total) + largest)) - 1 / noise - np.log(order * np.pi * noise)
        decided = (points @ weight) / total
        power = float(((square[:, 0] @ weight) / total).sum())
        answer = Fit(
            fitted.name, float(log_likelihood), noise, (decided.reshape(-1, _STRETCH) * turn).ravel()
        )
        matched = np.sum((upright * decided.conj()).reshape(-1, _STRETCH), axis=1)
        phase = phase + np.angle(matched)
        explained = float(np.abs(matched).sum())
        level = explained / max(power, 1e-20)
        noise = max(1 - level * explained / count, _LEAST_NOISE)
    return answer


def _product(points: NDArray[np.complex64], symbols: NDArray[np.complex64]) -> _Real:
    """Re(r s*) of each point with each symbol, float32 [points, n]."""
    parts = np.ascontiguousarray(symbols.view(np.float32).reshape(-1, 2).T)
    return points.view(np.float32).reshape(-1, 2) @ parts
