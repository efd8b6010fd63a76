# SPDX-License-Identifier: GPL-3.0-or-later
"""Signals found in a band, and one of them selected."""

import numpy as np
import pytest
from numpy.typing import NDArray
from seeds import rng

from amrq.errors import AmrqError
from amrq.measure import find_signals, select_channel
from amrq.signals import received_signal

RATE = 250e3


def noise(count: int, generator: np.random.Generator) -> NDArray[np.complex128]:
    return (generator.normal(size=count) + 1j * generator.normal(size=count)) / np.sqrt(2)


def placed(
    samples_per_symbol: float, centre: float, count: int, generator: np.random.Generator
) -> NDArray[np.complex128]:
    symbols = np.exp(0.5j * np.pi * generator.integers(4, size=int(count / samples_per_symbol) + 40))
    made = received_signal(symbols, samples_per_symbol, 0.35, 60.0, generator)[:count]
    return made * np.exp(2j * np.pi * centre / RATE * np.arange(count))


@pytest.mark.parametrize("number", range(10))
def test_two_signals_are_found_in_their_places(number: int) -> None:
    generator = rng("two signals", number)
    count = 131_072
    band = (
        placed(10, 40e3, count, generator)
        + placed(26, -60e3, count, generator)
        + 0.5 * noise(count, generator)
    )
    found = sorted(find_signals(band.astype(np.complex64), RATE), key=lambda signal: signal.centre)
    assert [signal.centre for signal in found] == pytest.approx([-60e3, 40e3], abs=200)
    assert [signal.bandwidth for signal in found] == pytest.approx(
        [RATE / 26 * 1.15, RATE / 10 * 1.15], rel=0.1
    )
    assert find_signals(band.astype(np.complex64), RATE, search=(0, 50e3))[0].centre == pytest.approx(
        40e3, abs=200
    )


def test_noise_is_no_signal() -> None:
    """None in 100 stretches of white noise, nor with a line at 0 Hz."""
    generator = rng("noise in a band")
    for number in range(100):
        samples = noise(16_384, generator) + (0.5 if number % 2 else 0)
        assert find_signals(samples.astype(np.complex64), RATE) == []


def test_a_selected_channel_holds_its_signal_alone() -> None:
    generator = rng("a channel")
    count = 65_536
    wanted = placed(10, 40e3, count, generator)
    channel, rate = select_channel(
        (wanted + placed(10, -40e3, count, generator)).astype(np.complex64), RATE, 40e3, 35e3
    )
    assert rate == pytest.approx(70e3, rel=0.01)
    assert np.mean(np.abs(channel) ** 2) == pytest.approx(np.mean(np.abs(wanted) ** 2), rel=0.02)


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(AmrqError, match="at least 64"):
        find_signals(np.zeros(10, np.complex64), RATE)
    with pytest.raises(AmrqError, match="no signal lies between"):
        find_signals(np.zeros(100, np.complex64), RATE, search=(1.0, 0.0))
    with pytest.raises(AmrqError, match="does not lie in a band"):
        select_channel(np.zeros(100, np.complex64), RATE, RATE, 1e3)
