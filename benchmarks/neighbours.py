#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""How often neighbours on a grid of 12.5 kHz are boxes of their own, one of them 30 dB stronger.

Each pair is two signals that fit into channels of 12.5 kHz: GMSK, 2FSK, 4FSK, BPSK and QPSK of several symbol rates, FM
and AM with a spectrum like that of speech. What a transmitter lets out of its channel is taken away, as its filter
does. Levels, starts and stops are random; a third of the signals are on all the time. A pair is apart if each signal
has a box at an intersection over union of .5 in time and frequency, and no box covers both.

Example:
  python3 benchmarks/neighbours.py --pairs 320 --seed 1
"""

import argparse
from collections import Counter
from dataclasses import dataclass

import numpy as np
import scipy.fft
import scipy.ndimage
from numpy.typing import NDArray

from amrq.detect import Box, Detector
from amrq.evaluation import clopper_pearson

RATE = 2.4e6
SECONDS = 0.6
INNER = 48e3
"""Sample rate at which signals are made."""
SPACING = 12.5e3
HALF_CHANNEL = 5.8e3
"""Hz from the middle beyond which nothing is sent."""
PAIRS = 16
"""In one run."""
LEVEL = 1e-2
"""Root of the noise power."""
KINDS = {
    "GMSK": (2400.0, 4800.0, 8000.0),
    "2FSK": (512.0, 1200.0, 2400.0),
    "4FSK": (2400.0, 4800.0),
    "BPSK": (1200.0, 4800.0, 7200.0),
    "QPSK": (1200.0, 4800.0, 7200.0),
    "FM": (0.0,),
    "AM": (0.0,),
}


@dataclass
class Sent:
    """A signal as it was put into the band: its kind and its true box, in samples and Hz."""

    kind: str
    start: int
    stop: int
    lower: float
    upper: float


def speech(random: np.random.Generator, count: int) -> NDArray[np.float64]:
    """Return noise from 300 to 3,000 Hz that comes and goes in syllables, of root mean square 1."""
    places = np.abs(scipy.fft.fftfreq(count, 1 / INNER))
    shape = np.where((places > 300) & (places < 3000), 1 / np.maximum(places, 500), 0)
    noise = scipy.fft.ifft(scipy.fft.fft(random.standard_normal(count)) * shape).real
    slow = scipy.ndimage.gaussian_filter1d(random.standard_normal(count), INNER / 25)
    noise *= np.clip(slow / slow.std() + 0.7, 0.05, 2)
    result: NDArray[np.float64] = noise / noise.std()
    return result


def signal(random: np.random.Generator, kind: str, symbol_rate: float, count: int) -> NDArray[np.complex128]:
    """Return a signal of power 1 around 0 Hz."""
    if kind == "FM":
        phase = 2 * np.pi / INNER * np.cumsum(random.uniform(700, 1200) * speech(random, count))
        return np.asarray(np.exp(1j * phase))
    if kind == "AM":
        return np.asarray(1 + 0.4 * speech(random, count).astype(complex))
    per = INNER / symbol_rate
    index = (np.arange(count) / per).astype(int)
    if kind in ("GMSK", "2FSK", "4FSK"):
        levels = np.array([-3, -1, 1, 3]) / 3 if kind == "4FSK" else np.array([-1.0, 1.0])
        deviation = {"GMSK": symbol_rate / 4, "2FSK": 2500.0, "4FSK": min(0.6 * symbol_rate, 2000.0)}[kind]
        steps = random.choice(levels, index[-1] + 1)[index]
        steps = scipy.ndimage.gaussian_filter1d(steps, (0.26 if kind == "GMSK" else 0.15) * per)
        return np.asarray(np.exp(2j * np.pi * deviation / INNER * np.cumsum(steps)))
    order = 2 if kind == "BPSK" else 4
    impulses = np.zeros(count, complex)
    first = np.unique(np.round(np.arange(index[-1] + 1) * per).astype(int))
    first = first[first < count]
    impulses[first] = np.exp(2j * np.pi * (random.integers(order, size=len(first)) / order + 0.125))
    # Root raised cosine of roll-off .35, by its definition in frequency.
    place = np.abs(scipy.fft.fftfreq(count, 1 / INNER)) / symbol_rate
    edge = np.clip((place - 0.325) / 0.35, 0, 1)
    shape = np.sqrt(0.5 * (1 + np.cos(np.pi * edge)))
    result: NDArray[np.complex128] = scipy.fft.ifft(scipy.fft.fft(impulses) * shape)
    return result


def put(random: np.random.Generator, band: NDArray[np.complex128], centre: float, snr_db: float) -> Sent:
    """Add a signal to the spectrum of a band; return what was sent."""
    kind = str(random.choice(list(KINDS)))
    rate = float(random.choice(KINDS[kind]))
    total = round(SECONDS * INNER)
    start, stop = 0, total
    if random.random() > 1 / 3:
        start = int(random.uniform(0, 0.4) * total)
        stop = int(random.uniform(start + 0.3 * total, total))
    samples = signal(random, kind, rate, stop - start)
    ramp = np.minimum(1, np.arange(1, len(samples) + 1) / (0.002 * INNER))
    samples = samples * np.minimum(ramp, ramp[::-1])
    whole = np.zeros(total, complex)
    whole[start:stop] = samples
    spectrum = scipy.fft.fft(whole)
    places = scipy.fft.fftfreq(total, 1 / INNER)
    spectrum[np.abs(places) > HALF_CHANNEL] = 0
    order = np.argsort(places)
    power = np.cumsum(np.abs(spectrum[order]) ** 2)
    lower, upper = places[order][np.searchsorted(power, power[-1] * np.array([0.005, 0.995]))]
    mean = float(np.sum(np.abs(spectrum) ** 2)) / total / (stop - start)
    wanted = LEVEL**2 / RATE * (upper - lower) * 10 ** (snr_db / 10)
    shift = round(centre * SECONDS)
    index = np.round(places * SECONDS).astype(int) + shift
    band[index % len(band)] += spectrum * np.sqrt(wanted / mean) * (len(band) / total)
    turn = RATE / INNER
    return Sent(kind, round(start * turn), round(stop * turn), centre + lower, centre + upper)


def likeness(one: Sent, box: Box) -> float:
    """Return the intersection over union in time and frequency; what is narrower than 2 kHz is widened to that."""
    edges = []
    for other in (one, box):
        middle, half = (other.lower + other.upper) / 2, max(other.upper - other.lower, 2e3) / 2
        edges.append((other.start, other.stop, middle - half, middle + half))
    (a, b, c, d), (e, f, g, h) = edges
    shared = max(0.0, min(b, f) - max(a, e)) * max(0.0, min(d, h) - max(c, g))
    return shared / ((b - a) * (d - c) + (f - e) * (h - g) - shared)


def run(random: np.random.Generator, stronger_db: float) -> list[tuple[str, Sent, Sent]]:
    """Return for each pair of a run what became of it, the weaker and the stronger signal."""
    count = round(SECONDS * RATE)
    band = np.zeros(count, complex)
    pairs = []
    for number in range(PAIRS):
        # Half of the pairs above 0 Hz, the others below and shifted: none is where another's mirror image would be.
        place, side = divmod(number, 2)
        centre = 50e3 + place * 2e6 / PAIRS + side * 1e6 / PAIRS + random.uniform(0, 0.4e6 / PAIRS)
        centre = SPACING * round(centre / SPACING) * (1 - 2 * side)
        snr_db = random.uniform(10, 18)
        weak = put(random, band, centre, snr_db)
        strong = put(random, band, centre + SPACING * random.choice([-1, 1]), snr_db + stronger_db)
        pairs.append((weak, strong))
    noise = random.standard_normal((count, 2)) @ np.array([1, 1j]) * LEVEL / np.sqrt(2)
    samples = (scipy.fft.ifft(band) + noise).astype(np.complex64)
    detector = Detector(RATE)
    boxes = {box.id: box for box in detector.process(samples)}
    boxes |= {box.id: box for box in detector.finish()}
    real = [box for box in boxes.values() if box.kind in ("", "edge")]
    results = []
    for weak, strong in pairs:
        found = [max((likeness(one, box), box.id) for box in real) for one in (weak, strong)]
        over = [share >= 0.5 for share, _ in found]
        result = "apart" if all(over) and found[0][1] != found[1][1] else "weaker" if over[1] else "stronger"
        results.append((result, weak, strong))
    return results


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pairs", type=int, default=320, help="pairs of neighbours")
    parser.add_argument("--stronger", type=float, default=30.0, help="dB by which one is stronger")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--list", action="store_true", help="print each pair that was not apart")
    options = parser.parse_args()
    random = np.random.default_rng([20261129, options.seed])
    results: list[tuple[str, Sent, Sent]] = []
    while len(results) < options.pairs:
        results += run(random, options.stronger)
    tried, missed = Counter(weak.kind for _, weak, _ in results), Counter[str]()
    for result, weak, strong in results:
        if result != "apart":
            missed[weak.kind if result == "weaker" else strong.kind] += 1
            if options.list:
                print(result, "not found:", weak, strong)
    apart = sum(result == "apart" for result, _, _ in results)
    low, high = clopper_pearson(apart, len(results))
    print(f"{apart} of {len(results)} pairs apart: {apart / len(results):.3f} ({low:.3f} to {high:.3f})")
    print("weaker signals by kind:", dict(tried), "not found, by kind:", dict(missed))


if __name__ == "__main__":
    main()
