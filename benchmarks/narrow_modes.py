#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `amrq scan` says of narrow and slow emissions in a wide band: some Bd, some 10 Hz wide, for half a minute.

Each band holds one emission of every mode, of published definitions and written here without the module's generators,
at drawn places at least 20 kHz apart, in white noise. SNR is the power while it is on over the noise in the bandwidth
that is stated here with each mode, or in 100 Hz where it is narrower. The band is scanned, told its rate alone: as a
recording by `amrq scan --json`, which has all the time that it needs, and as it is received, in pieces of 40 ms within
the default budget.

An emission counts as found where records of one number at its place reach over a third of its time, pauses of keys
included; what counts is what the last of these says. It is wrong where another family is named; `sure` says how often
with more than .9. A keyed carrier is right as `ook` and as `Morse`. What lies at no emission's place is a false box.

A file of results is continued: bands that are measured again take the place of the former ones.

usage: narrow_modes.py [--rates 500e3 2400e3] [--snr 10 15 20 25] [--draws 1] [--out results/narrow_modes.csv]
"""

import argparse
import csv
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from resumable import read, write_about
from scipy import fft

from amrq.scan import BandScanner, EmissionRecord, ScanOptions

Array = NDArray[Any]

RESULTS = Path(__file__).parent / "results"
SECONDS = 45.0
LEAST_WIDTH = 100.0
"""Hz in which the noise is counted at least."""
LOW = 8000.0
"""Samples a second in which a mode is written."""
PIECE = 0.04
"""Seconds of the band that come at a time where it is received."""


@dataclass(frozen=True)
class Mode:
    """A narrow mode.

    Attributes:
        name: of it.
        right: names of families that are right.
        width: bandwidth, Hz.
        make: returns complex [SECONDS * LOW] of power 1 while it is on, and when it is on, seconds.
        symbol_rate: Bd; 0: none.
    """

    name: str
    right: tuple[str, ...]
    width: float
    make: Callable[[np.random.Generator], tuple[Array, float, float]]
    symbol_rate: float = 0.0


def _time() -> Array:
    return np.arange(round(SECONDS * LOW)) / LOW


def _held(values: Array, rate: float) -> Array:
    """Return values held for a symbol each, over the whole time; they begin again at their end."""
    return values[np.floor(_time() * rate).astype(int) % len(values)]


def _turning(hertz: Array) -> Array:
    return np.exp(2j * np.pi * np.cumsum(hertz) / LOW)


def _smooth(values: Array, seconds: float) -> Array:
    """Return values after a Gaussian of this standard deviation."""
    reach = np.arange(-round(4 * seconds * LOW), round(4 * seconds * LOW) + 1) / LOW
    pulse = np.exp(-0.5 * (reach / seconds) ** 2)
    return np.asarray(np.convolve(values, pulse / pulse.sum(), mode="same"))


def _tones(tones: int, rate: float, spacing: float, gaussian: float = 0.0) -> Callable[..., Any]:
    """Keyed frequencies; `gaussian`: the bandwidth of the frequency's filter times the symbol's time."""

    def make(rng: np.random.Generator) -> tuple[Array, float, float]:
        hertz = _held((rng.integers(0, tones, 4096) - (tones - 1) / 2) * spacing, rate)
        if gaussian:
            hertz = _smooth(hertz, np.sqrt(np.log(2)) / (2 * np.pi * gaussian * rate))
        return _turning(hertz), 0.0, SECONDS

    return make


def _while_on(make: Callable[..., Any], start: float, stop: float) -> Callable[..., Any]:
    def cut(rng: np.random.Generator) -> tuple[Array, float, float]:
        iq, _, _ = make(rng)
        edge = np.clip(np.minimum(_time() - start, stop - _time()) / 0.02, 0, 1)
        return iq * np.sin(np.pi / 2 * edge), start, stop

    return cut


def _jt65(rng: np.random.Generator) -> tuple[Array, float, float]:
    """JT65B: every other symbol or so is the tone of synchronisation, the others are one of 64 above it."""
    step = 11025 / 4096
    symbols = np.where(rng.random(512) < 0.5, 0, 2 + rng.integers(0, 64, 512))
    return _turning(_held((symbols - 33) * 2 * step, step)), 0.0, SECONDS


def _incremental(tones: int, rate: float) -> Callable[..., Any]:
    """DominoEX: a symbol says by how many tones it is above the last one, two at least."""

    def make(rng: np.random.Generator) -> tuple[Array, float, float]:
        symbols = np.cumsum(rng.integers(0, tones - 2, 2048) + 2) % tones
        return _turning(_held((symbols - (tones - 1) / 2) * rate, rate)), 0.0, SECONDS

    return make


def _olivia(rng: np.random.Generator) -> tuple[Array, float, float]:
    """Olivia 8/250: tones that rise and fall as half a sine's square over two symbols, one over the other."""
    rate, tones = 31.25, 8
    length = 2 * LOW / rate
    out = np.zeros(round(SECONDS * LOW), complex)
    pulse = np.sin(np.pi * np.arange(round(length)) / length) ** 2
    at = np.arange(len(pulse)) / LOW
    for number in range(int(SECONDS * rate) - 2):
        start = round(number * LOW / rate)
        hertz = (rng.integers(tones) - (tones - 1) / 2) * rate
        out[start : start + len(pulse)] += pulse * np.exp(2j * np.pi * (hertz * at + rng.integers(4) / 4))
    return out / np.sqrt(np.mean(np.abs(out) ** 2)), 0.0, SECONDS


def _rtty(rng: np.random.Generator) -> tuple[Array, float, float]:
    """Five bits after a start bit, before one and a half of stop."""
    bits: list[int] = []
    while len(bits) < SECONDS * 2 * 45.45:
        bits += [0, 0, *np.repeat(rng.integers(0, 2, 5), 2), 1, 1, 1]
    return _turning(_smooth(_held(170 * (np.array(bits) - 0.5), 2 * 45.45), 0.001)), 0.0, SECONDS


def _psk31(rng: np.random.Generator) -> tuple[Array, float, float]:
    """The amplitude follows a cosine where the phase turns."""
    rate = 31.25
    signs = np.cumprod(np.where(rng.random(int(SECONDS * rate) + 3) < 0.5, -1, 1))
    place = _time() * rate
    number, part = place.astype(int), place % 1
    way = (1 - np.cos(np.pi * part)) / 2
    iq = (signs[number] * (1 - way) + signs[number + 1] * way).astype(complex)
    return iq / np.sqrt(np.mean(np.abs(iq) ** 2)), 0.0, SECONDS


_SIGNS = (
    "-.-.",
    "--.-",
    "-..",
    ".",
    "-.-",
    ".----",
    ".-",
    "-...",
    "-",
    "....",
    "..-",
    "..",
    ".-.",
    "---",
    ".--",
)


def _morse(words: float) -> Callable[..., Any]:
    """Morse of so many words a minute: a dot takes 1.2 s over that."""

    def make(rng: np.random.Generator) -> tuple[Array, float, float]:
        keys: list[int] = []
        while len(keys) < SECONDS * words / 1.2:
            for sign in rng.permutation(np.array(_SIGNS)):
                for one in sign:
                    keys += [1] * (3 if one == "-" else 1) + [0]
                keys += [0] * (2 if rng.random() < 0.8 else 6)
        return _smooth(_held(np.array(keys, float), words / 1.2), 0.002).astype(complex), 0.0, SECONDS

    return make


def _keyed(rate: float) -> Callable[..., Any]:
    def make(rng: np.random.Generator) -> tuple[Array, float, float]:
        return _smooth(_held(rng.integers(0, 2, 4096).astype(float), rate), 0.002) + 0j, 0.0, SECONDS

    return make


def _carrier(drift: float) -> Callable[..., Any]:
    """An unkeyed carrier, which drifts by so many Hz a second, with the phase of a crystal that is not quite quiet."""

    def make(rng: np.random.Generator) -> tuple[Array, float, float]:
        walk = np.cumsum(rng.standard_normal(len(_time()))) * np.sqrt(1 / LOW) * 0.05
        return _turning(drift * (_time() - SECONDS / 2)) * np.exp(1j * walk), 0.0, SECONDS

    return make


MODES = (
    Mode("FT8", ("fskm",), 50, _while_on(_tones(8, 6.25, 6.25, 2.0), 15.5, 28.14), 6.25),
    Mode("FT8, on and on", ("fskm",), 50, _tones(8, 6.25, 6.25, 2.0), 6.25),
    Mode("FT4", ("fsk4",), 90, _while_on(_tones(4, 20.83, 20.83, 1.0), 15.5, 20.5), 20.83),
    Mode("WSPR", ("fsk4",), 6, _tones(4, 1.4648, 1.4648), 1.4648),
    Mode("JT65B", ("fskm",), 350, _jt65, 2.69),
    Mode("JT9", ("fskm",), 16, _tones(9, 1.736, 1.736), 1.736),
    Mode("FST4-15", ("fsk4",), 67, _tones(4, 16.67, 16.67, 2.0), 16.67),
    Mode("Olivia 8/250", ("fskm",), 250, _olivia, 31.25),
    Mode("DominoEX 11", ("fskm",), 200, _incremental(18, 10.766), 10.766),
    Mode("MFSK16", ("fskm",), 250, _tones(16, 15.625, 15.625), 15.625),
    Mode("RTTY 45", ("fsk2",), 250, _rtty, 45.45),
    Mode("2FSK, 10 Bd, 100 Hz", ("fsk2",), 120, _tones(2, 10, 100), 10),
    Mode("PSK31", ("linear",), 50, _psk31, 31.25),
    Mode("Morse, 12 words", ("carrier", "ook"), 30, _morse(12)),
    Mode("Morse, 5 words", ("carrier", "ook"), 15, _morse(5)),
    Mode("OOK, 10 Bd", ("ook", "carrier"), 30, _keyed(10), 10),
    Mode("carrier", ("carrier",), 5, _carrier(0.0)),
    Mode("carrier, 1 Hz/s", ("carrier",), 5, _carrier(1.0)),
)


@dataclass(frozen=True)
class Sent:
    """A mode at its place: Hz from the middle of the band, seconds."""

    mode: Mode
    centre: float
    start: float
    stop: float


def band(rate: float, snr_db: float, draw: int) -> tuple[Array, list[Sent]]:
    """Return a band, complex64 [SECONDS * rate], and what is in it."""
    rng = np.random.default_rng([draw, round(rate), round(10 * snr_db)])
    count = round(SECONDS * rate)
    order = rng.permutation(len(MODES))
    slot = 0.92 * rate / len(MODES)
    spectrum = np.zeros(count, np.complex64)
    sent = []
    for place, number in enumerate(order):
        mode = MODES[number]
        iq, start, stop = mode.make(rng)
        centre = (place + 0.5) * slot - 0.46 * rate + rng.uniform(-0.5, 0.5) * (slot - 20e3)
        shift = round(centre * SECONDS)
        low = fft.fft(iq * np.sqrt(10 ** (snr_db / 10) * max(mode.width, LEAST_WIDTH) / rate)) * (rate / LOW)
        half = len(low) // 2
        spectrum[(shift + np.arange(-half, half)) % count] += np.concatenate([low[-half:], low[:half]])
        sent.append(Sent(mode, shift / SECONDS, start, stop))
    out = fft.ifft(spectrum, overwrite_x=True)
    for at in range(0, count, 1 << 20):
        size = min(1 << 20, count - at)
        out[at : at + size] += (
            rng.standard_normal((size, 2), np.float32)
            @ np.array([1, 1j], np.complex64)
            * (np.float32(0.5**0.5))
        )
    return 0.02 * out, sent


def recorded(samples: Array, rate: float, folder: Path) -> list[dict[str, Any]]:
    """Return the records that `amrq scan` gives of a recording."""
    meta = {
        "global": {"core:datatype": "cf32_le", "core:sample_rate": rate, "core:version": "1.0.0"},
        "captures": [{"core:sample_start": 0}],
        "annotations": [],
    }
    (folder / "band.sigmf-meta").write_text(json.dumps(meta))
    samples.tofile(folder / "band.sigmf-data")
    words = [sys.executable, "-m", "amrq", "scan", str(folder / "band.sigmf-meta"), "--json"]
    lines = subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()
    fields = (
        "id",
        "offset_hz",
        "bandwidth_hz",
        "label",
        "family",
        "confidence",
        "symbol_rate_hz",
        "time",
        "duration",
    )
    return [
        {name: one[name] for name in fields} | {"reason": one["reason"]} for one in map(json.loads, lines)
    ]


def received(samples: Array, rate: float, _: Path) -> list[dict[str, Any]]:
    """Return the records of a scan that has its default budget of processor time."""
    scanner = BandScanner(rate, options=ScanOptions(), limited=True)
    piece, events, spent = round(PIECE * rate), [], time.process_time()
    for at in range(0, len(samples), piece):
        events += scanner.process(samples[at : at + piece])
    events += scanner.finish()
    load = (time.process_time() - spent) / (len(samples) / rate)
    print(f"  received: {load:.2f} cores, {scanner.snapshot().counters.looks} looks", file=sys.stderr)
    return [_plain(one.record, rate) for one in events if one.event == "end"]


def _plain(record: EmissionRecord, rate: float) -> dict[str, Any]:
    return {
        "id": record.id,
        "offset_hz": record.centre,
        "bandwidth_hz": record.bandwidth,
        "label": record.label,
        "family": record.family,
        "confidence": record.confidence,
        "symbol_rate_hz": record.symbol_rate,
        "time": record.start / rate,
        "duration": (record.stop - record.start) / rate,
        "reason": record.reason,
    }


def answers(records: list[dict[str, Any]], sent: list[Sent]) -> tuple[list[dict[str, Any]], int]:
    """Return what is said of each emission, and the number of false boxes."""
    rows = []
    near: set[int] = set()
    for one in sent:
        here: dict[int, list[dict[str, Any]]] = {}
        for number, record in enumerate(records):
            reach = 0.5 * max(record["bandwidth_hz"], one.mode.width) + 100
            if abs(record["offset_hz"] - one.centre) < reach:
                near.add(number)
                here.setdefault(record["id"], []).append(record)
        shared, best = 0.0, None
        for stretches in here.values():
            last = max(stretches, key=lambda record: record["time"])
            begin = min(record["time"] for record in stretches)
            reach = min(one.stop, last["time"] + last["duration"]) - max(one.start, begin)
            if reach > shared:
                shared, best = reach, last
        found = best is not None and shared > (one.stop - one.start) / 3
        rate = best["symbol_rate_hz"] if best else None
        close = bool(rate and one.mode.symbol_rate and abs(rate / one.mode.symbol_rate - 1) < 0.01)
        right = found and best["family"] in one.mode.right
        wrong = found and not right and best["family"] != "unknown"
        rows.append(
            {
                "mode": one.mode.name,
                "found": int(found),
                "right": int(right),
                "wrong": int(wrong),
                "sure": int(wrong and best["confidence"] > 0.9),
                "symbol_rate": int(right and close),
                "said": f"{best['label']} {best['confidence']:.2f}" if found else "",
                "bandwidth_hz": f"{best['bandwidth_hz']:.0f}" if best else "",
                "numbers": len(here),
            }
        )
    return rows, len(records) - len(near)


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rates", type=float, nargs="+", default=[500e3, 2400e3])
    parser.add_argument("--snr", type=float, nargs="+", default=[10.0, 15.0, 20.0, 25.0])
    parser.add_argument("--draws", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="the first draw")
    parser.add_argument(
        "--ways", nargs="+", choices=("recorded", "received"), default=["recorded", "received"]
    )
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    rows: list[dict[str, Any]] = list(read(arguments.out)) if arguments.out else []
    for rate in arguments.rates:
        for snr in arguments.snr:
            for draw in range(arguments.first, arguments.first + arguments.draws):
                samples, sent = band(rate, snr, draw)
                for way in arguments.ways:
                    about = {"rate": f"{rate:g}", "snr_db": f"{snr:g}", "draw": str(draw), "way": way}
                    rows = [row for row in rows if any(row[name] != about[name] for name in about)]
                    rows += [about | row for row in _measured(samples, sent, rate, way)]
                    if arguments.out:
                        _write(arguments.out, rows)


def _measured(samples: Array, sent: list[Sent], rate: float, way: str) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        records = {"recorded": recorded, "received": received}[way](samples, rate, Path(folder))
    told, false = answers(records, sent)
    sums = {name: sum(one[name] for one in told) for name in ("found", "right", "wrong", "sure")}
    print(f"{rate:g} S/s, {way}: {sums} of {len(told)}, false boxes: {false}", file=sys.stderr, flush=True)
    for one in sorted(told, key=lambda one: one["mode"]):
        line = f"    {one['mode']:22} {one['said']:24} {one['bandwidth_hz']:>5} Hz, {one['numbers']}"
        print(line, file=sys.stderr)
    return [*told, {"mode": "nothing", "found": false}]


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    fields = ["rate", "snr_db", "draw", "way", "mode", "found", "right", "wrong", "sure", "symbol_rate"]
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, [*fields, "said", "bandwidth_hz", "numbers"], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    write_about(path, seconds=SECONDS)


if __name__ == "__main__":
    main()
