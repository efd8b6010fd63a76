# SPDX-License-Identifier: GPL-3.0-or-later
"""From the integers of one scale to those of a coarser or finer one."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["requantise"]

_MOST_SHIFT = 62
"""Shifting further to the right would leave int64 and change nothing: what is below 2^53 is zero by then."""
_WIDEST = 16
"""Bits that the result fits in."""


def requantise(
    accumulators: NDArray[np.int64], shift: ArrayLike, lowest: int, highest: int
) -> NDArray[np.int64]:
    """Return accumulators divided by 2^shift, rounded half to even, saturated.

    Half to even is the rounding of IEEE 754, and so of QuantizeLinear in ONNX and of fake quantisation in PyTorch; in
    hardware it is an adder before the shift, whose carry-in is the last bit that stays.

    Args:
        accumulators: int64, any shape, of magnitudes below 2^53.
        shift: whole number, or one for each element of the last axis; below zero multiplies.
        lowest: smallest result, -2^15 or above.
        highest: largest result, below 2^16.

    Returns:
        int64, of the accumulators' shape.
    """
    shifts = np.asarray(shift, dtype=np.int64)
    right = np.clip(shifts, 0, _MOST_SHIFT)
    # Half a step less 1 carries what is above the half; at just the half, the last bit that stays has to help.
    half = (np.int64(1) << right) >> 1
    carry = np.where(right > 0, half - 1 + ((accumulators >> right) & 1), 0)
    rounded = (accumulators + carry) >> right
    if (shifts < 0).any():
        # What saturates in any case is cut first, so that no bit is lost beyond the 63rd.
        limit = np.int64(1) << _WIDEST
        left = np.clip(-shifts, 0, _WIDEST)
        rounded = np.where(shifts < 0, rounded.clip(-limit, limit) << left, rounded)
    return rounded.clip(lowest, highest)
