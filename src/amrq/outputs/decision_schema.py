# SPDX-License-Identifier: GPL-3.0-or-later
"""The JSON schemas of a decision."""

import json
from pathlib import Path
from typing import Any

from amrq.errors import AmrqError

__all__ = ["RECORD_VERSION", "decision_schema"]

RECORD_VERSION = 2
"""Version of the records that are written, in their field `schema`; version 1 had no such field."""


def decision_schema(version: int = RECORD_VERSION) -> dict[str, Any]:
    """Return the schema (draft 2020-12) that every record of a version keeps.

    Args:
        version: 2, of `decision_record`; or 1, of records written before that, which have no field `schema`.

    Raises:
        AmrqError: there is no such version.

    Example:
        >>> decision_schema(1)["title"]
        'gr-amrq decision, version 1'
    """
    if version not in range(1, RECORD_VERSION + 1):
        raise AmrqError(f"records have schema 1 to {RECORD_VERSION}, not {version}.")
    text = Path(__file__).with_name(f"decision-{version}.schema.json").read_text(encoding="utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema
