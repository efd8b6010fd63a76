# SPDX-License-Identifier: GPL-3.0-or-later
"""The detector's laws: what sums of noise exceed, where the floor lies, and that the samples may come in any pieces."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from seeds import rng

from amrq.detect import Grid, NoiseFloor, SpectrumStream, equivalent_cells, sum_threshold
from amrq.errors import AmrqError


def _noise(random: np.random.Generator, count: int) -> NDArray[np.complex64]:
    pairs = random.standard_normal((count, 2), dtype=np.float32)
    return (pairs * np.float32(math.sqrt(0.5))).view(np.complex64).ravel()


def _cells(name: str, grid: Grid, frames: int) -> NDArray[np.float32]:
    samples = _noise(rng("detect", name), frames * grid.step + grid.bins)
    return SpectrumStream(grid).process(samples * np.float32(math.sqrt(grid.sample_rate)))


@pytest.mark.parametrize(("bins", "frames"), [(1, 4), (2, 2), (4, 4), (16, 32)])
def test_sums_of_noise_follow_the_exact_law(bins: int, frames: int) -> None:
    grid = Grid(1e6, 64, 32)
    cells = _cells("sums", grid, 60_000)
    count = len(cells) // frames * frames
    sums = cells[:count].reshape(-1, frames, 64 // bins, bins).sum(axis=(1, 3)).ravel()
    assert np.mean(sums) / (bins * frames) == pytest.approx(1, abs=0.01)
    assert np.mean(sums) ** 2 / np.var(sums) == pytest.approx(equivalent_cells(grid, bins, frames), rel=0.08)
    for probability in (1e-2, 1e-3):
        expected = probability * len(sums)
        seen = np.count_nonzero(sums > sum_threshold(grid, bins, frames, math.log(probability)))
        # Sums that share a side are correlated a little; five standard deviations.
        assert abs(seen - expected) < 5 * math.sqrt(expected) + 0.1 * expected


def test_the_threshold_grows_with_the_floors_uncertainty() -> None:
    grid = Grid(1e6, 64, 32)
    known, unsure = (sum_threshold(grid, 16, 64, math.log(1e-12), error) for error in (0.0, 0.02))
    assert 1024 < known < unsure


def test_frames_do_not_depend_on_the_pieces() -> None:
    samples = _noise(rng("detect", "pieces"), 5000)
    grid = Grid(1e6, 64, 32, averaged=3)
    whole = SpectrumStream(grid).process(samples)
    stream = SpectrumStream(grid)
    pieces = [stream.process(part) for part in np.split(samples, [1, 64, 700, 701, 2999])]
    assert np.array_equal(np.concatenate(pieces), whole)
    assert whole.mean() == pytest.approx(1e-6, rel=0.05)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [((0.0, 64, 32), "sample_rate"), ((1e6, 60, 32), "power of two"), ((1e6, 64, 65), "hop")],
)
def test_a_grid_that_cannot_be_is_refused(arguments: tuple[float, int, int], words: str) -> None:
    with pytest.raises(AmrqError, match=words):
        Grid(*arguments)


def _floor_error(occupied: NDArray[np.bool_], ripple_db: float, blocks: int = 4) -> NDArray[np.float64]:
    """Return the floor's error in dB at each bin, with emissions 3 to 30 dB up in the occupied bins."""
    grid = Grid(2.4e6, 4096, 4096)
    random = rng("detect", "floor", int(ripple_db), int(occupied.sum()))
    place = np.arange(grid.bins) / grid.bins
    true = 10 ** (ripple_db / 10 * np.sin(2 * np.pi * (2.3 * place + 0.3)))
    level = np.where(occupied, 1 + 10 ** random.uniform(0.3, 3, grid.bins), 1) * true
    floor = NoiseFloor(grid)
    for _ in range(blocks):
        floor.update((random.exponential(size=(64, grid.bins)) * level).astype(np.float32))
    error: NDArray[np.float64] = 10 * np.log10(floor.density / true)
    return error


@pytest.mark.parametrize("ripple_db", [0.0, 3.0])
def test_the_floor_of_noise(ripple_db: float) -> None:
    error = _floor_error(np.zeros(4096, bool), ripple_db)
    assert np.sqrt(np.mean(error**2)) < 0.1
    assert np.abs(error).max() < 0.5


@pytest.mark.parametrize("ripple_db", [0.0, 3.0])
def test_the_floor_of_a_band_with_80_percent_occupied(ripple_db: float) -> None:
    bins = np.arange(4096)
    error = _floor_error(bins % 50 < 40, ripple_db)
    assert np.sqrt(np.mean(error**2)) < 0.4
    assert np.abs(error).max() < 1.5


@pytest.mark.parametrize("width", [0.1, 0.15, 0.2])
@pytest.mark.parametrize("tilted", [False, True])
def test_the_floor_does_not_climb_into_a_wide_signal(width: float, tilted: bool) -> None:
    # 13 dB high: a bell, as of FM, or steep sides with a top that an echo tilts by 6 dB. It begins before the first
    # block. The floor is allowed 1.3 dB over its envelope, and that to rise a little where a bell begins.
    grid = Grid(2.4e6, 4096, 4096)
    away = (np.arange(grid.bins) / grid.bins - 0.55) / width
    tilt = np.where(np.abs(away) < 0.5, 10 ** (-0.6 * away), 0.0)
    level = 1 + 20 * (tilt if tilted else np.exp(-((2.5 * away) ** 2)))
    floor = NoiseFloor(grid)
    random = rng("detect", "climb", int(100 * width), int(tilted))
    floor.update((random.exponential(size=(64, grid.bins)) * level).astype(np.float32))
    error = 10 * np.log10(floor.density)
    assert error.max() < 3.5
    assert np.sqrt(np.mean(error**2)) < 2.0
