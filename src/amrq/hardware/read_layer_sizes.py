# SPDX-License-Identifier: GPL-3.0-or-later
"""The sizes of an ONNX file's layers."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amrq.errors import AmrqError
from amrq.hardware.layer_size import LayerSize, count_weights
from amrq.model import Contract
from amrq.model.contract_file import METADATA_KEY
from amrq.model.onnx_scan import constants_of, load_onnx
from amrq.optional_package import optional_package
from amrq.parsing import parsing
from amrq.plain_text import printable

__all__ = ["read_layer_sizes", "weights_of"]

_FLOAT_BITS = 32
_ROUNDING = ("DequantizeLinear", "QuantizeLinear", "Identity", "Transpose")
_WITH_WEIGHTS_ELSEWHERE = (
    *("LSTM", "GRU", "RNN", "ConvTranspose", "QLinearConv", "QLinearMatMul", "MatMulInteger", "ConvInteger"),
    *("QGemm", "QAttention", "Attention", "MatMulNBits", "Einsum"),
)


class _Graph:
    """Constants of a graph, seen through the nodes that round them."""

    def __init__(self, model: Any) -> None:
        self.nodes = list(model.graph.node)
        self.makers = {output: node for node in self.nodes for output in node.output}
        self.constants = constants_of(model)

    def constant(self, name: str) -> NDArray[Any] | None:
        """Return an array of a stored constant's shape and type that is zero where it stands for zero.

        None where the tensor is computed from the input.
        """
        if name in self.constants:
            return self.constants[name]
        node = self.makers.get(name)
        if node is None or node.op_type not in _ROUNDING:
            return None
        stored = self.constant(node.input[0])
        if (
            stored is not None
            and node.op_type == "DequantizeLinear"
            and len(node.input) > 2
            and node.input[2]
        ):
            zero = self.constants.get(node.input[2])
            if zero is not None and np.any(zero):
                axis = next((a.i for a in node.attribute if a.name == "axis"), 1)
                shape = [1] * stored.ndim
                if zero.size > 1:
                    shape[axis] = -1
                return np.asarray((stored != zero.reshape(shape)).astype(stored.dtype))
        return stored


def _positions(shapes: dict[str, list[int]], output: str) -> int:
    """Return at how many places a convolution's filters are applied, 0 where the file does not say."""
    shape = shapes.get(output)
    if shape is None or len(shape) < 3 or any(length <= 0 for length in shape[2:]):
        return 0
    return int(np.prod(shape[2:]))


def _shapes(model: Any, onnx: Any) -> dict[str, list[int]]:
    try:
        inferred = onnx.shape_inference.infer_shapes(model)
    except Exception:  # a graph whose shapes cannot be inferred only lacks its multiplications
        return {}
    infos = [*inferred.graph.value_info, *inferred.graph.output, *inferred.graph.input]
    return {i.name: [d.dim_value for d in i.type.tensor_type.shape.dim] for i in infos}


def read_layer_sizes(path: str | os.PathLike[str], bits: int | None = None) -> tuple[LayerSize, ...]:
    """Count the weights of each layer of an ONNX file, with or without a contract.

    Convolutions (Conv), dense layers (Gemm, MatMul with a bias that follows as Add) and max pools (MaxPool), in the
    order of the graph. Weights that are stored as integers between QuantizeLinear and DequantizeLinear count where they
    are not zero.

    Args:
        path: the file.
        bits: width of a weight; by default that of the contract, and without one 32 for weights in floating point and
            that of their type for integers.

    Raises:
        AmrqError: the file is missing or no ONNX model, or it has weights in other operators.
    """
    onnx = optional_package("onnx", "counting a model's weights")
    path = Path(path)
    model = load_onnx(path)
    with parsing(path):
        return _sizes(model, onnx, printable(path), bits)


def _sizes(model: Any, onnx: Any, path: str, bits: int | None) -> tuple[LayerSize, ...]:
    if bits is None:
        bits = _contract_bits(model)
    elif not 1 <= bits <= _FLOAT_BITS:
        raise AmrqError(f"a weight can have 1 to {_FLOAT_BITS} bits, not {bits}.")
    graph = _Graph(model)
    shapes = _shapes(model, onnx)
    layers: list[LayerSize] = []
    for node in graph.nodes:
        if node.op_type in _WITH_WEIGHTS_ELSEWHERE:
            raise AmrqError(
                f"{path} has an operator {node.op_type} ({node.output[0]}), whose weights Algorithm II does not count: "
                "it knows Conv, Gemm, MatMul and MaxPool."
            )
        if node.op_type == "MaxPool":
            layers.append(LayerSize(f"pool_{len(layers)}", "max pool", 0, 0, 0))
        if node.op_type not in ("Conv", "Gemm", "MatMul"):
            continue
        weights = graph.constant(node.input[1])
        if weights is None:
            continue  # a product of two signals, with no weights in it
        bias = graph.constant(node.input[2]) if len(node.input) > 2 and node.input[2] else None
        if bias is None and node.op_type == "MatMul":
            bias = _added(graph, node.output[0], weights.shape[-1])
        count = int(np.count_nonzero(weights))
        kind = "convolution" if node.op_type == "Conv" else "dense"
        places = _positions(shapes, node.output[0]) if kind == "convolution" else 1
        own = weights.dtype.itemsize * 8 if weights.dtype.kind in "iu" else _FLOAT_BITS
        layers.append(
            LayerSize(
                f"{'conv' if kind == 'convolution' else 'dense'}_{len(layers)}",
                "convolution" if kind == "convolution" else "dense",
                count,
                0 if bias is None else int(np.count_nonzero(bias)),
                bits or own,
                count * places,
            )
        )
    # A pool has no weights of its own: it counts with the widest of the others.
    widest = bits or max((layer.bits for layer in layers), default=_FLOAT_BITS)
    return tuple(replace(layer, bits=widest) if layer.kind == "max pool" else layer for layer in layers)


def weights_of(path: str | os.PathLike[str]) -> tuple[int, int] | None:
    """Return how many weights and how many biases of an ONNX file are not zero, as `amrq estimate` counts them.

    None where they cannot be counted: the file has other operators, or the package onnx is not installed.
    """
    try:
        return count_weights(read_layer_sizes(path))
    except AmrqError:
        return None


def _contract_bits(model: Any) -> int | None:
    for entry in model.metadata_props:
        if entry.key == METADATA_KEY:
            return Contract.from_json(entry.value).weight_bits
    return None


def _added(graph: _Graph, name: str, width: int) -> NDArray[Any] | None:
    """Return the bias that an Add right behind a MatMul brings."""
    for node in graph.nodes:
        if node.op_type == "Add" and name in node.input:
            other = next((i for i in node.input if i != name), name)
            bias = graph.constant(other)
            if bias is not None and bias.size == width:
                return bias
    return None
