# SPDX-License-Identifier: GPL-3.0-or-later
"""What to write beside a figure of speed."""

import platform
from pathlib import Path

__all__ = ["processor_name"]


def processor_name() -> str:
    """Return the processor's name, as far as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
