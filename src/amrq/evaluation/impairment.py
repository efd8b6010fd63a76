# SPDX-License-Identifier: GPL-3.0-or-later
"""What a channel or a front end leaves of a good signal."""

from dataclasses import dataclass

__all__ = ["IMPAIRMENTS", "Impairment"]


@dataclass(frozen=True)
class Impairment:
    """One thing that is swept; see `ImpairedChunks.chunks` for what it does.

    Attributes:
        name: what it is.
        unit: of the values.
        values: where accuracy is measured, rising.
    """

    name: str
    unit: str
    values: tuple[float, ...]


IMPAIRMENTS = (
    Impairment("rotation", "degrees", tuple(7.5 * step for step in range(13))),
    Impairment("frequency offset", "cycles/symbol", tuple(round(5e-4 * step, 6) for step in range(9))),
    Impairment("timing error", "symbols", tuple(round(0.025 * step, 6) for step in range(9))),
    Impairment("level", "dB", (-60.0, -40.0, -20.0, 0.0, 20.0, 40.0, 60.0)),
    Impairment("phase noise", "rad", tuple(round(0.025 * step, 6) for step in range(9))),
)
"""A quarter turn is the whole circle for six of the nine; 4e-3 cycles/symbol is an eighth of a turn over 32 symbols."""
