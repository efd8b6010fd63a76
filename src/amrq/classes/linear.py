# SPDX-License-Identifier: GPL-3.0-or-later
"""Linear classes: their constellations, the table of named ones, and root-raised-cosine pulses."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from amrq.classes.signal_class import LONGEST_NAME, SignalClass
from amrq.errors import AmrqError
from amrq.text import name_fault, printable

__all__ = ["LINEAR_CLASSES", "LinearClass", "linear_class", "root_raised_cosine"]

_MOST_POINTS = 1024
_REACH = 12
"""Symbols to either side whose pulses still count."""
_CLOSE = 1e-4
"""Points of unit mean power that are nearer than this are one."""


@dataclass(frozen=True, eq=False)
class LinearClass(SignalClass):
    """A linear digital modulation, described by its constellation.

    `LinearClass.of` makes a class from any points. Two classes are equal if all their attributes are equal.

    Attributes:
        name: used in models, tags and decisions.
        points: complex64 [order], equally probable; of unit mean power unless scaled to another level.
        symmetry: 2*pi/symmetry is the smallest turn that leaves the constellation unchanged.
        turn: radians by which the constellation turns from each symbol to the next.
        stagger: delay of the quadrature part after the in-phase part, symbols.

    Example:
        >>> LinearClass.of("corners", [1 + 1j, -1 + 1j, -1 - 1j, 1 - 1j]).symmetry
        4
    """

    name: str
    points: NDArray[np.complex64]
    symmetry: int
    turn: float = 0.0
    stagger: float = 0.0

    @classmethod
    def of(
        cls,
        name: str,
        points: ArrayLike,
        symmetry: int | None = None,
        turn: float = 0.0,
        stagger: float = 0.0,
    ) -> "LinearClass":
        """Return the class with given points, scaled to unit mean power.

        Args:
            name: printable, at most 64 characters.
            points: complex [order], 2 to 1,024 different points, at any scale.
            symmetry: see the attribute; computed if it is not given.
            turn: see the attribute.
            stagger: see the attribute.

        Raises:
            AmrqError: the points are not a constellation, or do not have the given symmetry.
        """
        fault = name_fault(name, LONGEST_NAME)
        if fault:
            raise AmrqError(f"the name of a class {fault}.")
        shown = printable(name, LONGEST_NAME)
        given = np.asarray(points, dtype=np.complex128)
        if given.ndim != 1 or not 2 <= len(given) <= _MOST_POINTS:
            found_points = f"{len(given):,}" if given.ndim == 1 else f"an array {given.shape}"
            raise AmrqError(f"class {shown} must have 2 to {_MOST_POINTS:,} points, not {found_points}.")
        if not np.isfinite(given).all():
            raise AmrqError(f"class {shown} has a point that is not finite.")
        with np.errstate(over="ignore"):  # refused below
            power = float(np.mean(np.abs(given) ** 2))
        if not 0 < power < math.inf:
            raise AmrqError(
                f"the points of class {shown} have a mean power of {power:g}, which cannot be sent."
            )
        # Points read from a file stay the same to the last bit.
        scaled = given if abs(power - 1) < 1e-6 else given / np.sqrt(power)
        if _nearest(scaled, scaled, other=True).min() < _CLOSE:
            raise AmrqError(f"class {shown} has the same point twice.")
        found = _symmetry_of(scaled)
        if symmetry is not None and symmetry != found:
            raise AmrqError(
                f"class {shown} has a symmetry of {found}, not of {symmetry}: leave symmetry out."
            )
        kept = scaled.astype(np.complex64)
        kept.setflags(write=False)
        return cls(name, kept, found, turn, stagger)

    @property
    def family(self) -> str:
        """The family: `oqpsk` if staggered, `pi4dqpsk` for four points turned by pi/4 a symbol, otherwise `linear`."""
        if self.stagger:
            return "oqpsk"
        return "pi4dqpsk" if self.order == 4 and math.isclose(self.turn, math.pi / 4) else "linear"

    @property
    def plain(self) -> bool:
        """Whether symbols are neither turned nor staggered."""
        return not self.turn and not self.stagger

    @property
    def order(self) -> int:
        """Number of points."""
        return len(self.points)

    @property
    def bits_per_symbol(self) -> int:
        """Base-2 logarithm of the order, rounded down."""
        return int(self.order).bit_length() - 1

    @cached_property
    def mirrored(self) -> bool:
        """Whether the constellation is symmetric about the real axis."""
        points = self.points.astype(np.complex128)
        return bool(_nearest(points.conj(), points).max() < _CLOSE * max(1.0, np.abs(points).max()))

    def symbols(self, count: int, rng: np.random.Generator) -> NDArray[np.complex64]:
        """Draw complex64 [count] symbols, turned from symbol to symbol if the class is."""
        drawn = self.points[rng.integers(len(self.points), size=count)]
        if not self.turn:
            return drawn
        return np.asarray(drawn * np.exp(1j * self.turn * np.arange(count)), dtype=np.complex64)

    def render(
        self, rng: np.random.Generator, count: int, samples: int, rate: float = 1.0, rolloff: float = 0.35
    ) -> NDArray[np.complex64]:
        """Return pieces of the signal with their carrier at 0 Hz and upright.

        At one sample a symbol these are the symbols themselves (a staggered class needs a higher rate). At any higher
        rate, which need not be a whole number, they are root-raised-cosine pulses; each piece has a random sampling
        time.

        Args:
            rng: source of randomness.
            count: pieces.
            samples: of each.
            rate: samples a symbol.
            rolloff: excess bandwidth of the pulses, 0 to 1.

        Returns:
            complex64 [count, samples].

        Raises:
            AmrqError: a number is out of its range.
        """
        if not (math.isfinite(rate) and rate >= 1) or (rate == 1 and self.stagger):
            least = "more than 1" if self.stagger else "at least 1"
            raise AmrqError(f"{self.name} needs {least} sample a symbol, not {rate}.")
        if not 0 <= rolloff <= 1:
            raise AmrqError(f"the roll-off must lie between 0 and 1, not {rolloff}.")
        bare = rate == 1
        length = samples if bare else math.ceil(samples / rate) + 2 * _REACH + 2
        symbols = self.points[rng.integers(self.order, size=(count, length))]
        if self.turn:
            symbols = (symbols * np.exp(1j * self.turn * np.arange(length))).astype(np.complex64)
        if bare:
            return symbols
        time = _REACH + np.arange(samples) / rate + rng.random((count, 1))
        if not self.stagger:
            return _pulses(symbols, time, rolloff).astype(np.complex64)
        late = _pulses(symbols.imag, time - self.stagger, rolloff)
        return (_pulses(symbols.real, time, rolloff) + 1j * late).astype(np.complex64)

    def scaled_to_peak(self) -> "LinearClass":
        """Return the same constellation scaled to a largest level of 1 in I or Q, as in Rothe (2024).

        Classes then differ in mean power, from 0.43 (8ASK) to 2 (QPSK): a known level reveals some of them.
        """
        points = (self.points / np.abs(self.points.view(np.float32)).max()).astype(np.complex64)
        points.setflags(write=False)
        return replace(self, points=points)

    def _key(self) -> tuple[object, ...]:
        points = self.points + np.complex64(0)  # -0 is 0
        return (self.name, points.tobytes(), self.symmetry, self.turn, self.stagger)

    def __eq__(self, other: object) -> bool:
        return self._key() == other._key() if isinstance(other, LinearClass) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._key())


def root_raised_cosine(t: NDArray[np.float64], rolloff: float) -> NDArray[np.float64]:
    """Root-raised-cosine pulse of unit energy at times `t` in symbols (Proakis and Salehi 2008, problem 9.15).

    >>> import numpy as np
    >>> root_raised_cosine(np.array([0.0, 1.0]), 0.35).round(3).tolist()
    [1.096, -0.085]
    """
    if rolloff == 0:
        return np.sinc(t)
    four_bt = 4 * rolloff * t
    with np.errstate(divide="ignore", invalid="ignore"):
        pulse = (np.sin(np.pi * t * (1 - rolloff)) + four_bt * np.cos(np.pi * t * (1 + rolloff))) / (
            np.pi * t * (1 - four_bt**2)
        )
    # The two removable singularities, t = 0 and |t| = 1/(4 rolloff).
    pulse[np.abs(t) < 1e-9] = 1 + rolloff * (4 / np.pi - 1)
    edge = np.abs(np.abs(four_bt) - 1) < 1e-9
    angle = np.pi / (4 * rolloff)
    pulse[edge] = (rolloff / np.sqrt(2)) * ((1 + 2 / np.pi) * np.sin(angle) + (1 - 2 / np.pi) * np.cos(angle))
    return pulse


def _pulses(symbols: NDArray[Any], time: NDArray[np.float64], rolloff: float) -> NDArray[Any]:
    """Sum the pulses of symbols [N, S] at times [N, L] in symbols, all of them well inside the symbols."""
    near = np.floor(time).astype(np.int64)
    total = np.zeros(time.shape, dtype=np.result_type(symbols, np.float64))
    for step in range(1 - _REACH, _REACH + 1):
        number = near + step
        total += np.take_along_axis(symbols, number, axis=1) * root_raised_cosine(time - number, rolloff)
    return total


def _nearest(
    points: NDArray[np.complex128], among: NDArray[np.complex128], other: bool = False
) -> NDArray[np.float64]:
    """Return each point's distance to the nearest point of `among`; with `other`, the point itself is left out."""
    distance = np.abs(points[:, None] - among[None, :])
    if other:
        np.fill_diagonal(distance, np.inf)
    return np.asarray(distance.min(axis=1))


def _symmetry_of(points: NDArray[np.complex128]) -> int:
    """Return the largest s for which a turn of 2 pi / s changes nothing: it divides the points of every ring."""
    radii = np.sort(np.abs(points))
    radii = radii[radii > _CLOSE]
    rings = np.split(radii, np.flatnonzero(np.diff(radii) > _CLOSE) + 1)
    most = math.gcd(*(len(ring) for ring in rings))
    return next(
        s
        for s in range(most, 0, -1)
        if most % s == 0 and _nearest(points * np.exp(2j * np.pi / s), points).max() < _CLOSE
    )


def _ask(order: int) -> NDArray[np.complex128]:
    # Bipolar, evenly spaced levels (M-PAM, Proakis and Salehi 2008, eq. 3.2-1). The thesis does not say
    # whether its ASK is bipolar; the likelihood bound it is compared with agrees with this form alone.
    return (2.0 * np.arange(order) - (order - 1)).astype(np.complex128)


def _psk(order: int, first_phase: float = 0.0, radius: float = 1.0) -> NDArray[np.complex128]:
    return np.asarray(radius * np.exp(1j * (first_phase + 2 * np.pi * np.arange(order) / order)))


def _rings(*rings: NDArray[np.complex128]) -> NDArray[np.complex128]:
    return np.concatenate(rings)


def _grid(columns: int, rows: int) -> NDArray[np.complex128]:
    return (_ask(columns)[:, None] + 1j * _ask(rows)[None, :]).ravel()


def _cross(side: int, corner: int) -> NDArray[np.complex128]:
    # A square grid without `corner` by `corner` points at each of its corners (Proakis and Salehi 2008, fig. 3.2-6).
    grid, outside = _grid(side, side), side - 2 * corner
    return grid[~((np.abs(grid.real) > outside) & (np.abs(grid.imag) > outside))]


# Radii of DVB-S2 at code rate 3/4 (ETSI EN 302 307-1, tables 9 and 10).
_APSK_16 = _rings(_psk(4, np.pi / 4), _psk(12, np.pi / 12, 2.85))
_APSK_32 = _rings(_psk(4, np.pi / 4), _psk(12, np.pi / 12, 2.84), _psk(16, 0.0, 5.27))

# Name, points; then, if given: symmetry, turn, stagger.
_TABLE: tuple[tuple[Any, ...], ...] = (
    ("4ASK", _ask(4), 2),
    ("8ASK", _ask(8), 2),
    ("BPSK", _psk(2), 2),
    ("QPSK", _psk(4, np.pi / 4), 4),
    ("8PSK", _psk(8), 8),
    ("16PSK", _psk(16), 16),
    ("8QAM", _grid(4, 2), 2),
    ("16QAM", _grid(4, 4), 4),
    ("32QAM", _cross(6, 1), 4),
    ("64QAM", _grid(8, 8), 4),
    ("128QAM", _cross(12, 2), 4),
    ("256QAM", _grid(16, 16), 4),
    ("32QAM (8x4)", _grid(8, 4), 2),
    ("8APSK (4+4)", _rings(_psk(4), _psk(4, np.pi / 4, 1 + np.sqrt(3))), 4),
    ("16APSK (4+12)", _APSK_16, 4),
    ("32APSK (4+12+16)", _APSK_32, 4),
    ("32PSK", _psk(32), 32),
    ("16ASK", _ask(16), 2),
    ("4ASK (unipolar)", np.arange(4).astype(np.complex128), 1),
    ("pi/2-DBPSK", _psk(2), 2, np.pi / 2),
    ("pi/4-DQPSK", _psk(4, np.pi / 4), 4, np.pi / 4),
    ("OQPSK", _psk(4, np.pi / 4), 4, 0.0, 0.5),
)

LINEAR_CLASSES: Mapping[str, LinearClass] = MappingProxyType({row[0]: LinearClass.of(*row) for row in _TABLE})
"""Every linear class that has a name here. Names are looked up in it; what is computed is computed with a set."""


def linear_class(name: str) -> LinearClass:
    """Return the linear class called `name`.

    Raises:
        AmrqError: there is no class of that name; the message lists the names.

    >>> qpsk = linear_class("QPSK")
    >>> len(qpsk.points), qpsk.symmetry, round(float(abs(qpsk.points[0])), 3)
    (4, 4, 1.0)
    """
    found = LINEAR_CLASSES.get(name)
    if found is None:
        raise AmrqError(
            f"there is no linear class called {printable(name, LONGEST_NAME)!r}: choose from "
            f"{', '.join(LINEAR_CLASSES)}; case matters."
        )
    return found
