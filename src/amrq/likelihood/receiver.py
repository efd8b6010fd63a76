# SPDX-License-Identifier: GPL-3.0-or-later
"""What a receiver knows when it tells modulations apart."""

import math
from dataclasses import dataclass
from typing import Literal, get_args

from amrq.errors import AmrqError

__all__ = ["Level", "Phase", "Receiver"]

Phase = Literal["known", "uniform"]
Level = Literal["known", "hidden"]

LOWEST_ES_N0_DB = -20.0
HIGHEST_ES_N0_DB = 35.0
"""Where the tables stay small: above, the likelihood's detail shrinks with the noise, and decisions are certain."""


@dataclass(frozen=True)
class Receiver:
    """What a receiver knows, and the law of what it does not.

    A chunk is r_k = s_k e^(j(theta + phi_k)) + n_k, k = 1..L: equiprobable independent symbols s_k of one class with
    unit mean power, circular Gaussian noise n_k of power sigma^2 = 10^(-Es/N0 / 10).

    Attributes:
        phase: `known` is theta = 0; with `uniform` one theta a chunk is drawn from the whole circle.
        es_n0_db: one number is Es/N0 known, dB; (low, high) is an Es/N0 a chunk, drawn uniformly in dB between them.
        level: `known` gives the chunk as above; `hidden` only r / rms(r), the chunk of unit RMS.
        phase_noise: standard deviation N_p of the phi_k, independent Gaussian, radians; always known.

    Raises:
        AmrqError: a value is out of its range.
    """

    phase: Phase = "known"
    es_n0_db: float | tuple[float, float] = (0.0, 20.0)
    level: Level = "known"
    phase_noise: float = 0.0

    def __post_init__(self) -> None:
        if self.phase not in get_args(Phase):
            raise AmrqError(f"the phase must be one of {', '.join(get_args(Phase))}, not {self.phase!r}.")
        if self.level not in get_args(Level):
            raise AmrqError(f"the level must be one of {', '.join(get_args(Level))}, not {self.level!r}.")
        if not 0 <= self.phase_noise <= 1:
            raise AmrqError(f"phase noise must lie between 0 and 1 radian, not {self.phase_noise}.")
        low, high = self.es_n0_range
        if not (LOWEST_ES_N0_DB <= low <= high <= HIGHEST_ES_N0_DB):  # also refuses NaN
            raise AmrqError(
                f"Es/N0 must be a number or a rising range between {LOWEST_ES_N0_DB:g} and {HIGHEST_ES_N0_DB:g} dB, "
                f"not {self.es_n0_db}."
            )

    @property
    def es_n0_range(self) -> tuple[float, float]:
        """Lowest and highest Es/N0, dB; the same number twice where it is known."""
        if isinstance(self.es_n0_db, tuple):
            return self.es_n0_db
        return (self.es_n0_db, self.es_n0_db)

    @property
    def description(self) -> str:
        """One line for tables and legends."""
        low, high = self.es_n0_range
        known = "Es/N0 known" if math.isclose(low, high) else f"Es/N0 {low:g} to {high:g} dB"
        return ", ".join(
            [
                "coherent" if self.phase == "known" else "any phase",
                known,
                "level known" if self.level == "known" else "unit-RMS chunk",
                *([f"phase noise {self.phase_noise:g} rad"] if self.phase_noise else []),
            ]
        )
