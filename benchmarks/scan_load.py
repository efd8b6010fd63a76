#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The load of scanning a band, what is lost, how late the record of a burst is, and whether memory grows.

Samples come at the rate of a radio, by the clock: steady emissions of several kinds over the whole band, and a burst of
QPSK twice a second. With `--format ci8` they are read from a file as hackrf_transfer writes it. Reported: samples
dropped, and those of them after the first --settle seconds; cores that were busy (processor time over the time on the
clock): all in all, of this process, and of the detector's own; looks an emission and second (median, fewest); the time
from a burst's last sample to its record (median, 99 %, longest); memory of both processes at the beginning and the end,
what they share counted once. The first --settle seconds, in which everything is new, do not count for looks and memory.

With AMRQ_DETECTOR_PROCESS=0 in the environment the detector runs in a thread.

`--unpaced` hands samples over as fast as they are taken: where others use the machine too, processor time over the time
of the band says more. `--memory SAMPLES` feeds so many of them as fast as possible, and reports memory on the way.

Examples:
  python3 benchmarks/scan_load.py --rate 20e6 --emissions 40 --seconds 300
  python3 benchmarks/scan_load.py --rate 20e6 --emissions 40 --seconds 300 --format ci8
  python3 benchmarks/scan_load.py --rate 2.4e6 --emissions 10 --seconds 300
  python3 benchmarks/scan_load.py --rate 20e6 --emissions 10 --memory 1e10
"""

import argparse
import json
import os
import platform
import resource
import sys
import tempfile
import time
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amrq.classes import linear_class
from amrq.machine import processor_name
from amrq.native import kernels
from amrq.scan import BandScanner, ScanOptions, ScanWorker
from amrq.signals import SimulatedBand, SimulatedEmission, received_signal

_REFERENCE = 2.4e6
_KINDS = ("QPSK", "FM", "BPSK", "carrier", "AM", "8PSK", "FSK", "16QAM", "OOK", "4FSK")
_BURST_SECONDS, _EVERY = 0.03, 0.5
_BURST_RATE = 50e3
_LOOP = 1.0  # seconds that are played again and again
_SEAM = 0.002  # seconds over which the end of the loop passes into its beginning


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
    count, seam = round(_LOOP * rate), round(_SEAM * rate)
    total = count + seam
    samples = np.concatenate([made.next_samples(min(1 << 19, total - at)) for at in range(0, total, 1 << 19)])
    # A jump would be a click over the whole band.
    turn = (np.arange(seam) + 0.5) / seam * np.pi / 2
    samples[:seam] = samples[:seam] * np.sin(turn) + samples[count:] * np.cos(turn)
    samples = samples[:count].copy()
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
    """Plays the loop again and again; as ci8 it is read from a file, and unpacked anew each time."""

    def __init__(self, samples: NDArray[np.complex64], rate: float, packed: bool) -> None:
        self._samples, self._file = samples, None
        if packed:
            # The largest sample fills 8 bits.
            scale = 127 / max(1e-9, float(np.abs(samples.view(np.float32)).max()))
            self._file = tempfile.TemporaryFile()  # noqa: SIM115
            self._file.write(np.round(samples.view(np.float32) * scale).astype(np.int8).tobytes())
        self._length = len(samples)
        self.place = 0

    def next(self, count: int) -> NDArray[np.complex64]:
        """Return the next samples, at most so many."""
        at = self.place % self._length
        count = min(count, self._length - at)
        self.place += count
        if self._file is None:
            return self._samples[at : at + count]
        self._file.seek(2 * at)
        numbers = np.frombuffer(self._file.read(2 * count), np.int8).astype(np.float32)
        numbers *= np.float32(1 / 128)
        return np.asarray(numbers.view(np.complex64))


def _memory_mb(*others: int | None) -> float:
    """Return what this process and others hold in memory now, in 10^6 bytes; what they share is counted once."""
    total = 0
    for process in ("self", *others):
        if process is None:
            continue
        with open(f"/proc/{process}/smaps_rollup") as rollup:
            total += next(int(line.split()[1]) for line in rollup if line.startswith("Pss:"))
    return round(1024 * total / 1e6, 1)


def _busy(process: int | None) -> float:
    """Return the seconds of processor time that another process has used."""
    if process is None:
        return 0.0
    with open(f"/proc/{process}/stat") as stat:
        return sum(map(int, stat.read().rpartition(")")[2].split()[11:13])) / os.sysconf("SC_CLK_TCK")


def _looks(worker: ScanWorker) -> tuple[int, dict[int, int]]:
    """Return now, and how often each emission that is on the air was looked at."""
    shot = worker.snapshot()
    return shot.now, {one.id: one.looks for one in shot.emissions if one.on}


def paced(arguments: argparse.Namespace) -> dict[str, Any]:
    """Play by the clock, through a worker."""
    rate = arguments.rate
    samples, place, ends = band(rate, arguments.emissions)
    player = _Player(samples, rate, arguments.format == "ci8")
    scanner = BandScanner(rate, options=ScanOptions(budget=arguments.budget), limited=True)
    worker = ScanWorker(scanner)
    worker.start()
    block = round(0.02 * rate)
    settled = min(arguments.settle, arguments.seconds / 2) * rate
    begun, busy, source = time.monotonic(), time.process_time(), 0.0
    put_at: dict[int, float] = {}
    delays: list[float] = []
    before: tuple[int, dict[int, int]] | None = None
    memory: list[float] = []
    lost_before = 0
    while player.place < arguments.seconds * rate:
        due = begun + (player.place + block) / rate
        time.sleep(max(0.0, due - time.monotonic()))
        mark = time.thread_time()
        first = player.place
        piece = player.next(block)
        source += time.thread_time() - mark
        worker.put(piece)
        if before is None and first >= settled:
            before, memory = _looks(worker), [_memory_mb(worker.process_id)]
            lost_before = worker.snapshot().counters.dropped
        lap = first // len(samples) * len(samples)
        for end in ends:
            if first < lap + end <= player.place:
                put_at[lap + end] = time.monotonic()
        for event in worker.take_events():
            near = abs(event.record.centre - place) < 0.5 * _BURST_RATE
            if event.event == "end" and near and put_at:
                stop = event.record.stop
                known = min(put_at, key=lambda end: abs(end - stop))
                if abs(known - stop) < 0.01 * rate:
                    delays.append(time.monotonic() - put_at[known])
    wall, busy = time.monotonic() - begun, time.process_time() - busy
    detector = _busy(worker.process_id)
    memory.append(_memory_mb(worker.process_id))
    counters = worker.snapshot().counters
    now, after = _looks(worker)
    worker.close()
    then, earlier = before or (now, {})
    a_second = [(after[id] - earlier[id]) * rate / (now - then) for id in after if id in earlier]
    milliseconds = 1e3 * np.array(delays)
    return {
        "seconds": round(wall, 1),
        "samples": counters.samples,
        "dropped": counters.dropped,
        "dropped_after_settling": counters.dropped - lost_before,
        "cores": round((busy + detector) / wall, 3),
        "cores_of_this_process": round(busy / wall, 3),
        "cores_of_the_detectors_process": round(detector / wall, 3),
        "of_these_reading": round(source / wall, 3),
        "compiled_kernels": kernels() is not None,
        "looks_a_second": round(counters.looks / wall, 1),
        "looks_an_emission_and_second": {
            "emissions": len(a_second),
            "median": round(float(np.median(a_second)), 2) if a_second else None,
            "fewest": round(min(a_second), 2) if a_second else None,
        },
        "on_air": len(after),
        "missed": counters.missed,
        "bursts_sent": len([end for end in put_at if end < player.place - rate]),
        "bursts_recorded": len(delays),
        "record_delay_ms": {
            "median": round(float(np.median(milliseconds)), 1) if delays else None,
            "p99": round(float(np.quantile(milliseconds, 0.99)), 1) if delays else None,
            "largest": round(float(milliseconds.max()), 1) if delays else None,
        },
        "memory_mb": memory,
    }


def memory(arguments: argparse.Namespace) -> dict[str, Any]:
    """Feed samples as fast as they are taken; memory on the way."""
    rate, total = arguments.rate, round(arguments.memory)
    samples, _, _ = band(rate, arguments.emissions)
    player = _Player(samples, rate, arguments.format == "ci8")
    scanner = BandScanner(rate, options=ScanOptions(budget=arguments.budget), limited=True)
    block, seen, begun = round(0.04 * rate), [], time.monotonic()
    while player.place < total:
        scanner.detect(player.next(block))
        scanner.look()
        scanner.take_events()
        if player.place >= (len(seen) + 1) * total / 20:
            seen.append((player.place, _memory_mb()))
            print(f"{player.place:.3g} samples: {seen[-1][1]:.1f} MB", file=sys.stderr)
    return {
        "samples": player.place,
        "seconds": round(time.monotonic() - begun, 1),
        "memory_mb": seen,
        "emissions": scanner.snapshot().counters.emissions,
        # From the first tenth on, when everything that is kept is full.
        "growth_mb": round(seen[-1][1] - seen[1][1], 1),
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
        "compiled_kernels": kernels() is not None,
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
    parser.add_argument("--settle", type=float, default=10.0, help="seconds before looks and memory count")
    parser.add_argument("--unpaced", action="store_true")
    parser.add_argument("--memory", type=float, help="samples to feed as fast as possible, such as 1e10")
    arguments = parser.parse_args()
    run = memory if arguments.memory else unpaced if arguments.unpaced else paced
    figures = run(arguments)
    print(
        json.dumps(
            {
                "rate": arguments.rate,
                "emissions": arguments.emissions,
                "format": arguments.format,
                "mode": run.__name__,
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
