# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be measured of OFDM: subcarrier spacing, cyclic prefix, subcarriers in use.

A prefix repeats the end of its symbol: samples are correlated at a lag of the useful time, which is one over the
spacing of subcarriers. This correlation comes and goes once a symbol, while that of pilots and of any other repetition
stays: so the period of symbols is found, and the lag of the prefix is told from others. (Gardner 1986 on
cyclostationary signals; van de Beek, Sandell and Borjesson 1997 on the prefix.)
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from amrq.chunks import finite_samples
from amrq.errors import AmrqError

__all__ = ["Subcarriers", "measure_subcarriers"]

_LEAST_SAMPLES = 512
_MOST_SAMPLES = 1 << 16
_WIDER = 1.1
"""Of the bandwidth: what is looked at."""
_LEAST_LAG = 8.0
"""Over the bandwidth: fewer subcarriers are not looked for."""
_LAGS = 24
"""Peaks of the correlation that are tried."""
_LEAST_PREFIX, _MOST_PREFIX = 0.02, 0.6
"""Of the useful time."""
_LEAST_SYMBOLS = 3.0
_HARMONICS = (1, 3, 7, 15)
"""Lines at multiples of the symbols' rate that are added up: a short prefix has many."""
_NOTHING = -99.0
_LINES = 3.0
"""Standard deviations of the lines' power: below, the correlation over a symbol is not looked at."""
_SOFT = 0.3
"""Samples at 1.1 times the bandwidth: by so much a prefix is seen longer than it is."""
_AS_CLEAR = 0.4
"""Of the clearest correlation: a longer lag has so much."""
_REACH = 8
"""Lags on either side of the best one, from which those between them are interpolated."""
_STEADY = 0.65
"""Of the correlation in a prefix: where so much is in the rest of the symbols, something else repeats itself."""
_LOUD = 3.0
"""Times the median correlation over a short time: more counts as so much."""
_CLEAR = 5.0
"""Standard deviations: what is not clearer is not claimed."""
_GAUSSIAN, _UNLIKE = 1.4, 6.0
"""Mean squared power over squared mean power: 2 for a Gaussian signal."""

_Samples = NDArray[np.complex64]


@dataclass(frozen=True)
class Subcarriers:
    """What was measured of OFDM; None where the samples do not carry it.

    Attributes:
        spacing: of subcarriers, Hz.
        prefix: cyclic prefix over the useful time of a symbol.
        symbol_rate: symbols a second, prefix included.
        occupied: subcarriers from the lowest to the highest in use; one at 0 Hz counts whether it is used or not.
        clear: standard deviations by which the prefix stands out of what noise has; 0 where none is looked for.
        confidence: probability that the spacing is right to 1 %, 0 to 1.
    """

    spacing: float | None = None
    prefix: float | None = None
    symbol_rate: float | None = None
    occupied: int | None = None
    clear: float = 0.0
    confidence: float = 0.0


@dataclass(frozen=True)
class _Prefix:
    lag: int  # samples
    period: float  # samples
    clear: float


def measure_subcarriers(iq: _Samples, sample_rate: float, bandwidth: float | None = None) -> Subcarriers:
    """Measure an OFDM emission about 0 Hz by its cyclic prefix.

    Args:
        iq: complex [N], the emission about 0 Hz; 65,536 at most are looked at. Three symbols are needed at least.
        sample_rate: samples a second, above 0.
        bandwidth: of the emission (99 %), right to some 20 %, Hz; None: 0.8 of the sample rate.

    Raises:
        AmrqError: the sample rate is not above 0.

    >>> rng = np.random.default_rng(1)
    >>> data = np.zeros((60, 256), complex)
    >>> data[:, 1:53] = rng.choice([1, -1, 1j, -1j], (60, 52))
    >>> bodies = np.fft.ifft(data, axis=1)
    >>> iq = np.concatenate([bodies[:, -64:], bodies], axis=1).ravel() * np.exp(-0.65j * np.arange(60 * 320))
    >>> found = measure_subcarriers(iq, sample_rate=80e6, bandwidth=16.5e6)
    >>> round(found.spacing / 1e3), round(found.prefix, 2), found.occupied
    (313, 0.25, 52)
    """
    if not 0 < sample_rate < math.inf:
        raise AmrqError(f"the sample rate must be above 0 Hz, not {sample_rate:g}.")
    iq = finite_samples(iq)[:_MOST_SAMPLES]
    width = bandwidth if bandwidth is not None and 0 < bandwidth < math.inf else 0.8 * sample_rate
    width = min(width, sample_rate)
    if len(iq) < _LEAST_SAMPLES or not np.any(iq):
        return Subcarriers()
    inside, power, rate = _inside(iq, sample_rate, width)
    prefixes = [one for one in _prefixes(inside, rate / width) if one is not None]
    if not prefixes:
        return Subcarriers()
    best = _longest(prefixes)
    if best.clear < _CLEAR:
        return Subcarriers(clear=best.clear)
    lag = _exact(inside, best)
    spacing = rate / lag
    return Subcarriers(
        spacing=spacing,
        prefix=max(0.0, best.period / lag - 1),
        symbol_rate=rate / best.period,
        occupied=_occupied(power, sample_rate, spacing, width),
        clear=best.clear,
        confidence=_confidence(best.clear, inside),
    )


def _inside(iq: _Samples, sample_rate: float, width: float) -> tuple[_Samples, NDArray[np.float64], float]:
    """Return the band alone at a rate little above its width, the power of the whole spectrum, and the rate."""
    count = len(iq)
    spectrum = fft.fft(iq)
    kept = min(count, 2 * math.ceil(_WIDER * width / sample_rate * count / 2))
    size = int(fft.next_fast_len(kept))
    chosen = np.zeros(size, dtype=np.complex64)
    chosen[: kept // 2] = spectrum[: kept // 2]
    chosen[size - kept // 2 :] = spectrum[count - kept // 2 :]
    return fft.ifft(chosen), np.square(np.abs(spectrum)).astype(np.float64), sample_rate * size / count


def _prefixes(iq: _Samples, scale: float) -> list[_Prefix | None]:
    """Return prefixes that the strongest correlations may be of.

    Args:
        iq: the signal's band alone.
        scale: samples in one over the bandwidth.
    """
    count = len(iq)
    spectrum = fft.fft(iq, 2 * count)
    lags = np.abs(fft.ifft(np.square(np.abs(spectrum))))[:count]
    low, high = max(4, int(_LEAST_LAG * scale)), int(count / _LEAST_SYMBOLS)
    if high - low < 16:
        return []
    part = lags[low:high] / np.sqrt(1 - np.arange(low, high) / count)
    peaks = np.flatnonzero((part[1:-1] >= part[:-2]) & (part[1:-1] > part[2:])) + 1
    best = peaks[np.argsort(part[peaks])[::-1][:_LAGS]]
    return [_prefix(iq, low + int(lag), scale) for lag in best]


def _longest(prefixes: list[_Prefix]) -> _Prefix:
    """Return the clearest prefix, or a longer lag in the same symbols: pilots repeat within the useful time as well."""
    best = max(prefixes, key=lambda one: one.clear)
    same = [
        one
        for one in prefixes
        if abs(one.period / best.period - 1) < 0.02 and one.clear > max(_CLEAR, _AS_CLEAR * best.clear)
    ]
    return max(same, key=lambda one: one.lag, default=best)


def _prefix(iq: _Samples, lag: int, scale: float) -> _Prefix | None:
    """Return the prefix whose correlation at a lag comes and goes; None where there are too few symbols."""
    products = iq[lag:] * np.conj(iq[:-lag])
    thinned = max(1, int(lag / 64))
    kept = len(products) // thinned
    if kept * thinned < (_LEAST_SYMBOLS - 1) * lag:
        return None
    sums = products[: kept * thinned].reshape(kept, thinned).sum(axis=1)
    size_of = np.abs(sums)
    sums *= np.minimum(
        1, _LOUD * float(np.median(size_of)) / np.maximum(size_of, 1e-30)
    )  # a preamble is no prefix
    size = int(fft.next_fast_len(2 * kept))
    lines = np.square(np.abs(fft.fft(sums, size)))
    symbol = size * thinned / lag  # of the transform, a line once a useful time
    first, last = symbol / (1 + _MOST_PREFIX), symbol / (1 + _LEAST_PREFIX)
    places = np.arange(max(3.0, first), last, 1 / _HARMONICS[-1])
    if not len(places):
        return None
    # Noise: products are independent over some 1 / bandwidth; each of these has a mean of 1 then.
    free = float(np.mean(np.square(np.abs(sums)))) * kept
    if not free > 0:
        return None
    best = (_NOTHING, 0.0)
    together = np.zeros(len(places))
    done = 0
    for harmonics in _HARMONICS:
        if places[-1] * harmonics > size / 2:
            break
        for times in range(done + 1, harmonics + 1):
            together += lines[np.round(times * places).astype(np.int64)] / free
        done = harmonics
        top = int(np.argmax(together))
        clear = _clear(float(together[top]), harmonics)
        best = max(best, (clear, float(places[top])))
    if best[0] < _LINES:
        return None
    period = size * thinned / best[1]
    return _Prefix(lag, period, _folded(sums, period / thinned, 1 - lag / period, free / kept))


def _folded(sums: _Samples, period: float, share: float, free: float) -> float:
    """Return how clearly a correlation is there for a share of each period, and not in the rest of it.

    Args:
        sums: the correlation over time.
        period: of symbols, in sums.
        share: of the prefix, of a symbol.
        free: mean squared magnitude of a sum in noise.
    """
    bins = max(16, min(64, round(4 / share)))
    phase = np.floor(np.arange(len(sums)) * (bins / period)).astype(np.int64) % bins
    folded = np.bincount(phase, sums.real, bins) + 1j * np.bincount(phase, sums.imag, bins)
    weight = np.bincount(phase, minlength=bins)
    long = max(1, round(share * bins))
    around, heavy = np.concatenate([folded, folded[: long - 1]]), np.concatenate([weight, weight[: long - 1]])
    inside = np.convolve(around, np.ones(long), "valid")
    counts = np.convolve(heavy, np.ones(long), "valid")
    top = int(np.argmax(np.abs(inside) / np.sqrt(np.maximum(counts, 1))))
    mean = inside[top] / max(1.0, float(counts[top]))
    # Beside the prefix, a bin on either side is of both.
    away = (np.arange(bins) - top - long) % bins
    rest = (away >= 1) & (away < bins - long - 1)
    others = folded[rest].sum() / max(1, int(weight[rest].sum()))
    if abs(others) > _STEADY * abs(mean):
        return 0.0
    return float(abs(mean - others) * math.sqrt(float(counts[top]) / free))


def _clear(power: float, lines: int) -> float:
    """Return how unlikely noise has so much power in so many lines of mean 1: standard deviations of a normal law."""
    # Wilson and Hilferty 1931: the cube root of a gamma variate is nearly normal.
    return 3 * math.sqrt(lines) * ((power / lines) ** (1 / 3) - 1 + 1 / (9 * lines))


def _exact(iq: _Samples, prefix: _Prefix) -> float:
    """Return the lag between samples at which the prefix is correlated most."""
    reach = min(_REACH, prefix.lag - 1)
    lags = np.arange(prefix.lag - reach, prefix.lag + reach + 1)
    count = len(iq) - int(lags[-1])
    turned = np.conj(iq[:count] * np.exp(2j * np.pi / prefix.period * np.arange(count)))
    strength = np.array([iq[lag : lag + count] @ turned for lag in lags])
    fine = np.arange(-1, 1.001, 0.02)
    apart = fine[:, None] - np.arange(-reach, reach + 1)[None, :]
    between = np.abs((np.sinc(apart) * np.cos(np.pi / 2 * apart / (reach + 2)) ** 2) @ strength)
    # A symbol's body has the period of the prefix, too: the shorter the lag, the more of a symbol is correlated.
    left = prefix.period - prefix.lag - fine
    room = left > 0.3 * (prefix.period - prefix.lag)
    return float(
        prefix.lag + fine[int(np.argmax(np.where(room, between / np.maximum(left + _SOFT, 1e-9), 0)))]
    )


def _confidence(clear: float, iq: _Samples) -> float:
    """Return the probability that it is right: a logistic curve through what simulation had (docs/families.md).

    Many subcarriers together are nearly Gaussian; what repeats itself and is not, is hardly OFDM.
    """
    power = np.square(np.abs(iq)).astype(np.float64)
    spread = float(np.mean(np.square(power))) / float(power.mean()) ** 2
    worth = 1.2 * (clear - 6.5) - (_UNLIKE if spread < _GAUSSIAN else 0.0)
    return 1 / (1 + math.exp(-max(-50.0, min(50.0, worth))))


def _occupied(power: NDArray[np.float64], sample_rate: float, spacing: float, width: float) -> int:
    """Return how many subcarriers lie between the edges of the spectrum, where it falls to a quarter."""
    step = sample_rate / len(power)
    size = max(1, round(spacing / step))
    smooth = np.convolve(np.fft.fftshift(power), np.full(size, 1 / size), "same")
    frequencies = (np.arange(len(power)) - len(power) // 2) * step
    level = float(np.median(smooth[np.abs(frequencies) < 0.4 * width]))
    on = np.flatnonzero(smooth > 0.25 * level)
    if not len(on):
        return 0
    # A boxcar over one spacing falls to a quarter a quarter of a spacing beyond the last subcarrier's half.
    return max(1, round((frequencies[on[-1]] - frequencies[on[0]]) / spacing - 0.5))
