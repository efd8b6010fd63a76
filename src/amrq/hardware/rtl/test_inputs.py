# SPDX-License-Identifier: GPL-3.0-or-later
"""Chunks to try a design with."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from amrq.chunks import level_features, normalise
from amrq.evaluation.fresh_chunks import fresh_chunks
from amrq.hardware.rtl.design import Design
from amrq.modulations import MODULATIONS

__all__ = ["TestInputs", "test_inputs"]

_ES_N0_DB = (0.0, 5.0, 10.0, 15.0, 20.0, 25.0)


class TestInputs(NamedTuple):
    """What N chunks enter the hardware as.

    Attributes:
        symbols: int64 [N, L, 2], I and Q as the port takes them.
        side: int64 [N, S], what joins the mean.
        labels: int64 [N], index of each chunk's class in the contract's `classes`; -1 for extreme inputs.
        chunks: complex64 [N, L], what `symbols` was made of; zeros for extreme inputs.
        tracked_power: float32 [N], what `side` was made of; NaN where it is not known.
    """

    symbols: NDArray[np.int64]
    side: NDArray[np.int64]
    labels: NDArray[np.int64]
    chunks: NDArray[np.complex64]
    tracked_power: NDArray[np.float32]


def test_inputs(design: Design, count: int, seed: int) -> TestInputs:
    """Return chunks of all the model's modulations at 0 to 25 dB Es/N0 in turn, an extreme one in every 16th place.

    Extreme are: all the least or the largest number, zeros, both ends at random. Level inputs are those of streams up
    to 4 dB above or below their chunk, of a stream whose level is not known, and for extreme chunks any at all. Models
    that take chunks as they are get constellations scaled to a peak of 1, as in the thesis.

    Args:
        design: what is tried.
        count: chunks (N).
        seed: of all randomness.
    """
    network, port = design.network, design.port
    length = network.contract.chunk_length
    rng = np.random.default_rng([seed, count])
    unit_rms = network.contract.normalisation == "unit-rms"
    known = [name for name in network.contract.classes if name in MODULATIONS]
    symbols = np.zeros((count, length, 2), np.int64)
    side = np.zeros((count, network.side_inputs), np.int64)
    labels = np.full(count, -1, np.int64)
    chunks = np.zeros((count, length), np.complex64)
    tracked_power = np.full(count, np.nan, np.float32)
    cases = [(name, level) for level in _ES_N0_DB for name in known]
    side_input = network.head_layers[0].input
    ordinary = np.array([n for n in range(count) if n % 16 != 7], np.int64)
    for number, (name, es_n0_db) in enumerate(cases):
        places = ordinary[number :: len(cases)]
        if not len(places):
            continue
        chunks[places] = fresh_chunks(
            name, len(places), length, es_n0_db, rng, any_phase=False, peak_scaled=not unit_rms
        )
        made = normalise(chunks[places], unit_rms)
        symbols[places] = port.integers(made.iq)
        labels[places] = network.contract.classes.index(name)
        if network.side_inputs:
            tracked = (made.power * 10 ** rng.uniform(-0.4, 0.4, len(places))).astype(np.float32)
            tracked[::4] = np.nan
            tracked_power[places] = tracked
            side[places] = side_input.integers(level_features(made.power, tracked))
    ends = np.array([port.lowest, port.highest])
    for kind, n in enumerate(range(7, count, 16)):
        if kind % 4 < 2:
            symbols[n] = ends[kind % 4]
        elif kind % 4 == 2:
            symbols[n] = rng.choice(ends, (length, 2))
        side[n] = rng.integers(side_input.lowest, side_input.highest + 1, network.side_inputs)
    return TestInputs(symbols, side, labels, chunks, tracked_power)
