# SPDX-License-Identifier: GPL-3.0-or-later
"""What short packets carry: a look at the bursts within a look, without the pauses between them.

Packets of some hundred symbols (Bluetooth LE, DECT, GSM, DMR) are shorter than what a detector tells apart in time, so
that a look holds several, with their pauses. Its envelope is then keyed, and measures of frequency and phase are of
noise for half of the time. What is on for as many as a hundred times the reciprocal of its bandwidth, and fills that
bandwidth meanwhile, is no keyed carrier, whose bandwidth comes from its edges: so it is identified alone.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from amrq import transforms as fft
from amrq.identify.identity import EmissionIdentity
from amrq.measure import powers, quantile
from amrq.model import UNKNOWN

__all__ = ["bursts_within", "filled", "of_bursts"]

_SMOOTH = 8.0
"""Over the bandwidth: what the power is a mean over. Noise alone then scatters by a third."""
_LEAST_RUN, _LONG_RUN, _ALL_RUNS = 96.0, 600.0, 200.0
"""Bandwidths times seconds of a burst, of one that is enough alone, and of all together, at least."""
_HIGHER = 4.0
"""Power of the bursts over that of the pauses, at least: 6 dB."""
_LOUD = 0.8
"""Quantile of the power among what exceeds its mean, that stands for the bursts."""
_ON = 0.25
"""Of the bursts' power: what exceeds it, and its share of the way down to the pauses' as well, is on."""
_LEAST_PAUSES = 0.1
"""Share of a look that is paused, at least: less spoils no measure."""
_KEPT = 0.7
"""Share of the time above the threshold that is in bursts, at least: the rest may be keyed."""
_STEADY = 2.5
"""Upper over lower quartile of the power in bursts, at most: syllables of a voice differ by more."""

_KEYED = ("ook", "pulse")
"""Families that packets look like."""
_WITHIN = ("fsk2", "fsk4", "fskm", "linear", "pi4dqpsk", "oqpsk", "ofdm", "dsss")
"""Families that packets carry. A carrier within pulses is a keyed one."""
_ON_CARRIER, _SPOKEN = "am", 0.9
"""What a transmission sends on its carrier, which is no keys of that, and its confidence at least."""
_LIKELY, _MOST_SURE, _LEFT = 0.6, 0.88, "bursts of something else than a carrier"
"""Confidence of what bursts carry, at least and at most; reason why nothing is said."""
_MOST_POWER, _STEPS = 0.7, 128
"""Share of the power, and steps of the box, by which is said how much of it is filled."""
_CARRIER, _FILLED = 0.1, 0.2
"""Of the box: what holds most of the power in less is a keyed carrier, that may drift as it begins; what takes more is
surely none."""

_Samples = NDArray[np.complex64]


def _runs(on: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return [start, stop) of what is on."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], on, [False]]).astype(np.int8)))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def _power(
    spectrum: _Samples, sample_rate: float, edges: tuple[float, float], size: int
) -> NDArray[np.float64]:
    """Return the power within the edges, each value a mean over `size` samples about it; beside the ends are zeros."""
    count = len(spectrum)
    at = fft.fftfreq(count, 1 / sample_rate)
    inside = fft.ifft(
        np.where((at >= edges[0]) & (at <= edges[1]), spectrum, np.complex64(0)), overwrite_x=True
    )
    sums = np.zeros(count + size + 1)
    np.cumsum(powers(inside), out=sums[size // 2 + 1 : size // 2 + 1 + count])
    sums[size // 2 + 1 + count :] = sums[size // 2 + count]
    means = sums[size:] - sums[:-size]
    means /= size
    return np.asarray(means[:count])


def bursts_within(
    iq: _Samples, sample_rate: float, edges: tuple[float, float], spectrum: _Samples | None = None
) -> _Samples | None:
    """Return the samples of a look's bursts without its pauses; None where it has no bursts of many symbols.

    Args:
        iq: complex64 [n].
        sample_rate: samples a second, above 0.
        edges: of the emission, Hz from 0 Hz of `iq`.
        spectrum: complex64 [n], the discrete Fourier transform of `iq`, where it is known already.

    Returns:
        the longest burst where it is long enough alone, else all of them, one after the other.

    >>> random = np.random.default_rng(1)
    >>> noise = (random.normal(size=(8000, 2)) @ [0.1, 0.1j]).astype(np.complex64)
    >>> tone = np.exp(1j * np.cumsum(np.repeat(random.choice([-0.8, 0.8], 2000), 4))).astype(np.complex64)
    >>> packet = (np.arange(8000) % 4000 < 1200).astype(np.float32)
    >>> round(len(bursts_within(noise + packet * tone, 4.0, (-0.8, 0.8))), -2)
    2400
    >>> bursts_within(noise + tone, 4.0, (-0.8, 0.8)) is None
    True
    """
    width = edges[1] - edges[0]
    if not width > 0 or len(iq) * width / sample_rate < 2 * _ALL_RUNS:
        return None
    size = max(1, round(_SMOOTH * sample_rate / width))
    power = _power(fft.fft(iq) if spectrum is None else spectrum, sample_rate, edges, size)
    above = power[power > power.mean()]
    if not len(above):
        return None
    loud, quiet = quantile(above, _LOUD), quantile(power, _LEAST_PAUSES / 2)
    if not loud > _HIGHER * quiet:
        return None
    on = power > quiet + _ON * (loud - quiet)
    least = _LEAST_RUN * sample_rate / width
    # The mean rounds edges: half of its length is between.
    runs = [(start + size // 4, stop - size // 4) for start, stop in _runs(on) if stop - start >= least]
    kept = sum(stop - start for start, stop in runs)
    if kept * width / sample_rate < _ALL_RUNS or kept < _KEPT * np.count_nonzero(on):
        return None
    if np.count_nonzero(~on) < _LEAST_PAUSES * len(iq):
        return None
    low, high = np.percentile(np.concatenate([power[start:stop] for start, stop in runs]), [25, 75])
    if high > _STEADY * low:
        return None
    longest = max(runs, key=lambda run: run[1] - run[0])
    if (longest[1] - longest[0]) * width / sample_rate >= _LONG_RUN:
        runs = [longest]
    return np.concatenate([iq[start:stop] for start, stop in runs])


def filled(iq: _Samples, sample_rate: float, edges: tuple[float, float]) -> float:
    """Return the share of a box that the strongest steps take which hold 70 % of its power, 0 to 1.

    Args:
        iq: complex64 [n].
        sample_rate: samples a second, above 0.
        edges: of the box, Hz from 0 Hz of `iq`.

    >>> carrier = np.ones(4000, np.complex64)
    >>> noise = np.random.default_rng(1).normal(size=(4000, 2)) @ [1, 1j]
    >>> filled(carrier, 4.0, (-0.8, 0.8)) < 0.05, filled(noise, 4.0, (-0.8, 0.8)) > 0.5
    (True, True)
    """
    place = np.floor((fft.fftfreq(len(iq), 1 / sample_rate) - edges[0]) / (edges[1] - edges[0]) * _STEPS)
    inside = (place >= 0) & (place < _STEPS)
    spectrum = fft.fft(iq)[inside]
    power = np.bincount(place[inside].astype(np.int64), spectrum.real**2 + spectrum.imag**2, _STEPS)
    sums = np.cumsum(np.sort(power)[::-1])
    return float(np.searchsorted(sums, _MOST_POWER * sums[-1]) + 1) / _STEPS


def of_bursts(first: EmissionIdentity, inside: EmissionIdentity, share: float) -> EmissionIdentity:
    """Return the answer of the bursts where it is one, with times and levels of the whole look.

    Args:
        first: of the whole look.
        inside: of its bursts alone.
        share: of the box that is filled in the bursts (`filled`).
    """
    if first.measures is None or inside.measures is None:
        return first
    spoken = inside.family == _ON_CARRIER and inside.confidence >= _SPOKEN and first.family in _KEYED
    if first.family in _KEYED and share < _CARRIER and not spoken:
        return first
    if spoken or (inside.family in _WITHIN and inside.confidence >= _LIKELY):
        if first.family not in (UNKNOWN, *_KEYED) and first.confidence > inside.confidence:
            return first
        measures = replace(
            first.measures,
            centre=inside.measures.centre,
            bandwidth=inside.measures.bandwidth,
            symbol_rate=inside.measures.symbol_rate,
            envelope_variation=inside.measures.envelope_variation,
        )
        sure = min(inside.confidence, _MOST_SURE)
        return replace(inside, confidence=sure, most=min(inside.most, _MOST_SURE), measures=measures)
    if first.family == "ook" and inside.family == UNKNOWN and share > _FILLED:
        return EmissionIdentity(reason=_LEFT, measures=first.measures, families=inside.families)
    return first
