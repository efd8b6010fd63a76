# SPDX-License-Identifier: GPL-3.0-or-later
"""A widget that shows how often each class is mistaken for which other."""

from __future__ import annotations

import threading
from collections import Counter, deque
from typing import Any

import pmt
from gnuradio import gr
from gnuradio.amrq._arguments import checked_arguments
from gnuradio.amrq._display import Panel, Pen
from gnuradio.amrq._errors import guarded_handler, guarded_run
from gnuradio.amrq._shown_decision import Verdict, read_decision
from PyQt5 import QtCore, QtGui, QtWidgets

from amrq.classes import THESIS_9
from amrq.errors import AmrqError
from amrq.evaluation import clopper_pearson
from amrq.model import NO_SIGNAL, UNKNOWN

__all__ = ["confusion_display"]

_MAX_MEMORY = 1_000_000
_MOST_TRUTHS = 24
_UNSURE = "unsure"
"""Column of the decisions that this is the reason of."""


class confusion_display(gr.basic_block):
    """Show a confusion matrix of decisions with a known true class: a row for each class, a column for each answer.

    Each cell holds its share of the row's decisions. Right decisions are blue, wrong ones orange, undecided ones
    (`unsure`) grey; a larger share has a deeper colour. The line below gives the counts of right, wrong and undecided
    decisions, and the share of right ones among the decided ones with its 95 % interval (Clopper-Pearson). If the true
    class is not one of the model's classes, `unknown` is right.

    `widget` is the QWidget to put into a window. It follows the window's size and palette.

    Message ports:
        decisions: from `classifier_sink`, a PDU (or its dictionary alone); those without a truth are not counted.
        clear: any message: start to count again.

    Args:
        title: a line above everything; empty for none.
        memory: how many of the last decisions count, 1 to 1,000,000; 0 counts all.

    Raises:
        AmrqError: a value is out of its range, or there is no Qt application to show anything in.
    """

    @checked_arguments
    def __init__(self, title: str = "", memory: int = 0) -> None:
        if QtWidgets.QApplication.instance() is None:  # Qt would end the whole process
            raise AmrqError(
                "the confusion display needs a Qt application: create a QApplication first, or choose QT GUI as the "
                "flowgraph's output in GNU Radio Companion."
            )
        gr.basic_block.__init__(self, name="amrq_confusion_display", in_sig=None, out_sig=None)
        self._lock = threading.Lock()
        self._counts: Counter[tuple[str, str]] = Counter()
        self._foreign: set[str] = set()  # true classes that the model does not have: `unknown` is right
        self._recent: deque[tuple[str, str]] = deque()
        self._memory = _checked_memory(memory)
        self.widget = _Panel(self._snapshot, self.logger)
        self.set_title(title)
        for port, handler in (("decisions", self._on_decision), ("clear", self._on_clear)):
            self.message_port_register_in(pmt.intern(port))
            self.set_msg_handler(pmt.intern(port), handler)

    @checked_arguments
    def set_title(self, title: str) -> None:
        """Set the line above everything."""
        self.widget.set_title(title)

    @checked_arguments
    def set_memory(self, memory: int) -> None:
        """Count this many of the last decisions; 0 counts all from now on."""
        memory = _checked_memory(memory)
        with self._lock:
            self._memory = memory
            if not memory:
                self._recent.clear()
            elif not self._recent and self._counts:
                # Decisions counted without their order cannot be dropped in order.
                self._counts.clear()
            self._forget()
        self.widget.refresh()

    def counts(self) -> dict[tuple[str, str], int]:
        """Return the count of each (truth, answer); an answer is a decision's label, or `unsure` if it is unsure."""
        with self._lock:
            return dict(self._counts)

    @guarded_run
    def start(self) -> bool:
        """Begin a run with an empty display."""
        self._clear()
        return True

    def right(self) -> int:
        """Return how many decisions were right."""
        return self.verdicts()["right"]

    def verdicts(self) -> dict[str, int]:
        """Return how many decisions were `right`, `wrong` and `undecided`."""
        return _verdicts(*self._snapshot())

    def _snapshot(self) -> tuple[dict[tuple[str, str], int], frozenset[str]]:
        with self._lock:
            return dict(self._counts), frozenset(self._foreign)

    def _forget(self) -> None:
        """Drop the oldest decisions beyond the memory; the lock is held."""
        while self._memory and len(self._recent) > self._memory:
            oldest = self._recent.popleft()
            self._counts[oldest] -= 1
            if not self._counts[oldest]:
                del self._counts[oldest]

    @guarded_handler("a message at the port for decisions could not be counted")
    def _on_decision(self, message: Any) -> None:
        shown = read_decision(message)
        if shown.truth is None:
            return
        pair = (shown.truth, _UNSURE if shown.reason == "unsure" else shown.label)
        with self._lock:
            self._counts[pair] += 1
            if shown.probabilities:  # a silent decision does not list the classes
                known = shown.truth in shown.probabilities
                (self._foreign.discard if known else self._foreign.add)(shown.truth)
            if self._memory:
                self._recent.append(pair)
            self._forget()
        self.widget.refresh()

    @guarded_handler("the display could not be cleared")
    def _on_clear(self, message: Any) -> None:
        self._clear()

    def _clear(self) -> None:
        with self._lock:
            self._counts.clear()
            self._recent.clear()
            self._foreign.clear()
        self.widget.refresh()


def _verdict(truth: str, answer: str, foreign: frozenset[str]) -> Verdict:
    """Return the verdict on an answer, given the class that was sent."""
    if answer == _UNSURE:
        return "undecided"
    return "right" if answer == (UNKNOWN if truth in foreign else truth) else "wrong"


def _verdicts(counts: dict[tuple[str, str], int], foreign: frozenset[str]) -> dict[str, int]:
    found = dict.fromkeys(("right", "wrong", "undecided"), 0)
    for (truth, answer), count in counts.items():
        found[_verdict(truth, answer, foreign)] += count
    return found


def _checked_memory(memory: int) -> int:
    if not 0 <= memory <= _MAX_MEMORY:
        raise AmrqError(
            f"the display can count the last 1 to {_MAX_MEMORY} decisions, or all (0), not {memory}."
        )
    return int(memory)


class _Panel(Panel):
    """The widget that draws the display."""

    def __init__(self, snapshot: Any, logger: Any) -> None:
        super().__init__("Confusion of modulations", logger)
        self._snapshot = snapshot

    def _draw(self, painter: QtGui.QPainter) -> None:
        counts, foreign = self._snapshot()
        pen, area = self._begin(painter)
        unit = pen.unit
        if not counts:
            pen.write(area, "waiting for decisions with a truth …", 1.4, pen.muted)
            return
        truths = _ordered({truth for truth, _ in counts})[:_MOST_TRUTHS]
        labels = _ordered({*THESIS_9, UNKNOWN, _UNSURE, *(label for _, label in counts)})
        footer = QtCore.QRectF(area.left(), area.bottom() - 1.8 * unit, area.width(), 1.8 * unit)
        body = QtCore.QRectF(area.left(), area.top(), area.width(), footer.top() - area.top() - unit)
        _draw_matrix(pen, body, counts, foreign, truths, labels)
        _draw_footer(pen, footer, _verdicts(counts, foreign))


def _draw_footer(pen: Pen, area: QtCore.QRectF, found: dict[str, int]) -> None:
    right, decided = found["right"], found["right"] + found["wrong"]
    text = f"{right} right, {found['wrong']} wrong, {found['undecided']} undecided"
    if decided:
        low, high = clopper_pearson(right, decided)
        text += f"; of {decided} decided {100 * right / decided:.1f} % right ({100 * low:.1f} to {100 * high:.1f})"
    pen.write(area, text, pen.fitting((text,), area.width(), 1.1 * pen.unit, bold=False) / pen.unit)


def _draw_matrix(
    pen: Pen,
    area: QtCore.QRectF,
    counts: dict[tuple[str, str], int],
    foreign: frozenset[str],
    truths: tuple[str, ...],
    labels: tuple[str, ...],
) -> None:
    unit = pen.unit
    metrics = QtGui.QFontMetricsF(pen.sized(unit))
    names = max(metrics.horizontalAdvance(name) for name in (*truths, "sent")) + 0.8 * unit
    numbers = metrics.horizontalAdvance("1,000,000") + 0.6 * unit
    head = 1.8 * unit
    width = (area.width() - names - numbers) / len(labels)
    height = min((area.height() - head) / len(truths), 3.2 * unit)
    size = pen.fitting(tuple(labels), 0.94 * width, unit, bold=False) / unit
    centre, right = QtCore.Qt.AlignmentFlag.AlignHCenter, QtCore.Qt.AlignmentFlag.AlignRight
    pen.write(QtCore.QRectF(area.left(), area.top(), names, head), "sent", 0.9, pen.muted)
    pen.write(
        QtCore.QRectF(area.right() - numbers, area.top(), numbers, head),
        "decisions",
        0.8,
        pen.muted,
        align=right,
    )
    for column, label in enumerate(labels):
        box = QtCore.QRectF(area.left() + names + column * width, area.top(), width, head)
        pen.write(box, label, size, pen.muted, align=centre)
    for row, truth in enumerate(truths):
        top = area.top() + head + row * height
        line = QtCore.QRectF(area.left(), top, names - 0.8 * unit, height)
        pen.write(line, truth, 1.0, align=right)
        total = sum(count for (sent, _), count in counts.items() if sent == truth)
        line = QtCore.QRectF(area.right() - numbers, top, numbers, height)
        pen.write(line, f"{total:,}", 0.9, pen.muted, align=right)
        for column, label in enumerate(labels):
            share = counts.get((truth, label), 0) / total
            left = area.left() + names + column * width
            pen.fill(left + 1, top + 1, width - 2, height - 2, pen.faint)
            if not share:
                continue
            shades = {"right": pen.decided, "wrong": pen.wrong, "undecided": pen.muted}
            colour = QtGui.QColor(shades[_verdict(truth, label, foreign)])
            colour.setAlphaF(0.15 + 0.85 * share)
            pen.fill(left + 1, top + 1, width - 2, height - 2, colour)
            # White on the deep colours, the ordinary text on the pale ones.
            text = pen.ground if share > 0.55 else None
            box = QtCore.QRectF(left, top, width, height)
            pen.write(box, _percent(share), min(1.0, 0.3 * width / unit), text, align=centre)


def _percent(share: float) -> str:
    return f"{100 * share:.0f}" if share >= 0.995 or share >= 0.1 else f"{100 * share:.1f}"


def _ordered(names: set[str]) -> tuple[str, ...]:
    """Return names in the order of the thesis's classes, as in every table, then other classes, then other answers."""
    last = (UNKNOWN, NO_SIGNAL, _UNSURE)
    known = [name for name in THESIS_9 if name in names]
    other = sorted(name for name in names if name not in THESIS_9 and name not in last)
    return (*known, *other, *(name for name in last if name in names))
