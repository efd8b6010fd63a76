#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which protocols are told of signals that have their parameters: all that the module's generator can make.

Each shipped protocol (`amrq.protocols`) whose modulation `amrq.signals` makes is sent with its nominal parameters: in
bursts of its length where it sends such, in one of its bands, 25 dB above white noise. The recording goes through the
whole program, as `amrq classify` runs it, told the sample rate and the centre of the band.

* named: the line in words names it, alone or with those that are as likely;
* listed: it is among the protocols that the record lists, and another one, or none, is in the line;
* family: the family is right, and it is not listed;
* other: the family is not right, or unknown.

False and certain: another protocol is named and not marked as a guess. Not made: the generator has no such signal, or
a recording that shows it takes too many samples.

Examples:
  python3 benchmarks/protocol_names.py
  python3 benchmarks/protocol_names.py -o trial.csv --only am --only dab
  python3 benchmarks/protocol_names.py --pages
"""

import argparse
import csv
import math
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amrq.protocols import Protocol, list_protocols
from amrq.scan import survey_recording
from amrq.signals import (
    FAMILY_CLASSES,
    AmParameters,
    ChirpParameters,
    DsssParameters,
    FamilyParameters,
    FmParameters,
    FskParameters,
    KeyedParameters,
    LinearParameters,
    OfdmParameters,
    SsbParameters,
)

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "protocol_names.csv"
PAGE = ROOT / "docs" / "protocols.md"
SNR_DB = 25.0
OVER = 5.0
"""Sample rate over the bandwidth, at least; what is narrow has the least rate of a band."""
LEAST_RATE, MOST_SAMPLES = 8_000.0, 2_000_000
PRODUCT, LEAST_SECONDS = 12_000.0, 0.4
"""Bandwidths times seconds, and seconds, of a recording, about; less where that is too many samples."""
BURSTS = 4
ORDERS = {"BPSK": 2, "QPSK": 4, "8PSK": 8, "64QAM": 64, "pi/2-BPSK": 2, "pi/4-DQPSK": 4, "OQPSK": 4}
NOT_MADE = {
    **dict.fromkeys(("beidou-b1i", "galileo-e1", "glonass-l1", "gps-l1", "gps-l5"), "below the noise"),
    **dict.fromkeys(("dcf77", "wwvb"), "a symbol a second"),
    **dict.fromkeys(("vor", "wwv", "noaa-apt", "hf-fax", "sstv", "orbcomm"), "no such signal"),
    **dict.fromkeys(("freedv-1600", "hd-radio", "ssr-interrogation"), "no such signal"),
    **dict.fromkeys(("wspr", "jt4", "jt9", "jt65"), "minutes long"),
    **dict.fromkeys(("fmcw-altimeter", "nr", "umts", "codar", "uhf-rfid"), "parameters not stated"),
}

_Iq = NDArray[np.complex64]


class Samples:
    """A recording in memory."""

    def __init__(self, iq: _Iq) -> None:
        self.iq, self.length = iq, len(iq)

    def read(self, start: int, count: int, /) -> _Iq:
        """Return samples."""
        return self.iq[start : start + count]


def stated(protocol: Protocol, name: str, otherwise: float = 0.0) -> float:
    """Return the nominal value of a parameter, the first of several; `otherwise` where none is stated."""
    ranges = protocol.parameters.get(name)
    return ranges[0].middle if ranges else otherwise


def parameters_of(protocol: Protocol) -> tuple[str, FamilyParameters] | None:
    """Return the generator's family and parameters; None where it has no such signal."""
    family, label = protocol.families[0], protocol.labels[0]
    rate, wide = stated(protocol, "symbol_rate"), stated(protocol, "bandwidth")
    make = {
        "am": _am, "ssb": _ssb, "fm_narrow": _fm, "fm_wide": _fm, "ook": _ook, "pulse": _pulse, "ofdm": _ofdm,
        "fsk2": _fsk, "fsk4": _fsk, "fskm": _fsk, "linear": _linear, "pi4dqpsk": _linear, "oqpsk": _linear,
        "chirp": _chirp, "dsss": _dsss, "carrier": _carrier,
    }  # fmt: skip
    if protocol.key in NOT_MADE or family not in make:
        return None
    made = make[family](protocol, label, rate, wide)
    return None if made is None else (family, made)


def _am(protocol: Protocol, label: str, rate: float, wide: float) -> FamilyParameters:
    if "MSK2400" in label:
        return AmParameters(bandwidth=6.2e3, symbol_rate=2400.0, audio="MSK2400", audio_band=(300.0, 3.1e3))
    if "tones" in label:
        band = (90.0, 150.0) if protocol.key.startswith("ils") else (400.0, 1020.0)
        return AmParameters(bandwidth=2 * band[1], depth=0.5, audio="tones", audio_band=band)
    return AmParameters(bandwidth=wide, depth=0.8, audio="voice", audio_band=(200.0, wide / 2))


def _ssb(protocol: Protocol, label: str, rate: float, wide: float) -> FamilyParameters:
    side = "lower" if label.startswith("L") else "upper"
    return SsbParameters(bandwidth=wide, side=side, audio_band=(300.0, 300.0 + wide), middle=300 + wide / 2)


def _fm(protocol: Protocol, label: str, rate: float, wide: float) -> FamilyParameters:
    deviation = stated(protocol, "deviation", 3e3)
    if protocol.families[0] == "fm_wide":
        stereo = "pilot" in protocol.parameters
        pilot, rds = (0.09, 0.04) if stereo else (0.0, 0.0)
        return FmParameters(
            bandwidth=wide, deviation=deviation, audio="music", audio_band=(40.0, 15e3), pilot=pilot, rds=rds
        )
    audio = next((one for one in ("AFSK1200", "FFSK1200") if one in label), "voice")
    audio = "tones" if "Tones" in label else audio
    band = (300.0, 2.9e3 if audio == "AFSK1200" else 3e3)
    return FmParameters(
        bandwidth=2 * (deviation + 2.5e3), deviation=deviation, audio=audio, audio_band=band, emphasis=0.0
    )


def _ook(protocol: Protocol, label: str, rate: float, wide: float) -> FamilyParameters:
    codes = {"PWM": "pwm", "PPM": "ppm", "Manchester": "manchester"}
    code = next((codes[one] for one in protocol.labels if one in codes), "nrz")
    return KeyedParameters(
        bandwidth=3 * rate, symbol_rate=rate, code=code, pulse=1 / rate, ratio=3.0, rise=0.1 / rate
    )


def _pulse(protocol: Protocol, label: str, rate: float, wide: float) -> FamilyParameters:
    codes = {"mode-s": ("adsb", 0.5e-6), "mode-ac": ("modeac", 0.45e-6), "dme": ("dme", 3.5e-6)}
    code, pulse = codes[protocol.key]
    return KeyedParameters(
        bandwidth=2 / pulse, symbol_rate=rate, code=code, pulse=pulse, rise=0.2 * pulse, gap=150 * pulse
    )


def _carrier(protocol: Protocol, label: str, rate: float, wide: float) -> FamilyParameters:
    return KeyedParameters(
        bandwidth=100.0, symbol_rate=16.7, code="morse", pulse=0.06, ratio=3.0, rise=5e-3, speed=20.0
    )


def _ofdm(protocol: Protocol, label: str, rate: float, wide: float) -> FamilyParameters:
    spacing, prefix = stated(protocol, "spacing"), stated(protocol, "prefix", 0.25)
    used = round(stated(protocol, "subcarriers", (wide or 1.08e6) / spacing))
    return OfdmParameters(
        bandwidth=used * spacing,
        symbol_rate=spacing / (1 + prefix),
        spacing=spacing,
        prefix=prefix,
        subcarriers=used,
        pilots=12,
        boost=1.3,
        spread="SC-FDMA" in label,
    )


def _fsk(protocol: Protocol, label: str, rate: float, wide: float) -> FamilyParameters:
    order = round(stated(protocol, "tones", 2.0 if protocol.families[0] == "fsk2" else 4.0))
    index = stated(protocol, "index", 0.5)
    spacing = stated(protocol, "spacing", 0.0) or index * rate
    deviation = stated(protocol, "deviation") or (order - 1) * spacing / 2
    bt = stated(protocol, "shaping") or (0.5 if label.startswith(("G", "8FSK")) and order < 8 else 0.0)
    rolloff = stated(protocol, "rolloff")
    shaping = "raised cosine" if rolloff else "gaussian" if bt else "none"
    return FskParameters(
        bandwidth=wide or 2 * deviation + rate,
        symbol_rate=rate,
        order=order,
        deviation=deviation,
        shaping=shaping,
        bt=rolloff or bt,
    )


def _linear(protocol: Protocol, label: str, rate: float, wide: float) -> FamilyParameters:
    rolloff = stated(protocol, "rolloff", 0.35)
    pulse = "half cosine" if protocol.key.startswith("psk") else "root raised cosine"
    return LinearParameters(
        label=label,
        bandwidth=(1 + rolloff) * rate,
        symbol_rate=rate,
        order=ORDERS.get(label, 2),
        pulse=pulse,
        rolloff=rolloff,
    )


def _chirp(protocol: Protocol, label: str, rate: float, wide: float) -> FamilyParameters:
    factor = round(stated(protocol, "spreading_factor", 9.0))
    return ChirpParameters(
        bandwidth=wide, symbol_rate=wide / 2**factor, sweep_time=2**factor / wide, spreading_factor=factor
    )


def _dsss(protocol: Protocol, label: str, rate: float, wide: float) -> FamilyParameters:
    chips = stated(protocol, "chip_rate")
    return DsssParameters(bandwidth=1.35 * chips, symbol_rate=chips / 11, chip_rate=chips, code=11)


def recording(protocol: Protocol, rng: np.random.Generator) -> tuple[_Iq, float, float] | None:
    """Return samples, sample rate and centre of the band; None where the signal is not made."""
    chosen = parameters_of(protocol)
    if chosen is None:
        return None
    family, told = chosen
    rate = max(OVER * told.bandwidth, LEAST_RATE)
    burst = 0.0 if family == "pulse" else stated(protocol, "burst")
    seconds = min(max(PRODUCT / told.bandwidth, LEAST_SECONDS), MOST_SAMPLES / rate)
    if burst:
        seconds = min(max(seconds, 2.2 * burst), MOST_SAMPLES / rate)
    iq = np.zeros(round(seconds * rate), np.complex64)
    if burst and 1.5 * burst < seconds:
        count = min(BURSTS, int(seconds / (1.5 * burst)))
        starts = [(number + 0.5) * seconds / count - burst / 2 for number in range(count)]
    else:
        starts, burst = [0.0], seconds
    for start in starts:
        length = round(burst * rate)
        one = FAMILY_CLASSES[family].baseband(told, rng, length, rate)
        one = np.asarray(one / np.sqrt(np.mean(np.abs(one) ** 2)), np.complex64)
        first = round(start * rate)
        iq[first : first + length] = one[: len(iq) - first]
    shift = float(rng.choice([-1.0, 1.0])) * 0.12 * rate
    iq *= np.exp(2j * np.pi * (shift / rate * np.arange(len(iq)) + rng.random())).astype(np.complex64)
    density = 10 ** (-SNR_DB / 10) / told.bandwidth
    noise = rng.standard_normal(2 * len(iq), np.float32).view(np.complex64)
    iq = 0.1 * (iq + np.float32(math.sqrt(density * rate / 2)) * noise)
    middle = 100e6
    if protocol.bands:
        band = protocol.bands[int(rng.integers(len(protocol.bands)))]
        middle = (band.low + band.high) / 2
    return np.asarray(iq, np.complex64), rate, middle - shift


def told_of(protocol: Protocol) -> dict[str, Any]:
    """Return what the program says of a signal with a protocol's parameters."""
    rng = np.random.default_rng([20261130, zlib.crc32(protocol.key.encode())])
    row: dict[str, Any] = {"protocol": protocol.key, "family": protocol.families[0]}
    made = recording(protocol, rng)
    if made is None:
        return row | {"result": "not made", "said": NOT_MADE.get(protocol.key, "no such signal")}
    iq, rate, centre = made
    main = survey_recording(Samples(iq), rate, centre).main
    if main is None:
        return row | {"result": "other", "said": "nothing"}
    named = [one for one in main.protocols if one.named]
    own = any(one.name == protocol.name for one in named)
    listed = any(one.name == protocol.name for one in main.protocols)
    right = main.family in protocol.families
    result = "named" if own else "listed" if listed else "family" if right else "other"
    certain = bool(named) and not own and not named[0].guess
    return row | {
        "result": result,
        "alone": own and len(named) == 1,
        "guess": bool(named) and named[0].guess,
        "false_certain": certain,
        "said": f"{main.family} {main.confidence:.2f}: {main.summary or main.reason}",
    }


MARKS = "<!-- what is recognised -->\n", "<!-- end of what is recognised -->"


def page_of(page: str, rows: list[dict[str, str]]) -> str:
    """Return a page with the table between its marks."""
    names = {one.key: one.name for one in list_protocols()}
    made = [row for row in rows if row["result"] != "not made"]
    lines = [
        "| family | sent | named | of these alone | listed | family alone | another family, or unknown |"
    ]
    lines += ["|---|---|---|---|---|---|---|"]
    for family in dict.fromkeys(row["family"] for row in sorted(made, key=lambda row: row["family"])):
        own = [row for row in made if row["family"] == family]
        counts = [
            sum(row["result"] == what for row in own) for what in ("named", "listed", "family", "other")
        ]
        alone = sum(row["alone"] == "True" for row in own)
        lines += [
            f"| `{family}` | {len(own)} | {counts[0]} | {alone} | {counts[1]} | {counts[2]} | {counts[3]} |"
        ]
    counts = [sum(row["result"] == what for row in made) for what in ("named", "listed", "family", "other")]
    alone = sum(row["alone"] == "True" for row in made)
    lines += [f"| all | {len(made)} | {counts[0]} | {alone} | {counts[1]} | {counts[2]} | {counts[3]} |", ""]
    certain = [names[row["protocol"]] for row in made if row["false_certain"] == "True"]
    lines += [f"Another protocol named, not as a guess: {', '.join(certain) or 'none'}.", ""]
    lines += ["| not named | what is said |", "|---|---|"]
    for row in made:
        if row["result"] != "named":
            lines += [f"| {names[row['protocol']]} | {row['said']} |"]
    causes = dict.fromkeys(row["said"] for row in rows if row["result"] == "not made")
    lines += [""]
    for cause in causes:
        some = [
            names[row["protocol"]] for row in rows if row["result"] == "not made" and row["said"] == cause
        ]
        lines += [f"Not sent, {cause}: {', '.join(some)}.", ""]
    before, rest = page.split(MARKS[0])
    return before + MARKS[0] + "\n" + "\n".join(lines) + "\n" + MARKS[1] + rest.split(MARKS[1])[1]


FIELDS = ("protocol", "family", "result", "alone", "guess", "false_certain", "said")


def main() -> None:
    """Measure, write the table and a summary."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-o", "--output", type=Path, default=RESULTS, help="CSV of results")
    parser.add_argument("--only", action="append", help="a family, or the key of a protocol; may be repeated")
    parser.add_argument(
        "--pages", action="store_true", help="write the table of the page, and measure nothing"
    )
    arguments = parser.parse_args()
    if arguments.pages:
        with arguments.output.open(newline="", encoding="utf-8") as file:
            PAGE.write_text(
                page_of(PAGE.read_text(encoding="utf-8"), list(csv.DictReader(file))), encoding="utf-8"
            )
        return
    rows = []
    for protocol in list_protocols():
        if arguments.only and not {protocol.key, protocol.families[0]} & set(arguments.only):
            continue
        rows.append(told_of(protocol))
        sys.stdout.write(", ".join(f"{rows[-1].get(name, '')}" for name in FIELDS) + "\n")
        sys.stdout.flush()
    with arguments.output.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    for result in ("named", "listed", "family", "other", "not made"):
        sys.stdout.write(f"{result}: {sum(row['result'] == result for row in rows)}\n")
    sys.stdout.write(f"false and certain: {sum(bool(row.get('false_certain')) for row in rows)}\n")


if __name__ == "__main__":
    main()
