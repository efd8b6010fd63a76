# SPDX-License-Identifier: GPL-3.0-or-later
"""Every shipped model keeps what its contract, the README and docs/models.md say."""

import functools
from collections import Counter

import numpy as np
import pytest
from seeds import SEED, rng

from amrq.classes import THESIS_9
from amrq.classifier import make_classifier
from amrq.evaluation import evaluate, fresh_chunks
from amrq.hardware import IntegerNetwork
from amrq.likelihood import LikelihoodClassifier, Receiver
from amrq.model import NO_SIGNAL, UNKNOWN, find_model, list_models, read_contract

onnx = pytest.importorskip("onnx", reason="the package onnx is not installed")
ort = pytest.importorskip("onnxruntime", reason="the package onnxruntime is not installed")

FAMILIES = ("coherent", "blind")
SIZES = {"full": 16_000, "small": 2_000}
PRECISIONS = {"float32": 32, "int8": 8, "int4": 4}
NAMES = [f"{family}-{size}-{precision}" for family in FAMILIES for size in SIZES for precision in PRECISIONS]
QUANTISED = [name for name in NAMES if "float" not in name]


@pytest.fixture(scope="module")
def models():
    return {path.stem: path for path in list_models()}


def test_all_are_there_and_the_default_is_one_of_them(models):
    assert set(NAMES) <= set(models)
    assert find_model("default").stem in ("blind-full-int8", "blind-full-int4")


@pytest.mark.parametrize("name", NAMES)
def test_contracts_are_complete(models, name):
    contract = read_contract(models[name])
    family, size, precision = name.split("-")
    assert contract.name == name
    assert contract.phase == {"coherent": "coherent", "blind": "any"}[family]
    others = (UNKNOWN, NO_SIGNAL) if family == "blind" else ()
    assert contract.classes == (*THESIS_9, *others)
    assert (contract.chunk_length, contract.samples_per_symbol) == (32, 1)
    assert contract.weight_bits == PRECISIONS[precision]
    assert contract.activation_bits == (32 if precision == "float32" else 8)
    assert 500 < contract.weights <= SIZES[size]
    assert [row.es_n0_db for row in contract.accuracy] == [2.5 * step for step in range(11)]
    assert all(row.chunks >= 2_000 * len(THESIS_9) for row in contract.accuracy)
    assert 0.3 < contract.temperature < 3
    assert {"name", "settings", "versions", "date", "seed", "steps", "agreement"} <= set(contract.recipe)
    assert models[name].stat().st_size <= 200_000


@pytest.mark.parametrize("name", NAMES)
def test_weights_in_the_file_are_as_many_as_promised(models, name):
    """Weights and biases that are not zero; rounding may have made more of them zero."""
    graph = onnx.load(str(models[name])).graph
    makers = {output: node for node in graph.node for output in node.output}
    tensors = {t.name: onnx.numpy_helper.to_array(t) for t in graph.initializer}
    count = 0
    for layer in graph.node:
        if layer.op_type in ("Conv", "Gemm"):
            for source in layer.input[1:]:
                while source not in tensors:
                    source = makers[source].input[0]
                values = tensors[source]
                count += np.count_nonzero(values) if values.ndim > 1 else values.size
    promised = read_contract(models[name]).weights
    assert 0.6 * promised < count <= promised


@pytest.mark.parametrize("name", QUANTISED)
def test_all_layers_run_as_integer_kernels(models, name, tmp_path):
    options = ort.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    options.log_severity_level = 3
    ort.InferenceSession(str(models[name]), options, providers=["CPUExecutionProvider"])
    kernels = Counter(node.op_type for node in onnx.load(str(tmp_path / "optimised.onnx")).graph.node)
    layers = [n for n in onnx.load(str(models[name])).graph.node if n.op_type in ("Conv", "Gemm", "MatMul")]
    assert kernels["QLinearConv"] + kernels["QGemm"] + kernels["QLinearMatMul"] == len(layers) > 0
    floating = {"Conv", "FusedConv", "Gemm", "FusedGemm", "MatMul", "FusedMatMul", "ConvTranspose"}
    assert not floating & set(kernels)


@functools.cache
def mixed_chunks(any_phase, count=3_000):
    """All classes at 0 to 25 dB in equal parts."""
    generator = rng("parity", any_phase)
    levels = generator.uniform(0, 25, 50)
    chunks = [
        fresh_chunks(name, -(-count // 450), 32, float(level), generator, any_phase=any_phase)
        for level in levels
        for name in THESIS_9
    ]
    return np.concatenate(chunks)[:count]


@pytest.mark.parametrize("name", QUANTISED)
def test_integer_reference_agrees_on_3000_chunks(models, name):
    chunks = mixed_chunks("blind" in name)
    ours = make_classifier(models[name], "integer").classify(chunks).log_likelihoods
    theirs = make_classifier(models[name]).classify(chunks).log_likelihoods
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("name", QUANTISED)
def test_four_bit_weights_are_of_four_bits(models, name):
    most = 7 if "int4" in name else 127
    for layer in IntegerNetwork.from_onnx(models[name]).layers:
        assert np.abs(layer.weights.astype(int)).max() <= most


# 1,000 chunks a class: the paired interval of a gap is some +-0.6 points wide. The aim is one point for both; what 4
# bits cost beyond it is stated in docs/models.md, and their limit here only notices a loss.
@pytest.mark.parametrize("es_n0_db", [pytest.param(5.0, marks=pytest.mark.long), 10.0])
def test_coherent_full_is_close_to_the_bound(models, es_n0_db):
    receiver = LikelihoodClassifier(Receiver(phase="known", es_n0_db=(0.0, 20.0), level="hidden"))
    names = np.repeat(np.arange(len(THESIS_9)), 1_000)
    chunks = np.concatenate(
        [
            fresh_chunks(name, 1_000, 32, es_n0_db, rng("bound", es_n0_db, name), any_phase=False)
            for name in THESIS_9
        ]
    )
    bound = (receiver.log_likelihoods(chunks).argmax(axis=1) == names).astype(float)
    for precision, points in (("int8", 1.0), ("int4", 2.5)):
        classifier = make_classifier(models[f"coherent-full-{precision}"])
        model = classifier.classify(chunks).log_probabilities.argmax(axis=1) == names
        gap = 100 * (bound - model)
        assert gap.mean() - 1.96 * gap.std() / np.sqrt(len(gap)) < points, precision


@pytest.mark.parametrize(("es_n0_db", "phase_noise"), [(20.0, 0.01), (23.0, 0.005)])
def test_coherent_full_int4_at_the_operating_points_of_the_thesis(models, es_n0_db, phase_noise):
    """Right on all of 2,304 fresh chunks, where the bound is."""
    classifier = make_classifier(models["coherent-full-int4"])
    receiver = LikelihoodClassifier(Receiver(phase="known", es_n0_db=(0.0, 20.0), level="hidden"))
    for number, name in enumerate(THESIS_9):
        generator = rng("thesis", es_n0_db, name)
        chunks = fresh_chunks(name, 256, 32, es_n0_db, generator, phase_noise, any_phase=False)
        best = receiver.log_likelihoods(chunks).argmax(axis=1) == number
        found = classifier.classify(chunks).log_probabilities.argmax(axis=1) == number
        assert found[best].all()


@pytest.mark.parametrize(("family", "size"), [(family, size) for family in FAMILIES for size in SIZES])
def test_rounding_costs_little(models, family, size):
    """At 7.5 dB, where it costs most; 1,000 chunks a class, paired interval some +-0.6 points wide.

    The aim is half a point for both. 8 bits keep it; the limit for 4 bits only notices a loss (docs/models.md).
    """
    decided = {}
    for precision in PRECISIONS:
        classifier = make_classifier(models[f"{family}-{size}-{precision}"])
        rights = []
        for number, name in enumerate(THESIS_9):
            chunks = fresh_chunks(name, 1_000, 32, 7.5, rng("rounding", name), any_phase=family == "blind")
            named = classifier.classify(chunks).log_probabilities[:, : len(THESIS_9)]
            rights.append(named.argmax(axis=1) == number)
        decided[precision] = np.concatenate(rights).astype(float)
    for precision, points in (("int8", 0.5), ("int4", 2.5)):
        loss = 100 * (decided["float32"] - decided[precision])
        assert loss.mean() - 1.96 * loss.std() / np.sqrt(len(loss)) < points, precision


@pytest.mark.parametrize("name", ["coherent-full-int4", "blind-small-int4"])
def test_accuracy_tables_are_reproduced(models, name, monkeypatch):
    # The other signals are most of the work, and not looked at here.
    monkeypatch.setattr("amrq.evaluation.measure.OTHER_KINDS", ())
    classifier = make_classifier(models[name])
    promised = {row.es_n0_db: row for row in classifier.contract.accuracy}
    for level in evaluate(classifier, 400, [5.0, 10.0, 15.0], seed=SEED).levels:
        found = level.row()
        # Two 95 % intervals that do not even touch would be far beyond chance.
        assert found.low <= promised[level.es_n0_db].high and found.high >= promised[level.es_n0_db].low
