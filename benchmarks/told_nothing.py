#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `amrq classify FILE` says of recordings of known truth, told their sample rate alone: the front page's table.

The recordings are made by the second generator (`strangers.py`, `transmitters.py`), which shares no code with the
library: one signal somewhere in the band, with noise beside it, in half of them with noise before and after it. The
command is run as a user runs it, and what it prints is read: of several emissions the strongest, of the decisions that
follow on a linear signal the commonest answer (`unsure` counts as such). `examples/recordings` and the like are not
among them.

* right: the modulation that was sent, or, outside the nine linear ones, its family; `unknown`, `linear` or noise for a
  linear modulation that is none of the nine;
* wrong: another name; sure: with a confidence above .9;
* unknown: nothing is claimed (`unknown`, noise, nothing found);
* unsure: the evidence is not enough for one answer among the nine.

Es/N0: unit-power symbols, complex noise power 10^(-x/10) a symbol, after the matched filter. SNR: of a family's signal
over the noise in its occupied bandwidth (99 % of its power).

A run that is stopped, or ends after --minutes, is continued when it is started again. It takes a quarter of an hour of
two cores. --pages writes the table of README.md.

Examples:
  python3 benchmarks/told_nothing.py --anew --processes 2 && python3 benchmarks/told_nothing.py --pages
  python3 benchmarks/told_nothing.py -o trial.csv --draws 0.2 --only bursts
"""

import argparse
import json
import math
import subprocess
import sys
import tempfile
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from families_tables import table, wilson
from numpy.typing import NDArray
from resumable import Table, between, read, write_about
from strangers import STRANGERS, received_stranger, stranger
from transmitters import FOREIGN, NINE, Channel, drawn, noise_alone, receive, symbols, transmit

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "told_nothing.csv"
PAGE = ROOT / "README.md"
SEED = 20261130
SYMBOLS = 6_000
BURSTS, PAUSE = 20, 500
SURE = 0.9
OUTCOMES = ("right", "wrong", "sure", "unknown", "unsure")
NO_NAME = ("unknown", "noise", "nothing", "no signal")
FAMILIES = tuple(name for name in STRANGERS if name not in ("noise", "linear"))
OF_FOREIGN = {"pi/4-DQPSK": "pi4dqpsk", "OQPSK": "oqpsk"}
"""Linear signals outside the nine that have a family, and so a name, of their own."""


class Case(NamedTuple):
    """What is measured in one row of the output."""

    kind: str
    level_db: float
    sent: str


NOTHING, ECHO, SHORT = "one of the nine", "with an echo of -12 dB", "in bursts of 300 symbols"
OTHER, FAMILY, NOISE = "another linear modulation", "another family", "noise alone"
DRAWS = {NOTHING: 6, ECHO: 4, SHORT: 4, OTHER: 3, FAMILY: 6, NOISE: 50}


def cases() -> Iterator[tuple[Case, int]]:
    """All that is measured, and how many recordings of each."""
    for name in NINE:
        for level in (0.0, 5.0, 10.0, 15.0, 20.0):
            yield Case(NOTHING, level, name), DRAWS[NOTHING]
        for kind in (ECHO, SHORT):
            yield Case(kind, 20.0, name), DRAWS[kind]
    for level in (10.0, 20.0):
        for name in FOREIGN:
            yield Case(OTHER, level, name), DRAWS[OTHER]
    for level in (5.0, 10.0, 15.0, 20.0):
        for name in FAMILIES:
            yield Case(FAMILY, level, name), DRAWS[FAMILY]
    yield Case(NOISE, 0.0, "noise"), DRAWS[NOISE]


def recording(case: Case, number: int) -> tuple[NDArray[np.complex64], float]:
    """Make a recording: samples, and samples a second."""
    rng = np.random.default_rng([SEED, zlib.crc32(repr(case).encode()), number])
    rate = float(np.exp(rng.uniform(np.log(20e3), np.log(2e6))))
    if case.kind == NOISE:
        return noise_alone(int(rng.integers(20_000, 200_000)), rng), rate
    if case.kind == FAMILY:
        one = stranger(case.sent, rng)
        rate = one.made.rate
        reach = max(0.0, 0.48 * rate - max(-one.lower, one.upper))
        iq = one.made.iq * _turning(len(one.made.iq), rng.uniform(-reach, reach) / rate)
        placed = one._replace(made=one.made._replace(iq=_between_pauses(iq, rng)))
        # Its mean power with the pauses is below one: the noise is that of the signal while it is on.
        return received_stranger(placed, case.level_db, rng)[0], rate
    channel = drawn(rng)
    spacing = channel.samples_per_symbol
    # Roll-offs are at most .5, and a recording's outer parts are its own filter's.
    reach = max(0.0, 0.48 * spacing - 0.75)
    channel = replace(channel, offset=rng.uniform(-reach, reach))
    if case.kind == ECHO:
        channel = replace(channel, echo_db=-12.0)
    sent = symbols(case.sent, SYMBOLS, rng)
    if case.kind == SHORT:
        sent = _in_bursts(sent)
    iq, spacing = transmit(sent, channel, rng, staggered=case.sent == "OQPSK")
    return receive(_between_pauses(iq, rng), spacing, Channel(), case.level_db, rng), rate


def _turning(count: int, cycles: float) -> NDArray[np.complex128]:
    return np.asarray(np.exp(2j * np.pi * cycles * np.arange(count)))


def _between_pauses(iq: NDArray[Any], rng: np.random.Generator) -> NDArray[Any]:
    """Put silence before and after a signal, in half of the draws."""
    if rng.random() < 0.5:
        return iq
    before, after = (int(rng.uniform(0.1, 0.5) * len(iq)) for _ in range(2))
    return np.concatenate([np.zeros(before), iq, np.zeros(after)])


def _in_bursts(sent: NDArray[Any]) -> NDArray[Any]:
    bursts = sent.reshape(BURSTS, -1)
    return np.hstack([bursts, np.zeros((BURSTS, PAUSE))]).ravel()


class Answer(NamedTuple):
    """What the command said of a recording."""

    text: str
    confidence: float


def said(lines: Iterable[str]) -> dict[str, Answer]:
    """Return what the command printed of each recording, by its path: `--json`, records of emissions or decisions."""
    records: dict[str, list[dict[str, Any]]] = {}
    for line in lines:
        record = json.loads(line)
        records.setdefault(record["source"], []).append(record)
    return {source: _answer(some) for source, some in records.items()}


def _answer(records: list[dict[str, Any]]) -> Answer:
    ends = [record for record in records if record.get("event") == "end"]
    records = [record for record in records if "event" not in record]
    if ends and not records:  # what is linear has decisions after them
        best = max(ends, key=lambda one: -math.inf if one["level_dbfs"] is None else float(one["level_dbfs"]))
        # A linear signal without decisions has its label alone; any other family is its own name.
        text = best["label"] if best["family"] == "linear" else best["family"]
        return Answer(str(text), float(best["confidence"]))
    # Pauses before, between and after bursts are no answers to what the signal is.
    decisions = [one for one in records if one["reason"] not in ("noise", "silent")] or records
    text = Counter(_called(one) for one in decisions).most_common(1)[0][0]
    return Answer(text, max(float(one["confidence"]) for one in decisions if _called(one) == text))


def _called(decision: dict[str, Any]) -> str:
    return "unsure" if decision["reason"] == "unsure" else str(decision["label"])


def outcome(case: Case, answer: Answer) -> str:
    """Return what an answer is worth: one of `OUTCOMES`, `sure` for what is wrong with a confidence above .9."""
    text = answer.text
    right = {case.sent, OF_FOREIGN.get(case.sent, case.sent)}
    if case.kind in (OTHER, NOISE):
        right |= {*NO_NAME, "linear"} if case.kind == OTHER else set(NO_NAME)
    if text in right:
        return "right"
    if text in NO_NAME:
        return "unknown"
    if text in ("unsure", "linear"):
        return "unsure"
    return "sure" if answer.confidence > SURE else "wrong"


def measure(case: Case, numbers: Iterable[int]) -> dict[str, Any]:
    """Make recordings, run the command on them, and count."""
    with tempfile.TemporaryDirectory() as folder:
        answers = [_classified(Path(folder) / f"{number}.cf32", case, number) for number in numbers]
    counts = Counter(outcome(case, answer) for answer in answers)
    row: dict[str, Any] = {**case._asdict(), **{name: counts[name] for name in OUTCOMES}}
    called = Counter(answer.text.replace(" ", "_") for answer in answers)
    row["answers"] = " ".join(f"{text}:{count}" for text, count in sorted(called.items()))
    wrong = (answer for answer in answers if outcome(case, answer) in ("wrong", "sure"))
    row["confidence"] = " ".join(
        f"{answer.text}/{answer.confidence:.2f}".replace(" ", "_") for answer in wrong
    )
    return row


def _classified(path: Path, case: Case, number: int) -> Answer:
    samples, rate = recording(case, number)
    samples.tofile(path)
    command = [sys.executable, "-m", "amrq", "classify", str(path), "--rate", repr(rate), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    if done.returncode:
        raise RuntimeError(f"{case}, {number}: {done.stderr}")
    return next(iter(said(done.stdout.splitlines()).values()), Answer("nothing", 0.0))


def front_table(rows: list[dict[str, str]]) -> str:
    """Write the front page's table."""
    lines = []
    for words, kind, level in (
        *((f"{NOTHING}, Es/N0 {level:g} dB", NOTHING, level) for level in (20, 15, 10, 5, 0)),
        *((f"{NOTHING}, {kind}, 20 dB", kind, 20) for kind in (ECHO, SHORT)),
        *((f"{len(FOREIGN)} other linear modulations, {level:g} dB", OTHER, level) for level in (20, 10)),
        *((f"{len(FAMILIES)} other families, SNR {level:g} dB", FAMILY, level) for level in (20, 15, 10, 5)),
        (NOISE, NOISE, 0),
    ):
        some = [row for row in rows if row["kind"] == kind and float(row["level_db"]) == level]
        counts = {name: sum(int(row[name]) for row in some) for name in OUTCOMES}
        total = sum(counts.values())
        counts["wrong"] += counts["sure"]
        low, high = wilson(counts["right"], total)
        shares = {name: f"{100 * count / total:.0f}" for name, count in counts.items()}
        shares["right"] += f" ({100 * low:.0f} to {100 * high:.0f})".replace(" ", "\u00a0")
        lines.append([words, str(total), *(shares[name] for name in OUTCOMES)])
    heads = ["a recording of", "n", "right, %", "wrong, %", "wrong and sure, %", "unknown, %", "unsure, %"]
    return table(heads, lines)


def filled(page: str, rows: list[dict[str, str]]) -> str:
    """Return the front page with its table."""
    return between(page, "told nothing", front_table(rows))


def main() -> None:
    """Measure, or write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-o", "--output", type=Path, default=RESULTS, help="CSV file to append to")
    parser.add_argument(
        "--draws", type=float, default=1.0, help="share of the usual number of recordings (1)"
    )
    parser.add_argument("--processes", type=int, default=1, help="processes side by side (default 1)")
    parser.add_argument("--minutes", type=float, help="end after so many; a later run goes on")
    parser.add_argument("--anew", action="store_true", help="forget what was measured before")
    parser.add_argument("--only", default="", help="only kinds whose name holds this")
    parser.add_argument("--pages", action="store_true", help="write the table, and measure nothing")
    arguments = parser.parse_args()
    if arguments.pages:
        PAGE.write_text(filled(PAGE.read_text(encoding="utf-8"), read(arguments.output)), encoding="utf-8")
        return
    if arguments.anew:
        arguments.output.unlink(missing_ok=True)
    wanted = [
        (case, max(1, round(arguments.draws * draws)))
        for case, draws in cases()
        if arguments.only in case.kind
    ]
    whole = Table(arguments.output, Case._fields, OUTCOMES).run(
        wanted, measure, arguments.processes, arguments.minutes
    )
    write_about(arguments.output, seed=SEED, share_of_the_draws=arguments.draws, whole=whole)


if __name__ == "__main__":
    main()
