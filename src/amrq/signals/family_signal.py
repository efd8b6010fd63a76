# SPDX-License-Identifier: GPL-3.0-or-later
"""What a family of signals is: it draws parameters, and makes I/Q with them, at any number of samples a bandwidth.

A family is a row of a table: its name, a function that draws parameters and one that makes the signal at any sample
rate. All that families share stands here: levels that are held between edges, filters, data that are sent, the
occupied bandwidth, and the filter of a channel taken out of a band.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import fft, special

from amrq.classes import SignalClass
from amrq.errors import AmrqError

__all__ = [
    *(
        "CONTENTS",
        "FamilyClass",
        "FamilyParameters",
        "channel_filtered",
        "chosen",
        "data_symbols",
        "filtered",
    ),
    *("gaussian_response", "held_means", "log_uniform", "occupied_edges", "unit_power", "with_bandwidth"),
]

_Real = NDArray[np.floating[Any]]
_Iq = NDArray[np.complex64]

OVERSAMPLING = 2
"""Samples made for one that is delivered, so that the channel's filter has something to take off."""
_MARGIN = 24
"""Delivered samples at either end that are made and thrown away: ends of filters."""
_HALF, _FALL = 0.45, 0.02
"""Cycles a sample at which a channel's filter has half the amplitude, and how it falls: 34 dB down at 0.48. This is
`amrq.channel`'s filter within 2 dB, at the four samples a bandwidth of `amrq.scan`."""
_MEASURED = 8192
"""Samples that an occupied bandwidth is measured on."""
_OCCUPIED = 0.99

CONTENTS = ("random", "framed", "idle", "runs", "leader")
"""What is sent: random symbols; frames with preamble and sync word; a word again and again, then data; runs of equal
symbols; one symbol for a while, alternating ones, then data."""


@dataclass(frozen=True, kw_only=True)
class FamilyParameters:
    """What is told of a signal. Each family adds fields of its own; frequencies in Hz, times in seconds.

    Attributes:
        label: the most specific name, for example `GMSK`.
        bandwidth: occupied, Hz: 99 % of the power, or what the family's docstring says.
        symbol_rate: Bd; of pulses, one over the shortest. 0: it has none.
        content: what is sent, one of `CONTENTS` where there are symbols.
    """

    label: str = ""
    bandwidth: float = 1.0
    symbol_rate: float = 0.0
    content: str = "random"


_P = TypeVar("_P", bound=FamilyParameters)

Draw = Callable[[np.random.Generator], FamilyParameters]
Baseband = Callable[[Any, np.random.Generator, int, float], NDArray[Any]]


@dataclass(frozen=True)
class FamilyClass(SignalClass):
    """A family of signals over the whole range of its parameters.

    Attributes:
        name: of the family.
        draw: draws parameters.
        baseband: makes complex [samples] with given parameters at a sample rate in samples a second, its middle at
            0 Hz, from a random moment on. What exceeds half the sample rate may fold.
        core: part of the occupied bandwidth that a detector finds when the signal is weak: keying with hard edges and
            modulation beside a carrier show their middle only.
        narrow: share of receivers that are narrower than the signal.

    Example:
        >>> from amrq.signals import FAMILY_CLASSES
        >>> rng = np.random.default_rng(1)
        >>> parameters = FAMILY_CLASSES["fsk2"].draw(rng)
        >>> FAMILY_CLASSES["fsk2"].signal(parameters, rng, samples=1024).shape
        (1024,)
    """

    name: str
    draw: Draw
    baseband: Baseband
    core: float = 0.7
    narrow: float = 0.0

    @property
    def family(self) -> str:
        """The name."""
        return self.name

    def signal(
        self,
        parameters: FamilyParameters,
        rng: np.random.Generator,
        samples: int,
        samples_per_bandwidth: float = 4.0,
    ) -> _Iq:
        """Return complex64 [samples] of unit mean power, filtered as a channel out of a band is.

        Args:
            parameters: as `draw` gives them.
            rng: draws the content, the moment and the phase.
            samples: how many.
            samples_per_bandwidth: the sample rate over the occupied bandwidth, at least 1.

        Raises:
            AmrqError: a number is out of its range.
        """
        if samples < 1 or not 1 <= samples_per_bandwidth < 1e6:
            raise AmrqError(
                f"a signal needs at least 1 sample and 1 to 1e6 samples a bandwidth, not {samples} and "
                f"{samples_per_bandwidth:g}."
            )
        rate = samples_per_bandwidth * parameters.bandwidth
        total = int(fft.next_fast_len((samples + 2 * _MARGIN) * OVERSAMPLING))
        total += total % OVERSAMPLING
        fine = self.baseband(parameters, rng, total, rate * OVERSAMPLING)
        made = channel_filtered(fine, total // OVERSAMPLING)[_MARGIN : _MARGIN + samples]
        return unit_power(made)

    def render(self, rng: np.random.Generator, count: int, samples: int, rate: float = 4.0) -> _Iq:
        """Return pieces of unit power, each with parameters of its own; `rate` is samples a bandwidth.

        Raises:
            AmrqError: a number is out of its range.
        """
        pieces = [self.signal(self.draw(rng), rng, samples, rate) for _ in range(count)]
        return np.array(pieces, dtype=np.complex64).reshape(count, samples)


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """Draw a number whose logarithm is uniform."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def chosen(rng: np.random.Generator, weights: dict[str, float]) -> str:
    """Draw one of the names, each as often as its weight says."""
    place = rng.random() * sum(weights.values())
    for name, weight in weights.items():
        place -= weight
        if place < 0:
            return name
    return next(reversed(weights))


def unit_power(samples: NDArray[Any]) -> _Iq:
    """Return samples scaled to unit mean power; zeros stay zeros."""
    power = float(np.vdot(samples, samples).real) / max(1, len(samples))
    return np.asarray(samples / np.sqrt(power if power > 0 else 1.0), dtype=np.complex64)


def held_means(edges: _Real, levels: _Real, samples: int, sample_rate: float) -> _Real:
    """Return the mean, over each sample's time, of levels that are held between edges.

    The edges need not lie on samples: so a signal keyed at any rate is made without jitter.

    Args:
        edges: [n + 1] rising, seconds; before the first and after the last, the level is 0.
        levels: [n].
        samples: how many; the first begins at 0 s.
        sample_rate: samples a second.

    >>> held_means(np.array([0, 0.25, 0.75]), np.array([1.0, -1.0]), 4, 4.0).tolist()
    [1.0, -1.0, -1.0, 0.0]
    >>> held_means(np.array([0, 0.25, 0.75]), np.array([1.0, -1.0]), 2, 2.0).tolist()
    [0.0, -0.5]
    """
    area = np.concatenate([[0.0], np.cumsum(levels * np.diff(edges))])
    return np.diff(np.interp(np.arange(samples + 1) / sample_rate, edges, area)) * sample_rate


def filtered(samples: NDArray[Any], response: Callable[[_Real], NDArray[Any]]) -> NDArray[Any]:
    """Pass samples, real or complex, through a filter around a circle; `response` is over cycles a sample."""
    if np.iscomplexobj(samples):
        return np.asarray(fft.ifft(fft.fft(samples) * response(fft.fftfreq(len(samples)))))
    return np.asarray(fft.irfft(fft.rfft(samples) * response(fft.rfftfreq(len(samples))), len(samples)))


def gaussian_response(bandwidth: float) -> Callable[[_Real], _Real]:
    """Return the response of a Gaussian filter, 3 dB down at `bandwidth` (cycles a sample)."""
    return lambda f: np.exp(-np.log(2) / 2 * np.square(f / bandwidth))


def channel_filtered(fine: NDArray[Any], samples: int) -> _Iq:
    """Return a channel at a lower rate, with the filter of `amrq.channel`: flat to 0.4 of the new rate, off at half."""
    spectrum = fft.fft(np.asarray(fine, dtype=np.complex64))
    half = samples // 2
    kept = np.concatenate([spectrum[: samples - half], spectrum[len(fine) - half :]])
    kept *= channel_response(samples)
    return np.asarray(fft.ifft(kept) * np.float32(samples / len(fine)), dtype=np.complex64)


@lru_cache(maxsize=32)
def channel_response(samples: int) -> NDArray[np.float32]:
    """Return the response of the channel's filter at the frequencies of a transform of so many samples."""
    beyond = (np.abs(fft.fftfreq(samples)) - _HALF) / _FALL
    return np.asarray(0.5 * special.erfc(beyond), dtype=np.float32)


@lru_cache(maxsize=4)
def _window(samples: int) -> NDArray[np.float32]:
    return np.hanning(samples).astype(np.float32)


def occupied_edges(iq: NDArray[Any], sample_rate: float, share: float = _OCCUPIED) -> tuple[float, float]:
    """Return the edges (Hz) that as much of the power lies below as above, and `share` of it between.

    >>> tone = np.exp(2j * np.pi * 0.125 * np.arange(800))
    >>> [round(edge) for edge in occupied_edges(tone, 800.0)]
    [99, 101]
    """
    spectrum = fft.fft(np.asarray(iq, dtype=np.complex64) * _window(len(iq)))
    power = spectrum.real**2 + spectrum.imag**2
    total = np.cumsum(fft.fftshift(power), dtype=np.float64)
    total /= total[-1]
    step = sample_rate / len(iq)
    edges = np.interp([(1 - share) / 2, (1 + share) / 2], total, np.arange(len(iq)) - len(iq) // 2 + 0.5)
    return float(edges[0] * step), float(edges[1] * step)


def with_bandwidth(parameters: _P, rng: np.random.Generator, baseband: Baseband, sample_rate: float) -> _P:
    """Return the parameters with the occupied bandwidth that is measured of a long piece with random content."""
    plain = replace(parameters, content="random", bandwidth=sample_rate / 4)
    iq = baseband(plain, rng, _MEASURED, sample_rate)
    lower, upper = occupied_edges(iq, sample_rate)
    return replace(parameters, bandwidth=upper - lower)


def data_symbols(rng: np.random.Generator, count: int, order: int, content: str) -> NDArray[np.int64]:
    """Draw symbols 0 to `order` - 1 as something sends them.

    >>> int(data_symbols(np.random.default_rng(1), 1000, 4, "framed").max())
    3
    """
    symbols = rng.integers(order, size=count)
    if content == "framed":
        frame = int(rng.integers(32, 400))
        preamble, sync = int(rng.integers(6, frame // 3)), int(rng.integers(8, frame // 3))
        place = (np.arange(count) + int(rng.integers(frame))) % frame
        symbols = np.where(place < preamble, (place & 1) * (order - 1), symbols)
        word = rng.integers(order, size=sync)
        inside = (place >= preamble) & (place < preamble + sync)
        symbols[inside] = word[place[inside] - preamble]
    elif content == "idle":
        word = rng.integers(order, size=int(rng.integers(6, 48)))
        word[0], word[-1] = 0, order - 1  # never one symbol alone
        until = int(rng.uniform(0.1, 1.2) * count)
        symbols[:until] = np.resize(word, until)[:count]
    elif content == "runs":
        changes = rng.random(count) < rng.uniform(0.4, 0.8)
        symbols = symbols[np.maximum.accumulate(np.where(changes, np.arange(count), 0))]
    elif content == "leader":
        steady, until = np.sort(rng.uniform(0, 0.7, 2) * count).astype(np.int64)
        symbols[:until] = (np.arange(until) & 1) * (order - 1)
        symbols[:steady] = (order - 1) * int(rng.integers(2))
    return np.asarray(symbols)


def drawn_content(rng: np.random.Generator) -> str:
    """Draw what is sent."""
    return chosen(rng, {"random": 0.68, "framed": 0.14, "idle": 0.07, "runs": 0.07, "leader": 0.04})


def symbol_edges(
    rng: np.random.Generator, samples: int, sample_rate: float, symbol_rate: float
) -> tuple[_Real, int]:
    """Return the edges (s) of symbols that cover so many samples, from a random moment of a symbol on; and how many."""
    count = int(np.ceil(samples / sample_rate * symbol_rate)) + 2
    return (np.arange(count + 1) - rng.random()) / symbol_rate, count


def phasor(phase: NDArray[Any]) -> _Iq:
    """Return exp(2 pi i phase), phase in cycles, in single precision."""
    angle = (2 * np.pi * (phase - np.floor(phase))).astype(np.float32)
    out = np.empty(len(angle), dtype=np.complex64)
    np.cos(angle, out=out.real)
    np.sin(angle, out=out.imag)
    return out


def gaussian_noise(rng: np.random.Generator, samples: int) -> _Iq:
    """Draw circular complex noise of unit power."""
    pairs = rng.standard_normal(2 * samples, dtype=np.float32) * np.float32(np.sqrt(0.5))
    return pairs.view(np.complex64)
