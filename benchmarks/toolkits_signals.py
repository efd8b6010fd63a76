#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write recordings of what other toolkits' modulators make, for `toolkits_sdr.py`.

The module is not imported, so that it runs in any environment that has a toolkit; run it once in each. It says in one
line which toolkits are missing there. Signals are at 10, 20 and 30 dB over noise in their 99 % bandwidth, somewhere in
a band that is 3 to some 40 times as wide; of four recordings one has an echo, one a mirror image and DC, one 8 bits.

Examples:
  python3 benchmarks/toolkits_signals.py tk
  python3 benchmarks/toolkits_signals.py tk 3012 published "GNU Radio"
"""

import argparse
import importlib
import json
import zlib
from pathlib import Path

import numpy as np
from toolkits_channel import FAULTS, received

TOOLKITS = {
    "liquid-dsp": "toolkits_liquid",
    "GNU Radio": "toolkits_gnuradio",
    "CommPy": "toolkits_python",
    "komm": "toolkits_python",
    "published": "toolkits_published",
    "waves": "toolkits_waves",
}
SNRS = (10.0, 20.0, 30.0)
SEED = 3011


def write(folder: Path, toolkit: str, seed: int = SEED) -> bool:
    """Write a toolkit's recordings. Returns whether it is installed."""
    maker = importlib.import_module(TOOLKITS[toolkit])
    version = maker.version(toolkit)
    if version is None:
        return False
    rng = np.random.default_rng([seed, zlib.crc32(toolkit.encode())])
    known = []
    for number, sent in enumerate(maker.signals(toolkit, rng)):
        for place, snr_db in enumerate(SNRS):
            fault = FAULTS[(number + place) % len(FAULTS)]
            samples, rate, there = received(sent, snr_db, fault, rng)
            file = f"{toolkit}_{number}_{snr_db:g}.cf32".replace(" ", "")
            np.asarray(samples, np.complex64).tofile(folder / file)
            known.append(
                {
                    **{
                        "file": file,
                        "toolkit": toolkit,
                        "version": version,
                        "name": there.name,
                        "snr_db": snr_db,
                    },
                    **{"fault": fault, "sample_rate": rate, "families": list(there.families)},
                    **{
                        "symbol_rate": there.symbol_rate,
                        "deviation": there.deviation,
                        "spacing": there.spacing,
                    },
                }
            )
    text = json.dumps(known, indent=1)
    (folder / f"known_{toolkit.replace(' ', '')}.json").write_text(text, encoding="utf-8")
    return True


def main() -> None:
    """Write the recordings of all toolkits that are installed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="where they are written")
    parser.add_argument(
        "words", nargs="*", metavar="SEED|TOOLKIT", help=f"{SEED} and all of {', '.join(TOOLKITS)}"
    )
    given = parser.parse_args()
    folder, words, seed = given.folder, given.words, SEED
    if words and words[0].isdigit():
        seed = int(words.pop(0))
    if unknown := sorted(set(words) - set(TOOLKITS)):
        parser.error(f"no toolkit here: {', '.join(unknown)}; there are {', '.join(TOOLKITS)}")
    folder.mkdir(parents=True, exist_ok=True)
    missing = [toolkit for toolkit in words or TOOLKITS if not write(folder, toolkit, seed)]
    if missing:
        print(f"not installed here: {', '.join(missing)}")


if __name__ == "__main__":
    main()
