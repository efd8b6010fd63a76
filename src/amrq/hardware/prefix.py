# SPDX-License-Identifier: GPL-3.0-or-later
"""The floating-point part of a network before its first integer layer, run by ONNX's reference evaluator or NumPy."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amrq.errors import ModelError
from amrq.files import parsing
from amrq.machine import memory_limit, optional_package
from amrq.text import printable

__all__ = ["FloatPrefix", "NumpyPrefix", "float_mean"]

_LANES = 4
"""Numbers that ONNX Runtime adds at a time, on x86-64: those of an SSE register."""


def float_mean(x: NDArray[Any], axes: Sequence[int], keepdims: bool = True) -> NDArray[Any]:
    """Return the mean over some axes.

    Over the last axis, of a length that is a multiple of 8, sums are added as Eigen does it in ONNX Runtime on x86-64
    (`redux`, linear traversal): lane by lane in two accumulators of four lanes, even and odd registers, then both, then
    the lanes. Rounding is IEEE 754's everywhere, so that this function gives the same bits on any machine; ONNX Runtime
    itself may add in another order on another kind of processor. Any other mean is NumPy's.

    Args:
        x: float32.
        axes: that are averaged over.
        keepdims: they stay, with length 1.
    """
    last, length = x.ndim - 1, x.shape[-1]
    if [axis % x.ndim for axis in axes] != [last] or x.dtype != np.float32 or length % (2 * _LANES):
        return np.asarray(np.mean(x, axis=tuple(axes), keepdims=keepdims))
    registers = x.reshape(*x.shape[:-1], -1, 2 * _LANES)
    lanes = registers[..., 0, :]  # both accumulators beside each other
    for number in range(1, registers.shape[-2]):
        lanes = lanes + registers[..., number, :]
    lanes = lanes[..., :4] + lanes[..., 4:]
    lanes = lanes[..., :2] + lanes[..., 2:]
    mean = (lanes[..., :1] + lanes[..., 1:]) / np.float32(length)
    return np.asarray(mean if keepdims else mean[..., 0])


_MEMORY = 1 << 30
"""Bytes that a batch may take."""
_BATCH = 512
"""Chunks at a time, so that what the operators pass on stays in the processor's cache."""


def _operators() -> list[Any]:
    """Return operators in place of the reference evaluator's own, which are classes with names that it knows."""
    op_run = optional_package("onnx.reference.op_run", "reading a model's integers").OpRun

    def run(
        self: Any, data: Any, axes: Any = None, keepdims: int = 1, noop_with_empty_axes: int = 0
    ) -> tuple[Any]:
        if axes is None or not len(axes):
            axes = () if noop_with_empty_axes else range(data.ndim)
        return (float_mean(data, [int(axis) for axis in axes], bool(keepdims)),)

    return [type("ReduceMean", (op_run,), {"op_domain": "", "_run": run})]


class FloatPrefix:
    """The part of an ONNX graph before its quantisers, run operator by operator in float32 by NumPy.

    For a model of a known phase that is one `Abs` or nothing; one of any phase first turns the chunk. Sums are then
    added in the order of ONNX Runtime on x86-64 (`float_mean`), so that its bits come out. PyTorch, and perhaps ONNX
    Runtime on other processors, add in another one: there a value can differ in its last bit and, where it lies right
    between two steps, come out as the other one.

    Args:
        model: the ONNX model (onnx.ModelProto).
        symbols: name of the tensor [N, C, L] that goes into the first layer.
        side: names of the tensors [N, any] that join the mean over the symbols, in order.

    Attributes:
        tensors: names of what it gives: `symbols`, then `side`.
        operations: names of its operators, in order, without those that only provide constants.
    """

    def __init__(self, model: Any, symbols: str, side: Sequence[str]) -> None:
        with parsing("the model's floating-point part", kind=ModelError):
            self._read(model, symbols, side)

    def _read(self, model: Any, symbols: str, side: Sequence[str]) -> None:
        onnx = optional_package("onnx", "reading a model's integers")
        reference = optional_package("onnx.reference", "reading a model's integers")
        self.tensors = (symbols, *side)
        self._inputs = [i.name for i in model.graph.input]
        wanted = set(self.tensors)
        nodes: list[Any] = []
        for node in reversed(model.graph.node):  # ONNX has nodes in the order of their running
            if wanted & set(node.output):
                wanted |= set(node.input)
                nodes.insert(0, node)
        self.operations = tuple(n.op_type for n in nodes if n.op_type not in ("Constant", "Identity"))
        made = [name for name in self.tensors if name not in self._inputs]
        self._made = list(dict.fromkeys(made))
        graph = onnx.helper.make_graph(
            nodes,
            "prefix",
            [i for i in model.graph.input if i.name in wanted],
            [onnx.helper.make_empty_tensor_value_info(name) for name in self._made],
            [t for t in model.graph.initializer if t.name in wanted],
        )
        self._needed = [i.name for i in graph.input]
        part = onnx.helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)
        self._run = reference.ReferenceEvaluator(part, new_ops=_operators()) if self._made else None

    def __call__(
        self, iq: NDArray[np.float32], level: NDArray[np.float32] | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return what goes into the quantisers.

        Args:
            iq: float32 [N, 2, L], N at least 1.
            level: float32 [N, 3], for a model with a level input.

        Returns:
            float32 [N, C, L] and float32 [N, S]; S is 0 where nothing joins the mean.

        Raises:
            ModelError: an operator cannot be run.
        """
        parts = [self._batch(iq, level, start) for start in range(0, len(iq), _BATCH)]
        symbols, side = (np.concatenate(column) for column in zip(*parts, strict=True))
        return symbols, side

    def _batch(
        self, iq: NDArray[np.float32], level: NDArray[np.float32] | None, start: int
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        given = [values for values in (iq, level) if values is not None]
        values = {name: v[start : start + _BATCH] for name, v in zip(self._inputs, given, strict=True)}
        count = len(values[self._inputs[0]])
        if self._run is not None:
            try:
                with memory_limit(_MEMORY):
                    made = self._run.run(None, {name: values[name] for name in self._needed})
            except Exception as error:  # the evaluator raises whatever its operators raise
                reason = printable(error, 200).strip().rstrip(".") or type(error).__name__
                raise ModelError(f"the model's floating-point part cannot be run: {reason}.") from None
            values |= dict(zip(self._made, made, strict=True))
        symbols, *side = (values[name] for name in self.tensors)
        return symbols, np.concatenate([np.empty((count, 0), np.float32), *side], axis=1)


_MOST_STEPS = 1_000
_MOST_BYTES = 1 << 26
"""Of all that is computed for one chunk; shipped models take some 10,000."""
_BATCH_BYTES = 1 << 28

Array = NDArray[Any]
_Operator = Callable[[list[Any], dict[str, Any]], Array]


def _slice(given: list[Any], attributes: dict[str, Any]) -> Array:
    data, starts, ends, *more = given
    axes = more[0] if more and more[0] is not None else np.arange(len(starts))
    steps = more[1] if len(more) > 1 and more[1] is not None else np.ones(len(starts), np.int64)
    parts = [slice(None)] * data.ndim
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        parts[int(axis)] = slice(int(start), int(end), int(step))
    return np.asarray(data[tuple(parts)])


def _mean(given: list[Any], attributes: dict[str, Any]) -> Array:
    axes = given[1] if len(given) > 1 else attributes["axes"]
    return float_mean(given[0], [int(axis) for axis in axes], bool(attributes.get("keepdims", 1)))


def _clip(given: list[Any], attributes: dict[str, Any]) -> Array:
    x, low, high = (*given, None, None)[:3]
    x = x if low is None else np.maximum(x, low)
    return np.asarray(x if high is None else np.minimum(x, high))


def _fold(function: Any) -> _Operator:
    def run(given: list[Any], attributes: dict[str, Any]) -> Array:
        result = given[0]
        for other in given[1:]:
            result = function(result, other)
        return np.asarray(result)

    return run


def _bytes(kind: str, given: list[Any]) -> int:
    """Return a bound of what an operator's result takes, before it is computed."""
    arrays = [np.asarray(values) for values in given if values is not None]
    if kind == "Concat":
        return sum(values.nbytes for values in arrays)
    if kind == "Gather":
        return int(arrays[0].nbytes * arrays[1].size)
    if kind in ("Identity", "ReduceMean", "Slice"):
        return arrays[0].nbytes
    shape = np.broadcast_shapes(*(values.shape for values in arrays))
    return math.prod(shape) * max(values.itemsize for values in arrays)


_OPERATORS: dict[str, _Operator] = {
    "Abs": lambda given, _: np.abs(given[0]),
    "Add": lambda given, _: np.add(*given),
    "Clip": _clip,
    "Concat": lambda given, attributes: np.concatenate(given, axis=attributes["axis"]),
    "Div": lambda given, _: np.divide(*given),
    "Gather": lambda given, attributes: np.take(given[0], given[1], axis=attributes.get("axis", 0)),
    "Identity": lambda given, _: given[0],
    "Less": lambda given, _: np.less(*given),
    "Max": _fold(np.maximum),
    "Min": _fold(np.minimum),
    "Mul": lambda given, _: np.multiply(*given),
    "Neg": lambda given, _: np.negative(given[0]),
    "Reciprocal": lambda given, _: np.reciprocal(given[0]),
    "ReduceMean": _mean,
    "Round": lambda given, _: np.rint(given[0]),
    "Slice": _slice,
    "Sqrt": lambda given, _: np.sqrt(given[0]),
    "Sub": lambda given, _: np.subtract(*given),
    "Where": lambda given, _: np.asarray(np.where(given[0], given[1], given[2])),
}
"""Those of the trained models; all but the mean round a single result: there is no other way to compute them. For the
mean's sum see `float_mean`."""


class NumpyPrefix:
    """What `FloatPrefix` computes, to the bit, from plain arrays and names: it needs NumPy alone.

    Args:
        description: what `description` gives.
        constants: arrays by name.

    Attributes:
        constants: arrays by name.
        tensors: names of what it gives: the symbols, then what joins the mean.
        operations: names of its operators, in order.

    Raises:
        ModelError: an operator is not one of those known here.
    """

    def __init__(self, description: Mapping[str, Any], constants: Mapping[str, Array]) -> None:
        self.constants = dict(constants)
        self.tensors = tuple(description["tensors"])
        self._inputs = list(description["inputs"])
        self._steps: list[tuple[str, list[str], str, dict[str, Any]]] = [
            (kind, list(given), made, dict(attributes))
            for kind, given, made, attributes in description["steps"]
        ]
        if len(self._steps) > _MOST_STEPS:
            raise ModelError(
                f"the model computes {len(self._steps)} steps before its first rounding, more than {_MOST_STEPS}."
            )
        for kind, *_ in self._steps:
            if kind not in _OPERATORS:
                raise ModelError(
                    f"the model computes {printable(kind, 40)} in floating point before its first rounding, which no "
                    f"image can hold: only {', '.join(sorted(_OPERATORS))} can."
                )
        self._chunk_bytes = 0  # that one chunk takes, once that is known
        self.operations = tuple(kind for kind, *_ in self._steps if kind != "Identity")

    @classmethod
    def from_onnx(cls, model: Any, symbols: str, side: Sequence[str]) -> "NumpyPrefix":
        """Read the part of a graph that gives `symbols` and `side`.

        Args:
            model: the ONNX model (onnx.ModelProto).
            symbols: name of the tensor [N, C, L] that goes into the first layer.
            side: names of the tensors [N, any] that join the mean over the symbols, in order.

        Raises:
            AmrqError: the package onnx is missing.
            ModelError: an operator is not one of those known here.
        """
        onnx = optional_package("onnx", "reading a model's integers")
        constants = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
        wanted = {symbols, *side}
        steps: list[tuple[str, list[str], str, dict[str, Any]]] = []
        for node in reversed(model.graph.node):  # ONNX has nodes in the order of their running
            if not wanted & set(node.output):
                continue
            attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
            if node.op_type == "Constant":
                constants[node.output[0]] = onnx.numpy_helper.to_array(attributes["value"])
                continue
            wanted |= set(node.input)
            plain = {
                name: list(value) if isinstance(value, Sequence) else value
                for name, value in attributes.items()
            }
            steps.insert(0, (node.op_type, list(node.input), node.output[0], plain))
        description = {
            "inputs": [i.name for i in model.graph.input],
            "tensors": [symbols, *side],
            "steps": steps,
        }
        return cls(description, {name: value for name, value in constants.items() if name in wanted})

    def description(self) -> dict[str, Any]:
        """Return what it is made of but the constants, ready for JSON."""
        return {"inputs": self._inputs, "tensors": list(self.tensors), "steps": self._steps}

    def __call__(
        self, iq: NDArray[np.float32], level: NDArray[np.float32] | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return what goes into the quantisers: see `FloatPrefix`."""
        if not self._chunk_bytes:
            self._batch(iq[:1], None if level is None else level[:1])
        batch = min(_BATCH, max(1, _BATCH_BYTES // self._chunk_bytes))
        parts = [
            self._batch(iq[start : start + batch], None if level is None else level[start : start + batch])
            for start in range(0, len(iq), batch)
        ]
        symbols, side = (np.concatenate(column) for column in zip(*parts, strict=True))
        return symbols, side

    def _batch(
        self, iq: NDArray[np.float32], level: NDArray[np.float32] | None
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        given = [values for values in (iq, level) if values is not None]
        taken, limit = sum(values.nbytes for values in given), _MOST_BYTES * len(iq)
        values: dict[str, Any] = {**self.constants, **dict(zip(self._inputs, given, strict=True)), "": None}
        with np.errstate(all="ignore"):
            for kind, names, made, attributes in self._steps:
                operands = [values[name] for name in names]
                if taken + _bytes(kind, operands) > limit:
                    raise ModelError(
                        f"the model takes more than {_MOST_BYTES:,} bytes a chunk before its first rounding."
                    )
                values[made] = _OPERATORS[kind](operands, attributes)
                taken += values[made].nbytes
        self._chunk_bytes = max(self._chunk_bytes, taken // len(iq), 1)
        symbols, *side = (values[name] for name in self.tensors)
        return symbols, np.concatenate([np.empty((len(given[0]), 0), np.float32), *side], axis=1)
