# SPDX-License-Identifier: GPL-3.0-or-later
"""Which family an emission is of: what the family model says, what the measures of the likely families say, together.

The model proposes: its log-probabilities of the families are what there is before anything is measured. Then the
likeliest families are measured, each in its own way, until the best one and those close to it have been. Each measure
gives a few numbers, and a weighted sum of them is the logarithm of a likelihood ratio: how much likelier the numbers
are where the family is the right one, among emissions that the model takes for it. So a measure that a family should
have and that is not there counts against it, and its probability goes to the others and to `unknown`.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from amrq.identify.look import EmissionLook
from amrq.identify.received import ReceivedLinear, receive_linear
from amrq.identify.weights import MODEL_ERROR, WEIGHTS
from amrq.model import UNKNOWN

__all__ = ["FAMILIES", "FamilyEvidence", "weigh_families"]

_CLOSE, _FAR = 4.0, 7.0
"""Natural logarithm of odds: families closer to the best one than this are measured too; and so where the measures of
the best one speak against it."""
_COSTLY_CLOSE = 3.0
"""As close must linear modulations be: their receiver costs more than all else."""
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
    "am": (1e3, 40e3),
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
_NO_EYE = 0.3
"""Of half the distance of levels: what is left over where there is no frequency keying, at least."""
_CONSTANT, _FILTERED, _LIKE_NOISE = 0.45, 0.3, 0.3
"""Variation of the envelope: of a constant one at most, of filtered symbols at least; of noise it is so near to 1."""
_OFF_MIDDLE, _WIDE_EYE, _TURNED = 0.12, 0.8, 0.4
"""Of the bandwidth, that AM's carrier is off the middle; an eye that audio seldom has; turns of pi/4-DQPSK."""
_AM_CLEAR, _AM_DEPTH = 0.25, 0.1
"""Confidence of AM's depth, and depth, that carriers and single sidebands seldom have."""
_DEEPEST = 1.2
"""Depth: deeper is keying."""
_PEAKED = 2.1
"""Peak over RMS of the frequency: of voices and music 85 % have more, of keys and sweeps less than half."""
_MODEM, _TONES_INDEX = 0.6, 1.6
"""Of an eye: so much of it a modem found in FM explains; its waves look like symbols of a small index."""
_TWO_LEVELS = 3.0
"""Contrast: noise and voices have less."""
_WIDE_OFDM = 500e3
"""Hz: what is wider, stands out and is like noise is more likely OFDM (Wi-Fi, LTE, DAB, DVB-T) than noise."""
_REPEATS = 5.0
"""Standard deviations by which a lag stands out: signals without a code have less."""
_SURE_AT_ONCE = 0.95
"""Probability of a family by the first chunk, from which on no second one is asked for."""
_CHUNKS = 2
"""Of a look, that the model is asked about."""


_NOT_RECEIVED = ReceivedLinear()
_RECEIVED_AS_QUARTER = ("QPSK", "8PSK")
_ALSO_RECEIVED = ("pi4dqpsk", "oqpsk", "dsss")
"""Families whose numbers have what the receiver of linear modulations says, where that was asked."""


class _Case:
    """A look, with what it was received as, for the families' numbers."""

    def __init__(self, look: EmissionLook) -> None:
        self.look = look

    @cached_property
    def received(self) -> ReceivedLinear:
        return receive_linear(self.look)

    def received_already(self) -> ReceivedLinear:
        """Return what it was received as; where it was not received, that nothing was clear."""
        found: ReceivedLinear = self.__dict__.get("received", _NOT_RECEIVED)
        return found

    def has(self, *measures: str) -> bool:
        """Return whether measures of the look were taken."""
        return all(name in self.look.__dict__ for name in measures)


def _eye(case: _Case) -> float:
    """Return how open the eye of frequency keying is: 0 for what noise has, 3 where nearly nothing is left over."""
    found = case.look.frequency_keying
    if found.levels is None:
        return 0.0
    return min(max(math.log(_NO_EYE / max(found.error, 1e-3)), 0.0), 3.0)


def _beyond_constant(case: _Case) -> float:
    """Return how much the envelope varies beyond what echoes and noise make of a constant one, 0 to 1."""
    return min(max((case.look.envelope - _CONSTANT) / _CONSTANT, 0.0), 1.0)


def _below_linear(case: _Case) -> float:
    """Return how much less the envelope varies than that of filtered symbols, 0 to 1."""
    return min(max((_FILTERED - case.look.envelope) / _FILTERED, 0.0), 1.0)


def _unlike_noise(case: _Case) -> float:
    """Return how far the envelope is from that of Gaussian noise, 0 to 1."""
    return min(max((abs(case.look.envelope - 1) - _LIKE_NOISE) / _LIKE_NOISE, 0.0), 1.0)


def _switched(case: _Case) -> float:
    """Return how clearly the amplitude is keyed, 0 to 1."""
    keying = case.look.keying
    sure, apart = (keying.confidence - 0.5) / 0.4, (keying.contrast - 2.5) / 2.5
    return min(max(sure, 0.0), 1.0) * min(max(apart, 0.0), 1.0)


def _stands_out(case: _Case) -> float:
    """Return how far it stands out of the noise beside it, 0 to 1 from 0 to 10 dB; 1 where there is none."""
    snr = case.look.measures.snr_db
    return min(max(snr / 10, 0.0), 1.0) if not math.isnan(snr) else 0.0


def _line(value: float) -> float:
    """Return how far a line stands out of the floor, a logarithm, 0 where noise would have as much."""
    return min(max(0.0, math.log(max(value, 1.0) / 12.0)), 4.0)


def _lined(case: _Case) -> float:
    """Return whether the square or the fourth power has a line in the middle, as BPSK and QPSK have, 0 to 1."""
    lines = case.look.power_lines
    return min(max(_line(lines.square), _line(lines.fourth)), 1.0)


def _turned(case: _Case) -> float:
    """Return how clear turns of a quarter or a half are, from symbol to symbol, 0 to 1: BPSK, pi/2-BPSK, QPSK."""
    fourth, square = case.received.turn
    return max(fourth, abs(square), 0.0)


def _outcome(received: ReceivedLinear) -> tuple[float, float, float]:
    """Return whether a linear modulation was named, was clear without a name, and was refuted."""
    named = 1.0 if received.label else 0.0
    refuted = 1.0 if "does not fit" in received.reason else 0.0
    return named, float(received.clear) - named - refuted, refuted


def _modem(case: _Case) -> float:
    """Return how likely keyed frequency is that of a modem's tones inside narrow FM, 0 to 1."""
    index = case.look.frequency_keying.index
    if case.look.bandwidth > _WIDE_FM or (index is not None and index > _TONES_INDEX):
        return 0.0
    return case.look.fm.inner_confidence


def _keyed(case: _Case, low: int, high: int) -> tuple[float, ...]:
    """Return the eye with wanted, and with other numbers of levels, and how far the envelope is from constant."""
    levels, eye = case.look.frequency_keying.levels, _eye(case)
    if eye > _WIDE_EYE:
        eye *= 1 - _MODEM * _modem(case)
    fits = levels is not None and low <= levels <= high
    return *((eye, 0.0) if fits else (0.0, eye)), _beyond_constant(case)


def _mirrored(case: _Case) -> float:
    """Return how clearly a carrier has sidebands that mirror each other, 0 to 1."""
    am = case.look.am
    if am.depth is None or am.depth < _AM_DEPTH:
        return 0.0
    return min(am.confidence / _AM_CLEAR, 1.0) * min(max((_DEEPEST - am.depth) / 0.3, 0.0), 1.0)


def _numbers_of_carrier(case: _Case) -> tuple[float, ...]:
    line, switched = case.look.line.share, _switched(case)
    return line, switched * line, _beyond_constant(case), _mirrored(case) * (1 - switched)


def _numbers_of_am(case: _Case) -> tuple[float, ...]:
    line = case.look.line
    lower, upper = case.look.band()
    off = abs(line.place - (lower + upper) / 2) / case.look.bandwidth if line.power > 0 else 0.0
    aside = min(max((off - _OFF_MIDDLE) / _OFF_MIDDLE, 0.0), 1.0)
    mirrored = _mirrored(case) * (1 - _switched(case))
    return float(case.look.am.depth is not None), mirrored, min(2 * line.share, 1.0), aside * (1 - mirrored)


def _numbers_of_ssb(case: _Case) -> tuple[float, ...]:
    look = case.look
    return abs(look.ssb.skew or 0.0), _below_linear(case), look.line.share


def _flat(case: _Case) -> float:
    """Return how much less the frequency's peak is above its mean than that of voices and music, 0 to 1."""
    fm = case.look.fm
    if not fm.deviation or not fm.rms_deviation:
        return 0.0
    return min(max((_PEAKED - fm.deviation / fm.rms_deviation) / 0.5, 0.0), 1.0)


def _numbers_of_fm(case: _Case) -> tuple[float, ...]:
    look = case.look
    pilot = look.fm.pilot_confidence if look.fm.pilot_deviation else 0.0
    modem = max(_modem(case), pilot)
    eye = _eye(case) if look.frequency_keying.levels in (2, 3, 4) else 0.0
    swept = look.chirp.confidence
    return (
        max(eye - _WIDE_EYE, 0.0) * (1 - modem),
        _beyond_constant(case),
        modem,
        _flat(case) * (1 - modem),
        swept,
    )


def _numbers_of_keying(case: _Case) -> tuple[float, ...]:
    keying = case.look.keying
    duty = keying.duty if keying.duty is not None else 0.6
    return _switched(case), float(keying.contrast > _TWO_LEVELS), duty


def _numbers_of_pulses(case: _Case) -> tuple[float, ...]:
    pulses = case.look.pulses
    return pulses.confidence, float(min(pulses.checked, 1))


def _numbers_of_linear(case: _Case) -> tuple[float, ...]:
    return *_outcome(case.received), _below_linear(case), _turned(case) * (1 - _below_linear(case))


def _numbers_of_quarter(case: _Case) -> tuple[float, ...]:
    """Return those of pi/4-DQPSK."""
    likely = case.look.phase_keying.pi4dqpsk
    received = case.received_already()
    turned = -received.turn[0]
    # QPSK that is half a symbol rate off, or 8PSK with odd turns, is what it is received as.
    eighths = received.label == "8PSK" and turned < _TURNED and likely < 0.5
    other = 1.0 if eighths or (received.label and received.label not in _RECEIVED_AS_QUARTER) else 0.0
    alike = 1.0 if received.label in _RECEIVED_AS_QUARTER and not other else 0.0
    return likely, max(turned, 0.0), other, _below_linear(case), alike


def _numbers_of_offset(case: _Case) -> tuple[float, ...]:
    """Return those of OQPSK."""
    other = 1.0 if case.received_already().label else 0.0
    return case.look.phase_keying.oqpsk, other, _below_linear(case)


def _numbers_of_ofdm(case: _Case) -> tuple[float, ...]:
    like = 1 - _unlike_noise(case)
    bare = max(1 - _lined(case) - case.look.line.share, 0.0)
    wide = min(max(math.log10(case.look.bandwidth / _WIDE_OFDM), 0.0), 1.0) * like * _stands_out(case)
    return case.look.subcarriers.confidence * like * bare, 1 - like, wide


def _numbers_of_chirp(case: _Case) -> tuple[float, ...]:
    chirp = case.look.chirp
    return chirp.confidence, chirp.gathered, _beyond_constant(case)


def _numbers_of_dsss(case: _Case) -> tuple[float, ...]:
    """Return those of direct sequences: how clearly they repeat themselves, and what they were received as."""
    repeats = min(max(case.look.subcarriers.clear - _REPEATS, 0.0), 6.0) / 6
    return repeats * _lined(case), *_outcome(case.received_already()), _below_linear(case)


_NUMBERS: dict[str, Callable[[_Case], tuple[float, ...]]] = {
    "noise": lambda case: (_unlike_noise(case), case.look.line.share, _stands_out(case)),
    "carrier": _numbers_of_carrier,
    "am": _numbers_of_am,
    "ssb": _numbers_of_ssb,
    "fm": _numbers_of_fm,
    "ook": _numbers_of_keying,
    "pulse": _numbers_of_pulses,
    "fsk2": lambda case: _keyed(case, 2, 2),
    "fsk4": lambda case: _keyed(case, 3, 4),
    "fskm": lambda case: _keyed(case, 5, 1000),
    "linear": _numbers_of_linear,
    "pi4dqpsk": _numbers_of_quarter,
    "oqpsk": _numbers_of_offset,
    "ofdm": _numbers_of_ofdm,
    "chirp": _numbers_of_chirp,
    "dsss": _numbers_of_dsss,
}
"""Numbers by family, from the measures that it is told by; narrow and wide FM are one until the end."""
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
FAMILIES = (*_NUMBERS, UNKNOWN)


@dataclass(frozen=True)
class FamilyEvidence:
    """What speaks for each family.

    Attributes:
        probabilities: of each family, `unknown` among them; they add up to 1.
        proposed: the likeliest family by the model alone.
        against: logarithm of the likelihood ratio that the measures of each family gave; those that were not measured
            are missing.
        received: what it was received as; None where it was not.
    """

    probabilities: Mapping[str, float]
    proposed: str = UNKNOWN
    measured: Mapping[str, float] = field(default_factory=dict)
    received: ReceivedLinear | None = None

    @property
    def best(self) -> str:
        """The likeliest family."""
        return max(self.probabilities, key=lambda name: self.probabilities[name])


def weigh_families(look: EmissionLook) -> FamilyEvidence:
    """Return the probability of each family.

    Raises:
        AmrqError: a model cannot be used.
    """
    case = _Case(look)
    prior = _proposed(look)
    proposed = _split_fm(_softmax(prior), look.bandwidth)
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
    probabilities = _split_fm(_softmax(score), look.bandwidth)
    received = case.received_already()
    return FamilyEvidence(
        probabilities,
        max(proposed, key=lambda name: proposed[name]),
        measured,
        received if received is not _NOT_RECEIVED else None,
    )


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
    known = (name for name in order[: len(order) if doubtful else 3] if name in _NUMBERS)
    costly = max(score.values()) - _COSTLY_CLOSE
    return next(
        (
            name
            for name in known
            if name not in measured and score[name] > (costly if name == "linear" else least)
        ),
        None,
    )


def _measure(case: _Case, name: str, score: dict[str, float], measured: dict[str, float]) -> None:
    """Add to a family's score what its measures say."""
    value = evidence_of(name, numbers_of(case, name))
    measured[name] = value
    score[name] += value


def numbers_of(case: _Case, name: str) -> tuple[float, ...]:
    """Return the numbers that a family is told by."""
    return _NUMBERS[name](case)


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
        chunks = model.prepare(look.iq, look.sample_rate, look.band(), _CHUNKS)
        if len(chunks):
            found = model.log_probabilities(chunks[:1])
            if len(chunks) > 1 and math.exp(float(found.max())) < _SURE_AT_ONCE:
                found = np.concatenate([found, model.log_probabilities(chunks[1:])])
            found = model.together(found)
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
