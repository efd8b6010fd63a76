# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines in the spectra of powers of symbols: the carrier phase by the class's own line, and lines that it has not.

A constellation that looks the same after a turn of 1/M of a circle has a line in the spectrum of the M-th power of its
symbols, at M times the carrier's frequency. How much a symbol says of it depends on its radius.

`amrq/native/point_lines.c` computes the same in compiled code.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from amrq.decision.point_scores import level_scale
from amrq.native import Averaging

__all__ = [
    "CLEAR",
    "FORETOLD",
    "JUMP",
    "LOST",
    "PER_RADIUS",
    "RADII",
    "VISIBLE",
    "averaging",
    "harmonic",
    "line",
    "smoothed",
    "strange_line",
    "upright",
]

RADII, _LARGEST_RADIUS = 56, 2.2
PER_RADIUS = (RADII - 1) / _LARGEST_RADIUS
"""Radii a unit at which it is known what a symbol says of the phase."""
_PHASES = 16
_WIDTHS = (0.7, 3.0, 1e3)
"""Chunks over which the phase may be averaged: a carrier that wanders, a steady one, a still one."""
FORETOLD = 0.6
"""Share of sums' sizes along what others foretell below which the phase jumps: everywhere, or at a single chunk."""
JUMP = 0.8
"""Step of a line's phase from chunk to chunk, radians, that is no drift any more."""
CLEAR = 4.0
"""Power of a chunk's line over that of noise from which it shows the phase by itself."""
LOST, VISIBLE = 0.6, 6.0
"""A line whose coherent sum is below this share of what is due was not followed, where at least so much is due."""
_KEPT = 384
"""Weights by radius that are kept, of all classes and levels together."""


def strange_line(z: NDArray[np.complex64], orders: Sequence[int]) -> float:
    """Return the highest line in the spectra of powers of symbols, over the mean of a spectrum; 0 without orders.

    Args:
        z: symbols, of any shape.
        orders: of the powers, at least 1.

    Example:
        >>> import numpy as np
        >>> rng = np.random.default_rng(1)
        >>> bpsk = rng.choice(np.complex64([1, -1]), (32, 32))
        >>> strange_line(bpsk, [2]) > 500, strange_line(bpsk, [3]) < 20
        (True, True)
    """
    if not orders:
        return 0.0
    powers, energy = _powers(z, orders)
    spectrum = np.asarray(scipy.fft.fft(powers, 2 * z.size, axis=1))
    return float((spectrum.real**2 + spectrum.imag**2).max()) / max(energy, 1e-30)


def line(
    z: NDArray[np.complex64], symmetry: int, weights: NDArray[np.complex64]
) -> tuple[NDArray[np.complex64], float]:
    """Return the power of symbols [n, L] in which a class gives a line, weighted, and the sum of its squares.

    Args:
        z: symbols of unit power.
        symmetry: of the class.
        weights: see `harmonic`.
    """
    size = np.abs(z)
    radius = (size * np.float32(PER_RADIUS) + np.float32(0.5)).astype(np.int32)
    weight = weights.take(np.minimum(radius, RADII - 1))
    found = weight * _power(z / np.maximum(size, np.float32(1e-12)), symmetry)
    return found, float((np.abs(weight) ** 2).sum(dtype=np.float64))


def upright(
    z: NDArray[np.complex64], symmetry: int, weights: NDArray[np.complex64]
) -> tuple[NDArray[np.complex64], float, float]:
    """Turn chunks upright by the line of a class.

    Args:
        z: symbols of unit power [n, L].
        symmetry: of the class.
        weights: see `harmonic`.

    Returns:
        the symbols; the line's coherent sum, over the deviation of the sum without a line; and what that should be.
    """
    found, noise = line(z, symmetry, weights)
    due = math.sqrt(max(noise / 2, 1e-30))
    bins = 2 * z.size
    spectrum = np.asarray(scipy.fft.fft(found.ravel(), bins))
    peak = int((spectrum.real**2 + spectrum.imag**2).argmax())
    frequency = (peak - bins if 2 * peak > bins else peak) / bins
    # Where no carrier was seen, symbols still turn from one to the next.
    steps = _followed(found, frequency, noise)
    if steps.coherent < (LOST * due**2 if due > VISIBLE else 0.0):
        # A carrier that was followed in steps has no single frequency.
        other = _followed(found, 0.0, noise)
        steps = other if other.coherent > steps.coherent else steps
    turn = np.exp(np.complex64(-1j / symmetry) * steps.angle(z.shape[1]).astype(np.float32))
    return z * turn, steps.coherent / due, due


@lru_cache(_KEPT)
def harmonic(points: bytes, symmetry: int, level: int) -> NDArray[np.complex64]:
    """Return what e^(j symmetry phase) of a symbol says of the phase, by radius: its share in log p, complex64 [radii].

    Args:
        points: of the class, the bytes of complex128 [P].
        symmetry: of the class.
        level: Es/N0, dB.
    """
    amplitude, noise = level_scale(level)
    radius = np.linspace(0, _LARGEST_RADIUS, RADII)
    phase = np.arange(_PHASES) * (2 * np.pi / symmetry / _PHASES)
    z = radius[:, None] * np.exp(1j * phase)
    exponent = -(np.abs(z[..., None] - amplitude * np.frombuffer(points, np.complex128)) ** 2) / noise
    density = np.logaddexp.reduce(exponent, axis=2)
    return np.asarray(2 * (density * np.exp(1j * symmetry * phase)).mean(axis=1), dtype=np.complex64)


def _power(unit: NDArray[np.complex64], order: int) -> NDArray[np.complex64]:
    """Return `unit` to the power of `order`, at least 1, by squaring."""
    result: NDArray[np.complex64] | None = None
    while order:
        if order & 1:
            result = unit if result is None else result * unit
        order >>= 1
        if order:
            unit = unit * unit
    assert result is not None
    return result


def _powers(z: NDArray[np.complex64], orders: Sequence[int]) -> tuple[NDArray[np.complex64], float]:
    """Return powers of symbols' phases, weighted by their amplitudes, complex64 [k, N], and the weights' energy."""
    flat = z.ravel()
    size = np.abs(flat)
    unit = flat / np.maximum(size, np.float32(1e-12))
    weight = np.minimum(size, np.float32(1.5))
    powers = np.stack([_power(unit, order) for order in orders]) * (weight * weight)
    return powers, float((weight**4).sum(dtype=np.float64))


class _Followed(NamedTuple):
    """The phase of a line, radians, at the middle of each chunk [n] besides what turns all the time."""

    frequency: float  # cycles/symbol
    phase: NDArray[np.float64]
    slope: NDArray[np.float64]  # radians a chunk
    coherent: float  # the line's coherent sum

    def angle(self, length: int) -> NDArray[np.float64]:
        """Return the phase at each of the symbols, float64 [n, length]."""
        whole = (2 * np.pi * self.frequency * np.arange(len(self.phase) * length)).reshape(-1, length)
        inside = np.arange(length) - (length - 1) / 2
        return np.asarray(whole + self.phase[:, None] + (self.slope / length)[:, None] * inside)


def _followed(line: NDArray[np.complex64], frequency: float, noise: float) -> _Followed:
    """Return the phase of a line [n, L].

    Args:
        line: chunks of it.
        frequency: that it has on the whole, cycles/symbol.
        noise: sum of its power.
    """
    count, length = line.shape
    if frequency:
        inside = np.exp((-2j * np.pi * frequency) * np.arange(length)).astype(np.complex64)
        sums = (line @ inside) * np.exp((-2j * np.pi * frequency * length) * np.arange(count))
    else:
        sums = line.sum(axis=1)
    spectrum = np.asarray(scipy.fft.fft(sums, 8 * count))
    steady = int((spectrum.real**2 + spectrum.imag**2).argmax()) / (8 * count)
    turn = np.exp((-2j * np.pi * steady) * np.arange(count))
    clear = float((sums.real**2 + sums.imag**2).sum(dtype=np.float64)) > CLEAR * noise
    smooth, coherent = smoothed((sums * turn).astype(np.complex64), clear)
    phase = _unwrapped(np.angle(smooth * turn.conj()))
    return _Followed(frequency, phase, _slope(phase), coherent)


def _unwrapped(phase: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return phases [n], radians, without jumps of a turn."""
    out = phase.copy()
    out[1:] -= 2 * np.pi * np.cumsum(np.rint((phase[1:] - phase[:-1]) / (2 * np.pi)))
    return out


def _slope(phase: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how phases [n] drift at each chunk, radians a chunk: the smaller step of two; 0 where both are jumps."""
    if len(phase) < 3:
        return np.zeros(len(phase))
    steps = np.empty(len(phase) + 1)  # before each chunk and after it
    steps[1:-1] = phase[1:] - phase[:-1]
    steps[0], steps[-1] = steps[2], steps[-3]
    size = np.abs(steps)
    smaller = np.where(size[:-1] < size[1:], steps[:-1], steps[1:])
    smaller[np.minimum(size[:-1], size[1:]) >= JUMP] = 0.0
    return smaller


@lru_cache(8)
def averaging(count: int) -> Averaging:
    """Return averages over chunks."""
    apart = np.arange(count)[:, None] - np.arange(count)
    whole = np.stack([np.exp(-0.5 * (apart / width) ** 2) for width in _WIDTHS])
    return Averaging(whole.astype(np.float32), (whole * (apart != 0)).astype(np.float32), FORETOLD)


def smoothed(sums: NDArray[np.complex64], clear: bool = True) -> tuple[NDArray[np.complex64], float]:
    """Average sums [n] over as many chunks as foretell a chunk's phase best from the others'.

    Args:
        sums: of each chunk.
        clear: each of them shows its phase by itself. Where the others then do not foretell it, nothing is averaged.

    Returns:
        the averages [n], and how much of the sums is in the direction that was foretold.
    """
    count = len(sums)
    whole, others, _ = averaging(count)
    foretold = others @ sums
    along = (foretold.conj() * sums).real / np.maximum(np.abs(foretold), np.float32(1e-20))
    found = along.sum(axis=1)
    whole_size = float(np.abs(sums).sum())
    # Of two chunks all widths foretell the same: the narrowest is taken.
    best = int((found >= found.max() - 1e-5 * whole_size).argmax())
    if clear and found[best] < FORETOLD * whole_size:
        return sums, whole_size
    average = whole[best] @ sums
    if clear:
        agree = (average.conj() * sums).real
        alone = agree < FORETOLD * np.abs(average) * np.abs(sums)
        average[alone] = sums[alone]
    return average, float(found[best])
