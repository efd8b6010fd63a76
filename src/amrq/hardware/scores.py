# SPDX-License-Identifier: GPL-3.0-or-later
"""What a network in integers says of chunks."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Scores"]


class Scores(NamedTuple):
    """Logits as integers.

    Attributes:
        integers: int64 [N, H], the last layer's accumulators, brought to one unit by shifts to the left.
        exponent: score s stands for the logit s times 2^exponent.
    """

    integers: NDArray[np.int64]
    exponent: int

    @property
    def logits(self) -> NDArray[np.float32]:
        """float32 [N, H]; exact below 2^24, and rounded as ONNX Runtime rounds beyond."""
        return np.ldexp(self.integers.astype(np.float32), self.exponent)
