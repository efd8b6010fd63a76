# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of emissions of the band display."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gnuradio.amrq._band_marks import (
    FAINT,
    GROUND,
    MUTED,
    TEXT,
    ago_text,
    emission_colour,
    emission_words,
    place_text,
    protocol_words,
    span_text,
)
from PyQt5 import QtCore, QtGui, QtWidgets

from amrq.text import engineering, printable

__all__ = ["EmissionTable"]

_DASH = "–"
_YIELDING = {0: 1, 2: 3}
"""Columns that become narrower where there is no room, and their shares of it: their words end in an ellipsis."""
_WORDS = 3
"""Columns on the left: words rather than numbers."""
_COLOURED = 2
"""Columns on the left in the colour of the family."""
_MOST = 200
_ROLES = QtCore.Qt.ItemDataRole


@dataclass(frozen=True)
class _Column:
    """A column: its heading, what it shows of a record, and what it is sorted by.

    Where there is no room for all columns, those of the highest `rank` are left out.
    """

    heading: str
    widest: str
    text: Callable[[Any, Any], str]
    key: Callable[[Any, Any], Any]
    rank: int = 0
    share: int = 1
    """Of the room that is left."""


def _rate_text(record: Any, snapshot: Any) -> str:
    return _DASH if not record.symbol_rate else engineering(record.symbol_rate, "Bd", 4)


def _confidence_text(record: Any, snapshot: Any) -> str:
    return f"{100 * record.confidence:.0f} %" if record.confidence else _DASH


def _family_text(record: Any) -> str:
    return printable(record.family, 20) if record.looks else ""


def _seen_text(record: Any, snapshot: Any) -> str:
    """Return `now` of what is on the air, else how long ago it ended."""
    return "now" if record.on else f"{ago_text((snapshot.now - record.stop) / snapshot.sample_rate)} ago"


def _tip(record: Any) -> str | None:
    """Return what is said of an emission under the mouse: all in a line, and why it may be of its protocols."""
    lines = [printable(record.summary, 200)] if record.summary else []
    lines += [
        f"{printable(one.name, 40)}: {printable(one.reason, 300)}" for one in record.protocols if one.named
    ]
    return "\n".join(lines) or None


def _after_others(text: str) -> tuple[bool, str]:
    """Return what a text is sorted by: alphabetically, those that are empty last."""
    return not text, text.lower()


_COLUMNS = (
    _Column(
        "Label", "AFSK1200 in FM", lambda r, s: emission_words(r), lambda r, s: emission_words(r).lower()
    ),
    _Column(
        "Family", "pi4dqpsk 00", lambda r, s: _family_text(r), lambda r, s: _after_others(_family_text(r))
    ),
    _Column(
        "Protocol",
        "POCSAG 1200?",
        lambda r, s: protocol_words(r) or _DASH,
        lambda r, s: _after_others(protocol_words(r)),
        share=6,
    ),
    _Column(
        "Frequency", "433.920000 MHz", lambda r, s: place_text(r, s.centre_hz), lambda r, s: r.lower + r.upper
    ),
    _Column(
        "Bandwidth", "25.2 kHz", lambda r, s: span_text(r.upper - r.lower), lambda r, s: r.upper - r.lower
    ),
    _Column("SNR", "−12.3 dB", lambda r, s: f"{r.snr_db:.1f} dB".replace("-", "−"), lambda r, s: r.snr_db),
    _Column("Sure", "100 % 0", _confidence_text, lambda r, s: r.confidence or 0.0),
    _Column("Symbol rate", "100.12 kBd", _rate_text, lambda r, s: r.symbol_rate or 0.0),
    _Column("Bursts", "10000", lambda r, s: str(r.bursts), lambda r, s: r.bursts, 2),
    _Column(
        "Since",
        "10:00:00",
        lambda r, s: ago_text((s.now - r.first_seen) / s.sample_rate),
        lambda r, s: -r.first_seen,
        1,
    ),
    _Column("Seen", "10:00 ago", _seen_text, lambda r, s: (not r.on, s.now - r.stop)),
)


class _Model(QtCore.QAbstractTableModel):
    """Records of emissions as Qt's tables take them, sorted by one column."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[Any] = []
        self._snapshot: Any = None
        self._sorted = (_WORDS, QtCore.Qt.SortOrder.AscendingOrder)

    def rowCount(self, parent: Any = None) -> int:  # noqa: N802
        return 0 if parent is not None and parent.isValid() else len(self.records)

    def columnCount(self, parent: Any = None) -> int:  # noqa: N802
        return 0 if parent is not None and parent.isValid() else len(_COLUMNS)

    def headerData(self, section: int, orientation: Any, role: int = _ROLES.DisplayRole) -> Any:  # noqa: N802
        if orientation == QtCore.Qt.Orientation.Horizontal and role == _ROLES.DisplayRole:
            column, order = self._sorted
            mark = " ▴" if order == QtCore.Qt.SortOrder.AscendingOrder else " ▾"
            return _COLUMNS[section].heading + (mark if section == column else "")
        if orientation == QtCore.Qt.Orientation.Horizontal and role == _ROLES.TextAlignmentRole:
            return int(_alignment(section))
        return None

    def data(self, index: Any, role: int = _ROLES.DisplayRole) -> Any:
        record = self.records[index.row()]
        if role == _ROLES.DisplayRole:
            return _COLUMNS[index.column()].text(record, self._snapshot)
        if role == _ROLES.TextAlignmentRole:
            return int(_alignment(index.column()))
        if role == _ROLES.ForegroundRole:
            if index.column() < _COLOURED:
                return emission_colour(record)
            return TEXT if record.on else MUTED
        if role == _ROLES.ToolTipRole:
            return _tip(record)
        if role == _ROLES.FontRole and index.column() == 0:
            font = QtGui.QFont()
            font.setBold(True)
            return font
        return None

    def sort(self, column: int, order: Any = QtCore.Qt.SortOrder.AscendingOrder) -> None:
        self._sorted = (column, order)
        self.layoutAboutToBeChanged.emit()
        self._order()
        self.layoutChanged.emit()
        self.headerDataChanged.emit(QtCore.Qt.Orientation.Horizontal, 0, len(_COLUMNS) - 1)

    def show(self, snapshot: Any) -> None:
        """Show the emissions of a snapshot: those on the air and the last that ended."""
        records = sorted(snapshot.emissions, key=lambda record: (record.on, record.stop))[-_MOST:]
        if len(records) != len(self.records):
            self.beginResetModel()
            self._snapshot, self.records = snapshot, records
            self._order()
            self.endResetModel()
            return
        self._snapshot, self.records = snapshot, records
        self._order()
        if records:
            self.dataChanged.emit(self.index(0, 0), self.index(len(records) - 1, len(_COLUMNS) - 1))

    def _order(self) -> None:
        if self._snapshot is None:
            return
        column, order = self._sorted
        key = _COLUMNS[column].key
        self.records.sort(key=lambda record: record.id)  # the same order for those that are alike
        self.records.sort(
            key=lambda record: key(record, self._snapshot),
            reverse=order == QtCore.Qt.SortOrder.DescendingOrder,
        )
        self.records.sort(
            key=lambda record: not record.on
        )  # what is on the air stands first, whatever the order


def _alignment(column: int) -> Any:
    side = QtCore.Qt.AlignmentFlag.AlignLeft if column < _WORDS else QtCore.Qt.AlignmentFlag.AlignRight
    return side | QtCore.Qt.AlignmentFlag.AlignVCenter


class EmissionTable(QtWidgets.QTableView):
    """The table. A click on a row selects the emission, one on a heading sorts by that column."""

    chosen = QtCore.pyqtSignal(object)
    """Identity of the emission whose row was clicked."""

    def __init__(self) -> None:
        super().__init__()
        self._model = _Model()
        self._unit = 0
        self._selected: int | None = None
        self.setModel(self._model)
        self.setAccessibleName("Emissions")
        self.setSelectionBehavior(QtWidgets.QAbstractItemView.SelectRows)
        self.setSelectionMode(QtWidgets.QAbstractItemView.SingleSelection)
        self.setEditTriggers(QtWidgets.QAbstractItemView.NoEditTriggers)
        self.setHorizontalScrollBarPolicy(QtCore.Qt.ScrollBarPolicy.ScrollBarAsNeeded)
        self.setVerticalScrollMode(QtWidgets.QAbstractItemView.ScrollPerPixel)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setFrameShape(QtWidgets.QFrame.NoFrame)
        rows: Any = self.verticalHeader()
        rows.hide()
        self._rows = rows
        header: Any = self.horizontalHeader()
        header.setHighlightSections(False)
        header.setSectionsClickable(True)
        header.setStretchLastSection(True)
        header.setSortIndicator(_WORDS, QtCore.Qt.SortOrder.AscendingOrder)
        self.setSortingEnabled(True)
        self.clicked.connect(self._on_click)
        self.setMinimumHeight(80)

    def show_snapshot(self, snapshot: Any, selected: int | None) -> None:
        """Show the emissions of a snapshot, with one of them selected."""
        self._model.show(snapshot)
        self._mark(selected)

    def _mark(self, selected: int | None) -> None:
        rows = [row for row, record in enumerate(self._model.records) if record.id == selected]
        selection: Any = self.selectionModel()
        current = selection.selectedRows()
        if [index.row() for index in current] == rows:
            if selected != self._selected and rows:
                self.scrollTo(self._model.index(rows[0], 0))
            self._selected = selected
            return
        if rows:
            self.selectRow(rows[0])
        else:
            self.clearSelection()
        if selected != self._selected and rows:
            self.scrollTo(self._model.index(rows[0], 0))
        self._selected = selected

    def set_unit(self, unit: int) -> None:
        """Set the size of the text, pixels."""
        if unit == self._unit:
            return
        self._unit = unit
        font = QtGui.QFont(self.font())
        font.setPixelSize(unit)
        self.setFont(font)
        self.setStyleSheet(_style(unit))
        self._rows.setDefaultSectionSize(round(1.6 * unit))
        self._rows.setMinimumSectionSize(round(1.6 * unit))
        self._spread()

    def resizeEvent(self, event: Any) -> None:  # noqa: N802
        super().resizeEvent(event)
        self._spread()

    def _spread(self) -> None:
        """Give each column the room of its widest text, and a share of what is left.

        Where it is too little, columns with a rank are left out, and words end in an ellipsis rather than numbers.
        """
        heading = QtGui.QFont(self.font())
        heading.setPixelSize(max(8, round(0.9 * self._unit)))
        cell, head = QtGui.QFontMetrics(self.font()), QtGui.QFontMetrics(heading)
        needed = [
            max(cell.horizontalAdvance(column.widest), head.horizontalAdvance(column.heading + " ▴"))
            + round(0.9 * self._unit)
            for column in _COLUMNS
        ]
        seen: Any = self.viewport()
        room = seen.width() - 2
        for number in sorted(range(len(_COLUMNS)), key=lambda number: -_COLUMNS[number].rank):
            if _COLUMNS[number].rank and room < sum(needed):
                needed[number] = 0
        shares = [column.share if width else 0 for column, width in zip(_COLUMNS, needed, strict=True)]
        spare = room - sum(needed)
        if spare < 0:
            shares = [_YIELDING.get(number, 0) for number in range(len(_COLUMNS))]
        for number, width in enumerate(needed):
            self.setColumnHidden(number, not width)
            if width:
                width += spare * shares[number] // max(1, sum(shares))
                self.setColumnWidth(number, max(2 * self._unit, width))

    def _on_click(self, index: Any) -> None:
        self.chosen.emit(self._model.records[index.row()].id)

    def keyPressEvent(self, event: Any) -> None:  # noqa: N802
        former = self.currentIndex().row()
        super().keyPressEvent(event)
        index = self.currentIndex()
        if index.isValid() and index.row() != former:
            self.chosen.emit(self._model.records[index.row()].id)


def _style(unit: int) -> str:
    return (
        f"QTableView {{ background: {GROUND.name()}; color: {TEXT.name()}; "
        f"selection-background-color: #2f4a68; selection-color: {TEXT.name()}; }}"
        f"QTableView::item {{ border: none; padding-left: {unit // 2}px; padding-right: {unit // 3}px; }}"
        f"QHeaderView::section {{ background: {FAINT.name()}; color: {MUTED.name()}; border: none; "
        f"font-size: {round(0.9 * unit)}px; padding: 2px {unit // 2}px; }}"
        "QHeaderView::up-arrow, QHeaderView::down-arrow { width: 0px; height: 0px; }"
        f"QScrollBar {{ background: {GROUND.name()}; width: {round(0.8 * unit)}px; height: {round(0.8 * unit)}px; }}"
        f"QScrollBar::handle {{ background: {MUTED.name()}; border-radius: 4px; min-height: {2 * unit}px; }}"
        "QScrollBar::add-line, QScrollBar::sub-line, QScrollBar::add-page, QScrollBar::sub-page "
        "{ background: none; width: 0px; height: 0px; }"
    )
