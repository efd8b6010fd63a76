# SPDX-License-Identifier: GPL-3.0-or-later
"""Interleaved raw I/Q samples."""

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from amrq.errors import AmrqError
from amrq.recordings.raw_formats import RAW_FORMATS
from amrq.recordings.recording import Recording

__all__ = ["RawRecording"]

# A float recording outside these magnitudes is far more likely integers read as floats.
_PLAUSIBLE_FLOAT = (1e-15, 1e9)


class RawRecording(Recording):
    """A file of interleaved I and Q values and nothing else.

    Args:
        path: the file.
        format: a name in `RAW_FORMATS`.
        sample_rate: samples a second.

    Raises:
        AmrqError: the file is missing, empty, or its size or values do not fit the format.
    """

    def __init__(self, path: Path, format: str, sample_rate: float) -> None:
        self._format = RAW_FORMATS[format]
        try:
            size = os.path.getsize(path)
        except OSError as error:
            raise AmrqError(f"{path} cannot be read: {error.strerror}.") from None
        sample_size = self._format.sample_size
        if size % sample_size:
            raise AmrqError(
                f"{path} has {size} bytes, which is no whole number of {format} samples ({sample_size} bytes each): "
                "the file is truncated or its format is another one."
            )
        super().__init__(path, sample_rate, size // sample_size)
        self._values = np.memmap(path, dtype=self._format.dtype, mode="r")
        if format == "cf32":
            self._check_plausible()

    def _check_plausible(self) -> None:
        first = np.abs(self._values[:65536].astype(np.float32))
        first = first[np.isfinite(first) & (first > 0)]
        lowest, highest = _PLAUSIBLE_FLOAT
        if len(first) and not lowest < float(np.median(first)) < highest:
            raise AmrqError(
                f"the values of {self.path} have a median magnitude of {float(np.median(first)):.1e}, which no "
                "receiver writes as cf32: give the right format (--format)."
            )

    def _read(self, start: int, count: int) -> NDArray[np.complex64]:
        return self._format.decode(self._values[2 * start : 2 * (start + count)])
