# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbers as radio people write them."""

import re

__all__ = ["quantity"]

_FACTORS = {"": 1.0, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9}


def quantity(text: str | float) -> float:
    """Return the number that `433.92M`, `100k` or `1e6` means.

    Raises:
        ValueError: it means none.
    """
    if isinstance(text, (int, float)):
        return float(text)
    found = re.fullmatch(r"(.+?)\s*([kKMG]?)(?:Hz|Bd|S/s)?", text.strip())
    try:
        return float(found[1]) * _FACTORS[found[2]] if found else float(text)
    except ValueError:
        raise ValueError(f"{text!r} is no number such as 250e3, 100k or 433.92M") from None
