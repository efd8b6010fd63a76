#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""How often `identify_emission` names the number of phases of PSK that was sent, and how often anybody could.

The looks are those of `families.py`, of BPSK to 16PSK alone, as many of each: of the module's generator, a third of
whose data are no random symbols (frames with preambles, words that are sent again and again, runs, leaders), and of
strangers. Besides, the bound: who is told symbol rate, moment, pulse, offset and phase, so that symbols of random data
in white noise are left, names the likeliest number of up to 16 phases, or of up to 32.

Right: the number that was sent and no other; none given: no number; wrong: another one, or one of another family.

A run that is stopped is continued when it is started again. --pages writes the table of docs/family-figures.md.

Examples:
  python3 benchmarks/psk_order.py --anew --pages
  python3 benchmarks/psk_order.py --seed 5 -o trial.csv --draws 0.25
"""

import argparse
import math
import sys
import zlib
from collections import Counter
from pathlib import Path
from typing import Any

import families
import numpy as np
from families import Case
from families_tables import PAGE, WORDS, share, table
from resumable import Table, between, read, write_about

RESULTS = families.ROOT / "benchmarks" / "results" / "psk_order.csv"
LEVELS = (10.0, 15.0, 20.0)
PSK = ("BPSK", "pi/2-BPSK", "QPSK", "8PSK", "16PSK")
DRAWS = {"own": 27, "patterns": 13, "strangers": 50, "bound": 100}
"""Looks of each constellation and level."""
COUNTS = ("order_n", "order_right", "order_told", "order_sure_wrong", "order_right_32")
SURE = 0.9


def cases() -> list[tuple[Case, int]]:
    """Return all that is measured, and how many looks of each."""
    found = []
    for part, count in DRAWS.items():
        for level in LEVELS:
            names = [name for name in PSK if part != "strangers" or name != "pi/2-BPSK"]
            found += [(Case(part, level, "linear", name), count) for name in names]
    return found


def likelihood(symbols: np.ndarray[Any, np.dtype[np.complex128]], phases: int, es_n0: float) -> float:
    """Return the logarithm of the likelihood of symbols of known phase, but for what all numbers have in common."""
    points = np.exp(2j * np.pi * np.arange(phases) / phases)
    each = 2 * es_n0 * (symbols[:, None] * points.conj()).real
    return float(np.logaddexp.reduce(each, axis=1).sum()) - len(symbols) * math.log(phases)


def bound(case: Case, number: int) -> tuple[bool, bool]:
    """Return whether the likeliest number of phases is the one sent: of up to 16, and of up to 32."""
    rng = np.random.default_rng([families.SEED, zlib.crc32(repr(case).encode()), number])
    told = families.drawn(case, rng)
    order = families.PHASES[case.name]
    count = round(families.product_of(told.bandwidth) / told.bandwidth * told.symbol_rate)
    es_n0 = 10 ** (case.snr_db / 10) * told.bandwidth / told.symbol_rate
    turn = np.exp(0.5j * np.pi * np.arange(count))
    sent = np.exp(2j * np.pi * rng.integers(order, size=count) / order)
    noise = rng.standard_normal(2 * count).view(np.complex128) / math.sqrt(2 * es_n0)
    symbols = sent * (turn if case.name == "pi/2-BPSK" else 1.0) + noise
    found = {
        name: likelihood(symbols, families.PHASES[name], es_n0) for name in (*PSK, "32PSK") if "/" not in name
    }
    found["pi/2-BPSK"] = likelihood(symbols * turn.conj(), 2, es_n0)
    usual = {name: value for name, value in found.items() if name != "32PSK"}
    best, of_all = (max(some, key=lambda name: some[name]) for some in (usual, found))
    return families.PHASES[best] == order, families.PHASES[of_all] == order


def measure(case: Case, numbers: list[int]) -> dict[str, Any]:
    """Identify looks, or decide on symbols, and count."""
    sums = Counter[str]()
    for number in numbers:
        sums["order_n"] += 1
        if case.part == "bound":
            right, of_all = bound(case, number)
            sums.update(order_told=1, order_right=right, order_right_32=of_all)
            continue
        look, _ = families.look_of(case, number)
        assert look is not None
        found, _ = families.identified(look, None)
        told = families.order_of(found)
        sums.update(order_told=told > 0, order_right=told == look.order)
        sums["order_sure_wrong"] += told not in (0, look.order) and found.confidence > SURE
    return {**case._asdict(), **{name: sums[name] for name in COUNTS}, "answers": ""}


def order_table(rows: list[dict[str, str]]) -> str:
    """Return the table of the page."""
    heads = ["", "SNR, dB", "n", "right, %", "of random data, %", "of others, %", "none given, %", "wrong, %"]
    heads += ["wrong and sure by more than .9", "bound, up to 16 phases, %", "bound, up to 32, %"]
    lines = []
    for part in ("own", "strangers"):
        parts = ("own", "patterns") if part == "own" else (part,)
        for names in ((*PSK,), *((name,) for name in PSK)):
            for level in LEVELS:
                some = [row for row in rows if row["name"] in names and float(row["snr_db"]) == level]
                sums = {one: _sums(some, one) for one in (*parts, "bound")}
                n, right, told, sure, _ = np.sum([sums[one] for one in parts], axis=0).tolist()
                if not n:
                    continue
                words = f"`{names[0]}`" if len(names) == 1 else "PSK"
                cells = [f"{words}, {WORDS[part]}", f"{level:g}", str(n), share(right, n)]
                cells += [share(sums[one][1], sums[one][0], 0, False) for one in parts]
                cells += ["-"] * (2 - len(parts))
                cells += [share(n - told, n, 1, False), share(told - right, n, 1, False), str(sure)]
                of, usual, _, _, all_of = sums["bound"]
                known = part == "own" and of
                cells += [share(usual, of, 0, False), share(all_of, of, 0, False)] if known else ["-", "-"]
                lines.append(cells)
    return table(heads, lines)


def _sums(rows: list[dict[str, str]], part: str) -> list[int]:
    return [sum(int(row[name]) for row in rows if row["part"] == part) for name in COUNTS]


def main() -> None:
    """Measure what is missing, and write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-o", "--output", type=Path, default=RESULTS, help="CSV of results")
    parser.add_argument("--draws", type=float, default=1.0, help="times the usual number of looks")
    parser.add_argument("--seed", type=int, default=families.SEED, help="for other looks; keep results apart")
    parser.add_argument("--processes", type=int, default=1, choices=(1, 2), help="side by side")
    parser.add_argument("--anew", action="store_true", help="forget what was measured before")
    parser.add_argument("--pages", action="store_true", help="write the page's table as well")
    arguments = parser.parse_args()
    families.SEED = arguments.seed
    if arguments.anew:
        arguments.output.unlink(missing_ok=True)
    wanted = [(case, max(1, round(arguments.draws * count))) for case, count in cases()]
    results = Table(arguments.output, families.TABLE_FIELDS, COUNTS, words=())
    whole = results.run(wanted, measure, arguments.processes)
    write_about(arguments.output, whole=whole, seed=arguments.seed, draws=arguments.draws)
    made = order_table(read(arguments.output))
    sys.stdout.write(made)
    if arguments.pages:
        PAGE.write_text(between(PAGE.read_text(encoding="utf-8"), "psk order", made), encoding="utf-8")


if __name__ == "__main__":
    main()
