# SPDX-License-Identifier: GPL-3.0-or-later
"""Normalisation and Algorithm I."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from seeds import rng

from amrq.chunks import SILENCE_POWER, normalise
from amrq.classes import THESIS_9
from amrq.errors import AmrqError
from amrq.evaluation import make_dataset


def random_chunks(count: int = 8) -> np.ndarray:
    generator = rng("chunks")
    return (generator.standard_normal((count, 32)) + 1j * generator.standard_normal((count, 32))).astype(
        np.complex64
    )


@given(st.floats(-90, 90))
def test_normalised_chunks_have_unit_power_at_any_level(level_db: float) -> None:
    chunks = random_chunks() * np.float32(10 ** (level_db / 20))
    iq, power, usable = normalise(chunks)
    assert usable.all()
    np.testing.assert_allclose((iq**2).sum(axis=(1, 2)) / 32, 1, rtol=1e-5)
    np.testing.assert_allclose(power, np.mean(np.abs(chunks.astype(complex)) ** 2, axis=1), rtol=1e-4)
    np.testing.assert_allclose(iq, normalise(random_chunks()).iq, rtol=1e-4, atol=1e-6)


def test_layout_is_i_then_q() -> None:
    chunks = random_chunks()
    iq = normalise(chunks, unit_rms=False).iq
    np.testing.assert_array_equal(iq[:, 0], chunks.real)
    np.testing.assert_array_equal(iq[:, 1], chunks.imag)


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf, 1j * np.nan, complex(3e38, 3e38)])
def test_broken_samples_spoil_only_their_chunk(broken: complex) -> None:
    chunks = random_chunks()
    chunks[3, 7] = broken
    iq, power, usable = normalise(chunks)
    assert usable.tolist() == [n != 3 for n in range(8)]
    assert np.isnan(power[3]) and np.isfinite(np.delete(power, 3)).all()
    assert np.isfinite(iq).all() and not iq[3].any()


def test_silence_is_defined() -> None:
    chunks = random_chunks()
    chunks[2] = 0
    chunks[4] *= np.float32(1e-3 * np.sqrt(SILENCE_POWER))
    iq, power, usable = normalise(chunks)
    assert usable.tolist() == [n not in (2, 4) for n in range(8)]
    assert power[2] == 0 and not iq[2].any() and not iq[4].any()


def test_no_chunks_at_all() -> None:
    iq, power, usable = normalise(np.empty((0, 32), np.complex64))
    assert iq.shape == (0, 2, 32) and len(power) == len(usable) == 0


def test_algorithm_1() -> None:
    chunks, labels, classes = make_dataset(0.005, 0.005, 32, 256 * 32, rng("algorithm 1"))
    assert chunks.shape == (2304, 32) and classes == tuple(THESIS_9)
    assert (np.bincount(labels) == 256).all()
    # Joined classes are shuffled: runs of one label are short (the longest of 2,304 draws from nine is below 12).
    changes = np.flatnonzero(np.diff(labels))
    assert np.diff(changes).max() < 12
    for label, name in enumerate(classes):
        mine = chunks[labels == label].ravel()
        # N_a is complex power: distance to the nearest sent point is noise (a little less where points are dense).
        points = THESIS_9[name].points
        error = np.mean(np.min(np.abs(mine[:, None] - points), axis=1) ** 2)
        assert 0.003 < error < 0.0055
        nearest = np.abs(mine[:, None] - points).argmin(axis=1)
        assert (np.bincount(nearest, minlength=len(points)) > 0.8 * len(mine) / len(points)).all()


def test_algorithm_1_depends_on_its_seed_alone() -> None:
    first, second = (make_dataset(0.01, 0.01, 32, 320, rng("same")) for _ in range(2))
    np.testing.assert_array_equal(first.chunks, second.chunks)
    with pytest.raises(AmrqError, match="whole chunks"):
        make_dataset(0.01, 0.01, 32, 100, rng("same"))
