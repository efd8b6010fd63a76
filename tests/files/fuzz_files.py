#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mutated files of every kind for as long as one likes: `make fuzz`.

What is found is kept in the folder `finds`, and the exit status is 1. A file that ends this process (a fault in a
library) is the last one in the folder `case`.
"""

import argparse
import faulthandler
import random
import shutil
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from files.file_kinds import KINDS, FileKind
from files.try_kind import FindError, cases_of


def fuzz(kind: FileKind, folder: Path, seed: int, count: int, finds: dict[str, str]) -> int:
    """Try so many files of a kind; return how many were tried, and note what was found by its first words."""
    tried = 0
    for case in cases_of(kind, folder, seed, count):
        tried += 1
        try:
            case()
        except FindError as found:
            said = str(found)
            words = f"{kind.name}: " + said.split(": ", 1)[-1][:60]
            if words not in finds:
                finds[words] = said
                print(f"FOUND {said[:1000]}", flush=True)
                kept = folder.parent / "finds" / f"{kind.name.replace(' ', '_')}-{seed}-{tried - 1}"
                shutil.copytree(folder, kept, dirs_exist_ok=True)
    return tried


def main() -> int:
    parser = argparse.ArgumentParser(description="Mutate files of every kind and read them.")
    parser.add_argument("--seconds", type=float, default=600.0, help="default: %(default)g")
    parser.add_argument(
        "--seed", type=int, default=random.randrange(1 << 30), help="default: a new one each time"
    )
    parser.add_argument("--kind", action="append", default=[], metavar="WORDS", help="of these kinds alone")
    given = parser.parse_args()
    faulthandler.enable()
    kinds = [kind for kind in KINDS if not given.kind or any(words in kind.name for words in given.kind)]
    for kind in kinds:
        if kind.missing():
            print(f"left out, since the package {kind.missing()} is not installed: {kind.name}")
    kinds = [kind for kind in kinds if not kind.missing()]
    print(f"{len(kinds)} kinds of files, {given.seconds:g} s, seed {given.seed}", flush=True)
    end, tried, finds = time.monotonic() + given.seconds, dict.fromkeys((k.name for k in kinds), 0), {}
    seed = given.seed
    while time.monotonic() < end:
        for kind in kinds:
            tried[kind.name] += fuzz(kind, Path("case"), seed, -(-60 // kind.slow), finds)
        seed += 1
    print(", ".join(f"{name} {count:,}" for name, count in tried.items()))
    print(f"{sum(tried.values()):,} files, {len(finds)} finds")
    return int(bool(finds))


if __name__ == "__main__":
    sys.exit(main())
