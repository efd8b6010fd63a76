# SPDX-License-Identifier: GPL-3.0-or-later
"""What went wrong on the way from a source."""

from dataclasses import dataclass

__all__ = ["SourceCounts"]


@dataclass(frozen=True)
class SourceCounts:
    """Counters of a source since it was made; None where it cannot happen or is not known.

    Attributes:
        overflows: how often samples were lost since they were not fetched in time.
        reconnections: how often the connection was lost and made again.
        refused: messages or packets left out since they are no samples.
        lost: how often samples were lost on the way, where the sender numbers them.
    """

    overflows: int | None = None
    reconnections: int | None = None
    refused: int | None = None
    lost: int | None = None
