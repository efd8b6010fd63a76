# SPDX-License-Identifier: GPL-3.0-or-later
"""What the strangers' families are made of: keyed data, filters as impulse responses in time, a frequency integrated.

NumPy alone, and no code of the library.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Made", "bell", "held_at", "log_drawn", "one_pole", "packet_bits", "smooth", "span", "wave"]

_Complex = NDArray[np.complex128]
_Real = NDArray[np.float64]
Rng = np.random.Generator


class Made(NamedTuple):
    """What a family's function returns; rates, deviations and bandwidths in Hz, 0 where there is none."""

    iq: _Complex
    rate: float  # samples a second
    label: str
    symbol_rate: float = 0.0
    deviation: float = 0.0  # of the outermost tone, or FM's peak
    spacing: float = 0.0
    order: int = 0  # tones, or phases of PSK
    bandwidth: float = 0.0  # 0: 99 % of the power, measured


def span(bandwidth: float, least: float = 0.05, most: float = 4000.0) -> float:
    """Return seconds: 50 ms or 1,800 bandwidths times seconds, whichever is longer, but `most` of these at most.

    The bandwidth is that which is expected; 1,024 times seconds are needed of the one that is measured.
    """
    return min(max(least, 1800 / bandwidth), most / bandwidth)


def log_drawn(rng: Rng, low: float, high: float) -> float:
    """Draw a number whose logarithm is uniform."""
    return float(math.exp(rng.uniform(math.log(low), math.log(high))))


def packet_bits(rng: Rng, count: int) -> NDArray[np.int64]:
    """Return bits as a packet radio sends them: scrambled; or alternating ones, a sync word, data, again and again."""
    if rng.random() < 0.5:
        return rng.integers(2, size=count)
    sync = rng.integers(2, size=int(rng.choice([16, 24, 32])))
    frame = int(rng.integers(120, 700))
    out = np.empty(0, np.int64)
    while len(out) < 2 * count:
        head = np.resize([1, 0], int(rng.integers(16, 65)))
        out = np.concatenate([out, head, sync, rng.integers(2, size=frame)])
    start = int(rng.integers(count))
    return out[start : start + count]


def held_at(values: NDArray[Any], times: _Real) -> NDArray[Any]:
    """Return the value that holds at each time, in symbols."""
    return values[np.clip(np.floor(times).astype(np.int64), 0, len(values) - 1)]


def smooth(x: NDArray[Any], taps: _Real) -> NDArray[Any]:
    """Convolve by a Fourier transform; the delay is taken out."""
    size = 1 << (len(x) + len(taps) - 1).bit_length()
    y = np.fft.ifft(np.fft.fft(x, size) * np.fft.fft(taps, size))
    half = (len(taps) - 1) // 2
    y = y[half : half + len(x)]
    return y if np.iscomplexobj(x) else y.real


def bell(samples_per_symbol: float, bt: float) -> _Real:
    """Return the impulse response of a Gaussian filter, cut off after two symbols to either side."""
    reach = int(2 * samples_per_symbol)
    t = np.arange(-reach, reach + 1) / samples_per_symbol
    taps = np.exp(-2 * (math.pi * bt * t) ** 2 / math.log(2))
    return np.asarray(taps / taps.sum())


def one_pole(x: _Real, cut: float) -> _Real:
    """Low-pass of first order, `cut` in cycles a sample, through its impulse response."""
    keep = math.exp(-2 * math.pi * cut)
    reach = max(2, min(len(x), int(8 / (2 * math.pi * cut))))
    taps = keep ** np.arange(reach)
    padded = np.concatenate([np.zeros(reach - 1), taps / taps.sum()])
    return np.asarray(smooth(x, padded))


def wave(cycles: _Real) -> _Complex:
    """Integrate a frequency in cycles a sample."""
    return np.asarray(np.exp(2j * np.pi * np.cumsum(cycles)))
