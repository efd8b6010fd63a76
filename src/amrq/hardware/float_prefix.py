# SPDX-License-Identifier: GPL-3.0-or-later
"""What a model does in floating point before its first rounding."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amrq.errors import AmrqError
from amrq.hardware.float_mean import float_mean
from amrq.memory_limit import memory_limit
from amrq.optional_package import optional_package
from amrq.parsing import parsing
from amrq.plain_text import printable

__all__ = ["FloatPrefix"]

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
        with parsing("the model's floating-point part"):
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
            AmrqError: an operator cannot be run.
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
                raise AmrqError(f"the model's floating-point part cannot be run: {reason}.") from None
            values |= dict(zip(self._made, made, strict=True))
        symbols, *side = (values[name] for name in self.tensors)
        return symbols, np.concatenate([np.empty((count, 0), np.float32), *side], axis=1)
