# SPDX-License-Identifier: GPL-3.0-or-later
"""What proves a family: something of its own that was seen, beside what a model thinks; and how sure it may be.

A model of families knows those that it was trained with, and takes all else for the one that is nearest, often surely.
So a name needs a proof of its own family: a line with sidebands, an open eye, keying, symbols that fit, a prefix, a
sweep. Without one, only a model that is very sure carries it, and what contradicts the family counts against both.
What remains goes to `unknown`. Kinds of signals that look alike to all of these have a limit of their own
(`look_alikes`).
"""

from collections.abc import Callable

from amrq.identify.case import Case
from amrq.identify.frequency_keys import (
    clocked,
    dwelling,
    levels_of,
    modem_inside,
    msk_like,
    round_turns,
    waved,
    wide_message,
)
from amrq.identify.look_alikes import most_of_alike, wanders
from amrq.identify.numbers import (
    NUMBERS,
    alone,
    angled,
    audible,
    chord,
    constant_envelope,
    drifting,
    eyed,
    fast_keyed,
    filled_keys,
    flat,
    hand_keyed,
    held,
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
from amrq.identify.received import staggered
from amrq.identify.weights import ramp
from amrq.measure import FrequencyKeying
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
_ALONE = 0.6
"""What a line with nothing beside it proves of a carrier: AM and FM in a pause are the same meanwhile."""
_LIKE_NOISE = 0.35
"""What a wide band that is like noise proves of OFDM: a single sideband of noise is the same."""
_PREFIX, _CHANCE_PREFIX, _ONCE = (0.1, 0.4), 14.0, 0.7
"""Confidence of a prefix that proves OFDM; how clear one is that noise of a limited band has in one of some hundred
looks at a recording, at most, and what that one proves at most."""
_EDGE_LINES = 8.0, 12.0
"""How clear the weaker line of a square is that OFDM without a prefix has never, and that 8VSB has: of 30 looks at OFDM
none stands out of the noise."""
_SHARP, _DWELLS = 0.3, 0.5
"""Proof that frequency keying without a rest is, and one between two held tones, whose pattern repeats."""
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
    eighths = case.may_be_eighths() or (
        case.has("phase_keying") and case.look.phase_keying.pi4dqpsk > _PERHAPS_EIGHTHS
    )
    if name == "linear" and eighths and case.eighths() > -_TOLD:
        most = min(most, _UNTOLD)
    if name == "pi4dqpsk" and case.eighths() < _TOLD:
        most = min(most, _UNTOLD + (UNPROVEN - _UNTOLD) * ramp(-case.eighths(), 0.0, 1.0))
    if (name == "linear" and case.received_already().tried) or (name == "am" and lopsided(case) > PROVEN):
        most = min(most, _UNTOLD)
    return min(most, most_of_alike(case, name))


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
        against = max(against, lopsided(case), angled(case) * (1 - wanders(case)), fast_keyed(case))
    if name == "am":
        against = max(fast_keyed(case), (1 - mirrored(case)) * max(lopsided(case), angled(case)))
        against *= 1 - message
    if name in _NO_SWEEPS and case.has("chirp"):
        against = max(against, _swept(case, name))
    if name in _NO_CARRIERS:
        against = max(against, _of_carriers(case, name))
    if case.has("spreading"):
        against = max(against, _coded(case, name))
    if name == "ook" and case.has("keying"):
        against = max(against, _smeared(case) * (1 - wide_keyed(case)), filled_keys(case))
    if name == "fm" and case.has("fm"):
        against = max(against, _no_audio(case))
    if name == "oqpsk" and case.has("frequency_keying"):
        against = max(against, msk_like(case.look))
    if name == "ofdm" and case.has("phase_keying", "subcarriers"):
        against = max(against, _edged(case))
    if name in ("linear", "pi4dqpsk"):
        against = max(against, ramp(case.eighths() if name == "linear" else -case.eighths(), *_EIGHTHS))
        against = max(against, staggered(case.received_already()))
    if name in _KEYED and case.has("frequency_keying"):
        against = max(against, _unlike_keys(case, name))
    return against


def _of_carriers(case: Case, name: str) -> float:
    """Return how clearly what was measured of many carriers, or of a few, speaks against one, 0 to 1."""
    many = name in _NO_SUBCARRIERS and case.has("subcarriers")
    found = ramp(case.look.subcarriers.confidence, 0.5, 0.9) if many else 0.0
    return max(found, case.look.keyed_carriers.confidence if case.has("keyed_carriers") else 0.0)


def _coded(case: Case, name: str) -> float:
    """Return how clearly symbols are chips of a code, or what is taken for a code is a pattern without data, 0 to 1."""
    if name == "dsss":
        return float(case.look.spreading.pattern)
    return ramp(case.code(), 0.3, 0.8) if name in _NO_CODE else 0.0


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
    if name == "fsk4":
        against = max(against, _eighths_as_tones(found))
    against = max(against, *(_keyed(case, other) for other in _KEYED if other != name))
    if levels_of(case.look) not in ("", name):
        against = max(against, ramp(found.levels_confidence, *_OTHER_LEVELS))
    # A clear clock with levels that do not show: whatever a model thinks, how many there are is not known.
    shown = ramp(max(found.confidence, found.levels_confidence), *_SHOWN)
    return max(against, clocked(case.look) * (1 - shown))


def _edged(case: Case) -> float:
    """Return how clearly the band's edges mirror each other as those of symbols at half their distance do, 0 to 1.

    The square has a line at twice each edge: of symbols on one axis with one sideband and a rest of the other (8VSB)
    as of staggered ones. To other measures that is a band of noise; OFDM, whose prefix may not be seen, has none.
    """
    found = case.look.phase_keying
    if found.kind != "oqpsk" or case.look.subcarriers.confidence > _PREFIX[0]:
        return 0.0
    carriers = case.look.keyed_carriers.confidence if case.has("keyed_carriers") else 0.0
    return ramp(found.lines, *_EDGE_LINES) * (1 - carriers)


def _eighths_as_tones(found: FrequencyKeying) -> float:
    """Return how clearly four tones are turns by eighths: as far apart, not held, in an envelope that varies.

    A box that cuts four held tones makes their envelope vary, too.
    """
    apart = abs((found.index or 0.0) - _QUARTERS[0])
    unheld = 1 - ramp(found.squareness, *_HELD_TONES)
    return ramp(found.envelope, *_VARIES) * (1 - ramp(apart, *_QUARTERS[1:])) * unheld


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
_NO_CARRIERS = (*_NO_SUBCARRIERS, "am", "ook", "fskm")
"""Families that a few carriers side by side are taken for."""
_NO_CODE = ("linear", "oqpsk", "pi4dqpsk")
"""Families that direct sequences are taken for: their chips are symbols."""
_FEW_LEVELS = ("linear", "oqpsk", "pi4dqpsk", "dsss", "ofdm")
"""Families that wide AM, and AM without a carrier, is taken for: symbols have few levels, and OFDM lies on no axis."""
_KEYED = ("fsk2", "fsk4", "fskm")
_VARIES, _QUARTERS = (1.06, 1.12), (0.25, 0.04, 0.08)
"""Mean squared power over squared mean, noise taken off: of 120 simulated looks at four tones none has above 1.0, of
pi/4-DQPSK 1.2; its turns' distance as an index, and by how much that may be off."""
_HELD_TONES = 0.73, 0.81
"""Squareness of tones, which pi/4-DQPSK's turns do not have: 0.5 to 0.71 of 110 simulated looks from 10 to 20 dB; tones
of DMR and P25 in a box that is too narrow have 0.83 and more."""
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
_SUBAUDIBLE = 300.0
"""Hz: a sine below is a tone squelch, or a hum; keys by turns are faster, mostly."""


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
    return smeared * (1 - max(eyed(case), held(case))) if smeared else 0.0


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
_LINES_ALONE, _CLOCKED = 0.3, 0.5
"""Proof that lines of a power are without a clear symbol rate, and that a clear clock is of symbols not received."""


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


def _rounded(case: Case) -> float:
    """Return how clearly an amplitude that stays has the turns of an index of a half, where those were looked for."""
    return round_turns(case.look) if case.has("phase_keying") else 0.0


def _linear(case: Case) -> float:
    """Return how clearly symbols fit: a name, turns, or a symbol rate, and with it lines of a power.

    Pilots of OFDM and codes have such lines, too: without a symbol rate they are half a proof.
    """
    named, clear, refuted = outcome(case.received)
    if named >= 1:
        return 1.0  # without the others, which take time
    timed = clear + refuted if case.received.best not in _NO_SYMBOLS else 0.0
    lines = lined(case) * max(timed, _LINES_ALONE)
    return max(named, ramp(turned(case), 0.2, 0.5), 0.5 * timed, _CLOCKED * case.clock_of_symbols(), lines)


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
    if case.has("keyed_carriers"):
        found = max(found, case.look.keyed_carriers.confidence)
    return max(found, _LIKE_NOISE * ramp(wide, 0.1, 0.4))


def _spread(case: Case) -> float:
    return ramp(case.code(), 0.1, 0.5)


_PROOF: dict[str, Callable[[Case], float]] = {
    "carrier": lambda case: max(switched(case), hand_keyed(case), _ALONE * max(alone(case), wanders(case))),
    "am": lambda case: max(mirrored(case), _WEAK_PROOF * _message(case)),
    "ssb": lambda case: 0.0,
    "fm": _fm,
    "ook": lambda case: max(switched(case), fast_keyed(case), wide_keyed(case)),
    "pulse": lambda case: max(
        ramp(case.look.pulses.confidence, 0.1, 0.4), float(case.look.pulses.checked > 0)
    ),
    "fsk2": lambda case: max(_keyed(case, "fsk2"), _rounded(case)),
    "fsk4": lambda case: _keyed(case, "fsk4"),
    "fskm": lambda case: _keyed(case, "fskm"),
    "linear": _linear,
    "pi4dqpsk": _quarter,
    "oqpsk": lambda case: max(
        ramp(case.look.phase_keying.oqpsk, 0.1, 0.4), staggered(case.received_already())
    ),
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
