#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the pictures of docs/families.md: spectrum and waterfall of two signals of each family.

The signals come from `amrq.signals`, at four samples a bandwidth and 20 dB in-band SNR, as `amrq.scan` takes a channel
out of a band. Needs matplotlib.

Example: python3 docs/make_family_pictures.py --only ofdm
"""

import argparse
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[1]
PICTURES = ROOT / "docs" / "images" / "families"
SEED = 19
SNR_DB = 20.0
SAMPLES = 6144
SIZE = 128
"""Samples of a transform of the waterfall."""

sys.path.insert(0, str(ROOT / "src"))

from amrq.signals import (  # noqa: E402
    FAMILY_CLASSES,
    AmParameters,
    CarrierParameters,
    ChirpParameters,
    DsssParameters,
    FamilyParameters,
    FmParameters,
    FskParameters,
    KeyedParameters,
    LinearParameters,
    NoiseParameters,
    OfdmParameters,
    Reception,
    SsbParameters,
    received_family,
)

CLEAN = "raised cosine"

SHOWN: dict[str, tuple[tuple[str, FamilyParameters], ...]] = {
    "noise": (
        ("white", NoiseParameters(bandwidth=20e3)),
        ("of a receiver's filter", NoiseParameters(bandwidth=20e3, colour="hump")),
    ),
    "carrier": (
        ("steady", CarrierParameters(bandwidth=500.0, offset=0.1)),
        (
            "Morse, 24 words a minute",
            KeyedParameters(
                bandwidth=250.0, code="morse", pulse=0.05, rise=0.005, speed=24.0, symbol_rate=20.0
            ),
        ),
    ),
    "am": (
        ("voice", AmParameters(bandwidth=6e3, depth=0.9, audio_band=(300.0, 3e3))),
        ("music", AmParameters(bandwidth=10e3, depth=0.9, audio="music", audio_band=(50.0, 5e3))),
    ),
    "ssb": (
        ("voice, upper", SsbParameters(bandwidth=2.4e3, middle=1.5e3)),
        ("voice, lower", SsbParameters(bandwidth=2.4e3, middle=1.5e3, side="lower")),
    ),
    "fm_narrow": (
        ("voice, 2.5 kHz deviation", FmParameters(bandwidth=6e3, deviation=2.5e3)),
        (
            "AFSK 1200, 3 kHz deviation",
            FmParameters(bandwidth=9e3, audio="AFSK1200", audio_band=(300.0, 2.9e3)),
        ),
    ),
    "fm_wide": (
        (
            "stereo broadcast with RDS",
            FmParameters(
                bandwidth=120e3, deviation=75e3, audio="music", audio_band=(40.0, 15e3), pilot=0.09, rds=0.04
            ),
        ),
        ("video", FmParameters(bandwidth=12e6, deviation=4e6, audio="video", audio_band=(25.0, 5e6))),
    ),
    "ook": (
        (
            "pulse-width code",
            KeyedParameters(bandwidth=5e3, code="pwm", pulse=4e-3, rise=300e-6, gap=90e-3, content="framed"),
        ),
        ("Manchester code", KeyedParameters(bandwidth=60e3, code="manchester", pulse=500e-6, rise=50e-6)),
    ),
    "pulse": (
        ("Mode S", KeyedParameters(bandwidth=5e6, code="adsb", pulse=0.5e-6, rise=0.1e-6, gap=60e-6)),
        ("DME", KeyedParameters(bandwidth=600e3, code="dme", pulse=3.5e-6, rise=2.2e-6, gap=100e-6)),
    ),
    "fsk2": (
        ("index 2.4", FskParameters(bandwidth=36e3, symbol_rate=9.6e3, deviation=11.5e3)),
        (
            "GMSK",
            FskParameters(bandwidth=9.9e3, symbol_rate=9.6e3, deviation=2.4e3, shaping="gaussian", bt=0.5),
        ),
    ),
    "fsk4": (
        (
            "C4FM",
            FskParameters(
                bandwidth=9e3, symbol_rate=4.8e3, order=4, deviation=1.8e3, shaping="raised cosine", bt=0.2
            ),
        ),
        ("index 2", FskParameters(bandwidth=15e3, symbol_rate=2e3, order=4, deviation=6e3)),
    ),
    "fskm": (
        (
            "8 tones, index 1",
            FskParameters(
                bandwidth=50.0, symbol_rate=6.25, order=8, deviation=21.9, shaping="gaussian", bt=2.0
            ),
        ),
        ("32 tones, index 1", FskParameters(bandwidth=1e3, symbol_rate=31.25, order=32, deviation=484.0)),
    ),
    "linear": (
        ("QPSK, roll-off 0.35", LinearParameters(label="QPSK", bandwidth=11.4e3, symbol_rate=9.6e3, order=4)),
        (
            "64QAM, roll-off 0.2",
            LinearParameters(label="64QAM", bandwidth=1.1e4, symbol_rate=1e4, order=64, rolloff=0.2),
        ),
    ),
    "pi4dqpsk": (
        ("roll-off 0.35", LinearParameters(label="pi/4-DQPSK", bandwidth=21.4e3, symbol_rate=18e3, order=4)),
        ("bursts", LinearParameters(label="pi/4-DQPSK", bandwidth=21.4e3, symbol_rate=18e3, order=4)),
    ),
    "oqpsk": (
        ("roll-off 0.35", LinearParameters(label="OQPSK", bandwidth=11.4e3, symbol_rate=9.6e3, order=4)),
        (
            "roll-off 0.8",
            LinearParameters(label="OQPSK", bandwidth=14.5e3, symbol_rate=9.6e3, order=4, rolloff=0.8),
        ),
    ),
    "ofdm": (
        ("12 subcarriers", OfdmParameters(bandwidth=13e3, spacing=1e3, subcarriers=12)),
        (
            "52 subcarriers, pilots, preambles",
            OfdmParameters(bandwidth=16.6e6, spacing=312.5e3, content="framed", pilots=14, boost=1.4),
        ),
    ),
    "chirp": (
        (
            "LoRa, spreading factor 9",
            ChirpParameters(bandwidth=125e3, sweep_time=512 / 125e3, spreading_factor=9, content="framed"),
        ),
        ("FMCW, up and down", ChirpParameters(bandwidth=1e6, sweep_time=250e-6, shape="triangle")),
    ),
    "dsss": (
        ("11 chips", DsssParameters(bandwidth=13e6, symbol_rate=1e6, chip_rate=11e6, code=11, rolloff=0.5)),
        ("63 chips", DsssParameters(bandwidth=1.2e6, symbol_rate=1e6 / 63, chip_rate=1e6, code=63)),
    ),
}
"""What each family's picture shows: a caption and parameters."""


def draw_one(spectrum: Any, waterfall: Any, iq: NDArray[np.complex64]) -> None:
    """Draw power against frequency, and against frequency and time."""
    frames = np.lib.stride_tricks.sliding_window_view(iq, SIZE)[:: SIZE // 2] * np.hanning(SIZE)
    power = np.fft.fftshift(np.abs(np.fft.fft(frames, axis=1)) ** 2, axes=1)
    at = (np.arange(SIZE) - SIZE // 2) * 4 / SIZE
    mean = 10 * np.log10(power.mean(axis=0))
    spectrum.plot(at, mean, color="#20618d", linewidth=1)
    spectrum.set(xlim=(-2, 2), ylim=(mean.max() - 45, mean.max() + 3), yticks=[])
    level = 10 * np.log10(power[:, SIZE // 8 : -SIZE // 8] + 1e-9)
    peak = np.percentile(level, 99.7)
    steps = np.clip(np.round((level - peak + 36) / 3), 0, 12)  # few colours: the file is a quarter
    waterfall.imshow(
        steps, aspect="auto", cmap="viridis", extent=(-1.5, 1.5, len(iq) / 4, 0), interpolation="nearest"
    )
    for axes in (spectrum, waterfall):
        axes.tick_params(labelsize=6)
        axes.set_xticks([-1, 0, 1])


def draw_family(family: str) -> Any:
    """Return a figure of a family's two signals."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.4, 1.6), dpi=72, layout="constrained", facecolor="white")
    axes = figure.subplots(1, 4)
    rng = np.random.default_rng([SEED, zlib.crc32(family.encode())])
    for number, (caption, parameters) in enumerate(SHOWN[family]):
        burst = (0.2, 0.7) if caption == "bursts" else (0.0, 1.0)
        told = Reception(snr_db=SNR_DB, burst=burst)
        iq = received_family(family, parameters, rng, told, SAMPLES)
        draw_one(axes[2 * number], axes[2 * number + 1], iq)
        axes[2 * number].set_title(caption, fontsize=8)
    return figure


def main() -> None:
    """Make all pictures, or one."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=FAMILY_CLASSES, help="make the picture of one family")
    only = parser.parse_args().only
    PICTURES.mkdir(parents=True, exist_ok=True)
    for family in FAMILY_CLASSES if only is None else [only]:
        draw_family(family).savefig(PICTURES / f"{family}.png", format="png", metadata={"Software": None})


if __name__ == "__main__":
    main()
