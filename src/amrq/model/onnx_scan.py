# SPDX-License-Identifier: GPL-3.0-or-later
"""What an ONNX file asks for, found without running or unpacking any of it.

ONNX Runtime does what a file says: repeats a loop 2^62 times, fills a tensor of 2^40 numbers, expands functions that
call functions. What is needed to see that beforehand is little and is read here from the file's own encoding (protocol
buffers), so that neither the package onnx nor a second copy of the weights is needed.
"""

import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from amrq.errors import AmrqError, ModelError
from amrq.files import parsing
from amrq.machine import optional_package
from amrq.text import printable

__all__ = ["ModelScan", "constants_of", "load_onnx", "read_onnx", "scan_model"]

_REPEATING = ("Loop", "Scan", "SequenceMap")
_LARGEST_FILE = 1 << 28
_MOST_NODES = 50_000
_MOST_PARTS = 1_000_000
_DEEPEST = 8
_EXTERNAL = 1
"""The value of TensorProto.data_location that stands for another file."""

_SIZED_BY = {
    "ConstantOfShape": (0,),
    "Expand": (1,),
    "Reshape": (1,),
    "Tile": (1,),
    "Range": (0, 1, 2),
    "Resize": (2, 3),
    "Upsample": (1,),
    "OneHot": (1,),
    "Pad": (1,),
    "CenterCropPad": (1,),
    "MaxUnpool": (2,),
    "Col2Im": (1,),
    "AffineGrid": (1,),
    "DFT": (1,),
    "STFT": (1, 3),
    "BlackmanWindow": (0,),
    "HammingWindow": (0,),
    "HannWindow": (0,),
    "MelWeightMatrix": (0, 1),
    "Slice": (1, 2, 3, 4),
    "Split": (1,),
    "SplitToSequence": (1,),
    "SequenceAt": (1,),
    "TopK": (1,),
    "NonZero": (0,),
    "Compress": (1,),
    "Unique": (0,),
    "NonMaxSuppression": (0, 1, 2, 3, 4),
    "StringSplit": (0,),
}
"""Operators whose outputs are as large as the numbers in some of their inputs say."""
_CHANCE = (
    "RandomNormal",
    "RandomUniform",
    "RandomNormalLike",
    "RandomUniformLike",
    "Multinomial",
    "Bernoulli",
)
"""Operators that give other numbers each time, so that one trial says nothing of the next."""
_SHAPES_ALONE = ("Shape", "Size")
"""Operators whose outputs depend on how large their inputs are, and not on what is in them."""

_VARINT, _LONG, _BYTES, _SHORT = 0, 1, 2, 5


@dataclass
class _Node:
    operator: str = ""
    domain: str = ""
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    graphs: list["_Graph"] = field(default_factory=list)


@dataclass
class _Graph:
    nodes: list[_Node] = field(default_factory=list)
    inputs: list[str] = field(default_factory=list)
    stored: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class ModelScan:
    """What was found.

    Attributes:
        metadata: texts by key, among them the contract.
        operators: names of all operators, those in functions and branches included.
    """

    metadata: Mapping[str, str]
    operators: frozenset[str]


def scan_model(data: bytes) -> ModelScan:
    """Return what an ONNX file holds beside its numbers.

    Args:
        data: the file's content.

    Raises:
        ModelError: it is no ONNX file, keeps numbers in other files, has a loop, is larger than any model of chunks
            once its functions are written out, or makes tensors as large as the samples say. The sentence has no
            subject.
    """
    with parsing("its structure", kind=ModelError):
        graph, functions, metadata = _model(Walk(), memoryview(data))
        if graph is None:
            raise ModelError("it has no graph, so it is not an ONNX model.")
        operators: set[str] = set()
        for one in [graph, *functions.values()]:
            for node in _all_nodes(one):
                operators.add(node.operator)
                if node.operator in _REPEATING or (node.graphs and node.operator != "If"):
                    raise ModelError(
                        f"it has an operator {printable(node.operator, 60)}, which repeats a part of the graph: a "
                        "model of chunks has no loops; unroll it."
                    )
        _refuse_expansion(graph, functions)
        for one in [graph, *functions.values()]:
            _refuse_sizes_from_samples(one)
        return ModelScan(metadata, frozenset(operators))


class Walk:
    """A walk through a file, of a bounded number of steps: a byte may be a part of its own."""

    def __init__(self) -> None:
        self._left = _MOST_PARTS

    def fields(self, data: memoryview) -> Iterator[tuple[int, int, int, memoryview]]:
        """Walk a message: number and kind of each field, its value if it is a number, else its bytes."""
        at, end = 0, len(data)
        nothing = data[:0]
        while at < end:
            self._left -= 1
            if self._left < 0:
                raise ModelError(f"it has more than {_MOST_PARTS:,} parts.")
            key, at = _varint(data, at)
            number, kind = key >> 3, key & 7
            if kind == _VARINT:
                value, at = _varint(data, at)
                yield number, kind, value, nothing
                continue
            if kind == _BYTES:
                size, at = _varint(data, at)
            elif kind in (_LONG, _SHORT):
                size = 8 if kind == _LONG else 4
            else:
                raise ValueError(f"a field of the unknown kind {kind}")
            if size > end - at:
                raise ValueError("it ends in the middle of a field")
            yield number, kind, 0, data[at : at + size]
            at += size


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(data):
            raise ValueError("it ends in the middle of a number")
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("a number has more than 64 bits")


def _text(data: memoryview) -> str:
    return bytes(data).decode("utf-8")


def _model(
    walk: Walk, data: memoryview
) -> tuple[_Graph | None, dict[tuple[str, str], _Graph], dict[str, str]]:
    """Read ModelProto: graph 7, metadata_props 14, functions 25."""
    graph: _Graph | None = None
    functions: dict[tuple[str, str], _Graph] = {}
    metadata: dict[str, str] = {}
    for number, kind, _, part in walk.fields(data):
        if kind != _BYTES:
            continue
        if number == 7:
            # A message that stands in two places counts as both together.
            graph = _graph(walk, part, 0, graph)
        elif number == 14:
            entry = {n: _text(value) for n, k, _, value in walk.fields(part) if k == _BYTES}
            metadata[entry.get(1, "")] = entry.get(2, "")
        elif number == 25:
            name = {n: _text(value) for n, k, _, value in walk.fields(part) if k == _BYTES and n in (1, 10)}
            functions[name.get(10, ""), name.get(1, "")] = _function(walk, part)
    return graph, functions, metadata


def _graph(walk: Walk, data: memoryview, depth: int, graph: _Graph | None = None) -> _Graph:
    """Read GraphProto: node 1, initializer 5, input 11, sparse_initializer 15."""
    if depth > _DEEPEST:
        raise ModelError(f"it has graphs within graphs, more than {_DEEPEST} deep.")
    graph = graph or _Graph()
    for number, kind, _, part in walk.fields(data):
        if kind != _BYTES:
            continue
        if number == 1:
            graph.nodes.append(_node(walk, part, depth))
            if len(graph.nodes) > _MOST_NODES:
                raise ModelError(f"it has more than {_MOST_NODES:,} operators.")
        elif number == 5:
            graph.stored.add(_tensor(walk, part))
        elif number == 15:
            for n, k, _, values in walk.fields(part):
                if n in (1, 2) and k == _BYTES:
                    graph.stored.add(_tensor(walk, values))
        elif number == 11:
            graph.inputs += [_text(v) for n, k, _, v in walk.fields(part) if n == 1 and k == _BYTES]
    return graph


def _function(walk: Walk, data: memoryview) -> _Graph:
    """Read FunctionProto: input 4, node 7."""
    found = _Graph()
    for number, kind, _, part in walk.fields(data):
        if number == 4 and kind == _BYTES:
            found.inputs.append(_text(part))
        elif number == 7 and kind == _BYTES:
            found.nodes.append(_node(walk, part, 0))
    return found


def _node(walk: Walk, data: memoryview, depth: int) -> _Node:
    """Read NodeProto: input 1, output 2, op_type 4, attribute 5, domain 7."""
    node = _Node()
    for number, kind, _, part in walk.fields(data):
        if kind != _BYTES:
            continue
        if number == 1:
            node.inputs.append(_text(part))
        elif number == 2:
            node.outputs.append(_text(part))
        elif number == 4:
            node.operator = _text(part)
        elif number == 7:
            node.domain = _text(part)
        elif number == 5:
            # AttributeProto: t 5, g 6, tensors 10, graphs 11.
            for n, k, _, value in walk.fields(part):
                if k == _BYTES and n in (6, 11):
                    node.graphs.append(_graph(walk, value, depth + 1))
                elif k == _BYTES and n in (5, 10):
                    _tensor(walk, value)
    return node


def _tensor(walk: Walk, data: memoryview) -> str:
    """Read TensorProto: name 8, external_data 13, data_location 14."""
    name = ""
    for number, kind, value, part in walk.fields(data):
        if number == 8 and kind == _BYTES:
            name = _text(part)
        if number == 13 or (number == 14 and value == _EXTERNAL):
            raise ModelError(
                "it keeps numbers in another file, so the file alone does not show what runs: save it as one file "
                "(onnx.save of what onnx.load gives, or 'amrq model annotate')."
            )
    return name


def _all_nodes(graph: _Graph) -> Iterator[_Node]:
    for node in graph.nodes:
        yield node
        for inner in node.graphs:
            yield from _all_nodes(inner)


def _refuse_expansion(graph: _Graph, functions: Mapping[tuple[str, str], _Graph]) -> None:
    """Refuse functions that call functions until there is no end of operators; ONNX Runtime writes them all out."""
    sizes: dict[tuple[str, str], int] = {}

    def size(name: tuple[str, str], above: tuple[tuple[str, str], ...]) -> int:
        if name in above or len(above) > 50:
            raise ModelError("it has a function that calls itself.")
        if name not in sizes:
            sizes[name] = total(functions[name], (*above, name))
        return sizes[name]

    def total(one: _Graph, above: tuple[tuple[str, str], ...]) -> int:
        called = ((node.domain, node.operator) for node in _all_nodes(one))
        count = sum(size(name, above) if name in functions else 1 for name in called)
        if count > _MOST_NODES:
            raise ModelError(
                f"it has more than {_MOST_NODES:,} operators once its functions are written out."
            )
        return count

    total(graph, ())


def _refuse_sizes_from_samples(graph: _Graph) -> None:
    """Refuse tensors that are as large as the samples say: memory may depend on how many chunks there are alone."""
    nodes = list(_all_nodes(graph))
    # Branches see what is outside them: what is in a branch is as good as an input of the node.
    inputs = [
        {
            *node.inputs,
            *(name for branch in node.graphs for inner in _all_nodes(branch) for name in inner.inputs),
        }
        for node in nodes
    ]
    readers: dict[str, list[int]] = {}
    for number, node in enumerate(nodes):
        for name in inputs[number] if node.operator not in _SHAPES_ALONE else ():
            readers.setdefault(name, []).append(number)
    # ONNX Runtime puts nodes into the order of running itself, so that theirs in the file says nothing.
    samples = {name for name in graph.inputs if name not in graph.stored}
    samples.update(name for node in nodes if node.operator in _CHANCE for name in node.outputs)
    samples.discard("")
    waiting = list(samples)
    while waiting:
        for number in readers.pop(waiting.pop(), ()):
            new = set(nodes[number].outputs) - samples - {""}
            samples |= new
            waiting += new
    for node in nodes:
        for place in _SIZED_BY.get(node.operator, ()):
            if place < len(node.inputs) and node.inputs[place] in samples:
                raise ModelError(
                    f"it has an operator {node.operator} that makes as many numbers as the samples say: sizes may "
                    "depend on the number of chunks alone."
                )
        if node.operator == "If" and samples & set(node.inputs):
            raise ModelError(
                "it has an operator If whose condition depends on the samples, so its cost cannot be tested: "
                "compute both branches and choose between their numbers (Where)."
            )


def read_onnx(path: str | os.PathLike[str]) -> tuple[bytes, ModelScan]:
    """Return an ONNX file's content, and what `scan_model` finds in it.

    Raises:
        ModelError: there is no such file, it cannot be read, is far larger than a model of chunks, or is refused by
            `scan_model`.
    """
    path = Path(path)
    shown = printable(path)
    if not os.path.isfile(path):
        raise ModelError(f"there is no model file {shown}.")
    with parsing(shown, kind=ModelError):
        size = path.stat().st_size
        if size > _LARGEST_FILE:
            raise ModelError(f"{shown} has {size:,} bytes; a model file can have {_LARGEST_FILE:,}.")
        data = path.read_bytes()
    try:
        return data, scan_model(data)
    except AmrqError as error:
        raise ModelError(f"{shown} cannot be loaded as an ONNX model: {error}") from None


def load_onnx(path: str | os.PathLike[str]) -> Any:
    """Return an ONNX file as the package onnx has it (onnx.ModelProto), after `read_onnx` has looked through it.

    Raises:
        ModelError: as `read_onnx`.
        AmrqError: the package onnx is missing.
    """
    onnx = optional_package("onnx", "reading a model's graph")
    data, _ = read_onnx(path)
    with parsing(printable(path), kind=ModelError):
        return onnx.load_from_string(data)


def constants_of(model: Any) -> dict[str, NDArray[Any]]:
    """Return the stored tensors of an onnx.ModelProto by name, those of its operators Constant included.

    Raises:
        ModelError: one claims to be larger than what is stored of it.
    """
    to_array = optional_package("onnx.numpy_helper", "reading a model's graph").to_array
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Constant" and node.attribute and node.attribute[0].name == "value":
            tensors[node.output[0]] = node.attribute[0].t
    for name, tensor in tensors.items():
        # A byte holds two numbers of 4 bits at most.
        if any(d < 0 for d in tensor.dims) or math.prod(tensor.dims) > 2 * tensor.ByteSize():
            raise ModelError(f"its tensor {printable(name, 60)} claims more numbers than there are.")
    return {name: to_array(tensor) for name, tensor in tensors.items()}
