# SPDX-License-Identifier: GPL-3.0-or-later
"""Decisions as rows of a table, each printed as soon as it is made."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rich.color import ColorSystem
from rich.console import Console
from rich.style import Style

from amrq.decision import answer_words, es_n0_text
from amrq.model import NO_SIGNAL, UNKNOWN
from amrq.plain_text import printable

__all__ = ["DecisionTable", "count_answers"]

_NARROW = 80
"""Columns of a table that goes to no terminal."""
_BAR = 5
_FAST = 100e3
"""Symbols a second from which milliseconds are too coarse for where a decision begins."""
_MOST_NAME = 16
_LEAST_TRUTH = 5
_STYLES = {"named": "green", "unsure": "yellow", "foreign": "magenta", "noise": "dim", "silent": "dim"}
_BOUNDS = {"above": ">", "below": "<"}
_PERHAPS = {UNKNOWN: "none", NO_SIGNAL: "noise"}
_SYSTEMS = {"standard": "STANDARD", "256": "EIGHT_BIT", "truecolor": "TRUECOLOR", "windows": "WINDOWS"}


def count_answers(votes: Mapping[tuple[str, str], int]) -> str:
    """Return how often each answer was given, in words, from counts by reason and best."""
    answers: Counter[str] = Counter()
    for (reason, best), count in votes.items():
        answers[answer_words(reason, best)[0]] += count
    return ", ".join(f"{printable(answer)} {count}" for answer, count in answers.most_common()) or "none"


class DecisionTable:
    """A table whose rows stream: nothing is kept of them, however many there are.

    Columns have one width from the first row on. On a terminal the answer is coloured, and what is left of the line is
    the truth's; elsewhere it is written in full.

    Args:
        console: where it goes.
        title: a line above it.
        names: that answers can have, for the width of their column.
        symbol_rate: symbols a second, for the digits of times.
    """

    def __init__(self, console: Console, title: str, names: Sequence[str], symbol_rate: float) -> None:
        self._out = console.file
        self._colours = None
        if console.is_terminal and not console.no_color and console.color_system is not None:
            self._colours = ColorSystem[_SYSTEMS.get(console.color_system, "STANDARD")]
        self._digits = 6 if symbol_rate >= _FAST else 3
        time = 13 if self._digits == 6 else 12
        longest = min(_MOST_NAME, max(len(printable(name, _MOST_NAME)) for name in (*names, "no signal")))
        shape = ((time, ">"), (time, ">"), (longest, "<"), (longest, "<"), (7, ">"), (6, ">"))
        titles = ("from", "to", "decision", "perhaps", "Es/N0", "chunks")
        width = console.width if console.is_terminal else _NARROW
        used = sum(size + 1 for size, _ in shape) + len("0.000 ")
        self._bar = used + _BAR + 1 + _LEAST_TRUTH <= width
        self._truth = width - used - (_BAR + 1) * self._bar if console.is_terminal else None
        self._shape = shape
        before = [self._cell(n, text) for n, text in enumerate(titles)]
        confidence = "probability" if self._bar else "prob."
        self._write(printable(title))
        self._write(" ".join([*before[:4], confidence, *before[4:], "truth"]))
        self._write("─" * min(width, used + (_BAR + 1) * self._bar + _LEAST_TRUTH))

    def _cell(self, column: int, text: str) -> str:
        width, side = self._shape[column]
        if len(text) > width and side == "<":
            text = text[: width - 1] + "…"
        return f"{text:{side}{width}}"

    def _write(self, line: str) -> None:
        self._out.write(line.rstrip() + "\n")
        self._out.flush()

    def add(self, record: Mapping[str, Any]) -> None:
        """Print a record of `decision_record` as a row."""
        begin, confidence, reason = record["time"], record["confidence"], record["reason"]
        word, _ = answer_words(reason, record["best"])
        answer = self._cell(2, printable(word, _MOST_NAME))
        if self._colours is not None:
            answer = Style.parse(_STYLES[reason]).render(answer, color_system=self._colours)
        es_n0 = es_n0_text(record["es_n0_db"], _BOUNDS.get(record["es_n0_bound"]))
        truth = record["truth"]
        cells = [
            self._cell(0, f"{begin:.{self._digits}f} s"),
            self._cell(1, f"{begin + record['duration']:.{self._digits}f} s"),
            answer,
            self._cell(
                3, _PERHAPS.get(record["best"], printable(record["best"])) if reason == "unsure" else ""
            ),
            f"{confidence:.3f}",
            self._cell(4, es_n0),
            self._cell(5, str(record["chunks"])),
        ]
        if self._bar:
            filled = round(confidence * _BAR)
            cells[4] = "█" * filled + "░" * (_BAR - filled) + " " + cells[4]
        if truth is not None:
            shown = printable(truth)
            if self._truth is not None and len(shown) > self._truth:
                shown = shown[: max(0, self._truth - 1)] + "…"
            cells.append(shown)
        self._write(" ".join(cells))
