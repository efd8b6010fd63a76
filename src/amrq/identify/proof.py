# SPDX-License-Identifier: GPL-3.0-or-later
"""What proves a family: something of its own that was seen, beside what a model thinks; and how sure it may be.

A model of families knows those that it was trained with, and takes all else for the one that is nearest, often surely.
So a name needs a proof of its own family: a line with sidebands, an open eye, keying, symbols that fit, a prefix, a
sweep. Without one, only a model that is very sure carries it, and what contradicts the family counts against both.
What remains goes to `unknown`. Kinds of signals that look alike to all of these have a limit of their own.
"""

from collections.abc import Callable

from amrq.identify.frequency_keys import (
    clocked,
    dwelling,
    levels_of,
    modem_inside,
    msk_like,
    waved,
    wide_message,
)
from amrq.identify.numbers import (
    NUMBERS,
    Case,
    angled,
    audible,
    chord,
    constant_envelope,
    drifting,
    eyed,
    fast_keyed,
    flat,
    hand_keyed,
    lined,
    lopsided,
    message_on_axis,
    mirrored,
    outcome,
    overshot,
    peaked,
    pictured,
    switched,
    toned,
    turned,
    unswept,
    wide_keyed,
)
from amrq.identify.weights import ramp
from amrq.model import NO_SIGNAL

__all__ = ["PROVEN", "UNPROVEN", "limit_of", "proof_of", "unproven"]

UNPROVEN = 0.45
"""Probability of a family that nothing proves, at most: below one half, so that it is not named."""
PROVEN = 0.5
"""Of a proof, from which on no other family is sought."""
_LEAST_BELIEVED = 0.1, 0.25
"""Share of a model from which on a weak proof counts, and counts in full: what others have, too, proves a family only
where the model thinks of it."""
_SURE_MODEL = 0.7
"""Share of a model that carries a family without a proof. Of simulated names it costs 2 in 100 at 10 dB and 1 at 15 dB;
at 0.9 it would cost three times as many, and keep hardly fewer names of families that a model has not learnt."""
_CARRIED, _MOST_UNPROVEN = 0.5, 0.85
"""Probability of such a family, at most, from that share to a share of 1."""
_WEAK_PROOF = 0.8
"""What a line without sidebands, peaks of a frequency, and the skew of a voice's spectrum prove at most: others have
them, too, so that a family is below 0.9 by them alone."""
_LIKE_NOISE = 0.35
"""What a wide band that is like noise proves of OFDM: a single sideband of noise is the same."""
_PREFIX, _CHANCE_PREFIX, _ONCE, _NO_PREFIX = (0.1, 0.4), 14.0, 0.7, 0.7
"""Confidence of a prefix that proves OFDM; how clear one is that noise of a limited band has in one of some hundred
looks at a recording, at most, and what that one proves at most; and how sure OFDM is without one, at most.
"""
_SHORT_LOOK, _SHORTEST, _FEW_SIDED = 512.0, 384.0, 4.5
"""Bandwidths times seconds: a look that is shorter than the latter may show a burst's edges, or a few keys, as AM's
sidebands, and one that is shorter than the former where evidence of sidebands is less than the last."""
_SHARP, _DWELLS = 0.3, 0.5
"""Proof that frequency keying without a rest is, and one between two held tones, whose pattern repeats."""
_ROUND_ENVELOPE = 0.18
"""Variation of the envelope, below which OQPSK may be MSK, which is OQPSK with half-sine pulses: as sure at most."""
_ALIKE, _ALIKE_INDEX, _ALIKE_ENVELOPE = 0.7, 0.6, 0.1
"""Binary frequency keying with an index below may be a phase keying with round pulses or a modem in FM, where the
envelope varies by more than that: so sure at most."""
_ROUNDED, _GAP, _HALVES = 0.9, 0.04, 0.12
"""Share of a frequency's power in one line, of round keys by turns; lowest frequency over the symbol rate, of keys that
balance each other (random ones have 0.005); and how far tones may be off half and whole waves, symbol rates."""
_FILTERED = 1.05
"""Mean squared power over squared mean, noise taken off: of OQPSK with filtered points at least."""
_A_PATTERN = 0.6
"""Surprise of symbols, of which a pattern that comes again and again has less; random ones have 1."""
_MODEMS, _USUAL = (50.0, 75.0, 100.0, 300.0, 600.0, 1200.0, 1600.0, 2400.0, 4800.0), 0.02
"""Bd: of modems that are sent as audio; and how far a rate may be off."""
_NO_NEWS, _UNSTEADY = 0.1, 0.25
"""Surprise of a pattern that repeats, and variation of the envelope from which on it may be one of phase keying."""
_WIDE, _LOWEST = 30e3, 4.5
"""Hz: FM that is wider is wide, and may have any audio. Steps of a look's spectrum, of which four are the least that is
told."""
_HELD, _EVEN = 0.22, 0.4
"""Contradiction of FM whose audio begins so low: a model carries it from a share of 0.9 on; and where the range of its
frequency is used evenly: no model carries it."""
_SHRILL = 3.5e3
"""Hz: tones of a voice's channel are lower."""


def unproven(share: float) -> float:
    """Return the probability of a family, at most, where a model's share of it is all that there is.

    >>> [round(unproven(share), 2) for share in (0.0, 0.69, 0.7, 1.0)]
    [0.0, 0.34, 0.5, 0.85]
    """
    if share < _SURE_MODEL:
        return share / 2
    return _CARRIED + (_MOST_UNPROVEN - _CARRIED) * (share - _SURE_MODEL) / (1 - _SURE_MODEL)


def proof_of(case: Case, name: str, share: float = 1.0) -> float:
    """Return how clearly something of its own proves a family, 0 to 1; 1 for those that have no proof, as noise.

    Measures that it needs are taken.

    Args:
        case: what was measured.
        name: of the family.
        share: of the model, 0 to 1, without which a weak proof does not count.
    """
    if name not in _PROOF:
        return 1.0
    proof = _PROOF[name](case)
    if name in _WEAK:
        proof = max(proof, _WEAK_PROOF * _WEAK[name](case) * ramp(share, *_LEAST_BELIEVED))
    return proof * (1 - contradiction_of(case, name))


def limit_of(case: Case, name: str, share: float) -> float:
    """Return the probability of a family at most, 0 to 1.

    Args:
        case: what was measured.
        name: of the family.
        share: of the model, 0 to 1.
    """
    if name not in _PROOF:
        return 1.0
    proven = UNPROVEN + (1 - UNPROVEN) * proof_of(case, name, share)
    most = max(proven, unproven(share * (1 - contradiction_of(case, name))))
    alike = (name == "fsk2" and _is_ambiguous(case)) or (
        name == "oqpsk" and (case.look.envelope < _ROUND_ENVELOPE or _may_be_msk(case))
    )
    eighths = case.may_be_eighths() or (
        case.has("phase_keying") and case.look.phase_keying.pi4dqpsk > _PERHAPS_EIGHTHS
    )
    if name == "linear" and eighths and case.eighths() > -_TOLD:
        most = min(most, _UNTOLD)
    if name == "pi4dqpsk" and case.eighths() < _TOLD:
        most = min(most, _UNTOLD + (UNPROVEN - _UNTOLD) * ramp(-case.eighths(), 0.0, 1.0))
    if (name == "linear" and case.received_already().tried) or (name == "am" and lopsided(case) > PROVEN):
        most = min(most, _UNTOLD)
    if name in _NO_CODE and case.has("spreading") and case.look.spreading.confidence > _PERHAPS_CODE:
        most = min(most, _UNTOLD)  # its symbols may be chips
    surprise = case.look.frequency_keying.surprise if name == "fsk4" else None
    if surprise is not None and surprise < _A_PATTERN:
        most = min(most, _UNTOLD)  # the levels may be a filter's, of two
    unsure = (
        (name == "fsk2" and _is_audio(case))
        or (name == "fm" and _may_be_keys(case))
        or (name == "am" and _is_short(case))
        or (name == "ook" and (_may_be_pulses(case) or _is_bipolar(case)))
        or (name == "fsk2" and case.look.frequency_keying.level_evidence < _SPARSE_LEVELS)
    )
    if unsure:
        most = min(most, _UNTOLD)
    if name in ("carrier", "ook") and _is_aside(case):
        most = min(most, _ALIKE)
    if name == "dsss" and _may_be_line_code(case):
        most = min(most, _LINE_CODE)
    if name == "ofdm" and case.look.subcarriers.confidence < _PREFIX[0]:
        most = min(most, _NO_PREFIX)
    return min(most, _ALIKE) if alike else most


def contradiction_of(case: Case, name: str) -> float:
    """Return how clearly measures that were taken show another family instead, 0 to 1."""
    against = 0.0
    if name in _NO_SIDEBANDS and case.has("am"):
        against = mirrored(case) * (1 - max(switched(case), fast_keyed(case)))
        if name in _SIDED:
            against = min(1.0, _SIDED[name] * against)
    message = _message(case)
    if name in _FEW_LEVELS:
        against = max(against, message)
    if name == "carrier":
        against = max(against, lopsided(case), angled(case), fast_keyed(case))
    if name == "am":
        against = max(fast_keyed(case), (1 - mirrored(case)) * max(lopsided(case), angled(case)))
        against *= 1 - message
    if name in _NO_SWEEPS and case.has("chirp"):
        against = max(against, _swept(case, name))
    if name in _NO_SUBCARRIERS and case.has("subcarriers"):
        against = max(against, ramp(case.look.subcarriers.confidence, 0.5, 0.9))
    if name in _NO_CODE and case.has("spreading"):
        against = max(against, ramp(case.look.spreading.confidence, 0.3, 0.8))
    if name == "ook" and case.has("keying"):
        against = max(against, _smeared(case) * (1 - wide_keyed(case)))
    if name == "fm" and case.has("fm"):
        against = max(against, _no_audio(case))
    if name == "oqpsk" and case.has("frequency_keying"):
        against = max(against, msk_like(case.look))
    if name in ("linear", "pi4dqpsk"):
        against = max(against, ramp(case.eighths() if name == "linear" else -case.eighths(), *_EIGHTHS))
    if name in _KEYED and case.has("frequency_keying"):
        against = max(against, _unlike_keys(case, name))
    return against


def _no_audio(case: Case) -> float:
    """Return how clearly the frequency is not that of audio, but keyed, or wider, 0 to 1."""
    against = _held(case)
    if case.look.bandwidth > _WIDE and case.has("frequency_spread"):
        against = max(against, wide_message(case.look))
    if case.has("frequency_keying"):
        against = max(
            against,
            _keyed(case, "fskm") * (1 - max(modem_inside(case.look), chord(case))),
            clocked(case.look),
        )
    return against * (1 - pictured(case)) if against else 0.0


def _unlike_keys(case: Case, name: str) -> float:
    """Return how clearly the frequency is not keyed, or keyed with another number of tones, 0 to 1."""
    found = case.look.frequency_keying
    against = max(
        audible(case, name != "fskm"),
        chord(case),
        waved(case.look),
        found.phase_like,
        overshot(case),
        ramp(found.swept, *_SWEPT),
    )
    against = max(against, *(_keyed(case, other) for other in _KEYED if other != name))
    if levels_of(case.look) not in ("", name):
        against = max(against, ramp(found.levels_confidence, *_OTHER_LEVELS))
    # A clear clock with levels that do not show: whatever a model thinks, how many there are is not known.
    shown = ramp(max(found.confidence, found.levels_confidence), *_SHOWN)
    return max(against, clocked(case.look) * (1 - shown))


def _swept(case: Case, name: str) -> float:
    """Return how clearly what may be another family is a sweep, 0 to 1."""
    swept = ramp(case.look.chirp.confidence, 0.1, 0.4)
    if name == "fm":
        swept *= 1 - max(modem_inside(case.look), unswept(case))
    if name == "ook" and case.look.chirp.kind is None:
        swept *= 1 - switched(case)  # one ramp gathers the carrier of keys that drifts, and no sweep is keyed
    return swept


_CLEAR_SNR, _TWO_LEVELS = (12.0, 16.0), (2.6, 2.9)
"""dB from which on noise smears the levels of an envelope no more, and contrast that two of them then have: of keyed
carriers at 15 and 20 dB 3.1 at least, of four levels 2.6 at most."""
_NO_SIDEBANDS = ("ook", "ssb", "carrier", "pulse")
"""Families that AM is taken for."""
_SIDED = {"carrier": 5.0, "ssb": 2.0}
"""Times as much sidebands count against families whose weak proof AM has, too: a line, and more power on one side."""
_NO_SWEEPS = ("fsk2", "fsk4", "fskm", "fm", "ook")
"""Families that chirps are taken for."""
_NO_SUBCARRIERS = ("ssb", "linear", "oqpsk", "pi4dqpsk")
"""Families that OFDM is taken for: its sum of subcarriers is like noise, and its pilots have lines."""
_NO_CODE = ("linear", "oqpsk", "pi4dqpsk")
"""Families that direct sequences are taken for: their chips are symbols."""
_FEW_LEVELS = ("linear", "oqpsk", "pi4dqpsk", "dsss", "ofdm")
"""Families that wide AM, and AM without a carrier, is taken for: symbols have few levels, and OFDM lies on no axis."""
_PERHAPS_CODE = 0.1
"""Confidence of a code from which on symbols may be chips: 1 in 100 linear signals has more."""
_KEYED = ("fsk2", "fsk4", "fskm")
_SWEPT = 0.6, 0.85
"""Share of steps between tones that are as the step before: of a sweep whose pieces are taken for tones. Of random
tones it is less than a third, and a pattern of two has none."""
_EIGHTHS = 1.0, 3.0
"""Logarithm of the odds of turns by eighths against quarters, or the other way: what speaks against, and proves."""
_PERHAPS_EIGHTHS = 0.3
"""Of lines of pi/4-DQPSK: a pattern of it may be received as something else."""
_TOLD, _UNTOLD = 2.0, 0.85
"""So large these odds are where QPSK and pi/4-DQPSK are told apart; and how sure either is where they are not, and what
was received with a symbol rate that was tried."""
_SHOWN = 0.35, 0.5
"""Confidence of levels that show."""
_OTHER_LEVELS = 0.4, 0.8
"""Confidence of frequency keying with another number of levels, which speaks against a family."""
_MODE_S, _AS_LONG, _MANCHESTER = 0.5e-6, 0.03, 2.2
"""Seconds of a pulse of Mode S; by how much one may be off; and pulses and gaps of Manchester code, at most."""
_LEAST_CHIPS, _FEW_CHIPS, _CLEAR_CODE, _LINE_CODE = 7, 16, 0.8, 0.6
"""Chips of a spreading code, at least; chips up to which a code whose confidence is below the third may be a few bits
of Manchester code (which have .75 at most; of 30 simulated codes as short three have less than .8); how sure it is."""
_SPARSE_LEVELS = 0.45
"""Evidence of two levels, of which frequency keying with two has 0.5 at least from 10 dB on: with less, symbols between
them may be seldom."""
_NO_LINE, _SQUARED = 0.1, 100.0
"""Share of a line where there is none, and of the square's line over the floor where there is one."""
_STRONG_LINE, _ASIDE = 0.3, 0.22
"""Share of a line, and bandwidths by which it is off the middle: of 51 simulated carriers above 0.9 one is so far."""
_SUBAUDIBLE = 300.0
"""Hz: a sine below is a tone squelch, or a hum; keys by turns are faster, mostly."""


def _is_ambiguous(case: Case) -> bool:
    """Return whether frequency keying may be another kind.

    It is like phase keying with round pulses: MSK and pi/2-BPSK have the same turns. And two tones by turns are what
    any pattern that repeats shows, where the envelope is not a constant one.
    """
    found, envelope = case.look.frequency_keying, case.look.envelope
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
    """Return whether a line is so far off the middle of its box that something else made the box as wide."""
    line, (lower, upper) = case.look.line, case.look.band()
    return line.share > _STRONG_LINE and abs(line.place - (lower + upper) / 2) > _ASIDE * (upper - lower)


def _is_bipolar(case: Case) -> bool:
    """Return whether keys have no carrier's line, but one in their square: pulses of either sign, as of AMI code."""
    return case.look.line.share < _NO_LINE and case.look.power_lines.square > _SQUARED


def _may_be_pulses(case: Case) -> bool:
    """Return whether keys may be the pulses of Mode S: as long, with one or two between changes, as Manchester has."""
    found = case.look.keying
    if found.pulse is None or found.pulses is None or found.gaps is None:
        return False
    return abs(found.pulse / _MODE_S - 1) < _AS_LONG and max(found.pulses, found.gaps) < _MANCHESTER


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
    usual = min(abs(found.inner_symbol_rate / rate - 1) for rate in _MODEMS) < _USUAL
    return not usual or (abs(low - 0.5) < _HALVES and abs(high - 1) < _HALVES)


def _fm(case: Case) -> float:
    """Return how clearly constant amplitude has a pilot, a modem, a picture or a carrier's sidebands in it."""
    pilot = case.look.fm.pilot_confidence if case.look.fm.pilot_deviation else 0.0
    strong = max(modem_inside(case.look), pilot)
    if strong < _WEAK_PROOF:
        strong = max(strong, pictured(case), _WEAK_PROOF * angled(case))
    return constant_envelope(case) * strong


def _audio(case: Case) -> float:
    """Return how clearly constant amplitude has a voice's peaks or a squelch's tone in its frequency."""
    tone = case.look.frequency_spread.tone
    squelch = toned(case) if tone is not None and tone < _SUBAUDIBLE and case.look.bandwidth < _WIDE else 0.0
    return constant_envelope(case) * max(peaked(case), squelch, chord(case))


def _message(case: Case) -> float:
    """Return how clearly a message of many values lies on one axis, where that was looked for."""
    return message_on_axis(case) if case.has("real_axis") else 0.0


def _smeared(case: Case) -> float:
    """Return how clearly an envelope far above the noise has more than two levels, 0 to 1."""
    clear = ramp(case.look.measures.snr_db, *_CLEAR_SNR)
    smeared = clear * (1 - ramp(case.look.keying.contrast, *_TWO_LEVELS))
    return smeared * (1 - eyed(case)) if smeared else 0.0


def _held(case: Case) -> float:
    """Return how clearly levels are held in a narrow FM's frequency, 0 to 1.

    Voices and tones begin above the lowest frequency that so short a look shows; levels, held for a while each, have
    all of the lowest frequencies, but so has a carrier that drifts. Voices and music use the range of their frequency
    unevenly. A sine above all voices is that of keys by turns.
    """
    look = case.look
    if look.bandwidth > _WIDE or look.fm.audio_band is None:
        return 0.0
    tone = look.frequency_spread.tone
    if tone is not None and tone > _SHRILL and toned(case) > 0:
        return toned(case)
    if look.fm.audio_band[0] * len(look.iq) / look.sample_rate >= _LOWEST:
        return 0.0
    return max(_HELD, _EVEN * flat(case)) * (1 - max(peaked(case), modem_inside(case.look), toned(case)))


_NO_SYMBOLS = (NO_SIGNAL, "")
_LINES_ALONE = 0.3
"""Proof that lines of a power are without a clear symbol rate."""


def _keyed(case: Case, name: str) -> float:
    """Return how well symbols of frequency keying with so many levels fit, where the envelope may be such a one's."""
    if levels_of(case.look) != name:
        return 0.0
    found = case.look.frequency_keying
    # A few symbols that fit without a rest say little of their rate: some proof. Sweeps fit as well, and are sought.
    sharp = _SHARP * ramp(-found.error, -0.03, -0.015)
    sure = max(found.confidence, found.levels_confidence)
    held = _DWELLS * dwelling(case.look)
    return max(ramp(sure, 0.1, 0.5), sharp, held) * constant_envelope(case)


def _linear(case: Case) -> float:
    """Return how clearly symbols fit: a name, turns, or a symbol rate, and with it lines of a power.

    Pilots of OFDM and codes have such lines, too: without a symbol rate they are half a proof.
    """
    named, clear, refuted = outcome(case.received)
    if named >= 1:
        return 1.0  # without the others, which take time
    timed = clear + refuted if case.received.best not in _NO_SYMBOLS else 0.0
    return max(named, ramp(turned(case), 0.2, 0.5), 0.5 * timed, lined(case) * max(timed, _LINES_ALONE))


def _quarter(case: Case) -> float:
    turns = -case.received_already().turn[0]
    return max(
        ramp(case.look.phase_keying.pi4dqpsk, 0.1, 0.5),
        ramp(turns, 0.2, 0.5),
        ramp(case.eighths(), *_EIGHTHS),
    )


def _ofdm(case: Case) -> float:
    prefix, _, wide = NUMBERS["ofdm"](case)
    found = ramp(prefix, *_PREFIX)
    if case.look.subcarriers.prefix is not None and case.look.subcarriers.clear < _CHANCE_PREFIX:
        found = min(found, _ONCE)
    return max(found, _LIKE_NOISE * ramp(wide, 0.1, 0.4))


def _spread(case: Case) -> float:
    return ramp(case.look.spreading.confidence, 0.1, 0.5)


_PROOF: dict[str, Callable[[Case], float]] = {
    "carrier": lambda case: max(switched(case), hand_keyed(case)),
    "am": lambda case: max(mirrored(case), _WEAK_PROOF * _message(case)),
    "ssb": lambda case: 0.0,
    "fm": _fm,
    "ook": lambda case: max(switched(case), fast_keyed(case), wide_keyed(case)),
    "pulse": lambda case: max(
        ramp(case.look.pulses.confidence, 0.1, 0.4), float(case.look.pulses.checked > 0)
    ),
    "fsk2": lambda case: _keyed(case, "fsk2"),
    "fsk4": lambda case: _keyed(case, "fsk4"),
    "fskm": lambda case: _keyed(case, "fskm"),
    "linear": _linear,
    "pi4dqpsk": _quarter,
    "oqpsk": lambda case: ramp(case.look.phase_keying.oqpsk, 0.1, 0.4),
    "ofdm": _ofdm,
    "chirp": lambda case: ramp(case.look.chirp.confidence, 0.1, 0.4) * (1 - drifting(case)),
    "dsss": _spread,
}
"""By family, narrow and wide FM as one; what is missing needs no proof."""
_SKEWED = 0.05, 0.15
"""Of the bandwidth, that the middle of a voice's power is off the middle; of flat spectra it is less by chance."""
_WEAK: dict[str, Callable[[Case], float]] = {
    "carrier": lambda case: (
        constant_envelope(case) * max(ramp(case.look.line.share, 0.3, 0.6), drifting(case))
    ),
    "ssb": lambda case: max(ramp(abs(case.look.ssb.skew or 0.0), *_SKEWED), lopsided(case)),
    "fm": _audio,
}
"""What others have, too."""
