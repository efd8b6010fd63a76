# SPDX-License-Identifier: GPL-3.0-or-later
"""Constellations outside the model's classes that would give the same symbols, at this noise and in this number.

With much noise a constellation cannot be told from one with more points on the same place: 8ASK from 16ASK at 10 dB,
16PSK from any denser ring. What tells two constellations apart is the mean difference of a symbol's log-densities, the
Kullback-Leibler divergence, times the number of symbols (Cover and Thomas 2006, chapter 11): below some 3 nats nothing
does. Rivals are those of the usual kinds, ASK, PSK, square, oblong and cross QAM and rings (APSK), of many orders,
which are no classes of the model. Of those that are so near that symbols may not tell, the likelihood is compared with
that of the class, each at its own best noise level. Points, densities and divergences are computed once for each class
and noise level, and kept.
"""

import math
from collections.abc import Collection, Sequence
from functools import cache, lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from amrq.classes import LINEAR_CLASSES, LinearClass
from amrq.decision.point_scores import PointAxis, level_scale

__all__ = ["Rivals"]

_TABLES = 96
"""Tables that are kept, of all classes and levels together."""
_CLASS_SETS = 16
"""Class sets whose rivals' names are kept."""
_LOWEST, _HIGHEST = -2, 18
"""Es/N0 in dB between which densities are compared, as points are."""
_NEAREST = 4.7
"""Distance between a class's points over the noise's standard deviation from which on 64 symbols show them all."""
_FAR, _MOST_FAR = 0.15, 0.6
"""Divergence in nats a symbol of a rival that is never compared; and before its noise level is fitted."""
_TOLD = 40.0
"""Nats in all symbols from which on the test of the points has told a rival apart already."""
_MOST = 8
"""Rivals compared, the nearest ones."""
_COARSE, _FINE, _MARGIN = 0.7, 1 / 3, 4.5
"""Width of a cell over the noise's standard deviation: for divergences, for densities; and the plane beyond points."""
_STEP, _STEPS = 0.5, 8
"""dB: steps in which a rival's noise level is fitted, and how many at most."""
_MOST_GAIN, _MOST_TURN = 20.0, 4.0
"""Nats that a better noise level gives all symbols at most, and a better phase a chunk: more comes of its being no
parabola."""
_LINED = 0.5
"""Of the line that a power of the class's points has: from there on a rival has this line as well."""
_LINE_TOLD, _BY_CHANCE = 5.8, 12.0
"""What a line should be over the noise's standard deviation to tell anything, as in `DecisionChecker`; and nats that
fitting the phase by a line adds to a log-likelihood by chance."""

_MOST_POINTS = 128
"""Constellations with more points look as those with so many, wherever another class could be named."""
_ORDERS_ASK = (3, 5, 6, 7, 10, 12, 16, 32)
_ORDERS_PSK = (3, 5, 6, 7, 9, 10, 12, 24, 32, 64)
_GRIDS = ((3, 3), (6, 6), (8, 8), (4, 3), (6, 4), (8, 2), (8, 4))
_CROSSES = ((4, 1), (6, 2), (12, 2))
_RINGS = (((4, 1), (4, 2)), ((8, 1), (8, 2)), ((4, 1), (12, 3)), ((4, 1), (12, 3), (20, 5), (28, 7)))
"""Points and radius of each ring."""


class _Table(NamedTuple):
    """Densities of a class and its rivals in cells of the plane, at one noise level.

    Attributes:
        names: of the rivals, the nearest first.
        divergence: of each, nats a symbol [R].
        lined: whether each has a line where the class has its own [R]: the phase was then found by what both have.
        reach: of the plane in each direction.
        side: cells in each direction.
        values: float32 [cells, 3 (1 + R)], of the class and each rival the log-density and its derivatives by level in
            dB and by phase in radians.
        information: mean squares of the two derivatives, [1 + R, 2].
    """

    names: tuple[str, ...]
    divergence: NDArray[np.float64]
    lined: NDArray[np.bool_]
    reach: float
    side: int
    values: NDArray[np.float32]
    information: NDArray[np.float64]


class Rivals:
    """Finds constellations that symbols do not tell from a class.

    Args:
        known: the classes of the model, which are no rivals: the model itself weighs them.

    Example:
        >>> from amrq.classes import THESIS_9, linear_class
        >>> rivals = Rivals(THESIS_9.members)
        >>> rng = np.random.default_rng(1)
        >>> noise = rng.standard_normal((30, 64)).view(np.complex128) / np.sqrt(2)
        >>> symbols = rng.choice(linear_class("8ASK").points, (30, 32))
        >>> for es_n0_db in (10.0, 16.0):
        ...     scale = 10 ** (-es_n0_db / 20)
        ...     received = ((symbols + scale * noise) / np.sqrt(1 + scale**2)).astype(np.complex64)
        ...     found = rivals.compared(linear_class("8ASK"), received, es_n0_db)
        ...     print("16ASK" in found, max(found.values(), default=-99.0) > -3)
        True True
        False False
    """

    def __init__(self, known: Collection[LinearClass]) -> None:
        self._names = _names_beside(tuple(one.points.tobytes() for one in known))
        self._tables: dict[tuple[str, int], tuple[LinearClass, _Table]] = {}

    def compared(
        self, named: LinearClass, symbols: NDArray[np.complex64], es_n0_db: float
    ) -> dict[str, float]:
        """Return by how many nats each near rival is likelier than the class, given all symbols; often none is near.

        Rivals that have names of their own here come first.

        Args:
            named: the class.
            symbols: complex64 [n, L], chunks of unit power with their noise, upright as the class's points are.
            es_n0_db: that fits the class best, dB.
        """
        level = int(min(max(round(es_n0_db), _LOWEST), _HIGHEST))
        of, table = self._tables.get((named.name, level), (None, None))
        if table is None or of is not named:
            table = _table_of(named.points.astype(np.complex128).tobytes(), level, self._names)
            self._tables[named.name, level] = named, table
        if not table.names:
            return {}
        near = int(np.searchsorted(table.divergence * symbols.size, _TOLD))
        if not near:
            return {}
        values = table.values.take(_cells(symbols, table.reach, table.side), axis=0)
        sums = values.reshape(*symbols.shape, -1).sum(axis=1)[:, : 3 * near + 3].astype(np.float64)
        densities, by_level, by_phase = sums[:, ::3].sum(axis=0), sums[:, 1::3].sum(axis=0), sums[:, 2::3]
        for_level, for_phase = table.information[: near + 1].T
        gains = np.minimum(by_level**2 / (2 * symbols.size * for_level), _MOST_GAIN)
        # Chunks were turned upright by the class's points: each has its own best phase with a rival's.
        turned = np.minimum(by_phase**2 / (2 * symbols.shape[1] * for_phase), _MOST_TURN)
        likelihoods = densities + gains + turned.sum(axis=0)
        likelier = likelihoods[1:] - likelihoods[0]
        # The phase of a line that the class alone has was found by this line, and noise has one as well.
        told = 2 * table.divergence[:near] * symbols.size > _LINE_TOLD**2
        unlined = np.where(told, np.minimum(likelier + _BY_CHANCE, 0.0), 0.0)
        likelier = np.where(table.lined[:near], likelier, unlined)
        found = dict(zip(table.names, likelier.tolist(), strict=False))
        return {name: found[name] for name in self._names if name in found}


@lru_cache(_CLASS_SETS)
def _names_beside(known: tuple[bytes, ...]) -> tuple[str, ...]:
    """Return the constellations that may be rivals of classes, given the bytes of their points, complex64 [P]."""
    shapes = {_shape(np.frombuffer(points, np.complex64)) for points in known}
    return tuple(name for name, shape in _shapes().items() if shape not in shapes)


def _cells(symbols: NDArray[np.complex64], reach: float, side: int) -> NDArray[np.intp]:
    plane = np.ascontiguousarray(symbols).view(np.float32).reshape(-1, 2)
    places = ((plane + np.float32(reach)) * np.float32(side / (2 * reach))).astype(np.int32)
    np.clip(places, 0, side - 1, out=places)
    return np.asarray(places[:, 0].astype(np.intp) * side + places[:, 1])


def _shape(points: NDArray[np.complex64]) -> tuple[float, ...]:
    """Return what all turns of a constellation have in common, and others hardly."""
    points = points.astype(np.complex128)
    apart = np.abs(points[:, None] - points)
    np.fill_diagonal(apart, np.inf)
    return (len(points), *np.sort(np.abs(points)).round(2)[[0, -1]].tolist(), round(float(apart.min()), 2))


@cache
def _kinds() -> dict[str, NDArray[np.complex64]]:
    """Return the constellations that may be rivals, by name: those that have a class here, and other orders."""
    found = {
        one.name: one.points for one in LINEAR_CLASSES.values() if one.plain and one.order <= _MOST_POINTS
    }
    made = {f"{order}ASK": _levels(order) + 0j for order in _ORDERS_ASK}
    made |= {f"{order}PSK": _ring(order, 1.0) for order in _ORDERS_PSK}
    for columns, rows in _GRIDS:
        order = f"{columns * rows}QAM"
        made[order if columns == rows else f"{order} ({columns}x{rows})"] = _grid(columns, rows)
    for side, corner in _CROSSES:
        grid, inside = _grid(side, side), side - 2 * corner
        made[f"{side * side - 4 * corner * corner}QAM"] = grid[
            ~((np.abs(grid.real) > inside) & (np.abs(grid.imag) > inside))
        ]
    for rings in _RINGS:
        counts = [count for count, _ in rings]
        points = np.concatenate([_ring(count, radius) for count, radius in rings])
        made[f"{sum(counts)}APSK ({'+'.join(map(str, counts))})"] = points
    shapes = {_shape(points) for points in found.values()}
    for name, points in made.items():
        one = LinearClass.of(name, points)
        if name not in found and _shape(one.points) not in shapes:
            found[name] = one.points
    return found


@cache
def _shapes() -> dict[str, tuple[float, ...]]:
    """Return what all turns of each constellation that may be a rival have in common, by name."""
    return {name: _shape(points) for name, points in _kinds().items()}


def _levels(order: int) -> NDArray[np.float64]:
    return np.asarray(2.0 * np.arange(order) - (order - 1), np.float64)


def _ring(order: int, radius: float) -> NDArray[np.complex128]:
    return np.asarray(radius * np.exp(2j * np.pi * (np.arange(order) + 0.5) / order))


def _grid(columns: int, rows: int) -> NDArray[np.complex128]:
    return np.asarray((_levels(columns)[:, None] + 1j * _levels(rows)).ravel())


@lru_cache(_TABLES)
def _table_of(points: bytes, level: int, names: tuple[str, ...]) -> _Table:
    """Return the table of a class, given the bytes of its points, complex128 [P], at a level."""
    own = np.frombuffer(points, np.complex128)
    deviation = math.sqrt(level_scale(level)[1] / 2)
    reach = 1.1 * float(np.abs(own).max()) + _MARGIN * deviation
    symmetry = LinearClass.of("own", own).symmetry
    own_line = _line(own, symmetry)
    near = _near(own, level, names, reach) if _smallest_distance(own) < _NEAREST * deviation else []
    middle = _axis(reach, _FINE * deviation) if near else np.zeros(1)
    columns: list[NDArray[np.float64]] = []
    information: list[list[float]] = []
    for turned, own_level in [(own, float(level)), *((one.points, one.level) for one in near)]:
        found = _log_density(middle, turned, own_level)
        probability = np.exp(found[0])
        probability /= probability.sum()
        information.append([float(probability @ one**2) for one in found[1:]])
        columns += found
    return _Table(
        tuple(one.name for one in near),
        np.array([one.divergence for one in near]),
        np.array([(_line(one.points, symmetry) / own_line).real > _LINED for one in near], np.bool_),
        reach,
        len(middle),
        np.stack(columns, axis=1).astype(np.float32),
        np.maximum(information, 1e-9),
    )


def _line(points: NDArray[np.complex128], order: int) -> complex:
    """Return the line of a power of a constellation's symbols: the mean, weighted by their amplitudes."""
    return complex((np.abs(points) * np.exp(1j * order * np.angle(points))).mean())


class _Near(NamedTuple):
    """A rival as it is nearest to a class: turned, and with its own noise level."""

    name: str
    points: NDArray[np.complex128]
    level: float
    divergence: float


def _near(own: NDArray[np.complex128], level: int, names: Sequence[str], reach: float) -> list[_Near]:
    """Return the rivals that are near enough, the nearest first."""
    middle = _axis(reach, _COARSE * math.sqrt(level_scale(level)[1] / 2))
    density = _density(middle, own, level)
    probability = np.exp(density)
    probability /= probability.sum()
    # A class's line gives the phase but for turns by its symmetry, and a rival's line may have the other sign.
    symmetry = LinearClass.of("own", own).symmetry
    on_a_line = _is_on_a_line(own)
    found = []
    for name in names:
        points = _kinds()[name].astype(np.complex128)
        if _is_on_a_line(points) != on_a_line:
            continue
        best: _Near | None = None
        for turn in (0.0,) if on_a_line else (0.0, math.pi / symmetry):
            turned = points * np.exp(1j * turn)
            far = float(probability @ (density - _density(middle, turned, level)))
            if far > _MOST_FAR:
                continue
            at, far = _best_level(middle, turned, level, (probability, density), far)
            if best is None or far < best.divergence:
                best = _Near(name, turned, at, far)
        if best is not None and best.divergence < _FAR:
            found.append(best)
    return sorted(found, key=lambda one: one.divergence)[:_MOST]


def _best_level(
    middle: NDArray[np.float64],
    points: NDArray[np.complex128],
    level: float,
    own: tuple[NDArray[np.float64], NDArray[np.float64]],
    far: float,
) -> tuple[float, float]:
    """Return the noise level at which a rival is nearest to a class, dB, and how far it is then, nats.

    Args:
        middle: of cells, see `_axis`.
        points: of the rival.
        level: of the class.
        own: the class's probability of each cell, and log-density there.
        far: how far it is at the class's level.
    """
    probability, density = own
    best = level
    for step in (_STEP, -_STEP):
        for _ in range(_STEPS):
            other = float(probability @ (density - _density(middle, points, best + step)))
            if other >= far:
                break
            best, far = best + step, other
        if best != level:
            break
    return best, far


def _axis(reach: float, cell: float) -> NDArray[np.float64]:
    """Return the middles of a plane's cells in one direction; cells are in order of their first coordinate."""
    side = math.ceil(2 * reach / cell)
    return np.asarray((np.arange(side) + 0.5) * (2 * reach / side) - reach)


def _log_density(
    middle: NDArray[np.float64], points: NDArray[np.complex128], level: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return log-densities in cells, and their derivatives by level in dB and by phase in radians, each [cells]."""
    amplitude, noise = level_scale(level)
    first, second = (PointAxis.of(middle, parts, amplitude, noise) for parts in (points.real, points.imag))
    total, density = first.total(second)
    # By Fisher's identity: expectations, over the points given the symbol, of derivatives given the point.
    of_points = np.stack([points.real, points.imag, np.abs(points) ** 2])
    weighed = (of_points[:, :, None] * first.shares).swapaxes(1, 2) @ second.shares
    real, imag, power = weighed / total
    x, y = middle[:, None], middle
    along, across = x * real + y * imag, y * real - x * imag
    distance = x * x + y * y - 2 * amplitude * along + amplitude**2 * power
    by_noise = distance / noise**2 - 1 / noise
    by_amplitude = 2 * (along - amplitude * power) / noise
    a_db = math.log(10) / 10 * noise * (1 - noise)  # of the noise's share of the power, which falls
    by_level = a_db * (by_amplitude / (2 * amplitude) - by_noise)
    return density.ravel(), by_level.ravel(), (2 * amplitude / noise * across).ravel()


def _density(
    middle: NDArray[np.float64], points: NDArray[np.complex128], level: float
) -> NDArray[np.float64]:
    """Return log-densities in cells, [cells]."""
    amplitude, noise = level_scale(level)
    first, second = (PointAxis.of(middle, parts, amplitude, noise) for parts in (points.real, points.imag))
    return first.total(second)[1].ravel()


def _smallest_distance(points: NDArray[np.complex128]) -> float:
    apart = np.abs(points[:, None] - points)
    np.fill_diagonal(apart, np.inf)
    return float(apart.min())


def _is_on_a_line(points: NDArray[np.complex128]) -> bool:
    return bool(np.abs((points * np.exp(-1j * np.angle(points[np.abs(points).argmax()]))).imag).max() < 1e-3)
