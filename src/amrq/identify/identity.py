# SPDX-License-Identifier: GPL-3.0-or-later
"""What an emission was found to be, and what is quickly seen of it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from amrq.identify.steady_line import SteadyLine
from amrq.measure import EmissionMeasures
from amrq.model import UNKNOWN
from amrq.protocols import Measure

__all__ = ["ASIDE", "NO_RATE", "SHORT", "SILENT", "WEAK", "EmissionIdentity", "Glance"]

_NOISE = "noise"
NO_RATE, WEAK, SHORT = "no clear symbol rate", "too weak for a look", "too short"
SILENT, ASIDE = "all of its samples are 0", "nothing within its edges, but beside them"
_NOTHING_CLEAR = frozenset({"", NO_RATE, WEAK, SHORT, SILENT, ASIDE})
"""Reasons that say nothing against a name."""
_SAME_DB, _SAME_PLACE, _SAME_WIDTH, _SAME_ENVELOPE = 6.0, 0.2, 0.12, 0.3
"""Of two glances at one emission: the most that level, place (in bandwidths), width and envelope may differ."""


@dataclass(frozen=True)
class EmissionIdentity:
    """What an emission is.

    Attributes:
        label: the most specific name that the evidence carries, for example `QPSK`, `GMSK`, `NBFM voice`; `unknown`
            where the family is not known.
        family: of `amrq.protocols.FAMILIES`: `linear`, `fsk2`, `fm_narrow` ...; `unknown` where it fits none.
        reason: in a few words, why the label is no better; `named` where there is nothing to add.
        confidence: probability that the family is right, 0 to 1; 0 where nothing is claimed. That of the label, where
            others look alike.
        measures: what was measured of it; None where there were too few samples.
        probabilities: of each of the model's answers; empty where no model was asked.
        symbols: received symbols of unit mean power, complex64 [n], n at most 1,024; None where it is not linear.
        symbol_rate: symbols a second; None where it is not clear.
        families: probability of each family, `unknown` among them; empty where they were not compared.
        details: what was measured of its family, by name: those of `amrq.protocols.PARAMETERS` in their units
            (`symbol_rate`, `deviation`, `spacing` ...), and others of the family (`depth`, `levels` ...).
        most: confidence that what proves the family allows, 0 to 1: further looks at the same emission give no more.
        alike: linear modulations that no model here names and that the symbols do not tell from the label; often none.
        label_most: confidence that these leave the label, 0 to 1.
        steady: how steady the line of a carrier is; of no time where there is none in a narrow box.
    """

    label: str = UNKNOWN
    family: str = UNKNOWN
    reason: str = ""
    confidence: float = 0.0
    measures: EmissionMeasures | None = None
    probabilities: Mapping[str, float] = field(default_factory=dict)
    symbols: NDArray[np.complex64] | None = field(default=None, compare=False)
    symbol_rate: float | None = None
    families: Mapping[str, float] = field(default_factory=dict)
    details: Mapping[str, Measure] = field(default_factory=dict)
    most: float = 1.0
    alike: tuple[str, ...] = ()
    label_most: float = 1.0
    steady: SteadyLine = field(default_factory=SteadyLine)

    @property
    def says_little(self) -> bool:
        """Whether another look may well say otherwise: nothing was clear, as in the pauses of what is keyed."""
        return self.label == _NOISE or (self.label == UNKNOWN and self.reason in _NOTHING_CLEAR)


class Glance(NamedTuple):
    """What is quickly seen of an emission, to tell whether it is still the same: a hundredth of an identification.

    Attributes:
        level_db: mean power, dB.
        place: middle of the spectrum, in bandwidths.
        width: of the spectrum, RMS, in bandwidths.
        envelope: mean fourth power of the magnitude over the squared mean power.
    """

    level_db: float
    place: float
    width: float
    envelope: float

    @classmethod
    def at(cls, iq: NDArray[np.complex64], sample_rate: float, bandwidth: float) -> "Glance":
        """Return what is seen of samples, complex64 [n].

        >>> tone = np.exp(0.3j * np.arange(1000)).astype(np.complex64)
        >>> [round(value, 2) + 0.0 for value in Glance.at(tone, 10e3, 2e3)]
        [0.0, 0.24, 0.0, 1.0]
        """
        power = iq.real.astype(np.float64) ** 2 + iq.imag.astype(np.float64) ** 2
        mean = float(power.mean()) if len(power) else 0.0
        if len(iq) < 2 or not mean > 0:
            return cls(-300.0, 0.0, 0.0, 0.0)
        # The correlation with the next sample turns by the middle of the spectrum, and falls with its width.
        turn = complex(np.vdot(iq[:-1], iq[1:])) / (mean * (len(iq) - 1))
        scale = sample_rate / (2 * math.pi * bandwidth)
        width = math.sqrt(max(0.0, 2 * (1 - abs(turn))))
        spread = float(np.mean(power**2)) / mean**2
        return cls(10 * math.log10(mean), math.atan2(turn.imag, turn.real) * scale, width * scale, spread)

    def differs(self, other: "Glance") -> bool:
        """Return whether the two are hardly of the same emission."""
        return (
            abs(self.level_db - other.level_db) > _SAME_DB
            or abs(self.place - other.place) > _SAME_PLACE
            or abs(self.width - other.width) > _SAME_WIDTH * max(self.width, other.width)
            or abs(self.envelope - other.envelope) > _SAME_ENVELOPE
        )
