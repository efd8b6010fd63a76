# SPDX-License-Identifier: GPL-3.0-or-later
"""What a model says at one Es/N0."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from amrq.model import Contract

__all__ = ["EsN0Axis"]


@dataclass(frozen=True)
class EsN0Axis:
    """Where on the axis of Es/N0 the hypotheses of T classes lie.

    Attributes:
        columns: for each class, its hypotheses' Es/N0 in dB, rising and at least two, each with its column.
    """

    columns: tuple[tuple[tuple[float, int], ...], ...]

    @classmethod
    def of(cls, contract: Contract, names: tuple[str, ...]) -> "EsN0Axis | None":
        """Return the axis of some classes; None where one of them is not weighed at two different Es/N0 or more."""
        columns = []
        for name in names:
            weighed = sorted(
                (hypothesis.es_n0_db, column)
                for column, hypothesis in enumerate(contract.weighed())
                if hypothesis.label == name and hypothesis.es_n0_db is not None
            )
            if len(weighed) < 2 or len({level for level, _ in weighed}) < len(weighed):
                return None
            columns.append(tuple(weighed))
        return cls(tuple(columns))

    def at(self, log_likelihoods: NDArray[np.float32], es_n0_db: float) -> NDArray[np.float64]:
        """Return each class's log-likelihood at one Es/N0, on the line through the two hypotheses nearest to it.

        Linear in dB; beyond the outermost hypotheses theirs counts. (Drawn on there, lines are worse: log-likelihoods
        bend down on both sides of their peak.)

        Args:
            log_likelihoods: float32 [N, hypotheses], as in `Evidence`.
            es_n0_db: Es/N0, dB.

        Returns:
            float64 [N, T].
        """
        found = []
        for weighed in self.columns:
            levels = np.array([level for level, _ in weighed])
            below = int(np.clip(np.searchsorted(levels, es_n0_db, "right") - 1, 0, len(levels) - 2))
            share = (es_n0_db - levels[below]) / (levels[below + 1] - levels[below])
            share = float(np.clip(share, 0, 1))
            low, high = (log_likelihoods[:, weighed[below + i][1]].astype(np.float64) for i in (0, 1))
            found.append(low + share * (high - low))
        return np.stack(found, axis=1)
