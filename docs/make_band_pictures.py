#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the pictures of `amrq gui` in docs/images: band.png (1280 x 720) and band_1920.png (1920 x 1080).

Opens the window on the simulated band without a screen, lets it run until the waterfall is full, and saves what is
seen. With a recording, the window shows that instead.

Example: python3 docs/make_band_pictures.py --output docs/images
"""

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LARGEST = 400_000  # bytes; a README should load at once
SIZES = {"band": (1280, 720), "band_1920": (1920, 1080)}
FREQUENCY = 433.92e6
"""What the middle of the simulated band stands for in the pictures."""


def main() -> None:
    """Make them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--output", type=Path, default=ROOT / "docs" / "images", help="folder for the pictures"
    )
    parser.add_argument("--file", type=Path, help="a recording instead of the simulation")
    parser.add_argument(
        "--seconds", type=float, default=10.0, help="how long the window runs before each picture"
    )
    parser.add_argument("--name", default="", help="put before the pictures' names")
    arguments = parser.parse_args()
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

    from gnuradio.amrq.band_window import band_window
    from PIL import Image
    from PyQt5 import QtCore, QtGui

    from amrq.live import something_left_behind
    from amrq.sources import SourceOptions

    if arguments.file is None:
        source = SourceOptions(simulate=True, sample_rate=2.4e6, frequency=FREQUENCY)
    else:
        source = SourceOptions(file=arguments.file)
    arguments.output.mkdir(parents=True, exist_ok=True)
    application = band_window.application()
    # A busy computer would drop samples, and every gap cuts the emissions in two.
    window = band_window(source, record=str(arguments.output / "band"), live=False)
    window.show()

    def wait_for(condition: Callable[[], bool]) -> None:
        while not condition():
            application.processEvents(QtCore.QEventLoop.AllEvents, 50)

    wait_for(lambda: window.display.widget.snapshot is not None)
    for name, size in SIZES.items():
        window.resize(*size)
        until = window.display.received + arguments.seconds * window.display.widget.snapshot.sample_rate
        wait_for(lambda: window.display.received >= until or not window.running)  # noqa: B023
        settled = time.monotonic() + 1.0  # of the layout, and of what a recording's end brings
        wait_for(lambda: time.monotonic() > settled)  # noqa: B023
        picture = arguments.output / f"{arguments.name}{name}.png"
        image = window.grab().toImage().convertToFormat(QtGui.QImage.Format_RGB888)
        image.save(str(picture), "PNG")
        # 256 colours chosen for this picture are enough for it, and make half of the bytes.
        Image.open(picture).quantize(256, dither=Image.Dither.NONE).save(picture, optimize=True)
        bytes_written = picture.stat().st_size
        if bytes_written > LARGEST:
            sys.exit(f"make_band_pictures: {picture} has {bytes_written} bytes, more than {LARGEST}.")
        sys.stdout.write(f"{picture}: {bytes_written} bytes\n")
    window.close()
    application.processEvents()
    if something_left_behind():
        sys.stdout.flush()
        os._exit(0)


if __name__ == "__main__":
    main()
