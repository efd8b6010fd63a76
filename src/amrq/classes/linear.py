# SPDX-License-Identifier: GPL-3.0-or-later
"""The classes this project recognises: one registry that everything else reads."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from amrq.errors import AmrqError

__all__ = ["MODULATIONS", "Modulation", "modulation"]


@dataclass(frozen=True, eq=False)
class Modulation:
    """A linear digital modulation, described by its constellation.

    Attributes:
        name: the class name, as models, tags and decisions spell it.
        points: complex64 [order], equiprobable, mean 0; those of the registry have mean power 1.
        symmetry: the constellation is unchanged by a turn of 2*pi/symmetry and no smaller one.
    """

    name: str
    points: NDArray[np.complex64]
    symmetry: int

    @property
    def order(self) -> int:
        """Number of points."""
        return len(self.points)

    @property
    def bits_per_symbol(self) -> int:
        """Base-2 logarithm of the order."""
        return int(self.order).bit_length() - 1

    def scaled_to_peak(self) -> "Modulation":
        """Return the same constellation with 1 as its largest level in I or Q, as Rothe (2024) scales them.

        Classes then differ in mean power, from 0.43 (8ASK) to 2 (QPSK), so that a known level gives some of them away.
        """
        points = (self.points / np.abs(self.points.view(np.float32)).max()).astype(np.complex64)
        points.setflags(write=False)
        return replace(self, points=points)


def _unit_power(points: NDArray[np.complex128]) -> NDArray[np.complex64]:
    scaled = (points / np.sqrt(np.mean(np.abs(points) ** 2))).astype(np.complex64)
    scaled.setflags(write=False)
    return scaled


def _ask(order: int) -> NDArray[np.complex128]:
    # Bipolar, evenly spaced levels (M-PAM, Proakis and Salehi 2008, eq. 3.2-1). The thesis does not say
    # whether its ASK is bipolar; the likelihood bound it is compared with agrees with this form alone.
    return (2.0 * np.arange(order) - (order - 1)).astype(np.complex128)


def _psk(order: int, first_phase: float = 0.0) -> NDArray[np.complex128]:
    return np.exp(1j * (first_phase + 2 * np.pi * np.arange(order) / order))


def _grid(columns: int, rows: int) -> NDArray[np.complex128]:
    return (_ask(columns)[:, None] + 1j * _ask(rows)[None, :]).ravel()


def _cross_32() -> NDArray[np.complex128]:
    # The 6 x 6 grid without its four corners (Proakis and Salehi 2008, fig. 3.2-6).
    grid = _grid(6, 6)
    return grid[~((np.abs(grid.real) == 5) & (np.abs(grid.imag) == 5))]


_TABLE: tuple[tuple[str, NDArray[np.complex128], int], ...] = (
    ("4ASK", _ask(4), 2),
    ("8ASK", _ask(8), 2),
    ("BPSK", _psk(2), 2),
    ("QPSK", _psk(4, np.pi / 4), 4),
    ("8PSK", _psk(8), 8),
    ("16PSK", _psk(16), 16),
    ("8QAM", _grid(4, 2), 2),
    ("16QAM", _grid(4, 4), 4),
    ("32QAM", _cross_32(), 4),
)

MODULATIONS: Mapping[str, Modulation] = MappingProxyType(
    {name: Modulation(name, _unit_power(points), symmetry) for name, points, symmetry in _TABLE}
)
"""The nine classes by name, in the order in which models and tables list them."""


def modulation(name: str) -> Modulation:
    """Return the modulation called `name`.

    Raises:
        AmrqError: there is none of that name; the message lists those there are.
    """
    try:
        return MODULATIONS[name]
    except KeyError:
        known = ", ".join(MODULATIONS)
        raise AmrqError(
            f"there is no modulation called {name!r}: choose from {known} (in capitals)."
        ) from None
