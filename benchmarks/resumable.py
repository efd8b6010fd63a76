# SPDX-License-Identifier: GPL-3.0-or-later
"""Results that are measured row by row, so that a run can be stopped, continued, and made larger.

Each row of the CSV file belongs to a case (what is measured, a named tuple) and counts decisions on numbered signals.
The column `signals` says which: `0-24 50-74`. A run measures only what is missing of the wanted number of signals, in
parts of a few, first a tenth of all, then the rest: whenever it ends, each case has some. When it ends, parts of a case
are put together.

Beside NAME.csv stands NAME.json: date, commit, machine and versions.

>>> numbers_of("0-2 5-5"), numbers_text({0, 1, 2, 5})
({0, 1, 2, 5}, '0-2 5-5')
"""

import csv
import itertools
import json
import os
import platform
import subprocess
import sys
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

import amrq
from amrq.files import write_whole
from amrq.machine import processor_name

__all__ = ["Table", "between", "machine", "numbers_of", "numbers_text", "read", "write_about"]

Row = dict[str, str]

PART = 20
"""Signals measured in one go at most, between two looks at the time."""
FIRST_ROUND = 0.1
"""Share of the signals of every case that is measured before the rest of any."""
_TOLD_EVERY = 20.0  # seconds


def machine(**more: object) -> dict[str, Any]:
    """Return date, commit, machine and versions, and what else is to be kept with a result."""
    about: dict[str, Any] = {"date": time.strftime("%Y-%m-%d"), "commit": _commit(), "amrq": amrq.__version__}
    about |= {"processor": processor_name(), "cores": os.cpu_count(), "python": platform.python_version()}
    for package in ("numpy", "scipy", "onnxruntime"):
        try:
            about[package] = version(package)
        except PackageNotFoundError:
            about[package] = None
    return about | more


def _commit() -> str:
    """Return the commit of the code that is measured, with a `+` where files differ from it."""
    words = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--abbrev=10", "--dirty=+"]
    try:
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def write_about(path: Path, **more: object) -> None:
    """Write `machine` beside a result."""
    write_whole(path.with_suffix(".json"), json.dumps(machine(**more), indent=1) + "\n")


def read(path: Path) -> list[Row]:
    """Return the rows that are there already."""
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def numbers_of(text: str) -> set[int]:
    """Return the signals that a row's column `signals` names."""
    ends = (part.split("-") for part in text.split())
    return {number for first, last in ends for number in range(int(first), int(last) + 1)}


def numbers_text(numbers: Iterable[int]) -> str:
    """Write numbers of signals as ranges."""
    runs = [
        [number for _, number in run]
        for _, run in itertools.groupby(enumerate(sorted(numbers)), lambda pair: pair[1] - pair[0])
    ]
    return " ".join(f"{run[0]}-{run[-1]}" for run in runs)


def between(page: str, mark: str, text: str) -> str:
    """Return a page with a text between `<!-- MARK -->` and `<!-- end of MARK -->`.

    >>> between("before <!-- x --> old <!-- end of x --> after", "x", "new")
    'before <!-- x -->\\n\\nnew\\n<!-- end of x --> after'
    """
    before, rest = page.split(f"<!-- {mark} -->")
    after = rest.split(f"<!-- end of {mark} -->")[1]
    return f"{before}<!-- {mark} -->\n\n{text}\n<!-- end of {mark} -->{after}"


@dataclass(frozen=True)
class Table:
    """A CSV file of results.

    Attributes:
        path: of the file.
        case_fields: columns that name a case.
        counts: columns that are added up where parts are put together.
        words: columns that hold words with a space between, which are sorted where parts are put together.
        limits: columns of which the least (`..._low`) or the largest counts.
    """

    path: Path
    case_fields: tuple[str, ...]
    counts: tuple[str, ...]
    words: tuple[str, ...] = ("confidence",)
    limits: tuple[str, ...] = ()

    @property
    def fields(self) -> tuple[str, ...]:
        """All columns. `answers` holds pairs `answer:count`."""
        return (*self.case_fields, "signals", *self.counts, "answers", *self.limits, *self.words)

    def run(
        self,
        wanted: Iterable[tuple[Any, int]],
        measure: Callable[[Any, list[int]], dict[str, Any]],
        processes: int = 1,
        minutes: float | None = None,
    ) -> bool:
        """Measure what is missing.

        Args:
            wanted: cases, named tuples, and how many signals of each.
            measure: returns a row for a case and the numbers of some of its signals, without the column `signals`.
            processes: side by side.
            minutes: after so many no part is begun any more; None: all are measured.

        Returns:
            whether all is measured.
        """
        wanted = list(wanted)
        parts = list(self._missing(wanted))
        started, done, told = time.monotonic(), 0, 0.0
        new = not self.path.is_file()
        with (
            self.path.open("a", newline="", encoding="utf-8") as file,
            ProcessPoolExecutor(processes) as pool,
        ):
            writer = csv.DictWriter(file, self.fields, lineterminator="\n")
            if new:
                writer.writeheader()
            left, under_way = iter(parts), dict[Future[dict[str, Any]], list[int]]()
            while True:
                passed = time.monotonic() - started
                while len(under_way) < processes and (minutes is None or passed < 60 * minutes):
                    part = next(left, None)
                    if part is None:
                        break
                    under_way[pool.submit(measure, *part)] = part[1]
                if not under_way:
                    break
                for future in wait(under_way, return_when=FIRST_COMPLETED).done:
                    writer.writerow({**future.result(), "signals": numbers_text(under_way.pop(future))})
                    file.flush()
                    done += 1
                passed = time.monotonic() - started
                if passed > told + _TOLD_EVERY or done == len(parts):
                    told, rest = passed, passed / done * (len(parts) - done) / 60
                    sys.stderr.write(f"{self.path.name}: {done} of {len(parts)} parts, {rest:.0f} min left\n")
        self._put_together([case for case, _ in wanted])
        return done == len(parts)

    def _missing(self, wanted: Iterable[tuple[Any, int]]) -> Iterator[tuple[Any, list[int]]]:
        """Yield parts: in each round those of all kinds mixed, so that a run that is stopped has some of each."""
        there: dict[tuple[str, ...], set[int]] = {}
        for row in read(self.path):
            key = tuple(row[field] for field in self.case_fields)
            there.setdefault(key, set()).update(numbers_of(row["signals"]))
        rounds: tuple[list[tuple[Any, list[int]]], ...] = ([], [])
        for case, count in wanted:
            missing = sorted(set(range(count)) - there.get(tuple(map(str, case)), set()))
            first = max(1, round(FIRST_ROUND * count))
            for some, parts in zip((missing[:first], missing[first:]), rounds, strict=True):
                parts += [(case, some[place : place + PART]) for place in range(0, len(some), PART)]
        for parts in rounds:
            yield from sorted(parts, key=lambda part: zlib.crc32(repr(part).encode()))

    def _put_together(self, order: list[Any]) -> None:
        """Write the file anew with one row a case, in this order; other cases follow."""
        rows = read(self.path)
        keys = [*(tuple(map(str, case)) for case in order)]
        keys += [tuple(row[field] for field in self.case_fields) for row in rows]
        by_case: dict[tuple[str, ...], list[Row]] = {key: [] for key in keys}
        for row in rows:
            by_case[tuple(row[field] for field in self.case_fields)].append(row)
        temporary = self.path.with_suffix(".part")
        with temporary.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, self.fields, lineterminator="\n")
            writer.writeheader()
            writer.writerows(self._added(some) for some in by_case.values() if some)
        temporary.replace(self.path)

    def _added(self, rows: list[Row]) -> Row:
        """Return the rows of one case as one."""
        out = dict(rows[0])
        out["signals"] = numbers_text(set().union(*(numbers_of(row["signals"]) for row in rows)))
        for field in self.counts:
            out[field] = str(sum(int(row[field]) for row in rows))
        answers = Counter[str]()
        for row in rows:
            for pair in row["answers"].split():
                text, count = pair.rsplit(":", 1)
                answers[text] += int(count)
        out["answers"] = " ".join(f"{text}:{count}" for text, count in sorted(answers.items()))
        for field in self.words:
            out[field] = " ".join(sorted(word for row in rows for word in row[field].split()))
        for field in self.limits:
            values = [float(row[field]) for row in rows if row[field]]
            chosen = (np.min if field.endswith("_low") else np.max)(values) if values else None
            out[field] = "" if chosen is None else f"{chosen:.1f}"
        return out
