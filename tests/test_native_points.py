# SPDX-License-Identifier: GPL-3.0-or-later
"""The compiled test of a constellation's points says what the NumPy code beside it says."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from seeds import rng

from amrq.classes import linear_class
from amrq.decision import point_fit, point_scores
from amrq.native import Averaging, Kernels, PointAsked, PointKind, PointLevel, PointPlaces, PointRules


def _symbols(name: str, es_n0_db: float, chunks: int) -> NDArray[np.complex64]:
    random = rng("native points", name, es_n0_db, chunks)
    shape = (chunks, 32)
    sent = random.choice(linear_class(name).points, shape)
    noise = 10 ** (-es_n0_db / 20) * (random.standard_normal((*shape, 2)) @ (1, 1j)) / np.sqrt(2)
    wander = np.cumsum(random.normal(0, 0.004, chunks * 32)).reshape(shape)
    turn = random.random() + 1e-4 * np.arange(chunks * 32).reshape(shape) + wander
    return np.asarray(random.uniform(0.1, 10) * (sent + noise) * np.exp(2j * np.pi * turn), np.complex64)


def _numbers(fit: point_fit.PointFit) -> list[float]:
    lines = [fit.strange_line, fit.own_line, fit.own_line_due]
    return [fit.es_n0_db, fit.es_n0_error_db, fit.misfit, fit.freedom, fit.log_likelihood, *lines]


@pytest.mark.parametrize("sent", ["BPSK", "8PSK", "16QAM", "32QAM", "8ASK", "64QAM"])
@pytest.mark.parametrize(("es_n0_db", "chunks"), [(6.0, 1), (14.0, 2), (10.0, 30), (25.0, 64)])
def test_the_same_fit(
    native: Kernels, monkeypatch: pytest.MonkeyPatch, sent: str, es_n0_db: float, chunks: int
) -> None:
    symbols = _symbols(sent, es_n0_db, chunks)
    tests = [point_fit.PointTest(linear_class(name)) for name in ("BPSK", "8PSK", "16QAM")]
    compiled = [test.fit(symbols, es_n0_db) for test in tests]
    cleaned = [test.fit_cleaned(fit, es_n0_db) for test, fit in zip(tests, compiled, strict=True)]
    for module in (point_fit, point_scores):
        monkeypatch.setattr(module, "kernels", lambda: None)
    for test, fit, clean in zip(tests, compiled, cleaned, strict=True):
        plain = test.fit(symbols, es_n0_db)
        # A symbol at the border of two of a table's cells may be in the one or the other.
        np.testing.assert_allclose(_numbers(fit), _numbers(plain), rtol=0.05, atol=0.1)
        np.testing.assert_allclose(
            _numbers(clean), _numbers(test.fit_cleaned(plain, es_n0_db)), rtol=0.05, atol=0.1
        )


def test_the_same_statistic(native: Kernels, monkeypatch: pytest.MonkeyPatch) -> None:
    random = rng("native points, statistic")
    for _ in range(20):
        some = random.standard_normal((16, 40)) * random.uniform(0.1, 3, (16, 1))
        some[random.integers(3, 16)] *= random.integers(0, 2)  # one that may not vary
        some[15] = some[0] + 1e-3 * some[15]  # and one that the fitted ones leave nothing of
        mean, information = random.normal(0, 0.1, 16), some @ some.T / 40
        found = point_scores.misfit(mean, information, 100, [8])
        with monkeypatch.context() as context:
            context.setattr(point_scores, "kernels", lambda: None)
            assert found == pytest.approx(point_scores.misfit(mean, information, 100, [8]), rel=1e-6)


@pytest.mark.parametrize(("chunks", "length"), [(3, 7), (5, 22), (64, 32), (1, 13), (17, 128)])
def test_spectra_of_any_size(
    native: Kernels, monkeypatch: pytest.MonkeyPatch, chunks: int, length: int
) -> None:
    random = rng("native points, sizes", chunks, length)
    sent = random.choice(linear_class("QPSK").points, (chunks, length))
    noise = 0.2 * random.standard_normal((chunks, 2 * length)).view(np.complex128)
    symbols = np.asarray(sent + noise, np.complex64) * np.exp(
        2j * np.pi * 0.013 * np.arange(chunks * length)
    ).reshape(sent.shape).astype(np.complex64)
    test = point_fit.PointTest(linear_class("8PSK"))
    compiled = test.fit(symbols, 10.0)
    monkeypatch.setattr(point_fit, "kernels", lambda: None)
    plain = test.fit(symbols, 10.0)
    lines = [(fit.strange_line, fit.own_line, fit.own_line_due) for fit in (compiled, plain)]
    np.testing.assert_allclose(lines[0], lines[1], rtol=1e-4)


def test_a_rough_start_is_mended(native: Kernels, monkeypatch: pytest.MonkeyPatch) -> None:
    symbols, test = _symbols("16QAM", 15.0, 30), point_fit.PointTest(linear_class("16QAM"))
    for _ in range(2):  # compiled, then NumPy
        again = test.fit(symbols, test.fit(symbols, 3.0).es_n0_db)
        assert _numbers(test.fit(symbols, 3.0, rough_db=1.0)) == _numbers(again)
        monkeypatch.setattr(point_fit, "kernels", lambda: None)


def test_a_chunk_with_a_large_prime_is_left_to_numpy(native: Kernels) -> None:
    assert not PointPlaces.possible(4, 67)
    symbols = np.resize(np.array([1, -1, -1], np.complex64), (4, 67))
    assert point_fit.PointTest(linear_class("BPSK")).fit(symbols, 10.0).own_line > 10


def test_wrong_shapes_are_refused(native: Kernels) -> None:
    whole = np.zeros((3, 2, 2), np.float32)
    noise = np.zeros((3, 8), np.complex64)
    with pytest.raises(ValueError, match="averages over 3 chunks"):
        PointPlaces(3, 8, Averaging(whole, whole, 0.5), noise)
    with pytest.raises(ValueError, match="1 to 64 chunks"):
        PointPlaces(65, 8, Averaging(whole, whole, 0.5), noise)
    whole = np.zeros((3, 3, 3), np.float32)
    places = PointPlaces(3, 8, Averaging(whole, whole, 0.5), noise)
    with pytest.raises(ValueError, match="noise for 3 chunks"):
        PointPlaces(3, 9, Averaging(whole, whole, 0.5), noise)
    rules = PointRules(*np.ones(len(PointRules._fields)).tolist())
    with pytest.raises(ValueError, match="from 1 on"):
        PointKind(0, False, 1.0, [2], rules)
    kind = PointKind(4, False, 1.0, [2], rules)
    with pytest.raises(ValueError, match="chunks \\(3, 8\\) are needed"):
        native.point_level(noise[:2], kind, places, 10.0, False)
    with pytest.raises(ValueError, match="chunks \\(3, 8\\) are needed"):
        native.point_fits([PointAsked(noise[:2], kind, places, 10.0, 1.0, None)], 4.0)
    cells = np.zeros((4, 2), np.float32), np.zeros((4, 17), np.float32)
    level = PointLevel(*cells, np.zeros(1, np.complex64), np.zeros((16, 16)), 1.0, 1.0, 1.0, 2)
    with pytest.raises(ValueError, match="no level of 19 dB"):
        kind.add(19, level)
    with pytest.raises(ValueError, match="2 x 2 cells"):
        kind.add(10, level._replace(points=cells[1]))
    with pytest.raises(ValueError, match="16 derivatives"):
        native.point_misfit(np.zeros(3), np.zeros((3, 3)), 1, np.zeros(3, np.bool_), np.zeros(2))


def test_nothing_is_read_that_was_not_written(native: Kernels, monkeypatch: pytest.MonkeyPatch) -> None:
    """What memory held before does not matter: a fit's degrees of freedom were once whatever lay there."""
    symbols = _symbols("16QAM", 14.0, 20)
    test = point_fit.PointTest(linear_class("QPSK"))
    before = test.fit_cleaned(test.fit(symbols, 14.0), 14.0)
    empty = np.empty

    def poisoned(*shape: Any, **rest: Any) -> NDArray[Any]:
        array: NDArray[Any] = empty(*shape, **rest)
        if array.dtype.kind in "fc":
            array.fill(np.nan)
        return array

    monkeypatch.setattr(np, "empty", poisoned)
    after = test.fit_cleaned(test.fit(symbols, 14.0), 14.0)
    assert _numbers(after) == _numbers(before)


def test_fits_of_a_stream_are_the_same_together_and_one_by_one(
    native: Kernels, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each begins where the last one of its class ended, with the kernels and without them."""
    symbols = [_symbols(name, 15.0, count) for name in ("16QAM", "QPSK") for count in (30, 7, 30, 64)]
    names = ["16QAM"] * 4 + ["QPSK"] * 4
    found = []
    for plain in (False, True):
        if plain:
            monkeypatch.setattr(point_fit, "kernels", lambda: None)
        for at_once in (8, 3, 1):
            tests = {name: point_fit.PointTest(linear_class(name)) for name in names}
            # A model's estimate, 3 dB off, and one of another signal.
            asked = [
                point_fit.Asked(tests[name], chunks, (18.0, 18.0, 5.0, 18.0)[n % 4], 1.0, True)
                for n, (name, chunks) in enumerate(zip(names, symbols, strict=True))
            ]
            fits = [point_fit.fit_together(asked[n : n + at_once]) for n in range(0, len(asked), at_once)]
            found.append([_numbers(fit) for some in fits for fit in some])
    assert found[0] == found[1] == found[2]
    assert found[3] == found[4] == found[5]
    np.testing.assert_allclose(found[0], found[3], rtol=0.05, atol=0.1)
