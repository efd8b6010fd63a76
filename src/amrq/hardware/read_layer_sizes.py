# SPDX-License-Identifier: GPL-3.0-or-later
"""The sizes of an ONNX file's layers."""

import os
from collections.abc import Mapping
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
from amrq.parsing import parsing
from amrq.plain_text import printable

__all__ = ["read_layer_sizes", "weights_of"]

_FLOAT_BITS = 32
_ROUNDING = ("DequantizeLinear", "QuantizeLinear", "Identity", "Transpose")
_WITH_WEIGHTS_ELSEWHERE = (
    *("LSTM", "GRU", "RNN", "ConvTranspose", "QLinearConv", "QLinearMatMul", "MatMulInteger", "ConvInteger"),
    *("QGemm", "QAttention", "Attention", "MatMulNBits", "Einsum"),
)


_SAME_LENGTH = (
    *(
        "Abs",
        "Add",
        "Cast",
        "Clip",
        "Concat",
        "DequantizeLinear",
        "Div",
        "Dropout",
        "Gather",
        "Identity",
        "LeakyRelu",
    ),
    *(
        "Less",
        "Max",
        "Min",
        "Mul",
        "Neg",
        "QuantizeLinear",
        "Reciprocal",
        "Relu",
        "Round",
        "Sigmoid",
        "Slice",
        "Split",
    ),
    *("Sqrt", "Sub", "Tanh", "Where", "BatchNormalization", "PRelu", "Elu"),
)
"""Operators whose outputs are as long as their longest inputs."""


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


def _lengths(graph: _Graph, model: Any) -> dict[str, int]:
    """Return the lengths of tensors' last axes, where they follow from that of the input.

    Only through operators that are met between layers: onnx.shape_inference knows all of them, but some files make it
    end the process.
    """
    found: dict[str, int] = {}
    for given in model.graph.input:
        dims = given.type.tensor_type.shape.dim
        if len(dims) == 3 and dims[2].dim_value > 0:
            found[given.name] = int(dims[2].dim_value)
    for node in graph.nodes:
        attributes = {a.name: a for a in node.attribute}
        lengths = {found[name] for name in node.input if name in found}
        if len(lengths) != 1:
            continue
        length = lengths.pop()
        if node.op_type in ("Conv", "MaxPool") and node.input[0] in found:
            length = _after_window(length, node, attributes, graph)
        elif node.op_type not in _SAME_LENGTH or not _along_rows(node, attributes, graph):
            continue
        if length > 0:
            found |= dict.fromkeys(node.output, length)
    return found


def _after_window(length: int, node: Any, attributes: Mapping[str, Any], graph: _Graph) -> int:
    """Return the length behind a convolution or a max pool, 0 where it is not of one dimension."""
    weights = graph.constant(node.input[1]) if node.op_type == "Conv" else None
    kernel = list(attributes["kernel_shape"].ints) if "kernel_shape" in attributes else []
    kernel = kernel or ([weights.shape[2]] if weights is not None and weights.ndim == 3 else [])
    step = list(attributes["strides"].ints) if "strides" in attributes else [1]
    apart = list(attributes["dilations"].ints) if "dilations" in attributes else [1]
    pads = list(attributes["pads"].ints) if "pads" in attributes else [0, 0]
    if [len(kernel), len(step), len(apart), len(pads)] != [1, 1, 1, 2] or step[0] < 1:
        return 0
    if "auto_pad" in attributes and attributes["auto_pad"].s.startswith(b"SAME"):
        return -(-length // step[0])
    upwards = step[0] - 1 if "ceil_mode" in attributes and attributes["ceil_mode"].i else 0
    return int((length + sum(pads) - apart[0] * (kernel[0] - 1) - 1 + upwards) // step[0]) + 1


def _along_rows(node: Any, attributes: Mapping[str, Any], graph: _Graph) -> bool:
    """Return whether an operator that takes rows out or puts them together leaves the last axis alone."""
    if node.op_type == "Slice":
        axes = graph.constant(node.input[3]) if len(node.input) > 3 else None
        return axes is not None and list(axes.ravel()) == [1]
    if node.op_type in ("Concat", "Gather", "Split"):
        return "axis" in attributes and attributes["axis"].i in (1, -2)
    return True


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
    path = Path(path)
    model = load_onnx(path)
    with parsing(path):
        return _sizes(model, printable(path), bits)


def _sizes(model: Any, path: str, bits: int | None) -> tuple[LayerSize, ...]:
    if bits is None:
        bits = _contract_bits(model)
    elif not 1 <= bits <= _FLOAT_BITS:
        raise AmrqError(f"a weight can have 1 to {_FLOAT_BITS} bits, not {bits}.")
    graph = _Graph(model)
    lengths = _lengths(graph, model)
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
        places = lengths.get(node.output[0], 0) if kind == "convolution" else 1
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
