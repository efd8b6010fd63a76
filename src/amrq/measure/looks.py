# SPDX-License-Identifier: GPL-3.0-or-later
"""What measures by family share: checked arguments, the band of an emission alone, its noise, lines, confidence.

All of them look at the I/Q of one emission about 0 Hz, at some samples a bandwidth. What lies beside the emission is
taken off first; how dense the noise is shows there, too.
"""

import math
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from amrq import transforms as fft
from amrq.chunks import finite_samples
from amrq.errors import AmrqError
from amrq.native import kernels
from amrq.text import engineering

__all__ = [
    "Band",
    "band_alone",
    "checked_look",
    "hann",
    "hann_single",
    "largest_squares",
    "line_place",
    "logistic",
    "median",
    "noise_beside",
    "occupied_width",
    "powers",
    "quantile",
    "row_medians",
    "select_channel",
    "sliding_medians",
    "squares",
    "straight_line",
    "turned",
]

_BESIDE = 0.62, 0.9
"""Of the bandwidth, from 0 Hz: where noise alone is looked for. The channel's filter falls at 0.9."""
_LEAST_BESIDE = 16
"""Bins: fewer say nothing of the noise."""
_QUIETER = 0.35
"""Of the bins beside an emission: this quantile is noise where a neighbour fills less than half of them."""
_STEPS = 96
"""Over a bandwidth, in which the shape of its spectrum is looked at."""
_GAP = 8
"""Of these steps: gaps within a spectrum are no wider."""

_FEW_TURNS = 64
"""Of a window, by which and by whose multiples all others are made."""
_MANY = 300
"""Values of which the compiled kernels find one of an order sooner than NumPy."""
_TAPER = 0.15  # of the bandwidth, on either side of a selected channel

_Samples = NDArray[np.complex64]
_Reals = NDArray[np.float64]


class Band(NamedTuple):
    """An emission's band alone.

    Attributes:
        iq: complex64 [n], the band at a rate of its own.
        rate: samples a second.
        width: of the emission, Hz.
        spectrum: |transform|^2 of all the samples, at their own rate.
        bins: Hz from one value of the spectrum to the next.
        noise: mean of the spectrum where there is noise alone; 0 where it is not seen.
        share: of the band's power that is noise, 0 to 1.
    """

    iq: _Samples
    rate: float
    width: float
    spectrum: NDArray[np.float32]
    bins: float
    noise: float
    share: float

    @property
    def scale(self) -> float:
        """Samples in one over the bandwidth."""
        return self.rate / self.width


def checked_look(iq: _Samples, sample_rate: float, bandwidth: float | None) -> tuple[_Samples, float]:
    """Return samples without what is not finite, and a bandwidth.

    Args:
        iq: complex [N].
        sample_rate: samples a second.
        bandwidth: Hz; None, or what is none: 0.8 of the sample rate.

    Raises:
        AmrqError: the sample rate is not above 0.

    >>> checked_look(np.ones(4, np.complex64), 10.0, None)[1]
    8.0
    """
    if not 0 < sample_rate < math.inf:
        raise AmrqError(f"the sample rate must be above 0 Hz, not {sample_rate:g}.")
    width = bandwidth if bandwidth is not None and 0 < bandwidth < math.inf else 0.8 * sample_rate
    return finite_samples(iq), min(width, sample_rate)


def squares(values: NDArray[np.complex64] | NDArray[np.complex128]) -> NDArray[np.float32]:
    """Return squared magnitudes, in single precision."""
    native = kernels() if values.dtype == np.complex64 else None
    if native is not None and native.has_emissions:
        return native.squares(np.asarray(values, np.complex64))
    return np.asarray(values.real * values.real + values.imag * values.imag, dtype=np.float32)


def powers(values: NDArray[np.complex64] | NDArray[np.complex128]) -> NDArray[np.float64]:
    """Return squared magnitudes, float64: of complex64 those in single precision.

    >>> powers(np.array([3 + 4j])).tolist()
    [25.0]
    """
    if values.dtype == np.complex64:
        return squares(values).astype(np.float64)
    return np.asarray(values.real * values.real + values.imag * values.imag)


def largest_squares(values: NDArray[np.complex64]) -> NDArray[np.float32]:
    """Return the largest squared magnitude of each row, in single precision.

    >>> largest_squares(np.array([[1, 2j], [3, 0]], np.complex64)).tolist()
    [4.0, 9.0]
    """
    native = kernels()
    if native is not None and native.has_emissions and values.dtype == np.complex64:
        return native.largest_squares(values)
    return np.asarray(squares(values).max(axis=1))


def row_tops(spectra: NDArray[np.complex64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return where each row of spectra is highest, by a parabola through the logarithms about its bin, and its square.

    Args:
        spectra: complex64 [rows, n], n at least 1.

    Returns:
        Place between bins, from -0.5 to n - 0.5, and squared magnitude of the bin, float64 [rows] each.

    >>> place, power = row_tops(np.array([[1, 8, 8, 1]], np.complex64))
    >>> place.tolist(), power.tolist()
    ([1.5], [64.0])
    """
    native = kernels()
    if native is not None and native.has_row_tops:
        places, powers = native.row_tops(spectra)
        return places, powers.astype(np.float64)
    power, size = squares(spectra), spectra.shape[1]
    top, rows = np.argmax(power, axis=1), np.arange(len(spectra))
    left, here, right = (np.log(power[rows, (top + away) % size] + 1e-30) for away in (-1, 0, 1))
    bend = np.minimum(left - 2 * here + right, -1e-9)
    place = top + np.clip(0.5 * (left - right) / bend, -0.5, 0.5)
    return place.astype(np.float64), power[rows, top].astype(np.float64)


def turned(samples: _Samples, cycles: float) -> _Samples:
    """Return samples moved in frequency: each times exp(2 pi i cycles n), n its number.

    Args:
        samples: complex64 [n].
        cycles: a sample.

    >>> bool(np.allclose(turned(np.ones(4, np.complex64), 0.25), [1, 1j, -1, -1j], atol=1e-6))
    True
    """
    native = kernels()
    if native is not None and native.has_emissions and samples.dtype == np.complex64:
        return native.moved(samples, cycles)
    turn = np.exp(2j * np.pi * cycles * np.arange(len(samples)))
    return np.asarray(samples * turn, dtype=np.complex64)


def select_channel(
    samples: NDArray[np.complex64], sample_rate: float, centre: float, bandwidth: float
) -> tuple[NDArray[np.complex64], float]:
    """Return a part of the band as samples of its own, shifted to 0 Hz, and their sample rate.

    The filter is flat over the bandwidth and falls off as a raised cosine over 15 % of it on either side. The sample
    rate is at least twice the bandwidth, or the given one if that is less.

    Args:
        samples: complex [N].
        sample_rate: samples a second.
        centre: of the channel, Hz from the middle of the band.
        bandwidth: of the channel, Hz, above 0.

    Raises:
        AmrqError: the channel is outside the band or has no bandwidth.

    >>> tone = np.exp(2j * np.pi * 0.26 * np.arange(1000)).astype(np.complex64)
    >>> channel, rate = select_channel(tone, 100e3, centre=25e3, bandwidth=5e3)
    >>> rate, len(channel)
    (10000.0, 100)
    """
    if not (bandwidth > 0 and abs(centre) < sample_rate / 2):
        raise AmrqError(
            f"a channel of {engineering(bandwidth, 'Hz')} at {engineering(centre, 'Hz')} does not lie in a band of "
            f"{engineering(sample_rate, 'Hz')}."
        )
    count = len(samples)
    spectrum = fft.fft(np.asarray(samples, dtype=np.complex64))
    middle = round(centre / sample_rate * count)
    kept = min(count, fft.next_fast_len(max(2, math.ceil(2 * bandwidth / sample_rate * count))))
    away = np.arange(kept) - kept // 2
    part = spectrum[(middle + away) % count] * np.float32(kept / count)
    # The filter is 1 up to where it falls; below 0 Hz there are as many bins as above, or one more.
    half, falls = kept // 2, min(kept // 2, int(bandwidth / 2 / sample_rate * count))
    hertz = np.arange(falls, half + 1) * (sample_rate / count)
    fall = np.clip((hertz - bandwidth / 2) / (_TAPER * bandwidth), 0, 1)
    gain = (0.5 + 0.5 * np.cos(np.pi * fall)).astype(np.float32)
    part[half + falls :] *= gain[: kept - half - falls]
    part[: half - falls + 1] *= gain[::-1]
    channel = fft.ifft(np.fft.ifftshift(part))
    rate = sample_rate * kept / count
    rest = centre - middle * sample_rate / count
    return np.asarray(turned(channel, -rest / rate) if rest else channel, dtype=np.complex64), rate


def band_alone(
    iq: _Samples, sample_rate: float, width: float, wider: float, oversampled: float = 1.0
) -> Band:
    """Return the middle of a band, with hard edges, at a rate that holds it.

    Args:
        iq: complex64 [N], finite; its power is made 1 first.
        sample_rate: samples a second.
        width: of the emission, Hz, at most the sample rate.
        wider: what is kept, over the width.
        oversampled: rate that is returned, at least, over what is kept; never above the sample rate.

    >>> tone = np.exp(0.5j * np.arange(1000)).astype(np.complex64)
    >>> band = band_alone(tone, 1000.0, 200.0, wider=1.5)
    >>> len(band.iq), band.rate, round(float(np.abs(band.iq).mean()), 1)
    (300, 300.0, 1.0)
    """
    count = len(iq)
    loudest = float(np.abs(iq).max()) if count else 0.0
    if loudest > 0:
        iq = iq / np.float32(loudest)
        iq = iq / np.sqrt(np.mean(squares(iq)))
    transform = fft.fft(iq)
    kept = min(count, 2 * math.ceil(wider * width / sample_rate * count / 2))
    most = min(oversampled * kept, count)
    size = int(fft.next_fast_len(max(kept, math.ceil(most))))
    chosen = np.zeros(size, dtype=np.complex64)
    half = kept // 2
    chosen[:half] = transform[:half]
    chosen[size - half :] = transform[count - half :]
    chosen *= np.float32(size / count)
    spectrum = squares(transform)
    bins = sample_rate / count
    noise = noise_beside(spectrum, bins, width)
    inside = float(spectrum[:half].sum() + spectrum[count - half :].sum())
    share = min(1.0, noise * 2 * half / inside) if inside > 0 else 1.0
    return Band(fft.ifft(chosen), sample_rate * size / count, width, spectrum, bins, noise, share)


def quantile(values: NDArray[np.float32] | NDArray[np.float64], share: float) -> float:
    """Return the value that a share of values is below, as `np.quantile`, which takes several times as long.

    Args:
        values: real [n], n at least 1, finite.
        share: 0 to 1.

    >>> quantile(np.array([4.0, 1.0, 2.0, 3.0]), 0.5)
    2.5
    """
    place = share * (len(values) - 1)
    low = int(place)
    native = kernels() if len(values) >= _MANY else None
    if native is not None and native.has_orders:
        (first, following) = native.ordered(values[None], low)[0].tolist()
        return first if place == low else first + (following - first) * (place - low)
    ordered = np.partition(values, low)
    first = float(ordered[low])
    return first if place == low else first + (float(ordered[low + 1 :].min()) - first) * (place - low)


def median(values: NDArray[np.float32] | NDArray[np.float64]) -> float:
    """Return the median of real [n], n at least 1, finite.

    >>> median(np.array([3.0, 1.0, 2.0])), median(np.array([4.0, 1.0, 2.0, 3.0]))
    (2.0, 2.5)
    """
    return quantile(values, 0.5)


def row_medians(rows: NDArray[np.float32] | NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the median of each row, float64 [n], which NumPy gives in twice the time.

    Args:
        rows: real [n, k], k at least 1, finite.

    >>> row_medians(np.array([[3.0, 1.0, 2.0, 6.0], [4.0, 1.0, 2.0, 3.0]])).tolist()
    [2.5, 2.5]
    """
    half = rows.shape[1] // 2
    native = kernels() if rows.size >= _MANY else None
    if native is not None and native.has_orders:
        if rows.shape[1] % 2:
            return np.asarray(native.ordered(rows, half)[:, 0], np.float64)
        both = native.ordered(rows, half - 1)
        return np.asarray((both[:, 0] + both[:, 1].astype(np.float64)) / 2)
    ordered = np.partition(rows, half, axis=1)
    upper = ordered[:, half].astype(np.float64)
    return upper if rows.shape[1] % 2 else (ordered[:, :half].max(axis=1) + upper) / 2


def sliding_medians(values: _Reals, width: int, step: int = 1) -> _Reals:
    """Return the medians of windows over values, the first ones at 0, `step` and twice that.

    Args:
        values: float64 [n], finite and not negative.
        width: values of a window, 1 to n.
        step: values from one window to the next, at least 1.

    >>> sliding_medians(np.array([3.0, 1.0, 2.0, 6.0, 5.0]), width=3, step=2).tolist()
    [2.0, 5.0]
    """
    native = kernels()
    if native is None or not native.has_sliding_orders or width > native.most_wide:
        return row_medians(np.lib.stride_tricks.sliding_window_view(values, width)[::step])
    both = native.sliding_ordered(values, width, step, (width - 1) // 2)
    return np.asarray(both[:, 0] if width % 2 else (both[:, 0] + both[:, 1]) / 2)


@lru_cache(maxsize=128)
def hann(count: int) -> NDArray[np.float64]:
    """Return Hann's window, float64 [count], which is not to be written to: measures of a look share it."""
    if count < 2:
        return _kept(np.hanning(count))
    # The same from both ends; and cosines, which take time, are products of a few.
    half = count - count // 2
    few, many = np.arange(_FEW_TURNS), np.arange(-(-half // _FEW_TURNS)) * _FEW_TURNS
    near, far = (np.exp(2j * np.pi / (count - 1) * places) for places in (few, many))
    cosines = np.outer(far.real, near.real) - np.outer(far.imag, near.imag)
    rising = 0.5 - 0.5 * cosines.ravel()[:half]
    return _kept(np.concatenate([rising, rising[: count // 2][::-1]]))


@lru_cache(maxsize=512)  # lengths: emissions of a band have hundreds
def hann_single(count: int) -> NDArray[np.float32]:
    """Return Hann's window in single precision, float32 [count], which is not to be written to."""
    return _kept(hann(count).astype(np.float32))


def _kept(window: NDArray[Any]) -> NDArray[Any]:
    window.setflags(write=False)
    return window


def straight_line(places: NDArray[np.float64], values: NDArray[np.float64]) -> tuple[float, float]:
    """Return slope and start of the straight line that is nearest to values (least squares).

    Args:
        places: float64 [n], not all the same.
        values: float64 [n], at these places.

    >>> straight_line(np.array([0.0, 1.0, 2.0]), np.array([1.0, 3.0, 5.0]))
    (2.0, 1.0)
    """
    middle, mean = float(places.mean()), float(values.mean())
    away = places - middle
    slope = float(away @ values) / float(away @ away)
    return slope, mean - slope * middle


def noise_beside(spectrum: NDArray[np.float32], bins: float, width: float) -> float:
    """Return the mean of a spectrum beside a band, the quieter side of it; 0 where there is too little beside it.

    >>> noise_beside(np.ones(100, np.float32), 1.0, 40.0) < 2.4
    True
    """
    first, last = (round(edge * width / bins) for edge in _BESIDE)
    last = min(last, len(spectrum) // 2)
    if last - first < _LEAST_BESIDE:
        return 0.0
    sides = spectrum[first:last], spectrum[len(spectrum) - last : len(spectrum) - first]
    # The quantile q of a squared magnitude in noise is -ln(1 - q) of its mean.
    return min(quantile(side, _QUIETER) for side in sides) / -math.log(1 - _QUIETER)


def occupied_width(band: Band, level: float = 0.25) -> tuple[float, float]:
    """Return the edges, Hz, between which a spectrum less its noise exceeds a share of its median within the band.

    >>> rng = np.random.default_rng(1)
    >>> noise = (rng.normal(size=(4096, 2)) @ [1, 1j]).astype(np.complex64)
    >>> flat = band_alone(noise, 1000.0, 500.0, wider=1.0, oversampled=2.0)
    >>> low, high = occupied_width(band_alone(flat.iq, flat.rate, 520.0, wider=1.2))
    >>> abs(high - low - 500) < 20
    True
    """
    half = len(band.spectrum) // 2
    step = max(1, round(band.width / band.bins / _STEPS))
    reach = min(half // step, round(0.85 * band.width / band.bins / step))
    parts = np.concatenate([band.spectrum[-reach * step :], band.spectrum[: reach * step]])
    steps = parts.reshape(2 * reach, step).mean(axis=1)
    smooth = np.convolve(np.pad(steps, 1, mode="edge"), np.full(3, 1 / 3), "valid") - band.noise
    middle = smooth[reach - reach // 2 : reach + reach // 2]
    on = smooth > level * median(middle) if len(middle) else np.zeros(0, np.bool_)
    if not on.any():
        return -band.width / 2, band.width / 2
    # From the middle outwards, over short gaps: what lies further away is another emission.
    low = high = reach
    for place in range(reach, 2 * reach):
        high = place + 1 if on[place] and place - high <= _GAP else high
    for place in range(reach - 1, -1, -1):
        low = place if on[place] and low - place - 1 <= _GAP else low
    unit = step * band.bins
    return (low - reach) * unit, (high - reach) * unit


def line_place(values: NDArray[np.float32] | NDArray[np.float64], top: int) -> float:
    """Return where a line between bins is highest, by a parabola through the logarithms about its highest bin.

    >>> line_place(np.array([1.0, 8.0, 8.0, 1.0]), 1)
    1.5
    """
    left, here, right = (math.log(float(values[(top + step) % len(values)]) + 1e-300) for step in (-1, 0, 1))
    bend = left - 2 * here + right
    return top + (max(-0.5, min(0.5, 0.5 * (left - right) / bend)) if bend < 0 else 0.0)


def logistic(worth: float) -> float:
    """Return a probability from the logarithm of its odds.

    >>> logistic(0.0), logistic(1e9)
    (0.5, 1.0)
    """
    return 1 / (1 + math.exp(-max(-50.0, min(50.0, worth))))
