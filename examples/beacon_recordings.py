# SPDX-License-Identifier: GPL-3.0-or-later
"""Recordings of a signal that gr-amrq does not know: two tones at once that sweep up together.

Every 4 ms a symbol begins: both tones rise by 6 kHz, and their distance is 3, 5, 7 or 9 kHz. Used by
docs/bring-your-own.md; NumPy alone. Writes four recordings of the beacon alone, and one of a band in which it is
among other signals.
"""

import json
import sys
from pathlib import Path

import numpy as np

RATE = 200_000
SYMBOL = 0.004  # seconds
RISE, SPACINGS = 6e3, (3e3, 5e3, 7e3, 9e3)  # Hz


def beacon(rng: np.random.Generator, seconds: float) -> np.ndarray:
    """Return the beacon about 0 Hz, of unit power, complex64."""
    time = np.arange(round(SYMBOL * RATE)) / RATE
    rise = np.pi * RISE / SYMBOL * time**2
    soft = np.minimum(1, np.minimum(time, SYMBOL - time) / (0.1 * SYMBOL))  # no clicks where symbols meet
    symbols = []
    for spacing in rng.choice(SPACINGS, round(seconds / SYMBOL)):
        low, high = -(spacing + RISE) / 2, (spacing - RISE) / 2
        turns = 2j * np.pi * rng.random(2)
        tones = [
            np.exp(2j * np.pi * at * time + 1j * rise + turn)
            for at, turn in zip((low, high), turns, strict=True)
        ]
        symbols.append(sum(tones) * np.sin(0.5 * np.pi * soft) ** 2 / np.sqrt(1.7))
    return np.concatenate(symbols).astype(np.complex64)


def noise(rng: np.random.Generator, count: int, power: float) -> np.ndarray:
    """Return complex white noise."""
    return (rng.standard_normal((count, 2)) @ [1, 1j] * np.sqrt(power / 2)).astype(np.complex64)


def shift(iq: np.ndarray, hertz: float) -> np.ndarray:
    """Return a signal at another frequency."""
    return iq * np.exp(2j * np.pi * hertz / RATE * np.arange(len(iq)))


def write(path: Path, iq: np.ndarray) -> None:
    """Write a SigMF recording."""
    iq.astype(np.complex64).tofile(path.with_suffix(".sigmf-data"))
    about = {"core:datatype": "cf32_le", "core:sample_rate": RATE, "core:version": "1.2.0"}
    meta = {"global": about, "captures": [{"core:sample_start": 0}], "annotations": []}
    path.with_suffix(".sigmf-meta").write_text(json.dumps(meta))


def main(folder: Path, seed: int = 1) -> None:
    """Write all recordings."""
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(seed)
    for number in range(4):
        iq = 0.2 * shift(beacon(rng, 1.0), rng.uniform(-40e3, 40e3))
        write(folder / f"beacon{number}", iq + noise(rng, len(iq), 10 ** rng.uniform(-4.5, -3)))
    iq = 0.1 * shift(beacon(rng, 2.0), 35e3)
    symbols = np.repeat(rng.integers(4, size=len(iq) // 20), 20)  # QPSK of 10 kBd
    pulse = np.hanning(42)[1:-1] / 20
    iq[: len(symbols)] += 0.1 * shift(
        np.convolve(np.exp(0.5j * np.pi * (symbols + 0.5)), pulse, "same"), -40e3
    )
    iq += 0.1 * shift(np.ones(len(iq)), 80e3)  # a carrier
    write(folder / "band", iq + noise(rng, len(iq), 1e-3))


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "beacon"))
