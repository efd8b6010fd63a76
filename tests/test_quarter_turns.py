# SPDX-License-Identifier: GPL-3.0-or-later
"""QPSK and pi/4-DQPSK have the same lines an eighth of a symbol rate apart: where the signal lies tells which it is."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from seeds import rng

from amrq.classes import linear_class
from amrq.errors import AmrqError
from amrq.identify import Identification, IdentifyModels, identify_emission
from amrq.identify import linear as linear_of
from amrq.identify import received as received_module
from amrq.measure import QuarterTurns, SymbolRate, measure_quarter_turns
from amrq.signals import received_signal

_Iq = NDArray[np.complex64]
_RATE, _SYMBOL_RATE, _COUNT = 40e3, 10e3, 1200


def sent(name: str, eighths: bool, generator: np.random.Generator) -> NDArray[np.complex128]:
    symbols = generator.choice(linear_class(name).points, _COUNT)
    return symbols * np.exp(0.25j * np.pi * np.arange(_COUNT)) if eighths else symbols


def received(name: str, eighths: bool, offset: float, rolloff: float, number: int) -> _Iq:
    """Return it at 12 dB, moved by `offset` symbol rates."""
    generator = rng(f"quarter turns {name} {eighths} {offset} {rolloff} {number}")
    iq = received_signal(sent(name, eighths, generator), _RATE / _SYMBOL_RATE, rolloff, 12.0, generator)
    turn = np.exp(2j * np.pi * offset * _SYMBOL_RATE / _RATE * np.arange(len(iq)))
    return (iq * turn).astype(np.complex64)


@pytest.mark.parametrize("rolloff", [0.2, 0.35, 0.6, 1.0])
@pytest.mark.parametrize("offset", [0.0, 0.125, -0.19])
def test_an_offset_of_an_eighth_makes_no_eighths(offset: float, rolloff: float) -> None:
    """QPSK an eighth of the symbol rate off has the lines of pi/4-DQPSK; its spectrum goes with it."""
    for number in range(3):
        turned = measure_quarter_turns(received("QPSK", True, offset, rolloff, number), _RATE, _SYMBOL_RATE)
        straight = measure_quarter_turns(
            received("QPSK", False, offset, rolloff, number), _RATE, _SYMBOL_RATE
        )
        assert turned.odds > 1 > -1 > straight.odds, (turned, straight)
        assert turned.by_edges > 0.0625 > straight.by_edges


def test_a_known_spectrum_changes_nothing() -> None:
    iq = received("QPSK", True, 0.1, 0.35, 0)
    once = measure_quarter_turns(iq, _RATE, _SYMBOL_RATE, 900.0)
    again = measure_quarter_turns(iq, _RATE, _SYMBOL_RATE, 900.0, np.asarray(np.fft.fft(iq), np.complex64))
    assert again.odds == pytest.approx(once.odds, abs=1e-2)


@pytest.mark.filterwarnings("error")
def test_what_has_no_lines_tells_nothing() -> None:
    generator = rng("no fourth power")
    noise = (generator.standard_normal((6000, 2)) @ [1, 1j]).astype(np.complex64)
    few = received("QPSK", True, 0.0, 0.35, 0)[:100]
    for iq, rate in ((noise, 1e4), (few, 1e4), (np.zeros(5000, np.complex64), 1e4), (noise, 3e4)):
        assert measure_quarter_turns(iq, _RATE, rate).odds == 0
    eight = received("8PSK", False, 0.0, 0.35, 0)
    assert measure_quarter_turns(eight, _RATE, _SYMBOL_RATE).odds <= 0
    assert measure_quarter_turns(np.zeros(0, np.complex64), _RATE, _SYMBOL_RATE) == QuarterTurns()
    one_line = np.ones(4096, np.complex64)
    assert abs(measure_quarter_turns(one_line, _RATE, _SYMBOL_RATE).odds) <= 4


def test_rates_are_above_zero() -> None:
    with pytest.raises(AmrqError, match="above 0"):
        measure_quarter_turns(np.ones(64, np.complex64), 0.0, 1.0)


@pytest.mark.parametrize(("confidence", "clear"), [(0.7, True), (0.3, False)])
def test_a_likely_symbol_rate_is_tried(
    confidence: float, clear: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rate that is not clear counts where the symbols that it gives have a name."""
    plain, asked = linear_of.identify_linear, []

    def unclear(iq: _Iq, rate: float, symbol_rate: float | None, *rest: Any) -> Identification:
        asked.append(symbol_rate)
        if symbol_rate is not None:
            return plain(iq, rate, symbol_rate, *rest)
        found = plain(iq, rate, symbol_rate, *rest).found
        return Identification(replace(found, symbol_rate=SymbolRate(_SYMBOL_RATE, confidence)))

    monkeypatch.setattr(received_module, "identify_linear", unclear)
    monkeypatch.setattr(received_module, "_CLEAR_CLOCK", float("inf"))
    iq = received("QPSK", False, 0.0, 0.35, 0)
    found = identify_emission(iq, _RATE, None, (-7e3, 7e3), model=IdentifyModels("default", None))
    assert (asked == [None, _SYMBOL_RATE]) == clear
    assert (found.label == "QPSK") == clear
    if clear:
        assert found.symbol_rate == pytest.approx(_SYMBOL_RATE)
