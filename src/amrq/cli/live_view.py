# SPDX-License-Identifier: GPL-3.0-or-later
"""What a terminal shows of a live stream."""

import math
import threading
import time
from collections import Counter, deque

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from amrq.cli.live_session import LiveSession
from amrq.decision import NO_SIGNAL, Decision
from amrq.engineering import engineering
from amrq.model import UNKNOWN
from amrq.plain_text import printable
from amrq.sources import SILENCE_IS_NEWS

__all__ = ["LiveView"]

_CELLS = 62
"""Of the history strip."""
_CELL_SECONDS = 0.25
_BAR = 30
_NAME = 9
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


class LiveView:
    """The last decision, the classes' probabilities, a strip of history, level, Es/N0, queue and drops.

    Args:
        source: what is received, for the title.
        classes: names in the model's order.
        session: that is shown.
    """

    def __init__(self, source: str, classes: tuple[str, ...], session: LiveSession) -> None:
        self._source = source
        self._classes = tuple(name for name in classes if name != NO_SIGNAL)
        self._session = session
        self._last: Decision | None = None
        self._truth: str | None = None
        self._history: deque[Counter[str]] = deque(maxlen=_CELLS)
        self._cell_ends = 0.0
        self._begun = time.monotonic()
        self._lock = threading.Lock()  # it is drawn by another thread than the one that shows

    def show(self, decision: Decision, truth: str | None) -> None:
        """Take a decision in."""
        now = time.monotonic()
        with self._lock:
            self._last, self._truth = decision, truth
            if now >= self._cell_ends:
                self._history.append(Counter())
                self._cell_ends = now + _CELL_SECONDS
            self._history[-1][decision.label] += decision.chunks

    def _colour(self, label: str) -> str:
        if label in self._classes:
            return _CLASSES[self._classes.index(label) % len(_CLASSES)]
        return "yellow" if label == UNKNOWN else "bright_black"

    def _mark(self, label: str) -> str:
        """Return the one character that stands for a label in the strip, so that it does not live by colour alone."""
        if label == UNKNOWN:
            return "?"
        named = [name for name in self._classes if name != UNKNOWN]
        return "123456789abcdefghijklmnopqrstuvwxyz"[named.index(label) % 35] if label in named else "·"

    def _decision(self) -> RenderableType:
        last = self._last
        if last is None:
            received = self._session.statistics().received
            if self._session.symbol_rate is None:
                return Text("looking for a symbol rate", "dim")
            return Text("waiting for samples" if not received else f"listening: {received} chunks", "dim")
        line = Text(f" {last.label} ", f"bold black on {self._colour(last.label)}")
        line.append(f"  confidence {last.confidence:.3f}", "bold")
        if last.best and last.best != last.label:
            line.append(f"  rather {last.best}")
        if self._truth is not None:
            line.append(f"  sent {self._truth}", "dim")
        return line

    def _bars(self) -> RenderableType:
        table = Table.grid(padding=(0, 1))
        odds = self._last.log_probabilities if self._last else {}
        for name in self._classes:
            share = math.exp(odds[name]) if name in odds else 0.0
            filled = round(share * _BAR)
            bar = Text("█" * filled, self._colour(name)) + Text("·" * (_BAR - filled), "bright_black")
            table.add_row(Text(name.rjust(_NAME)), Text(self._mark(name)), bar, Text(f"{share:5.3f}"))
        return table

    def _strip(self) -> RenderableType:
        strip = Text("  history ")
        with self._lock:
            labels = [cell.most_common(1)[0][0] for cell in self._history]
        for label in labels:
            strip.append(self._mark(label), self._colour(label))
        return strip

    def _figures(self) -> RenderableType:
        counted = self._session.statistics()
        last = self._last
        es_n0 = "–" if last is None or last.es_n0_db is None else f"{last.es_n0_db:.1f} dB"
        line = Text(
            f"    Es/N0 {es_n0:8s}  level {self._session.level_db():.1f} dB   queue {counted.queued}   "
        )
        line.append(f"dropped {counted.dropped}", "bold red" if counted.dropped else "")
        line.append(f"   {time.monotonic() - self._begun:.0f} s")
        board = self._session.board_statistics()
        if board:
            line.append(f"\n    by the board {board['by_board']}   ")
            line.append(f"on this machine {board['locally']}", "bold red" if board["locally"] else "")
            line.append(f"   lost {board['lost']}", "bold red" if board["lost"] else "")
        rate = self._session.symbol_rate
        if rate is not None:
            line.append(f"\n    symbol rate {engineering(rate, 'Bd', 6)}")
            if self._session.confidence < 1:
                line.append(f", estimated, confidence {self._session.confidence:.4f}")
        if counted.not_finite:
            line.append(f"   not finite {counted.not_finite}", "bold red")
        recording = self._session.recording()
        if recording is not None and (recording.failure or recording.dropped):
            text = "recording failed" if recording.failure else f"not recorded {recording.dropped} samples"
            line.append(f"   {text}", "bold red")
        overflows = self._session.overflows()
        if overflows:
            line.append(f"   overflows {overflows}", "bold red")
        silent = self._session.silent_seconds()
        if silent is not None and silent >= SILENCE_IS_NEWS:
            line.append(f"\n    no samples for {silent:.0f} s", "bold red")
        return line

    def __rich__(self) -> RenderableType:
        """Return the picture as it stands now."""
        return Panel(
            Group(self._decision(), Text(), self._bars(), Text(), self._strip(), self._figures()),
            title=escape(printable(self._source)),
            title_align="left",
            width=78,
        )
