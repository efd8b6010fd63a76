# SPDX-License-Identifier: GPL-3.0-or-later
"""The compiled kernels do what the NumPy code beside them does; without them the same is found."""

import os
import subprocess
import sys

import numpy as np
import pytest
from numpy.typing import NDArray
from seeds import rng

from amrq.detect import Grid, Rectangles, SpectrumStream, energy, noise_floor, search, spectra
from amrq.native import Kernels

GRID = Grid(1.0, 512, 256)


def _without(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (energy, noise_floor, spectra):
        monkeypatch.setattr(module, "kernels", lambda: None)


def _cells(name: str, rows: int, columns: int) -> NDArray[np.float32]:
    random = rng("native", name, rows, columns)
    cells = random.exponential(2.0, (rows, columns)).astype(np.float32)
    for _ in range(6):  # a few emissions, from brief and wide to long and narrow
        t, f = int(random.integers(rows)), int(random.integers(columns))
        height, width = 1 << int(random.integers(7)), 1 << int(random.integers(7))
        cells[t : t + height, f : f + width] *= np.float32(random.uniform(1.5, 20))
    return cells


def _sorted(hits: energy.Hits) -> list[tuple[object, ...]]:
    return sorted(
        (*place, value) for place, value in zip(hits.places.tolist(), hits.excess.tolist(), strict=True)
    )


@pytest.mark.parametrize(("rows", "columns"), [(64, 512), (37, 300), (3, 17), (1, 16), (200, 64)])
@pytest.mark.parametrize("tile", [(0, 0), (1, 1), (0, 1)])
def test_the_same_rectangles_are_found(
    native: Kernels, monkeypatch: pytest.MonkeyPatch, rows: int, columns: int, tile: tuple[int, int]
) -> None:
    a, b = tile
    sizes = [(i, j) for i in range(a, 9) for j in range(b, 6) if i + j >= a + b and (i, j) != (4, 3)]
    small = [size for size in sizes if sum(size) <= 3]
    cells = _cells("rectangles", rows, columns)
    scale = float(1 << (a + b)) / 2
    cells *= np.float32(scale)
    searches = [Rectangles(GRID, sizes, -12.0, 0.01, tile) for _ in range(2)]
    marks = [Rectangles(GRID, small, -12.0, 0.01, tile) for _ in range(2)]
    found, mask = searches[0].search(cells), marks[0].mark(cells)
    _without(monkeypatch)
    plain, plain_mask = searches[1].search(cells), marks[1].mark(cells)
    assert _sorted(found) == _sorted(plain)
    assert (mask is None) == (plain_mask is None)
    assert mask is None or plain_mask is None or np.array_equal(mask, plain_mask)
    assert searches[0].largest == searches[1].largest and marks[0].largest == marks[1].largest
    if len(plain.excess):
        painted = [np.zeros(cells.shape, bool) for _ in range(2)]
        energy.paint_best(plain, painted[0])
        monkeypatch.setattr(energy, "kernels", lambda: native)
        energy.paint_best(plain, painted[1])
        assert painted[0].any() and np.array_equal(*painted)


def test_more_hits_than_there_is_room_for(native: Kernels) -> None:
    cells = np.full((300, 300), 2.0, np.float32)
    _, places, sums = native.rectangles(cells, np.full((1, 1), 1.0, np.float32))
    assert len(places) == cells.size and np.all(sums == 2)
    assert np.array_equal(np.unique(places[:, 2] * 300 + places[:, 3]), np.arange(cells.size))


def test_the_same_stripes_are_found(native: Kernels, monkeypatch: pytest.MonkeyPatch) -> None:
    spans = [32, 64, 2048]
    row = rng("native", "stripes").normal(1.0, 0.1, 4096).astype(np.float32)
    row[100:140] += np.float32(0.5)
    row[2000] += np.float32(5)
    one, other = (energy.Stripes(GRID, spans, -20.0, 0.01) for _ in range(2))
    for span in spans:
        cells = row * np.float32(span)
        monkeypatch.setattr(energy, "kernels", lambda: native)
        found = one.search(cells, span)
        monkeypatch.setattr(energy, "kernels", lambda: None)
        assert found == other.search(cells, span) and found
        assert one.largest == other.largest


@pytest.mark.parametrize("bins", [64, 256, 512, 4096, 32768, 65536])
@pytest.mark.parametrize("averaged", [1, 3])
def test_the_same_spectra(native: Kernels, monkeypatch: pytest.MonkeyPatch, bins: int, averaged: int) -> None:
    random = rng("native", "spectra", bins)
    pairs = random.standard_normal((5 * bins + 5, 2), dtype=np.float32)
    samples = pairs.view(np.complex64).ravel() + np.exp(0.3j * np.arange(len(pairs))).astype(np.complex64)
    grid = Grid(1e6, bins, bins // 2, averaged)
    queue = spectra.FrameQueue(bins)
    SpectrumStream(grid).process(samples, queue)
    found = queue.take(len(queue))
    _without(monkeypatch)
    plain = SpectrumStream(grid).process(samples)
    # Rounding of a value is that of the largest ones: some 1e-7 of the amplitude of the line for each of 16 steps.
    assert len(found) == len(plain) > 0
    assert np.allclose(np.sqrt(found), np.sqrt(plain), rtol=1e-6, atol=2e-6 * float(np.sqrt(plain.max())))


def test_transforms_check_what_they_get(native: Kernels) -> None:
    assert native.transform(np.ones(128, np.float32)) is None
    assert native.transform(np.ones(1 << 17, np.float32)) is None
    transform = native.transform(np.ones(256, np.float32))
    assert transform is not None
    samples, out = np.ones(600, np.complex64), np.empty((3, 256), np.float32)
    transform.powers(samples, 172, out)
    assert out[:, 128] == pytest.approx(256**2) and out[:, :128].max() < 1e-6
    for wrong, hop, to in (
        (samples, 173, out),
        (samples, 0, out),
        (samples[::2], 1, out),
        (samples.astype(complex), 1, out),
        (samples, 1, out.astype(float)),
        (samples, 1, out[:, :128]),
    ):
        with pytest.raises(ValueError):
            transform.powers(wrong, hop, to)  # type: ignore[arg-type]


@pytest.mark.parametrize("count", [1, 2, 4, 5, 8, 31, 32, 64])
def test_the_mean_of_the_lower_half(native: Kernels, count: int) -> None:
    values = rng("native", "halves", count).exponential(1.0, (count, 37)).astype(np.float32)
    assert np.allclose(
        native.lower_means(values), np.sort(values, axis=0)[: (count + 1) // 2].mean(axis=0), rtol=1e-6
    )


def test_means_of_pieces_with_a_cap(native: Kernels) -> None:
    values = _cells("caps", 9, 120)
    plain = np.minimum(values, np.float32(3)).reshape(9, 3, 40).mean(axis=2)
    assert np.allclose(native.capped_means(values, 40, 3.0), plain, rtol=1e-6)


@pytest.mark.parametrize("number", range(3))
def test_the_same_stripes_last(native: Kernels, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    random = rng("native", "lasting", number)
    rows = random.normal(1, 0.1, (70, 300)).astype(np.float32)
    rows[:, 40:60] += np.float32(0.3)
    rows[30:33, 100:200] += 5
    used = np.zeros(300, bool)
    stripes, excess = [], []
    for _ in range(200):
        back, width = int(random.choice([2, 3, 8, 63, 64])), int(random.integers(1, 30))
        stripe = int(random.integers(71 - back)), back, int(random.integers(301 - width)), width
        used[stripe[2] : stripe[2] + width] = True
        stripes.append(stripe)
        excess.append(float(random.uniform(1, 2)))
    both = np.array(stripes, np.int32), np.array(excess)
    found = search._painted(rows, *both, used)
    monkeypatch.setattr(search, "kernels", lambda: None)
    assert np.array_equal(found, search._painted(rows, *both, used)) and found.any() and not found.all()


@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 1.0])
@pytest.mark.parametrize("bins", [16, 1000])
def test_the_same_mean_of_what_is_free(
    native: Kernels, monkeypatch: pytest.MonkeyPatch, bins: int, share: float
) -> None:
    random = rng("native", "free", bins, share)
    values, free = random.gamma(20, 0.05, bins), random.random(bins) < share
    free[: bins // 3] = False
    expected = 1 + 0.3 * np.sin(np.arange(bins) / 100)
    found = noise_floor._local_mean(values * expected, free, bins // 64, expected)
    monkeypatch.setattr(noise_floor, "kernels", lambda: None)
    plain = noise_floor._local_mean(values * expected, free, bins // 64, expected)
    assert np.allclose(found, plain, rtol=1e-12)


def test_samples_that_are_usable(native: Kernels) -> None:
    pairs = rng("native", "usable").standard_normal((10_000, 2), dtype=np.float32)
    good = pairs.view(np.complex64).ravel()
    assert (
        native.usable(good, 8, 5e11)
        and native.usable(good[:0], 8, 5e11)
        and native.usable(good[::3], 8, 5e11)
    )
    for bad in (np.nan, np.inf, -np.inf, 1j * np.inf, 6e11, -6e11j):
        for place in (0, 4095, 4096, 9_999):
            some = good.copy()
            some[place] = bad
            assert not native.usable(some, 8, 5e11)
    for value in (0, 0.25 + 0.5j):
        for place in (0, 4080, 9_960):
            some = good.copy()
            some[place : place + 32] = value  # four of eight in a row, wherever it begins
            assert not native.usable(some, 8, 5e11)
    some[:] = np.repeat(good[::16], 16)
    assert native.usable(some, 8, 5e11)


def test_wrong_arrays_are_refused(native: Kernels) -> None:
    cells, table = np.ones((4, 8), np.float32), np.ones((1, 1), np.float32)
    for wrong in (cells.astype(np.float64), cells[:, ::2], cells[0]):
        with pytest.raises(ValueError, match="without gaps"):
            native.rectangles(wrong, table)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="shape"):
        native.rectangles(cells, table, np.zeros((4, 7), bool))
    with pytest.raises(ValueError, match="rows"):
        native.lower_means(np.ones((65, 3), np.float32))
    with pytest.raises(ValueError, match="outside"):
        native.paint(np.array([[0, 0, 4, 0]], np.int32), np.ones(1, np.float32), 0.8, cells > 2)
    used, one = np.array([False, True, True] + [False] * 5), np.ones(1)
    for stripe in ([3, 2, 1, 2], [0, 0, 1, 2], [0, 4, 1, 3], [0, 4, 7, 2], [-1, 2, 1, 1]):
        with pytest.raises(ValueError):
            native.paint_lasting(cells, np.array([stripe], np.int32), one, (0.8, 0.3), used)
    with pytest.raises(ValueError, match="shape"):
        native.local_mean(np.ones(8), np.ones(7, bool), 2, 3, np.ones(8))


def test_without_the_library_a_sentence_says_so() -> None:
    code = "from amrq.native import kernels, missing; assert kernels() is None; print(missing())"
    said = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"AMRQ_NATIVE": "0", "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "without their compiled kernels" in said and said.count("\n") == 1


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("drifts", [False, True])
def test_the_same_cells_and_sums_of_tiles(
    native: Kernels, monkeypatch: pytest.MonkeyPatch, wide: bool, drifts: bool
) -> None:
    random = rng("native", "whiten", wide, drifts)
    frames = random.exponential(1.0, (7, 64)).astype(np.float32)
    density = random.uniform(0.5, 2, 64).astype(np.float32)
    gains = random.uniform(0.9, 1.1, 7).astype(np.float32) if drifts else None
    left_out = np.arange(7) == 2
    made = []
    for _ in range(2):
        cells, sums = np.empty_like(frames), np.empty((3, 32 if wide else 64), np.float32)
        energy.whiten(frames, density, gains, left_out, cells, sums)
        made.append((cells, sums))
        monkeypatch.setattr(energy, "kernels", lambda: None)
    assert np.array_equal(made[0][0], made[1][0]) and np.array_equal(made[0][1], made[1][1])
    assert np.all(made[0][0][2] == 1)
    with pytest.raises(ValueError, match="shape"):
        native.whiten(frames, density, None, left_out, frames[:6], made[0][1])
