# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a test waits for what should happen."""

PATIENCE = 240.0
"""Seconds after which what should have happened has not, on a machine however busy: a test may last 300."""
