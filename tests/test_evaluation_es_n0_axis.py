# SPDX-License-Identifier: GPL-3.0-or-later
"""What a model says at one Es/N0."""

import numpy as np
import pytest
from seeds import rng

from amrq.evaluation import EsN0Axis, Knowledge
from amrq.model import UNKNOWN, Contract, Hypothesis

NAMES = ("QPSK", "BPSK")
LEVELS = {"BPSK": (9.0, 3.0, 5.0), UNKNOWN: (None,), "QPSK": (2.0, 6.0)}
"""In no order, not evenly spaced, not the same for all."""


def contract(levels=LEVELS, **settings):
    hypotheses = tuple(Hypothesis(name, level, 0.1) for name, row in levels.items() for level in row)
    return Contract(name="axis", classes=tuple(levels), chunk_length=32, hypotheses=hypotheses, **settings)


def lines(count):
    """Log-likelihoods linear in dB: of all hypotheses, and what they are at any Es/N0, as NAMES has the classes."""
    slope, start = rng("lines").normal(size=(2, count, 2))
    columns = [
        np.zeros(count) if level is None else (start + slope * level)[:, NAMES.index(name)]
        for name, row in LEVELS.items()
        for level in row
    ]
    return np.stack(columns, axis=1).astype(np.float32), lambda es_n0_db: start + slope * es_n0_db


# Between hypotheses and at them: BPSK ends at 3 and 9 dB, QPSK at 2 and 6.
@pytest.mark.parametrize("es_n0_db", [3.0, 4.9, 5.0, 5.5, 6.0])
def test_lines_are_followed(es_n0_db):
    given, truth = lines(20)
    found = EsN0Axis.of(contract(), NAMES).at(given, es_n0_db)
    np.testing.assert_allclose(found, truth(es_n0_db), atol=1e-5)


@pytest.mark.parametrize(
    ("es_n0_db", "at"), [(2.5, (2.5, 3.0)), (-7.0, (2.0, 3.0)), (8.0, (6.0, 8.0)), (40.0, (6.0, 9.0))]
)
def test_further_out_the_last_one_counts(es_n0_db, at):
    given, truth = lines(20)
    found = EsN0Axis.of(contract(), NAMES).at(given, es_n0_db)
    for column, level in enumerate(at):
        np.testing.assert_allclose(found[:, column], truth(level)[:, column], atol=1e-5)


def test_a_hypothesis_is_met_whatever_the_others_say():
    given = rng("met").normal(size=(5, 6)).astype(np.float32)
    axis = EsN0Axis.of(contract(), NAMES)
    np.testing.assert_allclose(axis.at(given, 5.0)[:, 1], given[:, 2], rtol=1e-6)
    np.testing.assert_allclose(axis.at(given, 6.0)[:, 0], given[:, 5], rtol=1e-6)


@pytest.mark.parametrize("row", [(5.0,), (None, None), (5.0, None), (5.0, 5.0)])
def test_a_class_that_es_n0_does_not_weigh(row):
    levels = {"BPSK": (1.0, 2.0), "QPSK": row}
    assert EsN0Axis.of(contract(levels), ("BPSK", "QPSK")) is None
    assert EsN0Axis.of(contract(levels), ("BPSK",)) is not None
    assert Knowledge.of(contract(levels)) == (Knowledge(),)
    assert Knowledge.of(contract(levels, level_input=True)) == (Knowledge(), Knowledge(level=True))


def test_what_a_model_can_be_told():
    assert Knowledge.of(contract()) == (Knowledge(), Knowledge(es_n0=True))
    assert Knowledge.of(contract(level_input=True)) == (
        Knowledge(),
        Knowledge(level=True),
        Knowledge(level=True, es_n0=True),
    )
