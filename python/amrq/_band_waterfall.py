# SPDX-License-Identifier: GPL-3.0-or-later
"""The picture of a band: spectrum with noise floor and threshold, labels, and the waterfall below them."""

import math
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from gnuradio.amrq._band_boxes import BoxPainter, Pills
from gnuradio.amrq._band_history import EmissionHistory
from gnuradio.amrq._band_lines import DARKEST, ShownBand
from gnuradio.amrq._band_marks import (
    FAINT,
    GROUND,
    MUTED,
    TEXT,
    LabelWish,
    ago_text,
    emission_colour,
    frequency_text,
    label_texts,
    place_labels,
    ticks,
)
from gnuradio.amrq._display import Panel, polygon
from numpy.typing import NDArray
from PyQt5 import QtCore, QtGui

__all__ = ["Waterfall"]

_LEAST_LABEL_ROWS, _LABEL_ROWS = 2, 6
_LONG_ROWS = 3.0
"""Rows that labels with protocols may need: where it would be more, some are without."""
_ASIDE = 0.75
"""Widths that a label may stand beside its emission before there is a further row."""
_WAITING = "waiting for samples …\nIf none come, choose another device above."
_STILL, _FAR, _PLACED_SECONDS = 3.0, 12.0, 0.5
"""Labels stay where they are while no emission has moved by so many pixels; by more, so long at least; by still more,
they move at once."""
_LINGER_SECONDS = 2.0
"""An emission that comes in bursts keeps its label above the waterfall for so long after each."""
_RIGHT = QtCore.Qt.AlignmentFlag.AlignRight
_CENTRE = QtCore.Qt.AlignmentFlag.AlignHCenter
_MIDDLE = QtCore.Qt.AlignmentFlag.AlignVCenter


def _short(seconds: float) -> str:
    return f"{seconds:g} s" if seconds < 60 else ago_text(seconds)


class Waterfall(Panel):
    """The widget: spectrum, labels, waterfall. A click selects an emission, the wheel zooms, a double click ends it.

    Args:
        painter: what is painted.
        logger: receives the first error, if drawing fails.
    """

    chosen = QtCore.pyqtSignal(object)
    """Identity of the emission that was clicked; None for a click beside all."""

    def __init__(self, painter: ShownBand, logger: Any) -> None:
        super().__init__("Spectrum and waterfall of the band", logger, 0.03)
        self._band = painter
        self._view = (0.0, 1.0)
        self._cursor: QtCore.QPointF | None = None
        self._label_rows = 2
        self._levels = (0.0, 0.0)
        self._label_size = 1.05
        self._pills = Pills()
        self._boxes = BoxPainter(painter, self._pills)
        self._placed: tuple[Any, list[tuple[int, float] | None], NDArray[np.float64], float]
        self._placed = (None, [], np.zeros(0), 0.0)
        self._spots: list[tuple[QtCore.QRectF, int]] = []
        self.setMouseTracking(True)
        self.setFocusPolicy(QtCore.Qt.FocusPolicy.StrongFocus)
        self.setMinimumSize(360, 220)
        self.setToolTip(
            "Click an emission to look at it. The wheel zooms, a double click shows the whole band.\n"
            "Keys: Left and Right select the next emission, + and - zoom, 0 shows the whole band."
        )
        self.setToolTipDuration(4000)

    # -- places ------------------------------------------------------------------------------------------------------

    def _sizes(self) -> None:
        self._unit = max(12.0, min(26.0, self.height() / 26, self.width() / 50))
        unit = self._unit
        left, right = round(4.6 * unit), round(0.6 * unit)
        width = self.width() - left - right
        strip = round((1.55 * self._label_rows + 0.5) * unit)
        top = round(0.5 * unit)
        spectrum = max(40, round(0.36 * (self.height() - strip - 2 * unit)))
        axis = round(1.7 * unit)
        self._spectrum = QtCore.QRect(left, top, width, spectrum)
        self._strip = QtCore.QRect(left, self._spectrum.bottom() + axis, width, strip)
        bottom = self._strip.bottom() + 1
        self._lines = QtCore.QRect(left, bottom, width, max(10, self.height() - bottom - round(0.3 * unit)))

    def _x(self, offset: Any) -> Any:
        first, last = self._view
        share = (offset / self._band.rate + 0.5 - first) / (last - first)
        return self._spectrum.left() + share * self._spectrum.width()

    def _offset(self, x: float) -> float:
        first, last = self._view
        share = (x - self._spectrum.left()) / max(1, self._spectrum.width())
        return (first + share * (last - first) - 0.5) * self._band.rate

    # -- mouse -------------------------------------------------------------------------------------------------------

    def mouseMoveEvent(self, event: Any) -> None:  # noqa: N802
        self._cursor = event.localPos()

    def leaveEvent(self, event: Any) -> None:  # noqa: N802
        self._cursor = None

    def mousePressEvent(self, event: Any) -> None:  # noqa: N802
        if self._band.snapshot is None or event.button() != QtCore.Qt.MouseButton.LeftButton:
            return
        self.chosen.emit(self._under(event.localPos()))

    def mouseDoubleClickEvent(self, event: Any) -> None:  # noqa: N802
        self._view = (0.0, 1.0)
        self.refresh()

    def wheelEvent(self, event: Any) -> None:  # noqa: N802
        at = self._offset(event.pos().x()) / self._band.rate + 0.5
        self._zoom(at, 0.8 ** (event.angleDelta().y() / 120))
        event.accept()

    def _zoom(self, at: float, factor: float) -> None:
        """Show a part of the band that is wider by a factor; a place in it, 0 to 1, stays where it is."""
        first, last = self._view
        width = min(1.0, max(0.01, (last - first) * factor))
        start = min(max(0.0, at - (at - first) * width / (last - first)), 1 - width)
        self._view = (start, start + width)
        self.refresh()

    def keyPressEvent(self, event: Any) -> None:  # noqa: N802
        keys, key = QtCore.Qt.Key, event.key()
        if key in (keys.Key_Left, keys.Key_Right):
            self._step(1 if key == keys.Key_Right else -1)
        elif key in (keys.Key_Plus, keys.Key_Equal, keys.Key_Minus):
            past = self._band.looked_at
            middle = sum(self._view) / 2
            if past is not None:
                middle = (past.record.lower + past.record.upper) / 2 / self._band.rate + 0.5
            self._zoom(middle, 1.25 if key == keys.Key_Minus else 0.8)
        elif key in (keys.Key_0, keys.Key_Home):
            self._view = (0.0, 1.0)
            self.refresh()
        elif key == keys.Key_Escape:
            self.chosen.emit(None)
        else:
            super().keyPressEvent(event)

    def _step(self, by: int) -> None:
        """Select the next emission on the air in frequency, above or below the one that is selected."""
        if self._band.snapshot is None:
            return
        places = sorted((one.lower + one.upper, one.id) for one in self._band.snapshot.emissions if one.on)
        past = self._band.looked_at
        if past is not None:
            here = (past.record.lower + past.record.upper, past.record.id)
            places = [place for place in places if (place > here if by > 0 else place < here)]
        if places:
            self.chosen.emit(places[0 if by > 0 else -1][1])

    def _under(self, point: QtCore.QPointF) -> int | None:
        """Return the emission at a point: of its label, or of its frequency and time; the narrowest of several."""
        for box, identity in self._spots:
            if box.contains(point):
                return identity
        offset, slack = (
            self._offset(point.x()),
            4 * self._band.rate * (self._view[1] - self._view[0]) / max(1, self.width()),
        )
        rate, now = self._band.rate, self._band.snapshot.now
        depth, depth_of = point.y() - self._lines.top(), self._band.lines.depth
        found: list[tuple[float, int]] = []
        for identity, past in self._band.history.emissions.items():
            for stretch in past.stretches:
                if not stretch.lower - slack <= offset <= stretch.upper + slack:
                    continue
                if depth < 0:
                    hit = now - stretch.stop < 0.5 * rate
                else:
                    hit = depth_of(stretch.stop) - 6 <= depth <= depth_of(stretch.start) + 6
                if hit:
                    found.append((stretch.upper - stretch.lower, identity))
                    break
        return min(found)[1] if found else None

    # -- painting ----------------------------------------------------------------------------------------------------

    def _draw(self, painter: QtGui.QPainter) -> None:
        painter.fillRect(self.rect(), GROUND)
        self._sizes()
        if self._band.snapshot is None or self._band.spectrum is None:
            painter.setPen(MUTED)
            painter.setFont(self._font(1.4))
            painter.drawText(self.rect(), int(_CENTRE | _MIDDLE), _WAITING)
            return
        low, high = self._span_db()
        self._band.lines.set_levels(low + 4, low + 4 + 0.7 * (high - low))
        records = self._in_view()
        wishes = self._wishes(records)
        places = self._places([wish for _, wish in wishes])
        self._draw_spectrum(painter, low, high, records)
        painter.fillRect(self._lines, QtGui.QColor(DARKEST))
        self._band.lines.set_height(self._lines.height(), self._band.rate)
        self._band.lines.paint(painter, self._lines, self._view)
        painter.setClipRect(
            self._lines.adjusted(0, 0, 0, min(0, self._band.lines.count - self._lines.height()))
        )
        painter.setFont(self._font(0.9, True))
        self._spots = self._boxes.draw(painter, self._lines, self._x, records, self._is_labelled)
        painter.setClipping(False)
        self._draw_labels(painter, records, wishes, places)
        self._draw_frequencies(painter)
        self._draw_times(painter)
        self._draw_cursor(painter)

    def _font(self, size: float, bold: bool = False) -> QtGui.QFont:
        font = QtGui.QFont(self.font())
        font.setPixelSize(max(8, round(size * self._unit)))
        font.setBold(bold)
        return font

    def _span_db(self) -> tuple[float, float]:
        """Return the levels that the spectrum's lower and upper edge stand for, dBFS/Hz, in steps of 5 dB."""
        floor, spectrum = self._band.floor, self._band.spectrum
        assert spectrum is not None
        ground = float(np.median(floor if floor is not None else spectrum))
        low = 5 * np.floor((ground - 6) / 5)
        peak = 5 * np.ceil((max(float(np.max(spectrum)), ground + 25) + 2) / 5)
        # It rises at once and falls only by much, so that the picture stays still. Above is room for the legend.
        if low != self._levels[0] or peak > self._levels[1] or peak < self._levels[1] - 10:
            self._levels = (low, peak)
        share = min(0.4, 1.7 * self._unit / max(1, self._spectrum.height()))
        return low, low + (self._levels[1] - low) / (1 - share)

    def _in_view(self) -> list[EmissionHistory]:
        """Return the emissions that are seen in some line: the selected one first, then by identity."""
        first, last = ((edge - 0.5) * self._band.rate for edge in self._view)
        oldest = self._band.lines.oldest(self._lines.height())
        seen = []
        for past in self._band.history.emissions.values():
            record = past.record
            if record.upper < first or record.lower > last or not past.stretches:
                continue
            if record.on or past.stretches[-1].stop >= oldest:
                seen.append(past)
        return sorted(
            seen, key=lambda past: (past.record.id != self._band.selected, not past.record.on, past.record.id)
        )

    def _is_labelled(self, past: EmissionHistory) -> bool:
        """Return whether an emission has its label above the waterfall: it is on, or was just now, or is selected."""
        record, band = past.record, self._band
        lately = band.snapshot.now - record.stop < _LINGER_SECONDS * band.rate
        return bool(record.on or lately or record.id == band.selected)

    def _wishes(self, records: Sequence[EmissionHistory]) -> list[tuple[str, LabelWish]]:
        """Return the labels of emissions that are on, in a size in which there is room for them."""
        labelled = [past for past in records if self._is_labelled(past)]
        metrics = QtGui.QFontMetricsF(self._font(1.05, True))
        texts = self._texts(labelled, metrics)
        total = sum(metrics.horizontalAdvance(text) + 0.9 * self._unit + 3 for text in texts)
        # A quarter of the room stays free, since labels want to be above their emissions.
        needed = 1.25 * total / max(1, self._spectrum.width())
        self._label_size = 1.05 * max(0.72, min(1.0, _LABEL_ROWS / max(needed, 1.0)))
        metrics = QtGui.QFontMetricsF(self._font(self._label_size, True))
        wishes = []
        for past, text in zip(labelled, texts, strict=True):
            middle = self._x((past.record.lower + past.record.upper) / 2)
            wishes.append((text, LabelWish(middle, metrics.horizontalAdvance(text) + 0.8 * self._unit)))
        return wishes

    def _texts(self, labelled: Sequence[EmissionHistory], metrics: QtGui.QFontMetricsF) -> list[str]:
        """Return the texts of labels: with protocols as far as there is room, the first emissions first."""
        choices = [label_texts(past.record) for past in labelled]
        edge = 0.9 * self._unit + 3
        room = _LONG_ROWS * self._spectrum.width() / 1.25
        room -= sum(metrics.horizontalAdvance(texts[-1]) + edge for texts in choices)
        chosen = []
        for texts in choices:
            more = metrics.horizontalAdvance(texts[0]) - metrics.horizontalAdvance(texts[-1])
            long = more <= room
            room -= more if long else 0.0
            chosen.append(texts[0] if long else texts[-1])
        return chosen

    def _draw_spectrum(
        self, painter: QtGui.QPainter, low: float, high: float, records: Sequence[EmissionHistory]
    ) -> None:
        area = self._spectrum
        painter.setRenderHint(QtGui.QPainter.Antialiasing, False)
        painter.fillRect(area, QtGui.QColor("#0b0e13"))
        painter.setFont(self._font(0.85))
        marks, _ = ticks(low, high, max(4, int(area.height() / (1.5 * self._unit))))
        for level in marks:
            y = area.bottom() - (level - low) / (high - low) * area.height()
            painter.fillRect(QtCore.QRectF(area.left(), round(y), area.width(), 1), FAINT)
            if y > area.top() + 0.5 * self._unit and y < area.bottom() - 0.3 * self._unit:
                box = QtCore.QRectF(0, y - self._unit, area.left() - 0.4 * self._unit, 2 * self._unit)
                painter.setPen(MUTED)
                painter.drawText(box, int(_RIGHT | _MIDDLE), f"{level:.0f}".replace("-", "−"))
        for past in records:
            if past.record.on:
                left, right = self._x(past.record.lower), self._x(past.record.upper)
                colour = QtGui.QColor(emission_colour(past.record))
                colour.setAlpha(110 if past.record.id == self._band.selected else 60)
                painter.fillRect(
                    QtCore.QRectF(left, area.top(), max(2.0, right - left), area.height()), colour
                )
        painter.setClipRect(area)
        # Lines one pixel thick and without smoothing: thick smooth ones take 20 times as long.
        thick = max(1, round(self._unit / 12))
        for line, colour, step, dashed in (
            (self._band.spectrum, QtGui.QColor("#DCE6F2"), 1, False),
            (self._band.threshold, QtGui.QColor("#E69F00"), 4, True),
            (self._band.floor, QtGui.QColor("#56B4E9"), 4, False),
        ):
            if line is None:
                continue
            painter.setPen(QtGui.QPen(colour, 1))
            points = self._points(line, low, high, step)
            if dashed:
                x = np.arange(area.left(), area.right() + 1.0)
                x = x[x % (16 * thick) < 9 * thick]
                points = np.column_stack([x, np.round(np.interp(x, points[:, 0], points[:, 1]))])
            draw = painter.drawPoints if dashed else painter.drawPolyline
            for lower in range(thick if step > 1 else 1):
                draw(polygon(points + np.array([0.0, lower])))
        painter.setClipping(False)
        self._draw_legend(painter)

    def _points(self, line: NDArray[Any], low: float, high: float, step: int) -> NDArray[np.float64]:
        """Return a line over the part of the band in view, one point in `step` columns of pixels."""
        area, bins = self._spectrum, len(line)
        first, last = (int(np.clip(edge * bins, 0, bins)) for edge in self._view)
        part = line[max(0, first - 1) : max(last, first + 2) + 1]
        places = max(0, first - 1) + np.arange(len(part), dtype=np.float64)
        columns = max(2, area.width() // step)
        if len(part) > columns:
            starts = np.arange(columns) * len(part) // columns
            part = np.maximum.reduceat(part, starts)
            places = places[starts] + 0.5 * len(places) / columns - 0.5
        begin, end = self._view
        x = area.left() + (places / bins - begin) / (end - begin) * area.width()
        y = area.bottom() - (np.clip(part, low - 20, high + 20) - low) / (high - low) * area.height()
        return np.column_stack([x, y]).astype(np.float64)

    def _draw_legend(self, painter: QtGui.QPainter) -> None:
        area, unit = self._spectrum, self._unit
        painter.setFont(self._font(0.85))
        metrics = QtGui.QFontMetricsF(painter.font())
        entries = (("threshold", "#E69F00"), ("noise floor", "#56B4E9"), ("dBFS/Hz", ""))
        x = area.right() - 0.5 * unit
        total = sum(
            metrics.horizontalAdvance(text) + (2.6 if colour else 0.9) * unit for text, colour in entries
        )
        back = QtGui.QColor("#0b0e13")
        back.setAlpha(200)
        painter.fillRect(
            QtCore.QRectF(x - total, area.top() + 0.2 * unit, total + 0.3 * unit, 1.4 * unit), back
        )
        for text, colour in entries:
            width = metrics.horizontalAdvance(text)
            x -= width
            painter.setPen(MUTED)
            painter.drawText(
                QtCore.QRectF(x, area.top() + 0.2 * unit, width + 2, 1.4 * unit), int(_MIDDLE), text
            )
            if colour:
                x -= 1.7 * unit
                painter.fillRect(
                    QtCore.QRectF(x, area.top() + 0.85 * unit, 1.3 * unit, 2), QtGui.QColor(colour)
                )
            x -= 0.9 * unit

    def _draw_labels(
        self,
        painter: QtGui.QPainter,
        records: Sequence[EmissionHistory],
        wishes: Sequence[tuple[str, LabelWish]],
        places: Sequence[tuple[int, float] | None],
    ) -> None:
        strip, unit = self._strip, self._unit
        shown = [past for past in records if self._is_labelled(past)]
        height = 1.4 * unit
        painter.setRenderHint(QtGui.QPainter.Antialiasing, False)
        boxes: list[tuple[QtCore.QRectF, str, EmissionHistory]] = []
        for past, (text, wish), place in zip(shown, wishes, places, strict=True):
            colour = emission_colour(past.record)
            x = min(max(self._x((past.record.lower + past.record.upper) / 2), strip.left()), strip.right())
            if place is None:  # no room: a mark where it is
                painter.fillRect(QtCore.QRectF(x - 2, strip.bottom() - 5, 4, 6), colour)
                continue
            row, left = place
            top = strip.top() + 0.15 * unit + (self._label_rows - 1 - row) * 1.55 * unit
            box = QtCore.QRectF(left, top, wish.width, height)
            boxes.append((box, text, past))
            lead = QtGui.QColor(colour)
            lead.setAlpha(190)
            painter.setPen(QtGui.QPen(lead, 1))
            start = min(max(x, box.left() + 3), box.right() - 3)
            painter.drawLine(
                QtCore.QPointF(round(start), box.bottom()), QtCore.QPointF(round(x), strip.bottom() + 1)
            )
        painter.setFont(self._font(self._label_size, True))
        for box, text, past in boxes:
            self._pills.draw(
                painter, box, text, emission_colour(past.record), past.record.id == self._band.selected
            )
            self._spots.append((box, past.record.id))

    def _places(self, wishes: list[LabelWish]) -> list[tuple[int, float] | None]:
        """Return the places of labels on as few rows as they need, computed again only when they have changed."""
        left, right, now = self._spectrum.left(), self._spectrum.right(), time.monotonic()
        key = (left, right, *(wish.width for wish in wishes))
        middles = np.array([wish.middle for wish in wishes])
        if key == self._placed[0]:
            moved = float(np.max(np.abs(middles - self._placed[2]), initial=0.0))
            if moved < _STILL or (moved < _FAR and now - self._placed[3] < _PLACED_SECONDS):
                return self._placed[1]
        total = sum(wish.width for wish in wishes)
        fewest = min(_LABEL_ROWS, max(_LEAST_LABEL_ROWS, math.ceil(total / max(1, right - left))))
        for rows in range(fewest, _LABEL_ROWS + 1):
            places = place_labels(wishes, left, right, rows)
            if all(
                place is not None and abs(place[1] + wish.width / 2 - wish.middle) < _ASIDE * wish.width
                for place, wish in zip(places, wishes, strict=True)
            ):
                break
        # Rows come at once and go only two at a time, so that the picture stays still.
        if rows > self._label_rows or rows < self._label_rows - 1:
            self._label_rows = rows
            self._sizes()
        elif rows != self._label_rows:
            places = place_labels(wishes, left, right, self._label_rows)
        self._placed = (key, places, middles, now)
        return self._placed[1]

    def _draw_frequencies(self, painter: QtGui.QPainter) -> None:
        area, unit = self._spectrum, self._unit
        centre = self._band.snapshot.centre_hz
        first, last = ((edge - 0.5) * self._band.rate + (centre or 0.0) for edge in self._view)
        painter.setFont(self._font(0.9))
        width = QtGui.QFontMetricsF(painter.font()).horizontalAdvance(
            frequency_text(last, None if centre is None else 0.0) + "00000"
        )
        marks, step = ticks(first, last, max(2, int(area.width() / width)))
        for value in marks:
            x = self._x(value - (centre or 0.0))
            painter.fillRect(QtCore.QRectF(round(x), area.bottom(), 1, 0.35 * unit), MUTED)
            text = frequency_text(value - (centre or 0.0), centre, step)
            box = QtCore.QRectF(x - width / 2, area.bottom() + 0.3 * unit, width, 1.3 * unit)
            if box.left() < 0:
                continue
            if box.right() > self.width():
                box.moveRight(self.width() - 1.0)
            painter.setPen(TEXT)
            painter.drawText(box, int(_CENTRE | _MIDDLE), text)

    def _draw_times(self, painter: QtGui.QPainter) -> None:
        area, unit, lines = self._lines, self._unit, self._band.lines
        rows = min(lines.count, -(-area.height() // lines.pixels))
        if rows < 2:
            return
        now, rate = self._band.snapshot.now, self._band.rate
        span = lines.span(rows) / rate
        painter.setFont(self._font(0.9))
        marks, _ = ticks(0.0, max(span, 0.1), max(1, int(rows * lines.pixels / (2.6 * unit))))
        for seconds in marks:
            y = area.top() + lines.depth(now - seconds * rate)
            if y > area.bottom() - 0.4 * unit:
                continue
            painter.fillRect(QtCore.QRectF(area.left() - 0.35 * unit, round(y), 0.35 * unit, 1), MUTED)
            box = QtCore.QRectF(0, y - 0.7 * unit, area.left() - 0.5 * unit, 1.4 * unit)
            painter.setPen(MUTED)
            painter.drawText(box, int(_RIGHT | _MIDDLE), "now" if seconds == 0 else f"−{_short(seconds)}")

    def _draw_cursor(self, painter: QtGui.QPainter) -> None:
        """Say the frequency and the level under the mouse."""
        point, spectrum = self._cursor, self._band.spectrum
        if (
            point is None
            or spectrum is None
            or not self._spectrum.left() <= point.x() <= self._spectrum.right()
        ):
            return
        line = QtGui.QColor(TEXT)
        line.setAlpha(110)
        painter.fillRect(QtCore.QRectF(round(point.x()), self._spectrum.top(), 1, self.height()), line)
        offset = self._offset(point.x())
        index = int(np.clip((offset / self._band.rate + 0.5) * len(spectrum), 0, len(spectrum) - 1))
        text = (
            f"{frequency_text(offset, self._band.snapshot.centre_hz)}  {spectrum[index]:.0f} dBFS/Hz".replace(
                " -", " −"
            )
        )
        painter.setFont(self._font(0.9, True))
        width = QtGui.QFontMetricsF(painter.font()).horizontalAdvance(text) + self._unit
        box = QtCore.QRectF(point.x() + 6, self._spectrum.top() + 1.8 * self._unit, width, 1.4 * self._unit)
        if box.right() > self._spectrum.right():
            box.moveRight(point.x() - 6)
        painter.fillRect(box, QtGui.QColor(0, 0, 0, 200))
        painter.setPen(TEXT)
        painter.drawText(box, int(_CENTRE | _MIDDLE), text)
