# SPDX-License-Identifier: GPL-3.0-or-later
"""Where every chunk went."""

from dataclasses import asdict, dataclass

__all__ = ["Statistics"]


@dataclass
class Statistics:
    """Counters since the start; received = classified + silent + not_finite + dropped + queued.

    Attributes:
        received: chunks taken from the stream.
        classified: chunks that a model gave evidence on.
        silent: chunks without power, which nothing can be said of.
        not_finite: chunks with a NaN or an infinity in them.
        dropped: chunks thrown away because the classifier was too slow for a live stream, or a board was gone.
        queued: chunks waiting or being worked on.
        decisions: decisions made.
    """

    received: int = 0
    classified: int = 0
    silent: int = 0
    not_finite: int = 0
    dropped: int = 0
    queued: int = 0
    decisions: int = 0

    def as_dict(self) -> dict[str, int]:
        """Return the counters by name."""
        return asdict(self)
