# SPDX-License-Identifier: GPL-3.0-or-later
"""The directive `command-reference`: what `amrq --help` says, of the command and of all below it."""

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from docutils.nodes import Node
from note_sources import note_sources
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from amrq.cli.main import app as command_app

__all__ = ["CommandReference", "setup"]

_CODE = Path(__file__).resolve().parents[2] / "src" / "amrq" / "cli"
_OPTIONS = "Options"


class CommandReference(SphinxDirective):
    """A section for each command: its help, its arguments, its options in the groups that it shows them in."""

    def run(self) -> list[Node]:
        """Return the sections."""
        note_sources(self.env, _CODE.glob("*.py"))
        command = typer.main.get_command(command_app)
        text = "\n".join(_section(command, typer.Context(command, info_name="amrq")))
        return self.parse_text_to_nodes(text, allow_section_headings=True)


def _section(command: Any, context: Any) -> Iterator[str]:
    yield f"## {context.command_path}\n"
    yield f"```{{program}} {context.command_path}\n```\n"
    usage = [context.command_path, *command.collect_usage_pieces(context)]
    yield f"```text\n{' '.join(usage)}\n```\n"
    yield inspect.cleandoc(command.help or "") + "\n"
    panels: dict[str, list[str]] = {}
    for parameter in command.params:
        record = parameter.get_help_record(context)
        if record is None:
            continue
        names, words = record
        words = words.replace("\\[", "[")
        if parameter.param_type_name == "argument":
            panels.setdefault("Arguments", []).append(f"- `{names}` {words}")
        else:
            panel = getattr(parameter, "rich_help_panel", None) or _OPTIONS
            names = names.replace(" / ", ", ")
            panels.setdefault(panel, []).append(f"```{{option}} {names}\n{words}\n```\n")
    for panel, entries in panels.items():
        if list(panels) != [_OPTIONS]:
            yield f"**{panel}**\n"
        yield from entries
        yield ""
    for name, below in getattr(command, "commands", {}).items():
        yield from _section(below, typer.Context(below, info_name=name, parent=context))


def setup(app: Sphinx) -> dict[str, bool]:
    """Take part in a build."""
    app.add_directive("command-reference", CommandReference)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
