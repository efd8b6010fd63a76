# SPDX-License-Identifier: GPL-3.0-or-later
"""The classes that a chunk can be labelled with, however people write them."""

from amrq.model import NO_SIGNAL, UNKNOWN
from amrq.modulations import MODULATIONS

__all__ = ["LABELS", "label_name"]

LABELS = (*MODULATIONS, UNKNOWN, NO_SIGNAL)
"""The nine modulations, `unknown` for every other signal, `no signal` for noise alone."""


def _plain(text: str) -> str:
    return "".join(letter for letter in text.casefold() if letter not in " -_")


_BY_PLAIN = {_plain(name): name for name in LABELS}


def label_name(text: str) -> str | None:
    """Return the label that `qpsk`, `16-QAM` or `No signal` means: case, spaces, - and _ do not matter.

    None where it means none of `LABELS`.
    """
    return _BY_PLAIN.get(_plain(text))
