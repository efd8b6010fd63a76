# SPDX-License-Identifier: GPL-3.0-or-later
"""What Algorithm II wants to know of a layer."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

__all__ = ["LayerSize", "count_weights"]


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


def count_weights(layers: Iterable[LayerSize]) -> tuple[int, int]:
    """Return how many weights and how many biases of all layers are not zero."""
    sizes = list(layers)
    return sum(size.weights for size in sizes), sum(size.biases for size in sizes)
