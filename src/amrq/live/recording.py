# SPDX-License-Identifier: GPL-3.0-or-later
"""A recording as a session takes it: its symbol rate, offset and origin."""

import math
import threading

import numpy as np
from numpy.typing import NDArray

from amrq.errors import AmrqError
from amrq.measure import SymbolRate, estimate_symbol_rate
from amrq.model import find_model
from amrq.outputs import Origin
from amrq.recordings import Recording, SampleStream, band_of_signal
from amrq.text import engineering

__all__ = [
    "LOOKED_AT",
    "SURE",
    "look_for_symbol_rate",
    "recording_offset",
    "recording_origin",
    "recording_symbol_rate",
    "unclear",
]

_KEPT = 2.0
"""Of a real recording, so many times the width of its signal is looked at."""
LOOKED_AT = 1 << 17
"""Samples that a symbol rate is estimated from."""
SURE = 0.999
"""Confidence from which an estimate is believed."""


def look_for_symbol_rate(
    samples: NDArray[np.complex64], sample_rate: float, offset: float
) -> SymbolRate | None:
    """Return the estimate for a signal at an offset in Hz; None where samples give none: too few, or silence.

    Samples that are not finite count as zeros.
    """
    samples = np.where(np.isfinite(samples), samples, np.complex64(0))
    if offset:
        samples = samples * np.exp(-2j * np.pi * offset / sample_rate * np.arange(len(samples)))
    try:
        return estimate_symbol_rate(np.asarray(samples, dtype=np.complex64), sample_rate)
    except AmrqError:
        return None


def unclear(found: SymbolRate | None) -> str:
    """Say that an estimate is not to be believed, as the subject and verb of a sentence."""
    if found is None:
        return "no symbol rate is to be seen"
    if found.confidence < 0.01:
        return "its symbol rate is not clear (none stands out of the noise)"
    # Rounded down: what is not enough must not look like 1.
    confidence = math.floor(1000 * found.confidence) / 1000
    perhaps = f"perhaps {engineering(found.rate, 'Bd', 6)}, with a confidence of {confidence:.3f}"
    return f"its symbol rate is not clear ({perhaps} where {SURE:g} is needed)"


def recording_symbol_rate(
    recording: Recording | SampleStream,
    offset: float = 0.0,
    start: int = 0,
    interrupted: threading.Event | None = None,
) -> SymbolRate:
    """Return the symbol rate of a recording's signal, from its first 131,072 samples after `start`.

    Args:
        recording: what is looked at; a stream is looked at from where it stands, and loses nothing.
        offset: where in its band the signal lies, Hz.
        start: first sample of a recording.
        interrupted: set to wait no longer for a stream.

    Raises:
        AmrqError: it is not clear.
        KeyboardInterrupt: `interrupted` was set.
    """
    samples = _first_samples(recording, start, interrupted or threading.Event())
    sample_rate = recording.sample_rate
    if isinstance(recording, Recording) and recording.real:
        samples, sample_rate = _narrowed(samples, sample_rate, offset)
        offset = 0.0
    found = look_for_symbol_rate(samples, sample_rate, offset)
    if found is None or found.confidence < SURE:
        name = recording.name if isinstance(recording, SampleStream) else recording.path
        raise AmrqError(f"{name}: {unclear(found)}: give it (--symbol-rate).")
    return found


def _narrowed(
    samples: NDArray[np.complex64], sample_rate: float, offset: float
) -> tuple[NDArray[np.complex64], float]:
    """Return the signal at an offset alone, and its sample rate.

    In a receiver's audio most of the band is empty, and nothing is to be learnt of a symbol rate there.
    """
    samples = np.where(np.isfinite(samples), samples, np.complex64(0))
    width = _KEPT * band_of_signal(samples, sample_rate)[1]
    kept = min(len(samples), max(1024, round(width / sample_rate * len(samples))))
    spectrum = np.roll(np.fft.fft(samples), kept // 2 - round(offset / sample_rate * len(samples)))[:kept]
    narrow = np.fft.ifft(np.roll(spectrum, -(kept // 2)))
    return narrow.astype(np.complex64), sample_rate * kept / len(samples)


def recording_offset(recording: Recording | SampleStream, offset: float | None, start: int = 0) -> float:
    """Return where in its band the signal lies, Hz: what is given, else the middle.

    The middle of a real recording is its 0 Hz, where no signal is: there the strongest signal is looked for.
    """
    if offset is not None or isinstance(recording, SampleStream) or not recording.real:
        return offset or 0.0
    return band_of_signal(_first_samples(recording, start, threading.Event()), recording.sample_rate)[0]


def _first_samples(
    recording: Recording | SampleStream, start: int, interrupted: threading.Event
) -> NDArray[np.complex64]:
    if isinstance(recording, SampleStream):
        samples = recording.head(LOOKED_AT, interrupted.is_set)
        if interrupted.is_set():
            raise KeyboardInterrupt
        return samples
    start = min(start, recording.length - 1)
    return recording.read(start, min(recording.length - start, LOOKED_AT))


def recording_origin(
    recording: Recording | SampleStream,
    model: str,
    symbol_rate: float,
    start: float = 0.0,
    offset: float = 0.0,
) -> Origin:
    """Return the origin of decisions on a recording.

    Args:
        recording: what is classified; a stream tells neither time nor frequency.
        model: an ONNX file, a shipped model's name, or `default`.
        symbol_rate: symbols a second.
        start: seconds into the recording that classifying begins.
        offset: of the signal from the middle of the band, Hz.
    """
    file = find_model(model)
    if isinstance(recording, SampleStream):
        digest, rate = Origin.hash_of(file), recording.sample_rate
        return Origin(recording.name, symbol_rate, file.stem, digest, start=start, sample_rate=rate)
    return Origin(
        source=str(recording.path),
        symbol_rate=symbol_rate,
        model=file.stem,
        model_sha256=Origin.hash_of(file),
        start=start,
        begun=recording.begun,
        times=tuple((sample / recording.sample_rate, moment) for sample, moment in recording.times),
        sample_rate=recording.sample_rate,
        tunings=tuple((sample / recording.sample_rate, hz + offset) for sample, hz in recording.tunings),
    )
