# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be measured of amplitude keying: the shortest pulse, duty, how pulses and gaps differ, Morse's speed.

The envelope is split in two by the threshold that parts it best (Otsu 1979), and the lengths of what is on and off
speak: the shortest ones that are no glitch are one unit long.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from amrq import transforms as fft
from amrq.chunks import finite_samples
from amrq.errors import AmrqError
from amrq.measure.keyed_samples import narrowed
from amrq.measure.looks import median, quantile

__all__ = ["Keying", "crossings", "envelope_of", "measure_keying", "threshold_of"]

_LEAST_SAMPLES = 256
_WIDER, _RATE = 1.1, 4.0
"""Of the bandwidth: what is looked at, and the rate of its envelope."""
_EMPTY = 0.3
"""Of a box: where what stands out of the noise takes less, it is looked at alone."""
_GLITCH = 0.8
"""Over the bandwidth: what is shorter is noise."""
_LEAST_RUNS = 6
_SHORTEST = 0.1
"""Of the lengths: this quantile is of the shortest kind."""
_ALIKE = 0.35
"""Of a length: what differs by less is of the same kind."""
_CONTRAST = 2.0
"""Distance of the two levels over their scatter: below, nothing is keyed."""
_LONGEST, _CORRECTED, _SCATTERED = 12.5, 0.12, 0.2
"""Units of what is no pause; how far edges may correct a unit; scatter of edges about multiples of it, at most."""
_FAR, _BLURRED = 0.015, 0.15
"""Of a unit, by which lengths of several kinds may differ from multiples of it; and by how much more where the
emission is as narrow as one over a unit."""
_CLOCKED = -1.0
_LEAST_CODED, _KEPT_TO, _USED = 20, 0.93, 0.06
"""Pulses that a code is told by; share of lengths that keep to it; share that each kind of length has at least."""
_EVEN, _SAME = 0.12, 0.3
"""Of the median: within this, a period is the same, and so are lengths."""
_DOT = 1.2
"""Seconds of a dot at one word (PARIS) a minute."""


@dataclass(frozen=True)
class Keying:
    """What was measured of amplitude keying; None where the samples do not carry it.

    Attributes:
        pulse: shortest pulse or gap, s.
        symbol_rate: one over the shortest pulse, a second.
        duty: share of the time that it is on, from the first pulse to the last.
        pulses, gaps: lengths that occur, in shortest pulses: median of the longer half over that of the shorter one; 1
            where all are alike: pulses of a pulse-position code, gaps of none.
        speed: words (PARIS) a minute, if it is Morse.
        contrast: distance of the levels on and off over their scatter.
        confidence: probability that the pulse is right to 5 %, 0 to 1.
        clocked: all lengths but pauses are multiples of the pulse.
        code: `nrz`, `manchester`, `pwm` (pulse width) or `ppm` (pulse position), where nearly all lengths keep to it.
    """

    pulse: float | None = None
    symbol_rate: float | None = None
    duty: float | None = None
    pulses: float | None = None
    gaps: float | None = None
    speed: float | None = None
    contrast: float = 0.0
    confidence: float = 0.0
    clocked: bool = False
    code: str | None = None


def measure_keying(iq: NDArray[np.complex64], sample_rate: float, bandwidth: float | None = None) -> Keying:
    """Measure the amplitude keying of an emission about 0 Hz.

    Args:
        iq: complex [N], the emission about 0 Hz.
        sample_rate: samples a second, above 0.
        bandwidth: of the emission (99 %), right to some 20 %, Hz; None: 0.8 of the sample rate.

    Raises:
        AmrqError: the sample rate is not above 0.

    >>> rng = np.random.default_rng(1)
    >>> iq = np.repeat(rng.integers(2, size=200), 40) + rng.normal(size=(8000, 2)) @ [0.05, 0.05j]
    >>> found = measure_keying(iq, 40e3, bandwidth=8e3)
    >>> round(found.pulse * 1e3, 1), 0.4 < found.duty < 0.6
    (1.0, True)
    """
    if not 0 < sample_rate < math.inf:
        raise AmrqError(f"the sample rate must be above 0 Hz, not {sample_rate:g}.")
    width = bandwidth if bandwidth is not None and 0 < bandwidth < math.inf else 0.8 * sample_rate
    iq, width = finite_samples(iq), min(width, sample_rate / _WIDER)
    if len(iq) < _LEAST_SAMPLES or not np.any(iq):
        return Keying()
    iq, width = narrowed(iq, sample_rate, width, _EMPTY)
    envelope, rate = envelope_of(iq, sample_rate, width)
    threshold, contrast = threshold_of(envelope)
    if contrast < _CONTRAST:
        return Keying(contrast=contrast)
    edges, first_on = crossings(envelope, threshold, _GLITCH * rate / width)
    if len(edges) < _LEAST_RUNS + 1:
        return Keying(contrast=contrast)
    edges = edges / rate
    lengths = np.diff(edges)
    on = lengths[(0 if first_on else 1) :: 2]
    off = lengths[(1 if first_on else 0) :: 2]
    pulse, gap = _shortest(on), _shortest(off)
    # A threshold that is not half way makes pulses longer and gaps shorter alike.
    unit = (pulse + gap) / 2 if abs(pulse - gap) < _ALIKE * max(pulse, gap) else pulse
    scatter = float(np.std(on[np.abs(on / pulse - 1) < _ALIKE])) / unit
    clock = _clock(edges, unit, width)
    unit = unit if clock is None else clock
    sure = 10 * scatter - 0.5 * min(contrast, 8.0) + (0.5 if clock is None else _CLOCKED)
    return Keying(
        pulse=unit,
        symbol_rate=1 / unit,
        duty=float(on.sum() / lengths.sum()),
        pulses=_kinds(on),
        gaps=_kinds(off),
        speed=_DOT / unit,
        contrast=contrast,
        confidence=1 / (1 + math.exp(min(sure, 50.0))),
        clocked=clock is not None,
        code=_code(edges, first_on, unit, clock is not None),
    )


def _code(edges: NDArray[np.float64], first_on: bool, unit: float, clocked: bool) -> str | None:
    """Return the line code that all but some of a hundred lengths keep to; None where they do not, or are few.

    Pulse width: one period, pulses of two lengths in it. Pulse position: pulses of one length, gaps of two. Manchester:
    one or two units, and an edge in the middle of each bit. NRZ: multiples of a unit, three and more kinds of both.
    """
    edges = edges[0 if first_on else 1 :]
    on, off = np.diff(edges)[::2], np.diff(edges)[1::2]
    on = on[: len(off)]
    kept = off < _LONGEST * unit
    if int(kept.sum()) < _LEAST_CODED:
        return None
    on, off = on[kept], off[kept]
    if _alike(on + off, _EVEN) and _two_kinds(on) and _two_kinds(off):
        return "pwm"
    if _alike(on, _SAME) and _two_kinds(off):
        return "ppm"
    if not clocked:
        return None
    counts = np.rint(np.stack([on, off]) / unit).astype(np.int64)
    if float(np.mean((counts == 1) | (counts == 2))) > _KEPT_TO and min((counts == 2).mean(axis=1)) > _USED:
        # Counted in units, edges that are at bits' borders only are never two in a row.
        places = np.cumsum(counts.T.ravel())
        return "manchester" if _middles(places) > _KEPT_TO else None
    kinds = [len(np.flatnonzero(np.bincount(row)[1:6] > _USED * len(row))) for row in counts]
    return "nrz" if min(kinds) > 2 else None


def _alike(lengths: NDArray[np.float64], within: float) -> bool:
    """Return whether nearly all lengths are within a share of their median."""
    return float(np.mean(np.abs(lengths / median(lengths) - 1) < within)) > _KEPT_TO


def _two_kinds(lengths: NDArray[np.float64]) -> bool:
    """Return whether lengths are of two kinds, both of them often there."""
    ordered = np.sort(lengths)
    low, high = float(ordered[len(ordered) // 20]), float(ordered[-1 - len(ordered) // 20])
    if high < (1 + _ALIKE) * low:
        return False
    is_long = lengths > (low + high) / 2
    share = float(is_long.mean())
    return _USED < share < 1 - _USED and _alike(lengths[is_long], _SAME) and _alike(lengths[~is_long], _SAME)


def _middles(places: NDArray[np.int64]) -> float:
    """Return the share of bits with an edge in their middle, for the better of both ways to pair units to bits."""
    there = np.zeros(int(places[-1]) + 2, np.bool_)
    there[places] = True
    return max(float(there[parity : int(places[-1]) + 1 : 2].mean()) for parity in (0, 1))


def _clock(edges: NDArray[np.float64], unit: float, width: float) -> float | None:
    """Return the unit whose multiples all lengths are, from all edges together; None where they are not.

    From one rising edge to the next, and from one falling edge to the next, it is a multiple of the unit wherever the
    threshold lies. The multiples are counted from edge to edge; a straight line through places against counts is the
    unit. Long gaps count for nothing: what follows them may begin at any time.

    Args:
        edges: where it is switched, on and off in turns, s.
        unit: shortest length, right to some per cent, s.
        width: of the emission, Hz: a narrow one makes short pulses look longer than they are.
    """
    steps = np.stack([edges[2:] - edges[:-2], edges[2:] - edges[1:-1]])
    if steps.shape[1] < _LEAST_RUNS:
        return None
    first = unit
    for _ in range(2):
        counts = np.rint(steps[0] / unit)
        breaks = steps[0] > _LONGEST * unit
        known = counts * (~breaks)
        places: list[NDArray[np.float64]] = []
        numbers: list[NDArray[np.float64]] = []
        for parity in (0, 1):
            own, stop = known[parity::2], np.flatnonzero(breaks[parity::2]) + 1
            at = edges[parity::2]
            total = np.concatenate([[0.0], np.cumsum(own)])
            for piece, count in zip(np.split(at, stop), np.split(total, stop), strict=True):
                if len(piece) > 1:
                    places.append(piece - piece.mean())
                    numbers.append(count - count.mean())
        if not places:
            return None
        time, number = np.concatenate(places), np.concatenate(numbers)
        weight = float(number @ number)
        if not weight > 0:
            return None
        unit = float(time @ number) / weight
        if not unit > 0 or abs(unit / first - 1) > _CORRECTED:
            return None
    if float(np.std(time - number * unit)) > _SCATTERED * unit:
        return None
    return (
        unit
        if _are_multiples(np.diff(edges), unit, _FAR + _BLURRED * max(0.0, 1 - width * unit / 2.5))
        else None
    )


def _are_multiples(lengths: NDArray[np.float64], unit: float, far: float) -> bool:
    """Return whether the mean lengths of each kind, on and off, are multiples of a unit apart, to a share of it."""
    for parity in (0, 1):
        own = lengths[parity::2]
        own = own[own < _LONGEST * unit]
        counts = np.rint(own / unit)
        means = []
        for count in np.unique(counts):
            some = own[counts == count]
            doubt = float(np.std(some)) / unit / math.sqrt(len(some))
            if len(some) >= _LEAST_RUNS:
                means.append((float(np.mean(some)) / unit - count, doubt))
        for one, doubt in means[1:]:
            if abs(one - means[0][0]) > far + 3 * math.hypot(doubt, means[0][1]):
                return False
    return True


def envelope_of(
    iq: NDArray[np.complex64], sample_rate: float, width: float
) -> tuple[NDArray[np.float64], float]:
    """Return the magnitude of the signal's band, and its rate."""
    count = len(iq)
    spectrum = fft.fft(iq)
    kept = min(count, 2 * math.ceil(_WIDER * width / sample_rate * count / 2))
    size = int(fft.next_fast_len(max(kept, math.ceil(min(_RATE * width / sample_rate, 1.0) * count))))
    chosen = np.zeros(size, dtype=np.complex64)
    chosen[: kept // 2] = spectrum[: kept // 2]
    chosen[size - kept // 2 :] = spectrum[count - kept // 2 :]
    return np.abs(fft.ifft(chosen)).astype(np.float64), sample_rate * size / count


def threshold_of(envelope: NDArray[np.float64]) -> tuple[float, float]:
    """Return the threshold that parts an envelope best, and the distance of both parts over their scatter."""
    top = quantile(envelope, 0.995)
    shares, borders = np.histogram(np.minimum(envelope, top), 128, (0, top))
    middles = (borders[1:] + borders[:-1]) / 2
    below = np.cumsum(shares)[:-1].astype(np.float64)
    above = float(shares.sum()) - below
    sums = np.cumsum(shares * middles)
    with np.errstate(divide="ignore", invalid="ignore"):
        low, high = sums[:-1] / below, (sums[-1] - sums[:-1]) / above
        between = np.nan_to_num(below * above * np.square(high - low))
    best = int(np.argmax(between))
    threshold = float((low[best] + high[best]) / 2)
    on, off = envelope[envelope > threshold], envelope[envelope <= threshold]
    if len(on) < 8 or len(off) < 8:
        return threshold, 0.0
    return threshold, float(on.mean() - off.mean()) / max(1e-12 * top, float(np.hypot(on.std(), off.std())))


def crossings(
    envelope: NDArray[np.float64], threshold: float, least: float
) -> tuple[NDArray[np.float64], bool]:
    """Return where an envelope crosses a threshold, between samples, and whether it is on after the first crossing."""
    over = envelope > threshold
    places = np.flatnonzero(over[1:] != over[:-1])
    # A pair of crossings that are close is a glitch; both go.
    kept: list[int] = []
    for place in places.tolist():
        if kept and place - kept[-1] < least:
            kept.pop()
        else:
            kept.append(place)
    chosen = np.array(kept, dtype=np.int64)
    if not len(chosen):
        return np.zeros(0), False
    before, after = envelope[chosen], envelope[chosen + 1]
    return chosen + (threshold - before) / (after - before), bool(over[chosen[0] + 1])


def _shortest(lengths: NDArray[np.float64]) -> float:
    """Return the mean of the lengths of the shortest kind."""
    short = float(np.sort(lengths)[int(_SHORTEST * len(lengths))])
    return float(lengths[np.abs(lengths / short - 1) < _ALIKE].mean())


def _kinds(lengths: NDArray[np.float64]) -> float:
    """Return the median of the longer half of lengths over that of the shorter half; 1 where they are alike."""
    ordered = np.sort(lengths)
    half = len(ordered) // 2
    ratio = median(ordered[half:]) / median(ordered[: max(1, half)])
    return ratio if ratio > 1 + _ALIKE else 1.0
