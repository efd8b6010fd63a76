# SPDX-License-Identifier: GPL-3.0-or-later
"""The compiled kernels for samples at their full rate, and for cutting a signal's channel out of them.

What they compute, `amrq.receive.channel`, `amrq.receive.decimation` and `amrq.measure.cleaning` say with NumPy.
"""

import ctypes
import functools

import numpy as np
from numpy.typing import NDArray

from amrq.native.line_kernels import roots
from amrq.native.pointers import address

__all__ = ["ChannelKernels"]

_EIGHT, _LANES, _LONGEST = 8, 16, 256
_Complex = NDArray[np.complex64]
_Float = NDArray[np.float64]


class ChannelKernels:
    """Functions of the library for samples at their full rate.

    Args:
        library: the loaded library.
    """

    def __init__(self, library: ctypes.CDLL) -> None:
        pointer, number = ctypes.c_void_p, ctypes.c_int64
        self._mixed = library.amrq_mixed
        self._mixed.argtypes = [pointer, number, pointer, number, number, pointer]
        self._decimated = library.amrq_decimated
        self._decimated.argtypes = [pointer, number, number, pointer, number, pointer]
        self._image_pairs = library.amrq_image_pairs
        self._image_pairs.argtypes = [pointer, number, number, number, pointer, pointer, pointer]
        self._image_each = library.amrq_image_each
        self._image_each.argtypes = [pointer, number, number, number, pointer, pointer]
        self._cut = library.amrq_cut
        self._cut.argtypes = [pointer, number, number, number, pointer, number, pointer]
        self._few_bins = library.amrq_few_bins
        self._few_bins.argtypes = [pointer, pointer, number, pointer, number, pointer, pointer, pointer]
        functions = (
            self._mixed,
            self._decimated,
            self._image_pairs,
            self._image_each,
            self._cut,
            self._few_bins,
        )
        for function in functions:
            function.restype = None

    def cut(self, spectra: _Complex, middle: int, turns: _Complex, count: int) -> _Complex:
        """Return the bins around one, in the order of an FFT, times a number of each block, complex64 [blocks, count].

        Args:
            spectra: [blocks, bins].
            middle: the bin that is the first of what is returned; beyond either end the spectrum goes round.
            turns: [blocks].
            count: bins, at most twice as many as there are.
        """
        held, turns = np.ascontiguousarray(spectra, np.complex64), np.ascontiguousarray(turns, np.complex64)
        if held.ndim != 2 or turns.shape != held.shape[:1] or not 0 < count <= 2 * held.shape[1]:
            raise ValueError(f"{count} bins and {turns.shape} turns do not fit spectra of {held.shape}.")
        out = np.empty((len(held), count), np.complex64)
        given = (address(held), *held.shape, middle % held.shape[1])
        self._cut(*given, address(turns), count, address(out))
        return out

    def few_bins(self, samples: _Complex, window: NDArray[np.float32], bins: tuple[int, ...]) -> _Complex:
        """Return bins of the spectrum of samples under a window, complex64 [bins].

        Args:
            samples: [n], n the square of a power of two, 16 to 256.
            window: float32 [n].
            bins: up to half the root of n on either side of 0.
        """
        held, window = np.ascontiguousarray(samples, np.complex64), np.ascontiguousarray(window, np.float32)
        side = round(len(held) ** 0.5)
        if held.ndim != 1 or side * side != len(held) or window.shape != held.shape:
            raise ValueError(
                f"{held.shape} samples under a window of {window.shape} are no square of their own."
            )
        if side & (side - 1) or not _LANES <= side <= _LONGEST or any(2 * abs(one) > side for one in bins):
            raise ValueError(
                f"{side} samples a side are no power of two from {_LANES} to {_LONGEST}, or too few."
            )
        places, turns = _few_turns(side, bins)
        out = np.empty(len(bins), np.complex64)
        given = (address(held), address(window), side, address(places), len(bins))
        self._few_bins(*given, address(roots(side)), address(turns), address(out))
        return out

    def mixed(self, samples: _Complex, table: _Complex, start: int) -> _Complex:
        """Return samples times a table that is gone through again and again, complex64 [n].

        Args:
            samples: [n].
            table: [period].
            start: its value for the first sample, 0 to period - 1.
        """
        held, table = np.ascontiguousarray(samples, np.complex64), np.ascontiguousarray(table, np.complex64)
        if held.ndim != 1 or table.ndim != 1 or not 0 <= start < len(table):
            raise ValueError(f"{start} is not a place in a table of {table.shape}.")
        out = np.empty(len(held), np.complex64)
        self._mixed(address(held), len(held), address(table), len(table), start, address(out))
        return out

    def decimated(self, samples: _Complex, taps: NDArray[np.float32], every: int) -> _Complex:
        """Return sums of samples times taps, one for each `every` samples, complex64 [m].

        Args:
            samples: [n], at least as many as there are taps.
            taps: of the samples from the first on, each twice, float32 [2 k], k a multiple of 8.
            every: samples from one sum to the next.

        Returns:
            as many as there are whole sums.
        """
        held = np.ascontiguousarray(samples, np.complex64)
        length = len(taps) // 2
        if taps.dtype != np.float32 or taps.ndim != 1 or not taps.flags.c_contiguous:
            raise ValueError("taps of float32 without gaps are needed.")
        if len(taps) % (2 * _EIGHT) or not length or held.ndim != 1 or len(held) < length or every < 1:
            raise ValueError(
                f"{length} taps do not fit {held.shape} samples, or are no multiple of {_EIGHT}."
            )
        out = np.empty((len(held) - length) // every + 1, np.complex64)
        self._decimated(address(held), len(out), every, address(taps), length, address(out))
        return out

    def image_pairs(self, spectra: _Complex) -> tuple[NDArray[np.complex128], _Float, _Float]:
        """Return sums over spectra of products of values at frequencies k and -k, and of the powers of either.

        Args:
            spectra: complex64 [pieces, length], length even and at least 8.

        Returns:
            complex128 [pairs], float64 [pairs] and float64 [pairs], from k = 2 on; pairs is length / 2 - 3.
        """
        held, pairs = _pieces(spectra)
        products, above, below = np.empty(pairs, np.complex128), np.empty(pairs), np.empty(pairs)
        given = (address(held), *held.shape, pairs)
        self._image_pairs(*given, address(products), address(above), address(below))
        return products, above, below

    def image_each(self, spectra: _Complex, weight: _Float) -> NDArray[np.complex128]:
        """Return the products of each spectrum's pairs, weighed and added, complex128 [pieces].

        Args:
            spectra: as for `image_pairs`.
            weight: of the first pairs, [at most pairs].
        """
        held, pairs = _pieces(spectra)
        weight = np.ascontiguousarray(weight, np.float64)
        if weight.ndim != 1 or len(weight) > pairs:
            raise ValueError(f"weights of {pairs} pairs are needed, not {weight.shape}.")
        each = np.empty(len(held), np.complex128)
        given = (address(held), *held.shape, len(weight))
        self._image_each(*given, address(weight), address(each))
        return each


@functools.lru_cache(maxsize=4)
def _few_turns(side: int, bins: tuple[int, ...]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return bins, int64 [bins], and their turns between the short transforms, float32 [bins, 2, side]."""
    places = np.array(bins, np.int64)
    turns = np.exp(-2j * np.pi / side**2 * (places[:, None] * np.arange(side)))
    return places, np.stack((turns.real, turns.imag), axis=1).astype(np.float32)


def _pieces(spectra: _Complex) -> tuple[_Complex, int]:
    """Return spectra without gaps, and the pairs in each."""
    held = np.ascontiguousarray(spectra, np.complex64)
    if held.ndim != 2 or not len(held) or held.shape[1] % 2 or held.shape[1] < _EIGHT:
        raise ValueError(f"spectra of an even number of bins, at least {_EIGHT}, are needed: {held.shape}.")
    return held, held.shape[1] // 2 - 3
