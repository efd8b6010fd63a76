# SPDX-License-Identifier: GPL-3.0-or-later
"""An envelope whose edges a narrow box rounds: keys have two levels in the middle of symbols, audio has not."""

import numpy as np
import pytest
from numpy.typing import NDArray
from seeds import rng

from amrq.identify import identify_emission
from amrq.measure import KeyedEye, measure_keyed_eye

RATE, BAUD = 24e3, 3e3
WIDTH = 0.9 * BAUD
"""A box as wide as most of the keys' power."""
COUNT = 16_384


def _keys(rest: float, generator: np.random.Generator) -> NDArray[np.float64]:
    """Return keys of random bits, with edges that take half a symbol."""
    keys = np.repeat(generator.choice([rest, 1.0], COUNT // 8), 8)
    return np.convolve(keys, np.hanning(7) / np.hanning(7).sum(), "same")


def _received(
    envelope: NDArray[np.float64], snr_db: float, generator: np.random.Generator
) -> tuple[NDArray[np.complex64], float]:
    """Return a carrier with an amplitude in white noise, SNR in the box, and the noise's density."""
    density = float(np.mean(envelope**2)) * 10 ** (-snr_db / 10) / WIDTH
    noise = generator.normal(size=(len(envelope), 2)) @ [1, 1j] * np.sqrt(density * RATE / 2)
    turn = np.exp(2j * np.pi * (generator.random() + 20 / RATE * np.arange(len(envelope))))
    return np.asarray(envelope * turn + noise, dtype=np.complex64), density


@pytest.mark.parametrize("rest", [0.0, 0.25, 0.5])
def test_keys_have_two_levels_in_the_middle_of_symbols(rest: float) -> None:
    generator = rng("an eye of keys")
    iq, density = _received(_keys(rest, generator), 17.0, generator)
    found = measure_keyed_eye(iq, RATE, WIDTH, density)
    assert found.confidence > 0.9
    assert found.symbol_rate == pytest.approx(BAUD, rel=1e-3)
    # The noise that passes, .13 of the power, lifts the lower level to some sqrt(.13 pi / 4).
    assert rest - 0.1 < found.rest < max(rest, 0.32) + 0.1


def _modem(generator: np.random.Generator) -> NDArray[np.float64]:
    """Return half and whole waves of 1,200 and 2,400 Hz, one a bit."""
    bits = np.repeat(generator.choice([1200.0, 2400.0], COUNT // 10), 10)[:COUNT]
    return np.asarray(np.sin(2 * np.pi * np.cumsum(bits) / RATE))


def _noise(generator: np.random.Generator) -> NDArray[np.float64]:
    spectrum = np.fft.rfft(generator.normal(size=COUNT))
    spectrum[np.fft.rfftfreq(COUNT, 1 / RATE) > WIDTH / 2] = 0
    made = np.fft.irfft(spectrum, COUNT)
    return np.asarray(made / np.abs(made).max())


@pytest.mark.parametrize("audio", ["tone", "modem", "noise", "silence"])
def test_audio_has_no_eye(audio: str) -> None:
    generator = rng("audio's envelope")
    made = {
        "tone": lambda: np.sin(2 * np.pi * 700 / RATE * np.arange(COUNT)),
        "modem": lambda: _modem(generator),
        "noise": lambda: _noise(generator),
        "silence": lambda: np.zeros(COUNT),
    }[audio]()
    iq, density = _received(1 + 0.7 * made, 20.0, generator)
    assert measure_keyed_eye(iq, RATE, 3 * WIDTH, density).confidence < 0.2


def test_pieces_that_come_again_and_again_are_no_keys() -> None:
    on = (np.arange(COUNT) % 24 < 14).astype(float)
    iq, density = _received(np.convolve(on, np.hanning(7), "same"), 20.0, rng("a sweep's envelope"))
    assert measure_keyed_eye(iq, RATE, 3 * WIDTH, density).confidence == 0


@pytest.mark.parametrize("rest", [0.0, 0.5])
def test_manchester_keys_are_held_and_half_waves_are_not(rest: float) -> None:
    generator = rng("held or half a wave", round(10 * rest))
    bits = generator.integers(2, size=COUNT // 16)
    halves = np.where(np.column_stack([bits, 1 - bits]).ravel() > 0, 1.0, rest)
    keys = np.convolve(np.repeat(halves, 8), np.hanning(5) / np.hanning(5).sum(), "same")
    found = {}
    for name, envelope in (("keys", keys), ("modem", 1 + 0.7 * _modem(generator))):
        iq, density = _received(envelope, 20.0, generator)
        found[name] = measure_keyed_eye(iq, RATE, 2.5 * WIDTH, density)
    assert found["keys"].bulge < 1.15 < found["modem"].bulge
    assert found["keys"].confidence > 0.7 and found["modem"].confidence < 0.2


def test_keys_that_leave_a_carrier_are_no_audio() -> None:
    generator = rng("keys in a narrow box")
    named = []
    for rest in (0.2, 0.3, 0.4, 0.5):
        iq, density = _received(_keys(rest, generator), 17.0, generator)
        edges = (-WIDTH / 2, WIDTH / 2)
        named.append(identify_emission(iq[:8192], RATE, 10 * np.log10(density), edges, 17.0).family)
    assert "am" not in named
    assert named.count("ook") >= 3


def test_what_is_silent_or_short_says_nothing() -> None:
    assert measure_keyed_eye(np.zeros(4096, np.complex64), RATE) == KeyedEye()
    assert measure_keyed_eye(np.ones(100, np.complex64), RATE) == KeyedEye()
