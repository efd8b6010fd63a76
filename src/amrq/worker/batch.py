# SPDX-License-Identifier: GPL-3.0-or-later
"""What is handed to the worker at a time."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

__all__ = ["Batch"]


@dataclass(frozen=True)
class Batch:
    """Consecutive chunks and what was tagged on them.

    Attributes:
        chunks: complex64 [N, L].
        sample_indices: int64 [N], index of each chunk's first sample in the stream.
        truths: (sample index, class name) where a known class begins, (sample index, None) where it ends, in order.
        retunes: chunk numbers (0 to N-1) at which the receiver was retuned: nothing is fused across them.
    """

    chunks: NDArray[np.complex64]
    sample_indices: NDArray[np.int64]
    truths: tuple[tuple[int, str | None], ...] = field(default=())
    retunes: tuple[int, ...] = field(default=())
