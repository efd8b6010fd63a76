# SPDX-License-Identifier: GPL-3.0-or-later
"""The compiled kernels for single emissions do what the NumPy code beside them does."""

import functools

import numpy as np
import pytest
from numpy.typing import NDArray
from seeds import rng

from amrq.detect import Grid, boxes, edges, faults, segments
from amrq.detect import cells as stretch
from amrq.native import Kernels

GRID = Grid(1e6, 512, 256)
_COUNTS = (1, 2, 5, 40, 333)


def _cells(*name: object, rows: int = 60) -> stretch.Cells:
    """Return noise with some emissions in it: wide and narrow, brief and long, strong and weak."""
    random = rng("native-segments", *name)
    values = random.exponential(1.0, (rows, GRID.bins)).astype(np.float32)
    for _ in range(12):
        t, f = int(random.integers(rows)), int(random.integers(GRID.bins))
        height, width = 1 << int(random.integers(1, 6)), 1 << int(random.integers(6))
        values[t : t + height, f : f + width] *= np.float32(random.uniform(1.5, 100))
    return stretch.Cells(GRID, values, 7, np.full(GRID.bins, 1e-9, np.float32), 0.9)


def _plain(cells: stretch.Cells) -> stretch.Cells:
    """Return the same cells without compiled kernels."""
    other = stretch.Cells(cells.grid, cells.values, cells.first, cells.density, cells.worth)
    vars(other)["native"] = None
    return other


@pytest.mark.parametrize("number", range(20))
def test_the_same_lobes_and_times(native: Kernels, number: int) -> None:
    cells = _cells("lobes", number)
    plain = _plain(cells)
    random = rng("native-segments", "where", number)
    for _ in range(20):
        t, f = int(random.integers(58)), int(random.integers(500))
        rows = slice(t, int(random.integers(t + 1, 60)))
        columns = slice(f, int(random.integers(f + 1, 513)))
        found = segments._cores(cells, rows, columns)
        assert found == segments._cores(plain, rows, columns)
        for core in [(columns.start, columns.stop), *found]:
            when, other = (segments._when_on(one, rows, core) for one in (cells, plain))
            assert (when is None) == (other is None)
            if when is not None and other is not None:
                assert when[:2] == other[:2]
                assert when[2:] == pytest.approx(other[2:], rel=1e-9, abs=1e-9)


def test_silence_in_between_is_cut_off_alike(native: Kernels) -> None:
    random = rng("native-segments", "silence")
    envelope = np.full(200, 0.05)
    envelope[20:70] = envelope[120:180] = 5
    values = (1 + envelope[:, None]) * random.gamma(30, 1 / 30, (200, GRID.bins))
    cells = stretch.Cells(GRID, values.astype(np.float32), 0, np.ones(GRID.bins, np.float32), 0.9)
    for length in (3, 4, 10, 40, 60, 199):
        found = native.cells(cells.values).when_on(slice(0, 200), 100, 160, length, 0.01)
        plain = cells.over_bins(slice(0, 200), 100, 160) / 60 - 1
        assert found is not None
        assert found[:2] == edges.unbroken(plain, *edges.on_time(plain), length, 0.01)
        assert found[:2] == ((120, 180) if length <= 40 else (20, 180))


@pytest.mark.parametrize("count", _COUNTS)
def test_the_same_edges_of_a_spectrum(native: Kernels, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    random = rng("native-segments", "edges", count)
    spectra: list[NDArray[np.float64]] = [random.normal(0.2, 1, count) for _ in range(20)]
    spectra += [
        np.zeros(count),
        -np.ones(count),
        40 * np.hanning(count + 2)[1:-1] + random.normal(0, 1, count),
    ]
    found = [edges.occupied(one) for one in spectra]
    reached = [boxes._reach(one, way, 0.5, 0.01, 1.0) for one in spectra for way in (-1, 1)]
    for module in (edges, boxes):
        monkeypatch.setattr(module, "kernels", lambda: None)
    assert np.allclose(found, [edges.occupied(one) for one in spectra])
    assert reached == [boxes._reach(one, way, 0.5, 0.01, 1.0) for one in spectra for way in (-1, 1)]
    assert {0, count} <= set(reached)


def test_the_same_mirror_images(native: Kernels) -> None:
    random = rng("native-segments", "image")
    values = random.exponential(1.0, (60, GRID.bins)).astype(np.float32)
    values[:, 300:320] += 1000 * random.exponential(1.0, (60, 20)).astype(np.float32)
    values[:, 193:213] += 5 * random.exponential(1.0, (60, 20)).astype(np.float32)
    values[20:30, 400:420] += 50
    cells = stretch.Cells(GRID, values, 0, np.ones(GRID.bins, np.float32), 0.9)
    of = functools.partial(stretch.Segment, snr=1.0, density=1.0, grid=GRID, core=(0, 1), first_bin=0)
    answers = []
    for a, b in ((300, 320), (193, 213), (400, 420), (0, 3), (508, 511), (180, 240)):
        one = of(
            cells.time(5),
            cells.time(50),
            GRID.frequency(a),
            GRID.frequency(b - 1),
            spectrum=np.ones(1),
            frames=1.0,
            worth=1.0,
        )
        answers.append(faults._is_image(one, cells))
        assert answers[-1] == faults._is_image(one, _plain(cells))
    assert answers == [False, True, False, False, False, True]


def test_sums_of_a_box_of_cells(native: Kernels) -> None:
    cells = _cells("sums")
    part = native.cells(cells.values)
    for rows, a, b in (
        (slice(0, 60), 0, 512),
        (slice(3, 4), 7, 30),
        (slice(5, 5), 9, 9),
        (slice(0, 9), 3, 20),
    ):
        plain = cells.values[rows, a:b].astype(np.float64)
        assert np.allclose(part.sums(rows, a, b, over_rows=True), plain.sum(axis=0))
        assert np.allclose(part.sums(rows, a, b, over_rows=False), plain.sum(axis=1))


def test_the_same_excess_over_a_limit(native: Kernels) -> None:
    cells = _cells("exceed")
    random = rng("native-segments", "exceed-where")
    first, left = random.integers(0, 50, 300), random.integers(0, 480, 300)
    places = np.column_stack(
        [first, first + random.integers(1, 10, 300), left, left + random.integers(1, 30, 300)]
    )
    limits = np.where(random.random(300) < 0.1, -np.inf, random.exponential(20, 300))
    found = cells.exceed(places, limits)
    assert np.array_equal(found, _plain(cells).exceed(places, limits)) and 30 < np.count_nonzero(found) < 270
    assert len(cells.exceed(places[:0], limits[:0])) == 0


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (1, 30), (40, 1), (7, 12), (60, 81)])
def test_the_same_components(
    native: Kernels, monkeypatch: pytest.MonkeyPatch, rows: int, columns: int
) -> None:
    random = rng("native-segments", "label", rows, columns)
    for share in (0.0, 0.1, 0.3, 0.5, 0.9, 1.0):
        mask = random.random((rows, columns)) < share
        labels, parts = native.label(mask)
        monkeypatch.setattr(segments, "kernels", lambda: None)
        plain, plain_parts = segments._labelled(mask)
        assert np.array_equal(labels, plain) and np.array_equal(parts, plain_parts)


def test_what_lies_outside_is_refused(native: Kernels) -> None:
    part = native.cells(np.ones((4, 8), np.float32))
    for rows, a, b in ((slice(0, 5), 0, 8), (slice(0, 4), -1, 8), (slice(0, 4), 0, 9), (slice(3, 2), 0, 8)):
        with pytest.raises(ValueError, match="inside"):
            part.sums(rows, a, b, over_rows=True)
        with pytest.raises(ValueError, match="inside"):
            part.cores(rows, a, b, 1.0, 60.0, 6.0)
        with pytest.raises(ValueError, match="inside"):
            part.when_on(rows, a, b, 3, 0.1)
    for place in ([0, 5, 0, 8], [0, 4, 0, 9], [-1, 4, 0, 8], [3, 2, 0, 8], [0, 4, 5, 4]):
        with pytest.raises(ValueError, match="inside"):
            part.exceed(np.array([place]), np.ones(1))
    with pytest.raises(ValueError, match="inside"):
        part.mirrored(slice(0, 4), 2, 6, 3, 0.02)
    with pytest.raises(ValueError, match="gaps"):
        native.cells(np.ones((4, 8), np.float32)[:, ::2])
    with pytest.raises(ValueError, match="bin"):
        native.occupied(np.zeros(0), 0.99, (0.4, 2.5))
    with pytest.raises(ValueError, match="gaps"):
        native.reach(np.ones(8)[::2], 1, 1.0, 0.1, 1.0)


def test_more_lobes_than_there_is_room_for(native: Kernels) -> None:
    line = np.zeros((1, 4096), np.float32)
    line[0, ::8] = 100
    found = native.cells(line + 1).cores(slice(0, 1), 0, 4096, 0.1, 60.0, 6.0)
    assert len(found) == 512
