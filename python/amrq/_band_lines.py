# SPDX-License-Identifier: GPL-3.0-or-later
"""What the band display shows of a band at one moment: the last spectra, as lines of a waterfall, and the emissions."""

from typing import Any

import numpy as np
from gnuradio.amrq._band_history import BandHistory, EmissionHistory
from numpy.typing import NDArray
from PyQt5 import QtCore, QtGui, sip

__all__ = ["DARKEST", "Lines", "ShownBand"]

_ROWS = 1024
"""Spectra that are kept: 51 s at 20 a second, and more than a screen has lines."""
_LINES_FOR_HEIGHT, _SCREEN_SECONDS = 8, 25.0
_COLUMNS = 8192
"""A spectrum with more bins is kept with the largest of neighbouring bins."""
_LOWEST_DB, _STEP_DB = -190.0, 0.7
"""Levels are kept as bytes: dBFS/Hz of 0, and of each step."""
DARKEST = "#030812"
# Cividis (Nunez, Anderton and Renslow 2018), whose steps look alike with and without colour blindness, from a darker
# foot on, so that noise stays in the background.
_STOPS = (DARKEST, "#00224E", "#35456C", "#666970", "#948E77", "#C8B866", "#FEE838")


def _colour_map() -> list[int]:
    """Return 256 colours for `Lines.paint`, from the noise floor to the strongest signals."""
    stops = np.array([QtGui.QColor(stop).getRgb()[:3] for stop in _STOPS], dtype=float)
    at = np.linspace(0, len(stops) - 1, 256)
    channels = [
        np.interp(at, np.arange(len(stops)), stops[:, channel]).round().astype(int) for channel in range(3)
    ]
    return [0xFF000000 | int(r) << 16 | int(g) << 8 | int(b) for r, g, b in zip(*channels, strict=True)]


class Lines:
    """The last spectra as bytes, in a ring, and the same as an image of the width that is shown."""

    def __init__(self) -> None:
        self._map = np.array(_colour_map())
        self._bins = 0
        self.clear()

    def clear(self) -> None:
        """Forget all lines."""
        self._head, self.count = 0, 0
        self.stamps = np.zeros(_ROWS, dtype=np.int64)
        self._sorted: NDArray[np.float64] | None = None
        self.pixels = 1
        """Height of a line."""
        self._height_for = (0, 0.0)
        self._levels = np.zeros((_ROWS, max(1, self._bins)), dtype=np.uint8)
        self._shown: NDArray[np.uint8] = np.zeros((_ROWS, 4), dtype=np.uint8)
        self._image: QtGui.QImage | None = None
        self._view: tuple[float, float, int] = (0.0, 1.0, 0)
        self._span = (0.0, 0.0)

    def add(self, spectrum_db: NDArray[np.float32], stamp: int) -> None:
        """Put a line on top; `stamp` is the sample at which it ends."""
        line = _reduced(spectrum_db, _COLUMNS)
        if len(line) != self._bins:
            self._bins = len(line)
            self.clear()
        self._head = (self._head - 1) % _ROWS
        finite = np.nan_to_num(line, nan=_LOWEST_DB, posinf=0.0, neginf=_LOWEST_DB)
        scaled = (finite - _LOWEST_DB) * (1 / _STEP_DB)
        self._levels[self._head] = np.clip(scaled, 0, 255).astype(np.uint8)
        self.stamps[self._head] = stamp
        self._sorted = None
        self.count = min(_ROWS, self.count + 1)
        if self._image is not None:
            self._shown[self._head] = self._cut(self._levels[self._head][None])[0]

    def set_levels(self, low_db: float, high_db: float) -> None:
        """Show these levels, dBFS/Hz, from the darkest to the brightest colour."""
        if abs(low_db - self._span[0]) < 1 and abs(high_db - self._span[1]) < 1:
            return
        self._span = (low_db, high_db)
        if self._image is not None:
            self._image.setColorTable(self._table())

    def _table(self) -> list[int]:
        low, high = self._span
        levels = _LOWEST_DB + _STEP_DB * np.arange(256)
        index = np.clip((levels - low) / max(1.0, high - low) * 255, 0, 255).astype(int)
        return [int(colour) for colour in self._map[index]]

    def _cut(self, levels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the part of lines that is in view, the largest bin in each column."""
        first, last, width = self._view
        edges = (
            np.linspace(first * self._bins, last * self._bins, width + 1) + 0.5
        )  # a bin is around its frequency
        starts = np.clip(np.floor(edges[:-1] + 1e-9).astype(int), 0, self._bins - 1)
        if (last - first) * self._bins <= width:
            return np.asarray(levels[:, starts])
        stop = min(self._bins, max(starts[-1] + 1, int(np.ceil(edges[-1]))))
        return np.asarray(np.maximum.reduceat(levels[:, :stop], starts, axis=1))

    def set_height(self, height: int, rate: float) -> None:
        """Choose how many pixels high a line is: so many that a screen of `height` pixels shows some 25 seconds.

        Args:
            height: pixels.
            rate: samples a second.
        """
        if self.count < _LINES_FOR_HEIGHT or (height, rate) == self._height_for:
            return
        self._height_for = (height, rate)
        seconds = self.span(self.count) / rate / (self.count - 1)
        self.pixels = int(np.clip(round(height * seconds / _SCREEN_SECONDS), 1, 6)) if seconds > 0 else 1

    def paint(self, painter: QtGui.QPainter, area: QtCore.QRect, view: tuple[float, float]) -> None:
        """Draw the newest lines; `view` is the part of the band that is shown, 0 to 1."""
        wanted = (*view, area.width())
        if not self.count or area.width() < 2:
            return
        if self._image is None or wanted != self._view:
            self._view = wanted
            stride = -(-area.width() // 4) * 4
            whole = np.zeros((_ROWS, stride), dtype=np.uint8)
            self._shown = whole[:, : area.width()]
            self._shown[:] = self._cut(self._levels)
            place = sip.voidptr(whole.ctypes.data)
            self._image = QtGui.QImage(place, area.width(), _ROWS, stride, QtGui.QImage.Format_Indexed8)
            self._keep = whole  # Qt does not copy it
            self._image.setColorTable(self._table())
        rows = min(self.count, -(-area.height() // self.pixels))
        first = min(rows, _ROWS - self._head)
        for top, start, count in ((0, self._head, first), (first, 0, rows - first)):
            if count > 0:
                target = QtCore.QRect(
                    area.left(), area.top() + top * self.pixels, area.width(), count * self.pixels
                )
                painter.drawImage(target, self._image, QtCore.QRect(0, start, area.width(), count))

    def depth(self, sample: Any) -> Any:
        """Return how many pixels below the top samples are; far below where there is no line of them any more.

        Args:
            sample: of the source, a number or an array.
        """
        if not self.count:
            return np.full(np.shape(sample), float(_ROWS * self.pixels))
        if self._sorted is None:
            self._sorted = -self.stamps[(self._head + np.arange(self.count)) % _ROWS].astype(np.float64)
        rows = self.pixels * np.arange(self.count)
        return np.interp(-np.asarray(sample, np.float64), self._sorted, rows, right=_ROWS * self.pixels)

    def oldest(self, height: int) -> int:
        """Return the sample before which nothing is seen on a screen of `height` pixels."""
        rows = -(-height // self.pixels) + 1
        return int(self.stamps[(self._head + rows - 1) % _ROWS]) if self.count >= rows else 0

    def span(self, rows: int) -> int:
        """Return how many samples the newest lines cover."""
        last = (self._head + rows - 1) % _ROWS
        return int(self.stamps[self._head] - self.stamps[last])


def _reduced(spectrum: NDArray[Any], most: int) -> NDArray[Any]:
    """Return a spectrum with at most so many bins, the largest of neighbours."""
    if len(spectrum) <= most:
        return spectrum
    return np.asarray(np.maximum.reduceat(spectrum, np.arange(most) * len(spectrum) // most))


class ShownBand:
    """What is painted of a band at one moment.

    Attributes:
        snapshot: of the scanner; None before the first.
        spectrum, floor, threshold: dBFS/Hz, [bins], from the lower to the upper edge of the band; None at first.
        history: of the emissions.
        selected: identity of the emission that is looked at; None for none.
    """

    def __init__(self) -> None:
        self.snapshot: Any = None
        self.spectrum: NDArray[np.float32] | None = None
        self.floor: NDArray[np.float32] | None = None
        self.threshold: NDArray[np.float32] | None = None
        self.history = BandHistory()
        self.selected: int | None = None
        self.lines = Lines()

    @property
    def looked_at(self) -> EmissionHistory | None:
        """The emission that is selected; None if there is none."""
        return None if self.selected is None else self.history.emissions.get(self.selected)

    @property
    def rate(self) -> float:
        """Sample rate, S/s."""
        return float(self.snapshot.sample_rate) if self.snapshot is not None else 1.0

    def take(self, snapshot: Any, picture: Any) -> None:
        """Take in a snapshot and a picture of the spectrum (`amrq.scan.ScanSnapshot`, `BandPicture`)."""
        if self.snapshot is not None and (
            snapshot.centre_hz != self.snapshot.centre_hz or snapshot.sample_rate != self.snapshot.sample_rate
        ):
            self.clear()
        self.snapshot = snapshot
        self.history.update(snapshot)
        if picture.mean is None:
            return
        self.floor, self.threshold = (
            np.asarray(line).repeat(max(1, len(picture.mean) // len(line)))
            for line in (picture.floor, picture.threshold)
        )
        mean = np.nan_to_num(
            np.asarray(picture.mean, dtype=np.float32), nan=_LOWEST_DB, posinf=0.0, neginf=_LOWEST_DB
        )
        # A slow average is easier on the eye; the waterfall shows every line as it is, and short bursts by their peak.
        self.lines.add(
            mean if picture.peak is None else picture.peak,
            snapshot.now if picture.stop is None else picture.stop,
        )
        former = self.spectrum
        if former is not None and len(former) == len(mean):
            mean = np.asarray(former + np.float32(0.35) * (mean - former), dtype=np.float32)
        self.spectrum = mean

    def clear(self) -> None:
        """Forget lines and history."""
        self.spectrum = self.floor = self.threshold = None
        self.history.clear()
        self.lines.clear()
