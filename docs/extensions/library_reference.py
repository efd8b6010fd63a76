# SPDX-License-Identifier: GPL-3.0-or-later
"""The directive `library-reference`: the public names of `amrq`, room by room."""

import ast
from collections.abc import Iterator
from pathlib import Path

from docutils.nodes import Node
from note_sources import note_sources
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

__all__ = ["LibraryReference", "setup"]

_LIBRARY = Path(__file__).resolve().parents[2] / "src" / "amrq"
_NOT_HERE = ("cli", "training")  # the command has a page of its own; training is asked for by name


class LibraryReference(SphinxDirective):
    """A section for each room below `amrq`, or below the one named, with what its `__all__` names.

    A package that has no `__all__` is entered. Nothing is imported to find out.
    """

    optional_arguments = 1

    def run(self) -> list[Node]:
        """Return the sections."""
        room = self.arguments[0] if self.arguments else ""
        lines = []
        modules = list(_modules(_LIBRARY / room, f"amrq.{room}".rstrip("."), () if room else _NOT_HERE))
        note_sources(self.env, (path for module, path in modules))
        for module, _ in modules:
            lines += [
                f"## {module}\n",
                f"```{{eval-rst}}\n.. automodule:: {module}\n   :members:\n   :imported-members:\n```\n",
            ]
        return self.parse_text_to_nodes("\n".join(lines), allow_section_headings=True)


def _modules(folder: Path, name: str, left_out: tuple[str, ...]) -> Iterator[tuple[str, Path]]:
    for path in sorted(folder.iterdir()):
        if path.name.startswith("_") or path.stem in left_out:
            continue
        if path.suffix == ".py" and _says_what_is_public(path):
            yield f"{name}.{path.stem}", path
        elif (path / "__init__.py").exists():
            if _says_what_is_public(path / "__init__.py"):
                yield f"{name}.{path.name}", path / "__init__.py"
            else:
                yield from _modules(path, f"{name}.{path.name}", ())


def _says_what_is_public(path: Path) -> bool:
    statements = ast.parse(path.read_text(encoding="utf-8")).body
    targets = [
        target
        for statement in statements
        if isinstance(statement, ast.Assign)
        for target in statement.targets
    ]
    return any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets)


def setup(app: Sphinx) -> dict[str, bool]:
    """Take part in a build."""
    app.add_directive("library-reference", LibraryReference)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
