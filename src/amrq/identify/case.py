# SPDX-License-Identifier: GPL-3.0-or-later
"""A look with what it was received as, which families are told by."""

import math
from functools import cached_property

from amrq.identify.look import EmissionLook
from amrq.identify.received import ReceivedLinear, receive_linear
from amrq.identify.weights import ramp

__all__ = ["Case"]

_PERHAPS_A_TURN, _A_TURN, _HALF_TURNS = 0.12, 0.2, 0.6
"""Mean of the fourth power of turns from symbol to symbol, and of the square: of quarters perhaps, and at
least, and at most. Preambles of 8PSK that go to and fro have .15."""
_SHOWS, _SELDOM = 0.4, 0.5
"""Mean of the fourth power of turns by eighths, where noise does not hide it; and of that, what preambles have at most.
"""
_CLOCK_LINE, _TONES_ALONE = (100.0, 200.0), (1e5, 1e6)
"""Of the clock's line in a flat envelope, minus the logarithm of how likely noise makes it: of symbols; and of a few
tones without anything beside them, as of music, whose beats have no floor."""
_SYMBOLS_VARY, _OTHER_LINES = (0.25, 0.35), (0.05, 0.2)
"""Variation of an envelope of symbols, and probability of pi/4-DQPSK or OQPSK that such symbols have."""
_SURE_CODE = 0.95
"""Probability of a code whose turns are clear, where it is phase keying."""
_NOT_RECEIVED = ReceivedLinear()
_RECEIVED_AS_PHASES = ("QPSK", "8PSK", "16PSK")


class Case:
    """A look, with what it was received as, for the families' numbers.

    Args:
        look: the look.
        equaliser: a linear signal is equalised where it needs that and the look is thorough: not where a model takes it
            for something else, since that costs most of all.

    Attributes:
        phases: it is phase keying, whichever family of it: symbols that come again may be chips.
    """

    def __init__(self, look: EmissionLook, equaliser: bool = True) -> None:
        self.look = look
        self._equaliser = equaliser
        self._eighths: dict[float, float] = {}
        self.phases = False

    @cached_property
    def received(self) -> ReceivedLinear:
        """What it is received as."""
        return receive_linear(self.look, self._equaliser)

    def received_already(self) -> ReceivedLinear:
        """Return what it was received as; where it was not received, that nothing was clear."""
        found: ReceivedLinear = self.__dict__.get("received", _NOT_RECEIVED)
        return found

    def eighths(self) -> float:
        """Return the logarithm of the odds of pi/4-DQPSK against QPSK, by lines where a symbol rate is known.

        What is as strong in its square has no turns of a quarter, and what has none of an eighth neither has a line.
        """
        received, rate = self.received_already(), None
        if received.clear:
            rate = received.symbol_rate if self._turns() and not self._turns_seldom() else None
        elif self.has("phase_keying") and self.look.phase_keying.kind == "pi/4-dqpsk":
            rate = self.look.phase_keying.symbol_rate
        if not rate:
            return 0.0
        if rate not in self._eighths:
            self._eighths[rate] = self.look.quarter_turns(rate).odds
        return self._eighths[rate]

    def may_be_eighths(self) -> bool:
        """Return whether what it was received as has turns of a quarter or an eighth: pi/4-DQPSK may be received so."""
        received = self.received_already()
        if received.clear and not received.label:
            return received.turn[0] < -_PERHAPS_A_TURN  # eighths whose symbols noise smears
        return received.label in _RECEIVED_AS_PHASES and self._turns(_PERHAPS_A_TURN)

    def _turns(self, least: float = _A_TURN) -> bool:
        """Return whether symbols have turns of a quarter or an eighth, and not of a half alone."""
        received = self.received_already()
        fourth, square = received.turn
        return abs(square) < _HALF_TURNS and (received.label == "QPSK" or abs(fourth) > least)

    def _turns_seldom(self) -> bool:
        """Return whether 8PSK turns by eighths from one symbol to the next much less often than pi/4-DQPSK does."""
        received = self.received_already()
        if received.label != "8PSK" or not math.isfinite(received.es_n0_db):
            return False
        # Noise of both symbols is in a turn, and four times as much in its fourth power.
        due = math.exp(-8 * 10 ** (-received.es_n0_db / 10))
        return due > _SHOWS and -received.turn[0] < _SELDOM * due

    def code(self) -> float:
        """Return how likely a code repeats itself, 0 to 1: of what is phase keying, turns with its data are enough."""
        found = self.look.spreading
        return max(found.confidence, _SURE_CODE * found.turned if self.phases else 0.0)

    def clock_of_symbols(self) -> float:
        """Return how clearly an envelope that varies has a clock of symbols that were not received, 0 to 1.

        Where a pattern comes again and again its lines hide the symbol rate, and some of the points say nothing of the
        constellation; but it is one whose symbols neither turn by eighths nor are staggered, which have their lines.
        """
        if self.received_already().clear or not self.has("phase_keying"):
            return 0.0
        found = self.look.phase_keying
        others = 1 - ramp(max(found.pi4dqpsk, found.oqpsk), *_OTHER_LINES)
        clear = ramp(found.clear, *_CLOCK_LINE) * (1 - ramp(found.clear, *_TONES_ALONE))
        return others * clear * ramp(self.look.envelope, *_SYMBOLS_VARY)

    def product(self) -> float:
        """Return the look's bandwidths times seconds: so much independent evidence there is."""
        return self.look.bandwidth * len(self.look.iq) / self.look.sample_rate

    def has(self, *measures: str) -> bool:
        """Return whether measures of the look were taken."""
        return all(name in self.look.__dict__ for name in measures)
