# SPDX-License-Identifier: GPL-3.0-or-later
"""What the band display says of the selected emission: decision, protocols, constellation, measures and history."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from gnuradio.amrq._band_history import EmissionHistory
from gnuradio.amrq._band_lines import ShownBand
from gnuradio.amrq._band_marks import (
    FAINT,
    GROUND,
    MUTED,
    TEXT,
    ago_text,
    emission_colour,
    emission_words,
    place_text,
    span_text,
)
from gnuradio.amrq._display import Panel, polygon
from numpy.typing import NDArray
from PyQt5 import QtCore, QtGui

from amrq.protocols import PARAMETERS
from amrq.text import engineering, printable

__all__ = ["EmissionDetails"]

_LEFT, _RIGHT, _CENTRE, _MIDDLE = (
    QtCore.Qt.AlignmentFlag.AlignLeft,
    QtCore.Qt.AlignmentFlag.AlignRight,
    QtCore.Qt.AlignmentFlag.AlignHCenter,
    QtCore.Qt.AlignmentFlag.AlignVCenter,
)
_REASONS = {
    "named": "named by the model",
    "unsure": "the evidence is not sufficient",
    "foreign": "outside the model's classes",
    "noise": "looks like noise alone",
    "silent": "no signal",
    "carrier": "a line, a few Hz wide",
}
_LEAST_PICTURE, _LEAST_MEASURES = 8.0, 4
"""Lines of text that a picture has at least where there is room for it, and rows of measures that come first."""
_PROTOCOLS, _LEAST_LIKELY = 2, 0.05
"""Protocols that are shown at most, and how likely one is at least that is not named."""
_ANSWERS, _MEASURES = 3, 16
"""Bars of probabilities, and rows of measures, at most."""
_SAID_ELSEWHERE = frozenset(
    {"centre", "bandwidth", "snr_db", "level_dbfs", "symbol_rate", "centre_hz", "bandwidth_hz"}
)
_NOTHING = "No emission has been found yet.\n\nTry another frequency or more gain. Is the squelch off?"
_WELL = QtGui.QColor("#0b0e13")
_SHOWN_SECONDS = 60.0
_UNITS = (
    ("_dbfs_per_hz", "dBFS/Hz"),
    ("_hz", "Hz"),
    ("_db", "dB"),
    ("_dbfs", "dBFS"),
    ("_bd", "Bd"),
    ("_s", "s"),
)


class EmissionDetails(Panel):
    """The widget.

    Args:
        band: what is painted of the band, and which emission is selected.
        logger: receives the first error, if drawing fails.
    """

    def __init__(self, band: ShownBand, logger: Any) -> None:
        super().__init__("The selected emission", logger, 0.2)
        self._band = band
        self.setMinimumWidth(240)

    def _font(self, size: float, bold: bool = False) -> QtGui.QFont:
        font = QtGui.QFont(self.font())
        font.setPixelSize(max(8, round(size * self._unit)))
        font.setBold(bold)
        return font

    def _draw(self, painter: QtGui.QPainter) -> None:
        painter.fillRect(self.rect(), GROUND)
        self._unit = max(11.0, min(24.0, self.width() / 21, self.height() / 40))
        unit = self._unit
        area = QtCore.QRectF(self.rect()).adjusted(unit, 0.7 * unit, -unit, -0.7 * unit)
        past = self._band.looked_at
        if past is None:
            painter.setFont(self._font(1.1))
            painter.setPen(MUTED)
            painter.drawText(
                area,
                int(_CENTRE | _MIDDLE | QtCore.Qt.TextFlag.TextWordWrap),
                "Click an emission\nto look at it." if self._band.history.emissions else _NOTHING,
            )
            return
        record, line = past.record, 1.42 * unit
        y = self._draw_decision(painter, area, record)
        y = self._draw_protocols(
            painter, QtCore.QRectF(area.left(), y, area.width(), area.bottom() - y), record
        )
        families, answers = _most_likely(record.families), _most_likely(record.probabilities)
        measures = self._measures(record)
        history = (5.2 + 1.3 * min(2, len(past.names))) * unit
        listed = line * (len(families) + len(answers)) + 0.4 * unit * (bool(families) + bool(answers))
        room = area.bottom() - y - history - listed - unit
        table = min(len(measures) * line, max(_LEAST_MEASURES * line, room - _LEAST_PICTURE * unit))
        picture = QtCore.QRectF(area.left(), y, area.width(), max(4 * unit, min(area.width(), room - table)))
        if record.symbols is not None and len(record.symbols):
            self._draw_constellation(painter, picture, record)
        else:
            self._draw_spectrum(painter, picture, record)
        y = picture.bottom() + 0.6 * unit
        for scores, own in ((families, True), (answers, not families)):
            place = QtCore.QRectF(area.left(), y, area.width(), 0.0)
            y = self._draw_scores(painter, place, scores, emission_colour(record) if own else TEXT)
        bottom = area.bottom() - history + 0.5 * unit
        y = self._draw_measures(painter, QtCore.QRectF(area.left(), y, area.width(), bottom - y), measures)
        y = max(y, bottom - 0.5 * unit)
        self._draw_history(
            painter, QtCore.QRectF(area.left(), y + 0.4 * unit, area.width(), area.bottom() - y), past
        )

    def _draw_decision(self, painter: QtGui.QPainter, area: QtCore.QRectF, record: Any) -> float:
        """Write what it is called, why, and where it is; return where the next thing begins."""
        unit, colour = self._unit, emission_colour(record)
        painter.fillRect(QtCore.QRectF(area.left(), area.top(), 0.4 * unit, 3.6 * unit), colour)
        box = QtCore.QRectF(area.left() + unit, area.top() - 0.2 * unit, area.width() - unit, 2.3 * unit)
        taken = 0.0
        if record.confidence:
            taken = (
                self._write(painter, box, f"{100 * record.confidence:.0f} %", 1.5, TEXT, align=_RIGHT) + unit
            )
        name = box.adjusted(0, 0, -taken, 0)
        self._write(painter, name, emission_words(record), 1.9, colour, bold=True)
        box.translate(0, 2.2 * unit)
        box.setHeight(1.5 * unit)
        why = record.family if record.family == "carrier" else record.reason
        reason = printable(_REASONS.get(why, why), 60) if record.looks else "not looked at yet"
        family = printable(record.family, 20)
        said = f"{family}: {reason}" if family and family != record.label and reason else reason or family
        self._write(painter, box, said, 0.9, MUTED)
        return area.top() + 4.3 * unit

    def _draw_protocols(self, painter: QtGui.QPainter, area: QtCore.QRectF, record: Any) -> float:
        """Write which protocols it may be, how likely, and why; return where the next thing begins."""
        unit, y = self._unit, area.top()
        named = [one for one in record.protocols if one.named]
        others = [one for one in record.protocols if not one.named and one.probability >= _LEAST_LIKELY]
        for number, one in enumerate((*named, *others)[:_PROTOCOLS]):
            box = QtCore.QRectF(area.left(), y, area.width(), 1.35 * unit)
            taken = self._write(painter, box, f"{100 * one.probability:.0f} %", 0.95, TEXT, align=_RIGHT)
            words = f"perhaps {one.name}" if one.guess else one.name
            bold = one.named and not one.guess
            box.setWidth(area.width() - taken - 0.5 * unit)
            self._write(painter, box, printable(words, 60), 1.0, TEXT if one.named else MUTED, bold=bold)
            below = QtCore.QRectF(area.left(), box.bottom(), area.width(), 0.0)
            y = self._write_wrapped(painter, below, printable(one.reason, 300), 3 - number)
        return y + (0.5 * unit if y > area.top() else 0.0)

    def _draw_constellation(self, painter: QtGui.QPainter, area: QtCore.QRectF, record: Any) -> None:
        side = min(area.width(), area.height())
        box = QtCore.QRectF(area.center().x() - side / 2, area.top(), side, side)
        painter.fillRect(area, _WELL)
        symbols = np.asarray(record.symbols, dtype=np.complex64)
        symbols = symbols[np.isfinite(symbols)]
        reach = 1.3 * max(float(np.percentile(np.abs(symbols), 98)) if len(symbols) else 1.0, 1e-12)
        painter.setRenderHint(QtGui.QPainter.Antialiasing, False)
        painter.fillRect(QtCore.QRectF(box.left(), box.center().y(), side, 1), FAINT)
        painter.fillRect(QtCore.QRectF(box.center().x(), box.top(), 1, side), FAINT)
        x = box.left() + (symbols.real / reach + 1) / 2 * side
        y = box.top() + (1 - symbols.imag / reach) / 2 * side
        inside = (np.abs(symbols.real) < reach) & (np.abs(symbols.imag) < reach)
        points = np.column_stack([x[inside], y[inside]]).astype(np.float64)
        colour = emission_colour(record)
        colour.setAlpha(170)
        pen = QtGui.QPen(colour, max(2.0, side / 110))
        pen.setCapStyle(QtCore.Qt.PenCapStyle.RoundCap)
        painter.setPen(pen)
        painter.setRenderHint(QtGui.QPainter.Antialiasing)
        painter.drawPoints(polygon(points))
        self._caption(painter, area, f"{len(symbols)} symbols")

    def _draw_spectrum(self, painter: QtGui.QPainter, area: QtCore.QRectF, record: Any) -> None:
        """Draw the emission's own spectrum, with as much on both sides."""
        painter.fillRect(area, _WELL)
        spectrum, floor, rate = self._band.spectrum, self._band.floor, self._band.rate
        if spectrum is None:
            return
        width = max(record.upper - record.lower, 8 * rate / len(spectrum))
        middle = (record.lower + record.upper) / 2
        bins, scale = len(spectrum), area.width() / (3 * width)
        first = max(0, int((middle - 1.5 * width) / rate * bins + bins / 2))
        last = min(bins, int((middle + 1.5 * width) / rate * bins + bins / 2) + 2)
        part = spectrum[first:last]
        if len(part) < 2:
            return
        low = float(np.min(part if floor is None else floor[first:last])) - 4
        high = max(low + 25, float(np.max(part)) + 4)
        x = area.left() + ((np.arange(first, last) / bins - 0.5) * rate - (middle - 1.5 * width)) * scale

        def line(values: NDArray[Any]) -> QtGui.QPolygonF:
            y = area.bottom() - np.clip((values - low) / (high - low), 0, 1) * area.height()
            return polygon(np.column_stack([x, y]).astype(np.float64))

        shade = emission_colour(record)
        shade.setAlpha(45)
        left = area.left() + max(0.0, (record.lower - (middle - 1.5 * width)) * scale)
        painter.fillRect(
            QtCore.QRectF(left, area.top(), (record.upper - record.lower) * scale, area.height()), shade
        )
        painter.setRenderHint(QtGui.QPainter.Antialiasing)
        painter.setClipRect(area)
        if floor is not None:
            painter.setPen(QtGui.QPen(QtGui.QColor("#56B4E9"), 1.4))
            painter.drawPolyline(line(floor[first:last]))
        painter.setPen(QtGui.QPen(emission_colour(record), 1.6))
        painter.drawPolyline(line(part))
        painter.setClipping(False)
        self._caption(painter, area, f"spectrum, {span_text(3 * width)} wide")

    def _caption(self, painter: QtGui.QPainter, area: QtCore.QRectF, text: str) -> None:
        box = QtCore.QRectF(
            area.left() + 0.5 * self._unit, area.top() + 0.2 * self._unit, area.width(), 1.3 * self._unit
        )
        self._write(painter, box, text, 0.85, MUTED)

    def _draw_scores(
        self,
        painter: QtGui.QPainter,
        area: QtCore.QRectF,
        scores: list[tuple[str, float]],
        colour: QtGui.QColor,
    ) -> float:
        """Draw a bar for each answer, the first one in a colour; return where the next thing begins."""
        unit, height = self._unit, 1.42 * self._unit
        painter.setRenderHint(QtGui.QPainter.Antialiasing, False)
        for row, (name, value) in enumerate(scores):
            top = area.top() + row * height
            box = QtCore.QRectF(area.left(), top, area.width(), height)
            room = QtCore.QRectF(area.left(), top, 6.2 * unit, height)
            self._write(painter, room, name, 0.95, TEXT if row == 0 else MUTED, bold=row == 0)
            left, width = area.left() + 6.4 * unit, area.width() - 10.9 * unit
            painter.fillRect(QtCore.QRectF(left, top + 0.35 * unit, width, 0.75 * unit), _WELL)
            painter.fillRect(
                QtCore.QRectF(left, top + 0.35 * unit, width * value, 0.75 * unit),
                colour if row == 0 else MUTED,
            )
            self._write(painter, box, f"{100 * value:.1f} %", 0.95, TEXT if row == 0 else MUTED, align=_RIGHT)
        return area.top() + len(scores) * height + (0.3 * unit if scores else 0.0)

    def _measures(self, record: Any) -> list[tuple[str, str, str]]:
        """Return names, values and confidence of what was measured; those of its family come after its place."""
        snapshot = self._band.snapshot
        rows = [("frequency", place_text(record, snapshot.centre_hz), "")]
        details = sorted(record.details.items(), key=lambda pair: -pair[1].confidence)
        for name, measure in details:
            if np.isfinite(measure.value):
                sure = f"{100 * min(1.0, max(0.0, measure.confidence)):.0f} %"
                rows.append((*_measure_text(printable(name, 30), float(measure.value)), sure))
        if record.symbol_rate and "symbol_rate" not in record.details:
            rows.append(("symbol rate", engineering(record.symbol_rate, "Bd", 6), ""))
        rows += [
            ("bandwidth in its box", span_text(record.upper - record.lower), ""),
            ("SNR in band", f"{record.snr_db:.1f} dB", ""),
            ("level", f"{record.level_dbfs:.1f} dBFS", ""),
            ("bursts", str(record.bursts), ""),
            ("known for", ago_text((snapshot.now - record.first_seen) / snapshot.sample_rate), ""),
        ]
        for name, value in list(record.measures.items()):
            known = name in _SAID_ELSEWHERE or name in record.details
            if known or not isinstance(value, (int, float)) or not np.isfinite(value):
                continue
            rows.append((*_measure_text(printable(name, 30), float(value)), ""))
        return [(name, value.replace("-", "−"), sure) for name, value, sure in rows[:_MEASURES]]

    def _draw_measures(
        self, painter: QtGui.QPainter, area: QtCore.QRectF, rows: list[tuple[str, str, str]]
    ) -> float:
        height = 1.42 * self._unit
        aside = 3.3 * self._unit if any(sure for _, _, sure in rows) else 0.0
        for row, (name, value, sure) in enumerate(rows):
            box = QtCore.QRectF(area.left(), area.top() + row * height, area.width(), height)
            if box.bottom() > area.bottom() + 1:
                return box.top()
            self._write(painter, box, sure, 0.9, MUTED, align=_RIGHT)
            box.setWidth(area.width() - aside)
            taken = self._write(painter, box, value, 1.0, TEXT, align=_RIGHT) + 0.5 * self._unit
            self._write(painter, box.adjusted(0, 0, -taken, 0), name, 0.95, MUTED)
        return area.top() + len(rows) * height

    def _draw_history(self, painter: QtGui.QPainter, area: QtCore.QRectF, past: EmissionHistory) -> None:
        """Draw the last minute: when it was on, and how strong; below, what it was called."""
        unit, rate, now = self._unit, self._band.rate, self._band.snapshot.now
        painter.fillRect(QtCore.QRectF(area.left(), area.top(), area.width(), 1), FAINT)
        head = QtCore.QRectF(area.left(), area.top() + 0.2 * unit, area.width(), 1.3 * unit)
        seconds = min(_SHOWN_SECONDS, max(10.0, now / rate))
        self._write(painter, head, f"last {ago_text(seconds)}", 0.85, MUTED)
        strip = QtCore.QRectF(area.left(), head.bottom(), area.width(), 2.6 * unit)
        painter.fillRect(strip, _WELL)
        colour = emission_colour(past.record)
        shade = QtGui.QColor(colour)
        shade.setAlpha(90)

        def x(sample: Any) -> Any:
            return strip.right() - (now - sample) / (seconds * rate) * strip.width()

        for stretch in past.stretches:
            left, right = max(strip.left(), x(stretch.start)), max(strip.left(), x(stretch.stop))
            if right > strip.left():
                painter.fillRect(
                    QtCore.QRectF(left, strip.top(), max(1.5, right - left), strip.height()), shade
                )
        strengths = np.array(past.strengths, dtype=np.float64).reshape(-1, 2)
        strengths = strengths[np.isfinite(strengths[:, 1])]
        places = x(strengths[:, 0])
        seen = (places >= strip.left()) & (places <= strip.right())
        strengths, places = strengths[seen], places[seen]
        if len(places):
            high = max(10.0, float(strengths[:, 1].max()))
            low = min(0.0, float(strengths[:, 1].min()))
            painter.setPen(QtGui.QPen(colour, max(3.0, unit / 5)))
            heights = strip.bottom() - 3 - (strengths[:, 1] - low) / (high - low) * (strip.height() - 6)
            painter.drawPoints(polygon(np.column_stack([places, heights])))
            self._write(painter, head, f"SNR to {high:.0f} dB", 0.85, MUTED, align=_RIGHT)
        y = strip.bottom() + 0.3 * unit
        for change in list(past.names)[::-1]:
            box = QtCore.QRectF(area.left(), y, area.width(), 1.3 * unit)
            if box.bottom() > self.height() - 0.3 * unit:
                break
            ago = self._write(painter, box, f"{ago_text((now - change.sample) / rate)} ago", 0.9, MUTED)
            text = printable(change.label, 24) + (
                f"  {100 * change.confidence:.0f} %" if change.confidence else ""
            )
            self._write(painter, box.adjusted(ago + unit, 0, 0, 0), text, 0.9, TEXT, align=_RIGHT)
            y = box.bottom()

    def _write_wrapped(self, painter: QtGui.QPainter, area: QtCore.QRectF, text: str, lines: int) -> float:
        """Write a small text on so many lines at most; return where the next thing begins."""
        height, y = 1.15 * self._unit, area.top()
        metrics, words = QtGui.QFontMetricsF(self._font(0.82)), text.split(" ")
        for number in range(lines):
            count = len(words)
            while number < lines - 1 and count > 1:
                if metrics.horizontalAdvance(" ".join(words[:count])) <= area.width():
                    break
                count -= 1
            box = QtCore.QRectF(area.left(), y, area.width(), height)
            self._write(painter, box, " ".join(words[:count]), 0.82, MUTED)
            y, words = box.bottom(), words[count:]
            if not words:
                break
        return y

    def _write(
        self,
        painter: QtGui.QPainter,
        box: QtCore.QRectF,
        text: str,
        size: float,
        colour: QtGui.QColor,
        *,
        bold: bool = False,
        align: QtCore.Qt.AlignmentFlag = _LEFT,
    ) -> float:
        """Write one line, with an ellipsis if it is too long; return its width."""
        font = self._font(size, bold)
        painter.setFont(font)
        painter.setPen(colour)
        metrics = QtGui.QFontMetricsF(font)
        text = metrics.elidedText(text, QtCore.Qt.TextElideMode.ElideRight, max(0.0, box.width()))
        painter.drawText(box, int(align | _MIDDLE), text)
        return float(metrics.horizontalAdvance(text))


def _most_likely(probabilities: Mapping[str, float]) -> list[tuple[str, float]]:
    """Return the most probable answers, the first of them first."""
    pairs = sorted(probabilities.items(), key=lambda pair: -pair[1])[:_ANSWERS]
    return [(printable(name, 20), min(1.0, max(0.0, value))) for name, value in pairs if value >= 0.0005]


def _measure_text(name: str, value: float) -> tuple[str, str]:
    """Return a measure's name in words and its value with the unit that it has, or that the name ends in."""
    if name in PARAMETERS:
        return PARAMETERS[name].words, PARAMETERS[name].shown(value)
    for ending, unit in _UNITS:
        if name.endswith(ending):
            words = name.removesuffix(ending).replace("_", " ")
            shown = engineering(value, unit, 4) if unit in ("Hz", "Bd") else f"{value:.3g} {unit}"
            return words, shown
    if name.endswith("_share"):
        return name.removesuffix("_share").replace("_", " "), f"{100 * value:.0f} %"
    return name.replace("_", " "), f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
