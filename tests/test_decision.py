# SPDX-License-Identifier: GPL-3.0-or-later
"""Fusing chunks into decisions."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from seeds import rng

from amrq.classifier import Evidence
from amrq.decision import NO_SIGNAL, Decision, DecisionMaker
from amrq.errors import AmrqError

CLASSES = ("BPSK", "QPSK", "unknown")


def evidence(probabilities: np.ndarray, usable: np.ndarray | None = None, power: float = 1.0) -> Evidence:
    rows = np.log(probabilities / probabilities.sum(axis=1, keepdims=True)).astype(np.float32)
    usable = np.ones(len(rows), bool) if usable is None else usable
    return Evidence(rows * usable[:, None], np.where(usable, power, 0).astype(np.float32), usable)


def indices(count: int, first: int = 0) -> np.ndarray:
    return first + 32 * np.arange(count, dtype=np.int64)


def random_evidence(count: int, name: str) -> Evidence:
    return evidence(rng(name).uniform(0.05, 1, (count, 3)))


def test_fusion_is_bayes_rule() -> None:
    given_ = random_evidence(20, "bayes")
    (decision,) = DecisionMaker(CLASSES, 32, chunks=20).update(given_, indices(20))
    product = np.prod(np.exp(given_.log_probabilities.astype(float)), axis=0)
    expected = product / product.sum()
    fused = np.exp(list(decision.log_probabilities.values()))
    np.testing.assert_allclose(fused, expected, rtol=1e-4)
    assert decision.best == CLASSES[int(expected.argmax())]
    assert decision.confidence == pytest.approx(expected.max(), rel=1e-4)


@settings(deadline=None)
@given(
    cuts=st.lists(st.integers(0, 60), min_size=1, max_size=10),
    chunks=st.integers(1, 40),
    seed=st.integers(0, 1000),
)
def test_decisions_do_not_depend_on_how_evidence_arrives(cuts: list[int], chunks: int, seed: int) -> None:
    count = sum(cuts)
    generator = np.random.default_rng(seed)
    usable = generator.uniform(size=count) > 0.05
    given_ = evidence(generator.uniform(0.05, 1, (count, 3)), usable)
    whole = DecisionMaker(CLASSES, 32, chunks)
    expected = whole.update(given_, indices(count)) + whole.flush()
    pieces, found, start = DecisionMaker(CLASSES, 32, chunks), [], 0
    for size in cuts:
        part = Evidence(*(column[start : start + size] for column in given_))
        found += pieces.update(part, indices(count)[start : start + size])
        start += size
    found += pieces.flush()
    assert [(d.label, d.chunks, d.sample_index, d.sample_count) for d in found] == [
        (d.label, d.chunks, d.sample_index, d.sample_count) for d in expected
    ]
    assert sum(d.chunks for d in found) == count


def test_little_confidence_is_unknown() -> None:
    maker = DecisionMaker(CLASSES, 32, chunks=1, min_confidence=0.8)
    sure, unsure, foreign = (
        maker.update(evidence(np.array([row])), indices(1))[0]
        for row in ([0.9, 0.05, 0.05], [0.7, 0.25, 0.05], [0.05, 0.05, 0.9])
    )
    assert (sure.label, sure.best) == ("BPSK", "BPSK")
    assert (unsure.label, unsure.best) == ("unknown", "BPSK")
    assert (foreign.label, foreign.best) == ("unknown", "unknown")


def test_silence_splits_and_names_itself() -> None:
    usable = np.array([True] * 5 + [False] * 40 + [True] * 3)
    maker = DecisionMaker(CLASSES, 32, chunks=16)
    given_ = evidence(np.tile([0.9, 0.05, 0.05], (48, 1)), usable)
    decisions = maker.update(given_, indices(48)) + maker.flush()
    assert [(d.label, d.chunks) for d in decisions] == [
        ("BPSK", 5),
        (NO_SIGNAL, 16),
        (NO_SIGNAL, 16),
        (NO_SIGNAL, 8),
        ("BPSK", 3),
    ]
    assert decisions[1].power_db is None and decisions[1].log_probabilities == {}


def test_where_and_how_strong() -> None:
    maker = DecisionMaker(CLASSES, 32, chunks=4)
    (decision,) = maker.update(evidence(np.ones((4, 3)), power=0.01), indices(4, first=640))
    assert (decision.sample_index, decision.sample_count) == (640, 128)
    assert decision.power_db == pytest.approx(-20.0, abs=1e-3)
    assert decision.confidence == pytest.approx(1 / 3, abs=1e-6) and decision.label == "unknown"


def test_extreme_evidence_stays_finite() -> None:
    rows = np.tile(np.array([[0.0, -1e4, -2e4]], np.float32), (1000, 1))
    given_ = Evidence(rows, np.ones(1000, np.float32), np.ones(1000, bool))
    (decision,) = DecisionMaker(CLASSES, 32, chunks=1000).update(given_, indices(1000))
    assert decision.confidence == 1.0
    assert all(math.isfinite(value) for value in decision.log_probabilities.values())
    assert isinstance(decision, Decision)


def test_settings_change_underway_and_are_checked() -> None:
    maker = DecisionMaker(CLASSES, 32, chunks=100)
    assert maker.update(random_evidence(50, "underway"), indices(50)) == []
    maker.set_chunks(10)
    first, second = maker.update(random_evidence(11, "underway"), indices(11, first=1600))
    assert (first.chunks, second.chunks) == (51, 10)
    for chunks, confidence in ((0, 0.5), (1, -0.1), (1, 1.1), (1, math.nan)):
        with pytest.raises(AmrqError):
            DecisionMaker(CLASSES, 32, chunks, confidence)
