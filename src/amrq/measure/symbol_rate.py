# SPDX-License-Identifier: GPL-3.0-or-later
"""The symbol rate of a signal, estimated from its samples."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from amrq.errors import AmrqError
from amrq.text import engineering

__all__ = ["SymbolRate", "estimate_symbol_rate"]

_SEGMENTS = 32
"""Over which the power spectrum is averaged: 32 give it to 18 %."""
_FLOOR_QUANTILE = 0.1
_ABOVE_FLOOR = 2.0
_NEIGHBOURS = 256
"""Bins on either side of a line that tell the level it stands out from."""
_EVERY = 16  # bins from one median to the next
_LEAST_SAMPLES_PER_SYMBOL = 1.25
_LEAST_SYMBOLS = 64


class SymbolRate(NamedTuple):
    """An estimate of a symbol rate.

    Attributes:
        rate: symbols a second.
        confidence: probability, 0 to 1, that noise alone does not show a line as strong anywhere in the searched
            range.
    """

    rate: float
    confidence: float


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
    The spectrum is made flat first, so that the edges, where the line comes from, count as much as the middle, which
    gives noise alone.

    Args:
        samples: complex [N], the signal in the band, without an equally strong signal beside it.
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
    power = float(np.mean(np.abs(samples.astype(np.complex128)) ** 2))
    if not (math.isfinite(power) and power > 0):
        raise AmrqError("there is no symbol rate in silence, or in samples that are not finite.")
    envelope = np.abs(_flattened(samples.astype(np.complex64))) ** 2
    size = (
        1 << (2 * count - 1).bit_length()
    )  # twice as fine as the samples are long: a line falls on a bin, or nearly
    window = np.hanning(count)
    spectrum = np.asarray(
        np.abs(np.fft.rfft((envelope - envelope.mean()) * window, size)) ** 2, dtype=np.float64
    )
    step = sample_rate / size
    first, last = math.ceil(lowest / step), min(len(spectrum) - 2, math.floor(highest / step))
    around = _local_level(spectrum)
    ratio = spectrum[first : last + 1] / around[first : last + 1]
    place = first + int(np.argmax(ratio))
    best = float(ratio.max())
    # Bins of noise are exponentially distributed about their mean; half as many of them are independent.
    tries = float(last - first + 1)
    confidence = math.exp(-tries * math.exp(-best)) if best < 700 else 1.0
    left, middle, right = (math.log(max(float(spectrum[n]), 1e-300)) for n in (place - 1, place, place + 1))
    bend = left - 2 * middle + right
    shift = 0.5 * (left - right) / bend if bend < 0 else 0.0
    return SymbolRate((place + min(0.5, max(-0.5, shift))) * step, confidence)


def _flattened(samples: NDArray[np.complex64]) -> NDArray[np.complex64]:
    """Return the samples with a flat spectrum where there is a signal and none where there is only noise."""
    count = len(samples)
    length = 1 << max(6, (count // _SEGMENTS).bit_length() - 1)
    parts = np.lib.stride_tricks.sliding_window_view(samples, length)[:: length // 2]
    density = np.mean(np.abs(np.fft.fft(parts * np.hanning(length).astype(np.float32), axis=1)) ** 2, axis=0)
    floor = float(np.quantile(density, _FLOOR_QUANTILE))
    # Wiener's weight of the signal over the root of the density: edges count, bare noise does not.
    share = np.clip(1 - _ABOVE_FLOOR * floor / density, 0, 1) if floor > 0 else np.ones_like(density)
    if not share.any():
        share = np.ones_like(density)
    gain = np.sqrt(share / np.maximum(density, 1e-30 * density.max()))
    spectrum = np.fft.fft(samples)
    places = np.arange(count) * (length / count)
    gains = np.interp(places, np.arange(length + 1), np.append(gain, gain[0]))
    return np.asarray(np.fft.ifft(spectrum * gains), dtype=np.complex64)


def _local_level(spectrum: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean power around each bin, as the medians of its neighbours to the left and to the right tell it.

    The larger of the two counts, as in a greatest-of CFAR detector: where the spectrum ends in a cliff, at the signal's
    bandwidth, bins above the cliff are not held against what lies below.
    """
    padded = np.pad(spectrum, _NEIGHBOURS, mode="reflect")
    places = np.arange(0, len(spectrum), _EVERY)
    windows = np.lib.stride_tricks.sliding_window_view(padded, _NEIGHBOURS)
    left, right = (np.median(windows[places + start], axis=1) for start in (0, _NEIGHBOURS + 1))
    # The median of an exponential distribution is ln 2 times its mean. Between places the level is a straight line.
    level = np.maximum(left, right) / math.log(2)
    return np.asarray(np.interp(np.arange(len(spectrum)), places, level))
