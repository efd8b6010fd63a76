# SPDX-License-Identifier: GPL-3.0-or-later
"""A second look at an emission whose box does not fit it: where its power is, and the band about that, alone.

A detector's box is right to a fifth for most emissions. A weak one's box may hold its core alone, and the box of an
emission that is narrower than a detector's bins is many times too wide. Measures are taken in the band of a box: one
that is too wide lets noise in, one that is too narrow leaves out what they look for. Where the first look gives no sure
answer and the spectrum stands out of the noise in another band than the box, that band is looked at as well.

A carrier that drifts, with what is keyed or modulated on it, is a line with its sidebands once the drift is taken off.

What is sent may change in the middle of a look: a carrier and a pattern that wakes a receiver come first, then data. A
half with data alone says more than a mixture. So where nothing is clear and the spectrum of one half is not that of the
other, both are looked at, and what they agree on holds.
"""

import math
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from amrq import transforms as fft
from amrq.identify.identity import EmissionIdentity
from amrq.measure import Drift, EmissionMeasures, hann_single, quick_length
from amrq.model import UNKNOWN

__all__ = [
    "Refocused",
    "changed",
    "drifts",
    "is_doubtful",
    "may_err",
    "of_both_looks",
    "of_halves",
    "refocused",
    "standing_out",
]

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
_NOISE, _CARRIER = "noise", "carrier"
_BY_WIDTH = {"fm_narrow", "fm_wide"}
"""Families that differ by their bandwidth alone."""
_SURE, _LIKELY = 0.9, 0.6
"""Confidence that no second answer exceeds, and of one that is taken: the better of two answers is surer by chance
alone."""
_HOLDS = 0.8
"""Confidence of a first answer that holds: of 37 second looks at surer ones, simulated, none
told another family that was right, and two told a wrong one."""
_LEAST_CORE_DB = 2.5
"""SNR of the core: of 8 second looks at less none told a family where the first had told none."""
_LEFT, _MORE, _SWEPT, _ALONE = 0.4, 1.5, 0.85, 0.95
"""Of the power: a line that is left when a drift is taken off, and times as much as before, at least; of the box: what
goes through more, and is a line alone, sweeps."""

_BANDS, _AROUND = 32, 1.2
"""Parts of a box, with what is beside it, whose power is compared."""
_CHANGED, _BY_CHANCE = 0.2, 2.5
"""Share of the power that is in other parts in the second half, and times as much as by chance, from which on what is
sent has changed."""
_MOVED, _ELSEWHERE = 0.2, 0.7
"""Of the wider half's bandwidth: what moves by more than the former sweeps, or hops; and a carrier that moves by more
than the latter does not wander about."""
_RESTING = 0.1
"""Of the other half's bandwidth: what is narrower rests."""
_TWO, _MORE_TONES = "fsk2", {"fsk4", "fskm"}
_LEAST_SNR_DB = 6.0
"""Where there is less, noise changes as well, and half a look says little."""
_DOUBTFUL, _MOST_OF_HALF = 0.7, 0.85
"""Confidence of a first answer below which halves are looked at, and of what a half says, at most."""


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
    snr = 10 * math.log10(max(core * bins / (noise * width), 1e-3))
    if snr < _LEAST_CORE_DB:
        return None
    middle = count // 2 + round(centre / bins)
    half = quick_length(max(2, min(round(_RATE * width / bins / 2), middle, count - middle)))
    if 2 * half * bins < 1.2 * width:
        return None
    samples = fft.ifft(fft.ifftshift(spectrum[middle - half : middle + half])) * (2 * half / count)
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
    if second.family in (UNKNOWN, _NOISE) or second.confidence < max(first.confidence, _LIKELY):
        return first
    if {first.family, second.family} == _BY_WIDTH:
        return first  # a quiet moment is not a station's bandwidth
    second = replace(second, confidence=min(second.confidence, _SURE), most=min(second.most, _SURE))
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
    # In a narrower band a carrier's keys show, Morse. Where others look like the label, the family may be sure.
    least = _SURE if found.label == _CARRIER else _HOLDS
    return found.family == UNKNOWN or found.families.get(found.family, found.confidence) < least


def is_doubtful(found: EmissionIdentity) -> bool:
    """Return whether halves of the look may say more: little is clear, far above the noise."""
    loud = found.measures is not None and found.measures.snr_db > _LEAST_SNR_DB
    return loud and (found.family == UNKNOWN or (found.confidence < _DOUBTFUL and not found.alike))


def drifts(found: Drift, bandwidth: float) -> bool:
    """Return whether a carrier drifts, so that its line, and what is beside it, show once that is taken off.

    >>> drifts(Drift(300.0, 300.0, 0.5, 0.1), 2e3), drifts(Drift(300.0, 300.0, 0.5, 0.4), 2e3)
    (True, False)
    """
    clear = found.gathered > max(_LEFT, _MORE * found.still)
    return clear and (found.through < _SWEPT * bandwidth or found.gathered < _ALONE)


def changed(iq: NDArray[np.complex64], sample_rate: float, edges: tuple[float, float]) -> bool:
    """Return whether an emission's spectrum in the second half of a look is another one than in the first.

    Args:
        iq: complex64 [n].
        sample_rate: samples a second.
        edges: of the emission, Hz from 0 Hz of `iq`.

    >>> noise = np.random.default_rng(1).normal(size=(8000, 2)) @ [1, 1j]
    >>> tone = 5 * np.exp(0.2j * np.arange(8000)) * (np.arange(8000) > 3900)
    >>> changed(noise, 4e3, (-500.0, 500.0)), changed(noise + tone, 4e3, (-500.0, 500.0))
    (False, True)
    """
    half = len(iq) // 2
    wide = _AROUND * (edges[1] - edges[0])
    low = (edges[0] + edges[1] - wide) / 2
    place = np.floor((fft.fftfreq(half, 1 / sample_rate) - low) / wide * _BANDS).astype(np.int64)
    inside = (place >= 0) & (place < _BANDS)
    shares = []
    window = hann_single(half)
    for part in (iq[:half], iq[half : 2 * half]):
        spectrum = fft.fft(part * window)[inside]
        power = np.bincount(place[inside], spectrum.real**2 + spectrum.imag**2, _BANDS)
        shares.append(power / max(float(power.sum()), 1e-30))
    apart = 0.5 * float(np.abs(shares[0] - shares[1]).sum())
    # A mean of n squared magnitudes deviates by 1 over the root of n; with Hann's window 1.9 of them are as one.
    values = half / sample_rate * wide / _BANDS / 1.9
    return apart > max(_CHANGED, _BY_CHANCE * 0.4 * math.sqrt(2 / max(values, 1e-9)))


def of_halves(first: EmissionIdentity, halves: list[EmissionIdentity]) -> EmissionIdentity:
    """Return the answer of the halves where they name one family and are surer, with times and levels of the whole.

    Where one half is somewhere else than the other, both must name it: a piece of a sweep is no sweep. But one of
    several tones that rests is within the band of them all. A carrier that is somewhere else, or is much wider in the
    other half, is none. Two tones by turns come before data of more tones, and a carrier at rest before what is on it.
    """
    # Noise in a half is a pause.
    named = [one for one in halves if one.family not in (UNKNOWN, _NOISE) and one.confidence >= _LIKELY]
    families = {one.family for one in named}
    if len(families) == 2 and _TWO in families and families & _MORE_TONES:
        named = [one for one in named if one.family != _TWO]
    elif len(families) == 2 and _CARRIER in families and _rest_and_data(*named):
        named = [one for one in named if one.family != _CARRIER]
    elif len(families) != 1:
        return first
    best = max(named, key=lambda one: one.confidence)
    others = [one for one in halves if one is not best]
    if best.family == _CARRIER and (
        _has_moved(halves, _ELSEWHERE) or any(_rests_within(best, one) for one in others)
    ):
        return first
    alone = len(named) < len(halves)
    if alone and _has_moved(halves) and not all(_rests_within(one, best) for one in others):
        return first
    sure = min(best.confidence, _MOST_OF_HALF)
    if sure < first.confidence or first.measures is None or best.measures is None:
        return first
    measures = _placed(first.measures, best.measures, 0.0)
    return replace(best, confidence=sure, most=min(best.most, _MOST_OF_HALF), measures=measures)


def _rest_and_data(one: EmissionIdentity, other: EmissionIdentity) -> bool:
    """Return whether one half is a carrier at rest within the band of the other."""
    rest, data = (one, other) if one.family == _CARRIER else (other, one)
    return _rests_within(rest, data)


def _rests_within(one: EmissionIdentity, other: EmissionIdentity) -> bool:
    """Return whether one half is a line within the band of the other."""
    line, band = one.measures, other.measures
    if line is None or band is None or not band.bandwidth > 0:
        return False
    return line.bandwidth < _RESTING * band.bandwidth and band.lower < line.centre < band.upper


def _has_moved(halves: list[EmissionIdentity], most: float = _MOVED) -> bool:
    """Return whether one half lies beside the middle of the other by more than a part of its bandwidth."""
    known = [one.measures for one in halves if one.measures is not None and one.measures.bandwidth > 0]
    if len(known) < len(halves):
        return True
    centres = [one.centre for one in known]
    return max(centres) - min(centres) > most * max(one.bandwidth for one in known)
