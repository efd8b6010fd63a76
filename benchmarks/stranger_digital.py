# SPDX-License-Identifier: GPL-3.0-or-later
"""Strangers: keyed frequencies and phases, OFDM, chirps and spread spectra, made with no code of the library."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from stranger_waves import Made, bell, held_at, log_drawn, one_pole, packet_bits, smooth, span, wave
from transmitters import Channel, symbols, transmit

__all__ = ["chirp", "dsss", "fsk2", "fsk4", "fskm", "linear", "ofdm", "oqpsk", "pi4dqpsk"]

_Complex = NDArray[np.complex128]
Rng = np.random.Generator


def _keyed(
    rng: Rng, levels: NDArray[Any], symbol_rate: float, spacing: float, shape: str, bt: float = 0.5
) -> tuple[_Complex, float]:
    """Key a frequency: levels in steps of `spacing` Hz. The shapes are made in time."""
    spread = spacing * (levels.max() - levels.min()) + 2 * symbol_rate
    rate = 8 * spread
    per_symbol = rate / symbol_rate
    count = int((len(levels) - 1) * per_symbol)
    f = held_at(levels * spacing, np.arange(count) / per_symbol).astype(np.float64)
    if shape == "bell":
        f = smooth(f, bell(per_symbol, bt))
    elif shape == "pole":
        f = one_pole(f, bt / per_symbol)
    elif shape == "ramp":
        box = np.ones(int(bt * per_symbol) | 1)
        f = smooth(f, box / box.sum())
    elif shape == "root":
        reach = int(6 * per_symbol)
        t = np.arange(-reach, reach + 1) / per_symbol + 1e-9
        taps = (np.sin(np.pi * t * (1 - bt)) + 4 * bt * t * np.cos(np.pi * t * (1 + bt))) / (
            np.pi * t * (1 - (4 * bt * t) ** 2)
        )
        sent = np.zeros(count)
        at = np.arange(len(levels) - 1)
        sent[np.minimum((at * per_symbol).astype(np.int64), count - 1)] = levels[:-1] * spacing
        f = smooth(sent, np.asarray(taps))
    return wave(f / rate), rate


_TWO = (
    (1200.0, 4500.0, "pole", 2.0, "2FSK"),
    (512.0, 4500.0, "pole", 4.0, "2FSK"),
    (9600.0, 2400.0, "bell", 0.5, "GMSK"),
    (9600.0, 3000.0, "bell", 0.5, "GFSK"),
    (38400.0, 20e3, "none", 0.0, "2FSK"),
    (50e3, 25e3, "bell", 0.5, "GFSK"),
    (1e6, 250e3, "bell", 0.5, "GFSK"),
    (100e3, 50e3, "ramp", 0.3, "2FSK"),
    (4800.0, 1200.0, "bell", 0.5, "GMSK"),
    (270833.0, 67708.0, "bell", 0.3, "GMSK"),
    (45.45, 85.0, "none", 0.0, "2FSK"),
    (17241.0, 40e3, "none", 0.0, "2FSK"),
    (2400.0, 600.0, "none", 0.0, "MSK"),
    (9600.0, 38e3, "ramp", 0.2, "2FSK"),
    (50.0, 225.0, "bell", 1.0, "2FSK"),
    (32768.0, 50e3, "pole", 1.5, "2FSK"),
    (19200.0, 4800.0, "bell", 0.4, "GMSK"),
    (600.0, 300.0, "none", 0.0, "2FSK"),
)
"""Symbols a second, deviation in Hz, shape of the pulses and its parameter, name."""


def fsk2(rng: Rng) -> Made:
    """Pagers, satellites, sensors and trackers, with rates and deviations as their sheets say."""
    rate, deviation, shape, bt, label = _TWO[rng.integers(len(_TWO))]
    wide = 2 * deviation + 1.5 * rate
    count = int(span(wide) * rate) + 8
    levels = 2 * packet_bits(rng, count) - 1
    iq, sample_rate = _keyed(rng, levels, rate, deviation, shape, bt)
    return Made(iq, sample_rate, label, rate, deviation, order=2)


_FOUR = (
    (4800.0, 1944.0, "root", 0.2, "DMR"),
    (4800.0, 1800.0, "root", 0.2, "C4FM"),
    (2400.0, 1050.0, "root", 0.2, "NXDN"),
    (4800.0, 2400.0, "root", 0.5, "M17"),
    (1600.0, 4800.0, "pole", 2.0, "FLEX"),
    (3200.0, 4800.0, "pole", 1.5, "FLEX"),
    (9600.0, 3600.0, "bell", 0.5, "4GFSK"),
    (50e3, 37.5e3, "bell", 1.0, "4GFSK"),
    (4800.0, 7200.0, "ramp", 0.3, "4FSK"),
    (2400.0, 1000.0, "root", 0.2, "dPMR"),
)
"""Symbols a second, deviation of the outer tones in Hz, shape of the pulses and its parameter, name."""


def fsk4(rng: Rng) -> Made:
    """Land mobile radio and pagers."""
    rate, outer, shape, bt, label = _FOUR[rng.integers(len(_FOUR))]
    count = int(span(2 * outer + 1.5 * rate) * rate) + 8
    levels = rng.integers(4, size=count) * 2 - 3
    if rng.random() < 0.4:  # a sync word of outer tones in each frame
        levels[np.arange(count) % 144 < 24] = np.resize(rng.choice([-3, 3], 24), count)[
            np.arange(count) % 144 < 24
        ]
    iq, sample_rate = _keyed(rng, levels, rate, outer / 3, shape, bt)
    return Made(iq, sample_rate, label, rate, outer, 2 * outer / 3, 4)


_MANY = (
    (6.25, 6.25, 8, "bell", "FT8"),
    (15.625, 15.625, 16, "none", "MFSK16"),
    (125.0, 250.0, 8, "none", "ALE"),
    (31.25, 31.25, 32, "ramp", "Olivia"),
    (10.766, 10.766, 18, "none", "DominoEX"),
    (7.8125, 7.8125, 32, "none", "MFSK8"),
    (31.25, 62.5, 8, "ramp", "Contestia"),
    (5.38, 10.77, 65, "none", "JT65"),
    (62.5, 62.5, 16, "none", "MFSK64"),
    (20.83, 20.83, 5, "bell", "FSQ"),
)
"""Symbols a second, spacing in Hz, tones, shape of the pulses, name."""


def fskm(rng: Rng) -> Made:
    """Amateur and HF modes."""
    rate, spacing, tones, shape, label = _MANY[rng.integers(len(_MANY))]
    count = min(int(span(tones * spacing) * rate) + 8, 400)
    sent = rng.integers(tones, size=count)
    if label == "DominoEX":
        sent = np.cumsum(rng.integers(2, 18, size=count)) % tones
    iq, sample_rate = _keyed(
        rng, 2 * sent - tones + 1, rate, spacing / 2, shape, 2.0 if shape == "bell" else 0.2
    )
    return Made(iq, sample_rate, label, rate, spacing * (tones - 1) / 2, spacing, tones)


def _linear(rng: Rng, name: str, pulses: list[str], order: int = 0) -> Made:
    symbol_rate = log_drawn(rng, 300, 5e6)
    count = int(span(1.2 * symbol_rate, 0.05) * symbol_rate)
    sent = symbols(name, count, rng)
    if name == "OQPSK":
        sent = sent * np.exp(0.25j * np.pi)  # both parts change, each at its time
    channel = Channel(str(rng.choice(pulses)), 9.6)
    iq, spacing = transmit(sent, channel, rng, staggered=name == "OQPSK")
    return Made(iq, symbol_rate * spacing, name, symbol_rate, order=order)


_PHASES = {"BPSK": 2, "QPSK": 4, "8PSK": 8, "16PSK": 16}
_POINTS = (
    *("BPSK", "BPSK", "QPSK", "QPSK", "8PSK", "16PSK"),
    *("4ASK", "8QAM", "16QAM", "32QAM", "64QAM", "16APSK"),
)
_ROOTS = ["RRC 0.2", "RRC 0.25", "RRC 0.35", "RRC 0.5"]


def linear(rng: Rng) -> Made:
    """PSK, ASK and QAM of `transmitters.py`."""
    name = str(
        rng.choice(
            [
                "BPSK",
                "BPSK",
                "QPSK",
                "QPSK",
                "8PSK",
                "16PSK",
                "4ASK",
                "8QAM",
                "16QAM",
                "32QAM",
                "64QAM",
                "16APSK",
            ]
        )
    )
    return _linear(rng, name, [*_ROOTS, "RRC 0.1", "RRC 0.6", "RC 0.35", "Gaussian"], _PHASES.get(name, 0))


def pi4dqpsk(rng: Rng) -> Made:
    """TETRA and its like."""
    return _linear(rng, "pi/4-DQPSK", _ROOTS)


def oqpsk(rng: Rng) -> Made:
    """Satellites' staggered QPSK."""
    return _linear(rng, "OQPSK", _ROOTS)


_SYSTEMS = (
    (64, 52, 16, 312.5e3, False),
    (64, 56, 8, 312.5e3, False),
    (256, 200, 32, 15.625e3, False),
    (128, 72, 9, 15e3, False),
    (512, 300, 36, 15e3, False),
    (288, 206, 64, 41.66, True),
    (2048, 1705, 128, 4464.0, True),
    (512, 384, 126, 4e3, False),
    (64, 52, 16, 156.25e3, False),
    (32, 26, 8, 31.25e3, False),
    (1024, 768, 252, 2e3, False),
)
"""Size of the transform, subcarriers in use, prefix, spacing in Hz, whether the middle is used."""


def ofdm(rng: Rng) -> Made:
    """Wireless networks, broadcast and mobile radio; symbols made long, with soft edges in some."""
    size, used, prefix, spacing, middle = _SYSTEMS[rng.integers(len(_SYSTEMS))]
    times = 8 * size // used
    many = 4 if used > 600 else 12
    blocks = int(max(many, span(used * spacing) * spacing * size / (size + prefix)))
    grid = np.zeros((blocks, size * times), complex)
    half = used // 2
    at = np.concatenate([np.arange(1, half + 1), np.arange(-half, 0)])
    if middle:
        at = np.append(at, 0)
    points = str(rng.choice(["BPSK", "QPSK", "16QAM", "64QAM"]))
    data = symbols(points, blocks * len(at), rng).reshape(blocks, -1)
    pilots = np.arange(len(at)) % int(rng.choice([7, 12, 14])) == 3
    data[:, pilots] = rng.choice([-1, 1], int(pilots.sum())) * rng.choice([1.0, 1.33])
    grid[:, at] = data
    body = np.fft.ifft(grid, axis=1)
    iq = np.hstack([body[:, -prefix * times :], body]).ravel()
    if rng.random() < 0.4:
        ramp = np.hanning(2 * (times * prefix // 8) + 1)
        iq = iq * 1.0
        length = (size + prefix) * times
        edge = len(ramp) // 2
        window = np.ones(length)
        window[:edge], window[length - edge :] = ramp[:edge], ramp[len(ramp) - edge :]
        iq = iq * np.tile(window, blocks)
    return Made(iq, size * times * spacing, "OFDM", spacing * size / (size + prefix), spacing=spacing)


def chirp(rng: Rng) -> Made:
    """LoRa frames, and altimeters and ocean radars."""
    if rng.random() < 0.6:
        factor, wide = int(rng.integers(7, 13)), float(rng.choice([7.8e3, 41.7e3, 125e3, 250e3, 500e3]))
        chips, times = 1 << factor, 8
        n = np.arange(chips * times) / times
        length = max(3, -(-4000 // chips))
        words = rng.integers(chips, size=length)
        words[: int(rng.integers(0, min(8, length)))] = 0
        f = np.concatenate([((n + word) % chips) / chips - 0.5 for word in words])
        rate = wide * times
        return Made(wave(f / times), rate, "LoRa", wide / chips, bandwidth=wide)
    wide, product = log_drawn(rng, 20e3, 50e6), log_drawn(rng, 60, 1500)
    rate = 8 * wide
    period = product / wide
    t = np.arange(int(3500 / wide * rate)) / rate + rng.uniform(0, period)
    saw = (t / period) % 1.0
    if rng.random() < 0.4:
        saw = 2 * np.abs(saw - 0.5)
    saw = (saw - 0.5) * rng.choice([-1, 1])
    return Made(wave(wide * saw / rate), rate, "FMCW", bandwidth=wide)


def _register(length: int, taps: tuple[int, int]) -> NDArray[np.int64]:
    state, out = [1] * length, []
    for _ in range((1 << length) - 1):
        out.append(state[-1])
        state = [state[taps[0] - 1] ^ state[taps[1] - 1], *state[:-1]]
    return 1 - 2 * np.array(out)


_CODES: Mapping[int, tuple[int, int]] = {5: (5, 3), 6: (6, 5), 7: (7, 6), 4: (4, 3)}


def dsss(rng: Rng) -> Made:
    """Barker's code of wireless networks, and codes of shift registers of 15 to 127 chips."""
    if rng.random() < 0.35:
        code, rate = np.array([1, -1, 1, 1, -1, 1, 1, 1, -1, -1, -1]), 11e6
    else:
        length = int(rng.choice([4, 5, 6, 7]))
        code, rate = _register(length, _CODES[length]), log_drawn(rng, 10e3, 5e6)
    count = int(span(1.3 * rate) * rate)
    data = np.exp(2j * np.pi * rng.integers(2, size=count // len(code) + 1) / 2)
    if rng.random() < 0.3:
        data = np.exp(0.5j * np.pi * rng.integers(4, size=len(data)))
    chips = (data[:, None] * code[None, :]).ravel()[:count]
    iq, spacing = transmit(
        chips, Channel(str(rng.choice(["RRC 0.35", "RRC 0.5", "RRC 0.25", "Gaussian"])), 9.6), rng
    )
    return Made(iq, rate * spacing, "DSSS", rate)
