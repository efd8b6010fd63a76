# SPDX-License-Identifier: GPL-3.0-or-later
"""How well symbols fit the points of a constellation: carrier phase and noise level are fitted, the rest is tested.

The test is that of `point_scores`. On demand it looks at what is left when everything is taken away that needs no other
constellation to be explained (`nuisances`).
"""

import ctypes
import math
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from amrq.classes import LinearClass
from amrq.decision.nuisances import Nuisances, leave_one_out, without_nuisances
from amrq.decision.point_lines import (
    CLEAR,
    FORETOLD,
    JUMP,
    LOST,
    PER_RADIUS,
    RADII,
    VISIBLE,
    averaging,
    harmonic,
    line,
    smoothed,
    strange_line,
    upright,
)
from amrq.decision.point_scores import (
    LIMITS,
    NEWTON_LIMITS,
    PointTable,
    Score,
    make_table,
    misfit,
    newton_step,
    noise_power,
)
from amrq.native import (
    MOST_CHUNKS,
    Kernels,
    PointAsked,
    PointKind,
    PointLevel,
    PointPlaces,
    PointRules,
    kernels,
)

__all__ = ["Aligned", "Asked", "PointFit", "PointTest", "fit_together"]

_LOWEST, _HIGHEST = -2, 18
"""Es/N0 in dB between which symbols are tested. With less noise than the highest, noise is added: what a receiver
leaves of neighbouring symbols then drowns in it, and the points of all classes are still far apart."""
_TABLES = 96
"""Tables that are kept, of all classes and levels together: some 30 MB; those that compiled tests use stay besides."""
_KINDS = 32
"""Classes whose tables compiled tests keep."""
_UNKNOWN = 10
"""Es/N0 in dB that is tried first where it is not known."""
_TURNS = 4
"""Fits of the noise level at most."""
_BURST_CHUNKS, _GROUP, _WEAK, _LEAST_WHOLE = 16, 8, 0.4, 3
"""Of at most so many chunks, the ends are left out where groups of so many symbols have less than this share of the
power of most: noise before or after a burst."""
_ROUNDS = 2
"""How often nuisances are fitted, at most: the first time some symbols are taken for wrong points."""
_APART = 2.7
"""Distance between points over the noise's standard deviation from which a chunk shows its phase exactly enough."""
_ORDERS = (2, 3, 4, 5, 6, 8, 12)
"""Symmetries whose spectral line shows that the constellation is another one."""
_NEVER_DB = 1e6
"""What is no Es/N0."""
_SAME_DB = 4.0
"""Between an Es/N0 that is given and that of the fit before, if the signal may be the same: one step of a fit. A
model's estimate is up to 3 dB off, and from so far a fit is made twice."""
_NONE = Nuisances()
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
        turned: complex64 [n, L], the symbols as they were tested, of unit power: turned by the points, without the
            nuisances and with the noise that was added.
    """

    es_n0_db: float
    es_n0_error_db: float
    misfit: float
    freedom: int
    log_likelihood: float
    start: Aligned
    nuisances: Nuisances
    turned: NDArray[np.complex64]

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


_RULES = PointRules(
    LOST, VISIBLE, JUMP, CLEAR, FORETOLD, _APART, PER_RADIUS, RADII, _TURNS, *NEWTON_LIMITS, *LIMITS
)
"""The constants, for the compiled kernels."""


class _Seen(NamedTuple):
    """What a table says of symbols that were turned upright by its points."""

    z: NDArray[np.complex64]  # the symbols, turned
    expected: NDArray[np.complex64]  # the point that each probably is
    mean: NDArray[np.float64]  # of the table's 16 derivatives and of the density's logarithm, [17]
    products: NDArray[np.float64]  # means of products of two derivatives, [16, 16]


def _looked_up(z: NDArray[np.complex64], table: PointTable, smooth: bool) -> _Seen:
    """Turn each chunk [n, L] by what the expected points say of its phase, and read what the table says of its symbols.

    Args:
        z: aligned symbols of unit power.
        table: of the class.
        smooth: whether phases are averaged over chunks.
    """
    expected = table.points.take(table.cells(z), axis=0).view(np.complex64).reshape(z.shape)
    sums = np.einsum("nl,nl->n", z, expected.conj())
    if smooth:
        sums, _ = smoothed(sums)
    z = np.asarray(z * np.exp(-1j * np.angle(sums))[:, None].astype(np.complex64))
    cells = table.cells(z)
    found = table.scores.take(cells, axis=0)
    scores = found[:, :-1]
    products = (scores.T @ scores).astype(np.float64) / len(found)
    expected = table.points.take(cells, axis=0).view(np.complex64).reshape(z.shape)
    return _Seen(z, expected, found.mean(axis=0, dtype=np.float64), products)


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
        self._bytes = self.points.tobytes()
        self.nearest, self.on_a_line, self._rings = _shape_of(self._bytes)
        """Smallest distance between two points; and whether all points lie on one line."""
        self.dense = known.symmetry >= 8 or self.nearest < _DENSE
        """Whether lines of other symmetries show another constellation. Of few points, they show the data as well: idle
        patterns and frames have lines of their own."""
        self._orders = tuple(
            order for order in _ORDERS if order % known.symmetry and (self.dense or order < known.symmetry)
        )
        self._compiled: PointKind | None = None
        self._last = ctypes.c_double(_NEVER_DB)

    def fit(self, chunks: NDArray[np.complex64], es_n0_db: float, rough_db: float = math.inf) -> PointFit:
        """Fit the class to consecutive chunks.

        Args:
            chunks: complex64 [n, L], finite, of the same signal at any level and carrier phase. The first 64 are
                looked at.
            es_n0_db: roughly what Es/N0 is, dB.
            rough_db: by how many dB the fit may be off that: if it is by more, it is made again from there, since the
                phase is found by it.
        """
        return fit_together([Asked(self, chunks, es_n0_db, rough_db)])[0]

    def _fit_plain(self, held: NDArray[np.complex64], es_n0_db: float, rough_db: float) -> PointFit:
        """Return what `fit` returns, without the compiled kernels."""
        received = _unit_power(held)
        strange = strange_line(received, self._orders)
        fit = self._fit_upright(received, strange, es_n0_db)
        if abs(fit.es_n0_db - es_n0_db) > rough_db and _level(fit.es_n0_db) != _level(es_n0_db):
            fit = self._fit_upright(received, strange, fit.es_n0_db)
        return fit

    def _fit_upright(self, received: NDArray[np.complex64], strange: float, es_n0_db: float) -> PointFit:
        """Fit the class to symbols of unit power, with this strange line."""
        z, own, due = upright(received, self.known.symmetry, self._harmonic(_level(es_n0_db)))
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
        strange = strange_line(z * turn, self._orders) if found.turning else start.strange_line
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
            seen.es_n0_db,
            seen.es_n0_error_db,
            statistic,
            freedom,
            seen.log_likelihood,
            start,
            found,
            seen.symbols,
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
        native = kernels()
        places = None if native is None else _places(*z.shape)
        if native is not None and places is not None:
            kind, start = self._kind(), es_n0_db if math.isfinite(es_n0_db) else float(_UNKNOWN)
            while isinstance(found := native.point_level(z, kind, places, start, add_noise), int):
                self._add_level(kind, found)
            z, expected, fit = found
            numbers = fit.es_n0_db, fit.es_n0_error_db, fit.log_likelihood
            return _Scored(z, expected, self._table(fit.level), fit.mean[:-1], fit.products, *numbers)
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

    def _line_left(self, z: NDArray[np.complex64], es_n0_db: float) -> float:
        """Return `PointFit.own_line` of symbols whose phase was followed."""
        found, noise = line(z, self.known.symmetry, self._harmonic(_level(es_n0_db)))
        _, along = leave_one_out(found)
        return float(along.sum(axis=(1, 2)).max()) / math.sqrt(max(noise / 2, 1e-30))

    def _is_smoothed(self, table: PointTable) -> bool:
        """Return whether a chunk alone shows its phase too badly at a table's level."""
        noise = (1 - table.amplitude**2) / table.amplitude**2
        return self.nearest < _APART * math.sqrt(noise)

    def _harmonic(self, level: int) -> NDArray[np.complex64]:
        return harmonic(self._bytes, self.known.symmetry, level)

    def _table(self, level: int) -> PointTable:
        return _table_of(self._bytes, level)

    def _kind(self) -> PointKind:
        if self._compiled is None:
            self._compiled = _kind_of(
                self._bytes, self.known.symmetry, self.on_a_line, self.nearest, self._orders
            )
        return self._compiled

    def _add_level(self, kind: PointKind, level: int) -> None:
        """Make what the compiled test lacks at a level."""
        table = self._table(level)
        sizes = table.reach, table.per_unit, table.amplitude, table.side
        kind.add(
            level, PointLevel(table.points, table.scores, self._harmonic(level), table.information, *sizes)
        )


class Asked(NamedTuple):
    """A fit that is asked for; see `PointTest.fit`.

    Attributes:
        test: of the class.
        chunks: complex64 [n, L].
        es_n0_db: roughly what Es/N0 is, dB.
        rough_db: by how many dB the fit may be off that.
        follows: the chunks are those of a stream: the fit begins where the last one of this test that followed ended,
            unless that is too far from `es_n0_db`.
    """

    test: PointTest
    chunks: NDArray[np.complex64]
    es_n0_db: float
    rough_db: float = math.inf
    follows: bool = False

    def begin(self) -> float:
        """Return the Es/N0 in dB at which the fit begins."""
        start, last = self.es_n0_db, self.test._last.value
        start = start if math.isfinite(start) else float(_UNKNOWN)
        return last if self.follows and abs(last - start) < _SAME_DB else start


def fit_together(asked: Sequence[Asked]) -> list[PointFit]:
    """Return what several fits find, in order; how many are asked for at a time makes no difference.

    Together they take one compiled call, beside which other threads run.

    Example:
        >>> import numpy as np
        >>> from amrq.classes import linear_class
        >>> test = PointTest(linear_class("QPSK"))
        >>> symbols = np.random.default_rng(1).choice(linear_class("QPSK").points, (8, 32)).astype(np.complex64)
        >>> fits = fit_together([Asked(test, symbols, 15.0), Asked(test, symbols[4:], 15.0)])
        >>> [fit.symbols for fit in fits]
        [256, 128]
    """
    native = kernels()
    fits: list[PointFit] = []
    held = [
        _without_ends(np.ascontiguousarray(one.chunks[:MOST_CHUNKS], dtype=np.complex64)) for one in asked
    ]
    places = [None if native is None else _places(*chunks.shape) for chunks in held]
    while len(fits) < len(asked):
        done = len(fits)
        stop = next((n for n in range(done, len(asked)) if places[n] is None), len(asked))
        if native is not None and stop > done:
            fits += _fit_compiled(native, asked[done:stop], held[done:stop], places[done:stop])
            continue
        one = asked[done]
        fit = one.test._fit_plain(held[done], one.begin(), one.rough_db)
        if one.follows:
            one.test._last.value = fit.es_n0_db
        fits.append(fit)
    return fits


def _fit_compiled(
    native: Kernels,
    asked: Sequence[Asked],
    held: Sequence[NDArray[np.complex64]],
    places: Sequence[PointPlaces | None],
) -> list[PointFit]:
    """Return what at least the first of several fits finds, by the kernels."""
    wanted = []
    for one, chunks, place in zip(asked, held, places, strict=True):
        start = one.es_n0_db if math.isfinite(one.es_n0_db) else float(_UNKNOWN)
        assert place is not None
        last = one.test._last if one.follows else None
        wanted.append(PointAsked(chunks, one.test._kind(), place, start, one.rough_db, last))
    while isinstance(answer := (answers := native.point_fits(wanted, _SAME_DB))[-1], int):
        asked[len(answers) - 1].test._add_level(wanted[len(answers) - 1].kind, answer)
        if len(answers) > 1:
            answers.pop()
            break
    fits = []
    for one, chunks, answer in zip(asked, held, answers, strict=False):
        assert not isinstance(answer, int)
        (received, aligned, turned), numbers, lines = answer
        if numbers.freedom < 0:
            fits.append(one.test._fit_plain(chunks, one.es_n0_db, one.rough_db))
            continue
        fits.append(PointFit(*numbers, Aligned(received, aligned, *lines), _NONE, turned))
    return fits


@lru_cache(_KINDS)
def _shape_of(points: bytes) -> tuple[float, bool, NDArray[np.float64]]:
    """Return the smallest distance between points, complex128 [P], whether all lie on one line, and radii of rings."""
    z = np.frombuffer(points, np.complex128)
    distance = np.abs(z[:, None] - z)
    np.fill_diagonal(distance, np.inf)
    in_line = z * np.exp(-1j * np.angle(z[np.abs(z).argmax()]))
    on_a_line = bool(np.abs(in_line.imag).max() < 1e-3)
    return float(distance.min()), on_a_line, np.unique(np.abs(z).round(3))


@lru_cache(_KINDS)
def _kind_of(
    points: bytes, symmetry: int, on_a_line: bool, nearest: float, orders: tuple[int, ...]
) -> PointKind:
    """Return a class as the kernels take it: one for all tests, which come and go; `points` tell it from others."""
    return PointKind(symmetry, on_a_line, nearest, orders, _RULES)


@lru_cache(16)
def _places(count: int, length: int) -> PointPlaces | None:
    """Return what depends on the number of chunks and their length; None where the kernels do not take so many."""
    if not PointPlaces.possible(count, length):
        return None
    return PointPlaces(count, length, averaging(count), _noise(count, length))


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
    return int(min(max(round(es_n0_db), _LOWEST), _HIGHEST)) if math.isfinite(es_n0_db) else _UNKNOWN


@lru_cache(4)
def _noise(count: int, length: int) -> NDArray[np.complex64]:
    """Return the same noise of unit power each time, so that the same symbols give the same answer."""
    rng = np.random.default_rng(1948)
    pairs = rng.standard_normal((count, 2 * length)) / math.sqrt(2)
    return pairs.view(np.complex128).astype(np.complex64)


def _extra_noise(shape: tuple[int, ...], power: float) -> NDArray[np.complex64]:
    return np.asarray(np.float32(math.sqrt(power)) * _noise(*shape))
