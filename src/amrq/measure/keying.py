# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be measured of amplitude keying: the shortest pulse, duty, how pulses and gaps differ, Morse's speed.

The envelope is split in two by the threshold that parts it best (Otsu 1979), and the lengths of what is on and off
speak: the shortest ones that are no glitch are one unit long.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from amrq.chunks import finite_samples
from amrq.errors import AmrqError

__all__ = ["Keying", "crossings", "envelope_of", "measure_keying", "threshold_of"]

_LEAST_SAMPLES = 256
_WIDER, _RATE = 1.1, 4.0
"""Of the bandwidth: what is looked at, and the rate of its envelope."""
_GLITCH = 0.8
"""Over the bandwidth: what is shorter is noise."""
_LEAST_RUNS = 6
_SHORTEST = 0.1
"""Of the lengths: this quantile is of the shortest kind."""
_ALIKE = 0.35
"""Of a length: what differs by less is of the same kind."""
_CONTRAST = 2.0
"""Distance of the two levels over their scatter: below, nothing is keyed."""
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
    """

    pulse: float | None = None
    symbol_rate: float | None = None
    duty: float | None = None
    pulses: float | None = None
    gaps: float | None = None
    speed: float | None = None
    contrast: float = 0.0
    confidence: float = 0.0


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
    envelope, rate = envelope_of(iq, sample_rate, width)
    threshold, contrast = threshold_of(envelope)
    if contrast < _CONTRAST:
        return Keying(contrast=contrast)
    edges, first_on = crossings(envelope, threshold, _GLITCH * rate / width)
    if len(edges) < _LEAST_RUNS + 1:
        return Keying(contrast=contrast)
    lengths = np.diff(edges) / rate
    on = lengths[(0 if first_on else 1) :: 2]
    off = lengths[(1 if first_on else 0) :: 2]
    pulse, gap = _shortest(on), _shortest(off)
    # A threshold that is not half way makes pulses longer and gaps shorter alike.
    unit = (pulse + gap) / 2 if abs(pulse - gap) < _ALIKE * max(pulse, gap) else pulse
    scatter = float(np.std(on[np.abs(on / pulse - 1) < _ALIKE])) / unit
    return Keying(
        pulse=unit,
        symbol_rate=1 / unit,
        duty=float(on.sum() / lengths.sum()),
        pulses=_kinds(on),
        gaps=_kinds(off),
        speed=_DOT / unit,
        contrast=contrast,
        confidence=1 / (1 + math.exp(10 * scatter - 0.5 * min(contrast, 8.0) + 0.5)),
    )


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
    top = float(np.quantile(envelope, 0.995))
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
    ratio = float(np.median(ordered[half:]) / np.median(ordered[: max(1, half)]))
    return ratio if ratio > 1 + _ALIKE else 1.0
