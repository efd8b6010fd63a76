# SPDX-License-Identifier: GPL-3.0-or-later
"""What the detector finds in a band, and what it does not."""

import math

import numpy as np
from numpy.typing import NDArray
from seeds import rng

from amrq.detect import Box, Detector, EmissionOptions, EmissionTracker

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
    samples[700_000:1_000_000] = 0
    boxes = detector.process(samples)
    detector.add_break(10_000_000)
    boxes += _boxes(detector, _noise("after", 0.5))
    assert detector.bad_samples == 100
    assert detector.n_samples == 10_000_000 + RATE // 2
    assert len(boxes) <= 4


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


def test_too_many_emissions_are_counted_not_followed() -> None:
    tracker = EmissionTracker(RATE, EmissionOptions(most_emissions=10))
    boxes = [Box(k, 0, 1000, 1e4 * k, 1e4 * k + 5e3, 10.0, -50.0, True) for k in range(1, 51)]
    assert len(tracker.update(boxes, 2000)) == 10
    assert len(tracker.emissions) == 10 and tracker.suppressed == 40
    assert [event.event for event in tracker.finish(3000)] == ["end"] * 10
