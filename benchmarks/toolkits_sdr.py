#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `amrq classify FILE` says of what other toolkits' modulators make, told the sample rate alone.

`toolkits_signals.py FOLDER` writes the recordings: liquid-dsp, GNU Radio with its transmitters of digital television,
CommPy, komm, and systems on the air that are written from their published parameters. Here each of them is looked at
as the command does (`amrq.scan.survey_recording`).

* right: the family of what was sent; where that may be called two things, either;
* unknown: `unknown`, or nothing found;
* wrong: another family; sure: with a confidence above .9;
* a parameter is right within .5 % (symbol rate), 5 % (deviation) or 1 % (spacing); it counts where the family is right
  and the truth is known.

Examples:
  python3 benchmarks/toolkits_signals.py tk && python3 benchmarks/toolkits_sdr.py tk
  python3 benchmarks/toolkits_sdr.py --pages
"""

import argparse
import csv
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from families_tables import table, wilson
from resumable import between, read, write_about

from amrq.recordings import open_recording
from amrq.scan import survey_recording

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "toolkits_sdr.csv"
PAGE = ROOT / "docs" / "toolkits.md"
MARK = "sdr toolkits"
SURE = 0.9
OUTCOMES = ("right", "unknown", "wrong", "sure")
WITHIN = {"symbol_rate": 0.005, "deviation": 0.05, "spacing": 0.01}
_PARAMETERS = tuple(f"{name}_{how}" for name in WITHIN for how in ("right", "wrong", "none"))
FIELDS = ("toolkit", "name", "family", *OUTCOMES, *_PARAMETERS)


def looked_at(folder: Path, one: dict[str, Any]) -> dict[str, Any]:
    """Return what is said of a recording: the outcome, the answer, and how each known parameter is."""
    rate = one["sample_rate"]
    survey = survey_recording(open_recording(folder / one["file"], sample_rate=rate), rate)
    main = survey.main
    family, confidence = (main.family, main.confidence) if main is not None else ("unknown", 0.0)
    if family in one["families"]:
        outcome = "right"
    elif family in ("unknown", "noise"):
        outcome = "unknown"
    else:
        outcome = "sure" if confidence > SURE else "wrong"
    parameters = {}
    for name, within in WITHIN.items():
        if outcome == "right" and main is not None and one[name]:
            value = main.symbol_rate if name == "symbol_rate" else main.measures.get(name)
            right = "none" if value is None else "right" if abs(value / one[name] - 1) < within else "wrong"
            parameters[name] = right
    return {
        "outcome": outcome,
        "answer": f"{one['snr_db']:g}:{family}/{100 * confidence:.0f}",
        "parameters": parameters,
    }


def measure(folder: Path, processes: int, output: Path) -> None:
    """Look at all recordings of a folder, count by toolkit and modulation, and write that after every 25."""
    files = sorted(folder.glob("known_*.json"))
    known = [one for path in files for one in json.loads(path.read_text("utf-8"))]
    known.sort(key=lambda one: abs(one["snr_db"] - 19.9))  # of a run that is stopped, each has some
    versions = {one["toolkit"]: one["version"] for one in known}
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    answers: dict[tuple[str, str], list[str]] = defaultdict(list)
    with ProcessPoolExecutor(processes) as pool:
        for number, (one, found) in enumerate(
            zip(known, pool.map(partial(looked_at, folder), known, chunksize=3), strict=True)
        ):
            key = one["toolkit"], one["name"]
            row = rows.setdefault(key, dict.fromkeys(FIELDS, 0))
            row |= {"toolkit": key[0], "name": key[1], "family": one["families"][0]}
            row[found["outcome"]] += 1
            for name, how in found["parameters"].items():
                row[f"{name}_{how}"] += 1
            answers[key].append(found["answer"])
            rows[key]["answers"] = " ".join(answers[key])
            if number % 25 == 24 or number == len(known) - 1:
                print(f"{number + 1} of {len(known)}", file=sys.stderr, flush=True)
                _write(list(rows.values()), output)
                write_about(output, toolkits=versions, recordings=number + 1)


def _write(rows: list[dict[str, Any]], output: Path) -> None:
    with output.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [*FIELDS, "answers"], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def page_tables(rows: Iterable[dict[str, str]]) -> str:
    """Write the tables: families by toolkit, and parameters."""
    counts: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    failed: dict[tuple[str, str], list[str]] = defaultdict(list)
    parameters: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        found = {name: int(row[name]) for name in OUTCOMES}
        for key in ((row["toolkit"], row["family"]), (row["toolkit"], "all"), ("all", "")):
            counts[key].update(found)
        if found["right"] < sum(found.values()):
            failed[row["toolkit"], row["family"]].append(row["name"])
        for name in WITHIN:
            parameters[name].update({how: int(row[f"{name}_{how}"]) for how in ("right", "wrong", "none")})
    lines = []
    for (toolkit, family), count in sorted(counts.items(), key=lambda one: (one[0][0] == "all", one[0])):
        total = sum(count.values())
        low, high = wilson(count["right"], total)
        right = f"{100 * count['right'] / total:.0f} ({100 * low:.0f} to {100 * high:.0f})"
        words = "; ".join(failed[toolkit, family])
        family = f"`{family}`" if family not in ("all", "") else "**all**"
        cells = (count["unknown"], count["wrong"], count["sure"])
        lines.append([toolkit, family, str(total), right.replace(" ", "\u00a0"), *map(str, cells), words])
    heads = [
        "toolkit",
        "sent",
        "n",
        "right, %",
        "unknown",
        "wrong to .9",
        "wrong above .9",
        "not right every time",
    ]
    first = table(heads, lines, 2)
    lines = []
    for name, count in parameters.items():
        total = sum(count.values())
        low, high = wilson(count["right"], max(1, total))
        share = f"{100 * count['right'] / max(1, total):.0f} ({100 * low:.0f} to {100 * high:.0f})"
        lines.append(
            [name.replace("_", " "), f"{100 * WITHIN[name]:g} %", str(total), share.replace(" ", "\u00a0"),
             str(count["wrong"]), str(count["none"])]
        )  # fmt: skip
    heads = ["parameter", "within", "n", "right, %", "wrong", "not said"]
    return f"{first}\n{table(heads, lines, 2)}"


def main() -> None:
    """Measure, or write the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, nargs="?", help="where toolkits_signals.py has written")
    parser.add_argument("-o", "--output", type=Path, default=RESULTS, help="CSV file to write")
    parser.add_argument("--processes", type=int, default=2, help="side by side")
    parser.add_argument("--pages", action="store_true", help="write the tables, and measure nothing")
    arguments = parser.parse_args()
    if arguments.pages:
        text = between(PAGE.read_text("utf-8"), MARK, page_tables(read(arguments.output)))
        PAGE.write_text(text, "utf-8")
        return
    if arguments.folder is None or not any(arguments.folder.glob("known_*.json")):
        parser.error("name a folder in which toolkits_signals.py has written recordings")
    measure(arguments.folder, arguments.processes, arguments.output)


if __name__ == "__main__":
    main()
