# SPDX-License-Identifier: GPL-3.0-or-later
"""An emission received as a linear modulation: its symbol rate, what the classifier and its checker say, its turns."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from amrq import transforms as fft
from amrq.decision import Decision, DecisionOptions, answer_text
from amrq.errors import AmrqError
from amrq.identify.identity import NO_RATE
from amrq.identify.linear import (
    Identification,
    IdentifyOptions,
    decide_turned_back,
    has_data,
    identify_linear,
    with_data,
)
from amrq.identify.look import EmissionLook
from amrq.identify.weights import ramp
from amrq.measure import EmissionMeasures, FrontEndOptions, PhaseKeying, SymbolRate, check_rates
from amrq.model import NO_SIGNAL

__all__ = ["BY_PHASES", "ReceivedLinear", "receive_linear", "staggered"]

_OPPOSITE, _STAYS_HALF, _FEWEST_TURNS = (0.05, 0.1), (0.1, 0.2), 64
"""Share of turns to the opposite point, and by how much that of none is off a half, where arms change by turns (random
symbols have a quarter of either); and turns of which fewer tell nothing."""
_PAUSES = ("noise", "silent")
"""Reasons of decisions on chunks without a signal."""
_FIRST_SYMBOLS = 1040
"""Received at first: those of one decision, 32 chunks, and a little more."""
_LIKELY, _CLEAR_CLOCK, _SAME_RATE = 0.6, 14.0, 3e-3
"""Confidence of a symbol rate, and how unlikely noise makes a line of the envelope (a logarithm), from which on it is
tried; rates nearer to each other are one."""
_PATTERN = "as of carriers"
"""What the reason why a symbol rate is not clear ends with, where a pattern repeats itself."""
_TRIED_DB = 6.0
"""SNR from which on such rates are tried, dB."""
_BY_NAME = 0.95
"""Confidence of a symbol rate with which the symbols got a name."""
_MOST_SYMBOLS = 1024
"""Kept of a look, for pictures."""
_HALF_TURNS = 0.4
"""Mean square of turns, from which on, with a minus, they may be those of pi/2-BPSK: -1 without noise, and -.8 at an
Es/N0 of 10 dB; random symbols of others have less than a tenth."""

_OFF_A_RING = 0.04
"""Mean squared power over squared mean, above that of a ring in noise, from which on points lie on no ring: 16APSK has
0.1 more at least, but where a pattern has few of its points."""
_CLEAR_RING = 1.1
"""The same, up to which it is one and tells the noise where nothing else does: 8APSK has more without any noise."""
_BLOCKS = (64, 256)
"""Symbols in which phases are looked at, besides all of them together."""
_ABOVE_CHANCE, _LOSS_DB, _LESS_PHASES = 9.0, 2.5, 0.6
"""Logarithm of how unlikely noise has a line so high anywhere; how much worse than the noise beside the signal a
receiver's symbols may be, dB; share of what the line has of its due, from which on a lower power has it as well."""
BY_PHASES = 0.85
"""How sure a name is at most that rests on the number of phases alone: what is sent may have no more of them in a look.
"""
_FEWEST_BLOCKS, _SEEN = 2, 0.45
"""Blocks, at least, and a power's line as noise leaves it, at least, by which symbols are named in blocks."""
_ITS_DUE, _NOT_ITS_DUE, _SOME_BLOCKS, _FEW_BLOCKS = 0.75, 0.5, 0.35, 0.05
"""Of that line: a block has more, or has not; of the blocks: that have it at least, and that have a higher power's line
alone, at most. Of 1,645 simulated looks at PSK it names 73 rightly that nothing else names, and none wrongly."""
_PART = 9
"""Chunks without a rival that give a name to others that are none of the classes."""
_VARIES = 0.2
"""Variation of the envelope, from which on it is none of frequency keying, whose phases are often as few."""
_NO_TURN = 0.02
"""Cycles a symbol that the line of what turns may be off."""

_Naming = Callable[[NDArray[np.complex64], float], str]
"""Names PSK by the directions of its symbols, complex64 [n], and the noise in them."""


@dataclass(frozen=True)
class ReceivedLinear:
    """What the receiver of linear modulations and its classifier say of an emission.

    Attributes:
        label: the modulation that was named, and that its checker found to fit; empty where none was.
        reason: `named`, or why there is no name.
        confidence: of the name.
        best: the likeliest answer; empty where there was no decision.
        symbol_rate: symbols a second; None where it is not clear.
        probabilities: of each of the model's answers.
        symbols: received symbols, complex64 [n], n at most 1,024; None where there are none.
        measures: of the emission, with the symbol rate that was found.
        turn: mean of the fourth power of the turn from each symbol to the next: 1 for QPSK and BPSK, -1 for pi/4-DQPSK,
            near 0 for 8PSK and noise; the square's: 1 for BPSK, -1 for pi/2-BPSK.
        alike: modulations that are no classes of the model and that its symbols do not tell from the one named.
        most: confidence that these leave the name, 0 to 1.
        tried: its symbol rate was not clear, and is one with which it got a name.
        turned: the modulation that is named where symbols are turned back from one to the next; empty otherwise.
            What is keyed in frequency turns as well: it is no evidence of a linear one.
        whole: all symbols received, complex64 [n]; None where there are none.
        es_n0_db: by the noise beside the signal, dB; NaN where it is not known.
    """

    label: str = ""
    reason: str = NO_RATE
    confidence: float = 0.0
    best: str = ""
    symbol_rate: float | None = None
    probabilities: Mapping[str, float] = field(default_factory=dict)
    symbols: NDArray[np.complex64] | None = field(default=None, compare=False)
    measures: EmissionMeasures | None = None
    turn: tuple[float, float] = (0.0, 0.0)
    alike: tuple[str, ...] = ()
    most: float = 1.0
    tried: bool = False
    turned: str = ""
    whole: NDArray[np.complex64] | None = field(default=None, compare=False, repr=False)
    es_n0_db: float = math.nan

    @cached_property
    def by_phases(self) -> str:
        """PSK by the lines of the symbols' powers alone; empty where they tell none.

        The model and its checker expect every point as often as any other. Preambles and words that are sent again do
        not keep to that, nor what an equaliser makes of them; that symbols lie on a ring, and on how many places of it,
        shows all the same.
        """
        return self.by_lines or self._of_symbols(_named_in_blocks)

    @cached_property
    def by_lines(self) -> str:
        """The same by the lines of all symbols: those of a part of them alone may be chips, or a leader's."""
        return self._of_symbols(_named_by_lines)

    def _of_symbols(self, named: _Naming) -> str:
        return "" if self.whole is None else _phases_named(self.whole, self.es_n0_db, named)

    @property
    def clear(self) -> bool:
        """Whether there was a symbol rate, and a decision on the symbols."""
        return bool(self.best)


def receive_linear(look: EmissionLook, equaliser: bool = True) -> ReceivedLinear:
    """Receive an emission as a linear modulation, first with the symbol rate that it had before.

    Args:
        look: at the emission.
        equaliser: a thorough look equalises it where that makes its symbols likelier; otherwise only what gets a name.

    Raises:
        AmrqError: the model cannot be used.
    """
    if look.symbol_rate is not None and _is_possible(look, look.symbol_rate):
        found = _received(look, look.symbol_rate, look.thorough)
        if found.label:
            return found
    if equaliser and look.thorough:
        found = _received(look, equaliser=True)
        return found if found.symbol_rate is not None else _tried(look, found)
    found = _received(look)
    if found.symbol_rate is None:
        return _tried(look, found)
    if not (found.label and look.thorough):
        return found
    # A name must hold when echoes are taken off: QPSK with an echo passes for 16QAM.
    equalised = _received(look, found.symbol_rate, True)
    return replace(equalised, measures=found.measures)


def _tried(look: EmissionLook, found: ReceivedLinear) -> ReceivedLinear:
    """Receive it with rates that are likely and not clear; what gets a name so has that rate.

    A stream of which nothing is known may be anything, so that its rate must be clear. Where an emission's box is
    known, few rates are possible, and symbols at another rate fit no modulation.
    """
    if look.measures.snr_db < _TRIED_DB:
        return found  # a code, which shows only above, has chips that are symbols with a rate as well
    measured = look.measures.symbol_rate if found.measures is None else found.measures.symbol_rate
    rates = [measured.rate] if measured.confidence > _LIKELY and not measured.reason else []
    # Of a pattern that is sent again and again the spectrum is lines, and some points of a constellation may be all.
    keyed = PhaseKeying() if measured.reason.endswith(_PATTERN) else look.phase_keying
    if keyed.clock is not None and keyed.clear > _CLEAR_CLOCK:
        rates += [
            keyed.clock for rate in rates or [0.0] if abs(keyed.clock - rate) > _SAME_RATE * keyed.clock
        ]
    for rate in rates:
        if not _is_possible(look, rate):
            continue
        tried = _received(look, rate, look.thorough)
        measures = replace(look.measures, symbol_rate=SymbolRate(rate, _BY_NAME))
        if tried.label:
            return replace(tried, measures=measures, tried=True)
        if tried.turned or tried.by_phases:
            # No evidence of its family: only if it is a linear one by others, this is known of it as well.
            known = replace(found, symbol_rate=rate, measures=measures, symbols=tried.symbols)
            return replace(known, turned=tried.turned, whole=tried.whole, es_n0_db=tried.es_n0_db)
    return found


def _named_by_phases(look: EmissionLook, found: ReceivedLinear) -> ReceivedLinear:
    """Return what was received; where it has no name, with that by its phases. Frequency keying gets none."""
    if found.label or look.envelope < _VARIES or not found.by_lines:
        return found
    return replace(found, label=found.by_lines, reason="named", confidence=BY_PHASES, most=BY_PHASES)


def _is_possible(look: EmissionLook, symbol_rate: float) -> bool:
    """Return whether a look has samples enough a symbol, and not too many, to receive a symbol rate."""
    try:
        check_rates(look.sample_rate, symbol_rate)
    except AmrqError:
        return False
    return True


def _received(
    look: EmissionLook, symbol_rate: float | None = None, equaliser: bool = False
) -> ReceivedLinear:
    """Receive it with a symbol rate, or with the one that is found, and let the model decide."""
    options = IdentifyOptions(
        look.models.linear,
        FrontEndOptions(equaliser=equaliser),
        DecisionOptions(),
        search=symbol_rate is None,
        first=_FIRST_SYMBOLS,
        alone=True,
    )
    found = identify_linear(look.iq, look.sample_rate, symbol_rate, look.middle, options)
    rate = found.found.symbol_rate
    measures = look.measures if rate is None else replace(look.measures, symbol_rate=rate)
    if not found.symbol_rate:
        return ReceivedLinear(measures=measures)
    known = ReceivedLinear(measures=measures, symbol_rate=found.symbol_rate)
    if not found.decisions:
        return replace(known, reason=found.reason)
    return _named_by_phases(look, _decided(known, found, options))


def _decided(known: ReceivedLinear, found: Identification, options: IdentifyOptions) -> ReceivedLinear:
    """Return what the decisions say, with the symbols."""
    reason, label, best, confidence = _vote(found.decisions)
    symbols = found.symbols[-_MOST_SYMBOLS:]
    levels = np.concatenate([batch.es_n0_db for batch in found.batches if batch.es_n0_db is not None])
    levels = levels[np.isfinite(levels)]
    known = replace(
        known,
        best=best,
        probabilities=_probabilities(found.decisions),
        symbols=symbols,
        turn=_turns(symbols),
        whole=found.symbols,
        es_n0_db=float(levels.mean()) if len(levels) else math.nan,
    )
    turned = _turned(known, found, options)
    if reason == "named":
        named = [one for one in found.decisions if (one.reason, one.best) == ("named", best)]
        surest = max(named, key=lambda one: one.confidence if one.alike else 1.0)
        most = surest.confidence if surest.alike else 1.0
        known = replace(known, alike=surest.alike, most=most)
        return replace(known, label=label, reason="named", confidence=confidence, turned=turned)
    refuted = next((decision.refuted for decision in found.decisions if decision.refuted), "")
    known = replace(known, reason=answer_text(reason, best, refuted=refuted), turned=turned)
    part = _named_in_part(found.decisions)
    return replace(known, label=part, reason="named", confidence=BY_PHASES, most=BY_PHASES) if part else known


def _named_in_part(decisions: tuple[Decision, ...]) -> str:
    """Return the name of enough chunks where the rest are no class at all: a leader, or a word that comes again."""
    named = {one.best for one in decisions if one.reason == "named"}
    rest = {one.refuted for one in decisions if one.reason == "foreign"}
    chunks = sum(one.chunks for one in decisions if one.reason == "named" and not one.alike)
    known = {one.reason for one in decisions} == {"named", "foreign"}
    return named.pop() if known and len(named) == 1 and rest <= {"", *named} and chunks >= _PART else ""


def _turned(known: ReceivedLinear, found: Identification, options: IdentifyOptions) -> str:
    """Return the name of symbols that turn by a quarter from one to the next, where turned back they get one."""
    if known.turn[1] > -_HALF_TURNS or not has_data(found.symbols):
        return ""
    reason, label, _, _ = _vote(decide_turned_back(found, math.pi / 2, options))
    return "pi/2-BPSK" if (reason, label) == ("named", "BPSK") else ""


def _phases_named(symbols: NDArray[np.complex64], es_n0_db: float, named: _Naming) -> str:
    """Return the name of PSK whose symbols these are; empty where they lie on no ring, or no number of phases is clear.

    A power of M of points of M phases is one point. With the noise that was measured, its symbols' directions have a
    line of a known height, at any frequency, since a carrier may be off and constellations may turn. The least power
    with such a line is the number of phases, where lower powers have hardly any: they have some of it where patterns
    are sent for a part of the time.

    >>> rng = np.random.default_rng(1)
    >>> noise = 0.1 * rng.standard_normal((2, 800)).view(np.complex128).reshape(2, 400)
    >>> eight = np.exp(2j * np.pi * rng.integers(8, size=400) / 8)
    >>> both = [one.astype(np.complex64) for one in (eight + noise[0], 1 + eight + noise[1])]
    >>> [_phases_named(one, 17.0, _named_by_lines) for one in both]
    ['8PSK', '']
    """
    symbols = with_data(symbols[np.abs(symbols) > 0]).ravel()  # without NaN, too
    if len(symbols) < _FEWEST_TURNS:
        return ""
    power = np.square(symbols.real, dtype=np.float64) + np.square(symbols.imag, dtype=np.float64)
    spread = float(np.square(power).mean()) / float(power.mean()) ** 2
    if not math.isfinite(es_n0_db) and spread > _CLEAR_RING:
        return ""
    noise = 10 ** (-es_n0_db / 10) if math.isfinite(es_n0_db) else 1 / math.sqrt(2 - spread) - 1
    if spread > 2 - 1 / (1 + noise) ** 2 + _OFF_A_RING:
        return ""
    directions = symbols / np.sqrt(power).astype(np.float32)
    return named(directions, noise)


def _named_by_lines(directions: NDArray[np.complex64], noise: float) -> str:
    """Return the name of PSK by the lines of all of its symbols; empty where they tell none."""
    lower = 0.0
    for phases in (2, 4, 8, 16):
        due = math.exp(-(phases**2) * noise / 4)
        directions = np.square(directions)
        line, frequency = _highest_line(directions)
        share = min(line / due, 1.0)
        if line > due ** (10 ** (_LOSS_DB / 10)):
            return _name_of(phases, frequency) if lower < _LESS_PHASES * share else ""
        lower = max(lower, share)
    return ""


def _named_in_blocks(directions: NDArray[np.complex64], noise: float) -> str:
    """Return the name of PSK by the lines of some blocks of its symbols, where a receiver lost the carrier in others.

    Points that stay for some symbols, and preambles, mislead it. A block is of so many phases where that power has its
    due, and of more where a higher power alone has it: preambles have fewer phases than the data.
    """
    blocks = directions[: len(directions) // _BLOCKS[0] * _BLOCKS[0]].reshape(-1, _BLOCKS[0])
    if len(blocks) < _FEWEST_BLOCKS:
        return ""
    found: list[tuple[int, NDArray[np.float64], float]] = []
    for phases in (2, 4, 8, 16):
        due = math.exp(-(phases**2) * noise / 4)
        blocks = np.square(blocks)
        spectra = np.abs(fft.fft(blocks, 2 * _BLOCKS[0]))
        at = spectra.argmax(axis=1) / spectra.shape[1]
        shares = spectra.max(axis=1).astype(np.float64) / (_BLOCKS[0] * due)
        if due > _SEEN:
            found.append((phases, shares, float(np.median(np.abs(at - np.round(at))))))
    for phases, shares, frequency in found:
        if np.mean(shares > _ITS_DUE) >= _SOME_BLOCKS:
            more = [
                np.mean((others > _ITS_DUE) & (shares < _NOT_ITS_DUE)) for n, others, _ in found if n > phases
            ]
            return _name_of(phases, frequency) if max(more, default=0.0) <= _FEW_BLOCKS else ""
    return ""


def _highest_line(directions: NDArray[np.complex64]) -> tuple[float, float]:
    """Return height, 0 to 1, and frequency, cycles a symbol, of a line of unit phasors; 0 where it may be chance's.

    It is looked for in blocks, too, in which a phase that wanders or jumps is about the same.
    """
    best = 0.0, 0.0
    for length in (*(block for block in _BLOCKS if 2 * block <= len(directions)), len(directions)):
        blocks = directions[: len(directions) // length * length].reshape(-1, length)
        spectra = fft.fft(blocks, fft.next_fast_len(2 * length))
        powers = np.square(np.abs(spectra)).sum(axis=0) / length
        at = int(powers.argmax())
        over = float(powers[at]) / len(blocks)  # of chance's mean
        if over <= 1 or len(blocks) * (over - 1 - math.log(over)) < math.log(2 * length) + _ABOVE_CHANCE:
            continue  # Chernoff's bound of sums of exponential variables, one for each frequency
        line = math.sqrt((over - 1) / (length - 1))
        frequency = at / spectra.shape[1]
        best = max(best, (line, abs(frequency - round(frequency))))
    return best


def _name_of(phases: int, frequency: float) -> str:
    """Return the name of PSK by its number of phases, and the frequency of its power's line, cycles a symbol."""
    if phases == 2 and frequency > 0.5 - _NO_TURN:
        return "pi/2-BPSK"
    if phases == 4 and frequency > 0.5 - _NO_TURN:
        return ""  # turns of an eighth are another family
    return {2: "BPSK", 4: "QPSK"}.get(phases, f"{phases}PSK")


def _turns(symbols: NDArray[np.complex64]) -> tuple[float, float]:
    """Return the mean fourth power and the mean square of the turn from symbol to symbol, both of unit size.

    >>> eighths = np.cumsum(np.array([1, 3, 3, -1, 1, -3] * 20))
    >>> [round(one) + 0 for one in _turns(np.exp(2j * np.pi * eighths / 8).astype(np.complex64))]
    [-1, 0]
    """
    turns = symbols[1:] * np.conj(symbols[:-1])
    size = np.abs(turns)
    turns = np.asarray(turns[size > 0] / size[size > 0], np.complex64)
    if not len(turns):
        return 0.0, 0.0
    square = np.square(turns)
    return float(np.square(square).real.mean()), float(square.real.mean())


def _vote(decisions: tuple[Decision, ...]) -> tuple[str, str, str, float]:
    """Return reason, label, best answer and confidence of what most chunks say.

    A class is named where no other answer has as many chunks; its confidence is that of its decisions times their share
    of the chunks. Where there is a signal at times, the times without one do not count: they are pauses.
    """
    decisions = tuple(one for one in decisions if one.reason not in _PAUSES) or decisions
    votes: dict[tuple[str, str], int] = {}
    for one in decisions:
        votes[one.reason, one.best] = votes.get((one.reason, one.best), 0) + one.chunks
    reason, best = max(votes, key=lambda key: votes[key])
    chosen = [one for one in decisions if (one.reason, one.best) == (reason, best)]
    total = sum(one.chunks for one in decisions)
    share = votes[reason, best] / max(1, total)
    mean = sum(one.confidence * one.chunks for one in chosen) / max(1, votes[reason, best])
    return reason, chosen[-1].label, best, mean * share


def _probabilities(decisions: tuple[Decision, ...]) -> dict[str, float]:
    """Return the mean probability of each answer over the chunks."""
    total = sum(one.chunks for one in decisions if one.log_probabilities)
    sums: dict[str, float] = {}
    for one in decisions:
        for name, value in one.log_probabilities.items():
            sums[name] = sums.get(name, 0.0) + math.exp(value) * one.chunks / max(1, total)
    names = {NO_SIGNAL: "noise"}
    return {names.get(name, name): value for name, value in sums.items()}


def staggered(received: ReceivedLinear) -> float:
    """Return how clearly what was received as QPSK is OQPSK at half the symbol rate, 0 to 1.

    With pulses no longer than a symbol either arm stays while the other one changes: twice in a symbol there is a point
    of QPSK, and none is opposite to the one before.
    """
    if received.label != "QPSK" or received.symbols is None or len(received.symbols) < _FEWEST_TURNS:
        return 0.0
    turns = received.symbols[1:] * received.symbols[:-1].conj()
    along, across = turns.real, turns.imag
    # From zero on by quarters: a carrier that is off by quarters of the symbol rate adds as many to each.
    shares = [float(part.mean()) for part in (along > abs(across), across > abs(along), along < -abs(across))]
    shares.append(1 - sum(shares))
    stays = max(range(4), key=lambda quarters: shares[quarters])
    return (1 - ramp(shares[stays - 2], *_OPPOSITE)) * (1 - ramp(abs(shares[stays] - 0.5), *_STAYS_HALF))
