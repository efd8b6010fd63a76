# SPDX-License-Identifier: GPL-3.0-or-later
"""What an emission's spectrum alone says: that there is noise and nothing else, or a carrier."""

import math

import numpy as np
from scipy import fft

from amrq.identify.identity import WEAK, EmissionIdentity
from amrq.identify.look import EmissionLook

__all__ = ["find_carrier", "find_noise"]

_NOISE = "noise"
_NARROW = 2e3
"""Hz: a line in a wider box was not alone all the time: AM or FM in a pause."""
_MOST_SURE = 0.9
"""Confidence of a carrier: what changes more slowly than a look, or rests meanwhile, looks the same."""
_LINE_SHARE = 0.99
"""Of an emission's power that is in its line, where it is a carrier."""
_LINE_TIMES = 25.0
"""Times the mean noise in a bin that a line's peak is at least: noise exceeds it once in 7e10 bins."""
_DEVIATIONS = 4.0
"""Standard deviations of the noise's power that an emission must exceed it by."""
_FLOOR_UNCERTAINTY = 0.025
"""Of the noise density: what is not known of it, 0.1 dB."""


def find_noise(look: EmissionLook) -> EmissionIdentity | None:
    """Say that there is noise alone, where a signal as strong as the detector's would show and none does.

    Where such a signal would not show in so short a look, nothing can be said of it: it is unknown.
    """
    if look.noise_density is None or not look.noise_density > 0:
        return None
    lower, upper = look.inside()
    spectrum = np.abs(fft.fft(look.iq)) ** 2 / (len(look.iq) * look.sample_rate)
    at = fft.fftfreq(len(look.iq), 1 / look.sample_rate)
    inside = spectrum[(at >= lower) & (at <= upper)]
    if not len(inside):
        return None
    excess = float(inside.mean()) / look.noise_density - 1
    least = _DEVIATIONS * (1 / math.sqrt(len(inside)) + _FLOOR_UNCERTAINTY)
    if excess > least or float(inside.max()) / look.noise_density > _LINE_TIMES:
        return None
    expected = 10 ** (look.snr_db / 10) if look.snr_db is not None else 2 * least
    if expected < 2 * least:
        return EmissionIdentity(reason=WEAK)
    return EmissionIdentity(_NOISE, _NOISE, "not above the noise floor", 1 - max(0.0, excess) / expected)


def find_carrier(look: EmissionLook) -> EmissionIdentity | None:
    """Say that it is a carrier, where nearly all of its power is in one line."""
    line = look.line
    if line.power <= 0 or (look.edges is not None and look.bandwidth > _NARROW):
        return None
    beside = max(line.beside, 0.0)
    if line.beside - line.doubt > (1 / _LINE_SHARE - 1) * (line.power + beside) or line.doubt > line.power:
        return None
    share = line.power / (line.power + beside + line.doubt)
    return EmissionIdentity("carrier", "carrier", "named", _MOST_SURE * share)
