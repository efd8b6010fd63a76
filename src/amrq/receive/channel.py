# SPDX-License-Identifier: GPL-3.0-or-later
"""The channel of a signal, cut out of a stream of samples block by block in the frequency domain.

Overlap-save (Oppenheim and Schafer, "Discrete-time signal processing", 3rd ed., sec. 8.7.3): a block of N samples is
transformed, the bins around the signal are taken as a spectrum of M bins, any filter is a product, and the inverse
transform of M points gives M/N as many samples. The outer eighth of a block on either side is thrown away, so that
filters may be as long as a quarter of a block. So frequency shift, decimation (or interpolation) by a rational factor,
channel filter and matched filter are one step.
"""

import math
from collections.abc import Iterator

import numpy as np
import scipy.fft
from numpy.typing import NDArray

__all__ = ["BINS", "HOP", "Channel", "filter_response"]

BINS = 512
"""Bins of a channel's spectrum, and samples of its inverse transform."""
HOP = BINS * 3 // 4
"""Of these, the samples that are kept: the middle ones."""
_BLOCK_SYMBOLS = 128  # about that many symbols in a block: 4 samples a symbol
_REACH = BINS // 8  # samples of a filter on either side of its middle
_LEAST_POWER, _HEADROOM = 1e-20, 13  # of the first block; powers of two by which signals may grow further
_BATCH, _BATCH_BLOCKS = 1 << 20, 192  # samples and blocks that are transformed at a time


def _size(wanted: float) -> int:
    """Return the number near `wanted` that is a multiple of 8, at least 256, and quick to transform."""
    sizes = {
        8 * 2**two * 3**three * 5**five
        for two in range(18)
        for three in range(4)
        for five in range(3)
        if 8 * 2**two * 3**three * 5**five <= 1 << 21
    }
    return min(sizes, key=lambda size: abs(math.log(size / wanted)))


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


class Channel:
    """Spectra of a stream's channel, block by block.

    Block b stands for HOP samples of the channel, from b * HOP on; sample j of the channel lies at sample
    j * `ratio` of the input. The result does not depend on how the stream is cut into calls. Blocks come as spectra of
    the whole band (`process`), out of which the channel is cut (`cut`), wherever it is by then.

    Args:
        samples_per_symbol: of the input, 2 to 4,096.
        offset: of the channel's middle from 0 Hz, cycles a sample.

    >>> channel = Channel(8.0)
    >>> bands = list(channel.process(np.ones(4096, np.complex64)))
    >>> [channel.cut(band).shape for band in bands], round(channel.samples_per_symbol, 2)
    ([(5, 512)], 4.0)
    """

    def __init__(self, samples_per_symbol: float, offset: float = 0.0) -> None:
        self.length = _size(_BLOCK_SYMBOLS * samples_per_symbol)
        """Samples of the input in a block, N."""
        self.ratio = self.length / BINS
        """Samples of the input for one of the channel."""
        self.samples_per_symbol = samples_per_symbol / self.ratio
        """Of the channel, 3.7 to 4.3."""
        self.bins_per_symbol_rate = self.length / samples_per_symbol
        """Bins of the spectrum in a symbol rate, about 128."""
        self.step = self.length * 3 // 4
        """Samples of the input from one block to the next."""
        self.set_offset(offset)
        self.reset()

    def set_offset(self, offset: float) -> None:
        """Set the middle of the channel, cycles a sample, for blocks from here on."""
        self._bin = round(offset * self.length)
        self.rest = offset - self._bin / self.length
        """What the nearest bin leaves of the offset, cycles a sample of the input."""
        place = np.arange(BINS)
        place[BINS // 2 :] -= BINS
        self._there = np.abs(place + 0.25) < self.length / 2
        self._all_there = bool(self._there.all())
        self._places = (place + self._bin) % self.length

    def reset(self) -> None:
        """Begin a stream: its first sample comes next."""
        self._block = 0
        self.scale = 0.0
        """What the input is multiplied by, a power of two: fourth powers must not leave the range of float32."""
        self.read = 0
        """Samples taken in."""
        self._wait = np.zeros(self.length // 8, np.complex64)

    @property
    def wanted(self) -> int:
        """Samples that are missing for the next block, at least 1."""
        return max(1, self.length - len(self._wait))

    def process(self, samples: NDArray[np.complex64]) -> Iterator[NDArray[np.complex64]]:
        """Take finite samples, complex64 [n]; yield the spectra of the complete blocks, some at a time.

        Yields:
            complex64 [b, length].
        """
        self.read += len(samples)
        data = np.concatenate((self._wait, samples))
        blocks = max(0, (len(data) - self.length) // self.step + 1)
        self._wait = data[blocks * self.step :].copy()
        return self._spectra(data, blocks)

    def finish(self) -> Iterator[NDArray[np.complex64]]:
        """Yield the spectra of the blocks that the stream's last samples lie in, as `process` does."""
        left = self.read - self._block * self.step
        blocks = max(0, -(-left // self.step))
        missing = (blocks - 1) * self.step + self.length - len(self._wait) if blocks else 0
        data = np.concatenate((self._wait, np.zeros(max(0, missing), np.complex64)))
        self._wait = data[blocks * self.step :].copy()
        return self._spectra(data, blocks)

    def _spectra(self, data: NDArray[np.complex64], blocks: int) -> Iterator[NDArray[np.complex64]]:
        if not blocks:
            return
        windows = np.lib.stride_tricks.sliding_window_view(data, self.length)[:: self.step][:blocks]
        if not self.scale:
            self.scale = _scale(windows)
        batch = max(1, _BATCH // self.length)
        for first in range(0, blocks, batch):
            bands = scipy.fft.fft(windows[first : first + batch], axis=1)
            self._block += len(bands)
            for part in range(0, len(bands), _BATCH_BLOCKS):
                yield bands[part : part + _BATCH_BLOCKS]

    def cut(self, band: NDArray[np.complex64], first: int = 0, shift: int = 0) -> NDArray[np.complex64]:
        """Cut the channel out of spectra of the whole band.

        Args:
            band: complex64 [b, length], consecutive ones.
            first: number of the first block, since the stream began.
            shift: bins by which the channel's middle is beside its usual place.

        Returns:
            complex64 [b, BINS].
        """
        # The shift by whole bins, seen from the stream's first sample, is some eighths of a turn.
        number = np.arange(first, first + len(band))
        eighths = (self._bin + shift) * (6 * number - 1) % 8
        turn = np.exp(-2j * np.pi * np.arange(8) / 8) * ((self.scale or 1.0) / self.ratio)
        places = (self._places + shift) % self.length if shift else self._places
        found = np.take(band, places, axis=1)  # in order, where an index would leave the blocks side by side
        found *= turn[eighths].astype(np.complex64)[:, None]
        if not self._all_there:
            found[:, ~self._there] = 0
        return found
