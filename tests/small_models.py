# SPDX-License-Identifier: GPL-3.0-or-later
"""Small ONNX files for tests: a model whose every answer is known."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from amrq.model import Contract, write_contract

CLASSES = ("BPSK", "QPSK", "unknown")


def linear_onnx(
    path: Path,
    weights: np.ndarray | None = None,
    batch: Any = "N",
    rows: Any = 2,
    length: Any = 32,
    input_type: int = TensorProto.FLOAT,
    outputs: Sequence[str] = ("logits",),
) -> Path:
    """Write a graph that flattens [N, 2, L] and multiplies it by `weights` [2 L, classes]; no contract."""
    if weights is None:
        weights = np.zeros((2 * 32, len(CLASSES)), np.float32)
        # The class goes by the sign of I and of Q of the chunk's first sample.
        weights[0, 0], weights[0, 1], weights[32, 2] = 5, -5, 5
    nodes = [helper.make_node("Flatten", ["flat_in"], ["flat"])]
    nodes.insert(0, helper.make_node("Cast", ["iq"], ["flat_in"], to=TensorProto.FLOAT))
    nodes += [helper.make_node("MatMul", ["flat", "weights"], [name]) for name in outputs]
    graph = helper.make_graph(
        nodes,
        "linear",
        [helper.make_tensor_value_info("iq", input_type, [batch, rows, length])],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, [batch, weights.shape[1]])
            for name in outputs
        ],
        [numpy_helper.from_array(weights.astype(np.float32), "weights")],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    proto.ir_version = 8
    onnx.save(proto, str(path))
    return path


def linear_model(path: Path, **contract: Any) -> Path:
    """Write `linear_onnx` with a contract."""
    linear_onnx(path)
    values = {"name": "linear", "classes": CLASSES, "chunk_length": 32} | contract
    write_contract(path, Contract(**values))
    return path


def slow_model(path: Path, multiplications: int = 60, copies: int = 1) -> Path:
    """Write a model with contract that answers as `linear_model` does, after so many products of 1024 x 1024.

    Each product is of so many copies of a chunk at once: the time of a call grows with them, that of loading does not.
    """
    weights = {
        "first": np.zeros((64, 1024), np.float32),
        "copies": np.zeros((copies, 1024), np.float32),
        "again": np.eye(1024, dtype=np.float32),
        "last": np.zeros((1024, len(CLASSES)), np.float32),
    }
    weights["first"][0, 0] = weights["first"][32, 1] = 1
    weights["last"][0, :2], weights["last"][1, 2] = (5, -5), 5
    nodes = [
        helper.make_node("Flatten", ["iq"], ["flat"]),
        helper.make_node("MatMul", ["flat", "first"], ["wide"]),
        helper.make_node("Unsqueeze", ["wide", "axis"], ["one"]),
        helper.make_node("Add", ["one", "copies"], ["x0"]),
    ]
    for number in range(multiplications):
        nodes.append(helper.make_node("MatMul", [f"x{number}", "again"], [f"x{number + 1}"]))
    nodes.append(helper.make_node("ReduceMean", [f"x{multiplications}"], ["mean"], axes=[1], keepdims=0))
    nodes.append(helper.make_node("MatMul", ["mean", "last"], ["logits"]))
    graph = helper.make_graph(
        nodes,
        "slow",
        [helper.make_tensor_value_info("iq", TensorProto.FLOAT, ["N", 2, 32])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", len(CLASSES)])],
        [
            *(numpy_helper.from_array(values, name) for name, values in weights.items()),
            numpy_helper.from_array(np.array([1], np.int64), "axis"),
        ],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    proto.ir_version = 8
    onnx.save(proto, str(path))
    write_contract(path, Contract(name="slow", classes=CLASSES, chunk_length=32))
    return path


def nan_model(path: Path) -> Path:
    """Write a model with contract whose every answer is not a number."""
    linear_onnx(path, weights=np.full((64, len(CLASSES)), np.nan, np.float32))
    write_contract(path, Contract(name="nan", classes=CLASSES, chunk_length=32))
    return path


def calibrate_quickly(patch: pytest.MonkeyPatch) -> None:
    """Leave out fitting how evidence adds up, and calibrate on fewer chunks, where a model is trained."""
    patch.setattr("amrq.training.making.calibrate_fusion", lambda *_: 10.0)
    patch.setattr("amrq.training.making._HELD_OUT_CHUNKS", 4_000)
    patch.setattr("amrq.training.tuning._TAUGHT", 6_000)
