# SPDX-License-Identifier: GPL-3.0-or-later
"""A simulated band: its emissions are where, when and as strong as its table says."""

import numpy as np
import pytest
from seeds import seed

from amrq.errors import AmrqError
from amrq.signals import SIMULATED_EMISSIONS, SimulatedBand, SimulatedEmission

RATE = 480e3
BINS = 1024


def powers(samples):
    """Return the power in each bin of a periodogram, averaged, and the bins' frequencies."""
    frames = samples[: len(samples) // BINS * BINS].reshape(-1, BINS) * np.hanning(BINS)
    spectrum = np.fft.fftshift(np.abs(np.fft.fft(frames, axis=1)) ** 2, axes=1).mean(axis=0)
    return spectrum, (np.arange(BINS) - BINS // 2) / BINS * RATE


def test_each_emission_has_its_place_and_its_power():
    steady = [emission for emission in SIMULATED_EMISSIONS if not emission.on and emission.bandwidth > 8e3]
    band = SimulatedBand(RATE, seed("simulated band"), steady)
    spectrum, frequency = powers(band.next_samples(400 * BINS))
    noise = np.percentile(spectrum, 20)
    for emission in band.emissions:
        inside = np.abs(frequency - emission.centre) < emission.bandwidth / 2
        beside = (
            np.abs(np.abs(frequency - emission.centre) - 0.75 * emission.bandwidth) < emission.bandwidth / 10
        )
        snr_db = 10 * np.log10(spectrum[inside].mean() / noise - 1)
        # 800 bins of noise and a signal of hundreds of symbols: some tenths of a decibel. A narrow box has few bins.
        assert snr_db == pytest.approx(emission.snr_db, abs=1.5), emission
        if emission.bandwidth > 5e3:
            assert spectrum[beside].mean() < 0.1 * spectrum[inside].mean(), emission


def test_a_signal_repeats_without_a_seam():
    quiet = SimulatedEmission("QPSK", 0.0, 135e3, 60.0, 100e3)
    band = SimulatedBand(RATE, 0, [quiet])
    samples = band.next_samples(band._length + 4000)
    spectrum, frequency = powers(samples[band._length - 2 * BINS : band._length + 2 * BINS])
    inside = np.abs(frequency) < 0.7 * band.emissions[0].bandwidth
    # A jump in phase or amplitude would splatter: some 30 dB below the signal instead of 60.
    assert spectrum[~inside].mean() < 1e-5 * spectrum[inside].mean()


def test_bursts_are_on_when_the_band_says_so():
    packet = SimulatedEmission("FSK", 200e3, 100e3, 30.0, 50e3, on=0.02, off=0.03)
    band = SimulatedBand(RATE, seed("bursts"), [packet])
    (burst,) = band.on_the_air()
    pieces = [band.next_samples(1000) for _ in range(60)]
    (later,) = band.on_the_air()
    power = np.abs(np.concatenate(pieces)) ** 2
    margin = 200
    assert power[: burst.start].mean() < 0.1 * power[burst.start + margin : burst.stop - margin].mean()
    assert power[burst.stop : burst.stop + margin].mean() < 0.1 * power[burst.start : burst.stop].mean()
    assert later.start > burst.stop


@pytest.mark.parametrize(
    "rate, emissions, words",
    [
        (1e3, SIMULATED_EMISSIONS, "10 kS/s"),
        (RATE, [SimulatedEmission("AM", 1.3e6, 9e3, 20.0)], "outside the band"),
    ],
)
def test_what_the_band_cannot_hold_is_refused(rate, emissions, words):
    with pytest.raises(AmrqError, match=words):
        SimulatedBand(rate, 0, emissions)
