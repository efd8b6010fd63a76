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
_CLEAR = 7.0
"""Standard deviations by which the repetition stands out, at least."""
_MULTIPLES, _AS_CLEAR = 8, 0.35
"""A lag that the clearest one may be a multiple of: so many times at most, and of what it should have at least."""
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
_PARTS, _LINE_CODE, _AS_ALIKE = 12, 1.8, 0.95
"""Codes that the clearest lag may be; over the bandwidth: a bit of a line code, at least; and of the greatest likeness:
the shortest lag that is as alike."""
_FREE, _MOST_CHANCE = 1.3, 0.9
"""Over the lag's bandwidths: mean square of how alike noise is, at most so much."""
_MOST_ODDS, _CHANGES, _UNCHANGED = 4.0, 0.2, -0.5
"""Logarithm of the odds, at most; and where nothing changes with the code, as in a pattern of symbols or a sweep that
come again and again."""
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
    """

    chip_rate: float | None = None
    code_period: float | None = None
    chips: int | None = None
    clear: float = 0.0
    alike: float = 0.0
    changes: float = 0.0
    confidence: float = 0.0


class _Code(NamedTuple):
    lag: float  # samples
    clear: float
    alike: float
    changes: float
    everywhere: float  # how alike in each short time, beyond chance
    likeness: float  # how alike, beyond chance


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
        return Spreading()
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
    return Spreading(
        chip_rate=chip_rate,
        code_period=period,
        chips=chips,
        clear=code.clear,
        alike=code.alike,
        changes=code.changes,
        confidence=logistic(_odds(code, chips, likeness, band)),
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
        if best is None or clear[top] > best[0]:
            best = float(clear[top]), int(lags[top]), clear, int(lags[0]), times
    if best is None or best[0] < _CLEAR:
        return None
    value, lag, clear, first, times = best
    for many in range(_MULTIPLES, 1, -1):  # the code, not several of them
        place = round(lag / many) - first
        around = clear[max(0, place - 1) : max(0, place + 2)]
        if len(around) and float(around.max()) > _AS_CLEAR * value / math.sqrt(many):
            lag = max(0, place - 1) + int(np.argmax(around)) + first
            break
    index = lag - first
    exact = line_place(np.maximum(clear, 1e-3), index) + first if 0 < index < len(clear) - 1 else float(lag)
    return _shortest(band, exact * times, value)


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
    product = iq[whole:] * np.conj(iq[:-whole])
    running = np.concatenate([[0], np.cumsum(product)])
    both = np.concatenate([[0.0], np.cumsum(0.5 * (power[whole:] + power[:-whole]), dtype=np.float64)])
    codes = min(_CODES, max(1, int(len(product) / lag) - 1))
    starts = np.arange(0, lag, max(1.0, lag / 24))
    # Lags are known to a tenth of a sample, which adds up: the best one of some near it counts.
    lags = lag + np.array(_OFF)
    edges = starts[:, None] + np.arange(codes + 1) * lags[:, None, None]
    place = np.minimum((edges + 0.5).astype(np.int64), len(product))
    sums, powers = running[place], both[place]
    held = np.abs(sums[..., 1:] - sums[..., :-1]) / np.maximum(powers[..., 1:] - powers[..., :-1], 1e-30)
    share = np.mean(held * held, axis=2)
    highest = share.max(axis=1)
    best = int(highest.argmax())
    top, least = float(highest[best]), float(share[best].min())
    short = max(2, round(lag / _SHORT))
    parts = np.arange(0, len(product), short)
    each = np.abs(np.diff(running[parts])) / np.maximum(np.diff(both[parts]), 1e-30)
    everywhere = median(each) - _CHANCE / math.sqrt(short)
    chance = min(_MOST_CHANCE, _FREE * band.scale / lag)
    likeness = math.sqrt(max(0.0, (top - chance) / (1 - chance)))
    return _Code(lag, clear, math.sqrt(top), 1 - least / max(top, 1e-30), everywhere, likeness)


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


def _odds(code: _Code, chips: int | None, likeness: float, band: FlatBand) -> float:
    """Return the logarithm of the odds that it is right: a logistic curve fitted to simulation (docs/families.md)."""
    codes, steady = len(band.iq) / code.lag, _steadiness(band.iq)
    short = code.lag < _LEAST_CODE * band.scale or (chips is not None and chips < _LEAST_CHIPS)
    worth = -19.8 + 1.84 * min(math.log(code.clear), 6.0) + 0.44 * code.alike + 4.04 * code.changes
    worth += 2.24 * (chips is not None) + 1.23 * min(math.log(codes), 4.0) + 2.2 * min(steady, 2.5)
    worth += 1.9 * max(code.everywhere, 0.0)
    if code.changes < _CHANGES or short:
        return min(worth, _UNCHANGED)
    # What is a code is the same again but for its data, the noise and another signal.
    most = _UNCHANGED + (_MOST_ODDS - _UNCHANGED) * min(
        max((likeness - _UNLIKE) / (_LIKE - _UNLIKE), 0.0), 1.0
    )
    return min(worth, most)
