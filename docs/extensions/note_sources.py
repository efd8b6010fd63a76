# SPDX-License-Identifier: GPL-3.0-or-later
"""What a generated page is made from."""

from collections.abc import Iterable
from pathlib import Path

from sphinx.environment import BuildEnvironment

__all__ = ["note_sources"]

_HERE = Path(__file__).resolve().parent
_LIST = _HERE.parents[1] / ".build" / "files"
"""All of the module's files; make rewrites it when one comes or goes. Without it, pages are made anew each time."""


def note_sources(environment: BuildEnvironment, files: Iterable[Path]) -> None:
    """Have the page at hand made anew when one of the files changes, or any comes or goes.

    Autodoc sees to the modules whose docstrings it takes.
    """
    for file in (_LIST, *_HERE.glob("*.py"), *files):
        environment.note_dependency(str(file))
