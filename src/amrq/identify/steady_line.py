# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a line stays in one place during a look, as a carrier does, or goes from tone to tone within its width.

A line of a look is some tens of Hz wide, so that a carrier may drift. Slow frequency keying, as FT8, JT65 and WSPR have
it, and Morse fit into that as well. What the line holds is taken out of the look at a low rate, one ramp is taken off
its frequency, and what is then in phase over some seconds is the carrier's: all of it, or a part where there are tones.
"""

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from amrq import transforms as fft

__all__ = ["SteadyLine", "steady_line"]

_PIECE = 4.0
"""Seconds over which one ramp is taken off: oscillators drift so far within it."""
_DRIFT = 0.25
"""Of the width, that a line drifts by at most in a piece."""
_FINER, _COARSE = 4, 2
"""Values of a transform for each that would do: no line falls between them; and where the ramp is looked for."""
_ALL, _DEVIATIONS = 0.9, 2.0
"""Share that a line which stays has at least: one that is elsewhere for a twentieth of the time has less, a carrier
that drifts by a curve some 0.95. Standard deviations of the noise that may be missing."""
_FEWEST = 4
"""Values of a piece: fewer tell nothing."""
_FEW = 14
"""Ramps that the others are products of: about as many as there are farther ones."""


class SteadyLine(NamedTuple):
    """How steady a line is.

    Attributes:
        share: of its power that one sine with a ramp has, 0 to 1, noise taken off: 1 of a carrier, the square of the
            time's share that a tone takes of several, and its share of what is on and off; 0 where it is not known.
        doubt: standard deviation of that by noise.
        place: Hz.
        seconds: that were looked at.
    """

    share: float = 0.0
    doubt: float = 1.0
    place: float = 0.0
    seconds: float = 0.0

    @property
    def missing(self) -> float:
        """Share of its power that is clearly missing in one place; 0 where nothing is, or it is not known."""
        return max(0.0, _ALL - self.share - _DEVIATIONS * self.doubt) if self.seconds > 0 else 0.0

    @property
    def moves(self) -> bool:
        """Whether it is clear that it does not stay in one place, or is not on all the time."""
        return self.missing > 0


def steady_line(
    spectrum: NDArray[np.complex64], sample_rate: float, place: float, width: float, noise: float | None
) -> SteadyLine:
    """Return how steady a line is during a look.

    Args:
        spectrum: complex64 [n], the discrete Fourier transform of the look's samples.
        sample_rate: samples a second.
        place: of the line, Hz from 0 Hz.
        width: of the band that it is looked for in, Hz.
        noise: density of the noise, power a Hz, at least 0; None where it is not known: that of most of that band.

    >>> time = np.arange(4000) / 1000
    >>> keyed = np.exp(2j * np.pi * np.cumsum(np.where(time < 2, 3.0, -3.0)) / 1000)
    >>> [round(steady_line(np.fft.fft(one), 1e3, 0.0, 40.0, 0.0).share, 1) for one in (np.exp(20j * time), keyed)]
    [1.0, 0.3]
    """
    count = len(spectrum)
    seconds = count / sample_rate
    bins = 2 * max(1, round(width * seconds / 2))
    middle = round(place * seconds)
    if not _FEWEST < bins <= count:
        return SteadyLine()
    at = np.arange(middle - bins // 2, middle + bins // 2) % count
    if noise is None:  # the median of a squared magnitude is ln 2 of its mean
        noise = float(np.median(np.square(np.abs(spectrum[at])))) / (math.log(2) * count * sample_rate)
    slow = np.asarray(fft.ifft(fft.ifftshift(spectrum[at])) * (bins / count), np.complex64)
    pieces = np.array_split(slow, max(1, math.ceil(seconds / _PIECE)))
    together = power = taken = 0.0
    places = []
    for piece in pieces:
        strongest, hertz = _in_one_place(piece, bins / seconds, noise)
        together += strongest
        taken += noise * bins / seconds
        power += float(np.vdot(piece, piece).real)
        places.append(hertz)
    own = power - noise * bins / seconds * bins
    if not own > 0:
        return SteadyLine(0.0, 1.0, place, seconds)
    doubt = math.sqrt(2 * taken / len(pieces) / own)
    share = min(1.0, max(0.0, (together - taken) / own))
    return SteadyLine(share, min(1.0, doubt), middle / seconds + float(np.mean(places)), seconds)


def _in_one_place(piece: NDArray[np.complex64], rate: float, noise: float) -> tuple[float, float]:
    """Return the power of what is in phase, summed over the piece, where the best ramp is taken off; and its place."""
    count = len(piece)
    best, where = _strongest(piece[None], rate)
    own = float(np.vdot(piece, piece).real) - noise * rate * count
    if best - noise * rate < _ALL * own:  # else it stays, and drifts by less than a value
        ramps = _ramps(count)
        every = ramps[len(ramps) // 2 % 2 :: 2]  # half a value aside, nine tenths are left
        coarse = fft.fft(every * piece, fft.next_fast_len(_COARSE * count))
        near = len(ramps) // 2 % 2 + 2 * int(np.argmax(np.square(np.abs(coarse)).max(axis=1)))
        best, where = max((best, where), _strongest(ramps[max(0, near - 1) : near + 2] * piece, rate))
    return best, where


def _strongest(rows: NDArray[np.complex64], rate: float) -> tuple[float, float]:
    """Return the most power that a sine has in a row, summed over it, and its frequency, by a rate of values."""
    count = rows.shape[1]
    length = fft.next_fast_len(_FINER * count)
    found = fft.fft(rows, length)
    power = found.real.astype(np.float64) ** 2 + found.imag.astype(np.float64) ** 2
    row, top = divmod(int(np.argmax(power)), length)
    below, peak, above = power[row, top - 1], power[row, top], power[row, (top + 1) % length]
    # A parabola through three values has its top between them.
    aside = (above - below) / max(4 * peak - 2 * (below + above), 1e-30)
    best, where = float(peak + (above - below) * aside / 4), float(top + aside)
    return best / count, (where - length * (where >= length / 2)) / length * rate


@lru_cache(maxsize=8)
def _ramps(count: int) -> NDArray[np.complex64]:
    """Return what takes ramps off so many values, complex64 [ramps, count], the one in the middle none at all."""
    time = (np.arange(count) - (count - 1) / 2) / count
    # Over a piece, a ramp of one value of the transform leaves 0.9 of a line's power in one of them.
    most = max(1, round(_DRIFT * count))
    numbers = np.arange(-most, most + 1)
    # Exponentials take time: all are products of a few.
    far, near = (
        np.exp(-1j * np.pi * np.outer(some, time * time)).astype(np.complex64)
        for some in (numbers[::_FEW], np.arange(_FEW))
    )
    ramps = (far[:, None] * near).reshape(-1, count)[: len(numbers)]
    ramps.setflags(write=False)
    return ramps
