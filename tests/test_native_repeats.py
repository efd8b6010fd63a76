# SPDX-License-Identifier: GPL-3.0-or-later
"""Compiled folds and repetitions are those of the NumPy code; what cannot be is refused."""

from unittest import mock

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from seeds import rng

from amrq.measure import prefix_folds, prefix_search, spreading
from amrq.native import Kernels


def _same_folds(*given: object) -> NDArray[np.float32]:
    """Return the folds by compiled code, which are those by NumPy."""
    compiled = prefix_folds.folded_products(*given)  # type: ignore[arg-type]
    with mock.patch.object(prefix_folds, "kernels", lambda: None):
        plain = prefix_folds.folded_products(*given)  # type: ignore[arg-type]
    assert compiled.shape == plain.shape and compiled.dtype == plain.dtype
    np.testing.assert_allclose(compiled, plain, rtol=1e-3, atol=1e-3)
    return compiled


def _with_prefixes(
    random: np.random.Generator, symbols: int, useful: int, prefix: int
) -> NDArray[np.complex64]:
    bodies = random.normal(size=(symbols, useful, 2)) @ [1, 1j]
    return np.concatenate([bodies[:, useful - prefix :], bodies], axis=1).ravel().astype(np.complex64)


@pytest.mark.parametrize("rows", [1, 4, 10_000])
def test_the_same_folds(native: Kernels, rows: int) -> None:
    iq = _with_prefixes(rng("folds", rows), 12, 60, 9)
    iq = np.concatenate([iq, 4 * iq[:100]])  # loud for a moment
    lags = np.array([1, 5, 59, 60, 61, 200, len(iq) - 1])
    lengths, steps = np.minimum(len(iq) - lags, 700), np.array([1, 2, 1, 3, 5, 7, 1])
    compiled = _same_folds(iq, lags, lengths, steps, np.array([0.01, 0.06, 0.15, 0.5, 0.97]), rows, 1.3)
    assert compiled.shape == (7, 5) and compiled.max() > 5


@given(st.integers(0, 10_000), st.integers(2, 900), st.integers(1, 60), st.floats(-6, 6), st.data())
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_same_folds_of_whatever_is_asked(
    native: Kernels, number: int, count: int, rows: int, level: float, data: st.DataObject
) -> None:
    """Silent, loud for a moment, of any level; lags that leave one product, blocks longer than what there is."""
    random = rng("folds of anything", number)
    useful = int(random.integers(2, 40))
    iq = _with_prefixes(random, count // useful + 1, useful, int(random.integers(1, useful + 1)))[:count]
    iq *= np.float32(10**level)
    start = int(random.integers(count))
    iq[start : start + count // 5] *= np.float32(data.draw(st.sampled_from([0, 1, 30])))
    lags = random.integers(1, count, data.draw(st.integers(0, 6)))
    lengths = np.array([random.integers(1, count - lag + 1) for lag in lags], np.int64)
    steps = random.integers(1, data.draw(st.sampled_from([2, 5, 200])), len(lags))
    ratios = random.uniform(0.001, 0.999, data.draw(st.integers(0, 4)))
    _same_folds(iq, lags, lengths, steps, ratios, rows, float(random.uniform(1, 3)))


@pytest.mark.parametrize(
    ("symbols", "useful", "prefix"), [(10, 48, 6), (40, 96, 4), (12, 320, 40), (5, 900, 90)]
)
def test_the_same_prefix_without_kernels(
    native: Kernels, monkeypatch: pytest.MonkeyPatch, symbols: int, useful: int, prefix: int
) -> None:
    """Also where there are more lags than are looked at."""
    random = rng("prefix without kernels", useful)
    iq = _with_prefixes(random, symbols, useful, prefix)
    iq += (0.3 * random.normal(size=(len(iq), 2)) @ [1, 1j]).astype(np.complex64)
    band = prefix_search.flat_band(iq, 1.0, 0.9)
    compiled = prefix_search.find_prefixes(band)
    monkeypatch.setattr(prefix_folds, "kernels", lambda: None)
    plain = prefix_search.find_prefixes(band)
    assert [one.lag for one in compiled] == [one.lag for one in plain] and compiled
    for one, other in zip(compiled, plain, strict=True):
        assert one.period == pytest.approx(other.period, rel=1e-5)
        assert (one.clear, one.alike) == pytest.approx((other.clear, other.alike), rel=1e-3)


@given(st.integers(0, 10_000), st.integers(2, 900), st.floats(-6, 6))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_same_repetitions_of_whatever_is_asked(
    native: Kernels, number: int, count: int, level: float
) -> None:
    random = rng("repetitions of anything", number)
    code = random.normal(size=(int(random.integers(1, 60)), 2)) @ [1, 1j]
    iq = np.resize(code, count) + random.uniform(0, 1) * (random.normal(size=(count, 2)) @ [1, 1j])
    iq = (10**level * iq * (np.arange(count) >= random.integers(count))).astype(np.complex64)
    lags = random.integers(1, count, 5)
    steps = np.array([random.integers(1, count - lag + 1) for lag in lags], np.int64)
    compiled = spreading.repetitions(iq, lags, steps)
    with mock.patch.object(spreading, "kernels", lambda: None):
        np.testing.assert_allclose(compiled, spreading.repetitions(iq, lags, steps), rtol=1e-3)


@pytest.mark.parametrize(
    ("lags", "lengths", "steps", "ratios", "rows"),
    [
        ([0], [10], [1], [0.1], 1),
        ([5], [96], [1], [0.1], 1),
        ([5], [10], [0], [0.1], 1),
        ([5], [10], [1], [1.0], 1),
        ([5], [10], [1], [0.1], 0),
        ([5, 6], [10], [1], [0.1], 1),
    ],
)
def test_what_is_out_of_range_is_refused(
    native: Kernels,
    lags: list[int],
    lengths: list[int],
    steps: list[int],
    ratios: list[float],
    rows: int,
) -> None:
    whole = [np.array(one) for one in (lags, lengths, steps)]
    with pytest.raises(ValueError, match=r"lags|ratios"):
        native.folds(np.ones(100, np.complex64), *whole, np.array(ratios), rows, 1.0)
