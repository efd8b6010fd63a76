# SPDX-License-Identifier: GPL-3.0-or-later
"""What lies between a toolkit's modulator and a recording: another rate, a place in the band, noise, and a fault.

Nothing here is the module's: a toolkit's samples go through NumPy alone.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["FAULTS", "RATES", "Sent", "bursts", "received", "resampled", "shifted"]

Complex = NDArray[np.complex128]
RATES = (48e3, 96e3, 250e3, 1e6, 2.4e6, 5e6, 10e6, 20e6)
"""Sample rates of recordings, samples a second."""
LONGEST = 300_000
"""Samples of a recording."""
FAULTS = ("none", "echo", "image and DC", "8 bits")


@dataclass(frozen=True)
class Sent:
    """A signal as a toolkit makes it.

    Attributes:
        name: of the modulation, the toolkit's or the standard's.
        samples: complex, shape (n,).
        rate: of the samples, Hz.
        families: that it may be called; the first is the usual one.
        symbol_rate: symbols or chips a second; 0: not compared.
        deviation: of two tones from their middle, Hz; 0: not compared.
        spacing: of tones or subcarriers, Hz; 0: not compared.
        width: that noise is measured in, Hz, where a carrier holds nearly all of the power; 0: the 99 % bandwidth.
    """

    name: str
    samples: NDArray[Any] = field(repr=False)
    rate: float
    families: tuple[str, ...]
    symbol_rate: float = 0.0
    deviation: float = 0.0
    spacing: float = 0.0
    width: float = 0.0


def shifted(samples: Complex, frequency: float) -> Complex:
    """Return samples moved by a frequency, in cycles a sample."""
    return np.asarray(samples * np.exp(2j * np.pi * frequency * np.arange(len(samples))))


def bursts(samples: Complex, on: int, every: int) -> Complex:
    """Return samples cut into bursts of `on` samples, one each `every` samples, with nothing between them."""
    count = len(samples) // on
    out = np.zeros((count, every), np.complex128)
    out[:, :on] = samples[: count * on].reshape(count, on)
    return out.ravel()


def resampled(samples: Complex, ratio: float) -> tuple[Complex, float]:
    """Return samples at another rate, by way of their spectrum, and the exact ratio."""
    count = len(samples)
    edge = count // 64 + 8
    padded = np.concatenate([samples, np.zeros(edge)])
    wanted = round(len(padded) * ratio)
    spectrum = np.fft.fft(padded)
    keep = min(len(padded), wanted) // 2
    out = np.zeros(wanted, np.complex128)
    out[:keep], out[-keep:] = spectrum[:keep], spectrum[-keep:]
    exact = wanted / len(padded)
    return np.fft.ifft(out)[: int(count * exact)] * exact, exact


def _occupied(samples: Complex) -> tuple[float, float]:
    """Return the edges of the 99 % bandwidth, in cycles a sample."""
    size = min(4096, len(samples))
    power = np.zeros(size)
    for start in range(0, len(samples) - size + 1, size):
        power += np.abs(np.fft.fft(samples[start : start + size] * np.hanning(size))) ** 2
    share = np.cumsum(np.fft.fftshift(power)) / power.sum()
    low, high = np.searchsorted(share, (0.005, 0.995))
    return low / size - 0.5, (high + 1) / size - 0.5


def received(sent: Sent, snr_db: float, fault: str, rng: np.random.Generator) -> tuple[Complex, float, Sent]:
    """Return a recording of a signal.

    Args:
        sent: the signal.
        snr_db: power of the signal while it is on, over noise in its 99 % bandwidth, dB.
        fault: one of `FAULTS`.
        rng: random numbers.

    Returns:
        samples, their rate in Hz, and the signal as it is in them (rates change by parts in 10,000).
    """
    samples = np.asarray(sent.samples, np.complex128)
    low, high = _occupied(samples)
    width = sent.width or max((high - low) * sent.rate, 100.0)
    wide = [rate for rate in RATES if rate > 3 * width] or [RATES[-1]]
    rate = wide[min(int(rng.integers(3)), len(wide) - 1)]
    most = int(LONGEST * sent.rate / rate)
    samples, ratio = resampled(samples[:most], rate / sent.rate)
    stretched = ratio * sent.rate / rate
    middle = (low + high) / 2 * sent.rate
    room = max(0.42 * rate - width / 2, 0.0)
    samples = shifted(samples, (rng.uniform(-room, room) - middle) / rate)
    if fault == "echo":
        delay = max(1, round(rng.uniform(0.2, 0.8) * rate / width))
        samples[delay:] += 0.25 * np.exp(2j * np.pi * rng.uniform()) * samples[:-delay].copy()
    power = np.abs(samples) ** 2
    loud = power[power > 0.1 * np.quantile(power, 0.99)].mean()
    quiet = int(0.1 * len(samples))
    samples = np.concatenate([np.zeros(quiet), samples, np.zeros(quiet)])
    noise = rng.standard_normal((2, len(samples)))
    density = loud / 10 ** (snr_db / 10) * rate / width
    samples = samples + np.sqrt(density / 2) * (noise[0] + 1j * noise[1])
    size = np.sqrt(np.mean(np.abs(samples) ** 2))
    if fault == "image and DC":
        samples = samples + 0.03 * np.exp(1j) * samples.conj() + 0.1 * size
    samples = samples * (0.2 / size)
    if fault == "8 bits":
        peak = np.abs(np.concatenate([samples.real, samples.imag])).max()
        step = peak / 100
        samples = np.round(samples / step) * step
    known = Sent(
        sent.name,
        np.empty(0),
        rate,
        sent.families,
        sent.symbol_rate / stretched,
        sent.deviation / stretched,
        sent.spacing / stretched,
    )
    return samples, rate, known
