# SPDX-License-Identifier: GPL-3.0-or-later
"""The compiled kernels for spectra: windowed transforms of overlapping frames, and their squared magnitudes."""

import ctypes
import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amrq.native.pointers import address

__all__ = ["LEAST_BINS", "MOST_BINS", "SpectrumKernels", "Transform"]

LEAST_BINS, MOST_BINS = 256, 1 << 16
"""Transform sizes that are compiled: both factors of one are multiples of 16, and at most 256."""


class Transform:
    """Transforms of one size, with a window.

    Args:
        function: of the library.
        window: of each sample, float32 [bins]; bins a power of two from `LEAST_BINS` to `MOST_BINS`.
    """

    def __init__(self, function: Any, window: NDArray[np.float32]) -> None:
        bins = len(window)
        if bins < LEAST_BINS or bins > MOST_BINS or bins & (bins - 1):
            raise ValueError(
                f"a transform has a power of two of bins, {LEAST_BINS} to {MOST_BINS}, not {bins}."
            )
        self._function, self._bins = function, bins
        self._window = _aligned(window)
        self._rows, self._columns, self._turns, self._roots = _tables(bins)
        self._room = _aligned(np.zeros(2 * bins))

    def powers(self, samples: NDArray[np.complex64], hop: int, out: NDArray[np.float32]) -> None:
        """Write the squared magnitudes of the frames of some samples, lowest frequency first.

        Args:
            samples: complex64 without gaps, enough for all frames.
            hop: samples from one frame to the next.
            out: `[frames, bins]`, float32 without gaps.
        """
        if (
            out.dtype != np.float32
            or out.ndim != 2
            or out.shape[1] != self._bins
            or not out.flags.c_contiguous
        ):
            raise ValueError(f"powers must be float32 [frames, {self._bins}] without gaps, not {out.dtype}.")
        if samples.dtype != np.complex64 or samples.ndim != 1 or not samples.flags.c_contiguous:
            raise ValueError(f"samples must be complex64 without gaps, not {samples.dtype}.")
        needed = (len(out) - 1) * hop + self._bins
        if hop < 1 or (len(out) and len(samples) < needed):
            raise ValueError(
                f"{len(out)} frames, {hop} samples apart, need {needed} samples, not {len(samples)}."
            )
        self._function(
            address(samples),
            len(out),
            hop,
            self._rows,
            self._columns,
            address(self._window),
            address(self._turns),
            address(self._roots),
            address(self._room),
            address(out),
        )


class SpectrumKernels:
    """Functions of the library for spectra.

    Args:
        library: the loaded library.
    """

    def __init__(self, library: ctypes.CDLL) -> None:
        pointer, number = ctypes.c_void_p, ctypes.c_int64
        self._spectra = library.amrq_spectra
        self._spectra.argtypes = [pointer, *[number] * 4, *[pointer] * 5]
        self._spectra.restype = None
        self._usable = library.amrq_usable
        self._usable.argtypes = [pointer, number, number, ctypes.c_float]
        self._usable.restype = ctypes.c_int

    def transform(self, window: NDArray[np.float32]) -> Transform | None:
        """Return transforms with this window, for one thread; None for a size that is not compiled."""
        bins = len(window)
        if bins & (bins - 1) or not LEAST_BINS <= bins <= MOST_BINS:
            return None
        return Transform(self._spectra, window)

    def usable(self, samples: NDArray[np.complex64], stride: int, limit: float) -> bool:
        """Return whether the parts of all samples are numbers below a limit, and the samples are not always the same.

        Args:
            samples: complex64 [N].
            stride: of samples so far apart, no three in a row are like the one before.
            limit: above 0.
        """
        if samples.dtype != np.complex64 or samples.ndim != 1 or stride < 1:
            raise ValueError(f"samples must be complex64 with one axis, not {samples.dtype}.")
        held = np.ascontiguousarray(samples)
        return bool(self._usable(address(held), len(held), stride, limit))


@functools.lru_cache(maxsize=8)
def _tables(bins: int) -> tuple[int, int, NDArray[np.float32], NDArray[np.float32]]:
    """Return rows and columns that a transform is done as, the turns in between, and the roots of both.

    >>> rows, columns, turns, roots = _tables(512)
    >>> rows, columns, turns.shape, len(roots)
    (32, 16, (2, 32, 16), 96)
    """
    power = bins.bit_length() - 1
    rows, columns = 1 << (power + 1) // 2, 1 << power // 2
    turn = np.exp(-2j * np.pi * np.outer(np.arange(rows), np.arange(columns)) / bins)
    roots = [np.exp(-2j * np.pi * np.arange(size) / size) for size in (rows, columns)]
    parts = [part for one in roots for part in (one.real, one.imag)]
    return (
        rows,
        columns,
        _aligned(np.array([turn.real, turn.imag])),
        np.concatenate(parts).astype(np.float32),
    )


def _aligned(values: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """Return values as float32 that begin where a line of the cache does: vectors lie in one line then, not in two."""
    room = np.empty(values.size + 16, np.float32)
    first = -address(room) // 4 % 16
    held = room[first : first + values.size].reshape(values.shape)
    held[...] = values
    return held
