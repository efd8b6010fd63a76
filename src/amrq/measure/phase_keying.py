# SPDX-License-Identifier: GPL-3.0-or-later
"""What tells pi/4-DQPSK and OQPSK from other phase keying, and their symbol rate: lines of powers of the signal.

Noise and data have no lines. The fourth power of QPSK has one at four times the carrier, and one a symbol rate R to
either side; that of pi/4-DQPSK has two, R/2 to either side of the place where QPSK's is, for every second symbol is
turned by an eighth. The square of OQPSK has two lines, R to either side of twice the carrier, and its squared envelope
has none at R, where all others have one. (Gardner, IEEE Signal Processing Magazine, 1991; Punchihewa et al. 2011.) The
signal's spectrum is made flat first for envelope and square: their lines come from the edges of the band.
"""

import math
from dataclasses import dataclass, replace
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from amrq import transforms as fft
from amrq.measure.looks import (
    checked_look,
    hann_single,
    line_place,
    logistic,
    median,
    quantile,
    row_medians,
    squares,
)

__all__ = ["PhaseKeying", "measure_phase_keying"]

_LEAST_SAMPLES = 512
_MOST_TIME = 4096.0
"""Over the bandwidth: no more is looked at."""
_WIDER, _RATE = 1.24, 2.6
"""Of the bandwidth: what is looked at, and its rate."""
_BESIDE = 0.7, 0.9
_STEPS = 48
"""Over the bandwidth, in which the shape of the spectrum is seen."""
_EDGE, _LEAST_SHARE = 0.05, 1e-9
"""Of the spectrum's height: where it is lower, the signal ends; and less than that counts as so much."""
_ENVELOPE = 0.5, 1.2
"""Of the signal's width: symbol rates that are looked for."""
_STAGGERED = 1.1, 2.2
"""The same of the distance of the two lines of OQPSK's square."""
_FLOOR = 64
"""Values of a spectrum over which its floor is taken."""
_MOST_OVER = 1e12
"""Of a value over that floor: samples without noise have a floor of 0."""
_PEAKS, _CLOCKS, _A_LINE = 8, 4, 9.0
"""Highest lines that pairs are made of, and that may be the clock's; and how clear a further one is at least."""
_PARTS = 1, 8
"""Of the time, over which spectra are averaged: lines of what drifts are seen in parts."""
_NEAR_FOURTH, _NEAR_SQUARE = 0.22, 0.1
"""How far the middle of two lines lies from four times the middle of the spectrum, symbol rates; and from twice that,
widths."""
_USUAL, _LIMIT = 0.85, 20.0
"""Of the width: a usual symbol rate. Of values of a spectrum over their floor: more counts as so much."""
_LEAST_SURE = 0.02

_HALF_TURNED = 10.0
"""Of the odds' logarithm: what lines of the square take that are as clear as those of the fourth power."""

_Samples = NDArray[np.complex64]


@dataclass(frozen=True)
class PhaseKeying:
    """What was measured of phase keying; None where the samples do not carry it.

    Attributes:
        kind: `pi/4-dqpsk` or `oqpsk`, whichever is more likely; None where neither is at all.
        symbol_rate: symbols a second.
        carrier: Hz from 0 Hz of the samples, as the lines have it.
        lines: of the weaker of the two lines: minus the logarithm of how likely noise has such a one in a given place.
        confidence: probability that it is of that kind and its symbol rate right to 0.5 %, 0 to 1.
        pi4dqpsk: probability of pi/4-DQPSK.
        oqpsk: probability of OQPSK.
        clock: the clearest line of the envelope of the signal with a flat spectrum, Hz: the symbol rate of any linear
            modulation, mostly.
        clear: of that line what `lines` is of lines.
    """

    kind: str | None = None
    symbol_rate: float | None = None
    carrier: float | None = None
    lines: float = 0.0
    confidence: float = 0.0
    pi4dqpsk: float = 0.0
    oqpsk: float = 0.0
    clock: float | None = None
    clear: float = 0.0


class _Shape(NamedTuple):
    """A signal within its band: as it is, with a flat spectrum, its rate, middle and width."""

    iq: _Samples
    flat: _Samples
    rate: float
    middle: float
    width: float


class _Pair(NamedTuple):
    """Two lines: what the weaker has, the symbol rate they make, their middle; what is between them."""

    both: float
    rate: float
    centre: float
    between: float = 0.0
    comb: float = 0.0


class _Lines(NamedTuple):
    """How unlikely values of a spectrum are in noise (logarithms), from a first bin on; Hz a bin."""

    over: NDArray[np.float32]
    first: int
    bins: float

    def place(self, index: int) -> float:
        """Return where a bin is, Hz."""
        return (self.first + index) * self.bins

    def exact(self, index: int) -> float:
        """Return where the line of a bin is, Hz."""
        return (self.first + line_place(np.sqrt(self.over) + 1e-6, index)) * self.bins

    def tops(self, count: int) -> list[int]:
        """Return the highest bins, each higher than its neighbours."""
        over = self.over
        tops = np.flatnonzero((over[1:-1] >= over[:-2]) & (over[1:-1] > over[2:])) + 1
        return [int(top) for top in tops[np.argsort(-over[tops])[:count]]]

    def highest(self, place: float, far: float) -> float:
        """Return the highest value so near a place, both Hz; 0 where there is none."""
        first, last = (round((place + side * far) / self.bins) - self.first for side in (-1, 1))
        part = self.over[max(0, first) : max(0, last + 1)]
        return float(part.max()) if len(part) else 0.0


def measure_phase_keying(iq: _Samples, sample_rate: float, bandwidth: float | None = None) -> PhaseKeying:
    """Measure phase keying about 0 Hz: is it pi/4-DQPSK or OQPSK?

    Args:
        iq: complex [N], the emission about 0 Hz; what exceeds 4,096 over the bandwidth is not looked at.
        sample_rate: samples a second, above 0.
        bandwidth: of the emission (99 %), right to some 20 %, Hz; None: 0.8 of the sample rate.

    Raises:
        AmrqError: the sample rate is not above 0.

    >>> from amrq.classes import linear_class
    >>> from amrq.signals import received_signal
    >>> rng = np.random.default_rng(1)
    >>> symbols = rng.choice(linear_class("QPSK").points, 1500) * np.exp(0.25j * np.pi * np.arange(1500))
    >>> iq = received_signal(symbols, samples_per_symbol=4.0, rolloff=0.35, es_n0_db=20.0, rng=rng)
    >>> found = measure_phase_keying(iq, 72e3, 22e3)
    >>> found.kind, round(found.symbol_rate, -1), found.confidence > 0.7
    ('pi/4-dqpsk', 18000.0, True)
    """
    iq, width = checked_look(iq, sample_rate, bandwidth)
    iq = iq[: math.ceil(_MOST_TIME * sample_rate / width)]
    if len(iq) < _LEAST_SAMPLES or not np.any(iq):
        return PhaseKeying()
    shape = _shape(iq, sample_rate, width)
    if shape is None:
        return PhaseKeying()
    wide, middle = shape.width, shape.middle
    power = squares(shape.flat)
    envelope = _lines(power - power.mean(), shape.rate, (_ENVELOPE[0] * wide, _ENVELOPE[1] * wide))
    reach = 1.35 * wide
    around = 2 * middle - reach, 2 * middle + reach
    twice = shape.flat * shape.flat
    square = [_lines(twice, shape.rate, around, parts) for parts in _PARTS]
    twice = shape.iq * shape.iq
    around = 4 * middle - reach, 4 * middle + reach
    fourth = [_lines(twice * twice, shape.rate, around, parts) for parts in _PARTS]
    return _decided(shape, envelope, square, fourth)


def _shape(iq: _Samples, sample_rate: float, width: float) -> _Shape | None:
    """Return the signal within its band, and the same with a flat spectrum; None where nothing stands out."""
    count = len(iq)
    iq = iq / np.float32(float(np.abs(iq).max()))
    spectrum = fft.fft(iq)
    power, bins = squares(spectrum), sample_rate / count
    half = min(int(_WIDER / 2 * width / bins), count // 2 - 1)
    if half < 4 * _STEPS:
        return None
    around = np.concatenate([power[-half:], power[:half]])
    step = max(1, round(width / bins / _STEPS))
    smooth = np.convolve(around, np.full(2 * step + 1, 1 / (2 * step + 1)), "same")
    first, last = int(_BESIDE[0] * width / bins), min(int(_BESIDE[1] * width / bins), count // 2)
    noise = 0.0
    if last - first > 16:
        sides = power[first:last], power[count - last : count - first]
        noise = min(quantile(side, 0.35) for side in sides) / -math.log(0.65)
    excess = np.maximum(smooth - noise, 0)
    height = median(excess[half // 2 : half + half // 2])
    if not height > 0:
        return None
    on = np.flatnonzero(excess > _EDGE * height)
    # From the middle outwards, over gaps that are short: beyond lies another signal.
    breaks = np.flatnonzero(np.diff(on) > 3 * step)
    start = int(breaks[on[breaks] < half][-1]) + 1 if np.any(on[breaks] < half) else 0
    stop = int(breaks[on[breaks] >= half][0]) if np.any(on[breaks] >= half) else len(on) - 1
    if stop - start < 4 * step:
        return None
    low, high = int(on[start]), int(on[stop]) + 1
    inside = slice(low, high)
    middle = float(np.arange(low, high) @ excess[inside]) / float(excess[inside].sum()) - half
    size = int(fft.next_fast_len(max(2 * half, math.ceil(min(_RATE * width / sample_rate, 1.0) * count))))
    made = []
    # Where there is no power at all, there is nothing to make flat.
    flat = np.sqrt(excess[inside]) / np.maximum(smooth[inside], _LEAST_SHARE * height)
    for weights in (np.float32(1), flat):
        chosen = np.zeros(2 * half, dtype=np.complex64)
        chosen[inside] = np.concatenate([spectrum[-half:], spectrum[:half]])[inside] * weights
        held = np.zeros(size, dtype=np.complex64)
        held[:half], held[size - half :] = chosen[half:], chosen[:half]
        one = fft.ifft(held)
        made.append(np.asarray(one / max(math.sqrt(float(np.mean(squares(one)))), 1e-30), dtype=np.complex64))
    return _Shape(made[0], made[1], sample_rate * size / count, middle * bins, (high - low) * bins)


def _lines(
    values: NDArray[np.float32] | _Samples, rate: float, between: tuple[float, float], parts: int = 1
) -> _Lines:
    """Return how unlikely values of a spectrum, averaged over parts of the time, are between two frequencies, Hz."""
    count = len(values) // parts
    size = int(fft.next_fast_len(count))
    pieces = np.asarray(
        values[: parts * count].reshape(parts, count) * hann_single(count), dtype=np.complex64
    )
    power = squares(fft.fft(pieces, size, axis=1)).sum(axis=0)
    bins = rate / size
    first, last = math.ceil(between[0] / bins), math.floor(between[1] / bins)
    part = power[np.arange(first, max(last, first + 8)) % size]
    blocks = len(part) // _FLOOR
    if blocks < 2:
        floor = np.full(len(part), median(part))
    else:
        medians = row_medians(part[: blocks * _FLOOR].reshape(blocks, _FLOOR))
        floor = np.interp(np.arange(len(part)), (np.arange(blocks) + 0.5) * _FLOOR, medians)
    # The median of a sum of so many squared magnitudes, of mean 1 each (Wilson and Hilferty 1931).
    usual = parts * (1 - 1 / (9 * parts)) ** 3 if parts > 1 else math.log(2)
    over = np.clip(part / np.maximum(floor / (usual / parts), 1e-30), 1.0, _MOST_OVER)
    # Chernoff's bound of the logarithm of how likely that is.
    return _Lines((parts * (over - 1 - np.log(over))).astype(np.float32), first, bins)


def _decided(shape: _Shape, envelope: _Lines, squared: list[_Lines], fourth: list[_Lines]) -> PhaseKeying:
    """Return what lines of the envelope, the square and the fourth power speak for."""
    tops = envelope.tops(_CLOCKS)
    if not tops:
        return PhaseKeying()
    # A neighbour's beat, or a pattern, may have the clearest line: others are tried that are some line at all.
    clocks = [(envelope.exact(top), float(envelope.over[top])) for top in tops]
    clocks = clocks[:1] + [one for one in clocks[1:] if one[1] > _A_LINE]
    turns = [_eighths(shape, fourth, *clock) for clock in clocks]
    rate, best, worth = max(turns, key=lambda one: one[2])
    half = _half_turns(squared, 2 * shape.middle + best.centre / 2, rate)
    pi4 = logistic(worth - _HALF_TURNED * min(half / max(best.both, 1.0), 1.0))
    pairs = [_staggered(one, 2 * shape.middle, shape.width) for one in squared]
    pair = max(pairs, key=lambda one: one.both)
    offset = 0.0
    if pair.both > 0:
        middle = max(one.highest(2 * shape.middle, 0.12 * shape.width) for one in squared)
        own = envelope.highest(pair.rate, 2.5 * envelope.bins)
        same = fourth[pairs.index(pair)]
        quarter = same.highest(2 * pair.centre, 3.5 * same.bins)
        worth = -4.25 + 0.29 * math.log1p(pair.both) - 1.58 * math.log1p(middle) - 0.19 * math.log1p(own)
        worth += 1.12 * math.log1p(quarter) - 2.7 * abs(pair.rate / shape.width - _USUAL)
        offset = logistic(worth + 0.34 * math.log1p(min(one.both for one in pairs)))
    first, clear = clocks[0]
    known = PhaseKeying(pi4dqpsk=pi4, oqpsk=offset, clock=first, clear=clear)
    if max(pi4, offset) < _LEAST_SURE:
        return known
    if pi4 >= offset:
        carrier = shape.middle + best.centre / 4
        return replace(
            known, kind="pi/4-dqpsk", symbol_rate=rate, carrier=carrier, lines=best.both, confidence=pi4
        )
    return replace(
        known,
        kind="oqpsk",
        symbol_rate=pair.rate,
        carrier=pair.centre / 2,
        lines=pair.both,
        confidence=offset,
    )


def _eighths(shape: _Shape, fourth: list[_Lines], rate: float, clock: float) -> tuple[float, _Pair, float]:
    """Return a symbol rate, its lines of the fourth power, and the logarithm of the odds of pi/4-DQPSK with it."""
    turned = [_turned(one, 4 * shape.middle, rate) for one in fourth]
    best = max(turned, key=lambda one: one.both)
    lines = [math.log1p(one.both) for one in turned]
    high, low = max(lines), min(lines)
    between = [math.log1p(one.between) for one in turned]
    # Two lines, in all of the time and in parts of it, and none between them: a logistic curve fitted to simulation.
    worth = -3.9 - 0.27 * high + 0.95 * low - 0.64 * min(between) + 0.97 * max(high - max(between), 0.0)
    worth += 0.15 * math.log1p(min(clock, 1e4)) - 2.9 * abs(rate / shape.width - _USUAL)
    return rate, best, worth - 1.5 * min(0.0, turned[-1].comb)


def _half_turns(squared: list[_Lines], place: float, rate: float) -> float:
    """Return how lines of the square stand out where BPSK has them that turns by a quarter each symbol.

    They are a symbol rate apart. Its fourth power has the lines of turns of an eighth about a place that is an eighth
    of the symbol rate off, as may be the middle of its spectrum where bits stay the same.
    """
    both = []
    for one, side in product(squared, (-1, 1)):
        ends = (place + side * rate / 4, place - side * 3 * rate / 4)
        both.append(min(one.highest(end, 2.5 * one.bins) for end in ends))
    return max(both)


def _turned(fourth: _Lines, place: float, rate: float) -> _Pair:
    """Return how two lines stand out, half a symbol rate to either side of a place that is nearly known."""
    over = fourth.over
    high = np.maximum(over[:-2], np.maximum(over[1:-1], over[2:]))
    centre, far = place / fourth.bins, _NEAR_FOURTH * rate / fourth.bins
    centres = np.arange(round(centre - far), round(centre + far) + 1)
    index = centres - fourth.first - 1
    left, right = (
        high[np.clip(np.round(index + side * rate / 2 / fourth.bins).astype(int), 0, len(high) - 1)]
        for side in (-1, 1)
    )
    both = np.minimum(left, right)
    best = int(np.argmax(both))
    between = float(high[np.clip(index, 0, len(high) - 1)].max())
    # Power half a rate off the place, less that at the place: what drifts shows here, where it has no lines.
    limited = np.minimum(over, _LIMIT)
    away = (np.arange(len(over)) + fourth.first) * fourth.bins - place
    comb = float(limited @ np.cos(2 * np.pi * away / rate)) / max(float(limited.sum()), 1e-30)
    return _Pair(float(both[best]), rate, float(centres[best]) * fourth.bins - place, between, comb)


def _staggered(squared: _Lines, place: float, width: float) -> _Pair:
    """Return the two lines about a place that stand out most, at a distance that two symbol rates may be."""
    best = _Pair(0.0, width, place)
    tops = squared.tops(_PEAKS)
    for number, one in enumerate(tops):
        for other in tops[number + 1 :]:
            apart = abs(squared.place(one) - squared.place(other))
            centre = (squared.place(one) + squared.place(other)) / 2
            weaker = float(min(squared.over[one], squared.over[other]))
            if (
                _STAGGERED[0] * width < apart < _STAGGERED[1] * width
                and abs(centre - place) < _NEAR_SQUARE * width
                and weaker > best.both
            ):
                best = _Pair(weaker, abs(squared.exact(one) - squared.exact(other)) / 2, centre)
    return best
