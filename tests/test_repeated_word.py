# SPDX-License-Identifier: GPL-3.0-or-later
"""A word that is sent again and again has the clock of its symbols, and a carrier before keys does not hide theirs."""

import numpy as np
import pytest
from numpy.typing import NDArray
from seeds import rng

from amrq.measure import measure_frequency_keying

RATE, SYMBOL_RATE, SPACING = 96e3, 9600.0, 6000.0


def keyed(levels: NDArray[np.int64], order: int, noise: float, name: str) -> NDArray[np.complex64]:
    """Return smooth frequency keying with noise."""
    random = rng("repeated word", name)
    frequency = np.repeat((levels - (order - 1) / 2) * SPACING, round(RATE / SYMBOL_RATE))
    pulse = np.hanning(12)
    frequency = np.convolve(frequency, pulse / pulse.sum(), "same")
    iq = np.exp(2j * np.pi * np.cumsum(frequency) / RATE)
    return np.asarray(iq + noise * random.normal(size=(len(iq), 2)) @ [1, 1j], np.complex64)


def word_of(length: int, order: int, name: str) -> NDArray[np.int64]:
    """Return symbols that are all sent, the first and the last one the outermost."""
    word = rng("word", name).integers(order, size=length)
    word[:order] = np.arange(order)
    word[-1] = order - 1
    return word


@pytest.mark.parametrize("length", [13, 17, 22, 31])
@pytest.mark.parametrize("order", [2, 4])
def test_the_symbols_of_a_repeated_word_are_found(length: int, order: int) -> None:
    """The lines of the word's own rate are as clear as that of the symbols."""
    name = f"{length} {order}"
    levels = np.tile(word_of(length, order, name), 600 // length)
    found = measure_frequency_keying(
        keyed(levels, order, 0.08, name), RATE, (order - 1) * SPACING + SYMBOL_RATE
    )
    assert found.levels == order
    assert found.symbol_rate == pytest.approx(SYMBOL_RATE, rel=1e-3)
    assert found.spacing == pytest.approx(SPACING, rel=0.05)


def test_sines_have_no_word() -> None:
    """Two tones of audio repeat themselves as well, and have no levels."""
    time = np.arange(12000) / RATE
    audio = 4e3 * np.sin(2 * np.pi * 1000 * time) + 3e3 * np.sin(2 * np.pi * 1400 * time)
    noise = 0.05 * rng("repeated word", "sines").normal(size=(len(time), 2)) @ [1, 1j]
    found = measure_frequency_keying(np.exp(2j * np.pi * np.cumsum(audio) / RATE) + noise, RATE, 17e3)
    assert max(found.confidence, found.levels_confidence) < 0.5


def test_a_carrier_before_the_keys_does_not_hide_their_clock() -> None:
    """Half of a look is a carrier, which the clock of the other half must not be looked for in."""
    data = rng("repeated word", "rest").integers(4, size=200)
    levels = np.concatenate([np.full(220, 3), data])
    found = measure_frequency_keying(keyed(levels, 4, 0.08, "rest"), RATE, 3 * SPACING + SYMBOL_RATE)
    assert found.levels == 4
    assert found.symbol_rate == pytest.approx(SYMBOL_RATE, rel=3e-3)
    assert found.levels_confidence > 0.5


@pytest.mark.parametrize("keys", [0, 1, 30])
def test_a_carrier_with_hardly_any_keys_after_it_has_no_levels(keys: int) -> None:
    """What follows the carrier is too short to be looked at alone."""
    iq = np.ones(500, np.complex64)
    iq[len(iq) - keys :] = np.exp(1j * np.cumsum(np.where(np.arange(keys) // 5 % 2, 0.5, -0.5)))
    found = measure_frequency_keying(iq, 1e3, 300.0)
    assert max(found.confidence, found.levels_confidence) < 0.5


def test_tones_beyond_a_box_that_cuts_them_are_counted() -> None:
    """The outermost of 32 tones are sent a few times, so that nothing beside the box shows that there are more."""
    levels = rng("repeated word", "cut").permutation(np.concatenate([np.arange(32), np.arange(32)]))
    frequency = np.repeat((levels - 15.5) * 100.0, 200)
    noise = 0.05 * rng("repeated word", "cut noise").normal(size=(len(frequency), 2)) @ [1, 1j]
    iq = np.exp(2j * np.pi * np.cumsum(frequency) / 20e3) + noise
    found = measure_frequency_keying(iq, 20e3, 0.8 * 3200)
    assert (found.levels, round(found.spacing or 0)) == (32, 100)


@pytest.mark.parametrize("noise", [0.0, 0.15])
def test_many_tones_whose_frequency_is_noisy_are_counted(noise: float) -> None:
    """A tone at the end that only errors made is none, and the usual spacing shows through the noise."""
    random = rng("repeated word", "noisy", str(noise))
    frequency = np.repeat((random.integers(8, size=150) - 3.5) * 100.0, 200)
    slow = np.repeat(random.normal(size=len(frequency) // 50) * 100.0 * noise * 2, 50)
    iq = np.exp(2j * np.pi * np.cumsum(frequency + slow) / 20e3)
    iq = iq + 0.05 * random.normal(size=(len(iq), 2)) @ [1, 1j]
    found = measure_frequency_keying(iq, 20e3, 900.0)
    assert (found.levels, round(found.symbol_rate or 0)) == (8, 100)


def test_two_tones_by_turns_are_two_levels_at_any_spacing() -> None:
    """Tones 7.5 symbol rates apart, as a pager's leader has, are no lattice of four symbol rates with a hole."""
    frequency = np.repeat(np.tile([-4500.0, 4500.0], 34), 40)
    noise = 0.1 * rng("repeated word", "leader").normal(size=(len(frequency), 2)) @ [1, 1j]
    found = measure_frequency_keying(np.exp(2j * np.pi * np.cumsum(frequency) / 48e3) + noise, 48e3, 11e3)
    assert (found.levels, round(found.symbol_rate or 0)) == (2, 1200)
