# SPDX-License-Identifier: GPL-3.0-or-later
"""Signals of systems on the air, written with NumPy from their published parameters, with no code of the module.

Formulas are others than the module's on purpose: a LoRa chirp's phase is a sum of whole steps, as a transmitter's
counter makes it; a Gaussian filter is a product of spectra; OFDM is a sum over an inverse transform.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from toolkits_channel import Sent, bursts

__all__ = ["signals", "version"]

Reals = NDArray[np.float64]
Complex = NDArray[np.complex128]
Rng = np.random.Generator


def version(toolkit: str) -> str | None:
    """Return the version of what makes them."""
    return f"NumPy {np.__version__}"


def _gauss(values: Reals, size: int, bt: float) -> Reals:
    """Return symbols held for `size` samples, behind a Gaussian filter of bandwidth times symbol time `bt`."""
    held = np.repeat(values, size)
    at = np.fft.rfftfreq(len(held), 1 / size)  # in symbol rates
    return np.fft.irfft(np.fft.rfft(held) * np.exp(-np.log(2) / 2 * (at / bt) ** 2), len(held))


def _wave(frequency: Reals, rate: float) -> Complex:
    return np.asarray(np.exp(2j * np.pi * np.cumsum(frequency) / rate))


def _root(values: NDArray[Any], size: int, roll_off: float) -> NDArray[Any]:
    """Return symbols behind a root-raised-cosine filter, made in frequency."""
    spread = np.zeros(len(values) * size, np.result_type(values, np.float64))
    spread[::size] = values
    at = np.abs(np.fft.fftfreq(len(spread), 1 / size))
    edge = np.clip((at - (1 - roll_off) / 2) / roll_off, 0, 1)
    return np.asarray(np.fft.ifft(np.fft.fft(spread) * np.cos(np.pi / 2 * edge)) * size)


def _bits(rng: Rng, count: int) -> Reals:
    return 2.0 * rng.integers(2, size=count) - 1


def signals(toolkit: str, rng: Rng) -> Iterator[Sent]:
    """Yield a signal of each kind."""
    yield from _two_tones(rng)
    yield from _more_tones(rng)
    yield from _phases(rng)
    yield from _carriers(rng)
    yield from _keyed(rng)
    yield from _chirps(rng)
    yield from _on_carriers(rng)


def _two_tones(rng: Rng) -> Iterator[Sent]:
    size = 8
    for name, rate, index, bt, on, every in (
        # in symbols: a packet, and how often there is one
        ("BLE, h .5", 1e6, 0.5, 0.5, 376, 1200),
        ("BLE, h .45", 1e6, 0.45, 0.5, 128, 500),
        ("Bluetooth, h .32", 1e6, 0.32, 0.5, 366, 625),
        ("DECT", 1.152e6, 0.5, 0.5, 424, 960),
        ("GSM bursts", 270_833.0, 0.5, 0.3, 148, 1250),
        ("GSM, all slots", 270_833.0, 0.5, 0.3, 148, 156),
        ("AIS", 9600.0, 0.5, 0.4, 256, 512),
        ("D-STAR", 4800.0, 0.5, 0.5, 0, 0),
        ("M-Bus T", 100e3, 1.0, 4.0, 600, 1500),
        ("Z-Wave R2", 40e3, 1.0, 4.0, 400, 900),
        ("POCSAG 1200", 1200.0, 7.5, 2.0, 0, 0),
        ("ACARS-like MSK", 2400.0, 0.5, 20.0, 0, 0),
        ("9600 Bd, G3RUH", 9600.0, 0.6, 0.5, 0, 0),
        ("RTTY", 45.45, 3.74, 20.0, 0, 0),
        ("weather sonde", 4800.0, 1.0, 0.5, 0, 0),
    ):
        count = int(np.clip(0.06 * rate, 400, 25_000)) if rate < 2e5 else 25_000
        if rate < 1e3:
            count = 200
        frequency = _gauss(_bits(rng, count), size, bt) * index * rate / 2
        samples = _wave(frequency, size * rate)
        if on:
            samples = bursts(samples[: len(samples) // (on * size) * on * size], on * size, every * size)[
                :300_000
            ]
        yield Sent(name, samples, size * rate, ("fsk2",), rate, index * rate / 2 if bt > 1 else 0.0)
    # Zigbee: chips of a code as O-QPSK with half-sine pulses, 2 Mchip/s
    code = rng.integers(2, size=(16, 32)) * 2 - 1
    chips = code[rng.integers(16, size=600)].ravel()
    half = np.sin(np.pi * np.arange(16) / 16)
    real = np.kron(chips[0::2], half)
    imaginary = np.roll(np.kron(chips[1::2], half), 8)
    yield Sent("802.15.4", real + 1j * imaginary, 16e6, ("oqpsk", "fsk2", "dsss"))


def _more_tones(rng: Rng) -> Iterator[Sent]:
    size = 10
    for name, rate, spacing, roll_off, on, every in (
        ("DMR bursts", 4800.0, 1296.0, 0.2, 132, 288),
        ("DMR, both slots", 4800.0, 1296.0, 0.2, 0, 0),
        ("NXDN 2400", 2400.0, 700.0, 0.2, 0, 0),
        ("P25 C4FM", 4800.0, 1200.0, 0.2, 0, 0),
        ("YSF", 4800.0, 1800.0, 0.2, 0, 0),
        ("M17", 4800.0, 1600.0, 0.5, 0, 0),
    ):
        levels = 2.0 * rng.integers(4, size=1000 if rate > 3e3 else 600) - 3
        shaped = _root(levels, size, roll_off).real
        samples = _wave(shaped * spacing / 2, size * rate)
        if on:
            samples = bursts(samples, on * size, every * size)
        yield Sent(name, samples, size * rate, ("fsk4",), rate)
    levels = np.repeat(2.0 * rng.integers(4, size=400) - 3, 32)
    yield Sent(
        "FLEX 3200/4", _wave(levels * 1600.0, 1600 * 32.0), 1600 * 32.0, ("fsk4",), 1600.0, 0.0, 3200.0
    )
    for name, rate, count, spacing in (
        ("FT8", 6.25, 8, 6.25), ("MFSK16", 15.625, 16, 15.625), ("ALE", 125.0, 8, 250.0),
        ("Olivia 32", 31.25, 32, 31.25),
    ):  # fmt: skip
        size = 512 if count > 8 else 256
        tones = rng.integers(count, size=int(min(600, 8 * rate + 60)))
        shaped = _gauss(tones * spacing, size, 2.0 if name == "FT8" else 50.0)
        yield Sent(name, _wave(shaped, size * rate), size * rate, ("fskm",), rate, 0.0, spacing)


def _phases(rng: Rng) -> Iterator[Sent]:
    size = 8
    for name, rate, roll_off, on, every in (
        ("TETRA", 18e3, 0.35, 0, 0),
        ("TETRA burst", 18e3, 0.35, 231, 1020),
    ):
        turns = np.cumsum(rng.integers(4, size=5000) * 2 + 1)
        samples = _root(np.exp(1j * np.pi / 4 * turns), size, roll_off)
        if on:
            samples = bursts(samples, on * size, every * size)
        yield Sent(name, samples, size * rate, ("pi4dqpsk",), rate)
    turns = np.cumsum(rng.integers(8, size=8000))
    yield Sent(
        "VDL 2, D8PSK", _root(np.exp(1j * np.pi / 4 * turns), size, 0.6), 8 * 10.5e3, ("linear",), 10.5e3
    )
    swap = np.repeat(np.cumprod(_bits(rng, 400)), 128)
    swell = np.convolve(swap, np.hanning(128) / np.hanning(128).sum(), "same")
    yield Sent("PSK31", swell + 0j, 31.25 * 128, ("linear",), 31.25)
    symbols = np.repeat(np.exp(1j * (np.pi / 4 + np.pi / 2 * rng.integers(4, size=20_000))), 8)
    yield Sent("QPSK, no filter", symbols, 8e6, ("linear",), 1e6)
    first, second = _root(_bits(rng, 15_000), 8, 0.35).real, _root(_bits(rng, 15_000), 8, 0.35).real
    yield Sent("OQPSK, root raised cosine", first + 1j * np.roll(second, 4), 8 * 72e3, ("oqpsk",), 72e3)
    code = np.array([1, -1, 1, 1, -1, 1, 1, 1, -1, -1, -1.0])
    chips = np.kron(np.cumprod(_bits(rng, 3000)), code)
    yield Sent("802.11b, 1 Mb/s", _root(chips, 2, 0.5), 22e6, ("dsss",), 11e6)


def _ofdm(rng: Rng, size: int, used: NDArray[np.int64], prefix: int, count: int, order: int = 4) -> Complex:
    grid = np.zeros((count, size), np.complex128)
    side = int(np.sqrt(order))
    points = (2.0 * rng.integers(side, size=(2, count, len(used))) - side + 1) if order > 2 else None
    if points is None:
        grid[:, used] = _bits(rng, count * len(used)).reshape(count, -1)
    else:
        grid[:, used] = points[0] + 1j * points[1]
    bodies = np.fft.ifft(grid, axis=1) * np.sqrt(size)
    return np.concatenate([bodies[:, size - prefix :], bodies], axis=1)


def short_training() -> Complex:
    """Return the short training symbols that a frame of IEEE 802.11a begins with, complex128 [160]."""
    short = np.zeros(64, np.complex128)
    short[np.r_[-24:0:4, 4:28:4]] = np.array([1, -1, 1, -1, -1, 1, -1, -1, 1, 1, 1, 1]) * (1 + 1j)
    return np.tile(np.fft.ifft(short) * 8 * np.sqrt(13 / 6), 3)[:160]


def _carriers(rng: Rng) -> Iterator[Sent]:
    used = np.r_[1:27, -26:0]
    preamble = short_training()
    packets = []
    for _ in range(14):
        long = _ofdm(rng, 64, used, 0, 1, 2).ravel()
        start = np.concatenate([long[32:], long, long])
        data = _ofdm(rng, 64, used, 16, int(rng.integers(20, 120)), 16).ravel()
        packets += [preamble, start, data, np.zeros(int(rng.integers(1000, 6000)))]
    yield Sent("802.11a packets", np.concatenate(packets), 20e6, ("ofdm",), 250e3, 0.0, 312.5e3)
    for name, size, side in (("LTE 1.4 MHz", 128, 36), ("LTE 5 MHz", 512, 150)):
        used = np.r_[1 : side + 1, -side:0]
        slots = []
        for _ in range(60 if size == 128 else 30):
            slots.append(_ofdm(rng, size, used, 10 * size // 128, 1, 16).ravel())
            slots.append(_ofdm(rng, size, used, 9 * size // 128, 6, 16).ravel())
        yield Sent(name, np.concatenate(slots), 15e3 * size, ("ofdm",), 0.0, 0.0, 15e3)
    used = np.r_[1:769, -768:0]
    frames = [np.concatenate([np.zeros(2656), _ofdm(rng, 2048, used, 504, 76).ravel()]) for _ in range(2)]
    yield Sent("DAB", np.concatenate(frames), 2.048e6, ("ofdm",), 2.048e6 / 2552, 0.0, 1000.0)
    used = np.r_[1:104, -103:0]
    yield Sent(
        "DRM", _ofdm(rng, 1152 // 4, used, 64, 300, 16).ravel(), 12e3, ("ofdm",), 12e3 / 352, 0.0, 12e3 / 288
    )


def _keyed(rng: Rng) -> Iterator[Sent]:
    size = 20
    narrow, wide = [1, 0, 0], [1, 1, 0]
    for name, code in (
        ("PWM fob", (narrow, wide)),
        ("Manchester fob", ([0, 1], [1, 0])),
        ("PPM fob", ([1, 0, 0], [1, 0, 0, 0, 0])),
    ):
        words = []
        for _ in range(12):
            for bit in rng.integers(2, size=40):
                words += code[bit]
            words += [0] * 31
        keyed = np.repeat(np.array(words, float), size)
        keyed = np.convolve(keyed, np.ones(5) / 5, "same")
        chip = 1 / float(rng.choice([200e-6, 350e-6, 500e-6]))
        yield Sent(name, keyed + 0j, size * chip, ("ook",))
    keyed = []
    for _ in range(160):
        word = [1, 0, 1, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0]
        for bit in rng.integers(2, size=112):
            word += [1, 0] if bit else [0, 1]
        keyed += word + [0] * int(rng.integers(100, 900))
    samples = np.repeat(np.array(keyed, float), 4) + 0j
    yield Sent("Mode S", samples[:300_000], 8e6, ("pulse", "ook"))
    letters = [".-", "-...", "-.-.", "-..", ".", "..-.", "--.", "....", "..", "---", ".-.", "...", "-", "..-"]
    keys = []
    for _ in range(30):
        for sign in letters[int(rng.integers(len(letters)))]:
            keys += [1] * (1 if sign == "." else 3) + [0]
        keys += [0, 0] + ([0] * 4 if rng.integers(5) == 0 else [])
    shaped = np.convolve(np.repeat(np.array(keys, float), 400), np.hanning(40) / np.hanning(40).sum(), "same")
    yield Sent("Morse, 20 words a minute", shaped + 0j, 400 / 0.06, ("ook", "carrier"))
    shape = np.zeros(10_000)
    shape[:100] = 1
    yield Sent("radar, 10 us each ms", np.tile(shape, 30) + 0j, 10e6, ("pulse", "ook"))
    sweep = np.exp(1j * np.pi * np.cumsum(np.linspace(-1, 1, 400)) * 0.4)
    shape = np.zeros(10_000, np.complex128)
    shape[:400] = sweep
    yield Sent("radar, chirped pulses", np.tile(shape, 30), 10e6, ("pulse", "chirp"))


def _chirps(rng: Rng) -> Iterator[Sent]:
    for factor, width in ((7, 125e3), (9, 250e3), (12, 125e3)):
        count = 2**factor
        phases = []
        for number in [0] * 8 + [int(value) for value in rng.integers(count, size=40 if factor < 12 else 12)]:
            place = (np.arange(4 * count) / 4 + number) % count  # a counter that wraps, four steps a chip
            phases.append((place - count / 2) / count / 4)
        samples = np.exp(2j * np.pi * np.cumsum(np.concatenate(phases)))
        yield Sent(f"LoRa SF{factor}, {width / 1e3:g} kHz", samples, 4 * width, ("chirp",))
    ramp = np.linspace(-1, 1, 4000)
    triangle = np.concatenate([ramp, ramp[::-1]])
    yield Sent("FMCW, sawtooth", np.exp(1j * np.pi * np.cumsum(np.tile(ramp, 60)) * 0.5), 10e6, ("chirp",))
    yield Sent(
        "FMCW, triangle", np.exp(1j * np.pi * np.cumsum(np.tile(triangle, 30)) * 0.5), 10e6, ("chirp",)
    )


def _on_carriers(rng: Rng) -> Iterator[Sent]:
    rate, count = 48e3, 96_000
    at = np.arange(count) / rate
    tones = np.where(np.repeat(rng.integers(2, size=count // 40), 40) > 0, 1200.0, 2200.0)
    audio = np.sin(2 * np.pi * np.cumsum(tones) / rate)
    yield Sent("AFSK 1200 in FM", _wave(3000 * audio, rate), rate, ("fm_narrow",))
    picture = np.repeat(rng.uniform(0.1, 1, size=count // 12), 12) * np.sin(2 * np.pi * 2400 * at)
    yield Sent("NOAA APT", _wave(17e3 * picture, rate), rate, ("fm_narrow", "fm_wide"))
    yield Sent("a tone", np.ones(count) + 0j, rate, ("carrier",))

    def tone(hertz: float) -> Reals:
        return np.asarray(np.sin(2 * np.pi * hertz * at))

    yield Sent("DTMF in AM", 1 + 0.4 * (tone(941) + tone(1336)) + 0j, rate, ("am",), width=3e3)
    turning = np.sin(2 * np.pi * 9960 * at + 16 * tone(30))
    yield Sent("VOR", 1 + 0.3 * tone(30) + 0.3 * turning + 0j, rate, ("am",), width=21e3)
    yield Sent("ILS localizer", 1 + 0.2 * tone(90) + 0.22 * tone(150) + 0j, rate, ("am",), width=400.0)
