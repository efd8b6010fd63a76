# SPDX-License-Identifier: GPL-3.0-or-later
"""The Es/N0 of a stream, with the exact likelihood as the model."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from seeds import rng

from amrq.classes import THESIS_9
from amrq.classifier import Evidence
from amrq.likelihood import LikelihoodClassifier, Receiver
from amrq.model import NO_SIGNAL, UNKNOWN, Hypothesis
from amrq.signals import noise_power_from_es_n0_db
from amrq.tracking import LevelTracker, NoiseTracker

LENGTH = 32
NAMES = tuple(THESIS_9)
LEVELS = tuple(float(x) for x in range(-1, 20, 2))
HYPOTHESES = tuple(Hypothesis(name, x, 1 / (len(NAMES) * len(LEVELS))) for name in NAMES for x in LEVELS)


def received(generator: np.random.Generator, classes: np.ndarray, es_n0_db: float) -> np.ndarray:
    """Chunks of classes by number, of unit mean power before the noise."""
    noise = generator.standard_normal((len(classes), LENGTH, 2)).view(np.complex128)[..., 0]
    chunks = np.sqrt(noise_power_from_es_n0_db(es_n0_db) / 2) * noise
    for number, modulation in enumerate(THESIS_9.values()):
        mine = classes == number
        symbols = generator.integers(modulation.order, size=(int(mine.sum()), LENGTH))
        chunks[mine] += modulation.points[symbols]
    return chunks


@pytest.fixture(scope="module")
def models() -> dict[float, LikelihoodClassifier]:
    return {x: LikelihoodClassifier(Receiver("known", x, "known")) for x in LEVELS}


def exact_evidence(
    chunks: np.ndarray, level: np.ndarray, models: dict[float, LikelihoodClassifier]
) -> Evidence:
    """What the best model says of each class at each Es/N0, if a chunk's level is known (nothing where it is NaN)."""
    known = np.isfinite(level)
    rows = np.zeros((len(chunks), len(NAMES), len(LEVELS)))
    for column, x in enumerate(LEVELS):
        # The level includes the noise: r = a (s + n) with a^2 (1 + sigma^2) = level, and dr = a^(2L) d(s + n).
        power = level[known] / (1 + noise_power_from_es_n0_db(x))
        scaled = chunks[known] / np.sqrt(power)[:, None]
        rows[known, :, column] = models[x].log_likelihoods(scaled) - LENGTH * np.log(power)[:, None]
    rows -= rows.max(axis=(1, 2), keepdims=True)
    alone = np.log(np.exp(rows).mean(axis=2) + 1e-30)
    alone -= np.logaddexp.reduce(alone, axis=1, keepdims=True)
    return Evidence(
        alone.astype(np.float32),
        rows.reshape(len(chunks), -1).astype(np.float32),
        np.mean(np.abs(chunks) ** 2, axis=1).astype(np.float32),
        np.ones(len(chunks), dtype=np.bool_),
    )


@pytest.mark.parametrize("es_n0_db", [5.0, 10.0])
@pytest.mark.parametrize("run", [200, 100])
def test_single_chunks_come_close_to_the_bound_that_knows_level_and_es_n0(
    es_n0_db: float, run: int, models: dict[float, LikelihoodClassifier]
) -> None:
    # 3,600 chunks of all classes in turn, whose level is tracked too and changes by 20 dB in the middle; 5 dB is one of
    # the tracked levels, 10 dB lies between two. The same chunks serve the bound; what is left out are the chunks
    # at which nothing is known yet.
    generator = rng("bound", str(es_n0_db), run)
    order = np.concatenate([generator.permutation(len(NAMES)) for _ in range(3600 // run // len(NAMES))])
    classes = np.repeat(order, run)
    chunks = received(generator, classes, es_n0_db)
    bound = LikelihoodClassifier(Receiver("known", es_n0_db, "known")).log_likelihoods(chunks)
    chunks[len(chunks) // 2 :] *= 10
    indices = LENGTH * np.arange(len(chunks))
    power = np.mean(np.abs(chunks) ** 2, axis=1).astype(np.float32)
    level = LevelTracker(LENGTH).update(power, indices)
    evidence = exact_evidence(chunks, level.power, models)
    tracker = NoiseTracker(HYPOTHESES, LENGTH)
    weights = tracker.update(evidence, indices, level.began)
    refined = tracker.refine(evidence, weights)
    known = np.isfinite(level.power)
    assert known.mean() > 0.97

    def accuracy(scores: np.ndarray) -> float:
        return float((scores.argmax(axis=1) == classes)[known].mean())

    best, tracked, alone = (
        accuracy(scores) for scores in (bound, refined.log_probabilities, evidence.log_probabilities)
    )
    assert tracked > best - 0.02
    assert tracked > alone + 0.005
    found = np.exp(weights[known]) @ np.array(LEVELS)
    assert np.abs(np.mean(found) - es_n0_db) < 1.0  # half of what the levels lie apart


def test_another_es_n0_is_noticed(models: dict[float, LikelihoodClassifier]) -> None:
    # Behind an automatic gain control the level stays, and only the noise tells.
    generator = rng("another es/n0")
    classes = np.full(200, NAMES.index("QPSK"))
    chunks = np.concatenate([received(generator, classes, x) / np.sqrt(1 + 10 ** (-x / 10)) for x in (15, 5)])
    indices = LENGTH * np.arange(400)
    evidence = exact_evidence(chunks, np.ones(400), models)
    weights = np.exp(NoiseTracker(HYPOTHESES, LENGTH).update(evidence, indices))
    levels = np.array(LEVELS)
    assert (weights @ levels)[50:200] == pytest.approx(15.0, abs=1.0)
    assert (weights @ levels)[232:] == pytest.approx(5.0, abs=1.0)


SMALL = (
    *(Hypothesis(name, x, 0.1) for name in ("BPSK", "QPSK") for x in (5.0, 10.0, 15.0)),
    Hypothesis(UNKNOWN, None, 0.25),
    Hypothesis(NO_SIGNAL, None, 0.15),
)


def evidence_of(likelihoods: np.ndarray) -> Evidence:
    rows = np.log(likelihoods).astype(np.float32)
    count = len(rows)
    alone = np.log(np.add.reduceat(likelihoods, [0, 3, 6, 7], axis=1)).astype(np.float32)
    return Evidence(alone, rows, np.ones(count, np.float32), np.ones(count, np.bool_))


@settings(deadline=None, max_examples=50)
@given(
    cuts=st.lists(st.integers(0, 40), min_size=1, max_size=8),
    seed=st.integers(0, 1000),
    hop=st.sampled_from([8, 32]),
)
def test_calls_make_no_difference_and_nothing_looks_ahead(cuts: list[int], seed: int, hop: int) -> None:
    count, generator = sum(cuts), rng("noise in pieces", seed)
    evidence = evidence_of(generator.uniform(0.01, 1, (count, 8)))
    indices, began = hop * np.arange(count), generator.random(count) < 0.05
    whole = NoiseTracker(SMALL, LENGTH).update(evidence, indices, began)
    np.testing.assert_allclose(np.exp(whole).sum(axis=1), 1, rtol=1e-5)
    pieces, start = NoiseTracker(SMALL, LENGTH), 0
    for size in cuts:
        stop = start + size
        part = pieces.update(evidence.part(start, stop), indices[start:stop], began[start:stop])
        np.testing.assert_allclose(part, whole[start:stop], atol=1e-5)
        start = stop


def test_before_the_first_chunk_and_behind_a_reset_nothing_is_known() -> None:
    likelihoods = np.tile([1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1], (40, 1))
    tracker = NoiseTracker(SMALL, LENGTH)
    began = np.arange(40) == 30
    weights = np.exp(tracker.update(evidence_of(likelihoods), 32 * np.arange(40), began))
    np.testing.assert_allclose(weights[[0, 30]], 1 / 3, rtol=1e-5)
    assert weights[29, 0] > 0.9 and weights[39, 0] > 0.9
    tracker.reset()
    (first,) = np.exp(tracker.update(evidence_of(likelihoods[:1]), np.zeros(1, np.int64)))
    np.testing.assert_allclose(first, 1 / 3, rtol=1e-5)


def test_refined_probabilities_follow_bayes() -> None:
    generator = rng("refine")
    likelihoods = generator.uniform(0.1, 1, (20, 8))
    tracker = NoiseTracker(SMALL, LENGTH)
    evidence = evidence_of(likelihoods)
    weights = np.exp(tracker.update(evidence, 32 * np.arange(20)))
    refined = tracker.refine(evidence, np.log(weights))
    joint = np.stack(
        [
            0.3 * (weights * likelihoods[:, :3]).sum(axis=1),
            0.3 * (weights * likelihoods[:, 3:6]).sum(axis=1),
            0.25 * likelihoods[:, 6],
            0.15 * likelihoods[:, 7],
        ],
        axis=1,
    )
    expected = joint / joint.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(np.exp(refined.log_probabilities), expected, rtol=1e-4)
    np.testing.assert_array_equal(refined.log_likelihoods, evidence.log_likelihoods)


def test_noise_before_a_transmission_says_nothing_of_its_es_n0() -> None:
    silent = np.tile([0.02, 0.01, 0.01, 0.02, 0.01, 0.01, 0.1, 1.0], (100, 1))
    weights = np.exp(NoiseTracker(SMALL, LENGTH).update(evidence_of(silent), 32 * np.arange(100)))
    np.testing.assert_allclose(weights[50:], 1 / 3, atol=0.1)


def test_a_model_without_levels_is_passed_on_unchanged() -> None:
    plain = [Hypothesis(name, None, 0.5) for name in ("BPSK", "QPSK")]
    tracker = NoiseTracker(plain, LENGTH)
    rows = np.log(np.float32([[0.9, 0.1]]))
    evidence = Evidence(rows, rows, np.ones(1, np.float32), np.ones(1, np.bool_))
    weights = tracker.update(evidence, np.zeros(1, np.int64))
    assert weights.shape == (1, 0) and tracker.levels == ()
    assert tracker.refine(evidence, weights) is evidence
