# SPDX-License-Identifier: GPL-3.0-or-later
"""The compiled kernels for the front end of a family model.

What they compute, the graph of such a model computes with ONNX Runtime.
"""

import ctypes
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amrq.native.pointers import address

__all__ = ["FamilyKernels"]

_MOST = 16384
_FRAMES, _BLOCKS, _KINDS, _BINS, _MOMENTS = 8, 8, 6, 32, 28
_Float = NDArray[np.float32]
_Complex = NDArray[np.complex64]


class FamilyKernels:
    """Functions of the library for a family model's front end.

    Args:
        library: the loaded library.
    """

    def __init__(self, library: ctypes.CDLL) -> None:
        pointer, number = ctypes.c_void_p, ctypes.c_int64
        # Not in a library that was built before.
        self.has_family = hasattr(library, "amrq_family_rows")
        if not self.has_family:
            return
        self._family_rows = library.amrq_family_rows
        self._family_rows.argtypes = [pointer, pointer, number, *[pointer] * 6]
        self._family_rows.restype = None
        self._family_spectra = library.amrq_family_spectra
        self._family_spectra.argtypes = [pointer, number, *[pointer] * 3]
        self._family_spectra.restype = None
        self._family_powers = library.amrq_family_powers
        self._family_powers.argtypes = [pointer, number, number, pointer]
        self._family_powers.restype = ctypes.c_double
        self._family_lags = library.amrq_family_lags
        self._family_lags.argtypes = [pointer, pointer, number, pointer, ctypes.c_float, number, pointer]
        self._family_lags.restype = None

    def family_rows(
        self, raw: _Complex, boxed: _Complex, window: _Float, smooth: _Float
    ) -> tuple[_Float, _Complex, _Float]:
        """Return rows over time, rows to be transformed, and histograms over a turn.

        Args:
            raw: the chunk, complex64 [L], L a multiple of 64, at most 16,384.
            boxed: the same within its box, of any level.
            window: of the rows to be transformed, [L].
            smooth: what makes histograms of moments, [28, 32].

        Returns:
            float32 [8, L / 8], complex64 [6, L], float32 [6, 32].
        """
        count = _length(raw, np.complex64, 1)
        if boxed.shape != raw.shape or _length(boxed, np.complex64, 1) != count:
            raise ValueError(f"{count} samples within the box are needed.")
        if _length(window, np.float32, 1) != count or smooth.shape != (_MOMENTS, _BINS):
            raise ValueError(f"a window of {count} and a matrix of {_MOMENTS} times {_BINS} are needed.")
        time, rows = np.empty((8, count // _FRAMES), np.float32), np.empty((6, count), np.complex64)
        phases, room = np.empty((_KINDS, _BINS), np.float32), np.empty(15 * count, np.float32)
        smooth = np.ascontiguousarray(smooth, np.float32)
        self._family_rows(
            *(address(raw), address(boxed), count, address(window), address(smooth)),
            *(address(time), address(rows), address(phases), address(room)),
        )
        return time, rows, phases

    def family_spectra(self, spectra: _Complex) -> tuple[_Float, _Float, _Float]:
        """Return rows over frequency, and the powers of three of the spectra.

        Args:
            spectra: of what `family_rows` gave, complex64 [6, L].

        Returns:
            float32 [12, L / 8]; powers of the first, fourth and fifth, float32 [3, L]; their means, float32 [3].
        """
        count = _length(spectra, np.complex64, 2)
        if len(spectra) != _KINDS:
            raise ValueError(f"{_KINDS} spectra are needed, not {len(spectra)}.")
        frequency, powers = np.empty((12, count // _FRAMES), np.float32), np.empty((3, count), np.float32)
        means = np.empty(3, np.float32)
        self._family_spectra(address(spectra), count, address(frequency), address(powers), address(means))
        return frequency, powers, means

    def family_powers(self, spectra: _Complex) -> tuple[_Float, float]:
        """Return powers of spectra, complex64 [rows, n], and their mean."""
        _length(spectra, np.complex64, 2)
        powers = np.empty(spectra.shape, np.float32)
        mean = float(self._family_powers(address(spectra), *spectra.shape, address(powers)))
        return powers, mean

    def family_lags(self, spectra: _Complex, means: _Float, blocks: _Complex, mean: float) -> _Float:
        """Return rows over lag, float32 [8, L / 8], the last but one not written.

        Args:
            spectra: transforms of the powers that `family_spectra` gave, complex64 [3, L / 2 + 1].
            means: of these powers, float32 [3].
            blocks: transforms of the powers of eighths of the chunk, complex64 [8, L / 8 + 1].
            mean: of those powers.
        """
        count = 2 * (spectra.shape[1] - 1)
        good = spectra.dtype == blocks.dtype == np.complex64 and 64 <= count <= _MOST and count % 64 == 0
        shapes = spectra.shape == (3, count // 2 + 1) and blocks.shape == (_BLOCKS, count // _FRAMES + 1)
        whole = spectra.flags.c_contiguous and blocks.flags.c_contiguous and means.flags.c_contiguous
        if not (good and shapes and whole and means.shape == (3,) and means.dtype == np.float32):
            raise ValueError(
                f"transforms of other shapes are needed, not {spectra.shape} and {blocks.shape}."
            )
        lag = np.empty((8, count // _FRAMES), np.float32)
        self._family_lags(
            *(address(spectra), address(means), count, address(blocks), mean, _BLOCKS),
            address(lag),
        )
        return lag


def _length(array: NDArray[Any], kind: Any, dimensions: int) -> int:
    """Return the length of rows, which the library must be able to take."""
    count = array.shape[-1] if array.ndim else 0
    if array.dtype != kind or array.ndim != dimensions or not array.flags.c_contiguous:
        raise ValueError(f"an array of {np.dtype(kind).name} without gaps is needed, not {array.dtype}.")
    if not 64 <= count <= _MOST or count % 64:
        raise ValueError(f"rows of 64 to {_MOST} are needed, a multiple of 64, not {count}.")
    return int(count)
