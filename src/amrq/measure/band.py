# SPDX-License-Identifier: GPL-3.0-or-later
"""The signals in a band: where they are, how wide and how strong; one of them as samples of its own.

Spectra of many stretches are averaged (Welch 1967), over all of the samples and over parts of them, so that bursts
are seen too. Whatever rises significantly above the noise floor makes a box; a box is split where the spectrum falls
almost to the floor. The side lobes of a signal with rectangular pulses, which are mirrored about its middle, belong to
the signal.
"""

import itertools
import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, special

from amrq import transforms as fft
from amrq.errors import AmrqError
from amrq.measure.looks import hann, quantile
from amrq.native import kernels
from amrq.text import engineering

__all__ = ["BandSignal", "Density", "find_signals", "power_density", "power_window"]

_LEAST_SAMPLES = 64
_SMALLEST, _LARGEST = 32, 16_384  # samples of a spectrum
_SPECTRA = 32
"""Spectra at least, where there are samples enough for more than the smallest."""
_MOST_SAMPLES = 1 << 21
"""Of longer inputs, stretches spread over the whole are used."""
_PARTS = 8
"""In time, each of which is searched for bursts."""
_EDGE = 0.42
"""Of the sample rate: beyond, the filter of a radio falls off."""
_FLOOR_SHARE = 0.1  # of the bins that are taken for noise
_FALSE_ALARM = 1e-9
"""Probability that noise makes a bin, or a mean over some bins, significant."""
_VALLEY = 0.07
"""Of the weaker neighbour's height: a valley below this splits. An echo of -6 dB leaves 0.11."""
_VALLEY_DEVIATIONS = 8.0
"""Standard deviations that a valley must be below what is on either side."""
_LEAST_HEIGHT = 0.002
"""Of the strongest in a region: what is lower is not split off."""
_FILLED = 0.4
"""Of a piece, above a quarter of its height: where less is, it is a line on a pedestal and no signal of its own."""
_MOST_INSIDE = 4
_INNER_LEVEL = 0.3
_INNER, _FLAT_SHARE = 15.0, 0.2
"""A box so many times above the floor has a floor of its own if so much of its width is flat."""
_LOBE = 0.12
"""Of a signal's height: its own side lobes are below this."""
_LOBE_GAP = 0.3
"""Of a signal's width: its lobes begin no further away."""
_SPLATTER_DB = 30.0
"""Below the power of a signal, what lies within 2.5 of its bandwidths from its middle is its own: a
transmitter's filter and its distortion leave that much."""
_EVEN = 0.05
"""Of a signal's height: what is well above counts alike when its middle is looked for."""
_SHARE = 0.99  # of the power that the bandwidth holds

_Reals = NDArray[np.float64]


@dataclass(frozen=True)
class BandSignal:
    """A signal in a band.

    Attributes:
        centre: its middle, Hz from the middle of the band.
        bandwidth: Hz that hold 99 % of its power, as far as the power stands out of the noise.
        snr_db: its power over the noise power in this bandwidth, dB; infinite where there is no noise.
        power_db: its power while it is on, dB relative to a magnitude of 1.
    """

    centre: float
    bandwidth: float
    snr_db: float
    power_db: float


@dataclass(frozen=True)
class Density:
    """Averaged spectra.

    Attributes:
        parts: float64 [parts, bins], power a bin, lowest frequency first; all bins of a part together have the mean
            power of the samples.
        spectra: how many stretches each part is averaged over.
        step: Hz from one bin to the next.
    """

    parts: _Reals
    spectra: int
    step: float

    @property
    def frequencies(self) -> _Reals:
        """Frequency of each bin, Hz from the middle of the band: float64 [bins]."""
        bins = self.parts.shape[1]
        return (np.arange(bins) - bins // 2) * self.step

    @property
    def mean(self) -> _Reals:
        """Power a bin over all of the time: float64 [bins]."""
        return self.parts.mean(axis=0)


@lru_cache(16)
def power_window(length: int) -> NDArray[np.float32]:
    """Return Hann's window, by which all bins of white noise together have its power, float32 [length]."""
    window = hann(length + 1)[:-1].astype(np.float32)
    window /= np.float32(math.sqrt(length * float(np.sum(window.astype(np.float64) ** 2))))
    window.flags.writeable = False
    return np.asarray(window)


def power_density(samples: NDArray[np.complex64], sample_rate: float, length: int, parts: int = 1) -> Density:
    """Return the averaged spectra of Hann-windowed stretches that overlap by half.

    Args:
        samples: complex [N]; those that are not finite count as zeros.
        sample_rate: samples a second.
        length: samples of a stretch and bins of the spectrum, at most N.
        parts: of the time, each averaged by itself, as far as there are stretches.
    """
    count = (len(samples) - length) // (length // 2) + 1
    wanted = min(count, max(1, 2 * _MOST_SAMPLES // length))
    starts = np.arange(count)
    if wanted < count:
        starts = np.unique(np.linspace(0, count - 1, wanted).round().astype(np.int64))
    starts *= length // 2
    parts = max(1, min(parts, len(starts)))
    window = power_window(length)
    sums = np.zeros((parts, length))
    native = kernels() if samples.dtype == np.complex64 else None
    compiled = native if native is not None and native.has_emissions else None

    def transformed(chosen: NDArray[np.int64]) -> NDArray[Any]:
        if compiled is not None:
            return fft.fft(compiled.windowed(samples, chosen, window), axis=1, overwrite_x=True)
        pieces = np.nan_to_num(samples[chosen[:, None] + np.arange(length)], nan=0.0, posinf=0.0, neginf=0.0)
        return fft.fft(pieces * window, axis=1)

    block, done = max(1, (1 << 18) // length), 0
    together = transformed(starts) if len(starts) <= block else None
    for part, group in enumerate(np.array_split(starts, parts) if parts > 1 else [starts]):
        if together is not None:
            sums[part] = _summed(together[done : done + len(group)])
            done += len(group)
        else:
            for first in range(0, len(group), block):
                sums[part] += _summed(transformed(group[first : first + block]))
        sums[part] /= len(group)
    return Density(np.fft.fftshift(sums, axes=1), len(starts) // parts, sample_rate / length)


def _summed(spectra: NDArray[Any]) -> _Reals:
    """Return the sums of squared magnitudes over rows, [rows, bins]."""
    native = kernels()
    if native is not None and native.has_emissions and spectra.dtype == np.complex64:
        return native.summed_powers(spectra)
    return np.asarray(
        np.sum(spectra.real.astype(np.float64) ** 2 + spectra.imag.astype(np.float64) ** 2, axis=0)
    )


def find_signals(
    samples: NDArray[np.complex64],
    sample_rate: float,
    search: tuple[float, float] = (-math.inf, math.inf),
    bursts: bool = True,
) -> list[BandSignal]:
    """Return the signals in a band, strongest first; an empty list if there is only noise.

    A narrow line at 0 Hz, which receivers make, is left out. A flat floor that falls off at both edges of the band is
    the noise of a receiver, not a signal. A signal that fills the band is one signal as wide as the band.

    Args:
        samples: complex [N], 64 or more; samples that are not finite count as zeros.
        sample_rate: samples a second.
        search: lowest and highest frequency that a signal's middle may have, Hz from the middle of the band.
        bursts: eighths of the time are searched as well, which takes most of the time; otherwise only where nothing
            shows in all of it.

    Raises:
        AmrqError: the samples are too few, or the range is empty.

    >>> rng = np.random.default_rng(1)
    >>> noise = rng.normal(size=(2, 65_536)) * 0.1
    >>> tone = np.exp(2j * np.pi * 0.1 * np.arange(65_536))
    >>> [found] = find_signals((tone + noise[0] + 1j * noise[1]).astype(np.complex64), sample_rate=100e3)
    >>> round(found.centre / 1e3, 1), round(found.power_db)
    (10.0, 0)
    """
    if len(samples) < _LEAST_SAMPLES:
        raise AmrqError(
            f"signals cannot be found in {len(samples)} samples: at least {_LEAST_SAMPLES} are needed."
        )
    if not search[0] < search[1]:
        raise AmrqError(
            f"no signal lies between {engineering(search[0], 'Hz')} and {engineering(search[1], 'Hz')}: "
            "the lowest frequency must be below the highest."
        )
    length = 1 << max(0, math.floor(math.log2(2 * len(samples) / (_SPECTRA + 1))))
    length = min(max(length, _SMALLEST), _LARGEST, 1 << (len(samples).bit_length() - 1))
    density = power_density(samples, sample_rate, length, _PARTS)
    parts = _without_middle_line(density.parts)
    if not parts.sum() > 0:
        return []
    profile, spectra = parts.mean(axis=0), density.spectra * len(parts)
    floor = _refined_floor(profile, _noise_floor(profile, spectra), spectra)
    found: list[tuple[int, int, float]] = []
    for chosen in [
        np.arange(len(parts)),
        *(np.array([part]) for part in range(len(parts)) if len(parts) > 1),
    ]:
        if found and not bursts:
            break
        profile = parts[chosen].mean(axis=0)
        for low, high, level in _boxes_in_noise(profile, floor, density.spectra * len(chosen)):
            if not any(low < other[1] and other[0] < high for other in found):
                found.append((low, high, level))
    signals = _without_splatter(
        [_signal(parts, level, low, high, density.step) for low, high, level in found]
    )
    kept = [signal for signal in signals if search[0] <= signal.centre <= search[1]]
    return sorted(kept, key=lambda signal: -signal.power_db)


def _without_middle_line(parts: _Reals) -> _Reals:
    """Return the spectra with a straight line in place of a narrow line at 0 Hz."""
    bins = parts.shape[1]
    if bins < 64:
        return parts
    middle, half = bins // 2, 3
    mean = parts.mean(axis=0)
    around = max(
        float(mean[middle - half - 4 : middle - half].mean()),
        float(mean[middle + half + 1 : middle + half + 5].mean()),
    )
    if mean[middle - 1 : middle + 2].mean() < 3 * around:
        return parts
    parts = parts.copy()
    for row in parts:
        left, right = (
            row[middle - half - 4 : middle - half].mean(),
            row[middle + half + 1 : middle + half + 5].mean(),
        )
        row[middle - half : middle + half + 1] = np.linspace(left, right, 2 * half + 1)
    return parts


def _smooth(values: _Reals, width: int) -> _Reals:
    """Return the means over `width` bins; the band is taken as a circle."""
    if width <= 1:
        return values
    left = width // 2
    padded = np.concatenate([values[-left:], values, values[: width - left]])
    sums = np.concatenate([[0.0], np.cumsum(padded)])
    return (sums[width:] - sums[:-width])[: len(values)] / width


def _noise_floor(profile: _Reals, spectra: int) -> float:
    """Return the noise power a bin.

    A low quantile of the smoothed spectrum, corrected for what it is below the mean in noise. If the band is flat over
    what a radio's filter passes, all of that is noise.
    """
    bins = len(profile)
    width = max(1, bins // 64)
    smooth = _smooth(profile, width)
    place = np.abs(np.arange(bins) - bins // 2) / bins
    spread = 1 / math.sqrt(_independent(spectra, width))
    inside = smooth[place < 0.36]
    if inside.max() < float(np.median(inside)) * (1.5 + 4 * spread) and inside.min() > float(
        np.median(inside)
    ) * max(0.1, 0.7 - 4 * spread):
        return float(profile[place < 0.36].mean())
    low = quantile(smooth[place < 0.5], _FLOOR_SHARE / 2)
    plain = quantile(smooth[place < _EDGE], _FLOOR_SHARE)
    # Without a radio's filter both are the same; a signal that fills the middle leaves the floor at the edges.
    floor = plain if low > 0.6 * plain or _is_plateau(smooth, place, plain, low) else low
    return floor / max(0.2, 1 - 1.3 * spread)


def _refined_floor(profile: _Reals, floor: float, spectra: int) -> float:
    """Return the mean over the bins in which nothing is found, if these are enough."""
    bins = len(profile)
    free = np.abs(np.arange(bins) - bins // 2) < _EDGE * bins
    for low, high in _boxes(profile, floor, spectra):
        guard = 2 + (high - low) // 4
        free[max(0, low - guard) : high + guard] = False
    kept = profile[free]
    if len(kept) < max(16, 0.05 * bins):
        return floor
    mean = float(kept.mean())
    return mean if 0.5 * floor < mean < 1.5 * floor else floor


def _is_plateau(smooth: _Reals, place: _Reals, plain: float, low: float) -> bool:
    """Return whether a floor holds over a tenth of the middle of the band, so that what is below is a filter's edge."""
    level = smooth[place < _EDGE]
    return bool(np.mean(level < 1.3 * plain) > 1.5 * _FLOOR_SHARE)


def _independent(spectra: int, width: int = 1) -> float:
    """Return how many independent powers a mean over spectra and neighbouring bins is worth.

    With Hann's window, bins beside each other are correlated by 4/9 and stretches that overlap by half by 1/36.
    """
    return max(1.0, 0.95 * spectra) * width / (1 + 0.94 * (1 - 1 / width))


@lru_cache(256)
def _highest(shape: float) -> float:
    """Return how high noise comes, over its mean, by a mean over so many independent powers."""
    return float(special.gammainccinv(shape, _FALSE_ALARM)) / shape


def _boxes(profile: _Reals, floor: float, spectra: int) -> list[tuple[int, int]]:
    """Return first bin and end of each signal, side lobes included."""
    bins = len(profile)
    excess = profile - floor
    marked = np.zeros(bins, dtype=bool)
    width, smoothed = 1, {}
    while width <= bins // 8:
        smooth = smoothed[width] = _smooth(excess, width)
        shape = _independent(spectra, width)
        limit = floor * (_highest(shape) - 1)
        significant = smooth > limit
        if width > 1:  # only what is itself above half of the limit, so that a wide mean does not widen boxes
            significant &= smoothed[max(1, width // 4)] > 0.3 * np.maximum(limit, smooth)
        marked |= significant
        width *= 2
    marked = _closed(marked, max(1, bins // 2048))
    regions = _regions(marked)
    pieces = [
        piece
        for region in regions
        for piece in _joined(excess, _split(excess, *region, floor, spectra), floor)
    ]
    return _with_lobes(excess, pieces)


def _boxes_in_noise(profile: _Reals, floor: float, spectra: int) -> list[tuple[int, int, float]]:
    """Return first bin, end and noise floor of each signal.

    What a narrow filter passed, as in a receiver's audio, is noise with a signal in it: a box with a flat part on both
    sides of what is strongest has a floor of its own.
    """
    found = []
    for low, high in _boxes(profile, floor, spectra):
        inner = _inner_floor(profile[low:high], floor)
        if inner is None:
            found.append((low, high, floor))
            continue
        alone = np.full(len(profile), inner)
        fall = (high - low) // 24  # where the filter falls off
        alone[low + fall : high - fall] = profile[low + fall : high - fall]
        inside = _boxes(alone, inner, spectra)
        # Many in one filter are the lines of repeated data.
        found += (
            [(*box, inner) for box in inside] if 0 < len(inside) <= _MOST_INSIDE else [(low, high, floor)]
        )
    return found


def _inner_floor(part: _Reals, floor: float) -> float | None:
    """Return the level of the flat parts to both sides of what is strongest in a box; None if there are none."""
    size = len(part)
    if size < 48:
        return None
    level = _smooth(np.concatenate([part, part]), max(1, size // 32))[:size]
    height = float(ndimage.median_filter(level, max(3, size // 12)).max())  # without narrow lines
    if height < _INNER * floor:
        return None
    low = np.sort(level[(level < 0.4 * height) & (level > max(4 * floor, 0.003 * height))])
    if len(low) < _FLAT_SHARE * size:
        return None
    # The level that most of the low bins have, to 1 dB on either side.
    counts = np.searchsorted(low, low * 1.6) - np.arange(len(low))
    most = int(np.argmax(counts))
    if counts[most] < _FLAT_SHARE * size:
        return None
    value = float(np.mean(low[most : most + int(counts[most])]))
    if value > _INNER_LEVEL * height:
        return None
    flat = (level > 0.7 * value) & (level < 1.5 * value)
    runs = []
    for side in (flat, flat[::-1]):  # from either edge inwards, without where the filter falls off
        begin = int(np.argmax(side))
        runs.append(int(np.argmin(np.append(side[begin:], False))) if begin < size // 6 else 0)
    return value if min(runs) > 0.3 * _FLAT_SHARE * size and sum(runs) > _FLAT_SHARE * size else None


def _closed(marked: NDArray[np.bool_], gap: int) -> NDArray[np.bool_]:
    """Return the marks with gaps of up to `gap` bins filled."""
    marked = marked.copy()
    places = np.flatnonzero(marked)
    for left, right in itertools.pairwise(places):
        if 1 < right - left <= gap + 1:
            marked[left:right] = True
    return marked


def _regions(marked: NDArray[np.bool_]) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], marked.astype(np.int8), [0]])))
    return [(int(low), int(high)) for low, high in zip(edges[::2], edges[1::2], strict=True)]


def _split(excess: _Reals, low: int, high: int, floor: float, spectra: int) -> list[tuple[int, int]]:
    """Return the parts of a region between which the spectrum falls almost to the floor."""
    size = high - low
    if size < 12:
        return [(low, high)]
    for width in sorted({max(1, size // 24), max(1, size // 96)}):
        level = _smooth(excess, width)[low:high]
        left = np.maximum.accumulate(level)
        right = np.maximum.accumulate(level[::-1])[::-1]
        lower = np.minimum(left, right)
        # At the edges of the region there is nothing on one side to be split off; and noise has valleys.
        noise = (np.maximum(level, 0) + floor + _VALLEY * lower) / math.sqrt(_independent(spectra, width))
        deep = (lower > _LEAST_HEIGHT * level.max()) & (lower - level > _VALLEY_DEVIATIONS * noise)
        depth = np.where(deep, np.maximum(level, 0) / np.maximum(lower, 1e-300), 1.0)
        place = int(np.argmin(depth))
        if depth[place] < _VALLEY and 0 < place < size - 1:
            parts = (low, low + place), (low + place, high)
            return [piece for part in parts for piece in _split(excess, *part, floor, spectra)]
    return [(low, high)]


def _joined(excess: _Reals, pieces: list[tuple[int, int]], floor: float) -> list[tuple[int, int]]:
    """Return pieces that touch, joined where one is a line on the pedestal of a signal, as repeated data makes."""
    filled = []
    for low, high in pieces:
        part = _smooth(excess[low:high], max(1, (high - low) // 48))
        filled.append(float(np.mean(part > 0.25 * part.max())))
    joined = pieces[:1]
    for index in range(1, len(pieces)):
        low = pieces[index][0]
        between = float(excess[max(0, low - 2) : low + 2].mean())
        if min(filled[index - 1], filled[index]) < _FILLED and between > floor:
            joined[-1] = joined[-1][0], pieces[index][1]
        else:
            joined.append(pieces[index])
    return joined


def _with_lobes(excess: _Reals, pieces: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the pieces with side lobes joined to the signal in their middle: strongest signals first.

    A lobe is much lower than the signal, close to it, no wider, and mirrored on the other side, unless something
    stronger covers that place.
    """
    heights = [float(_smooth(excess[low:high], max(1, (high - low) // 8)).max()) for low, high in pieces]
    owner = np.full(len(excess), -1)
    for index, (low, high) in enumerate(pieces):
        owner[low:high] = index
    free = set(range(len(pieces)))
    boxes = []
    for main in sorted(range(len(pieces)), key=lambda index: -heights[index]):
        if main not in free:
            continue
        free.discard(main)
        low, high = pieces[main]
        middle, width = _middle(excess, low, high), high - low

        def is_lobe(
            other: int, gap: int, main: int = main, middle: float = middle, width: int = width
        ) -> bool:
            if other not in free or heights[other] > _LOBE * heights[main] or gap > _LOBE_GAP * width + 2:
                return False
            first, last = round(2 * middle - pieces[other][1]), round(2 * middle - pieces[other][0])
            if (
                pieces[other][1] - pieces[other][0] > width
                or first < 0
                or last > len(excess)
                or last <= first
            ):
                return False
            there = owner[first:last]
            covered = any(
                heights[index] > 2 * heights[other] and index != main for index in set(there[there >= 0])
            )
            return covered or float(excess[first:last].mean()) > 0.4 * float(
                excess[pieces[other][0] : pieces[other][1]].mean()
            )

        left, right = main - 1, main + 1
        while left >= 0 and is_lobe(left, low - pieces[left][1]):
            low = pieces[left][0]
            free.discard(left)
            left -= 1
        while right < len(pieces) and is_lobe(right, pieces[right][0] - high):
            high = pieces[right][1]
            free.discard(right)
            right += 1
        boxes.append((low, high))
    return boxes


def _middle(excess: _Reals, low: int, high: int) -> float:
    """Return the middle about which the spectrum between two bins is most symmetric, in bins."""
    level = np.maximum(excess[low:high], 0)
    size = high - low
    if size < 8:
        total = float(level.sum())
        return low + float(np.sum((np.arange(size) + 0.5) * level)) / total if total > 0 else (low + high) / 2
    # Where there is power counts more than how much: an echo leaves the edges in their places.
    level = level / (level + max(_EVEN * float(_smooth(level, max(1, size // 16)).max()), 1e-300))
    level = _smooth(np.concatenate([np.zeros(size), level, np.zeros(size)]), max(1, size // 32))[
        size // 2 : -(size // 2)
    ]
    own = fft.next_fast_len(2 * len(level))
    found = fft.irfft(fft.rfft(level, own) ** 2, own)
    peak = int(np.argmax(found))
    around = found[(peak + np.arange(-1, 2)) % own]
    bend = around[0] - 2 * around[1] + around[2]
    shift = 0.5 * (around[0] - around[2]) / bend if bend < 0 else 0.0
    return low - (size - size // 2) + (peak + shift) / 2 + 0.5


def _signal(parts: _Reals, floor: float, low: int, high: int, step: float) -> BandSignal:
    """Return the signal of a box, measured over the parts of the time in which it is on."""
    bins = parts.shape[1]
    powers = parts[:, low:high].sum(axis=1) - floor * (high - low)
    on = powers >= 0.5 * powers.max() if powers.max() > 0 else powers == powers.max()
    excess = parts[on].mean(axis=0) - floor
    inside = excess[low:high]
    sums = np.concatenate([[0.0], np.cumsum(inside)])
    power = float(sums[-1])
    if high - low >= bins - 2:
        edges = np.array([0.0, high - low])
    else:
        rising = np.maximum.accumulate(np.clip(sums, 0, power))
        edges = np.interp(
            [power * (1 - _SHARE) / 2, power * (1 + _SHARE) / 2],
            rising + 1e-12 * power * np.arange(len(rising)),
            np.arange(len(rising)),
        )
    middle = _middle(excess, low, high) if high - low < bins - 2 else bins // 2 + 0.5
    width = max(1.0, float(edges[1] - edges[0]))
    noise = floor * width
    snr = 10 * math.log10(max(power / noise, 1e-30)) if noise > 0 else math.inf
    return BandSignal(
        centre=float((middle - 0.5 - bins // 2) * step),
        bandwidth=width * step,
        snr_db=snr,
        power_db=10 * math.log10(max(power, 1e-300)),
    )


def _without_splatter(signals: list[BandSignal]) -> list[BandSignal]:
    """Return the signals without what a stronger one leaves beside itself."""
    return [
        signal
        for signal in signals
        if not any(
            signal.power_db < other.power_db - _SPLATTER_DB
            and abs(signal.centre - other.centre) < 2.5 * other.bandwidth
            for other in signals
        )
    ]
