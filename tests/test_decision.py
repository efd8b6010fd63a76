# SPDX-License-Identifier: GPL-3.0-or-later
"""Fusing chunks into decisions."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from seeds import rng

from amrq.classifier import Evidence
from amrq.decision import Decision, DecisionMaker, DecisionOptions
from amrq.errors import AmrqError
from amrq.model import NO_SIGNAL, Hypothesis
from amrq.tracking import NoiseTracker

CLASSES = ("BPSK", "QPSK", "unknown")
HYPOTHESES = tuple(Hypothesis(name, None, 1 / 3) for name in CLASSES)


def evidence(probabilities: np.ndarray, usable: np.ndarray | None = None, power: float = 1.0) -> Evidence:
    rows = np.log(probabilities / probabilities.sum(axis=1, keepdims=True)).astype(np.float32)
    usable = np.ones(len(rows), bool) if usable is None else usable
    rows *= usable[:, None]
    return Evidence(rows, rows, np.where(usable, power, 0).astype(np.float32), usable)


def maker_of(chunks: int = 32, min_confidence: float = 0.8, **settings_: float) -> DecisionMaker:
    """A maker whose decisions fall every `chunks` chunks and never before, unless asked."""
    values = {"early_confidence": 1.0, "change_evidence": math.inf} | settings_
    return DecisionMaker(HYPOTHESES, 32, DecisionOptions(chunks, min_confidence, **values))


def indices(count: int, first: int = 0) -> np.ndarray:
    return first + 32 * np.arange(count, dtype=np.int64)


def random_evidence(count: int, name: str) -> Evidence:
    return evidence(rng(name).uniform(0.05, 1, (count, 3)))


def test_fusion_is_bayes_rule() -> None:
    given_ = random_evidence(20, "bayes")
    (decision,) = maker_of(20).update(given_, indices(20))
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
    extras=st.sampled_from(
        [
            {},
            {"early_confidence": 0.9},
            {"change_evidence": 3.0},
            {"early_confidence": 0.9, "change_evidence": 3.0},
            {"memory": 20.0},
            {"memory": 20.0, "early_confidence": 0.9, "change_evidence": 3.0},
        ]
    ),
)
def test_decisions_do_not_depend_on_how_evidence_arrives(
    cuts: list[int], chunks: int, seed: int, extras: dict[str, float]
) -> None:
    count = sum(cuts)
    generator = rng("decisions in pieces", seed)
    usable = generator.uniform(size=count) > 0.05
    given_ = evidence(generator.uniform(0.05, 1, (count, 3)), usable)
    whole = maker_of(chunks, **extras)
    expected = whole.update(given_, indices(count)) + whole.flush()
    pieces, found, start = maker_of(chunks, **extras), [], 0
    for size in cuts:
        part = given_.part(start, start + size)
        found += pieces.update(part, indices(count)[start : start + size])
        start += size
    found += pieces.flush()
    assert [(d.label, d.chunks, d.sample_index, d.sample_count) for d in found] == [
        (d.label, d.chunks, d.sample_index, d.sample_count) for d in expected
    ]
    assert sum(d.chunks for d in found) == count


def test_little_confidence_is_unknown() -> None:
    maker = maker_of(1)
    sure, unsure, foreign = (
        maker.update(evidence(np.array([row])), indices(1, first=32 * n))[0]
        for n, row in enumerate(([0.9, 0.05, 0.05], [0.7, 0.25, 0.05], [0.05, 0.05, 0.9]))
    )
    assert (sure.label, sure.best) == ("BPSK", "BPSK")
    assert (unsure.label, unsure.best) == ("unknown", "BPSK")
    assert (foreign.label, foreign.best) == ("unknown", "unknown")


def test_silence_splits_and_names_itself() -> None:
    usable = np.array([True] * 5 + [False] * 40 + [True] * 3)
    maker = maker_of(16)
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
    maker = maker_of(4)
    (decision,) = maker.update(evidence(np.ones((4, 3)), power=0.01), indices(4, first=640))
    assert (decision.sample_index, decision.sample_count) == (640, 128)
    assert decision.power_db == pytest.approx(-20.0, abs=1e-3)
    assert decision.confidence == pytest.approx(1 / 3, abs=1e-6) and decision.label == "unknown"


def test_extreme_evidence_stays_finite() -> None:
    rows = np.tile(np.array([[0.0, -1e4, -2e4]], np.float32), (1000, 1))
    given_ = Evidence(rows, rows, np.ones(1000, np.float32), np.ones(1000, bool))
    (decision,) = maker_of(1000).update(given_, indices(1000))
    assert decision.confidence == 1.0
    assert all(math.isfinite(value) for value in decision.log_probabilities.values())
    assert isinstance(decision, Decision)


def test_settings_change_underway_and_are_checked() -> None:
    maker = maker_of(100)
    assert maker.update(random_evidence(50, "underway"), indices(50)) == []
    maker.options = replace(maker.options, chunks_per_decision=10)
    first, second = maker.update(random_evidence(11, "underway"), indices(11, first=1600))
    assert (first.chunks, second.chunks) == (51, 10)
    for chunks, confidence in ((0, 0.5), (1, -0.1), (1, 1.1), (1, math.nan)):
        with pytest.raises(AmrqError):
            maker_of(chunks, confidence)


def steady(name: str, count: int, probability: float = 0.9) -> Evidence:
    row = [(1 - probability) / 2] * 3
    row[CLASSES.index(name)] = probability
    return evidence(np.tile(row, (count, 1)))


def joined(*parts: Evidence) -> Evidence:
    return Evidence(*(np.concatenate(columns) for columns in zip(*(p[:4] for p in parts), strict=True)))


def test_news_falls_early_and_only_news() -> None:
    maker = maker_of(100, early_confidence=0.999)
    decisions = maker.update(steady("QPSK", 450), indices(450))
    # ln(0.9 / 0.05) = 2.9 a chunk: .999 after three chunks, but never before four.
    assert [(d.label, d.chunks) for d in decisions] == [("QPSK", 4), *[("QPSK", 100)] * 4]
    assert decisions[0].confidence >= 0.999
    weak = maker_of(100, early_confidence=0.999).update(steady("QPSK", 100, 0.4), indices(100))
    # ln(0.4 / 0.3) = 0.288 a chunk: 2 exp(-0.288 n) < 0.001 from n = 27 on.
    assert [(d.label, d.chunks) for d in weak] == [("QPSK", 27)]


def test_a_change_of_class_parts_decisions_where_it_happens() -> None:
    maker = maker_of(32, change_evidence=15.0)
    given_ = joined(steady("BPSK", 45), steady("QPSK", 45))
    decisions = maker.update(given_, indices(90)) + maker.flush()
    assert [(d.label, d.sample_index // 32, d.chunks) for d in decisions] == [
        ("BPSK", 0, 32),
        ("BPSK", 32, 13),
        ("QPSK", 45, 32),
        ("QPSK", 77, 13),
    ]


def test_es_n0_is_shared_by_the_chunks_that_are_fused() -> None:
    # Two classes at three noise levels. Every chunk comes from (BPSK, 5 dB) and says so by likelihoods of .40 there
    # and .39 for (QPSK, 5 dB), but QPSK also has something for itself at 15 dB.
    hypotheses = [Hypothesis(name, level, 1 / 6) for name in ("BPSK", "QPSK") for level in (-5.0, 5.0, 15.0)]
    rows = np.tile(np.log(np.float32([1e-9, 0.40, 0.01, 1e-9, 0.39, 0.20])), (1000, 1))
    given_ = Evidence(rows[:, :2], rows, np.ones(1000, np.float32), np.ones(1000, bool))
    maker = DecisionMaker(hypotheses, 32, DecisionOptions(1000))
    (decision,) = maker.update(given_, indices(1000))
    # Chunk by chunk QPSK is ahead, .59 to .41; the joint posterior is exp(1000 ln(.40 / .39)) for BPSK.
    assert decision.label == "BPSK"
    assert decision.es_n0_db == pytest.approx(5.0, abs=1e-6) and decision.es_n0_bound is None
    assert decision.log_probabilities["QPSK"] == pytest.approx(-1000 * math.log(0.40 / 0.39), rel=1e-3)


def test_fading_is_no_change_of_class() -> None:
    hypotheses = [Hypothesis(n, x, 0.25) for n in ("BPSK", "QPSK") for x in (5.0, 15.0)]
    rows = np.log(np.float32([[0.9, 0.03, 0.04, 0.03]] * 20 + [[0.03, 0.9, 0.04, 0.03]] * 20))
    given_ = Evidence(rows[:, :2], rows, np.ones(40, np.float32), np.ones(40, bool))
    (decision,) = DecisionMaker(hypotheses, 32, DecisionOptions(40, change_evidence=5.0)).update(
        given_, indices(40)
    )
    assert (decision.label, decision.chunks) == ("BPSK", 40)


def test_priors_of_training_do_not_decide() -> None:
    hypotheses = [Hypothesis("BPSK", None, 0.01), Hypothesis("QPSK", None, 0.99)]
    rows = np.log(np.float32([[0.55, 0.45]] * 10))
    given_ = Evidence(rows, rows, np.ones(10, np.float32), np.ones(10, bool))
    (decision,) = DecisionMaker(hypotheses, 32, DecisionOptions(10)).update(given_, indices(10))
    assert decision.confidence == pytest.approx(1 / (1 + (0.45 / 0.55) ** 10), rel=1e-4)


def test_refused() -> None:
    for settings_ in (
        {"early_confidence": 0.0},
        {"early_confidence": math.nan},
        {"change_evidence": 0.0},
        {"memory": -1.0},
        {"memory": math.nan},
        {"memory": math.inf},
    ):
        with pytest.raises(AmrqError):
            maker_of(**settings_)


def test_broken_chunks_are_neither_signal_nor_silence() -> None:
    given_ = steady("QPSK", 40)
    power = given_.power.copy()
    power[[5, 6, 20]] = np.nan
    usable = ~np.isnan(power)
    rows = given_.log_likelihoods * usable[:, None]
    maker = maker_of(32)
    decisions = maker.update(Evidence(rows, rows, power, usable), indices(40)) + maker.flush()
    assert [(d.label, d.chunks) for d in decisions] == [("QPSK", 32), ("QPSK", 5)]
    nothing = Evidence(rows[:2] * 0, rows[:2] * 0, power[5:7], usable[5:7])
    assert maker.update(nothing, indices(2)) == []


@pytest.mark.parametrize("hop", [1, 8, 31])
def test_no_symbol_counts_twice(hop: int) -> None:
    count = 320
    overlapping = hop * np.arange(count, dtype=np.int64)
    given_ = steady("BPSK", count, 0.4)
    (decision,) = maker_of(count).update(given_, overlapping)
    # As much evidence as that many samples hold, whole or not: one chunk, and hop / 32 of each further one.
    expected = math.log(0.4 / 0.3) * (1 + (count - 1) * hop / 32)
    found = decision.log_probabilities["BPSK"] - decision.log_probabilities["QPSK"]
    assert found == pytest.approx(expected, rel=1e-4)
    pieces, maker = [], maker_of(count)
    for start in range(0, count, 7):
        pieces += maker.update(given_.part(start, min(count, start + 7)), overlapping[start : start + 7])
    assert pieces[0].log_probabilities["BPSK"] == pytest.approx(decision.log_probabilities["BPSK"], abs=1e-6)


def odds(decision: Decision, name: str = "BPSK", other: str = "QPSK") -> float:
    """Natural logarithm of how much more probable one class is than another."""
    return decision.log_probabilities[name] - decision.log_probabilities[other]


def test_memory_adds_what_earlier_decisions_said_and_forgets_it() -> None:
    # ln(0.34 / 0.33) = 0.030 a chunk for BPSK: 0.239 in 8 chunks.
    fresh = 8 * math.log(0.34 / 0.33)
    share = math.exp(-8 / 16)
    decisions = maker_of(8, memory=16.0).update(steady("BPSK", 80, 0.34), indices(80))
    expected = fresh * np.cumsum(share ** np.arange(10))
    assert [odds(d) for d in decisions] == pytest.approx(expected.tolist(), rel=1e-4)
    assert {d.chunks for d in decisions} == {8}
    plain = maker_of(8).update(steady("BPSK", 80, 0.34), indices(80))
    assert [odds(d) for d in plain] == pytest.approx([fresh] * 10, rel=1e-4)


def test_memory_makes_weak_evidence_sure() -> None:
    # Chunks that say the right class with odds of 1.15 on average, and the wrong one often.
    generator = rng("weak")
    count = 4000
    said = np.where(generator.random(count) < 0.55, 0, 1)
    given_ = evidence(np.array([[0.5, 0.3, 0.2], [0.3, 0.5, 0.2]])[said])
    short = maker_of(8).update(given_, indices(count))
    long = maker_of(8, memory=64.0).update(given_, indices(count))
    right = [np.mean([d.best == "BPSK" for d in decisions]) for decisions in (short, long)]
    assert right[1] > right[0] + 0.1


@pytest.mark.parametrize("early", [1.0, 0.999])
@pytest.mark.parametrize("at", [320, 330])
def test_memory_masks_no_new_class(at: int, early: float) -> None:
    # BPSK for long, then QPSK: strong evidence, at a decision's border and inside one.
    maker = maker_of(32, change_evidence=15.0, early_confidence=early, memory=1000.0)
    given_ = joined(steady("BPSK", at), steady("QPSK", 640 - at))
    decisions = maker.update(given_, indices(640)) + maker.flush()
    for decision in decisions:
        first, last = decision.sample_index // 32, decision.sample_index // 32 + decision.chunks - 1
        if last < at:
            assert decision.label == "BPSK"
        elif first >= at:
            assert decision.label == "QPSK" and decision.confidence > 0.999
    assert sum(decision.chunks for decision in decisions) == 640
    first_after = next(d for d in decisions if d.sample_index // 32 >= at)
    fresh = first_after.chunks * math.log(0.9 / 0.05)
    if fresh > 15:  # the past ends where the class does: nothing speaks for BPSK any more
        assert odds(first_after, "QPSK", "BPSK") == pytest.approx(fresh, rel=1e-3)
    else:
        assert odds(first_after, "QPSK", "BPSK") >= fresh - math.log(1000)


def test_memory_masks_a_faint_new_class_for_a_few_decisions_at_most() -> None:
    # ln(0.37 / 0.315) = 0.16 a chunk, 2.6 a decision: never enough for a change to be plain. Odds of 1000 to 1 are 6.9.
    maker = maker_of(16, change_evidence=15.0, memory=1000.0)
    maker.update(steady("BPSK", 1600, 0.37), indices(1600))
    decisions = maker.update(steady("QPSK", 160, 0.37), indices(160, first=32 * 1600))
    assert [d.best for d in decisions[3:]] == ["QPSK"] * 7
    assert decisions[-1].label == "QPSK"


def test_memory_ends_at_silence_and_at_a_flush() -> None:
    alone = maker_of(8).update(steady("QPSK", 8, 0.4), indices(8))[0]
    for silence in (False, True):
        maker = maker_of(8, memory=1000.0)
        maker.update(steady("BPSK", 80, 0.4), indices(80))
        if silence:
            quiet = evidence(np.ones((1, 3)), np.zeros(1, bool))
            assert maker.update(quiet, indices(1, first=80 * 32)) == []
        else:
            assert maker.flush() == []
        decisions = maker.update(steady("QPSK", 8, 0.4), indices(8, first=81 * 32))
        assert decisions[-1].log_probabilities == pytest.approx(alone.log_probabilities)


def test_an_early_decision_weighs_what_is_remembered() -> None:
    maker = maker_of(32, early_confidence=0.99, memory=1000.0)
    (first, *_) = maker.update(steady("BPSK", 100), indices(100))
    assert (first.label, first.chunks) == ("BPSK", 4)
    # BPSK leads by ln 1000 at most: QPSK, 2.9 a chunk, needs 4 chunks to get even and to be 99 % sure.
    (news, *_) = maker.update(steady("QPSK", 10), indices(10, first=100 * 32))
    assert news.label == "QPSK" and 4 <= news.chunks <= 6


def test_memory_may_be_switched_underway() -> None:
    maker = maker_of(8, memory=100.0)
    maker.update(steady("BPSK", 80, 0.4), indices(80))
    maker.options = replace(maker.options, memory=0.0)
    (decision,) = maker.update(steady("BPSK", 8, 0.4), indices(8, first=80 * 32))
    assert odds(decision) == pytest.approx(8 * math.log(0.4 / 0.3), rel=1e-4)


NOISY = (*HYPOTHESES, Hypothesis(NO_SIGNAL, None, 0.25))


@pytest.mark.parametrize(
    ("row", "label", "best"),
    [
        ([0.05, 0.02, 0.03, 0.9], NO_SIGNAL, NO_SIGNAL),
        ([0.05, 0.02, 0.33, 0.6], "unknown", NO_SIGNAL),  # something may be there
        ([0.45, 0.02, 0.13, 0.4], "unknown", "BPSK"),
        ([0.75, 0.05, 0.1, 0.1], "unknown", "BPSK"),
        ([0.85, 0.05, 0.05, 0.05], "BPSK", "BPSK"),
    ],
)
def test_a_model_may_say_that_there_is_no_signal(row: list[float], label: str, best: str) -> None:
    (cautious,) = DecisionMaker(NOISY, 32, DecisionOptions(1, 0.8)).update(
        evidence(np.array([row])), indices(1)
    )
    assert cautious.label == ("unknown" if label == NO_SIGNAL else label)  # many carriers look like noise
    (decision,) = DecisionMaker(NOISY, 32, DecisionOptions(1, 0.8, name_noise=True)).update(
        evidence(np.array([row])), indices(1)
    )
    assert (cautious.best, cautious.log_probabilities) == (decision.best, decision.log_probabilities)
    assert (decision.label, decision.best) == (label, best)
    assert decision.confidence == pytest.approx(max(row), rel=1e-4)
    assert list(decision.log_probabilities) == [*CLASSES, NO_SIGNAL]
    assert decision.power_db == pytest.approx(0.0, abs=1e-3)


def test_a_transmission_in_noise_is_parted_from_it() -> None:
    noise, signal = [0.03, 0.03, 0.04, 0.9], [0.03, 0.9, 0.04, 0.03]
    given_ = evidence(np.array([noise] * 40 + [signal] * 40))
    decisions = DecisionMaker(NOISY, 32, DecisionOptions(name_noise=True)).update(given_, indices(80))
    assert [(d.label, d.chunks) for d in decisions] == [(NO_SIGNAL, 32), (NO_SIGNAL, 8), ("QPSK", 32)]


LEVELLED = tuple(Hypothesis(name, x, 0.25) for name in ("BPSK", "QPSK") for x in (5.0, 15.0))


def levelled(likelihoods: np.ndarray) -> Evidence:
    rows = np.log(likelihoods).astype(np.float32)
    count = len(rows)
    return Evidence(rows[:, ::2], rows, np.ones(count, np.float32), np.ones(count, bool))


def test_a_decision_expects_the_es_n0_tracked_before_it() -> None:
    likelihoods = rng("tracked").uniform(0.2, 1, (6, 4))
    weights = np.array([[0.9, 0.1], [0.5, 0.5], [0.2, 0.8]]).repeat(2, axis=0)
    decisions = DecisionMaker(LEVELLED, 32, DecisionOptions(2)).update(
        levelled(likelihoods), indices(6), np.log(weights).astype(np.float32)
    )
    product = likelihoods[::2] * likelihoods[1::2]
    joint = (product.reshape(3, 2, 2) * weights[::2, None]).sum(axis=2)
    found = [np.exp(list(d.log_probabilities.values())) for d in decisions]
    np.testing.assert_allclose(found, joint / joint.sum(axis=1, keepdims=True), rtol=1e-4)


def test_a_decision_on_one_chunk_is_the_refined_one() -> None:
    given_ = levelled(rng("refined").uniform(0.05, 1, (100, 4)))
    tracker = NoiseTracker(LEVELLED, 32)
    weights = tracker.update(given_, indices(100))
    refined = np.exp(tracker.refine(given_, weights).log_probabilities)
    for early in (1.0, 0.9):  # in one go, and chunk by chunk
        maker = DecisionMaker(LEVELLED, 32, DecisionOptions(1, early_confidence=early))
        decisions = maker.update(given_, indices(100), weights)
        found = [np.exp(list(d.log_probabilities.values())) for d in decisions]
        np.testing.assert_allclose(found, refined, rtol=1e-3)


@settings(deadline=None)
@given(
    cuts=st.lists(st.integers(0, 60), min_size=1, max_size=10),
    chunks=st.integers(1, 40),
    seed=st.integers(0, 1000),
    memory=st.sampled_from([0.0, 30.0]),
    early=st.sampled_from([1.0, 0.9]),
)
def test_tracked_decisions_do_not_depend_on_how_evidence_arrives(
    cuts: list[int], chunks: int, seed: int, memory: float, early: float
) -> None:
    count = sum(cuts)
    generator = rng("tracked decisions in pieces", seed)
    given_ = levelled(generator.uniform(0.05, 1, (count, 4)))
    share = generator.uniform(0.1, 0.9, count)
    weights = np.log(np.stack([share, 1 - share], axis=1)).astype(np.float32)

    def maker() -> DecisionMaker:
        return DecisionMaker(LEVELLED, 32, DecisionOptions(chunks, 0.8, early, 4.0, memory))

    whole = maker()
    expected = whole.update(given_, indices(count), weights) + whole.flush()
    pieces, found, start = maker(), [], 0
    for size in cuts:
        stop = start + size
        found += pieces.update(given_.part(start, stop), indices(count)[start:stop], weights[start:stop])
        start = stop
    found += pieces.flush()
    assert [(d.label, d.chunks, d.sample_index) for d in found] == [
        (d.label, d.chunks, d.sample_index) for d in expected
    ]
    for mine, other in zip(found, expected, strict=True):
        assert mine.log_probabilities == pytest.approx(other.log_probabilities, abs=1e-3)


def test_shared_errors_let_evidence_add_up_more_slowly():
    """With n0, n chunks count as n / (1 + (n - 1) / n0) of them: the odds of one chunk stay as they are."""
    hypotheses = (Hypothesis("BPSK", None, 0.5), Hypothesis("QPSK", None, 0.5))
    row = np.array([[0.3, 0.0]], np.float32)
    for count in (1, 2, 9, 40):
        rows = np.repeat(row, count, axis=0)
        ones = np.ones(count, np.float32)
        evidence = Evidence(rows, rows, ones, ones.astype(bool))
        for n0, weight in ((0, 1.0), (8, 1 / (1 + (count - 1) / 8))):
            for early in (1.0, 0.999999):  # both ways of deciding
                maker = DecisionMaker(hypotheses, 4, DecisionOptions(count, early_confidence=early), n0)
                (decision,) = maker.update(evidence, 4 * np.arange(count))
                odds = decision.log_probabilities["BPSK"] - decision.log_probabilities["QPSK"]
                assert odds == pytest.approx(0.3 * count * weight, rel=1e-5)


def test_fusion_chunks_out_of_range_are_refused():
    hypotheses = (Hypothesis("BPSK", None, 0.5), Hypothesis("QPSK", None, 0.5))
    with pytest.raises(AmrqError, match="fusion_chunks"):
        DecisionMaker(hypotheses, 4, fusion_chunks=-1)


def test_measured_es_n0_weighs_the_levels() -> None:
    """Two levels of two classes: the noise beside the signal says which level, and so which class."""
    hypotheses = [Hypothesis(name, level, 0.25) for name in ("a", "b") for level in (5.0, 15.0)]
    row = np.log(np.array([[0.4, 0.1, 0.1, 0.4]]))

    def decided(*measured: float) -> Decision:
        rows = np.tile(row, (len(measured), 1)).astype(np.float32)
        maker = DecisionMaker(hypotheses, 32, DecisionOptions(len(measured)))
        known = np.array(measured, dtype=np.float32)
        (decision,) = maker.update(evidence(np.exp(rows)), indices(len(measured)), None, known)
        return decision

    assert decided(5.0, 5.0).best == "a"
    assert decided(15.0, 15.0).best == "b"
    assert decided(math.nan, 15.0, 16.0, 14.0).best == "b"  # the median of what is known
    unknown = decided(math.nan, math.nan)
    assert unknown.confidence == pytest.approx(0.5)
    # A receiver adds noise, and never takes any away.
    higher, lower = (decided(level, level).log_probabilities for level in (11.0, 9.0))
    assert higher["a"] > lower["b"]


@pytest.mark.parametrize(
    ("options", "threshold"),
    [
        (DecisionOptions(), 0.75),
        (DecisionOptions(wrong_name_cost=0), 0.0),
        (DecisionOptions(wrong_name_cost=99), 0.99),
        (DecisionOptions(min_confidence=0.6), 0.6),
    ],
)
def test_costs_say_when_a_class_is_named(options: DecisionOptions, threshold: float) -> None:
    assert options.threshold == pytest.approx(threshold)
    for share in (0.55, 0.65, 0.8, 0.995):
        rows = evidence(np.array([[share, 1 - share, 1e-9]]))
        (decision,) = DecisionMaker(HYPOTHESES, 32, replace(options, chunks_per_decision=1)).update(
            rows, indices(1)
        )
        assert (decision.reason == "named") == (share >= threshold)
