# SPDX-License-Identifier: GPL-3.0-or-later
"""A widget that shows decisions as they arrive."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field, replace
from typing import Any

import pmt
from gnuradio import gr
from gnuradio.amrq._arguments import checked_arguments
from gnuradio.amrq._display import Panel, Pen
from gnuradio.amrq._errors import guarded_handler, guarded_run
from gnuradio.amrq._shown_decision import ShownDecision, read_decision, read_dictionary
from PyQt5 import QtCore, QtGui, QtWidgets

from amrq.classes import THESIS_9
from amrq.decision import answer_words, es_n0_text
from amrq.errors import AmrqError
from amrq.model import NO_SIGNAL, UNKNOWN
from amrq.text import counted, printable

__all__ = ["classification_display"]

_MAX_HISTORY = 1000  # one pixel each on a wide screen
_OTHERS = {UNKNOWN: "unknown", NO_SIGNAL: "noise"}  # model outputs that are not modulations, and their texts


@dataclass(frozen=True)
class _Snapshot:
    decision: ShownDecision | None = None
    history: tuple[ShownDecision, ...] = ()
    statistics: dict[str, int] = field(default_factory=dict)


class classification_display(gr.basic_block):
    """Show decisions: answer, probability, a bar for each model output, the truth if known, and a strip of history.

    `widget` is the QWidget to put into a window. It follows the window's size and palette, and is redrawn at most 15
    times a second.

    In the strip, time runs to the right and each class has the line of its bar. A bright mark shows the decision, a
    pale mark behind it the true class. If both are on one line, they agree. A true class that is not one of the
    model's classes agrees with `unknown`. An unsure decision is a grey mark on the line of the most probable output;
    it counts neither as right nor as wrong.

    Message port `decisions`: from `classifier_sink`, a PDU (or its dictionary alone); or from `family_classifier`,
    its dictionary: the bars are then families, and its summary stands below the answer.

    Message port `statistics`: from either, the dictionary of counters.

    Args:
        title: a line above everything; empty for none.
        history: how many decisions the strip shows, 1 to 1000.

    Raises:
        AmrqError: a value is out of its range, or there is no Qt application to show anything in.
    """

    @checked_arguments
    def __init__(self, title: str = "", history: int = 100) -> None:
        if QtWidgets.QApplication.instance() is None:  # Qt would end the whole process
            raise AmrqError(
                "the classification display needs a Qt application: create a QApplication first, or choose QT GUI as "
                "the flowgraph's output in GNU Radio Companion."
            )
        gr.basic_block.__init__(self, name="amrq_classification_display", in_sig=None, out_sig=None)
        self.received = 0
        """Decisions received since the start."""
        self._lock = threading.Lock()
        self._now = _Snapshot()
        self._history: deque[ShownDecision] = deque(maxlen=_checked_history(history))
        self.widget = _Panel(self._snapshot, self.logger)
        self.set_title(title)
        for port, handler in (("decisions", self._on_decision), ("statistics", self._on_statistics)):
            self.message_port_register_in(pmt.intern(port))
            self.set_msg_handler(pmt.intern(port), handler)

    @checked_arguments
    def set_title(self, title: str) -> None:
        """Set the line above everything."""
        self.widget.set_title(title)

    @checked_arguments
    def set_history(self, history: int) -> None:
        """Show this many decisions in the strip."""
        history = _checked_history(history)
        with self._lock:
            self._history = deque(self._history, maxlen=history)
        self.widget.refresh()

    def history(self) -> list[tuple[str, str | None]]:
        """Return (label, truth or None) of the decisions in the strip, the oldest first."""
        with self._lock:
            return [(shown.label, shown.truth) for shown in self._history]

    def statistics(self) -> dict[str, int]:
        """Return the counters received last."""
        with self._lock:
            return dict(self._now.statistics)

    @guarded_run
    def start(self) -> bool:
        """Begin a run with an empty display."""
        with self._lock:
            self.received = 0
            self._now = _Snapshot()
            self._history.clear()
        self.widget.refresh()
        return True

    def _snapshot(self) -> tuple[_Snapshot, int]:
        with self._lock:
            return replace(self._now, history=tuple(self._history)), self._history.maxlen or 1

    @guarded_handler("a message at the port for decisions could not be shown")
    def _on_decision(self, message: Any) -> None:
        shown = read_decision(message)
        with self._lock:
            self.received += 1
            self._now = replace(self._now, decision=shown)
            self._history.append(shown)
        self.widget.refresh()

    @guarded_handler("a message at the port for statistics could not be shown")
    def _on_statistics(self, message: Any) -> None:
        counters = {str(name): int(value) for name, value in read_dictionary(message).items()}
        with self._lock:
            self._now = replace(self._now, statistics=counters)
        self.widget.refresh()


def _checked_history(history: int) -> int:
    if not 1 <= history <= _MAX_HISTORY:
        raise AmrqError(f"the display can show the last 1 to {_MAX_HISTORY} decisions, not {history}.")
    return int(history)


class _Panel(Panel):
    """The widget that draws the display."""

    def __init__(self, snapshot: Any, logger: Any) -> None:
        super().__init__("Recognised modulation", logger)
        self._snapshot = snapshot
        self._classes: tuple[str, ...] = tuple(THESIS_9)

    def _draw(self, painter: QtGui.QPainter) -> None:
        snapshot, columns = self._snapshot()
        if snapshot.decision is not None and snapshot.decision.probabilities:
            self._classes = _ordered(snapshot.decision.probabilities)
        rows = self._rows(snapshot)
        pen, area = self._begin(painter)
        unit = pen.unit
        header = QtCore.QRectF(area.left(), area.top(), area.width(), min(8.8 * unit, 0.3 * area.height()))
        footer = QtCore.QRectF(area.left(), area.bottom() - 2.9 * unit, area.width(), 2.9 * unit)
        body = QtCore.QRectF(
            area.left(), header.bottom() + unit, area.width(), footer.top() - header.bottom() - 2.2 * unit
        )
        _draw_header(pen, header, snapshot.decision, rows)
        _draw_body(pen, body, snapshot, rows, columns)
        pen.line(footer.left(), footer.top() - 0.6 * unit, footer.right())
        _draw_footer(pen, footer, snapshot)

    def _rows(self, snapshot: _Snapshot) -> tuple[str, ...]:
        """Return every label that a decision can have, and true classes in the strip that the model does not have."""
        rows = [name for name in self._classes if name not in (UNKNOWN, NO_SIGNAL)]
        for shown in snapshot.history:
            if shown.truth is not None and shown.truth not in (*rows, UNKNOWN, NO_SIGNAL):
                rows.append(shown.truth)
        return (*rows[:24], UNKNOWN, NO_SIGNAL)


def _ordered(probabilities: dict[str, float]) -> tuple[str, ...]:
    """Return classes in the thesis's order, as in every table here, then the others in order of appearance."""
    known = [name for name in THESIS_9 if name in probabilities]
    return (*known, *(name for name in probabilities if name not in THESIS_9))


def _draw_header(
    pen: Pen, area: QtCore.QRectF, decision: ShownDecision | None, rows: tuple[str, ...]
) -> None:
    unit, caption = pen.unit, 1.5 * pen.unit
    strip = 0.5 * area.width() + 1.2 * unit  # left edge of the body's right half
    columns = [
        (0.0, strip - unit),
        (strip, 0.25 * area.width()),
        (strip + 0.27 * area.width(), 0.21 * area.width()),
    ]
    boxes = [QtCore.QRectF(area.left() + x, area.top(), width, area.height()) for x, width in columns]
    captions = [QtCore.QRectF(b.left(), b.top(), b.width(), caption) for b in boxes]
    values = [QtCore.QRectF(b.left(), b.top() + caption, b.width(), b.height() - caption) for b in boxes]
    for rect, text in zip(captions, ("modulation", "truth", "probability"), strict=True):
        pen.write(rect, text, 1.0, pen.muted)
    if decision is None:
        pen.write(values[0], "waiting …", 2.2, pen.muted)
        return

    word, more = answer_words(decision.reason, decision.row, refuted=decision.refuted, alike=decision.alike)
    word, more = printable(decision.name or word, 40), printable(decision.remark or more, 200)
    if more:
        beside = QtCore.QRectF(values[0])
        beside.setTop(values[0].bottom() - 0.3 * values[0].height())
        values[0].setBottom(beside.top())
        size = 0.26 * (values[0].height() + beside.height())
        if decision.name and decision.truth is None:  # more words, and nothing stands beside them
            beside.setRight(area.right())
            size = max(0.5 * size, pen.fitting((more,), beside.width(), size, bold=False))
        pen.write(beside, more, size / unit, pen.muted)
    # One font size for all classes, so that the layout stays still when the decision changes; other words have sizes
    # of their own.
    outputs = decision.reason == "named" and not decision.name
    labels = tuple(name for name in rows if name not in _OTHERS) if outputs else (word,)
    big = pen.fitting(labels, 0.94 * values[0].width(), 0.98 * values[0].height(), bold=True)
    pen.write(values[0], word, big / unit, bold=True)

    upper = QtCore.QRectF(values[1].left(), values[1].top(), values[1].width(), 0.56 * values[1].height())
    lower = QtCore.QRectF(upper.left(), upper.bottom(), upper.width(), values[1].height() - upper.height())
    middle = pen.fitting((*rows, "100.0 %"), values[2].width(), 0.8 * upper.height(), bold=False) / unit
    verdict = decision.verdict
    if verdict is None:
        pen.write(upper, "not known", 1.2, pen.muted)
    else:
        pen.write(upper, decision.truth or "", middle)
        if verdict == "undecided":
            pen.write(lower, "undecided", 1.2, pen.muted, bold=True)
        else:
            size = 1.3 * unit
            good = verdict == "right"
            pen.mark(QtCore.QPointF(lower.left() + size / 2, lower.center().y()), size, good)
            said, colour = ("agrees", pen.right) if good else ("differs", pen.wrong)
            pen.write(lower.adjusted(1.5 * size, 0, 0, 0), said, 1.2, colour, bold=True)

    upper.moveLeft(values[2].left())
    upper.setWidth(values[2].width())
    lower.moveLeft(values[2].left())
    lower.setWidth(values[2].width())
    if decision.reason == "silent":  # silence: no model was asked
        pen.write(upper, "–", middle, pen.muted)
    else:
        pen.write(upper, f"{100 * decision.confidence:.1f} %", middle)
    if decision.chunks or not decision.name:
        pen.write(lower, f"of {counted(decision.chunks, 'chunk')}", 1.0, pen.muted)


def _draw_body(
    pen: Pen, area: QtCore.QRectF, snapshot: _Snapshot, rows: tuple[str, ...], columns: int
) -> None:
    unit, decision = pen.unit, snapshot.decision
    head = 1.7 * unit
    height = (area.height() - head) / len(rows)
    text = min(1.05, 0.78 * height / unit)
    metrics = QtGui.QFontMetricsF(pen.sized(text * unit, bold=True))
    names = max(metrics.horizontalAdvance(_OTHERS.get(name, name)) for name in rows) + 0.8 * unit
    numbers = metrics.horizontalAdvance("100.0 %") + 0.9 * unit
    bars = 0.5 * area.width() - names - numbers
    left = area.left() + names
    strip = left + bars + numbers + 1.2 * unit
    width = area.right() - strip

    pen.write(
        QtCore.QRectF(left, area.top(), bars + numbers, unit), "probability of each output", 0.9, pen.muted
    )
    _draw_legend(pen, QtCore.QRectF(strip, area.top(), width, unit), snapshot.history)

    top = area.top() + head
    for index, name in enumerate(rows):
        y = top + index * height
        chosen = decision is not None and decision.row == name
        line = QtCore.QRectF(area.left(), y, names - 0.8 * unit, height)
        shown_name = _OTHERS.get(name, name)
        pen.write(
            line, shown_name, text, None if chosen else pen.muted, chosen, QtCore.Qt.AlignmentFlag.AlignRight
        )
        pen.fill(strip, y + 0.12 * height, width, 0.76 * height, pen.faint)
        if decision is None or name not in decision.probabilities:
            continue
        probability = decision.probabilities[name]
        pen.fill(left, y + 0.2 * height, bars, 0.6 * height, pen.faint)
        said = chosen and decision.reason != "unsure"
        pen.fill(left, y + 0.2 * height, bars * probability, 0.6 * height, pen.decided if said else pen.other)
        line = QtCore.QRectF(left + bars, y, numbers, height)
        colour = None if chosen else pen.muted
        pen.write(
            line, f"{100 * probability:.1f} %", text, colour, chosen, QtCore.Qt.AlignmentFlag.AlignRight
        )

    pen.painter.setRenderHint(QtGui.QPainter.Antialiasing, False)
    lines = {name: index for index, name in enumerate(rows)}
    edges = [strip + width * n / columns for n in range(columns + 1)]
    for place, shown in enumerate(snapshot.history, start=columns - len(snapshot.history)):
        x, step = edges[place], edges[place + 1] - edges[place]
        if shown.truth in lines:
            pen.fill(x, top + (lines[shown.truth] + 0.12) * height, step, 0.76 * height, pen.truth)
        if shown.row in lines:
            colour = pen.wrong if shown.verdict == "wrong" else pen.decided
            if shown.reason == "unsure":
                colour = pen.muted
            pen.fill(x, top + (lines[shown.row] + 0.3) * height, step, 0.4 * height, colour)
    pen.painter.setRenderHint(QtGui.QPainter.Antialiasing)


def _draw_legend(pen: Pen, area: QtCore.QRectF, history: tuple[ShownDecision, ...]) -> None:
    unit = pen.unit
    metrics = QtGui.QFontMetricsF(pen.sized(0.9 * unit))
    x = area.right()
    swatches = [("truth", pen.truth, 0.9), ("unsure", pen.muted, 0.45), ("decided", pen.decided, 0.45)]
    if any(shown.verdict == "wrong" for shown in history):
        swatches.insert(2, ("differs", pen.wrong, 0.45))
    count = len(history)
    for text, colour, thickness in swatches:
        x -= metrics.horizontalAdvance(text)
        pen.write(QtCore.QRectF(x, area.top(), area.right() - x, area.height()), text, 0.9, pen.muted)
        x -= 1.5 * unit
        pen.fill(x, area.center().y() - thickness * unit / 2, 1.1 * unit, thickness * unit, colour)
        x -= unit
    # The rest of the line; in a small window it is too short for all texts.
    for text in (f"last {counted(count, 'decision')}", f"last {count}"):
        if metrics.horizontalAdvance(text) <= x - area.left():
            pen.write(area, text, 0.9, pen.muted)
            break


def _draw_footer(pen: Pen, area: QtCore.QRectF, snapshot: _Snapshot) -> None:
    statistics = snapshot.statistics
    # The count of decisions is not shown: statistics arrive twice a second, and it would lag behind the strip.
    names = ("received", "classified", "silent", "not_finite", "queued", "dropped")
    entries = [(name.replace("_", " "), _short(statistics.get(name)), name == "dropped") for name in names]
    verdicts = [shown.verdict for shown in snapshot.history]
    right, judged = (
        verdicts.count("right"),
        len(verdicts) - verdicts.count(None) - verdicts.count("undecided"),
    )
    shown = snapshot.decision or ShownDecision("", 0.0)
    entries.append(("agree", f"{right}/{judged}" if judged else "–", False))
    entries.append(("unsure", str(sum(shown.reason == "unsure" for shown in snapshot.history)), False))
    es_n0 = es_n0_text(shown.es_n0_db, {"above": ">", "below": "<"}.get(shown.es_n0_bound or ""))
    if shown.refuted:  # the estimate is that of a class which does not fit
        es_n0 = es_n0_text(None)
    entries.append(("Es/N0", es_n0, False))
    width = area.width() / len(entries)
    for index, (name, value, is_fault) in enumerate(entries):
        box = QtCore.QRectF(
            area.left() + index * width, area.top(), width - 0.3 * pen.unit, area.height() / 2
        )
        alarm = is_fault and value not in ("0", "–")
        pen.write(box, name, 0.9, pen.muted)
        box.translate(0, box.height())
        pen.write(box, f"{value} !" if alarm else value, 1.1, pen.wrong if alarm else None, alarm)


def _short(count: int | None) -> str:
    """Return a counter as text of at most seven characters."""
    if count is None:
        return "–"
    if count < 100_000:
        return str(count)
    scales = ((1e3, "k"), (1e6, "M"), (1e9, "G"), (1e12, "T"))
    scale, unit = next((scale, unit) for scale, unit in scales if count < 999.95 * scale)
    return f"{count / scale:.{1 if count >= 100 * scale else 2}f} {unit}"
