# SPDX-License-Identifier: GPL-3.0-or-later
"""Real samples, an SSB receiver's audio for instance, as the complex signal of their positive frequencies."""

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["AnalyticSignal", "band_of_signal"]

_SIDE = 256
"""Samples of the filter on either side. Negative frequencies are 60 dB down from 0.6 % of the sample rate on (300 Hz at
48 kHz); between there and 0 Hz, and as far from half the sample rate, they are not."""
_BLOCK = 1 << 16
_BINS = 1024  # of the spectrum
_WITHIN = 0.1  # of the strongest: where the signal is


class _Samples(Protocol):
    length: int

    def read(self, start: int, count: int) -> NDArray[Any]: ...


def _hilbert_taps() -> NDArray[np.float64]:
    n = np.arange(-_SIDE, _SIDE + 1)
    taps = np.zeros(len(n))
    odd = n % 2 == 1
    taps[odd] = 2 / (np.pi * n[odd])
    window: NDArray[np.float64] = np.kaiser(len(n), 6.0)
    return taps * window


class AnalyticSignal:
    """x + i H(x), where H shifts each frequency by a quarter of its period: what has a positive frequency in x stays.

    The sample rate stays, and 0 Hz is that of the real signal: a tone of 1,500 Hz is at 1,500 Hz. Its amplitude
        stays too.

    Args:
        samples: float32, as `SampleFile` reads them.
    """

    real = False

    def __init__(self, samples: _Samples) -> None:
        self.length = samples.length
        self._samples = samples
        self._taps = _hilbert_taps()

    def read(self, start: int, count: int) -> NDArray[np.complex64]:
        """Return complex64 samples; `start` and `count` lie inside the recording."""
        parts = [
            self._read_block(place, min(_BLOCK, start + count - place))
            for place in range(start, start + count, _BLOCK)
        ]
        return parts[0] if len(parts) == 1 else np.concatenate([np.empty(0, np.complex64), *parts])

    def _read_block(self, start: int, count: int) -> NDArray[np.complex64]:
        first, last = max(0, start - _SIDE), min(self.length, start + count + _SIDE)
        around = np.zeros(count + 2 * _SIDE)
        place = first - (start - _SIDE)
        around[place : place + last - first] = self._samples.read(first, last - first)
        size = 1 << (len(around) + 2 * _SIDE).bit_length()
        # One sample that is not finite would spread over the whole block: outside its filter's length it must not.
        broken = ~np.isfinite(around)
        around[broken] = 0
        shifted = np.fft.irfft(np.fft.rfft(around, size) * np.fft.rfft(self._taps, size), size)
        out = np.empty(count, np.complex64)
        out.real = around[_SIDE : _SIDE + count]
        out.imag = shifted[2 * _SIDE : 2 * _SIDE + count]
        if broken.any():
            near = np.convolve(broken, np.ones(2 * _SIDE + 1))[2 * _SIDE : 2 * _SIDE + count]
            out[near > 0.5] = np.nan
        return out


def band_of_signal(samples: NDArray[np.complex64], sample_rate: float) -> tuple[float, float]:
    """Return where the strongest signal lies: middle and width of what is within 10 dB of its strongest part, Hz.

    Args:
        samples: complex [N].
        sample_rate: samples a second.
    """
    samples = np.where(np.isfinite(samples), samples, np.complex64(0))
    bins = min(_BINS, len(samples))
    blocks = samples[: len(samples) // bins * bins].reshape(-1, bins) * np.hanning(bins)
    power = (np.abs(np.fft.fft(blocks, axis=1)) ** 2).mean(axis=0)
    # Over some bins, so that a line does not pass for the whole signal.
    width = max(1, bins // 64)
    spread = np.zeros(bins)
    spread[np.arange(-(width // 2), width - width // 2)] = 1 / width
    smooth = np.fft.ifft(np.fft.fft(power) * np.fft.fft(spread)).real
    strongest = int(np.argmax(smooth))
    turned = np.roll(smooth, bins // 2 - strongest)  # a signal on the border of the band is one signal
    weak = turned < _WITHIN * turned[bins // 2]
    below = np.flatnonzero(weak[: bins // 2])
    above = np.flatnonzero(weak[bins // 2 :])
    first = int(below[-1]) + 1 if len(below) else 0
    last = bins // 2 + (int(above[0]) if len(above) else bins - bins // 2)
    middle = (first + last - 1) / 2 - bins // 2 + strongest
    frequency = middle / bins * sample_rate
    middle_hz = (frequency + sample_rate / 2) % sample_rate - sample_rate / 2
    return float(middle_hz), (last - first) / bins * sample_rate
