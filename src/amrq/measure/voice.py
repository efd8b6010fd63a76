# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether audio is a voice: syllables and pauses in its level, and a pitch in much of what is heard.

A syllable lasts an eighth to half a second (Houtgast and Steeneken 1985: the level of speech varies at 2 to 8 Hz), so
that the level of pieces of 45 ms varies by 5 dB and more, that of modems, tones and noise by less than 1 dB, that of
music by 1 to 4 dB. Vowels repeat with the pitch of a voice, 75 to 330 Hz (Peterson and Barney 1952): the magnitude of
a piece's autocorrelation falls and comes back after one period. The magnitude does not depend on where the carrier
is, so that a single sideband need not be demodulated.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from amrq import transforms as fft
from amrq.chunks import finite_samples
from amrq.errors import AmrqError
from amrq.measure.frequency_keying import instantaneous_frequency
from amrq.measure.looks import hann

__all__ = ["AudioKind", "Voice", "am_audio", "measure_voice"]

AudioKind = Literal["am", "fm", "ssb"]

_LEAST_SAMPLES = 512
_PIECE, _HOP = 0.045, 0.015
"""Seconds of a piece, and from one to the next."""
_FEWEST = 14
"""Pieces, a quarter of a second: fewer do not tell syllables."""
_PITCH = 75.0, 330.0
"""Hz."""
_FALLS, _COMES_BACK = 0.4, 0.5
"""Autocorrelation over that of lag 0: how far it falls before the pitch's period, and what it comes back to."""
_OVER_NOISE, _QUIETEST, _FLOOR = 2.0, 0.01, 0.003
"""Of the noise's power, and of the loudest piece's: pieces with less are not heard; and where levels are cut off."""
_SYLLABLES, _STEADY = (3.5, 5.5), 1.2
"""dB: variation of levels, below the first of which it is no voice, from the second on one; what is below is steady."""
_FEWEST_VOICED, _VOICED = 4, (0.1, 0.25)
"""Pieces with a pitch, at least; their share of those that are heard."""
_GLIDE, _GLIDES = 0.12, (0.3, 0.5)
"""Of a pitch, that it changes by from piece to piece; share of pairs of pieces in which it does not change by more."""
_AUDIO = 3.8e3
"""Hz: a voice has nothing above, or nothing that counts."""
_CARRIER = 30.0
"""Hz on either side of AM's carrier that are followed."""
_LOWEST = 280.0
"""Hz: what is below, in FM's audio, is a tone squelch."""
_MOST_SAMPLES = 48_000

_Reals = NDArray[np.float64]
_Complex = NDArray[np.complex128]


@dataclass(frozen=True)
class Voice:
    """What was measured of an audio.

    Attributes:
        likely: how clearly it is a voice, 0 to 1; 0 where the look is too short to tell.
        steady: its level varies by less than that of any voice; False where the look is too short to tell.
        variation: of its level, dB: standard deviation over pieces of 45 ms.
        voiced: share of the pieces that are heard in which there is a pitch, 0 to 1.
        pitch: median pitch, Hz; None where there is none.
        pieces: that were looked at.
    """

    likely: float = 0.0
    steady: bool = False
    variation: float = 0.0
    voiced: float = 0.0
    pitch: float | None = None
    pieces: int = 0


def measure_voice(
    iq: NDArray[np.complex64],
    sample_rate: float,
    bandwidth: float,
    kind: AudioKind,
    noise_density: float = 0.0,
) -> Voice:
    """Measure whether the audio of an emission about 0 Hz is a voice; of AM the carrier is at 0 Hz.

    Args:
        iq: complex [N], the emission about 0 Hz.
        sample_rate: samples a second, above 0.
        bandwidth: of the emission, Hz, above 0.
        kind: of its modulation: `am`, `fm` (narrow) or `ssb`.
        noise_density: of the noise, power per Hz; of AM it is measured.

    Raises:
        AmrqError: sample rate or bandwidth is not above 0.

    >>> rate, time = 16e3, np.arange(16_000) / 16e3
    >>> pulses = np.sum([np.cos(2 * np.pi * 120 * k * time) / k for k in range(2, 20)], axis=0)
    >>> syllables = np.clip(np.sin(2 * np.pi * 4 * time), 0.03, 1)
    >>> found = measure_voice(1 + 0.2 * syllables * pulses + 0j, rate, 6e3, "am")
    >>> found.likely > 0.5, round(found.pitch, -1), found.steady
    (True, 120.0, False)
    >>> measure_voice(1 + 0.2 * np.sin(2 * np.pi * 700 * time) + 0j, rate, 6e3, "am").steady
    True
    """
    if not 0 < sample_rate < math.inf or not 0 < bandwidth < math.inf:
        raise AmrqError(
            f"sample rate and bandwidth must be above 0 Hz, not {sample_rate:g} and {bandwidth:g}."
        )
    iq = finite_samples(iq)
    bandwidth = min(bandwidth, sample_rate / 1.2)
    if len(iq) < _LEAST_SAMPLES or not np.any(iq):
        return Voice()
    made = {"am": _of_am, "fm": _of_fm, "ssb": _of_ssb}[kind]
    audio, rate, noise = made(iq, sample_rate, bandwidth, max(noise_density, 0.0))
    return _in_pieces(audio, rate, noise)


def _in_pieces(audio: _Complex, rate: float, noise: float) -> Voice:
    """Return what is told of an audio, complex [N] with noise of a power in it."""
    length, hop = int(_PIECE * rate), max(1, int(_HOP * rate))
    least, most = int(rate / _PITCH[1]), min(math.ceil(rate / _PITCH[0]), int(0.6 * length))
    if len(audio) < length or most <= least or least < 1:
        return Voice()
    window = hann(length)
    pieces = np.lib.stride_tricks.sliding_window_view(audio, length)[::hop] * window
    size = fft.next_fast_len(2 * length)
    same = np.abs(fft.ifft(np.square(np.abs(fft.fft(pieces, size, axis=1))), axis=1))
    own = np.abs(fft.ifft(np.square(np.abs(fft.fft(window, size)))))
    power = same[:, 0] / float(own[0])
    clean = np.maximum(same[:, :1] - noise * float(own[0]), 1e-3 * same[:, :1] + 1e-300)
    like = np.minimum(same[:, : most + 1] / own[: most + 1] * own[0] / clean, 1.2)
    back = like - np.minimum.accumulate(like, axis=1)
    back[:, :least] = 0
    lag = np.argmax(back, axis=1)
    each = np.arange(len(lag))
    loudest = float(power.max())
    heard = power > max(_OVER_NOISE * noise, _QUIETEST * loudest)
    has = heard & (back[each, lag] > _FALLS) & (like[each, lag] > _COMES_BACK)
    levels = 10 * np.log10(np.maximum(power - noise, _FLOOR * loudest) + 1e-300)
    variation, count = float(levels.std()), int(np.count_nonzero(has))
    voiced = count / max(int(np.count_nonzero(heard)), 1)
    steps = np.abs(np.diff(np.log(np.maximum(lag, 1))))[has[1:] & has[:-1]]
    likely = 0.0
    if len(power) >= _FEWEST and count >= _FEWEST_VOICED and len(steps):
        glides = float(np.mean(steps < _GLIDE))
        likely = _ramp(variation, _SYLLABLES) * _ramp(voiced, _VOICED) * _ramp(glides, _GLIDES)
    return Voice(
        likely=likely,
        steady=len(power) >= _FEWEST and variation < _STEADY,
        variation=variation,
        voiced=voiced,
        pitch=rate / float(np.median(lag[has])) if count else None,
        pieces=len(power),
    )


def _ramp(value: float, ends: tuple[float, float]) -> float:
    """Return 0 at the first end and below, 1 at the second and above."""
    return min(max((value - ends[0]) / (ends[1] - ends[0]), 0.0), 1.0)


def am_audio(iq: NDArray[np.complex64], rate: float, width: float) -> tuple[_Complex, float, float]:
    """Return AM's audio, its rate and its noise: what is in quadrature with the carrier is as strong.

    Args:
        iq: complex [N], the carrier near 0 Hz.
        rate: samples a second.
        width: of the emission, Hz: twice the highest frequency of the audio.
    """
    away = np.abs(fft.fftfreq(len(iq), 1 / rate))
    edge = max(_CARRIER / 2, 2 * rate / len(iq))
    line = fft.ifft(fft.fft(iq) * np.clip((_CARRIER + edge - away) / edge, 0, 1))
    size = np.abs(line)
    size = np.maximum(size, 0.3 * float(size.mean()) + 1e-300)
    part, rate = _narrowed(iq * np.conj(line) / size, rate, width)
    ends = min(len(part) // 8, math.ceil(rate / _CARRIER))
    part = part[ends : len(part) - ends]
    audio = part.real - float(part.real.mean())
    return audio.astype(np.complex128), rate, float(np.mean(np.square(part.imag)))


def _of_am(
    iq: NDArray[np.complex64], rate: float, width: float, density: float
) -> tuple[_Complex, float, float]:
    return am_audio(iq, rate, min(width, 2 * _AUDIO))


def _of_fm(
    iq: NDArray[np.complex64], rate: float, width: float, density: float
) -> tuple[_Complex, float, float]:
    """Return FM's audio, its rate and its noise, whose density grows with the square of the frequency."""
    power = float(np.mean(np.square(np.abs(iq)))) - density * rate
    frequency, rate, _ = instantaneous_frequency(iq, rate, width, _MOST_SAMPLES)
    top = min(_AUDIO, 0.45 * width)
    spectrum, at = (
        fft.rfft(frequency - float(frequency.mean())),
        fft.rfftfreq(len(frequency), 1 / rate),
    )
    spectrum[(at > top) | (at < _LOWEST)] = 0
    part, rate = _narrowed(fft.irfft(spectrum, len(frequency)).astype(np.complex128), rate, 2.2 * top)
    noise = 2 / 3 * density / power * top**3 if power > 0 else math.inf
    return part, rate, min(noise, float(np.mean(np.square(np.abs(part)))))


def _of_ssb(
    iq: NDArray[np.complex64], rate: float, width: float, density: float
) -> tuple[_Complex, float, float]:
    """Return a sideband at a rate little above its width, and the noise in it."""
    part, rate = _narrowed(iq.astype(np.complex128), rate, 1.1 * width)
    return part, rate, density * rate


def _narrowed(values: _Complex, rate: float, width: float) -> tuple[_Complex, float]:
    """Return the part of a band within a width at a rate of about that width."""
    count = len(values)
    kept = min(count, fft.next_fast_len(max(64, math.ceil(width / rate * count))))
    chosen = (np.arange(kept) - kept // 2) % count
    part = fft.ifft(np.fft.ifftshift(fft.fft(values)[chosen])) * (kept / count)
    return np.asarray(part), rate * kept / count
