# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole networks: by hand, and to the bit as PyTorch and ONNX Runtime."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from seeds import rng
from small_models import linear_model, linear_onnx

onnx = pytest.importorskip("onnx", reason="the package onnx is not installed")

from quantised_onnx import (  # noqa: E402
    FlatShape,
    Layer,
    Spec,
    quantised_onnx,
    random_flat_spec,
    random_spec,
    run_by_onnxruntime,
    run_by_torch,
)

from amrq.chunks import level_features, normalise  # noqa: E402
from amrq.errors import AmrqError  # noqa: E402
from amrq.hardware import IntegerNetwork  # noqa: E402

MODELS = Path(__file__).parents[2] / "docs" / "thesis" / "models"


def noise(generator: np.random.Generator, count: int) -> np.ndarray:
    parts = generator.standard_normal((count, 32, 2), np.float32)
    return parts.view(np.complex64)[:, :, 0]


def test_a_network_computed_by_hand(tmp_path: Path) -> None:
    spec = Spec(
        [Layer(np.array([[[3], [-2]], [[1], [1]]]), np.array([5, 0]), np.array([0, -1]), -1, signed=True)],
        0,
        [
            Layer(
                np.array([[[1], [10]], [[-1], [4]], [[0], [0]]]),
                np.array([7, -1, 1]),
                np.array([0, 1, 0]),
                0,
            )
        ],
        prefix=(),
        length=2,
        contract={"normalisation": "none"},
    )
    network = IntegerNetwork.from_onnx(quantised_onnx(tmp_path / "m.onnx", spec))
    chunks = np.array([[1 + 0.5j, -1.5 + 2j]], np.complex64)
    inputs = network.integers(chunks)
    assert inputs.symbols.tolist() == [[[2, 1], [-3, 4]]]  # steps of a half
    assert inputs.side.shape == (1, 0)
    trace = network.trace(inputs)
    assert list(trace) == ["symbol_0", "mean", "head_0"]
    # Sums 9 and -12 in halves, 3 and 1 in quarters: 4.5 is a tie, -6 meets the ReLU, 0.75 and 0.25 are rounded.
    assert trace["symbol_0"].tolist() == [[[4, 1], [0, 0]]]
    assert trace["mean"].tolist() == [[2, 0]]  # 0.5 is a tie
    assert trace["head_0"].tolist() == [[9, -3, 1]]
    scores = network.run(inputs)
    assert (scores.integers.tolist(), scores.exponent) == ([[9, -6, 1]], 0)
    assert scores.logits.tolist() == [[9, -6, 1]]
    assert network.score_shifts.tolist() == [0, 1, 0]


@pytest.mark.parametrize("folded", [True, False])
@pytest.mark.parametrize("level", [False, True])
@pytest.mark.parametrize(("bits", "kernel"), [(8, 1), (8, 5), (4, 1), (4, 3)])
def test_logits_equal_those_of_onnxruntime_and_torch(
    tmp_path: Path, bits: int, kernel: int, level: bool, folded: bool
) -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed")
    generator = rng("parity", bits, kernel, level, folded)
    spec = random_spec(generator, bits, kernel, level, folded)
    path = quantised_onnx(tmp_path / "m.onnx", spec)
    network = IntegerNetwork.from_onnx(path)
    assert network.prefix.operations == (("Abs",) if folded else ())
    assert network.side_inputs == (3 if level else 0)
    assert all(layer.weight_bits == bits for layer in network.layers)

    chunks = noise(generator, 3_000)
    normalised = normalise(chunks)
    inputs, tracked = {"iq": normalised.iq}, None
    if level:
        tracked = (normalised.power * generator.uniform(0.3, 3, len(chunks))).astype(np.float32)
        tracked[::7] = np.nan
        inputs["level"] = level_features(normalised.power, tracked)
    found = network.scores(chunks, tracked).logits
    assert found.dtype == np.float32
    assert len(np.unique(found)) > 100
    np.testing.assert_array_equal(found, run_by_onnxruntime(path, inputs))
    np.testing.assert_array_equal(found, run_by_torch(spec, inputs["iq"], inputs.get("level")))
    trace = network.trace(network.integers(chunks, tracked))
    assert any((trace[f"symbol_{i}"] == 255).any() for i in range(2))  # saturation has been seen


@pytest.mark.parametrize(
    ("bits", "channels", "pools", "hidden", "relu"),
    [
        (8, (6,), (0,), (11,), True),
        (4, (6, 9), (0, 1), (12, 8), True),
        (8, (5, 7), (1,), (), False),
        (6, (7,), (), (9,), True),
        (4, (4, 5, 6), (0, 1, 2), (8,), False),
    ],
)
def test_networks_as_the_thesis_s_equal_onnxruntime_and_torch(
    tmp_path: Path,
    bits: int,
    channels: tuple[int, ...],
    pools: tuple[int, ...],
    hidden: tuple[int, ...],
    relu: bool,
) -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed")
    generator = rng("flat", bits, *channels)
    spec = random_flat_spec(generator, FlatShape(bits, channels, pools, hidden, relu=relu))
    path = quantised_onnx(tmp_path / "m.onnx", spec)
    network = IntegerNetwork.from_onnx(path)
    assert [layer.pool for layer in network.symbol_layers] == [
        2 if number in pools else 1 for number in range(len(channels))
    ]
    assert network.between.outputs == channels[-1] * 16 >> len(pools)
    iq = generator.standard_normal((2_000, 2, 16)).astype(np.float32)
    iq[::40] = generator.choice([-9, 0, 9], (50, 2, 16))
    inputs = network.round_inputs(iq)
    found = network.run(inputs).logits
    assert len(np.unique(found)) > 100
    np.testing.assert_array_equal(found, run_by_onnxruntime(path, {"iq": iq}))
    np.testing.assert_array_equal(found, run_by_torch(spec, iq))
    trace = network.trace(inputs)
    assert list(trace) == [layer.name for layer in network.symbol_layers] + ["flatten"] + [
        layer.name for layer in network.head_layers
    ]
    with pytest.raises(AmrqError, match="takes no mean"):
        _ = network.mean


@pytest.mark.parametrize("bits", [4, 6, 8])
def test_a_trained_network_of_the_thesis_equals_onnxruntime(bits: int) -> None:
    path = MODELS / f"vgglike_2f_2c_2re_2mp_{bits}bit_pr_20.onnx"
    network = IntegerNetwork.from_onnx(path)
    assert all(layer.exact_in_float32 and layer.weight_bits == bits for layer in network.layers)
    generator = rng("thesis", bits)
    iq = generator.standard_normal((1_000, 2, 32)).astype(np.float32) * generator.uniform(
        0.2, 2, (1_000, 1, 1)
    )
    iq = iq.astype(np.float32)
    found = network.run(network.round_inputs(iq)).logits
    np.testing.assert_array_equal(found, run_by_onnxruntime(path, {"iq": iq}, "logits"))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda pool: pool.attribute[0].ints.__setitem__(0, 3), "2 symbols"),
        (lambda pool: pool.attribute.pop(), "2 symbols"),
        (lambda pool: pool.attribute.append(onnx.helper.make_attribute("pads", [1, 1])), "pads of MaxPool"),
    ],
)
def test_other_pools_are_refused(tmp_path: Path, change: Any, match: str) -> None:
    path = quantised_onnx(tmp_path / "m.onnx", random_flat_spec(rng("pools"), FlatShape()))
    model = onnx.load(str(path))
    (pool,) = (node for node in model.graph.node if node.op_type == "MaxPool")
    change(pool)
    onnx.save(model, str(path))
    with pytest.raises(AmrqError, match=match):
        IntegerNetwork.from_onnx(path)


def test_two_roundings_that_differ_are_refused(tmp_path: Path) -> None:
    path = quantised_onnx(tmp_path / "m.onnx", random_flat_spec(rng("rounded"), FlatShape()))
    model = onnx.load(str(path))
    (pool,) = (node for node in model.graph.node if node.op_type == "MaxPool")
    (before,) = (node for node in model.graph.node if pool.input[0] in node.output)
    for node in model.graph.node:
        if node.output[0] == before.input[0] or node is before:
            node.input[1] = "other"
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array(2.0, np.float32), "other"))
    onnx.save(model, str(path))
    with pytest.raises(AmrqError, match="rounded twice"):
        IntegerNetwork.from_onnx(path)


@pytest.mark.parametrize("folded", [True, False])
def test_ties_of_the_input_go_where_onnxruntime_and_torch_let_them(tmp_path: Path, folded: bool) -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed")
    generator = rng("ties", folded)
    spec = random_spec(generator, 8, 1, True, folded)
    path = quantised_onnx(tmp_path / "m.onnx", spec)
    network = IntegerNetwork.from_onnx(path)
    # Multiples of half a step of what rounds them, up to where they saturate.
    iq = (generator.integers(-600, 600, (3_000, 2, 32)) * 2.0 ** (spec.symbol[0].exponent - 1)).astype(
        np.float32
    )
    level = (generator.integers(-20, 600, (3_000, 3)) * 2.0 ** (spec.head[0].exponent - 1)).astype(np.float32)
    found = network.run(network.round_inputs(iq, level)).logits
    np.testing.assert_array_equal(found, run_by_onnxruntime(path, {"iq": iq, "level": level}))
    np.testing.assert_array_equal(found, run_by_torch(spec, iq, level))


def test_batches_do_not_matter(tmp_path: Path) -> None:
    generator = rng("batches")
    network = IntegerNetwork.from_onnx(
        quantised_onnx(tmp_path / "m.onnx", random_spec(generator, level=True))
    )
    chunks = noise(generator, 700)
    whole = network.scores(chunks).integers
    for count in (0, 1, 63, 64, 65, 512, 513):
        assert network.scores(chunks[:count]).integers.shape == (count, 7)
        np.testing.assert_array_equal(network.scores(chunks[:count]).integers, whole[:count])


def test_one_score_unit_for_all_hypotheses(tmp_path: Path) -> None:
    generator = rng("unit")
    network = IntegerNetwork.from_onnx(quantised_onnx(tmp_path / "m.onnx", random_spec(generator)))
    chunks = noise(generator, 100)
    last = network.head_layers[-1]
    accumulators = network.trace(network.integers(chunks))[last.name]
    assert len(set(last.weight_exponents)) > 1
    real = accumulators * 2.0**last.accumulator_exponents
    scores = network.scores(chunks)
    np.testing.assert_array_equal(scores.integers * 2.0**scores.exponent, real)


def test_an_older_opsets_reduce_mean_and_a_newer_ones(tmp_path: Path) -> None:
    generator = rng("opset")
    path = quantised_onnx(tmp_path / "m.onnx", random_spec(generator))
    chunks = noise(generator, 50)
    expected = IntegerNetwork.from_onnx(path).scores(chunks).integers
    model = onnx.load(str(path))
    (mean,) = (node for node in model.graph.node if node.op_type == "ReduceMean")
    mean.attribute.remove(next(a for a in mean.attribute if a.name == "axes"))
    mean.input.append("axes")
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([-1]), "axes"))
    for node in model.graph.node:
        if node.op_type == "ReduceLogSumExp":
            node.attribute.remove(next(a for a in node.attribute if a.name == "axes"))
            node.input.append("class_axes")
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([1]), "class_axes"))
    model.opset_import[0].version = 18
    onnx.save(model, str(path))
    np.testing.assert_array_equal(IntegerNetwork.from_onnx(path).scores(chunks).integers, expected)


def test_refused_files(tmp_path: Path) -> None:
    with pytest.raises(AmrqError, match="there is no model file"):
        IntegerNetwork.from_onnx(tmp_path / "none.onnx")
    (tmp_path / "text.onnx").write_text("no model")
    with pytest.raises(AmrqError, match="cannot be read"):
        IntegerNetwork.from_onnx(tmp_path / "text.onnx")
    with pytest.raises(AmrqError, match="amrq model annotate"):
        IntegerNetwork.from_onnx(linear_onnx(tmp_path / "bare.onnx"))
    with pytest.raises(AmrqError, match=r"floating point.*weight_bits"):
        IntegerNetwork.from_onnx(linear_model(tmp_path / "float.onnx"))


def refused(tmp_path: Path, spec: Spec, match: str) -> None:
    path = quantised_onnx(tmp_path / "refused.onnx", spec)
    with pytest.raises(AmrqError, match=match) as caught:
        IntegerNetwork.from_onnx(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_refused_networks(tmp_path: Path) -> None:
    spec = random_spec(rng("refused"))
    refused(tmp_path, replace(spec, scale_factor=1.1), "not a power of two.*amrq train")
    refused(tmp_path, replace(spec, length=24), "power of two")
    big = replace(spec.symbol[1], biases=np.full(16, 2**31 - 1))
    refused(tmp_path, replace(spec, symbol=[spec.symbol[0], big]), "symbol_1.*2\\^31")
    refused(
        tmp_path,
        random_flat_spec(rng("refused"), FlatShape(length=9)),
        "max pool of 9 symbols leaves one over",
    )


@pytest.mark.parametrize(
    ("before", "after", "match"),
    [
        ("Relu", "Sigmoid", "Sigmoid"),
        ("ReduceMean", "ReduceMax", "ReduceMax"),
        ("Abs", "GridSample", "cannot be"),
    ],
)
def test_refused_operators(tmp_path: Path, before: str, after: str, match: str) -> None:
    path = quantised_onnx(tmp_path / "m.onnx", random_spec(rng("operators")))
    model = onnx.load(str(path))
    for node in model.graph.node:
        if node.op_type == before:
            node.op_type = after
    onnx.save(model, str(path))
    with pytest.raises(AmrqError, match=match):
        IntegerNetwork.from_onnx(path)


def test_a_contract_of_another_network_is_refused(tmp_path: Path) -> None:
    spec = random_spec(rng("other"))
    model = onnx.load(str(quantised_onnx(tmp_path / "m.onnx", spec)))
    others = [
        (replace(spec, length=16), "takes inputs of shape.*16"),
        (random_spec(rng("other"), level=True), "takes inputs of shape"),
        (replace(spec, head=spec.head[:1]), "do not belong together"),
    ]
    for other, match in others:
        texts = onnx.load(str(quantised_onnx(tmp_path / "other.onnx", other))).metadata_props
        onnx.helper.set_model_props(model, {entry.key: entry.value for entry in texts})
        onnx.save(model, str(tmp_path / "m.onnx"))
        with pytest.raises(AmrqError, match=match):
            IntegerNetwork.from_onnx(tmp_path / "m.onnx")


def test_chunks_of_another_length_are_refused(tmp_path: Path) -> None:
    network = IntegerNetwork.from_onnx(quantised_onnx(tmp_path / "m.onnx", random_spec(rng("shape"))))
    for shape in ((3, 31), (32,), (2, 2, 32)):
        with pytest.raises(AmrqError, match="32 samples"):
            network.scores(np.zeros(shape, np.complex64))
