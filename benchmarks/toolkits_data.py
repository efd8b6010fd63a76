#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `amrq classify FILE` says of the radio amateur's data modes, made by the toolkits that Debian has.

`toolkits_amateur.py FOLDER [FLDIGI]` makes the recordings. Here each is looked at as the command does, told the sample
rate alone, and its family is compared with that of the mode:

* right: a family that is right for the mode (`toolkits_amateur.py` says which);
* wrong: another family; sure: with a confidence above .9;
* unknown: `unknown`, or nothing found.

The recordings are taken in a fixed, mixed order, so that a run that is stopped (`--minutes`) has some of all.

Examples:
  python3 benchmarks/toolkits_amateur.py made && python3 benchmarks/toolkits_data.py made
"""

import argparse
import csv
import json
import subprocess
import time
import zlib
from pathlib import Path
from typing import Any

from resumable import write_about

from amrq.recordings import open_recording
from amrq.scan import survey_recording

RESULTS = Path(__file__).resolve().parent / "results" / "toolkits_data.csv"
SURE = 0.9
PACKAGES = ("minimodem", "direwolf", "wsjtx", "codec2", "fldigi", "sox", "espeak-ng")
FIELDS = ("toolkit", "mode", "n", "right", "wrong", "sure", "unknown", "answers")


def outcome(families: list[str], family: str, confidence: float) -> str:
    """Return whether an answer is right, wrong, wrong and sure, or none.

    >>> outcome(["fsk2"], "fsk2", 0.9), outcome(["fsk2"], "am", 0.95), outcome(["fsk2"], "unknown", 0.0)
    ('right', 'sure', 'unknown')
    """
    if family in families:
        return "right"
    if family in ("unknown", "noise"):
        return "unknown"
    return "sure" if confidence > SURE else "wrong"


def measure(folder: Path, minutes: float) -> list[dict[str, Any]]:
    """Look at the recordings of a folder, and count by mode."""
    known = json.loads((folder / "known.json").read_text("utf-8"))
    known.sort(key=lambda one: zlib.crc32(one["file"].encode()))
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    began = time.monotonic()
    for one in known:
        if time.monotonic() - began > 60 * minutes:
            break
        told = {} if one["real"] else {"sample_rate": one["rate"]}
        recording = open_recording(folder / one["file"], **told)
        main = survey_recording(recording, recording.sample_rate).main
        family, confidence = (main.family, main.confidence) if main is not None else ("unknown", 0.0)
        key = (one["toolkit"], one["mode"])
        empty = dict(zip(FIELDS, (*key, 0, 0, 0, 0, 0, ""), strict=True))
        row = rows.setdefault(key, empty)
        row["n"] += 1
        row[outcome(one["families"], family, confidence)] += 1
        row["answers"] = f"{row['answers']} {family}/{100 * confidence:.0f}".strip()
    return sorted(rows.values(), key=lambda row: (row["toolkit"], row["mode"]))


def versions() -> dict[str, str]:
    """Return the versions of Debian's packages, as far as they are installed."""
    found = {}
    for name in PACKAGES:
        words = ["dpkg-query", "-W", "-f", "${Version}", name]
        try:
            said = subprocess.run(words, capture_output=True, text=True, check=False)
        except OSError:
            return {}
        if said.returncode == 0:
            found[name] = said.stdout
    return found


def main() -> None:
    """Measure, and write the rows."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="where toolkits_amateur.py has written")
    parser.add_argument("--minutes", type=float, default=1e9, help="after so many it stops")
    parser.add_argument("-o", "--output", type=Path, default=RESULTS, help="CSV file to write")
    arguments = parser.parse_args()
    if not (arguments.folder / "known.json").is_file():
        parser.error("name a folder in which toolkits_amateur.py has written recordings")
    rows = measure(arguments.folder, arguments.minutes)
    with arguments.output.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    write_about(arguments.output, toolkits=versions())


if __name__ == "__main__":
    main()
