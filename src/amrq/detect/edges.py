# SPDX-License-Identifier: GPL-3.0-or-later
"""Edges of one emission: the bins that are its own by a spectrum, the frames that it lasts by an envelope.

Spectra and envelopes are excess over the noise, in units of the noise: their mean is 0 where there is nothing.
"""

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from amrq.native import kernels

__all__ = [
    "STEADY_CELLS",
    "VALLEY",
    "crossing",
    "find_lobes",
    "longest_gap",
    "occupied",
    "on_time",
    "unbroken",
]

_POWER_SHARE = 0.99
VALLEY = 6.0
"""Ratio (8 dB) of both sides' peaks to a valley that splits them."""
STEADY_CELLS = 60.0
"""Cells that are averaged before a spectrum's valleys are looked for."""
_SHARP_BINS = (0.4, 2.5)
"""Between 90 and 99 % of the power sharp edges have at most this share of the width, and so many bins."""
_GAP_SYMBOLS = 260.0
"""A gap may last this over the bandwidth. Measured: pulses inside telegrams up to 220, packets from 310."""
_GAP_RANGE = (0.0004, 0.5)
"""Limits of that in s."""
_VOICE_HZ = 5000.0
"""What is narrower may pause for longer: speech."""


def _smoothed(values: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    if width <= 1:
        return values
    smooth: NDArray[np.float64] = scipy.ndimage.uniform_filter1d(values, width, mode="nearest")
    return smooth


def find_lobes(spectrum: NDArray[np.float64], sigma: float) -> list[tuple[int, int]]:
    """Return the intervals of bins [first, last) in which a mean spectrum, 0 in noise, is significant.

    Args:
        spectrum: mean excess over the noise, in units of the noise.
        sigma: its standard deviation in noise: one over the root of the independent frames.
    """
    count = len(spectrum)
    width = 1
    while True:
        smooth = _smoothed(spectrum, width)
        error = sigma / np.sqrt(max(1.0, width / 1.5))
        if smooth.max(initial=0.0) > 7 * error or width * 4 > count:
            break
        width = 2 * width + 1
    # A signal's own spectrum fluctuates as noise does. So many bins are averaged that a valley is none by chance.
    steady = min(int(np.ceil(STEADY_CELLS * sigma**2)) | 1, max(1, count // 3))
    if steady > width:
        width = steady
        smooth, error = _smoothed(spectrum, width), sigma / np.sqrt(width / 1.5)
    on = smooth > 3 * error
    edges = np.flatnonzero(np.diff(np.concatenate([[False], on, [False]]).astype(np.int8)))
    joined: list[tuple[int, int]] = []
    for a, b in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        if joined and a - joined[-1][1] <= max(1, width // 2):
            joined[-1] = (joined[-1][0], b)
        else:
            joined.append((a, b))
    if width < 3:
        smooth, error = _smoothed(spectrum, 3), sigma / np.sqrt(2)
    found = []
    for a, b in joined:
        if smooth[a:b].max() > 4.5 * error:
            found += _split(smooth, error, a, b, width)
    return found


def _split(smooth: NDArray[np.float64], error: float, a: int, b: int, width: int) -> list[tuple[int, int]]:
    """Split an interval at its valleys."""
    if b - a < 2 * width + 3:
        return [(a, b)]
    part = smooth[a:b]
    left = np.maximum.accumulate(part)
    right = np.maximum.accumulate(part[::-1])[::-1]
    lower = np.minimum(left, right)
    depth = lower / np.maximum(part, error)
    at = int(np.argmax(depth))
    if depth[at] < VALLEY or lower[at] < 8 * error:
        return [(a, b)]
    return _split(smooth, error, a, a + at, width) + _split(smooth, error, a + at, b, width)


def occupied(spectrum: NDArray[np.float64]) -> tuple[float, float, float]:
    """Return lower and upper edge of 99 % of the power, in bins with fractions, and the power.

    Args:
        spectrum: excess over the noise of the bins of one emission.
    """
    native = kernels()
    if native is not None and len(spectrum):
        return native.occupied(spectrum, _POWER_SHARE, _SHARP_BINS)
    power = np.maximum.accumulate(np.maximum(np.cumsum(spectrum), 0.0))
    total = float(power[-1])
    if total <= 0:
        return 0.0, float(len(spectrum)), 0.0
    edges = np.concatenate([[0.0], power]) / total
    tail = (1 - _POWER_SHARE) / 2
    low, high, inner_low, inner_high = np.interp([tail, 1 - tail, 0.05, 0.95], edges, np.arange(len(edges)))
    width = float(high - low)
    spread = 0.0
    if width - (inner_high - inner_low) < min(_SHARP_BINS[0] * width, _SHARP_BINS[1]):
        # The window widens sharp edges by up to a bin each: a line to three bins, and hardly what is wide itself.
        spread = min(float(np.clip(1.45 - width / 20, 0, 1)), 0.34 * width)
    return float(low) + spread, float(high) - spread, total


def on_time(envelope: NDArray[np.float64]) -> tuple[int, int]:
    """Return the frames [first, last) that an emission lasts: the stretch with the greatest sum over half its mean.

    Args:
        envelope: excess over the noise of each frame.
    """
    level = float(np.max(envelope, initial=0.0)) / 2
    first, last = 0, len(envelope)
    for _ in range(6):
        sums = np.concatenate([[0.0], np.cumsum(envelope - level / 2)])
        lowest = np.minimum.accumulate(sums)
        stop = int(np.argmax(sums - lowest))
        start = int(np.argmin(sums[: stop + 1]))
        if (start, stop) == (first, last) or stop <= start:
            break
        first, last = start, stop
        level = float(np.mean(envelope[first:last]))
    return first, last


def unbroken(
    envelope: NDArray[np.float64], start: int, stop: int, length: int, error: float
) -> tuple[int, int]:
    """Return the part of a stretch with most power, where it is silent in between for longer than an emission is.

    Args:
        envelope: excess over the noise of each frame.
        start: first frame of the stretch.
        stop: frame after its last.
        length: frames of silence that end an emission.
        error: standard deviation of the mean of so many frames in noise.
    """
    if stop - start < length + 4 or length < 3:
        return start, stop
    part = envelope[start:stop]
    silent = _smoothed(part, length)[length // 2 : len(part) - (length - length // 2) + 1]
    level = float(part.mean())
    if level < 10 * error or float(silent.min()) > 0.1 * level:
        return start, stop
    middle = int(np.argmin(silent)) + length // 2
    quiet = part < 0.5 * level
    first, last = middle, middle + 1
    while first > 0 and quiet[first - 1]:
        first -= 1
    while last < len(part) and quiet[last]:
        last += 1
    if part[:first].sum() > part[last:].sum():
        return start, start + first
    return start + last, stop


def crossing(envelope: NDArray[np.float64], first: int, last: int) -> tuple[float, float]:
    """Return start and stop in frames with fractions, where the envelope crosses half of its level."""
    level = float(np.mean(envelope[first:last])) / 2
    start, stop = float(first), float(last - 1)
    if first > 0 and envelope[first] > level > envelope[first - 1]:
        start = first - (envelope[first] - level) / (envelope[first] - envelope[first - 1])
    elif first > 0:
        start = first - 0.5
    if last < len(envelope) and envelope[last - 1] > level > envelope[last]:
        stop = last - 1 + (envelope[last - 1] - level) / (envelope[last - 1] - envelope[last])
    elif last < len(envelope):
        stop = last - 0.5
    return start, stop


def longest_gap(width: float) -> float:
    """Return the longest gap in s that a signal of this bandwidth in Hz may have."""
    width = max(width, 1.0)
    longest = _GAP_SYMBOLS / width * max(1.0, (_VOICE_HZ / width) ** 3)
    return min(max(longest, _GAP_RANGE[0]), _GAP_RANGE[1])
