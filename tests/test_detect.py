# SPDX-License-Identifier: GPL-3.0-or-later
"""What the detector finds in a band, and what it does not."""

import math

import numpy as np
import pytest
import scipy.fft
import scipy.ndimage
from numpy.typing import NDArray
from seeds import rng

from amrq.detect import (
    Box,
    Detector,
    EmissionOptions,
    EmissionTracker,
    Grid,
    NoiseFloor,
    SpectrumStream,
    boxes,
    cells,
    fine_grid,
)
from amrq.detect import cells as cells_module
from amrq.detect import merging as merging_module
from amrq.detect import segments as segments_module
from amrq.errors import AmrqError
from amrq.signals import SimulatedBand

RATE = 2.4e6


def _noise(name: str, seconds: float) -> NDArray[np.complex64]:
    pairs = rng("detect", name).standard_normal((int(seconds * RATE), 2), dtype=np.float32)
    return (pairs * np.float32(0.01)).view(np.complex64).ravel()


def _boxes(detector: Detector, samples: NDArray[np.complex64], piece: int = 100_000) -> list[Box]:
    last = {}
    for at in range(0, len(samples), piece):
        last |= {box.id: box for box in detector.process(samples[at : at + piece])}
    return list((last | {box.id: box for box in detector.finish()}).values())


def test_noise_alone_is_no_emission() -> None:
    detector = Detector(RATE)
    assert _boxes(detector, _noise("alone", 1.0)) == []
    assert 0.5 < detector.largest_statistic < 1
    # 2e-4 of full scale squared in 2.4 MHz.
    assert np.allclose(detector.floor_dbfs_per_hz, 10 * math.log10(2e-4 / RATE), atol=0.4)
    assert np.all(detector.threshold_dbfs_per_hz > detector.floor_dbfs_per_hz)


def test_a_carrier_is_a_narrow_box_from_its_start_to_its_stop() -> None:
    samples = _noise("carrier", 1.0)
    start, stop = 600_000, 1_700_000
    samples[start:stop] += (0.004 * np.exp(2j * np.pi * 301_234 / RATE * np.arange(start, stop))).astype(
        np.complex64
    )
    (box,) = _boxes(Detector(RATE), samples)
    assert abs(box.centre - 301_234) < 300 and box.bandwidth < 2000
    assert abs(box.start - start) < 5000 and abs(box.stop - stop) < 5000
    assert not box.is_open and box.kind == ""


def test_nothing_finite_nothing_at_all_and_a_break() -> None:
    detector = Detector(RATE)
    samples = _noise("faults", 1.0)
    samples[300_000:300_100] = np.nan
    samples[500_000] = 1e38
    samples[700_000:1_000_000] = 0
    boxes = detector.process(samples)
    boxes += detector.add_break(10_000_000)
    boxes += _boxes(detector, _noise("after", 0.5))
    assert detector.bad_samples == 101
    assert detector.n_samples == 10_000_000 + RATE // 2
    assert boxes == []


@pytest.mark.parametrize(
    ("kind", "length"),
    [
        ("zeros", 100),
        ("zeros", 5_000),
        ("zeros", 20_000),
        ("zeros", 300_000),
        ("one value", 20_000),
        ("NaN", 20_000),
    ],
)
def test_gaps_in_noise_are_no_emissions(kind: str, length: int) -> None:
    samples = _noise(f"gaps {kind} {length}", 0.5)
    for at in rng("detect", "gaps", kind, length).integers(200_000, len(samples) - length, 4):
        samples[at : at + length] = {"zeros": 0, "one value": samples[at], "NaN": math.nan}[kind]
    assert _boxes(Detector(RATE), samples) == []


def test_a_gap_in_a_strong_carrier_does_not_spread_it() -> None:
    samples = _noise("gap in a carrier", 0.6)
    samples += (0.3 * np.exp(2j * np.pi * 0.1234 * np.arange(len(samples)))).astype(np.complex64)
    samples[500_000:500_700] = 0
    samples[900_000:930_000] = 0
    boxes = _boxes(Detector(RATE), samples)
    assert boxes and all(abs(box.centre - 0.1234 * RATE) < 2e3 and box.bandwidth < 4e3 for box in boxes)


def test_a_frame_of_no_use_costs_no_block() -> None:
    samples = _noise("one bad", 0.5)
    samples[400_000:700_000] += (0.004 * np.exp(2j * np.pi * 0.2 * np.arange(300_000))).astype(np.complex64)
    detector = Detector(RATE)
    grids = detector.coarse, detector.fine
    spectra = [SpectrumStream(grid).process(samples) for grid in grids]
    for frames, grid, value in zip(spectra, grids, (math.nan, 1e38), strict=True):
        frames[600_000 // grid.step, 100] = value
    boxes = {box.id: box for box in detector.process_spectra(*spectra) + detector.finish()}
    (box,) = boxes.values()
    assert abs(box.centre - 0.2 * RATE) < 1e3 and abs(box.stop - box.start - 300_000) < 10_000


def test_samples_without_noise_have_nothing_in_them() -> None:
    for samples in (np.full(600_000, 0.3 + 0.1j, np.complex64), np.zeros(600_000, np.complex64)):
        assert _boxes(Detector(RATE), samples) == []


def test_an_emission_keeps_its_identity_over_packets_and_drift() -> None:
    tracker = EmissionTracker(RATE, EmissionOptions(hold=1.0))
    events = []
    for k in range(20):
        at, drift = int(k * 0.1 * RATE), 200.0 * k
        box = Box(k + 1, at, at + 24_000, drift - 6e3, drift + 6e3, 10.0, -50.0, False)
        events += tracker.update([box], at + 100_000)
    assert {event.emission.id for event in events} == {1}
    assert [event.event for event in events] == ["begin", "end"] * 20
    assert events[-1].emission.bursts == 20


def test_a_line_whose_edges_move_by_a_fine_bin_stays_one_emission() -> None:
    tracker, bin = EmissionTracker(RATE), fine_grid(RATE).bin_width
    events = []
    for k, (lower, upper) in enumerate([(-0.5, 0.5), (-2.1, 1.9), (0.4, 1.3), (-0.6, 0.3)]):
        at = int(k * 0.8 * RATE)
        box = Box(k + 1, at, at + 240_000, lower * bin, upper * bin, 8.0, -60.0, False)
        events += tracker.update([box], at + 300_000)
    assert {event.emission.id for event in events} == {1}
    # What takes turns with it three bins beside is another one.
    beside = Box(9, at + 480_000, at + 720_000, 2.5 * bin, 3.5 * bin, 8.0, -60.0, False)
    assert {event.emission.id for event in tracker.update([beside], at + 800_000)} == {2}


def _line(grid: Grid, noise: NDArray[np.float64], frames: int, first: float) -> boxes.OpenBox:
    """Return a box of a line in the middle of 64 bins, seen in so many frames; noise [64] of one frame."""
    spectrum = noise * math.sqrt(frames)
    spectrum[31:34] += frames * np.array([1.0, 5.0, 1.0])
    segment = cells.Segment(
        first, first + frames * grid.step, 0.0, 0.0, 5.0, 1e-9, grid, (31, 34), 0, spectrum, frames, 1
    )
    box = boxes.OpenBox(1, segment.start, segment.stop, 1e-9)
    box.add(segment)
    box.measure()
    return box


def test_a_short_piece_of_a_line_that_joins_a_long_one_leaves_its_edges() -> None:
    grid = fine_grid(RATE)
    noise = rng("detect", "joined").standard_normal((20, 2, 64))
    for own, brief in noise:
        box = _line(grid, own, 2000, 0.0)
        before = box.upper - box.lower
        box.join(_line(grid, brief, 8, 2000.0 * grid.step))
        box.measure()
        assert abs(box.upper - box.lower - before) < 0.5 * grid.bin_width


def test_pieces_of_other_bins_that_join_make_a_box_wider() -> None:
    grid = fine_grid(RATE)
    one, other = _line(grid, np.zeros(64), 2000, 0.0), _line(grid, np.zeros(64), 1000, 0.0)
    (held,) = other.sums.values()
    held.first, held.core = held.first + 6, (held.core[0] + 6, held.core[1] + 6)
    one.join(other)
    one.measure()
    assert 6 * grid.bin_width < one.upper - one.lower < 10 * grid.bin_width


def test_too_many_emissions_are_counted_not_followed() -> None:
    tracker = EmissionTracker(RATE, EmissionOptions(most_emissions=10))
    boxes = [Box(k, 0, 1000, 1e4 * k, 1e4 * k + 5e3, 10.0, -50.0, True) for k in range(1, 51)]
    assert len(tracker.update(boxes, 2000)) == 10
    assert len(tracker.emissions) == 10 and tracker.suppressed == 40
    assert [event.event for event in tracker.finish(3000)] == ["end"] * 10


@pytest.mark.parametrize("name", ["step up", "step down", "drift"])
def test_a_gain_that_changes_is_no_emission(name: str) -> None:
    samples = _noise(name, 0.8)
    time = np.arange(len(samples)) / RATE
    if name == "drift":
        samples *= (10 ** (3 * np.sin(2 * np.pi * 1.2 * time) / 20)).astype(np.float32)
    else:
        samples[1_012_345:] *= np.float32(10 ** (0.5 if name == "step up" else -0.5))
    assert _boxes(Detector(RATE), samples) == []


@pytest.mark.parametrize(("seed", "block", "broken"), [(0, 96_000, False), (3, 65_536, True)])
def test_a_crowded_band_does_not_become_one_box(seed: int, block: int, broken: bool) -> None:
    band, detector = SimulatedBand(RATE, seed), Detector(RATE)
    lengths = rng("detect", "breaks", seed).integers(50_000, 700_000, 1000)
    widest, next_break = max(one.bandwidth for one in band.emissions), int(lengths[0])
    boxes: list[Box] = []
    for number, at in enumerate(range(0, int(5.1 * RATE), block), 1):
        samples = band.next_samples(block)
        if broken and at > next_break:
            # This piece is lost.
            boxes += detector.add_break(at + block)
            next_break += int(lengths[number])
        else:
            boxes += detector.process(samples)
    boxes += detector.finish()
    assert max(box.bandwidth for box in boxes) < 1.5 * widest
    assert len({box.id for box in boxes if box.stop - box.start > 0.2 * RATE}) >= 5


def test_noise_in_a_narrow_band_has_no_steps() -> None:
    """At 500 kS/s a part of the free bins holds 38 of them: its level moves by 10 % from one group to the next."""
    grid = Grid(5e5, 4096, 2048, 1)
    floor, random = NoiseFloor(grid), rng("detect", "narrow band without steps")
    window = np.hanning(grid.bins).astype(np.float32)
    stepped = 0
    for _ in range(100):
        samples = (random.standard_normal((33 * grid.hop, 2), np.float32) @ [1, 1j]).astype(np.complex64)
        pieces = np.lib.stride_tricks.sliding_window_view(samples, grid.bins)[:: grid.hop]
        block = np.square(np.abs(scipy.fft.fft(pieces * window, axis=1)))
        for low in range(50, grid.bins, 100):
            block[:, low : low + 40] *= 30
        floor.update(block)
        stepped += floor.stepped
    assert stepped == 0


def test_many_emissions_that_begin_together_are_no_step_of_the_gain() -> None:
    grid = Grid(RATE, 4096, 2048)
    random = rng("detect", "together")
    floor = NoiseFloor(grid)

    def is_step(before: NDArray[np.float32], block: NDArray[np.float32]) -> bool:
        floor.reset()
        for one in (before, before, block):
            floor.update(one)
        return floor.stepped

    # 24 emissions over 30 % of the band.
    on = np.arange(grid.bins) % (grid.bins // 24) < 0.3 * grid.bins // 24
    for _ in range(4):
        noise = random.exponential(1.0, (128, grid.bins)).astype(np.float32)
        at = int(random.integers(10, 120))
        for level in (1.0, 3.0, 10.0, 100.0):
            block = noise.copy()
            block[at:, on] *= np.float32(1 + level)
            assert not is_step(noise, block)
        for gain_db in (-10, -3, 1, 10):
            block = noise.copy()
            block[at:] *= np.float32(10 ** (gain_db / 10))
            assert is_step(noise, block)


@pytest.mark.parametrize(("begins", "parts"), [(20, 1), (35, 3)])
def test_what_begins_later_between_two_parts_is_no_part_of_them(begins: int, parts: int) -> None:
    """Parts that begin in the same frame are one, with what begins with them between them."""
    grid, random = Grid(RATE, 1024, 512), rng("detect", "between", begins)
    values = random.exponential(1.0, (80, grid.bins)).astype(np.float32)
    cells = cells_module.Cells(grid, values, 100, np.full(grid.bins, 1e-9, np.float32), 0.9)
    segments = []
    for low, high, first, level in ((200, 206, 20, 3.0), (250, 262, begins, 100.0), (300, 400, 20, 10.0)):
        values[first:, low:high] *= 1 + level
        rows, times = slice(first, 80), (cells.time(first), cells.time(80))
        one = segments_module.summed(cells, rows, (low, high), times)
        assert one is not None
        segments.append(one)
    assert len(merging_module.merge_segments(segments, cells)) == parts


def test_neighbours_stay_apart_one_of_them_30_db_stronger() -> None:
    samples = _noise("neighbours", 0.6)
    random = rng("detect", "neighbours", "bits")
    for centre, level in ((200e3, 0.0012), (212.5e3, 0.038)):
        bits = np.repeat(random.integers(2, size=len(samples) // 500 + 1) * 2 - 1, 500)[: len(samples)]
        smooth = scipy.ndimage.gaussian_filter1d(bits.astype(float), 180)
        phase = np.cumsum(2 * np.pi * (centre + 1.2e3 * smooth) / RATE)
        samples += (level * np.exp(1j * phase)).astype(np.complex64)
    boxes = [box for box in _boxes(Detector(RATE), samples) if box.kind == ""]
    assert np.allclose(sorted(box.centre for box in boxes), [200e3, 212.5e3], atol=500)
    assert all(box.bandwidth < 10e3 for box in boxes)


def test_a_mirror_image_is_known_as_one() -> None:
    samples = _noise("image", 0.6)
    start, stop = 300_000, 1_000_000
    quarters = rng("detect", "image", "symbols").integers(4, size=(stop - start) // 60 + 1)
    burst = scipy.ndimage.gaussian_filter1d(
        np.repeat(np.exp(0.5j * np.pi * quarters), 60)[: stop - start], 25
    )
    samples[start:stop] += (0.1 * burst * np.exp(2j * np.pi * 0.2 * np.arange(stop - start))).astype(
        np.complex64
    )
    samples += np.complex64(0.02) * np.conj(samples)
    kinds = {box.kind for box in _boxes(Detector(RATE), samples) if abs(box.centre + 480e3) < 40e3}
    assert kinds == {"image"}


def test_a_short_recording_of_one_signal_that_fills_a_third_of_its_band() -> None:
    random = rng("detect", "short")
    symbols = np.repeat(np.exp(0.5j * np.pi * random.integers(4, size=2400)), 4)
    signal = scipy.ndimage.gaussian_filter1d(symbols, 1.4)
    noise = random.standard_normal((9600, 2)) @ [0.07, 0.07j]
    detector = Detector(100e3)
    boxes = detector.process((signal + noise).astype(np.complex64)) + detector.finish()
    (box,) = {box.id: box for box in boxes}.values()
    assert abs(box.centre) < 3e3 and 12e3 < box.bandwidth < 45e3


def test_pulses_shorter_than_a_frame_have_times_of_their_own() -> None:
    rate, count = 20e6, 4_000_000
    random = rng("detect", "pulses")
    samples = (
        (random.standard_normal((count, 2), dtype=np.float32) * np.float32(0.02)).view(np.complex64).ravel()
    )
    # Pulse position of 1 Mbit/s, 120 us: half of the time on, 2 MHz wide, 20 dB over the noise there.
    places = 1_000_000 + 500_000 * np.arange(6) + random.integers(100_000, size=6)
    for place in places:
        bits = random.integers(2, size=120)
        chips = np.repeat(np.stack([bits, 1 - bits], axis=1).ravel(), 10)
        smooth = scipy.ndimage.gaussian_filter1d(chips.astype(float), 3)
        samples[place : place + 2400] += (0.12 * smooth * np.exp(0.9j * np.arange(2400))).astype(np.complex64)
    boxes = _boxes(Detector(rate), samples, 1 << 20)
    right = 0
    for place in places:
        near = [box for box in boxes if box.start < place + 10_000 and box.stop > place - 10_000]
        # A frame has 4,096 samples.
        right += (
            len(near) == 1 and abs(near[0].start - place) < 300 and abs(near[0].stop - place - 2400) < 300
        )
    # Of 60 such pulses 59 were right: four or fewer of six would be one case in a hundred.
    assert right >= 5 and len(boxes) <= len(places) + 2


def test_a_chirp_slower_than_a_frame_is_one_box() -> None:
    samples = _noise("chirp", 0.7)
    start, stop, sweep = 500_000, 1_300_000, 125e3
    time = np.arange(stop - start) / RATE
    frequency = 300e3 + sweep * (np.mod(time / 0.0082, 1) - 0.5)
    samples[start:stop] += (0.008 * np.exp(2j * np.pi * np.cumsum(frequency) / RATE)).astype(np.complex64)
    (box,) = _boxes(Detector(RATE), samples)
    assert abs(box.start - start) < 0.02 * (stop - start) and abs(box.stop - stop) < 0.02 * (stop - start)
    assert abs(box.centre - 300e3) < 0.1 * sweep and abs(box.bandwidth - sweep) < 0.2 * sweep


def _filtered(samples: NDArray[np.complex64], gain: NDArray[np.float64]) -> NDArray[np.complex64]:
    """Return samples whose spectrum has this gain (dB, at frequencies 0 to the sample rate)."""
    out: NDArray[np.complex64] = scipy.fft.ifft(scipy.fft.fft(samples) * 10 ** (gain / 20).astype(np.float32))
    return out.astype(np.complex64)


@pytest.mark.parametrize(("passed", "depth"), [(0.43, 40), (0.38, 50), (0.28, 70)])
def test_noise_through_a_steep_filter_is_no_emission_and_is_said(passed: float, depth: float) -> None:
    samples = _noise(f"filter {passed}", 0.5)
    place = np.abs(scipy.fft.fftfreq(len(samples)))
    detector = Detector(RATE)
    assert _boxes(detector, _filtered(samples, -np.clip((place - passed) / 0.04, 0, 1) * depth)) == []
    (note,) = detector.remarks
    assert "filter" in note


@pytest.mark.parametrize("begins", [0.0, 0.25])
def test_one_wide_signal_over_most_of_the_band_is_found_from_side_to_side(begins: float) -> None:
    samples, signal = _noise("wide", 0.6), _noise("wide signal", 0.6)
    place = scipy.fft.fftfreq(len(samples))
    signal = _filtered(2 * signal, np.where((place > -0.38) & (place < 0.32), 0.0, -200.0))
    signal[: int(begins * RATE)] = 0
    boxes = [one for one in _boxes(Detector(RATE), samples + signal) if one.kind != "part"]
    box = max(boxes, key=lambda one: one.bandwidth)
    assert abs(box.lower / RATE + 0.38) < 0.02 and abs(box.upper / RATE - 0.32) < 0.02
    assert box.stop > 0.59 * RATE
    # What else there is lies on its sides.
    sides = (box.lower, box.upper)
    assert all(min(abs(one.centre - side) for side in sides) < 0.01 * RATE for one in boxes if one is not box)


def test_a_signal_across_0_hz_is_told_from_the_line_there() -> None:
    samples = _noise("across 0 Hz", 0.5)
    line = np.complex64(0.01)  # 37 dB over the noise in a bin
    assert _boxes(Detector(RATE), samples + line) == []
    symbols = np.repeat(rng("detect", "across 0 Hz", "symbols").choice([-1.0, 1.0], 500), 600)
    samples[500_000:800_000] += (0.006 * scipy.ndimage.gaussian_filter1d(symbols, 150)).astype(np.complex64)
    (box,) = _boxes(Detector(RATE), samples + line)
    assert box.kind == "" and box.lower < -1e3 and box.upper > 1e3 and box.bandwidth < 12e3
    assert abs(box.start - 500_000) < 8192 and abs(box.stop - 800_000) < 8192


def test_a_line_at_0_hz_that_changes_is_known_as_one() -> None:
    samples = _noise("unsteady line", 0.4)
    line = 0.01 * (1 + np.exp(-np.arange(len(samples)) / 40_000))
    assert {box.kind for box in _boxes(Detector(RATE), samples + line.astype(np.complex64))} <= {"dc"}


def test_what_leans_on_the_edge_of_the_band_is_said_to_be_cut_off() -> None:
    samples, signal = _noise("edge", 0.4), _noise("edge signal", 0.4)
    place = scipy.fft.fftfreq(len(samples))
    signal = _filtered(4 * signal, np.where(place > 0.49, 0.0, -200.0))
    kinds = {box.kind for box in _boxes(Detector(RATE), samples + signal) if box.kind != "part"}
    assert kinds == {"edge"}


def test_a_strong_signal_that_ends_in_the_mirror_band_makes_no_wide_signal_an_image() -> None:
    samples, signal = _noise("no image", 0.4), _noise("no image signal", 0.4)
    place = scipy.fft.fftfreq(len(samples))
    samples += _filtered(4 * signal, np.where((place > 0.2) & (place < 0.24), 0.0, -200.0))
    samples += (0.2 * np.exp(-2j * np.pi * 0.215 * np.arange(len(samples)))).astype(np.complex64)
    boxes = [box for box in _boxes(Detector(RATE), samples) if abs(box.centre - 0.22 * RATE) < 20e3]
    assert any(box.kind == "" and box.bandwidth > 70e3 for box in boxes)


@pytest.mark.parametrize("symbols", [600, 2400])
def test_short_recordings_of_a_wide_signal_and_of_noise(symbols: int) -> None:
    random = rng("detect", "shorter", symbols)
    noise = (random.standard_normal((4 * symbols, 2)) @ [0.1, 0.1j]).astype(np.complex64)
    detector = Detector(100e3)
    assert detector.process(noise) + detector.finish() == []
    signal = scipy.ndimage.gaussian_filter1d(np.repeat(random.choice([-1.0, 1.0], symbols), 4), 1.4)
    detector = Detector(100e3)
    boxes = detector.process(noise + signal.astype(np.complex64)) + detector.finish()
    (box,) = {box.id: box for box in boxes}.values()
    assert abs(box.centre) < 4e3 and 10e3 < box.bandwidth < 45e3
    assert 0 <= box.start < 0.1 * len(noise) and 0.9 * len(noise) < box.stop <= len(noise)


@pytest.mark.parametrize("count", [300, 600, 1200, 2400])
def test_a_short_recording_made_faster_has_a_floor(count: int) -> None:
    """Beside what a filter passed there is nothing: so few pieces of the band are no receiver's passband."""
    random = rng("detect", "made faster", count)
    for passed in (0.32, 0.42, 0.55, 0.7, 0.85):
        white = random.standard_normal((count, 2)) @ [0.1, 0.1j]
        spectrum = scipy.fft.fft(white)
        spectrum[np.abs(scipy.fft.fftfreq(count)) > passed / 2] = 0
        detector = Detector(1e6)
        detector.process(scipy.fft.ifft(spectrum).astype(np.complex64))
        detector.finish()


@pytest.mark.parametrize("rate", [48e3, 250e3])
def test_a_gain_that_is_set_all_the_time_is_no_emission_at_low_rates(rate: float) -> None:
    random = rng("detect", "gain control", round(rate))
    count, every = int(1.6 * rate), int(0.05 * rate)
    samples = random.standard_normal((count, 2)) @ [0.01, 0.01j]
    gains = np.repeat(10 ** (random.uniform(-3, 3, count // every + 1) / 20), every)[:count]
    assert _boxes(Detector(rate), (samples * gains).astype(np.complex64)) == []


def test_hops_get_a_common_number_and_what_is_refused_is_counted_once() -> None:
    tracker = EmissionTracker(RATE, EmissionOptions(group_hops=True))
    random = rng("detect", "hops")
    # A hopper of 25 kHz, 10 ms, on channels 50 kHz apart; beside it a steady carrier and packets on one frequency.
    places = random.permutation(np.arange(-15, 15))[:12] * 50e3
    boxes = [Box(1, 0, 480_000, 1.0e6, 1.0e6 + 600, 20.0, -60.0, False)]
    for k, place in enumerate(places.tolist()):
        start = k * 26_000
        boxes.append(Box(10 + k, start, start + 24_000, place, place + 25e3, 20.0, -40.0, False))
        boxes.append(Box(50 + k, start + 9_000, start + 12_000, -1.1e6, -1.09e6, 20.0, -50.0, False))
    tracker.update(boxes, 500_000)
    groups = {one.centre: one.hop_group for one in tracker.emissions}
    assert {groups[place + 12.5e3] for place in places.tolist()} == {1}
    assert groups[1.0e6 + 300] == 0 and groups[-1.095e6] == 0
    full = EmissionTracker(RATE, EmissionOptions(most_emissions=1))
    two = [Box(1, 0, 1000, 0.0, 5e3, 10.0, -50.0, True), Box(2, 0, 1000, 1e5, 1.05e5, 10.0, -50.0, True)]
    for now in (2000, 4000, 6000):
        full.update(two, now)
    assert full.suppressed == 1


def test_emissions_at_the_bands_edges() -> None:
    samples = _noise("edges", 0.5)
    bits = np.repeat(rng("detect", "edges", "bits").integers(2, size=len(samples) // 200 + 1) * 2 - 1, 200)
    for place in (-0.4985, 0.4985, 0.492):
        turn = np.exp(2j * np.pi * place * np.arange(len(samples)))
        samples += (0.05 * bits[: len(samples)] * turn).astype(np.complex64)
    boxes = _boxes(Detector(RATE), samples)
    # Edges lie inside the band, but for half a coarse bin.
    assert max(box.upper for box in boxes) > 1.15e6 and min(box.lower for box in boxes) < -1.15e6
    assert all(max(abs(box.lower), abs(box.upper)) < RATE / 2 + 2400 for box in boxes)


@pytest.mark.parametrize(
    "period", [(1, 1j, -1, -1j), (1, -1), (1, 0.5 + 0.5j, 1j, -0.5 + 0.5j, -1, -0.5 - 0.5j, -1j, 0.5 - 0.5j)]
)
def test_a_tone_that_comes_back_to_its_values_is_no_gap(period: tuple[complex, ...]) -> None:
    detector = Detector(1e6)
    boxes = detector.process(np.tile(period, 240_000 // len(period))) + detector.finish()
    assert detector.bad_samples == 0 and all(box.bandwidth < 0.1e6 for box in boxes)


def test_short_stretches_between_breaks_do_not_come_again() -> None:
    """Before a whole block has come, each stretch is searched by itself: once, where it was."""
    random = rng("detect", "short stretches")

    def noise(count: int) -> NDArray[np.complex128]:
        made: NDArray[np.complex128] = random.standard_normal((count, 2)) @ [0.01, 0.01j]
        return made

    with_tone = noise(20_000)
    with_tone[5_000:15_000] += 0.1 * np.exp(0.2j * np.pi * np.arange(10_000))
    detector = Detector(1e6)
    boxes = detector.process(with_tone)
    for now in (100_000, 200_000):
        boxes += detector.add_break(now) + detector.process(noise(20_000) if now < 200_000 else with_tone)
    boxes += detector.finish()
    assert [abs(box.start - at) < 1_000 for box, at in zip(boxes, (5_000, 205_000), strict=True)] == [
        True,
        True,
    ]
    assert boxes[0].id != boxes[1].id


@pytest.mark.parametrize(("value", "said"), [(0, 1), (0.5 - 0.5j, 1), (math.nan, 1), (None, 0)])
def test_samples_without_anything_in_them_are_said(value: complex | None, said: int) -> None:
    samples = np.full(480_000, value, np.complex64) if value is not None else None
    if samples is None:
        samples = (rng("detect", "said").standard_normal((480_000, 2)) @ [0.01, 0.01j]).astype(np.complex64)
    detector = Detector(1e6)
    assert detector.process(samples) + detector.finish() == []
    assert len(detector.remarks) == said


@pytest.mark.parametrize("rate", [1e-9, 1e11, float("nan")])
def test_a_rate_at_which_nothing_can_be_found_is_refused(rate: float) -> None:
    with pytest.raises(AmrqError, match="right sample rate"):
        Detector(rate)
