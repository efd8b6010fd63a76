# SPDX-License-Identifier: GPL-3.0-or-later
"""What every source of samples from outside has in common."""

import abc
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from amrq.errors import AmrqError
from amrq.plain_text import printable
from amrq.recordings import RAW_FORMATS
from amrq.sources.sample_check import SampleCheck
from amrq.sources.source_counts import SourceCounts

__all__ = ["Feed", "Piece", "StreamTag"]

_NOTHING = np.empty(0, dtype=np.complex64)


@dataclass(frozen=True)
class StreamTag:
    """Something known of a sample.

    Attributes:
        index: of the sample, within its piece.
        key: as GNU Radio names it, `rx_freq` for instance.
        value: a number, or a PMT as GNU Radio serialises it.
    """

    index: int
    key: str
    value: float | bytes


@dataclass(frozen=True)
class Piece:
    """Samples that came together.

    Attributes:
        samples: complex64 [N]; N may be 0.
        broken: samples were lost before the first of these.
        tags: what is known of them, in the order of their indices.
    """

    samples: NDArray[np.complex64] = field(default_factory=lambda: _NOTHING)
    broken: bool = False
    tags: tuple[StreamTag, ...] = ()


class Feed(abc.ABC):
    """Samples as they come from outside, piece by piece.

    Args:
        name: of where they come from, for people.
        format: a name in `amrq.recordings.RAW_FORMATS`.

    Attributes:
        report: called with a sentence where something is to be known; in any thread. A warning in the log at first.

    Raises:
        AmrqError: there is no such format.
    """

    def __init__(self, name: str, format: str) -> None:
        if format not in RAW_FORMATS:
            raise AmrqError(f"there is no sample format {format!r}: choose from {', '.join(RAW_FORMATS)}.")
        self.name = name
        self.format = format
        self.report: Callable[[str], None] = logging.getLogger("amrq").warning
        self._raw = RAW_FORMATS[format]
        self._check = SampleCheck(format)
        self._refused = 0

    @abc.abstractmethod
    def read(self, patience: float) -> Piece | None:
        """Return what comes next; no samples where none came for so long; None where none will come any more.

        Args:
            patience: seconds to wait for it; 0 takes only what is there.

        Raises:
            AmrqError: the source failed.
        """

    def counts(self) -> SourceCounts:
        """Return what went wrong on the way so far."""
        return SourceCounts(refused=self._refused)

    def close(self) -> None:  # noqa: B027  some have nothing to close
        """Give back what was opened."""

    def _decoded(self, data: bytes) -> NDArray[np.complex64]:
        """Return bytes, whole samples, as complex64."""
        if data and (sentence := self._check.look(data)):
            self.report(f"{printable(self.name)}: {sentence}")
        return self._raw.decode(np.frombuffer(data, self._raw.dtype))

    def _refuse(self, reason: str) -> None:
        """Count something that is no samples; report the first, the tenth, the hundredth and so on."""
        self._refused += 1
        if str(self._refused).strip("0") == "1":
            others = "" if self._refused == 1 else f" ({self._refused} so far)"
            self.report(f"{printable(self.name)}: {reason}; it is left out{others}.")
