#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decisions on a signal that has just begun: on 1 to 11 chunks, after the symbol front end.

Signals with everything drawn at random, as in front_end.py (2.5 to 16 samples a symbol, roll-off 0.2 to 0.5, carrier
within 5 %, symbol rate within 0.2 %), from their first symbol on; of each, decisions that begin with each of the first
13 chunks and rest on 1 to 11 chunks. Counted are answers: decisions of one signal share its chunks, so that the
interval (Clopper-Pearson, 95 %) is that of independent ones and too narrow.

Examples:
  python3 benchmarks/short_decisions.py --modulation 16QAM --draws 150 > benchmarks/results/short_decisions.json
  python3 benchmarks/short_decisions.py --pages
"""

import argparse
import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import front_end
import numpy as np
from resumable import between, machine

from amrq.classes import THESIS_9
from amrq.classifier import ChunkClassifier, Evidence, make_classifier
from amrq.decision import DecisionMaker, DecisionOptions
from amrq.evaluation import clopper_pearson

RESULTS = Path(__file__).parent / "results" / "short_decisions.json"
PAGE = front_end.PAGE
STARTS, COUNTS = range(13), range(1, 12)
LEVELS = (12.5, 15.0, 17.5, 20.0)


def answers(evidence: Evidence, classifier: ChunkClassifier, start: int, count: int) -> list[str]:
    """Return what a decision on these chunks says: the label, or `unsure`."""
    contract = classifier.contract
    maker = DecisionMaker(
        contract.weighed(),
        front_end.LENGTH,
        DecisionOptions(chunks_per_decision=count, change_evidence=math.inf),
        contract.fusion_chunks,
    )
    indices = front_end.LENGTH * np.arange(count, dtype=np.int64)
    made = maker.update(evidence.part(start, start + count), indices)
    return ["unsure" if decision.reason == "unsure" else decision.label for decision in made]


def measure(name: str, level: float, draws: int, classifier: ChunkClassifier) -> dict[str, Any]:
    """Count what a class is called at an Es/N0."""
    by_length: dict[str, Counter[str]] = {"1 to 3 chunks": Counter(), "4 to 11 chunks": Counter()}
    front_end.LOCK, front_end.COUNTED = 0, STARTS[-1] + COUNTS[-1]
    for draw in range(draws):
        point = front_end.Point("at random", 0.0, level, name)
        symbols = front_end.symbols_of(point, np.random.default_rng([20261129, round(10 * level), draw]))
        evidence = classifier.classify(symbols.reshape(-1, front_end.LENGTH))
        for start in STARTS:
            for count in COUNTS:
                key = "1 to 3 chunks" if count <= 3 else "4 to 11 chunks"
                by_length[key].update(answers(evidence, classifier, start, count))
    found: dict[str, Any] = {"es_n0_db": level}
    for key, counts in by_length.items():
        total = counts.total()
        wrong = sum(count for label, count in counts.items() if label in THESIS_9 and label != name)
        low, high = clopper_pearson(wrong, total)
        found[key] = {
            "decisions": total,
            "answers": dict(counts.most_common()),
            "wrong_name": round(wrong / total, 6),
            "interval": [round(low, 6), round(high, 6)],
        }
    return found


def table(found: dict[str, Any]) -> str:
    """Return what benchmarks/README.md says of a result, in Markdown."""
    lines = [
        f"Measured on {found['date']}: {found['draws']} signals of {found['modulation']} at each level.",
        "",
    ]
    lines += ["| Es/N0 dB | decisions | right, % | wrong name, % | wrong names |", "|---|---|---:|---:|---|"]
    for level in found["levels"]:
        for key, part in level.items():
            if key == "es_n0_db":
                continue
            n, answers = part["decisions"], Counter(part["answers"])
            names = ", ".join(
                f"{label} {count:,}"
                for label, count in answers.most_common()
                if label in THESIS_9 and label != found["modulation"]
            )
            right = 100 * answers[found["modulation"]] / n
            wrong = 100 * part["wrong_name"]
            cells = [
                f"{level['es_n0_db']:g}",
                f"{n:,} on {key}",
                f"{right:.1f}",
                f"{wrong:.2f}",
                names or "-",
            ]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def filled(page: str, found: dict[str, Any]) -> str:
    """Return a page with what `table` returns between its marks."""
    return between(page, "short decisions", table(found))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--modulation", default="16QAM", choices=list(THESIS_9))
    parser.add_argument("--draws", type=int, default=150)
    parser.add_argument("--pages", action="store_true", help="write the page's table, and measure nothing")
    arguments = parser.parse_args()
    if arguments.pages:
        found = json.loads(RESULTS.read_text(encoding="utf-8"))
        PAGE.write_text(filled(PAGE.read_text(encoding="utf-8"), found), encoding="utf-8")
        return
    classifier = make_classifier("default")
    name, draws = arguments.modulation, arguments.draws
    levels = [measure(name, level, draws, classifier) for level in LEVELS]
    about = machine(modulation=name, draws=draws, levels=levels, model=classifier.contract.name)
    print(json.dumps(about, indent=2))


if __name__ == "__main__":
    main()
