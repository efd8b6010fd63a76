# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys that start and stop, as teleprinters': the rate is that of their bits, whatever a stop or a pause lasts."""

import math

import numpy as np
import pytest
from seeds import rng

from amrq.measure import measure_frequency_keying

RATE, BAUD = 1000.0, 45.45


def characters(name: str, bits: int, stop: float, pauses: float, count: int = 60) -> np.ndarray:
    """Return the levels of characters, -1 and 1, at `RATE`; after some of them nobody types for a while."""
    generator = rng("start stop", name)
    levels: list[float] = []
    lengths: list[float] = []
    for _ in range(count):
        levels += [-1.0, *(2.0 * generator.integers(2, size=bits) - 1), 1.0]
        pause = generator.uniform(0, 9) if generator.random() < pauses else 0.0
        lengths += [1.0] * (bits + 1) + [stop + pause]
    edges = np.cumsum(lengths) / BAUD
    at = np.arange(int(edges[-1] * RATE)) / RATE
    return np.asarray(levels)[np.searchsorted(edges, at, side="right")]


def sent(levels: np.ndarray, shift: float, noise: float, name: str) -> np.ndarray:
    """Return a carrier that is keyed by a shift, Hz, with noise of so much power in all of the band."""
    beside = rng("noise", name).normal(size=(len(levels), 2)) @ [1, 1j] * math.sqrt(noise / 2)
    return (np.exp(2j * np.pi * np.cumsum(levels * shift / 2) / RATE) + beside).astype(np.complex64)


@pytest.mark.parametrize("shift", [170.0, 425.0])
@pytest.mark.parametrize("pauses", [0.0, 0.3])
@pytest.mark.parametrize(("bits", "stop"), [(5, 1.5), (5, 1.42), (8, 2.0), (5, 1.0)])
def test_the_rate_of_characters_is_that_of_their_bits(
    bits: int, stop: float, pauses: float, shift: float
) -> None:
    name = f"{bits} {stop} {pauses} {shift}"
    iq = sent(characters(name, bits, stop, pauses), shift, 0.05, name)
    for keyed in (iq, iq.conj()):  # either tone is that of the start bit
        found = measure_frequency_keying(keyed, RATE, shift + 1.5 * BAUD)
        assert (found.levels, found.symbol_rate) == (2, pytest.approx(BAUD, rel=0.005))
        assert found.deviation == pytest.approx(shift / 2, rel=0.05)
        assert found.confidence > 0.5


@pytest.mark.parametrize("bt", [0.5, 0.8])
@pytest.mark.parametrize("index", [0.5, 1.0, 4.0])
def test_a_clock_that_keeps_time_is_kept_whatever_a_filter_makes_of_single_bits(
    index: float, bt: float
) -> None:
    levels = np.repeat(2.0 * rng("clocked", f"{index} {bt}").integers(2, size=400) - 1, 8)
    at = np.arange(-16, 17) / 8
    taps = np.exp(-2 * (np.pi * bt * at) ** 2 / math.log(2))
    iq = sent(np.convolve(levels, taps / taps.sum(), "same"), index * RATE / 8, 0.01, f"{index} {bt}")
    found = measure_frequency_keying(iq, RATE, (index + 1.2) * RATE / 8)
    assert (found.levels, found.symbol_rate) == (2, pytest.approx(RATE / 8, rel=0.003))
