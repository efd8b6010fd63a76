# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts that all displays share: a widget that redraws itself after a change, and a pen to draw with."""

import math
import threading
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PyQt5 import QtCore, QtGui, QtWidgets

from amrq.text import printable

__all__ = ["Panel", "Pen", "polygon"]

_REDRAW_PERIOD = 1 / 15  # seconds; a shorter period costs processor time and is not more readable

# Okabe and Ito's colours, which stay distinct in the common kinds of colour blindness; lighter on a dark ground.
_LIGHT = {"decided": "#0072B2", "wrong": "#D55E00", "right": "#007A59"}
_DARK = {"decided": "#56B4E9", "wrong": "#E69F00", "right": "#29C79A"}


class Pen:
    """A painter with the displays' sizes, colours and fonts.

    Args:
        painter: Qt's painter.
        palette, rect, font: of the widget.
    """

    def __init__(
        self, painter: QtGui.QPainter, palette: QtGui.QPalette, rect: QtCore.QRect, font: QtGui.QFont
    ) -> None:
        self.painter = painter
        self.font = font
        self.unit = max(9.0, min(20.0, rect.width() / 53, rect.height() / 40))
        """Size of ordinary text in pixels."""
        self.ground, self.text = palette.color(QtGui.QPalette.Base), palette.color(QtGui.QPalette.Text)
        colours = _DARK if self.ground.lightness() < 128 else _LIGHT
        self.decided, self.wrong, self.right = (
            QtGui.QColor(colours[n]) for n in ("decided", "wrong", "right")
        )
        self.muted, self.faint = self._towards_ground(0.38), self._towards_ground(0.93)
        self.other, self.truth = self._towards_ground(0.68), self._towards_ground(0.70)

    def _towards_ground(self, share: float) -> QtGui.QColor:
        red, green, blue = (
            round(text + (ground - text) * share)
            for text, ground in (
                (self.text.red(), self.ground.red()),
                (self.text.green(), self.ground.green()),
                (self.text.blue(), self.ground.blue()),
            )
        )
        return QtGui.QColor(red, green, blue)

    def sized(self, pixels: float, bold: bool = False) -> QtGui.QFont:
        font = QtGui.QFont(self.font)
        font.setPixelSize(max(7, int(pixels)))
        font.setBold(bold)
        return font

    def fitting(self, texts: tuple[str, ...], width: float, pixels: float, bold: bool) -> float:
        """The largest size up to `pixels` at which all `texts` are at most `width` wide."""
        metrics = QtGui.QFontMetricsF(self.sized(100, bold))
        widest = max(metrics.horizontalAdvance(text) for text in texts)
        return min(pixels, 100 * width / max(1.0, widest))

    def write(
        self,
        rect: QtCore.QRectF,
        text: str,
        size: float = 1.0,
        colour: QtGui.QColor | None = None,
        bold: bool = False,
        align: QtCore.Qt.AlignmentFlag = QtCore.Qt.AlignmentFlag.AlignLeft,
    ) -> None:
        """Write one line, vertically centred; `size` in units. A text that is too long ends in an ellipsis."""
        font = self.sized(size * self.unit, bold)
        self.painter.setFont(font)
        self.painter.setPen(colour or self.text)
        text = QtGui.QFontMetricsF(font).elidedText(
            text, QtCore.Qt.TextElideMode.ElideRight, rect.width() + 1
        )
        self.painter.drawText(rect, int(align | QtCore.Qt.AlignmentFlag.AlignVCenter), text)

    def fill(self, left: float, top: float, width: float, height: float, colour: QtGui.QColor) -> None:
        self.painter.fillRect(QtCore.QRectF(left, top, width, height), colour)

    def line(self, left: float, y: float, right: float) -> None:
        self.fill(left, round(y), right - left, 1, self.faint)

    def mark(self, centre: QtCore.QPointF, size: float, good: bool) -> None:
        """Draw a tick or a cross, since not every font has them."""
        pen = QtGui.QPen(self.right if good else self.wrong, 0.16 * size)
        pen.setCapStyle(QtCore.Qt.PenCapStyle.RoundCap)
        pen.setJoinStyle(QtCore.Qt.PenJoinStyle.RoundJoin)
        self.painter.setPen(pen)
        x, y, r = centre.x(), centre.y(), size / 2
        if good:
            corners = [(x - 0.8 * r, y), (x - 0.2 * r, y + 0.6 * r), (x + 0.9 * r, y - 0.7 * r)]
            self.painter.drawPolyline(QtGui.QPolygonF([QtCore.QPointF(*corner) for corner in corners]))
        else:
            for sign in (-1, 1):
                self.painter.drawLine(
                    QtCore.QPointF(x - 0.65 * r, y - sign * 0.65 * r),
                    QtCore.QPointF(x + 0.65 * r, y + sign * 0.65 * r),
                )


def polygon(points: NDArray[np.float64]) -> QtGui.QPolygonF:
    """Return points, float64 [N, 2] in pixels, as Qt's painter takes them; without a loop over them."""
    made = QtGui.QPolygonF(len(points))
    if len(points):
        buffer: Any = made.data()
        buffer.setsize(points.size * points.itemsize)
        np.frombuffer(buffer, dtype=np.float64)[:] = points.ravel()
    return made


class Panel(QtWidgets.QWidget):
    """A widget that redraws itself after a change; any thread may call `refresh`.

    Args:
        name: accessible name, which screen readers read out.
        logger: receives the first error, if drawing fails.
        period: shortest time between two drawings, s.
    """

    _changed = QtCore.pyqtSignal()

    def __init__(self, name: str, logger: Any, period: float = _REDRAW_PERIOD) -> None:
        super().__init__()
        self._logger = logger
        self._period = period
        self._title = ""
        self._pending = threading.Event()  # a signal waits in Qt's queue; more of them would only fill it
        self._drawn = 0.0
        self._failed = False
        self._timer = QtCore.QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self.update)
        self._changed.connect(self._schedule)
        self.setSizePolicy(QtWidgets.QSizePolicy.Expanding, QtWidgets.QSizePolicy.Expanding)
        self.setMinimumSize(400, 320)
        self.setAccessibleName(name)

    def sizeHint(self) -> QtCore.QSize:  # noqa: N802
        return QtCore.QSize(760, 560)

    def set_title(self, title: str) -> None:
        self._title = str(title)
        self.refresh()

    def refresh(self) -> None:
        """Draw soon."""
        if not self._pending.is_set():
            self._pending.set()
            self._changed.emit()

    def _schedule(self) -> None:
        if not self._timer.isActive():
            wait = self._drawn + self._period - time.monotonic()
            self._timer.start(max(0, math.ceil(1000 * wait)))

    def paintEvent(self, event: QtGui.QPaintEvent | None) -> None:  # noqa: N802
        self._drawn = time.monotonic()
        self._pending.clear()
        painter = QtGui.QPainter(self)
        try:
            self._draw(painter)
        except Exception as error:  # an exception that leaves this method would end the process
            if not self._failed:
                self._failed = True
                self._logger.error(
                    f"the display could not be drawn: {type(error).__name__}: {printable(error)}"
                )
        finally:
            painter.end()

    def _draw(self, painter: QtGui.QPainter) -> None:
        """Draw everything; derived classes implement it."""
        raise NotImplementedError

    def _begin(self, painter: QtGui.QPainter) -> tuple[Pen, QtCore.QRectF]:
        """Clear the ground and write the title; return a pen and the free rectangle."""
        pen = Pen(painter, self.palette(), self.rect(), self.font())
        painter.setRenderHint(QtGui.QPainter.Antialiasing)
        painter.fillRect(self.rect(), pen.ground)
        unit = pen.unit
        area = QtCore.QRectF(self.rect()).adjusted(1.4 * unit, 1.1 * unit, -1.4 * unit, -1.0 * unit)
        if self._title:
            line = QtCore.QRectF(area.left(), area.top(), area.width(), 1.6 * unit)
            pen.write(line, self._title, 1.1, bold=True)
            area.setTop(area.top() + 2.1 * unit)
        return pen, area
