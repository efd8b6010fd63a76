# SPDX-License-Identifier: GPL-3.0-or-later
"""The occupied bandwidth of a signal in noise, from its averaged spectrum.

The noise is taken off, neighbours and shelves of noise are known, tails fall to either side. What is left holds the
power, and the edges leave out half a percent of it each.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from amrq import transforms as fft
from amrq.measure.band import Density, power_density, power_window
from amrq.measure.looks import median
from amrq.native import kernels

__all__ = ["SHARE", "WINDOW", "OccupiedBand", "occupied_band", "spectrum_length"]

WINDOW = 0.85
"""Of the bandwidth, from its middle: what is further away does not belong to the emission."""
_OWN, _RISE = 0.6, 4.0
"""Of the bandwidth, from its middle: further away, what rises so many times is a neighbour."""
_CORE = 0.25
"""Of the greatest density: the tails of the spectrum begin outside of what is above."""
_BINS = 128
"""In the bandwidth, where the samples are enough."""
_SPECTRA = 12  # at least, of fewer bins
_AT_ONCE = 1 << 18
"""Samples of stretches that are transformed together, at most."""
SHARE = 0.99  # of the power that the bandwidth holds
_INSIDE = (0.005, 0.01, 0.02)
"""Shares of the power that the occupied bandwidth, and two narrower ones, leave out on either side."""
_SKEW = 0.04
"""Of the bandwidth: where the middles of these differ by less, and by no more than noise makes them, their mean is the
middle: it scatters less."""
_DOUBT = 0.05
"""Of the noise density: so far it may be from what it is taken for."""
_SHELF = (0.6, 0.7), (0.8, 0.9)
"""Of the bandwidth, from its middle: where a shelf of noise is looked for."""
_SHELF_LEAST, _SHELF_FLAT = 0.1, 0.7
"""Of the noise density: a shelf is more; its outer half has so much of the inner half's density."""
_BEYOND = 1.0, 1.4
"""Of the bandwidth, from its middle: there noise alone is expected."""
_LINE_BINS = 3
"""On either side of the bin of a line: what the window spreads."""
_CARRIER, _SIDEBAND, _EVEN = 0.62, 0.002, 2.0
"""Of the power that is in the carrier of amplitude modulation, and in each sideband, at least; one of these has at most
so many times the other's power. A full tone leaves 2/3 to the carrier, voices and keying by half of the time more."""
_AUDIO = (0.01, 0.02, 0.04)
"""The same of sidebands beside a carrier, whose ends are weaker."""
_CLEAR = 2.0
"""Standard deviations that a tail stands out of the noise, or it does not count."""

_Samples = NDArray[np.complex64]
_Reals = NDArray[np.float64]


@dataclass(frozen=True)
class OccupiedBand:
    """Edges of an emission, and the noise there.

    Attributes:
        lower: Hz.
        upper: Hz.
        noise: power a Hz.
    """

    lower: float
    upper: float
    noise: float

    @property
    def centre(self) -> float:
        """Middle between the edges, Hz."""
        return (self.lower + self.upper) / 2

    @property
    def width(self) -> float:
        """From edge to edge, Hz."""
        return self.upper - self.lower


def spectrum_length(count: int, sample_rate: float, width: float) -> int:
    """Return how many samples a spectrum is made of, so that enough bins are in a width, and spectra are enough."""
    wanted = _BINS * sample_rate / width
    most = 2 * count / (_SPECTRA + 1)
    return 1 << max(4, min(math.ceil(math.log2(wanted)), math.floor(math.log2(max(16.0, most)))))


def occupied_band(
    pieces: list[_Samples], sample_rate: float, band: OccupiedBand
) -> tuple[OccupiedBand | None, float]:
    """Return the occupied bandwidth of a signal and its power; None where it does not stand out of the noise."""
    longest = max(map(len, pieces))
    length = min(spectrum_length(longest, sample_rate, band.width), 1 << (longest.bit_length() - 1))
    long = [piece for piece in pieces if len(piece) >= length]
    density = _density(long, sample_rate, length)
    step = sample_rate / length
    frequencies = np.asarray((np.arange(length) - length // 2) * step, dtype=np.float64)
    mean, free = density.parts[0], max(1.0, 0.95 * density.spectra)
    noise, doubt = _noise_about(mean, (frequencies - band.centre) / band.width, band.noise * step, free)
    near = np.abs(frequencies - band.centre) <= WINDOW * band.width + step
    near &= np.abs(frequencies) <= sample_rate / 2
    excess = mean[near] - noise
    if len(excess) < 2 or not excess.sum() > 0:
        return None, 0.0
    deviation = noise / math.sqrt(free)
    outside = np.abs(frequencies[near] - band.centre) > _OWN * band.width
    own = _without_neighbours(excess, outside, deviation)
    total = float(excess[own].sum())
    carrier = _carrier_of_sidebands(excess[own], deviation, doubt)
    if carrier is not None:
        excess[own][max(0, carrier - _LINE_BINS) : carrier + _LINE_BINS + 1] = 0
    excess = _with_falling_tails(excess[own], deviation, doubt)
    power = float(excess.sum())
    if not power > 0:
        return None, 0.0
    cumulated = np.concatenate([[0.0], np.cumsum(excess)]) / power
    borders = frequencies[near][own][0] + (np.arange(len(excess) + 1) - 0.5) * step
    rising = np.maximum.accumulate(cumulated + 1e-12 * np.arange(len(cumulated)))
    inside = _INSIDE if carrier is None else _AUDIO
    quantiles = np.interp([*inside, *(1 - share for share in inside)], rising, borders)
    low, high = quantiles[: len(_INSIDE)], quantiles[len(_INSIDE) :]
    middles, width = (low + high) / 2, float(high[0] - low[0])
    if carrier is not None:
        centre = float(frequencies[near][own][carrier])
        return OccupiedBand(centre - width / 2, centre + width / 2, band.noise), total
    # How far noise in the tails moves the edges: its sum beyond them over the density there.
    slope = (_INSIDE[-1] - _INSIDE[0]) * power / max(float(low[-1] - low[0]), float(high[0] - high[-1]), step)
    beyond = deviation * math.sqrt(max(1.0, (len(excess) - width / step) / 2))
    doubtful = min(_SKEW * width, 2 * beyond / slope)
    even = abs(float(middles[1:].mean() - middles[0])) < doubtful
    centre = float(middles.mean() if even else middles[0])
    return OccupiedBand(centre - width / 2, centre + width / 2, band.noise), power


def _density(pieces: list[NDArray[np.complex64]], sample_rate: float, length: int) -> Density:
    """Return the mean of the spectra of several stretches, each by its length: of many in one go.

    Args:
        pieces: complex64, each at least `length` samples; those that are not finite count as zeros.
        sample_rate: samples a second.
        length: bins of the spectrum.
    """
    if len(pieces) == 1:
        return power_density(pieces[0], sample_rate, length)
    native = kernels()
    counts = np.array([(len(piece) - length) // (length // 2) + 1 for piece in pieces])
    sizes = np.array([len(piece) for piece in pieces])
    if native is None or not native.has_emissions or counts.sum() * length > _AT_ONCE:
        each = [power_density(piece, sample_rate, length) for piece in pieces]
        sums = sum(one.mean * len(piece) for one, piece in zip(each, pieces, strict=True))
        whole = np.asarray(sums / sizes.sum(), np.float64)
        return Density(whole[None], sum(one.spectra for one in each), sample_rate / length)
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    starts = np.repeat(np.cumsum(sizes) - sizes, counts) + within * (length // 2)
    rows = native.windowed(np.concatenate(pieces), starts, power_window(length))
    rows *= np.repeat(np.sqrt(sizes / counts / sizes.sum()), counts).astype(np.float32)[:, None]
    powers = native.summed_powers(fft.fft(rows, axis=1, overwrite_x=True))
    return Density(np.fft.fftshift(powers)[None], int(counts.sum()), sample_rate / length)


def _noise_about(mean: _Reals, offset: _Reals, noise: float, free: float) -> tuple[float, float]:
    """Return the noise in a bin around a signal, and how far it may be from that.

    Noise may be sent along with a signal, or come through the filter of a receiver before ours: a shelf on both sides.
    A shelf is flat where tails of a spectrum fall.

    Args:
        mean: power in each bin.
        offset: from the middle of the signal, in its bandwidths.
        noise: of the band, power in a bin.
        free: as many independent spectra were averaged.
    """
    inner, outer = [_lesser_side(mean, offset, low, high) - noise for low, high in _SHELF]
    deviation = noise / math.sqrt(free * max(1, int(np.count_nonzero(np.abs(offset - 0.65) < 0.05))))
    if min(inner, outer) > _SHELF_LEAST * noise + 4 * deviation and outer > _SHELF_FLAT * inner:
        return noise + (inner + outer) / 2, _DOUBT * noise
    beyond = mean[(np.abs(offset) > _BEYOND[0]) & (np.abs(offset) <= _BEYOND[1])]
    if len(beyond) < 8:
        return noise, _DOUBT * noise
    off = abs(median(beyond) - noise)
    return noise, min(_DOUBT * noise, 2 * max(off, 1.25 * noise / math.sqrt(free * len(beyond))))


def _lesser_side(mean: _Reals, offset: _Reals, low: float, high: float) -> float:
    """Return the mean power of the bins at a distance from the middle, on the side where there is less; 0 for none."""
    sides = (mean[(side > low) & (side <= high)] for side in (offset, -offset))
    return min([float(side.mean()) if len(side) else 0.0 for side in sides])


def _carrier_of_sidebands(excess: _Reals, deviation: float, doubt: float) -> int | None:
    """Return the bin of a carrier between two sidebands, as amplitude modulation has it; None where it is not so.

    Nearly all power may be in the carrier: the bandwidth is that of the sidebands.
    """
    line = int(np.argmax(excess))
    beside = excess[: max(0, line - _LINE_BINS)], excess[line + _LINE_BINS + 1 :]
    room = min(map(len, beside))
    if room < 4 * _LINE_BINS:
        return None
    sides = [float(side.sum()) for side in (beside[0][-room:], beside[1][:room])]
    least = 5 * deviation * math.sqrt(room) + doubt * room
    whole = float(excess.sum())
    if (
        min(sides) < max(least, _SIDEBAND * whole)
        or whole - sum(float(side.sum()) for side in beside) < _CARRIER * whole
    ):
        return None
    return line if max(sides) < _EVEN * min(sides) else None


def _without_neighbours(excess: _Reals, outside: NDArray[np.bool_], deviation: float) -> slice:
    """Return the part of a spectrum that ends where it is lowest before it rises to a neighbour.

    Args:
        excess: power a bin over the noise.
        outside: where a neighbour may be.
        deviation: standard deviation of the noise's power in a bin.
    """
    smooth = np.convolve(excess, [0.25, 0.5, 0.25])[1:-1]
    top = int(np.argmax(np.where(outside, -math.inf, smooth)))
    ends = []
    for side, far in ((smooth[top:], outside[top:]), (smooth[top::-1], outside[top::-1])):
        lowest = np.minimum.accumulate(np.where(far, side, math.inf))
        rising = np.flatnonzero(far & (side > _RISE * np.maximum(lowest, 0) + 8 * deviation))
        ends.append(int(np.argmax(side == lowest[rising[0]])) if len(rising) else len(side) - 1)
    return slice(top - ends[1], top + ends[0] + 1)


def _with_falling_tails(excess: _Reals, deviation: float, doubt: float) -> _Reals:
    """Return a spectrum whose tails fall to either side, as near to the given one as can be, and end in the noise.

    Noise makes a tail jagged; where it is added up, its sum would wander.

    Args:
        excess: power a bin over the noise.
        deviation: standard deviation of the noise's power in a bin.
        doubt: how far its mean may be from what was taken off.
    """
    smooth = np.convolve(excess, [0.25, 0.5, 0.25])[1:-1]
    core = np.flatnonzero(smooth >= _CORE * smooth.max())
    if not len(core):
        return np.zeros_like(excess)
    first, last = int(core[0]), int(core[-1])
    tails = excess[:first][::-1], excess[last + 1 :]
    left_out = (1 - SHARE) / 2 * float(excess.sum())
    # Where noise alone adds up to more than what the bandwidth leaves out, tails end where they do not stand out.
    left, right = (
        _falling(tail, deviation if deviation * math.sqrt(len(tail)) > left_out else 0.0, doubt)
        for tail in tails
    )
    return np.maximum(np.concatenate([left[::-1], excess[first : last + 1], right]), 0)


def _falling(values: _Reals, deviation: float, doubt: float) -> _Reals:
    """Return the nearest values that never rise (isotonic regression: pool adjacent violators).

    From where they no longer stand out of noise of a deviation above 0, they are 0.
    """
    pooled, counts = _pools(values)
    if not deviation:
        return np.repeat(pooled, counts)
    clear = pooled > _CLEAR * deviation / np.sqrt(counts.astype(np.float64)) + doubt
    pooled[~np.logical_and.accumulate(clear)] = 0
    return np.repeat(pooled, counts)


def _pools(values: _Reals) -> tuple[_Reals, NDArray[np.int64]]:
    """Return the nearest values that never rise, as those of runs and how long each is."""
    native = kernels()
    if native is not None and native.has_emissions:
        return native.falling(values)
    means: list[float] = []
    counts: list[int] = []
    for value in values.tolist():
        mean, count = value, 1
        while means and means[-1] < mean:
            former, times = means.pop(), counts.pop()
            mean, count = (mean * count + former * times) / (count + times), count + times
        means.append(mean)
        counts.append(count)
    return np.array(means, dtype=np.float64), np.array(counts, dtype=np.int64)
