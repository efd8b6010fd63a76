# SPDX-License-Identifier: GPL-3.0-or-later
"""How fast a carrier drifts, from the product of its samples with those half a look later.

That product of a carrier whose frequency changes steadily is a tone, at the rate of the change times the half look
(Peleg and Porat 1991). Keys and audio that leave a carrier leave that tone as well, and it is right to a step of the
look's spectrum: turned back, the carrier is a line again, and its sidebands are where they would be without drift.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from amrq.measure.looks import checked_look, line_place, squares

__all__ = ["Drift", "measure_drift", "steadied"]

_LEAST_SAMPLES = 512
_STEPS = 3
"""Steps of the look's spectrum to either side of a line that belong to it: Hann's window widens it to two."""

_MOST = 0.75
"""Of the bandwidth: that the frequency changes by in half a look, at most."""
_AROUND = 1.3
"""Of the bandwidth: where the carrier's line is looked for."""

_Samples = NDArray[np.complex64]


class Drift(NamedTuple):
    """How a carrier drifts.

    Attributes:
        rate: of its frequency, Hz a second.
        through: Hz that it drifts through in the look, at least 0.
        gathered: share of the power within the bandwidth that is in one line once the drift is taken off, 0 to 1.
        still: the same as it is.
    """

    rate: float = 0.0
    through: float = 0.0
    gathered: float = 0.0
    still: float = 0.0


def measure_drift(
    iq: _Samples, sample_rate: float, bandwidth: float | None = None, noise_density: float | None = None
) -> Drift:
    """Measure how fast the carrier of an emission about 0 Hz drifts.

    Args:
        iq: complex [N], the emission about 0 Hz.
        sample_rate: samples a second, above 0.
        bandwidth: of the emission (99 %), right to some 20 %, Hz; None: 0.8 of the sample rate. A carrier that drifts
            through more than half as much again is not found.
        noise_density: of the noise, power a Hz, which is taken off; None where it is not known.

    Raises:
        AmrqError: the sample rate is not above 0.

    >>> time = np.arange(8000) / 8e3
    >>> found = measure_drift(np.exp(1j * np.pi * 300 * time**2), 8e3, 1e3)
    >>> round(found.rate), found.gathered > 0.9, found.still < 0.2
    (300, True, True)
    """
    iq, width = checked_look(iq, sample_rate, bandwidth)
    half = len(iq) // 2
    if half < _LEAST_SAMPLES // 2 or not np.any(iq):
        return Drift()
    seconds = half / sample_rate
    product = iq[half : 2 * half] * np.conj(iq[:half])
    lines = squares(fft.fft(product * np.hanning(half).astype(np.float32)))
    near = np.abs(fft.fftfreq(half, 1 / sample_rate)) < min(_MOST * width, sample_rate / 2)
    top = int(np.argmax(np.where(near, lines, 0.0)))
    place = line_place(lines, top)
    place -= half if place > half / 2 else 0
    rate = place / half * sample_rate / seconds
    return Drift(
        rate,
        abs(rate) * len(iq) / sample_rate,
        _in_line(steadied(iq, sample_rate, rate), sample_rate, width, noise_density or 0.0),
        _in_line(iq, sample_rate, width, noise_density or 0.0),
    )


def steadied(iq: _Samples, sample_rate: float, rate: float) -> _Samples:
    """Return samples with a drift taken off: frequencies are those in the middle of the look.

    Args:
        iq: complex [N].
        sample_rate: samples a second.
        rate: of the drift, Hz a second.

    >>> time = (np.arange(400) - 199.5) / 100
    >>> bool(np.ptp(np.angle(steadied(np.exp(1j * np.pi * 20 * time**2), 100.0, 20.0))) < 1e-3)
    True
    """
    time = (np.arange(len(iq)) - (len(iq) - 1) / 2) / sample_rate
    cycles = 0.5 * rate * time * time
    angle = (-2 * math.pi * (cycles - np.floor(cycles))).astype(np.float32)
    return np.asarray(iq * (np.cos(angle) + 1j * np.sin(angle)), dtype=np.complex64)


def _in_line(iq: _Samples, sample_rate: float, width: float, noise: float) -> float:
    """Return the share of the power within a bandwidth that is in its strongest line."""
    window = np.hanning(len(iq)).astype(np.float32)
    power = squares(fft.fft(iq * window)).astype(np.float64) - noise * sample_rate * float(window @ window)
    # A box's edge may lie in the drift: what is a little beyond it counts.
    inside = np.abs(fft.fftfreq(len(iq), 1 / sample_rate)) < _AROUND * width / 2
    top = int(np.argmax(np.where(inside, power, 0.0)))
    line = float(np.take(power, np.arange(top - _STEPS, top + _STEPS + 1), mode="wrap").sum())
    return min(line / max(float(power[inside].sum()), line, 1e-30), 1.0)
