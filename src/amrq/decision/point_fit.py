# SPDX-License-Identifier: GPL-3.0-or-later
"""How well symbols fit the points of a constellation: carrier phase and noise level are fitted, the rest is tested.

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
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from amrq.classes import LinearClass

__all__ = ["PointFit", "PointTest"]

_LOWEST, _HIGHEST = -2, 18
"""Es/N0 in dB between which symbols are tested. With less noise than the highest, noise is added: what a receiver
leaves of neighbouring symbols then drowns in it, and the points of all classes are still far apart."""
_TABLES = 24
"""Levels of one class that are kept."""
_CELL = 1 / 3
"""Width of a table's cell over the noise's standard deviation in one direction."""
_MARGIN = 4.5
"""Standard deviations of noise beyond the outermost point that a table covers."""
_RADII, _LARGEST_RADIUS = 56, 2.2
_PHASES = 16
_MOST_CHUNKS = 64
_TURNS = 4
"""Fits of the noise level at most."""
_LARGEST_STEP = 4.0
_MOST_GAIN = 20.0
"""Of a Newton step that stays within a level's table; more comes of its being no parabola."""
_WIDTHS = (0.7, 3.0, 1e3)
"""Chunks over which the phase may be averaged: a carrier that wanders, a steady one, a still one."""
_BURST_CHUNKS, _GROUP, _WEAK, _LEAST_WHOLE = 16, 8, 0.4, 3
"""Of at most so many chunks, the ends are left out where groups of so many symbols have less than this share of the
power of most: noise before or after a burst."""
_FORETOLD = 0.6
"""Share of sums' sizes along what others foretell below which the phase jumps: everywhere, or at a single chunk."""
_JUMP = 0.8
"""Step of a line's phase from chunk to chunk, radians, that is no drift any more."""
_APART = 2.7
"""Distance between points over the noise's standard deviation from which a chunk shows its phase exactly enough."""
_CLEAR = 4.0
"""Power of a chunk's line over that of noise from which it shows the phase by itself."""
_ORDERS = (2, 3, 4, 5, 6, 8, 12)
"""Symmetries whose spectral line shows that the constellation is another one."""
_LOST, _VISIBLE = 0.6, 6.0
"""A line whose coherent sum is below this share of what is due was not followed, where at least so much is due."""
_DENSE = 0.5
"""Distance between points below which a constellation is tested for lines of other symmetries."""
_LEAST_KEPT = 0.02
"""Share of a derivative's variance that the fitted parameters must leave."""
_RIDGE = 1e-3
_FITTED = 3
"""Derivatives that belong to fitted parameters: noise power, amplitude, phase."""
_PHASE_NOISE = 8
"""Column of the derivative that phase noise moves."""


class PointFit(NamedTuple):
    """How the points of a class fit symbols.

    Attributes:
        es_n0_db: Es/N0 that fits best, dB.
        es_n0_error_db: its standard deviation, dB.
        misfit: the score test's statistic. If the class is right and the receiver ideal, it has about the chi-squared
            distribution with `freedom` degrees of freedom.
        freedom: see `misfit`.
        strange_line: highest line in the spectrum of a power of the symbols to which the class gives none, over the
            spectrum's mean.
        own_line: coherent sum of the power to which the class gives a line, over the deviation of the sum without a
            line.
        own_line_due: what `own_line` should be.
        symbols: how many were looked at.
        log_likelihood: natural logarithm of the symbols' density if the class is right, at the best noise level, the
            symbols being scaled to unit power; NaN where noise was added.
    """

    es_n0_db: float
    es_n0_error_db: float
    misfit: float
    freedom: int
    strange_line: float
    own_line: float
    own_line_due: float
    symbols: int
    log_likelihood: float


class _Table(NamedTuple):
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


class PointTest:
    """Tests whether symbols are of a class.

    Tables are made when a noise level first occurs, which takes some 10 ms.

    Args:
        known: the class.

    Example:
        >>> import numpy as np
        >>> from amrq.classes import linear_class
        >>> test = PointTest(linear_class("16QAM"))
        >>> rng = np.random.default_rng(1)
        >>> noise = 0.125 * rng.standard_normal((32, 64)).view(np.complex128)
        >>> right, wrong = (rng.choice(linear_class(name).points, (32, 32)) for name in ("16QAM", "16APSK (4+12)"))
        >>> test.fit((right + noise).astype(np.complex64), 15.0).misfit < 40
        True
        >>> test.fit((wrong + noise).astype(np.complex64), 15.0).misfit > 100
        True
    """

    def __init__(self, known: LinearClass) -> None:
        self.known = known
        self.points = known.points.astype(np.complex128)
        distance = np.abs(self.points[:, None] - self.points)
        np.fill_diagonal(distance, np.inf)
        self.nearest = float(distance.min())
        """Smallest distance between two points."""
        in_line = self.points * np.exp(-1j * np.angle(self.points[np.abs(self.points).argmax()]))
        self.on_a_line = bool(np.abs(in_line.imag).max() < 1e-3)
        """Whether all points lie on one line."""
        self.dense = known.symmetry >= 8 or self.nearest < _DENSE
        """Whether lines of other symmetries show another constellation. Of few points, they show the data as well: idle
        patterns and frames have lines of their own."""
        self._orders = [
            order for order in _ORDERS if order % known.symmetry and (self.dense or order < known.symmetry)
        ]
        self._tables: dict[int, _Table] = {}
        self._weights: dict[int, NDArray[np.complex64]] = {}

    def fit(self, chunks: NDArray[np.complex64], es_n0_db: float) -> PointFit:
        """Fit the class to consecutive chunks.

        Args:
            chunks: complex64 [n, L], finite, of the same signal at any level and carrier phase. The first 64 are
                looked at.
            es_n0_db: roughly what Es/N0 is, dB.
        """
        z = _without_ends(np.ascontiguousarray(chunks[:_MOST_CHUNKS], dtype=np.complex64))
        z = z / np.float32(max(math.sqrt(float(np.vdot(z, z).real) / z.size), 1e-30))
        level = _level(es_n0_db)
        strange = self._strange_line(z)
        z, coherent, due = self._aligned(z, level)
        tried: set[int] = set()
        noisy = False
        while True:
            table = self._table(level)
            z = self._turned(z, table)
            found = table.scores.take(table.cells(z), axis=0)
            scores, density = found[:, :-1], found[:, -1]
            mean = scores.mean(axis=0, dtype=np.float64)
            step, error, gain = _step(mean, table.information, z.size)
            if level == _HIGHEST and step > 0 and not noisy:
                # Points are told apart: the noise power is the mean squared distance.
                quiet = level - 10 * math.log10(max(1 + mean[0], 1e-4))
                z, noisy = z + _extra_noise(z.shape, max(-mean[0], 0.0) * _noise_power(level)), True
                continue
            tried.add(level)
            following = _level(level + step)
            if following in tried or len(tried) == _TURNS:
                break
            level = following
        fitted = quiet if noisy and level == _HIGHEST else level + step
        likelihood = math.nan if noisy else float(density.sum(dtype=np.float64)) + gain
        # Scores with long tails: their own covariance alone is too small where the mean is low by chance.
        own = (scores.T @ scores).astype(np.float64) / z.size - np.outer(mean, mean)
        # On a line, phase noise leaves more noise across it than along it; points between the points do the opposite.
        phase_noise = not self.on_a_line or mean[_PHASE_NOISE] < 0
        misfit, freedom = _misfit(mean, (table.information + own) / 2, z.size, phase_noise)
        return PointFit(fitted, error, misfit, freedom, strange, coherent, due, z.size, likelihood)

    def _strange_line(self, z: NDArray[np.complex64]) -> float:
        """Return the highest line that the class does not have, over the mean of its spectrum."""
        if not self._orders:
            return 0.0
        flat = z.ravel()
        size = np.abs(flat)
        unit = flat / np.maximum(size, np.float32(1e-12))
        weight = np.minimum(size, np.float32(1.5))
        powers = np.stack([_power(unit, order) for order in self._orders]) * (weight * weight)
        spectrum = np.asarray(scipy.fft.fft(powers, 2 * len(flat), axis=1))
        highest = (spectrum.real**2 + spectrum.imag**2).max(axis=1)
        return float((highest / np.maximum((weight**4).sum(dtype=np.float64), 1e-30)).max())

    def _aligned(self, z: NDArray[np.complex64], level: int) -> tuple[NDArray[np.complex64], float, float]:
        """Turn chunks upright by the power of the symbols that suits the class; see `PointFit` for the line."""
        size = np.abs(z)
        weights = self._harmonic(level)
        radius = (size * np.float32((_RADII - 1) / _LARGEST_RADIUS) + np.float32(0.5)).astype(np.int32)
        weight = weights.take(np.minimum(radius, _RADII - 1))
        order = self.known.symmetry
        line = weight * _power(z / np.maximum(size, np.float32(1e-12)), order)
        noise = float((np.abs(weight) ** 2).sum(dtype=np.float64))
        due = math.sqrt(max(noise / 2, 1e-30))
        bins = 2 * z.size
        spectrum = np.asarray(scipy.fft.fft(line.ravel(), bins))
        peak = int((spectrum.real**2 + spectrum.imag**2).argmax())
        # Where no carrier was seen, symbols still turn from one to the next.
        angle, coherent = _followed(line, (peak - bins if 2 * peak > bins else peak) / bins, noise)
        if coherent < _LOST * due**2 and due > _VISIBLE:
            # A carrier that was followed in steps has no single frequency.
            other, found = _followed(line, 0.0, noise)
            if found > coherent:
                angle, coherent = other, found
        turn = np.exp(np.complex64(-1j / order) * angle.astype(np.float32))
        return z * turn, coherent / due, due

    def _turned(self, z: NDArray[np.complex64], table: _Table) -> NDArray[np.complex64]:
        """Turn each chunk by what the expected points say of its phase."""
        expected = table.points.take(table.cells(z), axis=0).view(np.complex64).reshape(z.shape)
        smooth = np.einsum("nl,nl->n", z, expected.conj())
        noise = (1 - table.amplitude**2) / table.amplitude**2
        if self.nearest < _APART * math.sqrt(noise):
            smooth, _ = _smoothed(smooth)
        return np.asarray(z * np.exp(-1j * np.angle(smooth))[:, None].astype(np.complex64))

    def _harmonic(self, level: int) -> NDArray[np.complex64]:
        """Return what e^(j symmetry phase) of a symbol says of the phase, by radius: its share in log p."""
        if level not in self._weights:
            amplitude, noise = _scale(level)
            radius = np.linspace(0, _LARGEST_RADIUS, _RADII)
            phase = np.arange(_PHASES) * (2 * np.pi / self.known.symmetry / _PHASES)
            z = radius[:, None] * np.exp(1j * phase)
            exponent = -(np.abs(z[..., None] - amplitude * self.points) ** 2) / noise
            density = np.logaddexp.reduce(exponent, axis=2)
            harmonic = 2 * (density * np.exp(1j * self.known.symmetry * phase)).mean(axis=1)
            self._weights[level] = harmonic.astype(np.complex64)
        return self._weights[level]

    def _table(self, level: int) -> _Table:
        if level not in self._tables:
            if len(self._tables) == _TABLES:
                self._tables.pop(next(iter(self._tables)))
            self._tables[level] = _make_table(self.points, level)
        return self._tables[level]


def _without_ends(chunks: NDArray[np.complex64]) -> NDArray[np.complex64]:
    """Return the chunks [n, L] of a short burst that lie whole within it; where few do, they are cut anew."""
    count, length = chunks.shape
    if count > _BURST_CHUNKS or length % _GROUP or count < 3:
        return chunks
    groups = chunks.reshape(-1, _GROUP)
    power = np.einsum("nl,nl->n", groups.real, groups.real) + np.einsum("nl,nl->n", groups.imag, groups.imag)
    strong = np.flatnonzero(power > _WEAK * np.median(power))
    first, last = int(strong[0]), int(strong[-1]) + 1
    if last - first == len(groups):
        return chunks
    # The groups at the edges themselves may hold some of what is outside.
    first, last = first + (first > 0), last - (last < len(groups))
    inside = chunks[-(-first * _GROUP // length) : last * _GROUP // length]
    if len(inside) >= _LEAST_WHOLE:
        return inside  # a receiver's phase may jump between two chunks
    whole = (last - first) * _GROUP // length
    return groups[first : first + whole * length // _GROUP].reshape(whole, length) if whole else chunks


def _level(es_n0_db: float) -> int:
    return int(min(max(round(es_n0_db), _LOWEST), _HIGHEST)) if math.isfinite(es_n0_db) else 10


def _scale(level: float) -> tuple[float, float]:
    """Return amplitude of the points and power of the noise, together of power 1."""
    noise = _noise_power(level)
    return math.sqrt(1 - noise), noise


def _noise_power(level: float) -> float:
    return 1 / (1 + 10 ** (level / 10))


def _power(unit: NDArray[np.complex64], order: int) -> NDArray[np.complex64]:
    """Return `unit` to the power of `order`, at least 1, by squaring."""
    result: NDArray[np.complex64] | None = None
    while order:
        if order & 1:
            result = unit if result is None else result * unit
        order >>= 1
        if order:
            unit = unit * unit
    assert result is not None
    return result


def _followed(
    line: NDArray[np.complex64], frequency: float, noise: float
) -> tuple[NDArray[np.float64], float]:
    """Return the phase of a line [n, L] at each symbol, radians, and the line's coherent sum.

    Args:
        line: chunks of it.
        frequency: that it has on the whole, cycles/symbol.
        noise: sum of its power.
    """
    count, length = line.shape
    whole = (2 * np.pi * frequency * np.arange(line.size)).reshape(line.shape)
    sums = (line * np.exp(np.complex64(-1j) * whole.astype(np.float32))).sum(axis=1)
    spectrum = np.fft.fft(sums, 8 * count)
    steady = np.argmax(np.abs(spectrum)) / (8 * count)
    turn = np.exp(-2j * np.pi * steady * np.arange(count))
    clear = float((np.abs(sums) ** 2).sum(dtype=np.float64)) > _CLEAR * noise
    smooth, coherent = _smoothed((sums * turn).astype(np.complex64), clear)
    phase = np.unwrap(np.angle(smooth * turn.conj()))
    slope = _slope(phase) / length
    return whole + phase[:, None] + slope[:, None] * (np.arange(length) - (length - 1) / 2), coherent


def _slope(phase: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how phases [n] drift at each chunk, radians a chunk: the smaller step of two; 0 where both are jumps."""
    if len(phase) < 3:
        return np.zeros(len(phase))
    step = np.diff(phase)
    before, after = np.r_[step[1], step], np.r_[step, step[-2]]
    smaller = np.where(np.abs(before) < np.abs(after), before, after)
    return np.where(np.abs(smaller) < _JUMP, smaller, 0.0)


@lru_cache(8)
def _windows(count: int) -> tuple[NDArray[np.complex64], NDArray[np.complex64]]:
    """Return averages over chunks, [widths * count, count], and the same without the chunk itself."""
    apart = np.arange(count)[:, None] - np.arange(count)
    whole = np.stack([np.exp(-0.5 * (apart / width) ** 2) for width in _WIDTHS])
    others = whole * (apart != 0)
    shape = (len(_WIDTHS) * count, count)
    return whole.reshape(shape).astype(np.complex64), others.reshape(shape).astype(np.complex64)


def _smoothed(sums: NDArray[np.complex64], clear: bool = True) -> tuple[NDArray[np.complex64], float]:
    """Average sums [n] over as many chunks as foretell a chunk's phase best from the others'.

    Args:
        sums: of each chunk.
        clear: each of them shows its phase by itself. Where the others then do not foretell it, nothing is averaged.

    Returns:
        the averages [n], and how much of the sums is in the direction that was foretold.
    """
    count = len(sums)
    whole, others = _windows(count)
    foretold = (others @ sums).reshape(-1, count)
    along = (foretold.conj() * sums).real / np.maximum(np.abs(foretold), np.float32(1e-20))
    found = along.sum(axis=1)
    best = int(found.argmax())
    whole_size = float(np.abs(sums).sum())
    if clear and found[best] < _FORETOLD * whole_size:
        return sums, whole_size
    average = whole[best * count : (best + 1) * count] @ sums
    if clear:
        agree = (average.conj() * sums).real
        alone = agree < _FORETOLD * np.abs(average) * np.abs(sums)
        average[alone] = sums[alone]
    return average, float(found[best])


@lru_cache(4)
def _noise(count: int, length: int) -> NDArray[np.complex64]:
    """Return the same noise of unit power each time, so that the same symbols give the same answer."""
    rng = np.random.default_rng(1948)
    pairs = rng.standard_normal((count, 2 * length)) / math.sqrt(2)
    return pairs.view(np.complex128).astype(np.complex64)


def _extra_noise(shape: tuple[int, ...], power: float) -> NDArray[np.complex64]:
    return np.asarray(np.float32(math.sqrt(power)) * _noise(*shape))


def _step(
    mean: NDArray[np.float64], information: NDArray[np.float64], symbols: int
) -> tuple[float, float, float]:
    """Return by how many dB Es/N0 is higher than a table's, by one Newton step, and the deviation of that.

    The third is what the step adds to the log-likelihood of all symbols.
    """
    fitted = information[:2, :2]
    by_power = np.linalg.inv(fitted + np.diag(np.diag(fitted)) * 1e-3)
    noise, amplitude = by_power @ mean[:2]
    direction = np.array(
        [-1.0, 1.0]
    )  # the derivatives are those for the logarithms of noise and signal power
    per_db = 10 / math.log(10)
    step = per_db * (amplitude - noise)
    error = per_db * math.sqrt(max(float(direction @ by_power @ direction), 0.0) / symbols)
    gain = 0.5 * symbols * float(mean[:2] @ by_power @ mean[:2])
    return float(np.clip(step, -_LARGEST_STEP, _LARGEST_STEP)), error, min(gain, _MOST_GAIN)


def _misfit(
    mean: NDArray[np.float64], information: NDArray[np.float64], symbols: int, phase_noise: bool
) -> tuple[float, int]:
    """Return the score test's statistic and its degrees of freedom.

    Args:
        mean: of the derivatives [K].
        information: their covariance [K, K].
        symbols: how many there are.
        phase_noise: it is no sign of a misfit.
    """
    fitted = [*range(_FITTED), *([_PHASE_NOISE] if phase_noise else [])]
    fitted = [one for one in fitted if information[one, one] > 1e-9]
    tested = [one for one in range(len(mean)) if one >= _FITTED and one not in fitted]
    ridge = 1e-9 * np.diag(np.diag(information)[fitted])
    share = np.linalg.solve(information[np.ix_(fitted, fitted)] + ridge, information[np.ix_(fitted, tested)])
    left = mean[tested] - mean[fitted] @ share
    spread = information[np.ix_(tested, tested)] - information[np.ix_(tested, fitted)] @ share
    before = np.diag(information)[tested]
    kept = np.flatnonzero((np.diag(spread) > _LEAST_KEPT * before) & (before > 1e-9))
    if not len(kept):
        return 0.0, 0
    deviation = np.sqrt(np.diag(spread)[kept])
    left = left[kept] / deviation
    spread = spread[np.ix_(kept, kept)] / np.outer(deviation, deviation)
    spread += _RIDGE * np.eye(len(kept))
    return float(symbols * left @ np.linalg.solve(spread, left)), len(kept)


def _make_table(points: NDArray[np.complex128], level: int) -> _Table:
    amplitude, noise = _scale(level)
    deviation = math.sqrt(noise / 2)
    reach = amplitude * float(np.abs(points).max()) + _MARGIN * deviation
    side = math.ceil(2 * reach / (_CELL * deviation))
    middle = (np.arange(side) + 0.5) * (2 * reach / side) - reach
    z = (middle[:, None] + 1j * middle).ravel()
    exponent = -(np.abs(z[:, None] - amplitude * points) ** 2) / noise
    highest = exponent.max(axis=1, keepdims=True)
    share = np.exp(exponent - highest)
    total = share.sum(axis=1, keepdims=True)
    share /= total
    density = (highest + np.log(total))[:, 0] - math.log(len(points) * math.pi * noise)
    expected = share @ points
    pairs = np.stack([expected.real, expected.imag], axis=1).astype(np.float32)
    scores = np.stack([*_scores(z, share, points, amplitude, noise), density], axis=1)
    derivatives = scores[:, :-1]
    probability = np.exp(density)
    probability /= probability.sum()
    information = (derivatives * probability[:, None]).T @ derivatives
    return _Table(amplitude, reach, side / (2 * reach), side, pairs, scores.astype(np.float32), information)


def _scores(
    z: NDArray[np.complex128],
    share: NDArray[np.float64],
    points: NDArray[np.complex128],
    amplitude: float,
    noise: float,
) -> Sequence[NDArray[np.float64]]:
    """Return derivatives of the logarithm of a symbol's density under a class, in the order of `PointTest`.

    By Fisher's identity each is the expectation, over the points given the symbol, of a derivative given the point.
    With u = (z - amplitude s) / sqrt(noise) these are polynomials of u and s that are orthogonal to 1.

    Args:
        z: symbols [N].
        share: probability of each point given the symbol [N, P].
        points: s [P].
        amplitude: of the points.
        noise: its power.
    """
    u = (z[:, None] - amplitude * points) / math.sqrt(noise)
    size, power = np.abs(u) ** 2, np.abs(points) ** 2
    direction = np.where(power > 1e-9, points / np.sqrt(np.maximum(power, 1e-9)), 0)
    fourth, eighth = (direction**4).real, (direction**8).real * power
    radial = u * points.conj()

    def expected(values: NDArray[Any]) -> NDArray[np.float64]:
        return np.asarray(np.einsum("np,np->n", share, np.broadcast_to(values, share.shape)))

    unequal = power - power.mean()
    other = fourth - fourth.mean()
    ratio = amplitude / math.sqrt(noise)
    return (
        expected(size - 1),  # noise power
        expected(ratio * radial.real),  # signal power
        expected(radial.imag),  # phase
        expected(size * size - 4 * size + 2) / 2,  # kurtosis of the noise
        expected((size - 1) * unequal),  # more noise on outer points
        expected(unequal),  # outer points used more often
        expected(power * power - np.mean(power * power)),
        expected(radial.real * power),  # outer rings further out
        expected((radial * radial).real),  # noise along the radius or across: phase noise
        expected((u * u).real),  # noise along I or Q
        expected((u**4).real),  # noise in the corners of a square
        expected((radial**4).real),
        expected((points**4).real - np.mean((points**4).real)),  # diagonal points used more often
        expected((size - 2) * radial.real),  # noise skewed along the radius
        expected((size - 1) * other),  # more noise on diagonal points
        expected(eighth - eighth.mean()),
    )
