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

from amrq.measure.looks import checked_look, logistic, squares

__all__ = ["Subcarriers", "measure_subcarriers"]

_LEAST_SAMPLES = 512
_MOST_SAMPLES = 1 << 16
_WIDER = 1.1
"""Of the bandwidth: what is looked at."""
_LEAST_LAG = 8.0
"""Over the bandwidth: fewer subcarriers are not looked for."""
_LAGS = 32
"""Peaks of the correlation that are tried."""
_BLOCK, _LINE = 64, 5.0
"""Values of a spectrum over which its floor is taken, and times this median: more counts as so much."""
_LEAST_PREFIX, _MOST_PREFIX = 0.02, 0.6
"""Of the useful time."""
_LEAST_SYMBOLS = 3.0
_FINE = 40
"""Sums of the correlation in a useful time."""
_HARMONICS = (1, 3, 9)
"""Lines at multiples of the symbols' rate that are added up: a short prefix has many."""
_NOTHING = -99.0
_LINES = 2.0
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
_UNEVEN, _STEADY_ENVELOPE = 1.3, 1.25
"""Of the logarithm of the spectrum, RMS, and mean squared power over squared mean power: what is more uneven, or has a
steadier envelope, is no OFDM."""
_CLEAR = 4.0
"""Standard deviations: what is not clearer is not claimed."""

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
    >>> round(found.spacing / 1e4), round(found.prefix, 2), found.occupied
    (31, 0.25, 52)
    """
    iq, width = checked_look(iq, sample_rate, bandwidth)
    iq = iq[:_MOST_SAMPLES]
    if len(iq) < _LEAST_SAMPLES or not np.any(iq):
        return Subcarriers()
    iq = iq / np.float32(float(np.abs(iq).max()))
    inside, power, rate = _inside(iq, sample_rate, width)
    spread, uneven = _shape(inside)
    if uneven > _UNEVEN or spread < _STEADY_ENVELOPE:
        return Subcarriers()
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
        confidence=logistic(_odds(best.clear, _alike(inside, round(lag), best.period), spread, uneven)),
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
    low, high = max(4, int(_LEAST_LAG * scale)), int(count / _LEAST_SYMBOLS)
    if high - low < 16:
        return []
    # Lines, of pilots and of others, would be at all lags: what stands out of a spectrum counts as so much at most.
    power = np.square(np.abs(fft.fft(iq)))
    blocks = count // _BLOCK
    medians = np.median(power[: blocks * _BLOCK].reshape(blocks, _BLOCK), axis=1)
    floor = np.interp(np.arange(count), (np.arange(blocks) + 0.5) * _BLOCK, medians)
    flat = np.minimum(power / np.maximum(floor + 0.02 * float(np.median(medians)), 1e-30), _LINE)
    part = np.abs(fft.rfft(flat - flat.mean()))[low:high]  # a real sequence: both directions are alike
    peaks = np.flatnonzero((part[1:-1] >= part[:-2]) & (part[1:-1] > part[2:])) + 1
    best = peaks[np.argsort(part[peaks])[::-1][:_LAGS]]
    return [_prefix(iq, low + int(lag)) for lag in best]


def _longest(prefixes: list[_Prefix]) -> _Prefix:
    """Return the clearest prefix, or a longer lag in the same symbols: pilots repeat within the useful time as well."""
    best = max(prefixes, key=lambda one: one.clear)
    same = [
        one
        for one in prefixes
        if abs(one.period / best.period - 1) < 0.02 and one.clear > max(_CLEAR, _AS_CLEAR * best.clear)
    ]
    return max(same, key=lambda one: one.lag, default=best)


def _prefix(iq: _Samples, lag: int) -> _Prefix | None:
    """Return the prefix whose correlation at a lag comes and goes; None where there are too few symbols."""
    products = iq[lag:] * np.conj(iq[:-lag])
    thinned = max(1, int(lag / _FINE))
    kept = len(products) // thinned
    if kept * thinned < (_LEAST_SYMBOLS - 1) * lag:
        return None
    sums = products[: kept * thinned].reshape(kept, thinned).sum(axis=1)
    size_of = np.abs(sums)
    sums *= np.minimum(
        1, _LOUD * float(np.median(size_of)) / np.maximum(size_of, 1e-30)
    )  # a preamble is no prefix
    size = int(fft.next_fast_len(round(1.3 * kept)))
    lines = squares(fft.fft(sums, size))
    symbol = size * thinned / lag  # of the transform, a line once a useful time
    first, last = symbol / (1 + _MOST_PREFIX), symbol / (1 + _LEAST_PREFIX)
    places = np.arange(max(2.0, first), last, 1 / _HARMONICS[-1])
    # Noise: products are independent over some 1 / bandwidth; each of these has a mean of 1 then.
    free = float(squares(sums).sum())
    most = min(_HARMONICS[-1], int(0.5 * size / last))
    if not len(places) or not free > 0 or most < 1:
        return None
    at = np.rint(np.arange(1, most + 1)[:, None] * places).astype(np.int64)
    together = np.cumsum(lines[at], axis=0)
    best = (_NOTHING, 0.0)
    for harmonics in _HARMONICS:
        if harmonics <= most:
            top = int(np.argmax(together[harmonics - 1]))
            clear = _clear(float(together[harmonics - 1, top]) / free, harmonics)
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


def _alike(iq: _Samples, lag: int, period: float) -> tuple[float, float, float]:
    """Return how alike samples a lag apart are: in the prefix, over all symbols; in each prefix alone; and elsewhere.

    In a prefix they are the same but for the noise, in each with the same phase. Elsewhere they are not alike: where a
    code or a carrier repeats itself, they are alike in every short time.
    """
    count = len(iq) - lag
    product = iq[lag:] * np.conj(iq[:count])
    power = np.square(np.abs(iq)).astype(np.float64)
    both = 0.5 * (power[lag:] + power[:count])
    bins = min(32, max(8, round(period / max(1.0, period - lag))))
    place = np.floor(np.arange(count) * (bins / period)).astype(np.int64)
    size = int(place[-1]) + 1
    sums = np.bincount(place, product.real, size) + 1j * np.bincount(place, product.imag, size)
    of_power = np.bincount(place, both, size) + 1e-30
    phase = np.arange(size) % bins
    folded = np.bincount(phase, sums.real, bins) + 1j * np.bincount(phase, sums.imag, bins)
    alike = np.abs(folded) / np.bincount(phase, of_power, bins)
    top = int(np.argmax(alike))
    short = np.abs(sums) / of_power
    away = (phase - top) % bins
    rest = (away > 1) & (away < bins - 1)
    elsewhere = float(np.median(short[rest])) if rest.any() else 1.0
    return float(alike[top]), float(np.median(short[away == 0])), elsewhere - 0.9 * math.sqrt(bins / period)


def _shape(iq: _Samples) -> tuple[float, float]:
    """Return mean squared power over squared mean power, and how uneven the spectrum is, RMS of the logarithm.

    Many subcarriers together are nearly Gaussian, which makes the first 2, and their spectrum is flat.
    """
    power = squares(iq)
    spread = float(np.mean(power * power)) / max(float(power.mean()) ** 2, 1e-30)
    spectrum = np.fft.fftshift(squares(fft.fft(iq)))
    step = max(1, len(spectrum) // 48)
    steps = spectrum[: len(spectrum) // step * step].reshape(-1, step).mean(axis=1)
    middle = steps[int(0.15 * len(steps)) : int(0.85 * len(steps))]
    return spread, float(np.std(np.log(middle / max(float(middle.mean()), 1e-30) + 1e-6)))


def _odds(clear: float, alike: tuple[float, float, float], spread: float, uneven: float) -> float:
    """Return the logarithm of the odds that it is right: a logistic curve fitted to simulation (docs/families.md)."""
    together, alone, elsewhere = alike
    worth = -2.6 + 0.21 * min(clear, 15.0) + 4.2 * together - 5.9 * elsewhere - 0.7 * (alone - together)
    return worth - 0.3 * abs(spread - 2) - 4.8 * min(uneven, 2.0)


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
