#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `amrq classify FILE` says of all classes of TorchSig 2.2, another toolkit, told the sample rate alone.

`torchsig_signals.py FOLDER COUNT SNR` writes the recordings, in an environment that has TorchSig. Here each of them is
looked at as the command does (`amrq.scan.survey_recording`), and its family is compared with that of the class. SNR is
TorchSig's: before its filters and over its own bandwidth, which is neither the SNR in the signal's band nor Es/N0; what
the module measures in the signal's band stands beside it. Many of these signals are none that are on the air at such
a width: amplitude modulation and single sidebands of white noise 300 kHz to 2.5 MHz wide, frequency keying with 16
levels behind a Gaussian filter that closes all eyes.

* right: the family of the class; of a class that may be called two things, either (`families_of`);
* wrong: another family; sure: with a confidence above .9;
* unknown: `unknown`, or nothing found.

Examples:
  python3 benchmarks/torchsig_signals.py ts 2 20 8623
  python3 benchmarks/torchsig_signals.py ts 2 30 8623
  python3 benchmarks/torchsig_families.py ts && python3 benchmarks/torchsig_families.py --pages
"""

import argparse
import csv
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from families_tables import table, wilson
from resumable import between, read, write_about

from amrq.recordings import open_recording
from amrq.scan import survey_recording

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "torchsig_families.csv"
PAGE = ROOT / "docs" / "family-figures.md"
RATE = 1e7
SURE = 0.9
OUTCOMES = ("right", "wrong", "sure", "unknown")
FAMILIES = {
    **{"ook": ("ook",), "ask": ("linear",), "psk": ("linear",), "qam": ("linear",), "apsk": ("linear",)},
    **{"ofdm": ("ofdm",), "wifi": ("ofdm",), "chirp": ("chirp",), "lora": ("chirp",), "tone": ("carrier",)},
    **{"adsb": ("pulse", "ook"), "bluetooth": ("fsk2",), "cellular": ("fsk2",), "dvb": ("linear",)},
    # Zigbee's OQPSK with half-sine pulses is MSK, and its chips are a code.
    **{"lmr": ("fsk4",), "zigbee": ("oqpsk", "fsk2", "dsss"), "fm": ("fm_narrow", "fm_wide")},
}
GROUPS = {
    "ook": "on-off keying",
    "ask": "amplitude-shift keying, 4 to 64 levels",
    "psk": "PSK, 2 to 64 points",
    "qam": "QAM, 16 to 1,024 points",
    "apsk": "APSK",
    "fsk": "FSK and MSK, 2 to 16 levels",
    "gfsk": "the same with Gaussian filter",
    "ofdm": "OFDM, 64 to 2,048 subcarriers",
    "fm": "FM",
    "am": "AM, with and without carrier",
    "ssb": "single sidebands of white noise",
    "chirp": "chirps: data, radar, spread spectrum",
    "tone": "a tone",
    "adsb": "ADS-B",
    "protocols": "Bluetooth LE, GSM, DVB-S2, DMR, P25, LoRa, 802.11a, Zigbee",
}


def group_of(name: str, group: str) -> str:
    """Return the row of the table that a class is counted in."""
    if group == "fsk":
        return "gfsk" if "gfsk" in name or "gmsk" in name else "fsk"
    if group == "am":
        return "ssb" if name in ("am-lsb", "am-usb") else "am"
    return group if group in GROUPS else "protocols"


def families_of(name: str, group: str) -> tuple[str, ...]:
    """Return the families that a class may be called.

    >>> families_of("2gfsk", "fsk"), families_of("am-usb", "am"), families_of("16fsk", "fsk")
    (('fsk2',), ('ssb',), ('fskm',))
    """
    if group == "fsk":
        return ({"2": "fsk2", "4": "fsk4"}.get(name[0], "fskm"),)
    if group == "am":
        return ("ssb",) if name in ("am-lsb", "am-usb") else ("am",)
    return FAMILIES[group]


def measure(folder: Path) -> list[dict[str, Any]]:
    """Look at all recordings of a folder, and count by class, level and SNR."""
    rows: dict[tuple[str, ...], dict[str, Any]] = {}
    called: dict[tuple[str, ...], list[str]] = defaultdict(list)
    found_snr: dict[tuple[str, ...], list[float]] = defaultdict(list)
    known = [
        one for path in sorted(folder.glob("known_*.json")) for one in json.loads(path.read_text("utf-8"))
    ]
    for number, one in enumerate(known):
        key = (one["name"], str(one["level"]), f"{one['snr_db']:g}")
        row = rows.setdefault(
            key,
            dict(zip(("class", "level", "snr_db"), key, strict=True))
            | {"group": group_of(one["name"], one["group"])}
            | dict.fromkeys(OUTCOMES, 0),
        )
        survey = survey_recording(open_recording(folder / one["file"], sample_rate=RATE), RATE)
        main = survey.main
        family, confidence = (main.family, main.confidence) if main is not None else ("unknown", 0.0)
        if family in families_of(one["name"], one["group"]):
            row["right"] += 1
        elif family in ("unknown", "noise"):
            row["unknown"] += 1
        else:
            row["sure" if confidence > SURE else "wrong"] += 1
        called[key].append(f"{family}/{100 * confidence:.0f}")
        if main is not None and main.snr_db is not None:
            found_snr[key].append(main.snr_db)
        if number % 50 == 49:
            print(f"{number + 1} of {len(known)}", file=sys.stderr)
    for key, row in rows.items():
        row["answers"] = " ".join(called[key])
        row["found_snr_db"] = f"{np.nanmedian(found_snr[key]):.1f}" if found_snr[key] else ""
    return list(rows.values())


def page_table(rows: Iterable[dict[str, str]]) -> str:
    """Write the table: a row for each group, levels and SNRs together; and the sum."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    names: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        for which in (row["group"], "all"):
            counts[which].update({name: int(row[name]) for name in OUTCOMES})
        right = families_of(row["class"], _group_in_toolkit(row))
        names[row["group"]].update(
            family
            for family in (text.split("/")[0] for text in row["answers"].split())
            if family not in right
        )
    lines = []
    for group, words in (*GROUPS.items(), ("all", "**all classes**")):
        total = sum(counts[group].values())
        low, high = wilson(counts[group]["right"], total)
        right = f"{100 * counts[group]['right'] / total:.0f} ({100 * low:.0f} to {100 * high:.0f})".replace(
            " ", "\u00a0"
        )
        wrong = counts[group]["wrong"] + counts[group]["sure"]
        shares = [
            f"{100 * value / total:.1f}" for value in (wrong, counts[group]["sure"], counts[group]["unknown"])
        ]
        others = ", ".join(f"{name} {count}" for name, count in names[group].most_common(4))
        lines.append([words, others, str(total), right, *shares])
    heads = ["classes", "called instead", "n", "right, %", "wrong, %", "wrong and sure, %", "unknown, %"]
    return table(heads, lines, 2)


def _group_in_toolkit(row: dict[str, str]) -> str:
    """Return TorchSig's group of a row's class."""
    name, group = row["class"], row["group"]
    special = {
        "btle": "bluetooth",
        "gsm": "cellular",
        "dvbs2": "dvb",
        "dmr": "lmr",
        "p25": "lmr",
        "lora": "lora",
    }
    special |= {"80211a": "wifi", "zigbee": "zigbee"}
    return special.get(name, {"gfsk": "fsk", "ssb": "am"}.get(group, group))


def main() -> None:
    """Measure, or write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, nargs="?", help="where torchsig_signals.py has written")
    parser.add_argument("-o", "--output", type=Path, default=RESULTS, help="CSV file to write")
    parser.add_argument("--pages", action="store_true", help="write the table, and measure nothing")
    arguments = parser.parse_args()
    if arguments.pages:
        text = between(PAGE.read_text("utf-8"), "another toolkit", page_table(read(arguments.output)))
        PAGE.write_text(text, "utf-8")
        return
    if arguments.folder is None or not any(arguments.folder.glob("known_*.json")):
        parser.error("name a folder in which torchsig_signals.py has written recordings of all classes")
    rows = measure(arguments.folder)
    with arguments.output.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    write_about(arguments.output, torchsig="2.2.0")


if __name__ == "__main__":
    main()
