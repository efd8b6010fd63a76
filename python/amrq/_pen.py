# SPDX-License-Identifier: GPL-3.0-or-later
"""What the displays are drawn with."""

from PyQt5 import QtCore, QtGui

__all__ = ["Pen"]

# Okabe and Ito's colours, which remain apart in the common kinds of colour blindness; the lighter ones on dark ground.
_LIGHT = {"decided": "#0072B2", "wrong": "#D55E00", "right": "#007A59"}
_DARK = {"decided": "#56B4E9", "wrong": "#E69F00", "right": "#29C79A"}


class Pen:
    """A painter with the displays' sizes, colours and fonts.

    Args:
        painter: what it draws with.
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
        """Write one line, vertically centred; `size` in units; too long a text ends in an ellipsis."""
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
        """A tick or a cross, drawn, since not every font has them."""
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
