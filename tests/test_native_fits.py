# SPDX-License-Identifier: GPL-3.0-or-later
"""The compiled fit of a constellation to symbols is that of the NumPy code beside it."""

import numpy as np
import pytest
from seeds import rng

from amrq.classes import THESIS_9
from amrq.native import FitRounds, Kernels
from amrq.receive import equaliser


@pytest.mark.parametrize("es_n0_db", [3.0, 12.0, 30.0])
@pytest.mark.parametrize("name", THESIS_9)
def test_a_fit_is_that_of_numpy(
    native: Kernels, monkeypatch: pytest.MonkeyPatch, name: str, es_n0_db: float
) -> None:
    random = rng("native fits", name, es_n0_db)
    sent = random.choice(THESIS_9[name].points, 512) * np.exp(1j * random.normal(0, 0.1, 8)).repeat(64)
    noise = random.standard_normal((512, 2)) @ [1, 1j] * 10 ** (-es_n0_db / 20) / np.sqrt(2)
    symbols = sent + noise
    symbols = (symbols / np.sqrt(np.mean(np.abs(symbols) ** 2))).astype(np.complex64)
    for other in (name, "QPSK", "16QAM"):
        compiled = equaliser._fit(symbols, THESIS_9[other])
        with monkeypatch.context() as patch:
            patch.setattr(equaliser, "kernels", lambda: None)
            plain = equaliser._fit(symbols, THESIS_9[other])
        # Single precision: a likelihood is the difference of two numbers of the size of 1 / noise.
        assert abs(compiled.log_likelihood - plain.log_likelihood) < 1e-5 + 4e-7 / plain.noise
        assert abs(compiled.noise - plain.noise) < 1e-5
        np.testing.assert_allclose(compiled.decisions, plain.decisions, atol=2e-4)


def test_symbols_of_zero_are_fitted(native: Kernels) -> None:
    fit = native.fit_points(np.zeros(64, np.complex64), THESIS_9["QPSK"].points, FitRounds(4, 8, 3, 1e-3))
    assert np.isfinite(fit.log_likelihood)
    assert np.isfinite(fit.decisions).all()


def test_the_library_is_given_nothing_else(native: Kernels) -> None:
    symbols, points, how = np.ones(64, np.complex64), np.ones(4, np.complex64), FitRounds(4, 8, 3, 1e-3)
    for wrong in (symbols[:63], symbols[:0], symbols.astype(complex), symbols[None]):
        with pytest.raises(ValueError, match="symbols must be"):
            native.fit_points(wrong, points, how)
    for wrong in (points[:0], points.astype(complex), np.ones(1025, np.complex64)):
        with pytest.raises(ValueError, match="points must be"):
            native.fit_points(symbols, wrong, how)
    for odd in (FitRounds(0, 8, 3, 1e-3), FitRounds(4, 17, 3, 1e-3), FitRounds(4, 8, 0, 1e-3)):
        with pytest.raises(ValueError, match="is not a way"):
            native.fit_points(symbols, points, odd)
