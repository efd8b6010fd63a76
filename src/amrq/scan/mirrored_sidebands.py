# SPDX-License-Identifier: GPL-3.0-or-later
"""Sidebands of a carrier: whether what lies on its one side mirrors what lies on the other.

A modulated carrier has two sidebands that are one audio: at each frequency the upper one times the lower one, relative
to the carrier's phase squared, is a positive number in amplitude modulation and a negative one in phase or frequency
modulation with a small index (Carson, Proc. IRE 10, 1922). Of two signals, or of noise, that lie there by chance, it
has any phase, which changes from moment to moment. So a sum over moments and frequencies tells the two apart where each
sideband is below the noise of its bandwidth, too, and joins no neighbours.

`amrq.measure.measure_sidebands` says as much of one look that holds them. Here the detector's box holds the carrier
alone, so moments of a whole recording are summed, and how far the sidebands reach is found with them.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from amrq.chunks import finite_samples

__all__ = ["MirroredSidebands", "mirrored_sidebands"]

_MOMENT, _SHORTEST = 0.05, 0.02
"""Seconds that are transformed at a time, about, and of a short recording: bins of 20 and 50 Hz."""
_MOMENTS, _FEWEST = 96, 8
"""That are looked at, at most, spread over the times that it is on, and at least."""
_BESIDE = 8
"""Bins beside the carrier that are its own, by the window."""
_REACH = 12e3
"""Hz from the carrier that are looked at: a beacon's subcarrier is at 9,960 Hz."""
_REACHES = (1, 2, 4)
"""Parts of that, which are summed up."""
_SEEN, _CERTAIN = 4.5, 7.0
"""Standard deviations of the sum, from which on it is seen, and a proof: that bins overlap makes it vary 1.4 times as
much."""
_LEAST = 1e-3
"""Of the carrier's power that is in what is mirrored: a carrier with less is one, with the noise of its oscillator."""
_STEADY = 0.5
"""Of the carrier's mean power, that it has in nearly all moments: one that is keyed has mirrored sidebands, too."""
_BAND, _CLEAR = 8, 6.0
"""Bins that are taken together to find how far the sidebands reach, and standard deviations of their sum."""
_AS_STRONG = 6.0
"""Ratio of the powers of both sides, at most: a signal and its mirror image in a receiver differ by more."""


@dataclass(frozen=True)
class MirroredSidebands:
    """What lies on both sides of a carrier alike.

    Attributes:
        kind: "am" where amplitude is modulated, "fm" where phase or frequency is.
        centre: of the carrier, Hz.
        reach: how far they go on either side, Hz.
        share: their power over the carrier's.
        certain: chance does not make them; of others, how far they reach is not known.
    """

    kind: str
    centre: float
    reach: float
    share: float
    certain: bool = True

    @property
    def families(self) -> tuple[str, ...]:
        """What such a signal may be called."""
        return ("am",) if self.kind == "am" else ("fm_narrow", "fm_wide")


def mirrored_sidebands(
    read: Callable[[int, int], NDArray[Any]],
    times: Sequence[tuple[int, int]],
    sample_rate: float,
    edges: tuple[float, float],
) -> MirroredSidebands | None:
    """Return the sidebands of a carrier, None where none are seen.

    Args:
        read: returns samples from a first one on, so many of them.
        times: stretches in which the carrier is on, first sample and the one after the last.
        sample_rate: samples a second.
        edges: between which the carrier is, Hz from the middle of the band.

    >>> at = np.arange(48000) / 48e3
    >>> hiss = np.random.default_rng(1).normal(size=(48000, 2)) @ [0.1, 0.1j]
    >>> iq = (1 + 0.5 * np.cos(2000 * np.pi * at)) * np.exp(14000j * np.pi * at) + hiss
    >>> found = mirrored_sidebands(lambda start, count: iq[start : start + count], [(0, 48000)], 48e3, (6980, 7020))
    >>> found.kind, round(found.centre / 100), round(found.reach / 1000)
    ('am', 70, 1)
    >>> iq = np.exp(14000j * np.pi * at) + 0.3 * np.exp(16000j * np.pi * at) + hiss
    >>> mirrored_sidebands(lambda start, count: iq[start : start + count], [(0, 48000)], 48e3, (6980, 7020))
    """
    size = 1 << max(6, round(math.log2(_MOMENT * sample_rate)))
    starts = _moments(times, size)
    while len(starts) < _FEWEST and size >= 2 * _SHORTEST * sample_rate:
        size //= 2
        starts = _moments(times, size)
    if len(starts) < _FEWEST:
        return None
    step = sample_rate / size
    room = sample_rate / 2 - abs(sum(edges) / 2) - step
    reach = min(round(_REACH / step), math.floor(room / step))
    if reach < 2 * _BESIDE + _BAND:
        return None
    window = _blackman_harris(size).astype(np.float32)
    window /= window.sum()
    sides, carriers, places = [], [], []
    for start in starts:
        iq = finite_samples(np.asarray(read(start, size), np.complex64))
        carrier, place, side = _about_carrier(iq * window, edges, step, reach)
        sides.append(side)
        carriers.append(carrier)
        places.append(place)
    strength = np.abs(np.array(carriers)) ** 2
    if not strength.mean() > 0 or np.quantile(strength, 0.1) < _STEADY * strength.mean():
        return None
    return _judged(np.array(sides) / np.array(carriers)[:, None, None], float(np.median(places)), step)


def _moments(times: Sequence[tuple[int, int]], size: int) -> list[int]:
    """Return the first samples of moments, spread over the times."""
    starts = [start for first, last in times for start in range(max(0, first), last - size + 1, size)]
    if len(starts) <= _MOMENTS:
        return starts
    return [starts[int(place)] for place in np.linspace(0, len(starts) - 1, _MOMENTS)]


def _blackman_harris(size: int) -> NDArray[np.float64]:
    """Return float64 [size], the periodic window of four terms (Harris, Proc. IEEE 66, 1978).

    `scipy.signal` has it too, and loads as long as all else here.
    """
    at = np.linspace(-np.pi, np.pi, size + 1)[:-1]
    terms = (
        weight * np.cos(number * at) for number, weight in enumerate((0.35875, 0.48829, 0.14128, 0.01168))
    )
    return np.asarray(sum(terms, np.zeros(size)))


def _about_carrier(
    iq: NDArray[np.complex64], edges: tuple[float, float], step: float, reach: int
) -> tuple[complex, float, NDArray[np.complex128]]:
    """Return a carrier, its frequency in Hz, and complex128 [2, bins] what lies above and below, by bins from it.

    Args:
        iq: complex64 [n], a moment's samples under a window.
        edges: between which the carrier is, Hz.
        step: width of a bin, Hz.
        reach: bins on either side.
    """
    size = len(iq)
    spectrum = fft.fft(iq)
    near = np.arange(math.floor(edges[0] / step) - 1, math.ceil(edges[1] / step) + 2)
    best = int(near[np.abs(spectrum[near % size]).argmax()])
    # The place between bins, by the phase of the two halves, then the spectrum about exactly there.
    middle = size // 2
    turn = np.exp(-2j * np.pi * best / size * np.arange(size))
    moved = iq * turn
    first, second = moved[:middle].sum(), moved[middle:].sum()
    # The window's halves have their weight's middle at .36 and .64 of it.
    weight = np.abs(_blackman_harris(size))
    apart = 2 * float((weight[middle:] * (np.arange(middle) + 0.5)).sum() / weight[middle:].sum())
    off = float(np.angle(second * np.conj(first))) / (2 * np.pi * apart)
    moved = moved * np.exp(-2j * np.pi * off * np.arange(size))
    spectrum = fft.fft(moved)
    bins = np.arange(_BESIDE, reach)
    return (
        complex(spectrum[0]),
        (best / size + off) * size * step,
        np.array([spectrum[bins], spectrum[-bins]], np.complex128),
    )


def _summed(products: NDArray[np.complex128]) -> tuple[float, float]:
    """Return the sum of what is mirrored, and its standard deviation where nothing is."""
    return float(products.real.sum()), math.sqrt(float(np.square(np.abs(products)).sum()) / 2)


def _judged(sides: NDArray[np.complex128], centre: float, step: float) -> MirroredSidebands | None:
    """Return what both sidebands over the carrier say: complex128 [moments, 2, bins]."""
    # What lies on one side alone is a neighbour: it would hide what is mirrored elsewhere.
    strong, weak = np.sort(np.square(np.abs(sides)).mean(axis=0), axis=0)[::-1]
    sides = sides * (strong <= _AS_STRONG * weak)
    products = sides[:, 0] * sides[:, 1]
    # A voice reaches 3 kHz, and is hidden by the noise of all that is looked at.
    reaches = [products.shape[1] // part for part in _REACHES]
    total, spread = max(
        (_summed(products[:, :count]) for count in reaches), key=lambda one: abs(one[0]) / max(one[1], 1e-300)
    )
    share = abs(total) / len(products)  # of two sides; the window spreads a line over 2 bins
    if not spread > 0 or abs(total) < _SEEN * spread or share < _LEAST:
        return None
    sign = 1 if total > 0 else -1
    kind = "am" if sign > 0 else "fm"
    bands = products.shape[1] // _BAND
    each = products[:, : bands * _BAND].reshape(len(products), bands, _BAND)
    sums = sign * each.real.sum(axis=(0, 2))
    clear = sums > _CLEAR * np.sqrt(np.square(np.abs(each)).sum(axis=(0, 2)) / 2)
    if abs(total) < _CERTAIN * spread or not clear.any():
        return MirroredSidebands(kind, centre, 0.0, share, certain=False)
    power = np.square(np.abs(sides[:, :, : bands * _BAND])).sum(axis=0)
    upper, lower = (power * np.repeat(clear, _BAND)).sum(axis=1)
    if max(upper, lower) > _AS_STRONG * min(upper, lower):
        return None
    last = _BESIDE + (int(np.flatnonzero(clear)[-1]) + 1) * _BAND
    return MirroredSidebands(kind, centre, last * step, share)
