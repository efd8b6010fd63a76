# SPDX-License-Identifier: GPL-3.0-or-later
"""How a frequency is spread and how it repeats: what tells audio from keys where the amplitude is constant.

Keys hold a few frequencies for a symbol each: these lie within a range that is used all over, so that the fourth
moment of the frequency over its squared variance is 1 (two tones) to 1.8 (very many). Voices and music rest near the
middle and have peaks: 2.5 and more. Noise of a discriminator would add peaks, but its power is known from the noise
beside the signal, and its moments are taken off. A single tone of audio has 1.5; what shows it is that all of the
frequency's power is in one line of its spectrum.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from amrq import transforms as fft
from amrq.chunks import finite_samples
from amrq.errors import AmrqError
from amrq.measure.frequency_keying import instantaneous_frequency
from amrq.measure.looks import hann, powers, quantile

__all__ = ["FrequencySpread", "measure_frequency_spread"]

_LEAST_SAMPLES = 256
_WIDER = 1.2
"""Of the bandwidth: what the discriminator sees."""
_MOST_SAMPLES = 4_096
_TOPS = (0.45, 0.3, 0.15)
"""Of the bandwidth: where the spectrum of the frequency is cut, the widest first."""
_NOISY = 0.25
"""Share of noise in the frequency's power from which on it is cut further down."""
_CLEAR = 4.0
"""Power over that of noise within the discriminator's band: with less, noise turns the phase about."""
_PIECES, _ON = 64, 0.3
"""Pieces of a look whose powers are compared; of the usual power: where there is less, the signal is off."""
_EDGE = 0.15
"""Of a cut's frequency: width of its edge."""
_EXTREME = 0.002
"""Share of the time in which the frequency may be farther off: clicks of a discriminator."""
_LINES, _BINS = 3, 3
"""Lines that are looked for, and bins to either side that belong to one."""
_LOW_SHARE = 0.01
"""Of the frequency's power, that is below its lowest frequency."""
_FEWEST = 4.0
"""Times that the frequency of a line comes in the look, at least: slower ones are no tones."""

_Reals = NDArray[np.float64]


@dataclass(frozen=True)
class FrequencySpread:
    """How a frequency is spread; None where noise hides it.

    Attributes:
        peakedness: fourth moment of the frequency over its squared variance, 1 or more: two tones 1, many or a ramp
            1.8, noise through a filter 3, voices more; the sine of a single tone has 1.5.
        tone: frequency of the strongest line in the frequency's spectrum, Hz.
        in_tone: share of the frequency's power that is in this line, 0 to 1.
        in_lines: share that is in the three strongest ones.
        lowest: Hz: a hundredth of the frequency's power is below. Random keys begin near 0 Hz, a two-hundredth of the
            symbol rate; audio, and codes that balance their keys, have a gap.
        noise: share of noise in what was looked at, 0 to 1.
        middle: Hz: half of the frequency's power is below. Audio has less than 20 kHz, a multiplex less than 60 kHz.
    """

    peakedness: float | None = None
    tone: float | None = None
    in_tone: float = 0.0
    in_lines: float = 0.0
    lowest: float = 0.0
    noise: float = 1.0
    middle: float = 0.0


def measure_frequency_spread(
    iq: NDArray[np.complex64],
    sample_rate: float,
    bandwidth: float | None = None,
    noise_density: float | None = None,
) -> FrequencySpread:
    """Measure how the frequency of an emission about 0 Hz is spread.

    Args:
        iq: complex [N], the emission about 0 Hz.
        sample_rate: samples a second, above 0.
        bandwidth: of the emission (99 %), right to some 20 %, Hz; None: 0.8 of the sample rate.
        noise_density: of the noise, power per Hz; None: there is none to speak of.

    Raises:
        AmrqError: the sample rate is not above 0.

    >>> rng = np.random.default_rng(1)
    >>> keys = np.repeat(rng.choice([-3e3, 3e3], 400), 20)
    >>> found = measure_frequency_spread(np.exp(2j * np.pi * np.cumsum(keys) / 48e3), 48e3, bandwidth=12e3)
    >>> round(found.peakedness, 1)
    1.1
    >>> sine = 3e3 * np.sin(2 * np.pi * 1e3 / 48e3 * np.arange(8000))
    >>> found = measure_frequency_spread(np.exp(2j * np.pi * np.cumsum(sine) / 48e3), 48e3, bandwidth=10e3)
    >>> round(found.peakedness, 1), round(found.tone, -1), round(found.in_tone, 2)
    (1.5, 1000.0, 1.0)
    """
    if not 0 < sample_rate < math.inf:
        raise AmrqError(f"the sample rate must be above 0 Hz, not {sample_rate:g}.")
    iq = finite_samples(iq)
    width = bandwidth if bandwidth is not None and 0 < bandwidth < math.inf else 0.8 * sample_rate
    width = min(width, sample_rate / _WIDER)
    if len(iq) < _LEAST_SAMPLES or not np.any(iq):
        return FrequencySpread()
    iq = _while_on(iq)
    density = max(noise_density or 0.0, 0.0)
    power = float(np.mean(powers(iq))) - density * sample_rate
    if len(iq) < _LEAST_SAMPLES or not power > _CLEAR * density * _WIDER * width:
        return FrequencySpread()
    frequency, rate, _ = instantaneous_frequency(iq, sample_rate, width, _MOST_SAMPLES)
    # The noise of a discriminator has the density 2 f^2 N / C on each side, N a Hz beside a carrier of power C.
    per_cube = 2 / 3 * density / power
    spectrum = fft.rfft((frequency - float(frequency.mean())).astype(np.float32))
    at = fft.rfftfreq(len(frequency), 1 / rate)
    for top in _TOPS:
        highest = top * width
        part = np.clip((highest * (1 + _EDGE) - at) / (_EDGE * highest), 0, 1)
        kept = spectrum * part.astype(np.float32)
        shown = powers(kept)
        whole = 2 * float(shown[1:].sum()) / len(frequency) ** 2
        hiss = per_cube * highest**3
        if whole > 0 and hiss < _NOISY * whole:
            break
    else:
        return FrequencySpread()
    smooth = np.asarray(fft.irfft(kept, len(frequency)))
    tone, in_tone, in_lines = _lines(smooth, rate, hiss)
    below = np.cumsum(shown[1:])
    lowest = float(at[1 + int(np.searchsorted(below, _LOW_SHARE * below[-1]))])
    half = float(at[1 + int(np.searchsorted(below, 0.5 * below[-1]))])
    return FrequencySpread(_peakedness(smooth, hiss), tone, in_tone, in_lines, lowest, hiss / whole, half)


def _while_on(iq: NDArray[np.complex64]) -> NDArray[np.complex64]:
    """Return the samples from where a burst begins to where it ends."""
    size = len(iq) // _PIECES
    power = powers(iq[: size * _PIECES]).reshape(_PIECES, size).mean(axis=1)
    on = np.flatnonzero(power > _ON * quantile(power, 0.9))
    if not len(on):
        return iq
    return iq[int(on[0]) * size : (int(on[-1]) + 1) * size]


def _peakedness(values: _Reals, hiss: float) -> float:
    """Return the fourth moment over the squared variance, a Gaussian noise of a variance taken off."""
    low, high = quantile(values, _EXTREME), quantile(values, 1 - _EXTREME)
    values = np.clip(values, low, high)
    values = np.square(values - float(values.mean()))
    second, fourth = float(values.mean()), float(np.square(values).mean())
    clean = second - hiss
    if not clean > 0.1 * second:
        return 1.0
    return max(1.0, (fourth - 6 * clean * hiss - 3 * hiss**2) / clean**2)


def _lines(values: _Reals, rate: float, hiss: float) -> tuple[float | None, float, float]:
    """Return the frequency of the strongest line, its share of the power without noise, and that of the three."""
    power = powers(fft.rfft((values * hann(len(values))).astype(np.float32)))
    power[:2] = 0
    whole = float(power.sum()) * max(1 - hiss / max(float(values.var()), 1e-300), 0.1)
    if not whole > 0:
        return None, 0.0, 0.0
    step, shares, first = rate / len(values), [], 0
    for number in range(_LINES):
        top = int(np.argmax(power))
        first = top if number == 0 else first
        around = slice(max(0, top - _BINS), top + _BINS + 1)
        shares.append(float(power[around].sum()) / whole)
        power[around] = 0
    if first < _FEWEST:
        return None, 0.0, 0.0
    return first * step, min(shares[0], 1.0), min(sum(shares), 1.0)
