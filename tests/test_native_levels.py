# SPDX-License-Identifier: GPL-3.0-or-later
"""The compiled kernels for levels of a keyed frequency do what the NumPy code beside them does."""

import math

import numpy as np
import pytest
from seeds import rng

from amrq.measure import (
    closed_eye,
    keyed_samples,
    level_likelihood,
    looks,
    symbol_clock,
    tone_clock,
    tone_count,
    tone_levels,
)
from amrq.native import Kernels, LevelRounds


def _without(monkeypatch: pytest.MonkeyPatch) -> None:
    measures = (
        closed_eye,
        keyed_samples,
        level_likelihood,
        looks,
        symbol_clock,
        tone_clock,
        tone_count,
        tone_levels,
    )
    for module in measures:
        monkeypatch.setattr(module, "kernels", lambda: None)


def _means(levels: int, count: int, noise: float) -> np.ndarray:
    random = rng("native levels", levels, count, noise)
    sent = np.convolve(2.0 * random.integers(0, levels, count) - (levels - 1), [0.1, 0.8, 0.1], "same")
    return 300.0 * (sent + random.normal(0, noise, count)) + 40.0


@pytest.mark.parametrize("levels", [2, 4])
@pytest.mark.parametrize(("count", "noise"), [(16, 0.1), (200, 0.2), (700, 0.6)])
def test_fitted_levels_are_those_of_numpy(
    native: Kernels, monkeypatch: pytest.MonkeyPatch, levels: int, count: int, noise: float
) -> None:
    means = _means(levels, count, noise)
    fitted = [tone_levels._fit_keyed(means, 0.9 * means, order, 600.0) for order in (2, 4)]
    _without(monkeypatch)
    for order, found in zip((2, 4), fitted, strict=True):
        plain = tone_levels._fit_keyed(means, 0.9 * means, order, 600.0)
        assert (found is None) == (plain is None)
        if found is not None and plain is not None:
            np.testing.assert_array_equal(found.numbers, plain.numbers)
            for name in ("half", "centre", "eye", "main", "error", "evidence"):
                assert getattr(found, name) == pytest.approx(getattr(plain, name), rel=1e-9), name


def test_a_pattern_that_repeats_is_not_fitted(native: Kernels) -> None:
    how = LevelRounds(2, 3, 1.0, 1e4)
    assert native.level_fit(np.tile([-1.0, 1.0], 40), 0.0, 1.0, how) is None
    assert native.level_fit(_means(2, 80, 0.1), 40.0, 300.0, how) is not None


@pytest.mark.parametrize("taps", [1, 2])
@pytest.mark.parametrize("levels", [2, 4])
@pytest.mark.parametrize(("count", "noise"), [(8, 0.1), (30, 0.2), (64, 1.5)])
def test_levels_in_a_circle_are_those_of_numpy(
    native: Kernels, monkeypatch: pytest.MonkeyPatch, taps: int, levels: int, count: int, noise: float
) -> None:
    words = [_means(levels, count, noise), np.tile([-1.0, 1.0], count), np.arange(count) == 1.0]
    words = [np.asarray(word, np.float64) for word in words]
    found = [tone_levels._fit_circle(word, order, taps) for word in words for order in (2, 4)]
    _without(monkeypatch)
    plain = [tone_levels._fit_circle(word, order, taps) for word in words for order in (2, 4)]
    assert [error for error, _ in found] == pytest.approx([error for error, _ in plain], rel=1e-9, abs=1e-9)
    for (_, numbers), (_, others) in zip(found, plain, strict=True):
        np.testing.assert_array_equal(numbers, others)


@pytest.mark.parametrize("levels", [2, 4, 8, 16])
def test_even_levels_are_those_of_numpy(
    native: Kernels, monkeypatch: pytest.MonkeyPatch, levels: int
) -> None:
    values = _means(levels, 400, 0.1) - 40.0
    found = closed_eye._decided(values, levels)
    silent = closed_eye._decided(np.zeros(9), levels)
    _without(monkeypatch)
    plain = closed_eye._decided(values, levels)
    assert found[:3] == pytest.approx(plain[:3], rel=1e-9)
    np.testing.assert_array_equal(found[3], plain[3])
    assert silent[0] == closed_eye._decided(np.zeros(9), levels)[0] == math.inf


def test_means_of_symbols_are_those_of_numpy(native: Kernels, monkeypatch: pytest.MonkeyPatch) -> None:
    random = rng("native levels", "means")
    iq = np.exp(1j * np.cumsum(random.normal(0, 0.3, 3000))).astype(np.complex64)
    keyed = keyed_samples.keyed_samples(iq, 1000.0, 300.0)
    found = keyed.symbol_means(7.3, 11.0, 100, 8)
    _without(monkeypatch)
    np.testing.assert_allclose(found, keyed.symbol_means(7.3, 11.0, 100, 8), rtol=1e-12, atol=1e-9)


@pytest.mark.parametrize(("count", "noise"), [(6, 0.02), (33, 0.1), (700, 0.5)])
def test_a_lattice_of_levels_is_that_of_numpy(
    native: Kernels, monkeypatch: pytest.MonkeyPatch, count: int, noise: float
) -> None:
    random = rng("native levels", "lattice", count, noise)
    values = 50.0 * (random.integers(-9, 14, count) + noise * random.normal(size=count)) + 17.0
    spacings = np.linspace(40.0, 60.0, 21)
    found, even = tone_count.nearest_lattice(values, 50.4), tone_count.evenness(values, spacings)
    alike = tone_count.nearest_lattice(np.full(count, 3.0), 50.0)
    _without(monkeypatch)
    plain = tone_count.nearest_lattice(values, 50.4)
    assert alike is None and tone_count.nearest_lattice(np.full(count, 3.0), 50.0) is None
    assert found is not None and plain is not None and found.lowest == plain.lowest
    for name in ("spacing", "offset", "squares", "deviation"):
        assert getattr(found, name) == pytest.approx(getattr(plain, name), rel=1e-9), name
    np.testing.assert_array_equal(found.numbers, plain.numbers)
    np.testing.assert_allclose(found.away, plain.away, atol=1e-9)
    np.testing.assert_allclose(even, tone_count.evenness(values, spacings), atol=1e-6)


@pytest.mark.parametrize("count", [1, 2, 15, 16, 33, 700])
def test_spreads_are_those_of_numpy(native: Kernels, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    values = rng("native levels", "spreads", count).normal(40.0, 9.0, count)
    found, alike = level_likelihood._spreads(values), level_likelihood._spreads(np.full(count, 3.0))
    _without(monkeypatch)
    assert found == pytest.approx(level_likelihood._spreads(values), rel=1e-9)
    assert alike == level_likelihood._spreads(np.full(count, 3.0)) == (0.0, 0.0, 0.0)


def test_tops_of_rows_are_those_of_numpy(native: Kernels, monkeypatch: pytest.MonkeyPatch) -> None:
    random = rng("native levels", "tops")
    spectra = (random.normal(size=(40, 17)) + 1j * random.normal(size=(40, 17))).astype(np.complex64)
    spectra[3], spectra[4], spectra[5, :3] = 0, 2.0, 9.0
    found = looks.row_tops(spectra)
    _without(monkeypatch)
    for one, plain in zip(found, looks.row_tops(spectra), strict=True):
        np.testing.assert_allclose(one, plain, rtol=1e-5, atol=1e-5)


def test_moments_at_which_tones_change_are_those_of_numpy(
    native: Kernels, monkeypatch: pytest.MonkeyPatch
) -> None:
    random, step = rng("native levels", "changes"), 40
    tones = (random.permutation(np.arange(24) % 12) - 6) / step
    held = np.repeat(tones, step)
    noise = 0.3 * random.normal(size=(len(held), 2)) @ [1, 1j]
    samples = (np.exp(2j * np.pi * np.cumsum(held)) + noise).astype(np.complex64)
    middles = np.arange(1, len(tones)) * step + random.integers(-9, 10, len(tones) - 1)
    both = np.asarray(tones[:-1], np.float64), np.asarray(tones[1:], np.float64)
    found = tone_clock._moments(samples, middles, both, 20)
    _without(monkeypatch)
    np.testing.assert_array_equal(found, tone_clock._moments(samples, middles, both, 20))


def test_what_does_not_fit_is_refused(native: Kernels) -> None:
    with pytest.raises(ValueError, match="do not lie within"):
        native.symbol_means(np.zeros(101), np.zeros(100), (10.0, 0.0), 10, 8)
    with pytest.raises(ValueError, match="cannot be fitted"):
        native.level_fit(np.zeros(4), 0.0, 1.0, LevelRounds(2, 3, 1.0, 1e4))
    with pytest.raises(ValueError, match="3 neighbours"):
        native.circle_fit(np.zeros(8), 0.0, 1.0, 3, LevelRounds(2, 3, 1.0, 1e4))
    with pytest.raises(ValueError, match="cannot be fitted"):
        native.even_levels(np.zeros(0), 2, 1.0, 3)
    with pytest.raises(ValueError, match="have no levels"):
        native.lattice(np.zeros(4), 0.0)
    with pytest.raises(ValueError, match="no values"):
        native.evenness(np.zeros(0), np.ones(2))
    with pytest.raises(ValueError, match="no values"):
        native.spreads(np.zeros(0))
    with pytest.raises(ValueError, match="is needed"):
        native.row_tops(np.zeros((2, 0), np.complex64))
    with pytest.raises(ValueError, match="must be within"):
        native.tone_changes(np.zeros(30, np.complex64), np.array([9]), (np.zeros(1), np.zeros(1)), 10)


@pytest.mark.parametrize("shape", [(7,), (3, 5), (0,)])
def test_squares_are_those_of_numpy(
    native: Kernels, monkeypatch: pytest.MonkeyPatch, shape: tuple[int, ...]
) -> None:
    random = rng("native levels", "squares", *shape)
    values = (random.normal(size=shape) + 1j * random.normal(size=shape)).astype(np.complex64)
    found = looks.squares(values)
    _without(monkeypatch)
    np.testing.assert_array_equal(found, looks.squares(values))


@pytest.mark.parametrize("count", [1, 2, 101, 400])
def test_quantiles_and_lines_are_those_of_numpy(count: int) -> None:
    random = rng("native levels", "quantiles", count)
    values = random.normal(size=count)
    for share in (0.0, 0.1, 0.5, 0.97, 1.0):
        assert looks.quantile(values, share) == pytest.approx(float(np.quantile(values, share)), abs=1e-12)
    if count > 2:
        places = np.arange(count) + random.uniform(0, 0.5, count)
        assert looks.straight_line(places, values) == pytest.approx(np.polyfit(places, values, 1), abs=1e-9)


@pytest.mark.parametrize(("count", "first", "last"), [(60, 1, 59), (400, 30, 90), (400, 300, 398)])
def test_lines_of_clocks_are_those_of_numpy(
    native: Kernels, monkeypatch: pytest.MonkeyPatch, count: int, first: int, last: int
) -> None:
    random = rng("native lines of clocks", count, first)
    values = (random.normal(3, 1, count) + np.cos(1.1 * np.arange(count))).astype(np.float32)
    window = looks.hann_single(count)
    spectrum = (random.normal(size=(count, 2)) @ [1, 1j]).astype(np.complex64)
    faded = symbol_clock._faded(values, window, 2 * count)
    found = symbol_clock._standing_out(spectrum, first, last)
    _without(monkeypatch)
    np.testing.assert_allclose(faded, symbol_clock._faded(values, window, 2 * count), atol=2e-6)
    assert found == pytest.approx(symbol_clock._standing_out(spectrum, first, last), rel=1e-6)


def test_lines_beyond_a_spectrum_are_refused(native: Kernels) -> None:
    for places in ((0, 5), (5, 5), (3, 8)):
        with pytest.raises(ValueError, match="must lie within 8"):
            native.clearest_line(np.ones(8, np.complex64), places, 2, 0.1)
