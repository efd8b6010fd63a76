# SPDX-License-Identifier: GPL-3.0-or-later
"""When a decision counts as right: one definition for the demo, the benchmarks and the documentation."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from amrq.modulations import MODULATIONS

__all__ = ["Outcome", "Tally", "outcome"]

Outcome = Literal["right", "wrong", "undecided"]


def outcome(label: str, sent: str) -> Outcome:
    """Say what a decision's label is worth where it is known what was sent.

    * right: the label is the modulation that was sent;
    * wrong: the label is another modulation;
    * undecided: the label is no modulation (`unknown`, `no signal`), or there was no answer at all.

    For a signal outside the classes nothing is right, and undecided is the only answer that is not wrong.

    >>> outcome("QPSK", "QPSK"), outcome("16QAM", "64QAM"), outcome("unknown", "QPSK")
    ('right', 'wrong', 'undecided')
    """
    if label not in MODULATIONS:
        return "undecided"
    return "right" if label == sent else "wrong"


@dataclass(frozen=True)
class Tally:
    """How many decisions, or whatever is counted, were right, wrong and undecided."""

    right: int = 0
    wrong: int = 0
    undecided: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.right + self.wrong + self.undecided

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(self.right + other.right, self.wrong + other.wrong, self.undecided + other.undecided)

    @classmethod
    def of_labels(cls, labels: Mapping[str, int], sent: str) -> "Tally":
        """Count labels, each with how often it was given, against what was sent."""
        counts: dict[Outcome, int] = {"right": 0, "wrong": 0, "undecided": 0}
        for label, count in labels.items():
            counts[outcome(label, sent)] += count
        return cls(**counts)

    @classmethod
    def of_outcomes(cls, outcomes: Iterable[Outcome]) -> "Tally":
        """Count outcomes."""
        found = list(outcomes)
        return cls(found.count("right"), found.count("wrong"), found.count("undecided"))
