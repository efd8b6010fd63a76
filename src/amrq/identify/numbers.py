# SPDX-License-Identifier: GPL-3.0-or-later
"""The numbers that each family is told by, from the measures of a look, and what is received of it."""

import math
from collections.abc import Callable

from amrq.identify.case import Case
from amrq.identify.frequency_keys import levels_of, modem_inside, msk_like
from amrq.identify.received import ReceivedLinear, staggered
from amrq.identify.weights import ramp
from amrq.measure import RealAxis

__all__ = [
    "NUMBERS",
    "alone",
    "angled",
    "audible",
    "chord",
    "constant_envelope",
    "drifting",
    "eyed",
    "fast_keyed",
    "filled_keys",
    "flat",
    "hand_keyed",
    "held",
    "like_mode_s",
    "lined",
    "lopsided",
    "message_on_axis",
    "mirrored",
    "outcome",
    "overshot",
    "peaked",
    "pictured",
    "switched",
    "toned",
    "turned",
    "unswept",
    "wide_keyed",
]

_NO_EYE = 0.3
"""Of half the distance of levels: what is left over where there is no frequency keying, at least."""
_SURE_EYE, _SURE_LEVELS = 1.0, (0.5, 0.9)
"""An eye that levels show which are as sure as this, though much is left over, as of shaped keys without a filter."""
_CONSTANT, _FILTERED, _LIKE_NOISE = 0.45, 0.3, 0.3
"""Variation of the envelope: of a constant one at most, of filtered symbols at least; of noise it is so near to 1."""
_OFF_MIDDLE, _WIDE_EYE, _TURNED = 0.12, 0.8, 0.4
"""Of the bandwidth, that AM's carrier is off the middle; an eye that audio seldom has; turns of pi/4-DQPSK."""
_AM_CLEAR, _AM_DEPTH = (0.05, 0.21), 0.1
"""Confidence of AM's depth, and depth, that carriers and single sidebands seldom have."""
_ALONE_CLEAR, _LINE_ALONE = (0.065, 0.1), (0.85, 0.95)
"""The same confidence where the line has nearly all of the power, and such shares: what else has it, FM of a small
index, takes that power out of phase."""
_DRIFTS, _STANDS, _STEADY_ENVELOPE = 6e3, 0.6, 0.4
"""Hz: sweeps are wider; share of a line that stands still; variation of a carrier's envelope, at most."""
_GATHERED, _THROUGH = (0.6, 0.85), (0.85, 1.0)
"""Of the power, that is in a line once a drift is taken off; of a box, that a carrier drifts through in a look."""
_DEEPEST, _AUDIBLE = 1.2, (25e3, 36e3)
"""Depth: deeper is keying. Hz: an emission with sidebands of audio, which goes to 12 kHz, is no wider than the former,
with the error of a box."""
_VALUES, _SPARSE, _ON_AXIS = (2.45, 2.75), (7.0, 9.0), (0.5, 0.7)
"""Kurtosis of what lies on one axis: more than that of symbols' levels, less than that of pulses; share that does."""
_PATTERN = 0.6, 0.9
"""Share in lines of what lies on one axis: of a pattern; noise of a limited band has less than 0.1."""
_LED, _CARRIER = 0.3, (0.2, 0.5)
"""So much less on the axis is enough where the carrier has such a share of the power."""
_SIDED, _AWAY, _FARTHER = (8.0, 16.0), (3.5, 6.0), (2.5, 4.0)
"""Power of sidebands in deviations of the noise's, and half-power frequency over that to which the line is followed:
phase noise and drift lie nearer; where sidebands are in quadrature, phase noise has 2."""
_SECOND_LINE = 20.0, 40.0
"""Power of a second line over the noise's in a bin: a tone beside the tone, which is no carrier alone."""
_ANGLED, _SKEWED = (4.5, 8.0), (0.2, 0.4)
"""Evidence and asymmetry of sidebands in quadrature: carriers and single sidebands have 4.1 and less."""
_HUM, _HUM_DEPTH = (0.6, 0.8), (0.1, 0.125)
"""Share of what is in phase that one sine has, and its depth: a hum's; tones of AM are deeper, and its voices and music
have many lines."""
_BESIDE, _HIDDEN = (4.0, 7.0), (0.003, 0.006)
"""Power beside a line in deviations of the noise's: of 45 simulated carriers 43 have less than the former, and of 42
looks at AM whose line has 0.97 of the power 40 have more. One such deviation over the line's power, from which on noise
hides sidebands."""
_VARIED = 0.2, 0.35
"""Variation of the envelope of a line alone, with the noise beside its box: less than 0.17 at 15 dB."""
_FAINTLY_SIDED = 0.05, 0.25
"""How clear sidebands are that a line alone has by chance, and does not have."""
_LIKE_AM = 0.4, 0.7
"""Symmetry of AM's sidebands."""
_ASIDE = 0.6, 0.85
"""Share of a side's power that has no mirror image: AM's sides have less, even with an echo, a neighbour or a pause."""
_LEAST_KEYED, _OFF, _CLEAR_KEYS = 0.15, (0.2, 0.3), 0.9
"""Variation of an envelope that is keyed, at least; lower level over the upper one, where it is off; and so clear are
keys that no eye is looked at."""
_FILLED_KEYS = 0.15, 0.3
"""Share of the power beyond the band that keys take: of pulses that sweep a half, of keys 0.03."""
_TWO = 0.25, 0.42
"""Spread of an amplitude about two levels: keys have less, a sine 0.5."""
_MOST_IN_LINE = 0.5, 0.65
"""Share of the line where the lower level is not off: keying on and off leaves a half."""
_EDGES = ("nrz", "manchester")
"""Line codes with pulses and gaps of several lengths."""
_STAYS, _CODED = (0.3, 0.5), (0.4, 0.7)
"""Share of the line of a carrier that stays; confidence of a clock, which noise in a code leaves."""
_TIMED, _OFF_BY_HAND = (0.35, 0.5), (2.5, 2.9)
"""Confidence of slow keys, and contrast of what is on and off, in noise: of 1,700 simulated looks at 5 and 10 dB none
at anything but keyed carriers has more than the lower ones of both."""
_FAST, _ANY_RATE, _ON = (60.0, 80.0), (0.15, 0.25), (0.8, 0.9)
"""Bd: Morse is slower, 70 words a minute are 58; confidence of a rate: noise has the former; duty of no code."""
_FLAT, _PEAKED = (1.6, 2.1), (2.2, 2.6)
"""Peakedness of a frequency: of keys and sweeps, and of voices, music and noise."""
_ONE_TONE = 0.975, 0.99
"""Share of a frequency's power in one line, where nothing else is there. Hard keys by turns have less than 0.95."""
_FEW_TONES, _NOT_BY_TURNS = (0.965, 0.985), (0.78, 0.84)
"""Share in three lines of tones' frequency, and in one, of which keys by turns, however round, have more."""
_ROUND = 1.6, 1.75
"""Peakedness of a sine, and of a ramp."""
_UNEVEN, _HARDLY_FITS = (1.95, 2.25), (0.1, 0.3)
"""Peakedness that 19 of 20 signals with two or four tones do not have; confidence, below which no keys are seen."""
_WIDE_FM, _SURE_PILOT = 30e3, 0.95
"""Hz: FM that is wider is wide; confidence of a stereo pilot that leaves nothing to keys."""
_FITS = 0.3, 0.7
"""Confidence of frequency keying: with it, keys whose frequency is peaked are keys in a burst that begins or ends."""
_MODEM = 0.6
"""Of an eye: so much of it a modem found in FM explains."""
_TWO_LEVELS = 3.0
"""Contrast: noise and voices have less."""
_OVERSHOT = 1.1, 1.4
"""Distance of levels by the mean of symbols over that in their middle: of 270 signals of frequency keying, with faults
of air and receiver, 1.05 at most."""
_PATTERNED, _VARIES = 0.3, (1.03, 1.06)
"""Surprise of a pattern; and mean squared power over squared mean, noise taken off, of an envelope that varies."""
_PHASES = 0.5
"""Of two levels: from here on they are turns of a phase."""
_MODE_S, _AS_LONG, _MANCHESTER = 0.5e-6, 0.03, 2.2
"""Seconds of a pulse of Mode S; by how much one may be off; and pulses and gaps of Manchester code, at most."""
_WIDE_OFDM = 500e3
"""Hz: what is wider, stands out and is like noise is more likely OFDM (Wi-Fi, LTE, DAB, DVB-T) than noise."""
_AS_CLEAR = 2.0
"""Symbols with such a clock count as so many that were received without a name."""
_RECEIVED_AS_QUARTER = ("QPSK", "8PSK")


def _eye(case: Case) -> float:
    """Return how open the eye of frequency keying is: 0 for what noise has, 3 where nearly nothing is left over."""
    found = case.look.frequency_keying
    if found.levels is None:
        return 0.0
    clear = _SURE_EYE * ramp(min(found.confidence, found.levels_confidence), *_SURE_LEVELS)
    return min(max(math.log(_NO_EYE / max(found.error, 1e-3)), clear), 3.0)


def _beyond_constant(case: Case) -> float:
    """Return how much the envelope varies beyond what echoes and noise make of a constant one, 0 to 1."""
    return min(max((case.look.envelope - _CONSTANT) / _CONSTANT, 0.0), 1.0)


def _below_linear(case: Case) -> float:
    """Return how much less the envelope varies than that of filtered symbols, 0 to 1."""
    return min(max((_FILTERED - case.look.envelope) / _FILTERED, 0.0), 1.0)


def _unlike_noise(case: Case) -> float:
    """Return how far the envelope is from that of Gaussian noise, 0 to 1."""
    return min(max((abs(case.look.envelope - 1) - _LIKE_NOISE) / _LIKE_NOISE, 0.0), 1.0)


def switched(case: Case) -> float:
    """Return how clearly the amplitude is keyed, 0 to 1."""
    keying = case.look.keying
    sure, apart = (keying.confidence - 0.5) / 0.4, (keying.contrast - 2.5) / 2.5
    return min(max(sure, 0.0), 1.0) * min(max(apart, 0.0), 1.0)


def filled_keys(case: Case) -> float:
    """Return how clearly what is keyed is no carrier: it takes a wider band than keys as long do, 0 to 1."""
    return ramp(case.look.beyond_keys, *_FILLED_KEYS)


def held(case: Case) -> float:
    """Return how clearly a carrier's amplitude has two levels, noise taken off, 0 to 1: weak keying, as of ASK.

    Without a carrier that stays, or with sidebands that do not mirror each other, a distribution says nothing of keys;
    where the lower level is off, `switched` tells.
    """
    found = case.look.sidebands
    if found.spread is None:
        return 0.0
    weak = ramp(found.symmetry, *_LIKE_AM) * ramp(case.look.line.share, *_MOST_IN_LINE)
    return (1 - ramp(found.spread, *_TWO)) * weak


def fast_keyed(case: Case) -> float:
    """Return how clearly the amplitude is keyed, and faster than by hand, 0 to 1."""
    keying = case.look.keying
    if keying.symbol_rate is None:  # levels that noise smears show in the middle of symbols alone
        return (
            eyed(case) * ramp(case.look.keyed_eye.symbol_rate or 0.0, *_FAST) if _may_be_eyed(case) else 0.0
        )
    fast = ramp(keying.symbol_rate, *_FAST)
    if not fast:
        return 0.0
    # Runs that are nearly all on are glitches in a burst that begins or ends.
    sure = ramp(keying.confidence, *_ANY_RATE) * (1 - ramp(keying.duty or 0.0, *_ON))
    found = max(switched(case), held(case), _coded(case)) * sure
    return max(found, eyed(case) if found < _CLEAR_KEYS else 0.0) * fast


def eyed(case: Case) -> float:
    """Return how clearly the envelope has two levels in the middle of its symbols, where edges are rounded, 0 to 1.

    The lower one is off, or what is on is a carrier that stays: symbols of a phase dip between two levels, too.
    """
    if not _may_be_eyed(case):
        return 0.0
    found = case.look.keyed_eye
    keys = max(1 - ramp(found.rest, *_OFF), ramp(case.look.line.share, *_STAYS))
    return found.confidence * keys


def _may_be_eyed(case: Case) -> bool:
    """Return whether an envelope varies as much as keys make it."""
    return case.look.envelope >= _LEAST_KEYED


def _coded(case: Case) -> float:
    """Return how clearly a carrier that stays is keyed in a line code whose clock shows, 0 to 1.

    None of 240 simulated looks at AM has such lengths; one in a hundred of symbols and single sidebands has, but no
    carrier with sidebands that mirror each other. A tone's half waves are all alike, as pulses of a position are.
    """
    keying = case.look.keying
    if keying.code not in _EDGES or not keying.clocked:
        return 0.0
    mirror = ramp(case.look.sidebands.symmetry, *_LIKE_AM) * ramp(case.look.line.share, *_STAYS)
    return mirror * ramp(keying.confidence, *_CODED)


def hand_keyed(case: Case) -> float:
    """Return how clearly the amplitude has two levels, or is now and then off, as slowly as by hand, 0 to 1."""
    keying = case.look.keying
    if keying.symbol_rate is None:
        return 0.0
    timed = ramp(keying.confidence, *_TIMED) * ramp(keying.contrast, *_OFF_BY_HAND)
    return max(held(case), timed) * (1 - ramp(keying.symbol_rate, *_FAST))


def angled(case: Case) -> float:
    """Return how clearly a line's sidebands are those of its phase or frequency, and not of noise in it, 0 to 1."""
    found = case.look.sidebands
    away = ramp(found.middle / max(found.followed, 1e-9), *_FARTHER)
    return ramp(-found.evidence, *_ANGLED) * ramp(-found.symmetry, *_SKEWED) * away


def lopsided(case: Case) -> float:
    """Return how clearly a line has sidebands that do not mirror each other, 0 to 1."""
    found = case.look.sidebands
    away = ramp(found.aside_middle / max(found.followed, 1e-9), *_AWAY)
    side = ramp(found.aside_power, *_SIDED) * away * ramp(found.aside, *_ASIDE)
    second = ramp(found.aside_line, *_SECOND_LINE)
    return max(side, second * (1 - switched(case)) if second else 0.0)  # keys of a carrier have lines as well


def _stands_out(case: Case) -> float:
    """Return how far it stands out of the noise beside it, 0 to 1 from 0 to 10 dB; 1 where there is none."""
    snr = case.look.measures.snr_db
    return min(max(snr / 10, 0.0), 1.0) if not math.isnan(snr) else 0.0


def _line(value: float) -> float:
    """Return how far a line stands out of the floor, a logarithm, 0 where noise would have as much."""
    return min(max(0.0, math.log(max(value, 1.0) / 12.0)), 4.0)


def lined(case: Case) -> float:
    """Return whether the square or the fourth power has a line in the middle, as BPSK and QPSK have, 0 to 1."""
    lines = case.look.power_lines
    return min(max(_line(lines.square), _line(lines.fourth)), 1.0)


def turned(case: Case) -> float:
    """Return how clear turns of a quarter or a half are, from symbol to symbol, 0 to 1: BPSK, pi/2-BPSK, QPSK."""
    fourth, square = case.received.turn
    return max(fourth, abs(square), 0.0)


def outcome(received: ReceivedLinear) -> tuple[float, float, float]:
    """Return whether a linear modulation was named, was clear without a name, and was refuted."""
    named = 1.0 if received.label else 0.0
    refuted = 1.0 if "does not fit" in received.reason else 0.0
    return named, float(received.clear) - named - refuted, refuted


def _keyed(case: Case, name: str) -> tuple[float, ...]:
    """Return the eye with wanted and with other levels, how far the envelope is from constant, and audio."""
    eye = _eye(case)
    fits = (
        levels_of(case.look) == name and max(case.look.frequency_keying.phase_like, overshot(case)) < _PHASES
    )
    if eye > _WIDE_EYE:
        eye *= 1 - _MODEM * modem_inside(case.look)
    audio = audible(case, name != "fskm")
    eye *= 1 - audio
    return *((eye, 0.0) if fits else (0.0, eye)), _beyond_constant(case), audio


def overshot(case: Case) -> float:
    """Return how clearly a frequency is that of phases that turn, and not keyed, 0 to 1.

    It is another one between its levels than on them: the mean over a symbol is farther off than the symbol's middle. A
    pattern that comes again and again has levels at some rate, whatever it is of: in an envelope that varies it is one
    of phases.
    """
    found = case.look.frequency_keying
    again = found.surprise is not None and found.surprise < _PATTERNED
    return max(ramp(found.squareness, *_OVERSHOT), float(again) * ramp(found.envelope, *_VARIES))


def mirrored(case: Case) -> float:
    """Return how clearly a carrier has sidebands that mirror each other, 0 to 1."""
    return _sided(case) * (1 - ramp(case.look.bandwidth, *_AUDIBLE))


def wide_keyed(case: Case) -> float:
    """Return how clearly a carrier has sidebands that mirror each other and are wider than those of audio, 0 to 1.

    Those of a wide message are not keys.
    """
    wide = ramp(case.look.bandwidth, *_AUDIBLE)
    if not wide or case.look.line.share <= _MOST_IN_LINE[0]:
        return 0.0
    sided = wide * _sided(case)
    return sided * (1 - message_on_axis(case)) if sided else 0.0


def _sided(case: Case) -> float:
    """Return how clearly there are sidebands that mirror each other, whatever their width, 0 to 1."""
    am = case.look.am
    if am.depth is None or am.depth < _AM_DEPTH:
        return 0.0
    lone = ramp(case.look.line.share, *_LINE_ALONE)
    clear = max(ramp(am.confidence, *_AM_CLEAR), lone * ramp(am.confidence, *_ALONE_CLEAR))
    clear *= min(max((_DEEPEST - am.depth) / 0.3, 0.0), 1.0)
    return clear * (1 - hummed(case)) if clear else 0.0


def hummed(case: Case) -> float:
    """Return how clearly all that a carrier's amplitude has is one faint sine, a hum, 0 to 1."""
    found = case.look.sidebands
    return ramp(found.tone, *_HUM) * (1 - ramp(found.tone_depth, *_HUM_DEPTH)) if found.tone else 0.0


def alone(case: Case) -> float:
    """Return how clearly a line has nothing beside it but a hum, 0 to 1."""
    line = case.look.line
    if not line.power > 0:
        return 0.0
    doubt = max(line.doubt, 1e-30)
    seen = 1 - ramp(doubt / line.power, *_HIDDEN)
    if not seen:
        return 0.0
    hum = 0.5 * case.look.sidebands.tone_depth**2 * line.power * hummed(case)
    nothing = seen * (1 - ramp((line.beside - hum) / doubt, *_BESIDE))
    nothing *= 1 - ramp(case.look.envelope, *_VARIED)
    if not nothing:
        return 0.0
    return nothing * (1 - ramp(max(mirrored(case), lopsided(case), angled(case)), *_FAINTLY_SIDED))


def message_on_axis(case: Case) -> float:
    """Return how clearly all lies on one axis, with a message's many values there and not a few levels, 0 to 1.

    Pulses and long pauses have a larger kurtosis than messages.
    """
    look = case.look
    if _line(look.power_lines.square) <= 0:
        return 0.0
    found = _message_in(look.real_axis, look.bandwidth)
    if found > 0 and look.changed:  # a carrier, then keys of its phase: neither is a message
        found = min(found, max(_message_in(half, look.bandwidth) for half in look.axes_of_halves))
    return found


def _message_in(found: RealAxis, bandwidth: float) -> float:
    """Return how clearly what was measured of one axis is a message, 0 to 1."""
    values = ramp(found.kurtosis, *_VALUES) * (1 - ramp(found.kurtosis, *_SPARSE))
    # A pattern that comes again and again has lines, as voices have; but what is wider than audio is no voice.
    values *= 1 - ramp(found.lined, *_PATTERN) * ramp(bandwidth, *_AUDIBLE)
    # Without a carrier the phase is that of the sum, which follows what lies across a little.
    led = _LED * ramp(found.carrier, *_CARRIER)
    return ramp(found.alone + led, *_ON_AXIS) * values


def drifting(case: Case) -> float:
    """Return how clearly it is a carrier that drifts through a part of a narrow box with nothing beside it, 0 to 1."""
    look = case.look
    if look.bandwidth > _DRIFTS or look.line.share > _STANDS or look.envelope > _STEADY_ENVELOPE:
        return 0.0
    return ramp(look.drift.gathered, *_GATHERED) * (1 - ramp(look.drift.through / look.bandwidth, *_THROUGH))


def _numbers_of_carrier(case: Case) -> tuple[float, ...]:
    line, keyed, fast = max(case.look.line.share, drifting(case)), switched(case), fast_keyed(case)
    sides = max(mirrored(case) * (1 - keyed), lopsided(case), angled(case)) * (1 - keyed)
    return line * (1 - fast), keyed * line * (1 - fast), _beyond_constant(case), sides


def _numbers_of_am(case: Case) -> tuple[float, ...]:
    line = case.look.line
    lower, upper = case.look.band()
    off = abs(line.place - (lower + upper) / 2) / case.look.bandwidth if line.power > 0 else 0.0
    aside = min(max((off - _OFF_MIDDLE) / _OFF_MIDDLE, 0.0), 1.0)
    sides = mirrored(case) * (1 - max(switched(case), fast_keyed(case)))
    other = max(aside, lopsided(case), angled(case))
    return float(case.look.am.depth is not None), sides, min(2 * line.share, 1.0), other * (1 - sides)


def _numbers_of_ssb(case: Case) -> tuple[float, ...]:
    look = case.look
    return abs(look.ssb.skew or 0.0), _below_linear(case), look.line.share


def flat(case: Case) -> float:
    """Return how evenly the frequency's range is used, as by keys and sweeps, 0 to 1."""
    found = case.look.frequency_spread.peakedness
    return 0.0 if found is None else 1 - ramp(found, *_FLAT)


def peaked(case: Case) -> float:
    """Return whether the frequency rests near its middle and has peaks, as that of voices, music and noise, 0 to 1."""
    found = case.look.frequency_spread.peakedness
    return 0.0 if found is None else ramp(found, *_PEAKED)


def toned(case: Case) -> float:
    """Return whether the frequency is a sine: a tone of audio, or round keys by turns, which look the same, 0 to 1."""
    return ramp(case.look.frequency_spread.in_tone, *_ONE_TONE)


def chord(case: Case) -> float:
    """Return whether the frequency is two or three tones, and no keys by turns, 0 to 1."""
    found = case.look.frequency_spread
    return ramp(found.in_lines, *_FEW_TONES) * (1 - ramp(found.in_tone, *_NOT_BY_TURNS))


def unswept(case: Case) -> float:
    """Return how clearly the frequency is not a ramp, but a sine, tones, or what is beside a carrier, 0 to 1."""
    spread = case.look.frequency_spread.peakedness
    sine = 0.0 if spread is None else toned(case) * (1 - ramp(spread, *_ROUND))
    return _clearest(lambda: sine, lambda: chord(case), lambda: peaked(case), lambda: angled(case))


def audible(case: Case, few: bool = False) -> float:
    """Return how clearly the frequency is not that of keys, 0 to 1.

    Args:
        case: what was measured.
        few: of two or four tones, which spread less than many of which some are sent more often.
    """
    found = case.look.frequency_keying
    sure = max(found.confidence, found.levels_confidence)
    against = peaked(case) * (1 - ramp(sure, *_FITS))
    spread = case.look.frequency_spread.peakedness
    if few and spread is not None:
        against = max(against, ramp(spread, *_UNEVEN) * (1 - ramp(sure, *_HARDLY_FITS)), chord(case))
    # Levels that fit and follow each other at random are none of a tone: keys by turns may lead them.
    random = found.surprise is not None and found.surprise > _PATTERNED
    return max(against, toned(case) * (1 - ramp(sure, *_FITS) if random else 1.0))


def pictured(case: Case) -> float:
    """Return how clearly the frequency is that of a picture's lines, 0 to 1."""
    return case.look.video_lines.confidence * constant_envelope(case)


def constant_envelope(case: Case) -> float:
    """Return whether the envelope may be a constant one, with echoes and noise, 0 to 1."""
    return 1 - _beyond_constant(case)


def _clearest(*found: Callable[[], float]) -> float:
    """Return the largest of some numbers, each 0 to 1; after a 1 no further one is worked out."""
    most = 0.0
    for one in found:
        most = max(most, one())
        if most >= 1:
            break
    return most


def _numbers_of_fm(case: Case) -> tuple[float, ...]:
    look = case.look
    pilot = look.fm.pilot_confidence if look.fm.pilot_deviation else 0.0
    if look.bandwidth > _WIDE_FM and pilot > _SURE_PILOT and flat(case) == 0:
        # Beside a pilot neither levels nor sweeps would count, and a frequency that keys use is used evenly.
        return 0.0, _beyond_constant(case), pilot, 0.0, 0.0
    modem = _clearest(lambda: pilot, lambda: modem_inside(look), lambda: angled(case), lambda: pictured(case))
    eye = _eye(case) if look.frequency_keying.levels in (2, 3, 4) else 0.0
    other = _clearest(lambda: modem, lambda: unswept(case))
    swept = look.chirp.confidence * (1 - other) if other < 1 else 0.0
    return (
        max(eye - _WIDE_EYE, 0.0) * (1 - modem) * (1 - audible(case, few=True)),
        _beyond_constant(case),
        modem,
        flat(case) * (1 - max(modem, toned(case), chord(case))),
        swept,
    )


def _numbers_of_keying(case: Case) -> tuple[float, ...]:
    keying = case.look.keying
    duty = keying.duty if keying.duty is not None else 0.6
    keyed = max(switched(case), fast_keyed(case), wide_keyed(case))
    return keyed, float(keying.contrast > _TWO_LEVELS), duty


def like_mode_s(case: Case) -> bool:
    """Return whether keys may be the pulses of Mode S: as long, with one or two between changes, as Manchester has."""
    found = case.look.keying
    if found.pulse is None or found.pulses is None or found.gaps is None:
        return False
    return abs(found.pulse / _MODE_S - 1) < _AS_LONG and max(found.pulses, found.gaps) < _MANCHESTER


def _numbers_of_pulses(case: Case) -> tuple[float, ...]:
    pulses = case.look.pulses
    return pulses.confidence, float(min(pulses.checked, 1))


def _numbers_of_linear(case: Case) -> tuple[float, ...]:
    below = _below_linear(case)
    named, clear, refuted = outcome(case.received)
    clear = max(clear, _AS_CLEAR * case.clock_of_symbols())
    return named, clear, refuted, below, turned(case) * (1 - below), case.eighths()


def _numbers_of_quarter(case: Case) -> tuple[float, ...]:
    """Return those of pi/4-DQPSK."""
    likely = case.look.phase_keying.pi4dqpsk
    received = case.received_already()
    turned = -received.turn[0]
    # QPSK that is half a symbol rate off, or 8PSK with odd turns, is what it is received as.
    eighths = received.label == "8PSK" and turned < _TURNED and likely < 0.5
    other = 1.0 if eighths or (received.label and received.label not in _RECEIVED_AS_QUARTER) else 0.0
    alike = 1.0 if received.label in _RECEIVED_AS_QUARTER and not other else 0.0
    return likely, max(turned, 0.0), other, _below_linear(case), alike, case.eighths()


def _numbers_of_offset(case: Case) -> tuple[float, ...]:
    """Return those of OQPSK."""
    arms = staggered(case.received_already())
    other = 1.0 - arms if case.received_already().label else 0.0
    offset = max(case.look.phase_keying.oqpsk, arms)
    if offset > 0 and case.look.envelope < _FILTERED:
        offset *= 1 - msk_like(case.look)
    return offset, other, _below_linear(case)


def _numbers_of_ofdm(case: Case) -> tuple[float, ...]:
    """Return those of OFDM. Its measure counts envelope and lines itself: frames begin with training symbols."""
    like, sure = 1 - _unlike_noise(case), case.look.subcarriers.confidence
    wide = min(max(math.log10(case.look.bandwidth / _WIDE_OFDM), 0.0), 1.0) * like * _stands_out(case)
    return sure, (1 - like) * (1 - sure), wide


def _numbers_of_chirp(case: Case) -> tuple[float, ...]:
    chirp, swept = case.look.chirp, 1 - drifting(case)
    return chirp.confidence * swept, chirp.gathered * swept, _beyond_constant(case)


def _numbers_of_dsss(case: Case) -> tuple[float, ...]:
    """Return those of direct sequences: how clearly they repeat themselves, and what they were received as."""
    return case.look.spreading.confidence, *outcome(case.received_already()), _below_linear(case)


NUMBERS: dict[str, Callable[[Case], tuple[float, ...]]] = {
    "noise": lambda case: (_unlike_noise(case), case.look.line.share, _stands_out(case)),
    "carrier": _numbers_of_carrier,
    "am": _numbers_of_am,
    "ssb": _numbers_of_ssb,
    "fm": _numbers_of_fm,
    "ook": _numbers_of_keying,
    "pulse": _numbers_of_pulses,
    "fsk2": lambda case: _keyed(case, "fsk2"),
    "fsk4": lambda case: _keyed(case, "fsk4"),
    "fskm": lambda case: _keyed(case, "fskm"),
    "linear": _numbers_of_linear,
    "pi4dqpsk": _numbers_of_quarter,
    "oqpsk": _numbers_of_offset,
    "ofdm": _numbers_of_ofdm,
    "chirp": _numbers_of_chirp,
    "dsss": _numbers_of_dsss,
}
"""Numbers by family, from the measures that it is told by; narrow and wide FM are one until the end."""
