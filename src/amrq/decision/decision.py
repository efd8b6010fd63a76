# SPDX-License-Identifier: GPL-3.0-or-later
"""What was decided, about which samples, on how much evidence."""

from dataclasses import dataclass
from typing import Any

__all__ = ["Decision"]


@dataclass(frozen=True)
class Decision:
    """One decision.

    Attributes:
        label: a modulation, `unknown` or `no signal`.
        confidence: probability of the best class given the chunks, 0 to 1; for silent chunks 1.
        best: the most probable class, also where the label is `unknown`; empty for silent chunks.
        log_probabilities: class name to fused natural log-probability; empty for silent chunks.
        chunks: how many chunks were taken in for it (what is remembered of earlier ones not counted).
        sample_index: index of the first sample of the first of these chunks in the stream of symbols.
        sample_count: from there to the end of the last one.
        es_n0_db: estimate of Es/N0 in dB if the label is right; None where the model does not weigh noise levels.
        power_db: mean power of these chunks in dB relative to 1; None for silent chunks.

    The label `no signal` comes from silence (chunks without power, or below a gate), or from a model with such a class,
    which took the chunks for noise alone: `best` tells the two apart.
    """

    label: str
    confidence: float
    best: str
    log_probabilities: dict[str, float]
    chunks: int
    sample_index: int
    sample_count: int
    es_n0_db: float | None
    power_db: float | None

    def as_dict(self) -> dict[str, Any]:
        """Return plain Python values, ready for JSON."""
        return {
            "label": self.label,
            "confidence": round(self.confidence, 6),
            "best": self.best,
            "log_probabilities": {k: round(v, 4) for k, v in self.log_probabilities.items()},
            "chunks": self.chunks,
            "sample_index": self.sample_index,
            "sample_count": self.sample_count,
            "es_n0_db": None if self.es_n0_db is None else round(self.es_n0_db, 1),
            "power_db": None if self.power_db is None else round(self.power_db, 2),
        }
