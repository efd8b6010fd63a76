# SPDX-License-Identifier: GPL-3.0-or-later
"""What the command says beside its results."""

import typer

from amrq.plain_text import printable

__all__ = ["say"]

_LONGEST = 2000
"""Characters of a sentence."""


def say(sentence: object) -> None:
    """Write a sentence, or the text of an error, on standard error, safe for a terminal, as `amrq: ...`."""
    typer.echo(f"amrq: {printable(sentence, _LONGEST)}", err=True)
