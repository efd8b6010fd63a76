# SPDX-License-Identifier: GPL-3.0-or-later
"""Lobes and lines of an emission are parts of it; neighbours as weak, and carriers on a grid, are their own."""

import numpy as np
from numpy.typing import NDArray
from seeds import rng

from amrq.scan import BandScanner, EmissionRecord, combs, skirts

RATE = 1e6
COUNT = 700_000


def shifted(samples: NDArray[np.complex128], centre: float) -> NDArray[np.complex128]:
    return samples * np.exp(2j * np.pi * centre / RATE * np.arange(len(samples)))


def scanned(samples: NDArray[np.complex128]) -> tuple[list[EmissionRecord], list[EmissionRecord]]:
    """The emissions that a scan lists, and those that are parts of them."""
    random = rng(5)
    noise = (random.normal(size=(COUNT, 2)) @ np.array([1, 1j])) * 0.01
    scanner = BandScanner(RATE)
    events = [*scanner.process((samples + noise).astype(np.complex64)), *scanner.finish()]
    records = [event.record for event in events if event.event == "end"]
    return [one for one in records if not one.part_of], [one for one in records if one.part_of]


def keyed(symbol_rate: float, seed: int) -> NDArray[np.complex128]:
    """Rectangular pulses, keyed in their sign: the lobes are 13 dB and more below the middle."""
    size = round(RATE / symbol_rate)
    return np.repeat(rng(seed).integers(2, size=COUNT // size + 1) * 2.0 - 1, size)[:COUNT] + 0j


def smooth(symbol_rate: float, seed: int) -> NDArray[np.complex128]:
    """Keyed with pulses that have hardly a lobe."""
    taps = np.hanning(round(2 * RATE / symbol_rate))
    return np.convolve(keyed(symbol_rate, seed), taps / taps.sum(), "same")


def test_lobes_are_parts() -> None:
    found, parts = scanned(0.05 * shifted(keyed(20e3, 1), 60e3))
    main = max(found, key=lambda one: one.level_dbfs)
    assert parts, "no lobe stands out: the test shows nothing"
    assert {one.part_of for one in parts} == {main.id}
    beside = [one for one in found if one is not main and abs(one.centre - 60e3) < 130e3]
    assert all(one.stop - one.start < 0.02 * RATE for one in beside)  # a peak of a lobe may stand alone
    assert all("a skirt of emission" in one.reason for one in parts)


def test_neighbours_as_weak_are_emissions() -> None:
    strong = shifted(smooth(20e3, 2), 60e3)
    one_side = 0.08 * shifted(smooth(4e3, 3), 95e3)
    other = 0.08 * shifted(smooth(1500, 4), 22e3)
    found, _ = scanned(0.05 * strong + 0.05 * one_side + 0.05 * other)
    for centre in (60e3, 95e3, 22e3):
        assert any(abs(one.centre - centre) < 2e3 for one in found), centre


def test_lines_of_sweeps_are_one() -> None:
    size, width = 250, 60e3  # lines 4 kHz apart
    sweep = np.exp(1j * np.pi * width / RATE / size * (np.arange(size) - size / 2) ** 2)
    pulses = np.tile(np.where(np.arange(size) < 125, sweep, 0), COUNT // size)
    found, parts = scanned(0.05 * shifted(pulses, 60e3))
    main = max(found, key=lambda one: one.bandwidth)
    assert main.lower < 30e3 and main.upper > 90e3
    assert len([one for one in parts if one.part_of == main.id]) > 10
    assert not [one for one in found if one is not main and abs(one.centre - 60e3) < 130e3]


def test_carriers_on_a_grid_are_their_own() -> None:
    random = rng(6)
    places = 100e3 + 4e3 * np.arange(8) + random.uniform(-40, 40, 8)
    turns = 2 * np.pi * (np.outer(places / RATE, np.arange(COUNT)) + random.random((8, 1)))
    found, _ = scanned(0.004 * np.exp(1j * turns).sum(axis=0))
    assert len([one for one in found if one.bandwidth < 1.5e3]) == 8


def test_samples_that_have_gone_do_not_repeat() -> None:
    assert not combs.repeats(np.zeros(0, np.complex64), RATE, 1e-3, 60e3)


def test_what_has_no_width_has_no_twin() -> None:
    iq = (rng(6).normal(size=(4096, 2)) @ np.array([1, 1j])).astype(np.complex64)
    assert not skirts.is_mirrored(iq, 1.0, (0.1, 0.1), (-0.05, 0.05), (1.0, 1.0))
