# SPDX-License-Identifier: GPL-3.0-or-later
"""The compiled folds are those of the NumPy code; what cannot be is refused."""

import numpy as np
import pytest
from seeds import rng

from amrq.measure import prefix_search
from amrq.native import Kernels


@pytest.mark.parametrize("rows", [1, 4, 10_000])
def test_the_same_folds(native: Kernels, monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    random = rng("folds", rows)
    bodies = random.normal(size=(12, 60, 2)) @ [1, 1j]
    iq = np.concatenate([bodies[:, -9:], bodies], axis=1).ravel().astype(np.complex64)
    iq = np.concatenate([iq, 4 * iq[:100]])  # loud for a moment
    lags = np.array([1, 5, 59, 60, 61, 200, len(iq) - 1])
    lengths, steps = np.minimum(len(iq) - lags, 700), np.array([1, 2, 1, 3, 5, 7, 1])
    ratios = np.array([0.01, 0.06, 0.15, 0.5, 0.97])
    compiled = prefix_search.folded_products(iq, lags, lengths, steps, ratios, rows, 1.3)
    monkeypatch.setattr(prefix_search, "kernels", lambda: None)
    plain = prefix_search.folded_products(iq, lags, lengths, steps, ratios, rows, 1.3)
    assert compiled.shape == plain.shape == (7, 5)
    assert plain.max() > 5
    assert np.allclose(compiled, plain, rtol=2e-3, atol=2e-3)


def test_the_same_prefix_without_kernels(native: Kernels, monkeypatch: pytest.MonkeyPatch) -> None:
    random = rng("prefix without kernels")
    bodies = random.normal(size=(10, 48, 2)) @ [1, 1j]
    iq = np.concatenate([bodies[:, -6:], bodies], axis=1).ravel().astype(np.complex64)
    band = prefix_search.flat_band(iq, 1.0, 0.9)
    compiled = prefix_search.find_prefixes(band)[0]
    monkeypatch.setattr(prefix_search, "kernels", lambda: None)
    plain = prefix_search.find_prefixes(band)[0]
    assert (compiled.lag, round(compiled.period, 3)) == (plain.lag, round(plain.period, 3))


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
