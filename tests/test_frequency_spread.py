# SPDX-License-Identifier: GPL-3.0-or-later
"""The spread of a frequency tells audio from keys, by moments that are known, with and without noise."""

import numpy as np
import pytest
from scipy import fft
from seeds import rng
from test_identify_families import said

from amrq.errors import AmrqError
from amrq.measure import measure_frequency_spread

RATE, COUNT = 48e3, 12_000


def modulated(frequency: np.ndarray, density: float = 0.0, name: str = "noise") -> np.ndarray:
    """Return a carrier of unit power with a frequency, Hz, and noise of a density, power per Hz."""
    noise = rng(name).normal(size=(len(frequency), 2)) @ [1, 1j] * np.sqrt(density * RATE / 2)
    return (np.exp(2j * np.pi * np.cumsum(frequency) / RATE) + noise).astype(np.complex64)


def low_passed(values: np.ndarray, top: float) -> np.ndarray:
    spectrum = fft.rfft(values)
    spectrum[fft.rfftfreq(len(values), 1 / RATE) > top] = 0
    made = fft.irfft(spectrum, len(values))
    return np.asarray(made / made.std())


@pytest.mark.parametrize(("levels", "law"), [(2, 1.0), (4, 1.64), (8, 1.76)])
def test_keys_have_the_moments_of_their_levels(levels: int, law: float) -> None:
    """(3 L^2 - 7) / (L^2 - 1) 3 / 5 of L even levels; some 600 symbols, edges smoothed."""
    steps = rng(f"{levels} levels").integers(0, levels, COUNT // 20)
    keys = np.repeat(3e3 * (2 * steps / (levels - 1) - 1), 20)
    assert 3 / 5 * (3 * levels**2 - 7) / (levels**2 - 1) == pytest.approx(law, abs=0.01)
    for density in (0.0, 1 / 9e3 / 10**1.5):
        found = measure_frequency_spread(modulated(keys, density), RATE, 9e3, density)
        assert found.peakedness == pytest.approx(law, abs=0.25)
        assert found.in_tone < 0.5


@pytest.mark.parametrize("number", range(6))
def test_noise_as_audio_has_the_moments_of_noise(number: int) -> None:
    audio = 2e3 * low_passed(rng(f"audio {number}").standard_normal(COUNT), 1500)
    density = 1 / 11e3 / 10**1.5
    found = measure_frequency_spread(modulated(audio, density), RATE, 11e3, density)
    # 250 independent values have a fourth moment of 3 with a deviation of some .3.
    assert found.peakedness is not None and 2.2 < found.peakedness < 4.2


def test_a_tone_is_one_line_and_keys_by_turns_are_not() -> None:
    time = np.arange(COUNT) / RATE
    sine = modulated(3e3 * np.sin(2 * np.pi * 1e3 * time))
    found = measure_frequency_spread(sine, RATE, 9e3)
    assert found.tone == pytest.approx(1e3, abs=20) and found.in_tone > 0.99
    turns = modulated(3e3 * np.sign(np.sin(2 * np.pi * 500 * time + 0.1)))
    found = measure_frequency_spread(turns, RATE, 9e3)
    # A square's first line has 8 / pi^2 of its power; the filter leaves out what is above the seventh.
    assert found.tone == pytest.approx(500, abs=20) and 0.75 < found.in_tone < 0.95


def test_a_burst_counts_while_it_is_on() -> None:
    keys = np.repeat(rng("burst").choice([-3e3, 3e3], COUNT // 20), 20)
    density = 1 / 9e3 / 100
    noise = rng("rest").normal(size=(COUNT, 2)) @ [1, 1j] * np.sqrt(density * RATE / 2)
    iq = np.concatenate([noise.astype(np.complex64), modulated(keys, density)])
    found = measure_frequency_spread(iq, RATE, 9e3, density)
    assert found.peakedness is not None and found.peakedness < 1.4


def test_what_cannot_be_measured_is_none() -> None:
    assert measure_frequency_spread(np.zeros(0, np.complex64), RATE).peakedness is None
    assert measure_frequency_spread(np.zeros(5000, np.complex64), RATE).peakedness is None
    noise = rng("nothing").normal(size=(COUNT, 2)) @ [1, 1j]
    assert measure_frequency_spread(noise.astype(np.complex64), RATE, 9e3, 2 / RATE).peakedness is None
    with pytest.raises(AmrqError, match="sample rate"):
        measure_frequency_spread(noise.astype(np.complex64), 0.0)


@pytest.mark.parametrize("number", range(3))
def test_audio_like_noise_is_no_frequency_keying_whatever_a_model_says(number: int) -> None:
    audio = 2e3 * low_passed(rng(f"audio to name {number}").standard_normal(COUNT), 1500)
    iq = modulated(audio, 1 / 11e3 / 100)
    found = said(iq, RATE, 11e3, fsk4=0.85, fm=0.02)
    assert found.family in ("fm_narrow", "unknown")
    assert said(iq, RATE, 11e3, fsk2=0.85, fm=0.02).family in ("fm_narrow", "unknown")


def test_a_tone_of_audio_is_no_frequency_keying() -> None:
    """Round keys by turns are the same signal: nothing is claimed of it, where a model takes it for keys."""
    sine = 2.5e3 * np.sin(2 * np.pi * 1e3 * np.arange(COUNT) / RATE)
    found = said(modulated(sine, 1 / 8e3 / 100), RATE, 8e3, fsk2=0.9, fm=0.05)
    assert found.family in ("fm_narrow", "unknown") and found.families["fsk2"] < 0.5
    hum = 600 * np.sin(2 * np.pi * 100 * np.arange(4 * COUNT) / RATE)
    found = said(modulated(hum, 1 / 2e3 / 1000), RATE, 2e3, fm=0.6, fsk2=0.3)
    assert found.family == "fm_narrow" and found.confidence < 0.9


def test_a_carrier_with_sidebands_beside_its_box_is_no_carrier() -> None:
    """A box of 700 Hz about the carrier of AM with audio of 400 to 1,400 Hz, as a detector draws it of what is weak."""
    rate = 4e3
    audio = fft.rfft(rng("voice beside the box").standard_normal(COUNT))
    at = fft.rfftfreq(COUNT, 1 / rate)
    audio = fft.irfft(np.where((at > 400) & (at < 1400), audio, 0), COUNT)
    noise = rng("floor").normal(size=(COUNT, 2)) @ [1, 1j] * 0.003
    iq = (0.1 * np.exp(1j) * (1 + 0.3 * audio / audio.std()) + noise).astype(np.complex64)
    plain = (0.1 * np.exp(2j * np.pi * 3 * np.arange(COUNT) / rate) + noise).astype(np.complex64)
    assert said(iq, rate, 700.0, carrier=0.6, am=0.2).family != "carrier"
    assert said(plain, rate, 700.0, carrier=0.6, am=0.2).family == "carrier"


def test_a_line_with_sidebands_is_no_carrier_where_a_model_does_not_know_am() -> None:
    rate = 16e3
    audio = fft.rfft(rng("unknown to the model").standard_normal(COUNT))
    at = fft.rfftfreq(COUNT, 1 / rate)
    audio = fft.irfft(np.where((at > 300) & (at < 2500), audio, 0), COUNT)
    noise = rng("floor of AM").normal(size=(COUNT, 2)) @ [1, 1j] * 0.005
    iq = (0.1 * np.exp(2j) * (1 + 0.3 * audio / audio.std()) + noise).astype(np.complex64)
    for family in ("carrier", "ssb"):
        assert said(iq, rate, 5e3, **{family: 0.9, "am": 1e-3}).family in ("am", "unknown")


def test_a_look_that_begins_with_its_last_samples_is_measured() -> None:
    iq = np.zeros(1000, np.complex64)
    iq[-20:] = 1  # in the rest that no whole piece has
    assert measure_frequency_spread(iq, 1e3, 200.0).noise == 0
