# SPDX-License-Identifier: GPL-3.0-or-later
"""Widths of numbers."""

__all__ = ["bits_for"]


def bits_for(lowest: int, highest: int) -> int:
    """Return the bits that hold all integers of a range: in two's complement where it goes below zero, else unsigned.

    Args:
        lowest: least.
        highest: largest, not below `lowest`.
    """
    if lowest < 0:
        return max((~lowest).bit_length(), max(highest, 0).bit_length()) + 1
    return max(highest.bit_length(), 1)
