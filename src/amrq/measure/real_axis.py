# SPDX-License-Identifier: GPL-3.0-or-later
"""Amplitude modulation by any message: whether all of a signal lies on one axis, and what lies there is like a message.

Amplitude modulation, with a carrier or without, multiplies a carrier with a real message: turned by the carrier's phase
the signal is real, and its square has a line at twice the carrier's frequency. BPSK, amplitude-shift keying and on-off
keying are real as well, but have few levels: their amplitude's distribution is flatter than that of noise, speech or
music. Its kurtosis, the fourth moment over the squared second, is 3 for Gaussian noise and more for a voice; it is 1.3
to 1.6 for BPSK behind its filter and below 2.3 for any evenly spaced levels (a uniform distribution has 1.8, filtered
it is nearer to 3).
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amrq import transforms as fft
from amrq.measure.looks import checked_look, hann, hann_single, powers, quantile, squares, turned

__all__ = ["RealAxis", "measure_real_axis"]

_LEAST_SAMPLES = 512
_INSIDE = 0.62
"""Of the bandwidth, from its middle: what is looked at."""
_NEAR = 0.25
"""Of the bandwidth, from twice its middle: the square's line is looked for so far."""
_FOLLOWED, _SHORTEST = 64.0, 32
"""Over the bandwidth: the time in which the phase is followed; and samples of it at least."""
_ON = 0.4
"""Of the power that three quarters of the time stay below: bursts and pauses are told by it, since a signal with pauses
has a large kurtosis whatever is sent."""
_TOLD = 0.2
"""Share on the axis, below which noise hides the distribution of what lies there."""
_LINES, _BINS = 12, 3
"""Lines that are looked for, and bins to either side that belong to one."""
_LEAST_ON = 0.25
"""Of the look, in which it must be on."""


@dataclass(frozen=True)
class RealAxis:
    """What was measured of a signal's axis.

    Attributes:
        alone: share of the power beside the carrier that is in phase with it and is not matched by as much in
            quadrature: 1 where all lies on the axis, 0 where as much lies across, as of noise. 0 where nothing is told.
        carrier: share of the signal's power that is in the carrier, 0 to 1.
        kurtosis: of the amplitude on the axis, less the carrier and the noise, 1 or more; 0 where nothing is told.
        frequency: of the carrier, Hz, whether it is sent or not.
        lined: share of the power on the axis, beside the carrier, that is in a dozen lines, 0 to 1: of noise and music
            little, of a pattern of symbols that comes again and again nearly all.
    """

    alone: float = 0.0
    carrier: float = 0.0
    kurtosis: float = 0.0
    frequency: float = 0.0
    lined: float = 0.0


def measure_real_axis(
    iq: NDArray[np.complex64], sample_rate: float, bandwidth: float | None = None
) -> RealAxis:
    """Measure whether an emission about 0 Hz lies on one axis, and the distribution of its amplitude there.

    Args:
        iq: complex [N], the emission about 0 Hz.
        sample_rate: samples a second, above 0.
        bandwidth: of the emission, Hz; None: 0.8 of the sample rate.

    Raises:
        AmrqError: the sample rate is not above 0.

    >>> rng = np.random.default_rng(1)
    >>> turn = np.exp(1j * (0.3 + 0.001 * np.arange(8192)))
    >>> audio = np.convolve(rng.normal(size=8192), np.hamming(9), "same")
    >>> found = measure_real_axis(audio * turn, sample_rate=48e3, bandwidth=20e3)
    >>> found.alone > 0.9, found.carrier < 0.1, found.kurtosis > 2.7
    (True, True, True)
    >>> keys = np.convolve(np.repeat(rng.choice([-1.0, 1.0], 1024), 8), np.hamming(9), "same")
    >>> measure_real_axis(keys * turn, sample_rate=48e3, bandwidth=20e3).kurtosis < 2
    True
    """
    iq, width = checked_look(iq, sample_rate, bandwidth)
    if len(iq) < _LEAST_SAMPLES or not np.any(iq):
        return RealAxis()
    at = fft.fftfreq(len(iq), 1 / sample_rate)
    spectrum = fft.fft(iq)
    spectrum[np.abs(at) > _INSIDE * width] = 0
    inside = fft.ifft(spectrum)
    frequency = _half_of_line(np.square(inside), sample_rate, _NEAR * width)
    still = turned(inside, -frequency / sample_rate)
    length = min(max(_SHORTEST, math.ceil(_FOLLOWED * sample_rate / width)), len(iq) // 4)
    window = hann(length + 2)[1:-1]
    window = (window / window.sum()).astype(np.float32)
    phase = np.unwrap(np.angle(_smooth(np.square(still), window))) / 2
    upright = still * _back(phase)
    power = _smooth(squares(upright), window).real
    on = power > _ON * quantile(power, 0.75)
    if on.mean() < _LEAST_ON:
        return RealAxis()
    along, across = upright.real[on].astype(np.float64), upright.imag[on].astype(np.float64)
    beside = along - along.mean()
    variance = float(np.mean(beside**2))
    whole = float(np.mean(along**2))
    if not variance > 0:
        return RealAxis()
    alone = max(0.0, 1 - float(np.mean(across**2)) / variance)
    if alone < _TOLD:
        return RealAxis(alone, float(along.mean()) ** 2 / whole, 0.0, frequency)
    # Noise is as strong on the axis as across it, and Gaussian.
    kurtosis = float(np.mean(np.square(np.square(beside)))) / variance**2
    kurtosis -= 6 * alone * (1 - alone) + 3 * (1 - alone) ** 2
    carrier = float(along.mean()) ** 2 / whole
    return RealAxis(
        alone, carrier, max(kurtosis / alone**2, 1.0), frequency, min(_lined(beside) / alone, 1.0)
    )


def _lined(values: NDArray[np.float64]) -> float:
    """Return the share of the power of values that is in the strongest lines of their spectrum, 0 to 1."""
    power = np.square(np.abs(fft.rfft(values * hann(len(values)))))
    whole, inside = float(power.sum()), 0.0
    for _ in range(_LINES):
        top = int(np.argmax(power))
        around = slice(max(0, top - _BINS), top + _BINS + 1)
        inside += float(power[around].sum())
        power[around] = 0
    return inside / max(whole, 1e-30)


def _half_of_line(square: NDArray[np.complex64], sample_rate: float, near: float) -> float:
    """Return half of the frequency of a square's strongest line near 0 Hz, between bins by a parabola, Hz."""
    count = len(square)
    at = fft.fftfreq(count, 1 / sample_rate)
    power = powers(fft.fft(square * hann_single(count)))
    top = int(np.argmax(np.where(np.abs(at) <= near, power, -1.0)))
    before, peak, after = np.log(power[[top - 1, top, (top + 1) % count]] + 1e-30)
    curve = before - 2 * peak + after
    between = 0.5 * (before - after) / curve if curve < 0 else 0.0
    return float(at[top] + min(max(between, -0.5), 0.5) * sample_rate / count) / 2


def _back(phase: NDArray[np.floating[Any]]) -> NDArray[np.complex64]:
    """Return turns of minus a phase, which single precision holds where it is less than a turn."""
    held = (phase - 2 * np.pi * np.rint(phase / (2 * np.pi))).astype(np.float32)
    out = np.empty(len(held), np.complex64)
    np.cos(held, out=out.real)
    np.sin(-held, out=out.imag)
    return out


def _smooth(
    values: NDArray[np.complex64] | NDArray[np.float32], window: NDArray[np.float32]
) -> NDArray[np.complex64]:
    """Return a running weighted mean, as long as the values."""
    size = fft.next_fast_len(len(values) + len(window) - 1)
    whole = fft.ifft(fft.fft(values, size) * fft.fft(window, size))
    first = (len(window) - 1) // 2
    return np.asarray(whole[first : first + len(values)])
