# SPDX-License-Identifier: GPL-3.0-or-later
"""Which family an emission is of: what the family model says, what the measures of the likely families say, together.

The model proposes: its log-probabilities of the families are what there is before anything is measured. Then the
likeliest families are measured, each in its own way, until the best one and those close to it have been. Each measure
gives a few numbers, and a weighted sum of them is the logarithm of a likelihood ratio: how much likelier the numbers
are where the family is the right one, among emissions that the model takes for it. So a measure that a family should
have and that is not there counts against it, and its probability goes to the others and to `unknown`.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from amrq.identify.case import Case
from amrq.identify.frequency_keys import levels_of, opened, round_turns
from amrq.identify.look import EmissionLook
from amrq.identify.numbers import (
    NUMBERS,
    alone,
    angled,
    constant_envelope,
    eyed,
    fast_keyed,
    like_mode_s,
    message_on_axis,
)
from amrq.identify.proof import PROVEN, UNPROVEN, limit_of, proof_of, unproven
from amrq.identify.received import ReceivedLinear
from amrq.identify.weights import MODEL_ERROR, WEIGHTS, ramp
from amrq.model import UNKNOWN

__all__ = ["FAMILIES", "FamilyEvidence", "not_learnt", "weigh_families"]

_CLOSE, _FAR = 4.0, 7.0
"""Natural logarithm of odds: families closer to the best one than this are measured too; and so where the measures of
the best one speak against it."""
_COSTLY_CLOSE = 3.0
"""As close must linear modulations be: their receiver costs more than all else."""
_EQUALISED = 1.0
"""Closer to the best family by the model alone must they be to be equalised."""
_SETTLED = 0.985
"""Probability of a measured family from which on no other one is measured."""
_DOUBTFUL = -0.5
"""Logarithm of a likelihood ratio, below which measures speak against a family."""
_MOST_MEASURED = 5
"""Families that are measured, at most, beside those whose measures were taken anyway."""
_MOST_EVIDENCE = 6.0
"""Of a measure: the logarithm of a likelihood ratio, at most."""
_WIDE_FM = 30e3
"""Hz: FM that is wider is wide. Voice and data take 25 kHz at most, a quiet moment of a broadcast some 40 kHz."""
_STEEP = 12.0
"""How fast the odds of wide FM change with the logarithm of the bandwidth."""
_FAINT, _CLEAR = 4.0, 1.0
"""Log-odds for noise where nothing stands out, and dB from which on something does."""
_REFUTED = 8.0
"""Log-odds against noise where the floor is known: its spectrum would have shown it."""
_OCTAVE = 3.0
"""Log-odds against a family that an octave beyond its range of bandwidths makes."""
_FM = ("fm", "fm_narrow", "fm_wide")
_RANGES: dict[str, tuple[float, float]] = {
    "carrier": (0.0, 4e3),
    "am": (1e3, 25e3),
    "ssb": (500.0, 8e3),
    "fm": (1.5e3, 40e6),
    "chirp": (2e3, math.inf),
    "ook": (200.0, 8e6),
    "pulse": (5e3, math.inf),
    "fskm": (0.0, 400e3),
    "ofdm": (500.0, math.inf),
    "dsss": (5e3, math.inf),
}
"""Hz: bandwidths that a family is seen with."""
_SURE_AT_ONCE = 0.95
"""Probability of a family by the first chunk, from which on no second one is asked for."""
_CHUNKS = 2
"""Of a look, that the model is asked about."""


_ALSO_RECEIVED = ("pi4dqpsk", "oqpsk", "dsss")
"""Families whose numbers have what the receiver of linear modulations says, where that was asked."""
_FROM: dict[str, tuple[str, ...]] = {
    "ook": ("keying",),
    "carrier": ("keying",),
    "fsk2": ("frequency_keying",),
    "fsk4": ("frequency_keying",),
    "fskm": ("frequency_keying",),
    "noise": (),
    "oqpsk": ("phase_keying", "frequency_keying"),
}
"""Families that are compared without cost where measures were taken for another one."""
FAMILIES = (*NUMBERS, UNKNOWN)


@dataclass(frozen=True)
class FamilyEvidence:
    """What speaks for each family.

    Attributes:
        probabilities: of each family, `unknown` among them; they add up to 1.
        proposed: the likeliest family by the model alone.
        against: logarithm of the likelihood ratio that the measures of each family gave; those that were not measured
            are missing.
        received: what it was received as; None where it was not.
        foreign: the family that measures show and the model was trained without; empty where there is none.
        most: probability of the likeliest family that what proves it allows.
    """

    probabilities: Mapping[str, float]
    proposed: str = UNKNOWN
    measured: Mapping[str, float] = field(default_factory=dict)
    received: ReceivedLinear | None = None
    foreign: str = ""
    most: float = 1.0

    @property
    def best(self) -> str:
        """The likeliest family."""
        return max(self.probabilities, key=lambda name: self.probabilities[name])


_SIDEBANDS = ("ook", "ssb", "carrier", "pulse")
"""Families that AM looks like where nothing has learnt it."""
_LINED, _IN_LINE = ("carrier", "ssb"), 0.5
"""Families that AM is looked for beside, whatever proves them, where their line has more of the power."""
_WORTH = (0.0, 0.5, 0.57, 0.7, 0.85, 1.0), (0.0, 0.42, 0.5, 0.65, 0.85, 1.0)
"""What a probability of a carrier is worth: of 1,360 simulated looks at all families at 0 to 15 dB 3 of 12 claims below
0.57 and 10 of 24 below 0.7 were right. AM, SSB and FM are right more often than they say, which is left so: what no
model has learnt is taken for them, too."""
_PERHAPS_KEYED, _RATHER_KEYED, _MOST_OF_ALIKE = 0.04, 0.5, 0.85
"""Share of a model from which on what has AM's sidebands may be keys that leave a carrier (ASK), and rather is; and how
sure AM is where neither that nor its amplitude tells, at most."""
_AUDIO_SPREAD, _RATHER_AUDIO, _WHOLE = 0.6, 1.0, 0.93
"""Spread of an amplitude that has more than two levels (a tone's is 0.5), and of one that has also where a model takes
it for keys; and share of its power that this was seen of: slow parts of keys have any spread."""
_SWEEPS = ("fsk2", "fsk4", "fskm", "ook")
"""Families that chirps look like."""
_FRAMES = ("linear", "oqpsk", "fm", "pulse", "ssb", "ook", "dsss")
"""Families that frames of OFDM look like, with training symbols and pauses."""
_STEADIER = 0.45
"""Variation of an envelope, below which it is no OFDM's: sums of subcarriers have some 1, training symbols 0.5."""
_CHIPS = ("linear", "oqpsk")
"""Families that direct sequences look like: their chips are symbols, whatever else proves them."""


def _seek_others(case: Case, score: dict[str, float], measured: dict[str, float]) -> None:
    """Measure what looks like the best family, where that is not proven: it may be what the model does not think of."""
    best = max(score, key=lambda name: score[name])
    if best in _CHIPS and "dsss" not in measured and case.look.bandwidth > _RANGES["dsss"][0]:
        _measure(case, "dsss", score, measured)
        best = max(score, key=lambda name: score[name])
    # AM has a line, too, and an audio that is skew. What others have, too, is no reason not to look for them.
    lined = best in _LINED and case.look.line.share > _IN_LINE
    if best not in measured or (not lined and proof_of(case, best, 0.0) >= PROVEN):
        return
    for families, other in ((_SIDEBANDS, "am"), (_SWEEPS, "chirp"), (_FRAMES, "ofdm")):
        steady = other == "ofdm" and case.look.envelope < _STEADIER
        if best in families and other in score and other not in measured and not steady:
            _measure(case, other, score, measured)
    if best in _LINED and "fm" not in measured and angled(case) > 0:
        _measure(case, "fm", score, measured)


def _seek_message(case: Case, score: dict[str, float], measured: dict[str, float]) -> None:
    """Take for AM what lies on one axis and has the values of a message, whatever its bandwidth and without a carrier.

    Models have learnt AM with a carrier and as wide as audio.
    """
    best = max(score, key=lambda name: score[name])
    unproven_keys = best in _LIKE_KEYS and proof_of(case, best, 0.0) < PROVEN
    if "am" not in score or not (unproven_keys or best in _ON_ONE_AXIS):
        return
    if best == "linear" and case.received_already().label:
        return  # symbols fit a constellation: BPSK, some of it with a rest of the carrier, is on one axis as well
    found = message_on_axis(case)
    if found > 0:
        measured["am"] = _MOST_EVIDENCE * found
        score["am"] = max(score["am"], score[best] + _MOST_EVIDENCE * (2 * found - 1))


def _seek_code(case: Case, score: dict[str, float], measured: dict[str, float]) -> None:
    """Take for a direct sequence symbols that a code repeats: they are its chips, however well they are received."""
    best = max(score, key=lambda name: score[name])
    if "dsss" not in measured or best not in (*_LIKE_CHIPS, "dsss"):
        return
    case.phases = True
    if case.look.spreading.pattern:
        score["dsss"] -= _MOST_EVIDENCE  # symbols again and again, whose phase no data turns
        return
    found = 2 * case.code() - 1
    if found > 0:
        others = max(value for name, value in score.items() if name != "dsss")
        score["dsss"] = max(score["dsss"], others + _MOST_EVIDENCE * found)


def _seek_number(
    case: Case, prior: Mapping[str, float], score: dict[str, float], measured: dict[str, float]
) -> None:
    """Take for frequency keying with as many levels as clearly show what a model takes for that with another number.

    That it is keyed in frequency a model knows; how many levels there are it guesses by the width, where an index is
    unlike those that it has learnt. Levels that show, and no other number of them, are counted.
    """
    name = levels_of(case.look) if case.has("frequency_keying") else ""
    if name not in score or name not in measured:
        return
    found = case.look.frequency_keying
    if found.surprise is not None and found.surprise < _NEWS:
        return  # a pattern that repeats, as of sweeps
    clear = min(found.level_evidence, found.level_margin)
    shown = ramp(clear, *_CLEAR_LEVELS) * ramp(found.levels_confidence, *_SURE_LEVELS)
    if shown <= 0 or measured[name] <= 0:
        return
    # However wide: levels that show say more than which bandwidths are usual.
    score[name] += shown * _beyond(name, case.look.bandwidth)
    if max(score, key=lambda one: score[one]) in _KEYED:
        every = [prior[one] for one in _KEYED if one in score]
        whole = max(every) + math.log(sum(math.exp(one - max(every)) for one in every))
        score[name] += shown * (whole - prior[name])


def _seek_round_turns(case: Case, score: dict[str, float], measured: dict[str, float]) -> None:
    """Take for binary frequency keying what has the turns of OQPSK with an amplitude that no filtered points have."""
    best = max(score, key=lambda name: score[name])
    if best != "oqpsk" or "fsk2" not in score or not case.has("phase_keying"):
        return
    found = round_turns(case.look)
    if found > 0:
        measured["fsk2"] = _MOST_EVIDENCE * found
        score["fsk2"] = max(score["fsk2"], score[best] + _MOST_EVIDENCE * (2 * found - 1))


def _seek_levels(case: Case, score: dict[str, float], measured: dict[str, float]) -> None:
    """Take for amplitude keying what has two levels in the middle of symbols, whatever noise makes of them.

    Models take keys that leave a carrier for AM.
    """
    best = max(score, key=lambda name: score[name])
    if best not in _LIKE_LEVELS or "ook" not in measured:
        return
    found = min(eyed(case), fast_keyed(case))
    if found > 0:
        score["ook"] = max(score["ook"], score[best] + _MOST_EVIDENCE * (2 * found - 1))


def _seek_keys(case: Case, score: dict[str, float], measured: dict[str, float]) -> None:
    """Take for frequency keying what has levels in an eye that a filter had closed.

    Models have learnt open eyes, and take closed ones for fewer levels, audio, or OQPSK.
    """
    best = max(score, key=lambda name: score[name])
    if not case.has("frequency_keying") or (case.has("received") and case.received_already().label):
        return
    found, name = opened(case.look) * constant_envelope(case), levels_of(case.look)
    if found > 0 and name in score and name != best:
        measured[name] = _MOST_EVIDENCE * found
        score[name] = max(score[name], score[best] + _MOST_EVIDENCE * (2 * found - 1))


def _seek_pulses(case: Case, score: dict[str, float], measured: dict[str, float]) -> None:
    """Take for pulses keys as long as those of Mode S where a frame of it is seen, whatever a model thinks."""
    best = max(score, key=lambda name: score[name])
    if best != "ook" or "ook" not in measured or "pulse" not in score or not like_mode_s(case):
        return
    if "pulse" not in measured:
        _measure(case, "pulse", score, measured)
    found = 2 * case.look.pulses.confidence - 1 if case.look.pulses.frames else 0.0
    if found > 0:
        score["pulse"] = max(score["pulse"], score[best] + _MOST_EVIDENCE * found)


def _seek_line(case: Case, score: dict[str, float], measured: dict[str, float]) -> None:
    """Take for a carrier a line that has nothing beside it, whatever a model thinks of its place in the box."""
    best = max(score, key=lambda name: score[name])
    if best not in _LIKE_LINE or "carrier" not in score:
        return
    found = alone(case)
    if found > 0:
        measured["carrier"] = _MOST_EVIDENCE * found
        odds = _MOST_EVIDENCE * (2 * found - 1) - _beyond("carrier", case.look.bandwidth)
        score["carrier"] = max(score["carrier"], score[best] + odds)


def _seek_carriers(case: Case, score: dict[str, float], measured: dict[str, float]) -> None:
    """Take for OFDM carriers side by side that are keyed with one clock, whatever a model thinks of their sum.

    Models have learnt OFDM with a prefix and without gaps, and take a few carriers for a sideband, tones, or symbols.
    """
    best = max(score, key=lambda name: score[name])
    if best not in _LIKE_CARRIERS or "ofdm" not in score or not _may_be_carriers(case):
        return
    if best == "linear" and case.received_already().label:
        return
    if best in ("am", "ook") and (measured.get(best, 0.0) > 0 or proof_of(case, best, 0.0) >= PROVEN):
        return  # keys on and off, and a pattern of them, have such a clock as well
    found = case.look.keyed_carriers.confidence
    if found > 0:
        if "ofdm" not in measured:
            _measure(case, "ofdm", score, measured)
        odds = _MOST_EVIDENCE * (2 * found - 1)
        measured["ofdm"] = max(measured["ofdm"], odds)
        score["ofdm"] = max(score["ofdm"], score[best] + odds)


def _may_be_carriers(case: Case) -> bool:
    """Return whether an envelope varies as that of a few carriers or more does, and none of them is a line."""
    low, high = _CARRIERS_VARY
    return low < case.look.envelope < high and case.look.line.share < _CARRIERS_LINE


_LIKE_CARRIERS = ("linear", "oqpsk", "pi4dqpsk", "ssb", "am", "ook", "fskm", "ofdm", UNKNOWN)
"""Families that carriers side by side are taken for."""
_CARRIERS_VARY, _CARRIERS_LINE = (0.65, 1.25), 0.45
"""Variation of the envelope of two carriers (0.7) and more (noise has 1), and less than of voices, which have 1.2 and
more; and share of a line that keys on and off leave, and carriers do not."""
_LIKE_LINE = ("carrier", "am", "ssb", "fm", UNKNOWN)
"""Families that a line alone is taken for."""
_ON_ONE_AXIS = ("linear", "oqpsk", "pi4dqpsk", "dsss", "ofdm", UNKNOWN)
"""Families that AM of a wide message, or without a carrier, is taken for."""
_LIKE_CHIPS = ("linear", "oqpsk", "pi4dqpsk")
"""Families that chips are received as."""
_LIKE_LEVELS = ("am", "carrier", "ssb")
"""Families that keys which leave a carrier are taken for."""
_KEYED = ("fsk2", "fsk4", "fskm")
"""Families of frequency keying, which differ in their number of levels."""
_CLEAR_LEVELS, _SURE_LEVELS, _NEWS = (0.8, 1.0), (0.7, 0.85), 0.8
"""Evidence of levels a symbol against none and against any other number, confidence of them, and surprise of symbols,
from which on levels are counted whatever a model thinks of their number: at a third of the rate of a word that is sent
again and again, keys have 0.8 and a surprise of 0.6 at most."""
_LIKE_KEYS = ("ook", "pulse", "carrier")
"""The same, where neither keys nor pulses are seen."""


def _limited(
    case: Case, probabilities: dict[str, float], shares: Mapping[str, float], measured: Mapping[str, float]
) -> dict[str, float]:
    """Return the probabilities, each no larger than what proves its family allows; `unknown` gets the rest."""
    kept = dict(probabilities)
    for name, value in probabilities.items():
        if name == UNKNOWN or value < UNPROVEN / 2:
            continue
        kept[name] = float(min(value, _most(case, name, shares, measured)))
        if name == "carrier":
            kept[name] = float(np.interp(kept[name], *_WORTH))
    kept[UNKNOWN] += max(0.0, 1 - sum(kept.values()))
    return kept


def _most(case: Case, name: str, shares: Mapping[str, float], measured: Mapping[str, float]) -> float:
    """Return the probability of a family that its proof, or a model's share of it, allows at most."""
    if name == UNKNOWN:
        return 1.0
    share = shares.get(name, 0.0)
    most = limit_of(case, name, share) if name in measured else unproven(share)
    keyed = shares.get("ook", 0.0)
    if name == "am" and keyed > _PERHAPS_KEYED and not _is_audio(case, keyed > _RATHER_KEYED):
        return min(most, _MOST_OF_ALIKE)
    return most


def _is_audio(case: Case, rather_keyed: bool) -> bool:
    """Return whether an amplitude is clearly not of two levels, which noise hides."""
    found = case.look.sidebands
    least = _RATHER_AUDIO if rather_keyed else _AUDIO_SPREAD
    return found.spread is not None and found.spread > least and found.spread_over > _WHOLE


def _shares(prior: Mapping[str, float]) -> dict[str, float]:
    """Return the model's shares."""
    even = MODEL_ERROR / len(prior)
    return {name: (math.exp(value) - even) / (1 - MODEL_ERROR) for name, value in prior.items()}


def weigh_families(look: EmissionLook) -> FamilyEvidence:
    """Return the probability of each family.

    Raises:
        AmrqError: a model cannot be used.
    """
    prior = _proposed(look)
    case = Case(look, equaliser=prior["linear"] > max(prior.values()) - _EQUALISED)
    proposed = _split_fm(_softmax(prior), look.bandwidth)
    shares = _shares(prior)
    faint = _faint(look)
    if look.noise_density is not None:  # a noise floor that is told, and what was found exceeds it
        prior["noise"] -= _REFUTED
    score = {
        name: value - _beyond(name, look.bandwidth) - (0.0 if name in ("noise", UNKNOWN) else faint)
        for name, value in prior.items()
    }
    measured: dict[str, float] = {}
    for _ in range(_MOST_MEASURED):
        wanted = _next_to_measure(score, measured)
        if wanted is None:
            break
        _measure(case, wanted, score, measured)
        if wanted == "linear":
            for name in _ALSO_RECEIVED:
                if name in measured:
                    score[name] -= measured[name]
                    _measure(case, name, score, measured)
        for name, needs in _FROM.items():
            if name not in measured and name in score and case.has(*needs):
                _measure(case, name, score, measured)
    _seek_others(case, score, measured)
    _seek_code(case, score, measured)
    _seek_message(case, score, measured)
    _seek_keys(case, score, measured)
    _seek_number(case, prior, score, measured)
    _seek_round_turns(case, score, measured)
    _seek_levels(case, score, measured)
    _seek_line(case, score, measured)
    _seek_pulses(case, score, measured)
    _seek_carriers(case, score, measured)
    probabilities = _limited(case, _softmax(score), shares, measured)
    likeliest = max(probabilities, key=lambda name: probabilities[name])
    foreign = not_learnt(look)
    for name in foreign:
        probabilities[UNKNOWN] += probabilities[name]
        probabilities[name] = 0.0
    best = max(probabilities, key=lambda name: probabilities[name])
    probabilities = _split_fm(probabilities, look.bandwidth)
    return FamilyEvidence(
        probabilities,
        max(proposed, key=lambda name: proposed[name]),
        measured,
        case.received_already() if case.has("received") else None,
        likeliest if likeliest in foreign else "",
        _most(case, best, shares, measured),
    )


def not_learnt(look: EmissionLook) -> frozenset[str]:
    """Return the families that the look's model was trained without, narrow and wide FM as one; none without a model.

    A model owns its families: others are measured, and count against those that it knows, but are not named.
    """
    model = look.models.family
    if model is None:
        return frozenset()
    known = {"fm" if name in _FM else name for name in model.families}
    return frozenset(name for name in FAMILIES if name not in known and name not in (UNKNOWN, "noise"))


def _next_to_measure(score: Mapping[str, float], measured: Mapping[str, float]) -> str | None:
    """Return the likeliest family that is not measured yet and may be the right one.

    Where the measures of the best one speak against it, families that the model hardly thinks of may be, too.
    """
    order = sorted((name for name in score if name != UNKNOWN), key=lambda name: -score[name])
    doubtful = measured.get(order[0], 0.0) < _DOUBTFUL
    least = max(score.values()) - (_FAR if doubtful else _CLOSE)
    told = [value for name, value in measured.items() if name != "noise"]
    if told and max(told) < _DOUBTFUL and "ook" not in measured:
        return "ook"  # that costs least, and is clear where it is there
    if "linear" in measured and "pi4dqpsk" not in measured and score["pi4dqpsk"] > score["linear"] - _FAR:
        return "pi4dqpsk"  # its turns are received as QPSK or 8PSK
    if not doubtful and order[0] in measured and _softmax(score)[order[0]] > _SETTLED:
        return None
    known = (name for name in order[: len(order) if doubtful else 3] if name in NUMBERS)
    costly = max(score.values()) - _COSTLY_CLOSE
    return next(
        (
            name
            for name in known
            if name not in measured and score[name] > (costly if name == "linear" else least)
        ),
        None,
    )


def _measure(case: Case, name: str, score: dict[str, float], measured: dict[str, float]) -> None:
    """Add to a family's score what its measures say."""
    value = evidence_of(name, numbers_of(case, name))
    measured[name] = value
    score[name] += value


def numbers_of(case: Case, name: str) -> tuple[float, ...]:
    """Return the numbers that a family is told by."""
    return NUMBERS[name](case)


def evidence_of(name: str, numbers: tuple[float, ...]) -> float:
    """Return the logarithm of the likelihood ratio that numbers give."""
    constant, *factors = WEIGHTS[name]
    value = constant + sum(factor * number for factor, number in zip(factors, numbers, strict=True))
    return min(max(value, -_MOST_EVIDENCE), _MOST_EVIDENCE)


def _proposed(look: EmissionLook) -> dict[str, float]:
    """Return the model's log-probability of each family; it errs in a share of the cases, for whatever reason.

    A model of one's own may have families of its own.
    """
    count = len(FAMILIES)
    shares = dict.fromkeys(FAMILIES, 1.0 / count)
    model = look.models.family
    if model is not None:
        rows = []
        for chunk in model.prepared(look.iq, look.sample_rate, look.band(), _CHUNKS):
            rows.append(model.log_probabilities(chunk))
            if math.exp(float(rows[0].max())) >= _SURE_AT_ONCE:
                break
        if rows:
            found = model.together(np.concatenate(rows))
            shares = dict.fromkeys(FAMILIES, 0.0)
            for name, value in zip(model.families, np.exp(found).tolist(), strict=True):
                name = "fm" if name in _FM else name
                shares[name] = shares.get(name, 0.0) + value
    count = len(shares)
    return {name: math.log((1 - MODEL_ERROR) * share + MODEL_ERROR / count) for name, share in shares.items()}


def _faint(look: EmissionLook) -> float:
    """Return the log-odds against anything but noise where hardly anything stands out of the noise beside it."""
    snr = look.measures.snr_db
    return _FAINT if math.isnan(snr) else _FAINT * min(max((_CLEAR - snr) / _CLEAR, 0.0), 1.0)


def _beyond(name: str, bandwidth: float) -> float:
    """Return the log-odds against a family by its bandwidth."""
    low, high = _RANGES.get(name, (0.0, math.inf))
    octaves = math.log2(min(max(bandwidth, low), high) / bandwidth)
    return _OCTAVE * abs(octaves)


def _softmax(score: Mapping[str, float]) -> dict[str, float]:
    best = max(score.values())
    weights = {name: math.exp(value - best) for name, value in score.items()}
    total = sum(weights.values())
    return {name: value / total for name, value in weights.items()}


def _split_fm(probabilities: dict[str, float], bandwidth: float) -> dict[str, float]:
    """Return the probabilities with FM as narrow and wide FM, by the bandwidth."""
    fm = probabilities.pop("fm", 0.0)
    wide = 1 / (1 + math.exp(-min(max(_STEEP * math.log(bandwidth / _WIDE_FM), -30.0), 30.0)))
    return probabilities | {"fm_narrow": fm * (1 - wide), "fm_wide": fm * wide}
