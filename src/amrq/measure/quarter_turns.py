# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a signal of known symbol rate is QPSK (or BPSK) or pi/4-DQPSK, by where its fourth power's lines lie.

The fourth power of QPSK with symbol rate R has lines at four times its carrier, and R, 2R, ... to either side; that of
pi/4-DQPSK has them R/2, 3R/2, ... to either side, for every second symbol is turned by an eighth. One is the other with
a carrier R/8 further. So lines alone do not tell them apart, and three things do: the middle of the spectrum, the
middle of its edges, which are correlated with each other (W. A. Gardner, "Exploitation of spectral redundancy in
cyclostationary signals", IEEE Signal Process. Mag. 8(2), 1991), and how strong the lines are: those at the same
distance from four times the carrier are equally strong.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from amrq import transforms as fft
from amrq.errors import AmrqError
from amrq.measure.looks import hann_single, squares

__all__ = ["QuarterTurns", "measure_quarter_turns"]

_Samples = NDArray[np.complex64]

_LEAST_SYMBOLS = 48.0
_AROUND, _EDGES, _KEPT = 0.9, 0.35, 0.8
"""Symbol rates to either side of the middle: where the edges are looked for; how far they count; what is raised to the
fourth power."""
_FOURTH = 5.0
"""Symbol rates: the rate of the fourth power."""
_SHIFTS = 3
"""Steps of the spectrum that a given symbol rate may be wrong."""
_A_LINE, _MOST_LINE, _LEAST_SECOND = 12.0, 1000.0, -4.0
"""Of a line over the floor: less tells nothing, and more counts as so much; logarithm of a weaker one's part."""
_CLEAR, _MOST_CLEAR = (1.5, 3.0), 15.0
"""Of the edges' correlation, that noise has not: below nothing is told; and more counts as so much."""
_MOST_ODDS, _BETWEEN = 4.0, 1.0
"""Echoes and patterns change lines and edges: it is never surer than that; and where the edges are between both."""
_SIDED = 0.15, 0.45
"""Of the way from the middle between both to either, where edges are on no side, and on one."""


@dataclass(frozen=True)
class QuarterTurns:
    """What the lines of the fourth power tell.

    Attributes:
        odds: natural logarithm of the odds of pi/4-DQPSK against QPSK and BPSK; 0 where nothing tells.
        by_spectrum: distance of the spectrum's middle from the nearest carrier that QPSK would have, symbol rates, 0 to
            1/8: 1/8 for pi/4-DQPSK.
        by_edges: the same of the middle of its edges.
        line: the strongest line over the floor.
        second: how strong the second of them is, natural logarithm of its part of the strongest, at least -4.
        third: the same of the third.
        clear: how far the correlation of the edges exceeds that of noise, which has some 1.
    """

    odds: float = 0.0
    by_spectrum: float = 0.0625
    by_edges: float = 0.0625
    line: float = 0.0
    second: float = 0.0
    third: float = 0.0
    clear: float = 0.0


def measure_quarter_turns(
    iq: _Samples,
    sample_rate: float,
    symbol_rate: float,
    middle: float = 0.0,
    spectrum: _Samples | None = None,
) -> QuarterTurns:
    """Measure where the lines of the fourth power are, of a signal whose symbol rate is known.

    Args:
        iq: complex [N], the emission.
        sample_rate: samples a second, above 0.
        symbol_rate: symbols a second, right to some steps of the spectrum of all samples.
        middle: of the signal's spectrum, Hz, right to a third of the symbol rate.
        spectrum: complex [N], the discrete Fourier transform of `iq`, where it is known already.

    Raises:
        AmrqError: a rate is not above 0.

    >>> from amrq.classes import linear_class
    >>> from amrq.signals import received_signal
    >>> rng = np.random.default_rng(1)
    >>> symbols = rng.choice(linear_class("QPSK").points, 1000)
    >>> turned = symbols * np.exp(0.25j * np.pi * np.arange(1000))
    >>> for sent in (symbols, turned):
    ...     iq = received_signal(sent, samples_per_symbol=4.0, rolloff=0.35, es_n0_db=15.0, rng=rng)
    ...     measure_quarter_turns(iq, 40e3, 10e3).odds > 2
    False
    True
    """
    if not (sample_rate > 0 and symbol_rate > 0):
        raise AmrqError(f"rates must be above 0, not {sample_rate:g} and {symbol_rate:g}.")
    count = len(iq)
    bins = sample_rate / max(count, 1)
    wide = symbol_rate / bins
    if wide < _LEAST_SYMBOLS or 2 * (_AROUND + 0.5) * symbol_rate > 1.2 * sample_rate or not np.any(iq):
        return QuarterTurns()
    if spectrum is None:
        spectrum = fft.fft(np.asarray(iq, np.complex64))
    centre = _centre(spectrum, middle / bins, wide)
    edges, clear = _middle_of_edges(spectrum, centre, wide)
    lines, place = _lines(spectrum, edges, wide)
    strongest = float(lines.max())
    if strongest < _A_LINE:
        return QuarterTurns(line=strongest, clear=clear)
    away = [abs((place / 4 - one / wide + 0.125) % 0.25 - 0.125) for one in (centre, edges)]
    order = np.log(np.maximum(np.sort(lines)[::-1] / strongest, math.exp(_LEAST_SECOND)))
    found = QuarterTurns(0.0, away[0], away[1], strongest, float(order[1]), float(order[2]), clear)
    return replace(found, odds=_odds(found))


def _odds(found: QuarterTurns) -> float:
    """Return the logarithm of the odds of pi/4-DQPSK: a logistic curve fitted to simulation."""
    spectrum, edges = (16 * away - 1 for away in (found.by_spectrum, found.by_edges))
    clear = min(found.clear, _MOST_CLEAR) / 10
    worth = -5.1 + 0.67 * spectrum + (1.92 + 0.56 * clear) * edges + 1.17 * found.second - 1.33 * found.third
    worth += 0.8 * math.log(min(found.line, _MOST_LINE) / _A_LINE)
    told = min(max((found.clear - _CLEAR[0]) / (_CLEAR[1] - _CLEAR[0]), 0.0), 1.0)
    # Edges that lie between the two are those of an echo, which changes lines as well.
    sided = min(max((abs(edges) - _SIDED[0]) / (_SIDED[1] - _SIDED[0]), 0.0), 1.0)
    most = _BETWEEN + (_MOST_ODDS - _BETWEEN) * sided
    return told * min(max(worth, -most), most)


def _centre(spectrum: _Samples, start: float, wide: float) -> float:
    """Return the middle of the power that exceeds the noise, within some symbol rates of a place; all in bins."""
    count = len(spectrum)
    centre = start
    for _ in range(4):
        half = min(int(_KEPT * wide), count // 2 - 1)
        at = np.arange(-half, half + 1)
        power = squares(spectrum[(at + round(centre)) % count])
        noise = min(float(power[: half // 8].mean()), float(power[-(half // 8) :].mean()))
        excess = power - noise
        total = float(excess.sum())
        if not total > 0:
            break
        centre = round(centre) + float(at @ excess) / total
    return centre


def _middle_of_edges(spectrum: _Samples, centre: float, wide: float) -> tuple[float, float]:
    """Return the middle of what is correlated a symbol rate apart, in bins, and how clear that is."""
    count = len(spectrum)
    half = int(_AROUND * wide)
    first = round(centre) - half
    best, product, shift = -1.0, np.zeros(0, np.complex64), 0
    for one in range(round(wide) - _SHIFTS, round(wide) + _SHIFTS + 1):
        low = np.arange(first - one // 2, first - one // 2 + 2 * half + 1)
        found = spectrum[(low + one) % count] * np.conj(spectrum[low % count])
        size = abs(complex(found.sum()))
        if size > best:
            best, product, shift = size, found, one
    turn = complex(product.sum())
    real = (product * np.complex64(turn.conjugate() / max(abs(turn), 1e-30))).real.astype(np.float64)
    at = np.arange(first, first + 2 * half + 1) + (shift / 2 - shift // 2)
    # The sum over a window, wherever it lies, then the middle under a triangle about the best one.
    window = np.hanning(2 * int(0.25 * wide) + 3)
    place = float(at[int(np.argmax(np.convolve(real, window, "same")))])
    for _ in range(4):
        weight = real * np.maximum(1 - np.abs(at - place) / (_EDGES * wide), 0)
        total = float(weight.sum())
        if total <= 0:
            break
        place += 1.5 * float(weight @ (at - place)) / total
    clear = best / math.sqrt(max(float(squares(product).sum()), 1e-30))
    return place, clear


def _lines(spectrum: _Samples, centre: float, wide: float) -> tuple[NDArray[np.float64], float]:
    """Return lines of the fourth power, a symbol rate apart, over its floor, and where one of them is, symbol rates."""
    count = len(spectrum)
    half, middle = min(int(_KEPT * wide), count // 2 - 1), round(centre)
    size = int(fft.next_fast_len(max(2 * half + 2, math.ceil(_FOURTH * wide))))
    at = np.arange(-half, half + 1)
    held = np.zeros(size, np.complex64)
    held[at % size] = spectrum[(at + middle) % count]
    one = fft.ifft(held)
    one *= np.float32(1 / max(math.sqrt(float(squares(one).mean())), 1e-30))
    square = one * one
    power = squares(fft.fft(square * square * hann_single(size)))
    near = np.maximum(power, np.maximum(np.roll(power, 1), np.roll(power, -1)))
    offsets = np.arange(-int(wide / 2), int(wide / 2) + 1)
    combs = near[np.round(offsets + wide * np.arange(-1, 2)[:, None]).astype(int) % size]
    best = int(offsets[int(np.argmax(combs.sum(axis=0)))])
    reach = int(1.5 * wide)
    floor = float(np.median(power[np.arange(-reach, reach + 1) % size])) / math.log(2)
    lines = near[np.round(best + wide * np.arange(-2, 3)).astype(int) % size].astype(np.float64)
    return lines / max(floor, 1e-30), 4 * middle / wide + best / wide
