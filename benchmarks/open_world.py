#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decisions in the open world: independent transmitters, and what goes wrong on the way, through the whole receiver.

`transmitters.py` makes the signals, with code of its own. Unless a row says otherwise: Es/N0 20 dB, root-raised-cosine
pulses of roll-off 0.2 to 0.5, 2.5 to 10 samples a symbol, carrier within 2 % of the symbol rate, all at random; the
receiver is given sample rate and symbol rate. Where it is given nothing, it is told the sample rate alone.

One decision counts for each signal: the one that contains symbol 1,536, the second complete one on 1,024 symbols. Of
bursts each counts: it has a name if a decision that contains its middle gives one. Outcomes are those of
`amrq.evaluation`: right, misnamed, missed (no class, or noise) and undecided (unsure, or no symbol rate).
The symbol rate's own rows count estimates: right within 0.2 %, misnamed if another rate is called clear, undecided if
none is.

Signals of TorchSig 2.2 are measured as well if the folder that `torchsig_signals.py` wrote is named by the environment
variable TORCHSIG_SIGNALS.

Finished rows are appended to the output; a run that is started again continues. --report writes tables as Markdown,
--goals one table of what must hold; --pages writes that table into docs/limits.md.

Examples:
  python3 benchmarks/open_world.py -o benchmarks/results/open_world.csv
  python3 benchmarks/open_world.py -o trial.csv --draws 0.1 --only echo
  python3 benchmarks/open_world.py -o benchmarks/results/open_world.csv --report --pictures benchmarks/results
"""

import argparse
import csv
import itertools
import json
import os
import platform
import sys
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, replace
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from transmitters import (
    FOREIGN,
    HELD,
    NINE,
    OTHERS,
    PULSES,
    Channel,
    drawn,
    noise_alone,
    other,
    receive,
    symbols,
    transmit,
)

from amrq.evaluation import NO_ANSWER, NO_SYMBOL_RATE, Tally, answer_of, clopper_pearson
from amrq.machine import processor_name

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "open_world.csv"
TORCHSIG = Path(os.environ.get("TORCHSIG_SIGNALS", "torchsig"))
"""Folder that `torchsig_signals.py` wrote; without it these signals are left out."""
SEED = 20261130
SYMBOLS, LOOKED_FOR, COUNTED_AT = 2_300, 4_800, 1_536
BURSTS, PAUSE = 10, 1_000
SYMBOL_RATE = 10e3


class Case(NamedTuple):
    """What is measured in one row of the output."""

    kind: str
    value: str
    es_n0_db: float
    sent: str
    given: str  # what the receiver is given: "symbol rate" or "nothing"


OUTCOMES = ("right", "misnamed", "missed", "undecided")
FIELDS = (*Case._fields, "decisions", *OUTCOMES, "answers", "confidence")

GIVEN, FOUND = "symbol rate", "nothing"
ECHOED = ("BPSK", "QPSK", "8PSK", "16QAM", "4ASK")
VALUES: dict[str, tuple[float, ...]] = {
    "echo late": (-20, -12, -9, -6, -3),
    "echo early": (-20, -12, -9, -6, -3),
    "line at 0 Hz": (-20, -14, -10, -8, -6, -3),
    "line on the carrier": (-20, -14, -10, -8, -6, -3),
    "image": (-30, -25, -20, -15),
    "clipping": (2, 1.4, 1, 0.7),
    "drift": (2e-5, 5e-5, 1e-4, 2e-4),
    "phase noise": (0.02, 0.05, 0.1),
    "symbol rate error": (0.002, 0.005, 0.01, 0.015, 0.02),
    "neighbour at 1.6 symbol rates": (0, 10, 20),
    "off the middle": (0.05, 0.1, 0.3, 1, 3),
    "bursts": (100, 200, 300, 500),
}
"""What is wrong, and how much: dB, times RMS, cycles/symbol^2, radians, shares of the symbol rate, symbols."""
HARMED = {"echo late": ECHOED, "echo early": ECHOED}
LEVELS = {"bursts": 15.0}
KNOWN_LEVELS = (0.0, 2.5, 5.0, 7.5, 10.0, 12.5, 15.0, 20.0)
FOREIGN_LEVELS = (10.0, 15.0, 20.0, 25.0)
OTHER_LEVELS = (10.0, 20.0)
WRONG_RATES = (0.5, 0.9, 1.2, 2.0)
RATE_LEVELS = (10.0, 15.0, 20.0)
POINT = 504
"""Decisions a point, over all modulations."""


def cases() -> Iterator[tuple[Case, int]]:
    """All that is measured, and how many signals of each."""
    yield from _sent_as_they_are()
    yield from _gone_wrong()
    yield from _of_torchsig()
    for level, pulse in itertools.product(RATE_LEVELS, PULSES):
        for kind in ("symbol rate", "symbol rate beside a neighbour"):
            yield Case(kind, pulse, level, "any", FOUND), POINT


def _sent_as_they_are() -> Iterator[tuple[Case, int]]:
    for level, name, given in itertools.product(KNOWN_LEVELS, NINE, (GIVEN, FOUND)):
        yield Case("nothing wrong", "", level, name, given), POINT // len(NINE)
    for level, name in itertools.product(FOREIGN_LEVELS, FOREIGN):
        yield Case("another constellation", "", level, name, GIVEN), -(-POINT // len(FOREIGN))
    for level, name in itertools.product(OTHER_LEVELS, OTHERS):
        yield Case("not linear", "", level, name, GIVEN), POINT // 2
    for times, name in itertools.product(WRONG_RATES, NINE):
        yield Case("wrong symbol rate", f"{times:g}", 20.0, name, GIVEN), POINT // 4 // len(NINE)
    yield Case("noise alone", "", 0.0, "noise", GIVEN), 5000


def _gone_wrong() -> Iterator[tuple[Case, int]]:
    for kind, values in VALUES.items():
        names = HARMED.get(kind, tuple(NINE))
        draws = -(-POINT // len(names))
        if kind == "bursts":
            draws = -(-draws // BURSTS)
        given = FOUND if kind == "off the middle" else GIVEN
        for value, name in itertools.product(values, names):
            yield Case(kind, f"{value:g}", LEVELS.get(kind, 20.0), name, given), draws
    for pulse, name, given in itertools.product(PULSES, NINE, (GIVEN, FOUND)):
        yield Case("pulse", pulse, 20.0, name, given), POINT // 2 // len(NINE)


def _of_torchsig() -> Iterator[tuple[Case, int]]:
    for level in (0, 1, 2):
        if (TORCHSIG / f"level{level}.json").is_file():
            counts = Counter(one["name"] for one in _torchsig(str(level))[1])
            for given, name in itertools.product((GIVEN, FOUND), sorted(counts)):
                yield Case(f"TorchSig level {level}", "", 0.0, name, given), counts[name]


class Heard(NamedTuple):
    """A decision, and the samples of the input that it is about."""

    first: float
    last: float
    text: str
    confidence: float


Receiver = Callable[[NDArray[np.complex64], float, float | None, float | None], list[Heard] | None]
"""Samples, sample rate, symbol rate, offset -> decisions; None where no symbol rate is clear."""


def by_identify(
    samples: NDArray[np.complex64], sample_rate: float, rate: float | None, offset: float | None
) -> list[Heard] | None:
    """Decide in one pass over stored samples."""
    from amrq.identify import identify_linear

    found = identify_linear(samples, sample_rate, rate, offset)
    if not found.symbol_rate:
        return None
    return [
        Heard(first, first + count, answer_of(decision), decision.confidence)
        for decision, (first, count) in zip(found.decisions, found.places, strict=True)
    ]


def by_flowgraph(
    samples: NDArray[np.complex64], sample_rate: float, rate: float | None, offset: float | None
) -> list[Heard] | None:
    """Decide by the flowgraph of `amrq classify`."""
    import tempfile

    from gnuradio.amrq.classifier_sink import classifier_sink
    from gnuradio.amrq.decision_flowgraph import decision_flowgraph
    from gnuradio.amrq.recording_source import recording_source

    from amrq.errors import AmrqError
    from amrq.live import recording_symbol_rate
    from amrq.measure import StreamInfo
    from amrq.recordings import open_recording

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "signal.cf32"
        samples.tofile(path)
        recording = open_recording(path, "cf32", sample_rate)
        if rate is None:
            try:
                rate = recording_symbol_rate(recording, offset or 0.0).rate
            except AmrqError:
                return None
        decisions: list[Any] = []
        source = recording_source(recording)
        sink = classifier_sink(
            stream=StreamInfo(source.sample_rate(), rate, offset or 0.0),
            backend=_one_classifier,
            on_decision=lambda decision, truth: decisions.append(decision),
        )
        flowgraph = decision_flowgraph(source, sink)
        flowgraph.run()
        flowgraph.raise_error()
    spacing = sample_rate / rate
    return [
        Heard(
            spacing * one.sample_index,
            spacing * (one.sample_index + one.sample_count),
            answer_of(one),
            one.confidence,
        )
        for one in decisions
    ]


_LOADED: dict[str, Any] = {}


def _one_classifier(model: str) -> Any:
    from amrq.classifier import make_classifier

    if model not in _LOADED:
        _LOADED[model] = make_classifier(model)
    return _LOADED[model]


THROUGH: dict[str, Receiver] = {"identify": by_identify, "flowgraph": by_flowgraph}


def number_in(value: str) -> float:
    """Return a row's value as a number; 0 where it is none."""
    try:
        return float(value)
    except ValueError:
        return 0.0


class Sent(NamedTuple):
    """A signal for the receiver."""

    samples: NDArray[np.complex64]
    spacing: float  # samples a symbol
    rate: float  # the symbol rate that is given, where one is
    places: list[float]  # symbols at which a decision counts


def channel_of(case: Case, rng: np.random.Generator) -> Channel:
    """Return what happens to a signal of this case."""
    value, channel, sign = number_in(case.value), drawn(rng), float(rng.choice([-1, 1]))
    spacing = channel.samples_per_symbol
    match case.kind:
        case "wrong symbol rate":
            return replace(channel, samples_per_symbol=rng.uniform(4.5, 10))
        case "echo late" | "echo early":
            delay = rng.uniform(0.5, 3) if rng.random() < 0.5 else float(rng.integers(1, 4))
            return replace(channel, echo_db=value, echo_delay=-delay if case.kind == "echo early" else delay)
        case "line on the carrier":
            return replace(channel, line_db=value, offset=0.0)
        case "drift":
            return replace(channel, drift=sign * value)
        case "neighbour at 1.6 symbol rates":
            beside = {"neighbour_db": value, "neighbour_at": 1.6 * sign}
            return replace(channel, samples_per_symbol=max(4.5, spacing), **beside)
        case "off the middle":
            return replace(channel, offset=sign * value, samples_per_symbol=max(spacing, 2 * value + 2.5))
        case "pulse" if case.value == HELD:
            return replace(channel, pulse=HELD, samples_per_symbol=float(rng.choice([2, 4, 5, 8, 10, 16])))
        case "pulse":
            return replace(channel, pulse=case.value)
        case _:
            return replace(channel, **{SIMPLE[case.kind]: value} if case.kind in SIMPLE else {})


SIMPLE = {
    "line at 0 Hz": "line_db",
    "image": "image_db",
    "clipping": "clip",
    "phase noise": "phase_noise",
}
"""Kinds whose value is one attribute of the channel."""


def signal_of(case: Case, rng: np.random.Generator) -> Sent:
    """Return a signal of this case."""
    count = LOOKED_FOR if case.given == FOUND else SYMBOLS
    value, rate, places = number_in(case.value), SYMBOL_RATE, [float(COUNTED_AT)]
    channel = channel_of(case, rng)
    if case.kind == "noise alone":
        spacing = channel.samples_per_symbol
        return Sent(noise_alone(round(count * spacing), rng), spacing, rate, places)
    if case.kind == "not linear":
        spacing = round(count * channel.samples_per_symbol) / count
        x = other(case.sent, count, spacing, rng)
    elif case.kind == "bursts":
        length = int(value)
        sent = symbols(case.sent, BURSTS * (length + PAUSE), rng).reshape(BURSTS, -1)
        sent[:, :PAUSE] = 0
        x, spacing = transmit(sent.ravel(), channel, rng)
        places = [(length + PAUSE) * n + PAUSE + length / 2 for n in range(BURSTS)]
    else:
        x, spacing = transmit(symbols(case.sent, count, rng), channel, rng, case.sent == "OQPSK")
    if case.kind == "wrong symbol rate":
        rate *= value
    elif case.kind == "symbol rate error":
        rate *= 1 + float(rng.choice([-1, 1])) * value
    return Sent(receive(x, spacing, channel, case.es_n0_db, rng), spacing, rate, places)


def answers_to(case: Case, number: int, through: str) -> list[tuple[str, float]]:
    """Send one signal and return the answers that count, with their confidence: one, or one a burst."""
    rng = np.random.default_rng([SEED, zlib.crc32(repr(case).encode()), number])
    if case.kind.startswith("symbol rate") and case.kind != "symbol rate error":
        return [(_rate_answer(case, rng, through), 0.0)]
    if case.kind.startswith("TorchSig"):
        return [_torchsig_answer(case, number, through)]
    samples, spacing, rate, places = signal_of(case, rng)
    sample_rate = SYMBOL_RATE * spacing
    # Which of two signals is meant has to be said.
    offset = 0.0 if "neighbour" in case.kind else None
    heard = THROUGH[through](samples, sample_rate, None if case.given == FOUND else rate, offset)
    if heard is None:
        return [(NO_SYMBOL_RATE, 0.0)] * len(places)
    return [_at(heard, place * spacing) for place in places]


def _torchsig_answer(case: Case, number: int, through: str) -> tuple[str, float]:
    """Return the answer to a signal of TorchSig; the place is given together with the symbol rate."""
    samples, known = _torchsig(case.kind.rsplit(" ", 1)[1])
    places = [place for place, one in enumerate(known) if one["name"] == case.sent]
    place = places[number]
    one, given = known[place], case.given == GIVEN
    heard = THROUGH[through](
        np.array(samples[place]), 10e6, one["rate"] if given else None, one["offset"] if given else None
    )
    if heard is None:
        return NO_SYMBOL_RATE, 0.0
    return _at(heard, one["start"] + COUNTED_AT * 10e6 / one["rate"])


@cache
def _torchsig(level: str) -> tuple[NDArray[np.complex64], list[dict[str, Any]]]:
    """Return what `torchsig_signals.py` wrote."""
    path = TORCHSIG / f"level{level}.npy"
    return np.load(path, mmap_mode="r"), json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))


def _at(heard: list[Heard], sample: float) -> tuple[str, float]:
    for one in heard:
        if one.first <= sample < one.last:
            return one.text, one.confidence
    return NO_ANSWER, 0.0


def rate_signal(case: Case, rng: np.random.Generator) -> tuple[NDArray[np.complex64], float, Channel]:
    """Return a signal whose symbol rate is looked for, its samples a symbol, and what happened to it."""
    spacing = float(np.exp(rng.uniform(np.log(2), np.log(64))))
    channel = drawn(rng, pulse=case.value)
    if case.value == HELD:
        spacing = float(rng.integers(2, 65))
    if "neighbour" in case.kind:
        spacing = max(spacing, 5.0)
        rate = rng.uniform(0.6, 1.5)
        # Pulses without a sharp edge have side lobes, and need more room.
        room = 0.8 if case.value.startswith("R") else 1.3
        distance = float(rng.choice([-1, 1])) * (room + 0.7 * rate + 0.1)
        channel = replace(channel, neighbour_db=0.0, neighbour_at=distance, neighbour_rate=rate)
    # The command looks at windows of 131,072 samples.
    count = int(min(LOOKED_FOR, 131_072 // spacing))
    channel = replace(channel, samples_per_symbol=spacing)
    x, spacing = transmit(symbols(str(rng.choice(list(NINE))), count, rng), channel, rng)
    return receive(x, spacing, channel, case.es_n0_db, rng), spacing, channel


def _rate_answer(case: Case, rng: np.random.Generator, through: str) -> str:
    """Return `any`, `wrong rate` or `no symbol rate` for an estimate on one signal; near 0 Hz if it has a neighbour."""
    samples, spacing, _ = rate_signal(case, rng)
    if through == "identify":
        from amrq.identify import SignalSearch, find_signal

        search = SignalSearch(offset=0.0 if "neighbour" in case.kind else None)
        signal = find_signal(samples, SYMBOL_RATE * spacing, search)
        rate = signal.symbol_rate.rate if signal.sure and signal.symbol_rate is not None else 0.0
    else:
        from amrq.live import SURE  # type: ignore[attr-defined]
        from amrq.measure import estimate_symbol_rate

        found = estimate_symbol_rate(samples, SYMBOL_RATE * spacing)
        rate = found.rate if found.confidence >= SURE else 0.0
    if not rate:
        return NO_SYMBOL_RATE
    return "any" if abs(rate / SYMBOL_RATE - 1) < 0.002 else "wrong rate"


def measure(case: Case, draws: int, through: str) -> dict[str, Any]:
    """Send so many signals and count."""
    answers = [answer for number in range(draws) for answer in answers_to(case, number, through)]
    texts = Counter(text for text, _ in answers)
    # A signal at a wrong symbol rate is outside the classes, whatever it is.
    sent = "wrong symbol rate" if case.kind == "wrong symbol rate" else case.sent
    tally = Tally.of_answers(texts, sent)
    wrong = sorted(confidence for text, confidence in answers if Tally.of_answers({text: 1}, sent).misnamed)
    return {
        **case._asdict(),
        "decisions": texts.total(),
        **asdict(tally),
        "answers": " ".join(f"{text.replace(' ', '_')}:{n}" for text, n in sorted(texts.items())),
        "confidence": " ".join(f"{one:.3f}" for one in wrong),
    }


def read(path: Path) -> list[dict[str, str]]:
    """Rows that are there already."""
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def run(path: Path, share: float, processes: int, only: list[str], through: str) -> None:
    """Measure what is missing."""
    done = {tuple(row[field] for field in Case._fields) for row in read(path)}
    todo = [
        (case, max(1, round(share * draws)), through)
        for case, draws in cases()
        if tuple(map(str, case)) not in done and (not only or case.kind in only)
    ]
    # Spread over all kinds, so that a run that is stopped early still tells something of each.
    todo.sort(key=lambda one: zlib.crc32(repr(one[0]).encode()))
    new = not path.is_file()
    with path.open("a", newline="", encoding="utf-8") as file, ProcessPoolExecutor(processes) as pool:
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        if new:
            writer.writeheader()
        started = time.monotonic()
        for number, row in enumerate(pool.map(measure, *zip(*todo, strict=True)) if todo else (), 1):
            writer.writerow(row)
            file.flush()
            left = (time.monotonic() - started) / number * (len(todo) - number)
            sys.stderr.write(f"\r{number} of {len(todo)} rows, {left / 60:.0f} min left ")
    sys.stderr.write("\n")
    about = {
        "date": time.strftime("%Y-%m-%d"),
        "through": through,
        "processor": processor_name(),
        "python": platform.python_version(),
        "onnxruntime": version("onnxruntime"),
        "numpy": np.__version__,
    }
    path.with_suffix(".json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")


def pooled(rows: list[dict[str, str]]) -> tuple[Tally, int]:
    """Add the outcomes of rows."""
    total = sum((Tally(*(int(row[one]) for one in OUTCOMES)) for row in rows), Tally())
    return total, total.total


def cell(count: int, of: int) -> str:
    """Return a share with its 95 % interval."""
    if not of:
        return "–"
    low, high = clopper_pearson(count, of)
    return f"{count / of:.3f} ({low:.3f} to {high:.3f})"


def report(rows: list[dict[str, str]]) -> str:
    """Return tables in Markdown: one a kind, one line a value and level."""
    lines = []
    kinds = list(dict.fromkeys(case.kind for case, _ in cases()))
    for kind in kinds:
        of_kind = [row for row in rows if row["kind"] == kind]
        if not of_kind:
            continue
        lines += [f"### {kind}", ""]
        lines += ["| value | Es/N0 dB | given | n | right | wrong name | undecided or missed |"]
        lines += ["|---|---|---|---|---|---|---|"]
        keys = dict.fromkeys((row["given"], row["value"], float(row["es_n0_db"])) for row in of_kind)
        for given, value, level in sorted(keys, key=lambda key: (key[0], number_in(key[1]), key[1], key[2])):
            some = [
                row
                for row in of_kind
                if (row["given"], row["value"], float(row["es_n0_db"])) == (given, value, level)
            ]
            tally, n = pooled(some)
            rest = tally.undecided + tally.missed
            lines.append(
                f"| {value or '–'} | {level:g} | {given} | {n} | {cell(tally.right, n)} "
                f"| {cell(tally.misnamed, n)} | {rest / n:.3f} |"
            )
        lines.append("")
        if kind in ("another constellation", "not linear"):
            lines += ["| sent | n | wrong name | names |", "|---|---|---|---|"]
            for name in dict.fromkeys(row["sent"] for row in of_kind):
                some = [row for row in of_kind if row["sent"] == name]
                tally, n = pooled(some)
                names: Counter[str] = Counter()
                for row in some:
                    for part in row["answers"].split():
                        text, count = part.rsplit(":", 1)
                        if text in NINE:
                            names[text] += int(count)
                shown = ", ".join(f"{text} {count}" for text, count in names.most_common(3))
                lines.append(f"| {name} | {n} | {tally.misnamed / n:.3f} | {shown} |")
            lines.append("")
    return "\n".join(lines)


class Goal(NamedTuple):
    """What must hold of some rows: shares of right decisions at least, of wrong names at most."""

    what: str
    kinds: tuple[str, ...]
    given: str = GIVEN
    values: tuple[str, ...] = ()  # all, where empty
    levels: tuple[float, ...] = ()
    right: float | None = None
    wrong: float | None = 0.01
    each: str = ""  # a column: the goal holds for each of its values, and the worst is shown

    def rows(self, rows: list[dict[str, str]]) -> list[dict[str, str]]:
        """Select."""
        return [
            row
            for row in rows
            if row["kind"] in self.kinds
            and row["given"] == self.given
            and (not self.values or row["value"] in self.values)
            and (not self.levels or float(row["es_n0_db"]) in self.levels)
        ]


def goals() -> Iterator[Goal]:
    """What must hold, in the order of the table."""
    for level in FOREIGN_LEVELS:
        yield Goal(
            f"other constellations, {level:g} dB", ("another constellation",), levels=(level,), wrong=0.05
        )
    yield Goal("signals that are not linear", ("not linear",), each="sent")
    yield Goal("the nine, symbol rate wrong", ("wrong symbol rate",), each="value")
    yield Goal("noise alone", ("noise alone",), wrong=0.0)
    for level in KNOWN_LEVELS:
        right = 0.995 if level >= 12.5 else 0.95 if level >= 10 else None
        yield Goal(f"the nine, {level:g} dB", ("nothing wrong",), levels=(level,), right=right)
    for level in (10.0, 12.5, 20.0):
        yield Goal(f"the nine, {level:g} dB, nothing given", ("nothing wrong",), FOUND, levels=(level,))
    for kind in ("echo late", "echo early"):
        for value in ("-20", "-12", "-9", "-6"):
            yield Goal(f"{kind}, {value} dB", (kind,), values=(value,), right=0.95)
    for level, given, found in ((0, 0.97, 0.93), (1, 0.95, 0.90), (2, 0.80, 0.70)):
        yield Goal(f"TorchSig level {level}, rate given", (f"TorchSig level {level}",), right=given)
        yield Goal(f"TorchSig level {level}, nothing given", (f"TorchSig level {level}",), FOUND, right=found)
    yield Goal("symbol rate, any pulse", ("symbol rate",), FOUND, right=0.98, wrong=0.005, each="value")
    beside = ("symbol rate beside a neighbour",)
    yield Goal("symbol rate beside a neighbour", beside, FOUND, right=0.98, wrong=0.005, each="value")
    for value, share in (("100", 0.7), ("200", 0.95), ("300", None), ("500", None)):
        yield Goal(f"bursts of {value} symbols, 15 dB", ("bursts",), values=(value,), right=share)
    for kind, values in VALUES.items():
        if kind in ("bursts", "echo late", "echo early"):
            continue
        for value in values:
            given = FOUND if kind == "off the middle" else GIVEN
            yield Goal(f"{kind}, {value:g}", (kind,), given, values=(f"{value:g}",))
    for pulse in PULSES:
        yield Goal(f"pulse {pulse}", ("pulse",), values=(pulse,))
        yield Goal(f"pulse {pulse}, nothing given", ("pulse",), FOUND, values=(pulse,))


def summary(rows: list[dict[str, str]]) -> str:
    """Return one table in Markdown: what must hold, and what was measured."""
    lines = [
        "| signals | decisions | right, % | wrong name, % | none, % | goal | |",
        "|---|---:|---:|---:|---:|---|---|",
    ]
    for goal in goals():
        chosen = goal.rows(rows)
        if not chosen:
            continue
        parts = [chosen]
        if goal.each:
            parts = [
                [row for row in chosen if row[goal.each] == value]
                for value in dict.fromkeys(row[goal.each] for row in chosen)
            ]
        found = [pooled(part) for part in parts]
        # The worst: least right where that is asked for, else most wrong.
        tally, n = min(found, key=lambda one: (one[0].right if goal.right else -one[0].misnamed) / one[1])
        wrong = max(one.misnamed / of for one, of in found)
        met = (goal.right is None or tally.right / n >= goal.right) and (
            goal.wrong is None or wrong <= goal.wrong
        )
        asked = [f"right {100 * goal.right:g}"] if goal.right is not None else []
        asked += [f"wrong at most {100 * goal.wrong:g}"] if goal.wrong is not None else []
        worst = parts[found.index((tally, n))][0][goal.each] if goal.each else ""
        name = f"{goal.what} (worst: {worst})" if worst else goal.what
        shares = (tally.right, tally.misnamed, tally.undecided + tally.missed)
        cells = " | ".join(per_cent(count, n) for count in shares)
        lines.append(f"| {name} | {n} | {cells} | {', '.join(asked)} | {'met' if met else 'missed'} |")
    return "\n".join(lines) + "\n"


PAGE = ROOT / "docs" / "limits.md"
_BEGIN, _END = "<!-- open world -->", "<!-- end of open world -->"
_SECTION = f"""## In the open

Signals of transmitters that share no code with this module go through the whole receiver (`benchmarks/open_world.py`,
[results](../benchmarks/results/open_world.csv)). Pulses (roll-off 0.2 to 0.5), 2.5 to 10 samples a symbol and carriers
(within 2 % of the symbol rate) are at random. Unless a row says otherwise, Es/N0 is 20 dB and the symbol rate is given.
Of a row over several kinds the worst is shown. Intervals are 95 %.

{_BEGIN}
{_END}

"""


def filled(page: str, rows: list[dict[str, str]]) -> str:
    """Return a page with the table of goals and results written anew; where it has no place, before `Recordings`."""
    if _BEGIN not in page:
        page = page.replace("## Recordings\n", _SECTION + "## Recordings\n", 1)
    head, rest = page.split(_BEGIN)
    return f"{head}{_BEGIN}\n\n{summary(rows)}\n{_END}{rest.split(_END)[1]}"


def per_cent(count: int, of: int) -> str:
    """Return a share in per cent with its 95 % interval."""
    low, high = clopper_pearson(count, of)
    return f"{100 * count / of:.1f} ({100 * low:.1f} to {100 * high:.1f})".replace(" ", "\u00a0")


def draw(rows: list[dict[str, str]], folder: Path) -> None:
    """Write a picture of all sweeps."""
    from matplotlib.figure import Figure

    from amrq.evaluation import BLUE, GREY, VERMILION

    sweeps = [kind for kind in VALUES if any(row["kind"] == kind for row in rows)]
    if not sweeps:
        return
    figure = Figure(figsize=(13, 9), layout="constrained")
    grid = figure.subplots(3, 4, sharey=True).ravel()
    for axes, kind in zip(grid, sweeps, strict=False):
        found = [
            (value, *pooled([r for r in rows if r["kind"] == kind and r["value"] == f"{value:g}"]))
            for value in VALUES[kind]
        ]
        found = [one for one in found if one[2]]
        places = range(len(found))
        axes.plot(places, [t.right / n for _, t, n in found], color=BLUE, marker="o", label="right")
        axes.plot(
            places, [t.misnamed / n for _, t, n in found], color=VERMILION, marker="s", label="wrong name"
        )
        rest = [(t.undecided + t.missed) / n for _, t, n in found]
        axes.plot(places, rest, color=GREY, marker="^", label="undecided or missed")
        axes.set_xticks(list(places), [f"{value:g}" for value, _, _ in found])
        axes.set_title(kind, fontsize="medium")
        axes.grid(alpha=0.3)
    grid[0].legend(fontsize="small")
    grid[0].set_ylabel("share of decisions")
    figure.savefig(folder / "open_world.png", dpi=100)


def main() -> None:
    """Measure, tell, draw."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-o", "--output", type=Path, default=RESULTS, help="CSV file to append to")
    parser.add_argument("--draws", type=float, default=1.0, help="share of the signals (default 1)")
    parser.add_argument("--quick", action="store_true", help="one signal in twenty-five")
    parser.add_argument("--processes", type=int, default=1, help="processes side by side (default 1)")
    parser.add_argument("--only", action="append", default=[], help="kinds to measure; may be repeated")
    parser.add_argument("--through", choices=sorted(THROUGH), default="identify", help="the receiver")
    parser.add_argument("--report", action="store_true", help="only report what is there")
    parser.add_argument("--goals", action="store_true", help="report goals and results in one table")
    parser.add_argument("--pictures", type=Path, help="also draw into this folder")
    parser.add_argument(
        "--pages", action="store_true", help="write the table in docs/limits.md, measure nothing"
    )
    arguments = parser.parse_args()
    if arguments.pages:
        text = filled(PAGE.read_text(encoding="utf-8"), read(arguments.output))
        PAGE.write_text(text, encoding="utf-8")
        return
    if not arguments.report:
        share = 0.04 if arguments.quick else arguments.draws
        run(arguments.output, share, arguments.processes, arguments.only, arguments.through)
    rows = read(arguments.output)
    if arguments.pictures is not None:
        draw(rows, arguments.pictures)
    sys.stdout.write(summary(rows) if arguments.goals else report(rows))


if __name__ == "__main__":
    main()
