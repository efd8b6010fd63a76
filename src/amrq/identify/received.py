# SPDX-License-Identifier: GPL-3.0-or-later
"""An emission received as a linear modulation: its symbol rate, what the classifier and its checker say, its turns."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from amrq.decision import Decision, DecisionOptions, answer_text
from amrq.errors import AmrqError
from amrq.identify.identity import NO_RATE
from amrq.identify.linear import Identification, IdentifyOptions, identify_linear
from amrq.identify.look import EmissionLook
from amrq.identify.weights import ramp
from amrq.measure import EmissionMeasures, FrontEndOptions, PhaseKeying, SymbolRate, check_rates
from amrq.model import NO_SIGNAL

__all__ = ["ReceivedLinear", "receive_linear", "staggered"]

_OPPOSITE, _STAYS_HALF, _FEWEST_TURNS = (0.05, 0.1), (0.1, 0.2), 64
"""Share of turns to the opposite point, and by how much that of none is off a half, where arms change by turns (random
symbols have a quarter of either); and turns of which fewer tell nothing."""
_PAUSES = ("noise", "silent")
"""Reasons of decisions on chunks without a signal."""
_FIRST_SYMBOLS = 1040
"""Received at first: those of one decision, 32 chunks, and a little more."""
_LIKELY, _CLEAR_CLOCK, _SAME_RATE = 0.6, 25.0, 3e-3
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
        if tried.label:
            measures = replace(look.measures, symbol_rate=SymbolRate(rate, _BY_NAME))
            return replace(tried, measures=measures, tried=True)
    return found


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
    return _decided(known, found)


def _decided(known: ReceivedLinear, found: Identification) -> ReceivedLinear:
    """Return what the decisions say, with the symbols."""
    reason, label, best, confidence = _vote(found.decisions)
    symbols = found.symbols[-_MOST_SYMBOLS:]
    known = replace(
        known,
        best=best,
        probabilities=_probabilities(found.decisions),
        symbols=symbols,
        turn=_turns(symbols),
    )
    if reason == "named":
        named = [one for one in found.decisions if (one.reason, one.best) == ("named", best)]
        surest = max(named, key=lambda one: one.confidence if one.alike else 1.0)
        most = surest.confidence if surest.alike else 1.0
        known = replace(known, alike=surest.alike, most=most)
        return replace(known, label=label, reason="named", confidence=confidence)
    refuted = next((decision.refuted for decision in found.decisions if decision.refuted), "")
    return replace(known, reason=answer_text(reason, best, refuted=refuted))


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
