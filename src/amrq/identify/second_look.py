# SPDX-License-Identifier: GPL-3.0-or-later
"""A second look at an emission whose box does not fit it: where its power is, and the band about that, alone.

A detector's box is right to a fifth for most emissions. A weak one's box may hold its core alone, and the box of an
emission that is narrower than a detector's bins is many times too wide. Measures are taken in the band of a box: one
that is too wide lets noise in, one that is too narrow leaves out what they look for. Where the first look gives no sure
answer and the spectrum stands out of the noise in another band than the box, that band is looked at as well.
"""

import math
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from amrq.identify.identity import EmissionIdentity
from amrq.measure import EmissionMeasures, quick_length
from amrq.model import UNKNOWN

__all__ = ["Refocused", "may_err", "of_both_looks", "refocused", "standing_out"]

_STEPS = 96
"""Of a box, in which its spectrum is looked at."""
_LEAST_BINS = 6
"""Of a step: the mean of fewer scatters too much."""
_CLEAR, _UNSURE = 4.0, 0.05
"""Standard deviations of the noise's mean, and share of its density that is not known: what is above stands out."""
_FAINT = 0.02
"""Of the greatest excess: what is fainter is not the emission's core."""
_GAP = 0.1
"""Of the box: gaps in the spectrum of one emission are no wider."""
_NARROWER, _WIDER = 0.55, 1.2
"""Of the box: a band that is narrower, or wider, is looked at."""
_WIDEST = 4.0
"""Of the box: what goes on beyond is another emission's, or the noise floor is wrong."""
_LEAST_PRODUCT = 200.0
"""Bandwidths times seconds of a band that is looked at: a line alone is what AM and keying have, too."""
_MOST = 0.85
"""Of the power in the box: a band with less is a part of the emission."""
_RATE = 4.0
"""Samples a bandwidth of the second look."""
_SURE, _LIKELY = 0.9, 0.6
"""Confidence of a first answer that holds; and of a second one that is taken, since the better of two is surer by
chance alone."""


class Refocused(NamedTuple):
    """The band about an emission's core.

    Attributes:
        iq: complex64 [n], the middle of the band at 0 Hz.
        sample_rate: samples a second.
        width: of the band, Hz.
        centre: its middle, Hz from 0 Hz of the samples that it was taken from.
        snr_db: in it, dB.
    """

    iq: NDArray[np.complex64]
    sample_rate: float
    width: float
    centre: float
    snr_db: float


def standing_out(
    power: NDArray[np.float64], bins: float, edges: tuple[float, float], noise: float
) -> tuple[float, float] | None:
    """Return the edges of what stands out of the noise about the strongest part of a box; None where nothing does.

    Args:
        power: a Hz, by frequency, 0 Hz at the index `len(power) // 2`.
        bins: Hz from one value to the next.
        edges: of the box, Hz.
        noise: density of the noise, power a Hz, above 0.

    >>> power = np.ones(1000)
    >>> power[560:620] += 10
    >>> low, high = standing_out(power, 1.0, (-200.0, 200.0), 1.0)
    >>> abs(low - 60) < 4, abs(high - 120) < 4
    (True, True)
    """
    box = edges[1] - edges[0]
    step = max(_LEAST_BINS, round(box / bins / _STEPS))
    sums = np.concatenate([[0.0], np.cumsum(power)])
    at = np.arange(len(power))
    first, last = np.maximum(at - step // 2, 0), np.minimum(at + step - step // 2, len(power))
    excess = (sums[last] - sums[first]) / (last - first) - noise
    hertz = (at - len(power) // 2) * bins
    inside = (hertz >= edges[0]) & (hertz <= edges[1])
    if not inside.any():
        return None
    top = int(np.argmax(np.where(inside, excess, -math.inf)))
    least = max((_CLEAR / math.sqrt(step) + _UNSURE) * noise, _FAINT * float(excess[top]))
    if excess[top] <= least:
        return None
    on = np.flatnonzero(excess > least)
    place = int(np.searchsorted(on, top))
    breaks = np.flatnonzero(np.diff(on) > max(step + 2, _GAP * box / bins))
    low = on[breaks[breaks < place][-1] + 1] if np.any(breaks < place) else on[0]
    high = on[breaks[breaks >= place][0]] if np.any(breaks >= place) else on[-1]
    blurred = step / 4 * bins  # a mean over a step makes an edge so much wider
    return float(hertz[low]) + blurred, float(hertz[high]) - blurred


def refocused(
    iq: NDArray[np.complex64], sample_rate: float, edges: tuple[float, float] | None, noise: float | None
) -> Refocused | None:
    """Return the band that an emission stands out in; None where its box fits, and where it cannot be known.

    Args:
        iq: complex64 [n].
        sample_rate: samples a second.
        edges: of the box, Hz from 0 Hz of `iq`; None where there is no box.
        noise: density of the noise, power a Hz; None where it is not known.
    """
    if edges is None or noise is None or not noise > 0 or not edges[1] > edges[0]:
        return None
    count, box = len(iq), edges[1] - edges[0]
    spectrum = fft.fftshift(fft.fft(iq))
    power = (spectrum.real.astype(np.float64) ** 2 + spectrum.imag.astype(np.float64) ** 2) / (
        count * sample_rate
    )
    bins = sample_rate / count
    found = standing_out(power, bins, edges, noise)
    if found is None:
        return None
    width, centre = found[1] - found[0], (found[0] + found[1]) / 2
    if width * count / sample_rate < _LEAST_PRODUCT or _NARROWER * box < width < _WIDER * box:
        return None
    if width > min(_WIDEST * box, 0.9 * sample_rate):
        return None
    at = (np.arange(count) - count // 2) * bins
    core = float((power[(at >= found[0]) & (at <= found[1])] - noise).sum())
    if core < _MOST * float((power[(at >= edges[0]) & (at <= edges[1])] - noise).sum()):
        return None
    middle = count // 2 + round(centre / bins)
    half = quick_length(max(2, min(round(_RATE * width / bins / 2), middle, count - middle)))
    if 2 * half * bins < 1.2 * width:
        return None
    samples = fft.ifft(fft.ifftshift(spectrum[middle - half : middle + half])) * (2 * half / count)
    snr = 10 * math.log10(max(core * bins / (noise * width), 1e-3))
    return Refocused(
        np.asarray(samples, np.complex64), 2 * half * bins, width, round(centre / bins) * bins, snr
    )


def of_both_looks(first: EmissionIdentity, second: EmissionIdentity, centre: float) -> EmissionIdentity:
    """Return the answer of the second look where it is the surer one, with frequencies and times of the first.

    Args:
        first: of the box.
        second: of the band about the emission's core.
        centre: middle of that band, Hz.
    """
    if second.family == UNKNOWN or second.confidence < max(first.confidence, _LIKELY):
        return first
    if first.measures is None or second.measures is None:
        return second
    return replace(second, measures=_placed(first.measures, second.measures, centre))


def _placed(first: EmissionMeasures, second: EmissionMeasures, centre: float) -> EmissionMeasures:
    """Return what a second look measured, with the times, which it has at another rate, and levels of the first."""
    return replace(
        first,
        centre=second.centre + centre,
        bandwidth=second.bandwidth,
        snr_db=second.snr_db,
        symbol_rate=second.symbol_rate,
        envelope_variation=second.envelope_variation,
    )


def may_err(found: EmissionIdentity) -> bool:
    """Return whether an answer is worth a second look."""
    return found.family == UNKNOWN or found.confidence < _SURE
