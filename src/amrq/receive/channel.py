# SPDX-License-Identifier: GPL-3.0-or-later
"""The channel of a signal, cut out of a stream of samples block by block in the frequency domain.

Overlap-save (Oppenheim and Schafer, "Discrete-time signal processing", 3rd ed., sec. 8.7.3): a block of N samples is
transformed, the bins around the signal are taken as a spectrum of M bins, any filter is a product, and the inverse
transform of M points gives M/N as many samples. The outer eighth of a block on either side is thrown away, so that
filters may be as long as a quarter of a block. So frequency shift, decimation (or interpolation) by a rational factor,
channel filter and matched filter are one step. Of many samples a symbol, a low-pass filter leaves fewer before that
(`amrq.receive.decimation`), as long as the signal stays near the channel's usual place.
"""

import math
from collections.abc import Iterator

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from amrq.native import kernels
from amrq.receive.decimation import Decimator, block_length, decimation

__all__ = ["BINS", "HOP", "Blocks", "Channel", "filter_response", "windows"]

BINS = 512
"""Bins of a channel's spectrum, and samples of its inverse transform."""
HOP = BINS * 3 // 4
"""Of these, the samples that are kept: the middle ones."""
_BLOCK_SYMBOLS = 128  # about that many symbols in a block: 4 samples a symbol
_REACH = BINS // 8  # samples of a filter on either side of its middle
_LEAST_POWER, _HEADROOM = 1e-20, 13  # of the first block; powers of two by which signals may grow further
_BATCH, _BATCH_BLOCKS = 1 << 22, 192  # samples and blocks that are transformed at a time
_EIGHTHS = np.exp(-2j * np.pi * np.arange(8) / 8)
_NEAR = 64  # bins that the channel may be away from its usual place in decimated samples


def filter_response(wanted: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the response that comes next to a wanted one and is short enough for a block.

    Args:
        wanted: float64 [BINS], real response of the bins in the order of an FFT.

    Returns:
        float32 [BINS].
    """
    time = np.arange(BINS)
    time = np.minimum(time, BINS - time)
    # Flat over most of its length: a pulse is cut where it is nearly over.
    edge = np.clip((time / _REACH - 0.5) / 0.5, 0, 1)
    window = np.where(time < _REACH, 0.5 + 0.5 * np.cos(np.pi * edge), 0.0)
    return np.asarray(np.fft.fft(np.fft.ifft(wanted) * window).real, dtype=np.float32)


def windows(samples: NDArray[np.complex64], length: int, step: int = 1) -> NDArray[np.complex64]:
    """Return all windows of so many samples, one for each `step` of them, complex64 [n, length], not to be written to.

    NumPy's own `sliding_window_view` takes ten times as long, which counts where there are few.

    >>> windows(np.arange(5, dtype=np.complex64), 3, 2).real.tolist()
    [[0.0, 1.0, 2.0], [2.0, 3.0, 4.0]]
    """
    held = np.ascontiguousarray(samples, np.complex64)
    count = max(0, (len(held) - length) // step + 1)
    size = held.itemsize
    found: NDArray[np.complex64] = np.ndarray(
        (count, length), np.complex64, held.data, 0, (size * step, size)
    )
    found.flags.writeable = False
    return found


def _scale(blocks: NDArray[np.complex64]) -> float:
    """Return a power of two that brings the first block that is not zero to an RMS of about 1e-4; 0 if all are zero.

    What comes first is more often weaker than what follows, by far: noise of a computation before a signal. A block
    below an RMS of 1e-10 counts as one of 1e-10.
    """
    for block in blocks:
        power = float(np.mean(block.real.astype(np.float64) ** 2 + block.imag.astype(np.float64) ** 2))
        if power:
            return 2.0 ** -round(0.5 * math.log2(max(power, _LEAST_POWER)) + _HEADROOM)
    return 0.0


class _Data:
    """Samples of consecutive blocks, and the spectra that were made of them.

    Attributes:
        samples: complex64, with the margin before the first block and after the last.
        first: number of the first block since the stream began.
        spectra: of all blocks, by the shift that decimated samples had; None: of all samples.
    """

    def __init__(self, samples: NDArray[np.complex64], first: int) -> None:
        self.samples, self.first = samples, first
        self.spectra: dict[int | None, NDArray[np.complex64]] = {}


class Blocks:
    """Consecutive blocks of a stream's samples, out of whose spectra a channel is cut.

    Args:
        data: their samples; None: there are none.
        first: number of the first of them in `data`.
        count: how many.
    """

    def __init__(self, data: _Data | None = None, first: int = 0, count: int = 0) -> None:
        self.data, self.first, self._count = data, first, count

    def __len__(self) -> int:
        return self._count

    def part(self, start: int, stop: int) -> "Blocks":
        """Return the blocks from number `start` up to `stop`, or as many of them as there are."""
        stop = min(stop, self._count)
        return Blocks(self.data, self.first + start, max(0, stop - start))


class Channel:
    """Spectra of a stream's channel, block by block.

    Block b stands for HOP samples of the channel, from b * HOP on; sample j of the channel lies at sample
    j * `ratio` of the input. The result does not depend on how the stream is cut into calls. Blocks come as they are
    complete (`process`); out of their spectra the channel is cut (`cut`), wherever it is by then.

    Args:
        samples_per_symbol: of the input, 2 to 4,096.
        offset: of the channel's middle from 0 Hz, cycles a sample.

    >>> channel = Channel(8.0)
    >>> blocks = list(channel.process(np.ones(4096, np.complex64)))
    >>> [channel.cut(some).shape for some in blocks], round(channel.samples_per_symbol, 2)
    ([(5, 512)], 4.0)
    """

    def __init__(self, samples_per_symbol: float, offset: float = 0.0) -> None:
        self.length = block_length(_BLOCK_SYMBOLS * samples_per_symbol)
        """Samples of the input in a block, N."""
        self.ratio = self.length / BINS
        """Samples of the input for one of the channel."""
        self.samples_per_symbol = samples_per_symbol / self.ratio
        """Of the channel, 3.7 to 4.3."""
        self.bins_per_symbol_rate = self.length / samples_per_symbol
        """Bins of the spectrum in a symbol rate, about 128."""
        self.step = self.length * 3 // 4
        """Samples of the input from one block to the next."""
        every = decimation(self.length)
        self._decimator = Decimator(self.length, every) if every > 1 else None
        self._margin = 0 if self._decimator is None else self._decimator.margin
        self._place = np.arange(BINS)
        self._place[BINS // 2 :] -= BINS
        self._there = np.abs(self._place + 0.25) < self.length / 2
        self._all_there = bool(self._there.all())
        self.set_offset(offset)
        self.reset()

    def set_offset(self, offset: float) -> None:
        """Set the middle of the channel, cycles a sample, for blocks from here on."""
        self._bin = round(offset * self.length)
        self.rest = offset - self._bin / self.length
        """What the nearest bin leaves of the offset, cycles a sample of the input."""

    def reset(self) -> None:
        """Begin a stream: its first sample comes next."""
        self._block = 0
        self.scale = 0.0
        """What the input is multiplied by, a power of two: fourth powers must not leave the range of float32."""
        self.read = 0
        """Samples taken in."""
        self._wait = np.zeros(self.length // 8 + self._margin, np.complex64)

    @property
    def wanted(self) -> int:
        """Samples that are missing for the next block, at least 1."""
        return max(1, self.length + 2 * self._margin - len(self._wait))

    def process(self, samples: NDArray[np.complex64]) -> Iterator[Blocks]:
        """Take finite samples, complex64 [n]; yield the complete blocks, some at a time."""
        self.read += len(samples)
        data = np.concatenate((self._wait, samples))
        blocks = max(0, (len(data) - self.length - 2 * self._margin) // self.step + 1)
        self._wait = data[blocks * self.step :].copy()
        return self._split(data, blocks)

    def finish(self) -> Iterator[Blocks]:
        """Yield the blocks that the stream's last samples lie in, as `process` does."""
        left = self.read - self._block * self.step
        blocks = max(0, -(-left // self.step))
        whole = (blocks - 1) * self.step + self.length + 2 * self._margin if blocks else 0
        data = np.concatenate((self._wait, np.zeros(max(0, whole - len(self._wait)), np.complex64)))
        self._wait = data[blocks * self.step :].copy()
        return self._split(data, blocks)

    def _split(self, data: NDArray[np.complex64], blocks: int) -> Iterator[Blocks]:
        if not blocks:
            return
        if not self.scale:
            self.scale = _scale(windows(data[self._margin :], self.length, self.step)[:blocks])
        most = min(_BATCH_BLOCKS, max(1, _BATCH // self.length))
        for first in range(0, blocks, most):
            count = min(most, blocks - first)
            samples = data[
                first * self.step : (first + count - 1) * self.step + self.length + 2 * self._margin
            ]
            found = Blocks(_Data(samples, self._block), 0, count)
            self._block += count
            yield found

    def joined(self, one: Blocks, other: Blocks) -> Blocks:
        """Return blocks and those that come after them, together."""
        if other.data is None or not len(other):
            return one
        if one.data is None or not len(one):
            return other
        first, count = one.data.first + one.first, len(one) + len(other)
        before = one.data.samples[one.first * self.step :][: len(one) * self.step]
        samples = np.concatenate((before, other.data.samples[other.first * self.step :]))
        return Blocks(_Data(samples, first), 0, count)

    def cut(self, blocks: Blocks, first: int = 0, shift: int = 0) -> NDArray[np.complex64]:
        """Cut the channel out of the spectra of blocks.

        Args:
            blocks: consecutive ones.
            first: number of the first block, since the stream began.
            shift: bins by which the channel's middle is beside its usual place.

        Returns:
            complex64 [b, BINS].
        """
        # The shift by whole bins, seen from the stream's first sample, is some eighths of a turn.
        number = np.arange(first, first + len(blocks))
        near = self._decimator is not None and abs(shift) <= _NEAR
        moved = shift if near else self._bin + shift  # decimated samples have been shifted
        eighths = moved * (6 * number - 1) % 8
        turn = _EIGHTHS * ((self.scale or 1.0) / self.ratio)
        band = self._spectra(blocks, near)
        turns, native = turn[eighths].astype(np.complex64), kernels()
        if native is not None:
            found = native.cut(band, moved, turns, BINS)
        else:
            # In order, where an index would leave the blocks side by side.
            found = np.take(band, (self._place + moved) % band.shape[1], axis=1)
            found *= turns[:, None]
        if not self._all_there:
            found[:, ~self._there] = 0
        return found

    def _spectra(self, blocks: Blocks, near: bool) -> NDArray[np.complex64]:
        """Return spectra of blocks, complex64 [b, n], of decimated samples or of all."""
        data = blocks.data
        if data is None or not len(blocks):
            return np.zeros((0, self.length), np.complex64)
        part = slice(blocks.first, blocks.first + len(blocks))
        kind = self._bin if near else None
        if kind in data.spectra:
            return data.spectra[kind][part]
        if near and self._decimator is not None:
            before = data.first * self.step - self.length // 8 - self._margin
            slow, every = self._decimator.process(data.samples, self._bin, before), self._decimator.every
            rows = windows(slow, self.length // every, self.step // every)
        else:
            rows = windows(data.samples[self._margin :], self.length, self.step)
        data.spectra[kind] = np.asarray(scipy.fft.fft(rows, axis=1))
        return data.spectra[kind][part]
