# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be measured of frequency keying: levels, symbol rate, deviation, index and Gaussian shaping.

A discriminator gives the frequency. Where symbols change it changes fast, and the square of how fast it changes has a
line at the symbol rate. Over one symbol it is averaged: then the responses of all symbols to one symbol's level add
up to one for any pulse, and a linear fit of averages to the levels of neighbouring symbols gives deviation and
shaping at once.
"""

import math
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from amrq.chunks import finite_samples
from amrq.errors import AmrqError
from amrq.measure.closed_eye import CLEAR_CLOCK, open_eye
from amrq.measure.keyed_samples import MOST_SAMPLES, KeyedSamples, keyed_samples
from amrq.measure.keying_search import MANY, MOST_CLOCK, STEADY_ENVELOPE, UNSTEADY, best_fit
from amrq.measure.looks import logistic
from amrq.measure.start_stop import find_start_stop
from amrq.measure.symbol_clock import clock_rates, half_rate_beats
from amrq.measure.tone_levels import LevelFit, fit_after_leader, fit_symbols

__all__ = ["FrequencyKeying", "instantaneous_frequency", "measure_frequency_keying"]

_LEAST_SAMPLES = 256
_WAVE, _ROUND = (0.76, 0.66), (0.95, 0.65)
"""Mean frequency over symbols, over that at their middle: from nearly held tones to a sine, which has 2 / pi."""
_MSK, _SMOOTHED, _STEADY = (0.35, 0.65), (-0.92, -1.0), (-0.015, -0.03)
"""Index of MSK; minus the response to a symbol in its own time, and minus the swing of the power, of MSK and of
phase keying."""
_FADING = 1.15
"""Of the mean squared power over the squared mean, where slow tones are fitted: more does not count, since waves that
fade, and tones of others in the same band, swing as well."""
_RESTED = 0.12
"""Share of a look in which the frequency rests before it is keyed, from which on what follows is looked at alone."""
_SURE_LEVELS, _SHAPED_ENVELOPE, _CONSTANT, _ALIKE = 0.5, 1.2, 1.04, 0.2
"""Confidence of levels that hold; envelopes (as `FrequencyKeying.envelope`) of what may be shaped frequency keying in a
box that cuts it, and of binary keying, at most; `phase_like` of what is none."""
_WIDER_BAND, _LEAST_WIDER, _LITTLE_NOISE = 1.7, 1.3, 0.06
"""Of the band, a wider one that has the clock where a box does not; and share of noise, with which it is looked at."""
_FARTHER, _EDGE, _SAME_SPACING = 1.4, 0.55, 0.01
"""Of the band, a wider one that has tones beyond a box that cuts them; from its middle, where its edge is; and by how
much their spacings differ."""
_BEYOND = 0.004
"""Of a signal's power, that is in the wider band alone, at least, where the box has cut it."""
_LEAST_OPENED, _MOST_SURE, _MOST_BEAT, _NO_LEVELS = 0.2, 0.95, 0.1, 0.577
"""Confidence of an opened eye that counts, and what it is worth at most; swing of the power with the symbols that no
frequency keying has; error of evenly spread values."""
_SAME_CLOCK = 1e-3
"""By how much two clocks differ that are one."""
_AS_LONG, _MUCH_LESS = 1.25, 0.75
"""Symbols of a clock: shorter bits that start and stop count where they leave so much less than it."""
_RIGHT, _RIGHT_LEVELS = (
    np.array([-2.4, -11.0, -5.1, -5.7, -0.54, 0.85, -0.56, 1.0, -0.79, 3.4, -13.0, 6.5, 0.36, -3.9, -3.2]),
    np.array([-3.4, -9.8, -4.3, -6.0, -0.59, 1.0, -0.47, 0.85, -0.19, 0.82, -11.0, 6.5, 0.36, -2.0, -3.3]),
)
"""Factors of what a fit is judged by (`_confidences`), for symbol rate and deviation, and for the number of levels."""

_Reals = NDArray[np.float64]


@dataclass(frozen=True)
class FrequencyKeying:
    """What was measured of frequency keying; None where the samples do not carry it.

    Attributes:
        levels: number of tones.
        symbol_rate: symbols a second.
        deviation: of the outermost tone from the middle, Hz.
        eye_deviation: frequency of the outermost symbols at their middle, less that of the middle, Hz: less than the
            deviation where pulses are shaped, since neighbours count.
        spacing: distance of neighbouring tones, Hz.
        index: modulation index: spacing over symbol rate.
        bt: product of bandwidth and symbol time of a Gaussian filter that shapes as much; None where it is not seen:
            above 1.2 a pulse cannot be told from a hard one.
        centre: middle between the tones, Hz from 0 Hz of the samples.
        error: RMS of what the fit leaves, over half the distance of the tones: 0 where all is explained.
        tones_seen: tones from the lowest to the highest that was sent: where there are many, some may be missing, and
            `levels` is the likeliest number of all.
        levels_likely: probability that there are as many tones as `levels` where `tones_seen` were seen, 0 to 1.
        symbols: that were looked at.
        clock: how far a line of the symbol clock stands out: minus the logarithm of the probability that a bin of noise
            is as high; 0 where the symbol rate was told.
        level_evidence: a symbol: logarithm of how much likelier the frequencies are with these levels than with the
            best of a uniform, a normal and a Laplace density, parameters paid for; below 0 there are no levels.
        level_margin: the same against any other number of levels, or none.
        changes: share of the symbols whose tone is not that of the one before, over that of random symbols, at most 1.
        longest: share of the symbols that the longest stretch on one tone takes.
        surprise: information of a symbol whose two predecessors are known, of that of a random one, 0 to 1: small where
            a pattern repeats. None of more than four tones.
        swept: how far tones follow each other as those of a sweep that is cut into symbols do, 0 to 1; 0 of two tones.
        squareness: distance of the tones by the mean frequency of symbols, over that at their middle: 1 where a tone is
            held for a symbol, 0.64 of the half waves of a sine.
        envelope: mean squared power over squared mean power while the signal is there, noise taken off: 1 where it is
            steady, 2 of noise.
        beat: how far the power swings with the symbols, over its mean: near 0 of frequency keying, even where a filter
            touches it; 0.2 to 1 of linear modulations.
        phase_like: how far two levels are rather the turns of pi/2-BPSK with filtered pulses, 0 to 1.
        confidence: probability that symbol rate and deviation are right (0.5 and 5 %), 0 to 1.
        levels_confidence: probability that a frequency is keyed with this clock between exactly so many levels, 0 to 1.
        clearest_clock: how far the clearest line of a clock stands out, whether or not levels fit it; 0 where that is
            not clear, and where levels are.
        clock_rate: symbol rate of that line; None where there is none.
    """

    levels: int | None = None
    symbol_rate: float | None = None
    deviation: float | None = None
    eye_deviation: float | None = None
    spacing: float | None = None
    index: float | None = None
    bt: float | None = None
    centre: float | None = None
    error: float = math.inf
    tones_seen: int | None = None
    levels_likely: float = 0.0
    symbols: int = 0
    clock: float = 0.0
    level_evidence: float = -math.inf
    level_margin: float = -math.inf
    changes: float = 0.0
    longest: float = 1.0
    surprise: float | None = None
    swept: float = 0.0
    squareness: float = 1.0
    envelope: float = 1.0
    beat: float = 0.0
    phase_like: float = 0.0
    confidence: float = 0.0
    levels_confidence: float = 0.0
    clearest_clock: float = 0.0
    clock_rate: float | None = None


def measure_frequency_keying(
    iq: NDArray[np.complex64],
    sample_rate: float,
    bandwidth: float | None = None,
    symbol_rate: float | None = None,
    slow: bool = True,
    closed: bool = True,
) -> FrequencyKeying:
    """Measure the frequency keying of an emission about 0 Hz.

    Args:
        iq: complex [N], the emission about 0 Hz; of much more than 16,384 samples at four a bandwidth, the first are
            looked at.
        sample_rate: samples a second, above 0.
        bandwidth: of the emission (99 %), right to some 20 %, Hz; None: 0.8 of the sample rate.
        symbol_rate: symbols a second, where it is known, right to 1 %.
        slow: slow tones are looked for, which takes a third of the time; where the envelope varies they always are.
        closed: so are levels in an eye that a filter has closed.

    Raises:
        AmrqError: the sample rate is not above 0.

    >>> rng = np.random.default_rng(1)
    >>> tones = np.repeat(rng.choice([-2400.0, 2400.0], 500), 10)
    >>> iq = np.exp(2j * np.pi * np.cumsum(tones) / 48e3) + rng.normal(size=(5000, 2)) @ [0.05, 0.05j]
    >>> found = measure_frequency_keying(iq, 48e3, bandwidth=11e3)
    >>> found.levels, round(found.symbol_rate, -1), round(found.deviation, -2), round(found.index, 1)
    (2, 4800.0, 2400.0, 1.0)
    """
    if not 0 < sample_rate < math.inf:
        raise AmrqError(f"the sample rate must be above 0 Hz, not {sample_rate:g}.")
    iq = finite_samples(iq)
    width = bandwidth if bandwidth is not None and 0 < bandwidth < math.inf else 0.8 * sample_rate
    if len(iq) < _LEAST_SAMPLES or not np.any(iq):
        return FrequencyKeying()
    keyed = keyed_samples(iq, sample_rate, width)
    width, given = keyed.width, width
    known = symbol_rate if symbol_rate is not None and 0 < symbol_rate < keyed.rate / 2 else None
    rates = [(known, 0.0)] if known else _clock_of(keyed)
    slow = slow or keyed.envelope > STEADY_ENVELOPE
    found = _measured(keyed, rates, known is not None, slow)
    if not known and found.levels_confidence < _SURE_LEVELS:
        rest = keyed.rest()
        if rest > _RESTED * len(keyed):
            # A carrier before the keys narrows the band that is looked at, and hides their clock.
            keys = keyed_samples(iq[int(rest * sample_rate / keyed.rate) :], sample_rate, given)
            clocks = _clock_of(keys)
            later = _measured(keys, clocks, False, slow)
            if later.levels_confidence > found.levels_confidence:
                found, keyed, rates = later, keys, clocks
    if not known and found.levels_confidence > _SURE_LEVELS and keyed.width >= given:
        found = _with_tones_beyond(found, iq, sample_rate, keyed)
    if not closed or found.levels_confidence > _SURE_LEVELS or keyed.envelope > _SHAPED_ENVELOPE:
        return found
    if rates and (known or rates[0][1] > CLEAR_CLOCK):
        found = _with_opened_eye(found, keyed, rates[0])
    if known or found.levels_confidence > _SURE_LEVELS:
        return found
    wider, rates = _in_wider_band(iq, sample_rate, keyed)
    if rates and rates[0][1] > max(CLEAR_CLOCK, found.clearest_clock):
        found = _with_opened_eye(found, wider, rates[0])
    for samples in (keyed, wider) if wider is not keyed else (keyed,):
        if found.levels_confidence > _SURE_LEVELS:
            break
        beats = half_rate_beats(samples.frequency, samples.rate, samples.width)
        if beats and beats[0][1] > CLEAR_CLOCK and not _is_tried(beats[0][0], samples.rate, found.clock_rate):
            opened = _with_opened_eye(found, samples, beats[0])
            # Tones of audio beat as well: without levels nothing is said of them.
            found = opened if opened.levels_confidence > found.levels_confidence else found
    return found


def _with_tones_beyond(
    found: FrequencyKeying, iq: NDArray[np.complex64], sample_rate: float, keyed: KeyedSamples
) -> FrequencyKeying:
    """Return what was found of many tones with those beyond the band, where the outermost ones are at its edge.

    Of as many tones as symbols some are not sent meanwhile: no power beside the box shows that there are more.
    """
    if not (
        found.levels and found.levels > MANY and found.spacing and found.symbol_rate and found.tones_seen
    ):
        return found
    reach = abs(found.centre or 0.0) + found.spacing * (found.tones_seen + 1) / 2
    width = min(_FARTHER * keyed.width, sample_rate / 1.2)
    if reach < _EDGE * keyed.width or width < _LEAST_WIDER * keyed.width:
        return found
    wider = keyed_samples(iq, sample_rate, width, narrower=False)
    more = _measured(wider, [(found.symbol_rate, found.clock)], True, False)
    same = more.spacing is not None and abs(more.spacing / found.spacing - 1) < _SAME_SPACING
    sees = (more.tones_seen or 0) > found.tones_seen and more.levels_confidence > _SURE_LEVELS
    return more if same and sees else found


def _is_tried(rate: float, most: float, clock: float | None) -> bool:
    """Return whether an eye has been looked for at a clock before, or a clock is too fast for any eye."""
    return rate > most / 2 or (clock is not None and abs(rate / clock - 1) < _SAME_CLOCK)


def _clock_of(keyed: KeyedSamples) -> list[tuple[float, float]]:
    return [] if keyed.envelope > UNSTEADY else clock_rates(keyed.frequency, keyed.rate, keyed.width)


def _in_wider_band(
    iq: NDArray[np.complex64], sample_rate: float, keyed: KeyedSamples
) -> tuple[KeyedSamples, list[tuple[float, float]]]:
    """Return the samples of a wider band, and its clock: a box that holds 97 % of a signal takes its clock away.

    No clock where noise is strong, which would be stronger there.
    """
    width = min(_WIDER_BAND * keyed.width, sample_rate / 1.2)
    if keyed.noise > _LITTLE_NOISE or width < _LEAST_WIDER * keyed.width:
        return keyed, []
    wider = keyed_samples(iq, sample_rate, width, narrower=False)
    seconds = len(wider.samples) / wider.rate
    beyond = _energy(wider, seconds) / max(_energy(keyed, seconds), 1e-300) - 1
    if beyond < _BEYOND + (width / keyed.width - 1) * keyed.noise:
        return keyed, []  # there is noise alone
    return wider, clock_rates(wider.frequency, wider.rate, wider.width)


def _energy(keyed: KeyedSamples, seconds: float) -> float:
    """Return the energy of the first seconds of samples, whatever their rate: its square is in their level."""
    first = keyed.samples[: round(seconds * keyed.rate)]
    return float(np.vdot(first, first).real) * keyed.rate


def _with_opened_eye(
    found: FrequencyKeying, keyed: KeyedSamples, clock: tuple[float, float]
) -> FrequencyKeying:
    """Return the levels of a frequency whose eye a Gaussian filter has closed, where its clock is clear."""
    rate, line = clock
    beat = keyed.beat(rate)
    opened = open_eye(keyed, rate)
    found = replace(found, clearest_clock=line, clock_rate=rate)
    if opened is None or opened.confidence < _LEAST_OPENED or beat > _MOST_BEAT:
        return found
    spacing, levels = 2 * opened.half, opened.levels
    if levels == 2 and (keyed.envelope > _CONSTANT or beat > -_STEADY[0] or found.phase_like > _ALIKE):
        return found  # the turns of a phase keying with round pulses are opened as well
    sure = _MOST_SURE * opened.confidence
    return replace(
        found,
        levels=levels,
        symbol_rate=rate,
        deviation=opened.half * (levels - 1),
        eye_deviation=None,
        spacing=spacing,
        index=spacing / rate,
        bt=opened.bt,
        centre=keyed.middle + opened.centre,
        error=opened.error,
        tones_seen=levels,
        levels_likely=opened.confidence,
        symbols=len(opened.numbers),
        clock=line,
        level_evidence=math.log(_NO_LEVELS / opened.error),
        level_margin=math.log(opened.next_error / opened.error),
        changes=opened.changes,
        longest=0.0,
        surprise=1.0 if levels <= MANY else None,
        swept=0.0,
        beat=beat,
        phase_like=0.0,
        confidence=sure,
        levels_confidence=sure,
    )


def _measured(
    keyed: KeyedSamples, rates: list[tuple[float, float]], known: bool, tones: bool
) -> FrequencyKeying:
    """Return what the best fit at symbol rates says."""
    width = keyed.width
    best, line, slow = best_fit(keyed, rates, known, tones)
    if best is None:
        return FrequencyKeying(envelope=keyed.envelope)
    best = fit_after_leader(keyed, best)
    if best.levels <= MANY and best.evidence > 0 and not known:
        best = _start_stop(keyed, best, rates)
    spacing, beat = 2 * best.half, keyed.beat(best.rate)
    envelope = min(keyed.envelope, _FADING) if slow else keyed.envelope
    confidence, levels_confidence, alike = _confidences(best, envelope, width, line, beat)
    return FrequencyKeying(
        levels=best.levels,
        symbol_rate=best.rate,
        deviation=best.half * (best.levels - 1),
        eye_deviation=best.eye * (best.levels - 1),
        spacing=spacing,
        index=spacing / best.rate,
        bt=_gaussian(best.main),
        centre=keyed.middle + best.centre,
        error=best.error,
        tones_seen=best.seen,
        levels_likely=best.likely,
        symbols=best.symbols,
        clock=line,
        level_evidence=best.evidence / best.symbols,
        level_margin=best.margin / best.symbols,
        changes=best.changes,
        longest=best.longest,
        surprise=best.surprise if best.levels <= MANY else None,
        swept=best.swept,
        squareness=best.square,
        envelope=keyed.envelope,
        beat=beat,
        phase_like=alike,
        confidence=confidence,
        levels_confidence=levels_confidence,
    )


def _start_stop(keyed: KeyedSamples, fit: LevelFit, rates: list[tuple[float, float]]) -> LevelFit:
    """Return the fit of characters that start and stop, where a clock does not keep time with them; else the fit.

    Bits that some characters have half a symbol later than others are three or four levels by the clock.
    """
    outer = fit.half * (fit.levels - 1)
    begun = find_start_stop(keyed, fit.rate, fit.centre, outer, rates, other=fit.levels == 2)
    found = None if begun is None else fit_symbols(keyed, begun.starts, begun.rate)
    if begun is None or found is None or not found.evidence > 0:
        return fit
    if fit.levels > 2:
        return found if found.evidence / found.symbols > fit.evidence / fit.symbols else fit
    # What a filter makes of single bits is no other rate, and the clock fits as well then.
    slow = fit.rate / found.rate > _AS_LONG
    return found if slow or found.error < _MUCH_LESS * fit.error else fit


def instantaneous_frequency(
    iq: NDArray[np.complex64], sample_rate: float, width: float, most: int = MOST_SAMPLES
) -> tuple[_Reals, float, float]:
    """Return the frequency, Hz from a middle, its sample rate, and that middle.

    Args:
        iq: complex64 [N], a signal about 0 Hz.
        sample_rate: of the signal, samples a second.
        width: of the signal, Hz: 1.2 times this is looked at.
        most: samples that are returned at most, 2.5 times the width of them a second.
    """
    found = keyed_samples(iq, sample_rate, width, most, narrower=False)
    return found.frequency, found.rate, found.middle


def _gaussian(main: float) -> float | None:
    """Return BT of a Gaussian filter by the response to a symbol in its own time; None where it is hardly there."""
    table, response = _responses()
    if not response[0] <= main <= response[-1]:
        return None
    return float(np.interp(main, response, table))


@lru_cache(maxsize=1)
def _responses() -> tuple[_Reals, _Reals]:
    table = np.array([0.2, 0.25, 0.3, 0.4, 0.5, 0.7, 1.0, 1.2])
    return table, np.array([_own_response(one) for one in table])


def _own_response(bt: float) -> float:
    """Return the average over a symbol of the pulse that a Gaussian filter makes of it."""
    deviation = math.sqrt(math.log(2)) / (2 * math.pi * bt)
    time = np.linspace(-0.5, 0.5, 201)
    scale = deviation * math.sqrt(2)
    pulse = [0.5 * (math.erf((t + 0.5) / scale) - math.erf((t - 0.5) / scale)) for t in time]
    return float(np.mean(pulse))


def _confidences(
    fit: LevelFit, envelope: float, width: float, clock: float, beat: float
) -> tuple[float, float, float]:
    """Return the probabilities that symbol rate and deviation are right, that the number of levels is, `phase_like`.

    Logistic curves through what simulation had, all families alike (docs/families.md).
    """
    error, spacing = min(fit.error, 1.2), 2 * fit.half
    carson = (spacing * (fit.levels - 1) + fit.rate) / width
    many = fit.levels > MANY
    # A pattern that repeats may be half waves of a sine, where it is as round as those.
    wave = _below(fit.square, *_WAVE) * (0.0 if many else 1 - fit.surprise)
    numbers = np.array(
        [
            1.0,
            error,
            max(0.0, error - 0.3),
            min(envelope, 3.0),
            abs(math.log(max(carson, 0.05))),
            min(math.log(fit.symbols), 7.0),
            min(abs(math.log(spacing / fit.rate)), 4.0),
            1.0 if MANY - 2 < fit.levels <= MANY else 0.0,
            1.0 if many else 0.0,
            error if many else 0.0,
            min(beat, 0.4),
            fit.changes,
            math.log1p(min(clock, MOST_CLOCK)),
            wave,
            _below(fit.square, *_ROUND),
        ]
    )
    alike = _like_phase_keying(fit, beat)
    right, levels = logistic(float(_RIGHT @ numbers)), logistic(float(_RIGHT_LEVELS @ numbers))
    return (1 - alike) * right, (1 - alike) * levels, alike


def _like_phase_keying(fit: LevelFit, beat: float) -> float:
    """Return how far two levels are rather the turns of pi/2-BPSK with filtered pulses, 0 to 1.

    MSK has the same turns. But its frequency is smoothed by whatever shapes it, so that a symbol's own time has less
    than all of the response (at most 0.88 in 76 MSK and GMSK signals); that of filtered points overshoots (at least
    0.98 in 64 with roll-offs of 0.2 to 0.5), and their power swings with the symbols.
    """
    if fit.levels != 2 or not _MSK[0] < 2 * fit.half / fit.rate < _MSK[1]:
        return 0.0
    return _below(-fit.main, *_SMOOTHED) * _below(-beat, *_STEADY)


def _below(value: float, none: float, all_of_it: float) -> float:
    """Return how far a value is below one, 0 to 1 at a second one."""
    return min(max((none - value) / (none - all_of_it), 0.0), 1.0)
