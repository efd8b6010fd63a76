# SPDX-License-Identifier: GPL-3.0-or-later
"""Frequencies and rates as people write them."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amrq.cli.app import quantity
from amrq.identify import FoundSignal, unclear_text
from amrq.measure import SymbolRate
from amrq.text import engineering

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize(
    "value, unit, text",
    [
        (9e6, "S/s", "9 MS/s"),
        (433.92e6, "Hz", "433.92 MHz"),
        (250e3, "S/s", "250 kS/s"),
        (999.9999999, "Bd", "1 kBd"),
        (999_999.9999, "Hz", "1 MHz"),
        (1000, "Hz", "1 kHz"),
        (999, "Hz", "999 Hz"),
        (0.5, "Hz", "0.5 Hz"),
        (0, "Hz", "0 Hz"),
        (-12_500, "Hz", "-12.5 kHz"),
        (3.2e15, "Hz", "3200 THz"),
        (float("nan"), "Hz", "nan Hz"),
        (float("inf"), "Hz", "inf Hz"),
    ],
)
def test_values(value: float, unit: str, text: str) -> None:
    assert engineering(value, unit) == text


@given(st.floats(1e-3, 1e12))
def test_is_what_options_take(value: float) -> None:
    text = engineering(value, "Hz", 12).replace(" ", "")
    if "T" not in text:
        assert quantity(text) == pytest.approx(value, rel=1e-11)
    assert "e" not in text or value < 1e-2


@pytest.mark.parametrize("confidence", [0.0, 0.004, 0.02, 0.5, 0.9899, 0.99899999])
def test_a_doubtful_symbol_rate_does_not_look_certain(confidence: float) -> None:
    text = unclear_text(FoundSignal(symbol_rate=SymbolRate(10501.94, confidence)))
    assert "1.00" not in text and "0.00" not in text and "only to" not in text
    assert ("10.5019 kBd" in text) == (confidence >= 0.01)


def test_no_message_has_a_rate_in_powers_of_ten() -> None:
    """A number with :g before its unit would be 9e+06: engineering() writes it."""
    for folder in ("src", "python"):
        for path in (ROOT / folder).rglob("*.py"):
            found = re.findall(r"\{[^{}]*:(?:\.\d+)?g\} (?:Hz|Bd|S/s|samples/s)\b", path.read_text())
            assert not found, f"{path.relative_to(ROOT)}: {found}"
