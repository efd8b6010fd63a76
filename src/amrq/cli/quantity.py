# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbers as radio people write them."""

import re

import typer

__all__ = ["quantity"]

_UNITS = "Hz|Bd|Baud|S|S/s|SPS|samples/s|Sym/s|symbols/s"
_FACTORS = {"": 1.0, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9}


def quantity(text: str | float) -> float:
    """Return the number that `433.92M`, `100k`, `2.4MS/s` or `1e6` means.

    Raises:
        typer.BadParameter: it means none.
    """
    if isinstance(text, (int, float)):
        return float(text)
    found = re.fullmatch(rf"(.+?)\s*([kKMG]?)(?i:{_UNITS})?", text.strip())
    try:
        return float(found[1]) * _FACTORS[found[2]] if found else float(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no number such as 250e3, 100k or 433.92M.") from None
