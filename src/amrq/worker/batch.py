# SPDX-License-Identifier: GPL-3.0-or-later
"""What is handed to the worker at a time."""

from collections.abc import Sequence
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
        breaks: chunk numbers (0 to N-1) before which the stream broke (a retune, an overflow): nothing is fused
            or tracked across them.
        gaps: chunk numbers before which chunks were dropped: nothing is fused across them, but the stream is the same.
    """

    chunks: NDArray[np.complex64]
    sample_indices: NDArray[np.int64]
    truths: tuple[tuple[int, str | None], ...] = field(default=())
    breaks: tuple[int, ...] = field(default=())
    gaps: tuple[int, ...] = field(default=())

    def split(self, count: int) -> "tuple[Batch, Batch]":
        """Return the first `count` chunks and the rest; the tags go with their chunks."""
        if count >= len(self.chunks):
            return self, Batch(self.chunks[:0], self.sample_indices[:0])
        border = self.sample_indices[count]
        first = Batch(
            self.chunks[:count],
            self.sample_indices[:count],
            tuple(truth for truth in self.truths if truth[0] < border),
            tuple(chunk for chunk in self.breaks if chunk < count),
            tuple(chunk for chunk in self.gaps if chunk < count),
        )
        rest = Batch(
            self.chunks[count:],
            self.sample_indices[count:],
            tuple(truth for truth in self.truths if truth[0] >= border),
            tuple(chunk - count for chunk in self.breaks if chunk >= count),
            tuple(chunk - count for chunk in self.gaps if chunk >= count),
        )
        return first, rest

    def without(self, lost: NDArray[np.bool_]) -> "Batch":
        """Return the batch without some chunks; behind them the stream broke. The truths all stay.

        Args:
            lost: bool [N], the chunks to leave out.
        """
        kept = ~lost
        numbers: NDArray[np.int64] = np.cumsum(kept) - kept  # of each chunk among those that stay
        breaks = {*self.breaks, *(np.flatnonzero(lost) + 1).tolist()}
        places = {int(numbers[chunk]) if chunk < len(lost) else int(kept.sum()) for chunk in breaks}
        return Batch(
            self.chunks[kept],
            self.sample_indices[kept],
            self.truths,
            tuple(sorted(place for place in places if place < kept.sum())),
        )

    @staticmethod
    def join(batches: "Sequence[Batch]") -> "Batch":
        """Return one batch of all, in order."""
        if len(batches) == 1:
            return batches[0]
        breaks: list[int] = []
        gaps: list[int] = []
        start = 0
        for batch in batches:
            breaks += [start + chunk for chunk in batch.breaks]
            gaps += [start + chunk for chunk in batch.gaps]
            start += len(batch.chunks)
        return Batch(
            np.concatenate([batch.chunks for batch in batches]),
            np.concatenate([batch.sample_indices for batch in batches]),
            tuple(truth for batch in batches for truth in batch.truths),
            tuple(breaks),
            tuple(gaps),
        )
