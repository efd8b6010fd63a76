# SPDX-License-Identifier: GPL-3.0-or-later
"""Processor time of this process by thread, by the names that GNU Radio gives its blocks' threads (Linux)."""

import re
import threading
from collections import Counter
from pathlib import Path

__all__ = ["ThreadTimes", "thread_seconds"]

_LOOK = 0.2  # seconds between two looks: a thread that has ended is known no more
_OTHERS = {"python3": "classifier and decisions", "python": "classifier and decisions"}
"""Threads of Python have the process's own name: here those are the classifier's and the decisions'."""


def thread_seconds(but: int | None = None) -> Counter[str]:
    """Return seconds of processor time by thread, without that of a number; those of one name are added."""
    found: Counter[str] = Counter()
    for task in Path("/proc/self/task").iterdir():
        if task.name == str(but):
            continue
        try:
            name = (task / "comm").read_text().strip()
            used = int((task / "schedstat").read_text().split()[0])
        except (OSError, ValueError, IndexError):  # it has just ended
            continue
        name = _OTHERS.get(name, re.sub(r"\d+$", "", name))  # GNU Radio adds the block's number
        found[name] += used / 1e9
    return found


class ThreadTimes:
    """Processor time that threads take while this context is open.

    >>> with ThreadTimes() as times:
    ...     sum(range(100_000))
    4999950000
    >>> sum(times.seconds.values()) > 0
    True
    """

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        """By thread, once the context is closed."""
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)

    def __enter__(self) -> "ThreadTimes":
        """Begin."""
        self._begun = thread_seconds()
        self._most = self._begun.copy()
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        """End."""
        self._look()
        self._over.set()
        self._thread.join()
        self.seconds = self._most - self._begun

    def _look(self) -> None:
        for name, used in thread_seconds(self._thread.native_id).items():
            self._most[name] = max(self._most[name], used)

    def _follow(self) -> None:
        while not self._over.wait(_LOOK):
            self._look()
