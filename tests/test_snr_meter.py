# SPDX-License-Identifier: GPL-3.0-or-later
"""In-band SNR over the noise floor, where that shows."""

import math
import warnings

import numpy as np
import pytest
from numpy.typing import NDArray
from seeds import rng

from amrq.classes import THESIS_9
from amrq.measure import SnrMeter
from amrq.signals import received_signal

Samples = NDArray[np.complex64]


def measured(samples: Samples, per_symbol: float, rolloff: float = 0.35, offset: float = 0.0) -> float | None:
    meter = SnrMeter(per_symbol, 1.0, rolloff, offset)
    for begin in range(0, len(samples) - meter.length, meter.step):
        meter.take([samples[begin : begin + meter.length]])
    return meter.snr_db()


def signal(es_n0_db: float, per_symbol: float, offset: float = 0.02, name: str = "16QAM") -> Samples:
    random = rng("snr", str(es_n0_db), str(per_symbol), str(offset), name)
    sent = random.choice(THESIS_9[name].points, 1_600)
    samples = received_signal(sent, per_symbol, 0.35, es_n0_db, random, offset=offset)
    return np.asarray(samples, np.complex64)


@pytest.mark.parametrize("per_symbol", [2.5, 4.0, 11.3, 100.0])
@pytest.mark.parametrize("es_n0_db", [5.0, 10.0, 20.0, 35.0])
def test_it_is_the_signals_over_the_noise_in_its_band(per_symbol: float, es_n0_db: float) -> None:
    # Es/N0 is the signal's power over that of the noise in one symbol rate; its band is 1.35 times as wide.
    expected = es_n0_db - 10 * math.log10(1.35)
    assert measured(signal(es_n0_db, per_symbol), per_symbol) == pytest.approx(expected, abs=1.2)


def test_level_and_place_in_the_band_make_no_difference() -> None:
    samples = signal(15.0, 12.0)
    turned = 1e-3 * samples * np.exp(2j * np.pi * 2.5 / 12 * np.arange(len(samples)))
    found = measured(turned.astype(np.complex64), 12.0, offset=2.5)
    assert found == pytest.approx(measured(samples, 12.0), abs=0.8)


def noise(count: int) -> Samples:
    random = rng("snr noise", count)
    return np.asarray(random.standard_normal((count, 2)).astype(np.float32).view(np.complex64)[:, 0])


def test_nothing_is_claimed_where_the_floor_does_not_show() -> None:
    samples = signal(20.0, 4.0)
    for number in range(20):
        assert measured(noise(20_000 + number), 4.0) is None  # no signal
    assert measured(signal(20.0, 2.0), 2.0) is None  # no room beside it
    assert measured(np.zeros(20_000, np.complex64), 4.0) is None
    # The noise was filtered as narrowly as the signal: what is beside it says nothing of what is in it.
    spectrum = np.fft.fft(samples)
    spectrum[np.abs(np.fft.fftfreq(len(samples), 0.25)) > 0.8] *= 1e-3
    narrow = np.fft.ifft(spectrum) + 1e-6 * noise(len(samples))
    found = measured(narrow.astype(np.complex64), 4.0)
    assert found is None or found > 60
    # A filter that falls across the band.
    sloping = np.fft.ifft(np.fft.fft(samples) * np.exp(np.fft.fftfreq(len(samples), 0.25)))
    assert measured(sloping.astype(np.complex64), 4.0) is None
    for value in (np.nan, np.inf, complex(np.nan, np.inf)):
        broken = samples.copy()
        broken[::100] = value
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert measured(broken, 4.0) is None


def test_too_few_samples_and_a_break() -> None:
    samples, meter = signal(20.0, 4.0), SnrMeter(4.0, 1.0)
    pieces = [samples[n : n + meter.length] for n in range(0, 20 * meter.step, meter.step)]
    meter.take(pieces[:4])
    assert meter.snr_db() is None
    meter.take(pieces[4:])
    assert meter.snr_db() is not None
    meter.reset()
    assert meter.snr_db() is None
