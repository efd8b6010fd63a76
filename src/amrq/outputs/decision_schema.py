# SPDX-License-Identifier: GPL-3.0-or-later
"""The JSON schema of a decision."""

import json
from pathlib import Path
from typing import Any

__all__ = ["decision_schema"]


def decision_schema() -> dict[str, Any]:
    """Return the schema (draft 2020-12) that every record of `decision_record` keeps."""
    text = Path(__file__).with_name("decision.schema.json").read_text(encoding="utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema
