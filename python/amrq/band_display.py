# SPDX-License-Identifier: GPL-3.0-or-later
"""A widget that shows what is on the air in a band."""

import threading
import time
from collections import deque
from typing import Any

import numpy as np
from gnuradio import gr
from gnuradio.amrq._arguments import checked_arguments
from gnuradio.amrq._band_view import BandView
from gnuradio.amrq._errors import guarded, guarded_run
from gnuradio.amrq._tags import Breaks, read_number
from PyQt5 import QtWidgets

from amrq.classifier import Classifier, make_classifier
from amrq.detect import DrawnLine, DrawnSpectra
from amrq.errors import AmrqError
from amrq.live import joined
from amrq.machine import end_at_exit
from amrq.scan import BandScanner, ScanOptions, ScanWorker
from amrq.text import engineering, printable

__all__ = ["band_display"]

_QUEUE_SECONDS = 1.0
_CANVAS_SECONDS = 0.3
"""Of a live stream that wait to be drawn at most."""
_LOOK_SECONDS = 0.01
"""From one look at whether there is a new line to the next."""
_STATES = 24
"""Lines that wait to be drawn at most."""
_PATIENCE, _IMPATIENCE = 20.0, 0.3
"""Seconds that a run's end waits for the scanner's threads: Python should not end while they compute."""


class band_display(gr.sync_block):
    """Find the emissions in a band, name them, and show them: spectrum, waterfall with labels, table, details.

    The samples go to an `amrq.scan.BandScanner`, with its detector in a process of its own where that is possible,
    behind a queue of one second. A live stream never waits: samples for which there is no time are dropped, counted and
    shown. `widget` is the QWidget to put into a window. It asks the scanner 20 times a second for what is new.

    Spectrum: white the mean spectrum, blue the noise floor, dashed orange the level that a short emission of one bin
    has to exceed. Waterfall: a box for each time that an emission was on, and a label above it, in the colour of its
    family; the colours stay distinct in the common kinds of colour blindness. Where there is room the label has the
    likely protocol, with a question mark if it is a guess. Table: a click on a heading sorts. A click on an emission
    shows its constellation if it has one, otherwise its spectrum; the decision, likely protocols with the reason,
    probabilities of families, measures with their confidence, and when it was on. The wheel zooms, a double click
    shows the whole band again.

    Tags read: `rx_freq`: all emissions end, and the band is another one. `rx_overflow`, `rx_time`: samples are missing.

    Args:
        sample_rate: samples a second.
        frequency: what the middle of the band stands for, Hz; None or 0 if it is not known. A tag `rx_freq` replaces
            it.
        scan: how the band is scanned; None: the defaults.
        squelch: SNR in its own band, in dB, below which an emission is not shown.
        live: the stream must not be held up; otherwise, as from a file, it waits for the scanner.

    Raises:
        AmrqError: a value is out of its range, the model cannot be used, or there is no Qt application.
    """

    @checked_arguments
    def __init__(
        self,
        sample_rate: float,
        frequency: float | None = None,
        scan: ScanOptions | None = None,
        squelch: float = -30.0,
        live: bool = True,
    ) -> None:
        if QtWidgets.QApplication.instance() is None:  # Qt would end the whole process
            raise AmrqError(
                "the band display needs a Qt application: create a QApplication first, or choose QT GUI as the "
                "flowgraph's output in GNU Radio Companion."
            )
        gr.sync_block.__init__(self, name="amrq_band_display", in_sig=[np.complex64], out_sig=None)
        self.error: Exception | None = None
        self.received = 0
        """Samples received since the start."""
        self._scan, self._live = scan or ScanOptions(), bool(live)
        self._rate, self._frequency = _checked_rate(sample_rate), frequency or None
        self._classifier: Classifier = make_classifier(self._scan.model)
        self._lock = threading.Lock()
        self._worker: ScanWorker | None = None
        self._canvas: _Canvas | None = None
        self._breaks = Breaks()
        self._ends: list[threading.Thread] = []  # they close former workers
        self._patience = _PATIENCE
        self._states: deque[tuple[Any, Any]] = deque(maxlen=_STATES)  # snapshots and pictures to be shown
        self.widget = BandView(self._poll, self._problem, self.logger)
        self.set_squelch(squelch)

    @checked_arguments
    def set_sample_rate(self, sample_rate: float) -> None:
        """Set the sample rate; what was found before is forgotten."""
        rate = _checked_rate(sample_rate)
        if rate != self._rate:
            self._rate = rate
            self._again()

    @checked_arguments
    def set_frequency(self, frequency: float | None) -> None:
        """Set what the middle of the band stands for, Hz; what was found before is forgotten."""
        if (frequency or None) != self._frequency:
            self._retune(frequency or None)

    @checked_arguments
    def set_squelch(self, squelch: float) -> None:
        """Show only emissions with at least this SNR, in dB."""
        if not -60 <= squelch <= 100:
            raise AmrqError(f"the squelch must be from -60 to 100 dB, not {squelch:g}.")
        self.widget.set_squelch(squelch)

    @guarded_run
    def start(self) -> bool:
        """Begin a run with an empty display."""
        self.error, self.received, self._breaks, self._patience = None, 0, Breaks(), _PATIENCE
        with self._lock:
            former, self._worker = self._worker, self._new_worker()
            self._show(self._worker)
        self._end(former)
        return True

    @guarded_run
    def stop(self) -> bool:
        """End the run: the display shows how it ended."""
        with self._lock:
            worker, self._worker = self._worker, None
        if worker is not None and self.error is None:
            self.error = worker.error  # it failed after the last samples had come
        self._end(worker, finish=self._patience > _IMPATIENCE)
        for thread in self._ends:
            joined(thread, self._patience)
        self._ends.clear()
        return True

    def abandon(self) -> None:
        """Let the end of this run not wait for the scanner: nobody will look at what it finds."""
        self._patience = _IMPATIENCE

    @guarded
    def work(self, input_items: Any, output_items: Any) -> int:
        """Hand the samples that have arrived to the scanner."""
        new = input_items[0]
        first = self.nitems_read(0)
        tags = self.get_tags_in_range(0, first, first + len(new))
        place = 0
        for offset, values in self._breaks.changes(tags):
            self._put(new[place : offset - first])
            place = offset - first
            frequency = read_number(values["rx_freq"]) if "rx_freq" in values else None
            if frequency is not None and frequency != self._frequency:
                self._retune(frequency or None)
            elif offset:  # before the first sample nothing is missing
                with self._lock:
                    if self._worker is not None:
                        self._worker.add_break()
        self._put(new[place:])
        self.received += len(new)
        return len(new)

    def _put(self, samples: Any) -> None:
        with self._lock:
            worker, canvas = self._worker, self._canvas
        if worker is None or canvas is None or not len(samples):
            return
        if worker.error is not None:
            raise worker.error
        canvas.put(samples)
        worker.put(samples, wait=not self._live)

    def _retune(self, frequency: float | None) -> None:
        """Note that the samples that come next are of another band."""
        self._frequency = frequency
        with self._lock:
            if self._worker is not None and self._canvas is not None:
                self._worker.retune(frequency)
                self._canvas.clear()

    def _again(self) -> None:
        """Scan what follows from the beginning, since it is another band."""
        with self._lock:
            if self._worker is None:
                return
            former, self._worker = self._worker, self._new_worker()
            self._show(self._worker)
        self._end(former)

    def _end(self, worker: ScanWorker | None, finish: bool = False) -> None:
        """Close a worker in a thread; to `finish`, it scans what waits, and how the run ended is shown."""
        if worker is None:
            return
        canvas = self._canvas

        def close() -> None:
            worker.close(finish)
            if finish and self._worker is None and worker.error is None:
                while canvas is not None and canvas.draw():
                    pass
                self._states.append((worker.snapshot(), worker.scanner.picture()))

        thread = threading.Thread(target=close, name="amrq scan's end", daemon=True)
        thread.start()
        end_at_exit(thread, lambda: None)
        self._ends = [*(former for former in self._ends if former.is_alive()), thread]

    def _new_worker(self) -> ScanWorker:
        scanner = BandScanner(
            self._rate, self._frequency, self._scan, limited=self._live, classifier=self._classifier
        )
        worker = ScanWorker(scanner, _QUEUE_SECONDS)
        worker.start()
        return worker

    def _show(self, worker: ScanWorker) -> None:
        """Show what this worker finds, and nothing of a former one."""
        self._states.clear()
        self._canvas = _Canvas(worker, self._states, self._live)
        thread = threading.Thread(
            target=self._watch, args=(worker, self._canvas), name="amrq display", daemon=True
        )
        thread.start()
        end_at_exit(thread, lambda: worker.fail(AmrqError("the program has ended")))

    def _watch(self, worker: ScanWorker, canvas: "_Canvas") -> None:
        """Fetch what is to be shown, in a thread: a scanner that is busy must not hold up the window."""
        while self._worker is worker and worker.error is None:
            try:
                drawn = canvas.draw()
            except Exception as error:  # whoever looks at the window must learn of it
                worker.fail(error)
                return
            if not drawn:
                time.sleep(_LOOK_SECONDS)

    def _poll(self) -> tuple[Any, Any] | None:
        return self._states.popleft() if self._states else None

    def _problem(self) -> str:
        """Return what ended the run early, as a sentence."""
        worker = self._worker
        error = self.error or (worker.error if worker is not None else None)
        if error is None:
            return ""
        kind = "" if isinstance(error, AmrqError) else f"the scan failed: {type(error).__name__}: "
        return printable(f"{kind}{error}", 500)


class _Canvas:
    """Makes lines of the waterfall of the samples that arrive, whether or not the scanner has time for them.

    Args:
        worker: whose emissions are shown with them.
        states: where snapshots and pictures are put.
        live: lines do not wait for the scanner.
    """

    def __init__(self, worker: ScanWorker, states: deque[tuple[Any, Any]], live: bool) -> None:
        self._worker, self._states, self._live = worker, states, live
        self._spectra = DrawnSpectra(worker.scanner.sample_rate)
        self._samples: deque[tuple[int, Any]] = deque()
        self._most = _CANVAS_SECONDS * worker.scanner.sample_rate
        self._position = 0
        self._taken = self._done = 0  # samples that were handed over, and those of them that are drawn
        self._lines: deque[DrawnLine] = deque()
        self._lock = threading.Lock()  # of all but the samples that wait

    def put(self, samples: Any) -> None:
        """Hand over samples; they are copied. Those for which there is no time are left out."""
        if self._taken - self._done < self._most or not self._live:
            self._samples.append((self._position, np.array(samples, np.complex64)))
            self._taken += len(samples)
        self._position += len(samples)

    def clear(self) -> None:
        """Note that the samples that follow are of another band."""
        self._samples.append((self._position, None))

    def draw(self) -> bool:
        """Draw some of what can be drawn; return whether there was anything."""
        with self._lock:
            try:
                position, samples = self._samples.popleft()
            except IndexError:
                return self._hand_over()
            if samples is None:
                self._spectra.clear()
                self._lines.clear()
            else:
                self._lines.extend(self._spectra.process(samples, position))
                self._done += len(samples)
            self._hand_over()
            return True

    def _hand_over(self) -> bool:
        scanner, handed = self._worker.scanner, False
        while self._lines and (self._live or scanner.now >= self._lines[0].stop):
            self._states.append((self._worker.snapshot(), scanner.picture(self._lines.popleft())))
            handed = True
        return handed


def _checked_rate(sample_rate: float) -> float:
    if not 1e3 <= sample_rate < 1e9:
        raise AmrqError(
            f"the sample rate must be from 1 kS/s to 1 GS/s, not {engineering(sample_rate, 'S/s')}."
        )
    return float(sample_rate)
