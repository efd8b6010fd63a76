# SPDX-License-Identifier: GPL-3.0-or-later
"""The level of a stream."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from seeds import rng

from amrq.classes import THESIS_9
from amrq.errors import AmrqError
from amrq.signals import noise_power_from_es_n0_db
from amrq.tracking import LevelTracker, TrackedLevel

LENGTH = 32


def powers(generator: np.random.Generator, name: str, es_n0_db: float, count: int) -> np.ndarray:
    """Powers of `count` chunks of a class in noise; of noise alone of unit power where there is no such class."""
    noise = generator.standard_normal((count, LENGTH, 2)).view(np.complex128)[..., 0] * np.sqrt(0.5)
    if name in THESIS_9:
        points = THESIS_9[name].points
        symbols = points[generator.integers(len(points), size=noise.shape)]
        noise = symbols + np.sqrt(noise_power_from_es_n0_db(es_n0_db)) * noise
    return np.mean(np.abs(noise) ** 2, axis=1).astype(np.float32)


def track(power: np.ndarray, hop: int = LENGTH) -> TrackedLevel:
    return LevelTracker(LENGTH).update(power, hop * np.arange(len(power)))


def decibels(ratio: np.ndarray) -> np.ndarray:
    return 10 * np.log10(ratio)


@pytest.mark.parametrize("es_n0_db", [0.0, 10.0, 20.0])
@pytest.mark.parametrize("name", [*THESIS_9, "noise"])
def test_steady_streams(name: str, es_n0_db: float) -> None:
    power = powers(rng("steady", name, int(es_n0_db)), name, es_n0_db, 10_000)
    tracked = track(power)
    known = np.isfinite(tracked.power)
    assert not known[:16].any() and known[16]
    # A false alarm costs 16 chunks, and falls at most some times in 10,000 chunks.
    assert known.mean() > 0.98 and tracked.began.sum() <= 8
    true = 1.0 if name == "noise" else 1 + noise_power_from_es_n0_db(es_n0_db)
    error = decibels(tracked.power[known] / true)
    assert np.sqrt(np.mean(error**2)) < 0.1
    assert np.abs(error).max() < 1.0


@pytest.mark.parametrize("step_db", [20.0, -20.0, 6.0, -6.0, 3.0, -3.0, 2.0, -2.0])
@pytest.mark.parametrize("name", ["BPSK", "8ASK", "noise"])
def test_a_step_never_stands_wrong_for_long(name: str, step_db: float) -> None:
    generator = rng("step", name, str(step_db))
    factor = 10 ** (step_db / 10)
    true = 1.0 if name == "noise" else 1 + noise_power_from_es_n0_db(15.0)
    for _ in range(20):
        power = powers(generator, name, 15.0, 400)
        power[200:] *= np.float32(factor)
        tracked = track(power)
        error = np.abs(decibels(tracked.power[200:] / (true * factor)))
        wrong = np.flatnonzero(np.nan_to_num(error) > 1)
        assert len(wrong) == 0 if abs(step_db) >= 20 else len(wrong) <= 12
        assert np.isfinite(tracked.power[240:]).mean() > 0.5  # known again soon


def test_a_step_within_a_chunk() -> None:
    for factor in (100.0, 0.01):
        power = powers(rng("within", str(factor)), "QPSK", 15.0, 100)
        power[50] *= (1 + factor) / 2
        power[51:] *= factor
        level = track(power).power
        true = (1 + noise_power_from_es_n0_db(15.0)) * factor
        assert np.nanmax(np.abs(decibels(level[51:] / true))) < 1
        assert np.isfinite(level[70:]).all()


def test_another_modulation_is_no_step() -> None:
    generator = rng("another")
    for _ in range(20):
        names = generator.permutation(list(THESIS_9))
        power = np.concatenate([powers(generator, name, 12.0, 50) for name in names])
        tracked = track(power)
        error = decibels(tracked.power[16:] / (1 + noise_power_from_es_n0_db(12.0)))
        assert np.isfinite(error).mean() > 0.95 and np.nanmax(np.abs(error)) < 1


def test_slow_fading_is_followed() -> None:
    count = 2000
    fade_db = 10 * np.sin(2 * np.pi * np.arange(count) / 1000)  # up to 0.06 dB a chunk
    level = 10 ** (fade_db / 10)
    power = (powers(rng("fading"), "16QAM", 15.0, count) * level).astype(np.float32)
    tracked = track(power).power
    error = np.abs(decibels(tracked / (level * (1 + noise_power_from_es_n0_db(15.0)))))
    assert np.nanmean(error > 1.5) < 0.1
    assert np.isfinite(tracked).mean() > 0.5


def mixed_powers(generator: np.random.Generator, count: int) -> np.ndarray:
    """Powers with steps, silence and broken chunks."""
    steps_db = np.where(generator.random(count) < 0.03, generator.uniform(-20, 20, count), 0)
    power = 10 ** (steps_db.cumsum() / 10) * generator.gamma(LENGTH, 1 / LENGTH, count)
    power[generator.random(count) < 0.05] = np.nan
    power[generator.random(count) < 0.05] = 0.0
    for start in generator.integers(count + 1, size=2):
        power[start : start + 20] = 0.0
    return power.astype(np.float32)


@settings(deadline=None, max_examples=50)
@given(
    cuts=st.lists(st.integers(0, 120), min_size=1, max_size=8),
    seed=st.integers(0, 1000),
    hop=st.sampled_from([8, 32, 50]),
)
def test_calls_make_no_difference_and_nothing_looks_ahead(cuts: list[int], seed: int, hop: int) -> None:
    count = sum(cuts)
    power = mixed_powers(rng("mixed powers", seed), count)
    indices = hop * np.arange(count)
    whole = LevelTracker(LENGTH).update(power, indices)
    pieces, start = LevelTracker(LENGTH), 0
    for size in cuts:
        # A piece knows nothing of those after it: that the results agree is that nothing looks ahead.
        part = pieces.update(power[start : start + size], indices[start : start + size])
        np.testing.assert_array_equal(part.power, whole.power[start : start + size])
        np.testing.assert_array_equal(part.began, whole.began[start : start + size])
        start += size


def test_own_power_does_not_enter() -> None:
    power = powers(rng("own"), "8ASK", 10.0, 100)
    other = power.copy()
    other[60] *= 1.5  # no step yet
    np.testing.assert_array_equal(track(power).power[:61], track(other).power[:61])


def test_silence_and_broken_chunks_are_left_out() -> None:
    power = powers(rng("silence"), "QPSK", 15.0, 100)
    plain = track(power).power
    gaps = np.insert(power, [40, 40, 41], [0.0, np.nan, np.inf]).astype(np.float32)
    tracked = track(gaps)
    missing = np.isin(np.arange(103), [40, 41, 43])
    assert np.isnan(tracked.power[missing]).all()
    np.testing.assert_allclose(tracked.power[~missing], plain)
    assert not tracked.began.any()


def test_behind_a_pause_the_level_begins_anew() -> None:
    power = np.concatenate([np.ones(50), np.zeros(16), np.ones(50)]).astype(np.float32)
    tracked = track(power)
    assert np.flatnonzero(tracked.began).tolist() == [66]
    np.testing.assert_array_equal(np.isfinite(tracked.power[66:]), np.arange(50) >= 16)
    short = np.concatenate([np.ones(50), np.zeros(15), np.ones(50)]).astype(np.float32)
    assert not track(short).began.any()


def test_overlapping_chunks_count_for_what_is_new() -> None:
    generator = rng("overlap")
    noise = generator.standard_normal((40_000, 2)).view(np.complex128)[:, 0] * np.sqrt(0.5)
    windows = np.lib.stride_tricks.sliding_window_view(np.abs(noise) ** 2, LENGTH)[::8]
    tracked = track(windows.mean(axis=1).astype(np.float32), hop=8)
    assert np.flatnonzero(np.isfinite(tracked.power))[0] in (61, 62)  # 1 + 60 / 4 = 16 chunks' worth
    assert tracked.began.sum() <= 8  # neighbours vary together, and that is no step
    error = decibels(tracked.power[np.isfinite(tracked.power)])
    assert np.sqrt(np.mean(error**2)) < 0.25


def test_extreme_powers() -> None:
    power = np.repeat(np.float32([1.0, 1e38, 1e-19, 1.0]), 40)
    tracked = track(power)
    known = np.isfinite(tracked.power)
    np.testing.assert_allclose(tracked.power[known], power[known], rtol=1e-6)
    assert known[[39, 79, 119, 159]].all()


def test_reset_and_refused() -> None:
    tracker = LevelTracker(LENGTH)
    tracker.update(np.ones(50, np.float32), 32 * np.arange(50))
    tracker.reset()
    assert np.isnan(tracker.update(np.ones(16, np.float32), 32 * np.arange(16)).power).all()
    assert len(tracker.update(np.empty(0, np.float32), np.empty(0, np.int64)).power) == 0
    with pytest.raises(AmrqError):
        LevelTracker(0)
