# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables of a constellation's score test: what they say of a symbol is what the mixture of Gaussians says."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from amrq.classes import linear_class
from amrq.decision import point_scores


def log_density(
    z: NDArray[np.complex128], points: NDArray[np.complex128], amplitude: float, noise: float
) -> NDArray[np.float64]:
    """Return the logarithm of the mean of Gaussians about points, at z [N]."""
    density = np.exp(-(np.abs(z[:, None] - amplitude * points) ** 2) / noise).mean(axis=1) / (math.pi * noise)
    return np.asarray(np.log(density), np.float64)


@pytest.mark.parametrize(("name", "level"), [("QPSK", 3), ("8ASK", 12), ("32QAM", 9), ("16APSK (4+12)", 18)])
def test_tables_are_derivatives_of_a_mixture_of_gaussians(name: str, level: int) -> None:
    points = linear_class(name).points.astype(np.complex128)
    amplitude, noise = point_scores.level_scale(level)
    table = point_scores.make_table(points, level)
    middle = (np.arange(table.side) + 0.5) / table.per_unit - table.reach
    z = (middle[:, None] + 1j * middle).ravel()
    density, scores = table.scores[:, point_scores.DERIVATIVES], table.scores[:, : point_scores.DERIVATIVES]
    near = density > density.max() - 12
    assert density[near] == pytest.approx(log_density(z[near], points, amplitude, noise), abs=1e-5)
    step = 1e-4
    by_noise, by_amplitude = (
        np.subtract(*(log_density(z[near], points, *change(math.exp(side * step / 2))) for side in (1, -1)))
        / step
        for change in (
            lambda factor: (amplitude, noise * factor),
            lambda factor: (amplitude * math.sqrt(factor), noise),
        )
    )
    assert scores[near, point_scores.Score.NOISE] == pytest.approx(by_noise, abs=1e-4)
    assert scores[near, 1] == pytest.approx(by_amplitude, abs=1e-3)
    share = np.exp(-(np.abs(z[:, None] - amplitude * points) ** 2) / noise)
    mean = (share @ points)[near] / share.sum(axis=1)[near]
    assert table.points[near, 0] + 1j * table.points[near, 1] == pytest.approx(mean, abs=1e-6)


@pytest.mark.parametrize(("name", "level"), [("BPSK", 0), ("8PSK", 10), ("64QAM", 16)])
def test_derivatives_have_no_mean_where_the_class_is_right(name: str, level: int) -> None:
    table = point_scores.make_table(linear_class(name).points.astype(np.complex128), level)
    probability = np.exp(table.scores[:, point_scores.DERIVATIVES].astype(np.float64))
    probability /= probability.sum()
    deviation = np.sqrt(np.maximum(np.diagonal(table.information), 1.0))
    # What lies beyond the table, and within a cell, is left.
    assert np.abs(probability @ table.scores[:, : point_scores.DERIVATIVES] / deviation).max() < 0.02
