# SPDX-License-Identifier: GPL-3.0-or-later
"""Frequency keying whose eye a Gaussian filter has closed: its levels are found, and it is taken for no audio."""

import math

import numpy as np
import pytest
from seeds import rng
from test_identify_families import said

from amrq.measure import closed_eye, keyed_samples, measure_frequency_keying, measure_frequency_spread

RATE, STEP = 4e6, 8
SYMBOL_RATE = RATE / STEP


def gaussian_keyed(levels: int, index: float, bt: float, name: str, symbols: int = 1_000) -> np.ndarray:
    """Return keyed frequency, `STEP` samples a symbol, with noise 30 dB below it in all of the band."""
    generator = rng(name)
    sent = np.zeros(symbols * STEP)
    sent[::STEP] = 2 * generator.integers(levels, size=symbols) - (levels - 1)
    at = np.arange(-4 * STEP, 4 * STEP + 1) / STEP
    taps = np.exp(-2 * (np.pi * bt * at) ** 2 / math.log(2))
    frequency = np.convolve(sent, np.convolve(taps / taps.sum(), np.ones(STEP)), "same") * index / 2 / STEP
    return noisy(frequency, generator)


def noisy(frequency: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Return a carrier with a frequency, turns a sample."""
    noise = generator.normal(size=(len(frequency), 2)) @ [1, 1j] * math.sqrt(0.5e-3)
    return (np.exp(2j * np.pi * np.cumsum(frequency)) + noise).astype(np.complex64)


def noise_fm(top: float, deviation: float, name: str) -> np.ndarray:
    """Return FM by noise up to a frequency, Hz."""
    generator = rng(name)
    spectrum = np.fft.rfft(generator.normal(size=12_000))
    spectrum[np.fft.rfftfreq(12_000, 1 / RATE) > top] = 0
    message = np.fft.irfft(spectrum, 12_000)
    return noisy(message / message.std() * deviation / RATE, generator)


@pytest.mark.parametrize(
    "levels, index, bt",
    [
        *((2, 0.5, 0.25), (2, 0.35, 0.3), (4, 0.4, 0.3), (8, 0.35, 0.3)),
        *((4, 1.0, 0.22), (8, 0.5, 0.25), (16, 0.3, 0.3)),  # by their own response, and a clock that beats
    ],
)
def test_levels_of_an_eye_that_is_closed_are_found(levels: int, index: float, bt: float) -> None:
    width = SYMBOL_RATE * (0.8 * levels * index + 0.7)
    found = measure_frequency_keying(gaussian_keyed(levels, index, bt, "closed eye"), RATE, width)
    assert found.levels == levels
    assert found.symbol_rate == pytest.approx(SYMBOL_RATE, rel=1e-3)
    assert found.index == pytest.approx(index, rel=0.15)
    assert found.levels_confidence > 0.5


def test_what_repeats_or_has_no_levels_is_not_opened() -> None:
    """Half waves of a sine are levels by turns at twice its frequency; noise has none at any rate."""
    sine = 0.05 * np.sin(2 * np.pi * SYMBOL_RATE / 2 / RATE * np.arange(8_000) + 0.3)
    for iq in (noisy(sine, rng("a sine")), noise_fm(2e5, 3e5, "noise")):
        found = measure_frequency_keying(iq, RATE, 1.5e6)
        assert found.clock_rate is None or found.levels_confidence < 0.5


def test_a_staircase_is_not_opened() -> None:
    """Steps that are all alike are no levels that are sent at random, however evenly they are spaced."""
    stairs = np.repeat(np.arange(1_200) * 3 % 8 - 3.5, STEP) * 0.5 / STEP
    opened = closed_eye.open_eye(
        keyed_samples.keyed_samples(noisy(stairs, rng("stairs")), RATE, 4e6 / 1.3), SYMBOL_RATE
    )
    assert opened is None or opened.confidence < 0.2


@pytest.mark.parametrize("levels, index, bt", [(2, 0.3, 0.25), (4, 0.3, 0.25), (16, 0.5, 0.25)])
def test_a_frequency_with_a_symbol_clock_is_no_audio(levels: int, index: float, bt: float) -> None:
    iq = gaussian_keyed(levels, index, bt, "no audio", 1_500)
    found = said(iq, RATE, SYMBOL_RATE * (0.8 * levels * index + 0.6), fm=0.8)
    assert found.family not in ("fm_narrow", "fm_wide")


def test_a_number_of_levels_that_does_not_show_is_not_said() -> None:
    """Sixteen levels through a filter that none can undo, and a model that is sure of four."""
    iq = gaussian_keyed(16, 0.5, 0.2, "sixteen", 1_500)
    assert said(iq, RATE, SYMBOL_RATE * 6.5, fsk4=0.9).family in ("unknown", "fskm")


@pytest.mark.parametrize(
    "top, deviation, width, family",
    [(3e5, 2e5, 1.5e6, "unknown"), (4e4, 4e4, 2.4e5, "fm_wide"), (4e4, 2e5, 1e6, "unknown")],
)
def test_a_frequency_that_follows_more_than_audio_or_by_more_than_a_broadcast_is_no_audio(
    top: float, deviation: float, width: float, family: str
) -> None:
    iq = noise_fm(top, deviation, "a message")
    assert top / 4 < measure_frequency_spread(iq, RATE, width).middle < 3 * top / 4
    assert said(iq, RATE, width, fm=0.9).family == family


def test_gmsk_with_a_closed_eye_is_no_oqpsk() -> None:
    found = said(gaussian_keyed(2, 0.5, 0.25, "turns"), RATE, 0.9 * SYMBOL_RATE, oqpsk=0.5, fsk2=0.3)
    assert found.family in ("fsk2", "unknown")
