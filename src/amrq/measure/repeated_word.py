# SPDX-License-Identifier: GPL-3.0-or-later
"""The symbol clock of a word that is sent again and again, as while a transmitter idles.

Whatever is done to a repeated word has lines at all multiples of how often it comes: the line of the symbol clock need
not be the clearest, and a wrong clock may fit, since a few different symbols are as many whether they come once or a
hundred times. But the word has a whole number of symbols. For each number the mean word is read, and its evidence is
that of so few symbols: symbols of much less than the true length say what their neighbours say, and count less.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from amrq import transforms as fft
from amrq.measure.keyed_samples import KeyedSamples, symbol_means
from amrq.measure.tone_levels import LevelFit, levels_of_word

__all__ = ["Word", "repeats", "word_clock"]

_SHORTEST, _TIMES = 8, 2.5
"""Samples of a word, at least, and how often it is in the look."""
_ALIKE, _AS_MUCH = 0.35, 0.92
"""Correlation of a frequency with itself a word later, at least; of the largest one, that of the shortest word."""
_LASTS, _SOON = 0.75, 4
"""Of a word's correlation, that with one so many words later, at least."""
_FAR = 0.75
"""Of the bandwidth, from its middle: a frequency beyond is noise."""
_SLOTS, _PHASES = 512, 8
"""Of a word, in which its mean frequency is found; and of a clock, that are compared."""
_RATES, _MOST = (0.04, 1.4), 64
"""Times the bandwidth: symbol rates that are looked for; and the most symbols of a word."""
_FEWEST = 8.0
"""Different symbols of a word, of which fewer have levels by chance."""
_LEAST = 3.5
"""Evidence of a word's levels that counts."""
_SHARE = 0.75
"""Power of the number of symbols that evidence is divided by, to compare words of a few symbols and of many."""
_SAME = 0.7
"""Correlation of symbols with those a word later, from which on a fit is of a word."""

_Reals = NDArray[np.float64]


def repeats(fit: LevelFit) -> bool:
    """Return whether most of the symbols of a fit are a word that is sent again and again."""
    count = len(fit.numbers)
    most = int(count / _TIMES)
    if most < 3:
        return False
    alike = _correlation(fit.numbers.astype(np.float64), most)
    return bool(alike[2:].max() > _SAME)


class Word(NamedTuple):
    """A word that is sent again and again.

    Attributes:
        symbol_rate: symbols a second.
        slowest: symbols a second of a clock that gives the word too few different symbols to tell anything, at most.
    """

    symbol_rate: float
    slowest: float


def word_clock(keyed: KeyedSamples) -> Word | None:
    """Return the clock of a repeated word; None where there is no such word, or no levels.

    >>> from amrq.measure.keyed_samples import keyed_samples
    >>> rng = np.random.default_rng(1)
    >>> word = np.repeat(rng.permutation(np.arange(16) % 4) * 20.0 - 30, 20)
    >>> iq = np.exp(2j * np.pi * np.cumsum(np.tile(word, 12)) / 1000).astype(np.complex64)
    >>> round(word_clock(keyed_samples(iq, 1000.0, 150.0)).symbol_rate, 1)
    50.0
    """
    far = _FAR * keyed.width
    word = _period(np.clip(keyed.frequency, -far, far))
    if word is None:
        return None
    slots = min(_SLOTS, int(2 * word))
    times = int((len(keyed) - 1) / word)
    phase = keyed.phase(np.asarray(np.arange(times * slots + 1) * (word / slots), np.float64))
    mean = np.diff(phase).reshape(times, slots).mean(axis=0) * (slots / word)
    twice = np.tile(mean, 2)
    sums = np.concatenate([[0.0], np.cumsum(twice)])
    low, high = (share * keyed.width * word / keyed.rate for share in _RATES)
    best, rate = 0.0, 0.0
    for count in range(math.ceil(low), min(int(high), slots // 4, _MOST) + 1):
        step = slots / count
        means = symbol_means(sums, twice, (step, 0.0), count, _PHASES)
        worth = levels_of_word(means[int(np.argmax(means.var(axis=1)))])
        if worth > _LEAST and worth / count**_SHARE > best:
            best, rate = worth / count**_SHARE, count * keyed.rate / word
    return Word(rate, _FEWEST * keyed.rate / word) if rate else None


def _period(values: _Reals) -> float | None:
    """Return after how many values they repeat themselves; None where they do not."""
    most = int(len(values) / _TIMES)
    if most < _SHORTEST + 2:
        return None
    alike = _correlation(values, most)
    tops = np.flatnonzero((alike[1:-1] > alike[:-2]) & (alike[1:-1] >= alike[2:])) + 1
    tops = tops[tops >= _SHORTEST]
    if not len(tops) or not alike[tops].max() > _ALIKE:
        return None
    first = int(tops[np.argmax(alike[tops] > _AS_MUCH * alike[tops].max())])
    period = _place(alike, first)
    # The last one of its multiples tells it best. A voice or music is like itself a while later, and then no longer.
    for times in range(2, int(most / period)):
        near, reach = round(times * period), max(2, round(0.05 * period))
        if near + reach >= most:
            break
        top = near - reach + int(np.argmax(alike[near - reach : near + reach + 1]))
        if abs(top - near) == reach or alike[top] < max(_ALIKE, _LASTS * alike[first]):
            if times <= _SOON:
                return None
            break
        period = _place(alike, top) / times
    return period


def _correlation(values: _Reals, most: int) -> _Reals:
    """Return the correlation of values with those so many places on, float64 [most + 1]."""
    count = len(values)
    length = int(fft.next_fast_len(count + most, True))
    spectrum = fft.rfft((values - values.mean()).astype(np.float32), length)
    power = (np.square(spectrum.real) + np.square(spectrum.imag)).astype(np.complex64)
    alike = fft.irfft(power, length)[: most + 1].astype(np.float64)
    if not alike[0] > 0:
        return np.zeros(most + 1)
    return np.asarray(alike / alike[0] * (count / (count - np.arange(most + 1))))


def _place(values: _Reals, top: int) -> float:
    """Return where a parabola through three values is highest."""
    left, here, right = (float(values[top + step]) for step in (-1, 0, 1))
    bend = left - 2 * here + right
    return top + (min(max(0.5 * (left - right) / bend, -0.5), 0.5) if bend < 0 else 0.0)
