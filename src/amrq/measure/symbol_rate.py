# SPDX-License-Identifier: GPL-3.0-or-later
"""The symbol rate of a signal, estimated from its samples."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from amrq.errors import AmrqError
from amrq.measure.band import find_signals, power_density
from amrq.text import engineering

__all__ = ["SymbolRate", "estimate_symbol_rate"]

_LEAST_SAMPLES_PER_SYMBOL = 1.25
_LEAST_SYMBOLS = 64
_MOST_SAMPLES = 1 << 18
"""Looked at; of longer inputs those in the middle."""
_NEIGHBOURS = 256
"""Bins on either side of a line that tell the level it stands out from."""
_EVERY = 16  # bins from one median to the next
_BAND = 0.07
"""Of a signal's height, -11.5 dB: what is looked at ends here. Side lobes do not count; at twice the symbol rate their
products would make a line as strong as the first."""
_EXTENT = 0.16
"""Of a signal's height, -8 dB: the symbol rate is from 0.5 to 1.05 of this width for pulses from rectangular and half
sine to a roll-off of 0."""
_NARROWEST = 0.5
_TONE = 14.0
"""Times the power around: a bin of the spectrum above is a stray tone."""
_SILENCE = 0.15
"""Of the usual power: samples below are left out."""
_AGREE = 0.2
"""Of what a part of the time must show of the line, were it there all the time."""


class SymbolRate(NamedTuple):
    """An estimate of a symbol rate.

    Attributes:
        rate: symbols a second; NaN if there is none to be named.
        confidence: probability, 0 to 1, that noise alone does not show a line as strong anywhere in the searched
            range; near 0 if something else speaks against the rate.
        reason: why the rate is not clear, in a few words; empty if nothing speaks against it.
    """

    rate: float
    confidence: float
    reason: str = ""


def estimate_symbol_rate(
    samples: NDArray[np.complex64],
    sample_rate: float,
    lowest: float = 0.0,
    highest: float = math.inf,
) -> SymbolRate:
    """Estimate the symbol rate from the strongest spectral line of the squared envelope, which repeats each symbol.

    A signal of symbol rate R and roll-off r holds everything twice in the r R that either edge of its band reaches
    beyond R/2, at a distance of R; the products of the two make a line at R in the spectrum of the squared envelope
    (Gardner, "Exploitation of spectral redundancy in cyclostationary signals", IEEE Signal Processing Magazine, 1991).
    The signal's channel is filtered first and its spectrum made flat, so that the edges, where the line comes from,
    count as much as the middle, which gives noise alone. Stray tones and silence are left out.

    Args:
        samples: complex [N]. If several signals are in the band, the one at 0 Hz counts, else the strongest.
        sample_rate: samples a second.
        lowest: lowest rate searched; 0: the rate with 64 symbols in all of the samples.
        highest: highest rate searched; at most 0.8 times the sample rate.

    Raises:
        AmrqError: the samples are too few, without power or not finite, or the range is empty.

    >>> import numpy as np
    >>> from amrq.classes import linear_class
    >>> from amrq.signals import received_signal
    >>> rng = np.random.default_rng(1)
    >>> symbols = rng.choice(linear_class("QPSK").points, 2000)
    >>> samples = received_signal(symbols, samples_per_symbol=4.0, rolloff=0.35, es_n0_db=20.0, rng=rng)
    >>> found = estimate_symbol_rate(samples, sample_rate=100e3)
    >>> round(found.rate / 1e3, 2), found.confidence > 0.9
    (25.0, True)
    """
    count = len(samples)
    lowest = max(lowest, sample_rate * _LEAST_SYMBOLS / max(1, count))
    highest = min(highest, sample_rate / _LEAST_SAMPLES_PER_SYMBOL)
    if not lowest < highest:
        raise AmrqError(
            f"a symbol rate from {engineering(lowest, 'Bd', 6)} to {engineering(highest, 'Bd', 6)} cannot be found in "
            f"{count} samples at {engineering(sample_rate, 'S/s')}: give more samples or another range."
        )
    samples = np.asarray(samples, dtype=np.complex64)[max(0, (count - _MOST_SAMPLES) // 2) :][:_MOST_SAMPLES]
    power = float(np.mean(samples.real.astype(np.float64) ** 2 + samples.imag.astype(np.float64) ** 2))
    if not (math.isfinite(power) and power > 0):
        raise AmrqError("there is no symbol rate in silence, or in samples that are not finite.")
    band = _band_of(samples, sample_rate)
    if band is None:
        return SymbolRate(math.nan, 0.0, "no signal stands out of the noise")
    low, high, extent = band
    lowest, highest = max(lowest, _NARROWEST * extent), min(highest, high - low)
    if not lowest < highest:
        return SymbolRate(
            math.nan, 0.0, "a signal of this bandwidth has no symbol rate in the searched range"
        )
    envelope, rate = _flat_envelope(samples / np.float32(math.sqrt(power)), sample_rate, low, high, extent)
    return _strongest_line(envelope, rate, lowest, highest)


def _band_of(samples: NDArray[np.complex64], sample_rate: float) -> tuple[float, float, float] | None:
    """Return lower and upper edge of the signal's main lobe and its width at -8 dB, Hz; None if there is no signal."""
    signals = find_signals(samples, sample_rate)
    if not signals:
        return None
    at_middle = [signal for signal in signals if abs(signal.centre) < 0.6 * signal.bandwidth]
    signal = at_middle[0] if at_middle else signals[0]
    step = sample_rate / len(samples)
    wanted = 2 ** math.ceil(math.log2(96 * sample_rate / signal.bandwidth))
    length = max(64, min(wanted, 1 << ((len(samples) // 6).bit_length() - 1)))
    density = power_density(samples, sample_rate, length)
    profile, frequencies = density.mean, density.frequencies
    away = np.abs(frequencies - signal.centre)
    beside = profile[away > 0.7 * signal.bandwidth]
    floor = float(np.quantile(beside, 0.1)) if len(beside) > 16 else 0.0
    excess = profile - floor
    width = max(1, round(signal.bandwidth / density.step / 24))
    smooth = np.convolve(np.pad(excess, width, mode="wrap"), np.ones(width) / width, "same")[width:-width]
    inside = away < 0.5 * signal.bandwidth + density.step
    height = float(np.quantile(smooth[inside], 0.9))
    middle = int(np.argmin(away))

    def edges(level: float) -> tuple[float, float]:
        # From the outside of the box inwards would meet side lobes; from the middle outwards, notches of an echo.
        above = smooth > level * height
        gap = max(2, round(0.12 * signal.bandwidth / density.step))
        right = _last_before_gap(above[middle:], gap)
        left = _last_before_gap(above[middle::-1], gap)
        return frequencies[middle - left] - density.step / 2, frequencies[middle + right] + density.step / 2

    low, high = edges(_BAND)
    narrow_low, narrow_high = edges(_EXTENT)
    low, high = max(low, -sample_rate / 2), min(high, sample_rate / 2)
    if high - low < 4 * step:
        return None
    return float(low), float(high), float(narrow_high - narrow_low)


def _last_before_gap(above: NDArray[np.bool_], gap: int) -> int:
    """Return the last index that is above before more than `gap` are not."""
    places = np.flatnonzero(above)
    if not len(places):
        return 0
    breaks = np.flatnonzero(np.diff(np.concatenate([[0], places])) > gap)
    return int(places[breaks[0] - 1] if len(breaks) and breaks[0] > 0 else 0 if len(breaks) else places[-1])


def _flat_envelope(
    samples: NDArray[np.complex64], sample_rate: float, low: float, high: float, extent: float
) -> tuple[NDArray[np.float32], float]:
    """Return the squared envelope of a part of the band with a flat spectrum, about 0, and its sample rate.

    Silence is left out, and so are stray tones.
    """
    count = len(samples)
    spectrum = fft.fft(samples)
    first, last = math.ceil(low * count / sample_rate), math.floor(high * count / sample_rate)
    part = spectrum[np.arange(first, last + 1) % count]
    power = part.real.astype(np.float64) ** 2 + part.imag.astype(np.float64) ** 2
    level = _local_level(power, max(8, min(_NEIGHBOURS, len(power) // 24)))
    tones = power > _TONE * level
    smooth = np.where(tones, level, power)
    width = max(3, len(power) // 48)
    sums = np.cumsum(np.pad(smooth, (width // 2 + 1, width - width // 2 - 1), mode="reflect"))
    density = np.maximum(sums[width:] - sums[:-width], 0)[: len(power)] / width
    density = np.pad(density, (0, len(power) - len(density)), mode="edge")
    gain = 1 / np.sqrt(np.maximum(density, 1e-12 * density.max() + 1e-300))
    gain[tones] = 0
    size = fft.next_fast_len(2 * len(part) + 2)
    padded = np.zeros(size, dtype=np.complex64)
    padded[: len(part)] = part * gain
    flat = fft.ifft(padded)
    envelope = flat.real**2 + flat.imag**2
    rate = sample_rate * size / count
    span = max(8, min(size // 4, round(48 * rate / extent)))
    sums = np.cumsum(
        np.pad(envelope.astype(np.float64), (span // 2 + 1, span - span // 2 - 1), mode="reflect")
    )
    around = (sums[span:] - sums[:-span])[:size] / span
    usual = float(np.quantile(around, 0.8))
    shown = np.where(
        around > _SILENCE * usual, envelope / np.maximum(around, _SILENCE * usual + 1e-300) - 1, 0.0
    )
    return np.asarray(shown, dtype=np.float32), rate


def _strongest_line(
    envelope: NDArray[np.float32], sample_rate: float, lowest: float, highest: float
) -> SymbolRate:
    """Return the strongest line in the spectrum of an envelope."""
    count = len(envelope)
    size = fft.next_fast_len(2 * count, real=True)  # a line falls on a bin, or nearly
    window = np.hanning(count).astype(np.float32)
    found = fft.rfft(envelope * window, size)
    spectrum = found.real.astype(np.float64) ** 2 + found.imag.astype(np.float64) ** 2
    step = sample_rate / size
    first, last = max(1, math.ceil(lowest / step)), min(len(spectrum) - 2, math.floor(highest / step))
    if last - first < 8:
        return SymbolRate(math.nan, 0.0, "the samples are too few for a signal of this bandwidth")
    around = _local_level(spectrum, _NEIGHBOURS)
    ratios = spectrum / np.maximum(around, 1e-300)
    place = first + int(np.argmax(ratios[first : last + 1]))
    for divisor in (3, 2):
        base = round(place / divisor)
        if base < first + 2:
            continue
        near = base - 2 + int(np.argmax(ratios[base - 2 : base + 3]))
        if ratios[near] > 12:
            place = near
            break
    best = float(ratios[place])
    # Bins of noise are exponentially distributed about their mean; half as many of them are independent.
    tries = float(last - first + 1)
    confidence = math.exp(-tries * math.exp(-best)) if best < 700 else 1.0
    left, middle, right = (math.log(max(float(spectrum[n]), 1e-300)) for n in (place - 1, place, place + 1))
    bend = left - 2 * middle + right
    shift = 0.5 * (left - right) / bend if bend < 0 else 0.0
    return SymbolRate((place + min(0.5, max(-0.5, shift))) * step, confidence)


def _local_level(spectrum: NDArray[np.float64], neighbours: int) -> NDArray[np.float64]:
    """Return the mean power around each bin, as the medians of its neighbours to the left and to the right tell it.

    The larger of the two counts, as in a greatest-of CFAR detector: where the spectrum ends in a cliff, at the signal's
    bandwidth, bins above the cliff are not held against what lies below.
    """
    neighbours = min(neighbours, len(spectrum) // 2)
    padded = np.pad(spectrum, neighbours, mode="reflect")
    places = np.arange(0, len(spectrum), min(_EVERY, max(1, neighbours // 4)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, neighbours)
    left, right = (np.median(windows[places + start], axis=1) for start in (0, neighbours + 1))
    # The median of an exponential distribution is ln 2 times its mean. Between places the level is a straight line.
    level = np.maximum(left, right) / math.log(2)
    return np.asarray(np.interp(np.arange(len(spectrum)), places, level))
