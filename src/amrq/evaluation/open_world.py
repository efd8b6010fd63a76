# SPDX-License-Identifier: GPL-3.0-or-later
"""Decisions in the open world: signals with something wrong, through the whole receiver; right, wrong, undecided."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amrq.classes import LinearClass
from amrq.classifier import Classifier
from amrq.decision import Decision
from amrq.evaluation.open_set import NO_ANSWER, Tally, answer_of
from amrq.identify import IdentifyOptions, identify_linear
from amrq.signals import HELD_OUT_CONSTELLATIONS, Conditions, received_under
from amrq.text import csv_text, markdown

__all__ = ["OPEN_WORLD", "Mishap", "OpenWorldRow", "measure_open_world", "open_world_csv", "open_world_table"]

_SYMBOLS = 2_300
_COUNTED_AT = 1_536
"""The decision that contains this symbol counts: the second complete one on 1,024 symbols."""
_BURSTS, _PAUSE = 5, 600
_SYMBOL_RATE = 10e3
_OFF = 0.02  # of the symbol rate, by which the carrier is off at most


@dataclass(frozen=True)
class Mishap:
    """What is wrong with a signal.

    Attributes:
        name: in words.
        value: how much, with its unit, in words; empty where there is no number.
        conditions: how the signal is received; pulse, samples a symbol and carrier are drawn.
        es_n0_db: Es/N0, dB.
        rate_error: of the symbol rate that the receiver is given, over the right one.
        burst: symbols of a burst; 0 for a signal that lasts.
        foreign: the constellations are those of `amrq.signals.HELD_OUT_CONSTELLATIONS`.
    """

    name: str
    value: str = ""
    conditions: Conditions = field(default_factory=Conditions)
    es_n0_db: float = 20.0
    rate_error: float = 0.0
    burst: int = 0
    foreign: bool = False


def _mishaps() -> Iterable[Mishap]:
    for level in (5.0, 10.0, 20.0):
        yield Mishap("nothing wrong", es_n0_db=level)
    for level in (10.0, 15.0, 25.0):
        yield Mishap("another constellation", es_n0_db=level, foreign=True)
    for power in (-12.0, -9.0, -6.0):
        yield Mishap("echo 1 symbol late", f"{power:g} dB", Conditions(echo_db=power))
    for power in (-14.0, -6.0):
        yield Mishap("line at 0 Hz", f"{power:g} dB", Conditions(line_db=power))
    for times in (1.4, 1.0):
        yield Mishap("clipping", f"at {times:g} RMS", Conditions(clip=times))
    for drift in (5e-5, 2e-4):
        yield Mishap("drift of the carrier", f"{drift:g} cycles/symbol²", Conditions(drift=drift))
    for error in (0.005, 0.015):
        yield Mishap("symbol rate given wrongly", f"by {100 * error:g} %", rate_error=error)
    for length in (100, 200, 500):
        yield Mishap("bursts in noise", f"{length} symbols", es_n0_db=15.0, burst=length)


OPEN_WORLD: tuple[Mishap, ...] = tuple(_mishaps())
"""The rows of the table."""


@dataclass(frozen=True)
class OpenWorldRow:
    """Counts of decisions on signals with one thing wrong.

    Attributes:
        name: what is wrong.
        value: how much.
        es_n0_db: Es/N0, dB.
        tally: of the outcomes; see `amrq.evaluation.outcome`.
    """

    name: str
    value: str
    es_n0_db: float
    tally: Tally

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return {"name": self.name, "value": self.value, "es_n0_db": self.es_n0_db, **asdict(self.tally)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "OpenWorldRow":
        """Read the values that `as_dict` returned."""
        counts = (int(values[name]) for name in ("right", "misnamed", "missed", "undecided"))
        return cls(str(values["name"]), str(values["value"]), float(values["es_n0_db"]), Tally(*counts))


def measure_open_world(
    classifier: Classifier,
    decisions: int,
    seed: int = 0,
    mishaps: Sequence[Mishap] = OPEN_WORLD,
    step: Callable[[int, int], None] = lambda done, of: None,
) -> tuple[OpenWorldRow, ...]:
    """Send signals with something wrong, receive them with the symbol rate given, and count decisions.

    Pulses are root raised cosines of roll-off 0.2 to 0.5, with 2.5 to 8 samples a symbol, the carrier is off by up to
    2 % of the symbol rate. The classes take turns.

    Args:
        classifier: the model; of unknown phase, with chunks of 32 symbols. Of other models nothing is measured.
        decisions: for each row, at least; bursts come five at a time.
        seed: of all randomness.
        mishaps: the rows.
        step: called with (rows done, rows in all).

    Returns:
        one for each mishap; none if the model cannot be used with the receiver, or `decisions` is 0.

    >>> from amrq.classifier import make_classifier
    >>> [row] = measure_open_world(make_classifier("default"), 9, mishaps=[Mishap("nothing wrong")])
    >>> row.tally.right, row.tally.misnamed
    (9, 0)
    """
    contract = classifier.contract
    classes = contract.linear_classes
    if not (decisions and classes and contract.phase == "any" and contract.chunk_length == 32):
        return ()
    rows = []
    for done, mishap in enumerate(mishaps):
        sent = [one for one in HELD_OUT_CONSTELLATIONS.members if one not in classes.members]
        members = sent if mishap.foreign else list(classes.members)
        tally, number = Tally(), 0
        while tally.total < decisions:
            member = members[number % len(members)]
            rng = np.random.default_rng([seed, *f"{mishap.name} {mishap.value}".encode(), number])
            for answer in _answers(classifier, mishap, member, rng):
                tally += Tally.of_answers({answer: 1}, "" if mishap.foreign else member.name, classes)
            number += 1
        rows.append(OpenWorldRow(mishap.name, mishap.value, mishap.es_n0_db, tally))
        step(done + 1, len(mishaps))
    return tuple(rows)


def _answers(
    classifier: Classifier, mishap: Mishap, member: LinearClass, rng: np.random.Generator
) -> list[str]:
    """Send one signal and return the answers that count: one, or one a burst."""
    spacing = float(np.exp(rng.uniform(math.log(2.5), math.log(8.0))))
    conditions = replace(
        mishap.conditions,
        samples_per_symbol=spacing,
        rolloff=rng.uniform(0.2, 0.5),
        offset=rng.uniform(-_OFF, _OFF),
        stagger=member.stagger,
    )
    places = [float(_COUNTED_AT)]
    symbols: NDArray[np.complex64] = member.symbols(_SYMBOLS, rng)
    if mishap.burst:
        length = _PAUSE + mishap.burst
        symbols = member.symbols(_BURSTS * length, rng).reshape(_BURSTS, length)
        symbols[:, :_PAUSE] = 0
        symbols = symbols.ravel()
        places = [_PAUSE + mishap.burst / 2 + length * number for number in range(_BURSTS)]
    samples = received_under(symbols, conditions, mishap.es_n0_db, rng)
    error = mishap.rate_error * float(rng.choice([-1, 1]))
    found = identify_linear(
        samples,
        _SYMBOL_RATE * spacing,
        _SYMBOL_RATE * (1 + error),
        options=IdentifyOptions(classifier),
    )
    return [_answer(found.at(place * spacing)) for place in places]


def _answer(decision: Decision | None) -> str:
    return NO_ANSWER if decision is None else answer_of(decision)


def open_world_table(rows: Sequence[OpenWorldRow]) -> list[str]:
    """Return the lines of a table in Markdown."""
    lines = [
        "| what is wrong | Es/N0, dB | decisions | right | wrong name | no name, or undecided |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        tally = row.tally
        shares = (tally.right, tally.misnamed, tally.missed + tally.undecided)
        cells = " | ".join(f"{100 * count / max(1, tally.total):.0f} %" for count in shares)
        what = f"{row.name}, {row.value}" if row.value else row.name
        lines.append(f"| {markdown(what)} | {row.es_n0_db:g} | {tally.total} | {cells} |")
    return lines


def open_world_csv(rows: Sequence[OpenWorldRow]) -> str:
    """Return the counts as CSV text."""
    outcomes = ("right", "misnamed", "missed", "undecided")
    return csv_text(
        ("what", "value", "es_n0_db", "decisions", *outcomes),
        [
            [
                row.name,
                row.value,
                row.es_n0_db,
                row.tally.total,
                *(getattr(row.tally, one) for one in outcomes),
            ]
            for row in rows
        ],
    )
