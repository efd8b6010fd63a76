#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find every emission in a simulated band, and draw them: what `amrq scan` does, with the truth beside it.

Twelve emissions of several kinds in noise, four of them in bursts, made by `amrq.signals.SimulatedBand`. Each is looked
for among the records of the scan: its box must share more than half of its bandwidth with it. Linear modulations and
carriers must have their names as well; the other kinds have no names yet, and are `unknown`. The exit status is 0 if
every emission was found, 1 if not.

Example: python3 examples/scan_scene.py --output demo-results
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from amrq.scan import BandScanner, EmissionRecord
from amrq.signals import SimulatedBand, SimulatedEmission
from amrq.text import engineering

RATE = 2.4e6
FAMILIES = {
    "AM": ("am",),
    "FM": ("fm_narrow", "fm_wide"),
    "FSK": ("fsk2",),
    "4FSK": ("fsk4",),
    "OOK": ("ook",),
}
"""Of what is sent that has no name of its own: what it may be called, beside unknown."""
SECONDS = 1.6
SCENE = (
    SimulatedEmission("QPSK", -950e3, 97e3, 18.0, 72e3),
    SimulatedEmission("FM", -780e3, 12.5e3, 18.0),
    SimulatedEmission("16QAM", -600e3, 81e3, 27.0, 60e3),
    SimulatedEmission("carrier", -450e3, 0.0, 22.0),
    SimulatedEmission("BPSK", -310e3, 33e3, 14.0, 24e3),
    SimulatedEmission("FSK", -150e3, 40e3, 18.0, 19.2e3, on=0.08, off=0.3),
    SimulatedEmission("AM", 110e3, 9e3, 20.0),
    SimulatedEmission("8PSK", 260e3, 54e3, 22.0, 40e3, on=0.3, off=0.4),
    SimulatedEmission("OOK", 430e3, 24e3, 20.0, 8e3, on=0.15, off=0.4),
    SimulatedEmission("4FSK", 580e3, 25e3, 16.0, 9.6e3),
    SimulatedEmission("QPSK", 740e3, 41e3, 16.0, 30e3, on=0.2, off=0.3),
    SimulatedEmission("FM", 950e3, 180e3, 22.0),
)
_CARRIER_WIDTH = 1e3
"""Within so many Hz a carrier must be found."""


def share(sent: SimulatedEmission, found: EmissionRecord) -> float:
    """Return the intersection of two bands over their union."""
    half = max(sent.bandwidth, _CARRIER_WIDTH) / 2
    middle, width = found.centre, max(found.bandwidth, _CARRIER_WIDTH) / 2
    common = min(sent.centre + half, middle + width) - max(sent.centre - half, middle - width)
    whole = max(sent.centre + half, middle + width) - min(sent.centre - half, middle - width)
    return max(0.0, common) / whole


def draw(samples: NDArray[np.complex64], records: list[EmissionRecord], path: Path) -> None:
    """Draw the band as a waterfall with a box and a name for each record."""
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    bins, rows = 1024, 400
    step = len(samples) // rows
    window = np.hanning(bins).astype(np.float32)
    cut = samples[: rows * step].reshape(rows, step)[:, : step // bins * bins].reshape(rows, -1, bins)
    power = np.mean(np.abs(np.fft.fftshift(np.fft.fft(cut * window, axis=2), axes=2)) ** 2, axis=1)
    level = 10 * np.log10(power + 1e-12)
    floor = float(np.median(level))
    figure = Figure(figsize=(11, 6), layout="constrained")
    axes = figure.subplots()
    edges = (-RATE / 2e3, RATE / 2e3, len(samples) / RATE, 0.0)
    axes.imshow(level, aspect="auto", cmap="cividis", extent=edges, vmin=floor - 3, vmax=floor + 25)
    for one in records:
        width, begun = max(one.bandwidth, 6e3), one.start / RATE
        place = ((one.centre - width / 2) / 1e3, begun)
        axes.add_patch(
            Rectangle(place, width / 1e3, (one.stop - one.start) / RATE, fill=False, ec="white", lw=1.2)
        )
        # On a strong signal, which is bright, white alone cannot be read.
        dark = {"facecolor": "black", "alpha": 0.6, "edgecolor": "none", "pad": 1.2}
        axes.text(
            *(one.centre / 1e3, begun + 0.012, one.label),
            color="white",
            ha="center",
            va="top",
            fontsize=8,
            bbox=dark,
        )
    axes.set_xlabel("frequency from the middle of the band [kHz]")
    axes.set_ylabel("time [s]")
    axes.set_title("What is on the air here? Boxes and names by amrq scan", fontsize=10)
    figure.savefig(path, dpi=110)


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("demo-results"), help="folder for the picture")
    arguments = parser.parse_args()
    console = Console()
    band = SimulatedBand(RATE, seed=3, emissions=SCENE)
    samples = np.concatenate([band.next_samples(1 << 16) for _ in range(round(SECONDS * RATE / (1 << 16)))])
    begun = time.monotonic()
    scanner = BandScanner(RATE)
    events = [
        event
        for at in range(0, len(samples), 1 << 16)
        for event in scanner.process(samples[at : at + (1 << 16)])
    ]
    events += scanner.finish()
    lasted = time.monotonic() - begun
    records = [event.record for event in events if event.event == "end"]
    table = Table(
        title="A simulated band: what was sent, and what amrq scan found", box=SIMPLE, padding=(0, 1, 0, 0)
    )
    for title in ("sent", "at", "found at", "bandwidth", "SNR", "named", "bursts"):
        table.add_column(title, justify="left" if title in ("sent", "named") else "right")
    missed = 0
    for sent in SCENE:
        fitting = [one for one in records if share(sent, one) > 0.5]
        if not fitting:
            missed += 1
            table.add_row(sent.label, engineering(sent.centre, "Hz"), "[red]not found")
            continue
        best = max(fitting, key=lambda one: (one.label == sent.label, one.stop - one.start))
        families = FAMILIES.get(sent.label)
        right = best.label == sent.label if families is None else best.family in (*families, "unknown")
        table.add_row(
            sent.label,
            engineering(sent.centre, "Hz"),
            engineering(best.centre, "Hz", 5),
            engineering(best.bandwidth, "Hz", 3),
            f"{best.snr_db:.0f} dB",
            f"{'[green]✓' if right else '[red]✗'}[/] {best.label}",
            str(len(fitting)),
        )
    console.print(table)
    others = sum(all(share(sent, one) <= 0.5 for sent in SCENE) for one in records)
    console.print(
        f"{len(SCENE) - missed} of {len(SCENE)} emissions found in {len(samples) / RATE:.1f} s of the band; "
        f"{others} records of something else; {lasted:.1f} s on this machine.",
        highlight=False,
    )
    arguments.output.mkdir(parents=True, exist_ok=True)
    draw(samples, records, arguments.output / "band.png")
    console.print(f"Picture: {arguments.output / 'band.png'}", highlight=False)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
