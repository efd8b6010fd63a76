# SPDX-License-Identifier: GPL-3.0-or-later
"""Symbols to received I/Q."""

import copy
import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from seeds import rng

from amrq.classes import OTHER_LINEAR, THESIS_9, linear_class, root_raised_cosine
from amrq.errors import AmrqError
from amrq.signals import (
    Conditions,
    ModulatedSignal,
    PulseShaper,
    Schedule,
    add_noise,
    add_phase_noise,
    es_n0_db_from_noise_power,
    noise_power_from_es_n0_db,
    received_signal,
    received_under,
    rotate,
)

NAMES = list(THESIS_9)


@given(st.floats(-50, 150))
def test_es_n0_and_noise_power_are_inverse(es_n0_db: float) -> None:
    assert es_n0_db_from_noise_power(noise_power_from_es_n0_db(es_n0_db)) == pytest.approx(es_n0_db, abs=1e-9)


def test_the_thesis_operating_point() -> None:
    assert es_n0_db_from_noise_power(0.005) == pytest.approx(23.0103, abs=1e-4)
    assert noise_power_from_es_n0_db(math.inf) == 0
    assert es_n0_db_from_noise_power(0) == math.inf
    for broken in (math.nan, -math.inf, -4000.0):
        with pytest.raises(AmrqError):
            noise_power_from_es_n0_db(broken)
    for broken in (-1.0, math.nan, math.inf):
        with pytest.raises(AmrqError):
            es_n0_db_from_noise_power(broken)


def test_noise_has_the_power_asked_for_in_each_row() -> None:
    powers = np.array([0.01, 1.0, 4.0])
    noise = add_noise(np.zeros((3, 100_000), np.complex64), powers, rng("noise"))
    # Standard deviation of the power of 100,000 samples: 0.32 %; of I, Q and I*Q alike.
    np.testing.assert_allclose(np.mean(np.abs(noise) ** 2, axis=1), powers, rtol=0.015)
    np.testing.assert_allclose(noise.real.var(axis=1), powers / 2, rtol=0.02)
    assert np.abs(np.mean(noise.real * noise.imag, axis=1) / powers).max() < 0.01


def test_phase_noise_and_rotation() -> None:
    ones = np.ones((2, 100_000), np.complex64)
    phase = np.angle(add_phase_noise(ones, np.array([0.02, 0.1]), rng("phase")))
    np.testing.assert_allclose(phase.std(axis=1), [0.02, 0.1], rtol=0.015)
    np.testing.assert_allclose(np.angle(rotate(ones, np.array([0.5, -2.0]))[:, 0]), [0.5, -2.0], rtol=1e-6)


def test_shaped_power_and_matched_filter() -> None:
    for sps, rolloff in ((2, 0.35), (4, 0.2), (5, 1.0)):
        shaper = PulseShaper(sps, rolloff, span=48)
        symbols = THESIS_9["QPSK"].points[rng("shape").integers(4, size=4000)]
        shaped = shaper.shape(symbols)
        assert len(shaped) == sps * len(symbols)
        assert np.mean(np.abs(shaped[100 * sps :]) ** 2) == pytest.approx(1.0, abs=0.02)
        impulse = PulseShaper(sps, rolloff, span=48).shape(np.r_[1, np.zeros(60)].astype(np.complex64))
        # A root-raised-cosine pulse behind its matched filter meets Nyquist: zero at all other symbols.
        pulse = impulse[: 48 * sps].real
        autocorrelation = np.convolve(pulse, pulse[::-1])[len(pulse) - 1 :: sps] / sps
        assert autocorrelation[0] == pytest.approx(1.0, abs=1e-4)
        assert np.abs(autocorrelation[1:24]).max() < 3e-3


def test_pulse_without_rolloff_and_at_its_singularities() -> None:
    for rolloff in (0.0, 0.25, 0.5, 1.0):
        taps = PulseShaper(4, rolloff).shape(np.r_[1, np.zeros(23)].astype(np.complex64))
        assert np.isfinite(taps).all()
        assert np.sum(np.abs(taps) ** 2) == pytest.approx(4, rel=1e-4)


@settings(max_examples=25, deadline=None)
@given(
    cuts=st.lists(st.integers(1, 400), min_size=1, max_size=12),
    sps=st.integers(1, 4),
    order=st.sampled_from(["cycle", "random"]),
    seed=st.integers(0, 2**32),
)
def test_a_signal_does_not_depend_on_how_it_is_cut(cuts: list[int], sps: int, order, seed: int) -> None:
    def signal() -> ModulatedSignal:
        schedule = Schedule(["BPSK", "8ASK", "32QAM"], dwell=37, order=order)
        return ModulatedSignal(schedule, 12.0, 0.05, 0.3, sps, 0.3, seed)

    whole, changes = signal().generate(sum(cuts))
    pieces, found, start, cut = [], [], 0, signal()
    for count in cuts:
        piece, here = cut.generate(count)
        pieces.append(piece)
        found += [(start + offset, name) for offset, name in here]
        start += count
    np.testing.assert_allclose(np.concatenate(pieces), whole, atol=2e-6)
    assert found == changes


def test_random_schedule_never_repeats_and_visits_all() -> None:
    schedule, generator = Schedule(NAMES, dwell=1, order="random"), rng("schedule")
    sent = [schedule.next(generator).name for _ in range(2000)]
    assert all(a != b for a, b in itertools.pairwise(sent))
    assert set(sent) == set(NAMES)


def test_truth_stays_right_when_the_pulse_changes() -> None:
    signal = ModulatedSignal(Schedule(["BPSK", "16QAM"], dwell=20), math.inf, samples_per_symbol=8, seed=1)
    position, changes = 0, []
    for step in range(400):
        if step in (40, 120, 200):
            signal.set_pulse({40: 1, 120: 5, 200: 2}[step], 0.35)
        samples, here = signal.generate(50)
        assert all(0 <= offset < len(samples) for offset, _ in here)
        changes += [(position + offset, name) for offset, name in here]
        position += len(samples)
    assert changes == sorted(changes)
    names = [name for _, name in changes]
    assert all(a != b for a, b in itertools.pairwise(names))


def test_refused() -> None:
    schedule = Schedule("BPSK")
    for settings_ in (
        {"es_n0_db": math.nan},
        {"phase_noise": -0.1},
        {"rotation": math.inf},
        {"samples_per_symbol": 0},
        {"samples_per_symbol": 2, "rolloff": -0.1},
    ):
        with pytest.raises(AmrqError):
            ModulatedSignal(schedule, **settings_)
    for arguments in (([],), (["nothing"],), (["BPSK"], 0), (["BPSK"], 5, "sideways")):
        with pytest.raises(AmrqError):
            Schedule(*arguments)


@settings(max_examples=30, deadline=None)
@given(st.floats(2, 9), st.floats(0.2, 1), st.floats(-0.05, 0.05), st.integers(0, 10**6))
def test_a_matched_filter_finds_the_symbols_of_a_received_signal(
    samples_per_symbol: float, rolloff: float, offset: float, number: int
) -> None:
    generator = rng("received signal", number)
    symbols = generator.choice(THESIS_9["16QAM"].points, 120)
    samples = received_signal(
        symbols, samples_per_symbol, rolloff, np.inf, copy.deepcopy(generator), offset, lead=4
    )
    early, phase = generator.random(2)  # what it has drawn
    time = np.arange(len(samples)) / samples_per_symbol - 4 + early
    still = samples * np.exp(-2j * np.pi * (offset * time + phase))
    pulses = root_raised_cosine(time - np.arange(40, 80)[:, None], rolloff)
    np.testing.assert_allclose(pulses @ still / samples_per_symbol, symbols[40:80], atol=0.03)
    assert not np.abs(samples[time < -12]).any()


def test_noise_of_a_received_signal_is_what_es_n0_says() -> None:
    generator = rng("noise of a received signal")
    samples = received_signal(np.zeros(40_000), 5.0, 0.35, 10.0, generator)
    pulse = root_raised_cosine(np.arange(-60, 61) / 5.0, 0.35)
    behind = np.convolve(samples, pulse, "valid")[::5] / 5.0
    # 40,000 draws of a mean of squares: 0.5 % a standard deviation.
    assert np.mean(np.abs(behind) ** 2) == pytest.approx(0.1, rel=0.03)


@pytest.mark.parametrize("values", [(0.5, 0.3), (np.inf, 0.3), (np.nan, 0.3), (4, 1.1), (4, -0.1)])
def test_a_signal_that_cannot_be_received_is_refused(values: tuple[float, float]) -> None:
    with pytest.raises(AmrqError):
        received_signal(np.ones(8), *values, 10.0, rng("refused"))


def test_other_modulations_are_no_class_and_of_unit_power() -> None:
    orders = {"64QAM": 64, "128QAM": 128, "256QAM": 256, "32QAM (8x4)": 32, "32PSK": 32, "16ASK": 16}
    orders |= {"8APSK (4+4)": 8, "16APSK (4+12)": 16, "32APSK (4+12+16)": 32, "4ASK (unipolar)": 4}
    orders |= {"pi/2-DBPSK": 2, "pi/4-DQPSK": 4, "OQPSK": 4}
    assert {name: len(other.points) for name, other in OTHER_LINEAR.items()} == orders
    assert not set(OTHER_LINEAR) & set(THESIS_9)
    for other in OTHER_LINEAR.values():
        assert np.mean(np.abs(other.points) ** 2) == pytest.approx(1)
        distance = np.abs(other.points[:, None] - other.points)
        assert distance[~np.eye(len(distance), dtype=bool)].min() > 0.05  # no point twice
    with pytest.raises(AmrqError, match=r"called '65QAM': choose from 4ASK"):
        linear_class("65QAM")


def test_turning_modulations_step_as_their_names_say() -> None:
    for name, steps in (("pi/2-DBPSK", {-90, 90}), ("pi/4-DQPSK", {-135, -45, 45, 135})):
        sent = linear_class(name).symbols(500, rng(name))
        turned = np.rad2deg(np.angle(sent[1:] / sent[:-1]))
        assert set(np.round(turned).astype(int)) == steps


def behind_a_matched_filter(
    samples: np.ndarray, time: np.ndarray, count: int, late: float = 0.0
) -> np.ndarray:
    """Return symbols 40 to count - 40 of samples at times in symbols."""
    pulses = root_raised_cosine(time - late - np.arange(40, count - 40)[:, None], 0.35)
    return pulses @ samples / 5.0


def received_and_clean(
    conditions: Conditions, symbols: np.ndarray, name: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return what is received without noise and without the carrier's phase, and the times in symbols."""
    generator = rng("received under", name)
    samples = received_under(symbols, conditions, np.inf, copy.deepcopy(generator))
    early, phase = generator.random(2)
    return samples * np.exp(-2j * np.pi * phase), np.arange(len(samples)) / 5.0 + early


def test_what_is_wrong_with_a_signal_is_what_was_asked_for() -> None:
    symbols = rng("conditions").choice(THESIS_9["QPSK"].points, 600)
    usual = Conditions(samples_per_symbol=5.0)
    clean, time = received_and_clean(usual, symbols, "clean")
    np.testing.assert_allclose(behind_a_matched_filter(clean, time, 600), symbols[40:560], atol=0.03)

    late, time = received_and_clean(Conditions(5.0, stagger=0.5), symbols, "stagger")
    np.testing.assert_allclose(behind_a_matched_filter(late, time, 600).real, symbols[40:560].real, atol=0.03)
    np.testing.assert_allclose(
        behind_a_matched_filter(late, time, 600, late=0.5).imag, symbols[40:560].imag, atol=0.03
    )

    heard, time = received_and_clean(Conditions(5.0, echo_db=-6.0, echo_delay=2.0), symbols, "echo")
    assert np.mean(np.abs(heard) ** 2) == pytest.approx(1, rel=0.03)
    found = behind_a_matched_filter(heard, time, 600)
    paths = np.linalg.lstsq(np.stack([symbols[40:560], symbols[38:558]], axis=1), found, rcond=None)[0]
    assert abs(paths[1] / paths[0]) == pytest.approx(10 ** (-6 / 20), abs=0.02)

    line, _ = received_and_clean(Conditions(5.0, offset=0.1, line_db=-6.0), symbols, "line")
    assert abs(np.mean(line)) == pytest.approx(10 ** (-6 / 20), abs=0.03)

    clipped, _ = received_and_clean(Conditions(5.0, offset=0.01, clip=1.0), symbols, "clip")
    samples = received_under(symbols, Conditions(5.0, offset=0.01, clip=1.0), 20.0, rng("clip"))
    assert np.isclose(np.abs(samples.real), np.abs(samples.real).max()).mean() > 0.1
    assert np.abs(clipped).max() < 1.6

    drifting, time = received_and_clean(Conditions(5.0, drift=1e-4), symbols, "drift")
    turned = np.unwrap(np.angle(behind_a_matched_filter(drifting, time, 600) / symbols[40:560])) / (2 * np.pi)
    assert np.mean(np.diff(turned, 2)) == pytest.approx(1e-4, rel=0.1)


def test_rectangular_pulses_fill_their_symbols() -> None:
    symbols = rng("rectangular").choice(THESIS_9["16QAM"].points, 300)
    samples, time = received_and_clean(Conditions(8.0, rolloff=None), symbols, "rectangular")
    time = np.arange(len(samples)) / 8.0 + time[0]
    number = np.floor(time + 0.5).astype(int)
    inside = number < 300
    np.testing.assert_allclose(samples[inside], symbols[number[inside]], atol=1e-5)


@pytest.mark.parametrize(
    "broken",
    [
        {"samples_per_symbol": 0.5},
        {"rolloff": 1.1},
        {"offset": math.nan},
        {"echo_db": math.inf},
        {"echo_delay": -1.0},
        {"line_db": math.nan},
        {"clip": 0.0},
    ],
)
def test_conditions_that_cannot_be_are_refused(broken: dict[str, float]) -> None:
    with pytest.raises(AmrqError, match="not"):
        Conditions(**broken)
