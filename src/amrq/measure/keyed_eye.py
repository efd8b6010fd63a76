# SPDX-License-Identifier: GPL-3.0-or-later
"""An envelope's eye: whether an amplitude is keyed where rounded edges hide its levels.

A box that is narrower than the keys, or a transmitter with slow edges, smears the two levels of a keyed amplitude: seen
at all times it has as many values as audio. In the middle of its symbols it has two. When that is, its edges tell: the
squared slope of the envelope has a line at the symbol rate. For any two values the fourth standardised moment is one
more than the square of the third (Pearson 1916), and more for all else.

Audio has such an eye as well: a tone is there at its peaks, and a modem with two tones keys half waves of one length
and of two. But these are as long above the middle as below, and no half wave is longer than two of the shortest: keys
of most codes are on and off for different times, or for three symbols and more. And a half wave of two symbols is
highest half way between them, while a key that is held is not.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from amrq import transforms as fft
from amrq.measure.looks import checked_look, hann, line_place, powers, row_medians

__all__ = ["KeyedEye", "measure_keyed_eye"]

_LEAST_SAMPLES = 512
_INSIDE = 0.75
"""Of the bandwidth, to either side: what is looked at, since a narrow box has cut the keys' edges."""
_CLEAR = 20.0
"""Of a line of the squared slope over its floor: noise has 15 once in a thousand looks."""
_FLOOR, _LINES, _BESIDE = 64, 5, 4
"""Bins over which the floor is taken; lines that are tried; bins to either side that belong to one."""
_ROW = 128
"""Values whose turns are computed; those of others are products of them."""
_FEWEST = 64
"""Symbols that are looked at: of fewer a voice's pitch may look so."""
_ABOVE_NOISE = 3.0
"""Variance of what is sampled over that of the noise, at least."""
_SPREAD = 0.08, 0.2
"""Spread about two levels: of keys, and of audio at its peaks."""
_LONG, _LONGER = 3, (0.06, 0.14)
"""Symbols of a long run, and share of such runs: random keys have a quarter."""
_UNEVEN = 0.12, 0.3
"""Logarithm of the mean length of what is on over that of what is off: a modem's half waves are equal."""
_SLOWER, _SLOW = (1 / 64, 1 / 8), (0.01, 0.02)
"""Symbol rates between which keys have power, slower than all audio of a modem, and share of theirs: random keys have a
fifth, position and Manchester codes 0.025, a modem less than 0.01."""
_VARIED = 0.05, 0.15
"""Share of runs of one level that are not as long as most: a sweep that leaves the box again and again has none."""
_LEAST_CHANGE = 0.15
"""Deviation of the sampled amplitudes over their mean, at least: symbols of a phase have less."""

_FEWEST_HELD, _BULGES, _SQUARE = 8, (1.1, 1.22), 0.8
"""Levels held for two symbols that are looked at; how far they may bulge (half waves of a modem: 1.2 to 1.5 of 1.41, as
noise has it), and how sure keys are by that alone."""

_Reals = NDArray[np.float64]


@dataclass(frozen=True)
class KeyedEye:
    """What was measured of an envelope's eye; None where there is none.

    Attributes:
        symbol_rate: symbols a second, or a multiple of that.
        spread: of the amplitude in the middle of symbols: fourth standardised moment less the square of the third and
            1, 0 for two levels.
        rest: the lower level over the upper one, 0 to 1.
        uneven: how clearly runs of one level are longer than of the other, or longer than a modem's half waves, 0 to 1.
        bulge: amplitude half way through a level that is held for two symbols over that in the middle of the symbols:
            1.4 of half waves, about 1 of keys; infinite where there are few such levels.
        confidence: how clearly the amplitude is keyed between two levels, 0 to 1.
    """

    symbol_rate: float | None = None
    spread: float = math.inf
    rest: float = 1.0
    uneven: float = 0.0
    bulge: float = math.inf
    confidence: float = 0.0


def measure_keyed_eye(
    iq: NDArray[np.complex64],
    sample_rate: float,
    bandwidth: float | None = None,
    noise_density: float | None = None,
) -> KeyedEye:
    """Measure whether the envelope of an emission about 0 Hz has two levels in the middle of its symbols.

    Args:
        iq: complex [N], the emission about 0 Hz.
        sample_rate: samples a second, above 0.
        bandwidth: of the emission, Hz; None: 0.8 of the sample rate.
        noise_density: of the noise, power a Hz; None: there is none to speak of.

    Raises:
        AmrqError: the sample rate is not above 0.

    >>> rng = np.random.default_rng(1)
    >>> keys = np.convolve(np.repeat(rng.choice([0.4, 1.0], 400), 10), np.hanning(17), "same")
    >>> found = measure_keyed_eye(keys + 0j, sample_rate=20e3, bandwidth=3e3)
    >>> round(found.symbol_rate, -1), round(found.rest, 1), found.confidence > 0.9
    (2000.0, 0.4, True)
    """
    iq, width = checked_look(iq, sample_rate, bandwidth)
    if len(iq) < _LEAST_SAMPLES or not np.any(iq):
        return KeyedEye()
    count, top = len(iq), min(_INSIDE * width, 0.45 * sample_rate)
    at = fft.fftfreq(count, 1 / sample_rate)
    envelope = np.abs(fft.ifft(fft.fft(iq) * np.clip((1.1 * top - np.abs(at)) / (0.1 * top), 0, 1)))
    noise = (noise_density or 0.0) * top
    slope = np.gradient(envelope.astype(np.float64))
    power = slope * slope
    power -= power.mean()
    best, of_noise = KeyedEye(), noise / top
    spectrum = powers(fft.rfft((envelope - envelope.mean()) * hann(count)))
    spectrum *= float(envelope.var()) / max(float(spectrum.sum()), 1e-30)
    for rate in _clocks(power, sample_rate, min(2 * top, 0.45 * sample_rate)):
        found = _eye(envelope.astype(np.float64), power, sample_rate, rate, noise)
        slow = _slow(spectrum, sample_rate / count, rate, of_noise)
        found = replace(found, confidence=found.confidence * _ramp(slow, *_SLOW))
        if found.confidence > best.confidence or best.symbol_rate is None:
            best = found
    return best


def _slow(spectrum: _Reals, step: float, rate: float, noise: float) -> float:
    """Return the share of an envelope's power up to an eighth of a symbol rate, noise taken off.

    Args:
        spectrum: power in steps of frequency, from 0 on, without the mean.
        step: Hz.
        rate: symbols a second.
        noise: of the envelope, power a Hz.
    """
    first, last = (max(round(part * rate / step), 1) for part in _SLOWER)
    whole = float(spectrum.sum()) - noise * len(spectrum) * step
    inside = float(spectrum[first:last].sum()) - noise * (last - first) * step
    return inside / whole if whole > 0 else 0.0


def _clocks(power: _Reals, sample_rate: float, top: float) -> list[float]:
    """Return the frequencies of the clearest lines of a squared slope, Hz, the clearest first."""
    count = len(power)
    lines = powers(fft.rfft(power * hann(count)))
    step = sample_rate / count
    first, last = _FEWEST, min(math.floor(top / step), len(lines) - 2)
    part = lines[first:last]
    blocks = len(part) // _FLOOR
    if blocks < 1:
        return []
    floors = row_medians(part[: blocks * _FLOOR].reshape(blocks, _FLOOR)) / math.log(2)
    floor = np.interp(np.arange(len(part)), (np.arange(blocks) + 0.5) * _FLOOR, floors)
    over = part / np.maximum(floor, 1e-30)
    found: list[float] = []
    for _ in range(_LINES):
        place = int(np.argmax(over))
        if over[place] < _CLEAR:
            break
        found.append(line_place(lines, first + place) * step)
        over[max(0, place - _BESIDE) : place + _BESIDE + 1] = 0
    return found


def _eye(envelope: _Reals, power: _Reals, sample_rate: float, rate: float, noise: float) -> KeyedEye:
    """Return what an envelope is in the middle of symbols, whose edges its squared slope has.

    Args:
        envelope: [N].
        power: its squared slope without its mean, [N].
        sample_rate: samples a second.
        rate: symbols a second.
        noise: variance of the noise in the envelope.
    """
    count, step = len(envelope), sample_rate / rate
    turn = np.angle(_line_at(power, 2 * math.pi / step))
    middle = (math.pi - float(turn)) / (2 * math.pi) % 1
    places = (np.arange(int(count / step) - 2) + 1 + middle) * step
    samples = np.arange(count, dtype=np.float64)
    values = np.interp(places, samples, envelope)
    mean = float(values.mean())
    values = values - mean
    clean = float(np.mean(values**2)) - noise
    if len(values) < _FEWEST or not clean > max(_ABOVE_NOISE * noise, (_LEAST_CHANGE * mean) ** 2):
        return KeyedEye()
    third = float(np.mean(values**3)) / clean**1.5
    fourth = (float(np.mean(values**4)) - 6 * clean * noise - 3 * noise**2) / clean**2
    spread = max(fourth - third**2 - 1, 0.0)
    # The two values with this mean, variance and third moment.
    apart = math.sqrt(third**2 + 4)
    low, high = (mean + math.sqrt(clean) * (third + sign * apart) / 2 for sign in (-1, 1))
    between = np.interp(places[:-1] + step / 2, samples, envelope) - (low + high) / 2
    values -= (low + high) / 2 - mean
    uneven = _unevenness(values > 0)
    bulge = _bulge(values, between)
    keyed = (1 - _ramp(spread, *_SPREAD)) * max(uneven, _SQUARE * (1 - _ramp(bulge, *_BULGES)))
    return KeyedEye(rate, spread, min(max(low / high, 0.0), 1.0), uneven, bulge, keyed)


def _line_at(values: _Reals, turn: float) -> complex:
    """Return the sum of values that are turned back by so many radians a value.

    >>> values = np.cos(0.3 * np.arange(100.0))
    >>> bool(abs(_line_at(values, 0.3) - np.sum(values * np.exp(-0.3j * np.arange(100)))) < 1e-9)
    True
    """
    # Turns, which take time, are products of a few.
    rows = len(values) // _ROW
    near, far = np.exp(-1j * turn * np.arange(_ROW)), np.exp(-1j * turn * _ROW * np.arange(rows + 1))
    whole, rest = values[: rows * _ROW].reshape(rows, _ROW), values[rows * _ROW :]
    sums = whole @ near.real + 1j * (whole @ near.imag)
    return complex(far[:rows] @ sums) + complex(far[rows] * (rest @ near[: len(rest)]))


def _bulge(values: _Reals, between: _Reals) -> float:
    """Return what levels held for two symbols are half way between them, over what they are in the symbols' middle.

    Args:
        values: in the middle of symbols, less the threshold, [n].
        between: half way from each symbol to the next one, likewise, [n - 1].
    """
    on = values > 0
    two = (on[1:-2] == on[2:-1]) & (on[:-3] != on[1:-2]) & (on[3:] != on[2:-1])
    if np.count_nonzero(two) < _FEWEST_HELD:
        return math.inf
    held = np.abs(values[1:-2][two]) + np.abs(values[2:-1][two])
    return 2 * float(np.abs(between[1:-1][two]).sum()) / max(float(held.sum()), 1e-30)


def _unevenness(on: NDArray[np.bool_]) -> float:
    """Return how clearly runs are not those of a modem's half waves, 0 to 1."""
    edges = np.flatnonzero(np.diff(on.astype(np.int8)))
    if len(edges) < _FEWEST // 4:
        return 0.0
    lengths, first = np.diff(edges), bool(on[edges[0] + 1])
    one, other = lengths[::2], lengths[1::2]
    long = _ramp(float(np.mean(lengths >= _LONG)), *_LONGER)
    if not len(other):
        return 0.0
    ratio = math.log(float(one.mean()) / float(other.mean())) * (1 if first else -1)
    varied = max(float(np.mean(part != np.median(part))) for part in (one, other))
    return max(long, _ramp(abs(ratio), *_UNEVEN)) * _ramp(varied, *_VARIED)


def _ramp(value: float, low: float, high: float) -> float:
    return min(max((value - low) / (high - low), 0.0), 1.0)
