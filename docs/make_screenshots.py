#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the pictures of the example flowgraphs in docs/images.

Generates each flowgraph, runs it without a screen until its display is full, and saves its window. It uses what
tests/grc runs the examples with, so that a picture shows what the tests have seen.

Example: python3 docs/make_screenshots.py --output docs/images
"""

import argparse
import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LARGEST = 300_000  # bytes; a README should load at once

sys.path[:0] = [str(ROOT / "tests" / "grc"), str(ROOT / "tests")]
from file_radio import file_radio  # noqa: E402
from flowgraphs import beside, generate, run  # noqa: E402

# Decisions that fill the display, and a pace at which they come soon but the constellation is of one class.
PICTURES = {
    "loopback": (108, ["--set", "symbol_rate=30e3"]),
    "confusion": (6000, []),
    "file_replay": (100, ["--parameter", "speed=0.5"]),
    "sdr": (100, ["--parameter", "samp_rate=100e3", "--parameter", "symbol_rate=25e3"]),
    "sdr_record": (
        100,
        ["--parameter", "samp_rate=100e3", "--parameter", "symbol_rate=25e3", "--set", "recording=1"],
    ),
    "network": (120, []),
}
RADIO = ROOT / "examples" / "recordings" / "generic_16qam.sigmf-meta"
"""What the tests' own radio receives."""
ADDRESSES = {"address": "ipc://samples", "publish": "ipc://decisions"}
"""In the folder that the flowgraphs run in: no port need be free."""


@contextlib.contextmanager
def surroundings(name: str, folder: Path) -> Iterator[list[str]]:
    """Give a flowgraph what it needs beside itself; yield the options that tell it."""
    if name in ("sdr", "sdr_record"):
        device, environment = file_radio(folder, RADIO)
        os.environ |= environment
        yield ["--parameter", f"device={device}"]
    elif name == "network":
        sender = generate(ROOT / "examples" / "network_sender.grc", folder)
        with beside(sender, "--address", ADDRESSES["address"], "--dwell", "0.06"):
            yield [word for pair in ADDRESSES.items() for word in ("--parameter", "=".join(pair))]
    else:
        yield []


def main() -> None:
    """Make them all."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--output", type=Path, default=ROOT / "docs" / "images", help="folder for the pictures"
    )
    parser.add_argument("--only", choices=PICTURES, action="append", help="this flowgraph; may be repeated")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    for name in arguments.only or PICTURES:
        decisions, options = PICTURES[name]
        picture = arguments.output.resolve() / f"{name}.png"
        with tempfile.TemporaryDirectory() as folder:
            script = generate(ROOT / "examples" / f"{name}.grc", Path(folder))
            with surroundings(name, Path(folder)) as more:
                result = run(script, decisions, *options, *more, "--picture", str(picture))
        if result.status != 0:
            sys.exit(f"make_screenshots: {name} did not run:\n{result.output}")
        size = picture.stat().st_size
        if size > LARGEST:
            sys.exit(f"make_screenshots: {picture} has {size} bytes, more than {LARGEST}.")
        sys.stdout.write(f"{picture}: {size} bytes\n")


if __name__ == "__main__":
    main()
