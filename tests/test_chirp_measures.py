# SPDX-License-Identifier: GPL-3.0-or-later
"""Chirps are measured: LoRa's, and sweeps as of a radar; and are not claimed of what does not sweep."""

import numpy as np
import pytest
from numpy.typing import NDArray
from seeds import rng

from amrq.errors import AmrqError
from amrq.measure import measure_chirp
from amrq.signals import FAMILY_CLASSES, family_example

SAMPLES = 8192


def _swept(cycles: NDArray[np.float64], snr_db: float, random: np.random.Generator) -> NDArray[np.complex64]:
    """Return a signal of such phases at four samples a bandwidth, in noise of an in-band SNR."""
    noise = random.standard_normal((len(cycles), 2)) @ [1, 1j] * np.sqrt(2 * 10 ** (-snr_db / 10))
    return (np.exp(2j * np.pi * cycles) + noise).astype(np.complex64)


@pytest.mark.parametrize("factor", [6, 8, 10])
@pytest.mark.parametrize("down", [False, True])
def test_lora_of_random_symbols(factor: int, down: bool) -> None:
    random = rng(f"lora {factor} {down}")
    chips = 2**factor
    place = np.arange(4 * chips) / (4 * chips)
    shifts = random.integers(chips, size=(max(3, SAMPLES // (4 * chips)), 1)) / chips
    cycles = np.cumsum(((place + shifts) % 1 - 0.5).ravel()) / 4
    found = measure_chirp(
        _swept(-cycles if down else cycles, 12.0, random), 500e3, 125e3 * random.uniform(0.9, 1.15)
    )
    assert (found.kind, found.shape, found.spreading_factor) == ("lora", "down" if down else "up", factor)
    assert found.bandwidth == pytest.approx(125e3, rel=1e-3)
    assert found.symbol_rate == pytest.approx(125e3 / chips, rel=0.03)
    assert found.confidence > 0.8


@pytest.mark.parametrize("shape", ["up", "down", "triangle"])
def test_sweeps_that_come_again(shape: str) -> None:
    random = rng(f"sweeps {shape}")
    width, long = 3e6, 100e-6  # a product of 300, eight and a half sweeps
    time = np.arange(SAMPLES) / (4 * width)
    number, within = np.divmod(time, long)
    sweep = width * (within / long - 0.5) * (1 if shape == "up" else -1)
    if shape == "triangle":
        sweep = np.where(number % 2 == 1, sweep, -sweep)
    found = measure_chirp(_swept(np.cumsum(sweep) / (4 * width), 12.0, random), 4 * width, 1.05 * width)
    assert (found.kind, found.shape, found.spreading_factor) == ("sweeps", shape, None)
    assert found.rate == pytest.approx(width / long, rel=0.02)
    assert found.bandwidth == pytest.approx(width, rel=0.04)
    assert found.sweep_time == pytest.approx(long, rel=0.03)
    assert found.period == pytest.approx(2 * long if shape == "triangle" else long, rel=0.02)
    assert found.confidence > 0.8


@pytest.mark.parametrize("pause", [0.0, 0.37, 2.0])
def test_sweeps_as_fast_as_those_of_lora_are_none_without_its_symbols(pause: float) -> None:
    """Radar pulses whose rate fits 250 kHz and a factor of 7, but which are shorter or longer than its symbols."""
    random = rng(f"pulses {pause}")
    rate = 250e3**2 / 128
    for long in (420e-6, 590e-6):
        at = np.arange(round(long * 1e6)) / 1e6
        pulse = np.exp(1j * np.pi * rate * (at - long / 2) ** 2)
        train = np.tile(np.concatenate([pulse, np.zeros(round(pause * len(pulse)))]), 20)[:SAMPLES]
        noise = random.standard_normal((len(train), 2)) @ [0.1, 0.1j]
        found = measure_chirp((train + noise).astype(np.complex64), 1e6, 1.1 * rate * long)
        assert found.kind != "lora" and found.spreading_factor is None
        assert found.rate == pytest.approx(rate, rel=0.02) and found.confidence > 0.5


def test_a_preamble_alone_is_that_of_lora() -> None:
    random = rng("preamble")
    cycles = np.cumsum(np.tile(np.arange(1024) / 1024 - 0.5, 8)) / 4
    found = measure_chirp(_swept(cycles, 12.0, random), 500e3, 125e3)
    assert (found.kind, found.spreading_factor) == ("lora", 8)


def test_a_single_sweep_is_not_told_from_a_carrier_that_drifts() -> None:
    random = rng("one sweep")
    place = np.linspace(-0.5, 0.5, SAMPLES)
    found = measure_chirp(_swept(SAMPLES / 8 * place**2, 15.0, random), 400e3, 100e3)
    assert found.kind is None and found.rate == pytest.approx(100e3 / (SAMPLES / 400e3), rel=0.03)
    assert 0.1 < found.confidence < 0.5


def test_what_does_not_sweep_is_not_claimed() -> None:
    """At most 1 % of other families are claimed: of 96, more than 5 but once in 1,700 runs."""
    random = rng("not chirps")
    claimed = 0
    for name in FAMILY_CLASSES:
        for _ in range(6 if name != "chirp" else 0):
            one = family_example(random, name, SAMPLES, (5.0, 30.0))
            width = one.parameters.bandwidth * one.reception.box
            claimed += measure_chirp(one.iq, 4 * width, width).confidence > 0.5
    assert claimed <= 5


@pytest.mark.filterwarnings("error")
def test_nothing_has_no_sweeps() -> None:
    random = rng("no sweeps")
    noise = (random.standard_normal((SAMPLES, 2)) @ [1, 1j]).astype(np.complex64)
    pulse = np.where(np.arange(SAMPLES) == 5000, np.complex64(1), np.complex64(0))
    for iq in (
        noise[:0],
        noise[:1],
        noise[:600],
        noise,
        noise * np.nan,
        noise * np.float32(1e30),
        pulse,
        pulse * 0,
    ):
        for sample_rate, width in ((1e5, 2e4), (1e5, None), (1.0, 1.0)):
            assert measure_chirp(iq.astype(np.complex64), sample_rate, width).confidence < 0.5
    with pytest.raises(AmrqError, match="above 0 Hz, not 0"):
        measure_chirp(noise, 0.0)
