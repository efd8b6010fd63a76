# SPDX-License-Identifier: GPL-3.0-or-later
"""The shapes of a signal's pulse that its spectrum is compared with, and the filters that suit them.

Frequencies are in symbol rates from the channel's middle, spectra 1 at the pulse's own middle. A pulse is a root raised
cosine (Proakis and Salehi 2008, sec. 9.2), a raised cosine, or rectangular.
"""

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from amrq.receive.channel import BINS, filter_response

__all__ = [
    "BIN_STEP",
    "CELL",
    "LEVELS_DB",
    "RECTANGULAR",
    "Models",
    "Pulse",
    "around",
    "edges",
    "finer",
    "finer_noises",
    "matched",
    "models",
    "pulse_spectrum",
]

RECTANGULAR = 0.0
"""The roll-off by which a rectangular pulse, as long as a symbol, goes here."""
LEVELS_DB = (-3.0, 1.0, 5.0, 9.0, 13.0, 17.0, 21.0, 26.0, 32.0)
"""Es/N0 of the models, dB."""
CELL = 0.05
"""Symbol rates over which bins are added."""
BIN_STEP = 4
"""Bins from one place that a block's spectrum is looked for at to the next."""

_ROLLOFFS = (0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.6, 0.75, 1.0, RECTANGULAR)
_WHOLE_ROLLOFFS = (0.25, 0.3, 0.35, 0.4, 0.5)  # of raised cosines that are no roots
_LITTLE_NOISE = 0.03  # power of the noise over the symbols', for which its filter is made
_FURTHEST, _PLACE_STEP = 0.14, 0.02  # of a signal's middle, symbol rates
_FURTHEST_STEP = 0.19  # symbol rates of a block's place from the pulse's


class Pulse(NamedTuple):
    """What a matched filter must know, in symbol rates.

    Attributes:
        rolloff: of a root-raised-cosine pulse; RECTANGULAR for a rectangular one.
        place: of its middle in the channel.
        whole: it is a raised cosine, not the root of one: the sender expects no filter that is matched to it.
    """

    rolloff: float
    place: float = 0.0
    whole: bool = False

    def spectrum(self, frequency: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return its power spectrum at frequencies in symbol rates from the channel's middle, 1 at its own middle."""
        density = pulse_spectrum(self.rolloff, frequency - self.place)
        return np.asarray(density**2) if self.whole else density


def pulse_spectrum(rolloff: float, frequency: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the power spectrum of a pulse at frequencies in symbol rates, 1 at 0.

    The raised cosine of a root-raised-cosine pulse (Proakis and Salehi 2008, sec. 9.2), or the squared sinc of a
    rectangular one.

    >>> pulse_spectrum(0.35, np.array([0.0, 0.5, 0.7])).round(6).tolist()
    [1.0, 0.5, 0.0]
    """
    if rolloff == RECTANGULAR:
        return np.asarray(np.sinc(frequency) ** 2)
    edge = np.clip((np.abs(frequency) - (1 - rolloff) / 2) / rolloff, 0, 1)
    return np.asarray(0.5 + 0.5 * np.cos(np.pi * edge))


@lru_cache(maxsize=512)
def matched(pulse: Pulse, bins_per_symbol_rate: float) -> NDArray[np.float32]:
    """Return the response of the matched filter, float32 [BINS]."""
    frequency = np.asarray(np.fft.fftfreq(BINS, 1 / BINS), np.float64) / bins_per_symbol_rate - pulse.place
    if pulse.rolloff == RECTANGULAR:
        # Its sign matters; beyond the second null there is little signal left.
        wanted = np.where(np.abs(frequency) < 1.6, np.sinc(frequency), 0.0)
    elif pulse.whole:
        # The least mean square error of symbols in little noise, at the power that the channel has.
        own, beside = (pulse_spectrum(pulse.rolloff, part) for part in (frequency, 1 - np.abs(frequency)))
        wanted = (
            own
            * math.sqrt(1 - pulse.rolloff / 4)
            * (1 + _LITTLE_NOISE)
            / (own**2 + beside**2 + _LITTLE_NOISE)
        )
    else:
        wanted = np.sqrt(pulse_spectrum(pulse.rolloff, frequency))
    return filter_response(wanted)


@lru_cache(maxsize=64)
def around(
    pulse: Pulse, bins_per_symbol_rate: float, level: int
) -> tuple[slice, float, NDArray[np.float32], NDArray[np.float32]]:
    """Return what a pulse's spectrum in noise looks like at places around its own.

    Returns:
        bins of the channel that are compared, the first place (bins from the channel's middle), and the inverse and the
        logarithm of the spectrum at each place, float32 [places, bins].
    """
    width = 1.0 if pulse.rolloff == RECTANGULAR else 0.5 * (1 + pulse.rolloff)
    middle = pulse.place * bins_per_symbol_rate
    reach = round(_FURTHEST_STEP * bins_per_symbol_rate / BIN_STEP)
    span = (width + _FURTHEST_STEP) * bins_per_symbol_rate
    lowest = max(math.floor(middle - span) + BINS // 2, 0)
    bins = slice(lowest, min(math.ceil(middle + span) + BINS // 2, BINS))
    places = middle + BIN_STEP * np.arange(-reach, reach + 1)
    frequency = (np.arange(BINS)[bins] - BINS // 2 - places[:, None]) / bins_per_symbol_rate
    density = pulse._replace(place=0.0).spectrum(frequency) + 10 ** (-LEVELS_DB[level] / 10)
    return bins, float(places[0]), (1 / density).astype(np.float32), np.log(density).astype(np.float32)


@lru_cache(maxsize=512)
def edges(pulse: Pulse, bins_per_symbol_rate: float) -> NDArray[np.float32]:
    """Return the response of the filter for the timing, float32 [BINS]."""
    frequency = np.fft.fftfreq(BINS, 1 / BINS) / bins_per_symbol_rate - pulse.place
    away = np.clip((np.abs(frequency) - 0.5) / pulse.rolloff, -0.5, 0.5)
    weight = np.maximum(np.cos(np.pi * away), 0)
    return filter_response(weight if pulse.whole else np.sqrt(weight))


class Models(NamedTuple):
    """The pulses that a spectrum is compared with, and their spectra in noise.

    Attributes:
        pulses: all of them.
        numbers: of each its place among them.
        inverse: of the spectrum of each, float32 [levels, cells, pulses].
        log: logarithm of that spectrum, float32 [levels, pulses, cells].
        wholes: which are raised cosines, bool [pulses].
        kinds: numbers of those that are roots of raised cosines, or rectangular, and of raised cosines.
        spectra: without noise, float64 [pulses, cells].
    """

    pulses: tuple[Pulse, ...]
    numbers: dict[Pulse, int]
    inverse: NDArray[np.float32]
    log: NDArray[np.float32]
    wholes: NDArray[np.bool_]
    kinds: tuple[NDArray[np.intp], NDArray[np.intp]]
    spectra: NDArray[np.float64]


@lru_cache(maxsize=64)
def models(rolloff: float | None, side: int) -> Models:
    """Return the pulses that a spectrum is compared with.

    Args:
        rolloff: that is given; None for all.
        side: cells on either side of the middle one.
    """
    shapes = [(one, False) for one in (_ROLLOFFS if rolloff is None else (rolloff,))]
    shapes += [(one, True) for one in (_WHOLE_ROLLOFFS if rolloff is None else ())]
    places = np.arange(-_FURTHEST, _FURTHEST + _PLACE_STEP / 2, _PLACE_STEP)
    pulses = tuple(Pulse(one, round(float(place), 6), whole) for one, whole in shapes for place in places)
    frequency = np.asarray(np.arange(-side, side + 1) * CELL, np.float64)
    density = np.stack([pulse.spectrum(frequency) for pulse in pulses])
    levels = 10 ** (-np.array(LEVELS_DB) / 10)
    model = (density[None] + levels[:, None, None]).astype(np.float32)
    inverse = np.ascontiguousarray(np.swapaxes(1 / model, 1, 2), np.float32)
    log = np.asarray(np.log(model), np.float32)
    wholes = np.array([pulse.whole for pulse in pulses])
    kinds = np.flatnonzero(~wholes), np.flatnonzero(wholes)
    return Models(pulses, {one: n for n, one in enumerate(pulses)}, inverse, log, wholes, kinds, density)


@lru_cache(maxsize=1024)
def finer(pulse: Pulse, level: int, side: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return a pulse's spectrum in noise of levels about one of `LEVELS_DB`, inverted, and its logarithm.

    Args:
        pulse: that is looked at.
        level: number of the level.
        side: cells on either side of the middle one.

    Returns:
        float64 [levels, cells] each.
    """
    frequency = np.asarray(np.arange(-side, side + 1) * CELL, np.float64)
    model = pulse.spectrum(frequency) + _noises_near(level)[:, None]
    return 1 / model, np.log(model)


def _noises_near(level: int) -> NDArray[np.float64]:
    """Return the noise of levels about one, 1 dB apart, and far beyond the last one."""
    levels = LEVELS_DB[level] + np.arange(-3, 4 if level < len(LEVELS_DB) - 1 else 14)
    return np.asarray(10 ** (-levels / 10))


@lru_cache(maxsize=1)
def finer_noises() -> NDArray[np.float64]:
    """Return the noise of levels about each level, float64 [levels, most]; where a level has fewer, -1."""
    near = [_noises_near(level) for level in range(len(LEVELS_DB))]
    found = np.full((len(near), max(map(len, near))), -1.0)
    for row, noises in zip(found, near, strict=True):
        row[: len(noises)] = noises
    return found
