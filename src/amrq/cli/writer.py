# SPDX-License-Identifier: GPL-3.0-or-later
"""Where records of decisions can go."""

from collections.abc import Mapping
from typing import Any, Protocol

__all__ = ["Writer"]


class Writer(Protocol):
    """Whatever takes records."""

    def write(self, record: Mapping[str, Any]) -> None:
        """Take a record of `decision_record`."""
