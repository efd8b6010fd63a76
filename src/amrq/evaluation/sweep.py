# SPDX-License-Identifier: GPL-3.0-or-later
"""Accuracy against one thing that a channel does."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amrq.evaluation.share import Share

__all__ = ["Sweep"]


@dataclass(frozen=True, eq=False)
class Sweep:
    """Right decisions among the named modulations, on the same symbols and noise at every value.

    Attributes:
        name: what is swept.
        unit: of the values.
        es_n0_db: Es/N0 in dB.
        values: V of them, rising.
        right: int64 [V, T], chunks of each modulation decided rightly.
        chunks: chunks of each modulation at each value.
    """

    name: str
    unit: str
    es_n0_db: float
    values: tuple[float, ...]
    right: NDArray[np.int64]
    chunks: int

    def shares(self) -> list[Share]:
        """Return right decisions over all modulations, one for each value."""
        return [Share(int(row.sum()), self.chunks * len(row)) for row in self.right]

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return {
            "name": self.name,
            "unit": self.unit,
            "es_n0_db": self.es_n0_db,
            "values": list(self.values),
            "chunks_per_class": self.chunks,
            "right_per_class": self.right.tolist(),
            "accuracy": [share.as_dict() for share in self.shares()],
        }
