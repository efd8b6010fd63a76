# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be measured of OFDM: subcarrier spacing, cyclic prefix, subcarriers in use.

A prefix repeats the end of its symbol: samples are correlated at a lag of the useful time, which is one over the
spacing of subcarriers. This correlation comes and goes once a symbol, while that of pilots and of any other repetition
stays: so the period of symbols is found, and the lag of the prefix is told from others. (Gardner 1986 on
cyclostationary signals; van de Beek, Sandell and Borjesson 1997 on the prefix.)
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from amrq.measure.looks import Band, band_alone, checked_look, logistic, median, powers, squares
from amrq.measure.prefix_search import FlatBand, PrefixPlace, find_prefixes, flat_band
from amrq.measure.training_symbols import TrainingSymbols, find_training

__all__ = ["Subcarriers", "measure_subcarriers"]

_LEAST_SAMPLES = 512
_WIDER, _FINER = 1.2, 2.0
"""Of the bandwidth: what is looked at; and the rate, over that, at which the exact lag is looked for."""
_SOFT = 0.3
"""Over the bandwidth: by so much a prefix is seen longer than it is."""
_REACH, _BEYOND = 8, 1.2
"""Lags on either side of the best one, from which those between them are interpolated; and how far that is off, in
samples of the search."""
_UNEVEN, _STEADY_ENVELOPE = 1.3, 1.25
"""Of the logarithm of the spectrum, RMS, and mean squared power over squared mean power: what is more uneven, or has a
steadier envelope, is no OFDM."""
_EDGE, _FEWEST_STEPS = 0.25, 8
"""Of the median: where the spectrum is below, it has ended; and steps of it that subcarriers fill, at least."""
_CLEAR = 8.0
"""Minus the logarithm of how likely noise has such a prefix in a given place: what is not clearer is not claimed; some
thousand places are looked at."""
_AS_OFTEN = 11.0
"""The same, where so clear a prefix is found as often in plain noise of a limited band as in OFDM: of 500 such bands
14 % have one of 8, 2.4 % one of 10, 0.8 % one of 11; of simulated OFDM at 5 to 15 dB some 1 % have one from 11 to 12.
The odds are at most what is beyond: any sum of many signals, and one sideband of a noise, is such a band."""
_PROVEN, _SAME = 0.8, 0.03
"""Confidence from which training symbols are not looked for; and how far the spacings that both tell are apart."""
_RIGHT, _LEAST_ALIKE, _ALL_ALIKE = 0.95, 0.4, 0.7
"""Confidence of training symbols as alike as the last, and falling to 0 at the one before it."""
_BESIDE, _PHASES = 1.0, 128
"""Over the bandwidth: so much wider than the prefix is what is looked at of each period; and parts of one."""
_ELSEWHERE, _MOST_ODDS = 0.15, 4.0
"""How alike samples beside the prefix may be by chance; and of the odds' logarithm, at most."""
_LONGEST = 1.6
"""Of a useful time: a longer period goes with hardly any prefix."""
_ONE_PREFIX = 1.15
"""Periods that the correlation is seen for: in less only one prefix may be, which does not tell the period."""

_Samples = NDArray[np.complex64]


_AGAIN, _TIMES_AGAIN = 0.6, 2.0
"""Of the likeness a lag later, that of a pulse two lags later; and how many lags there are to look at, at least."""
_PAUSE_PARTS, _PAUSES = 16, (0.2, 0.6, 9.0)
"""Parts of a symbol whose powers are compared; of the largest, what pauses have at most, which chance makes of few
samples, and more of many, less so much over the root of their number."""
_SEEN_OFTEN, _MOST_ONCE = 3.0, 0.85
"""Symbols in a look, of which more say that a prefix is one; and confidence of one that is seen once or twice, at most:
a pulse that is sent twice is the same."""


@dataclass(frozen=True)
class Subcarriers:
    """What was measured of OFDM; None where the samples do not carry it.

    Attributes:
        spacing: of subcarriers, Hz.
        prefix: cyclic prefix over the useful time of a symbol.
        symbol_rate: symbols a second, prefix included.
        occupied: subcarriers from the lowest to the highest in use; one at 0 Hz counts whether it is used or not.
        clear: minus the logarithm of how likely noise has such a prefix in a given place; 0 where none is looked for.
        confidence: probability that the spacing is right to 1 %, 0 to 1.
    """

    spacing: float | None = None
    prefix: float | None = None
    symbol_rate: float | None = None
    occupied: int | None = None
    clear: float = 0.0
    confidence: float = 0.0


def measure_subcarriers(
    iq: _Samples, sample_rate: float, bandwidth: float | None = None, longest: float = 4608.0
) -> Subcarriers:
    """Measure an OFDM emission about 0 Hz by its cyclic prefix.

    Args:
        iq: complex [N], the emission about 0 Hz. Three symbols are needed at least, and ten where a prefix is short.
        sample_rate: samples a second, above 0.
        bandwidth: of the emission (99 %), right to some 20 %, Hz; None: 0.8 of the sample rate.
        longest: over the bandwidth: no more of the samples is looked at.

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
    iq = iq[: math.ceil(longest * sample_rate / width)]
    if len(iq) < _LEAST_SAMPLES or not np.any(iq):
        return Subcarriers()
    iq = iq / np.float32(float(np.abs(iq).max()))
    wide = band_alone(iq, sample_rate, width, _WIDER, _FINER)
    spread, uneven = _shape(wide)
    if uneven > _UNEVEN or spread < _STEADY_ENVELOPE:
        return Subcarriers()
    band = flat_band(iq, sample_rate, width)
    found = _by_prefix(band, wide, _shape(wide), sample_rate)
    if found.confidence > _PROVEN:
        return found
    training = find_training(band)
    if training is None:
        return found
    times = wide.rate / band.rate
    spacing = wide.rate / _lag_of_training(wide, band.first, training, times)
    begin = max(0, round((band.first + training.start) * times))
    if _has_pauses(wide.iq[begin : begin + round(2 * training.lag * times)], training.lag * times):
        return found
    confidence = _RIGHT * min(1.0, max(0.0, (training.alike - _LEAST_ALIKE) / (_ALL_ALIKE - _LEAST_ALIKE)))
    if found.spacing is not None and abs(found.spacing / spacing - 1) < _SAME:
        return replace(found, confidence=max(found.confidence, confidence))
    if confidence < found.confidence:
        return found
    occupied = _occupied(wide.spectrum, sample_rate, spacing, width)
    return Subcarriers(spacing=spacing, occupied=occupied, clear=found.clear, confidence=confidence)


def _by_prefix(band: FlatBand, wide: Band, shape: tuple[float, float], sample_rate: float) -> Subcarriers:
    """Return what the prefix tells."""
    places = find_prefixes(band)
    if not places or places[0].clear < _CLEAR:
        return Subcarriers(clear=max((one.clear for one in places), default=0.0))
    best = places[0]
    lag = _exact(wide, best, wide.rate / band.rate)
    period = best.period * wide.rate / band.rate
    spacing = wide.rate / lag
    if _comes_again(wide, lag, period) or _has_pauses(wide.iq, period):
        return Subcarriers(clear=best.clear)
    symbols = (len(band.iq) - best.lag) / best.period
    told = symbols > _ONE_PREFIX
    sure = logistic(_odds(best, symbols, _alike(wide.iq, round(lag), period), *shape))
    return Subcarriers(
        spacing=spacing,
        prefix=max(0.0, period / lag - 1) if told else None,
        symbol_rate=wide.rate / period if told else None,
        occupied=_occupied(wide.spectrum, sample_rate, spacing, wide.width),
        clear=best.clear,
        confidence=min(sure, 1.0 if symbols > _SEEN_OFTEN else _MOST_ONCE),
    )


def _exact(band: Band, place: PrefixPlace, times: float) -> float:
    """Return the lag at which samples in the prefix are most alike, in samples of a rate `times` that of the search."""
    period, lag = place.period * times, place.lag * times
    inside = _in_prefix(band.iq, round(lag), period, max(1.0, period - lag) + _BESIDE * band.scale)
    fine, between = _correlated(band.iq, place.lag, times, inside)
    # A symbol's body has the period of the prefix, too: the shorter the lag, the more of a symbol is correlated.
    left = period - fine
    room = left > 0.3 * (period - lag)
    soft = _SOFT * band.scale
    return float(fine[int(np.argmax(np.where(room, between / np.maximum(left + soft, 1e-9), 0)))])


def _comes_again(band: Band, lag: float, period: float) -> bool:
    """Return whether samples are alike two lags later, too: a pulse that is sent again and again, and no prefix."""
    inside = _in_prefix(band.iq, round(lag), period, max(1.0, period - lag) + _BESIDE * band.scale)
    count = len(band.iq) - round(2 * lag)
    if count < _TIMES_AGAIN * lag:
        return False
    here = np.conj(band.iq[:count] * inside[:count])
    once, twice = (abs(complex(band.iq[late : late + count] @ here)) for late in (round(lag), round(2 * lag)))
    return twice > _AGAIN * once


def _has_pauses(iq: _Samples, period: float) -> bool:
    """Return whether the power pauses once a period: pulses do, and a symbol of OFDM does not."""
    if len(iq) < _PAUSE_PARTS * 4 or period < _PAUSE_PARTS:
        return False
    place = np.floor(np.arange(len(iq)) * (_PAUSE_PARTS / period)).astype(np.int64) % _PAUSE_PARTS
    folded = np.bincount(place, powers(iq), _PAUSE_PARTS) / np.maximum(
        np.bincount(place, minlength=_PAUSE_PARTS), 1
    )
    least = max(_PAUSES[0], _PAUSES[1] - _PAUSES[2] / math.sqrt(len(iq) / _PAUSE_PARTS))
    return float(folded.min()) < least * float(folded.max())


def _lag_of_training(band: Band, first: int, training: TrainingSymbols, times: float) -> float:
    """Return the lag between samples of a band, `times` as fast as those of the search, of the long symbols."""
    begin = round((first + training.start + 2.25 * training.lag) * times)
    piece = band.iq[max(0, begin) : begin + round(3.25 * training.lag * times)]
    fine, between = _correlated(piece, training.lag, times, np.ones(len(piece), np.bool_))
    return float(fine[int(np.argmax(between))])


def _in_prefix(iq: _Samples, lag: int, period: float, wide: float) -> NDArray[np.bool_]:
    """Return which samples lie in the window of each period in which they are most alike to those a lag later."""
    bins = min(_PHASES, max(8, math.ceil(period)))
    place = np.floor(np.arange(len(iq)) * (bins / period)).astype(np.int64) % bins
    product, first = iq[lag:] * np.conj(iq[:-lag]), place[: len(iq) - lag]
    fold = np.bincount(first, product.real, bins) + 1j * np.bincount(first, product.imag, bins)
    long = min(bins, max(1, math.ceil(wide * bins / period)))
    running = np.concatenate([[0], np.cumsum(np.concatenate([fold, fold[:long]]))])
    top = int(np.argmax(np.abs(running[long : long + bins] - running[:bins])))
    return np.asarray((place - top) % bins < long)


def _correlated(
    iq: _Samples, lag: int, times: float, inside: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return lags about `times` a lag, between samples, and how alike samples of the inside are to those that later."""
    middle = round(lag * times)
    reach = min(_REACH, middle - 1, len(iq) - middle - 1)
    lags = np.arange(middle - reach, middle + reach + 1)
    count = len(iq) - int(lags[-1])
    turned = np.conj(iq[:count] * inside[:count])
    strength = np.array([iq[one : one + count] @ turned for one in lags])
    fine = lag * times + np.arange(-_BEYOND, _BEYOND + 0.001, 0.02) * times
    apart = np.clip(fine[:, None] - lags[None, :], -reach - 4, reach + 4)
    return fine, np.abs((np.sinc(apart) * np.cos(np.pi / 2 * apart / (reach + 4)) ** 2) @ strength)


def _alike(iq: _Samples, lag: int, period: float) -> tuple[float, float]:
    """Return how alike samples a lag apart are: in the prefix, over all symbols, and elsewhere.

    In a prefix they are the same but for the noise, in each with the same phase. Elsewhere they are not alike: where a
    code or a carrier repeats itself, they are alike in every short time.
    """
    count = len(iq) - lag
    product = iq[lag:] * np.conj(iq[:count])
    power = powers(iq)
    both = 0.5 * (power[lag:] + power[:count])
    bins = min(32, max(8, round(period / max(1.0, period - lag))))
    place = np.floor(np.arange(count) * (bins / period)).astype(np.int64)
    size = int(place[-1]) + 1
    sums = np.bincount(place, product.real, size) + 1j * np.bincount(place, product.imag, size)
    of_power = np.bincount(place, both, size) + 1e-30
    phase = np.arange(size) % bins
    folded = np.bincount(phase, sums.real, bins) + 1j * np.bincount(phase, sums.imag, bins)
    # Of a look shorter than a period some parts have no samples.
    alike = np.abs(folded) / np.maximum(np.bincount(phase, of_power, bins), 1e-30)
    top = int(np.argmax(alike))
    short = np.abs(sums) / of_power
    away = (phase - top) % bins
    rest = (away > 1) & (away < bins - 1)
    elsewhere = float(np.median(short[rest])) if rest.any() else 1.0
    return float(alike[top]), elsewhere - 0.9 * math.sqrt(bins / period)


def _shape(band: Band) -> tuple[float, float]:
    """Return mean squared power over squared mean power, and how uneven the spectrum is, RMS of the logarithm.

    Many subcarriers together are nearly Gaussian, which makes the first 2, and their spectrum is flat: between its own
    edges, which a detector's box does not know.
    """
    power = squares(band.iq)
    spread = float(np.mean(power * power)) / max(float(power.mean()) ** 2, 1e-30)
    half = int(0.55 * band.width / band.bins)
    spectrum = np.concatenate([band.spectrum[-half:], band.spectrum[:half]])
    step = max(1, len(spectrum) // 48)
    steps = spectrum[: len(spectrum) // step * step].reshape(-1, step).mean(axis=1)
    on = np.flatnonzero(steps > _EDGE * median(steps))
    if not len(on) or on[-1] - on[0] + 1 < _FEWEST_STEPS:  # nothing at all, or a line, or some
        return spread, math.inf
    first, count = int(on[0]), int(on[-1] - on[0]) + 1
    middle = steps[first + int(0.15 * count) : first + int(0.85 * count)]
    return spread, float(np.std(np.log(middle / max(float(middle.mean()), 1e-30) + 1e-6)))


def _odds(
    place: PrefixPlace, symbols: float, alike: tuple[float, float], spread: float, uneven: float
) -> float:
    """Return the logarithm of the odds that it is right: a logistic curve fitted to simulation (docs/families.md)."""
    together, elsewhere = alike
    worth = -17.2 + 0.85 * math.log(min(place.clear, 300.0)) + 3.5 * min(together, 1.0)
    worth -= 9.6 * max(elsewhere - _ELSEWHERE, 0.0) + 3.04 * min(uneven, 1.3)
    worth += 5.56 * min(spread, 2.0) - 0.76 * min(max(spread - 2, 0.0), 3.0)
    worth += 0.14 * math.log(place.lag) + 0.41 * min(math.log(max(place.period - place.lag, 0.5)), 2.0)
    worth += 1.36 * min(math.log(max(symbols, 0.3)), 1.5)
    worth -= 2.64 if place.period > _LONGEST * place.lag else 0.0
    return min(worth, place.clear - _AS_OFTEN, _MOST_ODDS)


def _occupied(power: NDArray[np.float32], sample_rate: float, spacing: float, width: float) -> int:
    """Return how many subcarriers lie between the edges of the spectrum, where it falls to a quarter."""
    step = sample_rate / len(power)
    size = max(1, round(spacing / step))
    smooth = np.convolve(np.fft.fftshift(power), np.full(size, 1 / size), "same")
    frequencies = (np.arange(len(power)) - len(power) // 2) * step
    level = float(np.median(smooth[np.abs(frequencies) < 0.4 * width]))
    on = np.flatnonzero(smooth > _EDGE * level)
    if not len(on):
        return 0
    # A boxcar over one spacing falls to a quarter a quarter of a spacing beyond the last subcarrier's half.
    return max(1, round((frequencies[on[-1]] - frequencies[on[0]]) / spacing - 0.5))
