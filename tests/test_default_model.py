# SPDX-License-Identifier: GPL-3.0-or-later
"""The shipped default model keeps what its contract and the README say."""

import numpy as np
import pytest
from seeds import SEED, rng

from amrq.classes import THESIS_9
from amrq.classifier import make_classifier
from amrq.evaluation import evaluate, fresh_chunks, fuse
from amrq.model import NO_SIGNAL, UNKNOWN
from amrq.signals import add_noise, other_signal, rotate

pytest.importorskip("onnxruntime", reason="the package onnxruntime is not installed")


@pytest.fixture(scope="module")
def classifier():
    return make_classifier("default")


@pytest.fixture
def levels_alone(monkeypatch):
    """Let `evaluate` leave out the other signals, which are most of its work and not looked at here."""
    monkeypatch.setattr("amrq.evaluation.measure.OTHER_KINDS", ())


def decide(classifier, chunks):
    """Return the one decision on all the chunks."""
    (decision,) = fuse(classifier.contract, classifier.classify(chunks), len(chunks))
    return decision


# 1,000 chunks a class: the 95 % interval of a share of .98 among 9,000 is some +-.003 wide.
@pytest.mark.parametrize("es_n0_db", [20.0, 25.0])
def test_accuracy_where_it_must_be_good(classifier, es_n0_db, levels_alone):
    found = evaluate(classifier, 1_000, [es_n0_db], seed=SEED).levels[0]
    assert found.row().low >= 0.95
    assert min(row.accuracy for row in found.class_rows()) >= 0.90


def test_accuracy_table_is_reproduced(classifier, levels_alone):
    promised = {row.es_n0_db: row for row in classifier.contract.accuracy}
    for level in evaluate(classifier, 500, [5.0, 10.0, 15.0], seed=SEED).levels:
        found = level.row()
        # Two 95 % intervals that do not even touch would be far beyond chance.
        assert found.low <= promised[level.es_n0_db].high and found.high >= promised[level.es_n0_db].low


def test_rotation_does_not_matter(classifier):
    generator = rng("rotation")
    for name in THESIS_9:
        chunks = fresh_chunks(name, 400, 32, 15.0, generator, any_phase=False)
        truth = classifier.contract.classes.index(name)
        plain = classifier.classify(chunks).log_probabilities.argmax(axis=1)
        shares = [(plain == truth).mean()]
        changed = []
        for _ in range(4):
            turned = rotate(chunks, generator.uniform(0, 2 * np.pi, len(chunks)))
            decided = classifier.classify(turned).log_probabilities.argmax(axis=1)
            shares.append((decided == truth).mean())
            changed.append((decided != plain).mean())
        assert max(shares) - min(shares) < 0.05, (name, shares)
        assert max(changed) < 0.15, (name, changed)


def test_level_does_not_matter(classifier):
    chunks = fresh_chunks("16QAM", 200, 32, 15.0, rng("level"))
    plain = classifier.classify(chunks).log_probabilities
    np.testing.assert_allclose(classifier.classify(1e-3 * chunks).log_probabilities, plain, atol=0.5)


def test_batch_size_does_not_matter(classifier):
    chunks = fresh_chunks("8PSK", 33, 32, 12.0, rng("batch"))
    together = classifier.classify(chunks).log_probabilities
    alone = np.concatenate(
        [classifier.classify(chunks[i : i + 1]).log_probabilities for i in range(len(chunks))]
    )
    np.testing.assert_allclose(alone, together, atol=1e-4)


# FM and FSK are weak spots: their shares are floors under what was measured on 1,000 decisions (0.96 and 0.78), which
# notice a loss; they are no aim. Some FSK has a constellation when sampled once a symbol; the rest could be told
# apart and is not.
@pytest.mark.parametrize(
    ("kind", "share"),
    [("noise", 0.95), ("OFDM", 0.95), ("OOK", 0.95), ("tone", 0.95), ("FM", 0.85), ("FSK", 0.7)],
)
def test_no_false_certainty(classifier, kind, share):
    """On 32 chunks fused, signals outside the nine are called so in at least this share of 60 decisions."""
    generator = rng("certainty", kind)
    trials = 60
    right = 0
    for _ in range(trials):
        chunks = add_noise(other_signal(kind, 1, 32 * 32, generator).reshape(32, 32), 0.02, generator)
        right += decide(classifier, chunks).label in (UNKNOWN, NO_SIGNAL)
    assert right >= share * trials


@pytest.mark.parametrize("name", THESIS_9)
def test_known_signal_is_not_called_unknown(classifier, name):
    """On 32 chunks fused, at an Es/N0 where one chunk is often not enough."""
    generator = rng("known", name)
    for _ in range(20):
        chunks = fresh_chunks(name, 32, 32, 14.0, generator)
        assert decide(classifier, chunks).best == name
