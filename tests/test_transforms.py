# SPDX-License-Identifier: GPL-3.0-or-later
"""Compiled transforms are SciPy's to single precision, of all lengths; quantiles and medians are NumPy's."""

import numpy as np
import pytest
from scipy import fft as scipy_fft
from seeds import rng

from amrq import transforms
from amrq.measure import looks
from amrq.native import Kernels

_CLOSE = 4e-7
"""RMS error over RMS: some three steps of single precision, for each of the steps of a transform."""
_LENGTHS = (
    128,
    130,
    135,
    250,
    343,
    1000,
    1024,
    1331,
    2310,
    4096,
    4235,
    5632,
    6553,
    8192,
    12000,
    16807,
    40000,
)


def _samples(rows: int, count: int) -> np.ndarray:
    parts = rng("transforms", rows, count).normal(size=(rows, count, 2)).astype(np.float32)
    return parts.view(np.complex64)[..., 0]


def _error(found: np.ndarray, wanted: np.ndarray) -> float:
    assert found.shape == wanted.shape
    return float(np.sqrt(np.mean(np.abs(found - wanted) ** 2) / np.mean(np.abs(wanted) ** 2)))


@pytest.mark.parametrize("length", _LENGTHS)
def test_transforms_are_those_of_scipy(native: Kernels, length: int) -> None:
    rows = _samples(9, length)
    exact = rows.astype(np.complex128)
    for given in (rows, rows[0]):
        wide = exact if given.ndim > 1 else exact[0]
        assert _error(transforms.fft(given), scipy_fft.fft(wide)) < _CLOSE
        assert _error(transforms.ifft(given), scipy_fft.ifft(wide)) < _CLOSE
        assert _error(transforms.rfft(given.real), scipy_fft.rfft(wide.real)) < _CLOSE
        assert transforms.fft(given).dtype == np.complex64
        half = given[..., : length // 2 + 1]
        found = transforms.irfft(half, 2 * (half.shape[-1] - 1))
        assert _error(found, scipy_fft.irfft(half.astype(np.complex128))) < _CLOSE
        assert found.dtype == np.float32


@pytest.mark.parametrize(("given", "length"), [(900, 2000), (901, 2000), (3000, 2000), (2001, 2000)])
def test_what_is_missing_counts_as_zeros_and_what_is_more_does_not_count(
    native: Kernels, given: int, length: int
) -> None:
    rows = _samples(3, given)
    assert _error(transforms.fft(rows, length), scipy_fft.fft(rows.astype(np.complex128), length)) < _CLOSE
    real = rows.real.astype(np.float64)
    assert _error(transforms.rfft(rows.real, length), scipy_fft.rfft(real, length)) < _CLOSE


def test_a_tone_is_in_its_bin_alone_and_comes_back(native: Kernels) -> None:
    for length in _LENGTHS:
        tone = np.exp(2j * np.pi * 7 * np.arange(length) / length).astype(np.complex64)
        found = transforms.fft(tone)
        assert int(np.argmax(np.abs(found))) == 7
        assert np.abs(np.delete(found, 7)).max() < 1e-5 * length
        np.testing.assert_allclose(transforms.ifft(found), tone, atol=1e-5)


def test_without_kernels_and_of_other_types_it_is_scipy(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = _samples(2, 4096)
    other = rows.astype(np.complex128)
    np.testing.assert_array_equal(transforms.fft(other), scipy_fft.fft(other))
    np.testing.assert_array_equal(transforms.fft(rows, axis=0), scipy_fft.fft(rows, axis=0))
    monkeypatch.setattr(transforms, "kernels", lambda: None)
    np.testing.assert_array_equal(transforms.fft(rows), scipy_fft.fft(rows))
    np.testing.assert_array_equal(transforms.rfft(rows.real), scipy_fft.rfft(rows.real))


@pytest.mark.parametrize("length", [16, 900, 1024, 1500])
def test_of_real_ones_what_is_missing_or_more_is_as_scipy_has_it(native: Kernels, length: int) -> None:
    spectra = _samples(3, 513)
    assert _error(transforms.irfft(spectra, length), scipy_fft.irfft(spectra, length)) < _CLOSE


def test_plans_of_other_radices_are_refused(native: Kernels) -> None:
    with pytest.raises(ValueError, match="radices"):
        native.transform_plan([13, 16])


@pytest.mark.parametrize("kind", ["normal", "exponential", "few values", "alike", "rising", "steep"])
@pytest.mark.parametrize("single", [False, True])
def test_quantiles_are_those_of_numpy(native: Kernels, kind: str, single: bool) -> None:
    random = rng("orders", kind, int(single))
    for count in (1, 2, 23, 24, 25, 64, 99, 301, 512, 513, 2000, 7001):
        draws = {
            "normal": random.normal(size=(3, count)),
            "exponential": random.exponential(size=(3, count)),
            "few values": random.integers(3, size=(3, count)) * 1.0,
            "alike": np.full((3, count), 2.5),
            "rising": np.sort(random.normal(size=(3, count)), axis=1),
            "steep": np.where(random.random((3, count)) < 0.5, 0.0, random.normal(size=(3, count)) ** 9),
        }
        rows = draws[kind].astype(np.float32 if single else np.float64)
        ordered = np.sort(rows, axis=1)
        for place in sorted({0, count // 3, count // 2, count - 1}):
            found = native.ordered(rows, place)
            np.testing.assert_array_equal(found[:, 0], ordered[:, place])
            np.testing.assert_array_equal(found[:, 1], ordered[:, min(place + 1, count - 1)])
        sliding = np.lib.stride_tricks.sliding_window_view(rows.ravel(), count)[:: max(1, count // 16)]
        np.testing.assert_array_equal(
            native.ordered(sliding, count // 2)[:, 0], np.sort(sliding, axis=1)[:, count // 2]
        )
        if not single:
            line = np.abs(rows.ravel())
            for step in (1, 7, count + 3):
                windows = np.lib.stride_tricks.sliding_window_view(line, count)[::step]
                wanted = np.sort(windows, axis=1)
                for place in (0, (count - 1) // 2, count - 1):
                    both = native.sliding_ordered(line, count, step, place)
                    np.testing.assert_array_equal(both[:, 0], wanted[:, place])
                    np.testing.assert_array_equal(both[:, 1], wanted[:, min(place + 1, count - 1)])
                medians = looks.sliding_medians(line, count, step)
                np.testing.assert_allclose(medians, np.median(windows, axis=1), rtol=1e-12)
        for share in (0.0, 0.37, 0.5, 0.9, 1.0):
            wanted = float(np.quantile(rows[0].astype(np.float64), share))
            assert looks.quantile(rows[0], share) == pytest.approx(wanted, rel=1e-12, abs=1e-300)
        np.testing.assert_allclose(
            looks.row_medians(rows), np.median(rows.astype(np.float64), axis=1), rtol=1e-12
        )
