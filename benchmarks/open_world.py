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

What issue and pages promise something of (`must_hold`) gets --draws of the usual signals, all else a fifth of that, or
--others. A run that is stopped, or ends after --minutes, is continued when it is started again, and one with more
--draws measures only what is missing. --report writes tables as Markdown, --goals what must hold; --pages writes the
tables of docs/limits.md (`open_world_tables.py`).

Examples:
  python3 benchmarks/open_world.py --anew --processes 2 --minutes 40
  python3 benchmarks/open_world.py -o trial.csv --draws 0.1 --only "echo late"
  python3 benchmarks/open_world.py --through unchecked -o unchecked.csv --only drift
  python3 benchmarks/open_world.py --report --pictures benchmarks/results
"""

import argparse
import itertools
import json
import os
import sys
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from resumable import Table, read, write_about
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

from amrq.evaluation import NO_ANSWER, NO_SYMBOL_RATE, Tally, answer_of

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
COUNTS = ("decisions", *OUTCOMES)

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
"""Decisions a point, over all modulations; of the symbol rate, over all levels of Es/N0."""
ECHOES_THAT_MUST_HOLD = -6.0
"""The strongest, dB."""
MUST_HOLD = {
    "nothing wrong": GIVEN,
    "another constellation": GIVEN,
    "not linear": GIVEN,
    "wrong symbol rate": GIVEN,
    "noise alone": GIVEN,
    "bursts": GIVEN,
    "symbol rate": FOUND,
    "symbol rate beside a neighbour": FOUND,
    **dict.fromkeys(("TorchSig level 0", "TorchSig level 1", "TorchSig level 2"), ""),
}
"""Kinds of which something is promised, and what is given there; empty: whatever is given."""


def must_hold(case: Case) -> bool:
    """Whether something is promised of a case: it gets all of its signals."""
    if case.kind.startswith("echo"):
        return number_in(case.value) <= ECHOES_THAT_MUST_HOLD
    return MUST_HOLD.get(case.kind, "no") in ("", case.given)


def cases() -> Iterator[tuple[Case, int]]:
    """All that is measured, and how many signals of each."""
    yield from _sent_as_they_are()
    yield from _gone_wrong()
    yield from _of_torchsig()
    for level, pulse in itertools.product(RATE_LEVELS, PULSES):
        for kind in ("symbol rate", "symbol rate beside a neighbour"):
            yield Case(kind, pulse, level, "any", FOUND), POINT // len(RATE_LEVELS)


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
    samples: NDArray[np.complex64],
    sample_rate: float,
    rate: float | None,
    offset: float | None,
    checked: bool = True,
) -> list[Heard] | None:
    """Decide in one pass over stored samples."""
    from amrq.decision import DecisionOptions
    from amrq.identify import IdentifyOptions, identify_linear

    options = IdentifyOptions(decision=DecisionOptions(check=checked))
    found = identify_linear(samples, sample_rate, rate, offset, options)
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


THROUGH: dict[str, Receiver] = {
    "identify": by_identify,
    "unchecked": partial(by_identify, checked=False),
    "flowgraph": by_flowgraph,
}
"""The receiver: in one pass; the same, with names that are not checked; by the flowgraph."""


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
    if through != "flowgraph":
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


def measure(case: Case, numbers: list[int], through: str = "identify") -> dict[str, Any]:
    """Send signals and count."""
    answers = [answer for number in numbers for answer in answers_to(case, number, through)]
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


def wanted(share: float, others: float, only: list[str]) -> list[tuple[Case, int]]:
    """Return the cases, and how many signals of each: shares of the usual ones."""
    return [
        (case, max(1, round((share if must_hold(case) else others) * draws)))
        for case, draws in cases()
        if not only or case.kind in only
    ]


def main() -> None:
    """Measure, tell, draw."""
    from open_world_tables import draw, fill, report, summary

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-o", "--output", type=Path, default=RESULTS, help="CSV file to append to")
    parser.add_argument("--draws", type=float, default=1.0, help="share of the signals (default 1)")
    parser.add_argument(
        "--others", type=float, help="of what nothing is promised of (default: a fifth of it)"
    )
    parser.add_argument("--quick", action="store_true", help="one signal in twenty-five of all")
    parser.add_argument("--processes", type=int, default=1, help="processes side by side (default 1)")
    parser.add_argument("--minutes", type=float, help="end after so many; a later run goes on")
    parser.add_argument("--anew", action="store_true", help="forget what was measured before")
    parser.add_argument("--only", action="append", default=[], help="kinds to measure; may be repeated")
    parser.add_argument("--through", choices=sorted(THROUGH), default="identify", help="the receiver")
    parser.add_argument("--report", action="store_true", help="only report what is there")
    parser.add_argument("--goals", action="store_true", help="report goals and results")
    parser.add_argument("--pictures", type=Path, help="also draw into this folder")
    parser.add_argument("--pages", action="store_true", help="write the pages' tables, measure nothing")
    arguments = parser.parse_args()
    if arguments.pages:
        fill(arguments.output)
        return
    if not arguments.report:
        if arguments.anew:
            arguments.output.unlink(missing_ok=True)
        share = 0.04 if arguments.quick else arguments.draws
        others = arguments.others if arguments.others is not None else share / (1 if arguments.quick else 5)
        table = Table(arguments.output, Case._fields, COUNTS)
        whole = table.run(
            wanted(share, others, arguments.only),
            partial(measure, through=arguments.through),
            arguments.processes,
            arguments.minutes,
        )
        about = {"through": arguments.through, "seed": SEED, "share": share, "share_of_others": others}
        write_about(arguments.output, **about, whole=whole)
    rows = read(arguments.output)
    if arguments.pictures is not None:
        draw(rows, arguments.pictures)
    sys.stdout.write(summary(rows) if arguments.goals else report(rows))


if __name__ == "__main__":
    main()
