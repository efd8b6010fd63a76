# SPDX-License-Identifier: GPL-3.0-or-later
"""Fewer records, for monitoring: when the answer changes, and now and then."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from amrq.options import at_least, check, described, option

__all__ = ["ALL", "MEANWHILE", "RecordThinner", "Thinning"]

MEANWHILE = 60.0
"""Seconds between two records of an answer that stays, unless another number is given."""

_STREAM = ("source",)
_ANSWER = ("source", "model", "symbol_rate_hz", "frequency_hz", "reason", "label")
"""Fields that make another answer of a record. What an unsure decision perhaps is changes from one to the next."""

_BACK = 1.0
"""Seconds by which the time of a stream goes back that has begun anew; times are measured, each for itself."""


@described
@dataclass(frozen=True)
class Thinning:
    """Which records are written. Seconds are those of the stream (a record's `time`), not of the clock on the wall.

    Raises:
        AmrqError: `every` is not a number of seconds.
    """

    changes: bool = option(
        False,
        "Write a record only when the answer changes, and one a minute meanwhile.",
        choices={False: "No", True: "Yes, and One a Minute"},
        label="Records Only of Changes",
    )
    every: float = option(
        0.0,
        "Write one record in so many seconds of the stream; with 'changes', in place of the minute. 0: all.",
        unit="s",
        within=at_least(0),
        label="Time between Records",
    )

    def __post_init__(self) -> None:
        """Check the values."""
        check(self)

    @property
    def period(self) -> float:
        """Seconds between two records while nothing changes; 0: all are written."""
        return self.every or (MEANWHILE if self.changes else 0.0)


ALL = Thinning()
"""Every record."""


class RecordThinner:
    """Choose, record by record, what is written.

    The first record of a source is. After that one falls due every `period` seconds: the first decision that begins
    then or later. With `changes` another answer is written as soon as it is made, and the period counts from there. An
    answer is another one where its reason or label is, or the source, the frequency, the symbol rate or the model it is
    about. A stream whose time goes back has begun anew.

    Args:
        thinning: what is wanted.

    Example:
        >>> thinner = RecordThinner(Thinning(every=10.0))
        >>> [thinner.takes({"source": "radio", "time": t}) for t in (0.0, 4.0, 8.0, 12.0, 16.0, 20.0)]
        [True, False, False, True, False, True]
    """

    def __init__(self, thinning: Thinning) -> None:
        self._period = thinning.period
        self._fields = _ANSWER if thinning.changes else _STREAM
        self._said: tuple[Any, ...] | None = None
        self._last = self._due = -math.inf

    def takes(self, record: Mapping[str, Any]) -> bool:
        """Return whether a record of `decision_record` is to be written; each is asked for once, in order."""
        if not self._period:
            return True
        now: float = record["time"]
        answer = tuple(record[name] for name in self._fields)
        back, self._last = now < self._last - _BACK, now
        if back or answer != self._said:
            self._said = answer
            self._due = now + self._period
            return True
        if now < self._due:
            return False
        # On the grid of the first one, so that a record every so many seconds is that many in the long run.
        self._due += self._period * (1 + math.floor((now - self._due) / self._period))
        return True
