# SPDX-License-Identifier: GPL-3.0-or-later
"""The symbol rate of keys that start and stop: characters whose bits keep time with their own beginning alone.

A teleprinter sends a start bit, some bits, and a stop of 1.5 of them, or of any length while nobody types. So the
moments at which the frequency changes keep to no clock of one symbol; a line of half a symbol, or of a whole number in
a character, is what stands out. But within a character all changes are whole bits from its beginning, so that every
stretch on the start bit's level is whole bits long, and none on the other level is shorter than one. How long the
stretches are tells the bit, then.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from amrq.measure.keyed_samples import KeyedSamples
from amrq.measure.looks import median, straight_line
from amrq.measure.tone_count import evenness

__all__ = ["StartStop", "find_start_stop"]

_SMOOTHED = 0.4
"""Of a symbol, over which the frequency is averaged before its changes are looked for."""
_CROSSED = 0.4
"""Of half the distance of the levels, beyond the middle: a change is one from there to there on the other side."""
_FEWEST, _MOST = 12, 600
"""Stretches on a level, from which on their lengths tell something; changes that are looked at, at most."""
_BETWEEN = 0.35
"""Share of the time, in which the frequency is between its levels, at most."""
_LONGEST = 10.0
"""Symbols of the clock: longer stretches are pauses, or too long to be exact."""
_SHORTEST, _SLOWEST, _STEP, _TRIED = 0.8, 5.5, 0.008, 100
"""Bits that are tried, in symbols of the clock, by how much the next one is longer, and stretches that
they are tried with."""
_WHOLE, _AS_WHOLE = 0.75, 0.93
"""Mean turn of lengths over the bit: of whole bits at least, and of the longest bit that does as well as the best."""
_STRAY, _MOST_WHOLE, _BESIDE = 0.3, 0.8, 0.16
"""Bits by which a length may be off a whole number where it counts; share of those, at least; and bits that stretches
on a level are longer, or shorter, than they were sent, at most."""
_LEAST_STRAY, _TIMES = 0.05, 5.0
"""The same once it is known how exact lengths are: bits, and times their median."""
_SINGLE, _OTHER = 0.12, 0.8
"""Share of stretches of one bit, and of two or more, at least; and bits of the shortest stretch on the other level."""
_SHORT = 0.06
"""Share of the other level's stretches that may be shorter: noise cuts some."""
_FOLLOWS = 0.12
"""Bits by which a stretch within a character is off a whole number, at most."""
_NEAR, _AT_LINE = 0.015, 0.004
"""By how much a bit is another one than the clock's symbol, at least; and how far a line may be off that is its."""

_Reals = NDArray[np.float64]


class StartStop(NamedTuple):
    """Characters that start and stop.

    Attributes:
        rate: symbols a second.
        starts: float64 [n], where each symbol begins, samples; pauses are divided into symbols, too.
    """

    rate: float
    starts: _Reals


class _Bit(NamedTuple):
    """A bit's length, in symbols of the clock, and what lengths are off whole bits, RMS, bits."""

    length: float
    error: float


class _Stretch(NamedTuple):
    """Stretches of a frequency on two levels by turns."""

    begins: _Reals  # samples
    lengths: _Reals  # samples
    up: NDArray[np.bool_]  # whether on the upper level


def find_start_stop(
    keyed: KeyedSamples,
    rate: float,
    centre: float,
    half: float,
    lines: list[tuple[float, float]],
    other: bool = True,
) -> StartStop | None:
    """Return the symbols of characters that start and stop; None where what changes keeps to a clock.

    Args:
        keyed: the samples.
        rate: of the clock that was found, symbols a second.
        centre: middle between two levels, Hz from the samples' middle.
        half: half their distance, Hz.
        lines: symbol rates of a clock's lines, which are exact, and their evidence.
        other: only bits that are not as long as the clock's symbols are looked for.

    >>> from amrq.measure.keyed_samples import keyed_samples
    >>> rng = np.random.default_rng(1)
    >>> sent = np.concatenate([[0, 0, *np.repeat(rng.integers(2, size=5), 2), 1, 1, 1] for _ in range(60)])  # half bits
    >>> iq = np.exp(2j * np.pi * np.cumsum(np.repeat(170.0 * sent - 85, 11)) / 1000).astype(np.complex64)
    >>> found = find_start_stop(keyed_samples(iq, 1000.0, 250.0), 90.9, -85.0, 85.0, [(90.9, 50.0)])
    >>> round(found.rate, 2), len(found.starts)
    (45.45, 417)
    """
    step = keyed.rate / rate
    found = _stretches(keyed.frequency - centre, half, step)
    if found is None:
        return None
    lengths = found.lengths / step
    if other and any(_keeps_time(lengths[up]) for up in (found.up, ~found.up)):
        return None
    bits = [(_bit(lengths[up], lengths[~up], other), up) for up in (~found.up, found.up)]
    kept = [(bit.error, bit.length, up) for bit, up in bits if bit is not None]
    if not kept:
        return None
    _, length, begun = min(kept, key=lambda one: one[0])
    length = _within_characters(found.begins / step, lengths, length)
    return StartStop(_at_line(rate / length, lines), _starts(found, length * step, begun))


def _stretches(frequency: _Reals, half: float, step: float) -> _Stretch | None:
    """Return the stretches, but for the first and last one; None where there is much between the levels."""
    wide = max(1, round(_SMOOTHED * step))
    sums = np.concatenate([[0.0], np.cumsum(frequency)])
    smooth = (sums[wide:] - sums[:-wide]) / wide
    # Of each change the first sample that is clearly on the other side; between them it crosses the middle.
    clear = np.flatnonzero(np.abs(smooth) > _CROSSED * half)
    sides = smooth[clear] > 0
    at = np.flatnonzero(sides[1:] != sides[:-1])[:_MOST]
    if len(at) < _FEWEST or len(smooth) - len(clear) > _BETWEEN * len(smooth):
        return None
    before, after = clear[at], clear[at + 1]
    crossed = before + (after - before) * smooth[before] / (smooth[before] - smooth[after]) + (wide - 1) / 2
    return _Stretch(crossed[:-1], np.diff(crossed), sides[at + 1][:-1])


def _starts(found: _Stretch, bit: float, begun: NDArray[np.bool_]) -> _Reals:
    """Return where each symbol begins: of stretches that are not on a start bit's level the last one is longer."""
    counts = np.where(begun, np.rint(found.lengths / bit), np.floor(found.lengths / bit + _STRAY)).astype(
        np.int64
    )
    steps = np.where(begun, found.lengths / np.maximum(counts, 1), bit)
    first = np.cumsum(counts) - counts
    within = np.arange(int(counts.sum())) - np.repeat(first, counts)
    return np.asarray(np.repeat(found.begins, counts) + within * np.repeat(steps, counts))


def _keeps_time(lengths: _Reals) -> bool:
    """Return whether stretches on a level are as many of the clock's symbols long, some of them one."""
    kept = lengths[lengths < _LONGEST]
    bit = _fitted(kept, 1.0) if len(kept) >= _FEWEST else None
    return bit is not None and abs(bit.length - 1) < _NEAR


def _bit(begun: _Reals, beside: _Reals, other: bool) -> _Bit | None:
    """Return the length of a bit, in symbols of the clock, by stretches on a start bit's level and on the other one."""
    kept = begun[begun < _LONGEST]
    if len(kept) < _FEWEST or len(beside) < _FEWEST:
        return None
    bits = _SHORTEST * (1 + _STEP) ** np.arange(math.log(_SLOWEST / _SHORTEST) / _STEP)
    clear = evenness(kept[:_TRIED], bits)
    good = np.flatnonzero((clear > _WHOLE) & (clear > _AS_WHOLE * clear.max()))
    if not len(good):
        return None
    place = int(good[-1])
    while place > 0 and clear[place - 1] > clear[place]:
        place -= 1
    bit = _fitted(kept, float(bits[place]))
    if bit is None or (other and abs(bit.length - 1) < _NEAR):
        return None
    return None if np.mean(beside < _OTHER * bit.length) > _SHORT else bit


def _fitted(lengths: _Reals, bit: float) -> _Bit | None:
    """Return the bit by the slope of a straight line through lengths; None where they are no bits of that length."""
    most, beside = _STRAY, 0.0
    for _ in range(3):
        numbers = np.rint((lengths - beside) / bit)
        away = np.abs(lengths - beside - numbers * bit) / bit
        whole = away < most
        if whole.mean() < _MOST_WHOLE:
            return None
        if min(np.mean(numbers[whole] == 1), np.mean(numbers[whole] > 1)) < _SINGLE:
            return None
        bit, beside = straight_line(numbers[whole], lengths[whole])
        if not bit > 0 or abs(beside) > _BESIDE * bit:
            return None
        most = min(_STRAY, max(_LEAST_STRAY, _TIMES * median(away)))
    return _Bit(bit, float(np.sqrt(np.mean(np.square(away[whole])))))


def _within_characters(begins: _Reals, lengths: _Reals, bit: float) -> float:
    """Return the bit by all stretches that follow each other in whole bits: those of a character."""
    numbers = np.rint(lengths / bit)
    follows = np.abs(lengths / bit - numbers) < _FOLLOWS
    group = np.concatenate([[0], np.cumsum(~follows[:-1])])
    place = np.concatenate([[0.0], np.cumsum(np.where(follows, numbers, 0.0)[:-1])])
    many = np.bincount(group)
    place -= (np.bincount(group, place) / many)[group]
    away = begins - (np.bincount(group, begins) / many)[group]
    spread = float(place @ place)
    return float(place @ away) / spread if spread > 0 else bit


def _at_line(rate: float, lines: list[tuple[float, float]]) -> float:
    """Return a rate, as exact as a clock's line that it is, or that is twice as fast."""
    near = [line / times for line, _ in lines for times in (1, 2) if abs(line / times / rate - 1) < _AT_LINE]
    return near[0] if near else rate
