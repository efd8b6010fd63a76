# SPDX-License-Identifier: GPL-3.0-or-later
"""Symbols of a word that a linear modulation sends again and again."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from seeds import rng

from amrq.errors import AmrqError
from amrq.identify import identify_emission
from amrq.identify import received as received_module
from amrq.measure import RepeatedSymbols, measure_repeated_symbols, turned
from amrq.signals import received_signal

_Iq = NDArray[np.complex64]
RATE, SYMBOLS = 40e3, 10e3
WIDTH = 13e3
WORDS, LEAST = 20, 18
"""Random words, and how many are right at least."""


def word_of(phases: int, turn: float, random: np.random.Generator) -> NDArray[np.complex128]:
    """Return symbols of a word, sent for 1,500 symbols: each is turned by so many cycles beside its own phase."""
    word = random.integers(phases, size=int(random.integers(12, 40)))
    word[:2] = 0, phases - 1
    return np.exp(2j * np.pi * (np.resize(word, 1500) / phases + turn * np.arange(1500)))


def received(symbols: NDArray[np.complex128], random: np.random.Generator, es_n0_db: float = 15.0) -> _Iq:
    """Return the samples of symbols with root raised cosines, somewhat off the middle."""
    rolloff = float(random.uniform(0.2, 0.6))
    iq = received_signal(symbols.astype(np.complex64), RATE / SYMBOLS, rolloff, es_n0_db, rng=random)
    return turned(iq, float(random.uniform(-0.01, 0.01)))


def staggered(random: np.random.Generator, es_n0_db: float = 15.0) -> _Iq:
    """Return OQPSK with root raised cosines that sends a word."""
    axes = 2.0 * random.integers(2, size=(2, int(random.integers(12, 40)))) - 1
    impulses = np.zeros((2, 6000))
    impulses[0, ::4], impulses[1, 2::4] = (np.resize(axis, 1500) for axis in axes)
    falling = np.clip((np.abs(np.fft.fftfreq(6000, 0.25)) - 0.3) / 0.4, 0, 1)
    pulse = 4 * np.cos(np.pi / 2 * falling)
    iq = np.fft.ifft(np.fft.fft(impulses[0] + 1j * impulses[1]) * pulse)
    noise = random.standard_normal((6000, 2)) @ [1, 1j] * np.sqrt(np.mean(np.abs(iq) ** 2) * 2)
    return turned((iq + noise / 10 ** (es_n0_db / 20)).astype(np.complex64), random.uniform(-0.01, 0.01))


@pytest.mark.parametrize(("phases", "turn"), [(2, 0.0), (2, 0.25), (4, 0.0), (4, 0.125), (8, 0.0), (16, 0.0)])
def test_a_word_has_its_clock_its_number_of_phases_and_its_turn(phases: int, turn: float) -> None:
    random, right, wrong = rng("words", phases, str(turn)), 0, 0
    for _ in range(WORDS):
        found = measure_repeated_symbols(received(word_of(phases, turn, random), random), RATE, WIDTH)
        told = found.symbol_rate is not None and found.symbol_rate == pytest.approx(SYMBOLS, rel=2e-3)
        stays = phases > 4 or abs(abs(found.turn) - turn) < 0.2 / phases
        right += told and found.phases == phases and stays
        wrong += found.symbol_rate is not None and (not told or found.staggered)
    # Of a short word of two phases each second step may be as the one before, and the clock half as fast.
    assert right >= LEAST and wrong <= 1


def test_a_word_of_staggered_symbols_is_told_from_others() -> None:
    random, right = rng("staggered words"), 0
    for _ in range(WORDS):
        found = measure_repeated_symbols(staggered(random), RATE, WIDTH)
        right += found.staggered and found.symbol_rate == pytest.approx(SYMBOLS, rel=2e-3)
    assert right >= LEAST


def test_a_word_is_found_where_data_follow() -> None:
    random = rng("a word, then data")
    symbols = word_of(4, 0.0, random)
    symbols[750:] = 1j ** random.integers(4, size=750)
    found = measure_repeated_symbols(received(symbols, random), RATE, WIDTH)
    assert found.phases == 4 and found.share == pytest.approx(0.5, abs=0.07)


def test_data_noise_tones_and_voices_are_no_words() -> None:
    random = rng("no words")
    time = np.arange(6000) / RATE
    data = received(1j ** random.integers(4, size=1500) + 0j, random)
    noise = random.standard_normal((6000, 2)) @ [1, 1j]
    tones = 1 + 0.6 * np.cos(2 * np.pi * 1000 * time) + 0.3 * np.cos(2 * np.pi * 1700 * time)
    vowel = sum(np.exp(2j * np.pi * 130 * k * time) / (1 + abs(k - 12)) for k in range(2, 24))
    for sent in (data, noise, tones + 0.1 * noise, vowel + 0.1 * noise):
        assert measure_repeated_symbols(sent.astype(np.complex64), RATE, WIDTH) == RepeatedSymbols()


@given(st.integers(0, 300), st.sampled_from([0.0, 1.0, 1e-18, 1e18]))
def test_any_samples_are_taken(count: int, level: float) -> None:
    iq = level * np.exp(0.3j * np.arange(count))
    assert measure_repeated_symbols(iq.astype(np.complex64), RATE).symbol_rate is None


def test_nothing_within_the_band_is_no_word_and_no_warning(recwarn: pytest.WarningsRecorder) -> None:
    beside = np.tile([1, -1], 4096).astype(np.complex64)  # at half of the sample rate
    assert measure_repeated_symbols(beside, RATE, RATE / 20).symbol_rate is None
    assert not recwarn.list


def test_a_sample_rate_that_is_none_is_refused() -> None:
    with pytest.raises(AmrqError):
        measure_repeated_symbols(np.ones(100, np.complex64), 0.0)


def test_a_modem_that_idles_is_named_and_not_surely() -> None:
    random = rng("idle")
    iq = received(word_of(8, 0.0, random), random, 20.0)
    found = identify_emission(iq, RATE, edges=(-WIDTH / 2, WIDTH / 2), snr_db=18.0)
    assert (found.family, found.label) == ("linear", "8PSK") and found.confidence < 0.86
    assert found.symbol_rate == pytest.approx(SYMBOLS, rel=2e-3)


def _symbols(phases: int, count: int, random: np.random.Generator) -> NDArray[np.complex64]:
    """Return symbols of random phases with an Es/N0 of 20 dB."""
    noise = random.standard_normal((count, 2)) @ [1, 1j] * np.sqrt(0.005)
    return (np.exp(2j * np.pi * random.integers(phases, size=count) / phases) + noise).astype(np.complex64)


@pytest.mark.parametrize("phases", [2, 4, 8, 16])
def test_phases_are_counted_where_the_carrier_was_lost_in_half_of_the_time(phases: int) -> None:
    random = rng("carrier lost", phases)
    symbols = _symbols(phases, 1024, random)
    wandering = np.cumsum(0.4 * random.standard_normal(512))
    symbols[512:] *= np.exp(1j * wandering)
    name = {2: "BPSK", 4: "QPSK", 8: "8PSK", 16: "16PSK"}[phases]
    assert received_module.ReceivedLinear(whole=symbols, es_n0_db=20.0).by_phases == name


def test_preambles_of_fewer_phases_name_no_data_of_more() -> None:
    """A third of each frame goes to and fro; the carrier is lost in some of the data."""
    random = rng("preambles")
    for phases in (8, 16):
        symbols = _symbols(phases, 1024, random)
        for first in range(0, 1024, 170):
            there = min(60, 1024 - first)
            symbols[first : first + there] = _symbols(2, there, random)
        symbols[600:800] *= np.exp(1j * np.cumsum(0.4 * random.standard_normal(200)))
        assert received_module.ReceivedLinear(whole=symbols, es_n0_db=20.0).by_phases in ("", f"{phases}PSK")
