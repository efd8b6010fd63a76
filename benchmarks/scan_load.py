#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The load of scanning a band, what is lost, and how late the record of a burst is.

Samples come from memory at the rate of a radio, by the clock: steady emissions of several kinds over the whole band,
and a burst of QPSK twice a second. Reported: samples dropped, cores that were busy (source excluded), looks a second,
looks an emission and second, and the time from a burst's last sample to its record. `--unpaced` hands samples over as
fast as they are taken: where others use the machine too, processor time over the time of the band says more.

Example: python3 benchmarks/scan_load.py --rate 20e6 --emissions 40 --seconds 300
"""

import argparse
import json
import os
import platform
import resource
import sys
import time
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amrq.classes import linear_class
from amrq.machine import processor_name
from amrq.scan import BandScanner, ScanEvent, ScanOptions, ScanWorker
from amrq.signals import SimulatedBand, SimulatedEmission, received_signal

_REFERENCE = 2.4e6
_KINDS = ("QPSK", "FM", "BPSK", "carrier", "AM", "8PSK", "FSK", "16QAM", "OOK", "4FSK")
_BURST_SECONDS, _EVERY = 0.03, 0.5
_BURST_RATE = 50e3
_LOOP = 1.0  # seconds in memory


def band(rate: float, emissions: int) -> tuple[NDArray[np.complex64], float, list[int]]:
    """Return a second of a band, the place of its bursts in Hz, and their last samples."""
    stretch = rate / _REFERENCE
    steady = []
    for number in range(emissions - 1):
        centre = ((number + 1) / (emissions + 1) - 0.5) * 0.92 * rate
        width = 0.25 * rate / (emissions + 1) if number % 4 == 0 else 12.5e3
        kind = _KINDS[number % len(_KINDS)]
        bandwidth = 0.0 if kind == "carrier" else width / stretch
        symbols = {
            "QPSK": 0.74,
            "BPSK": 0.74,
            "8PSK": 0.74,
            "16QAM": 0.74,
            "FSK": 0.5,
            "4FSK": 0.4,
            "OOK": 0.33,
        }
        rate_of_symbols = symbols.get(kind, 0.0) * width / stretch
        steady.append(SimulatedEmission(kind, centre / stretch, bandwidth, 20.0, rate_of_symbols))
    made = SimulatedBand(rate, seed=1, emissions=steady)
    count = round(_LOOP * rate)
    samples = np.concatenate([made.next_samples(min(1 << 19, count - at)) for at in range(0, count, 1 << 19)])
    place = (emissions / (emissions + 1) - 0.5) * 0.92 * rate
    length, spacing = round(_BURST_SECONDS * rate), rate / _BURST_RATE
    generator = np.random.default_rng(2)
    symbols_sent = generator.choice(linear_class("QPSK").points, int(length / spacing) + 20)
    burst = received_signal(symbols_sent, spacing, 0.35, np.inf, generator)[:length]
    edge = np.minimum(np.arange(length), np.arange(length)[::-1]) / (1e-3 * rate)
    burst = burst * np.sin(np.pi / 2 * np.clip(edge, 0, 1)) ** 2
    noise_in_burst = 0.02**2 * 1.2 * _BURST_RATE / rate
    burst = burst * np.sqrt(noise_in_burst * 100) * np.exp(2j * np.pi * place / rate * np.arange(length))
    ends = []
    for number in range(round(_LOOP / _EVERY)):
        start = round((number * _EVERY + 0.2) * rate)
        samples[start : start + length] += burst.astype(np.complex64)
        ends.append(start + length)
    return samples, place, ends


class _Player:
    """Plays a second of samples again and again; as ci8 they are unpacked anew each time."""

    def __init__(self, samples: NDArray[np.complex64], rate: float, packed: bool) -> None:
        self._rate, self._packed = rate, packed
        self._samples: Any = samples
        if packed:
            scale = 127 / max(1e-9, float(np.abs(samples.view(np.float32)).max()))
            self._samples = np.round(samples.view(np.float32) * scale).astype(np.int8)
        self._length = len(samples)
        self.place = 0

    def next(self, count: int) -> NDArray[np.complex64]:
        """Return the next samples, at most so many."""
        at = self.place % self._length
        count = min(count, self._length - at)
        self.place += count
        if not self._packed:
            piece: NDArray[np.complex64] = self._samples[at : at + count]
            return piece
        numbers = self._samples[2 * at : 2 * (at + count)].astype(np.float32)
        numbers *= np.float32(1 / 128)
        return np.asarray(numbers.view(np.complex64))


def paced(arguments: argparse.Namespace) -> dict[str, Any]:
    """Play by the clock, through a worker."""
    rate = arguments.rate
    samples, place, ends = band(rate, arguments.emissions)
    player = _Player(samples, rate, arguments.format == "ci8")
    scanner = BandScanner(rate, options=ScanOptions(budget=arguments.budget), limited=True)
    scanner.detect(np.zeros(round(0.2 * rate), np.complex64))  # thresholds are made
    worker = ScanWorker(scanner)
    worker.start()
    offset = scanner.now
    block = round(0.02 * rate)
    begun, busy, source = time.monotonic(), time.process_time(), 0.0
    put_at: dict[int, float] = {}
    delays: list[float] = []
    events: list[ScanEvent] = []
    looks_before = 0
    while player.place < arguments.seconds * rate:
        due = begun + (player.place + block) / rate
        time.sleep(max(0.0, due - time.monotonic()))
        mark = time.thread_time()
        before = player.place
        piece = player.next(block)
        worker.put(piece)
        source += time.thread_time() - mark
        for end in ends:
            lap = before // len(samples) * len(samples)
            if before < lap + end <= player.place:
                put_at[lap + end] = time.monotonic()
        for event in worker.take_events():
            events.append(event)
            near = abs(event.record.centre - place) < 0.5 * _BURST_RATE
            if event.event == "end" and near and put_at:
                stop = event.record.stop - offset
                known = min(put_at, key=lambda end: abs(end - stop))
                if abs(known - stop) < 0.01 * rate:
                    delays.append(time.monotonic() - put_at[known])
    wall = time.monotonic() - begun
    busy = time.process_time() - busy - source
    shot = worker.snapshot()
    counters = shot.counters
    steady = [one for one in shot.emissions if one.on]
    worker.close()
    expected = len([end for end in put_at if end < player.place - rate])
    return {
        "seconds": round(wall, 1),
        "samples": counters.samples,
        "dropped": counters.dropped,
        "cores": round(busy / wall, 3),
        "source_cores": round(source / wall, 3),
        "looks_a_second": round((counters.looks - looks_before) / wall, 1),
        "looks_an_emission_and_second": round(
            float(np.median([one.looks / max(0.1, (shot.now - one.first_seen) / rate) for one in steady])), 2
        )
        if steady
        else None,
        "on_air": len(steady),
        "missed": counters.missed,
        "bursts_sent": expected,
        "bursts_recorded": len(delays),
        "record_delay_ms": {
            "median": round(1e3 * float(np.median(delays)), 1) if delays else None,
            "p95": round(1e3 * float(np.quantile(delays, 0.95)), 1) if delays else None,
            "largest": round(1e3 * max(delays), 1) if delays else None,
        },
    }


def unpaced(arguments: argparse.Namespace) -> dict[str, Any]:
    """Hand samples over as they are taken; processor time over the time of the band."""
    rate = arguments.rate
    samples, _, _ = band(rate, arguments.emissions)
    player = _Player(samples, rate, arguments.format == "ci8")
    scanner = BandScanner(rate, options=ScanOptions(budget=arguments.budget), limited=True)
    scanner.detect(np.zeros(round(0.2 * rate), np.complex64))
    block = round(0.04 * rate)
    detecting = looking = decoding = 0.0
    while player.place < arguments.seconds * rate:
        mark = time.thread_time()
        piece = player.next(block)
        decoding += time.thread_time() - mark
        mark = time.thread_time()
        scanner.detect(piece)
        detecting += time.thread_time() - mark
        mark = time.thread_time()
        scanner.look()
        looking += time.thread_time() - mark
    shot, lasted = scanner.snapshot(), player.place / rate
    return {
        "seconds": round(lasted, 2),
        "cores": round((detecting + looking + decoding) / lasted, 3),
        "detection_cores": round(detecting / lasted, 3),
        "looks_cores": round(looking / lasted, 3),
        "decoding_cores": round(decoding / lasted, 3),
        "looks_a_second": round(shot.counters.looks / lasted, 1),
        "on_air": sum(one.on for one in shot.emissions),
        "missed": shot.counters.missed,
    }


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rate", type=float, default=2.4e6)
    parser.add_argument("--emissions", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--format", choices=("cf32", "ci8"), default="cf32")
    parser.add_argument("--budget", type=float, default=0.5, help="cores for looks")
    parser.add_argument("--unpaced", action="store_true")
    arguments = parser.parse_args()
    figures = (unpaced if arguments.unpaced else paced)(arguments)
    print(
        json.dumps(
            {
                "rate": arguments.rate,
                "emissions": arguments.emissions,
                "format": arguments.format,
                "paced": not arguments.unpaced,
                **figures,
                "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
                "machine": {"processor": processor_name(), "cores": os.cpu_count()},
                "versions": {
                    "python": platform.python_version(),
                    "numpy": version("numpy"),
                    "scipy": version("scipy"),
                },
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    sys.exit(main())
