# SPDX-License-Identifier: GPL-3.0-or-later
"""The compiled kernels for measures of an emission do what the NumPy code beside them does."""

import numpy as np
import pytest
from seeds import rng

from amrq.measure import band, emission, looks, occupied
from amrq.native import Kernels


def _without(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (band, emission, occupied):
        monkeypatch.setattr(module, "kernels", lambda: None)


@pytest.mark.parametrize("price", [0.5, 10.0, 200.0])
def test_on_and_off_are_those_of_numpy(
    native: Kernels, monkeypatch: pytest.MonkeyPatch, price: float
) -> None:
    random = rng("native emissions", price)
    rows = [
        random.normal(0, 3, random.integers(1, 400)) + np.repeat(random.normal(0, 1), 1) for _ in range(40)
    ]
    rows += [np.ones(5), -np.ones(5), np.zeros(7), np.array([0.3])]
    compiled = [emission._two_states(row, price) for row in rows]
    _without(monkeypatch)
    for row, found in zip(rows, compiled, strict=True):
        np.testing.assert_array_equal(found, emission._two_states(row, price))


def test_no_other_path_has_more_evidence(native: Kernels) -> None:
    random = rng("native emissions", "all paths")
    for _ in range(30):
        evidence, price = random.normal(0, 2, 9), float(random.uniform(0.5, 4))
        paths = (np.arange(512)[:, None] >> np.arange(9)) & 1
        worth = paths @ evidence - price * np.count_nonzero(np.diff(paths, axis=1), axis=1)
        found = native.two_states(evidence, price).astype(int)
        own = found @ evidence - price * np.count_nonzero(np.diff(found))
        assert own == pytest.approx(worth.max())


@pytest.mark.parametrize("deviation", [0.0, 0.2])
def test_falling_values_are_those_of_numpy(
    native: Kernels, monkeypatch: pytest.MonkeyPatch, deviation: float
) -> None:
    random = rng("native emissions", "falling", deviation)
    rows = [
        np.zeros(0),
        np.ones(3),
        np.arange(5.0),
        *(random.normal(np.linspace(2, 0, 90)) for _ in range(9)),
    ]
    compiled = [occupied._falling(row, deviation, 0.1) for row in rows]
    _without(monkeypatch)
    for row, found in zip(rows, compiled, strict=True):
        np.testing.assert_allclose(found, occupied._falling(row, deviation, 0.1), atol=1e-12)
        assert not deviation or found.min(initial=0.0) >= 0
        assert np.all(np.diff(found) <= 0)


@pytest.mark.parametrize(("length", "parts"), [(16, 1), (64, 3), (250, 8)])
def test_spectra_are_those_of_numpy(
    native: Kernels, monkeypatch: pytest.MonkeyPatch, length: int, parts: int
) -> None:
    random = rng("native emissions", "spectra", length)
    samples = (random.normal(size=(1700, 2)) @ [1, 1j]).astype(np.complex64)
    samples[[5, 400, 401]] = np.nan, complex(np.inf, 1), complex(1, -np.inf)
    compiled = band.power_density(samples, 1e3, length, parts)
    _without(monkeypatch)
    plain = band.power_density(samples, 1e3, length, parts)
    np.testing.assert_allclose(compiled.parts, plain.parts, rtol=1e-5, atol=1e-9)
    assert compiled.spectra == plain.spectra


def test_the_library_is_given_nothing_else(native: Kernels) -> None:
    samples, window = np.ones(40, np.complex64), np.ones(16, np.float32)
    assert native.windowed(samples, np.array([0, 24]), window).shape == (2, 16)
    for places in ([-1], [25]):
        with pytest.raises(ValueError, match="must lie within"):
            native.windowed(samples, np.array(places), window)
    with pytest.raises(ValueError, match="a window of float32"):
        native.windowed(samples, np.array([0]), window.astype(float))
    with pytest.raises(ValueError, match="rows, length"):
        native.summed_powers(samples)
    with pytest.raises(ValueError, match="one axis"):
        native.two_states(np.ones((2, 2)), 1.0)


@pytest.mark.parametrize("cycles", [0.0, 0.123, -0.4999, 3e-6, 7.25])
def test_samples_are_moved_as_numpy_moves_them(
    native: Kernels, monkeypatch: pytest.MonkeyPatch, cycles: float
) -> None:
    random = rng("native emissions", "moved", cycles)
    samples = (random.normal(size=(5000, 2)) @ [1, 1j]).astype(np.complex64)
    compiled = looks.turned(samples, cycles)
    monkeypatch.setattr(looks, "kernels", lambda: None)
    plain = looks.turned(samples, cycles)
    # Both are rounded to single precision once, at the end.
    np.testing.assert_allclose(compiled, plain, rtol=3e-7, atol=1e-7)
    assert len(native.moved(samples[:0], cycles)) == 0
    with pytest.raises(ValueError, match="complex64"):
        native.moved(samples.astype(complex), cycles)


def test_largest_squares_are_those_of_numpy(native: Kernels, monkeypatch: pytest.MonkeyPatch) -> None:
    random = rng("native emissions", "largest")
    rows = (random.normal(size=(90, 23, 2)) @ [1, 1j]).astype(np.complex64)
    compiled = looks.largest_squares(rows)
    monkeypatch.setattr(looks, "kernels", lambda: None)
    np.testing.assert_allclose(compiled, looks.largest_squares(rows), rtol=1e-6)
    with pytest.raises(ValueError, match="rows, length"):
        native.largest_squares(rows[0])
