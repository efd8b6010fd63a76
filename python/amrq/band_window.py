# SPDX-License-Identifier: GPL-3.0-or-later
"""The window of `amrq gui`: a source, the band display on it, and controls."""

import contextlib
import ctypes
import os
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from gnuradio import amrq as blocks
from gnuradio import gr
from gnuradio.amrq._band_controls import BandControls
from gnuradio.amrq._errors import keep_errors
from gnuradio.amrq.open_source import open_source
from gnuradio.amrq.plain_errors import raise_errors
from gnuradio.amrq.sigmf_recorder import sigmf_recorder
from PyQt5 import QtCore, QtWidgets

from amrq.errors import AmrqError
from amrq.live import joined
from amrq.scan import ScanOptions
from amrq.sources import LiveSource, RadioDevice, SilenceWatch, SourceOptions, find_devices, read_gain
from amrq.text import printable

__all__ = ["band_window"]

# The class, even where its module, which has the same name, was loaded before.
band_display: Any = blocks.__getattr__("band_display")

_LOOK_MS = 100
_PATIENCE = 10.0
"""Seconds that a flowgraph gets to end; one that does not is left behind."""
_FAILED = "failed: "
"""What the state of a recorder begins with if it has failed."""
SWITCH_SECONDS = 5e-4
"""A thread that waits for the interpreter gets it after this: a picture asks for it many times, and the scan's threads
would keep it for 5 ms each time."""
_RADIOS = ("soapy", "rtl_tcp")
_FIRST_RATE, _FIRST_FREQUENCY = 2.4e6, 433.92e6
"""What a radio is opened with that nobody gave a rate or a frequency for."""


class _Run:
    """A source and what is connected to it, while it runs.

    Args:
        live: the source.
        display: the band display.
        record: path of recordings, without number and suffix.
    """

    def __init__(self, live: LiveSource, display: Any, record: str) -> None:
        self.live, self._display = live, display
        self.over = threading.Event()
        """The flowgraph has ended."""
        self.failure = ""
        self.recorder: sigmf_recorder | None = None
        self.no_recorder = ""
        """Why there is no recording; empty if there is one."""
        for block in getattr(live.block, "parts", ()):
            block.set_max_output_buffer(-1)
        self._graph = gr.top_block("amrq gui")
        self._graph.connect(live.block, display)
        try:
            self.recorder = sigmf_recorder(record, live.sample_rate, frequency=live.frequency or 0.0)
            self._graph.connect(live.block, self.recorder)
        except AmrqError as error:
            self.no_recorder = str(error)
        self._thread = threading.Thread(target=self._wait, name="amrq flowgraph", daemon=True)

    def start(self) -> None:
        """Start it.

        Raises:
            AmrqError: it does not start.
        """
        try:
            self._graph.start()
        except RuntimeError as error:
            self.raise_error()
            raise AmrqError(f"the flowgraph does not start: {str(error).rstrip('.')}.") from error
        self._thread.start()

    def _wait(self) -> None:
        try:
            self._graph.wait()
        except Exception as error:  # whoever looks at it must learn of it
            self.failure = f"the flowgraph failed: {printable(error)}"
        finally:
            self.over.set()

    def stop(self) -> bool:
        """Stop it; return whether it ended in time."""
        self._graph.stop()
        ended = not self._thread.is_alive() or joined(self._thread, _PATIENCE)
        if ended:
            self._graph.disconnect_all()
        return ended

    def raise_error(self) -> None:
        """Raise the error that ended the flowgraph, if there was one.

        Raises:
            AmrqError: the errors of its blocks.
        """
        blocks = [self.live.block, self._display, self.recorder]
        raise_errors((block.name(), block) for block in blocks if block is not None)


class band_window(QtWidgets.QMainWindow):
    """A window that shows what is on the air. Closing it ends everything.

    Args:
        source: what is received.
        scan: how the band is scanned; None: the defaults.
        record: path of recordings, without number and suffix.
        squelch: SNR in its own band, in dB, below which an emission is not shown.
        ending: set from outside to close the window.
        automatic: nobody chose the source: the first radio that is found is opened.
        live: the source must not be held up; otherwise it waits for the scanner (see `band_display`).

    Raises:
        AmrqError: the source cannot be opened, or there is no screen (`band_window.application`).
    """

    _application: Any = None
    _opened = QtCore.pyqtSignal(object, object)
    _found = QtCore.pyqtSignal(object, object)
    _said = QtCore.pyqtSignal(str)

    def __init__(
        self,
        source: SourceOptions,
        scan: ScanOptions | None = None,
        record: str = "band",
        squelch: float = -30.0,
        ending: threading.Event | None = None,
        automatic: bool = False,
        live: bool = True,
    ) -> None:
        super().__init__()
        keep_errors()
        self._ending, self._record, self._automatic = ending, record, automatic
        self._options = source  # of what is open
        self._next: SourceOptions | None = None  # of what is to be opened next
        self._busy = self._closed = False
        self._opening: threading.Thread | None = None
        self._silence: SilenceWatch | None = None
        self._run: _Run | None = None
        self.all_ended = True
        """Whether everything had ended when the window was closed."""
        opened = open_source(source, self._said.emit, band=True)
        self.display = band_display(opened.sample_rate, opened.frequency, scan, squelch, live)
        """The block whose widget is shown."""
        self.controls = BandControls(squelch)
        """The row above it."""
        inside = QtWidgets.QWidget()
        layout = QtWidgets.QVBoxLayout(inside)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.controls)
        layout.addWidget(self.display.widget, 1)
        self.setCentralWidget(inside)
        self.resize(1280, 720)
        self._connect()
        self._begin(opened)
        self._timer = QtCore.QTimer(self)
        self._timer.timeout.connect(self._look)
        self._timer.start(_LOOK_MS)
        self._look_for_radios()

    @property
    def running(self) -> bool:
        """Whether a source is received."""
        return self._run is not None and not self._run.over.is_set()

    @staticmethod
    def application() -> Any:
        """Return Qt's application, made if there is none.

        Raises:
            AmrqError: there is no screen: Qt itself would end the process.
        """
        existing: Any = QtWidgets.QApplication.instance()
        if existing is not None:
            return existing
        if sys.platform.startswith("linux") and not _has_screen():
            raise AmrqError(
                "there is no screen for a window: run it on a desktop, or use 'amrq scan', which needs a terminal only."
            )
        band_window._application = QtWidgets.QApplication(["amrq"])  # Qt's ends with its last reference
        return band_window._application

    def _connect(self) -> None:
        controls = self.controls
        controls.frequency_set.connect(self._tune)
        controls.rate_set.connect(lambda rate: self._reopen(sample_rate=rate))
        controls.gain_set.connect(self._set_gain)
        controls.squelch_set.connect(self.display.set_squelch)
        controls.paused.connect(self.display.widget.set_paused)
        controls.recording.connect(self._set_recording)
        controls.device_chosen.connect(self._choose)
        controls.search_wanted.connect(self._look_for_radios)
        self._opened.connect(self._on_opened)
        self._found.connect(self._on_found)
        self._said.connect(self.display.widget.set_notice)

    # -- running -----------------------------------------------------------------------------------------------------

    def _begin(self, live: LiveSource) -> None:
        """Run the display on a source.

        Raises:
            AmrqError: the flowgraph does not start.
        """
        self.display.set_sample_rate(live.sample_rate)
        self.display.set_frequency(live.frequency)
        self.display.widget.clear()
        self.display.widget.set_notice("")
        self._run = _Run(live, self.display, self._record)
        self._silence = SilenceWatch(live.name, self._said.emit) if live.watched else None
        self._run.start()
        options = self._options
        self.setWindowTitle(f"amrq: {printable(live.name, 80)}")
        self.controls.show_source(
            live, options.chosen in _RADIOS, options.chosen in (*_RADIOS, "simulate"), options.gain
        )
        self.controls.allow_recording(True)

    def _look(self) -> None:
        """See whether something has ended, fallen silent or failed; the timer calls this."""
        if self._ending is not None and self._ending.is_set():
            self.close()
            return
        run = self._run
        if run is None or self._busy:
            return
        if self._silence is not None:
            silent = self._silence.silent_seconds()
            self._silence.look(self.display.received)
            if silent > 1 > self._silence.silent_seconds():
                self.display.widget.set_notice("")  # it is back
        if run.recorder is not None:
            self._look_at_recording(run.recorder)
        if run.over.is_set():
            self._run = None
            self._say_end(run)

    def _say_end(self, run: _Run) -> None:
        run.stop()
        try:
            run.raise_error()
            recording = run.live.recording
            name = run.live.name if recording is None else recording.path.name
            text = run.failure or f"{printable(name)} has ended."
        except AmrqError as error:
            text = str(error)
        self.display.widget.set_notice(text)
        self.controls.allow_recording(False)

    def _reopen(self, **changes: Any) -> None:
        """Open the source again with other settings."""
        try:
            self._open(replace(self._options, **changes))
        except AmrqError as error:
            self.display.widget.set_notice(printable(error, 500))

    def _open(self, options: SourceOptions) -> None:
        """Open another source, in a thread: a radio may take seconds, or not answer at all."""
        if self._busy:
            self._next = options
            return
        self._busy, self._next = True, None
        run, self._run = self._run, None
        self.display.abandon()
        self.display.widget.set_notice(f"opening {printable(_named(options), 60)} …")
        self.controls.setEnabled(False)

        def work() -> None:
            try:
                if run is not None and not run.stop():
                    raise AmrqError("the former source did not end: close the window and begin again.")
                # In a list, so that whoever takes it out is the only one to hold the device.
                result: list[Any] = [open_source(options, self._said.emit, band=True)]
            except Exception as error:  # a driver raises what it likes
                result = [error]
            if not self._closed:
                with contextlib.suppress(RuntimeError):  # the window has gone
                    self._opened.emit(options, result)

        self._opening = threading.Thread(target=work, name="amrq opening", daemon=True)
        self._opening.start()

    def _on_opened(self, options: SourceOptions, opened: list[Any]) -> None:
        self._busy = False
        self.controls.setEnabled(True)
        result = opened.pop()
        if self._closed:
            return
        if self._next is not None:
            del result  # the device is free before it is opened again
            self._open(self._next)
            return
        if isinstance(result, Exception):
            kind = "" if isinstance(result, AmrqError) else f"{type(result).__name__}: "
            self._failed(f"{kind}{printable(result, 500)}")
            return
        former, self._options = self._options, options
        try:
            self._begin(result)
        except AmrqError as error:
            self._options = former
            self._failed(str(error))

    def _failed(self, sentence: str) -> None:
        self.display.widget.set_notice(sentence)
        self.controls.show_closed()

    # -- controls ----------------------------------------------------------------------------------------------------

    def _tune(self, frequency: float) -> None:
        self._try(lambda block: block.set_frequency(frequency), replace(self._options, frequency=frequency))

    def _set_gain(self, text: str) -> None:
        try:
            gain = read_gain(text)
        except AmrqError as error:
            self.display.widget.set_notice(str(error))
            return
        self._try(lambda block: block.set_gain(gain), replace(self._options, gain=gain))

    def _try(self, setting: Callable[[Any], None], options: SourceOptions) -> None:
        """Change a radio that runs, and say what it refuses."""
        if self._run is None or self._options.chosen not in _RADIOS:
            return
        try:
            setting(self._run.live.block)
        except Exception as error:  # a driver raises what it likes
            kind = "" if isinstance(error, AmrqError) else f"{type(error).__name__}: "
            self.display.widget.set_notice(f"{kind}{printable(error, 500)}")
        else:
            self._options = options
            self.display.widget.set_notice("")

    def _set_recording(self, on: bool) -> None:
        if self._run is None:
            return
        if self._run.recorder is not None:
            self._run.recorder.set_recording(on)
            self.display.widget.set_notice("")
        elif on:
            self._refuse_recording(self._run.no_recorder)

    def _refuse_recording(self, sentence: str) -> None:
        self.controls.stop_recording()
        self.display.widget.set_notice(printable(f"nothing is recorded: {sentence}", 500))

    def _look_at_recording(self, recorder: sigmf_recorder) -> None:
        """Show how much is recorded; say it if that fails, a full disk for instance."""
        text = recorder.state_text()
        failed = text.startswith(_FAILED)
        self.controls.show_recording("" if failed else text)
        if failed and self.controls.record.isChecked():
            recorder.set_recording(False)
            self._refuse_recording(text.removeprefix(_FAILED))

    # -- devices -----------------------------------------------------------------------------------------------------

    def _look_for_radios(self) -> None:
        """Look for radios in a thread: drivers take seconds."""
        if self._options.chosen == "soapy" and self._run is not None:
            return  # the search would open the radio that is in use

        def work() -> None:
            try:
                found: list[RadioDevice] = find_devices()
                error = ""
            except Exception as failure:  # SoapySDR may not be installed
                found, error = [], printable(failure, 300)
            if not self._closed:
                with contextlib.suppress(RuntimeError):
                    self._found.emit(found, error)

        self.controls.show_searching()
        threading.Thread(target=work, name="amrq devices", daemon=True).start()

    def _on_found(self, found: list[RadioDevice], error: str) -> None:
        self.controls.show_devices(found, error)
        usable = [device for device in found if device.error is None]
        if self._automatic and usable and not self._closed:
            self._automatic = False
            self._choose(usable[0])

    def _choose(self, device: RadioDevice | None) -> None:
        """Open a radio; None: the simulation."""
        try:
            self._open(_options_of(device, self._options))
        except AmrqError as error:
            self.display.widget.set_notice(printable(error, 500))

    # -- the end -----------------------------------------------------------------------------------------------------

    def closeEvent(self, event: Any) -> None:  # noqa: N802
        """End everything."""
        self._closed = True
        self._timer.stop()
        self.display.widget.end()
        self.display.abandon()
        self.hide()
        if self._opening is not None and self._opening.is_alive():
            self.all_ended = joined(self._opening, _PATIENCE)
        if self._run is not None:
            self.all_ended = self._run.stop()
            self._run = None
        event.accept()

    def run(self) -> None:
        """Show the window until it is closed.

        Raises:
            AmrqError: a part of it failed.
        """
        failures: list[BaseException] = []

        def on_exception(kind: type[BaseException], error: BaseException, trace: Any) -> None:
            # Qt would end the process on an exception in a slot.
            failures.append(error)
            self.display.widget.set_notice(f"the window failed: {kind.__name__}: {printable(error, 300)}")

        former, sys.excepthook = sys.excepthook, on_exception
        switching = sys.getswitchinterval()
        sys.setswitchinterval(SWITCH_SECONDS)
        try:
            self.show()
            QtWidgets.QApplication.exec_()
        finally:
            sys.excepthook = former
            sys.setswitchinterval(switching)
            if not self._closed:
                self.close()
        if failures:
            raise AmrqError(
                f"the window failed: {type(failures[0]).__name__}: {printable(failures[0])}."
            ) from failures[0]


def _named(options: SourceOptions) -> str:
    named = {"simulate": "the simulated band", "stdin": "standard input"}
    return named.get(options.chosen) or str(getattr(options, options.chosen))


def _options_of(device: RadioDevice | None, former: SourceOptions) -> SourceOptions:
    """Return the options that open a radio, with what was set before as far as the radio can do it.

    Raises:
        AmrqError: they do not go together.
    """
    if device is None:
        rate = former.sample_rate if former.chosen == "simulate" else None
        return SourceOptions(simulate=True, sample_rate=rate or _FIRST_RATE)
    rate = _within(former.sample_rate or _FIRST_RATE, device.sample_rate)
    frequency = _within(former.frequency or _FIRST_FREQUENCY, device.frequency_hz)
    return SourceOptions(soapy=device.device, sample_rate=rate, frequency=frequency, gain=former.gain)


def _within(value: float, spans: tuple[tuple[float, float], ...]) -> float:
    """Return the value nearest to one that a radio can do."""
    nearest = [min(max(value, low), high) for low, high in spans]
    return min(nearest, key=lambda one: abs(one - value)) if nearest else value


def _has_screen() -> bool:
    """Return whether Qt will find a screen: without one it ends the process."""
    if os.environ.get("QT_QPA_PLATFORM", "xcb").split(":")[0] not in ("xcb", "wayland", ""):
        return True
    if os.environ.get("WAYLAND_DISPLAY"):
        return True
    if not os.environ.get("DISPLAY"):
        return False
    try:
        x11 = ctypes.CDLL("libX11.so.6")
    except OSError:  # Qt then says what it lacks
        return True
    x11.XOpenDisplay.restype = ctypes.c_void_p
    screen = x11.XOpenDisplay(None)
    if screen:
        x11.XCloseDisplay(ctypes.c_void_p(screen))
    return bool(screen)
