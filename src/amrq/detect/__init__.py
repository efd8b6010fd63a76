# SPDX-License-Identifier: GPL-3.0-or-later
"""What is on the air in a band: from spectra to the noise floor, to boxes in time and frequency, to emissions.

`Detector` turns samples, or spectra that a flowgraph made, into boxes. `EmissionTracker` follows emissions over time.

>>> import numpy as np
>>> detector, tracker = Detector(1e6), EmissionTracker(1e6)
>>> noise = np.random.default_rng(2).standard_normal((400_000, 2)) @ [0.01, 0.01j]
>>> noise[50_000:] += 0.02 * np.exp(2j * np.pi * 0.2 * np.arange(350_000))
>>> events = tracker.update(detector.process(noise) + detector.finish(), detector.n_samples)
>>> [(event.event, round(event.emission.centre, -3)) for event in events][:1]
[('begin', 200000.0)]
"""

from amrq.detect.boxes import Box
from amrq.detect.detector import Detector, DetectorOptions
from amrq.detect.emissions import Emission, EmissionEvent, EmissionOptions, EmissionTracker
from amrq.detect.energy import Rectangles, equivalent_cells, sum_threshold
from amrq.detect.noise_floor import NoiseFloor
from amrq.detect.spectra import DrawnLine, DrawnSpectra, Grid, SpectrumStream, coarse_grid, fine_grid

__all__ = [
    "Box",
    "Detector",
    "DetectorOptions",
    "DrawnLine",
    "DrawnSpectra",
    "Emission",
    "EmissionEvent",
    "EmissionOptions",
    "EmissionTracker",
    "Grid",
    "NoiseFloor",
    "Rectangles",
    "SpectrumStream",
    "coarse_grid",
    "equivalent_cells",
    "fine_grid",
    "sum_threshold",
]
