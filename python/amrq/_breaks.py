# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a stream breaks, as its tags say it."""

from collections.abc import Iterable
from typing import Any

import pmt
from gnuradio.amrq._overflow_marker import OVERFLOW_KEY

__all__ = ["BREAKS", "Breaks"]

BREAKS = ("rx_freq", "rx_time", "rx_rate", OVERFLOW_KEY)
"""A source puts these on the first sample after a retune, an overflow, a lost connection or a change of rate."""


class Breaks:
    """Finds, in a stream's tags, the samples before which the stream broke.

    Receivers repeat themselves, and so do timing loops: a tag breaks the stream only where its value is new.
    """

    def __init__(self) -> None:
        self._values: dict[str, Any] = {}

    def find(self, tags: Iterable[Any]) -> list[int]:
        """Return the offsets of the breaks among tags, in order; tags are given once, in any order within a call."""
        found: list[int] = []
        for tag in sorted(tags, key=lambda tag: tag.offset):
            key = pmt.symbol_to_string(tag.key)
            if key not in BREAKS:
                continue
            known = key in self._values and pmt.equal(self._values[key], tag.value)
            self._values[key] = tag.value
            if not known and (not found or found[-1] != tag.offset):
                found.append(int(tag.offset))
        return found
