# SPDX-License-Identifier: GPL-3.0-or-later
"""What a model makes of a signal that is none of the nine."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amrq.evaluation.share import Share
from amrq.modulations import MODULATIONS

__all__ = ["OtherSignal"]


@dataclass(frozen=True, eq=False)
class OtherSignal:
    """Decisions on one kind of other signal.

    Attributes:
        kind: see `amrq.signals.other_signals`.
        fused: chunks whose evidence a fused decision rests on.
        chunk_labels: decisions on one chunk each, by label.
        labels: fused decisions, by label: a modulation, `unknown` or `no signal`.
        scores: float64 [fused decisions], log-odds of the most probable named modulation; see `OpenSet`.
        goal: the largest share of fused decisions that should claim one of the nine; None where none is set
            or the model has no output for anything else.
    """

    kind: str
    fused: int
    chunk_labels: Counter[str]
    labels: Counter[str]
    scores: NDArray[np.float64]
    goal: float | None

    @property
    def claimed(self) -> Share:
        """Fused decisions that claim one of the nine."""
        return _claimed(self.labels)

    @property
    def chunks_claimed(self) -> Share:
        """Decisions on one chunk that claim one of the nine."""
        return _claimed(self.chunk_labels)

    @property
    def mistaken_for(self) -> str:
        """The modulation that most of the false claims name; empty if there are none."""
        claims = {name: self.labels[name] for name in MODULATIONS if self.labels[name]}
        return max(claims, key=lambda name: claims[name]) if claims else ""

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return {
            "kind": self.kind,
            "fused_chunks": self.fused,
            "goal": self.goal,
            "claimed": self.claimed.as_dict(),
            "labels": dict(sorted(self.labels.items())),
            "one_chunk": {
                "claimed": self.chunks_claimed.as_dict(),
                "labels": dict(sorted(self.chunk_labels.items())),
            },
        }


def _claimed(labels: Counter[str]) -> Share:
    return Share(sum(labels[name] for name in MODULATIONS), labels.total())
