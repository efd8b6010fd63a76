#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure all figures of the receiver and its names that the pages show, one benchmark after the other.

A benchmark that is finished is not run again; one that was stopped, or whose time was up, goes on when this is started
again, and --anew forgets all that was measured. Each result holds date, commit, machine and versions. The tables in the
pages are written at the end, and after each benchmark that is in a page.

Signals of TorchSig are measured if TORCHSIG_SIGNALS names a folder that torchsig_signals.py wrote. --against names a
checkout of the commit with which the front end's processor time is compared.

Examples:
  python3 benchmarks/figures.py --list
  python3 benchmarks/figures.py --anew --processes 2 --against ../older
  python3 benchmarks/figures.py --only open_world --minutes 20
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from resumable import machine

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
RESULTS = HERE / "results"
STATE = ROOT / ".build" / "figures.json"
"""Which benchmarks are finished."""


class Settings(NamedTuple):
    """What all benchmarks are run with."""

    processes: int
    minutes: float | None
    anew: bool
    against: Path | None


class Step(NamedTuple):
    """A benchmark.

    Attributes:
        about: what it measures, and how long it takes.
        run: runs it, and returns whether it is finished.
    """

    about: str
    run: Callable[[Settings], bool]


def script(name: str, *arguments: object, output: Path | None = None) -> None:
    """Run a script of this folder, with its output in a file, where one is named."""
    words = [sys.executable, str(HERE / name), *map(str, arguments)]
    done = subprocess.run(words, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    if output is not None:
        output.write_text(done.stdout, encoding="utf-8")


def in_parts(name: str, path: Path, settings: Settings, *arguments: object) -> bool:
    """Run a benchmark that goes on where it stopped."""
    words = [*arguments, "-o", path, "--processes", settings.processes]
    words += ["--minutes", settings.minutes] if settings.minutes is not None else []
    script(name, *words, *(["--anew"] if settings.anew else []))
    return bool(json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))["whole"])


def recordings(settings: Settings) -> bool:
    """Answers to recordings."""
    folder = ROOT / ".build" / "recordings"
    script("../examples/headless.py", "--recordings-only", "--output", folder)
    found = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    text = json.dumps(machine() | found, indent=1) + "\n"
    (RESULTS / "recordings.json").write_text(text, encoding="utf-8")
    script("named.py", "--pages")
    return True


def open_world(settings: Settings) -> bool:
    """Signals of other transmitters."""
    done = in_parts("open_world.py", RESULTS / "open_world.csv", settings, "--pictures", RESULTS)
    script("open_world.py", "--pages")
    return done


UNCHECKED = ("another constellation", "drift", "phase noise", "clipping", "image")


def unchecked(settings: Settings) -> bool:
    """The same with names that are not checked."""
    kinds = [*UNCHECKED, *(f"TorchSig level {level}" for level in range(3))]
    only = [word for kind in kinds for word in ("--only", kind)]
    words = ("--through", "unchecked", "--draws", 0.2, "--others", 0.2, *only)
    done = in_parts("open_world.py", RESULTS / "open_world_unchecked.csv", settings, *words)
    script("open_world.py", "--pages")
    return done


def named(settings: Settings) -> bool:
    """Signals of the library's own transmitter."""
    done = in_parts("named.py", RESULTS / "named.csv", settings)
    script("named.py", "--pages")
    return done


def families(settings: Settings) -> bool:
    """Families of signals."""
    done = in_parts("families.py", RESULTS / "families.csv", settings, "--pictures", RESULTS)
    script("families.py", "--pages")
    return done


def front_end(settings: Settings) -> bool:
    """What the front end costs in right decisions."""
    path = RESULTS / "front_end.csv"
    done = in_parts("front_end.py", path, settings)
    if done:
        script("front_end.py", "-o", path, "--pictures", RESULTS)
        script("front_end.py", "--pages")
    return done


def receiver_time(settings: Settings) -> bool:
    """Processor time of the front end and of the check."""
    against = ["--against", settings.against] if settings.against is not None else []
    script("receiver_time.py", "-o", RESULTS / "receiver_time.json", *against)
    script("receiver_time.py", "--pages")
    return True


def short_decisions(settings: Settings) -> bool:
    """Decisions on few chunks."""
    script("short_decisions.py", output=RESULTS / "short_decisions.json")
    script("short_decisions.py", "--pages")
    return True


def evaluation_pages(settings: Settings) -> bool:
    """The table of the open world in the pages of the models."""
    script("evaluation_pages.py", "--processes", settings.processes)
    return True


STEPS: dict[str, Step] = {
    "recordings": Step("recordings of known truth; two minutes", recordings),
    "open_world": Step("signals of other transmitters; an hour of a core", open_world),
    "named": Step("signals of the library's own transmitter; half an hour of a core", named),
    "families": Step(
        "families of signals, of two generators and recordings; ten minutes of a core", families
    ),
    "unchecked": Step("the same without the check of names; five minutes of a core", unchecked),
    "receiver_time": Step("processor time; two minutes", receiver_time),
    "evaluation_pages": Step("the models' pages; a quarter of an hour of a core", evaluation_pages),
    "front_end": Step("what the front end costs; half an hour of a core", front_end),
    "short_decisions": Step("decisions on few chunks; four minutes", short_decisions),
}


def main() -> None:
    """Run what is not finished."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--list", action="store_true", help="list the benchmarks, and which are finished")
    parser.add_argument("--only", action="append", choices=list(STEPS), help="may be repeated")
    parser.add_argument("--anew", action="store_true", help="forget what was measured before")
    parser.add_argument("--processes", type=int, default=2, help="processes side by side (default 2)")
    parser.add_argument("--minutes", type=float, help="for each benchmark that can be continued, at most")
    parser.add_argument("--against", type=Path, help="checkout that the processor time is compared with")
    arguments = parser.parse_args()
    finished = json.loads(STATE.read_text(encoding="utf-8")) if STATE.is_file() else {}
    if arguments.list:
        for name, step in STEPS.items():
            print(f"{name:18} {finished.get(name, '-'):11} {step.about}")
        return
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    STATE.parent.mkdir(exist_ok=True)
    for name in arguments.only or STEPS:
        if arguments.anew:
            finished.pop(name, None)
        if name in finished:
            continue
        started = time.monotonic()
        settings = Settings(arguments.processes, arguments.minutes, arguments.anew, arguments.against)
        done = STEPS[name].run(settings)
        if done:
            finished[name] = time.strftime("%Y-%m-%d")
        STATE.write_text(json.dumps(finished, indent=1) + "\n", encoding="utf-8")
        took = (time.monotonic() - started) / 60
        print(f"{name}: {'finished' if done else 'to be continued'} after {took:.1f} minutes", flush=True)


if __name__ == "__main__":
    main()
