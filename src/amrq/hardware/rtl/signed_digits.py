# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole numbers as few powers of two."""

__all__ = ["signed_digits"]


def signed_digits(value: int) -> list[tuple[int, int]]:
    """Return the canonical signed digits of a whole number: no two neighbours, and no form has fewer.

    Args:
        value: any whole number.

    Returns:
        (place, sign) of each digit, the lowest place first: value = sum of sign times 2^place.
    """
    digits, place = [], 0
    while value:
        if value & 1:
            sign = 2 - (value & 3)
            digits.append((place, sign))
            value -= sign
        value >>= 1
        place += 1
    return digits
