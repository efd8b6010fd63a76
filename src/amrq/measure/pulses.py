# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be measured of pulses: width, how often they come, and the rhythm of Mode S, Mode A/C and DME.

Mode S (ADS-B) is looked for by its preamble and by its pulse positions: of the two halves of each microsecond one is on
(ICAO Annex 10 IV). At two samples a microsecond this shows no pulse shapes, but the power of the halves is there. Other
pulses are taken from the envelope one by one; what they are is in the times from one to the next.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from amrq.measure.keying import crossings, envelope_of, threshold_of
from amrq.measure.looks import checked_look, logistic, squares

__all__ = ["Pulses", "measure_pulse"]

_LEAST_SAMPLES = 128
_CHIP = 0.5e-6
"""Seconds of half a bit of Mode S."""
_SLOWEST = 1.9e6
"""Samples a second: with fewer Mode S does not show."""
_PHASES = 4
"""In half a bit, at which frames are looked for."""
_PREAMBLE = (0, 2, 7, 9)
_PREAMBLE_CHIPS, _SHORT, _LONG = 16, 56, 112
"""Halves of bits of the preamble; bits of short and long frames."""
_FRAME, _MOST_CLEAR, _FRAME_ODDS = 3.5, 4.0, 4.0
"""What speaks for a frame: logarithm of the preamble's weakest pulse over what is between, at most so much, and four
times the mean difference of the halves of bits over their sum. Of 1,500 looks at other signals, 1 % have more than 2.9.
"""
_MOST_SAMPLES = 1 << 17
_GENERATOR = 0x1FFF409
"""Parity of Mode S: x^24 + x^23 + ... + x^10 + x^3 + 1."""
_DME_WIDTH, _DME_PAIRS, _DME_NEAR = (2.4e-6, 4.6e-6), (12e-6, 30e-6, 36e-6), 0.8e-6
_MODE_AC_WIDTH, _MODE_AC_STEP, _MODE_AC_LONG, _MODE_AC_NEAR = (0.25e-6, 0.75e-6), 1.45e-6, 21e-6, 0.12e-6
_CONTRAST = 2.0
"""Distance of the two levels over their scatter: below, there are no pulses."""
_ALIKE, _STEADY, _STAGGER = 0.25, 0.04, 0.1
"""Of the median: widths that differ by less are alike, intervals are the same. Of the shortest interval: steps in which
a stagger is counted."""
_SMEARED = 1.2
"""Over the bandwidth: pulses are not shorter than what the box lets through."""
_GLITCH = 0.6
"""Over the bandwidth: what is shorter is noise."""
_LEAST_PULSES = 3
_ENOUGH, _TOP = 24, 0.85
"""Pulses whose mean shape is looked at; quantile of its middle half that is its top."""
_EDGES, _GRID = 2.0, 40
"""Of the bandwidth: a band that keeps the edges of pulses; steps to either side in which a mean pulse is looked at."""
_NOMINAL = {"mode_ac": 0.45e-6, "dme": 3.5e-6}
"""Seconds of a pulse by ICAO Annex 10 IV and I: what is told of systems that were recognised."""

_Reals = NDArray[np.float64]


@dataclass(frozen=True)
class Pulses:
    """What was measured of pulses; None where the samples do not carry it.

    Attributes:
        kind: `mode_s`, `mode_ac`, `dme`, `regular` (the same interval again and again), `staggered` (a few
            intervals), or None.
        width: of a pulse, at half of its amplitude, s; None where the box is too narrow for it; of Mode S half a
            microsecond.
        interval: from one pulse to the next, median, s; of `staggered` the shortest; of Mode S none.
        frames: of Mode S, in the look; their parity may be wrong.
        checked: of these, frames of a kind whose parity says that all of it is right, and does.
        symbol_rate: of Mode S, bits a second.
        duty: share of the time that pulses last, from the first to the last.
        pulses: that were seen.
        contrast: distance of the levels on and off over their scatter.
        confidence: probability that they are pulses and not on-off keying or something else, 0 to 1.
    """

    kind: str | None = None
    width: float | None = None
    interval: float | None = None
    frames: int = 0
    checked: int = 0
    symbol_rate: float | None = None
    duty: float | None = None
    pulses: int = 0
    contrast: float = 0.0
    confidence: float = 0.0


def measure_pulse(iq: NDArray[np.complex64], sample_rate: float, bandwidth: float | None = None) -> Pulses:
    """Measure pulses about 0 Hz.

    Args:
        iq: complex [N], the emission about 0 Hz.
        sample_rate: samples a second, above 0.
        bandwidth: of the emission (99 %), right to some 20 %, Hz; None: 0.8 of the sample rate.

    Raises:
        AmrqError: the sample rate is not above 0.

    >>> pulse = np.repeat([0.0, 1.0, 0.0], [20, 20, 260])
    >>> rng = np.random.default_rng(1)
    >>> iq = np.tile(pulse, 25) + rng.normal(size=(7500, 2)) @ [0.05, 0.05j]
    >>> found = measure_pulse(iq, 20e6, 5e6)
    >>> found.kind, round(found.width * 1e6, 1), round(found.interval * 1e6, 1)
    ('regular', 1.0, 15.0)
    """
    iq, width = checked_look(iq, sample_rate, bandwidth)
    if len(iq) < _LEAST_SAMPLES or not np.any(iq):
        return Pulses()
    frames, checked, clear = _frames(squares(iq).astype(np.float64), sample_rate)
    seen = _seen(iq, sample_rate, width)
    if not frames:
        return seen
    sure = 1.0 if checked else logistic(_FRAME_ODDS * (clear - _FRAME) + 0.5 * (frames - 1))
    known = replace(seen, kind="mode_s", width=_CHIP, interval=None, symbol_rate=0.5 / _CHIP)
    return replace(known, frames=frames, checked=checked, confidence=sure)


def _frames(power: _Reals, sample_rate: float) -> tuple[int, int, float]:
    """Return how many frames of Mode S there are, of how many the parity is right, and how clear the clearest is."""
    if sample_rate < _SLOWEST:
        return 0, 0, 0.0
    sums = np.concatenate([[0.0], np.cumsum(power[:_MOST_SAMPLES])])
    found: list[tuple[float, int, float, _Reals]] = []
    for quarter in range(_PHASES):
        halves = _halves(sums, sample_rate, quarter / _PHASES)
        count = len(halves) - _PREAMBLE_CHIPS - 2 * _SHORT + 1
        if count < 1:
            continue
        first = np.lib.stride_tricks.sliding_window_view(halves, _PREAMBLE_CHIPS)[:count]
        on, off = first[:, _PREAMBLE].min(axis=1), np.delete(first, _PREAMBLE, axis=1).mean(axis=1)
        apart = np.abs(np.diff(halves)) / (halves[1:] + halves[:-1] + 1e-30)
        # Every second difference is of the halves of one bit: sums over a short frame, of even and odd places alike.
        sums_of = np.concatenate(
            [np.zeros((2, 1)), np.cumsum(np.resize(apart, (len(apart) // 2, 2)).T, axis=1)], 1
        )
        places = np.arange(count) + _PREAMBLE_CHIPS
        last = np.minimum(places // 2 + _SHORT, sums_of.shape[1] - 1)
        split = (sums_of[places % 2, last] - sums_of[places % 2, places // 2]) / _SHORT
        clear = np.clip(np.log((on + 1e-30) / (off + 1e-30)), -_MOST_CLEAR, _MOST_CLEAR) + 4 * split
        found += [
            (float(clear[at]), int(at), quarter / _PHASES, halves) for at in np.flatnonzero(clear > _FRAME)
        ]
    taken: list[tuple[float, float]] = []
    checked = 0
    for _, at, phase, halves in sorted(found, key=lambda one: -one[0]):
        data = halves[at + _PREAMBLE_CHIPS :]
        begin = at + phase
        end = begin + _PREAMBLE_CHIPS + 2 * (_LONG if data[0] > data[1] else _SHORT) - 1
        if all(begin > last or end < first for first, last in taken):
            taken.append((begin, end))
            checked += _parity_right(data)
    return len(taken), checked, max((one[0] for one in found), default=0.0)


def _halves(sums: _Reals, sample_rate: float, phase: float) -> _Reals:
    """Return the power in each half of a bit, from sums of the power."""
    long = _CHIP * sample_rate
    edges = (np.arange(int((len(sums) - 1) / long - phase + 1e-9) + 1) + phase) * long
    whole = np.minimum(edges.astype(np.int64), len(sums) - 2)
    return np.diff(sums[whole] + (edges - whole) * (sums[whole + 1] - sums[whole]))


def _parity_right(halves: _Reals) -> bool:
    """Return whether a frame is of a kind whose parity says that it is right, and it is."""
    pairs = halves[: min(len(halves) // 2, _LONG) * 2].reshape(-1, 2)
    bits = (pairs[:, 0] > pairs[:, 1]).astype(int).tolist()
    kind = int("".join(map(str, bits[:5])), 2)
    count = _LONG if kind in (17, 18) else _SHORT
    if kind not in (11, 17, 18) or len(bits) < count:
        return False
    rest = int("".join(map(str, bits[:count])), 2)
    for place in range(count - 1, 23, -1):
        if rest >> place & 1:
            rest ^= _GENERATOR << (place - 24)
    return rest == 0 if kind != 11 else rest < 128  # all-call replies say there whom they answer


def _seen(iq: NDArray[np.complex64], sample_rate: float, width: float) -> Pulses:
    """Return what the envelope shows of pulses one by one."""
    envelope, rate = envelope_of(iq, sample_rate, min(width, sample_rate / 1.1))
    threshold, contrast = threshold_of(envelope)
    if contrast < _CONTRAST:
        return Pulses(contrast=contrast)
    on = envelope > threshold
    high, low = float(np.median(envelope[on])), float(np.median(envelope[~on]))
    edges, first_on = crossings(envelope, (high + low) / 2, _GLITCH * rate / width)
    edges = edges[0 if first_on else 1 :] / rate
    starts, ends = edges[: len(edges) // 2 * 2 : 2], edges[1::2]
    if len(starts) < 1:
        return Pulses(contrast=contrast)
    lengths, gaps = ends - starts, np.diff(starts)
    middle = float(np.median(lengths))
    alike = float(np.mean(np.abs(lengths / middle - 1) < _ALIKE))
    duty = float(lengths[:-1].sum() / (starts[-1] - starts[0])) if len(starts) > 1 else None
    kind, interval = _rhythm(lengths, gaps, _SMEARED / width)
    off = float(np.mean(~on))
    seen_width = _width_of(iq, sample_rate, width, starts, ends) if middle > _SMEARED / width else None
    nominal = _NOMINAL.get(kind or "", seen_width if kind is not None else None)
    return Pulses(
        kind=kind,
        width=seen_width,
        interval=interval,
        symbol_rate=1 / nominal if nominal else None,
        duty=duty,
        pulses=len(starts),
        contrast=contrast,
        confidence=logistic(
            _worth(kind, contrast, alike, duty if duty is not None else 1 - off, len(starts))
        ),
    )


def _width_of(
    iq: NDArray[np.complex64], sample_rate: float, width: float, starts: _Reals, ends: _Reals
) -> float:
    """Return the mean width of pulses at half of their amplitude, s, with twice their band: that keeps their edges.

    Args:
        iq: complex64 [N].
        sample_rate: samples a second.
        width: of the emission, Hz.
        starts: of the pulses, about, s.
        ends: likewise.
    """
    starts, ends = starts[:_ENOUGH], ends[:_ENOUGH]
    iq = iq[: int((2 * float(ends[-1]) - float(starts[-1])) * sample_rate) + _GRID]
    envelope, rate = envelope_of(iq, sample_rate, min(_EDGES * width, sample_rate / 1.1))
    lengths = ends - starts
    usual = float(np.median(lengths))
    middles = ((starts + ends) / 2)[np.abs(lengths / usual - 1) < _ALIKE]
    offsets = np.arange(-_GRID, _GRID + 1) / _GRID * usual
    places = (middles[:, None] + offsets) * rate
    places = places[(places[:, 0] > 0) & (places[:, -1] < len(envelope) - 1)]
    if not len(places):
        return usual
    whole = places.astype(np.int64)
    values = envelope[whole] + (places - whole) * (envelope[whole + 1] - envelope[whole])
    shape = values.mean(axis=0)
    # Noise beside the pulses makes their feet, and its power adds to that of the top.
    half = float(np.quantile(shape[_GRID // 2 : 2 * _GRID - _GRID // 2], _TOP)) / 2
    over = np.flatnonzero(shape > half)
    if not len(over) or over[0] == 0 or over[-1] == len(shape) - 1:
        return usual
    first, last = int(over[0]), int(over[-1])
    rise = first - (shape[first] - half) / (shape[first] - shape[first - 1])
    fall = last + (shape[last] - half) / (shape[last] - shape[last + 1])
    return float(fall - rise) / _GRID * usual


def _rhythm(lengths: _Reals, gaps: _Reals, smeared: float) -> tuple[str | None, float | None]:
    """Return what pulses of such lengths and times from one to the next are, and the interval.

    Args:
        lengths: s.
        gaps: times from one start to the next, s.
        smeared: by what a receiver as narrow as the box makes pulses longer, s.
    """
    if len(gaps) < _LEAST_PULSES - 1:
        return None, None
    width, interval = float(np.median(lengths)), float(np.median(gaps))
    near = np.min(np.abs(gaps[:, None] - np.array(_DME_PAIRS)), axis=1) < _DME_NEAR
    if _DME_WIDTH[0] < width < math.hypot(_DME_WIDTH[1], smeared) and float(near.mean()) > 0.4:
        return "dme", interval
    if _MODE_AC_WIDTH[0] < width < math.hypot(_MODE_AC_WIDTH[1], smeared):
        short = gaps[gaps < _MODE_AC_LONG] / _MODE_AC_STEP
        if (
            len(short) >= 4
            and float(np.mean(np.abs(short - np.round(short)) < _MODE_AC_NEAR / _MODE_AC_STEP)) > 0.8
        ):
            return "mode_ac", _MODE_AC_STEP
    if float(np.mean(np.abs(gaps / interval - 1) < _STEADY)) > 0.85:
        return "regular", interval
    short_one = float(np.quantile(gaps, 0.1))
    kinds = np.unique(np.round(gaps / short_one / _STAGGER).astype(int))
    if (
        len(gaps) >= 8
        and len(kinds) <= 4
        and float(gaps.max()) < 2.5 * short_one
        and float(gaps.min()) > 4 * width
    ):
        return "staggered", short_one
    return None, interval


def _worth(kind: str | None, contrast: float, alike: float, duty: float, count: int) -> float:
    """Return the logarithm of the odds that they are pulses: a logistic curve fitted to simulation."""
    worth = -9.3 + 0.15 * min(contrast, 6.0) + 3.0 * alike + 2.0 * min(count, 30) / 30
    if kind in ("dme", "mode_ac"):
        return worth + 7.0
    return (
        worth
        + {"regular": 0.3, "staggered": 1.4}.get(kind or "", 0.0)
        - 2.1 * math.log(min(max(duty, 0.003), 0.6))
    )
