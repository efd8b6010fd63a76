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
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from amrq.native import kernels

__all__ = [
    "DERIVATIVES",
    "LIMITS",
    "NEWTON_LIMITS",
    "PointAxis",
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
_MOST_POWER = 4
"""Of a distance, in derivatives."""
_LEAST_TOTAL = 1e-300
"""Sum of shares far from all points."""
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
    middle = np.asarray((np.arange(side) + 0.5) * (2 * reach / side) - reach, np.float64)
    across, along = (PointAxis.of(middle, parts, amplitude, noise) for parts in (points.real, points.imag))
    total, density = across.total(along)
    powers = across.powers(_MOST_POWER), along.powers(_MOST_POWER)
    expected = [_summed([(0, 0, parts)], powers) / total for parts in (points.real, points.imag)]
    derivatives = np.stack(
        [(_summed(terms, powers) / total).ravel() for terms in _scores(points, amplitude / math.sqrt(noise))]
    )
    probability = np.exp(density.ravel())
    probability /= probability.sum()
    information = (derivatives * probability) @ derivatives.T
    scores = np.concatenate([derivatives, density.reshape(1, -1)]).astype(np.float32).T
    return PointTable(
        amplitude,
        reach,
        side / (2 * reach),
        side,
        np.stack([one.ravel() for one in expected], axis=1).astype(np.float32),
        np.ascontiguousarray(scores),
        information,
    )


class PointAxis(NamedTuple):
    """What the places of one axis of the plane say of points; the density of a point is the product of both axes'.

    Attributes:
        shares: float64 [P, cells], the axis's factor of each point's density, over the largest at each place.
        away: float64 [P, cells], distance from the point over the root of the noise.
        nearest: float64 [cells], its square from the nearest point.
        noise: its power.
    """

    shares: NDArray[np.float64]
    away: NDArray[np.float64]
    nearest: NDArray[np.float64]
    noise: float

    @classmethod
    def of(
        cls, middle: NDArray[np.float64], points: NDArray[np.float64], amplitude: float, noise: float
    ) -> "PointAxis":
        """Return an axis with cells about `middle`, and real or imaginary parts of points [P] of unit mean power."""
        away = (middle - amplitude * points[:, None]) / math.sqrt(noise)
        square = np.square(away)
        nearest = square.min(axis=0)
        return cls(np.exp(nearest - square), away, nearest, noise)

    def total(self, other: "PointAxis") -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the sum of shares in cells of the plane, [cells, other's], and the log-density there."""
        total = np.maximum(self.shares.T @ other.shares, _LEAST_TOTAL)
        scale = math.log(len(self.shares) * math.pi * self.noise)
        return total, np.log(total) - self.nearest[:, None] - other.nearest - scale

    def powers(self, most: int) -> list[NDArray[np.float64]]:
        """Return the shares times powers of the distance, from 0 to `most`."""
        found = [self.shares]
        for _ in range(most):
            found.append(found[-1] * self.away)
        return found


_Terms = Sequence[tuple[int, int, NDArray[np.float64]]]
"""Of a polynomial of x and y for each point: exponents, and coefficients by point [P]."""


def _summed(
    terms: _Terms, powers: tuple[Sequence[NDArray[np.float64]], Sequence[NDArray[np.float64]]]
) -> NDArray[np.float64]:
    """Return the sum over points of their shares times a polynomial, [cells, cells]."""
    by_x: dict[int, NDArray[np.float64]] = {}
    for x, y, factors in terms:
        one = factors[:, None] * powers[1][y]
        by_x[x] = by_x[x] + one if x in by_x else one
    return np.asarray(
        np.concatenate([powers[0][x] for x in by_x]).T @ np.concatenate(list(by_x.values())), np.float64
    )


def _scores(points: NDArray[np.complex128], ratio: float) -> Sequence[_Terms]:
    """Return derivatives of the logarithm of a symbol's density under a class, in a fixed order, as polynomials.

    By Fisher's identity each is the expectation, over the points given the symbol, of a derivative given the point.
    With u = (z - amplitude s) / sqrt(noise) these are polynomials of u and s that are orthogonal to 1. Here x and y are
    the parts of u.

    Args:
        points: s [P].
        ratio: amplitude of the points over the root of the noise.
    """
    real, imag, power = points.real, points.imag, np.square(np.abs(points))
    direction = np.where(power > 1e-9, points / np.sqrt(np.maximum(power, 1e-9)), 0)
    fourth, eighth = (direction**4).real, (direction**8).real * power
    ones, twice = np.ones(len(points)), points**2
    diagonal = (points**4).real
    unequal = power - power.mean()
    other = fourth - fourth.mean()

    def along(factors: NDArray[np.float64]) -> _Terms:  # u times the conjugate of the point
        return [(1, 0, factors * real), (0, 1, factors * imag)]

    def size(factors: NDArray[np.float64], less: float) -> _Terms:  # |u|^2 less a number
        return [(2, 0, factors), (0, 2, factors), (0, 0, -less * factors)]

    return (
        size(ones, 1),  # noise power
        along(ratio * ones),  # signal power
        [(0, 1, real), (1, 0, -imag)],  # phase
        # kurtosis of the noise: (|u|^4 - 4 |u|^2 + 2) / 2
        [
            (4, 0, ones / 2),
            (2, 2, ones),
            (0, 4, ones / 2),
            (2, 0, -2 * ones),
            (0, 2, -2 * ones),
            (0, 0, ones),
        ],
        size(unequal, 1),  # more noise on outer points
        [(0, 0, unequal)],  # outer points used more often
        [(0, 0, power * power - np.mean(power * power))],
        along(power),  # outer rings further out
        # noise along the radius or across: phase noise; the square of u times the conjugate of the point
        [(2, 0, twice.real), (0, 2, -twice.real), (1, 1, 2 * twice.imag)],
        [(2, 0, ones), (0, 2, -ones)],  # noise along I or Q
        [(4, 0, ones), (2, 2, -6 * ones), (0, 4, ones)],  # noise in the corners of a square: u^4
        # the same with the conjugate of the point's fourth power
        [
            *((4, 0, diagonal), (2, 2, -6 * diagonal), (0, 4, diagonal)),
            *((3, 1, 4 * (points**4).imag), (1, 3, -4 * (points**4).imag)),
        ],
        [(0, 0, diagonal - np.mean(diagonal))],  # diagonal points used more often
        # noise skewed along the radius: (|u|^2 - 2) times what is along it
        [
            *((3, 0, real), (1, 2, real), (1, 0, -2 * real)),
            *((0, 3, imag), (2, 1, imag), (0, 1, -2 * imag)),
        ],
        size(other, 1),  # more noise on diagonal points
        [(0, 0, eighth - eighth.mean())],
    )
