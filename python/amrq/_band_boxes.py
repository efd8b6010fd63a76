# SPDX-License-Identifier: GPL-3.0-or-later
"""Boxes in the waterfall: when and where each emission was on; the labels of those that are over; how labels look."""

import itertools
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from gnuradio.amrq._band_history import EmissionHistory
from gnuradio.amrq._band_lines import ShownBand
from gnuradio.amrq._band_marks import GROUND, emission_colour, label_texts
from numpy.typing import NDArray
from PyQt5 import QtCore, QtGui

__all__ = ["BoxPainter", "Pills"]

_PILLS = 400
"""Labels that are kept as they were painted."""
_BOXES = 800
"""That are drawn at most, the newest of each emission first: a band that is torn to pieces stays fast."""
_BOXES_EACH = 60
_NAMED = 150
"""Emissions that are over and get a label at most."""
_PLACED_SECONDS = 0.4
"""So long a label stays on the same side of its box."""
_LEAST_WIDTH = 6.0
"""Pixels between the edges of a carrier's box: beside it, not on it."""
_CENTRE = QtCore.Qt.AlignmentFlag.AlignHCenter
_MIDDLE = QtCore.Qt.AlignmentFlag.AlignVCenter


class Pills:
    """Paints labels, and keeps each as it was painted as long as nothing about it changes."""

    def __init__(self) -> None:
        self._painted: dict[tuple[Any, ...], QtGui.QPixmap] = {}

    def draw(
        self, painter: QtGui.QPainter, box: QtCore.QRectF, text: str, colour: QtGui.QColor, selected: bool
    ) -> None:
        """Draw a label in the painter's font: dark on its colour if it is selected, otherwise in its colour."""
        font = painter.font()
        width, height = round(box.width()), round(box.height())
        key = (text, colour.rgb(), selected, width, height, font.pixelSize())
        pixmap = self._painted.get(key)
        if pixmap is None:
            if len(self._painted) > _PILLS:
                self._painted.clear()
            pixmap = self._painted[key] = _painted_pill(
                QtCore.QSize(width, height), text, font, colour, selected
            )
        painter.drawPixmap(round(box.left()), round(box.top()), pixmap)


class BoxPainter:
    """Draws the boxes of emissions into the waterfall, and names beside their last box those that are over.

    Args:
        band: what is painted of the band.
        pills: draws the labels.
    """

    def __init__(self, band: ShownBand, pills: Pills) -> None:
        self._band, self._pills = band, pills
        # By identity, which text an emission's label has and on which side of its box it is.
        self._sides: dict[int, tuple[int, int]] = {}
        self._placed: tuple[float, Any] = (0.0, None)

    def draw(
        self,
        painter: QtGui.QPainter,
        area: QtCore.QRect,
        x: Callable[[Any], Any],
        records: Sequence[EmissionHistory],
        named: Callable[[EmissionHistory], bool],
    ) -> list[tuple[QtCore.QRectF, int]]:
        """Draw them; return the places of the labels, and whose they are.

        Args:
            painter: with the font of the labels.
            area: of the waterfall's lines.
            x: from Hz from the middle of the band to pixels, elementwise.
            records: the emissions, the most important first.
            named: whether an emission has its label elsewhere.
        """
        owners, boxes = self._boxes(area, x, records)
        painter.setRenderHint(QtGui.QPainter.Antialiasing, False)
        rectangles = [QtCore.QRectF(*row) for row in boxes.tolist()]
        first: dict[int, int] = {}
        for place, owner in enumerate(owners):
            first.setdefault(owner, place)
        begins = [*first.values(), len(owners)]
        for (owner, begin), end in zip(first.items(), begins[1:], strict=True):
            record = records[owner].record
            colour = emission_colour(record)
            thick = record.id == self._band.selected
            colour.setAlpha(255 if thick else 150)
            painter.setPen(QtGui.QPen(colour, 2 if thick else 1))
            painter.drawRects(*rectangles[begin:end])
        over = [(records[owner], place) for owner, place in first.items() if not named(records[owner])][
            :_NAMED
        ]
        return self._draw_names(painter, area, over, boxes)

    def _boxes(
        self, area: QtCore.QRect, x: Callable[[Any], Any], records: Sequence[EmissionHistory]
    ) -> tuple[list[int], NDArray[np.float64]]:
        """Return whose the boxes are, by places in `records`, and their left, top, width and height in pixels."""
        oldest = self._band.lines.oldest(area.height())
        owners: list[int] = []
        found: list[tuple[float, float, int, int]] = []
        for number, past in enumerate(records):
            for stretch in itertools.islice(reversed(past.stretches), _BOXES_EACH):
                if stretch.stop < oldest:
                    break
                owners.append(number)
                found.append((stretch.lower, stretch.upper, stretch.start, stretch.stop))
            if len(found) >= _BOXES:
                break
        numbers = np.array(found, dtype=np.float64).reshape(-1, 4)
        left, right = x(numbers[:, 0]), x(numbers[:, 1])
        narrow = right - left < _LEAST_WIDTH - 1
        middle = (left + right) / 2
        left = np.round(np.where(narrow, middle - _LEAST_WIDTH / 2, left))
        right = np.round(np.where(narrow, middle + _LEAST_WIDTH / 2, right))
        bottom = np.minimum(np.round(self._band.lines.depth(numbers[:, 2])), area.height() + 4)
        top = np.round(self._band.lines.depth(numbers[:, 3]))
        return owners, np.column_stack(
            [left, area.top() + top, right - left, np.maximum(2.0, bottom - top)]
        ).astype(np.float64)

    def _draw_names(
        self,
        painter: QtGui.QPainter,
        area: QtCore.QRect,
        over: list[tuple[EmissionHistory, int]],
        boxes: NDArray[np.float64],
    ) -> list[tuple[QtCore.QRectF, int]]:
        metrics = QtGui.QFontMetricsF(painter.font())
        height = round(1.4 * painter.font().pixelSize())
        texts = [label_texts(past.record) for past, _ in over]
        edge = 0.7 * painter.font().pixelSize()
        sizes = [
            [(metrics.horizontalAdvance(text) + edge, float(height)) for text in choices] for choices in texts
        ]
        key = (area.width(), area.height(), height)
        if time.monotonic() - self._placed[0] > _PLACED_SECONDS or key != self._placed[1]:
            self._placed = (time.monotonic(), key)
            self._sides = _free_sides(area, over, sizes, boxes)
        spots = []
        for (past, place), choices, some in zip(over, texts, sizes, strict=True):
            number, side = self._sides.get(past.record.id, (len(choices), 0))
            if number >= len(choices):  # no room; or it has another name than when there was
                continue
            spot = QtCore.QRectF(*_beside(boxes[place], some[number])[side], *some[number])
            if not QtCore.QRectF(area).contains(spot):
                continue
            self._pills.draw(painter, spot, choices[number], emission_colour(past.record), False)
            spots.append((spot, past.record.id))
        return spots


def _beside(box: NDArray[np.float64], size: tuple[float, float]) -> tuple[tuple[float, float], ...]:
    """Return the left upper corners that a label of this size may have: right, left, above, below of a box."""
    left, top, width, height = box.tolist()
    centred = left + (width - size[0]) / 2
    return (
        (left + width + 3, top),
        (left - 3 - size[0], top),
        (centred, top - size[1] - 2),
        (centred, top + height + 2),
    )


def _free_sides(
    area: QtCore.QRect,
    over: list[tuple[EmissionHistory, int]],
    sizes: list[list[tuple[float, float]]],
    boxes: NDArray[np.float64],
) -> dict[int, tuple[int, int]]:
    """Return which of its sizes a label has and on which side of its box, where it covers nothing in some way."""
    taken = np.concatenate([boxes, np.zeros((len(over), 4))])
    count = len(boxes)
    sides: dict[int, tuple[int, int]] = {}
    for (past, place), some in zip(over, sizes, strict=True):
        ways = ((n, side) for n in range(len(some)) for side in range(4))
        for number, side in ways:
            left, top = _beside(boxes[place], some[number])[side]
            right, bottom = left + some[number][0], top + some[number][1]
            if not (
                area.left() <= left
                and right <= area.right()
                and area.top() <= top
                and bottom <= area.bottom()
            ):
                continue
            others = taken[:count]
            hit = (others[:, 0] < right) & (others[:, 0] + others[:, 2] > left)
            hit &= (others[:, 1] < bottom) & (others[:, 1] + others[:, 3] > top)
            if np.count_nonzero(hit) > hit[place]:
                continue
            taken[count] = (left, top, *some[number])
            count += 1
            sides[past.record.id] = (number, side)
            break
    return sides


def _painted_pill(
    size: QtCore.QSize, text: str, font: QtGui.QFont, colour: QtGui.QColor, selected: bool
) -> QtGui.QPixmap:
    pixmap = QtGui.QPixmap(size)
    pixmap.fill(QtCore.Qt.GlobalColor.transparent)
    box = QtCore.QRectF(0, 0, size.width(), size.height())
    ground = QtGui.QColor(GROUND)
    ground.setAlpha(225)
    painter = QtGui.QPainter(pixmap)
    painter.setRenderHint(QtGui.QPainter.Antialiasing)
    painter.setPen(QtGui.QPen(colour, 1.4))
    painter.setBrush(colour if selected else ground)
    painter.drawRoundedRect(box.adjusted(0.7, 0.7, -0.7, -0.7), 4, 4)
    painter.setFont(font)
    painter.setPen(GROUND if selected else colour)
    painter.drawText(box, int(_CENTRE | _MIDDLE), text)
    painter.end()
    return pixmap
