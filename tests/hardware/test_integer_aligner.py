# SPDX-License-Identifier: GPL-3.0-or-later
"""The integer phase aligner keeps its definition: tables, widths, laws of level and phase, known integers."""

import zlib

import numpy as np
import pytest
from integer_chunks import extremes
from seeds import rng

from amrq.chunks import normalise
from amrq.errors import AmrqError
from amrq.evaluation import fresh_chunks
from amrq.hardware import IntegerAligner, aligner_tables, magnitude_rows, rotate_to_axis
from amrq.hardware.aligner_tables import _unrounded_tables

WIDTHS = {
    "coordinates": 13,
    "sums": 24,
    "angles": 16,
    "turned": 13,
    "fitted": 15,
}
"""Bits with sign, as docs/integer-network.md says."""


@pytest.mark.parametrize("kind", extremes(rng("names"), 1))
def test_no_stage_needs_more_bits_than_the_definition_gives_it(kind):
    aligned, stages = IntegerAligner().trace(extremes(rng("widths", kind), 400)[kind])
    for name, bits in WIDTHS.items():
        assert -(1 << (bits - 1)) <= stages[name].min() <= stages[name].max() < 1 << (bits - 1), name
    assert 0 <= stages["rows"].min() <= stages["rows"].max() < 512
    assert -128 <= aligned.symbols.min() <= aligned.symbols.max() <= 127
    assert 0 <= aligned.side.min() <= aligned.side.max() <= 255


def test_a_factor_of_two_in_the_level_changes_nothing():
    chunks = rng("level").integers(-200, 200, (50, 2, 32))
    first = IntegerAligner().align(chunks)
    for factor in (2, 32, 128):
        other = IntegerAligner().align(chunks * factor)
        assert np.array_equal(first.symbols, other.symbols)
        assert np.array_equal(first.side, other.side)


def test_the_level_control_gives_every_chunk_the_same_rms():
    """The table's bins of 1/64 to 1/256 leave at most 0.4 %, its 12 bits .04 %, the block's last bit the rest."""
    generator = rng("rms")
    chunks = np.rint(generator.standard_normal((500, 2, 32)) * 10 ** generator.uniform(1.7, 3.9, (500, 1, 1)))
    _, stages = IntegerAligner().trace(chunks.astype(np.int64))
    rms = np.sqrt((stages["coordinates"].astype(float) ** 2).sum(axis=1).mean(axis=1))
    assert np.abs(rms / 512 - 1).max() < 0.006


def test_cordic_finds_angle_and_magnitude():
    """After 12 steps the angle is within atan(2^-11) and half a unit a step; shifts lose at most a unit a step."""
    generator = rng("cordic")
    z = 10 ** generator.uniform(3.5, 5.0, 2000) * np.exp(2j * np.pi * generator.random(2000))
    x, y = np.rint(z.real).astype(np.int64), np.rint(z.imag).astype(np.int64)
    magnitude, angle = rotate_to_axis(x, y)
    exact = np.hypot(x, y) * np.prod(np.sqrt(1 + 4.0 ** -np.arange(12)))
    assert np.abs(magnitude - exact).max() < 24 + 2**-22 * exact.max()
    turn = (angle / 2**16 - np.arctan2(y, x) / (2 * np.pi) + 0.5) % 1 - 0.5
    lost = 24 / np.hypot(x, y).min() / (2 * np.pi)
    assert np.abs(turn).max() < np.arctan(2.0**-11) / (2 * np.pi) + 6 / 2**16 + lost


@pytest.mark.parametrize(("name", "copy"), [("BPSK", 0), ("QPSK", 1), ("8PSK", 4), ("16PSK", 5)])
def test_a_clean_constellation_lies_alike_at_every_phase(name, copy):
    """The copy that is meant for it: magnitudes of I and Q are those of one phase, within two steps of 1/32."""
    chunks = fresh_chunks(name, 200, 32, 60.0, rng("clean", name))
    aligned = IntegerAligner().align(IntegerAligner.received(normalise(chunks).iq))
    pairs = aligned.symbols[:, :, [copy, copy + 6]].reshape(-1, 2)
    order = {"BPSK": 2, "QPSK": 4, "8PSK": 8, "16PSK": 16}[name]
    angle = np.arctan2(pairs[:, 1], pairs[:, 0])
    inside = np.hypot(*pairs.T)
    assert np.abs(inside - 32).max() < 2
    # All symbols lie at multiples of a turn / M from one of them, whichever that is.
    away = np.exp(1j * order * angle) if order > 2 else np.exp(2j * angle)
    common = away.mean()
    assert abs(common) > 0.9


def test_rows_follow_the_magnitude():
    squared = np.arange(1 << 24, step=61)
    rows = magnitude_rows(squared)
    assert np.all(np.diff(rows) >= 0)
    assert (rows.min(), rows.max()) == (0, 511)
    centres = np.square(aligner_tables().magnitude[rows] / 32)
    small = squared < 1 << 20
    assert np.abs(np.sqrt(centres) - np.sqrt(squared / 2**18))[small].max() < 1.2 / 32


def test_no_entry_of_a_table_hangs_on_a_last_bit():
    for name, values in _unrounded_tables().items():
        from_middle = np.abs(values - np.floor(values) - 0.5)
        # Square roots and quotients are exact to the last bit on every machine; 2^5 sqrt(2^-12) is such a middle.
        assert np.all((from_middle > 1e-6) | ((from_middle == 0) & (name == "magnitude"))), name


def test_known_integers():
    """One chunk, stage by stage: whoever changes a bit of the definition changes these."""
    n = np.arange(32)
    chunk = np.stack([(n * n * 37) % 201 - 100, (n * 53 + 11) % 161 - 80])[None]
    aligned, stages = IntegerAligner().trace(chunk)
    told = {name: zlib.crc32(values.astype("<i4").tobytes()) for name, values in stages.items()}
    assert stages["coordinates"][0, :, :3].tolist() == KNOWN["coordinates"]
    assert stages["angles"][0].tolist() == KNOWN["angles"]
    assert aligned.side[0].tolist() == KNOWN["side"]
    assert aligned.symbols[0, 0].tolist() == KNOWN["symbols"]
    assert told == KNOWN["stages"]


KNOWN = {
    "coordinates": [[-656, -413, 315], [-453, -105, 243]],
    "angles": [-482, -3023, -115, -156, 4069, -542],
    "side": [5, 3, 10, 8, 7, 5, 10, 22],
    "symbols": [40, 31, 39, 45, 49, 40, 30, 39, 28, 29, 10, 30, -29, -48, 50],
    "stages": {
        "coordinates": 3514534361,
        "rows": 83042597,
        "sums": 2993638904,
        "agreement": 737102187,
        "angles": 4259825883,
        "turned": 2445643421,
        "fitted": 4114405134,
        "misfit": 2173750242,
    },
}


def test_other_arrays_are_refused():
    for wrong in (
        np.zeros((1, 2, 31), np.int16),
        np.zeros((1, 2, 32), np.float32),
        np.full((1, 2, 32), 1 << 15),
    ):
        with pytest.raises(AmrqError, match="integer aligner"):
            IntegerAligner().align(wrong)
