# SPDX-License-Identifier: GPL-3.0-or-later
"""A code below the noise that all of a recording repeats: direct sequences as navigation satellites send them.

Nothing of it shows in a spectrum, but what repeats itself adds up over the whole recording, and noise does not: the
autocorrelation has a line one code later, as narrow as a chip, and others at its multiples (Burel 2000). Lines of the
spectrum, which are alike at every lag, are left out, and the spectrum is made flat.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from amrq import transforms as fft
from amrq.measure.looks import checked_look, row_medians, squares

__all__ = ["BuriedCode", "measure_buried_code"]

_MOST, _LEAST_SAMPLES = 1 << 19, 4096
_SHORTEST, _LONGEST = 256, 0.4
"""Samples of a code at least, and parts of the recording at most."""
_BANDS, _LEAST_BAND, _LINE, _EMPTY, _ROUNDED = 256, 64, 12.0, 0.02, 1e-11
"""Parts of the spectrum whose floors are taken, and bins of one at least; times its floor that a line has; of the
highest floor: where there is less, a filter lets nothing through; and of all power: what is less are errors of single
precision, which repeat themselves where a line does."""
_NEAR = 128
"""Lags that the background of a lag is taken from."""
_ODDS = 17.0
"""Of a lag's power over the background, beyond the logarithm of the number of lags: noise has it once in 2e7 looks."""
_MULTIPLES, _AGAIN, _FEWEST = 8, 9.0, 2
"""Multiples of a code that are looked at; the power of one over the background, which noise has once in 3,000; and how
many there are at least: OFDM is like itself in its prefix alone."""
_PLACES, _PART_OF = 12, 6.0
"""Multiples of a part of the clearest lag that are looked at, and the mean of what they have if it is the code: noise
has 1.8 in three places each."""
_LIKE_NOISE = 1.8, 2.25
"""Mean squared power over the squared mean power: 2 of noise, and less or more of most of what stands out of it."""
_LEVELS, _LEAST_LEVEL = 64, 256
"""Stretches whose levels are taken where a gain has changed, and samples of one at least."""
_COARSE, _SUMMED = 5, 16
"""Values of what one or two bits say, and zero; and samples whose sums are like noise again where that was noise."""
_HALF_LINE = 0.29
"""Of a chip, by which a code's line has half of its power."""


@dataclass(frozen=True)
class BuriedCode:
    """A code that noise hides.

    Attributes:
        period: of the code, s; None where there is none.
        bandwidth: between the first zeros of its spectrum, right to a factor of 1.6, Hz.
        centre: of its band, Hz.
        clear: power of its line over that of other lags.
        share: of the power that repeats itself, 0 to 1.
    """

    period: float | None = None
    bandwidth: float | None = None
    centre: float = 0.0
    clear: float = 0.0
    share: float = 0.0


def measure_buried_code(iq: NDArray[np.complex64], sample_rate: float) -> BuriedCode:
    """Look for a code that samples like noise repeat.

    Args:
        iq: complex [n], of which 524,288 are looked at.
        sample_rate: samples a second, above 0.

    Raises:
        AmrqError: the sample rate is not above 0.

    >>> rng = np.random.default_rng(1)
    >>> noise = rng.normal(size=(40_000, 2)) @ [1, 1j]
    >>> code = np.repeat(rng.choice([-0.3, 0.3], 1000), 2)
    >>> found = measure_buried_code(noise + np.tile(code, 20), 2e6)
    >>> found.period, measure_buried_code(noise, 2e6).period
    (0.001, None)
    """
    iq, _ = checked_look(np.asarray(iq[:_MOST], np.complex64), sample_rate, None)
    count = len(iq)
    if count < _LEAST_SAMPLES or not iq.any():
        return BuriedCode()
    flat = _flat(iq)
    peaky = _peakiness(flat)
    if peaky >= _LIKE_NOISE[1]:  # a receiver's gain may have changed
        flat = _flat(_levelled(iq))
        peaky = _peakiness(flat)
    if peaky <= _LIKE_NOISE[0] and _is_coarse(iq):
        peaky = _peakiness(flat[: count // _SUMMED * _SUMMED].reshape(-1, _SUMMED).sum(axis=1))
    if not _LIKE_NOISE[0] < peaky < _LIKE_NOISE[1]:
        return BuriedCode()
    mean = float(squares(flat).mean(dtype=np.float64))
    size = fft.next_fast_len(2 * count)
    alike = fft.ifft(squares(fft.fft(flat, size)).astype(np.complex64))[:count]
    pairs = count - np.arange(count)
    lines = squares(alike) / (pairs * mean**2)  # 1 in white noise
    first, last = _SHORTEST, int(_LONGEST * count)
    over = lines[first:last] / np.maximum(_background(lines[first:last]), 1.0)
    top = int(np.argmax(over))
    clear, lag = float(over[top]), first + top
    if clear < math.log(len(over)) + _ODDS:
        return BuriedCode(clear=clear)
    lag = _shortest(lines, lag, last)
    multiples = [many * lag for many in range(2, _MULTIPLES + 1) if many * (lag + 1) < 0.9 * count]
    # The lag is known to a sample, which adds up.
    again = [float(lines[at - at // lag : at + at // lag + 1].max()) > _AGAIN for at in multiples]
    if sum(again) < _FEWEST:
        return BuriedCode(clear=clear)
    width = min(2 * _HALF_LINE / _half_width(over, top), 1.0) * sample_rate
    # About its line the autocorrelation turns with the middle of what repeats itself.
    near = alike[lag - 1 : lag + 2].astype(np.complex128)
    centre = float(np.angle(np.vdot(near[:-1], near[1:]))) / (2 * math.pi) * sample_rate
    share = math.sqrt(float(lines[lag]) / pairs[lag])
    return BuriedCode(lag / sample_rate, width, centre, clear, share)


def _peakiness(iq: NDArray[np.complex64]) -> float:
    """Return the mean squared power over the squared mean power; 0 of nothing."""
    power = squares(iq).astype(np.float64)
    return float(np.mean(power**2)) / max(float(power.mean()) ** 2, 1e-300)


def _levelled(iq: NDArray[np.complex64]) -> NDArray[np.complex64]:
    """Return samples with the slow course of their level taken out."""
    power = squares(iq)
    level = _by_medians(power, max(_LEAST_LEVEL, len(iq) // _LEVELS))
    least = _EMPTY * float(level.mean())
    return np.asarray(iq / np.sqrt(np.maximum(level, max(least, 1e-30))), np.complex64)


def _is_coarse(iq: NDArray[np.complex64]) -> bool:
    """Return whether a converter of one or two bits has taken samples, as in receivers of navigation satellites."""
    return all(len(np.unique(part)) <= _COARSE for part in (iq.real, iq.imag))


def _flat(iq: NDArray[np.complex64]) -> NDArray[np.complex64]:
    """Return samples with a flat spectrum, without its lines and without what a filter has cut off."""
    count = len(iq)
    spectrum = fft.fft(iq)
    power = squares(spectrum)
    size = max(_LEAST_BAND, count // _BANDS)
    floor = _by_medians(power, size)
    least = max(_EMPTY * float(floor.max()), _ROUNDED * float(power.mean(dtype=np.float64)))
    kept = (power < _LINE * floor) & (floor > least)
    return np.asarray(
        fft.ifft(np.where(kept, spectrum / np.sqrt(np.maximum(floor, 1e-30)), 0).astype(np.complex64)),
        np.complex64,
    )


def _background(lines: NDArray[np.float32]) -> NDArray[np.float64]:
    return _by_medians(lines, _NEAR)


def _by_medians(values: NDArray[np.float32], size: int) -> NDArray[np.float64]:
    """Return the mean that exponentially distributed values have, by the medians of so many at a time."""
    blocks = len(values) // size
    medians = row_medians(values[: blocks * size].astype(np.float64).reshape(blocks, size)) / math.log(2)
    return np.interp(np.arange(len(values)), (np.arange(blocks) + 0.5) * size, medians)


def _shortest(lines: NDArray[np.float32], lag: int, last: int) -> int:
    """Return the shortest part of a lag that repeats as well: satellites' phases turn against one another.

    Where the lag is so many codes long, multiples of a code that have no factor in common with it have lines too.
    """
    for parts in range(_MULTIPLES, 1, -1):
        shorter = lag / parts
        places = [
            round(many * shorter) for many in range(1, int(last / shorter)) if math.gcd(many, parts) == 1
        ]
        if shorter < _SHORTEST or not places:
            continue
        if float(np.mean([lines[at - 1 : at + 2].max() for at in places[:_PLACES]])) > _PART_OF:
            return _shortest(
                lines, places[0] - 1 + int(np.argmax(lines[places[0] - 1 : places[0] + 2])), last
            )
    return lag


def _half_width(over: NDArray[np.float64], top: int) -> float:
    """Return how far from its top a line has half of its power, samples: the mean of its sides within `over`."""
    half, sides = 0.5 * over[top], []
    for step in (-1, 1):
        at = top
        while 0 < at < len(over) - 1 and over[at] > half:
            at += step
        if at == top:
            continue  # it is the first or the last of all
        beyond, before = over[at], over[at - step]
        between = float((half - beyond) / (before - beyond)) if before > beyond else 0.0
        sides.append(abs(at - top) - between)
    return max(sum(sides) / len(sides), 0.25) if sides else 0.25
