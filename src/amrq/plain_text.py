# SPDX-License-Identifier: GPL-3.0-or-later
"""Text from files, the network and other programs, made safe to show on one line."""

__all__ = ["is_printable", "printable"]


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
