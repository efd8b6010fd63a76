# SPDX-License-Identifier: GPL-3.0-or-later
"""Means that are added up in the order of ONNX Runtime."""

import platform
from pathlib import Path

import numpy as np
import pytest
from seeds import rng

onnx = pytest.importorskip("onnx", reason="the package onnx is not installed")

from amrq.hardware import float_mean  # noqa: E402
from amrq.model import open_session  # noqa: E402

X86 = platform.machine().lower() in ("x86_64", "amd64")


def _values(length: int) -> np.ndarray:
    return rng("float mean", length).standard_normal((50, 3, length)).astype(np.float32)


@pytest.mark.parametrize("length", [8, 12, 32, 40, 200])
@pytest.mark.parametrize("axes", [(2,), (-1,), (1,), (1, 2)])
def test_it_is_the_mean(length: int, axes: tuple[int, ...]) -> None:
    x = _values(length)
    expected = x.mean(axis=axes, dtype=np.float64)
    found = float_mean(x, axes, keepdims=False)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_array_equal(float_mean(x, axes), np.expand_dims(found, axes))


@pytest.mark.skipif(not X86, reason="ONNX Runtime may add in another order here")
@pytest.mark.parametrize("length", [8, 32, 200])
def test_it_is_onnxruntime_s_to_the_bit(tmp_path: Path, length: int) -> None:
    helper, number = onnx.helper, onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        [helper.make_node("ReduceMean", ["x"], ["y"], axes=[2])],
        "mean",
        [helper.make_tensor_value_info("x", number, ["N", 3, length])],
        [helper.make_tensor_value_info("y", number, ["N", 3, 1])],
    )
    file = tmp_path / "mean.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), file)
    x = _values(length)
    session = open_session(file)
    for count in (1, 50):
        (theirs,) = session.run(None, {"x": x[:count]})
        np.testing.assert_array_equal(float_mean(x[:count], [2]), theirs)
