#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make a model by hand, as one from elsewhere: BPSK or QPSK, by the magnitude of the chunk's mean square.

|mean(z^2)| is 1 for BPSK of unit power at any rotation and about 0 for QPSK. Nothing is trained; the ONNX file has no
contract, and needs one from `amrq model annotate` (docs/own-model.md).

Example: python3 examples/two_class_model.py mine.onnx
"""

import argparse
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

CHUNK_LENGTH = 32
STEEPNESS = 20.0
"""Of the logits around |mean(z^2)| = 0.5."""


def two_class_model() -> onnx.ModelProto:
    """Return the model: float32 [N, 2, 32] -> logits float32 [N, 2], BPSK first."""
    constants = {
        "row_i": np.asarray(0),
        "row_q": np.asarray(1),
        "two": np.asarray(2.0, np.float32),
        "weights": np.asarray([[2 * STEEPNESS, -2 * STEEPNESS]], np.float32),
        "biases": np.asarray([-STEEPNESS, STEEPNESS], np.float32),
    }
    nodes = [
        helper.make_node("Gather", ["iq", "row_i"], ["i"], axis=1),
        helper.make_node("Gather", ["iq", "row_q"], ["q"], axis=1),
        helper.make_node("Mul", ["i", "i"], ["ii"]),
        helper.make_node("Mul", ["q", "q"], ["qq"]),
        helper.make_node("Sub", ["ii", "qq"], ["real"]),
        helper.make_node("Mul", ["i", "q"], ["product"]),
        helper.make_node("Mul", ["product", "two"], ["imaginary"]),
        helper.make_node("ReduceMean", ["real"], ["mean_real"], axes=[1]),
        helper.make_node("ReduceMean", ["imaginary"], ["mean_imaginary"], axes=[1]),
        helper.make_node("Concat", ["mean_real", "mean_imaginary"], ["mean"], axis=1),
        helper.make_node("ReduceL2", ["mean"], ["magnitude"], axes=[1]),
        helper.make_node("Gemm", ["magnitude", "weights", "biases"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "two_classes",
        [helper.make_tensor_value_info("iq", TensorProto.FLOAT, ["N", 2, CHUNK_LENGTH])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 2])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    return model


def main() -> None:
    """Write it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("output", type=Path, help="the file to write, mine.onnx for instance")
    onnx.save(two_class_model(), parser.parse_args().output)


if __name__ == "__main__":
    main()
