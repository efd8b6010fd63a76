# SPDX-License-Identifier: GPL-3.0-or-later
"""The registry of classes."""

import numpy as np
import pytest

from amrq.classes import THESIS_9, linear_class
from amrq.errors import AmrqError

ORDERS = {
    "4ASK": 4,
    "8ASK": 8,
    "BPSK": 2,
    "QPSK": 4,
    "8PSK": 8,
    "16PSK": 16,
    "8QAM": 8,
    "16QAM": 16,
    "32QAM": 32,
}


def turned(points: np.ndarray, angle: float) -> np.ndarray:
    """The constellation turned, as a sorted set that rounding does not disturb."""
    return np.unique(np.round(points.astype(complex) * np.exp(1j * angle), 5) + 0.0)


def test_the_nine_classes_in_order() -> None:
    assert {name: entry.order for name, entry in THESIS_9.items()} == ORDERS
    assert list(THESIS_9) == list(ORDERS)


@pytest.mark.parametrize("name", ORDERS)
def test_unit_mean_power_zero_mean_distinct_points(name: str) -> None:
    points = linear_class(name).points
    assert points.dtype == np.complex64
    assert np.mean(np.abs(points) ** 2) == pytest.approx(1.0, abs=1e-6)
    assert abs(points.mean()) < 1e-6
    assert len(turned(points, 0.0)) == ORDERS[name] == 2 ** linear_class(name).bits_per_symbol


@pytest.mark.parametrize("name", ORDERS)
def test_symmetry_is_the_largest_that_holds(name: str) -> None:
    points, symmetry = linear_class(name).points, linear_class(name).symmetry
    holds = [
        m
        for m in range(1, 33)
        if (other := turned(points, 2 * np.pi / m)).shape == turned(points, 0).shape
        and np.abs(other - turned(points, 0)).max() < 1e-4
    ]
    assert max(holds) == symmetry


def test_known_points() -> None:
    # 16QAM's corner and 8QAM's (4 x 2 grid, mean power 6), 32QAM's outermost (5, 3) of mean power 20.
    assert np.abs(linear_class("16QAM").points).max() == pytest.approx(np.sqrt(18 / 10))
    assert np.abs(linear_class("8QAM").points).max() == pytest.approx(np.sqrt(10 / 6))
    assert np.abs(linear_class("32QAM").points).max() == pytest.approx(np.sqrt(34 / 20))
    assert np.abs(linear_class("8ASK").points.real).max() == pytest.approx(7 / np.sqrt(21))


def test_points_cannot_be_changed_and_unknown_names_are_refused() -> None:
    with pytest.raises(ValueError):
        linear_class("BPSK").points[0] = 0
    with pytest.raises(AmrqError, match=r"'65QAM'.*BPSK"):
        linear_class("65QAM")
