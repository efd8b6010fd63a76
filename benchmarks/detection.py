#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""How weak a burst the detector finds, and how often noise alone is one.

Bursts of several shapes with the same time-bandwidth product N lie at random places in noise of 2.4 MS/s. Their
spectrum is flat, their phases are random, and their power inside their box is exact. Counted are bursts on which a box
of `amrq.detect` lies, with the floor estimated and one false alarm an hour allowed. On the same samples two rules of
thumb are tried: a bin of a 2,048-point Blackman spectrum 18 dB over the floor (the default of gr-iridium), and 12 dB.
They know the floor, and where and when to look. The exact detector knows the box and the floor, at a false-alarm
probability of 1e-12 a test.

--noise adds runs of noise alone, with 3 dB of ripple over the band, up and down, and a gain that drifts by 3 dB up and
down in two minutes: stretches of up to two minutes, each with a seed and a row of its own. Stretches that the output
holds are not run again, so a long measurement may be stopped and goes on. Rows are appended; --anew starts again.

Examples:
  python3 benchmarks/detection.py -o benchmarks/results/detection.csv --bursts 500 --pictures benchmarks/results
  python3 benchmarks/detection.py -o trial.csv --noise 600
"""

import argparse
import csv
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.fft
import scipy.stats
from numpy.typing import NDArray

from amrq.detect import Box, Detector
from amrq.evaluation import BLACK, BLUE, GREY, ORANGE, VERMILION, clopper_pearson

RATE = 2.4e6
LEVEL = 1e-2
"""Root of the noise power."""
EXACT = {16: 6.6, 64: 1.9, 256: -2.0, 1024: -5.4, 4096: -8.6, 16384: -11.8}
"""In-band SNR in dB at which the exact detector finds nine of ten, by N."""
SHAPES = {
    16: ((187.5e3, 85.3e-6), (37.5e3, 427e-6), (9.4e3, 1.7e-3), (2.3e3, 7e-3)),
    64: ((300e3, 213e-6), (75e3, 853e-6), (18.7e3, 3.42e-3), (4.7e3, 13.6e-3)),
    256: ((400e3, 640e-6), (100e3, 2.56e-3), (25e3, 10.2e-3), (6.25e3, 41e-3)),
    1024: ((400e3, 2.56e-3), (100e3, 10.2e-3), (25e3, 41e-3), (12.5e3, 82e-3)),
    4096: ((400e3, 10.2e-3), (200e3, 20.5e-3), (50e3, 82e-3), (16e3, 0.256)),
    16384: ((400e3, 41e-3), (200e3, 82e-3), (82e3, 0.2), (20e3, 0.82)),
}
OFFSETS = (-1.0, 0.0, 0.75, 1.5, 2.5)
RIVAL_BINS = 2048
RULES = {"18 dB": 18.0, "12 dB": 12.0}
FIELDS = ("kind", "n", "snr_db", "rule", "tried", "found", "seconds", "largest", "seed")
STRETCH = {True: 120.0, False: 20.0}
"""Seconds of a stretch of noise, up to 5 MS/s and above."""


@dataclass
class Burst:
    """A burst: its samples, first sample and box."""

    samples: NDArray[np.complex64]
    start: int
    lower: float
    upper: float


def make_burst(
    random: np.random.Generator, width: float, duration: float, snr_db: float, band: tuple[float, float]
) -> Burst:
    """Return a burst somewhere in a part of the band; its start is set later."""
    count = max(8, round(duration * RATE))
    lines = max(1, round(width * count / RATE))
    spectrum = np.zeros(count, complex)
    spectrum[:lines] = np.exp(2j * np.pi * random.random(lines))
    samples = scipy.fft.ifft(spectrum)
    samples /= np.sqrt(np.mean(np.abs(samples) ** 2))
    width = lines * RATE / count
    lower = random.uniform(band[0], max(band[1] - width, band[0] + 1))
    if lower < 15e3 and lower + width > -15e3:
        lower = 15e3 if band[1] > 15e3 + width else -15e3 - width
    power = LEVEL**2 * width / RATE * 10 ** (snr_db / 10)
    turn = np.exp(2j * np.pi * (lower + RATE / count / 2) / RATE * np.arange(count))
    return Burst((math.sqrt(power) * samples * turn).astype(np.complex64), 0, lower, lower + width)


def schedule(random: np.random.Generator, n: int, snr_db: float, count: int) -> list[Burst]:
    """Return the bursts of a run: all shapes, those that are narrow several at a time."""
    bursts = []
    at = RATE * 1.5
    for width, duration in SHAPES[n]:
        at_once = 1 if width > 250e3 else 2 if width > 150e3 else 4
        left = count // len(SHAPES[n])
        while left > 0:
            for part in range(min(at_once, left)):
                lower = -1.08e6 + part * 2.16e6 / at_once
                band = lower, lower + 2.16e6 / at_once - 20e3
                burst = make_burst(random, width, duration, snr_db, band)
                burst.start = round(at + random.uniform(0, 0.03) * RATE)
                bursts.append(burst)
            left -= at_once
            at += (0.04 + max(0.03, 1.2 * duration)) * RATE
    return bursts


def stream(random: np.random.Generator, bursts: list[Burst]) -> Iterator[tuple[int, NDArray[np.complex64]]]:
    """Yield first sample and samples of noise with the bursts, piece by piece."""
    piece = 1 << 19
    last = max(one.start + len(one.samples) for one in bursts) + RATE
    for at in range(0, int(last), piece):
        pairs = random.standard_normal((piece, 2), dtype=np.float32) * np.float32(LEVEL / math.sqrt(2))
        samples = pairs.view(np.complex64).ravel()
        for one in bursts:
            low, high = max(one.start, at), min(one.start + len(one.samples), at + piece)
            if low < high:
                samples[low - at : high - at] += one.samples[low - one.start : high - one.start]
        yield at, samples


class Rivals:
    """What exceeds the floor in a bin: the largest ratio during each burst in its band."""

    def __init__(self, bursts: list[Burst]) -> None:
        self.largest = np.zeros(len(bursts))
        self._bursts = bursts
        self._window = np.blackman(RIVAL_BINS).astype(np.float32)
        self._floor = LEVEL**2 * float(np.sum(self._window.astype(float) ** 2))

    def take(self, at: int, samples: NDArray[np.complex64]) -> None:
        """Take samples that begin at a multiple of the transform."""
        spectra = scipy.fft.fft(samples.reshape(-1, RIVAL_BINS) * self._window, axis=1)
        ratios = scipy.fft.fftshift(np.abs(spectra) ** 2, axes=1) / self._floor
        for k, one in enumerate(self._bursts):
            first, last = (
                (one.start - at) // RIVAL_BINS,
                (one.start + len(one.samples) - at) // RIVAL_BINS + 1,
            )
            rows = ratios[max(first, 0) : max(last, 0)]
            low, high = (int(edge / RATE * RIVAL_BINS + RIVAL_BINS / 2) for edge in (one.lower, one.upper))
            if len(rows):
                self.largest[k] = max(self.largest[k], float(rows[:, low : high + 2].max()))


def measure(n: int, snr_db: float, count: int) -> list[dict[str, object]]:
    """Return the rows of one point of the curves."""
    random = np.random.default_rng([20261129, n, round(abs(1000 + 100 * snr_db))])
    bursts = schedule(random, n, snr_db, count)
    detector, rivals = Detector(RATE), Rivals(bursts)
    boxes: dict[int, Box] = {}
    for at, samples in stream(random, bursts):
        boxes |= {box.id: box for box in detector.process(samples)}
        rivals.take(at, samples)
    boxes |= {box.id: box for box in detector.finish()}
    places = np.array([(box.start, box.stop, box.lower, box.upper) for box in boxes.values()]).reshape(-1, 4)
    found = 0
    for one in bursts:
        hit = (places[:, 0] < one.start + len(one.samples)) & (places[:, 1] > one.start)
        found += bool(np.any(hit & (places[:, 2] < one.upper) & (places[:, 3] > one.lower)))
    seconds = detector.n_samples / RATE
    common = {"kind": "burst", "n": n, "snr_db": snr_db, "tried": len(bursts), "seconds": round(seconds, 1)}
    rows: list[dict[str, object]] = [
        {**common, "rule": "amrq", "found": found, "largest": round(detector.largest_statistic, 4)}
    ]
    for name, level in RULES.items():
        rows.append({**common, "rule": name, "found": int(np.sum(rivals.largest > 10 ** (level / 10)))})
    return rows


def noise(rate: float, seconds: float, seed: int) -> dict[str, object]:
    """Return the row of a stretch of noise with ripple and a drifting gain."""
    random = np.random.default_rng([20261130, round(rate), seed])
    detector, piece = Detector(rate), 1 << 20
    ripple = 3 * np.sin(2 * np.pi * (random.integers(1, 4) * np.arange(-256, 257) / 513 + random.random()))
    # Even and odd parts of the response make a filter of 513 taps, so that pieces need no edges.
    taps = scipy.fft.fftshift(scipy.fft.ifft(scipy.fft.ifftshift(10 ** (ripple / 20))))
    response = scipy.fft.fft(taps, piece).astype(np.complex64)
    phase = random.uniform(0, 2 * np.pi)
    last = np.zeros(len(taps) - 1, np.complex64)
    found: set[int] = set()
    for at in range(0, int(seconds * rate), piece - len(last)):
        pairs = random.standard_normal((piece - len(last), 2), dtype=np.float32) * np.float32(
            LEVEL / math.sqrt(2)
        )
        samples = np.concatenate([last, pairs.view(np.complex64).ravel()])
        last = samples[len(samples) - len(last) :].copy()
        samples = scipy.fft.ifft(scipy.fft.fft(samples) * response)[len(last) :]
        times = (at + np.arange(0, len(samples) + 1024, 1024)) / rate
        gain = 10 ** (
            (3 * np.sin(2 * np.pi * times / 120 + phase) + 0.5 * np.sin(2 * np.pi * times / 7)) / 20
        )
        samples *= np.interp(np.arange(len(samples)) / 1024, np.arange(len(gain)), gain).astype(np.float32)
        found |= {box.id for box in detector.process(samples)}
    found |= {box.id for box in detector.finish()}
    row: dict[str, object] = {
        "kind": "noise",
        "n": round(rate),
        "rule": "amrq",
        "found": len(found),
        "seed": seed,
    }
    return row | {"seconds": round(seconds, 1), "largest": round(detector.largest_statistic, 4)}


def exact(n: int, snr_db: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how often the exact detector of known box and floor finds a burst."""
    threshold = scipy.stats.chi2.isf(1e-12, 2 * n)
    found: NDArray[np.float64] = scipy.stats.ncx2.sf(threshold, 2 * n, 2 * n * 10 ** (snr_db / 10))
    return found


def draw(rows: list[dict[str, str]], path: Path) -> None:
    """Draw the share of bursts found over in-band SNR, a panel for each N."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 5.6), layout="constrained")
    panels = figure.subplots(2, 3, sharey=True)
    looks = {
        "amrq": (BLUE, "o-", "amrq, box and floor unknown"),
        "12 dB": (ORANGE, "s--", "a bin 12 dB over the floor"),
        "18 dB": (VERMILION, "^--", "a bin 18 dB over the floor (gr-iridium)"),
    }
    for (n, where), axes in zip(EXACT.items(), panels.flat, strict=True):
        grid = np.linspace(where - 2.5, where + 3.5, 100)
        axes.plot(grid, exact(n, grid), color=BLACK, label="exact, box and floor known")
        for rule, (colour, style, label) in looks.items():
            own = sorted(
                (float(row["snr_db"]), int(row["found"]), int(row["tried"]))
                for row in rows
                if row["kind"] == "burst" and int(row["n"]) == n and row["rule"] == rule
            )
            if not own:
                continue
            levels = [level for level, _, _ in own]
            shares = np.array([found / tried for _, found, tried in own])
            limits = np.array([clopper_pearson(found, tried) for _, found, tried in own])
            errors = np.abs(limits.T - shares)
            axes.errorbar(levels, shares, errors, fmt=style, color=colour, label=label, markersize=4)
        axes.axhline(0.9, color=GREY, linewidth=0.8)
        axes.set_title(f"N = {n:,}", fontsize=10)
        axes.set_xlabel("in-band SNR in dB")
        axes.set_ylim(-0.02, 1.02)
    for axes in panels[:, 0]:
        axes.set_ylabel("bursts found")
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=9)
    figure.savefig(path, dpi=110)


def main() -> None:
    """Measure and draw."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-o", "--output", type=Path, required=True, help="CSV file")
    parser.add_argument("--bursts", type=int, default=0, help="bursts for each N and SNR")
    parser.add_argument(
        "--offsets", type=float, nargs="+", default=OFFSETS, help="dB beyond the exact detector's"
    )
    parser.add_argument("--products", type=int, nargs="+", default=list(EXACT), help="N")
    parser.add_argument("--noise", type=float, default=0.0, help="seconds of noise")
    parser.add_argument("--rate", type=float, default=RATE, help="sample rate of the noise")
    parser.add_argument("--pictures", type=Path, help="folder")
    parser.add_argument("--anew", action="store_true", help="forget what the output holds")
    options = parser.parse_args()
    if options.anew or not options.output.exists():
        with options.output.open("w", newline="") as file:
            csv.DictWriter(file, FIELDS, lineterminator="\n").writeheader()

    def write(rows: list[dict[str, object]]) -> None:
        with options.output.open("a", newline="") as file:
            csv.DictWriter(file, FIELDS, lineterminator="\n").writerows(rows)

    if options.noise:
        with options.output.open() as file:
            known = {
                int(row["seed"]): float(row["seconds"])
                for row in csv.DictReader(file)
                if row["kind"] == "noise" and int(row["n"]) == round(options.rate)
            }
        length, seed, run = STRETCH[options.rate <= 5e6], 0, sum(known.values())
        while run < options.noise:
            seed += 1
            if seed not in known:
                row = noise(options.rate, min(length, options.noise - run), seed)
                write([row])
                run += float(str(row["seconds"]))
                print(f"{run:.0f} s of noise: {row['found']} boxes, largest {row['largest']}", flush=True)
    for n in options.products if options.bursts else ():
        for offset in options.offsets:
            begun = time.process_time()
            rows = measure(n, round(EXACT[n] + offset, 2), options.bursts)
            write(rows)
            shares = ", ".join(f"{row['rule']} {row['found']}/{row['tried']}" for row in rows)
            print(f"N {n}, {rows[0]['snr_db']} dB: {shares}; {time.process_time() - begun:.0f} s", flush=True)
    if options.pictures:
        with options.output.open() as file:
            draw(list(csv.DictReader(file)), options.pictures / "detection.png")


if __name__ == "__main__":
    main()
