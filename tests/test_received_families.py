# SPDX-License-Identifier: GPL-3.0-or-later
"""What a scanner hands on of a family's signal: its noise, its box, its neighbours and its faults are as told."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from seeds import rng

from amrq.errors import AmrqError
from amrq.signals import (
    FAMILY_CLASSES,
    FskParameters,
    KeyedParameters,
    LinearParameters,
    Neighbour,
    Reception,
    family_example,
    received_family,
)

LINEAR = LinearParameters(label="QPSK", bandwidth=1.2e3, symbol_rate=1e3, order=4)
TONES = FskParameters(bandwidth=1.18e3, symbol_rate=1e3, deviation=250.0)


def received(name, family="linear", parameters=LINEAR, samples=20_000, **told):
    return received_family(family, parameters, rng("received", name), Reception(**told), samples)


def power_at(iq, lower, upper):
    """Return the power between two frequencies in bandwidths of the box, of which the sample rate has four."""
    power = np.abs(np.fft.fft(iq * np.hanning(len(iq)))) ** 2 / len(iq) ** 2 / 0.375
    at = np.fft.fftfreq(len(iq)) * 4
    return power[(at >= lower) & (at < upper)].sum()


@pytest.mark.parametrize("family", FAMILY_CLASSES)
@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**32), samples=st.integers(100, 2100))
def test_any_reception_gives_finite_samples_of_unit_power_and_the_same_again(family, seed, samples):
    one = family_example(rng("example", family, seed), family, samples)
    assert one.family == family
    assert one.iq.dtype == np.complex64
    assert one.iq.shape == (samples,)
    assert np.mean(np.abs(one.iq) ** 2) == pytest.approx(1, rel=1e-3)
    again = family_example(rng("example", family, seed), family, samples)
    assert again == one
    assert np.array_equal(again.iq, one.iq)


@pytest.mark.parametrize("snr_db", [-3.0, 0.0, 10.0])
def test_the_noise_is_as_strong_in_the_occupied_bandwidth_as_told(snr_db):
    iq = received(f"noise {snr_db}", snr_db=snr_db)
    noise = power_at(iq, -1.5, -0.8) / 0.7
    signal = power_at(iq, -0.7, 0.7) - 1.4 * noise
    # 3,500 bins of noise: 1.7 % of it.
    assert signal / noise == pytest.approx(10 ** (snr_db / 10), rel=0.12)


def test_the_box_and_the_offset_move_the_signal():
    wide = received("box", box=1.4, offset=0.3)
    # In a box of 1.4 bandwidths the signal fills 1/1.4, and 0.3 bandwidths are 0.3/1.4.
    assert power_at(wide, 0.3 / 1.4 - 0.37, 0.3 / 1.4 + 0.37) > 0.98
    drifting = received("drift", "fsk2", TONES, drift=0.4)
    turns = np.diff(np.unwrap(np.angle(drifting))) * 4 / (2 * np.pi)
    assert turns[-5000:].mean() - turns[:5000].mean() == pytest.approx(
        0.3, abs=0.06
    )  # 3/4 of it, middle to middle


def test_a_neighbour_has_its_place_and_level_and_the_filter_ends_at_two_bandwidths():
    other = Neighbour("linear", LINEAR, 10.0, 1.3, 0.5)
    iq = received("neighbour", neighbours=(other,))
    assert power_at(iq, 1.0, 1.6) / power_at(iq, -0.6, 0.6) == pytest.approx(10, rel=0.15)
    far = received("far", neighbours=(other._replace(place=2.5),))
    assert power_at(far, -0.6, 0.6) > 0.97


def test_pulses_outside_a_burst_are_not_cut_away():
    rare = KeyedParameters(bandwidth=1e6, code="radar", pulse=2e-6, ratio=120.0, rise=0.4e-6)
    for number in range(20):
        iq = received(f"rare {number}", "pulse", rare, 1024, burst=(0.4, 0.5), snr_db=10.0)
        assert np.abs(iq).max() > 5  # a pulse; noise of unit power exceeds this once in 7e10 samples


def test_bursts_begin_and_end_and_rails_clip():
    iq = received("burst", burst=(0.3, 0.8), snr_db=30.0, samples=4000)
    on = np.abs(iq[1400:3000]).mean()
    assert np.abs(iq[:1000]).mean() < 0.1 * on
    assert np.abs(iq[3400:]).mean() < 0.1 * on
    clean, clipped = received("clip"), received("clip", clip=0.8)
    assert np.abs(clipped).max() < 0.85 * np.abs(clean).max()


def test_a_band_that_ends_cuts_and_mirror_and_line_stand_where_told():
    cut = received("band", snr_db=0.0, band=(-1.0, np.inf))
    assert power_at(cut, -1.9, -1.1) < 1e-3 * power_at(cut, 0.7, 1.5)
    line = received("line", line=(0.0, 1.2))
    assert power_at(line, 1.19, 1.21) == pytest.approx(0.5, abs=0.03)
    image = received("image", image=(-20.0, 0.6))
    assert power_at(image, 0.7, 1.7) == pytest.approx(0.01, rel=0.2)


def test_echoes_and_fading_keep_the_power_and_what_is_not_possible_is_refused():
    parameters = FAMILY_CLASSES["fsk2"].draw(rng("echo"))
    plain = Reception(snr_db=20.0)
    droop = received("droop", droop=(6.0, 0.0))
    flat = received("droop")
    fallen = power_at(droop, 0.4, 0.5) / power_at(droop, -0.1, 0.1)
    assert fallen == pytest.approx(10**-0.465 * power_at(flat, 0.4, 0.5) / power_at(flat, -0.1, 0.1), rel=0.1)
    faulty = {"echoes": ((1.5, 0.5j),), "fading": 0.5, "droop": (3.0, -2.0), "phase_noise": 0.05, "step": 0.5}
    for name, value in faulty.items():
        iq = received_family("fsk2", parameters, rng("echo"), replace(plain, **{name: value}))
        assert np.mean(np.abs(iq) ** 2) == pytest.approx(1, rel=1e-3)
    with pytest.raises(AmrqError, match="no family"):
        received_family("fsk3", parameters, rng("echo"), plain)
    with pytest.raises(AmrqError, match="no family"):
        family_example(rng("echo"), "fsk3")
    with pytest.raises(AmrqError, match="box"):
        received_family("fsk2", parameters, rng("echo"), replace(plain, box=0.0))
