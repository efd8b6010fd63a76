# SPDX-License-Identifier: GPL-3.0-or-later
"""What every classifier can do, wherever it computes."""

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from amrq.classifier.evidence import Evidence
from amrq.model import Contract

__all__ = ["Backend", "Classifier"]


class Classifier(Protocol):
    """A classifier on this machine's CPU, or on a board behind a link."""

    @property
    def contract(self) -> Contract:
        """What the model promises and needs."""
        ...

    def open(self) -> None:
        """Get ready for a run: connect, if there is something to connect to."""
        ...

    def classify(
        self, chunks: NDArray[np.complex64], tracked_power: NDArray[np.float32] | None = None
    ) -> Evidence:
        """Classify complex64 [N, L] chunks; N may be 0.

        Args:
            chunks: complex64 [N, L].
            tracked_power: float32 [N], mean |z|^2 of the stream around each chunk, NaN where it is not known; None if
                it is known nowhere.
        """
        ...

    def close(self) -> None:
        """Give back what `open` took; a next run opens it again."""
        ...


class Backend(Protocol):
    """Where chunks are classified: a record of options that makes a classifier."""

    def classifier(
        self, model: str, live: bool = False, say: Callable[[str], None] | None = None
    ) -> Classifier:
        """Return a classifier that runs a model there.

        Args:
            model: path of an ONNX file, name of a shipped model, or `default`.
            live: the stream must not be held up.
            say: called with a sentence for people; None: the log.

        Raises:
            AmrqError: the model or a value cannot be used.
        """
        ...
