# SPDX-License-Identifier: GPL-3.0-or-later
"""The integer reference in a classifier's place."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from seeds import rng

pytest.importorskip("onnx", reason="the package onnx is not installed")

from quantised_onnx import quantised_onnx, random_spec

from amrq.classifier import Classifier, make_classifier, make_engine
from amrq.errors import AmrqError
from amrq.model import find_model


def test_evidence_is_that_of_the_onnx_classifier(tmp_path: Path) -> None:
    generator = rng("evidence")
    spec = random_spec(generator, level=True)
    spec.contract = {"temperature": 40.0, "outlier_share": 0.01}
    path = quantised_onnx(tmp_path / "m.onnx", spec)
    chunks = generator.standard_normal((600, 64)).astype(np.float32).view(np.complex64)
    chunks[3], chunks[5, 7] = 0, np.nan
    power = (np.abs(chunks) ** 2).mean(axis=1)
    tracked = (power * generator.uniform(0.5, 2, len(chunks))).astype(np.float32)
    classifiers: list[Classifier] = [make_classifier(path, "integer"), make_classifier(path)]
    for known in (tracked, None):
        ours, theirs = (classifier.classify(chunks, known) for classifier in classifiers)
        assert ours.usable.tolist() == [i not in (3, 5) for i in range(600)]
        assert ours.lost is None and theirs.lost is None
        for mine, other in zip(ours[:-1], theirs[:-1], strict=True):
            assert mine.dtype == other.dtype
            # The logits are the same to the bit; logarithms of them are taken in other batches.
            np.testing.assert_allclose(mine, other, rtol=1e-6, atol=1e-6)
    assert classifiers[0].contract == classifiers[1].contract


def test_any_number_of_chunks_and_runs(tmp_path: Path) -> None:
    classifier = make_classifier(quantised_onnx(tmp_path / "m.onnx", random_spec(rng("none"))), "integer")
    classifier.open()
    evidence = classifier.classify(np.zeros((0, 32), np.complex64))
    assert evidence.log_probabilities.shape == (0, 3)
    assert evidence.log_likelihoods.shape == (0, 7)
    classifier.close()
    classifier.open()
    assert not classifier.classify(np.zeros((2, 32), np.complex64)).usable.any()
    with pytest.raises(AmrqError, match="32 samples"):
        classifier.classify(np.zeros((2, 31), np.complex64))


def test_a_file_is_read_once_and_anew_when_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    shutil.copy(find_model("blind-small-int4"), path)
    first = make_engine("integer", path)
    again = make_engine("integer", path)
    assert vars(again)["network"] is vars(first)["network"]
    shutil.copy(find_model("blind-small-int8"), path)
    other = make_engine("integer", path)
    assert other.contract.name == "blind-small-int8" and other.model_sha256 != first.model_sha256
