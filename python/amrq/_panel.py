# SPDX-License-Identifier: GPL-3.0-or-later
"""A widget that is drawn anew when something changed, and not too often."""

import math
import threading
import time
from typing import Any

from gnuradio.amrq._pen import Pen
from PyQt5 import QtCore, QtGui, QtWidgets

from amrq.text import printable

__all__ = ["Panel"]

_REDRAW_PERIOD = 1 / 15  # seconds; faster is no more readable, and costs the flowgraph its processor


class Panel(QtWidgets.QWidget):
    """Draws itself soon after something changed, at most 15 times a second; `refresh` may be called from any thread.

    Args:
        name: for people who do not see it.
        logger: takes the first complaint, should drawing fail.
    """

    _changed = QtCore.pyqtSignal()

    def __init__(self, name: str, logger: Any) -> None:
        super().__init__()
        self._logger = logger
        self._title = ""
        self._pending = threading.Event()  # one signal is on its way: more would only fill Qt's queue
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
            wait = self._drawn + _REDRAW_PERIOD - time.monotonic()
            self._timer.start(max(0, math.ceil(1000 * wait)))

    def paintEvent(self, event: QtGui.QPaintEvent | None) -> None:  # noqa: N802
        self._drawn = time.monotonic()
        self._pending.clear()
        painter = QtGui.QPainter(self)
        try:
            self._draw(painter)
        except Exception as error:  # out of here it would end the process
            if not self._failed:
                self._failed = True
                self._logger.error(
                    f"the display could not be drawn: {type(error).__name__}: {printable(error)}"
                )
        finally:
            painter.end()

    def _draw(self, painter: QtGui.QPainter) -> None:
        """Draw everything; the derived class's."""
        raise NotImplementedError

    def _begin(self, painter: QtGui.QPainter) -> tuple[Pen, QtCore.QRectF]:
        """Clear the ground and write the title; return a pen and the place that is left."""
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
