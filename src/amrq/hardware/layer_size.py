# SPDX-License-Identifier: GPL-3.0-or-later
"""What Algorithm II wants to know of a layer."""

from dataclasses import dataclass
from typing import Literal

__all__ = ["LayerSize"]


@dataclass(frozen=True)
class LayerSize:
    """The size of one layer.

    Attributes:
        name: for tables.
        kind: `convolution`, `dense` (fully connected) or `max pool`.
        weights: weights that are not zero (N_w); 0 for a max pool.
        biases: biases that are not zero (N_b); 0 for a max pool.
        bits: width of a weight (B).
        multiplications: of weights that are not zero, a chunk; 0 where it is not known.
    """

    name: str
    kind: Literal["convolution", "dense", "max pool"]
    weights: int
    biases: int
    bits: int
    multiplications: int = 0
