# SPDX-License-Identifier: GPL-3.0-or-later
"""The compiled kernels for a channel's spectra, compared with those of a pulse.

What they compute, `amrq.receive.pulse` says with NumPy.
"""

import ctypes
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amrq.native.pointers import address

__all__ = ["PulseKernels"]

_MOST_BINS, _MOST_PLACES = 4096, 256
_Float = NDArray[np.float32]


class PulseKernels:
    """Functions of the library for the spectra of a channel's blocks.

    Args:
        library: the loaded library.
    """

    def __init__(self, library: ctypes.CDLL) -> None:
        pointer, number = ctypes.c_void_p, ctypes.c_int64
        self._hann_powers = library.amrq_hann_powers
        self._hann_powers.argtypes = [
            pointer,
            number,
            number,
            ctypes.c_float,
            pointer,
            number,
            pointer,
            pointer,
        ]
        self._hann_powers.restype = None
        self._pulse_places = library.amrq_pulse_places
        self._pulse_places.argtypes = [
            *(pointer, number, number, number, number),
            *(pointer, pointer, pointer, number, ctypes.c_double, pointer),
        ]
        self._pulse_places.restype = None

        self._pulse_likelihoods = library.amrq_pulse_likelihoods
        self._pulse_likelihoods.argtypes = [
            *(pointer, number, pointer, pointer, number, number, ctypes.c_float),
            *(pointer, pointer),
        ]
        self._pulse_likelihoods.restype = None

    def pulse_likelihoods(
        self, power: _Float, inverse: _Float, means: _Float, counted: float
    ) -> tuple[_Float, NDArray[np.int64]]:
        """Return the log likelihood of pulses at their likeliest noise levels, and which these are, [pulses] each.

        Args:
            power: of cells, weighed, [cells].
            inverse: of the models' spectra, [levels, cells, pulses].
            means: geometric ones of these spectra over the cells that count, [levels, pulses].
            counted: cells that count.
        """
        power, means = np.ascontiguousarray(power, np.float32), np.ascontiguousarray(means, np.float32)
        if inverse.ndim != 3 or inverse.dtype != np.float32 or not inverse.flags.c_contiguous:
            raise ValueError("models of float32 without gaps are needed.")
        levels, cells, pulses = inverse.shape
        if power.shape != (cells,) or means.shape != (levels, pulses):
            raise ValueError(f"{cells} cells and means for {levels} levels of {pulses} pulses are needed.")
        best, level = np.empty(pulses, np.float32), np.empty(pulses, np.int64)
        self._pulse_likelihoods(
            *(address(power), cells, address(inverse), address(means), levels, pulses, counted),
            *(address(best), address(level)),
        )
        return best, level

    def hann_powers(
        self, spectra: NDArray[np.complex64], edges: NDArray[np.int64], most: float
    ) -> tuple[_Float, NDArray[np.float64]]:
        """Return the power of blocks under a Hann window, and its means over cells.

        Args:
            spectra: complex64 [blocks, bins], in the order of an FFT; 4 to 4,096 bins, an even number.
            edges: first bins of cells, lowest frequency first, and where the last ends, rising, int64 [cells + 1].
            most: that a bin counts.

        Returns:
            float32 [blocks, bins], lowest frequency first, and float64 [blocks, cells].
        """
        held = np.ascontiguousarray(spectra, np.complex64)
        blocks, bins = held.shape
        if bins % 2 or not 4 <= bins <= _MOST_BINS:
            raise ValueError(f"a spectrum has an even number of bins, 4 to {_MOST_BINS}, not {bins}.")
        edges = np.ascontiguousarray(edges, np.int64)
        if len(edges) < 2 or edges[0] < 0 or edges[-1] > bins or np.any(np.diff(edges) <= 0):
            raise ValueError(f"edges of cells must rise, from 0 to {bins} at most.")
        powers, means = np.empty((blocks, bins), np.float32), np.empty((blocks, len(edges) - 1))
        self._hann_powers(
            address(held),
            blocks,
            bins,
            most,
            address(edges),
            len(edges) - 1,
            address(powers),
            address(means),
        )
        return powers, means

    def pulse_places(
        self, powers: _Float, first: int, inverse: _Float, log: _Float, weight: _Float, compared: float
    ) -> NDArray[np.float64]:
        """Return the likeliest place of a pulse in each block.

        Args:
            powers: [blocks, bins].
            first: first bin that is compared.
            inverse: of the pulse's spectrum at each place, times the weight, [places, width]; up to 256 places.
            log: sum of that spectrum's logarithm, [places].
            weight: of bins, [width], of unit sum.
            compared: bins that count.

        Returns:
            the place, its neighbours' and its log likelihood (before, there, after), and that of noise, [blocks, 5].
        """
        places, width = inverse.shape
        kinds: tuple[tuple[Any, tuple[int, ...]], ...] = (
            (powers, powers.shape),
            (inverse, inverse.shape),
            (log, (places,)),
            (weight, (width,)),
        )
        if any(
            one.dtype != np.float32 or one.shape != shape or not one.flags.c_contiguous
            for one, shape in kinds
        ):
            raise ValueError(
                f"arrays of float32 without gaps for {places} places and {width} bins are needed."
            )
        if not 0 < places <= _MOST_PLACES or not 0 <= first <= powers.shape[1] - width:
            raise ValueError(
                f"{width} bins from {first} on are not in {powers.shape[1]}, or {places} places too many."
            )
        found = np.empty((len(powers), 5))
        self._pulse_places(
            address(powers),
            len(powers),
            powers.shape[1],
            first,
            width,
            address(inverse),
            address(log),
            address(weight),
            places,
            compared,
            address(found),
        )
        return found
