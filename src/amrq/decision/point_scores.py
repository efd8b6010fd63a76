# SPDX-License-Identifier: GPL-3.0-or-later
"""The score test of a constellation: derivatives of a symbol's log-density, in tables, and what their means say.

The test is a score test (Rao 1948), in the form that only needs roughly fitted parameters (Neyman 1959, "C(alpha)"):
the density of a symbol under the class is a mixture of equal Gaussians around its points. If the class is right, the
derivatives of its logarithm with respect to any change of that mixture have mean zero: rings of other radius,
points that are used more often than others, noise that is stronger on some rings, noise whose distribution is not
Gaussian because each point is really several. So the means of these derivatives over the symbols, made independent of
the fitted parameters, say whether the points fit, at any Es/N0 and for any constellation, without a list of other
modulations.
"""

import math
from collections.abc import Sequence
from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from amrq.native import kernels

__all__ = [
    "DERIVATIVES",
    "LIMITS",
    "NEWTON_LIMITS",
    "PointTable",
    "Score",
    "level_scale",
    "make_table",
    "misfit",
    "newton_step",
    "noise_power",
]

_CELL = 1 / 3
"""Width of a table's cell over the noise's standard deviation in one direction."""
_AT_ONCE = 4096
"""Symbols of a table that are computed together, so that their numbers stay in a cache."""
_MARGIN = 4.5
"""Standard deviations of noise beyond the outermost point that a table covers."""
_LARGEST_STEP = 4.0
_MOST_GAIN = 20.0
"""Of a Newton step that stays within a level's table; more comes of its being no parabola."""
_LEAST_KEPT = 0.02
"""Share of a derivative's variance that the fitted parameters must leave."""
_RIDGE = 1e-3
LIMITS = _LEAST_KEPT, _RIDGE
NEWTON_LIMITS = _LARGEST_STEP, _MOST_GAIN
_FITTED = 3
"""Derivatives that belong to fitted parameters: noise power, amplitude, phase."""


DERIVATIVES = 16
"""Columns of the derivatives."""


class Score(IntEnum):
    """Columns of the derivatives that something other than another constellation moves as well."""

    NOISE = 0
    NOISE_BY_RING = 4
    RINGS_OUT = 7
    PHASE_NOISE = 8
    NOISE_BY_DIAGONAL = 14


def level_scale(level: float) -> tuple[float, float]:
    """Return amplitude of the points and power of the noise, together of power 1."""
    noise = noise_power(level)
    return math.sqrt(1 - noise), noise


def noise_power(level: float) -> float:
    """Return the noise's share of the power at an Es/N0 in dB."""
    return 1 / (1 + 10 ** (level / 10))


class PointTable(NamedTuple):
    """Expectations given a symbol, at one noise level, in cells of the plane.

    Attributes:
        amplitude: of the points, for a mean power of 1 with noise.
        reach: of the plane in each direction.
        per_unit: cells a unit.
        side: cells in each direction.
        points: float32 [cells, 2], expected point.
        scores: float32 [cells, 17], derivatives, of which the first three belong to fitted parameters; and the
            logarithm of a symbol's density.
        information: float64 [16, 16], covariance of the derivatives if the class is right.
    """

    amplitude: float
    reach: float
    per_unit: float
    side: int
    points: NDArray[np.float32]
    scores: NDArray[np.float32]
    information: NDArray[np.float64]

    def cells(self, symbols: NDArray[np.complex64]) -> NDArray[np.intp]:
        """Return the cell of each of N symbols."""
        plane = symbols.view(np.float32).reshape(-1, 2)
        places = ((plane + np.float32(self.reach)) * np.float32(self.per_unit)).astype(np.int32)
        np.clip(places, 0, self.side - 1, out=places)
        return np.asarray(places[:, 0].astype(np.intp) * self.side + places[:, 1])


def newton_step(
    mean: NDArray[np.float64], information: NDArray[np.float64], symbols: int
) -> tuple[float, float, float]:
    """Return by how many dB Es/N0 is higher than a table's, by one Newton step, and the deviation of that.

    The third is what the step adds to the log-likelihood of all symbols.
    """
    # The derivatives are those for the logarithms of noise and signal power.
    (first, both), (_, second) = information[:2, :2].tolist()
    first, second = first * 1.001, second * 1.001
    scale = 1 / (first * second - both * both)
    by_noise, by_amplitude = mean[:2].tolist()
    noise = (second * by_noise - both * by_amplitude) * scale
    amplitude = (first * by_amplitude - both * by_noise) * scale
    per_db = 10 / math.log(10)
    step = per_db * (amplitude - noise)
    error = per_db * math.sqrt(max((first + second + 2 * both) * scale, 0.0) / symbols)
    gain = 0.5 * symbols * (by_noise * noise + by_amplitude * amplitude)
    return min(max(step, -_LARGEST_STEP), _LARGEST_STEP), error, min(gain, _MOST_GAIN)


def misfit(
    mean: NDArray[np.float64], information: NDArray[np.float64], symbols: int, left_out: Sequence[int] = ()
) -> tuple[float, int]:
    """Return the score test's statistic and its degrees of freedom.

    Args:
        mean: of the derivatives [K].
        information: their covariance [K, K].
        symbols: how many there are.
        left_out: derivatives that are no sign of a misfit.
    """
    native = kernels()
    if native is not None and len(mean) == DERIVATIVES:
        flags = np.zeros(len(mean), np.bool_)
        flags[list(left_out)] = True
        found = native.point_misfit(mean, information, symbols, flags, np.array(LIMITS))
        if found is not None:
            return found
    own = np.diagonal(information)
    varies = (own > 1e-9).tolist()
    fitted = [one for one in (*range(_FITTED), *left_out) if varies[one]]
    tested = [one for one in range(_FITTED, len(mean)) if one not in fitted]
    rows, columns = information[fitted], information[:, tested]
    inner, beside = rows[:, fitted], columns[fitted]
    inner[range(len(fitted)), range(len(fitted))] *= 1 + 1e-9
    share = np.linalg.solve(inner, beside)
    left = mean[tested] - mean[fitted] @ share
    spread = columns[tested] - beside.T @ share
    before, after = own[tested], np.diagonal(spread)
    kept = np.flatnonzero((after > _LEAST_KEPT * before) & (before > 1e-9))
    if not len(kept):
        return 0.0, 0
    deviation = np.sqrt(after[kept])
    left = left[kept] / deviation
    spread = spread[kept][:, kept] / (deviation[:, None] * deviation)
    spread[range(len(kept)), range(len(kept))] += _RIDGE
    return float(symbols * left @ np.linalg.solve(spread, left)), len(kept)


def make_table(points: NDArray[np.complex128], level: int) -> PointTable:
    """Return the table of a class's points [P], of unit mean power, at an Es/N0 in dB."""
    amplitude, noise = level_scale(level)
    deviation = math.sqrt(noise / 2)
    reach = amplitude * float(np.abs(points).max()) + _MARGIN * deviation
    side = math.ceil(2 * reach / (_CELL * deviation))
    middle = (np.arange(side) + 0.5) * (2 * reach / side) - reach
    z = (middle[:, None] + 1j * middle).ravel()
    blocks = [
        _of_symbols(z[first : first + _AT_ONCE], points, amplitude, noise)
        for first in range(0, len(z), _AT_ONCE)
    ]
    expected, density = (np.concatenate(parts) for parts in zip(*(one[:2] for one in blocks), strict=True))
    pairs = np.stack([expected.real, expected.imag], axis=1).astype(np.float32)
    scores = np.stack([*np.concatenate([one[2] for one in blocks], axis=1), density], axis=1)
    derivatives = scores[:, :-1]
    probability = np.exp(density)
    probability /= probability.sum()
    information = (derivatives * probability[:, None]).T @ derivatives
    return PointTable(
        amplitude, reach, side / (2 * reach), side, pairs, scores.astype(np.float32), information
    )


def _of_symbols(
    z: NDArray[np.complex128], points: NDArray[np.complex128], amplitude: float, noise: float
) -> tuple[NDArray[np.complex128], NDArray[np.float64], NDArray[np.float64]]:
    """Return the mean point given each symbol, the log-density there, each [N], and the derivatives [D, N]."""
    # By point and symbol: so sums over few points are of long rows.
    places = amplitude * points
    exponent = np.square(z.real - places.real[:, None])
    exponent += np.square(z.imag - places.imag[:, None])
    exponent /= -noise
    highest = exponent.max(axis=0)
    share = np.exp(exponent - highest)
    total = share.sum(axis=0)
    share /= total
    density = highest + np.log(total) - math.log(len(points) * math.pi * noise)
    return points @ share, density, np.array(_scores(z, share, points, amplitude, noise))


def _scores(
    z: NDArray[np.complex128],
    share: NDArray[np.float64],
    points: NDArray[np.complex128],
    amplitude: float,
    noise: float,
) -> Sequence[NDArray[np.float64]]:
    """Return derivatives of the logarithm of a symbol's density under a class, in a fixed order.

    By Fisher's identity each is the expectation, over the points given the symbol, of a derivative given the point.
    With u = (z - amplitude s) / sqrt(noise) these are polynomials of u and s that are orthogonal to 1.

    Args:
        z: symbols [N].
        share: probability of each point given the symbol [P, N].
        points: s [P].
        amplitude: of the points.
        noise: its power.
    """
    root = math.sqrt(noise)
    x, y = (
        (z.real - amplitude * points.real[:, None]) / root,
        (z.imag - amplitude * points.imag[:, None]) / root,
    )
    size, power = x * x + y * y, np.abs(points) ** 2
    direction = np.where(power > 1e-9, points / np.sqrt(np.maximum(power, 1e-9)), 0)
    fourth, eighth = (direction**4).real, (direction**8).real * power
    along = x * points.real[:, None] + y * points.imag[:, None]  # u times the conjugate of the point
    across = y * points.real[:, None] - x * points.imag[:, None]
    squared, radial_squared = x * x - y * y, along * along - across * across

    def expected(values: NDArray[Any]) -> NDArray[np.float64]:
        return np.asarray(values @ share if values.ndim == 1 else np.einsum("pn,pn->n", share, values))

    unequal = power - power.mean()
    other = fourth - fourth.mean()
    ratio = amplitude / math.sqrt(noise)
    return (
        expected(size - 1),  # noise power
        ratio * expected(along),  # signal power
        expected(across),  # phase
        expected(size * size - 4 * size + 2) / 2,  # kurtosis of the noise
        expected((size - 1) * unequal[:, None]),  # more noise on outer points
        expected(unequal),  # outer points used more often
        expected(power * power - np.mean(power * power)),
        expected(along * power[:, None]),  # outer rings further out
        expected(radial_squared),  # noise along the radius or across: phase noise
        expected(squared),  # noise along I or Q
        expected(squared * squared - 4 * np.square(x * y)),  # noise in the corners of a square
        expected(radial_squared * radial_squared - 4 * np.square(along * across)),
        expected((points**4).real - np.mean((points**4).real)),  # diagonal points used more often
        expected((size - 2) * along),  # noise skewed along the radius
        expected((size - 1) * other[:, None]),  # more noise on diagonal points
        expected(eighth - eighth.mean()),
    )
