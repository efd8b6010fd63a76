# SPDX-License-Identifier: GPL-3.0-or-later
"""Linear modulations that are on the air and outside the nine classes: what a model must not call by another name."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from amrq.errors import AmrqError

__all__ = ["OTHER_MODULATIONS", "OtherModulation", "other_modulation"]


@dataclass(frozen=True, eq=False)
class OtherModulation:
    """A linear modulation by its points and by what distinguishes it from a plain constellation.

    Attributes:
        name: what it is called.
        points: complex64 [order], equiprobable, of unit mean power.
        turn: radians by which the constellation turns from each symbol to the next.
        stagger: symbols by which the quadrature part is sent later than the in-phase part.

    Example:
        >>> import numpy as np
        >>> other_modulation("64QAM").symbols(1000, np.random.default_rng(1)).shape
        (1000,)
    """

    name: str
    points: NDArray[np.complex64]
    turn: float = 0.0
    stagger: float = 0.0

    def symbols(self, count: int, rng: np.random.Generator) -> NDArray[np.complex64]:
        """Draw complex64 [count] symbols, turned as they are sent."""
        drawn = self.points[rng.integers(len(self.points), size=count)]
        if not self.turn:
            return drawn
        return np.asarray(drawn * np.exp(1j * self.turn * np.arange(count)), dtype=np.complex64)


def _levels(count: int) -> NDArray[np.float64]:
    return 2.0 * np.arange(count, dtype=np.float64) - (count - 1)


def _grid(columns: int, rows: int) -> NDArray[np.complex128]:
    return np.asarray((_levels(columns)[:, None] + 1j * _levels(rows)[None, :]).ravel())


def _cross_128() -> NDArray[np.complex128]:
    # The 12 x 12 grid without 2 x 2 points at each corner.
    grid = _grid(12, 12)
    return grid[~((np.abs(grid.real) > 8) & (np.abs(grid.imag) > 8))]


def _ring(count: int, radius: float = 1.0, first_phase: float = 0.0) -> NDArray[np.complex128]:
    return radius * np.exp(1j * (first_phase + 2 * np.pi * np.arange(count) / count))


def _rings(*rings: NDArray[np.complex128]) -> NDArray[np.complex128]:
    return np.concatenate(rings)


_QPSK = _ring(4, first_phase=np.pi / 4)
# Radii of DVB-S2 at code rate 3/4 (ETSI EN 302 307-1, tables 9 and 10).
_APSK_16 = _rings(_ring(4, 1, np.pi / 4), _ring(12, 2.85, np.pi / 12))
_APSK_32 = _rings(_ring(4, 1, np.pi / 4), _ring(12, 2.84, np.pi / 12), _ring(16, 5.27))

_TABLE: tuple[tuple[str, NDArray[np.complex128], float, float], ...] = (
    ("64QAM", _grid(8, 8), 0.0, 0.0),
    ("128QAM", _cross_128(), 0.0, 0.0),
    ("256QAM", _grid(16, 16), 0.0, 0.0),
    ("32QAM (8x4)", _grid(8, 4), 0.0, 0.0),
    ("8APSK (4+4)", _rings(_ring(4), _ring(4, 1 + np.sqrt(3), np.pi / 4)), 0.0, 0.0),
    ("16APSK (4+12)", _APSK_16, 0.0, 0.0),
    ("32APSK (4+12+16)", _APSK_32, 0.0, 0.0),
    ("32PSK", _ring(32), 0.0, 0.0),
    ("16ASK", _levels(16).astype(np.complex128), 0.0, 0.0),
    ("4ASK (unipolar)", np.arange(4).astype(np.complex128), 0.0, 0.0),
    ("pi/2-DBPSK", _ring(2), np.pi / 2, 0.0),
    ("pi/4-DQPSK", _QPSK, np.pi / 4, 0.0),
    ("OQPSK", _QPSK, 0.0, 0.5),
)


def _unit_power(points: NDArray[np.complex128]) -> NDArray[np.complex64]:
    scaled = (points / np.sqrt(np.mean(np.abs(points) ** 2))).astype(np.complex64)
    scaled.setflags(write=False)
    return scaled


OTHER_MODULATIONS: Mapping[str, OtherModulation] = MappingProxyType(
    {
        name: OtherModulation(name, _unit_power(points), turn, stagger)
        for name, points, turn, stagger in _TABLE
    }
)
"""Modulations outside the nine classes, by name."""


def other_modulation(name: str) -> OtherModulation:
    """Return the modulation called `name`.

    Raises:
        AmrqError: there is none of that name; the message lists those there are.
    """
    found = OTHER_MODULATIONS.get(name)
    if found is None:
        raise AmrqError(
            f"there is no other modulation called {name!r}: choose from {', '.join(OTHER_MODULATIONS)}."
        )
    return found
