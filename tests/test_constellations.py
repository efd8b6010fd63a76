# SPDX-License-Identifier: GPL-3.0-or-later
"""Linear constellations outside the class set: two lists that do not meet, and what models make of the second."""

import numpy as np
import pytest
from seeds import rng

from amrq.chunks import normalise
from amrq.classes import LINEAR_CLASSES, OTHER_LINEAR, THESIS_9, LinearClass, class_set
from amrq.classifier import Evidence
from amrq.errors import AmrqError
from amrq.evaluation import foreign_table, measure_foreign
from amrq.model import UNKNOWN, Contract, Hypothesis
from amrq.signals import FOREIGN_KINDS, HELD_OUT_CONSTELLATIONS, ForeignPool, alike


@pytest.mark.parametrize("kind", FOREIGN_KINDS)
def test_what_is_trained_on_is_neither_of_the_nine_nor_held_out(kind):
    pool = ForeignPool(kind).constellations
    assert len(pool) >= 4
    for points in pool:
        assert np.mean(np.abs(points) ** 2) == pytest.approx(1)
        apart = np.abs(points[:, None] - points) + 9 * np.eye(len(points))
        assert apart.min() > 0.04
        for other in (*THESIS_9.members, *HELD_OUT_CONSTELLATIONS.members):
            assert not alike(points, other.points), other.name


def test_what_is_held_out_is_none_of_the_nine():
    assert not any(
        alike(one.points, other.points)
        for one in HELD_OUT_CONSTELLATIONS.members
        for other in THESIS_9.members
    )
    # Of what is on the air outside the nine, a part is trained on and a part is held out.
    held = {m.name for m in HELD_OUT_CONSTELLATIONS.members} & set(OTHER_LINEAR)
    assert held == {"128QAM", "32QAM (8x4)", "16APSK (4+12)", "32APSK (4+12+16)"}


def test_alike_means_turned_mirrored_or_a_little_moved():
    points = THESIS_9["8QAM"].points.astype(complex)
    generator = rng("alike")
    moved = points + 0.01 * np.exp(2j * np.pi * generator.random(8))
    for other in (points, points * np.exp(0.7j), points.conj() * 1j, moved):
        assert alike(points, other) and alike(other, points)
    lopsided = LinearClass.of("lopsided", [1, 1j, -0.5 + 0.2j, 0.3 - 2j]).points
    assert alike(lopsided, lopsided.conj() * np.exp(2j))
    for name in set(THESIS_9) - {"8QAM"}:
        assert not alike(points, THESIS_9[name].points)
    assert not alike(THESIS_9["8PSK"].points, LINEAR_CLASSES["8APSK (4+4)"].points)


def test_symbols_are_those_of_one_constellation_a_row():
    for kind in FOREIGN_KINDS:
        pool = ForeignPool(kind)
        symbols = pool.symbols(4, 60, rng("foreign", kind))
        assert symbols.shape == (4, 60) and symbols.dtype == np.complex64
        np.testing.assert_array_equal(symbols, ForeignPool(kind).symbols(4, 60, rng("foreign", kind)))
        for row in symbols:
            own = [np.abs(row[:, None] - points).min(axis=1).max() for points in pool.constellations]
            assert min(own) < 1e-6
    assert np.mean(np.abs(ForeignPool("square grid").symbols(500, 400, rng("power"))) ** 2) == pytest.approx(
        1, abs=0.01
    )


def test_a_class_of_the_model_is_not_foreign_to_it():
    ten = class_set(["thesis-9", "64QAM", "32PSK"])
    for kind, name in (("square grid", "64QAM"), ("dense PSK", "32PSK")):
        everything, others = ForeignPool(kind).constellations, ForeignPool(kind, ten).constellations
        assert any(alike(points, LINEAR_CLASSES[name].points) for points in everything)
        assert not any(alike(points, LINEAR_CLASSES[name].points) for points in others)
        assert 0 < len(others) < len(everything)
    own = {f"{n}": LinearClass.of(f"{n}", np.exp(2j * np.pi * np.arange(n) / n)) for n in (32, 64, 20)}
    with pytest.raises(AmrqError, match="all constellations of the kind 'dense PSK'"):
        ForeignPool("dense PSK", class_set([*own, "BPSK"], own))


class Circle:
    """Names 8PSK where all symbols have nearly the same magnitude; everything else is unknown to it."""

    def __init__(self):
        self.contract = Contract(
            name="circle",
            classes=("8PSK", UNKNOWN),
            class_set=class_set(["8PSK"]),
            chunk_length=32,
            hypotheses=(Hypothesis("8PSK", None, 0.5), Hypothesis(UNKNOWN, None, 0.5)),
            phase="any",
        )

    def classify(self, chunks, stream_power=None):
        iq = normalise(chunks).iq
        round_one = np.std(np.hypot(iq[:, 0], iq[:, 1]), axis=1) < 0.15
        certain = np.where(round_one[:, None] == [True, False], np.log(0.999), np.log(0.001)).astype(
            np.float32
        )
        power = normalise(chunks).power
        return Evidence(certain, certain, power, np.ones(len(power), dtype=np.bool_))


def test_names_given_to_foreign_constellations_are_counted():
    rows = measure_foreign(Circle(), 5, (20.0, 5.0), chunks=4)
    assert [(row.name, row.es_n0_db) for row in rows[:2]] == [("128QAM", 20.0), ("128QAM", 5.0)]
    assert len(rows) == 2 * len(HELD_OUT_CONSTELLATIONS) and all(row.tally.total == 5 for row in rows)
    for row in rows:
        taken = row.name == "24PSK" and row.es_n0_db == 20
        assert row.named.count == (5 if taken else 0) and row.mistaken_for == ("8PSK" if taken else "")
    again = measure_foreign(Circle(), 5, (20.0,), chunks=4)
    assert [row.answers for row in again] == [row.answers for row in rows if row.es_n0_db == 20]
    table = foreign_table(rows).splitlines()
    assert table[0] == "| constellation | 5 dB | 20 dB |"
    assert "| 24PSK | 0.000 | 1.000 (8PSK) |" in table
    known = measure_foreign(Circle(), 1, (20.0,), 2, constellations=class_set(["8PSK", "QPSK"]))
    assert [row.name for row in known] == ["QPSK"]
