# SPDX-License-Identifier: GPL-3.0-or-later
"""The command `amrq`: the top floor, which may know every other room."""

from amrq.cli.main import main

__all__ = ["main"]
