# SPDX-License-Identifier: GPL-3.0-or-later
"""What a signal can be."""

from amrq.classes.linear import MODULATIONS, Modulation, modulation

__all__ = [
    "MODULATIONS",
    "Modulation",
    "modulation",
]
