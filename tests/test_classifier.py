# SPDX-License-Identifier: GPL-3.0-or-later
"""The onnxruntime classifier."""

from pathlib import Path

import numpy as np
import pytest
from seeds import rng
from small_models import linear_model, linear_onnx, slow_model

from amrq.classifier import make_classifier
from amrq.errors import AmrqError
from amrq.model import Contract, write_contract


def chunks_of(first: complex, count: int = 1) -> np.ndarray:
    chunks = np.full((count, 32), 1e-3, np.complex64)
    chunks[:, 0] = first
    return chunks


def test_log_probabilities_are_the_models(tmp_path: Path) -> None:
    classifier = make_classifier(linear_model(tmp_path / "m.onnx"))
    generator = rng("classifier")
    chunks = (generator.standard_normal((1500, 32)) + 1j * generator.standard_normal((1500, 32))).astype(
        np.complex64
    )
    evidence = classifier.classify(chunks)
    rms = np.sqrt(np.mean(np.abs(chunks) ** 2, axis=1))
    first = chunks[:, 0] / rms
    logits = np.stack([5 * first.real, -5 * first.real, 5 * first.imag], axis=1)
    expected = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(evidence.log_probabilities, expected, atol=1e-4)
    np.testing.assert_allclose(evidence.power, rms**2, rtol=1e-4)


@pytest.mark.parametrize("count", [0, 1, 511, 512, 513, 2000])
def test_any_batch_and_the_same_answers(tmp_path: Path, count: int) -> None:
    classifier = make_classifier(linear_model(tmp_path / "m.onnx"))
    generator = rng("batch")
    chunks = (generator.standard_normal((2000, 32)) + 0j).astype(np.complex64)
    whole = classifier.classify(chunks).log_probabilities
    part = classifier.classify(chunks[:count])
    assert part.log_probabilities.shape == (count, 3)
    np.testing.assert_allclose(part.log_probabilities, whole[:count], atol=1e-5)


def test_temperature_softens(tmp_path: Path) -> None:
    sharp = make_classifier(linear_model(tmp_path / "sharp.onnx"))
    soft = make_classifier(linear_model(tmp_path / "soft.onnx", temperature=10.0))
    chunk = chunks_of(1.0)
    difference = [
        float(c.classify(chunk).log_probabilities[0, 0] - c.classify(chunk).log_probabilities[0, 1])
        for c in (sharp, soft)
    ]
    assert difference[0] == pytest.approx(10 * difference[1], rel=1e-4)


def test_silent_and_broken_chunks_give_no_evidence(tmp_path: Path) -> None:
    classifier = make_classifier(linear_model(tmp_path / "m.onnx"))
    chunks = np.concatenate([chunks_of(1.0), np.zeros((1, 32), np.complex64), chunks_of(np.nan)])
    evidence = classifier.classify(chunks)
    assert evidence.usable.tolist() == [True, False, False]
    assert not evidence.log_probabilities[1:].any()
    assert np.exp(evidence.log_probabilities[0]).sum() == pytest.approx(1.0, rel=1e-5)


def test_a_level_is_used_where_the_contract_asks_for_it(tmp_path: Path) -> None:
    classifier = make_classifier(linear_model(tmp_path / "m.onnx", normalisation="none"))
    weak, strong = (classifier.classify(chunks_of(x)).log_probabilities[0] for x in (0.1, 1.0))
    assert strong[0] - strong[1] == pytest.approx(10 * (weak[0] - weak[1]), rel=1e-3)


def test_refused(tmp_path: Path) -> None:
    classifier = make_classifier(linear_model(tmp_path / "m.onnx"))
    for shape in ((3, 31), (32,), (2, 2, 32)):
        with pytest.raises(AmrqError, match="32 samples"):
            classifier.classify(np.zeros(shape, np.complex64))
    with pytest.raises(AmrqError, match="at least 1 thread"):
        make_classifier(tmp_path / "m.onnx", threads=0)
    broken = linear_onnx(tmp_path / "nan.onnx", weights=np.full((64, 3), np.nan))
    write_contract(broken, Contract("nan", ("a", "b", "c"), 32))
    with pytest.raises(AmrqError, match="not finite"):
        make_classifier(broken).classify(chunks_of(1.0))


def test_a_call_in_a_hurry_is_given_up_and_its_chunks_are_lost(tmp_path: Path) -> None:
    """Also one that is at work; until the hurry is over, or the classifier is opened again."""
    classifier = make_classifier(slow_model(tmp_path / "slow.onnx", multiplications=2), "onnx")
    classifier.open()
    chunks = rng("classifier, hurry").standard_normal((5, 64)).view(np.complex128).astype(np.complex64)
    assert classifier.classify(chunks).usable.all()
    classifier.hurry(0.0)
    while (found := classifier.classify(chunks)).lost is None:
        pass  # the hurry begins in another thread
    assert found.lost.all()
    assert not found.usable.any()
    classifier.hurry(None)
    assert classifier.classify(chunks).usable.all()
    classifier.hurry(0.0)
    classifier.close()
    classifier.open()
    assert classifier.classify(chunks).usable.all()
