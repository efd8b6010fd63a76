# SPDX-License-Identifier: GPL-3.0-or-later
"""What is taken from symbols before their points are judged."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from seeds import rng

from amrq.classes import LINEAR_CLASSES
from amrq.decision import Nuisances, without_nuisances

ONES = np.ones((32, 32), dtype=np.complex64)
NOISE = 0.1


def cleaned(
    received: NDArray[np.complex128], expected: NDArray[np.complex64], turn: NDArray[np.complex64] = ONES
) -> tuple[float, Nuisances]:
    """Return the mean squared distance that is left, over that of the noise, and what was found."""
    rings = np.unique(np.abs(expected).round(3)).astype(np.float64)
    left, _, found = without_nuisances(received.astype(np.complex64), expected, turn, rings, apart=4.0)
    return float(np.mean(np.abs(left - expected) ** 2)) / NOISE**2, found


def sent(name: str, generator: np.random.Generator) -> tuple[NDArray[np.complex64], NDArray[np.complex128]]:
    """Return symbols, and noise."""
    symbols = generator.choice(LINEAR_CLASSES[name].points, (32, 32)).astype(np.complex64)
    return symbols, NOISE / math.sqrt(2) * generator.standard_normal((32, 64)).view(np.complex128)


@pytest.mark.parametrize("name", ["BPSK", "QPSK", "8ASK", "16QAM"])
def test_noise_stays(name: str) -> None:
    generator = rng("nuisances, noise", name)
    found = []
    for _ in range(40):
        symbols, noise = sent(name, generator)
        left, nuisances = cleaned(symbols + noise, symbols)
        assert left > 0.85
        found.append(nuisances.found)
    assert sum(found) <= 4


@pytest.mark.parametrize("name", ["QPSK", "16QAM", "8QAM"])
def test_each_is_found_and_taken_away(name: str) -> None:
    generator = rng("nuisances, each", name)
    symbols, noise = sent(name, generator)
    flat = symbols.ravel()
    turn = np.exp(2j * np.pi * 0.0117 * np.arange(flat.size)).reshape(symbols.shape).astype(np.complex64)
    echo = 0.2j * np.roll(flat, 2).reshape(symbols.shape)
    left, found = cleaned(symbols + echo + noise, symbols)
    assert left < 1.2 and found.others and not found.turning
    for strange in (0.2 * symbols.conj() * turn.conj() ** 2, 0.2 * turn.conj()):
        left, found = cleaned(symbols + strange + noise, symbols, turn)
        assert left < 1.2 and found.turning
    walk = np.cumsum(generator.normal(0, 0.05, flat.size)).reshape(symbols.shape)
    walk -= walk.mean(axis=1, keepdims=True)
    left, found = cleaned(symbols * np.exp(1j * walk) + noise, symbols)
    # Following the phase leaves some of it, whose power is estimated.
    assert left < 1.6 and 0.5 < (left - 1) * NOISE**2 / found.phase_noise < 2
    if name != "QPSK":
        size = np.abs(symbols)
        left, found = cleaned(symbols / np.sqrt(1 + 0.2 * size**2) + noise, symbols)
        assert left < 1.2 and 0.05 < found.compression < 0.2


@pytest.mark.parametrize("name", ["64QAM", "32QAM (8x4)", "32PSK"])
def test_points_between_the_points_stay(name: str) -> None:
    """Symbols of a denser constellation are told by their distance from the nearest point of another."""
    generator = rng("nuisances, foreign", name)
    points = LINEAR_CLASSES[{"64QAM": "16QAM", "32QAM (8x4)": "8QAM", "32PSK": "16PSK"}[name]].points
    for _ in range(5):
        symbols, noise = sent(name, generator)
        received = symbols + 0.3 * noise
        nearest = points[np.abs(received[..., None] - points).argmin(axis=2)].astype(np.complex64)
        before = float(np.mean(np.abs(received - nearest) ** 2)) / NOISE**2
        left, found = cleaned(received, nearest)
        assert left > 0.8 * before
        assert found.phase_noise == 0
