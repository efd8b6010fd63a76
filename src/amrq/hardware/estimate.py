# SPDX-License-Identifier: GPL-3.0-or-later
"""Algorithm II of the thesis: an estimate of resources from the sizes of a network's layers."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from amrq.errors import AmrqError, ModelError
from amrq.files import parsing
from amrq.model import METADATA_KEY, Contract, constants_of, load_onnx
from amrq.text import printable

__all__ = ["LayerSize", "ResourceEstimate", "count_weights", "estimate", "read_layer_sizes", "weights_of"]


@dataclass(frozen=True)
class LayerSize:
    """The size of one layer.

    Attributes:
        name: for tables.
        kind: `convolution`, `dense` (fully connected) or `max pool`.
        weights: weights that are not zero (N_w); 0 for a max pool.
        biases: biases that are not zero (N_b); 0 for a max pool.
        bits: width of a weight (B).
        multiplications: of weights that are not zero, a chunk; 0 where it is not known.
    """

    name: str
    kind: Literal["convolution", "dense", "max pool"]
    weights: int
    biases: int
    bits: int
    multiplications: int = 0


def count_weights(layers: Iterable[LayerSize]) -> tuple[int, int]:
    """Return how many weights and how many biases of all layers are not zero.

    >>> from amrq.model import find_model
    >>> count_weights(read_layer_sizes(find_model("coherent-small-int4")))
    (1735, 135)
    """
    sizes = list(layers)
    return sum(size.weights for size in sizes), sum(size.biases for size in sizes)


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
    """Return the length after a convolution or a max pool, 0 where it is not of one dimension."""
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
        ModelError: the file is missing or no ONNX model, or it has weights in other operators.
    """
    path = Path(path)
    model = load_onnx(path)
    with parsing(path, kind=ModelError):
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
            raise ModelError(
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
    """Return the bias of an Add that follows a MatMul."""
    for node in graph.nodes:
        if node.op_type == "Add" and name in node.input:
            other = next((i for i in node.input if i != name), name)
            bias = graph.constant(other)
            if bias is not None and bias.size == width:
                return bias
    return None


_WORD_BITS = 32
_WORDS_A_BLOCK = 32_000
_POOL_LUT = 100


@dataclass(frozen=True)
class ResourceEstimate:
    """FPGA resources of a network or of a layer.

    Attributes:
        dsp: DSP slices.
        ff: flip-flops.
        lut: look-up tables.
        bram: block RAMs.
    """

    dsp: int
    ff: int
    lut: int
    bram: int


def _of_layer(layer: LayerSize) -> ResourceEstimate:
    if layer.weights < 0 or layer.biases < 0 or not 1 <= layer.bits <= 64:
        raise ModelError(f"layer {layer.name} cannot be counted: {layer}.")
    if layer.kind == "max pool":
        return ResourceEstimate(0, 0, _POOL_LUT * layer.bits // _WORD_BITS, 0)
    weights = layer.weights * layer.bits // _WORD_BITS
    biases = layer.biases * layer.bits // _WORD_BITS
    return ResourceEstimate(
        dsp=2 * weights,
        ff=2 * weights + biases,
        lut=4 * weights if layer.kind == "convolution" else weights,
        bram=weights // _WORDS_A_BLOCK,
    )


def estimate(layers: Iterable[LayerSize]) -> ResourceEstimate:
    """Return the resources of a network by Algorithm II (Rothe 2024).

    With c_w = floor(N_w B / 32) and c_b = floor(N_b B / 32) of each layer: DSP = sum 2 c_w, FF = sum (2 c_w + c_b),
    LUT = sum 4 c_w over convolutions + sum c_w over dense layers + floor(100 B / 32) for each max pool,
    BRAM = sum floor(c_w / 32000).

    It does not forecast a synthesis: it grows with the number of weights alone, as if each had hardware of its own, and
    says 133,472 DSP slices for the thesis's smallest 8-bit network, where a Zynq XC7Z020 has 220. It serves to compare
    with the thesis's tables.

    Args:
        layers: of the network, in any order.

    Raises:
        ModelError: a layer has a negative count or no sensible width.

    >>> from amrq.model import find_model
    >>> found = estimate(read_layer_sizes(find_model("coherent-small-int4")))
    >>> found.dsp, found.bram
    (432, 0)
    """
    parts = [_of_layer(layer) for layer in layers]
    return ResourceEstimate(
        dsp=sum(part.dsp for part in parts),
        ff=sum(part.ff for part in parts),
        lut=sum(part.lut for part in parts),
        bram=sum(part.bram for part in parts),
    )
