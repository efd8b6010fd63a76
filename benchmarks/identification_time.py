#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processor time of an identification by family, of this code and of another checkout of it.

The looks are those of `families.py` at 15 dB, of the module's own generator and of strangers. Each checkout has a
process of its own; look by look the two take turns, so that whatever else the machine does costs both the same. Whether
they say the same is counted: the label, and the confidence to .01.

Examples:
  python3 benchmarks/identification_time.py --every 4
  python3 benchmarks/identification_time.py --against ../before -o benchmarks/results/identification_time.json
"""

import argparse
import os
import pickle
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from resumable import write_about

ROOT = Path(__file__).resolve().parents[1]
LEVEL = 15.0
SAME = 0.01


def looks(every: int) -> list[tuple[str, tuple[Any, ...]]]:
    """Return families and what `identify_emission` is given of each look."""
    import families

    found = []
    for part in ("own", "strangers"):
        for family in families.FAMILIES:
            for number in range(families.DRAWS[part]):
                look, _ = families.look_of(families.Case(part, LEVEL, family, ""), number)
                found.append((family, (look.iq, look.sample_rate, look.noise_dbfs, look.edges, look.snr_db)))
    return found[::every]


def work(path: str) -> None:
    """Identify the looks that are asked for by number, and answer with time, label and confidence."""
    from amrq.classifier import FamilyModel, make_classifier
    from amrq.identify import IdentifyModels, identify_emission

    given: list[tuple[str, tuple[Any, Any, Any, Any, Any]]] = pickle.loads(Path(path).read_bytes())
    models = IdentifyModels(make_classifier("default", "auto"), FamilyModel("family"))
    for _, words in given[::50]:
        identify_emission(*words, models)
    print("ready", flush=True)
    for line in sys.stdin:
        began = time.process_time()
        found = identify_emission(*given[int(line)][1], models)
        print(time.process_time() - began, found.confidence, found.label, flush=True)


def worker(checkout: Path, path: str) -> "subprocess.Popen[str]":
    """Return a process that identifies with the code of a checkout."""
    paths = [str(checkout / "src"), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, __file__, "--work", path]
    return subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def ask(process: "subprocess.Popen[str]", number: int) -> tuple[float, float, str]:
    """Return seconds, confidence and label of a look."""
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(f"{number}\n")
    process.stdin.flush()
    seconds, confidence, label = process.stdout.readline().rstrip("\n").split(" ", 2)
    return float(seconds), float(confidence), label


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--against", type=Path, help="another checkout, its kernels compiled")
    parser.add_argument("--every", type=int, default=1, help="only each so many-th look")
    parser.add_argument("-o", "--output", type=Path, help="JSON of results")
    parser.add_argument("--work", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        work(arguments.work)
        return
    given = looks(arguments.every)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "looks"
        path.write_bytes(pickle.dumps(given))
        checkouts = [ROOT, *([arguments.against.resolve()] if arguments.against else [])]
        workers = [worker(checkout, str(path)) for checkout in checkouts]
        for one in workers:
            assert one.stdout is not None
            one.stdout.readline()
        answers = []
        for number in range(len(given)):
            order = range(len(workers)) if number % 2 else range(len(workers))[::-1]
            answers.append([found for _, found in sorted((k, ask(workers[k], number)) for k in order)])
        for one in workers:
            one.terminate()
    families = list(dict.fromkeys(family for family, _ in given))
    rows = {}
    for name in [*families, "all"]:
        chosen = [found for (family, _), found in zip(given, answers, strict=True) if name in (family, "all")]
        times = 1e3 * np.array([[seconds for seconds, _, _ in found] for found in chosen])
        rows[name] = {"n": len(chosen), "ms": [round(float(one), 2) for one in times.mean(axis=0)]}
        print(f"{name:10} {len(chosen):4}", *(f"{one:7.1f}" for one in times.mean(axis=0)))
    apart = 0
    if arguments.against:
        for found in answers:
            (_, sure, label), (_, other_sure, other) = found
            apart += label != other or abs(sure - other_sure) > SAME
        print(f"{apart} of {len(answers)} answers differ")
    if arguments.output:
        write_about(arguments.output, level=LEVEL, every=arguments.every, differ=apart, families=rows)


if __name__ == "__main__":
    main()
