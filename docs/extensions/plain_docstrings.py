# SPDX-License-Identifier: GPL-3.0-or-later
"""Docstrings here are plain text with code in single backticks, not reStructuredText: |z| is an absolute value."""

import re

from sphinx.application import Sphinx

__all__ = ["escape_docstring", "setup"]

_CODE = re.compile(r"(`+[^`]+`+)")
_MEANS_SOMETHING = re.compile(r"\||(?<=\w)_(?!\w)")


def escape_docstring(
    app: Sphinx, what: str, name: str, subject: object, options: object, lines: list[str]
) -> None:
    """Escape, in place, what reStructuredText would take for markup."""
    text = "\n".join(lines)
    parts = _CODE.split(text)  # code stands at the odd places; it may run over the end of a line
    parts[::2] = [_MEANS_SOMETHING.sub(r"\\\g<0>", part) for part in parts[::2]]
    lines[:] = "".join(parts).split("\n")


def setup(app: Sphinx) -> dict[str, bool]:
    """Take part in a build, before Napoleon rewrites the sections."""
    app.connect("autodoc-process-docstring", escape_docstring, priority=400)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
