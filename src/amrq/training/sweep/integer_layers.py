# SPDX-License-Identifier: GPL-3.0-or-later
"""Which layers of a model ONNX Runtime really runs in integers."""

import tempfile
from pathlib import Path

import onnx

from amrq.onnx_runtime import onnx_runtime

__all__ = ["integer_layers"]

_INTEGER = ("QLinearConv", "QGemm", "QLinearMatMul", "MatMulInteger", "ConvInteger", "DynamicQuantizeMatMul")
_FLOAT = ("Conv", "FusedConv", "Gemm", "FusedGemm", "MatMul", "FusedMatMul")


def integer_layers(model: bytes) -> tuple[int, int]:
    """Return how many convolutions and dense layers of the optimised graph are integer kernels, and how many are not.

    Args:
        model: an ONNX file's content.
    """
    ort = onnx_runtime()
    with tempfile.TemporaryDirectory() as folder:
        optimised = Path(folder) / "optimised.onnx"
        options = ort.SessionOptions()
        options.optimized_model_filepath = str(optimised)
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        operators = [node.op_type for node in onnx.load(str(optimised)).graph.node]
    return sum(o in _INTEGER for o in operators), sum(o in _FLOAT for o in operators)
