# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole band display: spectrum and waterfall, table, the selected emission, and a line of counters."""

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from gnuradio.amrq._band_details import EmissionDetails
from gnuradio.amrq._band_lines import ShownBand
from gnuradio.amrq._band_marks import FAINT, GROUND, MUTED, TEXT, ago_text
from gnuradio.amrq._band_table import EmissionTable
from gnuradio.amrq._band_waterfall import Waterfall
from PyQt5 import QtCore, QtWidgets

from amrq.text import counted, printable

__all__ = ["BandView"]

_PERIOD_MS = 45
"""From one picture to the next: 22 a second, as many as there are lines."""
_TABLE_EVERY = 6
"""Pictures from one renewal of the table and the details to the next: four a second can be read."""
_AHEAD = 5
"""Lines that may wait. They come several at a time, and are shown one in each picture as long as they are no more."""
_ALARM = "#F2793A"

Poll = Callable[[], tuple[Any, Any] | None]
"""Returns a `ScanSnapshot` and a `BandPicture`; None as long as nothing is there."""


class BandView(QtWidgets.QWidget):
    """The widget. It polls a scanner 22 times a second; the scanner never waits for it.

    Args:
        poll: returns the scanner's snapshot and the picture of its spectrum.
        problem: returns what is wrong, as a sentence; empty if nothing is.
        logger: receives the first error, if drawing fails.
    """

    def __init__(self, poll: Poll, problem: Callable[[], str], logger: Any) -> None:
        super().__init__()
        self._poll, self._problem, self._logger = poll, problem, logger
        self._band = ShownBand()
        self._paused, self._by_hand, self._ticks, self._failed = False, False, 0, False
        self._coming: deque[tuple[Any, Any]] = deque()
        self._notice = ""
        self._squelch = float("-inf")
        self.setAccessibleName("What is on the air")
        self.setAutoFillBackground(True)
        self.setStyleSheet(
            f"BandView {{ background: {GROUND.name()}; }} QSplitter::handle {{ background: {FAINT.name()}; }} "
            f"QLabel {{ color: {MUTED.name()}; background: {GROUND.name()}; }}"
        )
        self.setAttribute(QtCore.Qt.WidgetAttribute.WA_StyledBackground)
        self._waterfall = Waterfall(self._band, logger)
        self._table = EmissionTable()
        self._details = EmissionDetails(self._band, logger)
        self._footer = QtWidgets.QLabel()
        self._footer.setTextFormat(QtCore.Qt.TextFormat.RichText)
        self._footer.setSizePolicy(QtWidgets.QSizePolicy.Ignored, QtWidgets.QSizePolicy.Fixed)
        self._upright = QtWidgets.QSplitter(QtCore.Qt.Orientation.Vertical)
        self._across = QtWidgets.QSplitter(QtCore.Qt.Orientation.Horizontal)
        self._upright.addWidget(self._waterfall)
        self._upright.addWidget(self._table)
        self._across.addWidget(self._upright)
        self._across.addWidget(self._details)
        for splitter, weights in ((self._upright, (73, 27)), (self._across, (74, 26))):
            splitter.setHandleWidth(3)
            splitter.setChildrenCollapsible(False)
            for place, weight in enumerate(weights):
                splitter.setStretchFactor(place, weight)
            splitter.setSizes([10 * weight for weight in weights])
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self._across, 1)
        layout.addWidget(self._footer)
        self._waterfall.chosen.connect(self.select)
        self._table.chosen.connect(self.select)
        self._timer = QtCore.QTimer(self)
        self._timer.setTimerType(QtCore.Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self.tick)
        self._timer.start(_PERIOD_MS)

    @property
    def selected(self) -> int | None:
        """Identity of the emission that is looked at; None if there is none."""
        return self._band.selected

    @property
    def snapshot(self) -> Any:
        """The snapshot that is shown; None before the first."""
        return self._band.snapshot

    def select(self, identity: int | None) -> None:
        """Look at an emission; None: at none."""
        self._by_hand = identity is not None
        self._band.selected = identity
        self._renew()
        self._waterfall.refresh()

    def set_paused(self, paused: bool) -> None:
        """Keep the picture as it is; the scanner goes on."""
        if self._paused and not paused:
            self._drain()
            self._coming.clear()  # what came meanwhile is not shown any more
        self._paused = paused
        self._tell()

    def set_squelch(self, snr_db: float) -> None:
        """Show only emissions with at least this SNR, in dB."""
        self._squelch = snr_db
        if self._band.snapshot is not None:
            self._band.history.keep(lambda record: record.snr_db >= snr_db)
            self._band.snapshot = self._audible(self._band.snapshot)
            self._renew()
            self._waterfall.refresh()

    def _audible(self, snapshot: Any) -> Any:
        """Return a snapshot without the emissions below the squelch."""
        loud = tuple(record for record in snapshot.emissions if record.snr_db >= self._squelch)
        return snapshot if len(loud) == len(snapshot.emissions) else replace(snapshot, emissions=loud)

    def set_notice(self, sentence: str) -> None:
        """Show a sentence in the line below; empty for none."""
        self._notice = sentence
        self._tell()

    def clear(self) -> None:
        """Forget what was shown: the samples of another source follow."""
        self._coming.clear()
        self._band.clear()
        self._band.snapshot, self._band.selected, self._by_hand = None, None, False
        self._renew()
        self._waterfall.refresh()

    def end(self) -> None:
        """Stop polling."""
        self._timer.stop()

    def tick(self) -> None:
        """Fetch what is new and draw it soon; the timer calls this."""
        self._ticks += 1
        try:
            if not self._paused:
                self._drain()
                self._advance()
            if self._ticks % _TABLE_EVERY == 0:
                self._renew()
        except Exception as error:  # an exception that leaves a slot would end the process
            self._notice = f"the display failed: {type(error).__name__}: {printable(error)}"
            if not self._failed:
                self._failed = True
                self._logger.error(self._notice)
            self._tell()

    def _drain(self) -> None:
        """Fetch what is there."""
        while (new := self._poll()) is not None:
            self._coming.append(new)

    def _advance(self) -> None:
        """Show the next line; more of them if too many wait."""
        if not self._coming:
            return
        for _ in range(max(1, len(self._coming) - _AHEAD)):
            snapshot, picture = self._coming.popleft()
            self._band.take(self._audible(snapshot), picture)
        self._choose()
        self._waterfall.update()

    def _choose(self) -> None:
        """Look at an emission with a constellation, as long as nobody has chosen one."""
        if self._by_hand:
            return
        on = [record for record in self._band.snapshot.emissions if record.on]
        if any(record.id == self._band.selected and record.symbols is not None for record in on):
            return
        best = max(
            on,
            key=lambda record: (record.symbols is not None, record.id == self._band.selected, record.snr_db),
            default=None,
        )
        if best is not None:
            self._band.selected = best.id

    def _renew(self) -> None:
        snapshot = self._band.snapshot
        if snapshot is not None:
            self._table.show_snapshot(snapshot, self._band.selected)
        self._details.refresh()
        self._tell()

    def _tell(self) -> None:
        problem = self._problem() or self._notice
        if problem:
            self._footer.setText(f'<b style="color:{_ALARM}">{_escaped(problem)}</b>')
            return
        snapshot = self._band.snapshot
        if snapshot is None:
            self._footer.setText("")
            return
        counters = snapshot.counters
        on = sum(record.on for record in snapshot.emissions)
        parts = [
            f"<b style='color:{TEXT.name()}'>{counted(on, 'emission')} on the air</b>",
            f"{ago_text(snapshot.now / snapshot.sample_rate)} received",
            f"{counters.load:.2f} of a core",
            f"{counters.waiting} waiting",
        ]
        for count, words in (
            (counters.missed, "ended before a look"),
            (counters.suppressed, "reports held back"),
        ):
            if count:
                parts.append(f"{count} {words}")
        if counters.dropped:
            share = 100 * counters.dropped / max(1, counters.samples + counters.dropped)
            parts.insert(1, f"<b style='color:{_ALARM}'>{share:.1f} % of samples lost !</b>")
        if self._paused:
            parts.insert(0, f"<b style='color:{_ALARM}'>paused</b>")
        self._footer.setText("&nbsp;&nbsp;&nbsp;·&nbsp;&nbsp;&nbsp;".join(parts))

    def resizeEvent(self, event: Any) -> None:  # noqa: N802
        super().resizeEvent(event)
        unit = round(max(12.0, min(24.0, self.height() / 44, self.width() / 84)))
        self._table.set_unit(unit)
        font = self._footer.font()
        font.setPixelSize(round(0.95 * unit))
        self._footer.setFont(font)
        self._footer.setFixedHeight(round(1.9 * unit))
        self._footer.setContentsMargins(unit, 0, unit, 0)


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
