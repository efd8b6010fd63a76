#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Count right, wrong, missed and undecided decisions on signals of known truth, through the whole receiver.

Each signal goes through `identify_linear`, which does what the flowgraph of `amrq classify` does (a test holds one
against the other): the signal is found, received, divided into chunks of 32 symbols and classified by the default
model; decisions are on 32 chunks (1,024 symbols), all with default settings.

One decision counts for each signal: the one that contains symbol 1,536, which is the second complete decision. So
decisions are independent, and the front end has settled. Of a signal in bursts, each burst counts: it has a name if a
decision that overlaps its middle gives one.

* right: the answer is the modulation that was sent; for a signal outside the classes, `unknown` or noise;
* misnamed: the answer is another modulation;
* missed: the answer is `unknown` or noise for a modulation of the classes;
* undecided: the answer is `unsure`, or there is no answer, because no symbol rate was found.

`amrq.evaluation.open_set` is this definition.
Unless a row says otherwise: Es/N0 20 dB (unit-power symbols, complex noise power 10^(-x/10) a symbol, after the
matched filter; an echo counts as signal, a line at 0 Hz does not), 4.7 samples a symbol, root raised cosine of roll-off
0.35, which the receiver estimates, carrier off by up to 2 % of the symbol rate, and the receiver is given the
symbol rate and the sample rate and nothing else.

A run that is stopped, or ends after --minutes, is continued when it is started again, and one with more --draws
measures only what is missing. --pages writes the tables of docs/answers.md and docs/limits.md from the
output; a test compares them.

Examples:
  python3 benchmarks/named.py --anew --processes 2 && python3 benchmarks/named.py --pages
  python3 benchmarks/named.py -o trial.csv --draws 0.1 --only echo
"""

import argparse
import itertools
import json
import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from resumable import Table, read, write_about

from amrq.classes import OTHER_LINEAR, THESIS_9
from amrq.classifier import make_classifier
from amrq.evaluation import NO_ANSWER, NO_SYMBOL_RATE, Tally, answer_of, clopper_pearson, outcome
from amrq.identify import Identification, identify_linear
from amrq.signals import Conditions, received_under

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "named.csv"
RECORDINGS = ROOT / "benchmarks" / "results" / "recordings.json"
"""What `python3 examples/headless.py --recordings-only` writes as summary.json."""
SYMBOL_RATE = 10e3
SEED = 20261129
SYMBOLS = 2_200
LOOKED_FOR = 8_192
"""Symbols of a signal whose symbol rate is looked for."""
COUNTED_AT = 1_536
BURSTS, PAUSE = 10, 1_000
USUAL = Conditions(samples_per_symbol=4.7, rolloff=0.35)
MOST_OFF = 0.02


class Case(NamedTuple):
    """What is measured in one row of the output."""

    kind: str
    value: str
    es_n0_db: float
    sent: str
    given: str  # what the receiver is given: "symbol rate" or "nothing"


OUTCOMES = ("right", "misnamed", "missed", "undecided")
COUNTS = ("decisions", *OUTCOMES)
LIMITS = ("es_n0_low", "es_n0_high")

KNOWN_LEVELS = (0.0, 2.5, 5.0, 7.5, 10.0, 12.5, 15.0, 20.0)
OTHER_LEVELS = (10.0, 15.0, 20.0, 25.0)
IMPAIRED = {
    "echo 1 symbol late": tuple(f"{db:g} dB" for db in (-20, -12, -9, -6, -3)),
    "echo 3 symbols late": tuple(f"{db:g} dB" for db in (-20, -12, -9, -6, -3)),
    "line at 0 Hz, carrier up to 2 % beside it": tuple(f"{db:g} dB" for db in (-20, -14, -10, -6, -3)),
    "line on the carrier": tuple(f"{db:g} dB" for db in (-20, -14, -10, -6, -3)),
    "symbol rate given wrongly": tuple(
        f"{times:g} times" for times in (0.5, 0.96, 0.98, 0.99, 0.995, 1.005, 1.01, 1.02, 1.04, 2)
    ),
    "clipping": tuple(f"rails end at {times:g} RMS" for times in (2, 1.4, 1, 0.7)),
    "drift": tuple(f"{step:g} cycles/symbol²" for step in (2e-5, 4e-5, 6e-5, 1e-4, 2e-4)),
    "off the middle": tuple(f"{share:g} % of the symbol rate" for share in (5, 10, 15, 20, 30)),
    "repeated pattern": ("two opposite points in turn", "0x7E", "one point"),
    "bursts": tuple(f"{length} symbols" for length in (100, 200, 300, 500, 1000)),
    "rectangular pulses": ("8 samples a symbol",),
}
"""What is wrong with signals of the nine classes, where the symbol rate is given."""
UNGIVEN = {
    "nothing wrong": ("4.7 samples a symbol",),
    "rectangular pulses": tuple(f"{samples} samples a symbol" for samples in (4, 8, 16)),
}
"""The same where it is not."""
UNGIVEN_LEVELS = (7.5, 10.0, 15.0, 20.0)
DRAWS = {"known": 40, "other": 60, "wrong": 12, "bursts": 2}
"""Signals a case: of the nine classes without anything wrong, of another modulation, with something wrong."""


def cases() -> Iterator[tuple[Case, int]]:
    """All that is measured, and how many signals of each."""
    for name in THESIS_9:
        for level in KNOWN_LEVELS:
            yield Case("nothing wrong", "", level, name, "symbol rate"), DRAWS["known"]
    for name in OTHER_LINEAR:
        for level in OTHER_LEVELS:
            yield Case("another modulation", "", level, name, "symbol rate"), DRAWS["other"]
    for given, kinds in (("symbol rate", IMPAIRED), ("nothing", UNGIVEN)):
        for kind, values in kinds.items():
            for value in values:
                levels = UNGIVEN_LEVELS if kind == "nothing wrong" else (20.0,)
                for level, name in itertools.product(levels, THESIS_9):
                    draws = DRAWS["bursts"] if kind == "bursts" else DRAWS["wrong"]
                    yield Case(kind, value, level, name, given), draws


def number_in(value: str) -> float:
    """Return the first number of a row's value."""
    found = re.match(r"[^-\d]*(-?\d+(?:\.\d+)?(?:e-?\d+)?)", value)
    assert found is not None, value
    return float(found[1])


def conditions_of(case: Case, rng: np.random.Generator) -> Conditions:
    """Return how a signal of this case is sent and received."""
    usual = replace(USUAL, offset=float(rng.uniform(-MOST_OFF, MOST_OFF)))
    if case.sent in OTHER_LINEAR:
        usual = replace(usual, stagger=OTHER_LINEAR[case.sent].stagger)
    number = number_in(case.value) if re.search(r"\d", case.value) else 0.0
    match case.kind:
        case "echo 1 symbol late":
            return replace(usual, echo_db=number, echo_delay=1.0)
        case "echo 3 symbols late":
            return replace(usual, echo_db=number, echo_delay=3.0)
        case "line at 0 Hz, carrier up to 2 % beside it":
            return replace(usual, line_db=number)
        case "line on the carrier":
            return replace(usual, line_db=number, offset=0.0)
        case "clipping":
            return replace(usual, clip=number)
        case "drift":
            return replace(usual, drift=number * rng.choice([-1.0, 1.0]))
        case "off the middle":
            return replace(usual, offset=number / 100 * rng.choice([-1.0, 1.0]))
        case "rectangular pulses":
            return replace(usual, rolloff=None, samples_per_symbol=number)
        case _:
            return usual


def symbols_of(case: Case, rng: np.random.Generator) -> NDArray[np.complex64]:
    """Draw what is sent."""
    if case.sent in OTHER_LINEAR:
        return OTHER_LINEAR[case.sent].symbols(SYMBOLS, rng)
    points = THESIS_9[case.sent].points
    count = LOOKED_FOR if case.given == "nothing" else SYMBOLS
    if case.kind == "repeated pattern":
        return pattern(case.value, points, count)
    if case.kind == "bursts":
        length = int(number_in(case.value))
        burst = rng.choice(points, (BURSTS, length))
        return np.hstack([burst, np.zeros((BURSTS, PAUSE), np.complex64)]).ravel()
    return rng.choice(points, count)


def pattern(value: str, points: NDArray[np.complex64], count: int) -> NDArray[np.complex64]:
    """Return an idle transmitter's symbols: bits as they are, the first the highest, numbering the points."""
    order = len(points)
    if value == "one point":
        numbers = np.zeros(count, dtype=np.int64)
    elif value == "0x7E":
        width = order.bit_length() - 1
        bits = np.resize([0, 1, 1, 1, 1, 1, 1, 0], count * width).reshape(count, width)
        numbers = bits @ (1 << np.arange(width)[::-1])
    else:
        opposite = int(np.argmin(np.abs(points + points[0])))
        numbers = np.resize([0, opposite], count)
    return points[numbers]


def decisions_on(
    samples: NDArray[np.complex64], case: Case, samples_per_symbol: float
) -> Identification | None:
    """Return what `amrq classify` would decide; None where it finds no symbol rate."""
    rate: float | None = SYMBOL_RATE
    if case.kind == "symbol rate given wrongly":
        rate = SYMBOL_RATE * number_in(case.value)
    if case.given == "nothing":
        rate = None
    found = identify_linear(samples, samples_per_symbol * SYMBOL_RATE, rate)
    return found if found.symbol_rate else None


class Answer(NamedTuple):
    """What one signal, or one burst, was called."""

    text: str  # see `amrq.evaluation.answer_of`
    es_n0_db: float | None = None
    confidence: float | None = None


def answers_to(case: Case, number: int) -> list[Answer]:
    """Send one signal and return the answers that count: one, or one a burst."""
    rng = np.random.default_rng([SEED, zlib.crc32(repr(case).encode()), number])
    symbols = symbols_of(case, rng)
    conditions = conditions_of(case, rng)
    samples = received_under(symbols, conditions, case.es_n0_db, rng)
    found = decisions_on(samples, case, conditions.samples_per_symbol)
    if found is None:
        return [Answer(NO_SYMBOL_RATE)]
    places = [float(COUNTED_AT)]
    if case.kind == "bursts":
        length = int(number_in(case.value))
        places = list((length + PAUSE) * np.arange(BURSTS) + length / 2)
    return [answer_at(found, place * conditions.samples_per_symbol) for place in places]


def answer_at(found: Identification, sample: float) -> Answer:
    """Return what the decision that holds a sample says."""
    decision = found.at(sample)
    if decision is None:
        return Answer(NO_ANSWER)
    return Answer(answer_of(decision), decision.es_n0_db, decision.confidence)


def measure(case: Case, numbers: Iterable[int]) -> dict[str, Any]:
    """Send signals and count."""
    answers = [answer for number in numbers for answer in answers_to(case, number)]
    texts = Counter(answer.text for answer in answers)
    levels = [a.es_n0_db for a in answers if a.text == case.sent and a.es_n0_db is not None]
    wrong = [a.confidence for a in answers if outcome(a.text, case.sent) == "misnamed"]
    return {
        **case._asdict(),
        "decisions": texts.total(),
        **asdict(Tally.of_answers(texts, case.sent)),
        "answers": " ".join(f"{text.replace(' ', '_')}:{n}" for text, n in sorted(texts.items())),
        "es_n0_low": f"{min(levels):.1f}" if levels else "",
        "es_n0_high": f"{max(levels):.1f}" if levels else "",
        "confidence": " ".join(f"{one:.3f}" for one in sorted(filter(None, wrong))),
    }


class Found(NamedTuple):
    """Rows put together."""

    tally: Tally
    called: Counter[str]  # wrong names; with what was sent before it, where that was one of several
    no_rate: int
    confidence: list[float]  # of wrong names
    es_n0_db: tuple[float, float] | None


Rows = list[dict[str, str]]
WORDS = {"right": "right", "misnamed": "wrong name", "missed": "missed", "undecided": "undecided"}


def together(rows: Rows) -> Found:
    """Add up rows."""
    several = len({row["sent"] for row in rows}) > 1
    tally, called, no_rate = Tally(), Counter[str](), 0
    for row in rows:
        tally += Tally(*(int(row[what]) for what in OUTCOMES))
        for label, count in answers_in(row).items():
            no_rate += count if label == NO_SYMBOL_RATE else 0
            if outcome(label, row["sent"]) == "misnamed":
                called[f"{row['sent']} as {label}" if several else label] += count
    levels = [float(row[end]) for row in rows for end in ("es_n0_low", "es_n0_high") if row[end]]
    confidence = [float(one) for row in rows for one in row.get("confidence", "").split()]
    return Found(tally, called, no_rate, confidence, (min(levels), max(levels)) if levels else None)


def answers_in(row: dict[str, str]) -> dict[str, int]:
    """Return how often each answer was given."""
    pairs = (pair.rsplit(":", 1) for pair in row["answers"].split())
    return {label.replace("_", " "): int(count) for label, count in pairs}


def per_cent(count: int, of: int, interval: bool = True) -> str:
    """Write a share in per cent, with its 95 % interval; a dash where nothing was measured."""
    if not of:
        return "-"
    low, high = clopper_pearson(count, of)
    share = f"{100 * count / of:.0f}"
    # Spaces at which no line is broken: an interval stays on one line of its cell.
    return f"{share} ({100 * low:.0f} to {100 * high:.0f})".replace(" ", "\u00a0") if interval else share


def table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Write a table in Markdown; the first column is text."""
    lines = [list(heads), *(list(row) for row in rows)]
    lines.insert(1, ["---", *("---:" for _ in lines[0][1:])])
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def of(rows: Rows, kind: str, given: str = "symbol rate", **wanted: object) -> Rows:
    """Select rows of a kind."""
    return [
        row
        for row in rows
        if row["kind"] == kind and row["given"] == given and all(row[k] == str(v) for k, v in wanted.items())
    ]


def known_table(rows: Rows) -> str:
    """Signals of the nine classes with nothing wrong, against Es/N0."""
    found = [together(of(rows, "nothing wrong", es_n0_db=level)) for level in KNOWN_LEVELS]
    return table(
        ["Es/N0, dB", *(f"{level:g}" for level in KNOWN_LEVELS)],
        [
            [f"{WORDS[what]}, %", *(per_cent(getattr(f.tally, what), f.tally.total, False) for f in found)]
            for what in OUTCOMES
        ],
    )


def classes_table(rows: Rows) -> str:
    """The share of right decisions of each class, and what Es/N0 they state."""
    lines = []
    for name in THESIS_9:
        found = [together(of(rows, "nothing wrong", es_n0_db=level, sent=name)) for level in KNOWN_LEVELS]
        lines.append([name, *(per_cent(f.tally.right, f.tally.total, False) for f in found)])
    found = [together(of(rows, "nothing wrong", es_n0_db=level)) for level in KNOWN_LEVELS]
    stated = ["-" if f.es_n0_db is None else "{:.0f} to {:.0f}".format(*f.es_n0_db) for f in found]
    for what in OUTCOMES:
        shares = (per_cent(getattr(f.tally, what), f.tally.total) for f in found)
        lines.append([f"all nine: {WORDS[what]}", *shares])
    lines.append(["Es/N0 that right decisions state, dB", *stated])
    return table(["sent, right in %, at Es/N0 of", *(f"{level:g} dB" for level in KNOWN_LEVELS)], lines)


def other_table(rows: Rows, interval: bool) -> str:
    """Other modulations: the share that gets a name."""
    lines = []
    for name in OTHER_LINEAR:
        found = [
            together(of(rows, "another modulation", es_n0_db=level, sent=name)) for level in OTHER_LEVELS
        ]
        called = sum((f.called for f in found), Counter[str]())
        names = ", ".join(label for label, _ in called.most_common()) or "-"
        shares = [per_cent(f.tally.misnamed, f.tally.total, interval) for f in found]
        sure = [one for f in found for one in f.confidence]
        lines.append([name, names, *shares, f"{np.median(sure):.3f}" if sure else "-"])
    heads = [*(f"{level:g} dB" for level in OTHER_LEVELS), "confidence of the wrong name, median"]
    return table(["sent", "wrong name", *heads], lines)


def impaired_lines(rows: Rows, kinds: Iterable[str], given: str, interval: bool) -> Iterator[list[str]]:
    """Signals of the nine classes with something wrong."""
    for kind in kinds:
        for value in (IMPAIRED if given == "symbol rate" else UNGIVEN)[kind]:
            found = together(of(rows, kind, given, value=value, es_n0_db=20.0))
            shares = [per_cent(getattr(found.tally, what), found.tally.total, interval) for what in OUTCOMES]
            most = "; ".join(f"{called} {count}" for called, count in found.called.most_common(3)) or "-"
            sure = f"{np.median(found.confidence):.3f}" if found.confidence else "-"
            more = [str(found.tally.total), sure, most] if interval else []
            yield [f"{kind}: {value}", *shares, *more]


HEADS = ("what is wrong", *(f"{word}, %" for word in WORDS.values()))
IN_SHORT = {
    "echo 1 symbol late": ("-20 dB", "-12 dB", "-6 dB"),
    "line at 0 Hz, carrier up to 2 % beside it": ("-20 dB", "-10 dB"),
    "line on the carrier": ("-20 dB", "-10 dB"),
    "symbol rate given wrongly": ("1.005 times", "1.01 times", "0.96 times"),
    "clipping": ("rails end at 1.4 RMS", "rails end at 1 RMS"),
    "drift": ("4e-05 cycles/symbol²", "0.0001 cycles/symbol²"),
    "off the middle": ("15 % of the symbol rate", "20 % of the symbol rate"),
    "repeated pattern": ("0x7E",),
    "bursts": ("100 symbols", "300 symbols"),
}
"""What of it stands in docs/answers.md."""


def short_table(rows: Rows) -> str:
    """Return what goes wrong most often, for docs/answers.md."""
    wanted = {f"{kind}: {value}" for kind, values in IN_SHORT.items() for value in values}
    lines = [line for line in impaired_lines(rows, IN_SHORT, "symbol rate", False) if line[0] in wanted]
    ungiven = impaired_lines(rows, ("rectangular pulses",), "nothing", False)
    lines += [[f"symbol rate not given, {line[0]}", *line[1:]] for line in ungiven]
    return table(HEADS, lines)


def impaired_table(rows: Rows) -> str:
    """All that was tried where the symbol rate is given."""
    heads = [*HEADS, "decisions", "confidence of wrong names, median", "wrong names given most often"]
    return table(heads, impaired_lines(rows, IMPAIRED, "symbol rate", True))


def ungiven_table(rows: Rows) -> str:
    """Where the symbol rate is not given."""
    lines = []
    for level in UNGIVEN_LEVELS:
        found = together(of(rows, "nothing wrong", "nothing", es_n0_db=level))
        lines.append([f"nothing, Es/N0 {level:g} dB", *ungiven_shares(found)])
    for value in UNGIVEN["rectangular pulses"]:
        found = together(of(rows, "rectangular pulses", "nothing", value=value))
        lines.append([f"rectangular pulses, {value}, 20 dB", *ungiven_shares(found)])
    return table([*HEADS, "no symbol rate found, %", "decisions"], lines)


def ungiven_shares(found: Found) -> list[str]:
    """Return the columns of a row of `ungiven_table`."""
    tally = found.tally
    shares = [per_cent(count, tally.total) for count in (getattr(tally, what) for what in OUTCOMES)]
    return [*shares, per_cent(found.no_rate, tally.total, False), str(tally.total)]


def recordings_table(_: Rows) -> str:
    """Return what recordings are called: what the demo's summary.json says."""
    lines = []
    for result in json.loads(RECORDINGS.read_text(encoding="utf-8"))["recordings"]:
        given = result["told"]["symbol_rate"]
        lines.append(
            [
                result["name"].removesuffix("_iq_data_0"),
                result["truth"],
                "-" if result["es_n0_db"] is None else f"{result['es_n0_db']:.0f}",
                f"{result['alone']['symbol_rate']:.0f}" if result["alone"]["symbol_rate"] else "none",
                called_in(result["alone"]["symbols"]),
                f"{given:.0f}" if result["symbol_rate"] else f"({given:.0f})",
                called_in(result["told"]["symbols"]),
            ]
        )
    heads = [
        "recording",
        "sent",
        "Es/N0, dB",
        "symbol rate found",
        "answers, nothing given",
        "symbol rate given",
    ]
    return table([*heads, "answers, symbol rate and on-time given"], lines)


def called_in(symbols: dict[str, int]) -> str:
    """Write the shares of a signal's symbols that were called this and that."""
    total = sum(symbols.values())
    shares = Counter(symbols).most_common()
    words = (f"{name} {small(100 * count / total)} %" for name, count in shares if count)
    return ", ".join(words) or "-"


def small(per_cent: float) -> str:
    """Write a share that is not 0 as one that is not."""
    return f"{per_cent:.0f}" if per_cent >= 0.5 else "under 1"


TABLES: dict[str, Callable[[Rows], str]] = {
    "known": known_table,
    "classes": classes_table,
    "other in short": lambda rows: other_table(rows, False),
    "other": lambda rows: other_table(rows, True),
    "impaired in short": short_table,
    "impaired": impaired_table,
    "ungiven": ungiven_table,
    "recordings": recordings_table,
}
PAGES = (ROOT / "docs" / "limits.md", ROOT / "docs" / "answers.md")
PLACE = re.compile(r"(?<=<!-- measured: )(?P<name>[a-z ]+) -->\n\n?.*?\n?<!-- end -->", re.DOTALL)


def decisions_of(rows: Rows, kind: str, *fields: str) -> str:
    """Return how many decisions there are for each value of some columns: 90, or 88 to 90."""
    counts = Counter[tuple[str, ...]]()
    for row in of(rows, kind):
        counts[tuple(row[field] for field in fields)] += int(row["decisions"])
    least, most = min(counts.values(), default=0), max(counts.values(), default=0)
    return f"{most:,}" if least == most else f"{least:,} to {most:,}"


SENTENCES: dict[str, Callable[[Rows], str]] = {
    r"{} decisions a level": lambda rows: decisions_of(rows, "nothing wrong", "es_n0_db"),
    r"{} decisions of each modulation at each level": lambda rows: decisions_of(
        rows, "nothing wrong", "es_n0_db", "sent"
    ),
    r"The share of {} decisions": lambda rows: decisions_of(rows, "another modulation", "es_n0_db", "sent"),
}
"""Sentences of the pages, `{}` for a figure, and what returns the figure."""


def filled(page: str, rows: Rows) -> str:
    """Return a page with its tables and figures written anew.

    Tables are between `<!-- measured: NAME -->` and `<!-- end -->`, figures in `SENTENCES`.
    """
    for words, figure in SENTENCES.items():
        pattern = r"\b" + words.format(r"[\d,]+(?: to [\d,]+)?")
        page = re.sub(pattern, words.format(figure(rows)), page)
    return PLACE.sub(lambda m: f"{m['name']} -->\n\n{TABLES[m['name']](rows)}\n<!-- end -->", page)


def main() -> None:
    """Measure, or write the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-o", "--output", type=Path, default=RESULTS, help="CSV file to append to")
    parser.add_argument("--draws", type=float, default=1.0, help="share of the usual number of signals (1)")
    parser.add_argument("--processes", type=int, default=1, help="processes side by side (default 1)")
    parser.add_argument("--minutes", type=float, help="end after so many; a later run goes on")
    parser.add_argument("--anew", action="store_true", help="forget what was measured before")
    parser.add_argument("--only", default="", help="only kinds whose name holds this")
    parser.add_argument(
        "--pages",
        action="store_true",
        help="write the tables in the pages from the output, and measure nothing",
    )
    arguments = parser.parse_args()
    if arguments.pages:
        rows = read(arguments.output)
        for page in PAGES:
            page.write_text(filled(page.read_text(encoding="utf-8"), rows), encoding="utf-8")
        return
    if arguments.anew:
        arguments.output.unlink(missing_ok=True)
    wanted = [
        (case, max(1, round(arguments.draws * draws)))
        for case, draws in cases()
        if arguments.only in case.kind
    ]
    table = Table(arguments.output, Case._fields, COUNTS, limits=LIMITS)
    whole = table.run(wanted, measure, arguments.processes, arguments.minutes)
    model = make_classifier("default").contract.name
    write_about(arguments.output, model=model, seed=SEED, share_of_the_draws=arguments.draws, whole=whole)


if __name__ == "__main__":
    main()
