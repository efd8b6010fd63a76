# SPDX-License-Identifier: GPL-3.0-or-later
"""Algorithm II against the thesis's tables, and the counts that it starts from."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from seeds import SEED, rng
from small_models import linear_model
from thesis import RECIPE, network, published
from torch import nn

from amrq.errors import AmrqError
from amrq.hardware import LayerSize, ResourceEstimate, estimate, read_layer_sizes
from amrq.training import QuantisedLayer, count_layers, export, quantise, remove_channels

UNPRUNED = [row for row in published() if row["prune_percent"] == "0"]
LOWER_IN_PRINT = {
    "vgglike_5f_4c_4re_4mp": (38, 40),
    "vgglike_5f_5c_4re_4mp_8bit": (14, 16),
    "vgglike_5f_5c_4re_4mp_6bit": (9, 11),
    "vgglike_5f_5c_4re_4mp_4bit": (6, 7),
}
"""Rows whose block RAMs are printed lower than the algorithm gives: as printed, and as it gives."""


def all_weights_count(net: nn.Module) -> nn.Module:
    """Give the network weights and biases of which none is zero, rounded or not."""
    for layer in net.modules():
        if isinstance(layer, QuantisedLayer):
            nn.init.constant_(layer.weight, 0.5)
            nn.init.constant_(layer.bias, 0.5)
    return net


def test_the_tables_hold_what_is_tested() -> None:
    assert len(published()) == 81 and len(UNPRUNED) == 27


@pytest.mark.parametrize("row", UNPRUNED, ids=lambda row: row["model"])
def test_unpruned_rows_to_the_digit(row: dict[str, str]) -> None:
    bits = int(row["bits"])
    net = all_weights_count(network(row["model"].removesuffix(f"_{bits}bit")))
    found = estimate(count_layers(net, bits))
    assert (found.dsp, found.ff, found.lut) == tuple(int(row[key]) for key in ("dsp", "ff", "lut"))
    printed, given = LOWER_IN_PRINT.get(row["model"], (int(row["bram"]), int(row["bram"])))
    assert (int(row["bram"]), found.bram) == (printed, given)


@pytest.mark.parametrize("bits", [32, 8, 4])
@pytest.mark.parametrize("pruned", [0.0, 0.3])
def test_onnx_and_torch_count_alike(bits: int, pruned: float, tmp_path: Path) -> None:
    torch.manual_seed(SEED)
    net = remove_channels(network("vgglike_2f_2c_2re_2mp"), pruned).eval()
    if bits < 32:
        quantise(net, bits, [(torch.randn(64, 2, 32),)])
    export(net, tmp_path / "net.onnx", 32, ())
    found = read_layer_sizes(tmp_path / "net.onnx", bits)
    counted = count_layers(net)
    # The modules of a kind stand together, the nodes in the order of their running.
    assert sorted((s.kind, s.weights, s.biases, s.bits) for s in found) == sorted(
        (s.kind, s.weights, s.biases, s.bits) for s in counted
    )
    assert estimate(found) == estimate(counted)
    assert [s.kind for s in found] == ["convolution", "max pool", "convolution", "max pool", "dense", "dense"]
    assert (
        found[0].multiplications == 32 * found[0].weights and found[-1].multiplications == found[-1].weights
    )


def test_removed_channels_are_not_there_to_count() -> None:
    whole, part = (
        sum(s.weights for s in count_layers(remove_channels(network("vgglike_3f_3c_2re_3mp"), share)))
        for share in (0.0, 0.3)
    )
    # 30 % of the outputs and 30 % of the inputs of nearly every layer: about half of the weights.
    assert 0.45 < part / whole < 0.51


def test_what_rounds_to_zero_does_not_count() -> None:
    net = all_weights_count(network("vgglike_2f_1c_1re_1mp")).eval()
    with torch.no_grad():
        net.dense[0].weight[0, :100] = 1e-4
    quantise(net, 8, [(torch.randn(8, 2, 32),)])
    by_name = {size.name: size.weights for size in count_layers(net)}
    assert by_name["dense.0"] == 512 * 512 - 100


def node_model(path: Path, nodes: list[Any], constants: dict[str, np.ndarray], width: int = 4) -> Path:
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", width])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), str(path))
    return path


def test_a_foreign_model_with_a_product_and_a_sum(tmp_path: Path) -> None:
    weights = rng("foreign").standard_normal((4, 3)).astype(np.float32)
    weights[0, 0] = 0
    nodes = [helper.make_node("MatMul", ["x", "w"], ["xw"]), helper.make_node("Add", ["b", "xw"], ["y"])]
    path = node_model(tmp_path / "a.onnx", nodes, {"w": weights, "b": np.array([0, 1, 2], np.float32)})
    assert read_layer_sizes(path) == (LayerSize("dense_0", "dense", 11, 2, 32, 11),)
    assert read_layer_sizes(path, 8)[0].bits == 8


def test_stored_zero_points_count_as_zeros(tmp_path: Path) -> None:
    stored = np.array([[3, 4, 3, 3]], np.int8).repeat(4, axis=0)
    nodes = [
        helper.make_node("DequantizeLinear", ["w", "s", "z"], ["wf"], axis=0),
        helper.make_node("MatMul", ["x", "wf"], ["y"]),
    ]
    constants = {"w": stored, "s": np.float32(0.1), "z": np.int8(3)}
    (size,) = read_layer_sizes(node_model(tmp_path / "a.onnx", nodes, constants))
    assert (size.weights, size.bits) == (4, 8)


def test_the_contract_says_how_wide_weights_are(tmp_path: Path) -> None:
    (size,) = read_layer_sizes(linear_model(tmp_path / "a.onnx", weight_bits=6))
    assert (size.kind, size.weights, size.bits) == ("dense", 3, 6)


def test_what_cannot_be_counted_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AmrqError, match="there is no model file"):
        read_layer_sizes(tmp_path / "none.onnx")
    (tmp_path / "text.onnx").write_text("no model")
    with pytest.raises(AmrqError, match="cannot be loaded as an ONNX model"):
        read_layer_sizes(tmp_path / "text.onnx")
    nodes = [helper.make_node("MatMulInteger", ["a", "b"], ["i"]), helper.make_node("Identity", ["x"], ["y"])]
    constants = {"a": np.ones((2, 2), np.int8), "b": np.ones((2, 2), np.int8)}
    with pytest.raises(AmrqError, match="MatMulInteger"):
        read_layer_sizes(node_model(tmp_path / "i.onnx", nodes, constants))
    with pytest.raises(AmrqError, match="1 to 32 bits"):
        read_layer_sizes(linear_model(tmp_path / "a.onnx"), 33)


def test_laws_of_the_estimate() -> None:
    layer = LayerSize("a", "convolution", 10_000, 100, 8)
    assert estimate([]) == ResourceEstimate(0, 0, 0, 0)
    assert estimate([layer, layer]).dsp == 2 * estimate([layer]).dsp
    assert estimate([replace(layer, bits=4)]).dsp * 2 == estimate([layer]).dsp
    assert estimate([replace(layer, kind="dense")]).lut * 4 == estimate([layer]).lut
    assert estimate([LayerSize("p", "max pool", 0, 0, 6)]) == ResourceEstimate(0, 0, 18, 0)
    with pytest.raises(AmrqError, match="cannot be counted"):
        estimate([replace(layer, weights=-1)])


def test_the_recipe_has_the_networks_of_the_tables() -> None:
    names = {row["model"] for row in UNPRUNED if row["bits"] == "32"}
    assert {a.name for a in RECIPE.architectures} == names
