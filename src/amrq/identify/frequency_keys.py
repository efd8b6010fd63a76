# SPDX-License-Identifier: GPL-3.0-or-later
"""What tells a keyed frequency from others: how many levels it has, its clock, an eye that was opened, MSK's turns.

Where levels show, their number is the family. Two that are kept and left with a clock are keys whatever they say; two
that balance each other are the half waves of a modem's tones, inside FM.

A Gaussian filter with a small product of bandwidth and symbol time makes a keyed frequency look like audio: it rests
near its middle, has peaks, and no levels. What audio has not is a symbol clock as fast as the signal is wide; nor is
audio wider than some 20 kHz, and a broadcast's multiplex 60 kHz. So a clear clock, or a frequency that follows what is
wider, speaks against FM, whatever the levels are; and where the clock is clear and the levels are not, it speaks
against any number of them that a model thinks of.

Binary keying with an index of a half (MSK, GMSK) has the turns of OQPSK, and its lines. OQPSK with filtered points has
an envelope that varies: the mean squared power over the squared mean is 1.05 and more, noise taken off. With half-sine
pulses OQPSK is MSK, and no filter rounds its turns; a constant envelope with an eye that one had closed is GMSK's.
"""

import math

from amrq.identify.look import EmissionLook
from amrq.identify.weights import ramp

__all__ = [
    "clocked",
    "dwelling",
    "is_usual",
    "levels_of",
    "modem_inside",
    "msk_like",
    "opened",
    "round_turns",
    "waved",
    "wide_message",
]

_WIDE_FM, _TONES_INDEX = 30e3, 1.6
"""Hz: modems are inside FM that is narrower; their waves look like symbols of a smaller index."""
_MODEMS, _USUAL = (50.0, 75.0, 100.0, 300.0, 600.0, 1200.0, 1600.0, 2400.0, 4800.0), 0.02
"""Bd: of modems that are sent as audio; and how far a rate may be off."""
_UNUSUAL = 0.7
"""Confidence of a modem with another rate, at most."""
_LEVELS = {"fsk2": (2, 2), "fsk4": (3, 4), "fskm": (5, 1000)}
"""Numbers of levels that are measured."""
_WAVES_INDEX, _WAVES_RATE, _GAP, _MOST_WAVED = 0.6, 10e3, (0.02, 0.04), 0.9
"""Of half waves of a modem's tones: their index and rate, Bd, at most; the gap at 0 Hz in symbol rates (random keys
have 0.005); and how sure they make FM."""
_HELD_FLAT, _NOT_SQUARE = (1.4, 1.5), (0.94, 0.97)
"""Peakedness, and share in one line, of a frequency that is held: a sine has 1.5 and 1."""
_APART, _CLOCK = (1.0, 1.6), (10.0, 25.0)
"""Evidence of levels, and how far the clock stands out: noise has 6."""
_FITS = 0.3, 0.7
"""Confidence of frequency keying whose levels fit."""
_CLOCKED, _ABOVE_AUDIO, _OPENED = (15.0, 25.0), (60e3, 85e3), (0.5, 0.8)
"""Evidence of a clock's line, and Bd that lines of a broadcast's pilot and subcarriers are below, mostly; confidence of
levels in an opened eye."""
_STAYS = 0.3, 0.5
"""Share of a line that stays: of random keys in a closed eye it is less than a tenth."""
_MSK, _MSK_ENVELOPE, _GAUSSIAN = (0.42, 0.58), (1.02, 1.05), (0.5, 0.7)
"""Index of MSK; mean squared power over squared mean, noise taken off; BT of a filter that rounds the turns."""
_STEADY, _LEAST_SNR, _STAGGERED = (0.1, 0.13), 12.0, (0.1, 0.4)
"""Variation of an envelope, below which no OQPSK with filtered points has it: of 270 simulated ones with roll-offs to 1
and saturated amplifiers from 15 dB on 0.15 at least, tamed FM 0.11 at most; dB from which on noise hides none of that;
and probability of OQPSK by its lines."""
_WIDE_MESSAGE = 75e3, 110e3
"""Hz: half of what a broadcast's frequency follows is below the former, even where nothing is heard."""
_NO_BROADCAST = 400e3, 500e3
"""Hz: a broadcast with 75 kHz of deviation and subcarriers up to 99 kHz is 350 kHz wide by Carson's rule."""


def levels_of(look: EmissionLook) -> str:
    """Return the family of frequency keying with as many levels as were measured; empty where none were."""
    found = look.frequency_keying.levels or 0
    return next((name for name, (low, high) in _LEVELS.items() if low <= found <= high), "")


def dwelling(look: EmissionLook) -> float:
    """Return how clearly the frequency rests on two tones and changes with a clock, whatever is sent, 0 to 1.

    A pattern that repeats tells nothing of its symbols; that a tone is held, and for how long, it tells.
    """
    found, spread = look.frequency_keying, look.frequency_spread
    if found.levels != 2 or spread.peakedness is None:
        return 0.0
    held = 1 - max(ramp(spread.peakedness, *_HELD_FLAT), ramp(spread.in_tone, *_NOT_SQUARE))
    return held * ramp(found.level_evidence, *_APART) * ramp(found.clock, *_CLOCK)


def waved(look: EmissionLook) -> float:
    """Return how clearly two levels are the half waves of a modem's tones, 0 to 1.

    Whole and half waves of audio, one a bit, look like keys at twice the bit rate with a small index that balance each
    other: the frequency has nothing near 0 Hz.
    """
    found = look.frequency_keying
    if found.levels != 2 or found.index is None or not found.symbol_rate or look.bandwidth > _WIDE_FM:
        return 0.0
    if found.index > _WAVES_INDEX or found.symbol_rate > _WAVES_RATE:
        return 0.0
    gap = look.frequency_spread.lowest / found.symbol_rate
    return _MOST_WAVED * ramp(gap, *_GAP) * ramp(max(found.confidence, found.levels_confidence), *_FITS)


def modem_inside(look: EmissionLook) -> float:
    """Return how likely keyed frequency is that of a modem's tones inside narrow FM, 0 to 1."""
    if look.bandwidth > _WIDE_FM:
        return 0.0
    index = look.frequency_keying.index
    if index is not None and index > _TONES_INDEX:
        return 0.0
    found, rate = look.frequency_keying, look.fm.inner_symbol_rate
    inside = look.fm.inner_confidence
    if rate and not is_usual(rate):  # where levels fit, they are keys, of which two were taken for tones
        inside *= _UNUSUAL * (1 - ramp(max(found.confidence, found.levels_confidence), *_FITS))
    return max(inside, waved(look))


def is_usual(rate: float) -> bool:
    """Return whether modems that are sent as audio have such a symbol rate, Bd.

    >>> is_usual(1199.0), is_usual(1833.0)
    (True, False)
    """
    return min(abs(rate / one - 1) for one in _MODEMS) < _USUAL


def clocked(look: EmissionLook) -> float:
    """Return how clearly the frequency has a symbol clock that no audio has, whatever its levels are, 0 to 1.

    Tones of audio and a broadcast's multiplex have such lines as well, but slower ones.
    """
    found = look.frequency_keying
    if found.clock_rate is None:
        return 0.0
    pilot = look.fm.pilot_confidence if "fm" in look.__dict__ and look.fm.pilot_deviation else 0.0
    clear = ramp(found.clearest_clock, *_CLOCKED) * ramp(found.clock_rate, *_ABOVE_AUDIO) * (1 - pilot)
    return max(clear, opened(look))


def opened(look: EmissionLook) -> float:
    """Return how clearly there are levels in an eye that a filter had closed, 0 to 1.

    A look in which the phase comes back to where it was has a line: a pattern has one, of whatever modulation, and fits
    levels at some rate. Random keys whose eye is closed have none.
    """
    found = look.frequency_keying
    if found.clock_rate is None:
        return 0.0
    return ramp(found.levels_confidence, *_OPENED) * (1 - ramp(look.line.share, *_STAYS))


def msk_like(look: EmissionLook) -> float:
    """Return how clearly it is binary frequency keying with the turns of OQPSK and a Gaussian filter, 0 to 1.

    Its envelope is constant; that of OQPSK is not, but with half-sine pulses, which no filter rounds.
    """
    found = look.frequency_keying
    if found.levels != 2 or found.bt is None or found.index is None:
        return 0.0
    turns = 1.0 if _MSK[0] < found.index < _MSK[1] else 0.0
    rounded = (1 - ramp(found.envelope, *_MSK_ENVELOPE)) * (1 - ramp(found.bt, *_GAUSSIAN))
    return turns * rounded * ramp(found.levels_confidence, *_OPENED)


def round_turns(look: EmissionLook) -> float:
    """Return how clearly the turns of OQPSK are those of a frequency, whatever levels it has, 0 to 1.

    The square's lines of OQPSK are MSK's as well, and those of all that is keyed in frequency with an index of a half
    through a filter (GMSK, tamed FM), which leaves neither levels nor a clock to be seen. Filtered points have an
    envelope that varies, whatever the filter: where noise is not as large as that, one that stays is none of theirs.
    """
    if look.measures.snr_db < _LEAST_SNR or not math.isfinite(look.measures.snr_db):
        return 0.0
    steady = 1 - ramp(look.envelope, *_STEADY)
    return steady * ramp(look.phase_keying.oqpsk, *_STAGGERED) if steady else 0.0


def wide_message(look: EmissionLook) -> float:
    """Return how clearly the frequency follows something that is wider than any audio, 0 to 1.

    Or it follows it by more than any broadcast does, without a pilot: keys whose eye a filter has closed do.
    """
    wide = ramp(look.frequency_spread.middle, *_WIDE_MESSAGE)
    far = ramp(look.bandwidth, *_NO_BROADCAST)
    if wide < far:
        wide = max(wide, far * (1 - (look.fm.pilot_confidence if look.fm.pilot_deviation else 0.0)))
    return wide
