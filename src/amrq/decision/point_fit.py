# SPDX-License-Identifier: GPL-3.0-or-later
"""How well symbols fit the points of a constellation: carrier phase and noise level are fitted, the rest is tested.

The test is that of `point_scores`. On demand it looks at what is left when everything is taken away that needs no other
constellation to be explained (`nuisances`).
"""

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from amrq.classes import LinearClass
from amrq.decision.nuisances import Nuisances, leave_one_out, without_nuisances
from amrq.decision.point_scores import (
    PointTable,
    Score,
    level_scale,
    make_table,
    misfit,
    newton_step,
    noise_power,
)
from amrq.native import MOST_CHUNKS, Averaging, PointScores, kernels

__all__ = ["Aligned", "PointFit", "PointTest"]

_LOWEST, _HIGHEST = -2, 18
"""Es/N0 in dB between which symbols are tested. With less noise than the highest, noise is added: what a receiver
leaves of neighbouring symbols then drowns in it, and the points of all classes are still far apart."""
_TABLES = 96
"""Tables that are kept, of all classes and levels together: some 30 MB."""
_RADII, _LARGEST_RADIUS = 56, 2.2
_PHASES = 16
_TURNS = 4
"""Fits of the noise level at most."""
_WIDTHS = (0.7, 3.0, 1e3)
"""Chunks over which the phase may be averaged: a carrier that wanders, a steady one, a still one."""
_BURST_CHUNKS, _GROUP, _WEAK, _LEAST_WHOLE = 16, 8, 0.4, 3
"""Of at most so many chunks, the ends are left out where groups of so many symbols have less than this share of the
power of most: noise before or after a burst."""
_FORETOLD = 0.6
"""Share of sums' sizes along what others foretell below which the phase jumps: everywhere, or at a single chunk."""
_JUMP = 0.8
"""Step of a line's phase from chunk to chunk, radians, that is no drift any more."""
_ROUNDS = 2
"""How often nuisances are fitted, at most: the first time some symbols are taken for wrong points."""
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


class Aligned(NamedTuple):
    """Symbols whose carrier phase was found by a power of theirs.

    Attributes:
        received: complex64 [n, L], of unit power.
        upright: complex64 [n, L], the same without the carrier's phase.
        strange_line: highest line in the spectrum of a power of the symbols to which the class gives none, over the
            spectrum's mean.
        own_line: coherent sum of the power to which the class gives a line, over the deviation of the sum without a
            line.
        own_line_due: what `own_line` should be.
    """

    received: NDArray[np.complex64]
    upright: NDArray[np.complex64]
    strange_line: float
    own_line: float
    own_line_due: float


class PointFit(NamedTuple):
    """How the points of a class fit symbols.

    Attributes:
        es_n0_db: Es/N0 that fits best, dB.
        es_n0_error_db: its standard deviation, dB.
        misfit: the score test's statistic. If the class is right and the receiver ideal, it has about the chi-squared
            distribution with `freedom` degrees of freedom.
        freedom: see `misfit`.
        log_likelihood: natural logarithm of the symbols' density if the class is right, at the best noise level, the
            symbols being scaled to unit power; NaN where noise was added.
        start: the symbols that it is about, and their lines.
        nuisances: what was taken away.
    """

    es_n0_db: float
    es_n0_error_db: float
    misfit: float
    freedom: int
    log_likelihood: float
    start: Aligned
    nuisances: Nuisances

    @property
    def symbols(self) -> int:
        """How many symbols were looked at."""
        return self.start.upright.size

    @property
    def strange_line(self) -> float:
        """See `Aligned`."""
        return self.start.strange_line

    @property
    def own_line(self) -> float:
        """See `Aligned`."""
        return self.start.own_line

    @property
    def own_line_due(self) -> float:
        """See `Aligned`."""
        return self.start.own_line_due


class _Scored(NamedTuple):
    """Symbols at the noise level that fits: the point each of them probably is, and what its table says of them."""

    symbols: NDArray[np.complex64]
    expected: NDArray[np.complex64]
    table: PointTable
    mean: NDArray[np.float64]  # of the 16 derivatives
    products: NDArray[np.float64]  # means of the products of two of them, [16, 16]
    es_n0_db: float
    es_n0_error_db: float
    log_likelihood: float


def _looked_up(z: NDArray[np.complex64], table: PointTable, smooth: bool) -> PointScores:
    """Turn each chunk [n, L] by what the expected points say of its phase, and read what the table says of its symbols.

    Args:
        z: aligned symbols of unit power.
        table: of the class.
        smooth: whether phases are averaged over chunks.
    """
    native = kernels()
    if native is not None:
        place = (table.reach, table.per_unit, table.side)
        return native.point_scores(z, (table.points, table.scores), place, _averaging(len(z)), smooth)
    expected = table.points.take(table.cells(z), axis=0).view(np.complex64).reshape(z.shape)
    sums = np.einsum("nl,nl->n", z, expected.conj())
    if smooth:
        sums, _ = _smoothed(sums)
    z = np.asarray(z * np.exp(-1j * np.angle(sums))[:, None].astype(np.complex64))
    cells = table.cells(z)
    found = table.scores.take(cells, axis=0)
    scores = found[:, :-1]
    products = (scores.T @ scores).astype(np.float64) / len(found)
    expected = table.points.take(cells, axis=0).view(np.complex64).reshape(z.shape)
    return PointScores(z, expected, found.mean(axis=0, dtype=np.float64), products)


class PointTest:
    """Tests whether symbols are of a class.

    A class's table is made when a noise level first occurs, which takes some milliseconds, and is kept for all tests.

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
        self._rings = np.unique(np.abs(self.points).round(3))

    def fit(self, chunks: NDArray[np.complex64], es_n0_db: float) -> PointFit:
        """Fit the class to consecutive chunks.

        Args:
            chunks: complex64 [n, L], finite, of the same signal at any level and carrier phase. The first 64 are
                looked at.
            es_n0_db: roughly what Es/N0 is, dB.
        """
        received = _unit_power(_without_ends(np.ascontiguousarray(chunks[:MOST_CHUNKS], dtype=np.complex64)))
        strange = self._strange_line(received)
        z, own, due = self._aligned(received, _level(es_n0_db))
        seen = self._scored(z, es_n0_db, add_noise=True)
        return self._tested(seen, Aligned(received, z, strange, own, due), Nuisances())

    def fit_cleaned(self, fit: PointFit, es_n0_db: float) -> PointFit:
        """Fit the class to the symbols of an earlier fit, from which phase noise, echoes and the like are taken away.

        Args:
            fit: to the chunks as they are.
            es_n0_db: roughly what Es/N0 is, dB.
        """
        start = fit.start
        z, turn, found, es_n0_db = self._cleaned(start.upright, start.received, es_n0_db)
        if not found.found:
            return fit
        strange = self._strange_line(z * turn) if found.turning else start.strange_line
        own = start.own_line
        if own < start.own_line_due:
            own = max(own, self._line_left(z, es_n0_db))
        seen = self._scored(z, es_n0_db, add_noise=True)
        return self._tested(seen, start._replace(strange_line=strange, own_line=own), found)

    def _tested(self, seen: "_Scored", start: Aligned, found: Nuisances) -> PointFit:
        """Return what symbols say, from which nuisances were taken away."""
        mean, count = seen.mean, start.upright.size
        # Scores with long tails: their own covariance alone is too small where the mean is low by chance.
        covariance = seen.products - np.outer(mean, mean)
        information = (seen.table.information + covariance) / 2
        statistic, freedom = misfit(mean, information, count, self._left_out(mean, found))
        return PointFit(
            seen.es_n0_db, seen.es_n0_error_db, statistic, freedom, seen.log_likelihood, start, found
        )

    def _left_out(self, mean: NDArray[np.float64], found: Nuisances) -> list[int]:
        """Return the derivatives, of these means, that say nothing about the points."""
        # On a line, phase noise leaves more noise across it than along it; points between the points do the opposite.
        phase_noise = not self.on_a_line or mean[Score.PHASE_NOISE] < 0
        left_out: list[int] = [Score.PHASE_NOISE] if phase_noise else []
        if found.phase_noise or found.compression:
            left_out += [Score.NOISE_BY_RING, Score.NOISE_BY_DIAGONAL]
        if found.compression and mean[Score.RINGS_OUT] < 0:
            left_out.append(Score.RINGS_OUT)
        return left_out

    def _cleaned(
        self, z: NDArray[np.complex64], received: NDArray[np.complex64], es_n0_db: float
    ) -> tuple[NDArray[np.complex64], NDArray[np.complex64], Nuisances, float]:
        """Return aligned symbols without nuisances, the turn from them to those received, what was found, and Es/N0."""
        found = Nuisances()
        turn = _direction(received * z.conj())
        for _ in range(_ROUNDS):
            seen = self._scored(z, es_n0_db, add_noise=False)
            es_n0_db = seen.es_n0_db
            amplitude, noise = seen.table.amplitude, 1 - seen.table.amplitude**2
            apart = self.nearest * amplitude / math.sqrt(noise / 2)
            turn = _direction(turn * z * seen.symbols.conj())
            expected = np.float32(amplitude) * seen.expected
            z, turn, new = without_nuisances(seen.symbols, expected, turn, amplitude * self._rings, apart)
            z = _unit_power(z)
            found = Nuisances(
                max(found.phase_noise, new.phase_noise),
                max(found.compression, new.compression),
                found.others or new.others,
                found.turning or new.turning,
            )
            if not new.found:
                break
        return z, turn, found, es_n0_db

    def _scored(self, z: NDArray[np.complex64], es_n0_db: float, add_noise: bool) -> "_Scored":
        """Find the noise level, turn each chunk upright by it, and return the derivatives there.

        Args:
            z: aligned symbols of unit power [n, L].
            es_n0_db: to begin with.
            add_noise: to symbols with less noise than the highest level.
        """
        level = _level(es_n0_db)
        tried: set[int] = set()
        quiet, noisy = 0.0, False
        while True:
            table = self._table(level)
            seen = _looked_up(z, table, self._is_smoothed(table))
            z, mean, density = seen.z, seen.mean[:-1], float(seen.mean[-1])
            step, error, gain = newton_step(mean, table.information, z.size)
            if level == _HIGHEST and step > 0 and not noisy:
                # Points are told apart: the noise power is the mean squared distance.
                quiet = level - 10 * math.log10(max(1 + mean[Score.NOISE], 1e-4))
                if not add_noise:
                    break
                z, noisy = z + _extra_noise(z.shape, max(-mean[Score.NOISE], 0.0) * noise_power(level)), True
                continue
            tried.add(level)
            following = _level(level + step)
            if following in tried or len(tried) == _TURNS:
                break
            level = following
        fitted = quiet if quiet and level == _HIGHEST else level + step
        likelihood = math.nan if noisy else density * z.size + gain
        return _Scored(z, seen.expected, table, mean, seen.products, fitted, error, likelihood)

    def _strange_line(self, z: NDArray[np.complex64]) -> float:
        """Return the highest line that the class does not have, over the mean of its spectrum."""
        if not self._orders:
            return 0.0
        powers, energy = _powers(z, self._orders)
        spectrum = np.asarray(scipy.fft.fft(powers, 2 * z.size, axis=1))
        return float(_peaks(spectrum)[0].max()) / max(energy, 1e-30)

    def _aligned(self, z: NDArray[np.complex64], level: int) -> tuple[NDArray[np.complex64], float, float]:
        """Turn chunks upright by the power of the symbols that suits the class; see `PointFit` for the line."""
        line, noise = self._line(z, level)
        order = self.known.symmetry
        due = math.sqrt(max(noise / 2, 1e-30))
        bins = 2 * z.size
        spectrum = np.asarray(scipy.fft.fft(line.ravel(), bins))
        peak = int(_peaks(spectrum[None])[1][0])
        frequency = (peak - bins if 2 * peak > bins else peak) / bins
        least = _LOST * due**2 if due > _VISIBLE else 0.0
        native = kernels()
        if native is not None:
            numbers = np.array([frequency, noise, order, least, _JUMP, _CLEAR])
            upright, coherent = native.point_align(line, z, numbers, _averaging(len(z)))
            return upright, coherent / due, due
        # Where no carrier was seen, symbols still turn from one to the next.
        found = _followed(line, frequency, noise)
        if found.coherent < least:
            # A carrier that was followed in steps has no single frequency.
            other = _followed(line, 0.0, noise)
            found = other if other.coherent > found.coherent else found
        angle, coherent = found.angle(z.shape[1]), found.coherent
        turn = np.exp(np.complex64(-1j / order) * angle.astype(np.float32))
        return z * turn, coherent / due, due

    def _line(self, z: NDArray[np.complex64], level: int) -> tuple[NDArray[np.complex64], float]:
        """Return the power of symbols [n, L] in which the class gives a line, weighted, and the sum of its squares."""
        native = kernels()
        if native is not None:
            scale = (_RADII - 1) / _LARGEST_RADIUS
            return native.point_line(z, self.known.symmetry, self._harmonic(level), scale)
        size = np.abs(z)
        radius = (size * np.float32((_RADII - 1) / _LARGEST_RADIUS) + np.float32(0.5)).astype(np.int32)
        weight = self._harmonic(level).take(np.minimum(radius, _RADII - 1))
        line = weight * _power(z / np.maximum(size, np.float32(1e-12)), self.known.symmetry)
        return line, float((np.abs(weight) ** 2).sum(dtype=np.float64))

    def _line_left(self, z: NDArray[np.complex64], es_n0_db: float) -> float:
        """Return `PointFit.own_line` of symbols whose phase was followed."""
        line, noise = self._line(z, _level(es_n0_db))
        _, along = leave_one_out(line)
        return float(along.sum(axis=(1, 2)).max()) / math.sqrt(max(noise / 2, 1e-30))

    def _is_smoothed(self, table: PointTable) -> bool:
        """Return whether a chunk alone shows its phase too badly at a table's level."""
        noise = (1 - table.amplitude**2) / table.amplitude**2
        return self.nearest < _APART * math.sqrt(noise)

    def _harmonic(self, level: int) -> NDArray[np.complex64]:
        return _harmonic_of(self.points.tobytes(), self.known.symmetry, level)

    def _table(self, level: int) -> PointTable:
        return _table_of(self.points.tobytes(), level)


@lru_cache(4 * _TABLES)
def _harmonic_of(points: bytes, symmetry: int, level: int) -> NDArray[np.complex64]:
    """Return what e^(j symmetry phase) of a symbol says of the phase, by radius: its share in log p."""
    amplitude, noise = level_scale(level)
    radius = np.linspace(0, _LARGEST_RADIUS, _RADII)
    phase = np.arange(_PHASES) * (2 * np.pi / symmetry / _PHASES)
    z = radius[:, None] * np.exp(1j * phase)
    exponent = -(np.abs(z[..., None] - amplitude * np.frombuffer(points, np.complex128)) ** 2) / noise
    density = np.logaddexp.reduce(exponent, axis=2)
    return np.asarray(2 * (density * np.exp(1j * symmetry * phase)).mean(axis=1), dtype=np.complex64)


@lru_cache(_TABLES)
def _table_of(points: bytes, level: int) -> PointTable:
    """Return the table of points, the bytes of complex128 [P], at a level: one for all tests, which come and go."""
    return make_table(np.frombuffer(points, np.complex128), level)


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


def _unit_power(z: NDArray[np.complex64]) -> NDArray[np.complex64]:
    return np.asarray(z / np.float32(max(math.sqrt(float(np.vdot(z, z).real) / z.size), 1e-30)))


def _direction(z: NDArray[np.complex64]) -> NDArray[np.complex64]:
    return np.asarray(z / np.maximum(np.abs(z), np.float32(1e-20)))


def _level(es_n0_db: float) -> int:
    return int(min(max(round(es_n0_db), _LOWEST), _HIGHEST)) if math.isfinite(es_n0_db) else 10


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


def _powers(z: NDArray[np.complex64], orders: list[int]) -> tuple[NDArray[np.complex64], float]:
    """Return powers of symbols' phases, weighted by their amplitudes, complex64 [k, N], and the weights' energy."""
    native = kernels()
    if native is not None:
        return native.point_powers(z, np.array(orders, np.int32))
    flat = z.ravel()
    size = np.abs(flat)
    unit = flat / np.maximum(size, np.float32(1e-12))
    weight = np.minimum(size, np.float32(1.5))
    powers = np.stack([_power(unit, order) for order in orders]) * (weight * weight)
    return powers, float((weight**4).sum(dtype=np.float64))


def _peaks(spectra: NDArray[np.complex64]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return the largest power of each spectrum, complex64 [k, bins], and its bin."""
    native = kernels()
    if native is not None:
        return native.point_peaks(spectra)
    power = spectra.real**2 + spectra.imag**2
    return power.max(axis=1), power.argmax(axis=1)


class _Followed(NamedTuple):
    """The phase of a line, radians, at the middle of each chunk [n] besides what turns all the time."""

    frequency: float  # cycles/symbol
    phase: NDArray[np.float64]
    slope: NDArray[np.float64]  # radians a chunk
    coherent: float  # the line's coherent sum

    def angle(self, length: int) -> NDArray[np.float64]:
        """Return the phase at each of the symbols, float64 [n, length]."""
        whole = (2 * np.pi * self.frequency * np.arange(len(self.phase) * length)).reshape(-1, length)
        inside = np.arange(length) - (length - 1) / 2
        return np.asarray(whole + self.phase[:, None] + (self.slope / length)[:, None] * inside)


def _followed(line: NDArray[np.complex64], frequency: float, noise: float) -> _Followed:
    """Return the phase of a line [n, L].

    Args:
        line: chunks of it.
        frequency: that it has on the whole, cycles/symbol.
        noise: sum of its power.
    """
    count, length = line.shape
    if frequency:
        inside = np.exp((-2j * np.pi * frequency) * np.arange(length)).astype(np.complex64)
        sums = (line @ inside) * np.exp((-2j * np.pi * frequency * length) * np.arange(count))
    else:
        sums = line.sum(axis=1)
    spectrum = np.asarray(scipy.fft.fft(sums, 8 * count))
    steady = int((spectrum.real**2 + spectrum.imag**2).argmax()) / (8 * count)
    turn = np.exp((-2j * np.pi * steady) * np.arange(count))
    clear = float((sums.real**2 + sums.imag**2).sum(dtype=np.float64)) > _CLEAR * noise
    smooth, coherent = _smoothed((sums * turn).astype(np.complex64), clear)
    phase = _unwrapped(np.angle(smooth * turn.conj()))
    return _Followed(frequency, phase, _slope(phase), coherent)


def _unwrapped(phase: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return phases [n], radians, without jumps of a turn."""
    out = phase.copy()
    out[1:] -= 2 * np.pi * np.cumsum(np.rint((phase[1:] - phase[:-1]) / (2 * np.pi)))
    return out


def _slope(phase: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how phases [n] drift at each chunk, radians a chunk: the smaller step of two; 0 where both are jumps."""
    if len(phase) < 3:
        return np.zeros(len(phase))
    steps = np.empty(len(phase) + 1)  # before each chunk and after it
    steps[1:-1] = phase[1:] - phase[:-1]
    steps[0], steps[-1] = steps[2], steps[-3]
    size = np.abs(steps)
    smaller = np.where(size[:-1] < size[1:], steps[:-1], steps[1:])
    smaller[np.minimum(size[:-1], size[1:]) >= _JUMP] = 0.0
    return smaller


@lru_cache(8)
def _averaging(count: int) -> Averaging:
    """Return averages over chunks."""
    apart = np.arange(count)[:, None] - np.arange(count)
    whole = np.stack([np.exp(-0.5 * (apart / width) ** 2) for width in _WIDTHS])
    return Averaging(whole.astype(np.float32), (whole * (apart != 0)).astype(np.float32), _FORETOLD)


def _smoothed(sums: NDArray[np.complex64], clear: bool = True) -> tuple[NDArray[np.complex64], float]:
    """Average sums [n] over as many chunks as foretell a chunk's phase best from the others'.

    Args:
        sums: of each chunk.
        clear: each of them shows its phase by itself. Where the others then do not foretell it, nothing is averaged.

    Returns:
        the averages [n], and how much of the sums is in the direction that was foretold.
    """
    count = len(sums)
    whole, others, _ = _averaging(count)
    foretold = others @ sums
    along = (foretold.conj() * sums).real / np.maximum(np.abs(foretold), np.float32(1e-20))
    found = along.sum(axis=1)
    whole_size = float(np.abs(sums).sum())
    # Of two chunks all widths foretell the same: the narrowest is taken.
    best = int((found >= found.max() - 1e-5 * whole_size).argmax())
    if clear and found[best] < _FORETOLD * whole_size:
        return sums, whole_size
    average = whole[best] @ sums
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
