# SPDX-License-Identifier: GPL-3.0-or-later
"""Transmitters that share no code with the library: NumPy alone, so that benchmarks do not test a formula with itself.

Linear signals are made in the frequency domain: the spectrum of N symbols, which repeats, times that of the pulse, at
any number of samples a symbol. So there is no interpolation, echoes may be early or late by any time, and the signal
is periodic: its end joins its beginning. Es/N0 is that of a filter matched to the pulse; all that is received of the
signal, echo included, has unit power.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

__all__ = [
    *(
        "FOREIGN",
        "HELD",
        "NINE",
        "OTHERS",
        "PULSES",
        "Channel",
        "drawn",
        "noise_alone",
        "other",
        "receive",
        "symbols",
    ),
    "transmit",
]

_Complex = NDArray[np.complex128]
_Real = NDArray[np.float64]


def _ring(count: int, radius: float = 1.0, turn: float = 0.0) -> _Complex:
    return np.asarray(radius * np.exp(2j * np.pi * (np.arange(count) + turn) / count))


def _lattice(columns: int, rows: int) -> _Complex:
    across, up = np.meshgrid(np.arange(columns) - (columns - 1) / 2, np.arange(rows) - (rows - 1) / 2)
    return np.asarray((across + 1j * up).ravel())


def _inner(side: int, count: int) -> _Complex:
    """Return the `count` points of a square lattice that lie nearest to its middle in the sense of a cross."""
    points = _lattice(side, side)
    order = np.argsort(np.minimum(abs(points.real), abs(points.imag)), kind="stable")
    corner = (abs(points.real) + abs(points.imag))[order]
    return np.asarray(points[order][np.argsort(corner, kind="stable")[:count]])


def _hexagons(count: int) -> _Complex:
    across, up = np.meshgrid(np.arange(-6, 7), np.arange(-6, 7))
    points = (across + up * np.exp(1j * np.pi / 3)).ravel() + 0.25 + 0.1j
    points = points[np.argsort(abs(points))[:count]]
    return np.asarray(points - points.mean())


def _cross32() -> _Complex:
    points = _lattice(6, 6)
    return np.asarray(points[abs(points) < 3.5])  # the four corners are at 3.54


def _cross128() -> _Complex:
    points = _lattice(12, 12)
    return np.asarray(points[~((abs(points.real) > 4) & (abs(points.imag) > 4))])


NINE: Mapping[str, _Complex] = {
    "BPSK": _ring(2),
    "QPSK": _ring(4),
    "8PSK": _ring(8),
    "16PSK": _ring(16),
    "4ASK": _lattice(4, 1),
    "8ASK": _lattice(8, 1),
    "8QAM": _lattice(4, 2),
    "16QAM": _lattice(4, 4),
    "32QAM": _cross32(),
}
"""The nine classes, at any scale."""

_V29 = np.array([3, 3j, -3, -3j, 1 + 1j, -1 + 1j, -1 - 1j, 1 - 1j])

FOREIGN: Mapping[str, _Complex] = {
    "64QAM": _lattice(8, 8),
    "128QAM": _cross128(),
    "256QAM": _lattice(16, 16),
    "32QAM 8x4": _lattice(8, 4),
    "16QAM 8x2": _lattice(8, 2),
    "36QAM": _lattice(6, 6),
    "24QAM cross": _inner(6, 24),
    "12QAM": _inner(4, 12),
    "8QAM star": np.concatenate([_ring(4), _ring(4, 2.0, 0.5)]),
    "8PSK and middle": np.append(_ring(7), 0),
    "8 points of V.29": _V29,
    "16 points of V.29": np.concatenate([_V29, np.array([5, 5j, -5, -5j, 3 + 3j, -3 + 3j, -3 - 3j, 3 - 3j])]),
    "16 star": np.concatenate([_ring(8), _ring(8, 2.0)]),
    "16APSK": np.concatenate([_ring(4, 1, 0.5), _ring(12, 2.7, 0.5)]),
    "32APSK": np.concatenate([_ring(4, 1, 0.5), _ring(12, 2.64, 0.5), _ring(16, 4.64)]),
    "64APSK": np.concatenate(
        [_ring(4, 1, 0.5), _ring(12, 2.2, 0.5), _ring(20, 3.6, 0.5), _ring(28, 5.2, 0.5)]
    ),
    "3PSK": _ring(3),
    "5PSK": _ring(5),
    "6PSK": _ring(6),
    "12PSK": _ring(12),
    "32PSK": _ring(32),
    "64PSK": _ring(64),
    "3ASK": _lattice(3, 1),
    "6ASK": _lattice(6, 1),
    "16ASK": _lattice(16, 1),
    "4ASK unipolar": np.arange(4) + 0j,
    "8 hexagonal": _hexagons(8),
    "16 hexagonal": _hexagons(16),
    "random points": np.zeros(0, complex),  # others in each signal
    "pi/4-DQPSK": _ring(4),
    "OQPSK": _ring(4),
}
"""Linear signals outside the nine; the last two are turned or staggered."""

OTHERS = ("2FSK", "4FSK", "GMSK", "OOK", "AM", "FM", "SSB voice", "OFDM")
"""Signals that are not linear, or (OOK) have a carrier."""


def _root_raised_cosine(rolloff: float) -> Callable[[_Real], _Real]:
    def spectrum(f: _Real) -> _Real:
        across = np.clip((np.abs(f) - (1 - rolloff) / 2) / rolloff, 0, 1)
        return np.asarray(np.cos(np.pi / 2 * across))

    return spectrum


def _raised_cosine(rolloff: float) -> Callable[[_Real], _Real]:
    return lambda f: _root_raised_cosine(rolloff)(f) ** 2


def _half_sine(f: _Real) -> _Real:
    return np.asarray((np.sinc(f - 0.5) + np.sinc(f + 0.5)) / 2)


def _gaussian_rectangle(f: _Real) -> _Real:
    return np.asarray(np.sinc(f) * np.exp(-np.log(2) / 2 * (f / 0.5) ** 2))  # BT 0.5


PULSES: Mapping[str, Callable[[_Real], _Real]] = {
    **{f"RRC {rolloff:g}": _root_raised_cosine(rolloff) for rolloff in (0.1, 0.2, 0.25, 0.35, 0.5, 0.6)},
    "RC 0.35": _raised_cosine(0.35),
    "rectangular": np.sinc,
    "half-sine": _half_sine,
    "Gaussian": _gaussian_rectangle,
    "held": np.sinc,
}
"""Spectrum of each pulse, by name; frequencies in cycles a symbol."""

HELD = "held"
"""Each sample is the symbol of its time: rectangular pulses that nothing filters."""
USUAL_PULSES = ("RRC 0.2", "RRC 0.25", "RRC 0.35", "RRC 0.5")


@dataclass(frozen=True)
class Channel:
    """What happens to a signal; frequencies over the symbol rate, times in symbols, powers in dB over the signal.

    Attributes:
        pulse: one of `PULSES`.
        samples_per_symbol: it need not be a whole number; it is rounded, by some 1 %, so that the signal has a
            whole number of samples, of which Fourier transforms are fast.
        offset: of the carrier.
        drift: growth of the offset a symbol; the offset is the one in the middle.
        phase_noise: deviation of the phase's step from symbol to symbol, radians.
        echo_db: of a second path.
        echo_delay: of the second path; negative: early.
        line_db: of a line at 0 Hz.
        image_db: of the image in the mirrored frequency.
        clip: where both rails end, over their root mean square.
        neighbour_db: of another signal.
        neighbour_at: its distance.
        neighbour_rate: its symbol rate.
    """

    pulse: str = "RRC 0.35"
    samples_per_symbol: float = 4.0
    offset: float = 0.0
    drift: float = 0.0
    phase_noise: float = 0.0
    echo_db: float = -math.inf
    echo_delay: float = 1.0
    line_db: float = -math.inf
    image_db: float = -math.inf
    clip: float = math.inf
    neighbour_db: float = -math.inf
    neighbour_at: float = 1.6
    neighbour_rate: float = 1.0


def drawn(rng: np.random.Generator, **values: float | str) -> Channel:
    """Return a channel with pulse, samples a symbol and carrier at random, and with the given values."""
    usual = Channel(
        str(rng.choice(USUAL_PULSES)),
        float(np.exp(rng.uniform(np.log(2.5), np.log(10)))),
        rng.uniform(-0.02, 0.02),
    )
    return replace(usual, **values)  # type: ignore[arg-type]


def symbols(name: str, count: int, rng: np.random.Generator) -> _Complex:
    """Draw symbols of a linear signal at unit mean power."""
    points = NINE[name] if name in NINE else FOREIGN[name]
    if name == "random points":
        points = rng.standard_normal((int(rng.integers(5, 33)), 2)) @ np.array([1, 1j])
    sent = points[rng.integers(len(points), size=count)]
    if name == "pi/4-DQPSK":
        sent = sent * np.exp(0.25j * np.pi * np.arange(count))
    return np.asarray(sent / math.sqrt(np.mean(np.abs(points) ** 2)))


@cache
def _energy(pulse: str) -> float:
    """Return the energy of a pulse: the integral of its squared spectrum."""
    return float(np.sum(PULSES[pulse](np.arange(-64_000, 64_000) / 1000) ** 2)) / 1000


@cache
def _without_large_factors(number: int) -> int:
    """Return the least product of 2, 3 and 5 that is not below a number: Fourier transforms of it are fast."""
    found = 1 << (number - 1).bit_length()
    for fives in range(8):
        for threes in range(8):
            rest = -(-number // (3**threes * 5**fives))
            found = min(found, 3**threes * 5**fives << (rest - 1).bit_length())
    return found


def transmit(
    sent: _Complex, channel: Channel, rng: np.random.Generator, staggered: bool = False
) -> tuple[_Complex, float]:
    """Return the signal without noise, and its samples a symbol, exactly.

    Args:
        sent: symbols; zeros are pauses.
        channel: pulse, samples a symbol, echo, offset, drift and phase noise are used here.
        rng: draws timing and phases.
        staggered: the quadrature part is half a symbol late.
    """
    count = len(sent)
    samples = round(count * channel.samples_per_symbol)
    if channel.pulse != HELD:  # whose samples a symbol are a whole number
        samples = _without_large_factors(samples)
    spacing = samples / count
    places = np.fft.fftfreq(samples, 1 / samples).astype(np.int64)
    f = places / count
    pulse = PULSES[channel.pulse](f)
    start = rng.random()
    steer = pulse / math.sqrt(_energy(channel.pulse)) * np.exp(-2j * np.pi * f * start)
    if channel.echo_db > -math.inf:
        path = 10 ** (channel.echo_db / 20) * np.exp(2j * np.pi * rng.random())
        steer = steer * (1 + path * np.exp(-2j * np.pi * f * channel.echo_delay))
    if staggered:
        spectrum = np.fft.fft(sent.real)[places % count]
        spectrum = spectrum + 1j * np.fft.fft(sent.imag)[places % count] * np.exp(-1j * np.pi * f)
    else:
        spectrum = np.fft.fft(sent)[places % count]
    signal = np.fft.ifft(spectrum * steer) * spacing
    if channel.pulse == HELD:
        signal = sent[np.floor(np.arange(samples) / spacing + start).astype(np.int64) % count]
    if channel.echo_db > -math.inf:
        signal *= math.sqrt(float(np.mean(np.abs(sent) ** 2)) / float(np.mean(np.abs(signal) ** 2)))
    time = np.arange(samples) / spacing
    phase = rng.random() + channel.offset * time + channel.drift / 2 * (time - count / 2) ** 2
    if channel.phase_noise:
        walk = np.cumsum(channel.phase_noise * rng.standard_normal(count + 1)) / (2 * np.pi)
        phase = phase + np.interp(time, np.arange(count + 1), walk)
    return np.asarray(signal * np.exp(2j * np.pi * phase)), spacing


def receive(
    signal: _Complex, spacing: float, channel: Channel, es_n0_db: float, rng: np.random.Generator
) -> NDArray[np.complex64]:
    """Add neighbour, line, image, noise and clipping to a signal of unit power (while it is on)."""
    samples = len(signal)
    x = signal
    if channel.neighbour_db > -math.inf:
        apart = spacing / channel.neighbour_rate
        place = Channel("RRC 0.35", apart, channel.neighbour_at / channel.neighbour_rate)
        beside, _ = transmit(symbols("QPSK", round(samples / apart), rng), place, rng)
        x = x + 10 ** (channel.neighbour_db / 20) * _fit(beside, samples)
    if channel.image_db > -math.inf:
        x = x + 10 ** (channel.image_db / 20) * np.exp(2j * np.pi * rng.random()) * x.conj()
    if channel.line_db > -math.inf:
        x = x + 10 ** (channel.line_db / 20) * np.exp(2j * np.pi * rng.random())
    deviation = math.sqrt(spacing * 10 ** (-es_n0_db / 10) / 2)
    x = x + deviation * _normal(samples, rng)
    if math.isfinite(channel.clip):
        most = channel.clip * math.sqrt(float(np.mean(np.abs(x) ** 2)) / 2)
        x = np.clip(x.real, -most, most) + 1j * np.clip(x.imag, -most, most)
    level = 10 ** rng.uniform(-2, -0.5)
    return np.asarray(level * x, dtype=np.complex64)


def noise_alone(samples: int, rng: np.random.Generator) -> NDArray[np.complex64]:
    """Return white noise."""
    return np.asarray(0.1 * _normal(samples, rng), dtype=np.complex64)


def _normal(samples: int, rng: np.random.Generator) -> _Complex:
    """Return complex noise of unit variance in each part."""
    return rng.standard_normal(2 * samples).view(np.complex128)


def other(name: str, count: int, spacing: float, rng: np.random.Generator) -> _Complex:
    """Return a signal of `OTHERS` without noise: `count` symbols (or as long), unit mean power.

    Voice and music have a bandwidth of some .2 to .6 of one over a symbol.
    """
    fine = 8
    length = count * fine
    time = np.arange(length) / fine
    if name in ("2FSK", "4FSK", "GMSK"):
        levels = {"2FSK": 2, "4FSK": 4, "GMSK": 2}[name]
        steps = np.repeat(2 * rng.integers(levels, size=count) - levels + 1.0, fine)
        index = 0.5 if name == "GMSK" else rng.choice([0.5, 0.7, 1.0, 2.0]) / (levels / 2)
        if name == "GMSK" or rng.random() < 0.5:
            bt = 0.3 if name == "GMSK" else 0.5
            f = np.fft.fftfreq(length, 1 / fine)
            gauss = np.exp(-np.log(2) / 2 * (f / bt) ** 2)
            steps = np.fft.ifft(np.fft.fft(steps) * gauss).real
        x = np.exp(1j * np.pi * index * np.cumsum(steps) / fine)
    elif name == "OOK":
        x = np.repeat(rng.integers(2, size=count) + 0j, fine) * math.sqrt(2)
    elif name == "OFDM":
        carriers, prefix = 64, 16
        used = np.r_[1:27, carriers - 26 : carriers]
        blocks = -(-length // ((carriers + prefix) * 6))
        grid = np.zeros((blocks, carriers), complex)
        grid[:, used] = symbols(str(rng.choice(["QPSK", "16QAM"])), blocks * len(used), rng).reshape(
            blocks, -1
        )
        body = np.fft.ifft(grid, axis=1)
        x = _fit(np.hstack([body[:, -prefix:], body]).ravel(), length)
    else:
        voice = _voice(length, fine, rng)
        match name:
            case "AM":
                x = 1 + rng.uniform(0.3, 0.9) * voice / np.abs(voice).max() + 0j
            case "FM":
                x = np.exp(2j * np.pi * rng.uniform(0.2, 0.6) * np.cumsum(voice / voice.std()) / fine / 2)
            case _:
                spectrum = np.fft.fft(voice)
                spectrum[length // 2 :] = 0
                x = np.fft.ifft(spectrum)
                x *= np.exp(-2j * np.pi * 0.25 * time)
    x = _fit(np.asarray(x, dtype=np.complex128), round(count * spacing))
    x *= np.exp(2j * np.pi * (rng.random() + rng.uniform(-0.02, 0.02) * np.arange(len(x)) / spacing))
    return np.asarray(x / math.sqrt(float(np.mean(np.abs(x) ** 2))))


def _voice(length: int, fine: int, rng: np.random.Generator) -> _Real:
    """Return noise with a spectrum that falls, harmonics of a changing pitch and pauses, as speech has."""
    f = np.abs(np.fft.fftfreq(length, 1 / fine))
    shape = np.exp(-((f - 0.1) ** 2) / 0.01) + 0.3 * np.exp(-((f - 0.3) ** 2) / 0.01)
    hiss = np.fft.ifft(np.fft.fft(rng.standard_normal(length)) * shape).real
    slow = np.interp(np.arange(length), np.linspace(0, length, 40), rng.uniform(0.01, 0.03, 40))
    pitch = 2 * np.pi * np.cumsum(slow) / fine
    tones = sum(np.cos(k * pitch + rng.uniform(0, 2 * np.pi)) / k for k in range(1, 12))
    loud = np.interp(np.arange(length), np.linspace(0, length, 60), rng.uniform(0, 1, 60) ** 2)
    x = loud * (hiss / hiss.std() + tones)
    return np.asarray((x - x.mean()) / x.std())


def _fit(x: _Complex, samples: int) -> _Complex:
    """Return a periodic signal with another number of samples."""
    count = len(x)
    if count == samples:
        return x
    kept = min(count, samples)
    spectrum = np.fft.fft(x)
    out = np.zeros(samples, complex)
    half = kept // 2
    out[:half] = spectrum[:half]
    out[samples - (kept - half) :] = spectrum[count - (kept - half) :]
    return np.asarray(np.fft.ifft(out) * (samples / count))
