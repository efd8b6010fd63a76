# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbers as people write them: 433.92 MHz, 2.4 MS/s, 9.6 kBd, 1 byte, 2 bytes."""

import math

__all__ = ["counted", "engineering"]

_PREFIXES = ("", "k", "M", "G", "T")


def engineering(value: float, unit: str, digits: int = 9) -> str:
    """Return a number with its unit, shortened by a prefix from 1,000 on: k, M, G or T.

    What is returned, without a space, is what options such as `--rate` take: `9.6k`.

    Args:
        value: in `unit`; below 1,000 and not finite as it is.
        unit: `Hz`, `S/s` or `Bd`.
        digits: significant ones at most, 1 to 15; 6 for what was measured.

    >>> engineering(9e6, "S/s"), engineering(10501.94, "Bd", 6), engineering(-12500, "Hz"), engineering(0, "Hz")
    ('9 MS/s', '10.5019 kBd', '-12.5 kHz', '0 Hz')
    """
    value = float(f"{value:.{digits}g}")  # rounded first: 999,999.9 is 1 M, not 1000 k
    if not math.isfinite(value) or value == 0:
        return f"{value:g} {unit}"
    step = min(max(0, math.floor(math.log10(abs(value)) / 3 + 1e-12)), len(_PREFIXES) - 1)
    return f"{value / 1000**step:.{digits}g} {_PREFIXES[step]}{unit}"


def counted(number: int, thing: str) -> str:
    """Return the number with the thing's name, in the plural where it is not one.

    >>> counted(1, "byte"), counted(2, "byte")
    ('1 byte', '2 bytes')
    """
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
