# SPDX-License-Identifier: GPL-3.0-or-later
"""What a classifier can do besides that depends on something it does not rule."""

from typing import Protocol, runtime_checkable

from amrq.classifier.classifier import Classifier

__all__ = ["LossyClassifier"]


@runtime_checkable
class LossyClassifier(Classifier, Protocol):
    """A classifier that may lose chunks, and may have to wait: one on a board behind a link.

    Chunks that it loses are marked in its evidence.
    """

    def hurry(self, seconds: float) -> None:
        """Let every call of `classify` return within so many seconds, until the next `open`; from any thread."""
        ...

    def counters(self) -> dict[str, int]:
        """Return counters by name; from any thread."""
        ...
