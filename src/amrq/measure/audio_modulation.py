# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be measured of audio on a carrier: FM's deviation, pilot, RDS and modem inside; AM's depth; SSB's side.

A discriminator's noise grows with the square of the frequency: it is known from what lies above the audio. AM is
looked at in phase with its carrier; what is in quadrature is noise, and as strong as the noise in phase.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from amrq import transforms as fft
from amrq.chunks import finite_samples
from amrq.errors import AmrqError
from amrq.measure.frequency_keying import instantaneous_frequency, measure_frequency_keying
from amrq.measure.looks import hann, hann_single, median, powers, quantile, turned
from amrq.measure.voice import am_audio

__all__ = [
    "AmMeasures",
    "FmMeasures",
    "InnerModem",
    "SsbMeasures",
    "measure_am",
    "measure_am_modem",
    "measure_fm",
    "measure_ssb",
]

_LEAST_SAMPLES = 512
_PEAK = 0.995
"""Of the time the modulation is below its peak."""
_SHARE = 0.99
"""Of the audio's power that its band holds."""
_AUDIO = 20e3
"""Hz: what is above is no audio."""
_PILOT, _PILOT_NEAR, _RDS = 19e3, 60.0, 57e3
_BESIDE = 1500.0
"""Hz on either side of a line, where its floor is taken."""
_RDS_WIDTH = 2.2e3
_RDS_RATIO, _RDS_LEAST = 1.3, 57.0
"""Density there over what is beside it; and that of RDS with 1 kHz of deviation, Hz^2 a Hz."""
_WIDE, _MULTIPLEX = 35e3, 140e3
"""Hz: what is wider is looked at so wide at least."""
_NARROW_SAMPLES, _WIDE_SAMPLES = 12_000, 36_000
_DEEPEST = 1.5
"""Depth: more is no modulation of a carrier."""
_CARRIER_WIDTH = 60.0
"""Hz: the phase of AM's carrier is followed as fast."""
_VOICE_MODEM = 250.0, 7500.0
"""Hz: tones of modems that are sent as audio."""
_MODEM_ERROR, _ENVELOPE = 0.3, 0.7
"""Of half the distance of the tones, and of the mean squared envelope: a modem leaves less, and has less variation."""

_Reals = NDArray[np.float64]


@dataclass(frozen=True)
class FmMeasures:
    """What was measured of frequency modulation by audio; None where the samples do not carry it.

    Attributes:
        deviation: that is exceeded 0.5 % of the time, Hz, noise taken off.
        rms_deviation: Hz, noise taken off.
        audio_band: lowest and highest frequency of the modulation, Hz: 99 % of its power.
        confidence: probability that the deviation is right to 5 %, 0 to 1.
        pilot_deviation: of a stereo pilot at 19 kHz, Hz; 0 where there is none.
        pilot_confidence: probability that it is there (or that there is none), 0 to 1.
        rds: RDS is on 57 kHz.
        rds_confidence: as of the pilot.
        tones: lower and higher tone of a modem inside, Hz.
        inner_symbol_rate: of that modem, symbols a second.
        inner_confidence: probability that tones and rate are right, 0 to 1.
    """

    deviation: float | None = None
    rms_deviation: float | None = None
    audio_band: tuple[float, float] | None = None
    confidence: float = 0.0
    pilot_deviation: float | None = None
    pilot_confidence: float = 0.0
    rds: bool | None = None
    rds_confidence: float = 0.0
    tones: tuple[float, float] | None = None
    inner_symbol_rate: float | None = None
    inner_confidence: float = 0.0


@dataclass(frozen=True)
class AmMeasures:
    """What was measured of amplitude modulation; None where the samples do not carry it.

    Attributes:
        depth: of the modulation that is exceeded 0.5 % of the time, noise taken off.
        audio_band: lowest and highest frequency of the audio, Hz: 99 % of its power.
        carrier: Hz from 0 Hz of the samples.
        confidence: probability that the depth is right to 0.1, 0 to 1.
    """

    depth: float | None = None
    audio_band: tuple[float, float] | None = None
    carrier: float | None = None
    confidence: float = 0.0


@dataclass(frozen=True)
class SsbMeasures:
    """What was measured of a voice's single sideband; None where the samples do not carry it.

    Attributes:
        side: `upper` or `lower`.
        skew: middle of the power from the middle of the band, bandwidths: below 0 for most upper sidebands.
        confidence: probability that the side is right, 0.5 to 1.
    """

    side: str | None = None
    skew: float | None = None
    confidence: float = 0.0


@dataclass(frozen=True)
class InnerModem:
    """A modem's two tones in audio; None where there is none.

    Attributes:
        tones: the lower and the higher one, Hz.
        symbol_rate: symbols a second.
        confidence: probability that tones and rate are right, 0 to 1.
    """

    tones: tuple[float, float] | None = None
    symbol_rate: float | None = None
    confidence: float = 0.0


def measure_fm(iq: NDArray[np.complex64], sample_rate: float, bandwidth: float | None = None) -> FmMeasures:
    """Measure frequency modulation about 0 Hz, narrow or wide.

    Args:
        iq: complex [N], the emission about 0 Hz.
        sample_rate: samples a second, above 0.
        bandwidth: of the emission (99 %), right to some 20 %, Hz; None: 0.8 of the sample rate.

    Raises:
        AmrqError: the sample rate is not above 0.

    >>> audio = 3000 * np.sin(2 * np.pi * 1000 / 48e3 * np.arange(9600))
    >>> found = measure_fm(np.exp(2j * np.pi * np.cumsum(audio) / 48e3), 48e3, bandwidth=10e3)
    >>> round(found.deviation, -2), round(found.rms_deviation, -1)
    (3000.0, 2120.0)
    """
    iq, width = _checked(iq, sample_rate, bandwidth)
    if len(iq) < _LEAST_SAMPLES or not np.any(iq):
        return FmMeasures()
    most = _NARROW_SAMPLES
    if width > _WIDE:  # a quiet moment takes less of the band than its pilot and RDS
        width, most = max(width, _MULTIPLEX), _WIDE_SAMPLES
    width = min(width, sample_rate / 1.2)
    frequency, rate, _ = instantaneous_frequency(iq, sample_rate, width, most)
    frequency = frequency[: fft.quick_length(len(frequency))]
    frequency = frequency - float(frequency.mean())
    at, density = _density(frequency, rate)
    top = 0.45 * width  # what the filter before the discriminator leaves whole
    above = (at > 0.6 * top) & (at < 1.2 * top)  # the least there: modulation may reach so far
    noise = quantile(density[above] / at[above] ** 2, 0.2)
    highest = min(top, 3.2 * _RDS) if width > 4 * _AUDIO else min(top, _AUDIO)
    inside = (at > 0) & (at <= highest)
    excess = density[inside] - noise * at[inside] ** 2
    step = float(at[1])
    power = float(excess.sum()) * step
    if not power > 0:
        return FmMeasures()
    band = _band(at[inside], excess)
    kept = _filtered(frequency, rate, 0.0, min(1.2 * band[1] + 2 * step, top))
    hiss = noise * min(1.2 * band[1] + 2 * step, top) ** 3 / 3
    ratio = hiss / max(power, 1e-30)
    pilot, pilot_sure = _pilot(frequency, rate, top)
    rds, rds_sure = _rds(at, density, noise, top)
    tones, inner_rate, inner_sure = _modem(frequency, rate, top)
    return FmMeasures(
        deviation=_peak(kept, hiss),
        rms_deviation=math.sqrt(power),
        audio_band=band,
        confidence=1 / (1 + 10 * ratio),
        pilot_deviation=pilot,
        pilot_confidence=pilot_sure,
        rds=rds,
        rds_confidence=rds_sure,
        tones=tones,
        inner_symbol_rate=inner_rate,
        inner_confidence=inner_sure,
    )


def measure_am(iq: NDArray[np.complex64], sample_rate: float, bandwidth: float | None = None) -> AmMeasures:
    """Measure amplitude modulation with a carrier near 0 Hz.

    Args:
        iq: complex [N], the emission about 0 Hz.
        sample_rate: samples a second, above 0.
        bandwidth: of the emission, right to some 20 %, Hz; None: 0.8 of the sample rate.

    Raises:
        AmrqError: the sample rate is not above 0.

    >>> audio = 0.6 * np.sin(2 * np.pi * 800 / 16e3 * np.arange(8000))
    >>> found = measure_am((1 + audio) * np.exp(0.05j * np.arange(8000)), 16e3, bandwidth=4e3)
    >>> round(found.depth, 1), round(found.carrier)
    (0.6, 127)
    """
    iq, width = _checked(iq, sample_rate, bandwidth)
    if len(iq) < _LEAST_SAMPLES or not np.any(iq):
        return AmMeasures()
    count = len(iq)
    window = hann_single(count)
    spectrum = np.abs(fft.fft(iq * window, 2 * count))
    at = fft.fftfreq(2 * count, 1 / sample_rate)
    spectrum[np.abs(at) > width / 2] = 0
    top = int(np.argmax(spectrum))
    left, here, right = (float(spectrum[(top + step) % (2 * count)]) ** 0.5 for step in (-1, 0, 1))
    bend = left - 2 * here + right
    carrier = float(at[top]) + (0.5 * (left - right) / bend if bend < 0 else 0.0) * sample_rate / (2 * count)
    still = turned(iq, -carrier / sample_rate)
    slow = _filtered(still, sample_rate, -_CARRIER_WIDTH / 2, _CARRIER_WIDTH / 2)
    level = np.abs(slow)
    if not float(level.min()) > 0.05 * float(level.mean()):
        return AmMeasures()  # a carrier does not go away
    aligned = still * np.conj(slow) / level**2
    along, across = aligned.real - float(aligned.real.mean()), aligned.imag
    places, loud = _density(along, sample_rate)
    _, quiet = _density(across, sample_rate)
    inside = (places > 0) & (places <= 0.6 * width)
    if not inside.any():
        return AmMeasures(carrier=carrier)
    noise = float(np.mean(quiet[inside]))
    excess = loud[inside] - np.minimum(quiet[inside], loud[inside])
    power = float(excess.sum()) * float(places[1])
    if not power > 0:
        return AmMeasures(carrier=carrier)
    band = _band(places[inside], excess)
    highest = min(1.2 * band[1] + 2 * float(places[1]), 0.6 * width)
    audio = _filtered(along, sample_rate, 0.0, highest)
    hiss = noise * highest
    depth = _peak(audio, hiss)
    if depth > _DEEPEST:
        return AmMeasures()  # the line is no carrier
    return AmMeasures(depth, band, carrier, 1 / (1 + 4 * hiss / max(power, 1e-30)))


def measure_am_modem(iq: NDArray[np.complex64], sample_rate: float, bandwidth: float) -> InnerModem:
    """Measure the modem in the audio of amplitude modulation with its carrier near 0 Hz.

    Args:
        iq: complex [N], the emission.
        sample_rate: samples a second, above 0.
        bandwidth: of the emission, Hz: twice the highest audio frequency, right to some 20 %.

    Raises:
        AmrqError: the sample rate is not above 0.

    >>> rng = np.random.default_rng(1)
    >>> tones = np.repeat(rng.choice([1200.0, 2200.0], 480), 20)  # 1200 Bd at 24 kHz
    >>> audio = 0.5 * np.sin(2 * np.pi * np.cumsum(tones) / 24e3)
    >>> found = measure_am_modem(1 + audio + 0j, 24e3, 6e3)
    >>> [round(tone, -2) for tone in found.tones], round(found.symbol_rate)
    ([1200.0, 2200.0], 1200)
    """
    iq, width = _checked(iq, sample_rate, bandwidth)
    if len(iq) < _LEAST_SAMPLES or not np.any(iq):
        return InnerModem()
    audio, rate, _ = am_audio(iq, sample_rate, min(1.6 * width, sample_rate))
    return InnerModem(*_modem(audio.real, rate, min(0.6 * width, 0.45 * rate)))


def measure_ssb(iq: NDArray[np.complex64], sample_rate: float, bandwidth: float | None = None) -> SsbMeasures:
    """Say on which side of its carrier a voice's single sideband lies: most of a voice's power is near the carrier.

    Args:
        iq: complex [N], the emission about 0 Hz.
        sample_rate: samples a second, above 0.
        bandwidth: of the emission (99 %), right to some 10 %, Hz; None: 0.8 of the sample rate.

    Raises:
        AmrqError: the sample rate is not above 0.

    >>> tones = [np.exp(2j * np.pi * f / 8e3 * np.arange(8000)) / (f + 2000) for f in range(-1200, 1300, 100)]
    >>> measure_ssb(np.sum(tones, axis=0), 8e3, bandwidth=2.6e3).side
    'upper'
    """
    iq, width = _checked(iq, sample_rate, bandwidth)
    if len(iq) < _LEAST_SAMPLES or not np.any(iq):
        return SsbMeasures()
    power = powers(fft.fft(iq))
    at = fft.fftfreq(len(iq), 1 / sample_rate) / width
    beside = (np.abs(at) > 0.65) & (np.abs(at) < 0.9)
    floor = median(power[beside]) / math.log(2) if np.count_nonzero(beside) > 16 else 0.0
    inside = np.abs(at) <= 0.55
    excess = power[inside] - floor
    total = float(excess.sum())
    if not total > 0:
        return SsbMeasures()
    skew = float((excess * at[inside]).sum()) / total
    confidence = 1 / (1 + math.exp(-min(50.0, 14 * abs(skew))))
    return SsbMeasures("upper" if skew < 0 else "lower", skew, confidence)


def _checked(
    iq: NDArray[np.complex64], sample_rate: float, bandwidth: float | None
) -> tuple[NDArray[np.complex64], float]:
    if not 0 < sample_rate < math.inf:
        raise AmrqError(f"the sample rate must be above 0 Hz, not {sample_rate:g}.")
    width = bandwidth if bandwidth is not None and 0 < bandwidth < math.inf else 0.8 * sample_rate
    return finite_samples(iq), min(width, sample_rate)


def _density(values: _Reals, rate: float) -> tuple[_Reals, _Reals]:
    """Return frequencies and power a Hz of a real signal: the integral over them is its variance."""
    size = min(2048, len(values) // 4 // 2 * 2)
    window = hann(size + 1)[:-1]
    pieces = np.lib.stride_tricks.sliding_window_view(values, size)[:: size // 2]
    power = powers(fft.rfft(pieces * window, axis=1)).mean(axis=0)
    return fft.rfftfreq(size, 1 / rate), 2 * power / (rate * float(np.sum(window**2)))


def _band(at: _Reals, excess: _Reals) -> tuple[float, float]:
    """Return the frequencies between which most of the power is."""
    # From the far end, what does not stand out adds up to nothing.
    total = np.cumsum(excess)
    last = int(np.argmax(total))
    share = np.maximum.accumulate(np.maximum(total[: last + 1], 0)) / float(total[last])
    low, high = np.searchsorted(share, [(1 - _SHARE) / 2, (1 + _SHARE) / 2])
    return float(at[low]), float(at[min(int(high), last)])


def _peak(audio: _Reals, hiss: float) -> float:
    """Return what audio exceeds 0.5 % of the time, the noise in it, of a variance, taken off.

    Noise adds its deviation to the peaks of a tone, which stays near them; it widens what is Gaussian in proportion.
    """
    power = np.square(audio)
    loud, variance = quantile(np.abs(audio), _PEAK), float(np.mean(power))
    clean = max(variance - hiss, 0.05 * variance)
    if not clean**2 > 0:  # so little that its square is none: errors of rounding
        return 0.0
    fourth = float(np.mean(np.square(power))) - 6 * clean * hiss - 3 * hiss**2
    gaussian = min(1.0, max(0.0, (fourth / clean**2 - 1.5) / 1.5))
    wide, tone = loud * math.sqrt(clean / variance), loud - 1.4 * math.sqrt(hiss)
    return max(0.0, gaussian * wide + (1 - gaussian) * tone)


def _filtered(values: NDArray, rate: float, low: float, high: float) -> NDArray:  # type: ignore[type-arg]
    """Return a signal's part between two frequencies, with edges that are not hard."""
    count = len(values)
    whole = np.iscomplexobj(values)
    at = fft.fftfreq(count, 1 / rate) if whole else fft.rfftfreq(count, 1 / rate)
    edge = max(0.1 * (high - low), 2 * rate / count)
    keep = np.clip((high + edge - at) / edge, 0, 1) * np.clip((at - low + edge) / edge, 0, 1)
    if not whole:
        return np.asarray(fft.irfft(fft.rfft(values) * keep, count))
    spectrum = fft.fft(values)
    return np.asarray(fft.ifft(spectrum * keep.astype(spectrum.real.dtype)))


def _pilot(frequency: _Reals, rate: float, top: float) -> tuple[float | None, float]:
    """Return the deviation of a stereo pilot, 0 for none, and how sure that is."""
    if top < _PILOT + _BESIDE:
        return None, 0.0
    window = hann(len(frequency))
    spectrum = np.abs(fft.rfft(frequency * window))
    at = fft.rfftfreq(len(frequency), 1 / rate)
    near = np.abs(at - _PILOT) < max(_PILOT_NEAR, 1.5 * float(at[1]))
    beside = (np.abs(at - _PILOT) < _BESIDE) & ~near
    if np.count_nonzero(beside) < 8:
        return None, 0.0  # too short a look for so wide a band
    floor = median(np.square(spectrum[beside])) / math.log(2)
    peak = float(spectrum[near].max())
    ratio = peak**2 / max(floor, 1e-30)
    present = ratio > 12 + 2 * math.log(max(1, int(np.count_nonzero(near))))
    # Without one, a pilot of a usual deviation would have stood out so far.
    usual = (5e3 * float(window.sum()) / 2) ** 2 / max(floor, 1e-30)
    sure = 1 - math.exp(-min(50.0, (ratio if present else usual) / 12))
    return (2 * peak / float(window.sum()) if present else 0.0), sure


def _rds(at: _Reals, density: _Reals, noise: float, top: float) -> tuple[bool | None, float]:
    """Return whether there is RDS, and how sure that is."""
    if top < _RDS + 2 * _RDS_WIDTH:
        return None, 0.0
    away = np.abs(at - _RDS)
    inside, beside = away < _RDS_WIDTH, (away > 1.3 * _RDS_WIDTH) & (away < 2.2 * _RDS_WIDTH)
    if np.count_nonzero(inside) < 4 or np.count_nonzero(beside) < 4:
        return None, 0.0
    floor = max(float(density[beside].mean()), noise * _RDS**2 * 0.3)
    ratio = float(density[inside].mean()) / max(floor, 1e-30)
    if ratio < _RDS_RATIO and 1 + _RDS_LEAST / floor < 2 * _RDS_RATIO - 1:
        return None, 0.0  # a weak one would not show
    return ratio > _RDS_RATIO, 1 / (
        1 + math.exp(-min(50.0, 12 * abs(math.log(max(ratio, 1e-9) / _RDS_RATIO))))
    )


def _modem(
    frequency: _Reals, rate: float, top: float
) -> tuple[tuple[float, float] | None, float | None, float]:
    """Return tones, symbol rate and confidence of a modem's two tones in the audio."""
    low, high = _VOICE_MODEM[0], min(_VOICE_MODEM[1], top)
    if high < 4 * low:
        return None, None, 0.0
    half = (high - low) / 2
    spectrum = np.zeros(len(frequency), np.complex128)
    half_of_it = fft.rfft(frequency)
    spectrum[: len(half_of_it)] = half_of_it  # of negative frequencies nothing is needed
    at = fft.fftfreq(len(frequency), 1 / rate)
    power = powers(spectrum) * ((at >= low) & (at <= high))
    total = float(power.sum())
    if not total > 0:
        return None, None, 0.0
    # The part that holds most: a modem's tones stand side by side.
    share = np.cumsum(power[: len(power) // 2]) / total
    first, last = (float(at[int(np.searchsorted(share, one))]) for one in (0.01, 0.99))
    width, middle = max(last - first, 400.0), (first + last) / 2
    chosen = (at >= low) & (at <= min(high, middle + half))
    analytic = fft.ifft((2 * spectrum * chosen).astype(np.complex64))
    tones = turned(analytic, -middle / rate)
    envelope = powers(tones)
    if float(envelope.std()) > _ENVELOPE * float(envelope.mean()):
        return None, None, 0.0
    found = measure_frequency_keying(tones, rate, min(width, 0.8 * rate), slow=False, closed=False)
    if found.levels != 2 or found.error > _MODEM_ERROR or found.centre is None or found.deviation is None:
        return None, None, 0.0
    centre = middle + found.centre
    # Of two tones in audio it is only asked whether they are there: how well they fit tells that.
    sure = 1 / (1 + math.exp(min(10.5 * found.error - 4.0, 50.0)))
    return (centre - found.deviation, centre + found.deviation), found.symbol_rate, sure
