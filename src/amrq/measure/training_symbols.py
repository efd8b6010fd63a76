# SPDX-License-Identifier: GPL-3.0-or-later
"""Training symbols at the beginning of a frame of OFDM: a short one again and again, then a long one twice.

IEEE 802.11 (2020, 17.3.3 and 19.3.9) begins each frame with ten equal short symbols, each a quarter of a useful time,
and then with two equal symbols of a useful time, behind a prefix of half of one. A frame of a few symbols is told by
these: the signal is like itself a quarter of a useful time later, then a useful time later and not a quarter.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from amrq.measure.looks import squares
from amrq.measure.prefix_search import FlatBand

__all__ = ["TrainingSymbols", "find_training"]

_SHORT, _LONG = 10, 4
"""Short symbols in a row, and in a useful time."""
_SEEN, _SEEN_LONG = 6, 5
"""Short symbols that are compared with the next, and with the ones a useful time later."""
_LEAST, _MOST = 8.0, 64.0
"""Over the bandwidth: a short symbol."""
_BEGINNING = 1536.0
"""Over the bandwidth: so much of the look may be before the end of the training symbols."""
_ALIKE, _OTHER = 0.5, 0.55
"""How alike equal symbols are at least; and others at most, of that, in the mean over times of a short symbol: what
repeats itself with changing signs, as a spreading code does, is alike in each of them."""
_SOONER, _APART = 0.4, 2
"""Of that, how alike samples are at shorter lags at most, in the mean over those that are some samples apart from none
and from a short symbol. A short symbol of twelve subcarriers has 0.15 and noise; lines and short patterns in a pause
are alike at many lags."""
_ROUNDING = 1e-6
"""By which values of single precision may be off."""

_Samples = NDArray[np.complex64]


class TrainingSymbols(NamedTuple):
    """Training symbols that were found.

    Attributes:
        lag: samples, the useful time.
        start: first sample of the short symbols, right to one of them.
        alike: how alike equal symbols are, the less alike kind of the two, 0 to 1.
    """

    lag: int
    start: int
    alike: float


def find_training(band: FlatBand) -> TrainingSymbols | None:
    """Find training symbols in a band; None where there are none.

    >>> rng = np.random.default_rng(1)
    >>> short, long, data = ((rng.normal(size=(n, 2)) @ [1, 1j]) for n in (16, 64, 400))
    >>> frame = np.concatenate([np.tile(short, 10), long[32:], long, long, data]).astype(np.complex64)
    >>> found = find_training(FlatBand(frame / np.sqrt(2), 1.0, 1.1))
    >>> found.lag, abs(found.start) < 8, found.alike > 0.7
    (64, True, True)
    """
    iq = band.iq[: round(_BEGINNING * band.scale)]
    power = np.concatenate([[0.0], np.cumsum(squares(iq), dtype=np.float64)])
    first, last = max(4, int(_LEAST * band.scale)), int(_MOST * band.scale)
    best: TrainingSymbols | None = None
    for short in range(first, min(last, len(iq) // (_SHORT + _SEEN_LONG + _LONG)) + 1):
        alike = _alike(iq, power, short, _SEEN * short)
        start = _most(alike)
        if alike[start] < max(_ALIKE, 0.0 if best is None else best.alike):
            continue
        if _repeats_sooner(iq[start:], short, float(alike[start])):
            continue
        found = _followed(iq, power, short, start)
        if found is not None and (best is None or found.alike > best.alike):
            best = found._replace(alike=min(found.alike, float(alike[start])))
    return best


def _alike(iq: _Samples, power: NDArray[np.float64], lag: int, long: int) -> NDArray[np.float64]:
    """Return how alike samples are to those a lag later, over a time that begins at each sample."""
    products = np.concatenate([[0], np.cumsum(iq[lag:] * np.conj(iq[:-lag]), dtype=np.complex128)])
    size = np.abs(products[long:] - products[:-long])
    count = len(size)
    both = (
        power[long : long + count]
        - power[:count]
        + power[long + lag : long + lag + count]
        - power[lag : lag + count]
    )
    return np.asarray(2 * size / np.maximum(both, 1e-30))


def _most(alike: NDArray[np.float64]) -> int:
    """Return the place of the most; of what is alike to the last digits at many places, the first."""
    return int(np.argmax(alike >= alike.max() - _ROUNDING))


def _repeats_sooner(iq: _Samples, short: int, alike: float) -> bool:
    """Return whether samples are alike at shorter lags, too."""
    own = iq[: _SEEN * short]
    lags = range(1 + _APART, short - _APART)
    others = [abs(np.vdot(own, iq[lag : lag + len(own)])) for lag in lags]
    return bool(others) and float(np.mean(others)) > _SOONER * alike * float(squares(own).sum())


def _followed(iq: _Samples, power: NDArray[np.float64], short: int, start: int) -> TrainingSymbols | None:
    """Return the training symbols whose short ones are about a place, where two long ones follow."""
    # The time that is compared lies anywhere within the short ones.
    slack = _SHORT - 1 - _SEEN
    begin, stop = start + (_SEEN + 1) * short, start + (_SHORT + slack + 1) * short
    best: TrainingSymbols | None = None
    for lag in range(_LONG * short - 2, _LONG * short + 3):
        piece = slice(begin, stop + _SEEN_LONG * short + lag)
        part, own = iq[piece], power[begin:]
        if len(part) <= lag + _SEEN_LONG * short:
            return best
        alike = _alike(part, own, lag, _SEEN_LONG * short)
        place = _most(alike)
        value = float(alike[place])
        if value < max(_ALIKE, 0.0 if best is None else best.alike):
            continue
        other = _alike(part[place : place + (_SEEN_LONG + 1) * short], own[place:], short, short)
        if len(other) and float(other.mean()) < _OTHER * value:
            best = TrainingSymbols(lag, max(0, begin + place - _SHORT * short), value)
    return best
