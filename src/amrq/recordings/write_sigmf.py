# SPDX-License-Identifier: GPL-3.0-or-later
"""The metadata of a recording just made."""

import json
from pathlib import Path
from typing import Any

from amrq._version import __version__
from amrq.whole_file import write_whole

__all__ = ["write_sigmf"]


def write_sigmf(path: Path, sample_rate: float, frequency: float | None, description: str) -> None:
    """Write the `.sigmf-meta` beside a `.sigmf-data` of little-endian complex float samples.

    Args:
        path: of the metadata.
        sample_rate: samples a second.
        frequency: what 0 Hz stands for, Hz; None where it is not known.
        description: what it is, for people.

    Raises:
        AmrqError: it cannot be written.
    """
    capture: dict[str, Any] = {"core:sample_start": 0}
    if frequency is not None:
        capture["core:frequency"] = frequency
    document = {
        "global": {
            "core:datatype": "cf32_le",
            "core:sample_rate": sample_rate,
            "core:version": "1.0.0",
            "core:recorder": f"gr-amrq {__version__}",
            "core:description": description,
        },
        "captures": [capture],
        "annotations": [],
    }
    write_whole(path, json.dumps(document, indent=4) + "\n")
