# SPDX-License-Identifier: GPL-3.0-or-later
"""Text and numbers for people: what may be shown of a foreign string, and figures with their units."""

import csv
import io
import math
import re
from collections.abc import Iterable, Sequence

__all__ = [
    "counted",
    "csv_text",
    "engineering",
    "is_file_name",
    "is_printable",
    "markdown",
    "name_fault",
    "prefix_factor",
    "printable",
    "unbroken",
]

_MARKS = re.compile(r"[\\`*\[\]<>|&${}~]")
"""What begins something in Markdown, or HTML in it, wherever it stands in a line."""


def is_printable(text: str) -> bool:
    r"""Return whether every character of the text is a visible one or a space, so that it cannot steer a terminal.

    Control characters, line ends, characters that turn the direction of writing and halves of surrogate pairs are not.

    >>> is_printable("8PSK"), is_printable("8PSK\x1b[2J")
    (True, False)
    """
    return text.isprintable()


def printable(text: object, longest: int = 400) -> str:
    r"""Return the text with whatever could steer a terminal written as an escape, and cut where it is very long.

    Line ends and tabs become spaces: what is returned is one line. For text from outside on its way to a terminal, a
    log or an error message.

    Args:
        text: what to show; anything but a string is turned into one.
        longest: characters that are kept at most.

    >>> printable("QPSK\x1b[31m\nnext")
    'QPSK\\x1b[31m next'
    """
    shown = str(text)
    if len(shown) > longest:
        shown = shown[: longest - 1] + "…"
    if shown.isprintable():
        return shown
    spaced = (" " if character in "\r\n\t" else character for character in shown)
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in spaced)


def markdown(text: object) -> str:
    r"""Return the text as one line of Markdown that shows it and does nothing: no HTML, link, code, table or formula.

    >>> markdown("pi/4-DQPSK"), markdown("<b>|x")
    ('pi/4-DQPSK', '\\<b\\>\\|x')
    """
    return _MARKS.sub(r"\\\g<0>", printable(text, 2000))


def unbroken(text: str) -> str:
    """Return the text with spaces at which no line is broken, so that a table keeps it on one line.

    >>> unbroken("97.8 (97.1 to 98.4)").count(" ")
    0
    """
    return text.replace(" ", "\u00a0")


def csv_text(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    r"""Return a table as the text of a CSV file (RFC 4180, but with lines that end in a line feed).

    >>> csv_text(["model", "right"], [["small, int4", 93], ["full", 97]])
    'model,right\n"small, int4",93\nfull,97\n'
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(headings)
    writer.writerows(rows)
    return text.getvalue()


def name_fault(name: object, longest: int = 64) -> str:
    r"""Return what is wrong with a name from outside, a part of a sentence; nothing where it can be used.

    Names of classes, models and settings end up in tables, pages, file names, Verilog and on terminals. Each of these
    places escapes what it must; that a name is a short printable text in the first place is asked for here.

    Args:
        name: the name.
        longest: characters that it may have.

    >>> name_fault("GMSK BT 0.5"), name_fault("QPSK\n")
    ('', 'has a character that cannot be printed')
    """
    if not isinstance(name, str):
        return "is not a text"
    if not name.strip():
        return "is empty"
    if len(name) > longest:
        return f"has {len(name)} characters, more than {longest}"
    if not is_printable(name):
        return "has a character that cannot be printed"
    if name != name.strip():
        return "begins or ends with a space"
    return ""


def is_file_name(name: str) -> bool:
    """Return whether a name can stand in a file's name: a short printable text that leads to no other folder.

    >>> is_file_name("vgglike_2f_1c"), is_file_name("../../etc/passwd")
    (True, False)
    """
    return not name_fault(name, 100) and "/" not in name and not name.startswith((".", "-"))


_PREFIXES = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}


def prefix_factor(prefix: str) -> float:
    """Return what a unit's prefix stands for: k, M, G or T, in either case; 1 for none.

    >>> prefix_factor("k"), prefix_factor("K"), prefix_factor("")
    (1000.0, 1000.0, 1.0)
    """
    return _PREFIXES[prefix.lower() if prefix in "kK" else prefix.upper()]


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
    return f"{value / 1000**step:.{digits}g} {list(_PREFIXES)[step]}{unit}"


def counted(number: int, thing: str) -> str:
    """Return the number with the thing's name, in the plural where it is not one.

    >>> counted(1, "byte"), counted(2, "byte")
    ('1 byte', '2 bytes')
    """
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
