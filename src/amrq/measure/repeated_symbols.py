# SPDX-License-Identifier: GPL-3.0-or-later
"""Symbols of a word that a linear modulation sends again and again, as while a modem idles.

A word's spectrum is lines, and whatever is done to it has lines at all multiples of how often it comes: no line is the
symbol clock's for certain, and an equaliser takes the lines for an echo's. But its mean has hardly any noise, and is
known at all frequencies and times. The word has a whole number of symbols, so that few clocks are possible: each is
tried, with the pulses that are usual, and that one counts with which the points lie on a ring, on a few places of it.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from amrq import transforms as fft
from amrq.measure.looks import checked_look, squares, turned

__all__ = ["RepeatedSymbols", "measure_repeated_symbols"]

_WIDER, _RATE = 1.5, 2.6
"""Of the bandwidth: what is looked at, and samples a second of it."""
_LEAST_SAMPLES = 128
_FEWEST, _MOST = 6, 64
"""Symbols of a word."""
_SLOWEST, _FASTEST = 0.2, 1.3
"""Of the width of a word's lines: symbol rates."""
_TIMES = 3
"""How often a word is there, at least."""
_ALIKE, _AS_MUCH = 0.3, 0.85
"""Correlation of the samples with those a word later, at least; of the largest one, that of the shortest word."""
_BLOCKS_ALIKE = 0.6
"""The same of a part of a look in which the word is sent."""
_SHARE, _LINES_NOISE = 0.01, 0.2
"""Of the power of a word's lines, that is beyond either edge; and of the lines, those that are noise at least."""
_ROLLOFFS = np.array([0.15, 0.25, 0.35, 0.5, 0.7, 1.0])[:, None]
"""Of root raised cosines that are tried; besides, what is received is sampled as it is."""
_PULSES = len(_ROLLOFFS) + 1
_STEPS = 8
"""Samples a symbol."""
_PHASES = (2, 4, 8, 16, 32)
_UNEVEN = 0.12
"""Variance of the power of points, over their mean power squared, up to which they may lie on a ring."""
_CLEAN = 1e-3
"""Error of points that is as good as none."""
_OFFSETS = 0.15
"""Of the symbol rate: how far a carrier of staggered symbols is off the middle of the lines, at most."""
_WORTH, _BETTER, _SHARE_OF_COUNT = 18.0, 1.1, 0.75
"""Logarithm of how much likelier a word is than no points at all; and how many times more it is worth than with another
clock, over the number of symbols to this power."""
_HELD = 0.95
"""Over the sum of magnitudes, that of turns from point to point, from which on all are alike."""
_MOST_ERROR = 0.035
"""Of the points of a word."""
_NEAR = 0.1
"""Of an even spectrum: what of a word's own spectrum is too little to tell the pulse by it."""

_Samples = NDArray[np.complex64]
_Complex = NDArray[np.complex128]
_Reals = NDArray[np.float64]


@dataclass(frozen=True)
class RepeatedSymbols:
    """A word of PSK, or of staggered QPSK, that is sent again and again; nothing where there is none.

    Attributes:
        symbol_rate: symbols a second; None where no word is clear.
        count: symbols of the word.
        phases: number of phases; 4 of staggered symbols.
        staggered: one axis changes half a symbol after the other.
        turn: cycles a symbol that the points turn, seen from the middle of the spectrum, within half of the distance of
            two phases: 0 of QPSK, an eighth of pi/4-DQPSK.
        error: mean squared distance of the points from those of the modulation, over their power.
        worth: logarithm of how much likelier the word is with these symbols than with none, less what was tried.
        share: of the look, in which the word is sent, 0 to 1.
        points: of the word, turned to the nearest phases, complex128 [count].
    """

    symbol_rate: float | None = None
    count: int = 0
    phases: int = 0
    staggered: bool = False
    turn: float = 0.0
    error: float = 1.0
    worth: float = 0.0
    share: float = 0.0
    points: _Complex | None = field(default=None, compare=False, repr=False)


class _Word(NamedTuple):
    """The lines of a word: their numbers, ascending, and amplitudes, complex128 [n].

    And how often the word comes a second, and the share of the look that it is in.
    """

    numbers: NDArray[np.int64]
    lines: _Complex
    repetition: float
    share: float


class _Fit(NamedTuple):
    """Points of one clock: what they are worth, how many, number of phases, error, cycles that each turns."""

    worth: float
    length: int
    phases: int
    error: float
    turn: float
    points: _Complex
    staggered: bool = False

    @property
    def value(self) -> float:
        """What clocks are compared by: with a faster one symbols say what their neighbours say."""
        return self.worth / self.length**_SHARE_OF_COUNT


def measure_repeated_symbols(
    iq: _Samples, sample_rate: float, bandwidth: float | None = None
) -> RepeatedSymbols:
    """Measure the symbols of a word of PSK that is sent again and again, about 0 Hz.

    Args:
        iq: complex [N], the emission about 0 Hz.
        sample_rate: samples a second, above 0.
        bandwidth: of the emission (99 %), right to some 20 %, Hz; None: 0.8 of the sample rate.

    Raises:
        AmrqError: the sample rate is not above 0.

    >>> from amrq.signals import received_signal
    >>> rng = np.random.default_rng(1)
    >>> word = np.exp(0.25j * np.pi * rng.integers(8, size=21))
    >>> iq = received_signal(np.tile(word, 40), samples_per_symbol=4.0, rolloff=0.35, es_n0_db=15.0, rng=rng)
    >>> found = measure_repeated_symbols(iq, 40e3, 13e3)
    >>> round(found.symbol_rate), found.count, found.phases
    (10000, 21, 8)
    """
    iq, width = checked_look(iq, sample_rate, bandwidth)
    word = _word(iq, sample_rate, width)
    if word is None:
        return RepeatedSymbols()
    lines = _standing_out(word)
    if lines is None:
        return RepeatedSymbols()
    fits = [fit for count in lines.counts for fit in _fits(word, lines, count) if _is_clear(fit)]
    if not fits:
        return RepeatedSymbols()
    best = max(fits, key=lambda fit: fit.value)
    others = (fit.value for fit in fits if best.length % fit.length and fit.length % best.length)
    if best.value < _BETTER * max(others, default=0.0):
        return RepeatedSymbols()
    if best.phases == 4 and 2 * best.length not in lines.counts:
        fits += [fit for fit in _fits(word, lines, 2 * best.length) if _is_clear(fit)]
    best = _told_apart(best, fits)
    return RepeatedSymbols(
        best.length * word.repetition,
        best.length,
        best.phases,
        best.staggered,
        _seen_turn(best, word, lines.middle),
        best.error,
        best.worth,
        word.share,
        best.points,
    )


def _is_clear(fit: _Fit) -> bool:
    """Return whether a fit is too good for chance."""
    return fit.worth > _WORTH and fit.error < _MOST_ERROR


def _told_apart(best: _Fit, fits: list[_Fit]) -> _Fit:
    """Return the right one of fits that say the same: staggered symbols change one axis, half a symbol later the other.

    QPSK does not do so, at twice the symbol rate. BPSK that turns by a quarter does, and lies on a circle meanwhile.
    """
    if best.staggered:
        twice = [fit for fit in fits if fit.length == 2 * best.length and fit.phases == 2]
        return max(twice, key=lambda fit: fit.value, default=best)
    if best.phases == 4:
        half = [fit for fit in fits if 2 * fit.length == best.length and fit.staggered]
        half += [
            fit._replace(length=fit.length // 2, staggered=True, turn=0.0, points=fit.points[::2])
            for fit in fits
            if fit.phases == 4 and fit.length in (best.length, 2 * best.length) and _alternates(fit.points)
        ]
        return max(half, key=lambda fit: fit.value, default=best)
    return best


def _alternates(points: _Complex) -> bool:
    """Return whether QPSK's points change along one axis and along the other by turns, if they turn by quarters."""
    count = len(points)
    if count % 2:
        return False
    for quarters in range(4):
        still = points * np.exp(0.25j * np.pi) * 1j ** (quarters * np.arange(count))
        signs = np.stack([still.real > 0, still.imag > 0])
        changed = signs != np.roll(signs, 1, axis=1)
        for axis in (0, 1):
            if not (changed[axis, ::2].any() or changed[1 - axis, 1::2].any()):
                return True
    return False


def _word(iq: _Samples, sample_rate: float, width: float) -> _Word | None:
    """Return the lines of a word that is sent again and again; None where none is."""
    count = len(iq)
    if count < _LEAST_SAMPLES or not np.any(iq):
        return None
    iq = iq / np.float32(float(np.abs(iq).max()))
    bins = sample_rate / count
    half = min(int(_WIDER / 2 * width / bins), count // 2 - 1)
    size = int(fft.next_fast_len(max(2 * half, round(_RATE * width / bins))))
    if half < 64:
        return None
    spectrum = fft.fft(iq)
    inside = np.zeros(size, np.complex64)
    inside[:half], inside[size - half :] = spectrum[:half], spectrum[count - half :]
    rate = sample_rate * size / count
    shortest, longest = _FEWEST * rate / (_FASTEST * width), _MOST * rate / (_SLOWEST * width)
    longest = min(longest, size / (_TIMES + 1))
    first = _period(squares(inside), shortest, longest)
    if first is None:
        return None
    samples = np.asarray(fft.ifft(inside), np.complex64)
    begin, end = _where(samples, round(first))
    part = samples[begin:end]
    if len(part) < _TIMES * first:
        return None
    period, turn = _refined(part, first)
    times = _whole(len(part) / period, period)
    if times < _TIMES:
        return None
    part = turned(part[: round(times * period)], -turn / period)
    lines = np.asarray(fft.fft(part), np.complex128) / len(part)
    most = min(int(half * bins / rate * period), (len(part) // 2 - 1) // times)
    numbers = np.arange(-most, most + 1)
    return _Word(numbers, lines[numbers * times], rate / period, (end - begin) / size)


def _period(power: NDArray[np.float32], shortest: float, longest: float) -> float | None:
    """Return after how many samples they repeat themselves, by the powers of their spectrum; None where they do not."""
    last = int(longest)
    if last < shortest + 4:
        return None
    alike = np.abs(np.asarray(fft.ifft(power.astype(np.complex64)))[: last + 2]).astype(np.float64)
    if not alike[0] > 0:  # nothing within the band
        return None
    alike /= alike[0]
    begin = max(int(shortest), 2)
    tops = np.flatnonzero((alike[1:-1] > alike[:-2]) & (alike[1:-1] >= alike[2:])) + 1
    tops = tops[tops >= begin]
    if not len(tops) or not alike[tops].max() > _ALIKE:
        return None
    top = int(tops[np.argmax(alike[tops] > _AS_MUCH * alike[tops].max())])
    left, here, right = alike[top - 1 : top + 2]
    bend = left - 2 * here + right
    return top + (0.5 * float((left - right) / bend) if bend < 0 else 0.0)


def _where(samples: _Samples, lag: int) -> tuple[int, int]:
    """Return the longest part in which samples are as those so many later."""
    ahead = samples[lag:] * samples[:-lag].conj()
    mean = ahead.sum()
    power = squares(samples)
    block = max(lag // 2, 8)
    blocks = len(ahead) // block
    alike = (
        (ahead * (mean.conj() / max(abs(mean), 1e-30)))
        .real[: blocks * block]
        .reshape(blocks, block)
        .sum(axis=1)
    )
    both = (power[lag:] + power[:-lag])[: blocks * block].reshape(blocks, block).sum(axis=1) / 2
    on = np.concatenate([[0], alike > _BLOCKS_ALIKE * both, [0]]).astype(np.int8)
    begins, ends = np.flatnonzero(np.diff(on) > 0), np.flatnonzero(np.diff(on) < 0)
    if not len(begins):
        return 0, 0
    longest = int(np.argmax(ends - begins))
    return int(begins[longest]) * block, int(ends[longest]) * block + lag


def _refined(part: _Samples, period: float) -> tuple[float, float]:
    """Return how many samples a word has, and the cycles that its carrier turns meanwhile, near what is known of both.

    Correlations over more and more words, between samples: where their magnitude is highest, and their angle.
    """
    count = len(part)
    size = int(fft.next_fast_len(2 * count))
    padded = np.zeros(size, np.complex64)
    padded[:count] = part
    power = squares(fft.fft(padded)).astype(np.float64)
    frequencies = 2 * np.pi * np.fft.fftfreq(size)
    some = np.flatnonzero(power > 1e-3 * power.max())
    power, frequencies = power[some], frequencies[some]
    turn, times = 0.0, 1
    while True:
        lag = times * period
        for _ in range(3):
            each = power * np.exp(1j * frequencies * lag)
            value = each.sum()
            direction = value.conjugate() / max(abs(value), 1e-30)
            slope = float(((1j * frequencies * each).sum() * direction).real)
            bend = float(((-(frequencies**2) * each).sum() * direction).real)
            if bend >= 0:
                break
            # The place of the top, of what turns: the mean frequency counts with the angle's slope.
            mean = float(((1j * frequencies * each).sum() * direction).imag) / max(abs(value), 1e-30)
            bend += mean**2 * abs(value)
            lag -= min(max(slope / bend, -0.5), 0.5) if bend < 0 else 0.0
        angle = float(np.angle((power * np.exp(1j * frequencies * lag)).sum())) / (2 * np.pi)
        period = lag / times
        turn = (angle + round(times * turn - angle)) / times if times > 1 else angle
        if 8 * times * period > count or times >= 64:
            return period, turn
        times = min(4 * times, int(count / 3 / period)) if 4 * times * period > count / 3 else 4 * times
        if times * period > count / 2:
            return period, turn


def _whole(words: float, period: float) -> int:
    """Return how many words are looked at: of the last quarter of numbers, that nearest to whole samples."""
    most = int(words)
    numbers = np.arange(max(math.ceil(0.75 * most), 1), most + 1)
    if not len(numbers):
        return 0
    samples = numbers * period
    return int(numbers[np.argmin(np.abs(samples - np.round(samples)) / numbers)])


class _Lines(NamedTuple):
    """A word's lines that stand out.

    How many they span, the number in their middle; by the sum of two lines' numbers, their products; the logarithm of
    how much is tried.
    """

    wide: int
    middle: float
    pairs: _Complex
    tried: float

    @property
    def counts(self) -> range:
        """Numbers of symbols that are tried."""
        return range(max(_FEWEST, math.ceil(_SLOWEST * self.wide)), min(_MOST, int(_FASTEST * self.wide)) + 1)


def _standing_out(word: _Word) -> _Lines | None:
    """Return which of a word's lines stand out of the weakest; None where none does."""
    power = np.square(np.abs(word.lines))
    noise = float(np.sort(power)[: max(3, int(_LINES_NOISE * len(power)))].mean())
    above = np.cumsum(np.maximum(power - 2 * noise, 0))
    if not above[-1] > 0:
        return None
    low, high = (
        int(word.numbers[np.searchsorted(above, share * above[-1])]) for share in (_SHARE, 1 - _SHARE)
    )
    found = _Lines(high - low + 1, (low + high) / 2, np.convolve(word.lines, word.lines), 0.0)
    return found._replace(tried=math.log(max(1, len(found.counts)) * _PULSES * _STEPS))


def _fits(word: _Word, lines: _Lines, count: int) -> Iterator[_Fit]:
    """Return what so many symbols are worth."""
    points = _sampled(word, count, lines.middle)
    power = np.square(points.real) + np.square(points.imag)
    mean = power.mean(axis=-1)
    uneven = power.var(axis=-1) / np.maximum(np.square(mean), 1e-60)
    pulse, step = np.unravel_index(int(np.argmin(uneven)), uneven.shape)
    if uneven[pulse, step] < _UNEVEN and mean[pulse, step] > 0:
        own = points[pulse, step] / math.sqrt(mean[pulse, step])
        if not _held(own):
            yield from _on_ring(own, lines)
    fit = _staggered(word, count, lines)
    if fit is not None:
        yield fit


def _response(word: _Word, count: int, middle: float) -> _Reals:
    """Return what the filters of a receiver have at the lines, float64 [pulses, n]."""
    place = np.abs(word.numbers - middle) / count
    falling = (place - (1 - _ROLLOFFS) / 2) / _ROLLOFFS
    falls = np.cos(np.pi / 2 * np.minimum(np.maximum(falling, 0.0), 1.0))
    return np.concatenate([np.ones((1, len(place))), falls])


def _sampled(word: _Word, count: int, middle: float) -> _Complex:
    """Return a word's points with each pulse and at each moment of a symbol, complex128 [pulses, steps, count]."""
    steps = _STEPS
    while steps * count < len(word.numbers):
        steps *= 2
    spectra = np.zeros((_PULSES, steps * count), np.complex128)
    spectra[:, word.numbers % (steps * count)] = word.lines * _response(word, count, middle)
    points = np.fft.ifft(spectra, axis=1) * (steps * count)
    return np.asarray(points.reshape(_PULSES, count, steps).transpose(0, 2, 1))


def _held(points: _Complex) -> bool:
    """Return whether points are held for two to four symbols each: the clock is a multiple of the right one."""
    steps = points * np.roll(points, 1).conj()
    for times in (2, 3, 4):
        if len(points) % times == 0:
            inner = steps.reshape(-1, times)
            for first in range(times):
                turns = np.delete(inner, first, axis=1)  # all alike, if the carrier alone turns
                if abs(turns.sum()) > _HELD * np.abs(turns).sum():
                    return True
    return False


def _on_ring(points: _Complex, lines: _Lines) -> Iterator[_Fit]:
    """Return fits of numbers of phases to points on a ring."""
    count = len(points)
    directions = points / np.maximum(np.abs(points), 1e-12)
    length = 8 * count
    for phases in _PHASES:
        line = np.fft.fft(directions**phases, length)
        top = int(np.argmax(np.abs(line)))
        turn = ((top / length + 0.5) % 1 - 0.5) / phases
        still = points * np.exp(-1j * (2 * np.pi * turn * np.arange(count) + np.angle(line[top]) / phases))
        nearest = np.exp(2j * np.pi / phases * np.round(np.angle(still) * phases / (2 * np.pi)))
        size = float((still * nearest.conj()).real.mean())
        error = max(float(np.mean(np.square(np.abs(still / size - nearest)))), _CLEAN)
        worth = count * (-math.log(error) - math.log(phases)) - lines.tried - math.log(length)
        yield _Fit(worth, count, phases, error, turn, nearest)


def _seen_turn(fit: _Fit, word: _Word, middle: float) -> float:
    """Return by how many cycles a symbol points turn, seen from the middle of the pulse that carries them."""
    if fit.staggered:
        return 0.0
    own = np.fft.fft(fit.points * np.exp(2j * np.pi * fit.turn * np.arange(fit.length)))[
        word.numbers % fit.length
    ]
    power = np.square(np.abs(own))
    pulse = np.square(np.abs(word.lines * own.conj() / (power + _NEAR * fit.length)))
    pulse = np.where(np.abs(word.numbers - middle) < fit.length, pulse, 0.0)
    turn = fit.turn - float(word.numbers @ pulse) / max(float(pulse.sum()), 1e-300) / fit.length
    return turn - round(turn * fit.phases) / fit.phases


def _staggered(word: _Word, count: int, lines: _Lines) -> _Fit | None:
    """Return the fit of staggered symbols; None where their square has no lines as it should."""
    middle, pairs = lines.middle, lines.pairs
    first = 2 * int(word.numbers[0])
    reach = max(1, round(2 * _OFFSETS * count))
    centres = np.arange(round(2 * middle) - reach, round(2 * middle) + reach + 1)
    below, above = centres - count - first, centres + count - first
    there = (below >= 0) & (above < len(pairs))
    if not there.any():
        return None
    centres, below, above = centres[there], below[there], above[there]
    both = np.minimum(np.abs(pairs[below]), np.abs(pairs[above]))
    best = int(np.argmax(both))
    if not both[best] > 0:
        return None
    left, right = np.angle(pairs[below[best]]), np.angle(pairs[above[best]])
    carrier = centres[best] / 2
    # The square's lines are at twice the carrier, minus and plus the symbol rate: their angles tell phase and moment.
    phase, moment = (left + right) / 4, -(right - left) / (4 * np.pi)
    at = (np.arange(2 * count) / 2 + moment) / count
    waves = np.exp(2j * np.pi * np.outer(word.numbers - carrier, at))
    values = (word.lines * _response(word, count, carrier)) @ waves * np.exp(-1j * phase)
    # Which of the two axes comes first is not known.
    axes = np.stack(
        [[values[:, ::2].real, values[:, 1::2].imag], [values[:, ::2].imag, values[:, 1::2].real]]
    )
    size = np.abs(axes).mean(axis=(1, 3), keepdims=True)
    error = np.square(np.abs(axes) / np.maximum(size, 1e-30) - 1).mean(axis=(1, 3))
    first_axis, pulse = np.unravel_index(int(np.argmin(error)), error.shape)
    least = max(float(error[first_axis, pulse]), _CLEAN)
    worth = count * (-math.log(least) - 2 * math.log(2)) - lines.tried - math.log(4 * len(centres))
    one, other = np.sign(axes[first_axis, :, pulse])
    return _Fit(worth, count, 4, least, 0.0, (one + 1j * other) / math.sqrt(2), True)
