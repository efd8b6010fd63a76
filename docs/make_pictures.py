#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the pictures in docs/images that show signals, the Companion's canvas and the terminal.

- `canvas_*.png`: flowgraphs as the Companion draws them. Needs GTK and a display; without one, Xvfb is started.
- `waterfalls.png`: recordings of examples/recordings.
- `front_end.png`: one of them before and after symbol_front_end.
- `constellations.png`: the nine modulations in noise.
- `terminal.svg`: what `amrq live` shows.

All are made from files of this repository. They have a background of their own, so that they can be read on a light and
on a dark page.

Example: python3 docs/make_pictures.py --only terminal
"""

import argparse
import fcntl
import io
import os
import pty
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[1]
RECORDINGS = ROOT / "examples" / "recordings"
SHOWN = ("generic_qpsk", "dvbs2_8psk", "generic_16qam", "gmsk", "ofdm", "noise")
SYMBOL_RATE = 25e3
"""Of the recordings, Bd."""
SEED = 11
DPI = 100

sys.path.insert(0, str(ROOT / "src"))


def figure(width: float, height: float) -> Any:
    """Return an empty figure, in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=DPI, layout="constrained", facecolor="white")


def save(drawn: Any, path: Path) -> None:
    """Write a figure without the version of what drew it."""
    drawn.savefig(path, format="png", metadata={"Software": None})


def samples(name: str) -> tuple[NDArray[np.complex64], float]:
    """Return a recording's samples and its sample rate."""
    from amrq.recordings import open_recording

    recording = open_recording(RECORDINGS / f"{name}.sigmf-meta")
    return recording.read(0, recording.length), recording.sample_rate


def draw_waterfall(axes: Any, received: NDArray[np.complex64], rate: float) -> None:
    """Draw power against frequency and time."""
    size, step = 128, 128
    window = np.hanning(size)
    starts = range(0, len(received) - size, step)
    spectra = np.array([np.fft.fftshift(np.fft.fft(window * received[at : at + size])) for at in starts])
    power = 20 * np.log10(np.abs(spectra) + 1e-12)
    peak = np.percentile(power, 99.5)
    duration = 1e3 * len(received) / rate
    axes.imshow(
        power,
        aspect="auto",
        cmap="viridis",
        vmin=peak - 45,
        vmax=peak,
        extent=(-rate / 2e3, rate / 2e3, duration, 0),
        interpolation="nearest",
    )


def waterfalls(output: Path) -> None:
    """Draw frequency against time for each recording."""
    drawn = figure(9, 5)
    grid = drawn.subplots(2, 3, sharex=True, sharey=True)
    for axes, name in zip(grid.ravel(), SHOWN, strict=True):
        received, rate = samples(name)
        draw_waterfall(axes, received, rate)
        axes.set_title(name, fontsize=10)
    drawn.supxlabel("frequency from the centre, kHz", fontsize=10)
    drawn.supylabel("time, ms", fontsize=10)
    save(drawn, output / "waterfalls.png")


def front_end(output: Path) -> None:
    """Draw a recording as it is received and as symbols."""
    from gnuradio import amrq, blocks, gr

    name = "generic_16qam"
    received, rate = samples(name)
    top = gr.top_block()
    source = amrq.recording_source(str(RECORDINGS / f"{name}.sigmf-meta"))
    receiver = amrq.symbol_front_end(rate, SYMBOL_RATE)
    sink = blocks.vector_sink_c()
    top.connect(source, receiver, sink)
    top.run()
    symbols = np.array(sink.data())

    drawn = figure(10, 3.6)
    left, middle, right = drawn.subplots(1, 3)
    draw_waterfall(left, received, rate)
    left.set(xlabel="frequency from the centre, kHz", ylabel="time, ms", title="received: frequency and time")
    scaled = received / np.sqrt(np.mean(np.abs(received) ** 2))
    for axes, values, title in (
        (middle, scaled, "received: samples"),
        (right, symbols[-1024:], "after symbol_front_end: symbols"),
    ):
        axes.plot(values.real, values.imag, ".", ms=2.5, color="#0072B2", alpha=0.6)
        axes.set(aspect="equal", xlim=(-2, 2), ylim=(-2, 2), xlabel="I", ylabel="Q", title=title)
        axes.grid(alpha=0.3)
    for axes in (left, middle, right):
        axes.title.set_fontsize(10)
    save(drawn, output / "front_end.png")


def constellations(output: Path) -> None:
    """Draw the nine modulations at 20 dB."""
    from amrq.classes import THESIS_9, linear_class

    rng = np.random.default_rng(SEED)
    drawn = figure(8, 8.4)
    for axes, name in zip(drawn.subplots(3, 3, sharex=True, sharey=True).ravel(), THESIS_9, strict=True):
        points = linear_class(name).points
        sent = points[rng.integers(len(points), size=1024)]
        noise = rng.normal(size=(2, len(sent))) * np.sqrt(10 ** (-20 / 10) / 2)
        values = sent + noise[0] + 1j * noise[1]
        axes.plot(values.real, values.imag, ".", ms=2.5, color="#0072B2", alpha=0.5)
        axes.set(aspect="equal", xlim=(-2, 2), ylim=(-2, 2))
        axes.set_title(name, fontsize=11)
        axes.grid(alpha=0.3)
    drawn.supxlabel("I", fontsize=10)
    drawn.supylabel("Q", fontsize=10)
    save(drawn, output / "constellations.png")


def terminal(output: Path) -> None:
    """Run `amrq live` in a terminal of 80 columns and save its last full frame."""
    from rich.console import Console
    from rich.text import Text

    command = [sys.executable, "-m", "amrq", "live", "--simulate", "--duration", "13", "--es-n0", "18"]
    main, other = pty.openpty()
    fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 80, 0, 0))
    environment = os.environ | {
        "TERM": "xterm-256color",
        "COLORTERM": "truecolor",
        "LINES": "30",
        "COLUMNS": "80",
    }
    process = subprocess.Popen(command, stdin=other, stdout=other, stderr=other, env=environment, cwd=ROOT)
    os.close(other)
    said = bytearray()
    try:
        while piece := os.read(main, 65536):
            said += piece
    except OSError:  # how a terminal says that nobody writes to it any more
        pass
    os.close(main)
    if process.wait() != 0:
        sys.exit(f"make_pictures: amrq live did not run:\n{said.decode()}")
    frames = re.findall(r"[^\n]*╭.*?╯", said.decode(), re.DOTALL)
    frame = max((frame for frame in frames if "since" in frame), key=lambda frame: frame.count("\n"))
    frame = [one for one in frames if one.count("\n") == frame.count("\n") and "since" in one][-1]
    console = Console(record=True, width=80, file=io.StringIO())
    console.print(Text.from_ansi(re.sub(r"\x1b\[\d*[A-HJKSTsu]|\x1b\[\?\d+[hl]|\r", "", frame)))
    image = console.export_svg(title="amrq live --simulate", unique_id="amrq")
    # No font from elsewhere: a page that is read loads nothing.
    image = re.sub(r"@font-face\s*{.*?}\s*", "", image, flags=re.DOTALL)
    image = image.replace("Fira Code", "DejaVu Sans Mono, Menlo, Consolas")
    image = image.replace("<text ", '<text xml:space="preserve" ')
    (output / "terminal.svg").write_text(image, encoding="utf-8")


CANVAS = """
import sys
import gi
gi.require_version("Gtk", "3.0")
gi.require_version("PangoCairo", "1.0")
gi.require_foreign("cairo", "Context")
from gi.repository import Gtk
from gnuradio import gr
from gnuradio.grc.gui.Platform import Platform  # first: its modules import each other
from gnuradio.grc.gui import Actions, Utils
from gnuradio.grc.gui.canvas import flowgraph
flowgraph._ContextMenu = lambda window: None  # there is no window
application = Gtk.Application()
application.register(None)
Gtk.Application.set_default(application)
parts = gr.major_version(), gr.api_version(), gr.minor_version()
platform = Platform(version=gr.version(), version_parts=parts, prefs=gr.prefs(), install_prefix=gr.prefix())
blocks, source, target = sys.argv[1:]
platform.build_library([*platform.config.block_paths, blocks])
Actions.TOGGLE_SHOW_FLOWGRAPH_COMPLEXITY.set_active(False)
graph = platform.make_flow_graph(source)
graph.update()
if not graph.is_valid():
    sys.exit(str(list(graph.iter_error_messages())))
Utils.make_screenshot(graph, target)
"""


def canvas(output: Path) -> None:
    """Save flowgraphs as the Companion draws them."""
    display = None
    environment = dict(os.environ)
    with tempfile.TemporaryFile("w+") as number:
        if not environment.get("DISPLAY"):
            if shutil.which("Xvfb") is None:
                sys.exit(
                    "make_pictures: the canvas needs a display: install Xvfb (Debian: xvfb), or set DISPLAY"
                )
            words = [
                "Xvfb",
                "-displayfd",
                str(number.fileno()),
                "-screen",
                "0",
                "1600x1200x24",
                "-nolisten",
                "tcp",
            ]
            display = subprocess.Popen(words, pass_fds=[number.fileno()], stderr=subprocess.DEVNULL)
            while not number.read().strip():
                number.seek(0)
                if display.poll() is not None:
                    sys.exit("make_pictures: Xvfb did not start")
            number.seek(0)
            environment["DISPLAY"] = f":{number.read().strip()}"
        try:
            for name in ("loopback", "sdr"):
                graph, target = ROOT / "examples" / f"{name}.grc", output / f"canvas_{name}.png"
                words = [
                    sys.executable,
                    "-W",
                    "ignore",
                    "-c",
                    CANVAS,
                    str(ROOT / "grc"),
                    str(graph),
                    str(target),
                ]
                subprocess.run(words, env=environment, check=True)
        finally:
            if display is not None:
                display.terminate()
                display.wait()


PICTURES: dict[str, Callable[[Path], None]] = {
    "canvas": canvas,
    "waterfalls": waterfalls,
    "front_end": front_end,
    "constellations": constellations,
    "terminal": terminal,
}


def main() -> None:
    """Make them all."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--output", type=Path, default=ROOT / "docs" / "images", help="folder for the pictures"
    )
    parser.add_argument("--only", choices=PICTURES, action="append", help="these pictures; may be repeated")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    for name in arguments.only or PICTURES:
        PICTURES[name](arguments.output.resolve())


if __name__ == "__main__":
    main()
