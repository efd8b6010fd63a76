# SPDX-License-Identifier: GPL-3.0-or-later
"""The history of scans in an SQLite file: written while a band is scanned, and asked later."""

import contextlib
import json
import os
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from amrq.errors import AmrqError, OutputError
from amrq.text import counted, printable

__all__ = ["HistoryQuery", "ScanHistory", "read_history"]

_VERSION = 1
_APPLICATION = 0x616D7271
"""SQLite's application_id: "amrq" in ASCII."""
_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS emissions (number INTEGER PRIMARY KEY, scanned REAL NOT NULL, begun REAL, "
    "source TEXT NOT NULL, id INTEGER NOT NULL, lower REAL NOT NULL, upper REAL NOT NULL, label TEXT NOT NULL, "
    "record TEXT NOT NULL)",
    "CREATE INDEX IF NOT EXISTS emissions_scanned ON emissions (scanned)",
    "CREATE INDEX IF NOT EXISTS emissions_lower ON emissions (lower)",
)
_PATIENCE = 5.0
"""Seconds that a file which another program writes is waited for, when it is opened, closed or read."""
_HELD_UP = 0.1
"""Seconds that a record waits for such a file while a band is scanned; then it is written with a later one."""
_AGAIN = 1.0
"""Seconds until the next try to write."""
_MOST_WAITING = 10_000
"""Records that wait to be written; beyond that the oldest are lost."""
_LARGEST = 2**63 - 1  # number of SQLite

_Row = tuple[float, float | None, str, int, float, float, str, str]


class ScanHistory:
    """Appends the records of emissions that are over to an SQLite file, which is made where there is none.

    `begun` is when an emission began, in seconds since 1970, where the source tells; `scanned` when its record was
    written; `record` the record itself, as JSON. Each record is in the file as soon as it is written, and several scans
    may write into one file, one after the other or at a time, while others read it.

    A file that cannot be written for a while holds nobody up: records wait, and are written later.

    Args:
        path: the file.
        say: called with a sentence when records begin to wait; None: nobody is told.

    Raises:
        OutputError: it cannot be opened, or is something else.
    """

    def __init__(self, path: str | os.PathLike[str], say: Callable[[str], None] | None = None) -> None:
        self.path = Path(path)
        self.lost = 0
        """Records that could not be kept."""
        self._say = say or (lambda text: None)
        self._waiting: deque[_Row] = deque()
        self._next, self._why, self._told, self._ready = 0.0, "", False, False
        try:
            self._file = sqlite3.connect(
                self.path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False
            )
        except sqlite3.Error as error:
            raise self._refusal(error) from None
        try:
            self._prepare()
        except OutputError:
            self._file.close()
            raise
        except sqlite3.Error as error:
            if not _is_locked(error):
                self._file.close()
                raise self._refusal(error) from None
            self._wait(error)

    def _prepare(self) -> None:
        """Make the table where there is none."""
        _check(self._file, self.path, new=True)
        (tables,) = self._file.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
        with contextlib.suppress(
            sqlite3.OperationalError
        ):  # another program is at it, or the disk allows none
            self._file.execute("PRAGMA journal_mode = WAL")
        self._file.execute("PRAGMA synchronous = NORMAL")
        if not tables:
            steps = (*_SCHEMA, f"PRAGMA application_id = {_APPLICATION}", f"PRAGMA user_version = {_VERSION}")
            self._file.execute("BEGIN IMMEDIATE")
            try:
                for step in steps:
                    self._file.execute(step)
                self._file.execute("COMMIT")
            finally:
                self._take_back()
        self._ready = True

    def write(self, record: Mapping[str, Any]) -> None:
        """Append the record of an emission that is over; others, and parts of emissions, are passed over.

        Where the file cannot be written at the moment, the record waits.

        Raises:
            OutputError: the file is no history any more.
        """
        if record["event"] != "end" or record.get("part_of"):
            return
        if len(self._waiting) >= _MOST_WAITING:
            self._waiting.popleft()
            self.lost += 1
        self._waiting.append(
            (
                time.time(),
                _seconds(record["utc"]),
                _storable(record["source"]),
                record["id"],
                record["freq_lower_edge"],
                record["freq_upper_edge"],
                _storable(record["label"]),
                json.dumps(dict(record)),
            )
        )
        if time.monotonic() >= self._next:
            self._flush(_HELD_UP)

    def _flush(self, patience: float) -> None:
        """Write what waits, if that is possible within some seconds."""
        if not self._waiting:
            return
        try:
            self._file.execute(f"PRAGMA busy_timeout = {round(1000 * patience)}")
            if not self._ready:
                self._prepare()
            self._file.execute("BEGIN IMMEDIATE")
            try:
                self._file.executemany(
                    "INSERT INTO emissions (scanned, begun, source, id, lower, upper, label, record) "
                    "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    self._waiting,
                )
                self._file.execute("COMMIT")
            finally:
                self._take_back()
        except sqlite3.Error as error:
            self._wait(error)
            return
        self._waiting.clear()
        self._told = False

    def _take_back(self) -> None:
        """End what was begun and could not be completed."""
        if self._file.in_transaction:
            with contextlib.suppress(sqlite3.Error):
                self._file.execute("ROLLBACK")

    def _wait(self, error: sqlite3.Error) -> None:
        self._next, self._why = time.monotonic() + _AGAIN, printable(error)
        if not self._told:
            self._told = True
            self._say(
                f"the history {printable(self.path)} cannot be written now ({self._why}): records wait, and the scan "
                "goes on."
            )

    def close(self) -> None:
        """Write what is left.

        Raises:
            OutputError: records could not be written.
        """
        try:
            self._flush(_PATIENCE)
            self.lost += len(self._waiting)
            self._waiting.clear()
            # One file, without others beside it, can be copied and read anywhere; another scan may still need them.
            with contextlib.suppress(sqlite3.Error):
                self._file.execute("PRAGMA busy_timeout = 0")
                self._file.execute("PRAGMA journal_mode = DELETE")
        finally:
            self._file.close()
        if self.lost:
            raise OutputError(
                f"{counted(self.lost, 'emission')} not kept: the history {printable(self.path)} cannot be written: "
                f"{self._why}."
            )

    def _refusal(self, error: Exception) -> OutputError:
        return OutputError(
            f"the history {printable(self.path)} cannot be opened: {printable(error)}; give another file."
        )


def _is_locked(error: sqlite3.Error) -> bool:
    return any(word in str(error) for word in ("locked", "busy"))


def _storable(text: str) -> str:
    """Return a text that SQLite can hold: names of files may be no text."""
    return text.encode("utf-8", "replace").decode("utf-8")


@dataclass(frozen=True)
class HistoryQuery:
    """What is asked of a history.

    Attributes:
        since: emissions that began, or else were scanned, at this time or later, seconds since 1970; None: all.
        until: those before this time; None: all.
        lower: emissions that reach above this frequency, Hz; None: all.
        upper: those that reach below this one, Hz; None: all.
        label: those of this name, whatever its case; empty: all.
        family: those of this family; empty: all.
        most: the last so many; 0: all.
    """

    since: float | None = None
    until: float | None = None
    lower: float | None = None
    upper: float | None = None
    label: str = ""
    most: int = 0
    family: str = ""


def read_history(path: str | os.PathLike[str], query: HistoryQuery | None = None) -> Iterator[dict[str, Any]]:
    """Yield the records of a history, in the order of their times.

    Args:
        path: the file, which is not changed.
        query: what is asked; None: everything.

    Raises:
        AmrqError: there is no such file, or it is no history.
    """
    query, path = query or HistoryQuery(), Path(path)
    if not path.is_file():
        raise AmrqError(f"there is no history {printable(path)}: amrq scan --database makes one.")
    try:
        # All at once: who reads slowly would hold up a scan that writes.
        for text in _texts(path, query):
            record = json.loads(text)
            if not isinstance(record, dict):
                raise ValueError("a record is no object")
            yield record
    except (sqlite3.Error, ValueError) as error:
        if isinstance(error, sqlite3.Error) and _is_locked(error):
            raise AmrqError(
                f"the history {printable(path)} cannot be read now: another program holds it. Try again."
            ) from None
        raise AmrqError(f"{printable(path)} is not a history of amrq scan: {printable(error)}.") from None


def _texts(path: Path, query: HistoryQuery) -> list[str]:
    """Return the records that are asked for, as JSON."""
    wanted, values = _where(query)
    newest = f"SELECT * FROM emissions {wanted} ORDER BY COALESCE(begun, scanned) DESC, number DESC"
    if query.most:
        newest += " LIMIT ?"
        values.append(min(query.most, _LARGEST))
    asked = f"SELECT record FROM ({newest}) ORDER BY COALESCE(begun, scanned), number"
    uri = path.absolute().as_uri()
    for mode in ("mode=ro", "immutable=1"):
        file = sqlite3.connect(f"{uri}?{mode}", uri=True, timeout=_PATIENCE)
        try:
            _check(file, path, new=False)
            return [text for (text,) in file.execute(asked, values)]
        except sqlite3.OperationalError as error:
            # What a scan that was killed left in a folder that cannot be written: nobody writes there now.
            cannot = "unable to open" in str(error) or "readonly" in str(error)
            if mode == "immutable=1" or not cannot:
                raise
        finally:
            file.close()
    return []


def _where(query: HistoryQuery) -> tuple[str, list[Any]]:
    """Return the WHERE of a query and its values."""
    parts: list[str] = []
    values: list[Any] = []
    for part, value in (
        ("COALESCE(begun, scanned) >= ?", query.since),
        ("COALESCE(begun, scanned) < ?", query.until),
        ("upper >= ?", query.lower),
        ("lower <= ?", query.upper),
        ("label = ? COLLATE NOCASE", _storable(query.label) or None),
        ("json_extract(record, '$.family') = ? COLLATE NOCASE", _storable(query.family) or None),
    ):
        if value is not None:
            parts.append(part)
            values.append(value)
    return (f"WHERE {' AND '.join(parts)}" if parts else ""), values


def _check(file: sqlite3.Connection, path: Path, new: bool) -> None:
    """Refuse a database that is not a history.

    Raises:
        OutputError: it is not one.
    """
    (application,) = file.execute("PRAGMA application_id").fetchone()
    (version,) = file.execute("PRAGMA user_version").fetchone()
    (tables,) = file.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
    if new and not application and not tables:
        return
    if application != _APPLICATION:
        raise OutputError(
            f"{printable(path)} is a database, but not a history of amrq scan: give another file."
        )
    if version != _VERSION:
        raise OutputError(
            f"the history {printable(path)} is of version {version}; this program reads {_VERSION}."
        )


def _seconds(utc: str | None) -> float | None:
    if utc is None:
        return None
    return datetime.fromisoformat(utc.replace("Z", "+00:00")).astimezone(timezone.utc).timestamp()
