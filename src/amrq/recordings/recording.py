# SPDX-License-Identifier: GPL-3.0-or-later
"""A recording, whatever file it is in."""

import abc
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from amrq.errors import AmrqError

__all__ = ["Annotation", "Recording"]


@dataclass(frozen=True)
class Annotation:
    """What somebody says of a stretch of a recording: `count` samples from sample `start` on are `label`.

    Attributes:
        start: first sample.
        count: samples.
        label: what they are; empty where only something else is said of them.
        band: lower and upper edge, Hz from the middle of the recording's band; None where it says none.
        generator: which program says so; empty where it does not tell.
    """

    start: int
    count: int
    label: str
    band: tuple[float, float] | None = None
    generator: str = ""


class Recording(abc.ABC):
    """Complex samples in a file, read piece by piece.

    Attributes:
        path: the file.
        sample_rate: samples a second.
        tunings: (first sample, what 0 Hz stands for from there on, in Hz), in order; empty where the file does not say.
        annotations: truth or opinion about stretches of it, in order.
        length: number of samples.
        begun: when the first sample was received, with its time zone; None where the file does not say.
    """

    def __init__(
        self,
        path: Path,
        sample_rate: float,
        length: int,
        tunings: tuple[tuple[int, float], ...] = (),
        annotations: tuple[Annotation, ...] = (),
        begun: datetime | None = None,
    ) -> None:
        if not (np.isfinite(sample_rate) and sample_rate > 0):
            raise AmrqError(
                f"the sample rate of {path} must be above 0 Hz, not {sample_rate}: give the right one (--rate)."
            )
        if length < 1:
            raise AmrqError(f"{path} holds no samples.")
        self.path = path
        self.sample_rate = float(sample_rate)
        self.tunings = tunings
        self.annotations = annotations
        self.length = int(length)
        self.begun = begun

    def truths(self) -> list[tuple[int, str | None]]:
        """Return where what is annotated changes: (sample, label), or (sample, None) where nothing is annotated.

        Where annotations overlap, the one that began last counts.
        """
        spans = [(a.start, a.start + a.count, a.label) for a in self.annotations if a.label and a.count > 0]
        changes: list[tuple[int, str | None]] = []
        for edge in sorted({edge for start, end, _ in spans for edge in (start, end)}):
            inside = [span for span in spans if span[0] <= edge < span[1]]
            label = max(inside)[2] if inside else None
            if not changes or changes[-1][1] != label:
                changes.append((edge, label))
        return changes

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
