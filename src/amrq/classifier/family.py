# SPDX-License-Identifier: GPL-3.0-or-later
"""The family model: from a signal's samples to the probability of each family of signals.

A family model takes samples, not symbols: so many in the reciprocal of the signal's bandwidth, in chunks of one length.
`FamilyModel.prepare` makes such chunks of samples at any rate, `FamilyModel.log_probabilities` weighs each chunk, and
`FamilyModel.together` sums the evidence of several chunks of one signal.
"""

import math
import os
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amrq.chunks import SILENCE_POWER, finite_samples
from amrq.classifier.engine import OnnxEngine
from amrq.classifier.family_front import quick_family
from amrq.errors import AmrqError, ModelError
from amrq.native import kernels
from amrq.text import engineering, printable

__all__ = ["FamilyModel", "level_chunks"]

_Chunks = NDArray[np.complex64]

_HALF, _FALL, _FLAT = 0.45, 0.02, 4.5
"""Cycles a sample at which the filter has half the amplitude, and how it falls: 34 dB down at 0.48. The training's
signals pass such a filter (`amrq.signals`), and so do those that are prepared here."""
_MARGIN = 48
"""Samples of a chunk's own rate that are computed at either end and thrown away: the filter's transient."""
_MOST = 8
_MOST_CHUNKS = 1_000
_LARGEST_RATIO = 1e5
"""Of sample rate and chunk's rate, or the other way: beyond, a transform of one chunk would not fit into memory."""


def level_chunks(chunks: _Chunks) -> _Chunks:
    """Return chunks of unit RMS, not counting the zeros that pad them at either end; silent ones become zeros.

    Args:
        chunks: complex64 [n, length] of any level.

    >>> found = level_chunks(np.array([[0, 3, 0, 3j, 0, 0], [0, 0, 0, 0, 0, 0]], np.complex64))
    >>> np.abs(found).round(2).tolist()
    [[0.0, 1.2200000286102295, 0.0, 1.2200000286102295, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0, 0.0, 0.0]]
    """
    power = chunks.real * chunks.real + chunks.imag * chunks.imag
    there = power > 0
    first = there.argmax(axis=1)
    last = chunks.shape[1] - there[:, ::-1].argmax(axis=1)
    mean = power.sum(axis=1, dtype=np.float64) / np.maximum(last - first, 1)
    scale = np.where(mean > SILENCE_POWER, 1 / np.sqrt(np.maximum(mean, SILENCE_POWER)), 0.0)
    return np.asarray(chunks * scale[:, None].astype(np.float32), dtype=np.complex64)


class FamilyModel:
    """Gives the probability of each family of signals, with an ONNX model whose input is samples.

    Args:
        model: path of an ONNX file, or name of a shipped model; `family` is the shipped family model.
        threads: threads inside one call.

    Attributes:
        contract: of the model.
        families: what the columns of `log_probabilities` stand for: names of families, and `unknown` where the model
            has an output for signals of no family it knows.
        length: samples of a chunk.
        samples_per_bandwidth: of a chunk's samples there are so many in the reciprocal of the signal's bandwidth.

    Raises:
        ModelError: the model is missing, has no contract or breaks it, or takes symbols.

    Example:
        >>> from amrq.classifier import FamilyModel
        >>> model = FamilyModel()
        >>> tone = np.exp(2j * np.pi * 0.1 * np.arange(20_000)).astype(np.complex64)
        >>> chunks = model.prepare(tone, 100e3, edges=(9_500.0, 10_500.0))
        >>> chunks.shape, model.log_probabilities(chunks).shape == (1, len(model.families))
        ((1, 4096), True)
    """

    def __init__(self, model: str | os.PathLike[str] = "family", threads: int = 1) -> None:
        self._engine = OnnxEngine(model, threads)
        self.contract = self._engine.contract
        if self.contract.input != "samples":
            raise ModelError(
                f"model {printable(self.contract.name, 100)!r} takes symbols of a front end, not the samples of a "
                "signal: it is not a family model."
            )
        if self.contract.hypotheses or self.contract.level_input:
            raise ModelError(
                f"model {printable(self.contract.name, 100)!r} has hypotheses or a level input, which a family model "
                "has not."
            )
        self.families: tuple[str, ...] = self.contract.classes
        self.length: int = self.contract.chunk_length
        self.samples_per_bandwidth: float = self.contract.samples_per_bandwidth
        self._quick = quick_family(self._engine.path, self._engine.session, self.length, threads)

    def log_probabilities(self, chunks: _Chunks) -> NDArray[np.float32]:
        """Return the log-probability of each family for each chunk alone, calibrated; `exp` of a row sums to 1.

        Args:
            chunks: complex64 [n, length] of any level, as `prepare` returns them. Zeros at the ends are padding. A
                chunk that is silent or not finite says nothing: all families get the same probability.

        Returns:
            float32 [n, families], natural logarithms.

        Raises:
            AmrqError: the chunks are of another length.
            ModelError: the model's output is not finite.
        """
        if chunks.ndim != 2 or chunks.shape[1] != self.length:
            raise AmrqError(
                f"{self._engine.source} takes chunks of {self.length} samples, not an array of shape {chunks.shape}."
            )
        result = np.full((len(chunks), len(self.families)), -math.log(len(self.families)), np.float32)
        with np.errstate(over="ignore", invalid="ignore"):
            power = np.einsum("ij,ij->i", chunks, chunks.conj()).real / max(1, self.length)
            usable = (power > SILENCE_POWER) & np.isfinite(power)
        if not usable.any():
            return result
        good = chunks if usable.all() else chunks[usable]
        if self.contract.normalisation == "unit-rms":
            good = level_chunks(good)
        if self._quick is not None:
            logits = self._quick.scores(np.ascontiguousarray(good, np.complex64)).astype(np.float64)
        else:
            logits = self.scores(np.stack([good.real, good.imag], axis=1)).astype(np.float64)
        with np.errstate(over="ignore"):
            logits /= self.contract.temperature
        if not np.isfinite(logits).all():
            raise ModelError(
                f"{self._engine.source} gave outputs that are not finite: the model is not usable."
            )
        result[usable] = _log_softmax(logits)
        return result

    def scores(self, iq: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the model's outputs as they are, before they are calibrated, by all of its graph.

        Args:
            iq: float32 [n, 2, length], row 0 I and row 1 Q, normalised; n at least 1.

        Returns:
            float32 [n, families], logits.
        """
        return self._engine.run(np.ascontiguousarray(iq, dtype=np.float32), None)

    def together(self, log_probabilities: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
        """Return the log-probabilities of one signal, of which several chunks were weighed.

        The evidence of n chunks is summed and weighed with 1 / (1 + (n - 1) / n0), n0 being the contract's
        `fusion_chunks`: a model's errors repeat from chunk to chunk of a signal. Without n0 the sum counts in full.

        Args:
            log_probabilities: [n, families], as `log_probabilities` returns them; n at least 1.

        Returns:
            float32 [families]; `exp` of it sums to 1.

        Raises:
            AmrqError: there is no chunk.
        """
        if log_probabilities.ndim != 2 or len(log_probabilities) < 1:
            raise AmrqError("evidence of at least one chunk is needed.")
        count, n0 = len(log_probabilities), self.contract.fusion_chunks
        weight = 1 / (1 + (count - 1) / n0) if n0 else 1.0
        return _log_softmax(weight * log_probabilities.sum(axis=0, dtype=np.float64)[None])[0]

    def prepare(
        self,
        iq: NDArray[Any],
        sample_rate: float,
        edges: tuple[float, float] | None = None,
        most: int = _MOST,
    ) -> _Chunks:
        """Return a signal's samples as the model takes them.

        The middle between the edges becomes 0 Hz, the rate `samples_per_bandwidth` times their distance. What lies
        beyond the new rate is filtered off. A signal of at most one chunk stands in the middle of one, zeros around
        it. A longer one is cut into chunks that reach from its first sample to its last; where these would be more
        than `most`, there are `most`, spread evenly. Samples that are not finite count as zeros.

        Args:
            iq: complex [n].
            sample_rate: samples a second.
            edges: lower and upper edge of the signal, Hz from 0 Hz of `iq`; None: half the band of `iq`, that is
                from -sample_rate / 4 to sample_rate / 4.
            most: chunks, at most.

        Returns:
            complex64 [chunks, length], each of unit RMS outside its padding; no chunk where `iq` has no sample.

        Raises:
            AmrqError: a number is out of its range.
        """
        chunks = list(self.prepared(iq, sample_rate, edges, most))
        return np.concatenate(chunks) if chunks else np.zeros((0, self.length), np.complex64)

    def prepared(
        self,
        iq: NDArray[Any],
        sample_rate: float,
        edges: tuple[float, float] | None = None,
        most: int = _MOST,
    ) -> Iterator[_Chunks]:
        """Yield the chunks that `prepare` returns one by one, complex64 [1, length]: each is made when it is asked for.

        Raises:
            AmrqError: a number is out of its range.
        """
        lower, upper = edges if edges is not None else (-sample_rate / 4, sample_rate / 4)
        rate = self.samples_per_bandwidth * (upper - lower)
        if not (
            sample_rate > 0 and upper > lower and 1 / _LARGEST_RATIO <= rate / sample_rate <= _LARGEST_RATIO
        ):
            raise AmrqError(
                f"a signal from {engineering(lower, 'Hz')} to {engineering(upper, 'Hz')} cannot be taken out of "
                f"samples at {engineering(sample_rate, 'S/s', 6)}: the upper edge must lie above the lower, and the "
                "bandwidth must not be far smaller or larger than the rate."
            )
        if not 1 <= most <= _MOST_CHUNKS:
            raise AmrqError(f"most can be 1 to {_MOST_CHUNKS} chunks, not {most}.")
        samples = finite_samples(np.asarray(iq, dtype=np.complex64).ravel())
        step = sample_rate / rate
        whole = math.ceil(len(samples) / step) if len(samples) else 0
        count = min(most, -(-whole // self.length))
        middle = (lower + upper) / 2 / sample_rate
        if count == 1 and whole <= self.length:
            chunk = np.zeros((1, self.length), np.complex64)
            before = (self.length - whole) // 2
            chunk[0, before : before + whole] = _resampled(samples, 0.0, whole, step, middle)
            yield level_chunks(chunk)
            return
        for start in np.linspace(0, whole - self.length, count):
            yield level_chunks(_resampled(samples, start * step, self.length, step, middle)[None])


def _log_softmax(logits: NDArray[np.float64]) -> NDArray[np.float32]:
    shifted = logits - logits.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)), dtype=np.float32)


def _turned(samples: _Chunks, cycles: float) -> _Chunks:
    """Return samples moved in frequency, by cycles a sample; always a copy."""
    if not cycles:
        return samples.copy()
    native = kernels()
    if native is not None and native.has_emissions:
        return native.moved(samples, cycles)
    return samples * np.exp(2j * np.pi * cycles * np.arange(len(samples))).astype(np.complex64)


def _resampled(samples: _Chunks, start: float, count: int, step: float, middle: float) -> _Chunks:
    """Return samples at another rate, shifted in frequency and filtered.

    Args:
        samples: complex64 [n].
        start: place of the first sample wanted, in `samples`.
        count: how many are wanted.
        step: from one to the next, in `samples`; above or below 1.
        middle: what becomes 0 Hz, cycles a sample of `samples`.
    """
    margin = math.ceil(_MARGIN * max(step, 1.0))
    first = max(0, math.floor(start) - margin)
    last = min(len(samples), math.ceil(start + count * step) + margin)
    taken = _turned(samples[first:last], -middle)
    # What is cut out of a longer signal fades in and out, since a hard edge rings far.
    fade = (0.5 - 0.5 * np.cos(np.pi * (np.arange(margin) + 0.5) / margin)).astype(np.float32)
    if first > 0:
        taken[:margin] *= fade[: len(taken)]
    if last < len(samples):
        taken[-margin:] *= fade[::-1][-len(taken) :]
    from scipy import special  # a board's server has no SciPy

    from amrq import transforms as fft

    # Zeros behind what is there: a circle long enough that its ends do not meet, and quick to transform.
    size = int(fft.next_fast_len(len(taken) + margin))
    wanted = max(2, round(size / step))
    spectrum = fft.fft(taken, size)
    kept = np.zeros(wanted, np.complex64)
    half = min(size, wanted) // 2
    kept[:half], kept[wanted - half :] = spectrum[:half], spectrum[size - half :]
    # The filter is 1 up to where it falls, to single precision.
    falls = math.floor((_HALF - _FLAT * _FALL) * wanted)
    edge = (np.abs(np.arange(falls, wanted - falls) / wanted - 0.5) - (0.5 - _HALF)) / -_FALL
    kept[falls : wanted - falls] *= 0.5 * special.erfc(edge).astype(np.float32)
    # A part of a sample is a turn of the phase with frequency.
    place = (start - first) * wanted / size
    whole = math.floor(place)
    turn = (place - whole) / wanted
    if turn:
        kept[:half] = _turned(kept[:half], turn)
        kept[wanted - half :] = _turned(kept[wanted - half :], turn) * np.complex64(
            np.exp(-2j * np.pi * turn * half)
        )
    made = fft.ifft(kept) * np.float32(wanted / size)
    found = np.zeros(count, np.complex64)
    part = made[whole : whole + count]
    found[: len(part)] = part
    return found
