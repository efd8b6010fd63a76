# SPDX-License-Identifier: GPL-3.0-or-later
"""What an emission is, from its I/Q: noise and carriers by their spectrum, all else by what speaks for each family."""

import math
from dataclasses import replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from amrq import transforms as fft
from amrq.classifier import Classifier, FamilyModel
from amrq.identify.bursts_inside import bursts_within, filled, of_bursts
from amrq.identify.case import Case
from amrq.identify.evidence import FamilyEvidence, not_learnt, weigh_families
from amrq.identify.identity import ASIDE, SHORT, SILENT, WEAK, EmissionIdentity
from amrq.identify.labels import describe_family
from amrq.identify.look import EmissionLook, IdentifyModels, bins_between
from amrq.identify.numbers import mirrored
from amrq.identify.received import BY_PHASES
from amrq.identify.second_look import drifts, is_doubtful, may_err, of_both_looks, of_halves, refocused
from amrq.measure import RepeatedSymbols, measure_emission, median, quick_length, steadied
from amrq.model import UNKNOWN
from amrq.protocols import Measure

__all__ = ["family_model", "identify_emission"]

_LEAST = 64
"""Samples below which nothing is said."""
_NAMED = 0.5
"""Probability of a family from which on it is named."""
_CONTRADICTED = -0.7
"""Logarithm of a likelihood ratio: a measure below speaks against its family."""
_PERHAPS = 0.2
"""Probability of a family that is said to be possible."""
_NARROW = 2.5
"""Sample rate over the bandwidth, below which samples are put in between: measures need some room."""

_NOISE = "noise"
_ON_A_CARRIER = ("carrier", "am", "ook")
"""Families that leave a carrier, whose drift can be taken off."""
_NARROW_BOX = 800.0
"""Hz: a line in a wider box was not alone all the time: AM or FM in a pause, a tone in a single sideband."""
_MOST_SURE = 0.9
"""Confidence of a carrier, and of noise: what changes more slowly than a look, or rests meanwhile, looks the same."""
_MOST_MOVING = 0.7
"""The same of a line that does not stay in one place: slow keys, or an oscillator that wanders."""
_LINE_SHARE = 0.99
"""Of an emission's power that is in its line, where it is a carrier."""
_LINE_TIMES = 25.0
"""Times the mean noise in a bin that a line's peak is at least: noise exceeds it once in 7e10 bins."""
_DEVIATIONS = 4.0
"""Standard deviations of the noise's power that an emission must exceed it by."""
_BESIDE = 2.0
"""Times the noise floor: with more power than that around a box that holds none, what was found lies beside the box."""
_TOO_HIGH = 1 / 3
"""Of a noise floor that is told: with less power than that the floor is wrong."""
_LEAST_POWER, _MOST_POWER = 1e-20, 1e20
"""Of samples: between these single precision holds it, whatever single samples are."""
_PIECE, _FEWEST_PIECES, _QUIETEST, _BURSTS = 32, 8, 0.775, 5.0
"""Samples at the rate of the bandwidth whose mean power is compared, and how many such pieces at least; what the lowest
quarter of them has of the mean in noise; and how far bursts stand out of most pieces: noise has 1.7 at most, and 3.8
where a gain changes."""
_FLOOR_UNCERTAINTY = 0.025
"""Of the noise density: what is not known of it, 0.1 dB."""
_OF_SYMBOLS = ("linear", "pi4dqpsk", "oqpsk")
"""Families whose word may be sent again and again."""
_OF_TONES = ("fsk2", "fsk4", "fskm")
"""Families that such a word is taken for, of those whose envelope stays."""
_KEYED_PHASES = {2: ("BPSK", "pi/2-BPSK"), 4: ("QPSK", ""), 8: ("8PSK", "8PSK"), 16: ("16PSK", "16PSK")}
"""Names by the number of phases, of points that stay and of those that turn by half of the phases' distance."""
_VARIES = 0.2
"""Variation of the envelope that symbols have, and tones, whose phases turn by as even steps, have not."""
_TURNS_NOT, _TURNS, _TURNS_SURELY = 0.15, 0.25, 0.35
"""Of the phases' distance: points that turn by less do not turn, by more they turn by half of it; and from where to
where that is not clear, so that what other evidence says counts."""
_WORTH_MORE = 35.0
"""What a word is worth that tells another family than was found: those of six and seven symbols fit more than one."""
_MOST_PHASES = 8
"""Of a word that alone proves a linear modulation: on more places of a ring lie also those of sweeps that repeat."""
_NO_TONES = 0.3
"""Variation of the envelope from which on staggered symbols are no tones: GMSK, which is the same as such symbols with
round pulses, has 0.23 in a narrow box at 6 dB."""
_MOST_OF_LOOK = 0.35
"""Of the look, that such a word is in, at least: vowels and chords are steady for less."""
_WORD_SURE = 0.9
"""Confidence of its symbol rate."""


@cache
def family_model(name: str = "family") -> FamilyModel:
    """Return a family model, loaded once.

    Raises:
        ModelError: there is no such model, or it is none of families.
    """
    return FamilyModel(name)


def identify_emission(
    iq: NDArray[np.complex64],
    sample_rate: float,
    noise_dbfs_per_hz: float | None = None,
    edges: tuple[float, float] | None = None,
    snr_db: float | None = None,
    model: str | Classifier | IdentifyModels = "default",
    thorough: bool = True,
    symbol_rate: float | None = None,
) -> EmissionIdentity:
    """Say what an emission is.

    Args:
        iq: complex [n], the emission about 0 Hz, best with some noise beside it (a rate of four bandwidths).
        sample_rate: samples a second, above 0.
        noise_dbfs_per_hz: of the noise, dB relative to a magnitude of 1, a Hz; None where it is not known.
        edges: lower and upper edge of the emission, Hz from 0 Hz of `iq`; None: all of the band.
        snr_db: in its box, as its detector found it, dB; None where it is not known.
        model: of linear modulations, an ONNX file, a shipped model's name or `default`, or a classifier, which is used
            as it is; or both models, where that of families is not to be the shipped one.
        thorough: a linear signal is equalised where it needs that, which may take several times as long.
        symbol_rate: that it had before, symbols a second: if it can be named with this, none is looked for, which takes
            half as long; None where it is not known.

    Raises:
        AmrqError: a model cannot be used.

    >>> from amrq.classes import linear_class
    >>> from amrq.signals import received_signal
    >>> rng = np.random.default_rng(1)
    >>> symbols = rng.choice(linear_class("QPSK").points, 1200)
    >>> iq = received_signal(symbols, samples_per_symbol=4.0, rolloff=0.35, es_n0_db=20.0, rng=rng)
    >>> found = identify_emission(iq, sample_rate=40e3)
    >>> found.label, found.family, round(found.symbol_rate)
    ('QPSK', 'linear', 10000)
    """
    models = model if isinstance(model, IdentifyModels) else IdentifyModels(model, family_model())
    iq = np.ascontiguousarray(iq, dtype=np.complex64)
    # At most some hundredths less, and transforms take a fraction of the time.
    iq = iq[: quick_length(len(iq))]
    good = np.isfinite(iq)
    if not good.all():
        iq = np.where(good, iq, np.complex64(0))
    if len(iq) < _LEAST:
        return EmissionIdentity(reason=SHORT)
    edges = None if edges is None else _within(edges, sample_rate)
    bandwidth = None if edges is None else edges[1] - edges[0]
    if not iq.any():
        return EmissionIdentity(reason=SILENT)
    iq, gain_db = _levelled(iq)
    if noise_dbfs_per_hz is not None:
        noise_dbfs_per_hz += gain_db
    noise_density = None if noise_dbfs_per_hz is None else 10 ** (noise_dbfs_per_hz / 10)
    spectrum = fft.fft(iq)
    if noise_density is not None and _is_too_high(noise_density, _densities(spectrum, sample_rate, edges)):
        noise_density = noise_dbfs_per_hz = None
    received = (iq, sample_rate)
    while bandwidth is not None and 0 < sample_rate < _NARROW * min(bandwidth, sample_rate):
        iq, spectrum = _twice(spectrum)
        sample_rate *= 2
    measures = measure_emission(iq, sample_rate, noise_dbfs_per_hz, bandwidth, with_symbol_rate=False)
    look = EmissionLook(
        iq,
        sample_rate,
        noise_density,
        edges,
        snr_db,
        measures,
        models,
        thorough,
        symbol_rate,
        received if received[0] is not iq else None,
        spectrum,
    )
    found = _identified(look)
    if noise_density is not None and found.says_little:
        quiet = _quiet_density(look)
        if quiet is not None:  # the floor that was told is that of bursts and pauses together
            look = replace(look, noise_density=quiet, snr_db=None)
            look = _look_at(look, look.iq)
            found = _identified(look)
    found = _looked_twice(look, found)
    if found.label == "carrier" or look.bandwidth <= _NARROW_BOX:
        found = replace(found, steady=look.steady)
    if found.label == "carrier" and look.steady.moves:
        found = _moving(found)
    return _as_received(found, gain_db)


def _moving(found: EmissionIdentity) -> EmissionIdentity:
    """Return an answer about a line that does not stay in one place: a carrier is no surer than that allows."""
    if found.label != "carrier":
        return found
    most = min(found.most, _MOST_MOVING)
    return replace(found, most=most, confidence=min(found.confidence, most))


def _identified(look: EmissionLook) -> EmissionIdentity:
    """Return what an emission is by one look."""
    for stage in (_find_noise, _find_carrier):
        found = stage(look)
        if found is not None:
            return replace(found, measures=look.measures)
    return _decide(look, weigh_families(look))


def _looked_twice(look: EmissionLook, found: EmissionIdentity) -> EmissionIdentity:
    """Return an answer; where it is not sure, the surer one of that and of looks at what the box, or a look, hides."""
    if found.label == _NOISE:
        return found
    found = _said_again(look, found)
    found = _within_bursts(look, found)
    if not may_err(found):
        return found
    if drifts(
        look.drift, look.bandwidth
    ):  # in a band about its core alone it would sweep through all of that
        still = _look_at(look, steadied(look.iq, look.sample_rate, look.drift.rate))
        again = _moving(_identified(still))
        if again.family in _ON_A_CARRIER:
            found = of_both_looks(found, again, 0.0)
            # One line is what a piece of a sweep becomes as well: whether it is one shows in the core as it is.
            look = look if again.label == "carrier" else still
    core = refocused(look.iq, look.sample_rate, look.edges, look.noise_density)
    if core is not None:
        half = core.width / 2
        other = replace(look, sample_rate=core.sample_rate, edges=(-half, half), snr_db=core.snr_db)
        found = of_both_looks(found, _identified(_look_at(other, core.iq)), core.centre)
    if is_doubtful(found) and look.changed:
        middle = quick_length(len(look.iq) // 2)
        parts = look.iq[:middle], look.iq[len(look.iq) - middle :]
        found = of_halves(found, [_identified(_look_at(look, part)) for part in parts])
    return found


def _said_again(look: EmissionLook, found: EmissionIdentity) -> EmissionIdentity:
    """Return an answer; where it is not sure of symbols, that of a word that is sent again and again, if any is."""
    unsure = found.family in (UNKNOWN, *_OF_TONES) or (
        found.family in _OF_SYMBOLS and (found.label == found.family or found.confidence <= BY_PHASES)
    )
    if not unsure or look.envelope < _VARIES or not_learnt(look).intersection(_OF_SYMBOLS):
        return found
    word = look.repeated_symbols
    if word.symbol_rate is None or word.share < _MOST_OF_LOOK:
        return found
    family, label = _of_word(word)
    if found.family != family and not _tells_more(word, found, look.envelope):
        return found
    details = dict(found.details) if found.family == family else {}
    return replace(
        found,
        family=family,
        label=label,
        reason="named",
        confidence=BY_PHASES,
        symbol_rate=word.symbol_rate,
        families={family: BY_PHASES, UNKNOWN: 1 - BY_PHASES},
        details=details | {"symbol_rate": Measure(word.symbol_rate, _WORD_SURE)},
        most=BY_PHASES,
        alike=(),
        label_most=BY_PHASES,
    )


def _tells_more(word: RepeatedSymbols, found: EmissionIdentity, envelope: float) -> bool:
    """Return whether a word tells another family better than what was found."""
    if word.staggered and found.family not in _OF_SYMBOLS and envelope < _NO_TONES:
        return False
    if found.family == UNKNOWN:
        others = {name: share for name, share in found.families.items() if name != UNKNOWN}
        thought_of = max(others, key=lambda name: others[name], default="") in _OF_SYMBOLS
        return word.phases <= _MOST_PHASES and (thought_of or word.worth > _WORTH_MORE)
    half_turns = word.phases <= 4 and _TURNS_NOT < abs(word.turn) * word.phases < _TURNS_SURELY
    return not half_turns and word.worth > _WORTH_MORE and (word.staggered or found.family not in _OF_TONES)


def _of_word(word: RepeatedSymbols) -> tuple[str, str]:
    """Return the family and the name of the modulation that sends a word."""
    turns = abs(word.turn) * word.phases > _TURNS
    if word.staggered:
        return "oqpsk", "OQPSK"
    if word.phases == 4 and turns:
        return "pi4dqpsk", "pi/4-DQPSK"
    return "linear", _KEYED_PHASES.get(word.phases, ("linear", "linear"))[turns]


def _within_bursts(look: EmissionLook, found: EmissionIdentity) -> EmissionIdentity:
    """Return an answer; where it is not sure, or says that something is keyed, that of the bursts in the look."""
    if look.edges is None or not (may_err(found) or found.family in ("ook", "pulse")):
        return found
    iq = bursts_within(look.iq, look.sample_rate, look.band(), look.spectrum)
    if iq is None:
        return found
    iq = iq[: quick_length(len(iq))]
    share = filled(iq, look.sample_rate, look.band())
    return of_bursts(found, _identified(_look_at(look, iq)), share)


def _look_at(look: EmissionLook, iq: NDArray[np.complex64]) -> EmissionLook:
    """Return a look at other samples of the same rate and edges, measured anew."""
    noise_db = None if not look.noise_density else 10 * math.log10(look.noise_density)
    width = None if look.edges is None else look.edges[1] - look.edges[0]
    measures = measure_emission(iq, look.sample_rate, noise_db, width, with_symbol_rate=False)
    return replace(look, iq=iq, measures=measures, received=None, transform=None)


def _levelled(iq: NDArray[np.complex64]) -> tuple[NDArray[np.complex64], float]:
    """Return samples of about unit RMS, and the gain in dB: a power of two, so that no sample is rounded.

    Measures take fourth powers and their spectra, which single precision holds for such levels alone.
    """
    parts = iq.view(np.float32)
    power = float(np.dot(parts, parts)) / len(parts)
    if not _LEAST_POWER < power < _MOST_POWER:  # single precision may not hold it
        power = float(np.mean(np.square(parts, dtype=np.float64)))
    halvings = round(math.log2(power) / 2)
    return np.ldexp(parts, -halvings).view(np.complex64), -20 * math.log10(2) * halvings


def _as_received(found: EmissionIdentity, gain_db: float) -> EmissionIdentity:
    """Return what was found with the levels that the samples had before a gain."""
    told = found.measures
    if told is None or gain_db == 0:
        return found
    level, noise = told.level_dbfs - gain_db, told.noise_dbfs_per_hz - gain_db
    return replace(found, measures=replace(told, level_dbfs=level, noise_dbfs_per_hz=noise))


def _densities(
    spectrum: NDArray[np.complex64], sample_rate: float, edges: tuple[float, float] | None
) -> NDArray[np.float64]:
    """Return the power per Hz at each frequency within the edges, by the discrete Fourier transform of samples."""
    count = len(spectrum)
    if edges is not None:
        spectrum = spectrum[bins_between(count, sample_rate, *edges)]
    power = spectrum.real.astype(np.float64) ** 2 + spectrum.imag.astype(np.float64) ** 2
    return np.asarray(power / (count * sample_rate))


def _is_too_high(floor: float, densities: NDArray[np.float64]) -> bool:
    """Return whether there is so much less than a noise floor that the floor cannot be right."""
    if not len(densities):
        return False
    most = float(densities.mean()) * (1 + _DEVIATIONS / math.sqrt(len(densities)))
    return most < _TOO_HIGH * floor


def _quiet_density(look: EmissionLook) -> float | None:
    """Return the noise density in the pauses of what comes in bursts; None where the power is as steady as noise's."""
    count = len(look.iq)
    bins = bins_between(count, look.sample_rate, *look.inside())
    if len(bins) < _FEWEST_PIECES * _PIECE:
        return None
    spectrum = look.spectrum[bins]
    lines = spectrum.real.astype(np.float64) ** 2 + spectrum.imag.astype(np.float64) ** 2
    whole = float(lines.sum())
    if not whole > 0:
        return None
    # At the rate of the bandwidth samples of noise are independent, of noise through a filter of so many one.
    alike = len(lines) * float(lines @ lines) / (2 * whole**2)
    piece = round(_PIECE * max(alike, 1.0))
    inside = fft.ifft(spectrum)
    power = inside.real.astype(np.float64) ** 2 + inside.imag.astype(np.float64) ** 2
    if len(power) < _FEWEST_PIECES * piece:
        return None
    pieces = power[: len(power) // piece * piece].reshape(-1, piece).mean(axis=1)
    low = float(np.sort(pieces)[: len(pieces) // 4].mean()) / _QUIETEST
    high = float(pieces.max())
    if not (low > 0 and high > _BURSTS * median(pieces) and high > _BURSTS * low):
        return None
    return low * len(bins) / (count * look.sample_rate)


def _find_noise(look: EmissionLook) -> EmissionIdentity | None:
    """Say that there is noise alone, where a signal as strong as the detector's would show and none does.

    Where such a signal would not show in so short a look, nothing can be said of it: it is unknown.
    """
    if look.noise_density is None or not look.noise_density > 0:
        return None
    inside = _densities(look.spectrum, look.sample_rate, look.inside())
    if not len(inside):
        return None
    excess = float(inside.mean()) / look.noise_density - 1
    least = _DEVIATIONS * (1 / math.sqrt(len(inside)) + _FLOOR_UNCERTAINTY)
    if excess > least or float(inside.max()) / look.noise_density > _LINE_TIMES:
        return None
    expected = 10 ** (look.snr_db / 10) if look.snr_db is not None else 2 * least
    if expected < 2 * least:
        return EmissionIdentity(reason=WEAK)
    around = float(_densities(look.spectrum, look.sample_rate, None).mean()) / look.noise_density
    if around > _BESIDE:
        return EmissionIdentity(reason=ASIDE)
    return EmissionIdentity(
        _NOISE, _NOISE, "not above the noise floor", _MOST_SURE * (1 - max(0.0, excess) / expected)
    )


def _find_carrier(look: EmissionLook) -> EmissionIdentity | None:
    """Say that it is a carrier, where nearly all of its power is in one line."""
    line = look.line
    if (
        line.power <= 0
        or "carrier" in not_learnt(look)
        or (look.edges is not None and look.bandwidth > _NARROW_BOX)
    ):
        return None
    beside = max(line.beside, 0.0)
    if line.beside - line.doubt > (1 / _LINE_SHARE - 1) * (line.power + beside) or line.doubt > line.power:
        return None
    if mirrored(Case(look)) > 0:
        return None  # sidebands beside the box
    if look.steady.moves:
        return None  # slow keys
    share = line.power / (line.power + beside + line.doubt)
    return EmissionIdentity("carrier", "carrier", "named", _MOST_SURE * share)


def _within(edges: tuple[float, float], sample_rate: float) -> tuple[float, float]:
    """Return edges within the band of the samples; as they are where they lie beside it."""
    lower, upper = max(edges[0], -sample_rate / 2), min(edges[1], sample_rate / 2)
    return (lower, upper) if lower < upper else edges


def _twice(spectrum: NDArray[np.complex64]) -> tuple[NDArray[np.complex64], NDArray[np.complex64]]:
    """Return samples at twice the rate, and their transform, by the transform of samples."""
    count, half = len(spectrum), (len(spectrum) + 1) // 2
    wide = np.zeros(2 * count, np.complex64)
    wide[:half], wide[count + half :] = 2 * spectrum[:half], 2 * spectrum[half:]
    return np.asarray(fft.ifft(wide), dtype=np.complex64), wide


def _decide(look: EmissionLook, evidence: FamilyEvidence) -> EmissionIdentity:
    """Return the likeliest family, if it is likely enough, with its label and what was measured of it."""
    received = evidence.received
    family = evidence.best
    probability = evidence.probabilities[family]
    identity = EmissionIdentity(
        families=evidence.probabilities,
        measures=look.measures if received is None or received.measures is None else received.measures,
        probabilities={} if received is None else received.probabilities,
    )
    if family == UNKNOWN or probability < _NAMED:
        return replace(identity, reason=_doubt(evidence))
    label, details = describe_family(family, look, received)
    rate = details.get("symbol_rate")
    if received is not None and label == received.label:
        identity = replace(identity, alike=received.alike, label_most=received.most)
    elif received is not None and family == "linear" and label == received.by_phases:
        identity = replace(identity, label_most=BY_PHASES)
    return replace(
        identity,
        label=label,
        family=family,
        reason="named",
        confidence=min(probability, identity.label_most),
        symbols=None if received is None or family != "linear" else received.symbols,
        symbol_rate=rate.value if rate is not None and rate.confidence > _NAMED else None,
        details=details,
        most=evidence.most,
    )


def _doubt(evidence: FamilyEvidence) -> str:
    """Return why no family is named, in a few words."""
    if evidence.foreign:
        return f"by its measures {evidence.foreign}, which the model was trained without"
    proposed = evidence.proposed
    likely = {name: value for name, value in evidence.probabilities.items() if name != UNKNOWN}
    perhaps = sorted((name for name in likely if likely[name] > _PERHAPS), key=lambda name: -likely[name])
    if evidence.measured.get("fm" if proposed.startswith("fm_") else proposed, 0.0) < _CONTRADICTED:
        return f"looks like {proposed}, but its measures speak against that"
    if evidence.received is not None and evidence.received.clear and not perhaps:
        return evidence.received.reason
    return f"perhaps {' or '.join(perhaps)}" if perhaps else "of no known family"
