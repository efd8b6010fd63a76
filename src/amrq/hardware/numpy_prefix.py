# SPDX-License-Identifier: GPL-3.0-or-later
"""What a model does before its first rounding, where there is no ONNX."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amrq.errors import AmrqError
from amrq.hardware.float_mean import float_mean
from amrq.optional_package import optional_package
from amrq.plain_text import printable

__all__ = ["NumpyPrefix"]

_BATCH = 512
"""As `FloatPrefix` has it: no sum crosses chunks, so that it changes no bit."""
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
        AmrqError: an operator is none of those known here.
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
            raise AmrqError(
                f"the model computes {len(self._steps)} steps before its first rounding, more than {_MOST_STEPS}."
            )
        for kind, *_ in self._steps:
            if kind not in _OPERATORS:
                raise AmrqError(
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
            AmrqError: the package onnx is missing, or an operator is none of those known here.
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
                    raise AmrqError(
                        f"the model takes more than {_MOST_BYTES:,} bytes a chunk before its first rounding."
                    )
                values[made] = _OPERATORS[kind](operands, attributes)
                taken += values[made].nbytes
        self._chunk_bytes = max(self._chunk_bytes, taken // len(iq), 1)
        symbols, *side = (values[name] for name in self.tensors)
        return symbols, np.concatenate([np.empty((len(given[0]), 0), np.float32), *side], axis=1)
