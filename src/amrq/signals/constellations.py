# SPDX-License-Identifier: GPL-3.0-or-later
"""Linear constellations outside the thesis's nine: kinds to train on, and others that are held back for evaluation."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amrq.classes import THESIS_9, ClassSet, LinearClass, LinearSet, linear_class
from amrq.errors import AmrqError

__all__ = ["FOREIGN_KINDS", "HELD_OUT_CONSTELLATIONS", "ForeignKind", "ForeignPool", "alike"]

_Points = NDArray[np.complex128]

_DRAWN = 600
"""Constellations of a kind that are drawn at random."""
_SEED = 0xF0E
_ALIKE = 0.05
"""Two constellations of unit mean power are alike if no point of either is farther than this from the other's."""
_TURNS = 720


def _levels(count: int) -> NDArray[np.float64]:
    return np.arange(count, dtype=np.float64) - (count - 1) / 2


def _grid(columns: int, rows: int, corner: int = 0) -> _Points:
    """Return a grid of spacing 1 without `corner` by `corner` points at each of its corners."""
    i, q = np.meshgrid(_levels(columns), _levels(rows), indexing="ij")
    cut = (np.abs(i) > (columns - 1) / 2 - corner) & (np.abs(q) > (rows - 1) / 2 - corner)
    return np.asarray((i + 1j * q)[~cut])


def _rings(*rings: tuple[int, float, float]) -> _Points:
    """Return rings, each of a number of points, a radius and the first point's angle in radians."""
    return np.concatenate(
        [
            radius * np.exp(1j * (angle + 2 * np.pi * np.arange(count) / count))
            for count, radius, angle in rings
        ]
    )


def _unit(points: _Points) -> _Points:
    return np.asarray(points / np.sqrt(np.mean(np.abs(points) ** 2)))


def _hexagon(count: int) -> _Points:
    """Return the points of a triangular lattice, without a point in its middle, that need the least power."""
    i, q = np.meshgrid(np.arange(-8, 9), np.arange(-8, 9))
    lattice = (i + q / 2 + 1j * q * np.sqrt(0.75)).ravel() - (0.5 + 1j * np.sqrt(1 / 12))
    order = np.lexsort((np.angle(lattice).round(6), np.abs(lattice).round(6)))
    chosen = lattice[order[:count]]
    return np.asarray(chosen - chosen.mean())


_V29_8 = np.array([1 + 1j, -1 + 1j, -1 - 1j, 1 - 1j, 3, 3j, -3, -3j])
"""ITU-T V.29 at 7,200 bit/s."""
_V29_16 = np.concatenate([_V29_8, 3 * _V29_8[:4], 5 / 3 * _V29_8[4:]])
"""ITU-T V.29 at 9,600 bit/s."""

HELD_OUT_CONSTELLATIONS: LinearSet = ClassSet(
    "held out",
    (
        linear_class("128QAM"),
        linear_class("32QAM (8x4)"),
        linear_class("16APSK (4+12)"),
        linear_class("32APSK (4+12+16)"),
        LinearClass.of("V.29 (8 points)", _V29_8),
        LinearClass.of("V.29 (16 points)", _V29_16),
        LinearClass.of("star 16 (8+8)", _rings((8, 1.0, 0.0), (8, 2.0, 0.0))),
        LinearClass.of("hexagonal 16", _hexagon(16)),
        LinearClass.of("hexagonal 32", _hexagon(32)),
        LinearClass.of("hexagonal 64", _hexagon(64)),
        LinearClass.of("24PSK", _rings((24, 1.0, 0.0))),
        LinearClass.of("12ASK", _levels(12).astype(np.complex128)),
    ),
)
"""Constellations that no model is trained on, so that there is a figure for what it has never met."""

_STANDARD_RINGS = ((4, 12), (4, 12, 16), (8, 8), (4, 4, 4, 4))
"""Numbers of points on the rings of what is held out: none with these is drawn."""


def _drawn_rings(rng: np.random.Generator, fewest: int, most: int) -> _Points:
    """Draw rings that are clearly apart; half of them with the same number of points on each (stars)."""
    while True:
        count = int(rng.integers(fewest, most + 1))
        if rng.random() < 0.4:
            sizes = np.full(count, rng.integers(4, 9))
        else:
            sizes = np.sort(rng.integers(3, 13, count))
            sizes[1:] += rng.integers(0, 9, count - 1)
        if rng.random() < 0.15:
            sizes[0] = 1
        if tuple(sizes.tolist()) in _STANDARD_RINGS or not 5 <= sizes.sum() <= 64:
            continue
        steps = rng.uniform(0.4, 1.6, count)
        steps[0] = 0.0 if sizes[0] == 1 else rng.uniform(0.5, 1.5)
        angles = np.where(
            rng.random(count) < 0.5, rng.integers(0, 2, count) * np.pi / sizes, rng.random(count) * 7
        )
        return _rings(*zip(sizes.tolist(), np.cumsum(steps).tolist(), angles.tolist(), strict=True))


def _drawn_points(rng: np.random.Generator) -> _Points:
    """Draw 5 to 64 points that keep a distance from each other, half of the times those of a lattice."""
    count = int(np.exp(rng.uniform(np.log(5), np.log(65))))
    square = rng.random() < 0.5
    if rng.random() < 0.5:
        return _drawn_lattice(rng, count, square)
    least = rng.uniform(0.5, 0.8) * 2 / np.sqrt(count)
    found: list[complex] = []
    for _ in range(40 * count):
        point = complex(*rng.uniform(-1, 1, 2))
        if (square or abs(point) <= 1) and all(abs(point - other) >= least for other in found):
            found.append(point)
            if len(found) == count:
                break
    points = np.array(found)
    return points - points.mean() if rng.random() < 0.7 else points


def _drawn_lattice(rng: np.random.Generator, count: int, square: bool) -> _Points:
    """Draw a lattice of any angle and place, and take the points next to its middle, in a square or a disc."""
    second = rng.uniform(0.8, 1.5) * np.exp(1j * rng.uniform(np.pi / 4, np.pi / 2))
    i, q = np.meshgrid(np.arange(-16, 17), np.arange(-16, 17))
    lattice = (i + second * q).ravel() + rng.choice([0.0, 0.5, 0.5 + second / 2, (1 + second) / 3])
    lattice = lattice * np.exp(2j * np.pi * rng.random())
    reach = np.maximum(np.abs(lattice.real), np.abs(lattice.imag)) if square else np.abs(lattice)
    points = lattice[np.argsort(reach, kind="stable")[:count]]
    return np.asarray(points - points.mean())


@dataclass(frozen=True)
class ForeignKind:
    """A kind of linear constellations.

    Attributes:
        name: of the kind.
        nearest: the one of the thesis's nine that it is most easily taken for.
        fixed: its constellations, where they can be listed.
        drawn: draws one, where they cannot.
    """

    name: str
    nearest: str
    fixed: Sequence[_Points] = ()
    drawn: Callable[[np.random.Generator], _Points] | None = None


def _grids(*sizes: tuple[int, ...]) -> list[_Points]:
    return [_grid(*size) for size in sizes]


def _psk(*counts: int) -> list[_Points]:
    return [_rings((count, 1.0, 0.0)) for count in counts]


def _ask(*counts: int, first: int | None = None) -> list[_Points]:
    return [
        (_levels(count) if first is None else np.arange(first, first + count)).astype(complex)
        for count in counts
    ]


FOREIGN_KINDS: Mapping[str, ForeignKind] = MappingProxyType(
    {
        kind.name: kind
        for kind in (
            ForeignKind(
                "square grid", "16QAM", _grids((8, 8), (8, 8), (8, 8), (16, 16), (10, 10), (12, 12), (7, 7))
            ),
            ForeignKind("cross grid", "32QAM", _grids((8, 8, 1), (12, 12, 3), (10, 10, 2), (16, 16, 3))),
            ForeignKind(
                "odd grid", "16QAM", _grids((3, 3), (4, 3), (5, 4), (5, 5), (6, 4), (6, 5), (6, 6), (3, 2))
            ),
            ForeignKind(
                "flat grid",
                "8QAM",
                [
                    *_grids((6, 2), (8, 2), (16, 2), (7, 3), (10, 3), (10, 4), (12, 4), (16, 4)),
                    *2 * _grids((6, 3), (10, 5), (12, 6), (16, 8)),
                ],
            ),
            ForeignKind("two rings", "16QAM", drawn=lambda rng: _drawn_rings(rng, 2, 2)),
            ForeignKind("more rings", "32QAM", drawn=lambda rng: _drawn_rings(rng, 3, 4)),
            ForeignKind("dense PSK", "16PSK", _psk(32, 32, 64, 20)),
            ForeignKind("odd PSK", "8PSK", _psk(3, 5, 6, 7, 9, 10, 12)),
            ForeignKind("dense ASK", "8ASK", _ask(16, 16, 32, 10)),
            ForeignKind("odd ASK", "4ASK", [*_ask(3, 5, 6), *_ask(3, 4, 8, first=0), *_ask(4, first=1)]),
            ForeignKind("random points", "32QAM", drawn=_drawn_points),
        )
    }
)
"""Kinds of linear constellations that models are trained to call `unknown`."""


def alike(one: NDArray[np.complexfloating[Any, Any]], other: NDArray[np.complexfloating[Any, Any]]) -> bool:
    """Return whether two constellations of unit mean power are nearly the same, one of them turned or mirrored.

    >>> qpsk = THESIS_9["QPSK"].points
    >>> alike(qpsk, 1j**0.5 * qpsk), alike(qpsk, THESIS_9["8PSK"].points)
    (True, False)
    """
    if len(one) != len(other):
        return False
    radii = np.sort(np.abs(one)) - np.sort(np.abs(other))
    if np.abs(radii).max() > 2 * _ALIKE:
        return False
    turns = np.exp(2j * np.pi * np.arange(_TURNS) / _TURNS)
    for mirrored in (one, one.conj()):
        distance = np.abs(turns[:, None, None] * mirrored[None, :, None] - other[None, None, :])
        if np.maximum(distance.min(axis=1).max(axis=1), distance.min(axis=2).max(axis=1)).min() <= _ALIKE:
            return True
    return False


@cache
def _constellations(kind: str) -> tuple[_Points, ...]:
    """Return the constellations of a kind, of unit mean power."""
    found = FOREIGN_KINDS[kind]
    if found.drawn is None:
        return tuple(_unit(points) for points in found.fixed)
    rng = np.random.default_rng([_SEED, *kind.encode()])
    banned = [m.points for m in (*THESIS_9.members, *HELD_OUT_CONSTELLATIONS.members)]
    chosen: list[_Points] = []
    while len(chosen) < _DRAWN:
        points = _unit(found.drawn(rng))
        if not any(alike(points, other) for other in banned):
            chosen.append(points)
    return tuple(chosen)


class ForeignPool:
    """The constellations of a kind, ready to draw symbols of.

    Args:
        kind: a key of `FOREIGN_KINDS`.
        known: the class set; what is in it is left out.

    Raises:
        AmrqError: the class set has all constellations of the kind.

    >>> pool = ForeignPool("dense PSK")
    >>> pool.symbols(3, 32, np.random.default_rng(1)).shape
    (3, 32)
    """

    def __init__(self, kind: str, known: LinearSet = THESIS_9) -> None:
        own = [m.points for m in known.members if m.name not in THESIS_9]
        self.constellations = tuple(
            points for points in _constellations(kind) if not any(alike(points, other) for other in own)
        )
        """complex128 [order] each, of unit mean power."""
        if not self.constellations:
            raise AmrqError(f"all constellations of the kind {kind!r} are in the class set.")
        self._orders = np.array([len(points) for points in self.constellations])
        self._points = np.zeros((len(self._orders), self._orders.max()), dtype=np.complex64)
        for row, points in zip(self._points, self.constellations, strict=True):
            row[: len(points)] = points

    def symbols(self, count: int, length: int, rng: np.random.Generator) -> NDArray[np.complex64]:
        """Draw complex64 [count, length] symbols, each row of a constellation of its own."""
        which = rng.integers(len(self._orders), size=(count, 1))
        draw = rng.random((count, length), dtype=np.float32)
        return np.asarray(self._points[which, (draw * self._orders[which]).astype(np.int64)])
