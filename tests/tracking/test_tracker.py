# SPDX-License-Identifier: GPL-3.0-or-later
"""Both halves of tracking, as a worker uses them."""

import numpy as np
import pytest
from seeds import rng

from amrq.classifier import Evidence
from amrq.model import Hypothesis
from amrq.tracking import EsN0Prior, Tracker, new_share

HYPOTHESES = tuple(Hypothesis(name, x, 0.25) for name in ("BPSK", "QPSK") for x in (5.0, 15.0))


def test_a_break_begins_anew() -> None:
    generator = rng("tracker")
    chunks = np.exp(2j * np.pi * generator.random((60, 32))).astype(np.complex64)
    chunks[30] = np.nan
    indices = 32 * np.arange(60)
    tracker = Tracker(HYPOTHESES, 32)
    level = tracker.level(chunks, indices, breaks=(40,))
    assert np.flatnonzero(level.began).tolist() == [40]
    known = np.isin(np.arange(60), [*range(16, 30), *range(31, 40), *range(56, 60)])
    np.testing.assert_array_equal(np.isfinite(level.power), known)
    np.testing.assert_allclose(level.power[known], 1, rtol=1e-5)

    rows = np.tile(np.log(np.float32([0.9, 0.1, 0.1, 0.1])), (60, 1))
    evidence = Evidence(rows[:, ::2], rows, np.ones(60, np.float32), np.ones(60, np.bool_))
    weights = np.exp(tracker.noise(evidence, indices, level))
    np.testing.assert_allclose(weights[[0, 40]], 0.5, rtol=1e-5)
    assert weights[39, 0] > 0.9
    refined = tracker.refine(evidence, np.log(weights))
    assert refined.log_probabilities.shape == (60, 2)


def test_a_break_before_the_first_chunk_of_a_call() -> None:
    tracker = Tracker(HYPOTHESES, 32)
    chunks = np.ones((20, 32), np.complex64)
    tracker.level(chunks, 32 * np.arange(20))
    level = tracker.level(chunks, 640 + 32 * np.arange(20), breaks=(0,))
    assert level.began[0] and np.isnan(level.power[:16]).all()
    assert len(tracker.level(chunks[:0], np.empty(0, np.int64)).power) == 0


def test_the_share_that_is_new() -> None:
    indices = np.array([0, 8, 40, 200, 100])
    np.testing.assert_allclose(new_share(indices, None, 32), [1, 0.25, 1, 1, 1])
    np.testing.assert_allclose(new_share(indices[1:], 0, 32), [0.25, 1, 1, 1])


def test_weights_spread_a_class_over_its_levels_and_leave_its_probability() -> None:
    hypotheses = [
        Hypothesis("a", 5.0, 0.1),
        Hypothesis("a", 15.0, 0.3),
        Hypothesis("b", 5.0, 0.05),
        Hypothesis("b", 5.0, 0.15),
        Hypothesis("b", None, 0.1),
        Hypothesis("c", None, 0.3),
    ]
    log_prior = np.log([hypothesis.prior for hypothesis in hypotheses])
    prior = EsN0Prior(hypotheses, log_prior)
    assert prior.levels == (5.0, 15.0)
    (found,) = np.exp(prior.log_prior(np.log([[0.9, 0.1]])))
    assert found == pytest.approx([0.36, 0.04, 0.05, 0.15, 0.1, 0.3])
