# SPDX-License-Identifier: GPL-3.0-or-later
"""A contract for import-linter: rooms are entered by their faces.

A room is a package below `amrq`, its face the package's `__init__`. A module may import any module of its own room,
and of other rooms only the face. Which rooms there are is read from the imports themselves: there is no list to keep.
"""

import re
from collections.abc import Iterator

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, output

__all__ = ["FaceContract"]

_LIBRARY = "amrq"


class FaceContract(Contract):  # type: ignore[misc]
    """No module imports a module inside another room."""

    type_name = "faces"

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Look at every import within the library."""
        past = sorted(_past_a_face(graph))
        return ContractCheck(kept=not past, metadata={"past": past})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Say which module to import from instead."""
        for importer, imported in check.metadata["past"]:
            room = imported.rpartition(".")[0]
            output.print_error(f"{importer} imports {imported}: import from {room}.")


def _past_a_face(graph: ImportGraph) -> Iterator[tuple[str, str]]:
    packages = {module.rpartition(".")[0] for module in graph.modules} - {""}
    for importer in graph.modules:
        for imported in graph.find_modules_directly_imported_by(importer):
            room = imported.rpartition(".")[0]
            inside = importer == room or importer.startswith(f"{room}.")
            if room in ("", _LIBRARY) or imported in packages or inside:
                continue
            # A function is often called as its module: `from amrq.hardware import estimate` asks the face for it.
            named = re.compile(rf"\s*(from|import)\s+{re.escape(imported)}\b")
            if any(
                named.match(i["line_contents"])
                for i in graph.get_import_details(importer=importer, imported=imported)
            ):
                yield importer, imported
