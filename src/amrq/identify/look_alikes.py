# SPDX-License-Identifier: GPL-3.0-or-later
"""Kinds of signals that look alike to a family's proof, and how sure a name is where it may be another of them.

A proof tells that something of a family's own is there. Some of it others have as well: MSK is OQPSK with half-sine
pulses, a few bits of Manchester code are like a short spreading code, keys of either sign are on and off as well, the
edges of a burst are like sidebands. Where measures do not tell which it is, no name is surer than such kinds allow.
"""

from amrq.identify.case import Case
from amrq.identify.frequency_keys import is_usual, round_turns
from amrq.identify.numbers import hand_keyed, like_mode_s, switched, toned
from amrq.identify.weights import ramp

__all__ = ["most_of_alike", "wanders"]

_UNTOLD = 0.85
"""How sure a family is where it may be another one of the same kind."""
_SHORT_LOOK, _SHORTEST, _FEW_SIDED = 512.0, 384.0, 4.5
"""Bandwidths times seconds: a look that is shorter than the latter may show a burst's edges, or a few keys, as AM's
sidebands, and one that is shorter than the former where evidence of sidebands is less than the last."""
_ROUND_ENVELOPE = 0.18
"""Variation of the envelope, below which OQPSK may be MSK, which is OQPSK with half-sine pulses: as sure at most."""
_ALIKE, _ALIKE_INDEX, _ALIKE_ENVELOPE = 0.7, 0.6, 0.1
"""Binary frequency keying with an index below may be a phase keying with round pulses or a modem in FM, where the
envelope varies by more than that: so sure at most."""
_TURNS_ALONE = 0.5
"""Confidence of levels, below which turns alone make a binary frequency keying of what has OQPSK's lines."""
_ROUNDED, _GAP, _HALVES = 0.9, 0.04, 0.12
"""Share of a frequency's power in one line, of round keys by turns; lowest frequency over the symbol rate, of keys that
balance each other (random ones have 0.005); and how far tones may be off half and whole waves, symbol rates."""
_FILTERED = 1.05
"""Mean squared power over squared mean, noise taken off: of OQPSK with filtered points at least."""
_A_PATTERN = 0.6
"""Surprise of symbols, of which a pattern that comes again and again has less; random ones have 1."""
_NO_NEWS, _UNSTEADY = 0.1, 0.25
"""Surprise of a pattern that repeats, and variation of the envelope from which on it may be one of phase keying."""
_PERHAPS_CODE = 0.1
"""Confidence of a code from which on symbols may be chips: 1 in 100 linear signals has more."""
_LEAST_CHIPS, _FEW_CHIPS, _CLEAR_CODE, _LINE_CODE = 7, 16, 0.8, 0.6
"""Chips of a spreading code, at least; chips up to which a code whose confidence is below the third may be a few bits
of Manchester code (which have .75 at most; of 30 simulated codes as short three have less than .8); how sure it is."""
_SPARSE_LEVELS = 0.45
"""Evidence of two levels, of which frequency keying with two has 0.5 at least from 10 dB on: with less, symbols between
them may be seldom."""
_MISSING, _SLOW_KEYS = (0.0, 0.4), 0.2
"""Share of a line that is missing in one place, from which on it may be one of several tones, and is one; and how sure
a carrier is then."""
_AS_NOISE, _ACROSS, _SEEN_POWER = (2.6, 3.3), (0.5, 0.8), (3.0, 5.0)
_MOSTLY_LINE, _STAYS = (0.65, 0.8), (0.1, 0.16)
"""Of a line that wanders: where half of the power of its sidebands is, how far in quadrature they are, how far they
stand out; its share of the power, and variation of its envelope."""
_NO_LINE, _SQUARED = 0.1, 100.0
"""Share of a line where there is none, and of the square's line over the floor where there is one."""
_HELD_POINT = 0.1
"""Share of a line that a held point leaves: random symbols have less than 0.02."""
_UNSTEADY = 1.08
"""Mean squared power over squared mean, noise taken off, of an envelope that is not constant: a pattern of points has
tones, too."""
_STRONG_LINE, _ASIDE, _KEYED = 0.3, 0.22, 0.5
"""Share of a line, bandwidths by which it is off the middle (of 51 simulated carriers above 0.9 one is so far), and
what clear keys have, which prove themselves."""
_NO_PREFIX = 0.1, 0.7
"""Confidence of a prefix, below which there is none; and how sure OFDM is without one."""
_SURE_PREFIX = 0.8
"""Confidence of a prefix from which on carriers need no clock of their own."""
_WIDE = 30e3
"""Hz: FM that is wider is wide."""
_SYMBOLS = ("linear", "oqpsk", "pi4dqpsk")
"""Families whose symbols may be chips."""


def most_of_alike(case: Case, name: str) -> float:
    """Return how sure a family is at most, 0 to 1, since others look like it: 1 where none does.

    Args:
        case: what was measured.
        name: of the family.
    """
    if name == "fsk2":
        return min(_ALIKE if _is_ambiguous(case) else 1.0, _UNTOLD if _may_have_more_tones(case) else 1.0)
    if name == "oqpsk" and (case.look.envelope < _ROUND_ENVELOPE or _may_be_msk(case)):
        return _ALIKE
    if name == "carrier":
        return min(_ALIKE if _is_aside(case) else 1.0, 1 - (1 - _SLOW_KEYS) * _moved(case))
    if name == "dsss" and _may_be_line_code(case):
        return _LINE_CODE
    if name == "ofdm":
        seen = case.look.keyed_carriers.confidence if case.has("keyed_carriers") else 0.0
        if case.look.subcarriers.confidence < _NO_PREFIX[0]:
            return max(_NO_PREFIX[1], _UNTOLD * seen)
        if seen > 0 and case.look.subcarriers.confidence < _SURE_PREFIX:
            return _UNTOLD
    unsure = (
        (name in _SYMBOLS and _may_be_chips(case))
        or (name in _SYMBOLS and _may_be_led(case))
        or (name == "linear" and case.look.line.share > _STRONG_LINE)  # keys of a carrier are symbols as well
        or (name == "fsk4" and _is_a_pattern(case))
        or (name == "fskm" and case.look.frequency_keying.envelope > _UNSTEADY)
        or (name == "fm" and _may_be_keys(case))
        or (name == "am" and _is_short(case))
        or (name == "ook" and (like_mode_s(case) or _is_bipolar(case)))
    )
    return _UNTOLD if unsure else 1.0


def _may_be_chips(case: Case) -> bool:
    """Return whether symbols may be chips of a code."""
    return case.has("spreading") and (case.code() > _PERHAPS_CODE or case.look.spreading.again)


def _may_be_led(case: Case) -> bool:
    """Return whether lines of powers may be those of points by turns, which lead data of some other kind.

    A leader begins with one point that is held, which is a line, and what follows has another spectrum.
    """
    led = not case.received_already().label and case.look.line.share > _HELD_POINT
    return led and case.look.changed


def _is_a_pattern(case: Case) -> bool:
    """Return whether four levels come again and again: they may be a filter's, of two."""
    surprise = case.look.frequency_keying.surprise
    return surprise is not None and surprise < _A_PATTERN


def _may_have_more_tones(case: Case) -> bool:
    """Return whether two tones may be audio, or some of four, of which the others are seldom sent."""
    return _is_audio(case) or case.look.frequency_keying.level_evidence < _SPARSE_LEVELS


def _is_ambiguous(case: Case) -> bool:
    """Return whether frequency keying may be another kind.

    It is like phase keying with round pulses: MSK and pi/2-BPSK have the same turns. And two tones by turns are what
    any pattern that repeats shows, where the envelope is not a constant one.
    """
    found, envelope = case.look.frequency_keying, case.look.envelope
    if case.has("phase_keying") and found.levels_confidence < _TURNS_ALONE and round_turns(case.look) > 0:
        return True  # what turns so is shaped OQPSK as well
    turns = found.index is not None and found.index < _ALIKE_INDEX and envelope > _ALIKE_ENVELOPE
    repeats = found.surprise is not None and found.surprise < _NO_NEWS and envelope > _UNSTEADY
    return turns or repeats


def _may_be_msk(case: Case) -> bool:
    """Return whether OQPSK may be MSK or GMSK: two levels show in the frequency, and its envelope is a constant one."""
    if not case.has("frequency_keying"):
        return False
    found = case.look.frequency_keying
    return found.levels == 2 and found.clock_rate is not None and found.envelope < _FILTERED


def _is_audio(case: Case) -> bool:
    """Return whether two tones may be audio in narrow FM: a clipped tone, or a modem's half waves.

    Keys by turns are a tone, which is sharp where it is clipped. Half waves leave a gap at 0 Hz, as Manchester does.
    """
    found, spread = case.look.frequency_keying, case.look.frequency_spread
    if case.look.bandwidth > _WIDE or found.levels != 2 or not found.symbol_rate:
        return False
    by_turns = found.surprise is not None and found.surprise < _NO_NEWS and spread.in_tone > _ROUNDED
    return by_turns or spread.lowest / found.symbol_rate > _GAP


def _may_be_line_code(case: Case) -> bool:
    """Return whether a code is so short that it may be a line code's pulse, a few bits of which are taken for one."""
    found = case.look.spreading
    if found.chips is None:
        return False
    return found.chips < _LEAST_CHIPS or (found.chips <= _FEW_CHIPS and found.confidence < _CLEAR_CODE)


def _is_short(case: Case) -> bool:
    """Return whether a look is too short for its sidebands to be surely those of audio."""
    few = case.product() < _SHORTEST
    return few or (case.product() < _SHORT_LOOK and case.look.sidebands.evidence < _FEW_SIDED)


def _is_aside(case: Case) -> bool:
    """Return whether a line that is not keyed is so far off the middle of a detector's box that it is not all.

    Only a detector knows the SNR. A box without one is somebody's guess, and says nothing of what is in it.
    """
    if case.look.snr_db is None:
        return False
    line, (lower, upper) = case.look.line, case.look.band()
    off = abs(line.place - (lower + upper) / 2) > _ASIDE * (upper - lower)
    return off and line.share > _STRONG_LINE and max(switched(case), hand_keyed(case)) < _KEYED


def _moved(case: Case) -> float:
    """Return how clearly a line that is not keyed on and off does not stay in one place, 0 to 1: slow keys."""
    missing = ramp(case.look.steady.missing, *_MISSING)
    return missing * (1 - max(switched(case), hand_keyed(case), wanders(case))) if missing else 0.0


def wanders(case: Case) -> float:
    """Return how clearly a line has nothing beside it but what an oscillator's noise makes of it, 0 to 1.

    The sidebands of a phase that wanders are in quadrature, and fall by the square of their distance: half of their
    power is within twice the distance from which on they are seen. Audio begins farther away, and slow keys end nearer.
    """
    line, beside = case.look.line, case.look.sidebands
    if not line.power > 0 or not beside.followed > 0 or beside.tone_depth > 0:
        return 0.0
    near = 1 - ramp(beside.middle / beside.followed, *_AS_NOISE)
    across = ramp(-beside.symmetry, *_ACROSS) * ramp(beside.power, *_SEEN_POWER)
    found = near * across * ramp(line.share, *_MOSTLY_LINE) * (1 - ramp(case.look.envelope, *_STAYS))
    return found * (1 - toned(case)) if found else 0.0  # a tone squelch alone


def _is_bipolar(case: Case) -> bool:
    """Return whether keys have no carrier's line, but one in their square: pulses of either sign, as of AMI code."""
    return case.look.line.share < _NO_LINE and case.look.power_lines.square > _SQUARED


def _may_be_keys(case: Case) -> bool:
    """Return whether what a modem in FM sends may be keys of the carrier.

    Half and whole waves of a bit are as long as keys of Manchester code; and a modem with a rate that none is known for
    may be a pattern of keys.
    """
    if not case.has("fm"):
        return False
    found = case.look.fm
    if found.tones is None or not found.inner_symbol_rate:
        return False
    low, high = (tone / found.inner_symbol_rate for tone in found.tones)
    usual = is_usual(found.inner_symbol_rate)
    return not usual or (abs(low - 0.5) < _HALVES and abs(high - 1) < _HALVES)
