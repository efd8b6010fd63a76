#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Is the symbol rate right? Signals of independent transmitters, alone and beside a neighbour as strong; others too.

`transmitters.py` makes the signals: the nine modulations, all of its pulses, 2 to 64 samples a symbol, 10 to 20 dB,
4,800 symbols or what fits in 131,072 samples, as `amrq classify` looks at. The neighbour has the same power, a pulse, a
modulation and 0.5 to 2 times the symbol rate at random; its main lobe begins 5 to 50 % of both half widths beyond that
of the signal, and its side lobes lie under it. Which of the two is meant is said by an offset that is right to 2 % of
the symbol rate. Signals that are not linear count as wrong where another rate than their symbol rate is called clear.

Right is an estimate within 0.2 % that is called clear, wrong another one that is called clear. Finished rows are
appended; a run that is started again continues.

Examples:
  python3 benchmarks/symbol_rate.py
  python3 benchmarks/symbol_rate.py -o trial.csv --signals 2
  python3 benchmarks/symbol_rate.py --report
"""

import argparse
import itertools
import sys
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from resumable import Row, Table, read, write_about
from transmitters import HELD, NINE, OTHERS, PULSES, Channel, drawn, other, receive, symbols, transmit

from amrq.evaluation import clopper_pearson
from amrq.identify import SignalSearch, find_signal

RESULTS = Path(__file__).parent / "results" / "symbol_rate.csv"
SEED = 20261201
SYMBOLS, SAMPLES = 4_800, 131_072
WITHIN = 0.002
LEVELS = (10.0, 15.0, 20.0)
ALONE, NEIGHBOUR, NOT_LINEAR = "alone", "beside a neighbour", "not linear"
SPACINGS = {
    ALONE: ("2 to 4", "4 to 8", "8 to 16", "16 to 32", "32 to 64"),
    NEIGHBOUR: ("5 to 8", "8 to 16", "16 to 32", "32 to 64"),
    NOT_LINEAR: ("3 to 24",),
}
HALF_WIDTHS = {"rectangular": 1.0, HELD: 1.0, "Gaussian": 1.0, "half-sine": 1.5}
"""From the middle of the spectrum to the end of its main lobe, over the symbol rate, where there is no roll-off."""


class Case(NamedTuple):
    """What is measured in one row of the output."""

    place: str
    sent: str  # a pulse, or one of OTHERS
    spacing: str  # samples a symbol
    es_n0_db: float


COUNTS = ("right", "wrong", "not_clear")


def cases(signals: int) -> Iterator[tuple[Case, int]]:
    """All that is measured, and how many signals of each."""
    for place, names in ((ALONE, PULSES), (NEIGHBOUR, PULSES), (NOT_LINEAR, OTHERS)):
        for name, spacing, level in itertools.product(names, SPACINGS[place], LEVELS):
            yield Case(place, name, spacing, level), signals


def half_width(pulse: str) -> float:
    """Return half of a pulse's bandwidth over the symbol rate, side lobes left out."""
    return HALF_WIDTHS[pulse] if pulse in HALF_WIDTHS else (1 + float(pulse.split()[1])) / 2


def neighbour(pulse: str, spacing: float, samples: int, rng: np.random.Generator) -> NDArray[np.complex128]:
    """Return another signal of unit power that fits into the band beside a signal of this pulse."""
    while True:
        beside, rate = str(rng.choice(list(PULSES))), float(rng.uniform(0.5, 2))
        own, others = half_width(pulse), half_width(beside) * rate
        away = float(rng.choice([-1, 1])) * (own + others) * rng.uniform(1.05, 1.5)
        if abs(away) + others < 0.48 * spacing:
            break
        rate *= 0.5
    count = round(samples * rate / spacing)
    channel = Channel(beside, samples / count, away / spacing * samples / count)
    return transmit(symbols(str(rng.choice(list(NINE))), count, rng), channel, rng)[0][:samples]


def signal_of(case: Case, number: int) -> tuple[NDArray[np.complex64], float]:
    """Return a signal and its samples a symbol."""
    rng = np.random.default_rng([SEED, zlib.crc32(repr(case).encode()), number])
    low, high = map(float, case.spacing.split(" to "))
    spacing = float(np.exp(rng.uniform(np.log(low), np.log(high))))
    if case.sent == HELD:
        spacing = float(round(spacing))
    count = int(min(SYMBOLS, SAMPLES // spacing))
    if case.place == NOT_LINEAR:
        spacing = round(count * spacing) / count
        x, channel = other(case.sent, count, spacing, rng), Channel()
    else:
        channel = replace(drawn(rng, pulse=case.sent), samples_per_symbol=spacing)
        x, spacing = transmit(symbols(str(rng.choice(list(NINE))), count, rng), channel, rng)
    if case.place == NEIGHBOUR:
        x = x + neighbour(case.sent, spacing, len(x), rng)
    return receive(x, spacing, channel, case.es_n0_db, rng), spacing


def answer(case: Case, number: int) -> tuple[str, str]:
    """Return `right`, `wrong` or `not_clear`, and the wrong rate over the right one."""
    samples, spacing = signal_of(case, number)
    found = find_signal(samples, spacing, SignalSearch(offset=0.0 if case.place == NEIGHBOUR else None))
    if not found.sure or found.symbol_rate is None:
        return "not_clear", ""
    rate = found.symbol_rate.rate
    return ("right", "") if abs(rate - 1) < WITHIN else ("wrong", f"{rate:.4f}")


def measure(case: Case, numbers: list[int]) -> dict[str, Any]:
    """Estimate the symbol rates of some signals and count."""
    answers = [answer(case, number) for number in numbers]
    counted = Counter(text for text, _ in answers)
    return {
        **case._asdict(),
        **{name: counted[name] for name in COUNTS},
        "answers": " ".join(f"{text}:{count}" for text, count in sorted(counted.items())),
        "wrong_rates": " ".join(sorted(rate for _, rate in answers if rate)),
    }


def cell(count: int, of: int) -> str:
    """Return a share in per cent with its 95 % interval."""
    low, high = clopper_pearson(count, of)
    return f"{100 * count / of:.1f} ({100 * low:.1f} to {100 * high:.1f})"


def line(name: str, rows: list[Row]) -> str:
    """Return a line of a table."""
    right, wrong, unclear = (sum(int(row[count]) for row in rows) for count in COUNTS)
    n = right + wrong + unclear
    return f"| {name} | {n:,} | {cell(right, n)} | {cell(wrong, n)} | {cell(unclear, n)} |"


def report(rows: list[Row]) -> str:
    """Return tables in Markdown: by pulse, by samples a symbol and by level, alone and beside a neighbour."""
    lines = []
    for place in (ALONE, NEIGHBOUR, NOT_LINEAR):
        some = [row for row in rows if row["place"] == place]
        if not some:
            continue
        lines += [
            f"| {place} | estimates | right, % | wrong, % | not clear, % |",
            "|---|---:|---:|---:|---:|",
        ]
        for field, unit in (("sent", ""), ("spacing", " samples a symbol"), ("es_n0_db", " dB")):
            for value in dict.fromkeys(row[field] for row in some):
                lines.append(line(value + unit, [row for row in some if row[field] == value]))
        lines += [line("all", some), ""]
    return "\n".join(lines)


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-o", "--output", type=Path, default=RESULTS, help="CSV file to append to")
    parser.add_argument("--signals", type=int, default=12, help="signals of each case (default 12)")
    parser.add_argument("--processes", type=int, default=1, help="processes side by side (default 1)")
    parser.add_argument("--minutes", type=float, help="begin nothing after so many minutes")
    parser.add_argument("--report", action="store_true", help="only report what is there")
    arguments = parser.parse_args()
    if not arguments.report:
        table = Table(arguments.output, Case._fields, COUNTS, ("wrong_rates",))
        table.run(cases(arguments.signals), measure, arguments.processes, arguments.minutes)
        write_about(arguments.output)
    sys.stdout.write(report(read(arguments.output)))


if __name__ == "__main__":
    main()
