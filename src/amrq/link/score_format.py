# SPDX-License-Identifier: GPL-3.0-or-later
"""How scores are written in a message."""

from enum import IntEnum

import numpy as np

__all__ = ["ScoreFormat"]


class ScoreFormat(IntEnum):
    """An array [N, H], little-endian; a score times the message's scale is a logit."""

    INT32 = 1
    """Accumulators of the last layer."""
    FLOAT32 = 2
    """Logits; the scale is 1."""

    @property
    def dtype(self) -> np.dtype[np.int32] | np.dtype[np.float32]:
        """Of a score."""
        return np.dtype({1: "<i4", 2: "<f4"}[self.value])

    @property
    def bit(self) -> int:
        """Its bit in a mask of formats."""
        return 1 << self.value
