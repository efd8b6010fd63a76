# SPDX-License-Identifier: GPL-3.0-or-later
"""A quantised network's layers, read from its ONNX graph."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from amrq.chunks import LEVEL_FEATURES
from amrq.errors import AmrqError, ModelError
from amrq.files import parsing
from amrq.hardware.layers import FixedPoint, IntegerFlattening, IntegerLayer, IntegerMean
from amrq.machine import optional_package
from amrq.model import METADATA_KEY, Contract, constants_of, load_onnx
from amrq.text import printable

__all__ = ["NetworkLayers", "OnnxGraph", "read_layers"]


class OnnxGraph:
    """The nodes of an ONNX file by what they make.

    Args:
        path: the file.

    Attributes:
        path: the file.
        model: what it holds (onnx.ModelProto).
        inputs: names of the inputs.
        outputs: names of the outputs.

    Raises:
        ModelError: the file is missing or no ONNX model.
    """

    def __init__(self, path: Path) -> None:
        onnx = optional_package("onnx", "reading a model's integers")
        self.path = path
        self._helper = onnx.helper
        self.model = load_onnx(path)
        with parsing(path, kind=ModelError):
            onnx.checker.check_model(self.model)  # among others that no name is made of itself
            graph = self.model.graph
            self.inputs = [i.name for i in graph.input]
            self.outputs = [o.name for o in graph.output]
            self._makers = {output: node for node in graph.node for output in node.output}
            self._constants = constants_of(self.model)
            if not self.outputs:
                raise ModelError(f"{printable(path)} gives nothing.")

    @property
    def names(self) -> set[str]:
        """Names of all tensors."""
        return {*self.inputs, *self._makers, *self._constants}

    def metadata(self, key: str) -> str:
        """Return an entry of the file's metadata, empty where there is none."""
        return next((entry.value for entry in self.model.metadata_props if entry.key == key), "")

    def refusal(self, what: str) -> AmrqError:
        """Return the error that names this file and `what` hardware cannot do with it."""
        return ModelError(f"{printable(self.path)} cannot run on hardware: {printable(what)}.")

    def contract(self) -> Contract:
        """Return the contract in the file's metadata, held against the graph's inputs.

        Raises:
            ModelError: there is no contract, it is not valid, or the graph has other inputs.
        """
        texts = [entry.value for entry in self.model.metadata_props if entry.key == METADATA_KEY]
        if not texts:
            raise ModelError(
                f"{self.path} has no gr-amrq contract, so its classes and input are not known: "
                "add one with 'amrq model annotate'."
            )
        try:
            contract = Contract.from_json(texts[0])
        except AmrqError as error:
            raise ModelError(f"{printable(self.path)}: {error}") from None
        found = [[d.dim_value for d in i.type.tensor_type.shape.dim][1:] for i in self.model.graph.input]
        wanted = [[2, contract.chunk_length], *([[LEVEL_FEATURES]] if contract.level_input else [])]
        if found != wanted:
            raise ModelError(
                f"{self.path} takes inputs of shape {found} a chunk, but its contract says {wanted}."
            )
        return contract

    def origin(self, name: str) -> str:
        """Return the tensor that `name` is another name of."""
        while (node := self._makers.get(name)) is not None and node.op_type == "Identity":
            name = node.input[0]
        return name

    def maker(self, name: str) -> Any:
        """Return the node (onnx.NodeProto) that makes a tensor, None for an input or a constant tensor of the file."""
        return self._makers.get(self.origin(name))

    def made_by(self, name: str, *operators: str) -> Any:
        """Return the node that makes a tensor, which must be one of some operators.

        Raises:
            ModelError: it is another one, or there is none.
        """
        node = self.maker(name)
        if node is None or node.op_type not in operators:
            found = "an input or constant" if node is None else f"an operator {node.op_type}"
            raise self.refusal(f"it has {found} ({name}) where {' or '.join(operators)} can stand")
        return node

    def constant(self, name: str) -> NDArray[Any]:
        """Return a constant tensor.

        Raises:
            ModelError: it is computed.
        """
        value = self._constants.get(self.origin(name))
        if value is None:
            raise self.refusal(f"{name} is computed as it runs and must be a constant")
        return value

    def attribute(self, node: Any, name: str, default: Any) -> Any:
        """Return the value of a node's attribute."""
        for attribute in node.attribute:
            if attribute.name == name:
                return self._helper.get_attribute_value(attribute)
        return default

    def require(self, node: Any, **values: int | float | Sequence[int]) -> None:
        """Refuse a node whose attributes, where given, are not these.

        Raises:
            ModelError: one is not.
        """
        for name, value in values.items():
            found = self.attribute(node, name, value)
            if not np.array_equal(found, value):
                raise self.refusal(
                    f"{name} of {node.op_type} ({node.output[0]}) must be {value}, not {found}"
                )

    def behind(self, operator: str) -> set[str]:
        """Return the names of all tensors that some node of this operator has a part in."""
        names: set[str] = set()
        for node in self.model.graph.node:
            if node.op_type == operator or names & set(node.input):
                names |= set(node.output)
        return names


class NetworkLayers(NamedTuple):
    """What a graph is made of.

    Attributes:
        symbol_layers: convolutions, in order.
        between: the mean over the symbols, or all of them as one vector.
        head_layers: fully connected layers, in order.
        symbols: name of the float tensor [N, C, L] that the first convolution rounds.
        side: names of the float tensors that join what `between` gives, in order.
    """

    symbol_layers: tuple[IntegerLayer, ...]
    between: IntegerMean | IntegerFlattening
    head_layers: tuple[IntegerLayer, ...]
    symbols: str
    side: tuple[str, ...]


class _Weights(NamedTuple):
    """A layer as it stands in the graph.

    `source` is the tensor that its quantiser rounds, seen through max pools and earlier roundings to the same steps,
    which change nothing; `pool` is what they leave: 1 symbol in so many.
    """

    weights: NDArray[np.int8]
    biases: NDArray[np.int32]
    weight_exponents: NDArray[np.int64]
    input: FixedPoint
    source: str
    pool: int


def _exponents(graph: OnnxGraph, name: str) -> NDArray[np.int64]:
    scale = np.atleast_1d(graph.constant(name))
    mantissa, exponent = np.frexp(scale)
    if not (np.isfinite(scale).all() and (mantissa == 0.5).all()):
        worst = scale[~((mantissa == 0.5) & np.isfinite(scale))][0]
        raise graph.refusal(
            f"its scale {worst:.6g} ({name}) is not a power of two, so that rescaling is not a shift: train the model "
            "anew with 'amrq train', which makes every scale a power of two"
        )
    return exponent.astype(np.int64) - 1


def _zero_point(graph: OnnxGraph, node: Any) -> NDArray[Any]:
    return graph.constant(node.input[2]) if len(node.input) > 2 and node.input[2] else np.zeros(1, np.uint8)


def _rounding(graph: OnnxGraph, name: str) -> tuple[FixedPoint, str]:
    """Return what a dequantised tensor holds, and which tensor was rounded to it."""
    back = graph.made_by(name, "DequantizeLinear")
    there = graph.made_by(back.input[0], "QuantizeLinear")
    exponents, zero = _exponents(graph, there.input[1]), _zero_point(graph, there)
    if exponents.size != 1 or zero.size != 1:
        raise graph.refusal(f"the activation {name} has a scale for each channel and must have one in all")
    if not (
        np.array_equal(_exponents(graph, back.input[1]), exponents)
        and np.array_equal(_zero_point(graph, back).ravel(), zero.ravel())
    ):
        raise graph.refusal(f"the activation {name} is rounded with one scale and read with another")
    lowest = (
        int(np.iinfo(zero.dtype).min) - int(zero.ravel()[0]) if zero.dtype in (np.int8, np.uint8) else None
    )
    if lowest not in (0, -128):
        raise graph.refusal(
            f"the activation {name} ({zero.dtype} with zero point {zero.ravel()[0]}) must be of 8 bits, signed with "
            "zero in the middle or unsigned from zero up"
        )
    return FixedPoint(int(exponents[0]), signed=lowest == -128), there.input[0]


def _source(graph: OnnxGraph, name: str, fixed_point: FixedPoint) -> tuple[str, int]:
    """Go back from a tensor that is rounded to `fixed_point` to the one that is first rounded so.

    What lies between are further roundings of the same kind, and max pools: rounding keeps the order of numbers, so
    that it does not matter which comes first.

    Returns:
        the tensor, and 1 symbol in how many is left of it.
    """
    pool = 1
    while (node := graph.maker(name)) is not None:
        if node.op_type == "DequantizeLinear":
            found, source = _rounding(graph, name)
            if found != fixed_point:
                raise graph.refusal(f"{name} is rounded twice, with two different scales or zero points")
        elif node.op_type == "MaxPool":
            window = [graph.attribute(node, key, [1]) for key in ("kernel_shape", "strides")]
            if [list(v) for v in window] != [[2], [2]] or len(node.output) != 1:
                raise graph.refusal(f"MaxPool ({node.output[0]}) must take 2 symbols and go on by 2")
            graph.require(node, pads=[0, 0], dilations=[1], ceil_mode=0, auto_pad=b"NOTSET")
            source, pool = node.input[0], 2 * pool
        else:
            break
        name = source
    return graph.origin(name), pool


def _weights(graph: OnnxGraph, node: Any) -> _Weights:
    """Read a Conv or Gemm and the quantisers before it."""
    if len(node.input) < 3 or not node.input[2]:
        raise graph.refusal(f"{node.op_type} ({node.output[0]}) has no bias")
    fixed_point, source = _rounding(graph, node.input[0])
    source, pool = _source(graph, source, fixed_point)
    read = [graph.made_by(name, "DequantizeLinear") for name in node.input[1:3]]
    (weights, w_exp), (biases, b_exp) = (
        (graph.constant(n.input[0]), _exponents(graph, n.input[1])) for n in read
    )
    if any(len(n.input) > 2 and graph.constant(n.input[2]).any() for n in read):
        raise graph.refusal(f"weights and biases of {node.output[0]} must have zero point 0")
    if weights.dtype != np.int8 or biases.dtype != np.int32:
        raise graph.refusal(
            f"weights and biases of {node.output[0]} must be int8 and int32, not {weights.dtype} and {biases.dtype}"
        )
    if node.op_type == "Gemm":
        graph.require(node, alpha=1.0, beta=1.0, transA=0)
        # Weights of one scale for all outputs may lie either way; those of one for each lie along their axis.
        turned = graph.attribute(node, "transB", 0) == 0
        weights = (weights.T if turned else weights)[:, :, None]
        axis = 1 if turned else 0
    else:
        kernel, axis = weights.shape[2] if weights.ndim == 3 else 0, 0
        if kernel % 2 == 0:
            raise graph.refusal(f"Conv ({node.output[0]}) must be of one dimension and an odd kernel")
        # Left out, they are none.
        pads = graph.attribute(node, "pads", [0, 0])
        if list(pads) != [kernel // 2] * 2:
            raise graph.refusal(
                f"Conv ({node.output[0]}) must keep the number of symbols, but its pads are {list(pads)}"
            )
        graph.require(node, group=1, strides=[1], dilations=[1], auto_pad=b"NOTSET")
    outputs = len(weights)
    if w_exp.size not in (1, outputs) or (w_exp.size > 1 and graph.attribute(read[0], "axis", 1) != axis):
        raise graph.refusal(
            f"weights of {node.output[0]} must have one scale, or one for each output channel"
        )
    exponents = np.broadcast_to(w_exp, outputs).copy()
    if b_exp.size not in (1, outputs) or not (exponents + fixed_point.exponent == b_exp).all():
        raise graph.refusal(
            f"biases of {node.output[0]} must have the scale of the inputs times that of the weights"
        )
    return _Weights(np.ascontiguousarray(weights), biases, exponents, fixed_point, source, pool)


def _chain(graph: OnnxGraph, name: str, operator: str, floats: set[str]) -> tuple[list[_Weights], list[bool]]:
    """Read layers of one operator backwards from what the last one makes.

    Args:
        graph: the graph.
        name: what the last one makes.
        operator: Conv or Gemm.
        floats: tensors at which to stop, since nothing before them is rounded.

    Returns:
        the layers, first one first, and for each whether a ReLU follows it; that of the last is not looked for.
    """
    layers, relus = [_weights(graph, graph.made_by(name, operator))], [False]
    while (source := layers[0].source) not in floats:
        node = graph.maker(source)
        relu = node.op_type == "Relu"
        node = graph.made_by(node.input[0], "Conv", "Gemm") if relu else node
        if node.op_type != operator:
            break
        layers.insert(0, _weights(graph, node))
        relus.insert(0, relu)
    return layers, relus


def _layers(
    stem: str, read: Sequence[_Weights], relus: Sequence[bool], last: FixedPoint | None, last_pool: int = 1
) -> tuple[IntegerLayer, ...]:
    outputs = [*(after.input for after in read[1:]), last]
    pools = [*(after.pool for after in read[1:]), last_pool]
    return tuple(
        IntegerLayer(
            f"{stem}_{number}",
            one.weights,
            one.biases,
            one.weight_exponents,
            one.input,
            output,
            relu,
            stem == "symbol",
            pool,
        )
        for number, (one, output, relu, pool) in enumerate(zip(read, outputs, relus, pools, strict=True))
    )


def _axes(graph: OnnxGraph, node: Any) -> list[int]:
    # An attribute up to opset 17, an input from 18 on.
    if len(node.input) > 1 and node.input[1]:
        return [int(axis) for axis in graph.constant(node.input[1])]
    return list(graph.attribute(node, "axes", []))


def _parts(graph: OnnxGraph, name: str, floats: set[str]) -> list[str]:
    """Return the tensors that are concatenated to `name`, themselves concatenated or not."""
    node = graph.maker(name)
    if graph.origin(name) in floats or node is None or node.op_type != "Concat":
        return [graph.origin(name)]
    graph.require(node, axis=1)
    return [part for part_name in node.input for part in _parts(graph, part_name, floats)]


def read_layers(graph: OnnxGraph, scores: str, symbols: int) -> NetworkLayers:
    """Read the integer part of a network.

    Convolutions and max pools, the mean over the symbols or all of them as one vector, fully connected layers.

    Args:
        graph: the file.
        scores: name of the tensor that the last layer makes.
        symbols: of a chunk (L).

    Raises:
        ModelError: the network is in floating point, is made of something else, or has a scale that is no power of two.
    """
    with parsing(graph.path, kind=ModelError):
        return _read_layers(graph, scores, symbols)


def _read_layers(graph: OnnxGraph, scores: str, symbols: int) -> NetworkLayers:
    rounded = graph.behind("QuantizeLinear")
    if not rounded:
        raise graph.refusal(
            "it computes in floating point: train one with weight_bits of 2 to 8 in its recipe's part [quantisation]"
        )
    floats = graph.names - rounded

    head, head_relus = _chain(graph, scores, "Gemm", floats)
    first_name, *side = _parts(graph, head[0].source, floats)
    if first_name in floats:
        raise graph.refusal("what is made of the symbols must come first, before what joins it")
    node = graph.made_by(first_name, "ReduceMean", "Flatten")
    others = [name for name in side if name not in floats]
    if others:
        raise graph.refusal(f"{others[0]} joins what is made of the symbols, but has been rounded before")
    if node.op_type == "ReduceMean":
        graph.require(node, keepdims=0)
        if _axes(graph, node) not in ([2], [-1]):
            raise graph.refusal(f"the mean ({first_name}) must be one over the symbols, axis 2")
    else:
        graph.require(node, axis=1)
    rounded_to, source = _rounding(graph, node.input[0])
    if node.op_type == "Flatten" and rounded_to != head[0].input:
        raise graph.refusal(
            f"{first_name} is rounded before and after, with two different scales or zero points"
        )
    source, last_pool = _source(graph, source, rounded_to)

    last = graph.made_by(source, "Relu", "Conv")
    relu = last.op_type == "Relu"
    layers, relus = _chain(graph, last.input[0] if relu else source, "Conv", floats)
    first = layers[0].source
    if first not in floats:
        raise graph.refusal(f"it has an operator {graph.maker(first).op_type} ({first}) between its layers")
    pools = [*(layer.pool for layer in layers), last_pool]
    if pools[0] > 1 or max(pools) > 2 or head[0].pool > 1 or any(layer.pool > 1 for layer in head):
        raise graph.refusal("a max pool must follow a convolution, and only one may")
    left = symbols
    for pool in pools:
        if left % pool:
            raise graph.refusal(f"a max pool of {left} symbols leaves one over")
        left //= pool
    try:
        symbol_layers = _layers("symbol", layers, [*relus[:-1], relu], rounded_to, last_pool)
        channels = symbol_layers[-1].outputs
        between = (
            IntegerMean(channels, left, rounded_to, head[0].input)
            if node.op_type == "ReduceMean"
            else IntegerFlattening(channels, left, rounded_to)
        )
        head_layers = _layers("head", head, head_relus, None)
    except AmrqError as error:
        raise graph.refusal(str(error).rstrip(".")) from None
    return NetworkLayers(symbol_layers, between, head_layers, first, tuple(side))
