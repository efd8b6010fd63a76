# SPDX-License-Identifier: GPL-3.0-or-later
"""The graph of a family model: what it computes of a signal before its last layers, and outputs that are added."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from amrq.classifier import level_chunks
from amrq.errors import ModelError
from amrq.machine import onnx_runtime, optional_package

__all__ = ["AddedLayer", "FamilyGraph", "Seeing", "Seen"]

_Chunks = NDArray[np.complex64]
_Rows = NDArray[np.float64]

_AT_ONCE = 32
"""Chunks in a run of the model."""


class Seen(NamedTuple):
    """What the model computes of chunks: inputs of its last two layers, and its logits."""

    features: _Rows
    logits: _Rows


class AddedLayer(NamedTuple):
    """features -> relu(features @ first + bias) @ second + last: logits of the own families."""

    first: _Rows
    bias: _Rows
    second: _Rows
    last: _Rows

    def logits(self, features: _Rows) -> _Rows:
        """Return the outputs for features: float64 [n, outputs]."""
        return np.maximum(features @ self.first + self.bias, 0.0) @ self.second + self.last


class FamilyGraph:
    """The graph of a family model: where its last two layers begin."""

    def __init__(self, file: Path) -> None:
        self._onnx = optional_package("onnx", "adding a family to a model")
        self.model = self._onnx.load(str(file))
        graph = self.model.graph
        self.logits = graph.output[0].name
        makers = {name: node for node in graph.node for name in node.output}
        moving = {graph.input[0].name}
        for node in graph.node:
            if moving & set(node.input):
                moving.update(node.output)
        self.features = self._before_layers(makers, moving)

    def _before_layers(self, makers: dict[str, Any], moving: set[str]) -> str:
        """Return the name of what goes into the last two layers, or into the last one."""
        name, found, layers = self.logits, "", 0
        while layers < 2 and (node := makers.get(name)) is not None:
            inputs = [one for one in node.input if one in moving]
            if len(inputs) != 1:
                break
            name = inputs[0]
            if node.op_type in ("Gemm", "MatMul"):
                found, layers = name, layers + 1
        if not found:
            raise ModelError(
                "the model does not end in a layer that a family can be added to: start from a shipped family model."
            )
        return found

    def seeing(self) -> "Seeing":
        """Return the model with its features as a further output."""
        return Seeing(self)

    def extended(self, layer: AddedLayer, count: int, added: int) -> Any:
        """Return the model with the outputs of a layer before its last one.

        Args:
            layer: what is added.
            count: outputs that the model has.
            added: outputs of the layer.
        """
        onnx = self._onnx
        helper, numpy_helper = onnx.helper, onnx.numpy_helper
        model = onnx.ModelProto()
        model.CopyFrom(self.model)
        body = model.graph
        former = "amrq own former"
        for node in body.node:
            for place, name in enumerate(node.output):
                if name == self.logits:
                    node.output[place] = former
        for name, value in zip(("first", "bias", "second", "last"), layer, strict=True):
            body.initializer.append(numpy_helper.from_array(value.astype(np.float32), f"amrq own {name}"))
        edges = {"zero": [0], "end": [count - 1], "all": [count], "axis": [1]}
        for name, numbers in edges.items():
            body.initializer.append(numpy_helper.from_array(np.array(numbers, np.int64), f"amrq own {name}"))
        own = "amrq own "
        body.node.extend(
            [
                helper.make_node("Gemm", [self.features, f"{own}first", f"{own}bias"], [f"{own}hidden"]),
                helper.make_node("Relu", [f"{own}hidden"], [f"{own}relu"]),
                helper.make_node("Gemm", [f"{own}relu", f"{own}second", f"{own}last"], [f"{own}logits"]),
                helper.make_node("Slice", [former, f"{own}zero", f"{own}end", f"{own}axis"], [f"{own}known"]),
                helper.make_node("Slice", [former, f"{own}end", f"{own}all", f"{own}axis"], [f"{own}rest"]),
                helper.make_node(
                    "Concat", [f"{own}known", f"{own}logits", f"{own}rest"], [self.logits], axis=1
                ),
            ]
        )
        del body.output[:]
        body.output.append(helper.make_tensor_value_info(self.logits, 1, ["N", count + added]))
        return model


class Seeing:
    """Runs a model, and gives the inputs of its last layers beside its logits. A context manager."""

    def __init__(self, graph: FamilyGraph) -> None:
        self._graph = graph

    def __enter__(self) -> "Seeing":
        onnx = self._graph._onnx
        model = onnx.ModelProto()
        model.CopyFrom(self._graph.model)
        model.graph.output.append(onnx.helper.make_tensor_value_info(self._graph.features, 1, None))
        runtime = onnx_runtime("adding a family to a model")
        options = runtime.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = 1, 3
        self._session = runtime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        self._input = self._session.get_inputs()[0].name
        return self

    def __exit__(self, *_: object) -> None:
        del self._session

    def rows(self, chunks: _Chunks) -> Seen:
        """Return features and logits of chunks."""
        features, logits = [], []
        for start in range(0, len(chunks), _AT_ONCE):
            good = level_chunks(chunks[start : start + _AT_ONCE])
            iq = np.ascontiguousarray(np.stack([good.real, good.imag], axis=1), np.float32)
            answer, seen = self._session.run([self._graph.logits, self._graph.features], {self._input: iq})
            features.append(np.asarray(seen, np.float64).reshape(len(iq), -1))
            logits.append(np.asarray(answer, np.float64))
        if not features:
            return Seen(np.zeros((0, 1)), np.zeros((0, 1)))
        return Seen(np.concatenate(features), np.concatenate(logits))
