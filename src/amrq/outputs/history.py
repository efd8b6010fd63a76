# SPDX-License-Identifier: GPL-3.0-or-later
"""The history of scans in an SQLite file: written while a band is scanned, and asked later."""

import json
import os
import sqlite3
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from amrq.errors import AmrqError, OutputError
from amrq.text import printable

__all__ = ["HistoryQuery", "ScanHistory", "read_history"]

_VERSION = 1
_APPLICATION = 0x616D7271
"""SQLite's application_id: "amrq" in ASCII."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS emissions (
    number INTEGER PRIMARY KEY,
    scanned REAL NOT NULL,
    begun REAL,
    source TEXT NOT NULL,
    id INTEGER NOT NULL,
    lower REAL NOT NULL,
    upper REAL NOT NULL,
    label TEXT NOT NULL,
    record TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS emissions_scanned ON emissions (scanned);
CREATE INDEX IF NOT EXISTS emissions_lower ON emissions (lower);
"""
_COMMIT = 1.0
"""Seconds from one commit to the next: a process that is killed loses no more."""
_PATIENCE = 5.0
"""Seconds that a file which another program writes is waited for."""


class ScanHistory:
    """Appends the records of emissions that are over to an SQLite file, which is made where there is none.

    `begun` is when an emission began, in seconds since 1970, where the source tells; `scanned` when its record was
    written; `record` the record itself, as JSON. Several scans may write into one file, one after the other or at a
    time.

    Args:
        path: the file.

    Raises:
        OutputError: it cannot be opened, or is something else.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        try:
            self._file = sqlite3.connect(self.path, timeout=_PATIENCE, check_same_thread=False)
            _check(self._file, self.path, new=True)
            self._file.executescript(_SCHEMA)
            self._file.execute(f"PRAGMA application_id = {_APPLICATION}")
            self._file.execute(f"PRAGMA user_version = {_VERSION}")
            self._file.commit()
        except sqlite3.Error as error:
            raise OutputError(
                f"the history {printable(self.path)} cannot be opened: {printable(error)}; give another file."
            ) from None
        self._committed = time.monotonic()

    def write(self, record: Mapping[str, Any]) -> None:
        """Append the record of an emission that is over; others are passed over.

        Raises:
            OutputError: it cannot be written, since the disk is full for instance.
        """
        if record["event"] != "end":
            return
        row = (
            time.time(),
            _seconds(record["utc"]),
            record["source"],
            record["id"],
            record["freq_lower_edge"],
            record["freq_upper_edge"],
            record["label"],
            json.dumps(dict(record)),
        )
        try:
            self._file.execute(
                "INSERT INTO emissions (scanned, begun, source, id, lower, upper, label, record) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                row,
            )
            if time.monotonic() - self._committed > _COMMIT:
                self._file.commit()
                self._committed = time.monotonic()
        except sqlite3.Error as error:
            raise self._fault(error) from None

    def close(self) -> None:
        """Write what is left.

        Raises:
            OutputError: it cannot be written.
        """
        try:
            self._file.commit()
        except sqlite3.Error as error:
            raise self._fault(error) from None
        finally:
            self._file.close()

    def _fault(self, error: sqlite3.Error) -> OutputError:
        return OutputError(f"the history {printable(self.path)} cannot be written: {printable(error)}.")


@dataclass(frozen=True)
class HistoryQuery:
    """What is asked of a history.

    Attributes:
        since: emissions that began, or else were scanned, at this time or later, seconds since 1970; None: all.
        until: those before this time; None: all.
        lower: emissions that reach above this frequency, Hz; None: all.
        upper: those that reach below this one, Hz; None: all.
        label: those of this name, whatever its case; empty: all.
        most: the last so many; 0: all.
    """

    since: float | None = None
    until: float | None = None
    lower: float | None = None
    upper: float | None = None
    label: str = ""
    most: int = 0


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
    wanted, values = _where(query)
    newest = f"SELECT * FROM emissions {wanted} ORDER BY COALESCE(begun, scanned) DESC, number DESC"
    if query.most:
        newest += " LIMIT ?"
        values.append(query.most)
    try:
        file = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=_PATIENCE)
        try:
            _check(file, path, new=False)
            found = file.execute(
                f"SELECT record FROM ({newest}) ORDER BY COALESCE(begun, scanned), number", values
            )
            for (text,) in found:
                record = json.loads(text)
                if not isinstance(record, dict):
                    raise ValueError("a record is no object")
                yield record
        finally:
            file.close()
    except (sqlite3.Error, ValueError) as error:
        raise AmrqError(f"{printable(path)} is not a history of amrq scan: {printable(error)}.") from None


def _where(query: HistoryQuery) -> tuple[str, list[Any]]:
    """Return the WHERE of a query and its values."""
    parts: list[str] = []
    values: list[Any] = []
    for part, value in (
        ("COALESCE(begun, scanned) >= ?", query.since),
        ("COALESCE(begun, scanned) < ?", query.until),
        ("upper >= ?", query.lower),
        ("lower <= ?", query.upper),
        ("label = ? COLLATE NOCASE", query.label or None),
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
