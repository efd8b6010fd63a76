# SPDX-License-Identifier: GPL-3.0-or-later
"""A first stage for signals of many samples a symbol: a low-pass filter, and fewer samples after it.

A signal of 24 samples a symbol takes a transform of 3,072 points a block, of which its channel has 512. With a third of
the samples 1,024 points do. The filter is a windowed sinc (J. F. Kaiser, "Nonrecursive digital filter design using the
I0-sinh window function", Proc. IEEE Int. Symp. Circuits and Systems, 1974) whose taps are as many for each sample that
is left out, whatever the decimation: what folds into the channel is 90 dB down. It is symmetric, and sample m of its
output lies at sample m * `every` of the input: no delay is left.
"""

import bisect
import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from amrq.native import kernels

__all__ = ["MARGIN_EACH", "Decimator", "block_length", "decimation"]

MARGIN_EACH = 8
"""Samples of the input on either side of an output sample that its filter needs, for each that is left out."""
_ATTENUATION = 92.0  # dB
_LEAST = 1024  # samples that are left of a block
_FACTORS = (2, 3, 5)


_LENGTHS = tuple(
    sorted(
        8 * 2**two * 3**three * 5**five
        for two in range(18)
        for three in range(4)
        for five in range(3)
        if 8 * 2**two * 3**three * 5**five <= 1 << 21
    )
)
"""Multiples of 8 that are quick to transform."""


def block_length(wanted: float) -> int:
    """Return the number near `wanted` that is a multiple of 8, and quick to transform.

    >>> block_length(256.0), block_length(3000.0)
    (256, 3072)
    """
    place = bisect.bisect(_LENGTHS, wanted)
    near = _LENGTHS[max(place - 1, 0) : place + 1]
    return min(near, key=lambda size: abs(math.log(size / wanted)))


@lru_cache(maxsize=64)
def decimation(length: int) -> int:
    """Return by how much a block of so many samples is decimated: at least 1,024 are left.

    >>> decimation(2048), decimation(3072), decimation(1280), decimation(524_288)
    (2, 3, 1, 512)
    """
    best = 1
    for every in range(2, length // _LEAST + 1):
        rest = every
        for factor in _FACTORS:
            while rest % factor == 0:
                rest //= factor
        if rest == 1 and length % (8 * every) == 0:
            best = every
    return best


def _taps(every: int) -> NDArray[np.float64]:
    """Return the low-pass filter for a decimation, float64 [16 every - 1], of a gain of `every` at 0 Hz."""
    time = np.arange(1 - MARGIN_EACH * every, MARGIN_EACH * every)
    beta = 0.1102 * (_ATTENUATION - 8.7)  # Kaiser's formula for attenuations from 50 dB on
    shape = np.i0(beta * np.sqrt(1 - (time / (MARGIN_EACH * every)) ** 2))
    taps = np.sinc(time / every) * shape
    return np.asarray(taps * (every / taps.sum()))


class Decimator:
    """Filter samples, and keep every so many of them.

    Args:
        length: samples in a block of the stream: tones of a whole number of periods in it can be shifted to 0 Hz.
        every: samples of the input for one of the output, at least 2.

    >>> decimator = Decimator(3072, 3)
    >>> slow = decimator.process(np.ones(1000, np.complex64), 0, 0)
    >>> len(slow), bool(np.allclose(slow, 3, atol=1e-4))
    (318, True)
    """

    def __init__(self, length: int, every: int) -> None:
        self._length, self.every = length, every
        self.margin = MARGIN_EACH * every
        """Samples of the input that are needed before the first output sample, and after the last."""
        self.taps = _taps(every).astype(np.float32)
        """Of the filter, float32 [2 margin - 1]."""
        whole = -(-len(self.taps) // 8) * 8
        self._twice = np.repeat(np.pad(self.taps, (0, whole - len(self.taps))), 2)
        self._table: tuple[int, NDArray[np.complex64]] | None = None

    def process(self, samples: NDArray[np.complex64], shift: int, first: int) -> NDArray[np.complex64]:
        """Return samples that are shifted in frequency, filtered and decimated.

        Args:
            samples: complex64 [n], from `margin` samples before the first output sample on.
            shift: what comes to 0 Hz, in periods in a block.
            first: number of samples[0] in the stream: the shift's phase is 0 in the stream's first sample.

        Returns:
            complex64 [m], as many as have the margin on either side, times `every`.
        """
        native = kernels()
        if shift % self._length:
            table, start = self._turns(shift % self._length), first % self._length
            if native is not None:
                samples = native.mixed(samples, table, start)
            else:
                samples = samples * np.take(table, start + np.arange(len(samples)), mode="wrap")
        if native is not None:
            return native.decimated(samples[1:], self._twice, self.every)
        near = np.lib.stride_tricks.sliding_window_view(samples[1:], len(self._twice) // 2)[:: self.every]
        return np.asarray(near @ self._twice[::2], np.complex64)

    def _turns(self, shift: int) -> NDArray[np.complex64]:
        """Return the shift's turns in a block, complex64 [length]."""
        if self._table is None or self._table[0] != shift:
            cycles = shift * np.arange(self._length, dtype=np.int64) % self._length / self._length
            self._table = (shift, np.exp(-2j * math.pi * cycles).astype(np.complex64))
        return self._table[1]
