# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be measured of direct sequences: how fast chips follow one another, and how long the code is.

A code is sent again and again, turned by the data. So a signal is like itself one code later, in every short time, with
a phase that changes where a symbol of data ends: once a code (Gardner 1986; Burel 2000 on the fluctuations of the
autocorrelation of spread signals). A pattern of idle symbols has a phase that does not change; OFDM is like itself in
its prefixes only. The chips have a clock as symbols have.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from amrq import transforms as fft
from amrq.measure.looks import (
    band_alone,
    checked_look,
    hann_single,
    line_place,
    logistic,
    median,
    row_medians,
    sliding_medians,
    squares,
)
from amrq.measure.prefix_search import FlatBand, flat_band, middle_half
from amrq.native import kernels

__all__ = ["Spreading", "measure_spreading", "repetitions"]

_LEAST_SAMPLES = 512
_MOST_TIME = 6144.0
"""Over the bandwidth: no more is looked at. A look has 4,096 bandwidths, and the box is half as wide again at most."""
_LEAST, _MOST = 5.5, 2.2
"""Over the bandwidth, and parts of the look: codes that are looked for."""
_HALF = 256.0
"""Over the bandwidth: longer codes are looked for in the middle half of the band, which repeats itself as well."""
_PART = 3
"""Parts of a code that are summed: where the phase changes, one of them is lost."""
_NEAR = 12
"""Lags to either side whose median is what there is without a code."""
_CLEAR, _PERHAPS, _CERTAIN = 7.0, 20.0, 40.0
"""Standard deviations by which the repetition stands out, at least; from which on a longer code must stand out more;
and from which on none is looked for."""
_TIMES = 2.0
"""As much more: many codes of a short one stand out as well."""
_MULTIPLES, _AS_CLEAR, _HARDLY_LESS = 8, 0.35, 0.75
"""A lag that the clearest one may be a multiple of: so many times at most, and of what it should have at least; and of
how alike it is there, at least."""
_CLOCK, _USUAL = (0.6, 1.15), (0.82, 0.14)
"""Of the bandwidth: chip rates that are looked for; and which are usual, with their deviation. A short code has other
lines as clear as the clock's."""
_FLOOR = 64
"""Bins of a spectrum over which its floor is taken."""
_CLOCK_CLEAR = 14.0
"""Of a line's power over its floor, from which on it is a clock: noise has it once in a thousand looks."""
_SHORT, _CHANCE = 8, 0.83
"""Parts of a code that are looked at one by one; median size of a sum of products of noise, over the root of their
number."""
_CODES, _OFF = 40, (-0.16, -0.08, 0.0, 0.08, 0.16)
"""Codes that are looked at one by one, and samples by which their length may be off."""
_LEAST_CHIPS, _LEAST_CODE = 7, 5.9
"""Of a code, at least: what is shorter, as long as so many over the bandwidth where no chips are told, may be bits of a
line code."""
_WIDER, _LEAST_SIGNAL = 1.1, 0.1
"""Of the bandwidth: where it is looked how much noise there is; and how much of it is signal at least."""
_UNLIKE, _LIKE = 0.3, 0.45
"""Likeness, noise taken off, of no code, and of one. A few bits of a line code, or of a pulse, come again by chance:
of 60 claims of them 19 of 20 had less than 0.45, or were shorter than 7 chips; of 150 of codes 2 had."""
_LONG_LIKE = 0.5, 0.7
"""The same of long codes, whose lag is known to a part of a sample: codes have .8, and a frame that a satellite sends
again now and then .42."""
_PARTS, _LINE_CODE, _AS_ALIKE = 12, 1.8, 0.95
"""Codes that the clearest lag may be; over the bandwidth: a bit of a line code, at least; and of the greatest likeness:
the shortest lag that is as alike."""
_FREE, _MOST_CHANCE = 1.3, 0.9
"""Over the lag's bandwidths: mean square of how alike noise is, at most so much."""
_MOST_ODDS, _CHANGES, _UNCHANGED = 4.0, 0.2, -0.5
"""Logarithm of the odds, at most; and where nothing changes with the code, as in a pattern of symbols or a sweep that
come again and again."""
_ENOUGH_CODES, _SAME_PHASE, _A_PATTERN = 12, 0.25, -2.0
"""Codes of which random data turns some for sure; how far their phases cancel at least (12 random bits do in 99 of 100
looks); and the odds' logarithm at most where they do not."""
_MANY_TURNED = (0.5, 0.65), (20.0, 40.0), (0.36, 0.46)
_FEW_TURNED = (0.2, 0.35), (80.0, 120.0), (0.5, 0.65)
"""How far phases cancel, or how much is lost where data does not change with the code; by how much the repetition
stands out; and likeness, from which on symbols may be chips, and are. Of 960 simulated looks at linear modulations,
half of them patterns of idle symbols or frames, none has half of all three; of 320 at codes, half of them staggered,
nine of ten have."""
_LOBES, _MOST_NEAR = 2.0, 0.5
"""Rates of a code to either side of the middle, and share of the power within them: of symbols without a filter 0.9,
of Manchester code 0.86, of seven chips 0.5 and of eleven 0.35."""
_AGAIN = 100.0, 0.5
"""How clear a repetition is, and how alike what comes again, from which on symbols may be chips of few long codes."""
_MOST_LAG, _ONCE_AGAIN = 0.85, 40.0
"""Of the look: lags at which it may come again once; and of the mean that random symbols have: of 1,000 looks at
3,000 of them 999 have less than 15."""
_WHOLE = 0.2
"""Chips by which a code may be off a whole number of them."""

_Samples = NDArray[np.complex64]


@dataclass(frozen=True)
class Spreading:
    """What was measured of direct sequences; None where the samples do not carry it.

    Attributes:
        chip_rate: chips a second.
        code_period: of the code, s.
        chips: of the code.
        clear: standard deviations by which the repetition stands out of other lags.
        alike: how alike samples a code apart are, 0 to 1.
        changes: how much of that is lost where data does not change with the code, 0 to 1: 0 where nothing changes.
        confidence: probability that it is a direct sequence with that code, 0 to 1.
        turned: how clearly it is one, where it is phase keying and nothing else, 0 to 1: symbols come again, with a
            phase that data turns.
    """

    chip_rate: float | None = None
    code_period: float | None = None
    chips: int | None = None
    clear: float = 0.0
    alike: float = 0.0
    changes: float = 0.0
    confidence: float = 0.0
    turned: float = 0.0
    pattern: bool = False
    again: bool = False


class _Code(NamedTuple):
    lag: float  # samples
    clear: float
    alike: float
    changes: float
    everywhere: float  # how alike in each short time, beyond chance
    likeness: float  # how alike, beyond chance
    turns: float  # how far the phases of the codes cancel, 0 where all are the same


def measure_spreading(iq: _Samples, sample_rate: float, bandwidth: float | None = None) -> Spreading:
    """Measure a direct sequence about 0 Hz by the repetition of its code.

    Args:
        iq: complex [N], the emission about 0 Hz; what exceeds 6,144 over the bandwidth is not looked at.
        sample_rate: samples a second, above 0.
        bandwidth: of the emission (99 %), right to some 20 %, Hz; None: 0.8 of the sample rate.

    Raises:
        AmrqError: the sample rate is not above 0.

    >>> rng = np.random.default_rng(1)
    >>> code = rng.choice([-1, 1], 31)
    >>> chips = np.outer(rng.choice([-1, 1], 60), code).ravel()
    >>> pulse = np.sinc((np.arange(-16, 17)) / 4) * np.hanning(33)
    >>> iq = np.convolve(np.kron(chips, [1, 0, 0, 0]), pulse)
    >>> found = measure_spreading(iq, sample_rate=4e6, bandwidth=1.1e6)
    >>> round(found.chip_rate, -4), found.chips, round(found.code_period * 1e6, 1)
    (1000000.0, 31, 31.0)
    """
    iq, width = checked_look(iq, sample_rate, bandwidth)
    iq = iq[: math.ceil(_MOST_TIME * sample_rate / width)]
    if len(iq) < _LEAST_SAMPLES or not np.any(iq):
        return Spreading()
    iq = iq / np.float32(float(np.abs(iq).max()))
    band = flat_band(iq, sample_rate, width)
    code = _code(band)
    if code is None:
        return Spreading(again=_once_again(band))
    chip_rate = _clock(iq, sample_rate, width)
    chips = None
    period = code.lag / band.rate
    if chip_rate is not None:
        near = chip_rate * period
        if abs(near - round(near)) < max(_WHOLE, 0.004 * near):
            chips = round(near)
            period = chips / chip_rate  # the clock is known better than the lag
    # The noise, which shows beside the signal, is not alike.
    likeness = code.likeness / max(1 - band_alone(iq, sample_rate, width, _WIDER).share, _LEAST_SIGNAL)
    turned = _turned(code, chips, likeness, band)
    return Spreading(
        chip_rate=chip_rate,
        code_period=period,
        chips=chips,
        clear=code.clear,
        alike=code.alike,
        changes=code.changes,
        confidence=logistic(_odds(code, chips, likeness, band)),
        turned=0.0 if turned and _is_narrow(iq, sample_rate, width, period) else turned,
        pattern=code.clear > _CERTAIN and _is_pattern(code, band),
        again=_once_again(band)
        if code.clear < _CERTAIN
        else code.clear > _AGAIN[0] and likeness > _AGAIN[1] and code.lag > _HALF * band.scale,
    )


def _code(band: FlatBand) -> _Code | None:
    """Return the lag at which a band repeats itself most clearly; None where there is none."""
    iq, scale = band.iq, band.scale
    low, high = max(4, round(_LEAST * scale)), int(len(iq) / _MOST)
    middle = min(high, max(low, int(_HALF * scale)))
    if middle - low < 2 * _NEAR:
        return None
    best: tuple[float, int, NDArray[np.float64], int, int] | None = None
    for times, first, last in ((1, low, middle), (2, middle, high)):
        lags = np.arange(first // times, last // times)
        if len(lags) < 2 * _NEAR:
            continue
        part = iq if times == 1 else middle_half(iq)
        clear = _clearness(repetitions(part, lags, np.maximum(2, lags // _PART)), lags, len(part))
        top = int(np.argmax(clear))
        if best is None or clear[top] > best[0] * (_TIMES if best[0] > _PERHAPS else 1.0):
            best = float(clear[top]), int(lags[top]), clear, int(lags[0]), times
        if best[0] > _CERTAIN:
            break  # many of such codes come again as clearly
    if best is None or best[0] < _CLEAR:
        return None
    value, lag, clear, first, times = best
    whole, alike = _at(band, clear, lag - first, first, times), -1.0
    for many in range(_MULTIPLES, 1, -1):  # the code, not several of them
        place = round(lag / many) - first
        around = clear[max(0, place - 1) : max(0, place + 2)]
        if len(around) and float(around.max()) > _AS_CLEAR * value / math.sqrt(many):
            lag_of_part = _at(band, clear, max(0, place - 1) + int(np.argmax(around)), first, times)
            found = _shortest(band, lag_of_part, value)
            alike = _described(band, squares(iq), whole, value).likeness if alike < 0 else alike
            if found.likeness > _HARDLY_LESS * alike:  # parts of a pattern may be alike by chance
                return found
    return _shortest(band, whole, value)


def _at(band: FlatBand, clear: NDArray[np.float64], index: int, first: int, times: int) -> float:
    """Return the lag at a place of clearnesses, in samples of the whole band."""
    lag = float(index + first)
    if 0 < index < len(clear) - 1:
        lag = line_place(np.maximum(clear, 1e-3), index) + first
    return lag if times == 1 else _refined(band.iq, lag * times)


def _refined(iq: _Samples, lag: float) -> float:
    """Return a lag that was found at half of the rate, to a part of a sample: codes are alike where it is right."""
    lags = np.arange(-3, 4) + round(lag)
    alike = repetitions(iq, lags, np.maximum(2, lags // _PART))
    top = int(np.argmax(alike))
    return float(lags[top]) if top in (0, len(lags) - 1) else line_place(alike, top) + lags[0]


def _late(iq: _Samples, whole: int, lag: float) -> _Samples:
    """Return samples earlier by the part of a lag that is no whole number of samples."""
    at = fft.fftfreq(len(iq), 1.0)
    return np.asarray(fft.ifft(fft.fft(iq) * np.exp(2j * np.pi * (lag - whole) * at)), np.complex64)


def _once_again(band: FlatBand) -> bool:
    """Return whether what is in the look comes again in it, once."""
    iq = middle_half(band.iq)
    count = len(iq)
    first, stop = int(_HALF * band.scale / 2), int(_MOST_LAG * count)
    if stop - first < 2 * _NEAR:
        return False
    size = int(fft.next_fast_len(2 * count))
    found = squares(fft.ifft(squares(fft.fft(iq, size)).astype(np.complex64)))[first:stop]
    # Of noise, and of random symbols, these have the same exponential distribution.
    over = found / (count - np.arange(first, stop)) / max(float(np.mean(squares(iq))) ** 2, 1e-30)
    lag = first + int(np.argmax(over))
    if over[lag - first] < _ONCE_AGAIN:
        return False
    each = repetitions(iq, np.array([lag]), np.array([part := max(2, (count - lag) // _SHORT)]))
    return float(each[0]) / part > _AGAIN[1] ** 2


def _shortest(band: FlatBand, lag: float, clear: float) -> _Code:
    """Return the code at the shortest part of a lag at which the signal is as alike: a whole lag may be several codes.

    A bit of a line code, as Manchester, is a code of two chips: it is looked for down to there.
    """
    parts = range(1, max(1, min(_PARTS, int(lag / (_LINE_CODE * band.scale)))) + 1)
    power = squares(band.iq)
    found = [_described(band, power, lag / part, clear) for part in parts]
    least = _AS_ALIKE * max(one.likeness for one in found)
    return next(one for one in reversed(found) if one.likeness >= least)


def _clearness(found: NDArray[np.float32], lags: NDArray[np.int64], count: int) -> NDArray[np.float64]:
    """Return by how many standard deviations each repetition stands out of those at lags near it."""
    padded = np.pad(found.astype(np.float64), _NEAR, mode="reflect")
    around = sliding_medians(padded, 2 * _NEAR + 1)
    blocks = (count - lags) / np.maximum(2, lags // _PART)
    # A squared magnitude has the deviation of its mean; so has the median of the others, which are as many.
    return np.asarray((found - around) / np.maximum(around, 0.5) * np.sqrt(np.maximum(blocks, 1.0)))


def _described(band: FlatBand, power: NDArray[np.float32], lag: float, clear: float) -> _Code:
    """Return how alike a signal is to itself a code later, in each code, and how that depends on where codes begin.

    Args:
        band: the signal.
        power: of its samples, float32 [n].
        lag: one code, samples.
        clear: how clear that is.
    """
    iq = band.iq
    whole = round(lag)
    # Where few long codes are compared, a part of a sample counts.
    later = _late(iq, whole, lag) if lag > _HALF * band.scale else iq
    product = later[whole:] * np.conj(iq[:-whole])
    running = np.concatenate([[0], np.cumsum(product)])
    both = np.concatenate([[0.0], np.cumsum(0.5 * (power[whole:] + power[:-whole]), dtype=np.float64)])
    codes = min(_CODES, max(1, int(len(product) / lag) - 1))
    starts = np.arange(0, lag, max(1.0, lag / 24))
    # Lags are known to a tenth of a sample, which adds up: the best one of some near it counts.
    lags = lag + np.array(_OFF)
    edges = starts[:, None] + np.arange(codes + 1) * lags[:, None, None]
    place = np.minimum((edges + 0.5).astype(np.int64), len(product))
    sums, powers = running[place], both[place]
    codes_of = sums[..., 1:] - sums[..., :-1]
    held = np.abs(codes_of) / np.maximum(powers[..., 1:] - powers[..., :-1], 1e-30)
    share = np.mean(held * held, axis=2)
    highest = share.max(axis=1)
    best = int(highest.argmax())
    top, least = float(highest[best]), float(share[best].min())
    of_best = codes_of[best, int(share[best].argmax())]
    size = np.abs(of_best)  # what is alike counts most: a pattern may end in the look
    turns = 1 - abs(complex(of_best @ size)) / max(float(size @ size), 1e-30)
    short = max(2, round(lag / _SHORT))
    parts = np.arange(0, len(product), short)
    each = np.abs(np.diff(running[parts])) / np.maximum(np.diff(both[parts]), 1e-30)
    everywhere = median(each) - _CHANCE / math.sqrt(short)
    chance = min(_MOST_CHANCE, _FREE * band.scale / lag)
    likeness = math.sqrt(max(0.0, (top - chance) / (1 - chance)))
    return _Code(lag, clear, math.sqrt(top), 1 - least / max(top, 1e-30), everywhere, likeness, turns)


def _clock(iq: _Samples, sample_rate: float, width: float) -> float | None:
    """Return the chip rate, by the line of the power of the flat band; None where none is clear."""
    band = flat_band(iq, sample_rate, width, wider=1.35)
    size = 2 * len(band.iq)
    spectrum, half = fft.fft(band.iq), len(band.iq) // 2
    twice = np.zeros(size, np.complex64)
    twice[:half], twice[size - half :] = spectrum[:half], spectrum[len(band.iq) - half :]
    power = squares(fft.ifft(twice))
    lines = squares(fft.rfft((power - power.mean()) * hann_single(size)))
    step = 2 * band.rate / size
    first, last = round(_CLOCK[0] * width / step), min(round(_CLOCK[1] * width / step), len(lines) - 2)
    part = lines[first:last]
    blocks = len(part) // _FLOOR
    if blocks < 2:
        return None
    medians = row_medians(part[: blocks * _FLOOR].reshape(blocks, _FLOOR)) / math.log(2)
    over = part / np.maximum(
        np.interp(np.arange(len(part)), (np.arange(blocks) + 0.5) * _FLOOR, medians), 1e-30
    )
    off = ((first + np.arange(len(part))) * step / width - _USUAL[0]) / _USUAL[1]
    top = int(np.argmax(np.sqrt(over) * np.exp(-0.5 * off * off)))
    if over[top] < _CLOCK_CLEAR:
        return None
    return (line_place(lines, first + top)) * step


def repetitions(iq: _Samples, lags: NDArray[np.int64], steps: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return how like itself a signal is after each lag, in times of so many samples.

    Args:
        iq: complex64 [n].
        lags: [lags], samples, at least 1.
        steps: [lags], samples that are summed up, at least 1, at most n less the lag.

    Returns:
        Mean squared magnitude of sums of products, over what products that are free of one another have, [lags]: 1 in
        white noise, up to `steps` where it is the same.

    >>> same = np.tile(np.exp(1j * np.arange(20) ** 2), 9).astype(np.complex64)
    >>> repetitions(same, np.array([15, 20]), np.array([6, 6])).round(1).tolist()[1]
    6.0
    """
    native = kernels()
    if native is not None:
        return native.repetitions(iq, lags, steps)
    out = np.zeros(len(lags), np.float32)
    for one, (lag, step) in enumerate(zip(lags.tolist(), steps.tolist(), strict=True)):
        blocks = (len(iq) - lag) // step
        products = (iq[lag:] * np.conj(iq[: len(iq) - lag]))[: blocks * step]
        free = float(squares(products).sum())
        sums = products.reshape(blocks, step).sum(axis=1)
        out[one] = float(squares(sums).sum()) / free if free > 0 else 0.0
    return out


def _steadiness(iq: _Samples) -> float:
    """Return the mean squared power over the squared mean power: 1 where the envelope is constant, 2 of noise."""
    power = squares(iq)
    return float(np.mean(power * power)) / max(float(power.mean()) ** 2, 1e-30)


def _is_short(code: _Code, chips: int | None, band: FlatBand) -> bool:
    """Return whether a code is so short that it may be bits of a line code."""
    return code.lag < _LEAST_CODE * band.scale or (chips is not None and chips < _LEAST_CHIPS)


def _is_pattern(code: _Code, band: FlatBand) -> bool:
    """Return whether no phase turns from one code to the next, of so many that data would turn some."""
    return code.turns < _SAME_PHASE and len(band.iq) / code.lag > _ENOUGH_CODES


def _is_narrow(iq: _Samples, sample_rate: float, width: float, period: float) -> bool:
    """Return whether most of the power is as near to its middle as that of symbols which last as long as the code.

    Symbols without a filter, and line codes, have sides that are flat like a code's where they are made so, and each
    symbol is like the one before but for its phase. Chips spread their power over many times the rate of their code.
    """
    power = squares(fft.fft(iq))
    at = fft.fftfreq(len(iq), 1 / sample_rate)
    power = np.where(np.abs(at) <= width / 2, power, 0).astype(np.float64)
    whole = max(float(power.sum()), 1e-300)
    near = np.abs(at - float(at @ power) / whole) < _LOBES / period
    return float(power[near].sum()) > _MOST_NEAR * whole


def _turned(code: _Code, chips: int | None, likeness: float, band: FlatBand) -> float:
    """Return how clearly symbols of phase keying are chips, 0 to 1.

    Random symbols do not come again. Preambles and patterns of idle symbols do, with a phase that stays the same; and
    what is between preambles is not alike. Of few codes data may turn none: then one turn within them must be seen.
    """
    if _is_short(code, chips, band):
        return 0.0
    if len(band.iq) / code.lag < _ENOUGH_CODES:
        found = code.changes, code.clear, likeness
        return _product(found, _FEW_TURNED)
    found = code.turns, code.clear, likeness
    return _product(found, _MANY_TURNED)


def _product(found: tuple[float, ...], limits: tuple[tuple[float, float], ...]) -> float:
    """Return the product of values, each 0 at its lower limit and below, 1 at its upper one and above."""
    return math.prod(float(np.interp(one, at, (0.0, 1.0))) for one, at in zip(found, limits, strict=True))


def _odds(code: _Code, chips: int | None, likeness: float, band: FlatBand) -> float:
    """Return the logarithm of the odds that it is right: a logistic curve fitted to simulation (docs/families.md)."""
    codes, steady = len(band.iq) / code.lag, _steadiness(band.iq)
    short = _is_short(code, chips, band)
    worth = -19.8 + 1.84 * min(math.log(code.clear), 6.0) + 0.44 * code.alike + 4.04 * code.changes
    worth += 2.24 * (chips is not None) + 1.23 * min(math.log(codes), 4.0) + 2.2 * min(steady, 2.5)
    worth += 1.9 * max(code.everywhere, 0.0)
    if code.changes < _CHANGES or short:
        return min(worth, _A_PATTERN if _is_pattern(code, band) else _UNCHANGED)
    # What is a code is the same again but for its data, the noise and another signal.
    limits = _LONG_LIKE if code.lag > _HALF * band.scale else (_UNLIKE, _LIKE)
    return min(worth, _UNCHANGED + (_MOST_ODDS - _UNCHANGED) * _product((likeness,), (limits,)))
