# SPDX-License-Identifier: GPL-3.0-or-later
"""Signals outside the class set: outcomes of decisions on them, and how often they are named as a class."""

from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from amrq.classes import THESIS_9
from amrq.decision import Decision
from amrq.evaluation.statistics import Share
from amrq.model import NO_SIGNAL, UNKNOWN

__all__ = [
    "NO_ANSWER",
    "NO_SYMBOL_RATE",
    "UNSURE",
    "OpenSet",
    "OtherSignal",
    "Outcome",
    "Tally",
    "answer_of",
    "outcome",
]

UNSURE = "unsure"
NO_SYMBOL_RATE = "no symbol rate"
NO_ANSWER = "no answer"

Outcome = Literal["right", "misnamed", "missed", "undecided"]

_NO_NAME = (UNKNOWN, "noise", NO_SIGNAL)
_UNDECIDED = (UNSURE, NO_SYMBOL_RATE, NO_ANSWER)


def answer_of(decision: Decision) -> str:
    """Return a decision as one of: a modulation, `unknown` (outside the classes), `noise`, `no signal`, `unsure`."""
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


def outcome(answer: str, sent: str, classes: Container[str] = THESIS_9) -> Outcome:
    """Return the outcome of an answer, given the signal that was sent.

    * right: the modulation that was sent; for a signal outside the classes, any answer that names no modulation and
      is not unsure;
    * misnamed: another modulation, a wrong name;
    * missed: `unknown`, noise or silence, although a modulation of the classes was sent. This is wrong too, but less
      misleading;
    * undecided: `unsure`, or no answer, for example because no symbol rate was found.

    Args:
        answer: see `answer_of`; or `NO_SYMBOL_RATE`, `NO_ANSWER`.
        sent: the modulation; anything else is a signal outside the classes.
        classes: of the model; by default the thesis's nine classes, which the shipped models have.

    >>> outcome("QPSK", "QPSK"), outcome("16QAM", "64QAM"), outcome("unknown", "64QAM")
    ('right', 'misnamed', 'right')
    >>> outcome("unknown", "QPSK"), outcome("unsure", "QPSK")
    ('missed', 'undecided')
    """
    if answer in _UNDECIDED:
        return "undecided"
    if answer in _NO_NAME:
        return "missed" if sent in classes else "right"
    return "right" if answer == sent else "misnamed"


@dataclass(frozen=True)
class Tally:
    """Counts of outcomes.

    >>> tally = Tally.of_answers({"QPSK": 8, "unsure": 1, "16QAM": 1}, sent="QPSK")
    >>> tally.right, tally.misnamed, tally.undecided, tally.total
    (8, 1, 1, 10)
    """

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
    def of_answers(cls, answers: Mapping[str, int], sent: str, classes: Container[str] = THESIS_9) -> "Tally":
        """Return the tally of counted answers, given the signal that was sent; see `outcome`."""
        counts: dict[Outcome, int] = {"right": 0, "misnamed": 0, "missed": 0, "undecided": 0}
        for answer, count in answers.items():
            counts[outcome(answer, sent, classes)] += count
        return cls(**counts)

    @classmethod
    def of_outcomes(cls, outcomes: Iterable[Outcome]) -> "Tally":
        """Return the tally of some outcomes."""
        found = list(outcomes)
        return cls(*(found.count(one) for one in ("right", "misnamed", "missed", "undecided")))


@dataclass(frozen=True, eq=False)
class OtherSignal:
    """Counts of decisions on one kind of signal outside the classes.

    Attributes:
        kind: see `amrq.signals.other_signals`.
        fused: number of chunks in a fused decision.
        chunk_labels: number of decisions on single chunks, by label.
        labels: number of fused decisions, by label: a modulation, `unknown` or `no signal`.
        scores: float64 [fused decisions], log-odds of the most probable named modulation; see `OpenSet`.
        goal: largest share of fused decisions that should claim one of the model's classes; None if no goal is set, or
            if the model has no output for other signals.
    """

    kind: str
    fused: int
    chunk_labels: Counter[str]
    labels: Counter[str]
    scores: NDArray[np.float64]
    goal: float | None

    @property
    def claimed(self) -> Share:
        """Number and share of fused decisions that claim one of the model's classes."""
        return _claimed(self.labels)

    @property
    def chunks_claimed(self) -> Share:
        """Number and share of decisions on single chunks that claim one of the model's classes."""
        return _claimed(self.chunk_labels)

    @property
    def mistaken_for(self) -> str:
        """The modulation named by most of the false claims; empty if there are no false claims."""
        return _most({name: count for name, count in self.labels.items() if _claims(name)})

    @property
    def most_often(self) -> str:
        """The label of most fused decisions."""
        return _most(self.labels)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return {
            "kind": self.kind,
            "fused_chunks": self.fused,
            "goal": self.goal,
            "claimed": self.claimed.as_dict(),
            "labels": dict(sorted(self.labels.items())),
            "one_chunk": {
                "claimed": self.chunks_claimed.as_dict(),
                "labels": dict(sorted(self.chunk_labels.items())),
            },
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "OtherSignal":
        """Read the values that `as_dict` returned; scores are not among them."""
        labels, chunks = Counter(values["labels"]), Counter(values["one_chunk"]["labels"])
        return cls(values["kind"], values["fused_chunks"], chunks, labels, np.empty(0), values["goal"])


def _claimed(labels: Counter[str]) -> Share:
    return Share(sum(count for name, count in labels.items() if _claims(name)), labels.total())


def _most(counts: Mapping[str, int]) -> str:
    """Return the name with the highest count, of several the first by alphabet; empty if nothing was counted."""
    return min((name for name in counts if counts[name]), key=lambda name: (-counts[name], name), default="")


def _claims(label: str) -> bool:
    return label not in (UNKNOWN, NO_SIGNAL)


_CONFIDENCES = (
    *(0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.999),
    *(1 - 10.0**-digits for digits in range(4, 13)),
)
"""Thresholds in the JSON file."""


@dataclass(frozen=True, eq=False)
class OpenSet:
    """Scores of fused decisions on named modulations and on other signals.

    A decision's score is ln(p / (1 - p)) for the probability p of the most probable named modulation. With a threshold
    of one half or more, `DecisionMaker` names the modulation if p is above the threshold. Below one half the curve
    continues to the point where every signal is named.

    Attributes:
        min_confidence: the threshold of a `DecisionMaker` with default options, 0 to 1.
        es_n0_db: the lowest Es/N0 of the named modulations here, dB.
        known: float64 [K], scores on named modulations.
        right: bool [K], whether the most probable named modulation is the true one.
        others: scores on other signals, float64 [D] for each kind.

    >>> import numpy as np
    >>> threshold = OpenSet.log_odds(0.8)
    >>> round(threshold, 3), OpenSet.passed(np.array([0.0, 2.0, 5.0]), [threshold]).tolist()
    (1.386, [2])
    """

    min_confidence: float
    es_n0_db: float
    known: NDArray[np.float64]
    right: NDArray[np.bool_]
    others: dict[str, NDArray[np.float64]]

    @staticmethod
    def log_odds(confidence: float) -> float:
        """Return the score of a probability above 0 and below 1."""
        return float(np.log(confidence) - np.log1p(-confidence))

    @staticmethod
    def passed(scores: NDArray[np.float64], thresholds: Sequence[float]) -> NDArray[np.int64]:
        """Return how many scores reach each threshold: int64 [thresholds]."""
        return np.asarray(len(scores) - np.searchsorted(np.sort(scores), thresholds, side="left"))

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON: counts at the points of the curve and at the default threshold."""
        confidences = sorted({*(round(confidence, 12) for confidence in _CONFIDENCES), self.min_confidence})
        thresholds = [self.log_odds(confidence) for confidence in confidences]
        return {
            "default_min_confidence": self.min_confidence,
            "lowest_es_n0_db": self.es_n0_db,
            "min_confidence": confidences,
            "known": {
                "decisions": len(self.known),
                "named": self.passed(self.known, thresholds).tolist(),
                "named_right": self.passed(self.known[self.right], thresholds).tolist(),
            },
            "others": {
                kind: {"decisions": len(scores), "named": self.passed(scores, thresholds).tolist()}
                for kind, scores in self.others.items()
            },
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "OpenSet":
        """Return an open set with the same `as_dict`; each score becomes the highest threshold that it reached."""
        thresholds = [cls.log_odds(confidence) for confidence in values["min_confidence"]]

        def scores(total: int, passed: Sequence[int]) -> NDArray[np.float64]:
            counts = -np.diff([total, *passed, 0])
            return np.repeat([-np.inf, *thresholds], counts)

        known = values["known"]
        named, right = np.asarray(known["named"]), np.asarray(known["named_right"])
        missed = int(known["decisions"] - named[0])  # below all thresholds: counted as wrong
        hits, slips = (
            scores(int(right[0]), right.tolist()),
            scores(int((named - right)[0]) + missed, (named - right).tolist()),
        )
        return cls(
            float(values["default_min_confidence"]),
            float(values["lowest_es_n0_db"]),
            np.concatenate([hits, slips]),
            np.arange(len(hits) + len(slips)) < len(hits),
            {kind: scores(other["decisions"], other["named"]) for kind, other in values["others"].items()},
        )
