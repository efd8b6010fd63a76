# SPDX-License-Identifier: GPL-3.0-or-later
"""Wide waves from published definitions, with parameters drawn at random: line codes, chirps, radar, OFDM, sequences.

Line codes (CCSDS 401, ISO 14443), linear FM and coded pulses (Levanon and Mozeson, Radar Signals, 2004: Barker, Frank,
P4, Costas, stepped and nonlinear FM), FMCW, LoRa frames (Semtech AN1200.22; Vangelista 2017), OFDM with the numbers of
802.11, 802.16, LTE, DVB-T (EN 300 744), DAB and DRM, direct sequences with Barker, maximal, Gold and long codes,
transponders (ICAO Annex 10 IV), and two emissions side by side. NumPy alone.
"""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray
from toolkits_channel import Sent, shifted
from toolkits_published import short_training

__all__ = ["KINDS", "signals", "version"]

Complex = NDArray[np.complex128]
Reals = NDArray[np.float64]
Rng = np.random.Generator

BARKER = {
    7: [1, 1, 1, -1, -1, 1, -1],
    11: [1, -1, 1, 1, -1, 1, 1, 1, -1, -1, -1],
    13: [1, 1, 1, 1, 1, -1, -1, 1, 1, -1, 1, -1, 1],
}
TAPS = {3: (3, 2), 4: (4, 3), 5: (5, 3), 6: (6, 5), 7: (7, 6), 8: (8, 6, 5, 4), 9: (9, 5), 10: (10, 7)}
LONGEST = 600_000
"""Samples of a wave, about."""


def version(toolkit: str) -> str:
    """Return whose waves these are: nobody's toolkit."""
    return "published"


def signals(toolkit: str, rng: Rng) -> Iterator[Sent]:
    """Yield a signal of each kind."""
    for kind in KINDS.values():
        yield kind(rng)


def _signs(rng: Rng, count: int) -> Reals:
    return 2.0 * rng.integers(2, size=count) - 1


def _turns(rng: Rng, count: int) -> Complex:
    return np.asarray(np.exp(1j * (np.pi / 4 + np.pi / 2 * rng.integers(4, size=count))))


def _log(rng: Rng, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _shaped(values: NDArray[np.complex128] | Reals, size: int, roll_off: float) -> Complex:
    """Return symbols with root raised cosine pulses, periodic."""
    spread = np.zeros(len(values) * size, np.complex128)
    spread[::size] = values
    at = np.abs(np.fft.fftfreq(len(spread), 1 / size))
    edge = np.clip((at - (1 - roll_off) / 2) / roll_off, 0, 1)
    return np.asarray(np.fft.ifft(np.fft.fft(spread) * np.cos(np.pi / 2 * edge)) * size)


def _wave(frequency: Reals, rate: float) -> Complex:
    return np.asarray(np.exp(2j * np.pi * np.cumsum(frequency) / rate))


def _maximal(degree: int) -> Reals:
    """Return a maximal sequence of signs."""
    state, out = [1] * degree, []
    for _ in range(2**degree - 1):
        out.append(1.0 - 2 * state[-1])
        state = [sum(state[tap - 1] for tap in TAPS[degree]) % 2, *state[:-1]]
    return np.array(out)


# Line codes


def _halves(rng: Rng, code: str, count: int) -> Reals:
    """Return half bits of a line code, as signs."""
    bits = rng.integers(2, size=count)
    if code == "manchester":
        return np.kron(2.0 * bits - 1, [1, -1])
    if code == "differential":  # a change at each bit's beginning, and in its middle for a 0
        turns = np.ones(2 * count, int)
        turns[1::2] = 1 - bits
    else:  # Miller: in the middle for a 1; between two 0s at the border
        turns = np.zeros(2 * count, int)
        turns[1::2] = bits
        turns[2::2] = (bits[1:] == 0) & (bits[:-1] == 0)
    return 1.0 - 2 * (np.cumsum(turns) % 2)


def _coded(rng: Rng, code: str, how: str) -> Sent:
    size = int(rng.integers(3, 9))
    rate = _log(rng, 1e3, 500e3)
    halves = _halves(rng, code, int(rng.integers(300, 8000)))
    if how == "frames":  # the same word again and again, as of a key fob, with a pause
        word = halves[: int(rng.integers(32, 160))]
        halves = np.tile(np.concatenate([(word + 1) / 2, np.zeros(int(rng.integers(12, 60)))]), 30)
    levels = (
        halves if how == "phase" else np.exp(1j * rng.uniform(0.7, 1.2) * halves) if how == "rest" else None
    )
    if levels is None:
        levels = halves if how == "frames" else (halves + 1) / 2
    if how == "phase" and rng.integers(2):
        samples = _shaped(levels, size, rng.uniform(0.2, 0.6))
    else:
        samples = np.convolve(np.repeat(levels, size), np.ones(2) / 2, "same") + 0j
    names = ("linear",) if how == "phase" else ("ook",) if how != "rest" else ("linear", "carrier")
    return Sent(f"{code}, {how}", samples[:LONGEST], 2 * size * rate, names)


# Chirps and radar


def _trained(pulse: Complex, gaps: list[int], count: int) -> Complex:
    """Return a train of pulses, the gaps after them by turns."""
    parts = []
    for number in range(count):
        parts += [pulse, np.zeros(gaps[number % len(gaps)], np.complex128)]
    return np.concatenate(parts)[:LONGEST]


def _pulsed(rng: Rng, pulse: Complex, rate: float, name: str, *names: str) -> Sent:
    duty = _log(rng, 0.03, 0.6)
    gap = round(len(pulse) * (1 / duty - 1))
    gaps = [gap] if rng.integers(3) else [gap, round(1.25 * gap), round(1.11 * gap)]
    count = max(4, min(60, LONGEST // (len(pulse) + gap)))
    return Sent(name, _trained(pulse, gaps, count), rate, names)


def _ramp(rng: Rng, count: int, width: float) -> Complex:
    return _wave(np.linspace(-width / 2, width / 2, count) * (1 if rng.integers(2) else -1), 1.0)


def _lfm(rng: Rng) -> Sent:
    product = _log(rng, 16, 400)
    count = round(product * 4)
    return _pulsed(rng, _ramp(rng, count, 0.25), 4 * _log(rng, 0.1e6, 3e6), "LFM pulses", "chirp", "pulse")


def _nlfm(rng: Rng) -> Sent:
    count = round(4 * _log(rng, 30, 300))
    at = np.linspace(-1, 1, count)
    pulse = _wave(0.125 * (0.6 * at + 0.4 * at**5) * (1 if rng.integers(2) else -1), 1.0)
    return _pulsed(rng, pulse, 4 * _log(rng, 0.2e6, 3e6), "NLFM pulses", "chirp", "pulse")


def _fmcw(rng: Rng, shape: str) -> Sent:
    product = _log(rng, 40, 2000)
    count = round(product * 4)
    up = np.linspace(-0.125, 0.125, count)
    if shape == "triangle":
        sweep = np.concatenate([up, up[::-1]])
    elif shape == "flyback":
        sweep = np.concatenate([up, np.linspace(0.125, -0.125, max(4, count // 10))])
    else:
        sweep = up if rng.integers(2) else up[::-1]
    times = max(3, min(200, LONGEST // len(sweep)))
    samples = _wave(np.tile(sweep, times), 1.0)
    if shape == "bursts":
        some = int(rng.integers(4, 17)) * len(sweep)
        on = np.arange(len(samples)) % int(some * rng.uniform(1.3, 3)) < some
        samples = samples * on
    return Sent(f"FMCW {shape}", samples[:LONGEST], 4 * _log(rng, 0.1e6, 4e6), ("chirp",))


def _stepped(rng: Rng) -> Sent:
    steps, long = int(rng.choice([8, 16, 32, 64])), int(rng.integers(40, 300))
    order = np.arange(steps) if rng.integers(2) else rng.permutation(steps)  # or Costas-like
    frequency = np.repeat((order - (steps - 1) / 2) / steps / 4, long)
    samples = _wave(np.tile(frequency, max(3, min(60, LONGEST // len(frequency)))), 1.0)[:LONGEST]
    return Sent("stepped FM, CW", samples, 4 * _log(rng, 0.2e6, 4e6), ("fskm", "chirp"))


def _costas(rng: Rng) -> Sent:
    order = np.array(
        [[2, 4, 6, 5, 3, 1, 0], [4, 7, 1, 6, 5, 2, 9, 3, 8, 0]][int(rng.integers(2))][:10], float
    )
    long = int(rng.integers(30, 200))
    pulse = _wave(np.repeat((order - order.mean()) / len(order) / 4, long), 1.0)
    return _pulsed(rng, pulse, 4 * _log(rng, 0.2e6, 4e6), "Costas pulses", "pulse", "fskm", "ook")


def _phases(rng: Rng, kind: str) -> Sent:
    size = int(rng.integers(3, 7))
    if kind == "Barker":
        chips = np.array(BARKER[int(rng.choice([7, 11, 13]))], complex)
    elif kind == "Frank":
        root = int(rng.integers(4, 9))
        chips = np.exp(2j * np.pi / root * np.outer(np.arange(root), np.arange(root))).ravel()
    else:
        count = int(rng.integers(16, 101))
        at = np.arange(count)
        chips = np.exp(1j * np.pi * (at * at / count - at))
    pulse = np.repeat(chips, size)
    names = "pulse", "ook", "dsss" if kind == "Barker" else "chirp"
    return _pulsed(rng, pulse, size * _log(rng, 0.2e6, 3e6), f"{kind} pulses", *names)


def _plain(rng: Rng) -> Sent:
    pulse = np.ones(int(rng.integers(8, 60)), complex)
    return _pulsed(rng, pulse, 8 * _log(rng, 0.1e6, 2e6), "plain pulses", "pulse", "ook")


def _coded_cw(rng: Rng) -> Sent:
    degree, size = int(rng.integers(4, 10)), 4
    code = _maximal(degree)
    chips = np.tile(code, max(4, 60_000 // len(code)))[:60_000]
    return Sent(
        "BPSK radar, CW", np.repeat(chips, size) + 0j, size * _log(rng, 0.2e6, 4e6), ("dsss", "linear")
    )


def _noise_radar(rng: Rng) -> Sent:
    long = round(_log(rng, 200, 20_000))
    size = 4 * long
    spectrum = np.zeros(size, np.complex128)
    inside = np.abs(np.fft.fftfreq(size)) < 0.125
    spectrum[inside] = rng.standard_normal((inside.sum(), 2)) @ [1, 1j]
    pulse = np.fft.ifft(spectrum) * size
    return _pulsed(rng, pulse, 4 * _log(rng, 0.2e6, 4e6), "noise radar pulses", "pulse", "noise")


def _lora(rng: Rng) -> Sent:
    factor = int(rng.integers(5, 13))
    width = float(rng.choice([62.5e3, 125e3, 250e3, 500e3, 203.125e3, 812.5e3]))
    count, over = 2**factor, 4
    at = np.arange(over * count) / over

    def sweep(number: int, sign: int = 1) -> Reals:
        return np.asarray(sign * (((at + number) % count) - count / 2) / count / over)

    frames = []
    for _ in range(4):
        parts = [sweep(0)] * int(rng.integers(8, 13)) + [sweep(8), sweep(16), sweep(0, -1), sweep(0, -1)]
        parts += [sweep(0, -1)[: over * count // 4]]
        parts += [sweep(int(value)) for value in rng.integers(count, size=int(rng.integers(8, 60)))]
        frames += [_wave(np.concatenate(parts), 1.0), np.zeros(int(rng.integers(1, 20)) * over * count)]
        if sum(map(len, frames)) > LONGEST:
            break
    return Sent("LoRa", np.concatenate(frames)[:LONGEST], over * width, ("chirp",), width / count)


# OFDM


def _ofdm(rng: Rng, size: int, used: NDArray[np.int64], prefix: int, count: int, order: int = 4) -> Complex:
    side = int(np.sqrt(order))
    points = 2.0 * rng.integers(side, size=(2, count, len(used))) - side + 1
    grid = np.zeros((count, size), np.complex128)
    grid[:, used] = points[0] + 1j * points[1]
    bodies = np.fft.ifft(grid, axis=1) * np.sqrt(size)
    return np.concatenate([bodies[:, size - prefix :], bodies], axis=1)


def _dvbt(rng: Rng) -> Sent:
    width = float(rng.choice([8e6, 7e6, 6e6, 1.712e6]))
    part = int(rng.choice([32, 32, 16, 8, 4]))
    size, half = 2048, 852
    grid = _ofdm(rng, size, np.r_[-half : half + 1], size // part, 280, int(rng.choice([4, 16, 64])))
    rate = width * 8 / 7
    spacing = rate / size
    sent = grid.ravel()[:LONGEST]
    return Sent(f"DVB-T 2K, 1/{part}", sent, rate, ("ofdm",), spacing / (1 + 1 / part), 0.0, spacing)


def _wifi(rng: Rng) -> Sent:
    rate = 20e6 * float(rng.choice([0.25, 0.5, 1]))
    used = np.r_[1:27, -26:0]
    preamble = short_training()
    packets = []
    for _ in range(14):
        values = np.zeros(64, np.complex128)
        values[used] = _signs(rng, 52)
        long = np.fft.ifft(values) * 8
        data = _ofdm(rng, 64, used, 16, int(rng.integers(3, 40)), int(rng.choice([4, 16, 64]))).ravel() / 1.4
        packets += [preamble, long[32:], long, long, data, np.zeros(int(rng.integers(300, 6000)))]
    return Sent(
        "802.11a, short frames", np.concatenate(packets)[:LONGEST], rate, ("ofdm",), rate / 80, 0.0, rate / 64
    )


def _frames(rng: Rng) -> Sent:
    size = int(rng.choice([64, 128, 256, 512, 1024]))
    part = int(rng.choice([4, 8, 16, 32]))
    half = int(size * rng.uniform(0.3, 0.42))
    rate = size * _log(rng, 1e3, 60e3)
    parts = []
    for _ in range(6):
        parts += [
            _ofdm(rng, size, np.r_[1 : half + 1, -half:0], size // part, int(rng.integers(3, 16)), 16).ravel()
        ]
        parts += [np.zeros(int(rng.uniform(1, 6) * size), np.complex128)]
    samples = np.concatenate(parts)[:LONGEST]
    spacing = rate / size
    return Sent(f"OFDM frames, 1/{part}", samples, rate, ("ofdm",), spacing / (1 + 1 / part), 0.0, spacing)


def _steady(rng: Rng) -> Sent:
    size = int(rng.choice([64, 128, 256, 512, 1024, 2048]))
    part = int(rng.choice([4, 8, 14, 16, 32]))
    half = int(size * rng.uniform(0.28, 0.42))
    rate = size * _log(rng, 300, 60e3)
    samples = _ofdm(
        rng, size, np.r_[1 : half + 1, -half:0], size // part, max(12, 400_000 // size), 16
    ).ravel()
    spacing = rate / size
    exact = spacing / (1 + (size // part) / size)
    return Sent(f"OFDM, 1/{part}", samples[:LONGEST], rate, ("ofdm",), exact, 0.0, spacing)


# Direct sequences


def _spread(rng: Rng, kind: str) -> Sent:
    size, count = 4, 40_000
    if kind == "Barker":
        code = np.array(BARKER[int(rng.choice([7, 11, 13]))], float)
    elif kind == "maximal":
        code = _maximal(int(rng.integers(3, 9)))
    else:
        code = _maximal(10) * np.roll(_maximal(10), int(rng.integers(1023)))
    each = 1 if kind != "Gold" else int(rng.choice([1, 4, 20]))
    long = count // len(code) + 1
    data = np.repeat(_signs(rng, long) + 0j if rng.integers(2) else _turns(rng, long), each)[:long]
    chips = np.kron(data, code)
    rate = _log(rng, 50e3, 5e6)
    samples = _shaped(chips, size, rng.uniform(0.2, 0.6)) if rng.integers(3) else np.repeat(chips, size)
    names = ("dsss",) if len(code) < 800 else ("dsss", "linear")
    return Sent(f"DSSS, {kind} code", samples[:LONGEST], size * rate, names, rate)


def _long_code(rng: Rng) -> Sent:
    size, rate = 4, _log(rng, 50e3, 5e6)
    chips = _turns(rng, 40_000) if rng.integers(2) else _signs(rng, 40_000) + 0j
    samples = _shaped(chips, size, float(rng.choice([0.22, 0.35, 0.5])))
    return Sent("DSSS, long code", samples, size * rate, ("dsss", "linear"), rate)


def _downlink(rng: Rng) -> Sent:
    size, factor, users = 4, 64, int(rng.integers(4, 30))
    walsh = np.ones((1, 1))
    while len(walsh) < factor:
        walsh = np.block([[walsh, walsh], [walsh, -walsh]])
    data = _turns(rng, users * 600).reshape(600, users)
    chips = (data @ walsh[:users]).ravel() * _turns(rng, 600 * factor)
    return Sent("CDMA downlink", _shaped(chips, size, 0.22), size * _log(rng, 0.5e6, 4e6), ("dsss", "noise"))


def _zigbee(rng: Rng) -> Sent:
    base = np.array([int(one) for one in "11011001110000110101001000101110"]) * 2.0 - 1
    codes = np.array([np.roll(base, 4 * number) for number in range(8)])
    codes = np.concatenate([codes, codes * np.tile([1, -1], 16)])
    chips = codes[rng.integers(16, size=int(rng.integers(40, 260)))].ravel()
    half = np.sin(np.pi * np.arange(8) / 8)
    frame = np.kron(chips[0::2], half) + 1j * np.roll(np.kron(chips[1::2], half), 4)
    samples = np.tile(np.concatenate([frame, np.zeros(int(len(frame) * rng.uniform(0, 2)))]), 8)
    return Sent("802.15.4", samples[:LONGEST], 8e6, ("oqpsk", "fsk2", "dsss"))


# Transponders


def _parity(value: int, count: int) -> int:
    """Return the parity of a frame of Mode S, whose last 24 bits are zeros."""
    for place in range(count - 1, 23, -1):
        if value >> place & 1:
            value ^= 0x1FFF409 << (place - 24)
    return value


def _mode_s(rng: Rng) -> Sent:
    size, keyed = 10, []
    for _ in range(60):
        word = [1, 0, 1, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0]
        kind, count = [(17, 112), (11, 56)][int(rng.integers(2))]
        value = (kind << (count - 5)) | int("".join(map(str, rng.integers(2, size=count - 29))), 2) << 24
        for bit in map(int, f"{value | _parity(value, count):0{count}b}"):
            word += [1, 0] if bit else [0, 1]
        keyed += word + [0] * int(rng.integers(100, 900))
    samples = np.repeat(np.array(keyed, float), size)[: 2 * LONGEST] + 0j
    return Sent("Mode S", samples, 2e6 * size, ("pulse",), width=2e6)


def _mode_ac(rng: Rng) -> Sent:
    size, keyed = 20, []
    for _ in range(80):
        word = np.zeros(round(21 * size))
        places = [0, 20.3] + [
            1.45 * (one + 1) for one in np.flatnonzero(rng.integers(2, size=13)) if one != 6
        ]
        for place in places:
            word[round(place * size) : round((place + 0.45) * size)] = 1
        keyed += [word, np.zeros(int(rng.integers(20, 400)) * size)]
    return Sent("Mode A/C", np.concatenate(keyed)[:LONGEST] + 0j, 1e6 * size, ("pulse", "ook"), width=2.5e6)


# Two in one


def _two(rng: Rng) -> Sent:
    size = 8
    makers: list[tuple[str, Callable[[], Complex]]] = [
        ("linear", lambda: _shaped(_turns(rng, 20_000), size, 0.3)),
        ("linear", lambda: _shaped(_signs(rng, 20_000), size, 0.3)),
        ("fsk2", lambda: _wave(np.repeat(_signs(rng, 20_000), size) / size / 3, 1.0)),
        ("ofdm", lambda: _ofdm(rng, 512, np.r_[1:28, -27:0], 64, 278).ravel()[:160_000]),
        ("fsk4", lambda: _wave(np.repeat(2.0 * rng.integers(4, size=10_000) - 3, 16) / 16 / 5, 1.0)),
    ]
    names, total = [], np.zeros(160_000, np.complex128)
    apart = rng.uniform(1.2, 1.7) / size
    for side in (-0.5, 0.5):
        name, make = makers[int(rng.integers(len(makers)))]
        part = make()[:160_000]
        names.append(name)
        gain = 10 ** (rng.uniform(-6, 0) / 20) / np.sqrt(np.mean(np.abs(part) ** 2))
        total[: len(part)] += gain * shifted(part, side * apart)
    return Sent(
        f"two: {names[0]}, {names[1]}", total, size * _log(rng, 10e3, 2e6), tuple(dict.fromkeys(names))
    )


KINDS: dict[str, Callable[[Rng], Sent]] = {
    **{
        f"{code} {how}": partial(_coded, code=code, how=how)
        for code in ("manchester", "differential", "miller")
        for how in ("phase", "keys", "frames", "rest")
    },
    "lfm": _lfm,
    "nlfm": _nlfm,
    **{
        f"fmcw {shape}": partial(_fmcw, shape=shape)
        for shape in ("sawtooth", "flyback", "triangle", "bursts")
    },
    "stepped": _stepped,
    "costas": _costas,
    **{f"{kind} pulses": partial(_phases, kind=kind) for kind in ("Barker", "Frank", "P4")},
    "plain pulses": _plain,
    "coded cw": _coded_cw,
    "noise radar": _noise_radar,
    "lora": _lora,
    "dvb-t": _dvbt,
    "wifi": _wifi,
    "ofdm frames": _frames,
    "ofdm": _steady,
    **{f"dsss {kind}": partial(_spread, kind=kind) for kind in ("Barker", "maximal", "Gold")},
    "long code": _long_code,
    "downlink": _downlink,
    "zigbee": _zigbee,
    "mode s": _mode_s,
    "mode a/c": _mode_ac,
    "two": _two,
}
"""Kinds of waves, by name: each draws one."""
