# SPDX-License-Identifier: GPL-3.0-or-later
"""A transmitter of the tests' own: pulses that `amrq.signals` does not make, at any rate, with neighbours."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import signal

__all__ = ["PULSES", "Sent", "in_noise", "sent", "with_neighbour"]

_Samples = NDArray[np.complex128]


def _root_raised_cosine(t: NDArray[np.float64], rolloff: float) -> NDArray[np.float64]:
    t = t + 1e-9
    over = np.sin(np.pi * t * (1 - rolloff)) + 4 * rolloff * t * np.cos(np.pi * t * (1 + rolloff))
    return over / (np.pi * t * (1 - (4 * rolloff * t) ** 2))


def _raised_cosine(t: NDArray[np.float64], rolloff: float) -> NDArray[np.float64]:
    t = t + 1e-9
    return np.sinc(t) * np.cos(np.pi * rolloff * t) / (1 - (2 * rolloff * t) ** 2)


_SHAPES = {
    "root raised cosine 0.1": (24, lambda t: _root_raised_cosine(t, 0.1)),
    "root raised cosine 0.35": (12, lambda t: _root_raised_cosine(t, 0.35)),
    "root raised cosine 1": (12, lambda t: _root_raised_cosine(t, 1.0)),
    "raised cosine 0.3": (12, lambda t: _raised_cosine(t, 0.3)),
    "half sine": (1, lambda t: np.where(np.abs(t) < 0.5, np.cos(np.pi * t), 0.0)),
    "Gaussian": (3, lambda t: np.exp(-0.5 * np.pi**2 * t**2 / np.log(2))),
}
PULSES = (*_SHAPES, "rectangular", "rectangular, filtered")
_WIDTHS = {"root raised cosine 0.1": 1.1, "root raised cosine 0.35": 1.35, "raised cosine 0.3": 1.3}
_POINTS = {
    "BPSK": np.array([1, -1]),
    "QPSK": np.exp(0.5j * np.pi * np.arange(4)),
    "8PSK": np.exp(0.25j * np.pi * np.arange(8)),
    "16QAM": (np.arange(-3, 4, 2)[:, None] + 1j * np.arange(-3, 4, 2)).ravel(),
    "4ASK": np.arange(-3.0, 4, 2),
}


@dataclass(frozen=True)
class Sent:
    """What was sent, and how."""

    samples: _Samples
    pulse: str
    samples_per_symbol: float
    offset: float  # cycles a sample


def sent(
    generator: np.random.Generator, pulse: str, samples_per_symbol: float, count: int, offset: float = 0.0
) -> Sent:
    """Return a signal of unit power, of a constellation that is drawn."""
    points = _POINTS[generator.choice(list(_POINTS))]
    symbols = generator.choice(points, int(count / samples_per_symbol) + 64)
    begin = generator.uniform(0, 1)
    if pulse.startswith("rectangular"):
        samples = symbols[np.floor(np.arange(count) / samples_per_symbol + begin).astype(int)].astype(complex)
        if pulse.endswith("filtered"):
            samples = signal.lfilter(*signal.butter(3, min(0.95, 1.5 / samples_per_symbol)), samples)
    else:
        reach, shape = _SHAPES[pulse]
        place = np.arange(count) / samples_per_symbol + begin + reach
        nearest = np.round(place).astype(int)
        samples = sum(
            symbols[nearest + away] * shape(place - nearest - away) for away in range(-reach, reach + 1)
        )
    samples = samples / np.sqrt(np.mean(np.abs(samples) ** 2))
    return Sent(samples * np.exp(2j * np.pi * offset * np.arange(count)), pulse, samples_per_symbol, offset)


def with_neighbour(generator: np.random.Generator, first: Sent) -> _Samples:
    """Return a signal beside one as strong, of another symbol rate, that does not overlap with it."""
    rate = generator.uniform(0.6, 1.5) / first.samples_per_symbol
    width = _WIDTHS.get(first.pulse, 2.0) / first.samples_per_symbol + 1.35 * rate
    place = first.offset + generator.choice([-1, 1]) * width / 2 * generator.uniform(1.1, 1.5)
    return (
        first.samples
        + sent(generator, "root raised cosine 0.35", 1 / rate, len(first.samples), place).samples
    )


def in_noise(
    samples: _Samples, es_n0_db: float, samples_per_symbol: float, generator: np.random.Generator
) -> NDArray[np.complex64]:
    """Return a signal of unit power in noise of so much less a symbol, at a level that is drawn."""
    noise = generator.normal(size=(2, len(samples))) * np.sqrt(samples_per_symbol / 10 ** (es_n0_db / 10) / 2)
    return ((samples + noise[0] + 1j * noise[1]) * 10 ** generator.uniform(-3, 0)).astype(np.complex64)
