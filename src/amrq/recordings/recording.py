# SPDX-License-Identifier: GPL-3.0-or-later
"""A recording, whatever file it is in."""

import abc
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from amrq.errors import AmrqError

__all__ = ["Annotation", "Recording"]


@dataclass(frozen=True)
class Annotation:
    """What somebody says of a stretch of a recording: `count` samples from sample `start` on are `label`."""

    start: int
    count: int
    label: str


class Recording(abc.ABC):
    """Complex samples in a file, read piece by piece.

    Attributes:
        path: the file.
        sample_rate: samples a second.
        frequency: what 0 Hz stands for, in Hz; None where the file does not say.
        annotations: truth or opinion about stretches of it, in order.
        length: number of samples.
    """

    def __init__(
        self,
        path: Path,
        sample_rate: float,
        length: int,
        frequency: float | None = None,
        annotations: tuple[Annotation, ...] = (),
    ) -> None:
        if not (np.isfinite(sample_rate) and sample_rate > 0):
            raise AmrqError(
                f"the sample rate of {path} must be above 0 Hz, not {sample_rate}: give the right one (--rate)."
            )
        if length < 1:
            raise AmrqError(f"{path} holds no samples.")
        self.path = path
        self.sample_rate = float(sample_rate)
        self.frequency = frequency
        self.annotations = annotations
        self.length = int(length)

    @abc.abstractmethod
    def _read(self, start: int, count: int) -> NDArray[np.complex64]:
        """Return complex64 samples; `start` and `count` lie inside the recording."""

    def read(self, start: int, count: int) -> NDArray[np.complex64]:
        """Return up to `count` samples from sample `start` on: complex64, full scale 1 for integer formats.

        Raises:
            AmrqError: the file ends before its own length, or holds samples that are not finite.
        """
        count = max(0, min(count, self.length - start))
        if count == 0:
            return np.empty(0, dtype=np.complex64)
        samples = self._read(start, count)
        if len(samples) != count:
            raise AmrqError(
                f"{self.path} ends at sample {start + len(samples)} of {self.length}: the file is truncated."
            )
        finite = np.isfinite(samples)
        if not finite.all():
            first = start + int(np.argmin(finite))
            raise AmrqError(
                f"sample {first} of {self.path} is not a finite number: repair the recording, or check that "
                "its format is the one given."
            )
        return samples
