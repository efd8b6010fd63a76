# SPDX-License-Identifier: GPL-3.0-or-later
"""Carrier recovery on symbols made here: what it removes, what it leaves alone, that calls do not matter."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from seeds import rng

from amrq.classes import THESIS_9
from amrq.errors import AmrqError
from amrq.measure import STEP, CarrierRecovery

Symbols = NDArray[np.complex64]


# An Es/N0 in dB at which each class can be followed.
ESN0 = {
    "4ASK": 8.0,
    "8ASK": 8.0,
    "BPSK": 8.0,
    "8QAM": 10.0,
    "QPSK": 10.0,
    "16QAM": 12.0,
    "32QAM": 18.0,
    "8PSK": 14.0,
    "16PSK": 20.0,
}


def _noise(count: int, generator: np.random.Generator) -> Symbols:
    noise = (generator.standard_normal(count) + 1j * generator.standard_normal(count)) / np.sqrt(2)
    return np.asarray(noise, dtype=np.complex64)


def _received(
    name: str, count: int, esn0: float, offset: float, drift: float = 0.0, seed: int = 1, wander: float = 0.0
) -> Symbols:
    """Symbols with noise, an offset (cycles/symbol), a drift (cycles/symbol^2) and phase noise (rad a symbol)."""
    generator = rng("carrier recovery", seed)
    time = np.arange(count)
    turn = np.exp(2j * np.pi * (offset * time + drift * time**2 / 2 + generator.random()))
    turn *= np.exp(1j * wander * np.cumsum(generator.standard_normal(count))) if wander else 1
    clean = generator.choice(THESIS_9[name].points, count) * turn
    return np.asarray(clean + 10 ** (-esn0 / 20) * _noise(count, generator), dtype=np.complex64)


def _removed(before: Symbols, after: Symbols) -> NDArray[np.float64]:
    """Frequency taken out of each chunk, cycles/symbol."""
    count = len(after)
    turn = (after * before[:count].conj()).astype(np.complex128).reshape(-1, STEP)
    turn /= np.maximum(np.abs(turn), 1e-30)
    return -np.angle((turn[:, 1:] * turn[:, :-1].conj()).sum(axis=1)) / (2 * np.pi)


def _left(
    before: Symbols, after: Symbols, name: str, offset: float, drift: float = 0.0
) -> NDArray[np.float64]:
    """Offset left in each chunk, cycles/symbol, but for what the class's symmetry hides."""
    order = THESIS_9[name].symmetry
    removed = _removed(before, after)
    middle = np.arange(len(removed)) * STEP + (STEP - 1) / 2
    left: NDArray[np.float64]
    left = (offset + drift * middle - removed + 0.5 / order) % (1 / order) - 0.5 / order
    return left


@pytest.mark.parametrize("name", THESIS_9)
@pytest.mark.parametrize("offset", [-0.07, 0.0, 0.013, 0.05])
def test_offset_is_removed(name: str, offset: float) -> None:
    """Of 335 chunks after lock, 99 % have less than 1e-3 cycles/symbol left."""
    received = _received(name, 12_000, ESN0[name], offset)
    left = np.abs(_left(received, CarrierRecovery().process(received), name, offset))[40:]
    assert np.quantile(left, 0.99) < 1e-3


@pytest.mark.parametrize("name", ["BPSK", "8QAM", "QPSK", "16QAM", "8PSK"])
def test_satellite_drift_is_followed(name: str) -> None:
    """2e-5 cycles/symbol^2: 30 Hz/s at 1,200 Bd."""
    received = _received(name, 8_000, 20.0, -0.08, 2e-5)
    left = np.abs(_left(received, CarrierRecovery().process(received), name, -0.08, 2e-5))[40:]
    assert np.quantile(left, 0.95) < 1e-3


@pytest.mark.parametrize("name", ["BPSK", "QPSK", "8PSK", "16QAM"])
@pytest.mark.parametrize("drift", [6e-5, 1.2e-4, -2e-4])
def test_fast_drift_is_followed(name: str, drift: float) -> None:
    """Of 8 signals of 1,024 symbols, from the first step on."""
    left = []
    for seed in range(8):
        received = _received(name, 1_024, 20.0, -512 * drift, drift, seed)
        after = CarrierRecovery(hold=16).finish(received)
        left.append(np.abs(_left(received, after, name, -512 * drift, drift)))
    assert np.quantile(left, 0.97) < 2e-3


@pytest.mark.parametrize("name", ["BPSK", "QPSK", "8PSK", "16QAM"])
def test_phase_noise_is_followed(name: str) -> None:
    """0.1 rad a symbol: in most of 188 chunks less is left of it than a straight line through the phase leaves."""
    generator = rng("phase noise", name)
    phase = np.cumsum(0.1 * generator.standard_normal(6_400))
    clean = generator.choice(THESIS_9[name].points, 6_400) * np.exp(1j * phase)
    received = (clean + 0.1 * _noise(6_400, generator)).astype(np.complex64)
    after = CarrierRecovery(hold=16).finish(received)
    removed = np.unwrap(-np.angle((after * received.conj()).astype(np.complex128)).reshape(-1, STEP), axis=1)
    phase = phase.reshape(-1, STEP)
    time = np.arange(STEP) - (STEP - 1) / 2
    straight = phase - np.outer(phase @ time / (time @ time), time)
    left = [np.median(np.std(of, axis=1)[12:]) for of in (phase - removed, straight)]
    assert left[0] < left[1]


def test_orders_and_shares_say_how_well_a_step_was_followed() -> None:
    clear, lost = CarrierRecovery(), CarrierRecovery()
    clear.process(_received("8PSK", 6_400, 20.0, 0.02))
    lost.process(_received("8PSK", 6_400, 20.0, 0.02, wander=0.3))
    assert len(clear.orders) == len(clear.shares) == len(clear.rates) == 200 - 4
    assert set(clear.orders[8:]) == {8} and min(clear.shares[8:]) > 0.3
    assert max(lost.shares) < 0.2 and np.mean(np.array(lost.orders) == 8) < 0.2


@pytest.mark.parametrize("name", ["8QAM", "BPSK", "4ASK"])
def test_no_wrong_alias(name: str) -> None:
    """A residual of 1/4 cycle/symbol would make four arms of two: the true line is at M = 2."""
    recovery = CarrierRecovery()
    recovery.process(_received(name, 4_000, 20.0, 0.06))
    assert recovery.order == 2
    assert recovery.offset == pytest.approx(0.06, abs=1e-3)


def test_a_quarter_turn_a_symbol_stays() -> None:
    """pi/2-BPSK shows four points and must go on doing so."""
    generator = rng("a quarter turn")
    time = np.arange(4_000)
    received = generator.choice([-1, 1], 4_000) * np.exp(2j * np.pi * (0.25 - 0.066) * time)
    received += 0.05 * _noise(4_000, generator)
    recovery = CarrierRecovery()
    recovery.process(received)
    assert recovery.order == 4
    assert recovery.offset == pytest.approx(-0.066, abs=1e-3)
    assert np.mean(recovery.turning) > 0.95


@pytest.mark.parametrize("name", THESIS_9)
def test_a_constellation_that_stands_still_is_not_said_to_turn(name: str) -> None:
    recovery = CarrierRecovery()
    recovery.process(_received(name, 6_400, ESN0[name], 0.04), [0.02] * 200)
    assert not np.any(recovery.turning[10:])


def test_an_eighth_of_a_turn_a_symbol_is_seen_from_the_middle_of_the_spectrum() -> None:
    """pi/4-DQPSK, which is QPSK once its fourth power's line is removed."""
    received = _received("QPSK", 6_400, 15.0, 0.02) * np.exp(0.25j * np.pi * np.arange(6_400))
    for middle, turning in ((np.nan, False), (0.0, True), (0.05, True)):
        recovery = CarrierRecovery()
        recovery.process(received, [middle] * 200)
        assert np.mean(np.array(recovery.turning[10:]) == turning) > 0.95
        expected = 0.02 if turning else 0.02 + 0.125 - 0.25
        np.testing.assert_allclose(recovery.rates[10:], expected, atol=1e-3)


@pytest.mark.parametrize("name", ["BPSK", "QPSK", "8PSK", "16QAM"])
def test_what_comes_before_the_first_line_is_held_back_and_turned_by_it(name: str) -> None:
    """From the very first chunk on; without holding back the first ones leave spinning."""
    left = {}
    for hold in (0, 16):
        received = _received(name, 3_200, 15.0, 0.03)
        recovery = CarrierRecovery(hold=hold)
        after = recovery.finish(received)
        assert len(after) == len(received) and recovery.pending == 0
        np.testing.assert_allclose(np.abs(after), np.abs(received), rtol=1e-5, atol=1e-6)
        left[hold] = np.abs(_left(received, after, name, 0.03))
    assert np.quantile(left[16][:12], 0.9) < 2e-3
    if name == "16QAM":  # the others show in the first steps
        assert left[0][0] > 0.02
    np.testing.assert_allclose(left[16][40:], left[0][40:], atol=1e-4)


def test_a_burst_out_of_noise_is_turned_from_its_beginning_on() -> None:
    generator = rng("a burst out of noise")
    burst = _received("QPSK", 960, 15.0, -0.04)
    received = np.concatenate((0.05 * _noise(3_200, generator), burst, 0.05 * _noise(1_600, generator)))
    after = CarrierRecovery(hold=16).finish(received.astype(np.complex64))
    left = np.abs(_left(burst, after[3_200:4_160], "QPSK", -0.04))
    assert left.max() < 2e-3


@given(cuts=st.lists(st.integers(0, 6_000), max_size=8), hold=st.integers(0, 64))
@settings(max_examples=20, deadline=None)
def test_holding_back_does_not_depend_on_calls_and_loses_nothing(cuts: list[int], hold: int) -> None:
    generator = rng("held back")
    signal = _received("16QAM", 3_000, 15.0, 0.03)
    received = np.concatenate((_noise(1_500, generator), signal, _noise(1_501, generator)))
    whole = CarrierRecovery(hold=hold).finish(received)
    recovery = CarrierRecovery(hold=hold)
    edges = [0, *sorted(min(cut, len(received)) for cut in cuts)]
    parts = [recovery.process(received[one:two]) for one, two in itertools.pairwise(edges)]
    assert recovery.pending <= STEP * (hold + 4) + STEP - 1
    parts.append(recovery.finish(received[edges[-1] :]))
    after = np.concatenate(parts)
    assert len(after) == len(received)
    np.testing.assert_array_equal(
        after, whole
    )  # to the bit: what is computed of a recording can be computed again


def test_behind_a_break_another_carrier_is_found_at_once() -> None:
    one, two = _received("QPSK", 3_200, 15.0, 0.05), _received("QPSK", 3_200, 15.0, -0.06, seed=2)
    recovery = CarrierRecovery(hold=16)
    before = np.concatenate((recovery.process(one), recovery.restart()))
    assert len(before) == len(one)
    after = recovery.finish(two)
    assert np.abs(_left(two, after, "QPSK", -0.06)).max() < 5e-3


def test_how_much_may_be_held_back() -> None:
    for hold in (-1, 65):
        with pytest.raises(AmrqError, match="0 to 64 steps"):
            CarrierRecovery(hold=hold)


def test_noise_is_left_alone() -> None:
    """In 6,250 chunks of noise a line is seen once in six such runs, and the frequency then changes a few times."""
    noise = _noise(200_000, rng("noise alone"))
    removed = _removed(noise, CarrierRecovery().process(noise))
    changes = np.flatnonzero(np.abs(np.diff(removed)) > 1e-4)
    lines = np.count_nonzero(np.diff(changes, prepend=-100) > 16)
    assert lines < 3 and len(changes) < 50


def test_offset_is_held_when_the_signal_goes() -> None:
    signal = _received("QPSK", 3_200, 20.0, 0.03)
    noise = _noise(3_200, rng("the signal goes"))
    recovery = CarrierRecovery()
    recovery.process(np.concatenate((signal, noise)))
    assert recovery.order == 0
    assert recovery.offset == pytest.approx(0.03, abs=3e-3)


def test_a_new_signal_is_found() -> None:
    """From one burst to the next, of another class at another frequency, within 10 chunks."""
    first, second = _received("BPSK", 3_200, 20.0, 0.03), _received("QPSK", 3_200, 20.0, -0.04, seed=2)
    recovery = CarrierRecovery()
    recovery.process(first)
    after = np.concatenate((recovery.process(second), recovery.restart()))[-len(second) :]
    assert np.all(np.abs(_left(second, after, "QPSK", -0.04)[10:]) < 1e-3)


@settings(max_examples=25, deadline=None)
@given(cuts=st.lists(st.integers(0, 4_000), max_size=40))
def test_calls_do_not_matter(cuts: list[int]) -> None:
    received = np.concatenate(
        (
            _noise(500, rng("calls do not matter")),
            _received("8PSK", 2_000, 16.0, 0.02),
            _received("BPSK", 1_500, 9.0, -0.03),
        )
    )
    whole = CarrierRecovery().process(received)
    recovery = CarrierRecovery()
    parts = [recovery.process(part) for part in np.split(received, sorted(cuts))]
    assert recovery.pending == len(received) % STEP + 4 * STEP
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_one_symbol_a_call() -> None:
    received = _received("QPSK", 1_000, 15.0, 0.04)
    recovery = CarrierRecovery()
    parts = [recovery.process(received[k : k + 1]) for k in range(len(received))]
    assert len(parts[159]) == STEP and not any(len(part) for part in parts[:159])
    np.testing.assert_allclose(np.concatenate(parts), CarrierRecovery().process(received), atol=1e-4)


@pytest.mark.parametrize("bad", [np.nan, np.inf, complex(0, -np.inf), 3e38])
def test_a_bad_symbol_does_no_lasting_harm(bad: complex) -> None:
    received = _received("QPSK", 6_400, 20.0, 0.04)
    received[1_000] = received[1_001] = bad
    after = CarrierRecovery().process(received)
    assert np.all(np.isfinite(after))
    assert after[1_000] == 0
    assert np.all(np.abs(_left(received[3_200:], after[3_200:], "QPSK", 0.04)) < 1e-3)


@pytest.mark.parametrize("level", [1e-9, 1.0, 1e9])
def test_level_does_not_matter(level: float) -> None:
    received = _received("16QAM", 6_400, 20.0, 0.04)
    after = CarrierRecovery().process(received * np.float32(level))
    np.testing.assert_allclose(after / level, CarrierRecovery().process(received), atol=1e-3)


def test_only_turns() -> None:
    received = _received("32QAM", 3_200, 20.0, 0.04)
    np.testing.assert_allclose(np.abs(CarrierRecovery().finish(received)), np.abs(received), rtol=1e-5)


@pytest.mark.parametrize("silence", [0, 31, 3_200])
def test_silence(silence: int) -> None:
    after = CarrierRecovery().finish(np.zeros(silence, np.complex64))
    assert len(after) == silence
    assert not after.any()


def test_reset_forgets() -> None:
    received = _received("QPSK", 2_000, 15.0, 0.04)
    recovery = CarrierRecovery()
    first = recovery.process(received)
    recovery.reset()
    np.testing.assert_array_equal(recovery.process(received), first)


@pytest.mark.parametrize("bad", [0.0, -0.1, 0.3, float("nan")])
def test_bad_limits_are_refused(bad: float) -> None:
    with pytest.raises(AmrqError, match=r"max_offset .* cycles/symbol"):
        CarrierRecovery(bad)


def test_the_last_symbols_are_turned_on_evenly() -> None:
    """The rest of a step, which `finish` gives, continues the steps before it: no jump of phase or frequency."""
    before = _received("QPSK", 1_024 + 21, 20.0, 0.04, 1e-5)
    recovery = CarrierRecovery()
    after = np.concatenate((recovery.process(before[:700]), recovery.finish(before[700:])))
    assert len(after) == len(before)
    turn = np.angle(after[-85:] ** 4 / np.abs(after[-85:] ** 4)) / 4
    clean = np.angle(np.exp(4j * (turn - np.angle(np.mean(np.exp(4j * turn[:64]))) / 4))) / 4
    assert np.abs(clean[64:]).mean() < 2.5 * np.abs(clean[:64]).mean() < 0.5
    assert recovery.pending == 0
