# SPDX-License-Identifier: GPL-3.0-or-later
"""Decisions on linear constellations outside the class set: how often they are named, at each Es/N0."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from amrq.classes import LinearSet
from amrq.classifier import Classifier
from amrq.decision import Decision
from amrq.evaluation.chunk_sets import fresh_chunks
from amrq.evaluation.measure import fuse
from amrq.evaluation.open_set import Tally, answer_of
from amrq.evaluation.statistics import Share
from amrq.signals import HELD_OUT_CONSTELLATIONS
from amrq.text import markdown

__all__ = ["FOREIGN_ES_N0_DB", "ForeignConstellation", "foreign_table", "measure_foreign"]

FOREIGN_ES_N0_DB = (10.0, 12.5, 15.0, 20.0, 25.0)
_AT_ONCE = 2_048
"""Chunks held at a time: bounds memory."""


@dataclass(frozen=True)
class ForeignConstellation:
    """Counts of fused decisions on one constellation at one Es/N0.

    Attributes:
        name: of the constellation.
        es_n0_db: Es/N0, dB.
        answers: number of decisions, by answer; see `amrq.evaluation.answer_of`.
        tally: of the outcomes. Every name is wrong, `unknown` is right.
    """

    name: str
    es_n0_db: float
    answers: Counter[str]
    tally: Tally

    @property
    def named(self) -> Share:
        """Number and share of decisions that name one of the model's classes."""
        return Share(self.tally.misnamed, self.tally.total)

    @property
    def mistaken_for(self) -> str:
        """The name given most often; empty if none was."""
        wrong = Counter(
            {name: n for name, n in self.answers.items() if Tally.of_answers({name: n}, "").misnamed}
        )
        return wrong.most_common(1)[0][0] if wrong else ""


def measure_foreign(
    classifier: Classifier,
    decisions: int = 200,
    es_n0_db: Sequence[float] = FOREIGN_ES_N0_DB,
    chunks: int = 32,
    seed: int = 0,
    constellations: LinearSet = HELD_OUT_CONSTELLATIONS,
) -> list[ForeignConstellation]:
    """Make decisions on ideal chunks of linear constellations, each chunk at a random rotation.

    Classes of the model are left out.

    Args:
        classifier: the model.
        decisions: number of decisions on each constellation at each Es/N0.
        es_n0_db: levels, dB.
        chunks: chunks in a decision.
        seed: of all randomness.
        constellations: what is sent; by default what no model is trained on.

    Returns:
        one for each constellation and Es/N0, in this order.
    """
    contract = classifier.contract
    known = contract.linear_classes
    found = []
    for member in constellations.members:
        if member in known.members:
            continue
        for level in es_n0_db:
            rng = np.random.default_rng([seed, round(1000 * level) % 2**32, *member.name.encode()])
            made: list[Decision] = []
            while len(made) < decisions:
                count = min(decisions - len(made), max(1, _AT_ONCE // chunks)) * chunks
                sent = fresh_chunks(
                    member, count, contract.chunk_length, level, rng, any_phase=contract.phase == "any"
                )
                made += fuse(contract, classifier.classify(sent), chunks)
            answers = Counter(answer_of(decision) for decision in made)
            found.append(
                ForeignConstellation(member.name, float(level), answers, Tally.of_answers(answers, "", known))
            )
    return found


def foreign_table(rows: Sequence[ForeignConstellation]) -> str:
    """Return a table in Markdown: the share of decisions that name a class, and for what it is mistaken most often."""
    levels = sorted({row.es_n0_db for row in rows})
    by_place = {(row.name, row.es_n0_db): row for row in rows}
    lines = [
        "| constellation | " + " | ".join(f"{level:g} dB" for level in levels) + " |",
        "|---|" + "---:|" * len(levels),
    ]
    for name in dict.fromkeys(row.name for row in rows):
        cells = []
        for level in levels:
            row = by_place.get((name, level))
            mistaken = f" ({markdown(row.mistaken_for)})" if row and row.mistaken_for else ""
            cells.append(f"{row.named.value:.3f}{mistaken}" if row else "")
        lines.append(f"| {markdown(name)} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, ""])
