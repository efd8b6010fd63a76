# SPDX-License-Identifier: GPL-3.0-or-later
"""A table on disk that is whole at any moment."""

import csv
import io
import os
from collections.abc import Mapping
from pathlib import Path

from amrq.errors import AmrqError
from amrq.parsing import parsing
from amrq.whole_file import write_whole

__all__ = ["ResultsFile"]


class ResultsFile:
    """Rows of text in a CSV file.

    A row is added by writing the whole table beside the file and putting it in the file's place, so that whatever
    interrupts it, the file holds all rows before or all rows after.

    Args:
        path: the file; it need not be there.
        key: columns that tell rows apart; a row added again takes the place of the former one.
    """

    def __init__(self, path: Path, key: tuple[str, ...] = ("name",)) -> None:
        self.path = path
        self.key = key

    def rows(self) -> list[dict[str, str]]:
        """Return all rows, none where there is no file.

        Raises:
            AmrqError: the file is no such table.
        """
        if not os.path.isfile(self.path):
            return []
        with parsing(self.path, "move it away"), self.path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file, strict=True))
        if any(None in row or None in row.values() or not all(k in row for k in self.key) for row in rows):
            raise AmrqError(f"{self.path} is no table of results of a sweep: move it away.")
        return rows

    def add(self, *new: Mapping[str, str]) -> None:
        """Add rows of the same columns.

        Raises:
            AmrqError: the file cannot be written.
        """
        replaced = {tuple(row[k] for k in self.key) for row in new}
        rows = [row for row in self.rows() if tuple(row[k] for k in self.key) not in replaced]
        table = io.StringIO(newline="")
        writer = csv.DictWriter(table, list(new[0]), lineterminator="\n")
        writer.writeheader()
        try:
            writer.writerows([*rows, *new])
        except ValueError as error:
            raise AmrqError(
                f"{self.path} has other columns than the new results ({error}): move it away."
            ) from None
        write_whole(self.path, table.getvalue())
