# SPDX-License-Identifier: GPL-3.0-or-later
"""A design run by a simulator of Verilog against the integer reference."""

import shutil
import subprocess
from pathlib import Path

from amrq.errors import AmrqError

__all__ = ["cosimulate"]


def cosimulate(folder: Path, simulator: str = "iverilog") -> str:
    """Run the testbench of a folder that `write_rtl` wrote.

    Args:
        folder: the folder.
        simulator: `iverilog`, or `verilator` (5.0 or later), which takes a C++ compiler and is much faster on many
            chunks.

    Returns:
        the testbench's last sentence.

    Raises:
        AmrqError: a tool is missing, or the hardware differs from the reference.
    """
    for tool in ("make", simulator):
        if shutil.which(tool) is None:
            raise AmrqError(f"simulating the hardware needs {tool}, which is not installed.")
    result = subprocess.run(
        ["make", "-s", "-C", str(folder), "sim", f"SIM={simulator}"],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    said = [line for line in result.stdout.splitlines() if line.startswith(("PASS", "FAIL"))]
    if result.returncode or not said:
        reason = said[0] if said else " ".join((result.stderr or result.stdout).split())[-300:]
        raise AmrqError(f"the hardware in {folder} does not do what the integer reference does: {reason}.")
    return said[-1]
