# SPDX-License-Identifier: GPL-3.0-or-later
"""Signals of all families by a second generator, with no code of the library: what a model was not trained on.

`amrq.signals` makes what models are trained on and measurements are held against. These signals are made another way:
the rates and deviations of systems that are on the air, frames with preambles and checksums, voices of pulses and
formants, Morse of words, filters as impulse responses in time. `transmitters.py` makes the linear ones.

A `Stranger` is a signal without noise at a rate of some eight bandwidths; its occupied bandwidth is measured.
"""

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from stranger_analog import am, carrier, fm_narrow, fm_wide, noise, ook, pulse, ssb
from stranger_digital import chirp, dsss, fsk2, fsk4, fskm, linear, ofdm, oqpsk, pi4dqpsk
from stranger_waves import Made

__all__ = ["STRANGERS", "Stranger", "occupied", "received_stranger", "stranger"]

_Complex = NDArray[np.complex128]
Rng = np.random.Generator


class Stranger(NamedTuple):
    """A signal: of which family, what was made, and the lower and upper edge (Hz) of 99 % of its power."""

    family: str
    made: Made
    lower: float
    upper: float


def occupied(iq: _Complex, rate: float, share: float = 0.99) -> tuple[float, float]:
    """Return the edges, Hz, between which `share` of the power is, from spectra of pieces."""
    size = min(4096, 1 << (len(iq).bit_length() - 1))
    pieces = iq[: len(iq) // size * size].reshape(-1, size) * np.hanning(size)
    power = np.fft.fftshift(np.sum(np.abs(np.fft.fft(pieces, axis=1)) ** 2, axis=0))
    part = np.cumsum(power) / power.sum()
    ends = np.searchsorted(part, [(1 - share) / 2, (1 + share) / 2])
    return (ends[0] - size // 2 - 0.5) * rate / size, (ends[1] - size // 2 + 0.5) * rate / size


STRANGERS: Mapping[str, Callable[[Rng], Made]] = {
    one.__name__: one
    for one in (
        *(noise, carrier, am, ssb, fm_narrow, fm_wide, ook, pulse, fsk2, fsk4, fskm),
        *(linear, pi4dqpsk, oqpsk, ofdm, chirp, dsss),
    )
}
"""A function for each family."""


def stranger(family: str, rng: Rng) -> Stranger:
    """Return a signal of a family, of unit mean power, gaps counted."""
    made = STRANGERS[family](rng)
    lower, upper = occupied(made.iq, made.rate)
    if made.bandwidth:
        lower, upper = -made.bandwidth / 2, made.bandwidth / 2
    level = math.sqrt(float(np.mean(np.abs(made.iq) ** 2)))
    return Stranger(family, made._replace(iq=made.iq / level), lower, upper)


def received_stranger(one: Stranger, snr_db: float, rng: Rng) -> tuple[NDArray[np.complex64], float]:
    """Return a band with the signal, and its noise density: a path with an echo, the oscillator, two rails, noise.

    The echo is there in a quarter, 6 to 20 dB down; a quarter have a mirror image at -25 to -40 dB, a quarter an
    oscillator that wanders, a quarter 8 bits.
    """
    made = one.made
    x, count = made.iq, len(made.iq)
    wide = one.upper - one.lower
    if rng.random() < 0.25:
        late = int(rng.exponential(0.4) * made.rate / wide) + 1
        path = 10 ** (-rng.uniform(6, 20) / 20) * np.exp(2j * np.pi * rng.random())
        x = x + path * np.roll(x, late)
    if rng.random() < 0.25:
        walk = np.cumsum(rng.standard_normal(count)) * rng.uniform(0.002, 0.03) * math.sqrt(wide / made.rate)
        x = x * np.exp(1j * walk)
    x = x * np.exp(2j * np.pi * rng.random())
    if rng.random() < 0.25:
        x = x + 10 ** (-rng.uniform(25, 40) / 20) * np.exp(2j * np.pi * rng.random()) * x.conj()
    density = 10 ** (-snr_db / 10) / wide
    x = x + rng.standard_normal(2 * count).view(np.complex128) * math.sqrt(density * made.rate / 2)
    level = 10 ** rng.uniform(-2.5, -0.7)
    x = x * level
    if rng.random() < 0.25:
        step = 4 * float(np.std(x)) / 128
        x = step * (np.round(x.real / step) + 1j * np.round(x.imag / step))
    return x.astype(np.complex64), density * level**2
