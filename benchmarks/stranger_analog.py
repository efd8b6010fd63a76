# SPDX-License-Identifier: GPL-3.0-or-later
"""Strangers: noise, carriers, voices, stations, keys and pulses, made with no code of the library."""

import numpy as np
from numpy.typing import NDArray
from stranger_waves import Made, held_at, log_drawn, one_pole, packet_bits, smooth, span, wave

__all__ = ["am", "carrier", "fm_narrow", "fm_wide", "noise", "ook", "pulse", "ssb"]

_Real = NDArray[np.float64]
Rng = np.random.Generator


def _voice(rng: Rng, count: int, rate: float) -> _Real:
    """Return speech-like sound: pulses of a throat through three resonances that move, hiss, and syllables."""
    step = max(64, int(0.02 * rate))
    parts = -(-count // step)
    pitch = np.repeat(np.clip(rng.normal(120, 8, parts).cumsum() / np.arange(1, parts + 1), 70, 260), step)
    pitch = pitch * rng.uniform(0.8, 1.8) * (1 + 0.08 * np.sin(2 * np.pi * np.arange(len(pitch)) / rate * 3))
    turns = np.cumsum(pitch / rate)
    throat = np.diff(np.floor(turns), prepend=0.0)
    hiss = rng.standard_normal(len(throat)) * 0.12
    out = np.zeros(len(throat))
    place = 0
    while place < len(throat):
        length = int(rng.uniform(0.06, 0.25) * rate) + 16
        source = (throat if rng.random() < 0.75 else 3 * hiss)[place : place + length] + 0.1 * hiss[
            place : place + length
        ]
        formants = rng.uniform(300, 800), rng.uniform(900, 2200), rng.uniform(2300, 3100)
        t = np.arange(int(0.02 * rate) + 4) / rate
        taps = sum(
            np.exp(-t * 2 * np.pi * 60) * np.sin(2 * np.pi * f * t) / (k + 1) for k, f in enumerate(formants)
        )
        loud = 0.0 if rng.random() < 0.12 else log_drawn(rng, 0.2, 1)
        piece = np.convolve(source, taps)[: len(source)] * np.hanning(len(source) + 2)[1:-1]
        out[place : place + length] = loud * piece / (piece.std() + 1e-9)
        place += length
    out = out[:count]
    return np.asarray((out - out.mean()) / (out.std() + 1e-9))


def _music(rng: Rng, count: int, rate: float, top: float) -> _Real:
    """Return chords of plucked strings, with partials up to `top`."""
    t = np.arange(count) / rate
    out = np.zeros(count)
    for _ in range(max(3, int(14 * count / rate))):
        start = rng.uniform(-0.3, 1) * t[-1]
        on = t >= start
        since = t[on] - start
        note = 110 * 2 ** (rng.integers(0, 36) / 12)
        for k in range(1, 9):
            if k * note < top:
                out[on] += np.exp(-since * (2 + k)) * np.sin(2 * np.pi * k * note * since) / k
    out += 0.05 * rng.standard_normal(count)
    out = _limit_band(out, rate, 40, top)
    return np.asarray(out / (out.std() + 1e-9))


def _limit_band(x: _Real, rate: float, low: float, high: float) -> _Real:
    f = np.fft.rfftfreq(len(x), 1 / rate)
    sharp = 1 / np.sqrt(1 + (f / high) ** 16) / np.sqrt(1 + (low / np.maximum(f, 1e-3)) ** 6)
    return np.asarray(np.fft.irfft(np.fft.rfft(x) * sharp, len(x)))


def _tones(bits: NDArray[np.int64], rate: float, baud: float, mark: float, space: float, count: int) -> _Real:
    """Return a telephone modem's sound: two tones with a phase that does not jump."""
    f = np.where(held_at(bits, np.arange(count) * baud / rate) > 0, mark, space)
    return np.asarray(np.sin(2 * np.pi * np.cumsum(f) / rate))


def noise(rng: Rng) -> Made:
    """Noise through filters of several shapes, or pulsed by the mains."""
    wide = log_drawn(rng, 2e3, 2e6)
    rate = 8 * wide
    count = int(span(wide) * rate)
    x = rng.standard_normal(2 * count).view(np.complex128)
    f = np.abs(np.fft.fftfreq(count, 1 / rate))
    order = int(rng.choice([3, 5, 8]))
    x = np.fft.ifft(np.fft.fft(x) / np.sqrt(1 + (2 * f / wide) ** (2 * order)))
    if rng.random() < 0.2:
        x = x * (1 + 0.5 * np.sin(2 * np.pi * 100 * np.arange(count) / rate))
    return Made(x, rate, "noise")


_MORSE = dict(
    zip(
        "abcdefghijklmnopqrstuvwxyz0123456789",
        [
            ".-",
            "-...",
            "-.-.",
            "-..",
            ".",
            "..-.",
            "--.",
            "....",
            "..",
            ".---",
            "-.-",
            ".-..",
            "--",
            "-.",
            "---",
            ".--.",
            "--.-",
            ".-.",
            "...",
            "-",
            "..-",
            "...-",
            ".--",
            "-..-",
            "-.--",
            "--..",
            "-----",
            ".----",
            "..---",
            "...--",
            "....-",
            ".....",
            "-....",
            "--...",
            "---..",
            "----.",
        ],
        strict=True,
    )
)


def carrier(rng: Rng) -> Made:
    """A steady carrier that wanders, or Morse of words."""
    if rng.random() < 0.5:
        wide, rate = log_drawn(rng, 40, 400), 4000.0
        count = int(min(span(wide), 12.0) * rate)
        wander = (
            np.cumsum(rng.standard_normal(count)) * log_drawn(rng, 1e-4, 3e-3) + rng.uniform(-0.2, 0.2) * wide
        )
        hum = 1 + rng.choice([0, 0.03]) * np.sin(2 * np.pi * 100 * np.arange(count) / rate)
        return Made(hum * wave(wander / rate), rate, "carrier", bandwidth=wide)
    speed = rng.uniform(8, 40)
    dot, rate = 1.2 / speed, 4000.0
    count = int(min(1800 * dot / 4, 20.0) * rate)
    words = rng.choice(["cq", "de", "test", "5nn", "tu", "qrz", "name", "73", "dl1abc", "w1aw", "vvv"], 200)
    key: list[float] = []
    for word in words:
        for letter in word:
            for mark in _MORSE[letter]:
                key += [1.0] * (1 if mark == "." else 3) + [0.0]
            key += [0.0, 0.0]
        key += [0.0] * 4
    start = rng.uniform(0, 60)
    on = held_at(np.array(key), start + np.arange(count) / rate / dot).astype(np.float64)
    edge = np.hanning(int(rng.uniform(0.003, 0.012) * rate) | 1)
    on = smooth(on, edge / edge.sum())
    pull = rng.choice([0.0, 10.0]) * on
    return Made(on * wave(pull / rate), rate, "Morse", 1 / dot)


def am(rng: Rng) -> Made:
    """Speech or music on a carrier; the bandwidth is twice the highest audio frequency."""
    top = rng.uniform(2.5e3, 6e3)
    rate = 16 * top
    count = int(max(span(2 * top), 0.1) * rate)
    music = rng.random() < 0.4
    sound = _music(rng, count, rate, top) if music else _voice(rng, count, rate)
    sound = _limit_band(sound, rate, 100, top)
    depth = rng.uniform(0.4, 1.0)
    x = np.maximum(0, 1 + depth * np.clip(sound / (3 * sound.std() + 1e-9), -1, 1)) + 0j
    return Made(x, rate, "AM", bandwidth=2 * top)


def ssb(rng: Rng) -> Made:
    """A voice, one of its sidebands."""
    top, bottom = rng.uniform(2.2e3, 3.1e3), rng.uniform(150, 400)
    rate = 24e3
    count = int(max(span(2.4e3), 0.6) * rate)
    sound = _limit_band(_voice(rng, count, rate), rate, bottom, top)
    spectrum = np.fft.fft(sound)
    spectrum[count // 2 :] = 0
    x = np.fft.ifft(spectrum) * np.exp(-2j * np.pi * (top + bottom) / 2 / rate * np.arange(count))
    upper = rng.random() < 0.5
    return Made(x if upper else x.conj(), rate, "USB" if upper else "LSB")


def fm_narrow(rng: Rng) -> Made:
    """A hand-held radio: speech with emphasis and limiter, tone squelch, or packets in its audio."""
    deviation = float(rng.choice([1.5e3, 2.5e3, 3e3, 4e3, 5e3]))
    rate = 100e3
    count = int(span(2 * (deviation + 3e3), 0.1) * rate)
    kind = rng.random()
    label, inner = "NBFM voice", 0.0
    if kind < 0.65:
        sound = _voice(rng, count, rate)
        sound = np.diff(sound, prepend=0.0)
        sound = np.clip(sound / (sound.std() + 1e-12), -2.2, 2.2) / 2.2
        sound = _limit_band(sound, rate, 300, 3000)
        if rng.random() < 0.5:
            sound = sound + 0.12 * np.sin(2 * np.pi * rng.uniform(67, 254) * np.arange(count) / rate)
    else:
        mark, space, inner = [(1200, 2200, 1200.0), (1200, 1800, 1200.0), (1200, 2400, 2400.0)][
            rng.integers(3)
        ]
        sound = _tones(packet_bits(rng, int(inner * count / rate) + 8), rate, inner, mark, space, count)
        label = "modem in FM"
    x = wave(deviation * sound / rate)
    return Made(x, rate, label, deviation=deviation if kind >= 0.65 else 0.0)


def fm_wide(rng: Rng) -> Made:
    """A broadcast station: left and right, pilot, RDS."""
    rate = 800e3
    count = int(0.05 * rate)
    left, right = (_music(rng, count, rate, 15e3) for _ in range(2))
    t = np.arange(count) / rate
    if rng.random() < 0.75:
        pilot = 2 * np.pi * 19e3 * t
        sound = (
            0.4 * (left + right) / 2.5 + 0.4 * (left - right) / 2.5 * np.sin(2 * pilot) + 0.09 * np.sin(pilot)
        )
        data = held_at(1.0 - 2 * rng.integers(2, size=200), 1187.5 * t)
        half = np.where(np.floor(2 * 1187.5 * t) % 2 > 0, -1.0, 1.0)
        sound = sound + 0.04 * one_pole(data * half, 3e3 / rate) * np.sin(3 * pilot)
    else:
        sound = (left + right) / 3
    return Made(wave(rng.uniform(50e3, 75e3) * np.clip(sound, -1, 1) / rate), rate, "WFM")


def ook(rng: Rng) -> Made:
    """Remote controls, weather sensors and keys: codes of short and long pulses, Manchester, plain bits."""
    pulse_rate = log_drawn(rng, 500, 50e3)
    rate = 40 * pulse_rate
    kind = rng.integers(3)
    bits = packet_bits(rng, 400)
    if kind == 0:  # a short and a long pulse in a period of four
        chips = np.concatenate([[1, 0, 0, 0] if bit == 0 else [1, 1, 1, 0] for bit in bits])
    elif kind == 1:
        chips = np.stack([bits, 1 - bits], axis=1).ravel()
    else:
        chips = bits
    telegram = int(rng.integers(120, 400))
    if rng.random() < 0.5:
        pieces = [
            np.concatenate([chips[i : i + telegram], np.zeros(int(rng.integers(8, 31)), np.int64)])
            for i in range(0, len(chips), telegram)
        ]
        chips = np.concatenate(pieces)
    wide = 12 * pulse_rate
    count = int(span(wide, 0.02) * rate)
    on = held_at(np.concatenate([chips, chips]), np.arange(count) * pulse_rate / rate + rng.random()).astype(
        float
    )
    rise = rng.uniform(0.02, 0.3) * rate / pulse_rate
    on = one_pole(on, 0.35 / max(rise, 2.0))
    return Made(on + 0j, rate, "OOK", pulse_rate)


def pulse(rng: Rng) -> Made:
    """An airport: squitters of transponders, DME pairs, or a radar's pulses."""
    kind = rng.integers(3)
    if kind == 0:
        rate, count = 16e6, 16 * 2200
        power = np.zeros(count)
        place = int(rng.integers(0, 800))
        while place < count:
            bits = rng.integers(2, size=int(rng.choice([56, 112])))
            frame = np.zeros((16 + 2 * len(bits)) * 8)
            for half in (0, 2, 7, 9):
                frame[half * 8 : half * 8 + 8] = 1
            halves = np.stack([bits, 1 - bits], axis=1).ravel()
            frame[128:] = np.repeat(halves, 8)
            end = min(count, place + len(frame))
            power[place:end] = frame[: end - place]
            place = end + int(rng.integers(400, 6000))
        return Made(one_pole(power, 1.5e6 / rate) + 0j, rate, "Mode S", 1e6, bandwidth=2.6e6)
    if kind == 1:
        rate, count = 8e6, 32000
        t = np.arange(count) / rate
        x = np.zeros(count)
        start = rng.uniform(0, 1e-4)
        while start < t[-1]:
            for at in (start, start + 12e-6):
                x += np.exp(-(((t - at) / 2.1e-6) ** 2))
            start += rng.exponential(2.5e-4) + 3e-5
        return Made(x + 0j, rate, "DME", bandwidth=0.6e6)
    width = log_drawn(rng, 0.5e-6, 20e-6)
    rate, count = 16 / width, 32000
    gap = width * rng.uniform(8, 60) * rate
    place = (np.arange(count) + rng.uniform(0, gap)) % gap
    return Made(one_pole((place < 16).astype(float), 0.08) + 0j, rate, "Pulses", 1 / width)
