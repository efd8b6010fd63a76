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
from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import ArrayLike, NDArray

from amrq.errors import AmrqError
from amrq.native import kernels

__all__ = ["DrawnLine", "DrawnSpectra", "Grid", "SpectrumStream", "coarse_grid", "fine_grid"]

FINE_PER_COARSE = 8
"""Bins of the fine grid for each bin of the coarse one."""

_COARSE_BIN_HZ = 6000.0
"""Coarse bins are at most this wide, where 512 to 4,096 bins allow it."""
_OVERLAP_UP_TO = 6e6
"""Sample rate (Hz) up to which frames overlap by half. Above, they do not: half the work, weak signals 1.4 dB less."""
_AT_ONCE = 1 << 17
"""Points that are transformed at once: they stay in the processor's cache."""
_LINE_S, _PEAK_S = 0.045, 0.004
"""What is drawn: a line is the mean of so many seconds, and the largest mean of so many in it."""
_DRAWN_BINS, _FRAMES_A_LINE, _DRAWN_FRAME_S = 4096, 64, 0.02
"""What is drawn: bins, transforms a line, and seconds of a transform, each at most."""
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
        # For real and imaginary parts; squared magnitudes are densities then.
        scaled = window(grid.bins) * np.float32(math.sqrt(grid.scale))
        self._window = np.repeat(scaled, 2)
        native = kernels()
        self._native = native and native.transform(scaled)
        self._room = np.empty((0, 2 * grid.bins), np.float32)
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

    def process(self, samples: ArrayLike, queue: "FrameQueue | None" = None) -> NDArray[np.float32]:
        """Return the power densities of the frames that end in these samples: `[frames, bins]`, lowest frequency first.

        Args:
            samples: the next ones of the stream, complex, full scale 1.
            queue: where the frames are put; what is returned lies there then.
        """
        new = np.ascontiguousarray(samples, dtype=np.complex64).ravel()
        grid, left = self.grid, self._left
        reach = grid.bins + (grid.averaged - 1) * grid.hop
        frames = max(0, (len(left) + len(new) - reach) // grid.step + 1)
        out = np.empty((frames, grid.bins), np.float32) if queue is None else queue.more(frames)
        # Only the frames that begin in what was left over need both in one place.
        seam = min(frames, -(-len(left) // grid.step))
        if seam:
            held = np.concatenate([left, new[: (seam - 1) * grid.step + reach - len(left)]])
            self._transform(held, out[:seam])
        begin = seam * grid.step - len(left)
        if frames > seam:
            self._transform(new[begin:], out[seam:])
        rest = frames * grid.step - len(left)
        self._left = new[rest:].copy() if rest >= 0 else np.concatenate([left[rest:], new])
        return out

    def _transform(self, held: NDArray[np.complex64], out: NDArray[np.float32]) -> None:
        """Write the densities of the frames of these samples, in pieces."""
        grid = self.grid
        if self._native and grid.averaged == 1:
            self._native.powers(held, grid.hop, out)
            return
        at_once = max(1, _AT_ONCE // (grid.bins * grid.averaged))
        if len(self._room) < min(at_once, len(out)) * grid.averaged:
            self._room = np.empty((at_once * grid.averaged, 2 * grid.bins), np.float32)
        for first in range(0, len(out), at_once):
            self._powers(held[first * grid.step :], out[first : first + at_once])

    def _powers(self, held: NDArray[np.complex64], out: NDArray[np.float32]) -> None:
        grid, half = self.grid, self._half
        count = len(out) * grid.averaged
        # Real and imaginary parts side by side: their products are made without complex numbers.
        parts = held.view(np.float32)
        views = np.lib.stride_tricks.as_strided(
            parts, (count, 2 * grid.bins), (grid.hop * held.itemsize, parts.itemsize), writeable=False
        )
        windowed = self._room[:count]
        np.multiply(views, self._window, out=windowed)
        spectra = scipy.fft.fft(windowed.view(np.complex64), axis=1, overwrite_x=True)
        powers = out if grid.averaged == 1 else np.empty((count, grid.bins), np.float32)
        squares = spectra.view(np.float32)
        np.multiply(squares, squares, out=squares)
        for to, source in (
            (powers[:, half:], squares[:, : 2 * half]),
            (powers[:, :half], squares[:, 2 * half :]),
        ):
            np.add(source[:, 0::2], source[:, 1::2], out=to)
        if grid.averaged > 1:
            np.mean(powers.reshape(-1, grid.averaged, grid.bins), axis=1, dtype=np.float32, out=out)


class FrameQueue:
    """Frames that wait until they are enough, kept in one place.

    Args:
        bins: of a frame.

    >>> import numpy as np
    >>> queue = FrameQueue(4)
    >>> queue.add(np.ones((3, 4), np.float32))
    >>> queue.take(2).shape, len(queue)
    ((2, 4), 1)
    """

    def __init__(self, bins: int) -> None:
        self._room = np.empty((0, bins), np.float32)
        self._first = self._stop = 0

    def __len__(self) -> int:
        return self._stop - self._first

    def add(self, frames: ArrayLike) -> None:
        """Copy frames in, `[frames, bins]`."""
        new = np.asarray(frames, dtype=np.float32)
        self.more(len(new))[:] = new

    def more(self, count: int) -> NDArray[np.float32]:
        """Return room for the next frames `[count, bins]`, which are to be written there at once."""
        if self._stop + count > len(self._room):
            kept = self._room[self._first : self._stop].copy()
            if 2 * (len(kept) + count) > len(self._room):
                # Room for as much again: what is kept moves once for each time that it fills.
                self._room = np.empty((3 * (len(kept) + count), self._room.shape[1]), np.float32)
            self._room[: len(kept)] = kept
            self._first, self._stop = 0, len(kept)
        self._stop += count
        return self._room[self._stop - count : self._stop]

    def take(self, count: int) -> NDArray[np.float32]:
        """Return the oldest frames, as many as there are and are asked for: to be used before more are added."""
        first = self._first
        self._first = min(first + count, self._stop)
        return self._room[first : self._first]


class DrawnSpectra:
    """Makes of samples the spectra that a display draws: some 22 lines a second, whatever the pieces they come in.

    It costs a few per cent of a core at any sample rate: above some 6 MS/s, parts of the samples are left out.

    Args:
        sample_rate: of the band, in Hz.

    >>> import numpy as np
    >>> drawn = DrawnSpectra(1e6)
    >>> [line] = drawn.process(np.ones(50_000, np.complex64), 0)
    >>> line.stop, len(line.mean), int(np.argmax(line.peak))
    (45056, 4096, 2048)
    """

    def __init__(self, sample_rate: float) -> None:
        bins = _DRAWN_BINS
        while bins > 512 and bins > _DRAWN_FRAME_S * sample_rate:
            bins //= 2
        self._bins = bins
        self._hop = bins * max(1, math.ceil(_LINE_S * sample_rate / bins / _FRAMES_A_LINE))
        frames = max(1, round(_LINE_S * sample_rate / self._hop))
        self._short = max(1, round(frames * _PEAK_S / _LINE_S))
        self._frames = frames // self._short * self._short
        self._window = window(bins)
        self._scale = np.float32(Grid(sample_rate, bins, bins).scale)
        self.clear()

    def clear(self) -> None:
        """Forget what waits for a whole line, since what follows is another band."""
        self._left: NDArray[np.complex64] = np.zeros(0, np.complex64)
        self._next = 0
        self._powers: NDArray[np.float32] = np.zeros((0, self._bins), np.float32)

    def process(self, samples: NDArray[np.complexfloating[Any, Any]], position: int) -> list["DrawnLine"]:
        """Take the next samples; return the lines that are complete.

        Args:
            samples: complex, full scale 1.
            position: number of the first of them; where it is not the next one, samples are missing.
        """
        if position != self._next:
            self._left = self._left[:0]
        self._next = position + len(samples)
        held = np.concatenate([self._left, np.asarray(samples, np.complex64)])
        count = len(held) // self._hop
        self._left = held[count * self._hop :]
        if not count:
            return []
        frames = held[: count * self._hop].reshape(count, self._hop)[:, : self._bins]
        spectra = scipy.fft.fftshift(scipy.fft.fft(frames * self._window, axis=1, overwrite_x=True), axes=1)
        powers = (spectra.real**2 + spectra.imag**2) * self._scale
        self._powers = np.concatenate([self._powers, powers])
        lines = []
        while len(self._powers) >= self._frames:
            part, self._powers = self._powers[: self._frames], self._powers[self._frames :]
            shorts = part.reshape(-1, self._short, self._bins).mean(axis=1)
            stop = self._next - len(self._left) - len(self._powers) * self._hop
            lines.append(DrawnLine(stop, shorts.mean(axis=0), shorts.max(axis=0)))
        return lines


@dataclass(frozen=True)
class DrawnLine:
    """A spectrum to be drawn.

    Attributes:
        stop: number of the sample at which it ends.
        mean: mean power density over some 45 ms, float32 [bins], lowest frequency first.
        peak: largest mean over some 4 ms in them, likewise.
    """

    stop: int
    mean: NDArray[np.float32]
    peak: NDArray[np.float32]
