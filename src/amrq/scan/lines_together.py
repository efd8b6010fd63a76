# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines that are one signal: tones of which one is on at a time, and a carrier with the same lines on either side.

A detector whose bins are as narrow as slow tones sees each tone of JT65 or Q65 as an emission of its own, and of AM or
FM with a steady tone it sees the carrier and each line beside it. What is alike in all of them:

* one at a time: in a moment that is shorter than a symbol, nearly all of the power is in one place, and that place
  changes. Stations that are keyed each for itself are on together, or are silent together;
* alike on both sides: each line has one as strong as far on the other side of the middle;
* a carrier in the middle, with something that reaches as far on either side: the sidebands of a voice.

None says what the signal is. They say that it is worth looking at as one, and that some names of it may be believed.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from amrq.chunks import finite_samples
from amrq.model import UNKNOWN
from amrq.scan.parts import Part
from amrq.scan.records import EmissionRecord

__all__ = ["alike_on_both_sides", "families_of_lines", "one_at_a_time", "without_name"]

_MOMENT = 0.06
"""Seconds of a moment: the tones of the slow modes last .08 to .6 s, and their lines are as wide as their spacing."""
_MOMENTS, _FEWEST = 96, 12
"""Moments that are looked at, at most, spread over all of it, and at least."""
_BESIDE = 2
"""Bins on either side of the strongest that a line takes in its window, and by more than which places differ."""
_ALL = 0.75
"""Of the power above the noise in most moments: what is in one place."""
_STAYS = 0.75
"""Of the moments: a line that is the strongest in more of them is a carrier with something beside it."""
_PLACES = 3
"""Different ones at least; two tones are seen by how their powers go together."""
_FEWEST_LINES = 3
_COUNTED = 0.05
"""Of the strongest line's energy: weaker ones need none on the other side."""
_AS_STRONG = 2.0
"""Ratio of two lines that are as strong."""
_OFF = 0.01
"""Of the distance of the outermost lines, that a line may be off."""
_NARROW = 0.4
"""Of the distance of the outermost ones, that a line's width is at most."""

_LINE, _ASIDE = 0.05, 0.15
"""Of all of it, that a carrier between its sidebands takes at most, and that it is off the middle."""


def families_of_lines(
    parts: Sequence[Part],
    read: Callable[[int, int], NDArray[Any]],
    length: int,
    sample_rate: float,
    resolution: float,
) -> tuple[str, ...]:
    """Return the families that emissions may be together, if they are lines of one signal; none where they are not.

    Args:
        parts: the emissions, the strongest first.
        read: returns samples from a first one on, so many of them.
        length: samples that there are.
        sample_rate: samples a second.
        resolution: by how much their places may be off, Hz, for what they were measured with.
    """
    if len(parts) < _FEWEST_LINES:
        return ()
    lower, upper = min(one.record.lower for one in parts), max(one.record.upper for one in parts)
    narrow = max(one.width for one in parts) < _NARROW * (upper - lower)
    if narrow and one_at_a_time(read, length, sample_rate, (lower, upper)):
        return "fskm", "fsk4", "fsk2"
    if narrow and alike_on_both_sides(parts, resolution):
        return "am", "fm_narrow", "fm_wide"
    main = parts[0].record
    aside = abs(lower + upper - 2 * main.centre) / (upper - lower)
    between = main.bandwidth < _LINE * (upper - lower) and aside < _ASIDE
    return ("am",) if main.family == "carrier" and between else ()


def without_name(
    record: EmissionRecord, reason: str = "its lines are one signal, which has no name"
) -> EmissionRecord:
    """Return the record of lines that are one signal of which no more is known: none of them is a carrier."""
    plain = replace(
        record, label=UNKNOWN, family=UNKNOWN, confidence=0.0, reason=reason, summary="", protocols=()
    )
    return replace(plain, families={}, details={}, symbol_rate=None, alike=())


def one_at_a_time(
    read: Callable[[int, int], NDArray[Any]], length: int, sample_rate: float, edges: tuple[float, float]
) -> bool:
    """Return whether nearly all of the power is in one place at a time, and that place changes.

    Args:
        read: returns samples from a first one on, so many of them.
        length: samples that there are.
        sample_rate: samples a second.
        edges: between which the lines are, Hz from the middle of the band.

    >>> tones = 1000.0 + 20 * np.array([0, 3, 1, 7, 5, 2, 6, 4] * 2)
    >>> iq = np.exp(2j * np.pi * np.cumsum(np.repeat(tones, 1600)) / 8e3)
    >>> one_at_a_time(lambda start, count: iq[start : start + count], len(iq), 8e3, (900.0, 1300.0))
    True
    >>> carriers = np.exp(2j * np.pi * np.outer([0.1, 0.12, 0.15], np.arange(25600))).sum(axis=0)
    >>> one_at_a_time(lambda start, count: carriers[start : start + count], len(iq), 8e3, (700.0, 1300.0))
    False
    """
    size = 1 << max(4, math.ceil(math.log2(_MOMENT * sample_rate)))
    count = min(_MOMENTS, length // size)
    if count < _FEWEST:
        return False
    starts = np.linspace(0, length - size, count).astype(int).tolist()
    iq = finite_samples(np.array([read(start, size) for start in starts], np.complex64))
    power = np.square(np.abs(fft.fft(iq * np.hanning(size).astype(np.float32), axis=1)))
    at = fft.fftfreq(size, 1 / sample_rate)
    step = sample_rate / size
    inside = np.flatnonzero((at >= edges[0] - _BESIDE * step) & (at <= edges[1] + _BESIDE * step))
    inside = inside[np.argsort(at[inside])]
    if len(inside) < _PLACES * (2 * _BESIDE + 1):
        return False
    power = power[:, inside]
    excess = np.maximum(power - 3 * np.median(power, axis=1, keepdims=True), 0.0)
    strongest = excess.argmax(axis=1)
    near = np.abs(np.arange(len(inside)) - strongest[:, None]) <= _BESIDE
    total = excess.sum(axis=1)
    loud = total > 0.25 * np.quantile(total, 0.75)  # not in pauses
    if np.count_nonzero(loud) < _FEWEST:
        return False
    share = (excess * near).sum(axis=1)[loud] / total[loud]
    places = np.sort(strongest[loud])
    groups = np.split(places, np.flatnonzero(np.diff(places) > _BESIDE) + 1)
    steady = max(np.count_nonzero(np.abs(places - place) <= _BESIDE) for place in np.unique(places))
    spread = places[-1] - places[0] >= _PLACES * (_BESIDE + 1)
    changes = (len(groups) >= _PLACES or spread) and steady <= _STAYS * len(places)
    return bool(changes and np.median(share) >= _ALL)


def alike_on_both_sides(parts: Sequence[Part], resolution: float) -> bool:
    """Return whether each line has one as strong at the same distance on the other side of the middle.

    Args:
        parts: the lines.
        resolution: by how much their places may be off, Hz, for what they were measured with.
    """
    most = max(one.energy for one in parts)
    lines = sorted((one.record.centre, one.energy) for one in parts if one.energy >= _COUNTED * most)
    if len(lines) < _FEWEST_LINES:
        return False
    middle = (lines[0][0] + lines[-1][0]) / 2
    off = max(2 * resolution, _OFF * (lines[-1][0] - lines[0][0]))
    pairs = zip(lines, reversed(lines), strict=True)
    return all(
        abs(a + b - 2 * middle) <= 2 * off and max(one, other) <= _AS_STRONG * min(one, other)
        for (a, one), (b, other) in pairs
    )
