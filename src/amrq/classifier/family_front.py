# SPDX-License-Identifier: GPL-3.0-or-later
"""The fixed part of a family model before its layers, in compiled code: its graph takes some 700 operators for it.

The graph is the reference: `amrq.training.architectures.FamilyNet` made it. Here the same rows come from SciPy's
Fourier transforms and the compiled kernels, in a fraction of the time, to some 1e-6; the layers round them to 8 bits.
Whether a model has this part is seen by its answers: `QuickFamily` is only made where both ways give the same.
"""

import math
import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amrq.errors import AmrqError
from amrq.model import cut_session
from amrq.native import Kernels, kernels

__all__ = ["FamilyFront", "QuickFamily", "quick_family"]

_Float = NDArray[np.float32]
_Complex = NDArray[np.complex64]

_FRAMES, _LAG_STEPS, _BLOCKS = 8, 4, 8
"""Samples and bins, and lags, that make one place; parts of a chunk that are correlated each by itself."""
_BINS, _HARMONICS = 32, 14
"""Of a histogram: places, and moments that it is made of."""
_PASS, _FALL = 0.15, 0.05
"""Cycles a sample: from here on, and over so much, the filter of the box falls."""
_ROWS = ((8, 0), (13, 0), (8, 0), (6, _BINS))
"""Rows of the four parts, and how many places they have; 0: an eighth of the chunk."""
_PREFIX = "/front/"
"""Of the names of the operators that make them."""
_TRIALS, _WITHIN = 3, 0.5
"""Chunks with which a model is tried, and how far its outputs may lie apart: a number at a tie may be rounded to the
next of 256 steps, which moves an output by some hundredths; another front end moves it by many units."""


class FamilyFront:
    """Makes the rows over time, frequency, lag and phase that the layers of a family model judge.

    Args:
        length: samples of a chunk, a multiple of 64, at most 16,384.
        native: the compiled kernels.

    >>> from amrq.native import kernels
    >>> native = kernels()
    >>> noise = np.random.default_rng(1).normal(size=(4096, 2)).astype(np.float32).view(np.complex64)[:, 0]
    >>> shapes = [] if native is None else [rows.shape for rows in FamilyFront(4096, native).rows(noise)]
    >>> shapes in ([], [(8, 512), (13, 512), (8, 512), (6, 32)])
    True
    """

    def __init__(self, length: int, native: Kernels) -> None:
        self._native = native
        away = np.abs(np.fft.fftfreq(length)).astype(np.float32)
        turn = np.float32(np.pi) * np.clip((away - np.float32(_PASS)) / np.float32(_FALL), 0, 1)
        self._passing = (0.5 + 0.5 * np.cos(turn)).astype(np.float32)
        self._window = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)).astype(np.float32)
        places = (4 * away).reshape(-1, _FRAMES).mean(axis=1)
        self._frequency = (0.5 * np.minimum(places, 2)).astype(np.float32)
        octaves = np.log2(np.arange(1, length // 2 + 1)) / 12
        self._lag = octaves.reshape(-1, _LAG_STEPS).mean(axis=1).astype(np.float32)
        theta, order = np.arange(_BINS) * (2 * np.pi / _BINS), np.arange(1, _HARMONICS + 1)[:, None]
        taper = 0.5 * (1 - 0.8 * order / (_HARMONICS + 1))
        waves = np.concatenate([taper * np.cos(order * theta), taper * np.sin(order * theta)])
        self._smooth = waves.astype(np.float32)

    def rows(self, chunk: _Complex) -> tuple[_Float, _Float, _Float, _Float]:
        """Return the rows of a chunk.

        Args:
            chunk: complex64 [L] of unit RMS outside its padding, finite.

        Returns:
            Over time float32 [8, L / 8], over frequency [13, L / 8], over lag [8, L / 8], over phase [6, 32].
        """
        from amrq import transforms as fft  # a board's server has no SciPy

        native, length = self._native, len(chunk)
        boxed = fft.ifft(fft.fft(chunk) * self._passing)
        time, rows, phases = native.family_rows(chunk, boxed, self._window, self._smooth)
        frequency = np.empty((13, length // _FRAMES), np.float32)
        frequency[:12], powers, means = native.family_spectra(fft.fft(rows, overwrite_x=True))
        frequency[12] = self._frequency
        # Of a real row the transform backwards is the conjugate of that forwards: magnitudes are the same.
        blocks = fft.fft(chunk.reshape(_BLOCKS, -1), 2 * length // _BLOCKS)
        short, mean = native.family_powers(blocks)
        lag = native.family_lags(fft.rfft(powers), means, fft.rfft(short), mean)
        lag[6] = self._lag
        return time, frequency, lag, phases


class QuickFamily:
    """A family model whose front end is compiled; ONNX Runtime has its layers alone.

    Args:
        front: the front end.
        session: of onnxruntime, the layers.
    """

    def __init__(self, front: FamilyFront, session: Any) -> None:
        self._front, self._session = front, session
        self._inputs = [one.name for one in session.get_inputs()]
        self._output = [session.get_outputs()[-1].name]

    def scores(self, chunks: _Complex) -> _Float:
        """Return outputs float32 [n, outputs] for chunks complex64 [n, length], n at least 1, normalised and finite."""
        made = [self._front.rows(chunk) for chunk in chunks]
        stacked = [np.stack(rows) if len(made) > 1 else rows[0][None] for rows in zip(*made, strict=True)]
        found = self._session.run(self._output, dict(zip(self._inputs, stacked, strict=True)))
        return np.asarray(found[0], np.float32)


def quick_family(path: str | os.PathLike[str], session: Any, length: int, threads: int) -> QuickFamily | None:
    """Return the quick form of a family model; None where there are no kernels, or it has another front end.

    Args:
        path: of the model's ONNX file.
        session: of onnxruntime, all of the model, which is held against the quick form.
        length: samples of a chunk.
        threads: threads inside one call.
    """
    native = kernels()
    if native is None or not native.has_family or length % 64 or not 64 <= length <= 16384:
        return None
    shapes = [(rows, places or length // _FRAMES) for rows, places in _ROWS]
    try:
        layers = cut_session(path, _PREFIX, shapes, threads)
    except AmrqError:
        return None  # what onnxruntime takes as a whole only
    if layers is None:
        return None
    quick = QuickFamily(FamilyFront(length, native), layers)
    chunks = _trials(length)
    (name,) = (one.name for one in session.get_inputs())
    iq = np.ascontiguousarray(np.stack([chunks.real, chunks.imag], axis=1))
    wanted = session.run([session.get_outputs()[-1].name], {name: iq})[0]
    found = quick.scores(chunks)
    alike = found.shape == wanted.shape and bool(np.abs(found - wanted).max() < _WITHIN)
    return quick if alike else None


def _trials(length: int) -> _Complex:
    """Return chunks of unit RMS that a front end shows itself by: noise, symbols, and a tone with padding around it."""
    random = np.random.default_rng(1)
    place = np.arange(length)
    noise = random.standard_normal((length, 2)).astype(np.float32).view(np.complex64)[:, 0]
    symbols = np.exp(0.5j * np.pi * random.integers(0, 4, length // 8 + 1)).repeat(8)[:length]
    tone = np.exp(2j * math.pi * 0.05 * place) * ((place > length // 4) & (place < length // 2))
    made = np.stack([noise, symbols + 0.1 * noise, tone])[:_TRIALS]
    power = np.sum(np.abs(made) ** 2, axis=1, keepdims=True) / np.count_nonzero(made, axis=1, keepdims=True)
    return np.asarray(made / np.sqrt(power), np.complex64)
