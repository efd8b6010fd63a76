# SPDX-License-Identifier: GPL-3.0-or-later
"""A carrier times something real: messages lie on one axis with many values, symbols' levels are few."""

import numpy as np
import pytest
from numpy.typing import NDArray
from seeds import rng

from amrq.identify import identify_emission
from amrq.measure import measure_real_axis, measure_subcarriers
from amrq.signals import received_signal

RATE, WIDTH = 2e6, 0.8e6
COUNT = 8192


def _limited(count: int, generator: np.random.Generator, width: float = WIDTH) -> NDArray[np.float64]:
    """Return real Gaussian noise as wide as half of a signal, of unit power."""
    spectrum = np.fft.rfft(generator.normal(size=count))
    spectrum[np.fft.rfftfreq(count, 1 / RATE) > width / 2] = 0
    noise = np.fft.irfft(spectrum, count)
    return np.asarray(noise / noise.std())


def _in_noise(
    signal: NDArray[np.float64], snr_db: float, generator: np.random.Generator
) -> NDArray[np.complex64]:
    """Return a signal on a carrier off 0 Hz, in white noise; SNR in its bandwidth."""
    turn = np.exp(1j * (generator.uniform(0, 6) + 2 * np.pi * 0.013 * np.arange(len(signal))))
    power = np.mean(signal**2) * 10 ** (-snr_db / 10) * RATE / WIDTH
    noise = generator.normal(size=(len(signal), 2)) @ [1, 1j] * np.sqrt(power / 2)
    return np.asarray(signal * turn + noise, dtype=np.complex64)


@pytest.mark.parametrize("carrier", [0.0, 1.0])
def test_a_message_lies_on_one_axis_and_has_the_values_of_noise(carrier: float) -> None:
    generator = rng("a message on an axis")
    signal = carrier + _limited(COUNT, generator)
    found = measure_real_axis(_in_noise(signal, 20.0, generator), RATE, WIDTH)
    assert found.alone > 0.9
    assert found.carrier == pytest.approx(carrier**2 / (1 + carrier**2), abs=0.1)
    assert found.kurtosis == pytest.approx(3.0, abs=0.4)  # 3,000 free values: 5 deviations of 0.09
    assert found.frequency == pytest.approx(0.013 * RATE, abs=RATE / COUNT)


@pytest.mark.parametrize("levels", [2, 4, 8, 16])
@pytest.mark.parametrize("rolloff", [0.1, 0.5])
def test_symbols_have_few_levels(levels: int, rolloff: float) -> None:
    generator = rng("levels on an axis")
    points = np.arange(levels) * 2.0 - levels + 1
    symbols = (generator.choice(points, COUNT // 4) / np.sqrt(np.mean(points**2))).astype(complex)
    iq = received_signal(symbols, samples_per_symbol=4.0, rolloff=rolloff, es_n0_db=20.0, rng=generator)
    found = measure_real_axis(iq, 4.0, 1 + rolloff)
    assert found.alone > 0.9
    assert found.kurtosis < 2.45


def test_a_pattern_that_comes_again_and_again_has_lines_and_noise_has_none() -> None:
    generator = rng("a pattern on an axis")
    pattern = np.tile(_limited(32, generator), COUNT // 32)  # six lines on either side
    assert measure_real_axis(_in_noise(pattern, 20.0, generator), RATE, WIDTH).lined > 0.9
    # A dozen of lines with three bins beside each are a fortieth of the 3,300 on both sides; the strongest have more.
    assert measure_real_axis(_in_noise(_limited(COUNT, generator), 20.0, generator), RATE, WIDTH).lined < 0.2


def test_what_is_silent_or_short_says_nothing() -> None:
    assert measure_real_axis(np.zeros(4096, np.complex64), RATE).kurtosis == 0
    assert measure_real_axis(np.ones(100, np.complex64), RATE).kurtosis == 0


@pytest.mark.parametrize(("carrier", "label"), [(0.0, "DSB-SC"), (1.5, "AM")])
def test_wide_amplitude_modulation_is_named(carrier: float, label: str) -> None:
    """By the models alone it is a linear modulation, or OFDM: they have learnt AM as wide as audio."""
    generator = rng("wide AM")
    signal = carrier + 0.5 * _limited(3 * COUNT, generator)
    found = identify_emission(_in_noise(signal, 20.0, generator), RATE, edges=(-0.4e6, 0.45e6))
    assert (found.family, found.label) == ("am", label)


def test_plain_noise_of_a_limited_band_has_no_subcarriers() -> None:
    """Of 30 bands 3 claims above one half have a probability of 1 in 300, if 1 of 100 is wrong."""
    generator = rng("noise without subcarriers")
    claimed = 0
    for _ in range(30):
        width = WIDTH * generator.uniform(0.5, 1.2)
        noise = _limited(COUNT, generator, width) + 1j * _limited(COUNT, generator, width)
        claimed += measure_subcarriers(noise.astype(np.complex64), RATE, width).confidence > 0.5
    assert claimed < 3
