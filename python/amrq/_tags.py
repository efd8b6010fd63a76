# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading a source's tags: time, frequency, sample rate, breaks of the stream."""

import math
from collections.abc import Iterable
from datetime import datetime, timedelta, timezone
from operator import itemgetter
from typing import Any

import pmt

from amrq.outputs import SigmfRecorder

__all__ = [
    "BREAKS",
    "OVERFLOW_KEY",
    "Breaks",
    "add_tag",
    "made_time",
    "read_number",
    "read_time",
    "tags_between",
]

OVERFLOW_KEY = "rx_overflow"
"""Tag on the first sample after an overflow: a PMT uint64, how many there were so far. Its value is never the same
twice: a timing loop that repeats the tag makes no second overflow of it."""

BREAKS = ("rx_freq", "rx_time", "rx_rate", OVERFLOW_KEY)
"""A source puts these on the first sample after a retune, an overflow, a lost connection or a change of rate."""


def tags_between(block: Any, start: int, stop: int) -> list[tuple[int, str, Any]]:
    """Return offset, key and tag of the tags on a block's first input from one item on and up to one, in order.

    Each look at a tag's attribute makes an object: they are read once.
    """
    found = [
        (tag.offset, pmt.symbol_to_string(tag.key), tag) for tag in block.get_tags_in_range(0, start, stop)
    ]
    found.sort(key=itemgetter(0))
    return found


def read_number(value: Any) -> float | None:
    """Return the value of a tag `rx_freq` or `rx_rate` as a number; None if it is not a finite number."""
    if not pmt.is_real(value):
        return None
    number = float(pmt.to_double(value))
    return number if math.isfinite(number) else None


def read_time(value: Any) -> float | None:
    """Return the value of a tag `rx_time` in seconds; None if it is not a time.

    A radio gives a tuple of whole seconds and their fraction, counted from 1970 or from a moment of its own.
    """
    if not (pmt.is_tuple(value) and pmt.length(value) == 2):
        return None
    try:
        seconds = float(pmt.to_uint64(pmt.tuple_ref(value, 0)) + pmt.to_double(pmt.tuple_ref(value, 1)))
    except (RuntimeError, ValueError, TypeError):  # members of another kind
        return None
    return seconds if math.isfinite(seconds) else None


def made_time(moment: datetime) -> Any:
    """Return a time as a radio gives it: a tuple of whole seconds since 1970 and their fraction."""
    since = moment - datetime.fromtimestamp(0, timezone.utc)
    whole = since // timedelta(seconds=1)
    rest = (since - timedelta(seconds=whole)).total_seconds()
    return pmt.make_tuple(pmt.from_uint64(whole), pmt.from_double(rest))


def add_tag(recorder: SigmfRecorder, tag: Any, position: int, now: float) -> None:
    """Hand a tag `rx_time`, `rx_freq` or `rx_overflow` to a recorder; ignore any other tag.

    Args:
        recorder: the recorder.
        tag: any tag.
        position: of its sample in the recorder's stream.
        now: the computer's clock, seconds since 1970.
    """
    key = pmt.symbol_to_string(tag.key)
    if key == "rx_freq" and (frequency := read_number(tag.value)) is not None:
        recorder.add_frequency(position, frequency)
    elif key == "rx_time" and (seconds := read_time(tag.value)) is not None:
        recorder.add_time(position, seconds, now)
    elif key == OVERFLOW_KEY:
        recorder.add_break(position)


class Breaks:
    """Find, in a stream's tags, the samples before which the stream broke.

    Receivers and timing loops repeat tags: a tag marks a break only if its value is new.
    """

    def __init__(self) -> None:
        self._values: dict[str, Any] = {}

    def changes(self, tags: Iterable[Any]) -> list[tuple[int, dict[str, Any]]]:
        """Return the breaks among tags, in order: the offset of each, and the new values there, by key.

        Args:
            tags: any; they are given once, in any order within a call.
        """
        found: list[tuple[int, dict[str, Any]]] = []
        for tag in sorted(tags, key=lambda tag: tag.offset):
            key = pmt.symbol_to_string(tag.key)
            if key not in BREAKS:
                continue
            known = key in self._values and pmt.equal(self._values[key], tag.value)
            self._values[key] = tag.value
            if known:
                continue
            if not found or found[-1][0] != tag.offset:
                found.append((int(tag.offset), {}))
            found[-1][1][key] = tag.value
        return found

    def find(self, tags: Iterable[Any]) -> list[int]:
        """Return the offsets of the breaks among tags, in order."""
        return [offset for offset, _ in self.changes(tags)]
