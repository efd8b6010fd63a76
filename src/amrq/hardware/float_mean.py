# SPDX-License-Identifier: GPL-3.0-or-later
"""A mean in float32 whose sum is added up in the order of ONNX Runtime."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["float_mean"]

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
