# SPDX-License-Identifier: GPL-3.0-or-later
"""The family model: samples of a signal to chunks, chunks to probabilities of families."""

import json
from pathlib import Path

import numpy as np
import pytest
from seeds import rng

from amrq.classifier import FamilyModel, level_chunks, make_classifier
from amrq.errors import AmrqError, ModelError
from amrq.model import Contract, find_model, read_contract, write_contract

pytest.importorskip("onnx", reason="the package onnx is not installed")
pytest.importorskip("onnxruntime", reason="the package onnxruntime is not installed")

from small_models import linear_model, linear_onnx

LENGTH = 64
FAMILIES = ("carrier", "ook", "unknown")


def family_model(path: Path, **contract: object) -> FamilyModel:
    """Logits are 5 times I of the first sample, minus that, and 5 times Q."""
    weights = np.zeros((2 * LENGTH, 3), np.float32)
    weights[0, 0], weights[0, 1], weights[LENGTH, 2] = 5, -5, 5
    linear_onnx(path, weights, length=LENGTH)
    told = {"input": "samples", "samples_per_bandwidth": 4.0, **contract}
    write_contract(path, Contract("small", FAMILIES, LENGTH, **told))  # type: ignore[arg-type]
    return FamilyModel(path)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> FamilyModel:
    return family_model(tmp_path_factory.mktemp("family") / "small.onnx")


def tone(count: int, cycles: float, phase: float = 0.0) -> np.ndarray:
    return np.exp(2j * np.pi * (cycles * np.arange(count) + phase)).astype(np.complex64)


def test_it_says_what_it_is(model: FamilyModel) -> None:
    assert model.families == FAMILIES
    assert (model.length, model.samples_per_bandwidth) == (LENGTH, 4.0)


def test_probabilities_are_the_calibrated_softmax_of_the_outputs(tmp_path: Path) -> None:
    chunks = np.array([np.full(LENGTH, 2), np.full(LENGTH, -7), np.full(LENGTH, 0.01j)], np.complex64)
    for temperature in (1.0, 2.5):
        model = family_model(tmp_path / "mine.onnx", temperature=temperature)
        logits = np.array([[5, -5, 0], [-5, 5, 0], [0, 0, 5]]) / temperature
        expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        np.testing.assert_allclose(np.exp(model.log_probabilities(chunks)), expected, atol=1e-6)
    assert model.log_probabilities(chunks[:0]).shape == (0, 3)


def test_silence_and_what_is_not_finite_say_nothing(model: FamilyModel) -> None:
    chunks = np.ones((4, LENGTH), np.complex64)
    chunks[1], chunks[2, 3], chunks[3, 5] = 0, np.nan, np.inf
    found = np.exp(model.log_probabilities(chunks))
    np.testing.assert_allclose(found[1:], 1 / 3, rtol=1e-6)
    assert found[0].argmax() == 0


def test_a_temperature_that_makes_outputs_infinite_is_refused(tmp_path: Path) -> None:
    cold = family_model(tmp_path / "cold.onnx", temperature=1e-320)
    with pytest.raises(ModelError, match="not finite"):
        cold.log_probabilities(np.ones((1, LENGTH), np.complex64))


def test_several_chunks_are_summed_and_weighed(model: FamilyModel, tmp_path: Path) -> None:
    logs = np.log([[0.6, 0.3, 0.1], [0.5, 0.3, 0.2]])
    product = np.exp(logs.sum(axis=0))
    np.testing.assert_allclose(np.exp(model.together(logs)), product / product.sum(), rtol=1e-5)
    half = np.sqrt(product)  # n0 = 1: two chunks count as one
    weighed = family_model(tmp_path / "weighed.onnx", fusion_chunks=1.0)
    np.testing.assert_allclose(np.exp(weighed.together(logs)), half / half.sum(), rtol=1e-5)
    with pytest.raises(AmrqError, match="at least one chunk"):
        model.together(logs[:0])


@pytest.mark.parametrize("rate", [160e3, 100e3, 37.7e3, 21e3])
def test_a_signal_is_shifted_and_brought_to_the_models_rate(model: FamilyModel, rate: float) -> None:
    """A tone stays one: three tenths of the bandwidth above the middle, that is .075 cycles a sample."""
    middle, bandwidth = 3e3, 10e3
    iq = tone(int(0.02 * rate), (middle + 0.3 * bandwidth) / rate)
    chunks = model.prepare(iq, rate, (middle - bandwidth / 2, middle + bandwidth / 2))
    assert chunks.shape[1] == LENGTH and chunks.dtype == np.complex64
    inner = chunks[1:-1].ravel()
    np.testing.assert_allclose(np.abs(inner), 1, atol=0.02)
    steps = np.angle(chunks[1:-1, 1:] * chunks[1:-1, :-1].conj()) / (2 * np.pi)
    np.testing.assert_allclose(steps, 0.075, atol=1e-3)


def test_samples_at_the_models_rate_pass_unchanged(model: FamilyModel) -> None:
    iq = tone(LENGTH, 0.05, 0.1) + 0.5 * tone(LENGTH, -0.11, 0.4)
    (chunk,) = model.prepare(iq, 4.0, (-0.5, 0.5))
    inner = slice(20, -20)  # the ends of the signal are ends for the filter too
    expected = iq / np.sqrt(np.mean(np.abs(iq) ** 2))
    np.testing.assert_allclose(chunk[inner], expected[inner], atol=0.02)


def test_what_lies_beside_the_rate_is_filtered_off(model: FamilyModel) -> None:
    wanted, beside = tone(40_000, 0.01), 10 * tone(40_000, 0.09)
    chunks = model.prepare(wanted + beside, 1.0, (-0.02, 0.02))  # at 0.16: beyond 0.08 nothing is left
    np.testing.assert_allclose(np.abs(chunks[2:-2]), 1, atol=0.01)


def test_a_short_signal_stands_in_the_middle_of_zeros(model: FamilyModel) -> None:
    (chunk,) = model.prepare(tone(80, 0.01), 8.0, (-0.5, 0.5))
    there = np.flatnonzero(chunk)
    assert (there[0], there[-1]) == (12, 51)
    assert np.mean(np.abs(chunk[12:52]) ** 2) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize(
    ("samples", "most", "chunks"),
    [(64, 8, 1), (65, 8, 2), (128, 8, 2), (129, 8, 3), (10_000, 8, 8), (640, 3, 3)],
)
def test_long_signals_are_cut_from_the_first_sample_to_the_last(
    model: FamilyModel, samples: int, most: int, chunks: int
) -> None:
    """The pitch rises over the signal, so that each chunk's says where it was taken."""
    sweep = np.exp(2j * np.pi * 0.1 * np.arange(samples) ** 2 / samples / 2).astype(np.complex64)
    found = model.prepare(sweep, 4.0, (-0.5, 0.5), most)
    assert found.shape == (chunks, LENGTH)
    if chunks > 1:
        pitch = [np.angle(np.vdot(chunk[8:-9], chunk[9:-8])) / (2 * np.pi) for chunk in found]
        expected = (np.linspace(0, samples - LENGTH, chunks) + LENGTH / 2) * 0.1 / samples
        np.testing.assert_allclose(pitch, expected, atol=2e-3)


def test_no_sample_is_no_chunk_and_bad_samples_are_zeros(model: FamilyModel) -> None:
    assert model.prepare(np.zeros(0, np.complex64), 1e3, (-10, 10)).shape == (0, LENGTH)
    iq = tone(500, 0.01)
    iq[100] = np.nan
    assert np.isfinite(model.prepare(iq, 4.0, (-0.5, 0.5))).all()


@pytest.mark.parametrize(
    ("rate", "edges", "most", "words"),
    [
        (1e3, (10.0, -10.0), 8, "upper edge"),
        (0.0, (-1.0, 1.0), 8, "upper edge"),
        (1e9, (-1.0, 1.0), 8, "far smaller"),
        (1e3, (-1e9, 1e9), 8, "far smaller"),
        (1e3, (-10.0, 10.0), 0, "1 to 1000 chunks"),
    ],
)
def test_what_cannot_be_prepared(
    model: FamilyModel, rate: float, edges: tuple[float, float], most: int, words: str
) -> None:
    with pytest.raises(AmrqError, match=words):
        model.prepare(np.ones(100, np.complex64), rate, edges, most)


def test_other_models_are_refused(model: FamilyModel, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="takes symbols of a front end"):
        FamilyModel(linear_model(tmp_path / "symbols.onnx"))
    with pytest.raises(ModelError, match="takes samples of a signal"):
        make_classifier("family")
    with pytest.raises(AmrqError, match="chunks of 64 samples, not an array of shape"):
        model.log_probabilities(np.ones((2, 32), np.complex64))


def test_a_foreign_model_works_once_it_is_annotated(tmp_path: Path) -> None:
    path = linear_onnx(tmp_path / "theirs.onnx", np.eye(2 * LENGTH, 3, dtype=np.float32), length=LENGTH)
    with pytest.raises(ModelError, match="no gr-amrq contract"):
        FamilyModel(path)
    text = {"contract_version": 2, "name": "theirs", "classes": FAMILIES, "chunk_length": LENGTH}
    told = Contract.from_json(json.dumps({**text, "input": "samples", "samples_per_bandwidth": 2.5}))
    write_contract(path, told)
    assert FamilyModel(path).samples_per_bandwidth == 2.5


def test_padding_does_not_count_for_the_level() -> None:
    chunks = np.zeros((2, 100), np.complex64)
    chunks[0, 30:60] = 3 * np.exp(2j * np.pi * rng("level").random(30))
    found = level_chunks(chunks)
    np.testing.assert_allclose(np.abs(found[0, 30:60]), 1, rtol=1e-5)
    assert not found[1].any()


@pytest.mark.parametrize("bits", [8, 4])
def test_the_shipped_models_keep_what_the_issue_asks(bits: int) -> None:
    import onnx

    assert find_model("family").stem == "family-int8"
    path = find_model(f"family-int{bits}")
    contract = read_contract(path)
    assert contract.input == "samples" and contract.weights <= 60_000
    assert (contract.weight_bits, contract.activation_bits) == (bits, 8)
    assert contract.classes[-1] == "unknown"
    agreement = contract.recipe["agreement"]
    assert agreement["differing_decisions_of_torch_and_onnxruntime"] <= 0.01 * agreement["chunks"]
    weights = [t for t in onnx.load(str(path)).graph.initializer if t.name.endswith("weight.int")]
    assert len(weights) == 16
    most = max(np.abs(onnx.numpy_helper.to_array(one).astype(int)).max() for one in weights)
    assert most <= 2 ** (bits - 1) - 1 or bits == 8
