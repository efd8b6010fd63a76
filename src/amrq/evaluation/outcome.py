# SPDX-License-Identifier: GPL-3.0-or-later
"""When an answer counts as right: one definition for the demo, the benchmarks and the documentation."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from amrq.decision import NO_SIGNAL, Decision
from amrq.model import UNKNOWN
from amrq.modulations import MODULATIONS

__all__ = ["NO_ANSWER", "NO_SYMBOL_RATE", "UNSURE", "Outcome", "Tally", "answer_of", "outcome"]

UNSURE = "unsure"
NO_SYMBOL_RATE = "no symbol rate"
NO_ANSWER = "no answer"

Outcome = Literal["right", "misnamed", "missed", "undecided"]

_UNDECIDED = (UNSURE, NO_SYMBOL_RATE, NO_ANSWER)


def answer_of(decision: Decision) -> str:
    """Return a decision as one of: a modulation, `unknown` (none of the classes), `noise`, `no signal`, `unsure`."""
    match decision.reason:
        case "unsure":
            return UNSURE
        case "foreign":
            return UNKNOWN
        case "noise":
            return "noise"
        case "silent":
            return NO_SIGNAL
        case "named":
            return decision.label


def outcome(answer: str, sent: str) -> Outcome:
    """Say what an answer is worth where it is known what was sent.

    * right: the modulation that was sent; for a signal outside the classes, any answer that names no modulation and
      is not unsure;
    * misnamed: another modulation, a wrong name;
    * missed: `unknown`, noise or silence, although a modulation of the classes was sent. This is wrong as well, but
      misleads less;
    * undecided: `unsure`, or no answer, since no symbol rate was found for instance.

    Args:
        answer: see `answer_of`; or `NO_SYMBOL_RATE`, `NO_ANSWER`.
        sent: the modulation; anything else is a signal outside the classes.

    >>> outcome("QPSK", "QPSK"), outcome("16QAM", "64QAM"), outcome("unknown", "64QAM")
    ('right', 'misnamed', 'right')
    >>> outcome("unknown", "QPSK"), outcome("unsure", "QPSK")
    ('missed', 'undecided')
    """
    if answer in _UNDECIDED:
        return "undecided"
    if answer in MODULATIONS:
        return "right" if answer == sent else "misnamed"
    return "missed" if sent in MODULATIONS else "right"


@dataclass(frozen=True)
class Tally:
    """How many answers, or whatever is counted, had each outcome."""

    right: int = 0
    misnamed: int = 0
    missed: int = 0
    undecided: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.right + self.misnamed + self.missed + self.undecided

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(
            self.right + other.right,
            self.misnamed + other.misnamed,
            self.missed + other.missed,
            self.undecided + other.undecided,
        )

    @classmethod
    def of_answers(cls, answers: Mapping[str, int], sent: str) -> "Tally":
        """Count answers, each with how often it was given, against what was sent."""
        counts: dict[Outcome, int] = {"right": 0, "misnamed": 0, "missed": 0, "undecided": 0}
        for answer, count in answers.items():
            counts[outcome(answer, sent)] += count
        return cls(**counts)

    @classmethod
    def of_outcomes(cls, outcomes: Iterable[Outcome]) -> "Tally":
        """Count outcomes."""
        found = list(outcomes)
        return cls(*(found.count(one) for one in ("right", "misnamed", "missed", "undecided")))
