# SPDX-License-Identifier: GPL-3.0-or-later
"""The families' generators: what is told of a signal is what its samples show, by laws that do not use their code."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from seeds import rng

from amrq.errors import AmrqError
from amrq.signals import (
    FAMILY_CLASSES,
    AmParameters,
    ChirpParameters,
    DsssParameters,
    FmParameters,
    FskParameters,
    KeyedParameters,
    LinearParameters,
    OfdmParameters,
    SsbParameters,
    occupied_edges,
)

_NAMES = (
    "noise carrier am ssb fm_narrow fm_wide ook pulse fsk2 fsk4 fskm linear pi4dqpsk oqpsk ofdm chirp dsss"
)
NAMES = _NAMES.split()


def made(family, parameters, name, samples=8192, rate=4.0):
    """Return a signal and its sample rate, Hz."""
    one = FAMILY_CLASSES[family].signal(parameters, rng("families", name), samples, rate)
    return one, rate * parameters.bandwidth


def frequency_of(iq, sample_rate):
    return np.diff(np.unwrap(np.angle(iq))) * sample_rate / (2 * np.pi)


def lines(power, sample_rate):
    """Return the frequencies of a signal's two strongest lines (Hz), and their power over the median bin."""
    spectrum = np.abs(np.fft.fft(power * np.hanning(len(power)))) ** 2
    at = np.fft.fftfreq(len(power), 1 / sample_rate)
    first = int(np.argmax(spectrum))
    away = np.abs(at - at[first]) > 8 * sample_rate / len(power)
    second = int(np.argmax(np.where(away, spectrum, 0)))
    return sorted([at[first], at[second]]), spectrum[[first, second]] / np.median(spectrum)


def test_every_family_of_the_recordings_is_there():
    assert list(FAMILY_CLASSES) == NAMES
    assert all(one.family == name for name, one in FAMILY_CLASSES.items())


@pytest.mark.parametrize("family", NAMES)
@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 2**32), samples=st.integers(64, 2500), rate=st.floats(1.0, 9.0))
def test_any_parameters_give_finite_samples_of_unit_power_and_the_same_again(family, seed, samples, rate):
    one = FAMILY_CLASSES[family]
    parameters = one.draw(rng("drawn", family, seed))
    assert parameters.label
    assert parameters.bandwidth > 0
    iq = one.signal(parameters, rng("made", seed), samples, rate)
    assert iq.dtype == np.complex64
    assert iq.shape == (samples,)
    assert np.mean(np.abs(iq) ** 2) == pytest.approx(1, rel=1e-3)
    assert parameters == one.draw(rng("drawn", family, seed))
    assert np.array_equal(iq, one.signal(parameters, rng("made", seed), samples, rate))


@pytest.mark.parametrize(
    "family", ["ook", "pulse", "fsk2", "fsk4", "fskm", "linear", "pi4dqpsk", "oqpsk", "ofdm", "chirp", "dsss"]
)
def test_the_occupied_bandwidth_is_as_told(family):
    random = rng("occupied", family)
    found = []
    for _ in range(15):
        parameters = replace(FAMILY_CLASSES[family].draw(random), content="random")
        iq = FAMILY_CLASSES[family].signal(parameters, random, 8192)
        lower, upper = occupied_edges(iq, 4.0)
        found.append(upper - lower)
    assert np.median(found) == pytest.approx(1, rel=0.05)


def test_render_gives_pieces_and_refuses_what_it_cannot_make():
    assert FAMILY_CLASSES["fsk4"].render(rng("render"), 3, 128).shape == (3, 128)
    parameters = FAMILY_CLASSES["fsk4"].draw(rng("render"))
    for samples, rate in ((0, 4.0), (100, 0.5), (100, float("nan"))):
        with pytest.raises(AmrqError, match="samples a bandwidth"):
            FAMILY_CLASSES["fsk4"].signal(parameters, rng("render"), samples, rate)


@pytest.mark.parametrize("order", [2, 4, 8])
def test_frequency_keying_has_its_tones_where_they_are_told(order):
    told = FskParameters(bandwidth=30e3, symbol_rate=1e3, order=order, deviation=9e3)
    iq, rate = made("fsk2", told, f"tones {order}", rate=8.0)
    frequency = frequency_of(iq, rate)
    tones = -9e3 + np.arange(order) * told.spacing
    nearest = tones[np.argmin(np.abs(frequency[:, None] - tones), axis=1)]
    # Where no edge is near, the frequency is a tone's; the channel's filter smears the edges over some samples.
    assert np.mean(np.abs(frequency - nearest) < 0.02 * told.spacing) > 0.9
    assert set(nearest) == set(tones)
    assert told.index == pytest.approx(2 * 9e3 / (order - 1) / 1e3)


def test_the_square_of_msk_has_two_lines_half_a_symbol_rate_to_either_side():
    told = FskParameters(label="MSK", bandwidth=1.18e3, symbol_rate=1e3, deviation=250.0)
    iq, rate = made("fsk2", told, "msk")
    found, strength = lines(iq**2, rate)
    assert np.allclose(found, [-500, 500], atol=2)
    assert strength.min() > 1000
    assert np.abs(iq).std() < 0.1


@pytest.mark.parametrize(
    ("family", "label", "place"), [("pi4dqpsk", "pi/4-DQPSK", 1 / 2), ("linear", "QPSK", 0)]
)
def test_the_fourth_power_has_its_line_an_eighth_of_the_symbol_rate_off_or_in_the_middle(
    family, label, place
):
    told = LinearParameters(label=label, bandwidth=1.2e3, symbol_rate=1e3, order=4, rolloff=0.5)
    iq, rate = made(family, told, label)
    found, _ = lines(iq**4, rate)
    # Four times an eighth; half a symbol rate to either side are one line and its neighbour, a symbol rate off.
    assert min(abs(abs(one) - place * 1e3) for one in found) < 2
    assert all(abs((one - place * 1e3 + 500) % 1e3 - 500) < 2 for one in found)


def test_ofdm_is_like_itself_a_useful_time_later():
    told = OfdmParameters(bandwidth=52e3, symbol_rate=800.0, spacing=1e3, prefix=0.25, subcarriers=52)
    iq, rate = made("ofdm", told, "ofdm", 20_000)
    lag = round(rate / told.spacing)
    shifts = np.arange(lag // 2, 3 * lag // 2)
    found = np.array([abs(np.vdot(iq[:-shift], iq[shift:])) / len(iq) for shift in shifts])
    assert shifts[np.argmax(found)] == lag
    # A fifth of the time is prefix: as much is repeated.
    assert found.max() == pytest.approx(0.2, abs=0.05)


def test_a_chirp_becomes_a_tone():
    told = ChirpParameters(bandwidth=125e3, sweep_time=1024e-6, spreading_factor=7)
    iq, rate = made("chirp", told, "chirp", 4096)
    time = np.arange(len(iq)) / rate
    straight = iq * np.exp(-1j * np.pi * 125e3 / 1024e-6 * time**2)
    spectrum = np.sort(np.abs(np.fft.fft(straight[:512])) ** 2)[::-1]
    # A symbol of 512 samples: two symbols meet in 512 samples, each a tone with at most one jump.
    assert spectrum[:24].sum() > 0.8 * spectrum.sum()


def test_a_spread_signal_repeats_its_code():
    told = DsssParameters(bandwidth=1.2e6, symbol_rate=1e6 / 31, chip_rate=1e6, code=31)
    iq, rate = made("dsss", told, "dsss", rate=5.0)
    period = round(31 * rate / 1e6)
    pieces = iq[: len(iq) // period * period].reshape(-1, period)
    alike = np.abs(np.sum(pieces[1:].conj() * pieces[:-1], axis=1)) / np.mean(
        np.sum(np.abs(pieces) ** 2, axis=1)
    )
    assert np.median(alike) > 0.6  # half of the code's periods have a change of the data inside


def test_the_depth_of_am_and_the_side_of_ssb_are_as_told():
    told = AmParameters(bandwidth=6e3, depth=0.5, audio="tones", audio_band=(990.0, 1010.0))
    iq, _ = made("am", told, "am", 20_000)
    top, bottom = np.quantile(np.abs(iq), [0.99, 0.01])
    assert (top - bottom) / (top + bottom) == pytest.approx(0.5, abs=0.12)
    for side, sign in (("upper", 1), ("lower", -1)):
        ssb = SsbParameters(bandwidth=6e3, side=side, audio="voice", audio_band=(300.0, 2700.0))
        iq, rate = made("ssb", ssb, side)
        power = np.abs(np.fft.fft(iq * np.hanning(len(iq)))) ** 2
        at = np.fft.fftfreq(len(iq), 1 / rate)
        assert power[at * sign > 50].sum() > 0.99 * power.sum()


def test_the_stereo_pilot_is_in_the_frequency_as_strong_as_told():
    told = FmParameters(bandwidth=150e3, deviation=75e3, audio="music", audio_band=(40.0, 15e3), pilot=0.09)
    iq, rate = made("fm_wide", told, "pilot", 60_000)
    frequency = frequency_of(iq, rate)
    time = np.arange(len(frequency)) / rate
    line = abs(np.mean(frequency * np.exp(-2j * np.pi * 19e3 * time))) * 2
    assert line == pytest.approx(0.09 * 75e3, rel=0.05)


def test_morse_and_pulses_last_as_long_as_told():
    told = KeyedParameters(
        bandwidth=300.0, symbol_rate=20.0, code="morse", pulse=0.05, rise=0.004, speed=24.0
    )
    iq, rate = made("carrier", told, "morse", 16_384)
    on = np.abs(iq) > 0.5 * np.abs(iq).max()
    edges = np.flatnonzero(np.diff(on.astype(int)))
    lasts = np.diff(edges)[(not on[0]) ^ (not on[edges[0] + 1]) :: 2] / rate / 0.05
    assert np.allclose(np.round(lasts), lasts, atol=0.6)  # hands are not exact
    squitter = KeyedParameters(
        bandwidth=6e6, symbol_rate=1e6, code="adsb", pulse=0.5e-6, gap=200e-6, rise=0.08e-6
    )
    iq, rate = made("pulse", squitter, "adsb", 30_000)
    on = np.abs(iq) > 0.5 * np.abs(iq).max()
    rises = np.flatnonzero(np.diff(on.astype(int)) > 0) / rate
    assert np.isclose(np.diff(rises)[:, None], [1e-6, 2.5e-6, 3.5e-6], atol=0.1e-6).any(axis=0).all()
