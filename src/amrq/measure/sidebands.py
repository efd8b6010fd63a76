# SPDX-License-Identifier: GPL-3.0-or-later
"""Sidebands about a line: what they say of a carrier's amplitude and of its phase, and whether the amplitude is keyed.

Beside a carrier, amplitude modulation makes sidebands that mirror each other: all of their power is in phase with it.
Modulation of its phase or frequency by little makes sidebands whose mirror image has the other sign: all of it is in
quadrature. What is on one side only, as a second tone or a voice's single sideband, is half in phase, half in
quadrature, and so is noise. So the difference of both powers tells which it is, without a threshold on a level.

The amplitude of a keyed carrier has two levels. For any distribution the fourth standardised moment is at least one
more than the square of the third, and equal to that for two values alone (Pearson 1916); a sine has 0.5 more, audio
more than 1. Noise in quadrature is as strong as that in phase, so that it can be taken off the moments.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from amrq import transforms as fft
from amrq.chunks import finite_samples
from amrq.errors import AmrqError
from amrq.measure.looks import hann, powers, quantile, turned

__all__ = ["Sidebands", "measure_sidebands"]

_LEAST_SAMPLES = 512
_FOLLOWED, _OF_REACH, _STEPS = 30.0, 0.1, 3.0
"""Hz, of the reach, and steps of the look's spectrum: a carrier's level and phase are followed as fast."""
_EDGE = 0.5
"""Of what is followed: width of the filter's edge."""
_PARTS = (0.125, 0.25, 0.5, 1.0)
"""Of the reach: the bands that are compared."""
_FEWEST = 8
"""Bins of a band that is compared."""
_WINDOWED = 1.9
"""With Hann's window bins are correlated: the variance of their sum is so many times that of independent ones."""
_FAINTEST = 0.3
"""Of a carrier's mean level: it is not followed below."""
_IMAGE, _LINE_SHARE, _MIRRORED = 2, 0.5, 0.2
"""Bins about a line, and about its mirror image's place; share of a side's power that is in its line; and of a line's
power that its mirror image has less than."""
_LINE_TIMES = 25.0
"""Times the mean noise in a bin, that a sine's line is at least: noise exceeds it once in 7e10 bins."""
_HELD_PARTS, _HELD_DOUBT, _SCATTER, _BY_NOISE = (0.4, 0.6, 1.0), 0.11, 13.0, 1.3
"""Of the reach, where the amplitude is cut; standard deviation of the spread by noise, at most; that deviation times
the root of the number of values where the noise is as strong as the modulation; and the power of the ratio of both with
which it falls (of 300 simulated looks each at two levels and at sines, 500 to 4,000 values, ratios 0.7 to 5)."""

_Reals = NDArray[np.float64]


@dataclass(frozen=True)
class Sidebands:
    """What was measured of the sidebands of a line.

    Attributes:
        evidence: difference of the powers in phase and in quadrature in standard deviations: above 4 for amplitude
            modulation, below -4 for modulation of the phase or the frequency.
        symmetry: the same over their sum, noise taken off: 1 for amplitude modulation, -1 for modulation of the phase,
            0 where the sides are independent.
        power: of the sidebands, in standard deviations of the noise's there.
        middle: frequency, Hz from the line, that half of their power is below; 0 where nothing stands out.
        followed: Hz from the line, below which the line was followed: it is not known what is there.
        aside: share of the power of the stronger side, as far as the emission goes, that has no mirror image, 0 to 1.
        aside_power: of that side, in standard deviations of the noise's.
        aside_middle: as `middle`, of that side.
        aside_line: power of a second line, which is most of what is beside the first one on its side and has no mirror
            image, over the mean of the noise in a bin: noise alone exceeds 20 once in some 100,000 looks.
        tone: share of what is in phase that is one sine, 0 to 1: all of a hum; 0 where noise hides it.
        tone_depth: depth of that sine.
        spread: of the amplitude's distribution: fourth standardised moment less the square of the third and 1: 0 for
            two levels, 0.5 for a sine, more for audio; None where noise hides it.
        spread_over: share of the amplitude's power that is in the widest band that was seen of, 0 to 1: slow parts of
            two levels alone have any spread.
    """

    evidence: float = 0.0
    symmetry: float = 0.0
    power: float = 0.0
    middle: float = 0.0
    followed: float = 0.0
    aside: float = 0.0
    aside_power: float = 0.0
    aside_middle: float = 0.0
    aside_line: float = 0.0
    tone: float = 0.0
    tone_depth: float = 0.0
    spread: float | None = None
    spread_over: float = 0.0


def measure_sidebands(
    iq: NDArray[np.complex64],
    sample_rate: float,
    reach: float,
    noise_density: float | None = None,
    inside: tuple[float, float] | None = None,
) -> Sidebands:
    """Measure the sidebands of a line near 0 Hz.

    Args:
        iq: complex [N], the line near 0 Hz: right to one over the length of the look.
        sample_rate: samples a second, above 0.
        reach: how far sidebands go, Hz on either side, above 0.
        noise_density: of the noise, power per Hz; None: it is taken from the lower half of what is beyond the reach.
        inside: lower and upper edge of the emission, Hz from the line: what is beyond may be another's, so that it does
            not count as a side; None: it goes as far as the reach on both sides.

    Raises:
        AmrqError: sample rate or reach is not above 0.

    >>> time = np.arange(8000) / 16e3
    >>> noise = np.random.default_rng(1).normal(size=(8000, 2)) @ [0.05, 0.05j]
    >>> audio = 0.3 * np.sin(2 * np.pi * 800 * time)
    >>> found = measure_sidebands(1 + audio + noise, 16e3, reach=2e3)
    >>> found.evidence > 4, round(found.symmetry, 1), round(found.middle, -2), round(found.spread, 1)
    (True, 1.0, 800.0, 0.5)
    >>> round(measure_sidebands(np.exp(1j * audio) + noise, 16e3, reach=2e3).symmetry, 1)
    -1.0
    >>> abs(measure_sidebands(1 + 0.3 * np.exp(2j * np.pi * 800 * time) + noise, 16e3, reach=2e3).symmetry) < 0.2
    True
    """
    if not 0 < sample_rate < math.inf or not 0 < reach < math.inf:
        raise AmrqError(f"sample rate and reach must be above 0 Hz, not {sample_rate:g} and {reach:g}.")
    iq = finite_samples(iq)
    if len(iq) < _LEAST_SAMPLES or not np.any(iq):
        return Sidebands()
    reach = min(reach, 0.45 * sample_rate)
    step = sample_rate / len(iq)
    half = max(min(_FOLLOWED, _OF_REACH * reach), _STEPS * step)
    aligned, level = _aligned(iq, sample_rate, half)
    if len(aligned) < _LEAST_SAMPLES // 2:
        return Sidebands()
    window = hann(len(aligned))
    along, across = (_power(part, window) for part in (aligned.real, aligned.imag))
    at = fft.rfftfreq(len(aligned), 1 / sample_rate)
    lowest = (1 + _EDGE) * half
    if noise_density is None:
        beyond = (at > reach) & (at < 0.45 * sample_rate)
        rest = across[beyond] if np.count_nonzero(beyond) > 4 * _FEWEST else across[at > lowest]
        noise = quantile(rest, 0.25) / math.log(4 / 3) if len(rest) else 0.0
    else:
        noise = noise_density * sample_rate / 2 * float(np.sum(window**2)) / level**2
    evidence = 0.0
    for part in _PARTS:
        some = (at > lowest) & (at <= part * reach)
        if np.count_nonzero(some) < _FEWEST:
            continue
        spread = math.sqrt(2 * _WINDOWED * float(np.sum(along[some] * across[some]))) + 1e-30
        found = float(np.sum(along[some] - across[some])) / spread
        evidence = found if abs(found) > abs(evidence) else evidence
    some = (at > lowest) & (at <= reach)
    count = int(np.count_nonzero(some))
    if count < _FEWEST or not noise > 0:
        return Sidebands(evidence=evidence, followed=lowest)
    excess = along[some] + across[some] - 2 * noise
    whole, scatter = float(excess.sum()), noise * math.sqrt(2 * _WINDOWED * count)
    symmetry = float(np.sum(along[some] - across[some])) / max(whole, scatter)
    middle = _half_power(at[some], excess) if whole > scatter else 0.0
    lower, upper = inside or (-reach, reach)
    shown = powers(fft.fft(aligned * window))
    # Of the other side: the transform of the conjugate is the conjugate one backwards.
    both = (shown[: len(at)], np.roll(shown[::-1], 1)[: len(at)])
    aside = max(
        (
            _aside(power - 2 * noise, along - across, at, (lowest, min(edge, reach)), 2 * noise)
            for power, edge in zip(both, (upper, -lower), strict=True)
        ),
        key=lambda side: side[1],
    )
    line = max(
        _line_aside(power, other, at, (lowest, min(edge, reach)), 2 * noise, float(window.sum()) ** 2)
        for power, other, edge in ((*both, upper), (*both[::-1], -lower))
    )
    tone, depth = _tone(along[some], noise, float(window.sum()))
    spread_of, over = _spread(aligned, sample_rate, reach)
    return Sidebands(
        evidence=evidence,
        symmetry=min(max(symmetry, -1.0), 1.0),
        power=whole / scatter,
        middle=middle,
        followed=lowest,
        aside=aside[0],
        aside_power=aside[1],
        aside_middle=aside[2],
        aside_line=line,
        tone=tone,
        tone_depth=depth,
        spread=spread_of,
        spread_over=over,
    )


def _tone(along: _Reals, noise: float, whole: float) -> tuple[float, float]:
    """Return which share of what is in phase is one sine, and its depth; 0 where no line stands out.

    Args:
        along: power in phase at each frequency.
        noise: mean power of the noise in a bin.
        whole: sum of the window.
    """
    top = int(np.argmax(along))
    if along[top] < _LINE_TIMES * noise:
        return 0.0, 0.0
    near = along[max(0, top - _IMAGE) : top + _IMAGE + 1]
    line, rest = float(near.sum()) - noise * len(near), float(along.sum()) - noise * len(along)
    # Hann's window spreads a line's power over 1.5 of its middle bin's.
    return min(1.0, line / max(rest, 1e-30)), 2 * math.sqrt(line / 1.5) / whole


def _half_power(at: _Reals, excess: _Reals) -> float:
    """Return the frequency that half of a power is below."""
    total = np.cumsum(excess)
    return float(at[int(np.argmax(total > total[-1] / 2))])


def _aside(
    excess: _Reals, mirrored: _Reals, at: _Reals, edges: tuple[float, float], noise: float
) -> tuple[float, float, float]:
    """Return the share of a side's power that has no mirror image, its power in deviations of the noise's, its middle.

    Args:
        excess: power of the side at each frequency, noise taken off.
        mirrored: power in phase less that in quadrature: what both sides have in common, either sign.
        at: frequencies, Hz from the line.
        edges: of the side, Hz from the line.
        noise: mean power of the noise in a bin.
    """
    some = (at > edges[0]) & (at <= edges[1])
    count = int(np.count_nonzero(some))
    if count < _FEWEST:
        return 0.0, 0.0, 0.0
    power, scatter = float(excess[some].sum()), noise * math.sqrt(_WINDOWED * count)
    if not power > scatter:
        return 0.0, 0.0, 0.0
    common = abs(float(mirrored[some].sum()))
    return min(max(1 - common / power, 0.0), 1.0), power / scatter, _half_power(at[some], excess[some])


def _line_aside(
    power: _Reals, other: _Reals, at: _Reals, edges: tuple[float, float], noise: float, first: float
) -> float:
    """Return the power of the strongest line of a side over the noise's; 0 where the other side has its mirror image.

    Args:
        power: of the side at each frequency.
        other: of the other side.
        at: frequencies, Hz from the line.
        edges: of the side, Hz from the line.
        noise: mean power of the noise in a bin.
        first: power of the first line.
    """
    some = np.flatnonzero((at > edges[0]) & (at <= edges[1]))
    if len(some) < _FEWEST:
        return 0.0
    top = int(some[int(np.argmax(power[some]))])
    near = slice(max(0, top - _IMAGE), top + _IMAGE + 1)
    whole = float(power[some].sum()) - noise * len(some)
    alone = (
        float(power[near].sum()) > _LINE_SHARE * whole and float(other[near].max()) < _MIRRORED * power[top]
    )
    return float(power[top]) / noise if alone else 0.0


def _aligned(iq: NDArray[np.complex64], rate: float, half: float) -> tuple[NDArray[np.complex128], float]:
    """Return samples over those of their line, without the ends, where it is not known; and the line's mean level.

    Args:
        iq: complex [N].
        rate: samples a second.
        half: Hz on either side of 0 Hz that belong to the line.
    """
    count = len(iq)
    middle, window = count // 2, hann(count // 2)
    # From the first half to the second the line turns by what is left of its frequency.
    first, second = (complex(np.sum(part * window)) for part in (iq[:middle], iq[count - middle :]))
    turn = np.angle(second * np.conj(first)) / (count - middle)
    still = turned(np.asarray(iq, np.complex64), -float(turn) / (2 * math.pi))
    away = np.abs(fft.fftfreq(count, 1 / rate))
    keep = np.clip((half * (1 + _EDGE) - away) / (half * _EDGE), 0, 1).astype(np.float32)
    line = fft.ifft(fft.fft(still) * keep)
    size = np.abs(line)
    level = float(size.mean())
    size = np.maximum(size, _FAINTEST * level)
    ends = min(count // 8, math.ceil(rate / half))
    kept = fft.quick_length(count - 2 * ends)
    return (still * np.conj(line) / (size * level))[ends : ends + kept], level


def _power(values: _Reals, window: _Reals) -> _Reals:
    """Return the powers of a windowed signal's transform."""
    return powers(fft.rfft((values - float(values.mean())) * window))


def _spread(aligned: NDArray[np.complex128], rate: float, reach: float) -> tuple[float | None, float]:
    """Return how far the amplitude's distribution is from two levels, the least of several widths that noise leaves.

    And the share of the amplitude's power that is in the widest of these.

    Args:
        aligned: samples over those of their line, complex [N]: amplitude and noise, and noise as strong in quadrature.
        rate: samples a second.
        reach: Hz that the amplitude goes to.
    """
    count = len(aligned)
    spectrum = fft.fft((aligned - complex(aligned.mean())).astype(np.complex64))
    away = np.abs(fft.fftfreq(count, 1 / rate)).astype(np.float32)
    found: list[float] = []
    whole = held = 0.0
    for part in _HELD_PARTS:
        top = part * reach
        kept = fft.ifft(spectrum * np.clip((1.1 * top - away) / (0.1 * top), 0, 1))
        values, across = kept.real.astype(np.float64), kept.imag.astype(np.float64)
        noise = float(across @ across) / count
        power = np.square(values)
        clean = float(power.mean()) - noise
        whole = max(whole, clean)
        if not clean > 0:
            continue
        independent = min(2 * top / rate, 1.0) * count
        if _SCATTER / math.sqrt(independent) * (noise / clean) ** _BY_NOISE > _HELD_DOUBT:
            continue  # of a code without low frequencies wider parts have less noise
        third = float(power @ values) / len(values) / clean**1.5
        fourth = (float(power @ power) / len(power) - 6 * clean * noise - 3 * noise**2) / clean**2
        found.append(fourth - third**2 - 1)
        held = max(held, clean)
    return (max(min(found), 0.0) if found else None), min(held / max(whole, 1e-30), 1.0)
