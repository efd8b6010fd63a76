# SPDX-License-Identifier: GPL-3.0-or-later
"""Power spectra of a band, frame after frame, and how their cells are correlated in noise.

A *cell* is one bin of one frame. Two grids of cells share the work: a *coarse* one with short transforms, whose frames
are short enough for bursts, and a *fine* one with transforms eight times as long, whose bins are narrow enough for
carriers and for neighbours on a grid of 12.5 kHz.

Cells are power densities: white noise of power density N0 (full scale squared per Hz) gives cells of mean N0. Windows
overlap, so neighbouring cells are correlated; `Grid.correlation` gives by how much, exactly, and the thresholds of
`amrq.detect.energy` follow from that.
"""

import functools
import math
from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import ArrayLike, NDArray

from amrq.errors import AmrqError

__all__ = ["Grid", "SpectrumStream", "coarse_grid", "fine_grid"]

FINE_PER_COARSE = 8
"""Bins of the fine grid for each bin of the coarse one."""

_COARSE_BIN_HZ = 6000.0
"""Coarse bins are at most this wide, where 512 to 4,096 bins allow it."""
_OVERLAP_UP_TO = 6e6
"""Sample rate (Hz) up to which frames overlap by half. Above, they do not: half the work, weak signals 1.4 dB less."""
_MODEL_BINS = 256
"""Transform size at which the correlation is computed: it depends on the overlap, not on the size."""


@dataclass(frozen=True)
class Grid:
    """How a band is divided into cells.

    Args:
        sample_rate: of the band, in Hz.
        bins: transform size, a power of two.
        hop: samples from one transform to the next, at most `bins`.
        averaged: transforms whose powers are averaged into one frame, for spectra that a flowgraph averages.

    >>> Grid(2.4e6, 512, 256).bin_width
    4687.5
    """

    sample_rate: float
    bins: int
    hop: int
    averaged: int = 1

    def __post_init__(self) -> None:
        if not (math.isfinite(self.sample_rate) and self.sample_rate > 0):
            raise AmrqError(f"sample_rate must be above 0 Hz, not {self.sample_rate}.")
        if self.bins < 16 or self.bins & (self.bins - 1):
            raise AmrqError(f"bins must be a power of two, at least 16, not {self.bins}.")
        if not 0 < self.hop <= self.bins:
            raise AmrqError(f"hop must be from 1 to {self.bins} samples, not {self.hop}.")
        if self.averaged < 1:
            raise AmrqError(f"averaged must be at least 1, not {self.averaged}.")

    @property
    def bin_width(self) -> float:
        """Distance of two bins in Hz."""
        return self.sample_rate / self.bins

    @property
    def step(self) -> int:
        """Samples from one frame to the next."""
        return self.hop * self.averaged

    @property
    def scale(self) -> float:
        """Factor from squared magnitudes of the windowed transform to power density."""
        return 1.0 / (self.sample_rate * float(np.sum(window(self.bins).astype(float) ** 2)))

    def middle(self, frame: float) -> float:
        """Return the sample in the middle of a frame, counted from the first frame's first sample."""
        return frame * self.step + (self.bins + (self.averaged - 1) * self.hop) / 2

    def frequency(self, bin_index: float) -> float:
        """Return the frequency of a bin (0 is the lowest) in Hz from the middle of the band."""
        return (bin_index - self.bins / 2) * self.bin_width

    def position(self, frequency: float) -> float:
        """Return the bin, with its fraction, of a frequency in Hz from the middle of the band."""
        return frequency / self.bin_width + self.bins / 2

    def correlation(self, frames: int, bins: int) -> float:
        """Return the squared correlation coefficient of two cells' amplitudes in white noise.

        It is |sum over m of w[m] w[m-d] exp(-2 pi i k m / N)|^2 / (sum of w^2)^2 for windows w of N samples that are
        d = frames x hop apart and k = bins apart (Welch, 1967; Harris, 1978).

        Args:
            frames: distance in transforms.
            bins: distance in bins.

        >>> round(Grid(2.4e6, 512, 256).correlation(1, 0), 4)  # Hann windows that overlap by half
        0.0278
        """
        return float(abs(_amplitude_correlation(self.hop / self.bins, abs(frames), abs(bins))) ** 2)


@functools.lru_cache(maxsize=16)
def window(bins: int) -> NDArray[np.float32]:
    """Return the periodic Hann window, as float32."""
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(bins) / bins)).astype(np.float32)


@functools.lru_cache(maxsize=4096)
def _amplitude_correlation(hop: float, frames: int, bins: int) -> complex:
    """Return the correlation coefficient of the amplitudes of two cells; `hop` in transforms."""
    shift = round(frames * hop * _MODEL_BINS)
    if shift >= _MODEL_BINS:
        return 0.0
    w = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_MODEL_BINS) / _MODEL_BINS)
    product = w[shift:] * w[: _MODEL_BINS - shift]
    turn = np.exp(-2j * np.pi * bins * np.arange(shift, _MODEL_BINS) / _MODEL_BINS)
    return complex(np.sum(product * turn) / np.sum(w**2))


def coarse_grid(sample_rate: float) -> Grid:
    """Return the grid for bursts: 512 to 4,096 bins of at most 6 kHz where possible.

    >>> coarse_grid(2.4e6).bins, coarse_grid(20e6).bins
    (512, 4096)
    """
    bins = 512
    while bins < 4096 and sample_rate / bins > _COARSE_BIN_HZ:
        bins *= 2
    return Grid(sample_rate, bins, bins // 2 if sample_rate <= _OVERLAP_UP_TO else bins)


def fine_grid(sample_rate: float) -> Grid:
    """Return the grid for narrow emissions: eight fine bins for each coarse one.

    >>> fine_grid(2.4e6).bin_width
    585.9375
    """
    bins = coarse_grid(sample_rate).bins * FINE_PER_COARSE
    return Grid(sample_rate, bins, bins // 2 if sample_rate <= _OVERLAP_UP_TO else bins)


class SpectrumStream:
    """Turns samples into frames of a grid, whatever the pieces they come in.

    Args:
        grid: how the band is divided.

    >>> import numpy as np
    >>> stream = SpectrumStream(Grid(1e6, 64, 32))
    >>> stream.process(np.ones(100, np.complex64)).shape, stream.process(np.ones(28, np.complex64)).shape
    ((2, 64), (1, 64))
    """

    def __init__(self, grid: Grid) -> None:
        self.grid = grid
        self._window = window(grid.bins)
        self._left: NDArray[np.complex64] = np.zeros(0, np.complex64)
        self._half = grid.bins // 2

    @property
    def bins(self) -> int:
        """Bins of a frame."""
        return self.grid.bins

    @property
    def hop(self) -> int:
        """Samples from one transform to the next."""
        return self.grid.hop

    def reset(self) -> None:
        """Forget the samples that wait for a whole frame."""
        self._left = np.zeros(0, np.complex64)

    def process(self, samples: ArrayLike) -> NDArray[np.float32]:
        """Return the power densities of the frames that end in these samples: `[frames, bins]`, lowest frequency first.

        Args:
            samples: the next ones of the stream, complex, full scale 1.
        """
        new = np.asarray(samples, dtype=np.complex64).ravel()
        grid = self.grid
        held = np.concatenate([self._left, new]) if len(self._left) else new
        reach = grid.bins + (grid.averaged - 1) * grid.hop
        frames = max(0, (len(held) - reach) // grid.step + 1)
        out = np.empty((frames, grid.bins), np.float32)
        # Pieces that stay in the processor's cache.
        at_once = max(1, (1 << 17) // (grid.bins * grid.averaged))
        for first in range(0, frames, at_once):
            last = min(first + at_once, frames)
            out[first:last] = self._powers(held, first, last)
        self._left = held[frames * grid.step :].copy()
        return out

    def _powers(self, held: NDArray[np.complex64], first: int, last: int) -> NDArray[np.float32]:
        grid = self.grid
        count = (last - first) * grid.averaged
        start = first * grid.step
        views = np.lib.stride_tricks.as_strided(
            held[start:], (count, grid.bins), (grid.hop * held.itemsize, held.itemsize), writeable=False
        )
        spectra = scipy.fft.fft(views * self._window, axis=1, overwrite_x=True)
        powers = np.empty((count, grid.bins), np.float32)
        half = self._half
        for to, source in ((slice(half, None), slice(0, half)), (slice(0, half), slice(half, None))):
            part = spectra[:, source]
            np.multiply(part.real, part.real, out=powers[:, to])
            powers[:, to] += part.imag * part.imag
        powers *= np.float32(grid.scale)
        if grid.averaged > 1:
            averaged: NDArray[np.float32] = powers.reshape(-1, grid.averaged, grid.bins).mean(
                axis=1, dtype=np.float32
            )
            return averaged
        return powers
