# SPDX-License-Identifier: GPL-3.0-or-later
"""The row of controls above the band display: device, frequency, rate, gain, squelch, pause, record."""

from collections.abc import Mapping, Sequence
from typing import Any

from gnuradio.amrq._band_marks import FAINT, GROUND, MUTED, TEXT
from PyQt5 import QtCore, QtWidgets

from amrq.sources import LiveSource, RadioDevice
from amrq.text import engineering, prefix_factor, printable

__all__ = ["BandControls"]

_RATES = (250e3, 1.024e6, 2.048e6, 2.4e6, 3.2e6, 8e6, 10e6, 20e6)
_GAINS = ("auto", "0", "10", "20", "30", "40", "50")
_NO_SQUELCH = -30.0
_ALARM = "#F2793A"
_LEAST_WIDTH = 960
"""Pixels in which all of the row is seen with the smallest text."""
_SEARCH = "look for radios again"


class BandControls(QtWidgets.QWidget):
    """The row. It only says what was set; whoever listens does it.

    Args:
        squelch: at first, dB.
    """

    frequency_set = QtCore.pyqtSignal(float)
    rate_set = QtCore.pyqtSignal(float)
    gain_set = QtCore.pyqtSignal(str)
    squelch_set = QtCore.pyqtSignal(float)
    paused = QtCore.pyqtSignal(bool)
    recording = QtCore.pyqtSignal(bool)
    device_chosen = QtCore.pyqtSignal(object)
    """A `RadioDevice`; None: the simulation."""
    search_wanted = QtCore.pyqtSignal()

    def __init__(self, squelch: float = _NO_SQUELCH) -> None:
        super().__init__()
        self._devices: list[RadioDevice | str | None] = []
        self._name = ""
        self._found: Sequence[RadioDevice] = ()
        self._searching, self._search_error = False, ""
        self._rate = 0.0
        self.setAttribute(QtCore.Qt.WidgetAttribute.WA_StyledBackground)
        self.setAccessibleName("Controls")
        self.device = QtWidgets.QComboBox()
        self.device.setMinimumContentsLength(12)
        self.device.setSizeAdjustPolicy(QtWidgets.QComboBox.AdjustToMinimumContentsLengthWithIcon)
        self.frequency = QtWidgets.QDoubleSpinBox()
        self.frequency.setRange(0.0, 300e3)
        self.frequency.setDecimals(4)
        self.frequency.setSingleStep(0.1)
        self.frequency.setSuffix(" MHz")
        self.frequency.setKeyboardTracking(False)
        self.frequency.setButtonSymbols(QtWidgets.QAbstractSpinBox.NoButtons)
        self.rate = QtWidgets.QComboBox()
        self.rate.setEditable(True)
        self.rate.setInsertPolicy(QtWidgets.QComboBox.NoInsert)
        self.rate.addItems([engineering(rate, "S/s") for rate in _RATES])
        self.gain = QtWidgets.QComboBox()
        self.gain.setEditable(True)
        self.gain.setInsertPolicy(QtWidgets.QComboBox.NoInsert)
        self.gain.addItems(_GAINS)
        self.squelch = QtWidgets.QDoubleSpinBox()
        self.squelch.setRange(_NO_SQUELCH, 60.0)
        self.squelch.setDecimals(0)
        self.squelch.setSuffix(" dB")
        self.squelch.setButtonSymbols(QtWidgets.QAbstractSpinBox.NoButtons)
        self.squelch.setSpecialValueText("off")
        self.squelch.setValue(squelch)
        self.pause = QtWidgets.QPushButton("&Pause")
        self.pause.setCheckable(True)
        self.record = QtWidgets.QPushButton("&Record")
        self.record.setCheckable(True)
        self.state = QtWidgets.QLabel()
        self._layout = QtWidgets.QHBoxLayout(self)
        for name, widget, tip in (
            ("&Device", self.device, "Where the samples come from"),
            ("&Frequency", self.frequency, "Frequency that the radio is tuned to"),
            ("R&ate", self.rate, "Samples a second, 2.4M for instance"),
            ("&Gain", self.gain, "Gain of the radio in dB, of its elements (LNA=20,VGA=16), or auto"),
            ("&Squelch", self.squelch, "Emissions with a smaller SNR are not shown"),
        ):
            label = QtWidgets.QLabel(name)
            label.setBuddy(widget)
            widget.setToolTip(tip)
            widget.setAccessibleName(name.replace("&", ""))
            self._layout.addWidget(label)
            self._layout.addWidget(widget)
        self.pause.setToolTip("Keep the picture as it is; the scan goes on")
        self.pause.setAccessibleName("Pause")
        self.record.setAccessibleName("Record")
        self._layout.addWidget(self.pause)
        self._layout.addWidget(self.record)
        self._layout.addWidget(self.state, 1)
        self._connect()
        self._unit = 0
        self._dress(15)
        # The row is as wide as the window, and its text smaller in a narrow one.
        self.setMinimumWidth(_LEAST_WIDTH)

    def _connect(self) -> None:
        self.frequency.valueChanged.connect(lambda value: self.frequency_set.emit(1e6 * value))
        rate_line: Any = self.rate.lineEdit()
        gain_line: Any = self.gain.lineEdit()
        self.rate.activated.connect(lambda _: self._on_rate())
        rate_line.returnPressed.connect(self._on_rate)
        self.gain.activated.connect(lambda _: self.gain_set.emit(self.gain.currentText()))
        gain_line.returnPressed.connect(lambda: self.gain_set.emit(self.gain.currentText()))
        self.squelch.valueChanged.connect(
            lambda value: self.squelch_set.emit(value if value > _NO_SQUELCH else -60.0)
        )
        self.pause.toggled.connect(self.paused)
        self.record.toggled.connect(self.recording)
        self.device.activated.connect(self._on_device)

    def resizeEvent(self, event: Any) -> None:  # noqa: N802
        super().resizeEvent(event)
        self._dress(round(max(11.0, min(20.0, self.width() / 90))))

    def _dress(self, unit: int) -> None:
        """Set sizes and colours for a size of text in pixels."""
        if unit == self._unit:
            return
        self._unit = unit
        self._layout.setContentsMargins(unit // 2, unit // 3, unit // 2, unit // 3)
        self._layout.setSpacing(unit // 2)
        self.device.setFixedWidth(13 * unit)
        self.frequency.setFixedWidth(round(9.5 * unit))
        self.rate.setFixedWidth(round(8.6 * unit))
        self.gain.setFixedWidth(6 * unit)
        self.squelch.setFixedWidth(round(5.6 * unit))
        self.setStyleSheet(
            f"BandControls {{ background: {FAINT.name()}; }}"
            f"* {{ color: {TEXT.name()}; font-size: {unit}px; }}"
            f"QLabel {{ color: {MUTED.name()}; }}"
            f"QComboBox, QDoubleSpinBox, QPushButton, QComboBox QAbstractItemView {{ background: {GROUND.name()}; "
            f"border: 1px solid #4a5563; border-radius: 3px; padding: {unit // 5}px {unit // 3}px; }}"
            f"QComboBox:disabled, QDoubleSpinBox:disabled, QPushButton:disabled {{ color: #7d8795; "
            "border-color: #39424f; }"
            "QComboBox QAbstractItemView { selection-background-color: #2f4a68; }"
            f"QPushButton:checked {{ background: {_ALARM}; color: {GROUND.name()}; font-weight: bold; }}"
            f"QPushButton {{ padding-left: {unit}px; padding-right: {unit}px; }}"
            f"QPushButton:focus, QComboBox:focus, QDoubleSpinBox:focus {{ border-color: #56B4E9; }}"
        )

    # -- what is shown -----------------------------------------------------------------------------------------------

    def show_source(
        self,
        live: LiveSource,
        tunable: bool,
        other_rates: bool,
        gain: float | Mapping[str, float] | str | None,
    ) -> None:
        """Show a source that has been opened, and which of its settings can be changed."""
        self._name = live.name if live.recording is None else live.recording.path.name
        self._fill()
        with _quiet(self.frequency):
            self.frequency.setSpecialValueText("" if live.frequency else "not known")
            self.frequency.setValue((live.frequency or 0.0) / 1e6)
        self._rate = live.sample_rate
        self.rate.setCurrentText(engineering(live.sample_rate, "S/s", 6))
        self.gain.setCurrentText(_gain_text(gain) if tunable else "–")
        self.frequency.setEnabled(tunable)
        self.gain.setEnabled(tunable)
        self.rate.setEnabled(other_rates)
        with _quiet(self.record):
            self.record.setChecked(False)
        self.state.setText("")

    def show_closed(self) -> None:
        """Show that nothing is open."""
        self._name = "–"
        self._fill()
        for widget in (self.frequency, self.gain, self.rate, self.record):
            widget.setEnabled(False)

    def allow_recording(self, possible: bool) -> None:
        """Let the button work, or not."""
        self.record.setEnabled(possible)
        self.record.setToolTip("Record the samples of the band as SigMF")
        if not possible:
            self.stop_recording()

    def stop_recording(self) -> None:
        """Show that nothing is recorded."""
        with _quiet(self.record):
            self.record.setChecked(False)

    def show_recording(self, text: str) -> None:
        """Show the state of the recording."""
        self.state.setText("" if text == "not recording" else text)

    def show_searching(self) -> None:
        """Show that radios are looked for."""
        self._searching = True
        self._fill()

    def show_devices(self, found: Sequence[RadioDevice], error: str) -> None:
        """Show the radios that were found; or why none could be looked for."""
        self._searching, self._found, self._search_error = False, found, error
        self._fill()

    def _fill(self) -> None:
        """Fill the list of devices: what is open, the simulation, radios, and the search."""
        self._devices = ["", None, *self._found, _SEARCH]
        with _quiet(self.device):
            self.device.clear()
            self.device.addItem(printable(self._name, 60))
            self.device.addItem("simulated band")
            for device in self._found:
                text = printable(device.label or device.device, 50)
                self.device.addItem(f"{text} (in use)" if device.error else text)
                self.device.setItemData(
                    self.device.count() - 1, device.error or device.device, QtCore.Qt.ItemDataRole.ToolTipRole
                )
            if self._searching:
                self.device.addItem("looking for radios …")
            else:
                self.device.addItem(_SEARCH if self._found else f"no radio found: {_SEARCH}")
                self.device.setItemData(
                    self.device.count() - 1, self._search_error, QtCore.Qt.ItemDataRole.ToolTipRole
                )
            self.device.setCurrentIndex(0)
            # The list may be wider than the box.
            entries: Any = self.device.view()
            entries.setMinimumWidth(entries.sizeHintForColumn(0) + 30)

    # -- what was set ------------------------------------------------------------------------------------------------

    def _on_device(self, index: int) -> None:
        chosen = self._devices[index] if index < len(self._devices) else ""
        self.device.setCurrentIndex(0)
        if chosen == _SEARCH:
            self.search_wanted.emit()
        elif not isinstance(chosen, str):
            self.device_chosen.emit(chosen)

    def _on_rate(self) -> None:
        text = self.rate.currentText().replace("S/s", "").strip()
        try:
            prefix = text[-1] if text and text[-1] in "kKMG" else ""
            rate = float(text.removesuffix(prefix)) * prefix_factor(prefix)
        except ValueError:
            rate = 0.0
        if rate <= 0:
            self.rate.setCurrentText(engineering(self._rate, "S/s", 6))
        elif abs(rate - self._rate) > 1e-6 * rate:
            self._rate = rate
            self.rate_set.emit(rate)


class _quiet:
    """Change a widget without its signals."""

    def __init__(self, widget: QtWidgets.QWidget) -> None:
        self._widget = widget

    def __enter__(self) -> None:
        self._widget.blockSignals(True)

    def __exit__(self, *error: object) -> None:
        self._widget.blockSignals(False)


def _gain_text(gain: float | Mapping[str, float] | str | None) -> str:
    if gain is None or gain == "":
        return "auto"
    if isinstance(gain, Mapping):
        return ",".join(f"{name}={value:g}" for name, value in gain.items())
    return gain if isinstance(gain, str) else f"{gain:g}"
