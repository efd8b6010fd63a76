#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure the table of the open world for the pages in docs/evaluation, and leave all else on them as it is.

The models and their chunks do not change when the receiver does; the table of the open world does. This measures it as
`amrq evaluate` would, keeps it in evaluation.json, says beside it when and with what code, and writes page and tables
anew. Models for signals of known phase have no such table.

Example: python3 benchmarks/evaluation_pages.py --decisions 90 --processes 2
"""

import argparse
import json
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from itertools import repeat
from pathlib import Path

from resumable import machine

from amrq.classifier import make_classifier
from amrq.evaluation import OPEN_WORLD, Mishap, OpenWorldRow, measure_open_world, page_anew, read_evaluation
from amrq.files import write_whole

ROOT = Path(__file__).resolve().parents[1]
PAGES = ROOT / "docs" / "evaluation"
_MADE = " The table of the open world was measured"


def measure(model: str, decisions: int, mishap: Mishap) -> Sequence[OpenWorldRow]:
    """Return one row of a model's table."""
    return measure_open_world(make_classifier(model), decisions, mishaps=[mishap])


def write(folder: Path, rows: Sequence[OpenWorldRow], decisions: int) -> None:
    """Write a page with these rows."""
    evaluation, made = read_evaluation(folder / "evaluation.json")
    about = machine()
    made = made.split(_MADE)[0] + (
        f"{_MADE} later, with at least {decisions} decisions a row, on {about['date']}: amrq {about['amrq']}, "
        f"commit {about['commit']}, NumPy {about['numpy']}, {about['processor']}."
    )
    found = replace(evaluation, open_world=tuple(rows))
    write_whole(folder / "evaluation.json", json.dumps(found.as_dict() | {"made": made}) + "\n")
    for name, text in page_anew(folder).items():
        write_whole(folder / name, text)


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="*", help="names of shipped models; without: all of unknown phase")
    parser.add_argument("--decisions", type=int, default=90, help="for each row, at least (default 90)")
    parser.add_argument("--processes", type=int, default=1, help="processes side by side (default 1)")
    parser.add_argument("--missing", action="store_true", help="only pages that have no such table yet")
    arguments = parser.parse_args()
    models = arguments.models or [path.name for path in sorted(PAGES.glob("blind-*"))]
    with ProcessPoolExecutor(arguments.processes) as pool:
        for model in models:
            if arguments.missing and (PAGES / model / "open_world.csv").is_file():
                continue
            found = pool.map(measure, repeat(model), repeat(arguments.decisions), OPEN_WORLD)
            write(PAGES / model, [row for rows in found for row in rows], arguments.decisions)
            print(PAGES / model)


if __name__ == "__main__":
    main()
