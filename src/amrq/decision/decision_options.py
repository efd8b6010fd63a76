# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of decisions: on how many chunks one rests, when a class is named, and what is remembered.

The fronts (block, GRC, command line, scripts) take their parameters from these fields.

| wish | field |
|---|---|
| surer decisions | more `chunks_per_decision`, or a `memory` for a signal that stays |
| quicker ones | fewer `chunks_per_decision`, or `early_confidence` below 1 |
| fewer wrong names | a higher `wrong_name_cost`; or the lowest probability itself, `min_confidence` |
| names by the model alone | `check` off |

A decision is named where the best class's probability is at least `DecisionOptions.threshold`.

>>> careful = DecisionOptions(chunks_per_decision=64, wrong_name_cost=19)
>>> careful.chunks_per_decision, careful.threshold
(64, 0.95)
"""

from dataclasses import dataclass

from amrq.options import above, at_least, between, check, described, option

__all__ = ["DecisionOptions"]

_MOST_CHUNKS = 65_536
"""Chunks a decision at most: their evidence is kept until it falls."""


@described
@dataclass(frozen=True)
class DecisionOptions:
    """Settings for decisions on the evidence of many chunks.

    Raises:
        AmrqError: a value is out of its range.

    >>> DecisionOptions(chunks_per_decision=8).threshold
    0.75
    >>> DecisionOptions(wrong_name_cost=9).threshold, DecisionOptions(min_confidence=0.8).threshold
    (0.9, 0.8)
    """

    chunks_per_decision: int = option(
        32,
        "Chunks that one decision rests on. More chunks make it surer and slower.",
        within=between(1, _MOST_CHUNKS),
        flag="--chunks",
    )
    min_confidence: float = option(
        0.0,
        "Lowest probability at which the best class is named. 0: that which the cost of a wrong name gives.",
        within=between(0, 1),
        label="Lowest Confidence",
        advanced=True,
    )
    early_confidence: float = option(
        1.0,
        "Probability from which a new answer is given early, before all chunks of a decision are there. 1: never.",
        within=above(0, endless=True),
        label="Early Decision at Confidence",
        advanced=True,
    )
    change_evidence: float = option(
        15.0,
        "Log-likelihood ratio from which a decision is split in two, where the class changes inside it.",
        unit="nats",
        within=above(0, endless=True),
        label="Evidence of a Change",
        advanced=True,
    )
    memory: float = option(
        0.0,
        "Chunks after which the weight of earlier decisions on the same signal has fallen to 1/e. 0: no memory.",
        unit="chunks",
        within=at_least(0),
        advanced=True,
    )
    track: bool = option(
        True,
        "Follow level and Es/N0 over many chunks, where the model can use them.",
        choices={True: "Yes, where the model can use it", False: "No"},
        label="Track Level and Es/N0",
        advanced=True,
    )
    name_noise: bool = option(
        False,
        "Label what looks like noise alone 'no signal'. Otherwise it is 'unknown', since many carriers together (OFDM) "
        "look like noise.",
        choices={False: "unknown (it may be OFDM)", True: "no signal"},
        label="Noise Alone is Called",
        advanced=True,
    )

    check: bool = option(
        True,
        "Refuse names that the symbols' distances from the points, or the noise beside the signal, contradict.",
        choices={True: "Yes", False: "No: the model is believed"},
        label="Check Names by Points and Noise",
        advanced=True,
    )
    wrong_name_cost: float = option(
        3.0,
        "What a wrong name costs, in right names that are not given ('unsure'). 3: a class is named from 0.75 on.",
        within=at_least(0),
        label="Cost of a Wrong Name",
    )

    def __post_init__(self) -> None:
        """Check the values."""
        check(self)

    @property
    def threshold(self) -> float:
        """The lowest probability at which the best class is named.

        With probability p of the best class, a name costs (1 - p) times the cost of a wrong one, and none costs p.
        """
        return self.min_confidence or self.wrong_name_cost / (1 + self.wrong_name_cost)
