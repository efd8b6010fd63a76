# SPDX-License-Identifier: GPL-3.0-or-later
"""Chunks of a recording, with labels."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amrq.errors import AmrqError
from amrq.labels.label_name import LABELS

__all__ = ["LabelledChunks"]


@dataclass(frozen=True, eq=False)
class LabelledChunks:
    """Chunks of one recording, as a symbol front end left them.

    Attributes:
        name: of the files; the recording's, and behind an `@` the offset in Hz where it is not 0.
        source: file name of the recording.
        recording_sha256: of its samples (complex64, as read).
        sample_rate: of the recording, Hz.
        symbol_rate: Bd.
        offset: of the signal from the middle of the band, Hz.
        chunks: complex64 [N, L], one sample a symbol, any level and rotation; finite, none silent.
        labels: uint8 [N], index in `LABELS`.
        sample_index: int64 [N], rising: sample of the recording at which each chunk begins.
        es_n0_db: float32 [N], Es/N0 of each chunk where it is known, as in a simulation; None where it is not.
        dropped: how many other chunks were left out, by reason.
        sha256: of the file of arrays; empty until written.

    Raises:
        AmrqError: the arrays are not such.
    """

    name: str
    source: str
    recording_sha256: str
    sample_rate: float
    symbol_rate: float
    offset: float
    chunks: NDArray[np.complex64]
    labels: NDArray[np.uint8]
    sample_index: NDArray[np.int64]
    dropped: dict[str, int] = field(default_factory=dict)
    sha256: str = ""
    es_n0_db: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        """Refuse what no reader could use."""

        def require(holds: Any, what: str) -> None:
            if not holds:
                raise AmrqError(f"the labelled chunks {self.name} cannot be used: {what}.")

        chunks, labels, index = self.chunks, self.labels, self.sample_index
        arrays: list[tuple[NDArray[Any], type[np.generic], int, str]] = [
            (chunks, np.complex64, 2, "chunks"),
            (labels, np.uint8, 1, "labels"),
            (index, np.int64, 1, "sample_index"),
        ]
        if self.es_n0_db is not None:
            arrays.append((self.es_n0_db, np.float32, 1, "es_n0_db"))
        for array, dtype, axes, name in arrays:
            require(
                array.dtype == dtype and array.ndim == axes,
                f"{name} must be {np.dtype(dtype).name} of {axes} axes, not {array.dtype} of {array.ndim}",
            )
            require(
                len(array) == len(chunks),
                f"there are {len(chunks)} chunks but {len(array)} entries in {name}",
            )
        require(len(chunks) >= 1 and chunks.shape[1] >= 2, f"chunks of shape {chunks.shape} hold nothing")
        require(
            labels.max(initial=0) < len(LABELS), f"label {labels.max(initial=0)} is none of {len(LABELS)}"
        )
        require((np.diff(index) > 0).all() and index[0] >= 0, "sample_index does not rise from 0 up")
        require(np.isfinite(chunks).all(), "a chunk holds a number that is not finite")
        require((np.abs(chunks) ** 2).mean(axis=1).min() > 0, "a chunk is silent")
        if self.es_n0_db is not None:
            require(np.isfinite(self.es_n0_db).all(), "an Es/N0 is not finite")
        for rate in (self.sample_rate, self.symbol_rate):
            require(np.isfinite(rate) and rate > 0, f"{rate} is no rate")
        require(np.isfinite(self.offset), f"{self.offset} is no offset")

    @property
    def chunk_length(self) -> int:
        """Symbols a chunk (L)."""
        return int(self.chunks.shape[1])

    @property
    def counts(self) -> dict[str, int]:
        """Chunks by label, in the order of `LABELS`."""
        counted = Counter(self.labels.tolist())
        return {LABELS[number]: counted[number] for number in sorted(counted)}
