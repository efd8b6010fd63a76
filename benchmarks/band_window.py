#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many pictures a second the window of `amrq gui` shows while a band is scanned live, and what they cost.

Opens the band display on a simulated band at 2.4 MS/s, with as many emissions as asked, a fifth of them in bursts. The
samples come from memory at the rate of a radio, so that the source costs next to nothing. A picture counts if it shows
a line of the waterfall that the one before did not. Reported for each size of the window: pictures a second, the time
from one to the next (median, 95 % and longest), what painting one takes (processor time of Qt's thread, and by the
clock), the share of a core that Qt's thread takes with all it does, cores that the whole process keeps busy, samples
lost, and how busy the machine was before and during it.

With a screen (QT_QPA_PLATFORM=xcb, Xvfb for instance) pictures go through the X server; otherwise they stay in memory.

Example: python3 benchmarks/band_window.py --emissions 50 --seconds 30
"""

import argparse
import json
import os
import platform
import sys
import time
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amrq.machine import processor_name
from amrq.signals import SimulatedBand, SimulatedEmission

_RATE = 2.4e6
_KINDS = ("QPSK", "FM", "BPSK", "carrier", "16QAM", "AM", "8PSK", "4FSK", "OOK", "FSK")
_SIZES = ((1280, 720), (1920, 1080))
_SETTLE = 12.0  # seconds: every emission has been looked at


def samples_of(emissions: int) -> tuple[NDArray[np.complex64], int]:
    """Return some seconds of a band, complex64, and how many emissions are in it."""
    distance = 0.94 * _RATE / emissions
    listed = []
    for number in range(emissions):
        kind = _KINDS[number % len(_KINDS)]
        width = 0.0 if kind == "carrier" else min(0.55 * distance, 25e3 if number % 3 else 40e3)
        symbols = width / 1.35 if kind in ("QPSK", "BPSK", "8PSK", "16QAM") else width / 3
        on, off = (0.4, 0.8) if number % 5 == 4 else (0.0, 0.0)
        centre = (number + 0.5) * distance - 0.47 * _RATE
        listed.append(SimulatedEmission(kind, centre, width, 20.0, symbols, on, off))
    made = SimulatedBand(_RATE, seed=1, emissions=listed)
    return np.concatenate([made.next_samples(1 << 18) for _ in range(36)]), len(listed)


class _Meter:
    """Times the pictures of a waterfall."""

    def __init__(self, waterfall: Any) -> None:
        self._waterfall, self._draw = waterfall, waterfall.paintEvent
        self._line = -1
        waterfall.paintEvent = self._paint
        self.clear()

    def clear(self) -> None:
        self.shown: list[float] = []
        self.busy: list[float] = []
        self.clock: list[float] = []

    def _paint(self, event: Any) -> None:
        at, busy = time.perf_counter(), time.thread_time()
        self._draw(event)
        self.busy.append(time.thread_time() - busy)
        self.clock.append(time.perf_counter() - at)
        lines = self._waterfall._band.lines
        newest = int(lines.stamps[lines._head])
        if newest != self._line:
            self._line = newest
            self.shown.append(time.perf_counter())


def _share_of_machine() -> NDArray[np.float64]:
    """Return the processor seconds of this machine since it was started: busy ones, and all."""
    with open("/proc/stat") as stat:
        fields = np.array(stat.readline().split()[1:9], dtype=float) / os.sysconf("SC_CLK_TCK")
    return np.array([fields.sum() - fields[3] - fields[4], fields.sum()])


def _busy(process: int | None) -> float:
    """Return the seconds of processor time that another process has used."""
    if process is None:
        return 0.0
    with open(f"/proc/{process}/stat") as stat:
        return sum(map(int, stat.read().rpartition(")")[2].split()[11:13])) / os.sysconf("SC_CLK_TCK")


def measured(application: Any, display: Any, meter: _Meter, seconds: float) -> dict[str, Any]:
    """Let the window run; return what was measured."""
    from PyQt5 import QtCore

    loop = QtCore.QEventLoop()
    before = display.widget.snapshot.counters
    machine = _share_of_machine()
    meter.clear()
    detector = _busy(display._worker.process_id)
    began, busy, thread = time.perf_counter(), time.process_time(), time.thread_time()
    QtCore.QTimer.singleShot(round(1000 * seconds), loop.quit)
    loop.exec_()
    wall = time.perf_counter() - began
    own, mine = time.process_time() - busy, time.thread_time() - thread
    detecting = _busy(display._worker.process_id) - detector
    others = (_share_of_machine() - machine)[0] - own - detecting
    snapshot = display.widget.snapshot
    gaps = 1000 * np.diff([began, *meter.shown, time.perf_counter()])
    received = snapshot.counters.samples - before.samples
    lost = snapshot.counters.dropped - before.dropped
    return {
        "pictures_a_second": round(len(meter.shown) / wall, 1),
        "gap_ms": {
            "median": round(float(np.median(gaps)), 1),
            "95 %": round(float(np.percentile(gaps, 95)), 1),
            "longest": round(float(gaps.max()), 1),
        },
        "paint_ms": round(1000 * float(np.mean(meter.busy)), 2),
        "paint_ms_by_the_clock": round(1000 * float(np.mean(meter.clock)), 2),
        "share_of_a_core_qt": round(mine / wall, 3),
        "cores_process": round(own / wall, 2),
        "cores_of_the_detectors_process": round(detecting / wall, 2),
        "cores_others": round(others / wall, 2),
        "emissions_on_the_air": sum(one.on for one in snapshot.emissions),
        "samples_lost_share": round(lost / max(1, received + lost), 4),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--emissions", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=20.0, help="for each size of the window")
    parser.add_argument("--output", help="file to which the result is written as JSON")
    arguments = parser.parse_args()
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

    from gnuradio import amrq as gr_amrq
    from gnuradio import blocks, gr
    from gnuradio.amrq.band_window import SWITCH_SECONDS
    from PyQt5 import QtCore, QtWidgets

    application = QtWidgets.QApplication(["band_window"])
    sys.setswitchinterval(SWITCH_SECONDS)  # as `amrq gui` does
    samples, count = samples_of(arguments.emissions)
    load = os.getloadavg()[0]
    flowgraph = gr.top_block()
    display = gr_amrq.band_display(_RATE, frequency=433.92e6)
    source = blocks.vector_source_c(samples, True)
    flowgraph.connect(source, blocks.throttle(gr.sizeof_gr_complex, _RATE), display)
    meter = _Meter(display.widget._waterfall)
    display.widget.resize(*_SIZES[0])
    display.widget.show()
    flowgraph.start()
    settled = QtCore.QEventLoop()
    QtCore.QTimer.singleShot(round(1000 * _SETTLE), settled.quit)
    settled.exec_()
    result: dict[str, Any] = {
        "emissions": count,
        "machine": {
            "processor": processor_name(),
            "cores": os.cpu_count(),
            "load_before": round(load, 2),
            "platform": application.platformName(),
            "python": platform.python_version(),
            "numpy": version("numpy"),
            "qt": QtCore.QT_VERSION_STR,
        },
    }
    for size in _SIZES:
        display.widget.resize(*size)
        result[f"{size[0]}x{size[1]}"] = measured(application, display, meter, arguments.seconds)
    if display.widget._problem():
        result["problem"] = display.widget._problem()
    text = json.dumps(result, indent=2, ensure_ascii=False)
    if arguments.output:
        with open(arguments.output, "w") as file:
            file.write(text + "\n")
    sys.stdout.write(text + "\n")
    display.abandon()
    flowgraph.stop()
    flowgraph.wait()


if __name__ == "__main__":
    main()
