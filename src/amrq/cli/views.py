# SPDX-License-Identifier: GPL-3.0-or-later
"""What commands show in a terminal: decisions as a table, and a session as it runs."""

import contextlib
import math
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from rich.color import ColorSystem
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.markup import escape
from rich.panel import Panel
from rich.progress import Progress
from rich.style import Style
from rich.table import Table
from rich.text import Text

from amrq.decision import Decision, answer_words, es_n0_text
from amrq.live import LiveStream
from amrq.model import NO_SIGNAL, UNKNOWN
from amrq.sources import SILENCE_IS_NEWS
from amrq.text import counted, engineering, printable

__all__ = ["DecisionTable", "LiveView", "count_answers", "progress_bar", "refuted_text"]

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


@contextlib.contextmanager
def progress_bar(name: str) -> Iterator[Callable[[int, int], None]]:
    """Show how far a recording has been read, on a terminal; what it gives is called with samples, and all of them."""
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(escape(name), total=None)
        yield lambda done, of: bar.update(task, completed=done, total=of)


def count_answers(votes: Mapping[tuple[str, str], int]) -> str:
    """Return how often each answer was given, in words, from counts by reason and best."""
    answers: Counter[str] = Counter()
    for (reason, best), count in votes.items():
        answers[answer_words(reason, best)[0]] += count
    return ", ".join(f"{printable(answer)} {count}" for answer, count in answers.most_common()) or "none"


def refuted_text(names: Mapping[str, int]) -> str:
    """Return which names were refuted, as a sentence, from counts by name; empty if none was.

    >>> refuted_text({"16QAM": 5})
    'Unknown, since the most probable class does not fit: 16QAM in 5 decisions.'
    """
    counts = ", ".join(
        f"{printable(name)} in {counted(count, 'decision')}" for name, count in Counter(names).most_common()
    )
    return f"Unknown, since the most probable class does not fit: {counts}." if counts else ""


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
        word, perhaps = answer_words(reason, record["best"], alike=(record.get("alike") or ())[:1])
        refuted = record.get("refuted") or ""
        if reason != "named":
            perhaps = (
                _PERHAPS.get(record["best"], record["best"])
                if reason == "unsure"
                else refuted and f"not {refuted}"
            )
        answer = self._cell(2, printable(word, _MOST_NAME))
        if self._colours is not None:
            answer = Style.parse(_STYLES[reason]).render(answer, color_system=self._colours)
        es_n0 = es_n0_text(record["es_n0_db"], _BOUNDS.get(record["es_n0_bound"]))
        if refuted:
            # The model's estimate holds for the class that does not fit.
            es_n0 = es_n0_text(record.get("measured_es_n0_db"))
        truth = record["truth"]
        cells = [
            self._cell(0, f"{begin:.{self._digits}f} s"),
            self._cell(1, f"{begin + record['duration']:.{self._digits}f} s"),
            answer,
            self._cell(3, printable(perhaps)),
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


_NARROWEST, _WIDEST = 60, 200
"""Columns of the picture; a narrower terminal cuts it off."""
_BESIDE = 120
"""Columns from which the figures stand beside the bars."""
_FIGURES = 44
"""Columns of the figures there."""
_MARGIN = 4
"""Columns of the frame and of the space inside it."""
_CELL_SECONDS = 0.25
_TICK_SECONDS = 5
_LONGEST_NAME = 16
_NOTHING_DB = -200.0
_CLASSES = (
    # Okabe and Ito's colours, which the colour-blind can tell apart; a letter tells them apart for everybody else.
    "#56b4e9",
    "#e69f00",
    "#009e73",
    "#f0e442",
    "#0072b2",
    "#d55e00",
    "#cc79a7",
    "#999999",
    "#ffffff",
)
_LETTERS = "123456789abcdefghijklmnopqrstuvw"
_OTHERS = {UNKNOWN: ("unknown", "x", "magenta"), NO_SIGNAL: ("noise", "~", "bright_black")}
"""Outputs that are no modulations: as they are called, their mark in the strip and its colour."""
_UNSURE, _SILENT = ("?", "yellow"), ("·", "bright_black")

_Field = tuple[str, str, str]
"""What a figure is called, the figure, and its style."""


class LiveView:
    """The last answer, the probability of every output of the model, a strip of history with its time, and figures.

    It takes the width of the terminal, 60 to 200 columns.

    Args:
        source: what is received, for the title.
        classes: names in the model's order.
        session: that is shown.
        clock: seconds, which the strip is drawn by.
    """

    def __init__(
        self,
        source: str,
        classes: tuple[str, ...],
        session: LiveStream,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source, self._session, self._clock = source, session, clock
        named = [name for name in classes if name not in _OTHERS]
        self._styles = {
            name: (printable(name, _LONGEST_NAME), _LETTERS[n % len(_LETTERS)], _CLASSES[n % len(_CLASSES)])
            for n, name in enumerate(named)
        }
        # Every output has its row, so that the headline always is about one of them.
        self._styles |= {name: style for name, style in _OTHERS.items() if name in classes}
        self._last: Decision | None = None
        self._found: Mapping[str, Any] = {}
        self._since: Mapping[str, Any] = {}  # the record that the present answer began with
        self._history: deque[Counter[tuple[str, str]]] = deque(maxlen=_WIDEST)
        self._begun = clock()
        self._cells = 0  # of the strip, since the beginning
        self._lock = threading.Lock()  # it is drawn by another thread than the one that shows

    def show(self, decision: Decision, found: Mapping[str, Any]) -> None:
        """Take in a decision and its record."""
        with self._lock:
            self._go_on()
            if self._last is None or (self._last.reason, self._last.label) != (
                decision.reason,
                decision.label,
            ):
                self._since = found
            self._last, self._found = decision, found
            # A decision is about a stretch of time, which may be longer than a cell.
            self._history[-1][self._mark(decision)] += decision.chunks
            covered = math.ceil(found["duration"] / _CELL_SECONDS)
            for place in range(2, min(covered, len(self._history)) + 1):
                if self._history[-place]:
                    break
                self._history[-place][self._mark(decision)] = decision.chunks

    def _go_on(self) -> None:
        """Let the strip go on to the present moment; the lock is held."""
        cells = 1 + int((self._clock() - self._begun) / _CELL_SECONDS)
        for _ in range(min(cells - self._cells, _WIDEST)):
            self._history.append(Counter())
        self._cells = max(cells, self._cells)

    def _mark(self, decision: Decision) -> tuple[str, str]:
        """Return what stands for an answer in the strip, one character, and its colour."""
        if decision.reason == "unsure":
            return _UNSURE
        if decision.reason == "silent" or decision.best not in self._styles:
            return _SILENT
        return self._styles[decision.best][1:]

    def _headline(self) -> RenderableType:
        last = self._last
        if last is None:
            received = self._session.statistics().received
            if self._session.symbol_rate is None:
                return Text("looking for a signal", "dim")
            return Text("waiting for samples" if not received else f"listening: {received} chunks", "dim")
        word, more = answer_words(last.reason, last.best, refuted=last.refuted, alike=last.alike)
        line = Text(f" {printable(word, _LONGEST_NAME)} ", f"bold black on {self._mark(last)[1]}")
        if more:
            line.append(f"  {printable(more)}", "bold")
        if last.reason != "silent":
            line.append(f"  {100 * last.confidence:.1f} %", "bold")
        if self._since:
            lasted = self._found["time"] + self._found["duration"] - self._since["time"]
            line.append(f"   since {_moment(self._since)} ({_lasting(lasted)})")
        if self._found.get("truth") is not None:
            line.append(f"   sent {printable(self._found['truth'], _LONGEST_NAME)}", "dim")
        return line

    def _bars(self, width: int) -> RenderableType:
        table = Table.grid(padding=(0, 1))
        odds = self._last.log_probabilities if self._last else {}
        names = max(len(shown) for shown, _, _ in self._styles.values()) if self._styles else 0
        room = max(5, width - names - 12)
        for name, (shown, mark, colour) in self._styles.items():
            share = math.exp(odds[name]) if name in odds else 0.0
            filled = round(share * room)
            bar = Text("█" * filled, colour) + Text("·" * (room - filled), "bright_black")
            answered = self._last is not None and self._last.best == name
            row = (shown.rjust(names), mark), (f"{100 * share:5.1f} %",)
            style = "bold" if answered else ""
            table.add_row(
                *(Text(part, style) for part in row[0]), bar, *(Text(part, style) for part in row[1])
            )
        return table

    def _strip(self, width: int) -> RenderableType:
        """Draw the history, the newest at the right, over an axis of seconds."""
        head = "history "
        room = width - len(head)
        with self._lock:
            self._go_on()
            cells = [cell.most_common(1)[0][0] if cell else (" ", "") for cell in self._history][-room:]
        if len(cells) > 1 and not cells[-1][1]:
            cells[-1] = cells[-2]  # it has only begun
        strip = Text(head + " " * (room - len(cells)))
        for mark, colour in cells:
            strip.append(mark, colour)
        axis = [" "] * room
        step = round(_TICK_SECONDS / _CELL_SECONDS)
        for number in range(0, room, step):
            label = "now" if not number else f"−{number * _CELL_SECONDS:.0f} s"
            end = room - number
            if number:
                label += "│"
            begin = end - len(label)
            if begin < 0:
                break
            axis[begin:end] = label
        return strip + Text("\n" + " " * len(head) + "".join(axis), "bright_black")

    def _fields(self) -> list[_Field]:
        session, found = self._session, self._found
        counted, level = session.statistics(), session.level_db()
        frequency, offset = found.get("frequency_hz"), found.get("offset_hz")
        fields = [("frequency", "–" if frequency is None else engineering(frequency, "Hz"), "")]
        if offset is not None:
            fields.append(("offset found", engineering(offset, "Hz", 4).replace("-", "−"), ""))
        if session.symbol_rate is not None:
            rate = engineering(session.symbol_rate, "Bd", 6)
            if session.confidence < 1:
                rate += f", estimated ({session.confidence:.4f})"
            fields.append(("symbol rate", rate, ""))
        if found.get("equaliser"):
            fields.append(("equaliser", "on", ""))
        if found.get("input_clipped_share") is not None:
            fields.append(("input", f"clips: {100 * found['input_clipped_share']:.2g} %", "bold red"))
        last = self._last
        # Of a class that does not fit, the model's estimate says nothing.
        es_n0 = "–" if last is None or last.refuted else es_n0_text(last.es_n0_db, last.es_n0_bound)
        fields.append(("Es/N0", es_n0, ""))
        if found.get("snr_db") is not None:
            fields.append(("SNR", f"{round(found['snr_db']):d} dB".replace("-", "−"), ""))
        shown = "–" if level <= _NOTHING_DB else f"{round(level, 1) + 0.0:.1f} dBFS".replace("-", "−")
        fields += [
            ("level", shown, ""),
            ("queue", str(counted.queued), ""),
            ("dropped", str(counted.dropped), "bold red" if counted.dropped else ""),
            ("running", _lasting(self._clock() - self._begun), ""),
        ]
        board = session.board_statistics()
        if board:
            fields += [
                ("by the board", str(board["by_board"]), ""),
                ("on this machine", str(board["locally"]), "bold red" if board["locally"] else ""),
                ("lost", str(board["lost"]), "bold red" if board["lost"] else ""),
            ]
        return fields + self._alarms(counted.not_finite)

    def _alarms(self, not_finite: int) -> list[_Field]:
        """Return what should not be, as far as it is."""
        recording, overflows = self._session.recording(), self._session.overflows()
        silent = self._session.silent_seconds()
        alarms = []
        if not_finite:
            alarms.append(("not finite", str(not_finite)))
        if recording is not None and recording.failure:
            alarms.append(("recording", "failed"))
        elif recording is not None and recording.dropped:
            alarms.append(("not recorded", f"{recording.dropped} samples"))
        if overflows:
            alarms.append(("overflows", str(overflows)))
        if silent is not None and silent >= SILENCE_IS_NEWS:
            alarms.append(("no samples for", f"{silent:.0f} s"))
        return [(name, value, "bold red") for name, value in alarms]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw the picture as it stands now."""
        width = min(max(options.max_width, _NARROWEST), _WIDEST)
        inside = width - _MARGIN
        body: list[RenderableType]
        if width >= _BESIDE:
            beside = Table.grid(padding=(0, 3, 0, 0))
            beside.add_column(width=inside - _FIGURES - 3)
            beside.add_column(width=_FIGURES)
            beside.add_row(self._bars(inside - _FIGURES - 3), _one_a_line(self._fields()))
            body = [beside, Text(), self._strip(inside)]
        else:
            body = [self._bars(inside), Text(), self._strip(inside), _flowing(self._fields(), inside)]
        yield Panel(
            Group(self._headline(), Text(), *body),
            title=escape(printable(self._source)),
            title_align="left",
            width=width,
        )


def _one_a_line(fields: list[_Field]) -> RenderableType:
    table = Table.grid(padding=(0, 1))
    for name, value, style in fields:
        table.add_row(Text(name, style or "dim"), Text(value, style))
    return table


def _flowing(fields: list[_Field], width: int) -> RenderableType:
    """Set fields one after the other, in as many lines as they need."""
    lines, used = Text(), 0
    for name, value, style in fields:
        size = len(name) + len(value) + 4
        if used and used + size > width:
            lines.append("\n")
            used = 0
        lines.append(f"{name} ", style or "dim")
        lines.append(f"{value}   ", style)
        used += size
    return lines


def _moment(found: Mapping[str, Any]) -> str:
    """Return when a record's first symbol was received: the time of day, else the seconds of the stream."""
    utc = found.get("utc")
    return f"{found['time']:.1f} s" if utc is None else f"{utc[11:19]} UTC"


def _lasting(seconds: float) -> str:
    """Return a duration as people write it."""
    whole = max(0, int(seconds))
    minutes, hours = whole // 60, whole // 3600
    if hours:
        return f"{hours} h {minutes % 60:02d} min"
    return f"{minutes} min {whole % 60:02d} s" if minutes else f"{whole} s"
