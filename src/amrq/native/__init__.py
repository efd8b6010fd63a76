# SPDX-License-Identifier: GPL-3.0-or-later
"""The compiled kernels, where they were built; NumPy does the same without them, slower."""

from amrq.native.kernels import MOST_ROWS, NEVER, Kernels, kernels, missing
from amrq.native.line_kernels import CHIRPS, LineGrid
from amrq.native.network_kernels import INSTRUCTIONS, CompiledNetwork, NetworkLayer

__all__ = [
    "CHIRPS",
    "INSTRUCTIONS",
    "MOST_ROWS",
    "NEVER",
    "CompiledNetwork",
    "Kernels",
    "LineGrid",
    "NetworkLayer",
    "kernels",
    "missing",
]
